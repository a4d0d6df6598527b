"""Grids on the command line: what is there, and a person's own starts and stops, through the writer."""

from __future__ import annotations

import getpass
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from daemon.clock import WallClock
from daemon.commands.clocks import ClockOption, clock_beside
from daemon.commands.history import writing
from daemon.commands.sharing import (
    ConfigOption,
    FormatOption,
    RepoOption,
    checked_format,
    console,
    fail,
    in_loop,
    print_json,
    settings_of,
)
from grid.economics import net_cycle_pct, spacing_pct
from grid.geometry import Spacing
from grid.parameters import GridKind, GridParameters
from grid.record import EventKind, GridRecord, as_value, new_record, with_event, with_version
from grid.state import state_at
from market.costs import Fees
from market.hours import parse_instant
from store.advice import decision_ids, read_advice
from store.change_set import ChangeSet
from store.grids import GridShelf, encode_grid, grid_path

AtOption = Annotated[
    str | None, typer.Option("--at", help="When it happened, 2026-02-02T15:20:00Z; now if left out.")
]
ReasonOption = Annotated[str | None, typer.Option("--reason", help="In your own words.")]
GridArgument = Annotated[str, typer.Argument(metavar="GRID", help="Its id, eth-usdt-1.")]

commands = typer.Typer(
    no_args_is_help=True, help="Grid configuration: list, show, new, enable, disable, propose."
)


def register(app: typer.Typer) -> None:
    app.add_typer(commands, name="grids")


def _shelf(repo: Path | None, config: Path | None) -> GridShelf:
    return GridShelf(repo or settings_of(config).data_repository.base_path)


def _grid(shelf: GridShelf, grid_id: str) -> GridRecord:
    records = shelf.records()
    if grid_id not in records:
        fault = shelf.faults.get(grid_path(grid_id))
        known = ", ".join(records) or "none"
        fail(fault or f"{grid_id}: no such grid; there are: {known}", 2)
    return records[grid_id]


@commands.command(name="list")
def list_grids(repo: RepoOption = None, config: ConfigOption = None, form: FormatOption = "table") -> None:
    """List the grids and whether they run. A file that is not valid is named, with the reason.

    Example: regimed grids list
    """
    checked_format(form)
    shelf = _shelf(repo, config)
    records = shelf.records()
    now = WallClock().now()
    rows = [_row(record, now) for record in records.values()]
    if form == "json":
        print_json({"grids": rows, "faults": dict(shelf.faults)})
        return
    table = Table(
        "grid", "market", "kind", "runs", "since", "bounds", "levels", "a level", "stop-loss", box=None
    )
    for row in rows:
        table.add_row(
            row["grid_id"],
            row["market"],
            row["kind"],
            "yes" if row["running"] else "no",
            row["since"] or "-",
            f"{row['lower']:g} to {row['upper']:g}",
            str(row["levels"]),
            f"{row['amount_per_grid']:g}",
            "-" if row["stop_loss"] is None else f"{row['stop_loss']:g}",
        )
    console().print(table)
    for problem in shelf.faults.values():
        console().print(f"NOT IN FORCE {problem}")


def _row(record: GridRecord, now: datetime) -> dict[str, Any]:
    state = state_at(record, max(now, record.versions[0].since))
    assert state is not None, "a grid has a version"
    parameters = state.parameters
    since = state.started_at if state.running else state.stopped_at
    return {
        "grid_id": record.grid_id,
        "market": record.market,
        "kind": record.kind.value,
        "running": state.running,
        "since": None if since is None else f"{since:%Y-%m-%dT%H:%M:%SZ}",
        "version": parameters.version,
        "lower": float(parameters.lower),
        "upper": float(parameters.upper),
        "levels": parameters.levels,
        "amount_per_grid": float(parameters.amount_per_grid),
        "stop_loss": None if parameters.stop_loss is None else float(parameters.stop_loss),
    }


@commands.command()
def show(
    grid_id: GridArgument, repo: RepoOption = None, config: ConfigOption = None, form: FormatOption = "table"
) -> None:
    """Show one grid: versions, history, what a cycle earns.

    Example: regimed grids show eth-usdt-1
    """
    checked_format(form)
    record = _grid(_shelf(repo, config), grid_id)
    if form == "json":
        print_json(as_value(record))
        return
    out = console()
    out.print(f"{record.grid_id} in {record.market}, {record.kind}")
    for version in record.versions:
        parameters = version.parameters
        wide = spacing_pct(parameters)
        earned = net_cycle_pct(wide, Fees().maker_bps)
        out.print(
            f"version {version.version} since {version.since:%Y-%m-%d %H:%M}: {parameters.lower} to"
            f" {parameters.upper}, {parameters.levels} {parameters.spacing} levels of"
            f" {parameters.amount_per_grid}, spacing {wide:.3f} %, {earned:.3f} % a cycle after fees,"
            f" stop-loss {parameters.stop_loss}"
        )
    for event in record.history:
        why = "" if event.reason is None else f": {event.reason}"
        out.print(
            f"{event.at:%Y-%m-%d %H:%M} {event.event} version {event.version} by {event.by or '-'}{why}"
        )


