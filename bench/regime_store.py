"""The regime index at three sizes on both engines, beside the plain table."""

from __future__ import annotations

import shutil
import sqlite3
import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from time import perf_counter

import numpy as np
import psycopg
import pytest

from bench.figures import Against, Figure, at_most, seconds_of
from bench.regime_rows import FIRST, H1, PRICE_SCALE, VOLUME_SCALE, computed_rows, made_bars
from bench.regime_table import PlainTable
from market.candles import Bars
from market.hours import HOUR_S
from regime.components.states import SIMPLIFIED, SimplifiedRegime
from regime.series import RegimeRows, RegimeRules
from store.index.regime_index import RegimeIndex
from tests.postgresql import postgresql

ONE_SERIES_MS, WHOLE_STORE_MS, KILOBYTES = 5.0, 10.0, 20.0
_YEAR_S, _MONTH_S = 365 * 86_400, 30 * 86_400
_RULES = RegimeRules(1, "sha256:" + "0" * 64)
_MADE_AT = datetime(2025, 1, 1, tzinfo=UTC)
_UP, _CHOPPY = (SIMPLIFIED.index(each) for each in (SimplifiedRegime.TREND_UP, SimplifiedRegime.CHOPPY))
_BYTES_PER_ROW = 200  # candles, rows, journal and room to spare


@dataclass(frozen=True, slots=True)
class Size:
    """So many series of so many hours; a later size of a run holds the series of the sizes before.

    Attributes:
        goals: Whether this is the size that the goals are set for.
        peer: Whether the plain table is filled and asked too; otherwise the largest one before is the peer.
    """

    name: str
    series: int
    hours: int
    goals: bool = False
    peer: bool = True

    @property
    def rows(self) -> int:
        return self.series * self.hours


@dataclass(frozen=True, slots=True)
class Sizes:
    """Sizes, rising; how often each question is asked; hours of how many different walks."""

    sizes: tuple[Size, ...]
    asked: int
    walks: int
    latest: int = 10_000


FULL = Sizes(
    (
        Size("10 thousand rows", 1, 10_000),
        Size("1 million rows", 12, 87_000),
        Size("10 million rows", 115, 87_000, goals=True, peer=False),
    ),
    asked=15,
    walks=12,
)
QUICK = Sizes(
    (Size("1 thousand rows", 1, 1_000), Size("6 thousand rows", 3, 2_000)), asked=2, walks=2, latest=500
)


@dataclass(frozen=True, slots=True)
class Walk:
    """Bars of one made market and the rows of all of them."""

    bars: Bars
    rows: RegimeRows

    def first(self, hours: int) -> Walk:
        return Walk(self.bars.rows(0, hours), self.rows.between(0, int(self.bars.ts[0]) + hours * HOUR_S))

    def since(self, ts: int) -> Walk:
        end = int(self.bars.ts[-1]) + HOUR_S
        return Walk(self.bars.between(ts, end), self.rows.between(ts, end))


def walks_of(sizes: Sizes) -> list[Walk]:
    """Return the walks; their verdicts follow the simplified regime, and only their bytes are looked at."""
    longest = max(size.hours for size in sizes.sizes) + sizes.asked * len(sizes.sizes)  # some are appended
    found = []
    for seed in range(1, sizes.walks + 1):
        bars = made_bars(longest, seed)
        rows = computed_rows(bars)
        found.append(Walk(bars, replace(rows, verdict=(rows.simplified % 4).astype(np.int8))))
    return found


def store_figures(sizes: Sizes, folder: Path) -> list[Figure]:
    """Return the figures of every engine that is there."""
    needed = sizes.sizes[-1].rows * _BYTES_PER_ROW
    if (free := shutil.disk_usage(folder).free) < 2 * needed:
        raise RuntimeError(f"{folder}: {free >> 20} MB free, {2 * needed >> 20} MB are needed at most")
    walks = walks_of(sizes)
    plain = _plain_answers(sizes, walks, folder)
    largest, path = sizes.sizes[-1], folder / "index.sqlite"
    figures = _engine_figures("SQLite", f"sqlite:///{path}", sizes, walks, plain)
    figures += _bytes_figures("SQLite", largest, *_file_bytes(path), plain[largest.name])
    path.unlink()
    with _server(folder) as url:
        if url is not None:
            figures += _engine_figures("PostgreSQL", url, sizes, walks, plain)
            figures += _bytes_figures("PostgreSQL", largest, *_server_bytes(url), plain[largest.name])
    return figures


# -- asking


Ask = Callable[[str], object]


