"""The whole application over the in-process exchange, driven hour by hour."""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from time import perf_counter

import anyio
import structlog

from bench.exchange import DrawnMarket
from daemon.app import App, building
from daemon.clock import DrivenClock
from daemon.logs import configure_logs
from daemon.settings import MarketSettings, RepositorySettings, Settings
from daemon.workers import attend, load_state
from exchanges.resilience import ResilienceSettings
from exchanges.sandbox.running import running_sandbox
from exchanges.settings import ExchangeSettings
from market.hours import Hour

SETTLE = timedelta(seconds=5)
NO_BOUND = 1_000_000_000  # a bench plays hours in seconds: budget and quota of 30 real seconds must not bind


@dataclass(frozen=True, slots=True)
class HourTimes:
    """How long an hour took: from the bell until every market was told, and for each market, seconds."""

    all_markets: float
    each: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class House:
    """A running application whose clock the bench moves."""

    app: App
    clock: DrivenClock

    async def hour(self, hour: Hour) -> HourTimes:
        """Let `hour` close, let every market attend to it, and check that each was judged."""
        each: list[float] = []

        async def timed(market: MarketSettings) -> None:
            await attend(self.app, market)
            each.append(perf_counter() - began)

        self.clock.set(hour.closes_at + SETTLE)
        began = perf_counter()
        async with anyio.create_task_group() as group:
            for market in self.app.settings.markets:
                group.start_soon(timed, market)
        seconds = perf_counter() - began
        for key, state in self.app.board.markets.items():
            if (state.newest, state.outcome) != (hour, "analysed"):
                raise RuntimeError(f"{key} {hour}: {state.outcome}, {state.trouble}")
        await self.app.outbox.deliver()
        return HourTimes(seconds, tuple(each))


@asynccontextmanager
async def running_house(folder: Path, market: DrawnMarket, start: Hour) -> AsyncIterator[House]:
    """Build the application in `folder`, where a filled data repository may lie already."""
    clock = DrivenClock(start.closes_at + SETTLE)
    async with running_sandbox(market, clock, quota=NO_BOUND) as sandbox:
        patience = ResilienceSettings(budget_weight=NO_BOUND)
        settings = Settings(
            data_repository=RepositorySettings(base_path=folder / "data"),
            exchanges={"sandbox": ExchangeSettings(base_url=sandbox.url, resilience=patience)},
            markets=tuple(
                MarketSettings(exchange="sandbox", symbol=rules.symbol) for rules in market.symbols
            ),
        )
        async with building(settings, clock, create=True) as app:
            await load_state(app)
            yield House(app, clock)


@contextmanager
def lines_to_nowhere() -> Iterator[None]:
    """Write the log as the daemon does, to a file that keeps nothing."""
    root, before = logging.getLogger(), structlog.get_config()
    handlers, level = root.handlers[:], root.level
    with Path(os.devnull).open("w") as nowhere:
        configure_logs(stream=nowhere, colours=False)
        try:
            yield
        finally:
            root.handlers[:] = handlers
            root.setLevel(level)
            structlog.configure(**before)


class LoopLag:
    """How late the loop is, sampled every few milliseconds for as long as the block runs.

    A loop that is blocked for 50 ms cannot be asked meanwhile: the samples that were due then are added,
    each with the lag that it would have had.
    """

    EVERY_S = 0.004

    def __init__(self) -> None:
        self.seconds: list[float] = []

    @asynccontextmanager
    async def sampled(self) -> AsyncIterator[None]:
        async with anyio.create_task_group() as group:
            group.start_soon(self._sample)
            yield
            group.cancel_scope.cancel()

    async def _sample(self) -> None:
        while True:
            began = perf_counter()
            await anyio.sleep(self.EVERY_S)
            lag = max(0.0, perf_counter() - began - self.EVERY_S)
            while lag >= 0:
                self.seconds.append(lag)
                lag -= self.EVERY_S
