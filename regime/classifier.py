"""From scores to a verdict: raw class, hysteresis, vetoes, in this order, for both models."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from regime.analysis import ScoreModel, Verdict
from regime.config import ClassicConfig, RegimeConfig

_RANK = {verdict: rank for rank, verdict in enumerate(Verdict)}


class Signals(NamedTuple):
    """What the classifier sees of one hour; every number as recorded.

    Attributes:
        hold_probability: p.
        trendiness: T.
        trendiness_4h: T4 of the last closed 4h bar; NaN where unknown.
        half_life: Hours; infinity without mean reversion, NaN where unknown.
        range_valid: Range discovery found a valid range.
        price_inside: The close lies within the bounds.
        close_outside: The close lies beyond the bounds by more than the outside margin.
    """

    hold_probability: float
    trendiness: float
    trendiness_4h: float
    half_life: float
    range_valid: bool
    price_inside: bool
    close_outside: bool


@dataclass(frozen=True, slots=True)
class Standing:
    """Where hysteresis stands: the present class, before vetoes, and how long the raw class has differed."""

    present: Verdict
    bars_across: int


class Boundary(NamedTuple):
    """The boundary a raw class has crossed: in T or in p, by how much, and what it takes to leave."""

    of_trendiness: bool
    crossed_by: float
    leave_by: float
    leave_after_bars: int


def raw_class(model: ScoreModel, signals: Signals, config: RegimeConfig) -> Verdict:
    """Return the class that this hour's numbers alone give."""
    if model == "classic":
        return classic_class(signals.trendiness, config.classic)
    if signals.hold_probability >= config.evidence.range_ok:
        return Verdict.RANGE_OK
    if signals.hold_probability >= config.evidence.range_weak:
        return Verdict.RANGE_WEAK
    trends = (
        signals.trendiness >= config.classic.trend
        and signals.trendiness_4h >= config.evidence.trend_trendiness_4h
    )
    return Verdict.TREND if trends or signals.close_outside else Verdict.TRANSITION


def classic_class(trendiness: float, config: ClassicConfig) -> Verdict:
    """Return the class of T (or T4) by classic's boundaries."""
    if trendiness < config.range_ok:
        return Verdict.RANGE_OK
    if trendiness < config.range_weak:
        return Verdict.RANGE_WEAK
    return Verdict.TRANSITION if trendiness < config.trend else Verdict.TREND


def stepped(
    model: ScoreModel, before: Standing | None, raw: Verdict, signals: Signals, config: RegimeConfig
) -> Standing:
    """Return the standing after one more hour.

    The first hour of a fold takes the raw class. Bars across are counted while the raw class differs from
    the present one, on whichever side, and restart when it equals it.
    """
    if before is None or raw is before.present:
        return Standing(raw, 0)
    bars_across = before.bars_across + 1
    boundary = crossed_boundary(model, before.present, raw, signals, config)
    at_once = signals.close_outside or (
        boundary.of_trendiness and raw is Verdict.TREND and signals.trendiness >= config.classic.at_once
    )
    far = round(boundary.crossed_by, 6) >= boundary.leave_by
    if at_once or far or bars_across >= boundary.leave_after_bars:
        return Standing(raw, 0)
    return Standing(before.present, bars_across)


def crossed_boundary(
    model: ScoreModel, present: Verdict, raw: Verdict, signals: Signals, config: RegimeConfig
) -> Boundary:
    """Return the edge of the present class on the side of the raw class, and how far the score is beyond."""
    upward = _RANK[raw] > _RANK[present]  # towards TREND
    evidence, classic = config.evidence, config.classic
    if model == "classic" or (not present.is_range and not raw.is_range):
        edges = (classic.range_ok, classic.range_weak, classic.trend)
        edge = edges[_RANK[present] - (0 if upward else 1)]
        beyond = signals.trendiness - edge if upward else edge - signals.trendiness
        if model == "evidence":
            return Boundary(True, beyond, evidence.trend_leave_by, evidence.trend_leave_after_bars)
        return Boundary(True, beyond, classic.leave_by, classic.leave_after_bars)
    if present is Verdict.RANGE_OK or (present is Verdict.RANGE_WEAK and not upward):
        edge = evidence.range_ok
    else:
        edge = evidence.range_weak
    beyond = edge - signals.hold_probability if upward else signals.hold_probability - edge
    return Boundary(False, beyond, evidence.leave_by, evidence.leave_after_bars)


def vetoed(
    model: ScoreModel, verdict: Verdict, signals: Signals, config: RegimeConfig
) -> tuple[Verdict, tuple[str, ...]]:
    """Return the verdict after vetoes, and the names of those that changed it or forbade it, in order.

    What is not known counts as a reason against RANGE_OK.
    """
    if model == "evidence":
        if verdict is Verdict.RANGE_OK and not signals.range_valid:
            return Verdict.RANGE_WEAK, ("no_valid_range",)
        return verdict, ()
    fired: list[str] = []
    classic = config.classic
    if verdict is Verdict.RANGE_OK:
        against = {
            "half_life_long": not signals.half_life <= classic.maximum_half_life,
            "no_valid_range": not signals.range_valid,
            "price_outside_range": not signals.price_inside,
            "four_hours_not_calm": not signals.trendiness_4h < classic.calm_trendiness_4h,
        }
        fired += [name for name, forbids in against.items() if forbids]
        verdict = Verdict.RANGE_WEAK if fired else verdict
    if verdict is Verdict.TREND and signals.trendiness_4h < classic.trend_trendiness_4h:
        fired.append("four_hours_calm")
        verdict = Verdict.TRANSITION
    if verdict.is_range and signals.close_outside:
        fired.append("close_outside")
        verdict = Verdict.TRANSITION
    return verdict, tuple(fired)


def distances(model: ScoreModel, signals: Signals, config: RegimeConfig) -> dict[str, float]:
    """Return how far the deciding score is from each boundary, positive on the calm side.

    `RANGE_OK` and `RANGE_WEAK` name the lower edges of these classes, `TREND` the edge of TREND, which is one
    of T in both models.
    """
    evidence, classic = config.evidence, config.classic
    if model == "evidence":
        p = signals.hold_probability
        ok, weak = p - evidence.range_ok, p - evidence.range_weak
    else:
        ok, weak = classic.range_ok - signals.trendiness, classic.range_weak - signals.trendiness
    trend = classic.trend - signals.trendiness
    return {
        name: round(value, 6) + 0.0
        for name, value in zip(("RANGE_OK", "RANGE_WEAK", "TREND"), (ok, weak, trend), strict=True)
    }


def class_4h(trendiness_4h: float, config: ClassicConfig) -> Verdict | None:
    """Return the class of T4, without hysteresis and vetoes; None where T4 is unknown."""
    return None if math.isnan(trendiness_4h) else classic_class(trendiness_4h, config)
