"""What stands beside the six metrics: recorded for the reader, never deciding."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from market.candles import Floats
from market.errors import MetricUndefined
from regime.columns import deviations_from_mean, medians, ratios, sums, windows_ending
from regime.config import METRICS, MetricsConfig
from regime.folds import MetricFold, PriceFold
from regime.metrics.efficiency_ratio import efficiency_ratio
from regime.metrics.half_life import dickey_fuller_t
from regime.metrics.slope import slope
from regime.precision import known, significant


def atr_ratio(atr: Floats, bars: int = 168) -> float:
    """Return the newest ATR over the median of the last `bars`, itself included.

    Args:
        atr: Quote price, shape (n,), oldest first; NaN before it starts.
        bars: Readings behind the median.

    Raises:
        MetricUndefined: Fewer readings, or a median of 0.
    """
    window = windows_ending(atr, bars, atr.shape[0] - 1)
    found = ratios(window[:, -1], medians(window))
    return _newest("atr_ratio", found, f"needs {bars} ATR above 0")


def variance_ratio(log_closes: Floats, bars: int = 168, horizon: int = 24) -> float:
    """Return the variance of `horizon`-bar returns over that of one-bar returns, each a bar.

    Args:
        log_closes: ln of closes, shape (n,), oldest first.
        bars: One-bar returns in the sample.
        horizon: Bars of the overlapping long returns.

    Returns:
        Dimensionless: 1 for a walk, below 1 mean reversion, above 1 trend; both variances unbiased.

    Raises:
        MetricUndefined: Fewer closes, or all returns are the same.

    Source:
        A. W. Lo, A. C. MacKinlay, Review of Financial Studies 1, 1988.
    """
    closes = windows_ending(log_closes, bars + 1, log_closes.shape[0] - 1)
    short = deviations_from_mean(closes[:, 1:] - closes[:, :-1])
    drift = (closes[:, -1:] - closes[:, :1]) / bars
    long = closes[:, horizon:] - closes[:, :-horizon] - horizon * drift
    freedom = horizon * (bars - horizon + 1) * (1 - horizon / bars)
    found = ratios(sums(long * long) / freedom, sums(short * short) / (bars - 1))
    return _newest("variance_ratio", found, f"needs {bars + 1} closes that move")


def z_score(closes: Floats, bars: int = 48) -> float:
    """Return how many (population) standard deviations the newest close is above the mean of the last `bars`.

    Args:
        closes: Quote prices, shape (n,), oldest first.
        bars: Closes in mean and deviation, the newest included.

    Raises:
        MetricUndefined: Fewer closes, or all closes are the same.
    """
    apart = deviations_from_mean(windows_ending(closes, bars, closes.shape[0] - 1))
    found = ratios(apart[:, -1], np.sqrt(sums(apart * apart) / bars))
    return _newest("z_score", found, f"needs {bars} closes that move")


def diagnose(
    fold: MetricFold, four_hours: MetricFold, row: int, row_4h: int, config: MetricsConfig
) -> dict[str, float | None]:
    """Return the diagnostics of one hour, and the six metrics on 4h (half-life in 4h bars) with suffix `_4h`.

    Args:
        fold: 1h metrics.
        four_hours: 4h metrics.
        row: The hour's row in `fold`.
        row_4h: The last closed 4h bar's row in `four_hours`, -1 for none.
        config: Lengths.
    """
    prices = fold.prices
    count = row + 1
    close = prices.quote(prices.bars.close[:count])
    average_range = float(prices.average_range[row])
    log_close = prices.log_close[:count]
    found: dict[str, float | None] = {
        "atr_pct": _recorded(100 * float(prices.atr[row]) / float(close[row])),
        "atr_ratio": _tried(lambda: atr_ratio(prices.atr[:count], config.median_bars)),
        "bandwidth": _recorded(float(fold.band[row])),
        "dickey_fuller_t": _tried(lambda: dickey_fuller_t(log_close, config.half_life_bars)),
        "minus_di": _recorded(100 * float(fold.movement.minus[row]) / average_range),
        "plus_di": _recorded(100 * float(fold.movement.plus[row]) / average_range),
        "variance_ratio": _tried(
            lambda: variance_ratio(log_close, config.variance_ratio_bars, config.variance_ratio_horizon)
        ),
        "z_score": _tried(lambda: z_score(close, config.z_score_bars)),
    }
    on_4h = four_hours.values_at(row_4h) if row_4h >= 0 else {}
    return found | {f"{name}_4h": known(on_4h[name]) if on_4h else None for name in METRICS}


EARLY_WARNINGS = ("atr_ratio", "slope", "efficiency_ratio", "z_score")


def early_warning(fold: PriceFold | None, row: int, config: MetricsConfig) -> dict[str, float | None]:
    """Return the context that a finer timeframe gives at one bar; all None where it has no data."""
    if fold is None:
        return dict.fromkeys(EARLY_WARNINGS)
    count = row + 1
    close, atr = fold.quote(fold.bars.close[:count]), fold.atr[:count]
    return {
        "atr_ratio": _tried(lambda: atr_ratio(atr, config.median_bars)),
        "slope": _tried(lambda: slope(close, atr, config.slope_bars)),
        "efficiency_ratio": _tried(
            lambda: efficiency_ratio(fold.log_close[:count], config.efficiency_ratio_bars)
        ),
        "z_score": _tried(lambda: z_score(close, config.z_score_bars)),
    }


def _newest(name: str, found: Floats, reason: str) -> float:
    if not found.size or np.isnan(found[-1]):
        raise MetricUndefined(name, reason)
    return float(found[-1])


def _recorded(value: float) -> float | None:
    return known(significant(value))


def _tried(measure: Callable[[], float]) -> float | None:
    try:
        return _recorded(measure())
    except MetricUndefined:
        return None
