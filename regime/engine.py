"""The regime engine: a window in, an analysis out. Pure; what it remembers only saves time."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from market.candles import Bars, no_bars
from market.hours import Timeframe, instant_iso, instant_of_ts
from market.window import MarketWindow
from regime.analysis import Confidence, Insufficient, MetricReading, PriceRange, RegimeAnalysis, Verdict
from regime.anchors import anchor_ts, same_anchor_since
from regime.classifier import Signals, class_4h, distances, vetoed
from regime.components.fold import ComponentFold, ComponentRows
from regime.components.states import NO_ROW
from regime.confidence import classic_confidence, evidence_confidence
from regime.config import METRICS, RegimeConfig
from regime.diagnostics import diagnose, early_warning, range_ok_medians, turnover_24h
from regime.folds import HourFold, MetricFold, PriceFold
from regime.memory import Memory, Name, folded
from regime.precision import known
from regime.ranges import Rows, range_at
from regime.readings import read_metrics
from regime.scores import p_transition
from regime.series import NO_VERDICT, RegimeRows
from regime.verdicts import MODELS, VerdictFold, fold_verdicts

_READ = (Timeframe.M5, Timeframe.M15, Timeframe.H1, Timeframe.H4)
_DAY_S = 86_400
_CONTEXT = (Timeframe.M5, Timeframe.M15)
_COMPONENTS = (Timeframe.M15, Timeframe.H1, Timeframe.H4)  # any other on request


class RegimeEngine:
    """Judges windows by one configuration.

    Args:
        config: Every number.
        remembered: Market-months whose folds are kept, about 1.5 MB each with all timeframes. An hour that
            follows a remembered one costs one row; any other is folded from its anchor, with the same bits.
    """

    def __init__(self, config: RegimeConfig, *, remembered: int = 128) -> None:
        self.config = config
        self._hours: Memory[HourFold] = Memory(remembered)
        self._four_hours: Memory[MetricFold] = Memory(remembered)
        self._context: Memory[PriceFold] = Memory(len(_CONTEXT) * remembered)
        self._verdicts: Memory[VerdictFold] = Memory(remembered)
        self._components: Memory[ComponentFold] = Memory(len(_COMPONENTS) * remembered)

    def timeframes(self) -> Mapping[Timeframe, int]:
        """Return the timeframes that `analyze` reads, and the span wanted of each, days."""
        return {timeframe: self.config.history.days(timeframe) for timeframe in _READ}

    def analyze(self, window: MarketWindow) -> RegimeAnalysis | Insufficient:
        """Judge the window's hour.

        Args:
            window: Closed bars; 1h and 4h decide, 5m and 15m are context where they are there.

        Returns:
            The analysis, or what is missing. Equal windows give equal answers, whatever was asked before.
        """
        hours, four_hours = _bars(window, Timeframe.H1), _bars(window, Timeframe.H4)
        if reason := self._too_short(window, hours, four_hours):
            return Insufficient(reason)
        hours, name = self._since_anchor(window, hours)
        four_hours, name_4h = self._since_anchor(window, four_hours)
        fold = folded(self._hours, name, HourFold.start(window.price_scale), hours, self.config)
        fold_4h = folded(
            self._four_hours,
            name_4h,
            MetricFold.start(Timeframe.H4, window.price_scale),
            four_hours,
            self.config,
        )
        row = len(hours) - 1
        readings = read_metrics(fold.metrics, row, self.config.metrics)
        if reason := self._not_judgeable(fold, row, readings):
            return Insufficient(reason)
        four_hour_rows = _last_closed(four_hours, hours)
        verdicts = self._judged(name + name_4h, fold, fold_4h, four_hour_rows)
        return self._analysis(window, fold, fold_4h, row, int(four_hour_rows[-1]), readings, verdicts)

    def components(self, window: MarketWindow, timeframe: Timeframe) -> ComponentRows:
        """Return the three-dimensional regime of the window's newest bars.

        Args:
            window: Closed bars.
            timeframe: Whose bars; any that the window holds.

        Returns:
            The bars of the window's month (1m and 5m: day) that have a row, oldest first; none where the
            history is too short. A bar has the same row here as in the window of its own hour: what comes
            after it changes nothing.
        """
        bars = _bars(window, timeframe)
        if not len(bars):
            return ComponentRows.none()
        bars, name = self._since_anchor(window, bars)
        empty = ComponentFold.start(timeframe, window.price_scale)
        fold = folded(self._components, name, empty, bars, self.config)
        first = int(np.searchsorted(bars.ts, self._told_from(window, bars, name)))
        return fold.told(first, len(bars))

    def regimes(self, window: MarketWindow, timeframe: Timeframe) -> tuple[RegimeRows, int]:
        """Return the rows of the window's newest bars: components, and on 1h the verdict beside them.

        Args:
            window: Closed bars. For the verdicts of its whole month it has to reach back as far as the window
                of the month's first hour; the newest hour's own row needs no more than its own window.
            timeframe: Whose bars; any that the window holds.

        Returns:
            The rows of the window's month (1m and 5m: day), oldest first, and the instant from which they are
            told: bars that open before it fold from another anchor, their own hours' windows tell them.
        """
        bars = _bars(window, timeframe)
        start = same_anchor_since(timeframe, window.hour)
        if not len(bars):
            return RegimeRows.none(timeframe), start
        if timeframe is not Timeframe.H1:
            rows = self.components(window, timeframe)
            bars, name = self._since_anchor(window, bars)
            return RegimeRows.of(timeframe, rows.ts, rows.columns), self._told_from(window, bars, name)
        return self._hourly_regimes(window, bars)

    def _hourly_regimes(self, window: MarketWindow, known_hours: Bars) -> tuple[RegimeRows, int]:
        hours, name = self._since_anchor(window, known_hours)
        start = self._told_from(window, hours, name)
        fold = folded(self._hours, name, HourFold.start(window.price_scale), hours, self.config)
        verdict = np.full(len(hours), NO_VERDICT, dtype=np.int8)
        known_4h = _bars(window, Timeframe.H4)
        if len(known_4h):
            four_hours, name_4h = self._since_anchor(window, known_4h)
            empty = MetricFold.start(Timeframe.H4, window.price_scale)
            fold_4h = folded(self._four_hours, name_4h, empty, four_hours, self.config)
            verdicts = self._judged(name + name_4h, fold, fold_4h, _last_closed(four_hours, hours))
            told = verdicts.tracks[self.config.score_model].verdict[: len(hours)]
            verdict = np.where(self._long_enough(known_hours, known_4h, hours), told, NO_VERDICT)
            since = self._told_from(window, four_hours, name_4h)
            if since > same_anchor_since(Timeframe.H1, window.hour):
                start = max(start, since + Timeframe.H4.seconds - Timeframe.H1.seconds)
        first = int(np.searchsorted(hours.ts, start))
        first += int(np.count_nonzero(fold.components.trend[first : len(hours)] == NO_ROW))
        return RegimeRows.of(
            Timeframe.H1,
            hours.ts[first:],
            fold.components.rows(first, len(hours)),
            verdict[first:],
        ), start

    def _told_from(self, window: MarketWindow, bars: Bars, name: Name) -> int:
        """Return the instant from which the bars of the window's month fold from the anchor in `name`."""
        start, least = same_anchor_since(bars.timeframe, window.hour), self.config.history.anchor_minimum_bars
        if not len(bars) or name[2] == window.first_ts.get(bars.timeframe, int(bars.ts[0])):
            return start
        end = window.hour.close_ts
        return max(start, int(bars.ts[least - 1]) if len(bars) >= least else end)

    def _long_enough(self, known_hours: Bars, known_4h: Bars, hours: Bars) -> NDArray[np.bool_]:
        """Say of each hour whether its own window held enough 1h and 4h bars to be judged."""
        history, closes = self.config.history, hours.ts + Timeframe.H1.seconds
        enough = np.ones(len(hours), dtype=np.bool_)
        for bars, needed in ((known_hours, history.minimum_hours), (known_4h, history.minimum_four_hours)):
            since = np.searchsorted(bars.ts, closes - history.days(bars.timeframe) * _DAY_S)
            until = np.searchsorted(bars.ts + bars.timeframe.seconds, closes, side="right")
            enough &= until - since >= needed
        return enough

    def _too_short(self, window: MarketWindow, hours: Bars, four_hours: Bars) -> str | None:
        history = self.config.history
        problems = [
            f"{len(bars)} closed {bars.timeframe.value} bars are known, {needed} are needed"
            for bars, needed in (
                (hours, history.minimum_hours),
                (four_hours, history.minimum_four_hours),
            )
            if len(bars) < needed
        ]
        if not problems and hours.ts[-1] != window.hour.open_ts:
            newest = instant_iso(instant_of_ts(int(hours.ts[-1])))
            problems.append(f"the 1h bar of {window.hour} is missing, the newest is {newest}")
        return "; ".join(problems) or None

    def _since_anchor(self, window: MarketWindow, bars: Bars) -> tuple[Bars, Name]:
        timeframe = bars.timeframe
        first_ts = window.first_ts.get(timeframe, int(bars.ts[0]))
        anchor = anchor_ts(timeframe, window.hour, bars.ts, first_ts, self.config.history)
        start = int(np.searchsorted(bars.ts, anchor))
        return bars.rows(start, len(bars)), (window.key, timeframe.value, anchor, window.price_scale)

    def _not_judgeable(self, fold: HourFold, row: int, readings: Mapping[str, MetricReading]) -> str | None:
        if math.isnan(fold.metrics.trendiness[row]):
            missing = [
                f"{name} ({reading.reason})" for name, reading in readings.items() if reading.score is None
            ]
            return (
                f"{len(METRICS) - len(missing)} of {len(METRICS)} metrics could be computed, at least"
                f" {self.config.metrics.minimum_available} are needed; missing: {', '.join(missing)}"
            )
        if math.isnan(fold.hold_probability[row]):
            needed = max(self.config.range.lookbacks)
            return (
                f"no range can be drawn: {row + 1} 1h bars since the anchor, {needed} and an ATR above 0 are"
                " needed"
            )
        return None

    def _judged(
        self,
        name: Name,
        fold: HourFold,
        fold_4h: MetricFold,
        four_hour_rows: Rows,
    ) -> VerdictFold:
        count = four_hour_rows.shape[0]
        trendiness_4h = np.where(
            four_hour_rows >= 0, fold_4h.trendiness[np.maximum(four_hour_rows, 0)], np.nan
        )
        signals = np.stack(
            (
                fold.hold_probability[:count],
                fold.metrics.trendiness[:count],
                trendiness_4h,
                fold.metrics.values[METRICS.index("half_life"), :count],
                fold.ranges.valid[:count].astype(np.float64),
                fold.inside[:count],
                fold.outside[:count],
            )
        )
        before = self._verdicts.recall(name)
        verdicts = fold_verdicts(signals, self.config, before)
        if verdicts is not before:
            self._verdicts.keep(name, verdicts)
        return verdicts

    def _analysis(
        self,
        window: MarketWindow,
        fold: HourFold,
        fold_4h: MetricFold,
        row: int,
        row_4h: int,
        readings: Mapping[str, MetricReading],
        verdicts: VerdictFold,
    ) -> RegimeAnalysis:
        config, model = self.config, self.config.score_model
        prices = fold.metrics.prices
        close, atr = prices.quote(prices.bars.close[: row + 1]), float(prices.atr[row])
        found = range_at(fold.ranges, row, close, atr, prices.price_scale, config.range)
        signals = verdicts.signals_at(row)
        told: dict[str, Verdict] = {}
        for each in MODELS:
            verdict = verdicts.tracks[each].verdict_at(row)
            assert verdict is not None, "an hour with p and T has a verdict"
            told[each] = verdict
        track = verdicts.tracks[model]
        _, vetoes = vetoed(model, track.present_at(row), signals, config)
        return RegimeAnalysis(
            verdict=told[model],
            score_model=model,
            hold_probability=signals.hold_probability,
            barrier_probability=float(fold.barrier_probability[row]),
            trendiness=signals.trendiness,
            trendiness_4h=known(signals.trendiness_4h),
            verdict_4h=class_4h(signals.trendiness_4h, config.classic),
            p_transition=p_transition(signals.trendiness, config.classic),
            evidence_verdict=told["evidence"],
            classic_verdict=told["classic"],
            metrics=readings,
            vetoes=vetoes,
            distances=distances(model, signals, config),
            range=found,
            price=float(close[-1]),
            atr=atr,
            hourly_sigma=float(fold.sigma[row]),
            flips_168=track.flips(row),
            dwell_h=track.dwell(row),
            confidence=self._confidence(
                window, told[model], signals, readings, found, float(close[-1]), track.dwell(row)
            ),
            diagnostics=diagnose(fold.metrics, fold_4h, row, row_4h, config.metrics)
            | range_ok_medians(fold.metrics, track.verdict, row)
            | turnover_24h(_bars(window, Timeframe.H1), window.price_scale, window.volume_scale)
            | fold.components.inputs_at(row)
            | {"bars_across": float(track.across[row])},
            early_warning=self._early_warning(window),
            components=fold.components.reading(row),
        )

    def _confidence(
        self,
        window: MarketWindow,
        verdict: Verdict,
        signals: Signals,
        readings: Mapping[str, MetricReading],
        found: PriceRange,
        price: float,
        dwell_h: int,
    ) -> Confidence:
        available = sum(reading.weight for reading in readings.values())
        if self.config.score_model == "evidence":
            return evidence_confidence(
                verdict,
                signals.hold_probability,
                available,
                window.quality,
                dwell_h,
                found,
                self.config.confidence,
            )
        return classic_confidence(
            signals.trendiness,
            verdict,
            class_4h(signals.trendiness_4h, self.config.classic),
            {name: reading.score for name, reading in readings.items() if reading.score is not None},
            available,
            window.quality,
            dwell_h,
            price,
            found,
            self.config,
        )

    def _early_warning(self, window: MarketWindow) -> dict[str, dict[str, float | None]]:
        """Return what finer timeframes say at the end of the hour; nothing where their bars end before it."""
        found = {}
        for timeframe in _CONTEXT:
            bars, fold = _bars(window, timeframe), None
            if len(bars) and bars.ts[-1] >= window.hour.open_ts:
                bars, name = self._since_anchor(window, bars)
                empty = PriceFold.start(timeframe, window.price_scale)
                fold = folded(self._context, name, empty, bars, self.config)
            found[timeframe.value] = early_warning(fold, len(bars) - 1, self.config.metrics)
        return found


def _bars(window: MarketWindow, timeframe: Timeframe) -> Bars:
    return window.bars.get(timeframe) or no_bars(timeframe)


def _last_closed(four_hours: Bars, hours: Bars) -> Rows:
    """Return for each 1h bar the row of the last known 4h bar closed by its close, -1 for none."""
    closes = four_hours.ts + Timeframe.H4.seconds
    return np.searchsorted(closes, hours.ts + Timeframe.H1.seconds, side="right") - 1
