"""Grids of a market: where their orders stand, how they are, what happened to them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

from dashboard.pages import Fact, GridPanel, Stay
from dashboard.reading.spans import stays
from dashboard.reading.telling import Troubles, number
from grid.geometry import GridGeometry
from grid.parameters import GridParameters
from grid.record import EventKind, GridRecord
from grid.state import GridState, state_at
from market.errors import DataInvalid
from market.hours import Hour
from market.units import DEFAULT_PRICE_SCALE, scale_for
from store.exit_files import told_notices, transitions
from store.glance import HourGlance
from store.paths import metrics_path
from store.records import MetricsFile

EVER = datetime.max.replace(tzinfo=UTC)
TOLD_D = 31  # in longer spans what was told and each change of state is left out
_REASON_LENGTH = 200
_NO_ENTRY: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True)
class GridSpan:
    """What the panels of a page are made of.

    Attributes:
        start, end: The page's span.
        at: As of when the grids are told; `EVER` for as they are now.
        hours: The judged hours of the span.
        record: Of the newest of them.
    """

    root: Path
    key: str
    start: datetime
    end: datetime
    at: datetime
    hours: Sequence[HourGlance]
    record: MetricsFile | None


def running_at(records: Sequence[GridRecord], at: datetime) -> dict[str, bool]:
    """Return whether each grid runs, by its id."""
    return {record.grid_id: _runs(record, at) for record in records}


def _runs(record: GridRecord, at: datetime) -> bool:
    last = next((event for event in reversed(record.history) if event.at <= at), None)
    return last is not None and last.event is EventKind.ENABLED


def grid_panels(records: Sequence[GridRecord], span: GridSpan, troubles: Troubles) -> list[GridPanel]:
    """Return the grids that run, ran in the span, or were stopped last; running ones first."""
    events = _told(span, troubles)
    found = [(record, state_at(record, span.at)) for record in records]
    known = [(record, state) for record, state in found if state is not None]
    stopped = [(state.stopped_at, state.grid_id) for _, state in known if state.stopped_at is not None]
    last = max(stopped)[1] if stopped else None
    panels = [
        _panel(record, state, span, events.get(record.grid_id, []), troubles)
        for record, state in known
        if state.running or record.grid_id == last or _ran_in(record, span)
    ]
    return sorted(panels, key=lambda panel: (not panel.is_running, panel.grid_id))


def _ran_in(record: GridRecord, span: GridSpan) -> bool:
    """Say whether a grid ran at any time of the span."""
    touched = any(span.start <= event.at < span.end and event.at <= span.at for event in record.history)
    return touched or _runs(record, span.start)


def _told(span: GridSpan, troubles: Troubles) -> dict[str, list[tuple[datetime, str]]]:
    """Return changes of exit state and what was told of them, by grid."""
    if span.end - span.start > timedelta(days=TOLD_D):
        return {}
    found: dict[str, list[tuple[datetime, str]]] = {}

    def gathered() -> None:
        first, last = f"{span.start:%Y-%m-%d}", f"{span.end:%Y-%m-%d}"
        for change in transitions(span.root, span.key, first, last):
            why = f": {'; '.join(change.reasons)}" if change.reasons else ""
            told = f"{change.came_from} to {change.state}{why}"
            found.setdefault(change.grid_id, []).append((change.at, told))
        for notice in told_notices(span.root, span.key, first):
            if notice.at < span.end:
                how = "folded into a later notice" if notice.folded else f"told, {notice.level}"
                found.setdefault(notice.grid_id, []).append((notice.at, f"{notice.state} {how}"))

    troubles.reading("what was told of the grids", gathered, None)
    return {
        grid_id: [each for each in events if span.start <= each[0] <= span.end]
        for grid_id, events in found.items()
    }


def _panel(
    record: GridRecord,
    state: GridState,
    span: GridSpan,
    told: list[tuple[datetime, str]],
    troubles: Troubles,
) -> GridPanel:
    parameters = state.parameters
    read = partial(_entry, span, record.grid_id)
    entry = troubles.reading(f"the exit state of {record.grid_id}", read, _NO_ENTRY)
    own = [(event.at, _event(event.event, event.version, event.reason, event.by)) for event in record.history]
    events = [each for each in [*own, *told] if each[0] <= span.at]
    facts = tuple(_facts(state, parameters))
    if span.record is not None and entry:
        where = metrics_path(span.key, Hour.parse(span.record.hour))
        measured = partial(_measured, entry, span.hours[-1].price, parameters, where)
        none: tuple[Fact, ...] = ()
        facts += troubles.reading(f"figures of {record.grid_id}", measured, none)
    return GridPanel(
        grid_id=record.grid_id,
        is_running=state.running,
        lower=float(parameters.lower),
        upper=float(parameters.upper),
        levels=_levels(parameters),
        stop_loss=None if parameters.stop_loss is None else float(parameters.stop_loss),
        take_profit=None if parameters.take_profit is None else float(parameters.take_profit),
        exit_state=entry["state"] if state.running and entry else None,
        triggers=tuple(entry["reasons"]) if state.running and entry else (),
        states=_states(record.grid_id, span.hours),
        events=sorted(events, key=lambda each: each[0], reverse=True),
        facts=facts,
    )


def _entry(span: GridSpan, grid_id: str) -> Mapping[str, Any]:
    """Return what the newest hour says of a grid's exit, checked; nothing where it says nothing."""
    told = None if span.record is None else span.record.exit_evaluation.get(grid_id)
    if span.record is None or told is None:
        return _NO_ENTRY
    where, field = metrics_path(span.key, Hour.parse(span.record.hour)), f"exit_evaluation.{grid_id}"
    if not isinstance(told, Mapping):
        raise DataInvalid(where, field, f"found {told!r:.80}, expected fields")
    if not isinstance(told.get("state"), str):
        raise DataInvalid(where, f"{field}.state", f"found {told.get('state')!r:.80}, expected an exit state")
    reasons = told.get("reasons")
    if not isinstance(reasons, list) or not all(isinstance(each, str) for each in reasons):
        raise DataInvalid(where, f"{field}.reasons", f"found {reasons!r:.80}, expected a list of texts")
    return told


