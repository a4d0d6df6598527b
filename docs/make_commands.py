"""Write docs/commands.md: every command's own help page, as the program prints it: `make reference`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from daemon.cli import app
from daemon.commands.overview import SECTIONS

TARGET = Path(__file__).with_name("commands.md")
WIDTH = 100
HEAD = """\
# Commands

Made by `make reference` from the program itself. `regimed` is `.venv/bin/regimed`; `regimed COMMAND --help`
prints what stands here.

Results go to stdout, words to stderr; `--format json` where a program reads. Exit codes: 0 fine, 1 a finding
(unhealthy, a difference, a failed check), 2 usage or configuration, 3 trouble outside. Times are UTC, hours
as `2026-02-02T14`, `--from` and `--to` half-open. A command that writes hands its change to the running
daemon, or takes the lock itself.
"""


def page() -> str:
    """Return the whole page."""
    root: Any = typer.main.get_command(app)
    lines = [HEAD]
    for title, commands in SECTIONS.items():
        lines += [f"## {title}", "", "| command | what it does |", "| --- | --- |"]
        lines += [f"| [`regimed {name}`](#regimed-{name}) | {words} |" for name, words in commands.items()]
        lines.append("")
    for commands in SECTIONS.values():
        for name in commands:
            for words, command in leaves((name,), root.commands[name]):
                lines += [f"### regimed {words}", "", "```", helped(command, f"regimed {words}"), "```", ""]
    return "\n".join(lines)


def leaves(words: tuple[str, ...], command: Any) -> Iterator[tuple[str, Any]]:
    """Yield a command, and each of its own after it."""
    yield " ".join(words), command
    for name, inner in getattr(command, "commands", {}).items():
        yield from leaves((*words, name), inner)


def helped(command: Any, called: str) -> str:
    """Return the help page as it is printed on a terminal of `WIDTH` columns."""
    context = command.context_class(command, info_name=called, terminal_width=WIDTH, max_content_width=WIDTH)
    text: str = command.get_help(context)
    return "\n".join(line.rstrip() for line in text.splitlines())


if __name__ == "__main__":
    TARGET.write_text(page())
