"""Runs of grids put together from the records, as the KPIs look back at them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from decisions.actions import Answer
from decisions.episodes import HOLD_LENGTH_H, Episode, StateChange, hold_stop_at, labelled
from decisions.kpi_targets import KpisConfig
from decisions.paths import RunningGrid
from grid.economics import PlanTerms
from grid.position import of_record as position_of_record
from grid.record import EventKind, GridRecord
from market.hours import Hour, Timeframe
from market.window import MarketWindow
from store.advice import Recorded, decision_ids, read_advice
from store.decision_files import action_path, decision_of, decision_path
from store.exit_files import Transition, transitions
from store.minutes import MinuteShelf
from store.outcomes import read_record


@dataclass(frozen=True, slots=True)
class Run:
    """One start of a grid and its stop, as its file tells them."""

    grid_id: str
    version: int
    started_at: datetime
    stopped_at: datetime | None
    stop_reason: str | None


def runs_of(record: GridRecord) -> Iterator[Run]:
    """Yield each run of a grid, oldest first; the last one may still go on."""
    for place, event in enumerate(record.history):
        if event.event is not EventKind.ENABLED:
            continue
        after = record.history[place + 1] if place + 1 < len(record.history) else None
        yield Run(
            record.grid_id,
            event.version,
            event.at,
            None if after is None else after.at,
            None if after is None else after.reason,
        )


def episodes_of(
    root: Path,
    record: GridRecord,
    window: MarketWindow,
    shelf: MinuteShelf,
    config: KpisConfig,
    tolerated_missing: int,
    since: datetime | None = None,
) -> list[Episode]:
    """Return every run of a grid as known at the window's end, labelled with its adverse event.

    Args:
        root: The repository.
        record: The grid's file.
        window: Of its market, reaching from the oldest run to the newest hour that counts: gives the 1h bars.
        shelf: Minutes of the days after a stop.
        config: Windows of the label.
        tolerated_missing: Minutes that an hour may lack.
        since: Runs with nothing to tell from here on, A included, are left out; None for all.
    """
    runs = [
        run
        for run in runs_of(record)
        if since is None or run.stopped_at is None or run.stopped_at + config.adverse.within >= since
    ]
    if not runs:
        return []
    changes = [
        each
        for each in transitions(root, record.market, f"{runs[0].started_at:%Y-%m-%d}")
        if each.grid_id == record.grid_id and each.at <= window.hour.closes_at
    ]
    bars, found = window.bars[Timeframe.H1], []
    for run in runs:
        episode = _episode(root, record, run, changes, window, shelf, tolerated_missing)
        after = bars.between(Hour.of(run.started_at).open_ts, window.hour.close_ts)
        found.append(labelled(episode, after, window.price_scale, config.adverse))
    return found


def _episode(
    root: Path,
    record: GridRecord,
    run: Run,
    changes: Sequence[Transition],
    window: MarketWindow,
    shelf: MinuteShelf,
    tolerated_missing: int,
) -> Episode:
    """Return a run with what its records say of it, not labelled yet."""
    parameters = record.versions[run.version - 1].parameters
    inside = [
        StateChange(each.at, each.state)
        for each in changes
        if run.started_at <= each.at and (run.stopped_at is None or each.at <= run.stopped_at)
    ]
    last = _last_entry(root, record, run, window.hour)
    figures: Mapping[str, Any] = {}
    if last is not None and last[1]["position"] is not None:
        figures = last[1]["position"]["figures"]
    ended = run.stopped_at is not None
    return Episode(
        grid_id=record.grid_id,
        started_at=run.started_at,
        stopped_at=run.stopped_at,
        lower=float(parameters.lower),
        upper=float(parameters.upper),
        atr=None if last is None else last[1]["fold"]["atr"],
        changes=tuple(inside),
        stop_accepted_at=run.stopped_at if _was_advised(root, run) else None,
        realised=figures.get("net_profit") if ended else None,
        peak=figures.get("peak_profit") if ended else None,
        hold_stop_at=_held_on(record, last, window.hour, shelf, tolerated_missing)
        if ended and last
        else None,
    )


def answered_between(root: Path, start: datetime, end: datetime) -> Iterator[Recorded]:
    """Yield every recommendation whose hour closed in [start, end) and about which something was done.

    The KPIs count deeds; a year of advice that nobody answered need not be read for them.
    """
    for decision_id in decision_ids(root, f"{start:%Y-%m-%d}", f"{end:%Y-%m-%d}"):
        if (root / action_path(decision_id, 1)).is_file():
            found = read_advice(root, decision_id)
            if start <= found.file.closes_at < end:
                yield found


def _last_entry(
    root: Path, record: GridRecord, run: Run, newest: Hour
) -> tuple[Hour, Mapping[str, Any]] | None:
    """Return the last hour in which a run was followed, and what its record says of the grid."""
    first = Hour.of(run.started_at)
    last = newest if run.stopped_at is None else Hour.of(run.stopped_at).plus(-1)
    for index in range(last.index, max(first.index, last.index - 24) - 1, -1):
        judged = read_record(root, record.market, Hour(index))
        entry = None if judged is None else judged.exit_evaluation.get(record.grid_id)
        if entry is not None:
            return Hour(index), entry
    return None


def _was_advised(root: Path, run: Run) -> bool:
    """Say whether the stop carried out a recommendation: the reason then is its name."""
    if run.stop_reason is None or decision_of(f"decisions/{run.stop_reason}.yaml") != (run.stop_reason, None):
        return False
    if not (root / decision_path(run.stop_reason)).is_file():  # in words that look like a name
        return False
    answer = read_advice(root, run.stop_reason).advice.answer
    return answer is not None and answer.action is Answer.ACCEPT


def _held_on(
    record: GridRecord,
    last: tuple[Hour, Mapping[str, Any]],
    newest: Hour,
    shelf: MinuteShelf,
    tolerated_missing: int,
) -> datetime | None:
    """Return when the grid would have hit its stop-loss, by the newest hour, if nobody had stopped it."""
    hour, entry = last
    told = entry["position"]
    if told is None:
        return None
    terms, position = PlanTerms.of_record(told["terms"]), position_of_record(told["state"])
    until = min(hour.plus(HOLD_LENGTH_H), newest).plus(1)
    minutes, scale = shelf.between(record.market, hour.plus(1), until, terms.price_scale)
    factor = scale // terms.price_scale
    terms, position = terms.rescaled(factor), position.rescaled(factor)
    plan = terms.plan(record.versions[int(entry["grid_version"]) - 1].parameters)
    return hold_stop_at(RunningGrid(plan, position), hour, minutes, None, tolerated_missing)
