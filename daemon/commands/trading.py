"""Paper trading on the command line: `why`, `gate`."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import asdict
from itertools import chain, islice
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

from daemon.commands.sharing import (
    ConfigOption,
    Finding,
    FormatOption,
    RepoOption,
    checked_format,
    console,
    fail,
    print_json,
    progress_console,
    settings_of,
)
from daemon.gate import gate_report, quote
from daemon.gate_backtests import results_in
from daemon.why import as_json, entry_hour, open_trades, told, told_open
from store.trade_files import trades_of
from trading.trades import TradeRecord

LISTED = 20


def register(app: typer.Typer) -> None:
    app.command()(why)
    app.command()(gate)


def why(
    trade: Annotated[
        str | None, typer.Argument(metavar="TRADE", help="A trade's id; the last trades when left out.")
    ] = None,
    repo: RepoOption = None,
    config: ConfigOption = None,
    form: FormatOption = "table",
) -> None:
    """Tell why a trade was entered, why this size, price and route, what it cost and why it ended.

    Example: regimed why trade-ETH-USDT-20260202T14-momentum
    """
    checked_format(form)
    root = repo or settings_of(config).data_repository.base_path
    if not root.is_dir():
        fail(f"{root}: no such folder; name a data repository", 2)
    if trade is None:
        _show_last(list(islice(trades_of(root), LISTED)), root, form)
        return
    found = next((each for each in trades_of(root) if each.id == trade), None)
    if found is None:
        _show_open(root, trade, form)
        return
    entry = entry_hour(root, found)
    if form == "json":
        print_json(as_json(orjson.loads(found.as_line()), entry))
        return
    for line in told(found, entry):
        print(line)


def _show_open(root: Path, name: str, form: str) -> None:
    """Tell a trade that is open still; where there is none of this name either, say which come near it."""
    found = {position.plan.id: position for position in open_trades(root)}
    if name not in found:
        fail(_nearest(root, name, list(found)), 1)
    position = found[name]
    entry = entry_hour(root, position.plan)
    if form == "json":
        print_json(as_json(asdict(position), entry))
        return
    for line in told_open(position, entry):
        print(line)


def _nearest(root: Path, name: str, open_: list[str]) -> str:
    known = [*open_, *(each.id for each in trades_of(root))]
    if not known:
        return f"no trade {name!r}: {root} has none yet"
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.0)
    return f"no trade {name!r}; the nearest: {', '.join(near)}"


def _show_last(trades: Sequence[TradeRecord], root: Path, form: str) -> None:
    if form == "json":
        print_json([orjson.loads(each.as_line()) for each in trades])
        return
    if not trades:
        print(f"{root} has no closed trade yet")
        return
    table = Table(
        "trade", "signal", "regime", "exit at", "held h", "net", "R", "ended by", box=None, pad_edge=False
    )
    for each in trades:
        table.add_row(
            each.id,
            each.signal,
            each.regime,
            each.exit_at,
            f"{each.held_hours:g}",
            f"{each.cents.net} {each.quote}",
            "-" if each.r is None else f"{each.r:.2f}",
            each.exit_reason.value,
        )
    console().print(table)


def gate(
    backtest: Annotated[
        list[Path] | None,
        typer.Option(
            help="A backtest's result, its folder, or a folder of such; may be given several times."
        ),
    ] = None,
    repo: RepoOption = None,
    config: ConfigOption = None,
    form: FormatOption = "table",
) -> None:
    """Say what is still to be shown before real money may be traded, on recorded evidence alone.

    With --repo alone the desk's newest configuration counts, else the configured one. A backtest counts where
    it is the whole policy under that configuration, over the repository's own hours from the first one under
    it on, a month or longer; the digest of its data is taken anew. Exit code 1 while something is missing.

    Example: regimed gate --repo data --backtest results
    """
    checked_format(form)
    settings = None if repo is not None and config is None else settings_of(config)
    root = repo or settings_of(config).data_repository.base_path
    if not root.is_dir():
        fail(f"{root}: no such folder; name a data repository", 2)
    files = [_results(named) for named in backtest or []]
    with Progress(TextColumn("{task.description}"), BarColumn(), console=progress_console()) as bar:
        task = bar.add_task("backtests", total=None)
        report = gate_report(
            root,
            None if settings is None else settings.paper_hash(),
            list(chain.from_iterable(files)),
            lambda: bar.update(task, advance=1),
        )
    if form == "json":
        print_json(report.as_value())
    else:
        span = "" if report.first is None else f" from {report.first} to {report.newest}"
        print(f"paper: {report.evidence.paper_hours} h{span}, {report.evidence.paper_trades} closed trades")
        for regime, cash in report.paper_net.items():
            print(f"paper: net {quote(cash):.2f} in {regime}")
        for each in report.backtests:
            for told in each.problems or ("counts",):
                print(f"backtest: {each.file}: {told}")
        table = Table("missing", "found", "needed", box=None, pad_edge=False)
        for item in report.lacks:
            table.add_row(item.item, item.found, item.needed)
        console().print(table if report.lacks else "the gate is met")
    if report.lacks:
        raise Finding(1)


def _results(named: Path) -> list[Path]:
    if not (found := results_in(named)):
        fail(
            f"--backtest: {named}: no result there; `regimed backtest policy --repo ... --out DIR` writes it",
            2,
        )
    return found
