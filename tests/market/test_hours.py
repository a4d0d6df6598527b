from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.hours import (
    Hour,
    Timeframe,
    hours_between,
    instant_iso,
    instant_of_ts,
    last_closed_hour,
    micros,
    parse_instant,
)

INSTANTS = st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1)).map(lambda d: d.replace(tzinfo=UTC))


@given(st.integers(0, 10**6))
def test_an_hour_reads_back_as_it_was_written(index):
    """The name of an hour in a path, on the command line and in a file is one and the same hour."""
    hour = Hour(index)
    assert Hour.parse(str(hour)) == hour
    assert Hour.parse(hour.iso()) == hour
    assert Hour.of(hour.opens_at) == Hour.of_ts(hour.close_ts - 1) == hour


@given(INSTANTS)
def test_an_instant_reads_back_to_the_microsecond(instant):
    """collected_at and known_at are compared, so their written form must lose nothing."""
    assert parse_instant(instant_iso(instant)) == instant
    assert micros(instant) == round(instant.timestamp() * 10**6)


@given(INSTANTS)
def test_the_last_closed_hour_is_over_and_the_next_is_not(instant):
    """Boundary: at 15:00:00 the hour 14 is closed, one microsecond earlier it is not."""
    hour = last_closed_hour(instant)
    assert hour.closes_at <= instant < hour.plus(1).closes_at


def test_hour_14_covers_14_00_to_14_59():
    """Chapter 3: 14.json covers 14:00:00 to 14:59:59 and is collected after 15:00."""
    hour = Hour.parse("2026-02-02T14")
    assert instant_iso(hour.opens_at) == "2026-02-02T14:00:00Z"
    assert instant_iso(hour.closes_at) == "2026-02-02T15:00:00Z"
    assert hour.close_ts - hour.open_ts == 3600
    assert instant_of_ts(hour.open_ts) == hour.opens_at
    assert [str(h) for h in hours_between(hour, hour.plus(2))] == ["2026-02-02T14", "2026-02-02T15"]


@pytest.mark.parametrize(
    "text", ["", "2026-02-02", "2026-02-02T24", "2026-02-30T10", "2026-02-02T14:30", "2026-2-2T1", "../etc"]
)
def test_what_is_not_an_hour_is_refused(text):
    """A typing error on the command line is an error, never another hour."""
    with pytest.raises(ValueError, match=r"hour|day|range"):
        Hour.parse(text)


@pytest.mark.parametrize(
    "text", ["2026-02-02T15:00:05", "2026-02-02 15:00:05Z", "now", "2026-02-02T15:00:05+00:00"]
)
def test_an_instant_without_utc_is_refused(text):
    """Times in files are UTC and say so."""
    with pytest.raises(ValueError, match="instant"):
        parse_instant(text)


def test_bars_are_aligned_to_midnight_utc():
    """4h bars open at 00, 04, 08 ... UTC."""
    ts = Hour.parse("2026-02-02T07").open_ts
    assert Hour.of_ts(Timeframe.H4.floor(ts)) == Hour.parse("2026-02-02T04")
    assert [t.seconds for t in Timeframe] == [60, 300, 900, 3600, 14400]
