"""Looking back: `kpis`, how well exits and stops did over any period, or as a day's record told it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from daemon.clock import WallClock
from daemon.commands.sharing import (
    ConfigOption,
    FormatOption,
    RepoOption,
    checked_format,
    console,
    day_named,
    fail,
    print_json,
    settings_of,
)
from decisions.episodes import Episode
from decisions.kpi_targets import KpisConfig
from decisions.kpis import KpiReport
from decisions.kpis import kpis as measure
from decisions.realised import OutcomesConfig
from market.hours import Timeframe
from regime.config import RegimeConfig
from store.episodes import answered_between, episodes_of
from store.grids import GridShelf
from store.inputs import ReadOnlyStore
from store.kpi_files import decode_kpis, kpis_path, newest_day
from store.ledger import Ledger
from store.minutes import MinuteShelf


def register(app: typer.Typer) -> None:
    app.command()(kpis)


def kpis(
    first: Annotated[str | None, typer.Option("--from", help="First day, 2026-02-02.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Day after the last one.")] = None,
    day: Annotated[
        str | None, typer.Option("--day", help="The record of this day, 2026-02-02, as it was written.")
    ] = None,
    repo: RepoOption = None,
    config: ConfigOption = None,
    form: FormatOption = "table",
) -> None:
    """Measure how well exits and stops did: avoided stop-losses, false exits, reaction times, alerts.

    Over the whole record if no day is named; --day shows what was recorded at the end of that day. Fewer
    than 10 cases are insufficient, and nothing is 0 for want of cases.

    Example: regimed kpis --from 2026-02-01 --to 2026-03-01
    """
    checked_format(form)
    if day is not None:
        if first is not None or last is not None:
            fail("--day names one day's record; leave --from and --to out", 2)
        _show_day(repo or settings_of(config).data_repository.base_path, day_named(day, "--day"), form)
        return
    settings = None if repo is not None and config is None else settings_of(config)
    root = repo if repo is not None else settings_of(config).data_repository.base_path
    report = kpis_of(
        root,
        None if first is None else day_named(first, "--from"),
        None if last is None else day_named(last, "--to"),
        KpisConfig() if settings is None else settings.kpis,
        OutcomesConfig() if settings is None else settings.outcomes,
    )
    if form == "json":
        print_json(report.as_record())
        return
    out = console()
    out.print(f"{report.start:%Y-%m-%d %H:%M} to {report.end:%Y-%m-%d %H:%M} UTC")
    out.print(kpi_table({row.name: row.as_record() for row in report.kpis}))


def _show_day(root: Path, day: datetime, form: str) -> None:
    path = kpis_path(day)
    if not (root / path).is_file():
        newest = newest_day(root)
        told = "none is written yet" if newest is None else f"the newest is of {newest:%Y-%m-%d}"
        fail(f"{root}: no record of {day:%Y-%m-%d}; {told}", 1)
    file = decode_kpis((root / path).read_bytes(), path)
    if form == "json":
        print_json(file.model_dump(mode="json", by_alias=True))
        return
    out = console()
    for period in (file.trailing, file.day):
        out.print(f"{period.start} to {period.end}, as known on {file.known_at}")
        figures = {**period.kpis, **period.alert_budget}
        out.print(kpi_table({name: figure.model_dump() for name, figure in figures.items()}))
        still = ", ".join(f"{count} {name}" for name, count in period.open.items() if count)
        out.print(f"still open: {still or 'nothing'}")


def kpi_table(figures: Mapping[str, Mapping[str, Any]]) -> Table:
    """Return KPIs by name, each with its interval, n, target and note."""
    table = Table("KPI", "value", "95 %", "n", "target", "stretch", "note", box=None, pad_edge=False)
    for name, row in figures.items():
        table.add_row(
            name,
            _number(row["value"]),
            "-" if row["low"] is None else f"{row['low']:.2f} to {row['high']:.2f}",
            str(row["n"]),
            _number(row["target"]),
            _number(row["stretch"]),
            row["note"],
        )
    return table


def kpis_of(
    root: Path,
    start: datetime | None,
    end: datetime | None,
    config: KpisConfig,
    outcomes: OutcomesConfig,
) -> KpiReport:
    """Return the KPIs of a repository, over its whole record where no bounds are given."""
    episodes = episodes_in(root, config, outcomes)
    if not episodes:
        fail(f"{root}: no grid ever ran; there is nothing to measure", 1)
    began = start or min(episode.started_at for episode in episodes)
    ledger = Ledger(root)
    newest = (ledger.newest_judged(record.market) for record in GridShelf(root).records().values())
    ended = end or max(hour.closes_at for hour in newest if hour is not None)
    if began >= ended:
        fail(f"--from {began:%Y-%m-%d} --to {ended:%Y-%m-%d}: the first day must lie before the last", 2)
    advice = [each.advice for each in answered_between(root, began, ended)]
    return measure(episodes, advice, began, ended, config)


def episodes_in(root: Path, config: KpisConfig, outcomes: OutcomesConfig) -> list[Episode]:
    """Return every run of every grid of a repository, labelled."""
    store = ReadOnlyStore(root, max_missing_minutes=outcomes.tolerated_missing_minutes, timeframes=_SPANS)
    shelf, episodes = MinuteShelf(root), list[Episode]()
    now = WallClock().now()
    for record in GridShelf(root).records().values():
        newest = store.ledger.newest_judged(record.market)
        if newest is None:
            continue
        window = store.reader.load_window(record.market, newest, _SPANS, max(now, newest.closes_at))
        episodes += episodes_of(root, record, window, shelf, config, outcomes.tolerated_missing_minutes)
    return episodes


_SPANS = {Timeframe.H1: RegimeConfig().history.days(Timeframe.H1)}


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
