"""The event loop of a grid over candles: compiled where numba is installed, the same in Python where not.

The ladder rests as two prices, the next buy and the next sale; a bar that reaches neither costs two
comparisons. Everything else of a bar (the path inside it, fills, exits) happens in `_pass_bar`.
Results equal `grid.simulation.ledger_run` to the last unit as long as `grid.ladder.fits`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np

from grid.ladder import (
    BASE,
    BUY_AT,
    CYCLED,
    CYCLES,
    EARNED,
    EXIT_SEEN,
    FIRST,
    GIVEN_UP,
    GROSS,
    HELD_BARS,
    LEVELS,
    MOST_PROFIT,
    NET,
    NEVER_ABOVE,
    NEVER_BELOW,
    QUOTE,
    SELL_AT,
    SLIPPAGE_PPM,
    STATE,
    STOPPED_AT,
    TAKER_PPM,
)
from market.candles import Ints

Kernel = TypeVar("Kernel", bound=Callable[..., Any])

try:
    from numba import njit
except ImportError:
    COMPILED = False
else:
    COMPILED = True

PPM = 1_000_000
BLOCK = 2048  # bars that stay in the nearest cache while every ladder of a sweep passes them
GROUP = 8  # bars of a block that a ladder of a sweep passes in one step where they do not reach it


def compiled(function: Kernel) -> Kernel:
    """Compile without the interpreter's lock; nothing is cached on disk, a read-only image must work."""
    return cast(Kernel, njit(nogil=True, cache=False)(function)) if COMPILED else function


def inlined(function: Kernel) -> Kernel:
    """Compile into the callers: a call would count references of every array that it passes."""
    return cast(Kernel, njit(nogil=True, cache=False, forceinline=True)(function)) if COMPILED else function


@inlined
def _fee_on(notional: int, rate_ppm: int) -> int:
    return notional // PPM * rate_ppm - (-(notional % PPM) * rate_ppm) // PPM


@inlined
def _travel(
    table: Ints, levels: int, first: int, state: int, earned: int, cycled: int, cycles: int, to: int
) -> tuple[int, int, int, int]:
    """Let the price move straight to `to`; state -1 is the stop-loss, `levels` + 1 the take-profit."""
    while to <= table[BUY_AT, state]:
        state -= 1
        if state < 0:
            return state, earned, cycled, cycles
        if state >= first:
            earned += table[NET, state]
            cycled += table[GROSS, state]
            cycles += 1
    while to >= table[SELL_AT, state]:
        if state == levels:
            return state + 1, earned, cycled, cycles
        if state < first:
            earned += table[NET, state]
            cycled += table[GROSS, state]
            cycles += 1
        state += 1
    return state, earned, cycled, cycles


@inlined
def _pass_in_order(
    table: Ints,
    facts: Ints,
    state: int,
    earned: int,
    cycled: int,
    cycles: int,
    open_: int,
    one: int,
    other: int,
    close: int,
) -> tuple[int, int, int, int, int]:
    """Walk open, one extreme, the other, close; the last value is the price that an exit saw, else 0."""
    levels, first = facts[LEVELS], facts[FIRST]
    for leg in range(4):
        to = open_ if leg == 0 else one if leg == 1 else other if leg == 2 else close
        state, earned, cycled, cycles = _travel(table, levels, first, state, earned, cycled, cycles, to)
        if state < 0:
            stop = table[BUY_AT, 0]
            return state, earned, cycled, cycles, to if leg == 0 else stop
        if state > levels:
            return state, earned, cycled, cycles, table[SELL_AT, levels]
    return state, earned, cycled, cycles, 0


@inlined
def _value(table: Ints, facts: Ints, state: int, earned: int, exit_seen: int, close: int) -> int:
    """Return the worth at the close: coin and cash, or what selling all at `exit_seen` left."""
    rung = min(max(state, 0), facts[LEVELS])
    brought: int = table[BASE, rung] * close
    if exit_seen > 0:
        brought = table[BASE, rung] * (exit_seen - _fee_on(exit_seen, facts[SLIPPAGE_PPM]))
        brought -= _fee_on(brought, facts[TAKER_PPM])
    return brought + int(table[QUOTE, rung]) + earned


