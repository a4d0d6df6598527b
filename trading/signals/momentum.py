"""A trend that makes a new high: expect more of it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar

from pydantic import Field

from regime.config import Bars, Share
from trading.signals.base import TrendConfig, atr_of, metric_of, positive, quoted, recent, strength_of, swing
from trading.values import MarketView, Trigger


class MomentumConfig(TrendConfig):
    """The newest close against the highs of `bars` hours before it."""

    bars: Bars = Field(48, description="Hours whose highest high is to be exceeded.")
    minimum_adx: float = Field(20.0, ge=0, lt=100, description="ADX(14) of 1h, at least.")
    minimum_efficiency: Share = Field(0.20, description="Efficiency ratio of 24 h, at least.")
    minimum_sigmas: float = Field(
        1.0, gt=0, le=20, description="Rise over the hours in hourly standard deviations x sqrt(bars)."
    )
    confidence: Share = Field(0.5, description="Assumed, as nothing measures it: a coin toss by default.")


@dataclass(frozen=True, slots=True)
class MomentumSignal:
    """Fires on a close above the highest high, in a market that goes somewhere and has come far."""

    config: MomentumConfig = field(default_factory=MomentumConfig)
    name: ClassVar[str] = "momentum"

    def scan(self, view: MarketView) -> tuple[Trigger, ...]:
        config, analysis = self.config, view.analysis
        hours = recent(view, config.bars + 1)
        if analysis is None or hours is None:
            return ()
        close, highest = int(hours.close[-1]), int(hours.high[:-1].max())
        sigma = positive(analysis.hourly_sigma)
        adx, efficiency, atr = metric_of(view, "adx"), metric_of(view, "efficiency_ratio"), atr_of(view)
        if close <= highest or sigma is None or adx is None or efficiency is None or atr is None:
            return ()
        sigmas = (close / int(hours.close[0]) - 1.0) / (sigma * math.sqrt(config.bars))
        if (
            adx < config.minimum_adx
            or efficiency < config.minimum_efficiency
            or sigmas < config.minimum_sigmas
        ):
            return ()
        return swing(
            view,
            self.name,
            config,
            close,
            atr=atr,
            target=close / view.window.price_scale + config.target_atr * atr,
            strength=strength_of(sigmas, config.minimum_sigmas),
            confidence=config.confidence,
            reason=f"close {quoted(view, close)} is above {quoted(view, highest)},"
            f" the highest of {config.bars} h,"
            f" after {sigmas:.2f} standard deviations up (from {config.minimum_sigmas:g}),"
            f" ADX {adx:.1f} (from {config.minimum_adx:g}),"
            f" efficiency {efficiency:.2f} (from {config.minimum_efficiency:g})",
        )
