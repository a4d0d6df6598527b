"""A ladder on the simulated exchange: each filled order comes back as its opposite, and nothing is lost."""

from __future__ import annotations

from dataclasses import replace

import pytest

from exchanges.simulated.faults import Fault, FaultyExchange, ScriptedFaults, SeededFaults
from market.errors import ExchangeUnavailable
from market.orders import CASH_SCALE, OrderSide
from tests.trading.working import KEY, NAME, PRICE, SURE, Working
from trading.ladder import LadderPlan
from trading.reasons import Reason
from trading.swing_plan import Stage

PRICES = (190_000, 195_000, 200_000, 205_000, 210_000)
SIZES = (500, 500, 500, 500)


def ladder(**facts) -> LadderPlan:
    plan = LadderPlan(
        NAME, KEY, PRICES, SIZES, first=2, bound=200_500, budget=4_000 * CASH_SCALE, stop_loss=185_000,
        has_coin=(False,) * 4,
    )  # fmt: skip
    return replace(plan, **facts)


async def running(**others) -> Working[LadderPlan]:
    """Return a ladder whose coin was bought and whose orders rest."""
    at_work = Working(ladder(), **others)
    await at_work.react()
    await at_work.minute(PRICE)
    assert at_work.plan.stage is Stage.RUN and at_work.held == 1000
    return at_work


def resting(at_work: Working[LadderPlan]) -> list[tuple[str, int]]:
    return [(sent.request.side.value, sent.request.price) for sent in at_work.plan.sent]


async def test_the_coin_of_the_cells_above_is_bought_and_every_cell_gets_its_order():
    """Below the price buys rest, above it sales; the level nearest to the price has none."""
    at_work = await running()
    assert resting(at_work) == [("buy", 190_000), ("buy", 195_000), ("sell", 205_000), ("sell", 210_000)]
    assert at_work.plan.has_coin == (False, False, True, True) and await at_work.agrees()


async def test_a_filled_order_comes_back_as_its_opposite_and_a_round_is_a_cycle():
    """Down through a buy and up again: one cycle, its profit the width of the cell."""
    at_work = await running()
    await at_work.minute(PRICE, PRICE, 194_900, 195_100)
    assert resting(at_work)[1] == ("sell", 200_000) and at_work.plan.cycles == 0
    await at_work.minute(195_100, 200_100, 195_100, 200_050)
    assert resting(at_work)[1] == ("buy", 195_000) and at_work.plan.cycles == 1
    await at_work.minute(200_050, 205_100, 200_050, 205_050)
    assert resting(at_work)[2] == ("buy", 200_000) and at_work.plan.cycles == 1
    await at_work.minute(205_050, 205_050, 199_900, 200_000)
    assert resting(at_work)[2] == ("sell", 205_000) and at_work.plan.cycles == 2
    assert at_work.held == 1000 and await at_work.agrees()


async def test_an_order_in_a_minute_never_fills_in_that_minute():
    """A sale that a filled buy brings meets the next minute's prices, not those that filled the buy."""
    at_work = await running()
    await at_work.minute(PRICE, 200_100, 194_900, 200_050)
    assert at_work.plan.cycles == 0 and at_work.held == 1500


async def test_the_stop_takes_everything_back_and_sells():
    """Below the stop no order rests and no coin is held; what was bought on the way is sold with it."""
    at_work = await running()
    await at_work.minute(PRICE, PRICE, 184_000, 184_500)
    await at_work.minute(184_500)
    await at_work.minute(184_500)
    assert at_work.is_done and at_work.plan.ended_by is Reason.STOP
    assert at_work.held == 0 and not await at_work.exchange.open_orders() and await at_work.agrees()


async def test_who_asks_it_to_leave_is_obeyed_also_while_it_enters():
    """The first purchase is taken back; what it brought already is sold."""
    model = SURE.model_copy(update={"participation": 0.5})
    at_work = Working(ladder(), model=model)
    await at_work.react()
    await at_work.minute(PRICE, volume=400)
    assert at_work.held == 200 and at_work.plan.stage is Stage.ENTER
    at_work.plan = replace(at_work.plan, ended_by=Reason.GRID_EXIT)
    await at_work.react()
    await at_work.minute(PRICE)
    assert at_work.is_done and at_work.plan.ended_by is Reason.GRID_EXIT and at_work.held == 0
    gone = await running()
    gone.plan = replace(gone.plan, ended_by=Reason.GRID_EXIT)
    await gone.react()
    await gone.minute(PRICE)
    assert gone.is_done and gone.held == 0 and await gone.agrees()


