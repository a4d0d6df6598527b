"""The writer: durable hand-over, commits, immutability, and recovery from any failed call or kill."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from market import failpoints
from market.errors import CommitFailed, DataInvalid, HistoryRefused
from market.failpoints import NAMES
from store import disk
from store.change_set import ChangeSet, check_content, check_form
from store.git import GitFailed
from store.intents import Intents
from store.paths import metrics_path
from store.repository import Repository
from store.snapshots import encode_snapshot
from store.verify import verify
from store.writer import Writer
from tests.store.samples import FIRST, KEY, NOON, git, grid_file, hour_snapshot

GRID = "grids/eth-1.yaml"
STATES = "exit_states/ETH-USDT/2026-02-02.yaml"


def snapshot_files(offset: int = 0) -> dict[str, bytes]:
    hour = FIRST.plus(offset)
    return {f"snapshots/{KEY}/{hour.opens_at:%Y/%m/%d/%H}.json": encode_snapshot(hour_snapshot(hour))}


@pytest.fixture(scope="module")
def blank(tmp_path_factory):
    """A new repository whose exit states have one entry, to be copied."""
    place = tmp_path_factory.mktemp("blank")
    Repository.create(place / "data", NOON).close()
    made = writer_at(place)
    made.hand_over(ChangeSet({STATES: b"a: 1\n"}, "m"), NOON)
    made.commit_waiting()
    made._repository.close()
    return place


@pytest.fixture
def place(tmp_path):
    """A new repository and its state folder."""
    Repository.create(tmp_path / "data", NOON).close()
    return tmp_path


@pytest.fixture
def writer(place):
    made = writer_at(place)
    yield made
    made._repository.close()


def writer_at(place: Path) -> Writer:
    repository = Repository.open(place / "data")
    repository.configure(None)
    made = Writer(repository, Intents(place / "state" / "intents", place / "data" / ".git" / "regimed"))
    made.recover()
    return made


def tree(place: Path) -> dict[str, bytes]:
    root = place / "data"
    return {
        p.relative_to(root).as_posix(): p.read_bytes()
        for p in root.rglob("*")
        if p.is_file() and ".git" not in p.relative_to(root).parts
    }


def committed(place: Path) -> dict[str, bytes]:
    """Return path to bytes of the newest commit."""
    names = git(place / "data", "ls-tree", "-r", "--name-only", "main").splitlines()
    return {
        name: subprocess.run(
            ["git", "show", f"main:{name}"], cwd=place / "data", capture_output=True, check=True
        ).stdout
        for name in names
    }


def test_a_change_set_becomes_one_commit(writer, place):
    """The commit holds the files, the message, the trailers and the time that were handed over."""
    files = snapshot_files()
    number = writer.hand_over(ChangeSet(files, "[snapshot] x", {"Config-Hash": "ab"}), NOON)
    assert [intent.number for intent in writer.waiting] == [number]
    commits = writer.commit_waiting()
    assert list(commits) == [number]
    assert git(place / "data", "rev-parse", "main") == commits[number]
    shown = git(place / "data", "log", "-1", "--format=%an <%ae> %at %ct%n%B")
    stamp = int(NOON.timestamp())
    assert shown == f"regimed <regimed@localhost> {stamp} {stamp}\n[snapshot] x\n\nConfig-Hash: ab"
    assert committed(place).items() >= files.items()
    assert not list((place / "state" / "intents").iterdir())
    assert not list((place / "data" / ".git" / "regimed").iterdir())


def test_the_same_hand_over_gives_the_same_commit(tmp_path):
    """A second run of everything gives the same history, byte for byte."""
    heads = []
    for name in ("a", "b"):
        Repository.create(tmp_path / name / "data", NOON).close()
        writer = writer_at(tmp_path / name)
        writer.hand_over(ChangeSet(snapshot_files(), "[snapshot] x"), NOON)
        writer.commit_waiting()
        writer._repository.close()
        heads.append(git(tmp_path / name / "data", "rev-parse", "main"))
    assert heads[0] == heads[1]


def test_several_change_sets_enter_in_order(writer, place):
    """What waits is committed in one go, one commit each, oldest first."""
    for offset in range(3):
        writer.hand_over(ChangeSet(snapshot_files(offset), f"[snapshot] {offset}"), NOON)
    assert len(set(writer.commit_waiting().values())) == 3
    assert git(place / "data", "log", "-3", "--format=%s").splitlines() == [
        f"[snapshot] {offset}" for offset in (2, 1, 0)
    ]


def test_a_held_change_set_joins_its_judgement(writer, place):
    """Snapshot and judgement enter the history in one commit; a held one waits for it."""
    held = writer.hand_over(ChangeSet(snapshot_files(), "[snapshot] x"), NOON, held=True)
    assert writer.commit_waiting() == {}
    path = metrics_path(KEY, FIRST)
    number = writer.hand_over(ChangeSet({path: b"x: 1\n"}, "[hour] x"), NOON, joins=[held])
    commits = writer.commit_waiting()
    assert commits[held] == commits[number]
    assert git(place / "data", "log", "-1", "--format=%s") == "[hour] x"
    alone = writer.hand_over(ChangeSet(snapshot_files(1), "[snapshot] y"), NOON, held=True)
    writer.release([alone])
    assert list(writer.commit_waiting()) == [alone]


def test_identical_files_make_no_empty_commit(writer, place):
    """A repeated cycle is not an error and leaves no trace."""
    change_set = ChangeSet(snapshot_files(), "[snapshot] x")
    writer.hand_over(change_set, NOON)
    assert writer.hand_over(change_set, NOON) is None  # on its way already
    writer.commit_waiting()
    head = git(place / "data", "rev-parse", "main")
    assert writer.hand_over(change_set, NOON) is None
    assert writer.commit_waiting() == {}
    assert git(place / "data", "rev-parse", "main") == head


def test_a_file_that_lies_there_uncommitted_is_committed(writer, place):
    """Bytes that never reached the history are brought into it when they are written again."""
    (path, data), *_ = snapshot_files().items()
    target = place / "data" / path
    target.parent.mkdir(parents=True)
    target.write_bytes(data)
    assert writer.hand_over(ChangeSet({path: data}, "[snapshot] x"), NOON) is not None
    writer.commit_waiting()
    assert committed(place)[path] == data


def test_history_never_changes(writer, place):
    """Write-once files keep their bytes, growing ones their past."""
    (path, data), *_ = snapshot_files().items()
    writer.hand_over(ChangeSet({path: data}, "m"), NOON)
    writer.hand_over(ChangeSet({STATES: b"a: 1\n", GRID: grid_file()}, "m"), NOON)
    writer.commit_waiting()
    before = tree(place)
    for refused in (
        {path: encode_snapshot(hour_snapshot(FIRST, seed=1))},
        {STATES: b"b: 1\n"},
        {GRID: grid_file(lower=(1900,))},
        {GRID: grid_file("eth-2", lower=(1800, 1850))},
        {GRID: b"[1"},
        {GRID: b"[1]"},
    ):
        with pytest.raises(HistoryRefused):
            writer.hand_over(ChangeSet(refused, "m"), NOON)
    assert tree(place) == before
    grown = {STATES: b"a: 1\n---\nb: 2\n", GRID: grid_file(lower=(1800, 1850))}
    writer.hand_over(ChangeSet(grown, "m"), NOON)
    writer.commit_waiting()
    assert committed(place).items() >= grown.items()
    assert verify(place / "data").ok


def test_bytes_that_the_history_holds_are_restored(writer, place):
    """A file removed behind our back does not open its path for other bytes."""
    (path, data), *_ = snapshot_files().items()
    writer.hand_over(ChangeSet({path: data}, "m"), NOON)
    writer.commit_waiting()
    (place / "data" / path).unlink()
    number = writer.hand_over(ChangeSet({path: encode_snapshot(hour_snapshot(FIRST, seed=1))}, "m"), NOON)
    other = writer.hand_over(ChangeSet(snapshot_files(1), "m"), NOON)
    assert list(writer.commit_waiting()) == [other]
    assert isinstance(writer.refused[number], HistoryRefused)
    assert (place / "data" / path).read_bytes() == data


def test_only_a_damaged_file_is_given_the_history_s_bytes(writer, place):
    """A file whose bytes are the history's, or that no commit holds, is left as it is and said to be."""
    (path, data), *_ = snapshot_files().items()
    writer.hand_over(ChangeSet({path: data}, "m"), NOON)
    writer.commit_waiting()
    assert not writer.restored(path)
    assert not writer.restored("metrics/ETH-USDT/2026-02-02-14.yaml")
    (place / "data" / path).write_bytes(b"damaged")
    assert writer.restored(path)
    assert (place / "data" / path).read_bytes() == data


