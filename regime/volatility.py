"""Hourly volatility, looked at a day ahead: a fast and a slow average of the hour's range, by hour of week.

How far the price ranges in an hour depends on the hour of the week as much as on anything else. So each
hour's range is first divided by the factor of its hour of week, the averages are of what is left, and the
factors of the 24 hours to come are put back in.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from market.candles import Floats, Ints
from market.hours import HOUR_S
from regime.config import EvidenceConfig

WEEK_H = 168
_MONDAY_H = 72  # 1970-01-01 00:00 UTC was a Thursday, 72 hours after a Monday began
_PARKINSON = 2 * math.sqrt(math.log(2))


@dataclass(frozen=True, slots=True, eq=False)
class RangeAverages:
    """Numerators of the two averages as the recursion carries them, shape (n,) each."""

    fast: Floats
    slow: Floats

    def rows(self, count: int) -> RangeAverages:
        """Return the first `count` rows, as views."""
        return RangeAverages(self.fast[:count], self.slow[:count])


NO_AVERAGES = RangeAverages(np.empty(0), np.empty(0))


def hours_of_week(ts: Ints) -> Ints:
    """Return the hour of the week of each instant, UTC, Monday 00:00 first."""
    return (ts // HOUR_S + _MONDAY_H) % WEEK_H


def range_averages(
    high: Floats, low: Floats, ts: Ints, config: EvidenceConfig, before: RangeAverages = NO_AVERAGES
) -> RangeAverages:
    """Return both averages' numerators at every bar since the anchor.

    n_t = k n_{t-1} + (1 - k) x_t with x the hour's Parkinson deviation over its hour-of-week factor and
    k = 0.5 ** (1 / half-life).

    Args:
        high, low: Quote prices, shape (n,), oldest first, from the anchor on.
        ts: Opens of the bars, epoch seconds.
        config: Half-lives and factors.
        before: The first rows of the result, where already known; only the others are computed.

    Source:
        M. Parkinson, The Extreme Value Method for Estimating the Variance of the Rate of Return, 1980.
    """
    first = before.fast.shape[0]
    factors = np.asarray(config.hour_of_week_factors)[hours_of_week(ts[first:])]
    deviations = np.log(high[first:] / low[first:]) / _PARKINSON / factors
    return RangeAverages(
        *(
            np.concatenate((known, _decayed(deviations, half_life, known)))
            for known, half_life in (
                (before.fast, config.sigma_fast_half_life),
                (before.slow, config.sigma_slow_half_life),
            )
        )
    )


def _decayed(values: Floats, half_life: float, known: Floats) -> Floats:
    keep = 0.5 ** (1 / half_life)
    carried = float(known[-1]) if known.size else 0.0
    column = []
    for value in values.tolist():
        carried = keep * carried + (1 - keep) * value
        column.append(carried)
    return np.array(column, dtype=np.float64)


def day_ahead_sigmas(averages: RangeAverages, ts: Ints, config: EvidenceConfig, first: int = 0) -> Floats:
    """Return the standard deviation of an hourly log return expected over the next 24 hours.

    The geometric mean of the fast and the slow average, each divided by the weight it has gathered since the
    anchor (the slow one never gathers all of it), times the root mean square of the coming hours' factors.

    Args:
        averages: At every bar, shape (n,).
        ts: Opens of the bars.
        config: Half-lives, factors, horizon.
        first: First row wanted.

    Returns:
        Shape (n - first,); 0 where no hour ever moved.
    """
    bars = np.arange(first + 1, averages.fast.shape[0] + 1)
    fast, slow = (
        column[first:] / (1 - (0.5 ** (1 / half_life)) ** bars)
        for column, half_life in (
            (averages.fast, config.sigma_fast_half_life),
            (averages.slow, config.sigma_slow_half_life),
        )
    )
    factors = np.asarray(config.hour_of_week_factors)
    coming = hours_of_week(ts[first:])[:, None] + 1 + np.arange(config.horizon_bars)
    # Row by row sums of a fixed length, the same whatever the number of rows.
    squares = np.add.accumulate(factors[coming % WEEK_H] ** 2, axis=1)[:, -1]
    sigmas: Floats = np.sqrt(fast * slow) * np.sqrt(squares / config.horizon_bars)
    return sigmas
