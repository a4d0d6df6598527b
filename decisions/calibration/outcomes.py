"""What happened afterwards: did the range hold, did a frozen grid break, and when."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from market.candles import Floats, Ints
from market.hours import HOUR_S
from regime.history import JudgedHours

HOLD_HOURS = 24
BREAK_MARGIN_ATR = 1.0
BACK_WITHIN_H = 12
FOLLOWED_H = 168
ALERT_H = 72


def holds(hours: JudgedHours, margin_atr: float) -> Floats:
    """Return 1 where every close of the next 24 hours lay within bounds +/- margin x ATR, 0 where not.

    Returns:
        Shape (n,); NaN where one of the 24 hours is not recorded.
    """
    count = len(hours)
    held = np.full(count, np.nan)
    if count <= HOLD_HOURS:
        return held
    ahead = np.lib.stride_tricks.sliding_window_view(hours.close, HOLD_HOURS)[1:]
    rows = np.arange(count - HOLD_HOURS)
    whole = hours.ts[rows + HOLD_HOURS] - hours.ts[rows] == HOLD_HOURS * HOUR_S
    lower = hours.lower[rows] - margin_atr * hours.atr[rows]
    upper = hours.upper[rows] + margin_atr * hours.atr[rows]
    inside = (ahead.min(axis=1) >= lower) & (ahead.max(axis=1) <= upper)
    held[rows[whole]] = inside[whole]
    return held


@dataclass(frozen=True, slots=True, eq=False)
class FrozenGrids:
    """Grids frozen at their start and followed, hour by hour; shapes (n,) and (n, 168).

    Attributes:
        start: Rows of the hours they start in.
        breaks_h: Hours until the adverse event A, 0 where there is none within a week.
        breaks_later_h: The same within 72 hours more: what an alert at the end of the week is judged by.
        ts: Of the start, epoch seconds.
        lower, upper, atr: Frozen.
        close: Of each followed hour; NaN past the recording.
    """

    start: Ints
    breaks_h: Ints
    breaks_later_h: Ints
    ts: Ints
    lower: Floats
    upper: Floats
    atr: Floats
    close: Floats


def frozen_grids(hours: JudgedHours, every_h: int = 6) -> FrozenGrids:
    """Freeze a grid at every sixth hour with a valid range and the close inside; follow it for a week.

    A is the first close at least 1 ATR outside the bounds from which the price is not back inside within 12
    hours. Grids whose week, and the three days after it, are not recorded whole are left out: their end is
    not known.
    """
    reach = FOLLOWED_H + ALERT_H + BACK_WITHIN_H
    rows = np.flatnonzero(hours.valid & hours.inside & ((hours.ts // HOUR_S) % every_h == 0))
    rows = rows[rows + reach < len(hours)]
    rows = rows[hours.ts[np.minimum(rows + reach, len(hours) - 1)] - hours.ts[rows] == reach * HOUR_S]
    lower, upper, atr = hours.lower[rows], hours.upper[rows], hours.atr[rows]
    if not rows.size:
        return FrozenGrids(rows, rows, rows, hours.ts[rows], lower, upper, atr, np.empty((0, FOLLOWED_H)))
    path = np.lib.stride_tricks.sliding_window_view(hours.close, reach)[rows + 1]
    far = (path <= (lower - BREAK_MARGIN_ATR * atr)[:, None]) | (
        path >= (upper + BREAK_MARGIN_ATR * atr)[:, None]
    )
    inside = (path >= lower[:, None]) & (path <= upper[:, None])
    back = np.zeros_like(inside)
    for later in range(1, BACK_WITHIN_H + 1):
        back[:, :-later] |= inside[:, later:]
    ends = first_true((far & ~back)[:, : FOLLOWED_H + ALERT_H])
    breaks = np.where(ends <= FOLLOWED_H, ends, 0)
    return FrozenGrids(rows, breaks, ends, hours.ts[rows], lower, upper, atr, path[:, :FOLLOWED_H])


def first_true(mask: NDArray[np.bool_]) -> Ints:
    """Return in which hour (1 is the first) each row is first true, 0 where it never is."""
    return np.where(mask.any(axis=1), mask.argmax(axis=1) + 1, 0)
