"""The store as the daemon uses it: hours, chain, lock, socket, quarantine, remote."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import stat
from datetime import timedelta
from pathlib import Path

import anyio
import orjson
import pytest

from market import failpoints
from market.errors import (
    CommitFailed,
    DataInvalid,
    HistoryRefused,
    PushFailed,
    RepositoryLocked,
    RepositoryUnusable,
    StoreError,
)
from market.hours import Hour, Timeframe
from store import control
from store.candle_files import candle_files, month_start_ts
from store.change_set import ChangeSet
from store.git import GitFailed, checked_remote, git_environment
from store.inputs import ReadOnlyStore
from store.lock import RepositoryLock, holder
from store.paths import metrics_path, parse_snapshot
from store.records import encode_metrics, metrics_file
from store.repository import Repository
from store.snapshots import encode_snapshot
from store.store import Store
from store.verify import verify
from tests.store.samples import (
    FIRST,
    KEY,
    NOON,
    TIMEFRAMES,
    HandClock,
    Told,
    coarse_of,
    git,
    grid_file,
    hour_snapshot,
    judged,
    opened,
    run_hour,
    settings,
)

GRID = "grids/eth-1.yaml"


@pytest.fixture
def clock():
    return HandClock()


@pytest.fixture
def bare(tmp_path):
    """A bare remote."""
    remote = tmp_path / "remote.git"
    remote.mkdir()
    git(remote, "init", "-q", "--bare", "-b", "main")
    return remote


def one_hour_bars(first: Hour, hours: int, collected_at, timeframe=Timeframe.H1, seed=0):
    start = month_start_ts(first.open_ts)
    candles = coarse_of(first, hours, timeframe, seed)
    return candle_files(
        key=KEY, exchange="sandbox", symbol=KEY, timeframe=timeframe, candles=candles, start_ts=start,
        end_ts=first.plus(hours).open_ts, collected_at=collected_at,
    )  # fmt: skip


async def test_hours_go_in_and_come_back_byte_for_byte(tmp_path, clock):
    """Live equals replay: a reader without a lock gives the same inputs, and the same record bytes."""
    store = await opened(tmp_path, clock)
    clock.instant = FIRST.opens_at + timedelta(minutes=1)
    await store.write_candles(one_hour_bars(FIRST.plus(-30), 30, clock.now()), "[backfill] 1h")
    live = [await run_hour(store, clock, FIRST.plus(h)) for h in range(6)]
    missing = await run_hour(store, clock, FIRST.plus(6), missing=(1, 2))
    reads = store.state().cache.misses
    await store.aclose()
    assert reads == 1 + 7 + 1  # one candle file before the month's end, one after it, seven hours, each once
    assert missing.outcome == "analysed"
    assert git(tmp_path / "data", "status", "--porcelain") == ""
    assert git(tmp_path / "data", "rev-list", "--count", "main") == "9"
    report = verify(tmp_path / "data")
    assert report.ok, report.findings
    assert not report.findings

    again = ReadOnlyStore(tmp_path / "data", max_missing_minutes=3, timeframes=TIMEFRAMES)
    for evaluation, inputs in zip(
        [*live, missing], again.read_inputs(KEY, [FIRST.plus(h) for h in range(7)]), strict=True
    ):
        data = encode_metrics(metrics_file(judged(inputs)))
        assert data == (tmp_path / "data" / metrics_path(KEY, inputs.hour)).read_bytes()
        assert inputs.summary == evaluation.inputs.summary


async def test_the_chain_names_each_input_once(tmp_path, clock):
    """The first record names everything, each later one what is new and the record before it."""
    store = await opened(tmp_path, clock)
    bars = one_hour_bars(FIRST.plus(-24), 24, FIRST.opens_at)
    clock.instant = FIRST.opens_at
    await store.write_candles(bars, "[backfill] 1h")
    first = await run_hour(store, clock, FIRST)
    second = await run_hour(store, clock, FIRST.plus(1))
    await store.write_snapshot(hour_snapshot(FIRST.plus(-1), late=timedelta(hours=3), source="backfill"))
    third = await run_hour(store, clock, FIRST.plus(2))
    await store.aclose()
    snapshot = "snapshots/ETH-USDT/2026/02/0{}/{}.json"
    assert set(first.inputs.files) == {*bars, snapshot.format(2, "00")}
    assert set(second.inputs.files) == {metrics_path(KEY, FIRST), snapshot.format(2, "01")}
    assert set(third.inputs.files) == {
        metrics_path(KEY, FIRST.plus(1)),
        snapshot.format(2, "02"),
        "snapshots/ETH-USDT/2026/02/01/23.json",
    }


async def test_hours_caught_up_at_one_instant_name_their_own_snapshot(tmp_path, clock):
    """Catch-up: data collected before the judgement of the hour before is still named by its own hour."""
    store = await opened(tmp_path, clock)
    clock.instant = NOON
    for offset in range(3):
        await store.write_snapshot(hour_snapshot(FIRST.plus(offset), late=timedelta(hours=8)))
    for offset in range(3):
        hour = FIRST.plus(offset)
        await store.commit(judged(await store.hour_inputs(KEY, hour, clock.now())))
    await store.aclose()
    assert verify(tmp_path / "data").ok


async def test_the_first_hour_is_not_forgotten_when_its_judgement_was_kept_back(tmp_path, clock):
    """Collected live and never judged: owed from there on; imported history owes nothing."""
    store = await opened(tmp_path, clock)
    await store.write_snapshot(hour_snapshot(FIRST.plus(-9), source="backfill"))
    assert store.ledger.owed_hours(KEY, FIRST) == [FIRST]
    await store.write_snapshot(hour_snapshot(FIRST, source="live"))
    assert store.ledger.owed_hours(KEY, FIRST.plus(2)) == [FIRST, FIRST.plus(1), FIRST.plus(2)]
    await store.aclose()


async def test_due_hours_follow_from_the_files(tmp_path, clock):
    """Nothing judged owes the last closed hour; after a gap every hour since is owed, oldest first."""
    store = await opened(tmp_path, clock)
    assert store.ledger.owed_hours(KEY, FIRST) == [FIRST]
    await run_hour(store, clock, FIRST)
    assert store.ledger.owed_hours(KEY, FIRST) == []
    await store.write_snapshot(hour_snapshot(FIRST.plus(2)))
    await store.write_snapshot(hour_snapshot(FIRST.plus(3), missing=(5,)))
    owed = store.ledger.owed_hours(KEY, FIRST.plus(3))
    assert owed == [FIRST.plus(1), FIRST.plus(2), FIRST.plus(3)]
    assert store.ledger.newest_judged(KEY) == FIRST
    states = [store.ledger.collected(KEY, hour) for hour in owed]
    assert [(s.complete, s.partials, s.absent) for s in states] == [
        (False, 0, True), (True, 0, False), (False, 1, False),
    ]  # fmt: skip
    await store.aclose()


async def test_snapshots_are_named_by_what_they_tell(tmp_path, clock):
    """The same hour again writes nothing, a better one the next file, another whole one is refused."""
    store = await opened(tmp_path, clock)
    write = store.write_snapshot
    base = "snapshots/ETH-USDT/2026/02/02/00"
    assert await write(hour_snapshot(FIRST, missing=(1, 2))) == f"{base}.partial-1.json"
    assert (
        await write(hour_snapshot(FIRST, missing=(1, 2), late=NOON - FIRST.closes_at))
        == f"{base}.partial-1.json"
    )
    assert await write(hour_snapshot(FIRST, missing=(2,))) == f"{base}.partial-2.json"
    assert await write(hour_snapshot(FIRST)) == f"{base}.json"
    assert await write(hour_snapshot(FIRST, late=timedelta(hours=1))) == f"{base}.json"
    assert await write(hour_snapshot(FIRST, missing=(7,))) == f"{base}.json"
    with pytest.raises(HistoryRefused):
        await write(hour_snapshot(FIRST, seed=1))
    assert await store.flush() == 3
    assert (await store.load_snapshot(KEY, FIRST)).is_complete
    await store.aclose()


async def test_a_judged_hour_stays_as_it_was_judged(tmp_path, clock):
    """The same judgement again is not an error, another one is."""
    store = await opened(tmp_path, clock)
    evaluation = await run_hour(store, clock, FIRST)
    first = await store.commit(evaluation)
    assert (await store.commit(evaluation)) == first
    assert git(tmp_path / "data", "rev-parse", "main") == first.commit
    later = await store.hour_inputs(KEY, FIRST, clock.now() + timedelta(hours=1))
    with pytest.raises(HistoryRefused):
        await store.commit(judged(later))
    await store.write_config("ab" * 32, b"mode: advise\n")
    assert (tmp_path / "data" / "configs" / f"{'ab' * 32}.yaml").exists()
    await store.aclose()


async def test_what_waits_together_is_committed_together(tmp_path, clock):
    """Many callers at once: every change-set gets its commit, and Git is started less often."""
    told = Told()
    store = await Store.open(
        settings(tmp_path), clock, max_missing_minutes=3, timeframes=TIMEFRAMES, create=True, observer=told
    )
    recorded = {}

    async def write(number):
        files = {f"notes/{number}.txt": b"x"}
        recorded[number] = await store.write(ChangeSet(files, f"[note] {number}"))

    async with anyio.create_task_group() as group:
        for number in range(12):
            group.start_soon(write, number)
    assert len({done.commit for done in recorded.values()}) == 12
    assert sum(told.commits) == 12
    assert len(told.commits) < 12
    assert store.state().queue_depth == 0
    for number, done in recorded.items():
        assert git(tmp_path / "data", "log", "-1", "--format=%s", done.commit) == f"[note] {number}"
    await store.aclose()


async def test_a_failed_commit_is_made_later(tmp_path, clock, monkeypatch):
    """CommitFailed tells the caller; the judgement stays on disk and enters the history with the next one."""
    store = await opened(tmp_path, clock)

    def refuse(_commits):
        raise GitFailed("fast-import", "disk full")

    with monkeypatch.context() as patched:
        patched.setattr(store._repository, "commit", refuse)
        with pytest.raises(CommitFailed, match="disk full"):
            await run_hour(store, clock, FIRST)
        assert "disk full" in store.state().last_commit_error
        assert store.state().uncommitted == 2
    await run_hour(store, clock, FIRST.plus(1))
    assert store.state().uncommitted == 0
    assert store.state().last_commit_error is None
    await store.aclose()
    assert verify(tmp_path / "data").ok
    subjects = git(tmp_path / "data", "log", "--format=%s").splitlines()
    assert [s.split(":")[0] for s in subjects[:2]] == [
        f"[hour] {KEY} {FIRST.plus(1)}",
        f"[hour] {KEY} {FIRST}",
    ]


@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty"])
async def test_a_corrupt_snapshot_goes_to_quarantine(tmp_path, clock, damage):
    """It is moved with its reason in a commit, its hour counts as missing, and it can be fetched again."""
    store = await opened(tmp_path, clock)
    await run_hour(store, clock, FIRST)
    await run_hour(store, clock, FIRST.plus(1))
    await store.aclose()
    path = tmp_path / "data" / "snapshots/ETH-USDT/2026/02/02/00.json"
    data = path.read_bytes()
    path.write_bytes({"truncated": data[:100], "flipped": data[:-9] + b"x" + data[-8:], "empty": b""}[damage])
    told = Told()
    store = await Store.open(
        settings(tmp_path), clock, max_missing_minutes=3, timeframes=TIMEFRAMES, observer=told
    )
    evaluation = await run_hour(store, clock, FIRST.plus(2))
    assert FIRST.open_ts not in evaluation.inputs.window.bars[Timeframe.H1].ts
    assert told.quarantine == ["snapshots/ETH-USDT/2026/02/02/00.json"]
    assert "00.json" in store.state().quarantined[0]
    kept = tmp_path / "data" / "quarantine/snapshots/ETH-USDT/2026/02/02/00.json.1"
    assert kept.with_name("00.json.1.reason.yaml").exists()
    assert store.ledger.collected(KEY, FIRST).absent
    await store.write_snapshot(hour_snapshot(FIRST, late=timedelta(hours=5), source="backfill"))
    clock.instant += timedelta(hours=3)
    repaired = await run_hour(store, clock, FIRST.plus(3))
    assert FIRST.open_ts in repaired.inputs.window.bars[Timeframe.H1].ts
    await store.aclose()
    report = verify(tmp_path / "data")
    assert report.ok, report.findings


async def test_a_corrupt_file_makes_room_for_its_hour_fetched_again(tmp_path, clock):
    """A damaged file does not block the snapshot that is to replace it."""
    store = await opened(tmp_path, clock)
    path = await store.write_snapshot(hour_snapshot(FIRST))
    await store.flush()
    (tmp_path / "data" / path).write_bytes(b"{}")
    await store.write_snapshot(hour_snapshot(FIRST))
    await store.aclose()
    assert (tmp_path / "data" / path).read_bytes() == encode_snapshot(hour_snapshot(FIRST))
    assert verify(tmp_path / "data").ok


async def test_corrupt_candles_go_to_quarantine_and_a_judgement_comes_back_from_the_history(tmp_path, clock):
    """An hour is judged once: the history gives its record back; unreadable bars are left out."""
    store = await opened(tmp_path, clock)
    clock.instant = FIRST.opens_at
    bars = one_hour_bars(FIRST.plus(-24), 24, clock.now())
    await store.write_candles(bars, "[backfill] 1h")
    await run_hour(store, clock, FIRST)
    await store.aclose()
    (tmp_path / "data" / metrics_path(KEY, FIRST)).write_bytes(b"inputs: {}\n")
    (tmp_path / "data" / next(iter(bars))).write_bytes(b"[]")
    store = await opened(tmp_path, clock)
    inputs = await store.hour_inputs(KEY, FIRST.plus(1), clock.now())
    assert not inputs.has_bar
    assert metrics_path(KEY, FIRST) in inputs.files
    assert len(store.state().quarantined) == 1
    assert store.ledger.owed_hours(KEY, FIRST.plus(1)) == [FIRST.plus(1)]
    assert git(tmp_path / "data", "diff", "--name-only", "HEAD", "--", metrics_path(KEY, FIRST)) == ""
    await store.aclose()


async def test_one_process_writes_a_repository(tmp_path, clock):
    """A second daemon stops and learns who holds the lock; the lock goes with its holder."""
    store = await opened(tmp_path, clock)
    assert holder(tmp_path / "data").pid == os.getpid()
    assert holder(tmp_path / "data").socket == str(store.socket)
    with pytest.raises(RepositoryLocked, match=f"process {os.getpid()}"):
        await opened(tmp_path, clock)
    await run_hour(store, clock, FIRST)
    await store.aclose()
    assert holder(tmp_path / "data") is None
    assert holder(tmp_path) is None
    lock = RepositoryLock(tmp_path / "data", store.socket)
    lock.release()
    await (await opened(tmp_path, clock)).aclose()


async def test_opening_can_be_cancelled(tmp_path, clock):
    """A stop during the start leaves no lock and no half-made repository behind."""
    with anyio.move_on_after(0):
        await opened(tmp_path, clock)
    store = await opened(tmp_path, clock)
    await store.aclose()
    assert verify(tmp_path / "data").ok


@pytest.mark.parametrize(
    ("prepare", "problem"),
    [
        (lambda _: None, "no such folder"),
        (lambda data: data.mkdir(), "an empty folder"),
        (lambda data: (data.mkdir(), (data / "x").write_text("x")), "not a Git repository"),
        (lambda data: data.write_text("x"), "no such folder"),
        (lambda data: (data.mkdir(), git(data, "init", "-q", "-b", "other")), "branch 'other'"),
        (lambda data: (data.mkdir(), (data / ".git").mkdir()), "Git cannot use it"),
    ],
)
async def test_a_folder_that_cannot_serve_is_refused(tmp_path, clock, prepare, problem):
    """The operator learns what was found and what to do."""
    prepare(tmp_path / "data")
    with pytest.raises(RepositoryUnusable, match=problem):
        await Store.open(settings(tmp_path), clock, max_missing_minutes=3, timeframes=TIMEFRAMES)
    if problem == "not a Git repository":
        with pytest.raises(RepositoryUnusable, match="nothing is created"):
            Repository.create(tmp_path / "data", NOON)
    with pytest.raises(RepositoryUnusable):
        verify(tmp_path / "nothing")
    with pytest.raises(RepositoryUnusable):
        ReadOnlyStore(tmp_path / "nothing", max_missing_minutes=3, timeframes=TIMEFRAMES)


async def test_stale_locks_go_only_under_our_own(tmp_path, clock):
    """Lock files that a killed process left behind are removed at the start, and said."""
    await (await opened(tmp_path, clock)).aclose()
    folder = tmp_path / "data" / ".git"
    for name in ("index.lock", "HEAD.lock", "refs/heads/main.lock", "packed-refs.lock"):
        (folder / name).touch()
    store = await opened(tmp_path, clock)
    assert set(store.state().stale_locks) == {
        "index.lock", "HEAD.lock", "refs/heads/main.lock", "packed-refs.lock",
    }  # fmt: skip
    await run_hour(store, clock, FIRST)
    await store.aclose()
    assert git(tmp_path / "data", "status", "--porcelain") == ""


async def test_locks_of_a_git_that_still_works_stay(tmp_path, clock):
    """A lock whose owner still runs in the repository is left alone."""
    await (await opened(tmp_path, clock)).aclose()
    working = await asyncio.create_subprocess_exec(
        "git", "cat-file", "--batch", cwd=tmp_path / "data", stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    (tmp_path / "data" / ".git" / "HEAD.lock").touch()
    repository = Repository.open(tmp_path / "data")
    assert repository.remove_stale_locks(clock, patience_s=0.002) == []
    await working.communicate(b"")
    assert repository.remove_stale_locks(clock) == ["HEAD.lock"]
    repository.close()


# -- the control socket


async def serving(group, path, store):
    async def write(change_set):
        return (await store.write(change_set)).commit

    await group.start(control.serve, path, write, lambda: {"queue_depth": store.state().queue_depth})


async def test_a_command_writes_through_the_daemon(tmp_path, clock):
    """A change-set over the socket is validated like the daemon's own, and its commit comes back."""
    store = await opened(tmp_path, clock)
    async with anyio.create_task_group() as group:
        await serving(group, store.socket, store)
        assert stat.S_IMODE(store.socket.stat().st_mode) == 0o600
        files = {
            parse_snapshot("snapshots/ETH-USDT/2026/02/02/00.json").path: encode_snapshot(
                hour_snapshot(FIRST)
            )
        }
        commit = await control.hand_change_set(store.socket, ChangeSet(files, "[backfill] x"))
        assert commit == git(tmp_path / "data", "rev-parse", "main")
        assert await control.ask_status(store.socket) == {"queue_depth": 0}
        other = {next(iter(files)): encode_snapshot(hour_snapshot(FIRST, seed=1))}
        with pytest.raises(HistoryRefused, match="write-once"):
            await control.hand_change_set(store.socket, ChangeSet(other, "[backfill] x"))
        for bad in ({"snapshots/x.json": b""}, {next(iter(files)): b"{}"}, {"../x": b""}):
            with pytest.raises(DataInvalid):
                await control.hand_change_set(store.socket, ChangeSet(bad, "m"))
        for raw in (b"{\n", b'{"op":"stop"}\n', b'{"op":"write","files":{"a":"?"}}\n', b"no newline"):
            async with await anyio.connect_unix(store.socket) as stream:
                await stream.send(raw)
                await stream.send_eof()
                answer = orjson.loads(await stream.receive())
                assert answer["error"] == "DataInvalid"
        group.cancel_scope.cancel()
    assert not store.socket.exists()
    with pytest.raises(StoreError, match="cannot be reached"):
        await control.ask_status(store.socket)
    await store.aclose()


