"""The paper desk in the whole application: an hour of all markets, each once, the same bytes always."""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import shutil
import signal
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest

import daemon.desk
from daemon.desk import run_desk_hours, trade_forever
from daemon.failures import VARIABLE, arm_failpoints
from daemon.health import health
from daemon.paper_desk import PaperDesk
from daemon.workers import attend
from market import failpoints
from market.errors import DataInvalid
from market.hours import Hour, hours_between
from market.orders import CASH_SCALE
from store.desk_files import DeskFile, desk_hours, read_desk
from store.paths import desk_path, metrics_path
from store.trade_files import trades_of
from tests.cycle.forks import forked, forked_regimed
from tests.cycle.house import START, House, assert_sound, git, house, write_config
from tests.cycle.processes import clock_from, clock_standing_at, started
from tests.cycle.test_decisions import ANY_CONFIDENCE, ANY_VERDICT, LOOSE
from tests.cycle.test_trouble import full
from tests.daemon.calls import called
from trading.market_hour import MarketHour

SIGNALS = ["mean_reversion", "momentum", "price_move", "regime", "grid"]
NAMES = ("TREND_UP", "TREND_DOWN", "RANGE", "CHOPPY", "NEUTRAL")
# Every signal in every regime, in markets of any size: the hours are what is tested, not the rules.
PAPER: dict[str, Any] = {
    "mode": "paper",
    "trading": {
        "policy": {"regimes": {name: {"signals": [*SIGNALS], "sizing": 1.0} for name in NAMES}},
        "universe": {"min_turnover_24h": {"major": 0, "liquid": 0, "thin": 0}, "max_spread_bps": 1000},
        "risk": {"min_edge_multiple": 0.0},
    },
}
TWO = {"markets": 2, **PAPER}
LADDERS = {**TWO, **LOOSE, **ANY_VERDICT, "probation": ANY_CONFIDENCE}  # a setup in almost every hour
LADDER_HOURS = 11  # two ladders begin, one of them ends
HOURS = 14  # a trade begins, pauses its market and ends; another is open over the restart


async def desk(there: House) -> bool:
    """Do what the desk's worker does when its bell rings."""
    assert there.app.paper is not None
    return await run_desk_hours(there.app, there.app.paper)


async def hours(there: House, first: int, count: int) -> None:
    """Let hours close one by one, each in all markets and then at the desk."""
    for index in range(first, first + count):
        await there.hour(START.plus(index))
        assert await desk(there)


async def only(there: House, key: str) -> None:
    """Let one market attend to what it owes."""
    (market,) = (market for market in there.app.settings.markets if market.key == key)
    await attend(there.app, market)


def done(folder: Path) -> list[Hour]:
    """Return the hours of the desk, oldest first."""
    return sorted(desk_hours(folder / "data"))


def record(folder: Path, index: int) -> DeskFile:
    file = read_desk(folder / "data", START.plus(index))
    assert file is not None
    return file


def said(folder: Path) -> dict[str, bytes]:
    """Return all that the desk ever wrote."""
    data = folder / "data"
    files = [*sorted(data.glob("desk/*/*.json")), *sorted(data.glob("trades/*.jsonl"))]
    return {path.relative_to(data).as_posix(): path.read_bytes() for path in files}


@pytest.fixture(autouse=True)
def _disarmed():
    yield
    failpoints.disarm()


@pytest.fixture(scope="module")
def owing(tmp_path_factory) -> Path:
    """A house whose markets are judged for some hours, and whose desk has done the first alone."""
    folder = tmp_path_factory.mktemp("owing") / "house"
    folder.mkdir()

    async def live() -> None:
        async with house(folder, **TWO) as there:
            await hours(there, 0, 1)
            await there.hours(START.plus(1), HOURS - 1)
            await there.app.store.flush()

    asyncio.run(live())
    return folder


@pytest.fixture(scope="module")
def through(owing, tmp_path_factory) -> Path:
    """The same house after its desk ran through what it owed."""
    folder = copied(owing, tmp_path_factory.mktemp("through") / "house")
    asyncio.run(catch_up(folder))
    return folder


def copied(folder: Path, to: Path) -> Path:
    shutil.copytree(folder, to)
    return to


