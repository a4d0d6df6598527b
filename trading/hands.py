"""What a plan needs of the desk while it works its orders."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from decisions.inputs import MarketCosts
from market.orders import CASH_SCALE, OrderKind, OrderRequest, OrderSide, OrderTerms
from trading.execution_config import ExecutionConfig
from trading.sending import OrderNote, Sending, Sent, market_sale

REFUSED_WAIT_S = 900
FRESH_S = 300  # a price older than that is no price to trade on


@dataclass(frozen=True, slots=True)
class Hands:
    """The desk as a plan sees it.

    Attributes:
        held: Base units that the ledger holds for a trade.
        minute_turnover: Quote value of an ordinary minute by market; what taking is expected to cost depends
            on it.
        lows: Lowest price of each market since the plans were last looked at; empty where no time has passed.
    """

    sending: Sending
    config: ExecutionConfig
    terms: Mapping[str, OrderTerms]
    costs: Mapping[str, MarketCosts]
    held: Callable[[str], int]
    minute_turnover: Mapping[str, float]
    lows: Mapping[str, int] = field(default_factory=dict)

    async def reached(self, key: str, level: int) -> bool:
        """Say whether the price came down to a level since the last look, or stands below it now."""
        if key in self.lows and self.lows[key] <= level:
            return True
        best = await self.sending.prices(key)
        return best is not None and best.ask <= level

    def note(self, ts: int, trade_id: str, what: str, text: str) -> None:
        """Tell the hour's record something that is no answer of the exchange."""
        self.sending.notes.append(OrderNote(ts, trade_id, "", what, text))


@dataclass(frozen=True, slots=True)
class Leaving:
    """The way out at the market: whatever it takes, until nothing is held.

    Attributes:
        sent: The order under way; None before the first.
        orders: How many orders the trade has sent, the number of the next.
    """

    sent: Sent | None
    orders: int


async def left(leaving: Leaving, key: str, trade_id: str, hands: Hands, ts: int) -> tuple[Leaving, bool]:
    """Sell what is held; says whether nothing is held any more.

    What is too little to be sold is first made up to the least that can be: a rest that nobody buys would
    bind the market for ever.
    """
    sent = leaving.sent
    if sent is not None:
        sent = await hands.sending.carried(sent, trade_id, ts)
        if not sent.is_closed or _was_refused_lately(sent, ts):
            return replace(leaving, sent=sent), False
    held = hands.held(trade_id)
    if held == 0:
        return replace(leaving, sent=sent), True
    request = await _way_out(f"{trade_id}/{leaving.orders + 1}", key, held, hands)
    if request is None:
        return replace(leaving, sent=sent), False
    why = "out at the market" if request.side is OrderSide.SELL else "made up to what can be sold"
    sent = await hands.sending.carried(Sent(request, why), trade_id, ts)
    return Leaving(sent, leaving.orders + 1), False


async def _way_out(client_id: str, key: str, held: int, hands: Hands) -> OrderRequest | None:
    """Return the next order on the way out, None where no price is known."""
    terms, best = hands.terms[key], await hands.sending.prices(key)
    if best is None:
        return None
    if is_sellable(held, best.bid, terms):
        return market_sale(client_id, key, held, terms.price_increment)
    bound = best.ask + best.ask // 50
    bound += -bound % terms.price_increment
    return OrderRequest(client_id, key, OrderSide.BUY, OrderKind.MARKET, bound, least_size(best.bid, terms))


def _was_refused_lately(sent: Sent, ts: int) -> bool:
    """Say whether the same order would be refused again: nobody is served by a thousand of them."""
    order = sent.order
    return order is not None and order.refusal is not None and ts < order.placed_ts + REFUSED_WAIT_S


def least_size(price: int, terms: OrderTerms) -> int:
    """Return the smallest base amount that the exchange takes at a price, with room for a fall by a tenth."""
    by_funds = -(-terms.min_funds * terms.price_scale * terms.base_scale * 10 // (9 * price * CASH_SCALE))
    size = max(terms.base_min_size, by_funds, terms.base_increment)
    return size + -size % terms.base_increment


def is_sellable(size: int, price: int, terms: OrderTerms) -> bool:
    """Say whether the exchange would take a sale of so much."""
    return size >= max(terms.base_min_size, 1) and terms.cash_received(price, size) >= terms.min_funds
