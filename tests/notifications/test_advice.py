"""Words of advice: news rings once, at its level, with all that the operator has to know."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decisions.evaluate import evaluate
from decisions.recommendation import Action
from decisions.stopped import expected_in_words
from exits.states import ExitState
from market.hours import Hour
from notifications.advice import AdviceFacts, advice_notice, facts_of, louder_notice, reminder
from notifications.messages import HourFacts, hour_notices
from notifications.notice import Level, Notice
from tests.decisions.builders import advice_of, inputs, policy, running, trending
from tests.decisions.test_timers import STOP

HOUR = Hour.parse("2026-02-02T14")
AT = HOUR.closes_at
CONTINUE = AdviceFacts(
    "2026-02-02/dec-ETH-USDT-150000",
    "eth-1",
    "CONTINUE",
    "the exit state is NORMAL: nothing asks for an end",
    0.9,
    "NORMAL",
    None,
    None,
    "",
    None,
)
FORM = "Lowest price 1900, Highest price 2100"
CREATE = replace(
    CONTINUE,
    action="CREATE_GRID",
    reason="every check passed",
    exit_state=None,
    expected="expected +9 bps in 24 h",
    form=FORM,
    until="16:00 UTC",
)
NO_SETUP = replace(
    CREATE, action="NO_SETUP", reason="the verdict is TREND", form="", until=None, expected=None
)


def acts(action: Action, state: ExitState = ExitState.NORMAL, **others: object) -> AdviceFacts:
    return replace(CONTINUE, action=action.value, exit_state=state.value, **others)


def told(before: AdviceFacts | None, now: AdviceFacts) -> Notice | None:
    return advice_notice("ETH-USDT", before, now, AT)


# --- what is news ---


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (CONTINUE, CONTINUE),
        (None, CONTINUE),
        (acts(Action.ADJUST), CONTINUE),
        (acts(Action.STOP_GRID), CONTINUE),
        (NO_SETUP, NO_SETUP),
        (None, NO_SETUP),
        (CREATE, NO_SETUP),
        (CREATE, CREATE),
        (acts(Action.STOP_GRID), acts(Action.STOP_GRID)),
        (acts(Action.WITHHELD), acts(Action.WITHHELD)),
        (acts(Action.CONTINUE, told_higher="low"), acts(Action.CONTINUE, told_higher="low")),
        (acts(Action.CONTINUE, told_higher="low"), CONTINUE),
        (replace(CONTINUE, grid_id="eth-0"), CONTINUE),
        (acts(Action.WITHHELD, grid_id="eth-0"), CONTINUE),
        (NO_SETUP, CONTINUE),
        (acts(Action.STOP_GRID, ExitState.MANDATORY_EXIT), NO_SETUP),
    ],
)
def test_what_goes_on_as_before_is_silence(before: AdviceFacts | None, now: AdviceFacts):
    """A quiet week is silent, and so is a market where nothing is set up."""
    assert told(before, now) is None


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (None, CREATE),
        (NO_SETUP, CREATE),
        (CONTINUE, acts(Action.STOP_GRID)),
        (CONTINUE, acts(Action.ADJUST)),
        (CREATE, replace(CREATE, action="CREATE_PROBATIONARY_GRID")),
        (CONTINUE, acts(Action.WITHHELD)),
        (acts(Action.WITHHELD), CONTINUE),
        (None, acts(Action.WITHHELD)),
        (CONTINUE, acts(Action.CONTINUE, ExitState.WARNING)),
        (acts(Action.CONTINUE, ExitState.WARNING), CONTINUE),
        (None, acts(Action.CONTINUE, ExitState.WARNING)),
        (replace(CONTINUE, grid_id="eth-0"), acts(Action.CONTINUE, ExitState.WARNING)),
        (
            acts(Action.STOP_GRID, ExitState.LATEST_ACCEPTABLE_EXIT),
            acts(Action.STOP_GRID, ExitState.MANDATORY_EXIT),
        ),
        (CONTINUE, acts(Action.CONTINUE, told_higher="confidence: 0.5, below 0.6")),
        (None, acts(Action.CONTINUE, told_higher="confidence: 0.5, below 0.6")),
        (CREATE, replace(CREATE, grid_id="eth-2")),
    ],
)
def test_what_is_new_is_told(before: AdviceFacts | None, now: AdviceFacts):
    """Another action, another state, advice withheld or given again, a confidence that fell."""
    notice = told(before, now)
    assert notice is not None
    assert notice.dedupe == f"{now.id}/{now.action}"
    assert (notice.market, notice.at) == ("ETH-USDT", AT)


# --- how loud ---


@pytest.mark.parametrize(
    ("action", "state", "level"),
    [
        (Action.CONTINUE, ExitState.NORMAL, Level.QUIET),
        (Action.CONTINUE, ExitState.WARNING, Level.NORMAL),
        (Action.CONTINUE, ExitState.LATEST_ACCEPTABLE_EXIT, Level.HIGH),
        (Action.WITHHELD, ExitState.WARNING, Level.NORMAL),
        (Action.ADJUST, ExitState.NORMAL, Level.QUIET),
        (Action.STOP_GRID, ExitState.NORMAL, Level.HIGH),
        (Action.STOP_GRID, ExitState.WARNING, Level.HIGH),
        (Action.STOP_GRID, ExitState.LATEST_ACCEPTABLE_EXIT, Level.HIGH),
        (Action.STOP_GRID, ExitState.MANDATORY_EXIT, Level.EMERGENCY),
    ],
)
def test_the_exit_state_says_how_loud_and_a_stop_is_never_quiet(action, state, level):
    """One level louder where the confidence fell, and there is nothing above an emergency."""
    before = acts(Action.WITHHELD if action is Action.CONTINUE else Action.CONTINUE)
    notice = told(before, acts(action, state))
    assert notice is not None
    assert notice.level is level
    louder = told(before, acts(action, state, told_higher="confidence: 0.5, below 0.6"))
    assert louder is not None
    levels = list(Level)
    assert louder.level is levels[min(levels.index(level) + 1, 3)]
    assert ("Told louder: confidence: 0.5, below 0.6." in louder.body) is (level is not Level.EMERGENCY)


def test_a_setup_is_told_plainly():
    """It is good news that waits an hour, no alarm."""
    notice = told(None, CREATE)
    assert notice is not None
    assert notice.level is Level.NORMAL


# --- in which words ---


def test_a_setup_says_why_how_sure_what_it_is_worth_what_to_type_and_until_when():
    """All of it in one body, ending with where to read more."""
    notice = told(NO_SETUP, CREATE)
    assert notice is not None
    assert notice.title == "eth-1: CREATE_GRID"
    assert notice.body == (
        "Every check passed. Confidence in this advice 0.90. Expected +9 bps in 24 h."
        " To set: Lowest price 1900, Highest price 2100. Set the grid up at the exchange, then accept;"
        " or decline. Stands until 16:00 UTC. regimed explain 2026-02-02/dec-ETH-USDT-150000"
    )


def test_a_stop_says_what_to_do():
    """And the title its state."""
    notice = told(
        CONTINUE,
        acts(
            Action.STOP_GRID,
            ExitState.MANDATORY_EXIT,
            reason="MANDATORY_EXIT: closes outside the bounds in a row: 2, at or above 2",
            confidence=None,
        ),
    )
    assert notice is not None
    assert notice.title == "eth-1: STOP_GRID, exit state MANDATORY_EXIT"
    assert notice.body == (
        "It was NORMAL. Closes outside the bounds in a row: 2, at or above 2."
        " Stop the grid at the exchange and sell the coin, then accept; or decline and keep it."
        " regimed explain 2026-02-02/dec-ETH-USDT-150000"
    )


@given(
    st.sampled_from(list(Action)),
    st.none() | st.sampled_from(list(ExitState)),
    st.none() | st.just("confidence: 0.5, below 0.6"),
    st.text(max_size=3000),
)
def test_every_notice_fits_and_says_what_to_do(action, state, louder, reason):
    """Never more than a channel takes, whatever the reasons were."""
    now = replace(
        CONTINUE,
        action=action.value,
        exit_state=None if state is None else state.value,
        told_higher=louder,
        reason=reason,
    )
    notice = told(None, now)
    if notice is None:
        assert action not in (Action.STOP_GRID, Action.WITHHELD)
        return
    assert len(notice.body) <= 1024
    assert len(notice.title) <= 250
    if len(reason) < 600:
        assert notice.body.endswith(f"regimed explain {now.id}")


def test_facts_are_taken_from_the_recommendation():
    """The form only where something is to be typed, the expectation only where a grid is to be set up."""
    create = advice_of(evaluate(inputs(), policy()))
    facts = facts_of(create, expected_in_words(create.expected))
    assert (facts.id, facts.grid_id, facts.action) == (create.id, "eth-usdt-1", "CREATE_GRID")
    assert facts.form == (
        "Lowest price 1900, Highest price 2100, Number of grids 5, Investment 800, Stop-loss 1870"
    )
    assert (facts.until, facts.confidence, facts.exit_state) == ("16:00 UTC", 0.86, None)
    assert facts.expected is not None
    assert facts.expected.startswith("expected +9 bps")
    refused = advice_of(evaluate(inputs(), policy(trending())))
    assert refused.proposed is not None
    nothing = facts_of(refused, expected_in_words(refused.expected))
    assert (nothing.form, nothing.expected, nothing.until) == ("", None, None)
    goes_on = advice_of(evaluate(inputs(grids=(running(),)), policy()))
    calm = facts_of(goes_on, expected_in_words(goes_on.expected))
    assert (calm.form, calm.expected, calm.exit_state) == ("", None, "NORMAL")


def test_an_unanswered_stop_is_an_emergency_told_once():
    """With how long it has waited."""
    notice = louder_notice("ETH-USDT", STOP, "MANDATORY_EXIT", STOP.closes_at + timedelta(minutes=30))
    assert notice.level is Level.EMERGENCY
    assert notice.title == "eth-1: STOP_GRID unanswered for 30 min"
    assert notice.dedupe == f"{STOP.id}/louder"
    later = louder_notice("ETH-USDT", STOP, "MANDATORY_EXIT", STOP.closes_at + timedelta(minutes=60))
    assert notice.dedupe == later.dedupe
    waits = f"The stop advised at {STOP.closes_at:%H:%M} UTC has no answer yet"
    assert notice.body.startswith(f"{waits}, and the exit state is MANDATORY_EXIT. Stop the grid")
    assert louder_notice("ETH-USDT", STOP, None, later.at).body.startswith(f"{waits}. Stop the grid")
    assert "accept; or decline and keep it" in notice.body
    assert notice.body.endswith(f"regimed explain {STOP.id}")


def test_a_warning_asks_to_be_ready_and_a_reminder_says_how_to_end_it():
    """Nobody is told "nothing to do" beside an alarm, and nobody has to look up how to end reminders."""
    warned = acts(Action.CONTINUE, ExitState.WARNING, reason="WARNING: p_transition: 0.7, above 0.4")
    warned = replace(warned, since=str(HOUR), told_higher="confidence: 0.5, below 0.6")
    first = told(CONTINUE, warned)
    assert first is not None
    assert first.body == (
        "It was NORMAL. p_transition: 0.7, above 0.4. Told louder: confidence: 0.5, below 0.6."
        " Confidence in this advice 0.90. Let the grid run, keep its stop in place, and be ready to stop it."
        f" regimed explain {CONTINUE.id}"
    )
    again = reminder("ETH-USDT", warned, 1, Level.NORMAL, AT + timedelta(hours=4))
    assert again.title == "eth-1: still CONTINUE, exit state WARNING"
    assert again.body.startswith("WARNING since 02 Feb 15:00 UTC, not acknowledged. p_transition")
    assert f"To hear no more of it: regimed decide {CONTINUE.id} acknowledge. regimed explain" in again.body
    eased = told(warned, replace(CONTINUE, since=str(HOUR)))
    assert eased is not None
    assert eased.body.startswith("It was WARNING. The exit state is NORMAL: nothing asks for an end.")
    assert "Nothing to do" in eased.body
    assert "acknowledge" not in first.body + eased.body


# --- beside the verdict ---


def test_a_word_about_a_grid_stands_for_the_verdicts_change():
    """One notice for one thing; a grid that goes on leaves the verdict's own."""
    calm = HourFacts("ETH-USDT", HOUR, "analysed", None, "RANGE_OK", 0.8, 2000.0, 1900.0, 2100.0, (CONTINUE,))
    stops = replace(calm, verdict="TREND", hour=HOUR.plus(1), advice=(acts(Action.STOP_GRID),))
    (notice,) = hour_notices(calm, stops)
    assert notice.title.startswith("eth-1: STOP_GRID")
    (unrecorded,) = hour_notices(calm, stops, recorded=False)
    assert unrecorded.body.startswith("NOT RECORDED")
    (verdict,) = hour_notices(calm, replace(stops, advice=(CONTINUE,)))
    assert verdict.title == "ETH-USDT: RANGE_OK to TREND"
    both = replace(stops, advice=(acts(Action.STOP_GRID), acts(Action.STOP_GRID, grid_id="eth-2")))
    assert len(hour_notices(calm, both)) == 2
    assert len(hour_notices(None, both)) == 2


def test_a_withheld_hour_says_why_and_is_heard():
    """The market's reason stands before the advice; what was caught up meanwhile does too."""
    withheld = acts(Action.WITHHELD)
    told = advice_notice("ETH-USDT", None, withheld, AT, "12 of 60 minutes are missing.")
    assert told is not None
    assert told.body.startswith("12 of 60 minutes are missing. ")
    assert told.level is Level.NORMAL
