"""Work that blocks, in few threads with a short queue: the loop goes on, and whoever leaves frees a place."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from threading import Lock
from typing import Any, TypeVar

from daemon.api.problems import Problem

T = TypeVar("T")


class Workshop:
    """Runs blocking questions.

    Args:
        threads: That run at the same time.
        waiting: Questions that may wait for them; one more is refused.
    """

    def __init__(self, threads: int, waiting: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="api")
        self._most, self._held, self._lock = threads + waiting, 0, Lock()
        self._running: dict[Hashable, tuple[asyncio.Task[Any], list[None]]] = {}

    @property
    def held(self) -> int:
        """Questions under way or waiting."""
        return self._held

    async def run(self, work: Callable[[], T]) -> T:
        """Return what `work` gives; cancelled while it waits, it is never begun.

        Raises:
            Problem: 503, no place is left.
        """
        with self._lock:
            if self._held >= self._most:
                raise Problem(
                    503,
                    "others are being answered; ask again in a few seconds",
                    headers={"Retry-After": "2"},
                )
            self._held += 1
        future = self._pool.submit(work)
        future.add_done_callback(self._free)
        return await asyncio.wrap_future(future)

    async def shared(self, name: Hashable, work: Callable[[], Awaitable[T]]) -> T:
        """Return what `work` gives, running it once for all who ask under this name at the same time.

        It is cancelled when the last of them has gone.
        """
        task, askers = self._running.get(name, (None, []))
        if task is None:
            task = asyncio.ensure_future(work())
            self._running[name] = (task, askers)
            task.add_done_callback(partial(self._end, name))
        askers.append(None)
        try:
            return await asyncio.shield(task)
        finally:
            askers.pop()
            if not askers and not task.done():
                task.cancel()
                self._end(name, task)

    def close(self) -> None:
        """Take no more; what waits is dropped."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _end(self, name: Hashable, task: asyncio.Task[Any]) -> None:
        """Let the next one who asks begin anew; an error that nobody waits for any more is nobody's."""
        if self._running.get(name, (None,))[0] is task:
            del self._running[name]
        if task.done() and not task.cancelled():
            task.exception()

    def _free(self, _: Future[Any]) -> None:
        with self._lock:
            self._held -= 1
