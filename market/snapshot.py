"""The snapshot: one closed hour of one market, complete in itself.

Everything later (regimes, decisions, backtests) sees the market only through these.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, NamedTuple, TypeAlias

import orjson

from market.candles import Candle
from market.errors import DataInvalid
from market.hours import Hour, instant_iso
from market.units import DEFAULT_PRICE_SCALE, scale_for, to_scaled

MINUTES = 60
Source: TypeAlias = Literal["live", "backfill", "replay"]
Column: TypeAlias = tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class Minutes:
    """The 60 minutes as integer columns, index = minute of the hour, None where missing.

    Prices are x price_scale, volume x volume_scale, turnover x turnover_scale; turnover is None
    as a whole where the source has none.
    """

    open: Column
    high: Column
    low: Column
    close: Column
    volume: Column
    turnover: Column | None


@dataclass(frozen=True, slots=True)
class Ticker:
    """Best bid and ask and the last trade at one instant."""

    best_bid: Decimal
    best_ask: Decimal
    last: Decimal
    at: datetime


@dataclass(frozen=True, slots=True)
class MarketSummary:
    """The hour in one line; prices x price_scale, volume x volume_scale.

    `vwap` is the volume-weighted price: turnover / volume where turnover is known, else of the
    minutes' mean prices (open+high+low+close)/4, rounded half up; None without volume. The ticker fields
    are None when the hour was collected more than five minutes after its close.
    """

    open: int
    high: int
    low: int
    close: int
    volume: int
    vwap: int | None
    best_bid: int | None = None
    best_ask: int | None = None
    last: int | None = None
    ticker_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Account:
    """Balances and open orders as the exchange told them; JSON-ready values, amounts as strings."""

    balances: tuple[Mapping[str, Any], ...]
    open_orders: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class MarketSnapshot:
    """One closed hour of one market.

    Attributes:
        no_trade: Minutes that the exchange left out because nothing traded: flat at the previous
            close, volume 0.
        missing: Minutes that could not be had; their columns hold None.
        grid_config: State of every grid at the close of the hour, other markets' too: they share the capital.
        rules: The market's increments and minima as decimal text; None where they were not asked.
        account: Only with keys, and only when collected within five minutes of the close.
    """

    key: str
    exchange: str
    symbol: str
    hour: Hour
    collected_at: datetime
    source: Source
    price_scale: int
    volume_scale: int
    turnover_scale: int
    minutes: Minutes
    no_trade: tuple[int, ...]
    missing: tuple[int, ...]
    summary: MarketSummary | None
    grid_config: tuple[Mapping[str, Any], ...] = ()
    rules: Mapping[str, str] | None = None
    account: Account | None = None

    @property
    def is_complete(self) -> bool:
        return not self.missing

    def canonical(self) -> dict[str, Any]:
        """Return everything that the digest covers, as the file writes it."""
        return {
            "schema_version": 1,
            "key": self.key,
            "exchange": self.exchange,
            "symbol": self.symbol,
            "hour": self.hour.iso(),
            "source": self.source,
            "price_scale": self.price_scale,
            "volume_scale": self.volume_scale,
            "turnover_scale": self.turnover_scale,
            "minutes": {
                "open": self.minutes.open,
                "high": self.minutes.high,
                "low": self.minutes.low,
                "close": self.minutes.close,
                "volume": self.minutes.volume,
                "turnover": self.minutes.turnover,
            },
            "no_trade": self.no_trade,
            "missing": self.missing,
            "market_summary": _summary_json(self.summary),
            "grid_config": self.grid_config,
            "rules": self.rules,
            "account": None
            if self.account is None
            else {"balances": self.account.balances, "open_orders": self.account.open_orders},
        }

    def digest(self) -> str:
        """Return `sha256:...` over the canonical form: all but `collected_at` and the digest itself."""
        return digest_of(self.canonical())


def digest_of(value: Mapping[str, Any]) -> str:
    """Return `sha256:<hex>` over the sorted, compact JSON of `value`."""
    return "sha256:" + hashlib.sha256(orjson.dumps(value, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _summary_json(summary: MarketSummary | None) -> dict[str, Any] | None:
    if summary is None:
        return None
    return {
        "open": summary.open,
        "high": summary.high,
        "low": summary.low,
        "close": summary.close,
        "volume": summary.volume,
        "vwap": summary.vwap,
        "best_bid": summary.best_bid,
        "best_ask": summary.best_ask,
        "last": summary.last,
        "ticker_at": None if summary.ticker_at is None else instant_iso(summary.ticker_at),
    }


def build_snapshot(
    *,
    key: str,
    exchange: str,
    symbol: str,
    hour: Hour,
    collected_at: datetime,
    source: Source,
    candles: Sequence[Candle],
    unfetched: Iterable[int] = (),
    price_scale: int = DEFAULT_PRICE_SCALE,
    volume_scale: int = 1,
    ticker: Ticker | None = None,
    grid_config: tuple[Mapping[str, Any], ...] = (),
    rules: Mapping[str, str] | None = None,
    account: Account | None = None,
) -> MarketSnapshot:
    """Return the snapshot of `hour` from the minute candles around it.

    A minute without a candle is `no_trade` when real candles stand on both sides of it in this
    answer, `missing` otherwise: nothing is filled on a guess.

    Args:
        candles: Closed minute candles of one answer, oldest first, normally from 3 hours before the hour
            (so that a first no-trade minute has its previous close) to its end or beyond.
        unfetched: Minutes of the hour that lie in a range that could not be fetched: missing in any case.
        price_scale: The market's scale; grows for this file if a price needs more.
        volume_scale: At least this; grows as the values need.

    Raises:
        ValueOutOfRange: A value does not fit 64 bits; names market and minute.
        DataInvalid: A candle contradicts itself, or the candles are not in order.
    """
    where = f"{key} {hour}"
    _check_order(where, candles)
    scales = _scales_of(candles, hour, ticker, price_scale, volume_scale)
    minutes, no_trade, missing = _laid_out(candles, hour, frozenset(unfetched), scales, where)
    turnover_scale = 1 if scales.turnover is None else scales.turnover
    return MarketSnapshot(
        key=key,
        exchange=exchange,
        symbol=symbol,
        hour=hour,
        collected_at=collected_at,
        source=source,
        price_scale=scales.price,
        volume_scale=scales.volume,
        turnover_scale=turnover_scale,
        minutes=minutes,
        no_trade=no_trade,
        missing=missing,
        summary=summarise(minutes, scales.price, scales.volume, turnover_scale, ticker),
        grid_config=grid_config,
        rules=rules,
        account=account,
    )


class _Scales(NamedTuple):
    """What prices, volumes and turnovers are multiplied by; no turnover where a minute does not tell it."""

    price: int
    volume: int
    turnover: int | None


def _scales_of(
    candles: Sequence[Candle], hour: Hour, ticker: Ticker | None, price_scale: int, volume_scale: int
) -> _Scales:
    """Return the smallest scales, at least the market's, that hold every value of the hour."""
    inside = [c for c in candles if hour.open_ts <= c.ts < hour.close_ts]
    prices = [p for c in inside for p in (c.open, c.high, c.low, c.close)]
    prices += [c.close for c in candles if c.ts < hour.open_ts][-1:]
    prices += [] if ticker is None else [ticker.best_bid, ticker.best_ask, ticker.last]
    turnovers = [c.turnover for c in inside if c.turnover is not None]
    return _Scales(
        scale_for(prices, price_scale),
        scale_for((c.volume for c in inside), volume_scale),
        scale_for(turnovers) if len(turnovers) == len(inside) else None,
    )


