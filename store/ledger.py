"""The ledger of due hours: what is owed follows from the files, never from a memory of its own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from market.hours import Hour, hours_between
from market.keys import checked_key
from store import disk
from store.paths import SnapshotName, metrics_path, parse_metrics, parse_snapshot, snapshot_folder

REFETCH_AFTER = (timedelta(minutes=5), timedelta(minutes=30), timedelta(hours=6), timedelta(hours=24))
JUDGE_AFTER = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class CollectedHour:
    """What was collected of an hour: `complete`, or how many incomplete files there are (0: nothing)."""

    complete: bool
    partials: int

    @property
    def absent(self) -> bool:
        return not self.complete and not self.partials


class Ledger:
    """Reads file names of one data repository; never their contents."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def owed_hours(self, key: str, last_closed: Hour) -> list[Hour]:
        """Return the hours without a judgement up to `last_closed`, oldest first: none is ever skipped.

        They begin with the first judged hour, so a record that went to quarantine is owed again. A market
        that was never judged begins with the first hour collected live, else with the last closed one.
        """
        judged = self.judged_hours(key)
        if not judged:
            return hours_between(self._first_live(key) or last_closed, last_closed.plus(1))
        done = set(judged)
        return [hour for hour in hours_between(judged[0], last_closed.plus(1)) if hour not in done]

    def newest_judged(self, key: str) -> Hour | None:
        return max(self.judged_hours(key), default=None)

    def first_judged(self, key: str) -> Hour | None:
        return min(self.judged_hours(key), default=None)

    def is_judged(self, key: str, hour: Hour) -> bool:
        return (self._root / metrics_path(key, hour)).is_file()

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

    def _first_live(self, key: str) -> Hour | None:
        """Return the first hour collected live; history that was backfilled or imported owes no judgement."""
        folder = self._root / "snapshots" / checked_key(key)
        for path in sorted(path.relative_to(self._root).as_posix() for path in folder.glob("*/*/*/*.json")):
            name = parse_snapshot(path)
            if name is not None and b'"source":"live"' in (self._root / path).read_bytes():
                return name.hour
        return None


def snapshots_of_hour(root: Path, key: str, hour: Hour) -> list[SnapshotName]:
    """Return the snapshot files of one hour."""
    folder = snapshot_folder(key, hour)
    names = (parse_snapshot(f"{folder}/{entry}") for entry in disk.names_in(root / folder))
    return [name for name in names if name is not None and name.hour == hour]


def next_refetch(hour: Hour, last_try: datetime) -> datetime | None:
    """Return when an incomplete hour is fetched again; None once it is owed to backfill."""
    due = (hour.closes_at + wait for wait in REFETCH_AFTER)
    return next((instant for instant in due if instant > last_try), None)


def may_judge(hour: Hour, *, is_complete: bool, last_try: datetime) -> bool:
    """Return whether an hour is judged now: when complete, at the latest after the try at 30 minutes."""
    return is_complete or last_try >= hour.closes_at + JUDGE_AFTER
