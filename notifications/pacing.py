"""When a grid's exit state is told, and when again: early, rare, never lost. Pure; follows from the records.

Entering a state is told at once, whatever was told before. Within a state there is a least time between two
notices, unless one is louder than those before it: an escalation always breaks through. What nobody answers
is told again after that time; for WARNING the time doubles with each repeat.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from exits.states import ExitState
from market.hours import Hour
from notifications.notice import Level, Notice
from notifications.settings import PacingSettings, QuietHours

LEVEL_OF_STATE = dict(zip(ExitState, Level, strict=True))


@dataclass(frozen=True, slots=True)
class Spell:
    """One stay of a grid in one exit state, and what was told of it.

    Attributes:
        since: Hour at whose close it began, as the record writes it.
        times: Notices told in it.
        last_at: When the last one was told; None before the first.
        level: The loudest of them, as it was heard; None before the first.
        loud_at: When it was first told so loudly: an answer from before is no answer to this.
        settled: The operator has answered or acknowledged it: then nobody is reminded.
    """

    grid_id: str
    state: ExitState
    since: str
    times: int = 0
    last_at: datetime | None = None
    level: Level | None = None
    loud_at: datetime | None = None
    settled: bool = False

    @property
    def began(self) -> datetime:
        """When the state began: the close of its hour."""
        return Hour.parse(self.since).closes_at

    @property
    def next_key(self) -> str:
        """The name of the next notice: the same after a crash, so that it is told once."""
        return f"{self.grid_id}/{self.state}@{self.since}/{self.times}"

    def told(self, at: datetime, level: Level) -> Spell:
        """Return the spell after one more notice; one that is louder than all before wants a new answer."""
        told = replace(self, times=self.times + 1, last_at=at)
        if self.level is not None and level.rank <= self.level.rank:
            return told
        return replace(told, level=level, loud_at=at, settled=False)


def least_gap(spell: Spell, pacing: PacingSettings) -> timedelta | None:
    """Return the least time to the next notice of a spell; None for NORMAL, which has no repeats."""
    if spell.state is ExitState.NORMAL:
        return None
    if spell.state is ExitState.WARNING:
        hours = pacing.warning_h * 2.0 ** max(spell.times - 1, 0)
        return timedelta(hours=min(hours, max(pacing.longest_h, pacing.warning_h)))
    of_state = pacing.latest_h if spell.state is ExitState.LATEST_ACCEPTABLE_EXIT else pacing.mandatory_h
    return timedelta(hours=of_state)


def may_tell(spell: Spell, level: Level, now: datetime, pacing: PacingSettings) -> bool:
    """Say whether a notice of this level may go out now."""
    gap = least_gap(spell, pacing)
    if gap is None or spell.last_at is None or spell.level is None:
        return True
    if now < spell.last_at:  # the clock was set back: when it was really told is not known
        return True
    return level.rank > spell.level.rank or now - spell.last_at >= gap


def repeat_due(spell: Spell, now: datetime, pacing: PacingSettings, level: Level) -> bool:
    """Say whether a spell has to be told (again) now, without anything new.

    Args:
        spell: With what was told of it.
        now: Aware.
        pacing: Least times.
        level: How loudly it would be told now: louder than so far (the quiet hours are over) is due at once.
    """
    if spell.state is ExitState.NORMAL:
        return False
    if spell.times == 0:
        return True  # a transition without a notice gets one, also when it was settled meanwhile
    return not spell.settled and may_tell(spell, level, now, pacing)


def hushed(notice: Notice, now: datetime, quiet: QuietHours | None) -> Level:
    """Return how loudly a notice is told now: quiet hours silence all but MANDATORY_EXIT."""
    if quiet is None or notice.exit_state == ExitState.MANDATORY_EXIT or not quiet.cover(now):
        return notice.level
    return Level.QUIET
