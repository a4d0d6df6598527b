"""The minutes of a span, hour by hour out of the snapshots: what outcomes are measured on."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from pathlib import Path

from market.candles import Bars, joined, no_bars
from market.errors import DataInvalid
from market.hours import Hour, Timeframe, hours_between
from store.columns import HourColumns, decode_columns
from store.ledger import snapshots_of_hour

HOURS_KEPT = 192  # of a market: the longest horizon that is looked back on, a week, and a day
Rows = tuple[Bars, int, int]  # an hour's known minutes with their price scale and volume scale


class MinuteShelf:
    """Decoded hours of one repository, of each market the newest used ones kept; one thread at a time.

    Markets do not share what is kept: each hour looks back a week in every market, so that one shelf for all,
    a little smaller than that, would never hold what is asked for next. An hour takes about 4 kB.
    """

    def __init__(self, root: Path, hours_kept: int = HOURS_KEPT) -> None:
        self._root, self._hours_kept = root, hours_kept
        self._kept: defaultdict[str, OrderedDict[Hour, Rows]] = defaultdict(OrderedDict)

    def between(self, key: str, start: Hour, end: Hour, price_scale: int = 1) -> tuple[Bars, int]:
        """Return the known minutes of the hours [start, end) and their price scale, at least `price_scale`.

        Of each hour the best snapshot counts; one that cannot be read is left out like one that is not there.
        """
        hours = [rows for each in hours_between(start, end) if (rows := self._rows(key, each)) is not None]
        scale = max([price_scale, *(of_price for _, of_price, _ in hours)])
        volume = max([1, *(of_volume for _, _, of_volume in hours)])
        parts = [bars.rescaled(scale // of_price, volume // of_volume) for bars, of_price, of_volume in hours]
        return (joined(parts) if parts else no_bars(Timeframe.M1)), scale

    def _rows(self, key: str, hour: Hour) -> Rows | None:
        kept = self._kept[key]
        if hour in kept:
            kept.move_to_end(hour)
            return kept[hour]
        best = self.hour(key, hour)
        if best is None:
            return None
        rows = (best.bars(), best.price_scale, best.volume_scale)
        if best.missing == 0:  # an incomplete hour may still be completed
            kept[hour] = rows
            if len(kept) > self._hours_kept:
                kept.popitem(last=False)
        return rows

    def hour(self, key: str, hour: Hour) -> HourColumns | None:
        """Return the best snapshot of an hour as columns, None where there is no readable one."""
        best: HourColumns | None = None
        for name in snapshots_of_hour(self._root, key, hour):
            try:
                found = decode_columns((self._root / name.path).read_bytes(), name.path, name)
            except (DataInvalid, OSError):
                continue
            if best is None or (found.missing, -found.collected) < (best.missing, -best.collected):
                best = found
        return best
