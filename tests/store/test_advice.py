"""Advice on disk: read with all that was done about it, and the files that a deed brings."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from decisions.actions import Answer
from decisions.answering import Set
from decisions.evaluate import Evaluation, evaluate
from grid.parameters import GridKind
from grid.record import EventKind, GridRecord, new_record, with_event
from grid.state import state_at
from market.errors import DataInvalid
from regime.analysis import Confidence
from store.advice import Deed, Recorded, decision_ids, deed_change_set, proposed_of, read_advice
from store.decision_files import (
    action_path,
    decision_file,
    decision_path,
    decode_action,
    encode,
)
from store.grids import decode_grid, encode_grid, grid_path
from tests.decisions.builders import (
    ANALYSIS,
    CHEAP,
    HOUR,
    advice_of,
    analysis,
    inputs,
    parameters,
    policy,
    running,
    stopped,
    trending,
)
from tests.store.samples import decision_files

ID = "2026-02-02/dec-ETH-USDT-150000"
CLOSE = HOUR.closes_at
LATER = CLOSE + timedelta(minutes=20)
NOW = CLOSE + timedelta(minutes=25)
CREATE = evaluate(inputs(), policy())
NOTHING = evaluate(inputs(), policy(trending()))
STOP = evaluate(inputs(grids=(running(),), close=2400.0), policy(analysis(price=2400.0)))
MOVE = evaluate(
    inputs(grids=(running(),)),
    policy(analysis(range=replace(ANALYSIS.range, lower=1960.0, upper=2160.0))),
)
RUNS = with_event(
    new_record("eth-usdt-1", "ETH-USDT", GridKind.NORMAL, parameters(), HOUR.plus(-9).opens_at),
    EventKind.ENABLED,
    HOUR.opens_at,
    1,
)


def recorded(evaluation: Evaluation, *actions: Any) -> Recorded:
    return Recorded(decision_file(evaluation, advice_of(evaluation)), actions, {})


def deed(answer: Answer = Answer.ACCEPT, **others: Any) -> Deed:
    return Deed(**{"answer": answer, "at": LATER, "actor": "operator", **others})


def grid_in(files: Any, grid_id: str = "eth-usdt-1") -> GridRecord:
    path = grid_path(grid_id)
    return decode_grid(files[path], path)


def lay(root: Path, files: Any) -> None:
    """Put files where a repository has them."""
    for path, data in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)


def test_an_accept_brings_its_own_file_and_the_grids_in_one_change_set():
    """Version, `enabled` at the operator's time, and the action."""
    change = deed_change_set(recorded(CREATE), deed(price=Decimal("1999.5"), note="done"), None, NOW)
    assert list(change.files) == [action_path(ID, 1), "grids/eth-usdt-1.yaml"]
    assert change.message == f"[accept] ETH-USDT {ID}: CREATE_GRID"
    action = decode_action(change.files[action_path(ID, 1)], action_path(ID, 1))
    assert (action.decision, action.market, action.actor) == (ID, "ETH-USDT", "operator")
    assert (action.at, action.recorded_at) == ("2026-02-02T15:20:00Z", "2026-02-02T15:25:00Z")
    assert (action.price, action.latency_s, action.note) == (1999.5, 1200.0, "done")
    grid = grid_in(change.files)
    state = state_at(grid, LATER)
    assert state is not None
    assert (state.running, state.started_at, state.stop_reason) == (True, LATER, None)
    proposed = advice_of(CREATE).proposed
    assert proposed is not None
    assert float(state.parameters.lower) == proposed["lower"]
    assert float(state.parameters.amount_per_grid) == proposed["amount_per_grid"]
    assert float(state.parameters.stop_loss or 0) == proposed["stop_loss"]
    assert (state.parameters.version, state.parameters.levels) == (1, proposed["levels"])
    assert grid.history[0].reason == ID


