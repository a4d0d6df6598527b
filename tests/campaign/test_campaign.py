"""The campaign's short form, what it finds when a protection is gone, and the contract that names both."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from market.failpoints import NAMES
from tests.campaign.faults import FAULTS, Case
from tests.campaign.plan import Plan
from tests.campaign.protections import PROTECTIONS
from tests.campaign.running import append, lines_of
from tests.campaign.summary import summary

ROOT = Path(__file__).resolve().parents[2]
CONTRACT = (ROOT / "docs" / "reliability.md").read_text()
CODE = ("market", "store", "notifications", "exchanges", "daemon", "trading")


def run(module: str, *arguments: str, seconds: float) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=seconds,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


@pytest.mark.check
@pytest.mark.timeout(600)
def test_a_short_campaign_finds_nothing(tmp_path):
    """Deaths, failing calls, damage, clocks and daemons, within a minute, seeded; nothing is lost."""
    file = tmp_path / "campaign.jsonl"
    done = run("tests.campaign", "--minutes", "0.8", "--seed", "7", "--resume", str(file), seconds=500)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = lines_of(file)
    assert lines
    assert sum(line["points"] for line in lines if line["fault"] == "deaths") >= 50


@pytest.fixture(scope="module")
def found_without() -> dict[str, dict[str, list[str]]]:
    done = run("tests.campaign.protections", seconds=1500)
    assert done.returncode == 0, done.stderr
    said: dict[str, dict[str, list[str]]] = json.loads(done.stdout.splitlines()[-1])
    return said


@pytest.mark.check
@pytest.mark.timeout(1600)
@pytest.mark.parametrize("name", PROTECTIONS)
def test_the_model_check_finds_what_a_protection_prevents(found_without, name):
    """With the protection nothing is found; the same faults without it are found out."""
    assert found_without[name]["with"] == []
    assert found_without[name]["without"] != []


def test_the_table_of_failpoints_is_the_code_s():
    """Each name is reached somewhere, each place reached has a name, and the contract lists them all."""
    reached: Counter[str] = Counter()
    for folder in CODE:
        for path in (ROOT / folder).rglob("*.py"):
            reached.update(re.findall(r'\breach\("([a-z_.]+)"\)', path.read_text()))
    assert set(reached) == set(NAMES)
    table = CONTRACT.partition("## Failpoints")[2].partition("\n## ")[0]
    listed = re.findall(r"`([a-z]+\.[a-z_]+|[a-z]+\.(?:before|after))`", table)
    assert Counter(listed) == Counter(NAMES)


def clauses() -> list[list[str]]:
    table = CONTRACT.partition("## What survives what")[2].partition("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("| ")]
    return rows[2:]


def test_every_test_that_the_contract_names_exists():
    """A clause whose test is gone is a promise without a proof."""
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", CONTRACT)
    assert len(named) >= 20
    for file, test in named:
        assert f"def {test}(" in (ROOT / file).read_text(), f"{file}::{test}"


def test_every_clause_names_a_test_and_every_protection_has_its_clause():
    """What is taken away in the campaign is what the contract says to protect."""
    rows = clauses()
    assert len(rows) >= 15
    assert all("::" in row[-2] for row in rows), [row for row in rows if "::" not in row[-2]]
    named = {name for row in rows for name in re.findall(r"\*([^*]+)\*", row[-1])}
    assert named == set(PROTECTIONS)


def test_every_fault_of_the_campaign_stands_in_the_contract():
    """A fault that is tried and not promised, or promised and not tried, is a hole in one of the two."""
    table = CONTRACT.partition("## The campaign")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)`", table, flags=re.MULTILINE)) == {*FAULTS, "deaths", "daemon"}


def test_a_case_is_replayed_by_its_text():
    """What a finding names is what runs again; what names nothing is refused with what there is."""
    for text in ("kill:stop-advised:60,4", "flip:gate-passed:3,77"):
        assert str(Case.parse(text)) == text
    for text in ("kill:never:1", "fire:stop-advised:1"):
        with pytest.raises(ValueError, match="moments"):
            Case.parse(text)


def test_a_campaign_goes_on_where_it_stopped(tmp_path):
    """Lines that are whole are not run again, a cut one is; what was over stays over."""
    file = tmp_path / "x.jsonl"
    append(file, {"case": "deaths:stop-advised:0", "reached": True})
    append(file, {"case": "eio:setup-expires:5", "reached": False})
    with file.open("a") as cut:
        cut.write('{"case": "eio:gate-passed:1", "rea')
    done = {line["case"]: line["reached"] for line in lines_of(file)}
    assert set(done) == {"deaths:stop-advised:0", "eio:setup-expires:5"}
    plan = Plan(1, 0, 1, done)
    cases = [text for text, _ in zip(plan.cases(), range(2500), strict=False)]
    assert "deaths:stop-advised:0" not in cases
    numbers = [int(text.split(":")[2]) for text in cases if text.startswith("eio:setup-expires:")]
    assert numbers
    assert max(numbers) < 5
    assert cases == [text for text, _ in zip(Plan(1, 0, 1, done).cases(), range(2500), strict=False)]
    both = [set(), set()]
    for worker in (0, 1):
        both[worker] = {text for text, _ in zip(Plan(1, worker, 2, {}).cases(), range(900), strict=False)}
    assert not {text for text in both[0] & both[1] if text.startswith(("eio", "flip", "clock"))}


def test_the_summary_says_what_was_found_and_how_to_see_it_again():
    """Date, seed, commit, command; a finding has its replay command."""
    lines = [
        {"case": "deaths:stop-advised:0", "fault": "deaths", "reached": True, "points": 188, "cpu_s": 20.0,
         "disks": 45, "places": {"fsync": 31}, "found": [["kill:stop-advised:9", "notice lost: x | y"]]},
        {"case": "daemon:first-hour:3", "fault": "daemon", "reached": True, "points": 10, "deaths": 10,
         "cpu_s": 9.0, "events": ["daemon", "push.after"], "found": []},
        *({"case": f"eio:{moment}:{at}", "fault": "eio", "reached": at < 3, "cpu_s": 1.0}
          for moment, ats in (("first-hour", (3, 1, 2)), ("gates-reset", (1, 3)), ("gate-passed", (1, 2)))
          for at in ats),
    ]  # fmt: skip
    page = summary(lines, date="2026-11-22", seed=7, commit="abc1234", command="x --seed 7")
    assert "| 2026-11-22 | 7 | abc1234 | `x --seed 7` |" in page
    assert "these left 45 different disks" in page
    assert "until none was left (`eio`): first-hour (2)." in page
    assert f"Of {len(NAMES)} failpoints 1 were struck; not: collect.before_fetch, " in page
    assert "7 cases, 198 kill points, of them 10 kill -9 of the real daemon; 1 findings." in page
    assert "| notice lost: x \\| y | `python -m tests.campaign --replay kill:stop-advised:9` |" in page
    again = [*lines, {**lines[0], "found": []}]
    page = summary(again, date="", seed=7, commit="abc1234", command="")
    assert "7 cases, 198 kill points, of them 10 kill -9 of the real daemon; 0 findings." in page
    assert "notice lost" in page.partition("not found")[2]
    assert "of no moment yet." in summary(lines[:2], date="", seed=1, commit="", command="")
    assert "None." in summary([lines[1]], date="", seed=1, commit="", command="")
