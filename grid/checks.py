"""One condition and how it came out: what was measured, what was asked, and how far apart they are."""

from __future__ import annotations

from dataclasses import dataclass

from regime.precision import significant


@dataclass(frozen=True, slots=True)
class Check:
    """A condition's result, every number rounded before it was compared.

    Attributes:
        passed: None where the value is not known.
        value: Measured; None where it is not known, or nothing is to be measured.
        threshold: What it was held against; None where there is no number.
        distance: From the threshold, positive on the passing side, in the value's own unit.
        reason: In words, with both numbers.
    """

    name: str
    passed: bool | None
    value: float | None
    threshold: float | None
    distance: float | None
    reason: str


def at_least(name: str, value: float | None, threshold: float, unit: str = "") -> Check:
    """Return whether the value is the threshold or more."""
    return _compared(name, value, threshold, unit, sign=1, may_equal=True)


def at_most(name: str, value: float | None, threshold: float, unit: str = "") -> Check:
    """Return whether the value is the threshold or less."""
    return _compared(name, value, threshold, unit, sign=-1, may_equal=True)


def above(name: str, value: float | None, threshold: float, unit: str = "") -> Check:
    """Return whether the value is more than the threshold."""
    return _compared(name, value, threshold, unit, sign=1, may_equal=False)


def below(name: str, value: float | None, threshold: float, unit: str = "") -> Check:
    """Return whether the value is less than the threshold."""
    return _compared(name, value, threshold, unit, sign=-1, may_equal=False)


def all_passed(checks: tuple[Check, ...]) -> bool:
    """Return whether every condition is known and holds."""
    return all(check.passed is True for check in checks)


def first_failed(checks: tuple[Check, ...]) -> Check | None:
    """Return the first condition that does not hold or is not known."""
    return next((check for check in checks if check.passed is not True), None)


_WORDS = {(1, True): "at least", (-1, True): "at most", (1, False): "more than", (-1, False): "less than"}


def _compared(
    name: str, value: float | None, threshold: float, unit: str, *, sign: int, may_equal: bool
) -> Check:
    wanted = significant(threshold)
    asked = f"{_WORDS[sign, may_equal]} {wanted:.9g}{unit}"
    if value is None:
        return Check(name, None, None, wanted, None, f"not known, needs {asked}")
    measured = significant(value)
    distance = significant(sign * (measured - wanted))
    passed = distance > 0 or (may_equal and measured == wanted)
    return Check(name, passed, measured, wanted, distance, f"{measured:.9g}{unit}, needs {asked}")
