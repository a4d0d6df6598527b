"""Recorded candles, parquet or CSV, as a source like any other; tables as parquet, which needs pyarrow."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from market.candles import Candle, Floats, Ints
from market.errors import ConfigInvalid, DataInvalid
from market.hours import HOUR_S, Hour, Timeframe
from market.snapshot import MarketSnapshot, Source, build_snapshot
from market.units import quantized
from store.candle_files import candle_files, month_start_ts
from store.disk import sync_folder

DAY_S = 24 * HOUR_S
VOLUME_DECIMALS = 8
_AGAIN = "record or export it again"
COLUMNS = ("ts", "open", "high", "low", "close", "volume")
_NAME = re.compile(
    r"(?P<exchange>[A-Z0-9]+)_(?P<symbol>[A-Z0-9]+-[A-Z0-9]+)_(?P<timeframe>1m|5m|15m|1h|4h)"
    r"(?:_(?P<window>[A-Z0-9]+))?\.(?:parquet|csv)"
)


@dataclass(frozen=True, slots=True, eq=False)
class RecordedSeries:
    """Closed candles of one file, oldest first; `ts` is the open in epoch seconds, the rest as published."""

    timeframe: Timeframe
    ts: Ints
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats

    def __len__(self) -> int:
        return int(self.ts.shape[0])

    @property
    def first_ts(self) -> int:
        return int(self.ts[0])

    @property
    def end_ts(self) -> int:
        """The close of the last candle."""
        return int(self.ts[-1]) + self.timeframe.seconds

    def between(self, start_ts: int, end_ts: int) -> RecordedSeries:
        """Return the candles that open in [start_ts, end_ts), as views."""
        a, b = np.searchsorted(self.ts, (start_ts, end_ts))
        floats = (self.open, self.high, self.low, self.close, self.volume)
        return RecordedSeries(self.timeframe, self.ts[a:b], *(column[a:b] for column in floats))

    def candles(self, start_ts: int, end_ts: int) -> list[Candle]:
        """Return the candles that open in [start_ts, end_ts) in exact decimals, by shortest round trip."""
        part = self.between(start_ts, end_ts)
        rows = zip(
            part.ts.tolist(),
            part.open.tolist(),
            part.high.tolist(),
            part.low.tolist(),
            part.close.tolist(),
            part.volume.tolist(),
            strict=True,
        )
        return [
            Candle(ts, _decimal(o), _decimal(h), _decimal(lo), _decimal(c), _volume(v))
            for ts, o, h, lo, c, v in rows
        ]


@dataclass(frozen=True, slots=True)
class RecordedFile:
    """What a recorded file's name says."""

    path: Path
    exchange: str
    symbol: str
    timeframe: Timeframe
    window: str | None


@dataclass(frozen=True, slots=True)
class RecordedMarket:
    """One market of one venue: its minutes, and the same venue's coarser files."""

    exchange: str
    symbol: str
    files: dict[Timeframe, Path]

    def series(self, timeframe: Timeframe) -> RecordedSeries | None:
        """Return the candles of a timeframe, None where there are none; 15m may be made of 5m."""
        if timeframe in self.files:
            return series(self.files[timeframe], timeframe)
        if timeframe is Timeframe.M15 and Timeframe.M5 in self.files:
            return aggregated(series(self.files[Timeframe.M5], Timeframe.M5), Timeframe.M15)
        return None


@dataclass(frozen=True, slots=True)
class Chosen:
    """The markets of one run and the span that all of them have in minutes.

    Attributes:
        start_ts: First whole UTC day common to the minute files.
        end_ts: Close of the last minute common to them.
    """

    markets: tuple[RecordedMarket, ...]
    start_ts: int
    end_ts: int

    @property
    def start(self) -> Hour:
        return Hour.of_ts(self.start_ts)


