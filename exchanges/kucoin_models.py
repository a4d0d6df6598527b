"""What KuCoin answers, validated before anything else sees it.

Unknown fields are ignored, known ones are not guessed: numbers come as strings and must be finite decimals.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
)

from market.candles import Candle
from market.hours import instant_of_ts
from market.ports import SymbolRules
from market.snapshot import Ticker
from market.units import parse_decimal

_EARLIEST_MS = 1_262_304_000_000  # 2010: before it a time in milliseconds is a time in another unit
_LATEST_MS = 7_258_118_400_000  # 2200


def _from_text(value: object) -> Decimal:
    if not isinstance(value, str) or len(value) > 40:
        raise ValueError("expected a decimal number in a string")
    return parse_decimal(value)


Number = Annotated[Decimal, BeforeValidator(_from_text)]
Price = Annotated[Number, Field(gt=0)]
Amount = Annotated[Number, Field(ge=0)]
Millis = Annotated[int, Field(ge=_EARLIEST_MS, le=_LATEST_MS, strict=True)]

_Seconds = Annotated[str, StringConstraints(pattern=r"^\d{9,11}$")]
_Figure = Annotated[str, StringConstraints(pattern=r"^\d{1,20}(\.\d{1,20})?([eE][+-]?\d{1,2})?$")]
Row = tuple[_Seconds, _Figure, _Figure, _Figure, _Figure, _Figure, _Figure]

CANDLE_ROWS: TypeAdapter[list[Row]] = TypeAdapter(list[Row])
SERVER_TIME: TypeAdapter[int] = TypeAdapter(Millis)


def candle_of(row: Row) -> Candle:
    """Return the candle of one row: time, open, CLOSE, HIGH, LOW, volume, turnover."""
    ts, first, last, high, low, volume, turnover = row
    return Candle(
        int(ts),
        Decimal(first),
        Decimal(high),
        Decimal(low),
        Decimal(last),
        Decimal(volume),
        Decimal(turnover),
    )


class _Answered(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class SymbolAnswer(_Answered):
    """GET /api/v2/symbols/{symbol}."""

    symbol: str
    base: str = Field(alias="baseCurrency", min_length=1)
    quote: str = Field(alias="quoteCurrency", min_length=1)
    price_increment: Price = Field(alias="priceIncrement")
    base_increment: Price = Field(alias="baseIncrement")
    base_min_size: Amount = Field(alias="baseMinSize")
    min_funds: Amount | None = Field(None, alias="minFunds")
    trading: bool = Field(alias="enableTrading", strict=True)

    def rules(self) -> SymbolRules:
        return SymbolRules(
            symbol=self.symbol,
            base=self.base,
            quote=self.quote,
            price_increment=self.price_increment,
            base_increment=self.base_increment,
            base_min_size=self.base_min_size,
            min_funds=Decimal(0) if self.min_funds is None else self.min_funds,
            trading=self.trading,
        )


class TickerAnswer(_Answered):
    """GET /api/v1/market/orderbook/level1."""

    time: Millis
    last: Price = Field(alias="price")
    best_bid: Price = Field(alias="bestBid")
    best_ask: Price = Field(alias="bestAsk")

    def ticker(self) -> Ticker:
        at = instant_of_ts(0) + timedelta(milliseconds=self.time)
        return Ticker(self.best_bid, self.best_ask, self.last, at)


class KeyAnswer(_Answered):
    """GET /api/v1/user/api-key."""

    permission: str
    ip_whitelist: str | None = Field(None, alias="ipWhitelist")

    @property
    def permissions(self) -> frozenset[str]:
        return frozenset(word.strip() for word in self.permission.split(",") if word.strip())


class BalanceAnswer(_Answered):
    """One line of GET /api/v1/accounts."""

    currency: str
    type: str
    balance: Amount
    available: Amount
    holds: Amount

    def record(self) -> Mapping[str, Any]:
        return {
            "currency": self.currency,
            "balance": f"{self.balance:f}",
            "available": f"{self.available:f}",
            "holds": f"{self.holds:f}",
        }


class OrderAnswer(_Answered):
    """One open order, as both order interfaces of KuCoin tell it."""

    id: str
    symbol: str
    type: str
    side: Literal["buy", "sell"]
    price: Amount
    size: Amount
    filled: Amount = Field(alias="dealSize")
    created_ms: Millis = Field(alias="createdAt")

    def record(self) -> Mapping[str, Any]:
        return {
            "id": self.id,
            "type": self.type,
            "side": self.side,
            "price": f"{self.price:f}",
            "size": f"{self.size:f}",
            "filled": f"{self.filled:f}",
            "created_ms": self.created_ms,
        }


BALANCES: TypeAdapter[list[BalanceAnswer]] = TypeAdapter(list[BalanceAnswer])
ORDERS: TypeAdapter[list[OrderAnswer]] = TypeAdapter(list[OrderAnswer])
SYMBOL: TypeAdapter[SymbolAnswer] = TypeAdapter(SymbolAnswer)
TICKER: TypeAdapter[TickerAnswer] = TypeAdapter(TickerAnswer)
KEY: TypeAdapter[KeyAnswer] = TypeAdapter(KeyAnswer)
