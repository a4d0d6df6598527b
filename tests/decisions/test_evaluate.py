"""The spine: one hour in, what was found out; hour after hour from the record alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decisions.evaluate import Evaluation, evaluate
from decisions.inputs import Before, HourInputs, Policy
from decisions.recommendation import Action, Kind
from exits.states import ExitState
from grid.capital import CapitalConfig, CapitalMode
from grid.parameters import GridKind
from grid.record import GridRecord
from grid.state import GridState, state_at
from market.candles import no_bars
from market.errors import DataInvalid
from market.hours import Hour, Timeframe
from regime.analysis import ENGINE_VERSION, Insufficient, Verdict
from regime.gates.fold import GATES
from tests.decisions.builders import (
    ANALYSIS,
    HOUR,
    KEY,
    FakeAnalyser,
    advice_of,
    analysis,
    asleep,
    followed,
    inputs,
    metric,
    no_data,
    passed_gates,
    policy,
    quiet,
    recorded,
    remembered,
    running,
    stopped,
    trending,
    unjudged,
)
from tests.grid.records import DAY, drawn_records

unhurried = settings(deadline=None)
START = HOUR.plus(-5)
GRID = running(since=START.opens_at)
TRIAL = running(since=START.opens_at, kind=GridKind.PROBATIONARY)
FAR_OUT = 2400.0


def hours(count: int, first: Hour = START, **facts: Any) -> list[HourInputs]:
    """Return hours in a row with the same facts."""
    return [inputs(first.plus(at), **facts) for at in range(count)]


# --- what an hour is ---


@pytest.mark.parametrize(
    ("missing", "bar", "outcome"),
    [
        (0, True, "analysed"),
        (3, True, "analysed"),
        (4, True, "insufficient"),
        (60, True, "insufficient"),
        (0, False, "insufficient"),
        (59, False, "insufficient"),
        (60, False, "no_data"),
    ],
)
def test_an_hour_is_judged_only_with_its_bar_and_nearly_all_minutes(missing: int, bar: bool, outcome: str):
    """Exactly the configured number of minutes may be missing; nothing at all is told apart."""
    found = evaluate(inputs(missing=missing, bar=bar), policy())
    assert found.outcome == outcome
    assert (found.analysis is ANALYSIS) is (outcome == "analysed")
    assert (found.reason is None) is (outcome == "analysed")
    if outcome == "insufficient":
        assert found.reason == f"{missing} of 60 minutes are missing, at most 3 may be"
    assert found.name == "ETH-USDT/2026-02-02T14"


def test_what_the_engine_cannot_judge_is_insufficient_with_its_reason():
    """The counts come from the engine."""
    found = evaluate(inputs(), policy(Insufficient("300 of 400 hours known")))
    assert (found.outcome, found.reason, found.analysis) == ("insufficient", "300 of 400 hours known", None)


# --- what is said of which grid ---


@st.composite
def drawn_grids(draw: st.DrawFn) -> tuple[GridState, ...]:
    """Return up to four grids of the market, running, stopped or never started, and one of another."""
    found = []
    for number in range(draw(st.integers(0, 4))):
        grid_id = f"g-{number}"
        kind = draw(st.sampled_from(list(GridKind)))
        ago = timedelta(minutes=draw(st.integers(0, 300)))
        state = draw(st.sampled_from(["runs", "stopped", "new"]))
        if state == "runs":
            found.append(running(grid_id, since=HOUR.closes_at - ago, kind=kind))
        else:
            at = None if state == "new" else HOUR.closes_at - ago
            found.append(stopped(grid_id, at=at, kind=kind))
    if draw(st.booleans()):
        found.append(running("z", market="SOL-USDT"))
    return tuple(draw(st.permutations(found)))


some_hours = st.sampled_from(["calm", "trend", "out", "far out", "unjudged", "unjudged far out", "no data"])


def an_hour(what: str, hour: Hour = HOUR, **facts: Any) -> HourInputs:
    close = {"out": 2105.0, "far out": FAR_OUT, "unjudged far out": FAR_OUT}.get(what, 2000.0)
    if what == "no data":
        return no_data(hour, **facts)
    return (unjudged if what.startswith("unjudged") else inputs)(hour, close=close, **facts)


def rules_for(what: dict[Hour, str], **others: Any) -> Policy:
    """Return rules whose engine sees each hour as it is named."""
    prices = {"out": 2105.0, "far out": FAR_OUT}
    found = {
        hour: trending() if name == "trend" else analysis(price=prices.get(name, 2000.0))
        for hour, name in what.items()
    }
    return policy(engine=FakeAnalyser(ANALYSIS, found), **others)


@unhurried
@given(drawn_grids(), some_hours)
def test_property_49_50_52_each_grid_gets_what_its_state_allows(grids, what):
    """No CONTINUE for a stopped grid, no SETUP while one runs, gates exactly for the stopped ones."""
    found = evaluate(an_hour(what, grids=grids), rules_for({HOUR: what}))
    own = [grid for grid in grids if grid.market == KEY]
    runs = sorted(grid.grid_id for grid in own if grid.running)
    if runs:
        assert [each.grid_id for each in found.advice] == runs
        assert {each.kind for each in found.advice} == {Kind.MANAGE}
        manage = {Action.CONTINUE, Action.ADJUST, Action.STOP_GRID, Action.WITHHELD}
        assert {each.action for each in found.advice} <= manage
        assert all(each.exit_state for each in found.advice)
    else:
        (only,) = found.advice
        assert only.kind is Kind.SETUP
        assert only.action.creates or only.action is Action.NO_SETUP
        assert only.exit_state is None
    assert sorted(found.exits_value()) == runs
    assert set(found.gates_value()) == {g.grid_id for g in own if not g.running and g.stopped_at}
    assert len({each.id for each in found.advice}) == len(found.advice)


@unhurried
@given(drawn_records(), st.integers(0, 50))
def test_property_46_51_version_and_state_are_those_of_the_close_by_the_history_alone(
    record: GridRecord, half_hours: int
):
    """Events after the close do not count, and of those before only the last one says whether it runs."""
    hour = Hour.of(DAY + timedelta(minutes=30 * half_hours)).plus(-1)
    grid = state_at(record, hour.closes_at)
    rules = policy()
    found = evaluate(inputs(hour, grids=() if grid is None else (grid,)), rules)
    (advice,) = found.advice
    past = [event for event in record.history if event.at <= hour.closes_at]
    runs = bool(past) and past[-1].event.value == "enabled"
    assert (advice.kind is Kind.MANAGE) is runs
    assert found.config_hash == rules.config_hash
    assert found.engine_version == ENGINE_VERSION
    assert found.inputs.hour == advice.hour == hour
    if runs:
        since = [version for version in record.versions if past[-1].at < version.since <= hour.closes_at]
        version = since[-1].version if since else past[-1].version
        assert advice.grid_version == version
        assert found.exits_value()["eth-1"]["grid_version"] == version
    elif grid is not None and advice.grid_id == grid.grid_id:
        assert advice.grid_version == grid.parameters.version


def test_advice_of_several_grids_is_told_apart_by_name():
    """One grid: the market's name is enough. Several: each has its own file."""
    (only,) = evaluate(inputs(grids=(GRID,)), policy()).advice
    assert only.id == "2026-02-02/dec-ETH-USDT-150000"
    both = evaluate(inputs(grids=(GRID, stopped("old"))), policy()).advice
    assert [each.id for each in both] == ["2026-02-02/dec-ETH-USDT-150000-eth-usdt-1"]


