"""What is wrong with the program, its exchanges, its remote and its desk now, in the operator's words.

Live that diverges from the backtest comes with the backtest.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

from daemon.app import App
from daemon.board import Board, ExchangeState, MarketState
from daemon.desk_watch import desk_conditions
from exchanges.kucoin import MOST_CLOCK_OFFSET_S
from notifications.anomalies import MOST_NAMED, Condition
from notifications.notice import Level
from notifications.outbox import ChannelState
from notifications.text import sentence
from store.state import StoreState

SLOW_S, MUCH_TOO_SLOW_S = 60.0, 300.0
DEAD_CHANNEL = timedelta(minutes=10)
TWO_CYCLES = timedelta(minutes=130)  # measured once an hour: slow, quick, slow is no news each time
FAILURES = 3  # in a row: as many as open the breaker
RESTARTS, RESTARTS_WITHIN = 3, timedelta(hours=1)


def conditions_of(app: App) -> list[Condition]:
    """Return everything that is wrong now; quick, from what the board and the store know already."""
    store = app.store.state()
    found = (
        *(_stale(app, market) for market in app.board.markets.values()),
        *(_slow(market) for market in app.board.markets.values()),
        *(_failing(app, exchange) for exchange in app.board.exchanges.values()),
        *(_clock(app, exchange) for exchange in app.board.exchanges.values()),
        *(_keys(exchange) for exchange in app.board.exchanges.values()),
        _commits(app.board, store),
        _pushes(app, store),
        *_disks(app),
        *_restarts(app),
        *(_channel(app, channel) for channel in app.outbox.channels.values()),
        _damaged_notices(app),
        *desk_conditions(app),
    )
    return [condition for condition in found if condition is not None]


def _stale(app: App, market: MarketState) -> Condition | None:
    limit_s = app.settings.notifications.stale_after_s
    since = app.board.started_at if market.newest is None else market.newest.closes_at
    age_s = (app.clock.now() - since).total_seconds()
    if age_s <= limit_s:
        return None
    newest = "No judged hour since the start"
    if market.newest is not None:
        newest = f"Newest judged hour {market.newest}"
    why = market.trouble or "the reason is not known"
    if market.trouble is None and market.retry_at is not None:
        why = f"the next one has minutes missing and is fetched again at {market.retry_at:%H:%M} UTC"
    exchange = next(each.exchange for each in app.settings.markets if each.key == market.key)
    return Condition(
        name=f"stale/{market.key}",
        market=market.key,
        level=Level.HIGH,
        title=f"{market.key}: no fresh hour",
        detail=f"{newest}, {_lasting(age_s)} old (limit {_lasting(limit_s)}): {sentence(why)}",
        body="Advice is withheld: look at your grids yourself, and at the exchange. Hours are owed, not lost:"
        " they are caught up, oldest first.",
        group=f"markets of {exchange}: no fresh hour",
    )


def _slow(market: MarketState) -> Condition | None:
    seconds = market.last_cycle_s
    if seconds is None or seconds <= SLOW_S:
        return None
    much = seconds > MUCH_TOO_SLOW_S
    limit_s = MUCH_TOO_SLOW_S if much else SLOW_S
    return Condition(
        name=f"cycle_slow/{market.key}",
        market=market.key,
        level=Level.HIGH if much else Level.NORMAL,
        title=f"{market.key}: the cycle takes too long",
        detail=f"The last took {seconds:.0f} s (limit {limit_s:.0f} s).",
        body="Advice comes late. Look at the exchange's answer times, the machine's load and the disk.",
        group="markets: the cycle takes too long",
        settled=TWO_CYCLES,
    )


def _failing(app: App, exchange: ExchangeState) -> Condition | None:
    """Return one word an exchange, however many of its markets fail."""
    own = [app.board.markets[each.key] for each in app.settings.markets if each.exchange == exchange.name]
    failing = [market for market in own if market.failures >= FAILURES and _is_its_fault(exchange, market)]
    if exchange.breaker == "closed" and not failing:
        return None
    shown = []
    if exchange.breaker != "closed":
        shown.append(f"The circuit breaker is {exchange.breaker.replace('_', ' ')}.")
    if failing:
        worst = max(failing, key=lambda market: market.failures)
        shown.append(
            f"{len(failing)} of {len(own)} markets failed, {worst.key} {worst.failures} times in a row"
            f" (limit {FAILURES}): {sentence(worst.trouble or '')}"
        )
    return Condition(
        name=f"exchange_failing/{exchange.name}",
        market="",
        level=Level.NORMAL,
        title=f"{exchange.name}: the exchange does not answer as it should",
        detail=" ".join(shown),
        body="Hours are owed until it does, and no new advice is given for its markets. Look at the"
        " exchange's status page and at the network.",
    )


def _is_its_fault(exchange: ExchangeState, market: MarketState) -> bool:
    """Say whether the market's trouble is an `ExchangeError`, whose message begins so, and not our clock."""
    trouble = market.trouble or ""
    return trouble.startswith(f"{exchange.name}: ") and not trouble.startswith(f"{exchange.name}: clock: ")


