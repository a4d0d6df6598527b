"""The six metrics, T and its class over whole series at once, and one candle at a time: compiled, equal bits.

How it works:
1. Every number is made by the same IEEE operations in the same order as in `regime/metrics`: no fused
   multiply-add (fastmath is off), no regrouped sum, no logarithm from a library. So compiled batch, compiled
   stream, plain Python stream and the NumPy route of the engine give the same bits, recorded or not.
2. A chunk of 256 rows passes three steps while it stays in the nearest cache: what needs no neighbour
   (differences, products) in loops that the compiler makes as wide as the machine's registers; what needs the
   row before it (Wilder's averages, rolling sums) in a loop whose few chains run side by side, ADX one chunk
   behind the others; what is made of these (quotients, roots, logarithms) wide again. One series needs no
   warm-up this way, where lanes made of segments would.
3. Windows of 20 and 24 bars are sums of pairs, of pairs of pairs and so on: five additions a row, made of the
   window's own values only, so a spike that has left it leaves nothing behind.
4. Windows of 168 roll: new in, old out. They start anew every `RESTART` rows from their first whole window,
   levels shifted by the level there, so a price may wander 20,000-fold. Only squares and neighbours' products
   of steps are needed: the sum of level x step telescopes.
5. Rounding to 9 digits multiplies by a power of ten that is exact, rounds, and divides by it: one rounding
   each, equal to decimal rounding unless the tenth digit is within 2e-6 of a tie. Those rows, a few in a
   million, and sizes below 1e-13 or from 1e9 are left to `precision.significant`. Scores are rounded to
   1e-6; decimal ties are common there, so the part that scaling lost is computed and decides.
6. T is a sum of whole millionths in twentieths: integers, no order of addition can change it.
7. The median of 168 bandwidths is kept as a sorted window; one pass of least and greatest takes a value out
   and puts another in, without a search.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from market.candles import Floats
from regime.columns import LN2_HIGH, LN2_LOW, LN_EVEN, LN_ODD, RESTART, ROOT_HALF_BITS, log_ratios
from regime.config import METRICS, ClassicConfig, MetricsConfig, RegimeConfig
from regime.metrics.adx import directional_averages
from regime.metrics.atr import average_true_ranges
from regime.metrics.autocorrelation import NOISE as SAME_RETURNS
from regime.metrics.autocorrelation import autocorrelations
from regime.metrics.bandwidth import bandwidths, expansions
from regime.metrics.efficiency_ratio import efficiency_ratios
from regime.metrics.half_life import LN_2, NEAR_ONE, dickey_fuller_ts, half_lives
from regime.metrics.half_life import NOISE as SAME_LINE
from regime.metrics.slope import slopes
from regime.precision import (
    LARGEST,
    NEAR_TIE,
    POWERS_OF_TEN,
    SMALLEST,
    significant,
    significant_column,
)
from regime.scores import metric_scores, trendiness

Kernel = TypeVar("Kernel", bound=Callable[..., Any])
Codes = NDArray[np.int8]

try:
    from numba import njit
except ImportError:
    HAVE_NUMBA = False
else:
    HAVE_NUMBA = True

_compiled_wanted = True
CHUNK = 256
_EVEN_0, _EVEN_1, _EVEN_2 = LN_EVEN
_ODD_0, _ODD_1, _ODD_2, _ODD_3 = LN_ODD
_SPLIT = 134_217_729.0  # 2^27 + 1: cuts a number into halves whose products are exact
LOG10_2_TO_THE_20TH = 315_652  # log10(2) x 2^20, rounded down
TO_WHOLE = 6_755_399_441_055_744.0  # 1.5 x 2^52: added and taken away, it leaves a whole number, ties to even
HALF_LIFE, SLOPE = METRICS.index("half_life"), METRICS.index("slope")
NO_CLASS = -1
ROOT_HALF = 0.70710678118654752440


def compiled(function: Kernel) -> Kernel:
    """Compile without the interpreter's lock; nothing is cached on disk, a read-only image must work."""
    if not HAVE_NUMBA:
        return function
    return cast("Kernel", njit(nogil=True, cache=False, fastmath=False, error_model="numpy")(function))


@contextmanager
def numpy_route() -> Iterator[None]:
    """Take the NumPy route inside, numba or not."""
    global _compiled_wanted
    before, _compiled_wanted = _compiled_wanted, False
    try:
        yield
    finally:
        _compiled_wanted = before


def is_compiled() -> bool:
    """Return which route is taken."""
    return HAVE_NUMBA and _compiled_wanted


