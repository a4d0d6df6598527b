"""All that a simulated exchange knows, as a value: recorded between two hours and read back exactly."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import ConfigDict

from exchanges.simulated.account import AccountState
from exchanges.simulated.working import WorkingOrder
from market.orders import BestPrices, Order
from market.values import ValueForm


@dataclass(frozen=True, slots=True)
class MarketState:
    """One market.

    Attributes:
        price_scale, base_scale: Units of everything that is said of it.
        last_ts, last_close: Open and close of the last minute known, None before the first.
        best: Best bid and ask that were recorded last.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    key: str
    price_scale: int
    base_scale: int
    last_ts: int | None
    last_close: int | None
    best: BestPrices | None


@dataclass(frozen=True, slots=True)
class VenueState:
    """A simulated exchange at an instant; minutes that were fed and have not happened yet are not in it.

    Attributes:
        now_ts: Epoch seconds, a whole minute.
        working: Open orders, in the order in which they were placed.
        closed: The others, as far as they are remembered, by instant and name.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    now_ts: int
    account: AccountState
    markets: tuple[MarketState, ...]
    working: tuple[WorkingOrder, ...]
    closed: tuple[Order, ...]


VENUE_FORM = ValueForm(VenueState)