def test_what_waits_for_its_commit_is_not_taken_back(writer, place):
    """A file that is durable and ahead of the history is no damage."""
    path = "exit_states/ETH-USDT/2026-02-02.yaml"
    for data in (b"---\na: 1\n", b"---\na: 1\n---\nb: 2\n"):
        writer.hand_over(ChangeSet({path: data}, "m"), NOON)
        if b"b" not in data:
            writer.commit_waiting()
    assert not writer.restored(path)
    assert (place / "data" / path).read_bytes() == data


@pytest.mark.parametrize(
    "change_set",
    [
        ChangeSet({}, "m"),
        ChangeSet({"snapshots/x.json": b""}, "m"),
        ChangeSet({"../x": b""}, "m"),
        ChangeSet({"a.txt": b""}, "two\nlines"),
        ChangeSet({"a.txt": b""}, ""),
        ChangeSet({"a.txt": b""}, "m", {"bad name": "x"}),
        ChangeSet({"a.txt": b""}, "m", {"Name": "two\nlines"}),
        ChangeSet({"a.txt": b""}, "m", removes=(next(iter(snapshot_files())),)),
        ChangeSet({"quarantine/a.txt.1": b""}, "m", removes=("a.txt",)),
    ],
)
def test_a_malformed_change_set_is_refused(change_set):
    """No path outside the layout, no second line in a message, no removal but to quarantine."""
    with pytest.raises(DataInvalid):
        check_form(change_set)


