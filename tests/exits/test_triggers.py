"""Each trigger exactly at its threshold, just below and just above, and where it has no answer."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exits.config import ExitsConfig
from exits.fold import advanced
from exits.memory import opened
from exits.readings import NOTHING_KNOWN, ExitReadings, Profit
from exits.triggers import ABOVE, AT_LEAST, AT_MOST, BELOW, Rule, Trigger, measured
from market.hours import Hour
from regime.analysis import Verdict
from tests.exits.grids import (
    AGGRESSIVE,
    CALM,
    CLASSIC,
    CONSERVATIVE,
    EVIDENCE,
    GRID,
    START,
    followed,
    trigger,
    trigger_of,
)

OK, WEAK, TRANSITION, TREND = Verdict
TINY = 1e-6


def hour(**facts: Any) -> ExitReadings:
    return replace(CALM, **facts)


def earning(peak: float, current: float) -> ExitReadings:
    return hour(profit=Profit(1000.0, peak, current, 0.0))


@pytest.mark.parametrize(
    ("name", "facts", "fired", "value", "threshold", "distance"),
    [
        ("close_far_outside", {"close": 122.0}, False, 1.0, 1.0, 0.0),
        ("close_far_outside", {"close": 122.001}, True, 1.0005, 1.0, -0.0005),
        ("close_far_outside", {"close": 98.0}, False, 1.0, 1.0, 0.0),
        ("close_far_outside", {"close": 97.999}, True, 1.0005, 1.0, -0.0005),
        ("close_far_outside", {"close": 110.0}, False, -5.0, 1.0, 6.0),
        ("close_far_outside", {"close": 118.0, "atr": 1.0}, False, -1.0, 1.0, 2.0),  # the ATR of the start
        ("stop_near", {"close": 97.5}, True, 0.25, 0.25, 0.0),
        ("stop_near", {"close": 97.501}, False, 0.2505, 0.25, 0.0005),
        ("stop_near", {"close": 97.0}, True, 0.0, 0.25, -0.25),
        ("stop_near", {"close": 96.0}, True, -0.5, 0.25, -0.75),
        ("stop_near", {"close": 98.0, "atr": 4.0}, True, 0.25, 0.25, 0.0),  # today's ATR
        ("stop_near", {"close": 97.5, "atr": None}, True, 0.25, 0.25, 0.0),  # else that of the start
        ("trend_on_both", {"classic_verdict": TREND, "verdict_4h": TRANSITION}, True, 2.0, 2.0, 0.0),
        ("trend_on_both", {"classic_verdict": TREND, "verdict_4h": TREND}, True, 2.0, 2.0, 0.0),
        ("trend_on_both", {"classic_verdict": TREND, "verdict_4h": WEAK}, False, 1.0, 2.0, 1.0),
        ("trend_on_both", {"classic_verdict": TRANSITION, "verdict_4h": TREND}, False, 1.0, 2.0, 1.0),
        ("trend_on_both", {"classic_verdict": TREND, "verdict_4h": None}, None, None, 2.0, None),
        ("trend_on_both", {"classic_verdict": OK, "verdict_4h": None}, False, 0.0, 2.0, 2.0),
        ("trend_on_both", {"classic_verdict": None, "verdict_4h": TREND}, None, None, 2.0, None),
        ("trend_on_both", {"classic_verdict": None, "verdict_4h": OK}, False, 0.0, 2.0, 2.0),
        ("trend_on_both", {"classic_verdict": None, "verdict_4h": None}, None, None, 2.0, None),
        ("hold_unlikely", {"survival": 0.3}, False, 0.3, 0.3, 0.0),
        ("hold_unlikely", {"survival": 0.299999}, True, 0.299999, 0.3, -TINY),
        ("hold_unlikely", {"survival": 0.0}, True, 0.0, 0.3, -0.3),
        ("hold_unlikely", {"survival": None}, None, None, 0.3, None),
        ("half_life_long", {"half_life": 20.0}, True, 2.0, 2.0, 0.0),
        ("half_life_long", {"half_life": 19.9999}, False, 1.99999, 2.0, 0.00001),
        ("half_life_long", {"half_life": math.inf}, True, None, 2.0, None),
        ("half_life_long", {"half_life": None}, None, None, 2.0, None),
        ("half_life_long", {"calm_half_life": None}, None, None, 2.0, None),
        ("volatility_expanded", {"atr_ratio": 1.25}, False, 1.25, 1.25, 0.0),
        ("volatility_expanded", {"atr_ratio": 1.250001}, True, 1.250001, 1.25, -TINY),
        ("volatility_expanded", {"atr_ratio": None}, None, None, 1.25, None),
        ("hold_doubtful", {"survival": 0.5}, False, 0.5, 0.5, 0.0),
        ("hold_doubtful", {"survival": 0.499999}, True, 0.499999, 0.5, -TINY),
        ("hold_doubtful", {"survival": None}, None, None, 0.5, None),
        ("transition_near", {"p_transition": 0.4}, True, 0.4, 0.4, 0.0),
        ("transition_near", {"p_transition": 0.399999}, False, 0.399999, 0.4, TINY),
        ("transition_near", {"p_transition": None}, None, None, 0.4, None),
        ("efficiency_rising", {"efficiency_ratio": 0.35}, False, 0.35, 0.35, 0.0),
        ("efficiency_rising", {"efficiency_ratio": 0.35, "efficiency_before": None}, False, 0.35, 0.35, 0.0),
        ("efficiency_rising", {"efficiency_ratio": 0.350001}, True, 0.350001, 0.35, -TINY),
        ("efficiency_rising", {"efficiency_ratio": 0.4, "efficiency_before": 0.4}, False, 0.4, 0.35, 0.0),
        ("efficiency_rising", {"efficiency_ratio": 0.4, "efficiency_before": 0.39}, True, 0.4, 0.35, -0.01),
        ("efficiency_rising", {"efficiency_ratio": 0.4, "efficiency_before": 0.5}, False, 0.4, 0.35, 0.1),
        ("efficiency_rising", {"efficiency_ratio": 0.4, "efficiency_before": None}, None, None, 0.35, None),
        ("efficiency_rising", {"efficiency_ratio": 0.3, "efficiency_before": None}, False, 0.3, 0.35, 0.05),
        ("efficiency_rising", {"efficiency_ratio": None}, None, None, 0.35, None),
        ("half_life_lengthening", {"half_life": 15.0}, True, 1.5, 1.5, 0.0),
        ("half_life_lengthening", {"half_life": 14.9999}, False, 1.49999, 1.5, 0.00001),
        ("half_life_lengthening", {"half_life": 50.0}, True, 5.0, 1.5, -3.5),
        ("half_life_lengthening", {"half_life": math.inf}, True, None, 1.5, None),
        ("half_life_lengthening", {"calm_half_life": None}, None, None, 1.5, None),
        ("volatility_rising", {"atr_ratio": 1.1}, True, 1.1, 1.1, 0.0),
        ("volatility_rising", {"atr_ratio": 1.099999}, False, 1.099999, 1.1, TINY),
        ("volatility_rising", {"atr_ratio": 3.0}, True, 3.0, 1.1, -1.9),
        ("volatility_rising", {"atr_ratio": None}, None, None, 1.1, None),
    ],
)
@pytest.mark.parametrize("config", [EVIDENCE, CLASSIC])
def test_each_trigger_of_one_hour(
    config: ExitsConfig,
    name: str,
    facts: dict[str, Any],
    fired: bool | None,
    value: float | None,
    threshold: float,
    distance: float | None,
):
    """At the threshold, beside it, and unknown; the preset changes who acts, never what is measured."""
    found = trigger(name, [hour(**facts)], config)
    assert found.fired is fired
    assert (found.value, found.threshold) == (value, threshold)
    assert found.distance == (None if distance is None else pytest.approx(distance, abs=1e-12))
    assert ("not evaluable" in found.reason) == (fired is None)
    assert found.acts == config.acts(name)


@pytest.mark.parametrize(
    ("config", "unlikely", "doubtful"),
    [(EVIDENCE, 0.3, 0.5), (CONSERVATIVE, 0.4, 0.5), (AGGRESSIVE, 0.2, 0.4)],
)
def test_property_74_the_configured_probabilities_are_honoured(
    config: ExitsConfig, unlikely: float, doubtful: float
):
    """Each preset's own, and they are what the record names."""
    for name, threshold in (("hold_unlikely", unlikely), ("hold_doubtful", doubtful)):
        at, below = hour(survival=threshold), hour(survival=threshold - TINY)
        assert trigger(name, [at], config).fired is False
        assert trigger(name, [below], config).fired is True
        assert trigger(name, [at], config).threshold == threshold


