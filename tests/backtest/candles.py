"""Recorded and made-up candles as a backtest's data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from backtest.data import RecordedSource
from market.hours import Hour, Timeframe
from regime.config import RegimeConfig
from regime.engine import RegimeEngine
from store.recorded import RecordedSeries
from store.recorded_windows import RecordedWindows
from tests.trading.desks import RULES

TIMEFRAMES = RegimeEngine(RegimeConfig()).timeframes()
KEYS = ["BTC-USDT", "ETH-USDT"]
START = Hour.parse("2025-06-09T12")


def recorded_source(data: Path, keys: list[str] = KEYS) -> RecordedSource:
    """Return markets of BINANCE with the order rules that the desk's tests trade by."""
    return RecordedSource.of(data, keys, TIMEFRAMES, venue="BINANCE", rules=RULES)


class MadeMarket:
    """Minutes that a test made, in place of a market's files."""

    symbol = "ETH-USDT"

    def __init__(self, minutes: RecordedSeries) -> None:
        self._minutes = minutes

    def series(self, timeframe: Timeframe) -> RecordedSeries | None:
        return self._minutes if timeframe is Timeframe.M1 else None


def minutes_at(closes: list[float], start: Hour = START) -> RecordedSeries:
    """Return a minute a close, each without a range, with enough volume for any order."""
    prices = np.array(closes, dtype=np.float64)
    ts = start.open_ts + 60 * np.arange(len(closes), dtype=np.int64)
    opens = np.concatenate([prices[:1], prices[:-1]])
    high, low = np.maximum(opens, prices), np.minimum(opens, prices)
    return RecordedSeries(Timeframe.M1, ts, opens, high, low, prices, np.full(len(closes), 1000.5))


def without(series: RecordedSeries, row: int) -> RecordedSeries:
    """Return the candles without one of them."""
    kept = np.arange(len(series)) != row
    names = ("ts", "open", "high", "low", "close", "volume")
    return replace(series, **{name: getattr(series, name)[kept] for name in names})


def made_windows(series: RecordedSeries) -> Mapping[str, RecordedWindows]:
    return {"ETH-USDT": RecordedWindows(MadeMarket(series), TIMEFRAMES)}
