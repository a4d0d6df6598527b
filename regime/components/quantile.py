"""A rolling quantile by exact order statistics: the same bits for one row or for thousands."""

from __future__ import annotations

import math
from bisect import bisect_left, insort

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from market.candles import Floats

_BLOCK = 16  # rows
_AT_ONCE = 48  # blocks: many more of them do not fit the fast memory
_WORTH_BLOCKS = 64  # rows


def quantiles_before(values: Floats, length: int, share: float, first: int = 0) -> Floats:
    """Return for each row a quantile of the values before it, itself left out.

    Args:
        values: Shape (n,), oldest first; NaN is not known and does not count.
        length: How many rows before a row are looked at; near the start as many as there are.
        share: In (0, 1); between two order statistics it is linear (Hyndman and Fan's type 7).
        first: Rows before this one are not computed.

    Returns:
        Shape (n - first,); NaN where nothing is known before.
    """
    values = values[max(first - length, 0) :]
    ready = min(first, length)
    blanks = np.flatnonzero(np.isnan(values))
    steady = max(ready, length, 0 if not blanks.size else int(blanks[-1]) + 1 + length)
    known = values[:steady].tolist()
    window = sorted(value for value in known[:ready] if not math.isnan(value))
    found = []
    for at in range(ready, len(known)):
        found.append(_quantile(window, share))
        if at >= length and not math.isnan(known[at - length]):
            del window[bisect_left(window, known[at - length])]
        if not math.isnan(known[at]):
            insort(window, known[at])
    return np.concatenate(
        (np.array(found, dtype=np.float64), _of_whole_windows(window, values, steady, share))
    )


def _quantile(window: list[float], share: float) -> float:
    place = share * (len(window) - 1)
    below = int(place)
    if place > below:
        return window[below] + (window[below + 1] - window[below]) * (place - below)
    return window[below] if window else math.nan


def _of_whole_windows(window: list[float], values: Floats, first: int, share: float) -> Floats:
    """Return the quantiles at rows `first` and later, before each of which `len(window)` values are known.

    The same arithmetic as for one row; what changes from row to row is only which two values it is done with.
    """
    length, rows = len(window), max(values.shape[0] - first, 0)
    place = share * (length - 1)
    below = int(place)
    if rows < _WORTH_BLOCKS or not _BLOCK <= below < length - _BLOCK:
        lower, upper = _one_by_one(window, values[first - length :].tolist(), below)
    else:
        lower, upper = _in_blocks(values[first - length :], length, rows, below)
    return lower + (upper - lower) * (place - below) if place > below else lower


def _one_by_one(window: list[float], known: list[float], below: int) -> tuple[Floats, Floats]:
    """Return the two order statistics of each row, by a window kept in order; `known` begins with it."""
    above = min(below + 1, len(window) - 1)
    lower, upper = [], []
    for leaving, value in zip(known, known[len(window) :], strict=False):
        lower.append(window[below])
        upper.append(window[above])
        del window[bisect_left(window, leaving)]
        insort(window, value)
    return np.array(lower), np.array(upper)


def _in_blocks(values: Floats, length: int, rows: int, below: int) -> tuple[Floats, Floats]:
    """Return the same two of each row, many rows at once.

    The windows of a block of adjacent rows share all but `_BLOCK` - 1 values each. What they share is put in
    order once; whatever the others are, they move an order statistic by no more places than they are, so that
    few of the shared values come into question.

    Args:
        values: The `length` values before the first row, and those of all rows, shape (length + rows,).
        length: Values before each row that count.
        rows: How many rows.
        below: Place of the lower one in a window in order.
    """
    own = _BLOCK - 1
    blocks = -(-rows // _BLOCK)
    padded = np.concatenate((values, np.zeros(blocks * _BLOCK - rows)))
    windows = sliding_window_view(padded, length)[: blocks * _BLOCK : _BLOCK]
    coming = sliding_window_view(padded[length:], own)[::_BLOCK]
    found = np.empty((blocks, _BLOCK, 2))
    for start in range(0, blocks, _AT_ONCE):
        some = slice(start, start + _AT_ONCE)
        shared = np.sort(windows[some, own:], axis=1)[:, np.newaxis, below - own : below + 2]
        others = np.concatenate((windows[some, :own], coming[some]), axis=1)
        candidates = np.empty((len(shared), _BLOCK, 2 * _BLOCK))
        candidates[:, :, : own + 2] = shared
        candidates[:, :, own + 2 :] = sliding_window_view(others, own, axis=1)
        candidates.sort(axis=2)
        found[some] = candidates[:, :, own : own + 2]
    lower, upper = found.reshape(-1, 2)[:rows].T
    return lower, upper
