"""How numbers are recorded. Every threshold is applied to what these functions return."""

from __future__ import annotations

import math

import numpy as np

from market.candles import Floats

POWERS_OF_TEN = np.array([10.0**power for power in range(23)])  # each is exact
SMALLEST, LARGEST = 1e-13, 1e9  # sizes that a pass may round: scaled by a power that is exact
NEAR_TIE = 2e-6  # of the ninth digit; scaling moves a number by a tenth of this at most
WORTH_A_PASS = 40  # rows


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
    if values.shape[0] < WORTH_A_PASS:
        return np.array([significant(value) for value in values.tolist()], dtype=np.float64)
    size = np.abs(values)
    plain = (size >= SMALLEST) & (size < LARGEST)
    size = np.where(plain, size, 1.0)
    places = np.maximum(8 - np.floor(np.log10(size)).astype(np.int64), 0)  # off by one near a power of ten
    scaled = size * POWERS_OF_TEN[places]
    places += (scaled < 1e8).astype(np.int64) - (scaled >= 1e9)
    scaled = size * POWERS_OF_TEN[places]
    digits = np.rint(scaled)
    found = np.copysign(digits / POWERS_OF_TEN[places], values)
    sure = np.abs(np.abs(scaled - digits) - 0.5) > NEAR_TIE
    found = np.where(plain, found, values + 0.0)
    for row in np.flatnonzero(~(plain & sure) & np.isfinite(values)).tolist():
        found[row] = significant(float(values[row]))
    return found


def known(value: float) -> float | None:
    """Return `value`, None for NaN and infinities: columns mark absence by NaN, records by null."""
    return value if math.isfinite(value) else None
