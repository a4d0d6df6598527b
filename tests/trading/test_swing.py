"""A swing on the simulated exchange: maker first, protected at once, never doubled."""

from __future__ import annotations

from dataclasses import replace

import pytest

from exchanges.simulated.faults import Fault, FaultyExchange, ScriptedFaults, SeededFaults
from market.orders import CASH_SCALE, OrderKind
from tests.trading.working import KEY, NAME, PRICE, SURE, TERMS, Working
from trading.execution_config import ExecutionConfig
from trading.reasons import Reason
from trading.swing import asked_to_leave
from trading.swing_plan import Stage, SwingPlan

STOP, TARGET = 196_000, 208_000


def swing(**facts) -> SwingPlan:
    return replace(SwingPlan(NAME, KEY, 1000, PRICE, STOP, TARGET, leave_ts=10**6), **facts)


async def entered(**others) -> Working[SwingPlan]:
    """Return a swing whose maker entry was filled and whose protection rests."""
    at_work = Working(swing(), **others)
    await at_work.react()
    await at_work.minute(PRICE, PRICE, PRICE - 100, PRICE)
    assert at_work.plan.stage is Stage.HOLD and at_work.held == 1000
    return at_work


async def test_the_entry_rests_at_the_best_bid_and_pays_the_makers_fee():
    """Maker first: a post-only order at the bid, filled by a minute that trades through it."""
    at_work = await entered()
    first, protection = at_work.notes[0], at_work.plan.sent
    assert "post-only limit" in first.text and "maker entry 1 of 3" in first.text
    line = at_work.books.ledger.position(NAME).orders[0]
    assert (line.filled, line.outcome) == ("1", "filled")
    flows = at_work.books.ledger.position(NAME).flows
    assert flows.taker_fills == 0 and flows.attribution.slippage == 0
    assert protection is not None and protection.request.kind is OrderKind.OCO
    assert await at_work.agrees()


async def test_the_target_is_left_as_maker_and_the_stop_at_the_market():
    """Protection is one order: the target rests, the stop takes; whichever comes ends the trade."""
    at_work = await entered()
    await at_work.minute(PRICE, TARGET + 100, PRICE, TARGET)
    assert at_work.is_done and at_work.plan.ended_by is Reason.TARGET and at_work.held == 0
    stopped = await entered()
    await stopped.minute(PRICE, PRICE, STOP - 500, STOP)
    assert stopped.is_done and stopped.plan.ended_by is Reason.STOP and stopped.held == 0
    assert stopped.books.ledger.position(NAME).flows.attribution.slippage > 0
    assert await at_work.agrees() and await stopped.agrees()


async def test_a_minute_that_reaches_stop_and_target_is_resolved_against_us():
    """Nobody knows which came first, so it was the stop."""
    at_work = await entered()
    await at_work.minute(PRICE, TARGET + 100, STOP - 100, PRICE)
    assert at_work.is_done and at_work.plan.ended_by is Reason.STOP


async def test_an_entry_that_nobody_fills_expires_is_tried_again_and_then_taken():
    """Three maker entries of their whole time each, then the market, where it is cheap enough."""
    at_work = Working(swing(), ExecutionConfig(maker_ttl_s=60, maker_tries=3))
    await at_work.react()
    for _ in range(3):
        await at_work.minute(PRICE)
    assert at_work.told.count("expired") >= 3 and f"{Reason.TTL_EXPIRED}" in at_work.texts
    assert at_work.plan.took and at_work.plan.sent.request.kind is OrderKind.MARKET
    await at_work.minute(PRICE)
    assert at_work.plan.stage is Stage.HOLD and at_work.held == 1000
    assert at_work.books.ledger.position(NAME).flows.taker_fills == 1