async def test_a_daemon_that_does_not_answer_is_not_waited_for(tmp_path):
    """Every request has a deadline, on both sides."""
    path = tmp_path / "control.sock"

    async def never(_change_set):
        await anyio.sleep_forever()

    async with anyio.create_task_group() as group:

        async def serve(*, task_status=anyio.TASK_STATUS_IGNORED):
            await control.serve(path, never, dict, deadline_s=0.05, task_status=task_status)

        await group.start(serve)
        with pytest.raises(CommitFailed, match="deadline"):
            await control.hand_change_set(path, ChangeSet({"a.txt": b""}, "m"))
        group.cancel_scope.cancel()
    async with await anyio.create_unix_listener(path):
        with pytest.raises(StoreError, match="no answer"):
            await control.ask_status(path, deadline_s=0.05)


async def test_a_long_socket_path_lies_in_a_private_folder(tmp_path):
    """A path that does not fit an address lies in a folder of our own under the temporary one."""
    path = control.socket_path(tmp_path / ("x" * 90))
    assert len(os.fsencode(path)) <= 100
    async with anyio.create_task_group() as group:
        await group.start(control.serve, path, None, lambda: {"x": 1})
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert await control.ask_status(path) == {"x": 1}
        group.cancel_scope.cancel()
    path.parent.chmod(0o755)
    with pytest.raises(StoreError, match="0700"):
        await control.serve(path, None, dict)
    path.parent.rmdir()


