"""What exit triggers were worth on frozen grids: warned in time, warned in vain, how far ahead."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from decisions.calibration.measures import NOTHING, Figure, Weeks, mean
from decisions.calibration.outcomes import ALERT_H, FrozenGrids, first_true, frozen_grids
from exits.config import ExitsConfig
from market.candles import Floats, Ints
from regime.config import METRICS, RegimeConfig
from regime.history import JudgedHours
from regime.scores import p_transition

EARLIEST_H, LATEST_H = 48, 2
EARLY_H = 12
THRESHOLDS = (0.20, 0.30, 0.40, 0.50)
MEDIAN_H = 168
WARNING = ExitsConfig()
SIGN_BARS = WARNING.confidence_fall_bars


@dataclass(frozen=True, slots=True)
class ExitSkill:
    """One trigger over all followed grids.

    Attributes:
        ttdr: Share of the breaks with an alert between 48 and 2 hours before.
        fer: Share of first alerts without a break in the next 72 hours.
        random_fer: The same for an alert at a random followed hour.
        lead_median_h: From the first alert to the break, of those that came first.
        lead_12h: Share of the breaks whose first alert came at least 12 hours before.
        outside_at_alert: Share of first alerts with the price already outside the bounds.
    """

    ttdr: Figure
    fer: Figure
    random_fer: Figure
    lead_median_h: Figure
    lead_12h: Figure
    outside_at_alert: Figure

    def as_json(self) -> dict[str, dict[str, float | int | None]]:
        return {name: getattr(self, name).as_json() for name in self.__dataclass_fields__}


def barrier_survivals(
    close: Floats, lower: Floats, upper: Floats, sigma: Floats, config: RegimeConfig
) -> Floats:
    """Return pf: `regime.scores.barrier_survival` for whole arrays of equal shape, not rounded.

    Prices beyond the barriers give 0; unknown prices give NaN.
    """
    evidence = config.evidence
    with np.errstate(invalid="ignore", divide="ignore"):
        shift = evidence.discrete_shift * sigma
        below = np.log(close / lower) + shift
        width = below + np.log(upper / close) + shift
        total = np.zeros_like(close)
        for k in range(1, evidence.barrier_terms_below, 2):
            rate = k * np.pi * sigma / width
            fade = np.exp(-rate * rate * evidence.horizon_bars / 2)
            total += 4 / (k * np.pi) * np.sin(k * np.pi * below / width) * fade
        beyond = (close < lower) | (close > upper) | (width <= 0)
    return np.where(beyond, 0.0, np.clip(total, 0.0, 1.0))


def exit_skills(hours: JudgedHours, config: RegimeConfig) -> dict[str, ExitSkill]:
    """Return each trigger's skill on grids frozen every sixth hour, with a valid range and close inside."""
    grids = frozen_grids(hours)
    weeks = Weeks(grids.ts)
    return {name: _skill(grids, alert, weeks) for name, alert in exit_alerts(hours, grids, config).items()}


def exit_alerts(hours: JudgedHours, grids: FrozenGrids, config: RegimeConfig) -> dict[str, NDArray[np.bool_]]:
    """Return, for each trigger, in which followed hours it stands, shape (n, 168)."""
    count = grids.close.shape[1]
    ahead = grids.start[:, None] + 1 + np.arange(count)
    margin = config.range.outside_margin * grids.atr
    survival = barrier_survivals(
        grids.close,
        np.broadcast_to((grids.lower - margin)[:, None], grids.close.shape),
        np.broadcast_to((grids.upper + margin)[:, None], grids.close.shape),
        hours.sigma[ahead],
        config,
    )
    out = (grids.close < grids.lower[:, None]) | (grids.close > grids.upper[:, None])
    two_out = out.copy()
    two_out[:, 1:] &= out[:, :-1]
    two_out[:, 0] = False
    atr_out = grids.atr[:, None]
    far = (grids.close < grids.lower[:, None] - atr_out) | (grids.close > grids.upper[:, None] + atr_out)
    restless = _standing(hours.classic >= 2, 4)[ahead]
    half_life = hours.metrics[METRICS.index("half_life")]
    baseline = _day_median(half_life)
    slow = (half_life[ahead] >= 2 * baseline[grids.start][:, None]) & np.isfinite(baseline[grids.start])[
        :, None
    ]
    ratio = hours.atr / _rolling_median(hours.atr, MEDIAN_H)
    wide = ratio[ahead] > 1.25
    with np.errstate(invalid="ignore", divide="ignore"):
        longer = half_life[ahead] / baseline[grids.start][:, None]
    signs = _signs(hours, ahead, survival, longer, ratio, config)
    alerts = {f"barrier_{threshold:.2f}": survival < threshold for threshold in THRESHOLDS}
    return {
        "evidence": alerts["barrier_0.30"],
        **alerts,
        "two_closes_out": two_out,
        "one_close_1_atr_out": far,
        "transition_4h": restless,
        "half_life_doubled": slow,
        "atr_ratio": wide,
        "classic": restless | slow | wide | two_out | far,
        "warning": (survival < WARNING.hold_doubtful) | (signs >= WARNING.warning_worth),
        "two_signs": signs >= WARNING.warning_worth,
    }


