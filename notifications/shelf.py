"""The outbox on disk: a file a notice (`{n}-{tag}.json`), a line for each that was told (`told.jsonl`)."""

from __future__ import annotations

import hashlib
import os
import re
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import structlog

from market.errors import DataInvalid
from market.failpoints import reach
from notifications.durable import write_durably
from notifications.notice import Notice
from notifications.notice_file import decode_notice, encode_notice

_log = structlog.get_logger("outbox")
REMEMBERED = 5000
_TAG = re.compile(rb"[0-9a-f]{64}")
_NUMBERED = re.compile(r"([0-9]+)-.*\.json")


@dataclass(slots=True)
class Waiting:
    """A notice on its way.

    Attributes:
        put_at: When it was made durable.
        left: Channels that have not taken it.
        is_noted: That it was told stands on the disk.
    """

    path: Path
    tag: str
    notice: Notice
    put_at: datetime
    left: list[str]
    is_noted: bool = False


class Shelf:
    """Durable notices. Writers are not thread-safe: the outbox has the lock; who reads needs none.

    A disk that takes nothing must not silence the operator: what cannot be written is kept in memory, said in
    the log and tried again by `settle`.

    Args:
        folder: Kept across restarts; not disposable.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._owed: dict[str, Waiting] = {}
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob("*.tmp"):
            with suppress(OSError):  # the next write of the same name replaces it
                left.unlink()
        self._told = self._read_told()
        self._damaged = set(folder.glob("*.damaged"))
        numbers = {
            path: int(named[1]) for path in folder.iterdir() if (named := _NUMBERED.fullmatch(path.name))
        }
        self._next = 1 + max(numbers.values(), default=0)
        self.waiting = [entry for path in sorted(numbers) if (entry := self._read(path)) is not None]

    def knows(self, dedupe: str) -> bool:
        """Say whether a notice of this name is on its way or was told."""
        tag = tag_of(dedupe)
        return tag in self._told or any(entry.tag == tag for entry in list(self.waiting))

    @property
    def not_durable(self) -> int:
        """Return how many notices the disk does not know, or not as far as they are."""
        return len(self._owed)

    @property
    def damaged(self) -> list[str]:
        """Return the names of files that held a notice, could not be read, and were not taken away since."""
        return sorted(path.name for path in self._damaged if path.exists())

    def put(self, notice: Notice, at: datetime, channels: list[str]) -> None:
        """Make a notice durable, or keep it in memory where the disk takes nothing."""
        self.settle()
        tag = tag_of(notice.dedupe)
        entry = Waiting(self._folder / f"{self._next:08d}-{tag}.json", tag, notice, at, channels)
        self._next += 1
        self._write(entry)
        self.waiting.append(entry)

    def took(self, entry: Waiting, channel: str) -> None:
        """Note that a channel has a notice, or will never take it; after the last one it is done."""
        entry.left = [name for name in entry.left if name != channel]
        if not entry.left:
            self._remember(entry.tag)
            self.waiting.remove(entry)
        self._write(entry)
        self.settle()

    def settle(self) -> None:
        """Try again to write what the disk did not take."""
        if not self._owed:
            return
        for entry in list(self._owed.values()):
            self._write(entry)
        if not self._owed:
            _log.info("the outbox is durable again")

    def _write(self, entry: Waiting) -> None:
        """Bring a notice to the disk as it is now; owed where the disk does not take it."""
        try:
            if entry.left:
                write_durably(entry.path, encode_notice(entry.notice, entry.put_at, entry.left))
            else:
                if not entry.is_noted:
                    self._note(entry.tag)
                    entry.is_noted = True
                reach("notify.after_told")
                entry.path.unlink(missing_ok=True)
        except OSError as error:
            if entry.tag not in self._owed:
                _log.error(
                    "the outbox is not durable: a restart may lose a notice or tell it again",
                    error=error.strerror,
                    title=entry.notice.title,
                    body=entry.notice.body,
                    channels_left=entry.left,
                )
            self._owed[entry.tag] = entry
        else:
            self._owed.pop(entry.tag, None)

    def _read(self, path: Path) -> Waiting | None:
        """Return what waits in a file; a damaged one is set aside and must not silence those behind it."""
        tag = path.stem.partition("-")[2]
        try:
            if tag in self._told:
                path.unlink()  # a death between the note and this: it was told, and once is enough
                return None
            content = path.read_bytes()
        except OSError as error:
            _log.error("a notice's file cannot be read or removed", file=path.name, error=error.strerror)
            if tag not in self._told:
                self._damaged.add(path)
            return None
        try:
            file = decode_notice(content, f"outbox/{path.name}")
        except DataInvalid as error:
            remedy = "read it there, look at the disk, then take it away"
            _log.error(
                "a notice is damaged and was set aside", file=path.name, error=str(error), remedy=remedy
            )
            aside = path.with_suffix(".damaged")
            try:
                path.rename(aside)
            except OSError:  # it is looked at again at the next start
                aside = path
            self._damaged.add(aside)
            return None
        entry = Waiting(path, tag, file.notice, file.put_at, list(file.left))
        if not file.is_sealed:  # an earlier version wrote it
            self._write(entry)
        return entry

    def _read_told(self) -> OrderedDict[str, None]:
        """Return the remembered tags, newest last; a line that is no tag (cut short, damaged) is left out."""
        path = self._folder / "told.jsonl"
        try:
            lines = path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return OrderedDict()
        except OSError as error:
            _log.error("what was told cannot be read", file=path.name, error=error.strerror)
            return OrderedDict()
        tags = [line.decode() for line in lines if _TAG.fullmatch(line)]
        if lost := len(lines) - 1 - len(tags) + bool(lines[-1]):
            _log.warning(
                "what was told is damaged",
                file=path.name,
                error=f"{lost} of {len(lines)} lines are no digests of 64 digits",
                remedy="left out: what they named may be told once more",
            )
        tags = tags[-REMEMBERED:]
        if len(lines) > 2 * REMEMBERED or lines[-1]:
            try:
                write_durably(path, "".join(f"{tag}\n" for tag in tags).encode())
            except OSError as error:  # what is appended later begins a line of its own
                _log.error("what was told cannot be tidied", file=path.name, error=error.strerror)
        return OrderedDict.fromkeys(tags)

    def _remember(self, tag: str) -> None:
        self._told[tag] = None
        while len(self._told) > REMEMBERED:
            self._told.popitem(last=False)

    def _note(self, tag: str) -> None:
        """Append a tag to the memory on the disk, on a line of its own whatever a full disk left there."""
        descriptor = os.open(self._folder / "told.jsonl", os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            size = os.fstat(descriptor).st_size
            is_whole = size == 0 or os.pread(descriptor, 1, size - 1) == b"\n"
            rest = memoryview(f"{'' if is_whole else chr(10)}{tag}\n".encode())
            while rest:
                rest = rest[os.write(descriptor, rest) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def tag_of(dedupe: str) -> str:
    return hashlib.sha256(dedupe.encode()).hexdigest()
