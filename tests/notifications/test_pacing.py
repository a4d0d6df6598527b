"""Pacing: an escalation is told at once, a state that lasts is told again rarely, and nothing is left out."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from exits.states import ExitState
from market.hours import Hour
from notifications.notice import Kind, Level, Notice
from notifications.pacing import LEVEL_OF_STATE, Spell, hushed, least_gap, may_tell, repeat_due
from notifications.settings import PacingSettings, QuietHours

START = Hour.parse("2026-02-02T14")
AT = START.closes_at
PACING = PacingSettings()
NIGHT = QuietHours(start=time(22), end=time(7), zone="Europe/Berlin")
HOURS = {
    ExitState.WARNING: 4,
    ExitState.LATEST_ACCEPTABLE_EXIT: 2,
    ExitState.MANDATORY_EXIT: 1,
}
ALARMED = st.sampled_from(list(HOURS))


def spell(state: ExitState, *, times: int = 0, level: Level | None = None, at: datetime = AT) -> Spell:
    return Spell("eth-1", state, START.iso(), times, at if times else None, level if times else None)


def told(state: ExitState, times: int = 1) -> Spell:
    return spell(state, times=times, level=LEVEL_OF_STATE[state])


@given(state=ALARMED, minutes=st.lists(st.integers(0, 30 * 24 * 60), min_size=1, max_size=200, unique=True))
def test_between_two_notices_of_one_state_lies_its_least_time(state: ExitState, minutes: list[int]):
    """Whenever it is asked: 4 h that double for WARNING, 2 h and 1 h for the others; never closer."""
    now_told, at = spell(state), []
    for minute in sorted(minutes):
        now = AT + timedelta(minutes=minute)
        if repeat_due(now_told, now, PACING, LEVEL_OF_STATE[state]):
            now_told = now_told.told(now, LEVEL_OF_STATE[state])
            at.append(now)
    assert at[0] == AT + timedelta(minutes=min(minutes))
    for number, (earlier, later) in enumerate(itertools.pairwise(at)):
        doubling = 2**number if state is ExitState.WARNING else 1
        assert later - earlier >= timedelta(hours=min(HOURS[state] * doubling, PACING.longest_h))


@pytest.mark.parametrize("state", list(HOURS))
def test_looked_at_each_minute_it_is_told_again_as_soon_as_it_may(state: ExitState):
    """A week of MANDATORY_EXIT is told 169 times, of LATEST_ACCEPTABLE_EXIT 85, of WARNING 7."""
    now_told = spell(state)
    for minute in range(7 * 24 * 60 + 1):
        now = AT + timedelta(minutes=minute)
        if repeat_due(now_told, now, PACING, LEVEL_OF_STATE[state]):
            now_told = now_told.told(now, LEVEL_OF_STATE[state])
    assert now_told.times == {1: 169, 2: 85, 4: 7}[HOURS[state]]


def test_the_time_between_warnings_doubles_up_to_two_days():
    """Before the first and after it 4 hours, then 8, 16, 32 and never more than 48."""
    hours = [least_gap(spell(ExitState.WARNING, times=n, level=Level.NORMAL), PACING) for n in range(7)]
    assert hours == [timedelta(hours=h) for h in (4, 4, 8, 16, 32, 48, 48)]
    long = PacingSettings(warning_h=60)
    assert least_gap(spell(ExitState.WARNING), long) == timedelta(hours=60)  # a longer wish is kept


@pytest.mark.parametrize("state", list(HOURS))
def test_louder_than_before_breaks_through_at_once(state: ExitState):
    """However short ago the last notice was; as loud as before has to wait."""
    quiet = spell(state, times=1, level=Level.QUIET)
    assert may_tell(quiet, LEVEL_OF_STATE[state], AT, PACING)
    assert not may_tell(told(state), LEVEL_OF_STATE[state], AT, PACING)
    assert not may_tell(told(state), Level.QUIET, AT, PACING)


def test_a_settled_state_reminds_nobody_but_is_told_once():
    """An answer silences repeats; a transition without a notice gets one all the same."""
    long_after = AT + timedelta(days=3)
    state = ExitState.MANDATORY_EXIT
    assert not repeat_due(replace(told(state), settled=True), long_after, PACING, Level.EMERGENCY)
    assert repeat_due(replace(spell(state), settled=True), long_after, PACING, Level.EMERGENCY)


def test_normal_is_never_repeated_and_never_held_back():
    """Nothing is wrong: no reminder, and advice about a calm grid goes out when it comes."""
    calm = told(ExitState.NORMAL)
    assert least_gap(calm, PACING) is None
    assert may_tell(calm, Level.QUIET, AT, PACING)
    assert not repeat_due(calm, AT + timedelta(days=9), PACING, Level.NORMAL)
    assert not repeat_due(spell(ExitState.NORMAL), AT + timedelta(days=9), PACING, Level.NORMAL)


def test_the_loudest_is_what_counts():
    """A quiet repeat does not make the next loud one an escalation."""
    loud = spell(ExitState.LATEST_ACCEPTABLE_EXIT).told(AT, Level.EMERGENCY).told(AT, Level.QUIET)
    assert loud.level is Level.EMERGENCY
    assert not may_tell(loud, Level.EMERGENCY, AT + timedelta(hours=1), PACING)


def test_the_next_notice_has_one_name_until_it_is_told():
    """A crash before the note finds the same name; after it, the next one."""
    first = Spell("eth-1", ExitState.WARNING, START.iso())
    assert first.next_key == "eth-1/WARNING@2026-02-02T14:00:00Z/0"
    assert first.told(AT, Level.NORMAL).next_key == "eth-1/WARNING@2026-02-02T14:00:00Z/1"


def test_what_is_louder_than_before_wants_a_new_answer():
    """An acknowledgement of a harmless notice does not silence the stop that follows in the same state."""
    known = replace(told(ExitState.WARNING), settled=True)
    later = AT + timedelta(hours=1)
    assert known.told(later, Level.NORMAL).settled
    stop = known.told(later, Level.HIGH)
    assert (stop.settled, stop.loud_at, stop.level) == (False, later, Level.HIGH)
    assert stop.told(later + timedelta(hours=1), Level.HIGH).loud_at == later


def test_a_clock_that_was_set_back_silences_nobody():
    """A notice recorded in the future tells nothing about when the next one is due."""
    ahead = spell(ExitState.MANDATORY_EXIT, times=1, level=Level.EMERGENCY, at=AT + timedelta(days=1))
    assert repeat_due(ahead, AT, PACING, Level.EMERGENCY)


# --- quiet hours ---


def notice(level: Level, state: ExitState | None) -> Notice:
    return Notice("d", "ETH-USDT", level, "t", "b", AT, Kind.ADVICE, "eth-1", state)


def at_berlin(hour: int, minute: int = 0, *, month: int = 2) -> datetime:
    return datetime(2026, month, 2, hour, minute, tzinfo=UTC) - timedelta(hours=1)


@pytest.mark.parametrize(
    ("instant", "quiet"),
    [
        (at_berlin(21, 59), False),
        (at_berlin(22), True),
        (at_berlin(23, 30), True),
        (at_berlin(3), True),
        (at_berlin(6, 59), True),
        (at_berlin(7), False),
        (at_berlin(7, 30, month=7), False),
        (at_berlin(21, 0, month=7), True),  # summer time: 22:00 there
    ],
)
def test_quiet_hours_silence_all_but_the_mandatory_exit(instant: datetime, quiet: bool):
    """By the wall clock of the operator's zone, over midnight and in summer time."""
    high = notice(Level.HIGH, ExitState.LATEST_ACCEPTABLE_EXIT)
    assert hushed(high, instant, NIGHT) is (Level.QUIET if quiet else Level.HIGH)
    assert hushed(notice(Level.EMERGENCY, None), instant, NIGHT) is (
        Level.QUIET if quiet else Level.EMERGENCY
    )
    mandatory = notice(Level.EMERGENCY, ExitState.MANDATORY_EXIT)
    assert hushed(mandatory, instant, NIGHT) is Level.EMERGENCY
    assert hushed(high, instant, None) is Level.HIGH


