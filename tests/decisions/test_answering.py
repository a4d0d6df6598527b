"""Answers: what may be said about which advice, and what it does to the grid's file."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decisions.actions import SYSTEM, ActionTaken, Answer
from decisions.answering import Proposed, Set, check_answer, grid_after
from decisions.recommendation import Action, Kind
from decisions.timers import PastAdvice
from grid.parameters import GridKind
from grid.record import EventKind, GridRecord, extends, new_record, with_event, with_version
from grid.state import state_at
from market.errors import DataInvalid
from market.hours import Hour
from regime.analysis import Verdict
from tests.decisions.builders import parameters

CLOSE = Hour.parse("2026-02-02T14").closes_at
LATER = CLOSE + timedelta(minutes=20)
CREATE = PastAdvice(
    "2026-02-02/dec-ETH-USDT-150000",
    "eth-1",
    Kind.SETUP,
    Action.CREATE_GRID,
    Verdict.RANGE_OK,
    CLOSE,
    CLOSE,
    CLOSE + timedelta(hours=1),
    0.85,
)
STOP = replace(CREATE, kind=Kind.MANAGE, action=Action.STOP_GRID, expires_at=None)
ADJUST = replace(STOP, action=Action.ADJUST)
PROPOSED = Proposed(GridKind.NORMAL, parameters(7, levels=5, profit_pct=Decimal("1.8")))
IDLE = new_record("eth-1", "ETH-USDT", GridKind.NORMAL, parameters(), CLOSE - timedelta(days=2))
RUNS = with_event(IDLE, EventKind.ENABLED, CLOSE - timedelta(days=1), 1)
STOPPED = with_event(RUNS, EventKind.DISABLED, CLOSE - timedelta(hours=5), 1)


def answered(*actions: Answer) -> PastAdvice:
    return replace(CREATE, actions=tuple(ActionTaken(LATER, "operator", action) for action in actions))


AS_PROPOSED = Set()


def after(
    advice: PastAdvice,
    record: GridRecord | None,
    proposed: Proposed | None = PROPOSED,
    set_: Set = AS_PROPOSED,
    at: datetime = LATER,
) -> GridRecord | None:
    return grid_after(advice, proposed, set_, at, record, "ETH-USDT", "operator")


# --- what may be said ---


@pytest.mark.parametrize("answer", [Answer.ACCEPT, Answer.DECLINE, Answer.NOTE])
def test_open_advice_may_be_accepted_declined_or_noted(answer: Answer):
    """From the close of its hour on."""
    for at in (CLOSE, LATER):
        check_answer(CREATE, answer, at, late=False)
        check_answer(STOP, answer, at, late=False)


@pytest.mark.parametrize("answer", [Answer.ACCEPT, Answer.DECLINE])
@pytest.mark.parametrize("first", [Answer.ACCEPT, Answer.DECLINE])
def test_advice_is_answered_once(first: Answer, answer: Answer):
    """A second answer is refused with the first one's words; notes and the system's deeds are no answers."""
    with pytest.raises(DataInvalid, match=f"action: already answered: {first} at 2026-02-02 15:20"):
        check_answer(answered(Answer.NOTE, first), answer, LATER, late=True)
    check_answer(answered(first), Answer.NOTE, LATER, late=False)
    check_answer(answered(Answer.NOTE), answer, LATER, late=False)


def test_nothing_is_done_before_the_advice_was_given():
    """A second before the close is refused, by its field."""
    for answer in (Answer.ACCEPT, Answer.DECLINE):
        with pytest.raises(DataInvalid, match=r"at: .*, the advice is of 2026-02-02 15:00"):
            check_answer(CREATE, answer, CLOSE - timedelta(seconds=1), late=False)


@pytest.mark.parametrize("action", [Action.CONTINUE, Action.WITHHELD, Action.NO_SETUP])
def test_what_asks_for_nothing_cannot_be_accepted(action: Action):
    """But it may be declined or noted."""
    advice = replace(CREATE, action=action, expires_at=None)
    with pytest.raises(DataInvalid, match=f"action: {action} asks for nothing that could be accepted"):
        check_answer(advice, Answer.ACCEPT, LATER, late=True)
    check_answer(advice, Answer.DECLINE, LATER, late=False)


@pytest.mark.parametrize(("after_min", "over"), [(59.99, False), (60, True), (90, True)])
def test_an_accept_after_the_expiry_needs_to_be_meant(after_min: float, over: bool):
    """--late accepts it still; a decline may always come late."""
    at = CLOSE + timedelta(minutes=after_min)
    expired = replace(CREATE, actions=(ActionTaken(at, SYSTEM, Answer.EXPIRED),))
    check_answer(expired, Answer.ACCEPT, at, late=True)
    check_answer(expired, Answer.DECLINE, at, late=False)
    check_answer(replace(CREATE, expires_at=None), Answer.ACCEPT, at, late=False)
    if over:
        with pytest.raises(DataInvalid, match=r"at: the advice expired at .*; --late accepts it still"):
            check_answer(expired, Answer.ACCEPT, at, late=False)
    else:
        check_answer(expired, Answer.ACCEPT, at, late=False)


# --- what it does ---


def test_accepting_a_first_setup_writes_version_and_start():
    """At the operator's time, with the decision as reason; the number is the file's next."""
    made = after(CREATE, None)
    assert made is not None
    assert (made.grid_id, made.market, made.kind) == ("eth-1", "ETH-USDT", GridKind.NORMAL)
    assert made.versions[0].parameters == replace(PROPOSED.parameters, version=1)
    assert made.versions[0].since == LATER
    (event,) = made.history
    assert (event.event, event.at, event.version) == (EventKind.ENABLED, LATER, 1)
    assert (event.reason, event.by) == (CREATE.id, "operator")
    trial = after(CREATE, None, Proposed(GridKind.PROBATIONARY, PROPOSED.parameters))
    assert trial is not None
    assert trial.kind is GridKind.PROBATIONARY


def test_accepting_a_setup_of_a_stopped_grid_adds_to_its_file():
    """Nothing that stood there changes."""
    made = after(CREATE, STOPPED)
    assert made is not None
    assert extends(STOPPED, made) is None
    assert [version.version for version in made.versions] == [1, 2]
    assert made.history[-1].version == 2
    state = state_at(made, LATER)
    assert state is not None
    assert state.running
    assert state.parameters.levels == 5


def test_a_setup_takes_what_was_really_set():
    """Bounds and amount as typed; the form's profit is then no longer known."""
    typed = Set(Decimal(1910), Decimal("2090.5"), Decimal(140))
    made = after(CREATE, None, set_=typed)
    assert made is not None
    found = made.versions[0].parameters
    assert (found.lower, found.upper, found.amount_per_grid) == (1910, Decimal("2090.5"), 140)
    assert found.profit_pct is None
    assert (found.levels, found.stop_loss) == (5, 1870)
    lowered = after(CREATE, None, set_=Set(lower=Decimal(1860), stop_loss=Decimal(1820)))
    assert (lowered.versions[0].parameters.lower, lowered.versions[0].parameters.stop_loss) == (1860, 1820)
    for part in (
        Set(lower=Decimal(1910)),
        Set(upper=Decimal(2090)),
        Set(amount_per_grid=Decimal(9)),
        Set(stop_loss=Decimal(1850)),
    ):
        made = after(CREATE, None, set_=part)
        assert made is not None
        assert made.versions[0].profit_pct is None
    plain = after(CREATE, None)
    assert plain is not None
    assert plain.versions[0].profit_pct == Decimal("1.8")


