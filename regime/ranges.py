"""Range discovery: between which prices has the market been living?"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from market.candles import Floats
from regime.analysis import PriceRange
from regime.columns import deviations_from_mean, means, sums, windows_ending
from regime.config import RangeConfig
from regime.precision import price, score, significant, significant_column

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class RangeColumns:
    """The range in force at every bar, shape (n,) each; lookback 0 and NaN bounds where there is none.

    Attributes:
        lower, upper: Quote prices, rounded to the price scale.
        width_atr: Width in ATR, 9 significant digits.
        containment: Share of the look-back's closes within the bounds, rounded to 1e-6.
        touches_lower, touches_upper: Separate touches within the look-back.
        lookback: Bars.
        valid: 1 or 0.
    """

    lower: Floats
    upper: Floats
    width_atr: Floats
    containment: Floats
    touches_lower: Rows
    touches_upper: Rows
    lookback: Rows
    valid: Rows

    def rows(self, count: int) -> RangeColumns:
        """Return the first `count` rows, as views."""
        return RangeColumns(*(getattr(self, field.name)[:count] for field in fields(self)))

    def followed_by(self, later: RangeColumns) -> RangeColumns:
        """Return both laid end to end."""
        return RangeColumns(
            *(np.concatenate((getattr(self, f.name), getattr(later, f.name))) for f in fields(self))
        )


def no_ranges(rows: int) -> RangeColumns:
    """Return rows without a range."""
    floats = np.full((4, rows), np.nan)
    whole = np.zeros((4, rows), dtype=np.int64)
    return RangeColumns(*floats, *whole)


def find_ranges(
    high: Floats,
    low: Floats,
    close: Floats,
    atr: Floats,
    price_scale: int,
    config: RangeConfig,
    first: int = 0,
) -> RangeColumns:
    """Return the range at rows `first` and later.

    The longest look-back with a valid range wins; where none is valid, the fallback look-back stands with
    `valid` 0. Rows before which the longest look-back does not fit, or without an ATR above 0, have none.

    Args:
        high, low, close: Quote prices, shape (n,), oldest first.
        atr: As recorded, quote price, shape (n,).
        price_scale: Bounds are multiples of 1 / price_scale.
        config: Look-backs, tolerances, limits.
        first: First row wanted.
    """
    rows = np.arange(first, close.shape[0])
    found = no_ranges(rows.shape[0])
    measurable = np.isfinite(atr[rows]) & (atr[rows] > 0)
    open_rows = rows[(rows >= max(config.lookbacks) - 1) & measurable]
    side = config.pivot_side_bars
    market = _Market(high, low, close, atr, price_scale, _pivots(high, side), _pivots(-low, side))
    for lookback in config.lookbacks:
        if not open_rows.size:
            break
        tried = _measure(market, open_rows, lookback, config)
        wins = tried.valid == 1
        shown = np.flatnonzero(wins | (lookback == config.fallback_lookback))
        for field in fields(found):
            getattr(found, field.name)[open_rows[shown] - first] = getattr(tried, field.name)[shown]
        open_rows = open_rows[~wins]
    return found


class _Market(NamedTuple):
    """What ranges are drawn from; `peaks` and `troughs` are the rows of swing pivots."""

    high: Floats
    low: Floats
    close: Floats
    atr: Floats
    price_scale: int
    peaks: Rows
    troughs: Rows


def _measure(market: _Market, rows: Rows, lookback: int, config: RangeConfig) -> RangeColumns:
    """Return the range of one look-back at the given rows, valid or not."""
    begin = int(rows[0])
    highs, lows, closes = (
        windows_ending(column, lookback, begin)[rows - begin]
        for column in (market.high, market.low, market.close)
    )
    lower, upper = _bounds(market, closes, rows, lookback, config)
    unit = market.atr[rows]
    margin = config.touch_tolerance * unit
    near_upper, near_lower = (upper - margin)[:, None], (lower + margin)[:, None]
    over, under = (upper + margin)[:, None], (lower - margin)[:, None]
    touches_upper = _separate((highs >= near_upper) & (closes <= over), config.touch_gap_bars)
    touches_lower = _separate((lows <= near_lower) & (closes >= under), config.touch_gap_bars)
    inside = np.count_nonzero((closes >= lower[:, None]) & (closes <= upper[:, None]), axis=-1)
    containment = np.array([score(count / lookback) for count in inside.tolist()], dtype=np.float64)
    width = significant_column((upper - lower) / unit)
    valid = (
        (touches_upper >= config.minimum_touches)
        & (touches_lower >= config.minimum_touches)
        & (width >= config.minimum_width)
        & (width <= config.maximum_width)
        & (containment >= config.minimum_containment)
    )
    lookbacks = np.full(rows.shape[0], lookback, dtype=np.int64)
    return RangeColumns(
        lower, upper, width, containment, touches_lower, touches_upper, lookbacks, valid.astype(np.int64)
    )


def _bounds(
    market: _Market, closes: Floats, rows: Rows, lookback: int, config: RangeConfig
) -> tuple[Floats, Floats]:
    """Return lower and upper bounds: the median of quantile, band and pivots, rounded to the price scale."""
    ordered = np.sort(closes, axis=-1)
    apart = deviations_from_mean(closes)
    middle, reach = means(closes), config.deviations * np.sqrt(sums(apart * apart) / lookback)
    troughs = _last_pivots(market.low, market.troughs, rows, lookback, config.pivot_side_bars)
    peaks = _last_pivots(market.high, market.peaks, rows, lookback, config.pivot_side_bars)
    return (
        _bound(_quantile(ordered, config.quantile), middle - reach, troughs, market.price_scale),
        _bound(_quantile(ordered, 1 - config.quantile), middle + reach, peaks, market.price_scale),
    )


def _quantile(ordered: Floats, share: float) -> Floats:
    place = (ordered.shape[1] - 1) * share
    at = int(place)
    step = ordered[:, min(at + 1, ordered.shape[1] - 1)] - ordered[:, at]
    found: Floats = ordered[:, at] + step * (place - at)
    return found


def _bound(quantile: Floats, band: Floats, pivot: Floats, price_scale: int) -> Floats:
    candidates = np.sort(np.stack((quantile, band, pivot)), axis=0)  # NaN, no pivot, sorts last
    both = candidates[0] + (candidates[1] - candidates[0]) / 2
    bounds = np.where(np.isnan(pivot), both, candidates[1])
    return np.array([price(bound, price_scale) for bound in bounds.tolist()], dtype=np.float64)


def _pivots(values: Floats, side: int) -> Rows:
    """Return the rows above the `side` rows before and not below those after; of a plateau, the first."""
    inner = values.shape[0] - 2 * side
    if inner < 1:
        return np.empty(0, dtype=np.int64)
    centre = values[side : side + inner]
    stands_out = np.ones(inner, dtype=bool)
    for step in range(1, side + 1):
        stands_out &= centre > values[side - step : side - step + inner]
        stands_out &= centre >= values[side + step : side + step + inner]
    return np.flatnonzero(stands_out) + side


def _last_pivots(values: Floats, pivots: Rows, rows: Rows, lookback: int, side: int) -> Floats:
    """Return the median of the last three pivots confirmed by each row, within its look-back; NaN without."""
    places = np.searchsorted(pivots, rows - side, side="right")[:, None] - np.arange(1, 4)
    if not pivots.size:
        return np.full(rows.shape[0], np.nan)
    at = pivots[np.maximum(places, 0)]
    usable = (places >= 0) & (at > (rows - lookback)[:, None])
    ordered = np.sort(np.where(usable, values[at], np.nan), axis=-1)
    count = np.count_nonzero(usable, axis=-1)
    pair = ordered[:, 0] + (ordered[:, 1] - ordered[:, 0]) / 2
    return np.where(count == 2, pair, np.where(count == 3, ordered[:, 1], ordered[:, 0]))


def _separate(touching: NDArray[np.bool_], gap: int) -> Rows:
    """Return how many separate touches there are: one needs more than `gap` bars since the one before it.

    A market that stays at a bound thus touches it again every `gap` + 1 bars.
    """
    counts = [0] * touching.shape[0]
    window, last = -1, 0
    for row, bar in zip(*(places.tolist() for places in np.nonzero(touching)), strict=True):
        if row != window or bar - last > gap:
            counts[row] += 1
            window, last = row, bar
    return np.array(counts, dtype=np.int64)


def range_at(
    columns: RangeColumns, row: int, close: Floats, atr: float, price_scale: int, config: RangeConfig
) -> PriceRange:
    """Return the range of one row as it is recorded, with its age.

    The age counts consecutive bars up to this one whose close lay within its bounds +/- the outside margin.
    """
    lower, upper = float(columns.lower[row]), float(columns.upper[row])
    mid = price((lower + upper) / 2, price_scale)
    margin = config.outside_margin * atr
    recent = close[max(row + 1 - config.maximum_age, 0) : row + 1]
    strays = np.flatnonzero((recent < lower - margin) | (recent > upper + margin))
    age = recent.shape[0] - (int(strays[-1]) + 1 if strays.size else 0)
    return PriceRange(
        lower=lower,
        upper=upper,
        mid=mid,
        width_pct=significant(100 * (upper - lower) / mid),
        width_atr=float(columns.width_atr[row]),
        touches_lower=int(columns.touches_lower[row]),
        touches_upper=int(columns.touches_upper[row]),
        age_h=age,
        containment=float(columns.containment[row]),
        lookback_h=int(columns.lookback[row]),
        valid=bool(columns.valid[row]),
    )


def outside_lines(
    columns: RangeColumns, atr: Floats, price_scale: int, config: RangeConfig, first: int = 0
) -> tuple[Floats, Floats]:
    """Return the two lines beyond which a close counts as outside, at rows `first` and later.

    They stand the outside margin beyond the bounds; the lower one is at least one step of the price scale.
    """
    margin = config.outside_margin * atr[first:]
    return np.maximum(columns.lower[first:] - margin, 1 / price_scale), columns.upper[first:] + margin