def test_an_accept_takes_what_was_really_set():
    """--lower, --upper, --amount beside the proposal."""
    really = Set(Decimal(1905), Decimal(2095), Decimal(123))
    change = deed_change_set(recorded(CREATE), deed(set_=really), None, NOW)
    found = grid_in(change.files).versions[0].parameters
    assert (found.lower, found.upper, found.amount_per_grid) == (1905, 2095, 123)


def test_an_accepted_trial_is_a_grid_on_trial():
    """Its kind comes from the proposal."""
    trial = evaluate(inputs(), policy(analysis(confidence=Confidence(0.7, {})), costs=CHEAP))
    change = deed_change_set(recorded(trial), deed(), None, NOW)
    assert grid_in(change.files).kind is GridKind.PROBATIONARY


def test_an_accepted_stop_disables_and_an_accepted_move_adds_a_version():
    """Each with the file as it was, and one entry more."""
    stop = deed_change_set(recorded(STOP), deed(), RUNS, NOW)
    assert [event.event for event in grid_in(stop.files).history] == [EventKind.ENABLED, EventKind.DISABLED]
    assert proposed_of(decision_file(STOP, advice_of(STOP))) is None
    move = deed_change_set(recorded(MOVE), deed(), RUNS, NOW)
    assert [float(version.lower) for version in grid_in(move.files).versions] == [1900.0, 1960.0]


@pytest.mark.parametrize("answer", [Answer.DECLINE, Answer.NOTE])
@pytest.mark.parametrize("evaluation", [CREATE, STOP, NOTHING])
def test_a_decline_and_a_note_bring_the_action_only(answer: Answer, evaluation: Evaluation):
    """The grid is as it was."""
    change = deed_change_set(recorded(evaluation), deed(answer, note="no"), RUNS, NOW)
    assert list(change.files) == [action_path(ID, 1)]


def test_an_accepted_record_without_a_proposal_touches_no_grid():
    """There is nothing to write there."""
    bare = decision_file(MOVE, advice_of(MOVE)).model_copy(update={"proposed": None})
    change = deed_change_set(Recorded(bare, (), {}), deed(), RUNS, NOW)
    assert list(change.files) == [action_path(ID, 1)]


def test_actions_are_numbered_in_their_order():
    """A note, an answer, another note: 1, 2, 3."""
    note = decode_action(
        deed_change_set(recorded(CREATE), deed(Answer.NOTE), None, NOW).files[action_path(ID, 1)],
        action_path(ID, 1),
    )
    change = deed_change_set(recorded(CREATE, note), deed(Answer.DECLINE), None, NOW)
    assert list(change.files) == [action_path(ID, 2)]


def test_what_cannot_be_answered_so_brings_nothing():
    """Twice, too late, nothing to accept, or a grid that contradicts it: each refused by its field."""
    declined = decode_action(
        deed_change_set(recorded(CREATE), deed(Answer.DECLINE), None, NOW).files[action_path(ID, 1)],
        action_path(ID, 1),
    )
    for bad, done, grid, field in (
        (recorded(CREATE, declined), deed(), None, "action"),
        (recorded(CREATE), deed(at=CLOSE + timedelta(minutes=60)), None, "at"),
        (recorded(NOTHING), deed(), None, "action"),
        (recorded(CREATE), deed(), RUNS, "history"),
        (recorded(STOP), deed(), None, "history"),
    ):
        with pytest.raises(DataInvalid) as caught:
            deed_change_set(bad, done, grid, NOW)
        assert caught.value.field == field
    meant = deed(at=CLOSE + timedelta(minutes=60), late=True)
    assert len(deed_change_set(recorded(CREATE), meant, None, NOW).files) == 2


def test_a_grid_without_a_stop_loss_is_proposed_without_one():
    """As the record tells, with exact decimals."""
    file = decision_file(CREATE, advice_of(CREATE))
    assert file.proposed is not None
    bare = file.model_copy(update={"proposed": {**file.proposed, "stop_loss": None, "lower": 0.1}})
    proposed = proposed_of(bare)
    assert proposed is not None
    assert proposed.parameters.stop_loss is None
    assert proposed.parameters.lower == Decimal("0.1")


