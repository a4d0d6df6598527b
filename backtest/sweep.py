"""Many grids over the same candles: what a sweep is, and what one part of its parameter sets earned.

Every set gets the same capital, half in coin and half in cash, at the start of each period, and its coin is
sold at the period's end, so that no period starts with another one's position; profits are put aside. A
day's change is the worth at its close less that of the day before, cash and coin at the last price. Integers
only, so that a part is the same wherever and whenever it is run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

import numpy as np

from backtest.parameters import ParameterSet
from grid import ladder
from grid.batch import FAULTS, SOUND, Batch, Shapes, Terms
from grid.geometry import Spacing
from grid.ladder import MOST_PROFIT
from market.candles import Bars, Ints
from market.costs import PPM, OrderCosts
from market.errors import ConfigInvalid, DataInvalid
from market.hours import HOUR_S

DAY_S = 24 * HOUR_S
HALF_PPM = 2 * PPM


class TooSmall(StrEnum):
    """Why a grid that could be counted could not be placed: the exchange refuses one of its orders."""

    SIZE = "an order is smaller than the exchange's least size"
    FUNDS = "an order is worth less than the exchange's least amount"


REFUSALS = (*(fault.value for fault in FAULTS), *(small.value for small in TooSmall))


@dataclass(frozen=True, slots=True)
class Days:
    """Days of one period, half-open, counted from the sweep's start."""

    first: int
    end: int


