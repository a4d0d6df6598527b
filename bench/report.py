"""The table: on stdout for whoever runs it, as a page of evidence with everything needed to run it again."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from inspect import cleandoc
from pathlib import Path

import numpy as np

from bench.figures import Figure, rounded

_HOW_TO_READ = (
    "Every ratio is against a peer or a limit measured in the same run; figures of different runs or machines"
    " are not to be compared. Medians over several runs; p99 is the largest value where a run has fewer than"
    " 100."
)
_HEAD = ("what", "ours", "peer or limit", "its figure", "ratio", "goal")


@dataclass(frozen=True, slots=True)
class Told:
    """What one bench found, and its docstring: what is measured, and what the peer models that we do not."""

    name: str
    story: str
    figures: Sequence[Figure]


def cells(figure: Figure) -> tuple[str, ...]:
    against = figure.against
    return (
        figure.what,
        f"{rounded(figure.value)} {figure.unit}",
        f"{'limit' if against.is_limit else 'peer'}: {against.name}",
        f"{rounded(against.value)} {figure.unit}",
        figure.ratio,
        "; ".join(f"{goal.words}: {'met' if goal.is_met else 'MISSED'}" for goal in figure.goals) or "-",
    )


def table(figures: Iterable[Figure]) -> str:
    """Return the lines, columns aligned."""
    rows = [_HEAD, *map(cells, figures)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rows.insert(1, tuple("-" * width for width in widths))
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def page(told: Sequence[Told], facts: Mapping[str, str]) -> str:
    """Return the page for docs/evidence."""
    lines = ["# Benchmarks", ""]
    lines += [f"- {name}: {value}" for name, value in facts.items()]
    lines += ["", _HOW_TO_READ]
    for one in told:
        lines += ["", f"## {one.name}", "", cleandoc(one.story), ""]
        lines += [_row(_HEAD), _row(("---",) * len(_HEAD))]
        lines += [_row(cells(figure)) for figure in one.figures]
    return "\n".join(lines) + "\n"


def _row(columns: Iterable[str]) -> str:
    return "| " + " | ".join(column.replace("|", r"\|") for column in columns) + " |"


def facts_of(date: str, command: str) -> dict[str, str]:
    """Return what a reader needs to run it again."""
    load = ", ".join(f"{one:.2f}" for one in os.getloadavg())
    return {
        "date": date,
        "commit": _printed("git", "rev-parse", "HEAD") + (" with changes" if _changed() else ""),
        "command": f"`{command}`",
        "versions": f"Python {platform.python_version()}, numpy {np.__version__},"
        f" {_printed('git', 'version')}",
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores,"
        f" load average at the start {load}",
    }


def _changed() -> bool:
    return bool(_printed("git", "status", "--porcelain", "--untracked-files=no"))


def _printed(*command: str) -> str:
    here = Path(__file__).parent
    return subprocess.run(command, cwd=here, check=True, capture_output=True, text=True).stdout.strip()
