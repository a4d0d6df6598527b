"""Candle files: the coarse bars of one month from backfill, as sealed JSON, and back."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, pairwise
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from market.candles import Bars, Candle, bars_of, no_bars
from market.errors import DataInvalid
from market.hours import Timeframe, instant_iso, instant_of_ts, parse_instant
from market.snapshot import Source
from market.units import DEFAULT_PRICE_SCALE, INT64_MAX, all_scaled, scale_for, to_scaled
from store.paths import CandlesName, month_after, month_of
from store.seal import opened, sealed, validated
from store.snapshots import SCALES, Strict

SCHEMA_VERSION = 1
Column = list[Annotated[int, Field(ge=0, le=INT64_MAX)]]


@dataclass(frozen=True, slots=True)
class CandlePart:
    """One candle file's content.

    Attributes:
        start_ts, end_ts: The span that was asked for, [start, end); a bar that is not in it was not had.
        digest: Over everything but `collected_at` and itself.
    """

    key: str
    exchange: str
    symbol: str
    collected_at: datetime
    source: Source
    start_ts: int
    end_ts: int
    price_scale: int
    volume_scale: int
    bars: Bars
    digest: str = ""

    @property
    def name(self) -> CandlesName:
        month = month_of(instant_of_ts(self.start_ts))
        end = instant_of_ts(self.end_ts)
        return CandlesName(self.key, self.bars.timeframe, month, None if end == month_after(month) else end)


class BarsJson(BaseModel):
    model_config = Strict

    ts: Column
    open: Column
    high: Column
    low: Column
    close: Column
    volume: Column


class CandleFile(BaseModel):
    """What `candles/{key}/{timeframe}/{YYYY-MM}[.to-{DD}T{HH}].json` holds."""

    model_config = Strict

    schema_version: Literal[1]
    key: str
    exchange: str
    symbol: str
    timeframe: Literal["5m", "15m", "1h", "4h"]
    start: str = Field(alias="from")
    end: str = Field(alias="to")
    collected_at: str
    source: Literal["live", "backfill", "replay"]
    price_scale: int
    volume_scale: int
    bars: BarsJson
    digest: str


def month_start_ts(ts: int) -> int:
    """Return the first second of the month that holds `ts`: candle files start there."""
    return int(month_of(instant_of_ts(ts)).timestamp())


def candle_files(
    *,
    key: str,
    exchange: str,
    symbol: str,
    timeframe: Timeframe,
    candles: Sequence[Candle],
    start_ts: int,
    end_ts: int,
    collected_at: datetime,
    source: Source = "backfill",
    price_scale: int = DEFAULT_PRICE_SCALE,
) -> dict[str, bytes]:
    """Return path and bytes of a file a month for closed bars that open in [start_ts, end_ts).

    Args:
        candles: Oldest first; those outside the span are left out.
        start_ts: A month's first second (`month_start_ts`): a month then never needs a second final file.
        end_ts: A whole hour; the month that it cuts gets an open file (`.to-...`).

    Raises:
        ValueError: The span does not start with a month or end with an hour.
        DataInvalid: A candle with impossible figures, out of order or off the grid.
    """
    if start_ts != month_start_ts(start_ts) or end_ts % 3600:
        raise ValueError(
            f"candle files span [{start_ts}, {end_ts}); expected a month's start and a whole hour"
        )
    files: dict[str, bytes] = {}
    where, step = f"candles {key} {timeframe.value}", timeframe.seconds
    edges = _months(start_ts, end_ts)
    by_month: dict[int, list[Candle]] = {}
    for candle in candles:
        if start_ts <= candle.ts <= end_ts - step:
            by_month.setdefault(bisect_right(edges, candle.ts), []).append(candle)
    for number, (first, last) in enumerate(pairwise(edges), start=1):
        if inside := by_month.get(number):
            prices = ([getattr(c, name) for c in inside] for name in ("open", "high", "low", "close"))
            scale = scale_for(chain.from_iterable(prices), price_scale)
            volume_scale = scale_for(c.volume for c in inside)
            part = CandlePart(
                key,
                exchange,
                symbol,
                collected_at,
                source,
                first,
                last,
                scale,
                volume_scale,
                _bars(inside, timeframe, scale, volume_scale, where),
            )
            _check(part, where)
            files[part.name.path] = encode_candles(part)
    return files


def encode_candles(part: CandlePart) -> bytes:
    """Return the file's bytes."""
    names = ("ts", "open", "high", "low", "close", "volume")
    content: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "key": part.key,
        "exchange": part.exchange,
        "symbol": part.symbol,
        "timeframe": part.bars.timeframe.value,
        "from": instant_iso(instant_of_ts(part.start_ts)),
        "to": instant_iso(instant_of_ts(part.end_ts)),
        "source": part.source,
        "price_scale": part.price_scale,
        "volume_scale": part.volume_scale,
        "bars": {name: column.tolist() for name, column in zip(names, part.bars.columns(), strict=True)},
    }
    return sealed(content, part.collected_at)


