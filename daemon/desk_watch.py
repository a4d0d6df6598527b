"""The paper desk at /health, and what is odd about its trading."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from daemon.app import App
from daemon.board import DeskCondition
from daemon.desk_tally import DAY_H
from notifications.anomalies import Condition
from notifications.notice import Level

OWED_BEYOND_PATIENCE = timedelta(hours=1)


def desk_check(app: App) -> dict[str, Any]:
    """Return the desk's part of the operator's page."""
    desk, coin = app.board.desk, app.settings.trading.universe.quote
    found = [
        f"its hour cannot be run, it stays owed: {desk.trouble}" if desk.trouble else "",
        _owed(app, desk),
        *(f"no new trade: {breaker}" for breaker in desk.stopped_by),
    ]
    output = "; ".join(each for each in found if each)
    return {
        "name": "desk",
        "status": "warn" if output else "pass",
        "output": f"paper desk: {output}" if output else "",
        "newest_hour": None if desk.newest is None else str(desk.newest),
        "nav": None if desk.nav is None else f"{desk.nav:.2f} {coin}",
        "peak_nav": None if desk.peak_nav is None else f"{desk.peak_nav:.2f} {coin}",
        "open_trades": list(desk.open_trades),
        "breakers": list(desk.stopped_by),
        "absent": desk.absent,
        "waiting_for": list(desk.waiting_for),
        "closed_trades": {"won": sum(desk.tally.won), "lost": len(desk.tally.won) - sum(desk.tally.won)},
    }


def _owed(app: App, desk: DeskCondition) -> str:
    since: datetime = app.board.started_at if desk.newest is None else desk.newest.plus(1).closes_at
    limit = timedelta(seconds=app.settings.trading.patience_s) + OWED_BEYOND_PATIENCE
    age = app.clock.now() - since
    if age <= limit:
        return ""
    what = "its first hour" if desk.newest is None else f"its hour {desk.newest.plus(1)}"
    waits = f"; it waits for {', '.join(desk.waiting_for)}" if desk.waiting_for else ""
    return f"{what} is owed for {age.total_seconds() / 3600:.1f} h{waits}"


def desk_conditions(app: App) -> Iterable[Condition]:
    """Yield what is wrong with the desk, or odd about its trading."""
    if app.paper is None:
        return
    desk, limits = app.board.desk, app.settings.health
    if desk.stopped_by:
        yield Condition(
            name="desk_breaker",
            market="",
            level=Level.NORMAL,
            title="paper desk: a breaker is tripped",
            detail="; ".join(desk.stopped_by),
            body="Open trades are worked to their end, nothing new begins. See /health and docs/trading.md.",
        )
    if (owed := _owed(app, desk)) or desk.trouble:
        yield Condition(
            name="desk_behind",
            market="",
            level=Level.NORMAL,
            title="paper desk: it does not get on",
            detail=desk.trouble or owed,
            body="Its hours are owed, not lost: they are run in their order, each once.",
        )
    hours, triggers, begun = desk.tally.since(limits.desk_quiet_h)
    if hours >= limits.desk_quiet_h and triggers >= limits.desk_quiet_triggers and not begun:
        yield Condition(
            name="desk_quiet",
            market="",
            level=Level.QUIET,
            title="paper desk: no trades despite signals",
            detail=f"{triggers} signals in the last {limits.desk_quiet_h} h, and no trade began.",
            body="The reasons stand in the desk's records, and by count in regimed_desk_refusals_total.",
        )
    _, _, last_day = desk.tally.since(DAY_H)
    if last_day > limits.desk_trades_per_day:
        yield Condition(
            name="desk_busy",
            market="",
            level=Level.NORMAL,
            title="paper desk: more trades than expected",
            detail=f"{last_day} trades began in 24 h (expected at most {limits.desk_trades_per_day}).",
            body="Look at the signals and at trading.pacing before fees have eaten the account.",
        )
    rate = desk.tally.win_rate(limits.desk_win_rate_trades)
    if rate is not None and rate < limits.desk_win_rate:
        yield Condition(
            name="desk_losing",
            market="",
            level=Level.NORMAL,
            title="paper desk: it wins too seldom",
            detail=f"{rate:.0%} of the last {limits.desk_win_rate_trades} trades"
            f" (limit {limits.desk_win_rate:.0%}).",
            body="Look at `regimed why` and at the regimes in which it loses.",
        )
