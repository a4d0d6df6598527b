"""One market's hour as the desk takes it in: minutes in the scale of orders, and the view of its close."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

import numpy as np

from decisions.inputs import HourInputs, MarketCosts
from market.candles import Bars
from market.errors import DataInvalid
from market.hours import HOUR_S, Hour, Timeframe
from market.orders import BestPrices, OrderTerms
from market.units import price_scale_for
from market.window import MarketWindow
from trading.grids import Judged
from trading.values import MarketView

DAY_H = 24
DAY_MINUTES = 1440


@dataclass(frozen=True, slots=True, eq=False)
class MarketHour:
    """What the daemon read back of one market's hour, or a backtest from its data.

    Attributes:
        inputs: As the hour was judged by; the operator's grids in it are not looked at.
        symbol: `BASE-QUOTE`.
    """

    inputs: HourInputs
    symbol: str

    def terms(self) -> OrderTerms | None:
        """Return the market's terms in the scale of its window or a finer one; None where no rules are known.

        Raises:
            ValueOutOfRange: The rules contradict the scale.
        """
        rules = self.inputs.rules
        if rules is None:
            return None
        scale = max(self.inputs.window.price_scale, price_scale_for(rules.price_increment))
        amounts = {name: Decimal(text) for name, text in rules.as_record().items()}
        return OrderTerms.of(self.inputs.key, self.symbol, scale, amounts)

    def minutes(self, terms: OrderTerms) -> Bars:
        """Return the hour's minutes in the terms' price scale."""
        return in_scale(self.inputs.minutes, self.inputs.window.price_scale, terms.price_scale)

    def best(self, terms: OrderTerms) -> BestPrices | None:
        """Return the best bid and ask that were recorded at the hour's close, None without."""
        summary, scale = self.inputs.summary, self.inputs.window.price_scale
        if summary is None or summary.best_bid is None or summary.best_ask is None:
            return None
        bid = summary.best_bid * terms.price_scale // scale
        ask = -(-summary.best_ask * terms.price_scale // scale)
        return BestPrices(bid, ask, self.inputs.hour.close_ts, recorded=True) if 0 < bid <= ask else None


def in_scale(bars: Bars, scale: int, wanted: int) -> Bars:
    """Return bars in another price scale; to a coarser one the range shrinks, so that nothing fills too soon.

    A range that holds no coarse price becomes the two around it: otherwise nothing could ever be sold in a
    quiet market whose prices got another digit.

    Raises:
        DataInvalid: A value would leave 64 bits.
    """
    if wanted >= scale:
        return bars.rescaled(wanted // scale, 1)
    factor = scale // wanted
    low, high = -(-bars.low // factor), bars.high // factor
    middle = np.clip(bars.close // factor, np.minimum(low, high), np.maximum(low, high))
    start = np.clip(bars.open // factor, np.minimum(low, high), np.maximum(low, high))
    return replace(bars, open=start, high=np.maximum(low, high), low=np.minimum(low, high), close=middle)


def turnover_24h(window: MarketWindow, hour: Hour) -> float | None:
    """Return the quote value of the last 24 hours, each bar at its close; None where one is not known."""
    bars = window.bars.get(Timeframe.H1)
    if bars is None:
        return None
    day = bars.between(hour.close_ts - DAY_H * HOUR_S, hour.close_ts)
    if len(day) < DAY_H:
        return None
    return float(np.dot(day.close / window.price_scale, day.volume / window.volume_scale))


def view_of(
    market: MarketHour, judged: Judged, terms: OrderTerms, costs: MarketCosts, best: BestPrices | None
) -> MarketView:
    """Return the market at the close of its hour.

    Raises:
        DataInvalid: The window's prices are finer than the terms'.
    """
    inputs = market.inputs
    window, hour = inputs.window, inputs.hour
    factor, rest = divmod(terms.price_scale, window.price_scale)
    if rest:
        problem = f"{window.price_scale} is finer than that of open orders, {terms.price_scale}"
        raise DataInvalid(f"{inputs.key} {hour}", "price_scale", problem)
    if factor > 1:
        bars = {timeframe: bars.rescaled(factor, 1) for timeframe, bars in window.bars.items()}
        window = replace(window, price_scale=terms.price_scale, bars=bars)
    last = int(inputs.minutes.ts[-1]) + 60 if len(inputs.minutes) else hour.open_ts
    setup = judged.setup
    return MarketView(
        key=inputs.key,
        hour=hour,
        window=window,
        analysis=judged.evaluation.analysis,
        terms=terms,
        costs=costs,
        best=best,
        turnover_24h=turnover_24h(window, hour),
        tradable=bool(np.any(inputs.minutes.volume > 0)),  # a halted market prints nothing
        stale_minutes=(hour.close_ts - last) // 60,
        setup=setup,
        setup_confidence=None if setup is None or judged.advice is None else judged.advice.confidence.value,
    )
