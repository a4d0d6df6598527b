"""The index of regimes: stored rows of many markets, and the questions to them, on two engines."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Self

from sqlalchemy import Connection, make_url
from sqlalchemy.exc import ArgumentError

from market.candles import Bars, Ints
from market.errors import IndexChanged, IndexUnavailable
from market.failpoints import reach
from market.hours import Timeframe
from regime.series import RegimeCounts, RegimeRows, RegimeRules
from store.index import checking, reading, sqlite, whole_store, writing
from store.index.database import Database
from store.index.state import AnyState as AnyState
from store.index.state import PricedPeriod as PricedPeriod
from store.index.state import SeriesState as SeriesState
from store.index.state import all_known, known, outdated


class RegimeIndex:
    """An open index; every call is one short transaction with a deadline, from any thread.

    It is derived from the data repository: whatever is lost here is filled again from there. Every call
    raises `IndexUnavailable` where the engine does not answer. Those that take the state that the caller goes
    by (`of`) raise `IndexChanged` where the series, in the transaction that answers, has other rules or
    another revision or ends before: two answers by one state belong together.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    @classmethod
    def open(cls, url: str, *, create: bool = True, migrating: bool = False) -> Self:
        """Return the index at a URL.

        Args:
            url: `sqlite:///ABSOLUTE/PATH` or `postgresql://user@host:port/database`.
            create: Make an SQLite file where there is none; move a damaged one aside and begin a new one.
            migrating: Look at no tables yet: `migrate` is going to make them.

        Raises:
            IndexUnavailable: No answer, no such file, other tables than expected; says what to do.
        """
        try:
            parsed = make_url(url)
        except ArgumentError:
            raise IndexUnavailable(
                "url", "expected sqlite:///PATH or postgresql://user@host:port/database"
            ) from None
        match parsed.get_backend_name():
            case "sqlite":
                return cls(sqlite.open_file(parsed, create=create, migrating=migrating))
            case "postgresql":
                from store.index import postgres

                return cls(postgres.open_server(parsed, migrating=migrating))
            case other:
                raise IndexUnavailable("url", f"engine {other!r}, expected sqlite or postgresql")

    def close(self) -> None:
        """Close every connection."""
        self._database.close()

    def cut(self) -> None:
        """Make calls under way raise `IndexUnavailable` at once: whoever stops waits for no frozen server.

        Later calls are served. One that is still connecting ends by the deadline for that.
        """
        self._database.in_use.cut()

    @property
    def engine(self) -> str:
        return self._database.name

    def migrate(self) -> list[str]:
        """Bring the tables to what this program expects; return what was applied, nothing when current."""
        if self.engine == "sqlite":
            return sqlite.make_tables(self._database)
        from store.index import postgres

        return postgres.migrate(self._database)

    def states(self) -> dict[tuple[str, Timeframe], SeriesState]:
        """Return every series by market key and timeframe."""
        with self._database.reading() as connection:
            found = [one.state for one in all_known(connection)]
        return {(state.symbol, state.timeframe): state for state in found}

    def state(self, symbol: str, timeframe: Timeframe) -> SeriesState | None:
        """Return what the index holds of one series, None for nothing."""
        with self._database.reading() as connection:
            found = known(connection, symbol, timeframe)
        return None if found is None else found.state

    def insert_regimes(
        self,
        symbol: str,
        timeframe: Timeframe,
        rows: RegimeRows,
        bars: Bars,
        *,
        price_scale: int,
        volume_scale: int,
        start_ts: int,
        filled_to_ts: int,
        rules: RegimeRules,
        source: str,
        created_at: datetime,
        known: SeriesState | AnyState | None = AnyState.ANY,
    ) -> SeriesState:
        """Replace everything of a series from `start_ts` on; rows and bars equal to these stay untouched.

        Args:
            symbol: Market key.
            timeframe: Of rows and bars.
            rows: Regimes that open in [start_ts, filled_to_ts); each has its bar.
            bars: The known bars of the same range; those with too little history have no row.
            price_scale: Of the bars' prices.
            volume_scale: Of the bars' volumes.
            start_ts: Not after the series' `filled_to_ts`; with other rules or scales than the series has,
                not after its first bar.
            filled_to_ts: End of the range, epoch seconds.
            rules: What the rows were made by.
            source: Commit of the data repository that they come from.
            created_at: When they were made.
            known: What the series is before, None for none: rules, revision, filled_to_ts and source are the
                same when the write begins.

        Raises:
            ValueError: A hole, a mix of rules or scales, rows outside the range or without a bar.
            IndexChanged: The series is not as known any more; nothing was written.
            IndexUnavailable: Nothing was written.
        """
        filling = writing.Filling(
            symbol=symbol,
            timeframe=timeframe,
            rows=rows,
            bars=bars,
            price_scale=price_scale,
            volume_scale=volume_scale,
            start_ts=start_ts,
            filled_to_ts=filled_to_ts,
            rules=rules,
            source=source,
            created_at=created_at,
        )
        reach("index.before_upsert")
        with self._database.writing() as connection:
            state = writing.write(connection, filling, known, self._database.where)
        reach("index.after_upsert")
        return state

    def delete_regimes(
        self,
        symbol: str,
        timeframe: Timeframe | None = None,
        start_ts: int | None = None,
        *,
        known: SeriesState | None = None,
    ) -> int:
        """Remove a symbol's series, or what of them opens at `start_ts` or later, candles too.

        Args:
            symbol: Market key.
            timeframe: One of them; None is all.
            start_ts: None removes them whole.
            known: What each series is before; None does not ask. IndexChanged where it is another.

        Returns:
            How many regime rows went.
        """
        with self._database.writing() as connection:
            return writing.remove(connection, symbol, timeframe, start_ts, known)

    def mark(
        self, symbol: str, timeframe: Timeframe, source: str, *, known: SeriesState | None = None
    ) -> None:
        """Say that nothing of a series changed up to a commit; `known` as for `delete_regimes`."""
        with self._database.writing() as connection:
            writing.mark(connection, symbol, timeframe, source, known)

    def get_regimes(
        self,
        symbol: str,
        timeframe: Timeframe,
        start_ts: int,
        end_ts: int,
        *,
        limit: int | None = None,
        simplified: int | None = None,
        verdict: int | None = None,
        min_confidence: int | None = None,
        of: SeriesState | None = None,
    ) -> RegimeRows:
        """Return the rows that open in [start_ts, end_ts), oldest first, at most `limit`.

        Args:
            symbol: Market key.
            timeframe: Of the rows.
            start_ts: Epoch seconds.
            end_ts: Epoch seconds.
            limit: How many at most.
            simplified: Only this place in `SIMPLIFIED`.
            verdict: Only this place in `VERDICTS`; NO_VERDICT for rows without one.
            min_confidence: Only rows with so many ten-thousandths or more.
            of: The state that the caller goes by.
        """
        with self._reading(symbol, timeframe, of) as connection:
            return reading.get_regimes(
                connection,
                symbol,
                timeframe,
                start_ts,
                end_ts,
                limit=limit,
                simplified=simplified,
                verdict=verdict,
                min_confidence=min_confidence,
            )

    def get_candles(
        self, symbol: str, timeframe: Timeframe, start_ts: int, end_ts: int, *, of: SeriesState | None = None
    ) -> Bars:
        """Return the bars that open in [start_ts, end_ts), in the scales of the series' state."""
        with self._reading(symbol, timeframe, of) as connection:
            return reading.get_candles(connection, symbol, timeframe, start_ts, end_ts)

    def get_regime_stats(
        self,
        symbol: str,
        timeframe: Timeframe,
        start_ts: int | None = None,
        end_ts: int | None = None,
        *,
        of: SeriesState | None = None,
    ) -> RegimeCounts:
        """Return what rows count up to: of the whole series as kept, of a range as its rows alone tell."""
        with self._reading(symbol, timeframe, of) as connection:
            return reading.get_stats(connection, symbol, timeframe, start_ts, end_ts)

    def periods(
        self,
        symbol: str,
        timeframe: Timeframe,
        start_ts: int,
        end_ts: int,
        *,
        regime: int | None = None,
        limit: int | None = None,
        of: SeriesState | None = None,
    ) -> list[PricedPeriod]:
        """Return the periods with a bar in [start_ts, end_ts), unclipped, by their first bar."""
        with self._reading(symbol, timeframe, of) as connection:
            return reading.get_periods(
                connection, symbol, timeframe, start_ts, end_ts, regime=regime, limit=limit
            )

    def transitions(
        self,
        symbol: str,
        timeframe: Timeframe,
        start_ts: int,
        end_ts: int,
        *,
        before: int | None = None,
        after: int | None = None,
        limit: int | None = None,
        of: SeriesState | None = None,
    ) -> list[PricedPeriod]:
        """Return the periods that begin in [start_ts, end_ts) right after another one, by their first bar."""
        with self._reading(symbol, timeframe, of) as connection:
            return reading.get_transitions(
                connection, symbol, timeframe, start_ts, end_ts, before=before, after=after, limit=limit
            )

    def all_transitions(self, timeframe: Timeframe | None = None) -> Ints:
        """Return adjacent bars of all series by regime before and after, shape (5, 5)."""
        with self._database.reading() as connection:
            return whole_store.counts_of_all(connection, timeframe).transitions

    def confidence_distribution(
        self, timeframe: Timeframe | None = None, simplified: int | None = None
    ) -> Ints:
        """Return rows of all series by regime and bin of confidence, shape (5, 20); of one regime (20,)."""
        with self._database.reading() as connection:
            return whole_store.confidence_of_all(connection, timeframe, simplified)

    def find_transitions(
        self,
        before: int,
        after: int,
        *,
        timeframe: Timeframe | None = None,
        after_key: tuple[str, str, int] | None = None,
        limit: int,
    ) -> list[tuple[str, Timeframe, PricedPeriod]]:
        """Return changes from one regime to another in all series, by symbol, timeframe's name and time.

        Args:
            before: Place in `SIMPLIFIED`.
            after: Place in `SIMPLIFIED`.
            timeframe: Of the series, None for all.
            after_key: Symbol, timeframe's name and first bar's open of the last one of the page before.
            limit: How many at most.
        """
        with self._database.reading() as connection:
            return whole_store.find_transitions(
                connection, before, after, timeframe=timeframe, after_key=after_key, limit=limit
            )

    def check(self) -> list[str]:
        """Compare all that is kept with the rows; return what is wrong, one line each."""
        return checking.check(self._database)

    def size_bytes(self) -> int:
        """Return the bytes on the disk."""
        if self.engine == "sqlite":
            return sqlite.file_bytes(Path(self._database.where))
        from store.index import postgres

        return postgres.server_bytes(self._database)

    @contextmanager
    def _reading(self, symbol: str, timeframe: Timeframe, of: SeriesState | None) -> Iterator[Connection]:
        with self._database.reading() as connection:
            problem = None if of is None else outdated(connection, symbol, timeframe, of)
            if problem is not None:
                raise IndexChanged(self._database.where, problem)
            yield connection
