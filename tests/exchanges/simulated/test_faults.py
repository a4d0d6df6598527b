"""An exchange that fails by plan."""

from __future__ import annotations

from collections import Counter

import pytest

from exchanges.simulated.faults import Fault, FaultyExchange, FaultySimulation, ScriptedFaults, SeededFaults
from market.errors import ExchangeUnavailable, RateLimited
from tests.exchanges.simulated.builders import KEY, buy, exchange, flat, minutes


def scripted(**by_number: Fault) -> tuple[FaultySimulation, object]:
    inner = exchange()
    inner.load(KEY, minutes(*flat(10000, 3), *flat(9000, 3)), 1000)
    inner.advance(60)
    plan = ScriptedFaults({int(number.strip("n")): fault for number, fault in by_number.items()})
    return FaultySimulation(inner, plan), inner


async def test_an_outage_keeps_the_order_from_the_exchange():
    """And the same under the same name goes through later."""
    faulty, inner = scripted(n0=Fault.OUTAGE, n1=Fault.RATE_LIMIT)
    with pytest.raises(ExchangeUnavailable, match="outage by plan"):
        await faulty.place(buy(9900))
    with pytest.raises(RateLimited) as told:
        await faulty.place(buy(9900))
    assert (told.value.retry_after_s, told.value.own_quota) == (1.0, True)
    assert await inner.open_orders() == ()
    assert (await faulty.place(buy(9900))).is_open


async def test_an_order_whose_answer_was_lost_is_there():
    """Asked for by its name it is found; placed again it is one order."""
    faulty, inner = scripted(n0=Fault.ANSWER_LOST, n3=Fault.ANSWER_LOST)
    with pytest.raises(ExchangeUnavailable, match="answer lost by plan"):
        await faulty.place(buy(9900))
    found = await faulty.order("a")
    assert found == await faulty.place(buy(9900))
    assert await inner.open_orders() == (found,)
    with pytest.raises(ExchangeUnavailable):
        await faulty.cancel("a")
    assert await faulty.open_orders() == ()
    assert (await faulty.balances())["USDT"].held == 0


async def test_stale_prices_are_those_of_the_last_answer():
    """The price has moved on; one that was never told cannot be stale."""
    faulty, inner = scripted(n0=Fault.STALE, n2=Fault.STALE)
    first = await faulty.best_prices(KEY)
    faulty.advance(240)
    assert faulty.now_ts == inner.now_ts == 240
    second = await faulty.best_prices(KEY)
    faulty.advance(300)
    assert (await faulty.best_prices(KEY)) == second != first
    assert (await faulty.best_prices(KEY)).ts == 300


async def test_time_passes_through():
    """What changes next is what the exchange says."""
    faulty, inner = scripted()
    await faulty.place(buy(9900))
    assert faulty.next_change(360) == inner.next_change(360) == 240
    assert faulty.next_change(180) is None


def test_drawn_faults_come_as_often_as_planned_and_the_same_each_time():
    """A tenth, a twentieth, and nothing else."""
    plan = SeededFaults(1, {Fault.OUTAGE: 0.1, Fault.ANSWER_LOST: 0.05})
    drawn = [plan.strikes("place", number) for number in range(4000)]
    counts = Counter(drawn)
    assert abs(counts[Fault.OUTAGE] / 4000 - 0.1) < 0.02
    assert abs(counts[Fault.ANSWER_LOST] / 4000 - 0.05) < 0.015
    assert set(counts) == {None, Fault.OUTAGE, Fault.ANSWER_LOST}
    assert drawn == [plan.strikes("place", number) for number in range(4000)]
    assert drawn != [SeededFaults(2, plan.shares).strikes("place", number) for number in range(4000)]


async def test_any_trading_exchange_can_be_made_to_fail():
    """It needs no simulated time."""
    faulty = FaultyExchange(exchange(), ScriptedFaults({1: Fault.OUTAGE}))
    assert await faulty.open_orders(KEY) == ()
    with pytest.raises(ExchangeUnavailable):
        await faulty.balances()
    assert faulty.calls == 2
