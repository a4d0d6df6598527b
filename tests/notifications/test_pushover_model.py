"""Any order of alarms, stops, taps, restarts and faults: what a phone may and may not do."""

from __future__ import annotations

import asyncio
import tempfile
from collections import deque
from dataclasses import replace
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from market.errors import NotifyFailed
from tests.fakes import FakeClock
from tests.notifications.receivers import PushoverServer
from tests.notifications.test_pushover import NOW, STOP, connected

FAULTS = st.sampled_from([None, None, None, "500", "lost", "refuse connection"])
STEPS = st.one_of(
    st.tuples(st.just("alarm"), FAULTS, FAULTS),
    st.tuples(st.just("stop"), FAULTS, FAULTS),
    st.tuples(st.just("tap"), st.none(), st.none()),
    st.tuples(st.just("ask"), FAULTS, FAULTS),
    st.tuples(st.just("restart"), st.none(), st.none()),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(STEPS, min_size=1, max_size=14))
def test_whatever_happens_alarms_do_not_pile_up_and_taps_are_not_lost(steps):
    """After an alarm without a fault one sounds, after a stop that says so none; every tap comes out once."""
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_live(steps, Path(folder)))


async def _live(steps, folder):
    clock = FakeClock(NOW)
    async with PushoverServer(clock) as server:
        life = Life(server)
        left = deque(steps)
        while left:
            async with connected(server, clock, folder) as channel:
                while left:
                    what, *faults = left.popleft()
                    if what == "restart":
                        break
                    clock.advance(6)
                    server.faults.clear()
                    server.receipt_faults.clear()
                    await getattr(life, what)(channel, *faults)
        server.receipt_faults.clear()
        async with connected(server, clock, folder) as channel:
            for _ in range(2):
                clock.advance(6)
                await life.ask(channel, None, None)
            await life.stop(channel, None, None)
        assert life.told == life.tapped & server.answered
        assert server.violations == []


class Life:
    """What is done to a channel and a phone, and what must hold after each."""

    def __init__(self, server):
        self.server, self.number, self.told, self.tapped = server, 0, set(), set()

    async def alarm(self, channel, fault, receipt_fault):
        self.number += 1
        self.server.faults.append(fault)
        self.server.receipt_faults.append(receipt_fault)
        try:
            await channel.send(replace(STOP, body=f"{self.number}"))
        except NotifyFailed as error:
            assert error.wait_s == 5.0
            assert fault is not None
            return
        assert fault is None
        assert self.server.sounding[-1].shown.message == f"{self.number}"
        if receipt_fault is None:
            assert len(self.server.sounding) == 1

    async def stop(self, channel, fault, receipt_fault):
        self.server.receipt_faults.extend([fault, receipt_fault])
        if await channel.cancel("eth-1"):
            assert self.server.sounding == []
        else:
            assert {fault, receipt_fault} != {None}

    async def tap(self, channel, *_):
        for one in self.server.sounding:
            self.server.acknowledge(one.shown.receipt)
            self.tapped.add(one.shown.receipt)

    async def ask(self, channel, fault, receipt_fault):
        self.server.receipt_faults.extend([fault, receipt_fault])
        for one in await channel.acknowledgements():
            assert one.receipt not in self.told
            self.told.add(one.receipt)
            await channel.settled(one.receipt)
