"""The API put onto a site: a request is checked by the table, answered from memory, else by a thread."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, TypeVar

import orjson
import structlog
from aiohttp import web
from aiohttp.hdrs import IF_NONE_MATCH
from aiohttp.typedefs import Middleware

from daemon.api import routes
from daemon.api.actions import Answering, body_schema, json_body
from daemon.api.answers import Answer, AnswerCache, Moments, etag_of_bytes
from daemon.api.negotiation import unchanged
from daemon.api.openapi import document
from daemon.api.parameters import read_path, read_query
from daemon.api.problems import SECURE, Problem, problem_of
from daemon.api.records import Records
from daemon.api.regimes import ANSWERS, Question, checked_span, question_of
from daemon.api.routes import Route
from daemon.api.sending import not_modified, sent
from daemon.api.threads import Workshop
from daemon.metrics import Metrics
from daemon.regime_answers import RegimesBusy, Standing, TooMuchToCompute, UnknownMarket
from daemon.regimes import RegimeHistory
from market.errors import DataInvalid
from regime.series import STORED

T = TypeVar("T")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
FRESH_S = 1.0
THREADS = 2
_TRIES = 3
_log = structlog.get_logger("api")


@dataclass(frozen=True, slots=True)
class Sources:
    """What the API answers from.

    Attributes:
        history: Of regimes.
        root: The data repository.
        markets: Keys that are configured.
        metrics: What is counted.
        monotonic: Real seconds.
        answering: Takes what was done about advice; None leaves that route out.
        waiting: Requests that may wait for a thread; one more is told to come again.
        cache_bytes: Answers held in memory.
    """

    history: RegimeHistory
    root: Path
    markets: tuple[str, ...]
    metrics: Metrics
    monotonic: Callable[[], float]
    answering: Answering | None = None
    waiting: int = 32
    cache_bytes: int = 64_000_000


def add_api(site: web.Application, sources: Sources) -> None:
    """Put the routes and what tells errors as problems onto a site."""
    api = _Api(sources)
    site.middlewares.append(api.middleware)
    for route in routes.READING:
        _add(site, route, partial(api.regimes if route.name in ANSWERS else api.records, route))
    if sources.answering is not None:
        _add(site, routes.ACTION, partial(api.act, sources.answering))
    site.router.add_get("/openapi.json", api.description, expect_handler=_no_expectations)
    site.on_cleanup.append(api.close)


def _add(site: web.Application, route: Route, handler: Handler) -> None:
    site.router.add_route(route.method, route.path, handler, expect_handler=_no_expectations)
    if route.method == "GET":
        site.router.add_route("HEAD", route.path, handler, expect_handler=_no_expectations)


async def _no_expectations(request: web.Request) -> None:
    if request.headers.get("Expect", "").lower() != "100-continue":
        told = Problem(417, "expected no Expect header, or 100-continue")
        raise web.HTTPExpectationFailed(
            text=orjson.dumps(told.body(request.rel_url.raw_path)).decode(),
            content_type="application/problem+json",
        )


class _Api:
    """The state behind the routes; used on the loop, but for what runs in the workshop."""

    def __init__(self, sources: Sources) -> None:
        self._sources, self._history = sources, sources.history
        self._workshop = Workshop(THREADS, sources.waiting)
        self._cache = AnswerCache(sources.cache_bytes)
        self._standings: Moments[Standing] = Moments(
            sources.monotonic, FRESH_S, lambda: sources.history.writes, 1024
        )
        self._records = Records(sources.root, sources.history, sources.markets)
        self._known: Moments[str] = Moments(sources.monotonic, FRESH_S, lambda: self._deeds, 1024)
        acting = sources.answering is not None
        body = orjson.dumps(
            document(
                (*routes.READING, routes.ACTION) if acting else routes.READING,
                {routes.ACTION.name: body_schema()} if acting else {},
            )
        )
        self._description = Answer(etag_of_bytes(body), body)
        self._asked = lru_cache(maxsize=2048)(_asked)

    async def close(self, _: web.Application) -> None:
        self._workshop.close()

    @property
    def _deeds(self) -> int:
        answering = self._sources.answering
        return 0 if answering is None else answering.deeds

    # -- requests

    @property
    def middleware(self) -> Middleware:
        """What times the API's requests, and tells every error of the site as a problem."""

        @web.middleware
        async def told(request: web.Request, handler: Handler) -> web.StreamResponse:
            began = self._sources.monotonic()
            answer = await _answered(request, handler)
            resource = request.match_info.route.resource
            name = "unknown" if resource is None else resource.canonical
            if name == "unknown" or name.startswith(("/api/", "/openapi.json")):
                spent = self._sources.monotonic() - began
                self._sources.metrics.api_s.labels(name, f"{answer.status // 100}xx").observe(spent)
            return answer

        return told

    async def description(self, request: web.Request) -> web.Response:
        self._asked((), (), _query(request))
        return await self._response(request, self._description)

    async def regimes(self, route: Route, request: web.Request) -> web.Response:
        asked = self._asked(route.parameters, tuple(request.match_info.items()), _query(request))
        checked_span(asked)
        name = (asked["symbol"], asked["timeframe"])
        standing = self._standings.get(name)
        if standing is None:
            standing = await self._workshop.shared((name, self._history.writes), partial(self._stand, *name))
        question = question_of(route, asked, standing)
        if unchanged(request.headers.get(IF_NONE_MATCH), question.etag):
            return not_modified(request, question.etag)
        answer = self._cache.get(question.etag)
        if answer is None:
            make = partial(self._make, route, asked, question)
            answer = await self._workshop.shared(question.etag or object(), make)
        return await self._response(request, answer)

    async def records(self, route: Route, request: web.Request) -> web.Response:
        asked = self._asked(route.parameters, tuple(request.match_info.items()), _query(request))
        name = (route.name, str(asked))
        etag = self._known.get(name)
        if unchanged(request.headers.get(IF_NONE_MATCH), etag):
            return not_modified(request, etag)
        answer = self._cache.get(etag)
        if answer is None:
            answer = await self._workshop.shared((name, self._deeds), partial(self._read, name, route, asked))
        return await self._response(request, answer)

    async def act(self, answering: Answering, request: web.Request) -> web.Response:
        answering.admit(request)
        asked = self._asked(routes.ACTION.parameters, tuple(request.match_info.items()), _query(request))
        await self._workshop.run(partial(_told, self._records.answers[routes.DECISION.name], asked))
        commit = await answering.record(f"{asked['date']}/{asked['name']}", await json_body(request))
        headers = {"Cache-Control": "no-store", **SECURE}
        return web.Response(
            body=orjson.dumps({"commit": commit}),
            status=201,
            content_type="application/json",
            headers=headers,
        )

    # -- answers

    async def _read(self, name: Any, route: Route, asked: Mapping[str, Any]) -> Answer:
        asked_at, epoch = self._sources.monotonic(), self._deeds
        body = await self._workshop.run(partial(_told, self._records.answers[route.name], asked))
        answer = Answer(etag_of_bytes(body), body)
        self._cache.keep(answer)
        self._known.keep(name, etag_of_bytes(body), asked_at, epoch)
        return answer

    async def _stand(self, symbol: str, timeframe: Any) -> Standing:
        asked_at, epoch = self._sources.monotonic(), self._history.writes
        standing = await self._workshop.run(partial(_told, self._history.standing, symbol, timeframe))
        self._standings.keep((symbol, timeframe), standing, asked_at, epoch)
        return standing

    async def _make(self, route: Route, asked: Mapping[str, Any], question: Question) -> Answer:
        answer = await self._workshop.run(partial(_told, self._made, route, asked, question))
        self._cache.keep(answer)
        return answer

    def _made(self, route: Route, asked: Mapping[str, Any], question: Question) -> Answer:
        """Return an answer under the ETag that held before and after it was made; runs in a thread."""
        etag, tries = None, 0
        while etag is None and tries < _TRIES:
            told = ANSWERS[route.name](self._history, question)
            now = self._history.standing(question.symbol, question.timeframe)
            after = question_of(route, asked, now)
            etag = after.etag if told.as_planned and after.etag == question.etag else None
            tries = tries + 1 if after.etag is not None else _TRIES
            question = after
        self._sources.metrics.api_rows.labels("stored").inc(told.stored)
        self._sources.metrics.api_rows.labels("computed").inc(told.computed)
        return Answer(etag, told.body)

    async def _response(self, request: web.Request, answer: Answer) -> web.Response:
        return await sent(request, answer, _HEADERS, self._workshop, self._cache)


