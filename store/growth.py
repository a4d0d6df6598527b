"""How a file may change: write-once files never, append-only ones at the end, versioned ones by entries."""

from __future__ import annotations

from typing import Any

from market.errors import DataInvalid
from store import yaml_text
from store.paths import Kind

GROWING_LISTS = ("versions", "history")


def growth_fault(path: str, kind: Kind, old: bytes, new: bytes) -> str | None:
    """Return why `new` may not follow `old` at this path, None if it may."""
    if old == new or kind is Kind.FOREIGN:
        return None
    if kind is Kind.APPEND_ONLY:
        return None if new.startswith(old) else "append-only: its old bytes would change"
    if kind is Kind.VERSIONED:
        return versions_fault(path, old, new)
    return f"{kind.value}: it already has other content"


def versions_fault(path: str, old: bytes, new: bytes) -> str | None:
    """Return why a grid file may not follow its last state: versions and history may only grow."""
    try:
        before, after = yaml_text.load(old, path), yaml_text.load(new, path)
    except DataInvalid as error:
        return str(error)
    if not isinstance(after, dict) or not isinstance(before, dict):
        return "expected a mapping with versions and history"
    for name in GROWING_LISTS:
        had, has = before.get(name) or [], after.get(name) or []
        if not isinstance(has, list) or has[: len(had)] != had:
            return f"{name} does not begin with ours: entries may only be added"
    changed = [name for name in before if name not in GROWING_LISTS and before[name] != after.get(name)]
    return f"{', '.join(changed)} may not change" if changed else None


def grid_fault(path: str, data: bytes) -> str | None:
    """Return what is wrong with a grid file as text; what its numbers mean is for others to judge."""
    try:
        value: Any = yaml_text.load(data, path)
    except DataInvalid as error:
        return str(error)
    if not isinstance(value, dict):
        return "expected a mapping with versions and history"
    wrong = [name for name in GROWING_LISTS if not isinstance(value.get(name, []), list)]
    return f"{wrong[0]}: expected a list" if wrong else None
