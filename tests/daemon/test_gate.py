"""`regimed gate` and the refusal of `mode: live`: only what is on record counts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from daemon.configuration import load_settings
from daemon.gate import gate_report
from market.hours import Hour
from store.trade_files import trades_growth
from tests.daemon.calls import called
from tests.daemon.test_configuration import GOOD
from tests.store.samples import CONFIG, FIRST
from tests.store.test_desk_files import hour_of_desk, put
from tests.trading.trades import closed_trade

OTHER = "sha256:" + "cd" * 32
REPORT = {"stopped_by": [], "triggers": []}


def desk_hours_in(root: Path, hours: list[Hour], config_hash: str = CONFIG, **report) -> None:
    for hour in hours:
        made = hour_of_desk(hour, config_hash=config_hash, hour_report={**REPORT, **report})
        put(root, made)


def trades_in(root: Path, *trades) -> None:
    for path, data in trades_growth(root, trades).items():
        (root / path).parent.mkdir(exist_ok=True)
        (root / path).write_bytes(data)


def test_hours_count_back_to_the_first_hole(tmp_path):
    """A month with a gap is no month of paper; trades before the gap do not count either."""
    desk_hours_in(tmp_path, [FIRST, FIRST.plus(1), FIRST.plus(3), FIRST.plus(4), FIRST.plus(5)])
    trades_in(
        tmp_path,
        closed_trade("t-1", FIRST),
        closed_trade("t-2", FIRST.plus(3)),
        closed_trade("t-3", FIRST.plus(5), gain=-5, regime="RANGE"),
    )
    report = gate_report(tmp_path)
    assert (report.evidence.paper_hours, report.evidence.paper_trades) == (3, 2)
    assert (report.first, report.newest) == (FIRST.plus(3), FIRST.plus(5))
    assert {regime: cash > 0 for regime, cash in report.paper_net.items()} == {
        "RANGE": False,
        "TREND_UP": True,
    }


def test_hours_of_another_configuration_do_not_count(tmp_path):
    """What was tried is what is to be unlocked."""
    desk_hours_in(tmp_path, [FIRST, FIRST.plus(1)])
    desk_hours_in(tmp_path, [FIRST.plus(2)], OTHER)
    trades_in(tmp_path, closed_trade("t-1", FIRST.plus(2)))
    report = gate_report(tmp_path)
    assert (report.config_hash, report.evidence.paper_hours, report.evidence.paper_trades) == (OTHER, 1, 0)
    assert gate_report(tmp_path, CONFIG).evidence.paper_hours == 0
    assert gate_report(tmp_path, OTHER).evidence.paper_hours == 1


def test_what_is_missing_is_a_finding(tmp_path):
    """Each item with what was found and what is needed; a tripped breaker among them."""
    desk_hours_in(tmp_path, [FIRST], stopped_by=["drawdown_breaker: 21 %, limit 20 %"])
    trades_in(tmp_path, closed_trade("t-1", FIRST))
    done = called("gate", "--repo", str(tmp_path))
    assert done.code == 1
    assert done.out.startswith(
        f"paper: 1 h from {FIRST} to {FIRST}, 1 closed trades\npaper: net 0.60 in TREND_UP\n"
    )
    for words in ("live execution", "backtest out of sample", "720 h (30 days)", "drawdown_breaker: 21 %"):
        assert words in done.out
    found = json.loads(called("gate", "--repo", str(tmp_path), "--format", "json").out)
    assert found["met"] is False
    assert found["paper"] == {
        "config_hash": CONFIG,
        "from": str(FIRST),
        "to": str(FIRST.plus(1)),
        "hours": 1,
        "trades": 1,
        "net": {"TREND_UP": "0.60"},
    }
    assert {"item", "found", "needed"} == set(found["missing"][0])


def test_nothing_on_record_is_no_evidence(tmp_path):
    """An empty repository lacks everything; a folder that is not there is a mistake."""
    done = called("gate", "--repo", str(tmp_path))
    assert (done.code, done.out.splitlines()[0]) == (1, "paper: 0 h, 0 closed trades")
    assert called("gate", "--repo", str(tmp_path / "nowhere")).code == 2
    assert called("gate", "--repo", str(tmp_path), "--format", "xml").code == 2


def test_a_corrupt_record_is_no_evidence(tmp_path):
    """It is named, and nothing is counted around it."""
    desk_hours_in(tmp_path, [FIRST])
    (tmp_path / "desk" / "2026-02-02" / "00.json").write_text("{}")
    done = called("gate", "--repo", str(tmp_path))
    assert (done.code, done.out) == (1, "")
    assert "desk/2026-02-02/00.json: schema_version" in done.err


@pytest.mark.parametrize("command", [("config", "check"), ("run",), ("cycle",)])
def test_live_is_refused_with_what_the_gate_lacks(tmp_path, command):
    """Exit code 2, one line an item, and not even a repository is made."""
    config = tmp_path / "config.yaml"
    config.write_text(GOOD.replace("base_path: data", f"base_path: {tmp_path / 'data'}") + "mode: live\n")
    done = called(*command, "--config", str(config))
    assert (done.code, done.out) == (2, "")
    lines = done.err.splitlines()
    assert lines[0].startswith("regimed: mode: live is refused until the decision gate is met")
    assert any("live execution: found clients that only read" in line for line in lines)
    assert any("720 h (30 days)" in line for line in lines)
    assert not (tmp_path / "data").exists()


def test_the_hours_on_paper_count_for_the_same_rules_in_live(tmp_path):
    """Only the mode differs between what was tried and what is asked for."""
    config = tmp_path / "config.yaml"
    text = GOOD.replace("base_path: data", f"base_path: {tmp_path / 'data'}")
    hashes = set()
    for mode in ("advise", "paper", "live"):
        config.write_text(f"{text}mode: {mode}\n")
        hashes.add(load_settings(config, {}).paper_hash())
    config.write_text(f"{text}mode: paper\n")
    paper = load_settings(config, {})
    assert hashes == {paper.config_hash()}
    desk_hours_in(tmp_path / "data", [FIRST, FIRST.plus(1)], paper.config_hash())
    config.write_text(f"{text}mode: live\n")
    assert "paper trading: found 2 h without a hole" in called("config", "check", "--config", str(config)).err
    found = json.loads(called("gate", "--config", str(config), "--format", "json").out)
    assert found["paper"]["hours"] == 2
    other = yaml.safe_load(config.read_text()) | {"trading": {"capital": 7}}
    config.write_text(yaml.safe_dump(other))
    found = json.loads(called("gate", "--config", str(config), "--format", "json").out)
    assert found["paper"]["hours"] == 0
