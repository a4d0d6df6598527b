"""Each fault of the table in docs/operations.md against a real process: the right probe turns, in time."""

import os

import pytest

from daemon.settings import HealthSettings
from store.settings import StoreSettings
from store.verify import verify
from tests.drills.kubelet import deployment
from tests.drills.probes import DRILLS, STILL_FIRST_S

RESTARTED = {"blocked_loop": 1, "hung_writer": 1, "dead_remote_at_first_start": 1}


@pytest.mark.skipif("REGIMED_DRILLS" not in os.environ, reason="minutes each: `make drills`")
@pytest.mark.parametrize("name", DRILLS)
def test_kubernetes_restarts_what_a_restart_cures_and_nothing_else(tmp_path, name):
    """Hung inside: ended and well again; trouble outside: /health tells, and the process stays."""
    found = DRILLS[name](tmp_path)
    pod = deployment()
    assert found.restarts == RESTARTED.get(name, 0)
    assert 0 < found.turned_s < STILL_FIRST_S + pod.liveness.patience_s + pod.liveness.period_s
    report = verify(tmp_path / "data")
    assert report.ok, report.findings


def test_the_manifests_patience_fits_the_programs_limits():
    """The clone has its deadline before the start-up probe's end; liveness never outruns the watchdog."""
    pod = deployment()
    assert StoreSettings(base_path="x").clone_timeout_s < pod.startup.patience_s
    assert HealthSettings().live_limit_s == STILL_FIRST_S
    assert pod.liveness.patience_s >= STILL_FIRST_S
    assert pod.grace_s >= 45 + 10
