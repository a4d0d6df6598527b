"""The switch outside hears from us exactly while the house works: its alarm is the last one that is left."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import anyio
import pytest
from structlog.testing import capture_logs

from daemon.deadman import PingMemory, may_ping, ping_forever, ping_once
from daemon.health import health
from market import failpoints
from market.errors import NotifyFailed
from market.hours import Hour
from notifications.notice import Level, Notice
from tests.cycle.house import START, house


class RecordedPing:
    """A switch that can be out of reach."""

    def __init__(self) -> None:
        self.heard, self.reachable = 0, True

    async def send(self) -> None:
        if not self.reachable:
            raise NotifyFailed("no network")
        self.heard += 1


def secret(folder: Path, name: str, text: str) -> str:
    path = folder / name
    path.write_text(text)
    return str(path)


def channels(folder: Path) -> dict[str, object]:
    """Return a configuration with two channels beside the log; nothing here sends through them."""
    url, key = secret(folder, "url", "http://127.0.0.1:9/hook"), secret(folder, "key", "k" * 30)
    return {
        "pushover": {"token_file": key, "user_file": key},
        "webhooks": {"n8n": {"url_file": url, "secret_file": key}},
    }


async def test_one_markets_trouble_keeps_no_ping_back_and_that_of_all_does(tmp_path):
    """One fresh market is a working house; none for stale_fail_s is not, also right from the start."""
    async with house(tmp_path, markets=2) as there:
        assert may_ping(there.app) == (True, "")
        there.clock.set(there.app.board.started_at + timedelta(seconds=10_800))
        assert may_ping(there.app)[0]
        there.clock.set(there.app.board.started_at + timedelta(seconds=10_801))
        assert may_ping(there.app) == (False, "no hour of any market was judged for 3.0 h")
        newest = Hour.of(there.clock.now()).plus(-1)
        there.state("ETH-USDT").newest = newest
        there.state("BTC-USDT").trouble = "malformed rows"
        assert may_ping(there.app) == (True, "")
        there.clock.set(newest.closes_at + timedelta(seconds=10_801))
        assert not may_ping(there.app)[0]


async def test_a_hung_stage_a_failing_disk_and_a_fatal_end_are_not_pinged_over(tmp_path):
    """Each alone keeps the ping back, and says which it is; when it is mended the ping goes out again."""
    async with house(tmp_path, health={"live_limit_s": 1}) as there:
        app = there.app
        app.progress._stages["scheduler"].moved_at -= 10
        assert may_ping(app)[1].startswith("scheduler has not moved for")
        app.progress.stamp("scheduler")
        assert may_ping(app)[0]
        app.board.fatal = "the key can withdraw"
        assert may_ping(app) == (False, "the key can withdraw")
        app.board.fatal = None

        def full() -> None:
            raise OSError(28, "No space left on device")

        failpoints.arm("writer.before_commit", full)
        try:
            await there.hour(START)
        finally:
            failpoints.disarm()
        app.progress.stamp("scheduler")
        fine, why = may_ping(app)
        assert not fine
        assert why.startswith("commits fail: ")
        await there.hour(START.plus(1))
        app.progress.stamp("scheduler")
        assert may_ping(app) == (True, "")


async def test_a_house_that_reaches_nobody_is_silent_until_one_channel_opens(tmp_path):
    """All channels shut is as good as dead; the log reaches nobody, and one open channel is enough."""
    async with house(tmp_path, notifications=channels(tmp_path)) as there:
        told = there.app.outbox.channels
        assert may_ping(there.app) == (True, "")
        told["pushover"].trouble = "no answer"
        assert may_ping(there.app) == (True, "")
        told["webhook.n8n"].trouble = "refused: 401"
        assert may_ping(there.app) == (False, "no channel takes a notice: pushover, webhook.n8n")
        told["pushover"].trouble = None
        assert may_ping(there.app) == (True, "")


async def test_without_a_channel_the_log_alone_keeps_no_ping_back(tmp_path):
    """Nobody configured a way to be reached: then there is none that could be shut."""
    async with house(tmp_path) as there:
        there.app.outbox.channels["log"].trouble = "a full disk"
        assert may_ping(there.app) == (True, "")


async def test_the_log_hears_of_each_silence_once_and_of_its_end_once(tmp_path):
    """Ten pings kept back are one line, and so are ten that were not heard."""
    async with house(tmp_path) as there:
        ping, memory = RecordedPing(), PingMemory()
        with capture_logs() as logs:
            there.app.board.fatal = "a key can withdraw"
            assert [await ping_once(there.app, ping, memory) for _ in range(3)] == [False] * 3
            there.app.board.fatal = None
            assert [await ping_once(there.app, ping, memory) for _ in range(2)] == [True] * 2
            ping.reachable = False
            assert [await ping_once(there.app, ping, memory) for _ in range(3)] == [False] * 3
            ping.reachable = True
            assert [await ping_once(there.app, ping, memory) for _ in range(2)] == [True] * 2
        assert [(line["log_level"], line["event"]) for line in logs] == [
            ("error", "no ping to the dead-man switch: it will alarm"),
            ("info", "the dead-man switch is pinged again"),
            ("warning", "the dead-man switch was not reached"),
            ("info", "the dead-man switch is reached again"),
        ]
        assert logs[0]["why"] == "a key can withdraw"
        assert ping.heard == 4


async def test_an_outbox_that_cannot_be_written_is_not_pinged_over(tmp_path):
    """A full disk under the state: the notice is in memory only, the page says so, and the switch alarms."""

    def full() -> None:
        raise OSError(28, "No space left on device")

    notice = Notice("d", "ETH-USDT", Level.HIGH, "t", "b", START.closes_at)
    async with house(tmp_path) as there:
        failpoints.arm("notify.before_rename", full)
        try:
            assert there.app.outbox.enqueue(notice)
        finally:
            failpoints.disarm()
        assert may_ping(there.app) == (False, "the outbox cannot be written")
        shown = health(there.app)["checks"]["channels"]
        assert (shown["status"], shown["not_durable"]) == ("fail", 1)
        assert shown["output"].startswith("the outbox cannot be written: 1 notices are not durable")
        await there.app.outbox.deliver()
        assert may_ping(there.app) == (True, "")
        assert health(there.app)["checks"]["channels"]["status"] == "pass"


@pytest.mark.parametrize("configured", [True, False])
async def test_the_worker_pings_at_once_and_sleeps_where_nothing_is_configured(tmp_path, configured):
    """A daemon that has just started is heard before the first wait is over."""
    ping = RecordedPing()
    section = {"ping": {"url_file": secret(tmp_path, "url", "http://127.0.0.1:9/p")}} if configured else {}
    async with house(tmp_path, notifications=section) as there, anyio.create_task_group() as group:
        group.start_soon(ping_forever, there.app, ping)
        await anyio.wait_all_tasks_blocked()
        assert ping.heard == configured
        group.cancel_scope.cancel()
