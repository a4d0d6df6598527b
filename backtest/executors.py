"""Who runs the parts of a sweep: this process, processes of this machine, or a Dask cluster.

The result does not depend on it: a part is integers, and whoever asks puts the parts in order.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from typing import Any, Protocol

from backtest.sweep import Part, SweepPlan, Task, run_part
from market.errors import ConfigInvalid, DataInvalid

CONNECT_S = 30
_shared: list[SweepPlan] = []


class Executor(Protocol):
    """Runs tasks over one plan."""

    def run(self, plan: SweepPlan, tasks: Sequence[Task]) -> Iterator[Part]:
        """Yield the part of every task once, in any order."""


class LocalExecutor:
    """Processes of this machine; one worker is this process itself.

    Args:
        workers: 1 or more.
    """

    def __init__(self, workers: int) -> None:
        self._workers = workers

    def run(self, plan: SweepPlan, tasks: Sequence[Task]) -> Iterator[Part]:
        """Yield the parts as they are done.

        Raises:
            DataInvalid: A worker process ended by force; what is yielded already is whole.
        """
        if self._workers == 1 or len(tasks) < 2:
            for task in tasks:
                yield run_part(plan, task)
            return
        # spawned, not forked: a caller may have threads, and a worker must not inherit its locks
        pool = ProcessPoolExecutor(
            min(self._workers, len(tasks)), get_context("spawn"), initializer=_take, initargs=(plan,)
        )
        try:
            for done in as_completed([pool.submit(_run_shared, task) for task in tasks]):
                yield done.result()
        except BrokenProcessPool:
            raise DataInvalid(
                "sweep", "workers", "a worker process was ended by force; run it again"
            ) from None
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _take(plan: SweepPlan) -> None:
    _shared[:] = [plan]
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this worker when who asked for it is gone: killed, it could not tell its workers to end."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _run_shared(task: Task) -> Part:
    return run_part(_shared[0], task)


class DaskExecutor:
    """A Dask cluster; the candles are sent to each worker once, and a worker that dies loses only its task.

    Dask moves Python objects as pickles: whoever reaches the scheduler runs code. Use it inside a trusted
    network only, and the same release of regimed on every worker.

    Args:
        address: Of the scheduler, for example tcp://127.0.0.1:8786.
    """

    def __init__(self, address: str) -> None:
        self._address = address

    def run(self, plan: SweepPlan, tasks: Sequence[Task]) -> Iterator[Part]:
        """Yield the parts as they are done.

        Raises:
            ConfigInvalid: The extra is not installed, or nobody answers at the address.
            DataInvalid: The cluster ended meanwhile; what is yielded already is whole.
        """
        try:
            import distributed
        except ImportError:
            raise ConfigInvalid(
                "--engine dask needs the extra `distributed`: pip install 'regimed[distributed]'"
            ) from None
        dask: Any = distributed  # some of it is typed, some is not, and the extra may not be there
        try:
            client = dask.Client(self._address, timeout=CONNECT_S, set_as_default=False)
        except (OSError, TimeoutError, ValueError) as error:
            raise ConfigInvalid(f"--address: {self._address}: no Dask scheduler: {error}") from None
        with _silent("distributed", "distributed.client"), client:
            candles = client.scatter(plan, broadcast=True, hash=False)
            futures = [client.submit(run_part, candles, task, pure=False) for task in tasks]
            try:
                for future in dask.as_completed(futures, loop=client.loop):
                    yield future.result()
                    future.release()
            except (OSError, dask.CancelledError, dask.scheduler.KilledWorker) as error:
                why = type(error).__name__  # its own words fill lines and tell of futures and keys
                raise DataInvalid("sweep", "dask", f"the cluster went away; run it again ({why})") from None


@contextmanager
def _silent(*names: str) -> Iterator[None]:
    """Keep a library from logging tracebacks of what is told in a line by whoever called it."""
    loggers = [logging.getLogger(name) for name in names]
    before = [each.level for each in loggers]
    for each in loggers:
        each.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for each, level in zip(loggers, before, strict=True):
            each.setLevel(level)
