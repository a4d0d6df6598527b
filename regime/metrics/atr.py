"""Average true range: how far a bar reaches, gaps included."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from market.candles import Floats
from market.errors import MetricUndefined
from regime.columns import sums


def average_true_range(high: Floats, low: Floats, close: Floats, bars: int = 14) -> float:
    """Return Wilder's average true range at the newest bar.

    Args:
        high: Quote prices, shape (n,), oldest first.
        low: Same shape.
        close: Same shape.
        bars: Smoothing is 1 / bars; the first value is the mean of the first `bars` true ranges.

    Returns:
        Quote price, 0 for a series that never moved.

    Raises:
        MetricUndefined: Fewer than `bars` + 1 bars.

    Source:
        J. W. Wilder, New Concepts in Technical Trading Systems, 1978.
    """
    if close.shape[0] <= bars:
        raise MetricUndefined("atr", f"needs {bars + 1} bars, has {close.shape[0]}")
    return float(average_true_ranges(high, low, close, bars)[-1])


def average_true_ranges(
    high: Floats, low: Floats, close: Floats, bars: int, before: Floats | None = None
) -> Floats:
    """Return ATR at every bar, shape (n,); NaN in the first `bars` rows.

    Args:
        high, low, close: Quote prices, shape (n,), oldest first, from the anchor on.
        bars: Smoothing is 1 / bars.
        before: The first rows of the result, where already known; only the others are computed.
    """
    rows = close.shape[0]
    column = np.full(rows, np.nan)
    if rows <= bars:
        return column
    done = 0 if before is None else before.shape[0]
    if before is not None:
        column[:done] = before
    if done <= bars:
        column[bars] = sums(true_ranges(high[: bars + 1], low[: bars + 1], close[: bars + 1])) / bars
        done = bars + 1
    reaches = true_ranges(high[done - 1 :], low[done - 1 :], close[done - 1 :]).tolist()
    column[done:] = smoothed(float(column[done - 1]), reaches, bars)[1:]
    return column


def smoothed(start: float, values: list[float], bars: int) -> Floats:
    """Return Wilder's average (smoothing 1 / bars) before the first value, and after each of them."""
    return np.fromiter(_averages(start, values, bars), dtype=np.float64, count=len(values) + 1)


def _averages(average: float, values: list[float], bars: int) -> Iterator[float]:
    keep, share = (bars - 1) / bars, 1 / bars
    yield average
    for value in values:
        average = average * keep + value * share
        yield average


def true_ranges(high: Floats, low: Floats, close: Floats) -> Floats:
    """Return the true range of every bar but the first, which has no previous close; shape (n - 1,)."""
    previous = close[:-1]
    return np.maximum(high[1:], previous) - np.minimum(low[1:], previous)
