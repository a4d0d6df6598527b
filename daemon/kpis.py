"""Once a day: how well exits and stops did by the end of it, as a record. Days missed are made up for."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from pathlib import Path

import anyio.to_thread
import structlog

from daemon.app import App
from decisions.kpi_day import DAY
from market.errors import CommitFailed, DataInvalid, HistoryRefused
from market.hours import Hour
from market.window import MarketWindow
from regime.analysis import ENGINE_VERSION
from store.change_set import ChangeSet
from store.kpi_days import GridFile, KpiRules, first_judged, grid_files, kpis_file
from store.kpi_files import KpisFile, decode_kpis, encode_kpis, kpis_path, newest_day

_log = structlog.get_logger("kpis")
MOST_AT_ONCE = 31


async def record_kpis(app: App) -> int:
    """Write the KPIs of each day that is over and has no record yet, oldest first; returns how many.

    A day waits until every configured market with a grid is judged to its end. Idempotent.
    """
    written = 0
    today = app.clock.now().replace(hour=0, minute=0, second=0, microsecond=0)
    while written < MOST_AT_ONCE:
        if app.board.kpis_to is not None and app.board.kpis_to + DAY >= today:
            return written
        try:
            due = await _next_day(app)
            if due is None or due[0] >= today or not await _record(app, *due):
                return written
        except (DataInvalid, CommitFailed, HistoryRefused) as error:
            app.board.kpis_to = None  # durable or not: the files say which day is the newest
            if app.board.kpis_trouble != str(error):
                app.board.kpis_trouble = str(error)
                _log.warning("KPIs not recorded yet", error=str(error))
            return written
        app.board.kpis_to, app.board.kpis_trouble = due[0], None
        written += 1
    return written


async def _next_day(app: App) -> tuple[datetime, Hour] | None:
    """Return the day after the newest record, else that of the first judged hour, and that hour.

    None before any hour is judged.
    """
    first = await anyio.to_thread.run_sync(first_judged, app.store.root)
    if first is None:
        return None
    began = first.opens_at.replace(hour=0)
    newest = app.board.kpis_to or await anyio.to_thread.run_sync(newest_day, app.store.root)
    shown = app.board.kpis
    if newest is not None and (shown is None or shown.date != f"{newest:%Y-%m-%d}"):
        app.board.kpis = await anyio.to_thread.run_sync(_recorded, app.store.root, newest)
    return (began if newest is None else max(newest + DAY, began)), first


async def _record(app: App, day: datetime, first: Hour) -> bool:
    """Write one day's record; False where a market is not judged to its end yet."""
    last, known_at = Hour.of(day + DAY).plus(-1), app.clock.now()
    grids = await anyio.to_thread.run_sync(grid_files, app.store.root)
    windows = await _windows(app, grids, last, known_at)
    if windows is None:
        return False
    rules = KpiRules(
        app.settings.kpis,
        app.settings.outcomes.tolerated_missing_minutes,
        app.policy.config_hash,
        ENGINE_VERSION,
    )
    made = await anyio.to_thread.run_sync(
        partial(kpis_file, app.store.root, day, first, known_at, grids, windows, app.minutes, rules),
        limiter=app.analysis_limit,
    )
    change_set = ChangeSet({kpis_path(day): encode_kpis(made)}, f"[kpis] {day:%Y-%m-%d}")
    await app.store.write(change_set)
    app.board.kpis = made
    return True


def _recorded(root: Path, day: datetime) -> KpisFile | None:
    """Return a day's record to show, None where it cannot be read: that is for `regimed verify` to say."""
    path = kpis_path(day)
    try:
        return decode_kpis((root / path).read_bytes(), path)
    except (DataInvalid, OSError):
        return None


async def _windows(
    app: App, grids: list[GridFile], last: Hour, known_at: datetime
) -> dict[str, MarketWindow] | None:
    """Return the window of every market with a grid that ran; None where one is still to be judged.

    A market that is not configured any more will never get there: what is known of it counts.
    """
    windows = {}
    ran = {grid.record.market for grid in grids if grid.until(last.closes_at).history}
    for key in sorted(ran):
        state = app.board.markets.get(key)
        newest = (
            await anyio.to_thread.run_sync(app.store.ledger.newest_judged, key)
            if state is None
            else state.newest
        )
        if newest is None:
            continue
        if state is not None and newest < last:
            return None
        windows[key] = await app.store.window(key, min(newest, last), known_at)
    return windows
