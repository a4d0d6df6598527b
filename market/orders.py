"""Orders: what is asked of an exchange, and what became of it. Integers only, in a market's own units.

A price is x price_scale, a base amount x base_scale. Cash is counted x CASH_SCALE, the same in every market
of one quote coin, so that markets can share an account; where price times base is no whole number of cash
units, the rounding goes against us.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from market.errors import DataInvalid
from market.units import scale_for, to_scaled

CASH_SCALE = 10**8


class OrderSide(StrEnum):
    BUY = "buy"
    SELL = "sell"

    @property
    def sign(self) -> int:
        """What one unit does to the coin that is held."""
        return 1 if self is OrderSide.BUY else -1


class OrderKind(StrEnum):
    """How an order meets the market.

    LIMIT rests at its price, or takes what is better; MARKET takes at once, never beyond its price; OCO is a
    sale that rests at its price and becomes an unbounded market sale when the stop price is reached.
    """

    LIMIT = "limit"
    MARKET = "market"
    OCO = "oco"


class OrderStatus(StrEnum):
    OPEN = "open"
    FILLED = "filled"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    REJECTED = "rejected"


class OrderRefusal(StrEnum):
    """Why an exchange refused an order, whatever its own code for it."""

    WOULD_TAKE = "would_take"
    INSUFFICIENT_BALANCE = "insufficient_balance"
    INVALID = "invalid"


@dataclass(frozen=True, slots=True)
class OrderTerms:
    """One market as orders see it.

    Attributes:
        key: Market.
        base, quote: Coins.
        price_increment: x price_scale.
        base_increment, base_min_size: x base_scale.
        min_funds: Least notional, cash units.
    """

    key: str
    base: str
    quote: str
    price_scale: int
    base_scale: int
    price_increment: int
    base_increment: int
    base_min_size: int
    min_funds: int

    @classmethod
    def of(cls, key: str, symbol: str, price_scale: int, rules: Mapping[str, Decimal]) -> OrderTerms:
        """Return the terms of a market whose prices are scaled by `price_scale`.

        Args:
            symbol: `BASE-QUOTE`.
            rules: `price_increment`, `base_increment`, `base_min_size` and `min_funds`, exact decimals.

        Raises:
            ValueOutOfRange: The price scale does not hold the increment.
        """
        base, _, quote = symbol.partition("-")
        base_scale = scale_for([rules["base_increment"], rules["base_min_size"]])
        return cls(
            key,
            base,
            quote,
            price_scale,
            base_scale,
            to_scaled(rules["price_increment"], price_scale, f"rules of {key}", "price_increment"),
            to_scaled(rules["base_increment"], base_scale),
            to_scaled(rules["base_min_size"], base_scale),
            to_scaled(rules["min_funds"], CASH_SCALE, f"rules of {key}", "min_funds"),
        )

    def cash_paid(self, price: int, size: int) -> int:
        """Return the notional of a buy in cash units, rounded up."""
        return -(-price * size * CASH_SCALE // (self.price_scale * self.base_scale))

    def cash_received(self, price: int, size: int) -> int:
        """Return the notional of a sale in cash units, rounded down."""
        return price * size * CASH_SCALE // (self.price_scale * self.base_scale)

    def cash_of(self, side: OrderSide, price: int, size: int) -> int:
        return self.cash_paid(price, size) if side is OrderSide.BUY else self.cash_received(price, size)

    def size_for(self, cash: int, price: int) -> int:
        """Return the most base units, a multiple of the increment, whose notional stays within `cash`."""
        size = max(cash, 0) * self.price_scale * self.base_scale // (price * CASH_SCALE)
        return size - size % self.base_increment


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """What is asked of an exchange.

    Attributes:
        client_id: Names the order for ever; asked twice, it is one order.
        price: Of a LIMIT or OCO where it rests, of a MARKET order the worst that is taken; x price_scale.
        stop_price: Of an OCO; None for the others.
        size: Base units.
        post_only: Refused where it would take.
        ttl_s: Seconds after which what is left expires; None for never.
    """

    client_id: str
    key: str
    side: OrderSide
    kind: OrderKind
    price: int
    size: int
    stop_price: int | None = None
    post_only: bool = False
    ttl_s: int | None = None

    def __post_init__(self) -> None:
        if not self.client_id or len(self.client_id) > 80:
            raise DataInvalid("order", "client_id", f"{self.client_id!r}, expected 1 to 80 letters")
        if self.price <= 0 or self.size <= 0:
            raise DataInvalid("order", "price, size", f"{self.price}, {self.size}, expected more than 0")
        if (self.kind is OrderKind.OCO) != (self.stop_price is not None):
            raise DataInvalid("order", "stop_price", "an OCO order has one, any other has none")
        if self.stop_price is not None and not (
            self.side is OrderSide.SELL and 0 < self.stop_price < self.price
        ):
            raise DataInvalid("order", "stop_price", "an OCO is a sale with its stop below its price")
        if self.post_only and self.kind is not OrderKind.LIMIT:
            raise DataInvalid("order", "post_only", f"{self.kind.value}, expected a limit order")
        if self.ttl_s is not None and self.ttl_s <= 0:
            raise DataInvalid("order", "ttl_s", f"{self.ttl_s}, expected more than 0")


@dataclass(frozen=True, slots=True)
class OrderFill:
    """One execution.

    Attributes:
        ts: Close of the bar that it happened in, epoch seconds.
        price: x price_scale.
        seen: The market's price when it happened, x price_scale; its own price for a maker.
        size: Base units.
        cash: Notional at `price`, cash units, rounded against us once for all that the order has filled.
        seen_cash: Notional at `seen`, cash units; equal to `cash` where the prices are.
        fee: Cash units.
        maker: Whether it rested.
        stopped: Whether the stop of an OCO brought it.
    """

    ts: int
    price: int
    seen: int
    size: int
    cash: int
    seen_cash: int
    fee: int
    maker: bool
    stopped: bool = False


@dataclass(frozen=True, slots=True)
class Order:
    """An order as the exchange tells it.

    Attributes:
        placed_ts: When it was taken, epoch seconds; bars that opened before it cannot fill it.
        closed_ts: When it ceased to be open; None while it is.
        refusal: Why it was rejected; None where it was not.
        code, problem: Of a rejected order the exchange's own code and words.
    """

    request: OrderRequest
    placed_ts: int
    status: OrderStatus
    fills: tuple[OrderFill, ...] = ()
    closed_ts: int | None = None
    refusal: OrderRefusal | None = None
    code: str | None = None
    problem: str | None = None

    @property
    def is_open(self) -> bool:
        return self.status is OrderStatus.OPEN

    @property
    def filled(self) -> int:
        """Base units."""
        return sum(fill.size for fill in self.fills)

    @property
    def left(self) -> int:
        """Base units not filled (yet)."""
        return self.request.size - self.filled


@dataclass(frozen=True, slots=True)
class Balance:
    """One coin of an account: cash units of the quote coin, base units of any other.

    Attributes:
        total: What is there.
        held: The part of it that open orders hold.
    """

    total: int
    held: int = 0

    @property
    def available(self) -> int:
        return self.total - self.held


@dataclass(frozen=True, slots=True)
class BestPrices:
    """Best bid and ask at an instant, x price_scale.

    Attributes:
        ts: Epoch seconds of the price that they come from.
        recorded: True where an exchange told them, False where a spread model made them of the last close.
    """

    bid: int
    ask: int
    ts: int
    recorded: bool
