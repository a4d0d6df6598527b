"""Where a backtest's hours come from: recorded candles, or a data repository as known at the time."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Protocol

import numpy as np

from decisions.inputs import HourInputs
from grid.economics import TradingRules
from market.candles import Bars, Ints
from market.errors import DataInvalid
from market.hours import Hour, Timeframe, hours_between, instant_iso, instant_of_ts
from market.snapshot import MINUTES
from market.units import plain
from store.inputs import ReadOnlyStore
from store.recorded import RecordedMarket, choose_markets, parse_name
from store.recorded_windows import Candles, RecordedWindows
from trading.market_hour import MarketHour

QUOTE_MINIMUM = Decimal("0.1")
Markets = dict[str, MarketHour]


class HourSource(Protocol):
    """Hours of markets, oldest first, each with nothing that was not known at its close."""

    @property
    def keys(self) -> tuple[str, ...]:
        """Return the markets, sorted."""

    @property
    def span(self) -> tuple[Hour, Hour]:
        """Return the hours that all markets have, half-open."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Return what a reader of the result must know of the data."""

    def hours(self, start: Hour, end: Hour) -> Iterator[tuple[Hour, Markets]]:
        """Yield each hour with the markets that have news in it."""


class MissingMinutes(StrEnum):
    """What an hour is that lacks minutes."""

    FAIL = "fail"
    HOLD = "hold"
    UNTRADABLE = "untradable"


class RecordedSource:
    """Recorded candles, parquet or CSV, each hour as known at its close.

    Args:
        windows: By market.
        rules: Order rules of markets; of the others they are inferred from the decimals of what was recorded.
        missing: `fail` refuses an hour that lacks a minute, `hold` lets orders rest in the minutes that are
            not there, `untradable` leaves the market out of the whole hour.
    """

    def __init__(
        self,
        windows: Mapping[str, RecordedWindows],
        rules: Mapping[str, TradingRules] | None = None,
        missing: MissingMinutes = MissingMinutes.HOLD,
    ) -> None:
        given = dict(rules or {})
        self._windows = {key: windows[key] for key in sorted(windows)}
        self._missing = missing
        self.rules = {key: given.get(key) or inferred_rules(each) for key, each in self._windows.items()}
        told = [
            f"{key}: order rules inferred from recorded decimals: {_told(self.rules[key])}"
            for key in self._windows
            if key not in given
        ]
        self.notes = (
            *told,
            "best bid and ask were not recorded: they come from the spread model",
            f"minutes that are missing: {missing.value}",
        )

    @classmethod
    def of(
        cls,
        data: Path,
        keys: Sequence[str],
        timeframes: Mapping[Timeframe, int],
        *,
        window: str | None = None,
        venue: str | None = None,
        rules: Mapping[str, TradingRules] | None = None,
        missing: MissingMinutes = MissingMinutes.HOLD,
    ) -> RecordedSource:
        """Return the candles of markets from a folder, or of one market from a file.

        Raises:
            DataInvalid: Not there, or another market's.
        """
        markets = {}
        for market in recorded_markets(keys, data, window, venue):
            key = market.symbol
            if Timeframe.M1 not in market.files:
                raise DataInvalid(data.name, "minutes", f"none of {key}; orders are filled in minutes only")
            markets[key] = RecordedWindows(market, timeframes)
        return cls(markets, rules, missing)

    def over(self, candles: Mapping[str, Candles], timeframes: Mapping[Timeframe, int]) -> RecordedSource:
        """Return other candles of the same markets, with the order rules and the scale of these.

        Both are facts of a market: what they were inferred from tells nothing of its prices to come.
        """
        windows = {
            key: RecordedWindows(candles[key], timeframes, each.price_scale)
            for key, each in self._windows.items()
        }
        return RecordedSource(windows, self.rules, self._missing)

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(self._windows)

    @property
    def span(self) -> tuple[Hour, Hour]:
        """Return the hours in which every market has minutes, half-open."""
        spans = [_span(each.bars(Timeframe.M1)) for each in self._windows.values()]
        return max(start for start, _ in spans), min(end for _, end in spans)

    def hours(self, start: Hour, end: Hour) -> Iterator[tuple[Hour, Markets]]:
        """Yield each hour with its markets.

        Raises:
            DataInvalid: By the policy `fail`: a minute is missing.
        """
        for hour in hours_between(start, end):
            found = {key: self._market(key, each, hour) for key, each in self._windows.items()}
            yield hour, {key: market for key, market in found.items() if market is not None}

    def _market(self, key: str, recorded: RecordedWindows, hour: Hour) -> MarketHour | None:
        minutes = recorded.bars(Timeframe.M1).between(hour.open_ts, hour.close_ts)
        if len(minutes) < MINUTES and self._missing is not MissingMinutes.HOLD:
            if self._missing is MissingMinutes.UNTRADABLE:
                return None
            absent = np.setdiff1d(np.arange(hour.open_ts, hour.close_ts, 60), minutes.ts)
            first = instant_iso(instant_of_ts(int(absent[0])))
            raise DataInvalid(f"{key} {hour}", "minutes", f"{len(absent)} missing, the first {first}")
        inputs = HourInputs(
            key,
            hour,
            hour.closes_at,
            recorded.window(hour),
            files={},
            summary=None,
            has_bar=recorded.has(hour),
            minutes=minutes,
            rules=self.rules[key],
        )
        return MarketHour(inputs, recorded.symbol)


