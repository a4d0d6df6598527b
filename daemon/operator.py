"""The operator's deeds and the timers that run out: each becomes a file, through the one writer."""

from __future__ import annotations

import anyio.to_thread
import structlog

from daemon.app import App
from daemon.telling import put_louder
from decisions.actions import SYSTEM, Answer
from decisions.timers import Due, due_timers
from grid.state import state_at
from market.errors import CommitFailed, DataInvalid, HistoryRefused
from market.failpoints import reach
from market.hours import last_closed_hour
from notifications.advice import louder_notice
from store.advice import Deed, deed_change_set, read_advice
from store.inputs import PAST_HOURS
from store.state import Recorded

_log = structlog.get_logger("operator")


async def answer(app: App, decision_id: str, deed: Deed) -> Recorded:
    """Record what was done about a recommendation, and what follows for the grid, in one commit.

    Raises:
        DataInvalid: No such decision, or it cannot be answered so; names the field.
        CommitFailed, HistoryRefused: See `market.errors`.
    """
    recorded = await anyio.to_thread.run_sync(read_advice, app.store.root, decision_id)
    grid = (await app.store.grids()).get(recorded.file.grid_id)
    change_set = deed_change_set(recorded, deed, grid, app.clock.now())
    done = await app.store.write(change_set)
    app.bells.pusher.ring()
    return done


async def settle_timers(app: App) -> int:
    """Record each advice that ran out unanswered, and tell louder what waits too long; returns how many.

    What is due follows from the records, so a restart finds the same, also after days: whatever ran out
    meanwhile is recorded. Only the stops of the last hours are told louder, not each one of an outage.
    """
    now = app.clock.now()
    newest = last_closed_hour(now)
    lately = newest.plus(-PAST_HOURS).closes_at
    grids = [state_at(record, now) for record in (await app.store.grids()).values()]
    running = {grid.grid_id for grid in grids if grid is not None and grid.running}
    settled = 0
    for key, state in app.board.markets.items():
        reached, lasting = state.newest, False
        past = await app.store.recent_advice(key, newest, min(state.settled_to or newest, newest))
        for due in due_timers(past, now, app.settings.advice):
            is_news = due.advice.grid_id in running and due.advice.closes_at > lately
            if due.what == "louder" and not is_news:
                continue  # stopped by hand, or told anew by the hours since: nobody is woken for it
            reach("timers.before_settle")
            if due.what == "louder":
                settled += await _told_louder(app, key, due)
            elif await _expired(app, due):
                settled += 1
            else:
                lasting = True
        if not lasting:  # hours that were judged meanwhile were not looked at
            state.settled_to = reached
    return settled


async def _told_louder(app: App, key: str, due: Due) -> bool:
    """Tell that a stop waits for an answer; False where that was told already."""
    state = app.board.markets[key]
    facts = None if state.facts is None else state.facts.of_grid(due.advice.grid_id)
    notice = louder_notice(key, due.advice, None if facts is None else facts.exit_state, due.at)
    told = await put_louder(app, state, notice, due.advice.closes_at)
    if told:
        app.bells.notifier.ring()
    return told


async def _expired(app: App, due: Due) -> bool:
    """Record that nobody answered in time; False where it has to be tried again."""
    try:
        await answer(app, due.advice.id, Deed(Answer.EXPIRED, due.at, SYSTEM))
    except (DataInvalid, CommitFailed, HistoryRefused) as error:
        _log.warning("an expiry was not recorded yet", decision=due.advice.id, error=str(error))
        return False
    return True
