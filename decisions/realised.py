"""What a span of prices turned out to be, and whether what was stated about it came true."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from decisions.aftermath import Aftermath
from decisions.paths import DecidedCase
from decisions.recommendation import Action
from market.errors import MetricUndefined
from regime.analysis import Verdict
from regime.config import Section, Share
from regime.metrics.efficiency_ratio import efficiency_ratio
from regime.precision import score, significant


class OutcomesConfig(Section):
    """The `outcomes:` section: how the past is judged."""

    ok_share: Share = Field(0.95, description="Share of closes inside of a RANGE_OK, at least.")
    ok_efficiency_below: Share = Field(0.20, description="Efficiency ratio of a RANGE_OK, below.")
    weak_share: Share = Field(0.85, description="Share of closes inside of a RANGE_WEAK, at least.")
    trend_efficiency: Share = Field(0.30, description="Efficiency ratio of a TREND, at least.")
    hold_margin_atr: float = Field(
        0.5, ge=0, le=5, description="A close so far beyond a bound still counts as held, ATR."
    )
    tolerated_missing_minutes: int = Field(
        3, ge=0, le=59, description="With more of an hour's minutes missing its own bar is taken."
    )


def excursions(start: int, after: Aftermath) -> tuple[float | None, float | None]:
    """Return the furthest way up and down from the start price, percent: at least 0, at most 0."""
    extremes = after.extremes()
    if extremes is None:
        return None, None
    low, high = extremes
    up, down = max(high - start, 0), min(low - start, 0)
    return significant(100 * up / start), significant(100 * down / start)


def realised_verdict(case: DecidedCase, after: Aftermath, config: OutcomesConfig) -> Verdict | None:
    """Return what the span was, by its 1h closes, in this order.

    RANGE_OK: enough closes inside the bounds and no direction; RANGE_WEAK: still most inside; TREND: the last
    close outside and a direction; else TRANSITION. Closes that are not known are left out. The direction is
    the efficiency ratio of the closes with the start price before them; a price that never moved has none.
    """
    closes = after.closes[after.closes > 0]
    if case.bounds is None or not len(closes):
        return None
    lower, upper = case.bounds
    prices = closes / case.price_scale
    inside = (prices >= lower) & (prices <= upper)
    share = score(float(inside.mean()))
    efficiency = _efficiency([case.price, *closes.tolist()])
    if share >= config.ok_share and efficiency < config.ok_efficiency_below:
        return Verdict.RANGE_OK
    if share >= config.weak_share:
        return Verdict.RANGE_WEAK
    if not inside[-1] and efficiency >= config.trend_efficiency:
        return Verdict.TREND
    return Verdict.TRANSITION


def _efficiency(prices: list[int]) -> float:
    try:
        return score(efficiency_ratio(np.log(np.array(prices, dtype=np.float64)), len(prices) - 1))
    except MetricUndefined:
        return 0.0


def brier(case: DecidedCase, first_day: Aftermath, config: OutcomesConfig) -> float | None:
    """Return (stated - came true)^2; what a STOP_GRID states is that the bounds will not hold."""
    action, stated = case.recommendation.action, case.recommendation.confidence.value
    if stated is None or action is Action.WITHHELD or case.bounds is None or case.atr is None:
        return None
    if not first_day.closes.all():
        return None
    margin = config.hold_margin_atr * case.atr
    lower, upper = case.bounds[0] - margin, case.bounds[1] + margin
    prices = first_day.closes / case.price_scale
    held = bool(np.all((prices >= lower) & (prices <= upper)))
    came_true = held != (action is Action.STOP_GRID)
    return score((stated - came_true) ** 2)
