"""Starting and stopping the sandbox on a port of this machine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from aiohttp import web

from exchanges.sandbox.faults import Fault, Script
from exchanges.sandbox.keys import EXAMPLE_KEYS, SandboxKey
from exchanges.sandbox.market import SandboxMarket
from exchanges.sandbox.server import Sandbox
from market.ports import Clock


@dataclass(frozen=True, slots=True)
class RunningSandbox:
    """A sandbox that listens.

    Attributes:
        url: Its base address.
        server: What answers; `server.requests` are the newest paths asked.
    """

    url: str
    server: Sandbox

    @property
    def script(self) -> Script:
        return self.server.script


@asynccontextmanager
async def running_sandbox(
    market: SandboxMarket,
    clock: Clock,
    *,
    keys: Iterable[SandboxKey] = EXAMPLE_KEYS,
    faults: Iterable[Fault] = (),
    signing_now: Callable[[], datetime] | None = None,
    quota: int | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
) -> AsyncIterator[RunningSandbox]:
    """Serve a market until the context ends; port 0 takes a free one.

    The other arguments are those of `Sandbox`.
    """
    server = Sandbox(market, clock, keys=keys, faults=faults, signing_now=signing_now, quota=quota)
    runner = web.AppRunner(server.app(), access_log=None, shutdown_timeout=2.0, handle_signals=False)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        bound: tuple[str, int] = runner.addresses[0][:2]
        yield RunningSandbox(f"http://{bound[0]}:{bound[1]}", server)
    finally:
        await runner.cleanup()
