"""A part of a sweep is what each of its sets earns alone, placed anew each period, to the last unit."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest

from backtest.parameters import ParameterSet, parameter_sets
from backtest.sweep import DAY_S, Part, SweepPlan, Task, TooSmall, fault_named, run_part, tasks_of
from grid.geometry import GridGeometry
from grid.plan import GridPlan, half_and_half
from grid.simulation import BarPath, ledger_run
from market.costs import PPM, fee_on
from market.errors import ConfigInvalid, DataInvalid
from tests.backtest.sweeps import SETS, START, minutes, plan_over


def placed(plan: SweepPlan, one: ParameterSet, price: int) -> GridPlan:
    """Return the grid that a set is at a price, by the plain route."""
    apart = price * one.width_ppm // (2 * PPM), -(-price * one.width_ppm // (2 * PPM))
    lower, upper = price - apart[1], price + apart[1]
    stop = lower * (PPM - one.stop_ppm) // PPM if one.stop_ppm else None
    return half_and_half(
        GridGeometry(lower, upper, one.levels, one.spacing),
        price,
        plan.capital,
        plan.costs,
        stop_loss=stop,
    )


def alone(plan: SweepPlan, one: ParameterSet) -> tuple[list[int], int, int, int]:
    """Return the changes by day, fees, cycles and stops of one set, period by period in plain Python."""
    changes, fees, cycles, stops = [], 0, 0, 0
    path = BarPath.PESSIMISTIC if plan.pessimistic else BarPath.OPTIMISTIC
    for period in plan.periods:
        start, end = plan.start_ts + period.first * DAY_S, plan.start_ts + period.end * DAY_S
        bars = plan.bars.between(start, min(end, plan.end_ts))
        grid = placed(plan, one, plan.seen_at(period.first))
        outcome, _ = ledger_run(grid, bars, path, keep_values=True)
        before = plan.capital
        for day in range(period.first, period.end):
            row = int(np.searchsorted(bars.ts, plan.start_ts + (day + 1) * DAY_S))
            worth = int(outcome.values[row - 1])
            if day + 1 == period.end:
                brought = outcome.base * plan.costs.sell_price(outcome.last_price)
                fee = fee_on(brought, plan.costs.taker_ppm)
                worth, fees = outcome.quote + brought - fee, fees + fee
            changes.append(worth - before)
            before = worth
        fees, cycles = fees + outcome.fees, cycles + outcome.cycles
        stops += outcome.stop_reason is not None
    return changes, fees, cycles, stops


@pytest.mark.parametrize(
    ("days", "every", "pessimistic"), [(5, 2, True), (4, 0, False), (3, 1, True)], ids=str
)
def test_a_part_is_each_set_alone(days, every, pessimistic):
    """Profit, fees, cycles, stops and each day's change by the plain ledger; the coin is sold each period."""
    plan = plan_over(minutes(days, missing=200), days, every_days=every, pessimistic=pessimistic)
    part = run_part(plan, Task(0, 0, SETS))
    assert (part.faults == -1).all() and part.stops.sum() > 0 and part.cycles.sum() > 50
    for row, one in enumerate(SETS):
        changes, fees, cycles, stops = alone(plan, one)
        assert part.changes[row].tolist() == changes
        assert (part.net[row], part.fees[row]) == (sum(changes), fees)
        assert (part.cycles[row], part.stops[row]) == (cycles, stops)


def test_how_the_sets_are_cut_into_parts_changes_nothing():
    """A set's result does not depend on its neighbours, nor on what a worker got by pickle."""
    plan = plan_over(minutes(4), 4)
    whole = run_part(plan, Task(0, 0, SETS))
    parts = [run_part(pickle.loads(pickle.dumps(plan)), task) for task in tasks_of(SETS, 5)]
    assert [part.number for part in parts] == list(range(5))
    for name in Part.__slots__[1:]:
        assert np.array_equal(np.concatenate([getattr(part, name) for part in parts]), getattr(whole, name))


