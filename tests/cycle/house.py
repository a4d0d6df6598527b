"""The whole application on a real exchange (the sandbox), a real data repository and a real bare remote."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import anyio
import yaml

from daemon.app import App, building
from daemon.clock import DrivenClock
from daemon.configuration import load_settings
from daemon.workers import attend, load_state
from decisions.evaluate import evaluate
from exchanges.sandbox.faults import Fault
from exchanges.sandbox.keys import SandboxKey
from exchanges.sandbox.running import RunningSandbox, running_sandbox
from exchanges.sandbox.simulated import DEFAULT_SYMBOLS, SimulatedMarket
from market.hours import Hour
from store.inputs import ReadOnlyStore
from store.records import encode_metrics, metrics_file
from store.verify import verify

START = Hour.parse("2026-01-05T00")
SETTLE = timedelta(seconds=5)
QUICK = {
    "tries": 2,
    "first_wait_s": 0.01,
    "longest_wait_s": 0.05,
    "breaker_open_s": 0.05,
    "budget_weight": 1_000_000,
}


def git(folder: Path, *arguments: str) -> str:
    """Run git in a folder and return what it printed."""
    done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def write_config(
    folder: Path, url: str, symbols: Sequence[str], exchange: dict[str, Any] | None = None, **changes: Any
) -> Path:
    """Write a configuration over the sandbox, and make its bare remote."""
    remote = folder / "remote.git"
    if not remote.exists():
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(remote)], check=True)
    config = {
        "data_repository": {"base_path": str(folder / "data"), "remote": str(remote)},
        "exchanges": {
            "sandbox": {"kind": "kucoin", "base_url": url, "resilience": QUICK, **(exchange or {})}
        },
        "markets": [{"exchange": "sandbox", "symbol": symbol} for symbol in symbols],
        "http": {"port": 0},
        **changes,
    }
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def with_key(folder: Path, key: SandboxKey) -> dict[str, str]:
    """Return what the exchange's section says of a key: the paths of its secret files."""
    credentials = key.credentials
    files = {}
    for name in ("key", "secret", "passphrase"):
        path = folder / f"{key.name}-{name}"
        path.write_text(getattr(credentials, name).get_secret_value())
        files[f"{name}_file"] = str(path)
    return files


@cache
def simulated(markets: int) -> SimulatedMarket:
    """Return the simulated market; it is the same for all tests, so its candles are drawn once."""
    return SimulatedMarket(symbols=DEFAULT_SYMBOLS[:markets])


@dataclass
class House:
    """A running application whose clock the test moves."""

    app: App
    clock: DrivenClock
    sandbox: RunningSandbox
    folder: Path

    async def hour(self, hour: Hour, *, at: timedelta = SETTLE) -> None:
        """Let `hour` close and every market attend to what is due."""
        self.clock.set(hour.closes_at + at)
        await self.attend()

    async def attend(self) -> None:
        async with anyio.create_task_group() as group:
            for market in self.app.settings.markets:
                group.start_soon(attend, self.app, market)

    async def hours(self, first: Hour, count: int) -> None:
        for i in range(count):
            await self.hour(first.plus(i))

    def state(self, key: str = "ETH-USDT"):
        return self.app.board.markets[key]

    def metrics(self, hour: Hour, key: str = "ETH-USDT") -> dict[str, Any]:
        """Return the recorded judgement of an hour."""
        path = self.folder / "data" / "metrics" / key / f"{hour.opens_at:%Y-%m-%d-%H}.yaml"
        return yaml.safe_load(path.read_text())

    def record_bytes(self, hour: Hour, key: str = "ETH-USDT") -> bytes:
        return (self.folder / "data" / "metrics" / key / f"{hour.opens_at:%Y-%m-%d-%H}.yaml").read_bytes()

    def judged(self, key: str = "ETH-USDT") -> list[str]:
        return sorted(path.stem for path in (self.folder / "data" / "metrics" / key).glob("*.yaml"))


@asynccontextmanager
async def house(
    folder: Path,
    *,
    markets: int = 1,
    start: Hour = START,
    at: timedelta = SETTLE,
    faults: Sequence[Fault] = (),
    candles: Any = None,
    **changes: Any,
) -> AsyncIterator[House]:
    """Build the application in `folder`, `at` after the close of `start`, the first hour to collect."""
    clock = DrivenClock(start.closes_at + at)
    market = candles or simulated(markets)
    async with running_sandbox(market, clock, faults=faults) as sandbox:
        symbols = [rules.symbol for rules in market.symbols]
        settings = load_settings(write_config(folder, sandbox.url, symbols, **changes), {})
        async with building(settings, clock, create=True) as app:
            await load_state(app)
            yield House(app, clock, sandbox, folder)


def recomputed(folder: Path, app: App, key: str, hours: Sequence[Hour]) -> list[bytes]:
    """Return the bytes of each hour's record, made from the files alone."""
    files = ReadOnlyStore(
        folder / "data",
        max_missing_minutes=app.settings.collection.max_missing_minutes,
        timeframes=app.spans,
    )
    return [
        encode_metrics(metrics_file(evaluate(inputs, app.policy))) for inputs in files.read_inputs(key, hours)
    ]


def assert_sound(folder: Path) -> None:
    """The model check: every record valid, no hour lost or doubled, history immutable, fsck clean."""
    report = verify(folder / "data")
    assert report.ok, report.findings