@inlined
def _pass_bar(
    table: Ints,
    facts: Ints,
    state: int,
    earned: int,
    cycled: int,
    cycles: int,
    open_: int,
    high: int,
    low: int,
    close: int,
    worse: bool,  # noqa: FBT001
) -> tuple[int, int, int, int, int]:
    """Return what `_pass_in_order` does by the order of the extremes that is believed."""
    levels, first = facts[LEVELS], facts[FIRST]
    # a bar that fills in one direction and cannot turn anything back is the same by both orders
    if high < table[SELL_AT, state]:
        down = _travel(table, levels, first, state, earned, cycled, cycles, low)
        if down[0] >= 0 and high < table[SELL_AT, down[0]]:
            return down[0], down[1], down[2], down[3], 0
    elif low > table[BUY_AT, state]:
        up = _travel(table, levels, first, state, earned, cycled, cycles, high)
        if up[0] <= levels and low > table[BUY_AT, up[0]]:
            return up[0], up[1], up[2], up[3], 0
    low_first = _pass_in_order(table, facts, state, earned, cycled, cycles, open_, low, high, close)
    high_first = _pass_in_order(table, facts, state, earned, cycled, cycles, open_, high, low, close)
    low_value = _value(table, facts, low_first[0], low_first[1], low_first[4], close)
    high_value = _value(table, facts, high_first[0], high_first[1], high_first[4], close)
    if low_value == high_value or (low_value < high_value) == worse:
        return low_first
    return high_first


@compiled
def _pass_bars(
    open_: Ints,
    high: Ints,
    low: Ints,
    close: Ints,
    before: int,
    table: Ints,
    facts: Ints,
    worse: bool,  # noqa: FBT001
    result: Ints,
    values: Ints,
) -> None:
    """Carry one ladder over bars, `before` of which it has seen already.

    `result` is read and written; `values` takes the worth at each close, or has no length.
    """
    state, earned, cycled = result[STATE], result[EARNED], result[CYCLED]
    cycles, held = result[CYCLES], result[HELD_BARS]
    keep = len(values) > 0
    buy_at, sell_at = table[BUY_AT, state], table[SELL_AT, state]
    base, cash = table[BASE, state], table[QUOTE, state] + earned
    since = 0
    for t in range(len(low)):
        if low[t] <= buy_at or high[t] >= sell_at:
            state, earned, cycled, cycles, seen = _pass_bar(
                table, facts, state, earned, cycled, cycles, open_[t], high[t], low[t], close[t], worse
            )
            if base > 0:
                held += t - since
            since = t
            if seen > 0:
                result[STOPPED_AT], result[EXIT_SEEN] = before + t, seen
                base, cash = 0, _value(table, facts, state, earned, seen, close[t])
                buy_at, sell_at = NEVER_BELOW, NEVER_ABOVE
            else:
                buy_at, sell_at = table[BUY_AT, state], table[SELL_AT, state]
                base, cash = table[BASE, state], table[QUOTE, state] + earned
            if cycled > MOST_PROFIT:
                result[GIVEN_UP] = 1
                break
        if keep:
            values[t] = base * close[t] + cash
    if base > 0:
        held += len(low) - since
    result[STATE], result[EARNED], result[CYCLED] = state, earned, cycled
    result[CYCLES], result[HELD_BARS] = cycles, held


@inlined
def _note_reach(low: Ints, high: Ints, lows: Ints, highs: Ints) -> int:
    """Write the lowest low and the highest high of every `GROUP` bars; return how many groups there are."""
    groups = 0
    for start in range(0, len(low), GROUP):
        lowest, highest = low[start], high[start]
        for t in range(start + 1, min(start + GROUP, len(low))):
            lowest, highest = min(lowest, low[t]), max(highest, high[t])
        lows[groups], highs[groups] = lowest, highest
        groups += 1
    return groups


@compiled
def _pass_groups(
    open_: Ints,
    high: Ints,
    low: Ints,
    close: Ints,
    lows: Ints,
    highs: Ints,
    before: int,
    table: Ints,
    facts: Ints,
    worse: bool,  # noqa: FBT001
    result: Ints,
) -> None:
    """Do as `_pass_bars` without values; groups whose low and high reach nothing are passed in one step."""
    state, earned, cycled = result[STATE], result[EARNED], result[CYCLED]
    cycles, held = result[CYCLES], result[HELD_BARS]
    buy_at, sell_at, base = table[BUY_AT, state], table[SELL_AT, state], table[BASE, state]
    since, count = 0, len(low)
    for group in range(len(lows)):
        if lows[group] > buy_at and highs[group] < sell_at:
            continue
        for t in range(group * GROUP, min((group + 1) * GROUP, count)):
            if low[t] > buy_at and high[t] < sell_at:
                continue
            state, earned, cycled, cycles, seen = _pass_bar(
                table, facts, state, earned, cycled, cycles, open_[t], high[t], low[t], close[t], worse
            )
            if base > 0:
                held += t - since
            since = t
            if seen > 0:
                result[STOPPED_AT], result[EXIT_SEEN] = before + t, seen
                base, buy_at, sell_at = 0, NEVER_BELOW, NEVER_ABOVE
            else:
                buy_at, sell_at, base = table[BUY_AT, state], table[SELL_AT, state], table[BASE, state]
            if cycled > MOST_PROFIT:
                break
        if cycled > MOST_PROFIT:
            result[GIVEN_UP] = 1
            break
    if base > 0:
        held += count - since
    result[STATE], result[EARNED], result[CYCLED] = state, earned, cycled
    result[CYCLES], result[HELD_BARS] = cycles, held


