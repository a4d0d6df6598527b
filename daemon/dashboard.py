"""The dashboard of the running daemon: its pages, the files they load, answers sent from them.

Pages are read and drawn in threads of their own. A page is named by the state of the records and by what
the daemon says of itself, so that looking again while nothing happened costs a 304. What goes wrong is a page
as well.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache, partial

import anyio
import structlog
from aiohttp import web
from aiohttp.hdrs import IF_NONE_MATCH

from daemon.advice_page import advice_page
from daemon.answer_form import TOKEN, body_of, sent_form
from daemon.api.actions import Answering
from daemon.api.answers import Answer, AnswerCache, Moments, etag_of
from daemon.api.negotiation import unchanged
from daemon.api.parameters import TIME
from daemon.api.problems import Problem, shown
from daemon.api.sending import not_modified, sent
from daemon.api.threads import Workshop
from daemon.app import App
from daemon.live import live_of
from dashboard.assets import shipped
from dashboard.pages import Advice, Live
from dashboard.reading import PageReader
from dashboard.reading.records import RecordShelf
from dashboard.render import MOST_SPAN, Place, market_page, missing_page, overview_page, policy
from market.errors import DataInvalid
from market.hours import Hour, instant_iso
from market.keys import checked_key
from store.advice import read_advice
from store.decision_files import decision_path

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
ACTOR = "dashboard"
THREADS, WAITING = 2, 16
WARM_AT_ONCE = 25  # markets
CACHE_BYTES = 32_000_000
PAGE_LIMIT_S = 9.0  # less than any request has, so that being late is a page as well
FRESH_S = 1.0
AGES_EVERY_S = 300  # a page that nothing happened to is drawn anew so often: it says how long ago things were
SPAN = timedelta(hours=48)  # of a market's own page; a calendar day would be empty after midnight
_log = structlog.get_logger("dashboard")
NO_NAME = "not a decision's name; expected /decisions/2026-02-02/dec-ETH-USDT-150000"
_REFUSED = "this is not the token; nothing was recorded. Go back and try again."
_PLACE = Place(is_live=True)
_CACHING = "private, no-cache"
_SECURE = {
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # under no-referrer a browser sends `Origin: null` with our own form, as if it were somebody else's
    "Referrer-Policy": "same-origin",
}
_SCRIPT = {
    "Content-Type": "text/javascript; charset=utf-8",
    "Cache-Control": "public, max-age=31536000, immutable",
    **_SECURE,
}


@cache
def _headers() -> Mapping[str, str]:
    return {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": f"{policy(is_live=True)}; frame-ancestors 'none'",
        "Cache-Control": _CACHING,
        "Vary": "Accept, Accept-Encoding",
        **_SECURE,
    }


@dataclass(frozen=True, slots=True)
class Drawn:
    """A page's text, and the advice on it: what of it is open changes by the clock alone."""

    text: str
    advice: Sequence[Advice]


class NotFound(Exception):
    """Raised when there is nothing of that name to show."""