NEW = {
    "two_closes_outside": ("outside_closes", 3),
    "close_far_outside": ("far_outside", 1.5),
    "stop_near": ("stop_near", 0.1),
    "late_without_break": ("late_bars", 2),
    "profit_given_back": ("given_back", 0.9),
    "hold_unlikely": ("hold_unlikely", 0.11),
    "transition_1h_stands": ("transition_bars", 7),
    "transition_4h_stands": ("transition_4h_bars", 3),
    "half_life_long": ("half_life_long", 2.5),
    "volatility_expanded": ("volatility_expanded", 1.3),
    "hold_doubtful": ("hold_doubtful", 0.61),
    "transition_near": ("transition_near", 0.42),
    "confidence_falling": ("confidence_fall", 0.3),
    "classic_confidence_falling": ("confidence_fall", 0.3),
    "efficiency_rising": ("efficiency_rising", 0.37),
    "half_life_lengthening": ("half_life_lengthening", 1.6),
    "volatility_rising": ("volatility_rising", 1.2),
}


@pytest.mark.parametrize("name", NEW)
def test_property_74_every_threshold_is_the_configured_one(name: str):
    """Another number in the configuration is the number compared with."""
    field, value = NEW[name]
    assert trigger(name, [CALM] * 4, ExitsConfig.model_validate({field: value})).threshold == value


