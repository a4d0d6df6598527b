"""The reader: snapshots one by one, and windows out of a bounded cache that reads no file twice."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from grid.capital import Funds
from market.candles import Bars
from market.errors import DataInvalid
from market.hours import HOUR_S, Hour, Timeframe, hours_between, micros
from market.keys import checked_key
from market.snapshot import MINUTES, MarketSnapshot, MarketSummary, ValidationResult, validate_snapshot
from market.window import MarketWindow, WindowQuality
from store import disk
from store.candle_files import CandlePart, decode_candles
from store.columns import (
    FROM_MINUTES,
    HourColumns,
    Span,
    Table,
    added,
    assemble,
    decode_hours,
    finest_scales,
    no_table,
    overlapping,
)
from store.paths import SnapshotName, parse_candles, parse_snapshot, snapshot_folder
from store.snapshots import decode_snapshot

FOREVER = micros(datetime.max.replace(tzinfo=Hour(0).opens_at.tzinfo))
_SLACK_HOURS = 7 * 24  # hours that left the span are dropped a week at a time
_HOURS_KEPT = 8
_FILES_AT_ONCE = 256  # decoded side by side; their bytes are held for as long


@dataclass(frozen=True, slots=True)
class Fault:
    """A file that could not be used, and why."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class OwnHour:
    """What the snapshot of one hour tells beside the bars that everything is judged by.

    Attributes:
        summary: None when none of its minutes is known.
        minutes: The known ones.
        grid_config, rules: As `MarketSnapshot` has them.
        funds: The quote coin by its account; None without one.
    """

    summary: MarketSummary | None
    minutes: Bars
    grid_config: tuple[Mapping[str, Any], ...]
    rules: Mapping[str, str] | None
    funds: Funds | None


@dataclass(slots=True)
class CacheCounts:
    """How the cache does: parts served from memory, files read, bytes held."""

    hits: int = 0
    misses: int = 0
    nbytes: int = 0


@dataclass(slots=True)
class _Market:
    """The columns of one market; `hi` is the first hour not looked for yet."""

    key: str
    tables: dict[Timeframe, Table]
    lo: dict[Timeframe, int]
    hi: int
    parts: dict[str, CandlePart]
    candle_folders: set[Timeframe] = field(default_factory=set)
    hours: OrderedDict[tuple[int, int], HourColumns] = field(default_factory=OrderedDict)
    collected: dict[str, int] = field(default_factory=dict)
    whole: tuple[Span, tuple[int, int], dict[Timeframe, Bars]] | None = None

    @property
    def nbytes(self) -> int:
        tables = sum(table.nbytes for table in self.tables.values())
        parts = sum(6 * part.bars.ts.nbytes for part in self.parts.values())
        whole = sum(6 * bars.ts.nbytes for bars in self.whole[2].values()) if self.whole else 0
        return tables + parts + whole


class SnapshotRange:
    """The complete-as-known snapshots of [start, end), read one by one; `missing` grows as it is walked."""

    def __init__(self, reader: SnapshotReader, key: str, start: Hour, end: Hour) -> None:
        self._reader, self._key, self._hours = reader, key, hours_between(start, end)
        self.missing: list[Hour] = []

    def __iter__(self) -> Iterator[MarketSnapshot]:
        self.missing.clear()
        for hour in self._hours:
            try:
                yield self._reader.load_snapshot(self._key, hour)
            except FileNotFoundError:
                self.missing.append(hour)


