"""The words of advice: what changed for a grid, why, how sure, what to do and by when. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from decisions.recommendation import Action, Recommendation
from decisions.timers import PastAdvice
from exits.states import ExitState
from market.hours import Hour
from notifications.notice import MOST_BODY, MOST_TITLE, Kind, Level, Notice
from notifications.pacing import LEVEL_OF_STATE, Spell
from notifications.text import cut, fit, opened, sentence

_LEVELS = tuple(Level)
_LEAST = {Action.STOP_GRID: Level.HIGH, Action.WITHHELD: Level.NORMAL}


@dataclass(frozen=True, slots=True)
class AdviceFacts:
    """What a notice needs to know of one recommendation; JSON-able.

    Attributes:
        form: The exchange's form as lines to copy; empty where nothing is to be set up.
        until: When the advice is over, `15:00`; None where the next hour replaces it.
        since: Hour at whose close the exit state began; None without one.
    """

    id: str
    grid_id: str
    action: str
    reason: str
    confidence: float | None
    exit_state: str | None
    told_higher: str | None
    expected: str | None
    form: str
    until: str | None
    since: str | None = None

    @property
    def state(self) -> ExitState | None:
        return None if self.exit_state is None else ExitState(self.exit_state)

    @property
    def spell(self) -> Spell | None:
        """The stay in the present exit state, before anything was told of it; None without a state."""
        if self.state is None or self.since is None:
            return None
        return Spell(self.grid_id, self.state, self.since)


def facts_of(advice: Recommendation, expected: str | None, since: str | None = None) -> AdviceFacts:
    """Return what a notice needs of a recommendation.

    Args:
        advice: Just made, or as recorded.
        expected: What the grid would be worth after fees, in words.
        since: Hour at whose close the grid's exit state began.
    """
    form = {} if advice.proposed is None else advice.proposed["form"]
    return AdviceFacts(
        id=advice.id,
        grid_id=advice.grid_id,
        action=advice.action.value,
        reason=advice.reason,
        confidence=advice.confidence.value,
        exit_state=advice.exit_state,
        told_higher=advice.told_higher,
        expected=expected if advice.action.creates else None,
        form=", ".join(f"{label} {text}" for label, text in form.items())
        if advice.action.wants_answer
        else "",
        until=None if advice.expires_at is None else f"{advice.expires_at:%H:%M} UTC",
        since=since,
    )


def advice_notice(
    key: str,
    before: AdviceFacts | None,
    now: AdviceFacts,
    at: datetime,
    beside: str = "",
    meanwhile: Sequence[AdviceFacts] = (),
) -> Notice | None:
    """Return what the operator should hear about one grid, None where nothing is new.

    New is: another action that wants an answer, another exit state, advice that is withheld or given again,
    and a confidence that has fallen too low or too fast. A grid that goes on as before is silence, and so is
    a market where nothing is set up.

    Args:
        key: Market.
        before: What was told last of the grid; None where nothing was.
        now: The newest hour's.
        at: Its close.
        beside: What the market adds: why the hour could not be judged, which metrics were missing.
        meanwhile: The grid in the hours that were judged late, oldest first: they speak through this one.
    """
    action = Action(now.action)
    before = before if before is not None and before.grid_id == now.grid_id else None
    passed = _passed_through(before, meanwhile, now)
    seen = (before.state if before is not None else None) or ExitState.NORMAL
    state_changed = now.state is not None and (now.state is not seen or len(passed) > 1)
    louder = now.told_higher is not None and (before is None or before.told_higher is None)
    acted = before is None or before.action != now.action
    withheld = Action.WITHHELD.value in (now.action, before.action if before is not None else None)
    if not (louder or state_changed or (acted and (action.wants_answer or withheld))):
        return None
    level = level_with_doubts(now)
    eased = now.state is not None and now.state.rank < seen.rank
    if eased and not (acted and action is Action.STOP_GRID):
        level = min(level, Level.NORMAL, key=_rank)  # good news wakes nobody
    path = f"Since the last message: {', '.join(passed)}." if len(passed) > 1 else ""
    if not path and state_changed and before is not None and before.state is not None:
        path = f"It was {seen}."
    return Notice(
        dedupe=f"{now.id}/{now.action}",
        market=key,
        level=level,
        title=cut(f"{now.grid_id}: {_what(now)}", MOST_TITLE),
        body=_body(now, beside, path),
        at=at,
        kind=Kind.ADVICE,
        grid_id=now.grid_id,
        exit_state=now.exit_state,
        decision=now.id,
    )


def reminder(key: str, now: AdviceFacts, times: int, level: Level, at: datetime) -> Notice:
    """Return the notice that a grid still is where it was, and that nobody has answered.

    Args:
        key: Market.
        now: The newest hour's facts of the grid.
        times: Notices told of this state before.
        level: How loudly.
        at: Now.
    """
    still = f"still {_what(now)}" if times else _what(now)
    since = "" if now.since is None else f" since {Hour.parse(now.since).closes_at:%d %b %H:%M} UTC"
    return Notice(
        dedupe="" if now.spell is None else now.spell.next_key,
        market=key,
        level=level,
        title=cut(f"{now.grid_id}: {still}", MOST_TITLE),
        body=_body(
            now, f"{now.exit_state}{since}, not acknowledged." if times else "", "", again=bool(times)
        ),
        at=at,
        kind=Kind.ADVICE,
        grid_id=now.grid_id,
        exit_state=now.exit_state,
        decision=now.id,
    )


def louder_notice(key: str, advice: PastAdvice, state: str | None, due: datetime) -> Notice:
    """Return the notice that a stop has not been answered in time; once for each recommendation."""
    waited = int((due - advice.closes_at).total_seconds() // 60)
    return Notice(
        dedupe=f"{advice.id}/louder",
        market=key,
        level=Level.EMERGENCY,
        title=cut(f"{advice.grid_id}: STOP_GRID unanswered for {waited} min", MOST_TITLE),
        body=f"The stop advised at {advice.closes_at:%H:%M} UTC has no answer yet"
        f"{'' if state is None else f', and the exit state is {state}'}. {_TO_DO[Action.STOP_GRID]}"
        f" regimed explain {advice.id}",
        at=due,
        kind=Kind.ADVICE,
        grid_id=advice.grid_id,
        exit_state=state,
        decision=advice.id,
    )


def _passed_through(
    before: AdviceFacts | None, meanwhile: Sequence[AdviceFacts], now: AdviceFacts
) -> list[str]:
    """Return the exit states entered since the last message, oldest first, with when."""
    passed, last = [], (None if before is None else before.state) or ExitState.NORMAL
    for facts in (*meanwhile, now):
        if facts.state is None or facts.state is last:
            continue
        last = facts.state
        when = "" if facts.since is None else f" at {Hour.parse(facts.since).closes_at:%H:%M}"
        passed.append(f"{last}{when}")
    return passed


def _what(now: AdviceFacts) -> str:
    return now.action if now.exit_state is None else f"{now.action}, exit state {now.exit_state}"


def level_of(now: AdviceFacts) -> Level:
    """Return how loudly a grid's standing advice is told, by its exit state and action."""
    if now.state is None:
        return Level.NORMAL
    least = _LEAST.get(Action(now.action), Level.QUIET)
    return max(LEVEL_OF_STATE[now.state], least, key=_rank)


