"""Risk: what a trade may be, reckoned by hand, and every reason for which it may not."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from decisions.inputs import MarketCosts
from market.costs import Fees, Liquidity, fee_on
from market.errors import DataInvalid
from tests.trading.accounts import (
    FREE,
    KEY,
    LADDER,
    OTHER,
    TERMS,
    USUAL,
    account,
    grid,
    swing,
    usdt,
    view,
)
from trading.reasons import Reason
from trading.risk import RiskConfig, RiskState, loss_at_stop, size
from trading.values import AccountView, MarketView, Proposal, Refusal, Sized

CALM = RiskState.none()
WIDE = RiskConfig(symbol_cap_pct=100, total_exposure_cap_pct=100)


def sized(
    proposal: Proposal | None = None,
    market: MarketView | None = None,
    holder: AccountView | None = None,
    config: RiskConfig = WIDE,
) -> Sized:
    found = asked(proposal, market, holder, config)
    assert isinstance(found, Sized), found
    return found


def asked(
    proposal: Proposal | None = None,
    market: MarketView | None = None,
    holder: AccountView | None = None,
    config: RiskConfig = WIDE,
    state: RiskState = CALM,
    in_position: bool = False,
) -> Sized | Refusal:
    return size(
        proposal or swing(),
        market or view(),
        holder or account(),
        state,
        config,
        in_position=in_position,
    )


def refused(*args: object, **others: object) -> Refusal:
    found = asked(*args, **others)  # type: ignore[arg-type]
    assert isinstance(found, Refusal), found
    return found


def test_a_swing_loses_its_share_of_the_account_at_its_stop():
    """1 % of 10,000 is 100; 100 a coin from 2,000 to 1,900 make one coin (less what roundings may take)."""
    found = sized()
    assert found.size == 9_999
    assert found.budget == usdt("1999.8")
    assert found.why_this_size == (
        "100.00 USDT at risk at the stop (1 % of NAV x conviction 1 x 1 for RANGE)"
    )


def test_conviction_and_multiplier_scale_the_size():
    """Half the strength, half the confidence, twice by the policy: half the size."""
    found = sized(swing(strength=0.5, confidence=0.5, multiplier=1.5, rule="TREND_UP"))
    assert found.size == 3_749
    assert (
        "37.50 USDT at risk at the stop (1 % of NAV x conviction 0.25 x 1.5 for TREND_UP)"
        in found.why_this_size
    )


def test_the_costs_of_both_ways_are_part_of_the_risk():
    """The same stop with fees and slippage allows less coin, and the loss stays within the share."""
    found = sized(market=view(costs=USUAL))
    assert found.size < 9_999
    at_stop = loss_at_stop(TERMS, USUAL, found.proposal.trigger, found.size)
    assert at_stop <= usdt(100)
    assert loss_at_stop(TERMS, USUAL, found.proposal.trigger, found.size + 2) > usdt(100)


@pytest.mark.parametrize(
    ("config", "holder", "room", "words"),
    [
        (RiskConfig(symbol_cap_pct=10), account(exposure={KEY: 400}), 600, "the market's cap of 10 % of NAV"),
        (
            RiskConfig(symbol_cap_pct=100, total_exposure_cap_pct=50),
            account(exposure={KEY: 400, OTHER: 4000}),
            600,
            "the cap on all of 50 % of NAV",
        ),
        (WIDE, account(available=600), 600, "the free cash"),
    ],
)
def test_caps_and_cash_cut_a_size_and_say_so(config, holder, room, words):
    """What is bound, fees included, stays within the room that is left."""
    for costs in (FREE, USUAL):
        found = sized(market=view(costs=costs), holder=holder, config=config)
        assert usdt(room) - usdt("0.3") < found.budget <= usdt(room)
        assert found.why_this_size.startswith(f"600.00 USDT by {words}, below 100.00 USDT at risk")
    ladder = sized(grid(), holder=holder, config=config)
    assert (ladder.budget, ladder.size) == (usdt(room), 0)
    assert ladder.why_this_size.startswith(f"600.00 USDT by {words}, below 3000.00 USDT (30 % of NAV")


def test_a_grids_budget_is_its_share_of_the_account():
    """30 % of NAV times conviction and multiplier; the ladder is cut from it later."""
    found = sized(grid(strength=0.8, confidence=0.5, multiplier=0.5, rule="NEUTRAL"))
    assert found.budget == usdt(600)
    assert found.size == 0
    assert found.why_this_size == "600.00 USDT (30 % of NAV x conviction 0.4 x 0.5 for NEUTRAL)"


def test_a_grid_gets_no_more_than_its_advice_asks_for():
    """Ten cells of 20 are 200, however much the account allows; half of that share is cut no more."""
    proposal = grid(grid=replace(LADDER, amount_per_grid=Decimal(20)))
    config = WIDE.model_copy(update={"min_notional": 0.0})
    found = sized(proposal, view(terms=replace(TERMS, base_min_size=1)), config=config)
    assert found.budget == usdt(200)
    assert found.why_this_size == (
        "200.00 USDT as advised, below 3000.00 USDT (30 % of NAV x conviction 1 x 1 for RANGE)"
    )


@pytest.mark.parametrize("proposal", [swing(), grid()])
@pytest.mark.parametrize(
    ("others", "words"),
    [
        ({"market": view(stale_minutes=6)}, "stale_data: the last price is 6 min old, limit 5 min"),
        (
            {"state": replace(CALM, peak_nav=usdt(20_000), drawdown_latched=True)},
            (
                "drawdown_breaker: 50 % below the peak, limit 15 %, again at 10 % or by a higher"
                " drawdown_reset than 0"
            ),
        ),
        ({"state": replace(CALM, exchange_errors=3)}, "exchange_errors: 3 calls in a row failed, limit 3"),
        ({"state": replace(CALM, books_differ=("USDT",))}, "books_differ: USDT, limit no difference"),
        ({"in_position": True}, "already_in_position: an open trade of ETH-USDT, limit one a market"),
        (
            {"holder": account(exposure={KEY: 3000}), "config": RiskConfig()},
            "symbol_cap: 3000.00 USDT invested in ETH-USDT, limit 3000.00 USDT (30 % of NAV)",
        ),
        (
            {"holder": account(exposure={OTHER: 8000}), "config": RiskConfig()},
            "total_exposure_cap: 8000.00 USDT invested, limit 8000.00 USDT (80 % of NAV)",
        ),
        ({"holder": account(available=0)}, "insufficient_cash: 0.00 USDT free, limit more than 0"),
    ],
)
def test_every_refusal_says_what_was_found_and_what_is_allowed(proposal, others, words):
    """Swings and grids alike."""
    assert str(refused(proposal, **others)) == words


def test_a_target_that_does_not_pay_the_round_trip_is_refused():
    """15 bps each way make 30; twice that is 60 bps, and a target 59 bps off does not reach it."""
    market = view(costs=USUAL)
    near = swing(target=201_180)
    assert str(refused(near, market)) == "edge_below_costs: 59 bps to the target, limit 60 bps (2 x 30)"
    assert isinstance(asked(swing(target=201_200), market), Sized)
    assert isinstance(asked(near, market, config=RiskConfig(min_edge_multiple=0)), Sized)


def test_a_swing_below_the_exchanges_smallest_size_is_refused():
    """0.0009 coin where 0.001 is the least; the words name the limit that made it so small."""
    config = RiskConfig(min_notional=0, symbol_cap_pct=19, risk_per_trade_pct=20)
    found = refused(holder=account(10), config=config)
    assert found.reason is Reason.MIN_SIZE
    assert found.found.startswith("0.0009 ETH: 1.90 USDT by the market's cap of 19 % of NAV, below 2.00 USDT")
    assert found.limit == "0.001 ETH"


@pytest.mark.parametrize(
    ("min_funds", "min_notional", "limit"), [("0.1", 2000.0, "2000.00 USDT"), ("2000", 0.0, "2000.00 USDT")]
)
def test_a_swing_below_the_smallest_notional_is_refused(min_funds, min_notional, limit):
    """The exchange's or the policy's, whichever is more."""
    terms = replace(TERMS, min_funds=usdt(min_funds))
    found = refused(market=view(terms=terms), config=WIDE.model_copy(update={"min_notional": min_notional}))
    assert (found.reason, found.limit) == (Reason.MIN_NOTIONAL, limit)
    assert found.found.startswith("1999.80 USDT: 100.00 USDT at risk")


def test_a_swing_that_could_not_be_sold_at_its_stop_is_refused():
    """Worth enough at the entry, too little at the stop: the exchange would not take the sale."""
    found = refused(market=view(terms=replace(TERMS, min_funds=usdt(1950))))
    assert found.reason is Reason.MIN_NOTIONAL
    assert found.found.startswith("1899.81 USDT at the stop: ")
    assert found.limit == "1950.00 USDT"


def test_a_grid_whose_cells_are_too_small_is_refused():
    """By size, by the exchange's smallest notional a cell, and by the policy's smallest trade."""
    small = refused(grid(), holder=account(50), config=RiskConfig(grid_budget_pct=20))
    assert small.reason is Reason.MIN_SIZE
    assert small.found == "0.0004 ETH: a cell of 10, 10.00 USDT (20 % of NAV x conviction 1 x 1 for RANGE)"
    cheap = refused(grid(), view(terms=replace(TERMS, min_funds=usdt(300))))
    assert cheap.reason is Reason.MIN_NOTIONAL
    assert cheap.found.startswith("299.86 USDT a cell of 10: 3000.00 USDT (30 % of NAV")
    assert cheap.limit == "300.00 USDT"
    little = refused(grid(), config=WIDE.model_copy(update={"min_notional": 3000.01}))
    assert (little.reason, little.limit) == (Reason.MIN_NOTIONAL, "3000.01 USDT")
    assert isinstance(asked(grid(), config=WIDE.model_copy(update={"min_notional": 3000.0})), Sized)


def test_the_fee_is_paid_from_a_cells_amount():
    """A fee of 2 % leaves a cell too little where none leaves it enough."""
    terms = replace(TERMS, base_min_size=1_360)  # 299.2 at 2,200
    dear = MarketCosts(Fees(maker_bps=200, taker_bps=0), FREE.liquidity)
    assert isinstance(asked(grid(), view(terms=terms)), Sized)
    assert refused(grid(), view(terms=terms, costs=dear)).reason is Reason.MIN_SIZE


@pytest.mark.parametrize(
    "others",
    [{"stop": None}, {"target": None}, {"stop": 200_000}, {"target": 200_000}, {"stop": 0}],
)
def test_a_swing_without_its_levels_is_no_swing(others):
    """The error names what it has."""
    with pytest.raises(DataInvalid, match=r"trigger momentum of ETH-USDT: stop, target: .*expected 0 < stop"):
        asked(swing(**others))


def test_a_grid_without_a_ladder_is_no_grid():
    """The error names the field."""
    with pytest.raises(DataInvalid, match="trigger grid of ETH-USDT: grid: missing"):
        asked(grid(grid=None))


def test_an_account_that_is_worth_nothing_may_not_trade():
    """Its caps are 0, and so is what is left of them."""
    assert str(refused(holder=account(-1, available=0))) == (
        "symbol_cap: 0.00 USDT invested in ETH-USDT, limit 0.00 USDT (100 % of NAV)"
    )


def test_no_conviction_is_no_size():
    """A signal that fired just at its threshold asks for nothing."""
    assert refused(swing(strength=0.0)).found == (
        "0 ETH: 0.00 USDT at risk at the stop (1 % of NAV x conviction 0 x 1 for RANGE)"
    )


def test_a_cap_that_is_just_reached_cuts_nothing():
    """By default a grid of conviction 1 fills its market's cap, and its own share is what decided."""
    found = sized(grid(), config=RiskConfig())
    assert (found.budget, found.why_this_size) == (
        usdt(3000),
        "3000.00 USDT (30 % of NAV x conviction 1 x 1 for RANGE)",
    )
    found = sized(grid(), config=RiskConfig(symbol_cap_pct=29))
    assert found.budget == usdt(2900)
    assert found.why_this_size.startswith(
        "2900.00 USDT by the market's cap of 29 % of NAV, below 3000.00 USDT"
    )


