"""Every number of the regime analysis: the `regime:` section of the configuration.

Defaults marked (t) are starting points, to be tuned on one span of recorded data and reported on another.
Units stand in the descriptions; "bars" are bars of the timeframe at hand.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from market.hours import Timeframe

Share = Annotated[float, Field(ge=0, le=1)]
Bars = Annotated[int, Field(ge=2, le=1000)]


class Section(BaseModel):
    """Frozen; an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class HistoryConfig(Section):
    """How much of the past the engine asks for, and where its recursions start."""

    minutes_days: int = Field(21, ge=2, le=366, description="1m candles wanted and 5m bars read, days.")
    quarter_hours_days: int = Field(120, ge=62, le=1000, description="15m bars, days.")
    hours_days: int = Field(270, ge=62, le=2000, description="1h bars, days.")
    four_hours_days: int = Field(540, ge=62, le=4000, description="4h bars, days.")
    minimum_hours: int = Field(400, ge=200, le=5000, description="1h bars known, else insufficient.")
    minimum_four_hours: int = Field(250, ge=200, le=5000, description="4h bars known, else insufficient.")
    anchor_months: int = Field(
        3, ge=1, le=24, description="1h and 4h recursions start this many months before the hour's month."
    )
    quarter_hour_anchor_months: int = Field(1, ge=1, le=24, description="The same for 15m, months.")
    minute_anchor_days: int = Field(7, ge=1, le=60, description="1m and 5m: days before the hour's day.")
    anchor_minimum_bars: int = Field(
        168, ge=30, le=1000, description="With fewer bars after an anchor the previous one is used."
    )

    @model_validator(mode="after")
    def _reaches_the_anchors(self) -> Self:
        for name, months in (
            ("quarter_hours_days", self.quarter_hour_anchor_months),
            ("hours_days", self.anchor_months),
            ("four_hours_days", self.anchor_months),
        ):
            if getattr(self, name) < 31 * (months + 1):
                raise ValueError(f"{name} must reach the anchor, {31 * (months + 1)} days or more")
        if self.minutes_days <= self.minute_anchor_days:
            raise ValueError("minutes_days must exceed minute_anchor_days")
        return self

    def days(self, timeframe: Timeframe) -> int:
        """Return the span of a timeframe, days."""
        return {
            Timeframe.M1: self.minutes_days,
            Timeframe.M5: self.minutes_days,
            Timeframe.M15: self.quarter_hours_days,
            Timeframe.H1: self.hours_days,
            Timeframe.H4: self.four_hours_days,
        }[timeframe]


class ScoreAnchors(Section):
    """How a metric's value becomes a score: 0 at the range end, 1 at the trend end, linear between."""

    range_end: float = Field(description="Here and beyond it the score is 0, all range.")
    trend_end: float = Field(description="Here and beyond it the score is 1, all trend.")
    weight: int = Field(ge=0, le=20, description="Twentieths of T.")

    @model_validator(mode="after")
    def _rising(self) -> Self:
        if not self.range_end < self.trend_end:
            raise ValueError(f"range_end {self.range_end} must be below trend_end {self.trend_end}")
        return self


