"""kill -9 at random moments under load; afterwards the model check over the whole history.

REGIMED_KILLS says how often (60 in CI, 200 in `make campaign`), REGIMED_SEED makes it another campaign.
"""

import json
import os
import random
import signal
import threading

import pytest

from market.hours import Hour, hours_between
from tests.cycle.forks import forked_regimed
from tests.cycle.house import START, assert_sound, git, write_config
from tests.cycle.processes import Process, clock_from, hours_of, started
from tests.daemon.calls import called

KILLS = int(os.environ.get("REGIMED_KILLS", "6"))
SEED = int(os.environ.get("REGIMED_SEED", "1"))
SYMBOLS = ("ETH-USDT", "BTC-USDT", "SOL-USDT")


@pytest.mark.kills
@pytest.mark.timeout(120 + 20 * KILLS)
def test_kill_9_at_any_moment_loses_nothing_and_doubles_nothing(tmp_path):
    """No hour lost, none doubled, fsck and verify clean, work tree clean, everything pushed.

    How many hours that makes is the machine's affair; that every hour said to be judged stands in the record,
    that none was judged twice and that each market's hours have no hole, is not.
    """
    chance = random.Random(SEED)
    said: list[tuple[str, Hour]] = []
    clock = clock_from(START, 36000)
    with started("sandbox", "--port", "0", "--clock", clock) as sandbox:
        url = sandbox.line(r"(http://127\.0\.0\.1:\d+)")[1]
        config = str(write_config(tmp_path, url, SYMBOLS))
        run = ("--log-level", "INFO", "run", "--config", config, "--clock", clock)
        with forked_regimed(*run) as daemon:
            daemon.line("hour judged", 60)
        said += judged_in(daemon)
        for _ in range(KILLS):
            with forked_regimed(*run) as daemon:
                if chance.random() < 0.8:
                    daemon.line("hour judged", 60)
                threading.Event().wait(chance.uniform(0.0, 1.5))
                daemon.end(signal.SIGKILL)
            said += judged_in(daemon)
        with forked_regimed(*run) as daemon:
            daemon.line("hour judged", 60)
            assert daemon.end(signal.SIGTERM) == 0
        said += judged_in(daemon)
    assert_sound(tmp_path)
    recorded = {(symbol, hour) for symbol in SYMBOLS for hour in hours_of(tmp_path, symbol)}
    assert len(set(said)) == len(said)
    assert set(said) <= recorded
    for symbol in SYMBOLS:
        hours = hours_of(tmp_path, symbol)
        assert hours == list(hours_between(hours[0], hours[-1].plus(1)))
    assert git(tmp_path / "data", "status", "--porcelain") == ""
    # it was killed in the middle of its writes as often as not
    assert called("index", "rebuild", "--resume", "--config", config).code == 0
    checked = called("index", "check", "--config", config)
    assert checked.code == 0, checked.out
    assert git(tmp_path / "data", "rev-parse", "main") == git(tmp_path / "remote.git", "rev-parse", "main")
    assert not list((tmp_path / "data.state" / "intents").glob("*.json"))
    assert not list((tmp_path / "data").rglob("*.tmp*"))


def judged_in(daemon: Process) -> list[tuple[str, Hour]]:
    """Return the market and hour of each hour that a process said it had judged; its last line may be cut."""
    lines = (json.loads(line) for line in daemon.lines if line.endswith("}"))
    return [
        (line["market"], Hour.parse(line["hour"])) for line in lines if line.get("event") == "hour judged"
    ]
