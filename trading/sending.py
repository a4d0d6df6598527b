"""Our side of an order: sent once under its name, asked for after a lost answer, its fills booked once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from market.errors import ExchangeUnavailable, RateLimited, RequestRefused
from market.orders import (
    Balance,
    BestPrices,
    Order,
    OrderFill,
    OrderKind,
    OrderRequest,
    OrderSide,
    OrderStatus,
)
from market.ports import TradingExchange
from trading.reasons import Reason


@dataclass(frozen=True, slots=True)
class Sent:
    """An order of ours.

    Attributes:
        request: What was asked for; its client id makes it one order however often it is sent.
        why: Why this order, at this price, by this route: for the record.
        order: As the exchange told it last; None while no answer has come.
        booked: How many of its fills are in the ledger.
        cell: Of a ladder; None for any other order.
    """

    request: OrderRequest
    why: str
    order: Order | None = None
    booked: int = 0
    cell: int | None = None

    @property
    def is_answered(self) -> bool:
        return self.order is not None

    @property
    def is_closed(self) -> bool:
        return self.order is not None and not self.order.is_open


@dataclass(frozen=True, slots=True)
class OrderNote:
    """What happened to an order, as the hour's record tells it.

    Attributes:
        at_ts: Epoch seconds.
        what: `placed`, `filled`, `rejected`, `expired`, `cancelled`, `no answer`.
    """

    at_ts: int
    trade_id: str
    client_id: str
    what: str
    text: str


class Books(Protocol):
    """Who is told, once each, what became of an order."""

    def placed(self, trade_id: str, request: OrderRequest, why: str) -> None: ...

    def filled(self, trade_id: str, request: OrderRequest, fill: OrderFill) -> None: ...

    def ended(self, trade_id: str, client_id: str, outcome: str) -> None: ...


@dataclass(slots=True)
class Line:
    """How one kind of calls went.

    Attributes:
        answered: Whether any was answered.
        errors: How many failed since the last one that was answered.
    """

    answered: bool = False
    errors: int = 0

    def heard(self) -> None:
        """Take in that a call was answered."""
        self.answered, self.errors = True, 0

    @property
    def was_used(self) -> bool:
        """Whether any call was made."""
        return self.answered or self.errors > 0


class Sending:
    """Carries orders to an exchange and what becomes of them to the books.

    Attributes:
        notes: What happened, in order.
        orders: How calls about orders went.
        reads: How calls that only read went.
        unanswered: Trades of which something is not known: their last call was not answered.
    """

    def __init__(self, exchange: TradingExchange, books: Books) -> None:
        self._exchange, self._books = exchange, books
        self.notes: list[OrderNote] = []
        self.orders, self.reads = Line(), Line()
        self.unanswered: set[str] = set()

    async def carried(self, sent: Sent, trade_id: str, ts: int) -> Sent:
        """Place what has no answer, ask for what is open; what nobody answers stays as it is."""
        if sent.is_closed:
            return sent
        try:
            if sent.order is None:
                order = await self._exchange.place(sent.request)
            else:
                asked = await self._exchange.order(sent.request.client_id)
                order = sent.order if asked is None else asked
        except (ExchangeUnavailable, RateLimited) as error:
            self._not_answered(sent, trade_id, ts, error)
            return sent
        self.orders.heard()
        return self._taken(sent, order, trade_id, ts)

    async def cancelled(self, sent: Sent, trade_id: str, ts: int) -> Sent:
        """Take an order back; what it was filled before is booked. Unanswered, it stays open."""
        if sent.is_closed:
            return sent
        try:
            order = await self._exchange.cancel(sent.request.client_id)
        except RequestRefused:
            if sent.order is not None:
                raise  # it was there, and an exchange does not forget an open order
            return await self._never_placed(sent, trade_id, ts)
        except (ExchangeUnavailable, RateLimited) as error:
            self._not_answered(sent, trade_id, ts, error)
            return sent
        self.orders.heard()
        return self._taken(sent, order, trade_id, ts)

    async def prices(self, key: str) -> BestPrices | None:
        """Return the best prices, None where the exchange does not tell them now."""
        try:
            found = await self._exchange.best_prices(key)
        except (ExchangeUnavailable, RateLimited):
            self.reads.errors += 1
            return None
        self.reads.heard()
        return found

    async def balances(self) -> Mapping[str, Balance] | None:
        """Return the account, None where the exchange does not tell it now."""
        try:
            found = await self._exchange.balances()
        except (ExchangeUnavailable, RateLimited):
            self.reads.errors += 1
            return None
        self.reads.heard()
        return found

    async def _never_placed(self, sent: Sent, trade_id: str, ts: int) -> Sent:
        """Place it and take it back, so that no late arrival of the first request can revive the name."""
        placed = await self.carried(sent, trade_id, ts)
        return placed if placed.order is None else await self.cancelled(placed, trade_id, ts)

    def _taken(self, sent: Sent, order: Order, trade_id: str, ts: int) -> Sent:
        if sent.order is None:
            self._books.placed(trade_id, sent.request, sent.why)
            if order.refusal is None:
                self._note(ts, trade_id, sent, "placed", f"{_told(sent.request)}: {sent.why}")
        for fill in order.fills[sent.booked :]:
            self._books.filled(trade_id, sent.request, fill)
            role = "maker" if fill.maker else "taker"
            self._note(fill.ts, trade_id, sent, "filled", f"{fill.size} at {fill.price} as {role}")
        if not order.is_open:
            self._books.ended(trade_id, sent.request.client_id, order.status.value)
        if not order.is_open and order.status is not OrderStatus.FILLED:
            words = "" if order.refusal is None else f"{_told(sent.request)}: {order.problem}"
            code = f" (code {order.code})" if order.code else ""
            self._note(ts, trade_id, sent, order.status.value, f"{words}{code}")
        return replace(sent, order=order, booked=len(order.fills))

    def _not_answered(self, sent: Sent, trade_id: str, ts: int, error: Exception) -> None:
        self.orders.errors += 1
        self.unanswered.add(trade_id)
        self._note(ts, trade_id, sent, "no answer", f"{Reason.ANSWER_LOST}: {error}")

    def _note(self, ts: int, trade_id: str, sent: Sent, what: str, text: str) -> None:
        self.notes.append(OrderNote(ts, trade_id, sent.request.client_id, what, text))


def market_sale(client_id: str, key: str, size: int, increment: int) -> OrderRequest:
    """Return a sale at whatever the market pays."""
    return OrderRequest(client_id, key, OrderSide.SELL, OrderKind.MARKET, increment, size)


def _told(request: OrderRequest) -> str:
    kind = "post-only limit" if request.post_only else request.kind.value
    stop = "" if request.stop_price is None else f", stop {request.stop_price}"
    return f"{request.side.value} {request.size} {kind} at {request.price}{stop}"
