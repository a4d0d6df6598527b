"""A sweep's plan from recorded minutes: which candles, which units, where it starts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import numpy as np

from backtest.data import QUOTE_MINIMUM
from backtest.sweep import SweepPlan
from market.candles import Ints
from market.costs import OrderCosts
from market.errors import ConfigInvalid, DataInvalid
from market.hours import Hour, Timeframe
from market.units import decimals, plain, scale_for
from store.recorded import RecordedMarket, choose_markets, parse_name
from store.recorded_windows import RecordedWindows


@dataclass(frozen=True, slots=True)
class Account:
    """What each grid of a sweep is run with.

    Attributes:
        capital: Quote coin.
        costs: Fees and slippage.
        price_increment, base_increment: The market's; from the decimals of the recording when None.
        least_size: Of an order, coin; the base increment when None.
        least_funds: Of an order, quote.
    """

    capital: Decimal
    costs: OrderCosts
    price_increment: Decimal | None = None
    base_increment: Decimal | None = None
    least_size: Decimal | None = None
    least_funds: Decimal = QUOTE_MINIMUM


def market_named(data: Path, key: str, venue: str | None, window: str | None) -> RecordedMarket:
    """Return the minutes of a market from a folder of recordings, or from one file.

    Raises:
        DataInvalid: There are none; says what was looked for.
    """
    if data.is_dir():
        (market,) = choose_markets(data, 1, window, [key], venue).markets
        return RecordedMarket(market.exchange, key, {Timeframe.M1: market.files[Timeframe.M1]})
    named = parse_name(data)
    if named is None or named.timeframe is not Timeframe.M1 or named.symbol != key:
        raise DataInvalid(data.name, "", f"expected minutes of {key}: EXCHANGE_{key}_1m.parquet")
    return RecordedMarket(named.exchange, key, {Timeframe.M1: data})


def plan_of(
    market: RecordedMarket,
    account: Account,
    start: Hour | None,
    end: Hour | None,
    every_days: int,
    *,
    pessimistic: bool = True,
) -> SweepPlan:
    """Return the plan of a sweep over a recorded market.

    Args:
        market: Its minutes.
        account: Capital, costs, increments.
        start, end: Hours, half-open; all that is recorded when None.
        every_days, pessimistic: As in `SweepPlan`.

    Raises:
        ConfigInvalid: An increment does not fit the recording, or the capital leaves 64 bits.
        DataInvalid: No minutes in the span.
    """
    windows = RecordedWindows(market, {})
    bars, price_scale = windows.bars(Timeframe.M1), windows.price_scale
    if account.price_increment is not None:
        price_scale = max(price_scale, scale_for([account.price_increment]))
        bars = bars.rescaled(price_scale // windows.price_scale, 1)
    increment = _increment(account.price_increment, price_scale, bars.close)
    base_scale = (
        _coin_scale(bars.volume, windows.volume_scale)
        if account.base_increment is None
        else _scale_of(account.base_increment)
    )
    start_ts = int(bars.ts[0]) if start is None else start.open_ts
    end_ts = int(bars.ts[-1]) + bars.timeframe.seconds if end is None else end.open_ts
    if start_ts < int(bars.ts[0]):
        raise DataInvalid(
            market.symbol, "--from", f"{start}, but minutes begin at {Hour.of_ts(int(bars.ts[0]))}"
        )
    if end_ts > int(bars.ts[-1]) + bars.timeframe.seconds:
        raise DataInvalid(market.symbol, "--to", f"{end}, but minutes end at {Hour.of_ts(int(bars.ts[-1]))}")
    wanted = bars.between(start_ts, end_ts)
    if not len(wanted):
        raise DataInvalid(market.symbol, "", "no minutes in the span of the sweep")
    before = int(np.searchsorted(bars.ts, start_ts))
    capital = account.capital * price_scale * base_scale
    if capital != int(capital):
        raise ConfigInvalid(f"--capital: {plain(account.capital)} is no whole number of units")
    return SweepPlan(
        market.symbol,
        wanted,
        start_ts,
        end_ts,
        int(bars.close[before - 1]) if before else int(wanted.open[0]),
        price_scale,
        base_scale,
        increment,
        int(capital),
        account.costs,
        every_days,
        pessimistic,
        1 if account.least_size is None else max(math.ceil(account.least_size * base_scale), 1),
        math.ceil(account.least_funds * price_scale * base_scale),
    )


def _increment(told: Decimal | None, price_scale: int, prices: Ints) -> int:
    """Return the price increment x price_scale: as told, or the largest power of ten that fits all closes."""
    if told is not None:
        return int(told * price_scale)
    increment = 1
    while increment < price_scale and not np.any(prices % (increment * 10)):
        increment *= 10
    return increment


def _scale_of(base_increment: Decimal) -> int:
    """Return the scale at which one unit is one increment: sizes are whole units, and so whole increments."""
    scale = scale_for([base_increment])
    if base_increment * scale != 1:
        raise ConfigInvalid(
            f"--base-increment: {plain(base_increment)}, expected 1 or a power of ten below it, such as 0.001"
        )
    return scale


def _coin_scale(volumes: Ints, volume_scale: int) -> int:
    """Return the smallest scale at which every recorded volume is whole."""
    scale = 1
    while scale < volume_scale and np.any(volumes % (volume_scale // scale)):
        scale *= 10
    return scale


def increments_told(plan: SweepPlan) -> str:
    """Return the increments of a plan in words."""
    price = Decimal(plan.increment) / plan.price_scale
    coin = Decimal(1) / plan.base_scale
    size, funds = coin * plan.least_size, Decimal(plan.least_funds) * coin / plan.price_scale
    return (
        f"price increment {plain(price)}, base increment {plain(coin)} ({decimals(coin)} decimals),"
        f" orders of {plain(size)} coin and {plain(funds)} quote or more"
    )
