"""Whether what a daemon recorded comes out again: judged hours, their advice, the paper desk's hours.

Every hour is recomputed from the files that it could know, by the rules that its record names, and compared
to the byte. A desk's hour goes on from the record of the hour before it, so that one difference stays one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from decisions.evaluate import Evaluation, evaluate
from decisions.inputs import HourInputs, Policy
from market.errors import DataInvalid
from market.hours import Hour, Timeframe
from regime.analysis import ENGINE_VERSION
from store import disk
from store.decision_files import decision_file, decision_path, decode_decision, encode
from store.desk_files import DeskFile, DeskMarketJson, DeskRecord, desk_hours, read_desk
from store.differences import differing_fields
from store.inputs import ReadOnlyStore
from store.paths import desk_path, metrics_path
from store.records import MetricsFile, encode_metrics, metrics_file
from store.trade_files import decode_trades, path_of
from trading.market_hour import MarketHour
from trading.report import DeskReport


class Rules(Protocol):
    """Rules by the name that a record quotes."""

    @property
    def default(self) -> Policy:
        """Return those of who names none; its windows are what is read."""

    @property
    def timeframes(self) -> Mapping[Timeframe, int]:
        """Return the days of each timeframe that are read."""

    def named(self, config_hash: str | None) -> Policy:
        """Return the rules of a record; raises DataInvalid where they are not there."""


class RecordedDesk(Protocol):
    """A paper desk by recorded rules."""

    def go_on(self, file: DeskFile | None) -> None:
        """Stand where a record left the desk, or before its first hour."""

    def run(
        self,
        hour: Hour,
        markets: Mapping[str, MarketHour],
        seen: Mapping[str, DeskMarketJson],
        absent: Mapping[str, str],
    ) -> tuple[DeskRecord, DeskReport]:
        """Let an hour happen and return its record."""


class DeskRules(Protocol):
    """What a record's rules say of the desk."""

    @property
    def symbols(self) -> Mapping[str, str]:
        """Return the symbol of each market."""

    def desk(self) -> RecordedDesk:
        """Return a desk before its first hour."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A file that is not what comes out, or not what it was.

    Attributes:
        hour: Of which it was noticed.
        place: The first field that differs; empty for the whole file.
    """

    path: str
    hour: Hour
    place: str
    problem: str

    def __str__(self) -> str:
        return f"{self.path}: {self.place}{': ' if self.place else ''}{self.problem}"


