"""A sweep's folder: what it is, the parts done so far, and the whole; a sweep goes on where it was ended.

    OUT/manifest.json            what is swept; its digest is the sweep's name
    OUT/parts/sets-00007.parquet a part: a row a set, written after the days of the same part
    OUT/parts/days-00007.parquet a row a set and day
    OUT/sets.parquet             all sets, best profit first shown by `regimed sweep`, here in their order
    OUT/days.parquet             all days
    OUT/summary.json             what the whole says

A part is there as a whole or not at all. Every row of it carries the sweep's name: a part of another sweep is
an error, never a wrong result.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from backtest.parameters import ParameterSet, digest_text
from backtest.sweep import DAY_S, Part, SweepPlan, Task, fault_named
from grid.batch import SOUND
from market.candles import Ints
from market.errors import ConfigInvalid, DataInvalid
from market.hours import instant_iso, instant_of_ts
from store import disk
from store.recorded import Kind, read_table, write_table

SCHEMA_VERSION = 2
MANIFEST, PARTS, SUMMARY = "manifest.json", "parts", "summary.json"
SETS_A_PART = 200
_AGAIN = "take the part away and sweep again, which makes it anew"
_PART_SETS: dict[str, Kind] = {
    "sweep": "text",
    "set": "integer",
    "fault": "integer",
    "net": "integer",
    "fees": "integer",
    "fills": "integer",
    "cycles": "integer",
    "held_minutes": "integer",
    "stops": "integer",
}
_PART_DAYS: dict[str, Kind] = {"sweep": "text", "set": "integer", "change": "integer"}
SETS: dict[str, Kind] = {
    "set": "integer",
    "name": "text",
    "spacing": "text",
    "levels": "integer",
    "width_pct": "number",
    "stop_pct": "number",
    "refused": "text",
    "net": "number",
    "return_pct": "number",
    "fees": "number",
    "fills": "integer",
    "cycles": "integer",
    "held_share": "number",
    "stops": "integer",
    "net_units": "integer",
}
_FIGURES = tuple(_PART_SETS)[3:]
DAYS: dict[str, Kind] = {"set": "integer", "day": "time", "change": "number", "change_units": "integer"}
_DTYPES = {"text": "O", "integer": "i"}
_PART_NAME = re.compile(r"(?:sets|days)-(\d{5,})\.parquet")


@dataclass(frozen=True, slots=True, eq=False)
class Whole:
    """All sets of a sweep in order; fields as in `backtest.sweep.Part`."""

    faults: Ints
    net: Ints
    fees: Ints
    fills: Ints
    cycles: Ints
    held_minutes: Ints
    stops: Ints
    changes: Ints


def manifest_of(plan: SweepPlan, sets: Sequence[ParameterSet], sets_a_part: int) -> dict[str, Any]:
    """Return everything that the result depends on, and the digest over it as `sweep`."""
    told: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "key": plan.key,
        "start": instant_iso(instant_of_ts(plan.start_ts)),
        "end": instant_iso(instant_of_ts(plan.end_ts)),
        "minutes": len(plan.bars),
        "data_digest": plan.data_digest,
        "sets": len(sets),
        "parameters_digest": f"sha256:{hashlib.sha256(digest_text(sets)).hexdigest()}",
        "sets_a_part": sets_a_part,
        "every_days": plan.every_days,
        "pessimistic": plan.pessimistic,
        "capital_units": plan.capital,
        "price_scale": plan.price_scale,
        "base_scale": plan.base_scale,
        "increment": plan.increment,
        "least_size_units": plan.least_size,
        "least_funds_units": plan.least_funds,
        "maker_ppm": plan.costs.maker_ppm,
        "taker_ppm": plan.costs.taker_ppm,
        "slippage_ppm": plan.costs.slippage_ppm,
    }
    digest = hashlib.sha256(orjson.dumps(told, option=orjson.OPT_SORT_KEYS)).hexdigest()
    return told | {"sweep": f"sha256:{digest}"}


class SweepFolder:
    """The files of one sweep; made with `opened`."""

    def __init__(self, root: Path, plan: SweepPlan, sets: Sequence[ParameterSet], name: str) -> None:
        self._root, self._plan, self._sets, self._name = root, plan, sets, name

    def done(self, tasks: Sequence[Task]) -> set[int]:
        """Return the numbers of the tasks whose part is there.

        Raises:
            DataInvalid: There is a part that no task of this sweep makes.
        """
        there: dict[str, set[int]] = {"sets": set(), "days": set()}
        for name in disk.names_in(self._root / PARTS):
            if name.startswith("."):  # the beginning of a part whose writer was ended
                disk.remove(self._root / PARTS / name)
                continue
            found = _PART_NAME.fullmatch(name)
            if found is None or int(found[1]) >= len(tasks):
                raise DataInvalid(
                    f"{PARTS}/{name}", "", f"not one of the {len(tasks)} parts of this sweep; take it away"
                )
            there[name[:4]].add(int(found[1]))
        return there["sets"] & there["days"]

    def write(self, task: Task, part: Part) -> None:
        """Keep a part; it counts as done when its sets are there."""
        numbers = range(task.first, task.first + len(task.sets))
        rows = np.flatnonzero(part.faults == SOUND)
        days: dict[str, Any] = {
            "sweep": [self._name] * (len(rows) * self._plan.days),
            "set": np.repeat(rows + task.first, self._plan.days),
            "change": part.changes[rows].ravel(),
        }
        sets: dict[str, Any] = {
            "sweep": [self._name] * len(numbers),
            "set": np.array(numbers),
            "fault": part.faults,
        }
        sets |= {name: getattr(part, name) for name in _FIGURES}
        write_table(self._part("days", task.number), _PART_DAYS, [days])
        write_table(self._part("sets", task.number), _PART_SETS, [sets])

    def whole(self, tasks: Sequence[Task]) -> Whole:
        """Return all parts laid together.

        Raises:
            DataInvalid: A part is of another sweep, damaged, or not of its sets.
        """
        columns: dict[str, list[NDArray[Any]]] = {name: [] for name in ("fault", *_FIGURES)}
        changes = np.zeros((len(self._sets), self._plan.days), dtype=np.int64)
        for task in tasks:
            numbers = np.arange(task.first, task.first + len(task.sets))
            told = self._read("sets", task.number, _PART_SETS)
            self._expect("sets", task.number, told["set"], numbers)
            for name, parts in columns.items():
                parts.append(told[name])
            rows = numbers[told["fault"] == SOUND]
            days = self._read("days", task.number, _PART_DAYS)
            self._expect("days", task.number, days["set"], np.repeat(rows, self._plan.days))
            changes[rows] = days["change"].reshape(len(rows), self._plan.days)
        joined = {name: np.concatenate(parts) for name, parts in columns.items()}
        off = np.flatnonzero(changes.sum(axis=1) != joined["net"])
        if len(off):
            part = next(each for each in tasks if off[0] < each.first + len(each.sets))
            names = [self._part(kind, part.number).name for kind in ("sets", "days")]
            raise DataInvalid(
                f"{PARTS}/{', '.join(names)}",
                f"set {off[0]}",
                f"its days do not add up to its profit; {_AGAIN}",
            )
        return Whole(joined.pop("fault"), **joined, changes=changes)

    def write_whole(self, whole: Whole, summary: Mapping[str, Any]) -> None:
        """Write the tables of all sets and days, then the summary."""
        write_table(self._root / "days.parquet", DAYS, self._day_batches(whole))
        write_table(self._root / "sets.parquet", SETS, [self._set_columns(whole)])
        text = orjson.dumps(summary, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS) + b"\n"
        disk.replace_synced(self._root / SUMMARY, text, self._root / f".{SUMMARY}")

    def _set_columns(self, whole: Whole) -> dict[str, Any]:
        plan, sets = self._plan, self._sets
        sound = whole.faults == SOUND
        unit = plan.price_scale * plan.base_scale

        def told(values: NDArray[Any]) -> list[Any]:
            return [value if fine else None for value, fine in zip(values.tolist(), sound, strict=True)]

        return {
            "set": np.arange(len(sets)),
            "name": [each.name for each in sets],
            "spacing": [each.spacing.value for each in sets],
            "levels": [each.levels for each in sets],
            "width_pct": [each.width_ppm / 10_000 for each in sets],
            "stop_pct": [each.stop_ppm / 10_000 if each.stop_ppm else None for each in sets],
            "refused": [fault_named(fault) for fault in whole.faults.tolist()],
            "net": told(whole.net / unit),
            "return_pct": told(whole.net * 100 / plan.capital),
            "fees": told(whole.fees / unit),
            "fills": told(whole.fills),
            "cycles": told(whole.cycles),
            "held_share": told(whole.held_minutes / len(plan.bars)),
            "stops": told(whole.stops),
            "net_units": told(whole.net),
        }

    def _day_batches(self, whole: Whole) -> Iterator[dict[str, Any]]:
        plan = self._plan
        unit = plan.price_scale * plan.base_scale
        days = plan.start_ts + DAY_S * np.arange(plan.days)
        rows = np.flatnonzero(whole.faults == SOUND)
        for first in range(0, len(rows), SETS_A_PART):
            some = rows[first : first + SETS_A_PART]
            changes = whole.changes[some].ravel()
            yield {
                "set": np.repeat(some, plan.days),
                "day": np.tile(days, len(some)).astype("datetime64[s]"),
                "change": changes / unit,
                "change_units": changes,
            }

    def _part(self, kind: str, number: int) -> Path:
        return self._root / PARTS / f"{kind}-{number:05}.parquet"

    def _read(self, kind: str, number: int, columns: Mapping[str, Kind]) -> dict[str, NDArray[Any]]:
        path = self._part(kind, number)
        where = f"{PARTS}/{path.name}"
        try:
            told = read_table(path, tuple(columns))
        except DataInvalid as error:
            raise DataInvalid(where, error.field, f"{error.problem}; {_AGAIN}") from None
        for name, column in told.items():
            if column.dtype.kind != _DTYPES[columns[name]]:
                problem = f"{column.dtype}, expected {columns[name]} in every row; {_AGAIN}"
                raise DataInvalid(where, name, problem)
        if strangers := {str(name) for name in told["sweep"]} - {self._name}:
            problem = f"{min(strangers)}, expected {self._name}: another sweep's part; {_AGAIN}"
            raise DataInvalid(where, "sweep", problem)
        return told

    def _expect(self, kind: str, number: int, found: Ints, expected: Ints) -> None:
        if not np.array_equal(found, expected):
            where = f"{PARTS}/{self._part(kind, number).name}"
            problem = f"{len(found)} rows of other sets, expected {len(expected)}; {_AGAIN}"
            raise DataInvalid(where, "set", problem)


@contextmanager
def opened(
    root: Path, plan: SweepPlan, sets: Sequence[ParameterSet], sets_a_part: int = SETS_A_PART
) -> Iterator[SweepFolder]:
    """Open a sweep's folder, made where there is none, for this process alone.

    Raises:
        ConfigInvalid: It holds another sweep, other files, or another process writes it.
        OSError: It cannot be written.
    """
    manifest = manifest_of(plan, sets, sets_a_part)
    root.mkdir(parents=True, exist_ok=True)
    handle = os.open(root / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigInvalid(f"--out: {root}: another sweep is writing there") from None
        _check_manifest(root, manifest)
        disk.make_folder(root / PARTS, root)
        yield SweepFolder(root, plan, sets, str(manifest["sweep"]))
    finally:
        os.close(handle)


def _check_manifest(root: Path, manifest: Mapping[str, Any]) -> None:
    path = root / MANIFEST
    there = disk.read(path)
    if there is None:
        if strangers := [name for name in disk.names_in(root) if not name.startswith(".")]:
            raise ConfigInvalid(f"--out: {root}: holds {strangers[0]} and no sweep; expected an empty folder")
        text = orjson.dumps(manifest, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS) + b"\n"
        disk.replace_synced(path, text, root / f".{MANIFEST}")
        return
    try:
        found = orjson.loads(there)
    except orjson.JSONDecodeError as error:
        problem = f"--out: {path}: not JSON: {error}; name another folder, and sweep anew"
        raise ConfigInvalid(problem) from None
    other = found if isinstance(found, dict) else {}
    if other != dict(manifest):
        differs = [name for name in sorted({*other, *manifest}) if other.get(name) != manifest.get(name)]
        name = next((each for each in differs if each != "sweep"), "sweep")
        differs_in = f"{name} is {other.get(name)!r}, expected {manifest.get(name)!r}"
        raise ConfigInvalid(f"--out: {path}: another sweep: {differs_in}; name another folder")
