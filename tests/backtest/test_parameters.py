"""What `--grid` takes, and what it says where it cannot."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtest.parameters import ParameterSet, parameter_sets
from grid.geometry import Spacing
from market.errors import ConfigInvalid


def test_every_combination_in_order_each_once():
    """Lists and ranges, with defaults for spacing and stop; values named twice count once."""
    assert [each.name for each in parameter_sets("levels=10/5..7:2/10,width=8/2.5")] == [
        "spacing=geometric,levels=5,width=2.5,stop=none",
        "spacing=geometric,levels=5,width=8,stop=none",
        "spacing=geometric,levels=7,width=2.5,stop=none",
        "spacing=geometric,levels=7,width=8,stop=none",
        "spacing=geometric,levels=10,width=2.5,stop=none",
        "spacing=geometric,levels=10,width=8,stop=none",
    ]
    both = parameter_sets("spacing=geometric/arithmetic, levels=2, width=1, stop=none/0.5..1.5:0.5")
    assert [(each.spacing, each.stop_ppm) for each in both] == [
        (spacing, stop) for spacing in ("arithmetic", "geometric") for stop in (0, 5_000, 10_000, 15_000)
    ]


@given(
    st.builds(
        ParameterSet,
        st.sampled_from(Spacing),
        st.integers(2, 200),
        st.integers(1, 1_999_999),
        st.integers(0, 999_999),
    )
)
def test_a_name_is_what_grid_takes(one):
    """The name that a table shows runs that set again."""
    assert parameter_sets(one.name) == (one,)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("width=2", "levels is missing"),
        ("levels=5,width=2,depth=3", "'depth' is no parameter"),
        ("levels=5,levels=6,width=2", "levels is named twice"),
        ("levels,width=2", "'levels', expected NAME=VALUES"),
        ("levels=1,width=2", "levels: 1, expected 2 to 200"),
        ("levels=5.5,width=2", "levels: '5.5', expected a whole number"),
        ("levels=5,width=0", "width: 0, expected percent above 0 and below 200"),
        ("levels=5,width=200", "width: 200"),
        ("levels=5,width=nan", "width: 'nan', expected percent"),
        ("levels=5,width=1e999999", "width: '1e999999', expected percent"),
        ("levels=5,width=0.00001", "at most 4 decimals"),
        ("levels=5,width=2,stop=100", "stop: 100, expected none"),
        ("levels=5,width=2,stop=0", "stop: 0, expected none"),
        ("levels=9..5,width=2", "'9..5' falls"),
        ("levels=5..9:0,width=2", "a step above 0"),
        ("levels=5,width=0.0001..199:0.0001", "more than 1,000,000 values"),
        ("levels=2..200,width=1..190:0.01", "sets, expected 1,000,000 at most"),
        ("levels=5,width=2,spacing=cubic", "spacing: 'cubic', expected arithmetic/geometric"),
    ],
)
def test_what_cannot_be_swept_is_named(text, said):
    """The parameter, what was found, what was expected."""
    with pytest.raises(ConfigInvalid) as told:
        parameter_sets(text)
    assert said in str(told.value)


def test_all_problems_are_told_at_once():
    """One run of the command is enough to mend them all."""
    with pytest.raises(ConfigInvalid) as told:
        parameter_sets("levels=1,width=900,stop=-1")
    assert len(told.value.problems) == 3