class Candles(NamedTuple):
    """Prices from the anchor on, quote, above 0, oldest first, shape (n,) each."""

    high: Floats
    low: Floats
    close: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Indicators:
    """The indicators at every row, shape (n,) each, not yet rounded; NaN where undefined.

    Attributes:
        adx, efficiency_ratio, autocorrelation, half_life, slope, bandwidth: As in `regime/metrics`; infinity
            for a half-life without mean reversion. The slope is over ATR as recorded.
        atr: Wilder's, quote price.
        plus_di, minus_di: In [0, 100].
        dickey_fuller_t: Beside the half-life; an empty column where it was not asked for.
    """

    adx: Floats
    efficiency_ratio: Floats
    autocorrelation: Floats
    half_life: Floats
    slope: Floats
    bandwidth: Floats
    atr: Floats
    plus_di: Floats
    minus_di: Floats
    dickey_fuller_t: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Classes:
    """T and its class at every row.

    Attributes:
        values: The six metrics as recorded, in the order of `METRICS`, shape (6, n).
        trendiness: T as recorded, shape (n,); NaN with too few metrics.
        raw: Rank of the class of T (`Verdict` in its order), shape (n,); -1 without T.
    """

    values: Floats
    trendiness: Floats
    raw: Codes


def indicator_columns(
    candles: Candles, config: MetricsConfig, *, beside: bool = True, out: Floats | None = None
) -> Indicators:
    """Return the indicators of one series.

    Args:
        candles: From the anchor on; float64, contiguous.
        config: Lengths.
        beside: Whether +DI, -DI and the Dickey-Fuller t are wanted too; empty columns otherwise.
        out: Where the compiled kernels may put the columns, shape (10, n), or (7, n) without those beside;
            memory that the machine has just given is slower than they are.
    """
    if not is_compiled():
        return _columns_by_numpy(candles, config, beside=beside)
    rows = candles.close.shape[0]
    column = np.empty((10 if beside else 7, rows)) if out is None else out
    lengths = (
        config.wilder_bars,
        config.efficiency_ratio_bars,
        config.autocorrelation_bars,
        config.half_life_bars,
        config.slope_bars,
        config.bollinger_bars,
    )
    if _ten_columns(*candles, lengths, config.bollinger_deviations, column, POWERS_OF_TEN):
        _slopes(candles.close, recorded_column(column[6]), config.slope_bars, column[4], POWERS_OF_TEN[:0])
    return Indicators(*column[:7], *(column[7:] if beside else column[:3, :0]))


def columns_of_many(
    series: Sequence[Candles], config: MetricsConfig, *, beside: bool = True
) -> list[Indicators]:
    """Return the indicators of many series, each from its own anchor."""
    return [indicator_columns(candles, config, beside=beside) for candles in series]


def classify(candles: Candles, config: RegimeConfig) -> Classes:
    """Return T and its class at every row of one series."""
    metrics = config.metrics
    found = indicator_columns(candles, metrics, beside=False)
    columns = (
        found.adx,
        found.efficiency_ratio,
        found.autocorrelation,
        found.half_life,
        found.slope,
        _expansion_column(found.bandwidth, metrics.median_bars),
    )
    values = np.stack([recorded_column(column) for column in columns])
    told = trendiness_column(values, metrics)
    return Classes(values, told, classes_of(told, config.classic))


class Stream:
    """The six indicators one candle at a time: the state does not grow, the bits are those of the batch.

    Args:
        config: Lengths.
    """

    def __init__(self, config: MetricsConfig) -> None:
        self._lengths = (
            config.wilder_bars,
            config.efficiency_ratio_bars,
            config.autocorrelation_bars,
            config.half_life_bars,
            config.slope_bars,
            config.bollinger_bars,
        )
        self._deviations = config.bollinger_deviations
        kept = max(self._lengths) + 2
        walked, line, band = (
            np.zeros((length.bit_length(), kept))
            for length in (config.efficiency_ratio_bars, config.slope_bars, config.bollinger_bars)
        )
        pairs = (walked, line, line.copy(), band, band.copy())
        state = (np.zeros(3, dtype=np.int64), np.zeros(_STATE), np.zeros(2 * kept), np.full(7, np.nan))
        self._state: tuple[Any, ...] = (*state[:3], pairs, state[3])
        if not is_compiled():
            listed = tuple(each.tolist() for each in state)
            self._state = (*listed[:3], tuple(each.tolist() for each in pairs), listed[3])
        self._push = _push_compiled if is_compiled() else _push_plainly

    def push(self, high: float, low: float, close: float) -> tuple[float, float, float, float, float, float]:
        """Return ADX, efficiency ratio, autocorrelation, half-life, slope and bandwidth at a new candle.

        NaN and infinity stand where the columns have them. One thread at a time.
        """
        self._push(*self._state, self._lengths, self._deviations, high, low, close)
        adx, efficiency, autocorrelation, half_life, rise, band, atr = map(float, self._state[4])
        recorded_atr = significant(atr)
        slope = rise / recorded_atr if recorded_atr else math.nan
        return adx, efficiency, autocorrelation, half_life, slope, band


