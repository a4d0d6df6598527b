"""Expiry, cooldown, louder stops: each at, before and after its instant, from the records alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decisions.actions import SYSTEM, ActionTaken, Answer
from decisions.config import AdviceConfig
from decisions.recommendation import Action, Kind
from decisions.timers import NO_COOLDOWN, Cooldown, PastAdvice, cooldown_of, due_timers, louder_after
from market.hours import Hour
from regime.analysis import Verdict

HOUR = Hour.parse("2026-02-02T14")
CLOSE = HOUR.closes_at
CONFIG = AdviceConfig()
SECOND = timedelta(seconds=1)
OK, WEAK, TRANSITION, TREND = Verdict


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


def did(answer: Answer, after_min: float, actor: str = "operator") -> ActionTaken:
    return ActionTaken(CLOSE + minutes(after_min), actor, answer)


CREATE = PastAdvice(
    "2026-02-02/dec-ETH-USDT-150000",
    "eth-1",
    Kind.SETUP,
    Action.CREATE_GRID,
    OK,
    CLOSE,
    CLOSE + SECOND,
    CLOSE + minutes(60),
    0.85,
)
STOP = replace(
    CREATE, kind=Kind.MANAGE, action=Action.STOP_GRID, verdict=TRANSITION, expires_at=None, confidence=0.7
)


def later(advice: PastAdvice, hours: int, **others: object) -> PastAdvice:
    """Return the advice of a later hour."""
    closes = advice.closes_at + timedelta(hours=hours)
    expires = None if advice.expires_at is None else advice.expires_at + timedelta(hours=hours)
    changed = {"id": f"{advice.id}+{hours}", "closes_at": closes, "created_at": closes, "expires_at": expires}
    return replace(advice, **{**changed, **others})


# --- a recommendation over time ---


@pytest.mark.parametrize(("after_min", "open_"), [(0, True), (59.9, True), (60, False), (61, False)])
def test_advice_is_open_until_it_expires(after_min: float, open_: bool):
    """At the instant itself it is over."""
    assert CREATE.is_open(CLOSE + minutes(after_min)) is open_
    assert STOP.is_open(CLOSE + minutes(after_min)) is True  # the next hour replaces it, nothing else does


@pytest.mark.parametrize("answer", list(Answer))
def test_only_an_accept_or_a_decline_answers(answer: Answer):
    """A note says something; what the system does is no answer."""
    advice = replace(CREATE, actions=(did(Answer.NOTE, 1), did(answer, 2), did(Answer.NOTE, 3)))
    answers = answer in (Answer.ACCEPT, Answer.DECLINE)
    assert (advice.answer is not None) is answers
    assert advice.is_open(CLOSE + minutes(5)) is not answers


def test_the_first_answer_is_the_answer():
    """Whatever comes after it."""
    advice = replace(CREATE, actions=(did(Answer.DECLINE, 2), did(Answer.ACCEPT, 3)))
    assert advice.answer is not None
    assert advice.answer.action is Answer.DECLINE


@pytest.mark.parametrize("action", list(Action))
def test_only_what_wants_an_answer_is_open(action: Action):
    """Going on, withholding and setting nothing up want none."""
    wants = {Action.ADJUST, Action.STOP_GRID, Action.CREATE_GRID, Action.CREATE_PROBATIONARY_GRID}
    assert replace(CREATE, action=action).is_open(CLOSE) is (action in wants)


@pytest.mark.parametrize(("created_min", "born"), [(0, False), (59.99, False), (60, True), (90, True)])
def test_what_is_recorded_after_its_own_expiry_is_born_expired(created_min: float, born: bool):
    """And so rests nobody; advice without an expiry never is."""
    late = replace(CREATE, created_at=CLOSE + minutes(created_min))
    assert late.born_expired is born
    assert cooldown_of("eth-1", CLOSE + minutes(120), None, [late], CONFIG).is_over(CLOSE) is born
    assert replace(late, expires_at=None).born_expired is False


# --- cooldowns ---


@pytest.mark.parametrize(("after_min", "over"), [(0, False), (59.99, False), (60, True), (61, True)])
def test_a_market_rests_for_an_hour_after_a_stop(after_min: float, over: bool):
    """Counted from the stop itself."""
    found = cooldown_of("eth-1", CLOSE, CLOSE - minutes(after_min), [], CONFIG)
    assert found.is_over(CLOSE) is over
    assert found.until == CLOSE - minutes(after_min) + minutes(60)
    stopped = CLOSE - minutes(after_min)
    assert found.reason == f"grid eth-1 was stopped at {stopped:%Y-%m-%d %H:%M}"


@pytest.mark.parametrize(("after_min", "over"), [(10, False), (129.99, False), (130, True), (131, True)])
def test_a_declined_setup_rests_for_two_hours_from_the_decline(after_min: float, over: bool):
    """Not from the hour that it was of."""
    declined = replace(CREATE, actions=(did(Answer.DECLINE, 10),))
    at = CLOSE + minutes(after_min)
    found = cooldown_of("eth-1", at, None, [declined], CONFIG)
    assert found.is_over(at) is over
    assert found == Cooldown(CLOSE + minutes(130), f"setup {CREATE.id} was declined")


@pytest.mark.parametrize(
    ("after_min", "until_min"), [(59, None), (60, None), (60.02, 180), (179, 180), (180, 180)]
)
def test_a_setup_that_expired_unanswered_rests_for_two_hours(after_min: float, until_min: float | None):
    """At its own expiry the next hour is just being judged: not yet. Before it, it stands."""
    at = CLOSE + minutes(after_min)
    found = cooldown_of("eth-1", at, None, [CREATE], CONFIG)
    if until_min is None:
        assert found is NO_COOLDOWN
    else:
        assert found == Cooldown(CLOSE + minutes(until_min), f"setup {CREATE.id} expired unanswered")
    assert found.is_over(at) is (until_min is None or after_min >= until_min)


@pytest.mark.parametrize(
    ("after", "rests"),
    [
        (later(CREATE, 1), False),
        (later(CREATE, 2), True),
        (later(CREATE, 1, action=Action.NO_SETUP, expires_at=None), True),
        (later(CREATE, 1, action=Action.CREATE_PROBATIONARY_GRID), True),
        (later(CREATE, 1, grid_id="eth-2"), True),
    ],
)
def test_a_setup_that_the_next_hour_repeated_rests_nobody(after: PastAdvice, rests: bool):
    """Its successor is of the same kind, for the same grid, and there before it ended."""
    at = CLOSE + minutes(120)
    for past in ([CREATE, after], [after, CREATE]):
        assert (cooldown_of("eth-1", at, None, past, CONFIG).until is not None) is rests


def test_the_last_of_a_chain_of_setups_rests_when_it_expires():
    """Repeated for three hours and never answered: two hours from the end of the third."""
    chain = [CREATE, later(CREATE, 1), later(CREATE, 2)]
    assert cooldown_of("eth-1", CLOSE + minutes(180), None, chain, CONFIG) is NO_COOLDOWN
    found = cooldown_of("eth-1", CLOSE + minutes(181), None, chain, CONFIG)
    assert found.until == CLOSE + minutes(300)


def test_an_answer_that_is_still_to_come_does_not_count():
    """As of an earlier close nothing was declined yet; what was accepted rests nobody."""
    declined = replace(CREATE, actions=(did(Answer.DECLINE, 10),))
    assert cooldown_of("eth-1", CLOSE + minutes(9), None, [declined], CONFIG) is NO_COOLDOWN
    assert cooldown_of("eth-1", CLOSE + minutes(10), None, [declined], CONFIG).until is not None
    accepted = replace(CREATE, actions=(did(Answer.ACCEPT, 10),))
    assert cooldown_of("eth-1", CLOSE + minutes(120), None, [accepted], CONFIG) is NO_COOLDOWN
    expired = replace(CREATE, actions=(did(Answer.EXPIRED, 60, SYSTEM),))
    assert cooldown_of("eth-1", CLOSE + minutes(61), None, [expired], CONFIG).until is not None


def test_only_setups_of_the_grid_itself_rest_it():
    """A declined stop is no setup, and other grids are other grids."""
    declined = did(Answer.DECLINE, 10)
    past = [
        replace(STOP, actions=(declined,)),
        replace(CREATE, grid_id="eth-2", actions=(declined,)),
        replace(CREATE, action=Action.NO_SETUP, actions=(declined,)),
    ]
    assert cooldown_of("eth-1", CLOSE + minutes(20), None, past, CONFIG) is NO_COOLDOWN


def test_the_longest_cooldown_counts():
    """A stop ten minutes ago and a decline: whichever ends last."""
    declined = replace(CREATE, actions=(did(Answer.DECLINE, 10),))
    at = CLOSE + minutes(20)
    assert cooldown_of("eth-1", at, CLOSE + minutes(15), [declined], CONFIG).until == CLOSE + minutes(130)
    short = AdviceConfig(cooldown_declined_min=5)
    assert cooldown_of("eth-1", at, CLOSE + minutes(15), [declined], short).until == CLOSE + minutes(75)


# --- louder stops and expiries ---


@pytest.mark.parametrize(
    ("verdict", "wait"), [(TREND, 15), (TRANSITION, 30), (None, 30), (OK, 60), (WEAK, 60)]
)
def test_an_unanswered_stop_grows_louder_by_the_verdict(verdict: Verdict | None, wait: int):
    """15 minutes in TREND, 30 in TRANSITION or an unjudged hour, 60 in a range; at the instant itself."""
    stop = replace(STOP, verdict=verdict)
    due = CLOSE + minutes(wait)
    assert louder_after(verdict, CONFIG) == minutes(wait)
    assert due_timers([stop], due - SECOND, CONFIG) == []
    for now in (due, due + SECOND, due + timedelta(days=1)):
        (found,) = due_timers([stop], now, CONFIG)
        assert (found.advice, found.at, found.what) == (stop, due, "louder")


@pytest.mark.parametrize("answer", [Answer.ACCEPT, Answer.DECLINE])
def test_an_answer_settles_every_timer(answer: Answer):
    """Nothing is due for what somebody has answered; a note does not."""
    now = CLOSE + minutes(600)
    assert due_timers([replace(a, actions=(did(answer, 1),)) for a in (STOP, CREATE)], now, CONFIG) == []
    assert (
        len(due_timers([replace(a, actions=(did(Answer.NOTE, 1),)) for a in (STOP, CREATE)], now, CONFIG))
        == 2
    )


def test_an_expiry_is_due_once_at_its_own_instant():
    """However late the tick; once its file is there it is settled."""
    due = CLOSE + minutes(60)
    assert due_timers([CREATE], due - SECOND, CONFIG) == []
    for now in (due, due + timedelta(hours=5)):
        (found,) = due_timers([CREATE], now, CONFIG)
        assert (found.at, found.what) == (due, "expired")
    settled = replace(CREATE, actions=(did(Answer.EXPIRED, 60, SYSTEM),))
    assert due_timers([settled], due + SECOND, CONFIG) == []


def test_what_is_due_comes_in_the_order_of_its_instants():
    """Ties by name; what never ends is not among it."""
    going_on = replace(STOP, action=Action.CONTINUE)
    trend = replace(STOP, id="z", verdict=TREND)
    same = replace(CREATE, id="a")
    found = due_timers([CREATE, same, going_on, STOP, trend], CLOSE + minutes(60), CONFIG)
    assert [due.advice.id for due in found] == ["z", STOP.id, CREATE.id, "a"]


def instants() -> st.SearchStrategy[datetime]:
    return st.integers(0, 400).map(lambda count: CLOSE + minutes(count))


@given(st.lists(instants(), min_size=1, max_size=20), st.sampled_from([STOP, CREATE]))
def test_timers_are_the_same_however_often_the_program_was_restarted(
    ticks: list[datetime], advice: PastAdvice
):
    """Nothing is stored: a tick finds what one single tick at that instant finds, and nothing goes back."""
    found = [due_timers([advice], now, CONFIG) for now in sorted(ticks)]
    assert found == [due_timers((advice,), now, AdviceConfig()) for now in sorted(ticks)]
    assert [len(each) for each in found] == sorted(len(each) for each in found)
    assert len({due.at for each in found for due in each}) <= 1


@given(st.integers(1, 1440), st.integers(0, 10080), st.integers(0, 180), st.integers(-5, 5), st.booleans())
def test_every_time_is_taken_from_the_configuration(louder, stopped, declined, off, trend):
    """At its instant a timer has run out, a minute before it has not."""
    config = AdviceConfig(
        louder_in_trend_min=louder if trend else 1,
        louder_in_transition_min=1 if trend else louder,
        cooldown_stopped_min=stopped,
        cooldown_declined_min=declined,
    )
    stop = replace(STOP, verdict=TREND if trend else TRANSITION)
    assert bool(due_timers([stop], CLOSE + minutes(louder + off), config)) is (off >= 0)
    at = CLOSE + minutes(stopped + off)
    assert cooldown_of("eth-1", at, CLOSE, [], config).is_over(at) is (off >= 0)
    told = replace(CREATE, actions=(did(Answer.DECLINE, 10),))
    at = CLOSE + minutes(10 + declined + max(off, -declined))
    assert cooldown_of("eth-1", at, None, [told], config).is_over(at) is (max(off, -declined) >= 0)


def test_a_stop_that_a_later_answer_settled_wakes_nobody():
    """An accept or decline of a later hour's advice about the grid ends the earlier stop's timer too."""
    later = replace(STOP, id="later", closes_at=CLOSE + timedelta(hours=1))
    now = CLOSE + timedelta(hours=1, minutes=1)
    assert [due.what for due in due_timers([STOP, later], now, CONFIG)] == ["louder"]
    for answer in (Answer.ACCEPT, Answer.DECLINE):
        answered = replace(later, actions=(did(answer, 60),))
        assert due_timers([STOP, answered], now, CONFIG) == []
        elsewhere = replace(answered, grid_id="another")
        assert [due.advice.id for due in due_timers([STOP, elsewhere], now, CONFIG)] == [STOP.id]
        no_later = replace(answered, closes_at=CLOSE)
        assert [due.advice.id for due in due_timers([STOP, no_later], now, CONFIG)] == [STOP.id]
    noted = replace(later, actions=(did(Answer.NOTE, 60),))
    assert len(due_timers([STOP, noted], now, CONFIG)) == 1
