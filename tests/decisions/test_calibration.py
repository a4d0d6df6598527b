"""What `regimed calibrate` says is measured rightly: against brute force, by hand, without look-ahead."""

import json
from dataclasses import fields, replace

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from decisions.calibration.exits import barrier_survivals, exit_skills
from decisions.calibration.measures import Ranked, Weeks, auc_within, brier_skill, mean, reliability, runs
from decisions.calibration.outcomes import first_true, frozen_grids, holds
from decisions.calibration.report import calibrate
from decisions.calibration.rivals import filtered_hmm, fit_logistic, walk_forward_logistic
from decisions.calibration.values import GridValues, grid_values
from market.candles import aggregate
from market.hours import HOUR_S, Hour, Timeframe
from regime.config import METRICS, RegimeConfig
from regime.diagnostics import COLUMNS
from regime.engine import RegimeEngine
from regime.history import JudgedHours, judge_history
from regime.scores import barrier_survival
from store.recorded_windows import RecordedWindows
from tests.cycle.processes import regimed
from tests.regime.windows import walk_bars

CONFIG = RegimeConfig()
WALK = walk_bars(4200, seed=11)
FOUR = aggregate(WALK, Timeframe.H4)


@pytest.fixture(scope="module")
def judged():
    return judge_history(WALK, FOUR, 100, CONFIG)


def hand_made(closes, *, lower=90.0, upper=110.0, atr=4.0):
    """Return judged hours with a frozen range and the closes given."""
    n = len(closes)
    close = np.array(closes, dtype=np.float64)
    inside = (close >= lower) & (close <= upper)
    full = np.full
    return JudgedHours(
        ts=HOUR_S * np.arange(n, dtype=np.int64),
        close=close,
        atr=full(n, atr),
        lower=full(n, lower),
        upper=full(n, upper),
        hold_probability=full(n, 0.5),
        barrier_probability=full(n, 0.5),
        sigma=full(n, 0.01),
        trendiness=full(n, 0.5),
        trendiness_4h=full(n, 0.5),
        metrics=full((6, n), 0.5),
        evidence=np.zeros(n, dtype=np.int8),
        classic=np.zeros(n, dtype=np.int8),
        valid=full(n, True),
        inside=inside,
        outside=~inside,
        diagnostics=full((len(COLUMNS), n), 1.0),
        evidence_present=np.zeros(n, dtype=np.int8),
        classic_present=np.zeros(n, dtype=np.int8),
    )


def test_years_at_once_are_the_hours_one_by_one(judged):
    """The calibration scores the very verdicts that the daemon would have recorded."""
    windows = RecordedWindows.__new__(RecordedWindows)
    windows.symbol, windows._price_scale, windows._minutes = "ETH-USDT", 100, None
    windows._timeframes = {Timeframe.H1: 270, Timeframe.H4: 540}
    windows._bars = {Timeframe.H1: WALK, Timeframe.H4: FOUR}
    engine = RegimeEngine(CONFIG)
    for row in (0, 1, 500, 1500, len(judged) - 1):
        found = engine.analyze(windows.window(Hour.of_ts(int(judged.ts[row]))))
        assert found.evidence_verdict.rank == judged.evidence[row]
        assert found.classic_verdict.rank == judged.classic[row]
        assert found.hold_probability == judged.hold_probability[row]
        assert found.barrier_probability == judged.barrier_probability[row]
        assert found.trendiness == judged.trendiness[row]
        assert (found.range.lower, found.range.upper, found.range.valid) == (
            judged.lower[row], judged.upper[row], bool(judged.valid[row]),
        )  # fmt: skip


def test_no_hours_give_no_judgement():
    """Too little history is an empty answer, not an error."""
    short = walk_bars(100, seed=1)
    assert len(judge_history(short, aggregate(short, Timeframe.H4), 100, CONFIG)) == 0


def test_the_auc_is_the_chance_that_a_held_hour_scores_higher():
    """Against the rank test of scipy, ties counting half; weights repeat hours."""
    random = np.random.default_rng(3)
    score, held = random.integers(0, 9, 400).astype(float), (random.random(400) < 0.6).astype(float)
    good, bad = score[held == 1], score[held == 0]
    expected = mannwhitneyu(good, bad).statistic / (len(good) * len(bad))
    assert Ranked(score, held).auc(np.ones(400)) == pytest.approx(expected, rel=1e-12)
    weights = random.integers(0, 3, 400)
    repeated = np.repeat(np.arange(400), weights)
    assert Ranked(score, held).auc(weights.astype(float)) == pytest.approx(
        Ranked(score[repeated], held[repeated]).auc(np.ones(len(repeated))), rel=1e-12
    )


