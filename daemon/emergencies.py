"""Emergencies sound until someone acknowledges them: that becomes a record, and needless ones are ended."""

from __future__ import annotations

from typing import Protocol

import anyio.to_thread
import structlog

from daemon.app import App
from daemon.operator import answer
from daemon.telling import is_settled, runs, spell_of
from decisions.actions import Answer
from market.errors import CommitFailed, DataInvalid, HistoryRefused
from notifications.advice import level_with_doubts
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
        before = _spells(app, grid_id)
        if not await _still_needed(app, grid_id) and _spells(app, grid_id) == before:
            await channel.cancel(grid_id)  # unless it was told anew while that was looked up
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
        if app.board.commit_trouble is not None:
            return False  # told as NOT RECORDED: its advice comes with the next commit
        _log.warning("an acknowledgement has no advice to go with", decision=seen.decision, error=str(error))
    except (CommitFailed, HistoryRefused) as error:
        _log.warning("an acknowledgement is not recorded yet", decision=seen.decision, error=str(error))
        return False
    return True


async def _still_needed(app: App, grid_id: str) -> bool:
    """Say whether a grid runs on in a state that is told as an emergency, and nobody has answered.

    Where a grid runs and nothing more is known of it, rather a siren too many.
    """
    if not await runs(app, grid_id):
        return False
    for state in app.board.markets.values():
        facts = None if state.facts is None else state.facts.of_grid(grid_id)
        if facts is None or facts.spell is None:
            continue
        spell = spell_of(state, facts)  # a new one where the grid was set up anew
        loudest = max(level_with_doubts(facts), spell.level or Level.QUIET, key=lambda level: level.rank)
        return loudest is Level.EMERGENCY and not await is_settled(app, state, spell)
    return True


def _spells(app: App, grid_id: str) -> list[tuple[str, int] | None]:
    """Return what each market knows of a grid's stay in its state: another one, or told again, differs."""
    held = (state.spells.get(grid_id) for state in app.board.markets.values())
    return [None if spell is None else (spell.next_key, spell.times) for spell in held]
