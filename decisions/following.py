"""One grid over one hour: a running one's position and exit state, a stopped one's gates.

What an hour finds follows from the record of the hour before and from this hour's own facts, so a restart, a
replay and a backtest find the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from decisions.actions import Answer
from decisions.inputs import HourInputs, MarketCosts, Policy
from decisions.recommendation import Action
from exits.fold import ExitEvaluation
from exits.fold import advanced as exit_advanced
from exits.memory import ExitFold, moved
from exits.memory import of_record as exit_of_record
from exits.memory import opened as exit_opened
from exits.readings import ExitReadings, Profit, readings_of, readings_of_close
from exits.risk import Holding, PositionRisk, position_risk
from exits.states import ExitState
from grid.checks import Check, all_passed
from grid.economics import PlanTerms, spacing_floor_pct
from grid.plan import GridPlan
from grid.position import Position, PositionFigures, figures_of, opening_ts
from grid.position import advanced as position_advanced
from grid.position import as_record as position_record
from grid.position import of_record as position_of_record
from grid.position import opened as position_opened
from grid.probation import TrialHour, TrialMemory, expiry, promotion, quick_stop
from grid.probation import advanced as trial_advanced
from grid.probation import as_record as trial_record
from grid.probation import of_record as trial_of_record
from grid.state import GridKind, GridState
from market.candles import Bars
from market.errors import DataInvalid
from market.hours import Hour, Timeframe, instant_iso
from regime.analysis import RegimeAnalysis
from regime.gates.fold import GateEvaluation
from regime.gates.fold import advanced as gates_advanced
from regime.gates.fold import opened as gates_opened
from regime.gates.readings import readings_of as gate_readings
from regime.gates.record import of_record as gates_of_record


@dataclass(frozen=True, slots=True)
class Simulated:
    """A running grid's position and what it runs under, all in one price scale.

    Attributes:
        since: Instant from which it is counted: the version's start, or later where the minutes before are
            not known.
        earlier_profit: Net profit under the versions before, quote.
    """

    since: str
    terms: PlanTerms
    plan: GridPlan
    position: Position
    earlier_profit: float

    @property
    def figures(self) -> PositionFigures:
        return figures_of(self.position, self.plan, self.terms)

    @property
    def profit(self) -> Profit:
        figures = self.figures
        return Profit(
            allocation=figures.allocation,
            peak=max(figures.peak_profit + self.earlier_profit, 0.0),
            current=figures.net_profit + self.earlier_profit,
            realised=figures.grid_profit - figures.fees + self.earlier_profit,
        )

    @property
    def holding(self) -> Holding:
        """The coin held and the buys that rest, in quote and base."""
        prices, rung = self.plan.geometry.prices(), self.position.rung
        if self.position.stop_reason is not None:
            return Holding(0.0)
        scale, base_scale = self.terms.price_scale, self.terms.base_scale
        resting = tuple((prices[cell] / scale, self.plan.sizes[cell] / base_scale) for cell in range(rung))
        return Holding(self.position.base / base_scale, resting)


@dataclass(frozen=True, slots=True)
class RunningHour:
    """What one hour found of a running grid.

    Attributes:
        exits: Its exit state with every trigger.
        simulated: Its position; None where it cannot be simulated, and `trouble` says why.
        risk: None where the price of the hour is not known.
        trial: Of a probationary grid; None for a normal one.
    """

    grid: GridState
    exits: ExitEvaluation
    simulated: Simulated | None
    trouble: str | None
    risk: PositionRisk | None
    trial: Trial | None

    @property
    def kind(self) -> GridKind:
        """As what it is judged: its file's kind, or normal once its trial has passed."""
        promoted = self.trial is not None and self.trial.is_promoted
        return GridKind.NORMAL if promoted else self.grid.kind

    def as_value(self) -> dict[str, Any]:
        """Return what the hour's record holds of the grid, and all that the next hour needs."""
        simulated = self.simulated
        return {
            "grid_version": self.grid.parameters.version,
            "started_at": None if self.grid.started_at is None else instant_iso(self.grid.started_at),
            **self.exits.as_value(),
            "risk": None if self.risk is None else asdict(self.risk),
            "position": None
            if simulated is None
            else {
                "since": simulated.since,
                "earlier_profit": simulated.earlier_profit,
                "figures": asdict(simulated.figures),
                "terms": simulated.terms.as_record(),
                "state": position_record(simulated.position),
            },
            "trouble": self.trouble,
            "trial": None if self.trial is None else self.trial.as_value(),
        }


