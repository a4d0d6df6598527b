"""Collection: one closed hour of one market, from the exchange into a snapshot. Knows nothing of regimes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

from market.candles import Candle
from market.errors import AnswerMalformed, DataInvalid, ExchangeError
from market.failpoints import reach
from market.hours import HOUR_S, Hour, Timeframe
from market.ports import CandleSource, Clock, Exchange, SymbolRules
from market.snapshot import MarketSnapshot, Source, build_snapshot
from market.units import plain, price_scale_for

T = TypeVar("T")

LEAD_S = 3 * HOUR_S  # so that a first minute without trades has its previous close
TAIL_S = 300  # so that a last minute without trades has a candle after it
FRESH = timedelta(minutes=5)  # later than this, ticker and account say nothing about the hour
PART_S = 900


@dataclass(frozen=True, slots=True)
class HourAnswer:
    """What the exchange told of an hour.

    Attributes:
        snapshot: The hour itself.
        before: The hour before as the lead of the same answer tells it now: to compare with what is stored,
            never to store. None where the answer came in parts.
    """

    snapshot: MarketSnapshot
    before: MarketSnapshot | None


async def collect_snapshot(
    exchange: Exchange,
    *,
    key: str,
    symbol: str,
    hour: Hour,
    clock: Clock,
    source: Source,
    with_account: bool,
    grid_config: tuple[Mapping[str, Any], ...] = (),
) -> HourAnswer:
    """Return a closed hour, complete or with its missing minutes named, and a second look at the one before.

    Ticker and account are asked only within five minutes of the close, and the hour is kept without
    them when they fail. Where an answer is malformed the hour is fetched again in parts, so that one bad row
    costs its quarter of an hour and not the hour.

    Args:
        hour: Closed by `clock`; by the exchange's own time it may still lack its last minute.
        with_account: Whether to ask for balances and open orders.
        grid_config: State of every grid at the close of the hour.

    Raises:
        ExchangeError: No minutes could be had; see `market.errors`.
        DataInvalid: A value does not fit the snapshot's format.
    """
    reach("collect.before_fetch")
    rules = await exchange.rules(symbol)
    end_ts = min(hour.close_ts + TAIL_S, int(clock.now().timestamp()))
    candles, unfetched = await _minutes(exchange, symbol, hour, end_ts)
    is_fresh = clock.now() <= hour.closes_at + FRESH
    ticker = await _if_possible(lambda: exchange.ticker(symbol)) if is_fresh else None
    account = await _if_possible(lambda: exchange.account(symbol)) if is_fresh and with_account else None
    reach("collect.after_fetch")
    told = partial(
        build_snapshot,
        key=key,
        exchange=exchange.name,
        symbol=symbol,
        collected_at=clock.now(),
        source=source,
        candles=candles,
        price_scale=price_scale_for(rules.price_increment),
    )
    snapshot = told(
        hour=hour,
        unfetched=unfetched or (),
        ticker=ticker,
        grid_config=grid_config,
        rules=_as_text(rules),
        account=account,
    )
    try:
        before = told(hour=hour.plus(-1)) if unfetched is None else None
    except DataInvalid:  # what is wrong with the hour before must not cost this one
        before = None
    return HourAnswer(snapshot, before)


def _as_text(rules: SymbolRules) -> dict[str, str]:
    return {
        "price_increment": plain(rules.price_increment),
        "base_increment": plain(rules.base_increment),
        "base_min_size": plain(rules.base_min_size),
        "min_funds": plain(rules.min_funds),
    }


async def collect_bars(
    source: CandleSource, symbol: str, timeframe: Timeframe, start_ts: int, end_ts: int
) -> Sequence[Candle]:
    """Return the closed bars that open in [start_ts, end_ts), oldest first, for backfill.

    Raises:
        ExchangeError: See `market.errors`.
    """
    reach("collect.before_fetch")
    candles = await source.candles(symbol, timeframe, start_ts, end_ts)
    reach("collect.after_fetch")
    return candles


async def _minutes(
    exchange: Exchange, symbol: str, hour: Hour, end_ts: int
) -> tuple[Sequence[Candle], Sequence[int] | None]:
    """Return the candles, and which minutes are not proven where the answer had to be taken in parts."""
    try:
        return await exchange.candles(symbol, Timeframe.M1, hour.open_ts - LEAD_S, end_ts), None
    except AnswerMalformed as malformed:
        candles, unfetched = await _minutes_in_parts(exchange, symbol, hour, end_ts)
        if len(unfetched) == HOUR_S // 60:
            raise malformed from None
        return candles, unfetched


async def _minutes_in_parts(
    exchange: Exchange, symbol: str, hour: Hour, end_ts: int
) -> tuple[list[Candle], list[int]]:
    """Return what the parts gave, and the minutes of the hour that no single answer proves."""
    starts = [hour.open_ts - LEAD_S, *range(hour.open_ts, end_ts, PART_S)]
    candles: list[Candle] = []
    unfetched: list[int] = []
    for start, end in zip(starts, [*starts[1:], end_ts], strict=True):
        try:
            part = await exchange.candles(symbol, Timeframe.M1, start, end)
        except AnswerMalformed:
            part = ()
        candles += part
        proven = range(part[0].ts, part[-1].ts + 1) if part else range(0)
        within_hour = range(max(start, hour.open_ts), min(end, hour.close_ts), 60)
        unfetched += [(ts - hour.open_ts) // 60 for ts in within_hour if ts not in proven]
    return candles, unfetched


async def _if_possible(asked: Callable[[], Awaitable[T]]) -> T | None:
    try:
        return await asked()
    except ExchangeError:
        return None
