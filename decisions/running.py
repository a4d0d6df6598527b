"""Advice about a running grid: go on, move it, or stop it."""

from __future__ import annotations

from dataclasses import asdict

from decisions.checks import Check, fact, number
from decisions.following import RunningHour, in_words
from decisions.inputs import HourInputs, Policy
from decisions.offer import Offer, offer_of, proposed_value
from decisions.recommendation import Action, Alternative, Kind, Recommendation, Stated, decision_id
from exits.advice import escalations, stop_advised
from exits.states import ExitState
from grid.checks import above
from grid.economics import Comparison, comparison, spacing_factor, spacing_pct
from regime.analysis import RegimeAnalysis
from regime.precision import score

_PASSED = "the trial has passed every condition"


def manage(
    hour: RunningHour, inputs: HourInputs, analysis: RegimeAnalysis | None, policy: Policy
) -> Recommendation:
    """Return what to do with a running grid.

    In order: an exit state or a quick stop that ends it; no advice where the hour could not be judged; a move
    where the range has wandered; else it goes on. Gates, cooldowns, capital and edge never keep a grid from
    being stopped.
    """
    grid = hour.grid
    stop = _why_stop(hour, analysis, policy)
    offer = offer_of(
        inputs,
        analysis,
        policy,
        since=None,
        version=grid.parameters.version + 1,
        without=grid.grid_id,
    )
    compared = None
    if offer.proposal is not None:
        maker = policy.costs_of(inputs.key).fees.maker_bps
        compared = comparison(grid.parameters, offer.proposal.parameters, maker)
    moved = _moved(hour, compared, offer, analysis, policy)
    action, reason = _choice(hour, stop, analysis, moved)
    louder = [trigger for trigger in escalations(hour.exits.fold, policy.exits) if trigger.fired]
    return Recommendation(
        id=decision_id(inputs.key, inputs.hour, grid.grid_id, grids=len(inputs.own_grids())),
        key=inputs.key,
        hour=inputs.hour,
        grid_id=grid.grid_id,
        grid_version=grid.parameters.version,
        kind=Kind.MANAGE,
        action=action,
        reason=reason,
        confidence=_stated(hour, action, policy, inputs.key),
        exit_state=hour.exits.state.value,
        checks=(_state_check(hour), *_stop_checks(hour, policy), *_trial_checks(hour), *moved),
        comparison=None if compared is None else asdict(compared),
        proposed=proposed_value(offer.proposal) if action is Action.ADJUST and offer.proposal else None,
        expected=offer.expected(),
        alternatives=_alternatives(action, stop, moved, hour),
        told_higher=louder[0].reason if louder else None,
    )


def _why_stop(hour: RunningHour, analysis: RegimeAnalysis | None, policy: Policy) -> str | None:
    verdict = None if analysis is None else analysis.verdict
    asked = stop_advised(hour.exits.state, verdict, policy.exits)
    if asked == hour.exits.state:
        return _state_in_words(hour)
    if asked is not None:
        return f"the verdict is {asked}"
    if hour.trial is not None and hour.trial.stops_because:
        return f"the trial ends: {hour.trial.stops_because}"
    simulated = hour.simulated
    if simulated is not None and simulated.position.stop_reason is not None:
        what = simulated.position.stop_reason.replace("_", "-")
        return f"its {what} was reached by the simulation; see whether the exchange has closed the grid"
    return None


def _choice(
    hour: RunningHour, stop: str | None, analysis: RegimeAnalysis | None, moved: tuple[Check, ...]
) -> tuple[Action, str]:
    passed = hour.trial is not None and hour.trial.passed_now
    beside = f"; {_PASSED}" if passed else ""
    if stop is not None:
        return Action.STOP_GRID, f"{stop}{beside}"
    if analysis is None:
        return Action.WITHHELD, "the hour could not be judged; look at the grid yourself"
    state = hour.exits.state
    may_move = state.rank <= ExitState.WARNING.rank  # beyond it a grid ends or is left alone
    if may_move and moved and all(check.passed for check in moved):
        return Action.ADJUST, f"{moved[0].reason}{beside}"
    if passed:
        return Action.CONTINUE, f"{_PASSED}: from now on it is an ordinary grid"
    if state is ExitState.NORMAL:
        return Action.CONTINUE, "the exit state is NORMAL: nothing asks for an end"
    return Action.CONTINUE, f"{_state_in_words(hour)}; stay ready to stop"


