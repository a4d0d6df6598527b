"""Libraries write addresses into their debug logs, and here an address is a secret."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_SILENCED: ContextVar[bool] = ContextVar("silenced", default=False)


class _Drop(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:  # noqa: ARG002 whatever it says
        return not _SILENCED.get()


_DROP = _Drop()


@contextmanager
def discreet() -> Iterator[None]:
    """Drop whatever any library logs in this context, at every level; threads that copy it included.

    A filter on each logger, not a level: httpx names the whole address at INFO, urllib3 at DEBUG, and a level
    is what someone who looks for trouble changes.
    """
    for logger in list(logging.Logger.manager.loggerDict.values()):
        if isinstance(logger, logging.Logger):
            logger.addFilter(_DROP)
    token = _SILENCED.set(True)
    try:
        yield
    finally:
        _SILENCED.reset(token)
