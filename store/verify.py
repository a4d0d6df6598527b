"""`regimed verify`: every promise of the data repository, checked from its files and its history alone."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import git

from market.errors import DataInvalid, RepositoryUnusable
from market.hours import Hour, parse_instant
from store import disk, yaml_text
from store.agreement import across_files
from store.calibration_files import decode_calibration
from store.candle_files import CandlePart, decode_candles
from store.columns import HourColumns, columns_of
from store.decision_files import check_decision, decision_of
from store.desk_files import DeskFile, decode_desk
from store.git import GitCommands, GitFailed, blob_id, git_environment
from store.growth import grid_fault
from store.history import HistoryModel, commits_of, hours_lost
from store.kpi_files import KpisFile, decode_kpis
from store.paths import (
    Kind,
    classify,
    config_path,
    desk_path,
    metrics_path,
    parse_candles,
    parse_desk,
    parse_grid,
    parse_metrics,
    parse_shadow,
    parse_snapshot,
    parse_trades,
)
from store.records import MetricsFile, decode_metrics
from store.seal import digest_of_bytes, opened
from store.shadow_files import ShadowFile, decode_shadow
from store.snapshots import decode_snapshot
from store.trade_files import decode_trades
from trading.trades import TradeRecord

Progress = Callable[[str, int, int], None]
FSCK_TIMEOUT_S = 1800.0


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong (`is_error`) or odd in the repository."""

    path: str
    problem: str
    is_error: bool = True