def recorded_column(values: Floats) -> Floats:
    """Return a column rounded to 9 significant digits, as `precision.significant` rounds each row."""
    if not is_compiled():
        return significant_column(values)
    found = np.empty(values.shape[0])
    if _recorded(values, found, POWERS_OF_TEN):
        for row in np.flatnonzero(np.isnan(found) & ~np.isnan(values)).tolist():
            found[row] = significant(float(values[row]))
    return found


def trendiness_column(values: Floats, config: MetricsConfig) -> Floats:
    """Return T at every row from the six metrics as recorded, shape (6, n); NaN with too few metrics."""
    rows = values.shape[1]
    if is_compiled():
        found = np.empty(rows)
        anchors = [config.anchors(name) for name in METRICS]
        lows = np.array([each.range_end for each in anchors])
        highs = np.array([each.trend_end for each in anchors])
        weights = np.array([each.weight for each in anchors], dtype=np.int64)
        unsure = _trendiness(values, lows, highs, weights, config.minimum_available, found)
        if not unsure:
            return found
        by_hand = np.flatnonzero(np.isinf(found)).tolist()
    else:
        found, by_hand = np.empty(rows), list(range(rows))
    for row in by_hand:
        scores = metric_scores(dict(zip(METRICS, values[:, row].tolist(), strict=True)), config)
        overall = trendiness(scores, config)
        found[row] = math.nan if overall is None else overall
    return found


def classes_of(told: Floats, config: ClassicConfig) -> Codes:
    """Return the rank of the class of each T, -1 for NaN."""
    edges = np.array([config.range_ok, config.range_weak, config.trend])
    return np.where(np.isnan(told), NO_CLASS, np.searchsorted(edges, told, side="right")).astype(np.int8)


def _columns_by_numpy(candles: Candles, config: MetricsConfig, *, beside: bool) -> Indicators:
    high, low, close = candles
    logs = log_ratios(close, float(close[0])) if close.size else close
    averages = directional_averages(high, low, config.wilder_bars)
    atr = average_true_ranges(high, low, close, config.wilder_bars)
    plus, minus, t = averages.plus[:0], averages.minus[:0], logs[:0]
    if beside:
        with np.errstate(divide="ignore", invalid="ignore"):
            plus, minus = 100 * averages.plus / atr, 100 * averages.minus / atr
        t = dickey_fuller_ts(logs, config.half_life_bars)
    return Indicators(
        averages.adx,
        efficiency_ratios(logs, config.efficiency_ratio_bars),
        autocorrelations(logs, config.autocorrelation_bars),
        half_lives(logs, config.half_life_bars),
        slopes(close, significant_column(atr), config.slope_bars),
        bandwidths(close, config.bollinger_bars, config.bollinger_deviations),
        atr,
        plus,
        minus,
        t,
    )


def _expansion_column(band: Floats, bars: int) -> Floats:
    if not is_compiled():
        return expansions(band, bars)
    found = np.empty(band.shape[0])
    _expansions(band, bars, found)
    return found


def _plain_log_of_parts(f: float, power: float) -> float:
    s = f / (2.0 + f)
    z = s * s
    w = z * z
    even = w * (_EVEN_0 + w * (_EVEN_1 + w * _EVEN_2))
    odd = z * (_ODD_0 + w * (_ODD_1 + w * (_ODD_2 + w * _ODD_3)))
    half_square = 0.5 * f * f
    tail = s * (half_square + (odd + even)) + power * LN2_LOW
    return power * LN2_HIGH - ((half_square - tail) - f)


_log_of_parts = compiled(_plain_log_of_parts)


@compiled
def _logs(close: Floats, out: Floats) -> None:
    """Fill ln(close / first close)."""
    rows = close.shape[0]
    ratio, power = np.empty(CHUNK), np.empty(CHUNK, dtype=np.int64)
    bits = ratio.view(np.int64)
    for start in range(0, rows, CHUNK):
        size = min(CHUNK, rows - start)
        now, told = close[start : start + size], out[start : start + size]
        share = 1 / close[0]
        for i in range(size):
            ratio[i] = now[i] * share
        for i in range(size):
            power[i] = (bits[i] - ROOT_HALF_BITS) >> 52
            bits[i] -= power[i] << 52
        for i in range(size):
            told[i] = _log_of_parts(ratio[i] - 1.0, float(power[i]))


@compiled
def _last_changes(values: Floats, last: int, start: int, out: NDArray[np.int64]) -> int:
    """Fill for each value but the first the newest row, `start` being the second's, at which it changed."""
    count, still = values.shape[0] - 1, 0
    for i in range(count):
        still += 1 if values[i + 1] == values[i] else 0
        out[i] = start + i
    if still:
        for i in range(count):
            last = start + i if values[i + 1] != values[i] else last
            out[i] = last
        return last
    return start + count - 1 if count > 0 else last


