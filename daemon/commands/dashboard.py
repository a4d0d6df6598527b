"""`dashboard`: the records as pages that open offline: an overview, a page a market and day, a span."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from daemon.commands.sharing import (
    ConfigOption,
    FormatOption,
    RepoOption,
    bound_of,
    checked_format,
    fail,
    key_of,
    print_json,
    progress_console,
    settings_of,
)
from dashboard.reading import PageReader
from dashboard.reading.records import Hours, RecordShelf
from dashboard.render import MOST_SPAN, Place, market_page, overview_page
from market.errors import DataInvalid
from market.hours import Hour
from store import disk

INDEX = "index.html"
_MOST_TOLD = 5


def register(app: typer.Typer) -> None:
    app.command()(dashboard)


@dataclass(frozen=True, slots=True)
class _Span:
    """[start, end) in whole hours; None for no bound."""

    start: Hour | None
    end: Hour | None

    def of(self, hours: Hours) -> Hours:
        """Return those of some judged hours that lie in it."""
        first = 0 if self.start is None else int(np.searchsorted(hours, self.start.index))
        until = len(hours) if self.end is None else int(np.searchsorted(hours, self.end.index))
        return hours[first:until]


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is written: days by market, and per market the span as one page where one was named."""

    days: dict[str, list[str]]
    spans: dict[str, tuple[datetime, datetime]]

    def can_link(self, key: str, day: str) -> bool:
        return day in self.days.get(key, ())


def dashboard(
    out: Annotated[Path, typer.Option(help=f"Folder that gets {INDEX} and a folder of pages a market.")],
    key: Annotated[
        list[str] | None, typer.Option(help="Only this market; may be repeated. All recorded if left out.")
    ] = None,
    first: Annotated[
        str | None, typer.Option("--from", help="First hour or day, 2026-02-02T14 or 2026-02-02.")
    ] = None,
    last: Annotated[str | None, typer.Option("--to", help="Hour or day after the last one.")] = None,
    backtest: Annotated[
        Path | None,
        typer.Option(help="result.json of a backtest, or its folder, to show the paper desk beside."),
    ] = None,
    repo: RepoOption = None,
    config: ConfigOption = None,
    form: FormatOption = "table",
) -> None:
    """Make pages of the records: an overview, one of each day and market, with --from or --to the span too.

    Each page is one file that asks for nothing: it opens from the disk and can be mailed. The same records
    give the same bytes; a page is replaced at once, and no other file in the folder is touched.

    Example: regimed dashboard --out pages --key ETH-USDT --from 2026-02-02
    """
    checked_format(form)
    root = (repo or settings_of(config).data_repository.base_path).resolve()
    span = _span(first, last)
    folder = _folder(out, root)
    if backtest is not None and not backtest.exists():
        fail(f"--backtest: {backtest}: no such file; `regimed backtest --out DIR` writes one", 2)
    reader = PageReader(root, _keys(root, key or []), backtest)
    plan = _planned(root, reader, span, sorted(set(key or [])))
    written, left_out = _write(reader, plan, folder)
    if form == "json":
        pages = [str(path) for path in written]
        print_json({"index": str(folder / INDEX), "pages": pages, "left_out": left_out})
    else:
        print(f"written: {folder / INDEX} and {len(written)} pages of {', '.join(plan.days)}")
    if left_out:
        told = "; ".join(f"{path}: {why}" for path, why in list(left_out.items())[:_MOST_TOLD])
        fail(f"pages left out: {len(left_out)}; `regimed verify` says what to do: {told}", 1)


def _span(first: str | None, last: str | None) -> _Span:
    start = None if first is None else bound_of(first, "--from")
    end = None if last is None else bound_of(last, "--to")
    if start is not None and end is not None and start >= end:
        fail(f"--from {start} --to {end}: the first hour must lie before the last", 2)
    return _Span(start, end)


def _folder(out: Path, root: Path) -> Path:
    """Return where pages go: never into the records, where the daemon would find strange files."""
    folder = out.resolve()
    if not root.is_dir():
        fail(f"{root}: no such folder; expected a data repository", 2)
    if folder == root or root in folder.parents:
        fail(f"--out: {out} lies in the data repository {root}; name another folder", 2)
    if folder.exists() and not folder.is_dir():
        fail(f"--out: {out} is a file; expected a folder", 2)
    return folder


