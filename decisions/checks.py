"""A check of a setup: one condition, with what was measured, what was asked, and how far apart they are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from grid import checks as numbers

ORDER = (
    "permission",
    "data",
    "verdict",
    "exit_state",
    "cooldown",
    "gates",
    "capital",
    "confidence",
    "parameters",
    "edge",
)
"""The checks of a setup, in the order in which the first one that fails is named as the reason."""


@dataclass(frozen=True, slots=True)
class Check:
    """One condition and its outcome.

    Attributes:
        name: One of `ORDER`; several checks may share a place in it.
        passed: None where the check does not apply, and then it does not block; `reason` says why.
        value: What was measured; None where there was nothing to measure.
        threshold: What was asked of it.
        distance: How far on the passing side, in the value's unit; negative on the other side.
        reason: In words that stand alone.
    """

    name: str
    passed: bool | None
    value: float | str | None
    threshold: float | None
    distance: float | None
    reason: str

    @property
    def blocks(self) -> bool:
        return self.passed is False


def number(name: str, found: numbers.Check, what: str) -> Check:
    """Return a compared number as a check; one that is not known blocks.

    Args:
        name: One of `ORDER`.
        found: The comparison.
        what: The number in the operator's words.
    """
    return Check(
        name,
        found.passed is True,
        found.value,
        found.threshold,
        found.distance,
        f"{what} {found.reason}",
    )


def fact(name: str, *, passed: bool | None, value: str | None, reason: str) -> Check:
    """Return a check without a number."""
    return Check(name, passed, value, None, None, reason)


def first_block(checks: Iterable[Check]) -> Check | None:
    """Return the first check that blocks, in the order of `ORDER`; None when nothing does."""
    blocking = [check for check in checks if check.blocks]
    return min(blocking, key=lambda check: ORDER.index(check.name), default=None)