def series(path: Path, timeframe: Timeframe | None = None) -> RecordedSeries:
    """Return the candles of a parquet or CSV file with the columns ts, open, high, low, close, volume.

    Args:
        path: The file.
        timeframe: Its candles' length; from the file's name when left out.

    Raises:
        ConfigInvalid: pyarrow is not installed; names the extra.
        DataInvalid: Not such a file; names file, column, what was found and what was expected.
    """
    if timeframe is None:
        named = parse_name(path)
        if named is None:
            raise DataInvalid(
                path.name, "", "the name does not say the timeframe; expected EXCHANGE_SYMBOL_TF.parquet"
            )
        timeframe = named.timeframe
    columns = _csv_columns(path) if path.suffix == ".csv" else _parquet_columns(path)
    made = RecordedSeries(
        timeframe, columns[0].astype(np.int64), *(c.astype(np.float64) for c in columns[1:])
    )
    _check(made, path.name)
    return made


def aggregated(fine: RecordedSeries, to: Timeframe) -> RecordedSeries:
    """Return coarser candles from those that have all their parts; volumes summed as exact decimals."""
    whole = to.seconds // fine.timeframe.seconds
    opens = fine.ts - fine.ts % to.seconds
    first = np.flatnonzero(np.r_[True, opens[1:] != opens[:-1]])
    last = np.r_[first[1:], len(fine)] - 1
    keep = (last - first + 1) == whole
    first, last = first[keep], last[keep]
    volume = [
        float(sum(_volume(v) for v in fine.volume[a : b + 1].tolist()))
        for a, b in zip(first, last, strict=True)
    ]
    rows = first[:, None] + np.arange(whole)
    return RecordedSeries(
        to,
        opens[first],
        fine.open[first],
        fine.high[rows].max(axis=1, initial=0),
        fine.low[rows].min(axis=1, initial=np.inf),
        fine.close[last],
        np.array(volume, dtype=np.float64),
    )


Kind = Literal["time", "text", "integer", "number", "truth"]


def write_table(
    path: Path, columns: Mapping[str, Kind], batches: Iterable[Mapping[str, Sequence[Any]]]
) -> None:
    """Write a parquet file, batch by batch; it is there and on the disk as a whole, or not at all.

    Args:
        path: Replaced where there is one.
        columns: Name and kind of each column in order; a `time` is an epoch second, UTC.
        batches: Values by column, None where there is none.

    Raises:
        ConfigInvalid: pyarrow is not installed; names the extra.
        OSError: The file cannot be written.
    """
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        raise ConfigInvalid(
            f"{path.name}: writing parquet needs the extra `data`: pip install 'regimed[data]'"
        ) from None
    kinds = {
        "time": pa.timestamp("s", tz="UTC"),
        "text": pa.string(),
        "integer": pa.int64(),
        "number": pa.float64(),
        "truth": pa.bool_(),
    }
    schema = pa.schema([(name, kinds[kind]) for name, kind in columns.items()])
    part = path.with_name(f".{path.name}.part")
    try:
        with parquet.ParquetWriter(part, schema, write_page_checksum=True) as writer:
            for batch in batches:
                writer.write_table(pa.table(dict(batch), schema=schema))
        with part.open("rb") as written:
            os.fsync(written.fileno())
        part.replace(path)
        sync_folder(path.parent)
    finally:
        part.unlink(missing_ok=True)


