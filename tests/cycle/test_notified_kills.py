"""kill -9 at random moments while alarms go out and answers are lost; then what was shown and recorded.

REGIMED_KILLS says how often, here a sixth of it; REGIMED_SEED makes it another campaign. An hour takes a
second here, so Pushover's rules in real seconds (5 s after a failure, 5 s between polls) mean nothing: the
server's `violations` are left to `tests/notifications/test_month.py`.
"""

from __future__ import annotations

import os
import random
import signal
import time
from datetime import timedelta
from pathlib import Path

import pytest
from anyio.to_thread import run_sync

from daemon.clock import ScaledClock
from grid.record import GridRecord
from market.hours import Hour, last_closed_hour, parse_instant
from store.change_set import ChangeSet
from store.exit_files import told_notices, transitions
from store.grids import encode_grid, grid_path
from tests.cycle.house import START, assert_sound, git, house, write_config
from tests.cycle.processes import Process, clock_from, clock_standing_at, hours_of, started
from tests.cycle.test_decisions import LOOSE, grid_from
from tests.cycle.told_outside import HOOK_KEY, told_outside
from tests.notifications.receivers import PushoverServer, WebhookReceiver

KILLS = int(os.environ.get("REGIMED_KILLS", "12")) // 6
SEED = int(os.environ.get("REGIMED_SEED", "1"))
KEY = "ETH-USDT"


def grids(price: float) -> list[GridRecord]:
    """Return grids of which one is broken, and more soon will be."""
    bounds = {
        "far-off": (2000, 2200),
        "narrow": (int(price * 0.99), int(price * 1.01)),
        "wide": (int(price * 0.96), int(price * 1.04)),
    }
    return [
        grid_from(lower, upper, START.plus(1)).model_copy(update={"grid_id": name})
        for name, (lower, upper) in bounds.items()
    ]


async def prepared(folder: Path) -> None:
    """Make the repository with one judged hour and the grids in it."""
    async with house(folder, **LOOSE) as there:
        await there.hour(START)
        for grid in grids(there.state().facts.price):
            changes = ChangeSet({grid_path(grid.grid_id): encode_grid(grid)}, "[grid] it runs")
            await there.app.store.write(changes)


@pytest.mark.kills
@pytest.mark.timeout(120 + 30 * KILLS)
async def test_kill_9_neither_loses_nor_doubles_a_transition(tmp_path):
    """Each transition once at the webhook, at least once on the phone; the records say what was shown."""
    chance = random.Random(SEED)
    lossy = True

    def fault(number: int) -> str | None:
        return chance.choice(("lost", "lost", "500", None, None, None)) if lossy else None

    await prepared(tmp_path)
    text = clock_from(START.plus(1), 3600)
    clock = ScaledClock.parse(text)
    async with PushoverServer(clock, faults=fault) as phone, WebhookReceiver(HOOK_KEY, fault) as hook:
        section = told_outside(tmp_path, phone, hook)
        with started("sandbox", "--port", "0", "--clock", text) as sandbox:
            url = (await run_sync(sandbox.line, r"(http://127\.0\.0\.1:\d+)"))[1]
            config = str(write_config(tmp_path, url, [KEY], notifications=section, **LOOSE))
            run = ("--log-level", "INFO", "run", "--config", config, "--clock", text)
            for _ in range(KILLS):
                await killed(run, chance)
        lossy = False
        await settled(tmp_path, section, last_closed_hour(clock.now()))
        assert_shown(tmp_path, phone, hook)
    assert_sound(tmp_path)
    assert git(tmp_path / "data", "status", "--porcelain") == ""


async def killed(run: tuple[str, ...], chance: random.Random) -> None:
    """Start the daemon and kill it: mostly after it has judged something, sometimes while it starts."""
    with started(*run) as daemon:
        process: Process = daemon
        if chance.random() < 0.8:
            await run_sync(process.line, "hour judged", 60)
        await run_sync(time.sleep, chance.uniform(0.0, 2.5))
        await run_sync(process.end, signal.SIGKILL)


async def settled(folder: Path, section: dict[str, object], newest: Hour) -> None:
    """Let the daemon catch up and deliver while time stands still, so that it has an end."""
    still = clock_standing_at(newest.closes_at + timedelta(minutes=1))
    with started("sandbox", "--port", "0", "--clock", still) as sandbox:
        url = (await run_sync(sandbox.line, r"(http://127\.0\.0\.1:\d+)"))[1]
        config = str(write_config(folder, url, [KEY], notifications=section, **LOOSE))
        with started("--log-level", "INFO", "run", "--config", config, "--clock", still) as daemon:
            await run_sync(daemon.line, r"127\.0\.0\.1:\d+/health", 60)  # before that a SIGTERM just ends it
            for _ in range(600):
                if newest in hours_of(folder, KEY) and not waiting(folder):
                    break
                await run_sync(time.sleep, 0.1)
            assert await run_sync(daemon.end, signal.SIGTERM) == 0
            assert not any("Traceback" in line for line in daemon.lines)


def waiting(folder: Path) -> list[Path]:
    """Return the notices that a channel has still to take."""
    return list((folder / "data.state" / "outbox").glob("0*.json"))


def assert_shown(folder: Path, phone: PushoverServer, hook: WebhookReceiver) -> None:
    shown = {payload["id"]: payload for payload in hook.shown}
    assert len(shown) == len(hook.shown)  # none twice
    assert hook.requests > len(hook.shown)  # although some came twice
    assert hook.forged == []
    assert waiting(folder) == []
    on_phone = {(each.title, each.timestamp) for each in phone.shown}
    for payload in hook.shown:
        at = int(parse_instant(payload["at"]).timestamp())
        assert (payload["title"], at) in on_phone
    told = list(told_notices(folder / "data", KEY))
    entered = list(transitions(folder / "data", KEY))
    assert len(entered) >= 3
    spoken_for = {(each.grid_id, each.state, Hour.parse(each.since).closes_at): each.key for each in told}
    for change in entered:
        assert spoken_for[change.grid_id, change.state, change.at] in shown
    for each in told:
        payload = shown[each.key]
        assert payload["grid_id"] == each.grid_id
        assert each.folded or payload["exit_state"] == each.state.value
    recorded = [each.key for each in told if not each.folded]
    assert len(recorded) == len(set(recorded))
    # Killed between the outbox and the record, in the last hour of a state: told, and not in the records.
    unrecorded = {payload["id"] for payload in hook.shown if payload["exit_state"]} - set(recorded)
    assert len(unrecorded) <= KILLS
