"""Where recursions start: absolute instants that do not move with the window."""

from __future__ import annotations

import numpy as np
import pytest

from market.hours import Hour, Timeframe
from regime.anchors import anchor_ts, same_anchor_since
from regime.config import HistoryConfig

RULES = HistoryConfig()
LONG_AGO = Hour.parse("2020-01-01T00").open_ts


def hourly(start: str, hour: Hour) -> np.ndarray:
    return np.arange(Hour.parse(start).open_ts, hour.close_ts, 3600, dtype=np.int64)


def anchor(timeframe: Timeframe, hour: str, start: str = "2023-01-01T00", first: int = LONG_AGO) -> Hour:
    at = Hour.parse(hour)
    return Hour.of_ts(anchor_ts(timeframe, at, hourly(start, at), first, RULES))


@pytest.mark.parametrize(
    ("timeframe", "hour", "expected"),
    [
        (Timeframe.H1, "2024-05-01T00", "2024-02-01T00"),
        (Timeframe.H1, "2024-05-31T23", "2024-02-01T00"),
        (Timeframe.H1, "2024-03-15T12", "2023-12-01T00"),
        (Timeframe.H4, "2024-01-31T23", "2023-10-01T00"),
        (Timeframe.M15, "2024-05-20T07", "2024-04-01T00"),
        (Timeframe.M15, "2024-01-01T00", "2023-12-01T00"),
        (Timeframe.M5, "2024-05-20T07", "2024-05-13T00"),
        (Timeframe.M1, "2024-05-20T00", "2024-05-13T00"),
    ],
)
def test_anchors_are_firsts_of_months_and_starts_of_days(timeframe: Timeframe, hour: str, expected: str):
    """Three months before the hour's own month, one for 15m, seven days for minutes."""
    assert anchor(timeframe, hour) == Hour.parse(expected)


def test_the_first_known_bar_is_the_anchor_where_it_is_later():
    """A young market is folded from its first bar, as recorded, not from the start of a window."""
    first = Hour.parse("2024-03-10T05").open_ts
    assert anchor(Timeframe.H1, "2024-05-10T00", "2024-03-10T05", first) == Hour.parse("2024-03-10T05")


def test_with_few_bars_after_an_anchor_the_one_before_is_used():
    """168 bars after it are the least."""
    at = Hour.parse("2024-05-01T00")
    before = hourly("2023-12-01T00", Hour.parse("2024-01-31T23"))
    for count, expected in ((168, "2024-02-01T00"), (167, "2024-01-01T00")):
        ts = np.concatenate((before, at.open_ts - 3600 * np.arange(count)[::-1]))
        assert Hour.of_ts(anchor_ts(Timeframe.H1, at, ts, LONG_AGO, RULES)) == Hour.parse(expected)


def test_the_search_ends_at_the_span_of_the_timeframe():
    """However little there is, an anchor lies within what a window holds, so no route sees more."""
    at = Hour.parse("2024-05-01T00")
    found = anchor_ts(Timeframe.H1, at, np.array([at.open_ts]), LONG_AGO, RULES)
    assert Hour.of_ts(found) == Hour.parse("2023-09-01T00")
    assert at.close_ts - found <= RULES.hours_days * 86_400


@pytest.mark.parametrize(
    ("timeframe", "hour", "expected"),
    [
        (Timeframe.H1, "2024-05-27T23", "2023-09-01T00"),  # exactly 270 days before its close
        (Timeframe.H1, "2024-05-28T00", "2023-10-01T00"),
        (Timeframe.M15, "2024-05-20T07", "2024-02-01T00"),
        (Timeframe.M5, "2024-05-20T07", "2024-04-30T00"),
        (Timeframe.M1, "2024-05-20T23", "2024-04-30T00"),  # exactly 21 days before its close
    ],
)
def test_every_timeframe_searches_to_its_own_span_and_no_further(
    timeframe: Timeframe, hour: str, expected: str
):
    """Back by months, or for minutes by days; an anchor at the very end of the span is within it."""
    at = Hour.parse(hour)
    found = anchor_ts(timeframe, at, np.array([at.open_ts]), LONG_AGO, RULES)
    assert Hour.of_ts(found) == Hour.parse(expected)


@pytest.mark.parametrize(
    ("timeframe", "expected"),
    [
        (Timeframe.M1, "2024-05-20T00"),
        (Timeframe.M5, "2024-05-20T00"),
        (Timeframe.M15, "2024-05-01T00"),
        (Timeframe.H1, "2024-05-01T00"),
        (Timeframe.H4, "2024-05-01T00"),
    ],
)
def test_an_anchor_serves_a_month_or_for_minutes_a_day(timeframe: Timeframe, expected: str):
    """All its hours fold from one instant, the hour before it from an earlier one."""
    since = same_anchor_since(timeframe, Hour.parse("2024-05-20T07"))
    assert Hour.of_ts(since) == Hour.parse(expected)
    assert same_anchor_since(timeframe, Hour.of_ts(since)) == since
    at, before = (anchor(timeframe, str(Hour.of_ts(ts))) for ts in (since, since - 3600))
    assert at == anchor(timeframe, "2024-05-20T07")
    assert before != at
