"""Decision files: a recommendation, written once, and one file for each action and each evaluation of it."""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from decisions.actions import ActionTaken, Answer
from decisions.checks import Check
from decisions.evaluate import Evaluation
from decisions.recommendation import Action, Alternative, Kind, Recommendation, Stated
from decisions.timers import PastAdvice
from market.errors import DataInvalid
from market.hours import Hour, instant_iso, parse_instant
from regime.analysis import RegimeAnalysis, Verdict
from regime.gates.record import as_record as gates_record
from store import yaml_text
from store.records import InputsYaml, VerdictName, inputs_yaml
from store.seal import validated

SCHEMA_VERSION = 1
_ID = r"(?P<date>\d{4}-\d{2}-\d{2})/dec-[A-Za-z0-9](?:[A-Za-z0-9_-]|\.(?!action-|eval-|yaml)){0,230}"
_PATH = re.compile(  # with every ending below the 255 bytes that a file's name may have
    rf"decisions/(?P<id>{_ID})(?:\.(?P<part>action-[1-9][0-9]{{0,3}}|eval-(?:24h|72h|7d)))?\.yaml"
)
Read = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)
_Model = TypeVar("_Model", bound=BaseModel)


class StatedYaml(BaseModel):
    """How sure, and what made it."""

    model_config = Read

    value: float | None
    factors: dict[str, float]


class CheckYaml(BaseModel):
    """One check, with how far it was from turning."""

    model_config = Read

    name: str
    passed: bool | None
    value: float | str | None
    threshold: float | str | None
    distance: float | None
    reason: str


class AlternativeYaml(BaseModel):
    model_config = Read

    action: Action = Field(strict=False)
    reason: str


class ScoresYaml(BaseModel):
    """Both scores of the hour; T is trendiness, p the probability that the range holds 24 h."""

    model_config = Read

    p: float | None
    p0: float | None
    T: float | None
    T4: float | None
    evidence_verdict: VerdictName
    classic_verdict: VerdictName

    @classmethod
    def of(cls, analysis: RegimeAnalysis) -> ScoresYaml:
        return cls(
            p=analysis.hold_probability,
            p0=analysis.barrier_probability,
            T=analysis.trendiness,
            T4=analysis.trendiness_4h,
            evidence_verdict=analysis.evidence_verdict.value,
            classic_verdict=analysis.classic_verdict.value,
        )


class DecisionFile(BaseModel):
    """What `decisions/{date}/dec-{key}-{HHMMSS}[-{grid_id}].yaml` holds."""

    model_config = Read

    schema_version: Literal[1]
    id: str
    market: str
    hour: str
    grid_id: str
    grid_version: int | None
    type: Kind = Field(strict=False)
    action: Action = Field(strict=False)
    reason: str
    verdict: VerdictName | None
    scores: ScoresYaml | None
    confidence: StatedYaml
    told_higher: str | None
    exit_state: str | None
    gates: list[dict[str, Any]]
    checks: list[CheckYaml]
    comparison: dict[str, Any] | None
    proposed: dict[str, Any] | None
    expected: dict[str, Any] | None
    alternatives: list[AlternativeYaml]
    expires_at: str | None
    created_at: str
    late_s: float
    calibration: str | None
    config_hash: str
    engine_version: int
    inputs: InputsYaml

    @property
    def closes_at(self) -> datetime:
        return Hour.parse(self.hour).closes_at


class ActionFile(BaseModel):
    """What `.action-{n}.yaml` holds: `at` is when it was done, `recorded_at` when the file came to be."""

    model_config = Read

    schema_version: Literal[1]
    decision: str
    market: str
    at: str
    recorded_at: str
    actor: str
    action: Answer = Field(strict=False)
    price: float | None
    latency_s: float | None
    note: str | None


def decision_path(decision_id: str) -> str:
    """Return where a recommendation lies.

    Raises:
        ValueError: Not a decision's id.
    """
    path = f"decisions/{decision_id}.yaml"
    if decision_of(path) != (decision_id, None):
        raise ValueError(f"{decision_id!r} is not a decision's id; expected 2026-02-02/dec-ETH-USDT-150000")
    return path


def action_path(decision_id: str, number: int) -> str:
    """Return where the action of this number on a decision lies; they count from 1."""
    return f"decisions/{decision_id}.action-{number}.yaml"


def evaluation_path(decision_id: str, horizon: str) -> str:
    """Return where the evaluation of a decision at `24h`, `72h` or `7d` lies."""
    return f"decisions/{decision_id}.eval-{horizon}.yaml"


def decision_of(path: str) -> tuple[str, str | None] | None:
    """Return id and part (`action-1`, `eval-24h`; None for the recommendation) of a decision file's path."""
    found = _PATH.fullmatch(path)
    return (found["id"], found["part"]) if found else None


def is_action(path: str) -> bool:
    """Say whether a path is an action on a recommendation."""
    named = decision_of(path)
    return named is not None and named[1] is not None and named[1].startswith("action-")


