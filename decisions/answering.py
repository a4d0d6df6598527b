"""What an operator's answer brings about: a deed of its own, and what it does to the grid. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from decisions.actions import Answer
from decisions.recommendation import Action
from decisions.timers import PastAdvice
from grid.parameters import GridKind, GridParameters
from grid.record import EventKind, GridRecord, new_record, with_event, with_version
from grid.state import state_at
from market.errors import DataInvalid


@dataclass(frozen=True, slots=True)
class Set:
    """What the operator really typed into the exchange's form, where it differs from the proposal."""

    lower: Decimal | None = None
    upper: Decimal | None = None
    amount_per_grid: Decimal | None = None
    stop_loss: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Proposed:
    """The grid that a recommendation proposed."""

    kind: GridKind
    parameters: GridParameters


def check_answer(advice: PastAdvice, answer: Answer, at: datetime, *, late: bool) -> None:
    """Check that advice can be answered so.

    Args:
        advice: With every action recorded so far.
        answer: What the operator says.
        at: When it was done.
        late: An accept after the expiry is meant.

    Raises:
        DataInvalid: Names the field: answered before, done before the advice, over, or nothing to accept.
    """
    if answer in (Answer.NOTE, Answer.ACKNOWLEDGE):
        return
    if advice.answer is not None:
        when, what = advice.answer.at, advice.answer.action
        raise DataInvalid(advice.id, "action", f"already answered: {what} at {when:%Y-%m-%d %H:%M}")
    if at < advice.closes_at:
        raise DataInvalid(advice.id, "at", f"{at}, the advice is of {advice.closes_at}")
    if answer is Answer.ACCEPT and not advice.action.wants_answer:
        raise DataInvalid(advice.id, "action", f"{advice.action} asks for nothing that could be accepted")
    over = advice.expires_at is not None and at >= advice.expires_at
    if answer is Answer.ACCEPT and over and not late:
        raise DataInvalid(
            advice.id, "at", f"the advice expired at {advice.expires_at}; --late accepts it still"
        )


def grid_after(
    advice: PastAdvice,
    proposed: Proposed | None,
    set_: Set,
    at: datetime,
    record: GridRecord | None,
    market: str,
    actor: str,
) -> GridRecord | None:
    """Return the grid's file after an accepted recommendation; None where it does not touch the grid.

    Args:
        advice: The accepted recommendation.
        proposed: What it proposed, None for a stop.
        set_: What was really set.
        at: When it was done at the exchange.
        record: The grid's file now, None where there is none.
        market: Key of the market.
        actor: Who did it.

    Raises:
        DataInvalid: Names the field: a grid that runs is to be created, one that does not to be stopped, or
            numbers that make no grid.
    """
    running = record is not None and (state := state_at(record, at)) is not None and state.running
    if advice.action is Action.STOP_GRID:
        if record is None or not running:
            raise DataInvalid(f"grid {advice.grid_id}", "history", "does not run: there is nothing to stop")
        version = state_at(record, at)
        assert version is not None
        number = version.parameters.version
        return with_event(record, EventKind.DISABLED, at, number, reason=advice.id, by=actor)
    if proposed is None:
        return None
    parameters = _as_set(proposed.parameters, set_, 1 if record is None else len(record.versions) + 1)
    if advice.action is Action.ADJUST:
        if record is None or not running:
            raise DataInvalid(f"grid {advice.grid_id}", "history", "does not run: there is nothing to adjust")
        return with_version(record, parameters, at)
    if running:
        raise DataInvalid(f"grid {advice.grid_id}", "history", "runs already: it cannot be created again")
    if record is None:
        record = new_record(advice.grid_id, market, proposed.kind, parameters, at)
    else:
        record = with_version(record, parameters, at)
    return with_event(record, EventKind.ENABLED, at, parameters.version, reason=advice.id, by=actor)


def _as_set(parameters: GridParameters, set_: Set, version: int) -> GridParameters:
    return replace(
        parameters,
        version=version,
        lower=parameters.lower if set_.lower is None else set_.lower,
        upper=parameters.upper if set_.upper is None else set_.upper,
        amount_per_grid=parameters.amount_per_grid if set_.amount_per_grid is None else set_.amount_per_grid,
        stop_loss=parameters.stop_loss if set_.stop_loss is None else set_.stop_loss,
        profit_pct=None if set_ != Set() else parameters.profit_pct,
    )
