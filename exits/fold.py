"""The exit state of one hour: what was, what the hour brought, what is now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from exits.baseline import Baseline, baseline_of
from exits.config import ExitsConfig
from exits.counting import observed, streak
from exits.latest_acceptable import latest_acceptable_triggers
from exits.mandatory import mandatory_triggers
from exits.memory import ExitFold, as_record
from exits.readings import NOTHING_KNOWN, ExitReadings
from exits.states import ExitState
from exits.triggers import Trigger
from exits.warning import warning_conditions
from market.hours import Hour

Triggers = Mapping[ExitState, tuple[Trigger, ...]]


@dataclass(frozen=True, slots=True)
class ExitEvaluation:
    """What was found for one grid in one hour.

    Attributes:
        fold: What the next hour starts from.
        came_from: State before the hour.
        called_for: State that the hour's own triggers ask for; the state itself may be held above it.
        triggers: All of them, by the state that they lead to.
        reasons: Why the state is what it is: the acting triggers that fired, or what holds it.
        not_evaluable: Names of the acting triggers without an answer.
        warning_worth: Of the conditions that fired and act.
        baseline: What half-life and ATR were compared with.
        survival, hold: pf and its calibrated value.
    """

    fold: ExitFold
    came_from: ExitState
    called_for: ExitState
    triggers: Triggers
    reasons: tuple[str, ...]
    not_evaluable: tuple[str, ...]
    warning_worth: int
    baseline: Baseline
    survival: float | None
    hold: float | None

    @property
    def state(self) -> ExitState:
        return self.fold.state

    @property
    def changed(self) -> bool:
        return self.state is not self.came_from

    def as_value(self) -> dict[str, Any]:
        """Return the evaluation as plain values for the hour's record; `fold` is what `of_record` reads."""
        return {
            "state": self.state.value,
            "from": self.came_from.value,
            "since": self.fold.since,
            "called_for": self.called_for.value,
            "reasons": list(self.reasons),
            "not_evaluable": list(self.not_evaluable),
            "survival": self.survival,
            "hold": self.hold,
            "warning_worth": self.warning_worth,
            "baseline": asdict(self.baseline),
            "triggers": {
                state.value: {trigger.name: _without_name(trigger) for trigger in triggers}
                for state, triggers in self.triggers.items()
            },
            "fold": as_record(self.fold),
        }


def advanced(
    previous: ExitFold,
    hour: Hour,
    readings: ExitReadings | None,
    config: ExitsConfig,
    acknowledged_at: datetime | None = None,
) -> ExitEvaluation:
    """Return one hour's exit state.

    A state is taken at once and left one level at a time: after `clean_bars` bars in a row in which nothing
    asks for it, MANDATORY_EXIT only after an acknowledgement and `acknowledged_clean_bars` more. A bar that
    is not judged, or in which an acting trigger that could hold the state has no answer, is not clean.

    Args:
        previous: After the hour before; hours left out since count as unjudged.
        hour: The one that has closed.
        readings: What it gave; None for nothing.
        config: Preset and thresholds.
        acknowledged_at: Newest instant at which the operator acknowledged this grid's state, aware. It counts
            for a MANDATORY_EXIT already told by then, and not before the hour that it falls in.

    Raises:
        ValueError: The hour does not come after the last one.
    """
    readings = readings or NOTHING_KNOWN
    fold = observed(previous, hour, readings, config)
    baseline = baseline_of(fold, readings)
    latest = latest_acceptable_triggers(readings, fold, baseline, config)
    late = _fires(latest)
    fold = replace(fold, late_bars=streak(fold.late_bars, another=late))
    triggers: Triggers = {
        ExitState.MANDATORY_EXIT: mandatory_triggers(readings, fold, config, late=late),
        ExitState.LATEST_ACCEPTABLE_EXIT: latest,
        ExitState.WARNING: warning_conditions(readings, fold, baseline, config),
    }
    called_for = _called_for(triggers, config, (True,))
    at_worst = _called_for(triggers, config, (True, None)) if readings.judged else ExitState.MANDATORY_EXIT
    unjudged = () if readings.judged else ("the hour could not be judged",)
    fold, held = _stepped(fold, hour, called_for, at_worst, config, acknowledged_at)
    return ExitEvaluation(
        fold=fold,
        came_from=previous.state,
        called_for=called_for,
        triggers=triggers,
        reasons=(*_reasons(triggers, called_for), *held, *unjudged),
        not_evaluable=tuple(t.name for each in triggers.values() for t in each if t.acts and t.fired is None),
        warning_worth=_worth(triggers[ExitState.WARNING], (True,)),
        baseline=baseline,
        survival=readings.survival,
        hold=readings.hold,
    )


