"""A grid from 100 to 120 with an ATR of 2, calm hours for it, and hours that are not."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from exits.config import ExitsConfig
from exits.fold import ExitEvaluation, advanced
from exits.memory import ExitFold, opened
from exits.readings import ExitReadings, Profit
from exits.states import ExitState
from exits.triggers import Trigger
from market.hours import Hour
from regime.analysis import Verdict

START = Hour.parse("2024-01-01T00")
EVIDENCE = ExitsConfig()
CLASSIC = ExitsConfig(preset="classic")
CONSERVATIVE = ExitsConfig(preset="conservative")
AGGRESSIVE = ExitsConfig(preset="aggressive")
PRESETS = (EVIDENCE, CLASSIC, CONSERVATIVE, AGGRESSIVE)

GRID = opened(START.opens_at, 100.0, 120.0, 97.0, 2.0)
CALM = ExitReadings(
    close=110.0,
    atr=2.0,
    classic_verdict=Verdict.RANGE_OK,
    verdict_4h=Verdict.RANGE_OK,
    p_transition=0.1,
    half_life=10.0,
    atr_ratio=1.0,
    efficiency_ratio=0.2,
    efficiency_before=0.2,
    z_score=0.0,
    survival=0.9,
    hold=0.85,
    confidence=0.85,
    classic_confidence=0.8,
    calm_half_life=10.0,
    calm_atr=2.0,
    profit=Profit(allocation=1000.0, peak=10.0, current=10.0, realised=4.0),
)
DOUBTFUL = replace(CALM, survival=0.45)
UNLIKELY = replace(CALM, survival=0.25)
BROKEN = replace(CALM, close=123.0, survival=0.0)


def followed(
    hours: list[ExitReadings | None],
    config: ExitsConfig = EVIDENCE,
    grid: ExitFold = GRID,
    acknowledged_at: datetime | None = None,
) -> list[ExitEvaluation]:
    """Return the evaluations of hours in a row, the first one right after the fold's last (or its start)."""
    first = Hour.parse(grid.hour).plus(1) if grid.hour else Hour.parse(grid.started)
    found = []
    for at, readings in enumerate(hours):
        found.append(advanced(grid, first.plus(at), readings, config, acknowledged_at))
        grid = found[-1].fold
    return found


def states(hours: list[ExitReadings | None], config: ExitsConfig = EVIDENCE) -> list[ExitState]:
    return [evaluation.state for evaluation in followed(hours, config)]


def trigger_of(evaluation: ExitEvaluation, name: str) -> Trigger:
    """Return one trigger of an evaluation by its name."""
    (found,) = [t for each in evaluation.triggers.values() for t in each if t.name == name]
    return found


def trigger(
    name: str, hours: list[ExitReadings | None], config: ExitsConfig = CLASSIC, grid: ExitFold = GRID
) -> Trigger:
    """Return one trigger of the last of some hours in a row."""
    return trigger_of(followed(hours, config, grid)[-1], name)
