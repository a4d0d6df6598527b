"""The volume is lost: the daemon comes back from the remote, says what it cannot know, and catches up."""

import json
import shutil
import signal
import urllib.error
import urllib.request

import pytest
import structlog

from daemon import restoring
from daemon.health import health
from market import failpoints
from market.hours import Hour
from tests.cycle.house import START, assert_sound, git, house, write_config
from tests.cycle.processes import clock_from, hours_of, regimed, started
from tests.drills.wire import wired

PUSHED, LOST, LATER = 4, 2, 9  # hours pushed, judged after that and lost, and the hour of the return


@pytest.fixture(autouse=True)
def _disarmed():
    yield
    failpoints.disarm()


def lose_the_volume(folder):
    """Nothing is left but the remote."""
    shutil.rmtree(folder / "data")
    shutil.rmtree(folder / "data.state")


async def lived(folder):
    """Live some hours, the last ones not pushed, then lose the volume; returns what was judged."""
    async with house(folder) as there:
        await there.hours(START, PUSHED)
        await there.app.store.push()
        await there.hours(START.plus(PUSHED), LOST)
        before = {hour: there.metrics(hour) for hour in (START.plus(n) for n in range(PUSHED + LOST))}
    lose_the_volume(folder)
    return before


def notices(folder, word):
    found = [path.read_text() for path in sorted((folder / "data.state" / "outbox").rglob("*.json"))]
    return [text for text in found if word in text]


async def test_a_lost_volume_says_what_is_owed_and_unknown_and_catches_up(tmp_path):
    """Log, /health and a notice name the last hour held, what is owed and not known; then it catches up."""
    before = await lived(tmp_path)
    with structlog.testing.capture_logs() as logs:
        async with house(tmp_path, start=START.plus(LATER)) as there:
            (said,) = [entry for entry in logs if entry["event"] == "restored from the remote"]
            last = START.plus(PUSHED - 1)
            assert said["newest_hours"] == {"ETH-USDT": str(last)}
            assert said["owed_hours"] == {"ETH-USDT": LATER - PUSHED + 1}
            assert "not known" in said["unknown"]
            check = health(there.app)["checks"]["restored"]
            assert check["status"] == "warn"
            for words in (
                f"to hour {last}",
                "6 owed",
                f"owed up to hour {START.plus(LATER)}",
                "not known here",
            ):
                assert words in check["output"]
            assert check["output"] in health(there.app)["notes"]
            (notice,) = notices(tmp_path, restoring.UNKNOWN)
            for words in (f"to hour {last} (6 owed)", "answer again", '"high"'):
                assert words in notice
            await there.attend()
            check = health(there.app)["checks"]["restored"]
            assert (check["status"], check["still_owed"]) == ("pass", {})
            assert [Hour.parse(f"{name[:10]}T{name[11:]}") for name in there.judged()] == [
                START.plus(n) for n in range(LATER + 1)
            ]
            for hour, metrics in before.items():  # the same candles are judged the same once more
                assert there.metrics(hour)["regime_analysis"] == metrics["regime_analysis"]
            await there.app.store.push()
        messages = git(tmp_path / "data", "log", "--format=%s").splitlines()
        judged = [message.split(":")[0] for message in messages if message.startswith("[hour]")]
        assert len(judged) == len(set(judged)) == LATER + 1
        assert git(tmp_path / "data", "rev-parse", "main") == git(
            tmp_path / "remote.git", "rev-parse", "main"
        )
    assert_sound(tmp_path)


async def test_it_is_told_once_and_stays_on_the_page(tmp_path):
    """A restart after the restoration tells nothing again; /health still knows when it was."""
    await lived(tmp_path)
    async with house(tmp_path, start=START.plus(LATER)) as there:
        await there.attend()
        first = health(there.app)["checks"]["restored"]
    with structlog.testing.capture_logs() as logs:
        async with house(tmp_path, start=START.plus(LATER + 1)) as there:
            assert health(there.app)["checks"]["restored"] == first
    assert not [entry for entry in logs if entry["event"] == "restored from the remote"]
    assert len(notices(tmp_path, restoring.UNKNOWN)) == 1


async def test_a_death_between_notice_and_note_tells_the_same_notice_once(tmp_path):
    """Killed after the outbox has it: the next start finds the same notice there and adds none."""
    await lived(tmp_path)

    def dies():
        raise KeyboardInterrupt

    failpoints.arm("restored.before_note", dies)
    with pytest.raises(BaseException):  # noqa: B017 a task group wraps the interrupt
        async with house(tmp_path, start=START.plus(LATER)):
            pass
    failpoints.disarm()
    async with house(tmp_path, start=START.plus(LATER)) as there:
        assert health(there.app)["checks"]["restored"]["status"] == "warn"
    assert len(notices(tmp_path, restoring.UNKNOWN)) == 1


