"""Hourly volatility: exponentially weighted, started anew at each anchor."""

from __future__ import annotations

import numpy as np

from market.candles import Floats
from regime.columns import deviations_from_mean, sums


def ewma_variances(
    log_closes: Floats, half_life: float, start_bars: int, before: Floats | None = None
) -> Floats:
    """Return the variance of log returns at every bar, shape (n,); NaN in the first row.

    The first `start_bars` returns give their plain (population) variance so far; from there on each squared
    return enters with weight 1 - 0.5 ** (1 / half_life), drift left out.

    Args:
        log_closes: ln of closes, shape (n,), oldest first, from the anchor on.
        half_life: Bars.
        start_bars: Returns behind the first recursive value.
        before: The first rows of the result, where already known; only the others are computed.
    """
    rows = log_closes.shape[0]
    returns = log_closes[1:] - log_closes[:-1]
    column = np.full(rows, np.nan)
    done = 0 if before is None else before.shape[0]
    if before is not None:
        column[:done] = before
    for row in range(max(done, 1), min(start_bars + 1, rows)):
        apart = deviations_from_mean(returns[None, :row])
        column[row] = float(sums(apart * apart)[0]) / row
    done = max(done, start_bars + 1)
    if done >= rows:
        return column
    keep = 0.5 ** (1 / half_life)
    variance = float(column[done - 1])
    for row, step in enumerate(returns[done - 1 :].tolist(), done):
        variance = keep * variance + (1 - keep) * step * step
        column[row] = variance
    return column
