"""When advice ends, when a market rests, when an unanswered stop grows louder. Nothing is stored.

Every timer follows from the close of the analysed hour, the action files and the grid's events, so a restart
finds each where it was.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from decisions.actions import ActionTaken, Answer
from decisions.config import AdviceConfig
from decisions.recommendation import Action, Kind
from regime.analysis import Verdict


@dataclass(frozen=True, slots=True)
class PastAdvice:
    """A recommendation of an earlier hour and what became of it, as far as it is known.

    Attributes:
        closes_at: Close of the analysed hour: every timer counts from here.
        created_at: When it was recorded; one that was late is born expired.
        confidence: As stated; None where none was.
        actions: In the order of their numbers.
    """

    id: str
    grid_id: str
    kind: Kind
    action: Action
    verdict: Verdict | None
    closes_at: datetime
    created_at: datetime
    expires_at: datetime | None
    confidence: float | None
    actions: tuple[ActionTaken, ...] = ()

    @property
    def born_expired(self) -> bool:
        return self.expires_at is not None and self.created_at >= self.expires_at

    @property
    def answer(self) -> ActionTaken | None:
        """The first accept or decline; None while there is none."""
        answers = (Answer.ACCEPT, Answer.DECLINE)
        return next((action for action in self.actions if action.action in answers), None)

    def is_open(self, instant: datetime) -> bool:
        """Say whether it still waits for an answer at `instant`."""
        over = self.expires_at is not None and instant >= self.expires_at
        return self.action.wants_answer and self.answer is None and not over


@dataclass(frozen=True, slots=True)
class Cooldown:
    """Until when a grid rests, and why; `until` is None when it does not."""

    until: datetime | None
    reason: str

    def is_over(self, instant: datetime) -> bool:
        return self.until is None or instant >= self.until


NO_COOLDOWN = Cooldown(None, "nothing to rest from")


def cooldown_of(
    grid_id: str,
    at: datetime,
    stopped_at: datetime | None,
    past: Iterable[PastAdvice],
    config: AdviceConfig,
) -> Cooldown:
    """Return until when a stopped grid rests, as known at the close `at`.

    A stop rests for `cooldown_stopped_min`; a setup that was declined, or that expired without a successor of
    the same kind, for `cooldown_declined_min`. What was recorded after its own expiry rests nobody.
    """
    found = [NO_COOLDOWN]
    if stopped_at is not None:
        until = stopped_at + timedelta(minutes=config.cooldown_stopped_min)
        found.append(Cooldown(until, f"grid {grid_id} was stopped at {stopped_at:%Y-%m-%d %H:%M}"))
    rest = timedelta(minutes=config.cooldown_declined_min)
    setups = sorted(
        (advice for advice in past if advice.grid_id == grid_id and advice.kind is Kind.SETUP),
        key=lambda advice: advice.closes_at,
    )
    for advice, after in itertools.zip_longest(setups, setups[1:]):
        if not advice.action.creates or advice.born_expired:
            continue
        answer = advice.answer
        if answer is not None and answer.at <= at:
            if answer.action is Answer.DECLINE:
                found.append(Cooldown(answer.at + rest, f"setup {advice.id} was declined"))
        elif advice.expires_at is not None and _had_no_successor(advice, after, at):
            found.append(Cooldown(advice.expires_at + rest, f"setup {advice.id} expired unanswered"))
    return max(found, key=lambda cooldown: (cooldown.until is not None, cooldown.until or at))


def _had_no_successor(advice: PastAdvice, after: PastAdvice | None, at: datetime) -> bool:
    """Say whether a setup ran out before `at` without the next hour repeating it.

    At its own expiry the next hour is just being judged: whether that one is the successor is not yet known.
    """
    if advice.expires_at is None or advice.expires_at >= at:
        return False
    repeated = after is not None and after.closes_at <= advice.expires_at and after.action is advice.action
    return not repeated


def louder_after(verdict: Verdict | None, config: AdviceConfig) -> timedelta:
    """Return how long an unanswered stop may wait before it is told one level louder."""
    if verdict is Verdict.TREND:
        return timedelta(minutes=config.louder_in_trend_min)
    if verdict is Verdict.TRANSITION or verdict is None:
        return timedelta(minutes=config.louder_in_transition_min)
    return timedelta(minutes=config.louder_in_range_min)


@dataclass(frozen=True, slots=True)
class Due:
    """A timer that has run out: what happened to which advice, and when it was due."""

    advice: PastAdvice
    at: datetime
    what: str


def due_timers(past: Sequence[PastAdvice], now: datetime, config: AdviceConfig) -> list[Due]:
    """Return what has run out by `now` and is not settled by an action: expiries and louder stops.

    A setup that the next hour superseded expires all the same: each advice ends with a file of its own. A
    stop that a later answer about the same grid has settled wakes nobody.
    """
    due = []
    for advice in past:
        if advice.answer is not None:
            continue
        expired = any(action.action is Answer.EXPIRED for action in advice.actions)
        if advice.expires_at is not None and now >= advice.expires_at and not expired:
            due.append(Due(advice, advice.expires_at, "expired"))
        elif advice.action is Action.STOP_GRID and not _settled_later(advice, past):
            at = advice.closes_at + louder_after(advice.verdict, config)
            if now >= at:
                due.append(Due(advice, at, "louder"))
    return sorted(due, key=lambda found: (found.at, found.advice.id))


def _settled_later(advice: PastAdvice, past: Sequence[PastAdvice]) -> bool:
    return any(
        later.grid_id == advice.grid_id and later.closes_at > advice.closes_at and later.answer is not None
        for later in past
    )
