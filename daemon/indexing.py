"""The index kept in step with the data repository: what changed since its commit is made anew, no more.

The index is derived and may be away: then it falls behind, and the next pass that finds it again brings it up
to the newest commit. Nothing waits for it.
"""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import Protocol

from market.errors import IndexUnavailable, RegimedError
from market.hours import HOUR_S, Hour, Timeframe, hours_between
from market.window import MarketWindow
from regime.engine import RegimeEngine
from regime.series import STORED, RegimeRules
from store.commits import CommittedChanges
from store.index.regime_index import RegimeIndex
from store.index.state import SeriesState
from store.regime_rows import (
    RepositoryRegimes,
    SeriesPart,
    changed_from,
    market_keys,
    own_rows,
    recorded_span,
)

HOUR_BY_HOUR = 48  # hours that are made from their own windows; more are made by the month
CLOSE_S = 2.0
ONE_WRITE_S = 370 * 86_400  # seconds of bars in one transaction


class IndexPlace:
    """Where the index is; opened when it is first needed, and whether or not it answers at the start."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._opening = Lock()
        self.index: RegimeIndex | None = None

    def opened(self) -> RegimeIndex:
        """Return the index.

        Raises:
            IndexUnavailable: It does not answer; says what to do.
        """
        with self._opening:
            if self.index is None:
                self.index = RegimeIndex.open(self._url)
            return self.index

    def cut(self) -> None:
        """End the calls under way: a stop waits for no server that froze."""
        if self.index is not None:
            self.index.cut()

    def close(self) -> None:
        """Close it; one that is only being opened is left to the end of the process."""
        if self._opening.acquire(timeout=CLOSE_S):
            try:
                if self.index is not None:
                    self.index.close()
            finally:
                self._opening.release()


class Filling:
    """The right to fill an index: one process of a state folder at a time, given back when a process dies.

    Args:
        state_folder: Of the daemon whose repository the rows come from.
    """

    def __init__(self, state_folder: Path) -> None:
        self._path = state_folder / "index.lock"

    @contextmanager
    def at_once(self) -> Iterator[bool]:
        """Say whether nobody else fills it; if so, hold it for the block."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("ab") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True


States = dict[tuple[str, Timeframe], SeriesState]


class WindowReader(Protocol):
    """Gives the window of an hour as known now; the daemon's reads through its own cache."""

    def __call__(self, key: str, hour: Hour) -> MarketWindow: ...


