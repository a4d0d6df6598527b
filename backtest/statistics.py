"""Is the best of many trials good, or only lucky? Splits in time, deflated Sharpe, odds of overfitting.

Pure: arrays in, numbers out. A matrix of returns has one row a trial and one column a period, oldest first.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from statistics import NormalDist

import numpy as np

from market.candles import Floats
from market.errors import DataInvalid, MetricUndefined

EULER_GAMMA = 0.5772156649015329
MOST_BLOCKS = 16  # 12,870 ways to choose half of them
_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Split:
    """One step of a walk forward: periods to choose on and later periods to be judged on, both half-open."""

    train: tuple[int, int]
    test: tuple[int, int]


def walk_forward(count: int, train: int, test: int, purge: int = 0) -> Iterator[Split]:
    """Yield splits that move forward by `test` periods; the last test may be shorter.

    Args:
        count: Periods in all.
        train, test: Periods that each split chooses on and is judged on.
        purge: Periods left out between the two: what reaches from one period into the next (a position that
            stays open, an indicator's window) must not be on both sides.

    Raises:
        DataInvalid: A length is too small, or not even one split fits.
    """
    for name, length, least in (("train", train, 1), ("test", test, 1), ("purge", purge, 0)):
        if length < least:
            raise DataInvalid("walk forward", name, f"{length}, expected {least} or more")
    first = train + purge
    if first >= count:
        raise DataInvalid(
            "walk forward", "train", f"{train} and {purge} purged leave none of {count} periods"
        )
    for start in range(first, count, test):
        yield Split((start - purge - train, start - purge), (start, min(start + test, count)))


@dataclass(frozen=True, slots=True)
class Step:
    """What a split chose and what that earned afterwards; returns are means a period."""

    split: Split
    chosen: int
    trained: float
    tested: float
    median_tested: float


def chosen_forward(returns: Floats, splits: Iterator[Split]) -> list[Step]:
    """Return for each split the trial with the best mean before it, and its mean in the test.

    Args:
        returns: Shape (trials, periods).
        splits: As `walk_forward` gives them. Of equally good trials the first is taken.
    """
    steps = []
    for split in splits:
        trained = returns[:, slice(*split.train)].mean(axis=1)
        tested = returns[:, slice(*split.test)].mean(axis=1)
        best = int(np.argmax(trained))
        steps.append(Step(split, best, float(trained[best]), float(tested[best]), float(np.median(tested))))
    return steps


def sharpe_ratios(returns: Floats) -> Floats:
    """Return mean over standard deviation of each row, a period, not annualised; NaN where it never varies.

    Args:
        returns: Shape (trials, periods).
    """
    if returns.shape[1] < 2:
        return np.full(returns.shape[0], np.nan)
    deviations = returns.std(axis=1, ddof=1)
    moves = deviations > 1e-12 * np.abs(returns).max(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(moves, returns.mean(axis=1) / deviations, np.nan)


def expected_best_sharpe(trials: float, variance: float) -> float:
    """Return the Sharpe ratio that the best of `trials` without any skill shows on average.

    Args:
        trials: Independent trials, 1 or more.
        variance: Of the Sharpe ratios over the trials.

    Source:
        D. H. Bailey, M. Lopez de Prado, The Deflated Sharpe Ratio, 2014, equation 1.
    """
    if trials <= 1:
        return 0.0
    largest = (1 - EULER_GAMMA) * _NORMAL.inv_cdf(1 - 1 / trials)
    largest += EULER_GAMMA * _NORMAL.inv_cdf(1 - 1 / (trials * math.e))
    return math.sqrt(variance) * largest


def probabilistic_sharpe(returns: Floats, benchmark: float) -> float:
    """Return the probability that the true Sharpe ratio is above `benchmark`; skew and fat tails count.

    Args:
        returns: Of one trial, shape (periods,).
        benchmark: A Sharpe ratio a period.

    Raises:
        MetricUndefined: Fewer than three returns, they never vary, or a tail is so fat that the ratio's own
            variance is not positive.

    Source:
        D. H. Bailey, M. Lopez de Prado, The Sharpe Ratio Efficient Frontier, 2012, equation 11.
    """
    if returns.shape[0] < 3:
        raise MetricUndefined("probabilistic_sharpe", "needs three returns")
    ratio = float(sharpe_ratios(returns[None, :])[0])
    if math.isnan(ratio):
        raise MetricUndefined("probabilistic_sharpe", "the returns never vary")
    apart = returns - returns.mean()
    spread = math.sqrt(float((apart**2).mean()))
    skew = float((apart**3).mean()) / spread**3
    kurtosis = float((apart**4).mean()) / spread**4
    variance = 1 - skew * ratio + (kurtosis - 1) / 4 * ratio**2
    if variance <= 0:
        raise MetricUndefined("probabilistic_sharpe", f"the ratio's variance is {variance:.3g}")
    return _NORMAL.cdf((ratio - benchmark) * math.sqrt(returns.shape[0] - 1) / math.sqrt(variance))


@dataclass(frozen=True, slots=True)
class Deflated:
    """A Sharpe ratio beside what luck alone would have shown.

    Attributes:
        sharpe: Of the chosen trial, a period.
        trials: How many were looked at, those that never varied left out.
        expected_best: Of as many trials without skill.
        probability: That the chosen trial's true ratio is above `expected_best`: the deflated Sharpe ratio.
        independent: How many independent trials the correlated ones are worth, by their mean correlation.
        probability_independent: The same probability for so many trials; the milder of the two.
    """

    sharpe: float
    trials: int
    expected_best: float
    probability: float
    independent: float
    probability_independent: float


def deflated_sharpe(returns: Floats, chosen: int) -> Deflated:
    """Return the deflated Sharpe ratio of one of many trials; every trial counts, not only the good ones.

    Args:
        returns: Of all trials, shape (trials, periods).
        chosen: Row of the one that is looked at.

    Raises:
        MetricUndefined: As `probabilistic_sharpe`.

    Source:
        D. H. Bailey, M. Lopez de Prado, The Deflated Sharpe Ratio, 2014; the number of independent trials
        from the mean correlation as in its appendix 3.
    """
    ratios = sharpe_ratios(returns)
    known = np.isfinite(ratios)
    trials = int(known.sum())
    variance = float(ratios[known].var(ddof=1)) if trials > 1 else 0.0
    correlation = _mean_correlation(returns[known]) if trials > 1 else 0.0
    independent = correlation + (1 - correlation) * trials
    bounds = [expected_best_sharpe(count, variance) for count in (trials, independent)]
    own = returns[chosen]
    return Deflated(
        float(ratios[chosen]),
        trials,
        bounds[0],
        probabilistic_sharpe(own, bounds[0]),
        independent,
        probabilistic_sharpe(own, bounds[1]),
    )


def _mean_correlation(returns: Floats) -> float:
    """Return the mean over all pairs, at least 0: the variance of the sum of standardised rows tells it."""
    apart = returns - returns.mean(axis=1, keepdims=True)
    standard = apart / np.sqrt((apart**2).sum(axis=1, keepdims=True))
    count = returns.shape[0]
    total = float((standard.sum(axis=0) ** 2).sum())
    mean: float = (total - count) / (count * (count - 1))
    return max(0.0, mean)


def overfitting_probability(returns: Floats, blocks: int = 8) -> float:
    """Return how often the best trial of one half of the time is below the median in the other half.

    All ways to choose half of the blocks count; 0.5 is what choosing by luck gives.

    Args:
        returns: Shape (trials, periods); the first periods are left out where they fill no block.
        blocks: Even.

    Raises:
        DataInvalid: `blocks` is odd or not within 2 to 16, or there are fewer periods or trials than needed.

    Source:
        D. H. Bailey, J. Borwein, M. Lopez de Prado, Q. J. Zhu, The Probability of Backtest Overfitting,
        2015: combinatorially symmetric cross-validation, by mean return.
    """
    trials, periods = returns.shape
    if blocks % 2 or not 2 <= blocks <= MOST_BLOCKS:
        raise DataInvalid("overfitting", "blocks", f"{blocks}, expected an even number, 2 to {MOST_BLOCKS}")
    if trials < 2 or periods < blocks:
        found = f"{trials} trials over {periods} periods"
        raise DataInvalid("overfitting", "returns", f"{found}, expected 2 or more over {blocks} or more")
    length = periods // blocks
    sums = returns[:, periods - length * blocks :].reshape(trials, blocks, length).sum(axis=2)
    whole = sums.sum(axis=1)
    below = 0.0
    choices = list(combinations(range(blocks), blocks // 2))
    for choice in choices:
        inside = sums[:, choice].sum(axis=1)
        outside = whole - inside
        own = outside[int(np.argmax(inside))]
        # ties share their places, so that equal trials are neither above nor below each other
        rank = float((outside < own).sum() + 0.5 * ((outside == own).sum() + 1))
        below += 1.0 if 2 * rank < trials + 1 else 0.5 if 2 * rank == trials + 1 else 0.0
    return below / len(choices)
