"""The whole desk over recorded hours, as `regimed backtest policy` runs it, and its verdicts alone."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from backtest.data import RecordedSource
from backtest.engine import POLICY, BacktestEngine
from bench.exchange import START, symbols
from daemon.backtest_rules import default_rules
from exchanges.sandbox.simulated import SimulatedMarket
from market.candles import Bars
from market.hours import Hour, Timeframe
from regime.analysis import Insufficient
from store.recorded import COLUMNS, DAY_S

SHARE = 240  # one hour is judged for so many minutes that the others get: it costs a thousand times as much
MINUTE_DAYS = 2


def desk(bars: Bars) -> tuple[Callable[[], float], int, int]:
    """Return a backtest of the default policy: what it earns, its hours."""
    source, start, end = _recorded(bars)
    rules = default_rules()
    engine = BacktestEngine(rules.policy, rules.trading.cash)
    engine.run(POLICY, source, start, start.plus(2))

    def run() -> float:
        result = engine.run(POLICY, source, start, end)
        return float(Decimal(result.nav[-1]) - Decimal(result.capital))

    return run, end.index - start.index, 1


def verdicts(bars: Bars) -> tuple[Callable[[], float], int, int]:
    """Return the analysis of the same hours alone, over windows that are there."""
    source, start, end = _recorded(bars)
    windows = [each.inputs.window for _, markets in source.hours(start, end) for each in markets.values()]
    engine = default_rules().policy.judging.engine
    for window in windows[:2]:
        assert not isinstance(engine.analyze(window), Insufficient), "quick, but for the wrong reason"

    def run() -> float:
        for window in windows:
            engine.analyze(window)
        return 0.0

    return run, len(windows), 1


def _recorded(bars: Bars) -> tuple[RecordedSource, Hour, Hour]:
    """Return a simulated market's candles as recorded files, with all history that a verdict asks for."""
    end, (rules,) = START.plus(max(len(bars) // SHARE, 4)), symbols(1)
    market, timeframes = SimulatedMarket(symbols=(rules,)), default_rules().timeframes
    with TemporaryDirectory() as folder:
        for timeframe, days in {Timeframe.M1: MINUTE_DAYS, **timeframes}.items():
            first_ts = START.open_ts - days * DAY_S
            told = market.bars(rules.rules.symbol, timeframe.seconds, first_ts, end.open_ts)
            path = Path(folder) / f"BENCH_{rules.rules.symbol}_{timeframe.value}.csv"
            rows, formats = np.column_stack(told.all()), ["%d", *["%.8f"] * 5]
            np.savetxt(path, rows, formats, ",", header=",".join(COLUMNS), comments="")
        return RecordedSource.of(Path(folder), [rules.rules.symbol], timeframes), START, end
