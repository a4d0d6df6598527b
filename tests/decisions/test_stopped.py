"""Setups: every check, their order, and that nothing gets past them."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decisions.actions import ActionTaken, Answer
from decisions.checks import ORDER
from decisions.evaluate import evaluate
from decisions.inputs import HourInputs, Policy
from decisions.offer import offer_of
from decisions.recommendation import Action, Kind
from decisions.stopped import setup
from decisions.timers import PastAdvice
from grid.capital import CapitalConfig, Funds
from grid.economics import EconomicsConfig, TradingRules
from grid.parameters import GridKind
from market.candles import Bars
from market.hours import Timeframe
from regime.analysis import Confidence, Insufficient, RegimeAnalysis, Verdict
from tests.decisions.builders import (
    ANALYSIS,
    CHEAP,
    HOUR,
    KEY,
    RULES,
    FakeAnalyser,
    advice_of,
    analysis,
    calibration,
    inputs,
    known,
    metric,
    no_data,
    parameters,
    passed_gates,
    policy,
    quiet,
    running,
    stopped,
    trending,
)

unhurried = settings(deadline=None)
STOPPED = stopped()
PASSED = passed_gates(STOPPED)
OTHER = running("sol-usdt-1", market="SOL-USDT")
INVALID = replace(ANALYSIS.range, valid=False)


def setup_of(given_: HourInputs, rules: Policy | None = None):
    """Return the recommendation of an hour."""
    return advice_of(evaluate(given_, rules or policy()))


def checks_of(advice: Any) -> dict[str, list[bool | None]]:
    found: dict[str, list[bool | None]] = {}
    for check in advice.checks:
        found.setdefault(check.name, []).append(check.passed)
    return found


def declined(minutes_ago: float = 30, grid_id: str = "eth-usdt-1") -> PastAdvice:
    """Return a setup of an hour ago that was declined."""
    closes = HOUR.opens_at
    at = HOUR.closes_at - timedelta(minutes=minutes_ago)
    return PastAdvice(
        "2026-02-02/dec-ETH-USDT-140000",
        grid_id,
        Kind.SETUP,
        Action.CREATE_GRID,
        Verdict.RANGE_OK,
        closes,
        closes,
        closes + timedelta(hours=1),
        0.86,
        (ActionTaken(at, "operator", Answer.DECLINE),),
    )


FACTS: dict[str, tuple[str, dict[str, Any]]] = {
    "kill switch": ("permission", {"advice": {"kill_switch": True}}),
    "no analysis": ("data", {"analysis": Insufficient("300 of 400 hours known")}),
    "TREND": ("verdict", {"facts": {"verdict": Verdict.TREND}}),
    "invalid range": ("verdict", {"facts": {"range": INVALID}}),
    "price outside": ("verdict", {"facts": {"price": 2100.0}}),
    "bounds doubtful": ("exit_state", {"facts": {"hourly_sigma": 0.03}}),
    "declined lately": ("cooldown", {"inputs": {"past": (declined(),)}}),
    "gates open": ("gates", {"inputs": {"before": None}}),
    "capital bound": ("capital", {"inputs": {"grids": (STOPPED, OTHER)}}),
    "unsure": ("confidence", {"facts": {"confidence": Confidence(0.64, {})}}),
    "orders too small": (
        "parameters",
        {"inputs": {"rules": TradingRules(Decimal("0.01"), Decimal("0.0001"), min_funds=Decimal(500))}},
    ),
    "no edge": ("edge", {"inputs": {"calibration": calibration(low=-0.5)}}),
}


def spoilt(names: tuple[str, ...]) -> tuple[HourInputs, Policy]:
    """Return an hour in which every check passes but those that are named."""
    facts: dict[str, Any] = {}
    rest: dict[str, Any] = {"grids": (STOPPED,), "before": PASSED}
    advice: dict[str, Any] = {}
    found: RegimeAnalysis | Insufficient | None = None
    for name in names:
        change = FACTS[name][1]
        facts |= change.get("facts", {})
        rest |= change.get("inputs", {})
        advice |= change.get("advice", {})
        found = change.get("analysis", found)
    return inputs(**rest), policy(
        found or analysis(**facts), advice=quiet(cooldown_declined_min=120, **advice)
    )


def test_every_combination_of_failing_checks_is_no_setup_and_the_first_in_order_is_the_reason():
    """No path yields CREATE past a check: all 4,096 combinations, each with its first check as reason."""
    assert {place for place, _ in FACTS.values()} == set(ORDER)
    for count in range(len(FACTS) + 1):
        for names in itertools.combinations(FACTS, count):
            given_, rules = spoilt(names)
            advice = setup_of(given_, rules)
            outcomes = checks_of(advice)
            assert tuple(dict.fromkeys(check.name for check in advice.checks)) == ORDER
            if not names:
                assert advice.action is Action.CREATE_GRID
                assert all(all(each) for each in outcomes.values())
                continue
            first = min((FACTS[name][0] for name in names), key=ORDER.index)
            blocking = next(check for check in advice.checks if check.blocks)
            assert advice.action is Action.NO_SETUP, names
            assert blocking.name == first, (names, blocking)
            assert advice.reason == blocking.reason
            assert advice.expires_at is None


@pytest.mark.parametrize("name", FACTS)
def test_each_check_alone_blocks(name: str):
    """One failing condition is enough, and what fails says so under its own name."""
    given_, rules = spoilt((name,))
    advice = setup_of(given_, rules)
    assert advice.action is Action.NO_SETUP
    assert False in checks_of(advice)[FACTS[name][0]]
    assert advice.alternatives[0].action is Action.CREATE_GRID
    assert advice.alternatives[0].reason == advice.reason


VERDICTS = {
    "TREND": ("TREND", "the verdict is TREND; a setup needs RANGE_OK or RANGE_WEAK"),
    "invalid range": (
        "not valid",
        "the market has no valid range: too few touches, too narrow, too wide or too often left",
    ),
    "price outside": ("outside", "the price 2100 is not inside 1900 to 2100"),
}


@pytest.mark.parametrize("name", VERDICTS)
def test_a_verdict_that_forbids_a_setup_says_what_it_saw(name: str):
    """Verdict, range and price each on their own; a price on the bound is not inside."""
    advice = setup_of(*spoilt((name,)))
    verdicts = [check for check in advice.checks if check.name == "verdict"]
    assert [(c.value, c.reason) for c in verdicts if c.blocks] == [VERDICTS[name]]
    calm = [check.value for check in setup_of(*spoilt(())).checks if check.name == "verdict"]
    assert calm == ["RANGE_OK", "valid", "inside"]
    assert setup_of(*spoilt(())).checks[4].reason == "the price 2000 is inside 1900 to 2100"
    lowest = setup_of(inputs(), policy(analysis(price=1900.0)))
    assert lowest.checks[4].passed is False
    assert lowest.checks[4].reason == "the price 1900 is not inside 1900 to 2100"


def test_the_kill_switch_says_whether_it_is_set():
    """Set or not, in the record of every hour."""
    assert setup_of(*spoilt(("kill switch",))).reason == "the kill switch is set: no setups"
    assert setup_of(*spoilt(())).checks[0].reason == "no kill switch is set"


def test_a_first_grid_is_version_1():
    """Of a market that has none yet."""
    proposed = setup_of(inputs()).proposed
    assert proposed is not None
    assert proposed["version"] == 1


some_facts = st.fixed_dictionaries(
    {
        "verdict": st.sampled_from([Verdict.RANGE_OK, Verdict.RANGE_OK, *Verdict]),
        "range": st.sampled_from([ANALYSIS.range, ANALYSIS.range, INVALID]),
        "price": st.sampled_from([2000.0, 2000.0, 1950.0, 2100.0, 1900.0, 2150.0]),
        "atr": st.sampled_from([20.0, 20.0, None]),
        "hourly_sigma": st.sampled_from([0.004, 0.004, 0.03, None]),
        "confidence": st.sampled_from([0.95, 0.8, 0.799999, 0.65, 0.649999]).map(
            lambda value: Confidence(value, {})
        ),
        "hold_probability": st.sampled_from([0.86, 0.86, None]),
    }
)


@unhurried
@given(
    some_facts,
    st.sampled_from([(), (STOPPED,), (STOPPED, OTHER), (stopped(at=HOUR.plus(-20).opens_at),)]),
    st.sampled_from([PASSED, None]),
    st.sampled_from([(), (declined(),), (declined(120),)]),
    st.sampled_from([None, calibration(), calibration(low=0.0)]),
    st.sampled_from([RULES, None]),
    st.booleans(),
    st.booleans(),
)
def test_what_is_created_passed_every_check(facts, grids, before, past, calibrated, rules_, required, kill):
    """CREATE means: a range verdict on a valid range, price inside, and all else, asked for independently."""
    rules = policy(
        analysis(**facts),
        costs=CHEAP,
        economics=EconomicsConfig(require_positive_edge=required),
        advice=quiet(cooldown_declined_min=120, kill_switch=kill),
    )
    given_ = inputs(grids=grids, before=before, past=past, calibration=calibrated, rules=rules_)
    advice = setup_of(given_, rules)
    if advice.action is Action.NO_SETUP:
        assert any(check.blocks for check in advice.checks)
        return
    assert not kill
    assert facts["verdict"].is_range
    assert facts["range"].valid
    assert 1900 < facts["price"] < 2100
    assert facts["hourly_sigma"] == 0.004
    assert not any(each.answer and each.answer.at > HOUR.closes_at - timedelta(hours=2) for each in past)
    assert OTHER not in grids
    assert not grids or (grids == (STOPPED,) and before is PASSED)
    assert facts["confidence"].value >= 0.65
    normal = facts["confidence"].value >= 0.8
    assert advice.action is (Action.CREATE_GRID if normal else Action.CREATE_PROBATIONARY_GRID)
    assert advice.proposed is not None
    assert advice.proposed["kind"] == ("normal" if normal else "probationary")
    if required:
        assert calibrated is not None
        assert calibrated.edge_by_band[0].low > 0
        assert facts["hold_probability"] is not None
    assert advice.expires_at == HOUR.closes_at + timedelta(minutes=60)
    assert all(check.passed for check in advice.checks if check.name != "edge")


def test_a_valid_setup_is_proposed_with_the_exchanges_form():
    """The operator copies and never computes."""
    advice = setup_of(inputs(grids=(STOPPED,), before=PASSED))
    assert advice.action is Action.CREATE_GRID
    assert advice.grid_id == "eth-usdt-1"
    assert advice.grid_version == 1
    assert advice.proposed is not None
    assert advice.proposed["version"] == 2
    assert set(advice.proposed["form"]) == {
        "Lowest price",
        "Highest price",
        "Number of grids",
        "Investment",
        "Stop-loss",
    }
    assert advice.comparison is not None
    assert advice.comparison["running"]["lower"] == 1900.0
    assert advice.expected is not None
    assert advice.expected["low"] == 2.0
    assert advice.confidence.value == 0.86
    assert advice.confidence.factors == {"market": 0.86, "spacing": 1.0}
    assert advice.reason == "the price is inside a valid range of 96 h, and every check passed"
    assert [other.action for other in advice.alternatives] == [Action.NO_SETUP]


def test_a_confidence_in_the_band_gives_a_smaller_grid_on_trial():
    """Under its own id: a grid's kind stands in its file and never changes."""
    in_band = policy(analysis(confidence=Confidence(0.7, {})), costs=CHEAP)
    advice = setup_of(inputs(grids=(STOPPED,), before=PASSED), in_band)
    assert advice.action is Action.CREATE_PROBATIONARY_GRID
    assert advice.grid_id == "eth-usdt-2"
    assert advice.grid_version is None
    assert "on trial" in advice.reason
    normal = setup_of(inputs(grids=(STOPPED,), before=PASSED), policy(costs=CHEAP))
    assert advice.proposed is not None
    assert normal.proposed is not None
    assert advice.proposed["investment"] < 0.61 * normal.proposed["investment"]
    again = stopped("eth-usdt-7", kind=GridKind.PROBATIONARY, at=HOUR.plus(-200).opens_at)
    assert setup_of(inputs(grids=(STOPPED, again), before=PASSED), in_band).grid_id == "eth-usdt-7"


