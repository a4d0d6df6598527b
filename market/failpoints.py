"""Named places where a test may make the program stumble. Free when off: one dictionary look-up.

`reach("writer.before_rename")` does nothing unless a plan is armed for that name. The roof (or a test)
supplies what happens then: kill the process, raise ENOSPC, hang. Names in use stand in `NAMES`, so that a
campaign can visit each.
"""

from __future__ import annotations

from collections.abc import Callable

NAMES = (
    "collect.before_fetch",
    "collect.after_fetch",
    "writer.before_intent",
    "writer.after_intent",
    "writer.before_write",
    "writer.before_fsync",
    "writer.after_fsync",
    "writer.before_rename",
    "writer.between_renames",
    "writer.after_rename",
    "writer.before_commit",
    "writer.after_commit",
    "writer.before_remove",
    "writer.after_intent_removed",
    "index.before_refresh",
    "index.after_refresh",
    "index.before_upsert",
    "index.after_upsert",
    "fetch.before",
    "fetch.after",
    "push.before",
    "push.after",
    "merge.before_commit",
    "merge.before_rename",
    "merge.after_rename",
    "cycle.after_record",
    "cycle.before_keep",
    "cycle.after_keep",
    "desk.before_commit",
    "desk.after_commit",
    "timers.before_settle",
    "notify.before_enqueue",
    "notify.before_write",
    "notify.before_fsync",
    "notify.before_rename",
    "notify.after_rename",
    "notify.after_enqueue",
    "notify.before_send",
    "notify.after_send",
    "notify.after_told",
    "restored.before_note",
    "anomalies.before_enqueue",
    "anomalies.before_keep",
)

_armed: dict[str, Callable[[], None]] = {}


def reach(name: str) -> None:
    """Mark a named place in the code; runs the armed action, if any."""
    action = _armed.get(name)
    if action is not None:
        action()


def arm(name: str, action: Callable[[], None]) -> None:
    """Run `action` each time the place `name` is reached.

    Raises:
        KeyError: No such place.
    """
    if name not in NAMES:
        raise KeyError(f"no failpoint {name!r}; known: {', '.join(NAMES)}")
    _armed[name] = action


def disarm() -> None:
    """Forget every action."""
    _armed.clear()