def _moved(
    hour: RunningHour,
    compared: Comparison | None,
    offer: Offer,
    analysis: RegimeAnalysis | None,
    policy: Policy,
) -> tuple[Check, ...]:
    """Return the checks of a repositioning; empty where nothing can be compared."""
    if compared is None or analysis is None or offer.proposal is None or compared.proposed is None:
        return ()
    apart = above("shift", compared.centre_shift_spacings, policy.advice.adjust_spacings, " x spacing")
    worth = offer.proposal.valid and offer.factor is not None
    kind = offer.proposal.kind
    told = "the new bounds make a grid" if worth else "the new bounds make no grid worth its fees"
    if worth and kind is not hour.kind:
        told = f"the new bounds make a {kind.value} grid, which this one is not"
    return (
        number("parameters", apart, "the centre of the range has moved by"),
        fact(
            "verdict",
            passed=analysis.verdict.is_range and analysis.range.valid,
            value=analysis.verdict.value,
            reason=f"the verdict is {analysis.verdict.value} on a range that is"
            f" {'valid' if analysis.range.valid else 'not valid'}",
        ),
        fact("parameters", passed=worth and kind is hour.kind, value=kind.value, reason=told),
    )


def _stated(hour: RunningHour, action: Action, policy: Policy, key: str) -> Stated:
    """Return the calibrated probability that the grid's own bounds hold, or 1 minus it for a stop.

    Where the score model is classic, its C takes the probability's place.
    """
    exits = hour.exits
    seen = exits.fold.classic_confidences if policy.exits.preset == "classic" else ()
    holds = seen[-1] if seen and seen[-1] is not None else exits.hold
    if holds is None or action is Action.WITHHELD:
        return Stated(None)
    if action is Action.STOP_GRID:
        return Stated(score(1 - holds), {"ends": score(1 - holds)})
    factor = spacing_factor(
        spacing_pct(hour.grid.parameters), policy.costs_of(key).round_trip_bps, policy.economics
    )
    spacing = policy.economics.penalty_at_worst if factor is None else factor
    return Stated(score(holds * spacing), {"holds": score(holds), "spacing": spacing})


def _state_check(hour: RunningHour) -> Check:
    state = hour.exits.state
    return fact(
        "exit_state", passed=state is ExitState.NORMAL, value=state.value, reason=_state_in_words(hour)
    )


def _state_in_words(hour: RunningHour) -> str:
    return f"{hour.exits.state.value}: {'; '.join(hour.exits.reasons) or 'no trigger fired'}"


def _stop_checks(hour: RunningHour, policy: Policy) -> tuple[Check, ...]:
    """Return every acting trigger that would end the grid, fired or not; an unknown one does not block."""
    states = [ExitState.MANDATORY_EXIT]
    if policy.exits.stops_at_latest_acceptable:
        states.append(ExitState.LATEST_ACCEPTABLE_EXIT)
    return tuple(
        Check(
            "exit_state",
            None if trigger.fired is None else not trigger.fired,
            trigger.value,
            trigger.threshold,
            trigger.distance,
            trigger.reason,
        )
        for state in states
        for trigger in hour.exits.triggers[state]
        if trigger.acts
    )


def _trial_checks(hour: RunningHour) -> tuple[Check, ...]:
    """Return what would end the trial; an unknown number does not."""
    return (
        ()
        if hour.trial is None
        else tuple(
            Check("exit_state", rule.passed, rule.value, rule.threshold, rule.distance, in_words(rule))
            for rule in hour.trial.endings
        )
    )


def _alternatives(
    action: Action, stop: str | None, moved: tuple[Check, ...], hour: RunningHour
) -> tuple[Alternative, ...]:
    found = []
    if stop is None:
        state = hour.exits.state.value
        found.append(Alternative(Action.STOP_GRID, f"the exit state {state} does not ask for it"))
    else:
        found.append(Alternative(Action.CONTINUE, stop))
    failed = next((check for check in moved if not check.passed), None)
    if action not in (Action.ADJUST, Action.STOP_GRID) and failed is not None:
        found.append(Alternative(Action.ADJUST, failed.reason))
    return tuple(found)
