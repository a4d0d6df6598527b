"""Six indicators over whole series, T with its class, and one candle: ns a candle, each program on one core.

Six: ADX(14), efficiency ratio(24), lag-1 autocorrelation(168), half-life(168), slope(24) over ATR(14) and
Bollinger bandwidth(20). Every program is called once before it is measured; what the compiler took is told
apart. Rounds go through all programs in turn; medians of processor time count, so that a busy machine
cannot favour one of them.
Ours and the limit write into columns that are there; TA-Lib and pandas can only return new ones, so a
figure of ours with fresh memory stands beside it.

The peers: TA-Lib composed (ADX, ATR, BBANDS, LINEARREG_SLOPE, CORREL, STDDEV, SUM; logarithms and the rest in
numpy); pandas-ta-classic (adx, atr, er, linreg, bbands, rolling sums of pandas where it has no indicator);
talipp, which has three of the six only (ADX, ATR, bands) and takes a candle at a time. None of them rounds,
tells an undefined value from a number, or keeps its precision on a price that wanders: their figures there
are beside ours. The limit reads three columns and writes six, nothing else. TA-Lib's Wilder averages start
one bar earlier than ours, and its slope is not over the recorded ATR; both cost the same.

Precision: one million candles, a price that wanders 20,000-fold, against windows in long doubles, each alone;
the largest error in units of the median of the metric. That the classes of batch, stream, NumPy and the exact
windows are equal is asserted, not measured.
"""

from __future__ import annotations

import statistics
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from time import process_time

import numpy as np
import pandas as pd
import talib
from numba import njit
from talipp.indicators import ADX, ATR, BB
from talipp.ohlcv import OHLCV

from bench.figures import Against, Figure, Goal, at_most, seconds_of, times_better
from market.candles import Floats
from regime.config import METRICS, RegimeConfig
from regime.kernels import (
    Candles,
    Stream,
    classes_of,
    classify,
    indicator_columns,
    numpy_route,
    recorded_column,
    trendiness_column,
)
from regime.metrics.bandwidth import expansions

with warnings.catch_warnings():  # a peer's own deprecations are not ours to mend
    warnings.simplefilter("ignore")
    import pandas_ta_classic as ta


CONFIG = RegimeConfig()
SIX = ("adx", "efficiency_ratio", "autocorrelation", "half_life", "slope", "bandwidth")


@dataclass(frozen=True, slots=True)
class Sizes:
    """Candles of each series, rounds, and how far apart the rows are that are held against exact windows."""

    series: tuple[int, ...]
    rounds: int
    wander: int
    every: int
    talipp: int


FULL = Sizes(series=(120, 10_000, 1_000_000), rounds=7, wander=1_000_000, every=199, talipp=10_000)
QUICK = Sizes(series=(120, 600), rounds=1, wander=6_000, every=97, talipp=600)


def run(*, quick: bool) -> list[Figure]:
    """Return the figures."""
    sizes = QUICK if quick else FULL
    warm = walk(700)
    compiling = seconds_of(classify, warm, CONFIG) + seconds_of(indicator_columns, warm, CONFIG.metrics)
    interpreted = 1e-9 * nanoseconds({"NumPy": partial(_by_numpy, walk(10_000))}, 1, 1)["NumPy"]
    against = Against("10,000 candles without numba", interpreted)
    figures = [Figure("compile, once a process", compiling, "s", against)]
    for rows in sizes.series:
        figures += _speed(walk(rows), sizes)
    return [*figures, *_classification(sizes), *_stream(), *_precision(sizes)]


def walk(rows: int, seed: int = 1, *, sigma: float = 0.003, swing: float = 0.0) -> Candles:
    """Return a seeded walk; `swing` is how far the price wanders beyond it, in logs."""
    rng = np.random.default_rng(seed)
    levels = np.cumsum(rng.normal(0, sigma, rows))
    levels += swing * np.sin(np.arange(rows) * (3 / rows)) ** 2
    close = 2000 * np.exp(levels)
    wicks = np.abs(rng.normal(0, sigma / 2, (2, rows)))
    return Candles(close * (1 + wicks[0]), close * (1 - wicks[1]), close)


