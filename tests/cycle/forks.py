"""Real processes that need no start of an interpreter: forks of one that has imported the program.

They have their own pid, die of kill -9 and leave what any process leaves. What is saved is the second and a
half of imports, so that a kill at a random moment hits the program at work.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any
from unittest import mock

from tests.cycle.processes import ROOT, Process, reading

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["daemon.cli", "tests.cycle.deaths"])


class Fork:
    """A forked process under the names that `subprocess.Popen` has."""

    def __init__(
        self, target: Callable[..., Any], arguments: tuple[Any, ...], environment: dict[str, str]
    ) -> None:
        mine, its = _FORKS.Pipe(duplex=False)
        self._process = _FORKS.Process(target=_speaking_to, args=(its, environment, target, *arguments))
        # coverage follows interpreters that start; what is killed could not save what it counted
        with mock.patch.dict(os.environ):
            for name in [name for name in os.environ if name.startswith("COVERAGE_PROCESS")]:
                del os.environ[name]
            self._process.start()
        its.close()
        self.stdout = os.fdopen(os.dup(mine.fileno()), errors="replace")
        mine.close()

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, seconds: float) -> int:
        """Return the exit code, minus the signal that it died of; fails when it is late."""
        self._process.join(seconds)
        assert self._process.exitcode is not None, f"still running after {seconds} s"
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        assert self._process.pid is not None
        if self.poll() is None:
            os.kill(self._process.pid, number)

    def kill(self) -> None:
        self._process.kill()


def _speaking_to(
    pipe: Connection, environment: dict[str, str], target: Callable[..., Any], *arguments: Any
) -> None:
    for stream in (1, 2):
        os.dup2(pipe.fileno(), stream)
    pipe.close()
    os.chdir(ROOT)
    os.environ.update(environment)
    sys.stdout.reconfigure(line_buffering=True)
    target(*arguments)


def _command_line(*arguments: str) -> None:
    from daemon.cli import main

    sys.argv = ["regimed", *arguments]
    main()


@contextmanager
def forked(target: Callable[..., Any], *arguments: Any, **environment: str) -> Iterator[Process]:
    """Call a function of a module in a process of its own; it is killed at the end if it still runs."""
    with reading(Fork(target, arguments, environment)) as running:
        yield running


@contextmanager
def forked_regimed(*arguments: str, **environment: str) -> Iterator[Process]:
    """Start a command; it is killed at the end if it still runs."""
    with forked(_command_line, *arguments, **environment) as running:
        yield running
