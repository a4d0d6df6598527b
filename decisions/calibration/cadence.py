"""Is an hourly look enough: how often a frozen grid's stop-loss was reached before a close had told of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from decisions.calibration.exits import exit_alerts
from decisions.calibration.outcomes import FOLLOWED_H, FrozenGrids, frozen_grids
from grid.economics import EconomicsConfig
from market.candles import Bars, Floats, Ints
from market.hours import HOUR_S
from regime.config import RegimeConfig
from regime.history import JudgedHours

MINUTE_S = 60


@dataclass(frozen=True, slots=True, eq=False)
class StopsReached:
    """Frozen grids whose stop-loss the minutes reached within a week, shape (n,) each.

    Attributes:
        ts: Starts of the grids, epoch seconds.
        announced: Whether an alert stood at an hour's close before.
        lead_h: From the first such close to the stop, hours; NaN where there was none.
        outside_h: From the first minute below the bounds to the stop, hours: what a look every minute could
            have had at most, were leaving the range reason enough.
    """

    ts: Ints
    announced: NDArray[np.bool_]
    lead_h: Floats
    outside_h: Floats


def stops_reached(
    hours: JudgedHours, minutes: Bars, price_scale: int, config: RegimeConfig, trigger: str = "evidence"
) -> StopsReached:
    """Follow grids frozen every sixth hour through their minutes, to a stop-loss at its usual distance.

    Args:
        hours: Judged hours.
        minutes: Of the same market; a grid whose week is not recorded whole in them is left out.
        price_scale: Of the minutes.
        config: Of the judgement.
        trigger: Which alert, one of `exit_alerts`.
    """
    grids = frozen_grids(hours)
    alert = exit_alerts(hours, grids, config)[trigger]
    stop_atr = EconomicsConfig().stop_loss_atr
    found: list[tuple[int, bool, float, float]] = []
    for row in range(grids.start.shape[0]):
        path = _week(grids, row, minutes)
        if path is None:
            continue
        low = path.low / price_scale
        reached = np.flatnonzero(low <= grids.lower[row] - stop_atr * grids.atr[row])
        if not reached.size:
            continue
        stop_h = (int(reached[0]) + 1) * MINUTE_S / HOUR_S
        outside_h = (int(np.flatnonzero(low < grids.lower[row])[0]) + 1) * MINUTE_S / HOUR_S
        closes = np.flatnonzero(alert[row]) + 1
        first = float(closes[0]) if closes.size and closes[0] <= stop_h else np.nan
        found.append((int(grids.ts[row]), bool(np.isfinite(first)), stop_h - first, stop_h - outside_h))
    columns = zip(*found, strict=True) if found else ((), (), (), ())
    ts, announced, lead, outside = columns
    return StopsReached(
        np.array(ts, dtype=np.int64),
        np.array(announced, dtype=np.bool_),
        np.array(lead, dtype=np.float64),
        np.array(outside, dtype=np.float64),
    )


def _week(grids: FrozenGrids, row: int, minutes: Bars) -> Bars | None:
    """Return the minutes of the week after a grid's start, None where some are not recorded."""
    start = int(grids.ts[row]) + HOUR_S
    week = minutes.between(start, start + FOLLOWED_H * HOUR_S)
    return week if len(week) == FOLLOWED_H * HOUR_S // MINUTE_S else None
