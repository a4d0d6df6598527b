"""One minute against open orders: prices, volumes and ways, by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchanges.simulated.fills import FillModel
from exchanges.simulated.matching import MatchingRules, matched
from market.costs import Liquidity, fee_on
from market.orders import OrderFill, OrderStatus
from tests.exchanges.simulated import drawn
from tests.exchanges.simulated.builders import (
    COARSE,
    ETH,
    FEES,
    buy,
    market_buy,
    market_sale,
    minute,
    oco,
    rules,
    sell,
    working,
)
from tests.exchanges.simulated.plainly import matched_plainly

IMPACT = Liquidity(half_spread_bps=0, slippage_bps=0, impact_bps=100)


def only(bar, order, **how):
    """Return the single order after the minute."""
    return matched(bar, [order], how.pop("by", rules(**how)))[0]


def sizes(orders) -> list[int]:
    return [order.order.filled for order in orders]


@pytest.mark.parametrize(("low", "filled"), [(9900, 0), (9899, 1000), (9901, 0)])
def test_a_resting_buy_fills_when_price_trades_through_it(low, filled):
    """At the back of the queue a touch is no fill; one increment beyond is."""
    after = only(minute(10000, 10000, low, 10000), working(buy(9900)))
    assert after.order.filled == filled
    assert after.order.is_open is (filled == 0)


@pytest.mark.parametrize(("high", "filled"), [(10100, 0), (10101, 1000), (10099, 0)])
def test_a_resting_sale_fills_when_price_trades_through_it(high, filled):
    """The same upwards."""
    after = only(minute(10000, high, 10000, 10000), working(sell(10100)))
    assert after.order.filled == filled


@pytest.mark.parametrize("ticks", [0, 1, 3])
def test_how_far_through_is_a_number_of_increments(ticks):
    """Three ticks of a market whose increment is 5 are 15 price units; 0 ticks fill at a touch."""
    order = working(buy(9900, 100), terms=COARSE)
    by = rules(COARSE, through_ticks=ticks)
    short = matched(minute(10000, 10000, 9900 - 5 * ticks + 1, 10000), [order], by)[0]
    enough = matched(minute(10000, 10000, 9900 - 5 * ticks, 10000), [order], by)[0]
    assert (short.order.filled, enough.order.filled) == (0, 100)
    sale = working(sell(10100, 100), terms=COARSE)
    short = matched(minute(10000, 10100 + 5 * ticks - 1, 10000, 10000), [sale], by)[0]
    enough = matched(minute(10000, 10100 + 5 * ticks, 10000, 10000), [sale], by)[0]
    assert (short.order.filled, enough.order.filled) == (0, 100)


def test_a_maker_fill_is_at_its_own_price_with_the_makers_fee():
    """10 bps of 99.00 x 1 coin; what is seen is its own price."""
    fill = only(minute(10000, 10000, 9800, 10000), working(buy(9900))).order.fills[0]
    cash = 9900 * 1000 * 1000
    assert fill == OrderFill(660, 9900, 9900, 1000, cash, cash, cash // 1000, maker=True)


def test_an_order_that_the_price_jumps_over_fills_at_its_own_price():
    """The open lies beyond it: no gift of the gap."""
    down = only(minute(9500, 9600, 9400, 9550), working(buy(9900))).order.fills[0]
    up = only(minute(10500, 10600, 10400, 10450), working(sell(10100))).order.fills[0]
    assert (down.price, down.maker, up.price, up.maker) == (9900, True, 10100, True)


def test_a_filled_order_is_closed_and_holds_nothing():
    """Filled whole, at the minute's end."""
    after = only(minute(10000, 10000, 9800, 10000), working(buy(9900)))
    assert (after.order.status, after.order.closed_ts, after.held) == (OrderStatus.FILLED, 660, 0)


def test_an_order_that_nothing_reaches_is_the_very_same():
    """No change is told where there is none."""
    order = working(buy(9000))
    assert only(minute(10000, 10100, 9900, 10000), order) is order


@pytest.mark.parametrize("queue", [0.0, 0.3, 0.7, 1.0])
def test_at_a_touch_the_place_in_the_queue_decides(queue):
    """Over 2,000 minutes the share of fills is what the queue leaves; at its ends it is certain."""
    model = FillModel(queue_position=queue, participation=1.0)
    by = replace(rules(), model=model)
    bars = [minute(10000, 10000, 9900, 10000, ts=60 * place) for place in range(2000)]
    share = sum(matched(bar, [working(buy(9900))], by)[0].order.filled == 1000 for bar in bars) / 2000
    assert share == 1 - queue if queue in {0.0, 1.0} else abs(share - (1 - queue)) < 0.04
    sales = [minute(9900, 10000, 9900, 9900, ts=60 * place) for place in range(2000)]
    sold = sum(matched(bar, [working(sell(10000))], by)[0].order.filled == 1000 for bar in sales) / 2000
    assert sold == 1 - queue if queue in {0.0, 1.0} else abs(sold - (1 - queue)) < 0.04


