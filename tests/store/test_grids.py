"""Grid files: whichever is not valid changes nothing, and is named with its fault."""

from __future__ import annotations

import os
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from grid.parameters import GridKind
from grid.record import EventKind, GridRecord, as_value, new_record, with_event, with_version
from market.errors import DataInvalid
from store import yaml_text
from store.grids import GridShelf, decode_grid, encode_grid, grid_path, judge_of
from tests.grid.records import DAY, drawn_records, parameters

PATH = "grids/eth-1.yaml"
MARKETS = ("SOL-USDT", "ETH-USDT")
IDLE = new_record("eth-1", "ETH-USDT", GridKind.NORMAL, parameters(), DAY)
RUNS = with_event(IDLE, EventKind.ENABLED, DAY + timedelta(hours=1), 1)
TWO = with_version(RUNS, parameters(2, upper=Decimal(150)), DAY + timedelta(hours=2))


def edited(record: GridRecord = TWO, **others: Any) -> bytes:
    return yaml_text.dump({**as_value(record), **others})


def version(record: GridRecord = TWO, place: int = 0, **others: Any) -> bytes:
    versions = as_value(record)["versions"]
    versions[place] = {**versions[place], **others}
    return edited(record, versions=versions)


EVENTS = as_value(TWO)["history"]
BAD: dict[str, tuple[bytes, str]] = {
    "inverted bounds": (version(lower=150), "versions.0.upper: 140, expected more than lower 150"),
    "one level": (version(levels=1), "versions.0.levels: 1, expected 2 to 200"),
    "a negative amount": (version(amount_per_grid=-50), "versions.0.amount_per_grid: -50, expected more"),
    "an unknown market": (
        edited(market="BTC-USDT"),
        "market: BTC-USDT is not configured; known: ETH-USDT, SOL-USDT",
    ),
    "two enables": (
        edited(history=[*EVENTS, {**EVENTS[0], "at": "2026-02-02T03:00:00Z"}]),
        "history.1.event: enabled after enabled, expected disabled",
    ),
    "a version that goes back": (version(place=1, version=1), "versions.1.version: 1, expected 2"),
    "a stop before the start": (
        edited(history=[*EVENTS, {**EVENTS[0], "event": "disabled", "at": "2026-02-02T00:30:00Z"}]),
        "history.1.at: lies before that of the event before",
    ),
    "an unknown version": (edited(history=[{**EVENTS[0], "version": 3}]), "history.0.version: 3, known are"),
    "an unknown field": (edited(enabled=True), "enabled: Extra inputs are not permitted"),
    "another grid's name": (edited(grid_id="eth-2"), "grid_id: eth-2, but the path names eth-1"),
    "a key twice": (encode_grid(TWO) + b"kind: normal\n", "stands twice"),
    "no YAML": (b"versions: [", "not the YAML expected"),
    "no mapping": (b"- 1\n", "expected a mapping"),
    "a newer form": (edited(schema_version=2), "schema_version: 2, known is 1"),
    "a history that shrinks": (encode_grid(IDLE), "versions: 1 entries, ours has 2 and none may vanish"),
    "a past that changes": (version(upper=141), "versions.0: differs from ours, entries may only be added"),
    "another kind": (edited(kind="probationary"), "kind: probationary, ours is normal and may not change"),
}


class Shelf:
    """A shelf over a folder in which files are replaced as an editor does it."""

    def __init__(self, root: Path, **others: Any) -> None:
        self.root, self.shelf = root, GridShelf(root, **{"markets": MARKETS, **others})
        (root / "grids").mkdir()
        self.edits = 0

    def write(self, data: bytes, path: str = PATH) -> None:
        self.edits += 1
        (self.root / path).write_bytes(data)
        os.utime(self.root / path, ns=(self.edits, self.edits))

    def grids(self) -> dict[str, GridRecord]:
        return dict(self.shelf.records())


@pytest.mark.parametrize("name", BAD)
def test_an_invalid_file_keeps_the_last_valid_one_in_force_and_names_its_fault(tmp_path: Path, name: str):
    """Until it is mended; then the fault is gone."""
    shelf = Shelf(tmp_path)
    shelf.write(encode_grid(TWO))
    assert shelf.grids() == {"eth-1": TWO}
    assert shelf.shelf.faults == {}
    data, fault = BAD[name]
    shelf.write(data)
    assert shelf.grids() == {"eth-1": TWO}
    assert list(shelf.shelf.faults) == [PATH]
    assert shelf.shelf.faults[PATH].startswith(f"{PATH}: ")
    assert fault in shelf.shelf.faults[PATH]
    assert shelf.grids() == {"eth-1": TWO}  # asked again, without a change
    assert list(shelf.shelf.faults) == [PATH]
    longer = with_event(TWO, EventKind.DISABLED, DAY + timedelta(hours=5), 2)
    shelf.write(encode_grid(longer))
    assert shelf.grids() == {"eth-1": longer}
    assert shelf.shelf.faults == {}


