"""Hours around a setup that runs out, a stop, a gate pass and a reset, and what each death there leaves.

Whoever is killed leaves the disk as it is and nothing else. So one run that lives through all moments, and
copies its folder at each failpoint that it reaches, knows every death; the copies are then started again.
What the run looks like after each moment is what a restarted one must look like. A test compares the copies
with what a process leaves that is really killed at the same place: `be_killed`, with REGIMED_FAILPOINTS.
"""

from __future__ import annotations

import asyncio
import getpass
import hashlib
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from daemon.facts import hour_facts
from daemon.failures import arm_failpoints
from daemon.operator import answer, settle_timers
from daemon.telling import remind
from decisions.actions import Answer
from decisions.evaluate import evaluate
from decisions.inputs import Before
from decisions.recommendation import Action
from decisions.timers import PastAdvice, cooldown_of, due_timers
from grid.record import EventKind
from grid.state import state_at
from market import failpoints
from market.hours import last_closed_hour
from notifications.notice import Notice
from notifications.outbox import Outbox
from store.advice import Deed
from store.grids import encode_grid, grid_path
from store.inputs import ReadOnlyStore
from store.records import encode_metrics, metrics_file
from store.verify import verify
from tests.cycle.house import SETTLE, START, House, git, house
from tests.cycle.test_decisions import ANY_CONFIDENCE, ANY_VERDICT, GRID, LOOSE, grid_from

KEY = "ETH-USDT"
# Setups come at once, an exit is told again after a quarter of an hour, gates ask for little and start anew
# at a small breakout: what is tested is what a death does to them, not the rules.
RULES: dict[str, Any] = {
    **LOOSE,
    **ANY_VERDICT,
    "probation": ANY_CONFIDENCE,
    "advice": {
        "setup_expires_min": 30,
        "louder_in_range_min": 15,
        "louder_in_transition_min": 15,
        "louder_in_trend_min": 15,
    },
    "notifications": {"pacing": {"mandatory_h": 0.25}},
    "gates": {
        "breakout_atr": 0.3,
        "transition_bars": 48,
        "energy_decay": {
            "maximum_adx": 100,
            "maximum_adx_rise": 50,
            "maximum_efficiency_ratio": 1,
            "maximum_slope": 10,
        },
        "mean_reversion": {"maximum_half_life": 1000, "maximum_autocorrelation": None},
        "tradable_volatility": {
            "minimum_atr_ratio": 0,
            "maximum_atr_ratio": 10,
            "maximum_expansion": 10,
            "minimum_turnover": 0,
        },
    },
}


@dataclass(frozen=True, slots=True)
class Moment:
    """An instant at which the daemon does what is due, after what the operator does, if anything.

    Attributes:
        hour: The newest closed hour, counted from the first.
        after: Since that hour closed.
        watched: Deaths here are looked at.
    """

    name: str
    hour: int
    after: timedelta = SETTLE
    deed: Callable[[House], Awaitable[None]] | None = None
    watched: bool = True


async def _sets_up_a_grid(there: House) -> None:
    """An operator who pushes his own grid from his laptop, far below the price, and answers no advice."""
    laptop = there.folder / "laptop"
    shutil.rmtree(laptop, ignore_errors=True)
    git(there.folder, "clone", "-q", str(there.folder / "remote.git"), str(laptop))
    path = laptop / grid_path(GRID)
    if path.exists():
        return
    path.parent.mkdir()
    path.write_bytes(encode_grid(grid_from(2000, 2200, last_closed_hour(there.clock.now()).plus(1))))
    git(laptop, "add", ".")
    git(laptop, "-c", "user.name=o", "-c", "user.email=o@o", "commit", "-q", "-m", "my own grid")
    git(laptop, "push", "-q")


async def _accepts_the_stop(there: House) -> None:
    """An operator who asks whether his answer arrived, and gives it again only where it did not."""
    (stop,) = [advice for advice in await _advice(there) if advice.action is Action.STOP_GRID][-1:]
    if stop.answer is None:
        at = there.clock.now()
        await answer(there.app, stop.id, Deed(Answer.ACCEPT, at, getpass.getuser()))


MINUTE = timedelta(minutes=1)
MOMENTS = (
    Moment("first hour", 0, watched=False),
    Moment("setup expires", 0, 31 * MINUTE),
    Moment("own grid pushed", 0, 40 * MINUTE, _sets_up_a_grid),
    Moment("stop advised", 1),
    Moment("stop told again", 1, 16 * MINUTE),
    Moment("stop accepted", 1, 20 * MINUTE, _accepts_the_stop),
    Moment("gates opened", 2),
    *(Moment(f"hour {index}", index, watched=False) for index in (3, 4, 5, 6, 7)),
    Moment("gate passed", 8),
    Moment("gates reset", 9),
    Moment("afterwards", 10, watched=False),
)


class FilePhone:
    """A channel whose line a death does not take back: what was delivered stays delivered."""

    name = "log"  # in its place

    def __init__(self, folder: Path) -> None:
        self._path = folder / "phone.txt"

    async def send(self, notice: Notice) -> None:
        with self._path.open("a") as file:
            file.write(f"{notice.dedupe}\n")

    async def aclose(self) -> None:
        pass