@compiled
def _wilder(
    high: Floats, low: Floats, close: Floats, bars: int, adx: Floats, atr: Floats, plus: Floats, minus: Floats
) -> None:
    rows = close.shape[0]
    for row in range(min(bars, rows)):
        adx[row] = atr[row] = np.nan
    plus[:bars], minus[:bars] = np.nan, np.nan
    if rows <= bars:
        return
    keep, share = (bars - 1) / bars, 1 / bars
    reach, up, down = 0.0, 0.0, 0.0
    for row in range(1, bars + 1):
        raised, sunk = high[row] - high[row - 1], low[row - 1] - low[row]
        reach += max(high[row], close[row - 1]) - min(low[row], close[row - 1])
        up += raised if raised > sunk and raised > 0.0 else 0.0
        down += sunk if sunk > raised and sunk > 0.0 else 0.0
    reach, up, down = reach / bars, up / bars, down / bars
    average, started, total = np.nan, 0, 0.0
    reaches, ups, downs = np.empty(CHUNK), np.empty(CHUNK), np.empty(CHUNK)
    waiting, dx = np.empty(CHUNK), np.empty(CHUNK)  # DX of the chunk before, of which ADX is still to be made
    pending = 0
    for start in range(bars, rows, CHUNK):
        end = min(start + CHUNK, rows)
        size = end - start
        highs, lows, closes = high[start - 1 : end], low[start - 1 : end], close[start - 1 : end]
        for i in range(size):
            raised, sunk = highs[i + 1] - highs[i], lows[i] - lows[i + 1]
            reaches[i] = (max(highs[i + 1], closes[i]) - min(lows[i + 1], closes[i])) * share
            ups[i] = (raised if raised > sunk and raised > 0.0 else 0.0) * share
            downs[i] = (sunk if sunk > raised and sunk > 0.0 else 0.0) * share
        told, first = atr[start:end], 0
        if start == bars:
            told[0], ups[0], downs[0], first = reach, up, down, 1
        averages = adx[start - CHUNK : start] if pending else adx[:0]
        together = size if pending else 0
        for i in range(together):  # two chains side by side take no longer than one
            reach = reach * keep + reaches[i]
            up = up * keep + ups[i]
            down = down * keep + downs[i]
            told[i], ups[i], downs[i] = reach, up, down
            average = average * keep + waiting[i]
            averages[i] = average
        for i in range(together, pending):
            average = average * keep + waiting[i]
            averages[i] = average
        for i in range(max(first, together), size):
            reach = reach * keep + reaches[i]
            up = up * keep + ups[i]
            down = down * keep + downs[i]
            told[i], ups[i], downs[i] = reach, up, down
        if plus.size:
            plus[start:end], minus[start:end] = ups[:size], downs[:size]
        for i in range(size):
            dx[i] = 100.0 * abs(ups[i] - downs[i]) / (ups[i] + downs[i])
        if started == bars:  # once anything has moved, the averages stay above 0
            for i in range(size):
                waiting[i] = dx[i] * share
            pending = size
            continue
        averages = adx[start:end]
        for i in range(size):
            if ups[i] + downs[i] > 0.0:
                if started == bars:
                    average = average * keep + dx[i] * share
                else:
                    started += 1
                    total += dx[i]
                    if started == bars:
                        average = total / bars
            averages[i] = average
    averages = adx[rows - pending :]
    for i in range(pending):
        average = average * keep + waiting[i]
        averages[i] = average


@compiled
def _shares_of(plus: Floats, minus: Floats, atr: Floats) -> None:
    """Turn directional averages into +DI and -DI."""
    for row in range(atr.shape[0]):
        plus[row] = 100.0 * plus[row] / atr[row]
        minus[row] = 100.0 * minus[row] / atr[row]


@compiled
def _efficiency_ratios(logs: Floats, bars: int, out: Floats) -> None:
    rows = logs.shape[0]
    out[: min(bars, rows)] = np.nan
    walked = np.empty((_depth(bars), CHUNK + bars))
    for start in range(bars, rows, CHUNK):
        end = min(start + CHUNK, rows)
        size = end - start
        whole, told = logs[start - bars : end], out[start:end]
        newest, steps = whole[bars:], walked[0]
        for i in range(size + bars - 1):
            steps[i] = abs(whole[i + 1] - whole[i])
        for level in range(walked.shape[0] - 1):
            apart = 1 << level
            first, second, both = walked[level], walked[level][apart:], walked[level + 1]
            for i in range(size + bars - 2 * apart):
                both[i] = first[i] + second[i]
        total, at = walked[walked.shape[0] - 1], 1 << (walked.shape[0] - 1)
        for level in range(walked.shape[0] - 2, -1, -1):
            if bars >> level & 1:
                part = walked[level][at:]
                for i in range(size):
                    total[i] += part[i]
                at += 1 << level
        for i in range(size):
            ratio = min(abs(newest[i] - whole[i]) / total[i], 1.0)
            told[i] = ratio if total[i] != 0.0 else np.nan


