"""Each protection taken away once: the model check must find what it then no longer prevents.

`python -m tests.campaign.protections` prints, for each, what is found with it and without it, as JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import orjson

import store.disk
import store.lock
from daemon.app import building
from daemon.clock import DrivenClock
from daemon.configuration import load_settings
from market.errors import RegimedError
from notifications.shelf import Shelf
from store.intents import Intents
from store.ledger import Ledger
from store.paths import Kind
from store.repository import Repository
from store.verify import verify
from store.writer import Recovery, Writer
from tests.campaign.calls import Calls
from tests.campaign.faults import Case, tried
from tests.campaign.forking import in_fork
from tests.campaign.model import made_good, unsound
from tests.campaign.world import NAMES, lived, prepared, struggle, work_folder
from tests.cycle.deaths import KEY, MOMENTS, RULES, Twin, copied
from tests.cycle.house import START, git, write_config

Patch = Callable[[], AbstractContextManager[Any]]
Check = Callable[[Twin, Path], list[str]]


def _nothing(*_args: object, **_named: object) -> None:
    """What stands where the protection stood."""


@dataclass(frozen=True, slots=True)
class Protection:
    """What is taken away, and where that must show."""

    removed: Patch
    check: Check


def killed_at(fault: str, moment: str, *places: str) -> Check:
    """Die before each event of these names; the first finding is enough."""

    def check(twin: Twin, work: Path) -> list[str]:
        number = NAMES[moment]
        life = copied(twin.before[number], work / "life")
        names: list[str] = list(in_fork(_events, life, number).answer)
        for at, name in enumerate(names, start=1):
            if name.startswith(places):
                found = tried(Case(fault, moment, (at,)), twin, work / f"{at}").found
                if found:
                    return found
        assert any(name.startswith(places) for name in names), names
        return []

    return check


def _events(folder: Path, number: int) -> list[str]:
    names: list[str] = []
    with Calls(folder, lambda _count, name: names.append(name)).counted():
        lived(folder, number)
    return names


def changed(moment: str, change: Callable[[Path], None]) -> Check:
    """Change something in the folder before a moment; it must be made good."""

    def check(twin: Twin, work: Path) -> list[str]:
        number = NAMES[moment]
        folder = copied(twin.before[number], work / "changed")
        change(folder)
        in_fork(lived, folder, number, struggle)  # the check's own reader mends nothing
        ended = in_fork(made_good, folder, number, twin)
        return list(ended.answer) if isinstance(ended.answer, list) else [ended.words()]

    return check


def _rewritten(path: Path, data: bytes) -> None:
    path.unlink()  # it may be a link to the prepared copy's own
    path.write_bytes(data)


def _damages_the_newest_record(folder: Path) -> None:
    path = max((folder / "data" / "metrics" / KEY).glob("*.yaml"))
    _rewritten(path, path.read_bytes()[:-20])


def _leaves_locks(folder: Path) -> None:
    for name in ("index.lock", "refs/heads/main.lock"):
        (folder / "data" / ".git" / name).write_bytes(b"")


def _minutes_changed(twin: Twin, work: Path) -> list[str]:
    """Change a stored close by hand: it must be named, or out of the way."""
    folder = copied(twin.before[NAMES["stop-advised"]], work / "changed")
    (path,) = (folder / "data" / "snapshots").rglob("*.json")
    value = orjson.loads(path.read_bytes())
    columns = value["minutes"]
    inside = [
        minute
        for minute, close in enumerate(columns["close"][1:-1], start=1)
        if columns["low"][minute] < close < columns["high"][minute] - 1
    ]
    columns["close"][inside[0]] += 1
    changed_bytes = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    _rewritten(path, changed_bytes)
    in_fork(lived, folder, NAMES["stop-advised"], struggle)
    if path.exists() and path.read_bytes() == changed_bytes:
        return [f"{path.name}: changed bytes are taken for the hour's"]
    return []


def _pushes_a_changed_record(twin: Twin, work: Path) -> list[str]:
    """An operator whose clone rewrote a judgement."""
    folder = copied(twin.before[NAMES["stop-advised"]], work / "changed")
    git(folder, "clone", "-q", str(folder / "remote.git"), "clone")
    (path,) = (folder / "clone" / "metrics").rglob("*.yaml")
    path.write_bytes(path.read_bytes() + b"# mine\n")
    git(folder / "clone", "-c", "user.name=o", "-c", "user.email=o@o", "commit", "-qam", "better")
    git(folder / "clone", "push", "-q")
    ended = in_fork(lived, folder, NAMES["stop-advised"], struggle)
    words = [] if ended.is_fine else [ended.words()]
    return words + [f"verify: {each.problem}" for each in verify(folder / "data").findings if each.is_error]


def _off_for_hours(twin: Twin, work: Path) -> list[str]:
    """A daemon that was off between two moments leaves no hole."""
    folder = copied(twin.before[NAMES["stop-advised"]], work / "off")
    later = next(number for number, moment in enumerate(MOMENTS) if moment.hour == 6)
    ended = in_fork(lived, folder, later, struggle)
    return ([] if ended.is_fine else [ended.words()]) + unsound(folder)


def _two_daemons(twin: Twin, work: Path) -> list[str]:
    """A second one is refused while the first writes."""
    folder = copied(twin.before[NAMES["stop-advised"]], work / "two")

    def both() -> list[str]:
        async def opened() -> list[str]:
            clock = DrivenClock(START.closes_at)
            settings = load_settings(write_config(folder, "http://127.0.0.1:1", [KEY], **RULES), {})
            async with building(settings, clock):
                with suppress(RegimedError):
                    async with building(settings, clock):
                        return ["two daemons write one repository"]
            return []

        return asyncio.run(opened())

    ended = in_fork(both)
    return list(ended.answer) if ended.is_fine else [ended.words()]


def _unsealed() -> AbstractContextManager[Any]:
    stack = ExitStack()
    for module in ("snapshots", "columns", "candle_files", "verify"):
        stack.enter_context(mock.patch(f"store.{module}.opened", lambda data, *_: orjson.loads(data)))
    return stack


def _only_the_last(ledger: Ledger, key: str, last: Any) -> list[Any]:
    return [] if ledger.newest_judged(key) == last else [last]


def _does_nothing(writer: Writer) -> Recovery:
    writer._unsettled = False
    return Recovery()


def _unsynced() -> AbstractContextManager[Any]:
    """Names come to the disk and bytes do not: a power cut leaves a new name over half a file."""

    def fsync(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            os.fsync(handle)

    class Lazy:
        def __getattr__(self, name: str) -> Any:
            return fsync if name == "fsync" else getattr(os, name)

    return mock.patch.object(store.disk, "os", Lazy())


PROTECTIONS = {
    "intent before rename": Protection(
        lambda: mock.patch.object(Intents, "write", _nothing),
        killed_at("kill", "stop-advised", "writer.between_renames", "writer.after_rename"),
    ),
    "recovery at the start": Protection(
        lambda: mock.patch.object(Writer, "recover", _does_nothing),
        killed_at("kill", "stop-advised", "writer.after_rename", "writer.before_commit"),
    ),
    "fsync before rename": Protection(
        _unsynced, killed_at("power", "stop-advised", "git fast-import", "writer.between_renames")
    ),
    "outbox before telling": Protection(
        lambda: mock.patch.object(Shelf, "_write", _nothing),
        killed_at("kill", "stop-advised", "notify.before_send"),
    ),
    "a note of what was told": Protection(
        lambda: mock.patch.object(Shelf, "_note", _nothing),
        killed_at("kill", "stop-advised", "notify.after_told"),
    ),
    "the history's bytes": Protection(
        lambda: mock.patch.object(Writer, "restored", lambda *_: False),
        changed("stop-told-again", _damages_the_newest_record),
    ),
    "stale locks": Protection(
        lambda: mock.patch.object(Repository, "remove_stale_locks", lambda *_, **__: []),
        changed("stop-advised", _leaves_locks),
    ),
    "digests of stored hours": Protection(_unsealed, _minutes_changed),
    "what may come from outside": Protection(
        lambda: mock.patch("store.merge.classify", lambda _path: Kind.FOREIGN),
        _pushes_a_changed_record,
    ),
    "the ledger of owed hours": Protection(
        lambda: mock.patch.object(Ledger, "owed_hours", _only_the_last), _off_for_hours
    ),
    "one writer": Protection(lambda: mock.patch.object(store.lock.fcntl, "flock", _nothing), _two_daemons),
}


def main() -> None:
    """Print what the model check finds with and without each protection."""
    chosen = sys.argv[1:] or list(PROTECTIONS)
    work = Path(tempfile.mkdtemp(prefix="regimed-protections-", dir=work_folder()))
    said: dict[str, dict[str, list[str]]] = {}
    try:
        twin = in_fork(prepared, work / "twin").answer
        assert isinstance(twin, Twin)
        for name in chosen:
            protection, found = PROTECTIONS[name], {}
            for how in ("with", "without"):
                folder = work / how
                folder.mkdir()
                if how == "with":
                    found[how] = protection.check(twin, folder)
                else:
                    with protection.removed():
                        found[how] = protection.check(twin, folder)
                shutil.rmtree(folder)
            said[name] = found
        print(json.dumps(said))
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
