"""A running grid hour after hour: its position, its exits, its trial, and what it is advised."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decisions.actions import ActionTaken, Answer
from decisions.evaluate import Evaluation, evaluate
from decisions.inputs import HourInputs, MarketCosts
from decisions.recommendation import Action, Kind, Recommendation
from decisions.timers import PastAdvice
from exits.config import ExitsConfig
from exits.states import ExitState
from grid.capital import CapitalConfig, Funds
from grid.economics import TradingRules
from grid.parameters import GridKind
from grid.probation import ProbationConfig
from market.candles import no_bars
from market.costs import LIQUIDITY_BY_TIER, Fees
from market.hours import Timeframe
from regime.analysis import Confidence, RegimeAnalysis, Verdict
from regime.config import RegimeConfig
from tests.decisions.builders import (
    ANALYSIS,
    CHEAP,
    HOUR,
    KEY,
    SCALE,
    FakeAnalyser,
    advice_of,
    analysis,
    followed,
    inputs,
    policy,
    recorded,
    running,
    trending,
    unjudged,
)

unhurried = settings(deadline=None)
START = HOUR.plus(-5)
GRID = running(since=START.opens_at)
TRIAL = running(since=START.opens_at, kind=GridKind.PROBATIONARY)
LIKELY, DOUBTFUL, UNLIKELY = 0.004, 0.012, 0.03


def managed(
    found: RegimeAnalysis = ANALYSIS,
    grid: Any = GRID,
    hours: int = 1,
    rules: dict[str, Any] | None = None,
    **facts: Any,
) -> Recommendation:
    """Return the advice after some hours of the same kind."""
    given_ = [inputs(START.plus(at), grids=(grid,), **facts) for at in range(hours)]
    return advice_of(followed(given_, policy(found, **(rules or {})))[-1])


# --- the choice ---


def test_a_calm_grid_goes_on():
    """The confidence is the calibrated probability on its own bounds times what its spacing leaves."""
    advice = managed()
    assert (advice.kind, advice.action, advice.exit_state) == (Kind.MANAGE, Action.CONTINUE, "NORMAL")
    assert advice.reason == "the exit state is NORMAL: nothing asks for an end"
    holds = advice.confidence.factors["holds"]
    assert advice.confidence.value == round(holds * advice.confidence.factors["spacing"], 6)
    assert advice.proposed is None
    assert advice.expires_at is None
    assert advice.grid_version == 1
    assert [(a.action, a.reason) for a in advice.alternatives] == [
        (Action.STOP_GRID, "the exit state NORMAL does not ask for it"),
        (Action.ADJUST, "the centre of the range has moved by 0 x spacing, needs more than 1 x spacing"),
    ]


@pytest.mark.parametrize(
    ("preset", "sigma", "state", "action"),
    [
        ("evidence", LIKELY, "NORMAL", Action.CONTINUE),
        ("evidence", DOUBTFUL, "WARNING", Action.CONTINUE),
        ("evidence", UNLIKELY, "LATEST_ACCEPTABLE_EXIT", Action.STOP_GRID),
        ("conservative", UNLIKELY, "LATEST_ACCEPTABLE_EXIT", Action.STOP_GRID),
        ("aggressive", UNLIKELY, "LATEST_ACCEPTABLE_EXIT", Action.CONTINUE),
        ("classic", UNLIKELY, "NORMAL", Action.CONTINUE),
    ],
)
def test_the_exit_state_decides_by_the_preset(preset, sigma, state, action):
    """LATEST_ACCEPTABLE_EXIT stops in evidence and conservative, and is a notice in aggressive."""
    exits = {"exits": ExitsConfig(preset=preset)}
    advice = managed(analysis(hourly_sigma=sigma), rules=exits)
    assert (advice.exit_state, advice.action) == (state, action)
    if state == "WARNING":
        assert advice.reason.startswith("WARNING: probability that the grid's bounds hold for 24 h: 0.4")
        assert advice.reason.endswith(", below 0.5; stay ready to stop")
    if action is Action.STOP_GRID:
        assert advice.confidence.value is not None
        assert advice.confidence.factors == {"ends": advice.confidence.value}
        assert [a.action for a in advice.alternatives] == [Action.CONTINUE]


def test_classic_stops_on_trend_alone():
    """The other presets do not."""
    trend_1h = replace(trending(), verdict_4h=Verdict.RANGE_OK)
    for preset in ("evidence", "conservative", "aggressive"):
        assert managed(trend_1h, rules={"exits": ExitsConfig(preset=preset)}).action is Action.CONTINUE
    advice = managed(trend_1h, rules={"exits": ExitsConfig(preset="classic")})
    assert advice.action is Action.STOP_GRID
    assert advice.reason == "the verdict is TREND"
    assert advice.exit_state == "NORMAL"


def test_a_state_that_is_only_held_says_so():
    """After the cause is gone, clean hours are counted."""
    doubtful = analysis(hourly_sigma=DOUBTFUL)
    engine = FakeAnalyser(ANALYSIS, {START: doubtful})
    given_ = [inputs(START.plus(at), grids=(GRID,)) for at in range(4)]
    found = [advice_of(each) for each in followed(given_, policy(engine=engine))]
    assert [each.exit_state for each in found] == ["WARNING", "WARNING", "WARNING", "NORMAL"]
    assert found[1].reason == ("WARNING: held until 3 bars in a row are clean, 1 so far; stay ready to stop")
    assert found[1].checks[0].reason.startswith("WARNING: held until")
    assert found[1].checks[0].passed is False


def test_a_confidence_that_fell_is_told_louder():
    """Below .60, or by .20 within six bars."""
    low = managed(analysis(hourly_sigma=UNLIKELY))
    assert low.told_higher is not None
    assert low.told_higher.startswith("confidence: 0.")
    assert low.told_higher.endswith(", below 0.6")
    assert managed().told_higher is None
    engine = FakeAnalyser(ANALYSIS, {START: analysis(hourly_sigma=0.0005)})
    fallen = followed(
        [inputs(START.plus(at), grids=(GRID,)) for at in range(2)],
        policy(engine=replace(engine, always=analysis(hourly_sigma=0.009))),
    )
    told = advice_of(fallen[-1]).told_higher
    assert told is not None
    assert told.startswith("fall of the confidence within 6 bars: 0.2")
    both = replace(engine, always=analysis(hourly_sigma=UNLIKELY))
    told = advice_of(
        followed([inputs(START.plus(at), grids=(GRID,)) for at in range(2)], policy(engine=both))[-1]
    ).told_higher
    assert told is not None
    assert told.startswith("confidence: 0.")  # of the two, the one that says where it stands


def test_classic_states_its_c():
    """Where classic is the model and the preset, C takes the probability's place."""
    classic = analysis(score_model="classic", confidence=Confidence(0.7, {}))
    engine = FakeAnalyser(classic, config=RegimeConfig(score_model="classic"))
    advice = managed(classic, rules={"engine": engine, "exits": ExitsConfig(preset="classic")})
    assert advice.confidence.factors["holds"] == 0.7
    beside = managed(rules={"exits": ExitsConfig(preset="classic")})  # no C in this model
    assert beside.confidence.factors["holds"] > 0.9


