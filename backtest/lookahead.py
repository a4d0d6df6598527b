"""Whether a strategy looks ahead: run again without the future, and with another future, the past stays.

The data are cut at an instant, or all that follows is replaced by noise, and source and signals are made
anew from what is left: a signal that learnt from the whole series when it was made is caught as well. An hour
before the cut that comes out differently has seen what came after it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np

from market.candles import Floats
from market.hours import Hour, Timeframe
from store.differences import differing_fields
from store.recorded import RecordedSeries
from store.recorded_windows import Candles

CAUSES = ("markets", "triggers", "orders", "trades")  # of a desk's report, in the order of the hour

Told = Iterator[tuple[Hour, Mapping[str, Any]]]
Make = Callable[[Mapping[str, Candles]], Callable[[Hour, Hour], Told]]


class Future(StrEnum):
    """What is put in place of what came after the cut."""

    NOTHING = "nothing"
    NOISE = "noise"


@dataclass(frozen=True, slots=True)
class Leak:
    """An hour that knew what came after it.

    Attributes:
        hour: The first that differs.
        cut: The first hour whose data were taken away or replaced.
        place: The first field that differs.
        words: What was recorded with the real future, and what is recomputed without.
    """

    hour: Hour
    cut: Hour
    future: Future
    place: str
    words: str

    @property
    def ahead_h(self) -> int:
        """How many hours ahead of its close it looked, at least."""
        return self.cut.index - self.hour.index

    def __str__(self) -> str:
        return (
            f"{self.hour} knew what came {self.ahead_h} h or more after it began: with {self.future.value}"
            f" from {self.cut} on, {self.place}: {self.words}"
        )


@dataclass(frozen=True, slots=True)
class KeptCandles:
    """A market's files, each read once for all the runs over them."""

    candles: Candles
    _read: dict[Timeframe, RecordedSeries | None] = field(default_factory=dict)

    @property
    def symbol(self) -> str:
        return self.candles.symbol

    def series(self, timeframe: Timeframe) -> RecordedSeries | None:
        if timeframe not in self._read:
            self._read[timeframe] = self.candles.series(timeframe)
        return self._read[timeframe]


@dataclass(frozen=True, slots=True)
class CutCandles:
    """Recorded candles of which the future was taken away or replaced.

    Attributes:
        cut: The first hour that is not as it was; coarser bars that reach into it go with it.
        seed: Of the noise.
    """

    candles: Candles
    cut: Hour
    future: Future
    seed: int

    @property
    def symbol(self) -> str:
        return self.candles.symbol

    def series(self, timeframe: Timeframe) -> RecordedSeries | None:
        """Return the candles that closed by the cut, then nothing, or a random walk of the same form."""
        told = self.candles.series(timeframe)
        if told is None:
            return None
        known = int(np.searchsorted(told.ts, self.cut.open_ts - timeframe.seconds, side="right"))
        if self.future is Future.NOTHING:
            return told.between(0, int(told.ts[known])) if known < len(told) else told
        return _with_noise(told, known, np.random.default_rng([self.seed, self.cut.index, timeframe.seconds]))


def look_ahead(
    candles: Mapping[str, Candles],
    make: Make,
    start: Hour,
    end: Hour,
    cuts: Sequence[Hour],
    seed: int = 0,
) -> list[Leak]:
    """Return the leaks that were found, the earliest hour of each cut and each future.

    Args:
        candles: Recorded files by market.
        make: Builds source and strategy from candles, and returns what runs the hours [start, end) and tells
            what each found and did, as plain values.
        cuts: Hours in (start, end]; a leak of one hour shows only in the hour before a cut.
    """
    whole = dict(make(candles)(start, end))
    found = []
    for cut in sorted(cuts):
        for future in Future:
            altered = {key: CutCandles(each, cut, future, seed) for key, each in candles.items()}
            for hour, told in make(altered)(start, cut):
                if fields := list(differing_fields(whole[hour], told)):
                    found.append(Leak(hour, cut, future, *min(fields, key=_nearness)))
                    break
    return found


def _nearness(field: tuple[str, str]) -> int:
    """Return how near a field stands to the cause: what is seen comes before what is done."""
    part = field[0].partition(".")[0]
    return CAUSES.index(part) if part in CAUSES else len(CAUSES)


def spread_cuts(start: Hour, end: Hour, count: int) -> list[Hour]:
    """Return hours spread evenly over (start, end), the ends left out."""
    hours = end.index - start.index
    return [start.plus(round(hours * place / (count + 1))) for place in range(1, count + 1)]


def _with_noise(told: RecordedSeries, known: int, drawn: np.random.Generator) -> RecordedSeries:
    """Return the candles with a random walk after the last known close, in steps as rough as those known."""
    left = len(told) - known
    if not left or not known:
        return told
    closes = told.close[:known]
    rough = float(np.diff(np.log(closes[-1000:])).std()) if known > 2 else 0.001
    walk = closes[-1] * np.exp(np.cumsum(drawn.normal(0.0, max(rough, 1e-6), left)))
    close = np.maximum(_rounded(walk, told.close), _smallest(told.close))
    opens = np.concatenate([closes[-1:], close[:-1]])
    volume = drawn.permutation(told.volume[known:])
    columns = {
        "open": opens,
        "close": close,
        "high": np.maximum(opens, close),
        "low": np.minimum(opens, close),
        "volume": volume,
    }
    made = {name: np.concatenate([getattr(told, name)[:known], after]) for name, after in columns.items()}
    return RecordedSeries(told.timeframe, told.ts, **made)


def _decimals(prices: Floats) -> int:
    return next(places for places in range(13) if np.array_equal(np.round(prices, places), prices))


def _rounded(walk: Floats, like: Floats) -> Floats:
    """Return prices with no more decimals than the market's, so that the scale tells nothing."""
    rounded: Floats = np.round(walk, _decimals(like))
    return rounded


def _smallest(like: Floats) -> float:
    return float(10.0 ** -_decimals(like))