def _questions(index: RegimeIndex, hours: int, latest: int) -> dict[str, Ask]:
    end = FIRST.open_ts + hours * HOUR_S
    year, month, newest = end - _YEAR_S, end - _MONTH_S, end - latest * HOUR_S
    return {
        "TREND_UP periods of a year": lambda key: len(index.periods(key, H1, year, end, regime=_UP)),
        "stats of a series": lambda key: index.get_regime_stats(key, H1).rows,
        "CHOPPY to TREND_UP of a series": lambda key: len(
            index.transitions(key, H1, FIRST.open_ts, end, before=_CHOPPY, after=_UP)
        ),
        "a month of rows": lambda key: len(index.get_regimes(key, H1, month, end)),
        f"the latest {latest:,} rows": lambda key: len(index.get_regimes(key, H1, newest, end)),
        "transitions, whole store": lambda _: int(index.all_transitions().sum()),
        "confidence, whole store": lambda _: int(index.confidence_distribution().sum()),
    }


def _plain_questions(table: PlainTable, hours: int, latest: int) -> dict[str, Ask]:
    end = FIRST.open_ts + hours * HOUR_S
    year, month = end - _YEAR_S, end - _MONTH_S
    return {
        "TREND_UP periods of a year": lambda key: table.periods(key, year, end),
        "stats of a series": lambda key: table.stats(key, 0, end),
        "CHOPPY to TREND_UP of a series": lambda key: table.changes(key, 0, end),
        "a month of rows": lambda key: table.rows(key, month, end),
        f"the latest {latest:,} rows": lambda key: table.latest(key, min(latest, hours)),
        "transitions, whole store": lambda _: table.all_changes(),
        "confidence, whole store": lambda _: table.all_confidences(),
    }


def _asked(ask: Ask, series: int, times: int) -> list[float]:
    """Return seconds of each question, to one series after the other: none is in the memory of the last."""
    ask(_key(0))
    return [seconds_of(ask, _key((7 * number + 1) % series)) for number in range(times)]


def _key(number: int) -> str:
    return f"M{number:03d}-USDT"


# -- the plain table


@dataclass(frozen=True, slots=True)
class Plain:
    """What the plain table took: ms by question, kB a 1,000 rows; and what it answered."""

    size: Size
    took: dict[str, float]
    answers: dict[str, object]

    def against(self, what: str, size: Size) -> Against:
        at = "" if size.rows == self.size.rows else f", at {self.size.name}"
        return Against(f"table as designed, SQLite{at}", self.took[what])


def _plain_answers(sizes: Sizes, walks: Sequence[Walk], folder: Path) -> dict[str, Plain]:
    """Return for each size what the plain table took, at that size or at the largest it is filled to."""
    found: dict[str, Plain] = {}
    newest: Plain | None = None
    for size in sizes.sizes:
        if size.peer or newest is None:
            newest = _plain(size, sizes, walks, folder / "plain.sqlite")
        found[size.name] = newest
    return found


def _plain(size: Size, sizes: Sizes, walks: Sequence[Walk], path: Path) -> Plain:
    with closing(PlainTable(path)) as table:
        began, rows = perf_counter(), 0
        for number in range(size.series):
            walk = walks[number % len(walks)].first(size.hours)
            table.insert(_key(number), walk.rows)
            rows += len(walk.rows)
        took = {"bulk insert": 1e6 * (perf_counter() - began) / rows, "bytes": table.bytes_used() / rows}
        opened = 1e3 * statistics.median(seconds_of(table.reopened) for _ in range(sizes.asked))
        took |= {"first open": opened, "open to ask only": opened}
        answers: dict[str, object] = {}
        for what, ask in _plain_questions(table, size.hours, sizes.latest).items():
            answers[what] = ask(_key(0))
            times = 1 if what.endswith("whole store") else sizes.asked
            took[what] = 1e3 * statistics.median(_asked(ask, size.series, times))
        hours = [walks[0].rows.where(slice(row, row + 1)) for row in range(sizes.asked)]
        appended = [seconds_of(table.insert, "NEW-USDT", row) for row in hours]
        took["append of an hour"] = 1e3 * statistics.median(appended)
    path.unlink()
    return Plain(size, took, answers)


# -- the index


def _engine_figures(
    engine: str, url: str, sizes: Sizes, walks: Sequence[Walk], plain: dict[str, Plain]
) -> list[Figure]:
    figures = []
    with closing(_opened(url)) as index:
        for size in sizes.sizes:
            told = partial(_figure, f"{engine}, {size.name}", plain[size.name], size)
            figures.append(told("bulk insert", _fill(index, size, walks), "us a row"))
            _settle(engine, url)
            for what, ask in _questions(index, size.hours, sizes.latest).items():
                if size.peer and (answer := ask(_key(0))) != plain[size.name].answers[what]:
                    expected = plain[size.name].answers[what]
                    raise RuntimeError(
                        f"{engine}, {size.name}, {what}: {answer}, the plain table: {expected}"
                    )
                took = 1e3 * statistics.median(_asked(ask, size.series, sizes.asked))
                bound = WHOLE_STORE_MS if what.endswith("whole store") else ONE_SERIES_MS
                figures.append(told(what, took, "ms", bound if size.goals else None))
            appended = [_appended(index, walks[0], number) for number in range(sizes.asked)]
            figures.append(told("append of an hour", 1e3 * statistics.median(appended), "ms"))
            for what, create in (("first open", True), ("open to ask only", False)):
                opened = [seconds_of(_opened_and_closed, url, create=create) for _ in range(3)]
                figures.append(told(what, 1e3 * statistics.median(opened), "ms"))
    return figures


