"""Computing regime rows from candles, and the same a candle at a time from its own window.

Bars and rows for the store come from here as well: seeded walks, so that periods are as long as in a market.
"""

from __future__ import annotations

import statistics

import numpy as np
import pandas as pd
import talib

from bench.figures import Against, Figure, at_most, seconds_of
from bench.kernels import walk
from market.candles import Bars
from market.hours import HOUR_S, Hour, Timeframe
from regime.components.fold import ComponentFold
from regime.components.states import (
    FULL_REGIMES,
    MomentumState,
    TrendState,
    VolatilityState,
    full_regime,
    simplified_regime,
)
from regime.config import RegimeConfig
from regime.series import RegimeRows

H1 = Timeframe.H1
PRICE_SCALE = VOLUME_SCALE = 10_000
FIRST = Hour.parse("2015-01-01T00")
_CONFIG = RegimeConfig()
_WARM_BARS = 250  # before a window's oldest quantile: Wilder's averages have forgotten their beginning
_AGREEING = 0.95  # near their own beginning the two smooth differently


def made_bars(count: int, seed: int) -> Bars:
    """Return so many hours of a seeded walk."""
    drawn = walk(count, seed)
    high, low, close = (np.rint(each * PRICE_SCALE).astype(np.int64) for each in drawn)
    opened = np.concatenate((close[:1], close[:-1]))
    volume = np.random.default_rng(seed).integers(1, 10**8, count)
    ts = FIRST.open_ts + HOUR_S * np.arange(count, dtype=np.int64)
    return Bars(H1, ts, opened, np.maximum(high, opened), np.minimum(low, opened), close, volume)


def computed_rows(bars: Bars) -> RegimeRows:
    """Return the rows of all bars that have enough history, as the engine folds them."""
    fold = ComponentFold.start(H1, PRICE_SCALE).extended(bars, _CONFIG)
    told = fold.told(0, len(bars))
    return RegimeRows.of(H1, told.ts, told.columns)


def computing_figures(counts: tuple[tuple[int, float | None], ...], runs: int, sample: int) -> list[Figure]:
    """Return what rows cost by size; beside each size its goal in ms, None for no goal."""
    figures = []
    for count, goal in counts:
        bars = made_bars(count, seed=1)
        rows = computed_rows(bars)
        ours = 1e3 * statistics.median(seconds_of(computed_rows, bars) for _ in range(runs))
        picked = np.unique(np.linspace(0, len(rows) - 1, sample).astype(int))
        ends = np.searchsorted(bars.ts, rows.ts[picked])
        naive = [seconds_of(naive_row, bars, int(end)) for end in ends]
        if (same := agreement(bars, rows, picked.tolist())) < _AGREEING:
            raise RuntimeError(
                f"{count:,} candles: the peer tells the same regime in {same:.0%} of rows only"
            )
        scaled = 1e3 * statistics.median(naive) * len(rows)
        peer = Against(f"pandas + TA-Lib a window, {len(picked)} rows scaled to {len(rows):,}", scaled)
        figures.append(
            Figure(
                f"{count:,} candles to rows",
                ours,
                "ms",
                peer,
                () if goal is None else (at_most(goal, ours, "ms"),),
            )
        )
    return figures


def naive_row(bars: Bars, end: int) -> dict[str, object]:
    """Return one candle's row from its own window, the plain way: a frame, TA-Lib's columns, the last row."""
    rules, lengths = _CONFIG.components, _CONFIG.metrics
    start = max(0, end - rules.quantile_bars - _WARM_BARS)
    window = bars.rows(start, end + 1)
    frame = pd.DataFrame(
        {"high": window.high, "low": window.low, "close": window.close},
        index=pd.to_datetime(window.ts, unit="s", utc=True),
        dtype=np.float64,
    )
    high, low, close = (frame[name].to_numpy() for name in ("high", "low", "close"))
    wilder, steps = lengths.wilder_bars, rules.sma_slope_bars
    adx = talib.ADX(high, low, close, timeperiod=wilder)[-1]
    plus = talib.PLUS_DI(high, low, close, timeperiod=wilder)[-1]
    minus = talib.MINUS_DI(high, low, close, timeperiod=wilder)[-1]
    share = pd.Series(talib.ATR(high, low, close, timeperiod=wilder)) / close
    means = talib.SMA(close, timeperiod=rules.sma_bars)
    slope = means[-1] - means[-1 - steps]
    change = frame.close.pct_change(rules.roc_bars).iloc[-1]
    usual = share.iloc[:-1].tail(rules.quantile_bars).quantile(rules.quantile)
    momentum = change / (share.iloc[-1] * rules.roc_bars**0.5)

    trend = TrendState.NEUTRAL
    if adx >= rules.trending_adx and plus > minus and slope > 0:
        trend = TrendState.UPTREND
    elif adx >= rules.trending_adx and plus < minus and slope < 0:
        trend = TrendState.DOWNTREND
    volatility = VolatilityState.HIGH if share.iloc[-1] > usual else VolatilityState.LOW
    moving = MomentumState.WEAK
    if abs(momentum) > rules.momentum:
        moving = MomentumState.BULLISH if momentum > 0 else MomentumState.BEARISH
    return {
        "open_time": frame.index[-1],
        "full_regime": full_regime(trend, volatility, moving),
        "simplified_regime": simplified_regime(trend, volatility, moving).value,
    }


def agreement(bars: Bars, rows: RegimeRows, picked: list[int]) -> float:
    """Return in what share of rows both ways tell the same regime."""
    same: list[bool] = [
        naive_row(bars, int(np.searchsorted(bars.ts, rows.ts[row])))["full_regime"]
        == FULL_REGIMES[rows.full[row]]
        for row in picked
    ]
    return sum(same) / len(same)