@pytest.mark.parametrize("first", [0.9, None])
def test_classic_states_the_c_of_the_hour_and_of_no_other(first: float | None):
    """Not that of the grid's first hour, which may not even have been judged."""
    classic = analysis(score_model="classic", confidence=Confidence(0.7, {}))
    engine = FakeAnalyser(
        classic,
        {START: replace(classic, confidence=Confidence(first or 0.0, {}))},
        RegimeConfig(score_model="classic"),
    )
    begun = (unjudged if first is None else inputs)(START, grids=(GRID,))
    rules = policy(engine=engine, exits=ExitsConfig(preset="classic"))
    found = followed([begun, inputs(START.plus(1), grids=(GRID,))], rules)
    assert advice_of(found[-1]).confidence.factors["holds"] == 0.7


def test_a_spacing_too_narrow_for_any_setup_costs_the_most_confidence():
    """A grid that runs is not invalid, only poor."""
    advice = managed(grid=running(since=START.opens_at, levels=40, amount_per_grid=Decimal(15)))
    assert advice.confidence.factors["spacing"] == 0.7
    assert advice.confidence.value == round(0.7 * advice.confidence.factors["holds"], 6)


def test_every_acting_trigger_that_ends_the_grid_is_a_check():
    """With value, threshold and distance; in aggressive the late exit is none of them."""

    def reasons(preset: str) -> list[str]:
        advice = managed(rules={"exits": ExitsConfig(preset=preset)})
        return [c.reason.split(":")[0] for c in advice.checks[1:] if c.name == "exit_state"]

    mandatory = [
        "closes outside the bounds in a row",
        "close beyond the bounds in ATR",
        "close above the stop-loss in ATR",
    ]
    assert reasons("aggressive") == mandatory
    assert reasons("evidence") == [*mandatory, "probability that the grid's bounds hold for 24 h"]
    unknown = managed(analysis(atr=None, hourly_sigma=None))
    assert [c.passed for c in unknown.checks[1:5]] == [True, None, None, None]


