"""The window: what one hour may know, as columns, ending with that hour."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import numpy as np

from market.candles import Bars
from market.hours import Hour, Timeframe


@dataclass(frozen=True, slots=True)
class WindowQuality:
    """How good the data under a window is; counts over the 24 hours that end with its hour.

    Attributes:
        missing: Minutes missing in the hour itself.
        no_trade: Minutes without a trade in the hour itself.
        missing_24h: Minutes missing in the last 24 hours.
        repaired_24h: Minutes of the last 24 hours that were completed by a later fetch.
        bars_only: True where the hour itself is known only as a coarse bar, without minutes.
    """

    missing: int = 0
    no_trade: int = 0
    missing_24h: int = 0
    repaired_24h: int = 0
    bars_only: bool = False


@dataclass(frozen=True, eq=False)  # without slots: the digest is kept
class MarketWindow:
    """Closed bars of every timeframe the engine asked for, up to and including `hour`.

    Attributes:
        known_at: Only files collected at or before this instant were used.
        price_scale, volume_scale: Of all bars here (the finest of the files used).
        bars: Columns by timeframe, oldest first; what is not known is left out, so look at `ts`.
            The newest bar closes at or before the close of `hour`.
        first_ts: Open of the first bar recorded for this market by timeframe, as of `known_at`, even if it
            lies before the window.
    """

    key: str
    hour: Hour
    known_at: datetime
    price_scale: int
    volume_scale: int
    bars: Mapping[Timeframe, Bars]
    first_ts: Mapping[Timeframe, int]
    quality: WindowQuality

    def digest(self) -> str:
        """Return `sha256:...` over every number in the window; equal windows are equal inputs."""
        return self._digest

    @cached_property
    def _digest(self) -> str:
        hashed = hashlib.sha256()
        quality = self.quality
        head = (
            f"{self.key} {self.hour} {self.price_scale} {self.volume_scale} {quality.missing}"
            f" {quality.no_trade} {quality.missing_24h} {quality.repaired_24h} {quality.bars_only:d}"
        )
        hashed.update(head.encode())
        for timeframe in sorted(self.bars, key=lambda t: t.seconds):
            bars = self.bars[timeframe]
            first = self.first_ts.get(timeframe, -1)
            hashed.update(f" {timeframe.value} {len(bars)} {first}".encode())
            for column in bars.columns():
                hashed.update(np.ascontiguousarray(column, dtype="<i8").data)
        return "sha256:" + hashed.hexdigest()