@pytest.mark.parametrize("name", [*NEW, "trend_on_both", "reversion_failed"])
def test_nothing_known_is_no_answer(name: str):
    """Never a False by default."""
    for readings in (None, NOTHING_KNOWN):
        found = trigger(name, [CALM, CALM, CALM, readings])
        assert (found.fired, found.value, found.distance) == (None, None, None)


@pytest.mark.parametrize(
    ("closes", "fired", "value"),
    [
        ([120.0, 120.0], False, 0.0),
        ([100.0, 100.0], False, 0.0),
        ([120.01], False, 1.0),
        ([120.01, 120.01], True, 2.0),
        ([120.01, 99.99], True, 2.0),  # either side
        ([99.99, 110.0, 99.99], False, 1.0),
        ([99.99] * 5, True, 5.0),
    ],
)
def test_closes_outside_in_a_row(closes: list[float], fired: bool, value: float):
    """Two of them; on the bound is inside, and a close inside begins anew."""
    found = trigger("two_closes_outside", [hour(close=close) for close in closes])
    assert (found.fired, found.value, found.threshold, found.distance) == (fired, value, 2, 2 - value)


def test_an_unknown_close_between_two_outside_is_not_a_return():
    """The count waits."""
    outside = hour(close=121.0)
    assert trigger("two_closes_outside", [outside, None, outside]).fired is True