async def test_taking_that_would_cost_too_much_is_left_alone():
    """Slippage is measured from the price of the trigger: a market that ran away is not chased."""
    at_work = Working(swing(), ExecutionConfig(maker_ttl_s=60, maker_tries=1, max_slippage_bps=20))
    await at_work.react()
    await at_work.minute(PRICE, PRICE + 2000, PRICE, PRICE + 2000)
    assert at_work.is_done and at_work.plan.ended_by is Reason.SLIPPAGE_TOO_HIGH
    assert f"{Reason.SLIPPAGE_TOO_HIGH}" in at_work.texts and at_work.held == 0
    assert await at_work.agrees()


async def test_without_taking_the_tries_run_out():
    """A trader who does not take gives up, and nothing was traded."""
    at_work = Working(swing(), ExecutionConfig(maker_ttl_s=60, maker_tries=2, take_after_maker=False))
    await at_work.react()
    for _ in range(2):
        await at_work.minute(PRICE)
    assert at_work.is_done and at_work.plan.ended_by is Reason.RETRIES_EXHAUSTED
    assert f"{Reason.RETRIES_EXHAUSTED}" in at_work.texts


async def test_a_post_only_refusal_is_tried_again_further_away_and_never_without_end():
    """The refusal has a name, the next price is safer, and the tries are bounded."""

    class Crossing(FaultyExchange):
        """Tells prices behind the market, so that what looks like a bid would take."""

        async def best_prices(self, key):
            best = await self.inner.best_prices(key)
            return replace(best, bid=best.ask + 1, ask=best.ask + 2)

    at_work = Working(swing(), ExecutionConfig(maker_tries=3, safer_ticks=2, take_after_maker=False))
    at_work.orders = Crossing(at_work.exchange, ScriptedFaults({}))
    await at_work.react()
    refused = [note for note in at_work.notes if note.text == Reason.POST_ONLY_WOULD_TAKE]
    prices = [
        int(note.text.split(" at ")[1].split(":")[0]) for note in at_work.notes if note.what == "placed"
    ]
    assert 1 <= len(refused) <= 3 and prices == sorted(prices, reverse=True) and len(prices) <= 3
    assert "300000" in at_work.texts


async def test_an_account_that_cannot_pay_is_told_so():
    """The exchange's own refusal becomes ours, with its code beside it."""
    at_work = Working(swing(), ExecutionConfig(maker_tries=1, take_after_maker=False), cash=100 * CASH_SCALE)
    await at_work.react()
    assert at_work.is_done and f"{Reason.INSUFFICIENT_BALANCE}" in at_work.texts and "200004" in at_work.texts


async def test_an_order_that_the_exchange_finds_invalid_is_told_so():
    """A size off the increment, say: refused by name, not sent again and again."""
    at_work = Working(swing(size=5), ExecutionConfig(maker_tries=1, take_after_maker=False))
    await at_work.react()
    assert at_work.is_done and f"{Reason.ORDER_REFUSED}" in at_work.texts


async def test_a_lost_answer_is_one_order_all_the_same():
    """Placed and not heard of: the next minute asks by the same name, and there is one order."""
    at_work = Working(swing())
    at_work.orders = FaultyExchange(at_work.exchange, ScriptedFaults({1: Fault.ANSWER_LOST}))
    await at_work.react()
    assert at_work.told == ["no answer"] and at_work.plan.is_waiting
    assert len(await at_work.exchange.open_orders()) == 1
    await at_work.react()
    assert at_work.told == ["no answer", "placed"] and len(await at_work.exchange.open_orders()) == 1


async def test_what_was_filled_while_nobody_answered_is_booked_once():
    """A fill between two questions is found by the second, and counted once."""
    at_work = Working(swing())
    await at_work.react()
    at_work.orders = FaultyExchange(at_work.exchange, ScriptedFaults(dict.fromkeys(range(3), Fault.OUTAGE)))
    await at_work.minute(PRICE, PRICE, PRICE - 100, PRICE)
    assert at_work.held == 0 and not await at_work.agrees()
    await at_work.minute(PRICE)
    await at_work.minute(PRICE)
    await at_work.minute(PRICE)
    assert at_work.held == 1000 and await at_work.agrees()


