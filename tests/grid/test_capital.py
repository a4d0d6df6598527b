"""The reserve stays, and a second grid is refused where there may be only one."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from grid.capital import CapitalConfig, CapitalMode, Funds, allocation, deployable
from tests.sections import takes

SINGLE = CapitalConfig()
MULTI = CapitalConfig(mode=CapitalMode.MULTI_GRID)
AMOUNTS = st.integers(0, 10**9).map(lambda cents: Decimal(cents) / 100)


def test_capital_by_hand():
    """Of 1,000 with 300 in orders: 700 unlocked, 200 reserve, 500 deployable."""
    told = deployable(SINGLE, Decimal(300))
    assert (told.total, told.in_orders, told.unlocked, told.reserve, told.deployable) == (
        1000,
        300,
        700,
        200,
        500,
    )


@pytest.mark.parametrize(
    ("bound", "freed", "funds", "total", "free", "limits"),
    [
        (0, 0, None, 1000, 800, False),
        (0, 0, (50_000, 0), 1000, 800, False),
        (0, 0, (1000, 0), 1000, 800, False),
        (0, 0, (999, 0), 999, Decimal("799.2"), True),
        (0, 0, (500, 100), 400, 320, True),
        (300, 0, (700, 0), 1000, 500, False),  # in a bot of the exchange: the account does not tell of it
        (300, 0, (850, 150), 1000, 500, False),  # half in orders, half in coin
        (300, 0, (100, 50), 350, 0, True),
        (0, 300, (100, 50), 350, 280, True),  # the grid itself is to be moved
        (0, 0, (100, 200), 0, 0, True),
    ],
)
def test_no_more_is_deployed_than_is_there(bound, freed, funds, total, free, limits):
    """The configured total is the most; what grids bind is not free, wherever the exchange keeps it."""
    told = deployable(
        SINGLE, Decimal(bound), None if funds is None else Funds(*map(Decimal, funds)), Decimal(freed)
    )
    assert (told.total, told.deployable, told.by_exchange) == (total, free, limits)
    assert (told.in_orders, told.unlocked) == (bound, total - bound)


@pytest.mark.parametrize(("floor", "reserve"), [(199.99, 200), (200, 200), (200.01, Decimal("200.01"))])
def test_the_reserve_has_a_floor(floor, reserve):
    """The larger of both."""
    assert deployable(CapitalConfig(reserve_floor_quote=floor), Decimal(0)).reserve == reserve


@given(AMOUNTS, AMOUNTS, st.floats(0, 1), st.floats(0, 1e6))
def test_property_44_the_reserve_is_never_touched(total, bound, share, floor):
    """Whatever is deployable leaves the reserve in what is unlocked."""
    config = CapitalConfig(reserve_share=share, reserve_floor_quote=floor)
    told = deployable(config, bound, Funds(total, Decimal(0)))
    assert told.deployable >= 0
    assert told.total <= min(total + bound, Decimal(1000))
    assert told.reserve >= Decimal(repr(floor)) and told.reserve >= Decimal(repr(share)) * told.total
    if told.deployable > 0:
        assert told.unlocked - told.deployable == told.reserve
    else:
        assert told.unlocked <= told.reserve


def test_single_grid_refuses_a_second_one():
    """By the name of the first, however much is left."""
    told = allocation(SINGLE, {"eth-1": Decimal(10)})
    assert (told.amount, told.refused) == (0, "eth-1 already run, at most 1 may")
    assert told.running == ("eth-1",)
    free = allocation(SINGLE, {})
    assert (free.amount, free.refused, free.capital.deployable) == (800, None, 800)


def test_multi_grid_shares_equally_under_the_same_reserve():
    """A third of 800 each, what is left for the last, none for a fourth."""
    third = allocation(MULTI, {})
    assert third.amount == Decimal("266.66")
    two = {"b": Decimal("266.66"), "a": Decimal(500)}
    last = allocation(MULTI, two)
    assert (last.amount, last.running) == (Decimal("33.34"), ("a", "b"))
    little = allocation(MULTI.model_copy(update={"total_quote": 0.63}), {})
    assert little.amount == Decimal("0.16")  # a third of .50, also where all of it is less than one
    full = allocation(MULTI, {**two, "c": Decimal("33.34")})
    assert full.refused == "a, b, c already run, at most 3 may"


@pytest.mark.parametrize(("total", "amount"), [(0.01, 0), (0.02, 0.01)])
def test_nothing_left_is_a_refusal(total, amount):
    """Amounts are rounded down; less than a cent is nothing."""
    told = allocation(CapitalConfig(total_quote=total), {})
    assert told.amount == Decimal(str(amount))
    assert told.refused == (None if amount else "the reserve leaves nothing to deploy")


def test_amounts_are_rounded_down_to_the_quote_coins_places():
    """Eight for a market against bitcoin."""
    config = CapitalConfig(total_quote=0.123456789, quote_places=8)
    assert allocation(config, {}).amount == Decimal("0.09876542")
    assert config.quote_step == Decimal("0.00000001")


@given(
    st.sampled_from(list(CapitalMode)),
    st.dictionaries(st.sampled_from("abcdef"), AMOUNTS),
    AMOUNTS,
    st.integers(1, 6),
)
def test_property_44_an_allocation_is_deployable_and_the_modes_limit_holds(mode, bound, total, most):
    """However many run and whatever they bind."""
    told = allocation(CapitalConfig(mode=mode, most_grids=most), bound, Funds(total, Decimal(0)))
    assert 0 <= told.amount <= told.capital.deployable
    assert (told.amount == 0) == (told.refused is not None)
    limit = 1 if mode is CapitalMode.SINGLE_GRID else most
    if len(bound) >= limit:
        assert told.refused
    assert told.amount <= max(told.capital.total - told.capital.reserve, 0) / limit


@pytest.mark.parametrize(
    "values",
    [
        {"total_quote": 1.1e12},
        {"reserve_floor_quote": -1},
        {"quote_places": 9},
        {"reserve_share": 1.1},
        {"total_quote": -1},
        {"most_grids": 0},
        {"mode": "many"},
        {"x": 1},
    ],
)
def test_a_configuration_out_of_range_is_refused(values):
    """At load."""
    with pytest.raises(ValidationError):
        CapitalConfig(**values)


@pytest.mark.parametrize(
    ("field", "taken", "refused"),
    [
        ("total_quote", (0, 1e12), (-0.5, 1e12 + 0.5)),
        ("reserve_share", (0, 1), (-0.5, 1.5)),
        ("reserve_floor_quote", (0, 1e12), (-0.5, 1e12 + 0.5)),
        ("most_grids", (1, 100), (0, 101)),
        ("quote_places", (0, 8), (-1, 9)),
    ],
)
def test_each_number_may_reach_its_limits_and_no_further(field, taken, refused):
    """On both ends."""
    assert [takes(CapitalConfig, field, value) for value in (*taken, *refused)] == [True, True, False, False]
