"""Advice on the command line: `decisions`, `explain`, `decide`."""

from __future__ import annotations

import getpass
from datetime import datetime, timedelta
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
from decisions.actions import Answer
from decisions.answering import Set
from market.hours import parse_instant
from store.advice import Deed, Recorded, decision_ids, deed_change_set, named_advice, read_advice
from store.explaining import explained
from store.grids import GridShelf

_LISTED_DAYS = 7


def register(app: typer.Typer) -> None:
    app.command()(decisions)
    app.command()(explain)
    app.command()(decide)


def _root(repo: Path | None, config: Path | None) -> Path:
    return repo or settings_of(config).data_repository.base_path


def decisions(
    since: Annotated[
        str | None, typer.Option(help="First day, 2026-02-02; the last week of records if left out.")
    ] = None,
    wanted: Annotated[bool, typer.Option("--open", help="Only what still waits for an answer.")] = False,
    repo: RepoOption = None,
    config: ConfigOption = None,
    form: FormatOption = "table",
) -> None:
    """List what was recommended, what was done about it and what waits for an answer.

    Example: regimed decisions --since 2026-02-02
    """
    checked_format(form)
    root = _root(repo, config)
    found = [read_advice(root, each) for each in decision_ids(root, since or _a_week_back(root))]
    now = WallClock().now()
    if wanted:
        found = [each for each in found if each.advice.is_open(now)]
    if form == "json":
        print_json([_as_json(each) for each in found])
        return
    table = Table(
        "decision", "grid", "action", "sure", "exit state", "answer", "reason", box=None, pad_edge=False
    )
    for each in found:
        file, answer = each.file, each.advice.answer
        last = each.actions[-1].action.value if each.actions else "-"
        table.add_row(
            file.id,
            file.grid_id,
            file.action.value,
            "-" if file.confidence.value is None else f"{file.confidence.value:.2f}",
            file.exit_state or "-",
            last if answer is None else answer.action.value,
            file.reason[:100],
        )
    console().print(table)


def _a_week_back(root: Path) -> str | None:
    newest = max((each[:10] for each in decision_ids(root)), default=None)
    if newest is None:
        return None
    return f"{datetime.fromisoformat(newest) - timedelta(days=_LISTED_DAYS):%Y-%m-%d}"


def _as_json(each: Recorded) -> dict[str, Any]:
    return {
        **each.file.model_dump(mode="json"),
        "actions": [action.model_dump(mode="json") for action in each.actions],
    }


def explain(
    decision_id: Annotated[
        str,
        typer.Argument(metavar="ID", help="2026-02-02/dec-ETH-USDT-150000, or a market key for its newest."),
    ],
    repo: RepoOption = None,
    config: ConfigOption = None,
) -> None:
    """Tell a recommendation in plain words: what, why, how sure, what it is worth, what would change it.

    Example: regimed explain 2026-02-02/dec-ETH-USDT-150000
    """
    root = _root(repo, config)
    for line in explained(root, named_advice(root, decision_id)):
        print(line)


def decide(
    decision_id: Annotated[str, typer.Argument(metavar="ID", help="2026-02-02/dec-ETH-USDT-150000")],
    answer: Annotated[str, typer.Argument(help="accept, decline, acknowledge or note.")],
    at: Annotated[
        str | None, typer.Option(help="When it was done, 2026-02-02T15:20:00Z; now if left out.")
    ] = None,
    lower: Annotated[str | None, typer.Option(help="Lowest price as really set.")] = None,
    upper: Annotated[str | None, typer.Option(help="Highest price as really set.")] = None,
    amount: Annotated[str | None, typer.Option(help="Quote amount a level as really set.")] = None,
    stop_loss: Annotated[str | None, typer.Option(help="Stop-loss as really set.")] = None,
    price: Annotated[str | None, typer.Option(help="Price at which it was done.")] = None,
    note: Annotated[str | None, typer.Option(help="In your own words.")] = None,
    late: Annotated[bool, typer.Option("--late", help="Accept advice that has expired.")] = False,
    config: ConfigOption = None,
    clock: ClockOption = None,
) -> None:
    """Record what you did about a recommendation; an accept starts, stops or moves the grid in the records.

    Example: regimed decide 2026-02-02/dec-ETH-USDT-150000 accept --at 2026-02-02T15:20:00Z
    """
    if answer not in ("accept", "decline", "acknowledge", "note"):
        fail(f"{answer!r}: expected accept, decline, acknowledge or note", 2)
    settings = settings_of(config)
    time = clock_beside(clock, settings)
    root = settings.data_repository.base_path
    deed = Deed(
        answer=Answer(answer),
        at=time.now() if at is None else _instant(at),
        actor=getpass.getuser(),
        price=_number(price, "--price"),
        note=note,
        set_=Set(
            _number(lower, "--lower"),
            _number(upper, "--upper"),
            _number(amount, "--amount"),
            _number(stop_loss, "--stop-loss"),
        ),
        late=late,
    )

    async def record() -> str:
        async with writing(settings, time) as write:
            recorded = read_advice(root, decision_id)
            grid = GridShelf(root).records().get(recorded.file.grid_id)
            return await write(deed_change_set(recorded, deed, grid, time.now()))

    print(f"recorded in commit {in_loop(record)}")


def _instant(text: str) -> datetime:
    try:
        return parse_instant(text)
    except ValueError as error:
        return fail(f"--at: {error}", 2)


def _number(text: str | None, option: str) -> Decimal | None:
    if text is None:
        return None
    try:
        number = Decimal(text)
    except InvalidOperation:
        return fail(f"{option}: {text!r} is not a number", 2)
    if not number.is_finite() or number <= 0:
        return fail(f"{option}: {text}, expected more than 0", 2)
    return number
