"""What a rule remembers from hour to hour: a frozen value of plain fields, recorded and read back exactly."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_type_hints

from market.errors import DataInvalid

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Memory = TypeVar("Memory", bound="DataclassInstance")


def as_record(memory: DataclassInstance) -> dict[str, Any]:
    """Return the memory's fields by name: text, whole numbers, numbers, booleans and None."""
    return {field.name: getattr(memory, field.name) for field in fields(memory)}


def of_record(kind: type[Memory], value: object, where: str) -> Memory:
    """Return the memory that `as_record` wrote.

    Args:
        kind: A frozen dataclass whose fields are str, int, float, bool or one of them or None.
        value: What was recorded.
        where: For errors.

    Raises:
        DataInvalid: Names the field: missing, unknown or of another type.
    """
    if not isinstance(value, Mapping):
        raise DataInvalid(where, "", f"expected a mapping, got {type(value).__name__}")
    hints = get_type_hints(kind)
    for name in (*hints, *value):
        if name not in value:
            raise DataInvalid(where, name, "missing")
        if name not in hints:
            raise DataInvalid(where, str(name), "unknown")
        allowed = get_args(hints[name]) if isinstance(hints[name], types.UnionType) else (hints[name],)
        if type(value[name]) not in allowed:
            expected = " or ".join(kind.__name__ for kind in allowed)
            raise DataInvalid(where, name, f"{value[name]!r}, expected {expected}")
    return kind(**value)
