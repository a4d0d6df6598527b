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
    window = sorted(value for value in known[: first - start] if not math.isnan(value))
    found = []
    for at, value in enumerate(known[first - start :], first - start):
        place = share * (len(window) - 1)
        below = int(place)
        if place > below:
            found.append(window[below] + (window[below + 1] - window[below]) * (place - below))
        else:
            found.append(window[below] if window else math.nan)
        leaving = known[at - length] if at >= length else math.nan
        if not math.isnan(leaving):
            del window[bisect_left(window, leaving)]
        if not math.isnan(value):
            insort(window, value)
    return np.array(found, dtype=np.float64)
