"""Questions to all series of a repository at once: from what the index keeps, and the files where it lags."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from daemon.asking import BEGINNING, END
from daemon.regime_forms import period_dict, time_of
from daemon.regimes import RegimeHistory
from market.errors import IndexUnavailable
from market.hours import Timeframe
from regime.series import RegimeCounts
from store.index.regime_index import RegimeIndex
from store.index.state import PricedPeriod, SeriesState

Key = tuple[str, str, int]  # symbol, timeframe's name, first bar's open


@dataclass(frozen=True, slots=True)
class AllCounts:
    """What all rows of some timeframes count up to.

    Attributes:
        series: How many series that are.
        computed: Of which series something was computed, in words.
    """

    counts: RegimeCounts
    series: int
    computed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """Changes of one page over all series, by symbol, timeframe's name and time.

    Attributes:
        rows: Each with its `symbol` and `timeframe`.
        last: Where the page ends; None where nothing follows.
        computed: Of which series something was computed, in words.
    """

    rows: list[dict[str, Any]]
    last: Key | None
    computed: tuple[str, ...]


class WholeStore:
    """All series of a repository; any thread.

    Args:
        history: Knows which stored rows are current.
        index: Returns what it reads; None computes everything.
    """

    def __init__(self, history: RegimeHistory, index: Callable[[], RegimeIndex | None]) -> None:
        self._history, self._index = history, index

    def counts(self, timeframes: Sequence[Timeframe]) -> AllCounts:
        """Return what all rows of these timeframes count up to, in time that grows with the series alone.

        Raises:
            RegimesBusy: What is not stored cannot be computed now.
        """
        states, total, computed = self._states(), RegimeCounts.none(), list[str]()
        series = self._series(timeframes, states)
        for key, timeframe, lag in series:
            if lag is None:
                total += states[key, timeframe].counts
            else:
                total += self._history.counts(key, timeframe, BEGINNING, END)
                computed.append(lag)
        return AllCounts(total, len(series), tuple(computed))

    def transitions(
        self,
        before: int,
        after: int,
        timeframes: Sequence[Timeframe],
        span: tuple[int, int],
        after_key: Key | None,
        limit: int,
    ) -> Found:
        """Return changes from one regime to another in all series.

        Args:
            before, after: Places in `SIMPLIFIED`.
            timeframes: All stored ones, or one.
            span: First instants of the periods after the change, [start, end), epoch seconds.
            after_key: The last change that was told before.
            limit: How many at most.

        Raises:
            RegimesBusy: What is not stored cannot be computed now.
        """
        states = self._states()
        series = self._series(timeframes, states)
        known = {(key, timeframe) for key, timeframe, lag in series if lag is None}
        everything = {pair for pair in states if pair[1] in timeframes}
        if span == (BEGINNING, END) and len(known) == len(series) and known == everything:
            found = self._stored(before, after, timeframes, states, after_key, limit)
            if found is not None:
                return found
        return self._one_by_one(before, after, series, span, after_key, limit)

    def _stored(
        self,
        before: int,
        after: int,
        timeframes: Sequence[Timeframe],
        states: dict[tuple[str, Timeframe], SeriesState],
        after_key: Key | None,
        limit: int,
    ) -> Found | None:
        index = self._index()
        if index is None:
            return None
        only = timeframes[0] if len(timeframes) == 1 else None
        try:
            found = index.find_transitions(
                before, after, timeframe=only, after_key=after_key, limit=limit + 1
            )
        except IndexUnavailable:
            return None
        if _told(self._states()) != _told(states):  # written meanwhile
            return None
        rows = [
            _row(key, timeframe, priced, states[key, timeframe].price_scale, states[key, timeframe].last_ts)
            for key, timeframe, priced in found[:limit]
        ]
        last = None
        if len(found) > limit:
            key, timeframe, priced = found[limit - 1]
            last = (key, timeframe.value, priced.period.first_ts)
        return Found(rows, last, ())

    def _one_by_one(
        self,
        before: int,
        after: int,
        series: Sequence[tuple[str, Timeframe, str | None]],
        span: tuple[int, int],
        after_key: Key | None,
        limit: int,
    ) -> Found:
        rows, computed, last = list[dict[str, Any]](), list[str](), after_key
        done = after_key or ("", "", 0)
        for key, timeframe, lag in series:
            if (key, timeframe.value) < done[:2]:
                continue
            start = max(span[0], done[2] + 1) if (key, timeframe.value) == done[:2] else span[0]
            left = limit - len(rows)
            page = self._history.transitions(
                key, timeframe, start, span[1], before=before, after=after, limit=left + 1
            )
            if lag is not None:
                computed.append(lag)
            for priced in page.periods[:left]:
                rows.append(_row(key, timeframe, priced, page.price_scale, page.ongoing_last_ts))
                last = (key, timeframe.value, priced.period.first_ts)
            if len(page.periods) > left:
                return Found(rows, last, tuple(computed))
        return Found(rows, None, tuple(computed))

    def _series(
        self, timeframes: Sequence[Timeframe], states: Mapping[tuple[str, Timeframe], SeriesState]
    ) -> list[tuple[str, Timeframe, str | None]]:
        """Return every series, as ordered in answers, and what of it is not stored, in words.

        A series that holds more than may be served (files went, or it was written just now) counts as not
        stored: its own counts would be of other rows.
        """
        found = []
        for market in self._history.markets():
            for timeframe in sorted(timeframes, key=lambda each: each.value):
                stored_to, state = market.stored_to.get(timeframe), states.get((market.key, timeframe))
                lag: str | None = f"{market.key} {timeframe.value}"
                if stored_to is not None and stored_to < timeframe.floor(market.end_ts):
                    lag = f"{lag} from {time_of(stored_to)} on"
                elif state is not None and (state.filled_to_ts, state.rules) == (
                    stored_to,
                    self._history.rules,
                ):
                    lag = None
                found.append((market.key, timeframe, lag))
        return found

    def _states(self) -> dict[tuple[str, Timeframe], SeriesState]:
        index = self._index()
        if index is None:
            return {}
        try:
            return index.states()
        except IndexUnavailable:
            return {}


def _told(states: Mapping[tuple[str, Timeframe], SeriesState]) -> dict[tuple[str, Timeframe], object]:
    return {pair: (state.rules, state.revision, state.filled_to_ts) for pair, state in states.items()}


def _row(
    key: str, timeframe: Timeframe, priced: PricedPeriod, price_scale: int, newest_ts: int | None
) -> dict[str, Any]:
    return {"symbol": key, "timeframe": timeframe.value} | period_dict(
        priced, timeframe, price_scale, newest_ts
    )
