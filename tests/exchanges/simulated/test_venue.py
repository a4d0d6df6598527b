"""The simulated exchange: what it takes and refuses, its time, its prices, and its state."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from exchanges.simulated.codes import Code
from exchanges.simulated.state import VENUE_FORM
from exchanges.simulated.venue import SimulatedExchange
from market.candles import no_bars
from market.costs import Fees, Liquidity
from market.errors import DataInvalid, RequestRefused
from market.hours import Timeframe
from market.orders import CASH_SCALE, Balance, BestPrices, OrderStatus
from tests.exchanges.simulated.builders import (
    CHEAP,
    COARSE,
    ETH,
    FEES,
    KEY,
    LAST,
    THOUSAND,
    buy,
    exchange,
    flat,
    market_buy,
    market_sale,
    minutes,
    oco,
    sell,
)


def priced(*rows, at: int = 60, **how) -> SimulatedExchange:
    """Return an exchange at a minute's end, with minutes known before and after it."""
    there = exchange(**how)
    there.load(KEY, minutes(*(rows or flat(10000, 5))), 1000)
    there.advance(at)
    return there


async def with_coin(*rows, **how) -> SimulatedExchange:
    there = priced((10000, 10000, 10000, 10000, 10**9), (10000, 10000, 10000, 10000, 10**9), *rows, **how)
    await there.place(market_buy(10100, 2000, "coin"))
    there.advance(120)
    return there


async def test_the_bar_that_an_order_was_decided_on_never_fills_it():
    """It traded through the price before the order was there; the next minute may fill it."""
    there = priced((10000, 10000, 9000, 10000, 10**6), *flat(10000, 1), (10000, 10000, 9800, 10000, 10**6))
    assert (await there.place(buy(9900))).is_open
    there.advance(120)
    assert (await there.order("a")).fills == ()
    there.advance(180)
    assert (await there.order("a")).fills[0].ts == 180


async def test_minutes_without_trade_and_missing_ones_fill_nothing():
    """Neither resting nor market orders; the gap is met at the next known open."""
    dead = (9000, 9000, 9000, 9000, 0)
    there = priced(*flat(10000, 1), dead, None, dead, (9100, 9200, 9000, 9150, 10**6))
    await there.place(buy(9900, name="rests"))
    await there.place(market_sale(1, name="no coin"))
    await there.place(market_buy(11000, name="takes"))
    assert there.next_change(240) is None
    there.advance(240)
    assert [order.fills for order in await there.open_orders()] == [(), ()]
    assert there.next_change(600) == 300
    there.advance(300)
    assert (await there.order("takes")).fills[0].seen == 9100
    assert (await there.order("rests")).fills[0].price == 9900


async def test_minutes_that_come_after_their_time_fill_nothing():
    """What was missing when its time passed stays missing for orders; its close is a price all the same."""
    there = priced(*flat(10000, 1))
    await there.place(buy(9900))
    there.advance(180)
    there.load(KEY, minutes(None, (9000, 9000, 9000, 9000, 10**6), (9500, 9500, 9500, 9500, 10**6)), 1000)
    there.advance(240)
    assert (await there.order("a")).fills == ()
    assert (await there.best_prices(KEY)).ts == 180


@pytest.mark.parametrize(("ttl_s", "filled"), [(59, 0), (60, 1000), (61, 1000), (None, 1000)])
async def test_an_order_expires_before_the_minute_that_it_does_not_outlive(ttl_s, filled):
    """59 s end before the minute does, 60 with it: then the minute fills first."""
    there = priced(*flat(10000, 1), (10000, 10000, 9800, 10000, 10**6))
    await there.place(buy(9900, ttl_s=ttl_s))
    there.advance(120)
    order = await there.order("a")
    assert order.filled == filled
    if not filled:
        assert (order.status, order.closed_ts) == (OrderStatus.EXPIRED, 119)