class MetricsConfig(Section):
    """The six metrics: lengths in bars, anchors and weights."""

    adx: ScoreAnchors = ScoreAnchors(range_end=15, trend_end=35, weight=4)
    efficiency_ratio: ScoreAnchors = ScoreAnchors(range_end=0.10, trend_end=0.40, weight=4)
    autocorrelation: ScoreAnchors = ScoreAnchors(range_end=-0.10, trend_end=0.10, weight=2)
    half_life: ScoreAnchors = Field(
        ScoreAnchors(range_end=6, trend_end=48, weight=5),
        description="Bars (hours on 1h), linear in log2; no mean reversion scores 1.",
    )
    slope: ScoreAnchors = Field(
        ScoreAnchors(range_end=0.05, trend_end=0.25, weight=3), description="ATR a bar, absolute."
    )
    expansion: ScoreAnchors = ScoreAnchors(range_end=1.0, trend_end=1.75, weight=2)
    wilder_bars: Bars = Field(14, description="ATR and ADX, Wilder's smoothing 1/n.")
    efficiency_ratio_bars: Bars = Field(24, description="Increments.")
    autocorrelation_bars: Annotated[int, Field(ge=20, le=1000)] = Field(168, description="Log returns.")
    half_life_bars: Annotated[int, Field(ge=20, le=1000)] = Field(168, description="Increments.")
    slope_bars: Bars = Field(24, description="Closes.")
    bollinger_bars: Bars = Field(20, description="Closes.")
    bollinger_deviations: float = Field(2.0, gt=0, le=5, description="Standard deviations each side.")
    median_bars: Bars = Field(168, description="Bandwidth and ATR are compared with the median of these.")
    variance_ratio_bars: Annotated[int, Field(ge=50, le=1000)] = Field(168, description="Log returns.")
    variance_ratio_horizon: Bars = Field(24, description="Bars over which VR sums returns.")
    z_score_bars: Bars = Field(48, description="Closes.")
    excursion_far: float = Field(1.5, gt=0, le=10, description="An excursion begins at |z|, deviations.")
    excursion_near: float = Field(0.5, ge=0, le=10, description="And is completed at |z|, deviations.")
    trend_bars: Annotated[int, Field(ge=3, le=48)] = Field(6, description="Readings behind slope and label.")
    trend_tolerance: float = Field(
        0.05, gt=0, le=1, description="STABLE while the fitted change is within this share of the value."
    )
    trend_floor: float = Field(
        0.05, gt=0, le=1, description="The value counts as at least this share of its anchor span."
    )
    minimum_available: int = Field(4, ge=1, le=6, description="Of six metrics, else insufficient.")

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if self.half_life.range_end <= 0:
            raise ValueError(f"half_life.range_end {self.half_life.range_end} must be above 0")
        if not self.excursion_near < self.excursion_far:
            raise ValueError("excursion_near must be below excursion_far")
        if self.variance_ratio_horizon * 2 > self.variance_ratio_bars:
            raise ValueError("variance_ratio_horizon must be at most half of variance_ratio_bars")
        weights = sum(self.anchors(name).weight for name in METRICS)
        if weights != 20:
            raise ValueError(f"the six weights must sum to 20 twentieths, got {weights}")
        return self

    def anchors(self, metric: str) -> ScoreAnchors:
        """Return the anchors of a metric by its name."""
        found: ScoreAnchors = getattr(self, metric)
        return found


METRICS = ("adx", "efficiency_ratio", "autocorrelation", "half_life", "slope", "expansion")


class RangeConfig(Section):
    """Range discovery on 1h bars."""

    lookbacks: tuple[Annotated[int, Field(ge=24, le=168)], ...] = Field(
        (168, 144, 120, 96, 72), min_length=1, description="Bars, longest first; the longest valid one wins."
    )
    fallback_lookback: int = Field(120, ge=24, le=168, description="Bars, where none is valid.")
    quantile: float = Field(0.05, gt=0, lt=0.5, description="Of the closes, and its mirror above.")
    deviations: float = Field(2.0, gt=0, le=5, description="Standard deviations about the mean close.")
    pivot_side_bars: int = Field(3, ge=1, le=24, description="Bars that confirm a pivot on either side.")
    touch_tolerance: float = Field(0.25, ge=0, le=2, description="ATR.")
    touch_gap_bars: int = Field(3, ge=0, le=24, description="A new touch needs more bars than this.")
    minimum_touches: int = Field(2, ge=1, le=20, description="A side.")
    minimum_width: float = Field(4.0, gt=0, le=50, description="ATR.")
    maximum_width: float = Field(15.0, gt=0, le=100, description="ATR.")
    minimum_containment: Share = Field(0.85, description="Share of the closes inside.")
    outside_margin: float = Field(0.5, ge=0, le=5, description="ATR beyond a bound that count as outside.")
    maximum_age: int = Field(168, ge=24, le=1000, description="Bars.")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if list(self.lookbacks) != sorted(set(self.lookbacks), reverse=True):
            raise ValueError(f"lookbacks {self.lookbacks} must fall, each once")
        if self.fallback_lookback not in self.lookbacks:
            raise ValueError(f"fallback_lookback {self.fallback_lookback} must be one of {self.lookbacks}")
        if not self.minimum_width < self.maximum_width:
            raise ValueError("minimum_width must be below maximum_width")
        return self