@pytest.mark.parametrize(
    "path",
    [
        next(iter(snapshot_files())),
        "candles/ETH-USDT/1h/2026-01.json",
        metrics_path(KEY, FIRST),
        GRID,
        "kpis/2026-02-02.yaml",
    ],
)
def test_every_kind_of_file_is_checked(path):
    """What comes over the socket is validated like the daemon's own files."""
    with pytest.raises(DataInvalid):
        check_content(ChangeSet({path: b"{"}, "m"))
    check_content(ChangeSet({**snapshot_files(), "notes.txt": b"{"}, "m"))
    with pytest.raises(DataInvalid, match="grid_id"):
        check_content(ChangeSet({GRID: b"versions: 3\n"}, "m"))
    check_content(ChangeSet({GRID: grid_file()}, "m"))


class FailingOs:
    """Stands in for `os` in store.disk and lets the Nth call that changes the disk fail."""

    CALLS = ("open", "write", "fsync", "replace", "mkdir", "unlink")

    def __init__(self, fail_at: int) -> None:
        self.calls, self.fail_at = 0, fail_at

    def __getattr__(self, name):
        found = getattr(os, name)
        if name not in self.CALLS:
            return found

        def counted(*args, **kwargs):
            self.calls += 1
            if self.calls == self.fail_at:
                raise OSError(28, "No space left on device")
            return found(*args, **kwargs)

        return counted


def write_all(writer: Writer) -> None:
    held = writer.hand_over(ChangeSet(snapshot_files(), "[snapshot] x"), NOON, held=True)
    path = metrics_path(KEY, FIRST)
    files = {path: b"x: 1\n", STATES: b"a: 1\n---\nb: 2\n"}
    writer.hand_over(ChangeSet(files, "[hour] x"), NOON, joins=[] if held is None else [held])
    writer.release()
    writer.commit_waiting()