@compiled
def _depth(length: int) -> int:
    """Return how many powers of two are not above a length."""
    depth = 0
    while length >> depth:
        depth += 1
    return depth


@compiled
def _autocorrelations(logs: Floats, bars: int, out: Floats) -> None:
    rows = logs.shape[0]
    out[: min(bars, rows)] = np.nan
    squares, products = np.empty(CHUNK), np.empty(CHUNK)
    square, product, share = 0.0, 0.0, 1 / bars
    moved = np.empty(max(CHUNK, bars), dtype=np.int64)
    last = _last_changes(logs[: min(bars, rows)], 0, 1, moved)
    for start in range(bars, rows, CHUNK):
        end = min(start + CHUNK, rows)
        size, first = end - start, 0
        if (start - bars) % RESTART == 0:
            square, product, first = 0.0, 0.0, 1
            for row in range(start - bars + 1, start + 1):
                step = logs[row] - logs[row - 1]
                square += step * step
                if row > start - bars + 1:
                    product += step * (logs[row - 1] - logs[row - 2])
            squares[0], products[0] = square, product
        newest, oldest = logs[start - 2 : end], logs[start - bars - 1 + first : end - bars + 1]
        entered, left = squares[first:], products[first:]
        for i in range(size - first):
            step, before = (
                newest[i + first + 2] - newest[i + first + 1],
                newest[i + first + 1] - newest[i + first],
            )
            gone, after = oldest[i + 1] - oldest[i], oldest[i + 2] - oldest[i + 1]
            entered[i] = step * step - gone * gone
            left[i] = step * before - after * gone
        for i in range(first, size):
            square += squares[i]
            product += products[i]
            squares[i], products[i] = square, product
        whole, told = logs[start - bars : end], out[start:end]
        now = whole[bars - 1 :]
        last = _last_changes(now, last, start, moved)
        for i in range(size):
            net = now[i + 1] - whole[i]
            mean = net * share
            energy = squares[i] - mean * net
            ends = (net - (whole[i + 1] - whole[i])) + (net - (now[i + 1] - now[i]))
            shared = (products[i] - mean * ends) + (bars - 1) * mean * mean
            ratio = min(max(shared / energy, -1.0), 1.0)
            known = moved[i] > start + i - bars and energy > SAME_RETURNS * squares[i]
            told[i] = ratio if known else np.nan


@compiled
def _half_lives(logs: Floats, bars: int, out: Floats, t: Floats) -> None:
    """Fill half-lives and, where the column is not empty, the Dickey-Fuller t."""
    rows = logs.shape[0]
    out[: min(bars, rows)] = np.nan
    t[: min(bars, rows)] = np.nan
    squares, levels, level_squares = np.empty(CHUNK), np.empty(CHUNK), np.empty(CHUNK)
    pulls, ratio, power = np.empty(CHUNK), np.empty(CHUNK), np.empty(CHUNK, dtype=np.int64)
    bits = ratio.view(np.int64)
    square, level, level_square, shift, share = 0.0, 0.0, 0.0, 0.0, 1 / bars
    moved = np.empty(max(CHUNK, bars), dtype=np.int64)
    last = _last_changes(logs[: min(bars - 1, rows)], 0, 1, moved)
    for start in range(bars, rows, CHUNK):
        end = min(start + CHUNK, rows)
        size, first = end - start, 0
        if (start - bars) % RESTART == 0:
            square, level, level_square, shift, first = 0.0, 0.0, 0.0, logs[start], 1
            for row in range(start - bars, start):
                step, at = logs[row + 1] - logs[row], logs[row] - shift
                square += step * step
                level += at
                level_square += at * at
            squares[0], levels[0], level_squares[0] = square, level, level_square
        newest, oldest = logs[start - 1 + first : end], logs[start - bars - 1 + first : end - bars]
        squares_in, levels_in, level_squares_in = squares[first:], levels[first:], level_squares[first:]
        for i in range(size - first):
            step, before = newest[i + 1] - newest[i], oldest[i + 1] - oldest[i]
            new, gone = newest[i] - shift, oldest[i] - shift
            squares_in[i] = step * step - before * before
            levels_in[i] = new - gone
            level_squares_in[i] = new * new - gone * gone
        for i in range(first, size):
            square += squares[i]
            level += levels[i]
            level_square += level_squares[i]
            squares[i], levels[i], level_squares[i] = square, level, level_square
        whole, told = logs[start - bars : end], out[start:end]
        now, told_t = whole[bars:], t[start:end]
        last = _last_changes(whole[bars - 2 : -1], last, start - 1, moved)
        for i in range(size):
            net = now[i] - whole[i]
            mean = levels[i] * share
            spread = level_squares[i] - mean * levels[i]
            shared = 0.5 * (net * net - squares[i]) - (mean - (whole[i] - shift)) * net
            known = moved[i] > start + i - bars and spread > 0.0
            pull = shared / spread if known else np.nan
            pulls[i] = pull
            ratio[i] = 1.0 + (pull if pull > -1.0 and pull < -NEAR_ONE else -0.5)
        if t.size:
            for i in range(size):
                net = now[i] - whole[i]
                mean = levels[i] * share
                spread = level_squares[i] - mean * levels[i]
                shared = 0.5 * (net * net - squares[i]) - (mean - (whole[i] - shift)) * net
                rest = (squares[i] - net * share * net) - pulls[i] * shared
                error = np.sqrt(rest / (bars - 2) / spread)
                told_t[i] = pulls[i] / error if rest > SAME_LINE * squares[i] else np.nan
        for i in range(size):
            power[i] = (bits[i] - ROOT_HALF_BITS) >> 52
            bits[i] -= power[i] << 52
        for i in range(size):
            pull = pulls[i]
            falls = pull > -1.0 and pull < -NEAR_ONE
            f = (pull if falls else -0.5) if power[i] == 0 else ratio[i] - 1.0
            lasting = LN_2 / -_log_of_parts(f, float(power[i]))
            told[i] = lasting if falls else (np.nan if np.isnan(pull) else np.inf)


