"""The look-ahead check finds three planted leaks, each by its hour, and nothing in our own desk."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping

import numpy as np
import pytest

from backtest.data import RecordedSource
from backtest.engine import desk_hours
from backtest.lookahead import CutCandles, Future, look_ahead, spread_cuts
from exchanges.simulated.fills import EXPECTED
from market.candles import Bars
from market.hours import Hour, Timeframe
from store.recorded import choose_markets
from store.recorded_windows import Candles, RecordedWindows
from tests.backtest.candles import TIMEFRAMES
from tests.trading.desks import CASH, RULES, policy_of
from trading.signals.registry import SIGNALS, build
from trading.values import MarketView, Trigger, TriggerKind

KEY = "ETH-USDT"
START = Hour.parse("2025-06-09T12")
END = START.plus(30)
CUTS = spread_cuts(START, END, 7)


class Leaky(ABC):
    """A signal that was given the whole series of hours when it was made, as a careless backtest does."""

    name = "momentum"

    def __init__(self, hours: Bars) -> None:
        self.ts, self.closes = hours.ts, hours.close.astype(np.float64)

    @abstractmethod
    def seen(self, row: int) -> float | None:
        """Return the number that makes it fire, None where it does not."""

    def scan(self, view: MarketView) -> tuple[Trigger, ...]:
        row = int(np.searchsorted(self.ts, view.hour.open_ts))
        seen = self.seen(row)
        if seen is None:
            return ()
        price, swing, words = int(self.closes[row]), TriggerKind.SWING, f"beside {seen:.2f}"
        stop, target = int(price * 0.97), int(price * 1.05)
        return (Trigger(self.name, view.key, view.hour, swing, 0.9, 0.9, words, price, stop, target, 24),)


class FutureClose(Leaky):
    """Buys where the next hour closes elsewhere."""

    def seen(self, row: int) -> float | None:
        return self.closes[row + 1] if row + 1 < len(self.closes) else None


class CentredWindow(Leaky):
    """Buys beside an average that reaches two hours ahead."""

    def seen(self, row: int) -> float | None:
        return self.closes[max(row - 2, 0) : row + 3].mean()


class FullSampleQuantile(Leaky):
    """Buys where the close is in the upper part of the whole sample's closes."""

    def seen(self, row: int) -> float | None:
        upper = np.quantile(self.closes[-400:], 0.2)
        return upper if self.closes[row] > upper else None


@pytest.fixture(scope="module")
def candles(recorded_data) -> Mapping[str, Candles]:
    (market,) = choose_markets(recorded_data, 1, symbols=[KEY], venue="BINANCE").markets
    return {KEY: Recent(market)}


class Recent:
    """The market's files up to a week after the span, so that the test need not read the rest."""

    symbol = KEY

    def __init__(self, market: Candles) -> None:
        found = {each: market.series(each) for each in Timeframe}
        self._series = {
            each: one.between(0, END.plus(168).open_ts) for each, one in found.items() if one is not None
        }

    def series(self, timeframe: Timeframe):
        return self._series.get(timeframe)


def strategy(leak: type[Leaky] | None):
    """Return what builds source and strategy from candles and runs the desk over them."""

    def make(candles: Mapping[str, Candles]):
        windows = {key: RecordedWindows(each, TIMEFRAMES) for key, each in candles.items()}
        source = RecordedSource(windows, RULES)
        signals = build({name: {} for name in SIGNALS})
        if leak is not None:
            signals = (leak(windows[KEY].bars(Timeframe.H1)),)
        policy = policy_of([KEY], signals=signals)

        def run(start: Hour, end: Hour) -> Iterator[tuple[Hour, dict]]:
            for report in desk_hours(policy, EXPECTED, CASH, source.hours(start, end)):
                yield report.hour, report.as_value()

        return run

    return make


def test_our_own_desk_never_looks_ahead(candles):
    """Every signal, rules, risk, orders and fills: the past stays whatever follows."""
    assert look_ahead(candles, strategy(None), START, END, CUTS) == []


@pytest.mark.parametrize(("leak", "reach"), [(FutureClose, 1), (CentredWindow, 2)])
def test_a_leak_of_some_hours_is_found_in_the_hours_before_the_cut(candles, leak, reach):
    """The next close, a centred window: found, and no further back than they reach."""
    found = look_ahead(candles, strategy(leak), START, END, CUTS)
    assert found and max(each.ahead_h for each in found) <= reach
    assert any(each.ahead_h == reach for each in found)
    assert all(each.place.startswith("triggers") for each in found)
    assert "knew what came" in str(found[0]) and str(found[0].hour) in str(found[0])


def test_a_quantile_of_the_whole_sample_is_found_far_before_the_cut(candles):
    """What was learnt from the whole sample differs long before the cut."""
    found = look_ahead(candles, strategy(FullSampleQuantile), START, END, CUTS)
    assert max(each.ahead_h for each in found) > 3


def test_what_is_put_in_place_of_the_future(candles):
    """The known part is untouched; no bar that reaches into the future is left; noise keeps the form."""
    for timeframe in (Timeframe.M1, Timeframe.H1, Timeframe.H4):
        told = candles[KEY].series(timeframe)
        cut = START.plus(7)
        without = CutCandles(candles[KEY], cut, Future.NOTHING, 0).series(timeframe)
        noise = CutCandles(candles[KEY], cut, Future.NOISE, 0).series(timeframe)
        known = len(without)
        assert without.end_ts <= cut.open_ts < int(told.ts[known]) + timeframe.seconds
        assert np.array_equal(noise.close[:known], told.close[:known]) and np.array_equal(noise.ts, told.ts)
        assert not np.array_equal(noise.close[known:], told.close[known:])
        assert np.all(noise.high >= np.maximum(noise.open, noise.close)) and np.all(noise.low > 0)