# -- the remote


async def test_what_is_committed_is_pushed(tmp_path, clock, bare):
    """The remote gets every commit, and the state says how far it is."""
    store = await opened(tmp_path, clock, bare)
    await run_hour(store, clock, FIRST)
    assert await store.fetch_and_merge() == {}  # the remote is empty yet
    state = store.state()
    assert state.children == 0
    assert state.unpushed == 2
    assert state.oldest_unpushed is not None
    outcome = await store.push()
    assert (outcome.pushed, outcome.merged, store.state().unpushed) == (2, False, 0)
    assert (await store.push()).pushed == 0
    assert git(bare, "rev-parse", "main") == git(tmp_path / "data", "rev-parse", "main")
    await store.aclose()
    shutil.rmtree(tmp_path / "data")
    again = await opened(tmp_path, clock, bare)  # a lost volume comes back as a clone
    assert again.ledger.newest_judged(KEY) == FIRST
    assert (await store_inputs(again)).has_bar
    await again.aclose()
    assert verify(tmp_path / "data").ok


async def store_inputs(store):
    return await store.hour_inputs(KEY, FIRST, NOON)


async def test_a_remote_without_name_is_never_spoken_to(tmp_path, clock):
    """Without a remote a push does nothing and nothing counts as unpushed."""
    store = await opened(tmp_path, clock)
    await run_hour(store, clock, FIRST)
    assert (await store.push()).pushed == 0
    assert await store.fetch_and_merge() == {}
    assert store.state().unpushed == 0
    await store.aclose()


