"""Once a month, and at a market's first hour: what its probabilities were worth so far, as a record.

It only reports: no rule changes by it. From it comes the edge after fees that a setup must have.
"""

from __future__ import annotations

from typing import Any

import anyio.to_thread
import structlog

from daemon.app import App
from daemon.settings import MarketSettings
from decisions.calibration.report import calibrate
from decisions.calibration.values import grid_values
from market.errors import CommitFailed, HistoryRefused
from market.hours import Timeframe
from market.window import MarketWindow
from regime.analysis import ENGINE_VERSION
from regime.history import judge_history
from store.calibration_files import calibration_file, calibration_path, encode_calibration
from store.change_set import ChangeSet

_log = structlog.get_logger("calibrating")


async def calibrate_due(app: App) -> int:
    """Write the month's record of every market that has none yet; returns how many were written.

    A market's first record measures its two models alone, on the coarse history that it began with.
    """
    written = 0
    for market in app.settings.markets:
        state = app.board.markets[market.key]
        month = f"{app.clock.now():%Y-%m}"
        if state.newest is None or (app.store.root / calibration_path(market.key, month)).exists():
            continue
        first = not (app.store.root / "calibration" / market.key).is_dir()
        window = await app.store.window(market.key, state.newest, app.clock.now())
        report = await anyio.to_thread.run_sync(_measured, app, market, window, not first)
        if report is None:
            continue
        path, made = calibration_file(
            market.key,
            app.clock.now(),
            app.policy.config_hash,
            ENGINE_VERSION,
            bars_only=True,
            report=report,
        )
        try:
            change_set = ChangeSet({path: encode_calibration(made)}, f"[calibration] {market.key} {month}")
            await app.store.write(change_set)
        except (CommitFailed, HistoryRefused) as error:
            _log.warning("calibration not recorded yet", market=market.key, error=str(error))
            continue
        written += 1
    return written


def _measured(app: App, market: MarketSettings, window: MarketWindow, whole: bool) -> dict[str, Any] | None:  # noqa: FBT001
    """Return the report over all that the window holds; None where no hour of it can be judged."""
    regime = app.settings.regime
    hours, four_hours = window.bars[Timeframe.H1], window.bars[Timeframe.H4]
    judged = judge_history(hours, four_hours, window.price_scale, regime, volume_scale=window.volume_scale)
    if not len(judged):
        return None
    maker_bps = app.settings.costs_of(market).fees.maker_bps
    values = grid_values(judged, hours, window.price_scale, maker_bps)
    return calibrate(market.key, judged, regime, values, whole=whole).document | {"maker_bps": maker_bps}
