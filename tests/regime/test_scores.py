"""T by its anchors, p0 against a simulation, p by its logistic."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regime.config import METRICS, RegimeConfig
from regime.scores import (
    barrier_survival,
    hold_probability,
    metric_score,
    metric_scores,
    p_transition,
    trendiness,
    weight_available,
)

CONFIG = RegimeConfig()


@pytest.mark.parametrize(
    ("metric", "value", "expected"),
    [
        ("adx", 15, 0),
        ("adx", 25, 0.5),
        ("adx", 40, 1),
        ("efficiency_ratio", 0.1, 0),
        ("efficiency_ratio", 0.2, 0.333333),
        ("autocorrelation", -0.1, 0),
        ("autocorrelation", 0.05, 0.75),
        ("half_life", 6, 0),
        ("half_life", 12, 0.333333),
        ("half_life", 24, 0.666667),
        ("half_life", 3, 0),
        ("half_life", math.inf, 1),
        ("slope", 0.05, 0),
        ("slope", -0.15, 0.5),
        ("slope", 0.3, 1),
        ("expansion", 1.0, 0),
        ("expansion", 1.375, 0.5),
        ("expansion", 0.4, 0),
    ],
)
def test_a_metric_is_scored_linearly_between_its_anchors(metric: str, value: float, expected: float):
    """The anchors of chapter 4, the half-life in log2, the slope by its size."""
    assert metric_score(metric, value, CONFIG.metrics) == expected


def test_t_is_the_weighted_mean_in_twentieths():
    """4, 4, 2, 5, 3 and 2 twentieths, worked out by hand."""
    scores = dict(zip(METRICS, (1.0, 0.5, 0.25, 0.2, 0.1, 0.0), strict=True))
    assert trendiness(scores, CONFIG.metrics) == (4 + 2 + 0.5 + 1 + 0.3 + 0) / 20


def test_t_reaches_both_ends():
    """All calm is 0, all trending is 1, to the millionth."""
    assert trendiness(dict.fromkeys(METRICS, 1.0), CONFIG.metrics) == 1.0
    assert trendiness(dict.fromkeys(METRICS, 0.0), CONFIG.metrics) == 0.0


def test_missing_metrics_leave_their_weight_to_the_others():
    """Four of six suffice; with three there is no T."""
    values = {"adx": 25.0, "efficiency_ratio": 0.25, "autocorrelation": 0.0, "half_life": math.nan}
    values |= {"slope": 0.15, "expansion": math.nan}
    scores = metric_scores(values, CONFIG.metrics)
    assert weight_available(scores, CONFIG.metrics) == 13
    assert trendiness(scores, CONFIG.metrics) == 0.5
    del scores["slope"]
    assert trendiness(scores, CONFIG.metrics) is None


@given(st.permutations(METRICS), st.lists(st.integers(0, 10**6), min_size=6, max_size=6))
def test_no_order_of_addition_changes_t(order: list[str], millionths: list[int]):
    """Whole numbers only, so every route gives the same bits."""
    scores = dict(zip(METRICS, (m / 10**6 for m in millionths), strict=True))
    assert trendiness({name: scores[name] for name in order}, CONFIG.metrics) == trendiness(
        scores, CONFIG.metrics
    )


def test_p_transition_runs_from_calm_to_trend():
    """clip((T - .30) / .30, 0, 1)."""
    assert [p_transition(t, CONFIG.classic) for t in (0.2, 0.3, 0.45, 0.6, 0.9)] == [0, 0, 0.5, 1, 1]


@pytest.mark.parametrize(
    ("price", "lower", "upper", "sigma"),
    [(100, 96, 104, 0.006), (97, 96, 104, 0.006), (100, 92, 115, 0.02), (110, 100, 112, 0.008)],
)
def test_p0_is_the_survival_of_a_simulated_walk(price: float, lower: float, upper: float, sigma: float):
    """Hourly closes of a driftless walk between two barriers over 24 hours, 100,000 times."""
    steps = np.random.default_rng(1).normal(0, sigma, (100_000, 24))
    path = math.log(price) + np.cumsum(steps, axis=1)
    survived = ((path > math.log(lower)) & (path < math.log(upper))).all(axis=1).mean()
    assert barrier_survival(price, lower, upper, sigma, CONFIG.evidence) == pytest.approx(survived, abs=0.012)


@given(st.floats(0.01, 0.99), st.floats(0.001, 2), st.floats(0, 0.5), st.floats(1e-9, 1e9))
def test_p0_is_a_probability_symmetric_and_without_scale(at: float, width: float, sigma: float, price: float):
    """Mirrored in logs or quoted in other units, a walk survives as often."""
    below, above = at * width, (1 - at) * width
    found = barrier_survival(price, price * math.exp(-below), price * math.exp(above), sigma, CONFIG.evidence)
    mirrored = barrier_survival(1.0, math.exp(-above), math.exp(below), sigma, CONFIG.evidence)
    assert 0 <= found <= 1
    assert found == pytest.approx(mirrored, abs=2e-6)


@pytest.mark.parametrize(("lower", "upper", "sigma"), [(100, 100, 0.0), (105, 95, 0.001)])
def test_a_range_without_width_holds_nothing(lower: float, upper: float, sigma: float):
    """One price, or bounds the wrong way round: p0 is 0, not an error."""
    assert barrier_survival(100, lower, upper, sigma, CONFIG.evidence) == 0.0


def test_p0_falls_as_volatility_rises():
    """A wilder market leaves its range sooner."""
    found = [barrier_survival(100, 95, 105, s / 1000, CONFIG.evidence) for s in (2, 5, 10, 20, 50, 200)]
    assert found == sorted(found, reverse=True)
    assert found[0] > 0.97
    assert found[-1] < 0.01


@pytest.mark.parametrize("p0", [0.0, 0.01, 0.3, 0.5, 0.9, 0.99, 1.0])
def test_p_is_the_logistic_of_p0(p0: float):
    """logistic(.15 + .85 logit(clip(p0, .05, .95))), written as odds."""
    clipped = min(max(p0, 0.05), 0.95)
    odds = math.exp(0.15) * (clipped / (1 - clipped)) ** 0.85
    assert hold_probability(p0, CONFIG.evidence) == pytest.approx(odds / (1 + odds), abs=1e-6)