def decision_file(evaluation: Evaluation, advice: Recommendation) -> DecisionFile:
    """Return the record of one recommendation; it was made when its inputs were read."""
    inputs, analysis = evaluation.inputs, evaluation.analysis
    gates = evaluation.gates.get(advice.grid_id)
    return DecisionFile(
        schema_version=SCHEMA_VERSION,
        id=advice.id,
        market=advice.key,
        hour=advice.hour.iso(),
        grid_id=advice.grid_id,
        grid_version=advice.grid_version,
        type=advice.kind,
        action=advice.action,
        reason=advice.reason,
        verdict=None if analysis is None else analysis.verdict.value,
        scores=None if analysis is None else ScoresYaml.of(analysis),
        confidence=StatedYaml(value=advice.confidence.value, factors=dict(advice.confidence.factors)),
        told_higher=advice.told_higher,
        exit_state=advice.exit_state,
        gates=[] if gates is None else gates_record(gates)["gates"],
        checks=[
            CheckYaml(
                name=check.name,
                passed=check.passed,
                value=check.value,
                threshold=check.threshold,
                distance=check.distance,
                reason=check.reason,
            )
            for check in advice.checks
        ],
        comparison=None if advice.comparison is None else dict(advice.comparison),
        proposed=None if advice.proposed is None else dict(advice.proposed),
        expected=None if advice.expected is None else dict(advice.expected),
        alternatives=[AlternativeYaml(action=a.action, reason=a.reason) for a in advice.alternatives],
        expires_at=None if advice.expires_at is None else instant_iso(advice.expires_at),
        created_at=instant_iso(inputs.known_at),
        late_s=(inputs.known_at - inputs.hour.closes_at).total_seconds(),
        calibration=None if inputs.calibration is None else inputs.calibration.path,
        config_hash=evaluation.config_hash,
        engine_version=evaluation.engine_version,
        inputs=inputs_yaml(inputs),
    )


def recommendation_of(file: DecisionFile) -> Recommendation:
    """Return the recommendation that a record holds."""
    return Recommendation(
        id=file.id,
        key=file.market,
        hour=Hour.parse(file.hour),
        grid_id=file.grid_id,
        grid_version=file.grid_version,
        kind=file.type,
        action=file.action,
        reason=file.reason,
        confidence=Stated(file.confidence.value, file.confidence.factors),
        exit_state=file.exit_state,
        checks=tuple(Check(**check.model_dump()) for check in file.checks),
        comparison=file.comparison,
        proposed=file.proposed,
        expected=file.expected,
        alternatives=tuple(Alternative(a.action, a.reason) for a in file.alternatives),
        told_higher=file.told_higher,
        expires_at=None if file.expires_at is None else parse_instant(file.expires_at),
    )


def encode(file: BaseModel) -> bytes:
    """Return a decision file as YAML; equal records give equal bytes."""
    return yaml_text.dump(file.model_dump(mode="json"))


def decode_decision(data: bytes, where: str) -> DecisionFile:
    """Return the recommendation in `data`, agreeing with the path it lies under.

    Raises:
        DataInvalid: Names file, field, what was found and what was expected.
    """
    file = _decoded(DecisionFile, data, where)
    named = decision_of(where)
    if named is not None and named[0] != file.id:
        raise DataInvalid(where, "id", f"{file.id}, but the path names {named[0]}")
    return file


def decode_action(data: bytes, where: str) -> ActionFile:
    """Return the action in `data`; errors as in `decode_decision`."""
    file = _decoded(ActionFile, data, where)
    named = decision_of(where)
    if named is not None and named[0] != file.decision:
        raise DataInvalid(where, "decision", f"{file.decision}, but the path names {named[0]}")
    return file


def check_decision(data: bytes, path: str) -> None:
    """Check a decision file of any part; raises DataInvalid as its decoder does."""
    named = decision_of(path)
    part = None if named is None else named[1]
    if part is None:
        decode_decision(data, path)
    elif part.startswith("action"):
        decode_action(data, path)
    else:
        yaml_text.load(data, path)


def restamped_action(data: bytes, path: str, instant: datetime) -> bytes:
    """Return the action recorded at another instant: a judgement sees it only from its landing on."""
    file = decode_action(data, path)
    return encode(file.model_copy(update={"recorded_at": instant_iso(instant)}))


def past_advice(file: DecisionFile, actions: list[ActionFile]) -> PastAdvice:
    """Return a record as the timers read it."""
    return PastAdvice(
        id=file.id,
        grid_id=file.grid_id,
        kind=file.type,
        action=file.action,
        verdict=None if file.verdict is None else Verdict(file.verdict),
        closes_at=file.closes_at,
        created_at=parse_instant(file.created_at),
        expires_at=None if file.expires_at is None else parse_instant(file.expires_at),
        confidence=file.confidence.value,
        actions=tuple(
            ActionTaken(
                at=parse_instant(action.at),
                actor=action.actor,
                action=action.action,
                price=None if action.price is None else Decimal(repr(action.price)),
                latency_s=action.latency_s,
                note=action.note,
            )
            for action in actions
        ),
    )


def _decoded(model: type[_Model], data: bytes, where: str) -> _Model:
    file = validated(model, yaml_text.load_record(data, where, SCHEMA_VERSION), where)
    if encode(file) != data:
        raise DataInvalid(where, "", "not the bytes that this record is written with")
    return file
