"""The engine as a whole: same answer on every route, a defined answer for every series."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, is_dataclass, replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.candles import Bars, Floats, aggregate
from market.hours import Hour, Timeframe
from market.window import MarketWindow
from regime.analysis import Insufficient, RegimeAnalysis
from regime.config import METRICS, RegimeConfig
from regime.engine import RegimeEngine
from regime.folds import HourFold, MetricFold, PriceFold, shared_rows
from regime.metrics.atr import average_true_range
from regime.precision import significant
from regime.readings import read_metrics, trend_label
from regime.scores import barrier_survival, hold_probability
from tests.regime.windows import START, bars_of_prices, walk, walk_bars, window_of

CONFIG = RegimeConfig()
CLASSIC = RegimeConfig(score_model="classic")
SERIES = walk_bars(1600, 11, sigma=0.006, pull=0.01)


def judged(window: MarketWindow, config: RegimeConfig = CONFIG) -> RegimeAnalysis:
    found = RegimeEngine(config).analyze(window)
    assert isinstance(found, RegimeAnalysis), found
    return found


def refused(window: MarketWindow) -> str:
    found = RegimeEngine(CONFIG).analyze(window)
    assert isinstance(found, Insufficient)
    return found.reason


def columns_of(fold: object) -> list[bytes]:
    """Return the bytes of every array in a fold."""
    found = []
    for field in fields(fold):  # type: ignore[arg-type]
        value = getattr(fold, field.name)
        if isinstance(value, np.ndarray):
            found.append(value.tobytes())
        elif is_dataclass(value):
            found += columns_of(value)
    return found


@given(cuts=st.lists(st.integers(1, 700), max_size=6), seed=st.integers(0, 50))
@settings(max_examples=15, deadline=None)
def test_a_fold_has_the_same_bits_however_it_was_extended(cuts: list[int], seed: int):
    """All at once, in pieces, or one bar at a time around the cuts."""
    bars = walk_bars(700, seed)
    whole = HourFold.start(100).extended(bars, CONFIG)
    edges = sorted({0, 700, *cuts, *(min(cut + 1, 700) for cut in cuts)})
    fold = HourFold.start(100)
    for first, last in pairwise(edges):
        fold = fold.extended(bars.rows(first, last), CONFIG)
    assert columns_of(fold) == columns_of(whole)
    assert columns_of(whole.rows(cuts[0] if cuts else 350)) == columns_of(
        HourFold.start(100).extended(bars.rows(0, cuts[0] if cuts else 350), CONFIG)
    )


def test_a_fold_measures_quote_prices():
    """Whatever the scale that bars are stored in."""
    fold = PriceFold.start(Timeframe.H1, 100).extended(SERIES.rows(0, 400), CONFIG)
    high, low, close = (column[:400] / 100 for column in (SERIES.high, SERIES.low, SERIES.close))
    assert fold.atr[-1] == significant(average_true_range(high, low, close))
    assert fold.log_close == pytest.approx(np.log(close / close[0]), abs=1e-14)


@pytest.mark.parametrize("margin", [0.0, 0.5])
def test_an_hour_is_inside_or_outside_by_its_own_range_and_has_the_probability_of_its_place(margin: float):
    """A close on a bound is inside, on an outer line not outside; outside p0 is 0, without a range NaN."""
    config = CONFIG.model_copy(update={"range": CONFIG.range.model_copy(update={"outside_margin": margin})})
    fold = HourFold.start(1).extended(walk_bars(900, 4, price=300.0, price_scale=1), config)
    seen = set()
    for row, close in enumerate(fold.bars.close.tolist()):
        p0, p = float(fold.barrier_probability[row]), float(fold.hold_probability[row])
        if not fold.ranges.lookback[row]:
            assert np.isnan([p0, p]).all()
            assert (fold.inside[row], fold.outside[row]) == (0, 0)
            continue
        lower, upper = float(fold.ranges.lower[row]), float(fold.ranges.upper[row])
        reach = margin * float(fold.metrics.prices.atr[row])
        below, above = max(lower - reach, 1.0), upper + reach
        inside, outside = lower <= close <= upper, close < below or close > above
        assert (fold.inside[row], fold.outside[row]) == (inside, outside)
        expected = barrier_survival(close, below, above, float(fold.sigma[row]), config.evidence)
        assert p0 == (0 if outside else expected)
        outer = config.evidence.outside_probability
        assert p == (outer if outside else hold_probability(expected, config.evidence))
        seen.add("outside" if outside else "lower" if close == lower else "upper" if close == upper else "")
    assert seen == {"outside", "lower", "upper", ""}


@pytest.mark.parametrize("config", [CONFIG, CLASSIC], ids=["evidence", "classic"])
def test_in_any_order_and_from_scratch_the_analysis_is_the_same(config: RegimeConfig):
    """One engine hour by hour, again, newest first and in no order; a new engine for every hour."""
    hours = [Hour.of_ts(int(SERIES.ts[-1])).plus(-back) for back in range(12, -1, -1)]
    windows = [window_of(SERIES, hour) for hour in hours]
    engine = RegimeEngine(config)
    live = [engine.analyze(window) for window in windows]
    backwards, shuffled = RegimeEngine(config), RegimeEngine(config)

    assert [backwards.analyze(window) for window in windows[::-1]] == live[::-1]
    assert [RegimeEngine(config).analyze(window) for window in windows[::4]] == live[::4]
    assert [repr(engine.analyze(window)) for window in windows] == [repr(a) for a in live]
    for at in (5, 0, 12, 3, 7):
        assert shuffled.analyze(windows[at]) == live[at]


@given(st.integers(1004, 1400), st.integers(0, 20))
@settings(max_examples=12, deadline=None)
def test_the_future_changes_nothing_before_it(length: int, seed: int):
    """An hour judged when it was the newest, and judged again with a different tomorrow in the memory."""
    bars = walk_bars(length, seed)
    hour = Hour.of_ts(int(bars.ts[-1]))
    then = judged(window_of(bars))
    spiked = bars_of_prices(Timeframe.H1, hour.close_ts, np.linspace(1.0, 9e4, 30), price_scale=100)
    longer = Bars(
        Timeframe.H1, *(np.concatenate(pair) for pair in zip(bars.columns(), spiked.columns(), strict=True))
    )
    engine = RegimeEngine(CONFIG)
    engine.analyze(window_of(longer))
    assert engine.analyze(window_of(longer, hour)) == then


def test_memory_of_another_past_is_not_used():
    """Bars repaired since, another market of the same shape, another scale: each gets its own answer."""
    engine = RegimeEngine(CONFIG)
    engine.analyze(window_of(SERIES))
    repaired = replace(SERIES, close=SERIES.close.copy(), high=SERIES.high.copy())
    repaired.close[1400] += 900
    repaired.high[1400] += 900
    for window in (
        window_of(repaired),
        window_of(SERIES),
        window_of(SERIES, four_hours=aggregate(repaired, Timeframe.H4)),
        window_of(SERIES.rescaled(10, 1), price_scale=1000),
        window_of(walk_bars(1600, 12)),
        window_of(SERIES, Hour.of_ts(int(SERIES.ts[1500]))),
    ):
        assert engine.analyze(window) == RegimeEngine(CONFIG).analyze(window)


@pytest.mark.parametrize("column", ["high", "low", "close"])
def test_one_changed_number_is_enough_to_fold_again(column: str):
    """A repair of one column of one bar, however small, is another past."""
    engine = RegimeEngine(CONFIG)
    engine.analyze(window_of(SERIES))
    wide = SERIES.rows(400, 1600)
    at = 1100 + int(np.argmax(wide.high[1100:] - wide.close[1100:]))
    changed = replace(wide, **{column: getattr(wide, column).copy()})
    if column == "close":
        changed.close[at] = wide.high[at]
    else:
        getattr(changed, column)[at] += 4000 if column == "high" else -4000
    engine.analyze(window_of(wide))
    window = window_of(changed, four_hours=aggregate(SERIES, Timeframe.H4))
    assert engine.analyze(window) == RegimeEngine(CONFIG).analyze(window)


@pytest.mark.parametrize("column", ["ts", "high", "low", "close"])
def test_two_pasts_share_the_rows_before_the_first_difference(column: str):
    """All of the shorter one where there is none; what is shared is not folded again."""
    changed = replace(SERIES, **{column: getattr(SERIES, column).copy()})
    getattr(changed, column)[[700, 900]] += 1
    assert shared_rows(SERIES, changed) == shared_rows(changed, SERIES.rows(0, 1200)) == 700
    assert shared_rows(SERIES.rows(0, 600), changed) == 600
    assert shared_rows(SERIES, SERIES) == len(SERIES)
    assert shared_rows(SERIES.rows(0, 0), SERIES) == 0


def test_a_4h_bar_that_turns_up_late_changes_what_the_hours_after_it_saw():
    """The 1h bars are the same; what was remembered of T4 is not."""
    four_hours = aggregate(SERIES, Timeframe.H4)
    holed = four_hours.ts != four_hours.ts[-20]
    without = Bars(Timeframe.H4, *(column[holed] for column in four_hours.columns()))
    engine = RegimeEngine(CONFIG)
    engine.analyze(window_of(SERIES, four_hours=without))
    window = window_of(SERIES, four_hours=four_hours)
    assert engine.analyze(window) == RegimeEngine(CONFIG).analyze(window)


def test_what_the_memory_holds_cannot_be_changed_through_the_window():
    """A reader may reuse its arrays for the next hour."""
    engine = RegimeEngine(CONFIG)
    mine = replace(SERIES, close=SERIES.close.copy())
    first = engine.analyze(window_of(mine))
    mine.close[1000] += 500
    mine.high[1000] = max(mine.high[1000], mine.close[1000])
    changed = engine.analyze(window_of(mine))
    assert changed == RegimeEngine(CONFIG).analyze(window_of(mine))
    assert changed != first


def test_a_bounded_memory_changes_no_answer():
    """Three markets through a memory of one."""
    engine = RegimeEngine(CONFIG, remembered=1)
    windows = [window_of(walk_bars(1100, seed), key=f"M{seed}-USDT") for seed in (1, 2, 3)]
    for _ in range(2):
        assert [engine.analyze(w) for w in windows] == [RegimeEngine(CONFIG).analyze(w) for w in windows]


def test_threads_may_share_an_engine():
    """Markets and hours at the same time, through one memory."""
    windows = [
        window_of(bars, Hour.of_ts(int(bars.ts[-1 - back])), key=key)
        for key, bars in (("A-USDT", SERIES), ("B-USDT", walk_bars(1600, 12)))
        for back in range(8)
    ]
    engine = RegimeEngine(CONFIG)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(engine.analyze, windows))
    alone = RegimeEngine(CONFIG)
    assert found == [alone.analyze(window) for window in windows]


@pytest.mark.parametrize("config", [CONFIG, CLASSIC], ids=["evidence", "classic"])
@pytest.mark.parametrize("factor", [3, 1000, 12_345])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_prices_times_k_change_no_verdict(config: RegimeConfig, factor: int, seed: int):
    """A market quoted in another unit is the same market."""
    bars = walk_bars(1200, seed, price=25_000.0)
    one, other = judged(window_of(bars), config), judged(window_of(bars.rescaled(factor, 1)), config)
    assert (one.verdict, one.classic_verdict) == (other.verdict, other.classic_verdict)
    assert other.hold_probability == pytest.approx(one.hold_probability, abs=1e-4)
    assert other.trendiness == pytest.approx(one.trendiness, abs=2e-6)
    assert other.range.lower == pytest.approx(one.range.lower * factor, rel=1e-5)


def test_a_finer_price_scale_of_the_same_prices_moves_only_the_rounding():
    """What is not a bound is equal to the last digit."""
    one = judged(window_of(SERIES))
    other = judged(window_of(SERIES.rescaled(100, 1), price_scale=10_000))
    assert one.metrics == other.metrics
    assert (one.atr, one.hourly_sigma, one.price) == (other.atr, other.hourly_sigma, other.price)
    assert one.range.lower == pytest.approx(other.range.lower, abs=0.006)


def test_too_few_bars_are_insufficient_with_the_counts():
    """The operator reads how far it still is."""
    short = walk_bars(399, 1)
    assert refused(window_of(short)) == (
        "399 closed 1h bars are known, 400 are needed; 99 closed 4h bars are known, 250 are needed"
    )
    enough = walk_bars(1000, 1)
    assert isinstance(RegimeEngine(CONFIG).analyze(window_of(enough)), RegimeAnalysis)
    assert refused(
        window_of(enough.rows(600, 1000), four_hours=aggregate(enough, Timeframe.H4).rows(1, 250))
    ) == ("249 closed 4h bars are known, 250 are needed")


def test_an_hour_without_its_own_bar_is_never_judged_by_its_neighbour():
    """The newest bar must be the hour's."""
    window = window_of(SERIES, Hour.of_ts(int(SERIES.ts[-1])).plus(1))
    assert refused(window) == "the 1h bar of 2024-03-07T16 is missing, the newest is 2024-03-07T15:00:00Z"


