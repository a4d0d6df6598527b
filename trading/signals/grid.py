"""The grid engine as a signal: what the decision code would set up now."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from pydantic import Field

from market.hours import HOUR_S, Timeframe
from market.units import plain
from regime.config import Share
from trading.signals.base import SignalConfig, order_price
from trading.values import MarketView, Trigger, TriggerKind


class GridSignalConfig(SignalConfig):
    """The decision code has gates and checks of its own; this only asks for more."""

    minimum_confidence: Share = Field(0.0, description="Of the advice, at least.")


@dataclass(frozen=True, slots=True)
class GridSignal:
    """Fires when a setup is advised, as sure as the advice is; it passed every check: its strength is 1."""

    config: GridSignalConfig = field(default_factory=GridSignalConfig)
    name: ClassVar[str] = "grid"

    def scan(self, view: MarketView) -> tuple[Trigger, ...]:
        grid, confidence = view.setup, view.setup_confidence
        hours = view.window.bars.get(Timeframe.H1)
        if grid is None or confidence is None or hours is None:
            return ()
        own = hours.between(view.hour.close_ts - HOUR_S, view.hour.close_ts)
        if not len(own) or not confidence >= self.config.minimum_confidence:
            return ()
        trigger = Trigger(
            signal=self.name,
            key=view.key,
            hour=view.hour,
            kind=TriggerKind.GRID,
            strength=1.0,
            confidence=round(min(confidence, 1.0), 6),
            reason=f"a grid of {grid.levels} levels from {plain(grid.lower)} to {plain(grid.upper)}"
            f" is advised with confidence {confidence:.2f} (from {self.config.minimum_confidence:g})",
            price=order_price(view, int(own.close[-1])),
            grid=grid,
        )
        return (trigger,)
