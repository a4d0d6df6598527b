"""Grid files and states for the tests: written out, and drawn."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from grid.geometry import Spacing
from grid.parameters import GridKind, GridParameters
from grid.record import EventKind, GridRecord, new_record, with_event, with_version

DAY = datetime(2026, 2, 2, tzinfo=UTC)

FILE: dict[str, Any] = {
    "schema_version": 1,
    "grid_id": "eth-1",
    "market": "ETH-USDT",
    "kind": "normal",
    "versions": [
        {
            "version": 1,
            "from": "2026-02-01T10:00:00Z",
            "lower": 2800,
            "upper": 3200.5,
            "levels": 8,
            "spacing": "geometric",
            "amount_per_grid": 50,
            "profit_pct": 1.2,
            "stop_loss": 2750.25,
            "take_profit": None,
        },
        {
            "version": 2,
            "from": "2026-02-03T10:00:00Z",
            "lower": 2900,
            "upper": 3300,
            "levels": 10,
            "spacing": "arithmetic",
            "amount_per_grid": 40.5,
        },
    ],
    "history": [
        {"at": "2026-02-01T10:05:00Z", "event": "enabled", "version": 1, "by": "operator"},
        {"at": "2026-02-02T08:00:00Z", "event": "disabled", "version": 1, "reason": "dec-1"},
        {"at": "2026-02-03T10:00:00Z", "event": "enabled", "version": 2},
    ],
}


def changed(path: str, value: Any) -> dict[str, Any]:
    """Return the file with one field set; a path is names and places joined by dots."""
    made = _copied(FILE)
    *parents, last = path.split(".")
    inside: Any = made
    for part in parents:
        inside = inside[int(part) if part.isdigit() else part]
    inside[int(last) if last.isdigit() else last] = value
    return made


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _copied(inner) for name, inner in value.items()}
    return [_copied(inner) for inner in value] if isinstance(value, list) else value


def parameters(version: int = 1, **others: Any) -> GridParameters:
    """Return a grid from 100 to 140."""
    fields: dict[str, Any] = {
        "lower": Decimal(100),
        "upper": Decimal(140),
        "levels": 4,
        "spacing": Spacing.ARITHMETIC,
        "amount_per_grid": Decimal(50),
    }
    return GridParameters(version=version, **{**fields, **others})


def instants() -> st.SearchStrategy[datetime]:
    """Return instants of two days, often the same."""
    return st.integers(0, 48).map(lambda half_hours: DAY + timedelta(minutes=30 * half_hours))


@st.composite
def drawn_parameters(draw: st.DrawFn, version: int = 1) -> GridParameters:
    """Return parameters with prices that a file keeps."""
    places = draw(st.integers(0, 6))
    low, width = draw(st.integers(100, 10**7)), draw(st.integers(10, 10**7))

    def scaled(number: int) -> Decimal:
        return Decimal(number).scaleb(-places)

    return GridParameters(
        version=version,
        lower=scaled(low),
        upper=scaled(low + width),
        levels=draw(st.integers(2, 200)),
        spacing=draw(st.sampled_from(list(Spacing))),
        amount_per_grid=scaled(draw(st.integers(1, 10**7))),
        profit_pct=draw(st.none() | st.integers(1, 500).map(lambda bps: Decimal(bps) / 100)),
        stop_loss=draw(st.none() | st.integers(1, low - 1).map(scaled)),
        take_profit=draw(st.none() | st.integers(low + width + 1, 10**8).map(scaled)),
    )


@st.composite
def drawn_records(draw: st.DrawFn) -> GridRecord:
    """Return a grid with any life: versions while it ran and while it did not, any number of starts."""
    at = draw(instants())
    kind = draw(st.sampled_from(list(GridKind)))
    record = new_record("eth-1", "ETH-USDT", kind, draw(drawn_parameters()), at)
    for _ in range(draw(st.integers(0, 8))):
        at += timedelta(minutes=30 * draw(st.integers(0, 6)))
        if draw(st.integers(0, 3)) == 0:
            version = len(record.versions) + 1
            record = with_version(record, draw(drawn_parameters(version)), at)
        else:
            event = EventKind.DISABLED if len(record.history) % 2 else EventKind.ENABLED
            version = draw(st.integers(1, len(record.versions)))
            record = with_event(record, event, at, version, draw(st.none() | st.just("because")), "test")
    return record
