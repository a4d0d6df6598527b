"""The six metrics of one hour as they are recorded: value or reason, score, weight, slope and trend."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from market.candles import Floats
from market.errors import MetricUndefined
from regime.analysis import MetricReading
from regime.config import METRICS, MetricsConfig
from regime.folds import MetricFold
from regime.metrics.adx import adx
from regime.metrics.autocorrelation import autocorrelation
from regime.metrics.bandwidth import expansion
from regime.metrics.efficiency_ratio import efficiency_ratio
from regime.metrics.half_life import half_life
from regime.metrics.slope import line_slopes, slope
from regime.precision import known, significant
from regime.scores import metric_score

NO_MEAN_REVERSION = "no mean reversion"


def read_metrics(fold: MetricFold, row: int, config: MetricsConfig) -> dict[str, MetricReading]:
    """Return the six readings of one row by name, in the order of `METRICS`."""
    return {name: _read(fold, row, name, config) for name in METRICS}


def _read(fold: MetricFold, row: int, name: str, config: MetricsConfig) -> MetricReading:
    column = fold.values[METRICS.index(name), : row + 1]
    value = float(column[-1])
    if math.isnan(value):
        return MetricReading(None, _why_undefined(fold, row, name, config), None, 0, None, None)
    change = _slope(column[-config.trend_bars :], config.trend_bars)
    return MetricReading(
        value=known(value),
        reason=NO_MEAN_REVERSION if math.isinf(value) else None,
        score=metric_score(name, value, config),
        weight=config.anchors(name).weight,
        slope=change,
        trend=None if change is None else trend_label(name, value, change, config),
    )


def trend_label(name: str, value: float, slope_a_bar: float, config: MetricsConfig) -> str:
    """Return where a metric is heading.

    Args:
        name: One of `METRICS`; the bandwidth expands and contracts, the others rise and fall.
        value: Now.
        slope_a_bar: Least-squares change a bar over the last `trend_bars` readings.
        config: STABLE while the fitted change from the first to the last of these readings stays within
            `trend_tolerance` of |value|, which counts as at least `trend_floor` of its anchor span.
    """
    anchors = config.anchors(name)
    size = max(abs(value), config.trend_floor * (anchors.trend_end - anchors.range_end))
    change = slope_a_bar * (config.trend_bars - 1)
    if abs(change) <= config.trend_tolerance * size:
        return "STABLE"
    rising, falling = ("EXPANDING", "CONTRACTING") if name == "expansion" else ("RISING", "FALLING")
    return rising if change > 0 else falling


def _slope(recent: Floats, bars: int) -> float | None:
    if recent.shape[0] < bars or not np.isfinite(recent).all():
        return None
    return significant(float(line_slopes(recent[None, :])[0]))


def _why_undefined(fold: MetricFold, row: int, name: str, config: MetricsConfig) -> str:
    """Return the reason that the metric of the single series gives."""
    prices, count = fold.prices, row + 1
    high, low, close = (
        prices.quote(c[:count]) for c in (prices.bars.high, prices.bars.low, prices.bars.close)
    )
    log_close = prices.log_close[:count]
    measure: dict[str, Callable[[], float]] = {
        "adx": lambda: adx(high, low, close, config.wilder_bars),
        "efficiency_ratio": lambda: efficiency_ratio(log_close, config.efficiency_ratio_bars),
        "autocorrelation": lambda: autocorrelation(log_close, config.autocorrelation_bars),
        "half_life": lambda: half_life(log_close, config.half_life_bars),
        "slope": lambda: slope(close, prices.atr[:count], config.slope_bars),
        "expansion": lambda: expansion(fold.band[:count], config.median_bars),
    }
    try:
        value = measure[name]()
    except MetricUndefined as undefined:
        return undefined.reason
    raise AssertionError(f"{name} is {value}, but its column has no value")
