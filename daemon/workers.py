"""The daemon's tasks: markets, pusher, notifier, housekeeper, pulse. One that dies is started anew."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

import anyio
import anyio.to_thread
import structlog

from daemon.anomalies import watch_anomalies
from daemon.app import App
from daemon.board import MarketState
from daemon.calibrating import calibrate_due
from daemon.control import controlling
from daemon.cycle import run_due_hours
from daemon.deadman import ping_forever
from daemon.desk import trade_forever
from daemon.digest import tell_digest
from daemon.emergencies import watch_emergencies
from daemon.evaluating import evaluate_due
from daemon.facts import facts_between, recorded_facts
from daemon.http import serving
from daemon.indexer import index_forever
from daemon.kpis import record_kpis
from daemon.operator import settle_timers
from daemon.progress import LoopWatchdog
from daemon.restoring import tell_restored
from daemon.scheduler import ringing
from daemon.settings import MarketSettings
from daemon.telling import announce, recall_told, remind
from market.errors import (
    ClockRefused,
    CommitFailed,
    ExchangeError,
    ExchangeRefused,
    HistoryRefused,
    PushFailed,
    RateLimited,
    RegimedError,
    StoreError,
)
from market.hours import last_closed_hour
from notifications.pushover import PushoverChannel

_log = structlog.get_logger("workers")
RESTART_WAIT_S = (1.0, 5.0, 30.0, 60.0)
MARKET_WAIT_S = (0.0, 60.0, 120.0, 300.0, 900.0)
CLOCK_EVERY_S = 50.0
SETTLED_BEFORE_H = 48  # a stop may have come after an hour was told and before its timers were settled
PUSH_EVERY_S = 2.0
RECEIPTS_EVERY_S = 10.0
PUSH_WAIT_S = (15.0, 30.0, 60.0, 120.0, 300.0, 900.0)
CYCLE_STOP_S = 15.0  # with the two below and the store's own closing: under 45 s in all
LEAVE_S = 18.0
LAST_PUSH_S = 10.0
LAST_GIT_S = 2.0  # what only follows the history
LAST_DELIVERIES_S = 5.0
CLOCK_LIMIT_S = 60.0
HOUSEKEEPING_AFTER_S = 20.0
HOUSEKEEPING_PATIENCE_S = 120.0


async def run_daemon(
    app: App, stop_asked: anyio.Event, on_serving: Callable[[int], None] | None = None
) -> None:
    """Run until it is asked to stop, then stop in order: ring no more, end the cycle, commit, push once.

    Args:
        app: The house.
        stop_asked: Set by SIGTERM or SIGINT.
        on_serving: Called with the HTTP port once it is bound.

    Raises:
        ExchangeRefused: A key is dangerous or refused; the program must not go on.
    """
    await load_state(app)
    await verify_keys(app)
    async with working(app) as stop, serving(app, app.settings.http.host, app.settings.http.port) as port:
        if on_serving is not None:
            on_serving(port)
        app.bells.ring_all()  # what is owed is not left to wait for the hour
        async with ringing(app):
            await stop_asked.wait()
        await stop()


async def ask_on_signal(stop_asked: anyio.Event) -> None:
    """Set the event at SIGTERM or SIGINT; start it before anything is opened."""
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for number in signals:
            _log.info("stopping", signal=signal.Signals(number).name)
            stop_asked.set()


@asynccontextmanager
async def working(app: App) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Run the workers for as long as the block does; yields what ends them in order."""
    busy = anyio.create_task_group()

    async def stop() -> None:
        """Let the hour under way end at a safe point, then cancel what waits."""
        app.board.stopping = True
        with anyio.move_on_after(CYCLE_STOP_S):
            await app.progress.idle()
        await anyio.to_thread.run_sync(app.store.end_remote_calls)
        app.changes.hurry(LAST_GIT_S)
        await anyio.to_thread.run_sync(app.index.cut)
        busy.cancel_scope.cancel()

    def end_process() -> None:
        os._exit(70)

    warn_s = min(10.0, app.progress.limit_s / 4)
    with LoopWatchdog(app.progress, app.clock.monotonic, warn_s=warn_s, end=end_process):
        async with anyio.create_task_group() as outer:
            outer.start_soon(app.progress.pulse, app.metrics.loop_lag_s.observe)
            async with busy:
                for market in app.settings.markets:
                    busy.start_soon(_supervised, app, f"market {market.key}", _market_worker, market)
                busy.start_soon(_supervised, app, "pusher", _pusher)
                busy.start_soon(_supervised, app, "notifier", _notifier)
                for name in app.outbox.channels:
                    busy.start_soon(_supervised, app, f"channel {name}", _channel_worker, name)
                for channel in app.emergencies:
                    busy.start_soon(_supervised, app, f"{channel.name} receipts", _receipts_worker, channel)
                if app.ping is not None:
                    busy.start_soon(_supervised, app, "pinger", ping_forever, app.ping)
                busy.start_soon(_supervised, app, "housekeeper", _housekeeper)
                busy.start_soon(_supervised, app, "timekeeper", _timekeeper)
                busy.start_soon(_supervised, app, "historian", _historian)
                busy.start_soon(_supervised, app, "indexer", index_forever)
                if app.paper is not None:
                    busy.start_soon(_supervised, app, "desk", trade_forever, app.paper)
                busy.start_soon(_supervised, app, "control", controlling)
                yield stop
                busy.cancel_scope.cancel()
            outer.cancel_scope.cancel()
    await _leave(app)


