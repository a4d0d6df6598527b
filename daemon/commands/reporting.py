"""`report`: a backtest's result as a page that opens offline, with the JSON beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from backtest.result_files import PAGE, RESULT, checked_folder, page_of, result_in, write_page
from daemon.commands.sharing import FormatOption, checked_format, fail, print_json
from store import disk


def register(app: typer.Typer) -> None:
    app.command()(report)


def report(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE|DIR", help=f"A backtest's result, or the folder that holds {RESULT}."),
    ],
    out: Annotated[
        Path | None,
        typer.Option(help=f"Folder that gets {PAGE} and {RESULT}; the result's own when left out."),
    ] = None,
    form: FormatOption = "table",
) -> None:
    """Make a page of a backtest's result: charts, figures with their n, what speaks against them.

    One file without a script that asks for nothing: it opens from the disk and can be mailed. The same result
    gives the same bytes.

    Example: regimed report result --out report
    """
    checked_format(form)
    source = result_in(file)
    if (data := disk.read(source)) is None:
        fail(f"{source}: no such file; `regimed backtest STRATEGY --out DIR` writes one", 2)
    page = page_of(data, str(source))
    result, shown = write_page(checked_folder(source.parent if out is None else out), data, page)
    if form == "json":
        print_json({"page": str(shown), "result": str(result)})
    else:
        print(f"written: {shown}")
