"""Arming the named failpoints from the environment, for campaigns: REGIMED_FAILPOINTS.

`writer.before_rename=kill@3;push.before=hang` kills the process the third time it is about to rename, and
hangs each push. Actions: kill (SIGKILL), enospc (the disk is full), hang (stop here for ever). With `?FILE`
behind it the action waits until that file is there, and ends with it: `writer.before_write=enospc?/tmp/full`.
"""

from __future__ import annotations

import errno
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import structlog

from market.errors import ConfigInvalid
from market.failpoints import NAMES, arm

_log = structlog.get_logger("failures")
VARIABLE = "REGIMED_FAILPOINTS"


def arm_failpoints(text: str | None = None) -> list[str]:
    """Arm what the environment (or `text`) asks for; returns the names.

    Raises:
        ConfigInvalid: An unknown place or action; a campaign must not test nothing.
    """
    armed = []
    for entry in filter(None, (text if text is not None else os.environ.get(VARIABLE, "")).split(";")):
        name, _, wanted = entry.partition("=")
        wanted, _, file = wanted.partition("?")
        action, _, nth = wanted.partition("@")
        if name not in NAMES or action not in _ACTIONS or not (nth or "1").isdigit():
            raise ConfigInvalid(
                f"{VARIABLE}: {entry!r}; expected PLACE=ACTION[@N][?FILE], actions {', '.join(_ACTIONS)},"
                f" places {', '.join(NAMES)}"
            )
        act = _nth(int(nth or 1), _said(name, action))
        arm(name, act if not file else _while_there(Path(file), act))
        armed.append(name)
    return armed


def _nth(count: int, action: Callable[[], None]) -> Callable[[], None]:
    """Return what acts the `count`-th time it is called, and each time after."""
    calls = 0

    def act() -> None:
        nonlocal calls
        calls += 1
        if calls >= count:
            action()

    return act


def _said(name: str, action: str) -> Callable[[], None]:
    """Return what says in the log, the first time, that the program stumbles on purpose."""
    said = False

    def act() -> None:
        nonlocal said
        if not said:
            said = True
            _log.warning("failpoint", place=name, action=action)
        _ACTIONS[action]()

    return act


def _while_there(file: Path, action: Callable[[], None]) -> Callable[[], None]:
    """Return what acts as long as a file is there."""

    def act() -> None:
        if file.exists():
            action()

    return act


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _full() -> None:
    raise OSError(errno.ENOSPC, "No space left on device (failpoint)")


def _hang() -> None:
    threading.Event().wait()


_ACTIONS: dict[str, Callable[[], None]] = {"kill": _kill, "enospc": _full, "hang": _hang}
