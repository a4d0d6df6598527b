"""Each gate is what its thresholds say: on the line, a hair below it, a hair above it."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regime.gates.conditions import Condition, at_least, at_most, below, unknown
from regime.gates.config import GatesConfig
from regime.gates.fold import conditions_of
from regime.gates.readings import GateReadings
from tests.regime.gates.readings import CALM, READ_BY, calm, unhurried

CONFIG = GatesConfig()
STRICT = GatesConfig(preset="conservative")
EVERYTHING = GatesConfig.model_validate({"mean_reversion": {"maximum_dickey_fuller_t": -2.57}})
numbers = st.floats(-1e6, 1e6).map(lambda value: float(f"{value:.8e}"))


def holds(gate: int, readings: GateReadings, config: GatesConfig = CONFIG) -> bool:
    return all(each.held for each in conditions_of(gate, readings, config))


def asked(gate: int, name: str, readings: GateReadings, config: GatesConfig = CONFIG) -> Condition:
    (found,) = (each for each in conditions_of(gate, readings, config) if each.name == name)
    return found


def test_a_value_on_the_line_is_not_below_it_but_at_most_and_at_least():
    """Strict and loose comparisons, with the distance positive on the side that holds."""
    assert below("x", 2.0, 2.0) == Condition("x", False, 2.0, 2.0, 0.0, None)
    assert below("x", 1.5, 2.0) == Condition("x", True, 1.5, 2.0, 0.5, None)
    assert below("x", 2.5, 2.0) == Condition("x", False, 2.5, 2.0, -0.5, None)
    assert at_most("x", 2.0, 2.0) == Condition("x", True, 2.0, 2.0, 0.0, None)
    assert at_most("x", 2.5, 2.0) == Condition("x", False, 2.5, 2.0, -0.5, None)
    assert at_most("x", 1.5, 2.0) == Condition("x", True, 1.5, 2.0, 0.5, None)
    assert at_least("x", 2.0, 2.0) == Condition("x", True, 2.0, 2.0, 0.0, None)
    assert at_least("x", 1.5, 2.0) == Condition("x", False, 1.5, 2.0, -0.5, None)
    assert at_least("x", 2.5, 2.0) == Condition("x", True, 2.5, 2.0, 0.5, None)


def test_what_is_not_known_is_never_met_and_says_data():
    """Never a default; what is known of the comparison stays visible."""
    assert below("x", None, 2.0) == Condition("x", False, None, 2.0, None, "data")
    assert at_most("x", None, 2.0) == Condition("x", False, None, 2.0, None, "data")
    assert at_least("x", None, 2.0) == Condition("x", False, None, 2.0, None, "data")
    assert at_least("x", 3.0, None) == Condition("x", False, 3.0, None, None, "data")
    assert unknown("x", None, 2.0, "why") == Condition("x", False, None, 2.0, None, "why")


@unhurried
@given(numbers, numbers)
def test_the_sign_of_the_distance_says_whether_it_held(value: float, threshold: float):
    """And distances have 9 significant digits."""
    for compare in (below, at_most, at_least):
        found = compare("x", value, threshold)
        assert found.distance is not None
        assert found.distance == float(f"{found.distance:.8e}")
        assert found.held == (found.distance > 0 or (found.distance == 0 and compare is not below))


# Gate, condition, the reading behind it, threshold, whether more is better, whether the line itself holds.
LINES = [
    (0, "adx", "adx", 25.0, False, False),
    (0, "efficiency_ratio", "efficiency_ratio", 0.30, False, False),
    (0, "slope", "slope", 0.15, False, False),
    (1, "half_life", "half_life", 24.0, False, True),
    (1, "autocorrelation", "autocorrelation", 0.05, False, True),
    (1, "excursions_48h", "excursions_48h", 1.0, True, True),
    (2, "atr_ratio_low", "atr_ratio", 0.60, True, True),
    (2, "atr_ratio_high", "atr_ratio", 1.25, False, True),
    (2, "expansion", "expansion", 1.5, False, True),
    (2, "atr_pct", "atr_pct", 0.3, True, True),
    (2, "turnover_24h", "turnover_24h", 200_000.0, True, True),
]


@pytest.mark.parametrize(("gate", "name", "reading", "line", "more", "on_it"), LINES)
def test_each_condition_turns_exactly_at_its_threshold(
    gate: int, name: str, reading: str, line: float, more: bool, on_it: bool
):
    """One unit in the ninth digit decides, and the gate with it."""
    step = float(f"1e{math.floor(math.log10(line)) - 8}")
    inside, outside = (line + step, line - step) if more else (line - step, line + step)
    for value, held in ((line, on_it), (inside, True), (outside, False)):
        readings = calm(**{reading: value, "adx_3_bars_ago": 30.0})
        assert asked(gate, name, readings) == Condition(
            name, held, value, line, asked(gate, name, readings).distance, None
        )
        assert holds(gate, readings) is held


@pytest.mark.parametrize(("name", "line"), [("half_life", 12.0), ("dickey_fuller_t", -2.57)])
def test_the_strict_preset_asks_for_a_short_half_life_and_a_refuted_walk(name: str, line: float):
    """Half-life <= 12 h and DF t <= -2.57, instead of the autocorrelation."""
    for value, held in ((line, True), (line - 1e-7, True), (line + 1e-7, False)):
        readings = calm(**{name: value})
        assert asked(1, name, readings, STRICT).held is held
        assert asked(1, name, readings, STRICT).threshold == line
        assert holds(1, readings, STRICT) is held
    assert holds(1, calm(autocorrelation=None), STRICT)
    assert holds(1, calm(dickey_fuller_t=None))


def test_adx_must_not_have_risen_over_three_bars():
    """Equal is enough, a hair above is not."""
    for before, held in ((20.0, True), (20.0000001, True), (19.9999999, False)):
        readings = calm(adx_3_bars_ago=before)
        assert asked(0, "adx_rise", readings).held is held
        assert holds(0, readings) is held
    assert asked(0, "adx_rise", CALM) == Condition("adx_rise", True, -1.0, 0.0, 1.0, None)


def test_a_slope_is_flat_in_both_directions():
    """Its size counts."""
    assert [holds(0, calm(slope=value)) for value in (-0.15, -0.149999999, 0.149999999, 0.15)] == [
        False,
        True,
        True,
        False,
    ]
    assert asked(0, "slope", calm(slope=-0.1)).value == 0.1


def test_no_mean_reversion_is_known_and_never_short_enough():
    """Not missing data: the half-life is infinite."""
    found = asked(1, "half_life", calm(half_life=math.inf))
    assert found == Condition("half_life", False, None, 24.0, None, "no mean reversion")
    assert asked(1, "half_life", calm(half_life=None)).reason == "data"


def test_the_turnover_is_counted_in_grids():
    """200 x grid notional, and nothing is known without the notional."""
    assert asked(2, "turnover_24h", calm(grid_notional=123.456789)).threshold == 24691.3578
    assert asked(2, "turnover_24h", calm(grid_notional=None)).reason == "data"
    assert asked(2, "turnover_24h", calm(grid_notional=None)).value == 1e6
    assert asked(2, "atr_pct", calm(spacing_floor_pct=0.5)).threshold == 0.5
    assert asked(2, "atr_pct", calm(spacing_floor_pct=None)).reason == "data"


@pytest.mark.parametrize(("gate", "name"), [(g, name) for g, names in enumerate(READ_BY) for name in names])
def test_property_66_what_a_gate_does_not_know_it_does_not_pass(gate: int, name: str):
    """Each reading alone; the other two gates do not even look at it."""
    readings = calm(**{name: None})
    assert holds(gate, CALM, EVERYTHING)
    assert not holds(gate, readings, EVERYTHING)
    assert "data" in {each.reason for each in conditions_of(gate, readings, EVERYTHING)}
    for other in {0, 1, 2} - {gate}:
        assert conditions_of(other, readings, EVERYTHING) == conditions_of(other, CALM, EVERYTHING)


anything = st.builds(
    calm,
    adx=st.floats(15, 35),
    adx_3_bars_ago=st.floats(15, 35),
    efficiency_ratio=st.floats(0.2, 0.4),
    slope=st.floats(-0.25, 0.25),
    half_life=st.floats(6, 48),
    autocorrelation=st.floats(-0.1, 0.2),
    dickey_fuller_t=st.floats(-4, -1),
    excursions_48h=st.integers(0, 3).map(float),
    atr_ratio=st.floats(0.4, 1.6),
    expansion=st.floats(1, 2),
    atr_pct=st.floats(0.1, 0.6),
    turnover_24h=st.floats(1e5, 4e5),
    spacing_floor_pct=st.floats(0.1, 0.6),
    grid_notional=st.floats(500, 2000),
)
# Towards which side each one-sided input makes a gate harder to hold.
HARDER = (
    {"adx": 1, "adx_3_bars_ago": -1, "efficiency_ratio": 1},
    {"half_life": 1, "autocorrelation": 1, "dickey_fuller_t": 1, "excursions_48h": -1},
    {"expansion": 1, "atr_pct": -1, "spacing_floor_pct": 1, "turnover_24h": -1, "grid_notional": 1},
)


def monotone(gate: int, readings: GateReadings, by: float) -> None:
    before = holds(gate, readings, EVERYTHING)
    for name, side in HARDER[gate].items():
        value: Any = getattr(readings, name)
        harder = replace(readings, **{name: value + side * by * max(abs(value), 1)})
        easier = replace(readings, **{name: value - side * by * max(abs(value), 1)})
        assert before or not holds(gate, harder, EVERYTHING)
        assert holds(gate, easier, EVERYTHING) or not before


def pure(gate: int, readings: GateReadings) -> None:
    assert conditions_of(gate, readings, EVERYTHING) == conditions_of(gate, replace(readings), EVERYTHING)
    names = {field.name for field in fields(GateReadings)} - set(READ_BY[gate]) - {"verdict"}
    other = replace(readings, **dict.fromkeys(names, 7.0))
    assert conditions_of(gate, other, EVERYTHING) == conditions_of(gate, readings, EVERYTHING)


@unhurried
@given(anything, st.floats(0, 2))
def test_property_57_energy_decay_is_pure_and_monotone(readings: GateReadings, by: float):
    """More ADX, more rise, straighter or steeper never helps; nothing else matters."""
    monotone(0, readings, by)
    pure(0, readings)
    assert readings.slope is not None
    steeper = replace(readings, slope=readings.slope * (1 + by))
    assert holds(0, readings) or not holds(0, steeper)


@unhurried
@given(anything, st.floats(0, 2))
def test_property_58_mean_reversion_is_pure_and_monotone(readings: GateReadings, by: float):
    """A longer half-life, more autocorrelation, a larger t or fewer excursions never helps."""
    monotone(1, readings, by)
    pure(1, readings)
    assert not holds(1, replace(readings, half_life=math.inf))


@unhurried
@given(anything, st.floats(0, 2))
def test_property_59_tradable_volatility_is_pure_monotone_and_banded(readings: GateReadings, by: float):
    """Wider bands, smaller moves, dearer fees, a thinner market or a larger grid never helps; the ATR ratio
    holds exactly inside its band."""
    monotone(2, readings, by)
    pure(2, readings)
    assert readings.atr_ratio is not None
    banded = asked(2, "atr_ratio_low", readings).held and asked(2, "atr_ratio_high", readings).held
    assert banded is (0.60 <= readings.atr_ratio <= 1.25)
    assert holds(2, readings) is (banded and holds(2, replace(readings, atr_ratio=1.0)))


@unhurried
@given(anything, st.floats(-0.2, 0.2))
def test_property_74_the_configured_threshold_is_the_one_that_counts(readings: GateReadings, by: float):
    """Each number of the section moves its own condition and no other."""
    for gate, section, field, name, side in (
        (0, "energy_decay", "maximum_adx", "adx", 1),
        (0, "energy_decay", "maximum_adx_rise", "adx_rise", 1),
        (0, "energy_decay", "maximum_efficiency_ratio", "efficiency_ratio", 1),
        (0, "energy_decay", "maximum_slope", "slope", 1),
        (1, "mean_reversion", "maximum_half_life", "half_life", 1),
        (1, "mean_reversion", "maximum_autocorrelation", "autocorrelation", 1),
        (1, "mean_reversion", "maximum_dickey_fuller_t", "dickey_fuller_t", 1),
        (2, "tradable_volatility", "minimum_atr_ratio", "atr_ratio_low", -1),
        (2, "tradable_volatility", "maximum_atr_ratio", "atr_ratio_high", 1),
        (2, "tradable_volatility", "maximum_expansion", "expansion", 1),
    ):
        line = getattr(getattr(EVERYTHING, section), field) + by / 2
        told = EVERYTHING.model_dump()
        told[section][field] = line
        config = GatesConfig.model_validate(told)
        found = asked(gate, name, readings, config)
        assert found.threshold == line
        assert found.value is not None
        strict = field in ("maximum_adx", "maximum_efficiency_ratio", "maximum_slope")
        expected = found.value > line if side < 0 else found.value < line
        assert found.held is (expected or (found.value == line and not strict))
        others = [each for each in conditions_of(gate, readings, config) if each.name != name]
        assert others == [each for each in conditions_of(gate, readings, EVERYTHING) if each.name != name]
    for count in (1, 2, 3):
        config = GatesConfig.model_validate({"mean_reversion": {"minimum_excursions": count}})
        assert asked(1, "excursions_48h", readings, config).held is ((readings.excursions_48h or 0) >= count)
    config = GatesConfig.model_validate({"tradable_volatility": {"minimum_turnover": 100}})
    assert asked(2, "turnover_24h", calm(turnover_24h=100_000.0), config).held
