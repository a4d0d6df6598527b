"""Rows from files: whatever is asked for at once, each hour has the row of its own window."""

from __future__ import annotations

from pathlib import Path

import pytest

from market.hours import Hour, Timeframe
from regime.config import RegimeConfig
from regime.engine import RegimeEngine
from regime.series import ON_REQUEST, STORED, RegimeRows
from store.reader import SnapshotReader
from store.regime_rows import (
    EVERYTHING,
    RepositoryRegimes,
    SeriesPart,
    changed_from,
    market_keys,
    own_rows,
    recorded_span,
)
from tests.store.markets import COARSE_END, FIRST, KEY, coarse_files, hour_file, hour_files, lay

CONFIG = RegimeConfig()
END = COARSE_END.plus(30)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("market")
    lay(root, coarse_files() | hour_files(30))
    return root


def regimes(root: Path) -> RepositoryRegimes:
    return RepositoryRegimes(root, RegimeEngine(CONFIG), max_missing_minutes=3)


def own(root: Path, hour: Hour, timeframe: Timeframe) -> RegimeRows:
    """The definition: the newest rows of the hour's own window, as the daemon reads it."""
    engine = RegimeEngine(CONFIG)
    reader = SnapshotReader(root, max_missing_minutes=3)
    window = reader.load_window(KEY, hour, engine.timeframes(), EVERYTHING)
    return own_rows(engine, window, timeframe)


@pytest.mark.parametrize("timeframe", STORED)
def test_months_at_once_are_the_hours_one_by_one(folder: Path, timeframe: Timeframe):
    """Around the turn of a month, in the middle, and where minutes follow the coarse bars."""
    part = regimes(folder).part(KEY, timeframe, FIRST.open_ts, END.open_ts)
    assert (
        len(part.bars) * timeframe.seconds
        == END.open_ts // timeframe.seconds * timeframe.seconds - FIRST.open_ts
    )
    assert part.rows.ts[-1] == part.bars.ts[-1]
    turn = Hour.parse("2024-06-01T00")
    for first in (turn.plus(-4), Hour.parse("2024-05-13T20"), COARSE_END.plus(-4), END.plus(-6)):
        for step in range(12):
            hour = first.plus(step)
            if hour.close_ts % timeframe.seconds == 0 and hour < END:
                told = part.rows.between(hour.close_ts - max(3600, timeframe.seconds), hour.close_ts)
                assert len(told) and told.same_as(own(folder, hour, timeframe))


@pytest.mark.parametrize("timeframe", ON_REQUEST)
def test_minutes_have_rows_a_day_at_a_time(folder: Path, timeframe: Timeframe):
    """1m and 5m too, from the hundredth bar on."""
    part = regimes(folder).part(KEY, timeframe, COARSE_END.open_ts, END.open_ts)
    assert len(part.bars) == 30 * 3600 // timeframe.seconds
    assert part.rows.ts[0] == part.bars.ts[99]
    hour = END.plus(-1)
    reader = SnapshotReader(folder, max_missing_minutes=3)
    window = reader.load_window(KEY, hour, {Timeframe.H1: 21, timeframe: 21}, EVERYTHING)
    assert own_rows(RegimeEngine(CONFIG), window, timeframe).same_as(
        part.rows.between(hour.open_ts, hour.close_ts)
    )


def test_a_part_is_the_same_however_it_is_cut(folder: Path):
    """Asked for in two pieces, rows and bars join to the whole."""
    whole = regimes(folder).part(KEY, Timeframe.H1, FIRST.open_ts, END.open_ts)
    middle = Hour.parse("2024-04-17T05").open_ts
    one = regimes(folder).part(KEY, Timeframe.H1, FIRST.open_ts, middle)
    two = regimes(folder).part(KEY, Timeframe.H1, middle, END.open_ts)
    joined = one.followed_by(two)
    assert joined.rows.same_as(whole.rows)
    assert joined.bars.close.tolist() == whole.bars.close.tolist()
    assert whole.between(middle, END.open_ts).rows.same_as(two.rows)