def test_a_grid_enabled_at_the_very_close_is_followed_from_that_hour():
    """Its start belongs to the hour that has just closed, as its snapshot tells."""
    grid = running(since=HOUR.closes_at)
    first, second = followed([inputs(grids=(grid,)), inputs(HOUR.plus(1), grids=(grid,))], policy())
    assert advice_of(first).action is Action.CONTINUE
    value = second.exits_value()["eth-usdt-1"]
    assert value["position"]["state"]["bars"] == 60
    assert value["started_at"] == "2026-02-02T15:00:00Z"


# --- exits and gates ---


def test_an_unjudged_hour_with_a_running_grid_withholds_advice():
    """Nobody is told to go on by an hour that could not be seen."""
    first, second = followed([inputs(START, grids=(GRID,)), unjudged(START.plus(1), grids=(GRID,))], policy())
    assert advice_of(first).action is Action.CONTINUE
    withheld = advice_of(second)
    assert withheld.action is Action.WITHHELD
    assert withheld.confidence.value is None
    assert withheld.reason == "the hour could not be judged; look at the grid yourself"
    nothing = advice_of(evaluate(no_data(grids=(GRID,)), policy()))
    assert nothing.action is Action.WITHHELD


def test_a_close_outside_twice_stops_even_where_no_hour_could_be_judged():
    """A broken bound needs no regime."""
    out = [unjudged(START.plus(at), close=2101.0, grids=(GRID,)) for at in (1, 2)]
    found = followed([inputs(START, grids=(GRID,)), *out], policy())
    assert [advice_of(each).action for each in found] == [
        Action.CONTINUE,
        Action.WITHHELD,
        Action.STOP_GRID,
    ]
    stop = advice_of(found[-1])
    assert stop.exit_state == ExitState.MANDATORY_EXIT
    assert "closes outside the bounds in a row: 2, at or above 2" in stop.reason
    far = followed(
        [inputs(START, grids=(GRID,)), unjudged(START.plus(1), close=FAR_OUT, grids=(GRID,))], policy()
    )
    assert advice_of(far[-1]).action is Action.STOP_GRID


