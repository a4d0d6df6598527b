"""The change-set: files that enter the history together, checked the same way whoever brings them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from market.errors import DataInvalid
from store import yaml_text
from store.calibration_files import decode_calibration
from store.candle_files import decode_candles
from store.decision_files import check_decision, decision_of
from store.desk_files import decode_desk
from store.growth import grid_fault
from store.kpi_files import decode_kpis
from store.paths import (
    Kind,
    checked_path,
    classify,
    parse_candles,
    parse_desk,
    parse_grid,
    parse_metrics,
    parse_shadow,
    parse_snapshot,
    parse_trades,
)
from store.records import decode_metrics
from store.shadow_files import decode_shadow
from store.snapshots import decode_snapshot
from store.trade_files import decode_trades

_TRAILER = re.compile(r"[A-Z][A-Za-z-]*")
MAX_FILES = 20_000


@dataclass(frozen=True, slots=True)
class ChangeSet:
    """What one commit brings.

    Attributes:
        files: Path to complete bytes. They are renamed into place in this order, marks last.
        message: First line of the commit.
        trailers: Name and value at the end of the commit message.
        removes: Corrupt files that go to quarantine in this same change-set.
    """

    files: Mapping[str, bytes]
    message: str
    trailers: Mapping[str, str] = field(default_factory=dict)
    removes: tuple[str, ...] = ()

    def text(self) -> str:
        """Return the whole commit message."""
        lines = [f"{name}: {value}" for name, value in self.trailers.items()]
        return "\n".join([self.message, *(["", *lines] if lines else [])]) + "\n"


def in_order(paths: Mapping[str, bytes]) -> list[str]:
    """Return the order of renames: the marks of a judgement and of a desk's hour come last."""
    return sorted(paths, key=lambda path: bool(parse_metrics(path) or parse_desk(path)))


def check_form(change_set: ChangeSet) -> None:
    """Check paths and message.

    Raises:
        DataInvalid: A path outside the layout, a message of several lines, or nothing to write.
    """
    if not change_set.files or len(change_set.files) > MAX_FILES:
        raise DataInvalid("change-set", "files", f"{len(change_set.files)} files, expected 1 to {MAX_FILES}")
    lines = [change_set.message, *change_set.trailers.values()]
    if any(not line or len(line) > 500 or any(ord(c) < 32 for c in line) for line in lines):
        raise DataInvalid("change-set", "message", "expected one line of text, also in each trailer")
    if wrong := [name for name in change_set.trailers if not _TRAILER.fullmatch(name)]:
        raise DataInvalid("change-set", "trailers", f"{wrong[0]!r} is not a trailer's name")
    for path in change_set.files:
        if classify(checked_path(path)) is Kind.MISPLACED:
            raise DataInvalid(path, "", "in a folder of the data repository, but not a name of its layout")
    for path in change_set.removes:
        if classify(checked_path(path)) is not Kind.WRITE_ONCE or not any(
            name.startswith(f"quarantine/{path}.") for name in change_set.files
        ):
            raise DataInvalid(path, "", "only a corrupt file may go, and only to quarantine")


def check_content(change_set: ChangeSet) -> None:
    """Check every file as the daemon checks its own.

    Raises:
        DataInvalid: Names the file, the field, what was found and what was expected.
    """
    check_form(change_set)
    for path, data in change_set.files.items():
        snapshot, candles, metrics = parse_snapshot(path), parse_candles(path), parse_metrics(path)
        if snapshot:
            decode_snapshot(data, path, snapshot)
        elif candles:
            decode_candles(data, path, candles)
        elif metrics:
            decode_metrics(data, path, metrics)
        elif shadow := parse_shadow(path):
            decode_shadow(data, path, shadow)
        elif desk_hour := parse_desk(path):
            decode_desk(data, path, desk_hour)
        else:
            _check_other(path, data)


def _check_other(path: str, data: bytes) -> None:
    """Check what is no hour's own."""
    if decision_of(path):
        check_decision(data, path)
    elif parse_trades(path):
        decode_trades(data, path)
    elif path.startswith("calibration/"):
        decode_calibration(data, path)
    elif path.startswith("kpis/"):
        decode_kpis(data, path)
    elif parse_grid(path):
        if fault := grid_fault(path, data):
            raise DataInvalid(path, "", fault)
    elif path.endswith(".yaml") and classify(path) in (Kind.WRITE_ONCE, Kind.APPEND_ONLY):
        yaml_text.load_all(data, path)