_HEADERS = {"Content-Type": "application/json", "Cache-Control": "no-cache", **SECURE}


def _query(request: web.Request) -> str:
    return request.raw_path.partition("?")[2].partition("#")[0]


def _asked(parameters: Any, path: tuple[tuple[str, str], ...], query: str) -> dict[str, Any]:
    return read_path(parameters, dict(path)) | read_query(parameters, query)


def _told(work: Callable[..., T], *arguments: Any) -> T:
    """Return what `work` gives; what it refuses is a problem."""
    try:
        return work(*arguments)
    except UnknownMarket as error:
        known = ", ".join(error.known[:20]) or "none is recorded"
        raise Problem.of_parameter("symbol", error.key, f"a recorded market: {known}", 404) from None
    except DataInvalid as error:
        _log.warning("a record could not be read", where=error.where, error=str(error))
        raise Problem(500, "the record cannot be read; regimed verify says why") from None
    except TooMuchToCompute as error:
        if error.timeframe in STORED:  # the index is behind: it will hold them
            told = f"{error}, and the index does not hold the others yet; ask again, or for a shorter span"
            raise Problem(503, told, headers={"Retry-After": "60"}) from None
        expected = f"a time at most {error.most_days} days after the start"
        told = f"{error}, because they are not stored; end: expected {expected}"
        raise Problem(400, told, parameter="end", expected=expected) from None
    except RegimesBusy as error:
        raise Problem(503, str(error), headers={"Retry-After": "5"}) from None


async def _answered(request: web.Request, handler: Handler) -> web.StreamResponse:
    path = request.rel_url.raw_path
    try:
        return await handler(request)
    except Problem as problem:
        return problem.response(path)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return problem_of(error).response(path)
    except Exception:  # noqa: BLE001 whatever it was is for the log, not for strangers
        _log.exception("a request failed", path=path[:200])
        return Problem(500, "the log says what it was").response(path)
