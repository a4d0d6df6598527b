"""One program, one process: `python -m bench.backtest_peers NAME BARS` prints its seconds and memory as JSON.

Each is called once before it is measured where it compiles; candles are made before the clock starts. Memory
is the whole process's largest resident size, imports included, and of what its imports alone take.
"""

from __future__ import annotations

import asyncio
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import orjson

from bench.ladders import BASE_SCALE, FEE_PPM, PRICE_SCALE, minutes, order_by_order, plan
from grid.simulation import compiled_run, ledger_run, sweep
from market.candles import Bars, Floats

CASH, FEE = 1_000_000, FEE_PPM / 1_000_000
SETS = 100
KERNEL_RUNS = 20
VECTORBT_SETS = 10  # its arrays of 100 columns would not fit beside everything else
ABSENT = 3  # exit code where a peer is not installed
Program = Callable[[], float]  # the profit, quote coin
UNIT = PRICE_SCALE * BASE_SCALE


def orders(bars: Bars) -> tuple[Program, int, int]:
    def run() -> float:
        left = asyncio.run(order_by_order(plan(), bars))
        return (left.cash + left.coin * int(bars.close[-1]) - plan().start_value) / UNIT

    return run, len(bars), 1


def ledger(bars: Bars) -> tuple[Program, int, int]:
    return (lambda: ledger_run(plan(), bars)[0].total / UNIT), len(bars), 1


def desk(bars: Bars) -> tuple[Program, int, int]:
    from bench.desk import desk as of_hours  # here, or every other program would carry its imports

    return of_hours(bars)


def verdicts(bars: Bars) -> tuple[Program, int, int]:
    from bench.desk import verdicts as of_hours

    return of_hours(bars)


def kernel(bars: Bars) -> tuple[Program, int, int]:
    def run() -> float:
        outcomes = [compiled_run(plan(), bars) for _ in range(KERNEL_RUNS)]
        return 0.0 if outcomes[-1] is None else outcomes[-1].total / UNIT

    run()
    return run, KERNEL_RUNS * len(bars), 1


def kernel_sweep(bars: Bars) -> tuple[Program, int, int]:
    plans = [plan(units) for units in range(BASE_SCALE - SETS + 1, BASE_SCALE + 1)]
    sweep(plans, bars.rows(0, 100))
    return (lambda: sweep(plans, bars)[-1].total / UNIT), len(bars), SETS


def backtesting_py(bars: Bars) -> tuple[Program, int, int]:
    import pandas as pd
    from backtesting import Backtest, Strategy

    prices = [price / PRICE_SCALE for price in plan().geometry.prices()]

    class Ladder(Strategy):  # type: ignore[misc, unused-ignore]
        def init(self) -> None:
            self.closed = -1

        def next(self) -> None:
            if len(self.closed_trades) == self.closed:
                return
            self.closed = len(self.closed_trades)
            taken = {order.tag for order in self.orders} | {trade.tag for trade in self.trades}
            for cell in range(len(prices) - 1):
                if cell not in taken:
                    self.buy(size=1, limit=prices[cell], tp=prices[cell + 1], tag=cell)

    index = pd.to_datetime(bars.ts, unit="s")
    frame = pd.DataFrame(_columns(bars), index=index)
    test = Backtest(frame, Ladder, cash=CASH, commission=FEE, finalize_trades=False)
    return (lambda: float(test.run()["Equity Final [$]"]) - CASH), len(bars), 1


