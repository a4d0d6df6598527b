"""The five numbers behind the three states, for every bar, each a ratio that knows no price unit."""

from __future__ import annotations

import math

import numpy as np

from market.candles import Floats, Ints
from regime.columns import padded, sums, windows_ending
from regime.components.quantile import quantiles_before
from regime.config import ComponentsConfig, MetricsConfig
from regime.metrics.adx import DirectionalAverages

INPUTS = ("adx", "di_balance", "sma_slope", "volatility_ratio", "momentum")


def first_row(config: ComponentsConfig, metrics: MetricsConfig) -> int:
    """Return the first bar that can have a row: enough history, and every length reached."""
    longest = max(config.sma_bars + config.sma_slope_bars - 1, config.roc_bars, 2 * metrics.wilder_bars - 1)
    return max(config.minimum_bars - 1, longest)


def component_inputs(
    close: Ints,
    price_scale: int,
    atr: Floats,
    adx: Floats,
    movement: DirectionalAverages,
    config: ComponentsConfig,
    metrics: MetricsConfig,
    first: int = 0,
) -> Floats:
    """Return the inputs at rows `first` and later, in the order of `INPUTS`, shape (5, n - first).

    - `adx`: ADX as recorded; 0 in a market that has not moved yet, because no movement is no trend.
    - `di_balance`: (+DI - -DI) / (+DI + -DI), in [-1, 1].
    - `sma_slope`: change of the moving average a bar over `sma_slope_bars` bars, in ATR.
    - `volatility_ratio`: ATR% over its own quantile of the bars before; above 1 is high.
    - `momentum`: ROC(n) / (ATR% x sqrt(n)).

    All but ADX are rounded to 1e-6, as scores are. Rows without enough history hold NaN. Where ATR is 0, no
    price has moved since the anchor: slope and momentum are 0, and the ratio is 1.

    Args:
        close: Price x price_scale, shape (n,), oldest first, from the anchor on.
        price_scale: Of `close`.
        atr: As recorded, quote price, shape (n,).
        adx: As recorded, shape (n,).
        movement: Wilder's directional averages, shape (n,) each.
        config: Lengths.
        metrics: Wilder's length.
        first: Rows before this one are not computed.
    """
    rows, sma, steps, roc = close.shape[0], config.sma_bars, config.sma_slope_bars, config.roc_bars
    # The mean of n closes moves by (newest - the one n bars ago) / n: whole numbers, so no sign is lost.
    turned = _changes(close, sma, max(first - steps + 1, 0))
    risen = padded(sums(windows_ending(turned, steps, 0)), rows - first) / price_scale
    moved = _changes(close, roc, first)
    start = max(first - config.quantile_bars, 0)
    share = atr[start:] / (close[start:] / price_scale)
    usual = quantiles_before(share, config.quantile_bars, config.quantile, first - start)
    now, share = atr[first:], share[first - start :]
    plus, minus = movement.plus[first:], movement.minus[first:]
    found = np.stack(
        (
            np.nan_to_num(adx[first:], nan=0.0),
            _rounded(_over(plus - minus, plus + minus, 0.0)),
            _rounded(_over(risen / (sma * steps), now, 0.0)),
            _rounded(_over(share, usual, np.where(share > 0, math.inf, 1.0))),
            _rounded(_over(moved / (close[first:] - moved), share * math.sqrt(roc), 0.0)),
        )
    )
    found[:, : max(first_row(config, metrics) - first, 0)] = np.nan
    return found


def _changes(close: Ints, bars: int, first: int) -> Floats:
    """Return how far the close has moved in so many bars, in price steps, at rows `first` and later."""
    earliest = max(first, bars)
    moved = close[earliest:] - close[earliest - bars : max(close.shape[0] - bars, 0)]
    return padded(moved.astype(np.float64), close.shape[0] - first)


def _over(numerators: Floats, denominators: Floats, otherwise: Floats | float) -> Floats:
    found = np.full(numerators.shape, otherwise)
    np.divide(numerators, denominators, out=found, where=denominators != 0)
    return found


def _rounded(values: Floats) -> Floats:
    found: Floats = np.round(values, 6) + 0.0
    return found