def _speed(candles: Candles, sizes: Sizes) -> list[Figure]:
    rows = candles.close.shape[0]
    frame = pd.DataFrame(candles._asdict())
    out = np.empty((6, rows))
    programs: dict[str, Callable[[], object]] = {
        "ours": partial(indicator_columns, candles, CONFIG.metrics, beside=False, out=np.empty((7, rows))),
        "ours, fresh memory": partial(indicator_columns, candles, CONFIG.metrics, beside=False),
        "ours, NumPy": partial(_by_numpy, candles),
        "TA-Lib composed": partial(by_talib, candles),
        "pandas-ta-classic": partial(by_pandas, frame),
        "read 3, write 6 columns": partial(_limit, *candles, out),
    }
    if rows <= sizes.talipp:
        programs["talipp, three of six"] = partial(by_talipp, candles)
    cost = nanoseconds(programs, rows, sizes.rounds)
    big = rows >= 1_000_000
    found = []
    for peer in programs:
        if peer.startswith("ours"):
            continue
        against = Against(peer, cost[peer], is_limit=peer.startswith("read"))
        goals: tuple[Goal, ...] = ()
        if big and peer == "TA-Lib composed":
            goals = (times_better(4, cost["ours"], against), times_better(5.5, cost["ours"], against))
        if big and peer == "pandas-ta-classic":
            goals = (times_better(50, cost["ours"], against),)
        found.append(Figure(f"six indicators, {rows:,} candles", cost["ours"], "ns/candle", against, goals))
    against = Against("TA-Lib composed", cost["TA-Lib composed"])
    found.append(
        Figure(f"six, {rows:,} candles, fresh memory", cost["ours, fresh memory"], "ns/candle", against)
    )
    found.append(Figure(f"six, {rows:,} candles, without numba", cost["ours, NumPy"], "ns/candle", against))
    return found


def nanoseconds(programs: dict[str, Callable[[], object]], rows: int, rounds: int) -> dict[str, float]:
    """Return the median cost a candle of each program; short ones are repeated within a round."""
    took: dict[str, list[float]] = {name: [] for name in programs}
    repeats = {}
    for name, program in programs.items():
        program()
        repeats[name] = max(1, min(300, int(0.02 / max(_busy(program, 1), 1e-9)))) if rounds > 1 else 1
    for _ in range(rounds):
        for name, program in programs.items():
            took[name].append(_busy(program, repeats[name]))
    return {name: 1e9 * statistics.median(each) / rows for name, each in took.items()}


def _busy(program: Callable[[], object], times: int) -> float:
    """Return how long the processor worked on one call, seconds."""
    began = process_time()
    for _ in range(times):
        program()
    return (process_time() - began) / times


def _classification(sizes: Sizes) -> list[Figure]:
    found = []
    for rows in sizes.series:
        candles = walk(rows)
        programs: dict[str, Callable[[], object]] = {
            "ours": partial(classify, candles, CONFIG),
            "limit": partial(_limit, *candles, np.empty((6, rows))),
        }
        each = nanoseconds(programs, rows, sizes.rounds)
        cost, limit = each["ours"], Against("read 3, write 6 columns", each["limit"], is_limit=True)
        found.append(Figure(f"T and class, {rows:,} candles", cost, "ns/candle", limit))
        if rows >= 1_000_000:  # forty whole windows of that length tell nothing new
            continue
        last = list(range(max(rows - (40 if sizes is FULL else 2), 0), rows))
        naive = 1e9 * _busy(partial(_naive_windows, candles, last), 1) / len(last)
        against = Against("each window anew, TA-Lib and numpy", naive)
        goals: tuple[Goal, ...] = (at_most(50, cost * rows / 1e3, "us a call"),) if rows == 120 else ()
        if rows == 10_000:
            goals = (times_better(10_000, cost, against), at_most(0.2, cost * rows / 1e6, "ms a call"))
        found.append(Figure(f"T and class, {rows:,} candles", cost, "ns/candle", against, goals))
    return found


