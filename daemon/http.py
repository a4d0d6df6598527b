"""The HTTP face: the dashboard, /health, /health/live, /health/ready, /metrics, /decisions/{date}/{id}, /api.

Bounded, local unless told otherwise.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
import orjson
import structlog
from aiohttp import web
from prometheus_client.aiohttp import make_aiohttp_handler

from daemon.api.actions import Answering, read_token
from daemon.api.problems import Problem
from daemon.api.runner import SiteRunner
from daemon.api.site import Sources, add_api
from daemon.app import App
from daemon.dashboard import NO_NAME, Dashboard
from daemon.health import health, live, ready
from daemon.hosts import only_by_name
from daemon.operator import answer
from daemon.settings import Settings
from market.errors import DataInvalid
from store.advice import Deed
from store.decision_files import decision_path
from store.explaining import explained

_log = structlog.get_logger("http")
_APP: web.AppKey[App] = web.AppKey("app")
_READERS: web.AppKey[anyio.CapacityLimiter] = web.AppKey("readers")
REQUEST_LIMIT_S = 10.0
READERS = 2  # records read at the same time; a slow disk must not take the threads that cycles need


def application(app: App) -> web.Application:
    """Return the aiohttp application over the daemon's state."""
    site = web.Application(client_max_size=64 * 1024, middlewares=[_bounded])
    site[_APP] = app
    site[_READERS] = anyio.CapacityLimiter(READERS)
    site.router.add_get("/health", _health)
    site.router.add_get("/health/live", _live)
    site.router.add_get("/health/ready", _ready)
    site.router.add_get("/metrics", make_aiohttp_handler(registry=app.metrics.registry))
    keys = tuple(market.key for market in app.settings.markets)
    clock, answering = app.clock, _answering(app)
    dashboard = Dashboard(app, answering)
    site.router.add_get("/decisions/{date}/{name}", partial(_decision, dashboard))
    dashboard.add_to(site)
    add_api(site, Sources(app.regimes, app.store.root, keys, app.metrics, clock.monotonic, answering))
    site.middlewares.append(only_by_name(_names(app.settings)))  # last: within what tells its refusals
    return site


def _names(settings: Settings) -> Iterator[str]:
    """Yield the names under which an operator's browser reaches this program."""
    yield from (settings.http.host, *settings.http.hosts)
    if settings.notifications.link is not None:
        yield urlsplit(settings.notifications.link).netloc


def _answering(app: App) -> Answering | None:
    """Return what takes answers over HTTP: through the code of the command, where a token is configured."""
    if app.settings.http.token_file is None:
        return None

    async def record(decision_id: str, deed: Deed) -> str:
        return (await answer(app, decision_id, deed)).commit

    return Answering(read_token(app.settings.http.token_file), record, app.clock.now, app.clock.monotonic)


@asynccontextmanager
async def serving(app: App, host: str, port: int) -> AsyncIterator[int]:
    """Serve for as long as the block runs; yields the port, which 0 leaves to the system."""
    runner = SiteRunner(application(app))
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
    late = Problem(503, "the request took too long; ask for less", headers={"Retry-After": "5"})
    return late.response(request.rel_url.raw_path)


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


async def _decision(dashboard: Dashboard, request: web.Request) -> web.StreamResponse:
    """Tell a recommendation, where a link in a message leads: a page to browsers, else `regimed explain`."""
    if "text/html" in request.headers.get("Accept", "").lower():
        return await dashboard.decision(request)
    decision_id = f"{request.match_info['date']}/{request.match_info['name']}"
    try:
        path = decision_path(decision_id)
    except ValueError:
        return _text(NO_NAME, 400)
    root = request.app[_APP].store.root

    def told() -> list[str] | None:
        return explained(root, decision_id) if (root / path).is_file() else None

    try:
        lines = await anyio.to_thread.run_sync(told, abandon_on_cancel=True, limiter=request.app[_READERS])
    except (DataInvalid, OSError) as error:
        _log.warning("a decision could not be read", decision=decision_id, error=str(error))
        return _text(f"the record of {decision_id} cannot be read; regimed verify says why", 500)
    if lines is None:
        return _text(f"there is no decision {decision_id}", 404)
    return _text("\n".join(lines), 200)


def _text(words: str, status: int) -> web.Response:
    """Return words as a plain page: nothing in it is ever run, whatever a note in it says."""
    return web.Response(
        text=f"{words}\n",
        status=status,
        content_type="text/plain",
        charset="utf-8",
        headers={
            "Cache-Control": "no-store",
            "Vary": "Accept",
            "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
            "X-Content-Type-Options": "nosniff",
        },
    )
