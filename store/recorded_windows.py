"""Windows straight from recorded candles, without a data repository: what `analyze --data` judges."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

import numpy as np

from market.candles import Bars, Floats, Ints, aggregate, joined, no_bars
from market.errors import ValueOutOfRange
from market.hours import HOUR_S, Hour, Timeframe
from market.snapshot import MINUTES
from market.units import DEFAULT_PRICE_SCALE, MAX_DECIMALS
from market.window import MarketWindow, WindowQuality
from store.recorded import RecordedSeries

_COARSE = (Timeframe.M5, Timeframe.M15, Timeframe.H1, Timeframe.H4)
_VOLUME_SCALE = 10**8
DAY_S = 24 * HOUR_S


class Candles(Protocol):
    """One market's recorded files."""

    @property
    def symbol(self) -> str: ...

    def series(self, timeframe: Timeframe) -> RecordedSeries | None: ...


class RecordedWindows:
    """One recorded market as columns; each coarse bar from the finest candles that cover it whole.

    Args:
        market: One venue's files.
        timeframes: Days of each timeframe that the engine asks for.
        least_scale: Of prices; a finer one where a price needs it.
    """

    def __init__(
        self,
        market: Candles,
        timeframes: Mapping[Timeframe, int],
        least_scale: int = DEFAULT_PRICE_SCALE,
    ) -> None:
        self._timeframes = dict(timeframes)
        told = {each: found for each in Timeframe if (found := market.series(each)) is not None}
        self.symbol = market.symbol
        self._price_scale = max(_price_scale(one, market.symbol, least_scale) for one in told.values())
        self._minutes = _bars(told[Timeframe.M1], self._price_scale) if Timeframe.M1 in told else None
        self._bars: dict[Timeframe, Bars] = {}
        finer = [] if self._minutes is None else [self._minutes]
        for timeframe in _COARSE:
            recorded = [_bars(told[timeframe], self._price_scale)] if timeframe in told else []
            made = [aggregate(each, timeframe) for each in reversed(finer)]
            if parts := [each for each in [*recorded, *made] if len(each)]:
                self._bars[timeframe] = _overlaid(parts)
                finer.append(self._bars[timeframe])

    @property
    def price_scale(self) -> int:
        return self._price_scale

    @property
    def volume_scale(self) -> int:
        return _VOLUME_SCALE

    def bars(self, timeframe: Timeframe) -> Bars:
        """Return every bar of a timeframe, oldest first; the minutes are those of the market's one window."""
        if timeframe is Timeframe.M1 and self._minutes is not None:
            return self._minutes
        return self._bars.get(timeframe, no_bars(timeframe))

    @property
    def hours(self) -> tuple[Hour, Hour]:
        """Return the span of recorded hours, half-open."""
        ts = self._bars[Timeframe.H1].ts
        return Hour.of_ts(int(ts[0])), Hour.of_ts(int(ts[-1])).plus(1)

    def has(self, hour: Hour) -> bool:
        """Say whether the hour has a bar."""
        ts = self._bars[Timeframe.H1].ts
        place = int(np.searchsorted(ts, hour.open_ts))
        return place < ts.shape[0] and int(ts[place]) == hour.open_ts

    def window(self, hour: Hour, known_at: datetime | None = None) -> MarketWindow:
        """Return what `hour` may know: bars closed by its end; later recordings are not looked at."""
        bars = {
            timeframe: self._bars[timeframe].between(
                hour.close_ts - days * DAY_S, hour.close_ts - timeframe.seconds + 1
            )
            for timeframe, days in self._timeframes.items()
            if timeframe in self._bars
        }
        return MarketWindow(
            key=self.symbol,
            hour=hour,
            known_at=known_at or hour.closes_at,
            price_scale=self._price_scale,
            volume_scale=_VOLUME_SCALE,
            bars=bars,
            first_ts={timeframe: int(self._bars[timeframe].ts[0]) for timeframe in bars},
            quality=self._quality(hour),
        )

    def _quality(self, hour: Hour) -> WindowQuality:
        if self._minutes is None:
            return WindowQuality(bars_only=True)
        had = len(self._minutes.between(hour.open_ts, hour.close_ts))
        day = len(self._minutes.between(hour.close_ts - DAY_S, hour.close_ts))
        if not had:
            return WindowQuality(bars_only=True)
        first = max(int(self._minutes.ts[0]), hour.close_ts - DAY_S)
        return WindowQuality(missing=MINUTES - had, missing_24h=(hour.close_ts - first) // 60 - day)


def _price_scale(series: RecordedSeries, symbol: str, least: int) -> int:
    """Return the smallest scale, `least` or more, at which every price is a whole number."""
    prices = np.concatenate([series.open, series.high, series.low, series.close])
    scale = least
    while not np.array_equal(np.rint(prices * scale) / scale, prices):
        scale *= 10
        if scale > 10**MAX_DECIMALS:
            raise ValueOutOfRange(symbol, "price", f"needs more than {MAX_DECIMALS} decimals")
    return scale


def _bars(series: RecordedSeries, scale: int) -> Bars:
    return Bars(
        series.timeframe,
        series.ts,
        _scaled(series.open, scale),
        _scaled(series.high, scale),
        _scaled(series.low, scale),
        _scaled(series.close, scale),
        _scaled(series.volume, _VOLUME_SCALE),
    )


def _scaled(column: Floats, by: int) -> Ints:
    scaled: Ints = np.rint(column * by).astype(np.int64)
    return scaled


def _overlaid(parts: list[Bars]) -> Bars:
    """Return all bars in order of time; where parts overlap the last one counts."""
    whole = joined(parts)
    rank = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    order = np.lexsort((rank, whole.ts))
    ts = whole.ts[order]
    last = order[np.r_[ts[1:] != ts[:-1], True]]
    return whole.at(last)
