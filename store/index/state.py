"""What the index says of a series and its periods."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select

from market.hours import Timeframe
from regime.series import Period, RegimeCounts, RegimeRules
from store.index.codes import Places
from store.index.schema import rules, series

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, eq=False)
class SeriesState:
    """What the index holds of a market's timeframe.

    Attributes:
        symbol: Market key.
        timeframe: Length of its bars.
        rules: What all its rows were made by.
        price_scale, volume_scale: Of all its bars.
        first_ts, last_ts: Opens of its first and last regime row, epoch seconds; None without rows.
        filled_to_ts: Its rows are those of all bars that open before; there is none at or beyond.
        source: Commit of the data repository that they come from.
        revision: Rises by one with every write that alters an answer about the time before `filled_to_ts`; a
            series begun anew starts above those it had before.
        counts: What its rows count up to.
        updated_at: When rows were last written or found unchanged by a write.
    """

    symbol: str
    timeframe: Timeframe
    rules: RegimeRules
    price_scale: int
    volume_scale: int
    first_ts: int | None
    last_ts: int | None
    filled_to_ts: int
    source: str
    revision: int
    counts: RegimeCounts
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class PricedPeriod:
    """A period with what its price did.

    Attributes:
        period: The run of equal regime.
        open: Of its first bar, quote price x price_scale.
        close: Of its last bar, quote price x price_scale.
    """

    period: Period
    open: int
    close: int


@dataclass(frozen=True, slots=True)
class Known:
    """A series as its row has it: its places and its state."""

    places: Places
    rules_id: int
    state: SeriesState


_KNOWN = select(
    series.c.id,
    series.c.symbol,
    series.c.timeframe,
    series.c.rules,
    rules.c.engine_version,
    rules.c.parameters,
    series.c.price_scale,
    series.c.volume_scale,
    series.c.first_ts,
    series.c.last_ts,
    series.c.filled_to_ts,
    series.c.source,
    series.c.revision,
    series.c.counts,
    series.c.updated_us,
).join_from(series, rules, rules.c.id == series.c.rules)
_ONE = _KNOWN.where(series.c.symbol == bindparam("symbol"), series.c.timeframe == bindparam("timeframe"))


def known(connection: Connection, symbol: str, timeframe: Timeframe) -> Known | None:
    """Return what the index holds of one series, None for nothing."""
    row = connection.execute(_ONE, {"symbol": symbol, "timeframe": timeframe.value}).one_or_none()
    return None if row is None else _known(row)


def all_known(connection: Connection) -> list[Known]:
    """Return every series, by symbol and then by the timeframe's name."""
    found = [_known(row) for row in connection.execute(_KNOWN)]
    return sorted(found, key=lambda one: (one.state.symbol, one.state.timeframe.value))


def microseconds(instant: datetime) -> int:
    return (instant - _EPOCH) // _MICROSECOND


def _known(row: Row[*tuple[Any, ...]]) -> Known:
    timeframe = Timeframe(row[2])
    state = SeriesState(
        symbol=row[1],
        timeframe=timeframe,
        rules=RegimeRules(row[4], row[5]),
        price_scale=row[6],
        volume_scale=row[7],
        first_ts=row[8],
        last_ts=row[9],
        filled_to_ts=row[10],
        source=row[11],
        revision=row[12],
        counts=RegimeCounts.from_bytes(bytes(row[13])),
        updated_at=_EPOCH + row[14] * _MICROSECOND,
    )
    return Known(Places(row[0], timeframe), row[3], state)