@pytest.mark.parametrize(("ttl_s", "change"), [(60, 120), (61, 180), (90, 180), (120, 180), (600, 660)])
async def test_an_order_that_nobody_fills_expires_to_the_second(ttl_s, change):
    """Its cash is free again; the change is told at the end of that minute."""
    there = priced()
    await there.place(buy(9900, ttl_s=ttl_s))
    assert there.next_change(change - 60) is None
    assert there.next_change(6000) == change
    there.advance(change)
    order = await there.order("a")
    assert (order.status, order.closed_ts) == (OrderStatus.EXPIRED, 60 + ttl_s)
    assert (await there.balances())["USDT"] == Balance(THOUSAND)


async def test_a_part_filled_order_expires_with_its_parts():
    """Two minutes of a small share each, then its time is over."""
    rows = [*flat(10000, 1), *[(10000, 10000, 9800, 10000, 300)] * 5]
    there = priced(*rows)
    await there.place(buy(9900, ttl_s=120))
    await there.place(buy(9800, name="other"))
    there.advance(360)
    order = await there.order("a")
    assert (order.status, order.closed_ts, order.filled, order.left) == (OrderStatus.EXPIRED, 180, 600, 400)
    assert (await there.order("other")).is_open


@pytest.mark.parametrize(
    ("asked", "code", "said"),
    [
        (buy(9900, key="DOGE-USDT"), Code.UNKNOWN_SYMBOL, "symbol DOGE-USDT is unknown"),
        (buy(9903, 100, key=COARSE.key), Code.PARAMETER_ERROR, "price 9903 is off the increment 5"),
        (
            oco(9900, 9003, 100, key=COARSE.key),
            Code.PARAMETER_ERROR,
            "stop price 9003 is off the increment 5",
        ),
        (buy(9900, 105, key=COARSE.key), Code.PARAMETER_ERROR, "size 105 is off the increment 10"),
        (buy(9900, 9), Code.PARAMETER_ERROR, "size 9 is below the least 10"),
        (buy(999, 10), Code.PARAMETER_ERROR, "notional 9990000 is below the least 10000000"),
        (
            buy(10010, post_only=True),
            Code.ORDER_REFUSED,
            "post-only at 10010 would take: bid 9990, ask 10010",
        ),
        (sell(9990, post_only=True), Code.ORDER_REFUSED, "post-only at 9990 would take: bid 9990"),
        (buy(9900, 10_091), Code.BALANCE_INSUFFICIENT, "balance insufficient: 100000000000 available"),
        (sell(10100), Code.BALANCE_INSUFFICIENT, "balance insufficient: 0 available, 1000 needed"),
        (oco(10100, 9000), Code.BALANCE_INSUFFICIENT, "balance insufficient: 0 available, 1000 needed"),
        (market_buy(10100, 9_882), Code.BALANCE_INSUFFICIENT, "balance insufficient: 100000000000 available"),
    ],
)
async def test_an_order_that_is_refused_comes_back_with_the_code_and_words(asked, code, said):
    """Nothing is held, and the exchange remembers what it said."""
    there = exchange(ETH, COARSE)
    there.load(KEY, minutes(*flat(10000, 5)), 1000)
    there.advance(60)
    order = await there.place(asked)
    assert (order.status, order.code, order.closed_ts) == (OrderStatus.REJECTED, code.value, 60)
    assert order.problem.startswith(said)
    assert await there.order("a") == order == await there.place(asked)
    assert await there.open_orders() == ()
    assert (await there.balances())["USDT"] == Balance(THOUSAND)


@pytest.mark.parametrize(
    "asked",
    [
        buy(10009, post_only=True),
        buy(1000, 10),
        buy(9900, 10_080),
        market_buy(10100, 9_881),
        buy(10010),
        market_buy(999, 10),  # its own price is only the worst that it takes: 100.10 is what counts
    ],
)
async def test_an_order_just_within_the_terms_is_taken(asked):
    """One unit beyond is in the table above."""
    assert (await priced().place(asked)).is_open


