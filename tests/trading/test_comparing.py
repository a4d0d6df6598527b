"""Traded beside expected: how far it may be off, exactly at each tolerance of chapter 7."""

from __future__ import annotations

from dataclasses import replace

import pytest

from trading.comparing import Tolerance

PLAIN = Tolerance(100.0, 100.0, 0.0, None, None, 0)


@pytest.mark.parametrize(
    ("daily_net", "holds"),
    [(75.0, True), (74.99, False), (100.0, True), (125.0, True), (1e6, False), (-100.0, False)],
)
def test_a_quarter_of_what_was_expected_may_be_missing(daily_net, holds):
    """At 25 % it still holds, either way: what is far better than expected is not understood either."""
    assert replace(PLAIN, daily_net=daily_net).net_holds is holds


def test_two_standard_errors_may_be_missing_where_they_are_more():
    """The larger of the two counts, whichever it is."""
    wide = replace(PLAIN, standard_error=20.0)
    assert wide.allowed == 40.0
    assert replace(wide, daily_net=60.0).net_holds and not replace(wide, daily_net=59.99).net_holds
    assert replace(PLAIN, standard_error=12.4).allowed == 25.0
    assert replace(PLAIN, standard_error=12.5).allowed == 25.0


def test_an_expected_loss_has_a_tolerance_too():
    """A quarter of its amount: a loss of 125 where 100 were expected still holds."""
    losing = replace(PLAIN, expected_daily_net=-100.0)
    assert replace(losing, daily_net=-125.0).net_holds
    assert not replace(losing, daily_net=-125.01).net_holds


def test_nothing_expected_leaves_only_the_standard_error():
    """A quarter of nothing is nothing."""
    idle = Tolerance(-1.0, 0.0, 0.5, None, None, 0)
    assert idle.net_holds and not replace(idle, standard_error=0.49).net_holds


@pytest.mark.parametrize(
    ("win_rate", "trades", "holds"),
    [
        (0.55, 30, True),  # 10 points below still holds, whatever binary fractions make of it
        (0.5499, 30, False),
        (0.40, 29, True),  # too few to tell
        (0.40, 30, False),
        (0.90, 30, True),  # better is no trouble
    ],
)
def test_a_win_rate_more_than_ten_points_lower_is_off_once_there_are_trades_to_tell(win_rate, trades, holds):
    """More than ten points over thirty trades or more; below thirty nothing is said."""
    found = replace(PLAIN, win_rate=win_rate, expected_win_rate=0.65, trades=trades)
    assert found.win_rate_holds is holds


@pytest.mark.parametrize("place", range(1, 11))
def test_ten_points_are_ten_points_at_any_level(place):
    """No rate is judged by the last digit of a binary fraction."""
    rates = {"win_rate": place / 10 - 0.1, "expected_win_rate": place / 10, "trades": 30}
    assert replace(PLAIN, **rates).win_rate_holds


@pytest.mark.parametrize(("rate", "expected"), [(None, 0.6), (0.1, None), (None, None)])
def test_without_a_win_rate_there_is_none_to_compare(rate, expected):
    """Where one of the two sides has no trades the net alone decides."""
    assert replace(PLAIN, win_rate=rate, expected_win_rate=expected, trades=100).win_rate_holds


def test_both_have_to_hold():
    """A good net does not excuse the win rate, nor the other way round."""
    rates = {"win_rate": 0.3, "expected_win_rate": 0.6, "trades": 50}
    assert PLAIN.holds
    assert not replace(PLAIN, daily_net=0.0).holds
    assert not replace(PLAIN, **rates).holds


def test_it_says_what_was_found_and_how_far_off_it_may_be():
    """The words that the gate quotes; win rates only where both are known."""
    assert str(replace(PLAIN, daily_net=7.4, expected_daily_net=10.0)) == (
        "7.40 a day, 10.00 expected (may be off by 2.50)"
    )
    told = replace(PLAIN, win_rate=0.3, expected_win_rate=0.6, trades=50)
    assert str(told).endswith("(may be off by 25.00); 30% won, 60% expected, 50 trades")
    assert "won" not in str(replace(told, expected_win_rate=None))
    assert "won" not in str(replace(told, win_rate=None))
