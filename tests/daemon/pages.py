"""The dashboard of a daemon's house, as a browser asks for it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from daemon.http import serving
from market.hours import Hour
from store.advice import decision_ids, read_advice
from tests.cycle.house import START, House, house
from tests.cycle.test_decisions import LOOSE, run_grid

TOKEN = "0123456789abcdef" * 3
BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


@dataclass
class Shown:
    """A daemon's pages.

    Attributes:
        there: The house behind them.
        base: Where they are.
    """

    there: House
    client: httpx.AsyncClient
    base: str

    @property
    def root(self) -> Path:
        return self.there.app.store.root

    async def page(self, path: str, status: int = 200, **headers: str) -> str:
        """Return a page that has to come with this status."""
        answer = await self.client.get(path, headers=headers)
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        return answer.text

    async def answered(
        self, decision_id: str, token: str = TOKEN, headers: dict[str, str] | None = None, **fields: str
    ) -> httpx.Response:
        """Send the form of a decision as our own page sends it."""
        ours = {"Origin": self.base} if headers is None else headers
        form = {"token": token, **fields}
        return await self.client.post(f"/decisions/{decision_id}", data=form, headers=ours)

    def verdict(self, hour: Hour, key: str = "ETH-USDT") -> str:
        """Return the verdict that the record of an hour holds."""
        return str(self.there.metrics(hour, key)["regime_analysis"]["verdict"])

    def open_decision(self) -> str:
        """Return the newest recommendation that wants an answer."""
        wanting = [
            each for each in decision_ids(self.root) if read_advice(self.root, each).file.action.wants_answer
        ]
        return wanting[-1]

    def actions(self, decision_id: str) -> list[tuple[str, str, str | None]]:
        """Return what the records say was done: action, actor, note."""
        found = read_advice(self.root, decision_id).actions
        return [(str(each.action), each.actor, each.note) for each in found]


@asynccontextmanager
async def shown(
    folder: Path,
    *,
    hours: int = 2,
    markets: int = 1,
    token: bool = True,
    start: Hour = START,
    **changes: Any,
) -> AsyncIterator[Shown]:
    """Run a house some hours, with a grid whose bounds the price has left, and serve it to a browser."""
    http: dict[str, Any] = {"port": 0, **changes.pop("http", {})}
    if token:
        (folder / "token").write_text(f"{TOKEN}\n")
        http["token_file"] = str(folder / "token")
    async with house(folder, markets=markets, http=http, start=start, **{**LOOSE, **changes}) as there:
        if hours:
            await run_grid(there, 2000, 2200, start)
            await there.hours(start, hours)
        async with serving(there.app, "127.0.0.1", 0) as port:
            base = f"http://127.0.0.1:{port}"
            async with httpx.AsyncClient(base_url=base, headers=BROWSER, timeout=60) as client:
                yield Shown(there, client, base)
