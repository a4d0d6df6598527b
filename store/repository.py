"""The Git side of the data repository: commits by fast-import, what they hold, and an honest index."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import git

from market.errors import PushFailed, RepositoryUnusable
from market.hours import instant_of_ts
from market.ports import Clock
from store.git import GitCommands, GitFailed, checked_remote, git_environment, live_git_processes
from store.remote import REMOTE, Remote, remote_problem
from store.restored import Restored, note_restored

_SETTINGS = {
    "core.fsync": "committed,loose-object,reference",
    "core.fsyncMethod": "fsync",
    "core.quotePath": "false",
    "core.autocrlf": "false",
    "core.fileMode": "false",
    "core.symlinks": "false",
    "fetch.fsckObjects": "true",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "commitGraph.changedPaths": "true",
}
_LOCKS = (
    "index.lock",
    "HEAD.lock",
    "config.lock",
    "packed-refs.lock",
    "shallow.lock",
    "gc.pid.lock",
    "objects/maintenance.lock",
    "objects/info/commit-graph.lock",
    "objects/info/commit-graphs/commit-graph-chain.lock",
    "objects/pack/multi-pack-index.lock",
)
INDEX_TIMEOUT_S = 240.0  # a cold disk looks at every file of years; the start-up probe waits longer
_README = b"""# Data repository of regimed

Every hour of every market as it was collected and judged. Snapshots, candles and records are written
once and never changed; grids/ may be edited and pushed; see the program's documentation for the layout.
Check it with `regimed verify --repo .`
"""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who commits."""

    name: str = "regimed"
    email: str = "regimed@localhost"

    def line(self, at: datetime) -> bytes:
        return f"{self.name} <{self.email}> {int(at.timestamp())} +0000".encode()


