"""KPIs of a backtest: trades with interval and n, and advice as it was known by the end of the span."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path

import pytest

from backtest.kpis import AdviceRules, advice_kpis, trade_kpis
from backtest.report import html
from backtest.result import read_result
from decisions.intervals import Z, wilson
from market.orders import CASH_SCALE
from tests.backtest.pages import page_of
from tests.backtest.samples import sample_result, sample_trades
from tests.cycle.house import START, house
from tests.cycle.test_decisions import LOOSE, run_grid
from tests.daemon.calls import called

HOURS, FIRST_HOURS = 26, 12
KEY = "ETH-USDT"


def test_each_figure_of_trades_has_its_interval_and_n():
    """Twelve trades of the sample by hand: Wilson for shares, the normal interval for means."""
    trades = sample_trades()
    found = trade_kpis(trades, 336)
    won = sum(each.won for each in trades)
    low, high = wilson(won / 12, 12)
    assert found["win_rate"] == {
        "value": round(won / 12, 6),
        "low": round(low, 6),
        "high": round(high, 6),
        "n": 12,
        "target": None,
        "stretch": None,
        "meets": None,
        "note": "insufficient: 12 of 30 cases",
    }
    nets = [each.net / CASH_SCALE for each in trades]
    mean = sum(nets) / 12
    half = Z * (sum((net - mean) ** 2 for net in nets) / 11 / 12) ** 0.5
    told = found["mean_net"]
    assert [told["value"], told["low"], told["high"]] == pytest.approx([mean, mean - half, mean + half], 1e-4)
    assert found["stopped_rate"]["value"] == pytest.approx(sum(net < 0 for net in nets) / 12, abs=1e-6)
    gained, lost = sum(net for net in nets if net > 0), -sum(net for net in nets if net < 0)
    assert found["gain_to_loss"]["value"] == pytest.approx(gained / lost, abs=1e-6)
    assert found["gain_to_loss"]["low"] is None
    assert (found["trades_per_week"]["value"], found["trades_per_week"]["n"]) == (6.0, 12)
    assert found["mean_r"]["n"] == found["held_median"]["n"] == 12
    assert found["held_median"]["low"] <= found["held_median"]["value"] <= found["held_median"]["high"]


def test_nothing_is_0_for_want_of_cases():
    """No trade: no value but the rate of none a week; one trade: a mean without an interval."""
    none = trade_kpis((), 168)
    assert {name: each["value"] for name, each in none.items() if each["value"] is not None} == {
        "trades_per_week": 0.0
    }
    one = trade_kpis(sample_trades(1), 168)
    assert one["mean_net"]["value"] > 0 and one["mean_net"]["low"] is None
    assert one["gain_to_loss"]["value"] is None
    assert "1 without a loss among them" in one["gain_to_loss"]["note"]
    enough = trade_kpis(sample_trades(30), 168)
    assert all(each["note"] == "" for each in enough.values())


def test_the_page_shows_every_kpi_with_its_n():
    """Value, interval and n of trades; of recorded advice as well where there is some."""
    value = sample_result().as_value()
    advised = {"value": 0.5, "low": 0.2, "high": 0.8, "n": 4, "target": 0.95, "stretch": None}
    value["kpis"]["advice"] = {
        "from": "2026-02-02T00:00:00Z",
        "to": "2026-02-05T00:00:00Z",
        "kpis": {
            "SLAR": {**advised, "meets": False, "note": "insufficient: <4> of 10 cases"},
            "FER": {**advised, "target": None, "low": None, "high": None, "meets": None, "note": ""},
            "MEC": {**advised, "meets": True, "note": ""},
        },
        "runs": 4,
        "answered": 1,
    }
    tables = page_of(value).tables
    _, *rows = tables["KPIs of the closed trades"]
    assert {row[0].text: int(row[3].text) for row in rows} == {
        name.replace("_", " "): each["n"] for name, each in value["kpis"]["trades"].items()
    }
    won = next(row for row in rows if row[0].text == "win rate")
    assert float(won[1].exact) == value["kpis"]["trades"]["win_rate"]["value"]
    _, *rows = tables["KPIs of the recorded advice: 4\u00a0runs of grids, 1\u00a0answered recommendation"]
    assert [[cell.text for cell in row] for row in rows] == [
        ["FER", "0.500", "–", "4", "–", "–", ""],
        ["MEC", "0.500", "0.200 to 0.800", "4", "0.95", "yes", ""],
        ["SLAR", "0.500", "0.200 to 0.800", "4", "0.95", "no", "insufficient: <4> of 10 cases"],
    ]


@pytest.fixture(scope="module")
def repositories(tmp_path_factory) -> tuple[Path, Path]:
    """A repository with a running grid after 12 hours, and the same one after 26."""
    folder = tmp_path_factory.mktemp("lived")

    async def live() -> None:
        async with house(folder, **LOOSE) as there:
            await run_grid(there, 2000, 2200, START)
            await there.hours(START, FIRST_HOURS)
            shutil.copytree(folder / "data", folder / "early", ignore=shutil.ignore_patterns(".git"))
            await there.hours(START.plus(FIRST_HOURS), HOURS - FIRST_HOURS)

    asyncio.run(live())
    return folder / "early", folder / "data"


def test_the_advice_is_counted_as_regimed_kpis_counts_it(repositories):
    """The same code, the same figures over the same hours."""
    _, whole = repositories
    told = json.loads(called("kpis", "--repo", str(whole), "--format", "json").out)
    found = advice_kpis(whole, [KEY], START, START.plus(HOURS), AdviceRules())
    assert found is not None and found["kpis"] == told["kpis"] | {
        "alerts_per_week": found["kpis"]["alerts_per_week"]
    }
    assert found["runs"] == 1 and found["kpis"]["FER_random"]["note"]


def test_what_is_recorded_later_changes_nothing(repositories):
    """Twelve hours read from a repository of twelve and from one that went on: the same figures."""
    early, whole = repositories
    first = advice_kpis(early, [KEY], START, START.plus(FIRST_HOURS), AdviceRules())
    assert first is not None
    assert first == advice_kpis(whole, [KEY], START, START.plus(FIRST_HOURS), AdviceRules())


def test_hours_without_a_grid_have_no_kpis_of_advice(repositories):
    """Another market, and hours before the grid began: None, not zeros."""
    _, whole = repositories
    assert advice_kpis(whole, ["BTC-USDT"], START, START.plus(HOURS), AdviceRules()) is None
    assert advice_kpis(whole, [KEY], START.plus(-20), START.plus(-10), AdviceRules()) is None


def test_a_backtest_of_a_repository_tells_both(repositories, tmp_path):
    """In the JSON, in the page and in print; `regimed report` makes the same page."""
    _, whole = repositories
    asked = ("backtest", "policy", "--repo", str(whole), "--from", str(START.plus(2)))
    done = called(*asked, "--out", str(tmp_path / "one"))
    assert done.code == 0, done.err
    assert "KPIs of the recorded advice" in done.out and "win_rate" in done.out and "SLAR" in done.out
    assert done.out.endswith(
        f"written: {tmp_path / 'one/result.json'}\nwritten: {tmp_path / 'one/report.html'}\n"
    )
    data = (tmp_path / "one/result.json").read_bytes()
    value = read_result(data, "result.json")
    assert value["kpis"]["advice"]["from"] == START.plus(2).opens_at.isoformat().replace("+00:00", "Z")
    assert (tmp_path / "one/report.html").read_text() == html(value)
    assert called("report", str(tmp_path / "one/result.json"), "--out", str(tmp_path / "two")).code == 0
    for name in ("result.json", "report.html"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
