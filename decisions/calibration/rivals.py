"""Plain rivals, judged on the same hours: what a rule must beat to be worth its complexity.

Each rival gives a score (higher means "the range holds"), says in which hours it would call the range good,
and, where it states one, a probability. What is fitted is fitted on hours that were over before.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from market.candles import Floats, Ints
from market.hours import HOUR_S
from regime.config import METRICS, RegimeConfig
from regime.history import JudgedHours

REFIT_S = 91 * 24 * HOUR_S
EMBARGO_S = 48 * HOUR_S
FIRST_FIT_HOURS = 1500
ADX_CALM = 20.0


@dataclass(frozen=True, slots=True, eq=False)
class Rival:
    """One classifier's answers, shape (n,) each.

    Attributes:
        score: Ranks the hours; NaN where it has none yet.
        ok: Hours in which it calls the range good.
        stated: Probability that the range holds; None where it states none.
        verdict: Four classes for the two models of the engine, else None.
    """

    name: str
    score: Floats
    ok: NDArray[np.bool_]
    stated: Floats | None = None
    verdict: NDArray[np.int8] | None = None


def own_models(hours: JudgedHours) -> list[Rival]:
    """Return the engine's two models."""
    p, t = hours.hold_probability, hours.trendiness
    return [
        Rival("evidence", p, hours.evidence == 0, np.minimum(p, 0.95), hours.evidence),
        Rival("classic", -t, hours.classic == 0, 1 - t, hours.classic),
    ]


def contenders(hours: JudgedHours, held: Floats, config: RegimeConfig) -> list[Rival]:
    """Return the engine's two models and their rivals over the same hours.

    Args:
        hours: Those that are scored: a valid range, the close inside.
        held: 1, 0, or NaN where the outcome is not known.
        config: Thresholds of the models.
    """
    adx = hours.metrics[METRICS.index("adx")]
    expansion = hours.metrics[METRICS.index("expansion")]
    barrier = hours.barrier_probability
    geometry = walk_forward_logistic(_geometry(hours), held, hours.ts)
    calm = filtered_hmm(hours)
    return [
        *own_models(hours),
        Rival("adx", -adx, adx < ADX_CALM),
        Rival("bandwidth", -expansion, expansion < 1.0),
        Rival("hmm", calm, calm >= 0.5),
        Rival("barrier_untrained", barrier, barrier >= config.evidence.range_ok, barrier),
        Rival("logistic_geometry", geometry, geometry >= config.evidence.range_ok, geometry),
        Rival(
            "always", np.zeros(len(hours)), np.ones(len(hours), dtype=np.bool_), _base_rate(held, hours.ts)
        ),
        _random(hours, float(np.mean(hours.evidence == 0))),
    ]


def _random(hours: JudgedHours, duty: float) -> Rival:
    """Return a rule that knows nothing and is on as often as evidence."""
    drawn = np.random.default_rng(7).random(len(hours))
    return Rival("random", drawn, drawn < duty)


def _geometry(hours: JudgedHours) -> Floats:
    """Return distances to the bounds and the width, in daily deviations, shape (n, 3)."""
    day = hours.sigma * np.sqrt(24)
    up, down = np.log(hours.upper / hours.close) / day, np.log(hours.close / hours.lower) / day
    return np.stack((np.minimum(up, down), np.maximum(up, down), np.log(up + down)), axis=1)


def _base_rate(held: Floats, ts: Ints) -> Floats:
    """Return how often ranges held in hours that were over before each quarter."""
    stated = np.full(held.shape[0], np.nan)
    for start, end, known in _quarters(ts, held):
        stated[start:end] = held[known].mean()
    return stated


def _quarters(ts: Ints, held: Floats) -> list[tuple[int, int, NDArray[np.bool_]]]:
    """Return (first row, end row, rows known) a quarter, purged by more than the outcome's 24 hours."""
    spans = []
    for begin in range(int(ts[0]), int(ts[-1]) + 1, REFIT_S) if ts.size else ():
        start, end = np.searchsorted(ts, (begin, begin + REFIT_S))
        known = (ts < begin - EMBARGO_S) & np.isfinite(held)
        if known.sum() >= FIRST_FIT_HOURS and end > start:
            spans.append((int(start), int(end), known))
    return spans


