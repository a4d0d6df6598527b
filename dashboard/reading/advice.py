"""Recommendations: as recorded, with what was done about them and what became of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from dashboard.pages import Advice, Answered, Check, Fact, Outcome, Tone
from dashboard.reading.records import RecordShelf
from dashboard.reading.telling import ACTION_TONE, EXIT_TONE, Troubles, number, quoted, signed
from decisions.outcomes import Horizon
from decisions.recommendation import Action, Kind
from exits.states import ExitState
from market.errors import DataInvalid
from market.hours import parse_instant
from store.decision_files import ActionFile, DecisionFile, evaluation_path, past_advice
from store.explaining import in_words
from store.outcomes import EvaluationFile

_URGENCY = (
    Action.STOP_GRID,
    Action.ADJUST,
    Action.CREATE_GRID,
    Action.CREATE_PROBATIONARY_GRID,
    Action.WITHHELD,
    Action.CONTINUE,
    Action.NO_SETUP,
)


@dataclass(frozen=True, slots=True)
class Standing:
    """By what it is told whether a recommendation still waits for an answer.

    Attributes:
        at: By whose clock it expires.
        newest: Ids of the newest hour's recommendations: all others are overtaken.
        running: Whether each known grid runs.
        withheld: Why the advice of its market is withheld by now; empty where it is not.
    """

    at: datetime
    newest: frozenset[str]
    running: Mapping[str, bool]
    withheld: str = ""

    def lapsed(self, file: DecisionFile, actions: list[ActionFile]) -> str | None:
        """Return why it does not wait: "" where it was answered or wants no answer; None where it waits."""
        past = past_advice(file, actions)
        if not past.action.wants_answer or past.answer is not None:
            return ""
        if not past.is_open(self.at):
            return "expired"
        runs = self.running.get(file.grid_id)
        if file.id not in self.newest:
            return "overtaken"
        settled = runs is not None and runs is not (file.type is Kind.MANAGE)
        if settled:
            return "settled"
        # a stop is never hidden: the grid runs on while nobody watches it
        return "withheld" if self.withheld and file.action is not Action.STOP_GRID else None


def urgency(action: str) -> int:
    """Return the place of an action, the most urgent one first."""
    return _URGENCY.index(Action(action)) if action in _URGENCY else len(_URGENCY)


def advice_of(shelf: RecordShelf, decision_id: str, standing: Standing, troubles: Troubles) -> Advice | None:
    """Return a recommendation with all that was recorded about it, None where there is none to tell."""
    file = troubles.reading("a recommendation", partial(shelf.decision, decision_id), None)
    if file is None:
        return None
    actions: list[ActionFile] = troubles.reading("an answer", partial(shelf.actions, decision_id), [])
    lapsed = standing.lapsed(file, actions)
    return Advice(
        id=file.id,
        market=file.market,
        hour_closes_at=file.closes_at,
        created_at=parse_instant(file.created_at),
        expires_at=None if file.expires_at is None else parse_instant(file.expires_at),
        grid_id=file.grid_id,
        action=file.action.value,
        reason=file.reason,
        verdict=file.verdict,
        confidence=file.confidence.value,
        factors=file.confidence.factors,
        checks=tuple(
            Check(
                check.name,
                check.passed,
                quoted(check.value),
                quoted(check.threshold),
                check.distance,
                check.reason,
            )
            for check in file.checks
        ),
        paragraphs=troubles.reading("its words", partial(_paragraphs, file, actions), ()),
        proposed=troubles.reading("the proposed grid", partial(_proposed, file), ()),
        answers=tuple(
            Answered(parse_instant(action.at), action.actor, action.action.value, action.note or "")
            for action in actions
        ),
        outcomes=tuple(_outcome(shelf, file, horizon, troubles) for horizon in Horizon),
        is_open=lapsed is None,
        tone=_tone(file),
        alternatives=tuple(Fact(each.action.value, each.reason) for each in file.alternatives),
        lapsed=lapsed or "",
        withheld=standing.withheld if lapsed in (None, "withheld") else "",
    )


def _tone(file: DecisionFile) -> Tone:
    if file.action is Action.STOP_GRID and file.exit_state == ExitState.MANDATORY_EXIT:
        return Tone.URGENT
    if file.action is Action.CONTINUE:
        return EXIT_TONE.get(file.exit_state, Tone.GOOD)
    return ACTION_TONE[file.action]


def _paragraphs(file: DecisionFile, actions: Sequence[ActionFile]) -> tuple[str, ...]:
    try:
        return tuple(in_words(file, actions))
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        where = f"decisions/{file.id}.yaml"
        raise DataInvalid(where, "comparison, proposed, expected", f"not as written: {error!r}") from None


def _proposed(file: DecisionFile) -> tuple[Fact, ...]:
    told = file.proposed
    if told is None:
        return ()
    try:
        form = tuple(Fact(str(label), str(text)) for label, text in told["form"].items())
        return (
            *form,
            Fact("Kind", str(told["kind"])),
            Fact("A cycle earns", f"{told['net_cycle_pct']:.2f} %", note="after fees"),
            Fact("Loss at the stop-loss", f"{told['loss_at_stop']:.2f}", note="a fall straight to it"),
        )
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise DataInvalid(f"decisions/{file.id}.yaml", "proposed", f"not as written: {error!r}") from None


def _outcome(shelf: RecordShelf, file: DecisionFile, horizon: Horizon, troubles: Troubles) -> Outcome:
    due = file.closes_at + timedelta(hours=horizon.hours)
    found = troubles.reading("an outcome", partial(shelf.evaluation, file.id, horizon.value), None)
    if found is None:
        return Outcome(horizon.value, None, due, None)
    unread: tuple[str, Tone | None] = "it cannot be read", Tone.UNKNOWN
    value, tone = troubles.reading("an outcome", partial(_judged, found), unread)
    return Outcome(horizon.value, value, due, tone)


def _judged(file: EvaluationFile) -> tuple[str, Tone | None]:
    """Return what became of a recommendation in words, and how well that was."""
    told: Mapping[str, Any] = file.outcome
    try:
        quality, missing = told["recommendation_quality"], told["missing_minutes"]
        impact, quote = quality["quote_impact"], quality["quote"]
        verdict = told["realised_verdict"]
        correct = quality["correct"]
        worth = "" if impact is None else f", {signed(impact)} {quote}"
        said = {
            True: "right",
            False: "wrong",
            None: "no difference" if impact is not None else "not comparable",
        }
        market = "" if verdict is None else f"; the market was {verdict}"
        ended = "" if told["grid_exit"] is None else f"; the grid ended by its {told['grid_exit']}"
        lacking = f"; {number(float(missing))} minutes not known" if missing else ""
        tone = {True: Tone.GOOD, False: Tone.BAD, None: None}[correct]
        return f"{said[correct]}{worth}{market}{ended}{lacking}", tone
    except (LookupError, TypeError, ValueError) as error:
        where = evaluation_path(file.decision, str(told.get("horizon")))
        raise DataInvalid(where, "outcome", f"not as written: {error!r}") from None
