"""Advice about starting a grid: a whole one, one on trial, or none, with the first reason why not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from decisions.checks import Check, fact, first_block, number
from decisions.inputs import HourInputs, Policy
from decisions.offer import Offer, confidence_band, last_stopped, proposed_value, sureness
from decisions.recommendation import Action, Alternative, Kind, Recommendation, Stated, decision_id
from decisions.timers import cooldown_of
from exits.memory import opened as exit_opened
from exits.readings import survival_within
from grid.checks import above, at_least, first_failed
from grid.economics import comparison
from grid.parameters import GridKind
from grid.state import GridState
from regime.analysis import RegimeAnalysis
from regime.gates.conditions import DATA, Condition
from regime.gates.fold import GateEvaluation


def setup(
    inputs: HourInputs,
    analysis: RegimeAnalysis | None,
    reason: str | None,
    offer: Offer,
    gates: Mapping[str, GateEvaluation],
    policy: Policy,
) -> Recommendation:
    """Return whether to start a grid in a market where none runs.

    Every check is made and recorded; the first that fails, in their order, is the reason why not. Only when
    none of them blocks is a grid proposed.

    Args:
        inputs, analysis: Of the hour.
        reason: Why there is no analysis.
        offer: What could be set up.
        gates: Of the market's stopped grids.
        policy: The rules.
    """
    before = last_stopped(inputs.own_grids())
    kind = _kind(analysis, offer, policy)
    checks = (
        _permission(policy),
        _data(analysis, reason),
        *_verdict(analysis),
        _exit_state(inputs, analysis, offer, policy),
        _cooldown(inputs, before, policy),
        _gates(before, gates),
        _capital(offer),
        *_confidence(analysis, offer, policy, inputs.key),
        *_parameters(offer, before, policy),
        _edge(offer, policy),
    )
    block = first_block(checks)
    action = Action.NO_SETUP
    if block is None:
        action = Action.CREATE_GRID if kind is GridKind.NORMAL else Action.CREATE_PROBATIONARY_GRID
    compared = None
    if offer.proposal is not None and offer.proposal.parameters is not None and before is not None:
        maker = policy.costs_of(inputs.key).fees.maker_bps
        compared = asdict(comparison(before.parameters, offer.proposal.parameters, maker))
    stated, factors = _stated(analysis, offer)
    grid_id = grid_to_set_up(inputs, kind)
    return Recommendation(
        id=decision_id(inputs.key, inputs.hour, grid_id, grids=len(inputs.own_grids())),
        key=inputs.key,
        hour=inputs.hour,
        grid_id=grid_id,
        grid_version=_version(inputs, grid_id),
        kind=Kind.SETUP,
        action=action,
        reason=_why(action, block, offer),
        confidence=Stated(stated, factors),
        exit_state=None,
        checks=checks,
        comparison=compared,
        proposed=None if offer.proposal is None else proposed_value(offer.proposal),
        expected=offer.expected(),
        alternatives=_alternatives(action, block),
        expires_at=inputs.hour.closes_at + timedelta(minutes=policy.advice.setup_expires_min)
        if action.creates
        else None,
    )


def grid_to_set_up(inputs: HourInputs, kind: GridKind | None) -> str:
    """Return the grid that a setup is for: the last stopped one of its kind, else a new one.

    A grid's kind stands in its file and never changes, so a trial after a normal grid is a grid of its own.
    """
    own = inputs.own_grids()
    fitting = tuple(grid for grid in own if kind is None or grid.kind is kind)
    before = last_stopped(fitting)
    if before is not None:
        return before.grid_id
    never_ran = next((grid for grid in fitting if grid.started_at is None), None)
    if never_ran is not None:
        return never_ran.grid_id
    taken = {grid.grid_id for grid in inputs.grids or ()}
    number_ = 1
    while f"{inputs.key.lower()}-{number_}" in taken:
        number_ += 1
    return f"{inputs.key.lower()}-{number_}"


def _version(inputs: HourInputs, grid_id: str) -> int | None:
    return next((grid.parameters.version for grid in inputs.own_grids() if grid.grid_id == grid_id), None)


def _kind(analysis: RegimeAnalysis | None, offer: Offer, policy: Policy) -> GridKind | None:
    if analysis is None or offer.factor is None:
        return None
    return confidence_band(analysis, offer.factor, policy).kind


def _permission(policy: Policy) -> Check:
    stopped = policy.advice.kill_switch
    why = "the kill switch is set: no setups" if stopped else "no kill switch is set"
    return fact("permission", passed=not stopped, value=None, reason=why)


def _data(analysis: RegimeAnalysis | None, reason: str | None) -> Check:
    passed = analysis is not None
    return fact("data", passed=passed, value=None, reason=reason or "the hour could be judged")


def _verdict(analysis: RegimeAnalysis | None) -> tuple[Check, ...]:
    if analysis is None:
        return (fact("verdict", passed=False, value=None, reason="no verdict without an analysis"),)
    verdict, drawn = analysis.verdict, analysis.range
    inside = drawn.lower < analysis.price < drawn.upper
    return (
        fact(
            "verdict",
            passed=verdict.is_range,
            value=verdict.value,
            reason=f"the verdict is {verdict.value}"
            + ("" if verdict.is_range else "; a setup needs RANGE_OK or RANGE_WEAK"),
        ),
        fact(
            "verdict",
            passed=drawn.valid,
            value="valid" if drawn.valid else "not valid",
            reason="the range is valid"
            if drawn.valid
            else "the market has no valid range: too few touches, too narrow, too wide or too often left",
        ),
        fact(
            "verdict",
            passed=inside,
            value="inside" if inside else "outside",
            reason=f"the price {analysis.price:.9g} is {'inside' if inside else 'not inside'}"
            f" {drawn.lower:.9g} to {drawn.upper:.9g}",
        ),
    )


def _exit_state(inputs: HourInputs, analysis: RegimeAnalysis | None, offer: Offer, policy: Policy) -> Check:
    """Return whether the grid, once started, would be warned of at once; not asked where there are no bounds.

    Without bounds there is no proposal either, and `_parameters` blocks.
    """
    if analysis is None or offer.drawn is None:
        return fact("exit_state", passed=None, value=None, reason="there are no bounds to judge")
    bounds = offer.drawn.lower, offer.drawn.upper
    if offer.proposal is not None and offer.proposal.parameters is not None:
        bounds = float(offer.proposal.parameters.lower), float(offer.proposal.parameters.upper)
    born = exit_opened(inputs.hour.closes_at, *bounds, None, analysis.atr)
    survival, _ = survival_within(
        analysis.price, analysis.atr, analysis.hourly_sigma, born, policy.exits, policy.engine.config
    )
    held = at_least("hold", survival, policy.exits.hold_doubtful)
    return number("exit_state", held, "probability that such bounds hold for 24 h:")


def _cooldown(inputs: HourInputs, before: GridState | None, policy: Policy) -> Check:
    at = inputs.hour.closes_at
    stopped_at = None if before is None else before.stopped_at
    ids = {grid.grid_id for grid in inputs.own_grids()} | {advice.grid_id for advice in inputs.past}
    found = [
        cooldown_of(
            grid_id,
            at,
            stopped_at if before is not None and grid_id == before.grid_id else None,
            inputs.past,
            policy.advice,
        )
        for grid_id in sorted(ids)
    ]
    lasting = [cooldown for cooldown in found if not cooldown.is_over(at) and cooldown.until is not None]
    if not lasting:
        return Check("cooldown", passed=True, value=0.0, threshold=0.0, distance=0.0, reason="no rest is due")
    longest = max(lasting, key=lambda cooldown: cooldown.until or at)
    assert longest.until is not None
    left = (longest.until - at).total_seconds() / 60
    return Check(
        "cooldown",
        passed=False,
        value=round(left, 3),
        threshold=0.0,
        distance=round(-left, 3),
        reason=f"resting until {longest.until:%Y-%m-%d %H:%M} UTC: {longest.reason}",
    )


def _gates(before: GridState | None, gates: Mapping[str, GateEvaluation]) -> Check:
    if before is None:
        return fact("gates", passed=True, value=None, reason="no grid was ever stopped here: nothing to gate")
    found = gates.get(before.grid_id)
    if found is None:
        return fact("gates", passed=False, value=None, reason="the gates could not be evaluated")
    waiting = found.waiting_for
    if waiting is None:
        return fact("gates", passed=True, value="PASSED", reason="all three restart gates have passed")
    gate = next(each for each in found.gates if each.name == waiting)
    told = "; ".join(_in_words(each) for each in gate.details if not each.held)
    if found.reset_by is not None:
        told = f"all gates begin anew after {found.reset_by}"
    elif gate.status == "NOT_EVALUATED":
        told = "it is judged from the next hour on"
    elif not told:
        told = f"its conditions have held for {gate.streak} h, not long enough yet"
    return fact("gates", passed=False, value=waiting, reason=f"gate {waiting} is {gate.status}: {told}")


def _in_words(condition: Condition) -> str:
    name = condition.name.replace("_", " ")
    if condition.value is None or condition.threshold is None or condition.distance is None:
        return f"{name} {'is not known' if condition.reason == DATA else condition.reason}"
    return f"{name} {condition.value:.4g} is {abs(condition.distance):.4g} off {condition.threshold:.4g}"


def _capital(offer: Offer) -> Check:
    spare = offer.allocation
    where = " of the balances on the exchange" if spare.capital.by_exchange else ""
    why = spare.refused or f"{spare.amount} may be used{where}, {spare.capital.reserve} stay in reserve"
    amount = float(spare.amount)
    return Check("capital", spare.refused is None, amount, 0.0, amount, why)


def _confidence(analysis: RegimeAnalysis | None, offer: Offer, policy: Policy, key: str) -> tuple[Check, ...]:
    """Return whether the confidence allows a grid; not asked without one, and then `_parameters` blocks."""
    if analysis is None or offer.proposal is None or offer.proposal.spacing_pct is None:
        return (fact("confidence", passed=None, value=None, reason="there is no grid to be sure of"),)
    if offer.factor is None:
        least = policy.economics.invalid_below_multiple * policy.costs_of(key).round_trip_bps / 100
        narrow = at_least("spacing", offer.proposal.spacing_pct, least, " %")
        why = f"so narrow a spacing leaves no confidence: {narrow.reason}"
        return (Check("confidence", False, narrow.value, narrow.threshold, narrow.distance, why),)
    band = confidence_band(analysis, offer.factor, policy)
    return (number("confidence", band.check, "confidence"),)


def _parameters(offer: Offer, before: GridState | None, policy: Policy) -> tuple[Check, ...]:
    if before is not None and offer.bars is not None:
        fresh = at_least("bars", offer.bars, policy.advice.fresh_hours, " h")
        if not fresh.passed:
            return (number("parameters", fresh, "bars since the stop:"),)
        if offer.drawn is not None and not offer.drawn.valid:
            why = f"the {offer.bars} h since the stop make no valid range yet"
            return (fact("parameters", passed=False, value="not valid", reason=why),)
    if offer.proposal is None:
        why = "no grid can be proposed: increments, range or ATR are not known"
        return (fact("parameters", passed=False, value=None, reason=why),)
    failed = first_failed(offer.proposal.checks)
    if failed is not None:
        return (number("parameters", failed, _CONDITIONS.get(failed.name, failed.name)),)
    parameters = offer.proposal.parameters
    if before is not None and parameters is not None and parameters.same_ladder(before.parameters):
        why = "the proposal is the grid that was stopped"
        return (fact("parameters", passed=False, value=None, reason=why),)
    return (fact("parameters", passed=True, value=None, reason="the proposal holds all its conditions"),)


def _edge(offer: Offer, policy: Policy) -> Check:
    required, edge = policy.economics.require_positive_edge, offer.edge
    if edge is None:
        told = "the edge after fees is not yet measurable"
        return fact("edge", passed=False if required else None, value=None, reason=told)
    told = expected_in_words(offer.expected()) or ""
    found = above("edge", edge.low, 0.0, " bps")
    passed = (found.passed is True) if required else None
    if passed is False:
        told = f"no edge after fees: {told}; the low end has to be above 0"
    return Check("edge", passed, found.value, found.threshold, found.distance, told)


_CONDITIONS = {
    "price_inside": "the price",
    "levels": "levels:",
    "sizes": "order sizes:",
    "spacing": "spacing",
    "net_cycle": "net return of a cycle",
    "net_cycle_fee": "net return of a cycle",
    "order_size": "smallest order",
    "notional": "capital that it takes:",
    "band": "confidence of a trial",
}


def expected_in_words(expected: Mapping[str, Any] | None) -> str | None:
    """Return a recorded expectation as a sentence, None where there is none."""
    if expected is None:
        return None
    even = expected.get("break_even_bps")
    last = "" if even is None else f"; break-even near {even:.0f} bps"
    return (
        f"expected {expected['net_bps_24h']:+.0f} bps in 24 h [{expected['low']:+.0f},"
        f" {expected['high']:+.0f}] at {expected['maker_bps']:g} bps maker{last}"
    )


def warned_in_words(expected: Mapping[str, Any] | None) -> str | None:
    """Return a recorded expectation as a sentence that does not let a loss pass as a figure."""
    told = expected_in_words(expected)
    if expected is None or expected["low"] > 0:
        return told
    fate = "have lost on average" if expected["net_bps_24h"] < 0 else "may well lose"
    return f"{told}. Such grids {fate}: it is proposed only because economics.require_positive_edge is off"


def _stated(analysis: RegimeAnalysis | None, offer: Offer) -> tuple[float | None, dict[str, float]]:
    if analysis is None:
        return None, {}
    market = analysis.confidence.value
    if offer.factor is None:
        return None, {"market": market}
    return sureness(analysis, offer.factor), {"market": market, "spacing": offer.factor}


def _why(action: Action, block: Check | None, offer: Offer) -> str:
    if block is not None:
        return block.reason
    size = "" if action is Action.CREATE_GRID else "; the confidence is enough for a smaller grid on trial"
    drawn = "" if offer.drawn is None else f" of {offer.drawn.lookback_h} h"
    return f"the price is inside a valid range{drawn}, and every check passed{size}"


def _alternatives(action: Action, block: Check | None) -> tuple[Alternative, ...]:
    if action is Action.NO_SETUP and block is not None:
        return (Alternative(Action.CREATE_GRID, block.reason),)
    return (Alternative(Action.NO_SETUP, "nothing stands against a setup"),)
