"""What all commands share: options, ends, tables and the way into the event loop."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

import anyio
import orjson
import typer
from rich.console import Console

from market.hours import Hour
from market.keys import checked_key

if TYPE_CHECKING:
    from daemon.settings import Settings

T = TypeVar("T")
DEFAULT_CONFIG = Path("config.yaml")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
PLAIN_WIDTH = 200  # columns of a table that goes into a file or a pipe

ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="Configuration file; config.yaml here when left out.")
]
RepoOption = Annotated[
    Path | None, typer.Option("--repo", help="A data repository, instead of the configured one.")
]
FormatOption = Annotated[str, typer.Option("--format", help="table or json.")]


class Finding(Exception):
    """Raised when a command ends with an exit code other than 0 after it said all it had to say."""

    def __init__(self, code: int) -> None:
        self.code = code
        super().__init__(code)


def fail(words: str, code: int) -> NoReturn:
    """Say on stderr what is wrong and end."""
    print(f"regimed: {words}", file=sys.stderr)
    sys.exit(code)


def settings_of(config: Path | None) -> Settings:
    """Return the configuration in force for a command.

    Raises:
        ConfigInvalid: With every problem at once.
    """
    from daemon.configuration import PREFIX, load_settings  # half of a command's start, where it needs them

    file = config or (DEFAULT_CONFIG if DEFAULT_CONFIG.exists() else None)
    if file is None and not any(name.startswith(PREFIX) for name in os.environ):
        fail("there is no config.yaml here; name one with --config, or start from config/config.yaml", 2)
    return load_settings(file, os.environ)


def in_loop(work: Callable[[], Awaitable[T]]) -> T:
    """Run `work` in an event loop."""
    return anyio.run(work)


def hour_of(text: str, option: str) -> Hour:
    """Return the hour that an option names."""
    try:
        return Hour.parse(text)
    except ValueError as error:
        return fail(f"{option}: {error}", 2)


def bound_of(text: str, option: str) -> Hour:
    """Return the hour that an end of a span names; a day is its first hour."""
    return hour_of(f"{text}T00" if _DAY.fullmatch(text) else text, option)


def day_named(text: str, option: str) -> datetime:
    """Return the first instant of the day that an option names."""
    from store.kpi_files import day_of

    try:
        return day_of(text)
    except ValueError:
        return fail(f"{option}: {text!r} is not a day; expected 2026-02-02", 2)


def key_of(text: str) -> str:
    """Return the market key that an argument names."""
    try:
        return checked_key(text)
    except ValueError as error:
        return fail(str(error), 2)


def checked_format(text: str) -> str:
    if text not in ("table", "json"):
        fail(f"--format: {text!r} is neither table nor json", 2)
    return text


def print_json(value: Any) -> None:
    """Print JSON alone on stdout."""
    sys.stdout.buffer.write(orjson.dumps(value, option=orjson.OPT_INDENT_2) + b"\n")
    sys.stdout.flush()


def console() -> Console:
    """Return where tables go: stdout, plain when it is not a terminal."""
    terminal = sys.stdout.isatty()
    return Console(highlight=False, soft_wrap=not terminal, width=None if terminal else PLAIN_WIDTH)


def progress_console() -> Console:
    """Return where progress bars go: stderr, silent when it is not a terminal."""
    return Console(stderr=True, quiet=not sys.stderr.isatty())
