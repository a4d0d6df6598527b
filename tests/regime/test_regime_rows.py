"""Rows for the index: those told by a month's window are those that each hour's own window tells."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from market.candles import Bars, aggregate, joined
from market.hours import Hour, Timeframe
from market.window import MarketWindow
from regime.analysis import RegimeAnalysis
from regime.config import RegimeConfig
from regime.engine import RegimeEngine
from regime.series import NO_VERDICT, VERDICTS, RegimeRows
from tests.regime.windows import bars_of_prices, walk, walk_bars, window_of

CONFIG = RegimeConfig()
TIMEFRAMES = (Timeframe.M15, Timeframe.H1, Timeframe.H4)
TURN = Hour.parse("2024-05-01T00")


def old_market() -> tuple[Bars, Bars]:
    """Known long before every window: its recursions start at anchors in May."""
    hours = walk_bars(24 * 130, 5, start=Hour.parse("2024-01-12T00"), pull=0.01)
    return hours, _quarters(hours)


def young_market() -> tuple[Bars, Bars]:
    """Known since a little before the 400th hour that a verdict needs."""
    hours = walk_bars(1500, 9, start=Hour.parse("2024-03-28T07"), pull=0.02)
    return hours, _quarters(hours)


def market_with_a_hole() -> tuple[Bars, Bars]:
    """Nothing is known of five months: the first hours after them fold from an anchor before the usual."""
    early = walk_bars(1500, 3, start=Hour.parse("2023-08-01T00"), pull=0.02)
    late = walk_bars(900, 4, start=Hour.parse("2024-04-28T00"), pull=0.02)
    return joined([early, late]), _quarters(late)


def _quarters(hours: Bars) -> Bars:
    end = int(hours.ts[-1]) + 3600
    return bars_of_prices(Timeframe.M15, end - 900 * 3600, walk(3600, 2, sigma=0.002))


def windows(hours: Bars, quarters: Bars, hour: Hour, days: int = 0) -> MarketWindow:
    """Return the window that a store would give, `days` more than the engine asks for."""
    whole = window_of(hours, hour, finer={Timeframe.M15: quarters})
    bars = {
        timeframe: held.between(
            hour.close_ts - 86_400 * (CONFIG.history.days(timeframe) + days), hour.close_ts
        )
        for timeframe, held in whole.bars.items()
    }
    return replace(whole, bars=bars)


@pytest.mark.parametrize("market", [old_market, young_market, market_with_a_hole])
def test_a_month_at_once_tells_what_each_hour_tells(market) -> None:
    """Rows and verdicts, on every timeframe, and where the month's window cannot know it says so."""
    hours, quarters = market()
    last = Hour.of_ts(int(hours.ts[-1]))
    month = RegimeEngine(CONFIG)
    live, told = RegimeEngine(CONFIG), 0
    for timeframe in TIMEFRAMES:
        rows, since = month.regimes(windows(hours, quarters, last, days=31), timeframe)
        start = Hour.of_ts(max(since, TURN.open_ts))
        for index in range(start.index, last.index + 1, 7 if timeframe is not Timeframe.H4 else 4):
            hour = Hour(index + (3 - index % 4 if timeframe is Timeframe.H4 else 0))
            if hour > last:
                break
            own, own_since = live.regimes(windows(hours, quarters, hour), timeframe)
            assert own_since <= hour.close_ts - timeframe.seconds
            newest = own.between(hour.close_ts - max(timeframe.seconds, 3600), hour.close_ts)
            assert newest.same_as(rows.between(hour.close_ts - max(timeframe.seconds, 3600), hour.close_ts))
            told += len(newest)
        assert np.all(rows.ts >= since)
    assert told > 50


@pytest.mark.parametrize("market", [old_market, young_market])
def test_the_row_of_an_hour_is_what_its_analysis_says(market) -> None:
    """Components and verdict; an hour that cannot be judged yet has a row without a verdict."""
    hours, quarters = market()
    engine, without = RegimeEngine(CONFIG), 0
    for index in range(300, len(hours), 83):
        hour = Hour.of_ts(int(hours.ts[index]))
        window = windows(hours, quarters, hour)
        rows, _ = engine.regimes(window, Timeframe.H1)
        found = engine.analyze(window)
        newest = rows.between(hour.open_ts, hour.close_ts)
        if isinstance(found, RegimeAnalysis):
            assert VERDICTS[newest.verdict[0]] is found.verdict
            assert found.components is not None
            assert newest.confidence[0] == round(found.components.confidence * 10_000)
        else:
            without += 1
            assert newest.verdict.tolist() == [NO_VERDICT]
    assert 0 < without < 15


def test_the_first_hours_after_a_hole_are_not_told_by_the_month() -> None:
    """They fold from an earlier anchor, and only their own windows know it."""
    hours, quarters = market_with_a_hole()
    _, since = RegimeEngine(CONFIG).regimes(
        windows(hours, quarters, Hour.of_ts(int(hours.ts[-1])), 31), Timeframe.H4
    )
    assert since > TURN.open_ts


def test_no_bars_have_no_rows() -> None:
    """Also where other timeframes are known."""
    hours, quarters = young_market()
    window = windows(hours, quarters, Hour.of_ts(int(hours.ts[-1])))
    rows, _ = RegimeEngine(CONFIG).regimes(window, Timeframe.M1)
    assert rows.same_as(RegimeRows.none(Timeframe.M1))
    bare = replace(window, bars={Timeframe.H1: hours})
    rows, _ = RegimeEngine(CONFIG).regimes(bare, Timeframe.H1)
    assert len(rows) > 500 and set(rows.verdict.tolist()) == {NO_VERDICT}
    assert len(aggregate(hours, Timeframe.H4)) > 250
