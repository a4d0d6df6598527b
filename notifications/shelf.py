"""The outbox on disk: a file a notice (`{n}-{tag}.json`), a line for each that was told (`told.jsonl`)."""

from __future__ import annotations

import hashlib
import os
from collections import OrderedDict
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import structlog

from market.failpoints import reach
from market.hours import instant_iso, parse_instant
from notifications.durable import write_durably
from notifications.notice import Kind, Level, Notice

_log = structlog.get_logger("outbox")
REMEMBERED = 5000


@dataclass(slots=True)
class Waiting:
    """A notice on its way.

    Attributes:
        put_at: When it was made durable.
        left: Channels that have not taken it.
    """

    path: Path
    tag: str
    notice: Notice
    put_at: datetime
    left: list[str]


class Shelf:
    """Durable notices. Not thread-safe: the outbox has the lock.

    Args:
        folder: Kept across restarts; not disposable.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob("*.tmp"):
            left.unlink()
        self._told = self._read_told()
        paths = sorted(folder.glob("[0-9]*.json"))
        self._next = 1 + max((int(path.name.split("-")[0]) for path in paths), default=0)
        self.waiting = [entry for path in paths if (entry := self._read(path)) is not None]

    def knows(self, dedupe: str) -> bool:
        """Say whether a notice of this name is on its way or was told."""
        tag = tag_of(dedupe)
        return tag in self._told or any(entry.tag == tag for entry in self.waiting)

    def put(self, notice: Notice, at: datetime, channels: list[str]) -> None:
        """Make a notice durable."""
        tag = tag_of(notice.dedupe)
        entry = Waiting(self._folder / f"{self._next:08d}-{tag}.json", tag, notice, at, channels)
        self._next += 1
        write_durably(entry.path, _as_json(entry))
        self.waiting.append(entry)

    def took(self, entry: Waiting, channel: str) -> None:
        """Note that a channel has a notice, or will never take it; after the last one it is done."""
        entry.left.remove(channel)
        if entry.left:
            write_durably(entry.path, _as_json(entry))
            return
        self.waiting.remove(entry)
        self._remember(entry.tag)
        reach("notify.after_told")
        entry.path.unlink()

    def _read(self, path: Path) -> Waiting | None:
        """Return what waits in a file; a damaged one is set aside and must not silence those behind it."""
        tag = path.stem.partition("-")[2]
        if tag in self._told:
            path.unlink()  # a death between the note and this: it was told, and once is enough
            return None
        try:
            data = orjson.loads(path.read_bytes())
            notice = _of_json(data)
            put_at = parse_instant(data["put_at"]) if "put_at" in data else notice.at
            return Waiting(path, tag, notice, put_at, list(map(str, data["left"])))
        except (ValueError, TypeError, KeyError) as error:
            path.rename(path.with_suffix(".damaged"))
            _log.error("a notice is damaged and was set aside", file=path.name, error=str(error))
            return None

    def _read_told(self) -> OrderedDict[str, None]:
        """Return the remembered tags, newest last; a line cut short by a crash is left out."""
        path = self._folder / "told.jsonl"
        if not path.exists():
            return OrderedDict()
        lines = path.read_bytes().split(b"\n")
        tags = [line.decode() for line in lines[:-1] if len(line) == 64][-REMEMBERED:]
        if len(lines) > 2 * REMEMBERED or lines[-1]:
            write_durably(path, "".join(f"{tag}\n" for tag in tags).encode())
        return OrderedDict.fromkeys(tags)

    def _remember(self, tag: str) -> None:
        self._told[tag] = None
        while len(self._told) > REMEMBERED:
            self._told.popitem(last=False)
        descriptor = os.open(self._folder / "told.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(descriptor, f"{tag}\n".encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def tag_of(dedupe: str) -> str:
    return hashlib.sha256(dedupe.encode()).hexdigest()


def _as_json(entry: Waiting) -> bytes:
    notice = entry.notice
    return orjson.dumps(
        {
            **asdict(notice),
            "level": notice.level.value,
            "at": instant_iso(notice.at),
            "put_at": instant_iso(entry.put_at),
            "left": entry.left,
        }
    )


def _of_json(data: dict[str, Any]) -> Notice:
    return Notice(
        dedupe=data["dedupe"],
        market=data["market"],
        level=Level(data["level"]),
        title=data["title"],
        body=data["body"],
        at=parse_instant(data["at"]),
        kind=Kind(data.get("kind", Kind.MARKET)),
        grid_id=data.get("grid_id", ""),
        exit_state=data.get("exit_state"),
        decision=data.get("decision", ""),
    )
