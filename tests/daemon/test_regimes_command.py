"""`regimed regimes` as a person calls it: whatever the index holds, the answer is that of the files."""

from __future__ import annotations

import builtins
import csv
import io
import json
import re
import shutil

import pytest
from pyarrow import parquet
from rich.console import Console

from market.hours import Timeframe, parse_instant
from tests.cycle.house import START, house
from tests.daemon.calls import Called, called
from tests.daemon.histories import (
    BTC,
    CONDITIONS,
    ETH,
    fill,
    index_file,
    plain_bins,
    plain_periods,
    plain_rows,
    two_markets,
)
from tests.daemon.regimes import direct

STORED_HINT = "`regimed index rebuild` or a running daemon stores them"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return two_markets(tmp_path_factory.mktemp("markets"))


@pytest.fixture(scope="module")
def eth(root):
    """All 1h rows and bars of a market, computed from the files."""
    return direct(root, Timeframe.H1, ETH)


def ask(root, *arguments: str) -> Called:
    return called("regimes", *arguments, "--repo", str(root))


def told(root, *arguments: str):
    done = ask(root, *arguments, "--format", "json")
    assert done.code == 0, done.err
    return json.loads(done.out)


def the(rows, *names):
    return [{name: row[name] for name in names} for row in rows]


@pytest.mark.parametrize("condition", CONDITIONS)
def test_rows_are_those_of_the_files_in_every_condition_of_the_index(root, eth, condition):
    """Absent, current, half filled or stale: the same rows, and stderr says how many were computed."""
    fill(root, condition)
    plain = plain_rows(eth)
    before = index_file(root).read_bytes() if condition != "absent" else b""
    done = ask(root, ETH, "1h", "--format", "json")
    rows = json.loads(done.out)
    assert the(rows, *plain[0]) == plain
    computed = sum(row["source"] == "computed" for row in rows)
    if condition == "current":
        assert (computed, done.err) == (0, "")
    else:
        assert f"{len(rows) - computed} rows stored, {computed} computed from the files" in done.err
        assert (STORED_HINT if condition != "absent" else "`regimed index rebuild`") in done.err
        assert (computed < len(rows)) == (condition == "half")
    assert (index_file(root).read_bytes() if condition != "absent" else b"") == before


def test_filters_and_the_half_open_span_choose_rows(root, eth):
    """--simplified, --verdict, --min-confidence, --since and --until equal a loop over all rows."""
    fill(root, "half")
    since, until = "2024-02-18T05", "2024-03-01"
    wanted = [
        row
        for row in plain_rows(eth)
        if "2024-02-18T05:00:00Z" <= row["open_time"] < "2024-03-01T00:00:00Z"
        and row["simplified_regime"] == "TREND_UP"
        and row["confidence"] >= 0.7
    ]
    assert len(wanted) > 5
    chosen = ("--simplified", "TREND_UP", "--min-confidence", ".7", "--since", since, "--until", until)
    assert the(told(root, ETH, "1h", *chosen), *wanted[0]) == wanted
    assert the(told(root, ETH, "1h", *chosen, "--limit", "3"), *wanted[0]) == wanted[:3]
    judged = [row for row in plain_rows(eth) if row["verdict"] == "TRANSITION"]
    assert judged and the(told(root, ETH, "1h", "--verdict", "TRANSITION"), *judged[0]) == judged


@pytest.mark.parametrize("condition", CONDITIONS)
def test_periods_transitions_and_stats_are_those_of_the_files(root, eth, condition):
    """Each equals what walking from row to row finds."""
    fill(root, condition)
    plain = plain_periods(eth)
    assert told(root, ETH, "1h", "--periods") == plain
    assert told(root, ETH, "1h", "--periods", "--limit", "7") == plain[:7]
    ups = [period for period in plain if period["simplified_regime"] == "TREND_UP"]
    assert told(root, ETH, "1h", "--periods", "--simplified", "TREND_UP") == ups
    changes = [period for period in ups if period["previous_regime"] == "CHOPPY"]
    assert changes and told(root, ETH, "1h", "--transitions", "CHOPPY:TREND_UP") == changes
    stats = told(root, ETH, "1h", "--stats")
    assert stats["rows"] == len(eth.rows)
    assert stats["confidence"]["all"] == plain_bins(plain_rows(eth))
    assert stats["distribution"]["TREND_UP"]["periods"] == len(ups)


def test_what_was_computed_of_stats_and_periods_is_said(root):
    """Numbers for stats, an instant for periods; nothing where all was stored; 5m is never stored."""
    fill(root, "half")
    done = ask(root, ETH, "1h", "--stats", "--format", "json")
    stored = sum(row["source"] == "stored" for row in told(root, ETH, "1h"))
    rows = json.loads(done.out)["rows"]
    assert f"{stored} rows stored, {rows - stored} computed" in done.err
    periods = ask(root, ETH, "1h", "--periods", "--limit", "1")
    assert (
        "what opens from 2024-02-20T00:00:00Z on was computed" in periods.err and STORED_HINT in periods.err
    )
    assert ask(root, ETH, "1h", "--periods", "--until", "2024-02-01").err == ""
    before = ask(root, ETH, "1h", "--since", "2023-01-01", "--until", "2023-02-01")
    assert "ETH-USDT 1h is recorded from 2024-01-01T00:00:00Z on" in before.err
    after = ask(root, ETH, "1h", "--since", "2031-01-01", "--until", "2031-02-01")
    assert re.search(r"ETH-USDT 1h is recorded to 2024-\S+Z; nothing is known of the time after", after.err)
    five = ask(root, ETH, "5m", "--limit", "1")
    assert "5m is never stored" in five.err and STORED_HINT not in five.err


