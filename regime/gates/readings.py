"""What the gates read of one hour."""

from __future__ import annotations

import math
from dataclasses import dataclass

from regime.analysis import MetricReading, RegimeAnalysis, Verdict
from regime.precision import significant
from regime.readings import NO_MEAN_REVERSION


@dataclass(frozen=True, slots=True)
class GateReadings:
    """One hour's numbers, each as recorded; None where it is not known.

    Attributes:
        verdict: Of the deciding model.
        close, atr: Quote price.
        adx, adx_3_bars_ago: Now and three bars before.
        slope: ATR a bar, signed.
        half_life: Hours; infinity without mean reversion.
        excursions_48h: Completed excursions of the z-score in the last 48 bars.
        atr_pct: ATR over the close, percent.
        turnover_24h: Quote value traded.
        spacing_floor_pct: Narrowest spacing that earns its fees, percent of the price.
        grid_notional: Quote value that the grid would hold.
    """

    verdict: Verdict
    close: float
    atr: float | None
    adx: float | None
    adx_3_bars_ago: float | None
    efficiency_ratio: float | None
    slope: float | None
    half_life: float | None
    autocorrelation: float | None
    dickey_fuller_t: float | None
    excursions_48h: float | None
    atr_ratio: float | None
    expansion: float | None
    atr_pct: float | None
    turnover_24h: float | None
    spacing_floor_pct: float | None
    grid_notional: float | None


def readings_of(
    analysis: RegimeAnalysis, spacing_floor_pct: float | None, grid_notional: float | None
) -> GateReadings:
    """Return what the gates read of an analysis.

    Args:
        analysis: Of the hour.
        spacing_floor_pct: Percent; the economics of the market's fees say it.
        grid_notional: Quote value of the grid that would be set up.
    """
    metrics, beside = analysis.metrics, analysis.diagnostics
    return GateReadings(
        verdict=analysis.verdict,
        close=analysis.price,
        atr=analysis.atr,
        adx=metrics["adx"].value,
        adx_3_bars_ago=beside["adx_3_bars_ago"],
        efficiency_ratio=metrics["efficiency_ratio"].value,
        slope=metrics["slope"].value,
        half_life=_half_life(metrics["half_life"]),
        autocorrelation=metrics["autocorrelation"].value,
        dickey_fuller_t=beside["dickey_fuller_t"],
        excursions_48h=beside["excursions_48h"],
        atr_ratio=beside["atr_ratio"],
        expansion=metrics["expansion"].value,
        atr_pct=beside["atr_pct"],
        turnover_24h=beside["turnover_24h"],
        spacing_floor_pct=_rounded(spacing_floor_pct),
        grid_notional=_rounded(grid_notional),
    )


def _half_life(reading: MetricReading) -> float | None:
    return math.inf if reading.reason == NO_MEAN_REVERSION else reading.value


def _rounded(value: float | None) -> float | None:
    return None if value is None else significant(value)