@compiled
def run(
    open_: Ints,
    high: Ints,
    low: Ints,
    close: Ints,
    table: Ints,
    facts: Ints,
    worse: bool,  # noqa: FBT001
    result: Ints,
    values: Ints,
) -> None:
    """Carry one ladder over all bars.

    Args:
        open_, high, low, close: Price x price_scale, int64, shape (n,).
        table, facts: Of `grid.ladder`, shapes (ROWS, width) and (FACTS,).
        worse: True takes the worse of both paths inside a bar, False the better.
        result: Shape (RESULTS,): zeros but for STATE (the first level) and STOPPED_AT (-1); filled here.
        values: Shape (n,) for the worth at each close, or (0,).
    """
    _pass_bars(open_, high, low, close, 0, table, facts, worse, result, values)


@compiled
def sweep(
    open_: Ints,
    high: Ints,
    low: Ints,
    close: Ints,
    tables: Ints,
    facts: Ints,
    worse: bool,  # noqa: FBT001
    results: Ints,
) -> None:
    """Carry many ladders over the same bars, a block of bars at a time.

    What each group of bars reaches is noted once for all ladders; a ladder whose next buy and next sale a
    group does not reach passes it in one step.

    Args:
        open_, high, low, close: As in `run`.
        tables, facts, results: One ladder a row, otherwise as in `run`.
        worse: As in `run`.
    """
    lows, highs = np.empty(BLOCK // GROUP, dtype=np.int64), np.empty(BLOCK // GROUP, dtype=np.int64)
    for start in range(0, len(low), BLOCK):
        end = min(start + BLOCK, len(low))
        groups = _note_reach(low[start:end], high[start:end], lows, highs)
        for row in range(len(results)):
            if results[row, STOPPED_AT] < 0 and results[row, GIVEN_UP] == 0:
                _pass_groups(
                    open_[start:end], high[start:end], low[start:end], close[start:end],
                    lows[:groups], highs[:groups], start,
                    tables[row], facts[row], worse, results[row],
                )  # fmt: skip


@compiled
def run_each(
    open_: Ints,
    high: Ints,
    low: Ints,
    close: Ints,
    starts: Ints,
    ends: Ints,
    tables: Ints,
    facts: Ints,
    worse: bool,  # noqa: FBT001
    results: Ints,
) -> None:
    """Carry each ladder over its own rows [start, end) of one series.

    Args:
        open_, high, low, close: As in `run`.
        starts, ends: Rows, shape (n,).
        tables, facts, results: One ladder a row, otherwise as in `run`.
        worse: As in `run`.
    """
    nothing = np.empty(0, dtype=np.int64)
    for row in range(len(starts)):
        start, end = starts[row], ends[row]
        _pass_bars(
            open_[start:end], high[start:end], low[start:end], close[start:end], 0,
            tables[row], facts[row], worse, results[row], nothing,
        )  # fmt: skip


@compiled
def run_each_mirrored(
    open_: Ints,
    high: Ints,
    low: Ints,
    close: Ints,
    starts: Ints,
    ends: Ints,
    tables: Ints,
    facts: Ints,
    worse: bool,  # noqa: FBT001
    results: Ints,
) -> None:
    """Do as `run_each` on prices reflected about the close of the row before each ladder's first."""
    nothing = np.empty(0, dtype=np.int64)
    for row in range(len(starts)):
        start, count = starts[row], ends[row] - starts[row]
        flipped = np.empty((4, count), dtype=np.int64)
        for t in range(count):
            flipped[0, t] = mirror(close[start - 1], open_[start + t])
            flipped[1, t] = mirror(close[start - 1], low[start + t])
            flipped[2, t] = mirror(close[start - 1], high[start + t])
            flipped[3, t] = mirror(close[start - 1], close[start + t])
        _pass_bars(
            flipped[0], flipped[1], flipped[2], flipped[3], 0,
            tables[row], facts[row], worse, results[row], nothing,
        )  # fmt: skip


@inlined
def mirror(centre: int, price: int) -> int:
    """Return `price` reflected about `centre` in logarithms, at least 1; both below 2**53."""
    return max(int(centre * (centre / price) + 0.5), 1)
