"""Files that the `trading:` section names, put in their places: the policy, lists of what is not traded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import orjson

from market.errors import ConfigInvalid, DataInvalid
from store import yaml_text
from trading.universe import exclusions_of


def filled_in(merged: dict[str, Any], folder: Path, origins: dict[str, str]) -> list[str]:
    """Put the content of the files that `merged` names into it and return what is wrong with them.

    Args:
        merged: The configuration, file and environment; changed in place.
        folder: Where relative names begin.
        origins: Gets the file of each path that is filled in.
    """
    trading = merged.get("trading")
    if not isinstance(trading, dict):
        return []
    problems: list[str] = []
    named = trading.get("policy")
    if isinstance(named, str):
        file = folder / named
        origins["trading.policy"] = str(file)
        try:
            trading["policy"] = _plain(
                read_mapping(file, "the configuration names it under `trading.policy`")
            )
        except ConfigInvalid as error:
            trading["policy"] = {}
            problems += [f"trading.policy: {problem}" for problem in error.problems]
    universe = trading.get("universe")
    named = universe.get("exclusion_file") if isinstance(universe, dict) else None
    if isinstance(universe, dict) and isinstance(named, str):
        file = folder / named
        held = universe.get("exclusions", [])
        advice = "the configuration names it under `trading.universe.exclusion_file`"
        try:
            listed = exclusions_of(_read(file, advice), str(file))
        except ConfigInvalid as error:
            problems += [f"trading.universe.exclusion_file: {problem}" for problem in error.problems]
        else:
            if isinstance(held, list):
                universe["exclusions"] = sorted({*map(str, held), *listed})
    return problems


def read_mapping(file: Path, advice: str) -> dict[str, Any]:
    """Return the sections that a YAML file holds.

    Raises:
        ConfigInvalid: It cannot be read or holds something else.
    """
    data = _read(file, advice)
    if not isinstance(data, dict):
        raise ConfigInvalid(f"{file}: holds {type(data).__name__}, expected a mapping of sections")
    return data


def _read(file: Path, advice: str) -> Any:
    try:
        return yaml_text.load(file.read_bytes(), str(file))
    except FileNotFoundError:
        raise ConfigInvalid(f"{file}: there is no such file; {advice}") from None
    except OSError as error:
        raise ConfigInvalid(f"{file}: cannot be read: {error.strerror}") from None
    except DataInvalid as error:
        raise ConfigInvalid(str(error)) from None


def _plain(data: dict[str, Any]) -> Any:
    return json.loads(orjson.dumps(data, default=str, option=orjson.OPT_NON_STR_KEYS))
