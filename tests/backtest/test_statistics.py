"""Splits, deflated Sharpe and overfitting, held against closed forms, scipy and simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from backtest.statistics import (
    Split,
    chosen_forward,
    deflated_sharpe,
    expected_best_sharpe,
    overfitting_probability,
    probabilistic_sharpe,
    sharpe_ratios,
    walk_forward,
)
from market.errors import DataInvalid, MetricUndefined


def noise(seed: int, trials: int, periods: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.01, (trials, periods))


def test_a_walk_forward_by_hand():
    """Train on four, leave one out, judge on two; the last test is shorter."""
    assert list(walk_forward(10, 4, 2, 1)) == [
        Split((0, 4), (5, 7)),
        Split((2, 6), (7, 9)),
        Split((4, 8), (9, 10)),
    ]


@given(st.integers(2, 60), st.integers(1, 20), st.integers(1, 10), st.integers(0, 5))
def test_no_split_knows_its_test_and_each_period_is_judged_once(count, train, test, purge):
    """What is trained on ends `purge` periods before the test, and tests lie end to end up to the last."""
    if train + purge >= count:
        with pytest.raises(DataInvalid, match="leave none"):
            list(walk_forward(count, train, test, purge))
        return
    splits = list(walk_forward(count, train, test, purge))
    judged = [period for split in splits for period in range(*split.test)]
    assert judged == list(range(train + purge, count))
    for split in splits:
        assert split.train[1] - split.train[0] == train
        assert split.train[0] >= 0 and split.test[0] - split.train[1] == purge


@pytest.mark.parametrize(
    ("name", "lengths"), [("train", (0, 1, 0)), ("test", (1, 0, 0)), ("purge", (1, 1, -1))]
)
def test_a_length_that_makes_no_sense_is_named(name, lengths):
    """The error says which one."""
    with pytest.raises(
        DataInvalid, match=f"walk forward: {name}: {lengths[('train', 'test', 'purge').index(name)]}"
    ):
        list(walk_forward(9, *lengths))


def test_the_choice_of_a_split_is_not_moved_by_what_comes_after_it():
    """Changing every later return changes no choice: there is no look-ahead in the walk."""
    returns = noise(1, 40, 30)
    before = chosen_forward(returns, walk_forward(30, 10, 5, 2))
    for step in before:
        later = returns.copy()
        later[:, step.split.train[1] :] = noise(2, 40, 30 - step.split.train[1])
        again = chosen_forward(later, iter([step.split]))[0]
        assert (again.chosen, again.trained) == (step.chosen, step.trained)
        assert step.tested == pytest.approx(returns[step.chosen, slice(*step.split.test)].mean())


def test_the_best_of_noise_shines_only_where_it_was_chosen():
    """In-sample the chosen trial earns much, afterwards nothing: the walk shows it."""
    steps = chosen_forward(noise(3, 500, 400), walk_forward(400, 40, 20))
    trained = np.mean([step.trained for step in steps])
    tested = np.mean([step.tested for step in steps])
    assert trained > 0.003 and abs(tested) < 0.001


def test_sharpe_ratios_by_numpy_and_not_at_all_where_nothing_moves():
    """Mean over sample deviation; a flat or a single return has none."""
    returns = np.array([[0.01, 0.02, 0.06], [0.02, 0.02, 0.02], [0.0, 0.0, 0.0]])
    found = sharpe_ratios(returns)
    assert found[0] == pytest.approx(0.03 / returns[0].std(ddof=1))
    assert np.isnan(found[1:]).all()
    assert np.isnan(sharpe_ratios(returns[:, :1])).all()


@pytest.mark.parametrize("trials", [10, 100, 10_000])
def test_the_best_of_many_without_skill_is_as_good_as_the_formula_says(trials):
    """Against the exact expectation of the largest of n normal values, integrated numerically."""

    def integrand(x):
        return x * trials * stats.norm.pdf(x) * stats.norm.cdf(x) ** (trials - 1)

    exact, _ = integrate.quad(integrand, -10, 12, limit=200)
    assert expected_best_sharpe(trials, 0.04) == pytest.approx(0.2 * exact, rel=0.03)
    assert expected_best_sharpe(1, 0.04) == 0.0


def test_the_probability_of_a_sharpe_ratio_by_scipy():
    """The closed form, with scipy's skew, kurtosis and normal distribution."""
    returns = np.random.default_rng(4).gamma(2.0, 0.01, 200) - 0.017
    ratio = returns.mean() / returns.std(ddof=1)
    skew, kurtosis = stats.skew(returns), stats.kurtosis(returns, fisher=False)
    error = math.sqrt((1 - skew * ratio + (kurtosis - 1) / 4 * ratio**2) / 199)
    assert probabilistic_sharpe(returns, 0.05) == pytest.approx(stats.norm.cdf((ratio - 0.05) / error))


