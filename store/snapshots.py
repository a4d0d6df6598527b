"""Snapshot files: one closed hour as sealed JSON, and back, refused whenever anything is off."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from market.errors import DataInvalid
from market.hours import Hour, instant_iso, parse_instant
from market.keys import checked_key
from market.snapshot import (
    MINUTES,
    Account,
    MarketSnapshot,
    MarketSummary,
    Minutes,
    validate_snapshot,
)
from market.units import INT64_MAX, MAX_DECIMALS
from store.paths import SnapshotName
from store.seal import opened, sealed, validated

SCHEMA_VERSION = 1
Value = TypeVar("Value")
SCALES = frozenset(10**n for n in range(MAX_DECIMALS + 1))
Int64 = Annotated[int, Field(ge=-INT64_MAX, le=INT64_MAX)]
ColumnJson = Annotated[list[Int64 | None], Field(min_length=MINUTES, max_length=MINUTES)]
Strict = ConfigDict(frozen=True, extra="forbid", strict=True)


class MinutesJson(BaseModel):
    model_config = Strict

    open: ColumnJson
    high: ColumnJson
    low: ColumnJson
    close: ColumnJson
    volume: ColumnJson
    turnover: ColumnJson | None


class SummaryJson(BaseModel):
    model_config = Strict

    open: Int64
    high: Int64
    low: Int64
    close: Int64
    volume: Int64
    vwap: Int64 | None
    best_bid: Int64 | None
    best_ask: Int64 | None
    last: Int64 | None
    ticker_at: str | None


class RulesJson(BaseModel):
    """Increments and minima of the market, decimal text."""

    model_config = Strict

    price_increment: str
    base_increment: str
    base_min_size: str
    min_funds: str


AmountText = Annotated[str, Field(pattern=r"^\d+(\.\d+)?$")]


class BalanceJson(BaseModel):
    """One coin of the trading account, decimal text."""

    model_config = Strict

    currency: str
    balance: AmountText
    available: AmountText
    holds: AmountText


class AccountJson(BaseModel):
    model_config = Strict

    balances: list[BalanceJson]
    open_orders: list[dict[str, Any]]


class SnapshotFile(BaseModel):
    """What `snapshots/{key}/{YYYY}/{MM}/{DD}/{HH}.json` holds."""

    model_config = Strict

    schema_version: Literal[1]
    key: str
    exchange: str
    symbol: str
    hour: str
    collected_at: str
    source: Literal["live", "backfill", "replay"]
    price_scale: int
    volume_scale: int
    turnover_scale: int
    minutes: MinutesJson
    no_trade: list[int]
    missing: list[int]
    market_summary: SummaryJson | None
    grid_config: list[dict[str, Any]]
    rules: RulesJson | None
    account: AccountJson | None
    digest: str


def encode_snapshot(snapshot: MarketSnapshot) -> bytes:
    """Return the file's bytes.

    Raises:
        DataInvalid: It breaks a rule of `validate_snapshot`, or was collected before its hour closed.
    """
    where = f"snapshot {snapshot.key}/{snapshot.hour}"
    _check(snapshot, where)
    return sealed(snapshot.canonical(), snapshot.collected_at)


def decode_snapshot(data: bytes, where: str, name: SnapshotName | None = None) -> MarketSnapshot:
    """Return the snapshot in `data`, valid in itself and agreeing with its path.

    Args:
        data: The file's bytes.
        where: Its path, for errors.
        name: What the path says; left out where there is no path.

    Raises:
        DataInvalid: Names file, field, what was found and what was expected.
    """
    file = validated(SnapshotFile, opened(data, where, SCHEMA_VERSION), where)
    for field in ("price_scale", "volume_scale", "turnover_scale"):
        if getattr(file, field) not in SCALES:
            raise DataInvalid(where, field, f"{getattr(file, field)}, expected a power of ten up to 10^18")
    snapshot = MarketSnapshot(
        key=_told(checked_key, file.key, where, "key"),
        exchange=file.exchange,
        symbol=file.symbol,
        hour=_told(Hour.parse, file.hour, where, "hour"),
        collected_at=_told(parse_instant, file.collected_at, where, "collected_at"),
        source=file.source,
        price_scale=file.price_scale,
        volume_scale=file.volume_scale,
        turnover_scale=file.turnover_scale,
        minutes=_minutes(file.minutes),
        no_trade=tuple(file.no_trade),
        missing=tuple(file.missing),
        summary=_summary(file.market_summary, where),
        grid_config=tuple(file.grid_config),
        rules=None if file.rules is None else file.rules.model_dump(),
        account=None
        if file.account is None
        else Account(
            tuple(balance.model_dump() for balance in file.account.balances), tuple(file.account.open_orders)
        ),
    )
    if instant_iso(snapshot.collected_at) != file.collected_at or snapshot.hour.iso() != file.hour:
        raise DataInvalid(
            where, "hour, collected_at", f"{file.hour}, {file.collected_at}: not the form written"
        )
    _check(snapshot, where)
    if name is not None:
        _check_name(snapshot, name, where)
    return snapshot


def _check(snapshot: MarketSnapshot, where: str) -> None:
    result = validate_snapshot(snapshot)
    if not result.ok:
        raise DataInvalid(where, "", "; ".join(result.errors[:3]))
    if snapshot.collected_at < snapshot.hour.closes_at:
        raise DataInvalid(
            where, "collected_at", f"{instant_iso(snapshot.collected_at)}, expected after the hour's close"
        )


def _check_name(snapshot: MarketSnapshot, name: SnapshotName, where: str) -> None:
    if (snapshot.key, snapshot.hour) != (name.key, name.hour):
        raise DataInvalid(where, "key, hour", f"{snapshot.key} {snapshot.hour}, but the path names another")
    if snapshot.is_complete != (name.partial is None):
        found = "complete" if snapshot.is_complete else f"{len(snapshot.missing)} minutes missing"
        raise DataInvalid(where, "missing", f"{found}, but the path says otherwise")


def _told(parse: Callable[[str], Value], text: str, where: str, field: str) -> Value:
    try:
        return parse(text)
    except ValueError as error:
        raise DataInvalid(where, field, str(error)) from None


def _minutes(m: MinutesJson) -> Minutes:
    return Minutes(
        open=tuple(m.open),
        high=tuple(m.high),
        low=tuple(m.low),
        close=tuple(m.close),
        volume=tuple(m.volume),
        turnover=None if m.turnover is None else tuple(m.turnover),
    )


def _summary(s: SummaryJson | None, where: str) -> MarketSummary | None:
    if s is None:
        return None
    fields = s.model_dump()
    if s.ticker_at is not None:
        fields["ticker_at"] = _told(parse_instant, s.ticker_at, where, "market_summary.ticker_at")
    return MarketSummary(**fields)
