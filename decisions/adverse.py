"""The adverse event A: when the price left a grid for good. A label for looking back; nothing decides by it.

A is the first 1h close at least 1 ATR outside the grid's bounds from which no close of the next 12 hours is
back inside them. It is known only 12 hours later.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from market.candles import Bars, Floats
from market.hours import HOUR_S, Timeframe, instant_of_ts
from regime.config import Section


class AdverseConfig(Section):
    """What counts as leaving for good."""

    beyond_atr: float = Field(
        1.0, ge=0, le=10, description="A close so far outside the bounds, ATR, or more."
    )
    back_within_h: int = Field(12, ge=1, le=168, description="Not back inside for so long, hours.")
    within_h: int = Field(72, ge=1, le=168, description="Looked for so long after a decision, hours.")

    @property
    def within(self) -> timedelta:
        return timedelta(hours=self.within_h)

    @property
    def known_after(self) -> timedelta:
        """How long after an instant it is certain that no A followed it."""
        return timedelta(hours=self.within_h + self.back_within_h)


def adverse_hours(
    closes: Floats, lower: Floats, upper: Floats, atr: Floats, config: AdverseConfig
) -> NDArray[np.bool_]:
    """Return in which hours the price is far outside and stays out, for many grids at once.

    Args:
        closes: 1h closes of each grid, quote, NaN where not known, shape (n, hours).
        lower, upper, atr: Of each grid, frozen, shape (n,).
        config: Of the event.

    Returns:
        Shape (n, hours - back_within_h), or no columns: of the last hours it is not known yet. An unknown
        close is neither far outside nor back inside.
    """
    margin = config.beyond_atr * atr
    far = (closes <= (lower - margin)[:, None]) | (closes >= (upper + margin)[:, None])
    inside = (closes >= lower[:, None]) & (closes <= upper[:, None])
    count = max(closes.shape[1] - config.back_within_h, 0)
    back = np.zeros((closes.shape[0], count), dtype=bool)
    for later in range(1, config.back_within_h + 1):
        back |= inside[:, later : later + count]
    return far[:, :count] & ~back


def adverse_event(
    hours: Bars,
    price_scale: int,
    bounds: tuple[float, float],
    atr: float,
    since: datetime,
    until: datetime,
    config: AdverseConfig,
) -> datetime | None:
    """Return the close of the hour of A, None where there is none or it is not known yet.

    Args:
        hours: 1h bars, price x price_scale, reaching `back_within_h` beyond `until` for a sure answer.
        price_scale: Of the bars.
        bounds, atr: Of the grid, quote.
        since, until: A must lie in (since, until], aware.
        config: Of the event.
    """
    if hours.timeframe is not Timeframe.H1:
        raise ValueError(f"A is told by 1h closes, not by {hours.timeframe.value}")
    after = hours.between(int(since.timestamp()) - HOUR_S + 1, 2**62)
    if not len(after):
        return None
    path = np.full(1 + int(after.ts[-1] - after.ts[0]) // HOUR_S, np.nan)
    path[(after.ts - after.ts[0]) // HOUR_S] = after.close / price_scale
    lower, upper = bounds
    mask = adverse_hours(path[None, :], np.array([lower]), np.array([upper]), np.array([atr]), config)[0]
    if not mask.any():
        return None
    at = instant_of_ts(int(after.ts[0]) + (int(mask.argmax()) + 1) * HOUR_S)
    return at if at <= until else None