@compiled
def _slopes(close: Floats, atr: Floats, bars: int, out: Floats, powers: Floats) -> bool:
    """Fill slopes over ATR as recorded; return whether an ATR could not be rounded here, see `_recorded`.

    Without powers of ten ATR is taken as it is.
    """
    rows, unsure = close.shape[0], False
    out[: min(bars - 1, rows)] = np.nan
    share = 12 / (bars * (bars * bars - 1))
    depth = _depth(bars)
    totals, rises, rounded = np.empty((depth, CHUNK + bars)), np.empty((depth, CHUNK + bars)), np.empty(CHUNK)
    rises[0] = 0.0
    for start in range(bars - 1, rows, CHUNK):
        end = min(start + CHUNK, rows)
        size = end - start
        reach, told = atr[start:end], out[start:end]
        if powers.size:
            unsure = _recorded(reach, rounded, powers) or unsure
            reach = rounded
        totals[0, : size + bars - 1] = close[start - bars + 1 : end]
        for level in range(depth - 1):
            apart, half = 1 << level, (1 << level) / 2
            total, later, both = totals[level], totals[level][apart:], totals[level + 1]
            rise, rise_later, joint = rises[level], rises[level][apart:], rises[level + 1]
            for i in range(size + bars - 2 * apart):
                both[i] = total[i] + later[i]
                joint[i] = (rise[i] + rise_later[i]) + (later[i] - total[i]) * half
        total, rise, at = totals[depth - 1], rises[depth - 1], 1 << (depth - 1)
        for level in range(depth - 2, -1, -1):
            if bars >> level & 1:
                later, rise_later, before, after = (
                    totals[level][at:],
                    rises[level][at:],
                    at / 2,
                    (1 << level) / 2,
                )
                for i in range(size):
                    rise[i] = (rise[i] + rise_later[i]) + (later[i] * before - total[i] * after)
                    total[i] += later[i]
                at += 1 << level
        for i in range(size):
            told[i] = rise[i] * share / reach[i] if reach[i] != 0.0 else np.nan
    return unsure


@compiled
def _bandwidths(close: Floats, bars: int, deviations: float, out: Floats) -> None:
    rows = close.shape[0]
    out[: min(bars - 1, rows)] = np.nan
    share, wide, depth = 1 / bars, 2 * deviations, _depth(bars)
    totals, squares = np.empty((depth, CHUNK + bars)), np.empty((depth, CHUNK + bars))
    squares[0] = 0.0
    for start in range(bars - 1, rows, CHUNK):
        end = min(start + CHUNK, rows)
        size = end - start
        told = out[start:end]
        totals[0, : size + bars - 1] = close[start - bars + 1 : end]
        for level in range(depth - 1):
            apart, weight = 1 << level, 0.5 / (1 << level)
            total, later, both = totals[level], totals[level][apart:], totals[level + 1]
            square, square_later, joint = squares[level], squares[level][apart:], squares[level + 1]
            for i in range(size + bars - 2 * apart):
                gap = total[i] - later[i]
                both[i] = total[i] + later[i]
                joint[i] = (square[i] + square_later[i]) + gap * gap * weight
        total, square, at = totals[depth - 1], squares[depth - 1], 1 << (depth - 1)
        for level in range(depth - 2, -1, -1):
            part = 1 << level
            if bars & part:
                later, square_later, weight = (
                    totals[level][at:],
                    squares[level][at:],
                    1 / (at * part * (at + part)),
                )
                for i in range(size):
                    gap = total[i] * part - later[i] * at
                    square[i] = (square[i] + square_later[i]) + gap * gap * weight
                    total[i] += later[i]
                at += part
        for i in range(size):
            told[i] = wide * np.sqrt(square[i] * share) / (total[i] * share)


