"""Windows made of arrays, for tests of the engine and of everything above it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from functools import cache
from pathlib import Path

import numpy as np

from market.candles import Bars, Floats, aggregate
from market.hours import Hour, Timeframe
from market.window import MarketWindow, WindowQuality

START = Hour.parse("2024-01-01T00")
VOLUME_SCALE = 1000


def bars_of_prices(
    timeframe: Timeframe,
    first_ts: int,
    close: Floats,
    *,
    high: Floats | None = None,
    low: Floats | None = None,
    price_scale: int = 100,
) -> Bars:
    """Return consecutive bars around `close` (quote); each opens at the close before, and highs and lows,
    where left out, are the ends of the body."""
    scaled = np.round(close * price_scale).astype(np.int64)
    opens = np.concatenate((scaled[:1], scaled[:-1]))
    highs, lows = np.maximum(opens, scaled), np.minimum(opens, scaled)
    if high is not None:
        highs = np.maximum(highs, np.round(high * price_scale).astype(np.int64))
    if low is not None:
        lows = np.minimum(lows, np.round(low * price_scale).astype(np.int64))
    ts = first_ts + timeframe.seconds * np.arange(close.shape[0], dtype=np.int64)
    return Bars(timeframe, ts, opens, highs, lows, scaled, np.full(close.shape[0], VOLUME_SCALE))


def walk(
    bars: int,
    seed: int = 1,
    *,
    price: float = 2000.0,
    sigma: float = 0.006,
    pull: float = 0.0,
    drift: float = 0.0,
) -> Floats:
    """Return closes of a seeded random walk in logs; `pull` is the share of a deviation taken back a bar."""
    steps = np.random.default_rng(seed).normal(drift, sigma, bars)
    level, levels = 0.0, []
    for step in steps.tolist():
        level = level * (1 - pull) + step
        levels.append(level)
    return price * np.exp(np.array(levels))


def walk_bars(
    bars: int, seed: int = 1, *, start: Hour = START, price_scale: int = 100, **shape: float
) -> Bars:
    """Return 1h bars of a seeded walk with wicks."""
    close = walk(bars, seed, **shape)
    wicks = np.abs(np.random.default_rng(seed + 1).normal(0, 0.003, (2, bars)))
    return bars_of_prices(
        Timeframe.H1,
        start.open_ts,
        close,
        high=close * (1 + wicks[0]),
        low=close * (1 - wicks[1]),
        price_scale=price_scale,
    )


def window_of(
    hours: Bars,
    hour: Hour | None = None,
    *,
    four_hours: Bars | None = None,
    finer: Mapping[Timeframe, Bars] | None = None,
    key: str = "ETH-USDT",
    price_scale: int = 100,
    quality: WindowQuality | None = None,
) -> MarketWindow:
    """Return the window of `hour` (the newest if left out) over 1h bars.

    Args:
        hours: 1h bars; those after the hour are left out.
        hour: The hour to be judged.
        four_hours: 4h bars; made of the 1h bars where left out.
        finer: Bars of finer timeframes, for early warning.
        key: Market.
        price_scale: Of all bars.
        quality: Perfect where left out.
    """
    hour = Hour.of_ts(int(hours.ts[-1])) if hour is None else hour
    four_hours = aggregate(hours, Timeframe.H4) if four_hours is None else four_hours
    bars = {
        each.timeframe: each.between(0, hour.close_ts - each.timeframe.seconds + 1)
        for each in (hours, four_hours, *(finer or {}).values())
    }
    return MarketWindow(
        key=key,
        hour=hour,
        known_at=hour.closes_at + timedelta(minutes=1),
        price_scale=price_scale,
        volume_scale=VOLUME_SCALE,
        bars=bars,
        first_ts={timeframe: int(each.ts[0]) for timeframe, each in bars.items() if len(each)},
        quality=WindowQuality() if quality is None else quality,
    )


@cache
def recorded_bars(folder: Path, name: str, timeframe: Timeframe, price_scale: int = 100) -> Bars:
    """Return the recorded candles of `{folder}/{name}_{timeframe}.parquet`."""
    from pyarrow import parquet

    table = parquet.read_table(folder / f"{name}_{timeframe.value}.parquet")
    prices = [
        np.round(table[column].to_numpy() * price_scale).astype(np.int64)
        for column in ("open", "high", "low", "close")
    ]
    volume = np.round(table["volume"].to_numpy() * VOLUME_SCALE).astype(np.int64)
    return Bars(timeframe, table["ts"].to_numpy().astype(np.int64), *prices, volume)
