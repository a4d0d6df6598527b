"""What reads: `analyze`, `verify`. Never takes the lock."""

from __future__ import annotations

import difflib
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import orjson
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from daemon.clock import WallClock
from daemon.commands.sharing import (
    ConfigOption,
    Finding,
    FormatOption,
    RepoOption,
    bound_of,
    checked_format,
    console,
    fail,
    hour_of,
    key_of,
    print_json,
    progress_console,
    settings_of,
)
from daemon.settings import CollectionSettings, policy_of_repository
from daemon.windows import RecordedHours, RepositoryHours
from decisions.evaluate import Evaluation, evaluate
from decisions.inputs import HourInputs, Policy
from market.hours import Hour
from regime.config import RegimeConfig
from regime.engine import RegimeEngine
from regime.service import BadHour, RangeSummary, RegimeAnalysisService
from store.paths import metrics_path
from store.recorded import RecordedMarket, choose_markets, parse_name
from store.recorded_windows import RecordedWindows
from store.records import MetricsFile, encode_metrics, metrics_file
from store.verify import verify as verify_repository


def register(app: typer.Typer) -> None:
    app.command()(analyze)
    app.command()(verify)


def analyze(
    key: Annotated[str, typer.Argument(help="Market key, for example ETH-USDT.")],
    hour: Annotated[str | None, typer.Option(help="One hour, for example 2026-02-02T14.")] = None,
    first: Annotated[
        str | None, typer.Option("--from", help="First hour or day; the first recorded one if left out.")
    ] = None,
    last: Annotated[str | None, typer.Option("--to", help="Hour after the last one, or a day.")] = None,
    repo: RepoOption = None,
    data: Annotated[
        Path | None, typer.Option(help="Recorded candles: a file or a folder, no repository.")
    ] = None,
    window: Annotated[str | None, typer.Option(help="Another recorded window, for example 2024AUG.")] = None,
    as_of: Annotated[str | None, typer.Option(help="`now` uses everything that is known now.")] = None,
    config: ConfigOption = None,
    form: FormatOption = "table",
) -> None:
    """Judge hours from snapshots, and compare with what was recorded, byte by byte.

    Each hour is judged as known when it was recorded, by the configuration that its record names. Exit code 1
    where a record differs.

    Example: regimed analyze ETH-USDT --from 2026-02-02T00 --to 2026-02-03T00
    """
    checked_format(form)
    key_of(key)
    if as_of not in (None, "now"):
        fail(f"--as-of: {as_of!r}; expected now, or nothing for each hour's own time", 2)
    span = _span(hour, first, last)
    if data is not None:
        asked = _from_recorded(key, data, window, span, _regime_of(config))
    else:
        root = repo or settings_of(config).data_repository.base_path
        asked = _from_repository(key, root, span, config, everything=as_of == "now")
    if as_of == "now":
        print("regimed: --as-of now: files collected later than the records count too", file=sys.stderr)
    _print_judged(key, asked, form)


class _Asked(NamedTuple):
    """What `analyze` was asked for: by whom, which hours, and what each is compared with."""

    service: RegimeAnalysisService[HourInputs, Evaluation]
    start: Hour
    end: Hour
    compared: Callable[[Evaluation], str]


def _span(hour: str | None, first: str | None, last: str | None) -> tuple[Hour | None, Hour | None]:
    if hour is not None:
        if first or last:
            fail("--hour names one hour; leave --from and --to out", 2)
        one = hour_of(hour, "--hour")
        return one, one.plus(1)
    start = None if first is None else bound_of(first, "--from")
    end = None if last is None else bound_of(last, "--to")
    if start is not None and end is not None and start >= end:
        fail(f"--from {start} --to {end}: the first hour must lie before the last", 2)
    return start, end


def _regime_of(config: Path | None) -> RegimeConfig:
    return RegimeConfig() if config is None else settings_of(config).regime


def _from_repository(
    key: str, root: Path, span: tuple[Hour | None, Hour | None], config: Path | None, *, everything: bool
) -> _Asked:
    """Return the hours of a repository; the policy is the one that a record names, or `config` if given."""
    policies = Policies(root, config)
    source = RepositoryHours(
        root,
        max_missing_minutes=policies.default.max_missing_minutes,
        timeframes=policies.timeframes,
        as_of=WallClock().now() if everything else None,
    )
    recorded = source.judged_hours(key)
    start = span[0] or (recorded[0] if recorded else None)
    end = span[1] or (recorded[-1].plus(1) if recorded else None)
    if start is None or end is None:
        fail(f"{root}: no judged hour of {key}; name --from and --to", 2)

    def record_of(inputs: HourInputs) -> MetricsFile | None:
        return None if everything else source.record(key, inputs.hour)

    def judge(inputs: HourInputs) -> Evaluation:
        record = record_of(inputs)
        return evaluate(inputs, policies.named(None if record is None else record.config_hash))

    def compared(evaluation: Evaluation) -> str:
        return "not recorded" if record_of(evaluation.inputs) is None else _compared(root, evaluation)

    return _Asked(RegimeAnalysisService(source, judge), start, end, compared)


