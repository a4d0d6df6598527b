"""What the operator hears, and when again: facts in, notices out, what was told into the records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import anyio.to_thread
import structlog

from daemon.app import App
from daemon.board import MarketState
from daemon.facts import hour_facts
from decisions.actions import Answer
from decisions.evaluate import Evaluation
from decisions.inputs import Before
from exits.states import ExitState
from grid.state import state_at
from market.errors import CommitFailed, DataInvalid, HistoryRefused, RegimedError
from market.failpoints import reach
from market.hours import Hour, last_closed_hour
from notifications.advice import AdviceFacts, level_of, reminder
from notifications.messages import HourFacts, hour_notices
from notifications.notice import Level, Notice
from notifications.pacing import Spell, hushed, may_tell, repeat_due
from store.exit_files import ToldNotice, told_notices

_log = structlog.get_logger("telling")
CLOCKS_APART = timedelta(minutes=2)  # a phone's clock and ours
JUDGED_WITHIN = timedelta(minutes=2)
_ANSWERS = (Answer.ACCEPT, Answer.DECLINE, Answer.ACKNOWLEDGE)


async def tell(app: App, evaluation: Evaluation, *, recorded: bool) -> None:
    """Hand the operator what is new in this hour; during catch-up only the newest hour speaks."""
    state = app.board.markets[evaluation.inputs.key]
    facts = hour_facts(evaluation)
    app.board.was_ready = True
    if state.newest is None or facts.hour >= state.newest:
        state.newest, state.facts, state.outcome = facts.hour, facts, evaluation.outcome
        state.grids = Before(facts.hour, evaluation.gates_value(), evaluation.exits_value())
    if facts.hour < last_closed_hour(app.clock.now()):
        state.caught_up.append(facts)
        return
    meanwhile, state.caught_up = state.caught_up, []
    await announce(app, facts, meanwhile, recorded=recorded)


async def announce(
    app: App, now: HourFacts, meanwhile: Sequence[HourFacts], *, recorded: bool = True
) -> None:
    """Put what is new since the hour told last into the outbox; the same hour again puts nothing.

    Args:
        app: The house.
        now: The newest hour.
        meanwhile: Hours judged late in between, oldest first.
        recorded: Whether the hour is in the history.
    """
    state = app.board.markets[now.key]
    # A stop waits for it: what was put into the outbox is to be recorded by the process that did so.
    with app.progress.working("writer"):
        async with state.telling:
            await _announce(app, state, now, meanwhile, recorded=recorded)
            state.told = now


async def _announce(
    app: App, state: MarketState, now: HourFacts, meanwhile: Sequence[HourFacts], *, recorded: bool
) -> None:
    before, told = state.told, list[ToldNotice]()
    for notice in hour_notices(before, now, caught_up=meanwhile, recorded=recorded):
        facts = now.of_grid(notice.grid_id) if notice.grid_id else None
        if facts is None or facts.spell is None:
            await anyio.to_thread.run_sync(app.outbox.enqueue, notice)
            continue
        put = await _put_paced(app, state, facts, notice)
        if put is not None:
            told += [*_folded(before, meanwhile, facts, put), put]
    app.bells.notifier.ring()
    if recorded:
        await _record(app, state, told)
    else:
        state.unrecorded += told  # the hour comes first
    reach("cycle.before_keep")
    await anyio.to_thread.run_sync(app.told.keep, now)  # after the notice is durable: rather twice than never
    reach("cycle.after_keep")


async def remind(app: App) -> int:
    """Tell again what stands unanswered and is due, and tell once what was never told; returns how many."""
    count = 0
    for state in app.board.markets.values():
        try:
            async with state.telling:
                count += await _remind(app, state)
        except (RegimedError, OSError) as error:  # one market's trouble must not silence the others
            _log.warning("reminders are left out this time", market=state.key, error=str(error))
    return count


async def _remind(app: App, state: MarketState) -> int:
    facts = None if _speaks_soon(app, state) else _standing(state)
    advised = () if facts is None else facts.advice
    found = [await _reminded(app, state, each) for each in advised if each.spell is not None]
    told = [put for put in found if put is not None]
    if told:
        app.bells.notifier.ring()
    if state.counted_to is None:
        state.unrecorded += told  # an hour could not be recorded: it comes first
    else:
        await _record(app, state, told)
    return len(told)


async def recall_told(app: App, key: str) -> None:
    """Find in the records what was told of the running grids' exit states."""
    state = app.board.markets[key]
    exits = {} if state.grids is None else state.grids.exits
    spells = {
        grid_id: Spell(grid_id, ExitState(entry["state"]), entry["since"]) for grid_id, entry in exits.items()
    }
    state.spells = await anyio.to_thread.run_sync(_told_of, app, key, spells)


