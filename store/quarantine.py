"""Quarantine: a corrupt file leaves its place, with the reason beside it, and stops nobody else."""

from __future__ import annotations

from pathlib import Path

from store import disk, yaml_text
from store.change_set import ChangeSet
from store.intents import digest
from store.paths import quarantine_paths
from store.reader import Fault


def quarantine_change_set(root: Path, fault: Fault, at_iso: str) -> ChangeSet | None:
    """Return the change-set that moves a corrupt file to quarantine; None when it is gone already."""
    data = disk.read(root / fault.path)
    if data is None:
        return None
    place, reason_place = quarantine_paths(fault.path, lambda path: (root / path).exists())
    reason = {
        "schema_version": 1,
        "path": fault.path,
        "reason": fault.reason,
        "digest": digest(data),
        "found_at": at_iso,
    }
    return ChangeSet(
        files={place: data, reason_place: yaml_text.dump(reason)},
        message=f"[quarantine] {fault.path}",
        removes=(fault.path,),
    )