@pytest.mark.parametrize(
    ("grids", "expected"),
    [
        ((), "eth-usdt-1"),
        ((stopped("a"),), "a"),
        ((stopped("a", at=HOUR.plus(-9).opens_at), stopped("b", at=HOUR.plus(-8).opens_at)), "b"),
        ((stopped("b", at=HOUR.plus(-9).opens_at), stopped("a", at=HOUR.plus(-9).opens_at)), "b"),
        ((stopped("new", at=None),), "new"),
        ((stopped("new", at=None), stopped("old")), "old"),
        ((replace(OTHER, grid_id="eth-usdt-1"),), "eth-usdt-2"),
        ((replace(OTHER, grid_id="eth-usdt-1"), replace(OTHER, grid_id="eth-usdt-2")), "eth-usdt-3"),
    ],
)
def test_a_setup_is_for_the_last_stopped_grid_else_for_a_new_one(grids, expected):
    """An id is never given twice in a repository; one that never ran is taken before a new one is made."""
    assert setup_of(inputs(grids=grids), policy(trending())).grid_id == expected


def gates_record(before: Any, **changes: Any) -> Any:
    """Return the record with the last gate changed."""
    ((grid_id, entry),) = before.gates.items()
    gates = [*entry["gates"][:2], {**entry["gates"][2], **changes}]
    return replace(before, gates={grid_id: {**entry, "gates": gates}})