def _naive_windows(candles: Candles, rows: list[int]) -> None:
    for row in rows:
        by_talib(Candles(*(column[: row + 1] for column in candles)))


def _stream() -> list[Figure]:
    candles = walk(3000)
    rows = list(zip(*(column.tolist() for column in candles), strict=True))
    told = [
        Figure(
            "one candle, compiled",
            _pushing(rows),
            "us",
            Against("talipp, three of six", _talipp_push(candles)),
        )
    ]
    with numpy_route():
        told.append(Figure("one candle, plain Python", _pushing(rows), "us", told[0].against))
    return told


def _pushing(rows: list[tuple[float, ...]]) -> float:
    stream = Stream(CONFIG.metrics)
    stream.push(*rows[0])
    busy_s: float = _busy(lambda: [stream.push(*row) for row in rows[1:]], 1)
    return 1e6 * busy_s / (len(rows) - 1)


def _talipp_push(candles: Candles) -> float:
    return 1e6 * _busy(partial(by_talipp, candles), 1) / len(candles.close)


def _precision(sizes: Sizes) -> list[Figure]:
    candles = walk(sizes.wander, 2, swing=1.2 * np.log(20_000))
    assert candles.close.max() > 20_000 * candles.close.min(), "the price must wander"
    ours, theirs = indicator_columns(candles, CONFIG.metrics), by_talib(candles)
    rows = np.arange(200, sizes.wander, sizes.every)
    exact = exact_columns(candles, rows)
    figures = []
    for at, name in enumerate(SIX[1:], 1):
        reference = exact[name]
        against = Against("TA-Lib composed", _error(theirs[at][rows], reference))
        error = _error(getattr(ours, name)[rows], reference)
        what = f"{name}, error on a price that wanders"
        figures.append(Figure(what, error, "medians", against, (at_most(5e-7, error, "of the median"),)))
    _assert_equal_classes(candles, ours.adx, exact, rows)
    return figures


def _error(found: Floats, exact: Floats) -> float:
    """Return the largest error over rows where both are finite, in medians, at least 1e-18."""
    both = np.isfinite(found) & np.isfinite(exact)
    return max(float(np.max(np.abs(found[both] - exact[both])) / np.median(np.abs(exact[both]))), 1e-18)


def exact_columns(candles: Candles, rows: np.ndarray) -> dict[str, Floats]:
    """Return five of the six at some rows, each from its own window, in long doubles."""
    found = {name: np.full(rows.shape[0], np.nan) for name in SIX[1:]}
    atr = recorded_column(indicator_columns(candles, CONFIG.metrics).atr)
    places = np.arange(24) - np.longdouble(11.5)
    for at, row in enumerate(rows.tolist()):
        close = candles.close[row - 168 : row + 1].astype(np.longdouble)
        logs = np.log(close / close[-1])
        steps = np.diff(logs)
        apart, levels = steps - steps.mean(), logs[:-1] - logs[:-1].mean()
        pull = (levels * apart).sum() / (levels * levels).sum()
        found["efficiency_ratio"][at] = abs(logs[-1] - logs[-25]) / np.abs(steps[-24:]).sum()
        found["autocorrelation"][at] = (apart[1:] * apart[:-1]).sum() / (apart * apart).sum()
        found["half_life"][at] = -np.log(np.longdouble(2)) / np.log1p(pull) if -1 < pull < -1e-9 else np.inf
        found["slope"][at] = (close[-24:] * places).sum() / 1150 / atr[row]
        found["bandwidth"][at] = 4 * close[-20:].std() / close[-20:].mean()
    return found


