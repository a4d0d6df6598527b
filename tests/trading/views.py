"""Views of one market at the close of an hour, to be spoilt one fact at a time."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np

from decisions.inputs import MarketCosts
from market.candles import Bars, Floats, Ints
from market.costs import LIQUIDITY_BY_TIER, Fees
from market.hours import HOUR_S, Hour, Timeframe
from market.orders import BestPrices, OrderTerms
from regime.analysis import Components, RegimeAnalysis
from tests.decisions.builders import ANALYSIS, reading
from tests.regime.windows import window_of
from trading.values import MarketView

HOUR = Hour.parse("2026-02-02T14")
SCALE = 100
RULES = {
    "price_increment": Decimal("0.05"),
    "base_increment": Decimal("0.0001"),
    "base_min_size": Decimal("0.001"),
    "min_funds": Decimal("0.1"),
}
COSTS = MarketCosts(Fees(maker_bps=10, taker_bps=10), LIQUIDITY_BY_TIER["major"])
BEST = BestPrices(bid=199_990, ask=200_010, ts=HOUR.close_ts, recorded=True)


def hours_of(
    closes: Floats, *, volume: Ints | None = None, wick: float = 0.0, hour: Hour = HOUR, scale: int = SCALE
) -> Bars:
    """Return 1h bars that end with an hour; each opens at the close before and reaches `wick` beyond both."""
    close = np.round(closes * scale).astype(np.int64)
    opens = np.concatenate((close[:1], close[:-1]))
    reach = round(wick * scale)
    ts = hour.open_ts + HOUR_S * (np.arange(close.shape[0], dtype=np.int64) - close.shape[0] + 1)
    traded = np.full(close.shape[0], 1000, dtype=np.int64) if volume is None else volume
    return Bars(
        Timeframe.H1,
        ts,
        opens,
        np.maximum(opens, close) + reach,
        np.minimum(opens, close) - reach,
        close,
        traded,
    )


def terms_of(symbol: str = "ETH-USDT", scale: int = SCALE) -> OrderTerms:
    return OrderTerms.of(symbol, symbol, scale, RULES)


def view_of(
    hours: Bars, analysis: RegimeAnalysis | None = ANALYSIS, *, hour: Hour = HOUR, **others: Any
) -> MarketView:
    """Return the view of an hour over 1h bars, liquid and cheap; every bar stays in its window."""
    window = window_of(hours.between(0, hour.close_ts), hour) if len(hours) else window_of(NONE, hour)
    facts: dict[str, Any] = {
        "key": "ETH-USDT",
        "hour": hour,
        "window": replace(window, bars={**window.bars, Timeframe.H1: hours}),
        "analysis": analysis,
        "terms": terms_of(),
        "costs": COSTS,
        "best": BEST,
        "turnover_24h": 1e8,
    }
    return MarketView(**{**facts, **others})


NONE = hours_of(np.empty(0))


def in_regime(simplified: str, **others: Any) -> RegimeAnalysis:
    """Return the calm analysis in a simplified regime."""
    components = Components("neutral", "low", "weak", "NEUTRAL_LOWVOL_WEAK", simplified, 0.4)
    return replace(ANALYSIS, components=components, **others)


def with_metrics(found: RegimeAnalysis, **values: float | None) -> RegimeAnalysis:
    """Return an analysis with some metrics changed."""
    return replace(found, metrics={**found.metrics, **{name: reading(v) for name, v in values.items()}})


def noise(bars: int, seed: int = 1, sigma: float = 0.003, price: float = 2000.0) -> Floats:
    """Return closes that wander little about a price."""
    steps = np.random.default_rng(seed).normal(0.0, sigma, bars)
    return price * (1 + steps)


def rise(bars: int = 220, last: int = 30, step: float = 0.002) -> Floats:
    """Return closes that wander and then climb steadily."""
    closes = noise(bars, sigma=0.001)
    closes[-last:] = closes[-last - 1] * (1 + step) ** np.arange(1, last + 1)
    return closes


def spike(bars: int = 260, up: float = 0.03, over: int = 3) -> Floats:
    """Return closes that wander and then jump in the last hours."""
    closes = noise(bars, sigma=0.002)
    closes[-over:] = closes[-over - 1] * (1 + up * np.arange(1, over + 1) / over)
    return closes


def loud(bars: int = 260, over: int = 3, times: int = 4) -> Ints:
    """Return volumes that are so many times the usual ones in the last hours."""
    volume = np.full(bars, 1000, dtype=np.int64)
    volume[-over:] *= times
    return volume