async def test_all_cash_and_all_coin_can_be_used_to_the_last_unit():
    """Another order then finds nothing."""
    there = await with_coin()
    assert (await there.place(sell(10100, 2000, "all"))).is_open
    assert (await there.place(sell(10100, 10, "more"))).code == Code.BALANCE_INSUFFICIENT.value
    assert (await there.balances())["ETH"] == Balance(2000, 2000)
    await there.cancel("all")
    assert (await there.place(sell(10100, 2000, "again"))).is_open


async def test_a_sale_for_the_market_counts_at_the_bid():
    """A floor of one increment is no price: the notional is what the bid says."""
    there = await with_coin()
    assert (await there.place(market_sale(1, 100, "sale"))).is_open


async def test_a_market_order_counts_at_the_side_that_it_takes():
    """At 9.99 for 10.01 ten hundredths are too little to sell and enough to buy."""
    there = priced(*flat(1000, 5))
    assert (await there.place(market_buy(1100, 10, "buy"))).is_open
    sale = await there.place(market_sale(900, 10, "sale"))
    assert (sale.code, sale.problem) == (
        Code.PARAMETER_ERROR.value,
        "notional 9990000 is below the least 10000000",
    )


async def test_one_name_is_one_order_for_ever():
    """Open, filled or cancelled: asked again, it comes back as it stands, whatever is asked now."""
    there = priced(*flat(10000, 1), (10000, 10000, 9800, 10000, 10**6), *flat(10000, 2))
    order = await there.place(buy(9900))
    assert await there.place(buy(9000, 77)) is order
    there.advance(120)
    assert (await there.place(buy(9900))).status is OrderStatus.FILLED
    assert (await there.balances())["ETH"] == Balance(1000)
    assert (await there.cancel("a")).status is OrderStatus.FILLED


async def test_a_cancelled_order_is_closed_at_once():
    """Its cash is free, and no minute fills it any more."""
    there = priced(*flat(10000, 1), (10000, 10000, 9800, 10000, 10**6))
    await there.place(buy(9900))
    order = await there.cancel("a")
    assert (order.status, order.closed_ts) == (OrderStatus.CANCELLED, 60)
    assert (await there.balances())["USDT"] == Balance(THOUSAND)
    there.advance(120)
    assert await there.order("a") == order
    with pytest.raises(RequestRefused, match="no order of this name") as told:
        await there.cancel("b")
    assert told.value.code == Code.PARAMETER_ERROR
    assert await there.order("b") is None


async def test_open_orders_stand_as_they_were_placed():
    """Of one market, or of all; a part fill moves none."""
    there = exchange(ETH, COARSE)
    for key in (KEY, COARSE.key):
        there.load(key, minutes(*flat(10000, 1), (10000, 10000, 9800, 10000, 30)), 100)
    there.advance(60)
    for name, key in (("z", KEY), ("m", COARSE.key), ("a", KEY)):
        await there.place(buy(9900, 500, name, key=key))
    there.advance(120)
    assert [order.request.client_id for order in await there.open_orders()] == ["z", "m", "a"]
    assert [order.request.client_id for order in await there.open_orders(KEY)] == ["z", "a"]
    assert [order.filled for order in await there.open_orders()] == [300, 30, 0]


async def test_a_limit_order_that_crosses_pays_as_a_taker_one_below_the_ask_as_a_maker():
    """The same minute: at the ask of 100.10 it takes at the next open, a cent below it rests."""
    there = priced(*flat(10000, 1), (10000, 10000, 9900, 10000, 10**6))
    await there.place(buy(10010, 100, "rests-not"))
    await there.place(buy(10009, 100, "rests"))
    await there.place(buy(10500, 100, "crosses"))
    there.advance(120)
    fills = [(await there.order(name)).fills[0] for name in ("rests-not", "rests", "crosses")]
    assert [(fill.price, fill.maker) for fill in fills] == [(10010, True), (10009, True), (10020, False)]


