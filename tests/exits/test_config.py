"""Presets, single values beside them, and the matrix of what acts."""

from __future__ import annotations

from typing import get_args

import pytest
from pydantic import ValidationError

import exits
from exits.config import ACTS, PRESETS, ExitsConfig, Preset
from exits.states import ExitState
from tests.exits.grids import AGGRESSIVE, CALM, CLASSIC, CONSERVATIVE, EVIDENCE, followed
from tests.sections import takes

DEFAULTS = {
    "outside_closes": 2,
    "far_outside": 1.0,
    "stop_near": 0.25,
    "late_bars": 12,
    "given_back": 0.5,
    "given_back_peak": 0.005,
    "barrier_margin": 0.5,
    "hold_unlikely": 0.3,
    "transition_bars": 4,
    "transition_4h_bars": 2,
    "half_life_long": 2.0,
    "volatility_expanded": 1.25,
    "stretched_z": 2.0,
    "relaxed_z": 1.0,
    "reversion_bars": 12,
    "reversion_half_lives": 3.0,
    "warning_worth": 2,
    "hold_doubtful": 0.5,
    "hold_doubtful_worth": 2,
    "transition_near": 0.4,
    "confidence_fall": 0.1,
    "confidence_fall_bars": 3,
    "efficiency_rising": 0.35,
    "half_life_lengthening": 1.5,
    "volatility_rising": 1.1,
    "baseline_hours": 24,
    "baseline_readings": 12,
    "endless_half_life": 168.0,
    "atr_reference": "week",
    "clean_bars": 3,
    "acknowledged_clean_bars": 24,
    "stops_at_latest_acceptable": True,
    "stops_on_trend": False,
    "confidence_floor": 0.6,
    "confidence_drop": 0.2,
    "confidence_drop_bars": 6,
    "stop_horizon_hours": 24,
}


def test_the_defaults_are_those_of_the_specification():
    """Every number of the exit states, as chapter 5 has it."""
    assert EVIDENCE.model_dump() == {"preset": "evidence"} | DEFAULTS


def test_a_preset_sets_defaults():
    """What is not said here is as in evidence."""
    assert CLASSIC.model_dump() == {"preset": "classic"} | DEFAULTS | {"stops_on_trend": True}
    assert CONSERVATIVE.model_dump() == {"preset": "conservative"} | DEFAULTS | {"hold_unlikely": 0.4}
    assert AGGRESSIVE.model_dump() == {"preset": "aggressive"} | DEFAULTS | {
        "hold_unlikely": 0.2,
        "hold_doubtful": 0.4,
        "warning_worth": 3,
        "hold_doubtful_worth": 3,
        "stops_at_latest_acceptable": False,
    }
    assert set(PRESETS) == set(get_args(Preset))


def test_a_single_value_beside_a_preset_wins():
    """The preset gives defaults only."""
    found = ExitsConfig.model_validate({"preset": "aggressive", "hold_unlikely": 0.1})
    assert (found.hold_unlikely, found.hold_doubtful) == (0.1, 0.4)
    assert ExitsConfig.model_validate(found) is found
    assert ExitsConfig.model_validate(found.model_dump()) == found


@pytest.mark.parametrize(
    "wrong",
    [
        {"preset": "bold"},
        {"preset": ["evidence"]},
        {"unknown": 1},
        {"hold_unlikely": 0.5},
        {"half_life_lengthening": 2.0},
        {"volatility_rising": 1.25},
        {"relaxed_z": 2.0},
        {"baseline_readings": 25},
        {"outside_closes": 0},
        {"hold_doubtful": 1.01},
        {"stop_near": -0.01},
        {"warning_worth": 0},
        [],
    ],
)
def test_what_makes_no_sense_is_refused(wrong: object):
    """Unknown names, values out of range, thresholds in the wrong order."""
    with pytest.raises(ValidationError):
        ExitsConfig.model_validate(wrong)


@pytest.mark.parametrize(
    ("field", "taken", "refused"),
    [
        ("given_back", (0, 1), (-0.5, 1.5)),
        ("late_bars", (1, 1000), (0, 1001)),
        ("far_outside", (1e-9, 100), (0, 100.5)),
        ("stop_near", (0, 10), (-0.5, 10.5)),
        ("barrier_margin", (0, 5), (-0.5, 5.5)),
        ("relaxed_z", (0, 10), (-0.5, 10.5)),
        ("warning_worth", (1, 10), (0, 11)),
        ("hold_doubtful_worth", (1, 10), (0, 11)),
        ("baseline_hours", (1, 168), (0, 169)),
        ("baseline_readings", (1, 168), (0, 169)),
        ("endless_half_life", (1e-9, 1000), (0, 1000.5)),
    ],
)
def test_each_number_may_reach_its_limits_and_no_further(
    field: str, taken: tuple[float, float], refused: tuple[float, float]
):
    """On both ends."""
    assert [takes(ExitsConfig, field, value) for value in (*taken, *refused)] == [True, True, False, False]


@pytest.mark.parametrize("bars", [{"confidence_fall_bars": 9}, {"confidence_drop_bars": 9}])
def test_as_many_confidences_are_remembered_as_any_rule_compares(bars: dict[str, int]):
    """The longer of both looks back."""
    assert EVIDENCE.remembered_bars == 6
    assert ExitsConfig.model_validate(bars).remembered_bars == 9


def _documented() -> list[list[str]]:
    lines = [line for line in str(exits.__doc__).splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_the_table_in_the_documentation_is_what_acts():
    """Which preset acts on which trigger, row by row, and under which state it is evaluated."""
    heading, _, *rows = _documented()
    presets = heading[2:]
    assert presets == list(get_args(Preset))
    (evaluation,) = followed([CALM])
    evaluated = [(state.value, t.name) for state, each in evaluation.triggers.items() for t in each]
    assert [(row[0], row[1]) for row in rows] == evaluated
    assert {
        row[1]: frozenset(p for p, told in zip(presets, row[2:], strict=True) if told == "yes")
        for row in rows
    } == ACTS
    for row in rows:
        acting = [ExitsConfig.model_validate({"preset": preset}).acts(row[1]) for preset in presets]
        assert acting == [told == "yes" for told in row[2:]]


def test_every_hour_of_the_first_day_may_be_asked_for():
    """As many readings as hours, and not one more."""
    assert ExitsConfig(baseline_hours=12).baseline_readings == 12
    with pytest.raises(ValidationError, match="at most baseline_hours"):
        ExitsConfig(baseline_hours=11)


@pytest.mark.parametrize("config", [EVIDENCE, CLASSIC, CONSERVATIVE, AGGRESSIVE])
def test_each_trigger_is_marked_with_whether_it_acts(config: ExitsConfig):
    """All triggers of all presets are evaluated; the mark follows the preset."""
    (evaluation,) = followed([CALM], config)
    for triggers in evaluation.triggers.values():
        assert {t.name: t.acts for t in triggers} == {t.name: config.acts(t.name) for t in triggers}
        assert all(t.fired is not None or "confidence" in t.name for t in triggers)


def test_the_states_rise_in_their_order():
    """Each has one calmer one; NORMAL is the calmest."""
    assert [state.rank for state in ExitState] == [0, 1, 2, 3]
    assert [state.calmer.value for state in ExitState] == [
        "NORMAL",
        "NORMAL",
        "WARNING",
        "LATEST_ACCEPTABLE_EXIT",
    ]
