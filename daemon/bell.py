"""The bells. A ring carries no time and no hour; who hears it asks the ledger what is due."""

from __future__ import annotations

from collections.abc import Iterable

import anyio


class Bell:
    """Ringing twice before it is heard rings once; a ring that nobody waits for is heard later."""

    def __init__(self) -> None:
        self._rung = anyio.Event()

    def ring(self) -> None:
        self._rung.set()

    async def heard(self) -> None:
        """Wait for the next ring."""
        await self._rung.wait()
        self._rung = anyio.Event()

    async def heard_within(self, seconds: float) -> bool:
        """Wait for the next ring, at most so long; says whether it came."""
        with anyio.move_on_after(seconds):
            await self.heard()
            return True
        return False


class Bells:
    """A bell for each market and channel, and one for each worker beside them."""

    def __init__(self, keys: Iterable[str], channels: Iterable[str] = ()) -> None:
        self.channels = {name: Bell() for name in channels}
        self._markets = {key: Bell() for key in keys}
        self.pusher = Bell()
        self.notifier = Bell()
        self.housekeeper = Bell()
        self.timekeeper = Bell()
        self.historian = Bell()
        self.indexer = Bell()
        self.desk = Bell()

    def ring_all(self) -> None:
        """Ring for every market."""
        for bell in self._markets.values():
            bell.ring()

    def of(self, key: str) -> Bell:
        return self._markets[key]
