"""What trading costs: fees, spread and slippage, all in basis points. The only place that knows."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Fees(BaseModel):
    """Maker and taker fee of an exchange account."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    maker_bps: float = Field(10.0, ge=-5, le=200, description="Maker fee, bps a side.")
    taker_bps: float = Field(10.0, ge=0, le=200, description="Taker fee, bps a side.")


FEES_BY_KIND = {
    "kucoin": Fees(maker_bps=10, taker_bps=10),
    "simulated": Fees(maker_bps=40, taker_bps=60),
}


def round_trip_bps(fees: Fees, half_spread_bps: float, slippage_bps: float) -> float:
    """Return the cost of one grid cycle: two maker fees, two half-spreads and slippage."""
    return 2 * fees.maker_bps + 2 * half_spread_bps + slippage_bps
