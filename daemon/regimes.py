"""The history of regimes as users ask for it: stored rows first, what is not stored computed from the files.

Every call is blocking and may take a while: callers with an event loop run it in a thread. Rows are as known
now; what was known when an hour was judged stands in its record.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from threading import Lock
from typing import Concatenate, ParamSpec, TypeVar

import numpy as np

from daemon.regime_answers import (
    EVERY_ROW,
    MarketSpan,
    PeriodPage,
    RegimePage,
    RegimesBusy,
    RowFilter,
    Standing,
    TooMuchToCompute,
    UnknownMarket,
    computed_at_once,
)
from market.candles import Bars
from market.errors import IndexChanged, IndexUnavailable, RepositoryUnusable
from market.hours import HOUR_S, Timeframe
from regime.series import (
    STORED,
    Period,
    RegimeCounts,
    RegimeRows,
    RegimeRules,
    periods_of,
)
from store.commits import CommittedChanges
from store.index.regime_index import RegimeIndex
from store.index.state import PricedPeriod, SeriesState
from store.regime_rows import RepositoryRegimes, SeriesPart, changed_from, market_keys, recorded_span

T = TypeVar("T")
P = ParamSpec("P")
_TRIES = 5
STATE_S = 1.0
SILENT_S = 30.0  # a Git that did not answer is left alone for so long
_PATIENCE_S = 5.0


def _steadily(
    ask: Callable[Concatenate[RegimeHistory, P], T],
) -> Callable[Concatenate[RegimeHistory, P], T]:
    """Ask again where a series was written between the look at its state and the reading of its rows."""

    @wraps(ask)
    def asked(history: RegimeHistory, /, *args: P.args, **kwargs: P.kwargs) -> T:
        for _ in range(_TRIES):
            try:
                return ask(history, *args, **kwargs)
            except IndexChanged:
                history.forget()
        raise RegimesBusy("the index is being written; ask again in a few seconds")

    return asked


class RegimeHistory:
    """Answers from index and files; thread-safe.

    Args:
        index: Returns the index, None where there is none (yet): then everything is computed.
        regimes: Computes rows; used by one thread at a time.
        rules: In force: stored rows of other rules are stale, and never served.
        changes: The repository's history.
        monotonic: Real seconds; what the index says of its series is asked for anew after `STATE_S`.
        bounded: Refuse what would take minutes to compute; a page of rows is short anyway.
    """

    def __init__(
        self,
        index: Callable[[], RegimeIndex | None],
        regimes: RepositoryRegimes,
        rules: RegimeRules,
        changes: CommittedChanges,
        monotonic: Callable[[], float],
        *,
        bounded: bool = False,
    ) -> None:
        self._index, self._regimes, self._rules = index, regimes, rules
        self._changes, self._monotonic = changes, monotonic
        self._bounded = bounded
        self._computing = Lock()
        self._silent_until = 0.0
        self._noticed = self._head()
        self._states: dict[tuple[str, Timeframe], SeriesState] = {}
        self._states_until = 0.0
        self._spans: dict[tuple[str, Timeframe], tuple[str | None, float, tuple[int, int]]] = {}
        self.writes = 0

    @property
    def rules(self) -> RegimeRules:
        """In force: stored rows of others are stale."""
        return self._rules

    def forget(self) -> None:
        """Ask the index anew: it was written."""
        self.writes += 1
        self._states_until = 0.0
        self._spans = {}

    # -- what there is

    def markets(self) -> list[MarketSpan]:
        """Return what is known of each market, by key."""
        found = []
        for key in market_keys(self._regimes.root):
            span = recorded_span(self._regimes.root, key)
            if span is not None:
                stored = {each: fresh for each in STORED if (fresh := self._fresh(key, each)[1]) is not None}
                begun = {each: self._recorded(key, each)[0] for each in Timeframe}
                found.append(MarketSpan(key, *span, begun, stored))
        return found

    def span(self, key: str, timeframe: Timeframe) -> tuple[int, int]:
        """Return the span of a market that is recorded in bars of a timeframe, by the names of its files.

        Raises:
            UnknownMarket: Nothing is recorded, in no timeframe.
        """
        first, last = self._recorded(key, timeframe)
        return timeframe.floor(first), timeframe.floor(last)

    def _recorded(self, key: str, timeframe: Timeframe) -> tuple[int, int]:
        """Return the hours recorded; the names of files are read anew after a commit, or a moment."""
        head = self._head()
        known = self._spans.get((key, timeframe))
        if known is not None and known[0] == head and self._monotonic() < known[1]:
            return known[2]
        until = self._monotonic() + STATE_S
        span = recorded_span(self._regimes.root, key, timeframe)
        if span is None:  # other timeframes may be there; this one begins where they end
            whole = recorded_span(self._regimes.root, key)
            if whole is None:
                raise UnknownMarket(key, market_keys(self._regimes.root))
            span = (whole[1], whole[1])
        self._spans[key, timeframe] = (head, until, span)
        return span

    # -- answers

    def standing(self, key: str, timeframe: Timeframe) -> Standing:
        """Return what answers about a series depend on now; it reads no rows.

        Raises:
            UnknownMarket: Nothing is recorded.
        """
        start_ts, end_ts = self.span(key, timeframe)
        state, fresh_to = self._fresh(key, timeframe)
        return Standing(
            timeframe,
            start_ts,
            end_ts,
            fresh_to or 0,
            f"{self._rules.parameters[-12:]}-{self._rules.engine_version}",
            None if state is None or fresh_to is None else state.revision,
            self._head(),
        )

    def version(self, key: str, timeframe: Timeframe, end_ts: int) -> str | None:
        """Return a name that changes whenever an answer about what opens before `end_ts` may.

        It reads no rows. None where no history tells of changes.

        Raises:
            UnknownMarket: Nothing is recorded.
        """
        return self.standing(key, timeframe).version(end_ts)

    @_steadily
    def rows(
        self,
        key: str,
        timeframe: Timeframe,
        start_ts: int,
        end_ts: int,
        *,
        limit: int,
        where: RowFilter = EVERY_ROW,
        candles: bool = False,
    ) -> RegimePage:
        """Return the rows of the bars that open in [start_ts, end_ts), at most `limit`.

        Raises:
            UnknownMarket: Nothing is recorded.
            RegimesBusy: What is not stored cannot be computed now.
        """
        start_ts, end_ts = self._clipped(key, timeframe, start_ts, end_ts)
        state, fresh = self._fresh(key, timeframe)
        fresh_to = min(fresh or 0, end_ts)
        rows = RegimeRows.none(timeframe)
        if start_ts < fresh_to:
            stored = self._of_index(
                lambda index: index.get_regimes(
                    key,
                    timeframe,
                    start_ts,
                    fresh_to,
                    limit=limit + 1,
                    simplified=where.simplified,
                    verdict=where.verdict,
                    min_confidence=where.min_confidence,
                    of=state,
                )
            )
            rows, fresh_to = (rows, start_ts) if stored is None else (stored, fresh_to)
        next_ts: int | None = None
        part = SeriesPart.none(timeframe)
        if len(rows) <= limit and fresh_to < end_ts:
            first = max(start_ts, fresh_to)
            until = min(end_ts, first + computed_at_once(timeframe))
            wanted = limit - len(rows)
            part = self._computed(
                key, timeframe, first, until, lambda p: int(where.keep(p.rows).sum()) > wanted
            )
            rows = rows.followed_by(part.rows.where(where.keep(part.rows)))
            next_ts = until if until < end_ts else None
        if len(rows) > limit:
            rows, next_ts = rows.where(slice(0, limit)), int(rows.ts[limit])
        bars, scales = None, (1, 1)
        if candles:
            bars, scales = self._candles_of(key, timeframe, rows, (state, fresh_to), part)
        return RegimePage(rows, bars, *scales, stored_before_ts=fresh_to, next_ts=next_ts)

    @_steadily
    def counts(self, key: str, timeframe: Timeframe, start_ts: int, end_ts: int) -> RegimeCounts:
        """Return what the rows of [start_ts, end_ts) count up to.

        Raises:
            UnknownMarket, RegimesBusy: See `rows`.
            TooMuchToCompute: By whom bounds this.
        """
        start_ts, end_ts = self._clipped(key, timeframe, start_ts, end_ts)
        state, fresh = self._fresh(key, timeframe)
        if state is not None and fresh is not None and end_ts <= fresh:
            found = self._of_index(
                lambda index: index.get_regime_stats(key, timeframe, start_ts, end_ts, of=state)
            )
            if found is not None:
                return found
        return RegimeCounts.of(self._series(key, timeframe, start_ts, end_ts).rows)

    @_steadily
    def periods(
        self,
        key: str,
        timeframe: Timeframe,
        start_ts: int,
        end_ts: int,
        *,
        regime: int | None = None,
        limit: int,
    ) -> PeriodPage:
        """Return the periods that overlap [start_ts, end_ts), whole, at most `limit`; one regime's or all.

        Raises:
            UnknownMarket, RegimesBusy: See `rows`.
            TooMuchToCompute: By whom bounds this.
        """

        def wanted(period: Period) -> bool:
            overlaps = period.first_ts < end_ts and period.last_ts >= start_ts
            return overlaps and (regime is None or period.regime == regime)

        return self._periods(
            key,
            timeframe,
            (start_ts, end_ts),
            limit,
            lambda index, state, start, end: index.periods(
                key, timeframe, start, end, regime=regime, limit=limit + 1, of=state
            ),
            wanted,
        )

    @_steadily
    def transitions(
        self,
        key: str,
        timeframe: Timeframe,
        start_ts: int,
        end_ts: int,
        *,
        before: int | None = None,
        after: int | None = None,
        limit: int,
    ) -> PeriodPage:
        """Return the periods that begin in [start_ts, end_ts) right after another one, at most `limit`.

        Raises:
            UnknownMarket, RegimesBusy: See `rows`.
            TooMuchToCompute: By whom bounds this.
        """

        def wanted(period: Period) -> bool:
            begins = start_ts <= period.first_ts < end_ts and period.previous is not None
            return (
                begins
                and (before is None or period.previous == before)
                and (after is None or period.regime == after)
            )

        return self._periods(
            key,
            timeframe,
            (start_ts, end_ts),
            limit,
            lambda index, state, start, end: index.transitions(
                key, timeframe, start, end, before=before, after=after, limit=limit + 1, of=state
            ),
            wanted,
        )

    @_steadily
    def series(self, key: str, timeframe: Timeframe, start_ts: int, end_ts: int) -> SeriesPart:
        """Return stored and computed rows of a range of whole bars with their bars, however many.

        Raises:
            RegimesBusy: What is not stored cannot be computed now.
            TooMuchToCompute: By whom bounds this.
        """
        return self._series(key, timeframe, start_ts, end_ts)

    # -- how

    def _periods(
        self,
        key: str,
        timeframe: Timeframe,
        asked: tuple[int, int],
        limit: int,
        stored: Callable[[RegimeIndex, SeriesState, int, int], list[PricedPeriod]],
        wanted: Callable[[Period], bool],
    ) -> PeriodPage:
        start_ts, end_ts = self._clipped(key, timeframe, *asked)
        state, fresh = self._fresh(key, timeframe)
        found, scale, newest = None, 1, None
        whole = state is not None and fresh == state.filled_to_ts >= self.span(key, timeframe)[1]
        if state is not None and whole:  # else the last stored period may be longer than the index knows
            found = self._of_index(lambda index: stored(index, state, start_ts, end_ts))
            scale, newest = state.price_scale, state.last_ts
        if found is None:
            part = self._with_its_runs(key, timeframe, start_ts, end_ts)
            scale = part.price_scale
            newest = int(part.rows.ts[-1]) if len(part.rows) else None
            found = [each for each in _priced(part) if wanted(each.period)]
        page, rest = found[:limit], found[limit:]
        return PeriodPage(timeframe, page, scale, newest, rest[0].period.first_ts if rest else None)

    def _with_its_runs(self, key: str, timeframe: Timeframe, start_ts: int, end_ts: int) -> SeriesPart:
        """Return the rows of a range, and as many before and after it as its first and last period need."""
        first, last = self.span(key, timeframe)
        step = 31 * 86_400 if timeframe in STORED else 86_400
        while True:
            part = self._series(key, timeframe, start_ts, end_ts)
            runs = periods_of(part.rows)
            open_before = bool(runs) and runs[0].first_ts == start_ts and start_ts > first
            open_after = bool(runs) and runs[-1].last_ts == end_ts - timeframe.seconds and end_ts < last
            if not open_before and not open_after:
                return part
            start_ts = max(first, start_ts - step) if open_before else start_ts
            end_ts = min(last, end_ts + step) if open_after else end_ts

    def _series(
        self, key: str, timeframe: Timeframe, start_ts: int, end_ts: int, of: SeriesState | None = None
    ) -> SeriesPart:
        """Return stored and computed rows of a range of whole bars with their bars.

        Args:
            of: The state that rows read before went by; another one by now is IndexChanged.
        """
        state, fresh = self._fresh(key, timeframe)
        if of is not None and (state is None or state.revision != of.revision):
            raise IndexChanged(key, "the series was written meanwhile")
        part = SeriesPart.none(timeframe)
        fresh_to = start_ts
        if state is not None and fresh is not None and start_ts < fresh:
            until = min(fresh, end_ts)
            read = self._of_index(
                lambda index: SeriesPart(
                    index.get_candles(key, timeframe, start_ts, until, of=state),
                    index.get_regimes(key, timeframe, start_ts, until, of=state),
                    state.price_scale,
                    state.volume_scale,
                )
            )
            part, fresh_to = (part, start_ts) if read is None else (read, until)
        if fresh_to < end_ts:
            if self._bounded and end_ts - fresh_to > computed_at_once(timeframe):
                raise TooMuchToCompute(timeframe)
            part = part.followed_by(self._computed(key, timeframe, fresh_to, end_ts, None))
        return part

    def _computed(
        self,
        key: str,
        timeframe: Timeframe,
        start_ts: int,
        end_ts: int,
        enough: Callable[[SeriesPart], bool] | None,
    ) -> SeriesPart:
        if not self._computing.acquire(timeout=_PATIENCE_S):
            raise RegimesBusy("other regimes are being computed from the files; ask again in a few seconds")
        try:
            self._notice()
            return self._regimes.part(
                key, timeframe, start_ts - start_ts % HOUR_S, -(-end_ts // HOUR_S) * HOUR_S, enough
            ).between(start_ts, end_ts)
        finally:
            self._computing.release()

    def _notice(self) -> None:
        """Read anew what changed since files were read last."""
        head = self._head()
        if head is None or head == self._noticed:
            return
        self._regimes.notice(None if self._noticed is None else self._since(self._noticed, head))
        self._noticed = head

    def _head(self) -> str | None:
        """Return the newest commit; None without one, and while Git does not answer."""
        try:
            return self._changes.head()
        except RepositoryUnusable:
            return None

    def _since(self, old: str, new: str) -> tuple[str, ...] | None:
        """Return what changed; None where that cannot be told. A Git that hangs is not asked each time."""
        if self._monotonic() < self._silent_until:
            return None
        try:
            return self._changes.since(old, new)
        except RepositoryUnusable:
            self._silent_until = self._monotonic() + SILENT_S
            return None

    def _clipped(self, key: str, timeframe: Timeframe, start_ts: int, end_ts: int) -> tuple[int, int]:
        first, last = self.span(key, timeframe)
        start_ts = max(-(-start_ts // timeframe.seconds) * timeframe.seconds, first)
        return start_ts, max(start_ts, min(-(-end_ts // timeframe.seconds) * timeframe.seconds, last))

    def _fresh(self, key: str, timeframe: Timeframe) -> tuple[SeriesState | None, int | None]:
        """Return the stored series and until when its rows may be served: of these rules, of these files."""
        if self._monotonic() >= self._states_until:
            self._states = self._of_index(lambda index: index.states()) or {}
            self._states_until = self._monotonic() + STATE_S
        state = self._states.get((key, timeframe))
        if state is None or state.rules != self._rules:
            return None, None
        head = self._head()
        if head == state.source:
            return state, state.filled_to_ts
        paths = None if head is None else self._since(state.source, head)
        if paths is None:  # what changed cannot be told: nothing stored may be served
            return None, None
        changed = changed_from(paths).get(key)
        if changed is None:
            return state, state.filled_to_ts
        return state, min(state.filled_to_ts, timeframe.floor(changed))

    def _of_index(self, ask: Callable[[RegimeIndex], T]) -> T | None:
        """Return what the index answers; None without one, or while it is away: then files answer."""
        index = self._index()
        if index is None:
            return None
        try:
            return ask(index)
        except IndexChanged:
            raise
        except IndexUnavailable:
            return None

    def _candles_of(
        self,
        key: str,
        timeframe: Timeframe,
        rows: RegimeRows,
        stored: tuple[SeriesState | None, int],
        part: SeriesPart,
    ) -> tuple[Bars, tuple[int, int]]:
        (state, fresh_to), held = stored, SeriesPart.none(timeframe)
        if len(rows) and rows.ts[0] < fresh_to:
            held = self._series(key, timeframe, int(rows.ts[0]), min(fresh_to, int(rows.ts[-1]) + 1), state)
        whole = held.followed_by(part)
        places = np.searchsorted(whole.bars.ts, rows.ts)
        return whole.bars.at(places), (whole.price_scale, whole.volume_scale)


def _priced(part: SeriesPart) -> list[PricedPeriod]:
    runs = periods_of(part.rows)
    first = np.searchsorted(part.bars.ts, [run.first_ts for run in runs])
    last = np.searchsorted(part.bars.ts, [run.last_ts for run in runs])
    opens, closes = part.bars.open[first].tolist(), part.bars.close[last].tolist()
    return [PricedPeriod(*told) for told in zip(runs, opens, closes, strict=True)]
