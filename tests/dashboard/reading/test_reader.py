"""Pages from real repositories: what they say is what the records say."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from dashboard.pages import Live, Tone
from dashboard.reading import PageReader
from market.errors import DataInvalid
from market.hours import Hour
from regime.config import METRICS
from store.paths import metrics_path, parse_metrics
from store.records import AnalysisYaml, MetricsFile, decode_metrics
from tests.cycle.house import START
from tests.dashboard.repositories import GRID, KEY

DAY = date(2026, 1, 5)


def record_of(root: Path, key: str, hour: Hour) -> MetricsFile:
    path = metrics_path(key, hour)
    return decode_metrics((root / path).read_bytes(), path, parse_metrics(path))


def live(at: datetime, **stale: str) -> Live:
    return Live(at, "pass", (), (), stale, may_answer=True)


def same(line: float, recorded: float | None) -> bool:
    return math.isnan(line) if recorded is None else line == recorded


def test_every_hour_of_a_page_says_what_its_metrics_file_says(leaving_root):
    """Verdict, regime, range, T, p, confidence and all six metrics of every hour equal the record."""
    page = PageReader(leaving_root, ()).day(KEY, DAY)
    lines = {series.name: series.values for series in page.metrics}
    assert [Hour.of_ts(int(ts)) for ts in page.hours_ts] == [START.plus(i) for i in range(8)]
    for place, ts in enumerate(page.hours_ts):
        hour = Hour.of_ts(int(ts))
        record = record_of(leaving_root, KEY, hour)
        found = record.regime_analysis
        assert isinstance(found, AnalysisYaml)
        (verdict,) = (stay.name for stay in page.verdicts if stay.start <= hour.opens_at < stay.end)
        (regime,) = (stay.name for stay in page.regimes if stay.start <= hour.opens_at < stay.end)
        assert verdict == found.verdict
        assert found.components is not None and regime == found.components.simplified_regime
        assert same(lines["hold_probability"][place], found.hold_probability)
        assert same(lines["T"][place], found.trendiness)
        assert record.confidence is not None and lines["confidence"][place] == record.confidence.value
        for name in METRICS:
            assert same(lines[name][place], found.metrics[name].value)
        bounds = (found.range.lower, found.range.upper) if found.range.valid else (math.nan, math.nan)
        np.testing.assert_equal((page.band.lower[place], page.band.upper[place]), bounds)
    last = record_of(leaving_root, KEY, START.plus(7)).regime_analysis
    assert (page.now.verdict, page.now.price) == (last.verdict, last.price)
    assert page.now.hour_closes_at == START.plus(7).closes_at


def test_candles_of_a_day_are_the_collected_minutes_in_quarters(leaving_root):
    """Four bars an hour; open, high, low and close of each hour agree with the record's own summary."""
    page = PageReader(leaving_root, ()).day(KEY, DAY)
    candles = page.candles
    assert (candles.step_s, len(candles.opens_ts), candles.price_decimals) == (900, 32, 2)
    for place in range(8):
        summary = record_of(leaving_root, KEY, START.plus(place)).market_summary
        assert summary is not None
        quarters = slice(4 * place, 4 * place + 4)
        assert candles.opens[quarters][0] == summary.open and candles.closes[quarters][-1] == summary.close
        assert (candles.highs[quarters].max(), candles.lows[quarters].min()) == (summary.high, summary.low)
        assert candles.volumes[quarters].sum() == pytest.approx(summary.volume)


