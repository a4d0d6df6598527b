"""Gate 3, Tradable Volatility: does the market move enough, not too much, and is there a market?"""

from __future__ import annotations

from regime.gates.conditions import Condition, at_least, at_most
from regime.gates.config import TradableVolatilityConfig
from regime.gates.readings import GateReadings
from regime.precision import significant

NAME = "tradable_volatility"


def conditions(readings: GateReadings, config: TradableVolatilityConfig) -> tuple[Condition, ...]:
    """Return ATR ratio in its band, bands not widening, ATR worth the fees, turnover worth the grid."""
    notional = readings.grid_notional
    needed = None if notional is None else significant(config.minimum_turnover * notional)
    return (
        at_least("atr_ratio_low", readings.atr_ratio, config.minimum_atr_ratio),
        at_most("atr_ratio_high", readings.atr_ratio, config.maximum_atr_ratio),
        at_most("expansion", readings.expansion, config.maximum_expansion),
        at_least("atr_pct", readings.atr_pct, readings.spacing_floor_pct),
        at_least("turnover_24h", readings.turnover_24h, needed),
    )
