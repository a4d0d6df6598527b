"""One run of one grid, from its start to its stop, as the KPIs look back at it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from decisions.adverse import AdverseConfig, adverse_event
from decisions.aftermath import aftermath_of
from decisions.paths import RunningGrid
from exits.states import ExitState
from grid.simulation import StopReason
from market.candles import Bars
from market.hours import HOUR_S, Hour, instant_of_ts

HOLD_LENGTH_H = 168


@dataclass(frozen=True, slots=True)
class StateChange:
    """The exit state that a grid entered, and when (close of the hour, aware)."""

    at: datetime
    state: ExitState


@dataclass(frozen=True, slots=True)
class Episode:
    """One run of a grid; instants are aware, amounts quote coin, prices quote.

    Attributes:
        stopped_at: However it ended; None while it runs.
        lower, upper, atr: Frozen at the start; the ATR is None where it was not known.
        changes: Exit states entered, in order of time; before the first one NORMAL.
        stop_accepted_at: When an advised STOP_GRID was carried out; None where the run ended otherwise.
        realised, peak: Net profit at the end, and the most of it on the way; None while it runs.
        hold_stop_at: When the same grid, simulated on minutes as if nobody had stopped it, hits its
            stop-loss within 7 days; None where it does not, or that is not known yet.
        adverse_at: The adverse event A; `labelled` finds it.
        followed_until: Up to where the price was looked at for it; None before that was done.
    """

    grid_id: str
    started_at: datetime
    stopped_at: datetime | None
    lower: float
    upper: float
    atr: float | None
    changes: tuple[StateChange, ...] = ()
    stop_accepted_at: datetime | None = None
    realised: float | None = None
    peak: float | None = None
    hold_stop_at: datetime | None = None
    adverse_at: datetime | None = None
    followed_until: datetime | None = None

    def first_at_least(self, state: ExitState) -> datetime | None:
        """Return when the run first was in a state or a more urgent one; None if never."""
        return next((change.at for change in self.changes if change.state.rank >= state.rank), None)

    def entered(self, state: ExitState) -> list[datetime]:
        """Return when the run came from a calmer state into this one or a more urgent one."""
        found, rank = [], ExitState.NORMAL.rank
        for change in self.changes:
            if rank < state.rank <= change.state.rank:
                found.append(change.at)
            rank = change.state.rank
        return found

    def stood_within(self, state: ExitState, since: datetime, until: datetime) -> bool:
        """Say whether the run was in a state, or a more urgent one, at any instant of [since, until]."""
        ends = [*(change.at for change in self.changes), self.stopped_at][1:]
        return any(
            change.state.rank >= state.rank and change.at <= until and (end is None or end > since)
            for change, end in zip(self.changes, ends, strict=True)
        )

    def false_alert_at(self, instant: datetime, config: AdverseConfig) -> bool | None:
        """Say whether an alert at an instant was false: no A within 72 hours after it, or before.

        None while it is not known: the label needs the hours in which the price could still come back.
        """
        if self.adverse_at is not None:
            return self.adverse_at > instant + config.within
        if self.followed_until is None or self.followed_until < instant + config.known_after:
            return None
        return True


def labelled(episode: Episode, hours: Bars, price_scale: int, config: AdverseConfig) -> Episode:
    """Return the run with its adverse event: the first from the start to 72 hours after the stop.

    Args:
        episode: With bounds and ATR as at the start; without an ATR nothing can be told.
        hours: 1h bars from the start on, price x price_scale, as far as they are recorded.
        price_scale: Of the bars.
        config: Of the event.
    """
    if episode.atr is None or not len(hours):
        return replace(episode, adverse_at=None, followed_until=None)
    followed_until = instant_of_ts(int(hours.ts[-1]) + HOUR_S)
    until = followed_until if episode.stopped_at is None else episode.stopped_at + config.within
    bounds = episode.lower, episode.upper
    found = adverse_event(hours, price_scale, bounds, episode.atr, episode.started_at, until, config)
    return replace(episode, adverse_at=found, followed_until=followed_until)


def hold_stop_at(
    grid: RunningGrid, closed: Hour, minutes: Bars, hours: Bars | None, tolerated_missing: int
) -> datetime | None:
    """Return when a grid that nobody stops hits its stop-loss within 7 days; None where it does not.

    Args:
        grid: As it stood at the close of the last hour before it was stopped.
        closed: That hour.
        minutes, hours, tolerated_missing: As in `aftermath_of`; what is not recorded yet is as if nothing
            had happened.

    Returns:
        Open of the bar that holds the exit, so that a stop in the same minute did not come before it.
    """
    after = aftermath_of(minutes, hours, closed.close_ts, HOLD_LENGTH_H, tolerated_missing)
    position = grid.over(after.pieces).position
    if position.stop_reason != StopReason.STOP_LOSS or position.stopped_ts is None:
        return None
    return instant_of_ts(position.stopped_ts)
