"""Stand-ins for the outside that several packages' tests use."""

from __future__ import annotations

from datetime import datetime, timedelta

import anyio


class FakeClock:
    """Time stands still until a test moves it; waiting moves it, so that no test sleeps.

    Attributes:
        rate: Seconds of `now` per second of `monotonic`, as `market.ports.Clock` has it.
        slept: Every wait that went through `sleep`, seconds.
    """

    def __init__(self, now: datetime, monotonic: float = 1_000.0, rate: float = 1.0) -> None:
        self._now, self._monotonic, self._rate = now, monotonic, rate
        self.slept: list[float] = []

    @property
    def rate(self) -> float:
        return self._rate

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def set(self, now: datetime) -> None:
        """Jump to an instant; monotonic time does not notice."""
        self._now = now

    def advance(self, seconds: float) -> None:
        """Let real seconds pass."""
        self._monotonic += seconds
        self._now += timedelta(seconds=seconds * self._rate)

    async def sleep(self, seconds: float) -> None:
        """Pass for `anyio.sleep`: note the wait, move on at once."""
        self.slept.append(seconds)
        self.advance(seconds)
        await anyio.lowlevel.checkpoint()
