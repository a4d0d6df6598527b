"""What every signal has: a name, settings, one question; and how a swing is drawn up from a price and ATR."""

from __future__ import annotations

import math
from typing import Protocol

from pydantic import ConfigDict, Field

from market.candles import Bars, Floats
from market.hours import HOUR_S, Timeframe
from market.units import from_scaled, plain
from regime.columns import sums
from regime.config import Section
from trading.values import MarketView, Trigger, TriggerKind


class Signal(Protocol):
    """One way to find trades."""

    @property
    def name(self) -> str:
        """As configuration, policy and records call it."""

    def scan(self, view: MarketView) -> tuple[Trigger, ...]:
        """Return what fires at the close of the view's hour; nothing where too little is known."""


class SignalConfig(Section):
    """Settings of any signal; bars are hours."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class SwingConfig(SignalConfig):
    """Settings of a signal that buys coin to sell it again."""

    stop_atr: float = Field(2.0, gt=0, le=20, description="Stop below the close, ATR(14) of 1h.")
    max_hold_h: int = Field(48, ge=1, le=1000, description="Hours after which it is left at the market.")


class TrendConfig(SwingConfig):
    """Settings of a signal that goes with a move, whose end nobody knows."""

    target_atr: float = Field(4.0, gt=0, le=50, description="Target above the close, ATR(14) of 1h.")


def recent(view: MarketView, bars: int) -> Bars | None:
    """Return the last `bars` 1h bars, of which the newest is the view's own hour.

    Returns:
        Views of shape (bars,); None where one of these hours is unknown, or nothing was traded in the last:
        a price carried forward is no news. Bars after the hour are never looked at.
    """
    hours = view.window.bars.get(Timeframe.H1)
    if hours is None:
        return None
    found = hours.between(view.hour.close_ts - bars * HOUR_S, view.hour.close_ts)
    return found if len(found) == bars and int(found.volume[-1]) > 0 else None


def atr_of(view: MarketView) -> float | None:
    """Return ATR(14) of 1h, quote price; None where it is unknown or 0."""
    return None if view.analysis is None else positive(view.analysis.atr)


def metric_of(view: MarketView, name: str) -> float | None:
    """Return one of the six metrics where it is above 0."""
    reading = None if view.analysis is None else view.analysis.metrics.get(name)
    return None if reading is None else positive(reading.value)


def positive(value: float | None) -> float | None:
    """Return the value where it is finite and above 0."""
    return value if value is not None and math.isfinite(value) and value > 0 else None


def share_or(value: float | None, otherwise: float) -> float:
    """Return the value where it is one in [0, 1], else the other."""
    return value if value is not None and 0.0 <= value <= 1.0 else otherwise


def deviation(values: Floats) -> float:
    """Return the population standard deviation; the same bits on every machine."""
    apart = values - values[0]
    apart = apart - float(sums(apart)) / apart.shape[0]
    return math.sqrt(float(sums(apart * apart)) / apart.shape[0])


def strength_of(found: float, threshold: float) -> float:
    """Return one half at the threshold, 1 at twice of it and beyond, linear between."""
    return round(min(max(0.5 * found / threshold, 0.5), 1.0), 6)


def quoted(view: MarketView, price: int) -> str:
    """Return a price of the view's window as people write it."""
    return plain(from_scaled(price, view.window.price_scale))


def order_price(view: MarketView, price: int) -> int:
    """Return a price of the window in the scale of the market's orders, rounded down."""
    return price * view.terms.price_scale // view.window.price_scale


def swing(
    view: MarketView,
    signal: str,
    config: SwingConfig,
    close: int,
    *,
    atr: float,
    target: float,
    strength: float,
    confidence: float,
    reason: str,
) -> tuple[Trigger, ...]:
    """Return the trigger of a swing from the last close; none where stop and target leave it no room.

    Stop and target are rounded down to the increment: the loss is never smaller than said, the gain never
    larger.

    Args:
        close: x price_scale of the window.
        atr: Quote price.
        target: Quote price.
    """
    stop = _increments_down(view, close / view.window.price_scale - config.stop_atr * atr)
    goal = _increments_down(view, target)
    price = order_price(view, close)
    if not 0 < stop < price < goal:
        return ()
    trigger = Trigger(
        signal=signal,
        key=view.key,
        hour=view.hour,
        kind=TriggerKind.SWING,
        strength=strength,
        confidence=round(confidence, 6),
        reason=reason,
        price=price,
        stop=stop,
        target=goal,
        max_hold_h=config.max_hold_h,
    )
    return (trigger,)


def _increments_down(view: MarketView, price: float) -> int:
    increment = view.terms.price_increment
    return math.floor(price * view.terms.price_scale / increment) * increment
