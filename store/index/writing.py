"""Rows into the index: from some bar on everything is replaced, in one transaction with what is kept of it.

What stands already is compared first. Equal rows stay as they were made, so that a repeated pass writes next
to nothing and alters no revision.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
from sqlalchemy import Connection, Table, bindparam, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from market.candles import Bars, Ints
from market.errors import IndexChanged
from market.hours import Timeframe
from regime.series import Period, RegimeCounts, RegimeRows, RegimeRules, periods_of
from store.index import bulk
from store.index.codes import Places, states_of
from store.index.reading import bars_between, last_period, rows_between
from store.index.schema import candle_rows, fillings, period_rows, regime_rows, rules, series
from store.index.state import AnyState, Known, SeriesState, differs, known, microseconds

_KEEP_SERIES = update(series).where(series.c.id == bindparam("number"))
_NEWEST_FILLING = select(fillings).order_by(fillings.c.id.desc()).limit(1)
_ADD_FILLING = insert(fillings).returning(fillings.c.id)
_DIALECTS: dict[str, Callable[[Table], sqlite.Insert | postgresql.Insert]] = {
    "sqlite": sqlite.insert,
    "postgresql": postgresql.insert,
}
_KEEP_RULES = {name: made(rules).on_conflict_do_nothing() for name, made in _DIALECTS.items()}
_KEEP_PERIOD = {
    name: made(period_rows).on_conflict_do_update(
        index_elements=["place"], set_={"bars": made(period_rows).excluded.bars}
    )
    for name, made in _DIALECTS.items()
}


@dataclass(frozen=True, slots=True)
class Filling:
    """What one write brings: all rows and bars of a series in [start_ts, filled_to_ts).

    Attributes:
        symbol: Market key.
        timeframe: Of rows and bars.
        rows: Regimes; each has its bar.
        bars: Those of the range that are known.
        price_scale, volume_scale: Of the bars.
        start_ts, filled_to_ts: The range, epoch seconds.
        rules: What the rows were made by.
        source: Commit of the data repository.
        created_at: When they were made.

    Raises:
        ValueError: Rows or bars of another timeframe or outside the range, rows without a bar.
    """

    symbol: str
    timeframe: Timeframe
    rows: RegimeRows
    bars: Bars
    price_scale: int
    volume_scale: int
    start_ts: int
    filled_to_ts: int
    rules: RegimeRules
    source: str
    created_at: datetime

    def __post_init__(self) -> None:
        where = f"{self.symbol} {self.timeframe.value}"
        for what, column, timeframe in (
            ("row", self.rows.ts, self.rows.timeframe),
            ("bar", self.bars.ts, self.bars.timeframe),
        ):
            if timeframe is not self.timeframe:
                raise ValueError(f"{where}: {what}s of {timeframe.value}")
            if not len(column):
                continue
            if int(column[0]) < self.start_ts or int(column[-1]) >= self.filled_to_ts:
                raise ValueError(
                    f"{where}: {what}s open from {column[0]} to {column[-1]}, "
                    f"expected them within [{self.start_ts}, {self.filled_to_ts})"
                )
            if (column % timeframe.seconds).any() or (np.diff(column) <= 0).any():
                raise ValueError(f"{where}: {what}s must rise and open on multiples of the timeframe")
        at = np.searchsorted(self.bars.ts, self.rows.ts)
        lacks = np.append(self.bars.ts, -1)[at] != self.rows.ts
        if lacks.any():
            raise ValueError(f"{where}: the row at {self.rows.ts[lacks][0]} has no bar")

    def since(self, ts: int) -> Filling:
        """Return what of it opens at `ts` or later."""
        if ts <= self.start_ts:
            return self
        return replace(
            self,
            rows=self.rows.between(ts, self.filled_to_ts),
            bars=self.bars.between(ts, self.filled_to_ts),
            start_ts=ts,
        )


def write(
    connection: Connection, filling: Filling, expected: SeriesState | AnyState | None, where: str
) -> SeriesState:
    """Replace everything of a series from the filling's start on.

    Args:
        connection: A writing transaction.
        filling: The new rows and bars.
        expected: What the series is to be before, None for none.
        where: What errors call the index.

    Raises:
        IndexChanged: The series is not as expected; nothing was changed.
        ValueError: It would leave a hole, or mix rules or scales within a series.
    """
    one_writer(connection, filling.symbol, filling.timeframe)
    before = known(connection, filling.symbol, filling.timeframe)
    if not isinstance(expected, AnyState):
        state = None if before is None else before.state
        problem = differs(state, expected, f"{filling.symbol} {filling.timeframe.value}")
        if problem is not None:
            raise IndexChanged(where, problem)
    rules_id = _rules_id(connection, filling.rules) if before is None else before.rules_id
    if before is None:
        return _begin(connection, filling, rules_id)
    if _same_series(before.state, filling):
        if filling.start_ts > before.state.filled_to_ts:
            raise ValueError(
                f"{filling.symbol} {filling.timeframe.value}: filled to {before.state.filled_to_ts}, "
                f"rows from {filling.start_ts} on would leave a hole"
            )
        return _go_on(connection, before, filling)
    _refuse_a_mix(connection, before, filling)
    rules_id = _rules_id(connection, filling.rules)
    _remove(connection, before.places, before.places.start)
    empty = replace(
        before.state,
        rules=filling.rules,
        price_scale=filling.price_scale,
        volume_scale=filling.volume_scale,
        filled_to_ts=filling.start_ts,
        revision=before.state.revision + 1,
        counts=RegimeCounts.none(),
        first_ts=None,
        last_ts=None,
    )
    return _append(connection, Known(before.places, rules_id, empty), filling, None)


def remove(
    connection: Connection,
    symbol: str,
    timeframe: Timeframe | None,
    start_ts: int | None,
    expected: SeriesState | None,
) -> int:
    """Remove a series or its end; return how many regime rows went."""
    asked = select(series.c.timeframe).where(series.c.symbol == symbol)
    if timeframe is not None:
        asked = asked.where(series.c.timeframe == timeframe.value)
    removed = 0
    for name in sorted(connection.execute(asked).scalars()):
        one_writer(connection, symbol, Timeframe(name))
        found = known(connection, symbol, Timeframe(name))
        if expected is not None:
            _refuse_another(None if found is None else found.state, expected)
        if found is None:
            continue
        if start_ts is None:
            removed += found.state.counts.rows
            _remove(connection, found.places, found.places.start)
            connection.execute(delete(series).where(series.c.id == found.places.series))
        elif start_ts < found.state.filled_to_ts:
            removed += _cut(connection, found, start_ts)
    return removed


def mark(
    connection: Connection, symbol: str, timeframe: Timeframe, source: str, expected: SeriesState | None
) -> None:
    """Name the commit up to which nothing changed; a series that is not there stays so."""
    one_writer(connection, symbol, timeframe)  # who compared the commit before goes on from it
    if expected is not None:
        found = known(connection, symbol, timeframe)
        _refuse_another(None if found is None else found.state, expected)
    connection.execute(
        update(series)
        .where(series.c.symbol == symbol, series.c.timeframe == timeframe.value)
        .values(source=source)
    )


def _refuse_another(found: SeriesState | None, expected: SeriesState) -> None:
    name = f"{expected.symbol} {expected.timeframe.value}"
    problem = differs(found, expected, name)
    if problem is not None:
        raise IndexChanged(name, problem)


def one_writer(connection: Connection, symbol: str, timeframe: Timeframe) -> None:
    """Wait until no other process writes the series; an SQLite file has one writer anyway."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"regimed {symbol} {timeframe.value}",)
        )


