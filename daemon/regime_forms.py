"""How rows, periods and counts are written for readers: one form for HTTP, command line and agents."""

from __future__ import annotations

from typing import Any

import numpy as np

from daemon.regime_answers import MarketSpan, PeriodPage, RegimePage
from market.hours import Timeframe, instant_iso, instant_of_ts
from regime.components.states import FULL_REGIMES, MOMENTA, SIMPLIFIED, TRENDS, VOLATILITIES, SimplifiedRegime
from regime.series import (
    CONFIDENCE_BINS,
    CONFIDENCE_UNIT,
    MOMENTUM_OF_FULL,
    SIMPLIFIED_OF_FULL,
    TREND_OF_FULL,
    VERDICTS,
    VOLATILITY_OF_FULL,
    RegimeCounts,
)
from store.index.state import PricedPeriod

# Okabe and Ito's palette, which the colour-blind tell apart, nearest to the named hues; a letter and a
# pattern besides, for print and for those who see no colour.
LEGEND: dict[SimplifiedRegime, dict[str, str]] = {
    SimplifiedRegime.TREND_UP: {"colour": "#009E73", "letter": "U", "pattern": "rising"},
    SimplifiedRegime.TREND_DOWN: {"colour": "#D55E00", "letter": "D", "pattern": "falling"},
    SimplifiedRegime.RANGE: {"colour": "#0072B2", "letter": "R", "pattern": "horizontal"},
    SimplifiedRegime.CHOPPY: {"colour": "#E69F00", "letter": "C", "pattern": "cross"},
    SimplifiedRegime.NEUTRAL: {"colour": "#8A8A8A", "letter": "N", "pattern": "plain"},
}
_LABELS = [label.value for label in SIMPLIFIED]


def _of_full(code: int) -> dict[str, Any]:
    label = SIMPLIFIED[SIMPLIFIED_OF_FULL[code]]
    return {
        "trend_state": TRENDS[TREND_OF_FULL[code]].value,
        "volatility_state": VOLATILITIES[VOLATILITY_OF_FULL[code]].value,
        "momentum_state": MOMENTA[MOMENTUM_OF_FULL[code]].value,
        "full_regime": FULL_REGIMES[code],
        "simplified_regime": label.value,
        "colour": LEGEND[label]["colour"],
    }


_BY_FULL = [_of_full(code) for code in range(len(FULL_REGIMES))]
_BY_VERDICT = [*(verdict.value for verdict in VERDICTS), None]  # -1 is NO_VERDICT


def time_of(ts: int) -> str:
    """Return an instant as it is written everywhere: 2026-02-02T14:00:00Z."""
    return instant_iso(instant_of_ts(ts))


def recorded_from(market: MarketSpan) -> dict[str, str | None]:
    """Return when the bars of each timeframe begin, null where there are none."""
    return {
        each.value: time_of(first) if first < market.end_ts else None
        for each, first in market.recorded_from.items()
    }


def row_dicts(page: RegimePage) -> list[dict[str, Any]]:
    """Return the rows of a page, oldest first."""
    rows = page.rows
    times = np.datetime_as_string(rows.ts.astype("datetime64[s]")).tolist()
    stored = int(np.searchsorted(rows.ts, page.stored_before_ts))
    told = [
        {
            "open_time": f"{time}Z",
            **_BY_FULL[full],
            "verdict": _BY_VERDICT[verdict],
            "confidence": confidence / CONFIDENCE_UNIT,
            "source": "stored" if place < stored else "computed",
        }
        for place, (time, full, verdict, confidence) in enumerate(
            zip(times, rows.full.tolist(), rows.verdict.tolist(), rows.confidence.tolist(), strict=True)
        )
    ]
    if page.bars is not None:
        bars, price, volume = page.bars, page.price_scale, page.volume_scale
        columns = zip(
            *((column / price).tolist() for column in (bars.open, bars.high, bars.low, bars.close)),
            (bars.volume / volume).tolist(),
            strict=True,
        )
        for row, values in zip(told, columns, strict=True):
            row |= dict(zip(("open", "high", "low", "close", "volume"), values, strict=True))
    return told


def period_dicts(page: PeriodPage) -> list[dict[str, Any]]:
    """Return the periods of a page, oldest first; `end` is the close of the last bar."""
    return [
        period_dict(each, page.timeframe, page.price_scale, page.ongoing_last_ts) for each in page.periods
    ]


def period_dict(
    priced: PricedPeriod, timeframe: Timeframe, price_scale: int, ongoing_last_ts: int | None
) -> dict[str, Any]:
    """Return one period; `ongoing` while the newest known row is its last one."""
    period = priced.period
    return {
        "simplified_regime": _LABELS[period.regime],
        "previous_regime": None if period.previous is None else _LABELS[period.previous],
        "start": time_of(period.first_ts),
        "end": time_of(period.last_ts + timeframe.seconds),
        "bars": period.bars(timeframe),
        "open": priced.open / price_scale,
        "close": priced.close / price_scale,
        "return_pct": round(100 * (priced.close / priced.open - 1), 4),
        "ongoing": period.last_ts == ongoing_last_ts,
    }


def counts_dict(counts: RegimeCounts) -> dict[str, Any]:
    """Return distribution, mean duration, transition matrix and confidence histogram."""
    total = counts.rows
    leaving = counts.transitions.sum(axis=1)
    return {
        "rows": total,
        "distribution": {
            label: {
                "bars": int(counts.bars[code]),
                "share": round(int(counts.bars[code]) / total, 6) if total else None,
                "periods": int(counts.periods[code]),
                "mean_bars": round(float(counts.mean_bars[code]), 3) if counts.periods[code] else None,
            }
            for code, label in enumerate(_LABELS)
        },
        "transitions": {
            label: {
                "counts": dict(zip(_LABELS, counts.transitions[code].tolist(), strict=True)),
                "shares": {
                    other: round(count / int(leaving[code]), 6) if leaving[code] else None
                    for other, count in zip(_LABELS, counts.transitions[code].tolist(), strict=True)
                },
            }
            for code, label in enumerate(_LABELS)
        },
        "confidence": {
            "bin_width": 1 / CONFIDENCE_BINS,
            "all": counts.confidence.sum(axis=0).tolist(),
            **{label: counts.confidence[code].tolist() for code, label in enumerate(_LABELS)},
        },
        "verdicts": {verdict.value: int(counts.verdicts[code]) for code, verdict in enumerate(VERDICTS)},
    }
