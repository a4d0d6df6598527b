"""The ladder's prices: exact, distinct, and as many as pay for their cycles."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from grid.geometry import GridGeometry, Spacing, cells_of_width, geometric_prices, nearest_level
from market.errors import DataInvalid


def test_arithmetic_prices_by_hand():
    """100 to 200 in four: equal steps."""
    assert GridGeometry(100, 200, 4, Spacing.ARITHMETIC).prices() == (100, 125, 150, 175, 200)


def test_geometric_prices_by_hand():
    """1000 to 16000 in four: each twice the one before."""
    assert GridGeometry(1_000, 16_000, 4).prices() == (1_000, 2_000, 4_000, 8_000, 16_000)


def test_prices_lie_on_the_increment_rounded_half_up():
    """100 to 130 by two in steps of 10: the middle, 115, goes up to 120."""
    assert GridGeometry(100, 130, 2, Spacing.ARITHMETIC, increment=10).prices() == (100, 120, 130)


@example(10**15 + 7, 10**15, 60, 1)
@example(3, 10**16, 60, 1)
@given(st.integers(1, 10**15), st.integers(1, 10**15), st.integers(2, 60), st.integers(1, 1_000))
def test_geometric_prices_are_the_nearest_increments_to_the_exact_roots(low, width, levels, increment):
    """Checked in whole numbers: (p - half)^n <= exact^n < (p + half)^n, and the vectorised route agrees."""
    lower, upper = low * increment, (low + width) * increment
    try:
        prices = GridGeometry(lower, upper, levels, increment=increment).prices()
    except DataInvalid:
        assume(False)
    half = Fraction(increment, 2)
    for i, price in enumerate(prices):
        exact = lower ** (levels - i) * upper**i
        assert (price - half) ** levels <= exact < (price + half) ** levels
    made = geometric_prices(np.array([lower]), np.array([upper]), np.array([levels]), increment)
    assert tuple(made[0]) == prices


def test_many_ladders_of_different_lengths_share_one_table():
    """A shorter ladder repeats its upper bound."""
    made = geometric_prices(np.array([100, 100]), np.array([400, 1_600]), np.array([2, 4]), 1)
    assert made.tolist() == [[100, 200, 400, 400, 400], [100, 200, 400, 800, 1_600]]


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ((200, 100, 4), "upper"),
        ((100, 100, 4), "upper"),
        ((0, 100, 4), "lower"),
        ((100, 200, 1), "levels"),
        ((100, 200, 201), "levels"),
        ((100, 110, 20), "levels"),
        ((105, 200, 4, Spacing.GEOMETRIC, 10), "lower"),
        ((100, 200, 4, Spacing.GEOMETRIC, 0), "increment"),
    ],
)
def test_property_42_bounds_and_levels_that_make_no_ladder_are_refused_by_name(arguments, field):
    """Not rising, off the increment, too few, too many, or two prices the same."""
    with pytest.raises(DataInvalid) as refused:
        GridGeometry(*arguments)
    assert refused.value.field == field


def test_the_level_nearest_to_the_start_carries_no_order():
    """Of two equally near the lower one; beyond the ladder its end."""
    geometry = GridGeometry(100, 200, 4, Spacing.ARITHMETIC)
    assert [geometry.nearest(price) for price in (10, 112, 113, 150, 900)] == [0, 0, 1, 2, 4]


@given(st.floats(0.0001, 1e6), st.floats(1.02, 3), st.floats(5, 60))
def test_cells_are_as_many_as_are_wide_enough(lower, ratio, cost):
    """One more would be too narrow, unless 4 or 20 decide."""
    levels = int(cells_of_width(lower, lower * ratio, 7.5 * cost, 4, 20))
    wide = 1 + 7.5 * cost / 1e4
    assert 4 <= levels <= 20
    assert levels == 4 or wide**levels <= ratio * (1 + 1e-9)
    assert levels == 20 or wide ** (levels + 1) > ratio * (1 - 1e-9)


def test_150_bps_at_10_bps_maker():
    """A 12 % range holds seven cells of 150 bps: 7.5 round trips of 20 bps."""
    assert cells_of_width([100.0, 100.0], [112.0, 100.5], 150, 2, 20).tolist() == [7, 2]


@given(st.integers(2, 50))
def test_prices_rise_without_exception(levels):
    """Even where they are a few increments apart."""
    prices = GridGeometry(1_000, 1_000 + 3 * levels, levels).prices()
    assert all(low < high for low, high in pairwise(prices))


@given(st.lists(st.integers(1, 60), min_size=2, max_size=12, unique=True), st.integers(-5, 70))
def test_the_nearest_level_is_the_one_with_the_least_distance(prices, price):
    """At both ends, on a level and between two: the lower one where both are as near."""
    rising = sorted(prices)
    expected = min(range(len(rising)), key=lambda level: (abs(rising[level] - price), level))
    assert nearest_level(rising, price) == expected