def test_a_constant_series_is_insufficient_and_says_why():
    """Nothing moved, so nothing can be measured."""
    flat = bars_of_prices(Timeframe.H1, START.open_ts, np.full(1200, 100.0))
    reason = refused(window_of(flat))
    assert reason.startswith(
        "0 of 6 metrics could be computed, at least 4 are needed; missing: adx (price never"
    )
    assert all(name in reason for name in METRICS)


def calm_tail(flat: int) -> Floats:
    close = walk(1200, 5)
    close[1200 - flat :] = close[1200 - flat - 1]
    return close


def test_one_missing_metric_is_named_and_lowers_confidence():
    """A day without movement has no efficiency ratio; the other five carry T."""
    found = judged(window_of(bars_of_prices(Timeframe.H1, START.open_ts, calm_tail(30))))
    missing = found.metrics["efficiency_ratio"]
    assert (missing.value, missing.score, missing.weight) == (None, None, 0)
    assert missing.reason == "price never moved in 24 bars"
    assert missing.slope is None
    assert missing.trend is None
    assert found.confidence.factors["missing_metrics"] == 0.8
    weights = {name: r.weight for name, r in found.metrics.items()}
    total = sum(weights[n] * r.score for n, r in found.metrics.items() if r.score is not None)
    assert found.trendiness == pytest.approx(total / 16, abs=1e-6)


