"""What is recorded: 9 significant digits, millionths, steps of a price scale; no negative zero, no NaN."""

from __future__ import annotations

import math

import numpy as np
import pytest

from regime.precision import POWERS_OF_TEN, known, price, score, significant, significant_column


def test_numbers_are_recorded_without_a_negative_zero():
    """It would print differently on a route that adds in another order."""
    assert [math.copysign(1, rounded(-0.0)) for rounded in (significant, score)] == [1, 1]
    assert math.copysign(1, score(-1e-9)) == 1


def test_a_number_keeps_nine_digits_and_a_score_six_places():
    """Half to even of the exact binary value."""
    assert significant(1.2345678949) == 1.23456789
    assert significant(-98765432149.0) == -98765432100.0
    assert (score(0.1234564), score(0.1234566)) == (0.123456, 0.123457)
    assert significant(math.inf) == math.inf
    assert math.isnan(significant(math.nan))


@pytest.mark.parametrize(
    ("value", "price_scale", "expected"),
    [(1.239, 100, 1.24), (0.4, 1, 1.0), (2.4, 1, 2.0), (0.0, 1000, 0.001)],
)
def test_a_price_is_whole_steps_and_at_least_one(value: float, price_scale: int, expected: float):
    """A price of nothing cannot be traded."""
    assert price(value, price_scale) == expected


def test_absence_is_recorded_as_null():
    """Columns mark it by NaN and infinities, JSON knows neither."""
    assert [known(value) for value in (1.5, 0.0, math.nan, math.inf, -math.inf)] == [
        1.5,
        0.0,
        None,
        None,
        None,
    ]


def test_powers_of_ten_are_exact():
    """Up to the last that a float holds; scaling by them loses nothing but the rounding of one product."""
    assert [int(power) for power in POWERS_OF_TEN.tolist()] == [
        10**power for power in range(len(POWERS_OF_TEN))
    ]


@pytest.mark.parametrize("rows", [30, None], ids=["few rows", "a pass"])
def test_a_column_is_rounded_as_its_numbers_are(rows: int | None):
    """Next to powers of ten, on ties, at both ends of what a pass may scale, and beyond them."""
    ties = np.random.default_rng(3).integers(10**8, 10**9, 200) + 0.5
    powers = np.array([10.0**power for power in range(-25, 25)])
    edges = [1.000000004, 1.004999999_4, 9.999999994, 1_000_000_000.5, 1_005_000_004.0, 999_999_999.5]
    beyond = [1.23456789123e-20, 0.0, -0.0, math.nan, math.inf, -math.inf, 1.23456789123e15]
    near = [powers, np.nextafter(powers, 0), np.nextafter(powers, np.inf)]
    column = np.concatenate((*near, ties, ties / 1e5, ties / 1e21, edges, beyond))
    column = np.concatenate((column, -column))[:rows]
    expected = np.array([significant(value) for value in column.tolist()])
    found = significant_column(column)
    np.testing.assert_array_equal(found, expected)
    assert not np.signbit(found[found == 0]).any()
