"""Attribution: edge, slippage and fees add up, in units and in cents."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.orders import CASH_SCALE, OrderSide
from tests.trading.accounts import fill, usdt
from trading.attribution import CENT, Attribution, Flows

AMOUNTS = st.integers(-(10**16), 10**16) | st.integers(-3 * CENT, 3 * CENT)


@given(AMOUNTS, AMOUNTS, AMOUNTS)
def test_the_parts_add_up_in_cents_and_none_is_off_by_a_cent(edge, slippage, fees):
    """Net is rounded to the nearest cent; each part is the exact one or less than a cent beside it."""
    exact = Attribution(edge, slippage, fees)
    cents = exact.in_cents()
    told = {name: Decimal(getattr(cents, name)) for name in ("edge", "slippage", "fees", "net")}
    assert told["edge"] - told["slippage"] - told["fees"] == told["net"]
    for name in ("edge", "slippage", "fees"):
        assert abs(told[name] - Decimal(getattr(exact, name)) / CASH_SCALE) < Decimal("0.01")
    assert abs(told["net"] - Decimal(exact.net) / CASH_SCALE) <= Decimal("0.005")
    for text in (cents.edge, cents.slippage, cents.fees, cents.net):
        assert len(text.partition(".")[2]) == 2
        assert text != "-0.00"


@given(AMOUNTS, AMOUNTS, AMOUNTS)
def test_whole_cents_are_told_as_they_are(edge, slippage, fees):
    """Nothing is moved where nothing is to be rounded."""
    cents = Attribution(edge * CENT, slippage * CENT, fees * CENT).in_cents()
    assert [Decimal(cents.edge) * 100, Decimal(cents.slippage) * 100, Decimal(cents.fees) * 100] == [
        edge,
        slippage,
        fees,
    ]


@pytest.mark.parametrize(
    ("parts", "texts"),
    [
        (("0.005", "0", "0"), ("0.00", "0.00", "0.00", "0.00")),  # half a cent goes to the even one
        (("0.015", "0", "0"), ("0.02", "0.00", "0.00", "0.02")),
        (("-0.015", "0", "0"), ("-0.02", "0.00", "0.00", "-0.02")),
        (("0.008", "0.008", "0.008"), ("0.01", "0.01", "0.01", "-0.01")),
        (("1.004", "0.004", "0.003"), ("1.00", "0.00", "0.00", "1.00")),
        (("0.006", "-0.006", "-0.006"), ("0.01", "-0.01", "0.00", "0.02")),
        (("-123.456", "1.2", "-0.05"), ("-123.46", "1.20", "-0.05", "-124.61")),
    ],
)
def test_the_cents_of_some_results(parts, texts):
    """Reckoned by hand; the largest remainder gets the cent, the first of equals."""
    cents = Attribution(*(usdt(part) for part in parts)).in_cents()
    assert (cents.edge, cents.slippage, cents.fees, cents.net) == texts


def test_a_round_trip_taken_apart():
    """Bought at 2,001 when 2,000 was seen, sold at its own price 2,100: 100 of edge, 1 of slippage."""
    flows = (
        Flows.none()
        .after(
            OrderSide.BUY, fill(OrderSide.BUY, 200_100, 10_000, seen=200_000, fee=usdt(2), maker=False, ts=60)
        )
        .after(OrderSide.SELL, fill(OrderSide.SELL, 210_000, 4_000, fee=usdt(1), ts=240))
    )
    assert flows.base == 6_000
    flows = flows.after(OrderSide.SELL, fill(OrderSide.SELL, 210_000, 6_000, fee=usdt(-1), ts=180))
    assert flows.attribution == Attribution(edge=usdt(100), slippage=usdt(1), fees=usdt(2))
    assert flows.attribution.net == flows.net_cash == usdt(97)
    assert (flows.maker_notional, flows.taker_notional) == (usdt(2100), usdt(2001))
    assert (flows.maker_fills, flows.taker_fills) == (2, 1)
    assert (flows.first_ts, flows.last_ts) == (60, 240)


def test_a_sale_below_the_price_seen_is_slippage_too():
    """And a better one than seen is negative slippage."""
    worse = Flows.none().after(OrderSide.SELL, fill(OrderSide.SELL, 199_900, 10_000, seen=200_000))
    better = Flows.none().after(OrderSide.SELL, fill(OrderSide.SELL, 200_100, 10_000, seen=200_000))
    assert (worse.attribution.slippage, better.attribution.slippage) == (usdt(1), usdt(-1))


PRICES = st.integers(1, 10**6)
FILLS = st.builds(
    lambda side, price, seen, size, fee, maker, ts: (
        side,
        fill(side, price, size, seen=seen, fee=fee, maker=maker, ts=ts),
    ),
    st.sampled_from(OrderSide),
    PRICES,
    PRICES,
    st.integers(1, 10**6),
    st.integers(-(10**6), 10**9),
    st.booleans(),
    st.integers(0, 10**9),
)


@given(st.lists(FILLS, min_size=1, max_size=30))
def test_sums_tell_what_the_fills_tell(fills):
    """Against the plain list of executions, each a row of its own."""
    flows = Flows.none()
    for side, each in fills:
        flows = flows.after(side, each)
    cash = -sum(side.sign * each.cash for side, each in fills) - sum(each.fee for _, each in fills)
    assert flows.net_cash == flows.attribution.net == cash
    assert flows.base == sum(side.sign * each.size for side, each in fills)
    assert flows.attribution.slippage == sum(side.sign * (each.cash - each.seen_cash) for side, each in fills)
    assert flows.attribution.fees == sum(each.fee for _, each in fills)
    assert flows.maker_fills + flows.taker_fills == len(fills)
    assert flows.maker_notional + flows.taker_notional == sum(each.cash for _, each in fills)
    assert flows.maker_notional == sum(each.cash for _, each in fills if each.maker)
    assert (flows.first_ts, flows.last_ts) == (min(e.ts for _, e in fills), max(e.ts for _, e in fills))


@given(st.lists(FILLS, min_size=2, max_size=8), st.randoms())
def test_the_order_of_fills_does_not_matter(fills, random):
    """Sums have no order."""
    shuffled = list(fills)
    random.shuffle(shuffled)
    found = []
    for each in (fills, shuffled):
        flows = Flows.none()
        for side, one in each:
            flows = flows.after(side, one)
        found.append(flows)
    assert all(one == other for one, other in pairwise(found))
