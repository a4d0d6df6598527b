"""MANDATORY_EXIT: the grid is broken, or about to be stopped by its own stop-loss."""

from __future__ import annotations

from dataclasses import replace

from exits.config import ExitsConfig
from exits.memory import ExitFold
from exits.readings import ExitReadings
from exits.triggers import ABOVE, AT_LEAST, AT_MOST, Trigger, measured
from regime.analysis import Verdict

_NO_ATR = "is unknown: no ATR since the grid's start"


def mandatory_triggers(
    readings: ExitReadings, fold: ExitFold, config: ExitsConfig, *, late: bool | None
) -> tuple[Trigger, ...]:
    """Return the answers of all triggers.

    Args:
        readings: Of the hour.
        fold: With the hour counted in.
        config: Thresholds.
        late: An acting trigger of LATEST_ACCEPTABLE_EXIT fires in this hour; None where that is not known.
    """
    return (
        two_closes_outside(readings, fold, config),
        close_far_outside(readings, fold, config),
        stop_near(readings, fold, config),
        trend_on_both(readings, config),
        late_without_break(fold, config, late=late),
        profit_given_back(readings, config),
    )


def two_closes_outside(readings: ExitReadings, fold: ExitFold, config: ExitsConfig) -> Trigger:
    """Closes beyond a bound, in a row; a close on the bound is inside."""
    count = None if readings.close is None else float(fold.closes_outside)
    return measured(
        "two_closes_outside",
        "closes outside the bounds in a row",
        count,
        AT_LEAST,
        config.outside_closes,
        acts=config.acts("two_closes_outside"),
    )


def close_far_outside(readings: ExitReadings, fold: ExitFold, config: ExitsConfig) -> Trigger:
    """The close's distance beyond the nearer bound in ATR of the start; negative inside."""
    beyond = None
    if readings.close is not None and fold.atr is not None:
        beyond = max(fold.lower - readings.close, readings.close - fold.upper) / fold.atr
    return measured(
        "close_far_outside",
        "close beyond the bounds in ATR",
        beyond,
        ABOVE,
        config.far_outside,
        acts=config.acts("close_far_outside"),
        missing=_NO_ATR if fold.atr is None else "is not known in this hour",
    )


def stop_near(readings: ExitReadings, fold: ExitFold, config: ExitsConfig) -> Trigger:
    """The close's distance above the stop-loss in today's ATR: how far an hour may go is asked of today."""
    atr = readings.atr if readings.atr is not None else fold.atr
    above = None
    if readings.close is not None and fold.stop_loss is not None and atr is not None:
        above = (readings.close - fold.stop_loss) / atr
    trigger = measured(
        "stop_near",
        "close above the stop-loss in ATR",
        above,
        AT_MOST,
        config.stop_near,
        acts=config.acts("stop_near"),
        missing=_NO_ATR if atr is None else "is not known in this hour",
    )
    if fold.stop_loss is None:
        return replace(trigger, fired=False, reason="the grid has no stop-loss", threshold=None)
    return trigger


def trend_on_both(readings: ExitReadings, config: ExitsConfig) -> Trigger:
    """TREND on 1h while 4h says at least TRANSITION; the value counts which of the two hold."""
    hourly, slower = readings.classic_verdict, readings.verdict_4h
    trend = None if hourly is None else hourly is Verdict.TREND
    restless = None if slower is None else not slower.is_range
    told = f"1h is {_told(hourly)}, 4h {_told(slower)}"
    trigger = measured(
        "trend_on_both",
        f"{told}; of TREND and TRANSITION or more",
        float(bool(trend) + bool(restless)),
        AT_LEAST,
        2,
        acts=config.acts("trend_on_both"),
    )
    certain = trend is False or restless is False or None not in (trend, restless)
    return trigger if certain else trigger.unanswered(told)


def late_without_break(fold: ExitFold, config: ExitsConfig, *, late: bool | None) -> Trigger:
    """LATEST_ACCEPTABLE_EXIT has been called for, hour after hour."""
    return measured(
        "late_without_break",
        "hours of LATEST_ACCEPTABLE_EXIT in a row",
        None if late is None else float(fold.late_bars),
        AT_LEAST,
        config.late_bars,
        acts=config.acts("late_without_break"),
    )


def profit_given_back(readings: ExitReadings, config: ExitsConfig) -> Trigger:
    """The share of the peak profit that is gone, once the peak was worth speaking of; never acts."""
    profit = readings.profit
    high = profit is not None and 0 < profit.peak >= config.given_back_peak * profit.allocation
    trigger = measured(
        "profit_given_back",
        "share of the peak profit given back",
        (profit.peak - profit.current) / profit.peak if profit is not None and high else None,
        AT_LEAST,
        config.given_back,
        acts=config.acts("profit_given_back"),
    )
    if profit is None or high:
        return trigger
    share = f"{100 * config.given_back_peak:.4g} %"
    return replace(trigger, fired=False, reason=f"the peak profit is below {share} of the allocation")


def _told(verdict: Verdict | None) -> str:
    return "unknown" if verdict is None else verdict.value
