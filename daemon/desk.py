"""The paper desk beside the cycles: one hour of all its markets at a time, and nobody waits for it.

An hour of the desk is due once every market has its judgement of it, or once the others waited long enough
for a market. What stands in a judgement's record is what the desk reads: it sees each hour as a replay does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import anyio
import anyio.to_thread
import structlog

from daemon.app import App
from daemon.desk_tally import Tally
from daemon.paper_desk import PaperDesk
from decisions.inputs import HourInputs
from market.errors import CommitFailed, DataInvalid, RegimedError
from market.failpoints import reach
from market.hours import Hour, hours_between, parse_instant
from store.desk_files import DeskFile, DeskMarketJson
from store.ledger import Ledger
from store.paths import metrics_path
from trading.market_hour import MarketHour
from trading.report import DeskReport
from trading.trades import TradeRecord

_log = structlog.get_logger("desk")
IDLE_PATIENCE_S = 30.0  # cycles that go on for longer must not keep the desk behind
LOOK_EVERY_S = 60.0  # real seconds: patience ends without a ring
WAIT_S = (5.0, 15.0, 60.0, 300.0)


@dataclass(frozen=True, slots=True)
class DueHour:
    """An hour that the desk can run, and who is not in it."""

    hour: Hour
    absent: Mapping[str, str]


async def trade_forever(app: App, paper: PaperDesk) -> None:
    """Run the desk's hours as they become due; after trouble again, with patience."""
    failures = 0
    while True:
        failures = 0 if await run_desk_hours(app, paper) else failures + 1
        if failures:
            await anyio.sleep(WAIT_S[min(failures, len(WAIT_S)) - 1])
        else:
            await app.bells.desk.heard_within(LOOK_EVERY_S)


async def run_desk_hours(app: App, paper: PaperDesk) -> bool:
    """Run every hour of the desk that is due, oldest first; says whether all went well.

    What is in memory after a failure may be half an hour ahead of the files, so it is dropped: the files say
    where the desk stands.
    """
    condition = app.board.desk
    try:
        if not paper.is_open:
            await _take_up(app, paper)
        while not app.board.stopping:
            with anyio.move_on_after(IDLE_PATIENCE_S):
                await app.progress.idle()
            due = await _next_due(app, paper)
            if due is None:
                break
            await _run_hour(app, paper, due)
    except (RegimedError, OSError) as error:
        paper.forget()
        if condition.trouble != str(error):
            _log.warning("the desk's hour stays owed", error=str(error), kind=type(error).__name__)
        condition.trouble = str(error)
        return False
    except BaseException as error:
        paper.forget()
        if isinstance(error, Exception):
            condition.trouble = f"{type(error).__name__}: {error}"
        raise
    if condition.trouble is not None:
        _log.info("the desk recovered", was=condition.trouble)
        condition.trouble = None
    return True


async def _take_up(app: App, paper: PaperDesk) -> None:
    """Go on from the newest record, once a write that failed half-way is finished or undone."""
    await app.store.settle()
    file = await app.store.newest_desk()
    await anyio.to_thread.run_sync(paper.go_on, file, limiter=app.desk_limit)
    app.board.desk.tally = await anyio.to_thread.run_sync(Tally.of_repository, app.store.root)
    if file is not None:
        app.board.desk.show(file)


async def _next_due(app: App, paper: PaperDesk) -> DueHour | None:
    keys = [market.key for market in app.settings.desk_markets()]
    ledger = app.store.ledger
    if paper.newest is None:
        first = await anyio.to_thread.run_sync(_first_hour, ledger, keys)
        app.board.desk.waiting_for = () if first else tuple(keys)
        return None if first is None else DueHour(first, {})
    hour = paper.newest.plus(1)
    missing = await anyio.to_thread.run_sync(_missing, ledger, keys, hour)
    if len(missing) == len(keys):
        app.board.desk.waiting_for = ()
        return None
    app.board.desk.waiting_for = tuple(missing)
    absent = _given_up(app, paper, hour, missing)
    return None if absent is None else DueHour(hour, absent)


def _first_hour(ledger: Ledger, keys: list[str]) -> Hour | None:
    """Return the newest hour that every market is judged in, None where there is none yet."""
    newest = [ledger.newest_judged(key) for key in keys]
    if any(hour is None for hour in newest):
        return None
    hour = min(hour for hour in newest if hour is not None)
    return hour if all(ledger.is_judged(key, hour) for key in keys) else None


