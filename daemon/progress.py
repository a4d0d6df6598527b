"""Is work going on? Stamps that the workers write, a pulse of the loop, and a thread that watches both.

An HTTP server that answers proves nothing: a task can hang while the loop turns, and the loop can hang while
the process lives.
"""

from __future__ import annotations

import faulthandler
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Self

import anyio
import structlog

_log = structlog.get_logger("progress")
STAGES = ("scheduler", "collector", "analysis", "writer")
PULSE_S = 0.25


@dataclass
class Stage:
    """One kind of work: when it last moved, and when each piece under way last did (monotonic seconds)."""

    moved_at: float
    under_way: dict[int, float] = field(default_factory=dict)


_piece: ContextVar[tuple[str, int] | None] = ContextVar("piece", default=None)


class Progress:
    """Progress stamps of the stages that a restart could cure.

    A piece of work is hung when it is under way and did not move for `limit_s`; what other pieces do does not
    hide it. The scheduler must move by itself: its own heartbeat stamps it.

    Args:
        monotonic: Real seconds.
        limit_s: How long a piece of work may stand still.
    """

    def __init__(self, monotonic: Callable[[], float], limit_s: float) -> None:
        self._monotonic, self.limit_s = monotonic, limit_s
        now = monotonic()
        self._stages = {name: Stage(now) for name in STAGES}
        self._ticket = 0
        self._ended = anyio.Event()
        self.loop_moved_at = now
        self.lags_s: deque[float] = deque(maxlen=2400)  # ten minutes of pulses

    def stamp(self, name: str) -> None:
        """Note that a stage which works by itself moved."""
        self._stages[name].moved_at = self._monotonic()

    def moved(self) -> None:
        """Note that the piece of work that this task is doing moved."""
        piece = _piece.get()
        if piece is not None and piece[1] in self._stages[piece[0]].under_way:
            self._stages[piece[0]].under_way[piece[1]] = self._monotonic()

    @contextmanager
    def working(self, name: str) -> Iterator[None]:
        """Mark a piece of a stage's work as under way."""
        stage = self._stages[name]
        self._ticket += 1
        ticket = self._ticket
        stage.under_way[ticket] = self._monotonic()
        before = _piece.set((name, ticket))
        try:
            yield
        finally:
            _piece.reset(before)
            del stage.under_way[ticket]
            self._ended.set()
            self._ended = anyio.Event()

    async def idle(self) -> None:
        """Wait until no stage has work under way."""
        while any(stage.under_way for stage in self._stages.values()):
            await self._ended.wait()

    def under_way(self, name: str) -> bool:
        """Say whether work of a stage is going on."""
        return bool(self._stages[name].under_way)

    def still_s(self) -> dict[str, float]:
        """Return for how long the stillest piece of each stage has not moved, seconds; 0 when idle."""
        now = self._monotonic()
        still = {
            name: max((now - at for at in s.under_way.values()), default=0.0)
            for name, s in self._stages.items()
        }
        still["scheduler"] = now - self._stages["scheduler"].moved_at
        return {name: max(0.0, seconds) for name, seconds in still.items()}

    def hung(self) -> list[str]:
        """Return what a restart could cure, in words; empty when all is well."""
        return [
            f"{name} has not moved for {still:.0f} s (limit {self.limit_s:.0f} s)"
            for name, still in self.still_s().items()
            if still > self.limit_s
        ]

    def lag_p99_s(self) -> float:
        """Return the loop's lag, 99th percentile of the last ten minutes, seconds."""
        lags = sorted(self.lags_s)
        return lags[int(0.99 * (len(lags) - 1))] if lags else 0.0

    async def pulse(self, observe: Callable[[float], None]) -> None:
        """Measure the loop's lag for ever."""
        while True:
            before = self._monotonic()
            await anyio.sleep(PULSE_S)
            self.loop_moved_at = self._monotonic()
            lag = max(0.0, self.loop_moved_at - before - PULSE_S)
            self.lags_s.append(lag)
            observe(lag)


class LoopWatchdog:
    """A thread beside the loop: says with every stack when the loop is blocked, and ends what cannot recover.

    A blocked loop cannot answer a probe, log or save anything. Everything that matters is on disk already,
    so past the limit the process ends itself and is started anew.

    Args:
        progress: Whose pulse is watched.
        monotonic: Real seconds.
        warn_s: Blocked for so long, the stacks are printed to stderr once.
        end: Called past the progress limit.
    """

    def __init__(
        self, progress: Progress, monotonic: Callable[[], float], warn_s: float, end: Callable[[], None]
    ) -> None:
        self._progress, self._monotonic, self._warn_s, self._end = progress, monotonic, warn_s, end
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="loop-watchdog", daemon=True)
        self.warnings = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(timeout=5)

    def _watch(self) -> None:
        warned = False
        while not self._stop.wait(min(1.0, self._warn_s / 4)):
            blocked = self._monotonic() - self._progress.loop_moved_at
            if blocked < self._warn_s:
                warned = False
                continue
            if not warned:
                warned = True
                self.warnings += 1
                _log.error("the event loop is blocked", blocked_s=round(blocked, 1))
                faulthandler.dump_traceback(file=sys.__stderr__ or 2, all_threads=True)
            if blocked > self._progress.limit_s:
                self._end()
                return