@unhurried
@given(
    st.sampled_from(["far out", "unjudged far out"]),
    st.sampled_from([None, 2, 20]),
    st.booleans(),
    st.booleans(),
    st.sampled_from([800.0, 0.0]),
)
def test_property_65_gates_cooldown_capital_and_kill_switch_never_keep_a_grid_from_its_stop(
    what, stopped_h_ago, declined, kill, capital
):
    """Whatever would forbid a setup, a broken grid is told to stop."""
    other = () if stopped_h_ago is None else (stopped("old", at=HOUR.plus(-stopped_h_ago).opens_at),)
    rules = rules_for(
        {HOUR: what},
        advice=quiet(kill_switch=kill, cooldown_stopped_min=10080 if declined else 0),
        capital=CapitalConfig(total_quote=capital),
    )
    before = recorded(evaluate(inputs(HOUR.plus(-1), grids=(GRID, *other)), rules))
    (advice,) = evaluate(an_hour(what, grids=(GRID, *other), before=before), rules).advice
    assert advice.action is Action.STOP_GRID
    assert advice.exit_state == ExitState.MANDATORY_EXIT


def statuses(found: Evaluation, grid_id: str) -> list[tuple[str, int, str | None]]:
    return [(gate.status, gate.streak, gate.passed_at) for gate in found.gates[grid_id].gates]


@unhurried
@given(st.integers(1, 12), st.integers(1, 12))
def test_property_68_each_stop_begins_a_gate_cycle_of_its_own(first: int, second: int):
    """What passed after an earlier stop does not count after the next one."""
    once = stopped(at=HOUR.plus(-first).opens_at)
    passed = passed_gates(once, hours=first)
    runs = running()
    between = evaluate(inputs(grids=(runs,), before=passed), policy())
    assert between.gates == {}
    again = asleep(runs, HOUR.closes_at + timedelta(minutes=10))
    later = [inputs(HOUR.plus(1 + at), grids=(again,)) for at in range(second)]
    found = [evaluate(replace(later[0], before=recorded(between)), policy())]
    for each in later[1:]:
        found.append(evaluate(replace(each, before=recorded(found[-1])), policy()))
    assert [status for status, _, _ in statuses(found[0], again.grid_id)] == ["NOT_EVALUATED"] * 3
    assert found[-1].gates[again.grid_id].all_passed is (second >= 10)
    unseen = evaluate(inputs(grids=(asleep(runs, HOUR.opens_at),), before=passed), policy())
    assert [status for status, _, _ in statuses(unseen, "eth-usdt-1")] == ["NOT_EVALUATED"] * 3


stories = st.lists(
    st.sampled_from(["calm", "calm", "calm", "trend", "wild", "unjudged", "no data"]), max_size=14
)


def story(names: list[str], grids: tuple[GridState, ...], **others: Any) -> list[Evaluation]:
    """Return the evaluations of named hours, from `START` on."""
    told = {"trend": trending(), "wild": analysis(metrics=metric("adx", 40.0))}
    named = {START.plus(at): told[name] for at, name in enumerate(names) if name in told}
    rules = policy(engine=FakeAnalyser(ANALYSIS, named), **others)
    return followed([an_hour(n, START.plus(at), grids=grids) for at, n in enumerate(names)], rules)


