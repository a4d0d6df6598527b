"""The loops over whole series behind `regime/kernels.py`: compiled, the bits of `regime/metrics`.

How they are made fast:
1. A chunk of 256 rows passes every loop while it stays in the nearest cache. What needs no row before it runs
   as wide as the machine's registers; what does (Wilder's averages, rolling sums) is eight chains side
   by side in one loop, which takes little longer than the longest of them. One series needs no warm-up this
   way, where lanes made of segments would: Wilder's averages have no exact value but from the first bar on.
2. A wide loop writes one column, or some of one array at fixed distances: to make it wide the compiler must
   check that columns do not overlap, and with too many checks it keeps to single numbers. An index is the
   loop's own plus a constant; what else is added could be negative for all it knows, so slices are taken.
3. Nothing is allocated, so references need not be counted: at every slice that took longer than the loops.
4. Windows of 20 and 24 bars are sums of pairs, of pairs of pairs and so on, those of closes shared by slope
   and bands: a few additions a row, made of the window's own values only, so a spike that has left it leaves
   nothing behind.
5. Windows of 168 roll: new in, old out. They start anew every `RESTART` rows from their first whole window,
   levels shifted by the level there, so a price may wander 20,000-fold. Only squares and neighbours' products
   of steps are needed: the sum of level x step telescopes.
6. Rounding to 9 digits multiplies by a power of ten that is exact, rounds, and divides by it: one rounding
   each, equal to decimal rounding unless the tenth digit is next to a tie. There, and for scores, where ties
   are common, the part that scaling lost is computed and decides. Sizes below 1e-13 or from 1e9 are left to
   `precision.significant`.
7. T is a sum of whole millionths in twentieths: integers, no order of addition can change it.
8. The median of 168 bandwidths lies between the greatest of a lower and the least of an upper half, neither
   sorted: a new value takes the place of the one that leaves, and a half is searched only where its outermost
   value moves on.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np

from market.candles import Floats, Ints
from regime.columns import LN2_HIGH, LN2_LOW, LN_EVEN, LN_ODD, RESTART, ROOT_HALF_BITS
from regime.config import METRICS
from regime.metrics.autocorrelation import NOISE as SAME_RETURNS
from regime.metrics.half_life import LN_2, NEAR_ONE
from regime.metrics.half_life import NOISE as SAME_LINE
from regime.precision import LARGEST, NEAR_TIE, SMALLEST

Kernel = TypeVar("Kernel", bound=Callable[..., Any])

try:
    from numba import njit
except ImportError:
    HAVE_NUMBA = False
else:
    HAVE_NUMBA = True

CHUNK = 256
COLUMN = CHUNK + 8  # between columns in one array; a power of two would make them compete for the cache
NO_KEY = 2**63 - 1
HALF_LIFE, SLOPE = METRICS.index("half_life"), METRICS.index("slope")
ROOT_HALF = 0.70710678118654752440
_EVEN_0, _EVEN_1, _EVEN_2 = LN_EVEN
_ODD_0, _ODD_1, _ODD_2, _ODD_3 = LN_ODD
_SPLIT = 134_217_729.0  # 2^27 + 1: cuts a number into halves whose products are exact
_LOG10_2_TO_THE_20TH = 315_652  # log10(2) x 2^20, rounded down
_TO_WHOLE = 6_755_399_441_055_744.0  # 1.5 x 2^52: added and taken away, a whole number is left, ties to even


_OPTIONS: dict[str, Any] = {
    "nogil": True,
    "cache": False,  # a read-only image must work
    "error_model": "numpy",
    "_nrt": False,  # numba's own name for: this allocates nothing, so references are not counted
}


def compiled(function: Kernel) -> Kernel:
    """Compile, where numba is installed, what allocates nothing."""
    return cast("Kernel", njit(**_OPTIONS)(function)) if HAVE_NUMBA else function


def inlined(function: Kernel) -> Kernel:
    """Compile into the callers; what they know of lengths and distances is known inside."""
    return cast("Kernel", njit(**_OPTIONS, forceinline=True)(function)) if HAVE_NUMBA else function


def plain_log_of_parts(f: float, power: float) -> float:
    """Return ln((1 + f) x 2^power) for 1 + f from sqrt(1/2) to sqrt(2), as `columns` makes it."""
    s = f / (2.0 + f)
    z = s * s
    w = z * z
    even = w * (_EVEN_0 + w * (_EVEN_1 + w * _EVEN_2))
    odd = z * (_ODD_0 + w * (_ODD_1 + w * (_ODD_2 + w * _ODD_3)))
    half_square = 0.5 * f * f
    tail = s * (half_square + (odd + even)) + power * LN2_LOW
    return power * LN2_HIGH - ((half_square - tail) - f)


log_of_parts = compiled(plain_log_of_parts)


def workspace(lengths: tuple[int, ...]) -> Floats:
    """Return memory that `columns` may work in: logarithms twice, flows, changes, two tables of pairs."""
    _, walk, lag, span, line, band = lengths
    longest, past = max(walk, line, band), max(walk, lag, span)
    pairs = 2 * (longest.bit_length() + 1) * (longest + COLUMN + 8)
    return np.empty(2 * (past + COLUMN + 8) + 13 * COLUMN + pairs + 8)


@inlined
def _whole_lines(values: int) -> int:
    """Return how many values fill the cache lines that these begin; a wide store across two takes longer."""
    return (values + 7) // 8 * 8


@compiled
def columns(
    high: Floats,
    low: Floats,
    close: Floats,
    lengths: tuple[int, ...],
    deviations: float,
    out: Floats,
    powers: Floats,
    memory: Floats,
) -> bool:
    """Fill seven or ten columns in the order of `Indicators`; return whether the slopes are still open.

    They are where an ATR is of a size that `_recorded_part` leaves to its caller.

    Args:
        high, low, close: Quote prices, shape (n,).
        lengths: Bars of Wilder's averages, efficiency ratio, autocorrelation, half-life, slope, bands.
        deviations: Of the bands.
        out: Shape (7, n) or (10, n).
        powers: `POWERS_OF_TEN`.
        memory: See `workspace`.
    """
    rows, beside, still_open = close.shape[0], out.shape[0] > 7, False
    wilder, walk, lag, span, line, band = lengths
    past = max(walk, lag, span) + 1  # logarithms kept before a chunk; before the first row they are 0
    longest = max(walk, line, band)
    kept, wide, depth = _whole_lines(past) + COLUMN, _whole_lines(longest) + COLUMN, _depth(longest) + 1
    memory = memory[8 - memory.ctypes.data // 8 % 8 :]
    logs, spare, memory = memory[:kept], memory[kept : 2 * kept], memory[2 * kept :]
    flows, rest, memory = memory[: 11 * COLUMN], memory[11 * COLUMN : 13 * COLUMN], memory[13 * COLUMN :]
    moved = rest.view(np.int64)  # the newest row whose close differs from the one before it
    pairs = memory[: 2 * depth * wide].reshape(2, depth, wide)
    logs[:], flows[:], pairs[0, depth - 1], moved[0] = 0.0, 0.0, 0.0, 0
    reaches, ups, downs, squares = flows[0:], flows[COLUMN:], flows[2 * COLUMN :], flows[3 * COLUMN :]
    products, step_squares, levels = flows[4 * COLUMN :], flows[5 * COLUMN :], flows[6 * COLUMN :]
    level_squares, rounded = flows[7 * COLUMN :], flows[8 * COLUMN :]
    sizes, scale = flows[9 * COLUMN :], flows[10 * COLUMN :]
    keep, share, base = (wilder - 1) / wilder, 1 / wilder, 1 / close[0] if rows else 0.0
    reach, up, down, average, seen, total = 0.0, 0.0, 0.0, np.nan, 0, 0.0
    square, product, step_square, level, level_square, shift = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    start, end = 0, 0
    while end < rows:
        start, end = end, _next_cut(end, rows, wilder, lag, span)
        size = end - start
        now = logs[past - 1 :]  # from the row before the chunk
        _logs(close[start:end], base, sizes, now[1:])
        _last_changes(now, start, size, moved)
        if start >= wilder:
            before = start - 1
            _movements(high[before:end], low[before:end], close[before:end], share, flows)
        if start == wilder:
            reaches[0], ups[0], downs[0] = _first_averages(high, low, close, wilder)
        if start >= lag:
            _steps_that_pass(logs[past - lag - 1 :], lag, size, squares)
            if (start - lag) % RESTART == 0:
                square, product = 0.0, 0.0
                squares[0], products[0] = _first_steps(logs[past - lag :], lag)
        if start >= span:
            if (start - span) % RESTART == 0:
                step_square, level, level_square, shift = 0.0, 0.0, 0.0, now[1]
            _levels_that_pass(logs[past - span - 1 :], span, size, shift, levels)
            if lag != span:
                _steps_squared_that_pass(logs[past - span - 1 :], span, size, step_squares)
            if (start - span) % RESTART == 0:
                step_squares[0], levels[0], level_squares[0] = _first_levels(logs[past - span :], span, shift)
        adx, atr, plus, minus = out[0, start:end], out[6, start:end], out[-3, start:end], out[-2, start:end]
        for i in range(size):
            reach = reach * keep + flows[i]
            up = up * keep + flows[i + COLUMN]
            down = down * keep + flows[i + 2 * COLUMN]
            movement = up + down
            if seen == wilder:  # once anything has moved, the averages stay above 0
                average = average * keep + 100.0 * abs(up - down) / movement * share
            elif movement > 0.0:
                seen += 1
                total += 100.0 * abs(up - down) / movement
                average = total / wilder if seen == wilder else np.nan
            square += flows[i + 3 * COLUMN]
            product += flows[i + 4 * COLUMN]
            level += flows[i + 6 * COLUMN]
            level_square += flows[i + 7 * COLUMN]
            adx[i], atr[i] = average, reach
            flows[i + 3 * COLUMN] = square
            flows[i + 4 * COLUMN] = product
            if lag != span:
                step_square += flows[i + 5 * COLUMN]
                flows[i + 5 * COLUMN] = step_square
            flows[i + 6 * COLUMN] = level
            flows[i + 7 * COLUMN] = level_square
            if beside:
                plus[i], minus[i] = 100.0 * up / reach, 100.0 * down / reach
        if start >= lag:
            told = out[2, start:end]
            _autocorrelations(logs[past - lag :], lag, squares, products, moved[1:], start - lag, told)
        if start >= span:
            whole, told = logs[past - span :], out[3, start:end]
            steps = squares if lag == span else step_squares  # the same sums, then
            _pulls(whole, span, shift, steps, levels, level_squares, moved, start - span, told)
            if beside:
                t = out[9, start:end]
                _dickey_fuller_ts(whole, span, shift, steps, levels, level_squares, told, t)
            _half_lives(told, sizes)
        _efficiency_ratios(logs[past - walk :], walk, pairs[1], out[1, start:end])
        still_open = _recorded_part(atr, rounded, powers, sizes, scale) or still_open
        _pair_closes(close, start, end, max(line, band), pairs[0])
        _slopes(pairs[0], max(band - line, 0), line, rounded, pairs[1], out[4, start:end])
        _bandwidths(pairs[0], max(line - band, 0), band, deviations, pairs[1], out[5, start:end])
        newest = logs[size:]
        for i in range(past):
            spare[i] = newest[i]
        logs, spare = spare, logs
        moved[0] = moved[size]
    for column, bars in enumerate((wilder, walk, lag, span, line - 1, band - 1, wilder)):
        out[column, : min(bars, rows)] = np.nan
    if beside:
        out[7:9, : min(wilder, rows)], out[9, : min(span, rows)] = np.nan, np.nan
    return still_open


@inlined
def _next_cut(start: int, rows: int, wilder: int, lag: int, span: int) -> int:
    """Return where a chunk ends: where a column starts and where sums start anew, another begins."""
    end = min(start + CHUNK, rows)
    for first in (wilder, lag, span):
        end = first if start < first < end else end
    for first in (lag, span):
        again = start + RESTART - (start - first) % RESTART
        end = again if start >= first and again < end else end
    return end


@inlined
def _logs(close: Floats, base: float, ratio: Floats, out: Floats) -> None:
    """Fill ln(close x base)."""
    bits = ratio.view(np.int64)
    for i in range(close.shape[0]):
        ratio[i] = close[i] * base
        power = (bits[i] - ROOT_HALF_BITS) >> 52
        bits[i] -= power << 52
        out[i] = log_of_parts(ratio[i] - 1.0, float(power))


@inlined
def _last_changes(now: Floats, start: int, size: int, moved: Ints) -> None:
    """Fill for each row the newest one up to it whose value differs from the one before."""
    still = 0
    for i in range(size):
        still += 1 if now[i + 1] == now[i] else 0
        moved[i + 1] = start + i
    if still:
        for i in range(size):
            moved[i + 1] = moved[i + 1] if now[i + 1] != now[i] else moved[i]


@inlined
def _movements(high: Floats, low: Floats, close: Floats, share: float, flows: Floats) -> None:
    """Fill what a bar adds to Wilder's averages of true range, upward and downward movement."""
    for i in range(close.shape[0] - 1):
        raised, sunk = high[i + 1] - high[i], low[i] - low[i + 1]
        flows[i] = (max(high[i + 1], close[i]) - min(low[i + 1], close[i])) * share
        flows[i + COLUMN] = (raised if raised > sunk and raised > 0.0 else 0.0) * share
        flows[i + 2 * COLUMN] = (sunk if sunk > raised and sunk > 0.0 else 0.0) * share