def test_a_grid_without_an_atr_takes_the_first_one():
    """Until then what is counted in it has no answer."""
    grid = replace(GRID, atr=None)
    blind = replace(NOTHING_KNOWN, close=130.0)
    assert trigger("close_far_outside", [blind], grid=grid).reason.endswith("no ATR since the grid's start")
    assert trigger("stop_near", [blind], grid=grid).fired is None
    assert trigger("stop_near", [blind], grid=grid).reason.endswith("no ATR since the grid's start")
    found = trigger("close_far_outside", [hour(atr=4.0), hour(close=126.0, atr=9.0)], grid=grid)
    assert found.value == 1.5
    known = replace(NOTHING_KNOWN, atr=2.0)
    assert trigger("close_far_outside", [known]).reason.endswith("not known in this hour")
    assert trigger("stop_near", [known]).reason.endswith("not known in this hour")


def test_without_a_stop_loss_nothing_is_near_it():
    """It is said so, and is no missing data."""
    found = trigger("stop_near", [hour(close=97.0)], grid=replace(GRID, stop_loss=None))
    assert (found.fired, found.value, found.threshold, found.distance) == (False, None, None, None)
    assert found.reason == "the grid has no stop-loss"


@pytest.mark.parametrize(
    ("readings", "fired", "value"),
    [
        (earning(5.0, 2.5), True, 0.5),
        (earning(5.0, 2.51), False, 0.498),
        (earning(4.99, 0.0), False, None),  # a peak below .5 % of the allocation
        (earning(5.0, -5.0), True, 2.0),
        (earning(0.0, -5.0), False, None),
        (hour(profit=None), None, None),
    ],
)
def test_profit_given_back_is_advice_after_a_real_peak(
    readings: ExitReadings, fired: bool | None, value: float | None
):
    """Half of the peak, once that was .5 % of the allocation; it acts in no preset."""
    found = trigger("profit_given_back", [readings])
    assert (found.fired, found.value) == (fired, value)
    assert (found.reason == "the peak profit is below 0.5 % of the allocation") == (
        fired is False and value is None
    )
    for config in (EVIDENCE, CLASSIC, CONSERVATIVE, AGGRESSIVE):
        assert followed([readings], config)[0].state.value == "NORMAL"


def test_without_a_profit_nothing_is_given_back():
    """Even where no peak is too small to speak of."""
    any_peak = ExitsConfig(given_back_peak=0.0)
    assert trigger("profit_given_back", [earning(0.0, -1.0)], any_peak).fired is False
    assert trigger("profit_given_back", [earning(0.001, 0.0)], any_peak).value == 1.0
    assert trigger("profit_given_back", [hour(profit=Profit(0.0, 0.0, 0.0, 0.0))], any_peak).fired is False


REASONS = {
    "two_closes_outside": "closes outside the bounds in a row: 0, fires at or above 2",
    "close_far_outside": "close beyond the bounds in ATR: -5, fires above 1",
    "stop_near": "close above the stop-loss in ATR: 6.5, fires at or below 0.25",
    "trend_on_both": "1h is RANGE_OK, 4h unknown; of TREND and TRANSITION or more: 0, fires at or above 2",
    "late_without_break": "hours of LATEST_ACCEPTABLE_EXIT in a row: 0, fires at or above 12",
    "profit_given_back": "share of the peak profit given back: 0, fires at or above 0.5",
    "hold_unlikely": "probability that the grid's bounds hold for 24 h: 0.9, fires below 0.3",
    "transition_1h_stands": "1h bars of TRANSITION or TREND in a row: 0, fires at or above 4",
    "transition_4h_stands": "not evaluable: 4h bars of TRANSITION or TREND in a row not known in this hour",
    "half_life_long": "half-life over its baseline: 1, fires at or above 2",
    "volatility_expanded": "ATR ratio: 1, fires above 1.25",
    "reversion_failed": "hours without coming back from a far z-score: 0, fires at or above 30",
    "hold_doubtful": "probability that the grid's bounds hold for 24 h: 0.9, fires below 0.5",
    "transition_near": "p_transition: 0.1, fires at or above 0.4",
    "confidence_falling": "fall of the hold probability over 3 bars: 0, fires at or above 0.1",
    "classic_confidence_falling": "fall of classic's C over 3 bars: 0, fires at or above 0.1",
    "efficiency_rising": "efficiency ratio: 0.2, fires above 0.35 and 0.2 3 bars ago",
    "half_life_lengthening": "half-life over its baseline: 1, fires at or above 1.5",
    "volatility_rising": "ATR ratio: 1, fires at or above 1.1",
}
SILENT = {
    "half_life_long": "not evaluable: half-life over its baseline is unknown, or has no baseline",
    "half_life_lengthening": "not evaluable: half-life over its baseline is unknown, or has no baseline",
    "efficiency_rising": "not evaluable: efficiency ratio, or its value 3 bars ago, not known in this hour",
    "reversion_failed": "not evaluable: hours without coming back from a far z-score not known in this hour",
    "trend_on_both": "not evaluable: 1h is unknown, 4h unknown",
}