@unhurried
@given(st.integers(1, 14), st.sampled_from([None, "adx", "half_life", "expansion"]))
def test_property_64_a_setup_is_blocked_by_its_gates_exactly_while_one_has_not_passed(hours: int, spoiler):
    """After any number of hours since the stop, whatever holds in them."""
    found = ANALYSIS if spoiler is None else analysis(metrics=metric(spoiler, 99.0))
    grid = stopped(at=HOUR.plus(-hours).opens_at + timedelta(minutes=5))
    rules = policy(found, advice=quiet())
    evaluation = evaluate(inputs(grids=(grid,), before=passed_gates(grid, rules=rules, hours=hours)), rules)
    (check,) = [each for each in advice_of(evaluation).checks if each.name == "gates"]
    gates = evaluation.gates[grid.grid_id].gates
    assert check.passed is all(gate.status == "PASSED" for gate in gates)
    assert check.passed is (spoiler is None and hours >= 9)


def test_the_turnover_is_asked_for_the_grid_that_was_stopped():
    """Its four levels of 150, two hundred times."""
    details = PASSED.gates["eth-usdt-1"]["gates"][2]["details"]
    assert {each["name"]: each["threshold"] for each in details}["turnover_24h"] == 120_000.0


def test_a_stopped_grid_without_gates_is_never_set_up():
    """Should they be missing, they have not passed."""
    given_, rules = inputs(grids=(STOPPED,), before=PASSED), policy()
    offer = offer_of(given_, ANALYSIS, rules, since=STOPPED.stopped_at, version=2)
    assert setup(given_, ANALYSIS, None, offer, evaluate(given_, rules).gates, rules).action.creates
    advice = setup(given_, ANALYSIS, None, offer, {}, rules)
    assert advice.action is Action.NO_SETUP
    assert advice.reason == "the gates could not be evaluated"