def backtrader(bars: Bars) -> tuple[Program, int, int]:
    import backtrader as bt
    import pandas as pd

    prices = [price / PRICE_SCALE for price in plan().geometry.prices()]

    class Ladder(bt.Strategy):  # type: ignore[misc, unused-ignore]
        def start(self) -> None:
            self.placed = False

        def next(self) -> None:
            if not self.placed:
                self.placed = True
                for cell in range(len(prices) - 1):
                    self.buy(size=1, exectype=bt.Order.Limit, price=prices[cell], cell=cell)

        def notify_order(self, order: Any) -> None:
            if order.status != order.Completed:
                return
            cell = order.info["cell"]
            if order.isbuy():
                self.sell(size=1, exectype=bt.Order.Limit, price=prices[cell + 1], cell=cell)
            else:
                self.buy(size=1, exectype=bt.Order.Limit, price=prices[cell], cell=cell)

    frame = pd.DataFrame(_columns(bars), index=pd.to_datetime(bars.ts, unit="s"))

    def run() -> float:
        cerebro = bt.Cerebro(stdstats=False)
        cerebro.adddata(bt.feeds.PandasData(dataname=frame))
        cerebro.addstrategy(Ladder)
        cerebro.broker.setcash(CASH)
        cerebro.broker.setcommission(commission=FEE)
        cerebro.run()
        return float(cerebro.broker.getvalue()) - CASH

    return run, len(bars), 1


def vectorbt(bars: Bars) -> tuple[Program, int, int]:
    return _vectorbt(bars, 1)


def vectorbt_sweep(bars: Bars) -> tuple[Program, int, int]:
    return _vectorbt(bars, VECTORBT_SETS)


def _vectorbt(bars: Bars, sets: int) -> tuple[Program, int, int]:
    """Return its portfolio from orders that it is told: when, how much and at what price is not its work."""
    import pandas as pd
    import vectorbt as vbt

    sizes, prices = np.zeros(len(bars)), np.full(len(bars), np.nan)
    for fill in ledger_run(plan(), bars)[1]:
        sizes[fill.bar] += 1.0 if fill.side == "buy" else -1.0
        prices[fill.bar] = fill.price / PRICE_SCALE
    names = [f"{number}" for number in range(sets)]
    close = pd.DataFrame(np.repeat(_price(bars.close)[:, None], sets, axis=1), columns=names)
    told = (np.repeat(column[:, None], sets, axis=1) for column in (sizes, prices))
    size, price = (pd.DataFrame(column, columns=names) for column in told)

    def run() -> float:
        portfolio = vbt.Portfolio.from_orders(close, size=size, price=price, fees=FEE, init_cash=CASH)
        return float(np.asarray(portfolio.total_profit())[-1])

    run()
    return run, len(bars), sets


def _price(column: Any) -> Floats:
    return np.asarray(column / PRICE_SCALE, dtype=np.float64)


def _columns(bars: Bars) -> dict[str, Any]:
    return {
        "Open": _price(bars.open),
        "High": _price(bars.high),
        "Low": _price(bars.low),
        "Close": _price(bars.close),
        "Volume": bars.volume.astype(np.float64),
    }


PROGRAMS = {
    "orders": orders,
    "ledger": ledger,
    "desk": desk,
    "verdicts": verdicts,
    "kernel": kernel,
    "kernel sweep": kernel_sweep,
    "backtesting.py": backtesting_py,
    "backtrader": backtrader,
    "vectorbt": vectorbt,
    "vectorbt sweep": vectorbt_sweep,
}


def main(name: str, count: int) -> int:
    warnings.simplefilter("ignore")  # a peer's own deprecations are not ours to mend
    bars = minutes(count)
    try:
        program, passed, sets = PROGRAMS[name](bars)
    except ImportError as error:
        print(error, file=sys.stderr)
        return ABSENT
    before = process_time()
    profit = program()
    seconds = process_time() - before
    told = {"ns": seconds * 1e9 / passed / sets, "memory_mb": _most_memory_mb(), "profit": profit}
    sys.stdout.buffer.write(orjson.dumps(told) + b"\n")
    return 0


def _most_memory_mb() -> float:
    """Return this process's largest resident size; `ru_maxrss` is its parent's where that was larger."""
    told = Path("/proc/self/status").read_text()
    return int(told.split("VmHWM:")[1].split()[0]) / 1024


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
