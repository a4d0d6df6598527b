"""`regimed fsck`: what is wrong on the disk, why, and what can be done: from the history, aside, or by hand.

`verify` says whether the promises hold; this says what to do about each that does not. Nothing is changed
unless asked. What the history holds comes back from there; what it never held and cannot be read goes to
quarantine or is set aside; an index is made anew. The history itself is never rewritten: where it is damaged,
the remote holds a copy, and the words say how to take it.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType

import git
import orjson

from market.errors import DataInvalid, RepositoryUnusable
from store import disk
from store.change_set import ChangeSet, check_content
from store.git import GitCommands, GitFailed, blob_id, git_environment
from store.growth import growth_fault
from store.intents import read_intent
from store.paths import OWNED, Kind, classify
from store.verify import FSCK_TIMEOUT_S

Reader = Callable[[bytes, str], object]
REMOTE_COPY = "fetch the remote's copy: move the folder away and start again (a start clones), or `git fetch`"


@dataclass(frozen=True, slots=True)
class Trouble:
    """One thing that is wrong.

    Attributes:
        path: File, relative to the repository or the state folder.
        problem: What was found and what was expected.
        mend: What `--repair` does about it; empty where only a person can.
        advice: What a person can do.
        done: Whether it was mended.
    """

    path: str
    problem: str
    mend: str = ""
    advice: str = ""
    done: bool = False

    def __str__(self) -> str:
        what = (
            f"mended: {self.mend}" if self.done else (self.mend and f"--repair: {self.mend}") or self.advice
        )
        return f"{self.path}: {self.problem}; {what}"


@dataclass(slots=True)
class Found:
    """All that `fsck` found, in the order in which it is mended."""

    findings: list[Trouble] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong (any more)."""
        return all(each.done for each in self.findings)


def fsck(
    root: Path,
    state: Path | None = None,
    *,
    branch: str = "main",
    repair: bool = False,
    readers: Mapping[str, Reader] = MappingProxyType({}),
) -> Found:
    """Look at a repository and its state folder, and mend what can be mended.

    Args:
        root: The data repository; nobody may be writing it while it is repaired.
        state: The state directory (outbox, intents, told); left out, only the repository is looked at.
        branch: Its branch.
        repair: Whether to change anything.
        readers: How files of the state folder are read that are not the store's own, by pattern: they raise
            DataInvalid. What has no reader has to be JSON.

    Raises:
        RepositoryUnusable: Not a Git repository, or so damaged that Git cannot name its newest commit.
        OSError: The disk does not answer.
    """
    if not (root / ".git").is_dir():
        raise RepositoryUnusable(f"{root}: not a data repository; there is no .git folder in it")
    commands = GitCommands(git.Git(root), git_environment())
    check = _Fsck(root, state, commands, branch, repair=repair, readers={**_READERS, **readers})
    try:
        held = check.history()
    except GitFailed as error:
        raise RepositoryUnusable(f"{root}: Git cannot read branch {branch}: {error}; {REMOTE_COPY}") from None
    if check.index():  # Git reads nothing else while it cannot read its index
        check.objects(held)
    check.tree(held)
    check.strays(held)
    check.state_files()
    return check.found


