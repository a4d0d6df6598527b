"""A plan as tables: for every state of the ladder what is held, what it has cost and what happens next.

The state is the level without an order. Moving it down a level fills the buy of the cell between, moving it
up fills the sale. Every cell that is not as it started is an open position; every way back to its start is a
cycle with a profit that is known beforehand. So cash = cash in this state + profit of the cycles so far.
"""

from __future__ import annotations

import numpy as np

from grid.plan import GridPlan
from market.candles import Ints
from market.costs import PPM
from market.units import INT64_MAX

# rows of a table, one column a state (a level): what the price must reach, holdings, and of the cell above it
BUY_AT, SELL_AT, BASE, QUOTE, FEES, NET, GROSS = range(7)
ROWS = 7
# entries of a plan's facts
LEVELS, FIRST, TAKER_PPM, SLIPPAGE_PPM = range(4)
FACTS = 4
# what a run of `grid.kernels` leaves, one row a ladder
STATE, EARNED, CYCLED, CYCLES, STOPPED_AT, EXIT_SEEN, HELD_BARS, GIVEN_UP = range(8)
RESULTS = 8
NEVER_ABOVE = INT64_MAX
NEVER_BELOW = 0
MOST_PROFIT = 2**61


def tables(
    prices: Ints,
    sizes: Ints,
    levels: Ints,
    first: Ints,
    quote: Ints,
    idle_base: Ints,
    maker_ppm: int,
    through: int,
    stop_loss: Ints,
    take_profit: Ints,
) -> Ints:
    """Return the tables of many ladders.

    Args:
        prices: Shape (n, width), rising up to each ladder's last level, anything beyond.
        sizes: Base amount of each cell, shape (n, width - 1), 0 beyond the last cell.
        levels, first, quote, idle_base: As in `GridPlan`, shape (n,).
        maker_ppm: Fee of a fill.
        through: How far beyond an order the price must trade.
        stop_loss, take_profit: `NEVER_BELOW` and `NEVER_ABOVE` for none, shape (n,).

    Returns:
        Shape (n, ROWS, width), int64.
    """
    n, width = prices.shape
    state, cell = np.arange(width)[None, :], np.arange(width - 1)[None, :]
    made = np.zeros((n, ROWS, width), dtype=np.int64)
    made[:, BUY_AT, 1:] = prices[:, :-1] - through
    made[:, BUY_AT, 0] = stop_loss
    made[:, SELL_AT, :-1] = prices[:, 1:] + through
    made[:, SELL_AT] = np.where(state < levels[:, None], made[:, SELL_AT], take_profit[:, None])

    bought, sold = prices[:, :-1] * sizes, prices[:, 1:] * sizes
    buy_fee, sale_fee = fees_on(bought, maker_ppm), fees_on(sold, maker_ppm)
    below = cell < first[:, None]
    made[:, GROSS, :-1] = sold - bought
    made[:, NET, :-1] = sold - bought - buy_fee - sale_fee
    # from the start downwards cells are bought, upwards sold; a state holds what the cells between left
    spent, paid = np.where(below, bought + buy_fee, 0), np.where(below, buy_fee, 0)
    got, taken = np.where(below, 0, sold - sale_fee), np.where(below, 0, sale_fee)
    made[:, BASE] = idle_base[:, None] + _from_above(sizes)
    made[:, QUOTE] = quote[:, None] - _from_above(spent) + _from_below(got)
    made[:, FEES] = _from_above(paid) + _from_below(taken)
    return made


def of_plans(plans: list[GridPlan]) -> tuple[Ints, Ints]:
    """Return tables, shape (n, ROWS, width), and facts, shape (n, FACTS), of plans."""
    width = max(plan.geometry.levels for plan in plans) + 1
    made = np.zeros((len(plans), ROWS, width), dtype=np.int64)
    facts = np.zeros((len(plans), FACTS), dtype=np.int64)
    alike: dict[tuple[int, int, int], list[int]] = {}
    for row, plan in enumerate(plans):
        facts[row] = plan.geometry.levels, plan.first_level, plan.costs.taker_ppm, plan.costs.slippage_ppm
        alike.setdefault((plan.geometry.levels, plan.costs.maker_ppm, plan.through), []).append(row)
    for (levels, maker_ppm, through), rows in alike.items():
        some = [plans[row] for row in rows]
        made[rows, :, : levels + 1] = tables(
            np.array([plan.geometry.prices() for plan in some], dtype=np.int64),
            np.array([plan.sizes for plan in some], dtype=np.int64),
            facts[rows, LEVELS],
            facts[rows, FIRST],
            np.array([plan.quote for plan in some]),
            np.array([plan.idle_base for plan in some]),
            maker_ppm,
            through,
            np.array([NEVER_BELOW if plan.stop_loss is None else plan.stop_loss for plan in some]),
            np.array([NEVER_ABOVE if plan.take_profit is None else plan.take_profit for plan in some]),
        )
    return made, facts


def fits(plan: GridPlan, highest: int) -> bool:
    """Return whether the amounts of a run up to the price `highest` stay far inside 64 bits.

    The profit of the cycles is not in it, for it grows with time: a run is given up when it passes
    `MOST_PROFIT`, which leaves room for what one more bar can add.
    """
    top = max(highest, plan.entry_price, plan.start_price, plan.take_profit or plan.geometry.upper)
    top += plan.through
    return plan.quote + 16 * (plan.idle_base + sum(plan.sizes)) * top < MOST_PROFIT


def fees_on(notional: Ints, rate_ppm: int) -> Ints:
    """Return `market.costs.fee_on` for many amounts, in two parts so that nothing leaves 64 bits."""
    whole, rest = np.divmod(notional, PPM)
    fees: Ints = whole * rate_ppm - (-rest * rate_ppm) // PPM
    return fees


def affordable(budget: Ints, price: Ints, rate_ppm: int) -> Ints:
    """Return `market.costs.affordable` for many: floating point comes near, integers settle it."""

    def cost(size: Ints) -> Ints:
        return size * price + fees_on(size * price, rate_ppm)

    size: Ints = (budget / (price * (1 + rate_ppm / PPM))).astype(np.int64)
    for _ in range(2):
        size = size + (cost(size + 1) <= budget) - (cost(size) > budget)
    return size


def _from_above(cells: Ints) -> Ints:
    """Return for each state the sum over the cells at and above it."""
    sums = np.zeros((len(cells), cells.shape[1] + 1), dtype=np.int64)
    np.cumsum(cells[:, ::-1], axis=1, out=sums[:, -2::-1])
    return sums


def _from_below(cells: Ints) -> Ints:
    """Return for each state the sum over the cells below it."""
    sums = np.zeros((len(cells), cells.shape[1] + 1), dtype=np.int64)
    np.cumsum(cells, axis=1, out=sums[:, 1:])
    return sums