async def put_louder(app: App, state: MarketState, notice: Notice, advised_at: datetime) -> bool:
    """Tell that a stop waits for an answer, unless its state was told as loudly; True where it is news.

    A stop of a state that has changed since is told no louder: the present state has spoken for itself. What
    was told as loudly is repeated by `remind`.
    """
    async with state.telling:
        standing = _standing(state)
        facts = None if standing is None else standing.of_grid(notice.grid_id)
        if app.outbox.knows(notice.dedupe):
            return False
        if facts is None or facts.spell is None:
            return await anyio.to_thread.run_sync(app.outbox.enqueue, notice)
        spell = spell_of(state, facts)
        changed = advised_at < Hour.parse(spell.since).closes_at
        heard = hushed(notice, app.clock.now(), app.settings.notifications.quiet_hours)
        as_loud = spell.level is not None and heard.rank <= spell.level.rank
        if changed or as_loud or await is_settled(app, state, spell):
            return False
        put = await _put_paced(app, state, facts, notice, own_key=True)
        if put is None:
            return False
        await _record(app, state, [put])
        return True


async def _put_paced(
    app: App, state: MarketState, facts: AdviceFacts, notice: Notice, *, own_key: bool = False
) -> ToldNotice | None:
    """Put a notice about a grid's exit state into the outbox, unless one like it was told just now."""
    now, settings = app.clock.now(), app.settings.notifications
    spell = spell_of(state, facts)
    level = hushed(notice, now, settings.quiet_hours)
    if not may_tell(spell, level, now, settings.pacing):
        app.metrics.notices_held.labels(state.key, spell.state.value).inc()
        return None
    if not own_key and spell.state is not ExitState.NORMAL:
        notice = replace(notice, dedupe=spell.next_key)  # the same again after a crash: told once
    # One that was put there before a crash counts from now: the next is late by its least time at most.
    await anyio.to_thread.run_sync(app.outbox.enqueue, notice)
    spell = state.spells[facts.grid_id] = spell.told(now, level)
    return _as_told(spell, notice.dedupe, now, level, facts.id)


async def _reminded(app: App, state: MarketState, facts: AdviceFacts) -> ToldNotice | None:
    now, settings = app.clock.now(), app.settings.notifications
    spell = spell_of(state, facts)
    level = max(level_of(facts), spell.level or Level.QUIET, key=lambda level: level.rank)
    notice = reminder(state.key, facts, spell.times, level, now)
    as_heard = hushed(notice, now, settings.quiet_hours)
    if spell.level is not None and spell.level is not Level.QUIET:
        as_heard = min(as_heard, spell.level, key=lambda level: level.rank)  # heard: the least time holds
    if not repeat_due(spell, now, settings.pacing, as_heard) or not await runs(app, facts.grid_id):
        return None
    if spell.times and await is_settled(app, state, spell):
        return None
    return await _put_paced(app, state, facts, notice)


async def runs(app: App, grid_id: str) -> bool:
    """Say whether a grid runs now, by its own record: a stop may have come after the last judged hour."""
    record = (await app.store.grids()).get(grid_id)
    grid = None if record is None else state_at(record, app.clock.now())
    return grid is not None and grid.running


