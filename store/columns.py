"""Decoded hours as columns: what the reader's cache holds, and how windows are built of it.

A table has one row a snapshot file, sorted so that the best file of an hour stands last: fewest minutes
missing, then the newest. Bars of one hour lie side by side in that row; a bar that is not known is zeros.
Each field is a block of its own, so that the bars of files that stand in a row are views, not copies.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grid.capital import Funds
from market.candles import Bars, Ints, aggregate, merged, no_bars
from market.errors import DataInvalid
from market.hours import HOUR_S, Timeframe, micros, parse_instant
from market.snapshot import MINUTES, MarketSnapshot, MarketSummary
from store.candle_files import CandlePart
from store.paths import SnapshotName
from store.seal import opened
from store.snapshots import SCALES, SCHEMA_VERSION, AccountJson, RulesJson, SnapshotFile, decode_snapshot

INT64_MAX = np.iinfo(np.int64).max
FROM_MINUTES = (Timeframe.M1, Timeframe.M5, Timeframe.M15, Timeframe.H1)
FIELDS = ("open", "high", "low", "close", "volume")
_LOW = FIELDS.index("low")
_FIGURES = struct.Struct(f"={len(FIELDS) * MINUTES}q")  # refuses what is no integer of 64 bits
_TOLD = struct.Struct(f"={len(FIELDS)}q")
_META = np.dtype(
    [
        ("hour", "i8"),
        ("partial", "i4"),
        ("missing", "i2"),
        ("no_trade", "i2"),
        ("collected", "i8"),
        ("price_scale", "i8"),
        ("volume_scale", "i8"),
        ("digest", "V32"),
    ]
)
Meta = NDArray[Any]
_NO_MINUTES = np.empty((0, MINUTES), dtype=np.int64)


@dataclass(frozen=True, slots=True)
class HourColumns:
    """One decoded snapshot file; `minutes` has shape (5, 60), zeros where a minute is missing."""

    name: SnapshotName
    collected: int
    missing: int
    no_trade: int
    price_scale: int
    volume_scale: int
    digest: str
    minutes: Ints
    summary: MarketSummary | None
    grid_config: tuple[Mapping[str, Any], ...] = ()
    rules: Mapping[str, str] | None = None
    funds: Funds | None = None

    def bars(self) -> Bars:
        """Return the known minutes, in the file's own scales."""
        known = np.flatnonzero(self.minutes[_LOW] > 0)
        return Bars(Timeframe.M1, self.name.hour.open_ts + 60 * known, *self.minutes[:, known])


def decode_columns(data: bytes, where: str, name: SnapshotName) -> HourColumns:
    """Return a snapshot file as columns.

    Raises:
        DataInvalid: As `decode_snapshot`.
    """
    (hour,) = decode_hours([(data, where, name)])
    if isinstance(hour, DataInvalid):
        raise hour
    return hour


def decode_hours(files: Sequence[tuple[bytes, str, SnapshotName]]) -> list[HourColumns | DataInvalid]:
    """Return snapshot files (bytes, where they lie, name) as columns, or why one cannot be read.

    The quick way for the many hours that are whole: digest and names are checked one by one, the figures of
    all of them side by side. Whatever is not plainly right goes through `decode_snapshot`, which knows every
    rule and says which one is broken.
    """
    decoded: list[HourColumns | DataInvalid | None] = [None] * len(files)
    plain: list[tuple[int, _Plain]] = []
    for place, (data, where, name) in enumerate(files):
        try:
            value = opened(data, where, SCHEMA_VERSION)
        except DataInvalid as invalid:
            decoded[place] = invalid
            continue
        if hour := _plain_hour(value, name):
            plain.append((place, hour))
    figures = b"".join(hour.figures for _, hour in plain)
    minutes = np.frombuffer(figures, np.int64).reshape(-1, len(FIELDS), MINUTES)
    told = np.frombuffer(b"".join(hour.told for _, hour in plain), np.int64).reshape(-1, len(FIELDS))
    sound = _are_sound(minutes, told, [hour.no_trade for _, hour in plain])
    for (place, hour), of_hour, is_sound in zip(plain, minutes, sound.tolist(), strict=True):
        if is_sound:
            decoded[place] = hour.made(minutes=of_hour)
    return [_fully(*files[place]) if hour is None else hour for place, hour in enumerate(decoded)]


def _fully(data: bytes, where: str, name: SnapshotName) -> HourColumns | DataInvalid:
    try:
        return columns_of(decode_snapshot(data, where, name), name)
    except DataInvalid as invalid:
        return invalid


