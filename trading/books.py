"""The desk's ledger while an hour goes on: what becomes of orders is written into it as it is told."""

from __future__ import annotations

from collections.abc import Mapping

from market.orders import OrderFill, OrderRequest, OrderTerms
from trading.ledger import Ledger


class Books:
    """Implements `trading.sending.Books` over one ledger.

    Args:
        ledger: As the hour before left it.
        terms: Of each market; may change as long as nothing is open in it.
    """

    def __init__(self, ledger: Ledger, terms: Mapping[str, OrderTerms]) -> None:
        self.ledger, self._terms = ledger, terms

    def placed(self, trade_id: str, request: OrderRequest, why: str) -> None:
        """Take in that an order of a trade was placed."""
        self.ledger = self.ledger.placed(trade_id, request, self._terms[request.key], why)

    def filled(self, trade_id: str, request: OrderRequest, fill: OrderFill) -> None:
        """Take in one execution."""
        self.ledger = self.ledger.applied(trade_id, request, fill, self._terms[request.key])

    def ended(self, trade_id: str, client_id: str, outcome: str) -> None:
        """Take in how an order ended."""
        self.ledger = self.ledger.order_ended(trade_id, client_id, outcome)

    def held(self, trade_id: str) -> int:
        """Return the base units that an open trade holds."""
        return self.ledger.base_of(trade_id)
