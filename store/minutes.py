"""The minutes of a span, hour by hour out of the snapshots: what outcomes are measured on."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

from market.candles import Bars, joined, no_bars
from market.errors import DataInvalid
from market.hours import Hour, Timeframe, hours_between
from store.columns import HourColumns, decode_columns
from store.ledger import snapshots_of_hour

_HOURS_KEPT = 2048


class MinuteShelf:
    """Decoded hours of one repository, the newest used kept; one thread at a time."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._kept: OrderedDict[tuple[str, Hour], HourColumns] = OrderedDict()
        self._built: dict[tuple[str, Hour], Bars] = {}

    def between(self, key: str, start: Hour, end: Hour, price_scale: int = 1) -> tuple[Bars, int]:
        """Return the known minutes of the hours [start, end) and their price scale, at least `price_scale`.

        Of each hour the best snapshot counts; one that cannot be read is left out like one that is not there.
        """
        hours = [hour for each in hours_between(start, end) if (hour := self.hour(key, each)) is not None]
        scale = max([price_scale, *(hour.price_scale for hour in hours)])
        volume = max([1, *(hour.volume_scale for hour in hours)])
        parts = [
            self._bars(hour).rescaled(scale // hour.price_scale, volume // hour.volume_scale)
            for hour in hours
        ]
        return (joined(parts) if parts else no_bars(Timeframe.M1)), scale

    def _bars(self, hour: HourColumns) -> Bars:
        place = (hour.name.key, hour.name.hour)
        if place not in self._kept:
            return hour.bars()
        if place not in self._built:
            self._built[place] = hour.bars()
        return self._built[place]

    def hour(self, key: str, hour: Hour) -> HourColumns | None:
        """Return the best snapshot of an hour as columns, None where there is no readable one."""
        place = (key, hour)
        if place in self._kept:
            self._kept.move_to_end(place)
            return self._kept[place]
        best: HourColumns | None = None
        for name in snapshots_of_hour(self._root, key, hour):
            try:
                found = decode_columns((self._root / name.path).read_bytes(), name.path, name)
            except (DataInvalid, OSError):
                continue
            if best is None or (found.missing, -found.collected) < (best.missing, -best.collected):
                best = found
        if best is not None and best.missing == 0:  # an incomplete hour may still be completed
            self._kept[place] = best
            if len(self._kept) > _HOURS_KEPT:
                gone, _ = self._kept.popitem(last=False)
                self._built.pop(gone, None)
        return best
