"""The KPI record of a day, put together from the repository as it stood at the end of that day.

Whenever it is written, only what was known by the end of the day counts: grid events and answers up to then,
exit states, hours that were closed. So days that are made up for later say what they would have said. Answers
that were recorded after `known_at`, and bars collected after it, are not in it: the same repository and the
same `known_at` give the same bytes. A grid event that is entered later with an earlier `--at`, and minutes
that are backfilled later, change no record that is there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from decisions.episodes import Episode
from decisions.kpi_day import DAY, TRAILING, PeriodKpis, kpi_day
from decisions.kpi_targets import KpisConfig
from decisions.timers import PastAdvice
from grid.record import GridRecord
from market.hours import Hour, instant_iso, parse_instant
from market.window import MarketWindow
from store import disk
from store.advice import Recorded
from store.decision_files import past_advice
from store.episodes import answered_between, episodes_of
from store.grids import decode_grid
from store.kpi_files import KpisFile, PeriodYaml
from store.ledger import Ledger
from store.minutes import MinuteShelf
from store.paths import parse_grid
from store.seal import digest_of_bytes


@dataclass(frozen=True, slots=True)
class KpiRules:
    """What a day is counted by: windows and targets, and what a record quotes of the rest."""

    kpis: KpisConfig
    tolerated_missing_minutes: int
    config_hash: str
    engine_version: int


@dataclass(frozen=True, slots=True)
class GridFile:
    """A grid's file and its digest."""

    path: str
    digest: str
    record: GridRecord

    def until(self, instant: datetime) -> GridRecord:
        """Return the record with the events before an instant alone."""
        events = tuple(event for event in self.record.history if event.at < instant)
        return self.record.model_copy(update={"history": events})


def first_judged(root: Path) -> Hour | None:
    """Return the first hour that was judged in any market, None where there is none."""
    ledger = Ledger(root)
    judged = (ledger.judged_hours(key) for key in disk.names_in(root / "metrics"))
    return min((hours[0] for hours in judged if hours), default=None)


def grid_files(root: Path) -> list[GridFile]:
    """Return every grid's file.

    Raises:
        DataInvalid: One is not valid: a record that is written once must not leave a grid out unsaid.
    """
    found = []
    for name in disk.names_in(root / "grids"):
        path = f"grids/{name}"
        if parse_grid(path) is not None:
            data = (root / path).read_bytes()
            found.append(GridFile(path, digest_of_bytes(data), decode_grid(data, path)))
    return found


def kpis_file(
    root: Path,
    day: datetime,
    first: Hour,
    known_at: datetime,
    grids: Sequence[GridFile],
    windows: Mapping[str, MarketWindow],
    shelf: MinuteShelf,
    rules: KpiRules,
) -> KpisFile:
    """Return the record of a day.

    Args:
        root: The repository.
        day: First instant of the day, UTC; it is over.
        first: The first judged hour, no later than the day.
        known_at: Now.
        grids: All grid files.
        windows: By market, ending with the day's last hour or the newest judged one before it, as known at
            `known_at`; a grid of a market without one never ran where anybody looked.
        shelf: Minutes of the repository.
        rules: What is counted, and by whom.

    Raises:
        DataInvalid: A record that it is made from is corrupt.
    """
    end = day + DAY
    start = max(end - TRAILING, first.opens_at)
    episodes: list[Episode] = []
    used: dict[str, str] = {}
    for grid in grids:
        record = grid.until(end)
        window = windows.get(record.market)
        if not record.history or window is None:
            continue
        used[grid.path] = grid.digest
        tolerated = rules.tolerated_missing_minutes
        episodes += episodes_of(root, record, window, shelf, rules.kpis, tolerated, start)
    advice = [known_by(found, end, known_at) for found in answered_between(root, start, end)]
    told = kpi_day(episodes, advice, day, first.opens_at, rules.kpis)
    return KpisFile(
        schema_version=1,
        date=f"{day:%Y-%m-%d}",
        known_at=instant_iso(known_at),
        config_hash=rules.config_hash,
        engine_version=rules.engine_version,
        rules={
            "kpis": rules.kpis.model_dump(mode="json"),
            "tolerated_missing_minutes": rules.tolerated_missing_minutes,
        },
        grids=used,
        trailing=_period(told.trailing),
        day=_period(told.day),
    )


def known_by(found: Recorded, end: datetime, known_at: datetime) -> PastAdvice:
    """Return a recommendation with what was done before `end` and recorded by `known_at`."""
    actions = [
        action
        for action in found.actions
        if parse_instant(action.at) < end and parse_instant(action.recorded_at) <= known_at
    ]
    return past_advice(found.file, actions)


def _period(period: PeriodKpis) -> PeriodYaml:
    return PeriodYaml.model_validate(period.as_record())
