"""Half-life of mean reversion: how long until half of a deviation is taken back?"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from market.candles import Floats
from market.errors import MetricUndefined
from regime.columns import blocks_ending, from_blocks, logs_of_one_plus, rolling_sums

NO_MEAN_REVERSION = math.inf
LN_2 = math.log(2)
NOISE = 1e-12  # share of the squares; below it, residuals are the rounding of logarithms
NEAR_ONE = 1e-9  # a half-life of 700 million bars is the rounding of a walk, not a reading


def half_life(log_closes: Floats, bars: int = 168) -> float:
    """Return the Ornstein-Uhlenbeck half-life over the last `bars` increments.

    dL is regressed on the L before it, with intercept; rho = 1 + b; half-life = ln 2 / -ln(rho). A pure
    walk shows a median near 28 of 168 bars: the half-life alone proves nothing, see `dickey_fuller_t`.

    Args:
        log_closes: ln of closes, shape (n,), oldest first.
        bars: Increments.

    Returns:
        Bars (hours on 1h bars), above 0; infinity when rho is outside (0, 1): no mean reversion.

    Raises:
        MetricUndefined: Fewer than `bars` + 1 closes, or the price never moved.

    Source:
        Uhlenbeck and Ornstein, Physical Review 36, 1930; bias in short samples: Kendall 1954.
    """
    if log_closes.shape[0] <= bars:
        raise MetricUndefined("half_life", f"needs {bars + 1} closes, has {log_closes.shape[0]}")
    value = float(half_lives(log_closes, bars, log_closes.shape[0] - 1)[-1])
    if math.isnan(value):
        raise MetricUndefined("half_life", f"price never moved in {bars} bars")
    return value


def half_lives(log_closes: Floats, bars: int, first: int = 0) -> Floats:
    """Return the half-life at rows `first` and later, shape (n - first,).

    NaN where undefined, infinity where there is no mean reversion.
    """
    fit, start = _fit(log_closes, bars, first)
    falls = (fit.pull > -1.0) & (fit.pull < -NEAR_ONE)
    found = LN_2 / -logs_of_one_plus(np.where(falls, fit.pull, -0.5))
    found = np.where(falls, found, np.where(np.isnan(fit.pull), np.nan, NO_MEAN_REVERSION))
    return from_blocks(found, start, first, log_closes.shape[0] - first)


def dickey_fuller_t(log_closes: Floats, bars: int = 168) -> float:
    """Return b / se(b) of the same regression at the newest bar.

    Returns:
        Dimensionless; below about -2.9 a pure walk is refuted at 5 %.

    Raises:
        MetricUndefined: Too few closes, a price that never moved, or a perfect fit.

    Source:
        Dickey and Fuller, Journal of the American Statistical Association 74, 1979.
    """
    if log_closes.shape[0] <= bars:
        raise MetricUndefined("dickey_fuller_t", f"needs {bars + 1} closes, has {log_closes.shape[0]}")
    found = float(dickey_fuller_ts(log_closes, bars, log_closes.shape[0] - 1)[-1])
    if math.isnan(found):
        raise MetricUndefined("dickey_fuller_t", "price never moved, or moved along one line")
    return found


def dickey_fuller_ts(log_closes: Floats, bars: int, first: int = 0) -> Floats:
    """Return b / se(b) at rows `first` and later, shape (n - first,); NaN where undefined."""
    fit, start = _fit(log_closes, bars, first)
    residuals = np.where(fit.residuals > NOISE * fit.squares, fit.residuals, np.nan)
    error = np.sqrt(residuals / (bars - 2) / fit.spread)
    return from_blocks(fit.pull / error, start, first, log_closes.shape[0] - first)


class _Fit(NamedTuple):
    """The regression of steps on levels, shape (blocks, RESTART); NaN where there is none."""

    pull: Floats
    spread: Floats
    squares: Floats
    residuals: Floats


def _fit(log_closes: Floats, bars: int, first: int) -> tuple[_Fit, int]:
    closes, start = blocks_ending(log_closes, bars + 1, first)
    levels = closes[:, :-1] - closes[:, bars : bars + 1]  # shifted, so that squares stay small
    steps = closes[:, 1:] - closes[:, :-1]
    level_sums = rolling_sums(levels, bars)
    level_squares = rolling_sums(levels * levels, bars)
    squares = rolling_sums(steps * steps, bars)
    moves = rolling_sums((steps[:, :-1] != 0).astype(np.float64), bars - 1)
    net = closes[:, bars:] - closes[:, :-bars]
    mean = level_sums * (1 / bars)
    spread = level_squares - mean * level_sums
    spread = np.where((moves > 0) & (spread > 0), spread, np.nan)
    # the sum of level x step telescopes: twice it is the square of the net step less the squares of all
    shared = 0.5 * (net * net - squares) - (mean - levels[:, : net.shape[1]]) * net
    pull = shared / spread
    residuals = (squares - net * (1 / bars) * net) - pull * shared
    return _Fit(pull, spread, squares, residuals), start
