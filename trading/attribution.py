"""Where a trade's money came from and went: edge, slippage and fees, which add up to the last unit.

Edge is what the trade would have made at the prices that the market showed when it executed, slippage what
it got worse than those, fees what the exchange took: net = edge - slippage - fees, by definition and exactly.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

from pydantic import ConfigDict, Field

from market.orders import CASH_SCALE, OrderFill, OrderSide

CENT = CASH_SCALE // 100  # cash units
PARTS = ("edge", "slippage", "fees")

Count = Annotated[int, Field(ge=0)]


@dataclass(frozen=True, slots=True)
class Attribution:
    """A trade's result in its parts, cash units.

    Attributes:
        edge: What sales brought less what buys cost, at the prices seen.
        slippage: How much worse than that the executions were; negative where they were better.
        fees: Negative where rebates are more than fees.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    edge: int
    slippage: int
    fees: int

    @property
    def net(self) -> int:
        return self.edge - self.slippage - self.fees

    def in_cents(self) -> InCents:
        """Return the parts in words; they add up to the rounded net (largest remainder)."""
        signed = {"edge": self.edge, "slippage": -self.slippage, "fees": -self.fees}
        cents = {name: amount // CENT for name, amount in signed.items()}
        net = _nearest(self.net)
        missing = net - sum(cents.values())
        by_remainder = sorted(PARTS, key=lambda name: -(signed[name] % CENT))  # stable: ties in order
        for name in by_remainder[:missing]:
            cents[name] += 1
        return InCents(
            edge=_text(cents["edge"]),
            slippage=_text(-cents["slippage"]),
            fees=_text(-cents["fees"]),
            net=_text(net),
        )


@dataclass(frozen=True, slots=True)
class InCents:
    """An attribution with two decimals, quote: `edge - slippage - fees = net` holds for the texts as well."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    edge: str
    slippage: str
    fees: str
    net: str


@dataclass(frozen=True, slots=True)
class Flows:
    """All executions of one trade as sums: exact, and as short for a thousand fills as for two.

    Attributes:
        cash_out, cash_in: Notional of buys and of sales, cash units.
        seen_out, seen_in: The same at the prices that the market showed.
        fees: Cash units; negative where rebates are more.
        bought, sold: Base units.
        maker_notional, taker_notional: Cash units.
        maker_fills, taker_fills: How many executions.
        first_ts, last_ts: Instants of the first and the last of them, epoch seconds; None before any.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    cash_out: Count
    cash_in: Count
    seen_out: Count
    seen_in: Count
    fees: int
    bought: Count
    sold: Count
    maker_notional: Count
    taker_notional: Count
    maker_fills: Count
    taker_fills: Count
    first_ts: int | None
    last_ts: int | None

    @classmethod
    def none(cls) -> Flows:
        """Return the flows of a trade before its first execution."""
        return cls(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, None, None)

    def after(self, side: OrderSide, fill: OrderFill) -> Flows:
        """Return the flows with one more execution."""
        passed = replace(
            self,
            fees=self.fees + fill.fee,
            maker_notional=self.maker_notional + (fill.cash if fill.maker else 0),
            taker_notional=self.taker_notional + (0 if fill.maker else fill.cash),
            maker_fills=self.maker_fills + fill.maker,
            taker_fills=self.taker_fills + (not fill.maker),
            first_ts=fill.ts if self.first_ts is None else min(self.first_ts, fill.ts),
            last_ts=fill.ts if self.last_ts is None else max(self.last_ts, fill.ts),
        )
        if side is OrderSide.BUY:
            return replace(
                passed,
                cash_out=self.cash_out + fill.cash,
                seen_out=self.seen_out + fill.seen_cash,
                bought=self.bought + fill.size,
            )
        return replace(
            passed,
            cash_in=self.cash_in + fill.cash,
            seen_in=self.seen_in + fill.seen_cash,
            sold=self.sold + fill.size,
        )

    @property
    def base(self) -> int:
        """Base units that are held."""
        return self.bought - self.sold

    @property
    def net_cash(self) -> int:
        """What the executions did to the cash, fees included."""
        return self.cash_in - self.cash_out - self.fees

    @property
    def attribution(self) -> Attribution:
        """The result in its parts; coin that is still held counts nothing."""
        return Attribution(
            edge=self.seen_in - self.seen_out,
            slippage=(self.cash_out - self.seen_out) + (self.seen_in - self.cash_in),
            fees=self.fees,
        )


def _nearest(amount: int) -> int:
    """Return cash units as cents, half a cent to the even one."""
    cents, left = divmod(amount, CENT)
    return cents + (2 * left > CENT or (2 * left == CENT and cents % 2 == 1))


def _text(cents: int) -> str:
    sign = "-" if cents < 0 else ""
    return f"{sign}{abs(cents) // 100}.{abs(cents) % 100:02}"