def _laid_out(
    candles: Sequence[Candle], hour: Hour, cannot_fill: frozenset[int], scales: _Scales, where: str
) -> tuple[Minutes, tuple[int, ...], tuple[int, ...]]:
    """Return the hour's sixty minutes, and which of them had no trade and which are missing."""
    by_ts = {candle.ts: candle for candle in candles if hour.open_ts <= candle.ts < hour.close_ts}
    last_seen = candles[-1].ts if candles else -1
    before = [candle.close for candle in candles if candle.ts < hour.open_ts]
    previous_close = to_scaled(before[-1], scales.price, where, "close") if before else None
    rows: list[Sequence[int | None]] = []
    no_trade: list[int] = []
    missing: list[int] = []
    for minute in range(MINUTES):
        ts = hour.open_ts + 60 * minute
        if candle := by_ts.get(ts):
            row = _scaled_row(candle, scales, f"{where} minute {minute}")
            previous_close = row[3]
        elif minute not in cannot_fill and previous_close is not None and ts < last_seen:
            row = (previous_close,) * 4 + (0, 0)
            no_trade.append(minute)
        else:
            row = (None,) * 6
            previous_close = None  # what follows a hole has no known previous close
            missing.append(minute)
        rows.append(row)
    open_, high, low, close, volume, turnover = zip(*rows, strict=True)
    told = turnover if scales.turnover is not None else None
    return Minutes(open_, high, low, close, volume, told), tuple(no_trade), tuple(missing)


