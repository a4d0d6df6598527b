"""A month of three grids against strict servers, with outages, lost answers, an empty quota and deaths.

The operator's side of the daemon is real: what is told when (`daemon/telling.py`), what a start finds
(`daemon/workers.load_state`), who watches emergencies, the outbox, both channels, the files. The exit states
come from a seeded walk, and Git is left out: what was told is written by the store's own form of the file.
"""

from __future__ import annotations

import os
import random
from collections import deque
from datetime import datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace

import anyio
import pytest
from pydantic import SecretStr

from daemon import emergencies, telling, workers
from daemon.bell import Bells
from daemon.board import Board, MarketState
from daemon.emergencies import watch_emergencies
from daemon.metrics import Metrics
from daemon.progress import Progress
from daemon.telling import remind, tell
from daemon.told import ToldMemory
from decisions.actions import ActionTaken
from decisions.inputs import Before
from exits.states import ExitState
from grid.geometry import Spacing
from grid.parameters import GridKind, GridParameters
from grid.record import EventKind, new_record, with_event
from market import failpoints
from market.hours import Hour
from notifications.advice import AdviceFacts
from notifications.messages import HourFacts
from notifications.outbox import Outbox
from notifications.pushover import PushoverChannel
from notifications.receipts import Receipts
from notifications.settings import NotificationSettings, PushoverSettings, WebhookSettings
from notifications.webhook import WebhookChannel
from store.exit_files import notices_growth, told_notices
from tests.fakes import FakeClock
from tests.notifications.receivers import TOKEN, USER, PushoverServer, WebhookReceiver

MONTHS = int(os.environ.get("REGIMED_MONTHS", "1"))
SEED = int(os.environ.get("REGIMED_SEED", "1"))
KEY, GRIDS = "ETH-USDT", ("eth-1", "eth_1", "eth-2")
START = Hour.parse("2026-01-27T00")
CALM_H = 72  # afterwards: no faults, no deaths, nothing rises
HOOK_KEY = "hmac-key"
STATES = list(ExitState)
OUTAGES = ("500", "lost", "refuse connection", "slow", "down")
PLACES = (
    "notify.before_enqueue",
    "notify.before_rename",
    "notify.after_enqueue",
    "notify.before_send",
    "notify.after_send",
    "notify.after_told",
    "cycle.before_keep",
    "cycle.after_keep",
)


class Death(BaseException):
    """The process is gone, with all that it knew."""