def test_geometry_bins_take_away_what_only_says_how_far_the_bounds_are():
    """A score that is the geometry itself has almost no skill inside fine bins of it."""
    random = np.random.default_rng(4)
    geometry = random.random(4000)
    held = (random.random(4000) < geometry).astype(float)
    assert Ranked(geometry, held).auc(np.ones(4000)) > 0.75
    assert auc_within(geometry, held, geometry, 25, np.ones(4000)) == pytest.approx(0.5, abs=0.03)


def test_brier_skill_is_zero_for_the_base_rate_and_one_for_the_truth():
    """Against the base rate of the same hours."""
    held = np.array([1.0, 0, 1, 1, 0])
    assert brier_skill(np.full(5, 0.6), held, np.ones(5)) == pytest.approx(0, abs=1e-12)
    assert brier_skill(held, held, np.ones(5)) == 1


def test_a_true_probability_lies_in_its_bins_and_a_boast_does_not():
    """Observed rates with their intervals."""
    random = np.random.default_rng(5)
    stated = random.random(6000)
    held = (random.random(6000) < stated).astype(float)
    weeks = Weeks(HOUR_S * np.arange(6000, dtype=np.int64))
    edges = np.arange(0.1, 1.0, 0.1)
    for row in reliability(stated, held, weeks, edges):
        assert row.observed.low - 0.05 <= row.stated <= row.observed.high + 0.05
    boast = reliability(np.minimum(stated + 0.3, 1), held, weeks, edges)
    assert any(row.observed.high < row.stated for row in boast)


def test_intervals_come_from_weeks_and_are_the_same_twice():
    """Weeks are drawn, not hours: hours of one week are not independent. Weeks begin on Monday."""
    ts = HOUR_S * np.arange(168 * 10, dtype=np.int64) + Hour.parse("2026-02-02T00").open_ts
    weeks = Weeks(ts)
    assert weeks.count == 10
    by_week = np.repeat(np.arange(10) % 2, 168).astype(float)
    figure = weeks.figure(lambda w: mean(by_week, w), len(ts))
    assert figure.value == 0.5
    assert figure.high - figure.low > 0.4
    assert Weeks(ts).figure(lambda w: mean(by_week, w), len(ts)) == figure
    assert weeks.figure(lambda w: mean(by_week, w), 0).value is None


def test_runs_end_where_the_label_changes_or_an_hour_is_missing():
    """Flips count changes, not gaps."""
    labels = np.array([0, 0, 1, 1, 1, 0])
    ts = HOUR_S * np.array([0, 1, 2, 3, 5, 6])
    lengths, flips = runs(labels, ts)
    assert lengths.tolist() == [2, 2, 1, 1]
    assert flips == 2


def test_a_range_holds_when_every_close_of_24_hours_stays_within_its_margin():
    """bounds +/- .5 ATR; the last day is not known yet; a missing hour makes it unknown."""
    closes = [100.0] * 60
    closes[30] = 112.1  # beyond 110 + .5 x 4
    held = holds(hand_made(closes), 0.5)
    assert held[5] == 1
    assert held[6:30].tolist() == [0] * 24
    assert held[30] == 1
    assert np.isnan(held[36:]).all()
    gap = hand_made(closes)
    gap = replace(gap, ts=np.where(np.arange(60) >= 20, gap.ts + HOUR_S, gap.ts))
    assert np.isnan(holds(gap, 0.5)[0:20]).tolist() == [False] * 0 + [h + 24 >= 20 for h in range(20)]


def test_a_grid_breaks_at_the_first_close_far_outside_that_does_not_come_back():
    """A: at least 1 ATR outside, and not inside again within 12 hours."""
    closes = [100.0] * 400
    closes[20] = 115.0  # far outside, back after an hour: no break
    closes[50:80] = [115.0] * 30
    grids = frozen_grids(hand_made(closes))
    first = grids.breaks_h[grids.start == 0]
    assert first.tolist() == [50]
    assert grids.breaks_h[grids.start == 84].tolist() == [0]
    assert first_true(np.array([[False, True], [False, False]])).tolist() == [2, 0]


