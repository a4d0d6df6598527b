"""Frozen values as they stand in records: plain mappings, lists, text and numbers, and strictly back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydantic import TypeAdapter, ValidationError

from market.errors import DataInvalid

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Value = TypeVar("Value", bound="DataclassInstance")


class ValueForm(Generic[Value]):
    """The form of one frozen dataclass; what goes from hour to hour is recorded by it and read back exactly.

    Args:
        kind: Its fields are text, numbers, booleans, None, enumerations, tuples or such dataclasses.
    """

    def __init__(self, kind: type[Value]) -> None:
        self._form = TypeAdapter(kind)
        self._fields = {field.name for field in fields(kind)}

    def as_record(self, value: Value) -> dict[str, Any]:
        """Return the value's fields by name."""
        found: dict[str, Any] = self._form.dump_python(value, mode="json")
        return found

    def of_record(self, record: object, where: str) -> Value:
        """Return the value that `as_record` wrote.

        Args:
            record: As read from YAML or JSON.
            where: For errors.

        Raises:
            DataInvalid: Names the first field that is missing, unknown or of another kind.
        """
        if not isinstance(record, Mapping):
            raise DataInvalid(where, "", f"expected a mapping, got {type(record).__name__}")
        for name in sorted(self._fields - set(record)):  # also one that has a default: nothing is assumed
            raise DataInvalid(where, name, "missing")
        try:
            text = json.dumps(record)  # JSON has lists where the value has tuples
            value = self._form.validate_json(text, strict=True)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            field = ".".join(map(str, first["loc"]))
            found = "" if first["type"] == "missing" else f", found {first['input']!r:.80}"
            raise DataInvalid(where, field, f"{first['msg']}{found}") from None
        except (TypeError, ValueError) as error:
            raise DataInvalid(where, "", str(error)) from None
        if unknown := sorted(set(record) - self._fields):
            raise DataInvalid(where, str(unknown[0]), "unknown")
        return value