class Policies:
    """Policies by the hash that a record names, read from `configs/` of the repository."""

    def __init__(self, root: Path, config: Path | None) -> None:
        self._root, self._forced = root, config is not None
        self.default = (
            Policy("default", RegimeEngine(RegimeConfig()), CollectionSettings().max_missing_minutes)
            if config is None
            else settings_of(config).policy()
        )
        self.timeframes = RegimeEngine(self.default.engine.config).timeframes()
        self._known: dict[str, Policy] = {}

    def named(self, config_hash: str | None) -> Policy:
        if self._forced or config_hash is None:
            return self.default
        if config_hash not in self._known:
            self._known[config_hash] = policy_of_repository(self._root, config_hash)
        return self._known[config_hash]


def _compared(root: Path, evaluation: Evaluation) -> str:
    """Return `identical`, or the first line that differs."""
    path = metrics_path(evaluation.inputs.key, evaluation.inputs.hour)
    recorded, now = (root / path).read_bytes(), encode_metrics(metrics_file(evaluation))
    if recorded == now:
        return "identical"
    lines = difflib.unified_diff(recorded.decode().splitlines(), now.decode().splitlines(), n=0, lineterm="")
    changed = [line for line in lines if line[:1] in "+-" and line[:3] not in ("+++", "---")]
    return "differs: " + " ".join(changed[:2])


def _from_recorded(
    key: str, data: Path, window: str | None, span: tuple[Hour | None, Hour | None], regime: RegimeConfig
) -> _Asked:
    """Return the hours of recorded candles; those that only coarse bars cover are marked `bars_only`."""
    engine = RegimeEngine(regime)
    if not data.exists():
        fail(f"--data: {data}: no such file or folder", 2)
    windows = RecordedWindows(_recorded_market(key, data, window), engine.timeframes())
    policy = Policy("recorded", engine, CollectionSettings().max_missing_minutes)
    start, end = windows.hours
    service = RegimeAnalysisService(RecordedHours({key: windows}), lambda inputs: evaluate(inputs, policy))
    return _Asked(service, span[0] or start, span[1] or end, lambda _: "recorded candles")


def _recorded_market(key: str, data: Path, window: str | None) -> RecordedMarket:
    if data.is_dir():
        return choose_markets(data, 1, window, symbols=[key]).markets[0]
    named = parse_name(data)
    if named is None:
        fail(f"--data: {data.name}: the name must say EXCHANGE_SYMBOL_TIMEFRAME.parquet", 2)
    if named.symbol != key:
        fail(f"--data: {data.name} holds {named.symbol}, not {key}", 2)
    return RecordedMarket(named.exchange, named.symbol, {named.timeframe: data})


def _row(evaluation: Evaluation, compared: str) -> dict[str, Any]:
    """Return one hour for table and JSON; the record as it is, or would be, written."""
    found = evaluation.analysis
    return {
        "hour": str(evaluation.inputs.hour),
        "verdict": None if found is None else found.verdict.value,
        "hold_probability": None if found is None else found.hold_probability,
        "outcome": evaluation.outcome,
        "reason": evaluation.reason,
        "bars_only": evaluation.inputs.window.quality.bars_only,
        "compared": compared,
        "record": metrics_file(evaluation).model_dump(mode="json", by_alias=True),
    }


def _bad_row(found: BadHour) -> dict[str, Any]:
    return {
        "hour": str(found.hour),
        "verdict": None,
        "hold_probability": None,
        "outcome": "bad",
        "reason": found.reason,
        "bars_only": False,
        "compared": "could not be read",
        "record": None,
    }


