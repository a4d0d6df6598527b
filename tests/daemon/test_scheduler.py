"""How often the scheduler rings by a clock that is not the wall's."""

import pytest

from daemon.scheduler import ring_every_s


@pytest.mark.parametrize(
    ("rate", "seconds"),
    [(0, 60), (1e-9, 60), (2, 30), (60, 1), (240, 0.25), (3600, 0.25), (36_000, 0.1), (1e6, 0.05)],
)
def test_each_minute_of_the_clock_is_seen_while_that_is_not_too_often(rate, seconds):
    """At 60 the hour came in up to an hour late by its own clock, and was told as stale."""
    assert ring_every_s(rate) == pytest.approx(seconds)