def test_every_trigger_says_what_it_measured():
    """In words that need no table beside them, fired or not."""
    found = followed([CALM, CALM, CALM, hour(verdict_4h=None)])[-1]
    assert {t.name: t.reason for each in found.triggers.values() for t in each} == REASONS
    assert trigger("trend_on_both", [hour(classic_verdict=TREND, verdict_4h=WEAK)]).reason == (
        "1h is TREND, 4h RANGE_WEAK; of TREND and TRANSITION or more: 1, fires at or above 2"
    )
    silent = followed([None])[-1]
    assert SILENT.items() <= {t.name: t.reason for each in silent.triggers.values() for t in each}.items()
    assert trigger("efficiency_rising", [hour(efficiency_before=None)]).reason.endswith("unknown 3 bars ago")
    bare = stretched(12)
    bare = [None if each is None else replace(each, calm_half_life=None) for each in bare]
    assert trigger("reversion_failed", bare).reason == "not evaluable: the half-life has no baseline"


@pytest.mark.parametrize(
    ("verdicts", "fired", "value"),
    [
        ([TRANSITION] * 3, False, 3.0),
        ([TRANSITION] * 4, True, 4.0),
        ([TREND, TRANSITION, TREND, TRANSITION], True, 4.0),
        ([TRANSITION, TRANSITION, WEAK, TRANSITION, TRANSITION], False, 2.0),
        ([WEAK] * 4, False, 0.0),
    ],
)
def test_transition_on_1h(verdicts: list[Verdict], fired: bool, value: float):
    """Four bars in a row of TRANSITION or worse."""
    found = trigger("transition_1h_stands", [hour(classic_verdict=verdict) for verdict in verdicts])
    assert (found.fired, found.value, found.threshold, found.distance) == (fired, value, 4, 4 - value)


@pytest.mark.parametrize(
    ("hours", "fired", "value"),
    [
        ([TRANSITION] * 3, False, 0.0),  # none has closed since the start at 00:00
        ([TRANSITION] * 4, False, 1.0),
        ([TRANSITION] * 7, False, 1.0),
        ([TRANSITION] * 8, True, 2.0),
        ([OK] * 3 + [TREND] * 5, True, 2.0),
        ([TRANSITION] * 7 + [OK] * 4 + [TREND], False, 1.0),
        ([TRANSITION] * 7 + [None, TREND], True, 2.0),  # the bar of an unjudged hour is told one hour later
    ],
)
def test_transition_on_4h(hours: list[Verdict | None], fired: bool, value: float):
    """Two 4h bars in a row; each counts once, when it is first known."""
    found = trigger("transition_4h_stands", [hour(verdict_4h=verdict) for verdict in hours])
    assert (found.fired, found.value, found.threshold, found.distance) == (fired, value, 2, 2 - value)


def test_the_4h_bar_that_closed_before_the_start_does_not_count():
    """A grid that starts within one counts it when it closes."""
    restless = hour(verdict_4h=TREND)
    for started, first_counted in ((3, 1), (4, 4), (5, 3)):
        grid = opened(START.plus(started).opens_at, 100.0, 120.0, 97.0, 2.0)
        counts = [evaluation.fold.transition_4h_bars for evaluation in followed([restless] * 5, grid=grid)]
        assert counts.index(1) + 1 == first_counted


