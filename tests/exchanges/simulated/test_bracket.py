"""Pessimistic, expected and optimistic fills: a bracket around what would have happened."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchanges.simulated.fills import EXPECTED, OPTIMISTIC, PESSIMISTIC, FillModel
from exchanges.simulated.venue import SimulatedExchange
from market.candles import Bars
from market.costs import Fees
from market.hours import Timeframe
from market.orders import CASH_SCALE, Order, OrderKind, OrderRequest, OrderSide, OrderStatus, OrderTerms
from store.recorded import series
from tests.exchanges.simulated import drawn
from tests.exchanges.simulated.builders import CHEAP, KEY, done, exchange, flat, market_buy, minutes, oco

MODELS = (PESSIMISTIC, EXPECTED, OPTIMISTIC)
WEEK = 7 * 24 * 60
STEP = 0.004


@settings(max_examples=100, deadline=None)
@given(rows=drawn.rows(), price=drawn.PRICES, size=st.sampled_from([10, 100, 1000, 9000]), sale=st.booleans())
def test_a_lone_resting_order_fills_no_later_and_no_less_the_kinder_the_model(rows, price, size, sale):
    """At the end of every minute, for a buy and for a sale."""
    filled = []
    for model in MODELS:
        there = exchange(model=model)
        there.load(KEY, minutes(*flat(10000, 2, 10**9), *rows), 1000)
        there.advance(60)
        done(there.place(market_buy(10500, 9000, "coin")))
        there.advance(120)
        side = OrderSide.SELL if sale else OrderSide.BUY
        done(there.place(OrderRequest("a", KEY, side, OrderKind.LIMIT, price * 100, size, ttl_s=None)))
        filled.append(list(seen(there, 60 * 45)))
    assert all(a <= b <= c for a, b, c in zip(*filled, strict=True))


def seen(there: SimulatedExchange, to_ts: int):
    while there.now_ts < to_ts:
        there.advance(there.now_ts + 60)
        yield done(there.order("a")).filled


@settings(max_examples=100, deadline=None)
@given(rows=drawn.rows(), stop=st.integers(85, 99), target=st.integers(101, 112))
def test_a_lone_bracket_brings_no_more_the_harsher_the_model(rows, stop, target):
    """Where volume is no matter and both came to their end: what a stop and target in one minute is worth."""
    ample = [None if row is None else (*row[:4], 10**9 * (row[4] > 0)) for row in rows]
    brought = []
    for model in MODELS:
        there = exchange(model=model)
        there.load(KEY, minutes(*flat(10000, 2, 10**9), *ample), 1000)
        there.advance(60)
        done(there.place(market_buy(10500, 1000, "coin")))
        there.advance(120)
        done(there.place(oco(target * 100, stop * 100)))
        there.advance(60 * 45)
        order = done(there.order("a"))
        brought.append(None if order.is_open else sum(fill.cash - fill.fee for fill in order.fills))
    harsh, fair, kind = brought
    assert harsh is None or (kind is not None and harsh <= kind)
    assert fair is None or (kind is not None and fair <= kind)
    assert harsh is None or fair is None or harsh <= fair


def week_of(folder: Path, last: int) -> tuple[OrderTerms, Bars]:
    made = series(folder / "KUCOIN_ETH-USDT_1m.parquet")
    rows = slice(len(made.ts) - last, len(made.ts) - last + WEEK)
    prices = [np.round(c[rows] * 100).astype(np.int64) for c in (made.open, made.high, made.low, made.close)]
    volume = np.round(made.volume[rows] * 10_000).astype(np.int64)
    terms = OrderTerms(KEY, "ETH", "USDT", 100, 10**7, 1, 1, 1000, CASH_SCALE // 10)
    return terms, Bars(Timeframe.M1, made.ts[rows], *prices, volume)


async def grid(terms: OrderTerms, bars: Bars, model: FillModel, size: int) -> tuple[int, int]:
    """Run a ladder of maker orders; return what the account is worth at the end, and how often it filled."""
    cash, start = 1_000_000 * CASH_SCALE, int(bars.ts[0]) + 60
    there = SimulatedExchange(
        {KEY: terms}, {KEY: Fees(maker_bps=2, taker_bps=10)}, {KEY: CHEAP}, model, "USDT", cash, start - 60
    )
    there.load(KEY, bars, 10_000)
    there.advance(start)
    first = int(bars.close[0])
    levels = [round(first * (1 + STEP * place)) for place in range(-10, 11)]
    await there.place(market_buy(first * 2, size * 10, "coin"))
    live: dict[str, int] = {}
    count = 0

    async def rest(side: OrderSide, level: int) -> None:
        nonlocal count
        count += 1
        name = f"o{count}"
        asked = OrderRequest(name, KEY, side, OrderKind.LIMIT, levels[level], size)
        live[name] = level
        assert (await there.place(asked)).status is not OrderStatus.REJECTED

    there.advance(start + 3600)
    for level in range(10):
        await rest(OrderSide.BUY, level)
    for level in range(11, 21):
        await rest(OrderSide.SELL, level)
    end = int(bars.ts[-1]) + 60
    fills = 0
    while (ts := there.next_change(end)) is not None:
        there.advance(ts)
        for name in list(live):
            order: Order = await there.order(name)
            if order.status is OrderStatus.FILLED:
                fills += 1
                level = live.pop(name)
                buys = order.request.side is OrderSide.BUY
                await rest(OrderSide.SELL if buys else OrderSide.BUY, level + 1 if buys else level - 1)
    there.advance(end)
    balances = await there.balances()
    coin = terms.cash_received(int(bars.close[-1]), balances["ETH"].total)
    return balances["USDT"].total + coin - cash, fills


@pytest.mark.parametrize("weeks_back", [2, 3])
def test_a_grid_over_a_recorded_week_is_worth_more_the_kinder_the_model(recorded_data, weeks_back):
    """Ten buys below and ten sales above for seven days of recorded minutes, 1 coin each."""
    terms, bars = week_of(recorded_data, weeks_back * WEEK)
    (harsh, few), (fair, some), (kind, many) = (done(grid(terms, bars, model, 10**7)) for model in MODELS)
    assert few <= some <= many
    assert harsh < fair < kind


def test_the_presets_are_ordered_in_every_number():
    """Kinder in the queue, in how far through, in volume, in the way."""
    assert PESSIMISTIC.queue_position >= EXPECTED.queue_position >= OPTIMISTIC.queue_position
    assert PESSIMISTIC.through_ticks >= EXPECTED.through_ticks >= OPTIMISTIC.through_ticks
    assert PESSIMISTIC.participation < EXPECTED.participation < OPTIMISTIC.participation
    assert [model.path for model in MODELS] == ["pessimistic", "pessimistic", "optimistic"]
