"""The MCP server: agents ask the history of regimes and decisions, read-only, over stdio or local HTTP.

stdout carries the protocol alone; logs go to stderr.
"""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import orjson
import structlog

from daemon.agent_answers import AgentAnswers
from daemon.agent_arguments import BadArgument, read_arguments
from daemon.agent_tools import INSTRUCTIONS, TOOLS, AgentTool
from daemon.histories import OpenHistory
from daemon.regime_answers import RegimesBusy
from market.errors import ConfigInvalid, DataInvalid

if TYPE_CHECKING:
    from mcp.server.lowlevel import Server

_log = structlog.get_logger("mcp")
THREADS = 4  # questions answered at the same time
WAITING = 16  # more are told to come again
HOST = "127.0.0.1"
_STOP_S = 3


class ToolRefused(Exception):
    """Raised when a tool has no answer; the text is for the agent."""


class Desk:
    """Takes calls and answers them in threads, so many at a time."""

    def __init__(self, opened: OpenHistory) -> None:
        self._answers, self._root = AgentAnswers(opened), str(opened.root)
        self._tools = {tool.name: tool for tool in TOOLS}
        self._threads, self._inside = anyio.CapacityLimiter(THREADS), 0

    async def call(self, name: str, given: dict[str, Any]) -> dict[str, Any]:
        """Return a tool's answer.

        Raises:
            ToolRefused: There is none; never with a traceback or a path of this machine.
        """
        tool = self._tools.get(name)
        if tool is None:
            raise ToolRefused(f"tool: found {name[:80]!r}, expected one of {', '.join(self._tools)}")
        if self._inside >= THREADS + WAITING:
            raise ToolRefused("busy: too many questions at once; ask again in a few seconds")
        self._inside += 1
        try:
            return await anyio.to_thread.run_sync(self._answered, tool, given, limiter=self._threads)
        except (BadArgument, RegimesBusy) as error:
            raise ToolRefused(str(error)) from None
        except DataInvalid as error:
            _log.warning("a record cannot be read", tool=name, error=str(error))
            raise ToolRefused(str(error).replace(self._root, "the repository")) from None
        except Exception as error:
            _log.exception("a tool failed", tool=name)
            raise ToolRefused("internal error: it stands in the server's log") from error
        finally:
            self._inside -= 1

    def _answered(self, tool: AgentTool, given: dict[str, Any]) -> dict[str, Any]:
        return tool.answer(self._answers, read_arguments(tool.arguments, given))


async def serve(opened: OpenHistory, port: int | None, told: Callable[[str], None]) -> None:
    """Serve until the client leaves, or until a signal.

    Args:
        opened: What is asked.
        port: Of streamable HTTP at /mcp, 0 for a free one; None serves stdin and stdout.
        told: Is told the address of HTTP once it is taken.

    Raises:
        ConfigInvalid: The SDK is not installed; names the extra.
        OSError: The port is taken.
    """
    server = server_of(opened)
    if port is None:
        from mcp.server.stdio import stdio_server

        async with stdio_server() as (incoming, outgoing):
            await server.run(incoming, outgoing, server.create_initialization_options())
    else:
        await _serve_http(server, port, told)


def server_of(opened: OpenHistory) -> Server[Any]:
    """Return the server with its tools.

    Raises:
        ConfigInvalid: The SDK is not installed; names the extra.
    """
    try:
        import mcp_types as types
        from mcp.server.lowlevel import Server
    except ImportError:
        raise ConfigInvalid("`regimed mcp` needs the extra `mcp`: pip install 'regimed[mcp]'") from None
    desk = Desk(opened)
    tools = [
        types.Tool(
            name=tool.name,
            title=tool.title,
            description=tool.description,
            input_schema=tool.input,
            output_schema=tool.output,
            annotations=types.ToolAnnotations(
                title=tool.title,
                read_only_hint=True,
                destructive_hint=False,
                idempotent_hint=True,
                open_world_hint=False,
            ),
        )
        for tool in TOOLS
    ]

    async def list_tools(_context: Any, _params: Any) -> types.ListToolsResult:
        return types.ListToolsResult(tools=tools)

    async def call_tool(_context: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
        try:
            told = await desk.call(params.name, params.arguments or {})
        except ToolRefused as refused:
            return types.CallToolResult(
                content=[types.TextContent(type="text", text=str(refused))], is_error=True
            )
        text = types.TextContent(type="text", text=orjson.dumps(told).decode())
        return types.CallToolResult(content=[text], structured_content=told)

    return Server(
        "regimed",
        version=version("regimed"),
        instructions=INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


async def _serve_http(server: Server[Any], port: int, told: Callable[[str], None]) -> None:
    """Serve on this machine alone; the SDK refuses foreign Host and Origin headers there."""
    import uvicorn

    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    with listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((HOST, port))
        listening.listen()
        told(f"http://{HOST}:{listening.getsockname()[1]}/mcp")
        config = uvicorn.Config(
            server.streamable_http_app(host=HOST),
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_STOP_S,
        )

        class Serving(uvicorn.Server):
            @contextmanager
            def capture_signals(self) -> Iterator[None]:
                yield  # a signal is an end like any other here, no death by it

        serving = Serving(config)

        async def heed_signals() -> None:
            with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as received:
                async for _ in received:
                    serving.should_exit = True

        async with anyio.create_task_group() as group:
            group.start_soon(heed_signals)
            await serving.serve(sockets=[listening])
            group.cancel_scope.cancel()
