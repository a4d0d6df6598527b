"""The gates' evaluation as it stands in the metrics file of the hour, and back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from market.errors import DataInvalid
from market.hours import Hour, parse_instant
from market.values import ValueForm
from regime.gates.fold import GATES, GateEvaluation, GateStatus

_FORM = ValueForm(GateEvaluation)


def as_record(evaluation: GateEvaluation) -> dict[str, Any]:
    """Return the evaluation as mappings, lists, strings and numbers: all that the next hour needs."""
    return _FORM.as_record(evaluation)


def of_record(record: object, where: str = "gate_evaluation") -> GateEvaluation:
    """Return the evaluation that `as_record` wrote.

    Args:
        record: As read from YAML or JSON.
        where: The file, for the error.

    Raises:
        DataInvalid: A field is missing, unknown, of another kind, or contradicts another one.
    """
    evaluation = _FORM.of_record(record, where)
    for field, problem in _contradictions(evaluation):
        raise DataInvalid(where, field, problem)
    return evaluation


def _contradictions(evaluation: GateEvaluation) -> Iterator[tuple[str, str]]:
    for name, read in (("stopped_at", parse_instant), ("hour", Hour.parse)):
        try:
            read(getattr(evaluation, name))
        except ValueError as error:
            yield name, str(error)
    if (evaluation.lower is None) != (evaluation.upper is None):
        yield "upper", "lower and upper are known together"
    if evaluation.lower is not None and evaluation.upper is not None and evaluation.lower > evaluation.upper:
        yield "upper", f"{evaluation.upper} is below lower {evaluation.lower}"
    if evaluation.transition_bars < 0:
        yield "transition_bars", f"{evaluation.transition_bars} is negative"
    before: GateStatus | None = None
    for at, gate in enumerate(evaluation.gates):
        if gate.name != GATES[at]:
            yield f"gates.{at}.name", f"expected {GATES[at]}, found {gate.name}"
        if gate.status != "NOT_EVALUATED" and before is not None and before.status != "PASSED":
            yield f"gates.{at}.status", f"{gate.status} while {before.name} is {before.status}"
        if (gate.status == "PASSED") != (gate.passed_at is not None):
            yield f"gates.{at}.passed_at", f"{gate.passed_at} in a gate that is {gate.status}"
        if gate.streak < 0:
            yield f"gates.{at}.streak", f"{gate.streak} is negative"
        before = gate
