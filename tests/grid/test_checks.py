"""A check says what was measured, what was asked, and how far apart they are."""

from __future__ import annotations

import pytest

from grid.checks import Check, above, all_passed, at_least, at_most, below, first_failed


@pytest.mark.parametrize(
    ("check", "values"),
    [
        (at_least, {1.999: (False, -0.001), 2.0: (True, 0), 2.001: (True, 0.001)}),
        (above, {1.999: (False, -0.001), 2.0: (False, 0), 2.001: (True, 0.001)}),
        (at_most, {1.999: (True, 0.001), 2.0: (True, 0), 2.001: (False, -0.001)}),
        (below, {1.999: (True, 0.001), 2.0: (False, 0), 2.001: (False, -0.001)}),
    ],
)
def test_each_comparison_just_below_at_and_just_above_its_threshold(check, values):
    """The distance is positive on the passing side, 0 at the threshold."""
    for value, (passed, distance) in values.items():
        found = check("width", value, 2.0)
        assert (found.name, found.passed, found.value, found.threshold) == ("width", passed, value, 2)
        assert found.distance == pytest.approx(distance)


def test_what_is_compared_is_what_is_recorded():
    """Nine digits: a difference beyond them is none."""
    assert at_least("width", 2 - 1e-10, 2.0).passed
    assert not at_least("width", 2 - 1e-8, 2.0).passed
    assert at_least("width", 2.0, 2 + 1e-10).threshold == 2


def test_a_reason_reads_like_a_sentence():
    """Both numbers and the unit."""
    assert at_least("width", 1.5, 2.0, " %").reason == "1.5 %, needs at least 2 %"
    assert above("width", 1.5, 2.0).reason == "1.5, needs more than 2"
    assert at_most("width", 1.5, 2.0).reason == "1.5, needs at most 2"
    assert below("width", None, 2.0).reason == "not known, needs less than 2"


def test_an_unknown_value_passes_nothing():
    """It is no failure either: it is not known."""
    unknown = at_least("width", None, 2.0)
    assert unknown == Check("width", None, None, 2.0, None, "not known, needs at least 2")
    good, bad = at_least("a", 3, 2.0), at_least("b", 1, 2.0)
    assert all_passed((good, good)) and all_passed(())
    assert not all_passed((good, unknown))
    assert not all_passed((bad, good))
    assert first_failed((good, unknown, bad)) is unknown
    assert first_failed((good, bad)) is bad
    assert first_failed((good,)) is None
