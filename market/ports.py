"""The outside, as the house sees it. Everything that does I/O implements one of these."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from market.candles import Candle
from market.hours import Timeframe
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
