"""An order as the simulated exchange keeps it: with what it holds, and how it meets the next minute."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pydantic import ConfigDict

from market.costs import PPM, OrderCosts, fee_on
from market.orders import CASH_SCALE, Order, OrderFill, OrderKind, OrderSide, OrderStatus, OrderTerms


@dataclass(frozen=True, slots=True)
class WorkingOrder:
    """An order that is open, or has just ceased to be.

    Attributes:
        held: Cash units that a buy holds, base units that a sale holds; 0 once closed.
        taking: It takes at the open of the next minute that has trade: a market order, a limit order that
            crossed when it was placed, an OCO whose stop was reached.
        maker_ppm, taker_ppm: Fees of the moment at which it was placed; it pays no others.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    order: Order
    held: int
    taking: bool
    maker_ppm: int
    taker_ppm: int

    @classmethod
    def of(cls, order: Order, terms: OrderTerms, costs: OrderCosts, *, taking: bool) -> WorkingOrder:
        """Return the open order with what it holds: the most that it can cost."""
        request = order.request
        held = request.size
        if request.side is OrderSide.BUY:
            notional = terms.cash_paid(request.price, request.size)
            held = notional + fee_on(notional, max(costs.maker_ppm, costs.taker_ppm))
        return cls(order, held, taking, costs.maker_ppm, costs.taker_ppm)

    @property
    def expires_ts(self) -> int | None:
        """Return the instant at which what is left expires, None for never."""
        ttl_s = self.order.request.ttl_s
        return None if ttl_s is None else self.order.placed_ts + ttl_s

    def closed(self, status: OrderStatus, ts: int) -> WorkingOrder:
        """Return the order closed at `ts`, holding nothing."""
        return replace(self, order=replace(self.order, status=status, closed_ts=ts), held=0)

    def filled(
        self, terms: OrderTerms, ts: int, *, price: int, seen: int, size: int, maker: bool
    ) -> WorkingOrder:
        """Return the order after one more fill; filled whole, it is closed.

        Cash and fee are rounded against us once for all that the order has filled so far, not once a fill:
        so an order in many parts never costs more than it held.

        Args:
            ts: Close of the minute.
            price: What is paid or received a coin.
            seen: What the market's price was.
        """
        order, buys = self.order, self.order.request.side is OrderSide.BUY
        unit = terms.price_scale * terms.base_scale
        before = sum(fill.price * fill.size for fill in order.fills) * CASH_SCALE
        cash = _rounded(before + price * size * CASH_SCALE, unit, up=buys) - _rounded(before, unit, up=buys)
        gap = abs(price - seen) * size * CASH_SCALE // unit
        owed = sum(fill.cash * self._rate(maker=fill.maker) for fill in order.fills)
        fee = _rounded(owed + cash * self._rate(maker=maker), PPM, up=True) - _rounded(owed, PPM, up=True)
        fill = OrderFill(
            ts=ts,
            price=price,
            seen=seen,
            size=size,
            cash=cash,
            seen_cash=cash - gap if buys else cash + gap,
            fee=fee,
            maker=maker,
            stopped=order.request.kind is OrderKind.OCO and not maker,
        )
        held = self.held - (cash + fee if buys else size)
        whole, fills = size == order.left, (*order.fills, fill)
        if whole:
            after = replace(order, fills=fills, status=OrderStatus.FILLED, closed_ts=ts)
        else:
            after = replace(order, fills=fills)
        return replace(self, order=after, held=0 if whole else held)

    def _rate(self, *, maker: bool) -> int:
        return self.maker_ppm if maker else self.taker_ppm


def _rounded(amount: int, unit: int, *, up: bool) -> int:
    return -(-amount // unit) if up else amount // unit
