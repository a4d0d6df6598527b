"""What the data repository's history says to those who follow it: its newest commit, what changed since."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from threading import Lock

import git

from market.errors import RepositoryUnusable
from store.git import GitCommands, GitFailed, git_environment

FOLLOWED = ("snapshots", "candles")
_KEPT = 64  # pairs of commits
_NO_SUCH_NAME = "exit status 1"  # what `rev-parse --quiet` fails with where nothing is committed yet
_COMMIT_LETTERS = frozenset("0123456789abcdef")


class CommittedChanges:
    """Reads the history of one repository; any thread, without the repository's lock.

    Args:
        root: The repository's work tree.
    """

    def __init__(self, root: Path) -> None:
        self._git, self._folder = GitCommands(git.Git(root), git_environment()), root / ".git"
        self._where = root
        self._known: OrderedDict[tuple[str, str], tuple[str, ...] | None] = OrderedDict()
        self._lock = Lock()

    def head(self) -> str | None:
        """Return the newest commit; None where there is none, or no repository.

        Mostly one small file is read; a packed or detached head is asked of Git.

        Raises:
            RepositoryUnusable: Git did not answer.
        """
        try:
            named = (self._folder / "HEAD").read_text().strip()
            if named.startswith("ref: refs/heads/"):
                told = (self._folder / named.removeprefix("ref: ")).read_text().strip()
                if _is_commit(told):
                    return told
        except OSError:
            pass
        try:
            return self._git.text("rev-parse", "--verify", "--quiet", "HEAD^{commit}") or None
        except GitFailed as error:
            if error.problem == _NO_SUCH_NAME or not self._folder.exists():
                return None
            raise RepositoryUnusable(f"{self._where}: {error}") from None

    def hurry(self, seconds: float) -> None:
        """Give no command of Git longer than this from now on: the program stops."""
        self._git.limit_s = seconds

    def since(self, old: str, new: str) -> tuple[str, ...] | None:
        """Return the paths of market data that differ between two commits; None where one is not known here.

        Args:
            old, new: Full names of commits; anything else is not known.

        Raises:
            RepositoryUnusable: Git did not answer: nothing is said about what changed.
        """
        if not _is_commit(old) or not _is_commit(new):
            return None
        if old == new:
            return ()
        with self._lock:
            if (old, new) in self._known:
                return self._known[old, new]
        try:
            both = self._git.run("cat-file", "--batch-check", stdin=f"{old}\n{new}\n".encode())
            found = None
            if all(line.split()[1:2] == [b"commit"] for line in both.splitlines()):
                listed = self._git.run(
                    "diff-tree", "-r", "-z", "--name-only", "--no-renames", old, new, "--", *FOLLOWED
                )
                paths = (path.decode(errors="surrogateescape") for path in listed.split(b"\0"))
                found = tuple(path for path in paths if path)
        except GitFailed as error:
            raise RepositoryUnusable(f"{self._where}: {error}") from None
        with self._lock:
            self._known[old, new] = found
            while len(self._known) > _KEPT:
                self._known.popitem(last=False)
        return found


def _is_commit(name: str) -> bool:
    return len(name) in (40, 64) and _COMMIT_LETTERS.issuperset(name)
