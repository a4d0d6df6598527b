"""What an hour was judged by: the window, what came before, and the chain that names each input once."""

from __future__ import annotations

import bisect
import re
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from decisions.inputs import Before, Calibration, HourInputs
from decisions.timers import PastAdvice
from grid.economics import TradingRules
from grid.state import GridState, of_config
from market.candles import no_bars
from market.errors import DataInvalid, RepositoryUnusable
from market.hours import Hour, Timeframe, hours_between, parse_instant
from store.calibration_files import CalibrationShelf
from store.decision_files import (
    ActionFile,
    DecisionFile,
    action_path,
    decision_path,
    decode_action,
    decode_decision,
    past_advice,
)
from store.ledger import Ledger
from store.paths import metrics_path
from store.reader import Fault, OwnHour, SnapshotReader, span_of
from store.records import MetricsFile, decode_metrics
from store.seal import digest_of_bytes, digest_of_file

_KNOWN_AT = re.compile(rb"^inputs:\n  known_at: '([^'\n]+)'$", re.MULTILINE)
_DECISIONS = re.compile(rb"^decisions:\n((?:- [^\n]+\n)+)", re.MULTILINE)
_FILES_KEPT = 1024  # an hour asks for the last `PAST_HOURS` of its market: enough for 170 markets
PAST_HOURS = 6