def _missing(ledger: Ledger, keys: list[str], hour: Hour) -> dict[str, Hour | None]:
    """Return the markets that have no judgement of an hour, each with the first hour that it has one of."""
    missing = [key for key in keys if not ledger.is_judged(key, hour)]
    return {key: ledger.first_judged(key) for key in missing}


def _given_up(
    app: App, paper: PaperDesk, hour: Hour, missing: Mapping[str, Hour | None]
) -> dict[str, str] | None:
    """Return who is absent from an hour and why; None while somebody is still waited for.

    An hour's patience begins when it is first seen in any market, also that of hours further on: when a
    market comes back from a long outage, or does not, the desk is not held up once an hour.
    """
    now, patience_s = app.clock.now(), app.settings.trading.patience_s
    newest = (app.board.markets[market.key].newest for market in app.settings.desk_markets())
    last = max((each for each in newest if each is not None), default=hour)
    for each in hours_between(hour, max(last, hour).plus(1)):
        paper.seen.setdefault(each, now)
    waited_out = app.clock.rate > 0 and now - paper.seen[hour] >= timedelta(seconds=patience_s)
    absent = {}
    for key, first in missing.items():
        if first is not None and first > hour:
            absent[key] = f"judged from {first} on"
        elif waited_out:
            absent[key] = f"not judged {patience_s:g} s after another market"
        else:
            return None
    return absent


async def _run_hour(app: App, paper: PaperDesk, due: DueHour) -> None:
    """Read what the judgements saw, let the hour happen, record it."""
    hour, started = due.hour, app.clock.monotonic()
    markets: dict[str, MarketHour] = {}
    seen: dict[str, DeskMarketJson] = {}
    absent = dict(due.absent)
    for market in app.settings.desk_markets():
        if market.key in absent:
            continue
        inputs, as_judged = await _read_back(app, market.key, hour)
        told = MarketHour(inputs, market.symbol)
        try:
            told.terms()
        except DataInvalid as error:  # one market's rules must not stop the others
            absent[market.key] = str(error)
            continue
        markets[market.key], seen[market.key] = told, as_judged
    record, report = await anyio.to_thread.run_sync(
        paper.run, hour, markets, seen, absent, limiter=app.desk_limit
    )
    reach("desk.before_commit")
    try:
        await app.store.commit_desk(record, report.trades, did(report))
    except CommitFailed as error:
        app.board.commit_trouble = str(error)
        raise
    reach("desk.after_commit")
    paper.done(hour)
    _show(app, record.file, report, app.clock.monotonic() - started)


async def _read_back(app: App, key: str, hour: Hour) -> tuple[HourInputs, DeskMarketJson]:
    """Return an hour's inputs as its judgement had them."""
    judgement = await app.store.judgement(key, hour)
    if judgement is None:
        raise DataInvalid(metrics_path(key, hour), "", "it went to quarantine; the hour is judged again")
    known_at, revised = judgement.inputs.known_at, judgement.data_quality.revised
    inputs = await app.store.hour_inputs(key, hour, parse_instant(known_at), revised)
    digest = await anyio.to_thread.run_sync(inputs.window.digest)
    return inputs, DeskMarketJson(known_at=known_at, window_digest=digest, outcome=judgement.outcome)


def did(report: DeskReport) -> str:
    """Return what an hour did in a few words."""
    orders, trades = report.placed, len(report.trades)
    return f"{orders} order{'s' * (orders != 1)}, {trades} trade{'s' * (trades != 1)}"


def _show(app: App, file: DeskFile, report: DeskReport, seconds: float) -> None:
    """Bring what was recorded to /health, the metrics and the log."""
    condition = app.board.desk
    condition.show(file)
    condition.tally = condition.tally.after(file, report.trades)
    app.metrics.desk.count(file, report, seconds)
    for trade in report.trades:
        _log_trade(trade)
    _log.info(
        "hour of the desk done",
        hour=str(file.of_hour),
        did=did(report),
        nav=str(condition.nav),
        open_trades=len(report.open_trades),
        absent=sorted(file.absent),
        stopped_by=list(report.stopped_by),
        seconds=round(seconds, 3),
    )


def _log_trade(trade: TradeRecord) -> None:
    _log.info(
        "trade closed",
        market=trade.key,
        trade=trade.id,
        signal=trade.signal,
        net=trade.cents.net,
        ended_by=trade.exit_reason.value,
    )
