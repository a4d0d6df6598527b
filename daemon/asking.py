"""What people and agents write when they ask for regimes, as the program counts: one reading for both."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum

from market.hours import Hour, Timeframe
from regime.components.states import SIMPLIFIED
from regime.series import CONFIDENCE_UNIT, VERDICTS

BEGINNING, END = 0, 2**40  # of all data, epoch seconds
TIME_FORMS = "UTC, ISO 8601: 2024-01-31, 2024-01-31T14 or 2024-01-31T14:15:00Z"
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2})?Z?")


def time_named(text: str) -> int:
    """Return the epoch second that a day, an hour or an instant begins at.

    Raises:
        ValueError: Another form, or no such time; says what was found and expected.
    """
    try:
        if _DAY.fullmatch(text):
            return Hour.parse(f"{text}T00").open_ts
        if _INSTANT.fullmatch(text):
            return int(datetime.fromisoformat(text.removesuffix("Z")).replace(tzinfo=UTC).timestamp())
        return Hour.parse(text).open_ts
    except ValueError:
        raise ValueError(f"found {shown(text)}, expected a time in {TIME_FORMS}") from None


def timeframe_named(text: str, among: Sequence[Timeframe] = tuple(Timeframe)) -> Timeframe:
    """Return a timeframe by its name.

    Raises:
        ValueError: None of `among`.
    """
    for timeframe in among:
        if timeframe.value == text:
            return timeframe
    raise ValueError(f"found {shown(text)}, expected {_one_of([each.value for each in among])}")


def regime_named(text: str) -> int:
    """Return the place of a simplified regime in `SIMPLIFIED`.

    Raises:
        ValueError: There is no such regime.
    """
    return _place(text, SIMPLIFIED)


def verdict_named(text: str) -> int:
    """Return the place of a verdict in `VERDICTS`.

    Raises:
        ValueError: There is no such verdict.
    """
    return _place(text, VERDICTS)


def confidence_named(value: float) -> int:
    """Return the least ten-thousandths that are `value` or more.

    Raises:
        ValueError: Not between 0 and 1.
    """
    if not 0 <= value <= 1:
        raise ValueError(f"found {value}, expected a number from 0 to 1")
    return math.ceil(Decimal(repr(value)) * CONFIDENCE_UNIT)


def shown(value: object) -> str:
    """Return what was found, short enough to be told."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _place(text: str, names: Sequence[Enum]) -> int:
    for place, name in enumerate(names):
        if name.value == text:
            return place
    raise ValueError(f"found {shown(text)}, expected {_one_of([str(name.value) for name in names])}")


def _one_of(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"
