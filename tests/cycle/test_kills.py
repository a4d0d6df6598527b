"""kill -9 at random moments under load; afterwards the model check over the whole history.

REGIMED_KILLS says how often (60 in CI, 200 in `make campaign`), REGIMED_SEED makes it another campaign.
"""

import os
import random
import signal
import threading

import pytest

from tests.cycle.house import START, assert_sound, git, write_config
from tests.cycle.processes import clock_from, hours_of, started

KILLS = int(os.environ.get("REGIMED_KILLS", "6"))
SEED = int(os.environ.get("REGIMED_SEED", "1"))
SYMBOLS = ("ETH-USDT", "BTC-USDT", "SOL-USDT")


@pytest.mark.kills
@pytest.mark.timeout(120 + 20 * KILLS)
def test_kill_9_at_any_moment_loses_nothing_and_doubles_nothing(tmp_path):
    """No hour lost, none doubled, fsck and verify clean, work tree clean, everything pushed."""
    chance = random.Random(SEED)
    clock = clock_from(START, 36000)
    with started("sandbox", "--port", "0", "--clock", clock) as sandbox:
        url = sandbox.line(r"(http://127\.0\.0\.1:\d+)")[1]
        config = str(write_config(tmp_path, url, SYMBOLS))
        run = ("--log-level", "INFO", "run", "--config", config, "--clock", clock)
        with started(*run) as daemon:
            daemon.line("hour judged", 60)
        for _ in range(KILLS):
            with started(*run) as daemon:
                if chance.random() < 0.8:
                    daemon.line("hour judged", 60)
                threading.Event().wait(chance.uniform(0.0, 1.5))
                daemon.end(signal.SIGKILL)
        with started(*run) as daemon:
            daemon.line("hour judged", 60)
            assert daemon.end(signal.SIGTERM) == 0
    assert_sound(tmp_path)
    assert sum(len(hours_of(tmp_path, symbol)) for symbol in SYMBOLS) > KILLS
    assert git(tmp_path / "data", "status", "--porcelain") == ""
    assert git(tmp_path / "data", "rev-parse", "main") == git(tmp_path / "remote.git", "rev-parse", "main")
    assert not list((tmp_path / "data.state" / "intents").glob("*.json"))
    assert not list((tmp_path / "data").rglob("*.tmp*"))
