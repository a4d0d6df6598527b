"""Columns of candles as floats: what the sandbox's markets are made of before they become decimal strings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]

VOLUME_DECIMALS = 8
TURNOVER_DECIMALS = 6


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """Candles of one length, oldest first; those without trades are left out.

    Attributes:
        ts: Opens, epoch seconds, shape (n,).
        open, high, low, close: Quote price, shape (n,).
        volume: Base coin, shape (n,).
    """

    ts: Ints
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats

    def __len__(self) -> int:
        return int(self.ts.shape[0])

    def all(self) -> tuple[Ints, Floats, Floats, Floats, Floats, Floats]:
        return self.ts, self.open, self.high, self.low, self.close, self.volume

    def between(self, start_ts: int, end_ts: int) -> Columns:
        """Return the candles that open in [start_ts, end_ts), as views."""
        first, last = np.searchsorted(self.ts, (start_ts, end_ts))
        return self.where(slice(int(first), int(last)))

    def where(self, chosen: slice | NDArray[np.bool_] | Ints) -> Columns:
        return Columns(
            self.ts[chosen],
            self.open[chosen],
            self.high[chosen],
            self.low[chosen],
            self.close[chosen],
            self.volume[chosen],
        )

    def aggregated(self, seconds: int, volume_decimals: int = VOLUME_DECIMALS) -> tuple[Columns, Ints]:
        """Return candles of `seconds` built from these, and how many of these are in each.

        Sums of volume are rounded, so that float noise does not grow digits that no exchange publishes.
        """
        if not len(self):
            return self, np.empty(0, dtype=np.int64)
        opens = self.ts - self.ts % seconds
        first = np.flatnonzero(np.r_[True, opens[1:] != opens[:-1]])
        last = np.r_[first[1:], len(self)] - 1
        coarse = Columns(
            opens[first],
            self.open[first],
            np.maximum.reduceat(self.high, first),
            np.minimum.reduceat(self.low, first),
            self.close[last],
            rounded(np.add.reduceat(self.volume, first), volume_decimals),
        )
        return coarse, (last - first + 1).astype(np.int64)


def rounded(values: Floats, places: int) -> Floats:
    """Return the nearest doubles with `places` decimals, which print without noise."""
    return np.asarray(np.round(values, places), dtype=np.float64)


def no_columns() -> Columns:
    empty = np.empty(0)
    return Columns(np.empty(0, dtype=np.int64), empty, empty, empty, empty, empty)


def joined(parts: list[Columns]) -> Columns:
    """Return columns laid end to end, in the order given."""
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return no_columns()
    return Columns(
        np.concatenate([part.ts for part in parts]),
        np.concatenate([part.open for part in parts]),
        np.concatenate([part.high for part in parts]),
        np.concatenate([part.low for part in parts]),
        np.concatenate([part.close for part in parts]),
        np.concatenate([part.volume for part in parts]),
    )


def overlaid(below: Columns, above: Columns) -> Columns:
    """Return both in order of time; where both have a candle, the one of `above`."""
    if not len(below) or not len(above):
        return above if len(above) else below
    kept = below.where(~np.isin(below.ts, above.ts))
    both = joined([kept, above])
    return both.where(np.argsort(both.ts, kind="stable"))


def decimal_text(value: float) -> str:
    """Return the shortest decimal that reads back as `value`, without exponent or trailing `.0`."""
    return decimal_texts([value])[0]


def decimal_texts(values: Sequence[float]) -> list[str]:
    """Return `decimal_text` of each; a page of candles has thousands."""
    texts = map(repr, values)
    return [text.removesuffix(".0") if "e" not in text else f"{Decimal(text):f}" for text in texts]


def decimals_of(values: Floats, most: int) -> int:
    """Return how many digits after the point all of `values` need, `most` at the utmost."""
    for digits in range(most):
        if np.array_equal(rounded(values, digits), values):
            return digits
    return most