class Dashboard:
    """The pages' state; used on the loop, but for what runs in the workshop."""

    def __init__(self, app: App, answering: Answering | None) -> None:
        self._app, self._answering = app, answering
        self._root = app.store.root
        keys = [market.key for market in app.settings.markets]
        self._reader = PageReader(self._root, keys, app.settings.http.dashboard_backtest)
        self._shelf = RecordShelf(self._root)  # for recommendations that no readable hour names
        self._ends: set[datetime] = set()  # of advice that was shown open
        self._workshop = Workshop(THREADS, WAITING)
        self._cache = AnswerCache(CACHE_BYTES)
        self._stamps: Moments[str] = Moments(app.clock.monotonic, FRESH_S, self._deeds, 1)

    def add_to(self, site: web.Application) -> None:
        """Put the pages onto a site; decisions/ is left to whoever also tells them in plain words."""
        for path, handler in (
            ("/", self.overview),
            ("/markets/{key}", self.market),
            ("/markets/{key}/range", self.range),
            ("/markets/{key}/{day}", self.day),
            ("/markets/{rest:.*}", self.nothing),
            ("/assets/{name}", self.asset),
        ):
            site.router.add_get(path, self._told(path, handler))
        if self._answering is not None:
            path = "/decisions/{date}/{name}"
            site.router.add_post(path, self._told(path, partial(self.answer, self._answering)))
        site.cleanup_ctx.append(self._warmed)

    async def _warmed(self, _: web.Application) -> AsyncIterator[None]:
        task = asyncio.ensure_future(self._warm())
        yield
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        self._workshop.close()

    async def _warm(self) -> None:
        """Read what the overview tells of each market, a few at a time and only while no cycle is under way.

        The first who looks after a start would wait for all of them, and so would everybody behind.
        """
        keys = [market.key for market in self._app.settings.markets]
        for place in range(0, len(keys), WARM_AT_ONCE):
            await self._app.progress.idle()
            few = keys[place : place + WARM_AT_ONCE]
            try:
                await self._workshop.run(partial(self._reader.overview, only=few))
            except Problem:
                return  # so many are looking that they read it themselves
            except Exception:  # noqa: BLE001 who looks is told on the page
                _log.exception("the overview could not be read ahead")
                return

    def _deeds(self) -> int:
        return 0 if self._answering is None else self._answering.deeds

    # -- pages

    async def overview(self, request: web.Request) -> web.Response:
        """All markets."""

        def make(live: Live) -> Drawn:
            found = self._reader.overview(live)
            return Drawn(overview_page(found, _PLACE), found.open_advice)

        return await self._page(request, ("overview",), make)

    async def market(self, request: web.Request) -> web.Response:
        """One market up to its newest judged hour."""
        key = self._key(request)
        newest = self._app.board.markets[key].newest
        if newest is None:
            raise NotFound(f"no hour of {key} is judged yet; the overview says what it waits for")
        return await self._span(request, key, newest.closes_at - SPAN, newest.closes_at)

    async def day(self, request: web.Request) -> web.Response:
        """One UTC day of a market."""
        key, text = self._key(request), request.match_info["day"]
        try:
            day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
            TIME.read(text)  # a day that exists and that records can be of
        except ValueError:
            raise NotFound(f"{shown(text)} is not a day; expected /markets/{key}/2026-02-02") from None

        def make(live: Live) -> Drawn:
            found = self._reader.day(key, day.date(), live)
            return Drawn(market_page(found, _PLACE), found.advice)

        return await self._page(request, ("day", key, text), make)

    async def range(self, request: web.Request) -> web.Response:
        """Any span of a market, in whole hours."""
        key = self._key(request)
        newest = self._app.board.markets[key].newest
        query = request.query
        asked_from = _instant("from", query.get("from", ""))
        last = "last" if query.get("last") else "to"  # `last` is what the form of a page asks for
        asked_to = _instant(last, query.get(last, ""), is_last=True)
        known = self._app.clock.now() if newest is None else newest.closes_at
        end = asked_to or known
        start = asked_from or end - SPAN
        end = min(end, known) if start < known else end
        if not start < end:
            raise Problem(400, f"from {instant_iso(start)} has to lie before to {instant_iso(end)}")
        if end - start > MOST_SPAN:
            raise Problem(400, f"a page shows {MOST_SPAN.days} days at most; ask for a shorter span")
        return await self._span(request, key, start, end)

    async def _span(self, request: web.Request, key: str, start: datetime, end: datetime) -> web.Response:
        def make(live: Live) -> Drawn:
            found = self._reader.market(key, start, end, live)
            return Drawn(market_page(found, _PLACE), found.advice)

        return await self._page(request, ("span", key, start, end), make)

    async def decision(self, request: web.Request) -> web.StreamResponse:
        """A recommendation, with the market as it stood in its hour: where a link in a message leads."""
        return await self._told("/decisions/{date}/{name}", self._decision)(request)

    async def _decision(self, request: web.Request) -> web.Response:
        decision_id = _decision_id(request)
        is_done = "done" in request.query
        make = partial(self._advice_page, decision_id, _PLACE, is_done=is_done)
        return await self._page(request, ("decision", decision_id, is_done), make)

    def _advice_page(self, decision_id: str, place: Place, live: Live, *, is_done: bool = False) -> Drawn:
        """Return the page of one recommendation: it stands where a market's page has the current one."""
        if not (self._root / decision_path(decision_id)).is_file():
            raise NotFound(f"there is no decision {decision_id}")
        try:
            file = read_advice(self._root, decision_id).file
        except (DataInvalid, OSError) as error:
            _log.warning("a decision could not be read", decision=decision_id, error=str(error))
            words = f"the record of {decision_id} cannot be read; regimed verify says why"
            raise Problem(500, words) from None
        market = self._app.board.markets.get(file.market)
        newest = None if market is None else market.newest
        page = advice_page(self._reader, self._shelf, file, newest, live)
        note = _done(page.current) if is_done and page.current is not None else ""
        return Drawn(market_page(page, replace(place, note=note)), page.advice)

    async def nothing(self, request: web.Request) -> web.Response:
        """What has no page."""
        raise NotFound(f"{shown(request.rel_url.raw_path)} is no page; the overview links to all there are")

    async def asset(self, request: web.Request) -> web.Response:
        """A library's file: its name changes with its bytes, so it is asked for once."""
        found = (await self._workshop.run(shipped)).at(request.match_info["name"])
        if found is None:
            raise NotFound("there is no such file; reload the page")
        answer = self._cache.get(found.address) or Answer(found.address, found.text.encode())
        return await sent(request, answer, _SCRIPT, self._workshop, self._cache)

    # -- answers

    async def answer(self, answering: Answering, request: web.Request) -> web.Response:
        """Take the form: recorded, it leads back to the decision; refused, the form says why."""
        decision_id = _decision_id(request)
        fields = await sent_form(request)
        answering.check(fields.get(TOKEN, ""), _REFUSED)  # refused by a small page: drawing one costs more
        try:
            await answering.record(decision_id, body_of(fields), ACTOR)
        except Problem as problem:
            place = replace(_PLACE, form_error=problem.detail)
            make = partial(self._advice_page, decision_id, place, self._live())
            return _page((await self._workshop.run(make)).text, problem.status, problem.headers)
        raise web.HTTPSeeOther(f"/decisions/{decision_id}?done", headers={"Cache-Control": "no-store"})

    # -- how

    def _key(self, request: web.Request) -> str:
        key = request.match_info["key"]
        if key not in self._app.board.markets:
            known = ", ".join(list(self._app.board.markets)[:20])
            raise NotFound(f"there is no market {shown(key)}; configured: {known}")
        return checked_key(key)

    def _live(self) -> Live:
        return live_of(self._app, may_answer=self._answering is not None)

    async def _page(
        self, request: web.Request, name: tuple[object, ...], make: Callable[[Live], Drawn]
    ) -> web.Response:
        live = self._live()
        etag = etag_of(name, await self._stamp(), replace(live, now=self._told_at(live.now)))
        if unchanged(request.headers.get(IF_NONE_MATCH), etag):
            return not_modified(request, etag, _CACHING)
        answer = self._cache.get(etag)
        if answer is None:
            answer = await self._workshop.shared(
                etag, partial(self._make, etag, live.now, partial(make, live))
            )
        return await sent(request, answer, _headers(), self._workshop, self._cache)

    def _told_at(self, now: datetime) -> datetime:
        """Return since when a page tells the same: the last five minutes, or since some advice ran out."""
        floor = now - timedelta(seconds=now.timestamp() % AGES_EVERY_S)
        return max((floor, *(end for end in self._ends if end <= now)))

    async def _make(self, etag: str, now: datetime, make: Callable[[], Drawn]) -> Answer:
        drawn = await self._workshop.run(make)
        ends = {each.expires_at for each in drawn.advice if each.is_open and each.expires_at is not None}
        told_till = now - timedelta(seconds=AGES_EVERY_S)  # the five minutes tell what is older
        self._ends = {end for end in self._ends | ends if end > told_till}
        answer = Answer(etag, drawn.text.encode())
        self._cache.keep(answer)
        return answer

    async def _stamp(self) -> str:
        """Return what the records amount to; asked of the disk once a second, however many look."""
        stamp = self._stamps.get("")
        if stamp is None:
            asked_at, deeds = self._app.clock.monotonic(), self._deeds()
            stamp = await self._workshop.shared("stamp", partial(self._workshop.run, self._reader.stamp))
            self._stamps.keep("", stamp, asked_at, deeds)
        return stamp

    def _told(self, route: str, handler: Handler) -> Handler:
        """Return the handler with its time counted, and whatever goes wrong told as a page."""

        async def told(request: web.Request) -> web.StreamResponse:
            began, status = self._app.clock.monotonic(), 500
            try:
                answer = await self._within(handler, request)
                status = answer.status
                return answer
            except web.HTTPException as error:
                status = error.status
                raise
            finally:
                spent = self._app.clock.monotonic() - began
                self._app.metrics.page_s.labels(route, f"{status // 100}xx").observe(spent)

        return told

    async def _within(self, handler: Handler, request: web.Request) -> web.StreamResponse:
        try:
            with anyio.move_on_after(PAGE_LIMIT_S):
                return await handler(request)
            late = "it took too long; ask for a shorter span, or again in a minute"
            return wrong_page(503, late, {"Retry-After": "60"})
        except Problem as problem:
            return wrong_page(problem.status, problem.detail, problem.headers)
        except (NotFound, DataInvalid) as error:
            return wrong_page(404, error.problem if isinstance(error, DataInvalid) else str(error))
        except web.HTTPException as error:
            if not isinstance(error, web.HTTPRequestEntityTooLarge):
                raise
            return wrong_page(413, "the form is too large; a note has 2,000 letters at most")
        except Exception:  # noqa: BLE001 whatever it was is for the log, not for strangers
            _log.exception("a page failed", path=request.path[:200])
            why = "the log says what it was; regimed verify says whether a record is damaged"
            return wrong_page(500, why)


