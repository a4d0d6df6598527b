"""Folds: everything that is carried from bar to bar since the anchor, as columns.

A fold starts empty at the anchor and is only ever extended by later bars; a row depends on its own and
earlier bars alone. Extending by one bar or by thousands gives the same bits, so a live hour costs one row.

Bars are taken as they come: where the market has a gap, the bars on its two sides are neighbours, and
lengths count bars, not clock time. Nothing is reset and nothing is filled in.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace

import numpy as np

from market.candles import Bars, Floats, Ints, joined, no_bars
from market.hours import Timeframe
from regime.columns import log_ratios
from regime.components.columns import ComponentColumns, component_columns, no_components
from regime.config import METRICS, RegimeConfig
from regime.metrics.adx import DirectionalAverages, directional_averages
from regime.metrics.atr import average_true_ranges
from regime.metrics.autocorrelation import autocorrelations
from regime.metrics.bandwidth import bandwidths, expansions
from regime.metrics.efficiency_ratio import efficiency_ratios
from regime.metrics.half_life import half_lives
from regime.metrics.slope import slopes
from regime.precision import significant_column
from regime.ranges import RangeColumns, find_ranges, no_ranges, outside_lines
from regime.scores import barrier_survival, hold_probability, trendiness_column
from regime.volatility import NO_AVERAGES, RangeAverages, day_ahead_sigmas, range_averages

_NONE = np.empty(0, dtype=np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class PriceFold:
    """Prices since the anchor and their true range.

    Attributes:
        price_scale: Of `bars`.
        bars: The bars folded so far, n of them; a copy, so that no one can change them.
        log_close: ln(close / first close), shape (n,).
        average_range: ATR as the recursion carries it, quote price, shape (n,).
        atr: ATR as recorded, shape (n,).
    """

    price_scale: int
    bars: Bars
    log_close: Floats
    average_range: Floats
    atr: Floats

    @classmethod
    def start(cls, timeframe: Timeframe, price_scale: int) -> PriceFold:
        """Return the fold of no bars."""
        return cls(price_scale, no_bars(timeframe), _NONE, _NONE, _NONE)

    def __len__(self) -> int:
        return len(self.bars)

    def quote(self, scaled: Ints) -> Floats:
        """Return scaled prices as quote prices."""
        return scaled / self.price_scale

    def rows(self, count: int) -> PriceFold:
        """Return the fold as it was after `count` bars."""
        return PriceFold(
            self.price_scale,
            self.bars.rows(0, count),
            self.log_close[:count],
            self.average_range[:count],
            self.atr[:count],
        )

    def extended(self, bars: Bars, config: RegimeConfig) -> PriceFold:
        """Return the fold with later bars, at least one, added."""
        whole = joined([self.bars, bars])
        close = self.quote(whole.close)
        average_range = average_true_ranges(
            self.quote(whole.high),
            self.quote(whole.low),
            close,
            config.metrics.wilder_bars,
            self.average_range,
        )
        return PriceFold(
            self.price_scale,
            whole,
            _appended(self.log_close, log_ratios(close[len(self) :], float(close[0]))),
            average_range,
            _appended(self.atr, significant_column(average_range[len(self) :])),
        )


@dataclass(frozen=True, slots=True, eq=False)
class MetricFold:
    """The six metrics since the anchor.

    Attributes:
        prices: What they are made of, n bars.
        movement: Wilder's directional averages as the recursion carries them.
        band: Bollinger bandwidth, shape (n,).
        values: The metrics as recorded, in the order of `METRICS`, shape (6, n); NaN where undefined,
            infinity for a half-life without mean reversion.
        trendiness: T, shape (n,); NaN with too few metrics.
    """

    prices: PriceFold
    movement: DirectionalAverages
    band: Floats
    values: Floats
    trendiness: Floats

    @classmethod
    def start(cls, timeframe: Timeframe, price_scale: int) -> MetricFold:
        """Return the fold of no bars."""
        return cls(
            PriceFold.start(timeframe, price_scale),
            DirectionalAverages(_NONE, _NONE, _NONE),
            _NONE,
            np.empty((len(METRICS), 0)),
            _NONE,
        )

    def __len__(self) -> int:
        return len(self.prices)

    @property
    def bars(self) -> Bars:
        return self.prices.bars

    def rows(self, count: int) -> MetricFold:
        """Return the fold as it was after `count` bars."""
        return MetricFold(
            self.prices.rows(count),
            self.movement.rows(count),
            self.band[:count],
            self.values[:, :count],
            self.trendiness[:count],
        )

    def extended(self, bars: Bars, config: RegimeConfig) -> MetricFold:
        """Return the fold with later bars, at least one, added."""
        first, lengths = len(self), config.metrics
        prices = self.prices.extended(bars, config)
        whole, log_close = prices.bars, prices.log_close
        close = prices.quote(whole.close)
        movement = directional_averages(
            prices.quote(whole.high), prices.quote(whole.low), lengths.wilder_bars, self.movement
        )
        band = _appended(
            self.band, bandwidths(close, lengths.bollinger_bars, lengths.bollinger_deviations, first)
        )
        added = (
            movement.adx[first:],
            efficiency_ratios(log_close, lengths.efficiency_ratio_bars, first),
            autocorrelations(log_close, lengths.autocorrelation_bars, first),
            half_lives(log_close, lengths.half_life_bars, first),
            slopes(close, prices.atr, lengths.slope_bars, first),
            expansions(band, lengths.median_bars, first),
        )
        values = np.stack([significant_column(column) for column in added])
        return MetricFold(
            prices,
            movement,
            band,
            np.concatenate((self.values, values), axis=1),
            _appended(self.trendiness, trendiness_column(values, lengths)),
        )

    def values_at(self, row: int) -> dict[str, float]:
        """Return the six values of one row by name."""
        return dict(zip(METRICS, self.values[:, row].tolist(), strict=True))


@dataclass(frozen=True, slots=True, eq=False)
class HourFold:
    """Range and hold probability of every hour since the anchor, on top of the 1h metrics.

    Attributes:
        metrics: The 1h metrics, n bars.
        averages: Of the hours' ranges as the recursion carries them.
        sigma: Hourly deviation expected over the next day, as recorded, shape (n,).
        ranges: The range in force.
        barrier_probability: p0, shape (n,); NaN without a range.
        hold_probability: p, the same.
        inside: 1 where the close lies within the bounds, else 0, shape (n,).
        outside: 1 where it lies beyond them by more than the outside margin, else 0.
        components: The three-dimensional regime.
    """

    metrics: MetricFold
    averages: RangeAverages
    sigma: Floats
    ranges: RangeColumns
    barrier_probability: Floats
    hold_probability: Floats
    inside: Floats
    outside: Floats
    components: ComponentColumns

    @classmethod
    def start(cls, price_scale: int) -> HourFold:
        """Return the fold of no hours."""
        metrics = MetricFold.start(Timeframe.H1, price_scale)
        return cls(metrics, NO_AVERAGES, _NONE, no_ranges(0), _NONE, _NONE, _NONE, _NONE, no_components())

    def __len__(self) -> int:
        return len(self.metrics)

    @property
    def bars(self) -> Bars:
        return self.metrics.bars

    def rows(self, count: int) -> HourFold:
        """Return the fold as it was after `count` bars."""
        cut = {
            f.name: getattr(self, f.name)[:count]
            for f in fields(self)
            if f.name not in ("metrics", "averages", "ranges", "components")
        }
        return replace(
            self,
            metrics=self.metrics.rows(count),
            averages=self.averages.rows(count),
            ranges=self.ranges.rows(count),
            components=self.components.rows(0, count),
            **cut,
        )

    def extended(self, bars: Bars, config: RegimeConfig) -> HourFold:
        """Return the fold with later 1h bars, at least one, added."""
        first, evidence = len(self), config.evidence
        metrics = self.metrics.extended(bars, config)
        prices = metrics.prices
        high, low, close = (prices.quote(c) for c in (prices.bars.high, prices.bars.low, prices.bars.close))
        averages = range_averages(high, low, prices.bars.ts, evidence, self.averages)
        sigma = _appended(
            self.sigma, significant_column(day_ahead_sigmas(averages, prices.bars.ts, evidence, first))
        )
        ranges = self.ranges.followed_by(
            find_ranges(high, low, close, prices.atr, prices.price_scale, config.range, first)
        )
        below, above = outside_lines(ranges, prices.atr, prices.price_scale, config.range, first)
        now = close[first:]
        barrier, hold = [], []
        for at, (price, lower, upper, spread) in enumerate(
            zip(now.tolist(), below.tolist(), above.tolist(), sigma[first:].tolist(), strict=True)
        ):
            if not ranges.lookback[first + at] or math.isnan(spread):
                p0, p = math.nan, math.nan
            elif price < lower or price > upper:
                p0, p = 0.0, evidence.outside_probability
            else:
                p0 = barrier_survival(price, lower, upper, spread, evidence)
                p = hold_probability(p0, evidence)
            barrier.append(p0)
            hold.append(p)
        within = (now >= ranges.lower[first:]) & (now <= ranges.upper[first:])
        return HourFold(
            metrics,
            averages,
            sigma,
            ranges,
            _appended(self.barrier_probability, np.array(barrier)),
            _appended(self.hold_probability, np.array(hold)),
            _appended(self.inside, within.astype(np.float64)),
            _appended(self.outside, ((now < below) | (now > above)).astype(np.float64)),
            self.components.followed_by(
                component_columns(
                    prices.bars.close,
                    prices.price_scale,
                    prices.atr,
                    metrics.values[METRICS.index("adx")],
                    metrics.movement,
                    config,
                    first,
                )
            ),
        )


def shared_rows(known: Bars, bars: Bars) -> int:
    """Return how many of the first bars are the same in both, in time, high, low and close."""
    count = min(len(known), len(bars))
    for name in ("ts", "high", "low", "close"):
        differ = getattr(known, name)[:count] != getattr(bars, name)[:count]
        if differ.any():
            count = int(np.argmax(differ))
    return count


def _appended(known: Floats, added: Floats) -> Floats:
    return np.concatenate((known, added))
