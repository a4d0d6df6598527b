"""Rows of the regime series from a data repository's files, a month (1m and 5m: a day) at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from market.candles import Bars, joined, no_bars
from market.hours import HOUR_S, Hour, Timeframe, instant_of_ts
from market.keys import checked_key
from market.window import MarketWindow
from regime.config import HistoryConfig
from regime.engine import RegimeEngine
from regime.series import RegimeRows
from store import disk
from store.paths import month_after, month_of, parse_candles, parse_snapshot
from store.reader import SnapshotReader

EVERYTHING = datetime(9999, 1, 1, tzinfo=UTC)  # known at: all that was ever collected
_DAY_S = 86_400
_MADE_OF: Mapping[Timeframe, tuple[str, ...]] = {  # beside the minutes of snapshots
    Timeframe.M1: (),
    Timeframe.M5: ("5m",),
    Timeframe.M15: ("15m",),
    Timeframe.H1: ("1h",),
    Timeframe.H4: ("4h", "1h"),
}
_LONGEST_MONTH_D = 31


@dataclass(frozen=True, slots=True)
class SeriesPart:
    """Bars of a market and timeframe and the rows of those that have one, both oldest first.

    Attributes:
        bars: In the scales below.
        rows: A bar with too little history has none.
        price_scale, volume_scale: Of the bars.
    """

    bars: Bars
    rows: RegimeRows
    price_scale: int
    volume_scale: int

    @classmethod
    def none(cls, timeframe: Timeframe) -> SeriesPart:
        """Return nothing."""
        return cls(no_bars(timeframe), RegimeRows.none(timeframe), 1, 1)

    def between(self, start_ts: int, end_ts: int) -> SeriesPart:
        """Return what opens in [start_ts, end_ts)."""
        bars, rows = self.bars.between(start_ts, end_ts), self.rows.between(start_ts, end_ts)
        return SeriesPart(bars, rows, self.price_scale, self.volume_scale)

    def rescaled(self, price_scale: int, volume_scale: int) -> SeriesPart:
        """Return the same in finer scales, multiples of these."""
        bars = self.bars.rescaled(price_scale // self.price_scale, volume_scale // self.volume_scale)
        return SeriesPart(bars, self.rows, price_scale, volume_scale)

    def followed_by(self, later: SeriesPart) -> SeriesPart:
        """Return this part and a later one, in the finer of their scales."""
        scales = max(self.price_scale, later.price_scale), max(self.volume_scale, later.volume_scale)
        one, two = self.rescaled(*scales), later.rescaled(*scales)
        return SeriesPart(joined([one.bars, two.bars]), one.rows.followed_by(two.rows), *scales)


def market_keys(root: Path) -> list[str]:
    """Return the keys of every market that the repository holds data of."""
    found = set()
    for folder in ("snapshots", "candles"):
        for name in disk.names_in(root / folder):
            try:
                found.add(checked_key(name))
            except ValueError:
                continue
    return sorted(found)


def recorded_span(root: Path, key: str, timeframe: Timeframe | None = None) -> tuple[int, int] | None:
    """Return when a market's data begin and end by the names of its files, epoch seconds, whole hours.

    A month's candle file counts as reaching to its end; None where there is nothing.

    Args:
        root: The repository's work tree.
        key: Market.
        timeframe: Only what its bars are made of, hours of minutes and candles: history often begins with
            coarse bars, years before the finer ones. None counts all.
    """
    first = next(_snapshot_hours(root, checked_key(key), newest=False), None)
    last = next(_snapshot_hours(root, key, newest=True), None)
    spans = [] if first is None or last is None else [(first.open_ts, last.close_ts)]
    for scale in disk.names_in(root / "candles" / key):
        if timeframe is not None and scale not in _MADE_OF[timeframe]:
            continue
        folder = f"candles/{key}/{scale}"
        for entry in disk.names_in(root / folder):
            if name := parse_candles(f"{folder}/{entry}"):
                until = name.to or month_after(name.month)
                spans.append((int(name.month.timestamp()), int(until.timestamp())))
    if not spans:
        return None
    return min(start for start, _ in spans), max(end for _, end in spans)


def _snapshot_hours(root: Path, key: str, *, newest: bool) -> Iterator[Hour]:
    def listed(folder: str) -> Iterable[str]:
        names = disk.names_in(root / folder)
        return reversed(names) if newest else names

    base = f"snapshots/{key}"
    for year in listed(base):
        for month in listed(f"{base}/{year}"):
            for day in listed(f"{base}/{year}/{month}"):
                for entry in listed(f"{base}/{year}/{month}/{day}"):
                    if name := parse_snapshot(f"{base}/{year}/{month}/{day}/{entry}"):
                        yield name.hour


def changed_from(paths: Iterable[str]) -> dict[str, int]:
    """Return from which instant on each market's data changed, told by the paths of changed files."""
    earliest: dict[str, int] = {}
    for path in paths:
        if snapshot := parse_snapshot(path):
            key, ts = snapshot.key, snapshot.hour.open_ts
        elif candles := parse_candles(path):
            key, ts = candles.key, int(candles.month.timestamp())
        else:
            continue
        earliest[key] = min(ts, earliest.get(key, ts))
    return earliest


