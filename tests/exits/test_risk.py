"""What a grid stands to lose, by hand, and the chance of its stop against walks."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exits.readings import Profit
from exits.risk import Holding, PositionRisk, capital_at_risk, position_risk, stop_probability

HELD = Holding(base=2.0, resting_buys=((105.0, 1.0), (100.0, 1.0)))
PROFIT = Profit(allocation=500.0, peak=8.0, current=5.0, realised=7.0)


def test_position_risk_by_hand():
    """Coin falls to the stop, buys fill on the way and fall too, the sale is paid for."""
    found = position_risk(110.0, 4.0, 0.01, 95.0, HELD, PROFIT, exit_cost_bps=20.0)
    lost = 2 * (110 - 95) + (105 - 95) + (100 - 95) + 4 * 95 * 0.002
    assert found == PositionRisk(
        capital_at_risk=pytest.approx(lost),
        capital_at_risk_pct=pytest.approx(100 * lost / 500),
        stop_distance_pct=pytest.approx(100 * 15 / 110),
        stop_distance_atr=3.75,
        unrealised_pnl=-2.0,
        given_back=3.0,
        given_back_share=0.375,
        stop_probability=stop_probability(110.0, 95.0, 0.01, 24),
    )
    later = position_risk(110.0, 4.0, 0.01, 95.0, HELD, PROFIT, exit_cost_bps=20.0, horizon_hours=72)
    assert later.stop_probability == stop_probability(110.0, 95.0, 0.01, 72)


def test_what_is_unknown_stays_unknown():
    """No ATR, no sigma, no profit, no peak."""
    found = position_risk(110.0, None, None, 95.0, HELD, None, exit_cost_bps=0.0)
    assert found == PositionRisk(45.0, None, pytest.approx(13.6363636), None, None, None, None, None)
    flat = Profit(500.0, 0.0, -5.0, 0.0)
    found = position_risk(110.0, 4.0, 0.01, 95.0, HELD, flat, exit_cost_bps=0.0)
    assert (found.given_back, found.given_back_share, found.unrealised_pnl) == (5.0, None, -5.0)
    tiny = Profit(500.0, 1e-6, 1e-6, 0.0)
    assert position_risk(110.0, 4.0, 0.01, 95.0, HELD, tiny, exit_cost_bps=0.0).given_back_share == 0.0


def test_without_a_stop_loss_everything_is_at_risk():
    """There is no distance to it and no chance of reaching it."""
    found = position_risk(110.0, 4.0, 0.01, None, HELD, PROFIT, exit_cost_bps=20.0)
    assert found.capital_at_risk == 2 * 110 + 105 + 100
    assert (found.stop_distance_pct, found.stop_distance_atr, found.stop_probability) == (None, None, 0.0)


def test_at_or_below_the_stop_the_sale_is_all_that_is_left_to_lose():
    """The price is taken for the stop; buys above it would have filled."""
    assert capital_at_risk(95.0, 95.0, Holding(2.0), 100.0) == pytest.approx(2 * 95 * 0.01)
    assert capital_at_risk(90.0, 95.0, Holding(2.0), 100.0) == pytest.approx(2 * 90 * 0.01)
    found = position_risk(90.0, 4.0, 0.01, 95.0, Holding(2.0), None, exit_cost_bps=0.0)
    assert (found.stop_distance_atr, found.stop_probability) == (-1.25, 1.0)


def test_buys_at_or_below_the_stop_never_fill():
    """They add nothing, not even a fee."""
    resting = Holding(0.0, ((95.0, 3.0), (94.0, 3.0), (96.0, 1.0)))
    assert capital_at_risk(110.0, 95.0, resting, 100.0) == pytest.approx(1.0 + 95 * 0.01)


@pytest.mark.parametrize(
    ("close", "stop", "sigma", "hours", "expected"),
    [
        (95.0, 95.0, 0.01, 24, 1.0),
        (95.0, 95.0, None, 24, 1.0),
        (94.0, 95.0, None, 24, 1.0),
        (110.0, None, None, 24, 0.0),
        (110.0, 95.0, None, 24, None),
        (110.0, 95.0, 0.0, 24, 0.0),
        (95 * math.exp(0.02 * math.sqrt(24)), 95.0, 0.02, 24, 0.317311),  # one deviation of a day above it
        (95 * math.exp(0.04 * math.sqrt(24)), 95.0, 0.02, 24, 0.045500),  # two
        (95 * math.exp(0.02 * math.sqrt(24)), 95.0, 0.02, 96, 0.617075),  # half of one of four days
    ],
)
def test_the_chance_of_the_stop(
    close: float, stop: float | None, sigma: float | None, hours: int, expected: float | None
):
    """Twice the chance to end below it: 2 Phi(-d)."""
    assert stop_probability(close, stop, sigma, hours) == expected


def test_the_chance_of_the_stop_against_walks():
    """20,000 fine walks that touch it at any time."""
    steps = np.random.default_rng(6).normal(0, 0.01 / math.sqrt(20), (20_000, 480))
    touched = (100.0 * np.exp(np.cumsum(steps, axis=1).min(axis=1)) <= 96.0).mean()
    assert stop_probability(100.0, 96.0, 0.01, 24) == pytest.approx(touched, abs=0.02)


@given(
    st.floats(1, 1000),
    st.floats(1, 1000),
    st.floats(0, 100),
    st.lists(st.tuples(st.floats(1, 1000), st.floats(0, 10)), max_size=6),
    st.floats(0, 500),
)
def test_capital_at_risk_is_never_negative_and_never_more_than_all(
    close: float, stop: float, base: float, resting: list[tuple[float, float]], cost_bps: float
):
    """Whatever is held and wherever the stop stands; the sale may cost on top."""
    holding = Holding(base, tuple((min(price, close), amount) for price, amount in resting))
    lost = capital_at_risk(close, stop, holding, cost_bps)
    everything = base * close + sum(price * amount for price, amount in holding.resting_buys)
    assert -1e-9 <= lost <= everything * (1 + cost_bps / 10_000) + 1e-6
