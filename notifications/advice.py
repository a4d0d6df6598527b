"""The words of advice: what changed for a grid, why, how sure, what to do and by when. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from decisions.recommendation import Action, Recommendation
from decisions.timers import PastAdvice
from exits.states import ExitState
from notifications.notice import Level, Notice

_LEVELS = (Level.QUIET, Level.NORMAL, Level.HIGH, Level.EMERGENCY)
_OF_STATE = dict(zip(ExitState, _LEVELS, strict=True))
_LEAST = {Action.STOP_GRID: Level.HIGH, Action.WITHHELD: Level.NORMAL}
_MOST_BODY = 1024


@dataclass(frozen=True, slots=True)
class AdviceFacts:
    """What a notice needs to know of one recommendation; JSON-able.

    Attributes:
        form: The exchange's form as lines to copy; empty where nothing is to be set up.
        until: When the advice is over, `15:00`; None where the next hour replaces it.
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


def facts_of(advice: Recommendation, expected: str | None) -> AdviceFacts:
    """Return what a notice needs of a recommendation.

    Args:
        advice: Just made, or as recorded.
        expected: What the grid would be worth after fees, in words.
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
    )


def advice_notice(
    key: str, before: AdviceFacts | None, now: AdviceFacts, at: datetime, beside: str = ""
) -> Notice | None:
    """Return what the operator should hear about one grid, None where nothing is new.

    `beside` is what the market adds: why the hour could not be judged, what was caught up.

    New is: another action that wants an answer, another exit state, advice that is withheld or given again,
    and a confidence that has fallen too low or too fast. A grid that goes on as before is silence, and so is
    a market where nothing is set up.
    """
    action = Action(now.action)
    same_grid = before is not None and before.grid_id == now.grid_id
    acted = before is None or not same_grid or before.action != now.action
    seen = before.exit_state if before is not None and same_grid else None
    state_changed = now.exit_state is not None and now.exit_state != (seen or ExitState.NORMAL.value)
    louder = now.told_higher is not None and (before is None or before.told_higher is None)
    withheld = Action.WITHHELD.value in (
        now.action,
        before.action if before is not None and same_grid else None,
    )
    if not (louder or state_changed or (acted and (action.wants_answer or withheld))):
        return None
    level = _level(action, now)
    if now.told_higher is not None:
        level = _LEVELS[min(_LEVELS.index(level) + 1, len(_LEVELS) - 1)]
    what = now.action if now.exit_state is None else f"{now.action}, exit state {now.exit_state}"
    return Notice(
        dedupe=f"{now.id}/{now.action}",
        market=key,
        level=level,
        title=f"{now.grid_id}: {what}",
        body=f"{beside} {_body(action, now)}".strip()[:_MOST_BODY],
        at=at,
    )


def _level(action: Action, now: AdviceFacts) -> Level:
    if now.exit_state is not None:
        of_state = _OF_STATE[ExitState(now.exit_state)]
        least = _LEAST.get(action, Level.QUIET)
        return max(of_state, least, key=_LEVELS.index)
    return Level.NORMAL


def _body(action: Action, now: AdviceFacts) -> str:
    parts = [_sentence(now.reason)]
    if now.told_higher is not None:
        parts.append(_sentence(now.told_higher))
    if now.confidence is not None:
        parts.append(f"Confidence {now.confidence:.2f}.")
    if now.expected is not None:
        parts.append(_sentence(now.expected))
    if now.form:
        parts.append(f"To set: {now.form}.")
    parts.append(_TO_DO[action])
    if now.until is not None:
        parts.append(f"Stands until {now.until}.")
    parts.append(f"regimed explain {now.id}")
    return " ".join(parts)


_TO_DO = {
    Action.CONTINUE: "Nothing to do; keep the stop in place.",
    Action.ADJUST: "Move the grid at the exchange, then accept; or decline.",
    Action.STOP_GRID: "Stop the grid at the exchange and sell the coin, then accept; or decline and keep it.",
    Action.WITHHELD: "Advice is withheld; look at the grid yourself.",
    Action.CREATE_GRID: "Set the grid up at the exchange, then accept; or decline.",
    Action.CREATE_PROBATIONARY_GRID: "A smaller grid on trial: set it up, then accept; or decline.",
    Action.NO_SETUP: "Set nothing up.",
}


def louder_notice(key: str, advice: PastAdvice, due: datetime) -> Notice:
    """Return the notice that a stop has not been answered in time; once for each recommendation."""
    waited = int((due - advice.closes_at).total_seconds() // 60)
    return Notice(
        dedupe=f"{advice.id}/louder",
        market=key,
        level=Level.EMERGENCY,
        title=f"{advice.grid_id}: STOP_GRID unanswered for {waited} min",
        body=f"The stop of {advice.id} waits for an answer. {_TO_DO[Action.STOP_GRID]}"
        f" regimed explain {advice.id}",
        at=due,
    )


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."
