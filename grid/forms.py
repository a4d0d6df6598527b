"""How instants and numbers stand in files, and how a file's fault is told: by the field's name."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer, ValidationError

from market.errors import DataInvalid
from market.hours import instant_iso, parse_instant
from market.units import parse_decimal, plain


class Form(BaseModel):
    """What a file holds: frozen, of exact types, and an unknown field is an error."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, populate_by_name=True, arbitrary_types_allowed=True
    )


def _instant(value: Any) -> datetime:
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC)
    if not isinstance(value, str):
        raise ValueError(f"{value!r}, expected a quoted instant such as 2026-02-02T15:00:05Z")  # noqa: TRY004
    found = parse_instant(value)
    # the same instant always has the same text, so that a file that is written again keeps its bytes
    if instant_iso(found) != value:
        raise ValueError(f"{value!r}, expected {instant_iso(found)!r}")
    return found


def _decimal_of_number(value: Any) -> Decimal:
    if isinstance(value, Decimal):
        if value.is_finite() and Decimal(repr(float(value))) != value:
            raise ValueError(f"{value} has more digits than a plain number in a file keeps")
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{value!r}, expected a plain number")  # noqa: TRY004
    return Decimal(repr(value))


def _number_of_decimal(value: Decimal) -> int | float:
    return int(value) if value == value.to_integral_value() else float(value)


def _decimal_of_text(value: Any) -> Decimal:
    if not isinstance(value, str):
        raise ValueError(f"{value!r}, expected a decimal number as text")  # noqa: TRY004
    return parse_decimal(value)


Instant = Annotated[datetime, BeforeValidator(_instant), PlainSerializer(instant_iso)]
Number = Annotated[Decimal, BeforeValidator(_decimal_of_number), PlainSerializer(_number_of_decimal)]
DecimalText = Annotated[Decimal, BeforeValidator(_decimal_of_text), PlainSerializer(plain)]


def invalid(where: str, error: ValidationError) -> DataInvalid:
    """Return a form's first fault as the house's error: `versions.1.lower: ...`."""
    first = error.errors(include_url=False, include_context=False)[0]
    problem = first["msg"].removeprefix("Value error, ")
    return DataInvalid(where, ".".join(str(part) for part in first["loc"]), problem)
