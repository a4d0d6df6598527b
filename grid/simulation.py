"""The one grid simulator: decisions, evaluations and backtests all ask it what a grid would have done.

Integers only, and every rounding goes against us, so coin and cash are accounted for to the last unit.

**A fill.** A resting order fills at its own price, as maker, whole, when the price trades through it by
`GridPlan.through` (one price increment by default: a touch is no fill, for others stood in the queue before
us; 0 fills at a touch). A price that jumps over several orders fills each of them at its own price. A filled
buy rests as a sale one level higher at once, a filled sale as a buy one level lower.

**The path inside a bar.** From where the bar before ended to this one's open, then to both extremes, then to
the close, straight each time. A candle does not say which extreme came first, so a bar on which something
happens is walked both ways: low first and high first. PESSIMISTIC goes on with the way that leaves the grid
worth less at the bar's close, OPTIMISTIC with the other (low first where both are equal).

**An exit.** At the stop-loss, after every buy above it was filled, or at the take-profit, all coin is sold at
the market with slippage and taker fee: at the trigger price, or at the open where the price had jumped beyond
it and that is worse. Then the grid rests until the end.

Bars that are not known are left out of a series; the price then simply goes on to the next open.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from grid import ladder
from grid.plan import GridPlan
from market.candles import Bars, Ints
from market.costs import fee_on
from market.errors import ValueOutOfRange
from market.units import INT64_MAX

WORTH_COMPILING = 20_000  # bars; below, the plain loop is done before numba has compiled the fast one


class BarPath(StrEnum):
    """Which way through a bar is believed when its candle allows two."""

    PESSIMISTIC = "pessimistic"
    OPTIMISTIC = "optimistic"


class StopReason(StrEnum):
    """Why a grid ended by itself."""

    STOP_LOSS = "stop_loss"
    TAKE_PROFIT = "take_profit"


class Side(StrEnum):
    BUY = "buy"
    SELL = "sell"


@dataclass(frozen=True, slots=True)
class Fill:
    """One execution; `cell` is None for the market sale of an exit.

    Attributes:
        bar: Row of the bar.
        price, size, fee: Price, base and quote units.
    """

    bar: int
    side: Side
    cell: int | None
    price: int
    size: int
    fee: int


@dataclass(frozen=True, slots=True)
class GridOutcome:
    """What a grid did over a series of bars; amounts in the units of `grid.plan`.

    `grid_profit + inventory_pnl - fees == total`, exactly.

    Attributes:
        bars: How many bars it saw.
        start_value: What was put in.
        quote, base: Cash and coin at the end.
        last_price: Close of the last bar (the start price without bars).
        fees: All fees, entry and exit included.
        grid_profit: Of completed cycles, before fees: each is size times the width of its cell.
        inventory_pnl: Of everything not in a completed cycle: coin valued at the last price or sold on exit,
            against what it cost; slippage is in it, fees are not.
        slippage: The part of the inventory's loss that entry and exit paid as slippage.
        cycles: Cells that came back to how they started, counted each time.
        fills: Resting orders filled.
        held_bars: Bars at whose close the grid held coin: its time in market.
        stop_reason, stopped_at: Why and in which row it ended by itself; None when it did not.
        held_value: Worth at the end of the same coin and cash as after the start, never traded.
        values: Worth at each close, shape (bars,), int64, where asked for.
    """

    bars: int
    start_value: int
    quote: int
    base: int
    last_price: int
    fees: int
    grid_profit: int
    inventory_pnl: int
    slippage: int
    cycles: int
    fills: int
    held_bars: int
    stop_reason: StopReason | None
    stopped_at: int | None
    held_value: int
    values: Ints | None = field(default=None, compare=False, repr=False)

    @property
    def value(self) -> int:
        """Worth at the end: cash and coin at the last price, without the cost of selling it."""
        return self.quote + self.base * self.last_price

    @property
    def total(self) -> int:
        """Profit after fees, which is also the comparison with cash."""
        return self.value - self.start_value


def simulate(
    plan: GridPlan, bars: Bars, path: BarPath = BarPath.PESSIMISTIC, *, keep_values: bool = False
) -> GridOutcome:
    """Return what the grid does over the bars, by the compiled loop where numba is installed.

    Args:
        plan: The grid, started at the close before the first bar.
        bars: Closed bars after the start, minutes or coarser, prices in the plan's scale.
        path: Which way through a bar is believed.
        keep_values: Also return the worth at each close.

    Raises:
        ValueOutOfRange: With `keep_values`, a worth leaves 64 bits.
    """
    if len(bars) >= WORTH_COMPILING:
        from grid import kernels  # numba: what never simulates so much starts without it

        fast = compiled_run(plan, bars, path, keep_values=keep_values) if kernels.COMPILED else None
        if fast is not None:
            return fast
    return ledger_run(plan, bars, path, keep_values=keep_values)[0]


def compiled_run(
    plan: GridPlan, bars: Bars, path: BarPath = BarPath.PESSIMISTIC, *, keep_values: bool = False
) -> GridOutcome | None:
    """Return the outcome by `grid.kernels`, None where an amount could leave 64 bits."""
    from grid import kernels

    if not ladder.fits(plan, int(bars.high.max(initial=0))):
        return None
    tables, facts = ladder.of_plans([plan])
    results = blank_results(facts)
    values = np.empty(len(bars) if keep_values else 0, dtype=np.int64)
    columns = (bars.open, bars.high, bars.low, bars.close)
    kernels.run(*columns, tables[0], facts[0], path is BarPath.PESSIMISTIC, results[0], values)
    if results[0, ladder.GIVEN_UP]:
        return None
    return _outcome(plan, bars, tables[0], results[0], values if keep_values else None)


def sweep(plans: Sequence[GridPlan], bars: Bars, path: BarPath = BarPath.PESSIMISTIC) -> list[GridOutcome]:
    """Return `simulate` of each plan over the same bars, reading the candles once for all of them."""
    from grid import kernels

    if not kernels.COMPILED or not plans:
        return [simulate(plan, bars, path) for plan in plans]
    highest = int(bars.high.max(initial=0))
    if not all(ladder.fits(plan, highest) for plan in plans):
        return [simulate(plan, bars, path) for plan in plans]
    tables, facts = ladder.of_plans(list(plans))
    results = blank_results(facts)
    columns = (bars.open, bars.high, bars.low, bars.close)
    kernels.sweep(*columns, tables, facts, path is BarPath.PESSIMISTIC, results)
    return [
        simulate(plan, bars, path) if result[ladder.GIVEN_UP] else _outcome(plan, bars, table, result, None)
        for plan, table, result in zip(plans, tables, results, strict=True)
    ]


def ledger_run(
    plan: GridPlan, bars: Bars, path: BarPath = BarPath.PESSIMISTIC, *, keep_values: bool = False
) -> tuple[GridOutcome, tuple[Fill, ...]]:
    """Return the outcome and every fill, order by order in plain Python: what the fast loop must equal.

    Args and errors as in `simulate`.
    """
    book = Ledger(plan)
    fills: list[Fill] = []
    values: list[int] = []
    held_bars = 0
    for bar, row in enumerate(rows_of(bars)):
        book = book.after(bar, row, path)
        fills += book.fills
        held_bars += book.base > 0
        values.append(book.worth(row[3]))
    outcome = book.outcome(bars, held_bars, _as_column(values) if keep_values else None)
    return outcome, tuple(fills)


def rows_of(bars: Bars) -> Iterable[tuple[int, int, int, int]]:
    """Return (open, high, low, close) of each bar as Python integers."""
    return zip(bars.open.tolist(), bars.high.tolist(), bars.low.tolist(), bars.close.tolist(), strict=True)


class Ledger:
    """Coin, cash and resting orders of one grid, one cell at a time; copies share nothing that changes.

    `fills` are those of the bar passed last.
    """

    def __init__(self, plan: GridPlan) -> None:
        self.plan = plan
        self.prices = plan.geometry.prices()
        self.started_with_coin = tuple(cell >= plan.first_level for cell in range(plan.geometry.levels))
        self.has_coin = self.started_with_coin
        self.quote, self.base = plan.quote, plan.base
        self.fees = plan.entry_fee
        self.grid_profit = self.cycles = self.resting_filled = 0
        self.fills: tuple[Fill, ...] = ()
        self.stop_reason: StopReason | None = None
        self.stopped_at: int | None = None
        self.exit_seen = 0
        self._rest()

    @property
    def rung(self) -> int:
        """The level without an order: cells below it wait with cash, the others with coin."""
        return self.has_coin.count(False)

    def stand_at(self, rung: int) -> None:
        """Put the resting orders where a run left them; amounts are the caller's to set."""
        self.has_coin = tuple(cell >= rung for cell in range(len(self.has_coin)))
        self._rest()

    def after(self, bar: int, row: tuple[int, int, int, int], path: BarPath) -> Ledger:
        """Return the ledger after one bar (open, high, low, close), by the way through it to believe."""
        open_, high, low, close = row
        if self.stop_reason is not None or (low > self.next_buy and high < self.next_sale):
            self.fills = ()
            return self
        down, up = copy(self), copy(self)
        down.walk(bar, (open_, low, high, close))
        up.walk(bar, (open_, high, low, close))
        if down.worth(close) == up.worth(close) or (down.worth(close) < up.worth(close)) == (
            path is BarPath.PESSIMISTIC
        ):
            return down
        return up

    def worth(self, price: int) -> int:
        return self.quote + self.base * price

    def walk(self, bar: int, stations: tuple[int, int, int, int]) -> None:
        """Let the price move straight from station to station; the first one is the bar's open."""
        self.fills = ()
        stop, profit = self.plan.stop_loss, self.plan.take_profit
        for leg, to in enumerate(stations):
            for cell in reversed(range(len(self.has_coin))):
                if not self.has_coin[cell] and to <= self.prices[cell] - self.plan.through:
                    self._trade(bar, Side.BUY, cell)
            for cell in range(len(self.has_coin)):
                if self.has_coin[cell] and to >= self.prices[cell + 1] + self.plan.through:
                    self._trade(bar, Side.SELL, cell)
            if stop is not None and to <= stop:
                self._sell_all(bar, StopReason.STOP_LOSS, to if leg == 0 else stop)
                break
            if profit is not None and to >= profit:
                self._sell_all(bar, StopReason.TAKE_PROFIT, profit)
                break
        self._rest()

    def outcome(self, bars: Bars, held_bars: int, values: Ints | None) -> GridOutcome:
        return GridOutcome(
            bars=len(bars),
            start_value=self.plan.start_value,
            quote=self.quote,
            base=self.base,
            last_price=_last_price(self.plan, bars),
            fees=self.fees,
            grid_profit=self.grid_profit,
            cycles=self.cycles,
            fills=self.resting_filled,
            held_bars=held_bars,
            stop_reason=self.stop_reason,
            stopped_at=self.stopped_at,
            held_value=_held_value(self.plan, bars),
            values=values,
            **_inventory(self.plan, self.rung, self.exit_seen, _last_price(self.plan, bars)),
        )

    def _trade(self, bar: int, side: Side, cell: int) -> None:
        size, buys = self.plan.sizes[cell], side is Side.BUY
        price = self.prices[cell if buys else cell + 1]
        fee = fee_on(price * size, self.plan.costs.maker_ppm)
        self.quote += (-price * size if buys else price * size) - fee
        self.base += size if buys else -size
        self.fees += fee
        self.resting_filled += 1
        self.has_coin = (*self.has_coin[:cell], buys, *self.has_coin[cell + 1 :])
        if buys == self.started_with_coin[cell]:
            self.cycles += 1
            self.grid_profit += size * (self.prices[cell + 1] - self.prices[cell])
        self.fills = (*self.fills, Fill(bar, side, cell, price, size, fee))

    def _sell_all(self, bar: int, reason: StopReason, seen: int) -> None:
        price = self.plan.costs.sell_price(seen)
        fee = fee_on(price * self.base, self.plan.costs.taker_ppm)
        self.fills = (*self.fills, Fill(bar, Side.SELL, None, price, self.base, fee))
        self.quote += price * self.base - fee
        self.base = 0
        self.fees += fee
        self.stop_reason, self.stopped_at, self.exit_seen = reason, bar, seen

    def _rest(self) -> None:
        """Note what the price must reach for anything to happen."""
        plan, levels = self.plan, range(len(self.has_coin))
        buys = [self.prices[cell] - plan.through for cell in levels if not self.has_coin[cell]]
        sales = [self.prices[cell + 1] + plan.through for cell in levels if self.has_coin[cell]]
        self.next_buy = max(buys, default=0 if plan.stop_loss is None else plan.stop_loss)
        self.next_sale = min(sales, default=INT64_MAX if plan.take_profit is None else plan.take_profit)


