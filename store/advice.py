"""Advice on disk: what was recommended, what was done about it, and the files that a deed brings."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from decisions.actions import Answer
from decisions.answering import Proposed, Set, check_answer, grid_after
from decisions.offer import proposed_parameters
from decisions.timers import PastAdvice
from grid.parameters import GridKind
from grid.record import GridRecord
from market.errors import DataInvalid
from market.hours import instant_iso
from market.keys import checked_key
from store import disk
from store.change_set import ChangeSet
from store.decision_files import (
    ActionFile,
    DecisionFile,
    action_path,
    decision_of,
    decision_path,
    decode_action,
    decode_decision,
    encode,
    past_advice,
)
from store.grids import encode_grid, grid_path


@dataclass(frozen=True, slots=True)
class Recorded:
    """One recommendation as it lies on disk, with everything recorded about it.

    Attributes:
        evaluations: By horizon, as their files hold them.
    """

    file: DecisionFile
    actions: tuple[ActionFile, ...]
    evaluations: Mapping[str, Mapping[str, Any]]

    @property
    def advice(self) -> PastAdvice:
        return past_advice(self.file, list(self.actions))


def read_advice(root: Path, decision_id: str) -> Recorded:
    """Return one recommendation.

    Raises:
        DataInvalid: There is none of this name, or a file of it is corrupt.
    """
    try:
        path = decision_path(decision_id)
        data = (root / path).read_bytes()
    except ValueError as error:
        raise DataInvalid(decision_id, "", str(error)) from None
    except FileNotFoundError:
        raise DataInvalid(decision_id, "", f"no such decision; {path} does not exist") from None
    actions, number = [], 1
    while (root / (path := action_path(decision_id, number))).is_file():
        actions.append(decode_action((root / path).read_bytes(), path))
        number += 1
    return Recorded(decode_decision(data, decision_path(decision_id)), tuple(actions), {})


def decision_ids(root: Path, first_day: str | None = None, last_day: str | None = None) -> Iterator[str]:
    """Yield the recommendations on disk, oldest day first, by market and time within a day.

    Args:
        root: The repository.
        first_day, last_day: Days of the closes, `2026-02-02`, both included; None for no bound.
    """
    for day in disk.names_in(root / "decisions"):
        if (first_day and day < first_day) or (last_day and day > last_day):
            continue
        for name in disk.names_in(root / "decisions" / day):
            named = decision_of(f"decisions/{day}/{name}")
            if named is not None and named[1] is None:
                yield named[0]


def named_advice(root: Path, name: str) -> str:
    """Return the recommendation that a person means: by its id, or the newest of the market of this key.

    Raises:
        DataInvalid: There is none of this market.
    """
    try:
        checked_key(name)
    except ValueError:
        return name
    of_market = re.compile(rf"[^/]+/dec-{re.escape(name)}-\d{{6}}(-|$)")
    for day in reversed(disk.names_in(root / "decisions")):
        found = [each for each in decision_ids(root, day, day) if of_market.match(each)]
        if found:
            return max(found)
    raise DataInvalid(name, "", f"no decision of a market {name} is recorded; `regimed decisions` lists all")


@dataclass(frozen=True, slots=True)
class Deed:
    """What somebody did about a recommendation.

    Attributes:
        at: When it was done, aware.
        set_: What was really set at the exchange.
        late: An accept after the expiry is meant.
    """

    answer: Answer
    at: datetime
    actor: str
    price: Decimal | None = None
    note: str | None = None
    set_: Set = field(default_factory=Set)
    late: bool = False


def deed_change_set(
    recorded: Recorded, deed: Deed, grid: GridRecord | None, recorded_at: datetime
) -> ChangeSet:
    """Return the files that a deed brings: its own, and the grid's where it was accepted.

    Args:
        recorded: The recommendation with all that was recorded about it.
        deed: What was done.
        grid: The grid's file now, None where there is none.
        recorded_at: Now; the writer may stamp it later, never earlier.

    Raises:
        DataInvalid: It cannot be answered so, or the grid cannot follow; names the field.
    """
    advice = recorded.advice
    check_answer(advice, deed.answer, deed.at, late=deed.late)
    latency = (deed.at - advice.closes_at).total_seconds()
    file = ActionFile(
        schema_version=1,
        decision=advice.id,
        market=recorded.file.market,
        at=instant_iso(deed.at),
        recorded_at=instant_iso(recorded_at),
        actor=deed.actor,
        action=deed.answer,
        price=None if deed.price is None else float(deed.price),
        latency_s=latency,
        note=deed.note,
    )
    files = {action_path(advice.id, len(recorded.actions) + 1): encode(file)}
    if deed.answer is Answer.ACCEPT:
        after = grid_after(
            advice,
            proposed_of(recorded.file),
            deed.set_,
            deed.at,
            grid,
            recorded.file.market,
            deed.actor,
        )
        if after is not None:
            files[grid_path(after.grid_id)] = encode_grid(after)
    return ChangeSet(files, f"[{deed.answer}] {recorded.file.market} {advice.id}: {advice.action}")


def proposed_of(file: DecisionFile) -> Proposed | None:
    """Return the grid that a recommendation proposed, None where it proposed none."""
    told = file.proposed
    if told is None:
        return None
    return Proposed(GridKind(told["kind"]), proposed_parameters(told))
