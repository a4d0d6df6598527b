"""Exit states on disk: a stream of small YAML documents a market and day, one a fact, that only grows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from decisions.evaluate import Evaluation
from exits.states import ExitState
from market.errors import DataInvalid
from market.hours import Hour, instant_iso, parse_instant
from market.keys import KEY_FORM, checked_key
from store import disk, yaml_text

SCHEMA_VERSION = 1
_PATH = re.compile(rf"exit_states/(?P<key>{KEY_FORM})/(?P<day>\d{{4}}-\d{{2}}-\d{{2}})\.yaml")


@dataclass(frozen=True, slots=True)
class Transition:
    """A running grid entered another exit state at the close of an hour."""

    grid_id: str
    at: datetime
    came_from: ExitState
    state: ExitState
    reasons: tuple[str, ...]


def exit_states_path(key: str, hour: Hour) -> str:
    """Return where an hour's exit states lie: under the day of its close."""
    return f"exit_states/{checked_key(key)}/{hour.closes_at:%Y-%m-%d}.yaml"


def exit_states_growth(evaluation: Evaluation, root: Path) -> dict[str, bytes]:
    """Return the grown file of the day where the hour brought a fact, nothing where it did not.

    The first hour of a day with a running grid writes how all of them stood (`opening`); each change of state
    is a `transition` with its reasons, the values that fired and where the notice of it is told.
    """
    inputs = evaluation.inputs
    path = exit_states_path(inputs.key, inputs.hour)
    held = disk.read(root / path)
    facts: list[dict[str, Any]] = []
    at = instant_iso(inputs.hour.closes_at)
    exits = evaluation.exits_value()
    if held is None and exits:
        grids = {
            grid_id: {"state": entry["from"], "since": None if changed(entry) else entry["since"]}
            for grid_id, entry in exits.items()
        }
        facts.append({"schema_version": SCHEMA_VERSION, "fact": "opening", "at": at, "grids": grids})
    told = {advice.grid_id: advice.id for advice in evaluation.advice}
    for grid_id, entry in exits.items():
        if not changed(entry):
            continue
        facts.append(
            {
                "schema_version": SCHEMA_VERSION,
                "fact": "transition",
                "at": at,
                "grid_id": grid_id,
                "from": entry["from"],
                "to": entry["state"],
                "reasons": list(entry["reasons"]),
                "values": {
                    name: trigger["value"]
                    for triggers in entry["triggers"].values()
                    for name, trigger in triggers.items()
                    if trigger["fired"]
                },
                "decision": told.get(grid_id),
            }
        )
    if not facts:
        return {}
    added = b"".join(b"---\n" + yaml_text.dump(fact) for fact in facts)
    return {path: (held or b"") + added}


def changed(entry: Mapping[str, Any]) -> bool:
    """Say whether a grid's recorded hour brought another exit state."""
    return bool(entry["state"] != entry["from"])


def transitions(
    root: Path, key: str, first_day: str | None = None, last_day: str | None = None
) -> Iterator[Transition]:
    """Yield the changes of exit state of a market's grids, oldest first.

    Args:
        root: The repository.
        key: Market.
        first_day, last_day: Days, `2026-02-02`, both included; None for no bound.

    Raises:
        DataInvalid: A file is corrupt; names it.
    """
    folder = f"exit_states/{checked_key(key)}"
    for name in disk.names_in(root / folder):
        found = _PATH.fullmatch(f"{folder}/{name}")
        if not found:
            continue
        day = found["day"]
        if (first_day and day < first_day) or (last_day and day > last_day):
            continue
        path = f"{folder}/{name}"
        yield from _transitions_of((root / path).read_bytes(), path)


def _transitions_of(data: bytes, path: str) -> Iterator[Transition]:
    for fact in yaml_text.load_all(data, path):
        if not isinstance(fact, dict) or fact.get("schema_version") != SCHEMA_VERSION:
            raise DataInvalid(path, "schema_version", f"expected documents of version {SCHEMA_VERSION}")
        if fact.get("fact") != "transition":
            continue
        try:
            yield Transition(
                fact["grid_id"],
                parse_instant(fact["at"]),
                ExitState(fact["from"]),
                ExitState(fact["to"]),
                tuple(fact["reasons"]),
            )
        except (LookupError, TypeError, ValueError) as error:
            raise DataInvalid(path, "transition", f"{error!r}") from None