class Walk:
    """What the hours make of the grids: up at any hour, one level down after three clean hours."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self.rises = True
        self.states = dict.fromkeys(GRIDS, ExitState.NORMAL)
        self.since = dict.fromkeys(GRIDS, START.plus(-1).iso())
        self.transitions: list[tuple[str, ExitState, str]] = []
        self._clean = dict.fromkeys(GRIDS, 0)
        self.records = {grid: self._new(grid) for grid in GRIDS}
        self.stopped_at: dict[str, datetime] = {}

    @staticmethod
    def _new(grid: str):
        parameters = GridParameters(
            version=1,
            lower=Decimal(2000),
            upper=Decimal(2200),
            levels=6,
            spacing=Spacing.GEOMETRIC,
            amount_per_grid=Decimal(100),
            stop_loss=Decimal(1800),
        )
        made = new_record(grid, KEY, GridKind.NORMAL, parameters, START.opens_at)
        return with_event(made, EventKind.ENABLED, START.opens_at, 1, by="test")

    def stop(self, grid: str, at: datetime) -> None:
        self.records[grid] = with_event(self.records[grid], EventKind.DISABLED, at, 1, by="test")
        self.stopped_at[grid] = at

    def step(self, hour: Hour) -> tuple[HourFacts, dict[str, dict[str, str]]]:
        """Let an hour close; returns what is advised, and the exit states as the record holds them."""
        for grid in GRIDS:
            stopped = self.stopped_at.get(grid)
            if stopped is None:
                self._move(grid, hour)
            elif self.rises and hour.opens_at - stopped > timedelta(hours=9):
                del self.stopped_at[grid]  # set up anew
                self.records[grid] = with_event(
                    self.records[grid], EventKind.ENABLED, hour.opens_at, 1, by="test"
                )
                self.states[grid], self.since[grid], self._clean[grid] = ExitState.NORMAL, hour.iso(), 0
        running = [grid for grid in GRIDS if grid not in self.stopped_at]
        exits = {
            grid: {"state": self.states[grid].value, "from": "NORMAL", "since": self.since[grid]}
            for grid in running
        }
        advice = tuple(self._facts(grid, hour) for grid in running)
        return HourFacts(KEY, hour, "judged", None, "RANGE_OK", 0.7, 2100.0, 2000.0, 2200.0, advice), exits

    def _move(self, grid: str, hour: Hour) -> None:
        state = self.states[grid]
        higher = STATES[state.rank + 1 :]
        if higher and self.rises and self._chance.random() < 0.06:
            self._enter(grid, self._chance.choice(higher), hour)
            return
        self._clean[grid] += 1
        if self._clean[grid] >= 3 and state is not ExitState.NORMAL and self._chance.random() < 0.5:
            self._enter(grid, state.calmer, hour)

    def _enter(self, grid: str, state: ExitState, hour: Hour) -> None:
        self.states[grid], self.since[grid], self._clean[grid] = state, hour.iso(), 0
        self.transitions.append((grid, state, hour.iso()))

    def _facts(self, grid: str, hour: Hour) -> AdviceFacts:
        state = self.states[grid]
        action = "STOP_GRID" if state is ExitState.MANDATORY_EXIT else "CONTINUE"
        return AdviceFacts(
            f"{hour}/{grid}",
            grid,
            action,
            f"{state} because of the walk",
            0.7,
            state.value,
            None,
            None,
            "",
            None,
            self.since[grid],
        )


class Records:
    """The history as far as telling asks it; it outlives deaths."""

    def __init__(self, root, walk: Walk) -> None:
        self.root, self._walk = root, walk
        self.hours: dict[Hour, tuple[HourFacts, dict[str, dict[str, str]]]] = {}
        self.deeds: list[tuple[str, ActionTaken]] = []
        self.ledger = SimpleNamespace(newest_judged=lambda _: max(self.hours, default=None))

    async def grids(self):
        return self._walk.records

    async def recent_advice(self, key, newest, since=None):
        return [
            SimpleNamespace(grid_id=grid, closes_at=Hour.parse(hour).closes_at, actions=(deed,))
            for name, deed in self.deeds
            for hour, grid in [name.split("/")]
        ]

    async def mend_hour(self, key, hour) -> None:
        """Nothing is damaged in this history."""

    async def record_notices(self, key, told) -> None:
        for path, data in notices_growth(key, told, self.root).items():
            (self.root / path).parent.mkdir(parents=True, exist_ok=True)
            (self.root / path).write_bytes(data)

    def advice(self, root, name):
        deeds = tuple(deed for decision, deed in self.deeds if decision == name)
        return SimpleNamespace(advice=SimpleNamespace(actions=deeds))

    async def answer(self, app, name, deed) -> None:
        self.deeds.append((name, ActionTaken(deed.at, deed.actor, deed.answer)))

    def recorded(self, app, key, hour):
        facts, exits = self.hours[hour]
        return facts, Before(hour, {}, exits), hour.closes_at

    def between(self, app, key, first, last):
        return [facts for hour, (facts, _) in sorted(self.hours.items()) if first <= hour < last]


class Logged(Outbox):
    """An outbox that also says to the test what became durable, in which order and when."""

    log: dict

    def enqueue(self, notice):
        try:
            return super().enqueue(notice)
        finally:
            if notice.dedupe not in self.log and self.knows(notice.dedupe):
                self.log[notice.dedupe] = (notice, self._clock.now())


class Weather:
    """What goes wrong on the way to one receiver, and when."""

    def __init__(self, chance: random.Random, clock: FakeClock, hours: int, *, quota: bool) -> None:
        self._chance, self._clock, self._spells = chance, clock, []
        self.faults = 0
        self.over = False
        at = START.closes_at
        while at < START.plus(hours).opens_at:
            at += timedelta(hours=chance.uniform(6, 60))
            kind = chance.choice(OUTAGES if quota else (*OUTAGES, "429"))
            longest = 1.0 if kind == "slow" else 9.0
            until = at + timedelta(hours=chance.uniform(0.2, longest))
            self._spells.append((at, until, kind))
            at = until
        if quota:  # used up 34 h before the month's end in US Central
            self._spells.insert(0, (START.plus(90).closes_at, START.plus(92).closes_at, "429"))

    @property
    def kind(self) -> str | None:
        if self.over:
            return None
        now = self._clock.now()
        return next((kind for at, until, kind in self._spells if at <= now < until), None)

    def fault(self, number: int = 0) -> str | None:
        kind = self.kind
        if kind in {None, "down"}:
            hit = not self.over and self._chance.random() < 0.02
            found = self._chance.choice(("500", "lost", "refuse connection")) if hit else None
        else:
            found = kind if kind == "429" or self._chance.random() < 0.85 else None
        self.faults += found is not None
        return found


class Month:
    """A house, its operator and the weather; `live` it, then look at what was put and shown."""

    def __init__(self, folder, seed: int, days: int, monkeypatch) -> None:
        self.folder, self.chance, self.days = folder, random.Random(seed), days
        self.clock = FakeClock(START.opens_at + timedelta(minutes=30))
        self.walk = Walk(random.Random(seed + 1000))
        self.records = Records(folder / "data", self.walk)
        self.walked = START.plus(-1)
        self.owed: deque = deque()
        self.log: dict = {}
        self.weather = {
            "pushover": Weather(random.Random(seed + 2000), self.clock, 24 * days, quota=True),
            "webhook.n8n": Weather(random.Random(seed + 3000), self.clock, 24 * days, quota=False),
        }
        self.phone = PushoverServer(self.clock, faults=self.weather["pushover"].fault)
        self.hook = WebhookReceiver(HOOK_KEY, self.weather["webhook.n8n"].fault)
        self.is_down = dict.fromkeys(self.weather, False)
        self.app, self.deaths, self.at_once, self.tapped = None, 0, 0, set()
        self.silent_checks = self.caught_up = 0
        self._sound_since = None
        monkeypatch.setattr(telling, "hour_facts", lambda evaluation: evaluation.facts)
        monkeypatch.setattr(workers, "recorded_facts", self.records.recorded)
        monkeypatch.setattr(workers, "facts_between", self.records.between)
        monkeypatch.setattr(emergencies, "read_advice", self.records.advice)
        monkeypatch.setattr(emergencies, "answer", self.records.answer)

    async def live(self) -> None:
        async with self.phone, self.hook:
            await self._until(START.plus(24 * self.days).opens_at)
            failpoints.disarm()
            self.walk.rises = False
            for weather in self.weather.values():
                weather.over = True
            await self._until(START.plus(24 * self.days + CALM_H).opens_at)
            self.sounding = len(self.phone.sounding)
            self.waiting = self.app.outbox.waiting
            await self._close()

    async def _until(self, end: datetime) -> None:
        while self.clock.now() < end:
            wait_s = 0.0
            try:
                wait_s = await self._tick()
            except BaseException as error:  # a death among tasks comes as a group
                if not _is_death(error):
                    raise
                await self._die()
            self._move_on(wait_s)

    def _move_on(self, wait_s: float) -> None:
        """To the next minute's work: a retry, the next hour, or a while later."""
        now = self.clock.now()
        next_hour = Hour.of(now - timedelta(seconds=5)).closes_at + timedelta(seconds=5)
        ahead = min(self.chance.uniform(120, 900), max(wait_s, 1.0), (next_hour - now).total_seconds())
        self.clock.advance(ahead)

    async def _die(self) -> None:
        failpoints.disarm()
        self.deaths += 1
        await self._close()
        hours_s = self.chance.uniform(3600, 8 * 3600)
        brief_s = self.chance.choice((10, 60, 600, hours_s))
        self.clock.advance(15 * 3600 if self.deaths % 3 == 1 else brief_s)

    async def _close(self) -> None:
        for channel in self.channels:
            await channel.aclose()
        self.app = None

    async def _start(self) -> None:
        clock = self.clock
        told = PushoverSettings(token_file="t", user_file="u", base_url=self.phone.url, deadline_s=5.0)
        hook = WebhookSettings(url_file="u", secret_file="s", deadline_s=5.0)
        state = self.folder / "state"
        self.channels = [
            PushoverChannel("pushover", SecretStr(TOKEN), SecretStr(USER), told, Receipts(state), clock),
            WebhookChannel("webhook.n8n", SecretStr(self.hook.hook), SecretStr(HOOK_KEY), hook),
        ]
        outbox = Logged(state / "outbox", self.channels, clock)
        outbox.log = self.log
        board = Board(started_at=clock.now())
        board.markets[KEY] = MarketState(KEY)
        self.app = SimpleNamespace(
            settings=SimpleNamespace(
                notifications=NotificationSettings(), markets=[SimpleNamespace(key=KEY)]
            ),
            clock=clock,
            store=self.records,
            outbox=outbox,
            board=board,
            metrics=Metrics(),
            progress=Progress(clock.monotonic, 180.0),
            bells=Bells([KEY], outbox.channels),
            told=ToldMemory(state / "told"),
        )
        await workers.load_state(self.app)

    async def _tick(self) -> float:
        """Do what the workers do at one instant; returns seconds until a channel is worth another try."""
        faults = {name: weather.faults for name, weather in self.weather.items()}
        await self._change_weather()
        if self.app is None:
            await self._start()
        outbox = self.app.outbox
        healthy = {
            name: weather.kind is None and outbox.waiting_for(name) == 0
            for name, weather in self.weather.items()
        }
        before = dict(self.walk.states)
        newest = await self._judge()
        await remind(self.app)
        await watch_emergencies(self.app, self.channels[0])
        waits = {}

        async def deliver(name):
            waits[name] = await outbox.deliver_to(name)

        async with anyio.create_task_group() as group:
            for name in outbox.channels:
                group.start_soon(deliver, name)
        self.phone.let_go()
        self.hook.let_go()
        await anyio.lowlevel.checkpoint()
        fine = {name: ok and self.weather[name].faults == faults[name] for name, ok in healthy.items()}
        if newest is not None:
            self._assert_escalations(before, newest, fine)
        self._assert_silence(fine["pushover"])
        self._operate()
        return min(waits.values())

    async def _judge(self) -> Hour | None:
        """Judge and tell what is owed; returns the newest hour where it was owed alone."""
        last = Hour.of(self.clock.now() - timedelta(seconds=5)).plus(-1)
        while self.walked < last:
            self.walked = self.walked.plus(1)
            self.owed.append((self.walked, self.walk.step(self.walked)))
            if self.chance.random() < 0.06:
                self._arm()
        alone = self.owed[0][0] if len(self.owed) == 1 else None
        self.caught_up += max(len(self.owed) - 1, 0)
        while self.owed:
            hour, (facts, exits) = self.owed.popleft()
            self.records.hours[hour] = facts, exits
            evaluation = SimpleNamespace(
                facts=facts,
                inputs=SimpleNamespace(key=KEY),
                outcome=facts.outcome,
                gates_value=dict,
                exits_value=lambda exits=exits: exits,
            )
            await tell(self.app, evaluation, recorded=True)
        return alone

    def _arm(self) -> None:
        left = self.chance.randint(1, 3)

        def die() -> None:
            nonlocal left
            left -= 1
            if left == 0:
                raise Death

        if self.walk.rises:
            failpoints.disarm()
            failpoints.arm(self.chance.choice(PLACES), die)

    async def _change_weather(self) -> None:
        for name, server in (("pushover", self.phone), ("webhook.n8n", self.hook)):
            weather = self.weather[name]
            down = weather.kind == "down"
            if down != self.is_down[name]:
                self.is_down[name] = down
                await (server.down() if down else server.up())
        self.phone.receipt_faults = deque(self.weather["pushover"].fault() for _ in range(4))
        if self.app is not None:
            for channel in self.channels:  # nobody waits five real seconds for what will not come
                channel._client._deadline_s = 0.05 if self.weather[channel.name].kind == "slow" else 5.0

    def _operate(self) -> None:
        """A tap on the phone, a grid stopped by hand."""
        for one in self.phone.sounding:
            if self.chance.random() < 0.03:
                self.phone.acknowledge(one.shown.receipt)
                self.tapped.add(one.shown.receipt)
        for grid, state in self.walk.states.items():
            often = 0.02 if self.walk.rises else 0.5
            is_loud = state is ExitState.MANDATORY_EXIT and grid not in self.walk.stopped_at
            if is_loud and self.chance.random() < often:
                self.walk.stop(grid, self.clock.now())

    def _assert_escalations(self, before, newest: Hour, fine) -> None:
        """What rose in the hour just judged is durable at this instant, and shown where the way is free."""
        for grid, state in self.walk.states.items():
            if state.rank <= before[grid].rank or grid in self.walk.stopped_at:
                continue
            notice, at = self.log[f"{grid}/{state}@{newest.iso()}/0"]
            assert at == self.clock.now()
            if fine["webhook.n8n"]:
                assert self.hook.shown and notice.dedupe in self.hook.keys
            if fine["pushover"]:
                assert _on_phone(notice) in {_as_shown(shown) for shown in self.phone.shown}
            self.at_once += sum(fine.values())

    def _assert_silence(self, fine: bool) -> None:
        """After looks over a free line nothing sounds for a grid that is stopped or no longer in danger."""
        now = self.clock.now()
        if not fine:
            self._sound_since = None
            return
        if self._sound_since is None:
            self._sound_since = now
        if now - self._sound_since < timedelta(minutes=20):
            return
        self.silent_checks += 1
        for one in self.phone.sounding:
            grid = one.shown.title.partition(":")[0]
            needless = grid in self.walk.stopped_at and now - self.walk.stopped_at[grid] > timedelta(
                minutes=20
            )
            assert not needless
            assert grid in self.walk.stopped_at or self.walk.states[grid] is ExitState.MANDATORY_EXIT