def _keys(root: Path, asked: list[str]) -> list[str]:
    """Return the markets asked for, all recorded ones where none is."""
    recorded = sorted(PageReader(root, ()).markets())
    if not recorded:
        fail(f"{root}: no market is recorded yet; `regimed run` or `regimed demo` records some", 2)
    unknown = [each for each in map(key_of, asked) if each not in recorded]
    if unknown:
        fail(f"--key: {unknown[0]} is not recorded in {root}; recorded: {', '.join(recorded[:20])}", 2)
    return sorted(set(asked)) or recorded


def _planned(root: Path, reader: PageReader, span: _Span, asked: list[str]) -> _Plan:
    days, spans, shelf = {}, {}, RecordShelf(root)
    for key in sorted(reader.markets()):
        judged = shelf.judged(key)
        if not len(judged):
            if key in asked:
                fail(f"{key}: no judged hour in {root}", 2)
            continue
        chosen = span.of(judged)
        if not len(chosen):
            if key in asked:
                first, last = Hour(int(judged[0])), Hour(int(judged[-1]))
                fail(f"{key}: no judged hour there; judged are {first} to {last}", 2)
            continue
        days[key] = [f"{Hour(24 * int(day)).opens_at:%Y-%m-%d}" for day in np.unique(chosen // 24)]
        if span != _Span(None, None):
            start = (span.start or Hour.parse(f"{days[key][0]}T00")).opens_at
            end = (span.end or Hour(int(judged[-1]) + 1)).opens_at
            if end - start > MOST_SPAN:
                fail(f"--from --to: a page shows {MOST_SPAN.days} days at most; name a shorter span", 2)
            spans[key] = (start, end)
    if not days:
        fail(f"{root}: no market has a judged hour there; leave --from and --to out for all there are", 2)
    return _Plan(days, spans)


def _write(reader: PageReader, plan: _Plan, folder: Path) -> tuple[list[Path], dict[str, str]]:
    """Write every page, each at once; returns where they are, and why which ones could not be made."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    total = sum(map(len, plan.days.values())) + len(plan.spans)
    written: list[Path] = []
    left_out: dict[str, str] = {}
    try:
        with Progress(*columns, console=progress_console()) as bar:
            task = bar.add_task("pages", total=total)
            for path, made in _pages(reader, plan):
                if isinstance(made, DataInvalid):
                    left_out[path] = made.problem
                else:
                    _put(folder / path, made)
                    written.append(folder / path)
                bar.update(task, completed=len(set(written)) + len(left_out))
        overview = overview_page(reader.overview(), Place(is_live=False, can_link=plan.can_link))
        _put(folder / INDEX, overview)  # last: what it links to is there
    except OSError as error:
        done = f"{len(set(written))} of {total} pages are written"
        fail(f"--out: {error.filename or folder}: {error.strerror}; {done}", 3)
    return list(dict.fromkeys(written)), left_out


def _pages(reader: PageReader, plan: _Plan) -> Iterator[tuple[str, str | DataInvalid]]:
    """Yield every page by its path, or what keeps it from being made; a page whose link broke comes again."""
    place = Place(is_live=False, root="../", can_link=plan.can_link)

    def of_day(key: str, day: str) -> str:
        return market_page(reader.day(key, datetime.fromisoformat(day).date()), place)

    for key, days in plan.days.items():
        before = None
        for day in list(days):
            try:
                yield f"{key}/{day}.html", of_day(key, day)
                before = day
            except DataInvalid as error:
                days.remove(day)
                yield f"{key}/{day}.html", error
                if before is not None:  # it led to this day
                    yield f"{key}/{before}.html", of_day(key, before)
        if key in plan.spans:
            start, end = plan.spans[key]
            path = f"{key}/{_named(start)}_{_named(end)}.html"
            try:
                yield path, market_page(reader.market(key, start, end), place)
            except DataInvalid as error:
                yield path, error


def _named(instant: datetime) -> str:
    return f"{instant:%Y-%m-%d}" if instant.hour == 0 else f"{instant:%Y-%m-%dT%H}"


def _put(path: Path, page: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    disk.replace_synced(path, page.encode(), path.with_name(f".{path.name}.part"))