def operator_clone(tmp_path, bare):
    clone = tmp_path / "laptop"
    git(tmp_path, "clone", "-q", str(bare), str(clone))
    return clone


def operator_pushes(clone, message="operator"):
    git(clone, "add", "-A")
    git(clone, "commit", "-q", "-m", message)
    git(clone, "push", "-q", "origin", "HEAD:main")


async def test_an_operators_grid_is_taken_over(tmp_path, clock, bare):
    """Diverged: one merge commit, our history first, the grid in the work tree, and everything pushed."""
    store = await opened(tmp_path, clock, bare)
    await run_hour(store, clock, FIRST)
    await store.push()
    clone = operator_clone(tmp_path, bare)
    (clone / "grids").mkdir()
    (clone / GRID).write_bytes(grid_file())
    (clone / "a note.txt").write_text("hello")
    (clone / "README.md").unlink()
    operator_pushes(clone)
    theirs = git(clone, "rev-parse", "HEAD")
    await run_hour(store, clock, FIRST.plus(1))
    ours = git(tmp_path / "data", "rev-parse", "main")
    outcome = await store.push()
    assert outcome.merged
    assert outcome.refused == {}
    data = tmp_path / "data"
    assert git(data, "log", "-1", "--format=%P") == f"{ours} {theirs}"
    assert (data / GRID).read_text() == (clone / GRID).read_text()
    assert (data / "a note.txt").read_text() == "hello"
    assert not (data / "README.md").exists()
    assert git(bare, "rev-parse", "main") == git(data, "rev-parse", "main")
    await store.refresh_index()
    assert git(data, "status", "--porcelain") == ""
    await store.aclose()
    assert verify(data).ok, verify(data).findings


