"""What a market must tell for the sandbox to serve it."""

from __future__ import annotations

from typing import Literal, Protocol

from exchanges.columns import Columns
from market.ports import SymbolRules


class SandboxMarket(Protocol):
    """Candles that are known in advance; the server shows of them what its clock has reached."""

    @property
    def kind(self) -> Literal["recorded", "simulated"]: ...

    @property
    def symbols(self) -> tuple[SymbolRules, ...]: ...

    def bars(self, symbol: str, seconds: int, start_ts: int, end_ts: int) -> Columns:
        """Return the candles of `seconds` that open in [start_ts, end_ts), later ones than now included.

        Args:
            seconds: 60 times something that divides a day.
        """
