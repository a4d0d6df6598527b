"""The regime itself as a signal: buy when an uptrend has just begun."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, ClassVar

from pydantic import Field

from regime.components.states import SimplifiedRegime
from regime.config import Bars, Share
from trading.signals.base import TrendConfig, atr_of, metric_of, quoted, recent, share_or, strength_of, swing
from trading.values import MarketView, Trigger

_AGO = 3  # the analysis tells ADX as it was three bars ago


class RegimeSignalConfig(TrendConfig):
    """What made an uptrend three hours ago: the numbers of `regime.components`, to be kept equal to them."""

    trending_adx: float = Field(20.0, gt=0, lt=100, description="ADX from which a market trends.")
    sma_bars: Bars = Field(50, description="Closes in the moving average whose slope a trend follows.")
    sma_slope_bars: Annotated[int, Field(ge=1, le=100)] = Field(6, description="Bars behind that slope.")
    minimum_confidence: Share = Field(
        0.2,
        description="In the regime: just after a change it stands near its thresholds, and may flip back.",
    )
    max_hold_h: int = Field(72, ge=1, le=1000, description="Hours after which it is left at the market.")


@dataclass(frozen=True, slots=True)
class RegimeSignal:
    """Fires while the regime is TREND_UP and three hours ago it could not have been.

    It could not when ADX was below the trend's threshold or the moving average did not rise: both are known
    from the analysis and the window alone. A change that only the directional indicators or momentum brought
    is not seen.
    """

    config: RegimeSignalConfig = field(default_factory=RegimeSignalConfig)
    name: ClassVar[str] = "regime"

    def scan(self, view: MarketView) -> tuple[Trigger, ...]:
        config, analysis = self.config, view.analysis
        if view.regime != SimplifiedRegime.TREND_UP.value or analysis is None or analysis.components is None:
            return ()
        hours = recent(view, _AGO + config.sma_slope_bars + config.sma_bars)
        adx, atr = metric_of(view, "adx"), atr_of(view)
        before = analysis.diagnostics.get("adx_3_bars_ago")
        if hours is None or adx is None or atr is None or before is None:
            return ()
        then = hours.close[:-_AGO]
        steps = config.sma_slope_bars
        rising = int((then[-steps:] - then[:steps]).sum()) > 0
        confidence = share_or(analysis.components.confidence, 0.0)
        if confidence < config.minimum_confidence or (before >= config.trending_adx and rising):
            return ()
        newest = int(hours.close[-1])
        why = f"ADX was {before:.1f}" if before < config.trending_adx else "the moving average did not rise"
        return swing(
            view,
            self.name,
            config,
            newest,
            atr=atr,
            target=newest / view.window.price_scale + config.target_atr * atr,
            strength=strength_of(adx, config.trending_adx),
            confidence=confidence,
            reason=f"close {quoted(view, newest)} in TREND_UP, which was not there {_AGO} h ago: {why} then,"
            f" ADX is {adx:.1f} now (from {config.trending_adx:g}),"
            f" confidence {confidence:.2f} (from {config.minimum_confidence:g})",
        )