@dataclass(frozen=True, slots=True)
class Change:
    """What a commit does to a path: new bytes, or a blob that Git already has (`blob`, with its mode)."""

    data: bytes | None = None
    blob: str | None = None
    mode: str = "100644"

    @property
    def removes(self) -> bool:
        return self.data is None and self.blob is None


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit to be made; `merges` is the second parent."""

    changes: Mapping[str, Change]
    message: str
    at: datetime
    merges: str | None = None


class Repository:
    """One data repository's Git; used by the writer thread alone.

    Raises:
        RepositoryUnusable: By `open` and `create`: says what was found and what to do.
    """

    def __init__(self, root: Path, branch: str, identity: Identity, environment: Mapping[str, str]) -> None:
        self.root, self.branch, self._identity = root, branch, identity
        self._repo = git.Repo(root)
        self._has_commits = False
        self.git = GitCommands(self._repo.git, environment)

    @classmethod
    def open(
        cls,
        root: Path,
        branch: str = "main",
        identity: Identity = Identity(),
        environment: Mapping[str, str] | None = None,
    ) -> Repository:
        """Return the repository at `root` after checking that it can serve."""
        if not root.is_dir():
            raise RepositoryUnusable(f"{root}: no such folder; give a data repository or let it be created")
        if not (root / ".git").is_dir():
            found = "an empty folder" if not any(root.iterdir()) else "a folder that is not a Git repository"
            raise RepositoryUnusable(
                f"{root}: {found}; name a data repository, or an empty folder to create one"
            )
        try:
            repository = cls(root, branch, identity, environment or git_environment())
            found_branch = repository.git.text("symbolic-ref", "--short", "HEAD")
        except (git.GitError, GitFailed) as error:
            raise RepositoryUnusable(f"{root}: Git cannot use it: {error}") from None
        if found_branch != branch:
            repository.close()
            raise RepositoryUnusable(
                f"{root}: branch {found_branch!r} is checked out, expected {branch!r}; check that one out"
            )
        return repository

    @classmethod
    def create(
        cls,
        root: Path,
        at: datetime,
        branch: str = "main",
        identity: Identity = Identity(),
        environment: Mapping[str, str] | None = None,
        remote: str | None = None,
        timeout_s: float = 60.0,
    ) -> Repository:
        """Return a new repository: a clone where the remote has the branch, else one with just a README.

        Raises:
            RepositoryUnusable: The folder cannot serve.
            PushFailed: The remote does not answer: whether it holds a history that this one must continue is
                not known, so nothing is begun.
        """
        if not is_blank(root):
            raise RepositoryUnusable(f"{root}: not an empty folder, so nothing is created here")
        environment = environment or git_environment()
        root.mkdir(parents=True, exist_ok=True)
        try:
            GitCommands(git.Git(root), environment).run("init", "--quiet", f"--initial-branch={branch}")
            repository = cls(root, branch, identity, environment)
            repository.configure(remote)
            theirs = None if remote is None else _fetched(repository, remote, branch, timeout_s)
            if theirs is not None:
                note_restored(root, Restored(at=at, commit=theirs, committed_at=repository.made_at(theirs)))
                repository.git.run("update-ref", f"refs/heads/{branch}", theirs)
                repository.git.run("reset", "--quiet", "--hard", timeout_s=timeout_s)
        except (GitFailed, git.GitError, PushFailed, OSError) as error:
            shutil.rmtree(root / ".git", ignore_errors=True)  # ours, and without a commit
            if isinstance(error, PushFailed):
                raise
            raise RepositoryUnusable(f"{root}: could not be created: {error}") from None
        if repository.head() is None:
            readme = Commit({"README.md": Change(_README)}, "[start] a data repository\n", at)
            repository.commit([readme])
            (root / "README.md").write_bytes(_README)
            repository.refresh_index()
        return repository

    def configure(self, remote: str | None) -> None:
        """Set what this program relies on in the repository's own configuration, and the remote."""
        wanted = dict(_SETTINGS)
        if remote is not None:
            wanted[f"remote.{REMOTE}.url"] = checked_remote(remote)
            wanted[f"remote.{REMOTE}.fetch"] = f"+refs/heads/*:refs/remotes/{REMOTE}/*"
        listed = self.git.text("config", "--local", "--list", "-z")
        had = dict(line.partition("\n")[::2] for line in listed.split("\0") if line)
        for name, value in wanted.items():
            section, _, key = name.rpartition(".")
            if had.get(f"{section}.{key.lower()}") != value and had.get(name.lower()) != value:
                self.git.run("config", "--local", name, value)

    def remove_stale_locks(self, clock: Clock, patience_s: float = 5.0) -> list[str]:
        """Remove lock files that a killed process left behind; only under our own process lock.

        Waits a little for Git processes that still work here, and leaves their locks alone if they go on.
        """
        deadline = clock.monotonic() + patience_s
        while live_git_processes(self.root.resolve()):
            if clock.monotonic() > deadline:
                return []
            time.sleep(0.02)
        folder = self.root / ".git"
        stale = [folder / name for name in _LOCKS] + sorted((folder / "refs").rglob("*.lock"))
        removed = []
        for lock in stale:
            if lock.exists():
                lock.unlink()
                removed.append(str(lock.relative_to(folder)))
        return removed

    def head(self) -> str | None:
        """Return the newest commit, None before the first."""
        try:
            return self.git.text("rev-parse", "--verify", "--quiet", f"refs/heads/{self.branch}^{{commit}}")
        except GitFailed:
            return None

    def blobs(self, paths: Iterable[str]) -> dict[str, str]:
        """Return path to blob name of those paths that the newest commit holds."""
        wanted = sorted(set(paths))
        found: dict[str, str] = {}
        for start in range(0, len(wanted), 500):
            listed = self.git.run(
                "ls-tree", "-z", f"refs/heads/{self.branch}", "--", *wanted[start : start + 500]
            )
            for entry in listed.decode(errors="surrogateescape").split("\0"):
                if entry:
                    head, _, path = entry.partition("\t")
                    found[path] = head.split()[2]
        return found

    def bytes_of(self, blob: str) -> bytes:
        """Return a blob's bytes."""
        return self.git.run("cat-file", "blob", blob)

    def commit_of(self, path: str) -> str:
        """Return the newest commit that touched `path` (slow: walks the history)."""
        return self.git.text("log", "-1", "--format=%H", f"refs/heads/{self.branch}", "--", path)

    def made_at(self, commit: str) -> datetime:
        """Return when a commit was made."""
        return instant_of_ts(int(self.git.text("show", "--no-patch", "--format=%ct", commit)))

    def commit(self, commits: Sequence[Commit]) -> list[str]:
        """Make commits one after the other in one fast-import, and return their names.

        Raises:
            GitFailed: Nothing was committed, or (a crash in between) the branch was not moved.
        """
        self._has_commits = self._has_commits or self.head() is not None
        stream = bytearray()
        for number, commit in enumerate(commits, start=1):
            message = commit.message.encode()
            who = self._identity.line(commit.at)
            stream += b"commit refs/heads/%s\nmark :%d\n" % (self.branch.encode(), number)
            stream += b"author %s\ncommitter %s\ndata %d\n%s\n" % (who, who, len(message), message)
            if number == 1 and self._has_commits:
                stream += b"from refs/heads/%s^0\n" % self.branch.encode()
            if commit.merges is not None:
                stream += b"merge %s\n" % commit.merges.encode()
            for path, change in commit.changes.items():
                stream += _instruction(path, change)
        stream += b"".join(b"get-mark :%d\n" % number for number in range(1, len(commits) + 1))
        stream += b"done\n"
        names = self.git.text("fast-import", "--quiet", "--done", stdin=bytes(stream)).split()
        if len(names) != len(commits):
            raise GitFailed("fast-import", f"{len(names)} commits made, expected {len(commits)}")
        return names

    def refresh_index(self) -> None:
        """Bring the index to the newest commit, so that `git status` tells an operator the truth."""
        # --reset, not -m: a file that grew since the last refresh differs from the index, and that is right
        self.git.run("read-tree", "--reset", f"refs/heads/{self.branch}", timeout_s=INDEX_TIMEOUT_S)
        try:
            self.git.run("update-index", "-q", "--refresh", timeout_s=INDEX_TIMEOUT_S)
        except GitFailed as error:
            if error.problem and "needs update" not in error.problem:
                raise

    def restore_deleted(self) -> int:
        """Bring files back that the history holds and the work tree lost; call after `refresh_index`."""
        deleted = self.git.run("ls-files", "--deleted", "-z")
        self.git.run("checkout-index", "--quiet", "-z", "--stdin", stdin=deleted)
        return deleted.count(b"\0")

    def untracked(self, folders: Sequence[str]) -> list[str]:
        """Return the files in these folders that no commit holds; call after `refresh_index`."""
        listed = self.git.run("ls-files", "--others", "-z", "--", *folders)
        return [path for path in listed.decode(errors="surrogateescape").split("\0") if path]

    def close(self) -> None:
        self._repo.close()


