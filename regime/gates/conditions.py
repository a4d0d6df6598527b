"""One thing that a gate asks: what was measured, against what, and how far it is from there."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import ConfigDict, with_config

from regime.precision import significant

RECORDED = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)  # how a record is read back
DATA = "data"  # the reason of what could not be measured


@with_config(RECORDED)
@dataclass(frozen=True, slots=True)
class Condition:
    """One comparison, as it is recorded.

    Attributes:
        held: It was met; never without a value.
        value: As recorded; None where it is not known.
        threshold: What it was compared with; None where that is not known.
        distance: From the threshold, positive on the side that holds, 9 significant digits.
        reason: Why there is no distance: `data`, or what is known instead; None where there is one.
    """

    name: str
    held: bool
    value: float | None
    threshold: float | None
    distance: float | None
    reason: str | None


def below(name: str, value: float | None, threshold: float) -> Condition:
    """Return whether a value is below its threshold."""
    if value is None:
        return unknown(name, None, threshold)
    return Condition(name, value < threshold, value, threshold, significant(threshold - value), None)


def at_most(name: str, value: float | None, threshold: float) -> Condition:
    """Return whether a value is at most its threshold."""
    if value is None:
        return unknown(name, None, threshold)
    return Condition(name, value <= threshold, value, threshold, significant(threshold - value), None)


def at_least(name: str, value: float | None, threshold: float | None) -> Condition:
    """Return whether a value is at least its threshold."""
    if value is None or threshold is None:
        return unknown(name, value, threshold)
    return Condition(name, value >= threshold, value, threshold, significant(value - threshold), None)


def unknown(name: str, value: float | None, threshold: float | None, reason: str = DATA) -> Condition:
    """Return a condition that is not met because something is not known."""
    return Condition(name, held=False, value=value, threshold=threshold, distance=None, reason=reason)
