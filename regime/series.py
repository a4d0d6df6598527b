"""The regimes of a market's bars as one series: rows, what they count up to, and the periods they form.

A row is told by two small codes and a confidence in ten-thousandths, which is all that an index has to keep;
names come back from the codes. Everything here is a fold: what a series counts up to is the sum of what its
parts do, so that an index can keep it while rows are added, and prove it by counting anew.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Self

import numpy as np
from numpy.typing import NDArray

from market.candles import Floats, Ints
from market.hours import Timeframe
from regime.analysis import Verdict
from regime.components.columns import ComponentColumns
from regime.components.states import (
    MOMENTA,
    SIMPLIFIED,
    TRENDS,
    VOLATILITIES,
    Codes,
    simplified_codes,
)

VERDICTS = tuple(Verdict)
NO_VERDICT = -1
CONFIDENCE_UNIT = 10_000  # a confidence is a whole number of ten-thousandths
CONFIDENCE_BINS = 20
STORED = (Timeframe.M15, Timeframe.H1, Timeframe.H4)
ON_REQUEST = (Timeframe.M1, Timeframe.M5)

_TREND, _VOLATILITY, _MOMENTUM = (
    axis.reshape(-1).astype(np.int8) for axis in np.indices((len(TRENDS), len(VOLATILITIES), len(MOMENTA)))
)
SIMPLIFIED_OF_FULL: Codes = simplified_codes(_TREND, _VOLATILITY, _MOMENTUM)
TREND_OF_FULL, VOLATILITY_OF_FULL, MOMENTUM_OF_FULL = _TREND, _VOLATILITY, _MOMENTUM


@dataclass(frozen=True, slots=True)
class RegimeRules:
    """What rows were made by: rows of other rules are stale.

    Attributes:
        engine_version: `regime.analysis.ENGINE_VERSION`.
        parameters: `sha256:...` of every number that a row depends on.
    """

    engine_version: int
    parameters: str


@dataclass(frozen=True, slots=True, eq=False)
class RegimeRows:
    """Rows of one market and timeframe, oldest first, shape (n,) each.

    Attributes:
        timeframe: Of all rows.
        ts: Opens, epoch seconds, rising, multiples of the timeframe; a bar without a row is left out.
        full: Place in `FULL_REGIMES`; trend, volatility, momentum and the simplified regime follow from it.
        verdict: Place in `VERDICTS`, NO_VERDICT where the bar has none (only 1h bars have one).
        confidence: In the simplified regime, ten-thousandths, 0 to 10,000.
    """

    timeframe: Timeframe
    ts: Ints
    full: Codes
    verdict: Codes
    confidence: NDArray[np.int16]

    @classmethod
    def none(cls, timeframe: Timeframe) -> Self:
        """Return zero rows."""
        codes = np.empty(0, dtype=np.int8)
        return cls(timeframe, np.empty(0, dtype=np.int64), codes, codes, np.empty(0, dtype=np.int16))

    @classmethod
    def of(
        cls, timeframe: Timeframe, ts: Ints, columns: ComponentColumns, verdict: Codes | None = None
    ) -> Self:
        """Return the rows of bars that all have a three-dimensional regime."""
        full = (columns.trend * len(VOLATILITIES) + columns.volatility) * len(MOMENTA) + columns.momentum
        return cls(
            timeframe,
            ts,
            full.astype(np.int8),
            np.full(ts.shape, NO_VERDICT, dtype=np.int8) if verdict is None else verdict.astype(np.int8),
            np.rint(columns.confidence * CONFIDENCE_UNIT).astype(np.int16),
        )

    def __len__(self) -> int:
        return int(self.ts.shape[0])

    @property
    def simplified(self) -> Codes:
        """Place in `SIMPLIFIED`, shape (n,)."""
        return SIMPLIFIED_OF_FULL[self.full]

    def where(self, keep: NDArray[np.bool_] | NDArray[np.intp] | slice) -> Self:
        """Return some of the rows."""
        return type(self)(
            self.timeframe, self.ts[keep], self.full[keep], self.verdict[keep], self.confidence[keep]
        )

    def between(self, start_ts: int, end_ts: int) -> Self:
        """Return the rows that open in [start_ts, end_ts), as views."""
        first, last = np.searchsorted(self.ts, (start_ts, end_ts))
        return self.where(slice(int(first), int(last)))

    def followed_by(self, later: Self) -> Self:
        """Return these rows and later ones."""
        return type(self)(
            self.timeframe,
            np.concatenate((self.ts, later.ts)),
            np.concatenate((self.full, later.full)),
            np.concatenate((self.verdict, later.verdict)),
            np.concatenate((self.confidence, later.confidence)),
        )

    def same_as(self, other: Self) -> bool:
        """Say whether both hold the same rows."""
        return self.timeframe is other.timeframe and all(
            np.array_equal(mine, theirs)
            for mine, theirs in (
                (self.ts, other.ts),
                (self.full, other.full),
                (self.verdict, other.verdict),
                (self.confidence, other.confidence),
            )
        )


@dataclass(frozen=True, slots=True)
class Period:
    """A run of equal simplified regimes over adjacent bars; a bar without a row ends it.

    Attributes:
        first_ts, last_ts: Opens of its first and last bar, epoch seconds.
        regime: Place in `SIMPLIFIED`.
        previous: That of the bar right before the first one; None where that bar has no row.
    """

    first_ts: int
    last_ts: int
    regime: int
    previous: int | None

    def bars(self, timeframe: Timeframe) -> int:
        """Return how many bars it holds."""
        return (self.last_ts - self.first_ts) // timeframe.seconds + 1


def periods_of(rows: RegimeRows, before: Period | None = None) -> list[Period]:
    """Return the periods that rows form, oldest first.

    Args:
        rows: Later than `before`.
        before: The last period before them; where the rows go on with it, the first period returned is the
            longer one in its place, otherwise `before` is not among them.
    """
    if not len(rows):
        return []
    regime, step = rows.simplified, rows.timeframe.seconds
    adjacent = np.diff(rows.ts) == step
    starts = np.r_[0, np.flatnonzero(~adjacent | (regime[1:] != regime[:-1])) + 1]
    ends = np.r_[starts[1:] - 1, len(rows) - 1]
    touches = np.r_[False, adjacent][starts]
    found = [
        Period(first, last, label, int(regime[start - 1]) if touched else None)
        for start, first, last, label, touched in zip(
            starts.tolist(),
            rows.ts[starts].tolist(),
            rows.ts[ends].tolist(),
            regime[starts].tolist(),
            touches.tolist(),
            strict=True,
        )
    ]
    if before is not None and before.last_ts + step == found[0].first_ts:
        goes_on = before.regime == found[0].regime
        found[0] = Period(
            before.first_ts if goes_on else found[0].first_ts,
            found[0].last_ts,
            found[0].regime,
            before.previous if goes_on else before.regime,
        )
    return found


@dataclass(frozen=True, slots=True, eq=False)
class RegimeCounts:
    """What rows count up to; counts of parts add up to those of the whole.

    Attributes:
        bars: Rows of each simplified regime, shape (5,).
        periods: Periods that begin with each, shape (5,).
        transitions: Adjacent bars by regime before and after, the diagonal too, shape (5, 5).
        confidence: Rows by simplified regime and bin of confidence, shape (5, 20); 1 is in the last bin.
        verdicts: Rows of each verdict, shape (4,).
    """

    bars: Ints
    periods: Ints
    transitions: Ints
    confidence: Ints
    verdicts: Ints

    @classmethod
    def none(cls) -> Self:
        """Return the counts of no rows."""
        return cls.from_bytes(bytes(8 * _COUNTS))

    @classmethod
    def of(cls, rows: RegimeRows, before: Period | None = None) -> Self:
        """Return what rows count up to, `before` being the last period before them."""
        size, regime, step = len(SIMPLIFIED), rows.simplified.astype(np.int64), rows.timeframe.seconds
        known = np.empty(0, dtype=np.int64)
        if before is not None and len(rows) and before.last_ts + step == rows.ts[0]:
            known = np.array([before.regime], dtype=np.int64)
        joined = np.concatenate((known, regime))
        adjacent = np.concatenate((np.ones(known.shape, dtype=bool), np.diff(rows.ts) == step))
        pairs = (joined[:-1] * size + joined[1:])[adjacent]
        same = np.zeros(len(rows), dtype=bool)
        same[len(rows) - adjacent.shape[0] :] = adjacent & (joined[:-1] == joined[1:])
        bins = np.minimum(
            rows.confidence.astype(np.int64) * CONFIDENCE_BINS // CONFIDENCE_UNIT, CONFIDENCE_BINS - 1
        )
        judged = rows.verdict[rows.verdict != NO_VERDICT]
        return cls(
            np.bincount(regime, minlength=size),
            np.bincount(regime[~same], minlength=size),
            np.bincount(pairs, minlength=size * size).reshape(size, size),
            np.bincount(regime * CONFIDENCE_BINS + bins, minlength=size * CONFIDENCE_BINS).reshape(size, -1),
            np.bincount(judged, minlength=len(VERDICTS)),
        )

    def __add__(self, other: Self) -> Self:
        return type(self)(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def __sub__(self, other: Self) -> Self:
        return type(self)(*(getattr(self, f.name) - getattr(other, f.name) for f in fields(self)))

    def to_bytes(self) -> bytes:
        """Return all counts as little-endian 8-byte integers, in the order of the fields."""
        flat = np.concatenate([getattr(self, f.name).reshape(-1) for f in fields(self)])
        return flat.astype("<i8").tobytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Return what `to_bytes` gave.

        Raises:
            ValueError: Not so many counts.
        """
        flat = np.frombuffer(data, dtype="<i8").astype(np.int64)
        if flat.shape[0] != _COUNTS:
            raise ValueError(f"expected {_COUNTS} counts, got {flat.shape[0]}")
        return cls(
            *(part.reshape(shape) for part, shape in zip(np.split(flat, _PLACES), _SHAPES, strict=True))
        )

    @property
    def rows(self) -> int:
        return int(self.bars.sum())

    @property
    def mean_bars(self) -> Floats:
        """Mean length of a period of each simplified regime, bars, shape (5,); NaN for one without any."""
        return np.where(self.periods > 0, self.bars / np.maximum(self.periods, 1), np.nan)


_SHAPES: tuple[tuple[int, ...], ...] = (
    (len(SIMPLIFIED),),
    (len(SIMPLIFIED),),
    (len(SIMPLIFIED), len(SIMPLIFIED)),
    (len(SIMPLIFIED), CONFIDENCE_BINS),
    (len(VERDICTS),),
)
_SIZES = [int(np.prod(shape)) for shape in _SHAPES]
_COUNTS, _PLACES = sum(_SIZES), np.cumsum(_SIZES)[:-1].tolist()
