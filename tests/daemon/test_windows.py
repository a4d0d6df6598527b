"""What the analysis service reads from repositories and recorded candles, and what `analyze` tells."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from daemon.commands.reading import analyze
from daemon.commands.sharing import Finding
from daemon.windows import RecordedHours, RepositoryHours
from decisions.inputs import HourInputs
from market.errors import DataInvalid, RepositoryUnusable
from market.hours import Hour, Timeframe, hours_between
from regime.service import BadHour, RegimeAnalysisService
from store.paths import metrics_path
from store.recorded import RecordedMarket
from store.recorded_windows import RecordedWindows
from tests.store.samples import FIRST, KEY, TIMEFRAMES, HandClock, judged, opened, run_hour

HOURS = hours_between(FIRST, FIRST.plus(6))
BAD = FIRST.plus(3)


@pytest.fixture
async def repository(tmp_path: Path) -> Path:
    """Return a data repository with six judged hours."""
    clock = HandClock(FIRST.opens_at + timedelta(minutes=1))
    store = await opened(tmp_path, clock)
    for hour in HOURS:
        await run_hour(store, clock, hour)
    await store.aclose()
    return tmp_path / "data"


def source_of(repository: Path) -> RepositoryHours:
    return RepositoryHours(repository, max_missing_minutes=3, timeframes=TIMEFRAMES)


def snapshot_of(repository: Path, hour: Hour) -> Path:
    return repository / "snapshots" / KEY / f"{hour.opens_at:%Y/%m/%d/%H}.json"


@contextmanager
def torn(path: Path) -> Iterator[None]:
    """Cut a file in two, and mend it."""
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    yield
    path.write_bytes(whole)


def test_a_repository_gives_each_hour_what_it_knew(repository: Path):
    """Range and single hours, in one go or by day: the inputs that the record names."""
    source = source_of(repository)
    found = list(source.windows(KEY, HOURS))
    assert all(isinstance(each, HourInputs) for each in found)
    assert [each.hour for each in found] == HOURS
    for hour, each in zip(HOURS, found, strict=True):
        (alone,) = source_of(repository).windows(KEY, [hour])
        assert isinstance(each, HourInputs)
        assert isinstance(alone, HourInputs)
        assert alone.window.digest() == each.window.digest()
        record = source.record(KEY, hour)
        assert record is not None
        assert record.inputs.window_digest == each.window.digest()
    assert source.judged_hours(KEY) == tuple(HOURS)
    assert source.newest(KEY) == HOURS[-1]
    assert list(source.windows(KEY, [])) == []


def test_a_torn_snapshot_is_a_bad_hour_and_no_other(repository: Path):
    """It is named with its file and reason; mended, the next reading has it."""
    source = source_of(repository)
    with torn(snapshot_of(repository, BAD)):
        found = list(source.windows(KEY, HOURS))
        (bad,) = (each for each in found if isinstance(each, BadHour))
        assert (bad.key, bad.hour) == (KEY, BAD)
        assert f"snapshots/{KEY}/2026/02/02/03.json" in bad.reason
        assert list(source.windows(KEY, [BAD])) == [bad]
        assert [each.hour for each in found] == HOURS
    (mended,) = source.windows(KEY, [BAD])
    (fresh,) = source_of(repository).windows(KEY, [BAD])
    assert isinstance(mended, HourInputs)
    assert isinstance(fresh, HourInputs)
    assert mended.window.digest() == fresh.window.digest()


def test_a_torn_record_is_a_bad_hour(repository: Path):
    """When it was judged is not known then, so it is not guessed."""
    with torn(repository / metrics_path(KEY, BAD)):
        found = RegimeAnalysisService(source_of(repository), judged).analyze_range(KEY, FIRST, FIRST.plus(6))
        reasons = {each.hour: each.reason for each in found if isinstance(each, BadHour)}
    assert list(reasons) == [BAD]
    assert metrics_path(KEY, BAD) in reasons[BAD]
    assert (found.summary.analysed, len(found.summary.bad)) == (5, 1)


def test_a_market_without_hours_has_no_newest_one(repository: Path, tmp_path: Path):
    """Neither has a folder that is not there."""
    with pytest.raises(DataInvalid, match="no hour of this market was collected"):
        source_of(repository).newest("BTC-USDT")
    with pytest.raises(RepositoryUnusable):
        source_of(tmp_path / "nowhere")


def test_recorded_candles_give_each_hour_what_was_closed_by_its_end(recorded_data: Path):
    """And the last recorded hour is the newest."""
    market = RecordedMarket("KUCOIN", KEY, {Timeframe.H1: recorded_data / "KUCOIN_ETH-USDT_1h.parquet"})
    windows = RecordedWindows(market, {Timeframe.H1: 30})
    source = RecordedHours({KEY: windows})
    hour = Hour.parse("2025-06-01T05")
    (found,) = source.windows(KEY, [hour])
    assert (found.hour, found.known_at, found.has_bar) == (hour, hour.closes_at, True)
    assert found.window.digest() == windows.window(hour).digest()
    assert source.newest(KEY) == windows.hours[1].plus(-1)


def test_analyze_tells_bad_hours_and_ends_with_code_1(repository: Path, capsys: pytest.CaptureFixture[str]):
    """Each in its own row, and in the summary; the other hours are judged."""
    with torn(snapshot_of(repository, BAD)), pytest.raises(Finding) as ended:
        analyze(KEY, repo=repository, as_of="now")
    assert ended.value.code == 1
    out = capsys.readouterr().out
    assert "6 hours: 5 insufficient, 1 bad\n" in out
    assert f"bad: {KEY} {BAD}: snapshots/" in out
    with torn(snapshot_of(repository, BAD)), pytest.raises(Finding):
        analyze(KEY, repo=repository, as_of="now", form="json")
    told = capsys.readouterr()
    rows = json.loads(told.out)
    assert [row["hour"] for row in rows] == [str(hour) for hour in HOURS]
    assert [row["outcome"] for row in rows].count("bad") == 1
    assert rows[3]["record"] is None
    assert "6 hours: 5 insufficient, 1 bad" in told.err


def test_a_record_that_names_an_unknown_configuration_is_a_bad_hour(
    repository: Path, capsys: pytest.CaptureFixture[str]
):
    """It cannot be judged as it was; nothing else is put in its place."""
    with pytest.raises(Finding):
        analyze(KEY, repo=repository)
    out = capsys.readouterr().out
    assert "6 hours: 6 bad" in out
    assert out.count("the configuration that a record names is not usable") >= 6


def test_a_json_list_of_no_hours_is_empty(recorded_data: Path, capsys: pytest.CaptureFixture[str]):
    """Written row by row, it is still one JSON document."""
    analyze(KEY, last="2020-01-01T00", data=recorded_data, form="json")
    assert json.loads(capsys.readouterr().out) == []
    hour = "2025-06-01T00"
    analyze(KEY, hour=hour, data=recorded_data, form="json")
    (row,) = json.loads(capsys.readouterr().out)
    assert row["record"]["regime_analysis"]["components"]["simplified_regime"] == "TREND_DOWN"
    analyze(KEY, hour=hour, data=recorded_data)
    assert "1 hour: 1 analysed" in capsys.readouterr().out
