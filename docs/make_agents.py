"""Ask each tool of `regimed mcp` and write docs/agents.md: `make agents`.

The real command over stdio, on the data repository that `regimed demo` leaves: simulated candles, the same
every time. Long answers are cut, and marked so.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path
from typing import Any

import anyio
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from tables import table

TARGET = Path(__file__).with_name("agents.md")
ROOT = TARGET.parent.parent
DEMO = ("demo", "--once", "--hours", "30", "--markets", "2")
REGIMED = [sys.executable, "-m", "daemon.cli"]
SERIES = {"symbol": "ETH-USDT", "timeframe": "1h"}
YEAR = {"start": "2025-01-01", "end": "2026-01-01"}
QUESTIONS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("Which markets are there, and since when?", "list_markets", {}),
    (
        "All TREND_UP periods of ETH 1h in 2025",
        "regime_periods",
        {**SERIES, **YEAR, "simplified_regime": "TREND_UP", "limit": 2},
    ),
    ("How do strategies fare by regime?", "compare_backtests", {"symbol": "ETH-USDT"}),
    (
        "Every change from CHOPPY to TREND_UP, in all markets",
        "regime_transitions",
        {"from_regime": "CHOPPY", "to_regime": "TREND_UP", "limit": 2},
    ),
    ("How is confidence distributed, over everything?", "regime_stats", {}),
    (
        "Which bars were a sure range in the first week of 2026?",
        "get_regimes",
        {**SERIES, "simplified_regime": "RANGE", "min_confidence": 0.8, "start": "2026-01-01", "limit": 2},
    ),
    ("Why was this recommended?", "explain_decision", {"decision_id": "2026-01-05/dec-ETH-USDT-050000"}),
)
CONFIGURATION = {
    "mcpServers": {
        "regimed": {"command": "/opt/regimed/.venv/bin/regimed", "args": ["mcp", "--repo", "/data"]}
    }
}
HEAD = """\
# Agents

`regimed mcp` answers agents by the Model Context Protocol: read-only tools over the history of regimes and of
decisions. It needs the extra `mcp` (`pip install 'regimed[mcp]'`; `make setup` has it), takes no lock, writes
nothing, and may run beside the daemon or without it. It reads the index where that is current and computes
the rest from the files, which is slower; each answer says what was computed.

## Connect

Over stdio, for an agent that starts its servers itself (paths are examples; `--config FILE` in place of
`--repo` takes repository, rules and fees from a configuration):
"""
HTTP = """\
Over streamable HTTP, for several agents on this machine: `regimed mcp --http 8765` (0 takes a free port and
says which on stderr), and in the agent's configuration the URL `http://127.0.0.1:8765/mcp`. It listens on
127.0.0.1 alone and refuses foreign `Host` and `Origin` headers; there is no login, so whoever may open local
ports may read the history.

## Rules for all tools
"""


async def asked(repo: Path) -> list[str]:
    """Return the page, every answer from the real command."""
    command, *arguments = REGIMED
    server = StdioServerParameters(
        command=command, args=[*arguments, "mcp", "--repo", str(repo)], env=dict(os.environ), cwd=ROOT
    )
    lines = [*HEAD.splitlines(), "", "```json", *json.dumps(CONFIGURATION, indent=2).splitlines(), "```", ""]
    async with Client(server) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        lines += [*HTTP.splitlines(), "", *textwrap.wrap(client.instructions or "", 110), ""]
        lines += [
            "## Tools, and one answer of each",
            "",
            f"Written by `make agents`: `{' '.join(('regimed', *DEMO))}` first, then",
            "these questions to `regimed mcp --repo DIR/data`. The candles are simulated; long answers are",
            "cut at `...`.",
            "",
        ]
        for question, name, given in QUESTIONS:
            result = await client.call_tool(name, given)
            assert not result.is_error, result.content[0]
            lines += _section(question, tools[name], given, result.structured_content)
    return lines


def _section(question: str, tool: Any, given: dict[str, Any], answer: Any) -> list[str]:
    rows = [
        [f"`{name}`", "yes" if name in tool.input_schema.get("required", ()) else "", _meaning(argument)]
        for name, argument in tool.input_schema["properties"].items()
    ]
    return [
        f"### {tool.name}",
        "",
        *textwrap.wrap(tool.description, 110),
        "",
        *table("argument | needed | meaning", rows),
        f"*{question}*",
        "",
        "```json",
        json.dumps(given),
        "```",
        "",
        "```text",
        *json.dumps(_cut(answer), indent=1, ensure_ascii=False).splitlines(),
        "```",
        "",
    ]


def _meaning(argument: dict[str, Any]) -> str:
    if "maximum" not in argument:
        return str(argument["description"])
    return f"{argument['description']} {argument['default']} when left out, {argument['maximum']} at most."


def _cut(value: Any, depth: int = 0) -> Any:
    """Return the beginning of a long answer."""
    if isinstance(value, list):
        plain = bool(value) and all(isinstance(each, int) for each in value)
        shown = [_cut(each, depth + 1) for each in value[: 2 if not plain else None]]
        if plain:
            return " ".join(str(each) for each in value)
        return [*shown, f"... {len(value) - 2} more"] if len(value) > 2 else shown
    if isinstance(value, dict):
        kept = list(value.items())
        if (
            depth
            and kept[2:]
            and isinstance(kept[0][1], dict | int)
            and {"NEUTRAL", "RANGE_OK"} & value.keys()
        ):
            kept = [*kept[:2], ("...", f"{len(kept) - 2} more")]
        return {name: _cut(each, depth + 1) for name, each in kept}
    return value


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        demo = [*REGIMED, *DEMO, "--dir", folder, "--port", "0"]
        subprocess.run(demo, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
        lines = anyio.run(asked, Path(folder) / "data")
    TARGET.write_text("\n".join(lines).rstrip() + "\n")


if __name__ == "__main__":
    main()
