"""The simulated exchange with as many markets as a bench wants, and its candles as the others take them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Literal

import numpy as np

from exchanges.columns import Columns, decimal_text
from exchanges.sandbox.simulated import DEFAULT_SYMBOLS, SimulatedMarket, SimulatedSymbol
from market.candles import Bars, Candle
from market.hours import HOUR_S, Hour, Timeframe
from market.ports import SymbolRules
from market.units import price_scale_for, scale_for

START = Hour.parse("2021-09-06T00")  # the simulation begins in 2020: early, so that little is drawn
_MADE_RULES = DEFAULT_SYMBOLS[0].rules


def symbols(count: int) -> tuple[SimulatedSymbol, ...]:
    """Return the simulated markets and, beyond them, made-up ones of many prices and volatilities.

    Something trades in every minute: an hour whose last minute is in doubt would be fetched again later.
    """
    more = [_made(number) for number in range(len(DEFAULT_SYMBOLS), count)]
    return tuple(replace(one, no_trade_share=0.0) for one in (*DEFAULT_SYMBOLS, *more)[:count])


def _made(number: int) -> SimulatedSymbol:
    base = f"M{number:03d}"
    rules = SymbolRules(
        f"{base}-USDT",
        base,
        "USDT",
        Decimal("0.001"),
        Decimal("0.0001"),
        Decimal("0.001"),
        _MADE_RULES.min_funds,
        trading=True,
    )
    return SimulatedSymbol(rules, 2.0 + 3.0 * number, 0.004 + 0.0001 * (number % 40), 900.0)


class DrawnMarket:
    """A simulated market whose minutes around the measured hours are drawn before the clock is looked at.

    What an exchange does to know its candles is not what a daemon waits for; answering from memory is.
    """

    def __init__(self, made: Sequence[SimulatedSymbol], first: Hour, last: Hour) -> None:
        self._market = SimulatedMarket(symbols=made)
        self._from_ts, self._to_ts = first.open_ts - 48 * HOUR_S, last.close_ts + 48 * HOUR_S
        self._minutes = {
            one.rules.symbol: self._market.bars(one.rules.symbol, 60, self._from_ts, self._to_ts)
            for one in made
        }

    @property
    def kind(self) -> Literal["simulated"]:
        return self._market.kind

    @property
    def symbols(self) -> tuple[SymbolRules, ...]:
        return self._market.symbols

    def bars(self, symbol: str, seconds: int, start_ts: int, end_ts: int) -> Columns:
        if seconds == 60 and start_ts >= self._from_ts and end_ts <= self._to_ts:
            return self._minutes[symbol].between(start_ts, end_ts)
        return self._market.bars(symbol, seconds, start_ts, end_ts)


def candles_of(columns: Columns) -> list[Candle]:
    """Return candles in exact decimals, as an exchange tells them."""
    texts = zip(*(map(decimal_text, column.tolist()) for column in columns.all()[1:]), strict=True)
    return [Candle(ts, *map(Decimal, row)) for ts, row in zip(columns.ts.tolist(), texts, strict=True)]


def bars_of(columns: Columns, timeframe: Timeframe, rules: SymbolRules) -> Bars:
    """Return candles as the columns of a window, in the scales of the market's increments."""
    price, volume = price_scale_for(rules.price_increment), scale_for([rules.base_increment])
    factors = (price, price, price, price, volume)
    scaled = zip(columns.all()[1:], factors, strict=True)
    return Bars(
        timeframe, columns.ts, *(np.rint(column * factor).astype(np.int64) for column, factor in scaled)
    )
