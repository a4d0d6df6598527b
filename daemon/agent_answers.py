"""Answers to agents, JSON-ready and bounded: one method a tool. Blocking, any thread."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from typing import Any, TypeVar

from daemon.agent_arguments import (
    BadArgument,
    CompareBacktests,
    ExplainDecision,
    GetRegimes,
    ListMarkets,
    RegimePeriods,
    RegimeStats,
    RegimeTransitions,
    stored_timeframes,
    unknown_market,
)
from daemon.asking import (
    BEGINNING,
    END,
    confidence_named,
    regime_named,
    shown,
    time_named,
    timeframe_named,
    verdict_named,
)
from daemon.histories import OpenHistory
from daemon.regime_answers import RowFilter, UnknownMarket
from daemon.regime_forms import counts_dict, period_dicts, recorded_from, row_dicts, time_of
from daemon.strategies import StrategyComparisons
from daemon.whole_store import Key, WholeStore
from market.errors import DataInvalid
from market.hours import Timeframe
from market.keys import checked_key
from regime.series import ON_REQUEST, STORED
from store.advice import named_advice
from store.explaining import explained

T = TypeVar("T")
_MOST_LAGGING = 50


class AgentAnswers:
    """Answers each tool's question from one repository.

    Args:
        opened: Its history.
    """

    def __init__(self, opened: OpenHistory) -> None:
        self._opened, self._history = opened, opened.history
        self._whole = WholeStore(opened.history, opened.index)
        self._strategies = StrategyComparisons(opened)

    def list_markets(self, asked: ListMarkets) -> dict[str, Any]:
        if asked.cursor is not None:
            _checked_cursor(checked_key, asked.cursor)
        markets = self._history.markets()
        first = bisect_right([market.key for market in markets], asked.cursor or "")
        page = markets[first : first + asked.limit]
        return {
            "markets": [
                {
                    "symbol": market.key,
                    "start": time_of(market.start_ts),
                    "end": time_of(market.end_ts),
                    "recorded_from": recorded_from(market),
                    "stored_to": {
                        each.value: time_of(market.stored_to[each]) if each in market.stored_to else None
                        for each in STORED
                    },
                }
                for market in page
            ],
            "timeframes": [each.value for each in (*ON_REQUEST, *STORED)],
            "next": page[-1].key if first + asked.limit < len(markets) else None,
        }

    def get_regimes(self, asked: GetRegimes) -> dict[str, Any]:
        timeframe = Timeframe(asked.timeframe)
        if asked.verdict is not None and timeframe is not Timeframe.H1:
            raise BadArgument(
                "verdict", f"found {asked.verdict!r} with {asked.timeframe}, expected timeframe 1h"
            )
        start, end = _span(asked)
        where = RowFilter(
            None if asked.simplified_regime is None else regime_named(asked.simplified_regime),
            None if asked.verdict is None else verdict_named(asked.verdict),
            None if asked.min_confidence is None else confidence_named(asked.min_confidence),
        )
        page = self._history.rows(
            self._known(asked.symbol),
            timeframe,
            _gone_on(asked.cursor, start, end),
            end,
            limit=asked.limit,
            where=where,
            candles=asked.candles,
        )
        return {
            "symbol": asked.symbol,
            "timeframe": asked.timeframe,
            "recorded": self._recorded(asked.symbol, timeframe, start, end),
            "rows": row_dicts(page),
            "next": None if page.next_ts is None else time_of(page.next_ts),
        }

    def regime_stats(self, asked: RegimeStats) -> dict[str, Any]:
        start, end = _span(asked)
        if asked.symbol is None:
            for name in ("start", "end"):
                if getattr(asked, name) is not None:
                    raise BadArgument(
                        name,
                        f"found {getattr(asked, name)!r}, expected nothing without symbol: all rows count",
                    )
            timeframes, recorded = stored_timeframes(asked.timeframe, STORED), None
            found = self._whole.counts(timeframes)
            counts, computed = found.counts, _some(found.computed)
        else:
            timeframes = (_timeframe_with_symbol(asked.timeframe),)
            counts = self._history.counts(self._known(asked.symbol), timeframes[0], start, end)
            recorded = self._recorded(asked.symbol, timeframes[0], start, end)
            computed = self._computed(asked.symbol, timeframes[0], end)
        return {
            "symbol": asked.symbol,
            "timeframes": [each.value for each in timeframes],
            "recorded": recorded,
            "computed": computed,
            **counts_dict(counts),
        }

    def regime_transitions(self, asked: RegimeTransitions) -> dict[str, Any]:
        start, end = _span(asked)
        before = None if asked.from_regime is None else regime_named(asked.from_regime)
        after = None if asked.to_regime is None else regime_named(asked.to_regime)
        if before is not None and before == after:
            raise BadArgument(
                "to_regime", f"found {asked.to_regime!r}, expected another one than from_regime"
            )
        if asked.symbol is None:
            if before is None or after is None:
                name = "from_regime" if before is None else "to_regime"
                raise BadArgument(
                    name,
                    "found nothing, expected a regime where symbol is left out; regime_stats has the matrix",
                )
            timeframes = stored_timeframes(asked.timeframe, STORED)
            last = None if asked.cursor is None else _checked_cursor(_key_of, asked.cursor)
            found = self._whole.transitions(before, after, timeframes, (start, end), last, asked.limit)
            return {
                "recorded": None,
                "transitions": found.rows,
                "computed": _some(found.computed),
                "next": None if found.last is None else _cursor_of(found.last),
            }
        timeframe = _timeframe_with_symbol(asked.timeframe)
        page = self._history.transitions(
            self._known(asked.symbol),
            timeframe,
            _gone_on(asked.cursor, start, end),
            end,
            before=before,
            after=after,
            limit=asked.limit,
        )
        series = {"symbol": asked.symbol, "timeframe": timeframe.value}
        return {
            "recorded": self._recorded(asked.symbol, timeframe, start, end),
            "transitions": [series | period for period in period_dicts(page)],
            "computed": self._computed(asked.symbol, timeframe, end),
            "next": None if page.next_ts is None else time_of(page.next_ts),
        }

    def regime_periods(self, asked: RegimePeriods) -> dict[str, Any]:
        start, end = _span(asked)
        timeframe = Timeframe(asked.timeframe)
        page = self._history.periods(
            self._known(asked.symbol),
            timeframe,
            _gone_on(asked.cursor, start, end),
            end,
            regime=None if asked.simplified_regime is None else regime_named(asked.simplified_regime),
            limit=asked.limit,
        )
        return {
            "symbol": asked.symbol,
            "timeframe": asked.timeframe,
            "recorded": self._recorded(asked.symbol, timeframe, start, end),
            "periods": period_dicts(page),
            "computed": self._computed(asked.symbol, timeframe, end),
            "next": None if page.next_ts is None else time_of(page.next_ts),
        }

    def explain_decision(self, asked: ExplainDecision) -> dict[str, Any]:
        try:
            decision_id = named_advice(self._opened.root, asked.decision_id)
            told = explained(self._opened.root, decision_id)
        except DataInvalid as error:
            raise BadArgument("decision_id", f"found {shown(asked.decision_id)}: {error.problem}") from None
        return {"decision_id": decision_id, "paragraphs": told}

    def compare_backtests(self, asked: CompareBacktests) -> dict[str, Any]:
        start, end = _span(asked)
        return self._strategies.compare(self._known(asked.symbol), start, end)

    def _known(self, key: str) -> str:
        try:
            self._history.span(key, Timeframe.H1)
        except UnknownMarket as error:
            raise unknown_market(key, error.known) from None
        return key

    def _recorded(self, key: str, timeframe: Timeframe, start_ts: int, end_ts: int) -> dict[str, str]:
        """Return what of the asked span is recorded: without bars an empty answer is no finding."""
        start, end = self._history.standing(key, timeframe).clipped(start_ts, end_ts)
        return {"start": time_of(start), "end": time_of(end)}

    def _computed(self, key: str, timeframe: Timeframe, end_ts: int) -> list[str]:
        """Return what of an answer about a series was computed, in words; nothing where all was stored."""
        series = self._history.standing(key, timeframe)
        if series.stored_to_ts >= min(end_ts, series.end_ts):
            return []
        since = f" from {time_of(series.stored_to_ts)} on" if series.stored_to_ts else ""
        return [f"{key} {timeframe.value}{since}"]


def _span(asked: Any) -> tuple[int, int]:
    start = BEGINNING if asked.start is None else time_named(asked.start)
    end = END if asked.end is None else time_named(asked.end)
    if start >= end:
        raise BadArgument("end", f"found {asked.end!r}, expected a time after start {asked.start!r}")
    return start, end


def _gone_on(cursor: str | None, start: int, end: int) -> int:
    """Return where a page begins."""

    def within(text: str) -> int:
        found = time_named(text)
        if not start <= found < end:
            raise ValueError(text)
        return found

    return start if cursor is None else _checked_cursor(within, cursor)


def _checked_cursor(read: Callable[[str], T], cursor: str) -> T:
    try:
        return read(cursor)
    except ValueError:
        raise BadArgument("cursor", f"found {shown(cursor)}, expected `next` of the page before") from None


def _timeframe_with_symbol(name: str | None) -> Timeframe:
    if name is None:
        raise BadArgument("timeframe", "found nothing, expected 1m, 5m, 15m, 1h or 4h with symbol")
    return Timeframe(name)


def _cursor_of(last: Key) -> str:
    symbol, timeframe, first_ts = last
    return f"{symbol} {timeframe} {time_of(first_ts)}"


def _key_of(cursor: str) -> Key:
    symbol, timeframe, first = cursor.split(" ")
    return checked_key(symbol), timeframe_named(timeframe, STORED).value, time_named(first)


def _some(lines: tuple[str, ...]) -> list[str]:
    more = len(lines) - _MOST_LAGGING
    return [*lines[:_MOST_LAGGING], f"and {more} more"] if more > 0 else list(lines)