def _figure(
    where: str, plain: Plain, size: Size, what: str, value: float, unit: str, bound: float | None = None
) -> Figure:
    goals = () if bound is None else (at_most(bound, value, unit),)
    return Figure(f"{where}: {what}", value, unit, plain.against(what, size), goals)


def _opened(url: str) -> RegimeIndex:
    index = RegimeIndex.open(url, migrating=True)
    index.migrate()
    return index


def _settle(engine: str, url: str) -> None:
    """Do what a server does by itself within minutes of so many rows."""
    if engine == "PostgreSQL":
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE")


def _opened_and_closed(url: str, *, create: bool) -> None:
    index = RegimeIndex.open(url, create=create)
    index.state(_key(0), H1)
    index.close()


def _fill(index: RegimeIndex, size: Size, walks: Sequence[Walk]) -> float:
    """Fill what is not there yet; return microseconds a candle with its row."""
    began, rows, states = perf_counter(), 0, index.states()
    for number in range(size.series):
        walk, state = walks[number % len(walks)].first(size.hours), states.get((_key(number), H1))
        if state is not None:
            walk = walk.since(state.filled_to_ts)
        if len(walk.bars):
            _insert(index, _key(number), walk, "0" * 40, _MADE_AT)
            rows += len(walk.rows)
    return 1e6 * (perf_counter() - began) / rows


def _appended(index: RegimeIndex, walk: Walk, number: int) -> float:
    """Add the hour that is next, as after a cycle: another commit, another minute."""
    state = index.state(_key(0), H1)
    assert state is not None
    hour = walk.since(state.filled_to_ts).first(1)
    return seconds_of(_insert, index, _key(0), hour, f"{number:040x}", _MADE_AT + timedelta(hours=number + 1))


def _insert(index: RegimeIndex, key: str, walk: Walk, source: str, created_at: datetime) -> None:
    index.insert_regimes(
        key,
        H1,
        walk.rows,
        walk.bars,
        price_scale=PRICE_SCALE,
        volume_scale=VOLUME_SCALE,
        start_ts=int(walk.bars.ts[0]),
        filled_to_ts=int(walk.bars.ts[-1]) + HOUR_S,
        rules=_RULES,
        source=source,
        created_at=created_at,
    )


# -- bytes and servers


def _bytes_figures(where: str, size: Size, total: float, candles: float, plain: Plain) -> list[Figure]:
    """Return kB a 1,000 candles, of bytes a row."""
    figures = []
    for what, value in (
        ("regime rows with summaries", total - candles),
        ("candle rows", candles),
        ("both", total),
    ):
        goals = (at_most(KILOBYTES, value, "kB"),) if size.goals and value == total - candles else ()
        peer = replace(plain.against("bytes", size), name="table as designed, without candles")
        figures.append(Figure(f"{where}, {size.name}: {what}, 1,000 candles", value, "kB", peer, goals))
    return figures


def _file_bytes(path: Path) -> tuple[float, float]:
    """Return the bytes of an SQLite file a row, all and those of its candles."""
    with closing(sqlite3.connect(path)) as handle:
        sizes = dict(handle.execute("SELECT name, sum(pgsize) FROM dbstat GROUP BY name"))
        rows = handle.execute("SELECT count(*) FROM regime_rows").fetchone()[0]
    return sum(sizes.values()) / rows, sizes["candle_rows"] / rows


def _server_bytes(url: str) -> tuple[float, float]:
    with psycopg.connect(url) as connection:
        found = connection.execute(
            "SELECT sum(pg_total_relation_size(c.oid)), pg_total_relation_size('candle_rows'),"
            " (SELECT count(*) FROM regime_rows)"
            " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE c.relkind = 'r' AND n.nspname = 'public'"
        ).fetchone()
    assert found is not None
    return float(found[0]) / found[2], float(found[1]) / found[2]


@contextmanager
def _server(folder: Path) -> Iterator[str | None]:
    """Give the URL of a database on a real server; None where PostgreSQL is not installed."""
    folder.chmod(0o755)  # the system's user `postgres` enters it
    with ExitStack() as stack:
        try:
            server = stack.enter_context(postgresql(folder / "server"))
        except pytest.skip.Exception as error:
            print(f"PostgreSQL is left out: {error}")
            yield None
        else:
            yield server.database()