@unhurried
@given(stories.filter(bool), st.integers(1, 30), st.integers(1, 30), st.booleans())
def test_property_69_grids_do_not_see_each_other(names, one_h, other_h, both_run):
    """Gates and exits of a grid are the same whether another one is there or not."""
    several = {"capital": CapitalConfig(mode=CapitalMode.MULTI_GRID, total_quote=5000.0)}
    one = stopped("one", at=START.plus(-one_h).opens_at)
    other = stopped("other", at=START.plus(-other_h).opens_at, upper=Decimal(2050))
    if both_run:
        one, other = (
            running("one", since=START.opens_at),
            running("other", since=START.opens_at, lower=Decimal(1950)),
        )
    together, alone = story(names, (one, other), **several), story(names, (one,), **several)
    assert [each.gates.get("one") for each in together] == [each.gates.get("one") for each in alone]
    assert [each.exits_value().get("one") for each in together] == [
        each.exits_value().get("one") for each in alone
    ]


# --- from hour to hour ---


@unhurried
@given(
    st.lists(st.sampled_from(["calm", "calm", "trend", "out", "unjudged", "no data", "gap", "no snapshot"])),
    st.sampled_from([(GRID,), (TRIAL,), (stopped(at=START.opens_at),), (GRID, stopped("old"))]),
)
def test_property_67_the_next_hour_follows_from_the_recorded_bytes_as_from_memory(names, grids):
    """Dumped to YAML and read back, an hour's record gives the same next hour, gaps and all."""
    told = {START.plus(at): name for at, name in enumerate(names)}
    rules = rules_for(told)
    from_bytes: Before | None = None
    from_memory: Before | None = None
    for hour, name in told.items():
        if name == "gap":
            continue
        given_ = an_hour(name, hour, grids=None if name == "no snapshot" else grids)
        read = evaluate(replace(given_, before=from_bytes), rules)
        kept = evaluate(replace(given_, before=from_memory), rules)
        assert read.gates_value() == kept.gates_value()
        assert read.exits_value() == kept.exits_value()
        assert read.advice == kept.advice
        from_bytes, from_memory = recorded(read), remembered(kept)
        assert from_bytes == from_memory


def test_an_hour_without_a_snapshot_carries_running_grids_on():
    """Nothing new is known, nothing is eased: state, position and version stay, and advice is withheld."""
    first, dark, after = followed(
        [
            inputs(START, grids=(GRID,)),
            inputs(START.plus(1), grids=None),
            inputs(START.plus(2), grids=(GRID,)),
        ],
        policy(),
    )
    before, carried = first.exits_value()["eth-usdt-1"], dark.exits_value()["eth-usdt-1"]
    assert carried["position"] == before["position"]
    assert carried["risk"] is None
    assert carried["grid_version"] == 1
    assert carried["fold"]["hour"] == START.plus(1).iso()
    assert dark.carried == {"eth-usdt-1": carried}
    advice = advice_of(dark)
    assert (advice.kind, advice.action) == (Kind.MANAGE, Action.WITHHELD)
    assert advice.grid_version == 1
    assert advice.exit_state == "NORMAL"
    assert advice.reason == "no snapshot of the hour tells how the grids stood"
    assert dark.analysis is ANALYSIS
    position = after.exits_value()["eth-usdt-1"]["position"]["state"]
    assert position["bars"] == before["position"]["state"]["bars"] + 60


def test_an_hour_without_a_snapshot_holds_an_exit_state():
    """A grid that had to be stopped has to be still, when it is seen again."""
    out = inputs(START.plus(1), close=FAR_OUT, grids=(GRID,))
    dark = no_data(START.plus(2), grids=None)
    rules = rules_for({START.plus(1): "far out"})
    found = followed([inputs(START, grids=(GRID,)), out, dark, inputs(START.plus(3), grids=(GRID,))], rules)
    assert [advice_of(each).exit_state for each in found] == ["NORMAL", *["MANDATORY_EXIT"] * 3]
    assert advice_of(found[2]).reason.startswith("none of the hour's 60 minutes could be had; no snapshot")
    assert advice_of(found[3]).action is Action.STOP_GRID


def test_an_hour_without_a_snapshot_fails_the_gates_for_want_of_data():
    """The streak breaks, what has passed stays, and no grid is set up."""
    grid = stopped(at=START.opens_at)
    found = followed([*hours(6, grids=(grid,)), inputs(START.plus(6), grids=None)], policy())
    before, dark = (each.gates["eth-usdt-1"].gates for each in found[-2:])
    assert [gate.status for gate in before] == ["PASSED", "FAILED", "NOT_EVALUATED"]
    assert [(gate.status, gate.streak, gate.reason) for gate in dark] == [
        ("PASSED", 3, None),
        ("FAILED", 0, "data"),
        ("NOT_EVALUATED", 0, None),
    ]
    assert [gate.name for gate in dark] == list(GATES)
    advice = advice_of(found[-1])
    assert (advice.kind, advice.action, advice.grid_id) == (Kind.SETUP, Action.NO_SETUP, "eth-usdt-1")