def test_it_stops_when_there_is_enough(folder: Path):
    """A page of a long range computes the months it needs."""
    part = regimes(folder).part(
        KEY, Timeframe.H4, FIRST.open_ts, END.open_ts, lambda told: len(told.rows) > 10
    )
    assert part.rows.ts[-1] < Hour.parse("2024-02-01T00").open_ts


def test_an_hour_that_came_late_is_read_when_noticed(tmp_path: Path):
    """The row of an hour that was there in part follows the complete one."""
    lay(tmp_path, coarse_files())
    lay(tmp_path, hour_files(2) | hour_file(COARSE_END.plus(2), missing=30))
    source, hour = regimes(tmp_path), COARSE_END.plus(2)
    before = source.part(KEY, Timeframe.H1, COARSE_END.open_ts, hour.close_ts)
    assert len(before.bars) == 2  # half an hour gives no bar
    source.notice(lay(tmp_path, hour_file(hour)))
    after = source.part(KEY, Timeframe.H1, COARSE_END.open_ts, hour.close_ts)
    assert len(after.bars) == 3
    (tmp_path / next(iter(hour_file(hour)))).unlink()
    source.notice(hour_file(hour))
    assert len(source.part(KEY, Timeframe.H1, COARSE_END.open_ts, hour.close_ts).bars) == 2


def test_a_file_that_cannot_be_read_counts_as_not_there(tmp_path: Path):
    """And its reason is told once."""
    lay(tmp_path, coarse_files() | dict.fromkeys(hour_files(1), b"{}"))
    source = regimes(tmp_path)
    assert len(source.part(KEY, Timeframe.H1, COARSE_END.open_ts, COARSE_END.close_ts).bars) == 0
    assert len(source.faults()) == 1 and source.faults() == []


def test_finer_scales_win():
    """Parts of different scales join in the finer one."""
    none = SeriesPart.none(Timeframe.H1)
    assert none.followed_by(none.rescaled(100, 1000)).price_scale == 100


def test_a_span_is_told_by_names(folder: Path, tmp_path: Path):
    """Snapshots to the hour, months of candles to their end or to what their name says."""
    assert recorded_span(folder, KEY) == (FIRST.open_ts, END.open_ts)
    for timeframe in STORED:
        assert recorded_span(folder, KEY, timeframe) == (FIRST.open_ts, END.open_ts)
    assert recorded_span(folder, KEY, Timeframe.M1) == (COARSE_END.open_ts, END.open_ts)
    assert recorded_span(folder, KEY, Timeframe.M5) == (COARSE_END.open_ts, END.open_ts)
    assert recorded_span(folder, "SOL-USDT") is None
    (tmp_path / "snapshots" / "not a key!").mkdir(parents=True)
    lay(tmp_path, hour_file(COARSE_END, "SOL-USDT"))
    assert market_keys(tmp_path) == ["SOL-USDT"] and market_keys(folder) == [KEY]
    assert recorded_span(tmp_path, "SOL-USDT") == (COARSE_END.open_ts, COARSE_END.close_ts)


def test_changes_are_told_by_paths():
    """The earliest one of each market; what is no market data changes nothing."""
    hour = f"snapshots/{KEY}/2024/06/10/05.json"
    assert changed_from([hour, f"snapshots/{KEY}/2024/06/10/04.partial-2.json"]) == {
        KEY: COARSE_END.plus(4).open_ts
    }
    assert changed_from(
        [hour, f"candles/{KEY}/4h/2024-05.json", "candles/SOL-USDT/1h/2024-06.to-02T00.json"]
    ) == {
        KEY: Hour.parse("2024-05-01T00").open_ts,
        "SOL-USDT": Hour.parse("2024-06-01T00").open_ts,
    }
    assert changed_from(["metrics/ETH-USDT/2024-06-10-05.yaml", "README.md"]) == {}
