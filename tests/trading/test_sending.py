"""Orders over a bad line: what is not answered stays as it is, and no name is ever two orders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from exchanges.simulated.faults import Fault, FaultyExchange, ScriptedFaults
from market.errors import RequestRefused
from market.orders import Order, OrderKind, OrderRequest, OrderSide, OrderStatus
from market.ports import TradingExchange
from tests.trading.working import KEY, NAME, PRICE, Working
from trading.reasons import Reason
from trading.sending import Sending, Sent
from trading.swing_plan import SwingPlan

ASKED = OrderRequest(f"{NAME}/1", KEY, OrderSide.BUY, OrderKind.LIMIT, PRICE - 1000, 1000)


def market() -> Working[SwingPlan]:
    """Return a market in which no plan does anything: books and an exchange."""
    return Working(SwingPlan(NAME, KEY, 1000, PRICE, PRICE - 4000, PRICE + 8000, leave_ts=10**6))


def line(
    at_work: Working[SwingPlan], orders: TradingExchange | None = None, *faults: Fault | None
) -> Sending:
    """Return a line to the exchange on which calls meet faults in turn."""
    plan = {number: fault for number, fault in enumerate(faults) if fault is not None}
    return Sending(FaultyExchange(orders or at_work.exchange, ScriptedFaults(plan)), at_work.books)


@pytest.mark.parametrize("fault", [Fault.OUTAGE, Fault.RATE_LIMIT, Fault.ANSWER_LOST])
async def test_a_cancel_without_an_answer_leaves_the_order_open_and_is_asked_again(fault: Fault):
    """Whether it arrived nobody knows: the order counts as open until the exchange says otherwise."""
    at_work = market()
    sending = line(at_work, None, None, fault)
    sent = await sending.carried(Sent(ASKED, "because"), NAME, 60)
    unheard = await sending.cancelled(sent, NAME, 60)
    assert unheard == sent and not unheard.is_closed and sending.orders.errors == 1
    assert sending.notes[-1].what == "no answer" and sending.notes[-1].text.startswith(Reason.ANSWER_LOST)
    back = await sending.cancelled(unheard, NAME, 120)
    assert (
        back.order is not None and back.order.status is OrderStatus.CANCELLED and sending.orders.errors == 0
    )
    assert [note.what for note in sending.notes] == ["placed", "no answer", "cancelled"]


async def test_an_order_that_never_arrived_uses_up_its_name_when_it_is_taken_back():
    """A request that is late on its way finds its name taken: it cannot come to life behind our back."""
    at_work = market()
    sending = line(at_work, None, Fault.OUTAGE)
    sent = await sending.carried(Sent(ASKED, "because"), NAME, 60)
    assert not sent.is_answered
    back = await sending.cancelled(sent, NAME, 120)
    assert back.order is not None and back.order.status is OrderStatus.CANCELLED
    late = await at_work.exchange.place(ASKED)
    assert late.status is OrderStatus.CANCELLED and not await at_work.exchange.open_orders()
    assert at_work.books.ledger.position(NAME).orders[0].outcome == "cancelled"


async def test_an_order_that_never_arrived_stays_so_while_nobody_answers():
    """The cancel says that it is not there, then the line is down: asked again next time."""
    at_work = market()
    sending = line(at_work, None, Fault.OUTAGE, None, Fault.OUTAGE)
    sent = await sending.carried(Sent(ASKED, "because"), NAME, 60)
    still = await sending.cancelled(sent, NAME, 120)
    assert not still.is_answered and not await at_work.exchange.open_orders()
    back = await sending.cancelled(still, NAME, 180)
    assert back.is_closed and await at_work.agrees()


class Forgetful(FaultyExchange):
    """An exchange that denies an open order."""

    async def cancel(self, client_id: str) -> Order:
        raise RequestRefused("tests", "400100", f"no order {client_id}")


async def test_an_exchange_that_denies_an_order_of_ours_is_not_believed():
    """It told us of the order before: that is no state to go on from, and it is said loudly."""
    at_work = market()
    sending = line(at_work, Forgetful(at_work.exchange, ScriptedFaults({})))
    sent = await sending.carried(Sent(ASKED, "because"), NAME, 60)
    with pytest.raises(RequestRefused):
        await sending.cancelled(sent, NAME, 120)


async def test_what_is_closed_is_neither_asked_for_nor_cancelled_again():
    """No call goes out for an order that has ended."""
    at_work = market()
    sending = line(at_work)
    sent = await sending.carried(Sent(ASKED, "because"), NAME, 60)
    closed = await sending.cancelled(sent, NAME, 60)
    dead = Sending(FaultyExchange(at_work.exchange, ScriptedFaults({0: Fault.OUTAGE})), at_work.books)
    assert await dead.cancelled(closed, NAME, 120) is closed
    assert await dead.carried(closed, NAME, 120) is closed
    assert dead.orders.errors == 0


class Blank(FaultyExchange):
    """An exchange that has not heard of an order yet."""

    async def order(self, client_id: str) -> Order | None:
        return None


async def test_an_order_that_the_exchange_does_not_know_yet_keeps_its_last_state():
    """Some exchanges show a placed order a moment later: it is not gone."""
    at_work = market()
    sending = line(at_work, Blank(at_work.exchange, ScriptedFaults({})))
    sent = await sending.carried(Sent(ASKED, "because"), NAME, 60)
    assert await sending.carried(sent, NAME, 120) == sent


@pytest.mark.parametrize("fault", [Fault.OUTAGE, Fault.RATE_LIMIT])
async def test_balances_and_prices_that_nobody_tells_are_unknown_and_counted(fault: Fault):
    """Unknown is not empty; each failure counts until something is answered."""
    at_work = market()
    sending = line(at_work, None, fault, fault, fault)
    assert await sending.balances() is None
    assert await sending.prices(KEY) is None
    assert await sending.balances() is None
    assert (sending.reads.errors, sending.reads.answered) == (3, False)
    told = await sending.balances()
    assert isinstance(told, Mapping) and told["USDT"].total == at_work.cash
    assert (sending.reads.errors, sending.reads.answered) == (0, True)


async def test_a_stop_is_told_with_the_order():
    """The record of an order says all that was asked for."""
    at_work = market()
    bought = replace(ASKED, kind=OrderKind.MARKET, price=PRICE * 2)
    await line(at_work).carried(Sent(bought, "coin"), NAME, 60)
    at_work._add((PRICE, PRICE, PRICE, PRICE))
    sending = line(at_work)
    oco = OrderRequest(f"{NAME}/2", KEY, OrderSide.SELL, OrderKind.OCO, PRICE * 2, 1000, PRICE // 2)
    await sending.carried(Sent(oco, "both"), NAME, 120)
    assert sending.notes[0].text == f"sell 1000 oco at {PRICE * 2}, stop {PRICE // 2}: both"