def _check_order(where: str, candles: Sequence[Candle]) -> None:
    previous = None
    for candle in candles:
        if previous is not None and candle.ts <= previous:
            raise DataInvalid(where, "candles", f"{candle.ts} follows {previous}; expected rising times")
        if candle.ts % 60:
            raise DataInvalid(where, "candles", f"{candle.ts} is not the start of a minute")
        if fault := candle.fault():
            raise DataInvalid(where, f"candle {candle.ts}", fault)
        previous = candle.ts


def _scaled_row(c: Candle, scales: _Scales, where: str) -> tuple[int | None, ...]:
    turnover = None
    if scales.turnover is not None and c.turnover is not None:
        turnover = to_scaled(c.turnover, scales.turnover, where, "turnover")
    return (
        to_scaled(c.open, scales.price, where, "open"),
        to_scaled(c.high, scales.price, where, "high"),
        to_scaled(c.low, scales.price, where, "low"),
        to_scaled(c.close, scales.price, where, "close"),
        to_scaled(c.volume, scales.volume, where, "volume"),
        turnover,
    )


def _known(column: Column) -> list[int]:
    return [value for value in column if value is not None]


def summarise(
    minutes: Minutes,
    price_scale: int,
    volume_scale: int,
    turnover_scale: int,
    ticker: Ticker | None = None,
) -> MarketSummary | None:
    """Return the hour in one line, None when no minute is known."""
    opens, closes, volumes = _known(minutes.open), _known(minutes.close), _known(minutes.volume)
    if not opens:
        return None
    volume = sum(volumes)
    return MarketSummary(
        open=opens[0],
        high=max(_known(minutes.high)),
        low=min(_known(minutes.low)),
        close=closes[-1],
        volume=volume,
        vwap=_vwap(minutes, volume, price_scale, volume_scale, turnover_scale),
        best_bid=None if ticker is None else to_scaled(ticker.best_bid, price_scale),
        best_ask=None if ticker is None else to_scaled(ticker.best_ask, price_scale),
        last=None if ticker is None else to_scaled(ticker.last, price_scale),
        ticker_at=None if ticker is None else ticker.at,
    )


def _vwap(
    minutes: Minutes, volume: int, price_scale: int, volume_scale: int, turnover_scale: int
) -> int | None:
    if not volume:
        return None
    if minutes.turnover is not None:
        numerator = sum(_known(minutes.turnover)) * price_scale * volume_scale
        denominator = turnover_scale * volume
    else:
        rows = zip(minutes.open, minutes.high, minutes.low, minutes.close, minutes.volume, strict=True)
        numerator = sum((o + h + lo + c) * v for o, h, lo, c, v in rows if v)  # type: ignore[operator,misc]
        denominator = 4 * volume
    return (2 * numerator + denominator) // (2 * denominator)