async def test_a_full_disk_at_the_notice_is_made_up_for_at_the_next_start(tmp_path):
    """Nothing durable could be written: the log and /health have it, and the next start tells it."""
    await lived(tmp_path)

    def full():
        raise OSError(28, "No space left on device")

    failpoints.arm("notify.before_enqueue", full)
    async with house(tmp_path, start=START.plus(LATER)) as there:
        assert health(there.app)["checks"]["restored"]["status"] == "warn"
    assert notices(tmp_path, restoring.UNKNOWN) == []
    failpoints.disarm()
    async with house(tmp_path, start=START.plus(LATER)):
        pass
    assert len(notices(tmp_path, restoring.UNKNOWN)) == 1


async def test_a_first_start_beside_a_history_without_these_markets_loses_nothing(tmp_path):
    """A remote that holds only what an operator put there: a beginning, no loss, and nobody is alarmed."""
    async with house(tmp_path, markets=2) as there:
        await there.app.store.push()
    lose_the_volume(tmp_path)
    with structlog.testing.capture_logs() as logs:
        async with house(tmp_path) as there:
            assert health(there.app)["checks"]["restored"]["status"] == "pass"
            await there.attend()
        async with house(tmp_path, start=START.plus(3)) as there:
            assert health(there.app)["checks"]["restored"]["status"] == "pass"
    assert not [entry for entry in logs if entry["event"] == "restored from the remote"]
    assert notices(tmp_path, restoring.UNKNOWN) == []


def page(url):
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return json.loads(error.read())


def test_a_killed_daemon_without_its_volume_comes_back_from_the_remote_alone(tmp_path):
    """Real processes: kill -9, the volume gone, `regimed run` again with nothing but its configuration."""
    clock = clock_from(START, 900)
    with started("sandbox", "--port", "0", "--clock", clock) as sandbox:
        url = sandbox.line(r"(http://127\.0\.0\.1:\d+)")[1]
        config = str(write_config(tmp_path, url, ["ETH-USDT", "BTC-USDT"]))
        with started("run", "--config", config, "--clock", clock) as daemon:
            daemon.line("hour judged")
            while "metrics/" not in git(tmp_path / "remote.git", "log", "--all", "--name-only", "--format="):
                assert daemon.process.poll() is None
            daemon.end(signal.SIGKILL)
        lose_the_volume(tmp_path)
        held = git(tmp_path / "remote.git", "rev-parse", "main")
        with started("run", "--config", config, "--clock", clock) as daemon:
            daemon.line("asking the remote")
            assert held in daemon.line(".*restored from the remote.*")[0]
            port = daemon.line(r"http://127\.0\.0\.1:(\d+)/health")[1]
            while page(f"http://127.0.0.1:{port}/health")["checks"]["restored"]["status"] != "pass":
                assert daemon.process.poll() is None
            assert daemon.end() == 0
    for key in ("ETH-USDT", "BTC-USDT"):
        hours = hours_of(tmp_path, key)
        assert hours == [hours[0].plus(n) for n in range(len(hours))]
    checked = regimed("verify", "--repo", str(tmp_path / "data"))
    assert checked.returncode == 0, checked.stdout
    assert git(tmp_path / "data", "merge-base", "--is-ancestor", held, "main") == ""


@pytest.mark.parametrize("asked", [True, False])
def test_a_stop_during_the_first_clone_waits_for_nobody(tmp_path, asked):
    """SIGTERM while a dead remote is asked, or just before: ended in order, and nothing is begun."""
    with wired(1) as wire:
        wire.freeze()
        base = tmp_path / "data"
        repository = {"base_path": str(base), "remote": f"git://127.0.0.1:{wire.port}/remote.git"}
        config = write_config(tmp_path, "http://127.0.0.1:1", ["ETH-USDT"], data_repository=repository)
        with started("run", "--config", str(config)) as daemon:
            daemon.line("asking the remote", 120)
            while asked and not wire.taken:
                assert daemon.process.poll() is None
            assert daemon.end(signal.SIGTERM, 60) == 0, daemon.lines
            daemon.line("stopped before there was a history")
            assert not any("Traceback" in line for line in daemon.lines)
    assert not (base / ".git").exists()
