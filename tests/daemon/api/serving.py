"""The API over a repository on loopback, as the daemon serves it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import httpx
from aiohttp import web

from daemon.api.runner import SiteRunner
from daemon.api.site import Sources, add_api
from daemon.http import _bounded
from daemon.metrics import Metrics
from daemon.regimes import RegimeHistory
from market.hours import Hour
from store.commits import CommittedChanges
from store.index.regime_index import RegimeIndex
from tests.cycle.house import House
from tests.daemon.regimes import RULES, keeper, regimes, repository
from tests.store.markets import KEY, coarse_files, hour_files

SERIES = f"/api/data/regime/{KEY}"


@dataclass
class Served:
    """A running API."""

    port: int
    client: httpx.AsyncClient
    history: RegimeHistory
    metrics: Metrics
    root: Path
    house: House | None = None

    async def get(self, path: str, **changes: Any) -> httpx.Response:
        return await self.client.get(path, **changes)

    async def json(self, path: str, **parameters: Any) -> Any:
        """Return an answer that has to be there."""
        answer = await self.client.get(path, params=parameters)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def problem(self, path: str, status: int, **parameters: Any) -> dict[str, Any]:
        """Return a problem that has to be told."""
        return told_problem(await self.client.get(path, params=parameters), status)

    async def walk(self, path: str, name: str, **parameters: Any) -> list[Any]:
        """Return what all pages hold."""
        found: list[Any] = []
        while True:
            page = await self.json(path, **parameters)
            found += page[name]
            if page["next"] is None:
                return found
            parameters["cursor"] = page["next"]


def told_problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    """Return a problem's document, checked."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    told = answer.json()
    assert told["status"] == status
    assert told["type"].startswith("urn:regimed:problem:")
    assert {"title", "detail", "instance"} <= set(told)
    assert "Traceback" not in answer.text and "/tmp" not in answer.text
    return told


def lay_markets(folder: Path, hours: int = 30) -> Path:
    """Return a repository with five months of coarse bars and some hours of minutes."""
    return repository(folder / "data", coarse_files() | hour_files(hours))


def filled(root: Path, folder: Path, until: Hour | None = None) -> RegimeIndex:
    """Return an index of all, or only of what opens before an hour."""
    index = RegimeIndex.open(f"sqlite:///{folder / 'index.db'}")
    keeper(root, index).catch_up()
    if until is not None:
        index.delete_regimes(KEY, start_ts=until.open_ts)
    return index


@asynccontextmanager
async def served(root: Path, index: RegimeIndex | None, **changes: Any) -> AsyncIterator[Served]:
    """Serve the API of a repository."""
    history = changes.pop("history", None) or RegimeHistory(
        lambda: index, regimes(root), RULES, CommittedChanges(root), monotonic
    )
    metrics = Metrics()
    told = {"markets": (KEY,), "monotonic": monotonic} | changes
    site = web.Application(client_max_size=64 * 1024, middlewares=[_bounded])
    add_api(site, Sources(history=history, root=root, metrics=metrics, **told))
    runner = SiteRunner(site)
    await runner.setup()
    try:
        tcp = web.TCPSite(runner, "127.0.0.1", 0)
        await tcp.start()
        port = runner.addresses[0][1]
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            yield Served(port, client, history, metrics, root)
    finally:
        await runner.cleanup()