async def catch_up(folder: Path) -> None:
    """Start at the newest hour and let the desk run what it owes."""
    async with house(folder, start=START.plus(HOURS - 1), **TWO) as there:
        arm_failpoints()
        assert await desk(there)
        await there.app.store.flush()


def caught_up(folder: str) -> None:
    asyncio.run(catch_up(Path(folder)))


async def test_each_hour_of_all_markets_is_one_record_and_one_commit(tmp_path):
    """It names what each judgement saw, goes on from the hour before, and its trades are in its commit."""
    async with house(tmp_path, **TWO) as there:
        await hours(there, 0, HOURS)
        assert not await there.app.store.flush()
        config_hash = there.app.settings.config_hash()
        registry = there.app.metrics.registry
    counted: dict[str, float] = {}
    for family in registry.collect():
        for sample in family.samples:
            counted[sample.name] = counted.get(sample.name, 0.0) + sample.value
    refused = [note for index in range(HOURS) for note in record(tmp_path, index).hour_report["triggers"]]
    assert counted["regimed_desk_refusals_total"] == sum(not note["accepted"] for note in refused) > 0
    assert counted["regimed_desk_trades_total"] == len(list(trades_of(tmp_path / "data")))
    assert counted["regimed_desk_hour_seconds_count"] == HOURS
    assert_sound(tmp_path)
    assert done(tmp_path) == hours_between(START, START.plus(HOURS))
    for index in range(HOURS):
        file = record(tmp_path, index)
        assert file.after == (START.plus(index - 1).iso() if index else None)
        assert (file.config_hash, file.absent) == (config_hash, {})
        for key, seen in file.markets.items():
            inputs = there.metrics(START.plus(index), key)["inputs"]
            assert (seen.known_at, seen.window_digest) == (inputs["known_at"], inputs["window_digest"])
        assert sorted(file.markets) == ["BTC-USDT", "ETH-USDT"]
    trades = list(trades_of(tmp_path / "data"))
    assert trades
    for trade in trades:
        ended = Hour.parse(trade.exit_at[:13])
        changed = git(tmp_path / "data", "log", "--format=%s", "--", desk_path(ended)).splitlines()
        assert len(changed) == 1
        assert changed[0].startswith(f"[desk] {ended}: ")
        assert changed[0].endswith("1 trade")
    placed = [note for index in range(HOURS) for note in record(tmp_path, index).hour_report["orders"]]
    assert "placed" in {note["what"] for note in placed}


def test_the_account_adds_up_over_all_hours(through):
    """Cash is what it began with, what closed trades brought and what open ones took, to the last unit."""
    file = record(through, HOURS - 1)
    books = file.state["ledger"]
    closed = sum(trade.net for trade in trades_of(through / "data"))
    flows = [position["flows"] for position in books["positions"]]
    open_ = sum(flow["cash_in"] - flow["cash_out"] - flow["fees"] for flow in flows)
    assert books["cash"] == 10_000 * CASH_SCALE + closed + open_
    assert closed != 0


async def test_hours_one_by_one_and_all_at_once_are_the_same_bytes(tmp_path, through):
    """When the desk runs an hour changes nothing: it reads what the judgements saw."""
    folder = tmp_path / "house"
    folder.mkdir()
    async with house(folder, **TWO) as there:
        await hours(there, 0, HOURS)
    assert said(folder) == said(through)


async def test_a_restart_changes_no_byte(tmp_path, owing, through):
    """After every single hour: books, plans, pacing, breakers and orders go on from the file."""
    folder = copied(owing, tmp_path / "house")
    async with house(folder, start=START.plus(HOURS - 1), **TWO) as there:
        paper = there.app.paper
        assert paper is not None
        run_hour = daemon.desk._run_hour

        async def run_and_forget(app, paper, due):
            await run_hour(app, paper, due)
            file = await app.store.newest_desk()
            paper.go_on(file)

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(daemon.desk, "_run_hour", run_and_forget)
            assert await desk(there)
    assert said(folder) == said(through)