@dataclass(frozen=True, slots=True)
class _Plain:
    """A file of the usual form: how it becomes columns, and the figures that are still to be looked at."""

    made: Callable[..., HourColumns]
    figures: bytes
    told: bytes
    no_trade: list[int]


def _plain_hour(value: dict[str, Any], name: SnapshotName) -> _Plain | None:
    try:
        columns = [value["minutes"][field] for field in FIELDS]
        told, no_trade = value["market_summary"], value["no_trade"]
        is_plain = (
            value.keys() == SnapshotFile.model_fields.keys()
            and not value["missing"]
            and name.partial is None
            and (value["key"], value["hour"]) == (name.key, name.hour.iso())
            and SCALES.issuperset((value["price_scale"], value["volume_scale"]))
            and [len(column) for column in columns] == [MINUTES] * len(FIELDS)
            and (not no_trade or _are_minutes(no_trade))
        )
        if not is_plain:
            return None
        open_, high, low, close, volume = columns
        if value["rules"] is not None:
            RulesJson.model_validate(value["rules"])
        if value["account"] is not None:
            AccountJson.model_validate(value["account"])
        ticker_at = told["ticker_at"] and parse_instant(told["ticker_at"])
        made = partial(
            HourColumns,
            name=name,
            collected=micros(parse_instant(value["collected_at"])),
            missing=0,
            no_trade=len(no_trade),
            price_scale=value["price_scale"],
            volume_scale=value["volume_scale"],
            digest=value["digest"],
            summary=MarketSummary(**{**told, "ticker_at": ticker_at}),
            grid_config=tuple(value["grid_config"]),
            rules=value["rules"],
            funds=_funds(value["account"], value["symbol"]),
        )
        figures = _FIGURES.pack(*open_, *high, *low, *close, *volume)
        return _Plain(made, figures, _TOLD.pack(*[told[field] for field in FIELDS]), no_trade)
    except (LookupError, TypeError, ValueError, OverflowError, struct.error):
        return None


def _are_minutes(no_trade: list[int]) -> bool:
    return (
        no_trade == sorted(set(no_trade))
        and {type(minute) for minute in no_trade} == {int}
        and 0 <= no_trade[0] <= no_trade[-1] < MINUTES
    )


def _are_sound(minutes: Ints, told: Ints, no_trades: Sequence[list[int]]) -> NDArray[np.bool_]:
    """Say of each hour whether its figures keep the rules of candles and agree with its summary.

    Args:
        minutes: Whole hours, shape (n, 5, 60).
        told: What each summary says: open, high, low, close, volume; shape (n, 5).
        no_trades: The minutes without a trade of each hour: one price, no volume.
    """
    open_, high, low, close, volume = minutes.transpose(1, 0, 2)
    sound = (low > 0) & (low <= np.minimum(open_, close)) & (high >= np.maximum(open_, close)) & (volume >= 0)
    quiet = np.zeros(open_.shape, dtype=np.bool_)
    for row, no_trade in enumerate(no_trades):
        if no_trade:
            quiet[row, no_trade] = True
    sound &= ~quiet | ((high == low) & (volume == 0))
    found = np.stack([open_[:, 0], high.max(1), low.min(1), close[:, -1], volume.sum(1)], axis=1)
    summed = volume.max(1) <= INT64_MAX // MINUTES
    rows: NDArray[np.bool_] = sound.all(1) & summed & (found == told).all(1)
    return rows


def columns_of(snapshot: MarketSnapshot, name: SnapshotName) -> HourColumns:
    """Return a snapshot as columns."""
    m = snapshot.minutes
    filled = [[value or 0 for value in column] for column in (m.open, m.high, m.low, m.close, m.volume)]
    return HourColumns(
        name=name,
        collected=micros(snapshot.collected_at),
        missing=len(snapshot.missing),
        no_trade=len(snapshot.no_trade),
        price_scale=snapshot.price_scale,
        volume_scale=snapshot.volume_scale,
        digest=snapshot.digest(),
        minutes=np.array(filled, dtype=np.int64),
        summary=snapshot.summary,
        grid_config=snapshot.grid_config,
        rules=snapshot.rules,
        funds=None if snapshot.account is None else _funds(asdict(snapshot.account), snapshot.symbol),
    )


def _funds(account: Mapping[str, Any] | None, symbol: str) -> Funds | None:
    """Return the quote coin of an account, nothing where it tells of none; None without an account."""
    if account is None:
        return None
    quote = symbol.rpartition("-")[2]
    own = [balance for balance in account["balances"] if balance["currency"] == quote]
    return Funds(*(sum((Decimal(each[name]) for each in own), Decimal(0)) for name in ("balance", "holds")))