@pytest.mark.parametrize("rows", [1, 20, 24, 27, 168])
def test_a_metric_that_needs_more_bars_counts_those_up_to_its_own_hour(rows: int):
    """Not those after it, and not one too few."""
    fold = MetricFold.start(Timeframe.H1, 100).extended(SERIES.rows(0, 400), CONFIG)
    needed = {"adx": 28, "efficiency_ratio": 25, "autocorrelation": 169, "half_life": 169, "slope": 24}
    found = read_metrics(fold, rows - 1, CONFIG.metrics)
    for name, bars in needed.items():
        noun = "bars" if name == "adx" else "closes"
        assert found[name].reason == (f"needs {bars} {noun}, has {rows}" if rows < bars else None)
    assert found["expansion"].reason == f"needs 168 bandwidths, has {max(rows - 19, 0)}"


def test_three_metrics_are_not_enough():
    """A week without movement leaves ADX and slope alone."""
    reason = refused(window_of(bars_of_prices(Timeframe.H1, START.open_ts, calm_tail(200))))
    assert reason.startswith(
        "2 of 6 metrics could be computed, at least 4 are needed; missing: efficiency_ratio"
    )


def test_no_mean_reversion_is_a_reading_with_full_weight():
    """Unlike a half-life that could not be computed: value null, score 1, weight 5, and it says so."""
    rising = walk(1200, 6, sigma=0.002) * np.exp(np.linspace(0, 1.2, 1200) ** 3)
    found = judged(window_of(bars_of_prices(Timeframe.H1, START.open_ts, rising)))
    reading = found.metrics["half_life"]
    assert (reading.value, reading.reason, reading.score, reading.weight) == (
        None,
        "no mean reversion",
        1.0,
        5,
    )
    assert found.confidence.factors["missing_metrics"] == 1.0