@pytest.mark.parametrize(
    "place",
    [
        "desk.before_commit@1",
        "desk.before_commit@6",
        "desk.after_commit@1",
        "desk.after_commit@7",
        "writer.between_renames@1",
        "writer.before_commit@6",
        *(
            pytest.param(place, marks=pytest.mark.check)
            for place in (
                "writer.before_intent@4",
                "writer.after_intent@5",
                "writer.before_rename@6",
                "writer.after_rename@6",
                "writer.after_commit@6",
            )
        ),
    ],
)
def test_kill_9_anywhere_in_an_hour_loses_and_doubles_nothing(tmp_path, owing, through, place):
    """The hour that died is run again where it was not durable, and the bytes are those of a quiet life."""
    folder = copied(owing, tmp_path / "house")
    name, _, nth = place.partition("@")
    with forked(caught_up, str(folder), **{VARIABLE: f"{name}=kill@{nth}"}) as dying:
        assert dying.process.wait(120) == -signal.SIGKILL
    left = len(done(folder))
    assert left < HOURS
    asyncio.run(catch_up(folder))
    assert said(folder) == said(through)
    assert_sound(folder)
    assert not list((folder / "data.state" / "intents").glob("*.json"))
    subjects = git(folder / "data", "log", "--format=%s").splitlines()
    desk_subjects = [subject for subject in subjects if subject.startswith("[desk]")]
    assert len(desk_subjects) == len(set(desk_subjects)) == HOURS


@pytest.mark.parametrize("place", ["writer.before_intent", "writer.before_rename", "writer.before_commit"])
async def test_a_full_disk_keeps_the_hour_owed(tmp_path, owing, through, place):
    """It is told, the desk in memory is dropped, and once there is room the bytes are the same."""
    folder = copied(owing, tmp_path / "house")
    async with house(folder, start=START.plus(HOURS - 1), **TWO) as there:
        failpoints.arm(place, full)
        assert not await desk(there)
        condition = there.app.board.desk
        assert "No space left" in str(condition.trouble)
        page = health(there.app)["checks"]["desk"]
        assert page["status"] == "warn"
        assert "it stays owed" in page["output"]
        failpoints.disarm()
        assert await desk(there)
        assert condition.trouble is None
    assert said(folder) == said(through)
    assert_sound(folder)


async def test_an_hour_that_raises_touches_no_cycle_and_is_run_again(tmp_path, monkeypatch):
    """The judgement, its commit and its notice were out before; the desk goes on from its file."""
    async with house(tmp_path, **TWO) as there:
        await hours(there, 0, 2)

        async def raises(desk, hour, markets):
            desk._ended = None  # half moved
            raise ZeroDivisionError("a fault of the desk")

        with monkeypatch.context() as patched:
            patched.setattr("trading.desk.Desk.run_hour", raises)
            await there.hour(START.plus(2))
            with pytest.raises(ZeroDivisionError):
                await desk(there)
        assert health(there.app)["checks"]["desk"]["status"] == "warn"
        assert there.app.board.desk.trouble == "ZeroDivisionError: a fault of the desk"
        assert len(there.judged()) == 3
        assert there.state().trouble is None
        await hours(there, 3, 1)
    assert done(tmp_path) == hours_between(START, START.plus(4))
    assert_sound(tmp_path)


async def test_ladders_go_on_from_any_hours_record(tmp_path):
    """Cells, orders and the grid's exit memory: each hour from the file before it gives the same bytes."""
    async with house(tmp_path, **LADDERS) as there:
        await hours(there, 0, LADDER_HOURS)
        again = PaperDesk(there.app.paper.policy, there.app.settings.trading)
        for index in range(1, LADDER_HOURS):
            hour, markets, seen = START.plus(index), {}, {}
            for market in there.app.settings.desk_markets():
                inputs, seen[market.key] = await daemon.desk._read_back(there.app, market.key, hour)
                markets[market.key] = MarketHour(inputs, market.symbol)
            again.go_on(record(tmp_path, index - 1))
            made, _ = again.run(hour, markets, seen, {})
            assert made.data == (tmp_path / "data" / desk_path(hour)).read_bytes()
    open_ladders = {
        trade for index in range(LADDER_HOURS) for trade in record(tmp_path, index).hour_report["open_trades"]
    }
    assert {trade.rpartition("-")[2] for trade in open_ladders} == {"grid"}
    assert [trade.cycles for trade in trades_of(tmp_path / "data")] != []
    assert_sound(tmp_path)


