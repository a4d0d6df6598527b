"""What the server promises and refuses: schemas, words of errors, bounds, transports."""

from __future__ import annotations

import builtins
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import httpx
import pytest
from jsonschema import Draft202012Validator
from mcp import Client
from mcp.client.stdio import StdioServerParameters

from daemon.mcp import WAITING, Desk, ToolRefused, server_of
from daemon.regime_answers import RegimesBusy
from market.hours import Timeframe
from regime.series import STORED
from store.decision_files import decision_path
from tests.cycle.house import START, house
from tests.cycle.processes import REGIMED, ROOT
from tests.cycle.test_decisions import GRID, LOOSE, run_grid
from tests.daemon.calls import called
from tests.daemon.histories import (
    BTC,
    ETH,
    fill,
    history_of,
    plain_bins,
    plain_changes,
    plain_periods,
    plain_rows,
    two_markets,
)
from tests.daemon.regimes import direct

TOOLS = {
    "list_markets",
    "get_regimes",
    "regime_stats",
    "regime_transitions",
    "regime_periods",
    "explain_decision",
    "compare_backtests",
}
SERIES = {"symbol": ETH, "timeframe": "1h"}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Two markets; the index is half filled."""
    made = two_markets(tmp_path_factory.mktemp("server"))
    fill(made, "half")
    return made


@asynccontextmanager
async def near(root: Path) -> AsyncIterator[Client]:
    """An agent in this process."""
    with history_of(root) as opened:
        async with Client(server_of(opened)) as client:
            yield client


@asynccontextmanager
async def over_stdio(root: Path) -> AsyncIterator[Client]:
    """An agent that starts the real command, as one configured by docs/agents.md does."""
    command, *arguments = REGIMED
    server = StdioServerParameters(
        command=command,
        args=[*arguments, "mcp", "--repo", str(root)],
        env=dict(os.environ),
        cwd=ROOT,
    )
    async with Client(server) as client:
        yield client


@contextmanager
def serving(root: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The real command on a free port, and its URL."""
    process = subprocess.Popen(
        [*REGIMED, "mcp", "--http", "0", "--repo", str(root)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            assert process.stderr is not None
            said = process.stderr.readline()
            address = re.search(r"http://127\.0\.0\.1:\d+/mcp", said)
            assert address, said
            threading.Thread(target=process.stderr.read, daemon=True).start()  # logs must not fill the pipe
            yield address[0], process
        finally:
            process.kill()


@asynccontextmanager
async def over_http(root: Path) -> AsyncIterator[Client]:
    with serving(root) as (url, _):
        async with Client(url) as client:
            yield client


@pytest.mark.parametrize("connect", [over_stdio, over_http])
async def test_the_four_questions_of_an_agent(root, connect):
    """Through a real client and the real command: each answer is what plain code finds in the files."""
    eth = direct(root, Timeframe.H1, ETH)
    ups = [each for each in plain_periods(eth) if each["simplified_regime"] == "TREND_UP"]
    changes = plain_changes(root, "CHOPPY", "TREND_UP")
    all_rows = [
        row for key in (ETH, BTC) for timeframe in STORED for row in plain_rows(direct(root, timeframe, key))
    ]

    async with connect(root) as client:

        async def ask(tool: str, **arguments: Any) -> Any:
            result = await client.call_tool(tool, arguments)
            assert not result.is_error, result.content[0].text
            assert json.loads(result.content[0].text) == result.structured_content
            return result.structured_content

        year = {"start": "2024-01-01", "end": "2025-01-01"}
        found = await ask("regime_periods", **SERIES, **year, simplified_regime="TREND_UP", limit=1000)
        assert found["periods"] == ups and found["next"] is None

        found = await ask("regime_transitions", from_regime="CHOPPY", to_regime="TREND_UP", limit=1000)
        assert found["transitions"] == changes and found["next"] is None

        found = await ask("regime_stats")
        assert found["confidence"]["all"] == plain_bins(all_rows)

        found = await ask("compare_backtests", symbol=ETH)
        by_regime, verdicts = found["by_simplified_regime"], found["by_verdict"]
        assert sum(group["hours"] for group in by_regime.values()) == found["all"]["hours"] > 200
        assert sum(group["hours"] for group in verdicts.values()) == found["all"]["hours"]
        for figures in found["all"]["strategies"].values():
            assert figures["mean_net_bps"] is not None and figures["share_positive"] is not None


async def test_every_tool_says_what_it_takes_and_gives(root):
    """Names, words, read-only hints, sound schemas; every answer fits its schema, and no argument is free."""
    async with near(root) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert set(tools) == TOOLS
        assert "half-open" in (client.instructions or "") and "cursor" in (client.instructions or "")
        for tool in tools.values():
            Draft202012Validator.check_schema(tool.input_schema)
            Draft202012Validator.check_schema(tool.output_schema)
            assert tool.annotations.read_only_hint and not tool.annotations.destructive_hint
            assert not tool.annotations.open_world_hint
            assert len(tool.description) > 80 and tool.title
            assert tool.input_schema["additionalProperties"] is False
            for argument in tool.input_schema["properties"].values():
                assert len(argument["description"]) > 15
        asked: dict[str, dict[str, Any]] = {
            "list_markets": {},
            "get_regimes": {**SERIES, "candles": True},
            "regime_stats": SERIES,
            "regime_transitions": {**SERIES, "to_regime": "RANGE"},
            "regime_periods": SERIES,
            "compare_backtests": {"symbol": BTC},
        }
        for name, arguments in asked.items():
            Draft202012Validator(tools[name].input_schema).validate(arguments)
            result = await client.call_tool(name, arguments)
            assert not result.is_error, result.content[0].text
            Draft202012Validator(tools[name].output_schema).validate(result.structured_content)
        empty = await client.call_tool("compare_backtests", {"symbol": BTC, "start": "2030-01-01"})
        assert empty.structured_content["all"]["hours"] == 0 and empty.structured_content["start"] is None


SQL = "x'; DROP TABLE series;--"


@pytest.mark.parametrize(
    ("tool", "arguments", "words"),
    [
        ("get_regimes", {"symbol": "../x", "timeframe": "1h"}, "symbol: found '../x', expected a market key"),
        ("get_regimes", {"symbol": SQL, "timeframe": "1h"}, "symbol: found \"x'; DROP TABLE"),
        ("regime_stats", {"symbol": "..", "timeframe": "1h"}, "symbol: found '..', expected a market key"),
        ("regime_periods", {"symbol": SQL, "timeframe": "1h"}, "symbol: found"),
        ("regime_transitions", {"symbol": "a/b", "timeframe": "1h"}, "symbol: found 'a/b'"),
        ("compare_backtests", {"symbol": "../x"}, "symbol: found '../x'"),
        ("compare_backtests", {"symbol": "XRP-USDT"}, "expected one of: BTC-USDT, ETH-USDT"),
        ("get_regimes", {"symbol": "XRP-USDT", "timeframe": "1h"}, "symbol: found 'XRP-USDT'"),
        ("get_regimes", {"timeframe": "1h"}, "symbol: found nothing, expected Market key"),
        ("get_regimes", {**SERIES, "timeframe": "2h"}, "timeframe: found '2h', expected '1m', '5m'"),
        ("get_regimes", {**SERIES, "start": "last week"}, "start: found 'last week', expected a time in UTC"),
        ("get_regimes", {**SERIES, "end": 7}, "end: found 7, expected a valid string"),
        ("get_regimes", {**SERIES, "limit": 0}, "limit: found 0, expected greater than or equal to 1"),
        ("get_regimes", {**SERIES, "limit": 10**6}, "limit: found 1000000, expected less than or equal to"),
        ("get_regimes", {**SERIES, "min_confidence": 7}, "min_confidence: found 7, expected less than"),
        ("get_regimes", {**SERIES, "simplified_regime": "UP"}, "simplified_regime: found 'UP', expected"),
        ("get_regimes", {**SERIES, "timeframe": "4h", "verdict": "TREND"}, "verdict: found 'TREND' with 4h"),
        ("get_regimes", {**SERIES, "from": "2024"}, "from: there is no such argument, expected symbol"),
        ("get_regimes", {**SERIES, "cursor": "x"}, "cursor: found 'x', expected `next` of the page before"),
        (
            "get_regimes",
            {**SERIES, "start": "2024-03-01", "cursor": "2024-02-01T00:00:00Z"},
            "cursor: found '2024-02-01T00:00:00Z'",
        ),
        ("list_markets", {"cursor": "../x"}, "cursor: found '../x'"),
        ("regime_periods", {**SERIES, "start": "2024-03-01", "end": "2024-03-01"}, "end: found '2024-03-01'"),
        ("regime_stats", {"symbol": ETH}, "timeframe: found nothing, expected 1m, 5m"),
        ("regime_stats", {"timeframe": "5m"}, "timeframe: found '5m', expected one of 15m, 1h, 4h"),
        (
            "regime_stats",
            {"start": "2024-03-01"},
            "start: found '2024-03-01', expected nothing without symbol",
        ),
        ("regime_transitions", {}, "from_regime: found nothing, expected a regime where symbol is left out"),
        ("regime_transitions", {"from_regime": "RANGE"}, "to_regime: found nothing"),
        (
            "regime_transitions",
            {"from_regime": "RANGE", "to_regime": "RANGE"},
            "to_regime: found 'RANGE', expected another one",
        ),
        (
            "regime_transitions",
            {"from_regime": "RANGE", "to_regime": "CHOPPY", "cursor": "ETH-USDT 2h x"},
            "cursor: found 'ETH-USDT 2h x'",
        ),
        ("explain_decision", {"decision_id": "../../etc/passwd"}, "decision_id: found '../../etc/passwd'"),
        ("explain_decision", {"decision_id": "2026-02-02/dec-ETH-USDT-150000"}, "no such decision"),
        ("explain_decision", {"decision_id": "x" * 300}, "decision_id: found 'xxx"),
        ("drop_tables", {}, "tool: found 'drop_tables', expected one of list_markets"),
    ],
)
async def test_bad_arguments_are_named(root, tool, arguments, words):
    """A tool error names the argument, what was found and what was expected; no traceback, no path."""
    async with near(root) as client:
        result = await client.call_tool(tool, arguments)
    text = result.content[0].text
    assert result.is_error and words in text, text
    assert result.structured_content is None
    assert "Traceback" not in text and "File " not in text and str(root.parent) not in text


async def test_a_crash_tells_the_agent_nothing_of_this_machine(root, monkeypatch):
    """What nobody expected stands in the log; the agent hears that it does."""

    def crashed(*_: Any) -> Any:
        raise OSError(f"{root}/snapshots: Input/output error")

    async with near(root) as client:
        monkeypatch.setattr("daemon.agent_answers.AgentAnswers._known", crashed)
        result = await client.call_tool("get_regimes", SERIES)
    assert result.is_error
    assert result.content[0].text == "internal error: it stands in the server's log"


async def test_others_computing_is_said_and_may_be_asked_again(root, monkeypatch):
    """RegimesBusy reaches the agent in words."""

    def busy(*_: Any, **__: Any) -> Any:
        raise RegimesBusy("other regimes are being computed from the files; ask again in a few seconds")

    async with near(root) as client:
        monkeypatch.setattr("daemon.regimes.RegimeHistory.counts", busy)
        result = await client.call_tool("regime_stats", SERIES)
    assert result.is_error and "ask again in a few seconds" in result.content[0].text


async def test_questions_wait_for_a_thread_and_no_more_than_so_many(root, monkeypatch):
    """Four are answered at once, sixteen wait, the next is told to come again; all others get answers."""
    going, answers, refusals = threading.Event(), list[Any](), list[str]()

    def slow(*_: Any) -> Any:
        assert going.wait(30)
        return {"slow": True}

    with history_of(root) as opened:
        desk = Desk(opened)
        monkeypatch.setattr(desk, "_answered", slow)

        async def ask() -> None:
            try:
                answers.append(await desk.call("list_markets", {}))
            except ToolRefused as refused:
                refusals.append(str(refused))

        async with anyio.create_task_group() as group:
            for _ in range(4 + WAITING + 3):
                group.start_soon(ask)
            while len(refusals) < 3:
                await anyio.lowlevel.checkpoint()
            going.set()
    assert len(answers) == 4 + WAITING and set(refusals) == {
        "busy: too many questions at once; ask again in a few seconds"
    }


def test_stdout_carries_the_protocol_alone(root):
    """Every line on stdout is JSON-RPC, even after nonsense; the end of stdin ends the server with 0."""
    hello = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "clientInfo": {"name": "test", "version": "0"},
        },
    }
    calls = [
        hello,
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "list_markets"}},
        {"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": {"name": "no_such_tool"}},
    ]
    lines = "not JSON\n" + "".join(json.dumps(call) + "\n" for call in calls)
    process = subprocess.Popen(
        [*REGIMED, "mcp", "--repo", str(root)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(lines)
        process.stdin.flush()
        answers: dict[Any, Any] = {}
        while 3 not in answers or 2 not in answers:
            answer = json.loads(process.stdout.readline())
            assert answer["jsonrpc"] == "2.0"
            answers[answer.get("id")] = answer
        rest, errors = process.communicate(timeout=30)
    assert rest == "" and process.returncode == 0, errors
    assert answers[2]["result"]["structuredContent"]["markets"][1]["symbol"] == ETH
    assert answers[3]["result"]["isError"] is True


def test_http_is_for_this_machine_alone_and_ends_when_told(root):
    """A foreign Host or Origin is refused; SIGTERM ends it in good order, without a word on stdout."""
    with serving(root) as (url, process):
        body = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
        accepts = {"Accept": "application/json, text/event-stream"}
        foreign_host = httpx.post(url, json=body, headers={**accepts, "Host": "evil.example"})
        foreign_page = httpx.post(url, json=body, headers={**accepts, "Origin": "http://evil.example"})
        assert (foreign_host.status_code, foreign_page.status_code) == (421, 403)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        assert process.stdout is not None and process.stdout.read() == ""


def test_a_taken_port_is_named(root):
    """Exit code 3 and the reason."""
    with serving(root) as (url, _):
        port = url.split(":")[2].split("/")[0]
        done = subprocess.run(
            [sys.executable, "-m", "daemon.cli", "mcp", "--http", port, "--repo", str(root)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 3 and "in use" in done.stderr and "Traceback" not in done.stderr


def test_without_the_sdk_the_extra_is_named(root, monkeypatch):
    """The command says what to install."""
    real = builtins.__import__

    def absent(name, *args, **kwargs):
        if name.split(".")[0] in ("mcp", "mcp_types"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", absent)
    done = called("mcp", "--repo", str(root))
    assert done.code == 2 and "regimed[mcp]" in done.err and done.out == ""


async def test_a_decision_is_explained_in_its_recorded_words(tmp_path):
    """The paragraphs of `regimed explain`; a damaged record is named within the repository."""
    async with house(tmp_path, **LOOSE) as there:
        await run_grid(there, 2000, 2200, START)
        await there.hours(START, 2)
    data = tmp_path / "data"
    decision = "2026-01-05/dec-ETH-USDT-010000"
    words = called("explain", decision, "--config", str(tmp_path / "config.yaml"))
    async with near(data) as client:
        told = await client.call_tool("explain_decision", {"decision_id": decision})
        assert told.structured_content["paragraphs"] == [
            line for line in words.out.splitlines() if line.strip()
        ]
        newest = await client.call_tool("explain_decision", {"decision_id": "ETH-USDT"})
        assert newest.structured_content["decision_id"].startswith("2026-01-05/dec-ETH-USDT-02")
        none = await client.call_tool("explain_decision", {"decision_id": "SOL-USDT"})
        assert none.is_error and "no decision of a market SOL-USDT" in none.content[0].text
        assert str(tmp_path) not in none.content[0].text
        assert GRID.upper() in " ".join(told.structured_content["paragraphs"]).upper()
        (data / decision_path(decision)).write_text("not: [a decision")
        broken = await client.call_tool("explain_decision", {"decision_id": decision})
    assert broken.is_error and str(tmp_path) not in broken.content[0].text
    assert broken.content[0].text.startswith(f"decision_id: found '{decision}'")


async def test_the_configured_fee_is_paid(root):
    """Costs come from the rules in force, and the answer says which they are."""
    with history_of(root) as opened:
        async with Client(server_of(opened)) as client:
            usual = (await client.call_tool("compare_backtests", {"symbol": ETH})).structured_content
        dear = opened.policy.costs_of(ETH)
        dear = replace(dear, fees=dear.fees.model_copy(update={"maker_bps": 25.0}))
        costly = replace(opened, policy=replace(opened.policy, costs={ETH: dear}))
        async with Client(server_of(costly)) as client:
            paid = (await client.call_tool("compare_backtests", {"symbol": ETH})).structured_content
    assert (usual["maker_bps"], paid["maker_bps"]) == (10, 25)
    assert "not configured" in usual["fee_from"] and "not" not in paid["fee_from"]
    assert (
        paid["all"]["strategies"]["grid"]["mean_net_bps"] < usual["all"]["strategies"]["grid"]["mean_net_bps"]
    )
