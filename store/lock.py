"""One process writes a repository: an advisory lock that says who holds it and where to reach it."""

from __future__ import annotations

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path

import orjson

from market.errors import RepositoryLocked


@dataclass(frozen=True, slots=True)
class Holder:
    """Who writes a repository, and the socket that takes its orders."""

    pid: int
    socket: str


class RepositoryLock:
    """A held flock on `.git/regimed.lock`; the system lets it go when the process ends, however it ends.

    Args:
        root: The repository.
        socket: Path of the control socket, written into the lock file.

    Raises:
        RepositoryLocked: Another process holds it; names the process.
    """

    def __init__(self, root: Path, socket: Path) -> None:
        path = lock_path(root)
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._handle)
            told = _told(path)
            raise RepositoryLocked(str(root), told.pid if told else None) from None
        os.ftruncate(self._handle, 0)
        os.write(self._handle, orjson.dumps({"pid": os.getpid(), "socket": str(socket)}))

    def release(self) -> None:
        os.ftruncate(self._handle, 0)
        os.close(self._handle)


def lock_path(root: Path) -> Path:
    return root / ".git" / "regimed.lock"


def holder(root: Path) -> Holder | None:
    """Return who writes the repository now, None when nobody does."""
    try:
        handle = os.open(lock_path(root), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _told(lock_path(root))
    finally:
        os.close(handle)
    return None


def _told(path: Path) -> Holder | None:
    try:
        value = orjson.loads(path.read_bytes())
        return Holder(int(value["pid"]), str(value["socket"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None  # held, but not yet (or not any more) by name
