"""How far a bar's inputs stand from the thresholds of its own label."""

from __future__ import annotations

import numpy as np

from market.candles import Floats
from regime.components.states import SIMPLIFIED, TRENDS, Codes, SimplifiedRegime, TrendState
from regime.config import ComponentsConfig


def confidences(inputs: Floats, trend: Codes, simplified: Codes, config: ComponentsConfig) -> Floats:
    """Return the confidence in the simplified regime, shape (n,), in [0, 1], rounded to 1e-6.

    It is the smallest of the margins that the label rests on: 0 where one of its inputs stands at the
    threshold beyond which another label begins, 1 where all are clear of it. It grows with every input's
    distance and is no probability.

    Margins, each 0 at its threshold and 1 at the input that counts as clear (`clear_...` in the
    configuration), linear between and beyond, with d = di_balance / clear_di_balance,
    s = sma_slope / clear_sma_slope, z = momentum, z0 = its threshold:

        a         = (ADX - 20) / (clear_trend_adx - 20), below 20: (ADX - 20) / (20 - clear_range_adx)
        up        = min(a, d, s)                  the weakest of a trend's three conditions
        down      = min(a, -d, -s)
        neutral   = -max(up, down)                how far the nearer trend is from being one
        high      = (ratio - 1) / (clear_volatility_ratio - 1)
        low       = (1 - ratio) / (1 - 1 / clear_volatility_ratio)
        bullish   = (z - z0) / clear_momentum,    bearish = (-z - z0) / clear_momentum
        weak      = (z0 - |z|) / clear_momentum

        TREND_UP    min(up, -bearish)             the strength of a trend,
        TREND_DOWN  min(down, -bullish)
        RANGE       min(neutral, low, weak)       the absence of one
        CHOPPY      min(neutral, high)
        NEUTRAL     min(up or down, bearish or bullish) for a trend that momentum contradicts,
                    min(neutral, low, -weak) for momentum without a trend

    Args:
        inputs: Shape (5, n), see `component_inputs`; NaN rows give NaN.
        trend: Codes of the trend state, shape (n,).
        simplified: Codes of the label, shape (n,).
        config: Thresholds and what counts as clear.
    """
    adx, di_balance, slope, ratio, z = inputs
    threshold, span = config.momentum, config.clear_momentum
    beyond = adx - config.trending_adx
    strength = np.where(
        beyond >= 0,
        beyond / (config.clear_trend_adx - config.trending_adx),
        beyond / (config.trending_adx - config.clear_range_adx),
    )
    d, s = di_balance / config.clear_di_balance, slope / config.clear_sma_slope
    up, down = np.minimum(strength, np.minimum(d, s)), np.minimum(strength, np.minimum(-d, -s))
    neutral = -np.maximum(up, down)
    high = (ratio - 1) / (config.clear_volatility_ratio - 1)
    low = (1 - ratio) / (1 - 1 / config.clear_volatility_ratio)
    bullish, bearish, weak = (z - threshold) / span, (-z - threshold) / span, (threshold - np.abs(z)) / span

    contradicted = {
        TrendState.NEUTRAL: np.minimum(np.minimum(neutral, low), -weak),
        TrendState.UPTREND: np.minimum(up, bearish),
        TrendState.DOWNTREND: np.minimum(down, bullish),
    }
    margins = {
        SimplifiedRegime.NEUTRAL: np.choose(np.maximum(trend, 0), [contradicted[state] for state in TRENDS]),
        SimplifiedRegime.TREND_UP: np.minimum(up, -bearish),
        SimplifiedRegime.TREND_DOWN: np.minimum(down, -bullish),
        SimplifiedRegime.RANGE: np.minimum(np.minimum(neutral, low), weak),
        SimplifiedRegime.CHOPPY: np.minimum(neutral, high),
    }
    found = np.choose(np.maximum(simplified, 0), [margins[label] for label in SIMPLIFIED])
    found = np.where(np.isnan(adx), np.nan, np.clip(found, 0.0, 1.0))
    return np.round(found, 6) + 0.0