@pytest.mark.parametrize(
    ("set_", "field"),
    [
        (Set(lower=Decimal(2100)), "upper"),
        (Set(lower=Decimal(1870)), "stop_loss"),
        (Set(amount_per_grid=Decimal(-1)), "amount_per_grid"),
        (Set(upper=Decimal(0)), "upper"),
    ],
)
def test_numbers_that_make_no_grid_are_refused_by_their_field(set_: Set, field: str):
    """The operator hears which one."""
    with pytest.raises(DataInvalid) as caught:
        after(CREATE, None, set_=set_)
    assert caught.value.field == field


def test_accepting_a_stop_disables_with_the_decision_as_reason():
    """Under the version in force."""
    adjusted = with_version(RUNS, parameters(2, levels=6), CLOSE - timedelta(hours=2))
    made = after(STOP, adjusted, None)
    assert made is not None
    event = made.history[-1]
    assert (event.event, event.at, event.version) == (EventKind.DISABLED, LATER, 2)
    assert (event.reason, event.by) == (STOP.id, "operator")
    assert extends(adjusted, made) is None


def test_accepting_a_move_adds_a_version_and_no_event():
    """The grid runs on, under the new bounds from then."""
    made = after(ADJUST, RUNS, set_=Set(upper=Decimal(2150)))
    assert made is not None
    assert made.history == RUNS.history
    state = state_at(made, LATER)
    assert state is not None
    assert (state.running, state.parameters.version, state.parameters.upper) == (True, 2, 2150)
    assert state.in_force_since == LATER


@pytest.mark.parametrize(
    ("advice", "record", "problem"),
    [
        (STOP, None, "does not run: there is nothing to stop"),
        (STOP, IDLE, "does not run: there is nothing to stop"),
        (STOP, STOPPED, "does not run: there is nothing to stop"),
        (ADJUST, None, "does not run: there is nothing to adjust"),
        (ADJUST, STOPPED, "does not run: there is nothing to adjust"),
        (CREATE, RUNS, "runs already: it cannot be created again"),
    ],
)
def test_an_accept_that_the_grid_contradicts_is_refused(advice, record, problem):
    """To be created but runs; to be stopped or moved but does not run."""
    with pytest.raises(DataInvalid, match=f"grid eth-1: history: {problem}"):
        after(advice, record)


def test_an_accept_dated_back_before_a_later_event_is_refused():
    """History is append-only, so a stop cannot be put before one that stands there."""
    with pytest.raises(DataInvalid, match=r"history\.2"):
        after(STOP, STOPPED, at=CLOSE - timedelta(hours=10))
    with pytest.raises(DataInvalid, match=r"versions\.1\.from"):
        after(CREATE, IDLE, at=CLOSE - timedelta(days=3))


def test_an_accept_without_a_proposal_touches_no_grid():
    """An older record, or one of another hand."""
    assert after(CREATE, None, None) is None
    assert after(ADJUST, RUNS, None) is None


@given(
    st.lists(st.sampled_from([STOP, ADJUST, CREATE]), max_size=12),
    st.lists(st.integers(0, 600), min_size=12, max_size=12),
)
def test_property_47_whatever_is_accepted_the_file_only_grows(advices, waits):
    """Versions count on, events alternate, and what stood there stands."""
    record: GridRecord | None = None
    at = CLOSE
    for advice, wait in zip(advices, waits, strict=False):
        at += timedelta(seconds=wait)
        try:
            made = after(advice, record, at=at)
        except DataInvalid:
            continue
        assert made is not None
        assert record is None or extends(record, made) is None
        assert [version.version for version in made.versions] == list(range(1, len(made.versions) + 1))
        record = made
