"""Candles: one as exact decimals on its way in, many as integer columns for everything else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from market.errors import DataInvalid
from market.hours import Timeframe

Ints: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Candle:
    """One closed candle as an exchange or a file told it, in exact decimals.

    Attributes:
        ts: Open of the candle, epoch seconds.
        open, high, low, close: Quote price.
        volume: Base coin.
        turnover: Quote value, None where the source has none.
    """

    ts: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    turnover: Decimal | None = None

    def fault(self) -> str | None:
        """Return what is wrong with the figures, None if nothing is."""
        if not 0 < self.low <= min(self.open, self.close):
            return f"low {self.low} must be above 0 and not above open {self.open} or close {self.close}"
        if self.high < max(self.open, self.close):
            return f"high {self.high} is below open {self.open} or close {self.close}"
        if self.volume < 0:
            return f"volume {self.volume} is negative"
        return None


@dataclass(frozen=True, slots=True, eq=False)
class Bars:
    """Columns of closed bars of one timeframe, oldest first; bars that are not known are left out.

    Attributes:
        timeframe: Length of each bar.
        ts: Opens, epoch seconds, strictly increasing multiples of the timeframe, shape (n,).
        open, high, low, close: Price x price_scale, int64, shape (n,).
        volume: Base volume x volume_scale, int64, shape (n,).
    """

    timeframe: Timeframe
    ts: Ints
    open: Ints
    high: Ints
    low: Ints
    close: Ints
    volume: Ints

    def __len__(self) -> int:
        return int(self.ts.shape[0])

    def columns(self) -> tuple[Ints, Ints, Ints, Ints, Ints, Ints]:
        return self.ts, self.open, self.high, self.low, self.close, self.volume

    def between(self, start_ts: int, end_ts: int) -> Bars:
        """Return the bars that open in [start_ts, end_ts), as views."""
        first, last = np.searchsorted(self.ts, (start_ts, end_ts))
        return self.rows(int(first), int(last))

    def rows(self, first: int, last: int) -> Bars:
        """Return the rows [first, last), as views."""
        return Bars(self.timeframe, *(column[first:last] for column in self.columns()))

    def at(self, rows: NDArray[np.bool_] | NDArray[np.intp]) -> Bars:
        """Return some of the bars, by place or by mask."""
        return Bars(self.timeframe, *(column[rows] for column in self.columns()))

    def rescaled(self, price_factor: int, volume_factor: int) -> Bars:
        """Return the bars brought to a finer scale; both factors are powers of ten, 1 or more.

        Raises:
            DataInvalid: A value would leave 64 bits.
        """
        if price_factor == 1 and volume_factor == 1:
            return self
        for column, factor in ((self.high, price_factor), (self.volume, volume_factor)):
            if len(column) and int(column.max()) > np.iinfo(np.int64).max // factor:
                raise DataInvalid(f"{self.timeframe.value} bars", "scale", f"x{factor} leaves 64 bits")
        return replace(
            self,
            open=self.open * price_factor,
            high=self.high * price_factor,
            low=self.low * price_factor,
            close=self.close * price_factor,
            volume=self.volume * volume_factor,
        )


def no_bars(timeframe: Timeframe) -> Bars:
    """Return zero bars."""
    empty = np.empty(0, dtype=np.int64)
    return Bars(timeframe, empty, empty, empty, empty, empty, empty)


def bars_of(timeframe: Timeframe, rows: list[tuple[int, int, int, int, int, int]]) -> Bars:
    """Return columns of rows (ts, open, high, low, close, volume)."""
    if not rows:
        return no_bars(timeframe)
    return Bars(timeframe, *np.array(rows, dtype=np.int64).T.copy())


def joined(parts: list[Bars]) -> Bars:
    """Return bars of one timeframe and scale laid end to end; the parts must not overlap."""
    if len(parts) == 1:
        return parts[0]
    columns = zip(*(part.columns() for part in parts), strict=True)
    return Bars(parts[0].timeframe, *(np.concatenate(column) for column in columns))


def merged(parts: Sequence[Bars]) -> Bars:
    """Return the bars of all parts, oldest first; where several parts have a bar, the last part's counts.

    Args:
        parts: One or more of one timeframe and scale.
    """
    filled = [part for part in parts if len(part)]
    if not filled:
        return parts[0]
    in_time = sorted(filled, key=lambda part: int(part.ts[0]))
    if all(one.ts[-1] < after.ts[0] for one, after in pairwise(in_time)):
        return joined(in_time)
    every = joined(filled)
    order = np.argsort(every.ts, kind="stable")
    ts = every.ts[order]
    return every.at(order[np.r_[ts[1:] != ts[:-1], True]])


def aggregate(bars: Bars, to: Timeframe, parts_needed: int | None = None) -> Bars:
    """Return coarser bars, each built from the finer ones that it covers.

    Args:
        bars: Finer bars; `to` must be a multiple of their timeframe.
        to: The coarser timeframe.
        parts_needed: How many finer bars a coarse one needs; all of them when left out.

    Returns:
        The coarse bars that have enough parts; the others are left out.
    """
    whole = to.seconds // bars.timeframe.seconds
    if to.seconds % bars.timeframe.seconds or whole < 1:
        raise ValueError(f"{to.value} is not a multiple of {bars.timeframe.value}")
    if not len(bars):
        return no_bars(to)
    opens = bars.ts - bars.ts % to.seconds
    first = np.flatnonzero(np.r_[True, opens[1:] != opens[:-1]])
    last = np.r_[first[1:], len(bars)] - 1
    coarse = Bars(
        to,
        opens[first],
        bars.open[first],
        np.maximum.reduceat(bars.high, first),
        np.minimum.reduceat(bars.low, first),
        bars.close[last],
        np.add.reduceat(bars.volume, first),
    )
    enough = (last - first + 1) >= (whole if parts_needed is None else parts_needed)
    return Bars(to, *(column[enough] for column in coarse.columns()))
