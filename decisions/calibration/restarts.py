"""Grids that were stopped and set up again, simulated: when would the gates have let them?

A stop is simulated wherever a frozen grid broke. From there the gates are folded hour by hour, as they would
have been recorded, until all have passed; the grid is then set up again in the first hour that allows it
otherwise, unless something resets the gates meanwhile.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from decisions.calibration.outcomes import frozen_grids
from market.candles import Floats, Ints
from market.hours import HOUR_S
from regime.analysis import ScoreModel, Verdict
from regime.gates.config import GatesConfig
from regime.gates.fold import ANEW, GATES, stepped
from regime.history import JudgedHours
from regime.precision import significant

WEEK_H = 168
FOLLOWED_H = 8 * WEEK_H  # a stop needs so many recorded hours after it, and is given up then

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Restarts:
    """What came of each simulated stop, shape (n,) each.

    Attributes:
        wait_h: Hours until each gate passed in the run that ended with all of them passed, shape (3, n);
            infinity where there was no such run, and the gate does not stand passed at the end either.
        row: Of the hour in which the grid was set up again, -1 where it was not.
    """

    wait_h: Floats
    row: Ints


def stops_of(hours: JudgedHours) -> Ints:
    """Return the rows in which at least one frozen grid broke, with enough recorded hours after them."""
    grids = frozen_grids(hours)
    rows = np.unique((grids.start + grids.breaks_h)[grids.breaks_h > 0])
    return rows[rows + FOLLOWED_H < len(hours)]


def ready_hours(hours: JudgedHours, model: ScoreModel) -> Flags:
    """Return in which hours a setup is allowed as far as regime and range are concerned."""
    calm: Flags = getattr(hours, model) <= Verdict.RANGE_WEAK.rank
    return calm & hours.valid & hours.inside


def restarted(
    hours: JudgedHours, model: ScoreModel, holds: list[list[bool]], stops: Ints, config: GatesConfig
) -> Restarts:
    """Fold the gates after each stop, and restart the grid where they and the range allow it.

    Args:
        hours: Judged hours; where some are missing between two rows, the streak is broken.
        model: Whose verdicts reset the gates.
        holds: For each gate, whether all its conditions held in each hour.
        stops: Rows of the stops.
        config: Bars and resets.
    """
    path = _Path(
        verdict=getattr(hours, model).tolist(),
        close=hours.close.tolist(),
        atr=hours.atr.tolist(),
        hour=(hours.ts // HOUR_S).tolist(),
        ready=ready_hours(hours, model).tolist(),
        holds=holds,
    )
    ends = [_followed(path, stop, config) for stop in stops.tolist()]
    waits = np.array([wait for wait, _ in ends], dtype=np.float64).reshape(-1, len(GATES)).T
    return Restarts(waits, np.array([row for _, row in ends], dtype=np.int64))


@dataclass(frozen=True, slots=True)
class _Path:
    """Columns as lists, because they are walked hour by hour; `hour` counts hours since 1970."""

    verdict: list[int]
    close: list[float]
    atr: list[float]
    hour: list[int]
    ready: list[bool]
    holds: list[list[bool]]


def _followed(path: _Path, stop: int, config: GatesConfig) -> tuple[list[float], int]:
    """Return the wait for each gate and the row of the restart, -1 without; folded as `regime.gates` does."""
    progress, transitions, passed = ANEW, 0, [math.inf] * len(GATES)
    waited: list[float] | None = None
    low, high = math.inf, -math.inf
    for row in range(stop + 1, stop + 1 + FOLLOWED_H):
        verdict, close = path.verdict[row], path.close[row]
        transitions = transitions + 1 if verdict == Verdict.TRANSITION.rank else 0
        if row > stop + 1 and path.hour[row] != path.hour[row - 1] + 1:
            progress = progress._replace(streak=0)
        far = row > stop + 1 and significant(max(low - close, close - high)) >= significant(
            config.breakout_atr * path.atr[row - 1]
        )
        if verdict == Verdict.TREND.rank or transitions >= config.transition_bars or far:
            progress = ANEW
        elif progress.passed < len(GATES):
            gate = progress.passed
            progress = stepped(progress, held=path.holds[gate][row], bars_to_pass=config.bars_to_pass)
            if progress.passed > gate:
                passed[gate] = float(path.hour[row] - path.hour[stop])
        low, high = min(low, close), max(high, close)
        if progress.passed == len(GATES):
            waited = waited or list(passed)
            if path.ready[row]:
                return waited, row
    return waited or [each if at < progress.passed else math.inf for at, each in enumerate(passed)], -1