@inlined
def _first_averages(high: Floats, low: Floats, close: Floats, bars: int) -> tuple[float, float, float]:
    """Return the means with which Wilder's averages start."""
    reach, up, down = 0.0, 0.0, 0.0
    for row in range(1, bars + 1):
        raised, sunk = high[row] - high[row - 1], low[row - 1] - low[row]
        reach += max(high[row], close[row - 1]) - min(low[row], close[row - 1])
        up += raised if raised > sunk and raised > 0.0 else 0.0
        down += sunk if sunk > raised and sunk > 0.0 else 0.0
    return reach / bars, up / bars, down / bars


@inlined
def _steps_that_pass(logs: Floats, bars: int, size: int, flows: Floats) -> None:
    """Fill what enters less what leaves sums of squares of steps and, a column on, of neighbours' products.

    Args:
        logs: From `bars` + 1 before the first row on.
        bars: Of the window.
        size: Rows.
        flows: Where it goes.
    """
    newest = logs[bars - 1 :]
    for i in range(size):
        step, before = newest[i + 2] - newest[i + 1], newest[i + 1] - newest[i]
        gone, after = logs[i + 1] - logs[i], logs[i + 2] - logs[i + 1]
        flows[i] = step * step - gone * gone
        flows[i + COLUMN] = step * before - after * gone