def _states(grid_id: str, hours: Sequence[HourGlance]) -> list[Stay]:
    return stays((hour.hour, dict(hour.exits).get(grid_id)) for hour in hours if hour.exits)


def _event(event: EventKind, version: int, reason: str | None, by: str | None) -> str:
    why = f": {reason[:_REASON_LENGTH]}" if reason else ""
    who = f" by {by}" if by else ""
    return f"{event}{who}, version {version}{why}"


def _levels(parameters: GridParameters) -> tuple[float, ...]:
    """Return the prices of a grid's orders to the decimals of its bounds; the exchange may round finer."""
    scale = scale_for([parameters.lower, parameters.upper], DEFAULT_PRICE_SCALE)
    try:
        geometry = GridGeometry(
            int(parameters.lower * scale),
            int(parameters.upper * scale),
            parameters.levels,
            parameters.spacing,
        )
    except DataInvalid:  # so narrow that two prices would round to the same
        return float(parameters.lower), float(parameters.upper)
    return tuple(price / scale for price in geometry.prices())


def _facts(state: GridState, parameters: GridParameters) -> Iterator[Fact]:
    yield Fact("Kind", state.kind.value)
    yield Fact("Version", str(parameters.version), at=state.in_force_since)
    if state.running:
        yield Fact("Runs since", "", at=state.started_at)
    else:
        yield Fact("Stopped", state.stop_reason or "", at=state.stopped_at)
    total = parameters.amount_per_grid * parameters.levels
    yield Fact("Capital", number(float(total), 8), note=f"{parameters.levels} x {parameters.amount_per_grid}")
    yield Fact("Spacing", f"{_spacing_pct(parameters):.2f} %", note=parameters.spacing.value)


def _spacing_pct(parameters: GridParameters) -> float:
    """Return the width of the cell at the centre, percent of its price."""
    if parameters.spacing.value == "geometric":
        ratio: float = float(parameters.upper / parameters.lower) ** (1 / parameters.levels)
        return 100 * (ratio - 1)
    return float(100 * (parameters.upper - parameters.lower) / Decimal(parameters.levels) / parameters.centre)


def _measured(
    entry: Mapping[str, Any], price: float, parameters: GridParameters, where: str
) -> tuple[Fact, ...]:
    """Return what the newest hour measured of a running grid."""
    try:
        facts = [Fact("State since", "", at=Hour.parse(entry["since"]).closes_at)]
        for name, bound in (("lower", parameters.lower), ("upper", parameters.upper)):
            apart = 100 * (float(bound) - price) / price
            if apart == apart:  # noqa: PLR0124, NaN where the hour has no price
                facts.append(Fact(f"Distance to {name} bound", f"{apart:+.2f} %"))
        if entry["hold"] is not None:
            facts.append(Fact("Its bounds hold 24 h", f"{entry['hold']:.2f}", note="probability"))
        if entry["risk"] is not None and entry["risk"]["stop_distance_pct"] is not None:
            risk = entry["risk"]
            reached = f"reached in 24 h with p {number(risk['stop_probability'], 2)}"
            facts.append(Fact("Distance to stop-loss", f"{risk['stop_distance_pct']:.2f} %", note=reached))
        if entry["position"] is not None:
            figures, earlier = entry["position"]["figures"], entry["position"]["earlier_profit"]
            profit = figures["net_profit"] + earlier
            facts.append(Fact("Net profit", f"{profit:+.2f}", note=f"{figures['source']}, after fees"))
            facts.append(Fact("Cycles", str(figures["cycles"]), note=f"{figures['fills']} fills"))
        if entry["trouble"] is not None:
            facts.append(Fact("Not simulated", str(entry["trouble"])))
        return tuple(facts)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise DataInvalid(where, "exit_evaluation", f"not as written: {error!r}") from None