def decode_candles(data: bytes, where: str, name: CandlesName | None = None) -> CandlePart:
    """Return the bars in `data`, valid in themselves and agreeing with their path.

    Raises:
        DataInvalid: Names file, field, what was found and what was expected.
    """
    file = validated(CandleFile, opened(data, where, SCHEMA_VERSION), where)
    for field in ("price_scale", "volume_scale"):
        if getattr(file, field) not in SCALES:
            raise DataInvalid(where, field, f"{getattr(file, field)}, expected a power of ten up to 10^18")
    columns = [file.bars.ts, file.bars.open, file.bars.high, file.bars.low, file.bars.close, file.bars.volume]
    if len({len(column) for column in columns}) != 1:
        raise DataInvalid(where, "bars", "columns of different lengths")
    timeframe = Timeframe(file.timeframe)
    bars = (
        Bars(timeframe, *(np.array(c, dtype=np.int64) for c in columns)) if columns[0] else no_bars(timeframe)
    )
    try:
        collected_at, start, end = (parse_instant(t) for t in (file.collected_at, file.start, file.end))
    except ValueError as error:
        raise DataInvalid(where, "collected_at, from, to", str(error)) from None
    part = CandlePart(
        file.key,
        file.exchange,
        file.symbol,
        collected_at,
        file.source,
        int(start.timestamp()),
        int(end.timestamp()),
        file.price_scale,
        file.volume_scale,
        bars,
        file.digest,
    )
    _check(part, where)
    if name is not None and part.name != name:
        raise DataInvalid(where, "key, timeframe, from, to", f"the path of {part.name.path}")
    return part


def _check(part: CandlePart, where: str) -> None:
    bars, step = part.bars, part.bars.timeframe.seconds
    if not len(bars):
        raise DataInvalid(where, "bars", "no bars, expected at least one")
    if part.collected_at < instant_of_ts(part.end_ts):
        raise DataInvalid(where, "collected_at", f"before the end of the span {instant_of_ts(part.end_ts)}")
    if part.start_ts != month_start_ts(part.start_ts) or part.end_ts % 3600:
        raise DataInvalid(where, "from, to", "expected a month's start and a whole hour")
    if month_after(instant_of_ts(part.start_ts)) < instant_of_ts(part.end_ts):
        raise DataInvalid(where, "to", "expected the same month as from")
    if np.any(np.diff(bars.ts) <= 0) or np.any(bars.ts % step):
        raise DataInvalid(where, "bars.ts", f"expected rising multiples of {step}")
    if bars.ts[0] < part.start_ts or bars.ts[-1] + step > part.end_ts:
        raise DataInvalid(where, "bars.ts", "a bar outside [from, to)")
    wrong = _impossible(bars)
    if np.any(wrong):
        row = int(np.flatnonzero(wrong)[0])
        shown = instant_iso(instant_of_ts(int(bars.ts[row])))
        raise DataInvalid(where, f"bar {shown}", "expected 0 < low <= open, close <= high")


def _months(start_ts: int, end_ts: int) -> list[int]:
    """Return where the months of [start_ts, end_ts) begin, epoch seconds, and at last where it ends."""
    edges, month = [], instant_of_ts(start_ts)
    while (first := int(month.timestamp())) < end_ts:
        edges.append(first)
        month = month_after(month)
    return [*edges, end_ts]


def _impossible(bars: Bars) -> NDArray[np.bool_]:
    return (
        (bars.low <= 0)
        | (bars.low > np.minimum(bars.open, bars.close))
        | (bars.high < np.maximum(bars.open, bars.close))
    )


def _bars(
    candles: Sequence[Candle], timeframe: Timeframe, price_scale: int, volume_scale: int, where: str
) -> Bars:
    """Return candles as columns: checked at once, and one by one only to name what is wrong."""
    scales = (*(price_scale,) * 4, volume_scale)
    values = ([getattr(c, name) for c in candles] for name in ("open", "high", "low", "close", "volume"))
    columns = [all_scaled(column, scale) for column, scale in zip(values, scales, strict=True)]
    if None not in columns:
        ts = [c.ts for c in candles]
        bars = Bars(timeframe, *(np.array(column, dtype=np.int64) for column in (ts, *columns)))
        if not np.any(_impossible(bars) | (bars.volume < 0) | (bars.ts % timeframe.seconds != 0)):
            return bars
    return bars_of(timeframe, [_row(c, timeframe, price_scale, volume_scale, where) for c in candles])


def _row(
    c: Candle, timeframe: Timeframe, price_scale: int, volume_scale: int, where: str
) -> tuple[int, int, int, int, int, int]:
    at = f"bar {c.ts}"
    if fault := c.fault():
        raise DataInvalid(where, at, fault)
    if c.ts % timeframe.seconds:
        raise DataInvalid(where, at, f"not the start of a {timeframe.value} bar")
    return (
        c.ts,
        to_scaled(c.open, price_scale, where, at),
        to_scaled(c.high, price_scale, where, at),
        to_scaled(c.low, price_scale, where, at),
        to_scaled(c.close, price_scale, where, at),
        to_scaled(c.volume, volume_scale, where, at),
    )