async def is_settled(app: App, state: MarketState, spell: Spell) -> bool:
    """Say whether the operator has answered or acknowledged what was told of this state; then remembered.

    What was said of earlier advice, or before the present loudness was told, is no answer to it.
    """
    if spell.settled:
        return True
    asked_at = spell.began if spell.loud_at is None else spell.loud_at - CLOCKS_APART
    past = await app.store.recent_advice(
        state.key, last_closed_hour(app.clock.now()), Hour.parse(spell.since)
    )
    settled = any(
        action.action in _ANSWERS and action.is_human and action.at >= asked_at
        for advice in past
        if advice.grid_id == spell.grid_id and advice.closes_at >= spell.began
        for action in advice.actions
    )
    if settled and state.spells.get(spell.grid_id) == spell:
        state.spells[spell.grid_id] = replace(spell, settled=True)
    return settled


def _speaks_soon(app: App, state: MarketState) -> bool:
    """Say whether a newer hour is just being judged: it may have better news than a reminder."""
    if state.newest is None or state.trouble is not None:
        return False
    last = last_closed_hour(app.clock.now())
    return state.newest < last and app.clock.now() < last.closes_at + JUDGED_WITHIN


def _standing(state: MarketState) -> HourFacts | None:
    """Return the hour whose state stands: the one told last, for those being caught up are not news.

    A market in trouble, or one that waits for missing minutes, has no newer hour to wait for.
    """
    return state.told if state.trouble is None and state.retry_at is None else state.facts


def spell_of(state: MarketState, facts: AdviceFacts) -> Spell:
    """Return the grid's present stay in its exit state with what was told of it."""
    fresh, held = facts.spell, state.spells.get(facts.grid_id)
    assert fresh is not None
    same = held is not None and (held.state, held.since) == (fresh.state, fresh.since)
    return held if held is not None and same else fresh


def _folded(
    before: HourFacts | None, meanwhile: Sequence[HourFacts], now: AdviceFacts, put: ToldNotice
) -> Iterator[ToldNotice]:
    """Yield the exit states that a grid passed through in hours judged late: `put` speaks for them."""
    told = None if before is None else before.of_grid(now.grid_id)
    known = [now.spell, None if told is None else told.spell]
    for hour in meanwhile:
        then = hour.of_grid(now.grid_id)
        if then is None or then.spell is None or then.spell in known:
            continue
        known.append(then.spell)
        yield replace(put, state=then.spell.state, since=then.spell.since, decision=None, folded=True)


def _as_told(spell: Spell, key: str, at: datetime, level: Level, decision: str | None) -> ToldNotice:
    return ToldNotice(spell.grid_id, at, spell.state, spell.since, level.value, key, decision)


async def _record(app: App, state: MarketState, told: Sequence[ToldNotice]) -> None:
    """Record what was told, and what could not be recorded before; what fails is kept for the next time."""
    owed, state.unrecorded = [*state.unrecorded, *told], []
    if not owed:
        return
    try:
        await app.store.record_notices(state.key, owed)
    except (CommitFailed, HistoryRefused) as error:
        state.unrecorded = owed
        _log.warning("what was told is not recorded yet", market=state.key, error=str(error))
        return
    app.bells.pusher.ring()


def _told_of(app: App, key: str, spells: Mapping[str, Spell]) -> dict[str, Spell]:
    """Return the spells with what the records say was told of them."""
    if not spells:
        return {}
    first_day = min(f"{Hour.parse(spell.since).closes_at:%Y-%m-%d}" for spell in spells.values())
    found = dict(spells)
    try:
        for told in told_notices(app.store.root, key, first_day):
            spell = None if told.folded else found.get(told.grid_id)
            if spell is not None and (spell.state, spell.since) == (told.state, told.since):
                found[told.grid_id] = spell.told(told.at, Level(told.level))
    except (DataInvalid, ValueError) as error:
        _log.warning("what was told is not readable; it is told anew", market=key, error=str(error))
    return found
