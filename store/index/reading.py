"""The questions to one series: rows, bars, counts, periods. Each is one walk along the primary key."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, func, select

from market.candles import Bars, no_bars
from market.hours import Timeframe
from regime.series import Period, RegimeCounts, RegimeRows
from store.index.codes import Places, bars_at, codes_with, numbers, period_at, rows_of
from store.index.schema import CONFIDENCE_BITS, STATE_BITS, candle_rows, period_rows, regime_rows, series
from store.index.state import PricedPeriod, known

_FIRST = candle_rows.alias("first_bar")
_LAST = candle_rows.alias("last_bar")
_PERIODS = select(
    period_rows.c.place,
    period_rows.c.bars,
    period_rows.c.regime,
    period_rows.c.previous,
)
_PRICED = (
    _PERIODS.add_columns(_FIRST.c.open, _LAST.c.close)
    .join_from(period_rows, _FIRST, _FIRST.c.place == period_rows.c.place)
    .join(_LAST, _LAST.c.place == period_rows.c.place + period_rows.c.bars - 1)
    .order_by(period_rows.c.place)
)


def places_of(connection: Connection, symbol: str, timeframe: Timeframe) -> Places | None:
    """Return where a series stands, None for one that is not there."""
    asked = select(series.c.id).where(series.c.symbol == symbol, series.c.timeframe == timeframe.value)
    found = connection.execute(asked).scalar_one_or_none()
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
    return rows_of(places.timeframe, numbers(_raw(connection, asked.limit(limit)), 1)[0])


def bars_between(connection: Connection, places: Places, start_ts: int, end_ts: int) -> Bars:
    """Return the bars of one series, oldest first."""
    asked = (
        select(candle_rows)
        .where(_between(candle_rows.c.place, places, start_ts, end_ts))
        .order_by(candle_rows.c.place)
    )
    return bars_at(places, _raw(connection, asked))


def periods_between(connection: Connection, places: Places, start_ts: int, end_ts: int) -> list[Period]:
    """Return the periods that begin in [start_ts, end_ts), oldest first."""
    asked = _PERIODS.where(_between(period_rows.c.place, places, start_ts, end_ts)).order_by(
        period_rows.c.place
    )
    return [period_at(places, *row) for row in _raw(connection, asked)]


def last_period(connection: Connection, places: Places, before_ts: int) -> Period | None:
    """Return the last period that begins before an instant."""
    asked = (
        _PERIODS.where(
            period_rows.c.place >= places.start, period_rows.c.place < places.at_or_after(before_ts)
        )
        .order_by(period_rows.c.place.desc())
        .limit(1)
    )
    found = connection.execute(asked).one_or_none()
    return None if found is None else period_at(places, *found)


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
    start, place = places.at_or_after(start_ts), period_rows.c.place
    holds_start = select(func.max(place)).where(place >= places.start, place <= start).scalar_subquery()
    asked = _PRICED.where(
        place >= func.coalesce(holds_start, start),
        place < places.at_or_after(end_ts),
        place + period_rows.c.bars > start,
    )
    if regime is not None:
        asked = asked.where(period_rows.c.regime == regime)
    return priced(connection, places, asked.limit(limit))


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
    return priced(connection, places, changes(places, start_ts, end_ts, before, after).limit(limit))


def changes(places: Places, start_ts: int, end_ts: int, before: int | None, after: int | None) -> Select[Any]:
    """Return the question for periods that begin in a range, from one regime to another, None being any."""
    previous = period_rows.c.previous
    asked = _PRICED.where(
        _between(period_rows.c.place, places, start_ts, end_ts),
        previous.is_not(None) if before is None else previous == before,
    )
    return asked if after is None else asked.where(period_rows.c.regime == after)


def priced(connection: Connection, places: Places, asked: Select[Any]) -> list[PricedPeriod]:
    """Return the answer to a question for periods with prices."""
    return [
        PricedPeriod(period_at(places, place, bars, regime, previous), opened, closed)
        for place, bars, regime, previous, opened, closed in _raw(connection, asked)
    ]


def _between(place: Any, places: Places, start_ts: int, end_ts: int) -> ColumnElement[bool]:
    return and_(place >= places.at_or_after(start_ts), place < places.at_or_after(end_ts))


def _raw(connection: Connection, asked: Select[Any]) -> list[tuple[Any, ...]]:
    """Return the driver's own tuples: ten thousand of SQLAlchemy's rows cost as much as the question."""
    cursor = connection.execute(asked).cursor
    return [] if cursor is None else list(cursor.fetchall())