@dataclass(slots=True)
class Report:
    """What `verify` found; `counts` says how much it looked at."""

    findings: list[Finding] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong; oddities do not count."""
        return not any(finding.is_error for finding in self.findings)


@dataclass(slots=True)
class _Market:
    hours: list[HourColumns] = field(default_factory=list)
    parts: list[tuple[str, CandlePart]] = field(default_factory=list)
    records: list[tuple[str, MetricsFile]] = field(default_factory=list)
    shadows: list[tuple[str, ShadowFile]] = field(default_factory=list)


def verify(
    root: Path, *, branch: str = "main", max_jump: float = 0.2, progress: Progress | None = None
) -> Report:
    """Check a data repository; takes no lock and changes nothing.

    Checked: each commit of the first-parent line by the classes of its paths; every file of the newest
    commit against its format, its digest and the work tree; each record's inputs and its place in the
    chain; each shadow's configuration and its window; the desk's chain of hours, and that each trade
    ended in one of them; hours without holes; agreement across files; `git fsck --strict`.

    Args:
        root: The repository.
        branch: Its branch.
        max_jump: Largest usual move between one hour's close and the next open.
        progress: Told (stage, done, total) now and then.

    Raises:
        RepositoryUnusable: Not a Git repository, or without commits.
    """
    told = progress or (lambda _stage, _done, _total: None)
    if not (root / ".git").is_dir():
        raise RepositoryUnusable(f"{root}: not a data repository; there is no .git folder in it")
    commands = GitCommands(git.Git(root), git_environment())
    check = _Check(root, commands, branch, told)
    try:
        check.history()
        check.files()
        check.records()
        check.shadows()
        check.desk()
        check.agreement(max_jump)
        check.fsck()
    except GitFailed as error:
        raise RepositoryUnusable(f"{root}: Git cannot read it: {error}") from None
    return check.report


class _Check:
    def __init__(self, root: Path, commands: GitCommands, branch: str, told: Progress) -> None:
        self._root, self._git, self._branch, self._told = root, commands, branch, told
        self.report = Report()
        self._model = HistoryModel(self._blob)
        self._markets: dict[str, _Market] = {}
        self._digests: dict[str, set[str]] = {}
        self._kpis: dict[str, KpisFile] = {}
        self._desk: dict[Hour, DeskFile] = {}
        self._trades: dict[str, tuple[TradeRecord, ...]] = {}

    def history(self) -> None:
        """Walk the commits."""
        commits = list(commits_of(self._git, self._branch))
        for done, commit in enumerate(commits):
            if done % 500 == 0:
                self._told("history", done, len(commits))
            self._model.take(commit)
        for path, problem in self._model.problems:
            self._find(path, problem)
        for path, problem in hours_lost(list(self._model.blobs)):
            self._find(path, problem)
        self.report.counts["commits"] = len(commits)

    def files(self) -> None:
        """Read each file of the newest commit from the work tree and check it by its class."""
        blobs = self._model.blobs
        for done, (path, blob) in enumerate(sorted(blobs.items())):
            if done % 500 == 0:
                self._told("files", done, len(blobs))
            data = disk.read(self._root / path)
            if data is None:
                self._find(path, "in the history, but not in the work tree")
            elif blob_id(data) != blob:
                self._find(path, "the work tree differs from the history")
            else:
                try:
                    self._content(path, data)
                except DataInvalid as error:
                    self._find(path, str(error).removeprefix(f"{path}: "))
        self._strays(set(blobs))
        self.report.counts["files"] = len(blobs)
        for name in ("snapshots", "candles", "metrics"):
            self.report.counts[name] = sum(path.startswith(f"{name}/") for path in blobs)

    def records(self) -> None:
        """Check that each record's inputs exist under the digests that it names, back to the first one."""
        for market in self._markets.values():
            market.records.sort(key=lambda pair: pair[1].hour)
            for place, (path, record) in enumerate(market.records):
                before = f"metrics/{record.key}/"
                links = [name for name in record.inputs.files if name.startswith(before)]
                own = f"snapshots/{record.key}/{Hour.parse(record.hour).opens_at:%Y/%m/%d/%H}."
                with_minutes = record.outcome == "analysed" and not record.data_quality.bars_only
                if with_minutes and not any(name.startswith(own) for name in record.inputs.files):
                    self._find(path, "does not name the snapshot of its own hour")
                if bool(place) != (len(links) == 1):
                    self._find(path, f"names {len(links)} earlier records, expected {1 if place else 0}")
                self._check_inputs(path, record.inputs.files)
        for path, kpis in self._kpis.items():
            self._check_inputs(path, kpis.grids)

    def shadows(self) -> None:
        """Check that each shadow names rules that are there, and that it saw the window of its hour.

        The shadow of an hour that was judged again after a quarantine may have seen another window: odd, not
        wrong.
        """
        count = 0
        for market in self._markets.values():
            windows = {record.hour: record.inputs.window_digest for _, record in market.records}
            for path, file in market.shadows:
                count += 1
                if not self._has_config(file.config_hash):
                    self._find(path, f"its configuration {file.config_hash[:19]}... is not in configs/")
                if file.hour not in windows:
                    self._find(
                        path, f"no judgement in {metrics_path(file.key, Hour.parse(file.hour))}", odd=True
                    )
                elif windows[file.hour] != file.window_digest:
                    self._find(path, "it saw another window than the judgement of its hour", odd=True)
        if count:
            self.report.counts["shadow judgements"] = count

    def desk(self) -> None:
        """Check that the desk's hours follow one another, and that what they and the trades name is there."""
        before: DeskFile | None = None
        windows = {
            (key, record.hour): record.inputs.window_digest
            for key, market in self._markets.items()
            for _, record in market.records
        }
        for hour, file in sorted(self._desk.items()):
            path = desk_path(hour)
            if file.after != (None if before is None else before.hour):
                found = "nothing" if before is None else before.hour
                self._find(path, f"it goes on from {file.after}, before it stands {found}")
            if not self._has_config(file.config_hash):
                self._find(path, f"its configuration {file.config_hash[:19]}... is not in configs/")
            for key, seen_market in file.markets.items():
                judged = windows.get((key, file.hour))
                if judged is None:
                    self._find(path, f"no judgement in {metrics_path(key, hour)}", odd=True)
                elif judged != seen_market.window_digest:
                    self._find(path, f"{key}: another window than the judgement's of its hour", odd=True)
            before = file
        seen: dict[str, str] = {}
        for path, trades in self._trades.items():
            for trade in trades:
                if trade.id in seen:
                    self._find(path, f"{trade.id} stands in {seen[trade.id]} too")
                seen[trade.id] = path
                # A fill is stamped with its minute's end: the last one of an hour belongs to that hour.
                ended = Hour.of(parse_instant(trade.exit_at) - timedelta(seconds=1))
                if ended not in self._desk:
                    self._find(path, f"{trade.id} ended in {ended}, no hour of the desk")
        if self._desk:
            self.report.counts["desk hours"] = len(self._desk)
            self.report.counts["trades"] = len(seen)

    def _has_config(self, config_hash: str) -> bool:
        try:
            return config_path(config_hash) in self._model.blobs
        except ValueError:
            return False

    def agreement(self, max_jump: float) -> None:
        """Check what files of one market say about the same time."""
        for key, market in sorted(self._markets.items()):
            self._told("agreement", 0, len(market.hours))
            revised = {Hour.parse(h) for _, r in market.records for h in r.data_quality.revised}
            market.hours.sort(key=lambda hour: hour.name.hour)
            for found in across_files(
                market.hours, market.parts, max_jump=max_jump, revised=frozenset(revised)
            ):
                self.report.findings.append(Finding(found.path, found.problem, found.is_error))
            self.report.counts[f"hours {key}"] = len({hour.name.hour for hour in market.hours})

    def fsck(self) -> None:
        """Let Git check its own objects."""
        self._told("fsck", 0, 1)
        try:
            self._git.run("fsck", "--strict", "--no-dangling", "--no-progress", timeout_s=FSCK_TIMEOUT_S)
        except GitFailed as error:
            for line in error.problem.splitlines()[:20]:
                self._find(".git", f"fsck: {line.strip()}")
        self._told("fsck", 1, 1)

    def _content(self, path: str, data: bytes) -> None:
        snapshot, candles, judged = parse_snapshot(path), parse_candles(path), parse_metrics(path)
        if snapshot:
            decoded = decode_snapshot(data, path, snapshot)
            self._market(snapshot.key).hours.append(columns_of(decoded, snapshot))
            self._digests[path] = {decoded.digest()}
        elif candles:
            part = decode_candles(data, path, candles)
            self._market(candles.key).parts.append((path, part))
            self._digests[path] = {part.digest}
        elif judged:
            self._market(judged[0]).records.append((path, decode_metrics(data, path, judged)))
            self._digests[path] = {digest_of_bytes(data)}
        elif shadow := parse_shadow(path):
            self._market(shadow[0]).shadows.append((path, decode_shadow(data, path, shadow)))
        elif desk_hour := parse_desk(path):
            self._desk[desk_hour] = decode_desk(data, path, desk_hour)
        else:
            self._other_content(path, data)

    def _other_content(self, path: str, data: bytes) -> None:
        """Check what is no hour's own."""
        if decision_of(path):
            check_decision(data, path)
            self._digests[path] = {digest_of_bytes(data)}
        elif path.startswith("calibration/"):
            decode_calibration(data, path)
            self._digests[path] = {digest_of_bytes(data)}
        elif parse_trades(path):
            self._trades[path] = decode_trades(data, path)
        elif path.startswith("kpis/"):
            self._kpis[path] = decode_kpis(data, path)
        elif parse_grid(path):
            if fault := grid_fault(path, data):
                self._find(path, fault)
        elif path.endswith(".yaml") and classify(path) in (Kind.WRITE_ONCE, Kind.APPEND_ONLY):
            yaml_text.load_all(data, path)

    def _check_inputs(self, path: str, files: Mapping[str, str]) -> None:
        for name, digest in files.items():
            if digest not in self._known_digests(name):
                self._find(path, f"its input {name} is nowhere under {digest[:19]}...")

    def _known_digests(self, path: str) -> set[str]:
        """Return each digest that `path` ever had in the history (more than one only after a quarantine)."""
        known = self._digests.get(path, set())
        if len(self._model.contents.get(path, [])) > len(known):
            for blob in self._model.contents[path]:
                known = known | _digests_of(path, self._blob(blob))
            self._digests[path] = known
        return known

    def _strays(self, tracked: set[str]) -> None:
        """Find files in our folders that are in no commit; intents of a running daemon are among them."""
        for folder in ("snapshots", "candles", "metrics", "shadow", "desk", "trades"):
            for base, _, names in os.walk(self._root / folder):
                inside = Path(base).relative_to(self._root).as_posix()
                for name in names:
                    path = f"{inside}/{name}"
                    if path not in tracked:
                        self.report.findings.append(Finding(path, "not committed (yet)", is_error=False))

    def _market(self, key: str) -> _Market:
        return self._markets.setdefault(key, _Market())

    def _blob(self, name: str) -> bytes:
        return self._git.run("cat-file", "blob", name)

    def _find(self, path: str, problem: str, *, odd: bool = False) -> None:
        self.report.findings.append(Finding(path, problem, is_error=not odd))


def _digests_of(path: str, data: bytes) -> set[str]:
    if path.endswith(".yaml"):
        return {digest_of_bytes(data)}
    try:
        return {str(opened(data, path, 1)["digest"])}
    except DataInvalid:
        return set()