def test_every_page_is_walked(root, eth, monkeypatch):
    """Without --limit everything comes, however small the pages are."""
    fill(root, "half")
    monkeypatch.setattr("daemon.commands.regimes.PAGE", 50)
    assert the(told(root, ETH, "1h"), "open_time") == the(plain_rows(eth), "open_time")
    assert len(told(root, ETH, "1h", "--limit", "120")) == 120


def test_a_file_is_written_in_the_format_that_it_is_named_for(root, eth, tmp_path):
    """A notebook that opens what the handbook says to write finds Parquet there, no table of words."""
    for name in ("rows.parquet", "rows.csv", "rows.json", "rows.txt"):
        assert ask(root, ETH, "1h", "--out", str(tmp_path / name)).code == 0
    count = parquet.read_table(tmp_path / "rows.parquet").num_rows
    assert count == len((tmp_path / "rows.csv").read_text().splitlines()) - 1 > 0
    assert (tmp_path / "rows.json").read_text().startswith(("{", "["))
    assert (tmp_path / "rows.txt").read_text().startswith("open time")


def test_csv_parquet_and_files_hold_the_same_rows(root, eth, tmp_path):
    """csv with a header on stdout or in a file, parquet with typed columns; no half-written file stays."""
    fill(root, "current")
    plain = plain_rows(eth)
    done = ask(root, ETH, "1h", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(done.out)))
    assert [row["open_time"] for row in rows] == [row["open_time"] for row in plain]
    assert [row["verdict"] or None for row in rows] == [row["verdict"] for row in plain]
    assert "colour" not in rows[0]
    out = tmp_path / "rows.csv"
    assert ask(root, ETH, "1h", "--format", "csv", "--out", str(out)).out == ""
    assert out.read_text() == done.out
    assert ask(root, ETH, "1h", "--format", "parquet", "--out", str(tmp_path / "rows.parquet")).code == 0
    table = parquet.read_table(tmp_path / "rows.parquet")
    assert table.column("open_time").to_pylist() == [parse_instant(row["open_time"]) for row in plain]
    assert table.column("confidence").to_pylist() == [row["confidence"] for row in plain]
    assert table.column("verdict").to_pylist() == [row["verdict"] for row in plain]
    periods = tmp_path / "periods.parquet"
    assert ask(root, ETH, "1h", "--periods", "--format", "parquet", "--out", str(periods)).code == 0
    read = parquet.read_table(periods).to_pylist()
    assert [row["bars"] for row in read] == [row["bars"] for row in plain_periods(eth)]
    assert read[-1]["ongoing"] is True
    assert ask(root, "XRP-USDT", "1h", "--format", "csv", "--out", str(tmp_path / "no.csv")).code == 2
    assert ask(root, "XRP-USDT", "1h", "--format", "parquet", "--out", str(tmp_path / "no.p")).code == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["periods.parquet", "rows.csv", "rows.parquet"]


def test_tables_are_plain_in_a_pipe(root):
    """No escape codes; the letter says what the colour would; statistics show the matrix."""
    fill(root, "current")
    rows = ask(root, ETH, "1h", "--since", "2024-03-01", "--until", "2024-03-02").out
    assert "\x1b" not in rows and len(rows.splitlines()) == 25 and "stored" in rows
    assert any(f"{name[0]} {name}" in rows for name in ("RANGE", "CHOPPY", "NEUTRAL"))
    assert ask(root, ETH, "1h", "--periods", "--limit", "2").out.splitlines()[0].split()[:3] == [
        "start",
        "end",
        "regime",
    ]
    stats = ask(root, ETH, "4h", "--stats").out
    assert "from \\ to" in stats and "0.95 to 1.00" in stats
    assert told(root, ETH, "1h", "--since", "2025-01-01") == []


