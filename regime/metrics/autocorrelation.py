"""Lag-1 autocorrelation of returns: does a move tend to go on, or to be taken back?"""

from __future__ import annotations

import math

import numpy as np

from market.candles import Floats
from market.errors import MetricUndefined
from regime.columns import deviations_from_mean, padded, ratios, sums, windows_ending

_NOISE = 1e-20  # squared; below it, differences between returns are the rounding of logarithms


def autocorrelation(log_closes: Floats, bars: int = 168) -> float:
    """Return the lag-1 autocorrelation of the last `bars` log returns, mean removed.

    Args:
        log_closes: ln of closes, shape (n,), oldest first.
        bars: Returns; the standard error of a pure walk is about 1/sqrt(bars).

    Returns:
        Dimensionless, in [-1, 1].

    Raises:
        MetricUndefined: Fewer than `bars` + 1 closes, or all returns are the same.

    Source:
        M. S. Bartlett, Supplement to the Journal of the Royal Statistical Society 8, 1946.
    """
    if log_closes.shape[0] <= bars:
        raise MetricUndefined("autocorrelation", f"needs {bars + 1} closes, has {log_closes.shape[0]}")
    value = float(autocorrelations(log_closes, bars, log_closes.shape[0] - 1)[-1])
    if math.isnan(value):
        raise MetricUndefined("autocorrelation", f"all of {bars} returns are the same")
    return value


def autocorrelations(log_closes: Floats, bars: int, first: int = 0) -> Floats:
    """Return the autocorrelation at rows `first` and later, shape (n - first,); NaN where undefined."""
    closes = windows_ending(log_closes, bars + 1, first)
    returns = closes[:, 1:] - closes[:, :-1]
    deviations = deviations_from_mean(returns)
    energy = sums(deviations * deviations)
    spread = np.where(energy > _NOISE * sums(returns * returns), energy, 0.0)
    found = ratios(sums(deviations[:, 1:] * deviations[:, :-1]), spread)
    return padded(found, log_closes.shape[0] - first)