async def test_the_index_follows_files_that_grow(tmp_path, clock, bare):
    """A grid's file changes between two refreshes: `git status` stays clean, the next start opens."""
    store = await opened(tmp_path, clock, bare)
    for versions in ((1800,), (1800, 1850), (1800, 1850, 1900)):
        await store.write(ChangeSet({GRID: grid_file(lower=versions)}, "[grid] x"))
        await store.refresh_index()
        assert git(tmp_path / "data", "status", "--porcelain") == ""
    await store.write(ChangeSet({GRID: grid_file(lower=(1800, 1850, 1900, 1950))}, "[grid] x"))
    await store.aclose()
    again = await opened(tmp_path, clock, bare)
    assert git(tmp_path / "data", "status", "--porcelain") == ""
    await again.aclose()


async def test_what_may_not_come_from_outside_is_refused_by_name(tmp_path, clock, bare):
    """A changed or removed daemon file, a rewritten grid, a link: ours stay, and the refusal is said."""
    store = await Store.open(
        settings(tmp_path, bare), clock, max_missing_minutes=3, timeframes=TIMEFRAMES, create=True,
        markets=[KEY],
    )  # fmt: skip
    await store.write(ChangeSet({GRID: grid_file()}, "[grid] x"))
    await store.write(ChangeSet({"grids/gone.yaml": grid_file("gone")}, "[grid] x"))
    await run_hour(store, clock, FIRST)
    await store.push()
    before = {
        p: p.read_bytes() for p in (tmp_path / "data").rglob("*.*") if ".git" not in p.parts and p.is_file()
    }
    clone = operator_clone(tmp_path, bare)
    snapshot = "snapshots/ETH-USDT/2026/02/02/00.json"
    (clone / snapshot).write_text("{}")
    (clone / metrics_path(KEY, FIRST)).unlink()
    (clone / GRID).write_bytes(grid_file(lower=(1900,)))
    (clone / "grids/bad.yaml").write_bytes(grid_file("bad", market="XRP-USDT"))
    (clone / "grids/gone.yaml").unlink()
    (clone / "grids/broken.yaml").write_text("a: [\n")
    (clone / "link").symlink_to("/etc/passwd")
    (clone / "metrics/extra").write_text("x")
    (clone / "tab\there.txt").write_text("x")
    operator_pushes(clone)
    outcome = await store.push()
    assert set(outcome.refused) == {
        snapshot, metrics_path(KEY, FIRST), GRID, "grids/bad.yaml", "grids/gone.yaml", "grids/broken.yaml",
        "link", "metrics/extra", "tab\there.txt",
    }  # fmt: skip
    assert outcome.refused["grids/bad.yaml"] == "market: XRP-USDT is not configured; known: ETH-USDT"
    assert store.state().refused_from_outside == outcome.refused
    after = {
        p: p.read_bytes() for p in (tmp_path / "data").rglob("*.*") if ".git" not in p.parts and p.is_file()
    }
    assert after == before
    assert "Refused: grids/bad.yaml" in git(tmp_path / "data", "log", "-1", "--format=%B")
    assert await store.fetch_and_merge() == {}
    await store.aclose()
    assert verify(tmp_path / "data").ok


