"""Lag-1 autocorrelation of returns: does a move tend to go on, or to be taken back?"""

from __future__ import annotations

import math

import numpy as np

from market.candles import Floats
from market.errors import MetricUndefined
from regime.columns import blocks_ending, from_blocks, ratios, rolling_sums

NOISE = 1e-12  # share of the squares; below it, differences between returns are the rounding of logarithms


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
    closes, start = blocks_ending(log_closes, bars + 1, first)
    returns = closes[:, 1:] - closes[:, :-1]
    squares = rolling_sums(returns * returns, bars)
    products = rolling_sums(returns[:, 1:] * returns[:, :-1], bars - 1)
    moves = rolling_sums((returns != 0).astype(np.float64), bars)
    net = closes[:, bars:] - closes[:, :-bars]
    oldest, newest = returns[:, : net.shape[1]], returns[:, bars - 1 :]
    mean = net * (1 / bars)
    energy = squares - mean * net
    ends = (net - oldest) + (net - newest)
    shared = (products - mean * ends) + (bars - 1) * mean * mean
    spread = np.where((moves > 0) & (energy > NOISE * squares), energy, 0.0)
    found = np.clip(ratios(shared, spread), -1.0, 1.0)
    return from_blocks(found, start, first, log_closes.shape[0] - first)