@inlined
def _first_steps(logs: Floats, bars: int) -> tuple[float, float]:
    """Return the sums with which a block starts, of the window that `logs` starts with."""
    square, product = (logs[1] - logs[0]) * (logs[1] - logs[0]), 0.0
    for i in range(1, bars):
        step = logs[i + 1] - logs[i]
        square += step * step
        product += step * (logs[i] - logs[i - 1])
    return square, product


@inlined
def _levels_that_pass(logs: Floats, bars: int, size: int, shift: float, flows: Floats) -> None:
    """Fill the same for sums of levels and of their squares."""
    newest = logs[bars:]
    for i in range(size):
        new, gone = newest[i] - shift, logs[i] - shift
        flows[i] = new - gone
        flows[i + COLUMN] = new * new - gone * gone


@inlined
def _steps_squared_that_pass(logs: Floats, bars: int, size: int, flows: Floats) -> None:
    """Fill the same for the sum of squares of steps alone."""
    newest = logs[bars:]
    for i in range(size):
        step, gone = newest[i + 1] - newest[i], logs[i + 1] - logs[i]
        flows[i] = step * step - gone * gone


@inlined
def _first_levels(logs: Floats, bars: int, shift: float) -> tuple[float, float, float]:
    """Return the sums with which a block starts, of the window that `logs` starts with."""
    square, level, level_square = 0.0, 0.0, 0.0
    for i in range(bars):
        step, apart = logs[i + 1] - logs[i], logs[i] - shift
        square += step * step
        level += apart
        level_square += apart * apart
    return square, level, level_square