def _same_series(state: SeriesState, filling: Filling) -> bool:
    return (state.rules, state.price_scale, state.volume_scale) == (
        filling.rules,
        filling.price_scale,
        filling.volume_scale,
    )


def _refuse_a_mix(connection: Connection, before: Known, filling: Filling) -> None:
    asked = select(candle_rows.c.place).where(
        candle_rows.c.place >= before.places.start, candle_rows.c.place < before.places.end
    )
    first = connection.execute(asked.order_by(candle_rows.c.place).limit(1)).scalar_one_or_none()
    if first is not None and filling.start_ts > before.places.ts(first):
        raise ValueError(
            f"{filling.symbol} {filling.timeframe.value}: other rules or scales replace the whole series, "
            f"which begins at {before.places.ts(first)}; got rows from {filling.start_ts} on"
        )


def _begin(connection: Connection, filling: Filling, rules_id: int) -> SeriesState:
    state = SeriesState(
        symbol=filling.symbol,
        timeframe=filling.timeframe,
        rules=filling.rules,
        price_scale=filling.price_scale,
        volume_scale=filling.volume_scale,
        first_ts=None,
        last_ts=None,
        filled_to_ts=filling.start_ts,
        source=filling.source,
        revision=microseconds(filling.created_at) // 1_000_000,  # above those of a series that was removed
        counts=RegimeCounts.none(),
        updated_at=filling.created_at,
    )
    values = _series_values(state, rules_id) | {
        "symbol": filling.symbol,
        "timeframe": filling.timeframe.value,
        "seconds": filling.timeframe.seconds,
    }
    number = connection.execute(insert(series).values(values).returning(series.c.id)).scalar_one()
    return _append(connection, Known(Places(number, filling.timeframe), rules_id, state), filling, None)


