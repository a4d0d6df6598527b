"""How far a shadow agrees: shares, means and lists, checked by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decisions.intervals import wilson
from decisions.shadow import Advised, OtherAction, OtherExit, PolicyHour, agreement
from market.hours import Hour

HOUR = Hour.parse("2026-02-02T00")
GO_ON, STOP = Advised("CONTINUE", "it holds"), Advised("STOP_GRID", "it breaks")


def hours(*pairs):
    return [(HOUR.plus(place), ours, theirs) for place, (ours, theirs) in enumerate(pairs)]


def test_verdicts_are_counted_over_the_hours_that_both_judged():
    """Two of three are equal; an hour without a verdict is in the table, not in the share."""
    found = agreement(
        hours(
            (PolicyHour("TREND", 0.2), PolicyHour("TREND", 0.1)),
            (PolicyHour("RANGE_OK", 0.8), PolicyHour("RANGE_OK", 0.9)),
            (PolicyHour("RANGE_OK", 0.7), PolicyHour("TREND", 0.4)),
            (PolicyHour(None, None), PolicyHour(None, None)),
            (PolicyHour("TREND", 0.2), PolicyHour(None, None)),
        )
    )
    assert (found.compared, found.judged, found.equal) == (5, 3, 2)
    assert found.share == (2 / 3, *wilson(2 / 3, 3))
    assert found.verdicts == {
        ("TREND", "TREND"): 1,
        ("RANGE_OK", "RANGE_OK"): 1,
        ("RANGE_OK", "TREND"): 1,
        (None, None): 1,
        ("TREND", None): 1,
    }


def test_p_differs_by_the_shadow_less_what_is_in_force():
    """-.1, +.1 and -.3: on average -.1, apart .5 / 3; hours without a p do not count."""
    found = agreement(
        hours(
            (PolicyHour("TREND", 0.2), PolicyHour("TREND", 0.1)),
            (PolicyHour("RANGE_OK", 0.8), PolicyHour("RANGE_OK", 0.9)),
            (PolicyHour("RANGE_OK", 0.7), PolicyHour("TREND", 0.4)),
            (PolicyHour("TREND", 0.2), PolicyHour(None, None)),
        )
    )
    assert found.p_pairs == 3
    assert found.p_difference == pytest.approx(-0.1)
    assert found.p_distance == pytest.approx(0.5 / 3)


def test_other_actions_and_exit_states_are_named_by_hour_and_grid():
    """Both reasons are there; a grid that only one of them knows is a difference; another reason is none."""
    other_words = Advised("CONTINUE", "in other words")
    found = agreement(
        hours(
            (
                PolicyHour("TREND", 0.2, {"a": GO_ON, "b": GO_ON}, {"a": "NORMAL", "b": "NORMAL"}),
                PolicyHour("TREND", 0.2, {"a": STOP, "b": other_words}, {"a": "WARNING", "b": "NORMAL"}),
            ),
            (PolicyHour("TREND", 0.2, {"a": GO_ON}, {}), PolicyHour("TREND", 0.2, {}, {"a": "NORMAL"})),
        )
    )
    assert (found.grid_hours, found.exit_hours) == (3, 3)
    assert found.other_actions == (
        OtherAction(HOUR, "a", GO_ON, STOP),
        OtherAction(HOUR.plus(1), "a", GO_ON, None),
    )
    assert found.other_exits == (
        OtherExit(HOUR, "a", "NORMAL", "WARNING"),
        OtherExit(HOUR.plus(1), "a", None, "NORMAL"),
    )


@pytest.mark.parametrize(("count", "wanting"), [(0, 168), (167, 1), (168, 0), (200, 0)])
def test_a_week_is_168_compared_hours(count, wanting):
    """Fewer is not a week yet."""
    same = PolicyHour("TREND", 0.2)
    assert agreement(hours(*[(same, same)] * count)).hours_to_a_week == wanting


def test_nothing_compared_states_nothing():
    """No share, no mean: never 0 for want of hours."""
    found = agreement([])
    assert (found.share, found.p_difference, found.p_distance) == (None, None, None)


VERDICTS = st.sampled_from(["RANGE_OK", "RANGE_WEAK", "TRANSITION", "TREND", None])
PAIRS = st.lists(st.tuples(VERDICTS, VERDICTS), max_size=30)


@given(PAIRS)
def test_the_table_holds_every_hour_and_the_other_way_round_agrees_as_much(pairs):
    """Whichever is called the shadow, the share is the same."""
    found = agreement(hours(*[(PolicyHour(a, None), PolicyHour(b, None)) for a, b in pairs]))
    turned = agreement(hours(*[(PolicyHour(b, None), PolicyHour(a, None)) for a, b in pairs]))
    assert sum(found.verdicts.values()) == found.compared == len(pairs)
    assert found.share == turned.share
    assert found.equal <= found.judged <= found.compared