def _outcome(plan: GridPlan, bars: Bars, table: Ints, result: Ints, values: Ints | None) -> GridOutcome:
    """Return what the fast loop's result says in the ledger's words."""
    state, earned, cycled, cycles, stopped_at, exit_seen, held_bars, _ = map(int, result)
    levels = plan.geometry.levels
    rung = min(max(state, 0), levels)
    quote, base = int(table[ladder.QUOTE, rung]) + earned, int(table[ladder.BASE, rung])
    fees = plan.entry_fee + int(table[ladder.FEES, rung]) + cycled - earned
    if stopped_at >= 0:
        brought = base * plan.costs.sell_price(exit_seen)
        exit_fee = fee_on(brought, plan.costs.taker_ppm)
        quote, base, fees = quote + brought - exit_fee, 0, fees + exit_fee
    return GridOutcome(
        bars=len(bars),
        start_value=plan.start_value,
        quote=quote,
        base=base,
        last_price=_last_price(plan, bars),
        fees=fees,
        grid_profit=cycled,
        cycles=cycles,
        fills=2 * cycles + abs(rung - plan.first_level),
        held_bars=held_bars,
        stop_reason=_reason(state, levels),
        stopped_at=stopped_at if stopped_at >= 0 else None,
        held_value=_held_value(plan, bars),
        values=values,
        **_inventory(plan, rung, exit_seen, _last_price(plan, bars)),
    )


