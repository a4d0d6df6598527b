"""One change-set of 20 kB into the history, with 1,000, 10,000 and 50,000 files there already.

Ours twice: `Store.write_candles` is all that the daemon does (checks the content, writes an intent, writes
and syncs the file, renames it, asks Git what it holds, commits, takes the intent away), and
`Repository.commit` is the commit alone, one `git fast-import` process that syncs what it writes.

The peer is `index.add` and `index.commit` of GitPython in an equal repository: it leaves the index of the
work tree up to date at once, which we do outside the cycle (`Store.refresh_index`), and it neither syncs nor
checks nor recovers. The limit is what no commit can do without: sha1 and zlib of the bytes, and two synced
files.
"""

from __future__ import annotations

import hashlib
import os
import statistics
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import anyio
import git

from bench.exchange import candles_of, symbols
from bench.figures import Against, Figure, Goal, seconds_of, times_better
from bench.repositories import filled, indexed_commit, with_index
from daemon.clock import DrivenClock
from exchanges.sandbox.simulated import SimulatedMarket
from market.hours import Hour, Timeframe
from store.candle_files import candle_files, month_start_ts
from store.paths import month_after
from store.repository import Change, Commit, Repository
from store.settings import StoreSettings
from store.store import Store

NOW = Hour.parse("2026-01-05T00").opens_at
_MONTHS_FROM = Hour.parse("2020-02-01T00").opens_at
_BARS_OF_20_KB = 400


@dataclass(frozen=True, slots=True)
class Sizes:
    """Files there already, rounds in which every size is measured, and every how many the peer takes part."""

    files: tuple[int, ...]
    rounds: int
    peer_every: int


@dataclass(slots=True)
class Seconds:
    """What was measured at one size, one value a round."""

    change_set: list[float] = field(default_factory=list)
    commit: list[float] = field(default_factory=list)
    peer: list[float] = field(default_factory=list)
    limit: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Bench:
    """A data repository that is open, the commits alone in it, and an equal one for the peer."""

    folder: Path
    store: Store
    repository: Repository
    equal: git.Repo


FULL = Sizes(files=(1_000, 10_000, 50_000), rounds=30, peer_every=10)
QUICK = Sizes(files=(20, 200), rounds=2, peer_every=2)


def run(*, quick: bool) -> list[Figure]:
    """Return the figures of every size."""
    sizes = QUICK if quick else FULL
    with TemporaryDirectory(prefix="bench-commits-") as name:
        found = anyio.run(_measured, Path(name), sizes)
    fewest, figures = found[sizes.files[0]], []
    for files, seconds in found.items():
        peer = Against("GitPython index.add + commit", _ms(seconds.peer))
        limit = Against("sha1, zlib, two syncs", _ms(seconds.limit), is_limit=True)
        for what, value, least in (
            ("change-set", _ms(seconds.change_set), _ms(fewest.change_set)),
            ("commit alone", _ms(seconds.commit), _ms(fewest.commit)),
        ):
            goals = (_flat(value, least), times_better(100, value, peer)) if files == sizes.files[-1] else ()
            name = f"{files:,} files: {what}"
            figures += [Figure(name, value, "ms", peer, goals), Figure(name, value, "ms", limit)]
    return figures


def _ms(seconds: list[float]) -> float:
    return 1e3 * statistics.median(seconds)


def _flat(value: float, least: float) -> Goal:
    return Goal(f"<= 10 ms more than at the fewest files ({value - least:+.1f})", value - least <= 10)


async def _measured(folder: Path, sizes: Sizes) -> dict[int, Seconds]:
    content = _candle_files()
    found = {files: Seconds() for files in sizes.files}
    async with AsyncExitStack() as stack:
        benches = {
            files: await stack.enter_async_context(_opened(folder / str(files), files)) for files in found
        }
        os.sync()  # what the preparation wrote is not for the first commits to pay
        for number in range(sizes.rounds):  # in turns, so that a busy moment of the machine meets all sizes
            for files, bench in benches.items():
                await _round(bench, content, found[files], with_peer=number % sizes.peer_every == 0)
    return found


async def _round(
    bench: Bench, content: Iterator[tuple[str, bytes]], seconds: Seconds, *, with_peer: bool
) -> None:
    path, data = next(content)
    began = perf_counter()
    await bench.store.write_candles({path: data}, f"[bench] {path}")
    seconds.change_set.append(perf_counter() - began)
    path, data = next(content)
    commit = Commit({path: Change(data)}, f"[bench] {path}\n", NOW)
    seconds.commit.append(seconds_of(bench.repository.commit, [commit]))
    seconds.limit.append(seconds_of(_limit, bench.folder, data))
    if with_peer:
        seconds.peer.append(seconds_of(indexed_commit, bench.equal, {path: data}, path))


@asynccontextmanager
async def _opened(folder: Path, files: int) -> AsyncIterator[Bench]:
    data, equal = filled(folder / "data", files), filled(folder / "equal", files)
    store = await Store.open(
        StoreSettings(base_path=data),
        DrivenClock(NOW),
        max_missing_minutes=3,
        timeframes={Timeframe.H1: 270},
    )
    repository = Repository.open(data)
    with with_index(equal) as repo:
        yield Bench(folder, store, repository, repo)
    repository.close()
    await store.aclose()


def _limit(folder: Path, data: bytes) -> None:
    name, packed = hashlib.sha1(data).hexdigest(), zlib.compress(data)
    for file, content in ((folder / name, packed), (folder / "main", name.encode())):
        with file.open("wb") as handle:
            handle.write(content)
            handle.flush()
            os.fsync(handle.fileno())


def _candle_files() -> Iterator[tuple[str, bytes]]:
    """Yield path and bytes of valid candle files of about 20 kB, each of another month and timeframe."""
    market = SimulatedMarket(symbols=symbols(1))
    symbol = market.symbols[0].symbol
    for timeframe in (Timeframe.H1, Timeframe.M15, Timeframe.M5):
        month = _MONTHS_FROM
        while month_after(month) <= NOW:
            start_ts, month = int(month.timestamp()), month_after(month)
            end_ts = start_ts + _BARS_OF_20_KB * timeframe.seconds
            yield from candle_files(
                key=symbol,
                exchange="bench",
                symbol=symbol,
                timeframe=timeframe,
                candles=candles_of(market.bars(symbol, timeframe.seconds, start_ts, end_ts)),
                start_ts=start_ts,
                end_ts=month_start_ts(int(month.timestamp())),
                collected_at=NOW,
            ).items()
