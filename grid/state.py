"""One grid at an instant: does it run, under which version, since when. Only versions and events say so."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from pydantic import Field, ValidationError, field_validator

from grid.forms import DecimalText, Form, Instant, invalid
from grid.geometry import Spacing
from grid.parameters import GridKind as GridKind
from grid.parameters import GridParameters as GridParameters
from grid.parameters import checked_grid_id
from grid.record import EventKind, GridRecord
from market.errors import DataInvalid
from market.hours import instant_iso
from market.keys import checked_key
from market.units import plain


@dataclass(frozen=True, slots=True)
class GridState:
    """One grid at an instant, from versions and events with t <= instant.

    Attributes:
        running: True iff the last event is `enabled`.
        parameters: The version in force: of the last event, or a newer one that came while the grid ran (an
            accepted ADJUST); before any event the newest version.
        started_at: Last `enabled`; None when it never ran.
        stopped_at: Last `disabled`; None while running or when it never stopped.
        stop_reason: Of that `disabled`, None where it gave none.
        in_force_since: Since when the running grid runs under its version; None while it is stopped.
    """

    grid_id: str
    market: str
    kind: GridKind
    running: bool
    parameters: GridParameters
    started_at: datetime | None
    stopped_at: datetime | None
    stop_reason: str | None
    in_force_since: datetime | None = None


def state_at(record: GridRecord, instant: datetime) -> GridState | None:
    """Return the grid's state at `instant`, None before its first version."""
    versions = [version for version in record.versions if version.since <= instant]
    events = [event for event in record.history if event.at <= instant]
    if not versions:
        return None
    started = [event.at for event in events if event.event is EventKind.ENABLED]
    last = events[-1] if events else None
    running = last is not None and last.event is EventKind.ENABLED
    in_force, in_force_since = versions[-1], None
    if last is not None:
        in_force = record.versions[last.version - 1]
        if running:
            adjusted = [version for version in versions if version.since > last.at]
            in_force = adjusted[-1] if adjusted else in_force
            in_force_since = max(last.at, in_force.since)
    stopped = last is not None and not running
    return GridState(
        grid_id=record.grid_id,
        market=record.market,
        kind=record.kind,
        running=running,
        parameters=in_force.parameters,
        started_at=started[-1] if started else None,
        stopped_at=last.at if last and stopped else None,
        stop_reason=last.reason if last and stopped else None,
        in_force_since=in_force_since,
    )


def as_config(state: GridState) -> dict[str, Any]:
    """Return the state as an entry of a snapshot's `grid_config`; numbers as decimal text."""
    parameters = state.parameters
    return {
        "grid_id": state.grid_id,
        "market": state.market,
        "kind": state.kind.value,
        "running": state.running,
        "grid_version": parameters.version,
        "lower": plain(parameters.lower),
        "upper": plain(parameters.upper),
        "levels": parameters.levels,
        "spacing": parameters.spacing.value,
        "amount_per_grid": plain(parameters.amount_per_grid),
        "profit_pct": _text(parameters.profit_pct),
        "stop_loss": _text(parameters.stop_loss),
        "take_profit": _text(parameters.take_profit),
        "started_at": _iso(state.started_at),
        "stopped_at": _iso(state.stopped_at),
        "stop_reason": state.stop_reason,
        "in_force_since": _iso(state.in_force_since),
    }


def of_config(value: object, where: str) -> GridState:
    """Return the state that `as_config` wrote.

    Raises:
        DataInvalid: Names `where` and the field: missing, unknown, of another form, or against another.
    """
    try:
        return _Entry.model_validate(value).state()
    except ValidationError as error:
        raise invalid(where, error) from None
    except DataInvalid as fault:
        raise DataInvalid(where, fault.field, fault.problem) from None


class _Entry(Form):
    """One entry of `grid_config`."""

    grid_id: str
    market: str
    kind: GridKind = Field(strict=False)
    running: bool
    grid_version: int
    lower: DecimalText
    upper: DecimalText
    levels: int
    spacing: Spacing = Field(strict=False)
    amount_per_grid: DecimalText
    profit_pct: DecimalText | None
    stop_loss: DecimalText | None
    take_profit: DecimalText | None
    started_at: Instant | None
    stopped_at: Instant | None
    stop_reason: str | None
    in_force_since: Instant | None

    @field_validator("grid_id")
    @classmethod
    def _names_a_grid(cls, text: str) -> str:
        return checked_grid_id(text)

    @field_validator("market")
    @classmethod
    def _names_a_market(cls, text: str) -> str:
        return checked_key(text)

    def state(self) -> GridState:
        """Return the state; raises DataInvalid where the fields contradict each other."""
        if self.running != (self.in_force_since is not None):
            raise DataInvalid("grid", "in_force_since", "a running grid has one, any other has none")
        if self.running and (self.started_at is None or self.stopped_at is not None):
            raise DataInvalid("grid", "running", "a running grid was started and is not stopped")
        if self.stopped_at is None and self.stop_reason is not None:
            raise DataInvalid("grid", "stop_reason", "only a stopped grid has one")
        return GridState(
            self.grid_id,
            self.market,
            self.kind,
            self.running,
            GridParameters(
                self.grid_version,
                self.lower,
                self.upper,
                self.levels,
                self.spacing,
                self.amount_per_grid,
                self.profit_pct,
                self.stop_loss,
                self.take_profit,
            ),
            self.started_at,
            self.stopped_at,
            self.stop_reason,
            self.in_force_since,
        )


def _text(value: Decimal | None) -> str | None:
    return None if value is None else plain(value)


def _iso(instant: datetime | None) -> str | None:
    return None if instant is None else instant_iso(instant)
