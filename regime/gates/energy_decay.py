"""Gate 1, Directional Energy Decay: has the move that stopped the grid spent itself?"""

from __future__ import annotations

from regime.gates.conditions import Condition, at_most, below
from regime.gates.config import EnergyDecayConfig
from regime.gates.readings import GateReadings
from regime.precision import significant

NAME = "directional_energy_decay"


def conditions(readings: GateReadings, config: EnergyDecayConfig) -> tuple[Condition, ...]:
    """Return ADX low and not rising, efficiency ratio low, slope flat."""
    adx, before, slope = readings.adx, readings.adx_3_bars_ago, readings.slope
    rise = None if adx is None or before is None else significant(adx - before)
    return (
        below("adx", adx, config.maximum_adx),
        at_most("adx_rise", rise, config.maximum_adx_rise),
        below("efficiency_ratio", readings.efficiency_ratio, config.maximum_efficiency_ratio),
        below("slope", None if slope is None else abs(slope), config.maximum_slope),
    )