def test_a_terminal_sees_colours(root, monkeypatch):
    """Each regime in its own colour of the legend."""
    fill(root, "current")
    monkeypatch.setattr(
        "daemon.commands.regimes.console",
        lambda: Console(force_terminal=True, color_system="truecolor", width=200),
    )
    assert "\x1b[38;2;0;158;115mU TREND_UP" in ask(root, ETH, "1h", "--simplified", "TREND_UP").out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("../x", "1h"), "'../x' is not a market key"),
        (("x'; DROP TABLE series;--", "1h"), "is not a market key"),
        ((ETH, "2h"), "TIMEFRAME: found '2h', expected 1m, 5m, 15m, 1h or 4h"),
        ((ETH, "1h", "--simplified", "up"), "--simplified: found 'up', expected NEUTRAL, TREND_UP"),
        ((ETH, "1h", "--verdict", "OK"), "--verdict: found 'OK', expected RANGE_OK"),
        ((ETH, "4h", "--verdict", "TREND"), "--verdict: 4h bars have no verdict"),
        (
            (ETH, "1h", "--min-confidence", "1.5"),
            "--min-confidence: found 1.5, expected a number from 0 to 1",
        ),
        ((ETH, "1h", "--since", "yesterday"), "--since: found 'yesterday', expected a time in UTC"),
        ((ETH, "1h", "--since", "2024-02-30"), "--since: found '2024-02-30', expected a time"),
        ((ETH, "1h", "--since", "2024-03-01", "--until", "2024-03-01"), "the first must lie before"),
        ((ETH, "1h", "--transitions", "CHOPPY"), "expected FROM:TO, for example CHOPPY:TREND_UP"),
        ((ETH, "1h", "--transitions", "CHOPPY:UP"), "--transitions: found 'UP', expected"),
        ((ETH, "1h", "--periods", "--stats"), "found several, expected one"),
        ((ETH, "1h", "--periods", "--min-confidence", ".5"), "--min-confidence: it chooses rows"),
        ((ETH, "1h", "--stats", "--simplified", "RANGE"), "--simplified: it chooses rows"),
        ((ETH, "1h", "--stats", "--format", "csv"), "expected --format is table or json"),
        ((ETH, "1h", "--format", "xml"), "--format: found 'xml', expected one of table, json, csv, parquet"),
        ((ETH, "1h", "--format", "parquet"), "name a file with --out"),
        ((ETH, "1h", "--out", "/nowhere/at/all"), "expected a file in a folder that is there"),
        (("XRP-USDT", "1h"), "KEY: no data of a market 'XRP-USDT'; known: BTC-USDT, ETH-USDT"),
    ],
)
def test_what_cannot_be_asked_is_named(root, arguments, words):
    """Each error names the option, what was found and what was expected; exit code 2, nothing on stdout."""
    done = ask(root, *arguments)
    assert (done.code, done.out) == (2, "") and words in done.err, done.err
    assert "Traceback" not in done.err


def test_a_folder_that_is_none_is_named(tmp_path):
    """No repository: exit code 2 and what to do."""
    done = ask(tmp_path / "none", ETH, "1h")
    assert done.code == 2 and "name a data repository" in done.err


def test_a_damaged_index_is_said_and_the_files_answer(root, eth):
    """An index that cannot be opened is no reason not to answer; it is left as it is."""
    fill(root, "absent")
    index_file(root).parent.mkdir()
    index_file(root).write_bytes(b"no database at all" * 400)
    done = ask(root, ETH, "1h", "--format", "json")
    assert len(json.loads(done.out)) == len(eth.rows)
    assert "regimed index rebuild" in done.err and str(index_file(root)) in done.err
    assert index_file(root).read_bytes() == b"no database at all" * 400
    fill(root, "absent")


def test_without_pyarrow_the_extra_is_named(root, tmp_path, monkeypatch):
    """Parquet says what to install; the other formats need nothing."""
    real = builtins.__import__

    def absent(name, *args, **kwargs):
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", absent)
    done = ask(root, ETH, "1h", "--format", "parquet", "--out", str(tmp_path / "x.parquet"))
    assert done.code == 2 and "regimed[data]" in done.err and not list(tmp_path.iterdir())


async def test_the_rules_are_those_of_the_newest_record_or_of_the_configuration(tmp_path):
    """--repo judges by the configuration that the newest record names; --config by its own."""
    changed = {"components": {"trending_adx": 27.5}}
    async with house(tmp_path, regime=changed) as there:
        await there.hours(START, 2)
    usual = tmp_path / "usual.yaml"
    usual.write_text((tmp_path / "config.yaml").read_text().replace("27.5", "20.0"))
    span = ("ETH-USDT", "1h", "--format", "json")
    by_record = called("regimes", *span, "--repo", str(tmp_path / "data"))
    by_config = called("regimes", *span, "--config", str(tmp_path / "config.yaml"))
    by_other = called("regimes", *span, "--repo", str(tmp_path / "data"), "--config", str(usual))
    assert by_record.code == by_config.code == by_other.code == 0, by_other.err
    assert json.loads(by_record.out) and by_record.out == by_config.out != by_other.out
    shutil.rmtree(tmp_path / "data" / "configs")
    lost = called("regimes", *span, "--repo", str(tmp_path / "data"))
    assert lost.code == 1 and "the configuration that a record names is not usable" in lost.err


def test_other_markets_and_timeframes_have_their_own_rows(root):
    """15m and 4h of the other market too."""
    fill(root, "current")
    for timeframe in (Timeframe.M15, Timeframe.H4):
        plain = plain_rows(direct(root, timeframe, BTC))
        assert the(told(root, BTC, timeframe.value), *plain[0]) == plain
