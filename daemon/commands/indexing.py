"""`regimed index`: the derived index of regimes, made anew, checked against the files, migrated."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from daemon.clock import WallClock
from daemon.commands.sharing import (
    ConfigOption,
    Finding,
    FormatOption,
    checked_format,
    fail,
    print_json,
    progress_console,
    settings_of,
)
from daemon.index_check import index_findings
from daemon.indexing import Filling, IndexKeeper
from daemon.settings import Settings
from market.errors import IndexUnavailable
from regime.engine import RegimeEngine
from store.commits import CommittedChanges
from store.index.regime_index import RegimeIndex
from store.regime_rows import RepositoryRegimes, market_keys

index_app = typer.Typer(help="The derived index of regimes: rebuild, check, migrate.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    app.add_typer(index_app, name="index")


@index_app.command()
def rebuild(
    resume: Annotated[
        bool, typer.Option("--resume", help="Keep what is current; go on where a rebuild was interrupted.")
    ] = False,
    config: ConfigOption = None,
    form: FormatOption = "table",
) -> None:
    """Make the whole index anew from the data repository; a running daemon goes on meanwhile.

    Example: regimed index rebuild --config config.yaml
    """
    checked_format(form)
    settings = settings_of(config)
    regimes, changes = _regimes(settings), _changes(settings)
    if changes.head() is None:
        fail(f"{regimes.root}: no data repository with a commit; a first cycle makes one", 3)
    with _alone(settings), _opened(settings) as index:
        dropped = 0
        if not resume:
            dropped = sum(index.delete_regimes(key) for key in {key for key, _ in index.states()})
        engine, rules = RegimeEngine(settings.regime), settings.regime_rules()
        keeper = IndexKeeper(lambda: index, regimes, engine, rules, changes, WallClock().now)
        with _progress("hours") as told:
            done = keeper.catch_up(told)
    with _opened(settings, create=False) as index:  # closed once, so that nothing waits in a log beside it
        size = index.size_bytes()
    if form == "json":
        markets = len(market_keys(regimes.root))
        told_of = {"rows": done.rows, "dropped": dropped, "markets": markets, "bytes": size}
        print_json({**told_of, "faults": done.faults})
    else:
        print(f"{done.rows} rows written, {dropped} dropped before, {size} bytes now")
        for fault in done.faults:
            print(f"left out: {fault}")


@index_app.command()
def check(config: ConfigOption = None, form: FormatOption = "table") -> None:
    """Compare every row with what the files give today; exit code 1 where anything differs.

    Example: regimed index check --config config.yaml
    """
    checked_format(form)
    settings = settings_of(config)
    regimes, changes = _regimes(settings), _changes(settings)
    with _opened(settings, create=False) as index, _progress("hours") as told:
        findings = index_findings(index, regimes, settings.regime_rules(), changes, told)
        series, rows = len(index.states()), sum(state.counts.rows for state in index.states().values())
    if form == "json":
        print_json({"series": series, "rows": rows, "findings": findings})
    else:
        print(f"{rows} rows in {series} series, {len(findings)} findings")
        for line in findings:
            print(line)
    if findings:
        raise Finding(1)


@index_app.command()
def migrate(config: ConfigOption = None) -> None:
    """Bring the tables of the index to what this program expects.

    Example: regimed index migrate --config config.yaml
    """
    settings = settings_of(config)
    with _alone(settings), _opened(settings, migrating=True) as index:
        applied = index.migrate()
    for name in applied:
        print(f"applied {name}")
    print(f"{index.engine}: {'its tables are made' if applied else 'nothing to do'}")


@contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    """Hold the right to fill for the block; before it nothing of the index is touched."""
    with Filling(settings.state_path).at_once() as ours:
        if not ours:
            fail("the daemon or another rebuild fills the index right now; try again in a minute", 3)
        yield


@contextmanager
def _opened(settings: Settings, *, create: bool = True, migrating: bool = False) -> Iterator[RegimeIndex]:
    try:
        index = RegimeIndex.open(settings.index_url(), create=create, migrating=migrating)
        try:
            yield index
        finally:
            index.close()
    except IndexUnavailable as error:
        fail(str(error), 3)


def _regimes(settings: Settings) -> RepositoryRegimes:
    root = settings.data_repository.base_path
    if not root.is_dir():
        fail(f"{root}: no such folder; expected the data repository", 2)
    return RepositoryRegimes(
        root,
        RegimeEngine(settings.regime),
        max_missing_minutes=settings.collection.max_missing_minutes,
        cache_bytes=256_000_000,
    )


def _changes(settings: Settings) -> CommittedChanges:
    return CommittedChanges(settings.data_repository.base_path)


@contextmanager
def _progress(what: str) -> Iterator[Callable[[str, int, int], None]]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=progress_console()) as bar:
        task = bar.add_task(what, total=None)

        def told(key: str, done: int, whole: int) -> None:
            bar.update(task, description=f"{key} {what}", completed=done, total=whole)

        yield told