async def _leave(app: App) -> None:
    """Commit what is durable, deliver what waits, try one push; trouble with one keeps none of the others."""
    with anyio.move_on_after(LEAVE_S, shield=True):
        steps: tuple[tuple[str, Callable[[], Awaitable[object]]], ...] = (
            ("commit", app.store.flush),
            ("deliver", partial(_last_deliveries, app)),
            ("push", partial(_last_push, app)),
        )
        for name, step in steps:
            try:
                await step()
            except (StoreError, OSError) as error:
                _log.warning("stopping: left for the next start", what=name, error=str(error))


async def _last_deliveries(app: App) -> None:
    """Send what waits; what a slow channel does not take now is durable and goes out after the next start."""
    with anyio.move_on_after(LAST_DELIVERIES_S):
        await app.outbox.deliver()


async def _last_push(app: App) -> None:
    if app.settings.data_repository.remote:
        with anyio.move_on_after(LAST_PUSH_S):
            await app.store.push(LAST_PUSH_S)
            app.board.last_push_at = app.clock.now()


async def load_state(app: App) -> None:
    """Show what the store knows, and tell what a crash or a stop kept from being told."""
    for market in app.settings.markets:
        state = app.board.markets[market.key]
        state.told = app.told.recall(market.key)
        newest = await anyio.to_thread.run_sync(app.store.ledger.newest_judged, market.key)
        if newest is not None:
            await app.store.mend_hour(market.key, newest)
        state.newest = await anyio.to_thread.run_sync(app.store.ledger.newest_judged, market.key)
        if state.newest is None:
            continue
        state.newest_candle_at = state.newest.closes_at
        told_to = state.newest if state.told is None else state.told.hour
        state.settled_to = told_to.plus(-SETTLED_BEFORE_H)
        found = await anyio.to_thread.run_sync(recorded_facts, app, market.key, state.newest)
        if found is None:
            continue
        state.facts, state.grids, state.known_at = found
        app.board.was_ready |= state.newest == last_closed_hour(app.clock.now())
        state.outcome = state.facts.outcome
        await recall_told(app, market.key)
        await _tell_what_was_kept(app, state)
    await tell_restored(app)
    # What was built until now stays: walking it again in every full collection would block the loop.
    gc.collect()
    gc.freeze()
    app.board.ready = True


