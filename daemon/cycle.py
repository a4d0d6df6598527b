"""The way of the data: one closed hour of one market, from exchange to operator."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from datetime import datetime

import anyio
import anyio.to_thread
import structlog

from daemon.app import App
from daemon.board import MarketState
from daemon.collector import Collected, collect_hour, fetch_history, has_history, look_again, now_there
from daemon.judging import judge, judge_in_shadow
from daemon.settings import MarketSettings
from decisions.evaluate import Evaluation
from decisions.inputs import Before, HourInputs
from decisions.stopped import warned_in_words
from market.errors import CommitFailed, DataInvalid, HistoryRefused
from market.failpoints import reach
from market.hours import Hour, hours_between, last_closed_hour, parse_instant
from notifications.advice import AdviceFacts, facts_of
from notifications.messages import HourFacts, hour_notices
from regime.analysis import RegimeAnalysis
from store.decision_files import decision_path, decode_decision, recommendation_of
from store.paths import metrics_path
from store.records import analysis_of, decode_metrics
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
    await announce(app, state.told, facts, meanwhile, recorded=recorded)
    state.told = facts


async def announce(
    app: App,
    before: HourFacts | None,
    now: HourFacts,
    meanwhile: Sequence[HourFacts],
    *,
    recorded: bool = True,
) -> None:
    """Put the notices of an hour into the outbox; the same hour again puts nothing."""
    for notice in hour_notices(before, now, caught_up=meanwhile, recorded=recorded):
        await anyio.to_thread.run_sync(app.outbox.enqueue, notice)
    reach("cycle.before_keep")
    await anyio.to_thread.run_sync(app.told.keep, now)  # after the notice is durable: rather twice than never
    reach("cycle.after_keep")
    app.bells.notifier.ring()


def recorded_facts(app: App, key: str, hour: Hour) -> tuple[HourFacts, Before, datetime] | None:
    """Return a recorded hour: for notices, for the page, and when it was judged; None without a record."""
    path = metrics_path(key, hour)
    try:
        record = decode_metrics((app.store.root / path).read_bytes(), path, (key, hour))
    except (FileNotFoundError, DataInvalid):
        return None
    known_at = parse_instant(record.inputs.known_at)
    told = (_recorded_advice(app, decision_id, known_at) for decision_id in record.decisions)
    advice = tuple(each for each in told if each is not None)
    facts = _facts(key, hour, record.outcome, record.reason, analysis_of(record), advice)
    grids = Before(hour, record.gate_evaluation, record.exit_evaluation)
    return facts, grids, known_at


def hour_facts(evaluation: Evaluation) -> HourFacts:
    """Return what a notice needs to know of an hour just judged."""
    inputs = evaluation.inputs
    advice = tuple(
        facts_of(each, warned_in_words(each.expected))
        for each in evaluation.advice
        if not each.is_expired(inputs.known_at)  # born expired: recorded, not told as advice
    )
    return _facts(inputs.key, inputs.hour, evaluation.outcome, evaluation.reason, evaluation.analysis, advice)


def _recorded_advice(app: App, decision_id: str, known_at: datetime) -> AdviceFacts | None:
    """Return a recorded recommendation's facts, None where it was born expired and is not told as advice.

    None also where it cannot be read: a start must not end there.
    """
    path = decision_path(decision_id)
    try:
        file = decode_decision((app.store.root / path).read_bytes(), path)
    except (DataInvalid, OSError):
        return None
    advice = recommendation_of(file)
    return None if advice.is_expired(known_at) else facts_of(advice, warned_in_words(file.expected))


def _facts(
    key: str,
    hour: Hour,
    outcome: str,
    reason: str | None,
    found: RegimeAnalysis | None,
    advice: tuple[AdviceFacts, ...],
) -> HourFacts:
    return HourFacts(
        key=key,
        hour=hour,
        outcome=outcome,
        reason=reason,
        verdict=None if found is None else found.verdict.value,
        hold_probability=None if found is None else found.hold_probability,
        price=None if found is None else found.price,
        lower=None if found is None else found.range.lower,
        upper=None if found is None else found.range.upper,
        advice=advice,
    )


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
