"""Real processes: the daemon and the sandbox as a user starts them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from daemon.clock import ScaledClock
from market.hours import Hour
from store.ledger import Ledger

REGIMED = [sys.executable, "-m", "daemon.cli"]
ROOT = Path(__file__).resolve().parent.parent.parent


def regimed(*arguments: str, timeout: float = 120, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [*REGIMED, *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        cwd=ROOT,
        env={**os.environ, **environment},
    )


def clock_from(start: Hour, rate: float) -> str:
    """Return the --clock argument of a time that starts now at the close of `start` and runs at `rate`."""
    return str(ScaledClock(start.closes_at, rate, datetime.now(UTC)))


def clock_standing_at(instant: datetime) -> str:
    """Return the --clock argument of a time that stands still: too slow for its first microsecond."""
    return str(ScaledClock(instant, 1e-9, datetime.now(UTC)))


@dataclass
class Process:
    """A started command, its lines as they come."""

    process: Any  # subprocess.Popen, or a Fork
    lines: list[str] = field(default_factory=list)
    arrived: threading.Condition = field(default_factory=threading.Condition)

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self.arrived:
                self.lines.append(line.rstrip())
                self.arrived.notify_all()
        with self.arrived:
            self.arrived.notify_all()

    def line(self, pattern: str, seconds: float = 30) -> re.Match[str]:
        """Wait for a line; fails with everything said when the process ends or is late."""

        def found() -> re.Match[str] | None:
            return next((m for line in self.lines if (m := re.search(pattern, line))), None)

        with self.arrived:
            self.arrived.wait_for(lambda: found() or self.process.poll() is not None, seconds)
            match = found()
        assert match, "\n".join(self.lines[-40:])
        return match

    def end(self, number: int = signal.SIGTERM, seconds: float = 60) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(seconds)


@contextmanager
def started(*arguments: str, **environment: str) -> Iterator[Process]:
    """Start a command; it is killed at the end if it still runs."""
    process = subprocess.Popen(
        [*REGIMED, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,
        env={**os.environ, **environment},
    )
    with reading(process) as running:
        yield running


@contextmanager
def reading(process: Any) -> Iterator[Process]:
    """Read what a process says while it runs; it is killed at the end if it still does."""
    running = Process(process)
    reader = threading.Thread(target=running._read, daemon=True)
    reader.start()
    try:
        yield running
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(30)
        reader.join(10)
        assert process.stdout is not None
        process.stdout.close()


def hours_of(folder: Path, key: str) -> Sequence[Hour]:
    """Return the judged hours of a market, oldest first."""
    return Ledger(folder / "data").judged_hours(key)
