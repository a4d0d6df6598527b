"""Parameters: what each may be, as a JSON schema that is told and as the reading that checks."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_CEILING, Decimal, InvalidOperation
from typing import Any, Literal
from urllib.parse import unquote_to_bytes

from daemon.api.problems import Problem
from market.hours import Hour, Timeframe
from market.keys import checked_key
from regime.components.states import SIMPLIFIED
from regime.series import CONFIDENCE_UNIT, VERDICTS

LIMIT = 1000
LONGEST_PAGE = 10_000
_YEAR = "(?:19[7-9][0-9]|2[01][0-9]{2})"
_LEAP = (
    "(?:19(?:7[26]|8[048]|9[26])|20(?:0[048]|[2468][048]|[13579][26])|21(?:0[48]|[2468][048]|[13579][26]))"
)
_DATE = (
    f"(?:{_YEAR}-(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)"
    f"|(?:0[13578]|1[02])-31)|{_LEAP}-02-29)"
)
_HOUR = "(?:[01][0-9]|2[0-3])"
INSTANT = f"^{_DATE}T{_HOUR}:[0-5][0-9]:[0-5][0-9]Z$"
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True, eq=False)
class Form:
    """What a value may be.

    Attributes:
        schema: Told in the description.
        expected: Told to who got it wrong.
        example: One that is right.
        read: Returns the value of a text; ValueError for one that is not of this form.
    """

    schema: Mapping[str, Any]
    expected: str
    example: str
    read: Callable[[str], Any]


@dataclass(frozen=True, slots=True, eq=False)
class Parameter:
    """One parameter of a route; those in the path are needed, those in the query may be left out."""

    name: str
    form: Form
    description: str
    place: Literal["path", "query"] = "query"
    default: Any = None

    def read(self, text: str) -> Any:
        """Return the value; raises Problem."""
        try:
            return self.form.read(text)
        except ValueError:
            raise Problem.of_parameter(self.name, text, self.form.expected) from None


def _matching(pattern: str, expected: str, example: str, read: Callable[[str], Any] = str) -> Form:
    form = re.compile(pattern)

    def checked(text: str) -> Any:
        if form.fullmatch(text) is None:
            raise ValueError(expected)
        return read(text)

    return Form({"type": "string", "pattern": f"^{pattern}$"}, expected, example, checked)


def _one_of(values: Sequence[str], read: Callable[[str], Any]) -> Form:
    def checked(text: str) -> Any:
        if text not in values:
            raise ValueError(text)
        return read(text)

    return Form({"type": "string", "enum": list(values)}, f"one of {', '.join(values)}", values[0], checked)


def _whole(low: int, high: int) -> Form:
    digits = re.compile(rf"[0-9]{{1,{len(str(high))}}}")

    def checked(text: str) -> int:
        if digits.fullmatch(text) is None or not low <= int(text) <= high:
            raise ValueError(text)
        return int(text)

    told = {"type": "integer", "minimum": low, "maximum": high}
    return Form(told, f"a whole number, {low} to {high}", str(high), checked)


def _share(text: str) -> int:
    """Return the ten-thousandths that a confidence has to reach."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise ValueError(text) from None
    if len(text) > 40 or not number.is_finite() or not 0 <= number <= 1:
        raise ValueError(text)
    return int((number * CONFIDENCE_UNIT).to_integral_value(ROUND_CEILING))


def _instant(text: str) -> int:
    date, _, time = text.partition("T")
    year, month, day = (int(part) for part in date.split("-"))
    clock = [int(part) for part in time.removesuffix("Z").split(":")] if time else []
    midnight = int(datetime(year, month, day, tzinfo=UTC).timestamp())
    return midnight + sum(part * unit for part, unit in zip(clock, (3600, 60, 1), strict=False))


SYMBOL = _matching(
    r"[A-Z0-9][A-Z0-9_-]{0,31}(?:\.[A-Z0-9_-]{1,31}){0,3}\.?",  # narrower than the form of keys, no two dots
    "a market's key, for example ETH-USDT",
    "ETH-USDT",
    checked_key,
)
TIMEFRAME = _one_of([each.value for each in Timeframe], Timeframe)
TIME = _matching(
    rf"{_DATE}(?:T{_HOUR}(?::[0-5][0-9](?::[0-5][0-9])?)?Z?)?",
    "a UTC time from 1970 to 2199: 2026-02-02T14:00:00Z, 2026-02-02T14 or 2026-02-02",
    "2026-02-02T14:00:00Z",
    _instant,
)
DATE = _matching(_DATE, "a date, for example 2026-02-02", "2026-02-02")
HOUR = _matching(
    rf"{_DATE}T{_HOUR}(?::00(?::00)?Z?)?", "an hour, for example 2026-02-02T14", "2026-02-02T14", Hour.parse
)
DECISION_NAME = _matching(
    "dec-[A-Za-z0-9][A-Za-z0-9._-]{0,159}",
    "a decision's name, for example dec-ETH-USDT-150000",
    "dec-ETH-USDT-150000",
)
PAGE = _whole(1, LONGEST_PAGE)
REGIME = _one_of([each.value for each in SIMPLIFIED], [each.value for each in SIMPLIFIED].index)
VERDICT = _one_of([each.value for each in VERDICTS], [each.value for each in VERDICTS].index)
CONFIDENCE = Form({"type": "number", "minimum": 0, "maximum": 1}, "a number, 0 to 1", "0.5", _share)
YES_OR_NO = Form(
    {"type": "boolean"}, "true or false", "true", lambda text: ("false", "true").index(text) == 1
)
CURSOR = _matching("[A-Za-z0-9_-]{8,400}", "`next` of the page before, unchanged", "AAAAAAAAAAA")


def read_query(parameters: Sequence[Parameter], text: str) -> dict[str, Any]:
    """Return the values of a query string, defaults for those left out.

    Raises:
        Problem: An unknown, repeated, empty or malformed parameter; it is named.
    """
    known = {each.name: each for each in parameters if each.place == "query"}
    told: dict[str, Any] = {}
    for part in text.split("&") if text else ():
        raw_name, _, raw_value = part.partition("=")
        name = _decoded(raw_name, raw_name)
        value = _decoded(raw_value, name)
        if name not in known:
            names = ", ".join(known) or "none"
            raise Problem.of_parameter(name, value, f"no other parameters than: {names}")
        if name in told:
            raise Problem.of_parameter(name, value, "to stand once")
        told[name] = known[name].read(value)
    return {name: told.get(name, each.default) for name, each in known.items()}


def read_path(parameters: Sequence[Parameter], found: Mapping[str, str]) -> dict[str, Any]:
    """Return the values of the parts of a path; raises Problem."""
    return {each.name: each.read(found[each.name]) for each in parameters if each.place == "path"}


def _decoded(text: str, name: str) -> str:
    if "%" not in text and "+" not in text and text.isascii():
        return text
    raw = text.replace("+", " ").encode("utf-8", "surrogateescape")
    if _BAD_ESCAPE.search(text) is None:
        with suppress(UnicodeDecodeError):
            return unquote_to_bytes(raw).decode("utf-8")
    raise Problem.of_parameter(name, text, "UTF-8, percent-encoded")
