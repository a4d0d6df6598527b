"""What a bar can be in three dimensions, and the one word that sums it up.

Columns hold codes, the place of a state in its enumeration; -1 stands for no row.
"""

from __future__ import annotations

from enum import Enum

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.int8]
NO_ROW = -1


class TrendState(Enum):
    NEUTRAL = "neutral"
    UPTREND = "uptrend"
    DOWNTREND = "downtrend"


class VolatilityState(Enum):
    LOW = "low"
    HIGH = "high"


class MomentumState(Enum):
    WEAK = "weak"
    BULLISH = "bullish"
    BEARISH = "bearish"


class SimplifiedRegime(Enum):
    """The table of five: what an operator asks for by name."""

    NEUTRAL = "NEUTRAL"
    TREND_UP = "TREND_UP"
    TREND_DOWN = "TREND_DOWN"
    RANGE = "RANGE"
    CHOPPY = "CHOPPY"


TRENDS, VOLATILITIES, MOMENTA = tuple(TrendState), tuple(VolatilityState), tuple(MomentumState)
SIMPLIFIED = tuple(SimplifiedRegime)


def full_regime(trend: TrendState, volatility: VolatilityState, momentum: MomentumState) -> str:
    """Return the join of the three, one of 18: `UPTREND_LOWVOL_BULLISH`."""
    return f"{trend.value}_{volatility.value}vol_{momentum.value}".upper()


FULL_REGIMES = tuple(full_regime(t, v, m) for t in TRENDS for v in VOLATILITIES for m in MOMENTA)


def simplified_regime(
    trend: TrendState, volatility: VolatilityState, momentum: MomentumState
) -> SimplifiedRegime:
    """Return the simplified regime of three states."""
    if trend is TrendState.UPTREND and momentum is not MomentumState.BEARISH:
        return SimplifiedRegime.TREND_UP
    if trend is TrendState.DOWNTREND and momentum is not MomentumState.BULLISH:
        return SimplifiedRegime.TREND_DOWN
    if trend is TrendState.NEUTRAL and volatility is VolatilityState.HIGH:
        return SimplifiedRegime.CHOPPY
    if trend is TrendState.NEUTRAL and momentum is MomentumState.WEAK:
        return SimplifiedRegime.RANGE
    return SimplifiedRegime.NEUTRAL


_SIMPLIFIED_CODES: Codes = np.array(
    [[[SIMPLIFIED.index(simplified_regime(t, v, m)) for m in MOMENTA] for v in VOLATILITIES] for t in TRENDS],
    dtype=np.int8,
)


def simplified_codes(trend: Codes, volatility: Codes, momentum: Codes) -> Codes:
    """Return the codes of the simplified regime, shape (n,); NO_ROW where there is no trend."""
    found: Codes = np.where(trend == NO_ROW, NO_ROW, _SIMPLIFIED_CODES[trend, volatility, momentum])
    return found.astype(np.int8)
