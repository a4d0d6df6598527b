"""KuCoin spot over REST: candles, ticker, rules, clock, key and account. It reads; it never trades."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

import anyio
from pydantic import TypeAdapter, ValidationError

from exchanges.http import Answer, HttpClient, Transport
from exchanges.kucoin_errors import KEY_REFUSED, unwrapped
from exchanges.kucoin_models import (
    BALANCES,
    CANDLE_ROWS,
    KEY,
    ORDERS,
    SERVER_TIME,
    SYMBOL,
    TICKER,
    KeyAnswer,
    Row,
    candle_of,
)
from exchanges.resilience import SILENT, Observer, Resilience, Sleep
from exchanges.settings import KucoinSettings
from exchanges.signing import Credentials, signed_headers
from market.candles import Candle
from market.errors import AnswerMalformed, ClockRefused, ExchangeRefused, RequestRefused
from market.hours import Timeframe, instant_of_ts
from market.ports import Clock, ClockOffset, SymbolRules
from market.snapshot import Account, Ticker

T = TypeVar("T")

MOST_ROWS = 1500
PAGE_ROWS = MOST_ROWS - 2  # a margin of one candle on both sides: whether the bounds count is not documented
MOST_PAGES = 600
MOST_CLOCK_OFFSET_S = 5.0
_OFFSET_FRESH_S = 300.0
_CLOCK_JUMP_S = 0.5
_KEY_REMEDY = (
    "look at key_file, secret_file, passphrase_file and key_version of exchanges.{name};"
    " without them it needs no key: public market data"
)

CANDLE_TYPES = {
    Timeframe.M1: "1min",
    Timeframe.M5: "5min",
    Timeframe.M15: "15min",
    Timeframe.H1: "1hour",
    Timeframe.H4: "4hour",
}

READS = "General"
WITHDRAWS = "Transfer"
KNOWN_PERMISSIONS = frozenset({READS, WITHDRAWS, "Spot", "Margin", "Futures", "InnerTransfer", "Earn"})


@dataclass(frozen=True, slots=True)
class _MeasuredOffset:
    offset: ClockOffset
    at: datetime
    monotonic: float


class KucoinExchange:
    """The port `market.ports.Exchange` over KuCoin's REST interface.

    Args:
        name: Configured name, for messages.
        credentials: Without them only market data.
        transport: Replaces the network in a test.
        sleep: Waits real seconds between attempts; a test passes its own.
        seed: Of the jitter between attempts.
    """

    def __init__(
        self,
        name: str,
        settings: KucoinSettings,
        clock: Clock,
        *,
        credentials: Credentials | None = None,
        observer: Observer = SILENT,
        transport: Transport | None = None,
        sleep: Sleep = anyio.sleep,
        seed: int | str = 0,
    ) -> None:
        self._name, self._settings, self._clock = name, settings, clock
        self._credentials, self._observer = credentials, observer
        self._http = HttpClient(name, settings.base_url, settings.http, clock, transport)
        self.resilience = Resilience(
            name, self._http.host, settings.resilience, clock, observer, sleep=sleep, seed=seed
        )
        self._rules: dict[str, SymbolRules] = {}
        self._measured: _MeasuredOffset | None = None
        self._measuring = anyio.Lock()
        self._key_is_safe = False

    def __repr__(self) -> str:
        return f"KucoinExchange({self._name!r}, {self._settings.base_url!r}, has_keys={self.has_keys})"

    @property
    def name(self) -> str:
        return self._name

    @property
    def has_keys(self) -> bool:
        return self._credentials is not None

    async def aclose(self) -> None:
        await self._http.aclose()

    async def clock_offset(self) -> ClockOffset:
        """Measure the exchange's clock against ours; both figures in seconds of our clock."""
        data, answer = await self._ask("/api/v1/timestamp", weight=3)
        theirs = instant_of_ts(0) + timedelta(
            milliseconds=self._valid(SERVER_TIME, data, answer, "timestamp")
        )
        round_trip_s = answer.seconds * self._clock.rate
        ahead_s = (answer.sent_at - theirs).total_seconds() + round_trip_s / 2
        offset = ClockOffset(ahead_s, round_trip_s)
        self._measured = _MeasuredOffset(offset, self._clock.now(), self._clock.monotonic())
        return offset

    async def _offset(self) -> ClockOffset:
        async with self._measuring:
            if self._measured is not None and not self._is_stale(self._measured):
                return self._measured.offset
            return await self.clock_offset()

    def _is_stale(self, measured: _MeasuredOffset) -> bool:
        real_s = self._clock.monotonic() - measured.monotonic
        shown_s = (self._clock.now() - measured.at).total_seconds()
        return real_s > _OFFSET_FRESH_S or abs(shown_s - real_s * self._clock.rate) > _CLOCK_JUMP_S

    async def _exchange_ts(self) -> float:
        """Return an instant that the exchange's clock has surely reached, epoch seconds."""
        offset = await self._offset()
        sure = self._clock.now() - timedelta(seconds=offset.ahead_s + offset.round_trip_s / 2)
        return sure.timestamp()

    async def rules(self, symbol: str) -> SymbolRules:
        """Return the market's increments and minima, asked once a symbol.

        Raises:
            ExchangeError: `RequestRefused` for a symbol that the exchange does not have.
        """
        if symbol not in self._rules:
            path = f"/api/v2/symbols/{quote(symbol, safe='')}"
            data, answer = await self._ask(path, weight=4, endpoint="/api/v2/symbols/{symbol}")
            found = self._valid(SYMBOL, data, answer, path).rules()
            if found.symbol != symbol:
                raise AnswerMalformed(self._name, f"GET {path}", f"answer is about {found.symbol!r}")
            self._rules[symbol] = found
        return self._rules[symbol]

    async def ticker(self, symbol: str) -> Ticker:
        """Return best bid, best ask and last trade.

        Raises:
            ExchangeError: See `market.errors`.
        """
        path = "/api/v1/market/orderbook/level1"
        data, answer = await self._ask(path, {"symbol": symbol}, weight=2)
        if data is None:
            raise RequestRefused(self._name, f"GET {path}", f"no ticker for {symbol}")
        return self._valid(TICKER, data, answer, path).ticker()

    async def candles(
        self, symbol: str, timeframe: Timeframe, start_ts: int, end_ts: int
    ) -> Sequence[Candle]:
        """Return the closed candles that open in [start_ts, end_ts), oldest first, each once.

        A candle counts as closed when the exchange's own clock has passed its end before we ask.

        Raises:
            AnswerMalformed: A row outside the asked window, told twice differently, or contradicting itself.
            RequestRefused: Unknown symbol, or a span of more than 600 pages.
            ExchangeError: See `market.errors`.
        """
        step = timeframe.seconds
        closed_ts = timeframe.floor(int(await self._exchange_ts()))
        first, last = timeframe.floor(start_ts + step - 1), min(end_ts, closed_ts)
        pages = range(first, last, PAGE_ROWS * step)
        if len(pages) > MOST_PAGES:
            raise RequestRefused(
                self._name, f"{symbol} {timeframe.value}", f"{len(pages)} pages, at most {MOST_PAGES}"
            )
        candles: list[Candle] = []
        for page_ts in pages:
            page_end = min(page_ts + PAGE_ROWS * step, timeframe.floor(last + step - 1))
            page = await self._page(symbol, timeframe, page_ts - step, page_end)
            candles += (candle for candle in page if page_ts <= candle.ts < min(page_end, last))
        return candles

    async def _page(self, symbol: str, timeframe: Timeframe, start_at: int, end_at: int) -> list[Candle]:
        path = "/api/v1/market/candles"
        query = {
            "symbol": symbol,
            "type": CANDLE_TYPES[timeframe],
            "startAt": str(start_at),
            "endAt": str(end_at),
        }
        data, answer = await self._ask(path, query, weight=3)
        rows = self._valid(CANDLE_ROWS, data, answer, path)
        by_ts = {candle.ts: candle for candle in map(candle_of, rows)}
        fault = _page_fault(rows, timeframe, start_at, end_at) or _figure_fault(by_ts.values())
        if fault:
            raise AnswerMalformed(
                self._name,
                f"GET {path} {symbol} {timeframe.value}",
                f"{fault}; answer: {answer.opening}",
            )
        return [by_ts[ts] for ts in sorted(by_ts)]

    async def check_key(self) -> None:
        """Read the key's permissions; nothing else is signed before this has passed once.

        `General` (reading) is required. Rights to trade are neither required nor refused: this program does
        not use them.

        Raises:
            ExchangeRefused: It can withdraw, has an unknown right, cannot read, or has no IP whitelist.
            ClockRefused: The clocks are too far apart to sign.
            ExchangeError: See `market.errors`.
        """
        path = "/api/v1/user/api-key"
        self._key_is_safe = False
        try:
            data, answer = await self._ask(path, weight=20, signed=True)
        except ExchangeRefused as error:
            if isinstance(error, ClockRefused) or error.code not in KEY_REFUSED:
                raise
            problem = f"{error.problem}; {_KEY_REMEDY.format(name=self._name)}"
            raise ExchangeRefused(self._name, error.request, problem, error.code) from None
        found = self._valid(KEY, data, answer, path)
        if fault := _key_fault(found):
            raise ExchangeRefused(self._name, f"GET {path}", fault)
        self._key_is_safe = True

    async def account(self, symbol: str) -> Account | None:
        """Return base and quote balances and the open orders of the market, None without keys.

        Raises:
            ExchangeRefused: See `check_key`, which runs before the first such call.
            ExchangeError: See `market.errors`.
        """
        if self._credentials is None:
            return None
        if not self._key_is_safe:
            await self.check_key()
        rules = await self.rules(symbol)
        path = "/api/v1/accounts"
        data, answer = await self._ask(path, {"type": "trade"}, weight=5, signed=True)
        balances = self._valid(BALANCES, data, answer, path)
        path = "/api/v1/hf/orders/active"
        data, answer = await self._ask(path, {"symbol": symbol}, weight=2, signed=True)
        orders = self._valid(ORDERS, data or [], answer, path)
        return Account(
            balances=tuple(b.record() for b in balances if b.currency in {rules.base, rules.quote}),
            open_orders=tuple(order.record() for order in orders if order.symbol == symbol),
        )

    async def _ask(
        self,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        weight: int,
        endpoint: str | None = None,
        signed: bool = False,
    ) -> tuple[Any, Answer]:
        """Return the envelope's data and the answer that held it."""
        request = f"GET {path}"
        if signed:
            await self._require_agreeing_clocks(request)

        async def attempt() -> tuple[Any, Answer]:
            answer = await self._observed(endpoint or path, path, query or {}, signed=signed)
            return unwrapped(self._name, request, answer), answer

        return await self.resilience.call(request, attempt, weight=weight, repeatable=True)

    async def _observed(self, endpoint: str, path: str, query: Mapping[str, str], *, signed: bool) -> Answer:
        started, status = self._clock.monotonic(), "failed"
        credentials = self._credentials if signed else None
        try:
            answer = await self._http.get(path, urlencode(query), self._headers(path, query, credentials))
            status = str(answer.status)
        finally:
            seconds = self._clock.monotonic() - started
            self._observer.request_finished(self._name, endpoint, status, seconds)
        if credentials is None:
            return answer
        # An answer may echo the key, and the start of a bad answer goes into the log.
        text = answer.body.decode("utf-8", errors="replace")
        return replace(answer, body=credentials.redacted(text).encode())

    def _headers(
        self, path: str, query: Mapping[str, str], credentials: Credentials | None
    ) -> Mapping[str, str]:
        if credentials is None:
            return {}
        plain_query = "&".join(f"{name}={value}" for name, value in query.items())
        signed_path = f"{path}?{plain_query}" if plain_query else path
        return signed_headers(credentials, self._settings.key_version, self._clock.now(), "GET", signed_path)

    async def _require_agreeing_clocks(self, request: str) -> None:
        if self._credentials is None:
            raise ExchangeRefused(self._name, request, "no credentials are configured")
        offset = await self._offset()
        if abs(offset.ahead_s) > MOST_CLOCK_OFFSET_S:
            raise ClockRefused(
                self._name,
                request,
                f"our clock is {offset.ahead_s:+.1f} s off the exchange's, at most {MOST_CLOCK_OFFSET_S:g} s",
            )

    def _valid(self, form: TypeAdapter[T], data: Any, answer: Answer, path: str) -> T:
        try:
            return form.validate_python(data)
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            place = ".".join(str(part) for part in first["loc"])
            raise AnswerMalformed(
                self._name, f"GET {path}", f"{place or 'data'}: {first['msg']}; answer: {answer.opening}"
            ) from None