def level_with_doubts(now: AdviceFacts) -> Level:
    """Return the level of the advice, one higher where its confidence is low or has fallen."""
    level = level_of(now)
    return level if now.told_higher is None else _LEVELS[min(level.rank + 1, len(_LEVELS) - 1)]


def _body(now: AdviceFacts, beside: str, path: str, *, again: bool = False) -> str:
    action = Action(now.action)
    why = now.reason.removeprefix(f"{now.exit_state}: ")  # the title names the state
    soft = [path, beside, sentence(opened(why))]
    if now.told_higher is not None and level_of(now) is not Level.EMERGENCY:
        soft.append(sentence(f"Told louder: {now.told_higher}"))
    at_risk = action is Action.CONTINUE and now.state not in (None, ExitState.NORMAL)
    firm = [
        "" if now.confidence is None else f"Confidence in this advice {now.confidence:.2f}.",
        sentence(opened(now.expected or "")),
        f"To set: {now.form}." if now.form else "",
        _BE_READY if at_risk else _TO_DO[action],
        "" if now.until is None else f"Stands until {now.until}.",
        f"To hear no more of it: regimed decide {now.id} acknowledge." if again else "",
        f"regimed explain {now.id}",
    ]
    return fit(soft, firm, MOST_BODY)


def _rank(level: Level) -> int:
    return level.rank


_BE_READY = "Let the grid run, keep its stop in place, and be ready to stop it."
_TO_DO = {
    Action.CONTINUE: "Nothing to do; keep the stop in place.",
    Action.ADJUST: "Move the grid at the exchange, then accept; or decline.",
    Action.STOP_GRID: "Stop the grid at the exchange and sell the coin, then accept; or decline and keep it.",
    Action.WITHHELD: "No advice until an hour can be judged again.",
    Action.CREATE_GRID: "Set the grid up at the exchange, then accept; or decline.",
    Action.CREATE_PROBATIONARY_GRID: "A smaller grid on trial: set it up, then accept; or decline.",
    Action.NO_SETUP: "Set nothing up.",
}
