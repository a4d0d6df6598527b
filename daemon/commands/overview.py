"""The commands by what somebody wants, a line each: what `regimed --help` and docs/commands.md show first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

SECTIONS: dict[str, dict[str, str]] = {
    "See it": {
        "demo": "all of it on a simulated market: exchange, daemon, dashboard",
        "dashboard": "the records as pages that open offline",
        "report": "a backtest's result as a page that opens offline",
    },
    "Run it": {
        "config": "check, show, schema: the configuration in force",
        "run": "the daemon, until it is told to stop",
        "cycle": "what is due once, then exit",
        "status": "the health of a running daemon",
        "notify": "test: a message of each level on every channel",
        "sandbox": "a KuCoin-like exchange over recorded or simulated candles",
    },
    "Decide": {
        "decisions": "what was recommended, what still waits for an answer",
        "explain": "one recommendation in plain words",
        "decide": "what you did about it: accept, decline, acknowledge, note",
        "grids": "your grids: list, show, new, enable, disable, propose",
    },
    "Look back": {
        "analyze": "the regime of recorded hours, and whether the records agree",
        "regimes": "the regimes of each bar, their periods and changes",
        "backfill": "history from the exchange",
        "import": "history from parquet or CSV",
        "index": "rebuild, check, migrate: the index that makes this quick",
        "mcp": "the same for agents, read-only",
    },
    "How good is it": {
        "kpis": "stop-losses avoided, false exits, reaction times, alerts",
        "evaluate": "what became of each recommendation",
        "calibrate": "what the rules were worth on recorded hours, beside rivals",
        "backtest": "what they would have made of recorded hours",
        "sweep": "every combination of grid parameters over the same minutes",
        "compare": "paper beside its backtest, or a second configuration",
        "why": "a closed paper trade: why entered, why so, why ended",
        "gate": "what is still to be shown before real money may be traded",
    },
    "Nothing lost": {
        "verify": "every record, every digest, the whole history",
        "replay": "a recommendation recomputed from its inputs, to the byte",
        "fsck": "what is damaged; with --repair, mended",
        "maintain": "Git packed now instead of at night",
    },
}


MODULES = {  # below daemon/commands/: where each command is
    "demo": "running",
    "dashboard": "dashboard",
    "report": "reporting",
    "config": "configuration",
    "run": "running",
    "cycle": "running",
    "status": "asking_health",
    "notify": "notifying",
    "sandbox": "running",
    "decisions": "deciding",
    "explain": "deciding",
    "decide": "deciding",
    "grids": "grids",
    "analyze": "reading",
    "regimes": "regimes",
    "backfill": "history",
    "import": "history",
    "index": "indexing",
    "mcp": "agents",
    "kpis": "kpis",
    "evaluate": "evaluating",
    "calibrate": "calibrating",
    "backtest": "backtesting",
    "sweep": "sweeping",
    "compare": "comparing",
    "why": "trading",
    "gate": "trading",
    "verify": "reading",
    "replay": "replaying",
    "fsck": "mending",
    "maintain": "mending",
}


class _Commands(Mapping[str, Any]):
    """The commands by name, each module imported when one of its commands is asked for.

    All of them take seconds to import; a person who asks for the status waits for one.
    """

    def __getitem__(self, name: str) -> Any:
        part = typer.Typer(rich_markup_mode=None)
        import_module(f"daemon.commands.{MODULES[name]}").register(part)
        return typer.main.get_group(part).commands[name]

    def __contains__(self, name: object) -> bool:
        return name in MODULES

    def __iter__(self) -> Iterator[str]:
        return iter(MODULES)

    def __len__(self) -> int:
        return len(MODULES)


class Overview(TyperGroup):
    """Lists the commands in these sections, without importing any."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = _Commands()  # type: ignore[assignment]  # read only

    def format_commands(self, _: Any, formatter: Any) -> None:  # typer has a click of its own inside
        width = max(len(name) for name in MODULES)
        for title, lines in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(width), line) for name, line in lines.items()])
