"""What the data repository's history says to those who follow it: its newest commit, what changed since."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import git

from store.git import GitCommands, GitFailed, git_environment

FOLLOWED = ("snapshots", "candles")
_COMMIT_LETTERS = frozenset("0123456789abcdef")


class CommittedChanges:
    """Reads the history of one repository; any thread, no lock.

    Args:
        root: The repository's work tree.
    """

    def __init__(self, root: Path) -> None:
        self._git, self._folder = GitCommands(git.Git(root), git_environment()), root / ".git"
        self._branch: str | None = None
        self.since = lru_cache(maxsize=64)(self._since)

    def head(self) -> str | None:
        """Return the newest commit; None where there is none, or no repository.

        Mostly one small file is read; a packed or detached head is asked of Git.
        """
        try:
            if self._branch is None:
                named = (self._folder / "HEAD").read_text().strip()
                self._branch = named.removeprefix("ref: ") if named.startswith("ref: refs/heads/") else ""
            if self._branch and _is_commit(told := (self._folder / self._branch).read_text().strip()):
                return told
        except OSError:
            pass
        try:
            return self._git.text("rev-parse", "--verify", "--quiet", "HEAD^{commit}") or None
        except GitFailed:
            return None

    def _since(self, old: str, new: str) -> tuple[str, ...] | None:
        """Return the paths of market data that differ between two commits; None where one is not known here.

        Args:
            old, new: Full names of commits; anything else is not known.
        """
        if not _is_commit(old) or not _is_commit(new):
            return None
        if old == new:
            return ()
        try:
            listed = self._git.run(
                "diff-tree", "-r", "-z", "--name-only", "--no-renames", old, new, "--", *FOLLOWED
            )
        except GitFailed:
            return None
        return tuple(path.decode(errors="surrogateescape") for path in listed.split(b"\0") if path)


def _is_commit(name: str) -> bool:
    return len(name) in (40, 64) and _COMMIT_LETTERS.issuperset(name)
