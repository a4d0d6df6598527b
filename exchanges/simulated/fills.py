"""How much of a minute is ours: the one place where a simulation is kinder or harsher than the market was."""

from __future__ import annotations

import hashlib
from decimal import Decimal
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from market.costs import PPM
from market.orders import OrderTerms

_DRAWS = 2**64


class FillModel(BaseModel):
    """What a minute's candle is taken to have done to our orders."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: Literal["pessimistic", "optimistic"] = Field(
        "pessimistic",
        description="Of the two ways through a candle (low first, high first) the one that leaves us worse, "
        "or better, at its close.",
    )
    through_ticks: int = Field(
        1, ge=0, le=1000, description="Price increments that price must trade beyond a resting order."
    )
    queue_position: float = Field(
        0.7, ge=0, le=1, description="Where we stand at a price that is only touched: 0 first, 1 last."
    )
    participation: float = Field(
        0.1, ge=1e-6, le=1, description="Share of a minute's volume that all our orders of a market may take."
    )
    seed: int = Field(0, description="Of the draws at a touch.")

    def fills_at_touch(self, client_id: str, ts: int) -> bool:
        """Return whether an order whose price is touched, not traded through, fills.

        Drawn for one order and minute alone, so that other orders change nothing.

        Args:
            ts: Open of the minute, epoch seconds.
        """
        name = f"{self.seed}:{ts}:{client_id}".encode()
        drawn = int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "big")
        return drawn >= self.queue_position * _DRAWS

    def room(self, volume: int, volume_scale: int, terms: OrderTerms) -> int:
        """Return the base units that our orders may take of a minute's volume, rounded down."""
        share = int(Decimal(repr(self.participation)) * PPM)
        return volume * terms.base_scale * share // (volume_scale * PPM)


PESSIMISTIC = FillModel(queue_position=1.0, participation=0.05)
EXPECTED = FillModel()
OPTIMISTIC = FillModel(path="optimistic", through_ticks=0, queue_position=0.0, participation=0.25)
