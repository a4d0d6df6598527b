"""The whole application with a phone and a webhook: an alarm, its answers, dead and hanging channels."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs

from daemon.emergencies import watch_emergencies
from daemon.http import serving
from daemon.operator import answer
from daemon.telling import remind
from decisions.actions import Answer
from market.hours import Hour
from store.advice import Deed
from store.exit_files import told_notices
from tests.cycle.house import START, House, assert_sound, git, house
from tests.cycle.test_decisions import GRID, LOOSE, newest_advice, run_grid
from tests.cycle.told_outside import HOOK, HOOK_KEY, told_outside
from tests.fakes import FakeClock
from tests.notifications.receivers import PushoverServer, WebhookReceiver


@asynccontextmanager
async def told(
    folder: Path, deadline_s: float = 10.0
) -> AsyncIterator[tuple[House, PushoverServer, WebhookReceiver]]:
    """A house whose two channels are real servers; they share its clock."""
    async with PushoverServer(FakeClock(START.closes_at)) as phone, WebhookReceiver(HOOK_KEY) as hook:
        section = told_outside(folder, phone, hook, deadline_s)
        async with house(folder, notifications=section, **LOOSE) as there:
            phone.clock = there.clock
            yield there, phone, hook


async def work(there: House) -> None:
    """Do what the timekeeper, the channels and the receipts' worker do, ten seconds later."""
    there.clock.set(there.clock.now() + timedelta(seconds=10))
    await remind(there.app)
    await there.app.outbox.deliver()
    (channel,) = there.app.emergencies
    channel._polled.clear()  # it counts its 5 s in real ones, and these are not
    await watch_emergencies(there.app, channel)


async def live(there: House, first: Hour, hours: int) -> None:
    """Hour by hour, with a look each ten minutes."""
    for ahead in range(hours):
        hour = first.plus(ahead)
        await there.hour(hour)
        await work(there)
        for tens in range(1, 6):
            there.clock.set(hour.closes_at + timedelta(minutes=10 * tens))
            await work(there)


async def page(there: House) -> tuple[dict, dict[str, float]]:
    """Return /health, and the metrics of channels by their name."""
    async with serving(there.app, "127.0.0.1", 0) as port, httpx.AsyncClient() as client:
        health = (await client.get(f"http://127.0.0.1:{port}/health")).json()
        text = (await client.get(f"http://127.0.0.1:{port}/metrics")).text
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if "channel" in sample.labels:
                rest = sample.labels.get("outcome", "")
                found[f"{sample.name} {sample.labels['channel']} {rest}".strip()] = sample.value
    return health, found


async def test_days_with_an_alarm_that_is_acknowledged_on_the_phone(tmp_path):
    """Hourly until someone taps; the tap is a record in Git; then silence; both receivers saw the same."""
    async with told(tmp_path) as (there, phone, hook):
        await there.hour(START)
        await run_grid(there, 2000, 2200, START.plus(1))
        await live(there, START.plus(1), 6)
        alarms = [shown for shown in phone.shown if shown.priority == 2]
        assert len(alarms) == 6  # one an hour
        assert [one.shown for one in phone.sounding] == alarms[-1:]  # each cancelled its former one
        at = there.clock.now()
        phone.acknowledge(alarms[-1].receipt, "my-phone")
        await work(there)
        (tapped,) = [
            path
            for path in (tmp_path / "data" / "decisions").rglob("*.yaml")
            if "pushover:my-phone" in path.read_text()
        ]
        assert "acknowledge" in tapped.read_text()
        await there.app.store.flush()
        committed = git(tmp_path / "data", "show", f"HEAD:{tapped.relative_to(tmp_path / 'data')}")
        assert "pushover:my-phone" in committed
        shown = len(phone.shown)
        await live(there, START.plus(7), 18)
        later = [each for each in phone.shown[shown:] if each.at > at]
        assert [each for each in later if each.priority == 2] == []
        assert phone.sounding == []
        assert phone.violations == []
        records = [each.key for each in told_notices(tmp_path / "data", "ETH-USDT")]
        hooked = [each["id"] for each in hook.shown if each["grid_id"] == GRID]
        assert hooked == records
        assert [each["title"] for each in hook.shown] == [each.title for each in phone.shown]
        assert there.app.outbox.waiting == 0
    assert_sound(tmp_path)


