"""Backtests before the gate: one that is what it says counts, and whatever it is not is named."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from daemon import gate_backtests
from daemon.desk import run_desk_hours
from daemon.gate import NO_HOUR, gate_report
from daemon.gate_backtests import in_force_since, results_in
from market.hours import Hour
from market.orders import CASH_SCALE
from store.desk_files import newest_desk
from store.paths import desk_path
from store.trade_files import trades_of
from tests.cycle.house import START, house
from tests.cycle.test_desk import TWO
from tests.daemon.calls import called

HOURS = 50  # two whole days in a row are the least that can be compared


@pytest.fixture(scope="module")
def lived(tmp_path_factory) -> Path:
    """A folder with the repository of a paper desk and the backtest of its very hours."""
    folder = tmp_path_factory.mktemp("gate")

    async def live() -> None:
        async with house(folder, **TWO) as there:
            for index in range(HOURS):
                await there.hour(START.plus(index))
                assert await run_desk_hours(there.app, there.app.paper)

    asyncio.run(live())
    done = called("backtest", "policy", "--repo", str(folder / "data"), "--out", str(folder / "results/one"))
    assert done.code == 0, done.err
    return folder


@pytest.fixture
def month(monkeypatch) -> None:
    """Fifty hours count for a month: a month of hours takes minutes."""
    monkeypatch.setattr(gate_backtests, "MONTH_H", HOURS)


def changed(lived: Path, out: Path, **change: Any) -> Path:
    """Return the result with some of it otherwise."""
    value = json.loads((lived / "results/one/result.json").read_bytes()) | change
    out.write_text(json.dumps(value))
    return out


def problems(root: Path, *files: Path) -> list[str]:
    (only,) = gate_report(root, backtests=files).backtests
    return list(only.problems)


def test_a_backtest_of_the_desks_own_hours_counts(lived, month):
    """Its net by regime and paper beside it are the evidence; both items are then judged, not missing."""
    root = lived / "data"
    report = gate_report(root, backtests=results_in(lived / "results"))
    (one,) = report.backtests
    assert one.problems == () and one.end == START.plus(HOURS)
    trades = list(trades_of(root))
    assert trades and sum(report.evidence.backtest_net.values()) == sum(trade.net for trade in trades)
    assert report.evidence.comparison is not None and report.evidence.comparison.holds
    items = {each.item: each.found for each in report.lacks}
    assert "paper against backtest" not in items
    net = sorted(report.evidence.backtest_net.items())
    told = ", ".join(f"{regime} {cash / CASH_SCALE:.2f}" for regime, cash in net)
    assert items["backtest out of sample"] == told  # one regime won: not enough, and no longer unknown


def test_the_command_says_what_counts_and_finds_results_in_a_folder(lived, month, tmp_path):
    """By file, by its folder, by the folder of folders: the same; where there is none it is a mistake."""
    root = lived / "data"
    for named in ("results", "results/one", "results/one/result.json"):
        done = called("gate", "--repo", str(root), "--backtest", str(lived / named))
        assert done.code == 1
        assert f"backtest: {lived / 'results/one/result.json'}: counts\n" in done.out
        assert "no comparison" not in done.out
    told = json.loads(
        called("gate", "--repo", str(root), "--backtest", str(lived / "results"), "--format", "json").out
    )
    file = str(lived / "results/one/result.json")
    assert told["backtests"] == [{"file": file, "counts": True, "problems": []}]
    none = called("gate", "--repo", str(root), "--backtest", str(tmp_path))
    assert none.code == 2 and "no result there" in none.err


def test_less_than_a_month_does_not_count(lived):
    """Whatever it earned; the reason stands where the evidence is missing."""
    root, file = lived / "data", lived / "results/one/result.json"
    assert problems(root, file) == ["50 h, expected 720 (30 days) or more"]
    done = called("gate", "--repo", str(root), "--backtest", str(file))
    assert f"{file}: 50 h, expected 720" in done.out


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"strategy": "grid"}, "strategy grid, expected policy"),
        ({"config_hash": "sha256:" + "00" * 32}, "config_hash sha256:0000"),
        ({"keys": ["ETH-USDT"]}, "markets ETH-USDT, expected BTC-USDT, ETH-USDT"),
        ({"data_digest": "sha256:" + "00" * 32}, "not the hours of this repository"),
        ({"start": START.plus(-5).iso()}, "in sample"),
        ({"nav": []}, "nav: 0 values"),
        ({"schema_version": 1}, "run the backtest again"),
    ],
)
def test_what_is_not_as_it_has_to_be_is_named(lived, month, tmp_path, change, told):
    """A strategy of one signal, another configuration, a market left out, other data, a longer span."""
    (found, *_) = problems(lived / "data", changed(lived, tmp_path / "result.json", **change))
    assert told in found


def test_kinder_fills_and_more_capital_do_not_count(lived, month, tmp_path):
    """As configured, both; each deviation in words."""
    out = tmp_path / "kind"
    asked = ("backtest", "policy", "--repo", str(lived / "data"), "--fills", "optimistic", "--out", str(out))
    assert called(*asked).code == 0
    found = problems(lived / "data", out / "result.json")
    assert found and all(each.startswith("fill_model.") and "as configured" in each for each in found)
    value = json.loads((lived / "results/one/result.json").read_bytes())
    richer = {name: [f"{float(each) + 5:.8f}" for each in value[name]] for name in ("nav",)}
    file = changed(lived, tmp_path / "rich.json", capital=f"{float(value['capital']) + 5:.8f}", **richer)
    (only,) = problems(lived / "data", file)
    assert only.startswith("capital 10005")


def test_hours_that_were_left_out_at_the_start_are_named(lived, month, tmp_path):
    """The beginning is the configuration's first hour, not the operator's choice."""
    asked = ("backtest", "policy", "--repo", str(lived / "data"), "--from", str(START.plus(3)))
    assert called(*asked, "--out", str(tmp_path)).code == 0
    first, *_ = problems(lived / "data", tmp_path / "result.json")
    assert first.startswith(f"begins {START.plus(3)}, expected {START}, the first hour under this config")
    assert first.endswith(": hours are left out")


def test_a_repository_that_lost_an_hour_cannot_vouch_for_it(lived, month, tmp_path):
    """A changed snapshot is another digest; the result is held against what is there now."""
    root = Path(shutil.copytree(lived / "data", tmp_path / "data", ignore=shutil.ignore_patterns(".git")))
    file = next(each for each in sorted((root / "snapshots").rglob("*.json")) if "ETH" in str(each))
    file.write_bytes(file.read_bytes()[:-20])
    (only,) = problems(root, lived / "results/one/result.json")
    assert "cannot be read from the repository" in only or "not the hours of this repository" in only


def test_the_first_hour_of_a_configuration_is_found_behind_holes(lived, tmp_path):
    """A pause of paper does not move it; another configuration before it does."""
    root = Path(shutil.copytree(lived / "data", tmp_path / "data", ignore=shutil.ignore_patterns(".git")))
    newest = newest_desk(root)
    assert newest is not None and in_force_since(root, newest) == START
    (root / desk_path(START.plus(7))).unlink()
    assert in_force_since(root, newest) == START
    assert gate_report(root).first == START.plus(8)
    other = newest.model_copy(update={"config_hash": "sha256:" + "00" * 32})
    assert in_force_since(root, other) == Hour.parse(newest.hour)


def test_without_an_hour_of_the_desk_nothing_counts(lived, tmp_path):
    """Nothing to hold it against: said, and the item is missing."""
    (tmp_path / "data").mkdir()
    report = gate_report(tmp_path / "data", backtests=[lived / "results/one/result.json"])
    assert [each.problems for each in report.backtests] == [(NO_HOUR,)]
    assert any(NO_HOUR in each.found for each in report.lacks)
