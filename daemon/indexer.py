"""The indexer beside the cycles: brings the index up to date after each, and is patient while it is away."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import anyio
import anyio.to_thread
import structlog

from daemon.app import App
from daemon.indexing import Filling, Pass
from market.errors import IndexChanged, IndexUnavailable, RepositoryUnusable

_log = structlog.get_logger("index")
IDLE_PATIENCE_S = 30.0  # cycles that go on for longer must not keep the index behind
LOOK_EVERY_S = 60.0  # real seconds: history that was imported or merged rings for nobody
WAIT_S = (1.0, 5.0, 15.0, 60.0)


async def index_forever(app: App) -> None:
    """Bring the index up to date after every ring, and again and again while it is away."""
    failures = 0
    while True:
        if failures:
            await anyio.sleep(WAIT_S[min(failures, len(WAIT_S)) - 1])
        else:
            await app.bells.indexer.heard_within(LOOK_EVERY_S)
        with anyio.move_on_after(IDLE_PATIENCE_S):
            await app.progress.idle()
        failures = 0 if await keep_index(app, lambda: app.board.stopping) else failures + 1


async def keep_index(app: App, stopping: Callable[[], bool] = lambda: False) -> bool:
    """Bring the index up to the newest commit; says whether it answered. Off the loop, and nothing waits.

    Args:
        app: The house.
        stopping: Is asked after each piece of a long pass; what is left is for the next one.
    """
    condition = app.board.index
    try:
        found = await anyio.to_thread.run_sync(
            _one_pass, app, stopping, limiter=app.index_limit, abandon_on_cancel=True
        )
    except IndexChanged as error:
        _log.info("another process wrote the index; the next pass looks anew", series=str(error))
        return False
    except (IndexUnavailable, RepositoryUnusable) as error:
        if condition.failing_since is None:
            condition.failing_since = app.clock.now()
            _log.warning("the index is not filled now; it will be, and nothing waits", error=str(error))
        condition.trouble = str(error)
        app.metrics.index_failures.inc()
        return False
    if found is None:  # another process fills it, or there is nothing yet to fill it from
        return True
    if condition.failing_since is not None:
        _log.info("the index is filled again", was=condition.trouble, rows=found.done.rows)
    condition.failing_since, condition.trouble, condition.current_at = None, None, app.clock.now()
    condition.rows, condition.filled_to_ts = found.rows, found.filled_to_ts
    condition.size_bytes = found.size_bytes
    _tell(app, found.done)
    return True


def _tell(app: App, done: Pass) -> None:
    """Say what is worth a line, faults only when they are new."""
    condition = app.board.index
    app.metrics.index_rows_written.inc(done.rows)
    if done.rebuilt:
        _log.info("stale series made anew", series=done.rebuilt, rows=done.rows)
    for fault in done.faults:
        if fault not in condition.faults:
            _log.warning("left out of the index", reason=fault)
    condition.faults = tuple(done.faults)


@dataclass(frozen=True, slots=True)
class _Found:
    """What a pass did and left."""

    done: Pass
    rows: dict[tuple[str, str], int]
    filled_to_ts: dict[tuple[str, str], int]
    size_bytes: int


def _one_pass(app: App, stopping: Callable[[], bool]) -> _Found | None:
    with Filling(app.settings.state_path).at_once() as ours:
        if not ours or app.changes.head() is None:
            return None
        try:
            done = app.index_keeper.catch_up(stopping=stopping)
        finally:
            app.regimes.forget()
    index = app.index.opened()
    states = index.states().items()
    return _Found(
        done,
        {(key, frame.value): state.counts.rows for (key, frame), state in states},
        {(key, frame.value): state.filled_to_ts for (key, frame), state in states},
        index.size_bytes(),
    )
