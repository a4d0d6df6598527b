"""How well the advice served: seven figures and the alert budget, over any period.

| figure | of | what |
| --- | --- | --- |
| SLAR | runs with A in the period whose hold path hits the stop-loss | share stopped before that |
| PRR | runs stopped in the period that ever had a net profit | mean of realised / peak, within -1 and 1 |
| TTDR | A in the period | share with LATEST_ACCEPTABLE_EXIT or more standing from 48 to 2 hours before |
| FER | advised stops carried out in the period | share without A within 72 hours |
| FER_random | every hour of a run in the period, up to A | the same for an alert in that hour |
| ERT_median, ERT_p90 | advised stops in the period after such an alert | minutes from the first one |
| EAW_median, EAW_p10 | A in the period after a WARNING or more | hours from the first one |
| MEC | MANDATORY_EXIT entered in the period | share stopped within 60 minutes |
| alerts_per_week | the period | alerts: LATEST_ACCEPTABLE_EXIT or more entered from below |
| alerts_false | these alerts | share without A within 72 hours |
| acknowledge_median | these alerts, where a human answered | minutes to the first answer about the grid |

A case belongs to the period in which its event lies. What is not known yet (A needs 84 hours) is left out and
counted in the note, so a figure of yesterday is a first reading: judge by a period that ended a week ago.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from decisions.episodes import Episode
from decisions.intervals import bounded_mean, quantile, wilson
from decisions.kpi_cases import Cases, PeriodCases
from decisions.kpi_targets import KpisConfig, Target
from decisions.timers import PastAdvice
from market.hours import instant_iso
from regime.precision import score

WEEK = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Kpi:
    """One figure; everything rounded to 1e-6.

    Attributes:
        value: None where there is no case.
        low, high: 95 % interval; None where there is no case, and for plain rates.
        n: Cases.
        target, stretch: None where it has none.
        meets: Whether the value is on the right side of the target; None without one, without a value, or
            with too few cases to say.
        note: `insufficient` with the counts, and what was left out; empty when there is nothing to say.
    """

    name: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    target: float | None
    stretch: float | None
    meets: bool | None
    note: str

    def as_record(self) -> dict[str, Any]:
        fields = ("value", "low", "high", "n", "target", "stretch", "meets", "note")
        return {name: getattr(self, name) for name in fields}


@dataclass(frozen=True, slots=True)
class KpiReport:
    """All figures of one period [start, end)."""

    start: datetime
    end: datetime
    kpis: tuple[Kpi, ...]

    def __getitem__(self, name: str) -> Kpi:
        return next(kpi for kpi in self.kpis if kpi.name == name)

    def as_record(self) -> dict[str, Any]:
        """Return plain values, as `kpis/{date}.yaml` holds them."""
        return {
            "from": instant_iso(self.start),
            "to": instant_iso(self.end),
            "kpis": {kpi.name: kpi.as_record() for kpi in self.kpis},
        }


def kpis(
    episodes: Sequence[Episode],
    advice: Sequence[PastAdvice],
    start: datetime,
    end: datetime,
    config: KpisConfig,
) -> KpiReport:
    """Return every figure of the period [start, end).

    Args:
        episodes: All runs that touch the period, labelled.
        advice: About the same grids, with what was done about it.
        start, end: Aware.
        config: Windows and targets.

    Raises:
        ValueError: The period is empty.
    """
    if start >= end:
        raise ValueError(f"the period from {instant_iso(start)} to {instant_iso(end)} is empty")
    period = PeriodCases(episodes, advice, start, end, config)
    reactions, windows = period.reaction_minutes(), period.warning_hours()
    made = [
        share_kpi("SLAR", period.stop_losses_avoided(), config),
        measured("PRR", period.profit_retained(), lambda values: bounded_mean(values, -1.0, 1.0), config),
        share_kpi("TTDR", period.transitions_detected(), config),
        share_kpi("FER", period.false_exits(), config),
        _without_interval(share_kpi("FER_random", period.random_alerts_false(), config)),
        quantile_kpi("ERT_median", reactions, 0.5, config),
        quantile_kpi("ERT_p90", reactions, config.high_share, config),
        quantile_kpi("EAW_median", windows, 0.5, config),
        quantile_kpi("EAW_p10", windows, config.low_share, config),
        share_kpi("MEC", period.mandatory_followed(), config),
        _alerts_per_week(period),
        share_kpi("alerts_false", period.alerts_false(), config),
        quantile_kpi("acknowledge_median", period.acknowledge_minutes(), 0.5, config),
    ]
    return KpiReport(start, end, tuple(made))


def share_kpi(name: str, cases: Cases, config: KpisConfig) -> Kpi:
    """Return the share of cases that are 1, with Wilson's interval."""

    def share(values: Sequence[float]) -> tuple[float, float, float]:
        found = sum(values) / len(values)
        return found, *wilson(found, len(values))

    return measured(name, cases, share, config)


def quantile_kpi(name: str, cases: Cases, share: float, config: KpisConfig) -> Kpi:
    """Return a quantile of the cases with its interval."""
    return measured(name, cases, lambda values: quantile(values, share), config)


def measured(
    name: str,
    cases: Cases,
    measure: Callable[[Sequence[float]], tuple[float, float | None, float | None]],
    config: KpisConfig,
) -> Kpi:
    """Return a figure of cases, insufficient below the fewest that are asked for.

    Args:
        name: A target of this name counts, where there is one.
        cases: What is counted; without any there is no value.
        measure: Gives value, low and high of one case or more; None for an end that cannot be told.
        config: The fewest cases, and targets.
    """
    n = len(cases.values)
    found = measure(cases.values) if n else (None, None, None)
    value, low, high = (None if each is None else score(each) for each in found)
    target: Target | None = getattr(config.targets, name.lower(), None)
    said = [f"insufficient: {n} of {config.fewest} cases"] if n < config.fewest else []
    said += [f"{cases.left_out} {cases.why}"] if cases.left_out else []
    return Kpi(
        name,
        value,
        low,
        high,
        n,
        None if target is None else target.target,
        None if target is None else target.stretch,
        None if target is None or value is None or n < config.fewest else target.is_met_by(value),
        "; ".join(said),
    )


def _without_interval(kpi: Kpi) -> Kpi:
    """Return the figure without its interval: hours of one run depend on each other."""
    return replace(kpi, low=None, high=None)


def _alerts_per_week(period: PeriodCases) -> Kpi:
    count = len(period.alerts)
    rate = score(count * WEEK / (period.end - period.start))
    return Kpi("alerts_per_week", rate, None, None, count, None, None, None, "")
