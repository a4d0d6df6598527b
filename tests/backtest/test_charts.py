"""Where the parts of a chart lie: checked by hand, and for any numbers."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtest.charts import MOST_POINTS, column_chart, kept_points, line_chart, nice_ticks, row_chart
from market.hours import HOUR_S, Hour

START_TS = Hour.parse("2026-02-02T00").open_ts
finite = st.floats(-1e12, 1e12).map(lambda value: round(value, 6))


def told(value, decimals):
    return f"{value:.{decimals}f}"


def test_a_line_goes_from_edge_to_edge_between_round_values():
    """Three points, by hand: 0, 10 and 5 on an axis from 0 to 10."""
    chart = line_chart([START_TS, START_TS + HOUR_S, START_TS + 2 * HOUR_S], {"own": [0.0, 10.0, 5.0]}, told)
    assert [tick.label for tick in chart.y_ticks] == ["0.0", "2.5", "5.0", "7.5", "10.0"]
    assert [tick.at for tick in chart.y_ticks] == ["100", "75", "50", "25", "0"]
    assert chart.lines[0].path == "M0 1000L500 0L1000 500"
    assert chart.lines[0].area == "M0 1000L500 0L1000 500L1000 1000L0 1000Z"
    assert chart.zero == "100"
    assert [(tick.at, tick.label) for tick in chart.x_ticks] == [
        ("0", "00:00"),
        ("50", "01:00"),
        ("100", "02:00"),
    ]


def test_an_area_below_zero_closes_at_zero_and_one_without_zero_at_the_bottom():
    """A fall hangs from the top."""
    fall = line_chart([0, HOUR_S], {"own": [0.0, -4.0]}, told)
    assert fall.zero == "0" and fall.lines[0].area.endswith("L1000 0L0 0Z")
    far = line_chart([0, HOUR_S], {"own": [100.0, 104.0]}, told)
    assert far.zero is None and far.lines[0].area.endswith("L1000 1000L0 1000Z")


def test_gaps_in_time_are_gaps_on_the_axis():
    """Points lie where their hour lies, not one beside the other."""
    chart = line_chart([0, HOUR_S, 10 * HOUR_S], {"own": [0.0, 1.0, 0.0]}, told)
    assert re.findall(r"[ML]([\d.]+) ", chart.lines[0].path) == ["0", "100", "1000"]


@pytest.mark.parametrize(
    ("hours", "labels"),
    [
        (1, ["00:00", "01:00"]),
        (10, ["00:00", "03:00", "06:00", "09:00"]),
        (72, ["02 Feb", "03 Feb", "04 Feb", "05 Feb"]),
        (3 * 8760, ["Dec 2026", "Dec 2027", "Dec 2028"]),
    ],
)
def test_time_has_a_few_labels_whatever_the_span(hours, labels):
    """Hours, days or months, five of them at most."""
    chart = line_chart([START_TS, START_TS + hours * HOUR_S], {"own": [0.0, 1.0]}, told)
    assert [tick.label for tick in chart.x_ticks] == labels


def test_steps_are_one_two_two_and_a_half_or_five():
    """Of a power of ten; as many decimals as the step has."""
    assert nice_ticks(0.0, 4.0) == ([0.0, 1.0, 2.0, 3.0, 4.0], 0)
    assert nice_ticks(0.0, 8.0) == ([0.0, 2.0, 4.0, 6.0, 8.0], 0)
    assert nice_ticks(0.0, 20.0) == ([0.0, 5.0, 10.0, 15.0, 20.0], 0)
    assert nice_ticks(0.0, 36.0) == ([0.0, 10.0, 20.0, 30.0, 40.0], 0)
    assert nice_ticks(0.0, 0.36)[1] == 1
    assert nice_ticks(0.0, 0.08)[1] == 2
    assert nice_ticks(100.0, 100.0)[0] == [99.0, 99.5, 100.0, 100.5, 101.0]


@given(finite, finite)
def test_round_values_enclose_and_tell_apart(one, other):
    """At most seven, evenly apart, each with a label of its own."""
    least, most = sorted((one, other))
    ticks, decimals = nice_ticks(least, most)
    room = (ticks[-1] - ticks[0]) * 1e-6
    assert ticks[0] <= least + room and most - room <= ticks[-1]
    assert 2 <= len(ticks) <= 7
    labels = [told(tick, decimals) for tick in ticks]
    assert len(set(labels)) == len(labels)
    if most - least > 1e-5 * max(abs(least), abs(most), 1e-3):
        assert np.allclose(
            [float(label) for label in labels], ticks, rtol=1e-9, atol=(ticks[1] - ticks[0]) / 100
        )


def test_a_long_line_keeps_its_ends_and_its_extremes():
    """A spike of one hour in five years is seen."""
    values = np.zeros(45_000)
    values[31_007], values[12_345] = 9.0, -9.0
    kept = kept_points(values)
    assert {0, 12_345, 31_007, 44_999} <= set(kept)
    assert len(kept) <= MOST_POINTS + 2
    assert kept == sorted(set(kept))
    assert kept_points(values[:MOST_POINTS]) == list(range(MOST_POINTS))


def test_bars_begin_at_their_common_zero():
    """6 and -2: three quarters right of it, one quarter left."""
    chart = row_chart([("up", 6.0, "+6"), ("down", -2.0, "-2"), ("none", 0.0, "0")])
    assert chart.zero == "25"
    assert [(bar.at, bar.length, bar.below) for bar in chart.bars] == [
        ("25", "75", False),
        ("0", "25", True),
        ("25", "0", False),
    ]
    assert row_chart([("none", 0.0, "0")]).bars[0].length == "0"


def test_columns_share_the_width_and_only_some_of_many_are_named():
    """Each with its label until they would touch."""
    chart = column_chart([("a", 3.0, "3"), ("b", -1.0, "-1")])
    assert (chart.zero, chart.width) == ("75", "40")
    assert [(bar.place, bar.middle, bar.at, bar.length) for bar in chart.bars] == [
        ("5", "25", "0", "75"),
        ("55", "75", "75", "25"),
    ]
    many = column_chart([(str(n), 1.0, "1") for n in range(31)])
    assert [bar.label for bar in many.bars if bar.named] == ["0", "4", "8", "12", "16", "20", "24", "28"]


@given(st.lists(finite, min_size=1, max_size=40))
def test_no_bar_leaves_its_chart(values):
    """Whatever the numbers."""
    rows = [("x", value, "") for value in values]
    for bar in (*row_chart(rows).bars, *column_chart(rows).bars):
        assert -0.02 <= float(bar.at) <= 100.02
        assert float(bar.at) + float(bar.length) <= 100.02
