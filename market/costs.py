"""What trading costs: fees, spread and slippage. The only place that knows.

People read and configure basis points; simulations calculate in whole parts per million (1 bps = 100 ppm)
on integer amounts, and every rounding goes against us.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal

from pydantic import BaseModel, ConfigDict, Field

PPM = 1_000_000
MAX_IMPACT_BPS = 1_000.0


class Fees(BaseModel):
    """Maker and taker fee of an exchange account."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    maker_bps: float = Field(10.0, ge=-5, le=200, description="Maker fee, bps a side.")
    taker_bps: float = Field(10.0, ge=0, le=200, description="Taker fee, bps a side.")


class Liquidity(BaseModel):
    """What a market order pays beside its fee in a market of one liquidity tier."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    half_spread_bps: float = Field(ge=0, le=500, description="Half the bid-ask spread, bps.")
    slippage_bps: float = Field(ge=0, le=500, description="Slippage of a small market order, bps.")
    impact_bps: float = Field(ge=0, le=1000, description="Impact of an order as large as its minute, bps.")

    def market_order_bps(self, notional: float, minute_turnover: float) -> float:
        """Return how much worse than the mid price a market order executes, in bps, fee not included.

        Args:
            notional: Quote value of the order.
            minute_turnover: Quote value traded in the minute; 0 where nothing traded.

        Returns:
            Half-spread + slippage + impact x sqrt(notional / turnover), the impact at most 1,000 bps.
        """
        if notional <= 0:
            return self.half_spread_bps + self.slippage_bps
        share = notional / minute_turnover if minute_turnover > 0 else math.inf
        impact = min(self.impact_bps * math.sqrt(share), MAX_IMPACT_BPS) if self.impact_bps else 0.0
        return self.half_spread_bps + self.slippage_bps + impact


FEES_BY_KIND = {
    "kucoin": Fees(maker_bps=10, taker_bps=10),
    "simulated": Fees(maker_bps=40, taker_bps=60),
}

LIQUIDITY_BY_TIER = {
    "major": Liquidity(half_spread_bps=0.5, slippage_bps=1, impact_bps=10),
    "liquid": Liquidity(half_spread_bps=1.5, slippage_bps=3, impact_bps=25),
    "thin": Liquidity(half_spread_bps=5, slippage_bps=10, impact_bps=60),
}


@dataclass(frozen=True, slots=True)
class OrderCosts:
    """The costs of one simulation in whole parts per million.

    Attributes:
        maker_ppm, taker_ppm: Fee on the notional of a resting and of a market order.
        slippage_ppm: How much worse than the price seen a market order executes (spread included).
    """

    maker_ppm: int = 1_000
    taker_ppm: int = 1_000
    slippage_ppm: int = 0

    def __post_init__(self) -> None:
        if not (-PPM < self.maker_ppm < PPM and 0 <= self.taker_ppm < PPM and 0 <= self.slippage_ppm < PPM):
            raise ValueError(f"{self}: fees and slippage are shares of the notional, below {PPM} ppm")

    @classmethod
    def of(cls, fees: Fees, market_order_bps: float = 0.0) -> OrderCosts:
        """Return an account's fees and a market order's cost in ppm, fractions rounded up."""
        return cls(ppm(fees.maker_bps), ppm(fees.taker_bps), ppm(market_order_bps))

    def buy_price(self, price: int) -> int:
        """Return what a market buy pays a unit when `price` is seen, rounded up."""
        return price + fee_on(price, self.slippage_ppm)

    def sell_price(self, price: int) -> int:
        """Return what a market sale brings a unit when `price` is seen, rounded down."""
        return price - fee_on(price, self.slippage_ppm)


def ppm(bps: float) -> int:
    """Return basis points as whole parts per million, fractions rounded up (by the decimal as written)."""
    return int((Decimal(repr(bps)) * 100).to_integral_value(ROUND_CEILING))


def fee_on(notional: int, rate_ppm: int) -> int:
    """Return the fee on `notional`, rounded up: a fee to more, a rebate (negative rate) to less."""
    return -(-notional * rate_ppm // PPM)


def affordable(budget: int, price: int, rate_ppm: int) -> int:
    """Return the most base units whose notional at `price` plus fee stays within `budget`."""
    return budget * PPM // (price * (PPM + rate_ppm))


def round_trip_bps(fees: Fees, half_spread_bps: float, slippage_bps: float) -> float:
    """Return the cost of one grid cycle: two maker fees, two half-spreads and slippage."""
    return 2 * fees.maker_bps + 2 * half_spread_bps + slippage_bps