@dataclass(frozen=True, slots=True)
class Trial:
    """A probationary grid's hour: its memory and every rule; the checks are empty in an unjudged hour.

    Attributes:
        quick_stop: A check that does not hold stops the grid at once.
        promotion: All of them together promote it.
        expiry: Not held once its time is over.
    """

    memory: TrialMemory
    quick_stop: tuple[Check, ...] = ()
    promotion: tuple[Check, ...] = ()
    expiry: Check | None = None

    @property
    def endings(self) -> tuple[Check, ...]:
        """Everything that ends the trial, each a check that does not hold when it does."""
        return (*self.quick_stop, *(() if self.expiry is None else (self.expiry,)))

    @property
    def stops_because(self) -> str | None:
        """Why the trial ends now: the first trigger that fired, or its time."""
        fired = next((check for check in self.endings if check.passed is False), None)
        return None if fired is None else in_words(fired)

    @property
    def is_promoted(self) -> bool:
        return self.memory.promoted

    @property
    def passed_now(self) -> bool:
        """Say whether this is the hour in which every condition of the promotion came together."""
        return bool(self.promotion) and self.memory.promoted

    def as_value(self) -> dict[str, Any]:
        return {
            "memory": trial_record(self.memory),
            "quick_stop": [asdict(check) for check in self.quick_stop],
            "promotion": [asdict(check) for check in self.promotion],
            "expiry": None if self.expiry is None else asdict(self.expiry),
        }


_ENDINGS = {
    "warning_bars": "hours in WARNING or worse:",
    "close_inside": "the close",
    "weak_bars": "hours of too little confidence:",
    "loss": "loss",
    "trend": "verdicts of TREND:",
    "expiry": "age",
}


def in_words(ending: Check) -> str:
    """Return what ends a trial, or does not yet, as a clause."""
    return f"{_ENDINGS[ending.name]} {ending.reason}"


def follow_running(
    grid: GridState, inputs: HourInputs, analysis: RegimeAnalysis | None, policy: Policy
) -> RunningHour:
    """Return what the hour finds of a running grid.

    Raises:
        DataInvalid: The record of the hour before is not what was written.
    """
    before = _entry_before(grid, inputs)
    fold = _exit_fold(grid, before, analysis, inputs.hour)
    simulated, trouble = _simulated(grid, before, inputs, policy)
    profit = None if simulated is None else simulated.profit
    readings = _exit_readings(inputs, analysis, fold, policy, profit)
    exits = exit_advanced(fold, inputs.hour, readings, policy.exits, _acknowledged_at(grid, inputs, fold))
    risk = None
    if readings is not None and readings.close is not None and simulated is not None:
        risk = position_risk(
            readings.close,
            readings.atr,
            None if analysis is None else analysis.hourly_sigma,
            None if grid.parameters.stop_loss is None else float(grid.parameters.stop_loss),
            simulated.holding,
            profit,
            exit_cost_bps=policy.costs_of(inputs.key).exit_bps,
            horizon_hours=policy.exits.stop_horizon_hours,
        )
    trial = None
    if grid.kind is GridKind.PROBATIONARY:
        trial = _trial(grid, before, inputs, analysis, exits, simulated, policy)
    return RunningHour(grid, exits, simulated, trouble, risk, trial)


def _trial(
    grid: GridState,
    before: Mapping[str, Any] | None,
    inputs: HourInputs,
    analysis: RegimeAnalysis | None,
    exits: ExitEvaluation,
    simulated: Simulated | None,
    policy: Policy,
) -> Trial:
    recorded = None if before is None else before.get("trial")
    memory = TrialMemory() if recorded is None else trial_of_record(recorded["memory"])
    if memory.promoted:
        return Trial(memory)  # an ordinary grid since: nothing of a trial ends it any more
    if inputs.before is not None and inputs.before.hour.plus(1) < inputs.hour:
        memory = trial_advanced(memory, None, policy.probation)  # hours without a record are not judged
    if analysis is None:
        return Trial(trial_advanced(memory, None, policy.probation))
    assert grid.started_at is not None, "a running grid was started"
    figures = None if simulated is None else simulated.figures
    classic = policy.engine.config.score_model == "classic"
    hour = TrialHour(
        close=analysis.price,
        lower=float(grid.parameters.lower),
        upper=float(grid.parameters.upper),
        verdict=analysis.verdict,
        confidence=analysis.confidence.value if classic else exits.hold,
        warned=exits.state.rank >= ExitState.WARNING.rank,
        net_profit=None if figures is None else figures.net_profit,
        allocation=1.0 if figures is None else figures.allocation,
        cycles=None if figures is None else figures.cycles,
        age_h=(inputs.hour.closes_at - grid.started_at) // timedelta(hours=1),
    )
    memory = trial_advanced(memory, hour, policy.probation)
    found = Trial(
        memory,
        quick_stop(memory, hour, policy.probation),
        promotion(memory, hour, policy.probation),
        expiry(hour, policy.probation),
    )
    passed = found.stops_because is None and all_passed(found.promotion)
    return replace(found, memory=replace(memory, promoted=True)) if passed else found


