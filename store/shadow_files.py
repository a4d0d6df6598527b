"""The shadow's judgement of an hour on disk: beside the record in force, written once, never a decision."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field

from decisions.evaluate import Evaluation
from decisions.inputs import Before, HourInputs
from decisions.recommendation import Action, Kind
from market.errors import DataInvalid
from market.hours import Hour
from market.keys import checked_key
from regime.analysis import ENGINE_VERSION
from store import disk, yaml_text
from store.decision_files import ScoresYaml
from store.paths import parse_shadow, shadow_path
from store.records import Read, VerdictName
from store.seal import validated

SCHEMA_VERSION = 1
LOOK_BACK = 168  # records: a shadow that failed for longer starts afresh
_LONGEST_REASON = 300
_OPENED = "no earlier record of this shadow: gates and exit states are opened fresh in this hour"


class FoldsYaml(BaseModel):
    """Where gates and exit states came from: the shadow's own record of `after`, or opened fresh, and why."""

    model_config = Read

    after: str | None
    reason: str | None


class ShadowRangeYaml(BaseModel):
    model_config = Read

    lower: float
    upper: float
    valid: bool


class ShadowAdviceYaml(BaseModel):
    """What the shadow would have advised about one grid."""

    model_config = Read

    grid_id: str
    type: Kind = Field(strict=False)
    action: Action = Field(strict=False)
    reason: str
    confidence: float | None
    exit_state: str | None


class ShadowFile(BaseModel):
    """What `shadow/{key}/{YYYY-MM-DD}/{HH}.yaml` holds; `failed` says why there is no judgement."""

    model_config = Read

    schema_version: Literal[1]
    key: str
    hour: str
    engine_version: int
    config_hash: str
    window_digest: str
    outcome: Literal["analysed", "insufficient", "no_data", "failed"]
    reason: str | None
    verdict: VerdictName | None
    hold_probability: float | None
    confidence: float | None
    scores: ScoresYaml | None
    metric_scores: dict[str, float | None]
    range: ShadowRangeYaml | None
    advice: list[ShadowAdviceYaml]
    folds: FoldsYaml | None
    gate_evaluation: dict[str, Any]
    exit_evaluation: dict[str, Any]

    @property
    def failed(self) -> bool:
        return self.outcome == "failed"

    @property
    def before(self) -> Before:
        """What the next hour of the shadow starts from."""
        return Before(Hour.parse(self.hour), self.gate_evaluation, self.exit_evaluation)


@dataclass(frozen=True, slots=True)
class ShadowRecord:
    """A shadow's file with its bytes, so that nothing is left to go wrong when it is committed."""

    file: ShadowFile
    data: bytes

    @classmethod
    def of(cls, file: ShadowFile) -> ShadowRecord:
        return cls(file, encode_shadow(file))

    @property
    def path(self) -> str:
        return shadow_path(self.file.key, Hour.parse(self.file.hour))


def shadow_file(evaluation: Evaluation) -> ShadowFile:
    """Return the record of the shadow's evaluation; its inputs say what it started from."""
    inputs, found = evaluation.inputs, evaluation.analysis
    before = inputs.before
    return ShadowFile(
        schema_version=SCHEMA_VERSION,
        key=inputs.key,
        hour=inputs.hour.iso(),
        engine_version=evaluation.engine_version,
        config_hash=evaluation.config_hash,
        window_digest=inputs.window.digest(),
        outcome=evaluation.outcome,
        reason=evaluation.reason,
        verdict=None if found is None else found.verdict.value,
        hold_probability=None if found is None else found.hold_probability,
        confidence=None if found is None else found.confidence.value,
        scores=None if found is None else ScoresYaml.of(found),
        metric_scores={}
        if found is None
        else {name: reading.score for name, reading in found.metrics.items()},
        range=None
        if found is None
        else ShadowRangeYaml(lower=found.range.lower, upper=found.range.upper, valid=found.range.valid),
        advice=[
            ShadowAdviceYaml(
                grid_id=each.grid_id,
                type=each.kind,
                action=each.action,
                reason=each.reason,
                confidence=each.confidence.value,
                exit_state=each.exit_state,
            )
            for each in evaluation.advice
        ],
        folds=FoldsYaml(
            after=None if before is None else before.hour.iso(), reason=_OPENED if before is None else None
        ),
        gate_evaluation=evaluation.gates_value(),
        exit_evaluation=evaluation.exits_value(),
    )