def test_what_the_night_silenced_sounds_when_it_is_over():
    """A LATEST_ACCEPTABLE_EXIT told at 3 in the morning without sound rings at 7."""
    state = ExitState.LATEST_ACCEPTABLE_EXIT
    at_three = Spell("eth-1", state, START.iso()).told(at_berlin(6, 59), Level.QUIET)
    still_night = hushed(notice(Level.HIGH, state), at_berlin(6, 59), NIGHT)
    assert not repeat_due(at_three, at_berlin(6, 59), PACING, still_night)
    morning = hushed(notice(Level.HIGH, state), at_berlin(7), NIGHT)
    assert repeat_due(at_three, at_berlin(7), PACING, morning)


def test_quiet_hours_within_one_day():
    """A siesta from 13:00 to 15:00."""
    siesta = QuietHours(start=time(13), end=time(15))
    assert siesta.cover(datetime(2026, 2, 2, 13, tzinfo=UTC))
    assert not siesta.cover(datetime(2026, 2, 2, 15, tzinfo=UTC))


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"start": "22:00", "end": "22:00"}, "the same time"),
        ({"start": "22:00", "end": "07:00", "zone": "Europe/Nowhere"}, "no time zone 'Europe/Nowhere'"),
        ({"start": "25:00", "end": "07:00"}, "hour"),
    ],
)
def test_quiet_hours_that_make_no_sense_are_refused(section: dict[str, str], said: str):
    """With what was found."""
    with pytest.raises(ValidationError, match=said):
        QuietHours.model_validate(section)
