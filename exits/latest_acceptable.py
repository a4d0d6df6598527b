"""LATEST_ACCEPTABLE_EXIT: the last hour in which leaving is still a choice."""

from __future__ import annotations

import math

from exits.baseline import Baseline, half_life_ratio, volatility_ratio
from exits.config import ExitsConfig
from exits.memory import ExitFold
from exits.readings import ExitReadings
from exits.triggers import ABOVE, AT_LEAST, BELOW, Trigger, measured
from market.hours import Hour

_NO_BASELINE = "is unknown, or has no baseline"


def latest_acceptable_triggers(
    readings: ExitReadings, fold: ExitFold, baseline: Baseline, config: ExitsConfig
) -> tuple[Trigger, ...]:
    """Return the answers of all triggers; the fold has the hour counted in."""
    return (
        hold_unlikely(readings, config),
        transition_1h_stands(readings, fold, config),
        transition_4h_stands(readings, fold, config),
        half_life_long(readings, baseline, config),
        volatility_expanded(readings, baseline, config),
        reversion_failed(readings, fold, baseline, config),
    )


def hold_unlikely(readings: ExitReadings, config: ExitsConfig) -> Trigger:
    """pf, the probability that the next 24 closes stay within the grid's own bounds, is low."""
    return measured(
        "hold_unlikely",
        "probability that the grid's bounds hold for 24 h",
        readings.survival,
        BELOW,
        config.hold_unlikely,
        acts=config.acts("hold_unlikely"),
    )


def transition_1h_stands(readings: ExitReadings, fold: ExitFold, config: ExitsConfig) -> Trigger:
    """TRANSITION or TREND on 1h, bar after bar."""
    return measured(
        "transition_1h_stands",
        "1h bars of TRANSITION or TREND in a row",
        None if readings.classic_verdict is None else float(fold.transition_bars),
        AT_LEAST,
        config.transition_bars,
        acts=config.acts("transition_1h_stands"),
    )


def transition_4h_stands(readings: ExitReadings, fold: ExitFold, config: ExitsConfig) -> Trigger:
    """TRANSITION or TREND on 4h, bar after bar."""
    return measured(
        "transition_4h_stands",
        "4h bars of TRANSITION or TREND in a row",
        None if readings.verdict_4h is None else float(fold.transition_4h_bars),
        AT_LEAST,
        config.transition_4h_bars,
        acts=config.acts("transition_4h_stands"),
    )


def half_life_long(readings: ExitReadings, baseline: Baseline, config: ExitsConfig) -> Trigger:
    """Deviations take much longer to come back than they did; no mean reversion is longer than anything."""
    return measured(
        "half_life_long",
        "half-life over its baseline",
        half_life_ratio(readings, baseline),
        AT_LEAST,
        config.half_life_long,
        acts=config.acts("half_life_long"),
        missing=_NO_BASELINE,
    )


def volatility_expanded(readings: ExitReadings, baseline: Baseline, config: ExitsConfig) -> Trigger:
    """Hours range much wider than they did."""
    return measured(
        "volatility_expanded",
        "ATR ratio",
        volatility_ratio(readings, baseline, config),
        ABOVE,
        config.volatility_expanded,
        acts=config.acts("volatility_expanded"),
    )


def reversion_failed(
    readings: ExitReadings, fold: ExitFold, baseline: Baseline, config: ExitsConfig
) -> Trigger:
    """The price went far out and has not come back in the time that it should take.

    Hours since the stretch began, unjudged ones included, against the longer of `reversion_bars` and
    `reversion_half_lives` baseline half-lives. Without a baseline there is an answer only while the
    stretch is younger than `reversion_bars`.
    """
    stretched_h = 0
    if fold.stretched_since is not None and fold.hour is not None:
        stretched_h = Hour.parse(fold.hour).index - Hour.parse(fold.stretched_since).index
    allowed_h = config.reversion_bars
    if baseline.half_life is not None:
        allowed_h = max(allowed_h, math.ceil(config.reversion_half_lives * baseline.half_life))
    trigger = measured(
        "reversion_failed",
        "hours without coming back from a far z-score",
        None if readings.z_score is None else float(stretched_h),
        AT_LEAST,
        allowed_h,
        acts=config.acts("reversion_failed"),
    )
    if trigger.fired and baseline.half_life is None:
        return trigger.unanswered("the half-life has no baseline")
    return trigger