async def test_a_limit_order_placed_before_any_price_is_known_rests():
    """Nothing can be said to cross."""
    there = exchange()
    assert await there.best_prices(KEY) is None
    assert (await there.place(buy(10500, post_only=True))).is_open
    assert (await there.place(market_buy(10500, 100, "m"))).is_open
    there.load(KEY, minutes(*flat(10000, 5)), 1000)
    there.advance(60)
    assert [(await there.order(name)).fills[0].price for name in ("a", "m")] == [10500, 10020]


@pytest.mark.parametrize(
    ("after_s", "recorded"), [(-60, False), (-59, True), (0, True), (59, True), (60, False)]
)
async def test_best_prices_are_the_recorded_ones_of_the_present_minute(after_s, recorded):
    """Others come from the spread model around the last close, and say so."""
    there = priced(*flat(10000, 10), at=300)
    told = BestPrices(9997, 10003, 300 + after_s, recorded=True)
    there.quote_recorded(KEY, told)
    modelled = BestPrices(9990, 10010, 300, recorded=False)
    assert await there.best_prices(KEY) == (told if recorded else modelled)


async def test_what_crosses_is_judged_by_the_recorded_prices_where_there_are_any():
    """An ask of 100.20 leaves a maker alone whom the spread model would refuse."""
    there = priced()
    there.quote_recorded(KEY, BestPrices(9980, 10020, 60, recorded=True))
    assert (await there.place(buy(10019, 100, post_only=True))).is_open


async def test_modelled_prices_lie_on_the_increment_away_from_the_close():
    """0.1 % of 10.003 is 0.010003 (rounded up): 9.990 and 10.015 in steps of 0.005, never below one step."""
    there = exchange(COARSE)
    there.load(COARSE.key, minutes(*flat(10003, 1), *flat(3, 1)), 100)
    there.advance(60)
    assert await there.best_prices(COARSE.key) == BestPrices(9990, 10015, 60, recorded=False)
    there.advance(120)
    assert await there.best_prices(COARSE.key) == BestPrices(5, 5, 120, recorded=False)
    assert await there.best_prices("DOGE-USDT") is None


async def test_a_price_grows_old_where_minutes_are_missing():
    """The instant of the last known close, a minute without trade is known."""
    there = priced(*flat(10000, 2), None, (10000, 10000, 10000, 10000, 0), None, at=180)
    assert (await there.best_prices(KEY)).ts == 120
    there.advance(360)
    assert (await there.best_prices(KEY)).ts == 240


async def test_what_was_fed_stands_and_a_finer_volume_scale_is_taken_up():
    """Overlaps are dropped, older minutes too; 5 coins are 5,000 thousandths."""
    there = exchange()
    there.load(KEY, minutes(*flat(10000, 2), (10000, 10000, 9800, 10000, 1)), 1)
    dead, low = (10000, 10000, 10000, 10000, 0), (10000, 10000, 9700, 10000, 500)
    there.load(KEY, minutes(*flat(10000, 3), dead, low), 1000)
    there.load(KEY, no_bars(Timeframe.M1), 1)
    there.load(KEY, minutes(*[(9900, 9900, 9600, 9900, 2)] * 6), 1)
    await there.place(buy(9900, 5000))
    there.advance(120)
    assert (await there.best_prices(KEY)).bid == 9990
    there.advance(360)
    sizes = [(fill.ts, fill.size) for fill in (await there.order("a")).fills]
    assert sizes == [(180, 1000), (300, 500), (360, 2000)]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (
            lambda there: there.load("DOGE-USDT", minutes(), 1),
            "DOGE-USDT: no such market; there are ETH-USDT",
        ),
        (lambda there: there.load(KEY, no_bars(Timeframe.H1), 1), "timeframe: 1h, expected 1m"),
        (lambda there: there.quote_recorded("X", BestPrices(1, 2, 0, recorded=True)), "X: no such market"),
        (lambda there: there.advance(0), "to_ts: 0 lies before 60"),
        (lambda there: there.advance(90), "to_ts: 90, expected a whole minute"),
        (lambda there: there.next_change(90), "until_ts: 90, expected a whole minute"),
        (lambda _: exchange(start_ts=30), "start_ts: 30, expected a whole minute"),
        (lambda _: exchange(replace(ETH, quote="EUR")), "ETH-USDT quote: EUR, the account is in USDT"),
        (
            lambda _: SimulatedExchange({KEY: ETH}, {}, {KEY: CHEAP}, LAST, "USDT", 1, 0),
            "ETH-USDT: has terms, but no fees",
        ),
        (
            lambda _: SimulatedExchange({KEY: ETH}, {KEY: FEES}, {}, LAST, "USDT", 1, 0),
            "ETH-USDT: has terms, but no liquidity",
        ),
        (
            lambda _: exchange(ETH, replace(ETH, key="B.ETH-USDT", base_scale=10)),
            "ETH-USDT base_scale: 1000, but 10 in B.ETH-USDT",
        ),
    ],
)
def test_a_mistake_of_the_house_is_told_with_what_was_expected(spoil, said):
    """Not as a refused order: this is no matter of the market."""
    with pytest.raises(DataInvalid, match=said):
        spoil(priced())