def test_the_draw_at_a_touch_belongs_to_one_order_alone():
    """Other orders, before or after it, change nothing; another seed or name does."""
    by = replace(rules(), model=FillModel(queue_position=0.5, participation=1.0))
    bars = [minute(10000, 10000, 9900, 10000, ts=60 * place) for place in range(100)]
    alone = [matched(bar, [working(buy(9900))], by)[0].order.filled for bar in bars]
    others = [working(buy(9900, name="b")), working(buy(9900)), working(buy(9901, name="c"))]
    among = [matched(bar, others, by)[1].order.filled for bar in bars]
    seeded = replace(by, model=by.model.model_copy(update={"seed": 1}))
    assert alone == among
    assert alone != [matched(bar, [working(buy(9900))], seeded)[0].order.filled for bar in bars]
    assert alone != [matched(bar, others, by)[0].order.filled for bar in bars]


def test_the_share_of_volume_is_all_that_our_orders_get_together():
    """A tenth of 20,000 units for two orders of 1,500: the one nearer to the price is served first."""
    orders = [working(buy(9800, 1500, "far")), working(buy(9900, 1500, "near"))]
    after = matched(minute(10000, 10000, 9700, 9800, 20_000), orders, rules(participation=0.1))
    assert sizes(after) == [500, 1500]
    assert [one.order.is_open for one in after] == [True, False]


def test_equal_prices_are_served_as_they_were_placed():
    """Time goes before name."""
    orders = [working(buy(9900, 1500, "z")), working(buy(9900, 1500, "a"))]
    after = matched(minute(10000, 10000, 9700, 9800, 20_000), orders, rules(participation=0.1))
    assert sizes(after) == [1500, 500]
    sales = [working(sell(10100, 1500, "z")), working(sell(10100, 1500, "a")), working(sell(10050, 100, "b"))]
    after = matched(minute(10000, 10300, 10000, 10200, 20_000), sales, rules(participation=0.1))
    assert sizes(after) == [1500, 400, 100]


def test_what_the_volume_allows_is_cut_to_the_increment():
    """109 units of room are 100 where coin comes in tens; the last odd part of an order goes whole."""
    bar = replace(minute(10000, 10000, 9700, 9800, 109), volume_scale=COARSE.base_scale)
    assert sizes(matched(bar, [working(buy(9900, 500), terms=COARSE)], rules(COARSE))) == [100]
    assert sizes(matched(bar, [working(buy(9900, 105), terms=COARSE)], rules(COARSE))) == [105]
    assert sizes(matched(bar, [working(buy(9900, 109), terms=COARSE)], rules(COARSE))) == [109]


def test_volume_counts_in_its_own_scale():
    """2 coins of volume are 2,000 base units of 1/1000, whatever scale tells them."""
    bar = replace(minute(10000, 10000, 9700, 9800, 2), volume_scale=1)
    assert sizes(matched(bar, [working(buy(9900, 5000))], rules(participation=0.5))) == [1000]


def test_an_order_without_room_changes_nothing():
    """The minute's share rounds down to nothing."""
    order = working(buy(9900))
    assert only(minute(10000, 10000, 9700, 9800, 5), order, participation=0.1) is order


