"""The model check of the history: walks every commit and says where a promise was broken."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from store.git import GitCommands
from store.growth import growth_fault
from store.paths import Kind, classify, parse_metrics

_COMMIT = "\x01"
NO_BLOB = "0" * 40


@dataclass(frozen=True, slots=True)
class PathChange:
    """What one commit did to one path, against its first parent; a blob is empty where there is none."""

    path: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class HistoryCommit:
    """One commit of the first-parent line."""

    name: str
    is_merge: bool
    subject: str
    changes: tuple[PathChange, ...]


@dataclass(slots=True)
class HistoryModel:
    """What the history allows next, kept while it is walked oldest first.

    Attributes:
        blobs: Path to blob in the newest commit so far.
        contents: Every blob that a path of the daemon's ever had.
        problems: (path, problem) of each broken promise.
    """

    read: Callable[[str], bytes]
    blobs: dict[str, str] = field(default_factory=dict)
    contents: dict[str, list[str]] = field(default_factory=dict)
    quarantined: set[str] = field(default_factory=set)
    problems: list[tuple[str, str]] = field(default_factory=list)

    def take(self, commit: HistoryCommit) -> None:
        """Check one commit against the model and take it over."""
        added = {change.path for change in commit.changes if change.new}
        for change in commit.changes:
            kind = classify(change.path)
            fault = self._fault(change, kind, commit, added)
            if fault:
                self.problems.append((change.path, f"{fault} (commit {commit.name[:12]})"))
            if change.new:
                self.blobs[change.path] = change.new
                if kind is not Kind.FOREIGN:
                    self.contents.setdefault(change.path, []).append(change.new)
            else:
                self.blobs.pop(change.path, None)

    def _fault(self, change: PathChange, kind: Kind, commit: HistoryCommit, added: set[str]) -> str | None:
        if kind is Kind.FOREIGN:
            return None
        if kind is Kind.MISPLACED:
            return "in a folder of the data repository, but not a name of its layout"
        if commit.is_merge and kind is not Kind.VERSIONED:
            return "changed by a merge: only grids and foreign files may come from outside"
        if not change.new:
            return self._removal_fault(change.path, kind, added)
        return self._return_fault(change, kind) if not change.old else self._growth_fault(change, kind)

    def _growth_fault(self, change: PathChange, kind: Kind) -> str | None:
        if kind in (Kind.WRITE_ONCE, Kind.QUARANTINE):
            return f"{kind.value}, but its content changed"
        return growth_fault(change.path, kind, self.read(change.old), self.read(change.new))

    def _removal_fault(self, path: str, kind: Kind, added: set[str]) -> str | None:
        if kind is Kind.WRITE_ONCE and any(name.startswith(f"quarantine/{path}.") for name in added):
            self.quarantined.add(path)
            return None
        return "removed, and not to quarantine"

    def _return_fault(self, change: PathChange, kind: Kind) -> str | None:
        before = self.contents.get(change.path)
        if before is None or (kind is Kind.WRITE_ONCE and change.path in self.quarantined):
            self.quarantined.discard(change.path)
            return None
        return "came back after it was removed"


def commits_of(git: GitCommands, branch: str, timeout_s: float = 600.0) -> Iterator[HistoryCommit]:
    """Yield the first-parent line, oldest first, each with what it changed against its first parent."""
    listed = git.run(
        "log",
        "--first-parent",
        "--diff-merges=first-parent",
        "--reverse",
        "--raw",
        "-z",
        "--no-abbrev",
        "--no-renames",
        "--root",
        f"--format={_COMMIT}%H %P{_COMMIT}%s{_COMMIT}",
        f"refs/heads/{branch}",
        timeout_s=timeout_s,
    ).decode(errors="surrogateescape")
    pieces = listed.split(_COMMIT)[1:]
    for names, subject, raw in zip(pieces[0::3], pieces[1::3], pieces[2::3], strict=True):
        name, *parents = names.split()
        fields = [part for part in raw.strip("\0\n").split("\0") if part]
        yield HistoryCommit(
            name,
            len(parents) > 1,
            subject,
            tuple(_change(head, path) for head, path in zip(fields[0::2], fields[1::2], strict=True)),
        )


def _change(head: str, path: str) -> PathChange:
    _, _, old, new, _ = head.strip().split()
    return PathChange(path, "" if old == NO_BLOB else old, "" if new == NO_BLOB else new)


def hours_lost(paths: list[str]) -> list[tuple[str, str]]:
    """Return (path, problem) for each hole between a market's first and newest judged hour."""
    by_key: dict[str, list[int]] = {}
    named: dict[tuple[str, int], str] = {}
    for path in paths:
        if judged := parse_metrics(path):
            by_key.setdefault(judged[0], []).append(judged[1].index)
            named[judged[0], judged[1].index] = path
    lost = []
    for key, hours in by_key.items():
        hours.sort()
        for before, hour in pairwise(hours):
            if hour != before + 1:
                lost.append((named[key, hour], f"{hour - before - 1} hours before it were never judged"))
    return lost
