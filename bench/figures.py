"""What a bench tells: a figure, what it is held against, and the goal beside it."""

from __future__ import annotations

import resource
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import ParamSpec

import numpy as np

_Arguments = ParamSpec("_Arguments")


@dataclass(frozen=True, slots=True)
class Against:
    """Somebody else's figure, taken in the same run.

    Attributes:
        name: What was measured.
        value: In the unit of the figure beside it.
        is_limit: True for a bound of the machine or a lower bound of the task, False for a peer: another
            way to do the same thing.
    """

    name: str
    value: float
    is_limit: bool = False


@dataclass(frozen=True, slots=True)
class Goal:
    """What we aim at, in words, and whether this run reached it."""

    words: str
    is_met: bool


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table.

    Attributes:
        what: What was measured.
        value: Smaller is better.
        unit: Of both figures.
        against: The peer or limit.
        goals: None where nothing was set.
    """

    what: str
    value: float
    unit: str
    against: Against
    goals: tuple[Goal, ...] = ()

    @property
    def ratio(self) -> str:
        """Return how many times better than the peer, or how many times the limit."""
        ours, theirs = self.value, self.against.value
        if self.against.is_limit:
            return f"{rounded(ours / theirs)} x the limit"
        better = ours <= theirs
        return f"{rounded(max(ours, theirs) / min(ours, theirs))} x {'better' if better else 'worse'}"


def rounded(value: float) -> str:
    """Return three digits, or all before the point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def at_most(bound: float, value: float, unit: str) -> Goal:
    return Goal(f"<= {bound:g} {unit}", value <= bound)


def times_better(factor: float, value: float, against: Against) -> Goal:
    return Goal(f">= {factor:g} x the peer", against.value >= factor * value)


def seconds_of(
    work: Callable[_Arguments, object], *args: _Arguments.args, **kwargs: _Arguments.kwargs
) -> float:
    """Return how long one call took, seconds."""
    began = perf_counter()
    work(*args, **kwargs)
    return perf_counter() - began


def cpu_seconds() -> float:
    """Return what this process and its ended children have computed so far, all threads together."""
    used = [resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def p99(values: Sequence[float]) -> float:
    """Return the value that 99 of 100 do not exceed: with fewer than 100 values, the largest."""
    return float(np.quantile(values, 0.99, method="higher"))


def over_runs(runs: Sequence[Sequence[float]], figure: Callable[[Sequence[float]], float]) -> float:
    """Return the median over the runs of a figure of each: one noisy run does not decide."""
    return statistics.median(figure(run) for run in runs)
