"""What the price did after a decision: minutes, or an hour's own bar where its minutes are lacking."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from market.candles import Bars, Ints, aggregate, no_bars
from market.hours import HOUR_S, Timeframe

HOUR_MIN = 60


@dataclass(frozen=True, slots=True, eq=False)
class Aftermath:
    """The known prices of a span of whole hours.

    Attributes:
        start_ts, end_ts: The span, epoch seconds.
        pieces: Bars in order of time, each of one timeframe; they never overlap.
        closes: Of each hour, price x price_scale, 0 where not known, shape (hours,).
        missing_minutes: Minutes of the span that neither a minute nor an hour's bar covers.
        coarse_hours: Hours that are known by their own bar only.
    """

    start_ts: int
    end_ts: int
    pieces: tuple[Bars, ...]
    closes: Ints
    missing_minutes: int
    coarse_hours: int

    @property
    def last_close(self) -> int | None:
        """Close of the newest bar, price x price_scale; None when nothing is known."""
        return int(self.pieces[-1].close[-1]) if self.pieces else None

    def extremes(self) -> tuple[int, int] | None:
        """Return the lowest and the highest price, price x price_scale; None when nothing is known."""
        if not self.pieces:
            return None
        return min(int(bars.low.min()) for bars in self.pieces), max(
            int(bars.high.max()) for bars in self.pieces
        )

    def closed_by(self, ts: int) -> tuple[Bars, ...]:
        """Return the bars that are closed at `ts`."""
        return _not_empty(
            bars.between(self.start_ts, ts - bars.timeframe.seconds + 1) for bars in self.pieces
        )

    def opened_from(self, ts: int) -> tuple[Bars, ...]:
        """Return the bars that open at `ts` or later."""
        return _not_empty(bars.between(ts, self.end_ts) for bars in self.pieces)


def aftermath_of(
    minutes: Bars, hours: Bars | None, start_ts: int, length_h: int, tolerated_missing: int
) -> Aftermath:
    """Return what is known of the hours after `start_ts`.

    An hour with more than `tolerated_missing` minutes missing is taken from its own bar where that is known;
    otherwise from the minutes there are. Its close is known unless neither way tells it.

    Args:
        minutes: 1m bars, prices in one scale; those outside the span are ignored.
        hours: 1h bars in the same scale, None for none.
        start_ts: Open of the first hour, epoch seconds.
        length_h: Hours.
        tolerated_missing: Minutes of an hour that may be missing.
    """
    end_ts = start_ts + length_h * HOUR_S
    minutes = minutes.between(start_ts, end_ts)
    hours = (no_bars(Timeframe.H1) if hours is None else hours).between(start_ts, end_ts)
    known = np.bincount((minutes.ts - start_ts) // HOUR_S, minlength=length_h)
    enough = known >= HOUR_MIN - tolerated_missing
    told = np.zeros(length_h, dtype=bool)
    told[(hours.ts - start_ts) // HOUR_S] = True
    coarse = told & ~enough
    closes = np.zeros(length_h, dtype=np.int64)
    closes[(hours.ts - start_ts) // HOUR_S] = hours.close
    whole = aggregate(minutes, Timeframe.H1, HOUR_MIN - tolerated_missing)
    closes[(whole.ts - start_ts) // HOUR_S] = whole.close
    return Aftermath(
        start_ts,
        end_ts,
        _pieces(minutes, hours, coarse.tolist(), start_ts),
        closes,
        int((HOUR_MIN - known)[~coarse].sum()),
        int(coarse.sum()),
    )


def _pieces(minutes: Bars, hours: Bars, coarse: list[bool], start_ts: int) -> tuple[Bars, ...]:
    stretches = (
        (is_coarse, [number for number, _ in group])
        for is_coarse, group in groupby(enumerate(coarse), key=lambda hour: hour[1])
    )
    return _not_empty(
        (hours if is_coarse else minutes).between(
            start_ts + rows[0] * HOUR_S, start_ts + (rows[-1] + 1) * HOUR_S
        )
        for is_coarse, rows in stretches
    )


def _not_empty(pieces: Iterable[Bars]) -> tuple[Bars, ...]:
    return tuple(bars for bars in pieces if len(bars))
