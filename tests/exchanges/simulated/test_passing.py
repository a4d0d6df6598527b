"""Time passes the same, in one go, minute by minute, or from change to change."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from exchanges.simulated.minutes import Minutes
from exchanges.simulated.venue import SimulatedExchange
from market.candles import Bars
from market.costs import Liquidity
from market.hours import Timeframe
from tests.exchanges.simulated import drawn
from tests.exchanges.simulated.builders import (
    COARSE,
    ETH,
    FEES,
    FINE,
    KEY,
    THOUSAND,
    buy,
    done,
    exchange,
    flat,
    market_buy,
    minutes,
)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_time_in_one_go_is_time_minute_by_minute_is_time_from_change_to_change(data):
    """And a change is told for the first minute in which an order becomes another one, for no other."""
    model, fees, liquidity = (data.draw(one) for one in (drawn.MODELS, drawn.FEES, drawn.LIQUIDITY))
    terms = (ETH, FINE, COARSE)
    rows = {one.key: data.draw(drawn.rows()) for one in terms}
    asked = [data.draw(drawn.requests(data.draw(st.sampled_from(terms)), f"o{n}")) for n in range(12)]
    at_once, by_minute, by_change = (
        exchange(*terms, model=model, fees=fees, liquidity=liquidity) for _ in range(3)
    )
    for there in (at_once, by_minute, by_change):
        for one in terms:
            there.load(one.key, minutes(*flat(10000, 2), *rows[one.key]), 1000)
        there.advance(60)
        done(placed(there, drawn.first_buys(terms)))
        there.advance(120)
        done(placed(there, asked))
    end = 60 * 45
    told = at_once.next_change(end)
    at_once.advance(end)
    changes, before = [], orders(by_minute)
    while by_minute.now_ts < end:
        by_minute.advance(by_minute.now_ts + 60)
        if orders(by_minute) != before:
            changes.append(by_minute.now_ts)
        before = orders(by_minute)
    visited = []
    while (ts := by_change.next_change(end)) is not None:
        visited.append(ts)
        by_change.advance(ts)
    by_change.advance(end)
    assert told == (changes[0] if changes else None)
    assert visited == changes
    assert at_once.state() == by_minute.state() == by_change.state()


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_paper_that_is_fed_by_parts_and_restarted_each_time_gives_the_fills_of_a_backtest(data):
    """All minutes known beforehand, or each part when it is there with the recorded state alone between."""
    model, fees, liquidity = (data.draw(one) for one in (drawn.MODELS, drawn.FEES, drawn.LIQUIDITY))
    rows = [*flat(10000, 2), *data.draw(drawn.rows(most=60))]
    asked = [data.draw(drawn.requests(ETH, f"o{n}")) for n in range(12)]
    backtest, paper = (exchange(model=model, fees=fees, liquidity=liquidity) for _ in range(2))
    bars = minutes(*rows)
    backtest.load(KEY, bars, 1000)
    for there in (backtest, paper):
        done(placed(there, drawn.first_buys([ETH])))
    while paper.now_ts < 60 * len(rows):
        upto = min(paper.now_ts + 600, 60 * len(rows))
        paper.load(KEY, bars.between(paper.now_ts, upto), 1000)
        for there in (backtest, paper):
            there.advance(upto)
            done(placed(there, asked[:3]))
        assert paper.state() == backtest.state()
        del asked[:3]
        paper = SimulatedExchange.of(paper.state(), {KEY: ETH}, {KEY: fees}, {KEY: liquidity}, model, "USDT")


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_what_was_foreseen_is_forgotten_when_anything_but_time_changes_it(data):
    """Orders placed and cancelled, minutes and terms told anew after asking ahead: as if nobody had asked."""
    model, fees, liquidity = (data.draw(one) for one in (drawn.MODELS, drawn.FEES, drawn.LIQUIDITY))
    terms = (ETH, FINE, COARSE)
    asking, passing = (exchange(*terms, model=model, fees=fees, liquidity=liquidity) for _ in range(2))
    rows = {one.key: [*flat(10000, 2), *data.draw(drawn.rows(most=60))] for one in terms}
    fed = dict.fromkeys(rows, 0)
    for number in range(data.draw(st.integers(2, 14))):
        one = data.draw(st.sampled_from(terms))
        more = data.draw(st.integers(0, 20))
        part = minutes(*rows[one.key][fed[one.key] : fed[one.key] + more], start_ts=60 * fed[one.key])
        wanted = drawn.first_buys([one])[0] if number < 3 else data.draw(drawn.requests(one, f"o{number}"))
        upto = asking.now_ts + 60 * data.draw(st.integers(0, 9))
        what = data.draw(st.sampled_from(["feed", "place", "place", "cancel", "terms", "pass"]))
        name = data.draw(st.sampled_from(sorted(orders(asking)) or ["none"]))
        ahead = asking.now_ts + 60 * data.draw(st.integers(0, 30))
        other = data.draw(drawn.LIQUIDITY)
        for there in (asking, passing):
            if there is asking:
                assert there.next_change(ahead) == deepcopy(passing).next_change(ahead)
            if what == "feed":
                there.load(one.key, part, 1000)
            elif what == "place":
                done(there.place(wanted))
            elif what == "cancel" and name != "none":
                done(there.cancel(name))
            elif what == "terms":
                there.add_market(one, fees, other)
            else:
                there.advance(upto)
        fed[one.key] += more * (what == "feed")
        assert asking.state() == passing.state()
    asking.advance(asking.now_ts + 3600)
    passing.advance(passing.now_ts + 3600)
    assert asking.state() == passing.state()


async def test_a_minute_that_is_fed_after_an_expiry_was_foreseen_fills_before_it():
    """Asked ahead of what is known, the end of its time was all there was to tell of the order."""
    there = exchange()
    there.load(KEY, minutes(*flat(10000, 1)), 1000)
    there.advance(60)
    await there.place(buy(9900, ttl_s=600))
    assert there.next_change(6000) == 660
    there.load(KEY, minutes((10000, 10000, 9800, 10000, 10**6), start_ts=120), 1000)
    assert there.next_change(6000) == 180
    there.advance(660)
    assert (await there.order("a")).fills[0].ts == 180


async def test_a_fill_that_was_foreseen_pays_the_slippage_told_since():
    """Terms are told anew each hour; what has not happened yet happens by the last that were told."""
    there, still = exchange(), Liquidity(half_spread_bps=0, slippage_bps=0, impact_bps=0)
    there.load(KEY, minutes(*flat(10000, 3)), 1000)
    there.advance(60)
    await there.place(market_buy(10500))
    assert there.next_change(180) == 120
    there.add_market(ETH, FEES, still)
    there.advance(180)
    assert (await there.order("a")).fills[0].price == 10000


async def placed(there, asked) -> None:
    for one in asked:
        await there.place(one)


def orders(there) -> dict:
    state = there.state()
    found = [working.order for working in state.working] + list(state.closed)
    return {order.request.client_id: order for order in found}


def test_a_year_of_minutes_is_searched_in_blocks():
    """The first minute that reaches a price is found wherever it lies; nothing is found beyond the end."""
    count = 200_000
    level = np.full(count, 10000, dtype=np.int64)
    for at in (0, 4095, 4096, 8191, 8192, 70_000, count - 1):
        low = level.copy()
        low[at] = 9000
        there = Minutes()
        ts = np.arange(count, dtype=np.int64) * 60
        there.append(Bars(Timeframe.M1, ts, level, level, low, level, level), 1000, 0, "test")
        found = there.reaching(9500, 10001, 0, 60 * count)
        assert found is not None
        assert (found.ts, found.low) == (60 * at, 9000)
        assert there.reaching(9500, 10001, 0, 60 * at) is None
        assert there.reaching(9500, 10001, 60 * at + 60, 60 * count) is None
        assert there.reaching(8000, 10000, 60 * at, 60 * count).ts == 60 * at
        assert there.reaching(9500, 10001, 0, 60 * count) == found


def test_what_was_searched_in_vain_is_searched_again_for_other_levels_and_other_minutes():
    """Hour by hour, back again, at another level, and after more minutes were fed."""
    there = Minutes()
    rows = [(10000, 10000, 10000, 10000, 1)] * 200
    rows[150] = (10000, 10000, 9000, 10000, 1)
    there.append(minutes(*rows), 1000, 0, "test")
    hours = [there.reaching(9500, 10001, 3600 * hour, 3600 * hour + 3600) for hour in range(3)]
    assert [None if one is None else one.ts for one in hours] == [None, None, 9000]
    assert there.reaching(9500, 10001, 9060, 12_000) is None
    assert there.reaching(9500, 10001, 0, 9000) is None
    assert there.reaching(9500, 10001, 0, 12_000).ts == 9000
    assert there.reaching(8000, 10000, 60, 12_000).ts == 60
    assert there.reaching(8000, 10001, 0, 12_000) is None
    late = (10000, 10000, 7000, 10000, 1)
    there.append(minutes(late, start_ts=12_000), 1000, 9000, "test")
    assert there.reaching(8000, 10001, 9000, 12_060).ts == 12_000


async def test_an_order_that_waits_for_a_year_fills_in_its_minute():
    """200,000 minutes in one go."""
    there = exchange(cash=THOUSAND)
    count = 200_000
    level = np.full(count, 10000, dtype=np.int64)
    low = level.copy()
    low[150_000] = 9000
    ts = np.arange(count, dtype=np.int64) * 60
    there.load(KEY, Bars(Timeframe.M1, ts, level, level, low, level, level * 100), 1000)
    await there.place(buy(9500))
    assert there.next_change(60 * count) == 60 * 150_001
    there.advance(60 * count)
    assert (await there.order("a")).fills[0].ts == 60 * 150_001
