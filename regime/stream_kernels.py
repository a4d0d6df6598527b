"""One candle at a time behind `regime/kernels.py`: the same text compiled or as it stands, equal bits."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from regime.column_kernels import HAVE_NUMBA, ROOT_HALF, compiled, plain_log_of_parts
from regime.columns import RESTART
from regime.metrics.autocorrelation import NOISE as SAME_RETURNS
from regime.metrics.half_life import LN_2, NEAR_ONE

# a stream's state: what `push` keeps between candles
_HIGH, _LOW, _CLOSE, _BASE, _ATR, _PLUS, _MINUS, _ADX, _DX_TOTAL = range(9)
_SQUARE, _PRODUCT, _STEP_SQUARE, _LEVEL, _LEVEL_SQUARE, _SHIFT = range(9, 15)
STATE = 15


def _stepper(
    compiled: Callable[[Callable[..., Any]], Callable[..., Any]],
) -> Callable[..., None]:
    """Return `push`, compiled or as it stands here: on arrays or on lists, the same operations."""
    log_of_parts = compiled(plain_log_of_parts)

    @compiled
    def log_of(value: float) -> Any:
        mantissa, power = math.frexp(value)
        if mantissa < ROOT_HALF:
            mantissa *= 2.0
            power -= 1
        return log_of_parts(mantissa - 1.0, float(power))

    @compiled
    def push_wilder(counts: Any, state: Any, told: Any, bars: int, high: float, low: float) -> None:
        keep, share, before = (bars - 1) / bars, 1 / bars, state[_CLOSE]
        raised, sunk = high - state[_HIGH], state[_LOW] - low
        reach = max(high, before) - min(low, before)
        up = raised if raised > sunk and raised > 0.0 else 0.0
        down = sunk if sunk > raised and sunk > 0.0 else 0.0
        if counts[0] > bars:
            reach = state[_ATR] * keep + reach * share
            up = state[_PLUS] * keep + up * share
            down = state[_MINUS] * keep + down * share
        else:
            reach, up, down = state[_ATR] + reach, state[_PLUS] + up, state[_MINUS] + down
            if counts[0] == bars:
                reach, up, down = reach / bars, up / bars, down / bars
                state[_ADX] = math.nan
        state[_ATR], state[_PLUS], state[_MINUS] = reach, up, down
        if counts[0] < bars:
            return
        moved = up + down
        if moved > 0.0:
            dx = 100.0 * abs(up - down) / moved
            if counts[2] == bars:
                state[_ADX] = state[_ADX] * keep + dx * share
            else:
                counts[2] += 1
                state[_DX_TOTAL] += dx
                if counts[2] == bars:
                    state[_ADX] = state[_DX_TOTAL] / bars
        told[0], told[6] = state[_ADX], reach

    @compiled
    def efficiency(walks: Any, row: int, net: float, step: float, bars: int) -> Any:
        """Return it where the net step over `bars` and the newest one are known."""
        depth, ring = len(walks), len(walks[0])
        walks[0][row % ring] = step
        for level in range(depth - 1):
            older = walks[level][(row - (1 << level)) % ring]
            walks[level + 1][row % ring] = older + walks[level][row % ring]
        at = 1 << (depth - 1)
        walked = walks[depth - 1][(row - bars + at) % ring]
        for level in range(depth - 2, -1, -1):
            if bars >> level & 1:
                at += 1 << level
                walked += walks[level][(row - bars + at) % ring]
        return min(net / walked, 1.0) if walked != 0.0 else math.nan

    @compiled
    def rise(totals: Any, rises: Any, row: int, close: float, bars: int) -> Any:
        """Return the slope of the least-squares line, price a bar."""
        depth, ring = len(totals), len(totals[0])
        totals[0][row % ring] = close
        for level in range(depth - 1):
            older, now = (row - (1 << level)) % ring, row % ring
            before, later = totals[level][older], totals[level][now]
            totals[level + 1][now] = before + later
            turned = (later - before) * ((1 << level) / 2)
            rises[level + 1][now] = (rises[level][older] + rises[level][now]) + turned
        at = 1 << (depth - 1)
        place = (row - bars + at) % ring
        total, risen = totals[depth - 1][place], rises[depth - 1][place]
        for level in range(depth - 2, -1, -1):
            part = 1 << level
            if bars & part:
                place = (row - bars + at + part) % ring
                later = totals[level][place]
                risen = (risen + rises[level][place]) + (later * (at / 2) - total * (part / 2))
                total += later
                at += part
        return risen * (12 / (bars * (bars * bars - 1)))

    @compiled
    def bandwidth(totals: Any, squares: Any, row: int, close: float, bars: int, deviations: float) -> Any:
        depth, ring = len(totals), len(totals[0])
        totals[0][row % ring] = close
        for level in range(depth - 1):
            older, now = (row - (1 << level)) % ring, row % ring
            before, later = totals[level][older], totals[level][now]
            gap = before - later
            totals[level + 1][now] = before + later
            spread = gap * gap * (0.5 / (1 << level))
            squares[level + 1][now] = (squares[level][older] + squares[level][now]) + spread
        at = 1 << (depth - 1)
        place = (row - bars + at) % ring
        total, square = totals[depth - 1][place], squares[depth - 1][place]
        for level in range(depth - 2, -1, -1):
            part = 1 << level
            if bars & part:
                place = (row - bars + at + part) % ring
                later = totals[level][place]
                gap = total * part - later * at
                square = (square + squares[level][place]) + gap * gap * (1 / (at * part * (at + part)))
                total += later
                at += part
        return 2 * deviations * math.sqrt(square * (1 / bars)) / (total * (1 / bars))

    @compiled
    def autocorrelation(counts: Any, state: Any, left: float, window: Any, bars: int) -> Any:
        """Return it for the closes of a window of `bars` + 1, which the close `left` has left."""
        now, before, after, oldest = window[bars], window[bars - 1], window[1], window[0]
        if (counts[0] - bars) % RESTART == 0:
            square, product = (after - oldest) * (after - oldest), 0.0
            for at in range(2, bars + 1):
                step = window[at] - window[at - 1]
                square += step * step
                product += step * (window[at - 1] - window[at - 2])
            state[_SQUARE], state[_PRODUCT] = square, product
        else:
            new, gone = now - before, oldest - left
            state[_SQUARE] += new * new - gone * gone
            state[_PRODUCT] += new * (before - window[bars - 2]) - (after - oldest) * gone
        net = now - oldest
        mean = net * (1 / bars)
        energy = state[_SQUARE] - mean * net
        ends = (net - (after - oldest)) + (net - (now - before))
        shared = (state[_PRODUCT] - mean * ends) + (bars - 1) * mean * mean
        if counts[1] <= counts[0] - bars or not energy > SAME_RETURNS * state[_SQUARE]:
            return math.nan
        return min(max(shared / energy, -1.0), 1.0)

    @compiled
    def half_life(counts: Any, state: Any, left: float, window: Any, bars: int) -> Any:
        """Return it for the closes of a window of `bars` + 1, which the close `left` has left."""
        now, before, oldest = window[bars], window[bars - 1], window[0]
        if (counts[0] - bars) % RESTART == 0:
            square, level, level_square = 0.0, 0.0, 0.0
            for at in range(bars):
                step, apart = window[at + 1] - window[at], window[at] - now
                square += step * step
                level += apart
                level_square += apart * apart
            state[_STEP_SQUARE], state[_LEVEL], state[_LEVEL_SQUARE] = square, level, level_square
            state[_SHIFT] = now
        else:
            step, gone_step = now - before, oldest - left
            new, gone = before - state[_SHIFT], left - state[_SHIFT]
            state[_STEP_SQUARE] += step * step - gone_step * gone_step
            state[_LEVEL] += new - gone
            state[_LEVEL_SQUARE] += new * new - gone * gone
        moved = bars - 1
        if counts[1] >= counts[0] or counts[1] <= counts[0] - bars:
            while moved > 0 and window[moved] == window[moved - 1]:
                moved -= 1
        mean = state[_LEVEL] * (1 / bars)
        spread = state[_LEVEL_SQUARE] - mean * state[_LEVEL]
        if moved == 0 or not spread > 0.0:
            return math.nan
        net = now - oldest
        pull = (0.5 * (net * net - state[_STEP_SQUARE]) - (mean - (oldest - state[_SHIFT])) * net) / spread
        if not (pull > -1.0 and pull < -NEAR_ONE):
            return math.inf
        rho = 1.0 + pull
        return LN_2 / -(log_of(rho) if rho < ROOT_HALF else log_of_parts(pull, 0.0))

    @compiled
    def push(
        counts: Any,
        state: Any,
        logs: Any,
        pairs: Any,
        told: Any,
        lengths: tuple[int, ...],
        deviations: float,
        high: float,
        low: float,
        close: float,
    ) -> None:
        """Fill `told` with the six indicators, the slope not yet over ATR, and ATR.

        Args:
            counts: Candles before this one, the newest at which the close changed, DX in the first mean.
            state: See `_HIGH` and below it.
            logs: The newest, in a ring written twice, so that every window lies in one piece.
            pairs: Sums of the newest 1, 2, 4 and so on, a ring each: of steps, of closes for the slope and
                what they rise, of closes for the bands and their squares.
            told: What is told.
            lengths: In the order of `Stream`.
            deviations: Of the bands.
            high, low, close: Of the new candle.
        """
        row, ring = counts[0], len(logs) // 2
        at, end = row % ring, row % ring + ring + 1
        if row == 0:
            state[_BASE] = close
        now, before = log_of(close * (1 / state[_BASE])), logs[(row - 1) % ring]
        if row > 0:
            if now != before:
                counts[1] = row
            push_wilder(counts, state, told, lengths[0], high, low)
        logs[at] = logs[at + ring] = now
        state[_HIGH], state[_LOW], state[_CLOSE] = high, low, close
        walks, lines, rises, bands, squares = pairs
        step = abs(now - before) if row > 0 else 0.0
        walked = efficiency(walks, row, abs(now - logs[end - lengths[1] - 1]), step, lengths[1])
        risen = rise(lines, rises, row, close, lengths[4])
        width = bandwidth(bands, squares, row, close, lengths[5], deviations)
        told[1] = walked if row >= lengths[1] else math.nan
        told[4] = risen if row >= lengths[4] - 1 else math.nan
        told[5] = width if row >= lengths[5] - 1 else math.nan
        if row >= lengths[2]:
            first = end - lengths[2] - 1
            told[2] = autocorrelation(counts, state, logs[first - 1], logs[first:end], lengths[2])
        if row >= lengths[3]:
            first = end - lengths[3] - 1
            told[3] = half_life(counts, state, logs[first - 1], logs[first:end], lengths[3])
        counts[0] = row + 1

    return push


def _as_it_stands(function: Callable[..., Any]) -> Callable[..., Any]:
    return function


push_plainly = _stepper(_as_it_stands)
push_compiled = _stepper(compiled) if HAVE_NUMBA else push_plainly
