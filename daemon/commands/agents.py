"""`regimed mcp`: the questions of agents, over stdio or HTTP."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from daemon import mcp
from daemon.commands.sharing import ConfigOption, RepoOption, in_loop, settings_of
from daemon.histories import open_history


def register(app: typer.Typer) -> None:
    app.command("mcp")(serve)


def serve(
    http: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Serve HTTP on this local port; 0 takes a free one. Else stdio."),
    ] = None,
    repo: RepoOption = None,
    config: ConfigOption = None,
) -> None:
    """Serve agents by the Model Context Protocol: read-only tools over the history of regimes and decisions.

    Over stdin and stdout, or with --http at http://127.0.0.1:PORT/mcp. Needs the extra `mcp`.

    Example: regimed mcp --repo data
    """
    opened = open_history(repo, settings_of(config) if repo is None or config is not None else None)
    try:
        in_loop(lambda: mcp.serve(opened, http, _say_address))
    finally:
        opened.close()


def _say_address(url: str) -> None:
    print(f"regimed: agents ask at {url}", file=sys.stderr, flush=True)
