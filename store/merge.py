"""Merging what an operator pushed: our history stays first, and only what may come from outside does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from market.errors import DataInvalid, HistoryRefused
from store.git import GitFailed
from store.growth import grid_fault, versions_fault
from store.paths import Kind, checked_path, classify
from store.repository import Change, Repository

Accepts: TypeAlias = Callable[[str, bytes | None, bytes], str | None]


@dataclass(frozen=True, slots=True)
class MergePlan:
    """What a merge takes over and what it refuses, by path with the reason."""

    theirs: str
    changes: dict[str, Change]
    refused: dict[str, str]

    @property
    def message(self) -> str:
        lines = [f"[merge] {len(self.changes)} paths taken over, {len(self.refused)} refused"]
        lines += [f"\nRefused: {path}: {reason}" for path, reason in sorted(self.refused.items())]
        return "\n".join(lines) + "\n"


def plan_merge(repository: Repository, theirs: str, accepts: Accepts) -> MergePlan | None:
    """Return what merging the commit `theirs` would do; None where it is in our history already.

    Args:
        accepts: Judges a grid file (path, our bytes or None, their bytes): None takes it, a text is why not.

    Raises:
        HistoryRefused: No commit in common.
        GitFailed: Git could not tell.
    """
    try:
        base = repository.git.text("merge-base", f"refs/heads/{repository.branch}", theirs)
    except GitFailed as error:
        if error.problem != "exit status 1":
            raise
        raise HistoryRefused(
            "remote", "it has no commit in common with this repository; name the right one, or an empty one"
        ) from None
    if base == theirs:
        return None
    listed = repository.git.run("diff-tree", "-r", "-z", "--raw", "--no-renames", base, theirs)
    fields = listed.decode(errors="surrogateescape").split("\0")
    pairs = list(zip(fields[0::2], fields[1::2], strict=False))
    ours = repository.blobs(path for _, path in pairs if _is_inside(path))
    changes: dict[str, Change] = {}
    refused: dict[str, str] = {}
    for raw, path in pairs:
        mode, blob, status = raw.split()[1], raw.split()[3], raw.split()[4]
        if not _is_inside(path):
            refused[path] = "not a path inside the data repository"
        elif status == "D":
            _take_removal(path, ours, changes, refused)
        elif ours.get(path) != blob:
            reason = _why_not(repository, path, mode, blob, ours.get(path), accepts)
            if reason is None:
                changes[path] = Change(blob=blob, mode=mode)
            else:
                refused[path] = reason
    return MergePlan(theirs, changes, refused)


def _take_removal(
    path: str, ours: dict[str, str], changes: dict[str, Change], refused: dict[str, str]
) -> None:
    if classify(path) is not Kind.FOREIGN:
        refused[path] = "a file of the daemon's may not be removed from outside; ours stays"
    elif path in ours:
        changes[path] = Change()


def _why_not(
    repository: Repository, path: str, mode: str, blob: str, our_blob: str | None, accepts: Accepts
) -> str | None:
    if mode not in ("100644", "100755"):
        return "only regular files are taken over"
    kind = classify(path)
    if kind is Kind.FOREIGN:
        return None
    if kind is not Kind.VERSIONED:
        return "the daemon's own file may not be changed from outside; ours stays"
    theirs = repository.bytes_of(blob)
    ours = None if our_blob is None else repository.bytes_of(our_blob)
    fault = grid_fault(path, theirs) or (None if ours is None else versions_fault(path, ours, theirs))
    return fault or accepts(path, ours, theirs)


def _is_inside(path: str) -> bool:
    try:
        checked_path(path)
    except DataInvalid:
        return False
    return True