def _clock(app: App, exchange: ExchangeState) -> Condition | None:
    ahead_s, warn_s = exchange.clock_ahead_s, app.settings.health.clock_warn_s
    if ahead_s is None or abs(ahead_s) <= warn_s:
        return None
    far = abs(ahead_s) > MOST_CLOCK_OFFSET_S
    limit_s = MOST_CLOCK_OFFSET_S if far else warn_s
    signing = "signed calls are refused" if far else f"beyond {MOST_CLOCK_OFFSET_S:g} s nothing is signed"
    return Condition(
        name=f"clock_off/{exchange.name}",
        market="",
        level=Level.HIGH if far else Level.NORMAL,
        title=f"{exchange.name}: our clock is off",
        detail=f"It is {ahead_s:+.1f} s off the exchange's (limit {limit_s:g} s).",
        body=f"Hours may be judged early or late, and {signing}. Check NTP on this machine.",
    )


def _keys(exchange: ExchangeState) -> Condition | None:
    if exchange.keys != "unverified":
        return None
    return Condition(
        name=f"keys_unverified/{exchange.name}",
        market="",
        level=Level.NORMAL,
        title=f"{exchange.name}: the key could not be checked",
        body="Market data only: advice goes on without balances and open orders until the key is checked,"
        " which is tried each cycle. Look at the exchange and at the clock.",
    )


def _commits(board: Board, state: StoreState) -> Condition | None:
    trouble = board.commit_trouble or state.last_commit_error
    if not trouble:
        return None
    return Condition(
        name="commit_failing",
        market="",
        level=Level.HIGH,
        title="commits fail: nothing new is recorded",
        detail=f"{sentence(trouble)} {state.uncommitted} change-sets wait on disk.",
        body="Advice goes on, marked NOT RECORDED, as far as the disk allows. Look at the data repository's"
        " disk, rights and `git status`.",
    )


def _pushes(app: App, state: StoreState) -> Condition | None:
    """Return one word on commits that stay here, failed or never tried: a restart forgets the failures."""
    if not app.settings.data_repository.remote:
        return None
    board, limits = app.board, app.settings.health
    oldest = state.oldest_unpushed
    age_s = 0.0 if oldest is None else (app.clock.now() - oldest).total_seconds()
    waits = f"{state.unpushed} commits are on this disk only, the oldest {_lasting(age_s)} old"
    waits += f" (limit {_lasting(limits.unpushed_warn_s)})."
    if board.remote_unrelated:
        return Condition(
            name="push_failing",
            market="",
            level=Level.HIGH,
            title="the remote holds another history: nothing is pushed",
            detail=f"{waits} {sentence(board.push_trouble or '')}",
            body="Advice goes on; what you push there is not taken over. Mend data_repository.remote, or"
            " give it an empty repository.",
        )
    if board.push_failures < limits.push_failures_warn and age_s <= limits.unpushed_warn_s:
        return None
    if board.push_failures:
        waits += f" {board.push_failures} pushes failed in a row (limit {limits.push_failures_warn}):"
        waits += f" {sentence(board.push_trouble or '')}"
    return Condition(
        name="push_failing",
        market="",
        level=Level.NORMAL,
        title="commits are not pushed",
        detail=waits,
        body="Advice goes on; what you push (grids, answers) may not be seen. Look at the remote, its key and"
        " the network; nothing is lost while this disk lives.",
    )