def test_any_failed_disk_call_is_recovered_from(tmp_path, blank, monkeypatch):
    """Whichever call fails first: the same change-sets again give the same files, nothing lost or doubled."""
    fail_at, reached = 0, True
    while reached:
        fail_at += 1
        place = tmp_path / str(fail_at)
        shutil.copytree(blank, place)
        writer = writer_at(place)
        failing = FailingOs(fail_at)
        monkeypatch.setattr(disk, "os", failing)
        with suppress(CommitFailed):
            write_all(writer)
        monkeypatch.setattr(disk, "os", os)
        reached = failing.calls >= fail_at
        if fail_at % 2:  # half of the runs go on, half start anew
            writer._repository.close()
            writer = writer_at(place)
        write_all(writer)
        writer._repository.close()
        expected = {**snapshot_files(), metrics_path(KEY, FIRST): b"x: 1\n", STATES: b"a: 1\n---\nb: 2\n"}
        assert tree(place) == committed(place)
        assert tree(place).items() >= expected.items()
        assert not list((place / "state" / "intents").iterdir())
        subjects = git(place / "data", "log", "--format=%s").splitlines()
        assert subjects.count("[hour] x") == 1
        assert subjects.count("[snapshot] x") <= 1
    assert fail_at > 40


def test_git_failing_keeps_everything_for_a_later_commit(writer, place, monkeypatch):
    """A failed commit leaves files and intent, and the next commit takes them in."""
    writer.hand_over(ChangeSet(snapshot_files(), "m"), NOON)

    def refuse(_commits):
        raise GitFailed("fast-import", "no")

    with monkeypatch.context() as patched:
        patched.setattr(writer._repository, "commit", refuse)
        with pytest.raises(CommitFailed, match="fast-import"):
            writer.commit_waiting()
    assert len(list((place / "state" / "intents").iterdir())) == 1
    assert len(writer.commit_waiting()) == 1
    assert committed(place).items() >= snapshot_files().items()


def test_an_unfinished_intent_is_undone(writer, place):
    """Without all its bytes a change-set leaves nothing; a grown file has the history's bytes again."""
    writer.hand_over(ChangeSet({STATES: b"a: 1\n"}, "m"), NOON)
    writer.commit_waiting()
    before = tree(place)

    def stop():
        raise OSError("stop")

    failpoints.arm("writer.between_renames", stop)
    try:
        with pytest.raises(CommitFailed, match="stop"):
            writer.hand_over(ChangeSet({STATES: b"a: 1\n---\n", **snapshot_files()}, "m"), NOON)
    finally:
        failpoints.disarm()
    assert tree(place) != before  # the first file stands, the second one waits ...
    for waiting in (place / "data" / ".git" / "regimed").iterdir():
        waiting.unlink()  # ... and is lost
    writer._repository.close()
    again = writer_at(place)
    assert tree(place) == before
    assert again.recover().undone == 0
    again._repository.close()


def test_a_temporary_that_was_cut_short_does_not_spoil_its_target(writer, place):
    """A finished file stands even where a broken temporary of it was left."""
    number = writer.hand_over(ChangeSet(snapshot_files(), "m"), NOON)
    (place / "data" / ".git" / "regimed" / f"{number}-0.part").write_bytes(b"half")
    writer._repository.close()
    again = writer_at(place)
    again.commit_waiting()
    again._repository.close()
    assert committed(place).items() >= snapshot_files().items()


def test_an_intent_that_cannot_be_read_is_set_aside(writer, place):
    """A damaged intent is kept under another name and stops nobody."""
    (place / "state" / "intents" / "7.json").write_bytes(b"{")
    recovery = writer.recover()
    assert list(recovery.unreadable) == ["7.json"]
    assert recovery.unreadable["7.json"].startswith("intents/7.json: not JSON: ")
    assert (place / "state" / "intents" / "7.json.unreadable").exists()
    assert writer.hand_over(ChangeSet(snapshot_files(), "m"), NOON) >= 8


