"""`regimed`: one command line for the daemon, its history and what it found.

Results on stdout, words on stderr. Exit codes: 0 fine, 1 a finding, 2 usage or configuration, 3 outside
trouble. A traceback only with --debug.
"""

from __future__ import annotations

import sys
from importlib.metadata import version
from typing import Annotated

import typer

from daemon.commands.overview import Overview
from daemon.commands.sharing import Finding, fail
from daemon.heap import keep_few_arenas
from daemon.logs import configure_logs
from market.errors import (
    ConfigInvalid,
    DataInvalid,
    ExchangeError,
    ExchangeRefused,
    RegimedError,
    RepositoryLocked,
    RepositoryUnusable,
)
from store.paths import Kind, classify

app = typer.Typer(
    name="regimed",
    cls=Overview,
    help="Regime-aware decision support for grid trading on crypto spot markets. A human executes.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
_debug = False


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"regimed {version('regimed')}")
        raise typer.Exit


@app.callback()
def _common(
    debug: Annotated[bool, typer.Option("--debug", help="Show a traceback when something fails.")] = False,
    log_level: Annotated[str, typer.Option(help="DEBUG, INFO, WARNING or ERROR.")] = "INFO",
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    global _debug
    _debug = debug
    if log_level.upper() not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        fail(f"--log-level: {log_level!r} is none of DEBUG, INFO, WARNING, ERROR", 2)
    configure_logs(log_level.upper())
    keep_few_arenas()


def main() -> None:
    """Run the command line; every error ends in one or two lines that say what to do."""
    try:
        app()
    except Finding as found:
        sys.exit(found.code)
    except BaseExceptionGroup as group:
        _ended(_first(group))
    except (RegimedError, OSError) as error:
        _ended(error)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the error that the operator can act on, else the first."""
    flat = [_first(error) if isinstance(error, BaseExceptionGroup) else error for error in group.exceptions]
    return next((error for error in flat if isinstance(error, RegimedError)), flat[0])


def _ended(error: BaseException) -> None:
    if _debug or not isinstance(error, (RegimedError, OSError)):
        raise error
    if isinstance(error, ConfigInvalid):
        for problem in error.problems:
            print(f"regimed: {problem}", file=sys.stderr)
        sys.exit(2)
    fail(said(error), exit_code(error))


def said(error: BaseException) -> str:
    """Return what an error tells, with what can be done where it is about a record of the data repository."""
    if isinstance(error, DataInvalid) and classify(error.where) is not Kind.FOREIGN:
        return f"{error}; `regimed fsck` says what can be done"
    return str(error)


def exit_code(error: BaseException) -> int:
    """Return the exit code that an error ends the program with."""
    if isinstance(error, (ConfigInvalid, RepositoryUnusable, RepositoryLocked, ExchangeRefused)):
        return 2
    if isinstance(error, DataInvalid):
        return 1
    if isinstance(error, (ExchangeError, RegimedError, OSError)):
        return 3
    return 3


if __name__ == "__main__":
    main()
