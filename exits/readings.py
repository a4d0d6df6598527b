"""Everything that one hour gives to the exits of one grid."""

from __future__ import annotations

import math
from dataclasses import dataclass

from exits.config import ExitsConfig
from exits.memory import ExitFold
from regime.analysis import MetricReading, RegimeAnalysis, Verdict
from regime.config import EvidenceConfig, RegimeConfig
from regime.scores import barrier_survival, hold_probability

_LEAST_SHARE = 1e-6  # of the lower bound: where a margin would take a barrier to 0 or below


@dataclass(frozen=True, slots=True)
class Profit:
    """What a grid has earned, quote, net of fees.

    Attributes:
        allocation: What was put in, above 0.
        peak: Highest net profit since the start.
        current: Net profit now, coin at the market.
        realised: Of that, from finished cycles.
    """

    allocation: float
    peak: float
    current: float
    realised: float


@dataclass(frozen=True, slots=True)
class ExitReadings:
    """One hour as the exits see it; None is unknown, everywhere.

    Attributes:
        close: Of the hour, quote.
        atr: ATR(14) on 1h, quote.
        classic_verdict: On 1h by T, whichever model is in force: classic's triggers were measured on it.
        verdict_4h: Class of T4 at the last closed 4h bar.
        half_life: Hours; infinity without mean reversion.
        atr_ratio: ATR against the median of its last 168.
        efficiency_before: The efficiency ratio 3 bars ago.
        z_score: Of the close over 48 hours.
        survival: p0 on the grid's own bounds.
        hold: The calibrated probability beside it.
        confidence: `hold`, capped: what evidence compares over time.
        classic_confidence: C, where classic is the model in force.
        calm_half_life, calm_atr: Medians over the last week's RANGE_OK hours, hours and quote.
    """

    close: float | None = None
    atr: float | None = None
    classic_verdict: Verdict | None = None
    verdict_4h: Verdict | None = None
    p_transition: float | None = None
    half_life: float | None = None
    atr_ratio: float | None = None
    efficiency_ratio: float | None = None
    efficiency_before: float | None = None
    z_score: float | None = None
    survival: float | None = None
    hold: float | None = None
    confidence: float | None = None
    classic_confidence: float | None = None
    calm_half_life: float | None = None
    calm_atr: float | None = None
    profit: Profit | None = None

    @property
    def judged(self) -> bool:
        """Whether the regime of the hour is known; a close alone may still call for an exit."""
        return self.classic_verdict is not None


NOTHING_KNOWN = ExitReadings()


def readings_of(
    analysis: RegimeAnalysis,
    fold: ExitFold,
    config: ExitsConfig,
    regime: RegimeConfig,
    profit: Profit | None = None,
) -> ExitReadings:
    """Return what a judged hour gives.

    Args:
        analysis: Of the hour.
        fold: After the hour before; gives bounds and ATR.
        config: Margin of the barriers.
        regime: The formula's numbers, and the most that a confidence may be.
        profit: Simulated or the exchange's, None where unknown.
    """
    survival, hold = survival_within(
        analysis.price, analysis.atr, analysis.hourly_sigma, fold, config, regime
    )
    diagnostics, metrics = analysis.diagnostics, analysis.metrics
    return ExitReadings(
        close=analysis.price,
        atr=analysis.atr,
        classic_verdict=analysis.classic_verdict,
        verdict_4h=analysis.verdict_4h,
        p_transition=analysis.p_transition,
        half_life=_half_life(metrics["half_life"]),
        atr_ratio=diagnostics.get("atr_ratio"),
        efficiency_ratio=metrics["efficiency_ratio"].value,
        efficiency_before=diagnostics.get("efficiency_ratio_3_bars_ago"),
        z_score=diagnostics.get("z_score"),
        survival=survival,
        hold=hold,
        confidence=None if hold is None else min(hold, regime.confidence.maximum),
        classic_confidence=analysis.confidence.value if analysis.score_model == "classic" else None,
        calm_half_life=diagnostics.get("half_life_range_ok_7d"),
        calm_atr=diagnostics.get("atr_range_ok_7d"),
        profit=profit,
    )


def readings_of_close(
    close: float, fold: ExitFold, config: ExitsConfig, regime: RegimeConfig, profit: Profit | None = None
) -> ExitReadings:
    """Return what an unjudged hour gives whose bar is there: a broken bound needs no regime."""
    survival, hold = survival_within(close, None, None, fold, config, regime)
    return ExitReadings(close=close, survival=survival, hold=hold, profit=profit)


def survival_within(
    close: float,
    atr: float | None,
    sigma: float | None,
    fold: ExitFold,
    config: ExitsConfig,
    regime: RegimeConfig,
) -> tuple[float | None, float | None]:
    """Return pf and its calibrated value: that every close of the next 24 hours stays within the grid.

    Args:
        close: Now, quote.
        atr: Today's, quote, for a grid whose own is not known yet.
        sigma: Standard deviation of hourly log returns, today.
        fold: Bounds and ATR, frozen at the start.
        config: How far beyond the bounds the barriers stand, ATR.
        regime: The formula's numbers.

    Returns:
        Both in [0, 1]; 0 and the configured floor for a price beyond the barriers, which needs no sigma;
        None where something is unknown.
    """
    frozen = fold.atr if fold.atr is not None else atr
    if frozen is None:
        return None, None
    margin = config.barrier_margin * frozen
    lower, upper = max(fold.lower - margin, _LEAST_SHARE * fold.lower), fold.upper + margin
    evidence: EvidenceConfig = regime.evidence
    if not lower <= close <= upper:
        return 0.0, evidence.outside_probability
    if sigma is None:
        return None, None
    survival = barrier_survival(close, lower, upper, sigma, evidence)
    return survival, hold_probability(survival, evidence)


def _half_life(reading: MetricReading) -> float | None:
    """Return infinity where a half-life has a score but no value: the engine found no mean reversion."""
    return math.inf if reading.value is None and reading.score is not None else reading.value
