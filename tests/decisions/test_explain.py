"""Explaining: a recommendation reads like a good colleague's note."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decisions.actions import SYSTEM, ActionTaken, Answer
from decisions.checks import Check, first_block
from decisions.evaluate import evaluate
from decisions.explain import explain
from decisions.recommendation import Action, Recommendation
from grid.economics import EconomicsConfig
from regime.analysis import Confidence, RegimeAnalysis, Verdict
from tests.decisions.builders import (
    ANALYSIS,
    CHEAP,
    HOUR,
    FakeAnalyser,
    advice_of,
    analysis,
    calibration,
    followed,
    inputs,
    policy,
    running,
    stopped,
    trending,
    unjudged,
)

START = HOUR.plus(-5)
GRID = running(since=START.opens_at)


def running_advice(found: RegimeAnalysis = ANALYSIS) -> Recommendation:
    return advice_of(evaluate(inputs(grids=(GRID,)), policy(found)))


def told(advice: Recommendation, found: RegimeAnalysis | None = ANALYSIS) -> list[str]:
    """Return the note without its table of checks."""
    lines = explain(
        advice, None if found is None else found.verdict, None if found is None else found.hold_probability
    )
    return [line for line in lines if not line.startswith("  ")]


@pytest.mark.parametrize(
    ("low", "mean", "words"),
    [(-64.0, -36.0, "have lost on average"), (0.0, 9.0, "may well lose"), (2.0, 9.0, None)],
)
def test_a_setup_without_a_proven_edge_says_so(low: float, mean: float, words: str | None):
    """Where no edge is asked for, the note names the loss; a proven edge needs no word."""
    rules = policy(economics=EconomicsConfig(require_positive_edge=False))
    advice = advice_of(evaluate(inputs(calibration=calibration(low, mean)), rules))
    assert advice.action.creates
    (line,) = [each for each in told(advice) if each.startswith("After fees:")]
    said = f"Such grids {words}: it is proposed only because economics.require_positive_edge is off."
    assert (said in line) if words else line.endswith("break-even near 14 bps.")


def test_a_continue_says_why_how_sure_what_it_is_worth_and_what_would_end_it():
    """The whole note, word by word."""
    assert told(running_advice()) == [
        "ETH-USDT, grid eth-usdt-1, 2026-02-02 15:00 UTC: CONTINUE",
        "Let the grid go on. Why: the exit state is NORMAL: nothing asks for an end.",
        "The market ranges (RANGE_OK); its range holds 24 h with p 0.86.",
        (
            "How sure: 0.93 that the grid's own bounds hold for 24 h, less what its spacing costs"
            " (holds 0.93 x spacing 1.00)."
        ),
        "After fees: expected +9 bps in 24 h [+2, +16] at 10 bps maker; break-even near 14 bps.",
        (
            "Beside the running grid: a new one's centre lies +0 (0.0 cells) away;"
            " a cycle of the running grid earns more, by 0.51 % points."
        ),
        "Checks, in order:",
        (
            "What would end it, any of: closes outside the bounds in a row: 0, fires at or above 2;"
            " close beyond the bounds in ATR: -5, fires above 1;"
            " close above the stop-loss in ATR: 6.5, fires at or below 0.25;"
            " probability that the grid's bounds hold for 24 h: 0.993, fires below 0.3."
        ),
        "Not chosen: STOP_GRID: the exit state NORMAL does not ask for it.",
        "Not chosen: ADJUST: the centre of the range has moved by 0 x spacing, needs more than 1 x spacing.",
    ]


def test_a_stop_says_what_broke_and_that_it_stays():
    """A MANDATORY_EXIT does not go away by itself."""
    engine = FakeAnalyser(ANALYSIS, {START.plus(1): analysis(price=2400.0)})
    given_ = [inputs(START, grids=(GRID,)), inputs(START.plus(1), grids=(GRID,), close=2400.0)]
    note = told(advice_of(followed(given_, policy(engine=engine))[-1]), trending())
    assert note[:5] == [
        "ETH-USDT, grid eth-usdt-1, 2026-02-02 11:00 UTC: STOP_GRID",
        "Stop the grid and sell the coin. Why: MANDATORY_EXIT: close beyond the bounds in ATR: 15, above 1.",
        "The market trends (TREND); its range holds 24 h with p 0.86.",
        "How sure: 0.95 that the grid's bounds do not hold for 24 h (ends 0.95).",
        "Told louder: confidence: 0.05, below 0.6.",
    ]
    assert note[-2:] == [
        (
            "What would change it: nothing by itself; it stays until the grid is stopped,"
            " or until you decline and enough clean hours have passed."
        ),
        "Not chosen: CONTINUE: MANDATORY_EXIT: close beyond the bounds in ATR: 15, above 1.",
    ]
    late = told(running_advice(analysis(hourly_sigma=0.03)))
    assert late[1] == (
        "Stop the grid and sell the coin. Why: LATEST_ACCEPTABLE_EXIT:"
        " probability that the grid's bounds hold for 24 h: 0.008034, below 0.3."
    )
    assert late[-2] == (
        "What would change it: clean hours, one after the other, after which the exit state eases."
    )


def test_a_trial_says_what_to_type_and_until_when():
    """The exchange's form, what a cycle earns, and what the worst fall costs."""
    found = analysis(confidence=Confidence(0.7, {}), verdict=Verdict.RANGE_WEAK)
    note = told(advice_of(evaluate(inputs(), policy(found, costs=CHEAP))), found)
    assert note == [
        "ETH-USDT, grid eth-usdt-1, 2026-02-02 15:00 UTC: CREATE_PROBATIONARY_GRID",
        (
            "A smaller grid may be set up on trial. Why: the price is inside a valid range of 120 h,"
            " and every check passed; the confidence is enough for a smaller grid on trial."
        ),
        "The market ranges, but weakly (RANGE_WEAK); its range holds 24 h with p 0.86.",
        (
            "How sure: 0.70 that the range holds for 24 h, less what the spacing costs"
            " (market 0.70 x spacing 1.00)."
        ),
        "After fees: expected +9 bps in 24 h [+2, +16] at 10 bps maker; break-even near 14 bps.",
        (
            "To set: Lowest price 1905, Highest price 2095, Number of grids 7, Investment 426.66,"
            " Stop-loss 1885. A cycle earns 1.27 % after fees;"
            " a fall straight to the stop-loss would cost 18.17."
        ),
        "Checks, in order:",
        "What would turn it first: confidence 0.7, needs at least 0.65.",
        "Not chosen: NO_SETUP: nothing stands against a setup.",
        "It stands until 2026-02-02 16:00 UTC.",
    ]


