"""The ledger of due hours: what is owed follows from the files, never from a memory of its own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from market.hours import Hour, hours_between
from market.keys import checked_key
from store import disk
from store.paths import SnapshotName, parse_metrics, parse_snapshot, snapshot_folder

REFETCH_AFTER = (timedelta(minutes=5), timedelta(minutes=30), timedelta(hours=6), timedelta(hours=24))
COMPARE_AFTER = (timedelta(hours=1), timedelta(hours=24))
JUDGE_AFTER = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class CollectedHour:
    """What was collected of an hour: `complete`, or how many incomplete files there are (0: nothing)."""

    complete: bool
    partials: int

    @property
    def absent(self) -> bool:
        return not self.complete and not self.partials


@dataclass(frozen=True, slots=True)
class DueHours:
    """What one market owes.

    Attributes:
        owed: Hours without a judgement, oldest first.
        newest_judged: None before the first judgement.
        collected: What the owed hours have on disk: an hour with a complete snapshot owes only a judgement.
    """

    key: str
    owed: tuple[Hour, ...]
    newest_judged: Hour | None
    collected: dict[Hour, CollectedHour]


class Ledger:
    """Reads file names of one data repository; never their contents."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def due_hours(self, key: str, last_closed: Hour) -> DueHours:
        """Return the hours after the newest judged one up to `last_closed`; at first only that one."""
        newest = self.newest_judged(key)
        first = last_closed if newest is None else newest.plus(1)
        owed = tuple(hours_between(first, last_closed.plus(1)))
        return DueHours(key, owed, newest, {hour: self.collected(key, hour) for hour in owed})

    def newest_judged(self, key: str) -> Hour | None:
        return max(self.judged_hours(key), default=None)

    def judged_hours(self, key: str) -> list[Hour]:
        """Return every hour that has a metrics file, oldest first."""
        folder = f"metrics/{checked_key(key)}"
        parsed = (parse_metrics(f"{folder}/{entry}") for entry in disk.names_in(self._root / folder))
        return sorted(found[1] for found in parsed if found)

    def collected(self, key: str, hour: Hour) -> CollectedHour:
        """Return what lies there for an hour."""
        names = snapshots_of_hour(self._root, key, hour)
        return CollectedHour(
            complete=any(name.partial is None for name in names),
            partials=sum(name.partial is not None for name in names),
        )

    def incomplete_hours(self, key: str, newest: Hour, hours: int = 25) -> list[Hour]:
        """Return which of the last `hours` up to `newest` have only incomplete files, oldest first."""
        span = hours_between(newest.plus(1 - hours), newest.plus(1))
        found = [(hour, self.collected(key, hour)) for hour in span]
        return [hour for hour, state in found if state.partials and not state.complete]

    def markets(self) -> list[str]:
        """Return the keys that have snapshots, candles or metrics."""
        keys = set()
        for folder in ("snapshots", "candles", "metrics"):
            for entry in disk.names_in(self._root / folder):
                try:
                    keys.add(checked_key(entry))
                except ValueError:
                    continue
        return sorted(keys)


def snapshots_of_hour(root: Path, key: str, hour: Hour) -> list[SnapshotName]:
    """Return the snapshot files of one hour."""
    folder = snapshot_folder(key, hour)
    names = (parse_snapshot(f"{folder}/{entry}") for entry in disk.names_in(root / folder))
    return [name for name in names if name is not None and name.hour == hour]


def next_refetch(hour: Hour, last_try: datetime) -> datetime | None:
    """Return when an incomplete hour is fetched again; None once it is owed to backfill."""
    return _next_step(hour, last_try, REFETCH_AFTER)


def next_compare(hour: Hour, last_try: datetime) -> datetime | None:
    """Return when a complete hour is fetched again to look for late revisions; None when both were done."""
    return _next_step(hour, last_try, COMPARE_AFTER)


def may_judge(hour: Hour, *, is_complete: bool, last_try: datetime) -> bool:
    """Return whether an hour is judged now: when complete, at the latest after the try at 30 minutes."""
    return is_complete or last_try >= hour.closes_at + JUDGE_AFTER


def _next_step(hour: Hour, last_try: datetime, steps: tuple[timedelta, ...]) -> datetime | None:
    return next((hour.closes_at + step for step in steps if hour.closes_at + step > last_try), None)