def delivered(folder: Path) -> list[str]:
    """Return what each notice that the phone took is about, oldest first."""
    path = folder / "phone.txt"
    return path.read_text().splitlines() if path.exists() else []


@contextmanager
def rung(there: House) -> Iterator[None]:
    """Let the notices of a house ring in a file beside it."""
    there.app.outbox = Outbox(there.folder / "data.state" / "outbox", [FilePhone(there.folder)], there.clock)
    yield


async def live(there: House, moment: Moment) -> None:
    """Do what the daemon's workers do at a moment, in one order."""
    there.clock.set(START.plus(moment.hour).closes_at + moment.after)
    if moment.deed is not None:
        await moment.deed(there)
    await there.attend()
    await remind(there.app)
    await settle_timers(there.app)
    await there.app.outbox.deliver()
    await there.app.store.fetch_and_merge()
    await there.app.store.push()
    await there.app.store.flush()
    await there.app.store.refresh_index()
    assert there.state().trouble is None


@dataclass(frozen=True)
class Looks:
    """All that is seen of a house: its records, its board, its timers, what was told.

    Attributes:
        tree: Git's name of all files and bytes.
        timers: What is due within a day, and when.
        rest: Until when a setup has to wait.
        told: What the outbox knows as told, and how much waits.
    """

    tree: str
    newest: str
    facts: object
    told_last: object
    outcome: str | None
    grids: Before | None
    known_at: datetime | None
    owed: int
    running: bool
    timers: list[tuple[str, datetime, str]]
    rest: datetime | None
    told: list[str]
    waiting: int


async def looks(there: House) -> Looks:
    """Return what is seen of a house between two moments."""
    app, state, now = there.app, there.state(), there.clock.now()
    past = await _advice(there)
    record = (await app.store.grids()).get(GRID)
    grid = None if record is None else state_at(record, now)
    stopped_at = None if grid is None else grid.stopped_at
    due = due_timers(past, now + timedelta(days=1), app.settings.advice)
    told = there.folder / "data.state" / "outbox" / "told.jsonl"
    return Looks(
        tree=git(there.folder / "data", "rev-parse", "main^{tree}"),
        newest=str(state.newest),
        facts=state.facts,
        told_last=(state.told, app.told.recall(KEY)),
        outcome=state.outcome,
        grids=state.grids,
        known_at=state.known_at,
        owed=state.owed,
        running=grid is not None and grid.running,
        timers=[(each.advice.id, each.at, each.what) for each in due],
        rest=cooldown_of(GRID, now, stopped_at, past, app.settings.advice).until,
        told=told.read_text().splitlines() if told.exists() else [],
        waiting=app.outbox.waiting,
    )


async def _advice(there: House) -> list[PastAdvice]:
    return list(await there.app.store.recent_advice(KEY, last_closed_hour(there.clock.now())))


@dataclass(frozen=True)
class Death:
    """A copy of the folder at a failpoint; `places` are those that leave the same behind.

    Attributes:
        place: The first of them, `name@n`: the n-th time that `name` is reached in this moment.
    """

    moment: int
    places: tuple[str, ...]
    folder: Path
    digest: str

    @property
    def place(self) -> str:
        return self.places[0]

    @property
    def names(self) -> frozenset[str]:
        return frozenset(place.partition("@")[0] for place in self.places)


@dataclass
class Twin:
    """The run that never died.

    Attributes:
        looks: After each moment.
        before: A copy of the folder before each watched moment.
        phone: What was delivered by the end of each moment.
    """

    looks: list[Looks] = field(default_factory=list)
    before: dict[int, Path] = field(default_factory=dict)
    deaths: list[Death] = field(default_factory=list)
    phone: list[list[str]] = field(default_factory=list)


async def live_through(folder: Path, copies: Path) -> Twin:
    """Live through all moments; each failpoint reached in a watched one leaves a copy."""
    twin = Twin()
    async with house(folder, **RULES) as there:
        with rung(there):
            for number, moment in enumerate(MOMENTS):
                if moment.watched:
                    twin.before[number] = copied(folder, copies / f"{number}-before")
                    with _copying(folder, copies, number) as found:
                        await live(there, moment)
                    twin.deaths += found
                else:
                    await live(there, moment)
                assert_as_recorded(there)
                twin.looks.append(await looks(there))
                twin.phone.append(delivered(folder))
    return twin


@contextmanager
def _copying(folder: Path, copies: Path, moment: int) -> Iterator[list[Death]]:
    """Copy the folder at each failpoint; places that leave the same disk share one copy."""
    reached: dict[str, int] = {}
    places: dict[str, list[str]] = {}
    deaths: list[Death] = []
    digest, stamps = "", None

    def reach(name: str) -> None:
        nonlocal digest, stamps
        reached[name] = reached.get(name, 0) + 1
        if (now := _stamps(folder)) != stamps:
            digest, stamps = left_behind(folder), now
        if digest not in places:
            copied(folder, copies / f"{moment}-{len(places)}")
        places.setdefault(digest, []).append(f"{name}@{reached[name]}")

    for name in failpoints.NAMES:
        failpoints.arm(name, lambda name=name: reach(name))
    try:
        yield deaths
    finally:
        failpoints.disarm()
        deaths += [
            Death(moment, tuple(there), copies / f"{moment}-{index}", digest)
            for index, (digest, there) in enumerate(places.items())
        ]


