"""Where a grid's orders stand: bounds, cells and prices, as integers on the market's price increment."""

from __future__ import annotations

import itertools
import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from market.candles import Ints
from market.errors import DataInvalid

FEWEST_LEVELS = 2
MOST_LEVELS = 200  # the most that exchanges offer


class Spacing(StrEnum):
    """How prices follow each other: by an equal step, or by an equal ratio."""

    ARITHMETIC = "arithmetic"
    GEOMETRIC = "geometric"


@dataclass(frozen=True, slots=True)
class GridGeometry:
    """A ladder of `levels` cells, hence `levels` + 1 prices, from lower to upper.

    Attributes:
        lower, upper: Price x price_scale, multiples of the increment.
        levels: Number of cells (the exchange's "number of grids"): each buys at its lower price and sells
            at its upper one.
        increment: The market's price increment x price_scale.

    Raises:
        DataInvalid: Names the field: bounds not rising or off the increment, too few or too many levels, or
            so many that two prices round to the same.
    """

    lower: int
    upper: int
    levels: int
    spacing: Spacing = Spacing.GEOMETRIC
    increment: int = 1

    def __post_init__(self) -> None:
        if self.increment < 1:
            raise DataInvalid("grid", "increment", f"{self.increment}, expected 1 or more")
        for name, price in (("lower", self.lower), ("upper", self.upper)):
            if price <= 0 or price % self.increment:
                raise DataInvalid("grid", name, f"{price}, expected a positive multiple of {self.increment}")
        if self.lower >= self.upper:
            raise DataInvalid("grid", "upper", f"{self.upper}, expected more than lower {self.lower}")
        if not FEWEST_LEVELS <= self.levels <= MOST_LEVELS:
            raise DataInvalid("grid", "levels", f"{self.levels}, expected {FEWEST_LEVELS} to {MOST_LEVELS}")
        prices = self.prices()
        if any(low >= high for low, high in itertools.pairwise(prices)):
            raise DataInvalid("grid", "levels", f"{self.levels} is too many: two prices round to the same")

    def prices(self) -> tuple[int, ...]:
        """Return the `levels` + 1 prices, rising, each rounded half up to the increment."""
        return _prices(self.lower, self.upper, self.levels, self.spacing, self.increment)

    def spacing_bps(self) -> float:
        """Return the narrowest cell's width in bps of its lower price."""
        prices = self.prices()
        return min((high / low - 1) * 1e4 for low, high in itertools.pairwise(prices))

    def nearest(self, price: int) -> int:
        """Return the index of the level nearest to `price`, the lower one of two: it carries no order."""
        return nearest_level(self.prices(), price)


def nearest_level(prices: Sequence[int], price: int) -> int:
    """Return the index of the price in the rising `prices` that is nearest, the lower one of two."""
    above = bisect_left(prices, price, 1, len(prices) - 1)  # of two or more, so that there is one below
    return above - 1 if price - prices[above - 1] <= prices[above] - price else above


def cells_of_width(
    lower: ArrayLike, upper: ArrayLike, spacing_bps: float, at_least: int, at_most: int
) -> Ints:
    """Return as many geometric cells as are at least `spacing_bps` wide, for many ranges; same shape."""
    widths = np.log(np.asarray(upper, dtype=np.float64) / np.asarray(lower, dtype=np.float64))
    # a range that is n cells wide to the last digit must not lose one to rounding
    fitting = np.floor(widths / math.log1p(spacing_bps / 1e4) + 1e-9)
    return np.clip(fitting, at_least, at_most).astype(np.int64)


def geometric_prices(lower: Ints, upper: Ints, levels: Ints, increment: int) -> Ints:
    """Return the prices of many geometric grids, exactly as `GridGeometry.prices` gives them.

    Args:
        lower, upper, levels: One grid each, shape (n,); bounds are multiples of the increment.
        increment: As in `GridGeometry`.

    Returns:
        Shape (n, most levels + 1); beyond a grid's own last level its upper bound is repeated.
    """
    width = int(levels.max(initial=1)) + 1
    step = np.arange(width, dtype=np.float64)[None, :] / levels[:, None]
    guess = lower[:, None] * (upper / lower)[:, None] ** np.minimum(step, 1.0) / increment
    prices = np.floor(guess + 0.5).astype(np.int64) * increment
    # floating point cannot say which way a price this near to the middle rounds
    close_call = np.abs(guess - np.floor(guess) - 0.5) < 1e-9 + guess * 1e-13
    for row, i in np.argwhere(close_call & (step < 1.0)).tolist():
        bounds = int(lower[row]), int(upper[row])
        prices[row, i] = _geometric_price(*bounds, int(levels[row]), i, increment)
    prices[:, 0] = lower
    return np.where(step >= 1.0, upper[:, None], prices)


def arithmetic_prices(lower: Ints, upper: Ints, levels: Ints, increment: int) -> Ints:
    """Return the prices of many arithmetic grids; arguments and shape as `geometric_prices`."""
    step = np.arange(int(levels.max(initial=1)) + 1)[None, :]
    cells = levels[:, None]
    twice = 2 * (lower[:, None] * (cells - step) + upper[:, None] * step)
    prices = (twice + cells * increment) // (2 * cells * increment) * increment
    prices[:, 0] = lower
    return np.where(step >= cells, upper[:, None], prices)


@lru_cache(maxsize=256)  # a plan asks its geometry again and again
def _prices(lower: int, upper: int, levels: int, spacing: Spacing, increment: int) -> tuple[int, ...]:
    price_of = _geometric_price if spacing is Spacing.GEOMETRIC else _arithmetic_price
    between = (price_of(lower, upper, levels, i, increment) for i in range(1, levels))
    return (lower, *between, upper)


def _arithmetic_price(lower: int, upper: int, levels: int, i: int, increment: int) -> int:
    twice = 2 * (lower * (levels - i) + upper * i)
    return (twice + levels * increment) // (2 * levels * increment) * increment


def _geometric_price(lower: int, upper: int, levels: int, i: int, increment: int) -> int:
    """Round lower^((n-i)/n) upper^(i/n) half up in integers: 2m - 1 increments lie at or below twice it."""
    target = lower ** (levels - i) * upper**i << levels
    m = round(float(lower * (upper / lower) ** (i / levels) / increment))
    while ((2 * m + 1) * increment) ** levels <= target:
        m += 1
    while ((2 * m - 1) * increment) ** levels > target:
        m -= 1
    return m * increment
