"""One trigger's answer: what was measured, against what, how far off, and whether the preset acts on it."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass, replace

from regime.precision import known, significant


@dataclass(frozen=True, slots=True)
class Trigger:
    """One rule in one hour.

    Attributes:
        fired: None where it could not be evaluated; that is told, never taken for False.
        value: As compared, rounded to 9 significant digits; None where unknown or without bound.
        threshold: None where the rule compares with nothing (no stop-loss set, no baseline).
        distance: From value to threshold, positive on the side where nothing fires.
        acts: The preset acts on it.
        worth: What a WARNING condition counts; 0 for the triggers of the higher states.
    """

    name: str
    fired: bool | None
    reason: str
    value: float | None
    threshold: float | None
    distance: float | None
    acts: bool
    worth: int = 0

    def unanswered(self, why: str) -> Trigger:
        """Return the same rule in an hour in which it cannot be evaluated."""
        return replace(self, fired=None, reason=f"not evaluable: {why}", value=None, distance=None)


@dataclass(frozen=True, slots=True)
class Rule:
    """How a value is compared; `rising` where larger values fire."""

    symbol: str
    holds: Callable[[float, float], bool]
    rising: bool


ABOVE = Rule("above", operator.gt, rising=True)
AT_LEAST = Rule("at or above", operator.ge, rising=True)
BELOW = Rule("below", operator.lt, rising=False)
AT_MOST = Rule("at or below", operator.le, rising=False)


def measured(
    name: str,
    what: str,
    value: float | None,
    rule: Rule,
    threshold: float | None,
    *,
    acts: bool,
    worth: int = 0,
    missing: str = "not known in this hour",
) -> Trigger:
    """Return the answer of a rule that compares one number.

    Args:
        name: The trigger's.
        what: The number, in the operator's words.
        value: None where unknown; infinity is larger than every threshold.
        rule: The comparison.
        threshold: None where unknown: not evaluable either.
        acts: The preset acts on it.
        worth: See `Trigger`.
        missing: Why it is not evaluable, where it is not.
    """
    if value is None or threshold is None:
        limit = None if threshold is None else significant(threshold)
        return Trigger(name, None, f"not evaluable: {what} {missing}", None, limit, None, acts, worth)
    value, threshold = significant(value), significant(threshold)
    distance = threshold - value if rule.rising else value - threshold
    shown = "without bound" if known(value) is None else f"{value:.4g}"
    fired = rule.holds(value, threshold)
    asked = f"{'' if fired else 'fires '}{rule.symbol} {threshold:.4g}"
    return Trigger(
        name,
        fired,
        f"{what}: {shown}, {asked}",
        known(value),
        threshold,
        known(significant(distance)),
        acts,
        worth,
    )
