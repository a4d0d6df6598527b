from datetime import timedelta

import pytest

from daemon.clock import DrivenClock, ScaledClock, WallClock
from market.hours import Hour

START = Hour.parse("2026-02-02T14").opens_at


def test_a_driven_clock_stands_where_it_is_set_and_runs_when_told():
    """The demo steps through its hours, then lets the page move."""
    clock = DrivenClock(START)
    assert clock.now() == clock.now() == START
    clock.set(START + timedelta(hours=1))
    assert clock.now() == START + timedelta(hours=1)
    clock.run(3600)
    assert clock.rate == 3600
    assert START + timedelta(hours=1) <= clock.now() < START + timedelta(hours=10)
    assert clock.monotonic() <= clock.monotonic()


def test_a_scaled_clock_is_shared_by_several_processes():
    """Written on one command line and read on another, it is the same time."""
    clock = ScaledClock(START, 60.0, WallClock().now())
    again = ScaledClock.parse(str(clock))
    assert again == clock
    assert abs((again.now() - clock.now()).total_seconds()) < 60
    assert clock.rate == 60
    for text in ("", "2026", "a,b,c", "2026-02-02T14:00:00Z,x,2026-02-02T14:00:00Z"):
        with pytest.raises(ValueError, match=r"clock|instant|float"):
            ScaledClock.parse(text)


def test_the_wall_clock_is_utc_and_real():
    """Rate 1, aware."""
    clock = WallClock()
    assert clock.rate == 1
    assert clock.now().utcoffset() == timedelta(0)
    assert clock.monotonic() <= clock.monotonic()
