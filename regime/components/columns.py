"""The three-dimensional regime of every bar since the anchor, as columns."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from market.candles import Floats, Ints
from regime.analysis import Components
from regime.components.confidence import confidences
from regime.components.inputs import INPUTS, component_inputs
from regime.components.states import (
    MOMENTA,
    NO_ROW,
    SIMPLIFIED,
    TRENDS,
    VOLATILITIES,
    Codes,
    MomentumState,
    TrendState,
    VolatilityState,
    full_regime,
    simplified_codes,
)
from regime.config import ComponentsConfig, RegimeConfig
from regime.metrics.adx import DirectionalAverages
from regime.precision import known


@dataclass(frozen=True, slots=True, eq=False)
class ComponentColumns:
    """States as codes (places in their enumerations), and what they come from.

    Attributes:
        inputs: In the order of `INPUTS`, shape (5, n); NaN in a bar without enough history.
        trend, volatility, momentum, simplified: Codes, shape (n,); NO_ROW in such a bar.
        confidence: In the simplified regime, in [0, 1], shape (n,); NaN in such a bar.
    """

    inputs: Floats
    trend: Codes
    volatility: Codes
    momentum: Codes
    simplified: Codes
    confidence: Floats

    def __len__(self) -> int:
        return int(self.trend.shape[0])

    def rows(self, first: int, last: int) -> ComponentColumns:
        """Return the rows [first, last), as views."""
        return ComponentColumns(*(getattr(self, f.name)[..., first:last] for f in fields(self)))

    def followed_by(self, later: ComponentColumns) -> ComponentColumns:
        """Return these rows and those after them."""
        return ComponentColumns(
            *(np.concatenate((getattr(self, f.name), getattr(later, f.name)), axis=-1) for f in fields(self))
        )

    def reading(self, row: int) -> Components | None:
        """Return the regime of one bar; None without enough history."""
        if self.trend[row] == NO_ROW:
            return None
        trend, volatility = TRENDS[self.trend[row]], VOLATILITIES[self.volatility[row]]
        momentum = MOMENTA[self.momentum[row]]
        return Components(
            trend_state=trend.value,
            volatility_state=volatility.value,
            momentum_state=momentum.value,
            full_regime=full_regime(trend, volatility, momentum),
            simplified_regime=SIMPLIFIED[self.simplified[row]].value,
            confidence=float(self.confidence[row]),
        )

    def inputs_at(self, row: int) -> dict[str, float | None]:
        """Return the inputs of one bar by name, but ADX, which is a metric; None where there are none."""
        named = zip(INPUTS, self.inputs[:, row].tolist(), strict=True)
        return {name: known(value) for name, value in named if name != "adx"}


def no_components() -> ComponentColumns:
    """Return zero rows."""
    codes, none = np.empty(0, dtype=np.int8), np.empty(0)
    return ComponentColumns(np.empty((len(INPUTS), 0)), codes, codes, codes, codes, none)


def component_columns(
    close: Ints,
    price_scale: int,
    atr: Floats,
    adx: Floats,
    movement: DirectionalAverages,
    config: RegimeConfig,
    first: int = 0,
) -> ComponentColumns:
    """Return the columns at rows `first` and later; arguments as for `component_inputs`."""
    rules = config.components
    inputs = component_inputs(close, price_scale, atr, adx, movement, rules, config.metrics, first)
    trend, volatility, momentum = state_codes(inputs, rules)
    simplified = simplified_codes(trend, volatility, momentum)
    confidence = confidences(inputs, trend, simplified, rules)
    return ComponentColumns(inputs, trend, volatility, momentum, simplified, confidence)


def state_codes(inputs: Floats, config: ComponentsConfig) -> tuple[Codes, Codes, Codes]:
    """Return trend, volatility and momentum states of every bar, shape (n,) each.

    A trend needs ADX, the directional indicators and the slope of the moving average to agree; on a
    threshold ADX counts as trending, everything else as neutral, low or weak.
    """
    adx, di_balance, slope, ratio, momentum = inputs
    trending = adx >= config.trending_adx
    trend = np.select(
        (np.isnan(adx), trending & (di_balance > 0) & (slope > 0), trending & (di_balance < 0) & (slope < 0)),
        (NO_ROW, TRENDS.index(TrendState.UPTREND), TRENDS.index(TrendState.DOWNTREND)),
        TRENDS.index(TrendState.NEUTRAL),
    )
    volatility = np.select(
        (np.isnan(adx), ratio > 1),
        (NO_ROW, VOLATILITIES.index(VolatilityState.HIGH)),
        VOLATILITIES.index(VolatilityState.LOW),
    )
    moving = np.select(
        (np.isnan(adx), momentum > config.momentum, momentum < -config.momentum),
        (NO_ROW, MOMENTA.index(MomentumState.BULLISH), MOMENTA.index(MomentumState.BEARISH)),
        MOMENTA.index(MomentumState.WEAK),
    )
    return trend.astype(np.int8), volatility.astype(np.int8), moving.astype(np.int8)