async def test_a_late_market_is_waited_for_and_takes_part(tmp_path):
    """Within the patience nothing is lost; the desk runs the hour once the market has it."""
    async with house(tmp_path, **TWO) as there:
        await hours(there, 0, 1)
        there.clock.run(1.0)
        there.clock.set(START.plus(1).closes_at + timedelta(seconds=5))
        await only(there, "BTC-USDT")
        assert await desk(there)
        assert done(tmp_path) == [START]
        assert health(there.app)["checks"]["desk"]["waiting_for"] == ["ETH-USDT"]
        there.clock.set(START.plus(1).closes_at + timedelta(minutes=38))
        assert await desk(there)
        assert done(tmp_path) == [START]
        await only(there, "ETH-USDT")
        assert await desk(there)
    assert sorted(record(tmp_path, 1).markets) == ["BTC-USDT", "ETH-USDT"]


async def test_a_market_that_stays_away_is_absent_and_comes_back(tmp_path):
    """The others trade on after the patience; hours that it owes later are not run again."""
    async with house(tmp_path, **TWO) as there:
        await hours(there, 0, 1)
        there.clock.run(1.0)
        for index in (1, 2):
            there.clock.set(START.plus(index).closes_at + timedelta(seconds=5))
            await only(there, "BTC-USDT")
            assert await desk(there)
        # the first hour's patience is over, the second's has just begun
        there.clock.set(START.plus(2).closes_at + timedelta(seconds=30))
        assert await desk(there)
        assert done(tmp_path) == [START, START.plus(1)]
        assert record(tmp_path, 1).absent == {"ETH-USDT": "not judged 2400 s after another market"}
        assert list(record(tmp_path, 1).markets) == ["BTC-USDT"]
        await only(there, "ETH-USDT")
        assert await desk(there)
        assert done(tmp_path) == [START, START.plus(1), START.plus(2)]
        assert record(tmp_path, 2).absent == {}
        counted = there.app.metrics.registry.get_sample_value
        assert counted("regimed_desk_absent_hours_total", {"market": "ETH-USDT"}) == 1
    assert_sound(tmp_path)


async def test_a_clock_that_stands_still_waits_for_all(tmp_path):
    """In a rehearsal that sets its own time nobody is given up."""
    async with house(tmp_path, **TWO) as there:
        await hours(there, 0, 1)
        there.clock.set(START.plus(1).closes_at + timedelta(days=3))
        await only(there, "BTC-USDT")
        assert await desk(there)
        there.clock.set(START.plus(1).closes_at + timedelta(days=4))
        assert await desk(there)
        assert done(tmp_path) == [START]
        await there.attend()
        assert await desk(there)
        assert len(done(tmp_path)) > 72
        assert all(read_desk(tmp_path / "data", hour).absent == {} for hour in done(tmp_path)[:73])


async def test_paper_begins_with_the_newest_hour_that_all_markets_have(tmp_path):
    """Hours that were advised on before are history, not trades; before there is such an hour, it waits."""
    async with house(tmp_path, markets=2) as there:
        await there.hours(START, 2)
        await only(there, "BTC-USDT")
    async with house(tmp_path, start=START.plus(2), **TWO) as there:
        await only(there, "BTC-USDT")
        assert await desk(there)
        assert done(tmp_path) == [START.plus(1)]
        await there.attend()
        assert await desk(there)
    assert done(tmp_path) == [START.plus(1), START.plus(2)]
    assert record(tmp_path, 1).after is None
    assert_sound(tmp_path)


async def test_the_first_hour_waits_for_every_market(tmp_path):
    """There is nothing yet from which anybody could be absent."""
    async with house(tmp_path, **TWO) as there:
        assert await desk(there)
        there.clock.run(1.0)
        await only(there, "BTC-USDT")
        there.clock.set(START.closes_at + timedelta(minutes=50))
        assert await desk(there)
        assert done(tmp_path) == []
        page = health(there.app)["checks"]["desk"]
        assert (page["waiting_for"], page["nav"]) == (["BTC-USDT", "ETH-USDT"], None)
        there.clock.set(START.closes_at + timedelta(hours=3))
        assert "its first hour is owed" in health(there.app)["checks"]["desk"]["output"]


async def test_a_market_that_joins_later_holds_up_no_hour_before_its_first(tmp_path):
    """It is absent with the hour from which it is judged, and takes part from there."""
    async with house(tmp_path, markets=1, **PAPER) as there:
        await hours(there, 0, 1)
        await there.hours(START.plus(1), 2)
    async with house(tmp_path, start=START.plus(3), **TWO) as there:
        there.clock.run(1.0)
        await there.attend()
        assert await desk(there)
    assert done(tmp_path) == hours_between(START, START.plus(4))
    for index in (1, 2):
        assert record(tmp_path, index).absent == {"BTC-USDT": f"judged from {START.plus(3)} on"}
    assert record(tmp_path, 3).absent == {}
    assert record(tmp_path, 3).config_hash != record(tmp_path, 0).config_hash
    assert_sound(tmp_path)


