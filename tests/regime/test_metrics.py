"""The six metrics against the field's own libraries and against closed forms."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import reduce
from operator import add

import numpy as np
import pytest
import talib
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.stats import linregress
from statsmodels.regression.linear_model import OLS
from statsmodels.tools import add_constant
from statsmodels.tsa.stattools import acf, adfuller

from market.errors import MetricUndefined
from market.hours import Hour
from regime.columns import deviations_from_mean, log_ratios, means, medians, sums, windows_ending
from regime.config import RegimeConfig
from regime.diagnostics import atr_ratio, variance_ratio, z_score
from regime.metrics.adx import adx, directional_averages, directional_indicators
from regime.metrics.atr import average_true_range, average_true_ranges
from regime.metrics.autocorrelation import autocorrelation, autocorrelations
from regime.metrics.bandwidth import bandwidth, bandwidths, expansion, expansions
from regime.metrics.efficiency_ratio import efficiency_ratio, efficiency_ratios
from regime.metrics.half_life import dickey_fuller_t, dickey_fuller_ts, half_life, half_lives
from regime.metrics.slope import line_slopes, slope, slopes
from regime.volatility import day_ahead_sigmas, hours_of_week, range_averages
from tests.regime.windows import walk, walk_bars

BARS = walk_bars(600, seed=3)
HIGH, LOW, CLOSE = BARS.high / 100, BARS.low / 100, BARS.close / 100
LOGS = log_ratios(CLOSE, float(CLOSE[0]))
ATR = average_true_ranges(HIGH, LOW, CLOSE, 14)


def test_atr_equals_talib_from_its_first_value():
    """Wilder's ATR is the field's ATR."""
    np.testing.assert_allclose(ATR, talib.ATR(HIGH, LOW, CLOSE, 14), rtol=1e-9)
    assert average_true_range(HIGH, LOW, CLOSE) == ATR[-1]


def test_adx_and_its_indicators_equal_talib_once_the_start_is_forgotten():
    """TA-Lib starts its averages with 13 bars where Wilder takes 14; 400 bars later nothing is left of it."""
    ours = directional_averages(HIGH, LOW, 14).adx
    np.testing.assert_allclose(ours[450:], talib.ADX(HIGH, LOW, CLOSE, 14)[450:], rtol=1e-9)
    plus, minus = directional_indicators(HIGH, LOW, CLOSE)
    assert plus == pytest.approx(talib.PLUS_DI(HIGH, LOW, CLOSE, 14)[-1], rel=1e-9)
    assert minus == pytest.approx(talib.MINUS_DI(HIGH, LOW, CLOSE, 14)[-1], rel=1e-9)


def test_adx_starts_at_bar_28_with_the_mean_of_14_dx():
    """The first ADX is the plain mean of the first 14 DX, each from Wilder averages that start as means."""
    up = np.maximum(HIGH[1:28] - HIGH[:27], 0)
    down = np.maximum(LOW[:27] - LOW[1:28], 0)
    up, down = np.where(up > down, up, 0), np.where(down > up, down, 0)
    plus, minus, dx = up[:14].mean(), down[:14].mean(), []
    for at in range(13, 27):
        if at > 13:
            plus, minus = plus * 13 / 14 + up[at] / 14, minus * 13 / 14 + down[at] / 14
        dx.append(100 * abs(plus - minus) / (plus + minus))
    column = directional_averages(HIGH, LOW, 14).adx

    assert np.isnan(column[:27]).all()
    assert column[27] == pytest.approx(np.mean(dx), rel=1e-12)


@pytest.mark.parametrize("cut", [0, 1, 13, 14, 15, 16, 26, 27, 28, 29, 300, 599, 600])
def test_averages_go_on_from_any_bar_with_the_same_bits(cut: int):
    """Before their start, at it and after it; nothing is lost where a fold was cut."""
    whole = directional_averages(HIGH, LOW, 14)
    later = directional_averages(HIGH, LOW, 14, whole.rows(cut))
    assert average_true_ranges(HIGH, LOW, CLOSE, 14, ATR[:cut]).tobytes() == ATR.tobytes()
    for name in ("plus", "minus", "adx"):
        assert getattr(later, name).tobytes() == getattr(whole, name).tobytes()


def test_a_bar_that_reaches_as_far_up_as_down_has_no_direction():
    """Wilder counts the larger movement only; of two equal ones, neither."""
    reach = np.arange(1.0, 41.0)
    averages = directional_averages(100 + reach, 100 - reach, 14)
    assert (averages.plus[14:] == 0).all()
    assert (averages.minus[14:] == 0).all()
    assert np.isnan(averages.adx).all()


def test_adx_is_100_on_a_straight_climb():
    """All movement one way is an ADX of 100."""
    climb = np.arange(100.0, 200.0)
    assert adx(climb + 1, climb - 1, climb) == pytest.approx(100)


def test_bandwidth_equals_talib_bands():
    """(upper - lower) / middle of the bands that everyone draws."""
    upper, middle, lower = talib.BBANDS(CLOSE, 20, 2, 2)
    np.testing.assert_allclose(bandwidths(CLOSE, 20, 2.0), (upper - lower) / middle, rtol=1e-9)
    assert bandwidth(CLOSE) == bandwidths(CLOSE, 20, 2.0)[-1]


def test_expansion_is_the_bandwidth_over_its_own_median():
    """Against the real last 168 bandwidths, never a repeated current value."""
    band = bandwidths(CLOSE, 20, 2.0)
    assert expansion(band) == pytest.approx(band[-1] / np.median(band[-168:]), rel=1e-12)
    assert np.isnan(expansions(band, 168)[: 19 + 167]).all()


def test_autocorrelation_equals_statsmodels():
    """Lag 1, mean removed, the biased estimator of the field."""
    expected = acf(np.diff(LOGS[-169:]), nlags=1, fft=False)[1]
    assert autocorrelation(LOGS) == pytest.approx(expected, abs=1e-12)


def test_half_life_and_dickey_fuller_t_equal_statsmodels():
    """The regression of dL on L with intercept, and its t."""
    levels, steps = LOGS[-169:-1], np.diff(LOGS[-169:])
    fit = OLS(steps, add_constant(levels)).fit()
    assert half_life(LOGS) == pytest.approx(math.log(2) / -math.log(1 + fit.params[1]), rel=1e-9)
    assert dickey_fuller_t(LOGS) == pytest.approx(fit.tvalues[1], rel=1e-9)
    assert dickey_fuller_t(LOGS) == pytest.approx(
        adfuller(LOGS[-169:], maxlag=0, autolag=None, result_object=True).statistic, rel=1e-9
    )


def test_half_life_finds_the_half_life_it_was_given():
    """A process that takes back a tenth an hour has a half-life of ln 2 / -ln .9 = 6.58 hours."""
    logs = np.log(walk(20_001, seed=5, pull=0.1))
    assert half_life(logs, 20_000) == pytest.approx(6.58, rel=0.05)


def test_half_life_is_infinite_without_mean_reversion():
    """Outside 0 < rho < 1 there is no half-life; that is a reading, not a failure."""
    assert half_life(np.cumsum(np.linspace(0.001, 0.002, 169))) == math.inf  # runs away: rho above 1
    assert half_life(np.tile([0.0, 0.01], 85)[:169]) == math.inf  # overshoots: rho below 0
    assert half_life(np.arange(169) * 0.001) == math.inf  # a straight line: rho is 1


def test_slope_is_the_regression_line_over_atr():
    """Least squares over 24 closes, in ATR a bar, signed."""
    line = linregress(np.arange(24), CLOSE[-24:]).slope
    assert slope(CLOSE, ATR) == pytest.approx(line / ATR[-1], rel=1e-9)
    assert slope(CLOSE[::-1].copy(), ATR) == pytest.approx(
        linregress(np.arange(24), CLOSE[::-1][-24:]).slope / ATR[-1], rel=1e-9
    )


@pytest.mark.parametrize("bars", [2, 3, 5, 7, 21, 24, 31, 64])
def test_a_metric_of_any_length_is_what_its_definition_says(bars: int):
    """Sums by pairs of pairs put together one, two or more powers of two."""
    windows = windows_ending(CLOSE, bars, 0)[:200]
    lines = [linregress(np.arange(bars), window).slope for window in windows]
    ones = np.ones(CLOSE.shape)
    assert slopes(CLOSE, ones, bars)[bars - 1 : bars + 199] == pytest.approx(lines, rel=1e-8, abs=1e-9)
    assert line_slopes(windows) == pytest.approx(lines, rel=1e-8, abs=1e-9)
    bands = 4 * windows.std(axis=1) / windows.mean(axis=1)
    assert bandwidths(CLOSE, bars, 2.0)[bars - 1 : bars + 199] == pytest.approx(bands, rel=1e-7)
    walked = np.abs(np.diff(windows_ending(LOGS, bars + 1, 0), axis=1)).sum(axis=1)
    net = np.abs(LOGS[bars:] - LOGS[:-bars])
    assert efficiency_ratios(LOGS, bars)[bars:] == pytest.approx(net / walked, rel=1e-9)


def test_a_price_that_moved_once_has_a_half_life_and_an_autocorrelation():
    """One move is enough; before its newest bar at the latest, else there is nothing to be pulled back to."""
    logs = np.where(np.arange(169) < 100, 0.0, 0.01)
    fit = OLS(np.diff(logs), add_constant(logs[:-1])).fit()
    assert half_life(logs) == pytest.approx(math.log(2) / -math.log(1 + fit.params[1]), rel=1e-9)
    assert autocorrelation(logs) == pytest.approx(acf(np.diff(logs), nlags=1, fft=False)[1], rel=1e-9)
    with pytest.raises(MetricUndefined, match="price never moved"):
        half_life(np.where(np.arange(169) < 168, 0.0, 0.01))


def test_half_life_does_not_depend_on_the_level_of_the_price():
    """Levels are taken from the newest close, so a thousand in logs costs no digits."""
    assert half_life(LOGS + 1000) == pytest.approx(half_life(LOGS), rel=1e-8)
    assert dickey_fuller_t(LOGS + 1000) == pytest.approx(dickey_fuller_t(LOGS), rel=1e-8)


def test_a_week_that_stands_still_after_months_of_moves_has_no_reading():
    """What rolling sums keep of the moves before is rounding, and no movement."""
    stopped = np.concatenate((LOGS, np.full(168, LOGS[-1])))
    for column in (half_lives, autocorrelations, dickey_fuller_ts):
        found = column(stopped, 168)
        assert np.isnan(found[-1])
        assert not np.isnan(found[168:-4]).any()


def test_a_market_that_moves_by_millionths_is_measured_like_any_other():
    """What counts as rounding is a share of the movement, not a size."""
    calm = LOGS * 1e-5
    assert autocorrelation(calm) == pytest.approx(autocorrelation(LOGS), rel=1e-6)
    assert half_life(calm) == pytest.approx(half_life(LOGS), rel=1e-6)
    assert dickey_fuller_t(calm) == pytest.approx(dickey_fuller_t(LOGS), rel=1e-6)


def test_efficiency_ratio_in_closed_form():
    """1 for a straight way, 0 for a round trip, and net over walked between them."""
    straight = np.arange(25) * 0.01
    assert efficiency_ratio(straight) == pytest.approx(1)
    assert efficiency_ratio(np.tile([0.0, 0.01], 13)[:25]) == 0
    expected = abs(LOGS[-1] - LOGS[-25]) / np.abs(np.diff(LOGS[-25:])).sum()
    assert efficiency_ratio(LOGS) == pytest.approx(expected, rel=1e-12)


def test_efficiency_ratio_never_exceeds_one():
    """Net and walked are summed in different orders; a straight way is 1, not a rounding more."""
    climb = np.cumsum(np.random.default_rng(1).uniform(0, 0.01, 2000))
    ratios = efficiency_ratios(climb, 24)[24:]
    assert ratios.max() == 1
    assert ratios == pytest.approx(np.ones(1976), rel=1e-12)


def test_a_driftless_walk_averages_about_one_over_root_n():
    """The efficiency ratio of noise is not 0: about .2 over 24 bars."""
    ratios = efficiency_ratios(np.log(walk(20_000, seed=9)), 24)
    assert np.nanmean(ratios) == pytest.approx(1 / math.sqrt(24), rel=0.15)


def test_variance_ratio_and_z_score_in_closed_form():
    """VR is 1 for a walk and 0 for a round trip; z counts deviations from the mean."""
    assert variance_ratio(np.log(walk(20_001, seed=2)), 20_000, 24) == pytest.approx(1, abs=0.1)
    assert variance_ratio(np.tile([0.0, 0.01], 85)[:169]) == pytest.approx(0, abs=1e-12)
    recent = CLOSE[-48:]
    assert z_score(CLOSE) == pytest.approx((recent[-1] - recent.mean()) / recent.std(), rel=1e-9)
    assert atr_ratio(ATR) == pytest.approx(ATR[-1] / np.median(ATR[-168:]), rel=1e-12)


def test_sigma_is_the_geometric_mean_of_two_averages_of_ranges_with_the_coming_hours_put_back():
    """Written out once more, bar by bar, without carried state."""
    config = RegimeConfig().evidence
    high, low, ts = HIGH[:300], LOW[:300], 3600 * np.arange(300, dtype=np.int64)
    factors = config.hour_of_week_factors
    week = [(int(t) // 3600 + 72) % 168 for t in ts]
    x = [
        math.log(h / lo) / (2 * math.sqrt(math.log(2))) / factors[w]
        for h, lo, w in zip(high, low, week, strict=True)
    ]
    row = 250
    means = []
    for length in (config.sigma_fast_half_life, config.sigma_slow_half_life):
        weights = [0.5 ** ((row - i) / length) for i in range(row + 1)]
        means.append(sum(w * v for w, v in zip(weights, x, strict=False)) / sum(weights))
    coming = math.sqrt(sum(factors[(week[row] + 1 + i) % 168] ** 2 for i in range(24)) / 24)
    expected = math.sqrt(means[0] * means[1]) * coming
    averages = range_averages(high, low, ts, config)
    for column, length, mean in zip(
        (averages.fast, averages.slow),
        (config.sigma_fast_half_life, config.sigma_slow_half_life),
        means,
        strict=True,
    ):
        assert column[row] == pytest.approx(mean * (1 - 0.5 ** ((row + 1) / length)), rel=1e-12)
    assert day_ahead_sigmas(averages, ts, config)[row] == pytest.approx(expected, rel=1e-12)
    later = range_averages(high, low, ts, config, averages.rows(200))
    assert np.array_equal(later.slow, averages.slow)
    assert np.array_equal(
        day_ahead_sigmas(averages, ts, config, 200), day_ahead_sigmas(averages, ts, config)[200:]
    )


def test_the_week_begins_on_monday_and_its_factors_average_one():
    """2026-02-02 was a Monday; the mean square of the factors is about 1, so they move nothing on average."""
    assert hours_of_week(
        np.array([Hour.parse("2026-02-02T00").open_ts, Hour.parse("2026-02-08T23").open_ts])
    ).tolist() == [0, 167]
    assert np.mean(np.square(RegimeConfig().evidence.hour_of_week_factors)) == pytest.approx(1, abs=0.01)


def test_a_market_that_never_moved_has_no_deviation():
    """Zero ranges give 0, never a logarithm of nothing."""
    flat, ts = np.full(50, 3.0), 3600 * np.arange(50, dtype=np.int64)
    config = RegimeConfig().evidence
    assert np.all(day_ahead_sigmas(range_averages(flat, flat, ts, config), ts, config) == 0)


FLAT = np.full(400, 123.45)
UNDEFINED: dict[str, tuple[Callable[[], float], str]] = {
    "short atr": (lambda: average_true_range(HIGH[:14], LOW[:14], CLOSE[:14]), "needs 15 bars, has 14"),
    "short adx": (lambda: adx(HIGH[:27], LOW[:27], CLOSE[:27]), "needs 28 bars, has 27"),
    "flat adx": (lambda: adx(FLAT, FLAT, FLAT), "price never moved"),
    "short di": (lambda: directional_indicators(HIGH[:14], LOW[:14], CLOSE[:14]), "needs 15 bars, has 14"),
    "flat di": (lambda: directional_indicators(FLAT, FLAT, FLAT), "price never moved"),
    "short er": (lambda: efficiency_ratio(LOGS[:24]), "needs 25 closes, has 24"),
    "flat er": (lambda: efficiency_ratio(np.zeros(30)), "price never moved in 24 bars"),
    "short autocorrelation": (lambda: autocorrelation(LOGS[:168]), "needs 169 closes, has 168"),
    "even autocorrelation": (
        lambda: autocorrelation(np.arange(200) * 0.001),
        "all of 168 returns are the same",
    ),
    "short half-life": (lambda: half_life(LOGS[:168]), "needs 169 closes, has 168"),
    "flat half-life": (lambda: half_life(np.full(200, 0.1)), "price never moved in 168 bars"),
    "short t": (lambda: dickey_fuller_t(LOGS[:168]), "needs 169 closes, has 168"),
    "flat t": (lambda: dickey_fuller_t(np.full(200, 0.1)), "price never moved, or moved along one line"),
    "short slope": (lambda: slope(CLOSE[:23], ATR[:23]), "needs 24 closes, has 23"),
    "flat slope": (lambda: slope(FLAT, np.zeros(400)), "ATR is 0 or not known"),
    "short bandwidth": (lambda: bandwidth(CLOSE[:19]), "needs 20 closes, has 19"),
    "short expansion": (lambda: expansion(bandwidths(CLOSE[:186], 20, 2.0)), "needs 168 bandwidths, has 167"),
    "flat expansion": (lambda: expansion(bandwidths(FLAT, 20, 2.0)), "the median of 168 bandwidths is 0"),
    "flat z": (lambda: z_score(FLAT), "needs 48 closes that move"),
    "flat atr ratio": (lambda: atr_ratio(np.zeros(300)), "needs 168 ATR above 0"),
}


@pytest.mark.parametrize("case", UNDEFINED)
def test_what_cannot_be_computed_says_why(case: str):
    """A metric without a value raises, and its reason is what the operator reads."""
    measure, reason = UNDEFINED[case]
    with pytest.raises(MetricUndefined) as undefined:
        measure()
    assert undefined.value.reason == reason


COLUMNS: dict[str, tuple[Callable[[int], float], Callable[[int], np.ndarray]]] = {
    "efficiency_ratio": (lambda n: efficiency_ratio(LOGS[:n]), lambda f: efficiency_ratios(LOGS, 24, f)),
    "autocorrelation": (lambda n: autocorrelation(LOGS[:n]), lambda f: autocorrelations(LOGS, 168, f)),
    "half_life": (lambda n: half_life(LOGS[:n]), lambda f: half_lives(LOGS, 168, f)),
    "slope": (lambda n: slope(CLOSE[:n], ATR[:n]), lambda f: slopes(CLOSE, ATR, 24, f)),
    "bandwidth": (lambda n: bandwidth(CLOSE[:n]), lambda f: bandwidths(CLOSE, 20, 2.0, f)),
    "adx": (
        lambda n: adx(HIGH[:n], LOW[:n], CLOSE[:n]),
        lambda f: directional_averages(HIGH, LOW, 14).adx[f:],
    ),
}


@pytest.mark.parametrize("metric", COLUMNS)
@given(row=st.integers(0, 599), first=st.integers(0, 599))
@example(row=19, first=0)
@example(row=23, first=0)
@example(row=24, first=24)
@example(row=27, first=27)
@example(row=168, first=0)
@settings(max_examples=40, deadline=None)
def test_a_column_says_at_every_row_what_the_single_series_says_there(metric: str, row: int, first: int):
    """Bit for bit, wherever the column starts; NaN exactly where the single series is undefined."""
    single, column = COLUMNS[metric]
    row = max(row, first)
    value = float(column(first)[row - first])
    try:
        expected = single(row + 1)
    except MetricUndefined:
        assert math.isnan(value)
    else:
        assert value == expected


@pytest.mark.parametrize("rows", [0, 1, 6, 23])
@pytest.mark.parametrize("first", [0, 1, 5])
def test_a_history_that_is_too_short_has_a_column_without_values(rows: int, first: int):
    """As long as the rows asked for, and all of them NaN."""
    first = min(first, rows)
    closes, logs = CLOSE[:rows], LOGS[:rows]
    for column in (
        *(measure(logs, 24, first) for measure in (efficiency_ratios, autocorrelations, half_lives)),
        dickey_fuller_ts(logs, 24, first),
        slopes(closes, ATR[:rows], 24, first),
        bandwidths(closes, 24, 2.0, first),
        expansions(closes, 24, first),
    ):
        assert column.shape == (rows - first,)
        assert np.isnan(column).all()


def test_a_column_begins_at_the_anchor_unless_told_otherwise():
    """Its first row is the first bar."""
    band = bandwidths(CLOSE, 20, 2.0, 0)
    assert bandwidths(CLOSE, 20, 2.0).tobytes() == band.tobytes()
    assert expansions(band, 168).tobytes() == expansions(band, 168, 0).tobytes()
    assert slopes(CLOSE, ATR, 24).tobytes() == slopes(CLOSE, ATR, 24, 0).tobytes()
    for column in (efficiency_ratios, autocorrelations, half_lives, dickey_fuller_ts):
        assert column(LOGS, 168).tobytes() == column(LOGS, 168, 0).tobytes()


@given(st.integers(1, 40), st.integers(1, 300), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_rolling_sums_do_not_depend_on_how_many_rows_are_computed_together(length: int, rows: int, seed: int):
    """One window alone has the bits it has among hundreds; NumPy's own `sum` would not promise that."""
    values = np.random.default_rng(seed).normal(1000, 300, length + rows)
    together = windows_ending(values, length, 0)
    for row in (0, rows // 2, rows):
        alone = windows_ending(values[: row + length], length, row + length - 1)
        for statistic in (sums, means, medians):
            assert statistic(alone)[0] == statistic(together)[row]
    assert sums(together)[0] == reduce(add, values[:length].tolist())  # strictly oldest first
    np.testing.assert_allclose(sums(together), together.sum(axis=1), rtol=1e-12)
    np.testing.assert_allclose(medians(together), np.median(together, axis=1), rtol=1e-12)
    mean = together.mean(axis=1)
    np.testing.assert_allclose(means(together), mean, rtol=1e-12)
    np.testing.assert_allclose(deviations_from_mean(together), together - mean[:, None], atol=1e-8)
