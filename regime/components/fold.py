"""The three-dimensional regime on its own, for timeframes that have no verdict: 15m, 4h and any other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from market.candles import Bars, Floats, Ints
from market.hours import Timeframe
from regime.components.columns import ComponentColumns, component_columns, no_components
from regime.components.states import NO_ROW
from regime.config import RegimeConfig
from regime.folds import PriceFold
from regime.metrics.adx import DirectionalAverages, directional_averages
from regime.precision import significant_column


@dataclass(frozen=True, slots=True, eq=False)
class ComponentRows:
    """Bars that have a regime.

    Attributes:
        ts: Opens, epoch seconds, rising, shape (n,).
        columns: Their regimes, n rows.
    """

    ts: Ints
    columns: ComponentColumns

    @classmethod
    def none(cls) -> ComponentRows:
        """Return zero rows."""
        return cls(np.empty(0, dtype=np.int64), no_components())

    def __len__(self) -> int:
        return int(self.ts.shape[0])


@dataclass(frozen=True, slots=True, eq=False)
class ComponentFold:
    """Everything that the components of one timeframe carry from bar to bar.

    Attributes:
        prices: n bars since the anchor.
        movement: Wilder's directional averages as the recursion carries them.
        adx: As recorded, shape (n,).
        columns: The regimes, n rows.
    """

    prices: PriceFold
    movement: DirectionalAverages
    adx: Floats
    columns: ComponentColumns

    @classmethod
    def start(cls, timeframe: Timeframe, price_scale: int) -> ComponentFold:
        """Return the fold of no bars."""
        none = np.empty(0)
        return cls(
            PriceFold.start(timeframe, price_scale),
            DirectionalAverages(none, none, none),
            none,
            no_components(),
        )

    def __len__(self) -> int:
        return len(self.prices)

    @property
    def bars(self) -> Bars:
        return self.prices.bars

    def rows(self, count: int) -> ComponentFold:
        """Return the fold as it was after `count` bars."""
        return ComponentFold(
            self.prices.rows(count), self.movement.rows(count), self.adx[:count], self.columns.rows(0, count)
        )

    def extended(self, bars: Bars, config: RegimeConfig) -> ComponentFold:
        """Return the fold with later bars, at least one, added."""
        first = len(self)
        prices = self.prices.extended(bars, config)
        movement = directional_averages(
            prices.quote(prices.bars.high),
            prices.quote(prices.bars.low),
            config.metrics.wilder_bars,
            self.movement,
        )
        adx = np.concatenate((self.adx, significant_column(movement.adx[first:])))
        later = component_columns(
            prices.bars.close, prices.price_scale, prices.atr, adx, movement, config, first
        )
        return ComponentFold(prices, movement, adx, self.columns.followed_by(later))

    def told(self, first: int, last: int) -> ComponentRows:
        """Return those of the rows [first, last) that have a regime."""
        columns = self.columns.rows(first, last)
        start = int(np.count_nonzero(columns.trend == NO_ROW))  # without a regime are only the oldest
        return ComponentRows(self.bars.ts[first + start : last], columns.rows(start, len(columns)))
