"""A command as a person calls it, in this process: its exit code, what it printed and what it said."""

from __future__ import annotations

import io
import sys
from dataclasses import dataclass
from unittest import mock

from daemon import cli
from tests.logs import kept_logs


@dataclass(frozen=True, slots=True)
class Called:
    """How a command ended."""

    code: int
    out: str
    err: str


def called(*arguments: str) -> Called:
    """Run `regimed` with these arguments to its end."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    with kept_logs(), mock.patch.multiple(sys, argv=["regimed", *arguments], stdout=out, stderr=err):
        try:
            cli.main()
            code = 0
        except SystemExit as ended:
            code = 0 if ended.code is None else int(ended.code)
    return Called(code, *(stream.buffer.getvalue().decode() for stream in (out, err)))
