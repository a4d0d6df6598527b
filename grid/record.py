"""A grid's file: how it was set up and when it ran. Both lists only grow, and they alone are the truth."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from grid.forms import Form, Instant, Number, invalid
from grid.geometry import Spacing
from grid.parameters import GridKind, GridParameters, checked_grid_id
from market.errors import DataInvalid
from market.keys import checked_key

SCHEMA_VERSION = 1


class EventKind(StrEnum):
    """What happens to a grid; they alternate, beginning with `enabled`."""

    ENABLED = "enabled"
    DISABLED = "disabled"


class GridVersion(Form):
    """One version as the file holds it; `from` is the instant since which it may be in force."""

    version: int
    since: Instant = Field(alias="from")
    lower: Number
    upper: Number
    levels: int
    spacing: Spacing = Field(strict=False)
    amount_per_grid: Number
    profit_pct: Number | None = None
    stop_loss: Number | None = None
    take_profit: Number | None = None

    @property
    def parameters(self) -> GridParameters:
        """The version's numbers; raises DataInvalid where they make no grid."""
        return GridParameters(
            self.version,
            self.lower,
            self.upper,
            self.levels,
            self.spacing,
            self.amount_per_grid,
            self.profit_pct,
            self.stop_loss,
            self.take_profit,
        )

    @classmethod
    def of(cls, parameters: GridParameters, since: datetime) -> GridVersion:
        """Return parameters as an entry of the file."""
        return cls(
            version=parameters.version,
            since=since,
            lower=parameters.lower,
            upper=parameters.upper,
            levels=parameters.levels,
            spacing=parameters.spacing,
            amount_per_grid=parameters.amount_per_grid,
            profit_pct=parameters.profit_pct,
            stop_loss=parameters.stop_loss,
            take_profit=parameters.take_profit,
        )


class GridEvent(Form):
    """A start or a stop, under which version, why and by whom."""

    at: Instant
    event: EventKind = Field(strict=False)
    version: int
    reason: str | None = None
    by: str | None = None


class GridRecord(Form):
    """What grids/{grid_id}.yaml holds.

    Raises:
        DataInvalid: Names the field: versions not 1, 2, 3, ... or dated backwards, numbers that make no grid,
            events that do not alternate or go back in time, or an event whose version does not exist yet.
    """

    schema_version: Literal[1] = 1
    grid_id: str
    market: str
    kind: GridKind = Field(GridKind.NORMAL, strict=False)
    versions: tuple[GridVersion, ...] = Field(strict=False)
    history: tuple[GridEvent, ...] = Field((), strict=False)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for field, checked, text in (
            ("grid_id", checked_grid_id, self.grid_id),
            ("market", checked_key, self.market),
        ):
            try:
                checked(text)
            except ValueError as fault:
                raise DataInvalid("grid", field, str(fault)) from None
        self._check_versions()
        self._check_history()
        return self

    def _check_versions(self) -> None:
        if not self.versions:
            raise DataInvalid("grid", "versions", "empty, expected at least version 1")
        for index, version in enumerate(self.versions):
            here = f"versions.{index}"
            if version.version != index + 1:
                raise DataInvalid("grid", f"{here}.version", f"{version.version}, expected {index + 1}")
            if index and version.since < self.versions[index - 1].since:
                raise DataInvalid("grid", f"{here}.from", "lies before that of the version before")
            try:
                version.parameters  # noqa: B018, making them is the check
            except DataInvalid as fault:
                raise DataInvalid("grid", f"{here}.{fault.field}", fault.problem) from None

    def _check_history(self) -> None:
        for index, event in enumerate(self.history):
            here = f"history.{index}"
            expected = EventKind.DISABLED if index % 2 else EventKind.ENABLED
            if event.event is not expected:
                after = f"after {self.history[index - 1].event}" if index else "first"
                raise DataInvalid("grid", f"{here}.event", f"{event.event} {after}, expected {expected}")
            if index and event.at < self.history[index - 1].at:
                raise DataInvalid("grid", f"{here}.at", "lies before that of the event before")
            if not 1 <= event.version <= len(self.versions):
                raise DataInvalid(
                    "grid", f"{here}.version", f"{event.version}, known are 1 to {len(self.versions)}"
                )
            if event.at < self.versions[event.version - 1].since:
                raise DataInvalid("grid", f"{here}.version", f"{event.version} is not there yet at that time")


def grid_record_of(value: object, where: str) -> GridRecord:
    """Return the record that a grid file holds, migrated from the reference form where it is in it.

    Args:
        value: The file's content as plain values.
        where: The file, for errors.

    Raises:
        DataInvalid: Names `where`, the field and what was expected.
    """
    if not isinstance(value, Mapping):
        raise DataInvalid(where, "", "expected a mapping with versions and history")
    version = value.get("schema_version", SCHEMA_VERSION)
    if version != SCHEMA_VERSION or isinstance(version, bool):
        raise DataInvalid(where, "schema_version", f"{version!r}, known is {SCHEMA_VERSION}")
    try:
        return GridRecord.model_validate(_migrated(value))
    except ValidationError as error:
        raise invalid(where, error) from None
    except DataInvalid as fault:
        raise DataInvalid(where, fault.field, fault.problem) from None


