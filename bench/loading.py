"""A year of hours, 8,760 snapshot files, to columns.

Ours is `SnapshotReader.load_window` over 365 days of minutes and hours: every file is opened, its digest
and its rules are checked, its minutes become integer columns, and hours are built of them. Cold is a new
reader: nothing is decoded yet, but the files are in the page cache of the system. Warm is the same reader
asked again; one hour on is the same reader after one more file was written.

The limit is a bare loop of open, read and `orjson.loads` over the same files. It checks nothing and ends with
Python lists of one file at a time, not with columns. For a reader that holds the columns it is a peer: what
a program without a cache would do again.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import orjson

from bench.exchange import START, candles_of, symbols
from bench.figures import Against, Figure, at_most, seconds_of
from exchanges.collection import LEAD_S, TAIL_S
from exchanges.sandbox.simulated import SimulatedMarket
from market.hours import Hour, Timeframe, hours_between
from market.snapshot import build_snapshot
from market.units import price_scale_for
from store.paths import SnapshotName
from store.reader import SnapshotReader
from store.snapshots import encode_snapshot


@dataclass(frozen=True, slots=True)
class Sizes:
    """Days of hours, and how often each way of reading is measured."""

    days: int
    runs: int


FULL = Sizes(days=365, runs=5)
QUICK = Sizes(days=4, runs=2)


def run(*, quick: bool) -> list[Figure]:
    """Return the figures."""
    sizes = QUICK if quick else FULL
    with TemporaryDirectory(prefix="bench-loading-") as name:
        return _measured(Path(name), sizes)


def _measured(root: Path, sizes: Sizes) -> list[Figure]:
    market = SimulatedMarket(symbols=symbols(1))
    key, end = market.symbols[0].symbol, START
    start = end.plus(-24 * sizes.days)
    paths = [_written(root, market, hour) for hour in hours_between(start, end)]

    cold, warm, bare = [], [], []
    for _ in range(sizes.runs):  # in turns, so that a busy moment of the machine meets all of them
        reader = SnapshotReader(root, max_missing_minutes=3)
        cold.append(seconds_of(_load, reader, key, end.plus(-1), sizes.days))
        warm.append(seconds_of(_load, reader, key, end.plus(-1), sizes.days))
        bare.append(seconds_of(_bare, paths))
    on = []
    for number in range(sizes.runs):
        reader.notice(str(_written(root, market, end.plus(number)).relative_to(root)))
        on.append(seconds_of(_load, reader, key, end.plus(number), sizes.days))

    what, limit = f"{len(paths):,} hours", Against("open + read + orjson.loads", _ms(bare), is_limit=True)
    again = Against("the same loop again", _ms(bare))
    return [
        Figure(f"{what}: cold", _ms(cold), "ms", limit, (at_most(600, _ms(cold), "ms"),)),
        Figure(f"{what}: warm", _ms(warm), "ms", again),
        Figure(f"{what}: one hour on", _ms(on), "ms", again),
    ]


def _ms(seconds: list[float]) -> float:
    return 1e3 * statistics.median(seconds)


def _load(reader: SnapshotReader, key: str, hour: Hour, days: int) -> None:
    timeframes = {Timeframe.M1: days, Timeframe.H1: days}
    window = reader.load_window(key, hour, timeframes, hour.closes_at)
    if len(window.bars[Timeframe.H1]) != 24 * days:
        raise RuntimeError(f"{len(window.bars[Timeframe.H1])} hours loaded, expected {24 * days}")


def _written(root: Path, market: SimulatedMarket, hour: Hour) -> Path:
    """Write the snapshot file of an hour and return it."""
    rules = market.symbols[0]
    candles = candles_of(market.bars(rules.symbol, 60, hour.open_ts - LEAD_S, hour.close_ts + TAIL_S))
    snapshot = build_snapshot(
        key=rules.symbol,
        exchange="bench",
        symbol=rules.symbol,
        hour=hour,
        collected_at=hour.closes_at,
        source="backfill",
        candles=candles,
        price_scale=price_scale_for(rules.price_increment),
    )
    path = root / SnapshotName(rules.symbol, hour, None).path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_snapshot(snapshot))
    return path


def _bare(paths: list[Path]) -> None:
    for path in paths:
        with open(path, "rb") as handle:  # noqa: PTH123 the barest there is
            orjson.loads(handle.read())
