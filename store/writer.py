"""The writer: change-sets become durable files, then commits, and nothing in between is ever lost.

Hand-over: intent on disk, new bytes on disk under temporary names, renames in a fixed order (the metrics
file last), folders synced. Commit: one fast-import for all that waits, then the intents go. Whatever a
crash leaves is finished when every new byte is there, else undone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from market.errors import CommitFailed, HistoryRefused
from market.failpoints import reach
from store import disk
from store.change_set import ChangeSet, check_form, in_order
from store.git import GitFailed, blob_id
from store.growth import growth_fault
from store.intents import IntendedFile, Intent, Intents, digest
from store.merge import Accepts, MergePlan, plan_merge
from store.paths import Kind, classify
from store.repository import Change, Commit, Repository


@dataclass(slots=True)
class Recovery:
    """What a start found and did: intents finished, undone, unreadable."""

    finished: int = 0
    undone: int = 0
    unreadable: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Waiting:
    """A durable change-set that is not in the history yet."""

    intent: Intent
    data: dict[str, bytes]


class Writer:
    """Writes one repository; used by one thread at a time, under the process lock.

    Args:
        repository: Where commits go.
        intents: Where hand-overs are noted.
    """

    def __init__(self, repository: Repository, intents: Intents) -> None:
        self._repository, self._root = repository, repository.root
        self._intents = intents
        self._waiting: dict[int, _Waiting] = {}
        self._next = 1
        self._unsettled = True
        self.refused: dict[int, HistoryRefused] = {}
        intents.prepare()

    @property
    def waiting(self) -> Sequence[Intent]:
        """The change-sets that are durable and not committed."""
        return [entry.intent for entry in self._waiting.values()]

    def recover(self) -> Recovery:
        """Finish or undo what an earlier run, or a failed call, left behind; commits nothing.

        Raises:
            CommitFailed: The disk or Git does not answer; try again.
        """
        recovery = Recovery()
        try:
            intents, recovery.unreadable = self._intents.all()
            for name in recovery.unreadable:
                self._intents.set_aside(name)
            self._next = max([self._intents.next_number(), self._next])
            self._waiting.clear()
            for place, intent in enumerate(intents):
                if intent.kind == "merge":
                    self._bring([file.path for file in intent.files])
                    self._intents.remove(intent.number)
                elif self._can_finish(intent, intents[place + 1 :]):
                    self._finish(intent)
                    recovery.finished += 1
                else:
                    self._commit()  # what is restored below must be the history's newest bytes
                    self._undo(intent)
                    recovery.undone += 1
            self._intents.clear_temporaries()
        except (OSError, GitFailed) as error:
            raise CommitFailed(f"recovery: {error}") from None
        self._unsettled = False
        return recovery

    def hand_over(
        self, change_set: ChangeSet, at: datetime, *, held: bool = False, joins: Sequence[int] = ()
    ) -> int | None:
        """Make a change-set durable and return its number; None when all of it is there already.

        Args:
            at: Time of the commit to come.
            held: Wait for a change-set that joins this one.
            joins: Held change-sets that enter the same commit.

        Raises:
            DataInvalid: A path outside the layout, or a malformed message.
            HistoryRefused: A file would change that may not.
            CommitFailed: The disk refused; what was begun is undone or finished by the next call.
        """
        self.settle()
        check_form(change_set)
        files, data = self._new_files(change_set)
        if not files and not joins:
            return None
        intent = Intent(
            number=self._next,
            at=at,
            message=change_set.text(),
            files=tuple(files),
            removes=change_set.removes,
            held=held,
            joins=tuple(joins),
        )
        self._next += 1
        try:
            self._write(intent, data)
        except OSError as error:
            self._unsettled = True
            raise CommitFailed(f"{change_set.message}: {error}") from None
        self._waiting[intent.number] = _Waiting(intent, data)
        return intent.number

    def release(self, numbers: Sequence[int] | None = None) -> None:
        """Let held change-sets be committed on their own (all when left out)."""
        for number, entry in self._waiting.items():
            if entry.intent.held and (numbers is None or number in numbers):
                entry.intent = entry.intent.model_copy(update={"held": False})

    def commit_waiting(self) -> dict[int, str]:
        """Commit all that waits and is not held, in order, and return number to commit.

        A change-set whose write-once path the history already holds with other bytes is taken back and
        stands in `refused`.

        Raises:
            CommitFailed: Git failed; files and intents stay, and a later call commits them.
        """
        self.settle()
        return self._commit()

    def merge(self, theirs: str, accepts: Accepts, at: datetime) -> MergePlan | None:
        """Merge a fetched commit and write what came from outside; None where it is in our history already.

        Raises:
            HistoryRefused: No common history.
            CommitFailed: Git or the disk failed; a later call merges.
        """
        self.commit_waiting()
        try:
            plan = plan_merge(self._repository, theirs, accepts)
            if plan is None:
                return None
            intent = Intent(
                number=self._next,
                kind="merge",
                at=at,
                message=plan.message,
                files=tuple(IntendedFile(path=path, digest="", old=None) for path in plan.changes),
            )
            self._next += 1
            self._unsettled = True
            self._intents.write(intent)
            reach("merge.before_commit")
            self._repository.commit([Commit(plan.changes, plan.message, at, merges=theirs)])
            reach("merge.before_rename")
            self._bring(list(plan.changes))
            reach("merge.after_rename")
            self._intents.remove(intent.number)
        except (GitFailed, OSError) as error:
            raise CommitFailed(f"merge: {error}") from None
        self._unsettled = False
        return plan

    # -- hand-over

    def settle(self) -> None:
        """Finish or undo what a failed call began; errors as in `recover`."""
        if self._unsettled:
            self.recover()

    def _new_files(self, change_set: ChangeSet) -> tuple[list[IntendedFile], dict[str, bytes]]:
        files: list[IntendedFile] = []
        data: dict[str, bytes] = {}
        for path in in_order(change_set.files):
            new, old = change_set.files[path], disk.read(self._root / path)
            if old is not None:
                fault = growth_fault(path, classify(path), old, new)
                if fault:
                    raise HistoryRefused(path, fault)
                if old == new and self._is_kept(path, new):
                    continue
            data[path] = new
            files.append(
                IntendedFile(path=path, digest=digest(new), old=None if old is None else digest(old))
            )
        return files, data

    def _is_kept(self, path: str, data: bytes) -> bool:
        """Return whether these bytes are in the history or on their way into it."""
        if any(path in entry.data for entry in self._waiting.values()):
            return True
        try:
            return self._repository.blobs([path]).get(path) == blob_id(data)
        except GitFailed as error:
            raise CommitFailed(str(error)) from None

    def _write(self, intent: Intent, data: Mapping[str, bytes]) -> None:
        reach("writer.before_intent")
        self._intents.write(intent)
        reach("writer.after_intent")
        for place, file in enumerate(intent.files):
            disk.write_synced(self._intents.temporary(intent.number, place), data[file.path])
        disk.sync_folder(self._intents.incoming)
        reach("writer.before_rename")
        self._rename(intent)
        reach("writer.after_rename")

    def _rename(self, intent: Intent) -> None:
        folders: dict[Path, None] = {}
        for place, file in enumerate(intent.files):
            temporary, target = self._intents.temporary(intent.number, place), self._root / file.path
            if place:
                reach("writer.between_renames")
            if not temporary.exists():
                continue  # a recovery finds it renamed already
            disk.make_folder(target.parent, self._root)
            disk.rename(temporary, target)
            folders[target.parent] = None
        for folder in folders:
            disk.sync_folder(folder)
        for path in intent.removes:
            disk.remove(self._root / path)

    # -- recovery

    def _can_finish(self, intent: Intent, later: Sequence[Intent]) -> bool:
        grown = {(file.path, file.old) for other in later for file in other.files}
        for place, file in enumerate(intent.files):
            target = disk.read(self._root / file.path)
            waits = disk.read(self._intents.temporary(intent.number, place))
            there = any(found is not None and digest(found) == file.digest for found in (target, waits))
            if not there and (file.path, file.digest) not in grown:
                return False
        return True

    def _finish(self, intent: Intent) -> None:
        for place, file in enumerate(intent.files):
            waits = disk.read(self._intents.temporary(intent.number, place))
            if waits is not None and digest(waits) != file.digest:
                disk.remove(self._intents.temporary(intent.number, place))  # cut short, the target is there
        self._rename(intent)
        data = {file.path: disk.read(self._root / file.path) or b"" for file in intent.files}
        self._waiting[intent.number] = _Waiting(intent.model_copy(update={"held": False}), data)

    def _undo(self, intent: Intent) -> None:
        touched = []
        for place, file in enumerate(intent.files):
            disk.remove(self._intents.temporary(intent.number, place))
            found = disk.read(self._root / file.path)
            if (None if found is None else digest(found)) != file.old:
                touched.append(file.path)
        self._restore(touched)
        self._intents.remove(intent.number)

    def _restore(self, paths: Sequence[str]) -> None:
        """Give these paths the bytes of the newest commit; remove those that it does not have."""
        held = self._repository.blobs(paths)
        for place, path in enumerate(paths):
            target = self._root / path
            if path not in held:
                disk.remove(target)
                continue
            data = self._repository.bytes_of(held[path])
            disk.make_folder(target.parent, self._root)
            disk.replace_synced(target, data, self._intents.incoming / f"restored-{place}.part")

    def restored(self, path: str) -> bool:
        """Give a damaged file the bytes of the newest commit; says whether the history held other ones.

        A file of which something waits for its commit stays: what is durable is ahead of the history.

        Raises:
            OSError, GitFailed: The disk or Git does not answer.
        """
        if any(path in entry.data for entry in self._waiting.values()):
            return False
        held = self._repository.blobs([path])
        if path not in held or self._repository.bytes_of(held[path]) == disk.read(self._root / path):
            return False
        self._restore([path])
        return True

    def _bring(self, paths: Sequence[str]) -> None:
        """Write what came from outside; where something of the operator's is in the way, it stays."""
        for path in paths:
            inside = [parent for parent in (self._root / path).parents if self._root in parent.parents]
            if not any(parent.is_symlink() for parent in inside):
                with suppress(FileExistsError, IsADirectoryError, NotADirectoryError, PermissionError):
                    self._restore([path])

    # -- commit

    def _commit(self) -> dict[int, str]:
        groups = self._groups()
        if not groups:
            return {}
        try:
            reach("writer.before_commit")
            paths = {file.path for group in groups for entry in group for file in entry.intent.files}
            removed = {path for group in groups for entry in group for path in entry.intent.removes}
            held = self._repository.blobs(paths | removed)
            self._take_back_rewrites(groups, held)
            commits, members = self._commits(groups, held)
            names = self._repository.commit(commits) if commits else []
        except (GitFailed, OSError) as error:
            raise CommitFailed(str(error)) from None
        reach("writer.after_commit")
        committed: dict[int, str] = {}
        for group, place in zip(groups, members, strict=True):
            name = names[place] if place is not None else ""
            committed |= dict.fromkeys((entry.intent.number for entry in group), name)
        try:
            self._intents.remove(*committed)
            for number in committed:
                del self._waiting[number]
        except OSError:
            self._unsettled = True  # the next call finds them in the history and removes them
        reach("writer.after_intent_removed")
        return committed

    def _groups(self) -> list[list[_Waiting]]:
        """Return what enters each commit to come, oldest first."""
        joined = {number for entry in self._waiting.values() for number in entry.intent.joins}
        groups = []
        for number, entry in self._waiting.items():
            if entry.intent.held or number in joined:
                continue
            first = [self._waiting[other] for other in entry.intent.joins if other in self._waiting]
            groups.append([*first, entry])
        return groups

    def _take_back_rewrites(self, groups: list[list[_Waiting]], held: Mapping[str, str]) -> None:
        for group in groups:
            for entry in list(group):
                path = next((p for p, data in entry.data.items() if _rewrites(p, data, held)), None)
                if path is not None:
                    number = entry.intent.number
                    self._restore(list(entry.data))
                    self._intents.remove(number)
                    del self._waiting[number]
                    group.remove(entry)
                    self.refused[number] = HistoryRefused(path, "the history already holds other content")

    def _commits(
        self, groups: list[list[_Waiting]], held: dict[str, str]
    ) -> tuple[list[Commit], list[int | None]]:
        """Return the commits to make, and for each group the place of its commit (None: nothing new)."""
        commits: list[Commit] = []
        members: list[int | None] = []
        for group in groups:
            changes: dict[str, Change] = {}
            for entry in group:
                for path, data in entry.data.items():
                    if held.get(path) != (blob := blob_id(data)):
                        changes[path] = Change(data)
                        held[path] = blob
                for path in entry.intent.removes:
                    if held.pop(path, None) is not None:
                        changes[path] = Change()
            members.append(len(commits) if changes else None)
            if changes:
                last = group[-1].intent  # a group without changes may be empty
                commits.append(Commit(changes, last.message, last.at))
        return commits, members


def _rewrites(path: str, data: bytes, held: Mapping[str, str]) -> bool:
    write_once = classify(path) in (Kind.WRITE_ONCE, Kind.QUARANTINE)
    return write_once and path in held and held[path] != blob_id(data)
