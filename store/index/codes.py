"""Regime rows, bars and periods as the whole numbers that the tables hold, and back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain

import numpy as np

from market.candles import Bars, Ints
from market.hours import Timeframe
from regime.series import NO_VERDICT, SIMPLIFIED_OF_FULL, Period, RegimeRows
from store.index.schema import BAR_BITS, CONFIDENCE_BITS, STATE_BITS, VERDICT_CODES

_BAR = (1 << BAR_BITS) - 1


@dataclass(frozen=True, slots=True)
class Places:
    """Where the bars of one series stand.

    Attributes:
        series: Its id.
        timeframe: Of its bars.
    """

    series: int
    timeframe: Timeframe

    @property
    def start(self) -> int:
        return self.series << BAR_BITS

    @property
    def end(self) -> int:
        return (self.series + 1) << BAR_BITS

    def at_or_after(self, ts: int) -> int:
        """Return the place of the first bar that opens at `ts` or later; any instant will do."""
        return self.start + min(max(-(-ts // self.timeframe.seconds), 0), _BAR)

    def of(self, ts: Ints) -> Ints:
        return ts // self.timeframe.seconds + self.start

    def ts(self, place: int) -> int:
        return (place & _BAR) * self.timeframe.seconds


def states_of(rows: RegimeRows) -> Ints:
    """Return regime, verdict and confidence of each row as one number, shape (n,)."""
    code = rows.full.astype(np.int64) * VERDICT_CODES + rows.verdict + 1
    return (code << CONFIDENCE_BITS) + rows.confidence


def rows_of(timeframe: Timeframe, cells: Ints) -> RegimeRows:
    """Return the rows of `bar * 2**STATE_BITS + state`, shape (n,)."""
    code = cells >> CONFIDENCE_BITS & ((1 << STATE_BITS - CONFIDENCE_BITS) - 1)
    full, verdict = np.divmod(code.astype(np.int8), np.int8(VERDICT_CODES))
    return RegimeRows(
        timeframe,
        (cells >> STATE_BITS) * timeframe.seconds,
        full,
        verdict - np.int8(1),
        (cells & ((1 << CONFIDENCE_BITS) - 1)).astype(np.int16),
    )


def codes_with(simplified: int | None, verdict: int | None) -> list[int]:
    """Return the codes of rows with this simplified regime and this verdict, None being any."""
    return [
        full * VERDICT_CODES + code + 1
        for full, regime in enumerate(SIMPLIFIED_OF_FULL.tolist())
        if simplified in (None, regime)
        for code in range(NO_VERDICT, VERDICT_CODES - 1)
        if verdict in (None, code)
    ]


def numbers(rows: Iterable[Iterable[int]], columns: int) -> Ints:
    """Return rows of whole numbers as columns, shape (columns, n)."""
    flat = np.fromiter(chain.from_iterable(rows), dtype=np.int64)
    return flat.reshape(-1, columns).T


def bars_at(places: Places, rows: Iterable[Iterable[int]]) -> Bars:
    """Return the bars of rows (place, open, high, low, close, volume)."""
    place, *figures = numbers(rows, 6)
    opened = (place & _BAR) * places.timeframe.seconds
    return Bars(places.timeframe, opened, *(np.ascontiguousarray(column) for column in figures))


def period_at(places: Places, place: int, bars: int, regime: int, previous: int | None) -> Period:
    """Return the period of a row of `period_rows`."""
    first = places.ts(place)
    return Period(first, first + (bars - 1) * places.timeframe.seconds, regime, previous)