async def test_it_is_left_in_time():
    """After its longest time the protection is taken back and the coin sold."""
    at_work = Working(swing(leave_ts=240))
    await at_work.react()
    await at_work.minute(PRICE, PRICE, PRICE - 100, PRICE)
    await at_work.minute(PRICE)
    await at_work.minute(PRICE)
    assert at_work.plan.ended_by is Reason.MAX_HOLD and at_work.plan.stage is Stage.LEAVE
    await at_work.minute(PRICE)
    assert at_work.is_done and at_work.held == 0 and await at_work.agrees()


async def test_who_asks_it_to_leave_is_obeyed_in_every_stage():
    """Before the entry is filled it comes to nothing; after it the coin is sold. The first reason stays."""
    fresh = Working(swing())
    await fresh.react()
    fresh.plan = asked_to_leave(fresh.plan, Reason.REGIME_EXIT)
    fresh.plan = asked_to_leave(fresh.plan, Reason.STOP)
    await fresh.react()
    assert fresh.is_done and fresh.plan.ended_by is Reason.REGIME_EXIT and fresh.held == 0
    holding = await entered()
    holding.plan = asked_to_leave(holding.plan, Reason.REGIME_EXIT)
    await holding.react()
    await holding.minute(PRICE)
    assert holding.is_done and holding.plan.ended_by is Reason.REGIME_EXIT and holding.held == 0


async def test_a_part_that_was_filled_is_protected_like_the_whole():
    """Half an entry is held as half a trade: with a stop, and of the size that is there."""
    model = SURE.model_copy(update={"participation": 0.5})
    config = ExecutionConfig(maker_ttl_s=120, maker_tries=1, take_after_maker=False)
    at_work = Working(swing(), config, model)
    await at_work.react()
    await at_work.minute(PRICE, PRICE, PRICE - 100, PRICE, volume=1200)
    assert at_work.held == 600 and at_work.plan.stage is Stage.ENTER
    await at_work.minute(PRICE + 100)
    assert at_work.plan.stage is Stage.HOLD and at_work.plan.sent.request.size == 600


async def test_a_part_that_falls_to_its_stop_before_the_entry_is_whole_is_sold():
    """While the rest of the entry still waits nothing protects the part: the desk looks itself."""
    model = SURE.model_copy(update={"participation": 0.5})
    at_work = Working(swing(), model=model)
    await at_work.react()
    await at_work.minute(PRICE, PRICE, PRICE - 100, PRICE, volume=1200)
    assert at_work.held == 600 and at_work.plan.alarm == STOP
    await at_work.minute(STOP - 500, volume=0)
    assert at_work.plan.ended_by is Reason.STOP
    await at_work.minute(STOP - 500)
    await at_work.minute(STOP - 500)
    assert at_work.is_done and at_work.held == 0 and await at_work.agrees()


async def test_a_part_too_small_to_be_sold_is_made_up_first():
    """A crumb that no exchange takes would bind the market for ever."""
    model = SURE.model_copy(update={"participation": 0.5})
    config = ExecutionConfig(maker_ttl_s=60, maker_tries=1, take_after_maker=False)
    at_work = Working(swing(), config, model)
    await at_work.react()
    await at_work.minute(PRICE, PRICE, PRICE - 100, PRICE, volume=8)
    assert at_work.held == 4 < TERMS.base_min_size
    for _ in range(4):
        await at_work.minute(PRICE)
    assert at_work.is_done and at_work.held == 0 and await at_work.agrees()
    assert "made up to what can be sold" in at_work.texts