@compiled
def _expansions(band: Floats, bars: int, out: Floats) -> None:
    """Fill value over median of the last `bars`; NaN where one of them is NaN or the median is 0."""
    rows = band.shape[0]
    first = 0
    while first < rows and np.isnan(band[first]):
        first += 1
    out[: min(first + bars - 1, rows)] = np.nan
    if rows - first < bars:
        return
    bits = band.view(np.int64)  # not below 0: bits compare as values do
    window, spare = np.empty(bars + 2), np.empty(bars + 2)
    window[1:-1] = np.sort(band[first : first + bars])
    window[0] = spare[0] = 0.0
    window[bars + 1] = spare[bars + 1] = np.inf
    low, high = (bars - 1) // 2 + 1, bars // 2 + 1
    for row in range(first + bars - 1, rows):
        if row > first + bars - 1:
            _exchanged(window.view(np.int64), spare.view(np.int64), bits[row - bars], bits[row])
            window, spare = spare, window
        median = window[low] + (window[high] - window[low]) / 2
        out[row] = band[row] / median if median != 0.0 else np.nan


@compiled
def _exchanged(before: NDArray[np.int64], after: NDArray[np.int64], gone: int, new: int) -> None:
    """Fill the sorted window without one value and with another; its ends hold the least and the greatest."""
    here, lower, higher, told = before[1:-1], before, before[2:], after[1:-1]
    if new > gone:
        for i in range(told.shape[0]):
            moved = min(higher[i], max(here[i], new))
            told[i] = here[i] if here[i] < gone else moved
    else:
        for i in range(told.shape[0]):
            moved = max(lower[i], min(here[i], new))
            told[i] = here[i] if here[i] > gone else moved


@compiled
def _recorded(values: Floats, out: Floats, powers: Floats) -> bool:
    """Fill values rounded to 9 digits; return whether a row that is not NaN was left NaN for the caller."""
    unsure = False
    rows = values.shape[0]
    sizes, scaled, places = np.empty(CHUNK), np.empty(CHUNK), np.empty(CHUNK, dtype=np.int64)
    bits = sizes.view(np.int64)
    for start in range(0, rows, CHUNK):
        size = min(CHUNK, rows - start)
        value, told = values[start : start + size], out[start : start + size]
        odd = 0
        for i in range(size):
            plain = abs(value[i]) >= SMALLEST and abs(value[i]) < LARGEST
            sizes[i] = abs(value[i]) if plain else 1.0
            odd += 0 if plain else 1
        for i in range(size):  # floor(log10 2^e) is the power of ten, or one below it
            places[i] = 8 - ((((bits[i] >> 52) - 1023) * LOG10_2_TO_THE_20TH) >> 20)
        for i in range(size):
            places[i] -= 1 if sizes[i] * powers[places[i]] >= 1e9 else 0
        others = 0
        for i in range(size):
            others += 1 if places[i] != places[0] else 0
        if others:
            for i in range(size):
                scaled[i] = sizes[i] * powers[places[i]]
                rounded = ((scaled[i] + TO_WHOLE) - TO_WHOLE) / powers[places[i]]
                told[i] = rounded if value[i] > 0.0 else -rounded
        else:
            power = powers[places[0]]
            for i in range(size):
                scaled[i] = sizes[i] * power
                rounded = ((scaled[i] + TO_WHOLE) - TO_WHOLE) / power
                told[i] = rounded if value[i] > 0.0 else -rounded
        for i in range(size):
            digits = (scaled[i] + TO_WHOLE) - TO_WHOLE
            odd += 1 if abs(abs(scaled[i] - digits) - 0.5) <= NEAR_TIE else 0
        if not odd:
            continue
        for i in range(size):
            plain = abs(value[i]) >= SMALLEST and abs(value[i]) < LARGEST
            digits = (scaled[i] + TO_WHOLE) - TO_WHOLE
            if not plain and (value[i] == 0.0 or np.isinf(value[i])):
                told[i] = value[i] + 0.0
            elif not plain or abs(abs(scaled[i] - digits) - 0.5) <= NEAR_TIE:
                told[i] = np.nan
                unsure = unsure or not np.isnan(value[i])
    return unsure


@compiled
def _millionths(value: float) -> int:
    """Return a share in [0, 1] in whole millionths, as `round(value, 6)` rounds it."""
    scaled = value * 1e6
    digits = np.rint(scaled)
    if abs(abs(scaled - digits) - 0.5) > 1e-6:
        return int(digits)
    high = value * _SPLIT
    high = high - (high - value)
    lost = (high * 1e6 - scaled) + (value - high) * 1e6  # exact: 1e6 has 20 bits
    below = math.floor(scaled)
    apart = (scaled - (below + 0.5)) + lost
    if apart == 0.0:
        return int(below + below % 2.0)
    return int(below + 1.0) if apart > 0.0 else int(below)


