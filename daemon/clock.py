"""The only module that reads a clock: wall time, and a time that a demo or a test drives."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from market.hours import instant_iso, parse_instant


class WallClock:
    """Real time, rate 1."""

    @property
    def rate(self) -> float:
        return 1.0

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


class DrivenClock:
    """Time that stands where it is set (rate 0) or runs `rate` times as fast as real time.

    Args:
        start: The instant at which it begins.
        rate: Clock seconds a real second.
    """

    def __init__(self, start: datetime, rate: float = 0.0) -> None:
        self._rate = rate
        self._set_at = time.monotonic()
        self._instant = start

    @property
    def rate(self) -> float:
        return self._rate

    def now(self) -> datetime:
        return self._instant + timedelta(seconds=self._rate * (time.monotonic() - self._set_at))

    def monotonic(self) -> float:
        return time.monotonic()

    def set(self, instant: datetime) -> None:
        """Move to `instant`; later is the only direction that makes sense outside tests."""
        self._instant, self._set_at = instant, time.monotonic()

    def run(self, rate: float) -> None:
        """Go on from now at `rate`."""
        self._instant, self._set_at = self.now(), time.monotonic()
        self._rate = rate


@dataclass(frozen=True, slots=True)
class ScaledClock:
    """Wall time mapped so that several processes share it: at wall instant `wall_start` it is `start`."""

    start: datetime
    scale: float
    wall_start: datetime

    @property
    def rate(self) -> float:
        return self.scale

    def now(self) -> datetime:
        return self.start + self.scale * (datetime.now(UTC) - self.wall_start)

    def monotonic(self) -> float:
        return time.monotonic()

    def __str__(self) -> str:
        return f"{instant_iso(self.start)},{self.scale:g},{instant_iso(self.wall_start)}"

    @classmethod
    def parse(cls, text: str) -> ScaledClock:
        """Return the clock written as `START,RATE,WALL_START`, instants as `2026-02-02T15:00:05Z`.

        Raises:
            ValueError: Another form.
        """
        parts = text.split(",")
        if len(parts) != 3:
            raise ValueError(f"{text!r} is not a clock; expected START,RATE,WALL_START")
        return cls(parse_instant(parts[0]), float(parts[1]), parse_instant(parts[2]))