def test_a_single_spike_gives_defined_numbers_and_breaks_the_range_at_once():
    """A bad tick of 20 times the price, and the hours after it."""
    spiked = replace(SERIES, high=SERIES.high.copy(), close=SERIES.close.copy())
    spiked.high[-3] = spiked.close[-3] = SERIES.close[-3] * 20
    at = Hour.of_ts(int(SERIES.ts[-3]))
    hit = judged(window_of(spiked, at))
    assert hit.hold_probability == 0.05
    assert hit.evidence_verdict.value == "TREND"
    for later in (1, 2):
        assert_defined(judged(window_of(spiked, at.plus(later))))


def assert_defined(found: RegimeAnalysis) -> None:
    """Every number is finite, every probability one."""
    assert "nan" not in repr(found)
    assert "inf" not in repr(found).replace("insufficient", "")
    assert "np." not in repr(found)
    for share in (
        found.hold_probability,
        found.barrier_probability,
        found.trendiness,
        found.confidence.value,
    ):
        assert share is not None
        assert 0 <= share <= 1


@given(holes=st.sets(st.integers(0, 899), max_size=300), seed=st.integers(0, 20))
@settings(max_examples=15, deadline=None)
def test_gaps_give_defined_answers(holes: set[int], seed: int):
    """Bars beside a gap count as neighbours: metrics and range are the same as without the gap."""
    bars = walk_bars(1400, seed)
    kept = np.array([at not in holes for at in range(900)] + [True] * 500)
    gapped = Bars(Timeframe.H1, *(column[kept] for column in bars.columns()))
    found = judged(window_of(gapped, four_hours=aggregate(bars, Timeframe.H4)))
    closed_up = replace(gapped, ts=bars.ts[1400 - len(gapped) :])
    same = judged(window_of(closed_up, four_hours=aggregate(bars, Timeframe.H4)))
    assert_defined(found)
    assert found.metrics == same.metrics
    assert found.range == same.range  # p goes by the hour of the week, so by the clock