def _inventory(plan: GridPlan, rung: int, exit_seen: int, last_price: int) -> dict[str, int]:
    """Return profit and slippage of what is not in a completed cycle.

    That is the idle coin and every cell that is not as it started, or still holds its first coin: the cells
    from `rung` on hold coin, those below do not.
    """
    prices, first = plan.geometry.prices(), plan.first_level
    mark = plan.costs.sell_price(exit_seen) if exit_seen else last_price
    pnl, base = plan.idle_base * (mark - plan.entry_price), plan.idle_base
    for cell, size in enumerate(plan.sizes):
        cost = plan.entry_price if cell >= first else prices[cell]
        if cell >= rung:
            base += size
            pnl += size * (mark - cost)
        elif cell >= first:
            pnl += size * (prices[cell + 1] - cost)
    slippage = plan.base * (plan.entry_price - plan.start_price)
    if exit_seen:
        slippage += base * (exit_seen - mark)
    return {"inventory_pnl": pnl, "slippage": slippage}


def _reason(state: int, levels: int) -> StopReason | None:
    if state < 0:
        return StopReason.STOP_LOSS
    return StopReason.TAKE_PROFIT if state > levels else None


def _last_price(plan: GridPlan, bars: Bars) -> int:
    return int(bars.close[-1]) if len(bars) else plan.start_price


def _held_value(plan: GridPlan, bars: Bars) -> int:
    return plan.quote + plan.base * _last_price(plan, bars)


def blank_results(facts: Ints) -> Ints:
    """Return what a kernel expects to fill: each ladder in its first state, nothing stopped."""
    results = np.zeros((len(facts), ladder.RESULTS), dtype=np.int64)
    results[:, ladder.STATE] = facts[:, ladder.FIRST]
    results[:, ladder.STOPPED_AT] = -1
    return results


def _as_column(values: list[int]) -> Ints:
    if values and max(values) > INT64_MAX:
        raise ValueOutOfRange("grid", "values", "a worth is outside 64 bits: choose a smaller base_scale")
    return np.array(values, dtype=np.int64)