async def test_a_pause_of_paper_is_made_up_for(tmp_path):
    """Turned off and on again, the desk works the hours between: what was open had stops to meet in them."""
    async with house(tmp_path, **TWO) as there:
        await hours(there, 0, 2)
    async with house(tmp_path, start=START.plus(2), markets=2) as there:
        await there.hours(START.plus(2), 2)
    async with house(tmp_path, start=START.plus(4), **TWO) as there:
        await hours(there, 4, 1)
    assert done(tmp_path) == hours_between(START, START.plus(5))
    assert_sound(tmp_path)


async def test_a_market_whose_rules_cannot_be_used_stops_no_other(tmp_path, monkeypatch):
    """It is absent with the reason, and the hour goes on without it."""
    terms = MarketHour.terms

    def refused(market):
        if market.inputs.key == "ETH-USDT":
            raise DataInvalid("rules of ETH-USDT", "price_increment", "0.001, the scale holds 0.01")
        return terms(market)

    async with house(tmp_path, **TWO) as there:
        await hours(there, 0, 1)
        with monkeypatch.context() as patched:
            patched.setattr(MarketHour, "terms", refused)
            await hours(there, 1, 1)
        await hours(there, 2, 1)
    problem = "rules of ETH-USDT: price_increment: 0.001, the scale holds 0.01"
    assert record(tmp_path, 1).absent == {"ETH-USDT": problem}
    assert sorted(record(tmp_path, 2).markets) == ["BTC-USDT", "ETH-USDT"]
    assert_sound(tmp_path)


def test_an_open_trade_tells_why_it_began(through):
    """From the newest hour's books, until it is closed and has a line of its own."""
    newest = record(through, HOURS - 1)
    began = next(i for i in range(HOURS) if record(through, i).hour_report["open_trades"])
    (name, *_) = record(through, began).hour_report["open_trades"]
    early = copied(through, through.parent / "early")
    for index in range(began + 1, HOURS):
        (early / "data" / desk_path(START.plus(index))).unlink()
    for path in (early / "data" / "trades").iterdir():
        path.unlink()
    told = called("why", name, "--repo", str(early / "data"))
    assert told.code == 0, told.err
    head, entered, size, route, hour = told.out.splitlines()
    assert head.startswith(f"{name}: open; ")
    assert entered.startswith("Why we entered: ")
    assert "Of an account of 10000.00 USDT." in size
    assert route.startswith("Why this price and route: Buy ")
    assert hour.startswith(f"The hour: {desk_path(START.plus(began))}, 2 markets took part")
    found = json.loads(called("why", name, "--repo", str(early / "data"), "--format", "json").out)
    assert found["trade"]["plan"]["id"] == name
    assert found["entry_hour"]["report"]["open_trades"][0] == name
    assert name not in newest.hour_report["open_trades"]
    unknown = called("why", f"{name}x", "--repo", str(early / "data"))
    assert (unknown.code, name in unknown.err) == (1, True)


async def test_an_adviser_has_no_desk(tmp_path):
    """No file, no check, no figure."""
    async with house(tmp_path) as there:
        await there.hours(START, 2)
        assert there.app.paper is None
        assert "desk" not in health(there.app)["checks"]
        assert there.app.metrics.registry.get_sample_value("regimed_desk_nav") is None
    assert not (tmp_path / "data" / "desk").exists()


