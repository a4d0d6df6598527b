"""Which cases each KPI counts in a period: values only, no judgement."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from decisions.actions import Answer
from decisions.episodes import Episode
from decisions.kpi_targets import KpisConfig
from decisions.recommendation import Kind
from decisions.timers import PastAdvice
from exits.states import ExitState

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
ALERT = ExitState.LATEST_ACCEPTABLE_EXIT


@dataclass(frozen=True, slots=True)
class Cases:
    """What one figure counts, and how many cases it had to leave out."""

    values: Sequence[float]
    left_out: int = 0
    why: str = ""


class PeriodCases:
    """The cases of every figure in one period [start, end).

    Args:
        episodes: Labelled runs.
        advice: About the same grids.
        start, end: Aware.
        config: Windows.
    """

    def __init__(
        self,
        episodes: Sequence[Episode],
        advice: Sequence[PastAdvice],
        start: datetime,
        end: datetime,
        config: KpisConfig,
    ) -> None:
        self.episodes, self.advice, self.start, self.end = episodes, advice, start, end
        self.config = config
        self.alerts = [
            (episode, at) for episode in episodes for at in episode.entered(ALERT) if self._holds(at)
        ]

    def _holds(self, instant: datetime | None) -> bool:
        return instant is not None and self.start <= instant < self.end

    def _adverse(self) -> list[tuple[Episode, datetime]]:
        return [
            (episode, episode.adverse_at)
            for episode in self.episodes
            if episode.adverse_at is not None and self._holds(episode.adverse_at)
        ]

    def _exits(self) -> list[tuple[Episode, datetime]]:
        return [
            (episode, episode.stop_accepted_at)
            for episode in self.episodes
            if episode.stop_accepted_at is not None and self._holds(episode.stop_accepted_at)
        ]

    def stop_losses_avoided(self) -> Cases:
        return Cases(
            [
                float(episode.stopped_at is not None and episode.stopped_at < episode.hold_stop_at)
                for episode, _ in self._adverse()
                if episode.hold_stop_at is not None
            ]
        )

    def profit_retained(self) -> Cases:
        stopped = [episode for episode in self.episodes if self._holds(episode.stopped_at)]
        kept = [
            min(max(episode.realised / episode.peak, -1.0), 1.0)
            for episode in stopped
            if episode.realised is not None and episode.peak is not None and episode.peak > 0
        ]
        return Cases(kept, len(stopped) - len(kept), "without a profit to retain")

    def transitions_detected(self) -> Cases:
        earliest, latest = self.config.earliest_h * HOUR, self.config.latest_h * HOUR
        return Cases(
            [
                float(episode.stood_within(ALERT, at - earliest, at - latest))
                for episode, at in self._adverse()
            ]
        )

    def false_exits(self) -> Cases:
        return self._false(self._exits())

    def alerts_false(self) -> Cases:
        return self._false(self.alerts)

    def random_alerts_false(self) -> Cases:
        return self._false((episode, at) for episode in self.episodes for at in self._hours_of(episode))

    def _hours_of(self, episode: Episode) -> Iterable[datetime]:
        """Yield the hours of a run in which an alert could have come: from its first to its stop or A."""
        ends = (episode.stopped_at, episode.adverse_at, episode.followed_until)
        last = min((end for end in ends if end is not None), default=episode.started_at)
        count = (last - episode.started_at) // HOUR
        hours = (episode.started_at + number * HOUR for number in range(1, count + 1))
        return (at for at in hours if self._holds(at))

    def _false(self, alerts: Iterable[tuple[Episode, datetime]]) -> Cases:
        found = [episode.false_alert_at(at, self.config.adverse) for episode, at in alerts]
        known = [float(false) for false in found if false is not None]
        return Cases(known, len(found) - len(known), "not known yet")

    def reaction_minutes(self) -> Cases:
        exits = [(episode.first_at_least(ALERT), at) for episode, at in self._exits()]
        taken = [(at - alert) / MINUTE for alert, at in exits if alert is not None and alert <= at]
        return Cases(taken, len(exits) - len(taken), "without an alert before")

    def warning_hours(self) -> Cases:
        adverse = [(episode.first_at_least(ExitState.WARNING), at) for episode, at in self._adverse()]
        ahead = [(at - warning) / HOUR for warning, at in adverse if warning is not None and warning <= at]
        return Cases(ahead, len(adverse) - len(ahead), "without a warning before")

    def mandatory_followed(self) -> Cases:
        followed = [
            self._stopped_in_time(episode, at)
            for episode in self.episodes
            for at in episode.entered(ExitState.MANDATORY_EXIT)
            if self._holds(at)
        ]
        known = [float(in_time) for in_time in followed if in_time is not None]
        return Cases(known, len(followed) - len(known), "not known yet")

    def _stopped_in_time(self, episode: Episode, mandatory: datetime) -> bool | None:
        latest = mandatory + self.config.mandatory_min * MINUTE
        if episode.stopped_at is not None:
            return episode.stopped_at <= latest
        if episode.followed_until is None or episode.followed_until < latest:
            return None
        return False

    def acknowledge_minutes(self) -> Cases:
        answered = [
            (answer - at) / MINUTE
            for episode, at in self.alerts
            if (answer := self._first_answer(episode, at)) is not None
        ]
        return Cases(answered, len(self.alerts) - len(answered), "not acknowledged")

    def _first_answer(self, episode: Episode, alert: datetime) -> datetime | None:
        """Return when a human first did something about the grid after an alert, before its next one."""
        later = [at for at in episode.entered(ALERT) if at > alert]
        deeds = [
            deed.at
            for advice in self.advice
            if advice.grid_id == episode.grid_id and advice.kind is Kind.MANAGE
            for deed in advice.actions
            if deed.is_human and deed.action is not Answer.EXPIRED
        ]
        return min((at for at in deeds if alert <= at and (not later or at < later[0])), default=None)
