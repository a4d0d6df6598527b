"""WARNING: signs that count together.

A half-life or an ATR ratio that has gone past the band of its sign still counts: where the harder trigger of
LATEST_ACCEPTABLE_EXIT does not act under the preset, things that got worse must not warn less.
"""

from __future__ import annotations

from dataclasses import replace

from exits.baseline import Baseline, half_life_ratio, volatility_ratio
from exits.config import ExitsConfig
from exits.memory import ExitFold
from exits.readings import ExitReadings
from exits.triggers import ABOVE, AT_LEAST, BELOW, Trigger, measured
from regime.precision import score, significant


def warning_conditions(
    readings: ExitReadings, fold: ExitFold, baseline: Baseline, config: ExitsConfig
) -> tuple[Trigger, ...]:
    """Return the answers of all conditions, each with its worth; the fold has the hour counted in."""
    return (
        hold_doubtful(readings, config),
        transition_near(readings, config),
        _falling("confidence_falling", "fall of the hold probability", fold.confidences, config),
        _falling("classic_confidence_falling", "fall of classic's C", fold.classic_confidences, config),
        efficiency_rising(readings, config),
        half_life_lengthening(readings, baseline, config),
        volatility_rising(readings, baseline, config),
    )


def hold_doubtful(readings: ExitReadings, config: ExitsConfig) -> Trigger:
    """The probability pf is no longer on the safe side; worth a warning alone."""
    return measured(
        "hold_doubtful",
        "probability that the grid's bounds hold for 24 h",
        readings.survival,
        BELOW,
        config.hold_doubtful,
        acts=config.acts("hold_doubtful"),
        worth=config.hold_doubtful_worth,
    )


def transition_near(readings: ExitReadings, config: ExitsConfig) -> Trigger:
    """T has gone a good part of the way from RANGE_OK to TREND."""
    return measured(
        "transition_near",
        "p_transition",
        readings.p_transition,
        AT_LEAST,
        config.transition_near,
        acts=config.acts("transition_near"),
        worth=1,
    )


def efficiency_rising(readings: ExitReadings, config: ExitsConfig) -> Trigger:
    """The efficiency ratio is high and higher than 3 bars ago; the distance is to the nearer way out."""
    now, before = readings.efficiency_ratio, readings.efficiency_before
    excess = None if now is None else significant(now - config.efficiency_rising)
    if excess is not None and excess > 0 and now is not None:
        excess = None if before is None else min(excess, significant(now - before))
    then = "unknown" if before is None else f"{before:.4g}"
    trigger = measured(
        "efficiency_rising",
        "efficiency ratio, or its value 3 bars ago,",
        excess,
        ABOVE,
        0.0,
        acts=config.acts("efficiency_rising"),
        worth=1,
    )
    trigger = replace(trigger, threshold=config.efficiency_rising)
    if trigger.fired is None or now is None:
        return trigger
    asked = "above" if trigger.fired else "fires above"
    reason = f"efficiency ratio: {now:.4g}, {asked} {config.efficiency_rising:.4g} and {then} 3 bars ago"
    return replace(trigger, value=now, reason=reason)


def half_life_lengthening(readings: ExitReadings, baseline: Baseline, config: ExitsConfig) -> Trigger:
    """Deviations take longer to come back than they did."""
    return measured(
        "half_life_lengthening",
        "half-life over its baseline",
        half_life_ratio(readings, baseline),
        AT_LEAST,
        config.half_life_lengthening,
        acts=config.acts("half_life_lengthening"),
        worth=1,
        missing="is unknown, or has no baseline",
    )


def volatility_rising(readings: ExitReadings, baseline: Baseline, config: ExitsConfig) -> Trigger:
    """Hours range wider than they did."""
    return measured(
        "volatility_rising",
        "ATR ratio",
        volatility_ratio(readings, baseline, config),
        AT_LEAST,
        config.volatility_rising,
        acts=config.acts("volatility_rising"),
        worth=1,
    )


def _falling(name: str, what: str, confidences: tuple[float | None, ...], config: ExitsConfig) -> Trigger:
    """A confidence fell over a few bars; its real past, never a repeated present."""
    bars = config.confidence_fall_bars
    fall = None
    if len(confidences) > bars:
        before, now = confidences[-1 - bars], confidences[-1]
        fall = None if before is None or now is None else score(before - now)
    return measured(
        name,
        f"{what} over {bars} bars",
        fall,
        AT_LEAST,
        config.confidence_fall,
        acts=config.acts(name),
        worth=1,
    )