class RepositorySource:
    """A data repository, each hour as known when it was judged; the operator's grids are not looked at.

    Raises:
        DataInvalid: A market has no judged hour.
        RepositoryUnusable: Not a folder.
    """

    def __init__(
        self,
        root: Path,
        keys: Sequence[str],
        *,
        max_missing_minutes: int,
        timeframes: Mapping[Timeframe, int],
    ) -> None:
        self._store = ReadOnlyStore(root, max_missing_minutes=max_missing_minutes, timeframes=timeframes)
        self._judged = {}
        for key in sorted(keys):
            self._judged[key] = self._store.inputs.judged_hours(key)
            if not self._judged[key]:
                raise DataInvalid(f"metrics/{key}", "", "no judged hour of this market")
        self._symbols: dict[str, str] = {}
        self.notes = (
            "each hour as known when it was judged; best bid and ask as recorded, else from the spread model",
        )

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(self._judged)

    @property
    def span(self) -> tuple[Hour, Hour]:
        judged = self._judged.values()
        return max(hours[0] for hours in judged), min(hours[-1] for hours in judged).plus(1)

    def hours(self, start: Hour, end: Hour) -> Iterator[tuple[Hour, Markets]]:
        """Yield each hour with the markets that were judged in it.

        Raises:
            DataInvalid: A file that an hour was judged by is damaged.
        """
        judged = {key: set(hours) for key, hours in self._judged.items()}
        for hour in hours_between(start, end):
            there = [key for key, hours in judged.items() if hour in hours]
            yield hour, {key: self._market(key, hour) for key in there}

    def _market(self, key: str, hour: Hour) -> MarketHour:
        (inputs,) = self._store.read_inputs(key, [hour])
        for fault in self._store.inputs.take_faults():
            raise DataInvalid(fault.path, "", fault.reason)
        return MarketHour(inputs, self._symbol(key, hour))

    def _symbol(self, key: str, hour: Hour) -> str:
        if key not in self._symbols:
            try:
                self._symbols[key] = self._store.reader.load_snapshot(key, hour).symbol
            except FileNotFoundError:
                return key  # an hour without a snapshot has no rules either: nothing is traded in it
        return self._symbols[key]


class DataDigest:
    """SHA-256 over all that a run was given: windows, minutes, rules and best prices, hour by hour."""

    def __init__(self) -> None:
        self._hashed = hashlib.sha256()

    def take(self, hour: Hour, markets: Mapping[str, MarketHour]) -> None:
        """Take in one hour."""
        for key, market in sorted(markets.items()):
            inputs, summary = market.inputs, market.inputs.summary
            best = None if summary is None else (summary.best_bid, summary.best_ask)
            rules = None if inputs.rules is None else sorted(inputs.rules.as_record().items())
            head = f"{key} {hour} {market.symbol} {best} {rules} {inputs.window.digest()}"
            self._hashed.update(head.encode())
            for column in inputs.minutes.columns():
                self._hashed.update(np.ascontiguousarray(column, dtype="<i8").tobytes())

    @property
    def value(self) -> str:
        return f"sha256:{self._hashed.hexdigest()}"


def recorded_markets(
    keys: Sequence[str], data: Path, window: str | None = None, venue: str | None = None
) -> Sequence[RecordedMarket]:
    """Return the files of markets that share whole days in a folder, or the one market of a file.

    Raises:
        DataInvalid: Not there, no day in common, a name that says too little, or another market.
    """
    if data.is_dir():
        return choose_markets(data, len(keys), window, symbols=keys, venue=venue).markets
    named = parse_name(data)
    if not data.is_file():
        raise DataInvalid(str(data), "", "no such file or folder")
    if named is None:
        raise DataInvalid(data.name, "", "the name must say EXCHANGE_SYMBOL_TIMEFRAME.parquet or .csv")
    if [named.symbol] != list(keys):
        raise DataInvalid(data.name, "symbol", f"{named.symbol}, expected {', '.join(keys)}")
    return [RecordedMarket(named.exchange, named.symbol, {named.timeframe: data})]


def inferred_rules(recorded: RecordedWindows) -> TradingRules:
    """Return increments as fine as the recorded decimals, one of them the smallest size, 0.1 quote at least.

    A guess: an exchange may ask for coarser steps than its candles show.
    """
    bars = recorded.bars(Timeframe.M1)
    price = _step(np.concatenate([bars.open, bars.high, bars.low, bars.close]), recorded.price_scale)
    base = _step(bars.volume[bars.volume > 0], recorded.volume_scale)
    return TradingRules(price, base, base, QUOTE_MINIMUM)


def _step(amounts: Ints, scale: int) -> Decimal:
    """Return the power of ten of which every scaled amount is a multiple, at most 1."""
    step = 1
    while step < scale and not np.any(amounts % (step * 10)):
        step *= 10
    return Decimal(step) / scale


def _told(rules: TradingRules) -> str:
    return ", ".join(f"{name} {plain(Decimal(text))}" for name, text in rules.as_record().items())


def _span(minutes: Bars) -> tuple[Hour, Hour]:
    """Return the whole hours from the first to the last minute."""
    first, end = int(minutes.ts[0]), int(minutes.ts[-1]) + 60
    return Hour(-(-first // 3600)), Hour(end // 3600)
