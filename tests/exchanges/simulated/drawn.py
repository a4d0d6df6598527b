"""Drawn minutes and orders for the property tests."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import strategies as st

from exchanges.simulated.fills import EXPECTED, OPTIMISTIC, PESSIMISTIC, FillModel
from market.costs import Fees, Liquidity
from market.orders import OrderKind, OrderRequest, OrderSide, OrderTerms
from tests.exchanges.simulated.builders import COARSE, ETH, FINE, market_buy

TERMS = {terms.key: terms for terms in (ETH, FINE, COARSE)}
PRICES = st.integers(90, 110)  # per cent of 100.00, 100.00 and 10.000: all near 10,000 units
MODELS = st.sampled_from(
    [
        PESSIMISTIC,
        EXPECTED,
        OPTIMISTIC,
        FillModel(path="optimistic", through_ticks=3, queue_position=0.5, participation=1.0),
    ]
)
FEES = st.builds(
    Fees, maker_bps=st.sampled_from([-5.0, 0.0, 10.0, 40.0]), taker_bps=st.sampled_from([0.0, 7.77, 60.0])
)
LIQUIDITY = st.builds(
    Liquidity,
    half_spread_bps=st.sampled_from([0.0, 1.5, 10.0]),
    slippage_bps=st.sampled_from([0.0, 3.0, 20.0]),
    impact_bps=st.sampled_from([0.0, 60.0]),
)


def first_buys(terms: Iterable[OrderTerms]) -> list[OrderRequest]:
    """Return market orders for less than a third of the cash each: something to sell in every market."""
    sizes = {ETH.key: 3000, FINE.key: 10**7, COARSE.key: 3000}
    return [market_buy(10500, sizes[one.key], f"first {one.key}", key=one.key) for one in terms]


@st.composite
def rows(draw: st.DrawFn, most: int = 40) -> list[tuple[int, int, int, int, int] | None]:
    """Draw minutes in a row; some are missing, some have no trade."""
    found: list[tuple[int, int, int, int, int] | None] = []
    for _ in range(draw(st.integers(1, most))):
        a, b, c, d = sorted(draw(st.tuples(PRICES, PRICES, PRICES, PRICES)))
        first, last = draw(st.permutations([b, c]))
        volume = draw(st.sampled_from([0, 7, 300, 5000, 10**7]))
        bar = (first * 100, d * 100, a * 100, last * 100, volume)
        found.append(draw(st.sampled_from([bar, bar, bar, bar, None])))
    return found


@st.composite
def requests(draw: st.DrawFn, terms: OrderTerms, name: str) -> OrderRequest:
    """Draw an order on the increments, of any kind, some too large for the account."""
    kind = draw(st.sampled_from(list(OrderKind)))
    side = OrderSide.SELL if kind is OrderKind.OCO else draw(st.sampled_from(list(OrderSide)))
    price = draw(PRICES) * 100
    one = terms.base_increment
    size = draw(st.sampled_from([10, 130, 1000, 20_000, 3_000_000])) // one * one
    stop = draw(st.integers(85, price // 100 - 1)) * 100 if kind is OrderKind.OCO else None
    return OrderRequest(
        name,
        terms.key,
        side,
        kind,
        price,
        size,
        stop_price=stop,
        post_only=kind is OrderKind.LIMIT and draw(st.booleans()),
        ttl_s=draw(st.sampled_from([None, None, 30, 60, 61, 600])),
    )
