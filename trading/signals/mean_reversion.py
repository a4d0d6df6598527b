"""A close far below what was usual: expect it to come back. Long only, so only the low extreme is faded."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from pydantic import Field

from regime.columns import sums
from regime.config import Bars, Share
from trading.signals.base import SwingConfig, atr_of, deviation, quoted, recent, share_or, strength_of, swing
from trading.values import MarketView, Trigger


class MeanReversionConfig(SwingConfig):
    """The newest close against the mean of `bars` closes, itself included."""

    bars: Bars = Field(48, description="Closes in mean and standard deviation.")
    minimum_deviations: float = Field(2.0, gt=0, le=10, description="Standard deviations below the mean.")
    outside_margin: float = Field(
        0.5, ge=0, le=5, description="ATR below a valid range from which it counts as broken."
    )
    minimum_target_atr: float = Field(
        1.0, ge=0, le=20, description="A way back shorter than this is not worth its stop, ATR."
    )
    confidence: Share = Field(0.5, description="Assumed where nobody knows whether the range holds.")
    max_hold_h: int = Field(24, ge=1, le=1000, description="Hours after which it is left at the market.")


@dataclass(frozen=True, slots=True)
class MeanReversionSignal:
    """Fires below the mean; the target is the mean, or the middle of a valid range where that is nearer.

    Below a broken range there is nothing left to return to. Its confidence is the calibrated probability
    that the range holds for a day, where the analysis has one.
    """

    config: MeanReversionConfig = field(default_factory=MeanReversionConfig)
    name: ClassVar[str] = "mean_reversion"

    def scan(self, view: MarketView) -> tuple[Trigger, ...]:
        config, analysis = self.config, view.analysis
        hours = recent(view, config.bars)
        if analysis is None or hours is None:
            return ()
        closes = hours.close.astype(np.float64) / view.window.price_scale
        spread = deviation(closes)
        atr = atr_of(view)
        if spread <= 0.0 or atr is None:
            return ()
        close = float(closes[-1])
        mean = float(sums(closes)) / config.bars
        below = (mean - close) / spread
        known = analysis.range
        broken = known.valid and close < known.lower - config.outside_margin * atr
        target = min(mean, known.mid) if known.valid and known.mid > close else mean
        short = target - close < config.minimum_target_atr * atr
        if below < config.minimum_deviations or broken or short:
            return ()
        newest = int(hours.close[-1])
        return swing(
            view,
            self.name,
            config,
            newest,
            atr=atr,
            target=target,
            strength=strength_of(below, config.minimum_deviations),
            confidence=share_or(analysis.hold_probability, config.confidence),
            reason=f"close {quoted(view, newest)} is {below:.2f} standard deviations"
            f" (from {config.minimum_deviations:g}) below the mean {mean:.6g} of {config.bars} h;"
            f" target {target:.6g}",
        )
