"""The standard grid of every hour: what it would have earned in the day after, and by chance alone.

Half coin, half cash, geometric, no stop: the yardstick by which `calibrate` tells whether a classifier knows
when a grid pays. Thousands of days in one call; each is `grid.simulation.simulate` of the same plan, exactly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from grid import ladder
from grid.geometry import FEWEST_LEVELS, MOST_LEVELS, GridGeometry, cells_of_width, geometric_prices
from grid.plan import GridPlan, half_and_half
from grid.simulation import BarPath, blank_results
from market.candles import Bars, Floats, Ints
from market.costs import OrderCosts
from market.errors import DataInvalid

DAY_H = 24
CAPITAL = 10**16  # quote units a day, about: fine enough for a thousandth of a bps, far inside 64 bits


@dataclass(frozen=True, slots=True)
class StandardGrid:
    """The rule that makes a grid of two bounds.

    Attributes:
        spacing_bps: Cells are at least this wide where `at_least` allows it.
        at_least, at_most: Fewest and most cells.
        maker_ppm: Fee of each fill; the coin at the start is there already.
        increment: The market's price increment x price_scale; bounds are multiples of it.
        through: As in `GridPlan`; one increment when None.

    Raises:
        DataInvalid: No width, or not 2 <= at_least <= at_most <= 200 cells.
    """

    spacing_bps: float = 60.0
    at_least: int = FEWEST_LEVELS
    at_most: int = 20
    maker_ppm: int = 1_000
    increment: int = 1
    through: int | None = None

    def __post_init__(self) -> None:
        if self.spacing_bps <= 0:
            raise DataInvalid("grid", "spacing_bps", f"{self.spacing_bps}, expected more than 0")
        if not FEWEST_LEVELS <= self.at_least <= self.at_most <= MOST_LEVELS:
            raise DataInvalid(
                "grid", "levels", f"{self.at_least} to {self.at_most}, expected within 2 to 200"
            )

    def plan(self, lower: int, upper: int, start_price: int) -> GridPlan:
        """Return one day's plan: what `batch_24h` runs for it.

        Raises:
            DataInvalid: No grid fits these bounds.
        """
        levels = int(cells_of_width(lower, upper, self.spacing_bps, self.at_least, self.at_most))
        return half_and_half(
            GridGeometry(lower, upper, levels, increment=self.increment),
            start_price,
            CAPITAL // start_price * start_price,
            OrderCosts(self.maker_ppm, 0, 0),
            buys_base=False,
            through=self.through,
        )


@dataclass(frozen=True, slots=True, eq=False)
class StandardDays:
    """What each day's grid earned, net of fees, bps of its starting value; shape (n,), NaN where unknown.

    Unknown: the day's bars are not all there, no grid fits the bounds (a cycle would cost more than it earns,
    two prices round to the same), or the price moved out of all proportion (more than about tenfold).

    Attributes:
        against_hold_bps: Beyond the same coin and cash, never traded.
        against_cash_bps: Beyond cash alone.
        mirrored_against_hold_bps, mirrored_against_cash_bps: The same on the price path reflected about the
            start price (every logarithmic return with the other sign), same bounds: a chance baseline.
        levels: Cells, int64; 0 where no grid fits.
    """

    against_hold_bps: Floats
    against_cash_bps: Floats
    mirrored_against_hold_bps: Floats
    mirrored_against_cash_bps: Floats
    levels: Ints


def batch_24h(
    bars: Bars,
    starts: Ints,
    lower: Ints,
    upper: Ints,
    rule: StandardGrid | None = None,
    path: BarPath = BarPath.PESSIMISTIC,
) -> StandardDays:
    """Return what a standard grid started at each row's close earned over the next 24 hours.

    Args:
        bars: Closed bars, 1m to 4h.
        starts: Rows of `bars`, shape (n,): the grid starts at that close and first sees the row after it.
        lower, upper: Frozen bounds, price x price_scale, shape (n,).
        rule: Spacing, levels, fees; the default rule when None.
        path: Which way through a bar is believed, for the mirrored path too.

    Raises:
        DataInvalid: The arrays differ in length, a row is outside the bars, or a bound is not a positive
            multiple of the increment.
    """
    rule = rule or StandardGrid()
    if not len(starts) == len(lower) == len(upper):
        raise DataInvalid("grid", "starts", "starts, lower and upper differ in length")
    if len(starts) and not (starts.min() >= 0 and starts.max() < len(bars)):
        raise DataInvalid("grid", "starts", f"a row is outside the {len(bars)} bars")
    if np.any((lower <= 0) | (lower % rule.increment != 0) | (upper % rule.increment != 0)):
        raise DataInvalid("grid", "lower", f"bounds must be positive multiples of {rule.increment}")
    unknown = np.full((4, len(starts)), np.nan)
    days = StandardDays(unknown[0], unknown[1], unknown[2], unknown[3], np.zeros(len(starts), dtype=np.int64))
    rows = np.flatnonzero(_whole_days(bars, starts) & (lower < upper))
    if not len(rows):
        return days
    grids = _Grids(bars, starts[rows], lower[rows], upper[rows], rule)
    rows = rows[grids.usable]
    days.levels[rows] = grids.facts[:, ladder.LEVELS]
    for mirrored in (False, True):
        to_hold, to_cash = grids.earned(path, mirrored=mirrored)
        hold = days.mirrored_against_hold_bps if mirrored else days.against_hold_bps
        cash = days.mirrored_against_cash_bps if mirrored else days.against_cash_bps
        hold[rows], cash[rows] = to_hold, to_cash
    return days


class _Grids:
    """The usable grids of a batch as tables, and their days as rows."""

    def __init__(self, bars: Bars, starts: Ints, lower: Ints, upper: Ints, rule: StandardGrid) -> None:
        levels = cells_of_width(lower, upper, rule.spacing_bps, rule.at_least, rule.at_most)
        prices = geometric_prices(lower, upper, levels, rule.increment)
        start_price = bars.close[starts]
        cell, state = np.arange(prices.shape[1] - 1)[None, :], np.arange(prices.shape[1])[None, :]
        distance = np.abs(prices - start_price[:, None])
        first = np.where(state <= levels[:, None], distance, np.iinfo(np.int64).max).argmin(axis=1)
        value = CAPITAL // start_price * start_price
        base = value // 2 // start_price
        quote = value - base * start_price
        with_coin = np.maximum(levels - first, 1)
        each_cash, each_coin = quote // np.maximum(first, 1), base // with_coin
        buying = ladder.affordable(each_cash[:, None], prices[:, :-1], rule.maker_ppm)
        sizes = np.where(cell < first[:, None], buying, each_coin[:, None])
        sizes[cell >= levels[:, None]] = 0
        idle = np.where(first < levels, base - each_coin * with_coin, base)
        tables = ladder.tables(
            prices,
            sizes,
            levels,
            first,
            quote,
            idle,
            rule.maker_ppm,
            rule.increment if rule.through is None else rule.through,
            np.full(len(levels), ladder.NEVER_BELOW),
            np.full(len(levels), ladder.NEVER_ABOVE),
        )
        # the same refusals as GridGeometry and GridPlan make one at a time
        real = cell < levels[:, None]
        sound = (np.diff(prices, axis=1) > 0) & (sizes > 0) & (tables[:, ladder.NET, :-1] >= 0)
        highest, lowest = _day_extremes(bars, starts)
        top = np.maximum(np.maximum(highest, start_price * (start_price / lowest)), upper)
        coin = (idle + sizes.sum(axis=1)).astype(np.float64)
        in_proportion = quote + 16 * coin * top < ladder.MOST_PROFIT
        self.usable = np.all(sound | ~real, axis=1) & in_proportion
        kept = self.usable
        self.bars, self.starts, self.tables = bars, starts[kept], tables[kept]
        self.start_price, self.value = start_price[kept], value[kept]
        self.base, self.quote = base[kept], quote[kept]
        self.facts = np.zeros((int(kept.sum()), ladder.FACTS), dtype=np.int64)
        self.facts[:, ladder.LEVELS], self.facts[:, ladder.FIRST] = levels[kept], first[kept]

    def earned(self, path: BarPath, *, mirrored: bool) -> tuple[Floats, Floats]:
        """Return profit beyond holding and beyond cash, bps of the starting value."""
        from grid import kernels  # numba: the daemon starts without it

        bars, span = self.bars, _span(self.bars)
        results = blank_results(self.facts)
        columns = (bars.open, bars.high, bars.low, bars.close)
        run = kernels.run_each_mirrored if mirrored else kernels.run_each
        run(
            *columns,
            self.starts + 1,
            self.starts + 1 + span,
            self.tables,
            self.facts,
            path is BarPath.PESSIMISTIC,
            results,
        )
        last = bars.close[self.starts + span]
        if mirrored:
            last = reflected(self.start_price, last)
        each, state = np.arange(len(results)), results[:, ladder.STATE]
        cash = self.tables[each, ladder.QUOTE, state] + results[:, ladder.EARNED]
        worth = self.tables[each, ladder.BASE, state] * last + cash
        held = self.base * last + self.quote
        return (worth - held) * 1e4 / self.value, (worth - self.value) * 1e4 / self.value


def reflected(centre: Ints, price: Ints) -> Ints:
    """Return prices reflected about `centre` in logarithms, at least 1; `grid.kernels.mirror` for many."""
    return np.maximum((centre * (centre / price) + 0.5).astype(np.int64), 1)


def _span(bars: Bars) -> int:
    return DAY_H * 3600 // bars.timeframe.seconds


def _whole_days(bars: Bars, starts: Ints) -> NDArray[np.bool_]:
    """Return for which rows the next 24 hours are all there; times rise, so the last bar tells."""
    last = starts + _span(bars)
    known = last < len(bars)
    apart = bars.ts[np.minimum(last, len(bars) - 1)] - bars.ts[starts]
    whole: NDArray[np.bool_] = known & (apart == DAY_H * 3600)
    return whole


def _day_extremes(bars: Bars, starts: Ints) -> tuple[Ints, Ints]:
    span = _span(bars)
    high, low = sliding_window_view(bars.high, span), sliding_window_view(bars.low, span)
    return high[starts + 1].max(axis=1), low[starts + 1].min(axis=1)
