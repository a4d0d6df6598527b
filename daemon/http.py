"""The HTTP face: /health, /health/live, /health/ready, /metrics. Bounded, local unless told otherwise."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio
import orjson
from aiohttp import web
from prometheus_client.aiohttp import make_aiohttp_handler

from daemon.app import App
from daemon.health import health, live, ready

_APP: web.AppKey[App] = web.AppKey("app")
REQUEST_LIMIT_S = 10.0


def application(app: App) -> web.Application:
    """Return the aiohttp application over the daemon's state."""
    site = web.Application(client_max_size=64 * 1024, middlewares=[_bounded])
    site[_APP] = app
    site.router.add_get("/health", _health)
    site.router.add_get("/health/live", _live)
    site.router.add_get("/health/ready", _ready)
    site.router.add_get("/metrics", make_aiohttp_handler(registry=app.metrics.registry))
    return site


@asynccontextmanager
async def serving(app: App, host: str, port: int) -> AsyncIterator[int]:
    """Serve for as long as the block runs; yields the port, which 0 leaves to the system."""
    runner = web.AppRunner(application(app), handle_signals=False, keepalive_timeout=15, shutdown_timeout=2)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        bound: int = runner.addresses[0][1]
        yield bound
    finally:
        with anyio.CancelScope(shield=True):
            await runner.cleanup()


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def _bounded(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer in time or say so; errors never show their insides."""
    with anyio.move_on_after(REQUEST_LIMIT_S):
        return await handler(request)
    return _json({"status": 503, "title": "the request took too long"}, 503, "application/problem+json")


def _json(content: object, status: int, kind: str = "application/json") -> web.Response:
    return web.Response(
        body=orjson.dumps(content, option=orjson.OPT_INDENT_2),
        status=status,
        content_type=kind,
        headers={"Cache-Control": "no-store"},
    )


async def _health(request: web.Request) -> web.Response:
    page = health(request.app[_APP])
    return _json(page, 503 if page["status"] == "fail" else 200, "application/health+json")


async def _live(request: web.Request) -> web.Response:
    alive, hung = live(request.app[_APP])
    return _json({"status": "pass" if alive else "fail", "output": "; ".join(hung)}, 200 if alive else 503)


async def _ready(request: web.Request) -> web.Response:
    fine, why = ready(request.app[_APP])
    return _json({"status": "pass" if fine else "fail", "output": why}, 200 if fine else 503)
