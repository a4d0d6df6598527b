"""A swing as a value: how far it is, what it waits for, what it sent last."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from market.orders import Order, OrderRefusal
from trading.reasons import Reason
from trading.sending import Sent

REFUSALS = {
    OrderRefusal.WOULD_TAKE: Reason.POST_ONLY_WOULD_TAKE,
    OrderRefusal.INSUFFICIENT_BALANCE: Reason.INSUFFICIENT_BALANCE,
    OrderRefusal.INVALID: Reason.ORDER_REFUSED,
}


class Stage(StrEnum):
    """How far a plan is: a swing holds, a ladder runs."""

    ENTER = "enter"
    HOLD = "hold"
    RUN = "run"
    LEAVE = "leave"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class SwingPlan:
    """One swing from its first order to its last.

    Attributes:
        size: Base units wanted.
        found_at: The trigger's price; what slippage is measured against.
        stop, target: x price_scale.
        leave_ts: When it is left at the market, epoch seconds.
        tries: Maker entries sent.
        refused_as_taker: How many of them were refused because they would have taken.
        took: Whether the market was taken for the entry.
        orders: Orders sent in all; each has its number in its name.
        sent: The order under way or the last one.
        ended_by: Why it is being left, or why nothing came of it; None while neither.
    """

    trade_id: str
    key: str
    size: int
    found_at: int
    stop: int
    target: int
    leave_ts: int
    stage: Stage = Stage.ENTER
    tries: int = 0
    refused_as_taker: int = 0
    took: bool = False
    orders: int = 0
    sent: Sent | None = None
    ended_by: Reason | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether something is left to do that no event of the exchange will bring about."""
        return self.stage is not Stage.DONE and (self.sent is None or not self._rests)

    @property
    def alarm(self) -> int | None:
        """The price at or below which it has something to do, x price_scale; None for none."""
        return self.stop if self.stage is Stage.ENTER else None

    @property
    def order(self) -> Order:
        """The answered order that it sent last."""
        assert self.sent is not None and self.sent.order is not None
        return self.sent.order

    @property
    def _rests(self) -> bool:
        return self.sent is not None and self.sent.order is not None and self.sent.order.is_open