async def test_a_market_may_come_later_and_get_other_terms():
    """New increments count for new orders; fees are those of the moment of placing."""
    there = priced(*flat(10000, 1), (10000, 10000, 9800, 10000, 10**6), *flat(10000, 3))
    await there.place(buy(9900, 100, "before"))
    there.add_market(replace(ETH, price_increment=5), Fees(maker_bps=0, taker_bps=0), CHEAP)
    assert (await there.place(buy(9901, 100, "off"))).code == Code.PARAMETER_ERROR.value
    await there.place(buy(9900, 100, "after"))
    there.add_market(COARSE, FEES, CHEAP)
    assert set(await there.balances()) == {"USDT", "ETH", "SOL"}
    there.advance(120)
    assert (await there.order("before")).fills[0].fee == 9900 * 100
    assert (await there.order("after")).fills[0].fee == 0
    assert (await there.best_prices(KEY)).ts == 120


async def test_other_scales_wait_until_no_order_is_open_and_rescale_the_coin():
    """The price must be fed anew; what is no whole number of the new units is refused."""
    there = await with_coin(*flat(10000, 3))
    await there.place(sell(10100))
    finer = replace(ETH, base_scale=10_000, price_scale=1000)
    with pytest.raises(DataInvalid, match="ETH-USDT: has open orders, so its scales must stay"):
        there.add_market(finer, FEES, CHEAP)
    await there.cancel("a")
    there.add_market(finer, FEES, CHEAP)
    assert (await there.balances())["ETH"] == Balance(20_000)
    assert await there.best_prices(KEY) is None
    there.advance(180)
    assert (await there.place(sell(100_000, 20_000, "b"))).is_open


async def test_closed_orders_are_forgotten_when_told_to():
    """Those closed at or after the instant stay, and open ones always."""
    there = priced(*flat(10000, 5))
    await there.place(buy(9900, 10, "open"))
    await there.place(buy(9900, 10, "old"))
    await there.cancel("old")
    there.advance(120)
    await there.place(buy(1, 10, "refused"))
    there.forget_closed_before(120)
    assert [await there.order(name) is None for name in ("open", "old", "refused")] == [False, True, False]
    there.forget_closed_before(121)
    assert [await there.order(name) is None for name in ("open", "refused")] == [False, True]


