"""From config.yaml and the environment to `Settings`: every problem at once, with path, origin and advice.

Order, strongest first: environment `MARKET_MAKER_<PATH>`, then the file. Variable names are derived from
the model, so an underscore is never guessed: `data_repository.base_path` is
MARKET_MAKER_DATA_REPOSITORY_BASE_PATH. Lists and mappings are given as JSON.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

import orjson
from pydantic import BaseModel, ValidationError

from daemon.settings import SHADOW_SECTIONS, Settings
from daemon.trading_files import filled_in, read_mapping
from market.errors import ConfigInvalid

PREFIX = "MARKET_MAKER_"
_KUBERNETES = re.compile(r".*_SERVICE_HOST|.*_SERVICE_PORT(_.*)?|.*_PORT(_\d+_(TCP|UDP|SCTP)(_.*)?)?")
_CREDENTIAL = re.compile(r"(^|_)(api_?key|secret|passphrase|password|token|private_key)$", re.IGNORECASE)


def load_settings(file: Path | None, environment: Mapping[str, str]) -> Settings:
    """Return the settings of `file` with the environment laid over, and those of its shadow.

    Raises:
        ConfigInvalid: With one line for every problem found.
    """
    problems: list[str] = []
    told = read_mapping(file, "start from config/config.yaml") if file else {}
    origin = str(file) if file else "environment"
    problems += [
        f"{path}: a credential stands in {origin}; put it in a mounted file and name that file"
        f" (exchanges.NAME.key_file, .secret_file, .passphrase_file)"
        for path in _credentials(told)
    ]
    if problems:
        raise ConfigInvalid(*problems)
    origins: dict[str, str] = {}
    merged = _overlaid(told, environment, origins, problems)
    if file is not None and isinstance(merged.get("shadow"), str):
        merged["shadow"] = str(file.absolute().parent / merged["shadow"])
    folder = Path() if file is None else file.parent
    problems += filled_in(merged, folder, origins)
    settings, found = _validated(merged)
    problems += [_described(error, origin, origins) for error in found]
    in_shadow = _shadow_of(merged, found, problems)
    if settings is None or problems:
        raise ConfigInvalid(*problems)
    if in_shadow is None:
        return settings
    try:
        return settings.with_shadow(in_shadow)
    except ValueError as error:
        raise ConfigInvalid(f"shadow: {settings.shadow}: {error}") from None


def _validated(merged: Mapping[str, Any]) -> tuple[Settings | None, list[Any]]:
    try:
        return Settings.model_validate(merged), []
    except ValidationError as error:
        return None, list(error.errors(include_url=False, include_context=False))


def _shadow_of(merged: dict[str, Any], known: list[Any], problems: list[str]) -> Settings | None:
    """Return the settings with the shadow file laid over; adds what is wrong with that file to `problems`."""
    if not isinstance(merged.get("shadow"), str):
        return None
    file = Path(merged["shadow"])
    try:
        told = read_mapping(file, "the configuration names it under `shadow`")
    except ConfigInvalid as error:
        problems += [f"shadow: {problem}" for problem in error.problems]
        return None
    for name in sorted(set(told) - set(SHADOW_SECTIONS)):
        why = (
            "a shadow has no shadow of its own"
            if name == "shadow"
            else "a shadow only sets rules, the rest is the configuration's"
            if name in Settings.model_fields
            else "unknown key"
        )
        problems.append(f"{name}: {why} ({file}); known here: {', '.join(SHADOW_SECTIONS)}")
    rules = {name: value for name, value in told.items() if name in SHADOW_SECTIONS}
    settings, found = _validated(
        _laid_over({**merged, "shadow": None}, json.loads(orjson.dumps(rules, default=str)))
    )
    before = {(error["loc"], error["msg"]) for error in known}
    problems += [
        _described(error, str(file), {}) for error in found if (error["loc"], error["msg"]) not in before
    ]
    return settings


def _laid_over(base: Mapping[str, Any], told: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with what is told otherwise, section by section and key by key."""
    merged = dict(base)
    for name, value in told.items():
        held = merged.get(name)
        if isinstance(held, Mapping) and isinstance(value, Mapping):
            merged[name] = _laid_over(held, value)
        else:
            merged[name] = value
    return merged