# --- moving it ---


shifts = st.integers(-995, 995).map(lambda tenths: tenths / 10)


@unhurried
@given(
    shifts,
    st.sampled_from(list(Verdict)),
    st.booleans(),
    st.sampled_from([LIKELY, DOUBTFUL, UNLIKELY]),
    st.sampled_from(["evidence", "aggressive"]),
)
def test_property_53_a_move_is_advised_only_beyond_one_spacing_and_in_a_range(
    shift, verdict, valid, sigma, preset
):
    """The grid's cells are 50 wide: exactly one spacing is not enough; an exit comes before a move."""
    drawn = replace(ANALYSIS.range, lower=1900.0 + shift, upper=2100.0 + shift, valid=valid)
    found = analysis(verdict=verdict, range=drawn, hourly_sigma=sigma)
    advice = managed(found, rules={"exits": ExitsConfig(preset=preset)})
    late = advice.exit_state == ExitState.LATEST_ACCEPTABLE_EXIT
    wandered = abs(shift) > 50 and verdict.is_range and valid
    assert (advice.action is Action.ADJUST) is (wandered and not late)
    if advice.action is Action.ADJUST:
        assert advice.proposed is not None
        assert advice.proposed["lower"] == drawn.lower
        assert advice.proposed["version"] == 2
        assert advice.reason == (
            f"the centre of the range has moved by {abs(shift) / 50:.9g} x spacing,"
            " needs more than 1 x spacing"
        )
    else:
        assert advice.proposed is None
        assert advice.action is (Action.STOP_GRID if late and preset == "evidence" else Action.CONTINUE)


SHIFTED = replace(ANALYSIS.range, lower=1960.0, upper=2160.0)


def test_a_move_has_what_the_grid_itself_binds_whatever_else_the_account_holds():
    """Its own coin and cash are there once more when it has been stopped; nothing of others' is taken."""
    wanders = analysis(range=SHIFTED)
    plain = managed(wanders)
    assert plain.proposed is not None
    for free in (50_000, 1_000, 0):
        moved = managed(wanders, funds=Funds(Decimal(free), Decimal(0)))
        assert moved.action is Action.ADJUST
        assert moved.proposed is not None
        bound = min(Decimal(free) + GRID.parameters.amount_per_grid * GRID.parameters.levels, Decimal(1000))
        assert moved.proposed["investment"] <= float(bound) * 0.8
        if bound == 1000:
            assert moved.proposed == plain.proposed


def test_a_move_makes_a_grid_of_the_same_kind_only():
    """A trial does not become a whole grid by being moved, nor a whole grid a trial."""
    wanders = analysis(range=SHIFTED)
    whole = managed(wanders)
    assert whole.action is Action.ADJUST
    assert whole.checks[-1].reason == "the new bounds make a grid"
    advice = managed(wanders, grid=TRIAL)
    assert advice.action is Action.CONTINUE
    assert advice.checks[-1].reason == "the new bounds make a normal grid, which this one is not"
    cheap = {"costs": CHEAP}
    in_band = analysis(range=SHIFTED, confidence=Confidence(0.7, {}))
    assert managed(in_band, rules=cheap).action is Action.CONTINUE
    assert managed(in_band, grid=TRIAL, rules=cheap).action is Action.ADJUST