@compiled
def _log(value: float) -> float:
    mantissa, power = math.frexp(value)
    if mantissa < ROOT_HALF:
        mantissa *= 2.0
        power -= 1
    return _log_of_parts(mantissa - 1.0, float(power))


@compiled
def _trendiness(
    values: Floats, lows: Floats, highs: Floats, weights: NDArray[np.int64], needed: int, out: Floats
) -> bool:
    """Fill T; return whether a row was left at infinity for the caller: its half-life scores near a tie."""
    unsure = False
    rows = values.shape[1]
    share, total, weight, known = np.empty(CHUNK), np.empty(CHUNK), np.empty(CHUNK), np.empty(CHUNK)
    power, tied = np.empty(CHUNK, dtype=np.int64), np.zeros(CHUNK, dtype=np.int64)
    bits = share.view(np.int64)
    for start in range(0, rows, CHUNK):
        size = min(CHUNK, rows - start)
        total[:], weight[:], known[:] = 0.0, 0.0, 0.0
        ties = 0
        for metric in range(6):
            value, low, high = values[metric, start : start + size], lows[metric], highs[metric]
            counts = float(weights[metric])
            if metric == HALF_LIFE:
                low, high = _log(low), _log(high)
                for i in range(size):
                    share[i] = value[i] if value[i] < np.inf else 1.0
                for i in range(size):
                    power[i] = (bits[i] - ROOT_HALF_BITS) >> 52
                    bits[i] -= power[i] << 52
                for i in range(size):
                    log = _log_of_parts(share[i] - 1.0, float(power[i]))
                    share[i] = (log - low) / (high - low) if value[i] < np.inf else 1.0
            else:
                for i in range(size):
                    share[i] = ((abs(value[i]) if metric == SLOPE else value[i]) - low) / (high - low)
            near = 0
            for i in range(size):
                share[i] = min(max(share[i], 0.0), 1.0)
                scaled = share[i] * 1e6
                digits = (scaled + TO_WHOLE) - TO_WHOLE
                here = value[i] == value[i]
                near += 1 if here and abs(abs(scaled - digits) - 0.5) <= 1e-6 else 0
                total[i] += counts * digits if here else 0.0
                weight[i] += counts if here else 0.0
                known[i] += 1.0 if here else 0.0
            if not near:
                continue
            for i in range(size):
                scaled = share[i] * 1e6
                digits = (scaled + TO_WHOLE) - TO_WHOLE
                if not np.isnan(value[i]) and abs(abs(scaled - digits) - 0.5) <= 1e-6:
                    if metric == HALF_LIFE:
                        tied[i] = 1
                        ties += 1
                    else:
                        total[i] += counts * (_millionths(share[i]) - digits)
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


@compiled
def _ten_columns(
    high: Floats,
    low: Floats,
    close: Floats,
    lengths: tuple[int, ...],
    deviations: float,
    out: Floats,
    powers: Floats,
) -> bool:
    """Fill seven or ten columns in the order of `Indicators`; return whether the slopes are still open."""
    logs, beside = out[4], out.shape[0] > 7  # the slopes, made last, take the place of the logarithms
    plus, minus, t = (out[7], out[8], out[9]) if beside else (out[0, :0], out[0, :0], out[0, :0])
    _logs(close, logs)
    _wilder(high, low, close, lengths[0], out[0], out[6], plus, minus)
    if beside:
        _shares_of(plus, minus, out[6])
    _efficiency_ratios(logs, lengths[1], out[1])
    _autocorrelations(logs, lengths[2], out[2])
    _half_lives(logs, lengths[3], out[3], t)
    _bandwidths(close, lengths[5], deviations, out[5])
    return _slopes(close, out[6], lengths[4], out[4], powers)


# a stream's state: what `push` keeps between candles
_HIGH, _LOW, _CLOSE, _BASE, _ATR, _PLUS, _MINUS, _ADX, _DX_TOTAL = range(9)
_SQUARE, _PRODUCT, _STEP_SQUARE, _LEVEL, _LEVEL_SQUARE, _SHIFT = range(9, 15)
_STATE = 15


def _stepper(
    compiled: Callable[[Callable[..., Any]], Callable[..., Any]],
) -> Callable[..., None]:
    """Return `push`, compiled or as it stands here: on arrays or on lists, the same operations."""
    log_of_parts = compiled(_plain_log_of_parts)

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


_push_plainly = _stepper(_as_it_stands)
_push_compiled = _stepper(compiled) if HAVE_NUMBA else _push_plainly
