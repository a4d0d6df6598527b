"""The spine: what one hour may know goes in, what was found comes out. Pure.

Live, replay and backtest call this one function. It reads in the order of the judgement:
regime > gates > exits > recommendation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from decisions.following import (
    RunningHour,
    carried_exits,
    carried_gates,
    follow_running,
    follow_stopped,
)
from decisions.inputs import HourInputs, Policy
from decisions.offer import last_stopped, offer_of
from decisions.recommendation import Action, Kind, Recommendation, Stated, decision_id
from decisions.running import manage
from decisions.stopped import setup
from market.hours import parse_instant
from market.snapshot import MINUTES
from regime.analysis import ENGINE_VERSION, Insufficient, RegimeAnalysis
from regime.gates.fold import GateEvaluation
from regime.gates.record import as_record as gates_record


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What was found in one hour.

    Attributes:
        outcome: `analysed`, `insufficient` (data there, but not enough to judge) or `no_data`.
        reason: Why there is no verdict; None when there is one.
        gates: Of each stopped grid, by its id.
        running: Of each running grid.
        carried: Records of running grids in an hour without a snapshot: nothing new is known of them.
        advice: What the operator is advised, one record a grid.
    """

    inputs: HourInputs
    config_hash: str
    engine_version: int
    outcome: str
    reason: str | None
    analysis: RegimeAnalysis | None
    gates: Mapping[str, GateEvaluation] = field(default_factory=dict)
    running: tuple[RunningHour, ...] = ()
    carried: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    advice: tuple[Recommendation, ...] = ()

    @property
    def name(self) -> str:
        """Return `{key}/{hour}`, the cycle's name."""
        return f"{self.inputs.key}/{self.inputs.hour}"

    def gates_value(self) -> dict[str, dict[str, Any]]:
        """Return the gates as the hour's record holds them."""
        return {grid_id: gates_record(found) for grid_id, found in sorted(self.gates.items())}

    def exits_value(self) -> dict[str, dict[str, Any]]:
        """Return the running grids as the hour's record holds them."""
        found = {hour.grid.grid_id: hour.as_value() for hour in self.running} | dict(self.carried)
        return dict(sorted(found.items()))


def evaluate(inputs: HourInputs, policy: Policy) -> Evaluation:
    """Judge one hour by what it may know; the cautious answer where data is missing.

    Raises:
        DataInvalid: The record of the hour before is not what was written.
    """
    outcome, reason, analysis = _judge(inputs, policy)
    if inputs.grids is None:
        return _without_snapshot(inputs, policy, outcome, reason, analysis)
    own = inputs.own_grids()
    before = last_stopped(tuple(grid for grid in own if not grid.running))
    since = None if before is None else before.stopped_at
    version = 1 if before is None else before.parameters.version + 1
    offer = offer_of(inputs, analysis, policy, since=since, version=version)
    gates = {
        grid.grid_id: found
        for grid in own
        if not grid.running and (found := follow_stopped(grid, inputs, analysis, policy))
    }
    running = tuple(follow_running(grid, inputs, analysis, policy) for grid in own if grid.running)
    advice = tuple(manage(hour, inputs, analysis, policy) for hour in running)
    if not running:
        advice = (setup(inputs, analysis, reason, offer, gates, policy),)
    return Evaluation(
        inputs=inputs,
        config_hash=policy.config_hash,
        engine_version=ENGINE_VERSION,
        outcome=outcome,
        reason=reason,
        analysis=analysis,
        gates=gates,
        running=running,
        advice=advice,
    )


def _judge(inputs: HourInputs, policy: Policy) -> tuple[str, str | None, RegimeAnalysis | None]:
    quality = inputs.window.quality
    if not inputs.has_bar and quality.missing >= MINUTES:
        return "no_data", "none of the hour's 60 minutes could be had", None
    if quality.missing > policy.max_missing_minutes or not inputs.has_bar:
        return (
            "insufficient",
            f"{quality.missing} of 60 minutes are missing, at most {policy.max_missing_minutes} may be",
            None,
        )
    found = policy.engine.analyze(inputs.window)
    if isinstance(found, Insufficient):
        return "insufficient", found.reason, None
    return "analysed", None, found


def _without_snapshot(
    inputs: HourInputs,
    policy: Policy,
    outcome: str,
    reason: str | None,
    analysis: RegimeAnalysis | None,
) -> Evaluation:
    """Return an hour of which no snapshot tells how the grids stood: their records are carried on."""
    carried, gates = carried_exits(inputs, policy), carried_gates(inputs, policy)
    told = "no snapshot of the hour tells how the grids stood"
    known = len({*carried, *gates})
    grids = sorted(carried) or [_newest_stop(gates) or f"{inputs.key.lower()}-1"]
    advice = tuple(
        Recommendation(
            id=decision_id(inputs.key, inputs.hour, grid_id, grids=known),
            key=inputs.key,
            hour=inputs.hour,
            grid_id=grid_id,
            grid_version=carried[grid_id]["grid_version"] if grid_id in carried else None,
            kind=Kind.MANAGE if grid_id in carried else Kind.SETUP,
            action=Action.WITHHELD if grid_id in carried else Action.NO_SETUP,
            reason=f"{reason}; {told}" if reason else told,
            confidence=Stated(None),
            exit_state=carried[grid_id]["state"] if grid_id in carried else None,
            checks=(),
        )
        for grid_id in grids
    )
    return Evaluation(
        inputs=inputs,
        config_hash=policy.config_hash,
        engine_version=ENGINE_VERSION,
        outcome=outcome,
        reason=reason,
        analysis=analysis,
        gates=gates,
        carried=carried,
        advice=advice,
    )


def _newest_stop(gates: Mapping[str, GateEvaluation]) -> str | None:
    stops = [(parse_instant(found.stopped_at), grid_id) for grid_id, found in gates.items()]
    return max(stops)[1] if stops else None