async def test_coin_that_runs_away_before_it_is_bought_is_not_chased():
    """Above its bound the first purchase expires, and nothing comes of the grid."""
    at_work = Working(ladder())
    await at_work.react()
    await at_work.minute(203_000)
    await at_work.minute(203_000)
    assert at_work.is_done and at_work.plan.ended_by is Reason.SLIPPAGE_TOO_HIGH and at_work.held == 0


async def test_a_purchase_that_the_account_cannot_pay_comes_to_nothing_with_its_reason():
    """The exchange's refusal is the reason."""
    at_work = Working(ladder(), cash=100 * CASH_SCALE)
    await at_work.react()
    assert at_work.is_done and at_work.plan.ended_by is Reason.INSUFFICIENT_BALANCE


async def test_a_ladder_that_starts_at_its_top_buys_no_coin_first():
    """All cells lie below: there is nothing to buy at the market, and only buys rest."""
    at_work = Working(ladder(first=4, prices=(180_000, 185_000, 190_000, 195_000, 199_000), stop_loss=None))
    await at_work.react()
    assert at_work.plan.stage is Stage.RUN and {side for side, _ in resting(at_work)} == {"buy"}
    assert at_work.plan.alarm is None


async def test_a_part_of_the_first_coin_is_all_that_its_cell_trades_and_no_cell_buys_twice():
    """What was bought goes to the lowest cells above; a cell with a part trades that part."""
    model = SURE.model_copy(update={"participation": 0.5})
    at_work = Working(ladder(), model=model)
    await at_work.react()
    await at_work.minute(PRICE, volume=1200)
    await at_work.minute(203_000)
    assert at_work.plan.stage is Stage.RUN and at_work.plan.sizes == (500, 500, 500, 100)
    assert at_work.plan.has_coin == (False, False, True, True) and resting(at_work)[3] == ("sell", 210_000)
    assert at_work.held == 600 and at_work.plan.cycles == 0
    await at_work.minute(203_000, 210_500, 203_000, 209_000)
    assert at_work.held == 0 and at_work.plan.cycles == 0
    await at_work.minute(209_000, 209_000, 204_000, 204_500)
    assert at_work.held == 100 and at_work.plan.cycles == 1 and await at_work.agrees()


async def test_a_crumb_of_first_coin_stays_idle_and_its_cell_buys_its_own():
    """Less than can be sold is nobody's; the cells above it begin with cash, and so cycles are told."""
    model = SURE.model_copy(update={"participation": 0.5})
    at_work = Working(ladder(), model=model)
    await at_work.react()
    await at_work.minute(PRICE, volume=1010)
    await at_work.minute(203_000)
    assert at_work.plan.has_coin == (False, False, True, False) and at_work.held == 505
    assert resting(at_work)[3] == ("buy", 205_000)
    await at_work.minute(203_000)
    assert at_work.plan.has_coin[3] and at_work.plan.cycles == 0 and await at_work.agrees()


async def test_a_wick_to_the_stop_is_the_stop():
    """The price was there, whatever the minute closed at: no kinder than an exchange's stop."""
    at_work = await running()
    await at_work.minute(PRICE, PRICE, 184_900, 199_000)
    assert at_work.plan.ended_by is Reason.STOP
    await at_work.minute(199_000)
    assert at_work.is_done and at_work.held == 0 and await at_work.agrees()


async def test_a_stop_reached_while_the_first_coin_is_bought_ends_the_buying():
    """Nobody buys the rest of a lot below its own stop-loss."""
    model = SURE.model_copy(update={"participation": 0.5})
    at_work = Working(ladder(), model=model)
    await at_work.react()
    await at_work.minute(PRICE, volume=400)
    assert at_work.plan.stage is Stage.ENTER and at_work.plan.alarm == 185_000
    await at_work.minute(PRICE, PRICE, 184_000, 184_500, volume=0)
    await at_work.minute(184_500)
    await at_work.minute(184_500)
    assert at_work.is_done and at_work.plan.ended_by is Reason.STOP and at_work.held == 0
    assert not await at_work.exchange.open_orders() and await at_work.agrees()


async def test_a_first_purchase_that_nobody_serves_ends_in_minutes():
    """A market order is for now: a silent market must not fill it weeks later."""
    at_work = Working(ladder())
    await at_work.react()
    for _ in range(7):
        await at_work.minute(PRICE, volume=0)
    assert at_work.is_done and at_work.held == 0 and not await at_work.exchange.open_orders()


