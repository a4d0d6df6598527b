"""What a sweep says as a whole: the best sets, and how little that means among so many."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from backtest.parameters import ParameterSet
from backtest.statistics import (
    chosen_forward,
    deflated_sharpe,
    overfitting_probability,
    walk_forward,
)
from backtest.sweep import REFUSALS, SweepPlan
from backtest.sweep_files import Whole
from grid.batch import SOUND
from market.costs import affordable, fee_on
from market.errors import DataInvalid, MetricUndefined
from market.units import from_scaled, plain

BEST = 10
DAYS_A_YEAR = 365
BLOCKS = 8
ENOUGH_DAYS = 30


def summary_of(
    plan: SweepPlan, sets: Sequence[ParameterSet], whole: Whole, manifest: Mapping[str, Any], train_days: int
) -> dict[str, Any]:
    """Return the summary as JSON.

    Args:
        plan, sets, whole, manifest: Of the sweep.
        train_days: How many days each step of the walk forward chooses on; whole periods, rounded up.
    """
    rows = np.flatnonzero(whole.faults == SOUND)
    returns = whole.changes[rows] / plan.capital
    order = rows[np.lexsort((rows, -whole.net[rows]))]
    refused = {
        why: int((whole.faults == place).sum())
        for place, why in enumerate(REFUSALS)
        if (whole.faults == place).any()
    }
    found: dict[str, Any] = {
        "manifest": dict(manifest),
        "days": plan.days,
        "periods": len(plan.periods),
        "sets": {"run": len(rows), "refused": refused},
        "baselines": {"cash": "0", "hold": _money(plan, _held(plan))},
        "best": [_told(plan, sets, whole, int(row)) for row in order[:BEST]],
        "notes": _notes(plan),
    }
    if len(rows):
        net = whole.net[rows]
        found["net"] = {
            "median": _money(plan, int(np.sort(net)[(len(net) - 1) // 2])),
            "above_cash": float((net > 0).mean()),
            "above_hold": float((net > _held(plan)).mean()),
        }
        best = int(np.flatnonzero(rows == order[0])[0])
        found["deflated_sharpe"] = _deflated(returns, best)
        found["overfitting_probability"] = _overfitting(returns)
        found["walk_forward"] = _walked(plan, sets, returns, rows, train_days)
    return found


def _told(plan: SweepPlan, sets: Sequence[ParameterSet], whole: Whole, row: int) -> dict[str, Any]:
    changes = whole.changes[row] / plan.capital
    deviation = float(changes.std(ddof=1)) if plan.days > 1 else 0.0
    worth = np.r_[0.0, np.cumsum(changes)]
    return {
        "set": row,
        "name": sets[row].name,
        "net": _money(plan, int(whole.net[row])),
        "return_pct": float(whole.net[row]) * 100 / plan.capital,
        "fees": _money(plan, int(whole.fees[row])),
        "cycles": int(whole.cycles[row]),
        "fills": int(whole.fills[row]),
        "stops": int(whole.stops[row]),
        "held_share": float(whole.held_minutes[row]) / len(plan.bars),
        "sharpe_a_year": float(changes.mean()) / deviation * math.sqrt(DAYS_A_YEAR) if deviation else None,
        "max_drawdown_pct": float((np.maximum.accumulate(worth) - worth).max()) * 100,
    }


def _held(plan: SweepPlan) -> int:
    """Return the profit of buying with all the capital at the start and selling at the end, with its fees."""
    costs = plan.costs
    bought = costs.buy_price(plan.seen_before)
    base = affordable(plan.capital, bought, costs.taker_ppm)
    spent = base * bought + fee_on(base * bought, costs.taker_ppm)
    brought = base * costs.sell_price(int(plan.bars.close[-1]))
    return brought - fee_on(brought, costs.taker_ppm) - spent


def _deflated(returns: np.ndarray, best: int) -> dict[str, Any]:
    """Return the deflated Sharpe ratio of the most profitable set, by days, or why there is none."""
    try:
        told = deflated_sharpe(returns, best)
    except MetricUndefined as undefined:
        return {"undefined": undefined.reason}
    return {
        "sharpe_a_day": told.sharpe,
        "trials": told.trials,
        "luck_alone_a_day": told.expected_best,
        "probability": told.probability,
        "independent_trials": told.independent,
        "probability_independent": told.probability_independent,
        "days": returns.shape[1],
    }


def _overfitting(returns: np.ndarray) -> dict[str, Any]:
    try:
        return {"probability": overfitting_probability(returns, BLOCKS), "blocks": BLOCKS}
    except DataInvalid as undefined:
        return {"undefined": undefined.problem}


def _walked(
    plan: SweepPlan, sets: Sequence[ParameterSet], returns: np.ndarray, rows: np.ndarray, train_days: int
) -> dict[str, Any]:
    """Return what choosing the best set on past periods earned in the next one; periods share no position."""
    periods = plan.periods
    by_period = np.stack([returns[:, each.first : each.end].sum(axis=1) for each in periods], axis=1)
    train = -(-train_days // (plan.every_days or plan.days))
    try:
        steps = chosen_forward(by_period, walk_forward(len(periods), train, 1))
    except DataInvalid as undefined:
        return {"undefined": undefined.problem}
    told = [
        {
            "chosen": sets[int(rows[step.chosen])].name,
            "tested_from_day": periods[step.split.test[0]].first,
            "trained_pct_a_period": step.trained * 100,
            "tested_pct": step.tested * 100,
            "median_of_all_pct": step.median_tested * 100,
        }
        for step in steps
    ]
    tested = [step.tested * 100 for step in steps]
    return {
        "train_periods": train,
        "steps": told,
        "n": len(tested),
        "trained_pct_a_period": float(np.mean([step.trained for step in steps])) * 100,
        "tested_pct_a_period": float(np.mean(tested)),
        "median_of_all_pct_a_period": float(np.mean([step.median_tested for step in steps])) * 100,
        "tested_positive": sum(value > 0 for value in tested),
    }


def _notes(plan: SweepPlan) -> list[str]:
    missing = (plan.end_ts - plan.start_ts) // 60 - len(plan.bars)
    notes = [
        "a fill is by price alone: the volume of a minute and the place in the queue are not modelled",
        "an order filled inside a minute may be answered by its opposite inside the same minute",
    ]
    if missing:
        notes.append(f"{missing} minutes are not known: the price goes on to the next open")
    if plan.days < ENOUGH_DAYS:
        notes.append(f"{plan.days} days are too few to tell")
    return notes


def _money(plan: SweepPlan, units: int) -> str:
    return plain(from_scaled(units, plan.price_scale * plan.base_scale))
