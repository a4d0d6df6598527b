"""A day, three days and a week later: what became of each recommendation, written once beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

import anyio.to_thread
import structlog

from daemon.app import App
from daemon.settings import MarketSettings, policy_of_repository
from decisions.inputs import MarketCosts, Policy
from decisions.outcomes import Horizon
from decisions.realised import OutcomesConfig
from grid.record import GridRecord
from market.errors import CommitFailed, DataInvalid, HistoryRefused
from market.hours import Hour
from store.advice import read_advice
from store.change_set import ChangeSet
from store.decision_files import evaluation_path
from store.grids import grid_path
from store.minutes import MinuteShelf
from store.outcomes import (
    EvaluationFile,
    Evidence,
    due_evaluations,
    encode_evaluation,
    evaluated,
    read_record,
)

_log = structlog.get_logger("evaluating")
LOOK_BACK_H = 240  # advice that fell due longer ago, while the daemon was off, waits for `regimed evaluate`
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
        look_back = LookBack(
            app.store.root, app.minutes, app.policy, app.settings.outcomes, grids, app.store.grid_faults
        )
        due = await anyio.to_thread.run_sync(
            due_evaluations, app.store.root, market.key, newest, hours, MOST_AT_ONCE
        )
        for decision_id, horizon in due:
            made = await anyio.to_thread.run_sync(
                partial(look_back.at, market, decision_id, horizon, app.clock.now()),
                limiter=app.analysis_limit,
            )
            if made.is_damaged:
                _log.warning(
                    "a recommendation could not be evaluated; `regimed evaluate` does it after the repair",
                    decision=decision_id,
                    error=made.reason,
                )
            if made.file is not None:
                files[made.path] = encode_evaluation(made.file)
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


@dataclass(frozen=True, slots=True)
class Looked:
    """What came of one look back.

    Attributes:
        file: None where nothing can be measured; `reason` then says why.
        is_damaged: A record is not what was written, or gone: somebody should look.
    """

    decision_id: str
    horizon: Horizon
    file: EvaluationFile | None
    reason: str = ""
    is_damaged: bool = False

    @property
    def path(self) -> str:
        return evaluation_path(self.decision_id, self.horizon.value)


class LookBack:
    """Evaluates recommendations of one repository; one thread at a time.

    Args:
        root: The repository.
        minutes: Its minutes.
        policy: The rules in force; advice by other rules finds them in `configs/`.
        outcomes: How the past is judged.
        grids: By id, as in force.
        grid_faults: By path, why a grid's file is not in force.
    """

    def __init__(
        self,
        root: Path,
        minutes: MinuteShelf,
        policy: Policy,
        outcomes: OutcomesConfig,
        grids: Mapping[str, GridRecord],
        grid_faults: Mapping[str, str],
    ) -> None:
        self._root, self._minutes, self._outcomes = root, minutes, outcomes
        self._policies = {policy.config_hash: policy}
        self._grids, self._grid_faults = grids, grid_faults

    def at(self, market: MarketSettings, decision_id: str, horizon: Horizon, now: datetime) -> Looked:
        """Return what became of a recommendation by a horizon, or why that cannot be told."""
        try:
            recorded = read_advice(self._root, decision_id)
            hour = Hour.parse(recorded.file.hour)
            record = read_record(self._root, market.key, hour)
            if record is None:
                return Looked(decision_id, horizon, None, f"hour {hour} has no record", is_damaged=True)
            grid = self._grids.get(recorded.file.grid_id)
            fault = self._grid_faults.get(grid_path(recorded.file.grid_id))
            if grid is None and fault is not None:  # what is written once must not do without its grid
                return Looked(decision_id, horizon, None, fault, is_damaged=True)
            evidence = Evidence(
                recorded=recorded,
                record=record,
                snapshot=self._minutes.hour(market.key, hour),
                grid=grid,
                costs=self._costs(recorded.file.config_hash, market),
                symbol=market.symbol,
            )
            made = evaluated(evidence, horizon, self._minutes, self._outcomes, now)
        except DataInvalid as error:
            return Looked(decision_id, horizon, None, str(error), is_damaged=True)
        return Looked(decision_id, horizon, made, f"hour {hour} has no price" if made is None else "")

    def _costs(self, config_hash: str, market: MarketSettings) -> MarketCosts:
        """Return what trading cost by the rules that the recommendation was made by."""
        if config_hash not in self._policies:
            self._policies[config_hash] = policy_of_repository(self._root, config_hash)
        return self._policies[config_hash].costs_of(market.key)
