"""Measures of skill, each with a 95 % interval from a bootstrap over calendar weeks.

Hours of one week are not independent, so weeks are drawn, not hours. Seeded: the same data give the same
intervals.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from market.candles import Floats, Ints
from market.hours import HOUR_S

WEEK_S = 168 * HOUR_S
DRAWS = 400
_SINCE_MONDAY_S = 3 * 24 * HOUR_S  # 1970-01-01 was a Thursday


@dataclass(frozen=True, slots=True)
class Figure:
    """A number with its interval; None where there is nothing to measure."""

    value: float | None
    low: float | None = None
    high: float | None = None
    n: int = 0

    def as_json(self) -> dict[str, float | int | None]:
        return {"value": self.value, "low": self.low, "high": self.high, "n": self.n}


NOTHING = Figure(None)


class Weeks:
    """Weights of hours for each draw of the bootstrap.

    Args:
        ts: Epoch seconds of the hours, shape (n,).
        seed: Of the draws.
        draws: How many.
    """

    def __init__(self, ts: Ints, seed: int = 1, draws: int = DRAWS) -> None:
        week = (ts + _SINCE_MONDAY_S) // WEEK_S
        self._weeks, self._of = np.unique(week, return_inverse=True)
        self._drawn = np.random.default_rng(seed).multinomial(
            max(1, self._weeks.size),
            np.full(max(1, self._weeks.size), 1 / max(1, self._weeks.size)),
            size=draws,
        )

    @property
    def count(self) -> int:
        return int(self._weeks.size)

    def figure(self, measure: Callable[[Floats], float], n: int) -> Figure:
        """Return a measure over all hours with its interval; `measure` takes a weight an hour."""
        if not n:
            return NOTHING
        value = measure(np.ones(self._of.shape[0]))
        drawn = np.array([measure(weights[self._of].astype(np.float64)) for weights in self._drawn])
        return _with_interval(value, drawn, n)

    def mean(self, values: Floats, among: NDArray[np.bool_]) -> Figure:
        """Return the mean over some hours with its interval, as `figure` does, from two sums a week."""
        value, drawn = self._means(values, among)
        return _with_interval(value, drawn, int(among.sum()))

    def difference(self, values: Floats, one: NDArray[np.bool_], other: NDArray[np.bool_]) -> Figure:
        """Return the mean over some hours less that over others; n counts both."""
        (first, drawn), (second, against) = self._means(values, one), self._means(values, other)
        return _with_interval(first - second, drawn - against, int(one.sum() + other.sum()))

    def _means(self, values: Floats, among: NDArray[np.bool_]) -> tuple[float, Floats]:
        hours = np.bincount(self._of[among], minlength=self._weeks.size)
        sums = np.bincount(self._of[among], values[among], self._weeks.size)
        with np.errstate(invalid="ignore", divide="ignore"):
            drawn = (self._drawn[:, : hours.size] @ sums) / (self._drawn[:, : hours.size] @ hours)
        return (float(sums.sum() / hours.sum()) if hours.sum() else float("nan")), drawn

    def quantile(self, values: Floats, share: float) -> Figure:
        """Return a quantile of some values with its interval; None for an end that lies at infinity."""
        n = int(values.size)
        if not n:
            return NOTHING
        drawn = [quantile(values, share, weights[self._of].astype(np.float64)) for weights in self._drawn]
        low, high = np.quantile(drawn, (0.025, 0.975), method="nearest")
        return Figure(
            _rounded(quantile(values, share, np.ones(n))), _rounded(float(low)), _rounded(float(high)), n
        )


def _with_interval(value: float, drawn: Floats, n: int) -> Figure:
    drawn = drawn[np.isfinite(drawn)]
    if not np.isfinite(value) or drawn.size < DRAWS // 4:
        return Figure(_rounded(value), n=n)
    low, high = np.quantile(drawn, (0.025, 0.975))
    return Figure(_rounded(value), _rounded(low), _rounded(high), n)


def _rounded(value: float) -> float | None:
    return round(float(value), 6) if np.isfinite(value) else None


def mean(values: Floats, weights: Floats) -> float:
    """Return the weighted mean, NaN without weight."""
    total = weights.sum()
    return float(values @ weights / total) if total else float("nan")


def quantile(values: Floats, share: float, weights: Floats) -> float:
    """Return the smallest value at or below which at least this share of the weight lies, NaN without weight.

    Infinities are values like any other: what never came lies above all that did.
    """
    order = np.argsort(values, kind="stable")
    below = np.cumsum(weights[order])
    if not values.size or not below[-1]:
        return float("nan")
    return float(values[order][np.searchsorted(below, share * below[-1])])


class Ranked:
    """Scores in order, so that an AUC under other weights costs one pass.

    Args:
        score: Higher means "holds", shape (n,).
        held: 1 or 0.
    """

    def __init__(self, score: Floats, held: Floats) -> None:
        self._order = np.argsort(score, kind="stable")
        ordered = score[self._order]
        self._tie = np.r_[True, ordered[1:] != ordered[:-1]].cumsum() - 1
        self._held = held[self._order] == 1

    def auc(self, weights: Floats) -> float:
        """Return the chance that a held hour scores above a broken one, ties counting half."""
        ordered = weights[self._order]
        groups = int(self._tie[-1]) + 1
        good = np.bincount(self._tie, ordered * self._held, groups)
        bad = np.bincount(self._tie, ordered * ~self._held, groups)
        below = np.concatenate(([0.0], bad.cumsum()[:-1]))
        total = good.sum() * bad.sum()
        return float((good * (below + bad / 2)).sum() / total) if total else float("nan")


def auc_within(score: Floats, held: Floats, geometry: Floats, bins: int, weights: Floats) -> float:
    """Return the AUC inside bins of geometry, weighted by pairs: skill beyond "the bounds are far away"."""
    edges = np.quantile(geometry, np.linspace(0, 1, bins + 1)[1:-1])
    place = np.searchsorted(edges, geometry)
    total, pairs = 0.0, 0.0
    for number in range(bins):
        inside = place == number
        good = float((weights[inside] * held[inside]).sum())
        bad = float((weights[inside] * (1 - held[inside])).sum())
        if good and bad:
            total += Ranked(score[inside], held[inside]).auc(weights[inside]) * good * bad
            pairs += good * bad
    return total / pairs if pairs else float("nan")


def brier(stated: Floats, held: Floats, weights: Floats) -> float:
    """Return the mean squared error of a stated probability."""
    return mean((stated - held) ** 2, weights)


def brier_skill(stated: Floats, held: Floats, weights: Floats) -> float:
    """Return the share of the base rate's Brier score that is saved."""
    base = mean(held, weights)
    reference = mean((base - held) ** 2, weights)
    return 1 - brier(stated, held, weights) / reference if reference else float("nan")


@dataclass(frozen=True, slots=True)
class Bin:
    """One row of the reliability table; `observed` with its interval."""

    stated: float
    observed: Figure


def reliability(stated: Floats, held: Floats, weeks: Weeks, edges: Floats) -> list[Bin]:
    """Return, for each bin of the stated probability, its mean and what was observed."""
    rows = []
    place = np.searchsorted(edges, stated, side="right")
    for number in range(edges.shape[0] + 1):
        inside = (place == number).astype(np.float64)
        n = int(inside.sum())
        if n:
            observed = weeks.figure(lambda w, inside=inside: mean(held, w * inside), n)  # type: ignore[misc]
            rows.append(Bin(round(mean(stated, inside), 6), observed))
    return rows


def runs(labels: Ints, ts: Ints) -> tuple[Ints, int]:
    """Return the lengths of runs of equal labels, and how often the label changed; a gap ends a run."""
    if not labels.size:
        return np.empty(0, dtype=np.int64), 0
    gap = np.diff(ts) != HOUR_S
    change = np.diff(labels) != 0
    ends = np.r_[np.flatnonzero(gap | change), labels.size - 1]
    lengths = np.diff(np.r_[-1, ends])
    return lengths, int(np.count_nonzero(change & ~gap))
