"""What reads: `analyze`, `verify`. Never takes the lock."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

from daemon.clock import WallClock
from daemon.commands.sharing import (
    ConfigOption,
    Finding,
    FormatOption,
    RepoOption,
    checked_format,
    console,
    fail,
    hour_of,
    print_json,
    progress_console,
    settings_of,
)
from daemon.settings import CollectionSettings
from decisions.evaluate import Evaluation, HourInputs, Policy, evaluate
from market.errors import DataInvalid
from market.hours import Hour, hours_between
from market.keys import checked_key
from regime.config import RegimeConfig
from regime.engine import RegimeEngine
from store import yaml_text
from store.inputs import ReadOnlyStore
from store.paths import config_path, metrics_path
from store.recorded import RecordedMarket, choose_markets, parse_name
from store.recorded_windows import RecordedWindows
from store.records import encode_metrics, metrics_file
from store.verify import verify as verify_repository


def register(app: typer.Typer) -> None:
    app.command()(analyze)
    app.command()(verify)


def analyze(
    key: Annotated[str, typer.Argument(help="Market key, for example ETH-USDT.")],
    hour: Annotated[str | None, typer.Option(help="One hour, for example 2026-02-02T14.")] = None,
    first: Annotated[
        str | None, typer.Option("--from", help="First hour; the first recorded one if left out.")
    ] = None,
    last: Annotated[str | None, typer.Option("--to", help="Hour after the last one.")] = None,
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
    try:
        checked_key(key)
    except ValueError as error:
        fail(str(error), 2)
    if as_of not in (None, "now"):
        fail(f"--as-of: {as_of!r}; expected now, or nothing for each hour's own time", 2)
    span = _span(hour, first, last)
    if data is not None:
        rows = _from_recorded(key, data, window, span, _regime_of(config))
    else:
        root = repo or settings_of(config).data_repository.base_path
        rows = _from_repository(key, root, span, config, everything=as_of == "now")
    if as_of == "now":
        print("regimed: --as-of now: files collected later than the records count too", file=sys.stderr)
    _print_rows(list(rows), form)


def _span(hour: str | None, first: str | None, last: str | None) -> tuple[Hour | None, Hour | None]:
    if hour is not None:
        if first or last:
            fail("--hour names one hour; leave --from and --to out", 2)
        one = hour_of(hour, "--hour")
        return one, one.plus(1)
    start = None if first is None else hour_of(first, "--from")
    end = None if last is None else hour_of(last, "--to")
    if start is not None and end is not None and start >= end:
        fail(f"--from {start} --to {end}: the first hour must lie before the last", 2)
    return start, end


def _regime_of(config: Path | None) -> RegimeConfig:
    return RegimeConfig() if config is None else settings_of(config).regime


def _from_repository(
    key: str, root: Path, span: tuple[Hour | None, Hour | None], config: Path | None, *, everything: bool
) -> Iterator[dict[str, Any]]:
    """Yield one row an hour; the policy is the one that the record names, or `config` where it is given."""
    policies = _Policies(root, config)
    files = ReadOnlyStore(
        root, max_missing_minutes=policies.default.max_missing_minutes, timeframes=policies.timeframes
    )
    recorded = files.ledger.judged_hours(key)
    start = span[0] or (recorded[0] if recorded else None)
    end = span[1] or (recorded[-1].plus(1) if recorded else None)
    if start is None or end is None:
        fail(f"{root}: no judged hour of {key}; name --from and --to", 2)
    as_of = WallClock().now() if everything else None
    for inputs in files.read_inputs(key, hours_between(start, end), as_of):
        record = None if everything else files.inputs.record(key, inputs.hour)
        evaluation = evaluate(inputs, policies.named(None if record is None else record.config_hash))
        yield _row(evaluation, _compared(root, evaluation) if record is not None else "not recorded")


class _Policies:
    """Policies by the hash that a record names, read from `configs/` of the repository."""

    def __init__(self, root: Path, config: Path | None) -> None:
        self._root, self._forced = root, config is not None
        if config is not None:
            settings = settings_of(config)
            regime, most_missing = settings.regime, settings.collection.max_missing_minutes
            name = settings.config_hash()
        else:
            regime, most_missing, name = RegimeConfig(), CollectionSettings().max_missing_minutes, "default"
        engine = RegimeEngine(regime)
        self.default = Policy(name, engine, most_missing)
        self.timeframes = engine.timeframes()
        self._known: dict[str, Policy] = {}

    def named(self, config_hash: str | None) -> Policy:
        if self._forced or config_hash is None:
            return self.default
        if config_hash not in self._known:
            path = config_path(config_hash)
            try:
                rules = yaml_text.load((self._root / path).read_bytes(), path)
                regime = RegimeConfig.model_validate(rules["regime"])
                collection = CollectionSettings.model_validate(rules["collection"])
            except (FileNotFoundError, KeyError, TypeError, ValueError) as error:
                raise DataInvalid(
                    path, "", f"the configuration that a record names is not usable: {error}"
                ) from None
            self._known[config_hash] = Policy(
                config_hash, RegimeEngine(regime), collection.max_missing_minutes
            )
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
) -> Iterator[dict[str, Any]]:
    """Yield one row an hour of recorded candles; hours that only coarse bars cover are marked `bars_only`."""
    engine = RegimeEngine(regime)
    if not data.exists():
        fail(f"--data: {data}: no such file or folder", 2)
    windows = RecordedWindows(_recorded_market(key, data, window), engine.timeframes())
    policy = Policy("recorded", engine, CollectionSettings().max_missing_minutes)
    start, end = windows.hours
    for hour in hours_between(span[0] or start, span[1] or end):
        market_window = windows.window(hour)
        inputs = HourInputs(
            key, hour, hour.closes_at, market_window, files={}, summary=None, has_bar=windows.has(hour)
        )
        yield _row(evaluate(inputs, policy), "recorded candles")


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


def _print_rows(rows: list[dict[str, Any]], form: str) -> None:
    if form == "json":
        print_json(rows)
    else:
        _table(rows)
    if any(row["compared"].startswith("differs") for row in rows):
        raise Finding(1)


def _table(rows: Iterable[dict[str, Any]]) -> None:
    table = Table("hour", "verdict", "p", "T", "range", "record", box=None, pad_edge=False)
    counts: dict[str, int] = {}
    for row in rows:
        counts[row["compared"].split(":")[0]] = counts.get(row["compared"].split(":")[0], 0) + 1
        found = row["record"]["regime_analysis"]
        if row["verdict"] is None:
            table.add_row(row["hour"], row["outcome"], "", "", row["reason"] or "", row["compared"])
            continue
        bounds = f"[{found['range']['lower']:g}, {found['range']['upper']:g}]"
        mark = " bars_only" if row["bars_only"] else ""
        p, t = found["hold_probability"], found["T"]
        table.add_row(
            row["hour"] + mark,
            row["verdict"],
            "-" if p is None else f"{p:.2f}",
            "-" if t is None else f"{t:.2f}",
            bounds,
            row["compared"],
        )
    out = console()
    out.print(table)
    out.print(", ".join(f"{count} hours {word}" for word, count in counts.items()))


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
    root = repo or settings_of(config).data_repository.base_path
    columns = (TextColumn("{task.description}"), BarColumn())
    with Progress(*columns, console=progress_console()) as bar:
        task = bar.add_task("verify", total=None)

        def told(stage: str, done: int, total: int) -> None:
            bar.update(task, description=f"verify {stage}", completed=done, total=total)

        report = verify_repository(root, progress=told)
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
