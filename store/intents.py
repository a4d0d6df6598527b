"""Intents: what a change-set is about to do, on disk before it is done, until it is in the history."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

import orjson
from pydantic import BaseModel, ConfigDict

from market.errors import DataInvalid
from store import disk
from store.seal import validated

_NAME = re.compile(r"(\d{1,18})\.json")


class IntendedFile(BaseModel):
    """One file of an intent; `old` is the digest of what stood there before."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    digest: str
    old: str | None


class Intent(BaseModel):
    """A change-set on its way into the history.

    `held` ones wait for the judgement of their hour; `joins` names those that enter the same commit;
    a `merge` brings files of a merge commit into the work tree.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    number: int
    kind: Literal["files", "merge"] = "files"
    at: datetime
    message: str
    files: tuple[IntendedFile, ...]
    removes: tuple[str, ...] = ()
    held: bool = False
    joins: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Intents:
    """The folder of intents; `incoming` lies beside the repository's files, so that a rename is atomic."""

    folder: Path
    incoming: Path

    def prepare(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.incoming.mkdir(parents=True, exist_ok=True)

    def write(self, intent: Intent) -> None:
        """Make an intent durable."""
        data = intent.model_dump_json().encode()
        disk.replace_synced(self._path(intent.number), data, self.folder / f"{intent.number}.json.tmp")

    def remove(self, *numbers: int) -> None:
        disk.remove(*(self._path(number) for number in numbers))

    def temporary(self, number: int, place: int) -> Path:
        """Return where the new bytes of the file number `place` of an intent wait."""
        return self.incoming / f"{number}-{place}.part"

    def all(self) -> tuple[list[Intent], dict[str, str]]:
        """Return every intent, oldest first, and why those cannot be read that cannot, by name."""
        found, unreadable = list[Intent](), dict[str, str]()
        for entry in sorted(self.folder.iterdir()):
            if _NAME.fullmatch(entry.name):
                try:
                    found.append(read_intent(entry.read_bytes(), f"intents/{entry.name}"))
                except DataInvalid as error:
                    unreadable[entry.name] = str(error)
        return sorted(found, key=lambda intent: intent.number), unreadable

    def set_aside(self, name: str) -> None:
        """Keep an unreadable intent under another name, out of the way."""
        disk.rename(self.folder / name, self.folder / f"{name}.unreadable")

    def next_number(self) -> int:
        names = (_NAME.match(entry.name) for entry in self.folder.iterdir())
        return max((int(name.group(1)) for name in names if name), default=0) + 1

    def clear_temporaries(self) -> None:
        """Remove bytes that wait for no rename; call when every intent is finished or undone."""
        for folder, pattern in ((self.incoming, "*.part"), (self.folder, "*.tmp")):
            disk.remove(*folder.glob(pattern))

    def _path(self, number: int) -> Path:
        return self.folder / f"{number}.json"


def read_intent(data: bytes, where: str) -> Intent:
    """Return the intent that a file holds.

    Raises:
        DataInvalid: Names file, field, what was found and what was expected.
    """
    try:
        return validated(Intent, orjson.loads(data), where)
    except orjson.JSONDecodeError as error:
        raise DataInvalid(where, "", f"not JSON: {error}; expected an intent") from None


def digest(data: bytes) -> str:
    """Return the digest by which intents name bytes."""
    return "sha256:" + hashlib.sha256(data).hexdigest()
