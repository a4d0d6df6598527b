"""From a mapping as YAML gives it to a section: every problem at once, each with path, found and expected."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from market.errors import ConfigInvalid
from regime.config import Section

SomeSection = TypeVar("SomeSection", bound=Section)


def read_section(model: type[SomeSection], told: object, where: str) -> SomeSection:
    """Return the section that `told` describes.

    Args:
        where: Path of the section in the configuration, for the problems.

    Raises:
        ConfigInvalid: One line a problem.
    """
    if not isinstance(told, Mapping):
        raise ConfigInvalid(f"{where}: found {told!r}, expected a mapping of settings, {{}} for the defaults")
    try:
        return model.model_validate(told)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False)
        raise ConfigInvalid(*(_described(each, model, where) for each in found)) from None


def known_names(name: object, known: Iterable[str]) -> str:
    """Return the names that would have been understood, the nearest first where one is near."""
    names = list(known)
    near = difflib.get_close_matches(str(name), names, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"{hint}known: {', '.join(names)}"


def _described(error: Any, model: type[Section], where: str) -> str:
    path = ".".join((where, *(str(part) for part in error["loc"])))
    if error["type"] == "extra_forbidden":
        return f"{path}: unknown key; {known_names(error['loc'][-1], _fields_at(model, error['loc'][:-1]))}"
    message = error["msg"].removeprefix("Value error, ")
    value = error["input"]
    found = f", found {value!r}" if not isinstance(value, Mapping) else ""
    return f"{path}: {message}{found}"


def _fields_at(model: type[Section], path: tuple[str | int, ...]) -> Iterable[str]:
    for part in path:
        inner = model.model_fields[str(part)].annotation
        assert isinstance(inner, type) and issubclass(inner, Section)
        model = inner
    return model.model_fields
