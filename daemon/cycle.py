"""The way of the data: one closed hour of one market, from exchange to operator."""

from __future__ import annotations

from collections import deque

import anyio
import anyio.to_thread
import structlog

from daemon.app import App
from daemon.board import MarketState
from daemon.collector import Collected, collect_hour, fetch_history, has_history, look_again, now_there
from daemon.judging import judge, judge_in_shadow
from daemon.settings import MarketSettings
from daemon.telling import tell
from decisions.evaluate import Evaluation
from decisions.inputs import HourInputs
from market.errors import CommitFailed, HistoryRefused
from market.failpoints import reach
from market.hours import Hour, hours_between, last_closed_hour
from store.shadow_files import ShadowRecord

_log = structlog.get_logger("cycle")


async def run_cycle(app: App, market: MarketSettings, hour: Hour) -> Evaluation | None:
    """Take one closed hour from exchange to operator; safe to run twice.

    Returns:
        The evaluation, or None when the hour is still incomplete and worth waiting for.

    Raises:
        ExchangeError: The hour could not be fetched and stays owed.
        HistoryRefused: The hour was judged before, with another result.
    """
    collected = await collect_hour(app, market, hour)
    app.board.markets[market.key].retry_at = collected.retry_at
    if not collected.judge_now:
        return None
    revised = await look_again(app, market, hour, collected.before)
    inputs = await _read_back(
        app, market, hour, collected, revised
    )  # what we wrote, as a replay will read it
    evaluation = await judge(app, inputs)
    shadow = await judge_in_shadow(app, inputs)
    recorded = await _record(app, evaluation, shadow)
    reach("cycle.after_record")
    await tell(app, evaluation, recorded=recorded)  # a failed commit must not silence an exit
    app.bells.pusher.ring()
    app.bells.indexer.ring()
    app.bells.desk.ring()
    return evaluation


async def _read_back(
    app: App, market: MarketSettings, hour: Hour, collected: Collected, revised: tuple[str, ...]
) -> HourInputs:
    """Return what the hour may know, at an instant that never runs behind what is known already."""
    state = app.board.markets[market.key]
    known_at = max(
        app.clock.now(),
        state.known_at or hour.closes_at,
        hour.closes_at if collected.snapshot is None else collected.snapshot.collected_at,
    )
    with app.progress.working("analysis"):
        inputs = await app.store.hour_inputs(market.key, hour, known_at, revised)
    state.known_at = known_at
    return inputs


async def _record(app: App, evaluation: Evaluation, shadow: ShadowRecord | None) -> bool:
    """Commit the judgement and the shadow's beside it; says whether it is in the history."""
    state = app.board.markets[evaluation.inputs.key]
    try:
        with app.progress.working("writer"), app.metrics.stage_s.labels("commit").time():
            await app.store.commit(evaluation, shadow)
    except CommitFailed as error:
        state.counted_to = None  # durable or not: the files say whether the hour is still owed
        app.board.commit_trouble = str(error)
        _log.exception("decision not recorded", cycle=evaluation.name)
        return False
    except HistoryRefused:
        state.counted_to = None
        raise
    app.board.commit_trouble = None
    return True


async def run_due_hours(app: App, market: MarketSettings, until: Hour | None = None) -> int:
    """Run every hour that is owed, oldest first, `until` at the latest; returns how many were judged.

    A market that was never judged begins with the last closed hour, after its coarse history was fetched.

    Raises:
        ExchangeError: The exchange did not answer; what is left stays owed.
    """
    state = app.board.markets[market.key]
    judged = 0
    while True:
        await _count_owed(app, market, state)
        if not state.owed_hours or app.board.stopping:
            return judged
        hour = state.owed_hours[0]
        if until is not None and hour > until:
            return judged
        if state.newest is None and market.history and not has_history(app, market.key):
            await fetch_history(app, market, hour)
        if not await _timed_cycle(app, market, hour):
            return judged
        if app.board.commit_trouble is not None:
            return judged  # tried again at the next ring, not at once: the disk needs a moment
        if state.counted_to is None:
            continue  # the files decide
        state.owed_hours.popleft()
        judged += 1


async def _count_owed(app: App, market: MarketSettings, state: MarketState) -> None:
    """Bring the owed hours up to now: from the files at first and in doubt, else by what closed since."""
    last = last_closed_hour(now_there(app, market))
    if state.counted_to is None:
        await app.store.settle()  # a write that failed half-way may be finished: then nothing is owed
        owed = await anyio.to_thread.run_sync(app.store.ledger.owed_hours, state.key, last)
        state.owed_hours = deque(owed)
    elif last <= state.counted_to:
        return  # a clock that was set back owes nothing twice
    else:
        state.owed_hours.extend(hours_between(state.counted_to.plus(1), last.plus(1)))
    state.counted_to = last


async def _timed_cycle(app: App, market: MarketSettings, hour: Hour) -> bool:
    state = app.board.markets[market.key]
    started = app.clock.monotonic()
    with structlog.contextvars.bound_contextvars(
        market=market.key, hour=str(hour), cycle=f"{market.key}/{hour}"
    ):
        evaluation = await run_cycle(app, market, hour)
        seconds = app.clock.monotonic() - started
        state.last_cycle_at, state.last_cycle_s = app.clock.now(), round(seconds, 3)
        if evaluation is None:
            _log.info("hour incomplete, fetched again later", retry_at=str(state.retry_at))
            return False
        quality = evaluation.inputs.window.quality
        state.missing, state.no_trade = quality.missing, quality.no_trade
        state.newest_candle_at = hour.closes_at
        app.metrics.cycle_s.labels(market.key).observe(seconds)
        app.metrics.cycles.labels(market.key, evaluation.outcome).inc()
        found = evaluation.analysis
        _log.info(
            "hour judged",
            outcome=evaluation.outcome,
            verdict=None if found is None else found.verdict.value,
            hold_probability=None if found is None else found.hold_probability,
            reason=evaluation.reason,
            seconds=round(seconds, 3),
        )
    return True
