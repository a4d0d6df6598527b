"""A command as a person calls it, in this process: its exit code, what it printed and what it said."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from unittest import mock

import structlog

from daemon import cli


@dataclass(frozen=True, slots=True)
class Called:
    """How a command ended."""

    code: int
    out: str
    err: str


def called(*arguments: str) -> Called:
    """Run `regimed` with these arguments to its end."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    with _kept_logs(), mock.patch.multiple(sys, argv=["regimed", *arguments], stdout=out, stderr=err):
        try:
            cli.main()
            code = 0
        except SystemExit as ended:
            code = 0 if ended.code is None else int(ended.code)
    return Called(code, *(stream.buffer.getvalue().decode() for stream in (out, err)))


@contextmanager
def _kept_logs() -> Iterator[None]:
    """Give the logs back as they were: the command sends them to its own stderr."""
    root = logging.getLogger()
    handlers, level, before = root.handlers[:], root.level, structlog.get_config()
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        structlog.configure(**before)
