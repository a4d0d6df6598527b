"""One market's calibration, whole: the document that `regimed calibrate` prints and the daemon records."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decisions.calibration.exits import exit_skills
from decisions.calibration.gates import gate_worth
from decisions.calibration.measures import (
    NOTHING,
    Figure,
    Ranked,
    Weeks,
    auc_within,
    brier,
    brier_skill,
    mean,
    reliability,
    runs,
)
from decisions.calibration.outcomes import holds
from decisions.calibration.rivals import Rival, contenders, own_models
from decisions.calibration.values import GridValues
from decisions.calibration.vetoes import veto_worth
from grid.economics import EconomicsConfig, spacing_floor_pct
from market.candles import Floats
from market.costs import Fees
from market.hours import Hour
from regime.analysis import Verdict
from regime.config import RegimeConfig
from regime.history import JudgedHours

WEEK_H = 168
GEOMETRY_BINS = 10
EDGES = np.round(np.arange(0.1, 1.0, 0.1), 1)
P_BANDS = ((0.0, 0.60), (0.60, 0.75), (0.75, 0.85), (0.85, 1.0))
FEWEST_IN_BAND = 300


@dataclass(frozen=True, slots=True)
class Calibration:
    """What was measured, JSON-ready."""

    document: dict[str, Any]


def calibrate(
    key: str,
    hours: JudgedHours,
    config: RegimeConfig,
    values: GridValues | None = None,
    *,
    whole: bool = True,
) -> Calibration:
    """Measure both models and their rivals over one market's judged hours.

    Args:
        key: Market key.
        hours: Every judged hour, oldest first.
        config: The configuration in force.
        values: What a standard grid was worth from each hour; None leaves those figures out.
        whole: False measures the two models alone, which is all that a first start needs to know of the edge.
    """
    held_all = holds(hours, config.range.outside_margin)
    scored = hours.valid & hours.inside & np.isfinite(held_all)
    kept, held = hours.where(scored), held_all[scored]
    worth = None if values is None else values.where(scored)
    weeks = Weeks(kept.ts)
    measured = contenders(kept, held, config) if whole else own_models(kept)
    models = {rival.name: _model(rival, kept, held, weeks, worth) for rival in measured}
    for name in ("evidence", "classic"):
        models[name] |= _steadiness(hours, getattr(hours, name))
    return Calibration(
        {
            "key": key,
            "from": str(Hour.of_ts(int(hours.ts[0]))) if len(hours) else None,
            "to": str(Hour.of_ts(int(hours.ts[-1])).plus(1)) if len(hours) else None,
            "hours": len(kept),
            "hours_all": len(hours),
            "valid_share": round(float(hours.valid.mean()), 6) if len(hours) else None,
            "weeks": weeks.count,
            "base_rate": weeks.figure(lambda w: mean(held, w), len(kept)).as_json(),
            "models": models,
        }
        | (_rules(hours, held_all, config, values) if whole else {})
    )


def _rules(
    hours: JudgedHours, held: Floats, config: RegimeConfig, values: GridValues | None
) -> dict[str, Any]:
    """Return what exit triggers, gates and vetoes were worth."""
    cost_bps = 2 * (Fees().maker_bps if values is None else values.maker_bps)
    floor_pct = spacing_floor_pct(cost_bps, EconomicsConfig())
    return {
        "exits": {name: skill.as_json() for name, skill in exit_skills(hours, config).items()},
        "gates": gate_worth(hours, held, config.score_model, floor_pct),
        "vetoes": veto_worth(hours, held, config),
    }


def _model(
    rival: Rival, hours: JudgedHours, held: Floats, weeks: Weeks, worth: GridValues | None
) -> dict[str, Any]:
    """Return one classifier's figures over the scored hours that it has a score for."""
    known = np.isfinite(rival.score)
    mine = known.astype(np.float64)
    n = int(known.sum())
    score = np.where(known, rival.score, -np.inf)
    ranked = Ranked(score, held)
    ok, other = mine * rival.ok, mine * ~rival.ok
    found: dict[str, Any] = {
        "n": n,
        "auc_hold24": weeks.figure(lambda w: ranked.auc(w * mine), n).as_json(),
        "auc_within_geometry": _within_geometry(score, held, hours, mine, n).as_json(),
        "duty": weeks.figure(lambda w: mean(ok, w * mine), n).as_json(),
        "hold_rate": {
            "RANGE_OK": _rate(held, ok, weeks).as_json(),
            "other_than_ok": _rate(held, other, weeks).as_json(),
        },
        "brier": None,
        "brier_skill": None,
        "bins": [],
    }
    if rival.verdict is not None:
        for verdict in (Verdict.RANGE_WEAK, Verdict.TRANSITION, Verdict.TREND):
            share = mine * (rival.verdict == verdict.rank)
            found["hold_rate"][verdict.value] = _rate(held, share, weeks).as_json()
    if rival.stated is not None:
        found |= _stated(rival.stated, held, known & np.isfinite(rival.stated), hours)
    if worth is not None:
        found["grid_pnl_bps_24h"] = worth.by_verdict(ok > 0, other > 0, weeks)
        if rival.name == "evidence":
            found["edge_by_band"] = worth.by_band(hours.hold_probability, P_BANDS, FEWEST_IN_BAND, weeks)
    return found


def _rate(held: Floats, share: Floats, weeks: Weeks) -> Figure:
    return weeks.figure(lambda w: mean(held, w * share), int(np.count_nonzero(share)))


def _within_geometry(score: Floats, held: Floats, hours: JudgedHours, mine: Floats, n: int) -> Figure:
    """Return the AUC inside bins of the barrier's own probability; no interval, it is slow and wide."""
    if not n:
        return NOTHING
    value = auc_within(score, held, hours.barrier_probability, GEOMETRY_BINS, mine)
    return Figure(round(value, 6) if np.isfinite(value) else None, n=n)


def _stated(stated: Floats, held: Floats, known: NDArray[np.bool_], hours: JudgedHours) -> dict[str, Any]:
    """Return how true a stated probability was."""
    n = int(known.sum())
    if not n:
        return {}
    p, y = stated[known], held[known]
    own = Weeks(hours.ts[known])
    rows = reliability(p, y, own, EDGES)
    return {
        "brier": own.figure(lambda w: brier(p, y, w), n).as_json(),
        "brier_skill": own.figure(lambda w: brier_skill(p, y, w), n).as_json(),
        "bins": [
            {
                "stated": row.stated,
                "observed": row.observed.value,
                "n": row.observed.n,
                "low": row.observed.low,
                "high": row.observed.high,
            }
            for row in rows
        ],
    }


def _steadiness(hours: JudgedHours, verdict: NDArray[np.int8]) -> dict[str, Any]:
    """Return how often a verdict changed and how long it stood, over all judged hours."""
    lengths, flips = runs(verdict.astype(np.int64), hours.ts)
    return {
        "flips_per_week": round(flips / (len(hours) / WEEK_H), 6) if len(hours) else None,
        "dwell_median_h": float(np.median(lengths)) if lengths.size else None,
    }
