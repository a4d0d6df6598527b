import threading

import anyio
from structlog.testing import capture_logs

from daemon.progress import LoopWatchdog, Progress


class Time:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def test_work_that_stands_still_is_hung_and_idleness_is_not():
    """pains 12: liveness comes from progress, and an idle hour is not a hang."""
    time = Time()
    progress = Progress(time, limit_s=180)
    with progress.working("collector"):
        time.now += 181
        progress.stamp("scheduler")
        assert progress.hung() == ["collector has not moved for 181 s (limit 180 s)"]
        progress.moved()
        assert progress.hung() == []
        assert progress.under_way("collector")
    time.now += 3600
    progress.stamp("scheduler")
    assert progress.hung() == []
    assert not progress.under_way("collector")


def test_a_scheduler_that_stops_ringing_is_hung():
    """The scheduler has to move by itself."""
    time = Time()
    progress = Progress(time, limit_s=180)
    time.now += 181
    assert progress.hung() == ["scheduler has not moved for 181 s (limit 180 s)"]


async def test_everybody_who_waits_for_rest_is_woken():
    """The desk, the indexer and the evaluation wait at the same time; none of them takes another's bell."""
    progress, woken = Progress(Time(), limit_s=180), []

    async def wait(name):
        await progress.idle()
        woken.append(name)

    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            with progress.working("collector"):
                with progress.working("analysis"):
                    for name in ("desk", "indexer"):
                        group.start_soon(wait, name)
                        await anyio.wait_all_tasks_blocked()
                await anyio.wait_all_tasks_blocked()
                assert woken == []
    assert woken == ["desk", "indexer"]


def test_two_works_of_one_stage_end_each_for_itself():
    """Two markets are collected at the same time."""
    progress = Progress(Time(), limit_s=180)
    with progress.working("collector"):
        with progress.working("collector"):
            pass
        assert progress.under_way("collector")


def test_one_hung_market_is_not_hidden_by_the_others():
    """What other pieces of the same stage do says nothing about this one."""
    time = Time()
    progress = Progress(time, limit_s=180)
    with progress.working("collector"):
        time.now += 181
        progress.stamp("scheduler")
        with progress.working("collector"):
            progress.moved()
            assert progress.hung() == ["collector has not moved for 181 s (limit 180 s)"]


async def test_the_pulse_measures_the_loops_lag():
    """A blocked loop shows as lag."""
    progress = Progress(anyio.current_time, limit_s=180)
    seen = []
    async with anyio.create_task_group() as group:
        group.start_soon(progress.pulse, seen.append)
        while not seen:
            await anyio.lowlevel.checkpoint()
        group.cancel_scope.cancel()
    assert seen[0] < 1.0
    assert progress.lag_p99_s() == seen[0]
    assert Progress(anyio.current_time, 1).lag_p99_s() == 0.0


def test_a_blocked_loop_is_said_with_its_stacks_and_ended_past_the_limit(capfd):
    """The watchdog is a thread: it speaks when the loop cannot, and ends what cannot recover."""
    ended = threading.Event()
    time = Time()
    progress = Progress(time, limit_s=50)
    with capture_logs() as logs, LoopWatchdog(progress, time, 0.02, ended.set) as watchdog:
        time.now += 60
        assert ended.wait(5)
    assert watchdog.warnings == 1
    assert logs[0]["event"] == "the event loop is blocked"
    assert "most recent call first" in capfd.readouterr().err
