"""A market's files laid into a folder: months of coarse bars, and hours of minutes at their end."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path

from market.candles import Bars, Candle, aggregate
from market.hours import Hour, Timeframe, hours_between
from market.snapshot import build_snapshot
from store.candle_files import candle_files, month_start_ts
from store.paths import SnapshotName
from store.snapshots import encode_snapshot
from tests.regime.windows import bars_of_prices, walk

KEY = "ETH-USDT"
FIRST = Hour.parse("2024-01-01T00")
COARSE_END = Hour.parse("2024-06-10T00")
KNOWN = datetime(2024, 6, 10, tzinfo=UTC)


@cache
def quarters(key: str = KEY) -> Bars:
    """Return 15m bars from FIRST to COARSE_END; another key is another walk."""
    bars = 4 * (COARSE_END.index - FIRST.index)
    seed = sum(key.encode())
    return bars_of_prices(Timeframe.M15, FIRST.open_ts, walk(bars, seed, sigma=0.003, pull=0.002))


def candles_of(bars: Bars) -> list[Candle]:
    """Return bars in prices of 1/100 as candles."""
    return [
        Candle(ts, *(Decimal(price).scaleb(-2) for price in prices), Decimal(volume).scaleb(-3))
        for ts, *prices, volume in zip(*(column.tolist() for column in bars.columns()), strict=True)
    ]


@cache
def coarse_files(key: str = KEY, end: Hour = COARSE_END) -> dict[str, bytes]:
    """Return 15m, 1h and 4h candle files of all months until `end`."""
    fine, files = quarters(key), {}
    for timeframe in (Timeframe.M15, Timeframe.H1, Timeframe.H4):
        bars = fine if timeframe is Timeframe.M15 else aggregate(fine, timeframe)
        files |= candle_files(
            key=key,
            exchange="sandbox",
            symbol=key,
            timeframe=timeframe,
            candles=candles_of(bars.between(FIRST.open_ts, end.open_ts)),
            start_ts=month_start_ts(FIRST.open_ts),
            end_ts=end.open_ts,
            collected_at=KNOWN,
        )
    return files


def hour_file(hour: Hour, key: str = KEY, seed: int = 0, missing: int = 0) -> dict[str, bytes]:
    """Return one hour's snapshot file; with missing minutes it is a partial one."""
    closes = walk(63, hour.index + seed, price=2000.0, sigma=0.0006)
    minutes = bars_of_prices(Timeframe.M1, hour.open_ts - 120, closes)
    left_out = {hour.open_ts + 60 * minute for minute in range(missing)}
    snapshot = build_snapshot(
        key=key,
        exchange="sandbox",
        symbol=key,
        hour=hour,
        collected_at=hour.closes_at,
        source="live",
        candles=[candle for candle in candles_of(minutes) if candle.ts not in left_out],
        unfetched=list(range(missing)),
    )
    name = SnapshotName(key, hour, 1 if missing else None)
    return {name.path: encode_snapshot(snapshot)}


def hour_files(hours: int, key: str = KEY, first: Hour = COARSE_END) -> dict[str, bytes]:
    """Return the snapshot files of so many hours."""
    files: dict[str, bytes] = {}
    for hour in hours_between(first, first.plus(hours)):
        files |= hour_file(hour, key)
    return files


def lay(root: Path, files: dict[str, bytes]) -> list[str]:
    """Write files below a folder; returns their paths."""
    for path, data in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
    return list(files)
