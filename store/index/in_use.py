"""The driver's connections that a call waits for right now, so that all of them can be ended at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True, eq=False)
class Use:
    """One call's use of a connection.

    Attributes:
        handle: The driver's connection.
        cut: Whether it was ended from outside.
    """

    handle: Any
    cut: bool = False


class InUse:
    """What is in use; safe from any thread.

    Args:
        end: Makes a call that waits for a connection fail at once.
    """

    def __init__(self, end: Callable[[Any], None]) -> None:
        self._end, self._lock = end, threading.Lock()
        self._uses: list[Use] = []

    @contextmanager
    def of(self, handle: Any) -> Iterator[Use]:
        use = Use(handle)
        with self._lock:
            self._uses.append(use)
        try:
            yield use
        finally:
            with self._lock:
                self._uses.remove(use)

    def cut(self) -> None:
        """End every connection that is in use; none whose use is over is touched."""
        with self._lock:
            for use in self._uses:
                use.cut = True
                self._end(use.handle)
