"""What the analysis service reads: a data repository or recorded candles, hour by hour."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from decisions.inputs import HourInputs
from market.errors import DataInvalid
from market.hours import Hour, Timeframe
from regime.service import BadHour
from store import disk
from store.inputs import ReadOnlyStore
from store.paths import parse_snapshot
from store.recorded_windows import RecordedWindows
from store.records import MetricsFile


class RepositoryHours:
    """Hours of a data repository, each as known when it was judged, or at one instant.

    An hour whose own snapshot is corrupt, so that nothing is left to judge by, is bad; read again, its files
    are. Several markets may be read at the same time, one thread each.

    Args:
        root: The repository's work tree.
        max_missing_minutes: An hour with more minutes missing gives no bars from minutes.
        timeframes: Days of each timeframe that the engine asks for.
        as_of: Use everything collected by this instant.

    Raises:
        RepositoryUnusable: Not a folder.
    """

    def __init__(
        self,
        root: Path,
        *,
        max_missing_minutes: int,
        timeframes: Mapping[Timeframe, int],
        as_of: datetime | None = None,
    ) -> None:
        self._root, self._timeframes, self._as_of = root, dict(timeframes), as_of
        self._max_missing_minutes = max_missing_minutes
        self._stores: dict[str, ReadOnlyStore] = {}
        self._faults: dict[tuple[str, Hour], dict[str, str]] = {}
        self.store("")

    def store(self, key: str) -> ReadOnlyStore:
        """Return the reader of one market."""
        if key not in self._stores:
            self._stores[key] = ReadOnlyStore(
                self._root, max_missing_minutes=self._max_missing_minutes, timeframes=self._timeframes
            )
        return self._stores[key]

    def windows(self, key: str, hours: Sequence[Hour]) -> Iterator[HourInputs | BadHour]:
        """Yield the inputs of each hour."""
        store = self.store(key)
        for hour in hours:
            for path in self._faults.pop((key, hour), {}):
                store.reader.notice(path)
        if hours:
            store.reader.prefetch(key, hours[0], hours[-1], self._timeframes)
        for hour in hours:
            yield self._read(store, key, hour)

    def newest(self, key: str) -> Hour:
        """Return the newest hour that was collected.

        Raises:
            DataInvalid: None was.
        """
        folder = f"snapshots/{key}"
        for year in reversed(disk.names_in(self._root / folder)):
            for month in reversed(disk.names_in(self._root / folder / year)):
                for day in reversed(disk.names_in(self._root / folder / year / month)):
                    for entry in reversed(disk.names_in(self._root / folder / year / month / day)):
                        if name := parse_snapshot(f"{folder}/{year}/{month}/{day}/{entry}"):
                            return name.hour
        raise DataInvalid(folder, "", "no hour of this market was collected")

    def judged_hours(self, key: str) -> Sequence[Hour]:
        """Return the hours that have a record, oldest first."""
        return self.store(key).inputs.judged_hours(key)

    def record(self, key: str, hour: Hour) -> MetricsFile | None:
        """Return the recorded judgement, None where there is none.

        Raises:
            DataInvalid: The record is corrupt.
        """
        return self.store(key).inputs.record(key, hour)

    def _read(self, store: ReadOnlyStore, key: str, hour: Hour) -> HourInputs | BadHour:
        try:
            (inputs,) = store.read_inputs(key, [hour], self._as_of)
        except (DataInvalid, OSError) as error:
            return BadHour(key, hour, str(error))
        records = []
        for fault in store.inputs.take_faults():
            if name := parse_snapshot(fault.path):
                self._faults.setdefault((name.key, name.hour), {})[fault.path] = fault.reason
            elif fault.path.startswith(("metrics/", "decisions/")):
                records.append(fault.reason)
        if records:  # what came before cannot be read: the hour would be judged as if there were nothing
            return BadHour(key, hour, "; ".join(records))
        own = self._faults.get((key, hour))
        return BadHour(key, hour, "; ".join(own.values())) if own and not inputs.has_bar else inputs


class RecordedHours:
    """Hours of recorded candles, each as known at its close; no repository, and so no files to name.

    Args:
        markets: Recorded candles by market key.
    """

    def __init__(self, markets: Mapping[str, RecordedWindows]) -> None:
        self._markets = dict(markets)

    def windows(self, key: str, hours: Sequence[Hour]) -> Iterator[HourInputs]:
        """Yield the inputs of each hour."""
        recorded = self._markets[key]
        for hour in hours:
            window = recorded.window(hour)
            yield HourInputs(
                key, hour, hour.closes_at, window, files={}, summary=None, has_bar=recorded.has(hour)
            )

    def newest(self, key: str) -> Hour:
        """Return the last recorded hour."""
        return self._markets[key].hours[1].plus(-1)
