"""Rolling windows whose results do not depend on how many rows are computed together.

Live adds one row, batch computes thousands; both must give the same bits. So sums run strictly from the
oldest value to the newest (`accumulate` cannot regroup as `sum` does), order statistics come from sorting,
and logarithms come from `math`, because NumPy's may differ between its vector and its scalar loops.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from market.candles import Floats


def windows_ending(values: Floats, length: int, first: int) -> Floats:
    """Return the windows that end at rows `first` and later, shape (rows, length), as views.

    Rows before `length - 1` have no whole window and are left out.
    """
    start = max(first - length + 1, 0)
    if values.shape[0] - start < length:
        return np.empty((0, length), dtype=np.float64)
    return sliding_window_view(values[start:], length)


def sums(windows: Floats) -> Floats:
    """Return the sum of each window, oldest value first, shape (rows,)."""
    totals: Floats = np.add.accumulate(windows, axis=-1)[..., -1]
    return totals


def means(windows: Floats) -> Floats:
    """Return the mean of each window; exact where all its values are equal."""
    start = windows[:, 0]
    found: Floats = start + sums(windows - start[:, None]) / windows.shape[1]
    return found


def deviations_from_mean(windows: Floats) -> Floats:
    """Return each window minus its mean, exactly 0 where all its values are equal."""
    shifted = windows - windows[:, :1]
    apart: Floats = shifted - (sums(shifted) / windows.shape[1])[:, None]
    return apart


def medians(windows: Floats) -> Floats:
    """Return the median of each window, the mean of the middle two for an even length; NaN if any is NaN."""
    ordered = np.sort(windows, axis=-1)
    length = ordered.shape[-1]
    middle = (
        ordered[..., (length - 1) // 2] + (ordered[..., length // 2] - ordered[..., (length - 1) // 2]) / 2
    )
    return np.where(np.isnan(ordered[..., -1]), np.nan, middle)


def padded(found: Floats, rows: int) -> Floats:
    """Return a column of `rows` values that ends with `found`; NaN where there was no whole window."""
    column = np.full(rows, np.nan)
    if found.shape[0]:
        column[rows - found.shape[0] :] = found
    return column


def ratios(numerators: Floats, denominators: Floats) -> Floats:
    """Return numerator / denominator, NaN where the denominator is 0."""
    found = np.full(numerators.shape, np.nan)
    np.divide(numerators, denominators, out=found, where=denominators != 0)
    return found


def log_ratios(values: Floats, base: float) -> Floats:
    """Return ln(value / base) of each value."""
    return np.array([math.log(value / base) for value in values.tolist()], dtype=np.float64)