_TITLES = {
    400: "The address is not understood",
    401: "Not recorded",
    403: "Not from here",
    404: "There is no such page",
    413: "Too large",
    415: "Not a form",
    421: "Not under this name",
    429: "Too many answers",
    500: "Something went wrong here",
    503: "Too much at the moment",
}


def wrong_page(status: int, why: str, headers: Mapping[str, str] | None = None) -> web.Response:
    """Return a small page of what went wrong."""
    return _page(_why(status, why), status, headers)


@lru_cache(maxsize=64)
def _why(status: int, why: str) -> str:
    """Return its text; strangers ask for the same one again and again."""
    return missing_page(_TITLES[status], why, _PLACE)


def _page(body: str, status: int, headers: Mapping[str, str] | None = None) -> web.Response:
    """Return a page that is not kept: what it says is of this moment."""
    told = {**_headers(), "Cache-Control": "no-store", **(headers or {})}
    return web.Response(text=body, status=status, headers=told)


def _instant(name: str, text: str, *, is_last: bool = False) -> datetime | None:
    """Return the whole hour that a bound of a span names; None for an empty field.

    A day that is the last one is included: then it is the hour after it.
    """
    if not text:
        return None
    try:
        at = Hour.of_ts(TIME.read(text)).opens_at
    except ValueError:
        raise Problem.of_parameter(name, text, TIME.expected) from None
    is_day = len(text) == len("2026-02-02")
    return at + timedelta(days=1) if is_last and is_day and "-" in text else at


def _decision_id(request: web.Request) -> str:
    decision_id = f"{request.match_info['date']}/{request.match_info['name']}"
    try:
        decision_path(decision_id)
    except ValueError:
        raise Problem(400, NO_NAME) from None
    return decision_id


def _done(advice: Advice) -> str:
    """Return what was recorded last, as the records have it: an address can be made up, a record cannot."""
    if not advice.answers:
        return ""
    newest = max(advice.answers, key=lambda answer: answer.at)
    return f"Recorded: {newest.action} by {newest.actor}, {newest.at:%Y-%m-%d %H:%M} UTC."