def test_a_no_setup_says_everything_that_would_have_to_change():
    """The first check that fails is the reason, and the rest is not kept back."""
    grid = stopped(at=HOUR.opens_at)
    note = told(advice_of(evaluate(inputs(grids=(grid,)), policy(trending()))), trending())
    assert note == [
        "ETH-USDT, grid eth-usdt-1, 2026-02-02 15:00 UTC: NO_SETUP",
        "Set nothing up. Why: the verdict is TREND; a setup needs RANGE_OK or RANGE_WEAK.",
        "The market trends (TREND); its range holds 24 h with p 0.86.",
        "How sure: 0.86, without a grid.",
        "After fees: expected +9 bps in 24 h [+2, +16] at 10 bps maker; break-even near 14 bps.",
        "Checks, in order:",
        (
            "What would have to change, all of it: the verdict is TREND;"
            " a setup needs RANGE_OK or RANGE_WEAK;"
            " gate directional_energy_decay is NOT_EVALUATED: it is judged from the next hour on;"
            " bars since the stop: 1 h, needs at least 24 h."
        ),
        "Not chosen: CREATE_GRID: the verdict is TREND; a setup needs RANGE_OK or RANGE_WEAK.",
    ]
    would_be = told(advice_of(evaluate(inputs(), policy(trending()))), trending())
    assert any(line.startswith("It would be: Lowest price 1900, Highest price 2100") for line in would_be)
    assert any(
        line.startswith("How sure: 0.86 of the verdict TREND, less what the spacing costs")
        for line in would_be
    )


def test_a_withheld_hour_promises_nothing():
    """No expectation, no confidence: an hour that can be judged."""
    note = told(advice_of(evaluate(unjudged(grids=(GRID,)), policy())), None)
    assert note == [
        "ETH-USDT, grid eth-usdt-1, 2026-02-02 15:00 UTC: WITHHELD",
        "There is no advice for this hour. Why: the hour could not be judged; look at the grid yourself.",
        "The hour could not be judged.",
        "How sure: nothing could be measured.",
        "Checks, in order:",
        "What would change it: an hour that can be judged.",
        "Not chosen: STOP_GRID: the exit state NORMAL does not ask for it.",
    ]
    bare = told(advice_of(evaluate(inputs(grids=None, calibration=None), policy())))
    assert "Checks, in order:" not in bare
    assert "After fees: what such a grid is worth is not yet measurable." in bare
    unmeasured = evaluate(inputs(grids=(GRID,), calibration=None), policy())
    assert "After fees: what a grid in such a market is worth is not yet measurable." in told(
        advice_of(unmeasured)
    )


def test_every_check_is_a_line_with_its_mark_and_distance():
    """What does not fire is no failure; what a grid would be moved for is none either."""
    lines = [line for line in explain(running_advice(), Verdict.RANGE_OK, 0.86) if line.startswith("  ")]
    assert lines[0] == "  exit_state  passed    NORMAL: no trigger fired"
    assert lines[1] == (
        "  exit_state  passed    closes outside the bounds in a row: 0, fires at or above 2 (distance +2)"
    )
    assert lines[5] == (
        "  parameters  not met   the centre of the range has moved by 0 x spacing,"
        " needs more than 1 x spacing (distance -1)"
    )
    setup = advice_of(evaluate(inputs(grids=(stopped(at=HOUR.opens_at),)), policy(trending())))
    marks = [line[14:23].strip() for line in explain(setup, Verdict.TREND, None) if line.startswith("  ")]
    assert marks == [
        *("passed", "passed", "FAILED", "passed", "passed", "not asked"),
        *("passed", "FAILED", "passed", "not asked", "FAILED", "passed"),
    ]