class _Fsck:
    def __init__(
        self,
        root: Path,
        state: Path | None,
        commands: GitCommands,
        branch: str,
        *,
        repair: bool,
        readers: Mapping[str, Reader],
    ) -> None:
        self._root, self._state, self._git, self._branch, self._repair = root, state, commands, branch, repair
        self._readers = readers
        self.found = Found()

    def _note(self, trouble: Trouble, mend: Callable[[], None] | None = None) -> None:
        if self._repair and mend is not None:
            try:
                mend()
                trouble = replace(trouble, done=True)
            except (OSError, GitFailed) as error:
                trouble = replace(trouble, problem=f"{trouble.problem}; not mended: {error}")
        self.found.findings.append(trouble)

    def history(self) -> dict[str, str]:
        """Return path to blob of the newest commit."""
        listed = self._git.run("ls-tree", "-r", "-z", f"refs/heads/{self._branch}")
        held = {}
        for entry in listed.decode(errors="surrogateescape").split("\0"):
            if entry:
                head, _, path = entry.partition("\t")
                held[path] = head.split()[2]
        return held

    def objects(self, held: dict[str, str]) -> None:
        """Let Git check its own objects."""
        try:
            self._git.run("fsck", "--strict", "--no-dangling", "--no-progress", timeout_s=FSCK_TIMEOUT_S)
        except GitFailed as error:
            for line in error.problem.splitlines()[:20]:
                self._object(line.strip(), held)

    def _object(self, line: str, held: dict[str, str]) -> None:
        """Write an object anew where its file in the work tree still has the bytes; else say who has them."""
        blobs = {blob: path for path, blob in held.items()}
        name = next((word.rstrip(":") for word in line.split() if word.rstrip(":") in blobs), None)
        path = None if name is None else self._root / blobs[name]
        data = None if path is None else disk.read(path)
        if name is None or data is None or blob_id(data) != name:
            self._note(Trouble(".git", line, advice=REMOTE_COPY))
            return

        def write() -> None:
            loose = self._root / ".git" / "objects" / name[:2] / name[2:]
            disk.remove(loose)
            self._git.run("hash-object", "-w", "--stdin", stdin=data)

        self._note(Trouble(".git", line, f"the object is written anew from {blobs[name]}"), write)

    def index(self) -> bool:
        """Git's index is derived: one that cannot be read is made anew. Says whether Git can read it now."""
        try:
            self._git.run("ls-files", "-s", "-z")
        except GitFailed as error:
            problem = error.problem.splitlines()[0] if error.problem else "Git cannot read it"
            self._note(Trouble(".git/index", problem, "made anew from the newest commit"), self._new_index)
            return self.found.findings[-1].done
        return True

    def _new_index(self) -> None:
        disk.remove(self._root / ".git" / "index")
        self._git.run("read-tree", "--reset", f"refs/heads/{self._branch}")

    def tree(self, held: dict[str, str]) -> None:
        """What the history holds and the work tree does not, or holds with other bytes, comes back."""
        for path, blob in sorted(held.items()):
            data, kind = disk.read(self._root / path), classify(path)
            if kind in (Kind.FOREIGN, Kind.MISPLACED) or (data is not None and blob_id(data) == blob):
                continue
            if data is None:
                problem = "the history holds it, the work tree does not"
            else:
                grows = kind in (Kind.APPEND_ONLY, Kind.VERSIONED)
                fault = (
                    growth_fault(path, kind, self._git.run("cat-file", "blob", blob), data) if grows else None
                )
                wrong = _problem(path, data) or fault
                if grows and wrong is None:
                    continue  # on its way into the history
                problem = wrong or "its bytes are not those of the history"
            self._note(
                Trouble(path, problem, "the history's bytes are given back"),
                partial(self._give_back, path, blob),
            )

    def _give_back(self, path: str, blob: str) -> None:
        target = self._root / path
        if target.is_file():
            self._aside(target)
        disk.make_folder(target.parent, self._root)
        temporary = self._root / ".git" / "regimed" / "fsck.part"
        disk.make_folder(temporary.parent, self._root)
        disk.replace_synced(target, self._git.run("cat-file", "blob", blob), temporary)

    def strays(self, held: dict[str, str]) -> None:
        """A valid file without a commit is adopted by the next start; one that cannot be read goes aside."""
        for folder in OWNED:
            for path in sorted((self._root / folder).rglob("*")):
                name = path.relative_to(self._root).as_posix()
                if name in held or path.is_dir() or classify(name) is Kind.QUARANTINE:
                    continue
                data = disk.read(path)
                if data is None or (problem := _problem(name, data)) is None:
                    continue
                self._note(
                    Trouble(name, f"in no commit, and {problem}", "moved aside"),
                    partial(self._aside, path),
                )

    def _aside(self, path: Path) -> None:
        """Move a file out of the layout, beside Git's own: no byte is ever thrown away."""
        to = self._root / ".git" / "regimed.aside" / path.relative_to(self._root)
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(path, to)

    def state_files(self) -> None:
        """Damaged notices and memories: set aside, so that they are seen, and stop nobody."""
        if self._state is None:
            return
        for pattern, read in self._readers.items():
            for path in sorted(self._state.glob(pattern)):
                name = path.relative_to(self._state).as_posix()
                try:
                    read(path.read_bytes(), name)
                except DataInvalid as error:
                    self._note(
                        Trouble(name, str(error).removeprefix(f"{name}: "), "set aside as .damaged"),
                        partial(disk.rename, path, path.with_name(f"{path.name}.damaged")),
                    )


def _json(data: bytes, where: str) -> object:
    """Return what is JSON; raises DataInvalid."""
    try:
        return orjson.loads(data)
    except ValueError as error:
        raise DataInvalid(where, "", f"not JSON: {error}") from None


_READERS: Mapping[str, Reader] = {
    "outbox/[0-9]*.json": _json,
    "intents/[0-9]*.json": read_intent,
    "told/*.json": _json,
}


def _problem(path: str, data: bytes) -> str | None:
    """Return why the daemon would not take this file, None where it would."""
    try:
        check_content(ChangeSet({path: data}, "[fsck]"))
    except DataInvalid as error:
        return str(error).removeprefix(f"{path}: ")
    return None
