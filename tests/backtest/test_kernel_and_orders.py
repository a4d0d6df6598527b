"""The compiled grid kernel against the order-level exchange: equal wherever a bar leaves no doubt."""

from __future__ import annotations

import numpy as np
import pytest

from bench.ladders import START, minutes, order_by_order, plan
from grid.simulation import compiled_run, ledger_run
from market.candles import Bars


def jumping(bars: Bars) -> Bars:
    """Return bars of one price each: nothing can fill and be answered inside one."""
    return Bars(bars.timeframe, bars.ts, bars.close, bars.close, bars.close, bars.close, bars.volume)


@pytest.mark.parametrize("seed", range(4))
async def test_where_a_bar_is_one_price_kernel_ledger_and_orders_are_equal(seed):
    """Cash, coin and fills to the last unit, over hundreds of fills, jumps over several levels among them."""
    bars = jumping(minutes(6_000, seed))
    prices = np.array(plan().geometry.prices())
    rungs = np.searchsorted(prices, bars.close)
    assert np.abs(np.diff(rungs)).max() >= 1
    ladder = plan(units=10**6 + seed)
    plain, fills = ledger_run(ladder, bars)
    traded = await order_by_order(ladder, bars)
    assert compiled_run(ladder, bars) == plain
    assert (traded.cash, traded.coin, traded.fills) == (plain.quote, plain.base, len(fills))
    assert traded.fills > 50


async def test_jumps_over_many_levels_are_equal_too():
    """A market that leaps up and down the whole ladder."""
    rng = np.random.default_rng(3)
    close = rng.integers(START * 7 // 10, START * 11 // 10, 800)
    bars = jumping(minutes(800))
    bars = Bars(bars.timeframe, bars.ts, close, close, close, close, bars.volume)
    plain, fills = ledger_run(plan(), bars)
    traded = await order_by_order(plan(), bars)
    assert (traded.cash, traded.coin, traded.fills) == (plain.quote, plain.base, len(fills))
    assert traded.fills > 2_000


async def test_inside_a_bar_orders_are_never_answered_and_the_kernel_answers_some():
    """The one difference, measured: answers inside the same minute are the kernel's alone, and few."""
    bars = minutes(20_000)
    plain, fills = ledger_run(plan(), bars)
    traded = await order_by_order(plan(), bars)
    assert traded.fills <= len(fills)
    assert len(fills) - traded.fills <= 0.05 * len(fills)
    worth = traded.cash + traded.coin * int(bars.close[-1])
    assert abs(worth - plain.value) <= 0.05 * abs(plain.total)
