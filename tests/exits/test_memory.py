"""What is remembered: its form in the record, its first day, its bounds."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, fields, replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exits.baseline import Baseline
from exits.config import ExitsConfig
from exits.fold import advanced
from exits.memory import ExitFold, as_record, moved, of_record, opened
from exits.readings import ExitReadings
from exits.states import ExitState
from market.errors import DataInvalid
from market.hours import Hour
from tests.exits.grids import BROKEN, CALM, EVIDENCE, GRID, START, followed, trigger_of

hours_text = st.integers(400_000, 600_000).map(lambda index: Hour(index).iso())
prices = st.floats(1e-9, 1e9, exclude_min=True)
counts = st.integers(0, 10_000)
confidences = st.lists(st.none() | st.floats(0, 1), max_size=8).map(tuple)
days = st.lists(prices, max_size=24).map(tuple)
folds = st.builds(
    ExitFold,
    started=hours_text,
    lower=prices,
    upper=prices,
    stop_loss=st.none() | prices,
    atr=st.none() | prices,
    hour=st.none() | hours_text,
    state=st.sampled_from(ExitState),
    since=hours_text,
    clean_bars=counts,
    acknowledged=st.booleans(),
    baseline_half_life=st.none() | prices,
    baseline_atr=st.none() | prices,
    first_half_lives=days,
    first_atrs=days,
    closes_outside=counts,
    transition_bars=counts,
    transition_4h_bars=counts,
    four_hours_seen=counts,
    late_bars=counts,
    stretched_since=st.none() | hours_text,
    confidences=confidences,
    classic_confidences=confidences,
)


@given(folds)
def test_property_67_what_is_recorded_is_what_was_remembered(fold: ExitFold):
    """Through plain values and text, exactly, both ways."""
    record = as_record(fold)
    read = json.loads(json.dumps(record))
    assert read == record
    assert of_record(read) == fold
    assert type(of_record(read).state) is ExitState
    assert as_record(of_record(read)) == record
    assert {type(value) for value in record.values()} <= {str, int, float, bool, list, type(None)}


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("lower", 0.0),
        ("lower", -1.0),
        ("lower", "100"),
        ("lower", None),
        ("lower", math.nan),
        ("upper", math.inf),
        ("stop_loss", 0.0),
        ("atr", 0.0),
        ("clean_bars", -1),
        ("clean_bars", 1.5),
        ("late_bars", True),
        ("acknowledged", 1),
        ("state", "PANIC"),
        ("since", "2024-01-01T00:30:00Z"),
        ("since", "2024-01-01T00"),
        ("started", 5),
        ("started", "soon"),
        ("stretched_since", "2024-13-01T00:00:00Z"),
        ("first_atrs", [0.0]),
        ("first_atrs", 1.0),
        ("confidences", ["high"]),
        ("unheard_of", 1),
    ],
)
def test_a_record_of_another_form_is_refused_by_its_field(field: str, wrong: Any):
    """Nothing is guessed, nothing is dropped."""
    with pytest.raises(DataInvalid) as refused:
        of_record(as_record(GRID) | {field: wrong}, "metrics.yaml")
    assert refused.value.where == "metrics.yaml"
    assert refused.value.field.split(".")[0] == field
    assert len(refused.value.problem) > 10


@pytest.mark.parametrize("field", [field.name for field in fields(ExitFold)])
def test_a_record_with_a_field_missing_is_refused(field: str):
    """Every field has to be there."""
    record = as_record(GRID)
    del record[field]
    with pytest.raises(DataInvalid) as refused:
        of_record(record)
    assert (refused.value.where, refused.value.field) == ("exits", field)


def test_an_hour_written_in_another_form_is_told_the_right_one():
    """Records are compared byte for byte, so there is one form."""
    with pytest.raises(DataInvalid, match=r"since: .*'2024-01-01T00' is not written as 2024-01-01T00:00:00Z"):
        of_record(as_record(GRID) | {"since": "2024-01-01T00"})


def test_of_several_faults_the_first_is_named():
    """In the order of the fields."""
    with pytest.raises(DataInvalid) as refused:
        of_record(as_record(GRID) | {"late_bars": -1, "lower": 0.0, "since": "soon"})
    assert refused.value.field == "lower"


def test_a_record_that_is_no_plain_value_is_refused():
    """Such as an instant that YAML made of a text without quotes."""
    with pytest.raises(DataInvalid, match=r"^metrics\.yaml: Object .*not JSON serializable") as refused:
        of_record(as_record(GRID) | {"since": START.opens_at}, "metrics.yaml")
    assert refused.value.field == ""


def test_a_grid_starts_calm():
    """In the hour that holds its start, with nothing counted."""
    fold = opened(START.opens_at + timedelta(minutes=59), 100.0, 120.0, None, None)
    assert (fold.started, fold.since, fold.hour) == (START.iso(), START.iso(), None)
    assert (fold.state, fold.stop_loss, fold.atr) == (ExitState.NORMAL, None, None)
    counted = {name: value for name, value in asdict(fold).items() if type(value) is int}
    assert counted.pop("four_hours_seen") == START.index // 4
    assert set(counted.values()) == {0}
    assert opened(START.plus(1).opens_at, 100.0, 120.0, None, None).started == START.plus(1).iso()


def test_the_fold_of_a_new_grid_as_it_is_recorded():
    """Every field."""
    assert as_record(opened(START.opens_at, 100.0, 120.0, 97.0, 2.0)) == {
        "started": "2024-01-01T00:00:00Z",
        "lower": 100.0,
        "upper": 120.0,
        "stop_loss": 97.0,
        "atr": 2.0,
        "hour": None,
        "state": "NORMAL",
        "since": "2024-01-01T00:00:00Z",
        "clean_bars": 0,
        "acknowledged": False,
        "baseline_half_life": None,
        "baseline_atr": None,
        "first_half_lives": [],
        "first_atrs": [],
        "closes_outside": 0,
        "transition_bars": 0,
        "transition_4h_bars": 0,
        "four_hours_seen": START.index // 4,
        "late_bars": 0,
        "stretched_since": None,
        "confidences": [],
        "classic_confidences": [],
    }


def test_an_hour_is_folded_once_and_in_order():
    """Before the start, the same one again, an earlier one: refused."""
    with pytest.raises(ValueError, match="comes after 2023-12-31T23 only"):
        advanced(GRID, START.plus(-1), CALM, EVIDENCE)
    fold = advanced(GRID, START, CALM, EVIDENCE).fold
    for hour in (START, START.plus(-5)):
        with pytest.raises(ValueError, match="only"):
            advanced(fold, hour, CALM, EVIDENCE)
    assert advanced(fold, START.plus(1), CALM, EVIDENCE).fold.hour == START.plus(1).iso()


def test_a_moved_grid_forgets_what_was_measured_on_its_old_bounds():
    """State, latch and baseline stay, and so does everything that is the market's."""
    fold = followed([*[CALM] * 24, BROKEN, BROKEN])[-1].fold
    found = moved(fold, 110.0, 130.0, 108.0, 3.0)
    assert (found.lower, found.upper, found.stop_loss, found.atr) == (110.0, 130.0, 108.0, 3.0)
    assert (found.closes_outside, found.confidences) == (0, ())
    changed = {"lower", "upper", "stop_loss", "atr", "closes_outside", "confidences"}
    for name, value in as_record(fold).items():
        assert (as_record(found)[name] == value) == (name not in changed)


