"""The two scores: T, how trendy the market looks, and p, the probability that its range holds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from market.candles import Floats
from regime.config import METRICS, ClassicConfig, EvidenceConfig, MetricsConfig
from regime.precision import NEAR_TIE, WORTH_A_PASS, score


def metric_score(metric: str, value: float, config: MetricsConfig) -> float:
    """Return how trendy one metric is.

    Args:
        metric: Its name, one of `METRICS`.
        value: As recorded; infinity stands for a half-life without mean reversion.
        config: Anchors.

    Returns:
        In [0, 1], rounded to 1e-6: 0 at the range end or beyond, 1 at the trend end or beyond.
    """
    anchors = config.anchors(metric)
    low, high = anchors.range_end, anchors.trend_end
    if metric == "slope":
        value = abs(value)
    if metric == "half_life":
        value, low, high = math.log2(value), math.log2(low), math.log2(high)
    return score(min(max((value - low) / (high - low), 0.0), 1.0))


def metric_scores(values: Mapping[str, float], config: MetricsConfig) -> dict[str, float]:
    """Return the score of every metric whose value is not NaN."""
    return {
        name: metric_score(name, value, config) for name, value in values.items() if not math.isnan(value)
    }


def weight_available(scores: Mapping[str, float], config: MetricsConfig) -> int:
    """Return the weight of the metrics that have a score, twentieths."""
    return sum(config.anchors(name).weight for name in METRICS if name in scores)


def trendiness(scores: Mapping[str, float], config: MetricsConfig) -> float | None:
    """Return T, the weighted mean of the scores; the weights of missing metrics fall to the others.

    Returns:
        In [0, 1], rounded to 1e-6; None with fewer metrics than `minimum_available`. The sum runs in whole
        millionths and twentieths, so no order of addition can change it.
    """
    weight = weight_available(scores, config)
    if len(scores) < config.minimum_available or not weight:
        return None
    total = sum(config.anchors(name).weight * round(value * 1_000_000) for name, value in scores.items())
    return (2 * total + weight) // (2 * weight) / 1_000_000


def trendiness_column(values: Floats, config: MetricsConfig) -> Floats:
    """Return T at every row, the bits of `trendiness`.

    Args:
        values: The six metrics as recorded, in the order of `METRICS`, shape (6, n); NaN where undefined.
        config: Anchors and weights.

    Returns:
        Shape (n,); NaN with too few metrics.
    """
    rows = values.shape[1]
    if rows < WORTH_A_PASS:
        return np.array([_trendiness_of(row, config) for row in values.T.tolist()], dtype=np.float64)
    total, weight, unsure = np.zeros(rows, np.int64), np.zeros(rows, np.int64), np.zeros(rows, np.bool_)
    for metric, column in zip(METRICS, values, strict=True):
        anchors, there = config.anchors(metric), ~np.isnan(column)
        low, high, told = anchors.range_end, anchors.trend_end, np.where(there, column, 0.0)
        if metric == "slope":
            told = np.abs(told)
        if metric == "half_life":
            low, high, told = math.log2(low), math.log2(high), np.log2(np.where(there, told, 1.0))
        scaled = np.clip((told - low) / (high - low), 0.0, 1.0) * 1e6
        digits = np.rint(scaled)
        unsure |= there & (np.abs(np.abs(scaled - digits) - 0.5) <= NEAR_TIE)
        total += np.where(there, anchors.weight * digits.astype(np.int64), 0)
        weight += np.where(there, anchors.weight, 0)
    enough = (np.count_nonzero(~np.isnan(values), axis=0) >= config.minimum_available) & (weight > 0)
    divisor = np.maximum(weight, 1)
    found = np.where(enough, (2 * total + divisor) // (2 * divisor) / 1_000_000, np.nan)
    for row in np.flatnonzero(unsure).tolist():
        found[row] = _trendiness_of(values[:, row].tolist(), config)
    return found


def _trendiness_of(values: Sequence[float], config: MetricsConfig) -> float:
    told = trendiness(metric_scores(dict(zip(METRICS, values, strict=True)), config), config)
    return math.nan if told is None else told


def p_transition(trendiness: float, config: ClassicConfig) -> float:
    """Return how far T has gone from the edge of RANGE_OK to that of TREND, in [0, 1], rounded to 1e-6."""
    return score(min(max((trendiness - config.range_ok) / (config.trend - config.range_ok), 0.0), 1.0))


def barrier_survival(price: float, lower: float, upper: float, sigma: float, config: EvidenceConfig) -> float:
    """Return p0, the probability that a driftless walk stays between two barriers over the horizon.

    Args:
        price: Where the walk starts, quote, between the barriers.
        lower: Lower barrier, quote, above 0.
        upper: Upper barrier, quote.
        sigma: Standard deviation of one bar's log return.
        config: Horizon and number of terms.

    Returns:
        In [0, 1], rounded to 1e-6. Both barriers are moved out by `discrete_shift` sigma, because only
        closes count. Says nothing about drift or fat tails.

    Source:
        Series: W. Feller, An Introduction to Probability Theory II, X.5; shift: M. Broadie, P. Glasserman,
        S. Kou, Mathematical Finance 7, 1997.
    """
    shift = config.discrete_shift * sigma
    below = math.log(price / lower) + shift
    width = below + math.log(upper / price) + shift
    if width <= 0:
        return 0.0
    total = 0.0
    for k in range(1, config.barrier_terms_below, 2):
        rate = k * math.pi * sigma / width
        fade = math.exp(-rate * rate * config.horizon_bars / 2)
        total += 4 / (k * math.pi) * math.sin(k * math.pi * below / width) * fade
    return score(min(max(total, 0.0), 1.0))


def hold_probability(barrier_probability: float, config: EvidenceConfig) -> float:
    """Return p, the calibrated probability that the range holds, from p0; rounded to 1e-6."""
    clipped = min(max(barrier_probability, config.clip), 1 - config.clip)
    logit = config.intercept + config.coefficient * math.log(clipped / (1 - clipped))
    return score(1 / (1 + math.exp(-logit)))