def coarser(minutes: Ints, timeframe: Timeframe) -> Ints:
    """Return bars of known minutes: shape (5, n, 60) in, (5, n, bars an hour) out; zeros where unknown."""
    step = timeframe.seconds // 60
    open_, high, low, close, volume = minutes.reshape(len(FIELDS), -1, MINUTES // step, step)
    known = low > 0
    first = known.argmax(axis=2)[..., None]
    last = step - 1 - known[..., ::-1].argmax(axis=2)[..., None]
    bars = np.stack(
        [
            np.take_along_axis(open_, first, axis=2)[..., 0],
            high.max(axis=2),
            np.where(known, low, INT64_MAX).min(axis=2),
            np.take_along_axis(close, last, axis=2)[..., 0],
            volume.sum(axis=2),
        ]
    )
    bars[:, ~known.any(axis=2)] = 0
    return bars


@dataclass(frozen=True, slots=True, eq=False)
class Added:
    """Decoded files on their way into tables; `minutes` has shape (5, files, 60)."""

    meta: Meta
    minutes: Ints

    def since(self, first_hour: int) -> Added:
        """Return the files of `first_hour` and later."""
        wanted = self.meta["hour"] >= first_hour
        return self if wanted.all() else Added(self.meta[wanted], self.minutes[:, wanted])


def added(hours: Sequence[HourColumns]) -> Added:
    """Return decoded files as rows, in the order of tables."""
    meta = np.array(
        [
            (
                h.name.hour.index,
                h.name.partial or 0,
                h.missing,
                h.no_trade,
                h.collected,
                h.price_scale,
                h.volume_scale,
                bytes.fromhex(h.digest.removeprefix("sha256:")),
            )
            for h in hours
        ],
        dtype=_META,
    )
    minutes = np.concatenate([_NO_MINUTES, *(h.minutes for h in hours)]).reshape(-1, len(FIELDS), MINUTES)
    order = _order(meta)
    return Added(meta[order], np.ascontiguousarray(minutes[order].transpose(1, 0, 2)))


def _order(meta: Meta) -> NDArray[np.intp]:
    return np.lexsort((meta["partial"], meta["collected"], -meta["missing"], meta["hour"]))


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Snapshot files of one market as rows; `bars` has shape (5, files, bars an hour)."""

    timeframe: Timeframe
    meta: Meta
    bars: Ints

    @property
    def nbytes(self) -> int:
        return int(self.meta.nbytes + self.bars.nbytes)

    def with_hours(self, new: Added) -> Table:
        """Return the table with more files in it."""
        if not len(new.meta):
            return self
        bars = new.minutes if self.timeframe is Timeframe.M1 else coarser(new.minutes, self.timeframe)
        if not len(self.meta):
            return Table(self.timeframe, new.meta, bars)
        meta, bars = np.concatenate([self.meta, new.meta]), np.concatenate([self.bars, bars], axis=1)
        if new.meta["hour"][0] <= self.meta["hour"][-1]:  # else they follow, as a new hour does
            order = _order(meta)
            meta, bars = meta[order], bars[:, order]
        return Table(self.timeframe, meta, bars)

    def rows(self, first_hour: int, last_hour: int) -> slice:
        """Return where the files of the hours [first, last] stand."""
        a, b = np.searchsorted(self.meta["hour"], (first_hour, last_hour + 1))
        return slice(int(a), int(b))

    def without(self, hour: int, partial: int) -> Table:
        keep = (self.meta["hour"] != hour) | (self.meta["partial"] != partial)
        return Table(self.timeframe, self.meta[keep], self.bars[:, keep])

    def since(self, first_hour: int) -> Table:
        """Return the table without the hours before `first_hour`, as a copy that frees them."""
        start = self.rows(first_hour, 2**40).start
        return Table(self.timeframe, self.meta[start:].copy(), self.bars[:, start:].copy())

    def chosen(self, first_hour: int, last_hour: int, known: int) -> NDArray[np.intp]:
        """Return the row of the best file of each hour of [first, last] collected by `known` (in us)."""
        span = self.rows(first_hour, last_hour)
        rows: NDArray[np.intp] = np.flatnonzero(self.meta["collected"][span] <= known) + span.start
        hours = self.meta["hour"][rows]
        if len(rows):
            rows = rows[np.r_[hours[1:] != hours[:-1], True]]
        return rows


def no_table(timeframe: Timeframe) -> Table:
    bars_an_hour = HOUR_S // timeframe.seconds
    return Table(
        timeframe, np.empty(0, dtype=_META), np.empty((len(FIELDS), 0, bars_an_hour), dtype=np.int64)
    )


@dataclass(frozen=True, slots=True)
class Span:
    """What a window reaches over: hours [first, last] by timeframe, files collected by `known` (in us)."""

    first: dict[Timeframe, int]
    last: int
    known: int

    @property
    def longest(self) -> int:
        return min(self.first.values())

    def reach(self, timeframe: Timeframe) -> int:
        """Return the first hour whose bars of this timeframe take part; 1h bars also build 4h ones."""
        return self.longest if timeframe is Timeframe.H1 else self.first[timeframe]


def overlapping(parts: list[CandlePart], span: Span) -> list[CandlePart]:
    """Return the candle files that lie in the window's span and were known."""
    close = (span.last + 1) * HOUR_S
    return [
        part
        for part in parts
        if part.bars.timeframe in span.first
        and part.start_ts < close
        and part.end_ts > span.reach(part.bars.timeframe) * HOUR_S
        and micros(part.collected_at) <= span.known
    ]


def finest_scales(hours: Table, parts: list[CandlePart], span: Span) -> tuple[int, int]:
    """Return the finest price and volume scale among the files that a window uses."""
    rows = hours.chosen(span.longest, span.last, span.known)
    used = overlapping(parts, span)
    prices = [int(hours.meta["price_scale"][rows].max())] if len(rows) else []
    volumes = [int(hours.meta["volume_scale"][rows].max())] if len(rows) else []
    return (
        max([*prices, *(part.price_scale for part in used)], default=1),
        max([*volumes, *(part.volume_scale for part in used)], default=1),
    )


def assemble(
    tables: dict[Timeframe, Table],
    parts: list[CandlePart],
    span: Span,
    max_missing: int,
    scales: tuple[int, int],
) -> dict[Timeframe, Bars]:
    """Return the closed bars of every timeframe of the span.

    Each bar is built from the finest closed parts: 5m, 15m and 1h from minutes, else the recorded bar;
    4h from four such hours, else the recorded bar.
    """
    used = overlapping(parts, span)
    built: dict[Timeframe, Bars] = {}
    for timeframe in FROM_MINUTES:
        if timeframe is Timeframe.H1 or timeframe in span.first:
            minutes = _from_minutes(tables[timeframe], span, max_missing, scales)
            built[timeframe] = merged([*_recorded(used, timeframe, scales), minutes])
    if Timeframe.H4 in span.first:
        whole = aggregate(built[Timeframe.H1], Timeframe.H4)
        built[Timeframe.H4] = merged([*_recorded(used, Timeframe.H4, scales), whole])
    close = (span.last + 1) * HOUR_S
    return {
        timeframe: built[timeframe].between(first * HOUR_S, close - timeframe.seconds + 1)
        for timeframe, first in span.first.items()
    }


def _from_minutes(table: Table, span: Span, max_missing: int, scales: tuple[int, int]) -> Bars:
    timeframe = table.timeframe
    rows = table.chosen(span.reach(timeframe), span.last, span.known)
    if timeframe is not Timeframe.M1:
        rows = rows[table.meta["missing"][rows] <= max_missing]
    if not len(rows):
        return no_bars(timeframe)
    in_a_row = rows[-1] - rows[0] + 1 == len(rows)
    taken = slice(rows[0], rows[-1] + 1) if in_a_row else rows  # a slice copies nothing
    meta, bars = table.meta[taken], table.bars[:, taken]
    bars = _scaled(bars, scales[0] // meta["price_scale"], scales[1] // meta["volume_scale"], timeframe)
    offsets = np.arange(bars.shape[2], dtype=np.int64) * timeframe.seconds
    ts = (meta["hour"][:, None] * HOUR_S + offsets).reshape(-1)
    flat = [column.reshape(-1) for column in bars]
    known = flat[_LOW] > 0
    if not known.all():
        ts, flat = ts[known], [column[known] for column in flat]
    return Bars(timeframe, ts, *flat)


def _scaled(bars: Ints, price_factor: Ints, volume_factor: Ints, timeframe: Timeframe) -> Ints:
    if price_factor.max() == 1 and volume_factor.max() == 1:
        return bars
    factors = np.stack([*[price_factor] * 4, volume_factor])[..., None]
    if (bars > INT64_MAX // factors).any():
        raise DataInvalid(
            f"{timeframe.value} bars", "scale", "brought to the finest scale they leave 64 bits"
        )
    return bars * factors


def _recorded(used: list[CandlePart], timeframe: Timeframe, scales: tuple[int, int]) -> list[Bars]:
    """Return the recorded bars by file, those that were collected last at the end."""
    return [
        part.bars.rescaled(scales[0] // part.price_scale, scales[1] // part.volume_scale)
        for part in sorted(used, key=lambda p: (p.collected_at, p.end_ts))
        if part.bars.timeframe is timeframe
    ]
