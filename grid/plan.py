"""What a grid starts with: its ladder, the coin and the cash in every cell, its costs and its exits.

Units: a price is x price_scale, a base amount x base_scale, a quote amount x (price_scale x base_scale), so
that price times base is quote, exactly. The caller chooses base_scale; the exchange's base increment is the
natural unit.
"""

from __future__ import annotations

from dataclasses import dataclass

from grid.geometry import GridGeometry
from market.costs import OrderCosts, affordable, fee_on
from market.errors import DataInvalid


@dataclass(frozen=True, slots=True)
class GridPlan:
    """A grid ready to run.

    Cell i buys at level i and sells at level i + 1, always the same base amount. The level nearest to the
    start price carries no order: the cells below it start with cash and a resting buy, the cells above it
    with coin and a resting sale. So one number, the index of the level without an order, is the whole state
    of the ladder: an order that fills moves it by one.

    Attributes:
        start_price: Price seen when the grid starts.
        sizes: Base amount of each cell, shape (levels,).
        idle_base: Coin at the start that no cell trades.
        quote: Cash at the start, after the coin was bought.
        entry_price: What a unit of the coin at the start cost, slippage included, fee not.
        entry_fee: Fee of that purchase; 0 where the coin was there already.
        stop_loss: At or below it everything is sold at the market; None for never.
        take_profit: At or above it the same; None for never.
        through: A resting order fills only when the price trades this far beyond it; 0 fills at a touch.

    Raises:
        DataInvalid: An amount is negative or missing, a cell has no size, a cycle would lose money at these
            fees, the cash does not cover the resting buys, or an exit lies inside the ladder.
    """

    geometry: GridGeometry
    start_price: int
    sizes: tuple[int, ...]
    quote: int
    entry_price: int
    costs: OrderCosts
    through: int
    idle_base: int = 0
    entry_fee: int = 0
    stop_loss: int | None = None
    take_profit: int | None = None

    def __post_init__(self) -> None:
        geometry = self.geometry
        if min(self.start_price, self.entry_price) <= 0:
            raise DataInvalid("grid", "start_price", "expected a price above 0")
        if min(self.quote, self.idle_base, self.entry_fee, self.through) < 0:
            raise DataInvalid("grid", "quote", "an amount is negative")
        if len(self.sizes) != geometry.levels:
            raise DataInvalid("grid", "sizes", f"{len(self.sizes)} for {geometry.levels} cells")
        prices = geometry.prices()
        for cell, size in enumerate(self.sizes):
            if size <= 0:
                raise DataInvalid("grid", "sizes", f"cell {cell} gets {size} base units: too little capital")
            if self.sale_of(prices, cell) < self.cost_of(prices, cell):
                raise DataInvalid("grid", "levels", f"a cycle of cell {cell} costs more than it earns")
        buys = sum(self.cost_of(prices, cell) for cell in range(self.first_level))
        if buys > self.quote:
            raise DataInvalid("grid", "quote", f"{self.quote} does not cover resting buys of {buys}")
        clear = max(self.through, 1)
        if self.stop_loss is not None and not 0 < self.stop_loss <= geometry.lower - clear:
            raise DataInvalid("grid", "stop_loss", f"{self.stop_loss}, expected below {geometry.lower}")
        if self.take_profit is not None and self.take_profit < geometry.upper + clear:
            raise DataInvalid("grid", "take_profit", f"{self.take_profit}, expected above {geometry.upper}")

    @property
    def first_level(self) -> int:
        """The level without an order at the start; cells below it hold cash, the others coin."""
        return self.geometry.nearest(self.start_price)

    @property
    def base(self) -> int:
        """Coin at the start."""
        return self.idle_base + sum(self.sizes[self.first_level :])

    @property
    def start_value(self) -> int:
        """What was put in: the cash and the price paid for the coin with its fee."""
        return self.quote + self.base * self.entry_price + self.entry_fee

    def cost_of(self, prices: tuple[int, ...], cell: int) -> int:
        """Return what a filled buy of the cell takes from the cash, fee included."""
        notional = prices[cell] * self.sizes[cell]
        return notional + fee_on(notional, self.costs.maker_ppm)

    def sale_of(self, prices: tuple[int, ...], cell: int) -> int:
        """Return what a filled sale of the cell brings, fee taken off."""
        notional = prices[cell + 1] * self.sizes[cell]
        return notional - fee_on(notional, self.costs.maker_ppm)


def half_and_half(
    geometry: GridGeometry,
    start_price: int,
    value: int,
    costs: OrderCosts,
    *,
    buys_base: bool = True,
    through: int | None = None,
    stop_loss: int | None = None,
    take_profit: int | None = None,
) -> GridPlan:
    """Return the standard grid: half of the value in coin, half in cash, each spread over its cells.

    The coin is shared equally by the cells above the start, the cash equally by those below; what no cell
    can hold (rounding, or a start outside the bounds) stays idle in its own form.

    Args:
        geometry: The ladder.
        start_price: Price seen at the start.
        value: Capital, quote units.
        costs: Fees and slippage.
        buys_base: True buys the coin at the market with taker fee and slippage; False takes it as already
            there, at the start price, so that only the grid's own doing is counted.
        through, stop_loss, take_profit: As in `GridPlan`; `through` is one increment when left out.

    Raises:
        DataInvalid: As `GridPlan`.
    """
    if start_price <= 0:
        raise DataInvalid("grid", "start_price", f"{start_price}, expected a price above 0")
    taker_ppm = costs.taker_ppm if buys_base else 0
    entry_price = costs.buy_price(start_price) if buys_base else start_price
    base = affordable(value // 2, entry_price, taker_ppm)
    entry_fee = fee_on(base * entry_price, taker_ppm)
    quote = value - base * entry_price - entry_fee
    prices, first = geometry.prices(), geometry.nearest(start_price)
    with_cash, with_coin = first, geometry.levels - first
    buying = (affordable(quote // with_cash, prices[cell], costs.maker_ppm) for cell in range(with_cash))
    sizes = (*buying, *([base // with_coin] * with_coin if with_coin else ()))
    return GridPlan(
        geometry,
        start_price,
        sizes,
        quote,
        entry_price,
        costs,
        geometry.increment if through is None else through,
        base - sum(sizes[first:]),
        entry_fee,
        stop_loss,
        take_profit,
    )


def equal_amounts(
    geometry: GridGeometry,
    start_price: int,
    amount_per_grid: int,
    costs: OrderCosts,
    *,
    through: int | None = None,
    stop_loss: int | None = None,
    take_profit: int | None = None,
) -> GridPlan:
    """Return a grid whose every buy spends `amount_per_grid` (quote units, with fee), as operators set it.

    The capital is what that takes: the coin of the cells above the start, bought at the market with taker fee
    and slippage, and the cash of the buys below.

    Raises:
        DataInvalid: As `GridPlan`.
    """
    prices, first = geometry.prices(), geometry.nearest(start_price)
    sizes = tuple(affordable(amount_per_grid, price, costs.maker_ppm) for price in prices[:-1])
    entry_price, base = costs.buy_price(start_price), sum(sizes[first:])
    notionals = (price * size for price, size in zip(prices[:first], sizes[:first], strict=True))
    return GridPlan(
        geometry,
        start_price,
        sizes,
        sum(notional + fee_on(notional, costs.maker_ppm) for notional in notionals),
        entry_price,
        costs,
        geometry.increment if through is None else through,
        0,
        fee_on(base * entry_price, costs.taker_ppm),
        stop_loss,
        take_profit,
    )
