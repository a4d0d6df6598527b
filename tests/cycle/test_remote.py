"""The remote in every kind of trouble: cycles go on, nothing is dropped or rewritten, health tells."""

import shutil
import socket
import stat
import subprocess

import anyio
import anyio.to_thread
import pytest

from daemon import workers
from daemon.health import health
from tests.cycle.house import START, assert_sound, git, house


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    """Retry at once: what is tested is the order of events, not the waiting."""
    monkeypatch.setattr(workers, "PUSH_WAIT_S", (0.01,))
    monkeypatch.setattr(workers, "PUSH_EVERY_S", 0.01)


async def until(condition, seconds=20):
    with anyio.fail_after(seconds):
        while not condition():
            await anyio.sleep(0.01)


def pushed(folder):
    return git(folder / "remote.git", "rev-parse", "main") == git(folder / "data", "rev-parse", "main")


async def with_pusher(there, during):
    async with anyio.create_task_group() as group:
        group.start_soon(workers._pusher, there.app)
        await during()
        group.cancel_scope.cancel()


async def test_a_dead_remote_is_told_and_everything_is_pushed_afterwards(tmp_path):
    """Cycles go on; what is not pushed is counted and said in words."""
    async with house(tmp_path) as there:
        hidden = tmp_path / "hidden.git"

        async def story():
            (tmp_path / "remote.git").rename(hidden)
            await there.hours(START, 3)
            await until(lambda: there.app.board.push_failures >= 2)
            assert len(there.judged()) == 3
            check = health(there.app)["checks"]["git"]
            assert check["status"] == "warn"
            assert check["unpushed_commits"] >= 3
            assert "this disk is their only copy" in check["output"]
            hidden.rename(tmp_path / "remote.git")
            await until(
                lambda: there.app.board.push_trouble is None and there.app.store.state().unpushed == 0
            )

        await with_pusher(there, story)
        assert pushed(tmp_path)
        assert health(there.app)["checks"]["git"]["status"] == "pass"
    assert_sound(tmp_path)


async def test_a_hanging_remote_holds_up_no_cycle(tmp_path):
    """A listener that never answers: the push is ended by its deadline, the hours come in meanwhile."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        async with house(tmp_path) as there:
            git(tmp_path / "data", "remote", "set-url", "origin", f"git://127.0.0.1:{port}/data.git")

            async def story():
                there.app.bells.pusher.ring()
                started = there.clock.monotonic()
                await there.hours(START, 3)
                assert len(there.judged()) == 3
                assert there.clock.monotonic() - started < 30
                with anyio.fail_after(20):
                    while not await anyio.to_thread.run_sync(there.app.store.end_remote_calls):
                        await anyio.lowlevel.checkpoint()
                await until(lambda: there.app.board.push_failures >= 1)

            await with_pusher(there, story)
            with pytest.raises(Exception, match=r"origin|remote|push|deadline|answer"):
                await there.app.store.push(0.5)
            assert there.app.store.state().unpushed >= 3
    assert_sound(tmp_path)


async def test_a_rejecting_remote_is_told_and_pushed_when_it_takes_them(tmp_path):
    """A hook that says no: nothing is rewritten to please it."""
    async with house(tmp_path) as there:
        hook = tmp_path / "remote.git" / "hooks" / "pre-receive"

        async def story():
            hook.write_text("#!/bin/sh\necho 'not today' >&2\nexit 1\n")
            hook.chmod(hook.stat().st_mode | stat.S_IXUSR)
            await there.hours(START, 2)
            await until(lambda: there.app.board.push_failures >= 1)
            before = git(tmp_path / "data", "rev-parse", "main")
            hook.unlink()
            await until(lambda: there.app.store.state().unpushed == 0)
            assert git(tmp_path / "data", "rev-parse", "main") == before

        await with_pusher(there, story)
        assert pushed(tmp_path)


async def test_an_operators_push_is_merged_never_rebased(tmp_path):
    """Diverged by an operator's commit: ours stay as they are, and a merge joins both."""
    async with house(tmp_path) as there:
        await there.hours(START, 2)
        await there.app.store.push()
        laptop = tmp_path / "laptop"
        subprocess.run(["git", "clone", "-q", str(tmp_path / "remote.git"), str(laptop)], check=True)
        git(laptop, "config", "user.email", "op@example.org")
        git(laptop, "config", "user.name", "op")
        (laptop / "notes.md").write_text("bought milk\n")
        victim = next((laptop / "metrics" / "ETH-USDT").glob("*.yaml"))
        victim.write_text("verdict: RANGE_OK\n")
        git(laptop, "add", "-A")
        git(laptop, "commit", "-qm", "from the laptop")
        git(laptop, "push", "-q")
        ours = git(tmp_path / "data", "rev-parse", "main")

        async def story():
            await there.hours(START.plus(2), 2)
            await until((tmp_path / "data" / "notes.md").exists)
            await until(lambda: there.app.store.state().unpushed == 0)

        await with_pusher(there, story)
        assert ours in git(tmp_path / "data", "rev-list", "--first-parent", "main").split()
        assert (tmp_path / "data" / "notes.md").read_text() == "bought milk\n"
        mine = tmp_path / "data" / "metrics" / "ETH-USDT" / victim.name
        assert mine.read_text() != "verdict: RANGE_OK\n"
        assert pushed(tmp_path)
    assert_sound(tmp_path)


async def test_a_foreign_history_is_refused_and_health_fails(tmp_path):
    """A remote without a common ancestor is a wrong address, never merged."""
    async with house(tmp_path) as there:
        await there.hours(START, 1)
        stranger = tmp_path / "stranger"
        subprocess.run(["git", "init", "-q", "-b", "main", str(stranger)], check=True)
        git(stranger, "config", "user.email", "x@example.org")
        git(stranger, "config", "user.name", "x")
        (stranger / "a").write_text("a")
        git(stranger, "add", "a")
        git(stranger, "commit", "-qm", "a")
        shutil.rmtree(tmp_path / "remote.git")
        subprocess.run(
            ["git", "clone", "-q", "--bare", str(stranger), str(tmp_path / "remote.git")], check=True
        )

        async def story():
            there.app.bells.pusher.ring()
            await until(lambda: there.app.board.remote_unrelated is True)
            await there.hours(START.plus(1), 1)

        await with_pusher(there, story)
        check = health(there.app)["checks"]["git"]
        assert check["status"] == "fail"
        assert "another history" in check["output"]
        assert len(there.judged()) == 2
        assert git(tmp_path / "remote.git", "rev-list", "--count", "main") == "1"