def test_a_move_is_the_next_version_and_says_how_far():
    """Also while the exits warn: only beyond WARNING a grid ends or is left where it is."""
    for sigma, state in ((LIKELY, "NORMAL"), (DOUBTFUL, "WARNING")):
        advice = managed(analysis(range=SHIFTED, hourly_sigma=sigma))
        assert (advice.exit_state, advice.action) == (state, Action.ADJUST)
        assert advice.proposed is not None
        assert (advice.proposed["lower"], advice.proposed["version"]) == (1960.0, 2)
        assert advice.reason == (
            "the centre of the range has moved by 1.2 x spacing, needs more than 1 x spacing"
        )
        assert [check.reason for check in advice.checks[-2:]] == [
            "the verdict is RANGE_OK on a range that is valid",
            "the new bounds make a grid",
        ]
    left = managed(analysis(range=replace(SHIFTED, valid=False)))
    assert left.alternatives[-1].reason == "the verdict is RANGE_OK on a range that is not valid"
    late = managed(
        analysis(range=SHIFTED, hourly_sigma=UNLIKELY), rules={"exits": ExitsConfig(preset="aggressive")}
    )
    assert (late.exit_state, late.action) == ("LATEST_ACCEPTABLE_EXIT", Action.CONTINUE)


def test_a_move_needs_bounds_that_make_a_grid():
    """Worth their fees, in the capital that the grid itself has."""
    tight = analysis(range=replace(SHIFTED, lower=1999.0, upper=2160.0), price=2000.0)
    assert managed(tight).action is Action.ADJUST
    poor = {"costs": {KEY: MarketCosts(Fees(maker_bps=60, taker_bps=60), LIQUIDITY_BY_TIER["thin"])}}
    advice = managed(analysis(range=SHIFTED), rules=poor)
    assert advice.action is Action.CONTINUE
    assert advice.checks[-1].reason == "the new bounds make no grid worth its fees"
    large = TradingRules(Decimal("0.01"), Decimal("0.0001"), min_funds=Decimal(500))
    small = advice_of(
        evaluate(inputs(START, grids=(GRID,), rules=large), policy(analysis(range=SHIFTED)))
    )  # wide enough, but its orders are too small for the exchange
    assert small.action is Action.CONTINUE
    assert small.checks[-1].reason == "the new bounds make no grid worth its fees"
    broke = managed(analysis(range=SHIFTED), rules={"capital": CapitalConfig(total_quote=0.0)})
    assert broke.action is Action.CONTINUE
    assert broke.comparison is not None
    assert broke.comparison["proposed"] is None
    assert all(check.name == "exit_state" for check in broke.checks)


# --- position ---


def value_of(found: Evaluation, grid_id: str = "eth-usdt-1") -> dict[str, Any]:
    return found.exits_value()[grid_id]


def test_a_grids_position_is_simulated_on_its_minutes():
    """From its own start, at the costs in force, marked as simulated."""
    swings = (2000.0, 1930.0, 2070.0, 1930.0, 2000.0)
    first, second = followed(
        [inputs(START.plus(at), grids=(GRID,), prices=swings) for at in range(2)], policy()
    )
    position = value_of(second)["position"]
    assert position["figures"]["source"] == "simulated"
    assert position["figures"]["cycles"] > value_of(first)["position"]["figures"]["cycles"] > 0
    assert position["state"]["bars"] == 120
    assert position["since"] == "2026-02-02T09:00:00Z"
    assert value_of(second)["risk"]["capital_at_risk"] > 0


def test_a_grid_that_starts_within_the_hour_starts_at_the_price_before_its_first_minute():
    """Minutes before the start give the price and nothing else."""
    late = running(since=START.opens_at + timedelta(minutes=29, seconds=30))
    given_ = inputs(START, grids=(late,), prices=(1990.0, 2010.0))
    position = value_of(evaluate(given_, policy()))["position"]
    assert position["state"]["bars"] == 30
    assert position["terms"]["start_price"] == 199_000
    assert position["since"] == "2026-02-02T09:29:30Z"
    turning = running(since=START.opens_at + timedelta(minutes=15, seconds=30))
    given_ = inputs(START, grids=(turning,), prices=(1980.0, 1990.0, 2010.0, 2020.0))
    position = value_of(evaluate(given_, policy()))["position"]
    assert position["terms"]["start_price"] == 199_000  # of the minute before, not of those before that
    early = value_of(evaluate(inputs(START, grids=(GRID,), prices=(1990.0,)), policy()))["position"]
    before = inputs(START).window.bars[Timeframe.H1].close[-2]
    assert early["terms"]["start_price"] == before


def first_hour_only(given_: HourInputs) -> HourInputs:
    """Return inputs whose window knows nothing before the hour."""
    hours = given_.window.bars[Timeframe.H1]
    return replace(
        given_, window=replace(given_.window, bars={Timeframe.H1: hours.rows(len(hours) - 1, len(hours))})
    )


