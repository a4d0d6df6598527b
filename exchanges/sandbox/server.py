"""The REST server: KuCoin's reading endpoints over a market that is known in advance."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import unquote_plus

import orjson
from aiohttp import web
from pydantic import ValidationError

from exchanges.sandbox import answers
from exchanges.sandbox.answers import MarketAnswers, Refused, Visit
from exchanges.sandbox.book import CandleBook
from exchanges.sandbox.faults import Fault, Script
from exchanges.sandbox.keys import EXAMPLE_KEYS, Refusal, SandboxKey, identified
from exchanges.sandbox.market import SandboxMarket
from exchanges.sandbox.trouble import TOO_MANY, damaged, refusal_answer, replacement
from market.ports import Clock

QUOTA_WINDOW_S = 30

Answering = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Sandbox:
    """A KuCoin-compatible exchange.

    Args:
        market: Its candles.
        clock: Its time; candles, tickers and `/api/v1/timestamp` follow it.
        keys: Accounts that may sign.
        faults: What goes wrong from the start; `script` takes more.
        signing_now: What the timestamp of a signed request is compared with; the clock when left out. An
            official client signs with the wall clock, whatever time the sandbox plays.
        quota: Weight allowed in 30 real seconds; None tells of KuCoin's 2000 but enforces nothing.
    """

    def __init__(
        self,
        market: SandboxMarket,
        clock: Clock,
        *,
        keys: Iterable[SandboxKey] = EXAMPLE_KEYS,
        faults: Iterable[Fault] = (),
        signing_now: Callable[[], datetime] | None = None,
        quota: int | None = None,
    ) -> None:
        self._kind, self._clock = market.kind, clock
        self._market = MarketAnswers(CandleBook(market), {rules.symbol: rules for rules in market.symbols})
        self._keys = {key.credentials.key.get_secret_value(): key for key in keys}
        self._signing_now = signing_now or clock.now
        self._quota, self._window, self._used = quota, -1, 0
        self._closing = asyncio.Event()
        self.script = Script(faults)
        self.requests: deque[str] = deque(maxlen=10_000)

    def app(self) -> web.Application:
        """Return the application; closing it ends hanging answers."""
        market = self._market
        app = web.Application()
        public = {
            "/api/v1/timestamp": (3, lambda visit: visit.now_ms),
            "/api/v1/status": (3, lambda _: {"status": "open", "msg": ""}),
            "/api/v1/market/candles": (3, market.candles),
            "/api/v1/market/orderbook/level1": (2, market.ticker),
            "/api/v1/market/orderbook/level2_20": (2, market.order_book),
            "/api/v1/market/allTickers": (15, market.all_tickers),
            "/api/v1/market/stats": (15, market.stats),
            "/api/v2/symbols": (4, market.symbols),
            "/api/v2/symbols/{value}": (4, market.symbol),
            "/api/v3/currencies": (3, market.currencies),
        }
        private = {
            "/api/v1/user/api-key": (20, answers.api_key),
            "/api/v1/accounts": (5, answers.accounts),
            "/api/v1/orders": (2, answers.orders_page),
            "/api/v1/hf/orders/active": (2, lambda _: []),
        }
        for path, (weight, tell) in public.items():
            app.router.add_get(path, self._answering(weight, tell))
        for path, (weight, tell) in private.items():
            app.router.add_get(path, self._answering(weight, tell, private=True))
        app.router.add_get("/sandbox", self._about)
        app.router.add_get("/sandbox/faults", self._list_faults)
        app.router.add_post("/sandbox/faults", self._add_fault)
        app.router.add_delete("/sandbox/faults", self._clear_faults)
        app.router.add_route("*", "/{anything:.*}", self._unknown)
        app.on_shutdown.append(self._close)
        app.on_response_prepare.append(self._label)
        return app

    def _answering(self, weight: int, tell: Callable[[Visit], Any], *, private: bool = False) -> Answering:
        async def answer(request: web.Request) -> web.StreamResponse:
            self.requests.append(request.path)
            symbol = request.query.get("symbol") or request.match_info.get("value")
            faults = self.script.striking(request.path, symbol, self._clock.now().timestamp())
            for fault in faults:
                instead = await replacement(request, fault, self._closing)
                if instead is not None:
                    return instead
            skew = timedelta(seconds=sum(f.seconds for f in faults if f.kind == "clock_skew"))
            visit = Visit(
                dict(request.query), request.match_info.get("value", ""), self._clock.now() + skew, faults
            )
            headers = self._quota_headers(weight)
            if self._quota is not None and self._used > self._quota:
                return refusal_answer(TOO_MANY, headers)
            try:
                data = tell(replace(visit, key=self._signer(request, skew)) if private else visit)
            except Refused as refused:
                return refusal_answer(refused.refusal, headers)
            told = data if isinstance(data, bytes) else orjson.dumps(data)
            body = damaged(b'{"code":"200000","data":' + told + b"}", faults)
            return web.Response(body=body, content_type="application/json", headers=headers)

        return answer

    def _signer(self, request: web.Request, skew: timedelta) -> SandboxKey:
        raw_query = request.rel_url.raw_query_string
        path = f"{request.path}?{unquote_plus(raw_query)}" if raw_query else request.path
        found = identified(self._keys, request.headers, self._signing_now() + skew, path, request.remote)
        if isinstance(found, Refusal):
            raise Refused(found)
        return found

    def _quota_headers(self, weight: int) -> dict[str, str]:
        now = self._clock.monotonic()
        if int(now // QUOTA_WINDOW_S) != self._window:
            self._window, self._used = int(now // QUOTA_WINDOW_S), 0
        self._used += weight
        limit = 2000 if self._quota is None else self._quota
        return {
            "gw-ratelimit-limit": str(limit),
            "gw-ratelimit-remaining": str(max(0, limit - self._used)),
            "gw-ratelimit-reset": str(int((QUOTA_WINDOW_S - now % QUOTA_WINDOW_S) * 1000)),
        }

    async def _label(self, _: web.Request, response: web.StreamResponse) -> None:
        response.headers["X-Regimed-Sandbox"] = self._kind

    async def _close(self, _: web.Application) -> None:
        self._closing.set()

    async def _about(self, _: web.Request) -> web.Response:
        return web.json_response(
            {
                "sandbox": "regimed",
                "market": self._kind,
                "note": "this is not KuCoin, and nothing here trades",
                "now": self._clock.now().isoformat(),
                "symbols": [rules["symbol"] for rules in self._market.symbols()],
            }
        )

    async def _list_faults(self, _: web.Request) -> web.Response:
        return web.json_response([fault.model_dump(exclude_defaults=True) for fault in self.script.faults])

    async def _add_fault(self, request: web.Request) -> web.Response:
        try:
            fault = Fault.model_validate_json(await request.read())
        except ValidationError as error:
            return web.json_response(
                {"errors": error.errors(include_url=False, include_context=False)}, status=422
            )
        self.script.add(fault)
        return web.json_response(fault.model_dump(exclude_defaults=True), status=201)

    async def _clear_faults(self, _: web.Request) -> web.Response:
        self.script.clear()
        return web.Response(status=204)

    async def _unknown(self, _: web.Request) -> web.Response:
        return refusal_answer(Refusal(404, "404000", "Url Not Found"))
