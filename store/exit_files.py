"""Exit states on disk: a stream of small YAML documents a market and day, one a fact, that only grows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from decisions.evaluate import Evaluation
from exits.states import ExitState
from market.errors import DataInvalid
from market.hours import Hour, instant_iso, parse_instant
from market.keys import KEY_FORM, checked_key
from store import disk, yaml_text

SCHEMA_VERSION = 1
_OPENING = b"\nfact: opening\n"
_PATH = re.compile(rf"exit_states/(?P<key>{KEY_FORM})/(?P<day>\d{{4}}-\d{{2}}-\d{{2}})\.yaml")
_LATELY = timedelta(days=1)  # what a death makes come again is told at the next start


@dataclass(frozen=True, slots=True)
class ToldNotice:
    """A grid's exit state was told to the operator, or folded into a notice of a later state.

    Attributes:
        at: When it was put on its way.
        since: Hour at whose close the state began.
        level: How loudly, quiet hours counted.
        key: The notice's name; for a folded one that of the notice that spoke for it.
        decision: The recommendation that it told; None for a folded one.
    """

    grid_id: str
    at: datetime
    state: ExitState
    since: str
    level: str
    key: str
    decision: str | None
    folded: bool = False

    def as_fact(self) -> dict[str, Any]:
        """Return the document that records it."""
        return {
            "schema_version": SCHEMA_VERSION,
            "fact": "notice",
            "at": instant_iso(self.at),
            "grid_id": self.grid_id,
            "state": self.state.value,
            "since": self.since,
            "level": self.level,
            "key": self.key,
            "decision": self.decision,
            "folded": self.folded,
        }


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
    is a `transition` with its reasons, the values that fired and the recommendation that tells of it. What
    was told follows as `notice` (see `notices_growth`).
    """
    inputs = evaluation.inputs
    path = exit_states_path(inputs.key, inputs.hour)
    held = disk.read(root / path)
    facts: list[dict[str, Any]] = []
    at = instant_iso(inputs.hour.closes_at)
    exits = evaluation.exits_value()
    if exits and (held is None or _OPENING not in held):
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
    return {path: _grown(held, facts)} if facts else {}


def notices_growth(key: str, told: Sequence[ToldNotice], root: Path) -> dict[str, bytes]:
    """Return the grown files of the days on which notices about a market's grids were told.

    What is recorded already is left out: after a death the same may be told again under its key, and a second
    record would count as a second telling.
    """
    grown: dict[str, bytes] = {}
    for notice in told:
        if notice.key in _recorded(root, key, notice):
            continue
        path = f"exit_states/{checked_key(key)}/{notice.at:%Y-%m-%d}.yaml"
        held = grown[path] if path in grown else disk.read(root / path)
        grown[path] = _grown(held, [notice.as_fact()])
    return grown


def _recorded(root: Path, key: str, notice: ToldNotice) -> set[str]:
    """Return the keys under which this stay of a grid in its state was lately recorded as told."""
    try:
        return {
            each.key
            for each in told_notices(root, key, f"{notice.at - _LATELY:%Y-%m-%d}")
            if (each.grid_id, each.state, each.since, each.folded)
            == (notice.grid_id, notice.state, notice.since, notice.folded)
        }
    except DataInvalid:
        return set()  # rather recorded twice than not at all


def _grown(held: bytes | None, facts: Sequence[Mapping[str, Any]]) -> bytes:
    return (held or b"") + b"".join(b"---\n" + yaml_text.dump(dict(fact)) for fact in facts)


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
    for path, fact in _facts(root, key, "transition", first_day, last_day):
        with _refusing(path, "transition"):
            made = Transition(
                fact["grid_id"],
                parse_instant(fact["at"]),
                ExitState(fact["from"]),
                ExitState(fact["to"]),
                tuple(fact["reasons"]),
            )
        yield made


def told_notices(root: Path, key: str, first_day: str | None = None) -> Iterator[ToldNotice]:
    """Yield what was told of the exit states of a market's grids, oldest first.

    Args:
        root: The repository.
        key: Market.
        first_day: Day, `2026-02-02`, included; None for no bound.

    Raises:
        DataInvalid: A file is corrupt; names it.
    """
    for path, fact in _facts(root, key, "notice", first_day, None):
        with _refusing(path, "notice"):
            made = ToldNotice(
                fact["grid_id"],
                parse_instant(fact["at"]),
                ExitState(fact["state"]),
                str(fact["since"]),
                str(fact["level"]),
                str(fact["key"]),
                fact["decision"],
                bool(fact["folded"]),
            )
        yield made


def _facts(
    root: Path, key: str, name: str, first_day: str | None, last_day: str | None
) -> Iterator[tuple[str, dict[str, Any]]]:
    folder = f"exit_states/{checked_key(key)}"
    for file in disk.names_in(root / folder):
        found = _PATH.fullmatch(f"{folder}/{file}")
        if not found:
            continue
        day = found["day"]
        if (first_day and day < first_day) or (last_day and day > last_day):
            continue
        path = f"{folder}/{file}"
        for fact in yaml_text.load_all((root / path).read_bytes(), path):
            if not isinstance(fact, dict) or fact.get("schema_version") != SCHEMA_VERSION:
                raise DataInvalid(path, "schema_version", f"expected documents of version {SCHEMA_VERSION}")
            if fact.get("fact") == name:
                yield path, fact


@contextmanager
def _refusing(path: str, fact: str) -> Iterator[None]:
    """Name the file and the fact of what is not as it was written."""
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise DataInvalid(path, fact, repr(error)) from None