def failed_shadow(inputs: HourInputs, config_hash: str, reason: str) -> ShadowFile:
    """Return the record of an hour that the shadow could not judge."""
    words = " ".join(reason.encode(errors="replace").decode().split())
    return ShadowFile(
        schema_version=SCHEMA_VERSION,
        key=inputs.key,
        hour=inputs.hour.iso(),
        engine_version=ENGINE_VERSION,
        config_hash=config_hash,
        window_digest=inputs.window.digest(),
        outcome="failed",
        reason=words[:_LONGEST_REASON],
        verdict=None,
        hold_probability=None,
        confidence=None,
        scores=None,
        metric_scores={},
        range=None,
        advice=[],
        folds=None,
        gate_evaluation={},
        exit_evaluation={},
    )


def encode_shadow(file: ShadowFile) -> bytes:
    """Return the record as YAML; equal records give equal bytes."""
    return yaml_text.dump(file.model_dump(mode="json"))


def decode_shadow(data: bytes, where: str, named: tuple[str, Hour] | None = None) -> ShadowFile:
    """Return the record in `data`, exactly as it was written and agreeing with its path.

    Raises:
        DataInvalid: Names file, field, what was found and what was expected.
    """
    file = validated(ShadowFile, yaml_text.load_record(data, where, SCHEMA_VERSION), where)
    try:
        hour = Hour.parse(file.hour)
    except ValueError as error:
        raise DataInvalid(where, "hour", str(error)) from None
    if named is not None and (file.key, hour) != named:
        raise DataInvalid(where, "key, hour", f"{file.key} {hour}, but the path names another")
    if (file.folds is None) != file.failed:
        raise DataInvalid(where, "folds", f"{file.folds!r} with outcome {file.outcome}")
    if encode_shadow(file) != data:
        raise DataInvalid(where, "", "not the bytes that this record is written with")
    return file


def read_shadow(root: Path, key: str, hour: Hour) -> ShadowFile | None:
    """Return the shadow's record of an hour, None where there is none; errors as `decode_shadow`."""
    path = shadow_path(key, hour)
    data = disk.read(root / path)
    return None if data is None else decode_shadow(data, path, (key, hour))


def newest_first(root: Path, key: str) -> Iterator[Hour]:
    """Yield the hours of a market that have a record of a shadow."""
    folder = f"shadow/{checked_key(key)}"
    for day in reversed(disk.names_in(root / folder)):
        for name in reversed(disk.names_in(root / folder / day)):
            if parsed := parse_shadow(f"{folder}/{day}/{name}"):
                yield parsed[1]


class ShadowShelf:
    """What a shadow's next hour starts from: its own newest record. File names decide, contents are kept."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._kept: dict[str, dict[Hour, ShadowFile]] = {}

    def before(self, key: str, hour: Hour, config_hash: str) -> Before | None:
        """Return gates and exits of the nearest earlier hour that this shadow judged; None where it is new.

        A failed hour holds nothing to start from; a record of another configuration ends the search, because
        one policy's history must not become another's.

        Raises:
            DataInvalid: A record on the way is corrupt.
        """
        kept = self._kept.setdefault(key, {})
        earlier = (each for each in newest_first(self._root, key) if each < hour)
        for each in islice(earlier, LOOK_BACK):
            file = kept.get(each) or read_shadow(self._root, key, each)
            if file is None or file.config_hash != config_hash:
                return None
            if not file.failed:
                return file.before
            kept[each] = file
        return None

    def remember(self, file: ShadowFile) -> None:
        """Keep what was recorded, so that the next hour need not read it again."""
        kept = self._kept.setdefault(file.key, {})
        if not file.failed:
            kept.clear()
        kept[Hour.parse(file.hour)] = file