def test_two_growths_that_wait_are_recovered_in_order(writer, place):
    """A file that grew twice before a crash has its last bytes in the history."""
    for data in (b"a: 1\n", b"a: 1\n---\nb: 2\n"):
        writer.hand_over(ChangeSet({STATES: data}, "m"), NOON)
    writer._repository.close()
    again = writer_at(place)
    again.commit_waiting()
    again._repository.close()
    assert committed(place)[STATES] == b"a: 1\n---\nb: 2\n"
    assert verify(place / "data").ok


def test_a_disk_or_git_that_does_not_answer_is_tried_again(writer, place, monkeypatch):
    """A recovery that fails says so, and the next call recovers."""
    (path, data), *_ = snapshot_files().items()
    writer.hand_over(ChangeSet({path: data}, "m"), NOON)
    writer.commit_waiting()

    def refuse(_paths):
        raise GitFailed("ls-tree", "no")

    with monkeypatch.context() as patched:
        patched.setattr(writer._repository, "blobs", refuse)
        with pytest.raises(CommitFailed, match="ls-tree"):
            writer.hand_over(ChangeSet({path: data}, "m"), NOON)
        writer.hand_over(ChangeSet({STATES: b"a: 1\n"}, "m"), NOON)
        (place / "data" / STATES).unlink()
        with pytest.raises(CommitFailed, match="recovery"):
            writer.recover()
    assert writer.hand_over(ChangeSet(snapshot_files(1), "m"), NOON) is not None
    assert len(writer.commit_waiting()) == 1


def test_an_uncommitted_corrupt_file_leaves_no_trace_of_its_place(writer, place):
    """A file that was never in the history goes to quarantine alone."""
    (path, data), *_ = snapshot_files().items()
    target = place / "data" / path
    target.parent.mkdir(parents=True)
    target.write_bytes(data)
    files = {f"quarantine/{path}.1": b"x", f"quarantine/{path}.1.reason.yaml": b"reason: x\n"}
    writer.hand_over(ChangeSet(files, "[quarantine] x", removes=(path,)), NOON)
    writer.commit_waiting()
    assert not target.exists()
    assert path not in committed(place)


KILL_POINTS = [name for name in NAMES if name.startswith("writer.")]
_CHILD = """
import os, signal, sys
from datetime import timedelta
from pathlib import Path
from market import failpoints
from store.change_set import ChangeSet
from tests.store.samples import grid_file, NOON
from tests.store.test_writer import STATES, writer_at, write_all
place, name, countdown = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
def kill():
    global countdown
    countdown -= 1
    if countdown == 0:
        os.kill(os.getpid(), signal.SIGKILL)
writer = writer_at(place)
failpoints.arm(name, kill)
write_all(writer)
"""


@pytest.mark.parametrize(
    ("name", "nth"),
    [(name, 1) for name in KILL_POINTS] + [("writer.before_write", 3), ("writer.before_fsync", 4),
     ("writer.before_rename", 2), ("writer.after_rename", 2), ("writer.after_intent", 2)],
)  # fmt: skip
def test_a_kill_anywhere_loses_and_doubles_nothing(name, nth, tmp_path, blank):
    """kill -9 at each named place: after recovery and the same calls again the history is whole."""
    shutil.copytree(blank, tmp_path, dirs_exist_ok=True)
    done = subprocess.run([sys.executable, "-c", _CHILD, str(tmp_path), name, str(nth)], cwd=Path.cwd())
    assert done.returncode == -signal.SIGKILL
    again = writer_at(tmp_path)
    again.commit_waiting()
    assert tree(tmp_path) == committed(tmp_path)
    write_all(again)
    again._repository.refresh_index()
    again._repository.close()
    expected = {**snapshot_files(), metrics_path(KEY, FIRST): b"x: 1\n", STATES: b"a: 1\n---\nb: 2\n"}
    assert tree(tmp_path) == committed(tmp_path)
    assert tree(tmp_path).items() >= expected.items()
    subjects = git(tmp_path / "data", "log", "--format=%s").splitlines()
    assert subjects.count("[hour] x") == 1
    assert git(tmp_path / "data", "status", "--porcelain") == ""
    git(tmp_path / "data", "fsck", "--strict")
