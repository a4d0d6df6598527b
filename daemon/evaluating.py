"""A day, three days and a week later: what became of each recommendation, written once beside it."""

from __future__ import annotations

from functools import partial

import anyio.to_thread
import structlog

from daemon.app import App
from daemon.settings import MarketSettings, policy_of_repository
from decisions.inputs import MarketCosts, Policy
from decisions.outcomes import Horizon
from grid.record import GridRecord
from market.errors import CommitFailed, DataInvalid, HistoryRefused
from market.hours import Hour
from store.advice import read_advice
from store.change_set import ChangeSet
from store.outcomes import Evidence, due_evaluations, evaluated, read_record

_log = structlog.get_logger("evaluating")
LOOK_BACK_H = 240  # advice that fell due longer ago, while the daemon was off, stays without an evaluation
MOST_AT_ONCE = 2000


async def evaluate_due(app: App, look_back_h: int = LOOK_BACK_H) -> int:
    """Write every evaluation that is due and not there yet, one commit a market; returns how many.

    What is due follows from the files: a recommendation whose horizon is covered by judged hours and that has
    no evaluation of that horizon. Idempotent, and safe to stop anywhere.
    """
    written = 0
    for market in app.settings.markets:
        state = app.board.markets[market.key]
        newest = state.newest
        if newest is None or newest == state.looked_back_from:
            continue
        hours = look_back_h
        if state.looked_back_from is not None:  # the files said all there was before: only what is new is due
            hours = min(newest.index - state.looked_back_from.index, look_back_h)
        files: dict[str, bytes] = {}
        grids = dict(await app.store.grids())
        due = await anyio.to_thread.run_sync(
            due_evaluations, app.store.root, market.key, newest, hours, MOST_AT_ONCE
        )
        for decision_id, horizon in due:
            made = await anyio.to_thread.run_sync(
                partial(_evaluated, app, market, decision_id, horizon, grids), limiter=app.analysis_limit
            )
            if made is not None:
                files[made[0]] = made[1]
        if files:
            what = f"[eval] {market.key} {newest}: {len(files)} evaluations"
            try:
                await app.store.write(ChangeSet(files, what))
            except (CommitFailed, HistoryRefused) as error:
                _log.warning("evaluations not recorded yet", market=market.key, error=str(error))
                continue
            written += len(files)
        if len(due) < MOST_AT_ONCE:
            state.looked_back_from = newest
    return written


def _evaluated(
    app: App, market: MarketSettings, decision_id: str, horizon: Horizon, grids: dict[str, GridRecord]
) -> tuple[str, bytes] | None:
    try:
        recorded = read_advice(app.store.root, decision_id)
        hour = Hour.parse(recorded.file.hour)
        record = read_record(app.store.root, market.key, hour)
        if record is None:
            return None
        evidence = Evidence(
            recorded=recorded,
            record=record,
            snapshot=app.minutes.hour(market.key, hour),
            grid=grids.get(recorded.file.grid_id),
            costs=_costs(app, recorded.file.config_hash, market),
            symbol=market.symbol,
        )
        return evaluated(evidence, horizon, app.minutes, app.settings.outcomes, app.clock.now())
    except DataInvalid as error:
        _log.warning("a recommendation could not be evaluated", decision=decision_id, error=str(error))
        return None


def _costs(app: App, config_hash: str, market: MarketSettings) -> MarketCosts:
    """Return what trading cost by the rules that the recommendation was made by."""
    if config_hash == app.policy.config_hash:
        return app.policy.costs_of(market.key)
    policy: Policy = policy_of_repository(app.store.root, config_hash)
    return policy.costs_of(market.key)