def test_without_a_price_at_its_start_a_grid_has_no_position_and_says_why():
    """An open serves where nothing is known before; without bars there is none."""
    given_ = first_hour_only(inputs(START, grids=(GRID,), prices=(1990.0, 2010.0)))
    assert value_of(evaluate(given_, policy()))["position"]["terms"]["start_price"] == 199_000
    hour_alone = replace(given_, minutes=no_bars(Timeframe.M1))
    opened = int(hour_alone.window.bars[Timeframe.H1].open[0])
    assert value_of(evaluate(hour_alone, policy()))["position"]["terms"]["start_price"] == opened
    nothing = replace(
        given_,
        minutes=no_bars(Timeframe.M1),
        window=replace(given_.window, bars={Timeframe.H1: no_bars(Timeframe.H1)}),
        has_bar=False,
    )
    found = value_of(evaluate(nothing, policy()))
    assert (found["position"], found["trouble"]) == (None, "the price at the grid's start is not known")
    assert found["risk"] is None
    unruled = value_of(evaluate(inputs(START, grids=(GRID,), rules=None), policy()))
    assert unruled["trouble"] == "the market's increments are not known in this hour"


def test_a_grid_that_cannot_be_simulated_says_why_and_is_judged_all_the_same():
    """A price off the market's increment is the operator's to mend; exits need no position."""
    odd = running(since=START.opens_at, lower=Decimal("1900.005"))
    found = evaluate(inputs(START, grids=(odd,)), policy())
    assert "1900.005" in value_of(found)["trouble"]
    assert advice_of(found).action is Action.CONTINUE


def test_what_a_position_holds_is_told_in_coin_and_quote():
    """The coin of the cells above, a buy of its amount at each level below, and no peak before a profit."""
    (found,) = evaluate(inputs(START, grids=(GRID,), prices=(2000.0, 1960.0)), policy()).running
    assert found.simulated is not None
    holding, profit = found.simulated.holding, found.simulated.profit
    assert holding.resting_buys == ((1900.0, 0.0788), (1948.14, 0.0769))  # 150 each
    assert holding.base == 0.1481
    assert profit.current < 0
    assert profit.peak == 0.0


def test_a_new_version_begins_anew_with_the_profit_so_far():
    """An accepted move: bounds of the exits and the position follow, what was earned stays."""
    swings = (2000.0, 1930.0, 2070.0, 1930.0, 2000.0)
    moved = running(
        since=START.opens_at,
        in_force_since=START.closes_at + timedelta(minutes=10),
        version=2,
        lower=Decimal(1920),
        upper=Decimal(2120),
        stop_loss=Decimal(1890),
    )
    first, second, third = followed(
        [
            inputs(START, grids=(GRID,), prices=swings),
            inputs(START.plus(1), grids=(moved,), prices=(2000.0,)),
            inputs(START.plus(2), grids=(moved,), prices=(2000.0,)),
        ],
        policy(),
    )
    earned = value_of(first)["position"]["figures"]["net_profit"]
    position = value_of(second)["position"]
    assert position["earlier_profit"] == earned
    assert position["state"]["bars"] == 50
    assert position["since"] == "2026-02-02T10:10:00Z"
    assert value_of(second)["fold"]["lower"] == 1920.0
    figures, risk = position["figures"], value_of(second)["risk"]
    open_ = (
        figures["net_profit"] - figures["grid_profit"] + figures["fees"]
    )  # what was earned before is closed
    assert earned != 0
    assert risk["unrealised_pnl"] == pytest.approx(open_, abs=1e-5)
    assert value_of(second)["started_at"] == "2026-02-02T09:00:00Z"
    assert value_of(third)["position"]["earlier_profit"] == earned
    assert value_of(third)["grid_version"] == 2
    simulated = second.running[0].simulated
    assert simulated is not None
    assert simulated.profit.peak == max(simulated.figures.peak_profit + earned, 0.0)
    again = replace(
        moved,
        parameters=replace(moved.parameters, version=3),
        in_force_since=START.plus(2).closes_at + timedelta(minutes=10),
    )
    told = recorded(third)
    fourth = evaluate(inputs(START.plus(3), grids=(again,), prices=(2000.0,), before=told), policy())
    before = value_of(third)["position"]
    assert before["figures"]["net_profit"] != 0
    assert value_of(fourth)["position"]["earlier_profit"] == pytest.approx(
        before["figures"]["net_profit"] + earned
    )


