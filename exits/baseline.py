"""What is usual for this grid: half-life and ATR of its first day, until then of the week's calm hours."""

from __future__ import annotations

from dataclasses import dataclass

from exits.config import ExitsConfig
from exits.memory import ExitFold
from exits.readings import ExitReadings


@dataclass(frozen=True, slots=True)
class Baseline:
    """What readings are compared with; None where nothing is known to compare with.

    Attributes:
        half_life: Hours.
        atr: Quote.
    """

    half_life: float | None
    atr: float | None


def baseline_of(fold: ExitFold, readings: ExitReadings) -> Baseline:
    """Return what the grid's first day gave, where it did not, the medians of the week's RANGE_OK hours."""
    return Baseline(
        readings.calm_half_life if fold.baseline_half_life is None else fold.baseline_half_life,
        readings.calm_atr if fold.baseline_atr is None else fold.baseline_atr,
    )


def half_life_ratio(readings: ExitReadings, baseline: Baseline) -> float | None:
    """Return the half-life over its baseline; infinity without mean reversion, None where unknown."""
    if readings.half_life is None or baseline.half_life is None:
        return None
    return readings.half_life / baseline.half_life


def volatility_ratio(readings: ExitReadings, baseline: Baseline, config: ExitsConfig) -> float | None:
    """Return the ATR over what `atr_reference` compares it with, None where unknown."""
    if config.atr_reference == "week":
        return readings.atr_ratio
    if readings.atr is None or baseline.atr is None:
        return None
    return readings.atr / baseline.atr
