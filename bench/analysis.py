"""One hour's analysis: `RegimeEngine.analyze` over a window of closed bars.

Incremental is an engine that judged the hour before, as the daemon's; from scratch is a new engine that
folds every row from its anchor (three months of 1h and 4h, a week of 5m, a month of 15m) before it judges.

The limit is TA-Lib (C, one call a column) with ADX(14), ATR(14) and BBANDS(20) over the window's 1h and 4h
bars, as floats that are ready. It has no half life, efficiency ratio, slope and autocorrelation, no ranges,
no score, hysteresis or confidence, no early warning, no rounding, and it forgets everything between two
hours.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import talib

from bench.exchange import START, bars_of, symbols
from bench.figures import Against, Figure, p99, seconds_of
from exchanges.sandbox.simulated import SimulatedMarket
from market.candles import Bars
from market.hours import Hour, Timeframe
from market.units import price_scale_for, scale_for
from market.window import MarketWindow, WindowQuality
from regime.analysis import Insufficient
from regime.config import RegimeConfig
from regime.engine import RegimeEngine


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many hours are judged one after the other, and how many of them from scratch."""

    hours: int
    from_scratch: int


FULL = Sizes(hours=1_000, from_scratch=60)
QUICK = Sizes(hours=6, from_scratch=2)
_JUDGED = (Timeframe.H1, Timeframe.H4)


def run(*, quick: bool) -> list[Figure]:
    """Return the figures."""
    sizes = QUICK if quick else FULL
    windows = _windows(sizes.hours)
    followed = RegimeEngine(RegimeConfig())
    _judge(followed, windows[0])
    every = max(1, len(windows) // sizes.from_scratch)
    incremental, scratch, limits = [], [], []
    for number, window in enumerate(windows[1:]):
        incremental.append(1e3 * seconds_of(_judge, followed, window))
        if number % every == 0:
            scratch.append(1e3 * seconds_of(_judge, RegimeEngine(RegimeConfig()), window))
            columns = [_floats(window.bars[timeframe]) for timeframe in _JUDGED]
            limits.append(1e3 * seconds_of(_three_indicators, columns))
    limit = Against("TA-Lib ADX + ATR + BBANDS", statistics.median(limits), is_limit=True)
    return [
        Figure("an hour, incremental, median", statistics.median(incremental), "ms", limit),
        Figure("an hour, incremental, p99", p99(incremental), "ms", limit),
        Figure("an hour, from scratch, median", statistics.median(scratch), "ms", limit),
    ]


def _judge(engine: RegimeEngine, window: MarketWindow) -> None:
    found = engine.analyze(window)
    assert not isinstance(found, Insufficient), f"{window.hour}: quick, but for the wrong reason"


def _windows(hours: int) -> list[MarketWindow]:
    """Return the windows of one market, hour after hour; their columns are views of the same arrays."""
    market = SimulatedMarket(symbols=symbols(1))
    rules = market.symbols[0]
    spans = RegimeEngine(RegimeConfig()).timeframes()
    last = START.plus(hours)
    whole = {
        timeframe: bars_of(
            market.bars(rules.symbol, timeframe.seconds, START.open_ts - days * 86400, last.open_ts),
            timeframe,
            rules,
        )
        for timeframe, days in spans.items()
    }

    def window(hour: Hour) -> MarketWindow:
        bars = {
            timeframe: whole[timeframe].between(
                hour.close_ts - days * 86400, hour.close_ts - timeframe.seconds + 1
            )
            for timeframe, days in spans.items()
        }
        return MarketWindow(
            key=rules.symbol,
            hour=hour,
            known_at=hour.closes_at + timedelta(seconds=5),
            price_scale=price_scale_for(rules.price_increment),
            volume_scale=scale_for([rules.base_increment]),
            bars=bars,
            first_ts={timeframe: int(columns.ts[0]) for timeframe, columns in whole.items()},
            quality=WindowQuality(),
        )

    return [window(START.plus(number)) for number in range(hours)]


def _floats(bars: Bars) -> list[np.ndarray]:
    return [column.astype(np.float64) for column in (bars.high, bars.low, bars.close)]


def _three_indicators(columns: list[list[np.ndarray]]) -> None:
    for high, low, close in columns:
        talib.ADX(high, low, close, timeperiod=14)
        talib.ATR(high, low, close, timeperiod=14)
        talib.BBANDS(close, timeperiod=20, nbdevup=2.0, nbdevdn=2.0)
