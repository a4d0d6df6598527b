"""What is known of the hours after a decision is put together rightly, and what is not is counted."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from decisions.aftermath import aftermath_of
from market.candles import Bars, aggregate, no_bars
from market.hours import HOUR_S, Timeframe
from tests.grid.series import wandering

START = 1000 * HOUR_S
TOLERATED = 3


def minutes_of(count, seed=1, start=START):
    """Return a seeded walk of minutes from `start`."""
    bars = wandering(seed, count, 0.002)
    return Bars(Timeframe.M1, bars.ts + start, *bars.columns()[1:])


def without(bars, *gone):
    """Return the bars without some rows."""
    kept = np.ones(len(bars), dtype=bool)
    kept[list(gone)] = False
    return Bars(bars.timeframe, *(column[kept] for column in bars.columns()))


def opens(after):
    return np.concatenate([bars.ts for bars in after.pieces]) if after.pieces else np.empty(0)


def test_whole_minutes_are_taken_as_they_are():
    """With every minute known nothing is coarse, nothing missing, and what lies outside is ignored."""
    minutes = minutes_of(6 * 60, start=START - 2 * HOUR_S)
    after = aftermath_of(minutes, aggregate(minutes, Timeframe.H1), START, 3, TOLERATED)
    (piece,) = after.pieces
    assert piece.timeframe is Timeframe.M1
    assert piece.ts[0] == START
    assert len(piece) == 180
    assert after.closes.tolist() == minutes.close[[179, 239, 299]].tolist()
    assert (after.missing_minutes, after.coarse_hours, after.end_ts) == (0, 0, START + 3 * HOUR_S)
    assert after.last_close == minutes.close[299]
    assert after.extremes() == (minutes.low[120:300].min(), minutes.high[120:300].max())


@pytest.mark.parametrize(("gone", "coarse", "missing"), [(2, 0, 2), (3, 0, 3), (4, 1, 0), (60, 1, 0)])
def test_an_hour_with_too_few_minutes_is_taken_from_its_own_bar(gone, coarse, missing):
    """Three missing minutes are walked over; with a fourth the hour's bar says more than its minutes."""
    minutes = minutes_of(180)
    hours = aggregate(minutes, Timeframe.H1)
    after = aftermath_of(without(minutes, *range(60, 60 + gone)), hours, START, 3, TOLERATED)
    assert (after.coarse_hours, after.missing_minutes) == (coarse, missing)
    assert [len(bars) for bars in after.pieces] == ([60, 1, 60] if coarse else [180 - gone])
    assert after.closes.tolist() == hours.close.tolist()


@pytest.mark.parametrize(("gone", "known"), [(3, True), (4, False)])
def test_without_an_hours_bar_its_minutes_are_walked_but_its_close_may_be_unknown(gone, known):
    """What minutes there are move the grid; an hour with too few of them has no close to judge by."""
    minutes = minutes_of(120)
    after = aftermath_of(without(minutes, *range(60, 60 + gone)), None, START, 2, TOLERATED)
    assert (after.coarse_hours, after.missing_minutes) == (0, gone)
    assert len(opens(after)) == 120 - gone
    assert after.closes.tolist() == [minutes.close[59], minutes.close[119] if known else 0]


def test_an_hours_close_comes_from_its_minutes_where_there_are_enough():
    """An hour's bar that disagrees with whole minutes is not asked."""
    minutes = minutes_of(60)
    other = Bars(Timeframe.H1, *(np.array([value]) for value in (START, 7, 9, 5, 8, 1)))
    assert aftermath_of(minutes, other, START, 1, TOLERATED).closes.tolist() == [minutes.close[59]]


def test_nothing_known_is_said():
    """No bars: no close, no extremes, every minute missing."""
    after = aftermath_of(no_bars(Timeframe.M1), None, START, 2, TOLERATED)
    assert (after.pieces, after.last_close, after.extremes(), after.missing_minutes) == ((), None, None, 120)
    assert after.closes.tolist() == [0, 0]


@pytest.mark.parametrize(
    ("seconds", "closed", "opened"),
    [(0, 0, 120), (59, 0, 119), (60, 1, 119), (61, 1, 118), (3600, 60, 60), (7200, 120, 0)],
)
def test_bars_before_and_after_an_instant(seconds, closed, opened):
    """A bar is known when it is closed; a grid that starts sees only bars that open later."""
    after = aftermath_of(minutes_of(120), None, START, 2, TOLERATED)
    assert sum(map(len, after.closed_by(START + seconds))) == closed
    assert sum(map(len, after.opened_from(START + seconds))) == opened


def test_an_hours_bar_is_closed_when_the_hour_is():
    """An hour known by its own bar counts from its end on only."""
    minutes = minutes_of(120)
    hours = aggregate(minutes, Timeframe.H1)
    after = aftermath_of(no_bars(Timeframe.M1), hours, START, 2, TOLERATED)
    assert sum(map(len, after.closed_by(START + 2 * HOUR_S - 1))) == 1
    assert sum(map(len, after.closed_by(START + 2 * HOUR_S))) == 2


@given(
    gone=st.sets(st.integers(0, 299)),
    told=st.sets(st.integers(0, 4)),
    tolerated=st.sampled_from([0, 3, 30]),
)
def test_every_minute_is_known_once_or_counted_as_missing(gone, told, tolerated):
    """Pieces rise, never overlap, and together with the missing minutes make up the span."""
    minutes = minutes_of(300)
    hours = aggregate(minutes, Timeframe.H1)
    hours = without(hours, *(set(range(5)) - told))
    after = aftermath_of(without(minutes, *gone), hours, START, 5, tolerated)
    spans = [(ts, ts + bars.timeframe.seconds) for bars in after.pieces for ts in bars.ts.tolist()]
    assert all(first[1] <= second[0] for first, second in pairwise(spans))
    assert sum(end - start for start, end in spans) + 60 * after.missing_minutes == 5 * HOUR_S
    enough = {hour for hour in range(5) if sum(minute // 60 == hour for minute in gone) <= tolerated}
    assert set(np.flatnonzero(after.closes).tolist()) == enough | told
    assert after.coarse_hours == len(told - enough)