@pytest.mark.parametrize("name", BAD)
def test_a_file_pushed_from_outside_is_judged_alike(name: str):
    """Refused by name, in the same words."""
    data, fault = BAD[name]
    told = judge_of(MARKETS)(PATH, encode_grid(TWO), data)
    assert told is not None
    assert fault in told
    assert not told.startswith(PATH)


def test_what_extends_ours_is_taken_from_outside():
    """A new grid, and one with entries more."""
    longer = with_event(TWO, EventKind.DISABLED, DAY + timedelta(hours=5), 2)
    judge = judge_of(MARKETS)
    assert judge(PATH, None, encode_grid(TWO)) is None
    assert judge(PATH, encode_grid(TWO), encode_grid(longer)) is None
    assert judge(PATH, encode_grid(TWO), encode_grid(TWO)) is None
    assert judge_of(None)(PATH, None, edited(market="BTC-USDT")) is None
    corrupt = judge(PATH, b"a: 1\n", encode_grid(TWO))
    assert corrupt is not None
    assert "grid_id: Field required" in corrupt


def test_a_file_that_was_never_valid_is_no_grid(tmp_path: Path):
    """Nothing is in force, and the fault is named."""
    shelf = Shelf(tmp_path)
    shelf.write(BAD["one level"][0])
    assert shelf.grids() == {}
    assert "levels" in shelf.shelf.faults[PATH]


def test_after_a_restart_the_committed_form_is_the_last_valid_one(tmp_path: Path):
    """A broken file in the work tree does not stop a grid that runs."""
    held = {PATH: encode_grid(TWO)}
    shelf = Shelf(tmp_path, held=held.get)
    shelf.write(BAD["inverted bounds"][0])
    assert shelf.grids() == {"eth-1": TWO}
    assert PATH in shelf.shelf.faults
    held[PATH] = b"a: 1\n"
    other = GridShelf(tmp_path, MARKETS, held.get)
    assert dict(other.records()) == {}
    shelf.write(encode_grid(IDLE))
    fresh = GridShelf(tmp_path, MARKETS, {PATH: encode_grid(TWO)}.get)
    assert dict(fresh.records()) == {"eth-1": TWO}
    assert "may vanish" in fresh.faults[PATH]


def test_only_grid_files_are_read_and_each_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """By id; a note beside them is the operator's, a file that has gone is no grid any more."""
    shelf = Shelf(tmp_path)
    other = new_record("a-1", "SOL-USDT", GridKind.PROBATIONARY, parameters(), DAY)
    shelf.write(encode_grid(TWO))
    shelf.write(encode_grid(other), "grids/a-1.yaml")
    shelf.write(b"hello", "grids/README.md")
    assert list(shelf.grids()) == ["a-1", "eth-1"]
    read: list[Path] = []
    plain = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: read.append(path) or plain(path))
    assert list(shelf.grids()) == ["a-1", "eth-1"]
    assert read == []
    (tmp_path / PATH).unlink()
    assert list(shelf.grids()) == ["a-1"]
    assert GridShelf(tmp_path / "nowhere").records() == {}


def test_a_file_that_vanishes_while_it_is_listed_is_no_grid(tmp_path: Path):
    """An editor's replacement has an instant without a file."""
    shelf = Shelf(tmp_path)
    (tmp_path / PATH).symlink_to(tmp_path / "gone")
    assert shelf.grids() == {}
    assert shelf.shelf.faults == {}


def test_a_file_that_cannot_be_read_keeps_the_last_valid_one(tmp_path: Path):
    """A folder in its place, say."""
    shelf = Shelf(tmp_path)
    shelf.write(encode_grid(TWO))
    assert shelf.grids() == {"eth-1": TWO}
    (tmp_path / PATH).unlink()
    (tmp_path / PATH).mkdir()
    assert shelf.grids() == {"eth-1": TWO}
    assert "eth-1.yaml" in shelf.shelf.faults[PATH]


@settings(deadline=None)
@given(drawn_records())
def test_a_grid_file_round_trips(record: GridRecord):
    """Whatever its life was; the same bytes from the same record."""
    data = encode_grid(record)
    path = grid_path(record.grid_id)
    assert decode_grid(data, path) == record
    assert encode_grid(decode_grid(data, path)) == data
    with pytest.raises(DataInvalid, match="grid_id: eth-1, but the path names x"):
        decode_grid(data, "grids/x.yaml")
