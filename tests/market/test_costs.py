"""Costs: exact in ppm, rounded against us, and never falling with size."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.costs import (
    LIQUIDITY_BY_TIER,
    MAX_IMPACT_BPS,
    PPM,
    Fees,
    OrderCosts,
    affordable,
    fee_on,
    ppm,
    round_trip_bps,
)

AMOUNTS = st.integers(0, 10**18)
RATES = st.integers(-500, 20_000)
NOTIONALS = st.floats(0, 1e9)


@pytest.mark.parametrize(("bps", "expected"), [(10.0, 1_000), (0.07, 7), (0.071, 8), (-1.0, -100), (0, 0)])
def test_basis_points_become_whole_ppm_rounded_up(bps, expected):
    """0.07 x 100 is 7, whatever floating point says."""
    assert ppm(bps) == expected


@given(AMOUNTS, RATES)
def test_a_fee_is_the_exact_share_rounded_against_us(notional, rate):
    """Never less than the exact fee, and less than one unit more: a rebate is rounded down alike."""
    exact = Fraction(notional * rate, PPM)
    assert 0 <= fee_on(notional, rate) - exact < 1


@given(AMOUNTS, st.integers(1, 10**9), RATES)
def test_affordable_spends_what_there_is_and_not_a_unit_more(budget, price, rate):
    """One base unit more would not be covered."""

    def cost(size: int) -> int:
        return size * price + fee_on(size * price, rate)

    size = affordable(budget, price, rate)
    assert cost(size) <= budget < cost(size + 1)


@given(st.integers(1, 10**12), st.integers(0, 100_000))
def test_a_market_order_never_gets_the_price_seen_or_better(price, slippage):
    """Buys pay more, sales bring less, by at least the slippage."""
    costs = OrderCosts(slippage_ppm=slippage)
    assert costs.buy_price(price) * PPM >= price * (PPM + slippage)
    assert costs.sell_price(price) * PPM <= price * (PPM - slippage)


@pytest.mark.parametrize("tier", LIQUIDITY_BY_TIER)
@given(small=NOTIONALS, more=NOTIONALS, turnover=st.floats(0, 1e9), extra=st.floats(0, 1e9))
def test_a_market_order_costs_more_the_larger_it_is_and_less_the_more_is_traded(
    tier, small, more, turnover, extra
):
    """Monotone in notional and in turnover, never below half-spread and slippage, and bounded."""
    liquidity = LIQUIDITY_BY_TIER[tier]
    cost = liquidity.market_order_bps(small, turnover)
    floor = liquidity.half_spread_bps + liquidity.slippage_bps
    assert floor <= cost <= liquidity.market_order_bps(small + more, turnover)
    assert liquidity.market_order_bps(small, turnover + extra) <= cost <= floor + MAX_IMPACT_BPS


def test_impact_grows_with_the_square_root_of_the_share_of_the_minute():
    """Four times the order, twice the impact; the whole minute's turnover costs the tier's figure."""
    liquid = LIQUIDITY_BY_TIER["liquid"]
    floor = liquid.half_spread_bps + liquid.slippage_bps
    assert liquid.market_order_bps(100.0, 100.0) == floor + liquid.impact_bps
    assert liquid.market_order_bps(400.0, 100.0) == floor + 2 * liquid.impact_bps


def test_a_thinner_tier_costs_more():
    """Major, liquid, thin: rising in every part."""
    major, liquid, thin = (
        LIQUIDITY_BY_TIER[tier].market_order_bps(50, 100) for tier in ("major", "liquid", "thin")
    )
    assert major < liquid < thin


def test_the_fees_of_an_account_become_order_costs():
    """10 and 20 bps and a market order 3.5 bps off the mid."""
    costs = OrderCosts.of(Fees(maker_bps=10, taker_bps=20), market_order_bps=3.5)
    assert costs == OrderCosts(1_000, 2_000, 350)
    assert round_trip_bps(Fees(), half_spread_bps=0.5, slippage_bps=1) == 22


def test_costs_that_eat_the_whole_notional_are_refused():
    """A fee of 100 % is a mistake in units."""
    with pytest.raises(ValueError, match="below 1000000 ppm"):
        OrderCosts(taker_ppm=PPM)
