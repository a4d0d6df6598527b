"""A rise that is large for this market, on volume that is: go with it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from regime.columns import sums
from regime.config import Share
from trading.signals.base import TrendConfig, atr_of, deviation, quoted, recent, strength_of, swing
from trading.values import MarketView, Trigger


class PriceMoveConfig(TrendConfig):
    """The rise over `bars` hours against the `baseline_bars` hours before them."""

    bars: Annotated[int, Field(ge=1, le=48)] = Field(3, description="Hours that the move may take.")
    baseline_bars: Annotated[int, Field(ge=24, le=1000)] = Field(
        168, description="Hours before the move that say what is usual."
    )
    minimum_sigmas: float = Field(
        2.5, gt=0, le=20, description="Move in standard deviations of as many hours."
    )
    minimum_volume_ratio: float = Field(2.0, gt=0, le=100, description="Volume an hour over the usual one.")
    confidence: Share = Field(0.5, description="Assumed, as nothing measures it: a coin toss by default.")
    max_hold_h: int = Field(24, ge=1, le=1000, description="Hours after which it is left at the market.")


@dataclass(frozen=True, slots=True)
class PriceMoveSignal:
    """Fires when price and volume both left what was usual, upwards.

    The baseline ends before the move begins, so a move never makes itself look usual.
    """

    config: PriceMoveConfig = field(default_factory=PriceMoveConfig)
    name: ClassVar[str] = "price_move"

    def scan(self, view: MarketView) -> tuple[Trigger, ...]:
        config = self.config
        hours = recent(view, config.baseline_bars + config.bars + 1)
        atr = atr_of(view)
        if hours is None or atr is None:
            return ()
        close = hours.close.astype(np.float64)
        before = close[: -config.bars]
        sigma = deviation(before[1:] / before[:-1] - 1.0)
        volume = hours.volume.astype(np.float64)
        usual = float(sums(volume[1 : -config.bars])) / config.baseline_bars
        if sigma <= 0.0 or usual <= 0.0:
            return ()
        move = float(close[-1] / before[-1]) - 1.0
        sigmas = move / (sigma * math.sqrt(config.bars))
        ratio = float(sums(volume[-config.bars :])) / config.bars / usual
        if sigmas < config.minimum_sigmas or ratio < config.minimum_volume_ratio:
            return ()
        newest = int(hours.close[-1])
        return swing(
            view,
            self.name,
            config,
            newest,
            atr=atr,
            target=newest / view.window.price_scale + config.target_atr * atr,
            strength=strength_of(sigmas, config.minimum_sigmas),
            confidence=config.confidence,
            reason=f"close {quoted(view, newest)} is {100 * move:.2f} % up in {config.bars} h,"
            f" {sigmas:.2f} standard deviations (from {config.minimum_sigmas:g}),"
            f" on {ratio:.2f} times the usual volume (from {config.minimum_volume_ratio:g})",
        )
