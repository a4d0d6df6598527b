"""The commands by what somebody wants, a line each: what `regimed --help` and docs/commands.md show first."""

from __future__ import annotations

from typing import Any

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


class Overview(TyperGroup):
    """Lists the commands in these sections; a command that stands in none is listed last."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # typer has a click of its own inside
        sections = {title: list(lines.items()) for title, lines in SECTIONS.items()}
        named = {name for lines in SECTIONS.values() for name in lines}
        other = [(name, self.commands[name].get_short_help_str()) for name in self.list_commands(ctx)]
        sections["Other"] = [(name, line) for name, line in other if name not in named]
        width = max(len(name) for name in self.commands)
        for title, lines in sections.items():
            if lines:
                with formatter.section(title):
                    formatter.write_dl([(name.ljust(width), line) for name, line in lines])
