"""The outside, as the house sees it. Everything that does I/O implements one of these."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from market.candles import Candle
from market.hours import Timeframe
from market.orders import Balance, BestPrices, Order, OrderRequest
from market.snapshot import Account, Ticker


class Clock(Protocol):
    """The one source of time. `now` may run faster than the wall clock, or be set by a test."""

    @property
    def rate(self) -> float:
        """Seconds of `now` per second of `monotonic`; 1 is real time, 0 stands still until it is set."""

    def now(self) -> datetime:
        """Return the instant, aware, UTC: due times, ages of data, record instants."""

    def monotonic(self) -> float:
        """Return real seconds for deadlines, back-off and durations."""


@dataclass(frozen=True, slots=True)
class SymbolRules:
    """What an exchange demands of prices and sizes in one market; exact decimals."""

    symbol: str
    base: str
    quote: str
    price_increment: Decimal
    base_increment: Decimal
    base_min_size: Decimal
    min_funds: Decimal
    trading: bool


@dataclass(frozen=True, slots=True)
class ClockOffset:
    """How far our clock is ahead of the exchange's, round-trip corrected.

    Attributes:
        ahead_s: Ours minus theirs; positive when our clock runs ahead.
        round_trip_s: Duration of the measuring request; the error is at most half of it.
    """

    ahead_s: float
    round_trip_s: float


class CandleSource(Protocol):
    """Where closed candles come from: an exchange, or recorded files."""

    async def candles(
        self, symbol: str, timeframe: Timeframe, start_ts: int, end_ts: int
    ) -> Sequence[Candle]:
        """Return the closed candles that open in [start_ts, end_ts), oldest first, each once.

        A candle is closed when its end is at or before the source's own time. What the source does not
        have is left out. Long spans are fetched in pages, bounded.

        Raises:
            ExchangeError: See `market.errors` for what to do next.
        """


class Exchange(CandleSource, Protocol):
    """One exchange, spot."""

    @property
    def name(self) -> str: ...

    @property
    def has_keys(self) -> bool: ...

    async def clock_offset(self) -> ClockOffset:
        """Measure the exchange's clock against ours."""

    async def rules(self, symbol: str) -> SymbolRules:
        """Return the market's increments and minima (cached after the first call)."""

    async def ticker(self, symbol: str) -> Ticker: ...

    async def check_key(self) -> None:
        """Read the key's permissions before anything is signed.

        Raises:
            ExchangeRefused: It can withdraw, has an unknown right, or no IP whitelist.
        """

    async def account(self, symbol: str) -> Account | None:
        """Return balances and open orders of the market, None without keys."""

    async def aclose(self) -> None: ...


class TradingExchange(Protocol):
    """Where orders go: the mock of a backtest, paper over live prices, and, one day, an exchange.

    Every call may raise ExchangeUnavailable or RateLimited, and then nobody knows what became of it: the
    order is asked for by its client id, or placed again under the same one, which is one order.
    """

    async def place(self, request: OrderRequest) -> Order:
        """Return what became of the order; one that is refused comes back rejected, with the code and words.

        A client id that is known returns the order of that name as it stands, whatever is asked now.
        """

    async def cancel(self, client_id: str) -> Order:
        """Return the order after it was cancelled; one that is closed already, as it is.

        Raises:
            RequestRefused: No order of this name.
        """

    async def order(self, client_id: str) -> Order | None:
        """Return the order of this name, None where there is none."""

    async def open_orders(self, key: str | None = None) -> tuple[Order, ...]:
        """Return the orders that are open, in the order in which they were placed."""

    async def balances(self) -> Mapping[str, Balance]:
        """Return every coin of the account."""

    async def best_prices(self, key: str) -> BestPrices | None:
        """Return the best bid and ask, None before anything is known of the market."""


class SimulatedTime(TradingExchange, Protocol):
    """An exchange whose time is moved by whoever drives it, minute by minute."""

    @property
    def now_ts(self) -> int:
        """Epoch seconds, a whole minute."""

    def next_change(self, until_ts: int) -> int | None:
        """Return the first minute's end in (now_ts, until_ts] at which an open order would change."""

    def advance(self, to_ts: int) -> None:
        """Let all minutes up to `to_ts` happen, one after the other."""