def test_the_probability_is_told_only_where_it_is_known():
    """The doubtful market has its own word."""
    (line,) = [each for each in explain(running_advice(), Verdict.TRANSITION, None) if "in doubt" in each]
    assert line == "The range is in doubt (TRANSITION)."


def test_a_move_is_shown_beside_what_runs():
    """How far, what to type, and which of the two earns more a cycle."""
    found = analysis(range=replace(ANALYSIS.range, lower=1960.0, upper=2160.0))
    note = told(running_advice(found))
    assert note[1] == (
        "Move the grid to new bounds. Why: the centre of the range has moved by 1.2 x spacing,"
        " needs more than 1 x spacing."
    )
    assert (
        "Beside the running grid: a new one's centre lies +60 (1.2 cells) away;"
        " a cycle of the running grid earns more, by 0.57 % points." in note
    )
    assert any(line.startswith("To set: Lowest price 1960") for line in note)


@pytest.mark.parametrize(
    ("wins", "words"),
    [
        ("proposed", "a cycle of the new one earns more, by 0.50 % points."),
        ("running", "a cycle of the stopped grid earns more, by 0.50 % points."),
        ("equal", "a cycle of either earns the same."),
    ],
)
def test_the_comparison_says_who_wins(wins, words):
    """By how much, in points of a cycle."""
    side = {"wins": wins, "by_pct": 0.5, "centre_shift": -3.0, "centre_shift_spacings": 0.1}
    advice = advice_of(evaluate(inputs(), policy()))
    note = told(replace(advice, comparison=side))
    assert f"Beside the stopped grid: a new one's centre lies -3 (0.1 cells) away; {words}" in note
    assert not any("Beside" in line for line in told(replace(advice, comparison={**side, "wins": None})))


def test_what_was_done_about_it_stands_at_the_end():
    """Who, when, at what price, in whose words."""
    done = (
        ActionTaken(HOUR.closes_at, SYSTEM, Answer.EXPIRED),
        ActionTaken(
            HOUR.closes_at + timedelta(minutes=70),
            "operator",
            Answer.ACCEPT,
            Decimal("1999.5"),
            note="late, but meant",
        ),
    )
    lines = explain(running_advice(), Verdict.RANGE_OK, 0.86, done)
    assert lines[-2:] == [
        "2026-02-02 15:00 UTC system: expired",
        "2026-02-02 16:10 UTC operator: accept at 1999.5: late, but meant",
    ]


def test_sentences_end_once():
    """A reason that brings its own full stop gets no second one; one factor less is no empty bracket."""
    advice = replace(running_advice(), reason="It is over!", checks=())
    lines = told(replace(advice, confidence=replace(advice.confidence, factors={})))
    assert lines[1] == "Let the grid go on. Why: It is over!"
    assert "How sure: 0.93." in lines
    assert not any(line.startswith("What would") for line in lines)
    nothing_near = replace(advice_of(evaluate(inputs(), policy())), checks=())
    assert not any(line.startswith("What would") for line in told(nothing_near))


def test_what_turns_a_setup_first_has_the_least_room_for_its_size():
    """Measured against its own threshold; what has none, or fails, or has no number, is not compared."""

    def check(
        value: float | None, threshold: float | None, *, passed: bool = True, name: str = "edge"
    ) -> Check:
        distance = None if value is None or threshold is None else value - threshold
        return Check(name, passed, value, threshold, distance, f"{name} {value} of {threshold}")

    checks = (check(3.0, 2.0), check(110.0, 100.0, name="capital"), check(0.1, 0.0), check(None, None))
    advice = replace(advice_of(evaluate(inputs(), policy())), checks=checks)
    assert "What would turn it first: capital 110.0 of 100.0." in told(advice)
    near_but_failed = (*checks, check(99.9, 100.0, passed=False))
    assert "What would turn it first: capital 110.0 of 100.0." in told(
        replace(advice, checks=near_but_failed)
    )


@given(st.sampled_from(list(Action)), st.sampled_from([None, *Verdict]), st.booleans())
def test_every_action_is_told_in_whole_sentences(action: Action, verdict: Verdict | None, bare: bool):
    """Whatever the record holds; the same record gives the same words."""
    advice = replace(running_advice() if not bare else advice_of(evaluate(inputs(), policy())), action=action)
    lines = explain(advice, verdict, 0.5)
    assert lines == explain(advice, verdict, 0.5)
    assert all(line.endswith((".", "!")) for line in lines[1:] if not line.startswith(("  ", "Checks")))
    assert all("None" not in line for line in lines)


def test_the_first_block_follows_the_order_and_not_the_list():
    """Places, not positions; among equals the first one listed."""
    late, early = Check("edge", False, None, None, None, "e"), Check("data", False, None, None, None, "d")
    twin = replace(early, reason="d2")
    unasked = Check("permission", None, None, None, None, "p")
    assert first_block((late, unasked, early, twin)) is early
    assert first_block((unasked, replace(late, passed=True))) is None