@inlined
def _depth(length: int) -> int:
    """Return how many powers of two are not above a length."""
    depth = 0
    while length >> depth:
        depth += 1
    return depth


@inlined
def _pair_sums(sums: Floats, count: int, bars: int) -> None:
    """Fill the sums of 2, 4, 8 and so on neighbours, up to `bars`, from the `count` values of `sums[0]`."""
    for level in range(_depth(bars) - 1):
        apart = 1 << level
        first, second, both = sums[level], sums[level][apart:], sums[level + 1]
        for i in range(count - 2 * apart + 1):
            both[i] = first[i] + second[i]


@inlined
def _pair_closes(close: Floats, start: int, end: int, bars: int, totals: Floats) -> None:
    """Fill the sums of closes that windows of up to `bars` are made of; before the first close stands it."""
    missing = max(bars - 1 - start, 0)
    first, given = totals[0][missing:], close[start + missing - bars + 1 : end]
    totals[0, :missing] = close[0]
    for i in range(given.shape[0]):
        first[i] = given[i]
    _pair_sums(totals, bars - 1 + end - start, bars)


@inlined
def _efficiency_ratios(logs: Floats, bars: int, walked: Floats, out: Floats) -> None:
    """Fill the column; `logs` from `bars` before its first row on, `walked` to work in."""
    size, depth, newest, steps = out.shape[0], _depth(bars) - 1, logs[bars:], walked[0]
    for i in range(size + bars - 1):
        steps[i] = abs(logs[i + 1] - logs[i])
    _pair_sums(walked, size + bars - 1, bars)
    total, at = walked[depth], 1 << depth
    for level in range(depth - 1, -1, -1):
        if bars >> level & 1:
            part = walked[level][at:]
            for i in range(size):
                total[i] += part[i]
            at += 1 << level
    for i in range(size):
        ratio = min(abs(newest[i] - logs[i]) / total[i], 1.0)
        out[i] = ratio if total[i] != 0.0 else np.nan