BPS = st.integers(0, 200).map(float)
COSTS = st.builds(
    lambda maker, taker, spread, slip: MarketCosts(
        Fees(maker_bps=maker, taker_bps=taker),
        Liquidity(half_spread_bps=spread, slippage_bps=slip, impact_bps=0),
    ),
    st.integers(-5, 200).map(float),
    BPS,
    BPS,
    BPS,
)
ODD_TERMS = st.builds(
    lambda price_power, base_power, step, least, funds: replace(
        TERMS,
        price_scale=10**price_power,
        base_scale=10**base_power,
        base_increment=step,
        base_min_size=least,
        min_funds=funds,
    ),
    st.integers(2, 8),
    st.integers(3, 8),
    st.sampled_from([1, 7, 100]),
    st.integers(1, 100),
    st.integers(0, 10**9),
)
NAVS = st.integers(usdt(1_000), usdt(10_000_000))
SHARES = st.integers(0, 1_000)  # thousandths
CONVICTIONS = st.floats(0.05, 1)


@given(
    terms=ODD_TERMS,
    costs=COSTS,
    price=st.integers(1_000, 10**7),
    stop_share=st.integers(1, 999),
    conviction=CONVICTIONS,
    multiplier=st.floats(0.1, 1.5),
    nav=NAVS,
    invested=st.tuples(st.integers(0, 300), st.integers(0, 500)),
    free=SHARES,
)
def test_no_size_breaks_a_limit(terms, costs, price, stop_share, conviction, multiplier, nav, invested, free):
    """Whatever market, costs and account: loss at the stop, caps, cash and the smallest order hold."""
    config = RiskConfig(min_edge_multiple=0)
    here, elsewhere = (nav * share // 1000 for share in invested)
    holder = AccountView(nav, nav, nav * free // 1000, {KEY: here, OTHER: elsewhere})
    stop = max(price * stop_share // 1000, 1)
    proposal = swing(price=price, stop=stop, target=2 * price, strength=conviction, multiplier=multiplier)
    found = asked(proposal, view(terms=terms, costs=costs), holder, config)
    if isinstance(found, Refusal):
        event(found.reason.value)
        return
    event("sized")
    assert found.size % terms.base_increment == 0
    assert found.size >= terms.base_min_size
    rate = max(costs.order.maker_ppm, costs.order.taker_ppm)
    paid = terms.cash_paid(costs.order.buy_price(price), found.size)
    assert paid + fee_on(paid, rate) == found.budget
    assert found.budget <= holder.available
    assert (found.budget + here) * 100 <= 30 * nav
    assert (found.budget + here + elsewhere) * 100 <= 80 * nav
    risked = loss_at_stop(terms, costs, proposal.trigger, found.size)
    assert risked <= Decimal(nav) / 100 * Decimal(proposal.trigger.conviction) * Decimal(multiplier)
    assert terms.cash_received(price, found.size) >= usdt(10)
    assert terms.cash_received(costs.order.sell_price(stop), found.size) >= terms.min_funds


@given(costs=COSTS, nav=NAVS, free=SHARES, conviction=CONVICTIONS, levels=st.integers(2, 200))
def test_no_grid_breaks_a_limit(costs, nav, free, conviction, levels):
    """The budget stays within cash and caps, and each of its cells can be bought, fee included."""
    proposal = grid(strength=conviction, grid=replace(LADDER, levels=levels))
    holder = AccountView(nav, nav, nav * free // 1000, {})
    found = asked(proposal, view(costs=costs), holder, RiskConfig())
    if isinstance(found, Refusal):
        event(found.reason.value)
        return
    event("sized")
    assert found.budget <= holder.available
    assert found.budget * 100 <= 30 * nav
    paid = TERMS.cash_paid(220_000, TERMS.base_min_size)
    assert (
        paid + fee_on(paid, max(costs.order.maker_ppm, costs.order.taker_ppm)) <= found.budget // levels + 1
    )
    assert found.budget >= usdt(10)
