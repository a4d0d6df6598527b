"""An analysis as the exits of one grid see it, and the probability that the grid's own bounds hold."""

from __future__ import annotations

import math
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from decisions.calibration.exits import barrier_survivals
from exits.config import ExitsConfig
from exits.fold import advanced
from exits.memory import opened
from exits.readings import (
    NOTHING_KNOWN,
    ExitReadings,
    Profit,
    readings_of,
    readings_of_close,
    survival_within,
)
from market.hours import Hour
from regime.analysis import MetricReading, RegimeAnalysis, Verdict
from regime.config import RegimeConfig
from regime.engine import RegimeEngine
from regime.scores import barrier_survival, hold_probability
from tests.exits.grids import EVIDENCE, GRID, START
from tests.regime.windows import walk_bars, window_of

REGIME = RegimeConfig()
PROFIT = Profit(1000.0, 10.0, 5.0, 4.0)


@pytest.fixture(scope="module")
def analysis() -> RegimeAnalysis:
    found = RegimeEngine(REGIME).analyze(window_of(walk_bars(1200, 4)))
    assert isinstance(found, RegimeAnalysis)
    return replace(
        found,
        price=110.0,
        atr=3.0,
        hourly_sigma=0.01,
        verdict=Verdict.RANGE_OK,
        classic_verdict=Verdict.TRANSITION,
        verdict_4h=Verdict.RANGE_WEAK,
        p_transition=0.35,
        score_model="evidence",
        diagnostics=dict(found.diagnostics)
        | {
            "atr_ratio": 1.1,
            "z_score": -1.2,
            "efficiency_ratio_3_bars_ago": 0.21,
            "half_life_range_ok_7d": 14.0,
            "atr_range_ok_7d": 2.5,
        },
    )


def test_an_analysis_is_read_field_by_field(analysis: RegimeAnalysis):
    """Each fact from its own place; classic's verdict, whichever model is in force."""
    found = readings_of(analysis, GRID, EVIDENCE, REGIME, PROFIT)
    survival = barrier_survival(110.0, 99.0, 121.0, 0.01, REGIME.evidence)
    hold = hold_probability(survival, REGIME.evidence)
    assert found == ExitReadings(
        close=110.0,
        atr=3.0,
        classic_verdict=Verdict.TRANSITION,
        verdict_4h=Verdict.RANGE_WEAK,
        p_transition=0.35,
        half_life=analysis.metrics["half_life"].value,
        atr_ratio=1.1,
        efficiency_ratio=analysis.metrics["efficiency_ratio"].value,
        efficiency_before=0.21,
        z_score=-1.2,
        survival=survival,
        hold=hold,
        confidence=hold,
        classic_confidence=None,
        calm_half_life=14.0,
        calm_atr=2.5,
        profit=PROFIT,
    )
    assert found.judged
    assert found.half_life is not None
    assert 0 < survival < 1
    assert readings_of(analysis, GRID, EVIDENCE, REGIME).profit is None


def test_a_grid_without_an_atr_is_read_with_that_of_the_hour(analysis: RegimeAnalysis):
    """Which the fold then keeps."""
    found = readings_of(analysis, replace(GRID, atr=None), EVIDENCE, REGIME)
    assert found.survival == barrier_survival(110.0, 98.5, 121.5, 0.01, REGIME.evidence)
    assert advanced(replace(GRID, atr=None), START, found, EVIDENCE).fold.atr == 3.0


def test_c_is_known_only_where_classic_is_in_force(analysis: RegimeAnalysis):
    """The confidence of the evidence model is not taken for it."""
    told = replace(analysis, score_model="classic")
    found = readings_of(told, GRID, EVIDENCE, REGIME)
    assert found.classic_confidence == analysis.confidence.value


def test_the_confidence_is_capped_and_the_probability_is_not(analysis: RegimeAnalysis):
    """At .95, whatever is calibrated."""
    sure = REGIME.model_copy(
        update={
            "evidence": REGIME.evidence.model_copy(update={"intercept": 5.0}),
            "confidence": REGIME.confidence.model_copy(update={"maximum": 0.9}),
        }
    )
    found = readings_of(analysis, GRID, EVIDENCE, sure)
    assert found.hold is not None
    assert found.hold > 0.95
    assert found.confidence == 0.9


@pytest.mark.parametrize(
    ("reading", "expected"),
    [
        (MetricReading(12.5, None, 0.3, 5, 0.0, "STABLE"), 12.5),
        (MetricReading(None, "no mean reversion", 1.0, 5, None, None), math.inf),
        (MetricReading(None, "needs 169 closes", None, 0, None, None), None),
    ],
)
def test_no_mean_reversion_is_not_the_same_as_unknown(
    analysis: RegimeAnalysis, reading: MetricReading, expected: float | None
):
    """The one is infinite, the other is not known."""
    told = replace(analysis, metrics=dict(analysis.metrics) | {"half_life": reading})
    assert readings_of(told, GRID, EVIDENCE, REGIME).half_life == expected


def test_an_older_analysis_without_a_diagnostic_leaves_it_unknown(analysis: RegimeAnalysis):
    """Missing is None, never a default."""
    found = readings_of(replace(analysis, diagnostics={}), GRID, EVIDENCE, REGIME)
    for name in ("atr_ratio", "efficiency_before", "z_score", "calm_half_life", "calm_atr"):
        assert getattr(found, name) is None


def test_without_a_sigma_the_confidence_is_unknown(analysis: RegimeAnalysis):
    """Inside the bounds; beyond them it is the floor."""
    told = replace(analysis, hourly_sigma=None)
    found = readings_of(told, GRID, EVIDENCE, REGIME)
    assert (found.survival, found.hold, found.confidence) == (None, None, None)
    found = readings_of(replace(told, price=121.01), GRID, EVIDENCE, REGIME)
    assert (found.survival, found.hold, found.confidence) == (0.0, 0.05, 0.05)


