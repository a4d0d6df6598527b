"""Arming the named failpoints from the environment, for campaigns: REGIMED_FAILPOINTS.

`writer.before_rename=kill@3;push.before=hang` kills the process the third time it is about to rename, and
hangs each push. Actions: kill (SIGKILL), enospc (the disk is full), hang (stop here for ever).
"""

from __future__ import annotations

import errno
import os
import signal
import threading
from collections.abc import Callable

from market.errors import ConfigInvalid
from market.failpoints import NAMES, arm

VARIABLE = "REGIMED_FAILPOINTS"


def arm_failpoints(text: str | None = None) -> list[str]:
    """Arm what the environment (or `text`) asks for; returns the names.

    Raises:
        ConfigInvalid: An unknown place or action; a campaign must not test nothing.
    """
    armed = []
    for entry in filter(None, (text if text is not None else os.environ.get(VARIABLE, "")).split(";")):
        name, _, wanted = entry.partition("=")
        action, _, nth = wanted.partition("@")
        if name not in NAMES or action not in _ACTIONS or not (nth or "1").isdigit():
            raise ConfigInvalid(
                f"{VARIABLE}: {entry!r}; expected PLACE=ACTION[@N], actions {', '.join(_ACTIONS)},"
                f" places {', '.join(NAMES)}"
            )
        arm(name, _nth(int(nth or 1), _ACTIONS[action]))
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


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _full() -> None:
    raise OSError(errno.ENOSPC, "No space left on device (failpoint)")


def _hang() -> None:
    threading.Event().wait()


_ACTIONS: dict[str, Callable[[], None]] = {"kill": _kill, "enospc": _full, "hang": _hang}
