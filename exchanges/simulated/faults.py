"""An exchange that misbehaves by plan: what a strategy and its execution must live through.

The same plan gives the same trouble. It stands before any trading exchange; time, where there is a simulated
one, passes through unharmed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol, TypeVar

from market.errors import ExchangeUnavailable, RateLimited
from market.orders import Balance, BestPrices, Order, OrderRequest
from market.ports import SimulatedTime, TradingExchange

NAME = "faulty exchange"
RETRY_AFTER_S = 1.0

Answer = TypeVar("Answer")


class Fault(StrEnum):
    """What befalls one call.

    OUTAGE and RATE_LIMIT keep it from the exchange; with ANSWER_LOST the exchange does what was asked, and
    nobody learns of it; STALE answers best prices with those of the last time (of other calls, nothing).
    """

    OUTAGE = "outage"
    RATE_LIMIT = "rate_limit"
    ANSWER_LOST = "answer_lost"
    STALE = "stale"


class FaultPlan(Protocol):
    def strikes(self, call: str, number: int) -> Fault | None:
        """Return what befalls a call, None for nothing.

        Args:
            call: Name of the port's method.
            number: How many calls came before, of all methods.
        """


@dataclass(frozen=True, slots=True)
class ScriptedFaults:
    """Faults by the number of the call."""

    by_number: Mapping[int, Fault]

    def strikes(self, call: str, number: int) -> Fault | None:  # noqa: ARG002 - the port's signature
        """Return what the script says of this call."""
        return self.by_number.get(number)


@dataclass(frozen=True, slots=True)
class SeededFaults:
    """Faults drawn for each call by itself.

    Attributes:
        shares: Probability of each fault; together 1 at most.
    """

    seed: int
    shares: Mapping[Fault, float]

    def strikes(self, call: str, number: int) -> Fault | None:
        """Return what was drawn for this call."""
        name = f"{self.seed}:{number}:{call}".encode()
        drawn = int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "big") / 2**64
        for fault in Fault:
            drawn -= self.shares.get(fault, 0.0)
            if drawn < 0:
                return fault
        return None


@dataclass(slots=True)
class FaultyExchange:
    """A trading exchange with trouble before it."""

    inner: TradingExchange
    plan: FaultPlan
    calls: int = 0
    _last_best: dict[str, BestPrices | None] = field(default_factory=dict)

    async def place(self, request: OrderRequest) -> Order:
        """Place, unless the plan says otherwise."""
        fault = self._before("place")
        return self._after(fault, "place", await self.inner.place(request))

    async def cancel(self, client_id: str) -> Order:
        """Cancel, unless the plan says otherwise."""
        fault = self._before("cancel")
        return self._after(fault, "cancel", await self.inner.cancel(client_id))

    async def order(self, client_id: str) -> Order | None:
        """Return the order, unless the plan says otherwise."""
        fault = self._before("order")
        return self._after(fault, "order", await self.inner.order(client_id))

    async def open_orders(self, key: str | None = None) -> tuple[Order, ...]:
        """Return the open orders, unless the plan says otherwise."""
        fault = self._before("open_orders")
        return self._after(fault, "open_orders", await self.inner.open_orders(key))

    async def balances(self) -> Mapping[str, Balance]:
        """Return the balances, unless the plan says otherwise."""
        fault = self._before("balances")
        return self._after(fault, "balances", await self.inner.balances())

    async def best_prices(self, key: str) -> BestPrices | None:
        """Return the best prices, unless the plan says otherwise; stale ones are those of the last answer."""
        fault = self._before("best_prices")
        if fault is not Fault.STALE or key not in self._last_best:
            self._last_best[key] = await self.inner.best_prices(key)
        return self._after(fault, "best_prices", self._last_best[key])

    def _before(self, call: str) -> Fault | None:
        fault = self.plan.strikes(call, self.calls)
        self.calls += 1
        if fault is Fault.OUTAGE:
            raise ExchangeUnavailable(NAME, call, "outage by plan")
        if fault is Fault.RATE_LIMIT:
            raise RateLimited(NAME, call, RETRY_AFTER_S, own_quota=True, code="429000")
        return fault

    @staticmethod
    def _after(fault: Fault | None, call: str, answer: Answer) -> Answer:
        if fault is Fault.ANSWER_LOST:
            raise ExchangeUnavailable(NAME, call, "answer lost by plan")
        return answer


@dataclass(slots=True)
class FaultySimulation(FaultyExchange):
    """The same before an exchange of simulated time."""

    inner: SimulatedTime

    @property
    def now_ts(self) -> int:
        """Epoch seconds, a whole minute."""
        return self.inner.now_ts

    def next_change(self, until_ts: int) -> int | None:
        """Return when an open order would change next."""
        return self.inner.next_change(until_ts)

    def advance(self, to_ts: int) -> None:
        """Let time pass."""
        self.inner.advance(to_ts)
