"""What the index says of a series and its periods."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
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


class AnyState(Enum):
    """Whatever the index holds of a series will do; None says that there is to be none."""

    ANY = "any"


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
_NAMED = series.c.symbol == bindparam("symbol"), series.c.timeframe == bindparam("timeframe")
_ONE = _KNOWN.where(*_NAMED)
_STANDS = (
    select(rules.c.engine_version, rules.c.parameters, series.c.revision, series.c.filled_to_ts)
    .join_from(series, rules, rules.c.id == series.c.rules)
    .where(*_NAMED)
)


def known(connection: Connection, symbol: str, timeframe: Timeframe) -> Known | None:
    """Return what the index holds of one series, None for nothing."""
    row = connection.execute(_ONE, {"symbol": symbol, "timeframe": timeframe.value}).one_or_none()
    return None if row is None else _known(row)


def outdated(connection: Connection, symbol: str, timeframe: Timeframe, of: SeriesState) -> str | None:
    """Return how a series lost what its state told about the time before its end; None where all holds."""
    row = connection.execute(_STANDS, {"symbol": symbol, "timeframe": timeframe.value}).one_or_none()
    if (
        row is not None
        and (row[0], row[1], row[2]) == (of.rules.engine_version, of.rules.parameters, of.revision)
        and row[3] >= of.filled_to_ts
    ):
        return None
    found = "no series" if row is None else _told(RegimeRules(row[0], row[1]), row[2], row[3])
    expected = _told(of.rules, of.revision, of.filled_to_ts)
    return f"{symbol} {timeframe.value}: found {found}, expected {expected} or more"


def differs(found: SeriesState | None, expected: SeriesState | None, name: str) -> str | None:
    """Return how a series is another one than expected, None where it is the same."""
    now, then = (
        "no series"
        if one is None
        else f"{_told(one.rules, one.revision, one.filled_to_ts)} from commit {one.source}"
        for one in (found, expected)
    )
    return None if now == then else f"{name}: found {now}, expected {then}"


def _told(made_by: RegimeRules, revision: int, filled_to_ts: int) -> str:
    return (
        f"rules {made_by.engine_version} {made_by.parameters}, revision {revision}, filled to {filled_to_ts}"
    )


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
