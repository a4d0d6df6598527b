"""Normalised slope: how many ATR a bar the closes climb."""

from __future__ import annotations

import math

import numpy as np

from market.candles import Floats
from market.errors import MetricUndefined
from regime.columns import padded, ratios, sums, windows_ending


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
    found = line_slopes(windows_ending(closes, bars, first))
    return padded(ratios(found, atr[atr.shape[0] - found.shape[0] :]), closes.shape[0] - first)


def line_slopes(windows: Floats) -> Floats:
    """Return the least-squares slope a bar of each window, shape (rows,)."""
    length = windows.shape[1]
    places = np.arange(length) - (length - 1) / 2
    spread = length * (length * length - 1) / 12
    found: Floats = sums((windows - windows[:, :1]) * places) / spread
    return found
