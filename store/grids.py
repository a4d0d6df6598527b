"""Grid files: read by everyone, written by the operator, and whichever is not valid changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from grid.record import GridRecord, as_value, extends, grid_record_of
from market.errors import DataInvalid
from store import disk, yaml_text
from store.paths import parse_grid

_SIGN = tuple[int, int, int]


def grid_path(grid_id: str) -> str:
    """Return where a grid lies."""
    return f"grids/{grid_id}.yaml"


def encode_grid(record: GridRecord) -> bytes:
    """Return a grid as YAML."""
    return yaml_text.dump(as_value(record))


def decode_grid(data: bytes, path: str, markets: Iterable[str] | None = None) -> GridRecord:
    """Return the grid in `data`, agreeing with its path.

    Args:
        data: The file's bytes.
        path: Where it lies, for errors.
        markets: Configured keys; a grid of another market is refused. None takes any.

    Raises:
        DataInvalid: Names file, field, what was found and what was expected.
    """
    record = grid_record_of(yaml_text.load(data, path), path)
    if path != grid_path(record.grid_id):
        raise DataInvalid(path, "grid_id", f"{record.grid_id}, but the path names {parse_grid(path)}")
    known = None if markets is None else sorted(markets)
    if known is not None and record.market not in known:
        raise DataInvalid(path, "market", f"{record.market} is not configured; known: {', '.join(known)}")
    return record


def judge_of(markets: Iterable[str] | None) -> Callable[[str, bytes | None, bytes], str | None]:
    """Return what judges a grid file from outside: None takes it, a text says why not.

    Args:
        markets: Configured keys, None for any.
    """
    known = None if markets is None else tuple(markets)

    def judge(path: str, ours: bytes | None, theirs: bytes) -> str | None:
        try:
            offered = decode_grid(theirs, path, known)
            held = None if ours is None else decode_grid(ours, path)
        except DataInvalid as error:
            return str(error).removeprefix(f"{path}: ")
        return None if held is None else extends(held, offered)

    return judge


@dataclass(frozen=True, slots=True)
class _Read:
    sign: _SIGN
    record: GridRecord | None


class GridShelf:
    """The grids of one repository. A file that breaks is refused by name; its last valid form stays in force.

    Args:
        root: The work tree.
        markets: Configured keys, None for any.
        held: Returns the newest committed bytes of a path, None where there are none.
    """

    def __init__(
        self,
        root: Path,
        markets: Iterable[str] | None = None,
        held: Callable[[str], bytes | None] | None = None,
    ) -> None:
        self._root, self._held = root, held or (lambda _path: None)
        self._markets = None if markets is None else tuple(markets)
        self._read: dict[str, _Read] = {}
        self.faults: dict[str, str] = {}

    def records(self) -> Mapping[str, GridRecord]:
        """Return every valid grid by its id; `faults` says which files are not, and why."""
        found: dict[str, GridRecord] = {}
        for name in disk.names_in(self._root / "grids"):
            path = f"grids/{name}"
            if parse_grid(path) is None:
                continue
            record = self._record(path)
            if record is not None:
                found[record.grid_id] = record
        return dict(sorted(found.items()))

    def _record(self, path: str) -> GridRecord | None:
        try:
            told = (self._root / path).stat()
        except FileNotFoundError:
            return None
        sign = (told.st_mtime_ns, told.st_size, told.st_ino)
        before = self._read.get(path)
        if before is not None and before.sign == sign:
            return before.record
        last = before.record if before is not None else self._committed(path)
        record, fault = self._judged(path, last)
        if fault is None:
            self.faults.pop(path, None)
        else:
            self.faults[path] = fault
        self._read[path] = _Read(sign, record)
        return record

    def _judged(self, path: str, last: GridRecord | None) -> tuple[GridRecord | None, str | None]:
        """Return what is in force, and why it is not what the file holds."""
        try:
            offered = decode_grid((self._root / path).read_bytes(), path, self._markets)
        except (DataInvalid, OSError) as error:
            return last, str(error)
        fault = None if last is None else extends(last, offered)
        return (offered, None) if fault is None else (last, f"{path}: {fault}")

    def _committed(self, path: str) -> GridRecord | None:
        data = self._held(path)
        if data is None:
            return None
        try:
            return decode_grid(data, path, self._markets)
        except DataInvalid:
            return None
