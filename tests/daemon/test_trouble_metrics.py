"""The figures that alert rules ask for: zero while all is well, and what is wrong once it is."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from daemon.desk_tally import Tally
from market import failpoints
from notifications.notice import Level, Notice
from tests.cycle.house import START, house
from tests.cycle.test_desk import PAPER
from tests.daemon.test_desk_watch import quiet

MARKET = {"market": "ETH-USDT"}
ZERO = (
    "regimed_git_commit_failing",
    "regimed_git_push_failures_in_a_row",
    "regimed_git_remote_unrelated",
    "regimed_git_refused_files",
    "regimed_grid_faults",
    "regimed_kpis_waiting",
    "regimed_outbox_not_durable_notices",
)


def children():
    """Return the ids of what this process has started, from every thread, as the kernel tells it."""
    return [pid for task in Path("/proc/self/task").glob("*/children") for pid in task.read_text().split()]


def values(there):
    """Return what asks the registry for a sample, as a scrape would."""
    return there.app.metrics.registry.get_sample_value


async def test_a_healthy_daemon_has_nothing_to_count(tmp_path):
    """Each figure is there from the start, at zero: a rule must not wait for the first trouble to be born."""
    async with house(tmp_path) as there:
        value = values(there)
        assert value("regimed_last_cycle_seconds", MARKET) is None
        await there.hours(START, 1)
        assert {name: value(name) for name in ZERO} == dict.fromkeys(ZERO, 0)
        assert value("regimed_keys_unverified", {"exchange": "sandbox"}) == 0
        assert value("regimed_market_failures_in_a_row", MARKET) == 0
        assert value("regimed_last_cycle_seconds", MARKET) == there.app.board.markets["ETH-USDT"].last_cycle_s
        assert value("regimed_process_resident_memory_bytes") > 10**7
        assert 0 < value("regimed_process_open_fds") < value("regimed_process_max_fds")
        assert value("regimed_process_start_time_seconds") > 1e9


async def test_a_child_of_the_process_is_counted(tmp_path):
    """One that never ends must show; this process may have others, so no more than one is asked for."""
    async with house(tmp_path) as there:
        with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as child:
            assert str(child.pid) in children() and values(there)("regimed_git_child_processes") >= 1


async def test_trouble_is_a_figure(tmp_path):
    """What the board says of commits, pushes, keys, KPIs and failed hours is told as it stands."""
    async with house(tmp_path) as there:
        board, value = there.app.board, values(there)
        board.commit_trouble, board.kpis_trouble = "the disk is full", "a record is corrupt"
        board.push_failures, board.remote_unrelated = 7, True
        board.markets["ETH-USDT"].failures = 3
        board.exchanges["sandbox"].keys = "unverified"
        assert value("regimed_git_commit_failing") == 1
        assert value("regimed_git_push_failures_in_a_row") == 7
        assert value("regimed_git_remote_unrelated") == 1
        assert value("regimed_kpis_waiting") == 1
        assert value("regimed_market_failures_in_a_row", MARKET) == 3
        assert value("regimed_keys_unverified", {"exchange": "sandbox"}) == 1


@pytest.mark.parametrize("remote", [True, False])
async def test_a_rule_can_tell_whether_commits_are_to_be_pushed(tmp_path, remote):
    """Without a remote nothing waits to be pushed, however old it is."""
    alone = {} if remote else {"data_repository": {"base_path": str(tmp_path / "data")}}
    async with house(tmp_path, **alone) as there:
        assert values(there)("regimed_git_has_remote") == remote


async def test_a_notice_that_a_crash_would_lose_is_counted(tmp_path):
    """The disk under the outbox takes nothing: the figure is the health page's."""

    def full() -> None:
        raise OSError(28, "No space left on device")

    async with house(tmp_path) as there:
        failpoints.arm("notify.before_rename", full)
        try:
            there.app.outbox.enqueue(Notice("d", "ETH-USDT", Level.HIGH, "t", "b", START.closes_at))
        finally:
            failpoints.disarm()
        assert values(there)("regimed_outbox_not_durable_notices") == 1


async def test_the_room_of_both_volumes_is_told(tmp_path, monkeypatch):
    """History and state, free and size; a volume that cannot be looked at has no figure, no other suffers."""
    async with house(tmp_path) as there:
        value = values(there)
        for volume in ("data", "state"):
            assert value("regimed_disk_size_bytes", {"volume": volume}) == shutil.disk_usage(tmp_path).total
            assert value("regimed_disk_free_bytes", {"volume": volume}) > 0
        looked_at = shutil.disk_usage

        def usage(folder):
            if folder == there.app.settings.state_path:
                raise OSError(5, "Input/output error")
            return looked_at(folder)

        monkeypatch.setattr("daemon.trouble_metrics.shutil.disk_usage", usage)
        assert value("regimed_disk_free_bytes", {"volume": "state"}) is None
        assert value("regimed_disk_free_bytes", {"volume": "data"}) > 0


@pytest.mark.parametrize(
    ("tally", "signals", "begun", "day", "won"),
    [
        (Tally(), None, None, 0, None),
        (quiet(71, 24), None, None, 0, None),
        (quiet(72, 24), 24, 0, 0, None),
        (quiet(72, 24, begun=9), 24, 9, 9, None),
        (Tally(won=(True,) * 6 + (False,) * 24), None, None, 0, 0.2),
        (Tally(won=(False,) * 29), None, None, 0, None),
    ],
)
async def test_the_desks_pace_is_told_once_there_is_enough_of_it(tmp_path, tally, signals, begun, day, won):
    """Of too few hours or trades there is no figure, so no rule speaks of them."""
    async with house(tmp_path, **PAPER) as there:
        there.app.board.desk.tally = tally
        value = values(there)
        assert value("regimed_desk_recent_signals") == signals
        assert value("regimed_desk_recent_trades") == begun
        assert value("regimed_desk_day_trades") == day
        assert value("regimed_desk_recent_win_ratio") == won