def test_advice_is_over_at_its_expiry():
    """At the instant itself; advice about a running grid has none."""
    advice = setup_of(inputs())
    assert advice.expires_at is not None
    for second, over in ((-1, False), (0, True), (1, True)):
        assert advice.is_expired(advice.expires_at + timedelta(seconds=second)) is over
    assert replace(advice, expires_at=None).is_expired(HOUR.closes_at) is False


def gates_check(before: Any, found: RegimeAnalysis = ANALYSIS) -> str:
    advice = setup_of(inputs(grids=(STOPPED,), before=before), policy(found))
    return next(check.reason for check in advice.checks if check.name == "gates")


def test_a_gate_that_blocks_says_what_it_waits_for():
    """Value and threshold of what does not hold, the hours that are missing, or what began all anew."""
    gate = "gate tradable_volatility is"
    began = gates_record(PASSED, status="FAILED", streak=0, passed_at=None, reason="streak", details=[])
    assert gates_check(began) == f"{gate} FAILED: its conditions have held for 1 h, not long enough yet"
    wild = analysis(diagnostics=known(atr_ratio=1.5, turnover_24h=None))
    assert gates_check(began, wild) == (
        f"{gate} FAILED: atr ratio high 1.5 is 0.25 off 1.25; turnover 24h is not known"
    )
    endless = analysis(
        metrics={
            **ANALYSIS.metrics,
            "half_life": replace(ANALYSIS.metrics["half_life"], value=None, reason="no mean reversion"),
        }
    )
    second = replace(
        PASSED,
        gates={
            "eth-usdt-1": {
                **PASSED.gates["eth-usdt-1"],
                "gates": [
                    PASSED.gates["eth-usdt-1"]["gates"][0],
                    *(
                        {**each, "status": "NOT_EVALUATED", "streak": 0, "passed_at": None, "details": []}
                        for each in PASSED.gates["eth-usdt-1"]["gates"][1:]
                    ),
                ],
            }
        },
    )
    assert "mean_reversion_return is FAILED: half life no mean reversion" in gates_check(second, endless)
    assert gates_check(PASSED, trending()) == (
        "gate directional_energy_decay is NOT_EVALUATED: all gates begin anew after trend"
    )
    assert gates_check(None) == (
        "gate directional_energy_decay is NOT_EVALUATED: it is judged from the next hour on"
    )