# How much an hour of the week moves, UTC, Monday 00:00 first; mean square about 1. Estimated from the hourly
# ranges of BTC, ETH, SOL and ADA before 2024-10-01, never fitted to outcomes (docs/decisions/sigma.md).
# fmt: off
HOUR_OF_WEEK = (
    1.21,
    1.21,
    1.09,
    0.93,
    0.86,
    0.89,
    0.95,
    1.00,
    1.04,
    1.03,
    0.95,
    0.91,
    1.01,
    1.22,
    1.41,
    1.44,
    1.36,
    1.26,
    1.19,
    1.13,
    1.06,
    1.00,
    0.96,
    0.97,
    1.05,
    1.09,
    1.02,
    0.92,
    0.85,
    0.83,
    0.84,
    0.87,
    0.92,
    0.91,
    0.90,
    0.95,
    1.09,
    1.32,
    1.51,
    1.52,
    1.43,
    1.33,
    1.25,
    1.17,
    1.10,
    1.03,
    0.97,
    0.95,
    1.00,
    1.00,
    0.91,
    0.84,
    0.81,
    0.81,
    0.83,
    0.89,
    0.94,
    0.95,
    0.96,
    1.04,
    1.21,
    1.35,
    1.42,
    1.41,
    1.36,
    1.36,
    1.39,
    1.38,
    1.29,
    1.15,
    1.04,
    1.04,
    1.11,
    1.09,
    0.97,
    0.84,
    0.77,
    0.76,
    0.79,
    0.82,
    0.84,
    0.85,
    0.88,
    0.99,
    1.17,
    1.36,
    1.47,
    1.44,
    1.33,
    1.22,
    1.15,
    1.13,
    1.13,
    1.07,
    0.98,
    0.95,
    1.02,
    1.07,
    1.00,
    0.89,
    0.82,
    0.82,
    0.86,
    0.90,
    0.90,
    0.88,
    0.87,
    0.93,
    1.11,
    1.33,
    1.46,
    1.42,
    1.31,
    1.22,
    1.13,
    1.04,
    0.98,
    0.94,
    0.87,
    0.84,
    0.85,
    0.81,
    0.70,
    0.62,
    0.61,
    0.63,
    0.64,
    0.65,
    0.65,
    0.64,
    0.61,
    0.61,
    0.64,
    0.69,
    0.74,
    0.77,
    0.78,
    0.77,
    0.74,
    0.72,
    0.71,
    0.71,
    0.71,
    0.74,
    0.77,
    0.75,
    0.69,
    0.63,
    0.61,
    0.60,
    0.61,
    0.63,
    0.64,
    0.64,
    0.63,
    0.65,
    0.70,
    0.77,
    0.83,
    0.86,
    0.88,
    0.88,
    0.86,
    0.86,
    0.90,
    0.98,
    1.07,
    1.13,
)
# fmt: on


class EvidenceConfig(Section):
    """p, the probability that the range holds, and the verdict that it gives."""

    range_ok: Share = Field(0.75, description="p at or above: RANGE_OK.")
    range_weak: Share = Field(0.60, description="p at or above: RANGE_WEAK.")
    trend_trendiness_4h: Share = Field(0.30, description="TREND needs T4 at or above (t).")
    horizon_bars: int = Field(24, ge=1, le=168, description="Hours that the range is asked to hold.")
    barrier_terms_below: int = Field(40, ge=10, le=400, description="Odd k below this are summed.")
    discrete_shift: float = Field(
        0.5826, ge=0, le=1, description="Hourly deviations a barrier moves away as only closes count."
    )
    sigma_fast_half_life: float = Field(
        12.0, ge=2, le=1000, description="Average of hourly ranges, bars (t)."
    )
    sigma_slow_half_life: float = Field(720.0, ge=2, le=5000, description="The slow average, bars (t).")
    hour_of_week_factors: tuple[Annotated[float, Field(ge=0.1, le=10)], ...] = Field(
        HOUR_OF_WEEK,
        min_length=168,
        max_length=168,
        description="How much each hour moves, Monday 00 UTC first (t).",
    )
    intercept: float = Field(0.15, ge=-10, le=10, description="Of the logistic on logit(p0) (t).")
    coefficient: float = Field(0.85, gt=0, le=10, description="Of the logistic on logit(p0) (t).")
    clip: float = Field(0.05, gt=0, lt=0.5, description="p0 is clipped to [clip, 1 - clip] for the logit.")
    outside_probability: Share = Field(0.05, description="p for a close outside (t).")
    leave_by: Share = Field(0.20, description="Hysteresis: p beyond the boundary that leaves at once (t).")
    leave_after_bars: int = Field(10, ge=1, le=168, description="Hysteresis: bars across that leave (t).")
    trend_leave_by: Share = Field(
        0.15, description="TRANSITION to TREND and back: T beyond, leaves at once (t)."
    )
    trend_leave_after_bars: int = Field(10, ge=1, le=168, description="The same: bars across that leave (t).")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.range_weak < self.range_ok:
            raise ValueError("range_weak must be below range_ok")
        return self


class ClassicConfig(Section):
    """The verdict by trendiness T alone."""

    range_ok: Share = Field(0.30, description="T below: RANGE_OK.")
    range_weak: Share = Field(0.45, description="T below: RANGE_WEAK; also the middle for agreement.")
    trend: Share = Field(0.60, description="T below: TRANSITION; at or above: TREND.")
    leave_by: Share = Field(0.03, description="Hysteresis: T beyond the boundary that leaves at once (t).")
    leave_after_bars: int = Field(2, ge=1, le=168, description="Hysteresis: bars across that leave (t).")
    at_once: Share = Field(0.75, description="T at or above acts without hysteresis.")
    maximum_half_life: float = Field(24.0, gt=0, le=1000, description="RANGE_OK needs at most, hours.")
    calm_trendiness_4h: Share = Field(0.45, description="RANGE_OK needs T4 below.")
    trend_trendiness_4h: Share = Field(0.30, description="TREND with T4 below is TRANSITION.")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not 0 < self.range_ok < self.range_weak < self.trend < 1:
            raise ValueError("expected 0 < range_ok < range_weak < trend < 1")
        return self


