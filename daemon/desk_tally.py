"""What the desk's last hours amounted to, from its records: shown at /health, and watched for what is odd."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any, Self

from market.hours import Hour
from store.desk_files import DeskFile, desk_hours, read_desk
from store.trade_files import trades_of
from trading.trades import TradeRecord

DAY_H = 24
LONGEST_H = 14 * DAY_H
MOST_TRADES = 500


@dataclass(frozen=True, slots=True)
class HourTally:
    """One hour: signals that fired, trades that began."""

    hour: Hour
    triggers: int
    begun: int

    @classmethod
    def of(cls, hour: Hour, report: Mapping[str, Any]) -> Self:
        """Return the tally of an hour's report."""
        triggers = report["triggers"]
        return cls(hour, len(triggers), sum(trigger["accepted"] for trigger in triggers))


@dataclass(frozen=True, slots=True)
class Tally:
    """The last hours and the last closed trades of the desk.

    Attributes:
        hours: Newest last, at most `LONGEST_H`.
        won: Of each closed trade whether it was left with more than it began with; newest last.
    """

    hours: tuple[HourTally, ...] = ()
    won: tuple[bool, ...] = ()

    @classmethod
    def of_repository(cls, root: Path) -> Self:
        """Return what a repository says.

        Raises:
            DataInvalid: A record is corrupt.
        """
        files = (read_desk(root, hour) for hour in islice(desk_hours(root), LONGEST_H))
        hours = [HourTally.of(file.of_hour, file.hour_report) for file in files if file is not None]
        won = [trade.won for trade in islice(trades_of(root), MOST_TRADES)]
        return cls(tuple(reversed(hours)), tuple(reversed(won)))

    def after(self, file: DeskFile, closed: Iterable[TradeRecord]) -> Self:
        """Return the tally with one more hour."""
        hours = (*self.hours, HourTally.of(file.of_hour, file.hour_report))
        won = (*self.won, *(trade.won for trade in closed))
        return type(self)(hours[-LONGEST_H:], won[-MOST_TRADES:])

    def since(self, hours: int) -> tuple[int, int, int]:
        """Return hours, triggers and begun trades of the last hours of the desk, at most so many by time."""
        if not self.hours:
            return 0, 0, 0
        first = self.hours[-1].hour.closes_at - timedelta(hours=hours)
        counted = [each for each in self.hours if each.hour.opens_at >= first]
        return len(counted), sum(each.triggers for each in counted), sum(each.begun for each in counted)

    def win_rate(self, trades: int) -> float | None:
        """Return the share of the last trades that were won; None before there are so many."""
        last = self.won[-trades:]
        return sum(last) / len(last) if len(last) >= trades else None