def _go_on(connection: Connection, before: Known, filling: Filling) -> SeriesState:
    """Write what differs from what stands from the filling's start on."""
    state, start_ts = before.state, filling.start_ts
    if start_ts < state.filled_to_ts:
        start_ts = _first_difference(connection, before, filling)
        if min(start_ts, filling.filled_to_ts) < state.filled_to_ts:
            state = replace(state, revision=state.revision + 1)
    if start_ts < state.filled_to_ts:
        state = _without_rows_from(connection, replace(before, state=state), start_ts)
    last = last_period(connection, before.places, start_ts)
    return _append(connection, replace(before, state=state), filling.since(start_ts), last)


def _first_difference(connection: Connection, before: Known, filling: Filling) -> int:
    """Return the open of the first bar that is not as it stands; where all are, the end of both."""
    end_ts = before.state.filled_to_ts
    stand = rows_between(connection, before.places, filling.start_ts, end_ts)
    bars = bars_between(connection, before.places, filling.start_ts, end_ts)
    new_rows, new_bars = filling.rows.between(0, end_ts), filling.bars.between(0, end_ts)
    differs = [
        _differs(stand.ts, new_rows.ts, [(states_of(stand), states_of(new_rows))]),
        _differs(bars.ts, new_bars.ts, list(zip(bars.columns()[1:], new_bars.columns()[1:], strict=True))),
    ]
    return min([ts for ts in differs if ts is not None], default=max(end_ts, filling.start_ts))


def _differs(mine: Ints, theirs: Ints, columns: list[tuple[Ints, Ints]]) -> int | None:
    size = min(len(mine), len(theirs))
    unequal = mine[:size] != theirs[:size]
    for left, right in columns:
        unequal |= left[:size] != right[:size]
    at = np.flatnonzero(unequal)
    if len(at):
        return int(min(mine[at[0]], theirs[at[0]]))
    rest = [int(column[size]) for column in (mine, theirs) if len(column) > size]
    return min(rest) if rest else None


def _without_rows_from(connection: Connection, before: Known, start_ts: int) -> SeriesState:
    """Remove what opens at `start_ts` or later, before its end; return the state of what is left."""
    places, state = before.places, before.state
    gone = rows_between(connection, places, start_ts, state.filled_to_ts)
    last = last_period(connection, places, start_ts)
    _remove(connection, places, places.at_or_after(start_ts))
    if last is not None and last.last_ts >= start_ts:
        bars = places.at_or_after(start_ts) - places.at_or_after(last.first_ts)
        last = replace(last, last_ts=last.first_ts + (bars - 1) * places.timeframe.seconds)
        _keep_periods(connection, places, [last])
    counts = state.counts - RegimeCounts.of(gone, last)
    return replace(
        state,
        counts=counts,
        first_ts=state.first_ts if counts.rows else None,
        last_ts=None if last is None else last.last_ts,
        filled_to_ts=start_ts,
    )


def _cut(connection: Connection, before: Known, start_ts: int) -> int:
    state = replace(before.state, revision=before.state.revision + 1)
    left = _without_rows_from(connection, replace(before, state=state), start_ts)
    _keep_state(connection, before.places, before.rules_id, left)
    return before.state.counts.rows - left.counts.rows


