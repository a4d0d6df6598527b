"""One grid for every engine: twenty resting buys below the start, each answered by a sale a level higher."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from exchanges.simulated.fills import FillModel
from exchanges.simulated.venue import SimulatedExchange
from grid.geometry import GridGeometry, Spacing
from grid.plan import GridPlan
from market.candles import Bars, Floats, Ints
from market.costs import Fees, Liquidity, OrderCosts, fee_on
from market.errors import RegimedError
from market.hours import Timeframe
from market.orders import CASH_SCALE, OrderKind, OrderRequest, OrderSide, OrderStatus, OrderTerms

KEY = "ETH-USDT"
PRICE_SCALE, BASE_SCALE = 100, CASH_SCALE // 100  # a quote unit is a cash unit: nothing is rounded twice
START = 200_000
LEVELS = 20
FEE_PPM = 1_000
BY_PRICE = FillModel(queue_position=1.0, through_ticks=1, participation=1.0)
VOLUME_SCALE = 1


def minutes(count: int, seed: int = 7) -> Bars:
    """Return a seeded market that swings through the ladder; a few bars in a hundred trade."""
    rng = np.random.default_rng(seed)
    steps = rng.normal(0, 0.0015, (count, 4))
    level = 0.05 * np.cos(np.arange(count) * (12 / count)) - 0.05  # begins above the ladder
    noise = np.zeros(count)
    for at in range(1, count):
        noise[at] = 0.999 * noise[at - 1] + steps[at, 0]
    close = START * np.exp(level + noise)
    open_ = np.r_[close[:1], close[:-1]]
    high = np.maximum(open_, close) * (1 + np.abs(steps[:, 1]) / 2)
    low = np.minimum(open_, close) * (1 - np.abs(steps[:, 2]) / 2)
    ts = 60 * np.arange(count, dtype=np.int64)
    volume = np.full(count, 10**6, dtype=np.int64)
    return Bars(Timeframe.M1, ts, _units(open_), _units(high), _units(low), _units(close), volume)


def _units(prices: Floats) -> Ints:
    units: Ints = np.rint(prices).astype(np.int64)
    return units


def plan(units: int = BASE_SCALE, through: int = 1) -> GridPlan:
    """Return the ladder: all cash, one coin (or `units`) a cell, from 20 % below the start up to it."""
    geometry = GridGeometry(START * 8 // 10, START, LEVELS, Spacing.ARITHMETIC)
    costs = OrderCosts(FEE_PPM, FEE_PPM, 0)
    buys = [price * units + fee_on(price * units, FEE_PPM) for price in geometry.prices()[:-1]]
    return GridPlan(geometry, START, (units,) * LEVELS, sum(buys), START, costs, through)


@dataclass(frozen=True, slots=True)
class Account:
    """What is left at the end, in units of the plan."""

    cash: int
    coin: int
    fills: int


async def order_by_order(ladder: GridPlan, bars: Bars, model: FillModel = BY_PRICE) -> Account:
    """Return what the ladder does as orders at the simulated exchange, with account, holds and identities.

    The answer to a fill is placed at that minute's end, so it fills in a later one.

    Raises:
        RegimedError: An order was refused, or the minutes do not begin at a whole one.
    """
    terms = OrderTerms(KEY, "ETH", "USDT", PRICE_SCALE, BASE_SCALE, 1, 1, 1, 0)
    fees, still = Fees(maker_bps=10, taker_bps=10), Liquidity(half_spread_bps=0, slippage_bps=0, impact_bps=0)
    start_ts = int(bars.ts[0])
    exchange = SimulatedExchange(
        {KEY: terms}, {KEY: fees}, {KEY: still}, model, "USDT", ladder.quote, start_ts
    )
    exchange.load(KEY, bars, VOLUME_SCALE)
    prices, end_ts = ladder.geometry.prices(), int(bars.ts[-1]) + 60
    resting: dict[str, tuple[int, OrderSide]] = {}
    named = fills = 0

    async def rest(cell: int, side: OrderSide) -> None:
        nonlocal named
        named += 1
        name = f"{cell}-{named}"
        price = prices[cell if side is OrderSide.BUY else cell + 1]
        order = await exchange.place(
            OrderRequest(name, KEY, side, OrderKind.LIMIT, price, ladder.sizes[cell])
        )
        if order.status is OrderStatus.REJECTED:
            raise RegimedError(f"{name}: {order.problem}")
        resting[name] = (cell, side)

    for cell in range(ladder.first_level):
        await rest(cell, OrderSide.BUY)
    while (change := exchange.next_change(end_ts)) is not None:
        exchange.advance(change)
        still_open = {order.request.client_id for order in await exchange.open_orders()}
        for name in [name for name in resting if name not in still_open]:
            cell, side = resting.pop(name)
            fills += 1
            await rest(cell, OrderSide.SELL if side is OrderSide.BUY else OrderSide.BUY)
        exchange.forget_closed_before(change)
    exchange.advance(end_ts)
    balances = await exchange.balances()
    coin = balances.get("ETH")
    return Account(balances["USDT"].total, 0 if coin is None else coin.total, fills)