@commands.command()
def new(
    grid_id: GridArgument,
    market: Annotated[str, typer.Option(help="Market key.")],
    lower: Annotated[str, typer.Option(help="Lowest price.")],
    upper: Annotated[str, typer.Option(help="Highest price.")],
    levels: Annotated[int, typer.Option(help="Number of grids.")],
    amount: Annotated[str, typer.Option(help="Quote amount a level.")],
    spacing: Annotated[str, typer.Option(help="geometric or arithmetic.")] = "geometric",
    stop_loss: Annotated[str | None, typer.Option(help="Price of the stop-loss.")] = None,
    take_profit: Annotated[str | None, typer.Option(help="Price of the take-profit.")] = None,
    at: AtOption = None,
    config: ConfigOption = None,
    clock: ClockOption = None,
) -> None:
    """Write a new grid, or a new version of one that is there. It does not run until it is enabled.

    Example: regimed grids new eth-usdt-1 --market ETH-USDT --lower 2400 --upper 2800 --levels 10 --amount 50
    """
    settings = settings_of(config)
    time = clock_beside(clock, settings)
    if market not in {known.key for known in settings.markets}:
        fail(f"--market: {market} is not configured", 2)
    if spacing not in list(Spacing):
        fail(f"--spacing: {spacing!r}, expected geometric or arithmetic", 2)
    since = _at(at, time.now())

    def made(record: GridRecord | None) -> GridRecord:
        parameters = GridParameters(
            version=1 if record is None else len(record.versions) + 1,
            lower=_number(lower, "--lower"),
            upper=_number(upper, "--upper"),
            levels=levels,
            spacing=Spacing(spacing),
            amount_per_grid=_number(amount, "--amount"),
            stop_loss=None if stop_loss is None else _number(stop_loss, "--stop-loss"),
            take_profit=None if take_profit is None else _number(take_profit, "--take-profit"),
        )
        if record is None:
            return new_record(grid_id, market, GridKind.NORMAL, parameters, since)
        return with_version(record, parameters, since)

    _change(grid_id, made, "version", config, clock)


@commands.command()
def enable(
    grid_id: GridArgument,
    at: AtOption = None,
    reason: ReasonOption = None,
    config: ConfigOption = None,
    clock: ClockOption = None,
) -> None:
    """Record that a grid was started, under its newest version.

    Example: regimed grids enable eth-usdt-1 --at 2026-02-02T15:20:00Z
    """
    _event(grid_id, EventKind.ENABLED, at, reason, config, clock)


@commands.command()
def disable(
    grid_id: GridArgument,
    at: AtOption = None,
    reason: ReasonOption = None,
    config: ConfigOption = None,
    clock: ClockOption = None,
) -> None:
    """Record that a grid was stopped; its restart gates close.

    Example: regimed grids disable eth-usdt-1 --reason "sold by hand"
    """
    _event(grid_id, EventKind.DISABLED, at, reason, config, clock)


@commands.command()
def propose(
    market: Annotated[str, typer.Argument(metavar="KEY", help="Market key.")],
    repo: RepoOption = None,
    config: ConfigOption = None,
) -> None:
    """Show the grid that the newest hour would set up, as the exchange asks for it.

    Example: regimed grids propose ETH-USDT
    """
    root = repo or settings_of(config).data_repository.base_path
    newest = None
    for decision_id in decision_ids(root):
        if f"/dec-{market}-" in decision_id:
            newest = decision_id
    if newest is None:
        fail(f"{market}: no decision is recorded", 2)
    file = read_advice(root, newest).file
    out = console()
    out.print(f"{file.id}: {file.action}: {file.reason}")
    if file.proposed is None:
        out.print("no grid could be proposed")
        return
    for label, text in file.proposed["form"].items():
        out.print(f"  {label:<16} {text}")


def _event(
    grid_id: str, kind: EventKind, at: str | None, reason: str | None, config: Path | None, clock: str | None
) -> None:
    instant = _at(at, clock_beside(clock, settings_of(config)).now())

    def made(record: GridRecord | None) -> GridRecord:
        if record is None:
            return fail(f"{grid_id}: no such grid; write it first: regimed grids new", 2)
        state = state_at(record, instant)
        version = len(record.versions)
        if kind is EventKind.DISABLED and state is not None:
            version = state.parameters.version
        return with_event(record, kind, instant, version, reason=reason, by=getpass.getuser())

    _change(grid_id, made, kind.value, config, clock)


def _change(
    grid_id: str,
    made: Callable[[GridRecord | None], GridRecord],
    what: str,
    config: Path | None,
    clock: str | None,
) -> None:
    settings = settings_of(config)
    time = clock_beside(clock, settings)

    async def record() -> str:
        async with writing(settings, time) as write:
            shelf = GridShelf(settings.data_repository.base_path)
            before = shelf.records().get(grid_id)
            if fault := shelf.faults.get(grid_path(grid_id)):
                fail(fault, 1)
            after = made(before)
            files = {grid_path(grid_id): encode_grid(after)}
            return await write(ChangeSet(files, f"[grid] {after.market} {grid_id}: {what}"))

    print(f"recorded in commit {in_loop(record)}")


def _at(text: str | None, now: datetime) -> datetime:
    if text is None:
        return now.replace(microsecond=0)
    try:
        return parse_instant(text)
    except ValueError as error:
        return fail(f"--at: {error}", 2)


def _number(text: str, option: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        return fail(f"{option}: {text!r} is not a number", 2)
