"""Orders, minutes and exchanges for the tests of the simulated exchange; cash = price x size x 1,000."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

from exchanges.simulated.fills import FillModel
from exchanges.simulated.matching import MatchingRules, Minute
from exchanges.simulated.venue import SimulatedExchange
from exchanges.simulated.working import WorkingOrder
from market.candles import Bars, bars_of
from market.costs import Fees, Liquidity, OrderCosts
from market.hours import Timeframe
from market.orders import (
    CASH_SCALE,
    Order,
    OrderKind,
    OrderRequest,
    OrderSide,
    OrderStatus,
    OrderTerms,
)

Answer = TypeVar("Answer")
KEY = "ETH-USDT"
ETH = OrderTerms(KEY, "ETH", "USDT", 100, 1000, 1, 1, 10, 10**7)
# price x size is no whole number of cash units: 1 base unit at 1 price unit is a tenth of one
FINE = OrderTerms("FINE-USDT", "FINE", "USDT", 100, 10**7, 1, 1, 1, 0)
COARSE = OrderTerms("SOL-USDT", "SOL", "USDT", 1000, 100, 5, 10, 10, 0)
FEES = Fees(maker_bps=10, taker_bps=20)
CHEAP = Liquidity(half_spread_bps=10, slippage_bps=10, impact_bps=0)
LAST = FillModel(queue_position=1.0, through_ticks=1, participation=1.0)
THOUSAND = 1000 * CASH_SCALE


def done(call: Coroutine[Any, Any, Answer]) -> Answer:
    """Return the answer of a call that waits for nothing, as none of a simulation does."""
    try:
        call.send(None)
    except StopIteration as answered:
        return answered.value
    raise AssertionError(f"{call} waits")


def rules(terms: OrderTerms = ETH, liquidity: Liquidity = CHEAP, **model) -> MatchingRules:
    return MatchingRules(terms, liquidity, LAST.model_copy(update=model))


def minute(open_: int, high: int, low: int, close: int, volume: int = 10**6, ts: int = 600) -> Minute:
    """Return a minute whose volume is in base units of ETH."""
    return Minute(ts, open_, high, low, close, volume, ETH.base_scale)


def request(side: OrderSide, price: int, size: int = 1000, name: str = "a", key: str = KEY, **more):
    kind = more.pop("kind", OrderKind.OCO if "stop_price" in more else OrderKind.LIMIT)
    return OrderRequest(name, key, side, kind, price, size, **more)


def buy(price: int, size: int = 1000, name: str = "a", **more) -> OrderRequest:
    return request(OrderSide.BUY, price, size, name, **more)


def sell(price: int, size: int = 1000, name: str = "a", **more) -> OrderRequest:
    return request(OrderSide.SELL, price, size, name, **more)


def oco(price: int, stop: int, size: int = 1000, name: str = "a", **more) -> OrderRequest:
    return request(OrderSide.SELL, price, size, name, stop_price=stop, **more)


def market_buy(worst: int, size: int = 1000, name: str = "a", **more) -> OrderRequest:
    return request(OrderSide.BUY, worst, size, name, kind=OrderKind.MARKET, **more)


def market_sale(worst: int, size: int = 1000, name: str = "a", **more) -> OrderRequest:
    return request(OrderSide.SELL, worst, size, name, kind=OrderKind.MARKET, **more)


def working(
    what: OrderRequest, *, taking: bool = False, fees: Fees = FEES, terms: OrderTerms = ETH
) -> WorkingOrder:
    order = Order(what, 0, OrderStatus.OPEN)
    takes = taking or what.kind is OrderKind.MARKET
    return WorkingOrder.of(order, terms, OrderCosts.of(fees), taking=takes)


def minutes(*rows: tuple[int, int, int, int, int] | None, start_ts: int = 0) -> Bars:
    """Return minutes in a row of (open, high, low, close, volume); None leaves one out."""
    known = [(start_ts + 60 * place, *row) for place, row in enumerate(rows) if row is not None]
    return bars_of(Timeframe.M1, known)


def flat(price: int, count: int, volume: int = 10**6) -> list[tuple[int, int, int, int, int]]:
    return [(price, price, price, price, volume)] * count


def exchange(
    *terms: OrderTerms,
    cash: int = THOUSAND,
    model: FillModel = LAST,
    fees: Fees = FEES,
    liquidity: Liquidity = CHEAP,
    start_ts: int = 0,
) -> SimulatedExchange:
    known = {one.key: one for one in terms or (ETH,)}
    return SimulatedExchange(
        known, dict.fromkeys(known, fees), dict.fromkeys(known, liquidity), model, "USDT", cash, start_ts
    )
