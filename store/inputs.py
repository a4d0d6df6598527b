"""What an hour was judged by: the window, and the chain of files that names each input once."""

from __future__ import annotations

import bisect
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from decisions.evaluate import HourInputs
from market.errors import DataInvalid, RepositoryUnusable
from market.hours import Hour, Timeframe, parse_instant
from store.ledger import Ledger
from store.paths import metrics_path
from store.reader import Fault, SnapshotReader, span_of
from store.records import MetricsFile, decode_metrics

_KNOWN_AT = re.compile(rb"^inputs:\n  known_at: '([^'\n]+)'$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Judged:
    """What the chain needs of a metrics file: when it was judged, and its bytes by digest."""

    known_at: datetime
    digest: str


@dataclass(slots=True)
class _Chain:
    hours: list[Hour]
    read: dict[Hour, Judged | None] = field(default_factory=dict)


class InputReader:
    """Builds an hour's inputs from files alone, the same for the daemon, `analyze` and `replay`.

    Args:
        root: The repository's work tree.
        reader: Windows come from here.
        timeframes: Days of each timeframe that the engine asks for.
    """

    def __init__(self, root: Path, reader: SnapshotReader, timeframes: Mapping[Timeframe, int]) -> None:
        self._root, self._reader, self._timeframes = root, reader, dict(timeframes)
        self._ledger = Ledger(root)
        self._chains: dict[str, _Chain] = {}
        self._faults: list[Fault] = []

    def hour_inputs(
        self, key: str, hour: Hour, known_at: datetime, revised: Iterable[str] = ()
    ) -> HourInputs:
        """Return all that `hour` may know at `known_at`, as a replay will read it."""
        window = self._reader.load_window(key, hour, self._timeframes, known_at)
        return HourInputs(
            key=key,
            hour=hour,
            known_at=known_at,
            window=window,
            files=self._files(key, hour, known_at),
            summary=self._reader.summary(window),
            has_bar=hour.open_ts in window.bars[Timeframe.H1].ts[-1:],
            revised=tuple(revised),
        )

    def judged(self, key: str, hour: Hour) -> Judged | None:
        """Return when an hour was judged and its record's digest; None where there is no usable record."""
        chain = self._chain(key)
        if hour not in chain.read:
            chain.read[hour] = self._read(metrics_path(key, hour))
        return chain.read[hour]

    def record(self, key: str, hour: Hour) -> MetricsFile | None:
        """Return the recorded judgement, None where there is none.

        Raises:
            DataInvalid: The record is corrupt.
        """
        path = metrics_path(key, hour)
        try:
            return decode_metrics((self._root / path).read_bytes(), path, (key, hour))
        except FileNotFoundError:
            return None

    def judged_hours(self, key: str) -> Sequence[Hour]:
        """Return the hours that have a metrics file, oldest first."""
        return tuple(self._chain(key).hours)

    def notice(self, key: str, hour: Hour) -> None:
        """Take a metrics file into account that was written (or removed) after the folder was listed."""
        chain = self._chains.get(key)
        if chain is None:
            return
        chain.read.pop(hour, None)
        place = bisect.bisect_left(chain.hours, hour)
        listed = place < len(chain.hours) and chain.hours[place] == hour
        exists = (self._root / metrics_path(key, hour)).is_file()
        if exists and not listed:
            chain.hours.insert(place, hour)
        elif listed and not exists:
            del chain.hours[place]

    def take_faults(self) -> list[Fault]:
        """Return the corrupt files met since the last call, each once."""
        faults, self._faults = self._faults, []
        return faults + self._reader.take_faults()

    def _files(self, key: str, hour: Hour, known_at: datetime) -> dict[str, str]:
        span = span_of(hour, self._timeframes, known_at)
        before = self._before(key, hour, known_at)
        if before is None:
            return self._reader.input_files(key, span)
        earlier, judged = before
        named = span_of(earlier, self._timeframes, judged.known_at)
        files = self._reader.input_files(key, span, without=named)
        files[metrics_path(key, earlier)] = judged.digest
        return files

    def _before(self, key: str, hour: Hour, known_at: datetime) -> tuple[Hour, Judged] | None:
        """Return the nearest earlier hour that was judged by `known_at`."""
        hours = self._chain(key).hours
        for place in range(bisect.bisect_left(hours, hour) - 1, -1, -1):
            judged = self.judged(key, hours[place])
            if judged is not None and judged.known_at <= known_at:
                return hours[place], judged
        return None

    def _chain(self, key: str) -> _Chain:
        if key not in self._chains:
            self._chains[key] = _Chain(self._ledger.judged_hours(key))
        return self._chains[key]

    def _read(self, path: str) -> Judged | None:
        data = (self._root / path).read_bytes() if (self._root / path).is_file() else b""
        found = _KNOWN_AT.findall(data)
        try:
            return Judged(parse_instant(b"".join(found).decode()), digest_of_bytes(data))
        except ValueError as error:  # none, several or another form
            self._faults.append(Fault(path, f"{path}: inputs.known_at: {error}"))
            return None


def digest_of_bytes(data: bytes) -> str:
    """Return `sha256:<hex>` of a file's bytes."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


class ReadOnlyStore:
    """A data repository opened for reading, without a lock: `analyze`, `replay`, `verify`.

    It sees the files as they lie there; a daemon may write at the same time.

    Raises:
        RepositoryUnusable: Not a folder.
    """

    def __init__(
        self,
        root: Path,
        *,
        max_missing_minutes: int,
        timeframes: Mapping[Timeframe, int],
        cache_bytes: int = 256_000_000,
    ) -> None:
        if not root.is_dir():
            raise RepositoryUnusable(f"{root}: no such folder; name a data repository")
        self.root, self._timeframes = root, dict(timeframes)
        self.reader = SnapshotReader(root, max_missing_minutes=max_missing_minutes, cache_bytes=cache_bytes)
        self.inputs = InputReader(root, self.reader, timeframes)
        self.ledger = Ledger(root)

    def read_inputs(
        self, key: str, hours: Sequence[Hour], as_of: datetime | None = None
    ) -> Iterable[HourInputs]:
        """Yield the inputs of each hour: as known when it was judged, or at `as_of`.

        An hour that was never judged is read as known at the instant its data was complete: the newest
        collection among the files of that hour, else its close.
        """
        if hours:
            self.reader.prefetch(key, hours[0], hours[-1], self._timeframes)
        for hour in hours:
            record = None if as_of is not None else self.inputs.record(key, hour)
            if record is not None:
                known_at = parse_instant(record.inputs.known_at)
                revised: Sequence[str] = record.data_quality.revised
            else:
                known_at, revised = as_of or self._collected_at(key, hour), ()
            yield self.inputs.hour_inputs(key, hour, known_at, revised)

    def _collected_at(self, key: str, hour: Hour) -> datetime:
        try:
            return self.reader.load_snapshot(key, hour).collected_at
        except (FileNotFoundError, DataInvalid):
            return hour.closes_at
