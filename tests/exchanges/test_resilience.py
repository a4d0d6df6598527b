"""Retries, breaker and waits, all in the clock's own time."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from exchanges.breaker import BreakerState
from exchanges.resilience import Resilience, ResilienceSettings
from market.errors import (
    AnswerMalformed,
    CircuitOpen,
    ExchangeError,
    ExchangeRefused,
    ExchangeUnavailable,
    RateLimited,
    RequestRefused,
)
from tests.exchanges.conftest import Listener
from tests.fakes import FakeClock

DOWN = ExchangeUnavailable("x", "GET /", "down")


class Host:
    """Answers with what it is told, one thing a request, the last for ever."""

    def __init__(self, *outcomes: BaseException | str) -> None:
        self.outcomes, self.asked = list(outcomes), 0

    async def __call__(self) -> str:
        self.asked += 1
        outcome = self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome


def shield(clock: FakeClock, listener: Listener | None = None, **settings: Any) -> Resilience:
    return Resilience(
        "x", "host", ResilienceSettings(**settings), clock, listener or Listener(), sleep=clock.sleep, seed=3
    )


async def ask(resilience: Resilience, host: Host, *, repeatable: bool = True) -> str:
    return await resilience.call("GET /", host, weight=1, repeatable=repeatable)


async def fails(resilience: Resilience, host: Host) -> ExchangeError:
    with pytest.raises(ExchangeError) as raised:
        await ask(resilience, host)
    return raised.value


async def test_a_passing_trouble_is_retried_with_growing_jittered_waits(clock):
    """Two failures and a success cost two waits, the second about twice the first."""
    host = Host(DOWN, DOWN, "fine")
    assert await ask(shield(clock), host) == "fine"
    first, second = clock.slept
    assert 0.25 <= first <= 0.75
    assert 0.5 <= second <= 1.5


async def test_what_is_not_safe_to_repeat_is_asked_once(clock):
    """A request that changes something is never sent twice on a guess."""
    host = Host(DOWN)
    with pytest.raises(ExchangeUnavailable):
        await ask(shield(clock), host, repeatable=False)
    assert (host.asked, clock.slept) == (1, [])


@pytest.mark.parametrize("kind", [RequestRefused, ExchangeRefused])
async def test_a_refusal_is_not_retried_and_proves_that_the_host_is_alive(clock, kind):
    """Asking again would get the same no; a no between failures ends the row of failures."""
    resilience = shield(clock)
    no = Host(kind("x", "GET /", "no"))
    await fails(resilience, Host(DOWN))
    await fails(resilience, Host(DOWN))
    await fails(resilience, no)
    await fails(resilience, Host(DOWN))
    assert no.asked == 1
    assert resilience.breaker.state is BreakerState.CLOSED


async def test_the_breaker_opens_after_exactly_three_failed_calls(clock):
    """Two failed calls leave it closed, the third opens it, then nothing is asked for half an hour."""
    listener, host = Listener(), Host(DOWN)
    resilience = shield(clock, listener, tries=2)
    await fails(resilience, host)
    await fails(resilience, host)
    assert resilience.breaker.state is BreakerState.CLOSED
    await fails(resilience, host)
    assert listener.breaker == [BreakerState.OPEN]
    assert host.asked == 6

    refused = await fails(resilience, host)
    assert isinstance(refused, CircuitOpen)
    assert refused.retry_in_s == pytest.approx(1800, abs=5)
    clock.advance(1700)
    assert isinstance(await fails(resilience, host), CircuitOpen)
    assert host.asked == 6


async def test_success_between_failures_starts_the_count_again(clock):
    """Only failures in a row open the circuit."""
    resilience = shield(clock, tries=1)
    for _ in range(5):
        await fails(resilience, Host(DOWN))
        await fails(resilience, Host(AnswerMalformed("x", "GET /", "half")))
        assert await ask(resilience, Host("fine")) == "fine"
    assert resilience.breaker.state is BreakerState.CLOSED


async def test_a_failed_probe_opens_the_circuit_again_and_a_good_one_closes_it(clock):
    """Half an hour later one probe decides."""
    listener = Listener()
    resilience = shield(clock, listener, tries=1)
    for _ in range(3):
        await fails(resilience, Host(DOWN))
    clock.advance(1800)
    assert not isinstance(await fails(resilience, Host(DOWN)), CircuitOpen)
    assert isinstance(await fails(resilience, Host("fine")), CircuitOpen)
    clock.advance(1800)
    assert await ask(resilience, Host("fine")) == "fine"
    opened, probing, closed = BreakerState.OPEN, BreakerState.HALF_OPEN, BreakerState.CLOSED
    assert listener.breaker == [opened, probing, opened, probing, closed]


async def test_only_one_request_is_the_probe(clock):
    """While the probe is under way every other request is spared."""
    resilience = shield(clock, tries=1)
    for _ in range(3):
        await fails(resilience, Host(DOWN))
    clock.advance(1800)
    entered, finish = anyio.Event(), anyio.Event()

    async def slow_probe() -> str:
        entered.set()
        await finish.wait()
        return "fine"

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: resilience.call("GET /", slow_probe, weight=1, repeatable=True))
        await entered.wait()
        bystander = Host("fine")
        assert isinstance(await fails(resilience, bystander), CircuitOpen)
        assert bystander.asked == 0
        finish.set()
    assert resilience.breaker.state is BreakerState.CLOSED


async def test_a_cancelled_probe_lets_the_next_one_through(clock):
    """Stopping the program in the middle of a probe is no verdict about the host."""
    resilience = shield(clock, tries=1)
    for _ in range(3):
        await fails(resilience, Host(DOWN))
    clock.advance(1800)
    with anyio.CancelScope() as scope:

        async def cut() -> str:
            scope.cancel()
            await anyio.lowlevel.checkpoint()
            return "never"

        await resilience.call("GET /", cut, weight=1, repeatable=True)
    assert await ask(resilience, Host("fine")) == "fine"


async def test_stragglers_do_not_prolong_the_pause(clock):
    """Requests that were under way when the circuit opened fail later without starting the half hour anew."""
    resilience = shield(clock, tries=1)
    entered, finish = anyio.Event(), anyio.Event()

    async def straggler() -> str:
        entered.set()
        await finish.wait()
        raise DOWN

    async def late() -> None:
        with pytest.raises(ExchangeUnavailable):
            await resilience.call("GET /", straggler, weight=1, repeatable=True)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(late)
        await entered.wait()
        for _ in range(3):
            await fails(resilience, Host(DOWN))
        clock.advance(600)
        finish.set()
    assert resilience.breaker.retry_in_s == pytest.approx(1200)


async def test_a_jump_of_the_wall_clock_does_not_move_the_breaker(clock):
    """The half hour is real time: a corrected clock neither shortens nor prolongs it."""
    resilience = shield(clock, tries=1)
    for _ in range(3):
        await fails(resilience, Host(DOWN))
    clock.set(clock.now().replace(year=2030))
    assert isinstance(await fails(resilience, Host("fine")), CircuitOpen)


@pytest.mark.parametrize("own_quota", [True, False])
async def test_being_told_to_slow_down_never_counts_for_the_breaker(clock, own_quota):
    """A hundred 429 in a row leave the circuit closed, and do not clear real failures either."""
    resilience = shield(clock)
    await fails(resilience, Host(DOWN))
    await fails(resilience, Host(DOWN))
    for _ in range(100):
        await fails(resilience, Host(RateLimited("x", "GET /", 0.5, own_quota=own_quota)))
    assert resilience.breaker.state is BreakerState.CLOSED
    await fails(resilience, Host(DOWN))
    assert resilience.breaker.state is BreakerState.OPEN


async def test_the_wait_that_the_exchange_asks_for_is_kept(clock):
    """Neither an overloaded server nor a used-up quota is asked again sooner than told."""
    for own_quota in (True, False):
        started = clock.monotonic()
        host = Host(RateLimited("x", "GET /", 12.0, own_quota=own_quota), "fine")
        assert await ask(shield(clock), host) == "fine"
        assert clock.monotonic() - started >= 12


async def test_a_used_up_quota_holds_back_every_request_of_the_host(clock):
    """The quota is shared, so one refusal makes the others wait too."""
    resilience = shield(clock, tries=1)
    await fails(resilience, Host(RateLimited("x", "GET /", 20.0, own_quota=True)))
    assert await ask(resilience, Host("fine")) == "fine"
    assert clock.slept == [pytest.approx(20.0)]


async def test_a_wait_too_long_for_one_call_is_handed_to_the_caller_without_asking(clock):
    """An hour's ban is told as such instead of blocking a cycle."""
    resilience = shield(clock)
    banned = Host(RateLimited("x", "GET /", 3000.0, own_quota=True))
    await fails(resilience, banned)
    spared = Host("fine")
    told = await fails(resilience, spared)
    assert isinstance(told, RateLimited)
    assert told.retry_after_s == pytest.approx(3000, abs=1)
    assert (banned.asked, spared.asked, clock.slept) == (1, 0, [])


async def test_the_budget_holds_back_what_exceeds_it(clock):
    """Weights add up: the request that does not fit waits for the bucket to drain."""
    resilience = shield(clock, budget_weight=20, budget_period_s=3600.0)
    host = Host("fine")
    await resilience.call("GET /", host, weight=20, repeatable=True)
    with anyio.move_on_after(0.01) as scope:
        await resilience.call("GET /", host, weight=5, repeatable=True)
    assert scope.cancelled_caught
    assert host.asked == 1


async def test_the_same_seed_waits_the_same(clock):
    """Jitter is drawn from the seed, so a run can be repeated."""
    waits = []
    for _ in range(2):
        own = FakeClock(clock.now())
        await fails(shield(own), Host(DOWN))
        waits.append(own.slept)
    assert waits[0] == waits[1]
    assert len(waits[0]) == 2