@pytest.mark.parametrize("rested", [True, False])
@pytest.mark.parametrize("passed", [True, False])
def test_property_70_cooldown_and_gates_must_both_be_over(rested: bool, passed: bool):
    """Neither makes up for the other."""
    past = () if rested else (declined(),)
    advice = setup_of(inputs(grids=(STOPPED,), before=PASSED if passed else None, past=past))
    outcomes = checks_of(advice)
    assert outcomes["cooldown"] == [rested]
    assert outcomes["gates"] == [passed]
    assert advice.action.creates is (rested and passed)


def test_a_cooldown_says_until_when_and_why():
    """The longest one of the market's grids counts."""
    grid = stopped(at=HOUR.closes_at - timedelta(minutes=10))
    advice = setup_of(inputs(grids=(grid,), past=(declined(30),)))
    (check,) = [each for each in advice.checks if each.name == "cooldown"]
    assert check.reason == (
        "resting until 2026-02-02 16:30 UTC: setup 2026-02-02/dec-ETH-USDT-140000 was declined"
    )
    assert (check.value, check.threshold, check.distance) == (90.0, 0.0, -90.0)
    only = setup_of(inputs(grids=(grid,)))
    (check,) = [each for each in only.checks if each.name == "cooldown"]
    assert check.reason == (
        "resting until 2026-02-02 15:50 UTC: grid eth-usdt-1 was stopped at 2026-02-02 14:50"
    )
    other = setup_of(inputs(grids=(grid,), past=(declined(30, "eth-usdt-2"),)))
    (check,) = [each for each in other.checks if each.name == "cooldown"]
    assert check.value == 90.0
    early = stopped(at=HOUR.closes_at - timedelta(minutes=10, milliseconds=50))
    (check,) = [each for each in setup_of(inputs(grids=(early,))).checks if each.name == "cooldown"]
    assert (check.value, check.distance) == (49.999, -49.999)  # minutes, to a thousandth
    (check,) = [each for each in setup_of(inputs()).checks if each.name == "cooldown"]
    assert (check.value, check.threshold, check.distance) == (0.0, 0.0, 0.0)
    assert check.reason == "no rest is due"


def with_history(given_: HourInputs, hours: Bars) -> HourInputs:
    return replace(given_, window=replace(given_.window, bars={Timeframe.H1: hours}))


@unhurried
@given(st.integers(24, 160), st.integers(0, 2**32), st.integers(-120, 120))
def test_property_71_fresh_parameters_come_from_bars_after_the_stop_only(ago: int, seed: int, shift: int):
    """Whatever the bars before the stop were, the proposal and its range are the same."""
    grid = stopped(at=HOUR.plus(1 - ago).opens_at)
    given_ = inputs(grids=(grid,))
    hours = given_.window.bars[Timeframe.H1]
    before = len(hours) - ago
    noise = np.random.default_rng(seed).integers(-100, 100, before) * 100 + shift * 100
    early = [column.copy() for column in hours.columns()]
    for column in early[1:5]:
        column[:before] += noise
    early[2][:before] += 30_000
    early[3][:before] -= 30_000
    other = with_history(given_, Bars(Timeframe.H1, *early))
    first, second = setup_of(given_), setup_of(other)
    assert first.checks == second.checks
    assert first.proposed == second.proposed
    assert first.proposed is not None


