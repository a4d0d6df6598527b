"""A simulated market: made up from a seed, with regimes in it. Nothing here ever happened.

An hourly path runs through episodes (a range, a weak range, a transition, a trend). Minutes are drawn inside
each hour so that they end where the hour ends, and every coarser candle is the sum of its minutes. Time is
cut into blocks of 30 days; the minutes of a block need only the hourly path up to it, which is cheap.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from exchanges.columns import Columns, Floats, joined, rounded
from market.hours import HOUR_S
from market.ports import SymbolRules
from market.units import decimals

FIRST_TS = 1_577_836_800  # 2020-01-01: nothing is simulated before
BLOCK_H = 720
_BLOCK_S = BLOCK_H * HOUR_S
_FIVE_MINUTES = 300
_MINUTE_BLOCKS_KEPT = 6
_BAR_BLOCKS_KEPT = 96


@dataclass(frozen=True, slots=True)
class Regime:
    """How the hourly path moves in one kind of episode.

    Attributes:
        shortest_h, longest_h: Length of an episode, hours.
        pull: Share of the distance to the episode's middle that an hour takes back.
        drift: Log move an hour, in units of the market's volatility.
        noise: Standard deviation an hour, in units of the market's volatility.
        activity: Volume, relative.
        next: What may follow, with its probability.
    """

    shortest_h: int
    longest_h: int
    pull: float
    drift: float
    noise: float
    activity: float
    next: tuple[tuple[str, float], ...]


REGIMES = {
    "range": Regime(72, 240, 0.12, 0.0, 0.75, 0.8, (("weak_range", 0.5), ("transition", 0.5))),
    "weak_range": Regime(36, 120, 0.05, 0.06, 1.0, 1.0, (("range", 0.5), ("transition", 0.5))),
    "transition": Regime(8, 30, 0.0, 0.15, 1.5, 1.5, (("trend", 0.7), ("range", 0.3))),
    "trend": Regime(18, 72, 0.0, 0.6, 1.15, 1.7, (("transition", 0.2), ("weak_range", 0.4), ("range", 0.4))),
}


@dataclass(frozen=True, slots=True)
class SimulatedSymbol:
    """One made-up market.

    Attributes:
        price: Where the path starts and what it is drawn back to over months.
        hourly_volatility: Standard deviation of an ordinary hour's log return.
        minute_volume: Base coin in an ordinary minute.
        no_trade_share: Share of minutes in which nothing trades.
    """

    rules: SymbolRules
    price: float
    hourly_volatility: float
    minute_volume: float
    no_trade_share: float = 0.0


def _rules(symbol: str, price_increment: str, base_increment: str) -> SymbolRules:
    base, _, quote = symbol.partition("-")
    size = Decimal(base_increment)
    return SymbolRules(
        symbol, base, quote, Decimal(price_increment), size, size * 10, Decimal("0.1"), trading=True
    )


DEFAULT_SYMBOLS = (
    SimulatedSymbol(_rules("ETH-USDT", "0.01", "0.0000001"), 2400.0, 0.0055, 38.0),
    SimulatedSymbol(_rules("BTC-USDT", "0.1", "0.00000001"), 61000.0, 0.0042, 2.6),
    SimulatedSymbol(_rules("SOL-USDT", "0.001", "0.0001"), 145.0, 0.0075, 210.0, no_trade_share=0.02),
)


@dataclass(frozen=True, slots=True, eq=False)
class _HourPath:
    """A block's hours: log price at the open of the first and at each close, volatility, activity."""

    start: float
    closes: Floats
    sigma: Floats
    activity: Floats