def finer(given_: HourInputs, factor: int) -> HourInputs:
    """Return inputs in a price scale that is finer."""
    return replace(
        given_,
        minutes=given_.minutes.rescaled(factor, 1),
        window=replace(
            given_.window,
            price_scale=SCALE * factor,
            bars={Timeframe.H1: given_.window.bars[Timeframe.H1].rescaled(factor, 1)},
        ),
    )


@pytest.mark.parametrize("factors", [(1, 10, 10), (10, 10, 1), (1, 10, 1)])
def test_a_finer_price_scale_changes_no_figure(factors):
    """But for the rounding of fees; a window's scale grows with its files and shrinks as they leave."""
    swings = (2000.0, 1930.0, 2070.0, 1930.0, 2000.0)
    plain = [inputs(START.plus(at), grids=(GRID,), prices=swings) for at in range(3)]
    scaled = [finer(each, factor) for each, factor in zip(plain, factors, strict=True)]
    expected, found = followed(plain, policy())[-1], followed(scaled, policy())[-1]
    for part in (lambda value: value["position"]["figures"], lambda value: value["risk"]):
        ours, plainly = part(value_of(found)), part(value_of(expected))
        assert ours.keys() == plainly.keys()
        for name in ours.keys() - {"source", "stop_reason"}:
            assert ours[name] == pytest.approx(plainly[name], rel=1e-6, abs=1e-5)


def test_a_stop_loss_that_the_simulation_reached_is_a_stop():
    """The exchange has probably sold by now; the operator looks."""
    found = evaluate(inputs(START, grids=(GRID,), prices=(2000.0, 1860.0, 2000.0)), policy())
    advice = advice_of(found)
    assert advice.exit_state == "NORMAL"
    assert advice.action is Action.STOP_GRID
    assert advice.reason == (
        "its stop-loss was reached by the simulation; see whether the exchange has closed the grid"
    )
    assert value_of(found)["risk"]["capital_at_risk"] == 0.0


def test_a_grid_without_a_stop_loss_is_followed():
    """Its risk is all that the coin is worth."""
    bare = running(since=START.opens_at, stop_loss=None)
    found = value_of(evaluate(inputs(START, grids=(bare,)), policy()))
    assert found["risk"]["stop_probability"] == 0.0
    assert found["fold"]["stop_loss"] is None


# --- acknowledging ---


def stop_advice(
    *actions: ActionTaken, grid_id: str = "eth-usdt-1", action: Action = Action.STOP_GRID
) -> PastAdvice:
    closes = START.plus(1).closes_at
    return PastAdvice(
        "2026-02-02/dec-ETH-USDT-110000",
        grid_id,
        Kind.MANAGE,
        action,
        None,
        closes,
        closes,
        None,
        None,
        actions,
    )


@pytest.mark.parametrize(
    ("past", "acknowledged"),
    [
        ((), False),
        ((stop_advice(ActionTaken(START.plus(2).opens_at, "o", Answer.DECLINE)),), True),
        ((stop_advice(ActionTaken(START.plus(2).opens_at, "o", Answer.NOTE)),), False),
        ((stop_advice(ActionTaken(START.plus(2).opens_at, "o", Answer.DECLINE), grid_id="x"),), False),
        (
            (  # one from before it was told does not take the newer one's place
                stop_advice(ActionTaken(START.opens_at, "o", Answer.DECLINE)),
                stop_advice(ActionTaken(START.plus(2).opens_at, "o", Answer.DECLINE)),
            ),
            True,
        ),
        (
            (stop_advice(ActionTaken(START.plus(2).opens_at, "o", Answer.DECLINE), action=Action.ADJUST),),
            False,
        ),
    ],
)
def test_a_declined_stop_acknowledges_the_exit(past, acknowledged):
    """I know, and I keep the grid: only a decline of a stop of this grid says that."""
    engine = FakeAnalyser(ANALYSIS, {START.plus(1): analysis(price=2400.0)})
    given_ = [
        inputs(START, grids=(GRID,)),
        inputs(START.plus(1), grids=(GRID,), close=2400.0),
        inputs(START.plus(2), grids=(GRID,), past=past),
    ]
    found = followed(given_, policy(engine=engine))[-1]
    assert value_of(found)["fold"]["acknowledged"] is acknowledged
    assert advice_of(found).action is Action.STOP_GRID