async def test_a_kill_between_merge_and_files_is_finished(tmp_path, clock, bare):
    """The work tree follows the merge commit at the next call, whatever happened after it."""
    store = await opened(tmp_path, clock, bare)
    await store.push()
    clone = operator_clone(tmp_path, bare)
    (clone / "grids").mkdir()
    (clone / GRID).write_bytes(grid_file())
    operator_pushes(clone)

    def stop():
        raise OSError("stop")

    for place in ("merge.before_commit", "merge.before_rename"):
        failpoints.arm(place, stop)
        try:
            with pytest.raises(CommitFailed, match="stop"):
                await store.fetch_and_merge()
        finally:
            failpoints.disarm()
    assert not (tmp_path / "data" / GRID).exists()
    await run_hour(store, clock, FIRST)
    assert (tmp_path / "data" / GRID).exists()
    await store.push()
    await store.aclose()
    assert verify(tmp_path / "data").ok
    assert git(tmp_path / "data", "status", "--porcelain") == ""


async def test_what_is_in_the_way_of_foreign_files_stays(tmp_path, clock, bare):
    """A link or a folder of the operator's is neither followed nor lost, and the hours go on."""
    store = await opened(tmp_path, clock, bare)
    await store.push()
    clone = operator_clone(tmp_path, bare)
    for name in ("linked/x.txt", "folder", "fine.txt"):
        (clone / name).parent.mkdir(exist_ok=True)
        (clone / name).write_text("theirs")
    operator_pushes(clone)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "data" / "linked").symlink_to(elsewhere)
    (tmp_path / "data" / "folder").mkdir()
    (tmp_path / "data" / "folder" / "mine").write_text("mine")
    assert await store.fetch_and_merge() == {}
    assert not list(elsewhere.iterdir())
    assert (tmp_path / "data" / "folder" / "mine").read_text() == "mine"
    assert (tmp_path / "data" / "fine.txt").read_text() == "theirs"
    await run_hour(store, clock, FIRST)
    await store.aclose()


