"""The regime routes of the HTTP API, asked by another process, at rest and while hours are judged."""

from __future__ import annotations

import os
import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import count
from pathlib import Path
from urllib.parse import urlencode

import anyio
import orjson

from bench.api_client import Asked, Job
from bench.exchange import START, DrawnMarket, candles_of, symbols
from bench.figures import Against, Figure, Goal, at_most, p99, rounded
from bench.house import House, LoopLag, lines_to_nowhere, running_house
from daemon.http import serving
from daemon.indexer import keep_index
from market.hours import Hour, Timeframe, instant_iso
from market.units import price_scale_for
from store.candle_files import candle_files, month_start_ts

H1 = Timeframe.H1
_ROOT = Path(__file__).resolve().parent.parent
LONG_MS = 25.0
LIVE, NOT_MODIFIED, CACHED, UNCACHED = "/health/live", "304", "a cached month", "an uncached month"
_BOUNDS = {NOT_MODIFIED: 2_000, CACHED: 2_000, UNCACHED: 200}  # requests a second
_MONTH_H = 30 * 24


@dataclass(frozen=True, slots=True)
class Sizes:
    """What is asked.

    Attributes:
        oldest: Since when there are rows.
        rows: Of the long answer.
        long_answers: How many of them, half of them compressed.
        seconds: Of each load.
        cycles: Hours judged without a load.
        months: Questions for a month that are asked once, at rest and while hours are judged each.
        drawn: Hours whose minutes the exchange has ready.
        rest_s: How long the idle loop is watched.
    """

    oldest: Hour
    rows: int
    long_answers: int
    seconds: float
    cycles: int
    months: int
    drawn: int
    rest_s: float


FULL = Sizes(
    Hour.parse("2020-06-01T00"),
    rows=10_000,
    long_answers=100,
    seconds=6.0,
    cycles=60,
    months=4_500,
    drawn=1_000,
    rest_s=2.0,
)
QUICK = Sizes(
    Hour.parse("2020-11-01T00"),
    rows=1_500,
    long_answers=4,
    seconds=0.2,
    cycles=2,
    months=300,
    drawn=60,
    rest_s=0.1,
)


@dataclass(frozen=True, slots=True)
class Meanwhile:
    """Of a while: what was asked, how late the loop was, how long judged hours took; seconds."""

    asked: Asked
    lags: Sequence[float]
    hours: Sequence[float]

    @property
    def us(self) -> float:
        """Microseconds a request."""
        return 1e6 * self.asked.wall / len(self.asked.each)


@dataclass(frozen=True, slots=True)
class Driven:
    """Everything that was measured; requests by their kind, at rest and while hours are judged."""

    long: dict[str, Asked]
    rest_lags: Sequence[float]
    cycles: Meanwhile
    at_rest: dict[str, Meanwhile]
    judging: dict[str, Meanwhile]


def api_figures(sizes: Sizes, folder: Path) -> list[Figure]:
    """Return the figures."""
    with lines_to_nowhere():
        return list(_figures(sizes, anyio.run(_driven, sizes, folder)))


# -- measuring


async def _driven(sizes: Sizes, folder: Path) -> Driven:
    market = DrawnMarket(symbols(1), START, START.plus(sizes.drawn))
    hours = (START.plus(number) for number in count(1))
    async with running_house(folder, market, START) as house, serving(house.app, "127.0.0.1", 0) as port:
        await house.hour(START)
        await _write_history(house, market, sizes.oldest)
        if not await keep_index(house.app):
            raise RuntimeError(f"no index: {house.app.board.index.trouble}")
        key = house.app.settings.markets[0].key
        stored = house.app.index.opened().get_regimes(key, H1, 0, START.open_ts)
        first = Hour.of_ts(int(stored.ts[0]))
        if (spare := len(stored) - sizes.rows - sizes.long_answers) < 0:
            raise RuntimeError(f"{key}: {len(stored)} rows stored, {-spare} too few")
        os.sync()  # what the preparation wrote is not for the first answers to pay
        rest = LoopLag()
        async with rest.sampled():
            await anyio.sleep(sizes.rest_s)
        long = {
            encoding: await _asked(_long_answers(port, key, first, sizes, encoding))
            for encoding in ("identity", "gzip")
        }
        jobs = _jobs(port, key, first, sizes)
        at_rest = {name: await _while_asked(job) for name, job in jobs.items()}
        alone = await _while_judging(house, hours, None, sizes.cycles)
        fresh = _jobs(port, key, first, sizes, skipped=sizes.months)
        judging = {name: await _while_judging(house, hours, job, sizes.cycles) for name, job in fresh.items()}
    return Driven(long, rest.seconds, alone, at_rest, judging)