class SimulatedMarket:
    """Candles of made-up markets, the same for the same seed, from 2020 on.

    Args:
        seed: Everything follows from it.
        symbols: Which markets; their order is part of the seed.
    """

    def __init__(self, seed: int = 1, symbols: Sequence[SimulatedSymbol] = DEFAULT_SYMBOLS) -> None:
        self._seed = seed
        self._made = {one.rules.symbol: one for one in symbols}
        self._number = {symbol: number for number, symbol in enumerate(self._made)}
        self._paths: dict[str, list[_HourPath]] = {symbol: [] for symbol in self._made}
        self._minutes = _Recent(_MINUTE_BLOCKS_KEPT)
        self._bars = _Recent(_BAR_BLOCKS_KEPT)

    @property
    def kind(self) -> Literal["simulated"]:
        return "simulated"

    @property
    def symbols(self) -> tuple[SymbolRules, ...]:
        return tuple(one.rules for one in self._made.values())

    def bars(self, symbol: str, seconds: int, start_ts: int, end_ts: int) -> Columns:
        first = max(0, (start_ts - FIRST_TS) // _BLOCK_S)
        last = (end_ts - 1 - FIRST_TS) // _BLOCK_S
        parts = [
            self._block(symbol, seconds, block).between(start_ts, end_ts) for block in range(first, last + 1)
        ]
        return joined(parts)

    def _block(self, symbol: str, seconds: int, block: int) -> Columns:
        volume_decimals = decimals(self._made[symbol].rules.base_increment)

        def minutes() -> Columns:
            return self._minutes.get((symbol, block), lambda: self._drawn_minutes(symbol, block))

        if seconds == 60:
            return minutes()
        if seconds % _FIVE_MINUTES:
            return minutes().aggregated(seconds, volume_decimals)[0]
        bars = self._bars.get(
            (symbol, block), lambda: minutes().aggregated(_FIVE_MINUTES, volume_decimals)[0]
        )
        return bars if seconds == _FIVE_MINUTES else bars.aggregated(seconds, volume_decimals)[0]

    def _drawn(self, symbol: str, block: int, what: int) -> np.random.Generator:
        return np.random.default_rng([self._seed, self._number[symbol], block, what])

    def _path(self, symbol: str, block: int) -> _HourPath:
        paths = self._paths[symbol]
        while len(paths) <= block:
            start = float(paths[-1].closes[-1]) if paths else float(np.log(self._made[symbol].price))
            paths.append(self._drawn_path(symbol, len(paths), start))
        return paths[block]

    def _drawn_path(self, symbol: str, block: int, start: float) -> _HourPath:
        made, random = self._made[symbol], self._drawn(symbol, block, 0)
        noise = random.standard_normal(BLOCK_H)
        swell = np.exp(
            0.2 * np.convolve(random.standard_normal(BLOCK_H + 11), np.ones(12) / 12**0.5, "valid")
        )
        closes, sigma, activity = np.empty(BLOCK_H), np.empty(BLOCK_H), np.empty(BLOCK_H)
        name = "weak_range" if random.random() < 0.3 else "range"
        hour, now = 0, start
        while hour < BLOCK_H:
            regime = REGIMES[name]
            end = min(BLOCK_H, hour + int(random.integers(regime.shortest_h, regime.longest_h + 1)))
            away = now - float(np.log(made.price))
            up = random.random() < 1 / (1 + np.exp(5 * away))  # far from home the way back is likelier
            drift = regime.drift * made.hourly_volatility * (1 if up else -1)
            sigma[hour:end] = made.hourly_volatility * regime.noise * swell[hour:end]
            activity[hour:end] = regime.activity * swell[hour:end] ** 2
            middle = now
            for at in range(hour, end):
                middle += drift
                now += regime.pull * (middle - now) if regime.pull else drift
                now += sigma[at] * noise[at]
                closes[at] = now
            hour = end
            names, chances = zip(*regime.next, strict=True)
            name = str(random.choice(names, p=chances))
        return _HourPath(start, closes, sigma, activity)

    def _drawn_minutes(self, symbol: str, block: int) -> Columns:
        made, path, random = self._made[symbol], self._path(symbol, block), self._drawn(symbol, block, 1)
        shape = (BLOCK_H, 60)
        traded = random.random(shape) >= made.no_trade_share
        traded[:, 30] = True  # so that each hour's move has a minute to happen in
        shocks = random.standard_normal(shape) * np.exp(0.3 * random.standard_normal(shape))
        places = decimals(made.rules.price_increment)
        closes = rounded(np.exp(_log_minutes(path, shocks, traded)), places)
        opens = np.r_[rounded(np.exp([path.start]), places), closes[:-1]]
        reach = 0.5 * np.repeat(path.sigma / 60**0.5, 60)
        high, low = np.maximum(opens, closes), np.minimum(opens, closes)
        high = np.maximum(
            high, rounded(high * (1 + reach * np.abs(random.standard_normal(high.size))), places)
        )
        low = np.minimum(low, rounded(low * (1 - reach * np.abs(random.standard_normal(low.size))), places))
        volume = made.minute_volume * self._busyness(path) * np.exp(0.7 * random.standard_normal(high.size))
        volume *= 0.6 + 0.5 * np.abs(shocks).ravel()
        volume = rounded(volume, decimals(made.rules.base_increment))
        ts = FIRST_TS + block * _BLOCK_S + 60 * np.arange(closes.size, dtype=np.int64)
        least = float(made.rules.base_increment)
        whole = Columns(ts, opens, high, low, closes, np.maximum(volume, least))
        return whole.where(traded.ravel())

    @staticmethod
    def _busyness(path: _HourPath) -> Floats:
        hour_of_day = np.arange(BLOCK_H) % 24
        by_day = 1 + 0.45 * np.cos(2 * np.pi * (hour_of_day - 15) / 24)
        busy: Floats = np.repeat(by_day * path.activity, 60)
        return busy


def _log_minutes(path: _HourPath, shocks: Floats, traded: NDArray[np.bool_]) -> Floats:
    """Return the log close of every minute of the block, ending each hour where its path ends.

    Args:
        shocks: Unit noise, shape (hours, 60).
        traded: False where the price stands still, same shape.
    """
    count = traded.sum(axis=1, keepdims=True)
    free = np.where(traded, shocks, 0.0)
    free -= np.where(traded, free.sum(axis=1, keepdims=True) / count, 0.0)
    opens = np.r_[path.start, path.closes[:-1]][:, None]
    move = path.closes[:, None] - opens
    steps = free * (path.sigma[:, None] / 60**0.5) + np.where(traded, move / count, 0.0)
    minutes: Floats = (opens + np.cumsum(steps, axis=1)).ravel()
    return minutes


class _Recent:
    """The newest few blocks, made when asked for."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[tuple[str, int], Columns] = OrderedDict()

    def get(self, name: tuple[str, int], make: Callable[[], Columns]) -> Columns:
        if name not in self._kept:
            self._kept[name] = make()
            if len(self._kept) > self._most:
                self._kept.popitem(last=False)
        self._kept.move_to_end(name)
        return self._kept[name]