async def test_protection_that_the_exchange_refuses_means_out():
    """Coin that nobody watches over is sold; the refusal is the reason."""

    class NoOco(FaultyExchange):
        async def place(self, request):
            if request.kind is OrderKind.OCO:
                request = replace(request, size=request.size * 10)  # more than is there
            return await self.inner.place(request)

    at_work = Working(swing())
    at_work.orders = NoOco(at_work.exchange, ScriptedFaults({}))
    await at_work.react()
    await at_work.minute(PRICE, PRICE, PRICE - 100, PRICE)
    await at_work.minute(PRICE)
    assert at_work.is_done and at_work.plan.ended_by is Reason.ORDER_REFUSED and at_work.held == 0


async def test_no_price_no_order():
    """An exchange that tells no price is asked again in a minute."""
    at_work = Working(swing())
    at_work.orders = FaultyExchange(at_work.exchange, ScriptedFaults({0: Fault.RATE_LIMIT}))
    await at_work.react()
    assert at_work.plan.sent is None and at_work.plan.is_waiting
    await at_work.react()
    assert at_work.plan.sent is not None


async def test_a_sale_that_is_refused_is_not_sent_every_minute():
    """Endless identical refusals help nobody: the next try waits a quarter of an hour."""

    class NoSales(FaultyExchange):
        async def place(self, request):
            if request.kind is OrderKind.MARKET:
                request = replace(request, size=request.size * 10)
            return await self.inner.place(request)

    at_work = await entered()
    at_work.orders = NoSales(at_work.exchange, ScriptedFaults({}))
    at_work.plan = asked_to_leave(at_work.plan, Reason.REGIME_EXIT)
    await at_work.react()
    for _ in range(20):
        await at_work.minute(PRICE)
    assert at_work.told.count("rejected") == 2 and at_work.plan.stage is Stage.LEAVE


@pytest.mark.parametrize("seed", range(30))
async def test_a_bad_line_changes_when_but_never_what(seed: int):
    """Outages, limits and lost answers: in the end nothing is held, and books and exchange agree."""
    at_work = Working(swing(leave_ts=3600), ExecutionConfig(maker_ttl_s=120, maker_tries=2))
    shares = {Fault.OUTAGE: 0.2, Fault.RATE_LIMIT: 0.1, Fault.ANSWER_LOST: 0.3}
    at_work.orders = FaultyExchange(at_work.exchange, SeededFaults(seed, shares))
    price = PRICE
    for number in range(120):
        price += (number * 7919 + seed * 104_729) % 1201 - 600
        await at_work.minute(price, price + 150, price - 150, price)
        if at_work.is_done:
            break
    at_work.orders = at_work.exchange
    for _ in range(3):
        await at_work.minute(price)
    assert at_work.is_done and at_work.held == 0 and await at_work.agrees()
    assert not await at_work.exchange.open_orders()


async def test_no_route_pays_more_than_the_bound():
    """A bid that ran away is not followed: every try rests at most where taking would still be allowed."""
    at_work = Working(swing(), ExecutionConfig(maker_ttl_s=60, maker_tries=4, max_slippage_bps=25))
    await at_work.react()
    for price in (200_200, 203_000, 207_000):
        await at_work.minute(price)
    prices = [
        int(note.text.split(" at ")[1].split(":")[0]) for note in at_work.notes if note.text.startswith("buy")
    ]
    assert len(prices) >= 3 and max(prices) <= 200_500
    assert "as far as the trigger's price allows" in at_work.texts


@pytest.mark.parametrize(
    ("price", "reason"), [(STOP - 200, Reason.STOP), (TARGET + 500, Reason.TARGET), (PRICE, Reason.MAX_HOLD)]
)
async def test_nothing_is_bought_once_the_trade_is_over(price: int, reason: Reason):
    """Under its stop, beyond its target or after its time an entry is pointless, by whatever route."""
    leave_ts = 120 if reason is Reason.MAX_HOLD else 10**6
    at_work = Working(swing(leave_ts=leave_ts), ExecutionConfig(maker_ttl_s=60, maker_tries=3))
    at_work.orders = FaultyExchange(at_work.exchange, ScriptedFaults({0: Fault.OUTAGE, 1: Fault.OUTAGE}))
    await at_work.react()
    await at_work.minute(price)
    await at_work.minute(price)
    assert at_work.is_done and at_work.plan.ended_by is reason and at_work.held == 0
    assert at_work.books.ledger.cash == at_work.cash


