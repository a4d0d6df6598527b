"""Efficiency ratio: net movement over the distance walked."""

from __future__ import annotations

import math

import numpy as np

from market.candles import Floats
from market.errors import MetricUndefined
from regime.columns import padded, paired_sums, ratios


def efficiency_ratio(log_closes: Floats, bars: int = 24) -> float:
    """Return net movement divided by the distance walked over the last `bars` increments.

    Args:
        log_closes: ln of closes, shape (n,), oldest first.
        bars: Increments.

    Returns:
        Dimensionless, in [0, 1]: 0 went nowhere, 1 went straight; a driftless walk averages about
        1/sqrt(bars). Says nothing about direction.

    Raises:
        MetricUndefined: Fewer than `bars` + 1 closes, or the price never moved.

    Source:
        P. J. Kaufman, Smarter Trading, 1995.
    """
    if log_closes.shape[0] <= bars:
        raise MetricUndefined("efficiency_ratio", f"needs {bars + 1} closes, has {log_closes.shape[0]}")
    value = float(efficiency_ratios(log_closes, bars, log_closes.shape[0] - 1)[-1])
    if math.isnan(value):
        raise MetricUndefined("efficiency_ratio", f"price never moved in {bars} bars")
    return value


def efficiency_ratios(log_closes: Floats, bars: int, first: int = 0) -> Floats:
    """Return the ratio at rows `first` and later, shape (n - first,); NaN where undefined."""
    closes = log_closes[max(first - bars, 0) :]
    if closes.shape[0] <= bars:
        return padded(closes[:0], log_closes.shape[0] - first)
    walked = paired_sums(np.abs(closes[1:] - closes[:-1]), bars)
    found = ratios(np.abs(closes[bars:] - closes[:-bars]), walked)
    return padded(np.minimum(found, 1.0), log_closes.shape[0] - first)
