"""Bars for the grid's tests: written out, random, recorded."""

from __future__ import annotations

import importlib.util
import sys
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import reject
from hypothesis import strategies as st

from grid import kernels
from grid.geometry import GridGeometry, Spacing
from grid.plan import GridPlan, equal_amounts, half_and_half
from market.candles import Bars, bars_of
from market.costs import OrderCosts
from market.errors import DataInvalid
from market.hours import Timeframe
from store.recorded import series

RECORDED = ("KUCOIN_ETH-USDT", "KUCOIN_ADA-USDT", "BINANCE_BTC-USDT", "BINANCE_SOL-USDT")
SCALES = {"KUCOIN_ADA-USDT": 10_000}


def told(*rows: tuple[int, int, int, int], timeframe: Timeframe = Timeframe.M1) -> Bars:
    """Return bars of (open, high, low, close)."""
    step = timeframe.seconds
    return bars_of(timeframe, [(step * i, o, h, lo, c, 1) for i, (o, h, lo, c) in enumerate(rows)])


def walked(*prices: int) -> Bars:
    """Return bars that each open at one price and close at the next, nothing beyond."""
    return told(*((a, max(a, b), min(a, b), b) for a, b in pairwise(prices)))


def jumping(*prices: int) -> Bars:
    """Return bars of one price each: there is no doubt about the path inside them."""
    return told(*((price,) * 4 for price in prices))


def wandering(seed: int, count: int, step: float, centre: int = 100_000) -> Bars:
    """Return a seeded walk with gaps between bars and both extremes beyond open and close."""
    dice = np.random.default_rng(seed)
    steps = dice.normal(0, step / 2, count * 4) * dice.choice([1.0, 6.0], count * 4, p=[0.97, 0.03])
    stations = np.maximum(centre * np.exp(steps.cumsum()), 1.0).round().astype(np.int64).reshape(count, 4)
    return Bars(
        Timeframe.M1,
        60 * np.arange(count, dtype=np.int64),
        stations[:, 0].copy(),
        stations.max(axis=1),
        stations.min(axis=1),
        stations[:, 3].copy(),
        np.ones(count, dtype=np.int64),
    )


def uncompiled_kernels(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return `grid.kernels` as it is on a machine without numba."""
    monkeypatch.setitem(sys.modules, "numba", None)
    spec = importlib.util.spec_from_file_location("uncompiled_kernels", kernels.__file__)
    plain = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(plain)
    assert not plain.COMPILED
    return plain


def recorded(folder: Path, market: str, timeframe: Timeframe, last: int) -> Bars:
    """Return the last rows of a recorded file."""
    made = series(folder / f"{market}_{timeframe.value}.parquet")
    scale = SCALES.get(market, 100)
    prices = [
        np.round(column[-last:] * scale).astype(np.int64)
        for column in (made.open, made.high, made.low, made.close)
    ]
    return Bars(timeframe, made.ts[-last:], *prices, np.ones(len(prices[0]), dtype=np.int64))


@st.composite
def plans(draw: st.DrawFn) -> GridPlan:
    """Return grids around 1,000 of every kind: any start, size, fee, slippage, exit and way to fill."""
    lower, width = draw(st.integers(850, 990)), draw(st.integers(40, 250))
    geometry = GridGeometry(
        lower, lower + width, draw(st.integers(2, 6)), draw(st.sampled_from(list(Spacing)))
    )
    costs = OrderCosts(
        draw(st.integers(-500, 3_000)), draw(st.integers(0, 20_000)), draw(st.integers(0, 20_000))
    )
    exits = {
        "through": draw(st.integers(0, 3)),
        "stop_loss": draw(st.one_of(st.none(), st.integers(800, lower - 3))),
        "take_profit": draw(st.one_of(st.none(), st.integers(lower + width + 3, 1_250))),
    }
    start = draw(st.integers(840, 1_200))
    try:
        if draw(st.booleans()):
            value, buys_base = draw(st.integers(10**7, 10**12)), draw(st.booleans())
            return half_and_half(geometry, start, value, costs, buys_base=buys_base, **exits)
        return equal_amounts(geometry, start, draw(st.integers(10**6, 10**10)), costs, **exits)
    except DataInvalid:
        reject()


@st.composite
def hostile_bars(draw: st.DrawFn, most: int = 12) -> Bars:
    """Return bars around 1,000 that touch levels, jump over them, and stand still."""
    rows = []
    for _ in range(draw(st.integers(0, most))):
        four = sorted(draw(st.lists(st.integers(800, 1_250), min_size=4, max_size=4)))
        inner = draw(st.permutations(four[1:3]))
        rows.append((inner[0], four[3], four[0], inner[1]))
    return told(*rows)
