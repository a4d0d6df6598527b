"""Emergencies sound until someone acknowledges them: that becomes a record, and needless ones are ended."""

from __future__ import annotations

from typing import Protocol

import anyio.to_thread
import structlog

from daemon.app import App
from daemon.operator import answer
from daemon.telling import is_settled, runs
from decisions.actions import Answer
from market.errors import CommitFailed, DataInvalid, HistoryRefused
from notifications.notice import Level
from notifications.pushover import Acknowledgement
from store.advice import Deed, read_advice

_log = structlog.get_logger("emergencies")


class Sounding(Protocol):
    """A channel whose emergencies go on by themselves until they are acknowledged or cancelled."""

    @property
    def sounding(self) -> frozenset[str]: ...

    async def acknowledgements(self) -> list[Acknowledgement]: ...

    async def settled(self, receipt: str) -> None: ...

    async def cancel(self, grid_id: str) -> bool: ...


async def watch_emergencies(app: App, channel: Sounding) -> int:
    """Record what was acknowledged, silence what needs nobody any longer; returns how many were recorded.

    An acknowledgement is forgotten only after its record is in the history: a crash records it again, which
    changes nothing.
    """
    recorded = 0
    for seen in await channel.acknowledgements():
        if await _recorded(app, seen):
            await channel.settled(seen.receipt)
            recorded += 1
    for grid_id in channel.sounding:
        if not await _still_needed(app, grid_id):
            await channel.cancel(grid_id)
    return recorded


async def _recorded(app: App, seen: Acknowledgement) -> bool:
    """Write the action of an acknowledgement; False where it has to be tried again."""
    if not seen.decision:
        return True  # a test: nothing was advised
    deed = Deed(Answer.ACKNOWLEDGE, seen.at, seen.by)
    try:
        known = await anyio.to_thread.run_sync(read_advice, app.store.root, seen.decision)
        done = ((action.action, action.at, action.actor) for action in known.advice.actions)
        if (deed.answer, deed.at, deed.actor) not in done:
            await answer(app, seen.decision, deed)
    except DataInvalid as error:
        _log.warning("an acknowledgement has no advice to go with", decision=seen.decision, error=str(error))
    except (CommitFailed, HistoryRefused) as error:
        _log.warning("an acknowledgement is not recorded yet", decision=seen.decision, error=str(error))
        return False
    return True


async def _still_needed(app: App, grid_id: str) -> bool:
    """Say whether a grid runs on in a state that was told as an emergency, and nobody has answered."""
    for state in app.board.markets.values():
        spell = state.spells.get(grid_id)
        if spell is not None and spell.level is Level.EMERGENCY:
            newest = None if state.facts is None else state.facts.of_grid(grid_id)
            now = None if newest is None else newest.spell
            if now is not None and (now.state, now.since) != (spell.state, spell.since):
                return False  # stopped by hand and set up anew: calm, and of that nothing is told
            return await runs(app, grid_id) and not await is_settled(app, state, spell)
    return False
