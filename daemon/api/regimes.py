"""Questions about the regimes of one series: their normal form, their ETag, and how each is answered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from daemon.api import routes
from daemon.api.answers import etag_of
from daemon.api.cursors import cursor_at, place_of
from daemon.api.parameters import CURSOR
from daemon.api.problems import Problem
from daemon.api.regime_json import joined, rows_json, stored_rows
from daemon.api.routes import Route
from daemon.regime_answers import PeriodPage, RowFilter, Standing
from daemon.regime_forms import LEGEND, counts_dict, period_dicts, time_of
from daemon.regimes import RegimeHistory
from market.hours import Timeframe

_LEGEND = {label.value: told for label, told in LEGEND.items()}
_NEVER = 1 << 40


@dataclass(frozen=True, slots=True)
class Told:
    """An answer, and what it took.

    Attributes:
        body: JSON.
        stored, computed: Rows of each kind.
        as_planned: False where other rows were stored than expected, so that the ETag does not hold.
    """

    body: bytes
    stored: int = 0
    computed: int = 0
    as_planned: bool = True


@dataclass(frozen=True, slots=True)
class Question:
    """One question in its normal form.

    Attributes:
        symbol, timeframe: The series.
        start_ts, end_ts: Whole bars of the recorded span.
        from_ts: Where the page begins: the start, or the cursor's place.
        filters: What else was asked, by name.
        cursor_of: Names the question for its cursors.
        etag: Of the answer; None where nothing tells of changes.
        standing: What it was made with.
    """

    symbol: str
    timeframe: Timeframe
    start_ts: int
    end_ts: int
    from_ts: int
    filters: Mapping[str, Any]
    cursor_of: str
    etag: str | None
    standing: Standing

    @property
    def head(self) -> dict[str, Any]:
        """The members that every answer begins with."""
        return {
            "symbol": self.symbol,
            "timeframe": self.timeframe.value,
            "start": time_of(self.start_ts),
            "end": time_of(self.end_ts),
        }

    def next(self, next_ts: int | None) -> str | None:
        return None if next_ts is None else cursor_at(self.cursor_of, str(next_ts))


def checked_span(asked: Mapping[str, Any]) -> None:
    """Refuse a span that ends before it starts."""
    start, end = asked["start"], asked["end"]
    if start is not None and end is not None and end < start:
        raise Problem.of_parameter("end", time_of(end), f"a time not before the start, {time_of(start)}")


def question_of(route: Route, asked: Mapping[str, Any], standing: Standing) -> Question:
    """Return the normal form of a question; raises Problem for a cursor of another one."""
    symbol, timeframe = asked["symbol"], asked["timeframe"]
    filters = {name: asked[name] for name in asked if name not in _PLACES}
    cursor_of = f"{route.name} {symbol} {timeframe.value} {_without_limit(filters)}"
    start, end = standing.clipped(asked["start"], asked["end"])
    place = _place(cursor_of, asked.get("cursor"))
    version = standing.version(None if route in _WHOLE else end)
    etag = None
    if version is not None:
        etag = etag_of(route.name, symbol, timeframe.value, start, end, place, filters, version)
    from_ts = start if place is None else min(max(start, place), end)
    return Question(symbol, timeframe, start, end, from_ts, filters, cursor_of, etag, standing)


_PLACES = ("symbol", "timeframe", "start", "end", "cursor")
_WHOLE = (routes.REGIME_PERIODS, routes.REGIME_TRANSITIONS)  # a period goes on beyond the span


def _without_limit(filters: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return [(name, value) for name, value in filters.items() if name not in ("limit", "candles")]


def _place(cursor_of: str, cursor: str | None) -> int | None:
    if cursor is None:
        return None
    place = place_of(cursor_of, cursor)
    if not place.isdecimal() or not 0 <= int(place) < _NEVER:
        raise Problem.of_parameter("cursor", cursor, CURSOR.expected)
    return int(place)


def _rows(history: RegimeHistory, asked: Question) -> Told:
    filters = asked.filters
    where = RowFilter(filters["simplified"], filters["verdict"], filters["min_confidence"])
    page = history.rows(
        asked.symbol,
        asked.timeframe,
        asked.from_ts,
        asked.end_ts,
        limit=filters["limit"],
        where=where,
        candles=filters["candles"],
    )
    stored = stored_rows(page)
    computed = len(page.rows) - stored
    source = "stored" if not computed else "mixed" if stored else "computed"
    head = asked.head | {"legend": _LEGEND, "source": source}
    expected = min(asked.standing.stored_to_ts, asked.end_ts)
    return Told(
        joined(head, "rows", rows_json(page), {"next": asked.next(page.next_ts)}),
        stored,
        computed,
        as_planned=not len(page.rows) or page.stored_before_ts == expected,
    )


def _stats(history: RegimeHistory, asked: Question) -> Told:
    counts = history.counts(asked.symbol, asked.timeframe, asked.start_ts, asked.end_ts)
    return Told(orjson.dumps(asked.head | counts_dict(counts)))


def _periods(history: RegimeHistory, asked: Question) -> Told:
    page = history.periods(
        asked.symbol,
        asked.timeframe,
        asked.from_ts,
        asked.end_ts,
        regime=asked.filters["regime"],
        limit=asked.filters["limit"],
    )
    return _told_periods(asked, page, "periods")


def _transitions(history: RegimeHistory, asked: Question) -> Told:
    page = history.transitions(
        asked.symbol,
        asked.timeframe,
        asked.from_ts,
        asked.end_ts,
        before=asked.filters["from"],
        after=asked.filters["to"],
        limit=asked.filters["limit"],
    )
    return _told_periods(asked, page, "transitions")


def _told_periods(asked: Question, page: PeriodPage, name: str) -> Told:
    told = period_dicts(page)
    if asked.from_ts > asked.start_ts and page.periods and page.periods[0].period.first_ts < asked.from_ts:
        told = told[1:]  # it grew together with one that a page before has told
    return Told(joined(asked.head, name, orjson.dumps(told), {"next": asked.next(page.next_ts)}))


ANSWERS: Mapping[str, Callable[[RegimeHistory, Question], Told]] = {
    routes.REGIME_ROWS.name: _rows,
    routes.REGIME_STATS.name: _stats,
    routes.REGIME_PERIODS.name: _periods,
    routes.REGIME_TRANSITIONS.name: _transitions,
}
