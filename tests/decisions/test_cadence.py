"""Stops that minutes reach between two hourly looks: counted against a plain walk through them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from decisions.calibration.cadence import stops_reached
from market.candles import bars_of
from market.hours import HOUR_S, Timeframe
from regime.config import RegimeConfig
from tests.decisions.test_calibration import hand_made

CONFIG = RegimeConfig()
CALM = 0.001  # so that no alert stands inside the bounds


def minutes_of(hours: int, change: dict[int, int]):
    """Return flat minutes at 100, from some of them on at another price."""
    price, rows = 10_000, []
    for minute in range(hours * 60):
        price = change.get(minute, price)
        rows.append((60 * minute, price, price, price, price, 10))
    return bars_of(Timeframe.M1, rows)


def hours_of(count: int, from_hour: int, close: float):
    """Return judged hours that close at 100, and at `close` from an hour on; bounds 90 to 110, ATR 4."""
    closes = np.where(np.arange(count) < from_hour, 100.0, close)
    return replace(hand_made(closes.tolist()), sigma=np.full(count, CALM))


def test_a_fall_within_one_hour_is_announced_by_no_close():
    """At 10:30 of the first day straight through the stop at 84: nobody who looks hourly could know."""
    hours = hours_of(260, 10, 80.0)
    found = stops_reached(hours, minutes_of(260, {10 * 60 + 30: 8_000}), 100, CONFIG)
    assert found.ts.tolist() == [0, 6 * HOUR_S]
    assert found.announced.tolist() == [False, False]
    assert np.isnan(found.lead_h).all()
    assert found.outside_h.tolist() == [0.0, 0.0]


def test_a_slow_fall_is_announced_by_the_close_outside():
    """Out of the bounds at 9:30, the stop reached at 13:30: the close of 10:00 told 3.5 hours before."""
    hours = replace(
        hours_of(260, 9, 88.0), close=np.r_[np.full(9, 100.0), np.full(4, 88.0), np.full(247, 80.0)]
    )
    minutes = minutes_of(260, {9 * 60 + 30: 8_800, 13 * 60 + 30: 8_000})
    found = stops_reached(hours, minutes, 100, CONFIG)
    assert found.announced.tolist() == [True, True]
    assert found.lead_h.round(3).tolist() == [3.517, 3.517]
    assert found.outside_h.tolist() == [4.0, 4.0]


def test_grids_without_whole_minutes_and_without_a_stop_are_left_out():
    """What is not known is no stop."""
    calm = hours_of(260, 260, 100.0)
    assert stops_reached(calm, minutes_of(260, {}), 100, CONFIG).ts.size == 0
    falling = hours_of(260, 10, 80.0)
    assert stops_reached(falling, minutes_of(100, {630: 8_000}), 100, CONFIG).ts.size == 0
