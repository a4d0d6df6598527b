"""The KPIs of one UTC day: the day itself, and the 30 days that end with it.

A day holds next to no case and its alerts cannot be judged yet (that needs 84 hours), so the trailing period
is what to read and the day what was new. Both see nothing after the day's end, so a day that is made up for
later says what it would have said then. Cases that are still open are counted apart, by kind:

| open | what is not known yet |
| --- | --- |
| runs | running grids at the end of the day |
| alerts, exits | whether they were false |
| mandatory | whether the grid was stopped within 60 minutes |
| holds | whether the grid would have hit its stop-loss, of runs with A |

The alert budget stands apart from the other figures; without a grid that ran there were no alerts to budget,
and that is null, not 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from decisions.episodes import HOLD_LENGTH_H, Episode
from decisions.kpi_cases import PeriodCases
from decisions.kpi_targets import KpisConfig
from decisions.kpis import Kpi, KpiReport, kpis
from decisions.timers import PastAdvice

DAY = timedelta(days=1)
TRAILING = timedelta(days=30)
BUDGET = ("alerts_per_week", "alerts_false", "acknowledge_median")


@dataclass(frozen=True, slots=True)
class PeriodKpis:
    """The figures of a period and what in it is still open."""

    report: KpiReport
    open_cases: dict[str, int]
    any_run: bool

    def as_record(self) -> dict[str, Any]:
        """Return plain values: figures, alert budget, open cases."""
        told = self.report.as_record()
        figures = told["kpis"]
        return {
            "from": told["from"],
            "to": told["to"],
            "kpis": {name: figure for name, figure in figures.items() if name not in BUDGET},
            "alert_budget": {name: self._budget(self.report[name]).as_record() for name in BUDGET},
            "open": self.open_cases,
        }

    def _budget(self, kpi: Kpi) -> Kpi:
        return kpi if self.any_run else replace(kpi, value=None, note="no grid ran")


@dataclass(frozen=True, slots=True)
class KpiDay:
    """What was known of a day's KPIs at its end."""

    day: PeriodKpis
    trailing: PeriodKpis


def kpi_day(
    episodes: Sequence[Episode],
    advice: Sequence[PastAdvice],
    day: datetime,
    first: datetime,
    config: KpisConfig,
) -> KpiDay:
    """Return the KPIs of a day and of the 30 days that end with it.

    Args:
        episodes: All runs that touch the 30 days, labelled, as known at the day's end.
        advice: About the same grids, with what was done about it by then.
        day: Its first instant, UTC.
        first: Open of the first judged hour: no period begins before it. It lies before the day's end.
        config: Windows and targets.
    """
    end = day + DAY
    return KpiDay(
        _period(episodes, advice, max(day, first), end, config),
        _period(episodes, advice, max(end - TRAILING, first), end, config),
    )


def _period(
    episodes: Sequence[Episode],
    advice: Sequence[PastAdvice],
    start: datetime,
    end: datetime,
    config: KpisConfig,
) -> PeriodKpis:
    cases = PeriodCases(episodes, advice, start, end, config)
    ran = [
        episode
        for episode in episodes
        if episode.started_at < end and (episode.stopped_at is None or episode.stopped_at > start)
    ]
    return PeriodKpis(
        kpis(episodes, advice, start, end, config),
        {
            "runs": sum(episode.stopped_at is None for episode in ran),
            "alerts": cases.alerts_false().left_out,
            "exits": cases.false_exits().left_out,
            "mandatory": cases.mandatory_followed().left_out,
            "holds": sum(
                episode.adverse_at is not None
                and start <= episode.adverse_at < end
                and _hold_is_open(episode, end)
                for episode in episodes
            ),
        },
        bool(ran),
    )


def _hold_is_open(episode: Episode, end: datetime) -> bool:
    if episode.hold_stop_at is not None:
        return False
    return episode.stopped_at is None or episode.stopped_at + timedelta(hours=HOLD_LENGTH_H) > end