@dataclass(frozen=True, slots=True)
class Judged:
    """What the chain needs of a metrics file: when it was judged, its advice, and its bytes by digest."""

    known_at: datetime
    digest: str
    decisions: tuple[str, ...] = ()


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
        self._before: dict[str, Before] = {}
        self._calibrations = CalibrationShelf(root)
        self._decisions: OrderedDict[str, tuple[DecisionFile, str]] = OrderedDict()
        self._faults: list[Fault] = []

    def hour_inputs(
        self, key: str, hour: Hour, known_at: datetime, revised: Iterable[str] = ()
    ) -> HourInputs:
        """Return all that `hour` may know at `known_at`, as a replay will read it."""
        window = self._reader.load_window(key, hour, self._timeframes, known_at)
        own = self._reader.own_hour(window)
        earlier = self._earlier(key, hour, known_at)
        files = self._files(key, hour, known_at, earlier)
        calibration = self._calibration(key, hour, known_at, earlier, files)
        return HourInputs(
            key=key,
            hour=hour,
            known_at=known_at,
            window=window,
            summary=None if own is None else own.summary,
            has_bar=hour.open_ts in window.bars[Timeframe.H1].ts[-1:],
            revised=tuple(revised),
            minutes=no_bars(Timeframe.M1) if own is None else own.minutes,
            grids=None if own is None else _grids(own, f"snapshot {key}/{hour}"),
            rules=None if own is None else _rules(own),
            funds=None if own is None else own.funds,
            before=None if earlier is None else self._record_before(key, earlier[0]),
            past=self._past(key, hour, known_at, earlier, files),
            calibration=calibration,
            files=files,
        )

    def remember(self, key: str, before: Before, advice: Iterable[tuple[DecisionFile, str]]) -> None:
        """Keep what the newest record of a market says, so that the next hour need not read it again.

        Args:
            key: Market.
            before: Gates and grids as the record holds them.
            advice: The hour's recommendations, each with its file's digest.
        """
        self._before[key] = before
        for file, digest in advice:
            self._keep_decision(file, digest)

    def judged(self, key: str, hour: Hour) -> Judged | None:
        """Return when an hour was judged and its record's digest; None where there is no usable record."""
        chain = self._chain(key)
        place = bisect.bisect_left(chain.hours, hour)
        if place == len(chain.hours) or chain.hours[place] != hour:
            return None
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

    def changed_inputs(self, files: Mapping[str, str]) -> Iterable[str]:
        """Yield each named input that is no longer what it was, in words."""
        for path, digest in sorted(files.items()):
            try:
                data = (self._root / path).read_bytes()
            except FileNotFoundError:
                yield f"{path}: gone, expected {digest}"
                continue
            found = digest_of_file(path, data)
            if found != digest:
                yield f"{path}: {found}, expected {digest}"

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

    def _files(
        self, key: str, hour: Hour, known_at: datetime, before: tuple[Hour, Judged] | None
    ) -> dict[str, str]:
        span = span_of(hour, self._timeframes, known_at)
        if before is None:
            return self._reader.input_files(key, span)
        earlier, judged = before
        named = span_of(earlier, self._timeframes, judged.known_at)
        files = self._reader.input_files(key, span, without=named)
        files[metrics_path(key, earlier)] = judged.digest
        return files

    def _record_before(self, key: str, earlier: Hour) -> Before | None:
        """Return what an earlier record says of the grids; None, and a fault, where it cannot be read."""
        kept = self._before.get(key)
        if kept is not None and kept.hour == earlier:
            return kept
        try:
            record = self.record(key, earlier)
        except (DataInvalid, OSError) as error:
            self._faults.append(Fault(metrics_path(key, earlier), str(error)))
            return None
        if record is None:
            raise DataInvalid(metrics_path(key, earlier), "", "it vanished while it was read")
        return Before(earlier, record.gate_evaluation, record.exit_evaluation)

    def recent_advice(self, key: str, until: Hour, since: Hour | None = None) -> tuple[PastAdvice, ...]:
        """Return the advice of the last hours up to `until`, all that is known of it now, oldest first.

        Args:
            key: Market.
            until: The newest hour.
            since: The last hours before this one too, and all between; `until` when left out.
        """
        found = []
        for hour in hours_between((since or until).plus(1 - PAST_HOURS), until.plus(1)):
            judged = self.judged(key, hour)
            for decision_id in () if judged is None else judged.decisions:
                kept = self._decision(decision_id)
                if kept is not None:
                    actions = [action for action, _, _ in self._actions(decision_id)]
                    found.append(past_advice(kept[0], actions))
        return tuple(found)

    def _past(
        self,
        key: str,
        hour: Hour,
        known_at: datetime,
        earlier: tuple[Hour, Judged] | None,
        files: dict[str, str],
    ) -> tuple[PastAdvice, ...]:
        """Return the advice of the hours before with what was done about it; names what is new in `files`."""
        seen_until = None if earlier is None else earlier[1].known_at
        found = []
        for back in range(PAST_HOURS, 0, -1):
            judged = self.judged(key, hour.plus(-back))
            if judged is None or judged.known_at > known_at:
                continue
            for decision_id in judged.decisions:
                kept = self._decision(decision_id)
                if kept is None:
                    continue
                file, digest = kept
                if seen_until is None or judged.known_at >= seen_until:
                    files[decision_path(decision_id)] = digest
                actions = []
                for action, path, its_digest in self._actions(decision_id):
                    recorded_at = parse_instant(action.recorded_at)
                    if recorded_at > known_at:
                        continue
                    actions.append(action)
                    if seen_until is None or recorded_at > seen_until:
                        files[path] = its_digest
                found.append(past_advice(file, actions))
        return tuple(found)

    def _decision(self, decision_id: str) -> tuple[DecisionFile, str] | None:
        """Return a recommendation and its file's digest; None, and a fault, where it cannot be read."""
        if decision_id in self._decisions:
            return self._decisions[decision_id]
        path = decision_path(decision_id)
        try:
            data = (self._root / path).read_bytes()
            return self._keep_decision(decode_decision(data, path), digest_of_bytes(data))
        except (DataInvalid, OSError) as error:
            self._faults.append(Fault(path, str(error)))
            return None

    def _keep_decision(self, file: DecisionFile, digest: str) -> tuple[DecisionFile, str]:
        kept = self._decisions[file.id] = file, digest
        if len(self._decisions) > _FILES_KEPT:
            self._decisions.popitem(last=False)
        return kept

    def _actions(self, decision_id: str) -> Iterable[tuple[ActionFile, str, str]]:
        number = 1
        while (self._root / (path := action_path(decision_id, number))).is_file():
            number += 1
            try:
                data = (self._root / path).read_bytes()
                yield decode_action(data, path), path, digest_of_bytes(data)
            except (DataInvalid, OSError) as error:
                self._faults.append(Fault(path, str(error)))

    def _calibration(
        self,
        key: str,
        hour: Hour,
        known_at: datetime,
        earlier: tuple[Hour, Judged] | None,
        files: dict[str, str],
    ) -> Calibration | None:
        found = self._calibrations.in_force(key, min(known_at, hour.closes_at))
        if found is None:
            return None
        if earlier is None or found.known_at > min(earlier[1].known_at, earlier[0].closes_at):
            files[found.calibration.path] = found.digest
        return found.calibration

    def _earlier(self, key: str, hour: Hour, known_at: datetime) -> tuple[Hour, Judged] | None:
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
        listed = _DECISIONS.search(data)
        ids = () if listed is None else tuple(line[2:].decode() for line in listed[1].splitlines())
        try:
            return Judged(parse_instant(b"".join(found).decode()), digest_of_bytes(data), ids)
        except ValueError as error:  # none, several or another form
            self._faults.append(Fault(path, f"{path}: inputs.known_at: {error}"))
            return None


def _grids(own: OwnHour, where: str) -> tuple[GridState, ...]:
    return tuple(of_config(entry, f"{where}: grid_config") for entry in own.grid_config)


def _rules(own: OwnHour) -> TradingRules | None:
    if own.rules is None:
        return None
    return TradingRules(**{name: Decimal(text) for name, text in own.rules.items()})


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