@pytest.mark.parametrize("scale", [10**9, 10**10, 10**12])
def test_prices_of_a_hundred_millionth_are_judged_like_any_other(scale: int):
    """Down to ten steps a price: bounds are whole steps and never 0."""
    bars = walk_bars(1200, 3, price=1e-8, sigma=0.01, price_scale=scale)
    found = judged(window_of(bars, price_scale=scale))
    assert_defined(found)
    assert found.range.lower >= 1 / scale
    assert found.range.lower * scale == pytest.approx(round(found.range.lower * scale))


@given(
    st.lists(st.sampled_from([0.2, 0.999, 1.0, 1.0, 1.0, 1.001, 1.02, 3.0]), min_size=500, max_size=500),
    st.integers(0, 3),
)
@settings(max_examples=25, deadline=None)
def test_any_series_gives_an_analysis_or_a_reason(factors: list[float], seed: int):
    """However it jumps or stands still."""
    logs = np.log(np.array(factors))
    close = np.maximum(1000 * np.exp(np.cumsum(logs - logs.mean())), 0.01)
    bars = bars_of_prices(Timeframe.H1, START.open_ts, close)
    found = RegimeEngine(CONFIG).analyze(
        window_of(bars, four_hours=aggregate(walk_bars(1100, seed), Timeframe.H4))
    )
    if isinstance(found, Insufficient):
        assert "needed" in found.reason
    else:
        assert_defined(found)


