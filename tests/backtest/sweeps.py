"""A small sweep over made-up minutes, and the same from the command line over recorded ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from backtest.parameters import parameter_sets
from backtest.sweep import SweepPlan
from market.candles import Bars
from market.costs import OrderCosts
from market.hours import Hour
from tests.grid.series import wandering

START = Hour.parse("2025-06-09T12").open_ts
SETS = parameter_sets("spacing=arithmetic/geometric,levels=3/8,width=2/5/9,stop=none/2")
COSTS = OrderCosts(1_000, 1_500, 150)
MARKET = ("--key", "ETH-USDT", "--venue", "BINANCE")
FORTNIGHT = ("--from", "2025-06-02T00", "--to", "2025-06-16T00", "--every", "3", "--train", "6")
SLICE = (
    *MARKET,
    *FORTNIGHT,
    "--grid",
    "spacing=arithmetic/geometric,levels=4..60:2,width=2..40:1.5,stop=none/5",
)
WHOLE = (
    *MARKET,
    "--grid",
    "spacing=arithmetic/geometric,levels=4..100:4,width=2..50.99:1/1.5,stop=none/2/5/10",
)


def minutes(days: int, seed: int = 1, missing: int = 0) -> Bars:
    """Return seeded minutes of some days, a few of them not known."""
    made = wandering(seed, days * 1440, 0.0016, centre=200_000)
    keep = np.ones(len(made), dtype=np.bool_)
    keep[np.random.default_rng(seed).integers(1, len(made), missing)] = False
    return Bars(made.timeframe, START + made.ts, *made.columns()[1:]).at(keep)


def plan_over(bars: Bars, days: int, *, every_days: int = 2, **parts: object) -> SweepPlan:
    settings: dict = {"costs": COSTS, "every_days": every_days, "pessimistic": True, **parts}
    return SweepPlan(
        "ETH-USDT", bars, START, START + days * 86_400, 200_000, 100, 10**4, 1, 10**10, **settings
    )


def contents(folder: Path) -> dict[str, bytes]:
    """Return the bytes of everything that a sweep tells."""
    names = ("manifest.json", "sets.parquet", "days.parquet", "summary.json")
    return {name: (folder / name).read_bytes() for name in names}
