"""`regimed backtest` as a person calls it: a table, the same JSON twice, clear refusals."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from backtest.data import RecordedSource
from market.candles import Bars
from market.hours import Timeframe
from tests.cycle.processes import ROOT
from tests.daemon.calls import called

SPAN = ("--from", "2025-06-09T12", "--to", "2025-06-11T12")


@pytest.fixture(scope="module")
def asked(recorded_data) -> tuple[str, ...]:
    return (
        "backtest",
        "policy",
        "--key",
        "ETH-USDT",
        "--data",
        str(recorded_data),
        "--venue",
        "BINANCE",
        *SPAN,
    )


def test_the_file_the_json_and_a_second_run_are_the_same_bytes(asked, tmp_path):
    """Deterministic to the byte, wherever it is written."""
    first = called(*asked, "--out", str(tmp_path / "one"))
    second = called(*asked, "--out", str(tmp_path / "two"), "--format", "json")
    assert (first.code, second.code) == (0, 0), first.err + second.err
    data = (tmp_path / "one" / "result.json").read_bytes()
    assert data == (tmp_path / "two" / "result.json").read_bytes() == second.out.encode()
    value = json.loads(second.out)
    assert len(value["hours"]) == 48 and value["keys"] == ["ETH-USDT"]
    assert any("no configuration was named" in note for note in value["notes"])


def test_the_table_sets_the_account_beside_doing_nothing(asked):
    """Cash, hold and an always-on grid stand beside the strategy; few trades are said to be few."""
    done = called(*asked, "--bracket", "--seed", "3")
    assert done.code == 0, done.err
    for word in ("strategy", "cash", "hold", "always_on_grid", "pessimistic", "optimistic", "seed 3"):
        assert word in done.out
    assert "too few to tell" in done.out and "refused: " in done.out


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("--fills", "kind"), "expected pessimistic, expected, optimistic"),
        (("--from", "2025-06-12T00"), "must lie before"),
        (("--to", "2026-06-12T00"), "recorded are 2025-05-20T00 to 2025-07-27T00"),
        (("--to", "2025-06-09"), "--from 2025-06-09T12 --to 2025-06-09T00"),
        (("--from", "2025-06-31"), "'2025-06-31T00' is not an hour: day is out of range"),
        (("--key", "../x"), "../x"),
        (("--repo", "."), "--data or --repo"),
        (("--format", "xml"), "neither table nor json"),
        (("--data", "nowhere"), "no such file or folder"),
    ],
)
def test_what_cannot_be_run_is_refused_in_a_line(asked, change, told):
    """Usage: exit code 2, what was found and what was expected."""
    done = called(*asked, *change)
    assert done.code == 2 and told in done.err and "Traceback" not in done.err


def test_a_strategy_that_is_none_names_those_that_are(asked, tmp_path):
    """An unknown signal lists the known ones."""
    done = called(asked[0], "grit", *asked[2:], "--out", str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()
    assert done.code == 2 and "did you mean 'grid'" in done.err and "policy" in done.err


def test_recorded_candles_need_a_market_and_a_repository_a_folder(recorded_data, tmp_path):
    """Neither guesses."""
    assert "--key" in called("backtest", "grid", "--data", str(recorded_data)).err
    assert called("backtest", "grid", "--repo", str(tmp_path / "none")).code == 2
    empty = called("backtest", "grid", "--repo", str(tmp_path))
    assert empty.code == 1 and "no hour of any market" in empty.err


def test_a_folder_gets_the_page_of_the_result_too(asked, tmp_path):
    """The bytes that `regimed report` writes; a file in the folder's place is said before anything runs."""
    done = called(*asked, "--out", str(tmp_path / "made"))
    assert done.code == 0, done.err
    page = (tmp_path / "made/report.html").read_bytes()
    assert called("report", str(tmp_path / "made"), "--out", str(tmp_path / "told")).code == 0
    assert page == (tmp_path / "told/report.html").read_bytes()
    (tmp_path / "file").write_text("mine")
    refused = called(*asked, "--out", str(tmp_path / "file"))
    assert (refused.code, refused.err) == (
        2,
        f"regimed: --out: {tmp_path / 'file'} is a file; expected a folder\n",
    )


def test_a_run_that_sees_no_future_is_found_clean(asked):
    """The desk over a user's own candles: hours, cuts and the verdict in a line; the same as JSON."""
    done = called(*asked, "--check-lookahead", "--cuts", "2")
    assert (done.code, done.err) == (0, "")
    assert done.out == (
        "48 hours, 2 cuts, nothing and noise in place of the future: the past stays, whatever follows\n"
    )
    told = json.loads(called(*asked, "--check-lookahead", "--cuts", "1", "--format", "json").out)
    assert told == {
        "checked": {"hours": 48, "cuts": ["2025-06-10T12"], "futures": ["nothing", "noise"]},
        "leaks": [],
    }


def test_a_source_that_reads_an_hour_ahead_is_found_with_hour_and_field(asked, monkeypatch):
    """A planted leak: minutes at the next hour's prices. Named with its hour; exit code 1."""
    honest = RecordedSource._market

    def leaking(self, key, recorded, hour):
        market = honest(self, key, recorded, hour)
        later = recorded.bars(Timeframe.M1).between(hour.close_ts, hour.close_ts + 3600)
        if len(later) != 60:
            return market
        minutes = Bars(Timeframe.M1, market.inputs.minutes.ts, *later.columns()[1:])
        return replace(market, inputs=replace(market.inputs, minutes=minutes))

    monkeypatch.setattr(RecordedSource, "_market", leaking)
    done = called(*asked, "--check-lookahead", "--cuts", "6")
    assert done.code == 1, done.out + done.err
    *leaks, last = done.out.splitlines()
    assert leaks and all("knew what came 1 h or more after it began" in line for line in leaks)
    assert last.endswith(f": {len(leaks)} leaks")
    told = json.loads(called(*asked, "--check-lookahead", "--cuts", "6", "--format", "json").out)
    assert len(told["leaks"]) == len(leaks)
    assert {"hour", "cut", "future", "place", "words"} == set(told["leaks"][0])


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--check-live", "--check-lookahead"), "--check-live or --check-lookahead, not both"),
        (("--newest", "3"), "--newest is for --check-live"),
        (("--check-lookahead", "--cuts", "48"), "--cuts 48: expected fewer than the 48 hours"),
    ],
)
def test_a_look_ahead_check_that_cannot_be_made_is_refused(asked, arguments, told):
    """Usage: exit code 2."""
    done = called(*asked, *arguments)
    assert done.code == 2 and told in done.err


def test_a_repository_is_checked_against_its_records(tmp_path):
    """Its hours were judged before their future was there; the words name the check that uses that."""
    done = called("backtest", "policy", "--repo", str(tmp_path), "--check-lookahead")
    assert done.code == 2 and "--check-live compares with that" in done.err


def test_the_rules_that_are_checked_are_those_of_the_configuration(asked, tmp_path):
    """With one of its own a user's rules are made anew for each run; one that is none is refused before."""
    day = ("--to", "2025-06-10T12", "--check-lookahead", "--cuts", "1", "--config")
    done = called(*asked, *day, str(ROOT / "config/config.yaml"))
    assert done.code == 0 and done.out.startswith("24 hours, 1 cuts, "), done.err
    (tmp_path / "config.yaml").write_text("regime: {history: none}\n")
    refused = called(*asked, *day, str(tmp_path / "config.yaml"))
    assert refused.code == 2 and "history" in refused.err and not refused.out