def test_the_record_adds_up():
    """T from scores and weights, distances from p, both verdicts, the six metrics in their order."""
    found = judged(window_of(SERIES))
    assert tuple(found.metrics) == METRICS
    total = sum(r.weight * r.score for r in found.metrics.values() if r.score is not None)
    assert found.trendiness == pytest.approx(total / 20, abs=1e-6)
    assert found.hold_probability is not None
    assert found.distances["RANGE_OK"] == pytest.approx(found.hold_probability - 0.75)
    assert found.verdict is found.evidence_verdict
    assert found.components is not None
    classic = judged(window_of(SERIES), CLASSIC)
    assert classic.verdict is classic.classic_verdict is found.classic_verdict
    assert classic.evidence_verdict is found.evidence_verdict
    for reading in found.metrics.values():
        assert reading.value is None or reading.value == float(f"{reading.value:.8e}")
    assert_defined(found)


def test_a_metric_says_where_it_is_heading():
    """A breakout expands the bands and raises ADX; labels follow the fitted change of six readings."""
    close = np.concatenate(
        (walk(1190, 5, sigma=0.001), walk(1190, 5, sigma=0.001)[-1] * 1.02 ** np.arange(1, 11))
    )
    found = judged(window_of(bars_of_prices(Timeframe.H1, START.open_ts, close)))
    assert found.metrics["expansion"].trend == "EXPANDING"
    assert found.metrics["adx"].trend == "RISING"
    calm = judged(window_of(bars_of_prices(Timeframe.H1, START.open_ts, calm_tail(12))))
    assert calm.metrics["expansion"].trend == "CONTRACTING"


@pytest.mark.parametrize(
    ("metric", "value", "slope", "label"),
    [
        ("adx", 25.0, 0.25, "STABLE"),  # 1.25 in five steps is 5 % of 25
        ("adx", 25.0, 0.26, "RISING"),
        ("adx", 25.0, -0.26, "FALLING"),
        ("autocorrelation", 0.0, 0.0001, "STABLE"),  # 0 counts as 5 % of the span of .20
        ("autocorrelation", 0.0, -0.00011, "FALLING"),
        ("expansion", 1.0, 0.011, "EXPANDING"),
        ("expansion", 1.0, -0.011, "CONTRACTING"),
    ],
)
def test_a_trend_label_needs_a_change_of_five_percent(metric: str, value: float, slope: float, label: str):
    """Of the value, which counts as at least 5 % of its anchor span."""
    assert trend_label(metric, value, slope, CONFIG.metrics) == label


def test_early_warning_is_recorded_where_there_is_data_and_decides_nothing():
    """5m and 15m stand beside the verdict; without them, or with old ones, their numbers are null."""
    hour = Hour.of_ts(int(SERIES.ts[-1]))
    quarter = bars_of_prices(Timeframe.M15, hour.close_ts - 900 * 4000, walk(4000, 2, sigma=0.002))
    five = bars_of_prices(Timeframe.M5, hour.open_ts - 300 * 2000, walk(2000, 2, sigma=0.002))
    bare = judged(window_of(SERIES))
    told = judged(window_of(SERIES, finer={Timeframe.M15: quarter, Timeframe.M5: five}))

    assert set(bare.early_warning) == {"5m", "15m"}
    assert set(bare.early_warning["15m"].values()) == {None}
    assert all(value is not None and math.isfinite(value) for value in told.early_warning["15m"].values())
    assert set(told.early_warning["5m"].values()) == {None}  # they end where the hour begins
    assert replace(told, early_warning=bare.early_warning) == bare


def test_diagnostics_stand_beside_the_metrics():
    """ATR%, ATR ratio, VR(24), z(48), the directional indicators, Dickey-Fuller's t, and the six on 4h."""
    found = judged(window_of(SERIES))
    assert {"atr_pct", "atr_ratio", "variance_ratio", "z_score", "plus_di", "minus_di"} <= set(
        found.diagnostics
    )
    assert {"dickey_fuller_t", "bandwidth", "bars_across"} <= set(found.diagnostics)
    assert {f"{name}_4h" for name in METRICS} <= set(found.diagnostics)
    assert found.atr is not None
    assert found.diagnostics["atr_pct"] == pytest.approx(100 * found.atr / found.price)