@inlined
def _slopes(totals: Floats, before: int, bars: int, atr: Floats, rises: Floats, out: Floats) -> None:
    """Fill slopes over `atr`.

    Args:
        totals: Of closes, see `_pair_closes`.
        before: How many bars longer than this window those are made for.
        bars: Of the window.
        atr: As recorded.
        rises: To work in.
        out: Where it goes.
    """
    size, depth, share = out.shape[0], _depth(bars) - 1, 12 / (bars * (bars * bars - 1))
    nothing = totals[totals.shape[0] - 1]
    for level in range(depth):
        apart, half = 1 << level, (1 << level) / 2
        total, later = totals[level][before:], totals[level][before + apart :]
        rise, joint = rises[level] if level else nothing, rises[level + 1]
        rise_later = rise[apart:]
        for i in range(size + bars - 2 * apart):
            joint[i] = (rise[i] + rise_later[i]) + (later[i] - total[i]) * half
    total, rise, at = totals[depth][before:], rises[depth], 1 << depth
    for level in range(depth - 1, -1, -1):
        if bars >> level & 1:
            later, rise_later = totals[level][before + at :], (rises[level] if level else nothing)[at:]
            whole, half, later_half = rises[0], at / 2, (1 << level) / 2
            for i in range(size):
                rise[i] = (rise[i] + rise_later[i]) + (later[i] * half - total[i] * later_half)
            for i in range(size):
                whole[i] = total[i] + later[i]
            total, at = whole, at + (1 << level)
    for i in range(size):
        out[i] = rise[i] * share / atr[i] if atr[i] != 0.0 else np.nan


@inlined
def _bandwidths(
    totals: Floats, before: int, bars: int, deviations: float, squares: Floats, out: Floats
) -> None:
    """Fill bandwidths; `totals` and `before` as for slopes, `squares` to work in.

    Source:
        T. F. Chan, G. H. Golub, R. J. LeVeque, Updating Formulae and a Pairwise Algorithm, 1979.
    """
    size, depth, share, wide = out.shape[0], _depth(bars) - 1, 1 / bars, 2 * deviations
    nothing = totals[totals.shape[0] - 1]
    for level in range(depth):
        apart, weight = 1 << level, 0.5 / (1 << level)
        total, later = totals[level][before:], totals[level][before + apart :]
        square, joint = squares[level] if level else nothing, squares[level + 1]
        square_later = square[apart:]
        for i in range(size + bars - 2 * apart):
            gap = total[i] - later[i]
            joint[i] = (square[i] + square_later[i]) + gap * gap * weight
    total, square, at = totals[depth][before:], squares[depth], 1 << depth
    for level in range(depth - 1, -1, -1):
        part = 1 << level
        if bars & part:
            later, square_later = totals[level][before + at :], (squares[level] if level else nothing)[at:]
            whole, weight = squares[0], 1 / (at * part * (at + part))
            for i in range(size):
                gap = total[i] * part - later[i] * at
                square[i] = (square[i] + square_later[i]) + gap * gap * weight
            for i in range(size):
                whole[i] = total[i] + later[i]
            total, at = whole, at + part
    for i in range(size):
        out[i] = wide * np.sqrt(square[i] * share) / (total[i] * share)