async def _tell_what_was_kept(app: App, state: MarketState) -> None:
    """Tell the newest hour if a stop came first; older ones speak through the last one caught up."""
    facts, newest = state.facts, state.newest
    assert facts is not None and newest is not None
    first = newest if state.told is None else state.told.hour.plus(1)
    meanwhile = await anyio.to_thread.run_sync(facts_between, app, state.key, first, newest)
    if newest >= last_closed_hour(app.clock.now()).plus(-1):
        await announce(app, facts, meanwhile)
    elif first <= newest:
        state.caught_up = [*meanwhile, facts]


async def verify_keys(app: App) -> None:
    """Check each exchange's key before anything is signed.

    Raises:
        ExchangeRefused: It can withdraw, has an unknown right or no IP whitelist.
    """
    for name in app.exchanges:
        await _verify_key(app, name)


async def _verify_key(app: App, name: str) -> None:
    """Check one key; unreachable, or our clock off, means market data only until it can be checked."""
    state, exchange = app.board.exchanges[name], app.exchanges[name]
    if not exchange.has_keys or state.keys == "verified":
        return
    try:
        await exchange.check_key()
    except ExchangeError as error:
        if isinstance(error, ExchangeRefused) and not isinstance(error, ClockRefused):
            raise
        if state.keys != "unverified":
            _log.warning("key not checked, market data only", exchange=name, error=str(error))
        state.keys = "unverified"
        return
    state.keys = "verified"


async def _supervised(app: App, name: str, worker: Callable[..., Awaitable[None]], *args: object) -> None:
    """Run a worker for ever; a surprise is logged with its stack, and the worker starts anew."""
    while True:
        try:
            await worker(app, *args)
        except ExchangeRefused:
            raise  # a dangerous key ends the program
        except Exception:  # noqa: BLE001 a worker's surprise must not end the others
            count = app.board.restarted(name, app.clock.now())
            app.metrics.worker_restarts.labels(name).inc()
            _log.exception("worker died, starting it anew", worker=name, restarts=count)
            await anyio.sleep(RESTART_WAIT_S[min(count, len(RESTART_WAIT_S)) - 1])


async def _market_worker(app: App, market: MarketSettings) -> None:
    """Run what is due each time the bell rings; after trouble ask again with patience."""
    bell, state = app.bells.of(market.key), app.board.markets[market.key]
    not_before = 0.0
    while True:
        await bell.heard()
        waits = state.retry_at is not None and app.clock.now() < state.retry_at
        if app.board.stopping or waits or app.clock.monotonic() < not_before:
            continue
        await _verify_key(app, market.exchange)
        not_before = app.clock.monotonic() + await attend(app, market)


async def attend(app: App, market: MarketSettings) -> float:
    """Run what a market owes; trouble is shown, and the hour stays owed.

    Returns:
        Seconds to leave the market alone.
    """
    state = app.board.markets[market.key]
    try:
        await _measure_clock(app, market.exchange)
        await run_due_hours(app, market)
    except (RegimedError, OSError) as error:
        return await _troubled(app, market, error)
    if state.trouble is not None:
        _log.info("recovered", market=market.key, after_failures=state.failures, was=state.trouble)
        state.trouble, state.failures = None, 0
    return 0.0


async def _troubled(app: App, market: MarketSettings, error: Exception) -> float:
    """Show trouble once, not each minute of an outage; returns seconds to wait."""
    state = app.board.markets[market.key]
    if state.failures == 0:
        _log.warning("hour stays owed", market=market.key, error=str(error), kind=type(error).__name__)
    state.trouble, state.failures = str(error), state.failures + 1
    app.board.was_ready = True
    app.metrics.errors.labels(market.key, type(error).__name__).inc()
    if isinstance(error, RateLimited):
        return error.retry_after_s
    return MARKET_WAIT_S[min(state.failures, len(MARKET_WAIT_S)) - 1]


