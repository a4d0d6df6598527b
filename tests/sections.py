"""Which values a field of a configuration section takes."""

from __future__ import annotations

from pydantic import BaseModel, ValidationError


def takes(section: type[BaseModel], field: str, value: float) -> bool:
    """Return whether a field's own limits allow a value, whatever other fields make of it."""
    try:
        section.model_validate({field: value})
    except ValidationError as refused:
        return all(each["loc"][:1] != (field,) for each in refused.errors())
    return True
