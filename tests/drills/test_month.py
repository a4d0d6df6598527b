"""The month's run at its shortest: what it counts is what was written."""

import anyio

from tests.drills.month import Plan, page, run, script


def test_half_a_day_of_four_markets_is_counted(tmp_path):
    """Every due hour is judged, the remote's hours without an answer cost nothing, nothing is unexplained."""
    plan = Plan(hours=12, markets=4, seed=1, misses=6)
    month = anyio.run(run, tmp_path, plan)
    assert len(month.late_min) == 48
    assert month.owed == 0
    assert month.verified == "0 findings"
    assert sum(month.advice.values()) == 48
    assert month.log["info", "hour judged"] == 48
    assert not [entry for entry in month.log if entry[0] == "error"]
    assert month.violations == []
    text = page(month, {"commit": "abc"})
    assert "| still owed at the end | 0 |" in text
    assert "| info | hour judged | 48 |" in text


def test_the_trouble_is_the_seeds():
    """The same seed gives the same month; another seed another one; the remote comes back."""
    plan = Plan(hours=720, markets=20, seed=1, misses=6)
    faults, words, dead = script(plan)
    assert script(plan) == (faults, words, dead)
    assert script(Plan(720, 20, 2, 6))[1] != words
    assert {fault.kind for fault in faults} == {"server_error", "revision", "gap", "partial_json"}
    assert dead
    assert 719 not in dead