async def test_what_the_work_tree_lost_comes_back(tmp_path, clock):
    """Files that were removed by hand are restored from the history at the start."""
    store = await opened(tmp_path, clock)
    await run_hour(store, clock, FIRST)
    await store.aclose()
    path = tmp_path / "data" / metrics_path(KEY, FIRST)
    kept = path.read_bytes()
    shutil.rmtree(path.parent)
    store = await opened(tmp_path, clock)
    assert store.state().restored == 1
    assert path.read_bytes() == kept
    await store.aclose()


async def test_files_without_intent_are_adopted(tmp_path, clock):
    """A lost state folder loses no hour: valid files without a commit are committed at the start."""
    store = await opened(tmp_path, clock)
    await store.write_snapshot(hour_snapshot(FIRST))
    store._close()
    shutil.rmtree(tmp_path / "data.state")
    (tmp_path / "data" / "metrics").mkdir()
    (tmp_path / "data" / "metrics" / "stray.yaml").write_text("x")
    store = await opened(tmp_path, clock)
    await store.aclose()
    assert git(tmp_path / "data", "log", "-1", "--format=%s") == "[adopt] 1 files that lay here uncommitted"
    assert git(tmp_path / "data", "status", "--porcelain") == "?? metrics/"


async def test_a_start_that_was_cut_short_is_begun_again(tmp_path, clock, bare):
    """A repository without a commit is made anew; an unreachable remote leaves nothing behind."""
    with pytest.raises(PushFailed, match=r"the first start needs the remote: .*nowhere\.git"):
        await opened(tmp_path, clock, tmp_path / "nowhere.git")  # trouble outside: worth another start
    assert not any((tmp_path / "data").iterdir())
    git(tmp_path / "data", "init", "-q", "-b", "main")
    store = await opened(tmp_path, clock, bare)
    await store.aclose()
    assert verify(tmp_path / "data").ok


