"""The result of one hour's analysis, every number already rounded as it is recorded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Literal, TypeAlias

ENGINE_VERSION = 1  # raised only when a golden record changes

ScoreModel: TypeAlias = Literal["evidence", "classic"]


class Verdict(Enum):
    """The four regimes, from calm to running away; the order is used to say "at least"."""

    RANGE_OK = "RANGE_OK"
    RANGE_WEAK = "RANGE_WEAK"
    TRANSITION = "TRANSITION"
    TREND = "TREND"

    @property
    def rank(self) -> int:
        return list(Verdict).index(self)

    @property
    def is_range(self) -> bool:
        return self in (Verdict.RANGE_OK, Verdict.RANGE_WEAK)


@dataclass(frozen=True, slots=True)
class MetricReading:
    """One metric now.

    Attributes:
        value: Rounded to 9 significant digits; None when it could not be computed.
        reason: Why there is no value; None when there is one.
        score: Trendiness in [0, 1], rounded to 1e-6; None without a value.
        weight: In twentieths, 0 without a value.
        slope: Change a bar over the last 6 bars (least squares); None where unknown.
        trend: RISING, FALLING, STABLE (EXPANDING, CONTRACTING, STABLE for the bandwidth); None where unknown.
    """

    value: float | None
    reason: str | None
    score: float | None
    weight: int
    slope: float | None
    trend: str | None


@dataclass(frozen=True, slots=True)
class PriceRange:
    """The range in force; prices in quote, rounded to the price scale."""

    lower: float
    upper: float
    mid: float
    width_pct: float
    width_atr: float
    touches_lower: int
    touches_upper: int
    age_h: int
    containment: float
    lookback_h: int
    valid: bool


@dataclass(frozen=True, slots=True)
class Components:
    """The three-dimensional regime of one bar.

    Attributes:
        trend_state: `uptrend`, `downtrend` or `neutral`.
        volatility_state: `low` or `high`.
        momentum_state: `bullish`, `bearish` or `weak`.
        full_regime: The join of the three, such as `UPTREND_LOWVOL_BULLISH`.
        simplified_regime: `TREND_UP`, `TREND_DOWN`, `RANGE`, `CHOPPY` or `NEUTRAL`.
        confidence: How far the inputs stand from the thresholds of the simplified regime, in [0, 1]; no
            probability.
    """

    trend_state: str
    volatility_state: str
    momentum_state: str
    full_regime: str
    simplified_regime: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Confidence:
    """How sure, in [0, .95], and every factor that made it (market level, without grid spacing)."""

    value: float
    factors: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class RegimeAnalysis:
    """Verdict, both scores and everything that explains them.

    Attributes:
        verdict: Of the configured score model, after hysteresis and vetoes.
        evidence_verdict, classic_verdict: Of each model, side by side.
        trendiness, trendiness_4h: T and T4 in [0, 1]; None without enough metrics.
        hold_probability: p, calibrated probability that the range holds 24 hours.
        barrier_probability: p0, the driftless barrier survival behind p.
        distances: From the deciding score to each class boundary, signed: positive on the calm side.
        vetoes: Names of the rules that changed the raw class, in the order they fired.
        flips_168: Verdict changes in the last 168 hours.
        dwell_h: Hours since the verdict changed, at most 168.
        hourly_sigma: s, EWMA standard deviation of hourly log returns.
        atr: ATR(14) on 1h, quote price, rounded to 9 significant digits.
        components: The three-dimensional regime of the hour's own 1h bar; None with too little history.
    """

    verdict: Verdict
    score_model: ScoreModel
    hold_probability: float | None
    barrier_probability: float | None
    trendiness: float | None
    trendiness_4h: float | None
    verdict_4h: Verdict | None
    p_transition: float | None
    evidence_verdict: Verdict
    classic_verdict: Verdict
    metrics: Mapping[str, MetricReading]
    vetoes: tuple[str, ...]
    distances: Mapping[str, float]
    range: PriceRange
    price: float
    atr: float | None
    hourly_sigma: float | None
    flips_168: int
    dwell_h: int
    confidence: Confidence
    diagnostics: Mapping[str, float | None]
    early_warning: Mapping[str, Mapping[str, float | None]]
    components: Components | None = None


@dataclass(frozen=True, slots=True)
class Insufficient:
    """There is not enough to judge by; `reason` says what is missing, with the counts."""

    reason: str
