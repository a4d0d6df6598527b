"""An hour comes in: fetched, made durable, fetched again where it was incomplete, compared later.

The collector collects. It knows nothing of regimes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import anyio.to_thread
import structlog

from daemon.app import App
from daemon.settings import MarketSettings
from exchanges.collection import HourAnswer, collect_bars, collect_snapshot
from grid.state import as_config, state_at
from market.errors import AnswerMalformed, DataInvalid, ExchangeError, HistoryRefused
from market.hours import Hour, Timeframe, last_closed_hour
from market.snapshot import MarketSnapshot
from market.units import price_scale_for
from store.candle_files import candle_files, month_start_ts
from store.ledger import may_judge, next_refetch

_log = structlog.get_logger("collector")
REPAIR_LAGS_H = (6, 24)  # an hour that stayed incomplete
GIVE_UP_AFTER = timedelta(hours=24)
COMPARE_LAGS_H = (1, 24)  # a complete one: did the exchange revise it?


@dataclass(frozen=True, slots=True)
class Collected:
    """What is on disk of an hour now.

    Attributes:
        snapshot: The best of what was ever had, None when none of its minutes was.
        judge_now: Whether waiting longer would still be worth it says False.
        retry_at: When to fetch again, None when there is nothing to wait for.
        before: The hour before, as the answer just fetched tells it; None when nothing was fetched.
    """

    snapshot: MarketSnapshot | None
    judge_now: bool
    retry_at: datetime | None = None
    before: MarketSnapshot | None = None


async def collect_hour(app: App, market: MarketSettings, hour: Hour) -> Collected:
    """Bring one closed hour into the store; safe to repeat.

    Raises:
        ExchangeError: The exchange did not answer; the hour stays owed.
    """
    held = await _held(app, market.key, hour)
    now, before = now_there(app, market), None
    if held is None or not held.is_complete:
        try:
            held, before = await _fetch_better(app, market, hour, held)
        except (DataInvalid, AnswerMalformed):
            if now < hour.closes_at + GIVE_UP_AFTER:
                raise
            # A day on, an hour that no answer makes sense of must not hold up what came after it.
            return Collected(held, judge_now=True)
    if may_judge(hour, is_complete=held is not None and held.is_complete, last_try=now):
        return Collected(held, judge_now=True, before=before)
    return Collected(held, judge_now=False, retry_at=next_refetch(hour, now))


def now_there(app: App, market: MarketSettings) -> datetime:
    """Return the exchange's time where ours runs ahead: an hour that is not over is never judged.

    Only a clock in real time can be off; a rehearsal's is what it is told to be.
    """
    now, ahead_s = app.clock.now(), app.board.exchanges[market.exchange].clock_ahead_s
    if ahead_s is None or ahead_s <= 0 or app.clock.rate > 1:
        return now
    return now - timedelta(seconds=ahead_s)


async def _held(app: App, key: str, hour: Hour) -> MarketSnapshot | None:
    """Return the best snapshot on disk; a corrupt file counts as none, it is quarantined when it is read."""
    try:
        with app.progress.working("collector"):
            return await app.store.load_snapshot(key, hour)
    except (FileNotFoundError, DataInvalid):
        return None


async def _fetch_better(
    app: App, market: MarketSettings, hour: Hour, held: MarketSnapshot | None
) -> tuple[MarketSnapshot | None, MarketSnapshot | None]:
    """Fetch the hour; store it if it tells more than what is held. Return the best, and the hour before."""
    answer = await _fetch(app, market, hour)
    snapshot = answer.snapshot
    if held is not None and len(snapshot.missing) >= len(held.missing):
        return held, answer.before
    try:
        with app.progress.working("writer"):
            await app.store.write_snapshot(snapshot)
    except HistoryRefused:
        # A write that failed half-way was finished since: what lies there is the hour.
        if (finished := await _held(app, market.key, hour)) is None:
            raise
        return finished, answer.before
    return snapshot, answer.before


async def _fetch(app: App, market: MarketSettings, hour: Hour) -> HourAnswer:
    exchange = app.exchange_of(market)
    async with app.fetch_limits[market.exchange]:
        with app.progress.working("collector"):
            return await collect_snapshot(
                exchange,
                key=market.key,
                symbol=market.symbol,
                hour=hour,
                clock=app.clock,
                source="live" if hour == last_closed_hour(app.clock.now()) else "backfill",
                with_account=exchange.has_keys and app.board.exchanges[market.exchange].keys == "verified",
                grid_config=await _grids_at(app, hour),
            )


async def _grids_at(app: App, hour: Hour) -> tuple[dict[str, Any], ...]:
    """Return how every grid stood at the close of an hour, also other markets': they share the capital."""
    records = await app.store.grids()
    states = (state_at(record, hour.closes_at) for record in records.values())
    return tuple(as_config(state) for state in states if state is not None)