@inlined
def _autocorrelations(
    logs: Floats, bars: int, squares: Floats, products: Floats, moved: Ints, oldest: int, out: Floats
) -> None:
    """Fill the column.

    Args:
        logs: From `bars` before the first row on.
        bars: Of the window.
        squares, products: Sums of squares of steps and of neighbours' products.
        moved: See `_last_changes`.
        oldest: The row of `logs[0]`.
        out: Where it goes.
    """
    now, share = logs[bars - 1 :], 1 / bars
    for i in range(out.shape[0]):
        net = now[i + 1] - logs[i]
        mean = net * share
        energy = squares[i] - mean * net
        ends = (net - (logs[i + 1] - logs[i])) + (net - (now[i + 1] - now[i]))
        shared = (products[i] - mean * ends) + (bars - 1) * mean * mean
        ratio = min(max(shared / energy, -1.0), 1.0)
        known = moved[i] > oldest + i and energy > SAME_RETURNS * squares[i]
        out[i] = ratio if known else np.nan


@inlined
def _pulls(
    logs: Floats,
    bars: int,
    shift: float,
    squares: Floats,
    levels: Floats,
    level_squares: Floats,
    moved: Ints,
    oldest: int,
    out: Floats,
) -> None:
    """Fill the slopes of steps on levels, NaN where there is none; `moved` from the row before the first."""
    now, share = logs[bars:], 1 / bars
    for i in range(out.shape[0]):
        net = now[i] - logs[i]
        mean = levels[i] * share
        spread = level_squares[i] - mean * levels[i]
        shared = 0.5 * (net * net - squares[i]) - (mean - (logs[i] - shift)) * net
        out[i] = shared / spread if moved[i] > oldest + i and spread > 0.0 else np.nan


@inlined
def _dickey_fuller_ts(
    logs: Floats,
    bars: int,
    shift: float,
    squares: Floats,
    levels: Floats,
    level_squares: Floats,
    pulls: Floats,
    out: Floats,
) -> None:
    """Fill b / se(b) of the same regression."""
    now, share = logs[bars:], 1 / bars
    for i in range(out.shape[0]):
        net = now[i] - logs[i]
        mean = levels[i] * share
        spread = level_squares[i] - mean * levels[i]
        shared = 0.5 * (net * net - squares[i]) - (mean - (logs[i] - shift)) * net
        rest = (squares[i] - net * share * net) - pulls[i] * shared
        error = np.sqrt(rest / (bars - 2) / spread)
        out[i] = pulls[i] / error if rest > SAME_LINE * squares[i] else np.nan


@inlined
def _half_lives(pulls: Floats, rho: Floats) -> None:
    """Turn the slopes of `_pulls` into ln 2 / -ln(1 + slope), infinity where nothing pulls back."""
    bits = rho.view(np.int64)
    for i in range(pulls.shape[0]):
        falls = pulls[i] > -1.0 and pulls[i] < -NEAR_ONE
        pull = pulls[i] if falls else -0.5
        rho[i] = 1.0 + pull
        power = (bits[i] - ROOT_HALF_BITS) >> 52
        bits[i] -= power << 52
        lasting = LN_2 / -log_of_parts(pull if power == 0 else rho[i] - 1.0, float(power))
        pulls[i] = lasting if falls else (np.nan if np.isnan(pulls[i]) else np.inf)


@compiled
def expansions(band: Floats, bars: int, out: Floats, memory: Ints) -> None:
    """Fill value over median of the last `bars`; NaN without a whole window or with median 0.

    Args:
        band: Not below 0, so bits compare as values do; NaN in the first rows at most.
        bars: Of the window, at least 2.
        out: Where it goes, `band` itself if need be.
        memory: To work in, 8 x `bars` + 128.
    """
    rows, first = band.shape[0], 0
    while first < rows and np.isnan(band[first]):
        first += 1
    if rows - first < bars:
        out[:] = np.nan
        return
    out[:first] = np.nan
    half = _whole_lines(
        (bars + 1) // 2
    )  # keys of the lower half are negated bits: least is outermost in both
    keys, turns, slots = memory[: 2 * half], memory[2 * half : 4 * half], memory[4 * half : 4 * half + bars]
    bests, outer, bits = memory[6 * half : 7 * half], memory[7 * half : 7 * half + 2], memory[7 * half + 2 :]
    values, newest = bits.view(np.float64), band.view(np.int64)
    keys[:], turn = NO_KEY, 0
    for at in range(bars):
        slot = at if at < (bars + 1) // 2 else half + at - (bars + 1) // 2
        keys[slot], slots[at], turns[slot] = 0, slot, at
    for slot in range(0, 2 * half, 8):
        _note_best(keys, slot, bests)
    outer[0], outer[1] = 0, half
    for row in range(first, rows):
        slot = slots[turn]  # whose value leaves the window
        side = 1 if slot >= half else 0
        key, freed, outermost = (newest[row] if side else -newest[row]), outer[1 - side], keys[outer[side]]
        if -key > keys[freed]:  # it belongs to the other half, whose outermost value comes here for it
            keys[slot], turns[slot], slots[turns[freed]] = -keys[freed], turns[freed], slot
            keys[freed], turns[freed], slots[turn] = -key, turn, freed
            _note_best(keys, slot, bests)
            _note_best(keys, freed, bests)
            outer[side], outer[1 - side] = slot, _least(keys, bests, (half - side * half) >> 3, half >> 3)
        else:
            keys[slot] = key
            _note_best(keys, slot, bests)
            if key <= outermost:
                outer[side] = slot
            elif slot == outer[side]:
                outer[side] = _least(keys, bests, (side * half) >> 3, half >> 3)
        turn = turn + 1 if turn + 1 < bars else 0
        if row >= first + bars - 1:
            bits[0], bits[1] = -keys[outer[0]], keys[outer[1]]
            median = values[0] + (values[1] - values[0]) / 2 if bars % 2 == 0 else values[0]
            out[row] = band[row] / median if median != 0.0 else np.nan
        else:
            out[row] = np.nan