def first_day(half_lives: list[float | None], atrs: list[float | None]) -> list[ExitReadings | None]:
    return [
        replace(CALM, half_life=half_life, atr=atr) for half_life, atr in zip(half_lives, atrs, strict=True)
    ]


def test_until_the_first_day_is_over_the_calm_hours_of_the_week_are_the_baseline():
    """Then its own medians, and they stay."""
    day = first_day([float(h) for h in range(1, 25)], [float(h) / 10 for h in range(1, 25)])
    found = followed([*day, CALM, replace(CALM, half_life=500.0, atr=9.0)])
    assert [e.baseline for e in found[:23]] == [Baseline(10.0, 2.0)] * 23
    assert [e.baseline for e in found[23:]] == [Baseline(12.5, 1.25)] * 3
    assert found[22].fold.first_half_lives == tuple(float(h) for h in range(1, 24))
    assert found[22].fold.baseline_half_life is None
    assert (found[23].fold.first_half_lives, found[23].fold.first_atrs) == ((), ())
    assert trigger_of(found[25], "half_life_long").value == 40.0


def test_no_mean_reversion_counts_as_a_week_in_the_baseline():
    """And what is unknown does not count."""
    day = first_day([math.inf] * 13 + [4.0] * 11, [2.0] * 24)
    assert followed(day)[-1].baseline.half_life == 168.0
    day = first_day([math.inf] * 12 + [4.0] * 12, [2.0] * 24)
    assert followed(day)[-1].baseline.half_life == 86.0
    day = first_day([None] * 6 + [4.0] * 9 + [math.inf] * 9, [2.0] * 24)
    assert followed(day)[-1].baseline.half_life == 86.0
    day = first_day([300.0] * 24, [2.0] * 24)
    assert followed(day)[-1].baseline.half_life == 300.0


@pytest.mark.parametrize(("known", "expected"), [(11, 10.0), (12, 4.0)])
def test_a_first_day_mostly_unknown_gives_no_baseline(known: int, expected: float):
    """With fewer readings than 12 the calm hours of the week stay."""
    day = first_day([4.0] * known + [None] * (24 - known), [2.0] * 24)
    assert followed(day)[-1].baseline.half_life == expected
    day = first_day([4.0] * 24, [4.0] * known + [None] * (24 - known))
    assert followed([*day, CALM])[-1].baseline == Baseline(4.0, 2.0 if known < 12 else 4.0)


def test_a_grid_that_is_met_late_has_no_first_day():
    """What came after it is not taken for it."""
    late = advanced(GRID, START.plus(24), CALM, EVIDENCE)
    assert (late.fold.first_atrs, late.fold.baseline_atr) == ((), None)
    just = advanced(GRID, START.plus(23), CALM, ExitsConfig(baseline_readings=1))
    assert (just.fold.first_atrs, just.fold.baseline_atr) == ((), 2.0)
    first = advanced(GRID, START.plus(22), CALM, EVIDENCE)
    assert (first.fold.first_atrs, first.fold.baseline_atr) == ((2.0,), None)


def test_without_any_baseline_the_rules_on_it_are_not_evaluable():
    """They say so; none of them passes silently."""
    unknown = replace(CALM, calm_half_life=None, calm_atr=None, z_score=2.5)
    conservative = ExitsConfig(preset="conservative")
    found = followed([unknown] * 13, conservative)[-1]
    assert found.baseline == Baseline(None, None)
    assert set(found.not_evaluable) == {
        "half_life_long",
        "half_life_lengthening",
        "reversion_failed",
        "late_without_break",
    }