@dataclass(frozen=True, slots=True)
class ValidationResult:
    """What is wrong (`errors`: do not use it) and what is odd (`warnings`: use it, and say so)."""

    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return not self.errors


def validate_snapshot(snapshot: MarketSnapshot) -> ValidationResult:
    """Check one snapshot in itself: rules 1, 3 and the summary of rule 4.

    The digest and the required fields are checked where the file is read, agreement between files by
    `regimed verify`.
    """
    named = _columns(snapshot.minutes)
    faults = [
        f"minutes.{name}: {len(column)} minutes, expected {MINUTES}"
        for name, column in named.items()
        if len(column) != MINUTES
    ]
    # Each check relies on the ones before it, so the first kind of fault found ends the search.
    faults = faults or _slot_faults(snapshot, named)
    faults = faults or [
        fault
        for minute in range(MINUTES)
        if minute not in snapshot.missing
        for fault in _row_faults(minute, snapshot)
    ]
    faults = faults or _summary_faults(snapshot)
    warnings = [f"{len(snapshot.missing)} of 60 minutes are missing"] if snapshot.missing else []
    if len(snapshot.no_trade) == MINUTES:
        warnings.append("no trades in the whole hour")
    return ValidationResult(tuple(faults), tuple(warnings))


def _columns(m: Minutes) -> dict[str, Column]:
    columns = {"open": m.open, "high": m.high, "low": m.low, "close": m.close, "volume": m.volume}
    if m.turnover is not None:
        columns["turnover"] = m.turnover
    return columns


def _summary_faults(snapshot: MarketSnapshot) -> list[str]:
    told = snapshot.summary
    found = summarise(snapshot.minutes, snapshot.price_scale, snapshot.volume_scale, snapshot.turnover_scale)
    if told is None or found is None:
        return [] if told is found else ["market_summary: must be there exactly when a minute is known"]
    return [
        f"market_summary.{name}: {getattr(told, name)}, the minutes give {getattr(found, name)}"
        for name in ("open", "high", "low", "close", "volume", "vwap")
        if getattr(told, name) != getattr(found, name)
    ]


def _slot_faults(snapshot: MarketSnapshot, named: Mapping[str, Column]) -> list[str]:
    faults = []
    for label, listed in (("no_trade", snapshot.no_trade), ("missing", snapshot.missing)):
        if list(listed) != sorted(set(listed)) or any(not 0 <= i < MINUTES for i in listed):
            faults.append(f"{label}: {list(listed)}, expected rising minutes 0 to 59, each once")
    if both := set(snapshot.no_trade) & set(snapshot.missing):
        faults.append(f"minutes {sorted(both)} are both no_trade and missing")
    missing = set(snapshot.missing)
    for name, column in named.items():
        holes = {i for i, value in enumerate(column) if value is None}
        if holes != missing:
            faults.append(f"minutes.{name}: null at {sorted(holes)}, but missing names {sorted(missing)}")
    return faults


def _row_faults(minute: int, snapshot: MarketSnapshot) -> list[str]:
    m = snapshot.minutes
    o, h, lo, c, v = m.open[minute], m.high[minute], m.low[minute], m.close[minute], m.volume[minute]
    assert o is not None and h is not None and lo is not None and c is not None and v is not None
    faults = []
    if not 0 < lo <= min(o, c) or h < max(o, c):
        faults.append(
            f"minute {minute}: open {o}, high {h}, low {lo}, close {c};"
            " expected 0 < low <= open, close <= high"
        )
    if v < 0:
        faults.append(f"minute {minute}: volume {v} is negative")
    turnover = None if m.turnover is None else m.turnover[minute]
    if turnover is not None and turnover < 0:
        faults.append(f"minute {minute}: turnover {turnover} is negative")
    if minute in snapshot.no_trade and not (o == h == lo == c and v == 0):
        faults.append(f"minute {minute}: no_trade, but not flat with volume 0")
    return faults
