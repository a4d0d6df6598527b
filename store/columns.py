"""Decoded hours as columns: what the reader's cache holds, and how windows are built of it.

A table has one row a snapshot file, sorted so that the best file of an hour stands last: fewest minutes
missing, then the newest. Bars of one hour lie side by side in that row; a bar that is not known is zeros.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grid.capital import Funds
from market.candles import Bars, Ints, aggregate, joined, no_bars
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


@dataclass(frozen=True, slots=True)
class HourColumns:
    """One decoded snapshot file; `minutes` has shape (60, 5), zeros where a minute is missing."""

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
        known = np.flatnonzero(self.minutes[:, 2] > 0)
        columns = self.minutes[known].T
        return Bars(Timeframe.M1, self.name.hour.open_ts + 60 * known, *columns)


def decode_columns(data: bytes, where: str, name: SnapshotName) -> HourColumns:
    """Return a snapshot file as columns; the quick way for the many hours that are whole.

    Digest, names and figures are checked here too; whatever is not plainly right goes through
    `decode_snapshot`, which knows every rule and says which one is broken.

    Raises:
        DataInvalid: As `decode_snapshot`.
    """
    value = opened(data, where, SCHEMA_VERSION)
    return _plain_hour(value, name) or columns_of(decode_snapshot(data, where, name), name)


def _plain_hour(value: dict[str, Any], name: SnapshotName) -> HourColumns | None:
    try:
        is_plain = (
            value.keys() == SnapshotFile.model_fields.keys()
            and not value["missing"]
            and name.partial is None
            and (value["key"], value["hour"]) == (name.key, name.hour.iso())
            and SCALES.issuperset((value["price_scale"], value["volume_scale"]))
        )
        if not is_plain:
            return None
        columns = [value["minutes"][field] for field in FIELDS]
        minutes = np.array(columns)
        if minutes.dtype != np.int64 or minutes.shape != (len(FIELDS), MINUTES):
            return None
        open_, high, low, close, volume = minutes
        wrong = (
            (low <= 0) | (low > np.minimum(open_, close)) | (high < np.maximum(open_, close)) | (volume < 0)
        )
        told = value["market_summary"]
        found = (open_[0], high.max(), low.min(), close[-1], sum(columns[4]))
        no_trade = value["no_trade"]
        if value["rules"] is not None:
            RulesJson.model_validate(value["rules"])
        if value["account"] is not None:
            AccountJson.model_validate(value["account"])
        if wrong.any() or tuple(told[field] for field in FIELDS) != found or not _flat(minutes, no_trade):
            return None
        summary = MarketSummary(
            **{**told, "ticker_at": told["ticker_at"] and parse_instant(told["ticker_at"])}
        )
        return HourColumns(
            name=name,
            collected=micros(parse_instant(value["collected_at"])),
            missing=0,
            no_trade=len(no_trade),
            price_scale=value["price_scale"],
            volume_scale=value["volume_scale"],
            digest=value["digest"],
            minutes=minutes.T,
            summary=summary,
            grid_config=tuple(value["grid_config"]),
            rules=value["rules"],
            funds=_funds(value["account"], value["symbol"]),
        )
    except (LookupError, TypeError, ValueError, OverflowError):
        return None


def _flat(minutes: Ints, no_trade: list[int]) -> bool:
    if not no_trade:
        return True
    if no_trade != sorted(set(no_trade)) or no_trade[0] < 0:
        return False
    open_, high, low, close, volume = minutes[:, no_trade]
    return bool((high == low).all() and (open_ == close).all() and not volume.any())


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
        minutes=np.array(filled, dtype=np.int64).T,
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
    """Return bars of known minutes: shape (n, 60, 5) in, (n, bars an hour, 5) out; zeros where unknown."""
    step = timeframe.seconds // 60
    groups = minutes.reshape(minutes.shape[0], MINUTES // step, step, 5)
    known = groups[..., 2] > 0
    some = known.any(axis=2)
    first = known.argmax(axis=2)[..., None]
    last = step - 1 - known[..., ::-1].argmax(axis=2)[..., None]
    bars = np.empty((*some.shape, 5), dtype=np.int64)
    bars[..., 0] = np.take_along_axis(groups[..., 0], first, axis=2)[..., 0]
    bars[..., 1] = groups[..., 1].max(axis=2)
    bars[..., 2] = np.where(known, groups[..., 2], INT64_MAX).min(axis=2)
    bars[..., 3] = np.take_along_axis(groups[..., 3], last, axis=2)[..., 0]
    bars[..., 4] = groups[..., 4].sum(axis=2)
    bars[~some] = 0
    return bars


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Snapshot files of one market as rows; `bars` has shape (files, bars an hour, 5)."""

    timeframe: Timeframe
    meta: Meta
    bars: Ints

    @property
    def nbytes(self) -> int:
        return int(self.meta.nbytes + self.bars.nbytes)

    def with_hours(self, hours: list[HourColumns]) -> Table:
        """Return the table with more files in it."""
        if not hours:
            return self
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
        minutes = np.stack([h.minutes for h in hours])
        bars = minutes if self.timeframe is Timeframe.M1 else coarser(minutes, self.timeframe)
        meta, bars = np.concatenate([self.meta, meta]), np.concatenate([self.bars, bars])
        order = np.lexsort((meta["partial"], meta["collected"], -meta["missing"], meta["hour"]))
        if not np.array_equal(order, np.arange(len(order))):
            meta, bars = meta[order], bars[order]
        return Table(self.timeframe, meta, bars)

    def rows(self, first_hour: int, last_hour: int) -> slice:
        """Return where the files of the hours [first, last] stand."""
        a, b = np.searchsorted(self.meta["hour"], (first_hour, last_hour + 1))
        return slice(int(a), int(b))

    def without(self, hour: int, partial: int) -> Table:
        keep = (self.meta["hour"] != hour) | (self.meta["partial"] != partial)
        return Table(self.timeframe, self.meta[keep], self.bars[keep])

    def since(self, first_hour: int) -> Table:
        """Return the table without the hours before `first_hour`, as a copy that frees them."""
        start = self.rows(first_hour, 2**40).start
        return Table(self.timeframe, self.meta[start:].copy(), self.bars[start:].copy())

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
    return Table(timeframe, np.empty(0, dtype=_META), np.empty((0, bars_an_hour, 5), dtype=np.int64))


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
            built[timeframe] = _completed(minutes, _recorded(used, timeframe, scales))
    if Timeframe.H4 in span.first:
        whole = aggregate(built[Timeframe.H1], Timeframe.H4)
        built[Timeframe.H4] = _completed(whole, _recorded(used, Timeframe.H4, scales))
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
    meta, bars = table.meta[rows], table.bars[rows]
    bars = _scaled(bars, scales[0] // meta["price_scale"], scales[1] // meta["volume_scale"], timeframe)
    offsets = np.arange(bars.shape[1], dtype=np.int64) * timeframe.seconds
    ts = (meta["hour"][:, None] * HOUR_S + offsets).reshape(-1)
    flat = bars.reshape(-1, 5)
    known = flat[:, 2] > 0
    if not known.all():
        ts, flat = ts[known], flat[known]
    return Bars(timeframe, ts, *np.ascontiguousarray(flat.T))


def _scaled(bars: Ints, price_factor: Ints, volume_factor: Ints, timeframe: Timeframe) -> Ints:
    if price_factor.max() == 1 and volume_factor.max() == 1:
        return bars
    factors = np.empty((len(bars), 1, 5), dtype=np.int64)
    factors[:, 0, :4] = price_factor[:, None]
    factors[:, 0, 4] = volume_factor
    if (bars > INT64_MAX // factors).any():
        raise DataInvalid(
            f"{timeframe.value} bars", "scale", "brought to the finest scale they leave 64 bits"
        )
    return bars * factors


def _recorded(used: list[CandlePart], timeframe: Timeframe, scales: tuple[int, int]) -> Bars:
    bars = no_bars(timeframe)
    for part in sorted(used, key=lambda p: (p.collected_at, p.end_ts)):
        if part.bars.timeframe is timeframe:
            newer = part.bars.rescaled(scales[0] // part.price_scale, scales[1] // part.volume_scale)
            bars = _completed(newer, bars)
    return bars


def _completed(better: Bars, other: Bars) -> Bars:
    """Return `better`, and bars of `other` where `better` has none."""
    if not len(other):
        return better
    if not len(better):
        return other
    other = other.at(~np.isin(other.ts, better.ts, assume_unique=True))
    if not len(other):
        return better
    if other.ts[-1] < better.ts[0]:
        return joined([other, better])
    if better.ts[-1] < other.ts[0]:
        return joined([better, other])
    both = joined([other, better])
    return both.at(np.argsort(both.ts, kind="stable"))