async def _measure_clock(app: App, name: str) -> None:
    """Measure our clock against the exchange's, once for all its markets."""
    state = app.board.exchanges[name]
    now = app.clock.monotonic()
    if state.clock_measured_at is not None and now - state.clock_measured_at < CLOCK_EVERY_S:
        return
    state.clock_measured_at = now
    offset = await app.exchanges[name].clock_offset()
    state.clock_ahead_s = round(offset.ahead_s, 3)
    if app.clock.rate <= 1 and abs(offset.ahead_s) > CLOCK_LIMIT_S:
        state.clock_measured_at = None
        raise ClockRefused(
            name,
            "clock",
            f"our clock is {offset.ahead_s:+.0f} s off the exchange's; hours stay owed, check NTP",
        )


async def _pusher(app: App) -> None:
    """Take over what an operator pushed and bring our commits out: patient, never in a cycle's way."""
    if not app.settings.data_repository.remote:
        await anyio.sleep_forever()
    failures = 0
    while True:
        await app.bells.pusher.heard()
        try:
            await app.store.fetch_and_merge()
            await app.store.push()
        except (PushFailed, HistoryRefused, CommitFailed) as error:
            failures += 1
            app.metrics.push_failures.inc()
            if failures == 1:
                _log.warning("push failed, kept and tried again", error=str(error))
            app.board.push_failures, app.board.push_trouble = failures, str(error)
            app.board.remote_unrelated = isinstance(error, HistoryRefused)
            await anyio.sleep(PUSH_WAIT_S[min(failures, len(PUSH_WAIT_S)) - 1])
            app.bells.pusher.ring()
            continue
        if failures:
            _log.info("push recovered", after_failures=failures)
        failures = 0
        app.board.push_failures, app.board.push_trouble, app.board.remote_unrelated = 0, None, False
        app.board.last_push_at = app.clock.now()
        await anyio.sleep(PUSH_EVERY_S)  # rings that came meanwhile are answered by one push


async def _notifier(app: App) -> None:
    """Wake the channels whenever something was put into the outbox, and each minute.

    It also looks for anomalies: the worker that should say that it hangs may be the one that hangs.
    """
    while True:
        await watch_anomalies(app)
        for bell in app.bells.channels.values():
            bell.ring()
        await app.bells.notifier.heard_within(60)


async def _channel_worker(app: App, name: str) -> None:
    """Deliver through one channel whenever something waits for it, at its own pace."""
    while True:
        wait_s = await app.outbox.deliver_to(name)
        await app.bells.channels[name].heard_within(min(wait_s / max(app.clock.rate, 1.0), 60.0))


async def _receipts_worker(app: App, channel: PushoverChannel) -> None:
    """Ask who acknowledged an emergency, and silence those that need nobody any longer."""
    while True:
        await watch_emergencies(app, channel)
        await anyio.sleep(RECEIPTS_EVERY_S)


async def _historian(app: App) -> None:
    """Look back beside the cycles: advice at its horizons, probabilities by the month, KPIs by the day."""
    while True:
        await app.bells.historian.heard()
        await evaluate_due(app)
        await calibrate_due(app)
        await record_kpis(app)


async def _timekeeper(app: App) -> None:
    """Settle the timers each minute: what stands unanswered, what ran out, the digest of the day."""
    while True:
        await app.bells.timekeeper.heard()
        await remind(app)
        await settle_timers(app)
        await tell_digest(app)


async def _housekeeper(app: App) -> None:
    """Keep the operator's `git status` honest and Git small, between the cycles."""
    maintained_on = app.clock.now().date()
    while True:
        await app.bells.housekeeper.heard()
        await anyio.sleep(min(HOUSEKEEPING_AFTER_S, 600 / max(app.clock.rate, 1)))
        with anyio.move_on_after(HOUSEKEEPING_PATIENCE_S):
            await app.progress.idle()  # a cycle that never ends must not keep the index dirty for ever
        try:
            await app.store.flush()  # what a later fetch completed has no judgement to go with
            await app.store.refresh_index()
            app.board.commit_trouble = None
            if app.clock.now().date() != maintained_on:
                await app.store.maintain()
                maintained_on = app.clock.now().date()
        except CommitFailed as error:
            app.board.commit_trouble = str(error)
