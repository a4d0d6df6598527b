"""How a file may change: write-once files never, append-only ones at the end, versioned ones by entries."""

from __future__ import annotations

from grid.record import extends
from market.errors import DataInvalid
from store.grids import decode_grid
from store.paths import Kind


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
        before, after = decode_grid(old, path), decode_grid(new, path)
    except DataInvalid as error:
        return str(error).removeprefix(f"{path}: ")
    return extends(before, after)


def grid_fault(path: str, data: bytes) -> str | None:
    """Return what is wrong with a grid file, None if nothing is."""
    try:
        decode_grid(data, path)
    except DataInvalid as error:
        return str(error).removeprefix(f"{path}: ")
    return None