def _assert_equal_classes(candles: Candles, adx: Floats, exact: dict[str, Floats], rows: np.ndarray) -> None:
    batch = classify(candles, CONFIG)
    with numpy_route():
        part = Candles(*(column[:3000] for column in candles))
        assert (classify(part, CONFIG).raw == batch.raw[:3000]).all(), "NumPy and compiled differ"
    stream = Stream(CONFIG.metrics)
    count = min(batch.raw.shape[0], 100_000)
    pushed = np.array(
        [stream.push(*row) for row in zip(*(c[:count].tolist() for c in candles), strict=True)]
    ).T
    pushed[5] = expansions(pushed[5], CONFIG.metrics.median_bars)
    assert (_classes(pushed) == batch.raw[:count]).all(), "stream and batch differ"
    expansion = batch.values[METRICS.index("expansion")][rows]
    values = np.stack([adx[rows], *(exact[name] for name in SIX[1:5]), expansion])
    assert (_classes(values) == batch.raw[rows]).all(), "exact windows and batch differ"


def _classes(values: Floats) -> np.ndarray:
    values = np.stack([recorded_column(np.ascontiguousarray(column)) for column in values])
    return classes_of(trendiness_column(values, CONFIG.metrics), CONFIG.classic)


def _by_numpy(candles: Candles) -> None:
    with numpy_route():
        indicator_columns(candles, CONFIG.metrics, beside=False)


def by_talib(candles: Candles) -> tuple[Floats, ...]:
    """Return the six, made of TA-Lib's functions and as little numpy as it takes."""
    high, low, close = candles
    if close.shape[0] < 2:
        return (close,) * 6
    logs = np.log(close)
    steps = np.diff(logs, prepend=logs[:1])
    with np.errstate(all="ignore"):
        band_upper, band_middle, band_lower = talib.BBANDS(close, 20, 2.0, 2.0)
        walked = talib.SUM(np.abs(steps), 24)
        before = np.concatenate((steps[:1], steps[:-1]))
        levels = np.concatenate((logs[:1], logs[:-1]))
        pull = talib.CORREL(levels, steps, 168) * talib.STDDEV(steps, 168) / talib.STDDEV(levels, 168)
        half_life = np.where((pull > -1) & (pull < 0), -np.log(2) / np.log1p(pull), np.inf)
        return (
            talib.ADX(high, low, close, 14),
            np.abs(talib.MOM(logs, 24)) / walked,
            talib.CORREL(before, steps, 168),
            half_life,
            talib.LINEARREG_SLOPE(close, 24) / talib.ATR(high, low, close, 14),
            (band_upper - band_lower) / band_middle,
        )


def by_pandas(frame: pd.DataFrame) -> tuple[object, ...]:
    """Return the six, from pandas-ta-classic where it has them, from pandas' rolling windows where not."""
    high, low, close = frame["high"], frame["low"], frame["close"]
    logs = np.log(close)
    steps = logs.diff()
    before, levels = steps.shift(), logs.shift()
    pull = levels.rolling(168).cov(steps) / levels.rolling(168).var()
    return (
        ta.adx(high, low, close, 14, talib=False),
        ta.er(logs, 24, talib=False),
        steps.rolling(168).corr(before),
        -np.log(2) / np.log1p(pull.where((pull > -1) & (pull < 0))),
        ta.linreg(close, 24, slope=True, talib=False) / ta.atr(high, low, close, 14, talib=False),
        ta.bbands(close, 20, talib=False),
    )


def by_talipp(candles: Candles) -> None:
    """Push every candle into ADX, ATR and bands."""
    adx, atr, bands = ADX(14, 14), ATR(14), BB(20, 2)
    for high, low, close in zip(*(column.tolist() for column in candles), strict=True):
        candle = OHLCV(close, high, low, close)
        adx.add(candle)
        atr.add(candle)
        bands.add(close)


@njit(nogil=True, cache=False)
def _limit(high: Floats, low: Floats, close: Floats, out: Floats) -> None:
    for row in range(close.shape[0]):
        total = high[row] + low[row] + close[row]
        for column in range(6):
            out[column, row] = total
