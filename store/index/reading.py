"""The questions to one series: rows, bars, counts, periods. Each is one walk along the primary key."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from sqlalchemy import (
    BigInteger,
    BindParameter,
    ColumnElement,
    Connection,
    LargeBinary,
    Select,
    Text,
    and_,
    bindparam,
    cast,
    func,
    literal,
    select,
)

from market.candles import Bars, Ints, no_bars
from market.hours import Timeframe
from regime.series import Period, RegimeCounts, RegimeRows
from store.index.codes import NO_PREVIOUS, Places, bars_at, codes_with, periods_at, rows_of
from store.index.schema import CONFIDENCE_BITS, STATE_BITS, candle_rows, period_rows, regime_rows, series
from store.index.state import PricedPeriod, known

_ID = select(series.c.id).where(
    series.c.symbol == bindparam("symbol"), series.c.timeframe == bindparam("timeframe")
)
_ALL = 1 << 62
_MOST = bindparam("most", type_=BigInteger)


def _packed(asked: Select[Any], dialect: str) -> Select[Any]:
    """Return the question whose answer is one row: a value for each column of whole numbers.

    A text, or on PostgreSQL the bytes of the numbers: numpy reads it several times faster than a driver makes
    as many tuples.
    """
    pack = _bytes_of if dialect == "postgresql" else _text_of
    return select(*map(pack, asked.subquery().c))


def _text_of(column: ColumnElement[Any]) -> ColumnElement[Any]:
    return func.aggregate_strings(cast(column, Text), ",")


def _bytes_of(column: ColumnElement[Any]) -> ColumnElement[Any]:
    return func.string_agg(func.int8send(cast(column, BigInteger)), literal(b"", LargeBinary))


# Built once: to put such a question together takes longer than to answer it.
_ROWS = {
    dialect: _packed(
        select((regime_rows.c.place - bindparam("base")) * (1 << STATE_BITS) + regime_rows.c.state)
        .where(regime_rows.c.place >= bindparam("start"), regime_rows.c.place < bindparam("end"))
        .order_by(regime_rows.c.place)
        .limit(_MOST),
        dialect,
    )
    for dialect in ("sqlite", "postgresql")
}
_FIRST = candle_rows.alias("first_bar")
_LAST = candle_rows.alias("last_bar")
_PERIODS = select(
    period_rows.c.place,
    period_rows.c.bars,
    period_rows.c.regime,
    func.coalesce(period_rows.c.previous, NO_PREVIOUS).label("previous"),
)
_LAST_PERIOD = (
    _PERIODS.where(period_rows.c.place >= bindparam("start"), period_rows.c.place < bindparam("end"))
    .order_by(period_rows.c.place.desc())
    .limit(1)
)
_PRICED = (
    _PERIODS.add_columns(_FIRST.c.open, _LAST.c.close)
    .join_from(period_rows, _FIRST, _FIRST.c.place == period_rows.c.place)
    .join(_LAST, _LAST.c.place == period_rows.c.place + period_rows.c.bars - 1)
    .order_by(period_rows.c.place)
)


def places_of(connection: Connection, symbol: str, timeframe: Timeframe) -> Places | None:
    """Return where a series stands, None for one that is not there."""
    found = connection.execute(_ID, {"symbol": symbol, "timeframe": timeframe.value}).scalar_one_or_none()
    return None if found is None else Places(found, timeframe)


def rows_between(
    connection: Connection,
    places: Places,
    start_ts: int,
    end_ts: int,
    *,
    limit: int | None = None,
    simplified: int | None = None,
    verdict: int | None = None,
    min_confidence: int | None = None,
) -> RegimeRows:
    """Return the rows of one series, oldest first, at most `limit`."""
    if simplified is verdict is min_confidence is None:
        bounds = {
            "base": places.start,
            "start": places.at_or_after(start_ts),
            "end": places.at_or_after(end_ts),
            "most": _ALL if limit is None else limit,
        }
        return rows_of(places.timeframe, _columns(connection, _ROWS[connection.dialect.name], bounds)[0])
    place, state = regime_rows.c.place, regime_rows.c.state
    asked = (
        select((place - places.start) * (1 << STATE_BITS) + state)
        .where(_between(place, places, start_ts, end_ts))
        .order_by(place)
    )
    if simplified is not None or verdict is not None:
        asked = asked.where((state // (1 << CONFIDENCE_BITS)).in_(codes_with(simplified, verdict)))
    if min_confidence is not None:
        asked = asked.where(state % (1 << CONFIDENCE_BITS) >= min_confidence)
    return rows_of(places.timeframe, _numbers(connection, asked.limit(limit))[0])


def bars_between(connection: Connection, places: Places, start_ts: int, end_ts: int) -> Bars:
    """Return the bars of one series, oldest first."""
    asked = (
        select(candle_rows)
        .where(_between(candle_rows.c.place, places, start_ts, end_ts))
        .order_by(candle_rows.c.place)
    )
    return bars_at(places, _numbers(connection, asked))


def periods_between(connection: Connection, places: Places, start_ts: int, end_ts: int) -> list[Period]:
    """Return the periods that begin in [start_ts, end_ts), oldest first."""
    asked = _PERIODS.where(_between(period_rows.c.place, places, start_ts, end_ts)).order_by(
        period_rows.c.place
    )
    return periods_at(places, *_numbers(connection, asked))


def last_period(connection: Connection, places: Places, before_ts: int) -> Period | None:
    """Return the last period that begins before an instant."""
    bounds = {"start": places.start, "end": places.at_or_after(before_ts)}
    found = np.array(connection.execute(_LAST_PERIOD, bounds).all(), dtype=np.int64).reshape(-1, 4)
    return next(iter(periods_at(places, *found.T)), None)


def get_regimes(
    connection: Connection,
    symbol: str,
    timeframe: Timeframe,
    start_ts: int,
    end_ts: int,
    **wanted: int | None,
) -> RegimeRows:
    places = places_of(connection, symbol, timeframe)
    if places is None:
        return RegimeRows.none(timeframe)
    return rows_between(connection, places, start_ts, end_ts, **wanted)


def get_candles(
    connection: Connection, symbol: str, timeframe: Timeframe, start_ts: int, end_ts: int
) -> Bars:
    places = places_of(connection, symbol, timeframe)
    return no_bars(timeframe) if places is None else bars_between(connection, places, start_ts, end_ts)


def get_stats(
    connection: Connection, symbol: str, timeframe: Timeframe, start_ts: int | None, end_ts: int | None
) -> RegimeCounts:
    """Return what the rows of a range count up to; those kept where the range holds them all."""
    found = known(connection, symbol, timeframe)
    if found is None:
        return RegimeCounts.none()
    state = found.state
    start = state.first_ts if start_ts is None else start_ts
    end = state.filled_to_ts if end_ts is None else end_ts
    if state.first_ts is None or state.last_ts is None or start is None:
        return RegimeCounts.none()
    if start <= state.first_ts and end > state.last_ts:
        return state.counts
    return RegimeCounts.of(rows_between(connection, found.places, start, end))


def get_periods(
    connection: Connection,
    symbol: str,
    timeframe: Timeframe,
    start_ts: int,
    end_ts: int,
    *,
    regime: int | None,
    limit: int | None,
) -> list[PricedPeriod]:
    """Return the periods with a bar in [start_ts, end_ts), oldest first, as long as they are."""
    places = places_of(connection, symbol, timeframe)
    if places is None:
        return []
    bounds = {
        "base": places.start,
        "start": places.at_or_after(start_ts),
        "end": places.at_or_after(end_ts),
        "regime": regime,
        "most": _ALL if limit is None else limit,
    }
    return _priced(connection, places, _periods(connection.dialect.name, any_regime=regime is None), bounds)


def get_transitions(
    connection: Connection,
    symbol: str,
    timeframe: Timeframe,
    start_ts: int,
    end_ts: int,
    *,
    before: int | None,
    after: int | None,
    limit: int | None,
) -> list[PricedPeriod]:
    """Return the periods that begin in [start_ts, end_ts) right after another one, oldest first."""
    places = places_of(connection, symbol, timeframe)
    if places is None:
        return []
    return changes(connection, places, start_ts, end_ts, before, after, limit)


def changes(
    connection: Connection,
    places: Places,
    start_ts: int,
    end_ts: int,
    before: int | None,
    after: int | None,
    limit: int | None,
) -> list[PricedPeriod]:
    """Return the periods that begin in a range, from one regime to another, None being any."""
    asked = _changes(connection.dialect.name, from_any=before is None, to_any=after is None)
    bounds = {
        "start": places.at_or_after(start_ts),
        "end": places.at_or_after(end_ts),
        "before": before,
        "after": after,
        "most": _ALL if limit is None else limit,
    }
    return _priced(connection, places, asked, bounds)


def _priced(
    connection: Connection, places: Places, asked: Select[Any], bounds: dict[str, int | None]
) -> list[PricedPeriod]:
    known = {name: bound for name, bound in bounds.items() if bound is not None}
    *columns, opened, closed = _columns(connection, asked, known)
    found = periods_at(places, *columns)
    return list(map(PricedPeriod, found, opened.tolist(), closed.tolist()))


@cache
def _periods(dialect: str, *, any_regime: bool) -> Select[Any]:
    """Return the packed question for periods with a bar in a range."""
    place = period_rows.c.place
    start: BindParameter[int] = bindparam("start")
    holds_start = select(func.max(place)).where(place >= bindparam("base"), place <= start).scalar_subquery()
    asked = _PRICED.where(
        place >= func.coalesce(holds_start, start),
        place < bindparam("end"),
        place + period_rows.c.bars > start,
    )
    if not any_regime:
        asked = asked.where(period_rows.c.regime == bindparam("regime"))
    return _packed(asked.limit(_MOST), dialect)


@cache
def _changes(dialect: str, *, from_any: bool, to_any: bool) -> Select[Any]:
    """Return the packed question for periods that begin in a range right after another one."""
    place, previous = period_rows.c.place, period_rows.c.previous
    asked = _PRICED.where(
        place >= bindparam("start"),
        place < bindparam("end"),
        previous.is_not(None) if from_any else previous == bindparam("before"),
    )
    if not to_any:
        asked = asked.where(period_rows.c.regime == bindparam("after"))
    return _packed(asked.limit(_MOST), dialect)


def _between(place: Any, places: Places, start_ts: int, end_ts: int) -> ColumnElement[bool]:
    return and_(place >= places.at_or_after(start_ts), place < places.at_or_after(end_ts))


def _numbers(connection: Connection, asked: Select[Any]) -> Ints:
    """Return rows of whole numbers as columns, shape (columns, n), in the order of the first one."""
    return _columns(connection, _packed(asked, connection.dialect.name), {})


def _columns(connection: Connection, packed: Select[Any], bounds: dict[str, int]) -> Ints:
    """Return the answer to a packed question."""
    told = connection.execute(packed, bounds).one()
    if not told[0]:
        return np.empty((len(told), 0), dtype=np.int64)
    if isinstance(told[0], bytes):
        found = np.stack([np.frombuffer(column, dtype=">i8") for column in told]).astype(np.int64)
    else:
        found = np.stack([np.fromstring(column, dtype=np.int64, sep=",") for column in told])
    if (np.diff(found[0]) < 0).any():  # neither engine promises an order within an aggregate
        found = found[:, np.argsort(found[0])]
    return found
