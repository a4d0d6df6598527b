"""Every number of the restart gates: the `gates:` section of the configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self, TypeAlias

from pydantic import Field, model_validator

from regime.config import Section

Preset: TypeAlias = Literal["evidence", "classic", "conservative", "aggressive"]


class EnergyDecayConfig(Section):
    """Directional Energy Decay: the trend that stopped the grid has spent itself."""

    maximum_adx: float = Field(25.0, gt=0, le=100, description="ADX below.")
    maximum_adx_rise: float = Field(0.0, ge=-50, le=50, description="ADX less ADX three bars ago, at most.")
    maximum_efficiency_ratio: float = Field(0.30, gt=0, le=1, description="Efficiency ratio below.")
    maximum_slope: float = Field(0.15, gt=0, le=10, description="Absolute slope below, ATR a bar.")


class MeanReversionConfig(Section):
    """Mean Reversion Return: deviations are taken back again."""

    maximum_half_life: float = Field(24.0, gt=0, le=1000, description="Half-life at most, hours.")
    maximum_autocorrelation: float | None = Field(
        0.05, ge=-1, le=1, description="Autocorrelation at most; null does not ask."
    )
    maximum_dickey_fuller_t: float | None = Field(
        None, ge=-100, le=0, description="Dickey-Fuller t at most; null does not ask."
    )
    minimum_excursions: int = Field(1, ge=1, le=24, description="Completed excursions in 48 h, at least.")


class TradableVolatilityConfig(Section):
    """Tradable Volatility: neither asleep nor wild, and wide and liquid enough to pay for its fees."""

    minimum_atr_ratio: float = Field(0.60, ge=0, le=10, description="ATR over its 168-bar median, at least.")
    maximum_atr_ratio: float = Field(1.25, gt=0, le=10, description="The same, at most.")
    maximum_expansion: float = Field(1.5, gt=0, le=10, description="Bandwidth over its median, at most.")
    minimum_turnover: float = Field(200.0, ge=0, le=1e6, description="24 h turnover in grid notionals.")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.minimum_atr_ratio < self.maximum_atr_ratio:
            raise ValueError("minimum_atr_ratio must be below maximum_atr_ratio")
        return self


# What each preset says otherwise than `evidence`; classic asks for the same numbers.
PRESETS: Mapping[str, Mapping[str, Mapping[str, float | None]]] = {
    "evidence": {},
    "classic": {},
    "conservative": {
        "mean_reversion": {
            "maximum_half_life": 12.0,
            "maximum_autocorrelation": None,
            "maximum_dickey_fuller_t": -2.57,
        },
    },
    "aggressive": {
        "energy_decay": {"maximum_adx": 30.0, "maximum_efficiency_ratio": 0.40, "maximum_slope": 0.20},
        "mean_reversion": {"maximum_half_life": 36.0, "maximum_autocorrelation": 0.10},
        "tradable_volatility": {
            "minimum_atr_ratio": 0.50,
            "maximum_atr_ratio": 1.50,
            "maximum_expansion": 1.75,
        },
    },
}


class GatesConfig(Section):
    """The `gates:` section. A preset sets the defaults; whatever is written beside it counts instead."""

    preset: Preset = Field("evidence", description="Where the defaults below come from.")
    bars_to_pass: int = Field(3, ge=1, le=48, description="Closed 1h bars in a row that pass a gate.")
    transition_bars: int = Field(2, ge=1, le=48, description="Hours of TRANSITION in a row that reset.")
    breakout_atr: float = Field(
        1.0, gt=0, le=10, description="ATR beyond the closes since the stop at which a close resets."
    )
    energy_decay: EnergyDecayConfig = EnergyDecayConfig()
    mean_reversion: MeanReversionConfig = MeanReversionConfig()
    tradable_volatility: TradableVolatilityConfig = TradableVolatilityConfig()

    @model_validator(mode="before")
    @classmethod
    def _preset_first(cls, told: Any) -> Any:
        preset = told.get("preset", "evidence") if isinstance(told, Mapping) else None
        if not isinstance(preset, str) or preset not in PRESETS:
            return told
        merged: dict[str, Any] = {**told}
        for section, values in PRESETS[preset].items():
            own = told.get(section, {})
            merged[section] = {**values, **own} if isinstance(own, Mapping) else own
        return merged
