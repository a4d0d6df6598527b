"""Serving a site such that what is no request at all is answered by a problem too, and nobody can fill it up.

Each connection costs a file and memory. Who sends nothing, or half a request, is given up after a while;
before that the oldest of those who ask nothing makes room for the next, so that they keep nobody else out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from aiohttp import web

from daemon.api.problems import Problem

_log = structlog.get_logger("http")
KEEPALIVE_S = 15.0  # also for the first request, and for what is left of one
LINGERING_S = 2.0  # for a body that nobody wants, before the connection is closed
MOST_CONNECTIONS = 200  # well below the files that a process may have open


class _Handler(web.RequestHandler):
    """One connection; its own errors are those that no middleware sees."""

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 it quotes what a stranger sent
    ) -> web.StreamResponse:
        """Return a problem and close: what comes next on this connection cannot be told apart."""
        if status >= 500:
            _log.error("a request failed", status=status, exc_info=exc)
        if request.writer is not None and request.writer.output_size > 0:
            raise ConnectionError("an answer is under way already")
        if status >= 500:
            problem = Problem(500, "the log says what it was")
        else:
            problem = Problem(400, "not HTTP/1.1, or a line or header longer than 8,190 bytes")
        answer = problem.response("/")
        answer.force_close()
        return answer


class _Server(web.Server):
    """All connections, in the order in which they came."""

    def __init__(
        self, handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]], **others: Any
    ) -> None:
        super().__init__(self._noted, **others)
        self._answer = handler
        self._open: dict[web.RequestHandler, asyncio.Transport] = {}
        self._asking: dict[web.RequestHandler, web.BaseRequest] = {}

    async def _noted(self, request: web.BaseRequest) -> web.StreamResponse:
        self._asking[request.protocol] = request
        try:
            return await self._answer(request)
        finally:
            del self._asking[request.protocol]

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        super().connection_made(handler, transport)
        self._open[handler] = transport
        if len(self._open) > MOST_CONNECTIONS:
            oldest = next((each for each in self._open if not self._has_asked(each)), handler)
            self._open.pop(oldest).abort()

    def _has_asked(self, handler: web.RequestHandler) -> bool:
        """Say whether a request came whole and is not answered yet: the client has done its part."""
        request = self._asking.get(handler)
        return request is not None and request.content.is_eof()

    def connection_lost(self, handler: web.RequestHandler, exc: BaseException | None = None) -> None:
        self._open.pop(handler, None)
        super().connection_lost(handler, exc)

    def __call__(self) -> web.RequestHandler:
        return _Handler(self, loop=self._loop, keepalive_timeout=KEEPALIVE_S, lingering_time=LINGERING_S)


class SiteRunner(web.AppRunner):
    """Runs an application; a handler whose client has gone is cancelled."""

    def __init__(self, site: web.Application) -> None:
        super().__init__(site, handle_signals=False, shutdown_timeout=2)

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        return _Server(made.request_handler, request_factory=made.request_factory, handler_cancellation=True)
