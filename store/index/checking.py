"""What the index keeps, against its own rows: summaries that differ, rows that belong to nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

import numpy as np
from sqlalchemy import ColumnElement, Connection, Table, exists, func, select

from regime.series import RegimeCounts, periods_of
from store.index.database import Database
from store.index.reading import periods_between, rows_between
from store.index.schema import (
    BAR_BITS,
    CONFIDENCE_BITS,
    candle_rows,
    code_names,
    fillings,
    period_rows,
    regime_codes,
    regime_rows,
    series,
)
from store.index.state import Known, all_known, known


def check(database: Database) -> list[str]:
    """Return what is wrong, one line each; each series is looked at in a transaction of its own."""
    with database.reading() as connection:
        found = [*_strangers(connection), *_names(connection)]
        every = all_known(connection)
    for one in every:
        with database.reading() as connection:
            now = known(connection, one.state.symbol, one.state.timeframe)
            if now is not None:  # not removed meanwhile
                found += [
                    f"{now.state.symbol} {now.state.timeframe.value}: {line}"
                    for line in _faults(connection, now)
                ]
    return found


def _strangers(connection: Connection) -> Iterator[str]:
    """Tell of rows that belong to no series."""
    ids = sorted(connection.execute(select(series.c.id)).scalars())
    for table in (candle_rows, regime_rows, period_rows):
        count = _count(connection, table, 0, 1 << 62) - sum(
            _count(connection, table, number << BAR_BITS, (number + 1) << BAR_BITS) for number in ids
        )
        if count:
            yield f"{table.name}: {count} rows belong to no series"


def _names(connection: Connection) -> Iterator[str]:
    stand = [row._asdict() for row in connection.execute(select(regime_codes).order_by(regime_codes.c.code))]
    if stand != code_names():
        yield "regime_codes: its names are not those of this program"


def _count(connection: Connection, table: Table, start: int, end: int, *also: ColumnElement[bool]) -> int:
    place = table.c.place
    asked = select(func.count()).select_from(table).where(place >= start, place < end, *also)
    return int(connection.execute(asked).scalar_one())


def _faults(connection: Connection, one: Known) -> Iterator[str]:
    places, state = one.places, one.state
    end_ts = places.timeframe.seconds << BAR_BITS
    rows = rows_between(connection, places, 0, end_ts)
    beyond = int((rows.ts >= state.filled_to_ts).sum())
    if beyond:
        yield f"{beyond} rows at or beyond filled_to_ts {state.filled_to_ts}"
    late = _count(connection, candle_rows, places.at_or_after(state.filled_to_ts), places.end)
    if late:
        yield f"{late} candles at or beyond filled_to_ts {state.filled_to_ts}"
    ends = (int(rows.ts[0]), int(rows.ts[-1])) if len(rows) else (None, None)
    if (state.first_ts, state.last_ts) != ends:
        yield f"first and last row {state.first_ts}, {state.last_ts}, found {ends[0]}, {ends[1]}"
    yield from _unrooted(connection, one)
    codes = len(code_names())
    unknown = _count(
        connection, regime_rows, places.start, places.end, regime_rows.c.state >= codes << CONFIDENCE_BITS
    )
    if unknown:
        yield f"{unknown} rows have a code that stands for nothing"
        return  # what such rows count up to says nothing
    counted = RegimeCounts.of(rows)
    for field in fields(RegimeCounts):
        if not np.array_equal(getattr(state.counts, field.name), getattr(counted, field.name)):
            yield f"kept counts of {field.name} differ from those of the rows"
    if periods_between(connection, places, 0, end_ts) != periods_of(rows):
        yield "kept periods differ from those of the rows"


def _unrooted(connection: Connection, one: Known) -> Iterator[str]:
    """Tell of rows without their candle, and of rows made by other rules than the series has."""
    mine = regime_rows.c.place >= one.places.start, regime_rows.c.place < one.places.end
    lacking = select(func.count()).where(*mine, ~exists().where(candle_rows.c.place == regime_rows.c.place))
    count = connection.execute(lacking).scalar_one()
    if count:
        yield f"{count} rows have no candle"
    proper = exists().where(fillings.c.id == regime_rows.c.filling, fillings.c.rules == one.rules_id)
    count = connection.execute(select(func.count()).where(*mine, ~proper)).scalar_one()
    if count:
        yield f"{count} rows come from no filling by the series' rules"
