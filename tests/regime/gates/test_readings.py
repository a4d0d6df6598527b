"""What the gates read is what was recorded of the hour."""

from __future__ import annotations

import math
from dataclasses import replace

from market.hours import Hour
from regime.analysis import MetricReading, RegimeAnalysis, Verdict
from regime.config import RegimeConfig
from regime.engine import RegimeEngine
from regime.gates.config import GatesConfig
from regime.gates.fold import advanced, opened
from regime.gates.readings import GateReadings, readings_of
from tests.regime.windows import walk_bars, window_of

SERIES = walk_bars(1100, 11, sigma=0.006, pull=0.02)
LAST = Hour.of_ts(int(SERIES.ts[-1]))


def analysis() -> RegimeAnalysis:
    found = RegimeEngine(RegimeConfig()).analyze(window_of(SERIES))
    assert isinstance(found, RegimeAnalysis)
    return found


def test_each_reading_is_the_recorded_number():
    """By name; the two from outside are rounded like everything else."""
    found = analysis()
    readings = readings_of(found, 0.1 + 0.2, 1000 / 3)
    metrics, beside = found.metrics, found.diagnostics
    assert readings == GateReadings(
        verdict=found.verdict,
        close=found.price,
        atr=found.atr,
        adx=metrics["adx"].value,
        adx_3_bars_ago=beside["adx_3_bars_ago"],
        efficiency_ratio=metrics["efficiency_ratio"].value,
        slope=metrics["slope"].value,
        half_life=metrics["half_life"].value,
        autocorrelation=metrics["autocorrelation"].value,
        dickey_fuller_t=beside["dickey_fuller_t"],
        excursions_48h=beside["excursions_48h"],
        atr_ratio=beside["atr_ratio"],
        expansion=metrics["expansion"].value,
        atr_pct=beside["atr_pct"],
        turnover_24h=beside["turnover_24h"],
        spacing_floor_pct=0.3,
        grid_notional=333.333333,
    )
    assert None not in (readings.adx_3_bars_ago, readings.excursions_48h, readings.turnover_24h)


def test_what_is_not_known_outside_stays_unknown():
    """No fees, no grid: None, never a default."""
    readings = readings_of(analysis(), None, None)
    assert (readings.spacing_floor_pct, readings.grid_notional) == (None, None)


def test_no_mean_reversion_is_an_infinite_half_life_and_no_value_is_none():
    """The reason tells them apart, since both are recorded without a value."""
    found = analysis()
    never = MetricReading(None, "no mean reversion", 1.0, 5, None, None)
    gone = MetricReading(None, "price never moved in 168 bars", None, 0, None, None)
    for reading, half_life in ((never, math.inf), (gone, None)):
        changed = replace(found, metrics={**found.metrics, "half_life": reading})
        assert readings_of(changed, 0.3, 1.0).half_life == half_life


def test_real_hours_can_be_gated():
    """Analyses of consecutive hours through the fold, with every number known."""
    engine = RegimeEngine(RegimeConfig())
    gates = opened("2024-02-14T00:10:00Z", LAST.plus(-24))
    for back in range(23, -1, -1):
        found = engine.analyze(window_of(SERIES, LAST.plus(-back)))
        assert isinstance(found, RegimeAnalysis)
        gates = advanced(gates, LAST.plus(-back), readings_of(found, 0.3, 100.0), GatesConfig())
        assert gates.reset_by is not None or found.verdict is not Verdict.TREND
        assert all(part.reason != "data" for gate in gates.gates for part in gate.details)