def read_table(path: Path, names: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Return columns of a parquet file that `write_table` wrote; text as objects.

    Raises:
        ConfigInvalid: pyarrow is not installed; names the extra.
        DataInvalid: Not readable, or a column is not there.
    """
    return dict(zip(names, _parquet_columns(path, names), strict=True))


def parse_name(path: Path) -> RecordedFile | None:
    """Return what the name `EXCHANGE_SYMBOL_TF[_WINDOW].parquet` says, None for another name."""
    found = _NAME.fullmatch(path.name)
    if not found:
        return None
    return RecordedFile(
        path, found["exchange"], found["symbol"], Timeframe(found["timeframe"]), found["window"]
    )


def recorded_files(folder: Path) -> list[RecordedFile]:
    """Return the candle files of a data folder by name, nothing else in it."""
    return [file for path in sorted(folder.iterdir()) if (file := parse_name(path)) is not None]


def choose_markets(
    folder: Path,
    count: int,
    window: str | None = None,
    symbols: Sequence[str] | None = None,
    venue: str | None = None,
) -> Chosen:
    """Return the markets of a run: for each symbol one venue's minutes and that venue's coarser files.

    Of several venues the one with most 1h history before its first minute is taken, then the later one.
    Of all sets of markets that share a whole UTC day, the largest (at most `count`) is taken, then the one
    with most history, then the latest.

    Args:
        folder: Holds `EXCHANGE_SYMBOL_TF[_WINDOW].parquet`.
        count: How many markets at most.
        window: Name of another minute window than the main one.
        symbols: Only these, in this order.
        venue: Only files of this one, as their names begin: `KUCOIN`.

    Raises:
        DataInvalid: No such minutes, or the symbols named share no whole day.
    """
    files = recorded_files(folder)
    best: dict[str, _Candidate] = {}
    for file in files:
        if file.timeframe is Timeframe.M1 and file.window == window:
            if symbols is not None and file.symbol not in symbols:
                continue
            if venue is not None and file.exchange != venue:
                continue
            candidate = _candidate(file, files)
            if file.symbol not in best or candidate.rank > best[file.symbol].rank:
                best[file.symbol] = candidate
    if absent := [symbol for symbol in symbols or () if symbol not in best]:
        raise DataInvalid(str(folder.name), "symbols", f"no minutes of {', '.join(absent)} in this window")
    chosen = _largest_common(list(best.values()), count)
    if not chosen or (symbols is not None and len(chosen) < min(count, len(symbols))):
        raise DataInvalid(str(folder.name), "", "no minute files that share a whole UTC day")
    order = {symbol: place for place, symbol in enumerate(symbols or sorted(best))}
    chosen.sort(key=lambda c: order[c.market.symbol])
    start, end = _common(chosen)
    return Chosen(tuple(c.market for c in chosen), start, end)


def snapshots_of(
    minutes: RecordedSeries,
    *,
    key: str,
    exchange: str,
    symbol: str,
    collected_at: datetime,
    source: Source = "backfill",
) -> Iterator[MarketSnapshot]:
    """Yield a snapshot for each hour of recorded minutes, first and last left out unless they are whole.

    A minute that the file leaves out is `no_trade` where candles stand on both sides of it in the hour's
    surroundings (three hours before, one after), `missing` otherwise.
    """
    first, last = -(-minutes.first_ts // HOUR_S), minutes.end_ts // HOUR_S
    for index in range(first, last):
        hour = Hour(index)
        yield build_snapshot(
            key=key,
            exchange=exchange,
            symbol=symbol,
            hour=hour,
            collected_at=collected_at,
            source=source,
            candles=minutes.candles(hour.open_ts - 3 * HOUR_S, hour.close_ts + HOUR_S),
        )


def candle_files_of(
    coarse: RecordedSeries,
    *,
    key: str,
    exchange: str,
    symbol: str,
    collected_at: datetime,
    source: Source = "backfill",
) -> dict[str, bytes]:
    """Return candle files, path to bytes, for recorded coarse candles (5m, 15m, 1h, 4h)."""
    end = -(-coarse.end_ts // HOUR_S) * HOUR_S
    return candle_files(
        key=key,
        exchange=exchange,
        symbol=symbol,
        timeframe=coarse.timeframe,
        candles=coarse.candles(coarse.first_ts, coarse.end_ts),
        start_ts=month_start_ts(coarse.first_ts),
        end_ts=end,
        collected_at=collected_at,
        source=source,
    )


@dataclass(frozen=True, slots=True)
class _Candidate:
    market: RecordedMarket
    first_ts: int
    end_ts: int
    history_s: int

    @property
    def rank(self) -> tuple[int, int]:
        return self.history_s, self.first_ts


def _candidate(file: RecordedFile, files: list[RecordedFile]) -> _Candidate:
    same = {
        other.timeframe: other.path
        for other in files
        if (other.exchange, other.symbol) == (file.exchange, file.symbol) and other.window is None
    }
    same[Timeframe.M1] = file.path
    first_ts, end_ts = _span(file.path, Timeframe.M1)
    history = 0
    if Timeframe.H1 in same:
        history = max(0, first_ts - _span(same[Timeframe.H1], Timeframe.H1)[0])
    return _Candidate(RecordedMarket(file.exchange, file.symbol, same), first_ts, end_ts, history)


def _common(candidates: list[_Candidate]) -> tuple[int, int]:
    start = max(c.first_ts for c in candidates)
    return -(-start // DAY_S) * DAY_S, min(c.end_ts for c in candidates)


def _largest_common(candidates: list[_Candidate], count: int) -> list[_Candidate]:
    """Return the best set that shares a whole day; every such set starts where one of its members does."""
    best: list[_Candidate] = []
    best_rank: tuple[int, int, int] = (0, 0, 0)
    for leader in candidates:
        day = -(-leader.first_ts // DAY_S) * DAY_S
        sharing = [c for c in candidates if c.first_ts <= day and c.end_ts >= day + DAY_S]
        sharing = sorted(sharing, key=lambda c: c.rank, reverse=True)[:count]
        rank = (len(sharing), sum(c.history_s for c in sharing), day)
        if sharing and rank > best_rank:
            best, best_rank = sharing, rank
    return best


def _span(path: Path, timeframe: Timeframe) -> tuple[int, int]:
    if path.suffix == ".csv":
        whole = series(path, timeframe)
        return whole.first_ts, whole.end_ts
    ts = _parquet_columns(path, COLUMNS[:1])[0]
    if not len(ts):
        raise DataInvalid(path.name, "ts", "no rows, expected at least one")
    return int(ts[0]), int(ts[-1]) + timeframe.seconds


def _parquet_columns(path: Path, names: Sequence[str] = COLUMNS) -> list[NDArray[Any]]:
    try:
        from pyarrow import ArrowException, parquet
    except ImportError:
        raise ConfigInvalid(
            f"{path.name}: reading parquet needs the extra `data`: pip install 'regimed[data]'"
        ) from None
    try:
        table = parquet.read_table(
            path, columns=list(names), memory_map=True, page_checksum_verification=True
        )
        return [table.column(name).to_numpy() for name in names]
    except (ArrowException, OSError, KeyError) as error:
        raise DataInvalid(
            path.name, "", f"not a readable parquet file: {str(error)[:200]}; {_AGAIN}"
        ) from None


def _csv_columns(path: Path) -> list[NDArray[Any]]:
    try:
        with path.open(newline="", encoding="utf-8") as handle:
            rows = list(csv.DictReader(handle))
        return [np.array([row[name] for row in rows], dtype=np.float64) for name in COLUMNS]
    except (KeyError, TypeError, ValueError, OSError) as error:
        raise DataInvalid(
            path.name, "", f"not CSV with the columns {', '.join(COLUMNS)}: {error}; {_AGAIN}"
        ) from None


def _check(made: RecordedSeries, where: str) -> None:
    step = made.timeframe.seconds
    if not len(made):
        raise DataInvalid(where, "", "no rows, expected at least one")
    prices = np.stack([made.open, made.high, made.low, made.close])
    known = np.isfinite(prices).all(axis=0) & np.isfinite(made.volume)
    if not known.all():
        row = int(np.flatnonzero(~known)[0])
        raise DataInvalid(where, f"row {row}", "a value is missing or infinite, expected numbers")
    if np.any(np.diff(made.ts) <= 0) or np.any(made.ts % step):
        raise DataInvalid(where, "ts", f"expected rising multiples of {step} seconds, each once")
    wrong = (prices[2] <= 0) | (prices[2] > prices.min(axis=0)) | (prices[1] < prices.max(axis=0))
    if np.any(wrong | (made.volume < 0)):
        row = int(np.flatnonzero(wrong | (made.volume < 0))[0])
        raise DataInvalid(where, f"row {row}", "expected 0 < low <= open, close <= high and volume >= 0")


def _decimal(value: float) -> Decimal:
    return Decimal(repr(value))


def _volume(value: float) -> Decimal:
    return quantized(_decimal(value), VOLUME_DECIMALS)