def test_an_alert_late_in_the_week_is_followed_for_its_72_hours_too():
    """A three days after the week is no break of the week, but the alert before it was right."""
    closes = np.full(600, 100.0)
    closes[150:190] = 111.0  # outside, less than 1 ATR
    closes[190:] = 118.0
    hours = hand_made(closes.tolist())
    grids = frozen_grids(hours)
    assert grids.breaks_h[:6].tolist() == [0, 0, 0, 0, 166, 160]
    assert grids.breaks_later_h[:6].tolist() == [190, 184, 178, 172, 166, 160]
    first = hours.where(slice(0, 260))
    assert frozen_grids(first).start.tolist() == [0, 6]
    skill = exit_skills(first, CONFIG)["two_closes_out"]
    assert (skill.fer.value, skill.fer.n, skill.ttdr.n) == (0.0, 2, 0)
    assert exit_skills(first, CONFIG)["two_closes_out"].random_fer.value == pytest.approx(
        np.mean([*([True] * 117), *([False] * 51), *([True] * 111), *([False] * 57)])
    )


def test_the_barrier_for_arrays_is_the_one_of_the_engine():
    """pf is the same formula, element by element; beyond a barrier it is 0."""
    close, lower, upper, sigma = (
        np.array(x) for x in ([100.0, 105, 120], [95.0] * 3, [110.0] * 3, [0.004, 0.01, 0.01])
    )
    found = barrier_survivals(close, lower, upper, sigma, CONFIG)
    for i in range(2):
        expected = barrier_survival(float(close[i]), 95.0, 110.0, float(sigma[i]), CONFIG.evidence)
        assert found[i] == pytest.approx(expected, abs=1e-6)
    assert found[2] == 0


def test_exit_triggers_are_scored_on_what_came_after():
    """A drift that ends in a break is warned of; a calm market gives few alerts, all in vain."""
    drift = np.concatenate((np.full(100, 100.0), np.linspace(100, 118, 60), np.full(400, 118.0)))
    warned = exit_skills(hand_made(drift), CONFIG)["evidence"]
    assert warned.ttdr.value == 1
    assert warned.fer.value < 0.5
    assert warned.lead_median_h.value > 2
    earlier = exit_skills(hand_made(drift), CONFIG)["warning"]
    assert earlier.lead_median_h.value >= warned.lead_median_h.value
    assert earlier.lead_12h.value == np.mean([True] * earlier.lead_12h.n) == 1
    calm = exit_skills(hand_made([100.0] * 600), CONFIG)["two_closes_out"]
    assert calm.ttdr.value is None
    assert calm.fer.value is None


def test_two_plain_signs_warn_without_the_probability():
    """A slow drift of the efficiency ratio and of T beside it: `two_signs`, one of them alone does not."""
    hours = replace(hand_made([100.0] * 600), trendiness=np.full(600, 0.1))
    efficiency = np.where(np.arange(600) < 300, 0.2, 0.36 + np.arange(600) / 10_000)
    metrics = hours.metrics.copy()
    metrics[METRICS.index("efficiency_ratio")] = efficiency
    one = exit_skills(replace(hours, metrics=metrics), CONFIG)["two_signs"]
    assert one.fer.n == 0
    both = replace(hours, metrics=metrics, trendiness=np.where(np.arange(600) < 300, 0.1, 0.9))
    found = exit_skills(both, CONFIG)
    assert found["two_signs"].fer.value == 1.0
    assert found["two_signs"].fer.n == found["warning"].fer.n > 0


def test_nothing_that_is_fitted_has_seen_what_it_judges():
    """Walk-forward: the answers up to any hour are the same when the future is taken away."""
    random = np.random.default_rng(6)
    n = 6000
    features = random.standard_normal((n, 2))
    held = (random.random(n) < 1 / (1 + np.exp(-features[:, 0]))).astype(float)
    ts = HOUR_S * np.arange(n, dtype=np.int64)
    whole = walk_forward_logistic(features, held, ts)
    cut = walk_forward_logistic(features[:5000], held[:5000], ts[:5000])
    assert np.array_equal(whole[:5000], cut, equal_nan=True)
    assert Ranked(np.nan_to_num(whole[3000:]), held[3000:]).auc(np.ones(n - 3000)) > 0.65
    assert fit_logistic(np.c_[np.ones(n), features], held)[1:].tolist() == pytest.approx([1, 0], abs=0.15)


