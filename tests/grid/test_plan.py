"""What a grid starts with: every unit of the capital has its place, and bad grids are refused by name."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grid.geometry import GridGeometry, Spacing
from grid.plan import GridPlan, equal_amounts, half_and_half
from market.costs import OrderCosts
from market.errors import DataInvalid
from tests.grid.series import plans

LADDER = GridGeometry(100, 140, 4, Spacing.ARITHMETIC)
FREE = OrderCosts(0, 0, 0)


def test_half_and_half_by_hand():
    """24,000 at 120 without costs: 100 coins for two sales, 12,000 for buys at 100 and 110."""
    plan = half_and_half(LADDER, 120, 24_000, FREE)
    assert plan.sizes == (60, 54, 50, 50)
    assert (plan.quote, plan.base, plan.idle_base, plan.start_value) == (12_000, 100, 0, 24_000)
    assert (plan.first_level, plan.through) == (2, 1)


def test_buying_the_coin_pays_slippage_and_taker_fee_out_of_its_half():
    """At 120 with 5 % slippage a unit costs 126, with 10 % fee 138.6: 12,000 buys 86 of them."""
    plan = half_and_half(LADDER, 120, 24_000, OrderCosts(0, 100_000, 50_000))
    assert (plan.base, plan.entry_price, plan.entry_fee) == (86, 126, 1_084)
    assert plan.quote == 24_000 - 86 * 126 - 1_084
    there = half_and_half(LADDER, 120, 24_000, OrderCosts(0, 100_000, 50_000), buys_base=False)
    assert (there.base, there.entry_price, there.entry_fee) == (100, 120, 0)


@pytest.mark.parametrize(("start", "coin_cells", "idle"), [(90, 4, 1), (150, 0, 80)])
def test_a_start_outside_the_bounds_leaves_one_half_idle(start, coin_cells, idle):
    """Below the ladder no buy can rest, above it no sale: that half waits in its own form."""
    plan = half_and_half(LADDER, start, 24_000, FREE)
    assert plan.geometry.levels - plan.first_level == coin_cells
    assert plan.idle_base == idle
    assert plan.base == 12_000 // start


def test_equal_amounts_spend_the_same_on_every_buy():
    """1,000 a buy with 1 % fee: 9 coins at 100 and 110 and so on; the capital is what that takes."""
    plan = equal_amounts(LADDER, 120, 1_000, OrderCosts(10_000, 10_000, 0))
    assert plan.sizes == (9, 9, 8, 7)
    assert plan.quote == (900 + 9) + (990 + 10)
    assert plan.start_value == plan.quote + 15 * 120 + 18


@given(plans())
def test_the_capital_is_accounted_for_and_every_resting_buy_is_covered(plan):
    """What went in is cash, coin and the entry fee; the cash pays for all buys below the start."""
    prices = plan.geometry.prices()
    assert plan.start_value == plan.quote + plan.base * plan.entry_price + plan.entry_fee
    assert sum(plan.cost_of(prices, cell) for cell in range(plan.first_level)) <= plan.quote


@given(st.integers(10**7, 10**15), st.integers(0, 5_000), st.integers(0, 5_000), st.integers(90, 150))
def test_half_and_half_never_spends_more_than_half_on_coin_and_puts_in_the_value_exactly(
    value, taker, slippage, start
):
    """Not a unit is lost in the rounding, and one coin more would not have been covered."""
    plan = half_and_half(LADDER, start, value, OrderCosts(0, taker, slippage))
    assert plan.start_value == value
    spent = plan.base * plan.entry_price + plan.entry_fee
    assert spent <= value // 2 < spent + 2 * plan.entry_price


GOOD = GridPlan(LADDER, 120, (50, 50, 50, 50), 12_000, 120, OrderCosts(1_000, 1_000, 0), 1)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"sizes": (50, 50, 50)}, "sizes"),
        ({"sizes": (50, 0, 50, 50)}, "sizes"),
        ({"quote": 10_000}, "quote"),
        ({"quote": -1}, "quote"),
        ({"idle_base": -1}, "quote"),
        ({"entry_fee": -1}, "quote"),
        ({"through": -1}, "quote"),
        ({"start_price": 0}, "start_price"),
        ({"entry_price": 0}, "start_price"),
        ({"costs": OrderCosts(60_000, 0, 0), "quote": 20_000}, "levels"),
        ({"stop_loss": 100}, "stop_loss"),
        ({"stop_loss": 98, "through": 3}, "stop_loss"),
        ({"stop_loss": 0}, "stop_loss"),
        ({"take_profit": 140}, "take_profit"),
    ],
)
def test_properties_42_and_43_a_plan_that_cannot_work_is_refused_by_name(change, field):
    """Among them: a cycle that loses to two fees, buys without cash, an exit inside the ladder."""
    with pytest.raises(DataInvalid) as refused:
        replace(GOOD, **change)
    assert refused.value.field == field


def test_too_little_capital_for_its_cells_is_refused():
    """A cell of no coin is not a cell."""
    with pytest.raises(DataInvalid, match="too little capital"):
        half_and_half(LADDER, 120, 300, FREE)
    with pytest.raises(DataInvalid, match="above 0"):
        half_and_half(LADDER, 0, 300, FREE)