def copied(folder: Path, to: Path) -> Path:
    """Copy what a start finds; what is written once may be the same file."""

    def copy(source: str, target: str) -> None:
        if any(part in source for part in ("/objects/", "/data/candles/", "/data/snapshots/")):
            os.link(source, target)
        else:
            shutil.copy2(source, target)

    shutil.copytree(folder, to, copy_function=copy)
    return to


def _stamps(folder: Path) -> list[tuple[str, int, int, int]]:
    """Return what changes when any file of a folder does; quicker than its bytes."""
    found = []
    for path in folder.rglob("*"):
        stat = path.lstat()
        found.append((str(path), stat.st_ino, stat.st_size, stat.st_mtime_ns))
    return found


# They speak of a process, a path, a port, inode numbers, the time of a push by the machine's clock.
_OF_THE_PLACE = {"regimed.lock", "config", "FETCH_HEAD", "config.yaml", "index", "logs"}


def left_behind(folder: Path) -> str:
    """Return a digest of all files of a folder that do not speak of the folder itself."""
    found = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not _OF_THE_PLACE & set(path.relative_to(folder).parts):
            data = path.read_bytes()
            found.update(f"{path.relative_to(folder)} {len(data)}\n".encode())
            found.update(data)
    return found.hexdigest()


async def die(folder: Path, number: int, copies: Path) -> list[Death]:
    """Start before a moment and live it; each failpoint reached on the way leaves a copy."""
    async with started_before(folder, number) as there:
        with _copying(folder, copies, number) as found:
            await live(there, MOMENTS[number])
    return found


def be_killed(folder: Path, number: int) -> None:
    """Start before a moment and live it, with what REGIMED_FAILPOINTS asks for; never returns to a test."""

    async def live_it() -> None:
        async with started_before(folder, number) as there:
            arm_failpoints()
            await live(there, MOMENTS[number])

    asyncio.run(live_it())


@asynccontextmanager
async def started_before(folder: Path, number: int) -> AsyncIterator[House]:
    """Start at the instant of a moment."""
    moment = MOMENTS[number]
    async with house(folder, start=START.plus(moment.hour), at=moment.after, **RULES) as there:
        with rung(there):
            yield there


async def start_again(folder: Path, death: Death, twin: Twin) -> None:
    """Start on what a death left, live the moment again and one more; it must look as if nobody had died."""
    async with started_before(folder, death.moment) as there:
        await assert_one_deed(there)
        assert_as_recorded(there)
        for number in (death.moment, death.moment + 1):
            await live(there, MOMENTS[number])
            assert await looks(there) == twin.looks[number]
            assert_told(delivered(folder), twin.phone[number], death)
    assert_whole(folder)


def assert_as_recorded(there: House) -> None:
    """The board shows what the newest hour gives when it is computed anew, from the files alone."""
    app, state = there.app, there.state()
    files = ReadOnlyStore(
        there.folder / "data",
        max_missing_minutes=app.settings.collection.max_missing_minutes,
        timeframes=app.spans,
    )
    (inputs,) = files.read_inputs(KEY, [state.newest])
    evaluation = evaluate(inputs, app.policy)
    assert encode_metrics(metrics_file(evaluation)) == there.record_bytes(state.newest)
    assert state.facts == hour_facts(evaluation)
    assert state.grids == Before(state.newest, evaluation.gates_value(), evaluation.exits_value())


async def assert_one_deed(there: House) -> None:
    """The answer and what it does to the grid are both there, or neither is."""
    record = (await there.app.store.grids()).get(GRID)
    stops = [] if record is None else [e.reason for e in record.history if e.event is EventKind.DISABLED]
    past = await _advice(there)
    accepted = [a.id for a in past if a.action is Action.STOP_GRID and a.answer is not None]
    assert set(accepted) == set(stops) & {advice.id for advice in past}


def assert_told(phone: list[str], expected: list[str], death: Death) -> None:
    """Each notice once and in order; the one on its way may come again where a death cut its receipt off."""
    once = list(dict.fromkeys(phone))
    assert once == expected
    assert len(phone) - len(once) <= ("notify.after_send" in death.names)


def assert_whole(folder: Path) -> None:
    """Nothing half done is left: verify and fsck content, work tree clean, no intents, all pushed."""
    report = verify(folder / "data")
    assert report.ok, report.findings
    assert git(folder / "data", "status", "--porcelain") == ""
    assert git(folder / "data", "rev-parse", "main") == git(folder / "remote.git", "rev-parse", "main")
    assert not list((folder / "data.state" / "intents").iterdir())
    assert not list((folder / "data" / ".git" / "regimed").iterdir())
    assert not list(folder.rglob("*.tmp"))
