"""Decision files: what is written is read back, and what was changed is refused by its field."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decisions.actions import SYSTEM, Answer
from decisions.evaluate import Evaluation, evaluate
from decisions.recommendation import Action, Kind
from market.errors import DataInvalid
from regime.analysis import Confidence, Verdict
from store import yaml_text
from store.decision_files import (
    ActionFile,
    DecisionFile,
    action_path,
    check_decision,
    decision_file,
    decision_of,
    decision_path,
    decode_action,
    decode_decision,
    encode,
    evaluation_path,
    is_action,
    past_advice,
    recommendation_of,
    restamped_action,
)
from tests.decisions.builders import (
    HOUR,
    advice_of,
    analysis,
    inputs,
    no_data,
    policy,
    running,
    stopped,
    trending,
    unjudged,
)
from tests.store.samples import decision_files

unhurried = settings(deadline=None)
ID = "2026-02-02/dec-ETH-USDT-150000"
PATH = f"decisions/{ID}.yaml"
ACTION = ActionFile(
    schema_version=1,
    decision=ID,
    market="ETH-USDT",
    at="2026-02-02T15:20:00Z",
    recorded_at="2026-02-02T15:21:00Z",
    actor="operator",
    action=Answer.ACCEPT,
    price=1999.5,
    latency_s=1200.0,
    note="as told",
)
EVALUATIONS: dict[str, Evaluation] = {
    "create": evaluate(inputs(), policy()),
    "trial or none": evaluate(inputs(), policy(analysis(confidence=Confidence(0.7, {})))),
    "no setup": evaluate(inputs(grids=(stopped(at=HOUR.opens_at),)), policy(trending())),
    "continue": evaluate(inputs(grids=(running(),)), policy()),
    "stop": evaluate(inputs(grids=(running(),), close=2400.0), policy(analysis(price=2400.0))),
    "withheld": evaluate(unjudged(grids=(running(),)), policy()),
    "no data": evaluate(no_data(calibration=None), policy()),
    "several": evaluate(inputs(grids=(running("a"), running("b", market="ETH-USDT"))), policy()),
}


def first(evaluation: Evaluation) -> tuple[str, bytes]:
    return next(iter(decision_files(evaluation).items()))


@pytest.mark.parametrize("name", EVALUATIONS)
def test_a_decision_file_round_trips(name: str):
    """The same bytes, the same record, and the recommendation that it holds; for every kind of hour."""
    evaluation = EVALUATIONS[name]
    files = decision_files(evaluation)
    assert len(files) == len(evaluation.advice)
    for advice, (path, data) in zip(evaluation.advice, files.items(), strict=True):
        assert path == decision_path(advice.id)
        file = decode_decision(data, path)
        assert file == decision_file(evaluation, advice)
        assert encode(file) == data
        assert recommendation_of(file) == advice
        check_decision(data, path)


def test_a_record_says_by_what_and_when_it_was_made():
    """Configuration, engine, calibration, inputs, and how late it was."""
    evaluation = EVALUATIONS["create"]
    file = decision_file(evaluation, advice_of(evaluation))
    assert (file.config_hash, file.engine_version) == ("c0ffee", evaluation.engine_version)
    assert file.calibration == "calibration/ETH-USDT/2026-01.yaml"
    assert file.inputs.window_digest == evaluation.inputs.window.digest()
    assert (file.created_at, file.late_s) == ("2026-02-02T15:00:05Z", 5.0)
    assert (file.verdict, file.type, file.action) == ("RANGE_OK", Kind.SETUP, Action.CREATE_GRID)
    assert file.scores is not None
    assert (file.scores.p, file.scores.T) == (0.86, 0.2)
    assert file.closes_at == HOUR.closes_at
    assert file.gates == []
    blind = EVALUATIONS["no data"]
    bare = decision_file(blind, advice_of(blind))
    assert (bare.verdict, bare.scores, bare.calibration, bare.expires_at) == (None, None, None, None)
    gated = EVALUATIONS["no setup"]
    names = [gate["name"] for gate in decision_file(gated, advice_of(gated)).gates]
    assert names == ["directional_energy_decay", "mean_reversion_return", "tradable_volatility"]


def changed(data: bytes, **others: Any) -> bytes:
    return yaml_text.dump({**yaml_text.load(data, "test"), **others})


@pytest.mark.parametrize(
    ("others", "field"),
    [
        ({"more": 1}, "more"),
        ({"action": "BUY"}, "action"),
        ({"type": "GRID_LUCK"}, "type"),
        ({"verdict": "FINE"}, "verdict"),
        ({"grid_version": "1"}, "grid_version"),
        ({"late_s": None}, "late_s"),
        ({"confidence": {"value": 0.5}}, "confidence.factors"),
        ({"confidence": {"value": 0.5, "factors": {}, "luck": 1}}, "confidence.luck"),
        ({"checks": [{"name": "data"}]}, "checks.0.passed"),
        ({"alternatives": [{"action": "BUY", "reason": "x"}]}, "alternatives.0.action"),
        ({"schema_version": 2}, "schema_version"),
        ({"schema_version": True}, "schema_version"),
        ({"id": "2026-02-02/dec-SOL-USDT-150000"}, "id"),
    ],
)
def test_a_changed_decision_is_refused_by_its_field(others: dict[str, Any], field: str):
    """Unknown fields too: what nobody reads must not stand there."""
    path, data = first(EVALUATIONS["create"])
    with pytest.raises(DataInvalid) as caught:
        decode_decision(changed(data, **others), path)
    assert (caught.value.where, caught.value.field) == (path, field)


@pytest.mark.parametrize(
    ("others", "field"),
    [
        ({"more": 1}, "more"),
        ({"action": "sell"}, "action"),
        ({"price": "1999.5"}, "price"),
        ({"actor": 7}, "actor"),
        ({"schema_version": 0}, "schema_version"),
        ({"decision": "2026-02-02/dec-SOL-USDT-150000"}, "decision"),
    ],
)
def test_a_changed_action_is_refused_by_its_field(others: dict[str, Any], field: str):
    """Beginning with the decision that its path names."""
    path = action_path(ID, 1)
    with pytest.raises(DataInvalid) as caught:
        decode_action(changed(encode(ACTION), **others), path)
    assert (caught.value.where, caught.value.field) == (path, field)


def test_what_is_no_mapping_or_not_these_bytes_is_refused():
    """Another spelling of the same values is another file."""
    path, data = first(EVALUATIONS["continue"])
    for bad, problem in (
        (b"- 1\n", "list, expected a mapping"),
        (data + b"# seen\n", "not the bytes"),
        (data.replace(b"market: ETH-USDT", b"market: 'ETH-USDT'"), "not the bytes"),
        (data + data[: data.index(b"\n") + 1], "stands twice"),
    ):
        with pytest.raises(DataInvalid, match=problem):
            decode_decision(bad, path)


@unhurried
@given(st.data())
def test_a_flipped_byte_never_reads_as_the_same_record(data: st.DataObject):
    """It is refused, or what it says is another thing than what was written."""
    path, good = first(EVALUATIONS[data.draw(st.sampled_from(sorted(EVALUATIONS)))])
    place, flip = data.draw(st.integers(0, len(good) - 1)), data.draw(st.integers(1, 255))
    bad = bytearray(good)
    bad[place] ^= flip
    try:
        read = decode_decision(bytes(bad), path)
    except DataInvalid as error:
        assert error.where == path
    else:
        assert read != decode_decision(good, path)
        assert encode(read) == bytes(bad)


@given(
    st.sampled_from(list(Answer)),
    st.none() | st.floats(0.0001, 1e9),
    st.none() | st.floats(-1e9, 1e9),
    st.none() | st.text(st.characters(exclude_categories=("C", "Z")), max_size=30),
    st.text("abc-_. ", min_size=1, max_size=10),
)
def test_an_action_file_round_trips(action, price, latency, note, actor):
    """Whatever was typed."""
    file = ACTION.model_copy(
        update={"action": action, "price": price, "latency_s": latency, "note": note, "actor": actor}
    )
    path = action_path(ID, 3)
    data = encode(file)
    assert decode_action(data, path) == file
    check_decision(data, path)


def test_paths_name_the_decision_and_its_part():
    """One file a fact, and each says whose it is."""
    assert decision_path(ID) == PATH
    assert action_path(ID, 12) == f"decisions/{ID}.action-12.yaml"
    assert evaluation_path(ID, "24h") == f"decisions/{ID}.eval-24h.yaml"
    assert decision_of(PATH) == (ID, None)
    assert decision_of(action_path(ID, 12)) == (ID, "action-12")
    for horizon in ("24h", "72h", "7d"):
        assert decision_of(evaluation_path(ID, horizon)) == (ID, f"eval-{horizon}")
    assert decision_of(f"decisions/{ID}-eth.usdt-1.yaml") == (f"{ID}-eth.usdt-1", None)
    for path in (PATH, evaluation_path(ID, "24h"), "grids/eth-1.yaml"):
        assert is_action(path) is False
    assert is_action(action_path(ID, 1)) is True


@pytest.mark.parametrize(
    "path",
    [
        "decisions/2026-02-02/x.yaml",
        f"decisions/{ID}.action-0.yaml",
        f"decisions/{ID}.action-12345.yaml",
        f"decisions/{ID}.eval-1h.yaml",
        f"decisions/{ID}.yaml.yaml",
        f"decisions/../{ID}.yaml",
        f"snapshots/{ID}.yaml",
    ],
)
def test_no_other_name_is_a_decisions(path: str):
    """Numbers from 1, known horizons, its own folder."""
    assert decision_of(path) is None


@pytest.mark.parametrize("bad", ["", "dec-ETH", f"{ID}.action-1", f"{ID}/..", "../x/dec-ETH"])
def test_an_id_that_names_no_decision_is_refused(bad: str):
    """With the form that is expected; an action is not a decision."""
    with pytest.raises(ValueError, match="is not a decision's id; expected 2026-02-02/dec-ETH-USDT-150000"):
        decision_path(bad)


def test_an_evaluation_file_has_only_to_be_yaml():
    """Its content is checked by those who write it."""
    check_decision(b"horizon: 24h\n", evaluation_path(ID, "24h"))
    with pytest.raises(DataInvalid, match="eval-24h"):
        check_decision(b"a: [", evaluation_path(ID, "24h"))
    with pytest.raises(DataInvalid, match="schema_version"):
        check_decision(b"a: 1\n", "elsewhere.yaml")


def test_a_restamped_action_differs_in_when_it_was_recorded_only():
    """A judgement sees it from its landing on."""
    path = action_path(ID, 1)
    again = restamped_action(encode(ACTION), path, HOUR.closes_at + timedelta(hours=1))
    assert decode_action(again, path) == ACTION.model_copy(update={"recorded_at": "2026-02-02T16:00:00Z"})


def test_the_timers_read_what_was_recorded():
    """Hour, expiry, confidence, and every deed in order with its exact price."""
    evaluation = EVALUATIONS["create"]
    file = decision_file(evaluation, advice_of(evaluation))
    expired = ACTION.model_copy(update={"action": Answer.EXPIRED, "actor": SYSTEM, "price": None})
    found = past_advice(file, [ACTION, expired])
    assert (found.id, found.grid_id, found.kind, found.action) == (
        ID,
        "eth-usdt-1",
        Kind.SETUP,
        Action.CREATE_GRID,
    )
    assert (found.verdict, found.confidence) == (Verdict.RANGE_OK, 0.86)
    assert found.closes_at == HOUR.closes_at
    assert found.created_at == HOUR.closes_at + timedelta(seconds=5)
    assert found.expires_at == HOUR.closes_at + timedelta(hours=1)
    assert [(a.action, a.price) for a in found.actions] == [
        (Answer.ACCEPT, Decimal("1999.5")),
        (Answer.EXPIRED, None),
    ]
    assert found.actions[0].at == HOUR.closes_at + timedelta(minutes=20)
    assert (found.actions[0].latency_s, found.actions[0].is_human) == (1200.0, True)
    assert found.actions[0].note == "as told"
    assert found.actions[1].is_human is False
    blind = EVALUATIONS["no data"]
    bare = past_advice(decision_file(blind, advice_of(blind)), [])
    assert (bare.verdict, bare.expires_at, bare.actions) == (None, None, ())
    assert isinstance(file, DecisionFile)
