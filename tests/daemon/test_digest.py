"""The digest is told once a day at its wall-clock time, in every time zone, and never as yesterday's news."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.app import App
from daemon.digest import MOST_LATE, DigestMemory, due_digest, gathered, tell_digest
from daemon.kpis import record_kpis
from daemon.metrics import Metrics
from daemon.operator import answer, settle_timers
from decisions.actions import Answer
from market import failpoints
from market.hours import Hour
from notifications.digest import Trouble, digest_notice
from notifications.settings import DigestSettings
from store.advice import Deed
from store.exit_files import exit_states_path
from store.kpi_files import kpis_path
from store.paths import metrics_path
from tests.cycle.house import START, house
from tests.cycle.test_decisions import (
    ANY_CONFIDENCE,
    ANY_VERDICT,
    GRID,
    LOOSE,
    newest_advice,
    run_grid,
)

SEVEN = DigestSettings()


def berlin(hour: int, minute: int = 0) -> DigestSettings:
    return DigestSettings(at=time(hour, minute), zone="Europe/Berlin")


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("settings", "now", "day"),
    [
        (SEVEN, "2026-02-03T06:59:59", None),
        (SEVEN, "2026-02-03T07:00:00", "2026-02-03"),
        (SEVEN, "2026-02-03T13:00:00", "2026-02-03"),
        (SEVEN, "2026-02-03T13:00:01", None),  # more than six hours late
        (SEVEN, "2026-02-04T00:30:00", None),
        (DigestSettings(on=False), "2026-02-03T07:00:00", None),
        (DigestSettings(at=time(23, 30)), "2026-02-04T01:00:00", "2026-02-03"),  # yesterday's, in time
        (berlin(7), "2026-02-03T05:59:59", None),
        (berlin(7), "2026-02-03T06:00:00", "2026-02-03"),
        (berlin(7), "2026-07-03T05:00:00", "2026-07-03"),
        (DigestSettings(zone="Pacific/Auckland"), "2026-02-02T18:00:00", "2026-02-03"),  # tomorrow there
        (DigestSettings(zone="America/Los_Angeles"), "2026-02-03T15:00:00", "2026-02-03"),
        # 2026-03-29: 02:00 becomes 03:00, so 02:30 is not there; told where it would have been
        (berlin(2, 30), "2026-03-29T01:29:59", None),
        (berlin(2, 30), "2026-03-29T01:30:00", "2026-03-29"),
        (berlin(2, 30), "2026-03-30T00:29:59", None),
        (berlin(2, 30), "2026-03-30T00:30:00", "2026-03-30"),
        # 2026-10-25: 03:00 becomes 02:00, so 02:30 comes twice; the first one counts
        (berlin(2, 30), "2026-10-25T00:29:59", None),
        (berlin(2, 30), "2026-10-25T00:30:00", "2026-10-25"),
        (berlin(2, 30), "2026-10-25T01:30:00", "2026-10-25"),
        (berlin(2, 30), "2026-10-26T01:30:00", "2026-10-26"),
        # Samoa left out 2011-12-30 altogether: one digest, of the newer day
        (DigestSettings(zone="Pacific/Apia"), "2011-12-30T17:00:00", "2011-12-31"),
    ],
)
def test_a_digest_is_due_from_its_wall_clock_time_for_six_hours(settings, now, day):
    """Also across the changes to and from summer time."""
    assert due_digest(settings, utc(now)) == (None if day is None else date.fromisoformat(day))


@given(
    at=st.times(),
    zone=st.sampled_from(
        ["UTC", "Europe/Berlin", "America/Havana", "Australia/Lord_Howe", "America/Sao_Paulo", "Asia/Kolkata"]
    ),
    first=st.datetimes(datetime(2016, 1, 1), datetime(2026, 12, 1)),
)
def test_each_day_is_due_once_in_a_row_whatever_the_clock_does(at, zone, first):
    """Asked every quarter of an hour over three days: days only go on, and none is left out."""
    settings = DigestSettings(at=at, zone=zone)
    asked = [first.replace(tzinfo=UTC) + timedelta(minutes=15 * i) for i in range(4 * 72)]
    found = [due_digest(settings, now) for now in asked]
    told = [day for before, day in pairwise([None, *found]) if day is not None and day != before]
    assert told == sorted(set(told))
    assert all(later - earlier == timedelta(days=1) for earlier, later in pairwise(told))
    assert 2 <= len(told) <= 4
    for day in told:
        span = sum(each == day for each in found) * timedelta(minutes=15)
        assert span <= MOST_LATE + timedelta(minutes=15)


def outbox_of(folder: Path) -> list[dict[str, str]]:
    found = sorted((folder / "data.state" / "outbox").glob("0*.json"))
    return [told for path in found if "digest/" in (told := orjson.loads(path.read_bytes()))["dedupe"]]


async def test_the_digest_is_told_once_also_over_a_restart_and_without_its_memory(tmp_path):
    """Nothing before its time or before a market was judged; then once, and the bell rings for it once."""
    seven = START.plus(6)
    async with house(tmp_path, markets=2, start=seven, at=timedelta(seconds=-1)) as there:
        assert not await tell_digest(there.app)
        there.clock.set(seven.closes_at + timedelta(seconds=5))
        assert not await tell_digest(there.app)  # no market was judged yet, it has just started
        await there.attend()
        assert await tell_digest(there.app)
        assert not await tell_digest(there.app)
        assert await there.app.bells.notifier.heard_within(1)
        (told,) = outbox_of(tmp_path)
        assert told["title"] == "All clear: 2 markets, no grid running"
        assert told["level"] == "quiet"
        assert "Hours recorded: " in told["body"]
    async with house(tmp_path, markets=2, start=seven) as there:
        await there.attend()
        assert not await tell_digest(there.app)
        memory = tmp_path / "data.state" / "digest.json"
        assert DigestMemory(memory.parent).recall() == START.opens_at.date()
        for damaged in (b"", b"[]", b'{"day": "2026-02-30"}'):
            memory.write_bytes(damaged)
            assert not await tell_digest(there.app)  # gathered again, and the outbox knows it
            assert DigestMemory(memory.parent).recall() == START.opens_at.date()
        assert len(outbox_of(tmp_path)) == 1
        there.clock.set(there.clock.now() + timedelta(days=1))
        assert await tell_digest(there.app)
        assert outbox_of(tmp_path)[1]["title"].startswith("2 markets stale, 46 hours missing")


async def test_a_full_disk_keeps_no_digest_and_ends_no_worker(tmp_path):
    """It goes out from memory, rings once, is not told again, and its day is kept when there is room."""

    def full() -> None:
        raise OSError(28, "No space left on device")

    seven = START.plus(6)
    async with house(tmp_path, start=seven) as there:
        await there.attend()
        await there.app.bells.notifier.heard_within(1)
        failpoints.arm("notify.before_rename", full)
        try:
            assert await tell_digest(there.app)
            assert await there.app.bells.notifier.heard_within(1)
            assert not await tell_digest(there.app)
        finally:
            failpoints.disarm()
        memory = DigestMemory(tmp_path / "data.state")
        assert memory.recall() is None
        assert not await tell_digest(there.app)
        assert memory.recall() == START.opens_at.date()


async def test_a_start_after_an_outage_waits_for_the_markets_but_not_for_ever(tmp_path):
    """What is only being caught up is not told as stale; what is in trouble, or still hangs later, is."""
    async with house(tmp_path) as there:
        await there.hour(START)
    seven = START.plus(6)
    async with house(tmp_path, start=seven) as there:
        assert not await tell_digest(there.app)
        await there.attend()
        assert await tell_digest(there.app)
        assert "stale" not in outbox_of(tmp_path)[-1]["title"]
    start = seven.plus(24)
    async with house(tmp_path, start=start) as there:
        there.clock.set(start.closes_at + timedelta(minutes=30))
        assert not await tell_digest(there.app)
        there.clock.set(start.closes_at + timedelta(minutes=31))
        assert await tell_digest(there.app)
        assert outbox_of(tmp_path)[-1]["title"].startswith("1 market stale")
    async with house(tmp_path, start=start.plus(24)) as there:
        there.state().trouble = "the exchange does not answer"
        assert await tell_digest(there.app)
        assert "the exchange does not answer" in outbox_of(tmp_path)[-1]["body"]


async def test_a_digest_that_is_told_is_not_gathered_again_the_next_minute(tmp_path, monkeypatch):
    """The memory answers; the records are read once a day."""
    gatherings = []

    async def counted(app: App, now: datetime):
        gatherings.append(now)
        return await gathered(app, now)

    monkeypatch.setattr("daemon.digest.gathered", counted)
    async with house(tmp_path, start=START.plus(6)) as there:
        await there.attend()
        for _ in range(3):
            await tell_digest(there.app)
        assert len(gatherings) == 1


async def test_the_digest_of_a_bad_day_tells_the_grid_the_answer_and_the_changes(tmp_path):
    """A grid whose bounds break: its state, profit and stop, what was advised, what the operator did."""
    async with house(tmp_path, **LOOSE) as there:
        await run_grid(there, 2000, 2200, START)  # the price is far above
        await there.hours(START, 3)
        advice = await newest_advice(there, START.plus(2))
        now = there.clock.now()
        facts = await gathered(there.app, now)
        (grid,) = facts.grids
        entry = there.metrics(START.plus(2))["exit_evaluation"][GRID]
        assert grid.exit_state.value == "MANDATORY_EXIT"
        assert grid.since == Hour.parse(entry["since"]).closes_at
        assert grid.profit == entry["position"]["figures"]["net_profit"]
        assert grid.profit_pct == pytest.approx(entry["position"]["figures"]["net_profit_pct"], rel=1e-6)
        assert (grid.quote, grid.stop, grid.as_of) == ("USDT", True, None)
        assert grid.stop_distance_pct == entry["risk"]["stop_distance_pct"]
        assert [each.id for each in facts.waiting] == [advice.id]  # the hours before are over
        assert (facts.hours_recorded, facts.hours_due) == (2, 2)  # the newest may still be judged
        words = [change.words for change in facts.changes]
        assert f"{GRID} STOP_GRID advised" in words
        assert sum("advised" in each for each in words) == 1
        assert sum(f"{GRID} NORMAL to MANDATORY_EXIT: " in each for each in words) == 1
        assert digest_notice(facts, now.date()).title == "1 grid at MANDATORY_EXIT, 1 answer wanted"
        there.clock.set(now + timedelta(minutes=5))
        await answer(there.app, advice.id, Deed(Answer.DECLINE, there.clock.now(), "me"))
        facts = await gathered(there.app, there.clock.now())
        assert facts.waiting == ()
        assert f"{GRID} STOP_GRID declined by me" in [change.words for change in facts.changes]
        there.clock.set(START.plus(2).closes_at + timedelta(hours=5))
        facts = await gathered(there.app, there.clock.now())
        assert facts.markets[0].trouble is Trouble.STALE
        assert facts.grids[0].as_of == START.plus(2).closes_at
        assert facts.hours_due - facts.hours_recorded == 4  # the fifth closed just now
        there.clock.set(START.plus(2).closes_at + timedelta(hours=48))
        assert (await gathered(there.app, there.clock.now())).changes == ()


async def test_what_ran_out_unanswered_is_counted_and_an_expiry_is_said(tmp_path):
    """A setup waits until its expiry; after it nobody is asked to answer."""
    config = LOOSE | {"probation": ANY_CONFIDENCE} | ANY_VERDICT
    async with house(tmp_path, **config) as there:
        await there.hour(START)
        advice = await newest_advice(there, START)
        assert advice.action.creates
        (waits,) = (await gathered(there.app, there.clock.now())).waiting
        assert (waits.id, waits.until) == (advice.id, advice.expires_at)
        there.clock.set(START.closes_at + timedelta(minutes=60))
        assert await settle_timers(there.app) == 1
        facts = await gathered(there.app, there.clock.now())
        assert (facts.waiting, facts.expired) == ((), 1)


async def test_of_several_open_setups_of_a_grid_the_newest_wants_the_answer(tmp_path):
    """Advice that lasts longer than an hour is not asked for twice."""
    config = LOOSE | {"probation": ANY_CONFIDENCE, "advice": {"setup_expires_min": 120}} | ANY_VERDICT
    async with house(tmp_path, **config) as there:
        await there.hours(START, 2)
        advice = [await newest_advice(there, START.plus(i)) for i in range(2)]
        assert all(each.action.creates and each.is_open(there.clock.now()) for each in advice)
        assert advice[0].grid_id == advice[1].grid_id
        facts = await gathered(there.app, there.clock.now())
        assert [each.id for each in facts.waiting] == [advice[1].id]


async def test_a_market_that_was_never_judged_and_records_that_cannot_be_read_are_said(tmp_path):
    """No record silences the digest: what could not be read is a note of it."""
    async with house(tmp_path, markets=2, **LOOSE) as there:
        facts = await gathered(there.app, there.clock.now())
        assert {each.trouble for each in facts.markets} == {Trouble.UNJUDGED}
        assert facts.markets[0].problem == "no hour has been judged yet"
        await run_grid(there, 2000, 2200, START)
        await there.hour(START)
        (tmp_path / "data" / exit_states_path("ETH-USDT", START)).write_text("schema_version: 9\n")
        facts = await gathered(there.app, there.clock.now())
        (note,) = facts.notes
        assert note.startswith("exit states could not be read: exit_states/ETH-USDT/2026-01-05.yaml")
        assert digest_notice(facts, START.opens_at.date()).title.endswith("1 health note")
        (tmp_path / "data" / metrics_path("BTC-USDT", START)).unlink()
        there.clock.set(there.clock.now() + timedelta(minutes=30))
        facts = await gathered(there.app, there.clock.now())
        assert (facts.hours_recorded, facts.hours_due) == (1, 25)  # of a market without any, a day is due


async def test_the_alert_budget_is_that_of_the_newest_kpi_day_also_after_a_restart(tmp_path):
    """Digest and metrics show the record's figures; too few cases are no figure."""
    evening = START.plus(21)

    def gauges(metrics: Metrics) -> dict[str, float]:
        return {
            name: value
            for name in ("per_week", "false_ratio", "acknowledge_seconds")
            if (value := metrics.registry.get_sample_value(f"regimed_alerts_{name}")) is not None
        }

    async with house(tmp_path, start=evening, **LOOSE) as there:
        await run_grid(there, 2000, 2200, evening)
        await there.hours(evening, 3)
        assert gauges(there.app.metrics) == {}
        assert (await gathered(there.app, there.clock.now())).budget is None
        assert await record_kpis(there.app) == 1
        made = there.app.board.kpis
        assert made is not None
        weekly = made.trailing.alert_budget["alerts_per_week"].value
        assert weekly is not None and weekly > 0
        assert gauges(there.app.metrics) == {"per_week": weekly}  # no alert can be judged yet
        budget = (await gathered(there.app, there.clock.now())).budget
        assert budget is not None
        assert (budget.day, budget.per_week, budget.false_share, budget.false_n) == ("01-05", weekly, None, 0)
        figures = made.trailing.alert_budget
        enough = {
            **figures,
            "alerts_false": figures["alerts_false"].model_copy(update={"value": 0.2, "n": 20, "note": ""}),
            "acknowledge_median": figures["acknowledge_median"].model_copy(
                update={"value": 14.5, "n": 12, "note": "1 not acknowledged"}
            ),
        }
        there.app.board.kpis = made.model_copy(
            update={"trailing": made.trailing.model_copy(update={"alert_budget": enough})}
        )
        assert gauges(there.app.metrics) == {
            "per_week": weekly,
            "false_ratio": 0.2,
            "acknowledge_seconds": 870.0,
        }
        budget = (await gathered(there.app, there.clock.now())).budget
        assert budget is not None and (budget.false_share, budget.false_n) == (0.2, 20)
    async with house(tmp_path, start=evening.plus(3), **LOOSE) as there:
        assert await record_kpis(there.app) == 0
        assert there.app.board.kpis == made
    path = tmp_path / "data" / kpis_path(START.opens_at)
    path.write_bytes(path.read_bytes().replace(b"schema_version: 1", b"schema_version: 7", 1))
    async with house(tmp_path, start=evening.plus(3), **LOOSE) as there:
        assert await record_kpis(there.app) == 0
        assert there.app.board.kpis is None
