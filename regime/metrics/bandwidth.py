"""Bollinger bandwidth, and its expansion against its own past."""

from __future__ import annotations

import math

import numpy as np

from market.candles import Floats
from market.errors import MetricUndefined
from regime.columns import medians, padded, parts_of, ratios, windows_ending


def bandwidth(closes: Floats, bars: int = 20, deviations: float = 2.0) -> float:
    """Return (upper - lower) / middle of the Bollinger bands at the newest bar.

    Args:
        closes: Quote prices, shape (n,), oldest first.
        bars: Closes in the mean and in the (population) standard deviation.
        deviations: Standard deviations each side.

    Returns:
        Dimensionless, 0 for a price that did not move.

    Raises:
        MetricUndefined: Fewer than `bars` closes.

    Source:
        J. Bollinger, Bollinger on Bollinger Bands, 2001.
    """
    if closes.shape[0] < bars:
        raise MetricUndefined("bandwidth", f"needs {bars} closes, has {closes.shape[0]}")
    return float(bandwidths(closes, bars, deviations, closes.shape[0] - 1)[-1])


def bandwidths(closes: Floats, bars: int, deviations: float, first: int = 0) -> Floats:
    """Return the bandwidth at rows `first` and later, shape (n - first,); NaN where undefined."""
    values = closes[max(first - bars + 1, 0) :]
    if values.shape[0] < bars:
        return padded(values[:0], closes.shape[0] - first)
    totals, squares = _totals_and_squares(values, bars)
    found = 2 * deviations * np.sqrt(squares * (1 / bars)) / (totals * (1 / bars))
    return padded(found, closes.shape[0] - first)


def _totals_and_squares(values: Floats, bars: int) -> tuple[Floats, Floats]:
    """Return sum and squared deviations of every `bars` neighbours: of pairs, then pairs of pairs and so on.

    Source:
        T. F. Chan, G. H. Golub, R. J. LeVeque, Updating Formulae and a Pairwise Algorithm, 1979.
    """
    levels, size = {1: (values, np.zeros(values.shape))}, 1
    while 2 * size <= bars:
        total, square = levels[size]
        gap = total[:-size] - total[size:]
        joint = (square[:-size] + square[size:]) + gap * gap * (0.5 / size)
        levels[2 * size] = total[:-size] + total[size:], joint
        size *= 2
    rows, at = values.shape[0] - bars + 1, 0
    totals, squares = np.zeros(rows), np.zeros(rows)
    for part in parts_of(bars):
        total, square = (column[at : at + rows] for column in levels[part])
        if at:
            gap = totals * part - total * at
            squares = (squares + square) + gap * gap * (1 / (at * part * (at + part)))
            totals = totals + total
        else:
            totals, squares = total, square
        at += part
    return totals, squares


def expansion(band: Floats, bars: int = 168) -> float:
    """Return the newest bandwidth over the median of the last `bars`, itself included.

    Args:
        band: Bandwidths, shape (n,), oldest first.
        bars: Bandwidths behind the median.

    Returns:
        Dimensionless: 1 is usual, above 1 the bands widen.

    Raises:
        MetricUndefined: Fewer than `bars` bandwidths, or a median of 0.
    """
    known = int(np.count_nonzero(~np.isnan(band[-bars:])))
    if known < bars:
        raise MetricUndefined("expansion", f"needs {bars} bandwidths, has {known}")
    value = float(expansions(band, bars, band.shape[0] - 1)[-1])
    if math.isnan(value):
        raise MetricUndefined("expansion", f"the median of {bars} bandwidths is 0")
    return value


def expansions(band: Floats, bars: int, first: int = 0) -> Floats:
    """Return value over median at rows `first` and later, shape (n - first,); NaN where undefined."""
    windows = windows_ending(band, bars, first)
    return padded(ratios(windows[:, -1], medians(windows)), band.shape[0] - first)
