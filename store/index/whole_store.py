"""The questions to all series at once, answered from the counts that each keeps."""

from __future__ import annotations

import numpy as np
from sqlalchemy import Connection, select

from market.candles import Ints
from market.hours import Timeframe
from regime.series import RegimeCounts
from store.index.codes import Places
from store.index.reading import changes
from store.index.schema import BAR_BITS, series
from store.index.state import PricedPeriod

Key = tuple[str, str, int]


def counts_of_all(connection: Connection, timeframe: Timeframe | None) -> RegimeCounts:
    """Return what the rows of all series count up to, or of those of one timeframe."""
    asked = select(series.c.counts)
    if timeframe is not None:
        asked = asked.where(series.c.timeframe == timeframe.value)
    kept = b"".join(bytes(counts) for counts in connection.execute(asked).scalars())
    if not kept:
        return RegimeCounts.none()
    total = np.frombuffer(kept, dtype="<i8").reshape(-1, len(RegimeCounts.none().to_bytes()) // 8).sum(axis=0)
    return RegimeCounts.from_bytes(total.astype("<i8").tobytes())


def confidence_of_all(connection: Connection, timeframe: Timeframe | None, simplified: int | None) -> Ints:
    """Return rows by regime and bin of confidence, shape (5, 20), or those of one regime, shape (20,)."""
    found = counts_of_all(connection, timeframe).confidence
    return found if simplified is None else found[simplified]


def find_transitions(
    connection: Connection,
    before: int,
    after: int,
    *,
    timeframe: Timeframe | None,
    after_key: Key | None,
    limit: int,
) -> list[tuple[str, Timeframe, PricedPeriod]]:
    """Return changes from one regime to another in all series, by symbol, timeframe's name and time.

    Only series whose counts know of such a change are looked into.

    Args:
        connection: A reading transaction.
        before: Place in `SIMPLIFIED`.
        after: Place in `SIMPLIFIED`; nothing changes from a regime to itself.
        timeframe: Of the series, None for all.
        after_key: Symbol, timeframe's name and first bar's open of the last one already told.
        limit: How many at most.
    """
    found: list[tuple[str, Timeframe, PricedPeriod]] = []
    if before == after:
        return found
    asked = select(series.c.symbol, series.c.timeframe, series.c.id, series.c.counts)
    if timeframe is not None:
        asked = asked.where(series.c.timeframe == timeframe.value)
    told_symbol, told_timeframe, told_ts = after_key or ("", "", 0)
    every = sorted(connection.execute(asked).all(), key=lambda row: (row[0], row[1]))
    for symbol, name, number, counts in every:
        if len(found) >= limit:
            break
        if (symbol, name) < (told_symbol, told_timeframe):
            continue
        if not RegimeCounts.from_bytes(bytes(counts)).transitions[before, after]:
            continue
        places = Places(number, Timeframe(name))
        start_ts = told_ts + 1 if (symbol, name) == (told_symbol, told_timeframe) else 0
        end_ts = places.timeframe.seconds << BAR_BITS
        wanted = changes(connection, places, start_ts, end_ts, before, after, limit - len(found))
        found += [(symbol, places.timeframe, period) for period in wanted]
    return found
