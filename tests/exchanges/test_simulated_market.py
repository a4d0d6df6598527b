"""The simulated market: repeatable, random access, consistent, with regimes in it."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest

from exchanges.columns import decimal_text
from exchanges.sandbox.simulated import BLOCK_H, DEFAULT_SYMBOLS, FIRST_TS, SimulatedMarket
from market.candles import Candle
from tests.exchanges.conftest import HOUR

DAY = 86_400
END = HOUR.close_ts
SYMBOLS = [one.rules.symbol for one in DEFAULT_SYMBOLS]
ALL_SECONDS = [60, 180, 300, 900, 1800, 3600, 7200, 14_400, 21_600, 28_800, 43_200, 86_400]


def same(left, right) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(left.all(), right.all(), strict=True))


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_the_same_seed_gives_the_same_market_in_whatever_order_it_is_asked(symbol):
    """A minute does not depend on what was looked at before: backwards, forwards or alone."""
    forwards, backwards = SimulatedMarket(seed=5), SimulatedMarket(seed=5)
    spans = [(END - n * 20 * DAY - 7200, END - n * 20 * DAY) for n in range(8)]
    first = [forwards.bars(symbol, 60, *span) for span in spans]
    second = [backwards.bars(symbol, 60, *span) for span in reversed(spans)]
    assert all(same(a, b) for a, b in zip(first, reversed(second), strict=True))
    assert not same(first[0], SimulatedMarket(seed=6).bars(symbol, 60, *spans[0]))


@pytest.mark.parametrize("symbol", SYMBOLS)
@pytest.mark.parametrize("seconds", ALL_SECONDS[1:])
def test_every_timeframe_is_the_sum_of_its_minutes(market, symbol, seconds):
    """Open, high, low, close and volume of a coarse candle are those of the minutes under it."""
    start = END - END % DAY - 2 * DAY
    minutes = market.bars(symbol, 60, start, start + 2 * DAY)
    expected, _ = minutes.aggregated(seconds)
    assert same(market.bars(symbol, seconds, start, start + 2 * DAY), expected)


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_no_candle_contradicts_itself(market, symbol):
    """High above, low below, volume not negative, prices on the market's increment."""
    rules = next(r for r in market.symbols if r.symbol == symbol)
    bars = market.bars(symbol, 60, END - 3 * DAY, END)
    for ts, *figures in zip(*(column.tolist() for column in bars.all()), strict=True):
        first, high, low, last, volume = (Decimal(decimal_text(figure)) for figure in figures)
        assert Candle(ts, first, high, low, last, volume).fault() is None
        assert first % rules.price_increment == high % rules.price_increment == 0
        assert volume % rules.base_increment == 0
        assert volume > 0


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_blocks_join_without_a_seam(market, symbol):
    """Each minute opens where the one before closed, also across two blocks."""
    edge = FIRST_TS + 30 * BLOCK_H * 3600
    bars = market.bars(symbol, 60, edge - 7200, edge + 7200)
    assert np.array_equal(bars.open[1:], bars.close[:-1])
    assert (np.diff(bars.ts) >= 60).all()
    assert bars.ts[0] < edge <= bars.ts[-1]


def test_only_the_smallest_market_has_minutes_without_trade(market):
    """About one in fifty in SOL-USDT, none elsewhere."""
    counts = {symbol: len(market.bars(symbol, 60, END - 10 * DAY, END)) for symbol in SYMBOLS}
    assert counts["ETH-USDT"] == counts["BTC-USDT"] == 14_400
    assert 0.97 < counts["SOL-USDT"] / 14_400 < 0.99


def test_there_is_history_enough_for_the_longest_window(market):
    """540 days of 4h, 270 of 1h and 120 of 15m lie before any day of these years."""
    for seconds, days in ((14_400, 540), (3600, 270), (900, 120)):
        assert len(market.bars("ETH-USDT", seconds, END - days * DAY, END)) == days * DAY // seconds
    assert len(market.bars("ETH-USDT", 3600, FIRST_TS - 90 * DAY, FIRST_TS)) == 0


def test_there_are_ranges_and_trends_in_it(market):
    """Some weeks go nowhere and some go far: the days' efficiency spreads widely."""
    closes = np.log(market.bars("ETH-USDT", 3600, END - 540 * DAY, END).close)
    hours = closes[: closes.size // 48 * 48].reshape(-1, 48)
    walked = np.abs(np.diff(hours, axis=1)).sum(axis=1)
    efficiency = np.abs(hours[:, -1] - hours[:, 0]) / walked
    assert np.quantile(efficiency, 0.2) < 0.06  # real ETH-USDT has 0.05 and 0.39
    assert np.quantile(efficiency, 0.95) > 0.36


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_prices_stay_plausible_for_years(market, symbol):
    """No made-up coin goes to zero or to the moon."""
    start = next(one.price for one in DEFAULT_SYMBOLS if one.rules.symbol == symbol)
    closes = market.bars(symbol, 14_400, END - 900 * DAY, END).close
    assert closes.min() > start / 4
    assert closes.max() < start * 4
