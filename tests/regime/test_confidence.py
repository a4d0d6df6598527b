"""Confidence: every factor by hand, never above .95, never above what the numbers say."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.window import WindowQuality
from regime.analysis import Confidence, PriceRange, RegimeAnalysis, Verdict
from regime.confidence import (
    classic_confidence,
    data_quality_factor,
    evidence_confidence,
    margin,
    maturity_factor,
    position_factor,
    time_factor,
)
from regime.config import METRICS, RegimeConfig
from regime.engine import RegimeEngine
from tests.regime.windows import walk_bars, window_of

OK, WEAK, TRANSITION, TREND = Verdict
CONFIG = RegimeConfig()
RULES = CONFIG.confidence
GOOD = WindowQuality()
RANGE = PriceRange(100.0, 110.0, 105.0, 9.52, 8.0, 3, 3, 60, 0.9, 168, True)


def evidence(verdict: Verdict, p: float, available: int = 20, quality: WindowQuality = GOOD) -> Confidence:
    return evidence_confidence(verdict, p, available, quality, 0, RANGE, RULES)


@pytest.mark.parametrize(
    ("verdict", "p", "expected"),
    [(OK, 0.8, 0.8), (WEAK, 0.65, 0.65), (OK, 0.99, 0.95), (TRANSITION, 0.4, 0.6), (TREND, 0.02, 0.95)],
)
def test_evidence_says_p_for_ranges_and_1_minus_p_for_the_others(verdict: Verdict, p: float, expected: float):
    """Capped at .95."""
    assert evidence(verdict, p).value == expected


def test_missing_metrics_and_bad_data_lower_it():
    """By the weight that is there, and by a tenth once more than 1 % of the day was missing or repaired."""
    assert evidence(OK, 0.8, available=16).value == 0.64
    assert evidence(OK, 0.8, quality=WindowQuality(missing_24h=14)).value == 0.8
    assert evidence(OK, 0.8, quality=WindowQuality(missing_24h=10, repaired_24h=5)).value == 0.72


def test_data_costs_only_above_its_threshold():
    """Of the 1,440 minutes of a day: a sixteenth is 90."""
    rules = RULES.model_copy(update={"quality_threshold": 1 / 16})
    for minutes, factor in ((89, 1), (90, 1), (91, 0.9)):
        assert data_quality_factor(WindowQuality(missing_24h=minutes), rules) == factor


def test_time_and_maturity_are_recorded_but_count_only_where_configured():
    """They are applied only where calibration shows that they make the statement truer."""
    young = replace(RANGE, age_h=10)
    told = evidence_confidence(OK, 0.8, 20, GOOD, 18, young, RULES)
    assert told.value == 0.8
    assert told.factors["time_unapplied"] == 0.875
    assert told.factors["maturity_unapplied"] == 0.9
    strict = RULES.model_copy(update={"apply_time_penalty": True, "apply_maturity_penalty": True})
    told = evidence_confidence(OK, 0.8, 20, GOOD, 18, young, strict)
    assert told.value == pytest.approx(0.8 * 0.875 * 0.9)
    assert told.factors["time"] == 0.875


@pytest.mark.parametrize(
    ("t", "expected"),
    [
        (0, 1),
        (0.15, 1),
        (0.225, 0.5),
        (0.30, 0),
        (0.375, 1),
        (0.42, 0.4),
        (0.45, 0),
        (0.60, 0),
        (0.70, 0.5),
        (0.9, 1),
    ],
)
def test_margin_is_the_distance_to_the_nearest_boundary(t: float, expected: float):
    """Over the half-width of the class of T."""
    assert margin(t, CONFIG.classic) == pytest.approx(expected, abs=1e-6)


def test_the_single_factors():
    """Time, maturity and position at their corners and between."""
    assert [time_factor(h, RULES) for h in (0, 18, 36, 100)] == [0.75, 0.875, 1, 1]
    assert maturity_factor(RANGE, RULES) == 1
    assert maturity_factor(replace(RANGE, age_h=48, touches_lower=1, touches_upper=1), RULES) == 1
    assert maturity_factor(replace(RANGE, touches_lower=0), RULES) == 0.9
    assert maturity_factor(replace(RANGE, age_h=47), RULES) == 0.9
    assert maturity_factor(replace(RANGE, age_h=47, touches_upper=0), RULES) == 0.8
    found = [position_factor(price, RANGE, RULES) for price in (105, 102.5, 101.25, 110, 100, 110.01, 99)]
    assert found == [1, 1, 0.9, 0.8, 0.8, 0.6, 0.6]
    assert position_factor(100.25, replace(RANGE, upper=100.5), RULES) == 1
    assert position_factor(100, replace(RANGE, upper=100.0), RULES) == 0.6


def test_classic_confidence_by_hand():
    """C0 = .40 + .55 x (.40 margin + .35 agreement + .25 timeframe), times its penalties."""
    scores = dict(zip(METRICS, (0.1, 0.2, 0.6, 0.1, 0.0, 0.9), strict=True))  # 16 of 20 on the calm side
    found = classic_confidence(0.15, OK, WEAK, scores, 20, GOOD, 18, 101.25, RANGE, CONFIG)
    base = 0.40 + 0.55 * (0.40 * 1 + 0.35 * 0.8 + 0.25 * 0.5)
    assert found.factors["base"] == pytest.approx(base)
    assert found.value == pytest.approx(base * 0.875 * 0.9, abs=1e-6)
    assert found.factors["agreement"] == 0.8
    assert found.factors["timeframe"] == 0.5
    alone = classic_confidence(0.15, OK, None, scores, 20, GOOD, 18, 101.25, RANGE, CONFIG)
    assert alone.factors["timeframe"] == 0
    nearer = classic_confidence(0.225, OK, WEAK, scores, 20, GOOD, 36, 105, RANGE, CONFIG)
    assert nearer.value == pytest.approx(0.40 + 0.55 * (0.40 * 0.5 + 0.35 * 0.8 + 0.25 * 0.5), abs=1e-6)


@pytest.mark.parametrize(("t", "agreeing"), [(0.15, 0.8), (0.449999, 0.8), (0.45, 0.2), (0.9, 0.2)])
def test_agreement_is_the_weight_on_t_s_side_of_the_middle(t: float, agreeing: float):
    """.45 itself is on the trending side, for T and for a score."""
    scores = dict(zip(METRICS, (0.1, 0.45, 0.2, 0.1, 0.0, 0.449999), strict=True))  # 4 of 20 trending
    found = classic_confidence(t, OK, OK, scores, 20, GOOD, 0, 105, RANGE, CONFIG)
    assert found.factors["agreement"] == agreeing


def test_the_4h_class_agrees_wholly_half_or_not_at_all():
    """The same class 1, a neighbour .5, anything further 0."""
    for verdict in Verdict:
        for other in Verdict:
            found = classic_confidence(
                0.15, verdict, other, dict.fromkeys(METRICS, 0.1), 20, GOOD, 0, 105, RANGE, CONFIG
            )
            assert found.factors["timeframe"] == (1, 0.5, 0, 0)[abs(verdict.rank - other.rank)]


@given(
    st.sampled_from(Verdict),
    st.floats(0, 1),
    st.floats(0, 1),
    st.integers(0, 168),
    st.integers(8, 20),
    st.floats(90, 120),
    st.integers(0, 1440),
)
def test_confidence_never_leaves_its_bounds(
    verdict: Verdict, p: float, t: float, dwell: int, available: int, price: float, missing: int
):
    """Between 0 and .95, and never above p, whatever comes in."""
    quality = WindowQuality(missing_24h=missing)
    scores = dict.fromkeys(METRICS, t)
    told = evidence_confidence(verdict, p, available, quality, dwell, RANGE, RULES)
    assert 0 <= told.value <= min(0.95, (p if verdict.is_range else 1 - p) + 1e-6)
    told = classic_confidence(t, verdict, verdict, scores, available, quality, dwell, price, RANGE, CONFIG)
    assert 0 <= told.value <= 0.95


@pytest.fixture(scope="module")
def analysis() -> RegimeAnalysis:
    found = RegimeEngine(CONFIG).analyze(window_of(walk_bars(1200, 4)))
    assert isinstance(found, RegimeAnalysis)
    return replace(found, range=RANGE, price=104.0, verdict=OK, score_model="evidence")