def test_property_50_without_a_snapshot_too_no_setup_is_given_while_a_grid_runs():
    """The stopped grid beside it keeps its gates, but gets no advice."""
    old = stopped("old", at=START.opens_at)
    found = followed([inputs(START, grids=(GRID, old)), inputs(START.plus(1), grids=None)], policy())
    assert [(each.kind, each.grid_id) for each in found[-1].advice] == [(Kind.MANAGE, "eth-usdt-1")]
    assert set(found[-1].gates_value()) == {"old"}


def test_without_a_snapshot_one_setup_is_refused_for_the_grid_that_was_stopped_last():
    """One GRID_SETUP an hour, whatever number of grids was stopped; a market without one has a first name."""
    older, newer = stopped("b", at=START.opens_at), stopped("a", at=START.opens_at + timedelta(seconds=1.5))
    found = followed([inputs(START, grids=(older, newer)), inputs(START.plus(1), grids=None)], policy())
    assert advice_of(found[-1]).grid_id == "a"
    assert advice_of(found[-1]).id.endswith("-a")
    nothing = advice_of(evaluate(inputs(grids=None), policy()))
    assert (nothing.grid_id, nothing.action, nothing.grid_version) == ("eth-usdt-1", Action.NO_SETUP, None)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"fold": {"state": "FINE"}}, "exit_evaluation.eth-usdt-1: state"),
        ({"fold": {"more": 1}}, "exit_evaluation.eth-usdt-1: more"),
    ],
)
def test_a_record_that_is_not_what_was_written_is_refused_by_name(change, field):
    """A flipped value in the record of the hour before is found, with or without a snapshot."""
    before = recorded(evaluate(inputs(START, grids=(GRID,)), policy()))
    entry = before.exits["eth-usdt-1"]
    entry["fold"] |= change["fold"]
    for grids in ((GRID,), None):
        with pytest.raises(DataInvalid, match=field):
            evaluate(inputs(START.plus(1), grids=grids, before=before), policy())


def test_gates_that_are_not_what_was_written_are_refused_by_name():
    """So is a gate that nobody knows."""
    grid = stopped(at=START.opens_at)
    before = recorded(evaluate(inputs(START, grids=(grid,)), policy()))
    before.gates["eth-usdt-1"]["gates"][0]["name"] = "luck"
    for grids in ((grid,), None):
        with pytest.raises(DataInvalid, match=r"gate_evaluation.eth-usdt-1: gates.0.name"):
            evaluate(inputs(START.plus(1), grids=grids, before=before), policy())


def test_an_earlier_run_of_a_grid_is_not_carried_on():
    """A new start is a new fold, however calm or broken the last run was."""
    rules = rules_for({START: "far out"})
    broken = evaluate(inputs(START, close=FAR_OUT, grids=(GRID,)), rules)
    assert advice_of(broken).action is Action.STOP_GRID
    again = replace(GRID, started_at=START.closes_at, in_force_since=START.closes_at)
    found = evaluate(inputs(START.plus(1), grids=(again,), before=recorded(broken)), rules)
    assert advice_of(found).exit_state == ExitState.NORMAL


def test_a_market_that_runs_sees_an_hours_bar_where_minutes_are_not_known():
    """The one bar of the hour moves the position; without it nothing does."""
    bars_only = {"minutes": no_bars(Timeframe.M1)}
    first, second, third = followed(
        [
            inputs(START, grids=(GRID,)),
            inputs(START.plus(1), grids=(GRID,), **bars_only),
            no_data(START.plus(2), grids=(GRID,), **bars_only),
        ],
        policy(),
    )
    counted = [
        each.exits_value()["eth-usdt-1"]["position"]["state"]["bars"] for each in (first, second, third)
    ]
    assert counted == [60, 61, 61]


def test_the_verdict_of_the_hour_does_not_move_the_exit_state_of_evidence():
    """TREND alone is no exit in the default preset."""
    advice = advice_of(evaluate(inputs(grids=(GRID,)), policy(trending())))
    assert advice.action is Action.CONTINUE
    assert ANALYSIS.verdict is Verdict.RANGE_OK
