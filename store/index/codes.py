"""Regime rows, bars and periods as the whole numbers that the tables hold, and back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from market.candles import Bars, Ints
from market.hours import Timeframe
from regime.series import NO_VERDICT, SIMPLIFIED_OF_FULL, Period, RegimeRows
from store.index.schema import BAR_BITS, CONFIDENCE_BITS, STATE_BITS, VERDICT_CODES

NO_PREVIOUS = -1
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


def bars_at(places: Places, cells: Ints) -> Bars:
    """Return the bars of columns (place, open, high, low, close, volume), shape (6, n)."""
    place, *figures = cells
    opened = (place & _BAR) * places.timeframe.seconds
    return Bars(places.timeframe, opened, *(np.ascontiguousarray(column) for column in figures))


def periods_at(places: Places, place: Ints, bars: Ints, regime: Ints, previous: Ints) -> list[Period]:
    """Return the periods of rows of `period_rows`, NO_PREVIOUS standing for none."""
    first = (place & _BAR) * places.timeframe.seconds
    last = first + (bars - 1) * places.timeframe.seconds
    return [
        Period(begins, ends, label, None if before == NO_PREVIOUS else before)
        for begins, ends, label, before in zip(
            first.tolist(), last.tolist(), regime.tolist(), previous.tolist(), strict=True
        )
    ]