def test_a_set_that_is_no_grid_says_why_and_counts_for_nothing():
    """Its neighbours run; a stop that is rounded away is refused, not left out."""
    sets = parameter_sets("levels=3/150,width=2,stop=none") + parameter_sets(
        "levels=3,width=199.9,stop=99.99"
    )
    part = run_part(plan_over(minutes(2), 2), Task(0, 0, sets))
    assert [fault_named(fault) for fault in part.faults.tolist()] == [
        None,
        "a cycle costs more than it earns",
        "the stop-loss is not a price below the ladder",
    ]
    assert not part.changes[1:].any() and not part.net[1:].any() and part.changes[0].any()


def test_a_day_without_minutes_changes_nothing_but_is_there():
    """An outage of a whole day: no change of worth in it, and the sweep goes on behind it."""
    bars = minutes(4)
    gap = (bars.ts >= START + DAY_S) & (bars.ts < START + 2 * DAY_S)
    part = run_part(plan_over(bars.at(~gap), 4, every_days=0), Task(0, 0, SETS))
    assert not part.changes[:, 1].any()
    assert part.changes[:, 2].any()


def test_the_last_period_and_the_last_day_may_be_shorter():
    """Every hour of the span counts once."""
    plan = plan_over(minutes(5).between(START, START + 4 * DAY_S + 7200), 5)
    plan = SweepPlan(**{**vars(plan), "end_ts": START + 4 * DAY_S + 7200})
    assert [(days.first, days.end) for days in plan.periods] == [(0, 2), (2, 4), (4, 5)]
    assert sum(len(plan.day(number)) for number in range(plan.days)) == len(plan.bars)


def test_the_digest_is_of_every_price():
    """One unit of one low is another digest."""
    plan = plan_over(minutes(2), 2)
    other = minutes(2)
    other.low[1234] -= 1
    assert plan.data_digest == plan_over(minutes(2), 2).data_digest
    assert plan.data_digest != plan_over(other, 2).data_digest


def test_what_leaves_64_bits_or_has_no_minutes_is_refused():
    """Before anything runs."""
    with pytest.raises(ConfigInvalid, match="capital"):
        plan_over(minutes(2), 2).__class__(**{**vars(plan_over(minutes(2), 2)), "capital": 2**58})
    with pytest.raises(DataInvalid, match="no minutes"):
        plan_over(minutes(2).rows(0, 0), 2)


def least_orders(plan: SweepPlan, one: ParameterSet) -> tuple[int, int]:
    """Return the least coin and the least quote of any order in any period, by the plain route."""
    sizes, funds = [], []
    for period in plan.periods:
        grid = placed(plan, one, plan.seen_at(period.first))
        sizes += grid.sizes
        funds += [price * size for price, size in zip(grid.geometry.prices(), grid.sizes, strict=False)]
    return min(sizes), min(funds)


@pytest.mark.parametrize(("limit", "which"), [("least_size", 0), ("least_funds", 1)])
def test_a_set_whose_orders_the_exchange_would_refuse_is_refused_by_name(limit, which):
    """Just at the limit it runs, one unit above it does not; the others run as if it were not there."""
    plan = plan_over(minutes(4), 4)
    least = [least_orders(plan, one)[which] for one in SETS]
    at = sorted(least)[len(least) // 2]
    free, bound = run_part(plan, Task(0, 0, SETS)), run_part(replace(plan, **{limit: at}), Task(0, 0, SETS))
    why = (TooSmall.SIZE, TooSmall.FUNDS)[which]
    expected = [why if each < at else None for each in least]
    assert 0 < expected.count(None) < len(SETS)
    assert [fault_named(fault) for fault in bound.faults.tolist()] == expected
    runs = bound.faults == -1
    assert np.array_equal(bound.net[runs], free.net[runs])
    assert not bound.net[~runs].any() and not bound.changes[~runs].any()


def test_too_small_is_told_with_what_else_is_wrong_first():
    """A set that is no grid keeps its own reason; one that is too small in coin and in quote says coin."""
    sets = parameter_sets("levels=3/150,width=2,stop=none")
    plan = replace(plan_over(minutes(2), 2), least_size=10**9, least_funds=10**15)
    part = run_part(plan, Task(0, 0, sets))
    assert [fault_named(fault) for fault in part.faults.tolist()] == [
        TooSmall.SIZE,
        "a cycle costs more than it earns",
    ]