async def test_the_desk_shows_itself(tmp_path, through):
    """A restart shows the last hour before the next one; figures and page say the same."""
    folder = copied(through, tmp_path / "house")
    async with house(folder, start=START.plus(HOURS - 1), **TWO) as there:
        assert await desk(there)
        page = health(there.app)["checks"]["desk"]
        file = record(folder, HOURS - 1)
        nav = file.hour_report["account"]["nav"] / CASH_SCALE
        assert page["status"] == "pass"
        assert page["nav"] == f"{nav:.2f} USDT"
        assert page["newest_hour"] == str(START.plus(HOURS - 1))
        assert page["open_trades"] == file.hour_report["open_trades"]
        value = there.app.metrics.registry.get_sample_value
        assert value("regimed_desk_nav") == pytest.approx(nav)
        assert value("regimed_desk_open_trades") == len(page["open_trades"])
        assert value("regimed_desk_newest_hour_timestamp_seconds") == START.plus(HOURS - 1).close_ts
        closed = page["closed_trades"]
        assert sum(closed.values()) == len(list(trades_of(folder / "data"))) > 0
        await hours(there, HOURS, 1)
        assert value("regimed_desk_hour_seconds_count") == 1
        there.clock.set(START.plus(HOURS + 1).closes_at + timedelta(minutes=101))
        late = health(there.app)["checks"]["desk"]
        assert late["status"] == "warn"
        assert f"its hour {START.plus(HOURS + 1)} is owed for 1.7 h" in late["output"]


async def test_damage_of_the_newest_record_is_mended_from_the_history(tmp_path, owing, through):
    """And the desk goes on from what was recorded."""
    folder = copied(owing, tmp_path / "house")
    async with house(folder, start=START.plus(HOURS - 1), **TWO) as there:
        path = folder / "data" / desk_path(START)
        before = path.read_bytes()
        path.write_bytes(before[:-20])
        assert await desk(there)
        assert path.read_bytes() == before
    assert said(folder) == said(through)


async def test_a_damaged_judgement_is_mended_before_the_desk_reads_it(tmp_path, owing, through):
    """What the history holds is what was said; one that was never committed is judged again first."""
    folder = copied(owing, tmp_path / "house")
    async with house(folder, start=START.plus(HOURS - 1), **TWO) as there:
        path = folder / "data" / metrics_path("ETH-USDT", START.plus(5))
        before = path.read_bytes()
        path.write_bytes(before[:-20])
        assert await desk(there)
        assert path.read_bytes() == before
        assert said(folder) == said(through)
        beyond = folder / "data" / metrics_path("BTC-USDT", START.plus(HOURS))
        for key in ("BTC-USDT", "ETH-USDT"):
            (folder / "data" / metrics_path(key, START.plus(HOURS))).write_bytes(b"schema_version: 1\n")
        assert not await desk(there)
        assert "the hour is judged again" in str(there.app.board.desk.trouble)
        assert not beyond.exists()


async def test_the_worker_runs_at_its_bell_and_again_after_trouble(tmp_path, monkeypatch):
    """It needs no ring to try again, and a ring that came while it worked is heard."""
    told: list[str] = []
    done_once, done_twice = anyio.Event(), anyio.Event()

    def full_once() -> None:
        if not told:
            told.append("full")
            full()

    def noted() -> None:
        told.append("done")
        (done_once if told.count("done") == 1 else done_twice).set()

    monkeypatch.setattr(daemon.desk, "WAIT_S", (0.0,))
    async with house(tmp_path, **TWO) as there:
        await hours(there, 0, 1)
        failpoints.arm("desk.before_commit", full_once)
        failpoints.arm("desk.after_commit", noted)
        with anyio.fail_after(60):
            async with anyio.create_task_group() as group:
                group.start_soon(trade_forever, there.app, there.app.paper)
                for index, event in ((1, done_once), (2, done_twice)):
                    await there.hour(START.plus(index))  # its commits ring
                    await event.wait()
                group.cancel_scope.cancel()
    assert told == ["full", "done", "done"]
    assert done(tmp_path) == hours_between(START, START.plus(3))
    assert_sound(tmp_path)


async def test_a_desk_that_hangs_holds_up_no_cycle(tmp_path):
    """Hours are judged, committed and told while it stands; what it owes it runs afterwards."""
    entered, released, caught_up_ = threading.Event(), threading.Event(), anyio.Event()
    async with house(tmp_path, **TWO) as there:
        await hours(there, 0, 1)
        paper = there.app.paper
        assert paper is not None
        run = paper.run

        def hangs(*arguments):
            entered.set()
            assert released.wait(60)
            return run(*arguments)

        def noted() -> None:
            if len(done(tmp_path)) == 3:
                caught_up_.set()

        paper.run = hangs
        failpoints.arm("desk.after_commit", noted)
        with anyio.fail_after(60):
            async with anyio.create_task_group() as group:
                group.start_soon(trade_forever, there.app, paper)
                await there.hour(START.plus(1))
                assert await anyio.to_thread.run_sync(entered.wait, 30)
                await there.hour(START.plus(2))
                assert (len(there.judged()), done(tmp_path)) == (3, [START])
                assert git(tmp_path / "data", "log", "-1", "--format=%s").startswith("[hour] ")
                released.set()
                await caught_up_.wait()
                group.cancel_scope.cancel()
    assert_sound(tmp_path)


