"""One hour of 1, 10 and 100 markets: from the exchange to the operator.

A cycle is the daemon's own: fetch over loopback HTTP (the hour, its ticker), look again at the hour before,
build and check the snapshot, write it (intent, synced file, rename), read it back as a replay will, evaluate,
record as YAML, commit with fast-import, put the notice into the outbox. The exchange answers from the same
process and the same loop, so its work is in our figures. The first hour of a market, which fetches coarse
history, is not counted; nothing is pushed.

The peer is the storage part alone, done the plain way into the same repository afterwards: the hour's two
files written with `json`, `index.add` and `index.commit` of GitPython, read back with `json`; its median is
shown. It has no fetch, no analysis, no check, no sync to the disk and no recovery after a crash, so a ratio
says how much more than this the whole cycle costs, or how much less. The loop's lag is held against the lag
of the same loop at rest; what was due while the loop was blocked is counted with the lag it would have had.
CPU counts all threads, the exchange and the Git processes: it is what a busy machine distorts least.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import anyio
import git
import orjson
import yaml

from bench.exchange import START, DrawnMarket, symbols
from bench.figures import Against, Figure, Goal, at_most, cpu_seconds, over_runs, p99, times_better
from bench.house import HourTimes, LoopLag, lines_to_nowhere, running_house
from bench.repositories import filled, json_hour
from market.hours import Hour
from store.paths import SnapshotName, metrics_path


@dataclass(frozen=True, slots=True)
class Case:
    """One size.

    Attributes:
        hours: Measured in each run.
        files: How many files are in the repository before.
        peer_hours: How many hours the peer stores.
        rest_s: How long the idle loop is watched.
    """

    markets: int
    runs: int
    hours: int
    files: int = 0
    peer_hours: int = 5
    rest_s: float = 2.0

    @property
    def name(self) -> str:
        markets = "1 market" if self.markets == 1 else f"{self.markets} markets"
        return f"{markets}, {self.files:,} files there" if self.files else markets


@dataclass(frozen=True, slots=True)
class Driven:
    """Seconds: hours of each run, lags of each run, lags at rest, CPU of each run."""

    hours: Sequence[Sequence[HourTimes]]
    lags: Sequence[Sequence[float]]
    at_rest: Sequence[float]
    cpu: Sequence[float]


@dataclass(frozen=True, slots=True)
class Plain:
    """Seconds that the peer took for each hour, and its CPU for all of them."""

    hours: Sequence[float]
    cpu: float


FULL = (
    Case(markets=1, runs=3, hours=100),
    Case(markets=1, runs=3, hours=100, files=50_000, peer_hours=3),
    Case(markets=10, runs=3, hours=20),
    Case(markets=100, runs=3, hours=5, peer_hours=2),
)
QUICK = (Case(markets=1, runs=2, hours=2, peer_hours=1, rest_s=0.1),)


def run(*, quick: bool) -> list[Figure]:
    """Return the figures of every size."""
    return list(chain.from_iterable(_figures(case, *_measured(case)) for case in (QUICK if quick else FULL)))


def _measured(case: Case) -> tuple[Driven, Plain]:
    first = START.plus(1)
    last = START.plus(case.runs * case.hours)
    market = DrawnMarket(symbols(case.markets), START, last)
    with TemporaryDirectory(prefix="bench-cycles-") as name, lines_to_nowhere():
        folder = Path(name)
        if case.files:
            filled(folder / "data", case.files)
        driven = anyio.run(_driven, case, folder, market, first)
        keys = [rules.symbol for rules in market.symbols]
        return driven, _stored_plainly(folder / "data", keys, last, case.peer_hours)


async def _driven(case: Case, folder: Path, market: DrawnMarket, first: Hour) -> Driven:
    hours: list[list[HourTimes]] = []
    lags: list[list[float]] = []
    cpu: list[float] = []
    async with running_house(folder, market, START) as house:
        await house.hour(START)
        os.sync()  # what the preparation wrote is not for the first hours to pay
        rest = LoopLag()
        async with rest.sampled():
            await anyio.sleep(case.rest_s)
        for run in range(case.runs):
            lag, start, before = LoopLag(), first.plus(run * case.hours), cpu_seconds()
            async with lag.sampled():
                hours.append([await house.hour(start.plus(number)) for number in range(case.hours)])
            lags.append(lag.seconds)
            cpu.append(cpu_seconds() - before)
    return Driven(hours, lags, rest.seconds, cpu)


def _stored_plainly(data: Path, keys: Sequence[str], last: Hour, hours: int) -> Plain:
    """Store the newest hour of every market again, as the hours after it."""
    newest = {key: _told(data, key, last) for key in keys}
    seconds, before = [], cpu_seconds()
    with git.Repo(data) as repo:
        for hour in (last.plus(number) for number in range(1, hours + 1)):
            began = perf_counter()
            for key, (snapshot, record) in newest.items():
                values = {SnapshotName(key, hour, None).path: snapshot, metrics_path(key, hour): record}
                json_hour(repo, values, f"{key} {hour}")
            seconds.append(perf_counter() - began)
    return Plain(seconds, cpu_seconds() - before)


def _told(data: Path, key: str, hour: Hour) -> tuple[Any, Any]:
    snapshot = orjson.loads((data / SnapshotName(key, hour, None).path).read_bytes())
    return snapshot, yaml.safe_load((data / metrics_path(key, hour)).read_text())


def _figures(case: Case, driven: Driven, plain: Plain) -> list[Figure]:
    whole = [[1e3 * hour.all_markets for hour in run] for run in driven.hours]
    peer = Against("json + GitPython index, storage alone", 1e3 * statistics.median(plain.hours))
    median, slowest = over_runs(whole, statistics.median), over_runs(whole, p99)
    figures = [
        Figure(f"{case.name}: an hour, median", median, "ms", peer, _median_goals(case, median, peer)),
        Figure(f"{case.name}: an hour, p99", slowest, "ms", peer, _p99_goals(case, slowest)),
    ]
    if case.markets > 1:
        each = [[1e3 * seconds for hour in run for seconds in hour.each] for run in driven.hours]
        figures += [
            Figure(
                f"{case.name}: bell to told, one market, median",
                over_runs(each, statistics.median),
                "ms",
                peer,
            ),
            Figure(f"{case.name}: bell to told, one market, p99", over_runs(each, p99), "ms", peer),
        ]
    lag = 1e3 * over_runs(driven.lags, p99)
    rest = Against("the same loop at rest", 1e3 * p99(driven.at_rest), is_limit=True)
    goals = (at_most(10, lag, "ms"),) if case.markets == 100 else ()
    cpu = 1e3 * statistics.median(driven.cpu) / (case.hours * case.markets)
    plain_cpu = 1e3 * plain.cpu / (len(plain.hours) * case.markets)
    return [
        *figures,
        Figure(f"{case.name}: CPU of a market's hour", cpu, "ms", replace(peer, value=plain_cpu)),
        Figure(f"{case.name}: loop lag, p99", lag, "ms", rest, goals),
    ]


def _median_goals(case: Case, median: float, peer: Against) -> tuple[Goal, ...]:
    return (times_better(40, median, peer),) if case.files else ()


def _p99_goals(case: Case, slowest: float) -> tuple[Goal, ...]:
    bounds = {1: 60.0, 100: 3000.0}
    return (at_most(bounds[case.markets], slowest, "ms"),) if case.markets in bounds else ()