def _fetched(repository: Repository, remote: str, branch: str, timeout_s: float) -> str | None:
    """Return the commit that the remote's branch holds, None where it has none."""
    try:
        return Remote(repository.git, branch).fetch(timeout_s)
    except GitFailed as error:
        raise PushFailed(f"the first start needs the remote: {remote_problem(remote, error)}") from None


def is_blank(root: Path) -> bool:
    """Return whether a repository may be created here: no folder, or not even one commit in it."""
    if not root.exists():
        return True
    if not root.is_dir():
        return False
    found = {entry.name for entry in root.iterdir()}
    heads = root / ".git" / "refs" / "heads"
    packed = root / ".git" / "packed-refs"
    return not found or (
        found == {".git"} and heads.is_dir() and not any(heads.iterdir()) and not packed.exists()
    )


def _instruction(path: str, change: Change) -> bytes:
    name = _quoted(path)
    if change.data is not None:
        return b"M %s inline %s\ndata %d\n%s\n" % (change.mode.encode(), name, len(change.data), change.data)
    if change.blob is not None:
        return b"M %s %s %s\n" % (change.mode.encode(), change.blob.encode(), name)
    return b"D %s\n" % name


def _quoted(path: str) -> bytes:
    raw = path.encode(errors="surrogateescape")
    return b'"' + raw.replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n") + b'"'
