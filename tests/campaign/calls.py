"""The calls by which a folder changes, counted in their order: each is a moment to die, to fail, to be full.

An event is a failpoint that is reached, or a call of this process that changes or syncs a file under the
folder, or a Git command that is started. What the machine would lose without power is known here too: bytes
that were not synced, and names that their folder did not sync.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from unittest import mock

import git

from market import failpoints
from store.git import GitCommands

Act = Callable[[int, str], None]
_UNSEEN = ("regimed.lock", "phone.txt", "config.yaml", "/laptop")  # not the daemon's own records


class Calls:
    """Counts the events under a folder and lets `act(number, name)` do as it likes before each.

    Args:
        folder: Only what lies in it counts.
        act: May raise, kill or copy; the number of the first event is 1.
        after: The same after a Git command that did its work, with the command's own number.
        failpoints_too: Whether failpoints are events; a call can fail, a place in the code cannot.
    """

    def __init__(
        self, folder: Path, act: Act, after: Act | None = None, *, failpoints_too: bool = True
    ) -> None:
        self.folder, self.number = f"{folder}/", 0
        self._act, self._after, self._failpoints_too = act, after, failpoints_too
        self._handles: dict[int, str] = {}
        self._unsynced: set[str] = set()
        self._names: list[tuple[str, str, bytes | None]] = []  # renames whose folder is not synced
        self._real = {
            name: getattr(os, name) for name in ("open", "write", "fsync", "close", "unlink", "mkdir")
        }
        self._real |= {"replace": os.replace, "rename": os.rename}

    @contextmanager
    def counted(self) -> Iterator[Calls]:
        """Count while the block runs."""
        for name in failpoints.NAMES if self._failpoints_too else ():
            failpoints.arm(name, lambda name=name: self._event(name))
        execute = GitCommands._execute

        def command(commands: GitCommands, args: tuple[str, ...], *rest: Any) -> bytes:
            self._event(f"git {args[0]}")
            mine = self.number
            answer = execute(commands, args, *rest)
            if self._after is not None:
                self._after(mine, f"git {args[0]}")
            return answer

        patched = {name: getattr(self, f"_{name}") for name in self._real if name != "rename"}
        try:
            with (
                mock.patch.multiple(os, **patched, rename=self._replace),
                mock.patch.object(GitCommands, "_execute", command),
            ):
                yield self
        finally:
            failpoints.disarm()

    def lose_power(self) -> None:
        """Take from the disk what no sync has brought there."""
        for source, target, before in reversed(self._names):
            with suppress(OSError):
                self._real["rename"](target, source)
                if before is not None:
                    Path(target).write_bytes(before)
        for path in self._unsynced:
            with suppress(OSError):
                os.truncate(path, Path(path).stat().st_size // 2)

    def _event(self, name: str) -> None:
        self.number += 1
        self._act(self.number, name)

    def _seen(self, path: Any) -> str | None:
        text = os.fspath(path) if not isinstance(path, int) else ""
        is_ours = isinstance(text, str) and text.startswith(self.folder)
        return text if is_ours and not any(part in text for part in _UNSEEN) else None

    def _open(self, path: Any, flags: int, *args: Any, **named: Any) -> int:
        ours = self._seen(path)
        writes = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        if ours and writes:
            self._event(f"open {_shown(ours)}")
        handle: int = self._real["open"](path, flags, *args, **named)
        if ours:
            self._handles[handle] = ours
        return handle

    def _write(self, handle: int, data: Any) -> int:
        if handle in self._handles:
            self._event(f"write {_shown(self._handles[handle])}")
            self._unsynced.add(self._handles[handle])
        count: int = self._real["write"](handle, data)
        return count

    def _fsync(self, handle: int) -> None:
        ours = self._handles.get(handle)
        if ours:
            self._event(f"fsync {_shown(ours)}")
        self._real["fsync"](handle)
        if ours:
            self._unsynced.discard(ours)
            self._names = [each for each in self._names if os.path.dirname(each[1]) != ours]  # noqa: PTH120

    def _close(self, handle: int) -> None:
        self._handles.pop(handle, None)
        self._real["close"](handle)

    def _replace(self, source: Any, target: Any, **named: Any) -> None:
        ours = self._seen(target)
        if ours:
            self._event(f"rename {_shown(ours)}")
            before = Path(ours).read_bytes() if os.path.exists(ours) else None  # noqa: PTH110
            self._names.append((os.fspath(source), ours, before))
            if os.fspath(source) in self._unsynced:
                self._unsynced.discard(os.fspath(source))
                self._unsynced.add(ours)
        self._real["replace"](source, target, **named)

    def _unlink(self, path: Any, **named: Any) -> None:
        if ours := self._seen(path):
            self._event(f"unlink {_shown(ours)}")
        self._real["unlink"](path, **named)

    def _mkdir(self, path: Any, *args: Any, **named: Any) -> None:
        if ours := self._seen(path):
            self._event(f"mkdir {_shown(ours)}")
        self._real["mkdir"](path, *args, **named)


def _shown(path: str) -> str:
    return "/".join(path.rsplit("/", 2)[-2:])


def failing(name: str, error: int) -> None:
    """Raise what the call of this name raises when the machine refuses it."""
    if name.startswith("git "):
        raise git.GitCommandError(name, 128, f"{os.strerror(error)} (campaign)")
    raise OSError(error, f"{os.strerror(error)} (campaign)")


ERRORS = {"eio": errno.EIO, "enospc": errno.ENOSPC}