def test_an_exit_in_progress_is_told_with_its_grid_and_its_open_advice(leaving_root):
    """The grid's state, its levels, what was told, and a STOP_GRID that waits; first in the overview."""
    reader = PageReader(leaving_root, ())
    now = START.plus(7).closes_at + timedelta(minutes=1)
    page, overview = reader.day(KEY, DAY, live(now)), reader.overview(live(now))
    (grid,) = page.grids
    entry = record_of(leaving_root, KEY, START.plus(7)).exit_evaluation[GRID]
    assert grid.is_running and grid.exit_state == entry["state"] == page.now.exit_state
    assert grid.triggers == tuple(entry["reasons"]) and grid.states[-1].name == entry["state"]
    assert (grid.levels[0], grid.levels[-1], len(grid.levels)) == (2860.0, 2999.0, 7)
    assert any("told" in text for _, text in grid.events) and grid.events[-1][1].startswith("enabled by test")
    assert page.current is not None and page.current.action == "STOP_GRID" and page.current.is_open
    assert [each.id for each in overview.open_advice] == [page.current.id]
    assert overview.markets[0].key == KEY
    assert overview.markets[0].tone in (Tone.BAD, Tone.URGENT)
    assert page.current.paragraphs[0].startswith(f"{KEY}, grid {GRID}")
    assert [outcome.value for outcome in page.current.outcomes] == [None] * 3
    assert not any(each.is_open for each in page.advice if each is not page.advice[0])


def test_a_market_that_fell_behind_is_stale(stale_root):
    """Without the daemon the other market's hours tell it; with it, the daemon's own words do."""
    reader = PageReader(stale_root, ())
    rows = {row.key: row for row in reader.overview().markets}
    assert "other markets went on" in rows[KEY].stale and rows["BTC-USDT"].stale == ""
    assert rows[KEY].tone is Tone.BAD and rows[KEY].grids == 1
    told = live(START.plus(20).closes_at, **{KEY: "no hour for 15 h"})
    assert {row.key: row.stale for row in reader.overview(told).markets} == {
        KEY: "no hour for 15 h",
        "BTC-USDT": "",
    }
    assert reader.day(KEY, DAY, told).now.stale == "no hour for 15 h"


def test_an_older_hour_of_the_newest_day_is_not_the_newest(leaving_root):
    """The page knows whether its hour is the market's newest, not only its day."""
    reader = PageReader(leaving_root, ())
    start = START.opens_at
    assert reader.day(KEY, DAY).is_newest
    assert not reader.market(KEY, start, start + timedelta(hours=4)).is_newest


def test_an_empty_repository_has_an_overview_and_no_page(empty_root):
    """A configured market is listed as never judged; a page of it says that, an unknown key what is known."""
    reader = PageReader(empty_root, (KEY,))
    overview = reader.overview()
    (row,) = overview.markets
    assert (row.key, row.verdict, row.hour_closes_at) == (KEY, None, None)
    assert row.stale == "no hour has been judged yet" and row.tone is Tone.UNKNOWN
    assert (overview.troubles, overview.desk, overview.kpis, overview.open_advice) == ((), (), None, [])
    assert reader.days(KEY) == [] and reader.newest_day(KEY) is None
    with pytest.raises(DataInvalid, match="none has been judged yet"):
        reader.day(KEY, DAY)
    with pytest.raises(DataInvalid, match=r"'SOL-USDT' is not known; known: ETH-USDT"):
        reader.day("SOL-USDT", DAY)
    assert PageReader(empty_root, ()).overview().markets == []
    with pytest.raises(DataInvalid, match="nothing is recorded yet"):
        PageReader(empty_root, ()).newest_day(KEY)


def test_a_span_is_whole_hours_that_were_judged(leaving_root):
    """Anything else is refused, with what there is."""
    reader = PageReader(leaving_root, ())
    start = datetime(2026, 1, 5, tzinfo=UTC)
    for since, until in ((start, start), (start + timedelta(minutes=5), start + timedelta(hours=2))):
        with pytest.raises(DataInvalid, match="whole hours"):
            reader.market(KEY, since, until)
    with pytest.raises(DataInvalid, match="judged are 8 hours from 2026-01-05T00 to 2026-01-05T07"):
        reader.day(KEY, date(2025, 1, 1))
    page = reader.market(KEY, start + timedelta(hours=2), start + timedelta(hours=4))
    assert [Hour.of_ts(int(ts)) for ts in page.hours_ts] == [START.plus(2), START.plus(3)]
    assert page.now.hour_closes_at == START.plus(3).closes_at
    assert page.current is not None and not page.current.is_open  # it was overtaken
