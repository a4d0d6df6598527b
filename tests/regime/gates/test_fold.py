"""From hour to hour: three bars, in order, latched, reset, and never past a gap."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.hours import Hour, instant_iso
from regime.analysis import Verdict
from regime.gates.config import GatesConfig
from regime.gates.fold import ANEW, GATES, GateEvaluation, Progress, advanced, opened, stepped
from regime.gates.readings import GateReadings
from regime.gates.record import as_record, of_record
from tests.regime.gates.readings import (
    CALM,
    SPOILERS,
    STOP_HOUR,
    STOPPED_AT,
    calm,
    folded,
    some_hour,
    some_hours,
    unhurried,
)

CONFIG = GatesConfig()
Hours = list[GateReadings | None]
TREND, TRANSITION = calm(verdict=Verdict.TREND), calm(verdict=Verdict.TRANSITION)
PASSED: GateEvaluation = folded([CALM] * 9, CONFIG)[-1]


def statuses(evaluation: GateEvaluation) -> list[str]:
    return [gate.status for gate in evaluation.gates]


def streaks(evaluation: GateEvaluation) -> list[int]:
    return [gate.streak for gate in evaluation.gates]


def test_property_54_all_are_not_evaluated_after_a_stop():
    """Nothing is carried over from before."""
    first = opened(STOPPED_AT, STOP_HOUR)
    assert [gate.name for gate in first.gates] == [
        "directional_energy_decay",
        "mean_reversion_return",
        "tradable_volatility",
    ]
    assert statuses(first) == ["NOT_EVALUATED"] * 3
    assert streaks(first) == [0, 0, 0]
    assert {(gate.passed_at, gate.reason, gate.details) for gate in first.gates} == {(None, None, ())}
    assert (first.stopped_at, first.hour) == (STOPPED_AT, "2026-02-02T14:00:00Z")
    assert (first.lower, first.upper, first.atr, first.transition_bars) == (None, None, None, 0)
    assert first.resets == ()
    assert first.reset_by is None
    assert not first.all_passed


def test_nine_calm_hours_pass_all_three_one_after_the_other():
    """Three hours each; the next gate is judged from the hour after."""
    found = folded([CALM] * 10, CONFIG)
    assert [statuses(each) for each in found] == [
        ["NOT_EVALUATED", "NOT_EVALUATED", "NOT_EVALUATED"],
        ["FAILED", "NOT_EVALUATED", "NOT_EVALUATED"],
        ["FAILED", "NOT_EVALUATED", "NOT_EVALUATED"],
        ["PASSED", "NOT_EVALUATED", "NOT_EVALUATED"],
        ["PASSED", "FAILED", "NOT_EVALUATED"],
        ["PASSED", "FAILED", "NOT_EVALUATED"],
        ["PASSED", "PASSED", "NOT_EVALUATED"],
        ["PASSED", "PASSED", "FAILED"],
        ["PASSED", "PASSED", "FAILED"],
        ["PASSED", "PASSED", "PASSED"],
        ["PASSED", "PASSED", "PASSED"],
    ]
    assert [streaks(each) for each in found[:5]] == [[0, 0, 0], [1, 0, 0], [2, 0, 0], [3, 0, 0], [3, 1, 0]]
    assert [each.gates[0].reason for each in found[:4]] == [None, "streak", "streak", None]
    assert [gate.passed_at for gate in found[-1].gates] == [
        "2026-02-02T18:00:00Z",
        "2026-02-02T21:00:00Z",
        "2026-02-03T00:00:00Z",
    ]
    assert [each.waiting_for for each in found[2::3]] == [GATES[0], GATES[1], GATES[2]]
    assert [each.all_passed for each in found] == [False] * 9 + [True] * 2
    assert found[-1].waiting_for is None


@unhurried
@given(some_hours)
def test_property_55_56_no_gate_is_judged_before_the_one_before_it_has_passed(hours: Hours):
    """In whatever hours; and a gate that has not been judged has no streak and no details."""
    found = folded(hours, CONFIG)
    for before, after in pairwise(found):
        for at in (1, 2):
            if after.gates[at].status != "NOT_EVALUATED":
                assert before.gates[at - 1].status == after.gates[at - 1].status == "PASSED"
    for each in found:
        for gate in each.gates:
            if gate.status == "NOT_EVALUATED":
                assert (gate.streak, gate.details, gate.reason, gate.passed_at) == (0, (), None, None)


@unhurried
@given(some_hours, st.integers(1, 5))
def test_property_60_three_bars_in_a_row_pass_and_fewer_do_not(hours: Hours, bars: int):
    """Wherever a gate passes, its conditions held in that many judged hours in a row, ending there."""
    config = GatesConfig(bars_to_pass=bars)
    found = folded(hours, config)
    for at in range(3):
        for now in range(1, len(found)):
            if found[now].gates[at].status == "PASSED" != found[now - 1].gates[at].status:
                assert now >= bars
                assert found[now].gates[at].streak == bars
                assert found[now].gates[at].passed_at == instant_iso(Hour.parse(found[now].hour).closes_at)
                for back in range(1, bars):
                    before = found[now - back].gates[at]
                    assert (before.status, before.streak) == ("FAILED", bars - back)
                    assert all(each.held for each in before.details)


@pytest.mark.parametrize("at", [0, 1, 2])
@pytest.mark.parametrize("spoilt_after", [0, 1, 2])
def test_property_60_three_bars_are_counted_anew_after_one_that_failed(at: int, spoilt_after: int):
    """Two good hours and a bad one count for nothing."""
    hours = [CALM] * (3 * at + spoilt_after) + [calm(**SPOILERS[at])] + [CALM] * 3
    found = folded(hours, CONFIG)
    bad = found[3 * at + spoilt_after + 1]
    assert (bad.gates[at].status, bad.gates[at].streak, bad.gates[at].reason) == ("FAILED", 0, "condition")
    assert [each.gates[at].status for each in found[-3:]] == ["FAILED", "FAILED", "PASSED"]


def test_stepping_is_all_there_is_to_progress():
    """What calibration simulates with is what is recorded."""
    assert stepped(ANEW, held=True, bars_to_pass=3) == Progress(0, 1)
    assert stepped(Progress(0, 2), held=True, bars_to_pass=3) == Progress(1, 0)
    assert stepped(Progress(1, 2), held=False, bars_to_pass=3) == Progress(1, 0)
    assert stepped(Progress(2, 0), held=True, bars_to_pass=1) == Progress(3, 0)


@unhurried
@given(some_hours)
def test_property_61_what_has_passed_stays_passed_until_something_resets(hours: Hours):
    """Whatever the numbers of the gate do afterwards, and with the details of the hour that passed it."""
    found = folded(hours, CONFIG)
    for before, after in pairwise(found):
        for was, now in zip(before.gates, after.gates, strict=True):
            if was.status == "PASSED" and after.reset_by is None:
                assert now == was


def test_property_61_latched_against_everything_that_is_no_reset():
    """All conditions broken, data gone, an hour missing: still passed."""
    broken = calm(adx=60.0, half_life=None, atr_ratio=3.0, atr=None, verdict=Verdict.TRANSITION)
    for after in folded([broken, None, calm(verdict=Verdict.RANGE_WEAK)], CONFIG, PASSED)[1:]:
        assert after.gates == PASSED.gates
        assert after.all_passed


@unhurried
@given(st.integers(0, 12), some_hours)
def test_property_62_trend_resets_everything(calm_hours: int, after: Hours):
    """One hour is enough, however far the gates were; what follows is as after the stop."""
    found = folded([CALM] * calm_hours + [TREND], CONFIG)[-1]
    assert statuses(found) == ["NOT_EVALUATED"] * 3
    assert streaks(found) == [0, 0, 0]
    assert found.reset_by == "trend"
    assert [(each.name, each.held) for each in found.resets[:2]] == [("trend", False), ("transition", True)]
    nine = folded([CALM] * 9, CONFIG, found)[-1]
    assert nine.all_passed
    assert nine.gates[0].passed_at == instant_iso(Hour.parse(found.hour).plus(3).closes_at)


@pytest.mark.parametrize("verdict", [Verdict.RANGE_OK, Verdict.RANGE_WEAK, Verdict.TRANSITION])
def test_no_single_hour_of_another_verdict_resets(verdict: Verdict):
    """Only TREND acts at once."""
    found = folded([calm(verdict=verdict)], CONFIG, PASSED)[-1]
    assert found.reset_by is None
    assert found.all_passed
    assert found.resets[0].value == 0.0
    assert found.resets[0].distance == 1.0


@unhurried
@given(st.integers(0, 12), st.integers(2, 4))
def test_property_63_two_hours_of_transition_reset_everything(calm_hours: int, restless: int):
    """The first is told as one away; the second resets, and so does each one after it."""
    found = folded([CALM] * calm_hours + [TRANSITION] * restless + [CALM], CONFIG)
    one, two, *more = found[calm_hours + 1 : -1]
    assert one.reset_by is None
    assert (one.transition_bars, one.resets[1].value, one.resets[1].distance) == (1, 1.0, 1.0)
    for number, each in enumerate([two, *more], 2):
        assert each.reset_by == "transition"
        assert statuses(each) == ["NOT_EVALUATED"] * 3
        assert each.transition_bars == number
    assert found[-1].transition_bars == 0
    assert found[-1].reset_by is None


def test_property_63_a_range_between_two_hours_of_transition_starts_the_count_again():
    """In a row means in a row."""
    found = folded([TRANSITION, CALM, TRANSITION, CALM], CONFIG, PASSED)
    assert [each.transition_bars for each in found[1:]] == [1, 0, 1, 0]
    assert found[-1].all_passed


def test_nobody_saw_a_transition_end_in_a_missing_hour():
    """Two hours of TRANSITION around a gap are two; a gap adds none of its own."""
    found = folded([TRANSITION, None, TRANSITION], CONFIG, PASSED)
    assert [each.transition_bars for each in found[1:]] == [1, 1, 2]
    assert [each.reset_by for each in found[1:]] == [None, None, "transition"]


@pytest.mark.parametrize(
    ("close", "resets"),
    [(104.0, True), (103.999999, False), (94.0, True), (94.000001, False), (99.0, False), (150.0, True)],
)
def test_a_close_one_atr_beyond_the_closes_since_the_stop_resets(close: float, resets: bool):
    """Measured from the lowest and the highest close of the hours before, in their last ATR."""
    hours = [calm(close=value) for value in (100.0, 96.0, 102.0)]
    before = folded(hours, CONFIG)[-1]
    assert (before.lower, before.upper, before.atr) == (96.0, 102.0, 2.0)
    after = folded([calm(close=close, atr=50.0)], CONFIG, before)[-1]
    assert (after.reset_by == "breakout") is resets
    assert after.resets[2].threshold == 2.0
    assert after.resets[2].value == pytest.approx(max(96.0 - close, close - 102.0), abs=1e-9)
    assert (after.lower, after.upper, after.atr) == (min(96.0, close), max(102.0, close), 50.0)
    assert (statuses(after) == ["NOT_EVALUATED"] * 3) is resets


def test_the_breakout_is_counted_in_the_configured_number_of_atr():
    """Half as far with half the number."""
    before = folded([CALM], CONFIG)[-1]
    for factor, resets in ((0.5, True), (0.51, False), (1.0, False)):
        after = folded([calm(close=101.0)], GatesConfig(breakout_atr=factor), before)[-1]
        assert (after.reset_by == "breakout") is resets
        assert after.resets[2].threshold == 2 * factor


def test_without_a_range_or_an_atr_before_there_is_no_breakout():
    """The first hour after the stop, and the hour after one without ATR."""
    first = folded([calm(close=500.0)], CONFIG)[-1]
    after = folded([calm(atr=None), calm(close=500.0), calm(close=500.0), calm(close=900.0)], CONFIG)
    for each in (first, after[2]):
        assert each.reset_by is None
        assert (each.resets[2].value, each.resets[2].distance, each.resets[2].reason) == (
            None,
            None,
            "no range yet",
        )
    assert after[4].reset_by == "breakout"


def test_a_missing_hour_leaves_range_and_atr_as_they_were():
    """What was not seen moves nothing."""
    before = folded([calm(close=97.0)], CONFIG)[-1]
    after = folded([None], CONFIG, before)[-1]
    assert (after.lower, after.upper, after.atr, after.resets) == (97.0, 97.0, 2.0, ())
    assert after.hour == "2026-02-02T16:00:00Z"
    assert after.stopped_at == STOPPED_AT


@unhurried
@given(some_hours)
def test_property_64_something_is_waited_for_iff_a_gate_is_not_passed(hours: Hours):
    """A setup asks `waiting_for`; a stop asks nothing here (65 lives with the decisions)."""
    for each in folded(hours, CONFIG):
        blocked = [gate.name for gate in each.gates if gate.status != "PASSED"]
        assert each.all_passed is (not blocked)
        assert each.waiting_for == (blocked[0] if blocked else None)


@pytest.mark.parametrize("at", [0, 1, 2])
def test_property_66_a_missing_hour_is_failed_data_and_breaks_the_streak_not_the_latch(at: int):
    """The gate at its turn fails; those before it stay, those after it stay unjudged."""
    found = folded([CALM] * (3 * at + 2) + [None] + [CALM] * 3, CONFIG)
    missing = found[3 * at + 3]
    gate = missing.gates[at]
    assert (gate.status, gate.streak, gate.reason, gate.passed_at) == ("FAILED", 0, "data", None)
    assert [(each.name, each.held, each.reason) for each in gate.details] == [("hour", False, "data")]
    assert statuses(missing)[:at] == ["PASSED"] * at
    assert statuses(missing)[at + 1 :] == ["NOT_EVALUATED"] * (2 - at)
    assert [each.gates[at].streak for each in found[-3:]] == [1, 2, 3]


def test_property_66_a_reading_that_is_missing_is_failed_data():
    """Also beside a condition that failed; `condition` is said where everything is known."""
    for readings, reason in (
        (calm(adx=None), "data"),
        (calm(adx=None, slope=3.0), "data"),
        (calm(slope=3.0), "condition"),
    ):
        assert folded([readings], CONFIG)[-1].gates[0].reason == reason


@unhurried
@given(some_hours, st.integers(2, 5), some_hour)
def test_property_66_hours_without_a_record_count_as_hours_that_were_not_judged(
    hours: Hours, gap: int, after: GateReadings | None
):
    """Skipping them or folding them as missing comes to the same."""
    before = folded(hours, CONFIG)[-1]
    hour = Hour.parse(before.hour).plus(gap)
    skipped = advanced(before, hour, after, CONFIG)
    assert skipped == folded([None] * (gap - 1) + [after], CONFIG, before)[-1]


@unhurried
@given(some_hours, st.integers(0, 30))
def test_property_67_the_persisted_fold_is_the_recomputed_one(hours: Hours, cut: int):
    """Resuming from a record, at whatever hour, gives the same evaluations as one sweep."""
    whole = folded(hours, CONFIG)
    cut = min(cut, len(hours))
    resumed = folded(hours[cut:], CONFIG, of_record(as_record(whole[cut])))
    assert resumed == whole[cut:]


@unhurried
@given(some_hours, some_hours)
def test_property_68_one_stop_is_one_cycle_of_gates(hours: Hours, more: Hours):
    """The stop is quoted in every hour; another stop starts from nothing."""
    found = folded(hours, CONFIG)
    assert {each.stopped_at for each in found} == {STOPPED_AT}
    again = opened("2026-03-01T00:30:00Z", Hour.parse("2026-03-01T00"))
    assert folded(more, CONFIG, again)[0] == again
    assert statuses(again) == ["NOT_EVALUATED"] * 3
    assert {each.stopped_at for each in folded(more, CONFIG, again)} == {"2026-03-01T00:30:00Z"}


@unhurried
@given(some_hours, some_hours)
def test_property_69_grids_do_not_know_of_each_other(mine: Hours, other: Hours):
    """Two folds in turns give what each gives alone."""
    ours, theirs = opened(STOPPED_AT, STOP_HOUR), opened("2026-02-01T00:00:00Z", STOP_HOUR)
    for at in range(max(len(mine), len(other))):
        if at < len(mine):
            ours = advanced(ours, STOP_HOUR.plus(at + 1), mine[at], CONFIG)
        if at < len(other):
            theirs = advanced(theirs, STOP_HOUR.plus(at + 1), other[at], CONFIG)
    assert ours == folded(mine, CONFIG)[-1]
    assert theirs.gates == folded(other, CONFIG)[-1].gates


@unhurried
@given(some_hours)
def test_property_73_a_gate_that_failed_says_by_what(hours: Hours):
    """Reason and details, each with value and threshold or with its own reason."""
    for each in folded(hours, CONFIG):
        for gate in each.gates:
            if gate.status == "FAILED":
                assert gate.reason in {"data", "condition", "streak"}
                assert gate.details
                assert (gate.reason == "streak") is all(part.held for part in gate.details)
                assert (gate.reason == "data") is any(part.reason == "data" for part in gate.details)
            for part in gate.details:
                assert (part.distance is None) is (part.reason is not None)


@unhurried
@given(some_hours, st.integers(1, 4), st.integers(1, 4))
def test_property_74_configured_counts_are_honoured(hours: Hours, bars: int, restless: int):
    """Bars to pass and hours of TRANSITION come from the configuration."""
    config = GatesConfig(bars_to_pass=bars, transition_bars=restless)
    found = folded([CALM] * (3 * bars), config)
    assert found[-1].all_passed
    assert not found[-2].all_passed
    after = folded([TRANSITION] * restless, config, found[-1])
    assert [each.reset_by for each in after[1:]] == [None] * (restless - 1) + ["transition"]
    assert after[-1].resets[1].threshold == restless


@pytest.mark.parametrize("back", [0, 1, 5])
def test_an_hour_is_folded_once(back: int):
    """The same hour again, or an earlier one, is a mistake of the caller."""
    with pytest.raises(ValueError, match="is not after 2026-02-02T23:00:00Z"):
        advanced(PASSED, Hour.parse(PASSED.hour).plus(-back), CALM, CONFIG)


def test_presets_gate_differently():
    """One market: aggressive passes where evidence waits, evidence where conservative waits."""
    restless: dict[str, Any] = {
        "adx": 27.0,
        "adx_3_bars_ago": 28.0,
        "half_life": 30.0,
        "autocorrelation": 0.08,
    }
    for preset, readings, passes in (
        ("aggressive", calm(**restless), True),
        ("evidence", calm(**restless), False),
        ("classic", calm(**restless), False),
        ("evidence", calm(half_life=20.0), True),
        ("classic", calm(half_life=20.0), True),
        ("conservative", calm(half_life=20.0), False),
        ("conservative", CALM, True),
        ("conservative", calm(dickey_fuller_t=-2.0), False),
    ):
        config = GatesConfig.model_validate({"preset": preset})
        assert folded([readings] * 9, config)[-1].all_passed is passes, preset
