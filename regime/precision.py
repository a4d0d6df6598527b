"""How numbers are recorded. Every threshold is applied to what these functions return."""

from __future__ import annotations

import math

import numpy as np

from market.candles import Floats


def significant(value: float) -> float:
    """Return `value` rounded to 9 significant decimal digits; NaN and infinities pass."""
    return float(f"{value:.8e}") + 0.0  # + 0.0 turns -0.0 into 0.0, which prints differently


def score(value: float) -> float:
    """Return `value` rounded to 1e-6: scores, shares and probabilities."""
    return round(value, 6) + 0.0


def price(value: float, price_scale: int) -> float:
    """Return a quote price rounded to the price scale, at least one step of it."""
    return max(round(value * price_scale), 1) / price_scale


def significant_column(values: Floats) -> Floats:
    """Return a column with `significant` applied to each row."""
    return np.array([significant(value) for value in values.tolist()], dtype=np.float64)


def known(value: float) -> float | None:
    """Return `value`, None for NaN and infinities: columns mark absence by NaN, records by null."""
    return value if math.isfinite(value) else None