def test_why_and_gate_read_what_the_desk_left(through):
    """From the repository alone; what the gate lacks is a finding."""
    data = str(through / "data")
    listed = json.loads(called("why", "--repo", data, "--format", "json").out)
    told = called("why", listed[0]["id"], "--repo", data)
    assert told.code == 0
    assert (
        f"The hour: desk/{listed[0]['opened'][:10]}/{listed[0]['opened'][11:13]}.json, 2 markets" in told.out
    )
    found = called("gate", "--repo", data, "--format", "json")
    assert found.code == 1
    paper = json.loads(found.out)["paper"]
    assert (paper["hours"], paper["trades"]) == (HOURS, len(listed))
    assert called("verify", "--repo", data).code == 0


def test_one_cycle_runs_the_desk_too(tmp_path):
    """`regimed cycle` leaves no hour of the desk behind, and says why where it cannot run one."""
    clock = clock_standing_at(START.closes_at + timedelta(seconds=30))
    with started("sandbox", "--port", "0", "--clock", clock) as sandbox:
        url = sandbox.line(r"(http://127\.0\.0\.1:\d+)")[1]
        config = str(write_config(tmp_path, url, ["ETH-USDT", "BTC-USDT"], **PAPER))
        ran = called("cycle", "--config", config, "--clock", clock)
        assert ran.code == 0, ran.err
        assert done(tmp_path) == [START]
        (tmp_path / "data" / desk_path(START)).unlink()
        (tmp_path / "data" / desk_path(START)).mkdir()
        ran = called("cycle", "--config", config, "--clock", clock)
        assert ran.code == 3
        assert "paper desk: " in ran.err
        assert "its hours stay owed" in ran.err


KILLS = max(2, int(os.environ.get("REGIMED_KILLS", "6")) // 3)  # each waits for an hour of the desk: 5 s
SEED = int(os.environ.get("REGIMED_SEED", "1"))


@pytest.mark.kills
@pytest.mark.timeout(120 + 20 * KILLS)
def test_kill_9_at_any_moment_of_a_daemon_on_paper(tmp_path):
    """No hour of the desk is lost or doubled, its chain has no gap, and everything is sound and pushed."""
    chance = random.Random(SEED)
    clock = clock_from(START, 1200)  # the desk lets cycles go first: they must have time to rest
    with started("sandbox", "--port", "0", "--clock", clock) as sandbox:
        url = sandbox.line(r"(http://127\.0\.0\.1:\d+)")[1]
        config = str(write_config(tmp_path, url, ["ETH-USDT", "BTC-USDT"], **PAPER))
        run = ("--log-level", "INFO", "run", "--config", config, "--clock", clock)
        for _ in range(KILLS):
            with forked_regimed(*run) as daemon:
                daemon.line("hour of the desk done", 60)
                threading.Event().wait(chance.uniform(0.0, 1.5))
                daemon.end(signal.SIGKILL)
        with forked_regimed(*run) as daemon:
            port = daemon.line(r"http://127\.0\.0\.1:(\d+)/health", 60)[1]
            daemon.line("hour of the desk done", 60)
            shown = called("status", "--url", f"http://127.0.0.1:{port}").out
            (line,) = (line for line in shown.splitlines() if line.startswith("desk "))
            assert re.search(r"nav \d+\.\d\d USDT, open trades \d, hour 2026-01-\d\dT\d\d", line), line
            assert daemon.end(signal.SIGTERM) == 0
            assert not any("Traceback" in line for line in daemon.lines)
    assert_sound(tmp_path)
    found = done(tmp_path)
    assert found == hours_between(found[0], found[-1].plus(1))
    assert len(found) > KILLS
    assert git(tmp_path / "data", "status", "--porcelain") == ""
    assert git(tmp_path / "data", "rev-parse", "main") == git(tmp_path / "remote.git", "rev-parse", "main")