def walk_forward_logistic(features: Floats, held: Floats, ts: Ints) -> Floats:
    """Return the probability of a logistic refitted each quarter on what was over before; NaN until then.

    Args:
        features: Shape (n, k).
        held: 1, 0, or NaN.
        ts: Rising epoch seconds.
    """
    stated = np.full(held.shape[0], np.nan)
    for start, end, known in _quarters(ts, held):
        centre, spread = features[known].mean(axis=0), features[known].std(axis=0) + 1e-12
        scaled = np.c_[np.ones(features.shape[0]), (features - centre) / spread]
        weights = fit_logistic(scaled[known], held[known])
        stated[start:end] = 1 / (1 + np.exp(-(scaled[start:end] @ weights)))
    return stated


def fit_logistic(x: Floats, y: Floats, ridge: float = 1.0, steps: int = 25) -> Floats:
    """Return the coefficients of a logistic regression by Newton's method, lightly ridged.

    Args:
        x: Shape (n, k), with its column of ones.
        y: 1 or 0.
    """
    weights = np.zeros(x.shape[1])
    penalty = ridge * np.eye(x.shape[1])
    penalty[0, 0] = 0.0
    for _ in range(steps):
        p = 1 / (1 + np.exp(-(x @ weights)))
        step = np.linalg.solve(
            (x * (p * (1 - p))[:, None]).T @ x + penalty, x.T @ (y - p) - penalty @ weights
        )
        weights = weights + step
        if np.abs(step).max() < 1e-8:
            break
    return weights


def filtered_hmm(hours: JudgedHours, fit_hours: int = 4000, passes: int = 12) -> Floats:
    """Return the filtered probability of the calmer of two Gaussian states of the hourly volatility.

    Fitted once by EM on the first `fit_hours` hours, then filtered forward; smoothing would look ahead.
    States are ordered by their deviation, so that a fit cannot swap them.

    Returns:
        Shape (n,); NaN in the hours that were used for the fit.
    """
    count = len(hours)
    calm = np.full(count, np.nan)
    if count <= fit_hours + 100:
        return calm
    change = np.r_[0.0, np.diff(np.log(hours.close))]
    deviations = np.array([0.5, 1.6]) * change[:fit_hours].std()
    stay = np.array([0.98, 0.95])
    for _ in range(passes):
        filtered, _ = _filter(change[:fit_hours], deviations, stay)
        weight = filtered + 1e-9
        deviations = np.sqrt((weight * (change[:fit_hours] ** 2)[:, None]).sum(axis=0) / weight.sum(axis=0))
        both = (filtered[:-1] * filtered[1:]).sum(axis=0)
        stay = np.clip(both / weight[:-1].sum(axis=0), 0.5, 0.995)
    if deviations[0] > deviations[1]:
        deviations, stay = deviations[::-1].copy(), stay[::-1].copy()
    filtered, _ = _filter(change, deviations, stay)
    calm[fit_hours:] = filtered[fit_hours:, 0]
    return calm


def _filter(change: Floats, deviations: Floats, stay: Floats) -> tuple[Floats, float]:
    """Return the filtered state probabilities, shape (n, 2), and the log likelihood."""
    density = np.exp(-0.5 * (change[:, None] / deviations) ** 2) / deviations + 1e-12
    first, second = 0.5, 0.5
    told = np.empty((change.shape[0], 2))
    likelihood = 0.0
    stay_first, stay_second = float(stay[0]), float(stay[1])
    for row, (a, b) in enumerate(density.tolist()):
        now_first = (first * stay_first + second * (1 - stay_second)) * a
        now_second = (second * stay_second + first * (1 - stay_first)) * b
        total = now_first + now_second
        first, second = now_first / total, now_second / total
        likelihood += float(np.log(total))
        told[row] = first, second
    return told, likelihood
