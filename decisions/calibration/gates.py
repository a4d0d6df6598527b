"""What the restart gates were worth: how often they hold, how long they keep a grid off, and what for.

Restarts at random are taken from hours that allow a setup as far as verdict and range are concerned, so that
what is measured is the gates' own share and not that of the verdict.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from decisions.calibration.measures import Weeks
from decisions.calibration.restarts import WEEK_H, Flags, ready_hours, restarted, stops_of
from market.candles import Floats, Ints
from regime.analysis import ScoreModel, Verdict
from regime.config import METRICS, Section
from regime.diagnostics import COLUMNS
from regime.gates.conditions import Condition
from regime.gates.config import PRESETS, GatesConfig
from regime.gates.fold import GATES, conditions_of
from regime.gates.readings import GateReadings
from regime.history import JudgedHours
from regime.precision import significant

GRID_NOTIONAL = 1000.0  # quote; the turnover that gate 3 asks for is a multiple of it
RANDOM_H = 2 * WEEK_H  # within which a restart at random lies


def gate_worth(
    hours: JudgedHours,
    held: Floats,
    model: ScoreModel,
    spacing_floor_pct: float,
    grid_notional: float = GRID_NOTIONAL,
) -> dict[str, Any]:
    """Return every preset's figures, JSON-ready.

    Args:
        hours: Judged hours, oldest first.
        held: 1 where the range of the hour held for 24 hours, 0 where not, NaN where not known.
        model: Whose verdicts reset the gates.
        spacing_floor_pct: Percent.
        grid_notional: Quote value of the grid.

    Returns:
        For each preset: `conditions` (by gate: share of hours in which each condition held), `gates` (share
        of hours in which all of a gate's conditions held, and median wait until it passed), `wait_h` until
        all three passed (median, 90 % quantile, share above a week; null where so many never did),
        `restarted` (share of stops) and `held_24h`: how often the range of the restarted grid held, that of a
        grid restarted at random within the two weeks after the same stop, and the difference.
    """
    readings = readings_of_hours(hours, model, spacing_floor_pct, grid_notional)
    stops = stops_of(hours)
    everything, weeks = Weeks(hours.ts), Weeks(hours.ts[stops])
    seen: dict[tuple[int, Section], _GateHours] = {}
    found = {}
    for preset in PRESETS:
        config = GatesConfig.model_validate({"preset": preset})
        gates = []
        for at, section in enumerate(
            (config.energy_decay, config.mean_reversion, config.tradable_volatility)
        ):
            if (at, section) not in seen:
                told = [conditions_of(at, each, config) for each in readings]
                seen[at, section] = _gate_hours(told, everything)
            gates.append(seen[at, section])
        restarts = restarted(hours, model, [gate.holds for gate in gates], stops, config)
        found[preset] = {
            "stops": int(stops.size),
            "conditions": {name: gate.conditions for name, gate in zip(GATES, gates, strict=True)},
            "gates": {
                name: {"holds": gate.share, "wait_median_h": weeks.quantile(wait, 0.5).as_json()}
                for name, gate, wait in zip(GATES, gates, restarts.wait_h, strict=True)
            },
            "wait_h": _waits(restarts.wait_h[-1], weeks),
            "restarted": _share(restarts.row >= 0, weeks),
            "held_24h": _skill(hours, ready_hours(hours, model), held, stops, restarts.row),
        }
    return found


@dataclass(frozen=True, slots=True)
class _GateHours:
    """One gate over all hours: whether it held in each, and the figures of that."""

    holds: list[bool]
    share: dict[str, Any]
    conditions: dict[str, Any]


def _gate_hours(rows: Sequence[tuple[Condition, ...]], weeks: Weeks) -> _GateHours:
    names = [each.name for each in rows[0]] if rows else []
    held = np.array([[each.held for each in row] for row in rows], dtype=np.bool_).reshape(
        len(rows), len(names)
    )
    whole: Flags = np.logical_and.reduce(held, axis=1)
    return _GateHours(
        [bool(each) for each in whole],
        _share(whole, weeks),
        {name: _share(held[:, at], weeks) for at, name in enumerate(names)},
    )


def readings_of_hours(
    hours: JudgedHours, model: ScoreModel, spacing_floor_pct: float, grid_notional: float
) -> list[GateReadings]:
    """Return what the gates would have read in each hour."""
    verdicts = tuple(Verdict)
    beside = {name: _known(column) for name, column in zip(COLUMNS, hours.diagnostics, strict=True)}
    metric = {name: _known(column) for name, column in zip(METRICS, hours.metrics, strict=True)}
    metric["half_life"] = [None if math.isnan(each) else each for each in hours.metrics[3].tolist()]
    atr, close = _known(hours.atr), hours.close.tolist()
    ranks = getattr(hours, model).tolist()
    floor, notional = significant(spacing_floor_pct), significant(grid_notional)
    return [
        GateReadings(
            verdict=verdicts[ranks[row]],
            close=close[row],
            atr=atr[row],
            adx=metric["adx"][row],
            adx_3_bars_ago=beside["adx_3_bars_ago"][row],
            efficiency_ratio=metric["efficiency_ratio"][row],
            slope=metric["slope"][row],
            half_life=metric["half_life"][row],
            autocorrelation=metric["autocorrelation"][row],
            dickey_fuller_t=beside["dickey_fuller_t"][row],
            excursions_48h=beside["excursions_48h"][row],
            atr_ratio=beside["atr_ratio"][row],
            expansion=metric["expansion"][row],
            atr_pct=beside["atr_pct"][row],
            turnover_24h=beside["turnover_24h"][row],
            spacing_floor_pct=floor,
            grid_notional=notional,
        )
        for row in range(len(hours))
    ]


def _waits(wait_h: Floats, weeks: Weeks) -> dict[str, Any]:
    return {
        "median": weeks.quantile(wait_h, 0.5).as_json(),
        "p90": weeks.quantile(wait_h, 0.9).as_json(),
        "over_a_week": _share(wait_h > WEEK_H, weeks),
    }


def _share(flags: Flags, weeks: Weeks) -> dict[str, Any]:
    return weeks.mean(flags.astype(np.float64), _all(flags.size)).as_json()


def _skill(hours: JudgedHours, ready: Flags, held: Floats, stops: Ints, rows: Ints) -> dict[str, Any]:
    """Return how often the range held after a restart by the gates, at random, and the difference.

    Many stops end in the same restart, so each restart counts once, in its own week, against the mean of what
    a random restart after these stops would have met.
    """
    usable = ready & np.isfinite(held)
    worth = np.where(usable, held, 0.0)
    total, count = np.r_[0.0, np.cumsum(worth)], np.r_[0, np.cumsum(usable)]
    last = stops + 1 + RANDOM_H
    chances = count[last] - count[stops + 1]
    scored = (rows >= 0) & (chances > 0)
    scored[scored] &= usable[rows[scored]]
    restarts, of = np.unique(rows[scored], return_inverse=True)
    met = (total[last] - total[stops + 1])[scored] / chances[scored]
    random = np.bincount(of, met, restarts.size) / np.maximum(np.bincount(of, minlength=restarts.size), 1)
    gated, weeks = worth[restarts], Weeks(hours.ts[restarts])
    return {
        "gated": weeks.mean(gated, _all(restarts.size)).as_json(),
        "random": weeks.mean(random, _all(restarts.size)).as_json(),
        "skill": weeks.mean(gated - random, _all(restarts.size)).as_json(),
    }


def _all(count: int) -> Flags:
    return np.ones(count, dtype=np.bool_)


def _known(column: Floats) -> list[float | None]:
    return [each if math.isfinite(each) else None for each in column.tolist()]