def _disks(app: App) -> Iterable[Condition | None]:
    """Yield what is wrong with the disk of the history, and with that of the state where it is another."""
    history, state = app.settings.data_repository.base_path, app.settings.state_path
    yield _disk(app, history, "disk_low", "the data repository")
    if _device(state) != _device(history):
        yield _disk(app, state, "disk_low/state", "the outbox and the state")


def _device(folder: Path) -> int | None:
    try:
        return folder.stat().st_dev
    except OSError:
        return None


def _disk(app: App, folder: Path, name: str, what: str) -> Condition | None:
    least = app.settings.health.disk_warn_bytes
    try:
        usage = shutil.disk_usage(folder)
    except OSError as error:
        detail = f"It cannot be looked at: {error.strerror}."
    else:
        if usage.free >= least and usage.free >= usage.total // 10:
            return None
        share = usage.free / usage.total
        detail = f"{usage.free / 1e9:.2f} GB free, {share:.0%} (limits {least / 1e9:g} GB and 10%)."
    return Condition(
        name=name,
        market="",
        level=Level.HIGH,
        title=f"the disk under {what} is full or nearly so",
        detail=detail,
        body="When it is full nothing can be recorded, and neither advice nor notices are sure any more."
        " Make room or enlarge the volume.",
    )


def _restarts(app: App) -> Iterable[Condition]:
    now = app.clock.now()
    for worker, times in app.board.restart_times.items():
        lately = sum(now - at <= RESTARTS_WITHIN for at in times)
        if lately >= RESTARTS:
            yield Condition(
                name=f"restarting/{worker}",
                market="",
                level=Level.NORMAL,
                title=f"the worker {worker} dies again and again",
                detail=f"It was restarted {lately} times within an hour (limit {RESTARTS}).",
                body="What it does comes late or not at all. The log has the stack: look for `worker died`.",
                group="workers die again and again",
            )


def _channel(app: App, channel: ChannelState) -> Condition | None:
    """Return what is wrong with a way to the operator: told through the others, and in the log."""
    since, waiting = channel.nothing_since, app.outbox.waiting_for(channel.name)
    if since is None or (app.clock.now() - since) < DEAD_CHANNEL:
        return None
    return Condition(
        f"channel/{channel.name}",
        "",
        Level.NORMAL,
        f"{channel.name} takes no notices",
        f"No notice got through since {since:%d %b %H:%M} UTC. Waiting: {waiting},"
        " sent when it answers again; what it refused is not sent again. The log has them. Check the"
        " channel's key and the network.",
        detail=sentence(channel.trouble or ""),
    )


def _damaged_notices(app: App) -> Condition | None:
    """Return one word on notices whose files could not be read: they were not told, this is."""
    names = app.outbox.damaged
    if not names:
        return None
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return Condition(
        name="notices_damaged",
        market="",
        level=Level.HIGH,
        title="notices that waited were damaged and not sent",
        detail=f"{len(names)}, in the folder outbox of the state: {', '.join(names[:MOST_NAMED])}{more}.",
        body="Read there what they said, and look at `regimed decisions`; check the disk, then take the files"
        " away.",
    )


def _lasting(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
