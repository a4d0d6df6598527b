"""How far a figure of few cases can be trusted: 95 % intervals, by Wilson's formula where it has limits."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

Z = 1.959963984540054  # 95 % of the normal distribution lie within so many standard deviations


def wilson(share: float, n: int) -> tuple[float, float]:
    """Return the 95 % interval of a share seen in n cases.

    For example 8 of 10: (.490, .943); 0 of 10: (0, .278).

    Args:
        share: In [0, 1].
        n: 1 or more.

    Source:
        E. B. Wilson, Probable inference, the law of succession, and statistical inference, 1927.
    """
    weight = Z * Z / n
    centre = (share + weight / 2) / (1 + weight)
    half = math.sqrt(share * (1 - share) * weight + weight * weight / 4) / (1 + weight)
    return max(centre - half, 0.0), min(centre + half, 1.0)


def bounded_mean(values: Sequence[float], least: float, most: float) -> tuple[float, float, float]:
    """Return the mean of values that lie in [least, most] and its interval.

    The interval is Wilson's for the mean's place between the two limits. No distribution within limits
    varies more than one that only takes the limits, so it is rather too wide than too narrow.
    """
    mean = math.fsum(values) / len(values)
    low, high = wilson((mean - least) / (most - least), len(values))
    return mean, least + low * (most - least), least + high * (most - least)


def unbounded_mean(values: Sequence[float]) -> tuple[float, float | None, float | None]:
    """Return the mean of values without limits and its interval; one value has none.

    The interval is the normal one, Z standard errors to each side, the values taken as independent: of few
    values it is too narrow, so the number of cases belongs beside it.
    """
    n = len(values)
    mean = math.fsum(values) / n
    if n < 2:
        return mean, None, None
    variance = math.fsum((value - mean) ** 2 for value in values) / (n - 1)
    half = Z * math.sqrt(variance / n)
    return mean, mean - half, mean + half


def quantile(values: Sequence[float], share: float) -> tuple[float, float, float]:
    """Return a quantile of the values and its interval.

    Between two values the quantile is interpolated linearly: of n sorted values it stands at place
    (n - 1) x share, counted from 0; so the median of an even number is the middle of the two middle ones.
    The interval is made of the quantiles at the ends of Wilson's interval of `share`.
    """
    places = (share, *wilson(share, len(values)))
    found, low, high = np.quantile(np.array(values, dtype=np.float64), places).tolist()
    return found, low, high