def test_the_hidden_markov_rival_is_filtered_and_tells_calm_from_wild():
    """Only past returns; its states are ordered by deviation, whatever the fit calls them."""
    random = np.random.default_rng(8)
    sigma = np.where((np.arange(6000) // 500) % 2 == 0, 0.002, 0.01)
    hours = hand_made(100 * np.exp(np.cumsum(sigma * random.standard_normal(6000))), lower=1, upper=1e9)
    calm = filtered_hmm(hours)
    assert np.isnan(calm[:4000]).all()
    assert calm[4100:4490].mean() > 0.8
    assert calm[4600:4990].mean() < 0.3
    shorter = hours.where(slice(0, 5000))
    assert np.array_equal(filtered_hmm(shorter), calm[:5000], equal_nan=True)


def test_the_document_holds_every_figure_of_the_chapter(judged):
    """Both models, the rivals, exits, bins and bands; the same twice; ready for JSON."""
    values = grid_values(judged, WALK, 100, 10.0)
    found = calibrate("ETH-USDT", judged, CONFIG, values).document
    rivals = "adx bandwidth hmm barrier_untrained logistic_geometry always random"
    assert set(found["models"]) == {"evidence", "classic", *rivals.split()}
    evidence = found["models"]["evidence"]
    assert all(evidence[name] is not None for name in ("auc_hold24", "auc_within_geometry", "brier", "duty"))
    assert evidence["flips_per_week"] > 0
    assert evidence["dwell_median_h"] > 0
    assert {"RANGE_OK", "RANGE_WEAK", "TRANSITION", "TREND", "other_than_ok"} <= set(evidence["hold_rate"])
    assert sum(row["n"] for row in evidence["bins"]) == evidence["n"]
    assert found["models"]["always"]["duty"]["value"] == 1
    assert json.loads(json.dumps(found)) == calibrate("ETH-USDT", judged, CONFIG, values).document


def test_a_thin_band_is_pooled_with_its_neighbour():
    """With n < 300 in all, the edge is null: not yet measurable."""
    weeks = Weeks(HOUR_S * np.arange(1000, dtype=np.int64))
    values = GridValues(np.full(1000, -5.0), np.full(1000, -6.0), 10.0, bars_only=True)
    p = np.r_[np.full(100, 0.3), np.full(900, 0.9)]
    bands = ((0.0, 0.6), (0.6, 0.8), (0.8, 1.0))
    (only,) = values.by_band(p, bands, 300, weeks)
    assert (only["p_low"], only["p_high"], only["n"], only["net_bps_24h"]) == (0.0, 1.0, 1000, -5.0)
    few = GridValues(np.full(100, -5.0), np.full(100, -6.0), 10.0, bars_only=True)
    (null,) = few.by_band(p[:100], bands, 300, Weeks(HOUR_S * np.arange(100, dtype=np.int64)))
    assert null["net_bps_24h"] is None
    assert {field.name for field in fields(GridValues)} == {"real", "mirrored", "maker_bps", "bars_only"}


@pytest.mark.check
@pytest.mark.timeout(300)
@pytest.mark.parametrize("key", ["ETH-USDT", "ADA-USDT"])
def test_the_defaults_are_worth_believing_on_recorded_candles(recorded_data, key):
    """The goals of the issue, by the command that a reader would run."""
    done = regimed("calibrate", key, "--data", str(recorded_data), "--format", "json", timeout=280)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    evidence = found["models"]["evidence"]
    assert evidence["auc_hold24"]["value"] >= 0.68
    assert evidence["brier_skill"]["value"] >= 0.08
    ok, other = evidence["hold_rate"]["RANGE_OK"]["value"], evidence["hold_rate"]["other_than_ok"]["value"]
    assert ok >= 0.78
    assert ok - other >= 0.18
    assert evidence["flips_per_week"] <= 12
    assert evidence["dwell_median_h"] >= 10
    assert found["valid_share"] >= 0.60
    assert evidence["duty"]["value"] >= 0.15
    for row in evidence["bins"]:
        assert row["n"] < 300 or row["high"] >= row["stated"], row