def stretched(bars: int, z_score: float = 1.5) -> list[ExitReadings | None]:
    return [hour(z_score=-2.0), *[hour(z_score=z_score)] * bars]


@pytest.mark.parametrize(
    ("hours", "facts", "fired", "value", "threshold"),
    [
        ([hour(z_score=1.999)] * 40, {}, False, 0.0, 30),
        (stretched(29), {}, False, 29.0, 30),
        (stretched(30), {}, True, 30.0, 30),
        (stretched(30, 1.000001), {}, True, 30.0, 30),
        (stretched(30, 1.0), {}, False, 0.0, 30),
        (stretched(30, -1.0), {}, False, 0.0, 30),
        ([*stretched(29), hour(z_score=0.5), hour(z_score=1.5)], {}, False, 0.0, 30),
        ([*stretched(28), None, hour(z_score=1.5)], {}, True, 30.0, 30),
        (stretched(11), {"calm_half_life": 3.0}, False, 11.0, 12),
        (stretched(12), {"calm_half_life": 3.0}, True, 12.0, 12),
        (stretched(12), {"calm_half_life": 4.1}, False, 12.0, 13),
        (stretched(13), {"calm_half_life": 4.1}, True, 13.0, 13),
        (stretched(11), {"calm_half_life": None}, False, 11.0, 12),
        (stretched(12), {"calm_half_life": None}, None, None, 12),
        ([*stretched(11), hour(z_score=None)], {}, None, None, 30),
    ],
)
def test_a_stretch_that_does_not_come_back(
    hours: list[ExitReadings | None],
    facts: dict[str, Any],
    fired: bool | None,
    value: float,
    threshold: float,
):
    """|z| from 2 not back to 1 within max(12, ceil(3 x baseline half-life)) hours."""
    config = ExitsConfig(baseline_hours=168, baseline_readings=168)
    told = [None if each is None else replace(each, **facts) for each in hours]
    found = trigger("reversion_failed", told, config)
    assert (found.fired, found.value, found.threshold) == (fired, value, threshold)
    assert found.distance == (None if value is None else threshold - value)


def falling(*values: float | None) -> list[ExitReadings | None]:
    return [hour(confidence=value, classic_confidence=value) for value in values]


@pytest.mark.parametrize("name", ["confidence_falling", "classic_confidence_falling"])
@pytest.mark.parametrize(
    ("hours", "fired", "value"),
    [
        (falling(0.8, 0.8, 0.8, 0.7), True, 0.1),
        (falling(0.8, 0.8, 0.8, 0.700001), False, 0.099999),
        (falling(0.8, 0.8, 0.8, 0.699999), True, 0.100001),
        (falling(0.9, 0.7, 0.7, 0.7, 0.7), False, 0.0),
        (falling(0.5, 0.9, 0.8, 0.7, 0.6), True, 0.3),
        (falling(0.8, 0.7, 0.6), None, None),  # no fourth bar yet
        (falling(0.8, None, None, 0.7), True, 0.1),
        (falling(None, 0.8, 0.8, 0.6), None, None),
        (falling(0.8, 0.8, 0.8, None), None, None),
        (falling(0.6, 0.6, 0.6, 0.8), False, -0.2),
    ],
)
def test_a_falling_confidence(
    name: str, hours: list[ExitReadings | None], fired: bool | None, value: float | None
):
    """By .10 over 3 bars, against its own real past."""
    found = trigger(name, hours)
    assert (found.fired, found.value, found.threshold) == (fired, value, 0.1)


def test_each_confidence_has_its_own_past():
    """Classic compares C, evidence the probability on the grid's own bounds."""
    hours = [hour(confidence=0.9), CALM, CALM, hour(confidence=0.5, classic_confidence=0.75)]
    assert trigger("confidence_falling", hours).value == 0.4
    assert trigger("classic_confidence_falling", hours).value == 0.05