# --- trials ---


@pytest.mark.parametrize(
    ("found", "facts", "hours", "words"),
    [
        (trending(), {}, 1, "verdicts of TREND: 1, needs at most 0"),
        (analysis(hourly_sigma=DOUBTFUL), {}, 2, "hours in WARNING or worse: 2 h, needs less than 2 h"),
        (
            analysis(price=2101.0, hourly_sigma=0.0005),
            {"close": 2101.0},
            1,
            "the close 2101, needs 1900 to 2100",
        ),
        (ANALYSIS, {"prices": (2000.0, 1905.0)}, 1, "loss "),
    ],
)
def test_each_quick_stop_ends_a_trial(found, facts, hours, words):
    """A whole grid goes on under the same hours."""
    advice = managed(found, TRIAL, hours, **facts)
    assert advice.action is Action.STOP_GRID
    assert advice.reason.startswith(f"the trial ends: {words}")
    assert managed(found, GRID, hours, **facts).action is Action.CONTINUE
    assert any(check.blocks and check.reason.startswith(words) for check in advice.checks)


@pytest.mark.parametrize(("age_h", "over"), [(71, False), (72, True), (73, True)])
def test_a_trial_is_over_after_72_hours(age_h: int, over: bool):
    """Counted from its start to the close of the hour."""
    trial = running(since=HOUR.closes_at - timedelta(hours=age_h), kind=GridKind.PROBATIONARY)
    advice = advice_of(evaluate(inputs(grids=(trial,)), policy()))
    assert (advice.action is Action.STOP_GRID) is over
    if over:
        assert advice.reason == f"the trial ends: age {age_h} h, needs less than 72 h"


def test_a_trial_that_goes_on_is_not_said_to_have_passed():
    """Its conditions are asked every hour; before they hold together it is a trial."""
    advice = managed(grid=TRIAL)
    assert advice.action is Action.CONTINUE
    assert advice.reason == "the exit state is NORMAL: nothing asks for an end"


def test_a_close_without_its_minutes_is_the_hours_own():
    """The exits ask the last bar of the window, and none before it."""
    found = evaluate(unjudged(START, close=2400.0, grids=(GRID,)), policy())
    assert value_of(found)["fold"]["closes_outside"] == 1


def trial_of(found: Evaluation) -> dict[str, Any]:
    trial: dict[str, Any] = value_of(found)["trial"]
    return trial


def test_a_trial_is_promoted_by_every_condition_together():
    """24 hours, three cycles, a profit, three sure hours, never warned."""
    swings = (2000.0, 1930.0, 2070.0, 2000.0)
    start = HOUR.plus(-25)
    trial = running(since=start.opens_at, kind=GridKind.PROBATIONARY, levels=8, amount_per_grid=Decimal(75))
    sure = analysis(hourly_sigma=0.001)
    given_ = [inputs(start.plus(at), grids=(trial,), prices=swings) for at in range(24)]
    found = followed(given_, policy(sure))
    promoted = [each.running[0].trial.is_promoted for each in found if each.running[0].trial]
    assert promoted == [False] * 23 + [True]
    assert all(check["passed"] for check in trial_of(found[-1])["promotion"])
    assert advice_of(found[-1]).reason.startswith("the trial has passed every condition")
    assert [each.running[0].kind for each in found] == [GridKind.PROBATIONARY] * 23 + [GridKind.NORMAL]
    dark = evaluate(unjudged(start.plus(23), grids=(trial,), before=recorded(found[22 - 1])), policy(sure))
    assert dark.running[0].trial is not None
    assert dark.running[0].trial.is_promoted is False
    assert trial_of(dark)["expiry"] is None
    assert trial_of(dark)["memory"]["sure_bars"] == 0
    assert advice_of(dark).action is Action.WITHHELD
    assert not [c for c in advice_of(dark).checks if c.reason.startswith("age")]


