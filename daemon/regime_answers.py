"""What the history of regimes answers with, and what it refuses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from market.candles import Bars
from market.errors import RegimedError
from market.hours import Timeframe
from regime.series import STORED, RegimeRows
from store.index.state import PricedPeriod

_DAY_S = 86_400


class RegimesBusy(RegimedError):
    """Raised when others are being computed; ask again in a few seconds."""


class TooMuchToCompute(RegimedError):
    """Raised when more is asked for than is computed for one answer; `most_days` are."""

    def __init__(self, timeframe: Timeframe) -> None:
        self.timeframe, self.most_days = timeframe, computed_at_once(timeframe) // _DAY_S
        super().__init__(f"at most {self.most_days} days of {timeframe.value} are computed for one answer")


def computed_at_once(timeframe: Timeframe) -> int:
    """Return how many seconds of bars are computed for one answer, or one page of one."""
    return (370 if timeframe in STORED else 7) * _DAY_S


class UnknownMarket(RegimedError):
    """Raised when the repository holds nothing of a market; `known` are those it holds."""

    def __init__(self, key: str, known: list[str]) -> None:
        self.key, self.known = key, known
        super().__init__(f"no data of a market {key!r}; known: {', '.join(known) or 'none'}")


@dataclass(frozen=True, slots=True)
class RowFilter:
    """Which rows are wanted; None wants all.

    Attributes:
        simplified: Place in `SIMPLIFIED`.
        verdict: Place in `VERDICTS`.
        min_confidence: Ten-thousandths.
    """

    simplified: int | None = None
    verdict: int | None = None
    min_confidence: int | None = None

    def keep(self, rows: RegimeRows) -> NDArray[np.bool_]:
        """Say of each row whether it is wanted."""
        wanted = np.ones(len(rows), dtype=np.bool_)
        if self.simplified is not None:
            wanted &= rows.simplified == self.simplified
        if self.verdict is not None:
            wanted &= rows.verdict == self.verdict
        if self.min_confidence is not None:
            wanted &= rows.confidence >= self.min_confidence
        return wanted


EVERY_ROW = RowFilter()


@dataclass(frozen=True, slots=True)
class MarketSpan:
    """What is known of a market.

    Attributes:
        key: Its name.
        start_ts, end_ts: Whole hours [start, end) of data, of whatever timeframe.
        recorded_from: When the bars of each timeframe begin, by the names of files: to the month, coarse bars
            are; the end where there are none.
        stored_to: How far the index holds the rows of each.
    """

    key: str
    start_ts: int
    end_ts: int
    recorded_from: dict[Timeframe, int]
    stored_to: dict[Timeframe, int]


@dataclass(frozen=True, slots=True)
class Standing:
    """All that an answer about one series depends on besides its question, at one moment.

    Attributes:
        timeframe: Of the series.
        start_ts, end_ts: Its whole recorded span.
        stored_to_ts: Rows that open before it are answered from the index, 0 for none.
        rules: Name of the rules in force.
        revision: Of the stored series, None where none of its rows may be served.
        head: Newest commit of the repository, None without a history.
    """

    timeframe: Timeframe
    start_ts: int
    end_ts: int
    stored_to_ts: int
    rules: str
    revision: int | None
    head: str | None

    def clipped(self, start_ts: int | None, end_ts: int | None) -> tuple[int, int]:
        """Return the opens that a question is about, whole bars of the recorded span; None is its bound."""
        start = self.start_ts if start_ts is None else max(self._up(start_ts), self.start_ts)
        end = self.end_ts if end_ts is None else min(self._up(end_ts), self.end_ts)
        return min(start, self.end_ts), max(min(start, self.end_ts), end)

    def version(self, end_ts: int | None = None) -> str | None:
        """Return a name that changes whenever an answer about the rows that open before `end_ts` may.

        Args:
            end_ts: None for an answer that depends on later rows too, as a whole period does.

        Returns:
            None where no history tells of changes.
        """
        if self.revision is not None and end_ts is not None and end_ts <= self.stored_to_ts:
            return f"{self.rules}-{self.revision}"
        if self.head is None:
            return None
        return f"{self.rules}-{self.head}-{self.end_ts}-{self.revision}-{self.stored_to_ts}"

    def _up(self, ts: int) -> int:
        return -(-ts // self.timeframe.seconds) * self.timeframe.seconds


@dataclass(frozen=True, slots=True)
class RegimePage:
    """Rows of one answer.

    Attributes:
        rows: Oldest first.
        bars: Those of the same opens, if asked for.
        price_scale, volume_scale: Of the bars; 1 without.
        stored_before_ts: Rows that open before it came from the index, the others were computed.
        next_ts: Where to go on; None at the end of the range.
    """

    rows: RegimeRows
    bars: Bars | None
    price_scale: int
    volume_scale: int
    stored_before_ts: int
    next_ts: int | None


@dataclass(frozen=True, slots=True)
class PeriodPage:
    """Periods of one answer, oldest first, in one price scale."""

    timeframe: Timeframe
    periods: list[PricedPeriod]
    price_scale: int
    ongoing_last_ts: int | None  # last_ts of the newest row known: a period that ends there may go on
    next_ts: int | None
