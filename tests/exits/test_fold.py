"""The way up is at once, the way down is slow, and the last state is latched."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from exits.config import ExitsConfig
from exits.fold import ExitEvaluation, advanced
from exits.memory import as_record, of_record
from exits.readings import NOTHING_KNOWN, ExitReadings
from exits.states import ExitState
from market.hours import Hour
from regime.analysis import Verdict
from tests.exits.grids import (
    AGGRESSIVE,
    BROKEN,
    CALM,
    CLASSIC,
    CONSERVATIVE,
    DOUBTFUL,
    EVIDENCE,
    GRID,
    PRESETS,
    START,
    UNLIKELY,
    followed,
    states,
    trigger_of,
)

NORMAL, WARNING, LATE, MANDATORY = ExitState
OK, WEAK, TRANSITION, TREND = Verdict
NEAR_TRANSITION = {"p_transition": 0.4}
RISING = {"efficiency_ratio": 0.4}
SLOW = {"half_life": 15.0}
WIDE = {"atr_ratio": 1.2}


def hour(**facts: Any) -> ExitReadings:
    return replace(CALM, **facts)


@pytest.mark.parametrize("config", PRESETS)
def test_calm_hours_stay_normal(config: ExitsConfig):
    """Nothing fires, nothing is held."""
    found = followed([CALM] * 30, config)
    assert {e.state for e in found} == {NORMAL}
    assert found[-1].reasons == ()
    assert found[-1].not_evaluable == ()
    assert (found[-1].warning_worth, found[-1].changed, found[-1].fold.since) == (0, False, START.iso())


@pytest.mark.parametrize(
    ("facts", "evidence", "classic", "conservative", "aggressive"),
    [
        ({"close": 122.1}, MANDATORY, MANDATORY, MANDATORY, MANDATORY),
        ({"close": 97.4}, MANDATORY, MANDATORY, MANDATORY, MANDATORY),
        ({"classic_verdict": TREND, "verdict_4h": TRANSITION}, NORMAL, MANDATORY, MANDATORY, NORMAL),
        ({"survival": 0.45}, WARNING, NORMAL, WARNING, NORMAL),
        ({"survival": 0.39}, WARNING, NORMAL, LATE, WARNING),
        ({"survival": 0.25}, LATE, NORMAL, LATE, WARNING),
        ({"survival": 0.19}, LATE, NORMAL, LATE, LATE),
        ({"half_life": 20.0}, NORMAL, LATE, LATE, NORMAL),
        ({"atr_ratio": 1.26}, NORMAL, LATE, LATE, NORMAL),
        (NEAR_TRANSITION, NORMAL, NORMAL, NORMAL, NORMAL),
        (NEAR_TRANSITION | RISING, WARNING, WARNING, WARNING, NORMAL),
        (SLOW | WIDE, WARNING, WARNING, WARNING, NORMAL),
        (SLOW | WIDE | RISING, WARNING, WARNING, WARNING, WARNING),
        ({"half_life": math.inf, "atr_ratio": 3.0}, WARNING, LATE, LATE, NORMAL),
    ],
)
def test_each_preset_acts_on_its_own_triggers(
    facts: dict[str, Any],
    evidence: ExitState,
    classic: ExitState,
    conservative: ExitState,
    aggressive: ExitState,
):
    """One hour, four presets."""
    expected = (evidence, classic, conservative, aggressive)
    for config, state in zip(PRESETS, expected, strict=True):
        (found,) = followed([hour(**facts)], config)
        assert (found.state, found.called_for, found.came_from) == (state, state, NORMAL)


@pytest.mark.parametrize(
    ("hours", "config"),
    [
        ([hour(close=120.5)] * 2, EVIDENCE),
        ([hour(atr_ratio=1.3)] * 12, CLASSIC),
        ([hour(atr_ratio=1.3)] * 12, CONSERVATIVE),
        ([UNLIKELY] * 12, CONSERVATIVE),
    ],
)
def test_mandatory_after_hours(hours: list[ExitReadings | None], config: ExitsConfig):
    """Two closes outside; LATEST_ACCEPTABLE_EXIT for 12 hours without a break."""
    assert states(hours[:-1], config)[-1] is not MANDATORY
    assert states(hours, config)[-1] is MANDATORY


def test_twelve_late_hours_mean_nothing_more_to_evidence():
    """It is counted and told, and does not act."""
    found = followed([UNLIKELY] * 40)[-1]
    assert (found.state, trigger_of(found, "late_without_break").value) == (LATE, 40.0)
    assert trigger_of(found, "late_without_break").fired is True


@pytest.mark.parametrize(
    ("between", "state"),
    [
        ([hour(atr_ratio=1.2)], LATE),  # a break: the count begins anew
        ([None], MANDATORY),  # an unjudged hour is none, and no late hour either
    ],
)
def test_a_break_in_late_hours(between: list[ExitReadings | None], state: ExitState):
    """One hour in which nothing calls for it."""
    late = [hour(atr_ratio=1.3)]
    assert states(late * 6 + between + late * 5, CLASSIC)[-1] is LATE
    assert states(late * 6 + between + late * 6, CLASSIC)[-1] is state


def test_a_late_hour_is_late_even_where_another_trigger_has_no_answer():
    """One that fires is enough; none that fires and one unknown leaves the count."""
    partly = hour(atr_ratio=1.3, half_life=None)
    assert followed([partly] * 3, CLASSIC)[-1].fold.late_bars == 3
    unknown = hour(half_life=None)
    found = followed([partly, unknown], CLASSIC)[-1]
    assert found.fold.late_bars == 1
    assert trigger_of(found, "late_without_break").fired is None
    assert followed([partly, CALM], CLASSIC)[-1].fold.late_bars == 0


@pytest.mark.parametrize(
    ("hours", "expected"),
    [
        ([DOUBTFUL, CALM, CALM, CALM], [WARNING, WARNING, WARNING, NORMAL]),
        ([UNLIKELY, CALM, CALM, CALM], [LATE, LATE, LATE, WARNING]),
        ([UNLIKELY, *[CALM] * 6], [LATE] * 3 + [WARNING] * 3 + [NORMAL]),
        ([UNLIKELY, *[DOUBTFUL] * 7], [LATE] * 3 + [WARNING] * 5),  # a warning is clean of LATE
        ([DOUBTFUL, CALM, CALM, DOUBTFUL, CALM, CALM, CALM], [WARNING] * 6 + [NORMAL]),
        ([DOUBTFUL, CALM, CALM, None, CALM, CALM, CALM], [WARNING] * 6 + [NORMAL]),
        ([DOUBTFUL, CALM, CALM, UNLIKELY, CALM, CALM, CALM], [WARNING] * 3 + [LATE] * 3 + [WARNING]),
        ([UNLIKELY, CALM, CALM, CALM, CALM, UNLIKELY], [LATE] * 3 + [WARNING] * 2 + [LATE]),
        ([UNLIKELY, *[DOUBTFUL] * 3, CALM, CALM, CALM], [LATE] * 3 + [WARNING] * 3 + [NORMAL]),
    ],
)
def test_calmer_by_one_level_after_three_clean_bars(
    hours: list[ExitReadings | None], expected: list[ExitState]
):
    """In a row; a bar is clean of a state when nothing asks for it or for a higher one."""
    assert states(hours) == expected


def test_a_bar_without_all_answers_is_not_clean():
    """Only of what the missing answer could call for."""
    blind = hour(survival=None)
    assert states([DOUBTFUL, CALM, CALM, blind, CALM, CALM, CALM]) == [WARNING] * 6 + [NORMAL]
    assert states([UNLIKELY, CALM, CALM, blind, CALM, CALM]) == [LATE] * 6
    no_profit = hour(profit=None, classic_confidence=None)
    assert states([UNLIKELY, *[no_profit] * 3]) == [LATE] * 3 + [WARNING]
    one_sign = hour(p_transition=None)  # worth 1, where 2 would warn
    assert states([*[CALM] * 3, DOUBTFUL, *[one_sign] * 3])[3:] == [WARNING] * 3 + [NORMAL]
    two_signs = hour(p_transition=None, atr_ratio=1.1)
    assert states([*[CALM] * 3, DOUBTFUL, *[two_signs] * 3])[3:] == [WARNING] * 4
    no_atr = hour(survival=None, atr=None)
    grid = replace(GRID, state=MANDATORY, acknowledged=True, atr=None)
    assert followed([no_atr], grid=grid)[0].fold.clean_bars == 0


@pytest.mark.parametrize("readings", [None, NOTHING_KNOWN, replace(NOTHING_KNOWN, close=110.0)])
@pytest.mark.parametrize("state", ExitState)
def test_an_unjudged_hour_changes_nothing_and_says_so(readings: ExitReadings | None, state: ExitState):
    """Nothing is de-escalated; every acting trigger without an answer is named."""
    grid = replace(GRID, state=state, clean_bars=2, acknowledged=True)
    (found,) = followed([readings], grid=grid)
    assert (found.state, found.called_for, found.fold.since) == (state, NORMAL, START.iso())
    assert found.fold.clean_bars == 0
    assert "the hour could not be judged" in found.reasons
    assert "hold_unlikely" in found.not_evaluable
    assert ("two_closes_outside" in found.not_evaluable) == (readings is None or readings.close is None)
    assert "trend_on_both" not in found.not_evaluable  # does not act in evidence


def test_a_close_alone_can_call_for_an_exit():
    """A broken bound needs no regime."""
    outside = replace(NOTHING_KNOWN, close=120.5)
    assert states([outside, outside]) == [NORMAL, MANDATORY]
    assert states([replace(NOTHING_KNOWN, close=97.5)]) == [MANDATORY]
    beyond = replace(NOTHING_KNOWN, close=121.5, survival=0.0)
    assert states([beyond]) == [LATE]


def ack(hour_from_start: int, minutes: int = 0) -> datetime:
    return START.plus(hour_from_start).opens_at + timedelta(minutes=minutes)


def test_mandatory_is_latched_until_acknowledged():
    """Calm for a week changes nothing."""
    found = followed([BROKEN, *[CALM] * 168])
    assert {e.state for e in found} == {MANDATORY}
    assert found[-1].fold.clean_bars == 0
    assert found[-1].reasons == ("latched until the grid is stopped, or acknowledged",)


def test_after_an_acknowledgement_twenty_four_clean_bars_lead_to_the_state_below():
    """Counted from the bar that holds the acknowledgement; then three each."""
    hours = [BROKEN, *[CALM] * 60]
    found = [e.state for e in followed(hours, acknowledged_at=ack(5, 30))]
    assert found == [MANDATORY] * 28 + [LATE] * 3 + [WARNING] * 3 + [NORMAL] * 27
    between = followed(hours, acknowledged_at=ack(5, 30))
    assert between[4].fold.clean_bars == 0
    assert (between[5].fold.clean_bars, between[5].fold.acknowledged) == (1, True)
    assert between[6].reasons == ("held until 24 bars in a row are clean, 2 so far",)
    assert between[28].reasons == ("24 clean bars in a row after MANDATORY_EXIT",)
    assert (between[28].fold.acknowledged, between[28].fold.clean_bars) == (False, 0)
    assert between[28].fold.since == START.plus(28).iso()


def test_the_clean_bars_of_an_acknowledged_latch_are_in_a_row():
    """A bar that calls for the exit again begins the count anew, without asking again."""
    hours = [BROKEN, *[CALM] * 20, BROKEN, *[CALM] * 24]
    found = followed(hours, acknowledged_at=ack(1))
    assert [e.state for e in found] == [MANDATORY] * 45 + [LATE]
    assert (found[21].fold.clean_bars, found[21].fold.acknowledged) == (0, True)
    found = followed([BROKEN, *[CALM] * 20, None, *[CALM] * 24], acknowledged_at=ack(1))
    assert [e.state for e in found] == [MANDATORY] * 45 + [LATE]


@pytest.mark.parametrize(
    ("at", "counts"),
    [
        (ack(1), True),  # the instant at which it was told
        (ack(1) - timedelta(microseconds=1), False),  # of something before
        (ack(2), True),
        (ack(2) + timedelta(microseconds=1), False),  # not yet, at the close of the hour
        (None, False),
    ],
)
def test_which_acknowledgement_counts(at: datetime | None, counts: bool):
    """One made after the state was told, and not after the hour."""
    found = followed([BROKEN, CALM], acknowledged_at=at)[-1]
    assert (found.fold.acknowledged, found.fold.clean_bars) == (counts, int(counts))
    again = followed([BROKEN, BROKEN], acknowledged_at=at)[-1]
    assert again.fold.acknowledged is counts


def test_an_acknowledgement_is_remembered_and_spent():
    """It need not be told again every hour, and it does not open the next latch."""
    first = followed([BROKEN, CALM], acknowledged_at=ack(1))[-1].fold
    rest = followed([CALM] * 23, grid=first)
    assert rest[-1].state is LATE
    second = followed([BROKEN, *[CALM] * 30], grid=rest[-1].fold, acknowledged_at=ack(1))
    assert {e.state for e in second} == {MANDATORY}


def test_an_acknowledgement_of_a_lesser_state_does_nothing():
    """Only MANDATORY_EXIT is latched."""
    found = followed([UNLIKELY, CALM, CALM, CALM], acknowledged_at=ack(1))
    assert [e.state for e in found] == [LATE] * 3 + [WARNING]
    assert not any(e.fold.acknowledged for e in found)
    assert not followed([DOUBTFUL, BROKEN], acknowledged_at=ack(1))[-1].fold.acknowledged


def test_the_reasons_are_those_of_the_state_called_for():
    """What fires elsewhere, or does not act, is in the record but is no reason."""
    (found,) = followed([hour(survival=0.25, half_life=20.0)])
    assert found.reasons == ("probability that the grid's bounds hold for 24 h: 0.25, below 0.3",)
    assert (found.changed, found.warning_worth, found.survival, found.hold) == (True, 3, 0.25, 0.85)
    held = followed([UNLIKELY, DOUBTFUL])[-1]
    assert held.reasons == (
        "probability that the grid's bounds hold for 24 h: 0.45, below 0.5",
        "held until 3 bars in a row are clean, 1 so far",
    )
    unclear = followed([UNLIKELY, hour(survival=None)])[-1]
    assert unclear.reasons == ("held until 3 bars in a row are clean, 0 so far, this one leaves it open",)


def test_since_when_and_from_where():
    """The hour at whose close a state began; it stays while the state does."""
    found = followed([CALM, UNLIKELY, UNLIKELY, CALM, CALM, CALM])
    assert [e.fold.since for e in found] == [START.plus(at).iso() for at in (0, 1, 1, 1, 1, 5)]
    assert [e.came_from for e in found] == [NORMAL, NORMAL, LATE, LATE, LATE, LATE]
    assert [e.changed for e in found] == [False, True, False, False, False, True]


def test_the_hour_as_it_is_recorded():
    """Plain values: state, reasons, every trigger, and the fold from which the next hour follows."""
    found = followed([CALM, UNLIKELY])[-1]
    value = found.as_value()
    assert json.loads(json.dumps(value)) == value
    assert of_record(value["fold"]) == found.fold
    assert {name: value[name] for name in ("state", "from", "since", "called_for", "survival", "hold")} == {
        "state": "LATEST_ACCEPTABLE_EXIT",
        "from": "NORMAL",
        "since": "2024-01-01T01:00:00Z",
        "called_for": "LATEST_ACCEPTABLE_EXIT",
        "survival": 0.25,
        "hold": 0.85,
    }
    assert value["reasons"] == list(found.reasons)
    assert value["not_evaluable"] == ["confidence_falling"]
    assert value["warning_worth"] == 2
    assert value["baseline"] == {"half_life": 10.0, "atr": 2.0}
    assert list(value["triggers"]) == ["MANDATORY_EXIT", "LATEST_ACCEPTABLE_EXIT", "WARNING"]
    assert value["triggers"]["LATEST_ACCEPTABLE_EXIT"]["hold_unlikely"] == {
        "fired": True,
        "reason": "probability that the grid's bounds hold for 24 h: 0.25, below 0.3",
        "value": 0.25,
        "threshold": 0.3,
        "distance": -0.05,
        "acts": True,
        "worth": 0,
    }
    assert value["triggers"]["WARNING"]["hold_doubtful"]["worth"] == 2
    assert {t["worth"] for n, t in value["triggers"]["WARNING"].items() if n != "hold_doubtful"} == {1}


unknown = st.none()
readings = st.builds(
    ExitReadings,
    close=unknown | st.floats(90, 130),
    atr=unknown | st.floats(0.5, 5),
    classic_verdict=unknown | st.sampled_from(Verdict),
    verdict_4h=unknown | st.sampled_from(Verdict),
    p_transition=unknown | st.floats(0, 1),
    half_life=unknown | st.floats(1, 100) | st.just(math.inf),
    atr_ratio=unknown | st.floats(0.5, 2),
    efficiency_ratio=unknown | st.floats(0, 1),
    efficiency_before=unknown | st.floats(0, 1),
    z_score=unknown | st.floats(-4, 4),
    survival=unknown | st.floats(0, 1),
    hold=unknown | st.floats(0, 1),
    confidence=unknown | st.floats(0, 0.95),
    classic_confidence=unknown | st.floats(0, 0.95),
    calm_half_life=unknown | st.floats(1, 100),
    calm_atr=unknown | st.floats(0.5, 5),
)


@given(st.lists(unknown | readings, min_size=1, max_size=40), st.sampled_from(PRESETS))
@settings(max_examples=60, deadline=None)
def test_property_67_the_fold_of_recorded_values_is_the_fold(
    hours: list[ExitReadings | None], config: ExitsConfig
):
    """Each hour from the record of the one before, through text: the same evaluations."""
    straight = followed(hours, config)
    fold = GRID
    for at, readings in enumerate(hours):
        fold = of_record(json.loads(json.dumps(as_record(fold))))
        found = advanced(fold, START.plus(at), readings, config)
        assert found == straight[at]
        fold = found.fold


WORSE: dict[str, tuple[Any, Any]] = {
    "survival": (0.9, 0.0),
    "p_transition": (0.0, 1.0),
    "half_life": (1.0, math.inf),
    "atr_ratio": (0.9, 2.0),
    "efficiency_ratio": (0.1, 0.9),
    "efficiency_before": (0.9, 0.1),
    "classic_verdict": (OK, TREND),
    "verdict_4h": (OK, TREND),
    "close": (110.0, 98.0),
}


@given(readings, st.sampled_from(sorted(WORSE)), st.sampled_from(PRESETS), st.data())
@settings(max_examples=300, deadline=None)
def test_a_worse_reading_never_calls_for_a_calmer_state(
    base: ExitReadings, name: str, config: ExitsConfig, data: st.DataObject
):
    """Every trigger is monotone, in every preset, alone and together."""
    calm, bad = WORSE[name]
    if isinstance(calm, Verdict):
        lesser, worse = sorted(
            (data.draw(st.sampled_from(Verdict)), data.draw(st.sampled_from(Verdict))),
            key=lambda verdict: verdict.rank,
        )
    else:
        low, high = sorted((calm, min(bad, 1000.0)))
        ends = sorted((data.draw(st.floats(low, high)), data.draw(st.floats(low, high))))
        lesser, worse = ends if bad > calm else reversed(ends)
    first, second = (
        followed([replace(base, **{name: value})], config)[0].called_for for value in (lesser, worse)
    )
    assert first.rank <= second.rank


class ExitDays(RuleBasedStateMachine):
    """A grid lives through hours of every kind; the operator acknowledges now and then."""

    def __init__(self) -> None:
        super().__init__()
        self.fold = GRID
        self.hours: list[tuple[ExitEvaluation, bool]] = []
        self.acknowledged_at: datetime | None = None

    @property
    def now(self) -> Hour:
        return START.plus(len(self.hours))

    def live(self, readings: ExitReadings | None) -> None:
        found = advanced(of_record(as_record(self.fold)), self.now, readings, EVIDENCE, self.acknowledged_at)
        self.hours.append((found, readings is not None))
        self.fold = found.fold

    @rule(bars=st.sampled_from([1, 1, 2, 3, 7, 24]))
    def calm(self, bars: int) -> None:
        for _ in range(bars):
            self.live(CALM)

    @rule(readings=st.sampled_from([DOUBTFUL, UNLIKELY, None]))
    def restless(self, readings: ExitReadings | None) -> None:
        self.live(readings)

    @rule()
    def broken(self) -> None:
        self.live(BROKEN)

    @precondition(lambda self: self.hours)
    @rule(late_minutes=st.integers(0, 60))
    def acknowledge(self, late_minutes: int) -> None:
        self.acknowledged_at = self.now.opens_at + timedelta(minutes=late_minutes)
        self.live(CALM)

    @invariant()
    def rises_at_once(self) -> None:
        for found, _ in self.hours[-24:]:
            assert found.state.rank >= found.called_for.rank
            if found.state.rank > found.came_from.rank:
                assert found.state is found.called_for

    @invariant()
    def falls_one_level_after_clean_bars(self) -> None:
        for at in range(max(1, len(self.hours) - 24), len(self.hours)):
            found, _ = self.hours[at]
            if found.state.rank >= found.came_from.rank:
                continue
            assert found.state is found.came_from.calmer
            needed = 24 if found.came_from is MANDATORY else 3
            last = self.hours[at - needed + 1 : at + 1]
            assert len(last) == needed
            assert all(judged and each.called_for.rank < found.came_from.rank for each, judged in last)
            assert all(each.came_from is found.came_from for each, _ in last)

    @invariant()
    def falls_as_soon_as_it_may(self) -> None:
        if len(self.hours) < 3 or self.fold.state in {NORMAL, MANDATORY}:
            return
        last = self.hours[-3:]
        held = all(each.came_from is self.fold.state for each, _ in last)
        assert not (held and all(judged and e.called_for.rank < self.fold.state.rank for e, judged in last))

    @invariant()
    def the_latch_opens_only_by_an_acknowledgement(self) -> None:
        for found, _ in self.hours[-24:]:
            if found.came_from is MANDATORY and found.state is LATE:
                assert self.acknowledged_at is not None


ExitDays.TestCase.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
TestExitDays = ExitDays.TestCase


def test_aggressive_warns_on_three_signs_or_on_its_probability():
    """Two signs are not enough there."""
    assert states([hour(survival=0.39)], AGGRESSIVE) == [WARNING]
    assert states([hour(survival=0.41, p_transition=0.5, atr_ratio=1.2)], AGGRESSIVE) == [NORMAL]
    assert states([hour(survival=0.41, p_transition=0.5, atr_ratio=1.2, half_life=16.0)], AGGRESSIVE) == [
        WARNING
    ]
