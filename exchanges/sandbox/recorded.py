"""A market made of recorded candles, minutes and coarser ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

import numpy as np

from exchanges.columns import (
    VOLUME_DECIMALS,
    Columns,
    Floats,
    Ints,
    decimals_of,
    no_columns,
    overlaid,
    rounded,
)
from market.hours import Timeframe
from market.ports import SymbolRules

_PRICE_DECIMALS = 8


@dataclass(frozen=True, slots=True, eq=False)
class RecordedSeries:
    """Candles of one timeframe as a file holds them, oldest first, columns of equal length.

    Attributes:
        ts: Opens, epoch seconds.
        open, high, low, close: Quote price, float64.
        volume: Base coin, float64.
    """

    timeframe: Timeframe
    ts: Ints
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats

    def columns(self) -> Columns:
        return Columns(
            np.asarray(self.ts, dtype=np.int64),
            np.asarray(self.open, dtype=np.float64),
            np.asarray(self.high, dtype=np.float64),
            np.asarray(self.low, dtype=np.float64),
            np.asarray(self.close, dtype=np.float64),
            rounded(self.volume, VOLUME_DECIMALS),
        )


class RecordedMarket:
    """Serves each timeframe from the finest recorded candles that cover a bar whole.

    A bar that the finer ones cover only in part comes from the coarser recording, and where there is none
    (the exchange itself stood still) from the part.

    Args:
        series: By symbol, any timeframes of one venue.
        rules: Where known; else increments are read off the recorded digits.
    """

    def __init__(
        self,
        series: Mapping[str, Sequence[RecordedSeries]],
        rules: Mapping[str, SymbolRules] | None = None,
    ) -> None:
        self._series = {
            symbol: {
                one.timeframe.seconds: one.columns()
                for one in sorted(many, key=lambda s: s.timeframe.seconds)
            }
            for symbol, many in series.items()
        }
        known = rules or {}
        self._symbols = tuple(known.get(symbol) or self._rules_read_off(symbol) for symbol in self._series)
        self._bars: dict[tuple[str, int], Columns] = {}

    @property
    def kind(self) -> Literal["recorded"]:
        return "recorded"

    @property
    def symbols(self) -> tuple[SymbolRules, ...]:
        return self._symbols

    def bars(self, symbol: str, seconds: int, start_ts: int, end_ts: int) -> Columns:
        if (symbol, seconds) not in self._bars:
            self._bars[symbol, seconds] = self._merged(symbol, seconds)
        return self._bars[symbol, seconds].between(start_ts, end_ts)

    def _merged(self, symbol: str, seconds: int) -> Columns:
        whole, partial = no_columns(), no_columns()
        for step, columns in self._series[symbol].items():
            if seconds % step == 0:
                bars, parts = columns.aggregated(seconds)
                whole = overlaid(bars.where(parts == seconds // step), whole)
                partial = overlaid(bars, partial)
        return overlaid(partial, whole)

    def _rules_read_off(self, symbol: str) -> SymbolRules:
        recorded = list(self._series[symbol].values())
        closes = np.concatenate([columns.close for columns in recorded])
        volumes = recorded[0].volume
        base, _, quote = symbol.partition("-")
        size = Decimal(1).scaleb(-decimals_of(volumes, VOLUME_DECIMALS))
        return SymbolRules(
            symbol=symbol,
            base=base,
            quote=quote,
            price_increment=Decimal(1).scaleb(-decimals_of(closes, _PRICE_DECIMALS)),
            base_increment=size,
            base_min_size=size,
            min_funds=Decimal("0.1"),
            trading=True,
        )