def _page_fault(rows: Sequence[Row], timeframe: Timeframe, start_at: int, end_at: int) -> str | None:
    """Return what is wrong with a page as a whole, None if nothing is; the order of rows does not matter."""
    if len(rows) > MOST_ROWS:
        return f"{len(rows)} rows, at most {MOST_ROWS}"
    told: dict[str, Row] = {}
    seconds = timeframe.seconds
    for row in rows:
        ts = int(row[0])
        if not start_at <= ts <= end_at:
            return f"row {ts} lies outside the asked window {start_at} to {end_at}"
        if ts % seconds:
            return f"row {ts} is not the start of a {timeframe.value} candle"
        if told.setdefault(row[0], row) != row:
            return f"row {ts} is told twice, differently"
    return None


def _figure_fault(candles: Iterable[Candle]) -> str | None:
    faults = ((candle.ts, candle.fault()) for candle in candles)
    return next((f"candle {ts}: {fault}" for ts, fault in faults if fault), None)


def _key_fault(key: KeyAnswer) -> str | None:
    if WITHDRAWS in key.permissions:
        return f"the key can withdraw (permission {WITHDRAWS}); make one without it"
    if unknown := key.permissions - KNOWN_PERMISSIONS:
        return f"the key has unknown permissions: {', '.join(sorted(unknown))}"
    if READS not in key.permissions:
        return f"the key cannot read (permission {READS} is missing)"
    if not (key.ip_whitelist or "").strip():
        return "the key has no IP whitelist; restrict it to this machine's addresses"
    return None
