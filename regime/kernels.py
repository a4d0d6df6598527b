"""The six metrics, T and its class over whole series at once, and one candle at a time: compiled, equal bits.

Every number is made by the same IEEE operations in the same order as in `regime/metrics`: no fused
multiply-add (fastmath is off), no regrouped sum, no logarithm from a library. So compiled batch, compiled
stream, plain Python stream and the NumPy route of the engine give the same bits, recorded or not.
The loops are in `regime/column_kernels.py` and `regime/stream_kernels.py`; here stands the switch.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from market.candles import Floats
from regime import column_kernels, stream_kernels
from regime.column_kernels import CHUNK, HAVE_NUMBA
from regime.columns import log_ratios
from regime.config import METRICS, ClassicConfig, MetricsConfig, RegimeConfig
from regime.metrics.adx import directional_averages
from regime.metrics.atr import average_true_ranges
from regime.metrics.autocorrelation import autocorrelations
from regime.metrics.bandwidth import bandwidths, expansions
from regime.metrics.efficiency_ratio import efficiency_ratios
from regime.metrics.half_life import dickey_fuller_ts, half_lives
from regime.metrics.slope import slopes
from regime.precision import LARGEST, POWERS_OF_TEN, SMALLEST, significant, significant_column
from regime.scores import trendiness_column as trendiness_by_numpy

Codes = NDArray[np.int8]

_compiled_wanted = True
NO_CLASS = -1


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
    lengths = _lengths(config)
    work = column_kernels.workspace(lengths)
    deviations = config.bollinger_deviations
    if column_kernels.columns(*candles, lengths, deviations, column, POWERS_OF_TEN, work):
        column[4] = slopes(candles.close, recorded_column(column[6]), config.slope_bars)
    return Indicators(*column[:7], *(column[7:] if beside else column[:3, :0]))


def classify(candles: Candles, config: RegimeConfig) -> Classes:
    """Return T and its class at every row of one series."""
    metrics = config.metrics
    memory = np.empty((7, candles.close.shape[0]))
    found, values = indicator_columns(candles, metrics, beside=False, out=memory), memory[: len(METRICS)]
    _expansion_column(found.bandwidth, metrics.median_bars, values[5])
    if is_compiled():  # the columns lie in that memory, one behind the other
        recorded_column(values.reshape(-1), values.reshape(-1))
    else:
        columns = (found.adx, found.efficiency_ratio, found.autocorrelation, found.half_life, found.slope)
        for column, out in zip((*columns, values[5]), values, strict=True):
            recorded_column(column, out)
    told = trendiness_column(values, metrics)
    return Classes(values, told, classes_of(told, config.classic))


class Stream:
    """The six indicators one candle at a time: the state does not grow, the bits are those of the batch.

    Args:
        config: Lengths.
    """

    def __init__(self, config: MetricsConfig) -> None:
        self._lengths = _lengths(config)
        self._deviations = config.bollinger_deviations
        kept = max(self._lengths) + 2
        walked, line, band = (
            np.zeros((length.bit_length(), kept))
            for length in (config.efficiency_ratio_bars, config.slope_bars, config.bollinger_bars)
        )
        pairs = (walked, line, line.copy(), band, band.copy())
        state = (
            np.zeros(3, dtype=np.int64),
            np.zeros(stream_kernels.STATE),
            np.zeros(2 * kept),
            np.full(7, np.nan),
        )
        self._state: tuple[Any, ...] = (*state[:3], pairs, state[3])
        if not is_compiled():
            listed = tuple(each.tolist() for each in state)
            self._state = (*listed[:3], tuple(each.tolist() for each in pairs), listed[3])
        self._push = stream_kernels.push_compiled if is_compiled() else stream_kernels.push_plainly

    def push(self, high: float, low: float, close: float) -> tuple[float, float, float, float, float, float]:
        """Return ADX, efficiency ratio, autocorrelation, half-life, slope and bandwidth at a new candle.

        NaN and infinity stand where the columns have them. One thread at a time.
        """
        self._push(*self._state, self._lengths, self._deviations, high, low, close)
        adx, efficiency, autocorrelation, half_life, rise, band, atr = map(float, self._state[4])
        recorded_atr = significant(atr)
        slope = rise / recorded_atr if recorded_atr else math.nan
        return adx, efficiency, autocorrelation, half_life, slope, band


def recorded_column(values: Floats, out: Floats | None = None) -> Floats:
    """Return a column rounded to 9 significant digits, each as `precision.significant` does; in `out`."""
    found = np.empty(values.shape[0]) if out is None else out
    if not is_compiled():
        found[:] = significant_column(values)
    elif column_kernels.recorded(values, found, POWERS_OF_TEN, np.empty((3, CHUNK))):
        size = np.abs(found)
        left = ((size > 0) & (size < SMALLEST)) | ((size >= LARGEST) & (size < np.inf))
        for row in np.flatnonzero(left).tolist():
            found[row] = significant(float(found[row]))
    return found


def trendiness_column(values: Floats, config: MetricsConfig) -> Floats:
    """Return T at every row from the six metrics as recorded, shape (6, n); NaN with too few metrics."""
    if not is_compiled():
        return trendiness_by_numpy(values, config)
    found = np.empty(values.shape[1])
    anchors = [config.anchors(name) for name in METRICS]
    lows = np.array([each.range_end for each in anchors])
    highs = np.array([each.trend_end for each in anchors])
    weights = np.array([each.weight for each in anchors], dtype=np.int64)
    scratch, tied = np.empty((4, CHUNK)), np.zeros(CHUNK, dtype=np.int64)
    needed = config.minimum_available
    if column_kernels.trendiness(values, lows, highs, weights, needed, found, scratch, tied):
        near_ties = np.flatnonzero(np.isinf(found))
        found[near_ties] = trendiness_by_numpy(values[:, near_ties], config)
    return found


def classes_of(told: Floats, config: ClassicConfig) -> Codes:
    """Return the rank of the class of each T, -1 for NaN."""
    ranks = np.zeros(told.shape[0], dtype=np.int8)
    for edge in (config.range_ok, config.range_weak, config.trend):
        ranks += told >= edge
    ranks[np.isnan(told)] = NO_CLASS
    return ranks


def _lengths(config: MetricsConfig) -> tuple[int, ...]:
    return (
        config.wilder_bars,
        config.efficiency_ratio_bars,
        config.autocorrelation_bars,
        config.half_life_bars,
        config.slope_bars,
        config.bollinger_bars,
    )


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


def _expansion_column(band: Floats, bars: int, out: Floats) -> None:
    """Fill the bandwidth over its median, of which `out` may be the memory."""
    if is_compiled():
        column_kernels.expansions(band, bars, out, np.empty(8 * bars + 128, dtype=np.int64))
    else:
        out[:] = expansions(band, bars)