def _fires(triggers: tuple[Trigger, ...]) -> bool | None:
    """Return whether an acting trigger fires; None where none does and one has no answer."""
    answers = {trigger.fired for trigger in triggers if trigger.acts}
    if True in answers:
        return True
    return None if None in answers else False


def _called_for(triggers: Triggers, config: ExitsConfig, counts: tuple[bool | None, ...]) -> ExitState:
    """Return the highest state that acting triggers lead to, by the answers that count as fired."""
    for state in (ExitState.MANDATORY_EXIT, ExitState.LATEST_ACCEPTABLE_EXIT):
        if any(trigger.acts and trigger.fired in counts for trigger in triggers[state]):
            return state
    warned = _worth(triggers[ExitState.WARNING], counts) >= config.warning_worth
    return ExitState.WARNING if warned else ExitState.NORMAL


def _worth(conditions: tuple[Trigger, ...], counts: tuple[bool | None, ...]) -> int:
    return sum(condition.worth for condition in conditions if condition.acts and condition.fired in counts)


def _stepped(
    fold: ExitFold,
    hour: Hour,
    called_for: ExitState,
    at_worst: ExitState,
    config: ExitsConfig,
    acknowledged_at: datetime | None,
) -> tuple[ExitFold, tuple[str, ...]]:
    """Return the fold with its state judged, and what holds the state above what is called for."""
    state = fold.state
    if called_for.rank > state.rank:
        return replace(fold, state=called_for, since=hour.iso(), clean_bars=0), ()
    latched = state is ExitState.MANDATORY_EXIT
    acknowledged = latched and (fold.acknowledged or _acknowledges(acknowledged_at, fold, hour))
    if called_for is state:
        return replace(fold, clean_bars=0, acknowledged=acknowledged), ()
    if latched and not acknowledged:
        return fold, ("latched until the grid is stopped, or acknowledged",)
    clean = at_worst.rank < state.rank
    bars = fold.clean_bars + 1 if clean else 0
    needed = config.acknowledged_clean_bars if latched else config.clean_bars
    if bars >= needed:
        eased = replace(fold, state=state.calmer, since=hour.iso(), clean_bars=0, acknowledged=False)
        return eased, (f"{needed} clean bars in a row after {state}",)
    unclear = "" if clean else ", this one leaves it open"
    return (
        replace(fold, clean_bars=bars, acknowledged=acknowledged),
        (f"held until {needed} bars in a row are clean, {bars} so far{unclear}",),
    )


def _acknowledges(acknowledged_at: datetime | None, fold: ExitFold, hour: Hour) -> bool:
    told_at = Hour.parse(fold.since).closes_at
    return acknowledged_at is not None and told_at <= acknowledged_at <= hour.closes_at


def _reasons(triggers: Triggers, called_for: ExitState) -> tuple[str, ...]:
    return tuple(t.reason for t in triggers.get(called_for, ()) if t.acts and t.fired)


def _without_name(trigger: Trigger) -> dict[str, Any]:
    return {name: value for name, value in asdict(trigger).items() if name != "name"}
