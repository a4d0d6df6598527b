"""The codes and words with which the simulated exchange refuses an order; the only table of them.

The codes are KuCoin's. Which one KuCoin gives for a post-only order that would take is not documented on the
pages that we hold, so its general "order refused" stands there, and the words say what happened.
"""

from __future__ import annotations

from enum import StrEnum

from market.orders import OrderRefusal


class Code(StrEnum):
    """KuCoin's code of a refused order."""

    BALANCE_INSUFFICIENT = "200004"
    ORDER_REFUSED = "300000"
    PARAMETER_ERROR = "400100"
    UNKNOWN_SYMBOL = "900001"


MEANINGS = {
    Code.BALANCE_INSUFFICIENT: OrderRefusal.INSUFFICIENT_BALANCE,
    Code.ORDER_REFUSED: OrderRefusal.WOULD_TAKE,
    Code.PARAMETER_ERROR: OrderRefusal.INVALID,
    Code.UNKNOWN_SYMBOL: OrderRefusal.INVALID,
}