@inlined
def _note_best(keys: Ints, slot: int, bests: Ints) -> None:
    """Note the least key of the eight among which a slot is."""
    eight = keys[slot // 8 * 8 :]
    least = eight[0]
    for i in range(1, 8):
        least = min(least, eight[i])
    bests[slot // 8] = least


@inlined
def _least(keys: Ints, bests: Ints, first: int, eights: int) -> int:
    """Return the slot of the least key, looking for it where its eight is."""
    here = bests[first:]
    least, at = here[0], 0
    for i in range(1, eights):
        at = i if here[i] < least else at
        least = min(least, here[i])
    eight, place = keys[8 * (first + at) :], 0
    for i in range(8):
        place = i if eight[i] == least else place
    return 8 * (first + at) + place


@compiled
def recorded(values: Floats, out: Floats, powers: Floats, scratch: Floats) -> bool:
    """Fill values rounded to 9 digits; return whether one below 1e-13 or from 1e9 was left as it is."""
    left, found = False, scratch[2]
    for start in range(0, values.shape[0], CHUNK):
        end = min(start + CHUNK, values.shape[0])
        size, told = end - start, out[start:end]  # `out` may be `values`: what is made wide must not overlap
        left = _recorded_part(values[start:end], found[:size], powers, scratch[0], scratch[1]) or left
        for i in range(size):
            told[i] = found[i]
    return left


@inlined
def _recorded_part(values: Floats, out: Floats, powers: Floats, sizes: Floats, scale: Floats) -> bool:
    """Do what `recorded` says for a chunk, with two columns to work in."""
    bits, left, near = sizes.view(np.int64), 0, 0
    for i in range(values.shape[0]):
        size = abs(values[i])
        sizes[i] = size if size >= SMALLEST and size < LARGEST else 1.0
    least, greatest = bits[0], bits[0]
    for i in range(values.shape[0]):
        least, greatest = min(least, bits[i]), max(greatest, bits[i])
    # floor(log10 2^e) is the power of ten of a number, or one below it
    place = 8 - ((((greatest >> 52) - 1023) * _LOG10_2_TO_THE_20TH) >> 20)
    last = 8 - ((((least >> 52) - 1023) * _LOG10_2_TO_THE_20TH) >> 20)
    power, higher = powers[max(place - 1, 0)], powers[place]
    for i in range(values.shape[0]):
        scale[i] = higher if sizes[i] * higher < 1e9 else power
    for above in range(place + 1, last + 1):
        higher = powers[above]
        for i in range(values.shape[0]):
            scale[i] = higher if sizes[i] * higher < 1e9 else scale[i]
    for i in range(values.shape[0]):
        size = abs(values[i])
        plain = size >= SMALLEST and size < LARGEST
        scaled = sizes[i] * scale[i]
        digits = (scaled + _TO_WHOLE) - _TO_WHOLE
        near += 1 if abs(abs(scaled - digits) - 0.5) <= NEAR_TIE else 0
        left += 1 if not plain and size > 0.0 and size < np.inf else 0
        rounded = digits / scale[i]
        out[i] = (rounded if values[i] > 0.0 else -rounded) if plain else values[i] + 0.0
    if near or left:
        for i in range(values.shape[0]):
            if sizes[i] != 1.0:  # 1 needs no rounding, and stands for all that is not rounded here
                rounded = _whole(sizes[i], scale[i]) / scale[i]
                out[i] = rounded if out[i] > 0.0 else -rounded
    return left > 0


@inlined
def _whole(value: float, power: float) -> float:
    """Return value x power rounded to a whole number, half to even, as decimal rounding does it.

    Both are above 0, their product below 2^51.
    """
    scaled = value * power
    high, power_high = value * _SPLIT, power * _SPLIT
    high, power_high = high - (high - value), power_high - (power_high - power)
    low, power_low = value - high, power - power_high
    lost = ((high * power_high - scaled) + high * power_low + low * power_high) + low * power_low  # exact
    below = np.floor(scaled)
    apart = (scaled - (below + 0.5)) + lost
    up: float = below % 2.0 if apart == 0.0 else (1.0 if apart > 0.0 else 0.0)
    return float(below + up)


@inlined
def _log(value: float) -> float:
    mantissa, power = math.frexp(value)
    if mantissa < ROOT_HALF:
        mantissa *= 2.0
        power -= 1
    return log_of_parts(mantissa - 1.0, float(power))


@compiled
def trendiness(
    values: Floats,
    lows: Floats,
    highs: Floats,
    weights: Ints,
    needed: int,
    out: Floats,
    scratch: Floats,
    tied: Ints,
) -> bool:
    """Fill T; return whether a row was left at infinity for the caller: its half-life scores near a tie."""
    unsure, low_log, high_log = False, _log(lows[HALF_LIFE]), _log(highs[HALF_LIFE])
    share, total, weight, known = scratch[0], scratch[1], scratch[2], scratch[3]
    bits = share.view(np.int64)
    for start in range(0, values.shape[1], CHUNK):
        size = min(CHUNK, values.shape[1] - start)
        total[:], weight[:], known[:] = 0.0, float(weights.sum()), 6.0
        ties = 0
        for metric in range(6):
            value, low, high = values[metric, start : start + size], lows[metric], highs[metric]
            counts = float(weights[metric])
            if metric == HALF_LIFE:
                low, high = low_log, high_log
                for i in range(size):
                    share[i] = value[i] if value[i] < np.inf else 1.0
                    power = (bits[i] - ROOT_HALF_BITS) >> 52
                    bits[i] -= power << 52
                    log = log_of_parts(share[i] - 1.0, float(power))
                    share[i] = (log - low) / (high - low) if value[i] < np.inf else 1.0
            elif metric == SLOPE:
                for i in range(size):
                    share[i] = (abs(value[i]) - low) / (high - low)
            else:
                for i in range(size):
                    share[i] = (value[i] - low) / (high - low)
            near = 0
            for i in range(size):
                share[i] = min(max(share[i], 0.0), 1.0)
            for i in range(size):
                scaled = share[i] * 1e6
                digits = (scaled + _TO_WHOLE) - _TO_WHOLE
                near += 1 if abs(abs(scaled - digits) - 0.5) <= 1e-6 else 0
                total[i] += counts * digits if value[i] == value[i] else 0.0
            absent = 0
            for i in range(size):
                absent += 0 if value[i] == value[i] else 1
            if absent:
                for i in range(size):
                    weight[i] -= counts if value[i] != value[i] else 0.0
                    known[i] -= 1.0 if value[i] != value[i] else 0.0
            if not near:
                continue
            for i in range(size):
                scaled = share[i] * 1e6
                digits = (scaled + _TO_WHOLE) - _TO_WHOLE
                if not np.isnan(value[i]) and abs(abs(scaled - digits) - 0.5) <= 1e-6:
                    if metric == HALF_LIFE:
                        tied[i] = 1
                        ties += 1
                    else:
                        total[i] += counts * (_whole(share[i], 1e6) - digits)
        told = out[start : start + size]
        for i in range(size):  # whole numbers below 2^53: the quotient is never rounded up to a whole number
            mean = np.floor((2.0 * total[i] + weight[i]) / (2.0 * weight[i])) / 1e6
            told[i] = mean if known[i] >= needed and weight[i] > 0.0 else np.nan
        if ties:
            unsure = True
            for i in range(size):
                told[i] = np.inf if tied[i] and not np.isnan(told[i]) else told[i]
                tied[i] = 0
    return unsure