class SnapshotReader:
    """Reads one data repository's files; one thread at a time.

    Args:
        root: The repository's work tree.
        max_missing_minutes: An hour with more minutes missing gives no bars from minutes.
        cache_bytes: Columns held in memory; the market used longest ago goes first.
        whole_kept: For how many markets the assembled columns are kept beside their parts.
    """

    def __init__(
        self,
        root: Path,
        *,
        max_missing_minutes: int,
        cache_bytes: int = 256_000_000,
        whole_kept: int = 8,
    ) -> None:
        self._root, self._max_missing = root, max_missing_minutes
        self._cache_bytes, self._whole_kept = cache_bytes, whole_kept
        self._markets: OrderedDict[str, _Market] = OrderedDict()
        self._sizes: dict[str, int] = {}
        self._unusable: set[str] = set()
        self._faults: list[Fault] = []
        self.counts = CacheCounts()

    def load_snapshot(self, key: str, hour: Hour, as_of: datetime | None = None) -> MarketSnapshot:
        """Return the best snapshot of an hour: fewest minutes missing, then newest, then highest number.

        Raises:
            FileNotFoundError: None was collected (by `as_of`).
            DataInvalid: A file of the hour is corrupt.
        """
        found = [
            (decode_snapshot((self._root / name.path).read_bytes(), name.path, name), name.partial or 0)
            for name in self.snapshot_names(key, hour)
        ]
        known = [(s, partial) for s, partial in found if as_of is None or s.collected_at <= as_of]
        if not known:
            raise FileNotFoundError(f"{snapshot_folder(key, hour)}/{hour.opens_at:%H}.json")
        return min(known, key=lambda one: (len(one[0].missing), -micros(one[0].collected_at), -one[1]))[0]

    def load_range(self, key: str, start: Hour, end: Hour) -> SnapshotRange:
        """Return the snapshots of the half-open span [start, end), lazily; missing hours are reported."""
        return SnapshotRange(self, key, start, end)

    def validate_snapshot(self, snapshot: MarketSnapshot) -> ValidationResult:
        """Return what is wrong or odd with one snapshot in itself."""
        return validate_snapshot(snapshot)

    def load_window(
        self, key: str, hour: Hour, timeframes: Mapping[Timeframe, int], as_of: datetime
    ) -> MarketWindow:
        """Return what `hour` may know: closed bars over so many days of each timeframe, as known at `as_of`.

        A file that is corrupt is left out and told by `take_faults`.
        """
        span = span_of(hour, timeframes, as_of)
        market = self._ensure(key, span)
        scales = finest_scales(market.tables[Timeframe.H1], list(market.parts.values()), span)
        bars = self._bars(market, span, scales)
        quality = self._quality(market, hour, span, bars)
        window = MarketWindow(
            key=key,
            hour=hour,
            known_at=as_of,
            price_scale=scales[0],
            volume_scale=scales[1],
            bars=bars,
            first_ts=self._first_ts(market, span, bars),
            quality=quality,
        )
        self._bound(key)
        return window

    def own_hour(self, window: MarketWindow) -> OwnHour | None:
        """Return what the snapshot of the window's hour tells, in the window's scales; None without one."""
        market = self._markets[window.key]
        table = market.tables[Timeframe.H1]
        index = window.hour.index
        rows = table.chosen(index, index, micros(window.known_at))
        if not len(rows):
            return None
        place = (index, int(table.meta[rows[0]]["partial"]))
        if place not in market.hours:
            name = SnapshotName(window.key, window.hour, place[1] or None)
            for read in self._read_hours([name]):
                self._remember(market, read)
        hour = market.hours.get(place)
        if hour is None:
            return None
        factors = window.price_scale // hour.price_scale, window.volume_scale // hour.volume_scale
        return OwnHour(
            summary=None if hour.summary is None else _rescaled(hour.summary, *factors),
            minutes=hour.bars().rescaled(*factors),
            grid_config=hour.grid_config,
            rules=hour.rules,
            funds=hour.funds,
        )

    def input_files(self, key: str, span: Span, without: Span | None = None) -> dict[str, str]:
        """Return path and digest of every file that lies in `span`, but for those that lie in `without`."""
        market = self._ensure(key, span)
        table = market.tables[Timeframe.H1]
        rows = table.rows(span.longest, span.last)
        meta = table.meta[rows]
        wanted = meta["collected"] <= span.known
        if without is not None:
            before = (meta["hour"] >= without.longest) & (meta["hour"] <= without.last)
            wanted &= ~(before & (meta["collected"] <= without.known))
        files = {
            SnapshotName(key, Hour(int(row["hour"])), int(row["partial"]) or None).path: "sha256:"
            + bytes(row["digest"]).hex()
            for row in meta[wanted]
        }
        named = list(market.parts.values())
        told = set() if without is None else {part.digest for part in overlapping(named, without)}
        for path, part in market.parts.items():
            if part.digest not in told and overlapping([part], span):
                files[path] = part.digest
        return files

    def notice(self, path: str) -> None:
        """Take a file into the cache that was written after its hour or folder was read."""
        snapshot, candles = parse_snapshot(path), parse_candles(path)
        self._unusable.discard(path)
        market = self._markets.get(snapshot.key if snapshot else candles.key if candles else "")
        if market is None:
            return
        if snapshot and snapshot.hour.index < market.hi:
            self._forget_hour(market, snapshot)
            self._add(market, [snapshot])
        if candles and candles.timeframe in market.candle_folders:
            self._add_candles(market, path)

    def forget(self, path: str) -> None:
        """Drop a file that is no longer there from the cache."""
        snapshot, candles = parse_snapshot(path), parse_candles(path)
        market = self._markets.get(snapshot.key if snapshot else candles.key if candles else "")
        if market is None:
            return
        if snapshot:
            self._forget_hour(market, snapshot)
        market.parts.pop(path, None)
        market.whole = None

    def prefetch(self, key: str, first: Hour, last: Hour, timeframes: Mapping[Timeframe, int]) -> None:
        """Read all that the windows of the hours [first, last] need."""
        spans = span_of(first, timeframes, first.closes_at)
        self._ensure(key, Span(spans.first, last.index, FOREVER))

    def take_faults(self) -> list[Fault]:
        """Return the corrupt files met since the last call, each once."""
        faults, self._faults = self._faults, []
        return faults

    def snapshot_names(self, key: str, hour: Hour) -> list[SnapshotName]:
        """Return the files of one hour."""
        return [name for name in self._names_of_day(key, hour) if name.hour == hour]

    def _names_of_day(self, key: str, hour: Hour) -> list[SnapshotName]:
        folder = snapshot_folder(key, hour)
        names = (parse_snapshot(f"{folder}/{entry}") for entry in disk.names_in(self._root / folder))
        return [name for name in names if name is not None]

    # -- filling the cache

    def _ensure(self, key: str, span: Span) -> _Market:
        market = self._markets.get(checked_key(key))
        if market is None or span.longest > market.hi:
            market = _Market(
                key,
                {t: no_table(t) for t in FROM_MINUTES if t in span.first or t is Timeframe.H1},
                {**span.first, Timeframe.H1: span.longest},
                span.longest,
                {} if market is None else market.parts,
                set() if market is None else market.candle_folders,
            )
            self._markets[key] = market
        self._markets.move_to_end(key)
        held = len(market.tables[Timeframe.H1].meta) + len(market.parts)
        self._extend_back(market, span)
        if market.hi <= span.last:
            self._add(market, self._names(key, market.hi, span.last))
            market.hi = span.last + 1
            self._trim(market, span)
        for timeframe in span.first:
            if timeframe not in market.candle_folders:
                market.candle_folders.add(timeframe)
                self._list_candles(market, timeframe)
        self.counts.hits += held
        return market

    def _extend_back(self, market: _Market, span: Span) -> None:
        """Read hours before those already held, for each timeframe that needs them."""
        for timeframe in FROM_MINUTES:
            if timeframe not in span.first:
                continue
            wanted = span.reach(timeframe)
            held = market.lo.get(timeframe, market.hi)
            if timeframe not in market.tables:
                market.tables[timeframe] = no_table(timeframe)
                held = market.hi
            market.lo.setdefault(timeframe, wanted)
            if wanted < held:
                hours = self._read_hours(self._names(market.key, wanted, held - 1))
                market.tables[timeframe] = market.tables[timeframe].with_hours(added(hours))
                market.lo[timeframe] = wanted
                market.whole = None

    def _names(self, key: str, first: int, last: int) -> list[SnapshotName]:
        names: list[SnapshotName] = []
        for day in range(first // 24, last // 24 + 1):
            names += [n for n in self._names_of_day(key, Hour(24 * day)) if first <= n.hour.index <= last]
        return names

    def _add(self, market: _Market, names: list[SnapshotName]) -> None:
        hours = self._read_hours(names)
        if not hours:
            return
        for hour in hours[-_HOURS_KEPT:]:
            self._remember(market, hour)
        new = added(hours)
        for timeframe, table in market.tables.items():
            market.tables[timeframe] = table.with_hours(new.since(market.lo[timeframe]))
        market.whole = None

    def _read_hours(self, names: Sequence[SnapshotName]) -> list[HourColumns]:
        """Return the files that can be read; the others are told by `take_faults`."""
        hours = []
        for first in range(0, len(names), _FILES_AT_ONCE):
            files = list(self._bytes_of(names[first : first + _FILES_AT_ONCE]))
            for (_, path, _), hour in zip(files, decode_hours(files), strict=True):
                if isinstance(hour, DataInvalid):
                    self._refuse(path, hour)
                else:
                    hours.append(hour)
        return hours

    def _bytes_of(self, names: Iterable[SnapshotName]) -> Iterator[tuple[bytes, str, SnapshotName]]:
        for name in names:
            path = name.path
            if path in self._unusable:
                continue
            self.counts.misses += 1
            try:
                yield disk.whole_file(f"{self._root}/{path}"), path, name
            except OSError as error:
                self._refuse(path, error)

    def _refuse(self, path: str, error: Exception) -> None:
        self._unusable.add(path)
        self._faults.append(Fault(path, str(error)))

    def _remember(self, market: _Market, hour: HourColumns) -> None:
        own = replace(hour, minutes=hour.minutes.copy())  # what it was decoded with can go
        market.hours[hour.name.hour.index, hour.name.partial or 0] = own
        if len(market.hours) > _HOURS_KEPT:
            market.hours.popitem(last=False)

    def _list_candles(self, market: _Market, timeframe: Timeframe) -> None:
        folder = f"candles/{market.key}/{timeframe.value}"
        for entry in disk.names_in(self._root / folder):
            if parse_candles(f"{folder}/{entry}"):
                self._add_candles(market, f"{folder}/{entry}")

    def _add_candles(self, market: _Market, path: str) -> None:
        if path in self._unusable or path in market.parts:
            return
        self.counts.misses += 1
        try:
            market.parts[path] = decode_candles((self._root / path).read_bytes(), path, parse_candles(path))
            market.whole = None
        except (DataInvalid, OSError) as error:
            self._refuse(path, error)

    def _forget_hour(self, market: _Market, name: SnapshotName) -> None:
        place = (name.hour.index, name.partial or 0)
        market.hours.pop(place, None)
        for timeframe, table in market.tables.items():
            market.tables[timeframe] = table.without(*place)
        market.whole = None

    def _trim(self, market: _Market, span: Span) -> None:
        for timeframe, table in market.tables.items():
            first = span.reach(timeframe) if timeframe in span.first else span.last
            if market.lo[timeframe] < first - _SLACK_HOURS:
                market.tables[timeframe] = table.since(first)
                market.lo[timeframe] = first

    def _bound(self, key: str) -> None:
        with_whole = [name for name, market in self._markets.items() if market.whole is not None]
        for name in with_whole[: max(0, len(with_whole) - self._whole_kept)]:
            self._markets[name].whole = None
            self._sizes[name] = self._markets[name].nbytes
        self._sizes[key] = self._markets[key].nbytes  # only this one changed
        total = sum(self._sizes.values())
        for name in list(self._markets):
            if total <= self._cache_bytes or name == key:
                break
            del self._markets[name]
            total -= self._sizes.pop(name)
        self.counts.nbytes = total

    # -- windows out of the cache

    def _bars(self, market: _Market, span: Span, scales: tuple[int, int]) -> dict[Timeframe, Bars]:
        parts = list(market.parts.values())
        table = market.tables[Timeframe.H1]
        newest = table.meta["collected"][table.rows(span.longest, span.last)].max(initial=0)
        everything = Span(span.first, span.last, FOREVER)
        nothing_newer = newest <= span.known and len(overlapping(parts, everything)) == len(
            overlapping(parts, span)
        )
        if not nothing_newer:
            return assemble(market.tables, parts, span, self._max_missing, scales)
        if market.whole is None or not _covers(market.whole[0], span):
            held = Span({t: self._held_from(market, t) for t in span.first}, market.hi - 1, FOREVER)
            finest = finest_scales(table, parts, held)
            market.whole = (held, finest, assemble(market.tables, parts, held, self._max_missing, finest))
        held, finest, bars = market.whole
        if finest != scales:
            return assemble(market.tables, parts, span, self._max_missing, scales)
        close = (span.last + 1) * HOUR_S
        return {
            timeframe: bars[timeframe].between(first * HOUR_S, close - timeframe.seconds + 1)
            for timeframe, first in span.first.items()
        }

    def _held_from(self, market: _Market, timeframe: Timeframe) -> int:
        return market.lo[Timeframe.H1 if timeframe is Timeframe.H4 else timeframe]

    def _quality(
        self, market: _Market, hour: Hour, span: Span, bars: Mapping[Timeframe, Bars]
    ) -> WindowQuality:
        table = market.tables[Timeframe.H1]
        first = max(hour.index - 23, span.longest)
        rows = table.chosen(first, hour.index, span.known)
        chosen = {int(m["hour"]): m for m in table.meta[rows]}
        hourly = bars[Timeframe.H1].between(first * HOUR_S, hour.close_ts)
        with_bar = {int(ts) // HOUR_S for ts in hourly.ts}
        missing_24h = repaired_24h = 0
        for index in range(first, hour.index + 1):
            if index in chosen:
                missing_24h += int(chosen[index]["missing"])
                repaired_24h += self._repaired(table, index, span.known)
            elif index not in with_bar:
                missing_24h += MINUTES
        own = chosen.get(hour.index)
        bars_only = own is None and hour.index in with_bar
        unknown = 0 if bars_only else MINUTES
        return WindowQuality(
            missing=unknown if own is None else int(own["missing"]),
            no_trade=0 if own is None else int(own["no_trade"]),
            missing_24h=missing_24h,
            repaired_24h=repaired_24h,
            bars_only=bars_only,
        )

    def _repaired(self, table: Table, index: int, known: int) -> int:
        meta = table.meta[table.rows(index, index)]
        if len(meta) < 2:
            return 0
        meta = meta[meta["collected"] <= known]
        first = meta[np.argmin(meta["collected"])]
        return int(first["missing"] - meta["missing"].min())

    def _first_ts(self, market: _Market, span: Span, bars: Mapping[Timeframe, Bars]) -> dict[Timeframe, int]:
        """Return the open of the first bar recorded by timeframe, looking before the window too.

        Before the window the oldest known snapshot counts for every timeframe, aligned up.
        """
        oldest = self._oldest_hour(market, span)
        first_ts: dict[Timeframe, int] = {}
        for timeframe, first in span.first.items():
            early = [
                int(part.bars.ts[0])
                for part in market.parts.values()
                if part.bars.timeframe is timeframe and micros(part.collected_at) <= span.known
            ]
            if oldest is not None:
                early.append(-(-oldest * HOUR_S // timeframe.seconds) * timeframe.seconds)
            earliest = min(early, default=None)
            if earliest is not None and earliest < first * HOUR_S:
                first_ts[timeframe] = earliest
            elif len(bars[timeframe]):
                first_ts[timeframe] = int(bars[timeframe].ts[0])
        return first_ts

    def _oldest_hour(self, market: _Market, span: Span) -> int | None:
        """Return the oldest hour before the window whose snapshot was known; walks from the first file on."""
        for name in self._oldest_first(market.key):
            if name.hour.index >= span.longest:
                return None
            path = name.path
            if path not in market.collected:
                found = self._read_hours([name])
                market.collected[path] = found[0].collected if found else FOREVER
            if market.collected[path] <= span.known:
                return name.hour.index
        return None

    def _oldest_first(self, key: str) -> Iterator[SnapshotName]:
        base = f"snapshots/{key}"
        for year in disk.names_in(self._root / base):
            for month in disk.names_in(self._root / base / year):
                for day in disk.names_in(self._root / base / year / month):
                    folder = f"{base}/{year}/{month}/{day}"
                    names = (
                        parse_snapshot(f"{folder}/{entry}") for entry in disk.names_in(self._root / folder)
                    )
                    yield from (name for name in names if name is not None)


def _covers(held: Span, span: Span) -> bool:
    return (
        held.last >= span.last
        and held.first.keys() == span.first.keys()
        and all(held.first[timeframe] <= first for timeframe, first in span.first.items())
    )


def span_of(hour: Hour, timeframes: Mapping[Timeframe, int], as_of: datetime) -> Span:
    """Return what a window reaches over: so many days of each timeframe, ending with `hour`."""
    if Timeframe.H1 not in timeframes:
        raise ValueError("a window needs 1h bars among its timeframes")
    first = {timeframe: hour.index + 1 - 24 * days for timeframe, days in timeframes.items()}
    return Span(first, hour.index, micros(as_of))


def _rescaled(s: MarketSummary, price: int, volume: int) -> MarketSummary:
    def scaled(value: int | None) -> int | None:
        return None if value is None else value * price

    return MarketSummary(
        open=s.open * price,
        high=s.high * price,
        low=s.low * price,
        close=s.close * price,
        volume=s.volume * volume,
        vwap=scaled(s.vwap),
        best_bid=scaled(s.best_bid),
        best_ask=scaled(s.best_ask),
        last=scaled(s.last),
        ticker_at=s.ticker_at,
    )