def test_a_probability_means_what_it_says():
    """Of 3,000 series without skill about 5 % are told to be better than nothing with 95 %."""
    told = [probabilistic_sharpe(row, 0.0) for row in noise(5, 3_000, 100)]
    assert np.mean(np.array(told) > 0.95) == pytest.approx(0.05, abs=0.015)


def test_the_luckiest_of_many_is_unmasked_and_real_skill_is_not():
    """Undeflated, the best of 500 without skill looks certain; deflated, not. A tenfold ratio stays."""
    returns = noise(6, 500, 250)
    best = int(np.argmax(sharpe_ratios(returns)))
    assert probabilistic_sharpe(returns[best], 0.0) > 0.99
    assert deflated_sharpe(returns, best).probability < 0.8
    returns[7] += 0.005
    skilled = deflated_sharpe(returns, 7)
    assert skilled.probability > 0.99
    assert skilled.trials == 500


def test_deflating_seldom_believes_in_luck():
    """Over 200 sweeps of 50 trials without skill the best is believed with 95 % in few."""
    believed = 0
    for seed in range(200):
        returns = noise(1_000 + seed, 50, 120)
        best = int(np.argmax(sharpe_ratios(returns)))
        believed += deflated_sharpe(returns, best).probability > 0.95
    assert believed <= 10


def test_trials_that_are_copies_count_as_one():
    """Equal trials are no new attempts: the independent number tells it, the strict figure stays."""
    one = noise(7, 1, 100) + 0.002
    copies = np.repeat(one, 30, axis=0)
    found = deflated_sharpe(copies, 0)
    assert found.trials == 30
    assert found.independent == pytest.approx(1.0)
    assert found.probability_independent == pytest.approx(probabilistic_sharpe(one[0], 0.0))
    apart = deflated_sharpe(noise(8, 30, 4_000), 0)
    assert apart.independent == pytest.approx(30, rel=0.05)


def test_what_cannot_be_told_is_not_told():
    """Two returns, or returns that never vary, have no deflated ratio; a flat trial is not counted."""
    with pytest.raises(MetricUndefined, match="three"):
        probabilistic_sharpe(np.array([0.1, 0.2]), 0.0)
    with pytest.raises(MetricUndefined, match="never vary"):
        probabilistic_sharpe(np.full(10, 0.01), 0.0)
    returns = noise(9, 5, 50)
    returns[3] = 0.0
    assert deflated_sharpe(returns, 0).trials == 4
    assert deflated_sharpe(returns[:1], 0).expected_best == 0.0


def test_overfitting_of_noise_is_a_coin_and_of_skill_is_nothing():
    """Luck does not last: about half. A trial that is better everywhere is never below the median."""
    told = [overfitting_probability(noise(seed, 60, 96)) for seed in range(40)]
    assert np.mean(told) == pytest.approx(0.5, abs=0.08)
    returns = noise(10, 60, 96)
    returns[5] += 0.02
    assert overfitting_probability(returns) == 0.0


def test_overfitting_by_hand():
    """What wins in one half loses in the other: always overfitted; equal trials are neither."""
    assert overfitting_probability(np.array([[1.0, -1.0], [-1.0, 1.0]]), blocks=2) == 1.0
    assert overfitting_probability(np.ones((4, 8)), blocks=4) == 0.5


@pytest.mark.parametrize(
    ("shape", "blocks", "named"),
    [((5, 8), 3, "blocks"), ((5, 8), 18, "blocks"), ((1, 8), 2, "returns"), ((5, 3), 4, "returns")],
)
def test_overfitting_asks_for_enough(shape, blocks, named):
    """The error names what is missing."""
    with pytest.raises(DataInvalid, match=named):
        overfitting_probability(np.zeros(shape), blocks)
