"""The store as the daemon sees it: write an hour, read it back as a replay will, record, commit, push."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import ParamSpec, Self, TypeVar

import anyio
import anyio.to_thread
import git

from decisions.evaluate import Evaluation
from decisions.inputs import Before, HourInputs
from decisions.timers import PastAdvice
from grid.record import GridRecord
from market.errors import CommitFailed, DataInvalid, HistoryRefused, PushFailed, RepositoryUnusable
from market.failpoints import reach
from market.hours import Hour, Timeframe, instant_iso, instant_of_ts
from market.ports import Clock
from market.snapshot import MarketSnapshot
from market.window import MarketWindow
from store import disk
from store.change_set import MAX_FILES, ChangeSet, check_content
from store.control import socket_path
from store.decision_files import (
    DecisionFile,
    decision_file,
    decision_of,
    decision_path,
    decode_action,
    decode_decision,
    encode,
    is_action,
    restamped_action,
)
from store.desk_files import DeskFile, DeskRecord, newest_desk
from store.exit_files import ToldNotice, exit_states_growth, exit_states_path, notices_growth
from store.git import GitCommands, GitFailed, child_processes, git_environment, shown_remote
from store.grids import GridShelf, judge_of
from store.inputs import InputReader
from store.intents import Intents
from store.ledger import Ledger, snapshots_of_hour
from store.lock import RepositoryLock
from store.merge import MergePlan
from store.paths import (
    OWNED,
    Kind,
    SnapshotName,
    classify,
    config_path,
    metrics_path,
    parse_candles,
    parse_desk,
    parse_metrics,
    parse_shadow,
    parse_snapshot,
    parse_trades,
)
from store.quarantine import quarantine_change_set
from store.reader import Fault, SnapshotReader
from store.records import MetricsFile, encode_metrics, metrics_file
from store.regime_rows import EVERYTHING
from store.remote import Counts, Remote, end_remote_calls, is_diverged, remote_problem
from store.repository import Identity, Repository, is_blank
from store.seal import digest_of_bytes, restamped, same_content
from store.settings import StoreSettings
from store.shadow_files import ShadowRecord, ShadowShelf
from store.snapshots import decode_snapshot, encode_snapshot
from store.state import Observer, Progress, PushOutcome, Recorded, StoreState
from store.trade_files import trades_growth
from store.writer import Writer
from trading.trades import TradeRecord

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")
_PUSH_TRIES = 3


class Store:
    """One data repository, open for writing. Open it with `Store.open`, close it with `aclose`.

    Git and files are written in one thread, read in another, and the remote is spoken to in a third;
    the loop never waits for a disk.
    """

    def __init__(
        self,
        settings: StoreSettings,
        clock: Clock,
        *,
        max_missing_minutes: int,
        timeframes: Mapping[Timeframe, int],
        observer: Observer | None = None,
        markets: Sequence[str] | None = None,
    ) -> None:
        self._settings, self._clock = settings, clock
        self._observer, self._accepts = observer or Observer(), judge_of(markets)
        self.root = settings.base_path.resolve()
        self.state_folder = settings.state_folder.resolve()
        self.socket = socket_path(self.state_folder)
        self.ledger = Ledger(self.root)
        self._reader = SnapshotReader(
            self.root, max_missing_minutes=max_missing_minutes, cache_bytes=settings.cache_bytes
        )
        self._inputs = InputReader(self.root, self._reader, timeframes)
        self._shadows = ShadowShelf(self.root)
        self._shelf = GridShelf(self.root, markets, self._committed_bytes)
        self._timeframes = dict(timeframes)
        self._environment = git_environment(settings.ssh_key_file, settings.known_hosts_file)
        self._held: dict[tuple[str, Hour], list[int]] = {}
        self._commit_names: dict[int, str] = {}
        self._wanted: set[int] = set()
        self._doubtful: list[ChangeSet] = []
        self._progress = Progress()
        self._opened: Repository | None = None
        self._lock: RepositoryLock | None = None
        self._writer_thread = anyio.CapacityLimiter(1)
        self._reader_thread = anyio.CapacityLimiter(1)
        self._remote_thread = anyio.CapacityLimiter(1)
        self._turn = anyio.Lock()
        self._growing: defaultdict[str, anyio.Lock] = defaultdict(anyio.Lock)  # one at a time reads and grows
        self._reading = anyio.Lock()
        self._queue = anyio.Semaphore(settings.queue_bound)

    @classmethod
    async def open(
        cls,
        settings: StoreSettings,
        clock: Clock,
        *,
        max_missing_minutes: int,
        timeframes: Mapping[Timeframe, int],
        create: bool = False,
        observer: Observer | None = None,
        markets: Sequence[str] | None = None,
    ) -> Self:
        """Open the repository for writing: lock, check, stale locks, recovery. Safe to cancel.

        Args:
            settings: Where it lies and what bounds it.
            clock: Times of commits, deadlines.
            max_missing_minutes: An hour with more minutes missing gives no bars.
            timeframes: Days of each timeframe that the engine asks for.
            create: Make a new repository where there is none (a clone where the remote has one).
            observer: Hooks for metrics and logs.
            markets: Configured keys: a grid of another market is refused. None takes any.

        Raises:
            RepositoryUnusable: What was found there, and what to do.
            RepositoryLocked: Another process writes it.
        """
        store = cls(
            settings,
            clock,
            max_missing_minutes=max_missing_minutes,
            timeframes=timeframes,
            observer=observer,
            markets=markets,
        )
        try:
            await store._in_writer(store._open, create)
        except GitFailed as error:
            with anyio.CancelScope(shield=True):
                await store._in_writer(store._close)
            raise RepositoryUnusable(f"{store.root}: {error}") from None
        except BaseException:
            with anyio.CancelScope(shield=True):
                await store._in_writer(store._close)
            raise
        return store

    # -- an hour

    async def write_snapshot(self, snapshot: MarketSnapshot) -> str:
        """Make an hour's snapshot durable and return its path; its judgement, or `flush`, commits it.

        A complete hour is `HH.json`, an incomplete one the next `HH.partial-n.json`; what tells nothing
        new is not written again.

        Raises:
            DataInvalid: The snapshot breaks a rule.
            HistoryRefused: The hour is complete already, with other content.
            CommitFailed: The disk refused.
        """
        data = encode_snapshot(snapshot)
        try:
            path, number = await self._in_writer(self._hand_over_snapshot, snapshot, data)
        except DataInvalid as error:  # a file of this hour is corrupt: it makes room for this one
            if not await self._quarantine(Fault(error.where, str(error))):
                raise
            path, number = await self._in_writer(self._hand_over_snapshot, snapshot, data)
        if number is not None:
            self._held.setdefault((snapshot.key, snapshot.hour), []).append(number)
        await self._in_reader(self._reader.notice, path)
        return path

    async def hour_inputs(
        self, key: str, hour: Hour, known_at: datetime, revised: Iterable[str] = ()
    ) -> HourInputs:
        """Return what an hour may know, read back from the files through the cache.

        Corrupt files on the way are quarantined and left out.
        """
        read = partial(self._inputs.hour_inputs, key, hour, known_at, tuple(revised))
        async with self._reading:
            inputs = await self._in_reader(read)
        if await self._quarantine_faults():
            async with self._reading:
                inputs = await self._in_reader(read)
        return inputs

    async def window_now(self, key: str, hour: Hour) -> MarketWindow:
        """Return the window of an hour with everything known now, for what is derived and never recorded."""
        async with self._reading:
            read = partial(self._reader.load_window, key, hour, self._timeframes, EVERYTHING)
            return await self._in_reader(read)

    async def shadow_before(self, key: str, hour: Hour, config_hash: str) -> Before | None:
        """Return what a shadow configuration's own record of the hours before says of the grids.

        Raises:
            DataInvalid: A corrupt record that could neither be restored nor be moved away.
        """
        while True:
            try:
                return await self._in_reader(self._shadows.before, key, hour, config_hash)
            except DataInvalid as error:
                if not await self._quarantine(Fault(error.where, str(error))):
                    raise

    async def commit(self, evaluation: Evaluation, shadow: ShadowRecord | None = None) -> Recorded:
        """Record a judgement: metrics file, advice and waiting snapshot in one commit.

        Args:
            evaluation: The judgement in force.
            shadow: The shadow's, recorded beside it. Where the hour has one already, that one stays.

        Raises:
            CommitFailed: Not in the history (yet); what is durable is committed by a later call.
            HistoryRefused: The hour was judged already, with another result.
        """
        async with self._growing[evaluation.inputs.key]:
            return await self._commit(evaluation, shadow)

    async def _commit(self, evaluation: Evaluation, shadow: ShadowRecord | None) -> Recorded:
        inputs = evaluation.inputs
        path = metrics_path(inputs.key, inputs.hour)
        found = evaluation.analysis
        verdict = (
            evaluation.outcome if found is None else f"{found.verdict.value} {found.confidence.value:.2f}"
        )
        files, advice = await self._in_reader(_written, evaluation, self.root)
        if not await self._sound({exit_states_path(inputs.key, inputs.hour)} & files.keys()):
            files, advice = await self._in_reader(_written, evaluation, self.root)
        beside = {} if shadow is None else {shadow.path: shadow.data}
        change_set = ChangeSet(
            files=beside | files,
            message=f"[hour] {inputs.key} {inputs.hour}: {verdict}",
            trailers={
                "Config-Hash": evaluation.config_hash,
                "Engine-Version": str(evaluation.engine_version),
            },
        )
        held = self._held.get((inputs.key, inputs.hour), [])
        try:
            recorded = await self._recorded(change_set, path, joins=tuple(held))
        except HistoryRefused as refused:
            if refused.path not in beside:
                raise
            without = replace(change_set, files=files)
            recorded, shadow = await self._recorded(without, path, joins=tuple(held)), None
        if shadow is not None:
            await self._in_reader(self._shadows.remember, shadow.file)
        self._held.pop((inputs.key, inputs.hour), None)
        before = Before(inputs.hour, evaluation.gates_value(), evaluation.exits_value())
        digests = [(file, digest_of_bytes(files[decision_path(file.id)])) for file in advice]
        await self._in_reader(self._inputs.remember, inputs.key, before, digests)
        return recorded

    async def record_notices(self, key: str, told: Sequence[ToldNotice]) -> Recorded | None:
        """Record what the operator was told of a market's exit states; None where it is recorded already.

        Args:
            key: Market.
            told: At least one.

        Raises:
            CommitFailed: Not in the history (yet).
            HistoryRefused: The files there are not what they were.
        """
        async with self._growing[key]:
            files = await self._in_reader(notices_growth, key, told, self.root)
            if not await self._sound(files):
                files = await self._in_reader(notices_growth, key, told, self.root)
            if not files:
                return None
            states = ", ".join(dict.fromkeys(f"{notice.grid_id} {notice.state}" for notice in told))
            change_set = ChangeSet(files, f"[notice] {key}: {states}"[:500])
            return await self._recorded(change_set, next(iter(files)))

    async def judgement(self, key: str, hour: Hour) -> MetricsFile | None:
        """Return the recorded judgement of an hour, None where there is none; a damaged one is restored.

        Raises:
            DataInvalid: A corrupt record that could neither be restored nor be moved away.
        """
        while True:
            try:
                return await self._in_reader(self._inputs.record, key, hour)
            except DataInvalid as error:
                if not await self._quarantine(Fault(error.where, str(error))):
                    raise

    async def mend_hour(self, key: str, hour: Hour) -> None:
        """Restore a recorded hour and its advice where they are not what the history holds, or damaged.

        A start shows and tells by them, and the next hour names their digest: a flipped bit that leaves a
        valid record would be named for ever.
        """
        await self._as_committed(metrics_path(key, hour))
        for day in (hour.plus(-24), hour):  # so far back a telling is looked for
            await self._as_committed(exit_states_path(key, day))
        try:
            record = await self.judgement(key, hour)
        except DataInvalid:
            return  # neither restored nor moved: whoever reads it says so
        for path in map(decision_path, () if record is None else record.decisions):
            await self._as_committed(path)
            data = await self._in_reader(disk.read, self.root / path)
            try:
                decode_decision(data or b"", path)
            except DataInvalid as error:
                if data is not None:
                    await self._quarantine(Fault(path, str(error)))

    async def _as_committed(self, path: str) -> bool:
        """Restore a file where it is not what the history holds; says whether it was restored."""
        try:
            if not await self._in_writer(self._writer.restored, path):
                return False
        except (OSError, GitFailed) as error:
            self._progress.last_commit_error = f"comparison of {path} with the history: {error}"
            return False
        self._observer.restored(path, f"{path}: not the bytes that the history holds")
        return True

    async def _sound(self, grown: Iterable[str]) -> bool:
        """Say whether the files that are to grow are what the history holds; the others are restored.

        A flipped bit in what is there already would be committed with what is added.
        """
        return not any([await self._as_committed(path) for path in grown if (self.root / path).exists()])

    async def newest_desk(self) -> DeskFile | None:
        """Return the desk's newest record, None before its first hour; a damaged one is restored.

        Raises:
            DataInvalid: A corrupt record that could neither be restored nor be moved away.
        """
        while True:
            try:
                return await self._in_reader(newest_desk, self.root)
            except DataInvalid as error:
                if not await self._quarantine(Fault(error.where, str(error))):
                    raise

    async def commit_desk(self, record: DeskRecord, closed: Sequence[TradeRecord], did: str) -> Recorded:
        """Record an hour of the desk and the trades that ended in it in one commit.

        Args:
            record: The hour.
            closed: Trades that ended.
            did: What was done, in a few words.

        Raises:
            DataInvalid: The trade log is damaged, and the history holds no better one.
            HistoryRefused: The hour is there already, with other content.
            CommitFailed: Not in the history (yet); what is durable is committed by a later call.
        """
        async with self._growing["desk"]:
            try:
                trades = await self._in_reader(trades_growth, self.root, closed)
            except DataInvalid as error:
                if not await self._quarantine(Fault(error.where, str(error))):
                    raise
                trades = await self._in_reader(trades_growth, self.root, closed)
            change_set = ChangeSet(
                {**trades, record.path: record.data},
                f"[desk] {record.file.of_hour}: {did}",
                {"Config-Hash": record.file.config_hash},
            )
            return await self._recorded(change_set, record.path)

    async def recent_advice(self, key: str, until: Hour, since: Hour | None = None) -> Sequence[PastAdvice]:
        """Return the advice of the last hours up to `until` with what was done about it, oldest first.

        With `since`, that of the last hours before it too, and of all between.
        """
        return await self._in_reader(self._inputs.recent_advice, key, until, since)

    async def grids(self) -> Mapping[str, GridRecord]:
        """Return every grid in force by its id; a file that breaks is refused, its last valid form stays."""
        return await self._in_reader(self._shelf.records)

    @property
    def grid_faults(self) -> Mapping[str, str]:
        """Grid files that are not in force as they lie there, and why."""
        return dict(self._shelf.faults)

    async def settle(self) -> None:
        """Finish or undo what a failed write began, and see what is there now.

        Raises:
            CommitFailed: The disk or Git does not answer; try again.
        """
        await self._in_writer(self._writer.settle)
        doubtful, self._doubtful = self._doubtful, []
        for change_set in doubtful:
            await self._in_reader(self._notice, change_set)

    async def flush(self) -> int:
        """Commit each snapshot that waits for a judgement on its own; returns how many went in."""
        await self._in_writer(self._release)
        self._held.clear()
        async with self._turn:
            return len(await self._in_writer(self._commit_waiting))

    # -- anything else

    async def write(self, change_set: ChangeSet) -> Recorded:
        """Check a change-set as the daemon checks its own, and commit it.

        Raises:
            DataInvalid, HistoryRefused, CommitFailed: See `market.errors`.
        """
        await self._in_reader(check_content, change_set)
        if not any(map(_is_stamped, change_set.files)):
            return await self._recorded(change_set, next(iter(change_set.files)))
        # No window is read between the stamp and the rename: what a judgement saw follows from stamps.
        async with self._reading:
            return await self._recorded(await self._stamped(change_set), next(iter(change_set.files)))

    async def _stamped(self, change_set: ChangeSet) -> ChangeSet:
        """Return the change-set with its data stamped now, later than any judgement so far.

        It was fetched a while ago; an hour judged meanwhile did not see it, and a replay must not either.
        """
        keys = {_market_of(path, data) for path, data in change_set.files.items() if _is_stamped(path)}
        instant = self._clock.now()
        for key in keys:
            newest = await anyio.to_thread.run_sync(self.ledger.newest_judged, key)
            judged = None if newest is None else self._inputs.judged(key, newest)
            if judged is not None:
                instant = max(instant, judged.known_at + timedelta(microseconds=1))
        return await anyio.to_thread.run_sync(self._restamped, change_set, instant)

    def _restamped(self, change_set: ChangeSet, instant: datetime) -> ChangeSet:
        files = {}
        for path, data in change_set.files.items():
            files[path] = data
            if is_action(path):
                files[path] = restamped_action(data, path, instant)
            elif _is_stamped(path):
                there = disk.read(self.root / path)
                known = there is not None and same_content(there, data)
                files[path] = there if known and there is not None else restamped(data, instant)
        return replace(change_set, files=files)

    async def write_candles(self, files: Mapping[str, bytes], message: str) -> Recorded:
        """Commit candle files (or a batch of snapshots from backfill) together."""
        return await self.write(ChangeSet(files, message))

    async def write_config(self, config_hash: str, yaml_bytes: bytes) -> Recorded:
        """Commit the configuration in force under its hash; nothing happens when it is there."""
        path = config_path(config_hash)
        return await self.write(ChangeSet({path: yaml_bytes}, f"[config] {config_hash}"))

    async def window(self, key: str, hour: Hour, known_at: datetime) -> MarketWindow:
        """Return the bars up to `hour` as known at an instant."""
        async with self._reading:
            return await self._in_reader(self._reader.load_window, key, hour, self._timeframes, known_at)

    async def load_snapshot(self, key: str, hour: Hour) -> MarketSnapshot:
        """Return the best snapshot of an hour; errors as `SnapshotReader.load_snapshot`."""
        return await self._in_reader(self._reader.load_snapshot, key, hour)

    # -- the outside

    async def push(self, timeout_s: float | None = None) -> PushOutcome:
        """Push what is committed; on divergence fetch, merge, and push again. Never rebases, never forces.

        Raises:
            PushFailed: The remote is down, hangs, rejects, or has nothing in common with us.
        """
        deadline_s = timeout_s or self._settings.push_timeout_s
        started, merged, before = self._clock.monotonic(), False, len(self._progress.unpushed)
        if self._settings.remote is None:
            return PushOutcome(0, merged, {})
        refused: dict[str, str] = {}
        try:
            for attempt in range(_PUSH_TRIES):
                try:
                    await self._in_remote(self._push, deadline_s)
                    break
                except GitFailed as error:
                    if not is_diverged(error) or attempt == _PUSH_TRIES - 1:
                        raise PushFailed(remote_problem(self._settings.remote, error)) from None
                    refused |= await self.fetch_and_merge(deadline_s)
                    merged = True
        except (PushFailed, HistoryRefused, CommitFailed) as error:
            self._progress.last_push_error = str(error)
            raise PushFailed(str(error)) from None
        self._progress.last_push_error = None
        left = len(self._progress.unpushed)
        self._observer.pushed(before - left, self._clock.monotonic() - started)
        return PushOutcome(max(0, before - left), merged, refused)

    async def fetch_and_merge(self, timeout_s: float | None = None) -> dict[str, str]:
        """Take over what an operator pushed and return what was refused, by path with the reason.

        Raises:
            PushFailed: The remote cannot be reached.
            HistoryRefused: It has no history in common with us.
            CommitFailed: Git or the disk failed here.
        """
        if self._settings.remote is None:
            return {}
        try:
            theirs = await self._in_remote(self._fetch, timeout_s or self._settings.push_timeout_s)
        except GitFailed as error:
            raise PushFailed(remote_problem(self._settings.remote, error)) from None
        if theirs is None:
            return {}
        async with self._turn:
            plan = await self._in_writer(self._merge, theirs)
        if plan is None:
            return {}
        self._progress.refused = dict(plan.refused)
        return dict(plan.refused)

    def end_remote_calls(self) -> int:
        """End what speaks to the remote right now; its caller gets `PushFailed`. For a stop in time."""
        return end_remote_calls(self.root)

    # -- upkeep

    async def refresh_index(self) -> None:
        """Make `git status` honest; call it between cycles.

        Raises:
            CommitFailed: Git failed.
        """
        reach("index.before_refresh")
        await self._in_writer(self._refresh_index)
        reach("index.after_refresh")

    async def maintain(self) -> Counts:
        """Pack the repository; call it daily, between cycles.

        Raises:
            CommitFailed: Git failed.
        """
        self._progress.counts = await self._in_remote(self._maintain)
        self._progress.maintained_at = self._clock.now()
        return self._progress.counts

    def state(self) -> StoreState:
        """Return how the store does."""
        p = self._progress
        return StoreState(
            queue_depth=p.waiting,
            uncommitted=len(self._writer.waiting),
            unpushed=len(p.unpushed),
            oldest_unpushed=instant_of_ts(p.unpushed[0]) if p.unpushed else None,
            commits=p.commits,
            last_push_error=p.last_push_error,
            refused_from_outside=dict(p.refused),
            quarantined=tuple(p.quarantined),
            last_commit_error=p.last_write_error or p.last_commit_error,
            cache=self._reader.counts,
            counts=p.counts,
            maintained_at=p.maintained_at,
            children=child_processes(),
            recovery=p.recovery,
            restored=p.restored,
            stale_locks=p.stale_locks,
        )

    async def aclose(self, deadline_s: float = 20.0) -> None:
        """Commit what waits, refresh the index (both only until the deadline) and let the lock go."""
        try:
            self._repository.git.limit_s = deadline_s
            with anyio.move_on_after(deadline_s):
                try:
                    await self.flush()
                    await self.refresh_index()
                except CommitFailed as error:
                    self._progress.last_commit_error = str(error)
        finally:
            with anyio.CancelScope(shield=True):
                await self._in_writer(self._close)

    # -- the writer's thread

    @property
    def _repository(self) -> Repository:
        assert self._opened is not None, "the store is closed"
        return self._opened

    def _open(self, create: bool) -> None:  # noqa: FBT001
        s = self._settings
        identity = Identity(s.author_name, s.author_email)
        if create and is_blank(self.root):
            if s.remote is not None:
                self._observer.cloning(shown_remote(s.remote), s.clone_timeout_s)
            Repository.create(
                self.root,
                self._clock.now(),
                s.branch,
                identity,
                self._environment,
                s.remote,
                s.clone_timeout_s,
            ).close()
        repository = self._opened = Repository.open(self.root, s.branch, identity, self._environment)
        self.state_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = RepositoryLock(self.root, self.socket)
        self._progress.stale_locks = tuple(repository.remove_stale_locks(self._clock))
        repository.configure(s.remote)
        intents = Intents(self.state_folder / "intents", self.root / ".git" / "regimed")
        self._writer = Writer(repository, intents)
        self._remote = Remote(GitCommands(git.Git(self.root), self._environment), s.branch)
        self._progress.recovery = self._writer.recover()
        for name, reason in self._progress.recovery.unreadable.items():
            self._observer.set_aside(f"intents/{name}", reason)
        self._progress.unpushed = deque(self._remote.unpushed() if s.remote else [])
        self._commit_waiting()
        repository.refresh_index()
        self._progress.restored = repository.restore_deleted()
        if self._adopt(repository.untracked([folder for folder in OWNED if folder != "grids"])):
            self._commit_waiting()
            repository.refresh_index()
        self._progress.counts = self._remote.counts()

    def _adopt(self, paths: list[str]) -> bool:
        """Hand over valid files that lie there without a commit or an intent: the state folder was lost."""
        files = {}
        for path in paths[:MAX_FILES]:
            data = (self.root / path).read_bytes()
            try:
                check_content(ChangeSet({path: data}, "[adopt]"))
            except DataInvalid:
                continue  # `verify` names it
            files[path] = data
        if files:
            what = f"[adopt] {len(files)} files that lay here uncommitted"
            self._handed_over(ChangeSet(files, what))
        return bool(files)

    def _close(self) -> None:
        if self._opened is not None:
            self._opened.close()
        if self._lock is not None:
            self._lock.release()
        self._opened = self._lock = None

    def _hand_over_snapshot(self, snapshot: MarketSnapshot, data: bytes) -> tuple[str, int | None]:
        name, is_new = self._snapshot_name(snapshot)
        if not is_new:
            return name.path, None
        what = "complete" if snapshot.is_complete else f"{len(snapshot.missing)} minutes missing"
        change_set = ChangeSet({name.path: data}, f"[snapshot] {snapshot.key} {snapshot.hour}: {what}")
        return name.path, self._handed_over(change_set, held=True)

    def _snapshot_name(self, snapshot: MarketSnapshot) -> tuple[SnapshotName, bool]:
        """Return the file's name, and whether it tells anything that is not there yet."""
        names = snapshots_of_hour(self.root, snapshot.key, snapshot.hour)
        whole = SnapshotName(snapshot.key, snapshot.hour, None)
        if snapshot.is_complete:
            return whole, not (whole in names and self._same_content(snapshot, whole))
        if whole in names:
            return whole, False
        for name in names:
            if self._same_content(snapshot, name):
                return name, False
        last = max((name.partial or 0 for name in names), default=0)
        return SnapshotName(snapshot.key, snapshot.hour, last + 1), True

    def _same_content(self, snapshot: MarketSnapshot, name: SnapshotName) -> bool:
        """Return whether the file tells the same hour, whenever it was collected."""
        told = decode_snapshot((self.root / name.path).read_bytes(), name.path, name)
        return told.digest() == snapshot.digest()

    def _release(self) -> None:
        self._writer.release()

    def _commit_waiting(self) -> dict[int, str]:
        started = self._clock.monotonic()
        try:
            names = self._writer.commit_waiting()
        except CommitFailed as error:
            self._progress.last_commit_error = str(error)
            raise
        made = {name for name in names.values() if name}
        self._progress.last_commit_error = None
        if made:
            self._progress.last_write_error = None
            self._progress.commits += len(made)
            if self._settings.remote is not None:
                self._progress.unpushed.extend([int(self._clock.now().timestamp())] * len(made))
            self._observer.committed(len(made), self._clock.monotonic() - started)
        return names

    def _merge(self, theirs: str) -> MergePlan | None:
        names = self._commit_waiting()
        self._commit_names |= {n: name for n, name in names.items() if n in self._wanted}
        plan = self._writer.merge(theirs, self._accepts, self._clock.now())
        if plan is not None:
            self._progress.commits += 1
            self._progress.unpushed.append(int(self._clock.now().timestamp()))
        return plan

    def _refresh_index(self) -> None:
        try:
            self._repository.refresh_index()
        except GitFailed as error:
            raise CommitFailed(str(error)) from None

    async def _recorded(self, change_set: ChangeSet, path: str, joins: tuple[int, ...] = ()) -> Recorded:
        self._progress.waiting += 1
        number: int | None = None
        try:
            async with self._queue:
                try:
                    number = await self._in_writer(self._hand_over, change_set, joins)
                except CommitFailed:
                    self._doubtful.append(change_set)
                    raise
                await self._in_reader(self._notice, change_set)
                async with self._turn:
                    if number not in self._commit_names:
                        names = await self._in_writer(self._commit_waiting)
                        self._commit_names |= {n: name for n, name in names.items() if n in self._wanted}
                name = "" if number is None else self._commit_names.get(number, "")
                if refused := self._writer.refused.pop(-1 if number is None else number, None):
                    raise refused
                return Recorded(name or await self._in_writer(self._commit_of, path), path)
        finally:
            self._progress.waiting -= 1
            if number is not None:
                self._wanted.discard(number)
                self._commit_names.pop(number, None)

    def _hand_over(self, change_set: ChangeSet, joins: tuple[int, ...]) -> int | None:
        number = self._handed_over(change_set, joins=joins)
        if number is None:
            self._writer.release()  # what is there already may still wait for its commit
        else:
            self._wanted.add(number)
        return number

    def _handed_over(
        self, change_set: ChangeSet, *, held: bool = False, joins: tuple[int, ...] = ()
    ) -> int | None:
        """Hand over, and remember a disk that refuses until it takes something again."""
        try:
            number = self._writer.hand_over(change_set, self._clock.now(), held=held, joins=joins)
        except CommitFailed as error:
            self._progress.last_write_error = str(error)
            raise
        if number is not None:
            self._progress.last_write_error = None
        return number

    def _committed_bytes(self, path: str) -> bytes | None:
        """Return the newest committed bytes of a path, None where there are none."""
        try:
            blob = self._repository.blobs([path]).get(path)
            return None if blob is None else self._repository.bytes_of(blob)
        except GitFailed:
            return None

    def _commit_of(self, path: str) -> str:
        try:
            return self._repository.commit_of(path)
        except GitFailed as error:
            raise CommitFailed(str(error)) from None

    # -- the reader's thread

    def _notice(self, change_set: ChangeSet) -> None:
        for path in change_set.removes:
            self._reader.forget(path)
        for path in (*change_set.files, *change_set.removes):
            if judged := parse_metrics(path):
                self._inputs.notice(*judged)
            elif path in change_set.files and (self.root / path).is_file():
                self._reader.notice(path)

    async def _quarantine_faults(self) -> int:
        """Move the corrupt files met by the reader to quarantine; returns how many went."""
        moved = 0
        for fault in await self._in_reader(self._inputs.take_faults):
            moved += await self._quarantine(fault)
        return moved

    async def _quarantine(self, fault: Fault) -> bool:
        at = instant_iso(self._clock.now())
        try:
            judged = parse_metrics(fault.path)
            said = (decision_of, parse_shadow, parse_desk, parse_trades)
            is_record = judged is not None or any(parse(fault.path) for parse in said)
            if is_record and await self._in_writer(self._writer.restored, fault.path):
                # An hour is judged and advised once: what the history holds is what was said.
                if judged is not None:
                    await self._in_reader(self._inputs.notice, *judged)
                self._observer.restored(fault.path, fault.reason)
                return True
            if classify(fault.path) is not Kind.WRITE_ONCE:
                return False  # what grows is kept, damaged or not: nothing could take its place
            change_set = await self._in_writer(quarantine_change_set, self.root, fault, at)
            if change_set is None:
                return False
            await self._recorded(change_set, fault.path)
        except (OSError, GitFailed, CommitFailed, HistoryRefused) as error:
            self._progress.last_commit_error = f"quarantine of {fault.path}: {error}"
            return False
        self._progress.quarantined.append(f"{fault.path}: {fault.reason}")
        self._observer.quarantined(fault.path, fault.reason)
        return True

    # -- the remote's thread

    def _fetch(self, timeout_s: float) -> str | None:
        reach("fetch.before")
        theirs = self._remote.fetch(timeout_s)
        reach("fetch.after")
        return theirs

    def _push(self, timeout_s: float) -> None:
        reach("push.before")
        self._remote.push(timeout_s)
        reach("push.after")
        self._count_unpushed()

    def _count_unpushed(self) -> None:
        while True:
            commits = self._progress.commits
            times = self._remote.unpushed()
            if commits == self._progress.commits:  # else one came in between: look again
                self._progress.unpushed = deque(times)
                return

    def _maintain(self) -> Counts:
        try:
            self._remote.maintain()
            return self._remote.counts()
        except GitFailed as error:
            raise CommitFailed(str(error)) from None

    # -- threads

    async def _in_writer(
        self, work: Callable[_Arguments, _Result], *args: _Arguments.args, **kwargs: _Arguments.kwargs
    ) -> _Result:
        return await anyio.to_thread.run_sync(partial(work, *args, **kwargs), limiter=self._writer_thread)

    async def _in_reader(
        self, work: Callable[_Arguments, _Result], *args: _Arguments.args, **kwargs: _Arguments.kwargs
    ) -> _Result:
        return await anyio.to_thread.run_sync(partial(work, *args, **kwargs), limiter=self._reader_thread)

    async def _in_remote(
        self, work: Callable[_Arguments, _Result], *args: _Arguments.args, **kwargs: _Arguments.kwargs
    ) -> _Result:
        return await anyio.to_thread.run_sync(partial(work, *args, **kwargs), limiter=self._remote_thread)


def _is_stamped(path: str) -> bool:
    """Say whether what a judgement sees of a file depends on when it landed."""
    return bool(parse_snapshot(path) or parse_candles(path) or is_action(path))


def _market_of(path: str, data: bytes) -> str:
    name = parse_snapshot(path) or parse_candles(path)
    return decode_action(data, path).market if name is None else name.key


def _written(evaluation: Evaluation, root: Path) -> tuple[dict[str, bytes], list[DecisionFile]]:
    """Return the files of a judgement and its recommendations; not on the loop, YAML takes milliseconds."""
    inputs = evaluation.inputs
    advice = [decision_file(evaluation, each) for each in evaluation.advice]
    files = {decision_path(file.id): encode(file) for file in advice}
    files |= exit_states_growth(evaluation, root)
    files[metrics_path(inputs.key, inputs.hour)] = encode_metrics(metrics_file(evaluation))
    return files, advice
