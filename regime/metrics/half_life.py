"""Half-life of mean reversion: how long until half of a deviation is taken back?"""

from __future__ import annotations

import math

import numpy as np

from market.candles import Floats
from market.errors import MetricUndefined
from regime.columns import deviations_from_mean, padded, ratios, sums, windows_ending

NO_MEAN_REVERSION = math.inf
_NEAR_ONE = 1e-9  # a half-life of 700 million bars is the rounding of a walk, not a reading


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
    levels, steps = _regressors(log_closes, bars, first)
    pulls = ratios(sums(levels * steps), sums(levels * levels))
    found = np.array([_half_life_of(pull) for pull in pulls.tolist()], dtype=np.float64)
    return padded(found, log_closes.shape[0] - first)


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
    levels, steps = _regressors(log_closes, bars, log_closes.shape[0] - 1)
    spread = sums(levels * levels)
    pull = ratios(sums(levels * steps), spread)
    residuals = steps - pull[:, None] * levels
    error = np.sqrt(ratios(sums(residuals * residuals) / (bars - 2), spread))
    found = float(ratios(pull, error)[-1])
    if math.isnan(found):
        raise MetricUndefined("dickey_fuller_t", "price never moved, or moved along one line")
    return found


def _regressors(log_closes: Floats, bars: int, first: int) -> tuple[Floats, Floats]:
    closes = windows_ending(log_closes, bars + 1, first)
    return deviations_from_mean(closes[:, :-1]), deviations_from_mean(closes[:, 1:] - closes[:, :-1])


def _half_life_of(pull: float) -> float:
    if math.isnan(pull):
        return math.nan
    if not -1 < pull < -_NEAR_ONE:
        return NO_MEAN_REVERSION
    return math.log(2) / -math.log1p(pull)