def _is_death(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return all(_is_death(each) for each in error.exceptions)
    return isinstance(error, Death)


def _on_phone(notice) -> tuple[str, int]:
    return notice.title, int(notice.at.timestamp())


def _as_shown(shown) -> tuple[str, int]:
    return shown.title, shown.timestamp


async def test_two_weeks_of_trouble(tmp_path, monkeypatch):
    """Half of the month below, with the days in which the quota is used up."""
    await assert_withstood(Month(tmp_path, SEED, 14, monkeypatch))


@pytest.mark.check
@pytest.mark.parametrize("seed", range(SEED + 1, SEED + 1 + MONTHS))
async def test_a_month_of_trouble(tmp_path, monkeypatch, seed):
    """Every transition told, none twice to who honours the key, in order, paced, escalations at once."""
    await assert_withstood(Month(tmp_path, seed, 30, monkeypatch))


async def assert_withstood(month: Month) -> None:
    try:
        await month.live()
    finally:
        failpoints.disarm()
    assert (month.waiting, month.sounding) == (0, 0)
    assert_what_a_month_has(month)
    assert_all_told(month)
    assert_in_order(month)
    assert_paced(month)
    assert month.phone.violations == []
    assert month.hook.forged == []


def assert_what_a_month_has(month: Month) -> None:
    """The month had what it is there for; else it proves nothing."""
    assert month.deaths >= month.days / 7
    assert month.at_once >= month.days / 2
    assert month.silent_checks >= month.days
    assert len(month.walk.transitions) >= 3 * month.days
    assert month.tapped
    assert len(month.phone.shown) > len(set(map(_as_shown, month.phone.shown)))  # lost answers
    assert month.hook.requests > len(month.hook.shown)
    assert month.caught_up >= 10


def assert_all_told(month: Month) -> None:
    """Each transition has its notice, or one that spoke for it; each notice arrived; each tap is recorded."""
    told = {
        (each.grid_id, each.state, each.since): each.key for each in told_notices(month.records.root, KEY)
    }
    missing = [each for each in month.walk.transitions if each not in told]
    assert missing == []
    assert set(told.values()) <= set(month.log)
    shown = [payload["id"] for payload in month.hook.shown]
    assert len(shown) == len(set(shown))
    assert set(shown) == set(month.log)
    assert {_as_shown(each) for each in month.phone.shown} == {
        _on_phone(notice) for notice, _ in month.log.values()
    }
    known = month.tapped & month.phone.answered
    tapped_at = (month.phone.emergencies[receipt].acknowledged_at for receipt in known)
    taps = {at.replace(microsecond=0) for at in tapped_at}  # the service tells seconds
    assert taps <= {deed.at for _, deed in month.records.deeds}
    assert {deed.actor for _, deed in month.records.deeds} == {"pushover:phone"}


def assert_in_order(month: Month) -> None:
    """Each receiver saw a grid's notices in the order in which they were put."""
    place = {key: number for number, key in enumerate(month.log)}
    by_phone: dict = {}
    for key, (notice, _) in month.log.items():
        by_phone.setdefault(_on_phone(notice), []).append(place[key])
    for grid in GRIDS:
        hooked = [place[each["id"]] for each in month.hook.shown if each["grid_id"] == grid]
        assert hooked == sorted(hooked)
        assert len(hooked) > month.days
        last = -1
        for each in month.phone.shown:
            if each.title.startswith(f"{grid}:"):  # no number left: it came after one that was put later
                last = min(number for number in by_phone[_as_shown(each)] if number >= last)


def assert_paced(month: Month) -> None:
    """Within a stay in one state notices keep their distance; only what is new may come sooner."""
    stays: dict = {}
    for key, (notice, at) in month.log.items():
        if notice.exit_state not in {None, ExitState.NORMAL.value}:
            stays.setdefault(key.rpartition("/")[0], []).append((notice, at))
    repeats = 0
    for told in stays.values():
        for number in range(1, len(told)):
            (_, then), (notice, at) = told[number - 1], told[number]
            hours = {
                "WARNING": min(4 * 2 ** (number - 1), 48),
                "LATEST_ACCEPTABLE_EXIT": 2,
                "MANDATORY_EXIT": 1,
            }[notice.exit_state]
            loudest = max(each.level.rank for each, _ in told[:number])
            is_new = "still" not in notice.title  # here are no quiet hours, so a reminder has no reason
            assert at - then >= timedelta(hours=hours) or (is_new and notice.level.rank > loudest)
            repeats += 1
    assert repeats > month.days / 2
