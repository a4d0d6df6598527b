"""The adverse event and what else is told of a run afterwards, hour by hour, by hand."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from decisions.adverse import AdverseConfig, adverse_event, adverse_hours
from decisions.calibration.outcomes import FOLLOWED_H, frozen_grids
from decisions.episodes import Episode, StateChange, hold_stop_at, labelled
from decisions.paths import RunningGrid
from exits.states import ExitState
from grid.geometry import GridGeometry, Spacing
from grid.plan import equal_amounts
from market.candles import no_bars
from market.costs import OrderCosts
from market.hours import HOUR_S, Hour, Timeframe
from tests.decisions.test_calibration import hand_made
from tests.decisions.test_outcomes import flat

CONFIG = AdverseConfig()
HOUR = Hour(999)
START = HOUR.close_ts
T0 = HOUR.closes_at
NORMAL, WARNING, LATE, MANDATORY = ExitState


def at(hours):
    return T0 + timedelta(hours=hours)


def run(**facts):
    """Return a run that started at T0 with bounds 90 to 110 and ATR 4: far outside is 86 or 114."""
    return Episode("grid-1", T0, facts.pop("stopped_at", None), 90.0, 110.0, 4.0, **facts)


def closes(*prices):
    """Return 1h bars from T0 on with these closes, quote x 10."""
    return flat(*(round(price * 10) for price in prices), timeframe=Timeframe.H1, start=START)


def event(*prices, since=T0, until=None, config=CONFIG):
    found = adverse_event(closes(*prices), 10, (90.0, 110.0), 4.0, since, until or at(72), config)
    return None if found is None else (found - T0) / timedelta(hours=1)


OUT = [111.0] * 12


@pytest.mark.parametrize(
    ("prices", "hour"),
    [
        ([100, 114.0, *OUT], 2),
        ([100, 113.9, *OUT], None),
        ([100, 86.0, *[89.0] * 12], 2),
        ([100, 86.1, *[89.0] * 12], None),
        # back inside in the 12th hour, on the bound; and in the 13th
        ([114.0, *OUT[:11], 110.0], None),
        ([114.0, *OUT[:11], 110.1], 1),
        ([114.0, *OUT, 100.0], 1),
        ([86.0, *[89.0] * 11, 90.0], None),
        ([86.0, *[89.0] * 11, 89.9], 1),
        # only 11 hours later are known
        ([114.0, *OUT[:11]], None),
        # the first one comes back, the second does not
        ([114.0, 100.0, 115.0, *OUT], 3),
        ([100.0] * 40, None),
    ],
)
def test_the_adverse_event_by_hand(prices, hour):
    """At least 1 ATR outside, and none of the next 12 closes back inside; named by the close of its hour."""
    assert event(*prices) == hour


def test_the_adverse_event_lies_after_since_and_up_to_until():
    """A close at `since` itself is before it; one at `until` is within."""
    prices = [114.0, 114.0, 114.0, *OUT]
    assert event(*prices, since=at(1)) == 2
    assert event(*prices, since=at(1) - timedelta(seconds=1)) == 1
    assert event(*prices, since=at(1) + timedelta(milliseconds=1)) == 2
    assert event(100, *prices, until=at(2)) == 2
    assert event(100, *prices, until=at(2) - timedelta(seconds=1)) is None
    assert event(*prices, since=at(99)) is None


def test_the_numbers_of_the_adverse_event_are_configured():
    """Half an ATR and two hours make another event."""
    assert event(112.0, 111.0, 111.0, 100.0, config=AdverseConfig(beyond_atr=0.5, back_within_h=2)) == 1
    assert event(111.9, 111.0, 111.0, 100.0, config=AdverseConfig(beyond_atr=0.5, back_within_h=2)) is None
    assert (CONFIG.within, CONFIG.known_after) == (timedelta(hours=72), timedelta(hours=84))


def test_an_hour_that_is_not_recorded_is_neither_out_nor_back():
    """A gap keeps its place in time: 12 hours are hours of the clock, not of the file."""
    whole = closes(114.0, *[111.0] * 11, 100.0, 100.0)
    kept = np.ones(len(whole), dtype=bool)
    kept[5] = False
    gap = type(whole)(whole.timeframe, *(column[kept] for column in whole.columns()))
    assert adverse_event(gap, 10, (90.0, 110.0), 4.0, T0, at(72), CONFIG) is None
    late = replace(whole, ts=np.r_[whole.ts[:12], whole.ts[12:] + HOUR_S])
    assert adverse_event(late, 10, (90.0, 110.0), 4.0, T0, at(72), CONFIG) == at(1)


def test_only_1h_closes_tell_the_event():
    """Minutes would find another one."""
    with pytest.raises(ValueError, match="1h closes, not by 1m"):
        adverse_event(no_bars(Timeframe.M1), 10, (90.0, 110.0), 4.0, T0, at(72), CONFIG)


@given(st.integers(0, 10**6))
def test_it_is_the_event_that_calibrate_counts(seed):
    """What the KPIs call A is what the exit triggers were chosen by."""
    dice = np.random.default_rng(seed)
    prices = 100 * np.exp(np.r_[0.0, dice.normal(0, 0.03, 200).cumsum()])
    grids = frozen_grids(hand_made(prices.tolist()))
    for number, row in enumerate(grids.start.tolist()):
        path = prices[None, row + 1 : row + 1 + FOLLOWED_H + CONFIG.back_within_h]
        mask = adverse_hours(path, np.array([90.0]), np.array([110.0]), np.array([4.0]), CONFIG)[0]
        assert mask.shape == (FOLLOWED_H,)
        assert grids.breaks_h[number] == (mask.argmax() + 1 if mask.any() else 0)


@pytest.mark.parametrize(("hours", "columns"), [(0, 0), (12, 0), (13, 1), (15, 3)])
def test_many_grids_at_once_have_a_row_each(hours, columns):
    """Each with its own bounds; the last 12 hours have no answer yet."""
    path = np.full((2, hours), 120.0)
    found = adverse_hours(
        path, np.array([90.0, 90.0]), np.array([110.0, 130.0]), np.array([4.0, 4.0]), CONFIG
    )
    assert found.tolist() == [[True] * columns, [False] * columns]


def test_a_run_is_labelled_to_72_hours_after_its_stop():
    """A breaks in hour 80: seen from a stop at hour 8, not from one at hour 7; and while it still runs."""
    hours = closes(*[100.0] * 79, 114.0, *[111.0] * 30)
    for stopped, adverse in ((at(7), None), (at(8), at(80)), (None, at(80))):
        found = labelled(run(stopped_at=stopped), hours, 10, CONFIG)
        assert (found.adverse_at, found.followed_until) == (adverse, at(110))


def test_without_hours_or_atr_nothing_is_labelled():
    """Not looked at is not the same as looked at and found nothing."""
    for episode, hours in (
        (replace(run(), atr=None), closes(*[100.0] * 99)),
        (run(), no_bars(Timeframe.H1)),
    ):
        found = labelled(replace(episode, adverse_at=at(1), followed_until=at(2)), hours, 10, CONFIG)
        assert (found.adverse_at, found.followed_until) == (None, None)


@pytest.mark.parametrize(
    ("adverse", "followed", "false"),
    [
        (at(82), None, False),  # 72 hours after the alert
        (at(82) + timedelta(seconds=1), None, True),
        (at(5), None, False),  # it had come already
        (None, at(94), True),  # 72 and 12 hours after it are known
        (None, at(94) - timedelta(seconds=1), None),
        (None, None, None),
    ],
)
def test_an_alert_is_false_when_72_hours_bring_no_event(adverse, followed, false):
    """And as long as those hours are not known it is neither."""
    assert run(adverse_at=adverse, followed_until=followed).false_alert_at(at(10), CONFIG) is false


def changes(*pairs):
    return tuple(StateChange(at(hour), state) for hour, state in pairs)


def test_first_and_entered_states():
    """A louder state includes the calmer ones; coming down into a state is not entering it."""
    up_down = changes((1, WARNING), (3, MANDATORY), (30, LATE), (33, WARNING), (40, LATE))
    episode = run(changes=up_down)
    assert episode.first_at_least(WARNING) == at(1)
    assert episode.first_at_least(LATE) == at(3)
    assert episode.first_at_least(MANDATORY) == at(3)
    assert run(changes=changes((1, WARNING))).first_at_least(LATE) is None
    assert episode.entered(WARNING) == [at(1)]
    assert episode.entered(LATE) == [at(3), at(40)]
    assert episode.entered(MANDATORY) == [at(3)]
    assert run().entered(WARNING) == []


@pytest.mark.parametrize(
    ("pairs", "stopped", "stood"),
    [
        ([], None, False),
        ([(1, WARNING)], None, False),
        ([(1, LATE)], None, True),
        ([(1, MANDATORY)], None, True),
        ([(20, LATE)], None, True),  # just at the window's end
        ([(20.01, LATE)], None, False),
        ([(1, LATE), (10, NORMAL)], None, False),  # over when the window opens
        ([(1, LATE), (10.01, NORMAL)], None, True),
        ([(1, LATE)], at(10), False),
        ([(1, LATE)], at(10.01), True),
        ([(1, LATE), (2, NORMAL), (15, LATE)], None, True),
    ],
)
def test_a_state_stands_from_its_change_to_the_next_or_the_stop(pairs, stopped, stood):
    """Between the hours 10 and 20, both included."""
    episode = run(changes=changes(*pairs), stopped_at=stopped)
    assert episode.stood_within(LATE, at(10), at(20)) is stood


def grid(stop_loss=850):
    geometry = GridGeometry(900, 1_100, 2, Spacing.ARITHMETIC)
    plan = equal_amounts(
        geometry, 1_000, 1_000_000, OrderCosts(1_000, 1_000, 0), stop_loss=stop_loss, take_profit=1_200
    )
    return RunningGrid.starting(plan)


@pytest.mark.parametrize(
    ("prices", "hour"),
    [
        ([1_000] * 100 + [850] * 90, 100),
        ([1_000] * 100 + [851] * 90, None),
        ([1_000] * 167 + [850] * 9, 167),
        ([1_000] * 168 + [850] * 9, None),  # after the 7 days
        ([1_000] * 10 + [1_200] + [850] * 99, None),  # it had taken its profit before
    ],
)
def test_hold_is_followed_to_its_stop_or_seven_days(prices, hour):
    """The open of the bar of the exit; a take-profit is no stop."""
    hours = flat(*prices, timeframe=Timeframe.H1)
    found = hold_stop_at(grid(), HOUR, no_bars(Timeframe.M1), hours, 3)
    assert found == (None if hour is None else at(hour))


def test_hold_walks_minutes_where_there_are_any():
    """The stop of hour 0 is found in its third minute."""
    assert hold_stop_at(grid(), HOUR, flat(1_000, 1_000, 840), None, 3) == T0 + timedelta(minutes=2)
