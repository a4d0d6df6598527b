"""Half-and-half grids of many parameter sets at one start, as tables: `grid.plan.half_and_half`, all at once.

The tables, the amounts and the refusals are those of one plan at a time, to the last unit; a sweep of
thousands of sets would else spend more time on writing its ladders down than on running them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from grid import ladder
from grid.geometry import arithmetic_prices, geometric_prices
from grid.simulation import blank_results
from market.candles import Bars, Ints
from market.costs import OrderCosts, affordable, fee_on


class Fault(StrEnum):
    """Why a set is no grid."""

    BOUNDS = "the bounds are not rising prices above 0"
    PRICES = "two prices round to the same"
    CAPITAL = "a cell gets no coin: too little capital"
    COSTS = "a cycle costs more than it earns"
    STOP = "the stop-loss is not a price below the ladder"
    LARGE = "an amount could leave 64 bits"


FAULTS = tuple(Fault)
SOUND = -1


@dataclass(frozen=True, slots=True)
class Terms:
    """What all sets of a batch share.

    Attributes:
        value: Capital of each grid, quote units.
        costs: Fees and slippage.
        increment: The market's price increment x price_scale.
        through: As in `GridPlan`.
    """

    value: int
    costs: OrderCosts
    increment: int
    through: int


@dataclass(frozen=True, slots=True, eq=False)
class Shapes:
    """The ladder of each set; bounds and stops x price_scale, shape (n,).

    Attributes:
        geometric: True for an equal ratio, False for an equal step.
        lower, upper: Multiples of the increment, 0 and below is refused.
        levels: Cells, 2 to 200.
        stop_loss: 0 for none.
    """

    geometric: NDArray[np.bool_]
    lower: Ints
    upper: Ints
    levels: Ints
    stop_loss: Ints


@dataclass(frozen=True, slots=True, eq=False)
class Worth:
    """What each grid is worth at a price, quote units, and what it did so far; shape (n,)."""

    value: Ints
    fees: Ints
    fills: Ints


class Batch:
    """Running grids of one start; `pass_bars` carries all of them on.

    Attributes:
        faults: Shape (n,): SOUND or the place in FAULTS; faulty sets are not run.
        rows: Which sets run, rising; every array of results has one row for each of them.
        results: As the kernels leave them.
    """

    def __init__(self, shapes: Shapes, start_price: int, terms: Terms, highest: int) -> None:
        costs, n = terms.costs, len(shapes.levels)
        self.terms, self.entry_price = terms, costs.buy_price(start_price)
        base = affordable(terms.value // 2, self.entry_price, costs.taker_ppm)
        self.entry_fee = fee_on(base * self.entry_price, costs.taker_ppm)
        quote = terms.value - base * self.entry_price - self.entry_fee
        self.faults = np.full(n, SOUND, dtype=np.int64)
        self._refuse(Fault.BOUNDS, (shapes.lower <= 0) | (shapes.lower >= shapes.upper))
        # what is refused already is given bounds that can be calculated with
        bad = self.faults != SOUND
        lower = np.where(bad, terms.increment, shapes.lower)
        upper = np.where(bad, 2 * terms.increment, shapes.upper)
        levels = shapes.levels
        prices = np.where(
            shapes.geometric[:, None],
            geometric_prices(lower, upper, levels, terms.increment),
            arithmetic_prices(lower, upper, levels, terms.increment),
        )
        cell, state = np.arange(prices.shape[1] - 1)[None, :], np.arange(prices.shape[1])[None, :]
        unreal = cell >= levels[:, None]
        distance = np.where(state <= levels[:, None], np.abs(prices - start_price), np.iinfo(np.int64).max)
        first = distance.argmin(axis=1)
        each_coin = base // np.maximum(levels - first, 1)
        buying = ladder.affordable((quote // np.maximum(first, 1))[:, None], prices[:, :-1], costs.maker_ppm)
        sizes = np.where(cell < first[:, None], buying, each_coin[:, None])
        sizes[unreal] = 0
        idle = np.where(first < levels, base - each_coin * (levels - first), base)
        stops = shapes.stop_loss
        tables = ladder.tables(
            prices,
            sizes,
            levels,
            first,
            np.full(n, quote),
            idle,
            costs.maker_ppm,
            terms.through,
            np.where(stops > 0, stops, ladder.NEVER_BELOW),
            np.full(n, ladder.NEVER_ABOVE),
        )
        top = np.maximum(upper, max(highest, self.entry_price, start_price)) + terms.through
        self._refuse(Fault.PRICES, ~np.all((np.diff(prices, axis=1) > 0) | unreal, axis=1))
        self._refuse(Fault.CAPITAL, ~np.all((sizes > 0) | unreal, axis=1))
        self._refuse(Fault.COSTS, ~np.all((tables[:, ladder.NET, :-1] >= 0) | unreal, axis=1))
        self._refuse(Fault.STOP, (stops < 0) | (stops > lower - max(terms.through, 1)))
        coin = (idle + sizes.sum(axis=1)).astype(np.float64)
        self._refuse(Fault.LARGE, quote + 16 * coin * top >= ladder.MOST_PROFIT)
        self.rows = np.flatnonzero(self.faults == SOUND)
        self.tables = tables[self.rows]
        self.facts = np.zeros((len(self.rows), ladder.FACTS), dtype=np.int64)
        self.facts[:, ladder.LEVELS] = levels[self.rows]
        self.facts[:, ladder.FIRST] = first[self.rows]
        self.facts[:, ladder.TAKER_PPM] = costs.taker_ppm
        self.facts[:, ladder.SLIPPAGE_PPM] = costs.slippage_ppm
        self.results = blank_results(self.facts)

    def pass_bars(self, bars: Bars, *, worse: bool) -> None:
        """Carry every grid over the next bars; `worse` believes the worse way through each."""
        from grid import kernels  # numba: the daemon starts without it

        columns = (bars.open, bars.high, bars.low, bars.close)
        kernels.sweep(*columns, self.tables, self.facts, worse, self.results)
        given_up = self.results[:, ladder.GIVEN_UP] != 0
        self.faults[self.rows[given_up]] = FAULTS.index(Fault.LARGE)

    @property
    def stopped(self) -> NDArray[np.bool_]:
        """Say which grids have ended at their stop-loss."""
        ended: NDArray[np.bool_] = self.results[:, ladder.STOPPED_AT] >= 0
        return ended

    def worth(self, price: int, *, sold: bool = False) -> Worth:
        """Return each grid's worth at a price; `sold` sells all coin there, with slippage and taker fee."""
        each, results, costs = np.arange(len(self.rows)), self.results, self.terms.costs
        rung = np.clip(results[:, ladder.STATE], 0, self.facts[:, ladder.LEVELS])
        base = self.tables[each, ladder.BASE, rung]
        cash = self.tables[each, ladder.QUOTE, rung] + results[:, ladder.EARNED]
        fees = self.entry_fee + self.tables[each, ladder.FEES, rung]
        fees = fees + results[:, ladder.CYCLED] - results[:, ladder.EARNED]
        seen = np.where(self.stopped, results[:, ladder.EXIT_SEEN], price)
        brought = base * (seen - ladder.fees_on(seen, costs.slippage_ppm))
        exit_fee = ladder.fees_on(brought, costs.taker_ppm)
        leaves = self.stopped | sold
        fills = 2 * results[:, ladder.CYCLES] + np.abs(rung - self.facts[:, ladder.FIRST])
        value = cash + np.where(leaves, brought - exit_fee, base * price)
        return Worth(value, fees + np.where(leaves, exit_fee, 0), fills)

    def _refuse(self, fault: Fault, where: NDArray[np.bool_]) -> None:
        self.faults[(self.faults == SOUND) & where] = FAULTS.index(fault)
