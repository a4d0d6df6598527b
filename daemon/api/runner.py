"""Serving a site such that also what is no request at all is answered by a problem."""

from __future__ import annotations

import structlog
from aiohttp import web

from daemon.api.problems import Problem

_log = structlog.get_logger("http")
_KEEPALIVE_S = 15.0


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
    def __call__(self) -> web.RequestHandler:
        return _Handler(self, loop=self._loop, keepalive_timeout=_KEEPALIVE_S)


class SiteRunner(web.AppRunner):
    """Runs an application; a handler whose client has gone is cancelled."""

    def __init__(self, site: web.Application) -> None:
        super().__init__(site, handle_signals=False, shutdown_timeout=2)

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        return _Server(made.request_handler, request_factory=made.request_factory, handler_cancellation=True)