def test_a_close_alone():
    """An hour that was not judged, with its bar."""
    found = readings_of_close(122.0, GRID, EVIDENCE, REGIME, PROFIT)
    assert found == replace(NOTHING_KNOWN, close=122.0, survival=0.0, hold=0.05, profit=PROFIT)
    assert not found.judged
    assert readings_of_close(110.0, GRID, EVIDENCE, REGIME) == replace(NOTHING_KNOWN, close=110.0)
    assert {getattr(NOTHING_KNOWN, field.name) for field in fields(ExitReadings)} == {None}


def test_the_barriers_stand_half_an_atr_of_the_start_beyond_the_bounds():
    """A close on one is within; today's ATR counts only for a grid that has none yet."""
    for close, within in ((121.0, True), (121.000001, False), (99.0, True), (98.999999, False)):
        survival, hold = survival_within(close, 50.0, 0.01, GRID, EVIDENCE, REGIME)
        assert (survival != 0.0) is within
        assert (hold != 0.05) is within
        assert (survival_within(close, None, None, GRID, EVIDENCE, REGIME) == (None, None)) is within
    fresh = replace(GRID, atr=None)
    assert survival_within(110.0, None, 0.01, fresh, EVIDENCE, REGIME) == (None, None)
    assert survival_within(110.0, 2.0, 0.01, fresh, EVIDENCE, REGIME) == survival_within(
        110.0, None, 0.01, GRID, EVIDENCE, REGIME
    )
    wide = ExitsConfig(barrier_margin=1.0)
    assert survival_within(121.5, None, 0.01, GRID, wide, REGIME)[0] == barrier_survival(
        121.5, 98.0, 122.0, 0.01, REGIME.evidence
    )


def test_a_margin_wider_than_the_price_still_gives_an_answer():
    """The lower barrier stays above 0."""
    grid = replace(GRID, lower=2.0, upper=300.0, atr=100.0)
    survival, _ = survival_within(5.0, None, 0.05, grid, EVIDENCE, REGIME)
    assert survival == barrier_survival(5.0, 2e-6, 350.0, 0.05, REGIME.evidence)
    assert survival_within(1e-6, None, 0.05, grid, EVIDENCE, REGIME) == (0.0, 0.05)
    for close, within in ((2e-6, True), (1.999e-6, False)):  # a millionth of the bound
        assert (survival_within(close, None, None, grid, EVIDENCE, REGIME) == (None, None)) is within


@given(st.floats(95, 125), st.floats(0.001, 0.05), st.floats(1.01, 3))
def test_more_volatility_never_makes_the_bounds_likelier_to_hold(close: float, sigma: float, times: float):
    """And both probabilities are probabilities."""
    calm = survival_within(close, None, sigma, GRID, EVIDENCE, REGIME)
    wild = survival_within(close, None, sigma * times, GRID, EVIDENCE, REGIME)
    for survival, hold in (calm, wild):
        assert survival is not None
        assert hold is not None
        assert 0 <= survival <= 1
        assert 0 <= hold <= 1
    assert calm[0] is not None
    assert wild[0] is not None
    assert wild[0] <= calm[0] + 1e-3  # the shift for hourly closes grows with sigma as well


def test_a_driftless_walk_stays_within_as_often_as_said():
    """The probability against 20,000 walks."""
    survival, _ = survival_within(112.0, None, 0.012, GRID, EVIDENCE, REGIME)
    steps = np.random.default_rng(5).normal(0, 0.012, (20_000, 24))
    paths = 112.0 * np.exp(np.cumsum(steps, axis=1))
    stayed = ((paths >= 99.0) & (paths <= 121.0)).all(axis=1).mean()
    assert survival == pytest.approx(stayed, abs=0.015)


def test_what_is_calibrated_is_what_the_exits_use():
    """The figures of `regimed calibrate` are about this very probability."""
    random = np.random.default_rng(7)
    close, sigma = random.uniform(97, 123, 500), random.uniform(0.002, 0.04, 500)
    columns = barrier_survivals(close, np.full(500, 99.0), np.full(500, 121.0), sigma, REGIME)
    for at in range(500):
        survival, _ = survival_within(float(close[at]), None, float(sigma[at]), GRID, EVIDENCE, REGIME)
        assert survival == pytest.approx(columns[at], abs=1e-6)


def test_property_77_hour_by_hour_from_the_engine():
    """A grid followed through real analyses: every hour is evaluated, and a second run gives the same."""
    bars = walk_bars(1200, 4)
    engine = RegimeEngine(REGIME)
    last = Hour.of_ts(int(bars.ts[-1]))

    def lived() -> list[dict[str, object]]:
        fold, told = None, []
        for back in range(40, -1, -1):
            hour = last.plus(-back)
            analysis = engine.analyze(window_of(bars, hour))
            assert isinstance(analysis, RegimeAnalysis)
            if fold is None:
                found = analysis.range
                fold = opened(hour.closes_at, found.lower, found.upper, found.lower * 0.97, analysis.atr)
                continue
            evaluation = advanced(fold, hour, readings_of(analysis, fold, EVIDENCE, REGIME, PROFIT), EVIDENCE)
            fold = evaluation.fold
            told.append(evaluation.as_value())
        return told

    first = lived()
    assert first == lived()
    assert len(first) == 40
    assert first[30]["fold"]["baseline_half_life"] is not None  # type: ignore[index]
    assert START.iso() <= str(first[0]["since"])