def _long_answers(port: int, key: str, first: Hour, sizes: Sizes, encoding: str) -> Job:
    """Return questions for as many rows, none of them asked before: each begins an hour later."""
    skipped = sizes.long_answers // 2 * (encoding == "gzip")
    paths = [
        _path(key, first.plus(skipped + number), sizes.rows) for number in range(sizes.long_answers // 2)
    ]
    return Job(port, paths, connections=1, seconds=60, most=len(paths), headers={"Accept-Encoding": encoding})


def _jobs(port: int, key: str, first: Hour, sizes: Sizes, skipped: int = 0) -> dict[str, Job]:
    """Return what is asked by kind; uncached questions are for months that nobody asked for before."""
    month = [_path(key, first, _MONTH_H)]
    every = [_path(key, first.plus(1 + skipped + number), _MONTH_H) for number in range(sizes.months)]
    return {
        LIVE: Job(port, ["/health/live"], seconds=sizes.seconds),
        NOT_MODIFIED: Job(port, month, status=304, seconds=sizes.seconds, hold=True),
        CACHED: Job(port, month, seconds=sizes.seconds),
        UNCACHED: Job(port, every, seconds=sizes.seconds, most=len(every)),
    }


def _path(key: str, start: Hour, rows: int) -> str:
    query = {"start": str(instant_iso(start.opens_at)), "end": str(instant_iso(start.plus(rows).opens_at))}
    return f"/api/data/regime/{key}/1h?{urlencode(query | {'limit': rows})}"


async def _asked(job: Job) -> Asked:
    """Let another process ask."""
    command = [sys.executable, "-m", "bench.api_client"]
    done = await anyio.run_process(command, input=orjson.dumps(asdict(job)), check=False, cwd=_ROOT)
    if done.returncode:
        raise RuntimeError(f"the client: {done.stderr.decode()}")
    return Asked(**orjson.loads(done.stdout))


async def _while_asked(job: Job) -> Meanwhile:
    lag = LoopLag()
    async with lag.sampled():
        asked = await _asked(job)
    return Meanwhile(asked, lag.seconds, ())


async def _while_judging(house: House, hours: Iterator[Hour], job: Job | None, cycles: int) -> Meanwhile:
    """Judge hour after hour, each then indexed, until all is answered; without a job so many hours."""
    lag = LoopLag()
    took: list[float] = []
    answers: list[Asked] = []

    async def ask(job: Job) -> None:
        answers.append(await _asked(job))

    async with lag.sampled(), anyio.create_task_group() as group:
        if job is not None:
            group.start_soon(ask, job)
        while not answers if job is not None else len(took) < cycles:
            took.append((await house.hour(next(hours))).all_markets)
            if not await keep_index(house.app):
                raise RuntimeError(f"no index: {house.app.board.index.trouble}")
    return Meanwhile(answers[0] if answers else Asked(0, [], 0), lag.seconds, took)


async def _write_history(house: House, market: DrawnMarket, oldest: Hour) -> None:
    """Write the months of 1h bars before those that the first hour fetched."""
    rules, key = market.symbols[0], house.app.settings.markets[0].key
    until = month_start_ts(START.close_ts - house.app.spans[H1] * 86_400)
    files = candle_files(
        key=key,
        exchange="sandbox",
        symbol=rules.symbol,
        timeframe=H1,
        candles=candles_of(market.bars(rules.symbol, H1.seconds, oldest.open_ts, until)),
        start_ts=oldest.open_ts,
        end_ts=until,
        collected_at=house.clock.now(),
        price_scale=price_scale_for(rules.price_increment),
    )
    await house.app.store.write_candles(files, f"[history] {key}")


# -- telling


def _figures(sizes: Sizes, driven: Driven) -> Iterator[Figure]:
    limit = Against("/health/live at rest", driven.at_rest[LIVE].us, is_limit=True)
    for encoding, asked in driven.long.items():
        took = 1e3 * statistics.median(asked.each)
        body = f"{rounded(asked.bytes / 1e3)} kB{' of gzip' if encoding == 'gzip' else ''}"
        yield Figure(
            f"API: {sizes.rows:,} stored rows, {body}",
            took,
            "ms",
            replace(limit, value=limit.value / 1e3),
            (at_most(LONG_MS, took, "ms"),),
        )
    for when, measured in (("at rest", driven.at_rest), ("while hours are judged", driven.judging)):
        live = Against(f"/health/live {when}", measured[LIVE].us, is_limit=True)
        for name, bound in _BOUNDS.items():
            rate = 1e6 / measured[name].us
            goal = Goal(f">= {bound:,} a second ({rate:,.0f})", rate >= bound)
            yield Figure(f"API: {name}, {when}", measured[name].us, "us a request", live, (goal,))
    rest = driven.rest_lags
    yield from _lag_figures("asked for nothing, hours are judged", driven.cycles.lags, rest)
    for name in _BOUNDS:
        yield from _lag_figures(f"{name}, nothing is judged", driven.at_rest[name].lags, rest)
        yield from _lag_figures(f"{name} and hours are judged", driven.judging[name].lags, rest)
    alone = Against("the same without requests", 1e3 * statistics.median(driven.cycles.hours))
    for name in _BOUNDS:
        took = 1e3 * statistics.median(driven.judging[name].hours)
        yield Figure(f"an hour of a market, meanwhile {name}", took, "ms", alone)


def _lag_figures(when: str, lags: Sequence[float], rest: Sequence[float]) -> Iterator[Figure]:
    for name, figure in (("p50", statistics.median), ("p99", p99), ("max", max)):
        limit = Against(f"the same loop at rest, {name}", 1e3 * figure(rest), is_limit=True)
        yield Figure(f"loop lag {name}: {when}", 1e3 * figure(lags), "ms", limit)