def follow_stopped(
    grid: GridState,
    inputs: HourInputs,
    analysis: RegimeAnalysis | None,
    policy: Policy,
) -> GateEvaluation | None:
    """Return a stopped grid's gates after the hour; None for one that never stopped.

    The market has to be worth the grid that was stopped: what would be set up next is not known while its
    bars are still coming in, and may be another grid's affair.

    Raises:
        DataInvalid: The record of the hour before is not what was written.
    """
    if grid.stopped_at is None:
        return None
    stopped_at = instant_iso(grid.stopped_at)
    recorded = None if inputs.before is None else inputs.before.gates.get(grid.grid_id)
    if recorded is None or recorded.get("stopped_at") != stopped_at:
        return gates_opened(stopped_at, inputs.hour)
    previous = gates_of_record(recorded, f"gate_evaluation.{grid.grid_id}")
    floor = spacing_floor_pct(policy.costs_of(inputs.key).round_trip_bps, policy.economics)
    notional = float(grid.parameters.amount_per_grid * grid.parameters.levels)
    readings = None if analysis is None else gate_readings(analysis, floor, notional)
    return gates_advanced(previous, inputs.hour, readings, policy.gates)


def _entry_before(grid: GridState, inputs: HourInputs) -> Mapping[str, Any] | None:
    """Return what the hour before recorded of this run of the grid."""
    entry = None if inputs.before is None else inputs.before.exits.get(grid.grid_id)
    if entry is None or grid.started_at is None or entry["started_at"] != instant_iso(grid.started_at):
        return None
    recorded: Mapping[str, Any] = entry
    return recorded


def _exit_fold(
    grid: GridState, before: Mapping[str, Any] | None, analysis: RegimeAnalysis | None, hour: Hour
) -> ExitFold:
    parameters = grid.parameters
    bounds = (
        float(parameters.lower),
        float(parameters.upper),
        None if parameters.stop_loss is None else float(parameters.stop_loss),
        None if analysis is None else analysis.atr or None,
    )
    if before is None:
        assert grid.started_at is not None, "a running grid was started"
        # one that starts at the very close is followed from the hour that has just closed
        return exit_opened(min(grid.started_at, hour.opens_at), *bounds)
    fold = exit_of_record(before["fold"], f"exit_evaluation.{grid.grid_id}")
    return fold if before["grid_version"] == parameters.version else moved(fold, *bounds)


def _exit_readings(
    inputs: HourInputs,
    analysis: RegimeAnalysis | None,
    fold: ExitFold,
    policy: Policy,
    profit: Profit | None,
) -> ExitReadings | None:
    regime = policy.engine.config
    if analysis is not None:
        return readings_of(analysis, fold, policy.exits, regime, profit)
    if not inputs.has_bar:
        return None
    close = int(inputs.window.bars[Timeframe.H1].close[-1]) / inputs.window.price_scale
    return readings_of_close(close, fold, policy.exits, regime, profit)


def _acknowledged_at(grid: GridState, inputs: HourInputs, fold: ExitFold) -> datetime | None:
    """Return when the operator last said of the present exit state: I know. A decline says so too.

    What was said of advice from before this state began was said of another one, however late it was said.
    """
    began = Hour.parse(fold.since).closes_at
    said = [
        action.at
        for advice in inputs.past
        if advice.grid_id == grid.grid_id and advice.action is Action.STOP_GRID and advice.closes_at >= began
        for action in advice.actions
        if action.action in (Answer.DECLINE, Answer.ACKNOWLEDGE)
    ]
    return max(said, default=None)