async def test_a_stop_at_the_exchange_silences_the_phone(tmp_path):
    """Who accepts the stop elsewhere need not tap: the next look cancels what sounds."""
    async with told(tmp_path) as (there, phone, _):
        await run_grid(there, 2000, 2200, START)
        await live(there, START, 1)
        assert len(phone.sounding) == 1
        advice = await newest_advice(there, START)
        await answer(there.app, advice.id, Deed(Answer.ACCEPT, there.clock.now(), "tester"))
        await work(there)
        assert phone.sounding == []
        assert [one.cancelled for one in phone.emergencies.values()] == [True]
        alarms = len(phone.shown)
        await live(there, START.plus(1), 4)
        assert [each for each in phone.shown[alarms:] if each.priority == 2] == []
        assert phone.violations == []


async def test_a_grid_that_was_stopped_by_hand_and_set_up_anew_sounds_no_more(tmp_path):
    """Its new run is calm, which nobody is told; the alarm of the former one is not its own."""
    async with told(tmp_path) as (there, phone, _):
        await run_grid(there, 2000, 2200, START)
        await live(there, START, 1)
        assert len(phone.sounding) == 1
        state = there.state()
        (advice,) = state.facts.advice
        calm = replace(advice, action="CONTINUE", exit_state="NORMAL", since=START.plus(1).iso())
        state.facts = state.told = replace(state.facts, advice=(calm,))
        await work(there)
        assert phone.sounding == []


async def test_a_dead_channel_is_seen_by_others_and_what_it_owes_comes_later(tmp_path):
    """/health warns, /metrics count, the log has the words; the other channel has told; nothing is lost."""
    async with told(tmp_path) as (there, phone, hook):
        await phone.down()
        await run_grid(there, 2000, 2200, START)
        with capture_logs() as logs:
            await live(there, START, 2)
        assert [each["level"] for each in hook.shown if each["grid_id"]] == ["emergency"] * 2
        health, metrics = await page(there)
        assert health["status"] == "warn"
        assert any("channel pushover: pushover: no connection" in note for note in health["notes"])
        assert health["checks"]["channels"]["channels"]["pushover"]["waiting"] == len(hook.shown)
        assert metrics["regimed_channel_failing_seconds pushover"] > 3600
        assert metrics["regimed_channel_notices pushover"] == len(hook.shown)
        assert metrics["regimed_notifications_total pushover failed"] > 1
        assert metrics[f"regimed_channel_failing_seconds {HOOK}"] == 0
        said = [each for each in logs if each["event"] == "notice not taken, kept for later"]
        assert [each["channel"] for each in said] == ["pushover"]  # once, with its words
        assert "STOP_GRID" in " ".join(str(each) for each in logs)
        await phone.up()
        there.clock.set(there.clock.now() + timedelta(minutes=6))
        await work(there)
        assert [each.title for each in phone.shown] == [each["title"] for each in hook.shown]
        assert [each.priority for each in phone.shown][-1] == 2
        health, metrics = await page(there)
        assert health["status"] == "pass"
        assert metrics["regimed_channel_failing_seconds pushover"] == 0
        assert phone.violations == []


async def test_channels_that_hang_delay_no_hour_and_no_other_channel(tmp_path):
    """Both servers hold a request and never answer; hours are judged, recorded and reminded of meanwhile."""
    async with told(tmp_path) as (there, phone, hook):
        phone.faults.append("slow")
        hook.faults.append("slow")
        await run_grid(there, 2000, 2200, START)
        await there.hour(START)
        sending = asyncio.create_task(there.app.outbox.deliver())
        await phone.arrived.wait()
        await hook.arrived.wait()
        await there.hours(START.plus(1), 3)
        await remind(there.app)
        assert not sending.done()  # they still hang
        assert phone.shown == []
        assert hook.shown == []
        assert there.judged() == [f"{START.plus(ahead).opens_at:%Y-%m-%d-%H}" for ahead in range(4)]
        assert there.state().trouble is None
        assert there.app.outbox.waiting >= 2
        phone.release()
        hook.release()
        await sending
        assert await there.app.outbox.deliver() == 0  # the log had gone ahead and not seen the last one
        assert [each.title for each in phone.shown] == [each["title"] for each in hook.shown]
    assert_sound(tmp_path)
