"""One hour's facts counted into the fold: streaks, stretches, confidences, the grid's first day."""

from __future__ import annotations

import math
from dataclasses import replace
from statistics import median

from exits.config import ExitsConfig
from exits.memory import ExitFold, four_hours_closed
from exits.readings import ExitReadings
from market.hours import Hour
from regime.analysis import Verdict
from regime.precision import significant


def observed(fold: ExitFold, hour: Hour, readings: ExitReadings, config: ExitsConfig) -> ExitFold:
    """Return the fold with one hour's facts counted in; state and latch are not yet judged.

    What is unknown in the hour leaves its count as it was: neither a break nor a bar.

    Raises:
        ValueError: The hour is before the start, or not after the last one.
    """
    newest = Hour.parse(fold.hour) if fold.hour else Hour.parse(fold.started).plus(-1)
    if hour <= newest:
        raise ValueError(f"hour {hour} comes after {newest} only")
    missed = hour.index - newest.index - 1
    counted = replace(
        fold,
        hour=hour.iso(),
        atr=fold.atr if fold.atr is not None else readings.atr,
        closes_outside=streak(fold.closes_outside, another=_outside(fold, readings.close)),
        transition_bars=streak(fold.transition_bars, another=_restless(readings.classic_verdict)),
        stretched_since=_stretched_since(fold, hour, readings.z_score, config),
        confidences=_followed(fold.confidences, missed, readings.confidence, config),
        classic_confidences=_followed(fold.classic_confidences, missed, readings.classic_confidence, config),
    )
    return _first_day(_four_hours(counted, hour, readings.verdict_4h), hour, readings, config)


def streak(count: int, *, another: bool | None) -> int:
    """Return a count of bars in a row after one bar more; None is unknown and leaves it as it was."""
    if another is None:
        return count
    return count + 1 if another else 0


def _outside(fold: ExitFold, close: float | None) -> bool | None:
    return None if close is None else not fold.lower <= close <= fold.upper


def _restless(verdict: Verdict | None) -> bool | None:
    return None if verdict is None else not verdict.is_range


def _four_hours(fold: ExitFold, hour: Hour, verdict: Verdict | None) -> ExitFold:
    closed = four_hours_closed(hour)
    if verdict is None or closed == fold.four_hours_seen:
        return fold
    return replace(
        fold,
        four_hours_seen=closed,
        transition_4h_bars=streak(fold.transition_4h_bars, another=_restless(verdict)),
    )


def _stretched_since(fold: ExitFold, hour: Hour, z_score: float | None, config: ExitsConfig) -> str | None:
    if z_score is None:
        return fold.stretched_since
    if abs(z_score) >= config.stretched_z:
        return fold.stretched_since or hour.iso()
    return None if abs(z_score) <= config.relaxed_z else fold.stretched_since


def _followed(
    past: tuple[float | None, ...], missed: int, newest: float | None, config: ExitsConfig
) -> tuple[float | None, ...]:
    kept = config.remembered_bars + 1
    return (*past, *(None,) * min(missed, kept), newest)[-kept:]


def _first_day(fold: ExitFold, hour: Hour, readings: ExitReadings, config: ExitsConfig) -> ExitFold:
    age = hour.index - Hour.parse(fold.started).index + 1
    half_lives, atrs = fold.first_half_lives, fold.first_atrs
    if age <= config.baseline_hours:
        if readings.half_life is not None:
            endless = math.isinf(readings.half_life)
            half_lives = (*half_lives, config.endless_half_life if endless else readings.half_life)
        if readings.atr is not None:
            atrs = (*atrs, readings.atr)
    if age < config.baseline_hours:
        return replace(fold, first_half_lives=half_lives, first_atrs=atrs)
    return replace(
        fold,
        baseline_half_life=fold.baseline_half_life or _median(half_lives, config),
        baseline_atr=fold.baseline_atr or _median(atrs, config),
        first_half_lives=(),
        first_atrs=(),
    )


def _median(values: tuple[float, ...], config: ExitsConfig) -> float | None:
    return significant(median(values)) if len(values) >= config.baseline_readings else None
