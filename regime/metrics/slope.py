"""Normalised slope: how many ATR a bar the closes climb."""

from __future__ import annotations

import math

import numpy as np

from market.candles import Floats
from market.errors import MetricUndefined
from regime.columns import padded, parts_of, ratios, sums


def slope(closes: Floats, atr: Floats, bars: int = 24) -> float:
    """Return the least-squares slope of the last `bars` closes over ATR.

    Args:
        closes: Quote prices, shape (n,), oldest first.
        atr: Quote price at each of these bars, shape (n,).
        bars: Closes on the line.

    Returns:
        ATR a bar, signed.

    Raises:
        MetricUndefined: Fewer than `bars` closes, or an ATR of 0 or not known.
    """
    if closes.shape[0] < bars:
        raise MetricUndefined("slope", f"needs {bars} closes, has {closes.shape[0]}")
    value = float(slopes(closes, atr, bars, closes.shape[0] - 1)[-1])
    if math.isnan(value):
        raise MetricUndefined("slope", "ATR is 0 or not known")
    return value


def slopes(closes: Floats, atr: Floats, bars: int, first: int = 0) -> Floats:
    """Return the slope at rows `first` and later, shape (n - first,); NaN where undefined."""
    values = closes[max(first - bars + 1, 0) :]
    if values.shape[0] < bars:
        return padded(values[:0], closes.shape[0] - first)
    found = _rises(values, bars) * (12 / (bars * (bars * bars - 1)))
    return padded(ratios(found, atr[atr.shape[0] - found.shape[0] :]), closes.shape[0] - first)


def _rises(values: Floats, bars: int) -> Floats:
    """Return the sum of value x place from the middle of every `bars` neighbours, pair by pair."""
    levels, size = {1: (values, np.zeros(values.shape))}, 1
    while 2 * size <= bars:
        total, rise = levels[size]
        joint = (rise[:-size] + rise[size:]) + (total[size:] - total[:-size]) * (size / 2)
        levels[2 * size] = total[:-size] + total[size:], joint
        size *= 2
    rows, at = values.shape[0] - bars + 1, 0
    totals, rises = np.zeros(rows), np.zeros(rows)
    for part in parts_of(bars):
        total, rise = (column[at : at + rows] for column in levels[part])
        if at:
            rises = (rises + rise) + (total * (at / 2) - totals * (part / 2))
            totals = totals + total
        else:
            totals, rises = total, rise
        at += part
    return rises


def line_slopes(windows: Floats) -> Floats:
    """Return the least-squares slope a bar of each window, shape (rows,)."""
    length = windows.shape[1]
    places = np.arange(length) - (length - 1) / 2
    spread = length * (length * length - 1) / 12
    found: Floats = sums((windows - windows[:, :1]) * places) / spread
    return found
