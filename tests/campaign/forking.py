"""Children of a warm process: what they answer, or how they ended."""

from __future__ import annotations

import os
import pickle
import select
import signal
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

PATIENCE_S = 600.0


@dataclass(frozen=True, slots=True)
class Ended:
    """How a child ended: its answer, the signal that it died of, or its last words."""

    answer: Any = None
    signal: int = 0
    trouble: str = ""

    @property
    def is_fine(self) -> bool:
        return not self.signal and not self.trouble

    def words(self) -> str:
        return self.trouble or f"died of signal {self.signal}"


@dataclass(slots=True)
class Child:
    """A forked child and the pipe that it answers through."""

    pid: int
    pipe: int
    until: float

    def ended(self) -> Ended:
        """Wait for the end; one that is late is killed and said to hang."""
        parts = []
        while ready := select.select([self.pipe], [], [], max(0.0, self.until - time.monotonic()))[0]:
            part = os.read(ready[0], 1 << 16)
            if not part:
                break
            parts.append(part)
        else:
            os.kill(self.pid, signal.SIGKILL)
        os.close(self.pipe)
        _, status = os.waitpid(self.pid, 0)
        late = time.monotonic() >= self.until
        if late:
            return Ended(trouble="it hangs")
        if os.WIFSIGNALED(status):
            return Ended(signal=os.WTERMSIG(status))
        found: Ended = pickle.loads(b"".join(parts)) if parts else Ended(trouble=f"exit code {status >> 8}")
        return found


def fork(work: Callable[..., Any], *arguments: Any, patience_s: float = PATIENCE_S) -> Child:
    """Begin `work` in a child that shares all that this process has imported and prepared."""
    mine, its = os.pipe()
    pid = os.fork()
    if pid:
        os.close(its)
        return Child(pid, mine, time.monotonic() + patience_s)
    os.close(mine)
    if "REGIMED_CAMPAIGN_LOG" not in os.environ:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (1, 2):
            os.dup2(nowhere, stream)
    try:
        said = Ended(work(*arguments))
    except BaseException as error:  # noqa: BLE001 whatever it is, the parent is told
        last = traceback.extract_tb(error.__traceback__)[-1]
        said = Ended(trouble=f"{type(error).__name__}: {error} ({last.name}, line {last.lineno})"[:2000])
    try:
        data = memoryview(pickle.dumps(said))
        while data:
            data = data[os.write(its, data) :]
    finally:
        os._exit(0)


def in_fork(work: Callable[..., Any], *arguments: Any) -> Ended:
    """Do `work` in a child and return how it ended."""
    return fork(work, *arguments).ended()