@pytest.mark.parametrize(("ago", "late_s", "bars"), [(24, 0, 24), (24, 1, 23), (23, 0, 23), (25, 1, 24)])
def test_bounds_are_drawn_from_24_bars_after_the_stop_on(ago: int, late_s: int, bars: int):
    """A bar that opened before the stop is not one of them."""
    grid = stopped(at=HOUR.plus(1 - ago).opens_at + timedelta(seconds=late_s))
    advice = setup_of(inputs(grids=(grid,)))
    enough = bars >= 24
    assert (advice.proposed is not None) is enough
    (check,) = [each for each in advice.checks if each.name == "parameters"]
    if not enough:
        assert check.reason == f"bars since the stop: {bars} h, needs at least 24 h"
        assert (check.value, check.threshold, check.distance) == (bars, 24.0, bars - 24.0)


def test_bars_since_the_stop_without_a_valid_range_make_no_grid():
    """The grid would stand on the new range, so that one has to be valid, not only the market's."""
    given_ = inputs(grids=(STOPPED,), before=PASSED)
    hours = given_.window.bars[Timeframe.H1]
    flat = [column.copy() for column in hours.columns()]
    for column in flat[1:5]:
        column[-101:] = 200_000
    advice = setup_of(with_history(given_, Bars(Timeframe.H1, *flat)))
    assert advice.action is Action.NO_SETUP
    (check,) = [each for each in advice.checks if each.name == "parameters"]
    assert check.reason == "the 101 h since the stop make no valid range yet"
    assert check.passed is False
    first = setup_of(inputs(), policy(analysis(range=INVALID)))  # no stop: the market's range is asked alone
    assert checks_of(first)["verdict"] == [True, False, True]
    assert checks_of(first)["parameters"] == [True]


def test_without_an_atr_no_range_is_drawn_and_nothing_is_set_up():
    """Bars enough since the stop are not a range."""
    advice = setup_of(inputs(grids=(STOPPED,), before=PASSED), policy(analysis(atr=None)))
    assert advice.action is Action.NO_SETUP
    (check,) = [each for each in advice.checks if each.name == "parameters"]
    assert check.passed is False
    assert "not known" in check.reason
    assert checks_of(advice)["exit_state"] == [None]
    assert checks_of(advice)["confidence"] == [None]
    flat = setup_of(inputs(grids=(STOPPED,), before=PASSED), policy(analysis(atr=0.0)))
    assert flat.action is Action.NO_SETUP
    assert flat.proposed is None
    first = setup_of(inputs(), policy(analysis(atr=None)))  # no stop, but no ATR either
    assert first.reason == "probability that such bounds hold for 24 h: not known, needs at least 0.5"


@unhurried
@given(st.sampled_from(["lower", "upper", "levels", None]), st.integers(1, 9), st.integers(1, 400))
def test_property_72_a_proposal_equal_to_the_stopped_configuration_is_refused(field, cents, amount):
    """Bounds, levels and spacing make it the same; the amount does not make it another."""
    proposed = setup_of(inputs(grids=(STOPPED,), before=PASSED)).proposed
    assert proposed is not None
    facts: dict[str, Any] = {
        "lower": Decimal(repr(proposed["lower"])),
        "upper": Decimal(repr(proposed["upper"])),
        "levels": proposed["levels"],
        "amount_per_grid": Decimal(amount),
    }
    if field == "levels":
        facts["levels"] += 1
    elif field is not None:
        facts[field] += Decimal(cents) / 100
    advice = setup_of(inputs(grids=(stopped(**facts),), before=PASSED))
    if field is None:
        assert advice.action is Action.NO_SETUP
        assert advice.reason == "the proposal is the grid that was stopped"
    else:
        assert advice.action is Action.CREATE_GRID


def test_balances_decide_about_capital_where_keys_give_them():
    """No more than the exchange holds free, less the reserve; the check says whose figure it is."""
    poor = evaluate(inputs(funds=Funds(Decimal(100), Decimal(100))), policy())
    assert advice_of(poor).action is Action.NO_SETUP
    assert advice_of(poor).reason == "the reserve leaves nothing to deploy"
    for total, words in (
        (500, "400.00 may be used of the balances on the exchange, 100.00 stay in reserve"),
        (50_000, "800.00 may be used, 200.00 stay in reserve"),
    ):
        advice = advice_of(evaluate(inputs(funds=Funds(Decimal(total), Decimal(0))), policy()))
        (told,) = [check for check in advice.checks if check.name == "capital"]
        assert told.reason == words


