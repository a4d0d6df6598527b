"""One market's hour in the units of its orders: prices in another scale, recorded bid and ask, its close."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decisions.evaluate import evaluate
from market.candles import bars_of
from market.errors import DataInvalid
from market.hours import Timeframe
from market.orders import BestPrices, OrderTerms
from tests.decisions.builders import HOUR, KEY, inputs, minute_bars, policy, window
from tests.trading.accounts import FREE
from tests.trading.views import RULES
from trading.grids import DeskGrids, Judged
from trading.market_hour import MarketHour, in_scale, turnover_24h, view_of

FINE, COARSE = (OrderTerms.of(KEY, KEY, scale, RULES) for scale in (1000, 100))
ROWS = st.lists(
    st.tuples(st.integers(1000, 9000), st.integers(0, 300), st.integers(0, 300), st.integers(0, 600)),
    min_size=1,
    max_size=8,
)


def market(**others: Any) -> MarketHour:
    return MarketHour(inputs(**others), KEY)


def with_best(bid: int | None, ask: int | None) -> MarketHour:
    told = inputs()
    assert told.summary is not None
    return MarketHour(replace(told, summary=replace(told.summary, best_bid=bid, best_ask=ask)), KEY)


def test_a_finer_scale_keeps_every_price():
    """Each is multiplied, none is rounded."""
    bars = minute_bars(prices=(2000.0, 2010.0))
    fine = in_scale(bars, 100, 1000)
    assert (fine.low == bars.low * 10).all() and (fine.high == bars.high * 10).all()
    assert in_scale(bars, 100, 100).close.tolist() == bars.close.tolist()


@given(ROWS, st.sampled_from([2, 10, 100]))
def test_a_coarser_scale_never_reaches_further_than_the_prices_did(rows, factor):
    """No coarse price is touched that was not, unless the whole minute lies between two of them."""
    told = [
        (HOUR.open_ts + 60 * n, low, low + up + down, low, low + min(close, up + down), 10)
        for n, (low, up, down, close) in enumerate(rows)
    ]
    bars = bars_of(Timeframe.M1, told)
    coarse = in_scale(bars, factor, 1)
    for before_low, before_high, row in zip(bars.low, bars.high, range(len(bars)), strict=True):
        low, high = int(coarse.low[row]), int(coarse.high[row])
        first, last = -(-int(before_low) // factor), int(before_high) // factor
        if first <= last:
            assert (low, high) == (first, last)
        else:
            assert (low, high) == (last, first) and high - low == 1
        assert low <= coarse.open[row] <= high and low <= coarse.close[row] <= high


def test_a_minute_in_a_coarser_scale_by_hand():
    """Open and close are rounded down and kept within what is left of the range."""
    rows = [(0, 1019, 1032, 1001, 1028, 5), (60, 1005, 1009, 1001, 1003, 5), (120, 1001, 1040, 1001, 1039, 5)]
    coarse = in_scale(bars_of(Timeframe.M1, rows), 1000, 100)
    assert coarse.open.tolist() == [101, 100, 101]
    assert coarse.high.tolist() == [103, 101, 104]
    assert coarse.low.tolist() == [101, 100, 101]
    assert coarse.close.tolist() == [102, 100, 103]


def test_a_book_that_is_locked_is_one():
    """Bid and ask at one price, however small, are prices."""
    for price in (1, 200_000):
        found = with_best(price, price).best(COARSE)
        assert found is not None and found.bid == found.ask == price


def test_bid_and_ask_are_told_as_recorded_and_never_narrower():
    """In a coarser scale the bid goes down, the ask up; there is none without both, or where they cross."""
    assert with_best(199_990, 200_010).best(COARSE) == BestPrices(
        199_990, 200_010, HOUR.close_ts, recorded=True
    )
    assert with_best(199_990, 200_010).best(FINE) == BestPrices(
        1_999_900, 2_000_100, HOUR.close_ts, recorded=True
    )
    tens = replace(COARSE, price_scale=10)
    found = with_best(199_991, 200_011).best(tens)
    assert found is not None and (found.bid, found.ask) == (19_999, 20_002)
    for bid, ask in ((None, 200_010), (199_990, None), (200_010, 199_990), (0, 200_000)):
        assert with_best(bid, ask).best(COARSE) is None
    assert market(missing=60, bar=False).best(COARSE) is None


def test_terms_are_in_the_finer_of_both_scales():
    """Of the window and of the increment; without rules there are none."""
    terms = market().terms()
    assert terms is not None and (terms.price_scale, terms.base, terms.quote) == (100, "ETH", "USDT")
    assert market(rules=None).terms() is None


def test_a_days_turnover_needs_the_whole_day():
    """24 hours at their closes; the sum is unknown where one is missing, or the window has no hours."""
    whole = window(HOUR)
    day = whole.bars[Timeframe.H1].between(HOUR.close_ts - 86_400, HOUR.close_ts)
    expected = sum(close / 100 * volume / 1000 for close, volume in zip(day.close, day.volume, strict=True))
    assert turnover_24h(whole, HOUR) == pytest.approx(expected)
    bars = whole.bars[Timeframe.H1]
    holed = replace(whole, bars={Timeframe.H1: bars.at(bars.ts != HOUR.open_ts - 3600)})
    assert turnover_24h(holed, HOUR) is None
    assert turnover_24h(replace(whole, bars={}), HOUR) is None


def judged(hour: MarketHour) -> Judged:
    return Judged(evaluate(hour.inputs, policy()), DeskGrids())


def test_a_view_is_in_the_scale_of_its_orders():
    """Bars are brought to finer terms; to coarser ones they are not: that would be another market."""
    told = market()
    view = view_of(told, judged(told), FINE, FREE, None)
    assert view.window.price_scale == 1000
    last = view.window.bars[Timeframe.H1].close[-1]
    assert last == told.inputs.window.bars[Timeframe.H1].close[-1] * 10
    with pytest.raises(DataInvalid, match="finer than that of open orders"):
        view_of(told, judged(told), replace(COARSE, price_scale=10), FREE, None)


def test_a_view_says_how_old_its_last_price_is():
    """Minutes from the end of the last known one; an hour where none is known."""
    for missing, minutes in ((0, 0), (3, 3), (59, 59)):
        told = market(missing=missing)
        assert view_of(told, judged(told), COARSE, FREE, None).stale_minutes == minutes
    told = market(missing=60, bar=False)
    assert view_of(told, judged(told), COARSE, FREE, None).stale_minutes == 60