def test_hours_left_out_are_bars_without_a_confidence():
    """A gap is not skipped: 3 bars ago means 3 hours ago."""
    before = followed([hour(confidence=0.9)] * 4)[-1].fold
    last = Hour.parse(str(before.hour))
    known = advanced(before, last.plus(3), hour(confidence=0.7), EVIDENCE)
    assert trigger_of(known, "confidence_falling").value == 0.2
    unknown = advanced(before, last.plus(4), hour(confidence=0.7), EVIDENCE)
    assert unknown.fold.confidences == (0.9, 0.9, 0.9, None, None, None, 0.7)
    assert trigger_of(unknown, "confidence_falling").fired is None
    assert advanced(before, last.plus(4000), CALM, EVIDENCE).fold.confidences == (None,) * 6 + (0.85,)


def test_the_atr_ratio_may_be_taken_against_the_grids_own_baseline():
    """Where the configuration says so; unknown without one, or without an ATR."""
    config = ExitsConfig(atr_reference="baseline")
    found = trigger("volatility_expanded", [hour(atr=3.0, calm_atr=2.0, atr_ratio=9.0)], config)
    assert (found.fired, found.value) == (True, 1.5)
    assert trigger("volatility_rising", [hour(atr=2.2, calm_atr=2.0)], config).value == 1.1
    assert trigger("volatility_rising", [hour(calm_atr=None)], config).fired is None
    assert trigger("volatility_rising", [hour(atr=None)], config).fired is None


@pytest.mark.parametrize(
    ("rule", "below", "at", "above"),
    [
        (ABOVE, False, False, True),
        (AT_LEAST, False, True, True),
        (BELOW, True, False, False),
        (AT_MOST, True, True, False),
    ],
)
def test_the_four_comparisons(rule: Rule, below: bool, at: bool, above: bool):
    """At the threshold and beside it; the distance is positive where nothing fires."""
    for value, fired in ((0.9, below), (1.0, at), (1.1, above)):
        found = measured("x", "what", value, rule, 1.0, acts=True)
        assert found.fired is fired
        assert found.distance == pytest.approx((1 - value) if rule.rising else (value - 1), abs=1e-12)
    asked = f"{'' if above else 'fires '}{rule.symbol} 1"
    assert measured("x", "what", 1.1, rule, 1.0, acts=True).reason == f"what: 1.1, {asked}"


def test_what_cannot_be_compared_has_no_answer():
    """A value or a threshold that is missing; the threshold is told where it is known."""
    found = measured("x", "what", None, ABOVE, 1.0, acts=True, worth=2, missing="is gone")
    assert (found.fired, found.value, found.threshold, found.distance) == (None, None, 1.0, None)
    assert (found.reason, found.acts, found.worth) == ("not evaluable: what is gone", True, 2)
    found = measured("x", "what", 1.0, ABOVE, None, acts=False)
    assert (found.fired, found.value, found.threshold, found.worth) == (None, None, None, 0)
    assert Trigger("x", None, "why", None, None, None, acts=False).worth == 0


def test_values_are_rounded_before_they_are_compared():
    """Nine significant digits, as recorded."""
    assert measured("x", "what", 0.1 + 0.2, ABOVE, 0.3, acts=True).fired is False
    assert measured("x", "what", 1 / 3, AT_LEAST, 0.333333333, acts=True).value == 0.333333333
    endless = measured("x", "what", math.inf, ABOVE, 1.0, acts=True)
    assert endless.reason == "what: without bound, above 1"


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.sampled_from([ABOVE, AT_LEAST, BELOW, AT_MOST]))
def test_the_distance_is_positive_exactly_where_nothing_fires(value: float, threshold: float, rule: Rule):
    """Its sign and the answer agree, at the threshold it is 0."""
    found = measured("x", "what", value, rule, threshold, acts=True)
    assert found.distance is not None
    if found.distance:
        assert found.fired is (found.distance < 0)
    else:
        assert found.value == found.threshold
