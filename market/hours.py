"""Hours, timeframes and instants: all UTC, all aligned to midnight."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum

HOUR_S = 3600
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HOUR_FORM = re.compile(r"(\d{4})-(\d{2})-(\d{2})T(\d{2})(?::00(?::00)?Z?)?")
_INSTANT_FORM = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,6})?Z")


class Timeframe(Enum):
    """A candle's length; the value is its name in files, tables and on the command line."""

    M1 = "1m"
    M5 = "5m"
    M15 = "15m"
    H1 = "1h"
    H4 = "4h"

    @property
    def seconds(self) -> int:
        return _SECONDS[self]

    def floor(self, ts: int) -> int:
        """Return the open of the bar that holds the instant `ts` (epoch seconds)."""
        return ts - ts % self.seconds


_SECONDS = {
    Timeframe.M1: 60,
    Timeframe.M5: 300,
    Timeframe.M15: 900,
    Timeframe.H1: HOUR_S,
    Timeframe.H4: 4 * HOUR_S,
}


@dataclass(frozen=True, slots=True, order=True)
class Hour:
    """One UTC hour, named by its open; `index` counts hours since 1970.

    The hour 14 covers 14:00:00 to 14:59:59 and is closed at 15:00:00.
    """

    index: int

    @classmethod
    def parse(cls, text: str) -> Hour:
        """Return the hour written as `2026-02-02T14` (minutes, seconds and Z may follow if zero).

        Raises:
            ValueError: Another form, or no such date.
        """
        found = _HOUR_FORM.fullmatch(text)
        if not found:
            raise ValueError(f"{text!r} is not an hour; expected the form 2026-02-02T14")
        year, month, day, hour = (int(part) for part in found.groups())
        try:
            return cls.of(datetime(year, month, day, hour, tzinfo=UTC))
        except ValueError as error:
            raise ValueError(f"{text!r} is not an hour: {error}") from None

    @classmethod
    def of(cls, instant: datetime) -> Hour:
        """Return the hour that holds `instant` (aware)."""
        return cls((instant - _EPOCH) // timedelta(hours=1))

    @classmethod
    def of_ts(cls, ts: int) -> Hour:
        """Return the hour that holds epoch second `ts`."""
        return cls(ts // HOUR_S)

    @property
    def open_ts(self) -> int:
        return self.index * HOUR_S

    @property
    def close_ts(self) -> int:
        return (self.index + 1) * HOUR_S

    @property
    def opens_at(self) -> datetime:
        return _EPOCH + timedelta(hours=self.index)

    @property
    def closes_at(self) -> datetime:
        return _EPOCH + timedelta(hours=self.index + 1)

    def plus(self, hours: int) -> Hour:
        return Hour(self.index + hours)

    def iso(self) -> str:
        """Return `2026-02-02T14:00:00Z`, the form in files."""
        return f"{self}:00:00Z"

    def __str__(self) -> str:
        return self.opens_at.isoformat()[:13]


def hours_between(start: Hour, end: Hour) -> list[Hour]:
    """Return the hours of the half-open span [start, end), oldest first."""
    return [Hour(index) for index in range(start.index, end.index)]


def last_closed_hour(now: datetime) -> Hour:
    """Return the newest hour that is over at `now`."""
    return Hour.of(now).plus(-1)


def instant_iso(instant: datetime) -> str:
    """Return `2026-02-02T15:00:05Z`, with microseconds only where there are any."""
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def parse_instant(text: str) -> datetime:
    """Return the aware instant written by `instant_iso`.

    Raises:
        ValueError: Another form, or no such date.
    """
    if not _INSTANT_FORM.fullmatch(text):
        raise ValueError(f"{text!r} is not an instant; expected the form 2026-02-02T15:00:05Z")
    return datetime.fromisoformat(text)


def instant_of_ts(ts: int) -> datetime:
    """Return the aware instant of epoch second `ts`."""
    return _EPOCH + timedelta(seconds=ts)


def micros(instant: datetime) -> int:
    """Return microseconds since 1970, exactly."""
    return (instant - _EPOCH) // timedelta(microseconds=1)