@dataclass(frozen=True, slots=True)
class Owed:
    """What of one market is to be made.

    Attributes:
        key: Market.
        spans: For each timeframe the bars that open in [start, end).
        cuts: From when on stored rows do not hold any more, for each of them; at or before the start.
    """

    key: str
    spans: Mapping[Timeframe, tuple[int, int]]
    cuts: Mapping[Timeframe, int]

    @property
    def start_ts(self) -> int:
        return min(start for start, _ in self.spans.values())

    @property
    def end_ts(self) -> int:
        return max(end for _, end in self.spans.values())

    @property
    def hours(self) -> int:
        return -(-(self.end_ts - self.start_ts) // HOUR_S)


@dataclass(slots=True)
class Pass:
    """What one pass over all markets did.

    Attributes:
        rows: Written.
        series: Written to.
        rebuilt: Series of other rules, or of a history that is not this repository's, made anew.
        faults: Files that could not be read, and so count as not there; markets that could not be made.
    """

    rows: int = 0
    series: int = 0
    rebuilt: int = 0
    faults: list[str] = field(default_factory=list)


class IndexKeeper:
    """Brings the index up to the newest commit; one pass at a time, blocking.

    Args:
        open_index: Returns where rows go; may raise IndexUnavailable.
        regimes: Computes rows by the month.
        engine: Computes those of single hours.
        rules: Of both.
        changes: The repository's history.
        now: When rows are made.
        window: Reads single hours; None makes everything by the month.
    """

    def __init__(
        self,
        open_index: Callable[[], RegimeIndex],
        regimes: RepositoryRegimes,
        engine: RegimeEngine,
        rules: RegimeRules,
        changes: CommittedChanges,
        now: Callable[[], datetime],
        window: WindowReader | None = None,
    ) -> None:
        self._open, self._regimes, self._engine, self._rules = open_index, regimes, engine, rules
        self._changes, self._now, self._window = changes, now, window
        self._noticed: str | None = None

    def catch_up(
        self,
        told: Callable[[str, int, int], None] | None = None,
        stopping: Callable[[], bool] = lambda: False,
    ) -> Pass:
        """Write what is owed of every market.

        Args:
            told: Is told after each piece: the market, hours done and hours owed in all.
            stopping: Is asked after each piece; what is not written by then is left to the next pass.

        Raises:
            IndexUnavailable: The index is away; what was written stays.
            IndexChanged: Another process writes the same series; the next pass looks anew.
            RepositoryUnusable: What changed cannot be told now.
        """
        done, head = Pass(), self._changes.head()
        if head is None:
            return done
        index = self._open()
        if self._noticed != head:
            self._regimes.notice(None if self._noticed is None else self._changes.since(self._noticed, head))
        self._noticed = head
        states = index.states()
        keys = market_keys(self._regimes.root)
        owed = [found for key in keys if (found := self._owed(index, key, states, head, done))]
        hours, all_hours = 0, sum(each.hours for each in owed)
        for each in owed:
            try:
                for until in self._write(index, each, states, head, done):
                    if told is not None:
                        told(each.key, hours + (until - each.start_ts) // HOUR_S, all_hours)
                    if stopping():
                        return done
            except IndexUnavailable:
                raise
            except RegimedError as error:  # one market's trouble keeps none of the others
                done.faults.append(f"{each.key}: {error}")
            hours += each.hours
        done.faults += self._regimes.faults()
        return done

    def _owed(
        self,
        index: RegimeIndex,
        key: str,
        states: Mapping[tuple[str, Timeframe], SeriesState],
        head: str,
        done: Pass,
    ) -> Owed | None:
        span = recorded_span(self._regimes.root, key)
        if span is None:
            return None
        spans: dict[Timeframe, tuple[int, int]] = {}
        cuts: dict[Timeframe, int] = {}
        for timeframe in STORED:
            first, end = (timeframe.floor(instant) for instant in span)
            state = states.get((key, timeframe))
            cut = first if state is None else self._cut(state, head, done)
            if max(first, cut) < end:
                spans[timeframe], cuts[timeframe] = (max(first, cut), end), cut
                continue
            if state is not None and cut < state.filled_to_ts:  # what was there is gone, and nothing came
                index.delete_regimes(key, timeframe, cut, known=state)
            if state is not None and state.source != head:
                index.mark(key, timeframe, head, known=None if cut < state.filled_to_ts else state)
        return Owed(key, spans, cuts) if spans else None

    def _cut(self, state: SeriesState, head: str, done: Pass) -> int:
        """Return from when on stored rows do not hold any more; the end of the series where all do."""
        paths = None if state.rules != self._rules else self._changes.since(state.source, head)
        if paths is None:
            done.rebuilt += 1
            return 0
        changed = changed_from(paths).get(state.symbol, state.filled_to_ts)
        return min(state.filled_to_ts, state.timeframe.floor(changed))

    def _write(self, index: RegimeIndex, owed: Owed, states: States, head: str, done: Pass) -> Iterator[int]:
        """Write a market's rows, a year at most at a time; yields how far it came."""
        if self._window is not None and owed.hours <= HOUR_BY_HOUR:
            pieces = self._hour_by_hour(owed, self._window)
        else:
            pieces = self._by_month(owed)
        held: dict[Timeframe, SeriesPart] = {each: SeriesPart.none(each) for each in owed.spans}
        since = owed.start_ts
        for until, parts in pieces:
            for timeframe, part in parts.items():
                held[timeframe] = held[timeframe].followed_by(part.between(*owed.spans[timeframe]))
            if until - since >= ONE_WRITE_S or until >= owed.end_ts:
                for timeframe, part in held.items():
                    self._insert(index, owed, states, timeframe, part, (since, until), head, done)
                held, since = {each: SeriesPart.none(each) for each in owed.spans}, until
            yield until

    def _insert(
        self,
        index: RegimeIndex,
        owed: Owed,
        states: States,
        timeframe: Timeframe,
        part: SeriesPart,
        piece: tuple[int, int],
        head: str,
        done: Pass,
    ) -> None:
        first, end = owed.spans[timeframe]
        start, end = max(first, timeframe.floor(piece[0])), min(end, timeframe.floor(piece[1]))
        if start >= end:
            return
        if start == first:
            start = min(first, owed.cuts[timeframe])
        state = states.get((owed.key, timeframe))
        if state is not None and state.rules == self._rules:
            finer = part.price_scale > state.price_scale or part.volume_scale > state.volume_scale
            if not len(part.bars):
                part = SeriesPart(part.bars, part.rows, state.price_scale, state.volume_scale)
            elif finer:
                part, start = self._from_the_beginning(owed.key, timeframe, end), 0
            else:
                part = part.rescaled(state.price_scale, state.volume_scale)
        states[owed.key, timeframe] = index.insert_regimes(
            owed.key,
            timeframe,
            part.rows,
            part.bars,
            price_scale=part.price_scale,
            volume_scale=part.volume_scale,
            start_ts=start,
            filled_to_ts=end,
            rules=self._rules,
            source=head,
            created_at=self._now(),
            known=state,
        )
        done.rows += len(part.rows)
        done.series += 1

    def _from_the_beginning(self, key: str, timeframe: Timeframe, end_ts: int) -> SeriesPart:
        """Return the whole series: its prices have got finer, and one series has one scale."""
        span = recorded_span(self._regimes.root, key)
        assert span is not None, "something of it is being written"
        return self._regimes.part(key, timeframe, span[0], end_ts).between(0, end_ts)

    def _by_month(self, owed: Owed) -> Iterator[tuple[int, Mapping[Timeframe, SeriesPart]]]:
        start, end = owed.start_ts, -(-owed.end_ts // HOUR_S) * HOUR_S
        return self._regimes.parts(owed.key, list(owed.spans), start, end)

    def _hour_by_hour(
        self, owed: Owed, read: WindowReader
    ) -> Iterator[tuple[int, Mapping[Timeframe, SeriesPart]]]:
        for hour in hours_between(Hour.of_ts(owed.start_ts), Hour.of_ts(owed.end_ts - 1).plus(1)):
            window, parts = read(owed.key, hour), {}
            for timeframe in owed.spans:
                if hour.close_ts % timeframe.seconds:
                    continue
                opened = hour.close_ts - max(timeframe.seconds, HOUR_S)
                bars = window.bars[timeframe].between(opened, hour.close_ts)
                rows = own_rows(self._engine, window, timeframe)
                parts[timeframe] = SeriesPart(bars, rows, window.price_scale, window.volume_scale)
            yield hour.close_ts, parts
