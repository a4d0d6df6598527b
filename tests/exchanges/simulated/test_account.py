"""The account: holds, double entry, and what it refuses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchanges.simulated.account import Account, AccountState, Holding
from market.costs import Fees, fee_on
from market.errors import DataInvalid
from market.orders import CASH_SCALE, Balance, OrderStatus
from tests.exchanges.simulated.builders import ETH, FEES, FINE, THOUSAND, buy, sell, working


def account(cash: int = THOUSAND, coin: int = 0) -> Account:
    coins = (Holding("USDT", CASH_SCALE, cash), Holding("ETH", 1000, coin, 0, -coin))
    return Account(AccountState("USDT", cash, 0, coins))


def filled(order, terms=ETH, *, price: int, size: int, maker: bool = True, seen: int | None = None):
    return order.filled(terms, 660, price=price, seen=price if seen is None else seen, size=size, maker=maker)


def test_a_buy_holds_its_notional_and_the_higher_of_the_two_fees():
    """99.00 and 0.2 % of it, whichever fee it will pay."""
    held = working(buy(9900)).held
    assert held == 9900 * 10**6 + fee_on(9900 * 10**6, 2000)
    dear = Fees(maker_bps=30, taker_bps=20)
    assert working(buy(9900), fees=dear).held == 9900 * 10**6 + fee_on(9900 * 10**6, 3000)
    there = account()
    there.take(working(buy(9900)), ETH)
    assert there.balances()["USDT"] == Balance(THOUSAND, held)
    assert there.available("USDT") == THOUSAND - held


def test_a_sale_holds_its_coin():
    """And no cash."""
    there = account(coin=5000)
    there.take(working(sell(10100)), ETH)
    assert there.balances() == {"USDT": Balance(THOUSAND), "ETH": Balance(5000, 1000)}


def test_a_bought_coin_comes_for_cash_and_fee_and_frees_what_was_held_beyond():
    """The taker's share of the hold comes back to a maker."""
    there, order = account(), working(buy(9900))
    there.take(order, ETH)
    after = filled(order, price=9900, size=1000)
    there.settle(order, after, ETH)
    cash, fee = 9900 * 10**6, 9900 * 10**3
    assert there.balances() == {"USDT": Balance(THOUSAND - cash - fee), "ETH": Balance(1000)}
    usdt, eth = there.state().holdings
    assert (usdt.market, eth.market, there.fees) == (cash, -1000, fee)


def test_a_sold_coin_brings_cash_less_fee():
    """What is left of the order goes on to hold."""
    there, order = account(coin=5000), working(sell(10100))
    there.take(order, ETH)
    there.settle(order, filled(order, price=10100, size=400), ETH)
    cash, fee = 10100 * 400 * 1000, 10100 * 400
    assert there.balances() == {"USDT": Balance(THOUSAND + cash - fee), "ETH": Balance(4600, 600)}
    usdt, eth = there.state().holdings
    assert (usdt.market, eth.market, there.fees) == (-cash, -4600, fee)


def test_only_new_fills_are_booked():
    """A second look at the same order moves nothing twice."""
    there, order = account(), working(buy(9900))
    there.take(order, ETH)
    first = filled(order, price=9900, size=400)
    there.settle(order, first, ETH)
    second = filled(first, price=9900, size=600)
    there.settle(first, second, ETH)
    assert there.balances()["ETH"] == Balance(1000)
    assert there.balances()["USDT"] == Balance(THOUSAND - 9900 * 10**6 - 9900 * 10**3)


def test_a_closed_order_holds_nothing():
    """Cancelled or expired, everything that it held is free again."""
    there, order = account(), working(buy(9900))
    there.take(order, ETH)
    there.settle(order, order.closed(OrderStatus.CANCELLED, 60), ETH)
    assert there.balances()["USDT"] == Balance(THOUSAND)


