"""A rolling quantile by exact order statistics: the same bits for one row or for thousands."""

from __future__ import annotations

import math
from bisect import bisect_left, insort

import numpy as np

from market.candles import Floats


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
    start = max(first - length, 0)
    known = values[start:].tolist()
    ready = first - start
    window = sorted(value for value in known[:ready] if not math.isnan(value))
    blanks = np.flatnonzero(np.isnan(values[start:]))
    steady = max(ready, length, 0 if not blanks.size else int(blanks[-1]) + 1 + length)
    found = []
    for at in range(ready, min(steady, len(known))):
        found.append(_quantile(window, share))
        if at >= length and not math.isnan(known[at - length]):
            del window[bisect_left(window, known[at - length])]
        if not math.isnan(known[at]):
            insort(window, known[at])
    return np.concatenate(
        (np.array(found, dtype=np.float64), _of_whole_windows(window, known, steady, share))
    )


def _quantile(window: list[float], share: float) -> float:
    place = share * (len(window) - 1)
    below = int(place)
    if place > below:
        return window[below] + (window[below + 1] - window[below]) * (place - below)
    return window[below] if window else math.nan


def _of_whole_windows(window: list[float], known: list[float], first: int, share: float) -> Floats:
    """Return the quantiles at rows `first` and later, before each of which `len(window)` values are known.

    The same arithmetic as for one row; what changes from row to row is only which two values it is done with.
    """
    place = share * (len(window) - 1)
    below = int(place)
    above = min(below + 1, len(window) - 1)
    lower, upper = [], []
    for leaving, value in zip(known[first - len(window) :], known[first:], strict=False):
        lower.append(window[below])
        upper.append(window[above])
        del window[bisect_left(window, leaving)]
        insort(window, value)
    one, two = np.array(lower), np.array(upper)
    return one + (two - one) * (place - below) if place > below else one
