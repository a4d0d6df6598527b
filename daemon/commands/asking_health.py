"""`status`: the health of a running daemon."""

from __future__ import annotations

import urllib.error
import urllib.request
from typing import Annotated, Any

import orjson
import typer
from rich.table import Table

from daemon.commands.sharing import (
    ConfigOption,
    Finding,
    FormatOption,
    checked_format,
    console,
    fail,
    print_json,
    settings_of,
)


def register(app: typer.Typer) -> None:
    app.command()(status)


def status(
    url: Annotated[
        str | None, typer.Option(help="A daemon's address; the configured one when left out.")
    ] = None,
    config: ConfigOption = None,
    form: FormatOption = "table",
) -> None:
    """Show a running daemon's health; exit code 0 for pass, 1 for warn or fail, 3 when nobody answers.

    Example: regimed status --url http://127.0.0.1:8080
    """
    checked_format(form)
    if url is None:
        http = settings_of(config).http
        url = f"http://{http.host}:{http.port}"
    if not url.startswith(("http://", "https://")):
        fail(f"--url: {url!r} is not an http address", 2)
    page = _fetched(f"{url.rstrip('/')}/health")
    if form == "json":
        print_json(page)
    else:
        _show(page)
    if page["status"] != "pass":
        raise Finding(1)


def _fetched(url: str) -> Any:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 http(s) was checked
            return orjson.loads(answer.read(4 * 2**20))
    except urllib.error.HTTPError as error:
        if error.code == 503:
            return orjson.loads(error.read(4 * 2**20))
        fail(f"{url}: answered {error.code}; is this a regimed daemon?", 3)
    except (OSError, ValueError) as error:
        fail(f"{url}: no answer ({error}); is the daemon running?", 3)


def _show(page: Any) -> None:
    out = console()
    out.print(f"regimed {page['version']}: {page['status']}  (next ring {page['next_ring_at']})")
    table = Table("check", "status", "state", box=None, pad_edge=False)
    for name, check in page["checks"].items():
        if name.startswith("market:"):
            holds = check["hold_probability"]
            p = "-" if holds is None else f"{holds:.2f}"
            verdict, hour = check["verdict"] or "-", check["newest_hour"]
            state = f"{verdict} p={p} hour {hour}, owed {check['owed_hours']}"
        elif name == "git":
            state = f"unpushed {check['unpushed_commits']}, queue {check['queue_depth']}"
        elif name == "desk":
            nav, open_trades = check["nav"] or "-", len(check["open_trades"])
            state = f"nav {nav}, open trades {open_trades}, hour {check['newest_hour'] or '-'}"
        else:
            state = check.get("breaker", "")
        table.add_row(name, check["status"], state)
    out.print(table)
    for note in page["notes"]:
        out.print(f"! {note}")