@given(
    parts=st.lists(st.tuples(st.integers(1, 40), st.integers(1, 99), st.booleans()), min_size=1, max_size=30),
    maker_bps=st.sampled_from([-5.0, 0.0, 0.01, 10.0, 33.3]),
    taker_bps=st.sampled_from([0.0, 10.0, 66.67]),
    buys=st.booleans(),
)
def test_an_order_in_many_parts_never_costs_more_than_it_held(parts, maker_bps, taker_bps, buys):
    """Nor brings more than its whole is worth: cash and fee are rounded once an order, against us."""
    size, fees = sum(part for part, _, _ in parts), Fees(maker_bps=maker_bps, taker_bps=taker_bps)
    order = working((buy if buys else sell)(99, size), fees=fees, terms=FINE)
    if buys:
        there = Account.opened("USDT", order.held)
        there.enter(FINE)
    else:
        coins = (Holding("USDT", CASH_SCALE, 1000), Holding("FINE", 10**7, size, 0, -size))
        there = Account(AccountState("USDT", 1000, 0, coins))
    there.take(order, FINE)
    unit = FINE.price_scale * FINE.base_scale
    exact = 0
    for part, price, maker in parts:
        seen = price if maker else price - 1 if buys else price + 1
        after = filled(order, FINE, price=price, size=part, maker=maker, seen=seen)
        there.settle(order, after, FINE)
        order = after
        exact += price * part * CASH_SCALE
        fill = after.order.fills[-1]
        assert (fill.cash - fill.seen_cash) * (1 if buys else -1) >= 0
        if maker:
            assert fill.cash == fill.seen_cash
        assert all(0 <= one.held <= one.total for one in there.balances().values())
    cash = sum(fill.cash for fill in order.order.fills)
    assert cash == (-(-exact // unit) if buys else exact // unit)
    rates = {True: order.maker_ppm, False: order.taker_ppm}
    owed = sum(fill.cash * rates[fill.maker] for fill in order.order.fills)
    assert there.fees == sum(fill.fee for fill in order.order.fills) == -(-owed // 10**6)
    assert order.order.status is OrderStatus.FILLED
    assert there.balances()["USDT" if buys else "FINE"].held == 0
    Account(there.state())  # and it adds up


def test_what_was_seen_differs_from_what_was_paid_by_the_price_gap_alone():
    """0.20 on 0.4 coins, whatever was filled before."""
    order = filled(working(buy(9900)), price=9900, size=600)
    fill = filled(order, price=9890, seen=9870, size=400, maker=False).order.fills[-1]
    assert fill.cash - fill.seen_cash == 20 * 400 * 1000
    sold = filled(working(sell(9900)), price=9880, seen=9900, size=400, maker=False).order.fills[-1]
    assert sold.seen_cash - sold.cash == 20 * 400 * 1000


@pytest.mark.parametrize(("total", "held"), [(-1, 0), (5, 6), (5, -1)])
def test_no_amount_is_ever_negative_and_no_more_held_than_there_is(total, held):
    """The coin is named."""
    with pytest.raises(DataInvalid, match=r"ETH: .* held of .*, expected 0 <= held <= total"):
        Holding("ETH", 1000, total, held)


@pytest.mark.parametrize(
    ("holdings", "fees", "said"),
    [
        ((Holding("ETH", 1000, 0),), 0, "USDT: missing, expected the quote coin"),
        ((Holding("USDT", CASH_SCALE, 99),), 0, "USDT: ours, the market's and fees are 99 together"),
        ((Holding("USDT", CASH_SCALE, 100),), 1, "USDT: ours, the market's and fees are 101 together"),
        ((Holding("USDT", CASH_SCALE, 100), Holding("ETH", 1, 1)), 0, "ETH: ours, .* are 1 together"),
    ],
)
def test_a_state_that_does_not_add_up_is_refused(holdings, fees, said):
    """Nobody goes on with coin that came from nowhere."""
    with pytest.raises(DataInvalid, match=said):
        Account(AccountState("USDT", 100, fees, holdings))


def test_a_coin_can_be_counted_in_other_units_where_nothing_is_lost():
    """Finer always; coarser only in whole numbers."""
    there = account(coin=5000)
    there.enter(FINE)
    assert there.balances()["FINE"] == Balance(0)
    held = Holding("ETH", 1000, 5000, 2000, -5000)
    assert held.rescaled(10_000) == Holding("ETH", 10_000, 50_000, 20_000, -50_000)
    assert held.rescaled(1) == Holding("ETH", 1, 5, 2, -5)
    with pytest.raises(DataInvalid, match="ETH: 5001 of 1/1000 is no whole number of 1/1"):
        Holding("ETH", 1000, 5001, 0, -5001).rescaled(1)


def test_the_state_begins_the_same_account():
    """Read back it is equal."""
    there = account(coin=5000)
    there.take(working(sell(10100)), ETH)
    assert Account(there.state()).state() == there.state()
    assert FEES.taker_bps != FEES.maker_bps  # or the tests above could not tell them apart