def test_a_market_buy_takes_at_the_open_made_worse():
    """10 bps of half-spread and 10 of slippage on 100.00, and the taker's fee."""
    fill = only(minute(10000, 10300, 9900, 10200), working(market_buy(11000))).order.fills[0]
    cash = 10020 * 1000 * 1000
    assert fill == OrderFill(660, 10020, 10000, 1000, cash, 10000 * 10**6, cash // 500, maker=False)


def test_a_market_sale_takes_at_the_open_made_worse():
    """The same downwards."""
    fill = only(minute(10000, 10300, 9900, 10200), working(market_sale(9000))).order.fills[0]
    cash = 9980 * 1000 * 1000
    assert fill == OrderFill(660, 9980, 10000, 1000, cash, 10000 * 10**6, cash // 500, maker=False)


def test_a_takers_price_is_rounded_to_the_increment_against_us():
    """20 bps of 100.01 are 0.20002: 100.211 buys at 100.25 and 99.809 sells at 99.80 in steps of 0.05."""
    terms = replace(ETH, price_increment=5)
    bar = minute(10001, 10300, 9900, 10200)
    bought = matched(bar, [working(market_buy(11000))], rules(terms))[0].order.fills[0]
    sold = matched(bar, [working(market_sale(9000))], rules(terms))[0].order.fills[0]
    assert (bought.price, sold.price) == (10025, 9980)


def test_a_sale_never_falls_below_the_least_price_there_is():
    """A coin at one increment is sold at one increment, not for nothing."""
    sold = only(minute(1, 1, 1, 1), working(market_sale(1, 10**6)))
    assert sold.order.fills[0].price == 1


@pytest.mark.parametrize(("size", "worse_by"), [(10_000, 10), (40_000, 20), (90_000, 30)])
def test_impact_grows_with_the_square_root_of_our_share(size, worse_by):
    """100 bps for all of a minute: 10 for a hundredth of it, 20 for four hundredths."""
    bar = minute(10000, 10300, 9900, 10200, 1_000_000)
    fill = only(bar, working(market_buy(11000, size)), liquidity=IMPACT).order.fills[0]
    assert fill.price == 10000 + worse_by


def test_impact_counts_our_base_units_and_the_volumes_own_scale():
    """Ten of a thousand coins, told in whole coins: a hundredth again."""
    bar = replace(minute(10000, 10300, 9900, 10200, 1000), volume_scale=1)
    assert only(bar, working(market_buy(11000, 10_000)), liquidity=IMPACT).order.fills[0].price == 10010


@pytest.mark.parametrize(("worst", "filled"), [(10020, 1000), (10019, 0)])
def test_a_market_order_never_takes_beyond_its_price(worst, filled):
    """What costs a hair more expires with the minute."""
    after = only(minute(10000, 10300, 9900, 10200), working(market_buy(worst)))
    assert after.order.filled == filled
    assert after.order.status is (OrderStatus.FILLED if filled else OrderStatus.EXPIRED)
    assert (after.order.closed_ts, after.held) == (660, 0)


@pytest.mark.parametrize(("worst", "filled"), [(9980, 1000), (9981, 0)])
def test_a_market_sale_never_takes_below_its_price(worst, filled):
    """The same for a sale."""
    assert only(minute(10000, 10300, 9900, 10200), working(market_sale(worst))).order.filled == filled


def test_the_part_whose_impact_stays_within_the_price_is_taken():
    """Up to 20 bps away there are four hundredths of the minute; the rest of a market order expires."""
    bar = minute(10000, 10300, 9900, 10200, 1_000_000)
    after = only(bar, working(market_buy(10020, 90_000)), liquidity=IMPACT)
    assert after.order.filled == 40_000
    assert after.order.fills[0].price == 10020
    assert after.order.status is OrderStatus.EXPIRED
    assert after.held == 0


@pytest.mark.parametrize("size", [105, 505])
def test_the_part_that_is_taken_lies_on_the_increment(size):
    """105 units at 100.33 are beyond the price, 100 at 100.32 are not; coin comes in tens."""
    terms = replace(COARSE, price_increment=1)
    bar = replace(minute(10000, 10300, 9900, 10200, 1000), volume_scale=COARSE.base_scale)
    order = working(market_buy(10032, size), terms=terms)
    assert sizes(matched(bar, [order], rules(terms, IMPACT))) == [100]


def test_a_market_order_that_lacks_only_volume_goes_on():
    """A tenth of the minute now; as long as the price holds, the next minute's share too."""
    bar = minute(10000, 10300, 9900, 10200, 4000)
    by = rules(participation=0.1)
    first = only(bar, working(market_buy(10500)), by=by)
    assert (first.order.filled, first.taking, first.order.status) == (400, True, OrderStatus.OPEN)
    second = only(replace(bar, ts=660, open=10100), first, by=by)
    assert [fill.price for fill in second.order.fills] == [10020, 10121]
    third = only(replace(bar, ts=720, open=10499), second, by=by)
    assert (third.order.filled, third.order.status) == (800, OrderStatus.EXPIRED)


def test_a_market_order_without_any_room_goes_on_while_its_price_holds():
    """No volume left for it is no reason to expire; a price beyond its own is."""
    bar = minute(10000, 10300, 9900, 10200, 5)
    waits = only(bar, working(market_buy(10020)), participation=0.1)
    assert (waits.order.status, waits.taking) == (OrderStatus.OPEN, True)
    ended = only(bar, working(market_buy(10019)), participation=0.1)
    assert ended.order.status is OrderStatus.EXPIRED


def test_orders_that_take_share_the_volume_as_they_were_placed():
    """A tenth of 15,000: the first gets all of its own."""
    orders = [working(market_buy(10500, 1000, "z")), working(market_buy(10500, 1000, "a"))]
    after = matched(minute(10000, 10300, 9900, 10200, 15_000), orders, rules(participation=0.1))
    assert sizes(after) == [1000, 500]


def test_a_limit_order_that_crossed_takes_at_the_open_and_rests_from_then_on():
    """Bought at the open made worse, not at its own, worse price; the volume's rest fills as maker."""
    bar = minute(10000, 10300, 9900, 10200, 4000)
    by = rules(participation=0.1)
    first = only(bar, working(buy(10500), taking=True), by=by)
    assert (first.order.fills[0].price, first.order.fills[0].maker, first.taking) == (10020, False, False)
    second = only(replace(bar, ts=660), first, by=by)
    assert (second.order.fills[1].price, second.order.fills[1].maker) == (10500, True)


def test_a_limit_order_whose_cost_would_carry_it_beyond_its_price_rests():
    """100.00 is crossed, 100.20 is too much: the open fills nothing; what trades through it later does."""
    dull = only(minute(10000, 10100, 10000, 10100), working(buy(10010), taking=True))
    assert (dull.order.filled, dull.taking, dull.order.is_open) == (0, False, True)
    lasts = only(minute(10000, 10000, 10000, 10000, ts=660), dull)
    assert [(fill.price, fill.maker) for fill in lasts.order.fills] == [(10010, True)]
    sale = only(minute(10000, 10000, 9900, 9900), working(sell(9990), taking=True))
    assert (sale.order.filled, sale.taking, sale.order.is_open) == (0, False, True)
    falls = only(minute(10020, 10100, 10000, 10100), working(buy(10010), taking=True))
    assert [(fill.price, fill.maker) for fill in falls.order.fills] == [(10010, True)]


def test_a_stop_is_a_market_sale_at_the_stop_made_worse():
    """20 bps below 98.00, whatever the low, by the taker's fee, marked as stopped."""
    after = only(minute(10000, 10100, 9500, 9600), working(oco(10500, 9800)))
    cash = 9780 * 1000 * 1000
    fill = OrderFill(660, 9780, 9800, 1000, cash, 9800 * 10**6, fee_on(cash, 2000), maker=False, stopped=True)
    assert after.order.fills == (fill,)
    assert after.order.status is OrderStatus.FILLED


@pytest.mark.parametrize(("low", "filled"), [(9801, 0), (9800, 1000)])
def test_a_stop_is_reached_by_a_touch(low, filled):
    """For us to lose, no queue is needed."""
    after = only(minute(10000, 10100, low, 10000), working(oco(10500, 9800)))
    assert sum(fill.size for fill in after.order.fills if fill.stopped) == filled


def test_a_stop_that_the_price_jumped_over_sells_at_the_open():
    """The open is the first price there was below it."""
    after = only(minute(9000, 9900, 8900, 9800), working(oco(10500, 9800)))
    assert (after.order.fills[0].seen, after.order.fills[0].price) == (9000, 8982)


@pytest.mark.parametrize("close", [9600, 10000, 10900])
def test_stop_and_target_in_one_minute_are_resolved_against_us(close):
    """Whatever the close: pessimists are stopped, optimists have their target."""
    bar = minute(10000, 11000, 9500, close)
    stopped = only(bar, working(oco(10500, 9800))).order.fills
    assert [(fill.price, fill.stopped) for fill in stopped] == [(9780, True)]
    lucky = only(bar, working(oco(10500, 9800)), path="optimistic").order.fills
    assert [(fill.price, fill.stopped, fill.maker) for fill in lucky] == [(10500, False, True)]


def test_a_stop_without_volume_is_reached_all_the_same():
    """It sells in the next minutes at their open, unbounded, until nothing is left."""
    by = rules(participation=0.1)
    first = only(minute(10000, 10000, 9700, 9700, 5), working(oco(10500, 9800)), by=by)
    assert (first.order.filled, first.taking) == (0, True)
    second = only(minute(9000, 11000, 9000, 9000, 4000, 660), first, by=by)
    assert [(fill.seen, fill.size, fill.stopped) for fill in second.order.fills] == [(9000, 400, True)]
    third = only(minute(10600, 11000, 10600, 10600, 40_000, 720), second, by=by)
    assert [(fill.seen, fill.size) for fill in third.order.fills] == [(9000, 400), (10600, 600)]
    assert third.order.status is OrderStatus.FILLED


def test_a_target_that_lacked_volume_is_stopped_with_the_rest():
    """High first: a part at the target, then the stop is reached; the rest is sold from then on."""
    bar = minute(10000, 11000, 9500, 9600, 400)
    after = only(bar, working(oco(10500, 9800)), path="optimistic")
    assert [(fill.price, fill.size) for fill in after.order.fills] == [(10500, 400)]
    assert after.taking


@pytest.mark.parametrize(("path", "filled"), [("pessimistic", [0, 1000]), ("optimistic", [1000, 0])])
def test_which_way_the_price_went_decides_who_gets_the_volume(path, filled):
    """A buy below and a sale above with room for one: the sale before a rise is what pessimists see."""
    orders = [working(buy(9900, name="b")), working(sell(10100, name="s"))]
    after = matched(minute(10000, 10500, 9500, 10400, 1000), orders, rules(path=path))
    assert sizes(after) == filled


def test_what_was_filled_in_minutes_before_is_no_matter_of_this_one():
    """A buy that got 10 units long ago: pessimists see it get 990 more before a fall, not the sale."""
    bought = working(buy(9900, name="b")).filled(ETH, 60, price=9900, seen=9900, size=10, maker=True)
    bar = minute(10000, 10500, 9500, 9600, 990)
    assert sizes(matched(bar, [bought, working(sell(10100, name="s"))], rules())) == [1000, 0]


@pytest.mark.parametrize("path", ["pessimistic", "optimistic"])
def test_where_both_ways_are_worth_the_same_the_low_came_first(path):
    """Room for one buy met by the low or by the way back: nothing to choose, so the first is believed."""
    orders = [working(buy(9900, 10, name="b"), fees=FREE), working(sell(9900, 10, name="s"), fees=FREE)]
    bar = minute(9900, 10000, 9800, 9900, 10)
    assert sizes(matched(bar, orders, rules(path=path, through_ticks=1))) == [10, 0]


FREE = FEES.model_copy(update={"maker_bps": 0.0, "taker_bps": 0.0})


def test_fees_belong_to_what_a_way_is_worth():
    """Buy and sale at the close's price differ by their fee alone: pessimists pay it."""
    dear, cheap = FEES.model_copy(update={"maker_bps": 50.0}), FREE
    orders = [working(buy(9900, name="b"), fees=cheap), working(sell(9900, name="s"), fees=dear)]
    bar = minute(9900, 10000, 9800, 9900, 1000)
    assert sizes(matched(bar, orders, rules())) == [0, 1000]
    assert sizes(matched(bar, orders, rules(path="optimistic"))) == [1000, 0]


def test_what_was_taken_at_the_open_leaves_its_room_to_nobody():
    """Taking comes first on either way; what rests gets the remainder."""
    orders = [working(buy(9900, 800, "r")), working(market_buy(10500, 600, "t"))]
    after = matched(minute(10000, 10300, 9800, 10200, 1000), orders, rules())
    assert sizes(after) == [400, 600]


def test_an_order_is_met_once_on_its_way():
    """Down through it, up and down again: no more than its size, no more than the room."""
    after = only(minute(10000, 10200, 9800, 9850), working(buy(9900)))
    assert [fill.size for fill in after.order.fills] == [1000]
    part = only(minute(10000, 10200, 9800, 9850, 300), working(buy(9900)))
    assert [fill.size for fill in part.order.fills] == [300]


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_orders_that_are_looked_at_once_end_as_if_all_were_looked_at_on_every_leg(data):
    """Any orders, also such as take or took in part; any minute, volume and model: the same fills."""
    model, liquidity = data.draw(drawn.MODELS), data.draw(drawn.LIQUIDITY)
    terms = data.draw(st.sampled_from([ETH, COARSE]))
    asked = [data.draw(drawn.requests(terms, f"o{n}")) for n in range(data.draw(st.integers(1, 8)))]
    orders = [working(one, terms=terms, taking=data.draw(st.booleans())) for one in asked]
    on_a_level = drawn.PRICES.map(lambda price: price * 100)
    four = sorted(data.draw(st.tuples(*[st.integers(9000, 11000) | on_a_level] * 4)))
    first, last = data.draw(st.permutations(four[1:3]))
    volume = data.draw(st.sampled_from([7, 300, 5000, 10**7]))
    bar = minute(first, four[3], four[0], last, volume)
    by = MatchingRules(terms, liquidity, model)
    once = matched(bar, orders, by)
    assert once == matched_plainly(bar, orders, by)
    again = [order for order in once if order.order.is_open]
    assert matched(bar, again, by) == matched_plainly(bar, again, by)