@pytest.mark.parametrize(
    ("changes", "highest", "action", "words"),
    [
        ({"range": SHIFTED}, 2070.0, Action.ADJUST, "the centre of the range has moved by"),
        ({}, 2120.0, Action.STOP_GRID, "its take-profit was reached by the simulation"),
    ],
)
def test_a_move_or_an_end_in_the_hour_of_a_promotion_says_so_too(changes, highest, action, words):
    """The advice is the more urgent news, but not the only one."""
    start = HOUR.plus(-25)
    trial = running(
        since=start.opens_at,
        kind=GridKind.PROBATIONARY,
        levels=8,
        amount_per_grid=Decimal(75),
        take_profit=Decimal(2110),
    )
    given_ = [
        inputs(
            start.plus(at), grids=(trial,), prices=(2000.0, 1930.0, highest if at == 23 else 2070.0, 2000.0)
        )
        for at in range(24)
    ]
    found = [advice_of(each) for each in followed(given_, policy(analysis(hourly_sigma=0.001, **changes)))]
    assert (found[-1].action, found[-1].reason.startswith(words)) == (action, True)
    assert ["; the trial has passed every condition" in each.reason for each in found] == [False] * 23 + [
        True
    ]


@pytest.mark.parametrize("between", ["judged", "unjudged", "no snapshot"])
def test_a_promoted_trial_is_an_ordinary_grid_for_good(between: str):
    """Neither its age nor a loss nor a bad verdict ends it as a trial; only its exit state does."""
    start = HOUR.plus(-80)
    trial = running(since=start.opens_at, kind=GridKind.PROBATIONARY, levels=8, amount_per_grid=Decimal(75))
    swings = (2000.0, 1930.0, 2070.0, 2000.0)
    calm = [inputs(start.plus(at), grids=(trial,), prices=swings) for at in range(24)]
    passed = followed(calm, policy(analysis(hourly_sigma=0.001)))[-1]
    assert trial_of(passed)["memory"]["promoted"] is True
    before = recorded(passed)
    if between != "judged":
        hour = start.plus(24)
        middle = (
            unjudged(hour, grids=(trial,), before=before)
            if between == "unjudged"
            else inputs(hour, grids=None, before=before)
        )
        before = recorded(evaluate(middle, policy()))
    trend = analysis(verdict=Verdict.TREND)
    found = evaluate(inputs(HOUR, grids=(trial,), before=before), policy(trend))
    assert trial_of(found)["memory"]["promoted"] is True
    assert trial_of(found)["quick_stop"] == []
    assert trial_of(found)["expiry"] is None
    assert found.running[0].kind is GridKind.NORMAL
    assert advice_of(found).action is Action.CONTINUE


@pytest.mark.parametrize("between", ["judged", "unjudged", "no snapshot", "no record"])
def test_only_hours_that_were_judged_count_as_sure(between: str):
    """An hour that is missing, of whatever kind, begins the count anew."""
    first, last = inputs(START, grids=(TRIAL,)), inputs(START.plus(2), grids=(TRIAL,))
    middle = {
        "judged": [inputs(START.plus(1), grids=(TRIAL,))],
        "unjudged": [unjudged(START.plus(1), grids=(TRIAL,))],
        "no snapshot": [inputs(START.plus(1), grids=None)],
        "no record": [],
    }[between]
    found = followed([first, *middle, last], policy())
    assert trial_of(found[-1])["memory"]["sure_bars"] == (3 if between == "judged" else 1)


def test_a_trial_whose_position_is_unknown_is_not_stopped_for_its_loss():
    """What is not known ends nothing and promotes nothing; the check says so."""
    found = evaluate(inputs(START, grids=(TRIAL,), rules=None), policy())
    advice = advice_of(found)
    assert advice.action is Action.CONTINUE
    (loss,) = [check for check in advice.checks if check.reason.startswith("loss")]
    assert loss.passed is None
    assert trial_of(found)["promotion"][1]["passed"] is None
    assert trial_of(found)["quick_stop"][3]["value"] is None


def test_a_trial_under_classic_is_sure_by_c():
    """Where classic is the model, C counts, not the probability."""
    unsure = analysis(score_model="classic", confidence=Confidence(0.5, {}))
    engine = FakeAnalyser(unsure, config=RegimeConfig(score_model="classic"))
    given_ = [inputs(START.plus(at), grids=(TRIAL,)) for at in range(2)]
    found = followed(given_, policy(engine=engine))
    assert [trial_of(each)["memory"]["weak_bars"] for each in found] == [1, 2]
    assert advice_of(found[-1]).reason == (
        "the trial ends: hours of too little confidence: 2 h, needs less than 2 h"
    )
    later = policy(engine=engine, probation=ProbationConfig(stop_confidence_bars=3))
    assert advice_of(followed(given_, later)[-1]).action is Action.CONTINUE