def _simulated(
    grid: GridState, before: Mapping[str, Any] | None, inputs: HourInputs, policy: Policy
) -> tuple[Simulated | None, str | None]:
    """Return the position after the hour, or why there is none."""
    costs = policy.costs_of(inputs.key)
    recorded = None if before is None else before["position"]
    same_version = before is not None and before["grid_version"] == grid.parameters.version
    try:
        if recorded is not None and same_version:
            return _carried_on(grid, recorded, inputs), None
        earlier = 0.0
        if recorded is not None:
            earlier = recorded["figures"]["net_profit"] + recorded["earlier_profit"]
        return _begun(grid, inputs, costs, earlier)
    except DataInvalid as problem:
        return None, str(problem)


def _carried_on(grid: GridState, recorded: Mapping[str, Any], inputs: HourInputs) -> Simulated:
    where = f"exit_evaluation.{grid.grid_id}.position"
    terms = PlanTerms.of_record(recorded["terms"], where)
    position = position_of_record(recorded["state"], where)
    bars = _bars_of_the_hour(inputs).between(position.last_ts + 1, inputs.hour.close_ts)
    finer = inputs.window.price_scale // terms.price_scale
    if finer > 1:
        terms, position = terms.rescaled(finer), position.rescaled(finer)
    elif finer == 0:  # the file that needed the finer scale has left the window
        bars = bars.rescaled(terms.price_scale // inputs.window.price_scale, 1)
    plan = terms.plan(grid.parameters)
    return Simulated(
        recorded["since"],
        terms,
        plan,
        position_advanced(position, plan, bars),
        recorded["earlier_profit"],
    )


def _begun(
    grid: GridState, inputs: HourInputs, costs: MarketCosts, earlier_profit: float
) -> tuple[Simulated | None, str | None]:
    if inputs.rules is None:
        return None, "the market's increments are not known in this hour"
    assert grid.in_force_since is not None, "a running grid runs under a version since an instant"
    first_ts = max(opening_ts(grid.in_force_since), inputs.hour.open_ts)
    bars = _bars_of_the_hour(inputs)
    start_price = _price_before(first_ts, bars, inputs)
    if start_price is None:
        return None, "the price at the grid's start is not known"
    terms = PlanTerms.of(start_price, inputs.window.price_scale, inputs.rules, costs.order)
    plan = terms.plan(grid.parameters)
    since = max(grid.in_force_since, inputs.hour.opens_at)
    position = position_advanced(position_opened(plan), plan, bars.between(first_ts, inputs.hour.close_ts))
    return Simulated(instant_iso(since), terms, plan, position, earlier_profit), None


def _bars_of_the_hour(inputs: HourInputs) -> Bars:
    """Return the hour's minutes; its one bar where only that is known."""
    if len(inputs.minutes):
        return inputs.minutes
    hour = inputs.hour
    return inputs.window.bars[Timeframe.H1].between(hour.open_ts, hour.close_ts)


def _price_before(first_ts: int, bars: Bars, inputs: HourInputs) -> int | None:
    """Return the price seen when a grid starts: the close before its first whole minute."""
    known = bars.between(inputs.hour.open_ts, first_ts)
    if len(known):
        return int(known.close[-1])
    earlier = inputs.window.bars[Timeframe.H1].between(0, inputs.hour.open_ts)
    if len(earlier):
        return int(earlier.close[-1])
    return int(bars.open[0]) if len(bars) else None


def carried_exits(inputs: HourInputs, policy: Policy) -> dict[str, dict[str, Any]]:
    """Return the record of running grids in an hour without a snapshot: nothing is known, nothing eased."""
    found: dict[str, dict[str, Any]] = {}
    for grid_id, entry in (inputs.before.exits if inputs.before else {}).items():
        fold = exit_of_record(entry["fold"], f"exit_evaluation.{grid_id}")
        exits = exit_advanced(fold, inputs.hour, None, policy.exits)
        trial = entry["trial"]
        if trial is not None:
            memory = trial_of_record(trial["memory"])
            trial = Trial(trial_advanced(memory, None, policy.probation)).as_value()
        found[grid_id] = {**entry, **exits.as_value(), "risk": None, "trial": trial}
    return found


def carried_gates(inputs: HourInputs, policy: Policy) -> dict[str, GateEvaluation]:
    """Return the gates of stopped grids in an hour without a snapshot: FAILED for want of data."""
    recorded = inputs.before.gates if inputs.before else {}
    return {
        grid_id: gates_advanced(
            gates_of_record(entry, f"gate_evaluation.{grid_id}"), inputs.hour, None, policy.gates
        )
        for grid_id, entry in recorded.items()
    }
