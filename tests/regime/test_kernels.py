"""The kernels against the metrics: compiled, plain, one candle at a time, and against an exact reference."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from market.candles import Floats
from market.hours import Timeframe
from regime import kernels
from regime.analysis import Verdict
from regime.classifier import classic_class
from regime.column_kernels import CHUNK
from regime.columns import RESTART, blocks_ending, from_blocks, logs, logs_of_one_plus, rolling_sums
from regime.config import METRICS, RegimeConfig
from regime.folds import MetricFold
from regime.kernels import (
    HAVE_NUMBA,
    Candles,
    Indicators,
    Stream,
    classes_of,
    classify,
    indicator_columns,
    is_compiled,
    numpy_route,
    recorded_column,
    trendiness_column,
)
from regime.precision import SMALLEST, significant, significant_column
from regime.scores import metric_scores, trendiness
from tests.regime.windows import walk_bars

CONFIG = RegimeConfig()
LENGTHS = CONFIG.metrics
SIX = ("adx", "efficiency_ratio", "autocorrelation", "half_life", "slope", "bandwidth")
ALL = (*SIX, "atr", "plus_di", "minus_di", "dickey_fuller_t")
ROUTES: tuple[Callable[[], AbstractContextManager[None]], ...] = (nullcontext, numpy_route)
needs_numba = pytest.mark.skipif(not HAVE_NUMBA, reason="numba, the extra `fast`, is not installed")


def candles_of(rows: int, seed: int, factor: float = 1.0, **shape: float) -> Candles:
    bars = walk_bars(rows, seed, **shape)
    return Candles(*(column / 100 * factor for column in (bars.high, bars.low, bars.close)))


def flat(price: float, rows: int = 900) -> Candles:
    return Candles(*np.full((3, rows), price))


def with_close(candles: Candles, row: int, price: float) -> Candles:
    close = candles.close.copy()
    close[row] = price
    return Candles(np.maximum(candles.high, close), np.minimum(candles.low, close), close)


def joined(first: Candles, second: Candles) -> Candles:
    return Candles(*(np.concatenate(pair) for pair in zip(first, second, strict=True)))


WALK = candles_of(3000, 5)
HOSTILE = {
    "walk": WALK,
    "constant": flat(123.45),
    "one spike": with_close(flat(123.45), 300, 123_450.0),
    "one tick": with_close(flat(100.0), 400, 100.01),
    "a step": joined(flat(100.0), flat(101.0)),
    "a gap": joined(candles_of(700, 1), candles_of(700, 2, 3.0)),
    "a walk, then nothing": joined(candles_of(700, 3), flat(1.0, 500)),
    "nothing, then a walk": joined(flat(2000.0, 500), candles_of(700, 4)),
    "a straight climb": Candles(*(np.arange(100.0, 900.0) + side for side in (1.0, -1.0, 0.0))),
    "even returns": Candles(*np.tile(100 * 1.001 ** np.arange(600.0), (3, 1))),
    "to and fro": Candles(*np.tile(np.where(np.arange(800) % 2, 101.0, 100.0), (3, 1))),
    "1e-8 prices": candles_of(1500, 7, 1e-10),
    "1e12 prices": candles_of(1500, 8, 1e9),
    "a volatile market": candles_of(1500, 9, sigma=0.2),
    "a calm market": candles_of(1500, 10, sigma=0.0002),
}


def differing(ours: Floats, theirs: Floats) -> int:
    """Count the rows whose bits differ; any NaN equals any other."""
    assert ours.shape == theirs.shape
    return int(np.count_nonzero(~((ours == theirs) | (np.isnan(ours) & np.isnan(theirs)))))


def assert_equal(ours: Indicators, theirs: Indicators, names: tuple[str, ...] = ALL) -> None:
    assert [n for n in names if differing(getattr(ours, n), getattr(theirs, n))] == []


def by_numpy(candles: Candles) -> Indicators:
    with numpy_route():
        return indicator_columns(candles, LENGTHS)


def streamed(candles: Candles) -> Floats:
    stream = Stream(LENGTHS)
    told = [stream.push(*row) for row in zip(*(column.tolist() for column in candles), strict=True)]
    return np.array(told).reshape(-1, 6).T


@needs_numba
@pytest.mark.parametrize("case", HOSTILE)
def test_compiled_columns_have_the_bits_of_the_metrics(case: str):
    """Not one unrounded number differs, NaN stands exactly where NaN stands, and so with T and its class."""
    candles = HOSTILE[case]
    assert_equal(indicator_columns(candles, LENGTHS), by_numpy(candles))
    ours = classify(candles, CONFIG)
    with numpy_route():
        theirs = classify(candles, CONFIG)
    assert [differing(*pair) for pair in zip(ours.values, theirs.values, strict=True)] == [0] * 6
    assert differing(ours.trendiness, theirs.trendiness) == 0
    assert (ours.raw == theirs.raw).all()


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("case", HOSTILE)
def test_one_candle_at_a_time_has_the_bits_of_the_whole_column(case: str, route):
    """The state of a stream is all that a row needs, compiled or plain."""
    candles = HOSTILE[case]
    expected = by_numpy(candles)
    with route():
        found = streamed(candles)
    assert [n for at, n in enumerate(SIX) if differing(found[at], getattr(expected, n))] == []


@pytest.mark.parametrize("route", ROUTES)
def test_what_is_known_of_a_hostile_series(route):
    """A constant, a climb, a spike and a tick have the answers that their definition gives."""
    with route():
        still = indicator_columns(flat(123.45), LENGTHS)
        climb = indicator_columns(HOSTILE["a straight climb"], LENGTHS)
        spike = indicator_columns(HOSTILE["one spike"], LENGTHS)
    for name in ("adx", "efficiency_ratio", "autocorrelation", "half_life", "slope", "dickey_fuller_t"):
        assert np.isnan(getattr(still, name)).all()
    assert (still.bandwidth[19:] == 0).all()
    assert (still.atr[14:] == 0).all()
    np.testing.assert_allclose(climb.adx[27:], 100)
    np.testing.assert_allclose(climb.efficiency_ratio[24:], 1)
    after = slice(300 + 169 + 1, None)
    assert np.isnan(spike.half_life[after]).all()
    assert np.isnan(spike.autocorrelation[after]).all()
    assert np.isnan(spike.efficiency_ratio[300 + 25 :]).all()
    assert (spike.bandwidth[after] == 0).all()
    assert (spike.slope[after] == 0).all()


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("rows", [0, 1, 14, 15, 19, 20, 24, 25, 27, 28, 168, 169, 170, 186, 187])
def test_a_column_starts_where_its_metric_does(rows: int, route):
    """NaN exactly until there are enough bars; no row is too few to ask."""
    short = Candles(*(column[:rows].copy() for column in WALK))
    needed = dict(zip(ALL, (28, 25, 169, 169, 24, 20, 15, 15, 15, 169), strict=True))
    with route():
        found = indicator_columns(short, LENGTHS)
    for name, bars in needed.items():
        assert np.count_nonzero(~np.isnan(getattr(found, name))) == max(rows - bars + 1, 0)


@pytest.mark.parametrize("route", ROUTES)
@given(rows=st.integers(1, 2999))
@example(rows=168 + RESTART)
@example(rows=169 + RESTART)
@example(rows=168 + 256)
@settings(max_examples=25, deadline=None)
def test_what_comes_later_changes_nothing(route, rows: int):
    """Prefix invariance, bit by bit, wherever a chunk or a block ends."""
    with route():
        whole = indicator_columns(WALK, LENGTHS)
        part = indicator_columns(Candles(*(column[:rows].copy() for column in WALK)), LENGTHS)
        classes, earlier = classify(WALK, CONFIG), classify(Candles(*(c[:rows].copy() for c in WALK)), CONFIG)
    cut = Indicators(*(getattr(whole, name)[:rows] for name in ALL))
    assert_equal(part, cut)
    assert (classes.raw[:rows] == earlier.raw).all()


SEAMS = sorted(
    {
        edge + by
        for edge in (
            0,
            14,
            168,
            *(168 + CHUNK * chunk for chunk in (1, 2, 3)),
            168 + RESTART,
            168 + 2 * RESTART,
        )
        for by in (-1, 0, 1, 2)
        if edge + by > 0
    }
)


@needs_numba
@pytest.mark.parametrize("rows", SEAMS)
def test_every_length_around_a_seam_has_equal_bits(rows: int):
    """Where a chunk, a column or a block of sums starts or ends, nothing is lost, doubled or left unset."""
    short = Candles(*(column[:rows].copy() for column in WALK))
    filled = np.full((10, rows), 7.0)  # what stands in memory before
    assert_equal(indicator_columns(short, LENGTHS, out=filled), by_numpy(short))
    six = indicator_columns(short, LENGTHS, beside=False, out=np.full((7, rows), 7.0))
    assert_equal(six, by_numpy(short), (*SIX, "atr"))


@needs_numba
@given(
    st.sampled_from([14, 168, 168 + CHUNK, 168 + RESTART, 168 + RESTART + CHUNK]),
    st.integers(-30, 30),
    st.sampled_from(["leap", "still", "spike"]),
    st.integers(1, 400),
)
@settings(max_examples=40, deadline=None)
def test_what_happens_at_a_seam_is_carried_over_it(seam: int, by: int, what: str, bars: int):
    """A gap, a spell without any movement and a glitch, anywhere about a seam: the bits of the metrics."""
    at = max(seam + by, 1)
    columns = np.stack(WALK)
    if what == "leap":
        columns[:, at:] *= 3.0
    elif what == "still":
        columns[:, at : at + bars] = columns[2, at - 1]
    else:
        columns[:, at] *= 1000.0
    candles = Candles(*columns)
    assert_equal(indicator_columns(candles, LENGTHS), by_numpy(candles))
    ours = classify(candles, CONFIG)
    with numpy_route():
        assert (classify(candles, CONFIG).raw == ours.raw).all()


@needs_numba
@given(
    st.lists(st.sampled_from([0.0, 0.1, 0.25, 0.5, 1.0]) | st.floats(0, 10), min_size=1, max_size=400),
    st.integers(2, 60),
    st.integers(0, 30),
)
@settings(max_examples=60, deadline=None)
def test_the_median_of_two_halves_is_that_of_a_sorted_window(values: list[float], bars: int, unknown: int):
    """With values that repeat, with zeros, for odd and even windows, after rows that are not known yet."""
    band = np.array([math.nan] * unknown + values)
    found, expected = np.empty(band.shape[0]), np.empty(band.shape[0])
    kernels._expansion_column(band, bars, found)
    with numpy_route():
        kernels._expansion_column(band, bars, expected)
    assert differing(found, expected) == 0
    kernels._expansion_column(band, bars, band)
    assert differing(band, expected) == 0


@needs_numba
def test_windows_of_different_lengths_keep_their_own_blocks():
    """Autocorrelation and half-life may start their sums at different rows, and do over many blocks."""
    lengths = LENGTHS.model_copy(
        update={"wilder_bars": 300, "autocorrelation_bars": 168, "half_life_bars": 700, "slope_bars": 31}
    )
    candles = candles_of(5000, 6)
    with numpy_route():
        expected = indicator_columns(candles, lengths)
    assert_equal(indicator_columns(candles, lengths), expected)


@needs_numba
def test_prices_whose_range_is_beyond_the_scale_have_equal_slopes():
    """Where an ATR has a size that is rounded one by one, the slopes still are over ATR as recorded."""
    for factor in (1e9, 1e-16):
        candles = candles_of(700, 8, factor)
        assert_equal(indicator_columns(candles, LENGTHS), by_numpy(candles))
        assert np.isfinite(by_numpy(candles).slope[100:]).all()


PRICES = st.integers(1, 10**9)


@needs_numba
@given(
    st.lists(st.tuples(PRICES, st.integers(0, 1000), st.integers(0, 1000)), min_size=1, max_size=40),
    st.integers(1, 60),
    st.sampled_from([1e-8, 0.01, 1.0, 1e4]),
)
@settings(max_examples=60, deadline=None)
def test_any_candles_have_equal_bits_on_every_route(rows: list[tuple[int, int, int]], times: int, unit):
    """Whatever the prices: leaps of nine powers of ten, repetitions, wicks; compiled, NumPy, stream."""
    close = np.tile([row[0] for row in rows], times) * unit
    wicks = np.tile([row[1:] for row in rows], (times, 1)).T / 1000
    candles = Candles(close * (1 + wicks[0]), close / (1 + wicks[1]), close)
    expected = by_numpy(candles)
    assert_equal(indicator_columns(candles, LENGTHS), expected)
    found = streamed(candles)
    assert [n for at, n in enumerate(SIX) if differing(found[at], getattr(expected, n))] == []


@needs_numba
@given(st.integers(0, 999), st.integers(2, 40), st.integers(2, 60), st.integers(20, 300))
@settings(max_examples=15, deadline=None)
def test_any_length_has_equal_bits(seed: int, wilder: int, short: int, long: int):
    """The lengths are configuration, not part of the kernel."""
    lengths = LENGTHS.model_copy(
        update={
            "wilder_bars": wilder,
            "efficiency_ratio_bars": short,
            "slope_bars": short,
            "bollinger_bars": short + 1,
            "autocorrelation_bars": long,
            "half_life_bars": long + 3,
        }
    )
    candles = candles_of(1600, seed)
    with numpy_route():
        expected = indicator_columns(candles, lengths)
    assert_equal(indicator_columns(candles, lengths), expected)


def test_the_engine_s_fold_says_the_same():
    """What the engine records hour by hour is what the kernels give for the whole series."""
    bars = walk_bars(1500, 12)
    fold = MetricFold.start(Timeframe.H1, 100)
    for start in range(0, 1500, 500):
        fold = fold.extended(bars.rows(start, start + 500), CONFIG)
    for row in range(1400, 1500):
        again = fold.rows(row).extended(bars.rows(row, row + 1), CONFIG)
        assert (again.values[:, row] == fold.values[:, row]).all()
    found = classify(Candles(*(c / 100 for c in (bars.high, bars.low, bars.close))), CONFIG)
    assert [differing(*pair) for pair in zip(found.values, fold.values, strict=True)] == [0] * 6
    assert differing(found.trendiness, fold.trendiness) == 0


def recorded(path: Path, rows: int | None = None) -> Candles:
    columns = parquet.read_table(path, columns=list(Candles._fields)).to_pydict().values()
    return Candles(*(np.array(column[:rows], dtype=np.float64) for column in columns))


def test_every_recorded_series_has_equal_bits_on_every_route(recorded_data: Path):
    """All candles on all recorded series: compiled batch, NumPy batch, and the class of T."""
    for path in sorted(recorded_data.glob("*.parquet")):
        candles = recorded(path)
        assert_equal(indicator_columns(candles, LENGTHS), by_numpy(candles))


def test_recorded_hours_have_equal_records_on_every_route(recorded_data: Path):
    """On 1h and 4h, which the engine judges: recorded values, T and class; and streamed, hour by hour."""
    for path in sorted([*recorded_data.glob("*_1h.parquet"), *recorded_data.glob("*_4h.parquet")]):
        candles = recorded(path, 6000)
        ours = classify(candles, CONFIG)
        with numpy_route():
            theirs = classify(candles, CONFIG)
        assert [differing(*pair) for pair in zip(ours.values, theirs.values, strict=True)] == [0] * 6
        assert differing(ours.trendiness, theirs.trendiness) == 0
        assert (ours.raw == theirs.raw).all()
        found, whole = streamed(candles), indicator_columns(candles, LENGTHS)
        assert [differing(found[at], getattr(whole, name)) for at, name in enumerate(SIX)] == [0] * 6


def exact_windows(close: Floats, rows: list[int]) -> dict[str, list[float]]:
    """Return autocorrelation, half-life and bandwidth at some rows, each window alone, in long doubles."""
    names = ("autocorrelation", "half_life", "bandwidth", "efficiency_ratio")
    told: dict[str, list[float]] = {name: [] for name in names}
    for row in rows:
        logs_of = np.log(close[row - 168 : row + 1].astype(np.longdouble) / np.longdouble(close[row]))
        steps = np.diff(logs_of)
        apart = steps - steps.mean()
        told["autocorrelation"].append(float((apart[1:] * apart[:-1]).sum() / (apart * apart).sum()))
        levels = logs_of[:-1] - logs_of[:-1].mean()
        pull = (levels * apart).sum() / (levels * levels).sum()
        falls = -1 < pull < -1e-9
        told["half_life"].append(float(-np.log(np.longdouble(2)) / np.log1p(pull)) if falls else math.inf)
        band = close[row - 19 : row + 1].astype(np.longdouble)
        told["bandwidth"].append(float(4 * band.std() / band.mean()))
        told["efficiency_ratio"].append(float(abs(logs_of[-1] - logs_of[-25]) / np.abs(steps[-24:]).sum()))
    return told


def test_a_price_that_wanders_20_000_fold_costs_no_precision():
    """Rolling sums stay within 5e-10 of the median of each metric, a thousandth of the goal."""
    rng = np.random.default_rng(11)
    levels = (
        np.cumsum(rng.normal(0, 0.003, 60_000)) + np.log(20_000) * np.sin(np.arange(60_000) / 19_000) ** 2
    )
    close = 3.0 * np.exp(levels)
    assert close.max() / close.min() > 20_000
    found = indicator_columns(Candles(close * 1.001, close * 0.999, close), LENGTHS)
    rows = list(range(200, 60_000, 97))
    for name, told in exact_windows(close, rows).items():
        ours, exact = getattr(found, name)[rows], np.array(told)
        assert (np.isfinite(exact) == np.isfinite(ours)).all()
        if (
            name == "half_life"
        ):  # its inverse is what the regression finds; near infinity only that is precise
            ours, exact = 1 / ours, 1 / exact
        assert np.abs(ours - exact).max() <= 5e-10 * np.median(np.abs(exact))


def test_a_spike_that_left_the_window_leaves_nothing_behind():
    """A glitch of a thousandfold price is forgotten: the same numbers as without it, to 1e-9."""
    clean = candles_of(1000, 21)
    spiked = with_close(clean, 400, float(clean.close[400]) * 1000)
    ours, theirs = indicator_columns(spiked, LENGTHS), indicator_columns(clean, LENGTHS)
    for name in ("efficiency_ratio", "autocorrelation", "half_life", "bandwidth", "dickey_fuller_t"):
        with_it, without = getattr(ours, name)[570:], getattr(theirs, name)[570:]
        np.testing.assert_allclose(with_it, without, rtol=1e-8, atol=1e-10)


@given(st.floats(-(2**60), 2**60, allow_subnormal=False) | st.decimals(-1000, 1000, places=9).map(float))
@example(0.5)
@example(9.999999995)
@example(1234567.895)
@settings(max_examples=400, deadline=None)
def test_columns_are_rounded_as_single_numbers_are(value: float):
    """To 9 significant digits, half to even of the exact binary value, on both routes."""
    column = np.array([value, value / 3, value * 1e-9, value * 1e-20, -value, math.nan, math.inf] * 6)
    expected = np.array([significant(each) for each in column.tolist()])
    assert differing(significant_column(column), expected) == 0
    assert differing(recorded_column(column), expected) == 0
    assert not np.signbit(significant_column(column)[expected == 0]).any()


def test_powers_of_ten_and_ties_are_rounded_exactly():
    """Where scaling could fall on the wrong side: next to powers of ten, on ties, beyond the table."""
    powers = np.array([10.0**power for power in range(-25, 25)])
    rng = np.random.default_rng(3)
    ties = rng.integers(10**8, 10**9, 3000) + 0.5
    values = [powers, np.nextafter(powers, 0), np.nextafter(powers, np.inf), ties, ties / 1e5, ties * 1e4]
    column = np.concatenate([*values, [SMALLEST, np.nextafter(SMALLEST, 0), 0.0, -0.0]])
    expected = np.array([significant(each) for each in column.tolist()])
    for route in ROUTES:
        with route():
            assert differing(recorded_column(column), expected) == 0
            assert differing(recorded_column(in_place := column.copy(), in_place), expected) == 0


@needs_numba
def test_t_is_the_same_where_scores_fall_on_decimal_ties():
    """Scores with a 5 in the seventh decimal are common; both routes round them alike, and so T."""
    rng = np.random.default_rng(4)
    rows = 4000
    values = np.stack(
        [
            15 + rng.integers(0, 2 * 10**6, rows) * 1e-5 + 1e-5,
            0.1 + rng.integers(0, 3 * 10**6, rows) * 1e-7 + 1.5e-7,
            rng.integers(-(10**6), 10**6, rows) * 1e-7 + 1e-7,
            rng.uniform(5, 50, rows),
            rng.integers(-3 * 10**6, 3 * 10**6, rows) * 1e-7,
            1 + rng.integers(0, 75 * 10**5, rows) * 1e-7,
        ]
    )
    values = np.stack([significant_column(row) for row in values])
    values[3, ::7] = math.inf
    for metric in range(6):
        values[metric, metric :: 5 + metric] = math.nan
    ours = trendiness_column(values, LENGTHS)
    with numpy_route():
        assert differing(ours, trendiness_column(values, LENGTHS)) == 0
    by_hand = [
        trendiness(metric_scores(dict(zip(METRICS, row, strict=True)), LENGTHS), LENGTHS)
        for row in values.T.tolist()
    ]
    assert differing(ours, np.array(by_hand, dtype=np.float64)) == 0
    assert np.isnan(ours).any()


def test_the_class_of_t_is_classic_s():
    """Boundaries belong to the class above them; no T, no class."""
    told = np.array([0.0, 0.299999, 0.3, 0.449999, 0.45, 0.6, 1.0, math.nan])
    expected = [classic_class(t, CONFIG.classic).rank for t in told[:-1]]
    assert classes_of(told, CONFIG.classic).tolist() == [*expected, -1]
    assert expected[0] == Verdict.RANGE_OK.rank


@given(st.floats(1e-300, 1e300), st.floats(1e-12, 0.9999999))
@settings(max_examples=300, deadline=None)
def test_logarithms_are_those_of_the_library_to_the_last_digits(value: float, share: float):
    """Ours are the same on every machine, and no worse than libm's."""
    assert logs(np.array([value]))[0] == pytest.approx(math.log(value), rel=4e-16, abs=1e-16)
    assert logs_of_one_plus(np.array([-share]))[0] == pytest.approx(math.log1p(-share), rel=4e-16)


