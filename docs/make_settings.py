"""Write docs/configuration.md: every setting with its default, bounds and meaning: `make reference`."""

from __future__ import annotations

import enum
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from tables import table

from daemon.configuration import PREFIX
from daemon.settings import Settings

TARGET = Path(__file__).with_name("configuration.md")
HEAD = f"""\
# Configuration

Made by `make reference` from the program itself. One file, `config.yaml` here or `--config FILE`; start from
[config/config.yaml](../config/config.yaml). What is left out has the default below. Each setting is also an
environment variable, `{PREFIX}` and its path in capitals: `data_repository.base_path` is
`{PREFIX}DATA_REPOSITORY_BASE_PATH`. Secrets are files that the configuration names, never values in it.

`regimed config check` says every problem at once, `show` what is in force, `schema` is for editors.
A setting that steers judgements is part of the rules' hash, which every recommendation quotes.
"""


def page() -> str:
    """Return the whole page."""
    lines = [HEAD]
    for path, model, given in sections("", Settings, None):
        rows = [
            [
                f"`{name}`",
                kind(field),
                default(name, field, given),
                (field.description or "").replace("|", "\\|"),
            ]
            for name, field in model.model_fields.items()
            if inner(field.annotation) is None
        ]
        if rows:
            words = " ".join((model.__doc__ or "").split("\n\n")[0].split())
            lines += [f"## {path or 'At the top'}", "", words, ""]
            lines += table("setting | type | default | what it does", rows)
    return "\n".join(lines)


def sections(
    path: str, model: type[BaseModel], given: BaseModel | None
) -> Iterator[tuple[str, type[BaseModel], BaseModel | None]]:
    """Yield each section with its path and what it is when left out, a section's own parts after it."""
    yield path, model, given
    for name, field in model.model_fields.items():
        found = inner(field.annotation)
        if found is not None:
            part, many = found
            value = getattr(given, name, None) or field.get_default(call_default_factory=True)
            left_out = value if isinstance(value, BaseModel) else None
            yield from sections(f"{path}.{name}{many}".lstrip("."), part, left_out)


def inner(annotation: Any) -> tuple[type[BaseModel], str] | None:
    """Return the model that a setting holds, and what stands for many of them; None for a plain value."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, ""
    origin, arguments = get_origin(annotation), get_args(annotation)
    many = {dict: ".NAME", tuple: "[]", list: "[]"}.get(origin, "")
    for each in arguments:
        found = inner(each)
        if found is not None:
            return found[0], many + found[1]
    return None


def kind(field: FieldInfo) -> str:
    """Return a setting's type and bounds in words."""
    said = _kind(field.annotation)
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    bounds = [
        f"{sign} {getattr(limit, name)}"
        for limit in field.metadata
        for name, sign in signs.items()
        if getattr(limit, name, None) is not None
    ]
    return ", ".join([said, *bounds])


PLAIN = {"str": "text", "int": "whole number", "float": "number", "bool": "true, false", "NoneType": "null"}


def _kind(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    choices = arguments if origin is Literal else ()
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        choices = tuple(each.value for each in annotation)
    if choices:
        return ", ".join(f"`{each}`" for each in choices)
    inside = [_kind(each) for each in arguments if each is not Ellipsis]
    if origin in (Union, types.UnionType):
        return " or ".join(inside)
    if origin in (tuple, list, dict, Annotated):
        return {dict: ": ".join(inside), Annotated: inside[0]}.get(origin, f"list of {inside[0]}")
    name = getattr(annotation, "__name__", str(annotation))
    return PLAIN.get(name, name.lower())


def default(name: str, field: FieldInfo, given: BaseModel | None) -> str:
    """Return what holds when the setting is left out."""
    value = field.get_default(call_default_factory=True) if given is None else getattr(given, name)
    if value is PydanticUndefined:
        return "**needed**"
    if value is None:
        return "null"
    if isinstance(value, (tuple, list)):
        return f"`[{', '.join(map(str, value))}]`"
    if isinstance(value, enum.Enum):
        return f"`{value.value}`"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


if __name__ == "__main__":
    TARGET.write_text(page())