def _print_judged(key: str, asked: _Asked, form: str) -> None:
    """Judge the hours and print them, the summary last; bad hours and differing records end with code 1."""
    total = max(asked.end.index - asked.start.index, 0)
    compared: Counter[str] = Counter()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=progress_console()) as bar:
        task = bar.add_task(f"analyze {key}", total=total)
        judged = asked.service.analyze_range(
            key, asked.start, asked.end, lambda done, _: bar.update(task, completed=done)
        )

        def rows() -> Iterator[dict[str, Any]]:
            for found in judged:
                row = _bad_row(found) if isinstance(found, BadHour) else _row(found, asked.compared(found))
                compared[row["compared"].split(":")[0]] += 1
                yield row

        if form == "json":
            _print_json_list(rows())
        else:
            table = _table(rows())
    if form == "table":
        out = console()
        out.print(table)
        out.print(", ".join(f"{count} hours {word}" for word, count in compared.items()))
    for line in _summary_lines(judged.summary):
        print(line, file=sys.stdout if form == "table" else sys.stderr)
    if judged.summary.bad or compared["differs"]:
        raise Finding(1)


def _print_json_list(rows: Iterable[dict[str, Any]]) -> None:
    """Print a JSON list on stdout, row by row, so that a long range is never held whole."""
    out = sys.stdout.buffer
    before = b"[\n"
    for row in rows:
        out.write(before + orjson.dumps([row], option=orjson.OPT_INDENT_2)[2:-2])
        before = b",\n"
    out.write(b"\n]\n" if before == b",\n" else b"[]\n")
    out.flush()


def _table(rows: Iterable[dict[str, Any]]) -> Table:
    table = Table("hour", "verdict", "p", "T", "range", "3-D regime", "record", box=None, pad_edge=False)
    for row in rows:
        if row["verdict"] is None:
            table.add_row(row["hour"], row["outcome"], "", "", row["reason"] or "", "", row["compared"])
            continue
        found = row["record"]["regime_analysis"]
        p, t, components = found["hold_probability"], found["T"], found["components"]
        table.add_row(
            row["hour"] + (" bars_only" if row["bars_only"] else ""),
            row["verdict"],
            "-" if p is None else f"{p:.2f}",
            "-" if t is None else f"{t:.2f}",
            f"[{found['range']['lower']:g}, {found['range']['upper']:g}]",
            "-"
            if components is None
            else f"{components['simplified_regime']} {components['confidence']:.2f}",
            row["compared"],
        )
    return table


def _summary_lines(found: RangeSummary) -> list[str]:
    """Return the summary as lines, bad hours by name."""
    counts = [(found.analysed, "analysed"), (found.insufficient, "insufficient"), (found.no_data, "no data")]
    told = [f"{count} {word}" for count, word in [*counts, (len(found.bad), "bad")] if count]
    lines = [
        f"{found.hours} {'hour' if found.hours == 1 else 'hours'}: {', '.join(told) or 'none asked for'}"
    ]
    if found.analysed:
        verdicts = ", ".join(
            f"{verdict.value} {count} ({count / found.analysed:.0%})"
            for verdict, count in found.by_verdict.items()
            if count
        )
        dwell = (
            "no verdict began and ended"
            if found.dwell_median_h is None
            else (f"median dwell {found.dwell_median_h:g} h")
        )
        lines.append(f"{verdicts}; {found.flips} flips, {dwell}, mean p {found.mean_hold_probability:.2f}")
    return lines + [f"bad: {each.key} {each.hour}: {each.reason}" for each in found.bad]


def verify(
    repo: RepoOption = None,
    config: ConfigOption = None,
    form: FormatOption = "table",
) -> None:
    """Check everything: each record and digest, the whole history, hours lost or doubled, git fsck.

    Exit code 1 where something was found.

    Example: regimed verify --repo data
    """
    checked_format(form)
    repository = None if repo is not None else settings_of(config).data_repository
    root = repo if repository is None else repository.base_path
    branch = "main" if repository is None else repository.branch
    assert root is not None
    columns = (TextColumn("{task.description}"), BarColumn())
    with Progress(*columns, console=progress_console()) as bar:
        task = bar.add_task("verify", total=None)

        def told(stage: str, done: int, total: int) -> None:
            bar.update(task, description=f"verify {stage}", completed=done, total=total)

        report = verify_repository(root, branch=branch, progress=told)
    errors = [finding for finding in report.findings if finding.is_error]
    if form == "json":
        print_json(
            {"ok": report.ok, "findings": [asdict(f) for f in report.findings], "counts": report.counts}
        )
    else:
        for finding in report.findings:
            print(f"{'error' if finding.is_error else 'odd'}: {finding.path}: {finding.problem}")
        counts = ", ".join(f"{count} {name}" for name, count in report.counts.items())
        print(f"{root}: {len(errors)} errors, {len(report.findings) - len(errors)} oddities; {counts}")
    if not report.ok:
        raise Finding(1)