async def test_a_refused_cell_sleeps_and_is_tried_again():
    """A cell whose order is refused rests for a quarter of an hour; the others go on."""

    class NoBuys(FaultyExchange):
        async def place(self, request):
            if request.side is OrderSide.BUY and request.price == PRICES[0]:
                request = replace(request, size=request.size * 1000)
            return await self.inner.place(request)

    at_work = Working(ladder())
    at_work.orders = NoBuys(at_work.exchange, ScriptedFaults({}))
    await at_work.react()
    for _ in range(20):
        await at_work.minute(PRICE)
    assert at_work.told.count("rejected") == 2 and len(at_work.plan.sent) == 3
    assert f"{Reason.INSUFFICIENT_BALANCE}: cell 0" in at_work.texts
    at_work.orders = at_work.exchange
    for _ in range(20):
        await at_work.minute(PRICE)
    assert len(at_work.plan.sent) == 4


@pytest.mark.parametrize("seed", range(20))
async def test_a_bad_line_costs_no_coin(seed: int):
    """Outages, limits and lost answers over hours of fills: once it has left, books and exchange agree."""
    at_work = Working(ladder(), cash=20_000 * CASH_SCALE)
    shares = {Fault.OUTAGE: 0.15, Fault.RATE_LIMIT: 0.05, Fault.ANSWER_LOST: 0.2}
    at_work.orders = FaultyExchange(at_work.exchange, SeededFaults(seed, shares))
    price = PRICE
    for number in range(150):
        price += (number * 7919 + seed * 104_729) % 6001 - 3000
        price = min(max(price, 188_000), 212_000)
        await at_work.minute(price, price + 400, price - 400, price)
        assert at_work.plan.orders <= 1 + 4 * (number + 2)
    at_work.plan = replace(at_work.plan, ended_by=at_work.plan.ended_by or Reason.GRID_EXIT)
    at_work.orders = at_work.exchange
    for _ in range(4):
        await at_work.minute(price)
    assert at_work.is_done and at_work.held == 0 and await at_work.agrees()
    assert not await at_work.exchange.open_orders()


async def test_who_asks_it_to_leave_before_it_ran_is_obeyed_when_its_coin_has_come():
    """The first purchase was filled in the same minute: the coin is sold, no cell gets an order."""
    at_work = Working(ladder())
    await at_work.react()
    at_work.plan = replace(at_work.plan, ended_by=Reason.GRID_EXIT)
    await at_work.minute(PRICE)
    assert at_work.held == 1000 and at_work.plan.stage is Stage.LEAVE
    await at_work.minute(PRICE)
    assert at_work.is_done and at_work.held == 0 and await at_work.agrees()
    assert not at_work.plan.is_waiting and {note.client_id for note in at_work.notes} == {
        f"{NAME}/1", f"{NAME}/2"
    }  # fmt: skip


async def test_an_order_that_somebody_else_cancelled_is_put_up_again_later():
    """A cell without its order sleeps a quarter of an hour, as if refused, and nothing calls it that."""
    at_work = await running()
    (lowest, *_) = at_work.plan.sent
    await at_work.exchange.cancel(lowest.request.client_id)
    await at_work.minute(PRICE)
    assert len(at_work.plan.sent) == 3 and [cell for cell, _ in at_work.plan.asleep] == [0]
    assert "refused" not in at_work.told
    for _ in range(16):
        await at_work.minute(PRICE)
    assert resting(at_work)[0] == ("buy", 190_000) and not at_work.plan.asleep


class Mute(FaultyExchange):
    """An exchange that takes orders back and does not tell of any."""

    async def order(self, client_id):
        raise ExchangeUnavailable("tests", f"order {client_id}", "no answer")


async def test_a_fill_that_only_the_cancel_tells_of_is_booked_and_counted():
    """Nobody answered how the order stood; taking it back says that it had been filled."""
    at_work = await running()
    await at_work.minute(PRICE, PRICE, 194_900, 195_100)
    assert at_work.plan.cycles == 0
    at_work.orders = Mute(at_work.exchange, ScriptedFaults({}))
    at_work.plan = replace(at_work.plan, ended_by=Reason.GRID_EXIT)
    await at_work.minute(195_100, 200_100, 195_100, 200_050)
    assert at_work.plan.cycles == 1 and at_work.plan.stage is Stage.LEAVE and at_work.held == 1000
    at_work.orders = at_work.exchange
    for _ in range(2):
        await at_work.minute(PRICE)
    assert at_work.is_done and await at_work.agrees()


def test_a_ladder_that_ended_waits_for_nothing():
    """Nothing is looked at on its behalf any more."""
    ended = ladder(stage=Stage.DONE)
    assert not ended.is_waiting and ended.alarm is None