def test_advice_is_read_with_everything_done_about_it(tmp_path: Path):
    """In the order of the numbers, up to the first that is not there."""
    lay(tmp_path, decision_files(CREATE))
    first = deed_change_set(recorded(CREATE), deed(Answer.NOTE), None, NOW)
    lay(tmp_path, first.files)
    found = read_advice(tmp_path, ID)
    second = deed_change_set(found, deed(), None, NOW)
    lay(tmp_path, second.files)
    lay(tmp_path, {action_path(ID, 9): b"nobody reads this"})
    found = read_advice(tmp_path, ID)
    assert found.file == decision_file(CREATE, advice_of(CREATE))
    assert [action.action for action in found.actions] == [Answer.NOTE, Answer.ACCEPT]
    assert found.advice.answer is not None
    assert found.advice.answer.at == LATER
    with pytest.raises(DataInvalid, match="already answered"):
        deed_change_set(found, deed(), None, NOW)


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        ("nonsense", "is not a decision's id"),
        ("2026-02-03/dec-ETH-USDT-150000", "no such decision; decisions/2026-02-03/dec-ETH-USDT-150000.yaml"),
    ],
)
def test_advice_that_is_not_there_is_named(tmp_path: Path, bad: str, problem: str):
    """Mistyped or never written."""
    lay(tmp_path, decision_files(CREATE))
    with pytest.raises(DataInvalid, match=problem):
        read_advice(tmp_path, bad)


def test_advice_or_an_action_that_is_corrupt_is_named(tmp_path: Path):
    """By its file."""
    lay(tmp_path, decision_files(CREATE))
    lay(tmp_path, {action_path(ID, 1): b"a: 1\n"})
    with pytest.raises(DataInvalid, match=r"action-1.yaml: schema_version"):
        read_advice(tmp_path, ID)
    lay(tmp_path, {decision_path(ID): encode(decision_file(CREATE, advice_of(CREATE)))[:-1]})
    (tmp_path / action_path(ID, 1)).unlink()
    with pytest.raises(DataInvalid, match=r"dec-ETH-USDT-150000\.yaml"):
        read_advice(tmp_path, ID)


def test_ids_are_listed_by_day_without_their_parts(tmp_path: Path):
    """Bounds are days, both included; what is no recommendation is passed over."""
    days = ["2026-02-01", "2026-02-02", "2026-02-03"]
    for day in days:
        lay(tmp_path, {f"decisions/{day}/dec-ETH-USDT-150000.yaml": b""})
    lay(
        tmp_path,
        {
            action_path(ID, 1): b"",
            f"decisions/{ID}.eval-24h.yaml": b"",
            "decisions/2026-02-02/notes.txt": b"",
            "decisions/2026-02-02/dec-BTC-USDT-160000.yaml": b"",
        },
    )
    every = [
        "2026-02-01/dec-ETH-USDT-150000",
        "2026-02-02/dec-BTC-USDT-160000",
        "2026-02-02/dec-ETH-USDT-150000",
        "2026-02-03/dec-ETH-USDT-150000",
    ]
    assert list(decision_ids(tmp_path)) == every
    assert list(decision_ids(tmp_path, "2026-02-02")) == every[1:]
    assert list(decision_ids(tmp_path, None, "2026-02-02")) == every[:3]
    assert list(decision_ids(tmp_path, "2026-02-02", "2026-02-02")) == every[1:3]
    assert list(decision_ids(tmp_path / "empty")) == []


def test_a_grids_file_that_a_deed_writes_is_read_back_as_it_is(tmp_path: Path):
    """The same bytes, so that nothing seems to have changed."""
    data = deed_change_set(recorded(CREATE), deed(), None, NOW).files["grids/eth-usdt-1.yaml"]
    assert encode_grid(decode_grid(data, "grids/eth-usdt-1.yaml")) == data
    assert stopped().stopped_at is not None