class RepositoryRegimes:
    """Computes rows from files, as known now; one thread at a time.

    Args:
        root: The repository's work tree.
        engine: Its rules make the rows.
        max_missing_minutes: An hour with more minutes missing gives no bars from minutes.
        cache_bytes: Decoded columns held in memory.
    """

    def __init__(
        self,
        root: Path,
        engine: RegimeEngine,
        *,
        max_missing_minutes: int,
        cache_bytes: int = 64_000_000,
    ) -> None:
        self.root, self._engine = root, engine
        self._max_missing_minutes, self._cache_bytes = max_missing_minutes, cache_bytes
        self._reader = self._new_reader()

    def _new_reader(self) -> SnapshotReader:
        return SnapshotReader(
            self.root, max_missing_minutes=self._max_missing_minutes, cache_bytes=self._cache_bytes
        )

    def notice(self, paths: Iterable[str] | None) -> None:
        """Read changed files anew where they were read before; all of them where none can be named."""
        if paths is None:
            self._reader = self._new_reader()
            return
        for path in paths:
            if (self.root / path).is_file():
                self._reader.notice(path)
            else:
                self._reader.forget(path)

    def faults(self) -> Sequence[str]:
        """Return what could not be read since the last call; such a file counts as not there."""
        return [fault.reason for fault in self._reader.take_faults()]

    def parts(
        self,
        key: str,
        timeframes: Sequence[Timeframe],
        start_ts: int,
        end_ts: int,
    ) -> Iterator[tuple[int, Mapping[Timeframe, SeriesPart]]]:
        """Yield the bars that open in [start_ts, end_ts) with their rows, month by month.

        Args:
            key: Market.
            timeframes: Those stored together, or 1m or 5m alone.
            start_ts, end_ts: Whole hours.

        Yields:
            Where the part ends, and the part by timeframe.
        """
        spans = _spans(timeframes, self._engine.config.history)
        for first_ts, last_ts in _pieces(timeframes, start_ts, end_ts):
            hour = Hour.of_ts(last_ts - 1)
            window = self._reader.load_window(key, hour, spans, EVERYTHING)
            told: dict[Timeframe, SeriesPart] = {}
            for timeframe in timeframes:
                bars = window.bars[timeframe].between(first_ts, last_ts)
                rows, since = self._engine.regimes(window, timeframe)
                if since > first_ts:
                    earlier = self._hour_by_hour(key, timeframe, first_ts, min(since, last_ts))
                    rows = earlier.followed_by(rows.between(since, last_ts))
                told[timeframe] = SeriesPart(
                    bars, rows.between(first_ts, last_ts), window.price_scale, window.volume_scale
                )
            yield last_ts, told

    def part(
        self,
        key: str,
        timeframe: Timeframe,
        start_ts: int,
        end_ts: int,
        enough: Callable[[SeriesPart], bool] | None = None,
    ) -> SeriesPart:
        """Return one timeframe's part as a whole, or as many months of it as are `enough`."""
        whole = SeriesPart.none(timeframe)
        for _, parts in self.parts(key, (timeframe,), start_ts, end_ts):
            whole = whole.followed_by(parts[timeframe])
            if enough is not None and enough(whole):
                break
        return whole

    def _hour_by_hour(self, key: str, timeframe: Timeframe, start_ts: int, end_ts: int) -> RegimeRows:
        """Return rows that no later window can tell: each from the window of its own hour."""
        rows, step = RegimeRows.none(timeframe), max(timeframe.seconds, HOUR_S)
        spans = _spans((timeframe,), self._engine.config.history)
        for close_ts in range(-(-start_ts // step) * step + step, -(-end_ts // step) * step + 1, step):
            window = self._reader.load_window(key, Hour.of_ts(close_ts - 1), spans, EVERYTHING)
            rows = rows.followed_by(own_rows(self._engine, window, timeframe))
        return rows.between(start_ts, end_ts)


def own_rows(engine: RegimeEngine, window: MarketWindow, timeframe: Timeframe) -> RegimeRows:
    """Return the rows of the bars that close in the window's own hour."""
    close = window.hour.close_ts
    rows, _ = engine.regimes(window, timeframe)
    return rows.between(close - max(timeframe.seconds, HOUR_S), close - timeframe.seconds + 1)


def _spans(timeframes: Sequence[Timeframe], history: HistoryConfig) -> dict[Timeframe, int]:
    """Return days of each timeframe such that a month's window holds the window of its first hour too."""
    wanted = {timeframe: history.days(timeframe) for timeframe in timeframes}
    wanted.setdefault(Timeframe.H1, 1)
    if Timeframe.H1 in timeframes:
        wanted[Timeframe.H4] = history.days(Timeframe.H4)  # a verdict hears them too
    return {timeframe: days + _LONGEST_MONTH_D for timeframe, days in wanted.items()}


def _pieces(timeframes: Sequence[Timeframe], start_ts: int, end_ts: int) -> Iterator[tuple[int, int]]:
    """Yield the months of [start_ts, end_ts), for 1m and 5m its days."""
    daily = any(timeframe in (Timeframe.M1, Timeframe.M5) for timeframe in timeframes)
    while start_ts < end_ts:
        if daily:
            until = start_ts - start_ts % _DAY_S + _DAY_S
        else:
            until = int(month_after(month_of(instant_of_ts(start_ts))).timestamp())
        yield start_ts, min(until, end_ts)
        start_ts = until
