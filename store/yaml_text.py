"""YAML, strict and dull: the C loader, no key twice, and none of YAML 1.1's guesses.

Read: `true`/`false`, `null`, decimal numbers and strings; `yes`, `012`, `1:30` and dates are strings.
Written: the same bytes for the same value, keys in the given order, whatever could be misread quoted.
"""

from __future__ import annotations

import re
from typing import Any

import yaml
from yaml.reader import ReaderError

from market.errors import DataInvalid

try:
    from yaml import CSafeDumper, CSafeLoader
except ImportError as absent:  # a start without it would be 10 times too slow every hour
    raise ImportError(
        "PyYAML was built without libyaml; install a PyYAML wheel that has its C loader"
    ) from absent

NEWLINE = b"\n"
MAX_BYTES = 4_000_000
MAX_DEPTH = 100  # libyaml's composer calls itself at each level: deeper ones end the process, not the call


class StrictLoader(CSafeLoader):
    """CSafeLoader that refuses a key twice and resolves only plain numbers, booleans and null."""

    yaml_implicit_resolvers = {}  # noqa: RUF012, filled below

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key!r} is not a string", key_node.start_mark
                )
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key!r} stands twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


StrictLoader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"(?:true|false)\Z"), list("tf"))
StrictLoader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"(?:null|~|)\Z"), ["n", "~", ""])
StrictLoader.add_implicit_resolver(
    "tag:yaml.org,2002:int", re.compile(r"-?(?:0|[1-9][0-9]*)\Z"), list("-0123456789")
)
StrictLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"-?(?:0|[1-9][0-9]*)\.[0-9]+(?:[eE][-+]?[0-9]+)?\Z"),
    list("-0123456789"),
)


class PlainDumper(CSafeDumper):
    """CSafeDumper that never writes anchors."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True


def dump(value: Any) -> bytes:
    """Return the YAML of plain values (dict, list, str, int, float, bool, None), the same for equal ones."""
    text = yaml.dump(value, Dumper=PlainDumper, sort_keys=False, allow_unicode=True, width=100)
    return str(text).encode()


def load(data: bytes, where: str) -> Any:
    """Return the one document in `data`.

    Raises:
        DataInvalid: Not UTF-8, not YAML, a key twice, an alias or a tag; names `where` and the line.
    """
    documents = load_all(data, where)
    if len(documents) != 1:
        raise DataInvalid(where, "", f"{len(documents)} YAML documents, expected 1")
    return documents[0]


def load_record(data: bytes, where: str, schema_version: int) -> dict[str, Any]:
    """Return the one mapping in `data`, of a version that this program knows; errors as in `load`."""
    value = load(data, where)
    if not isinstance(value, dict):
        raise DataInvalid(where, "", f"{type(value).__name__}, expected a mapping")
    version = value.get("schema_version")
    if version != schema_version or isinstance(version, bool):
        raise DataInvalid(
            where, "schema_version", f"{version!r}, expected {schema_version}; written by a newer program?"
        )
    return value


def load_all(data: bytes, where: str) -> list[Any]:
    """Return every document in `data`; errors as in `load`."""
    if len(data) > MAX_BYTES:
        raise DataInvalid(where, "", f"{len(data)} bytes, expected at most {MAX_BYTES}")
    try:
        text = data.decode()
        if "*" in text or _may_be_deep(text):
            _refuse_events(text, where)
        return list(yaml.load_all(text, Loader=StrictLoader))
    except UnicodeDecodeError as error:
        raise DataInvalid(where, "", f"not UTF-8 at byte {error.start}, expected text") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = f"line {mark.line + 1}" if mark else ""
        raise DataInvalid(where, line, f"not the YAML expected: {error.problem}") from None
    except ReaderError as error:
        line = f"line {data.count(NEWLINE, 0, error.position) + 1}"
        problem = f"not YAML: {error.reason}: #x{error.character:04x}, expected text"
        raise DataInvalid(where, line, problem) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise DataInvalid(where, "", f"not YAML: {' '.join(str(error).split())[:200]}") from None


def _may_be_deep(text: str) -> bool:
    """Say whether it could be nested too deep: a level takes a bracket, or a column of indentation."""
    brackets = text.count("[") + text.count("{")
    return brackets > MAX_DEPTH or max(map(len, text.splitlines()), default=0) > 2 * MAX_DEPTH


def _refuse_events(text: str, where: str) -> None:
    """Refuse aliases and what is nested too deep, event by event, before anything is composed."""
    depth = 0
    for event in yaml.parse(text, Loader=StrictLoader):
        line = f"line {event.start_mark.line + 1}" if event.start_mark else ""
        if isinstance(event, yaml.AliasEvent):
            raise DataInvalid(where, line, "aliases are not allowed")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            raise DataInvalid(where, line, f"not YAML that is taken: nested deeper than {MAX_DEPTH} levels")
