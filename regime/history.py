"""Years of hours at once: the same folds and the same verdicts as hour by hour, as columns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from market.candles import Bars, Floats, Ints
from market.hours import Hour, Timeframe
from regime.analysis import Verdict
from regime.anchors import anchor_ts
from regime.config import METRICS, RegimeConfig
from regime.diagnostics import COLUMNS, diagnostic_columns
from regime.folds import HourFold, MetricFold
from regime.verdicts import MODELS, fold_verdicts

TREND_RANK = Verdict.TREND.rank


@dataclass(frozen=True, slots=True, eq=False)
class JudgedHours:
    """What the engine found in each judged hour of one market, shape (n,) each, oldest first.

    Attributes:
        ts: Opens of the hours, epoch seconds.
        close, atr, lower, upper: Quote prices.
        hold_probability, barrier_probability: p and p0.
        sigma: s, standard deviation of hourly log returns.
        trendiness, trendiness_4h: T and T4, NaN where T4 is unknown.
        metrics: The six as recorded, shape (6, n).
        evidence, classic: Rank of each model's verdict.
        valid, inside, outside: The range is valid; the close lies within it; beyond it by the margin.
        diagnostics: What gates read beside the metrics, in the order of `diagnostics.COLUMNS`, shape (7, n).
        evidence_present, classic_present: Rank of each model's class before vetoes.
    """

    ts: Ints
    close: Floats
    atr: Floats
    lower: Floats
    upper: Floats
    hold_probability: Floats
    barrier_probability: Floats
    sigma: Floats
    trendiness: Floats
    trendiness_4h: Floats
    metrics: Floats
    evidence: NDArray[np.int8]
    classic: NDArray[np.int8]
    valid: NDArray[np.bool_]
    inside: NDArray[np.bool_]
    outside: NDArray[np.bool_]
    diagnostics: Floats
    evidence_present: NDArray[np.int8]
    classic_present: NDArray[np.int8]

    def __len__(self) -> int:
        return int(self.ts.shape[0])

    def where(self, keep: NDArray[np.bool_] | slice) -> JudgedHours:
        """Return some of the hours."""
        return JudgedHours(*(getattr(self, field.name)[..., keep] for field in fields(self)))


def judge_history(
    hours: Bars,
    four_hours: Bars,
    price_scale: int,
    config: RegimeConfig,
    *,
    volume_scale: int | None = None,
) -> JudgedHours:
    """Return every hour that can be judged, as `RegimeEngine.analyze` would judge it.

    Args:
        hours, four_hours: All recorded closed bars of one market, oldest first.
        price_scale: Of both.
        config: Every number.
        volume_scale: Of the 1h bars; None leaves the turnover unknown.
    """
    parts = [
        _segment(hours, four_hours, (price_scale, volume_scale), config, span)
        for span in _segments(hours, four_hours, config)
    ]
    if not parts:
        return _joined([_nothing()])
    return _joined(parts)


@dataclass(frozen=True, slots=True)
class _Span:
    """Hours [first, last) of the 1h bars that fold from the same two anchors."""

    first: int
    last: int
    anchor: int
    anchor_4h: int


def _segments(hours: Bars, four_hours: Bars, config: RegimeConfig) -> Iterator[_Span]:
    """Yield spans of hours with equal anchors; anchors move with the month."""
    history = config.history
    closes_4h = four_hours.ts + Timeframe.H4.seconds
    closed = np.searchsorted(closes_4h, hours.ts + Timeframe.H1.seconds, side="right")
    first: int | None = None
    now = (0, 0)
    for row in range(len(hours)):
        known_4h = int(closed[row])
        if row + 1 < history.minimum_hours or known_4h < history.minimum_four_hours:
            continue
        hour = Hour.of_ts(int(hours.ts[row]))
        anchors = (
            anchor_ts(Timeframe.H1, hour, hours.ts[: row + 1], int(hours.ts[0]), history),
            anchor_ts(Timeframe.H4, hour, four_hours.ts[:known_4h], int(four_hours.ts[0]), history),
        )
        if first is None:
            first, now = row, anchors
        elif anchors != now:
            yield _Span(first, row, *now)
            first, now = row, anchors
    if first is not None:
        yield _Span(first, len(hours), *now)


def _segment(
    hours: Bars, four_hours: Bars, scales: tuple[int, int | None], config: RegimeConfig, span: _Span
) -> JudgedHours:
    price_scale, volume_scale = scales
    start = int(np.searchsorted(hours.ts, span.anchor))
    fold = HourFold.start(price_scale).extended(hours.rows(start, span.last), config)
    end_ts = int(hours.ts[span.last - 1]) + Timeframe.H1.seconds
    start_4h = int(np.searchsorted(four_hours.ts, span.anchor_4h))
    end_4h = int(np.searchsorted(four_hours.ts + Timeframe.H4.seconds, end_ts, side="right"))
    fold_4h = MetricFold.start(Timeframe.H4, price_scale).extended(four_hours.rows(start_4h, end_4h), config)
    last_4h = (
        np.searchsorted(
            fold_4h.bars.ts + Timeframe.H4.seconds, fold.bars.ts + Timeframe.H1.seconds, side="right"
        )
        - 1
    )
    trendiness_4h = np.where(last_4h >= 0, fold_4h.trendiness[np.maximum(last_4h, 0)], np.nan)
    metrics = fold.metrics
    signals = np.stack(
        (
            fold.hold_probability,
            metrics.trendiness,
            trendiness_4h,
            metrics.values[METRICS.index("half_life")],
            fold.ranges.valid.astype(np.float64),
            fold.inside,
            fold.outside,
        )
    )
    tracks = fold_verdicts(signals, config).tracks
    prices = metrics.prices
    told = JudgedHours(
        ts=fold.bars.ts,
        close=prices.quote(prices.bars.close),
        atr=prices.atr,
        lower=fold.ranges.lower,
        upper=fold.ranges.upper,
        hold_probability=fold.hold_probability,
        barrier_probability=fold.barrier_probability,
        sigma=fold.sigma,
        trendiness=metrics.trendiness,
        trendiness_4h=trendiness_4h,
        metrics=metrics.values,
        evidence=tracks[MODELS[0]].verdict,
        classic=tracks[MODELS[1]].verdict,
        valid=fold.ranges.valid == 1,
        inside=fold.inside == 1,
        outside=fold.outside == 1,
        diagnostics=diagnostic_columns(metrics, volume_scale, config.metrics),
        evidence_present=tracks[MODELS[0]].present,
        classic_present=tracks[MODELS[1]].present,
    )
    own = told.where(slice(span.first - start, None))
    return own.where(own.evidence >= 0)


def _joined(parts: list[JudgedHours]) -> JudgedHours:
    return JudgedHours(
        *(
            np.concatenate([getattr(part, field.name) for part in parts], axis=-1)
            for field in fields(JudgedHours)
        )
    )


def _nothing() -> JudgedHours:
    none, ranks, flags = np.empty(0), np.empty(0, dtype=np.int8), np.empty(0, dtype=np.bool_)
    return JudgedHours(
        ts=np.empty(0, dtype=np.int64),
        close=none,
        atr=none,
        lower=none,
        upper=none,
        hold_probability=none,
        barrier_probability=none,
        sigma=none,
        trendiness=none,
        trendiness_4h=none,
        metrics=np.empty((len(METRICS), 0)),
        evidence=ranks,
        classic=ranks,
        valid=flags,
        inside=flags,
        outside=flags,
        diagnostics=np.empty((len(COLUMNS), 0)),
        evidence_present=ranks,
        classic_present=ranks,
    )