async def look_again(
    app: App, market: MarketSettings, hour: Hour, before: MarketSnapshot | None
) -> tuple[str, ...]:
    """Look at earlier hours once more, as seen from `hour`: complete the incomplete, compare the complete.

    Args:
        hour: The hour under way.
        before: The hour before it as the same answer told it: that one need not be asked again.

    Returns:
        The hours that the exchange tells differently now, as `2026-02-02T14`. What was stored stays.
    """
    revised: list[str] = []
    await _fetch_lost(app, market)
    for lag in sorted({*REPAIR_LAGS_H, *COMPARE_LAGS_H}):
        earlier = hour.plus(-lag)
        held = await _held(app, market.key, earlier)
        due = earlier.closes_at + timedelta(hours=lag)
        if held is None or held.collected_at >= due or app.clock.now() < due:
            continue
        try:
            if not held.is_complete and lag in REPAIR_LAGS_H:
                await _fetch_better(app, market, earlier, held)
            elif held.is_complete and lag in COMPARE_LAGS_H:
                told = before if lag == 1 and before is not None else None
                again = told or (await _fetch(app, market, earlier)).snapshot
                if _was_revised(app, market, held, again):
                    revised.append(str(earlier))
        except ExchangeError as error:
            # What is stored stays good; a second look is a courtesy that must not hold up the new hour.
            _log.info("second look failed", market=market.key, looked_at=str(earlier), error=str(error))
            break
    return tuple(revised)


async def _fetch_lost(app: App, market: MarketSettings) -> None:
    """Fetch again the hours whose snapshots went to quarantine; they are not judged again."""
    lost = app.board.markets[market.key].lost
    while lost:
        try:
            await _fetch_better(app, market, lost[0], await _held(app, market.key, lost[0]))
        except ExchangeError as error:
            _log.info(
                "quarantined hour not fetched yet", market=market.key, lost=str(lost[0]), error=str(error)
            )
            return
        lost.pop(0)


def _was_revised(app: App, market: MarketSettings, held: MarketSnapshot, again: MarketSnapshot) -> bool:
    if not _differs(held, again):
        return False
    app.metrics.revised.labels(market.key).inc()
    _log.warning("candles revised by the exchange", market=market.key, revised_hour=str(held.hour))
    return True


def _differs(held: MarketSnapshot, again: MarketSnapshot) -> bool:
    """Say whether a minute that both know has other prices or another volume now."""
    mine, theirs = held.canonical(), again.canonical()
    for name, scale in (
        ("open", "price_scale"),
        ("high", "price_scale"),
        ("low", "price_scale"),
        ("close", "price_scale"),
        ("volume", "volume_scale"),
    ):
        for a, b in zip(mine["minutes"][name], theirs["minutes"][name], strict=True):
            if a is not None and b is not None and a * theirs[scale] != b * mine[scale]:
                return True
    return False


HISTORY = (Timeframe.M15, Timeframe.H1, Timeframe.H4)


def has_history(app: App, key: str) -> bool:
    """Say whether coarse bars of a market were fetched already; they come in one commit."""
    return (app.store.root / "candles" / key).is_dir()


async def fetch_history(app: App, market: MarketSettings, hour: Hour) -> None:
    """Fetch the coarse bars that a new market begins with, in one commit.

    Every bar closed by the end of `hour`, from the start of the month that the engine's span reaches back to.

    Raises:
        ExchangeError: Nothing was stored; the hour stays owed.
    """
    exchange = app.exchange_of(market)
    files: dict[str, bytes] = {}
    bars: dict[str, int] = {}
    async with app.fetch_limits[market.exchange]:
        with app.progress.working("collector"):
            rules = await exchange.rules(market.symbol)
            for timeframe in HISTORY:
                start_ts = month_start_ts(hour.close_ts - app.spans[timeframe] * 86400)
                candles = await collect_bars(exchange, market.symbol, timeframe, start_ts, hour.close_ts)
                bars[timeframe.value] = len(candles)
                made = partial(
                    candle_files,
                    key=market.key,
                    exchange=exchange.name,
                    symbol=market.symbol,
                    timeframe=timeframe,
                    candles=candles,
                    start_ts=start_ts,
                    end_ts=hour.close_ts,
                    collected_at=app.clock.now(),
                    price_scale=price_scale_for(rules.price_increment),
                )
                files |= await anyio.to_thread.run_sync(made)
    if files:
        with app.progress.working("writer"):
            await app.store.write_candles(files, f"[history] {market.key} {hour}: {sum(bars.values())} bars")
    _log.info("history fetched", market=market.key, bars=bars)