async def test_a_state_is_recorded_and_read_back_exactly():
    """Open, part filled, closed and refused orders, holds, prices: all of it, through JSON."""
    wild = [(10000, 10200, 9800, 10000, 300), (10000, 10200, 9800, 9900, 900)]
    there = await with_coin(*wild)
    await there.place(buy(9900, name="buy", ttl_s=600))
    await there.place(oco(10100, 9000, name="oco"))
    await there.place(buy(1, 10, name="refused"))
    there.quote_recorded(KEY, BestPrices(9999, 10001, 120, recorded=True))
    there.advance(180)
    state = there.state()
    read = VENUE_FORM.of_record(json.loads(json.dumps(VENUE_FORM.as_record(state))), "venue")
    assert read == state
    again = SimulatedExchange.of(read, {KEY: ETH}, {KEY: FEES}, {KEY: CHEAP}, LAST, "USDT")
    assert again.state() == state
    assert len(state.working) == 2
    assert len(state.closed) == 2
    again.load(KEY, minutes(None, None, *wild), 1000)
    assert await again.best_prices(KEY) == await there.best_prices(KEY)
    assert (await again.place(buy(9900, name="buy"))) == await there.order("buy")
    for one in (there, again):
        one.advance(240)
    assert again.state() == there.state() != state


async def test_an_exchange_that_has_seen_nothing_is_recorded_too():
    """No price, no order: read back it is the same."""
    state = exchange().state()
    again = SimulatedExchange.of(state, {KEY: ETH}, {KEY: FEES}, {KEY: CHEAP}, LAST, "USDT")
    assert again.state() == state
    assert await again.best_prices(KEY) is None


async def open_state():
    there = priced()
    await there.place(buy(9900))
    return there.state()


@pytest.mark.parametrize(
    ("spoil", "terms", "quote", "said"),
    [
        (lambda state: state, {KEY: ETH}, "EUR", "quote: USDT, expected EUR"),
        (lambda state: state, {COARSE.key: COARSE}, "USDT", "ETH-USDT: has open orders, but no terms"),
        (lambda state: replace(state, markets=()), {KEY: ETH}, "USDT", "ETH-USDT: has open orders, but no"),
        (
            lambda state: state,
            {KEY: replace(ETH, price_scale=1000)},
            "USDT",
            r"ETH-USDT: has open orders in scales \(100, 1000\), its terms have others",
        ),
        (
            lambda state: replace(state, working=()),
            {KEY: ETH},
            "USDT",
            "USDT: 9919800000 held, expected 0 by the orders",
        ),
        (
            lambda state: replace(state, now_ts=61),
            {KEY: ETH},
            "USDT",
            "start_ts: 61, expected a whole minute",
        ),
    ],
)
async def test_a_state_that_does_not_fit_is_refused(spoil, terms, quote, said):
    """Named by market or coin."""
    state = spoil(await open_state())
    fees, liquidity = dict.fromkeys(terms, FEES), dict.fromkeys(terms, CHEAP)
    with pytest.raises(DataInvalid, match=said):
        SimulatedExchange.of(state, terms, fees, liquidity, LAST, quote)


async def test_a_market_that_went_leaves_its_coin_and_one_that_came_begins_empty():
    """Nothing is sold by a configuration; a price in another scale is not taken over."""
    state = (await with_coin()).state()
    terms = {COARSE.key: COARSE}
    other = SimulatedExchange.of(
        state, terms, dict.fromkeys(terms, FEES), dict.fromkeys(terms, CHEAP), LAST, "USDT"
    )
    assert (await other.balances())["ETH"] == Balance(2000)
    assert await other.best_prices(COARSE.key) is None
    finer = {KEY: replace(ETH, price_scale=1000)}
    back = SimulatedExchange.of(
        other.state(),
        finer,
        {KEY: FEES},
        {KEY: Liquidity(half_spread_bps=0, slippage_bps=0, impact_bps=0)},
        LAST,
        "USDT",
    )
    assert await back.best_prices(KEY) is None
    straight = SimulatedExchange.of(state, finer, {KEY: FEES}, {KEY: CHEAP}, LAST, "USDT")
    assert await straight.best_prices(KEY) is None


def test_an_account_opens_with_its_cash_alone():
    """And every market's coin at nothing."""
    state = exchange(ETH, COARSE).state()
    assert [(one.coin, one.total) for one in state.account.holdings] == [
        ("USDT", 1000 * CASH_SCALE),
        ("ETH", 0),
        ("SOL", 0),
    ]
    assert [market.key for market in state.markets] == [KEY, COARSE.key]
