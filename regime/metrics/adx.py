"""ADX: how one-sided the movement is, whatever its direction."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import reduce
from operator import add

import numpy as np

from market.candles import Floats
from market.errors import MetricUndefined
from regime.metrics.atr import average_true_ranges, smoothed


@dataclass(frozen=True, slots=True, eq=False)
class DirectionalAverages:
    """Wilder's averages at every bar, shape (n,) each; NaN before they start.

    Attributes:
        plus, minus: Smoothed directional movement, quote price.
        adx: In [0, 100].
    """

    plus: Floats
    minus: Floats
    adx: Floats

    def rows(self, count: int) -> DirectionalAverages:
        """Return the first `count` rows, as views."""
        return DirectionalAverages(self.plus[:count], self.minus[:count], self.adx[:count])


def adx(high: Floats, low: Floats, close: Floats, bars: int = 14) -> float:
    """Return ADX at the newest bar.

    Args:
        high: Quote prices, shape (n,), oldest first.
        low: Same shape.
        close: Same shape.
        bars: Smoothing is 1 / bars (an EMA of span 14 is something else).

    Returns:
        In [0, 100]: 0 is two-sided, 100 one-sided. Says nothing about the direction.

    Raises:
        MetricUndefined: Fewer than 2 x `bars` bars, or too few with any directional movement.

    Source:
        J. W. Wilder, New Concepts in Technical Trading Systems, 1978.
    """
    if close.shape[0] < 2 * bars:
        raise MetricUndefined("adx", f"needs {2 * bars} bars, has {close.shape[0]}")
    value = float(directional_averages(high, low, bars).adx[-1])
    if math.isnan(value):
        raise MetricUndefined("adx", "price never moved")
    return value


def directional_averages(
    high: Floats, low: Floats, bars: int, before: DirectionalAverages | None = None
) -> DirectionalAverages:
    """Return the averages at every bar; ADX starts with the mean of the first `bars` DX.

    A bar at which no movement has been seen since the anchor has no DX and leaves ADX as it is.

    Args:
        high, low: Quote prices, shape (n,), oldest first, from the anchor on.
        bars: Smoothing is 1 / bars.
        before: The first rows of the result, where already known; only the others are computed.
    """
    rows = high.shape[0]
    done = 0 if before is None or not before.adx.size or math.isnan(before.adx[-1]) else before.adx.shape[0]
    plus, minus, averages = np.full((3, rows), np.nan)
    if rows <= bars:
        return DirectionalAverages(plus, minus, averages)
    up, down = _movements(high[max(done - 1, 0) :], low[max(done - 1, 0) :])
    if before is not None and done:
        plus[:done], minus[:done], averages[:done] = before.plus, before.minus, before.adx
        plus[done:] = smoothed(float(plus[done - 1]), up, bars)[1:]
        minus[done:] = smoothed(float(minus[done - 1]), down, bars)[1:]
    else:
        plus[bars:] = smoothed(_mean(up[:bars]), up[bars:], bars)
        minus[bars:] = smoothed(_mean(down[:bars]), down[bars:], bars)
    first = max(done, bars)
    moved = plus[first:] + minus[first:]
    known = moved > 0
    apart = np.abs(plus[first:] - minus[first:])
    dx = (100 * apart[known] / moved[known]).tolist()
    if done:
        told = smoothed(float(averages[done - 1]), dx, bars)
    elif len(dx) < bars:
        told = np.full(len(dx) + 1, np.nan)
    else:
        told = np.concatenate((np.full(bars, np.nan), smoothed(_mean(dx[:bars]), dx[bars:], bars)))
    averages[first:] = told[np.cumsum(known)]
    return DirectionalAverages(plus, minus, averages)


def _mean(values: list[float]) -> float:
    return reduce(add, values) / len(values)


def _movements(high: Floats, low: Floats) -> tuple[list[float], list[float]]:
    raised, sunk = high[1:] - high[:-1], low[:-1] - low[1:]
    up = np.where((raised > sunk) & (raised > 0), raised, 0.0)
    down = np.where((sunk > raised) & (sunk > 0), sunk, 0.0)
    return up.tolist(), down.tolist()


def directional_indicators(high: Floats, low: Floats, close: Floats, bars: int = 14) -> tuple[float, float]:
    """Return +DI and -DI at the newest bar, each in [0, 100].

    Raises:
        MetricUndefined: Fewer than `bars` + 1 bars, or the price never moved.
    """
    if close.shape[0] <= bars:
        raise MetricUndefined("directional indicators", f"needs {bars + 1} bars, has {close.shape[0]}")
    averages = directional_averages(high, low, bars)
    atr = float(average_true_ranges(high, low, close, bars)[-1])
    if atr == 0:
        raise MetricUndefined("directional indicators", "price never moved")
    return 100 * float(averages.plus[-1]) / atr, 100 * float(averages.minus[-1]) / atr
