"""Every threshold of the exit states: the `exits:` section of the configuration, with its presets.

A preset sets defaults and says which triggers act; any single value may be set beside it. Defaults are
starting points (t): `regimed calibrate` reports what each trigger was worth.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import Field, model_validator

from regime.config import Section

Preset: TypeAlias = Literal["evidence", "classic", "conservative", "aggressive"]
Share = Annotated[float, Field(ge=0, le=1)]
Bars = Annotated[int, Field(ge=1, le=1000)]
Times = Annotated[float, Field(gt=0, le=100)]

_ALL = frozenset({"evidence", "classic", "conservative", "aggressive"})
_BY_PROBABILITY = frozenset({"evidence", "conservative", "aggressive"})
_BY_METRICS = frozenset({"classic", "conservative"})
_NONE: frozenset[str] = frozenset()

ACTS: Mapping[str, frozenset[str]] = {
    "two_closes_outside": _ALL,
    "close_far_outside": _ALL,
    "stop_near": _ALL,
    "trend_on_both": _BY_METRICS,
    "late_without_break": _BY_METRICS,
    "profit_given_back": _NONE,  # taken literally it cut grids from 61 h to 9 h: advice in every preset
    "hold_unlikely": _BY_PROBABILITY,
    "transition_1h_stands": _BY_METRICS,
    "transition_4h_stands": _BY_METRICS,
    "half_life_long": _BY_METRICS,
    "volatility_expanded": _BY_METRICS,
    "reversion_failed": _BY_METRICS,
    "hold_doubtful": _BY_PROBABILITY,
    "transition_near": _ALL,
    "confidence_falling": _BY_PROBABILITY,
    "classic_confidence_falling": frozenset({"classic"}),
    "efficiency_rising": _ALL,
    "half_life_lengthening": _ALL,
    "volatility_rising": _ALL,
}

PRESETS: Mapping[str, Mapping[str, float | bool]] = {
    "evidence": {},
    "classic": {"stops_on_trend": True},
    "conservative": {"hold_unlikely": 0.40},
    "aggressive": {
        "hold_unlikely": 0.20,
        "hold_doubtful": 0.40,
        "warning_worth": 3,
        "hold_doubtful_worth": 3,
        "stops_at_latest_acceptable": False,
    },
}


class ExitsConfig(Section):
    """When a running grid is warned of, should end, must end."""

    preset: Preset = Field("evidence", description="Which triggers act, and the defaults of some values.")

    outside_closes: Bars = Field(2, description="MANDATORY_EXIT: closes outside the bounds in a row.")
    far_outside: Times = Field(1.0, description="MANDATORY_EXIT: one close outside by more than this, ATR.")
    stop_near: Annotated[float, Field(ge=0, le=10)] = Field(
        0.25, description="MANDATORY_EXIT: close above the stop-loss by this or less, ATR."
    )
    late_bars: Bars = Field(
        12, description="MANDATORY_EXIT, classic: hours of LATEST_ACCEPTABLE_EXIT in a row."
    )
    given_back: Share = Field(0.50, description="Advice: share of the peak profit given back.")
    given_back_peak: Share = Field(
        0.005, description="Advice: only after a peak profit of this share of the allocation."
    )

    barrier_margin: Annotated[float, Field(ge=0, le=5)] = Field(
        0.5, description="The hold probability asks for closes within the grid's bounds and this, ATR."
    )
    hold_unlikely: Share = Field(0.30, description="LATEST_ACCEPTABLE_EXIT: p0 on own bounds below (t).")
    transition_bars: Bars = Field(
        4, description="LATEST_ACCEPTABLE_EXIT, classic: 1h bars of TRANSITION or TREND in a row."
    )
    transition_4h_bars: Bars = Field(2, description="The same on 4h.")
    half_life_long: Times = Field(
        2.0, description="LATEST_ACCEPTABLE_EXIT, classic: half-life from this, times its baseline."
    )
    volatility_expanded: Times = Field(1.25, description="LATEST_ACCEPTABLE_EXIT, classic: ATR ratio above.")
    stretched_z: Times = Field(2.0, description="A stretch begins at this size of the 48-hour z-score.")
    relaxed_z: Annotated[float, Field(ge=0, le=10)] = Field(1.0, description="It ends at this size.")
    reversion_bars: Bars = Field(12, description="A stretch may last so many bars, or")
    reversion_half_lives: Times = Field(3.0, description="so many baseline half-lives, whichever is more.")

    warning_worth: Annotated[int, Field(ge=1, le=10)] = Field(
        2, description="WARNING: conditions together worth this."
    )
    hold_doubtful: Share = Field(0.50, description="WARNING: p0 on own bounds below.")
    hold_doubtful_worth: Annotated[int, Field(ge=1, le=10)] = Field(
        2, description="What that counts; each other condition counts 1."
    )
    transition_near: Share = Field(0.40, description="WARNING: p_transition from.")
    confidence_fall: Share = Field(0.10, description="WARNING: confidence fell by at least this, over")
    confidence_fall_bars: Bars = Field(3, description="so many bars.")
    efficiency_rising: Share = Field(
        0.35, description="WARNING: efficiency ratio above this, and above its value 3 bars ago."
    )
    half_life_lengthening: Times = Field(1.5, description="WARNING: half-life from this, times its baseline.")
    volatility_rising: Times = Field(1.10, description="WARNING: ATR ratio from.")

    baseline_hours: Annotated[int, Field(ge=1, le=168)] = Field(
        24, description="The baseline is the median of so many first hours of the grid."
    )
    baseline_readings: Annotated[int, Field(ge=1, le=168)] = Field(
        12, description="Of which so many must be known, else the week's calm hours stay the baseline."
    )
    endless_half_life: Annotated[float, Field(gt=0, le=1000)] = Field(
        168.0, description="Hours that no mean reversion counts as in the baseline."
    )
    atr_reference: Literal["week", "baseline"] = Field(
        "week", description="ATR ratio against the median of 168 bars, or against the grid's baseline."
    )

    clean_bars: Bars = Field(3, description="Calmer by one level after so many clean bars.")
    acknowledged_clean_bars: Bars = Field(
        24, description="MANDATORY_EXIT: after an acknowledgement and so many."
    )

    stops_at_latest_acceptable: bool = Field(
        True, description="LATEST_ACCEPTABLE_EXIT advises to stop; else it is only a notice."
    )
    stops_on_trend: bool = Field(False, description="A verdict of TREND alone advises to stop.")
    confidence_floor: Share = Field(0.60, description="A confidence below is told one level higher.")
    confidence_drop: Share = Field(0.20, description="So is one that fell by at least this within")
    confidence_drop_bars: Bars = Field(6, description="so many bars.")
    stop_horizon_hours: Bars = Field(24, description="Over which the chance to reach the stop is given.")

    @model_validator(mode="before")
    @classmethod
    def _preset_first(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        return dict(PRESETS.get(str(given.get("preset")), {})) | given

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        for lesser, greater in (
            ("hold_unlikely", "hold_doubtful"),
            ("half_life_lengthening", "half_life_long"),
            ("volatility_rising", "volatility_expanded"),
            ("relaxed_z", "stretched_z"),
        ):
            if not getattr(self, lesser) < getattr(self, greater):
                raise ValueError(f"{lesser} must be below {greater}")
        if self.baseline_readings > self.baseline_hours:
            raise ValueError("baseline_readings must be at most baseline_hours")
        return self

    def acts(self, trigger: str) -> bool:
        """Return whether a trigger acts under the preset, by its name."""
        return self.preset in ACTS[trigger]

    @property
    def remembered_bars(self) -> int:
        """Confidences that are compared with the newest one, at most."""
        return max(self.confidence_fall_bars, self.confidence_drop_bars)
