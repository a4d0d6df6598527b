"""The minutes of one market that were fed to the simulated exchange, and a fast way to those that matter."""

from __future__ import annotations

import numpy as np

from exchanges.simulated.matching import MINUTE_S, Minute
from market.candles import Bars, joined, no_bars
from market.errors import DataInvalid
from market.hours import Timeframe

_BLOCK, _LARGEST = 64, 4096  # minutes searched at once: the first few, and once nothing was near


class Minutes:
    """Minutes after the last one that has passed, and the close of that one.

    Args:
        last: Open and close of the last minute known before any is fed.
    """

    def __init__(self, last: tuple[int, int] | None = None) -> None:
        self._last = last
        self._known = no_bars(Timeframe.M1)
        self._traded = self._known
        self._volume_scale = 1
        self._levels = (0, 0)
        self._clear = (0, 0)  # from and before these places, no minute with trade reaches the levels

    def append(self, bars: Bars, volume_scale: int, now_ts: int, where: str) -> None:
        """Add what is newer than all that was added before.

        Raises:
            DataInvalid: Not minutes, or a volume leaves 64 bits at the finer scale of both.
        """
        if bars.timeframe is not Timeframe.M1:
            raise DataInvalid(where, "timeframe", f"{bars.timeframe.value}, expected 1m")
        self._last = self.last(now_ts)
        fresh = bars.rows(int(np.searchsorted(bars.ts, self._newest_ts(), "right")), len(bars))
        rest = self._known.rows(int(np.searchsorted(self._known.ts, now_ts)), len(self._known))
        finest = max(self._volume_scale, volume_scale)
        parts = [rest.rescaled(1, finest // self._volume_scale), fresh.rescaled(1, finest // volume_scale)]
        self._known, self._volume_scale = joined(parts), finest
        self._traded = self._known.at(self._known.volume > 0)
        self._clear = (0, 0)

    def last(self, now_ts: int) -> tuple[int, int] | None:
        """Return open and close of the last minute that is over at `now_ts`, None without one."""
        place = int(np.searchsorted(self._known.ts, now_ts - MINUTE_S, "right")) - 1
        return (int(self._known.ts[place]), int(self._known.close[place])) if place >= 0 else self._last

    def reaching(self, low: int, high: int, from_ts: int, to_ts: int) -> Minute | None:
        """Return the first minute with trade that falls to `low` or rises to `high`.

        What was searched in vain is remembered as long as the levels stay, so that an order that waits for
        weeks costs one look at each minute.

        Args:
            from_ts, to_ts: Span of the minutes' opens, half open.
        """
        traded = self._traded
        start, end = (int(place) for place in np.searchsorted(traded.ts, (from_ts, to_ts)))
        if (low, high) != self._levels or not self._clear[0] <= start <= self._clear[1]:
            self._levels, self._clear = (low, high), (start, start)
        first, place = self._clear
        block = _BLOCK
        while place < end:
            upto, block = place + block, min(2 * block, _LARGEST)
            reached = (traded.low[place:upto] <= low) | (traded.high[place:upto] >= high)
            found = int(reached.argmax())
            place += found if reached[found] else len(reached)
            self._clear = (first, place)
            if reached[found]:
                return self._minute(place) if place < end else None
        return None

    def _minute(self, place: int) -> Minute:
        ts, first, high, low, last, volume = (int(column[place]) for column in self._traded.columns())
        return Minute(ts, first, high, low, last, volume, self._volume_scale)

    def _newest_ts(self) -> int:
        if len(self._known):
            return int(self._known.ts[-1])
        return -1 if self._last is None else self._last[0]