async def test_an_entry_that_waits_is_taken_back_when_the_price_reaches_the_stop():
    """Nothing was bought yet, and nothing will be: the idea is wrong."""
    at_work = Working(swing())
    await at_work.react()
    await at_work.minute(STOP - 50, volume=0)
    assert at_work.is_done and at_work.plan.ended_by is Reason.STOP
    assert not await at_work.exchange.open_orders()


async def test_an_old_price_is_no_price_to_trade_on():
    """A market that fell silent is waited for, and given up when the trade's time is over."""
    at_work = Working(swing(leave_ts=3600))
    at_work.exchange.advance(1800)
    await at_work.react()
    assert at_work.plan.sent is None and not at_work.notes
    at_work.exchange.advance(3600)
    await at_work.react()
    assert at_work.is_done and at_work.plan.ended_by is Reason.MAX_HOLD


async def test_a_crumb_is_told_as_what_it_is():
    """A part too small to protect is sold because the entry came to too little, and the record says so."""
    model = SURE.model_copy(update={"participation": 0.5})
    config = ExecutionConfig(maker_ttl_s=60, maker_tries=1, take_after_maker=False)
    at_work = Working(swing(), config, model)
    await at_work.react()
    await at_work.minute(PRICE, PRICE, PRICE - 100, PRICE, volume=8)
    for _ in range(4):
        await at_work.minute(203_000)
    assert at_work.is_done and at_work.plan.ended_by is Reason.RETRIES_EXHAUSTED


async def test_what_is_nearly_whole_is_whole():
    """The last crumb of an entry is less than the exchange takes: left out, not rounded up to double."""
    model = SURE.model_copy(update={"participation": 0.5})
    at_work = Working(swing(size=15), ExecutionConfig(maker_ttl_s=60), model)
    await at_work.react()
    await at_work.minute(PRICE, PRICE, PRICE - 100, PRICE, volume=22)
    await at_work.minute(PRICE)
    assert at_work.held == 11 and at_work.plan.stage is Stage.HOLD


async def test_a_refusal_that_will_not_change_is_not_repeated():
    """No balance now is no balance in the same second: one order, one reason."""
    at_work = Working(swing(), ExecutionConfig(maker_tries=5), cash=100 * CASH_SCALE)
    await at_work.react()
    assert at_work.told.count("rejected") == 1 and "placed" not in at_work.told
    assert at_work.is_done and at_work.plan.ended_by is Reason.INSUFFICIENT_BALANCE


async def test_a_part_is_kept_and_protected_where_the_rest_would_cost_too_much():
    """The market ran away from a half-filled entry: the rest is not chased, the part is guarded."""
    model = SURE.model_copy(update={"participation": 0.5})
    config = ExecutionConfig(maker_ttl_s=60, maker_tries=1, max_slippage_bps=20)
    at_work = Working(swing(), config, model)
    await at_work.react()
    await at_work.minute(PRICE, PRICE + 2000, PRICE - 100, PRICE + 2000, volume=1200)
    assert "not taken" in at_work.told and f"{Reason.SLIPPAGE_TOO_HIGH}" in at_work.texts
    assert at_work.held == 600 and at_work.plan.stage is Stage.HOLD
    assert at_work.plan.sent.request.size == 600 and at_work.plan.sent.request.kind is OrderKind.OCO
    await at_work.minute(PRICE, TARGET + 100, PRICE, TARGET)
    assert at_work.is_done and at_work.plan.ended_by is Reason.TARGET and await at_work.agrees()