async def test_a_read_only_store_reads_hours_that_were_never_judged(tmp_path, clock):
    """An unjudged hour is read as known when its data was whole; `as_of` uses everything."""
    store = await opened(tmp_path, clock)
    await run_hour(store, clock, FIRST)
    await store.write_snapshot(hour_snapshot(FIRST.plus(1), late=timedelta(hours=2)))
    await store.aclose()
    reading = ReadOnlyStore(tmp_path / "data", max_missing_minutes=3, timeframes=TIMEFRAMES)
    hours = [FIRST.plus(offset) for offset in range(3)]
    first, second, third = reading.read_inputs(KEY, hours)
    assert first.known_at == FIRST.closes_at + timedelta(seconds=6)
    assert second.known_at == FIRST.plus(1).closes_at + timedelta(hours=2)
    assert third.known_at == FIRST.plus(2).closes_at
    assert (second.has_bar, third.has_bar) == (True, False)
    assert [inputs.known_at for inputs in reading.read_inputs(KEY, hours, as_of=NOON)] == [NOON] * 3
    assert list(reading.read_inputs(KEY, [])) == []
    assert reading.inputs.judged_hours(KEY) == (FIRST,)


async def test_a_foreign_history_is_never_merged(tmp_path, clock, bare):
    """A remote without a commit in common is refused, and the hours go on."""
    store = await opened(tmp_path, clock, bare)
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "-q", "-b", "main")
    (other / "x").write_text("x")
    git(other, "add", "-A")
    git(other, "commit", "-q", "-m", "other")
    git(other, "push", "-q", str(bare), "main")
    with pytest.raises(PushFailed, match="no commit in common"):
        await store.push()
    assert "no commit in common" in store.state().last_push_error
    await run_hour(store, clock, FIRST)
    assert store.state().unpushed == 2
    await store.aclose()


async def test_a_rejecting_remote_loses_nothing(tmp_path, clock, bare):
    """A hook that says no is told in its words, without credentials; later everything is pushed."""
    hook = bare / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\necho policy forbids; exit 1\n")
    hook.chmod(0o755)
    store = await opened(tmp_path, clock, bare)
    await run_hour(store, clock, FIRST)
    with pytest.raises(PushFailed, match="policy forbids"):
        await store.push()
    hook.unlink()
    assert (await store.push()).pushed == 2
    assert store.state().last_push_error is None
    await store.aclose()


async def test_a_hanging_remote_is_killed_at_its_deadline(tmp_path, clock, bare):
    """A listener that never answers holds up neither an hour nor the stop."""
    await (await opened(tmp_path, clock)).aclose()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        url = f"git://127.0.0.1:{listener.getsockname()[1]}/x"
        store = await opened(tmp_path, clock, url)
        async with anyio.create_task_group() as group:
            failed = []

            async def push():
                try:
                    await store.push(timeout_s=1.0)
                except PushFailed as error:
                    failed.append(str(error))

            group.start_soon(push)
            await run_hour(store, clock, FIRST)
            assert not failed  # the hour did not wait for the push
        assert "127.0.0.1" in failed[0]
        await store.aclose()


async def test_a_dead_remote_is_told_without_credentials(tmp_path, clock):
    """No secret of a remote's address reaches a message."""
    await (await opened(tmp_path, clock)).aclose()
    store = await opened(tmp_path, clock, "http://me:s3cret@127.0.0.1:1/x.git")
    with pytest.raises(PushFailed):
        await store.fetch_and_merge()
    with pytest.raises(PushFailed) as caught:
        await store.push()
    assert "s3cret" not in str(caught.value)
    assert "127.0.0.1" in str(caught.value)
    await store.aclose()


@pytest.mark.parametrize("url", ["--upload-pack=x", "ext::sh -c x", "x", "ssh://a b", "http::x"])
def test_no_remote_becomes_an_option(url):
    """A remote is an address and nothing else."""
    with pytest.raises(ValueError, match="not a remote"):
        checked_remote(url)
    with pytest.raises(ValueError, match="letters, digits"):
        git_environment(Path("/a b"))
    assert "-i /k" in git_environment(Path("/k"), Path("/h"))["GIT_SSH_COMMAND"]


async def test_upkeep_packs_what_has_gathered(tmp_path, clock):
    """Maintenance leaves packs instead of loose objects, and the history as it was."""
    store = await opened(tmp_path, clock)
    for offset in range(3):
        await run_hour(store, clock, FIRST.plus(offset))
    await store.maintain()
    counts = await store.maintain()
    assert counts.packs >= 1
    assert counts.loose_objects == 0
    assert store.state().maintained_at == clock.now()
    await run_hour(store, clock, FIRST.plus(3))
    await store.aclose()
    assert verify(tmp_path / "data").ok