def _append(connection: Connection, before: Known, filling: Filling, last: Period | None) -> SeriesState:
    """Add rows and bars after all that stand, and keep what they add up to."""
    places, rows, state = before.places, filling.rows, before.state
    if len(filling.bars):
        bulk.insert(connection, candle_rows, _columns(places.of(filling.bars.ts), filling.bars.columns()[1:]))
    if len(rows):
        number = _filling_id(connection, filling, before.rules_id)
        fillings_of = np.full(len(rows), number, dtype=np.int64)
        bulk.insert(connection, regime_rows, _columns(places.of(rows.ts), (states_of(rows), fillings_of)))
        _keep_periods(connection, places, periods_of(rows, last))
    kept = replace(
        state,
        first_ts=int(rows.ts[0]) if state.first_ts is None and len(rows) else state.first_ts,
        last_ts=int(rows.ts[-1]) if len(rows) else state.last_ts,
        filled_to_ts=filling.filled_to_ts,
        source=filling.source,
        counts=state.counts + RegimeCounts.of(rows, last),
        updated_at=filling.created_at,
    )
    _keep_state(connection, places, before.rules_id, kept)
    return kept


def _columns(place: Ints, figures: Iterable[Ints]) -> Iterator[Sequence[tuple[int, ...]]]:
    """Give rows of plain numbers, a batch at a time."""
    columns = [place, *figures]
    for start in range(0, len(place), bulk.BATCH):
        yield list(zip(*(column[start : start + bulk.BATCH].tolist() for column in columns), strict=True))


def _remove(connection: Connection, places: Places, start: int) -> None:
    for table in (
        period_rows,
        regime_rows,
        candle_rows,
    ):  # regimes first: one walk instead of one cascade a bar
        place = table.c.place
        connection.execute(delete(table).where(place >= start, place < places.end))


def _keep_periods(connection: Connection, places: Places, found: list[Period]) -> None:
    start, step = places.start, places.timeframe.seconds
    rows = [
        (start + one.first_ts // step, (one.last_ts - one.first_ts) // step + 1, one.regime, one.previous)
        for one in found
    ]
    first = dict(zip(("place", "bars", "regime", "previous"), rows[0], strict=True))
    connection.execute(_KEEP_PERIOD[connection.dialect.name], first)
    if len(rows) > 1:
        bulk.insert(connection, period_rows, [rows[1:]])


def _series_values(state: SeriesState, rules_id: int) -> dict[str, Any]:
    return {
        "rules": rules_id,
        "price_scale": state.price_scale,
        "volume_scale": state.volume_scale,
        "first_ts": state.first_ts,
        "last_ts": state.last_ts,
        "filled_to_ts": state.filled_to_ts,
        "source": state.source,
        "revision": state.revision,
        "updated_us": microseconds(state.updated_at),
        "counts": state.counts.to_bytes(),
    }


def _keep_state(connection: Connection, places: Places, rules_id: int, state: SeriesState) -> None:
    connection.execute(_KEEP_SERIES, {"number": places.series, **_series_values(state, rules_id)})


def _rules_id(connection: Connection, wanted: RegimeRules) -> int:
    values = {"engine_version": wanted.engine_version, "parameters": wanted.parameters}
    connection.execute(_KEEP_RULES[connection.dialect.name], values)
    asked = select(rules.c.id).where(
        rules.c.engine_version == wanted.engine_version, rules.c.parameters == wanted.parameters
    )
    return int(connection.execute(asked).scalar_one())


def _filling_id(connection: Connection, filling: Filling, rules_id: int) -> int:
    """Return the newest filling's number where it is this one, to the minute; otherwise make a new one."""
    minute = microseconds(filling.created_at) // 60_000_000 * 60
    values = {"created_ts": minute, "source": filling.source, "rules": rules_id}
    newest = connection.execute(_NEWEST_FILLING).one_or_none()
    if newest is not None and newest._asdict().items() >= values.items():
        return int(newest.id)
    return int(connection.execute(_ADD_FILLING, values).scalar_one())