@given(st.integers(1, 40), st.integers(0, 3000), st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_rolling_sums_start_anew_and_do_not_depend_on_the_rows_asked_for(length: int, rows: int, seed: int):
    """Any first row gives the bits of the whole column, which stays at the plain sums."""
    values = np.random.default_rng(seed).normal(0, 1, rows)

    def column(first: int) -> Floats:
        blocks, start = blocks_ending(values, length, first)
        return from_blocks(rolling_sums(blocks, length), start, first, rows - first)

    whole = column(0)
    for first in (0, rows // 3, rows // 2, max(rows - 1, 0)):
        assert differing(column(first), whole[first:]) == 0
    assert np.isnan(whole[: length - 1]).all()
    plain = np.convolve(values, np.ones(length))[length - 1 : rows] if rows >= length else np.empty(0)
    np.testing.assert_allclose(whole[length - 1 :], plain, atol=1e-10)


def test_the_route_can_be_chosen_and_is_given_back():
    """Tests of the NumPy route need no other installation."""
    before = is_compiled()
    with numpy_route():
        assert not is_compiled()
        with numpy_route():
            assert not is_compiled()
        assert not is_compiled()
    assert is_compiled() is before is HAVE_NUMBA
    assert tuple(METRICS)[:5] == SIX[:5]