class ConfidenceConfig(Section):
    """How sure a verdict may sound."""

    maximum: Share = Field(0.95, description="Never above.")
    quality_threshold: Share = Field(0.01, description="Share of 24 h missing or repaired that costs.")
    quality_factor: Share = Field(0.90, description="What it costs.")
    apply_time_penalty: bool = Field(False, description="evidence: multiply by the time factor.")
    apply_maturity_penalty: bool = Field(False, description="evidence: multiply by the maturity factor.")
    time_floor: Share = Field(0.75, description="Time factor when the verdict has just changed.")
    time_full_bars: int = Field(36, ge=1, le=168, description="Hours until the time factor is 1.")
    maturity_age: int = Field(48, ge=0, le=168, description="Hours of age of a mature range.")
    maturity_one: Share = Field(0.90, description="Touched on both sides, or old enough, not both.")
    maturity_none: Share = Field(0.80, description="Neither.")
    position_free: float = Field(
        0.5, ge=0, lt=1, description="Distance from the middle that costs nothing; 1 is a bound."
    )
    position_edge: Share = Field(0.80, description="Position factor at a bound.")
    position_outside: Share = Field(0.60, description="Position factor outside.")
    classic_base: Share = Field(0.40, description="C0 with nothing in favour.")
    classic_span: Share = Field(0.55, description="Added to C0 with everything in favour.")
    margin_share: Share = Field(0.40, description="Of the span, distance to the nearest boundary.")
    agreement_share: Share = Field(0.35, description="Of the span, weight on T's side.")
    timeframe_share: Share = Field(0.25, description="Of the span, 4h agrees.")
    normal_band: Share = Field(0.80, description="Without effect: probation.band_upper decides.")
    probation_band_evidence: Share = Field(0.65, description="Without effect: see probation.")
    probation_band_classic: Share = Field(0.60, description="Without effect: see probation.")


class ComponentsConfig(Section):
    """The three-dimensional regime, the same on every timeframe; all (t)."""

    minimum_bars: int = Field(100, ge=30, le=1000, description="Bars of history, else no row.")
    trending_adx: float = Field(20.0, gt=0, lt=100, description="ADX from which a market trends.")
    sma_bars: Bars = Field(50, description="Closes in the moving average whose slope a trend follows.")
    sma_slope_bars: Annotated[int, Field(ge=1, le=100)] = Field(6, description="Bars behind that slope.")
    quantile: float = Field(0.60, gt=0, lt=1, description="ATR% above this quantile of its own is high.")
    quantile_bars: Annotated[int, Field(ge=20, le=5000)] = Field(500, description="Bars before, at most.")
    roc_bars: Annotated[int, Field(ge=1, le=1000)] = Field(12, description="Bars of the rate of change.")
    momentum: float = Field(
        0.5, gt=0, le=10, description="Rate of change over ATR% x sqrt(roc_bars); beyond it is not weak."
    )
    clear_trend_adx: float = Field(30.0, gt=0, le=100, description="Clear trend, for the confidence.")
    clear_range_adx: float = Field(14.0, ge=0, lt=100, description="Clear absence of a trend.")
    clear_di_balance: float = Field(0.25, gt=0, le=1, description="|+DI - -DI| / (+DI + -DI), clear.")
    clear_sma_slope: float = Field(0.10, gt=0, le=10, description="ATR a bar, clear.")
    clear_volatility_ratio: float = Field(
        1.25, gt=1, le=10, description="ATR% over its quantile, clearly high; its inverse is clearly low."
    )
    clear_momentum: float = Field(
        0.4, gt=0, le=10, description="Distance from the momentum threshold, clear."
    )

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        if not self.clear_range_adx < self.trending_adx < self.clear_trend_adx:
            raise ValueError("expected clear_range_adx < trending_adx < clear_trend_adx")
        if self.clear_momentum > self.momentum:
            raise ValueError("clear_momentum must be at most momentum, or weak is never clear")
        return self


class RegimeConfig(Section):
    """The `regime:` section."""

    score_model: Literal["evidence", "classic"] = Field(
        "evidence", description="Which model decides; the other one is recorded beside it."
    )
    history: HistoryConfig = HistoryConfig()
    metrics: MetricsConfig = MetricsConfig()
    range: RangeConfig = RangeConfig()
    evidence: EvidenceConfig = EvidenceConfig()
    classic: ClassicConfig = ClassicConfig()
    confidence: ConfidenceConfig = ConfidenceConfig()
    components: ComponentsConfig = ComponentsConfig()