def as_value(record: GridRecord) -> dict[str, Any]:
    """Return the record as plain values, ready for YAML: in an entry, what was left out stays left out."""
    return {
        "schema_version": record.schema_version,
        "grid_id": record.grid_id,
        "market": record.market,
        "kind": record.kind.value,
        "versions": [_entry(version) for version in record.versions],
        "history": [_entry(event) for event in record.history],
    }


def extends(ours: GridRecord, theirs: GridRecord) -> str | None:
    """Return why `theirs` is not `ours` with entries added at the ends, None if it is."""
    for field in ("grid_id", "market", "kind"):
        had, has = getattr(ours, field), getattr(theirs, field)
        if had != has:
            return f"{field}: {has}, ours is {had} and may not change"
    for field in ("versions", "history"):
        had, has = getattr(ours, field), getattr(theirs, field)
        if len(has) < len(had):
            return f"{field}: {len(has)} entries, ours has {len(had)} and none may vanish"
        for index, entry in enumerate(had):
            if entry != has[index]:
                return f"{field}.{index}: differs from ours, entries may only be added"
    return None


def new_record(
    grid_id: str, market: str, kind: GridKind, parameters: GridParameters, since: datetime
) -> GridRecord:
    """Return a grid that never ran, with its first version.

    Raises:
        DataInvalid: Names the field.
    """
    return _record(grid_id, market, kind, (_version(grid_id, parameters, since),), ())


def with_version(record: GridRecord, parameters: GridParameters, since: datetime) -> GridRecord:
    """Return the record with one version more; a grid that runs is under it from `since` on.

    Raises:
        DataInvalid: Not the next version, dated backwards, or a number that a file does not keep.
    """
    added = _version(record.grid_id, parameters, since)
    return _record(record.grid_id, record.market, record.kind, (*record.versions, added), record.history)


def with_event(
    record: GridRecord,
    event: EventKind,
    at: datetime,
    version: int,
    reason: str | None = None,
    by: str | None = None,
) -> GridRecord:
    """Return the record with one event more.

    Raises:
        DataInvalid: It does not alternate, goes back in time, or names a version that is not there.
    """
    try:
        added = GridEvent(at=at, event=event, version=version, reason=reason, by=by)
    except ValidationError as error:
        raise invalid(f"grid {record.grid_id}", error) from None
    return _record(record.grid_id, record.market, record.kind, record.versions, (*record.history, added))


def _record(
    grid_id: str,
    market: str,
    kind: GridKind,
    versions: tuple[GridVersion, ...],
    history: tuple[GridEvent, ...],
) -> GridRecord:
    try:
        return GridRecord(grid_id=grid_id, market=market, kind=kind, versions=versions, history=history)
    except DataInvalid as fault:
        raise DataInvalid(f"grid {grid_id}", fault.field, fault.problem) from None


def _version(grid_id: str, parameters: GridParameters, since: datetime) -> GridVersion:
    try:
        return GridVersion.of(parameters, since)
    except ValidationError as error:
        raise invalid(f"grid {grid_id}", error) from None


def _entry(entry: Form) -> dict[str, Any]:
    return entry.model_dump(mode="json", by_alias=True, exclude_unset=True)


def _migrated(value: Mapping[Any, Any]) -> dict[Any, Any]:
    """Return the value with entries of the reference form, `{enabled: t, disabled: t}`, as events."""
    history = value.get("history", ())
    if not isinstance(history, list | tuple):
        return dict(value)
    events: list[Any] = []
    for entry in history:
        if not isinstance(entry, Mapping) or "event" in entry or not {"enabled", "disabled"} & entry.keys():
            events.append(entry)
            continue
        others = {name: told for name, told in entry.items() if name not in ("enabled", "disabled")}
        for kind in EventKind:
            at = entry.get(kind.value)
            if at is not None:
                events.append({"at": at, "event": kind.value, "version": _version_then(value, at)})
        if others and events:
            events[-1] = {**events[-1], **others}
    return {**value, "history": events}


def _version_then(value: Mapping[Any, Any], at: Any) -> int:
    """Return the newest version at a time, 1 where the file does not say; texts of instants sort as times."""
    versions = value.get("versions")
    if not isinstance(versions, list | tuple):
        return 1
    starts = [version.get("from") for version in versions if isinstance(version, Mapping)]
    return max(sum(isinstance(start, str) and start <= str(at) for start in starts), 1)
