"""The remote: fetch, push and upkeep, beside the writer and never in its way."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from store.git import GitCommands, GitFailed, live_git_processes, shown_remote

REMOTE = "origin"
_ENDABLE = {b"fetch", b"push", b"ls-remote", b"maintenance", b"commit-graph", b"prune-packed"}


@dataclass(frozen=True, slots=True)
class Counts:
    """What the repository has grown to."""

    loose_objects: int
    packs: int
    nbytes: int


@dataclass(frozen=True, slots=True)
class Remote:
    """Speaks to the remote of one branch; uses one thread's Git commands."""

    git: GitCommands
    branch: str

    @property
    def _ours(self) -> str:
        return f"refs/heads/{self.branch}"

    @property
    def _theirs(self) -> str:
        return f"refs/remotes/{REMOTE}/{self.branch}"

    def fetch(self, timeout_s: float) -> str | None:
        """Fetch the remote's branch and return its newest commit, None where the remote has none.

        Raises:
            GitFailed: The remote cannot be reached, hangs, or sends broken objects.
        """
        if not self.git.text("ls-remote", "--heads", REMOTE, self._ours, timeout_s=timeout_s):
            return None
        refspec = f"+{self._ours}:{self._theirs}"
        self.git.run("fetch", "--quiet", "--no-tags", "--no-auto-gc", REMOTE, refspec, timeout_s=timeout_s)
        return self.git.text("rev-parse", "--verify", self._theirs)

    def push(self, timeout_s: float) -> None:
        """Push the branch, never forced.

        Raises:
            GitFailed: Refused or not reached; `is_diverged` tells which.
        """
        self.git.run("push", "--porcelain", REMOTE, f"{self._ours}:{self._ours}", timeout_s=timeout_s)

    def unpushed(self) -> list[int]:
        """Return the commit times (epoch seconds, oldest first) of what the remote does not have yet."""
        span = [self._ours]
        if self.git.text("for-each-ref", "--format=%(objectname)", self._theirs):
            span.append(f"^{self._theirs}")
        form = ("--first-parent", "--reverse", "--no-commit-header", "--format=%ct")
        return [int(line) for line in self.git.text("rev-list", *form, *span).split()]

    def maintain(self, timeout_s: float = 1800.0) -> None:
        """Pack what has gathered: loose objects, small packs, the commit graph. Never in a cycle."""
        for task in ("loose-objects", "incremental-repack"):  # one run would not see the pack just made
            self.git.run("maintenance", "run", "--quiet", f"--task={task}", timeout_s=timeout_s)
        self.git.run("prune-packed", "--quiet", timeout_s=timeout_s)
        self.git.run("commit-graph", "write", "--reachable", "--changed-paths", timeout_s=timeout_s)

    def counts(self) -> Counts:
        """Return loose objects, packs and bytes on disk."""
        listed = self.git.text("count-objects", "-v")
        told = {name: int(value) for name, _, value in (line.partition(": ") for line in listed.splitlines())}
        return Counts(told["count"], told["packs"], 1024 * (told["size"] + told["size-pack"]))


def end_remote_calls(root: Path) -> int:
    """End our own Git processes that speak to the remote or tidy up, with all they started.

    A stop never waits for a dead remote: git's ssh child would hold the pipe open for as long as it likes.
    """
    parents = _parents()
    doomed = [
        pid
        for pid in live_git_processes(root) or []
        if parents.get(pid) == os.getpid() and _ENDABLE & set(_words(pid))
    ]
    for pid in doomed:  # children follow their parents, so that none is overlooked
        doomed += [child for child, parent in parents.items() if parent == pid]
    for pid in doomed:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return len(doomed)


def _parents() -> dict[int, int]:
    """Return the parent of every process that the system shows."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError, IndexError):
            found[int(entry.parent.name)] = int(entry.read_text().rpartition(")")[2].split()[1])
    return found


def _words(pid: int) -> list[bytes]:
    try:
        return (Path("/proc") / str(pid) / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return []


def is_diverged(error: GitFailed) -> bool:
    """Return whether a push was refused because the remote has commits that we do not."""
    return any(word in error.problem for word in ("fetch first", "non-fast-forward"))


def remote_problem(remote: str | None, error: GitFailed) -> str:
    """Return one line about a remote that did not do what was asked."""
    told = (line.strip() for line in error.problem.splitlines())
    lines = [line for line in told if line and not line.startswith(("hint:", "To "))]
    return f"{shown_remote(remote or REMOTE)}: {' / '.join(lines)[:300]}"