def test_capital_bound_elsewhere_is_the_reason_and_not_what_follows_from_it():
    """Without an amount there is no proposal, but bounds and gates are judged all the same."""
    advice = setup_of(inputs(grids=(STOPPED, OTHER), before=PASSED))
    assert advice.reason == "sol-usdt-1 already run, at most 1 may"
    assert checks_of(advice)["exit_state"] == [True]
    assert advice.proposed is None
    assert advice.comparison is None
    (check,) = [each for each in setup_of(inputs()).checks if each.name == "capital"]
    assert (check.value, check.threshold, check.distance) == (800.0, 0.0, 800.0)
    none_left = policy(capital=CapitalConfig(total_quote=0.0))
    assert setup_of(inputs(), none_left).reason == "the reserve leaves nothing to deploy"


def test_a_spacing_that_its_costs_eat_leaves_no_confidence():
    """Below three round trips a setup is invalid, and the numbers say so."""
    narrow = EconomicsConfig(fewest_levels=20, most_levels=20)
    advice = setup_of(inputs(), policy(economics=narrow))
    assert advice.action is Action.NO_SETUP
    assert advice.confidence.value is None
    assert advice.confidence.factors == {"market": 0.86}
    (check,) = [each for each in advice.checks if each.name == "confidence"]
    assert check.passed is False
    assert check.reason == ("so narrow a spacing leaves no confidence: 0.501671471 %, needs at least 0.78 %")
    assert check.threshold == 0.78  # three times 26 bps, percent
    assert check.distance is not None
    assert check.distance < 0


def test_an_edge_that_is_not_measured_blocks_only_where_it_is_required():
    """Without a calibration nothing is known of it; where it is not required it is told all the same."""
    relaxed = policy(economics=EconomicsConfig(require_positive_edge=False))
    unmeasured = inputs(calibration=None)
    assert setup_of(unmeasured).reason == "the edge after fees is not yet measurable"
    advice = setup_of(unmeasured, relaxed)
    assert advice.action is Action.CREATE_GRID
    assert advice.expected is None
    assert checks_of(advice)["edge"] == [None]
    assert setup_of(inputs(calibration=calibration(low=-5.0)), relaxed).action is Action.CREATE_GRID
    least = setup_of(inputs(calibration=calibration(low=0.01)))
    assert least.action is Action.CREATE_GRID
    assert (least.checks[-1].value, least.checks[-1].threshold) == (0.01, 0.0)
    losing = setup_of(inputs(calibration=calibration(low=0.0)))
    assert losing.reason == (
        "no edge after fees: expected +9 bps in 24 h [+0, +16] at 10 bps maker;"
        " break-even near 14 bps; the low end has to be above 0"
    )
    rare = replace(calibration(), edge_by_band=(replace(calibration().edge_by_band[0], p_high=0.86),))
    assert setup_of(inputs(calibration=rare)).reason == "the edge after fees is not yet measurable"
    plain = replace(
        calibration(), edge_by_band=(replace(calibration().edge_by_band[0], break_even_bps=None),)
    )
    assert setup_of(inputs(calibration=plain)).checks[-1].reason.endswith("at 10 bps maker")


def test_an_hour_without_data_is_no_setup_with_its_reason():
    """Every hour leaves a record of what was decided, "not enough data" included."""
    advice = setup_of(no_data())
    assert advice.action is Action.NO_SETUP
    assert advice.reason == "none of the hour's 60 minutes could be had"
    assert {name: checks_of(advice)[name] for name in ("data", "verdict", "exit_state", "confidence")} == {
        "data": [False],
        "verdict": [False],
        "exit_state": [None],
        "confidence": [None],
    }
    assert advice.confidence.value is None
    assert advice.proposed is None


def test_a_setup_without_an_analyser_that_differs_is_the_same():
    """The fake engine's default is the calm hour."""
    assert setup_of(inputs(), policy(engine=FakeAnalyser())) == setup_of(inputs())
    assert parameters(levels=5).levels == 5
    assert setup_of(inputs()).key == KEY