def _signs(
    hours: JudgedHours,
    ahead: Ints,
    survival: Floats,
    half_life_ratio: Floats,
    ratio: Floats,
    config: RegimeConfig,
) -> Ints:
    """Return how many of the five plain signs of WARNING stand in each followed hour, shape (n, 168)."""
    efficiency = hours.metrics[METRICS.index("efficiency_ratio")]
    near = np.vectorize(lambda trendiness: p_transition(trendiness, config.classic))(hours.trendiness)
    rising = (efficiency > WARNING.efficiency_rising) & (efficiency > _before(efficiency, SIGN_BARS))
    fall = _before(survival, SIGN_BARS) - survival
    signs: Ints = (
        (near >= WARNING.transition_near)[ahead].astype(np.int64)
        + (fall >= WARNING.confidence_fall)
        + rising[ahead]
        + (half_life_ratio >= WARNING.half_life_lengthening)
        + (ratio[ahead] >= WARNING.volatility_rising)
    )
    return signs


def _before(values: Floats, bars: int) -> Floats:
    """Return the values of so many hours before, along the last axis; NaN where there is none."""
    earlier = np.full(values.shape, np.nan)
    earlier[..., bars:] = values[..., :-bars]
    return earlier


def _standing(mask: NDArray[np.bool_], hours: int) -> NDArray[np.bool_]:
    """Return where a condition has stood for so many hours in a row."""
    stood = mask.copy()
    for back in range(1, hours):
        stood[back:] &= mask[:-back]
        stood[:back] = False
    return stood


def _day_median(values: Floats) -> Floats:
    """Return the median of the 24 hours up to each hour, infinities counted as a week."""
    finite = np.where(np.isinf(values), 168.0, values)
    return _rolling_median(finite, 24)


def _rolling_median(values: Floats, length: int) -> Floats:
    found = np.full(values.shape[0], np.nan)
    if values.shape[0] >= length:
        windows = np.lib.stride_tricks.sliding_window_view(values, length)
        found[length - 1 :] = np.median(windows, axis=1)
    return found


def _skill(grids: FrozenGrids, alert: NDArray[np.bool_], weeks: Weeks) -> ExitSkill:
    if not grids.start.size:
        return ExitSkill(*(NOTHING,) * len(fields(ExitSkill)))
    breaks = grids.breaks_h
    broke = breaks > 0
    hour = np.arange(1, alert.shape[1] + 1)
    followed = ~broke[:, None] | (hour <= breaks[:, None])
    standing = alert & followed
    in_time = standing & (hour >= breaks[:, None] - EARLIEST_H) & (hour <= breaks[:, None] - LATEST_H)
    warned = (in_time.any(axis=1) & broke).astype(np.float64)
    first = first_true(standing)
    alerted = first > 0
    later = grids.breaks_later_h
    vain = alerted & ~((later > 0) & (later - first <= ALERT_H))
    lead = np.where(broke & alerted, breaks - first, np.nan)
    outside = np.zeros(first.shape[0])
    rows = np.flatnonzero(alerted)
    at_alert = grids.close[rows, first[rows] - 1]
    outside[rows] = (at_alert < grids.lower[rows]) | (at_alert > grids.upper[rows])
    soon = (later > 0)[:, None] & (later[:, None] - hour <= ALERT_H)
    hours_vain = (followed & ~soon).sum(axis=1)
    hours_followed = followed.sum(axis=1)
    known = np.isfinite(lead)
    median = float(np.median(lead[known])) if known.any() else None
    return ExitSkill(
        ttdr=weeks.figure(lambda w: mean(warned, w * broke), int(broke.sum())),
        fer=weeks.figure(lambda w: mean(vain.astype(np.float64), w * alerted), int(alerted.sum())),
        random_fer=weeks.figure(
            lambda w: float(w @ hours_vain / (w @ hours_followed)) if w @ hours_followed else float("nan"),
            int(hours_followed.sum()),
        ),
        lead_median_h=Figure(median, n=int(known.sum())),
        lead_12h=weeks.figure(
            lambda w: mean((lead >= EARLY_H).astype(np.float64), w * broke), int(broke.sum())
        ),
        outside_at_alert=weeks.figure(lambda w: mean(outside, w * alerted), int(alerted.sum())),
    )
