"""A sandbox on this machine, a clock that stands still, and our client between them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from exchanges.breaker import BreakerState
from exchanges.kucoin import KucoinExchange
from exchanges.sandbox.keys import SandboxKey
from exchanges.sandbox.running import RunningSandbox, running_sandbox
from exchanges.sandbox.simulated import SimulatedMarket
from exchanges.settings import KucoinSettings
from market.hours import Hour
from tests.fakes import FakeClock

NOW = datetime(2026, 3, 1, 12, 0, 3, tzinfo=UTC)
HOUR = Hour.parse("2026-03-01T11")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW)


@pytest.fixture(scope="session")
def market() -> SimulatedMarket:
    return SimulatedMarket(seed=1)


@pytest.fixture
async def sandbox(market: SimulatedMarket, clock: FakeClock) -> AsyncIterator[RunningSandbox]:
    async with running_sandbox(market, clock) as running:
        yield running


@pytest.fixture
async def client(sandbox: RunningSandbox, clock: FakeClock) -> AsyncIterator[KucoinExchange]:
    async with connected(sandbox.url, clock) as exchange:
        yield exchange


@dataclass
class Listener:
    """Remembers what the hooks were told."""

    requests: list[tuple[str, str]] = field(default_factory=list)
    breaker: list[BreakerState] = field(default_factory=list)

    def request_finished(self, exchange: str, endpoint: str, status: str, seconds: float) -> None:
        assert seconds >= 0
        self.requests.append((endpoint, status))

    def breaker_changed(self, exchange: str, host: str, state: BreakerState) -> None:
        self.breaker.append(state)


@asynccontextmanager
async def connected(
    url: str,
    clock: FakeClock,
    *,
    key: SandboxKey | None = None,
    listener: Listener | None = None,
    transport: Any = None,
    **settings: Any,
) -> AsyncIterator[KucoinExchange]:
    """Our client, its waits taken by the clock."""
    exchange = KucoinExchange(
        "sandbox",
        KucoinSettings(base_url=url, **settings),
        clock,
        credentials=key.credentials if key else None,
        observer=listener or Listener(),
        transport=transport,
        sleep=clock.sleep,
        seed=7,
    )
    try:
        yield exchange
    finally:
        await exchange.aclose()
