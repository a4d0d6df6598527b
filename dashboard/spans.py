"""Long spans in fewer bars: candles joined, figures as of the last hour of each step. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from dashboard.pages import Candles, Floats, MarketPage, Stay
from market.hours import HOUR_S

_STEPS_S = tuple(60 * each for each in (1, 5, 15, 30)) + tuple(
    HOUR_S * each for each in (1, 2, 3, 4, 6, 8, 12, 24, 48, 72, 168, 720)
)


@dataclass(frozen=True, slots=True)
class Placed:
    """A stay in epoch seconds, cut to the span."""

    name: str
    start: int
    end: int


def step_for(span_s: int, step_s: int, most: int) -> int:
    """Return the smallest usual step, at least `step_s`, that cuts the span into at most so many parts."""
    fitting = (each for each in _STEPS_S if each >= step_s and span_s <= each * most)
    return next(fitting, max(step_s, _STEPS_S[-1]))


def step_words(step_s: int) -> str:
    """Return a step as an adjective: `1-hour`."""
    for unit, name in ((86_400, "day"), (HOUR_S, "hour"), (60, "minute")):
        if step_s % unit == 0:
            return f"{step_s // unit}-{name}"
    return f"{step_s}-second"


def joined(candles: Candles, step_s: int) -> Candles:
    """Return candles of that step: first open, highest high, lowest low, last close, sum of volumes."""
    known = np.isfinite(candles.closes)
    ts = candles.opens_ts[known]
    if not ts.shape[0]:
        empty = np.array([], dtype=np.float64)
        return Candles(step_s, ts, empty, empty, empty, empty, empty, candles.price_decimals)
    begins, firsts = np.unique(ts - ts % step_s, return_index=True)
    lasts = np.append(firsts[1:], ts.shape[0]) - 1
    return Candles(
        step_s,
        begins,
        candles.opens[known][firsts],
        np.maximum.reduceat(candles.highs[known], firsts),
        np.minimum.reduceat(candles.lows[known], firsts),
        candles.closes[known][lasts],
        np.add.reduceat(np.nan_to_num(candles.volumes[known]), firsts),
        candles.price_decimals,
    )


def last_places(hours_ts: NDArray[np.int64], step_s: int) -> NDArray[np.int64]:
    """Return the places of the last hour of each step."""
    if not hours_ts.shape[0]:
        return np.array([], dtype=np.int64)
    steps = hours_ts // step_s
    return np.append(np.flatnonzero(steps[1:] != steps[:-1]), hours_ts.shape[0] - 1)


def placed(stays: Sequence[Stay], start: datetime, end: datetime) -> list[Placed]:
    """Return the stays that touch the span, cut to it, oldest first."""
    first, last = int(start.timestamp()), int(end.timestamp())
    cut = (
        Placed(each.name, max(int(each.start.timestamp()), first), min(int(each.end.timestamp()), last))
        for each in stays
    )
    return sorted((each for each in cut if each.start < each.end), key=lambda each: each.start)


def coarse(stays: Sequence[Placed], step_s: int) -> list[Placed]:
    """Return the stays as steps tell them: each step takes the name that held at its end, runs joined."""
    made: list[Placed] = []
    for each in stays:
        start, end = each.start // step_s * step_s, each.end // step_s * step_s
        if end <= start:
            continue
        if made and made[-1].name == each.name and made[-1].end == start:
            start = made.pop().start
        made.append(Placed(each.name, start, end))
    return made


def as_of(page: MarketPage, values: Floats, at_ts: NDArray[np.int64]) -> Floats:
    """Return the value of the hour that each instant lies in; NaN where that hour was not judged."""
    if not page.hours_ts.shape[0]:
        return np.full(at_ts.shape[0], np.nan)
    places = np.searchsorted(page.hours_ts, at_ts, side="right") - 1
    known = (places >= 0) & (at_ts - page.hours_ts[places] < HOUR_S)
    return np.where(known, values[places], np.nan)


def bounds(*columns: Floats) -> tuple[float, float] | None:
    """Return the least and the most of all finite values; None without any."""
    finite = [each[np.isfinite(each)] for each in columns]
    told = np.concatenate(finite) if finite else np.array([])
    return (float(told.min()), float(told.max())) if told.shape[0] else None
