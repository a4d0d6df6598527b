"""Hours prepared once: the run that nothing befell, copies before its moments, and how to live one."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from daemon.app import building
from daemon.clock import DrivenClock
from daemon.configuration import load_settings
from daemon.operator import settle_timers
from daemon.telling import remind
from daemon.workers import load_state
from exchanges.sandbox.running import running_sandbox
from market.errors import RegimedError
from tests.cycle.deaths import (
    KEY,
    MOMENTS,
    RULES,
    Moment,
    Twin,
    copied,
    delivered,
    live,
    looks,
    rung,
    started_before,
)
from tests.cycle.house import START, House, house, simulated, write_config

STRUCK = tuple(number for number, moment in enumerate(MOMENTS) if moment.watched or number == 0)
NAMES = {moment.name.replace(" ", "-"): number for number, moment in enumerate(MOMENTS)}
Steps = Callable[[House, Moment], Awaitable[None]]


def prepared(folder: Path) -> Twin:
    """Live through all moments; each struck one leaves a copy of the folder before it, at first empty."""

    async def through() -> Twin:
        twin = Twin(before={0: nothing})
        async with house(folder / "house", **RULES) as there:
            with rung(there):
                for number, moment in enumerate(MOMENTS):
                    if moment.watched:
                        twin.before[number] = copied(folder / "house", folder / f"{number}-before")
                    await live(there, moment)
                    twin.looks.append(await looks(there))
                    twin.phone.append(delivered(folder / "house"))
        return twin

    (folder / "house").mkdir(parents=True)
    nothing = copied(folder / "house", folder / "0-before")
    return asyncio.run(through())


def lived(folder: Path, number: int, steps: Steps = live, ahead: timedelta = timedelta(0)) -> None:
    """Start before a moment and live it; the daemon's clock may be wrong, the exchange's is right."""

    async def living() -> None:
        start = started_before(folder, number) if not ahead else started_wrongly(folder, number, ahead)
        async with start as there:
            await steps(there, MOMENTS[number])

    asyncio.run(living())


async def struggle(there: House, moment: Moment) -> None:
    """Do what the workers do where some of it fails: each goes on, as they do."""
    there.clock.set(START.plus(moment.hour).closes_at + moment.after)
    app = there.app

    async def deed() -> None:
        if moment.deed is not None:
            await moment.deed(there)

    steps: tuple[Callable[[], Awaitable[object]], ...] = (
        deed,
        there.attend,
        lambda: remind(app),
        lambda: settle_timers(app),
        app.outbox.deliver,
        app.store.fetch_and_merge,
        app.store.push,
        app.store.flush,
        app.store.refresh_index,
    )
    for step in steps:
        with suppress(RegimedError, OSError):
            await step()


@dataclass
class WrongClock:
    """A machine's clock that is off the exchange's; it runs as fast."""

    right: DrivenClock
    ahead: timedelta

    @property
    def rate(self) -> float:
        return self.right.rate

    def now(self) -> datetime:
        return self.right.now() + self.ahead

    def monotonic(self) -> float:
        return self.right.monotonic()

    def set(self, instant: datetime) -> None:
        self.right.set(instant)


@asynccontextmanager
async def started_wrongly(folder: Path, number: int, ahead: timedelta) -> AsyncIterator[House]:
    """Start at a moment with a clock that is off."""
    moment = MOMENTS[number]
    right = DrivenClock(START.plus(moment.hour).closes_at + moment.after)
    wrong = WrongClock(right, ahead)
    async with running_sandbox(simulated(1), right) as sandbox:
        settings = load_settings(write_config(folder, sandbox.url, [KEY], **RULES), {})
        async with building(settings, wrong, create=True) as app:
            await load_state(app)
            there = House(app, right, sandbox, folder)
            with rung(there):
                yield there


def work_folder() -> Path:
    """Return where copies are quick: in memory where the system has such a place."""
    memory = Path("/dev/shm")
    return memory if os.access(memory, os.W_OK) else Path(os.environ.get("TMPDIR", "/tmp"))