@dataclass
class LiveCheck:
    """The check of one repository.

    Attributes:
        root: The repository's work tree.
        policies: By which hours were judged.
        desk_rules: By which the desk traded, by the name that its record quotes.
        counts: Hours, pieces of advice, desk hours and trades looked at, and verdicts, gates, exits in them.
    """

    root: Path
    policies: Rules
    desk_rules: Callable[[str], DeskRules]
    counts: Counter[str] = field(default_factory=Counter)
    _inputs: set[tuple[str, str]] = field(default_factory=set)
    _damaged: set[str] = field(default_factory=set)
    _rules: dict[str, tuple[DeskRules, RecordedDesk]] = field(default_factory=dict)

    def judged_hours(self, key: str) -> Sequence[Hour]:
        """Return the hours of a market that have a record."""
        return self._store().inputs.judged_hours(key)

    def market(self, key: str, hours: Iterable[Hour]) -> Iterator[tuple[Hour, list[Difference]]]:
        """Yield each hour's differences: inputs that changed, its record, its advice."""
        store = self._store()
        for hour in hours:
            self.counts["hours"] += 1
            yield hour, list(self._hour(store, key, hour))

    def desk(self, hours: Iterable[Hour]) -> Iterator[tuple[Hour, list[Difference]]]:
        """Yield each desk hour's differences: its record, its lines in the trade log."""
        store = self._store()
        for hour in hours:
            self.counts["desk hours"] += 1
            try:
                found = list(self._desk_hour(store, hour))
            except DataInvalid as error:
                found = [Difference(error.where, hour, error.field, f"cannot be recomputed: {error.problem}")]
            yield hour, found

    def desk_hours(self) -> list[Hour]:
        """Return the desk's hours, oldest first."""
        return sorted(desk_hours(self.root))

    def _store(self) -> ReadOnlyStore:
        return ReadOnlyStore(
            self.root,
            max_missing_minutes=self.policies.default.max_missing_minutes,
            timeframes=self.policies.timeframes,
        )

    def _hour(self, store: ReadOnlyStore, key: str, hour: Hour) -> Iterator[Difference]:
        path = metrics_path(key, hour)
        try:
            record = store.inputs.record(key, hour)
            if record is None:
                yield Difference(path, hour, "", "gone since the folder was listed")
                return
            yield from self._changed(store, hour, record.inputs.files)
            (inputs,) = store.read_inputs(key, [hour])
            yield from self._faults(store, hour)
            evaluation = evaluate(inputs, self.policies.named(record.config_hash))
        except DataInvalid as error:
            yield Difference(error.where, hour, error.field, f"cannot be recomputed: {error.problem}")
            return
        self.counts["verdicts"] += evaluation.analysis is not None
        self.counts["gates"] += len(evaluation.gates)
        self.counts["exits"] += len(evaluation.running)
        yield from self._record(path, hour, record, evaluation)
        yield from self._advice(hour, evaluation)

    def _changed(self, store: ReadOnlyStore, hour: Hour, files: Mapping[str, str]) -> Iterator[Difference]:
        """Yield the named inputs that are not what they were, each file once."""
        new = {path: digest for path, digest in files.items() if (path, digest) not in self._inputs}
        self._inputs.update(new.items())
        for line in store.inputs.changed_inputs(new):
            path, _, words = line.partition(": ")
            if path not in self._damaged:
                self._damaged.add(path)
                yield Difference(path, hour, "digest", words)

    def _faults(self, store: ReadOnlyStore, hour: Hour) -> Iterator[Difference]:
        for fault in store.inputs.take_faults():
            if fault.path not in self._damaged:
                self._damaged.add(fault.path)
                yield Difference(fault.path, hour, "", fault.reason)

    def _record(
        self, path: str, hour: Hour, record: MetricsFile, evaluation: Evaluation
    ) -> Iterator[Difference]:
        now = metrics_file(evaluation)
        if encode_metrics(now) == disk.read(self.root / path):
            return
        if record.engine_version != ENGINE_VERSION:
            words = f"recorded by engine {record.engine_version}, this is engine {ENGINE_VERSION}"
            yield Difference(path, hour, "engine_version", words)
            return
        found = differing_fields(
            record.model_dump(mode="json", by_alias=True), now.model_dump(mode="json", by_alias=True)
        )
        yield Difference(path, hour, *_first(found))

    def _advice(self, hour: Hour, evaluation: Evaluation) -> Iterator[Difference]:
        for advice in evaluation.advice:
            self.counts["decisions"] += 1
            path, now = decision_path(advice.id), decision_file(evaluation, advice)
            data = disk.read(self.root / path)
            if data == encode(now):
                continue
            if data is None:
                yield Difference(path, hour, "", "not there, but it is recomputed")
                continue
            try:
                recorded = decode_decision(data, path)
            except DataInvalid as error:
                yield Difference(path, hour, error.field, error.problem)
                continue
            fields = differing_fields(recorded.model_dump(mode="json"), now.model_dump(mode="json"))
            yield Difference(path, hour, *_first(fields))

    def _desk_hour(self, store: ReadOnlyStore, hour: Hour) -> Iterator[Difference]:
        file = read_desk(self.root, hour)
        if file is None:
            yield Difference(desk_path(hour), hour, "", "gone since the folder was listed")
            return
        if file.config_hash not in self._rules:
            rules = self.desk_rules(file.config_hash)
            self._rules[file.config_hash] = rules, rules.desk()
        rules, desk = self._rules[file.config_hash]
        desk.go_on(None if file.after is None else read_desk(self.root, Hour.parse(file.after)))
        markets: dict[str, MarketHour] = {}
        seen: dict[str, DeskMarketJson] = {}
        for key in file.markets:
            inputs, seen[key] = _seen(store, key, hour)
            markets[key] = MarketHour(inputs, rules.symbols[key])
        yield from self._faults(store, hour)
        record, report = desk.run(hour, markets, seen, file.absent)
        if record.data != disk.read(self.root / desk_path(hour)):
            recorded, now = (each.model_dump(mode="json", exclude={"digest"}) for each in (file, record.file))
            yield Difference(desk_path(hour), hour, *_first(differing_fields(recorded, now)))
        yield from self._trades(hour, report)

    def _trades(self, hour: Hour, report: DeskReport) -> Iterator[Difference]:
        for trade in report.trades:
            self.counts["trades"] += 1
            path = path_of(trade)
            logged = {each.id: each for each in decode_trades(disk.read(self.root / path) or b"", path)}
            if trade.id not in logged:
                yield Difference(path, hour, trade.id, "not there, but it is recomputed")
            elif logged[trade.id] != trade:
                yield Difference(path, hour, trade.id, "recorded otherwise than it is recomputed")


def _seen(store: ReadOnlyStore, key: str, hour: Hour) -> tuple[HourInputs, DeskMarketJson]:
    record = store.inputs.record(key, hour)
    if record is None:
        raise DataInvalid(metrics_path(key, hour), "", "gone, but the desk took part in its hour")
    (inputs,) = store.read_inputs(key, [hour])
    known_at, digest = record.inputs.known_at, inputs.window.digest()
    return inputs, DeskMarketJson(known_at=known_at, window_digest=digest, outcome=record.outcome)


def _first(found: Iterator[tuple[str, str]]) -> tuple[str, str]:
    """Return the first field that differs; bytes may differ where no value does."""
    return next(found, ("", "not the bytes that such a record is written with"))
