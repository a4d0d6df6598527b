"""Files read once: what was made of them is kept while they stay the same, within a bound."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Generic, TypeVar

from market.errors import DataInvalid

Value = TypeVar("Value")
Sign = tuple[int, int, int]


def sign_of(path: str) -> Sign | None:
    """Return what changes with a file or a folder; None where there is none."""
    try:
        told = os.stat(path)  # noqa: PTH116, asked tens of thousands of times a page
    except OSError:
        return None
    return told.st_mtime_ns, told.st_size, told.st_ino


class FileCache(Generic[Value]):
    """What files of one kind hold, damage included; any thread.

    Args:
        root: The data repository.
        decode: Makes a value of bytes and path; raises DataInvalid.
        most: Files that are kept; the one used longest ago goes first.
    """

    def __init__(self, root: Path, decode: Callable[[bytes, str], Value], most: int) -> None:
        self._root, self._decode, self._most = os.fspath(root), decode, most
        self._held: OrderedDict[str, tuple[Sign, Value | DataInvalid]] = OrderedDict()
        self._lock = Lock()

    def read(self, path: str) -> Value | None:
        """Return what a file holds, None where there is none.

        Raises:
            DataInvalid: It is damaged, or cannot be read.
        """
        full = f"{self._root}/{path}"
        sign = sign_of(full)
        if sign is None:
            return None
        with self._lock:
            kept = self._held.get(path)
            if kept is not None and kept[0] == sign:
                self._held.move_to_end(path)
                return _told(kept[1])
        try:
            with open(full, "rb") as file:  # noqa: PTH123
                data = file.read()
        except FileNotFoundError:
            return None  # it went to quarantine a moment ago
        except OSError as error:
            raise DataInvalid(path, "", f"cannot be read: {error.strerror}") from None
        found: Value | DataInvalid
        try:
            found = self._decode(data, path)
        except DataInvalid as error:
            found = error
        with self._lock:
            self._held[path] = sign, found
            self._held.move_to_end(path)
            while len(self._held) > self._most:
                self._held.popitem(last=False)
        return _told(found)


def _told(found: Value | DataInvalid) -> Value:
    if isinstance(found, DataInvalid):
        raise DataInvalid(found.where, found.field, found.problem)  # each reader gets a traceback of its own
    return found