def _credentials(node: Any, path: str = "") -> Iterator[str]:
    """Yield the paths of values that look like credentials."""
    if isinstance(node, dict):
        for name, value in node.items():
            here = f"{path}.{name}" if path else str(name)
            if _CREDENTIAL.search(str(name)) and isinstance(value, (str, int)):
                yield here
            else:
                yield from _credentials(value, here)
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from _credentials(value, f"{path}.{index}")


def known_variables(told: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Return every variable that may be set, with the path it sets.

    Exchanges have names of the operator's choosing: their variables follow from the file.
    """
    return {PREFIX + "_".join(path).upper().replace("-", "_"): path for path in _paths(Settings, told)}


def _paths(model: type[BaseModel], told: Any) -> Iterator[tuple[str, ...]]:
    for name, field in model.model_fields.items():
        yield (name,)
        here = told.get(name, {}) if isinstance(told, Mapping) else {}
        inner = _section(field.annotation)
        if inner is not None:
            yield from ((name, *rest) for rest in _paths(inner, here))
        elif get_origin(field.annotation) is dict and isinstance(here, Mapping):
            of = _section(get_args(field.annotation)[1])
            for entry, value in here.items():
                if of is not None:
                    yield from ((name, str(entry), *rest) for rest in _paths(of, value))


def _section(annotation: Any) -> type[BaseModel] | None:
    options = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    return next((o for o in options if isinstance(o, type) and issubclass(o, BaseModel)), None)


def _overlaid(
    told: dict[str, Any], environment: Mapping[str, str], origins: dict[str, str], problems: list[str]
) -> dict[str, Any]:
    known = known_variables(told)
    merged: dict[str, Any] = json.loads(orjson.dumps(told, default=str))
    for variable in sorted(v for v in environment if v.startswith(PREFIX)):
        if variable not in known:
            if not _KUBERNETES.fullmatch(variable):
                near = difflib.get_close_matches(variable, known, n=1)
                hint = f"; did you mean {near[0]}?" if near else "; see `regimed config schema`"
                problems.append(f"{variable}: no such setting (environment){hint}")
            continue
        path = known[variable]
        node: Any = merged
        for depth, name in enumerate(path[:-1], start=1):
            node = node.setdefault(name, {})
            if not isinstance(node, dict):
                where = ".".join(path[:depth])
                problems.append(
                    f"{variable}: {where} is {_without_password(node)!r}, set it there (environment)"
                )
                break
        if not isinstance(node, dict):
            continue
        node[path[-1]] = _value(environment[variable])
        origins[".".join(path)] = variable
    return merged


def _value(text: str) -> Any:
    """Return JSON where the text is a list or mapping, else the text: pydantic reads numbers from it."""
    if text[:1] in "[{":
        try:
            return json.loads(text)
        except json.JSONDecodeError:
            return text
    return None if text == "null" else text


def _described(error: Any, file: str, origins: Mapping[str, str]) -> str:
    path = ".".join(str(part) for part in error["loc"])
    origin = next((v for p, v in origins.items() if path == p or path.startswith(p + ".")), file)
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "path_type":
        message = "expected the path of a file or folder"
    if error["type"] == "extra_forbidden":
        section, _, name = path.rpartition(".")
        names = _names_in(section)
        near = difflib.get_close_matches(name, names, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else f"; known here: {', '.join(names)}"
        return f"{path}: unknown key ({origin}){hint}"
    if error["type"] == "missing":
        return f"{path}: is required and stands neither in {file} nor in the environment"
    shown = "" if not path else f"{path}: "
    value = error["input"]
    found = f", found {_without_password(value)!r}" if path and isinstance(value, (str, int, float)) else ""
    return f"{shown}{message}{found} ({origin})"


def _without_password(value: Any) -> Any:
    """Return the value, with what stands before an @ in an address taken out."""
    if not isinstance(value, str):
        return value
    return re.sub(r"(?i)(password=|passfile=)[^&]*", r"\1***", re.sub(r"//[^/@]*@", "//***@", value))


def _names_in(section: str) -> list[str]:
    """Return the keys that may stand in a section of the settings."""
    model: type[BaseModel] = Settings
    parts = [p for p in section.split(".") if p]
    while parts:
        field = model.model_fields.get(parts.pop(0))
        if field is None:
            break
        inner = _section(field.annotation)
        if inner is None:
            arguments = [
                a for a in get_args(field.annotation) if isinstance(a, type) and issubclass(a, BaseModel)
            ]
            if not arguments:
                break
            inner = arguments[0]
            parts = parts[1:]  # the entry's own name or number
        model = inner
    return sorted(model.model_fields)
