"""What the simulated exchange looks at before it takes an order."""

from __future__ import annotations

from exchanges.simulated.codes import Code
from exchanges.simulated.working import WorkingOrder
from market.costs import Liquidity, fee_on, ppm
from market.orders import BestPrices, OrderKind, OrderRequest, OrderSide, OrderTerms


def crosses(request: OrderRequest, best: BestPrices | None) -> bool:
    """Return whether a limit order at this price would take; never where no price is known."""
    if best is None:
        return False
    return request.price >= best.ask if request.side is OrderSide.BUY else request.price <= best.bid


def refusal(request: OrderRequest, terms: OrderTerms, best: BestPrices | None) -> tuple[Code, str] | None:
    """Return why an order is refused by what it says, with the code; None where nothing speaks against it."""
    for name, price in (("price", request.price), ("stop price", request.stop_price)):
        if price is not None and price % terms.price_increment:
            return Code.PARAMETER_ERROR, f"{name} {price} is off the increment {terms.price_increment}"
    if request.size % terms.base_increment:
        return Code.PARAMETER_ERROR, f"size {request.size} is off the increment {terms.base_increment}"
    if request.size < terms.base_min_size:
        return Code.PARAMETER_ERROR, f"size {request.size} is below the least {terms.base_min_size}"
    funds = terms.cash_received(_valued_at(request, best), request.size)
    if funds < terms.min_funds:
        return Code.PARAMETER_ERROR, f"notional {funds} is below the least {terms.min_funds}"
    if request.post_only and best is not None and crosses(request, best):
        quoted = f"bid {best.bid}, ask {best.ask}"
        return Code.ORDER_REFUSED, f"post-only at {request.price} would take: {quoted}"
    return None


def unpaid(working: WorkingOrder, available: int) -> tuple[Code, str] | None:
    """Return the refusal of an order that holds more than there is."""
    if working.held <= available:
        return None
    return Code.BALANCE_INSUFFICIENT, f"balance insufficient: {available} available, {working.held} needed"


def modelled_prices(close: int, ts: int, terms: OrderTerms, liquidity: Liquidity) -> BestPrices:
    """Return bid and ask by the spread model: half a spread around a close, away from it to an increment."""
    half, tick = fee_on(close, ppm(liquidity.half_spread_bps)), terms.price_increment
    bid, ask = max((close - half) // tick, 1) * tick, -(-(close + half) // tick) * tick
    return BestPrices(bid, ask, ts, recorded=False)


def _valued_at(request: OrderRequest, best: BestPrices | None) -> int:
    """Return the price at which the notional counts: a market order's own is only the worst that it takes."""
    if request.kind is not OrderKind.MARKET or best is None:
        return request.price
    return best.ask if request.side is OrderSide.BUY else best.bid