@dataclass(frozen=True, eq=False)
class SweepPlan:
    """What every part of a sweep shares.

    Attributes:
        key: The market.
        bars: Its minutes from `start_ts` on, in the span; missing ones are left out, the price then goes on
            to the next open.
        start_ts, end_ts: The span, half-open; days are counted from `start_ts`, the last may be shorter.
        seen_before: Close of the last bar before the span; the first open where there is none.
        price_scale, base_scale, increment: Units of prices and coin; price increment x price_scale.
        capital: Of each grid, quote units (price_scale x base_scale).
        costs: Fees and slippage.
        every_days: A grid is placed anew every so many days; 0 for once.
        pessimistic: Which way through a bar is believed.
        least_size, least_funds: Of an order that the exchange takes, base and quote units.

    Raises:
        ConfigInvalid: The capital in these units leaves 64 bits.
        DataInvalid: There are no bars.
    """

    key: str
    bars: Bars
    start_ts: int
    end_ts: int
    seen_before: int
    price_scale: int
    base_scale: int
    increment: int
    capital: int
    costs: OrderCosts
    every_days: int = 7
    pessimistic: bool = True
    least_size: int = 1
    least_funds: int = 0

    def __post_init__(self) -> None:
        if self.capital * 16 >= MOST_PROFIT:
            raise ConfigInvalid(
                f"capital: {self.capital} units of 1/{self.price_scale * self.base_scale} leave 64 bits;"
                " expected less capital or a coarser base increment"
            )
        if not len(self.bars):
            raise DataInvalid(self.key, "", "no minutes in the span of the sweep")

    @property
    def days(self) -> int:
        """How many days the span has, the last one perhaps shorter."""
        return -(-(self.end_ts - self.start_ts) // DAY_S)

    @property
    def periods(self) -> list[Days]:
        """Return the periods in order; the last may be shorter."""
        step = self.every_days or self.days
        return [Days(first, min(first + step, self.days)) for first in range(0, self.days, step)]

    def day(self, number: int) -> Bars:
        """Return a day's bars."""
        start = self.start_ts + number * DAY_S
        return self.bars.between(start, min(start + DAY_S, self.end_ts))

    def seen_at(self, day: int) -> int:
        """Return the last price before a day."""
        row = int(np.searchsorted(self.bars.ts, self.start_ts + day * DAY_S))
        return int(self.bars.close[row - 1]) if row else self.seen_before

    @cached_property
    def data_digest(self) -> str:
        """Return a digest of every price that the sweep looks at."""
        told = hashlib.sha256(f"{self.key} {self.seen_before} {self.price_scale}".encode())
        for column in (self.bars.ts, self.bars.open, self.bars.high, self.bars.low, self.bars.close):
            told.update(np.ascontiguousarray(column, dtype="<i8").tobytes())
        return f"sha256:{told.hexdigest()}"


@dataclass(frozen=True, slots=True)
class Task:
    """Sets [first, first + len(sets)) of a sweep."""

    number: int
    first: int
    sets: tuple[ParameterSet, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """What the sets of a task did; amounts in quote units, shape (sets,) where not said.

    Attributes:
        number: The task's.
        faults: -1, or the place in REFUSALS; a set that is no grid in one period counts in none,
            and its other figures are 0.
        net: All periods' profit after fees and slippage.
        fees: Paid, with those of placing and selling.
        fills, cycles: Resting orders filled; cells that came back to how they started.
        held_minutes: Minutes at whose close coin was held.
        stops: Periods that ended at the stop-loss.
        changes: Worth at each day's close less that of the day before, shape (sets, days).
    """

    number: int
    faults: Ints
    net: Ints
    fees: Ints
    fills: Ints
    cycles: Ints
    held_minutes: Ints
    stops: Ints
    changes: Ints


def tasks_of(sets: Sequence[ParameterSet], sets_a_part: int) -> Iterator[Task]:
    """Yield the tasks of a sweep, in order."""
    for number, first in enumerate(range(0, len(sets), sets_a_part)):
        yield Task(number, first, tuple(sets[first : first + sets_a_part]))


def run_part(plan: SweepPlan, task: Task) -> Part:
    """Return what the task's sets earned, each alone, over the plan's candles."""
    count = len(task.sets)
    totals = np.zeros((6, count), dtype=np.int64)
    changes = np.zeros((count, plan.days), dtype=np.int64)
    faults = np.full(count, SOUND, dtype=np.int64)
    for period in plan.periods:
        start_price = plan.seen_at(period.first)
        batch = Batch(
            _shapes(task.sets, start_price, plan.increment),
            start_price,
            Terms(plan.capital, plan.costs, plan.increment, plan.increment),
            int(plan.bars.high.max()),
        )
        before = np.full(len(batch.rows), plan.capital, dtype=np.int64)
        for day in range(period.first, period.end):
            batch.pass_bars(plan.day(day), worse=plan.pessimistic)
            now = batch.worth(plan.seen_at(day + 1), sold=day + 1 == period.end)
            changes[batch.rows, day] = now.value - before
            before = now.value
        results = batch.results
        totals[:, batch.rows] += (
            before - plan.capital,
            now.fees,
            now.fills,
            results[:, ladder.CYCLES],
            results[:, ladder.HELD_BARS],
            batch.stopped,
        )
        for found in (batch.faults, _too_small(batch, plan, count)):
            faults = np.where(faults == SOUND, found, faults)
    refused = faults != SOUND
    totals[:, refused], changes[refused] = 0, 0
    net, fees, fills, cycles, held, stops = totals
    return Part(task.number, faults, net, fees, fills, cycles, held, stops, changes)


def _too_small(batch: Batch, plan: SweepPlan, count: int) -> Ints:
    """Return for each set SOUND, or why an order of its grid is too small; of sets that are no grid, SOUND.

    The least order of a cell is its buy: the same coin is sold at a higher price.
    """
    base, levels = batch.tables[:, ladder.BASE], batch.facts[:, ladder.LEVELS]
    real = np.arange(base.shape[1] - 1)[None, :] < levels[:, None]
    sizes = base[:, :-1] - base[:, 1:]
    funds = sizes * (batch.tables[:, ladder.BUY_AT, 1:] + batch.terms.through)
    found = np.full(count, SOUND, dtype=np.int64)
    for why, small in ((TooSmall.FUNDS, funds < plan.least_funds), (TooSmall.SIZE, sizes < plan.least_size)):
        found[batch.rows[np.any(small & real, axis=1)]] = REFUSALS.index(why.value)
    return found


def _shapes(sets: Sequence[ParameterSet], start_price: int, increment: int) -> Shapes:
    """Return the ladders around a price: bounds on the increment, outwards; stops below, downwards."""
    lower = [start_price * (HALF_PPM - each.width_ppm) // HALF_PPM // increment * increment for each in sets]
    upper = [
        -(-start_price * (HALF_PPM + each.width_ppm) // HALF_PPM // increment) * increment for each in sets
    ]
    stops = [
        # a stop that rounds away is no stop at all, which must not pass for one
        (low * (PPM - each.stop_ppm) // PPM // increment * increment or -1) if each.stop_ppm else 0
        for low, each in zip(lower, sets, strict=True)
    ]
    return Shapes(
        np.array([each.spacing is Spacing.GEOMETRIC for each in sets]),
        np.array(lower, dtype=np.int64),
        np.array(upper, dtype=np.int64),
        np.array([each.levels for each in sets], dtype=np.int64),
        np.array(stops, dtype=np.int64),
    )


def fault_named(fault: int) -> str | None:
    """Return why a set is not run, None where it is."""
    return None if fault == SOUND else REFUSALS[fault]
