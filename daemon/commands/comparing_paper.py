"""`compare --backtest`: what paper made beside what a backtest of the same hours says it should have."""

from __future__ import annotations

from dataclasses import asdict, fields
from pathlib import Path

from rich.table import Table

from backtest.comparison import Comparison, Figures, compare, of_result
from backtest.paper import paper_of
from backtest.result import read_result
from backtest.result_files import result_in
from daemon.commands.sharing import Finding, console, fail, print_json
from trading.comparing import WITHIN


def compare_paper(told: Path, root: Path, form: str) -> None:
    """Print both sides and every alert; an alert ends with code 1."""
    file = result_in(told)
    if not file.is_file():
        fail(f"--backtest: {file}: no such file; `regimed backtest ... --out DIR` writes one", 2)
    expected = of_result(read_result(file.read_bytes(), str(file)), str(file))
    found = compare(expected, paper_of(root))
    if form == "json":
        print_json(_as_value(found))
    else:
        _show(found)
    if not found.holds:
        raise Finding(1)


def _as_value(found: Comparison) -> dict[str, object]:
    return {
        "from": str(found.start),
        "to": str(found.end),
        "backtest": asdict(found.backtest),
        "paper": asdict(found.paper),
        "tolerance": str(found.tolerance),
        "holds": found.holds,
        "alerts": list(found.alerts),
    }


def _show(found: Comparison) -> None:
    out = console()
    out.print(f"from the close of {found.start} to that of {found.end}", markup=False)
    table = Table("", "backtest", "paper", box=None, pad_edge=False)
    for field in fields(Figures):
        cells = (_told(getattr(side, field.name)) for side in (found.backtest, found.paper))
        table.add_row(field.name.replace("_", " "), *cells)
    out.print(table)
    out.print(f"{found.tolerance}; within tolerance is: {WITHIN}", markup=False)
    for alert in found.alerts or ("no alert",):
        out.print(alert, markup=False)


def _told(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
