"""A running grid's simulated position, carried from hour to hour: what it holds, earned and paid.

The position of an hour is the one recorded the hour before, passed over this hour's minutes: exactly what
`grid.simulation.simulate` says of all minutes at once, by the pessimistic path, however they were cut into
hours. A position is numbers only; the plan that it belongs to is rebuilt from the grid's version and the
recorded `PlanTerms`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from grid.economics import PlanTerms
from grid.plan import GridPlan
from grid.simulation import BarPath, Ledger, StopReason, rows_of
from market.candles import Bars
from market.errors import DataInvalid
from market.hours import micros
from market.values import ValueForm
from regime.precision import significant

MOST_DRIFT_PCT = 5.0
NO_BAR = -1
MINUTE_US = 60 * 10**6


@dataclass(frozen=True, slots=True)
class Position:
    """Where a grid stands after the bars that it has seen; amounts in the units of `grid.plan`.

    Attributes:
        bars: How many it has seen.
        last_ts: Open of the newest of them, epoch seconds; -1 before the first.
        last_price: Its close, the start price before the first.
        rung: The level without an order: cells below it wait with cash, the others with coin.
        start_value: What was put in.
        quote, base: Cash and coin.
        fees: Paid so far, of the entry and of an exit included.
        grid_profit: Of completed cycles, before fees.
        cycles, fills: Cells that came back to how they started; resting orders filled.
        held_bars: Bars at whose close it held coin.
        peak_profit: Most profit after fees at the start or any bar's close; never positive for a grid that
            never was in the plus.
        stop_reason: Why it ended by itself (`stop_loss`, `take_profit`), None while it goes on.
        stopped_bar, stopped_ts: In which bar: its number from 0, its open in epoch seconds.
        exit_seen: The price that the exit saw, 0 without one.
    """

    bars: int
    last_ts: int
    last_price: int
    rung: int
    start_value: int
    quote: int
    base: int
    fees: int
    grid_profit: int
    cycles: int
    fills: int
    held_bars: int
    peak_profit: int
    stop_reason: str | None = None
    stopped_bar: int | None = None
    stopped_ts: int | None = None
    exit_seen: int = 0

    @property
    def value(self) -> int:
        """Worth at the last price: cash and coin, without the cost of selling it."""
        return self.quote + self.base * self.last_price

    @property
    def profit(self) -> int:
        """Profit after fees, open coin valued at the last price."""
        return self.value - self.start_value

    @property
    def inventory_pnl(self) -> int:
        """What is not of completed cycles: `grid_profit + inventory_pnl - fees == profit`."""
        return self.profit + self.fees - self.grid_profit

    def rescaled(self, price_factor: int) -> Position:
        """Return the position brought to a finer price scale; the factor is a power of ten."""
        amounts = ("last_price", "start_value", "quote", "fees", "grid_profit", "peak_profit", "exit_seen")
        return replace(self, **{name: getattr(self, name) * price_factor for name in amounts})


def opened(plan: GridPlan) -> Position:
    """Return the position of a grid that has just started."""
    worth = plan.quote + plan.base * plan.start_price
    return Position(
        bars=0,
        last_ts=NO_BAR,
        last_price=plan.start_price,
        rung=plan.first_level,
        start_value=plan.start_value,
        quote=plan.quote,
        base=plan.base,
        fees=plan.entry_fee,
        grid_profit=0,
        cycles=0,
        fills=0,
        held_bars=0,
        peak_profit=worth - plan.start_value,
    )


def advanced(position: Position, plan: GridPlan, bars: Bars) -> Position:
    """Return the position after more bars, all after those that it has seen.

    Args:
        position: After any number of bars of the same plan.
        plan: What the grid started with, in the scale of the bars.
        bars: Closed bars; those that are not known are left out.

    Raises:
        DataInvalid: A bar was seen already, or the plan's ladder is not the position's.
    """
    if len(bars) and int(bars.ts[0]) <= position.last_ts:
        raise DataInvalid("position", "last_ts", f"bar {int(bars.ts[0])} was already passed")
    if not 0 <= position.rung <= plan.geometry.levels:
        raise DataInvalid("position", "rung", f"{position.rung}, the ladder has {plan.geometry.levels}")
    book = _book(position, plan)
    held_bars, peak = position.held_bars, position.peak_profit
    for number, row in enumerate(rows_of(bars), start=position.bars):
        book = book.after(number, row, BarPath.PESSIMISTIC)
        held_bars += book.base > 0
        peak = max(peak, book.worth(row[3]) - position.start_value)
    stopped_ts = position.stopped_ts
    if book.stopped_at is not None and position.stopped_bar is None:
        stopped_ts = int(bars.ts[book.stopped_at - position.bars])
    return Position(
        bars=position.bars + len(bars),
        last_ts=int(bars.ts[-1]) if len(bars) else position.last_ts,
        last_price=int(bars.close[-1]) if len(bars) else position.last_price,
        rung=book.rung,
        start_value=position.start_value,
        quote=book.quote,
        base=book.base,
        fees=book.fees,
        grid_profit=book.grid_profit,
        cycles=book.cycles,
        fills=book.resting_filled,
        held_bars=held_bars,
        peak_profit=peak,
        stop_reason=None if book.stop_reason is None else book.stop_reason.value,
        stopped_bar=book.stopped_at,
        stopped_ts=stopped_ts,
        exit_seen=book.exit_seen,
    )


def _book(position: Position, plan: GridPlan) -> Ledger:
    book = Ledger(plan)
    book.stand_at(position.rung)
    book.quote, book.base, book.fees = position.quote, position.base, position.fees
    book.grid_profit, book.cycles = position.grid_profit, position.cycles
    book.resting_filled, book.exit_seen = position.fills, position.exit_seen
    book.stop_reason = None if position.stop_reason is None else StopReason(position.stop_reason)
    book.stopped_at = position.stopped_bar
    return book


def opening_ts(started_at: datetime) -> int:
    """Return the open of the first whole minute of a grid that started then, epoch seconds.

    The minute before it, which held the start, gives the start price: its close.
    """
    return -(-micros(started_at) // MINUTE_US) * 60


@dataclass(frozen=True, slots=True)
class PositionFigures:
    """A position in words that people use: quote coin and base coin as plain numbers, 9 digits.

    Attributes:
        source: `simulated`, or `exchange` where its own figures stand.
        allocation: What was put in.
        value: Worth at the price, without the cost of selling.
        net_profit, net_profit_pct: After all fees; of the allocation.
        peak_profit: Most of it so far, at least 0.
        given_back: Peak less present profit.
        grid_profit, inventory_pnl, fees: `grid_profit + inventory_pnl - fees = net_profit`.
        hold_pnl: What the same coin and cash would have made, never traded, after the entry's cost.
        coin, cash: What it holds.
        cycles, fills: Completed cycles; resting orders filled.
        stop_reason: Why it ended by itself.
    """

    source: str
    allocation: float
    value: float
    net_profit: float
    net_profit_pct: float
    peak_profit: float
    given_back: float
    grid_profit: float
    inventory_pnl: float
    fees: float
    hold_pnl: float
    coin: float
    cash: float
    cycles: int
    fills: int
    stop_reason: str | None


def figures_of(position: Position, plan: GridPlan, terms: PlanTerms) -> PositionFigures:
    """Return the position's figures.

    Args:
        position: Simulated.
        plan, terms: What it runs under, both in the position's scale.
    """
    unit = terms.price_scale * terms.base_scale

    def quote(amount: int) -> float:
        return significant(amount / unit)

    peak = max(position.peak_profit, 0)
    held = plan.quote + plan.base * position.last_price
    return PositionFigures(
        source="simulated",
        allocation=quote(position.start_value),
        value=quote(position.value),
        net_profit=quote(position.profit),
        net_profit_pct=significant(100 * position.profit / position.start_value),
        peak_profit=quote(peak),
        given_back=quote(peak - position.profit),
        grid_profit=quote(position.grid_profit),
        inventory_pnl=quote(position.inventory_pnl),
        fees=quote(position.fees),
        hold_pnl=quote(held - position.start_value),
        coin=significant(position.base / terms.base_scale),
        cash=quote(position.quote),
        cycles=position.cycles,
        fills=position.fills,
        stop_reason=position.stop_reason,
    )


@dataclass(frozen=True, slots=True)
class Drift:
    """How far the simulation is from what the exchange says.

    Attributes:
        simulated, exchange: Worth of the grid, quote coin.
        drift_pct: Their distance, percent of the exchange's figure.
        threshold_pct: Above it the two no longer tell the same story.
        distance: Threshold less drift; positive on the safe side.
        anomaly: `position_drift`, None where there is none.
    """

    simulated: float
    exchange: float
    drift_pct: float
    threshold_pct: float
    distance: float
    anomaly: str | None


def drift(simulated: float, exchange: float, threshold_pct: float = MOST_DRIFT_PCT) -> Drift:
    """Return the drift between two figures of the same grid's worth, the exchange's above 0.

    Raises:
        DataInvalid: The exchange's figure is not above 0.
    """
    if exchange <= 0:
        raise DataInvalid("position", "exchange", f"{exchange}, expected a worth above 0")
    found = significant(100 * abs(simulated - exchange) / exchange)
    anomaly = "position_drift" if found > threshold_pct else None
    return Drift(
        significant(simulated),
        significant(exchange),
        found,
        threshold_pct,
        significant(threshold_pct - found),
        anomaly,
    )


_FORM = ValueForm(Position)


def as_record(position: Position) -> dict[str, Any]:
    """Return the position as it is recorded every hour."""
    return _FORM.as_record(position)


def of_record(value: Mapping[str, Any], where: str = "position") -> Position:
    """Return the position that `as_record` wrote.

    Raises:
        DataInvalid: Names the field.
    """
    position = _FORM.of_record(value, where)
    if position.stop_reason is not None and position.stop_reason not in list(StopReason):
        raise DataInvalid(where, "stop_reason", f"{position.stop_reason!r}, expected {list(StopReason)}")
    return position
