from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.candles import Candle
from market.errors import DataInvalid, ValueOutOfRange
from market.hours import Hour
from market.snapshot import Account, Ticker, validate_snapshot
from tests.market.snapshots import HOUR, minute_candles, snapshot

SETS = st.sets(st.integers(0, 59))


def test_a_full_hour_is_complete_and_valid():
    """60 candles in, 60 minutes out, every figure exactly as told."""
    made = snapshot()
    assert made.is_complete
    assert made.no_trade == made.missing == ()
    assert validate_snapshot(made).ok
    assert validate_snapshot(made).warnings == ()
    first = next(c for c in minute_candles() if c.ts == HOUR.open_ts)
    assert made.minutes.open[0] == int(first.open * 100)
    assert made.minutes.volume[0] * 1000 == int(first.volume * made.volume_scale) * 1000


@given(SETS)
def test_a_minute_without_a_row_is_no_trade_only_between_real_candles(skip):
    """pains 4 and 5: proven no-trade minutes are flat at the previous close; nothing else is filled."""
    candles = minute_candles(skip=skip)
    made = snapshot(candles=candles)
    assert set(made.no_trade) == skip
    assert made.is_complete
    assert validate_snapshot(made).ok
    for minute in skip:
        previous = next(c for c in reversed(candles) if c.ts < HOUR.open_ts + 60 * minute)
        assert made.minutes.close[minute] == int(previous.close * 100)
        assert made.minutes.volume[minute] == 0


@given(SETS)
def test_a_minute_that_could_not_be_fetched_is_missing(unfetched):
    """A hole in the answer is not a minute without trades."""
    made = snapshot(candles=minute_candles(skip=unfetched), unfetched=unfetched)
    assert set(made.missing) == unfetched
    assert all(made.minutes.open[m] is None for m in unfetched)
    assert validate_snapshot(made).ok
    assert made.is_complete == (not unfetched)


def test_without_a_candle_on_both_sides_a_minute_is_missing():
    """The first and last minutes cannot be called no-trade on the word of one side."""
    no_left = snapshot(candles=minute_candles(before=0, skip={0, 1}))
    no_right = snapshot(candles=minute_candles(after=0, skip={58, 59}))
    after_hole = snapshot(candles=minute_candles(skip={10, 11}), unfetched={10})
    assert no_left.missing == (0, 1)
    assert no_right.missing == (58, 59)
    assert after_hole.missing == (10, 11)


def test_an_hour_without_any_candle_is_all_missing():
    """Nothing known, nothing claimed."""
    made = snapshot(candles=[])
    assert len(made.missing) == 60
    assert made.summary is None
    assert validate_snapshot(made).ok


def test_an_hour_without_trades_is_complete_and_says_so():
    """A dead market is data, not an outage."""
    made = snapshot(candles=minute_candles(skip=set(range(60))))
    assert made.is_complete
    assert validate_snapshot(made).warnings == ("no trades in the whole hour",)
    assert made.summary.vwap is None


@pytest.mark.parametrize("count", [59, 61])
def test_property_76_59_or_61_minutes_are_refused(count):
    """76: an hour has 60 minutes."""
    made = snapshot()
    column = (*made.minutes.close, 1)[:count]
    found = validate_snapshot(replace(made, minutes=replace(made.minutes, close=column)))
    assert found.errors == (f"minutes.close: {count} minutes, expected 60",)


def broken(**columns):
    made = snapshot()
    minutes = made.minutes
    for name, (index, value) in columns.items():
        column = list(getattr(minutes, name))
        column[index] = value
        minutes = replace(minutes, **{name: tuple(column)})
    return replace(made, minutes=minutes)


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (broken(low=(5, 10**9)), "minute 5: open"),
        (broken(high=(5, 1)), "minute 5: open"),
        (broken(low=(5, 0)), "minute 5: open"),
        (broken(volume=(5, -1)), "minute 5: volume -1"),
        (broken(turnover=(5, -1)), "minute 5: turnover -1"),
        (broken(close=(5, None)), "minutes.close: null at [5]"),
        (replace(snapshot(), no_trade=(7,)), "minute 7: no_trade, but not flat"),
        (replace(snapshot(), no_trade=(7, 7)), "no_trade: [7, 7]"),
        (replace(snapshot(), missing=(60,)), "missing: [60]"),
        (replace(snapshot(), no_trade=(3,), missing=(3,)), "both no_trade and missing"),
        (replace(snapshot(), summary=None), "market_summary: must be there"),
        (
            replace(snapshot(), summary=replace(snapshot().summary, close=1)),
            "market_summary.close: 1, the minutes give",
        ),
    ],
)
def test_each_broken_rule_is_named(made, words):
    """Validation rules 1, 3 and 4: the message says what was found and what was expected."""
    found = validate_snapshot(made)
    assert not found.ok
    assert any(words in error for error in found.errors), found.errors


def test_candles_out_of_order_or_twice_are_refused():
    """pains 7: an answer in the wrong order is never quietly accepted."""
    candles = minute_candles()
    with pytest.raises(DataInvalid, match="rising times"):
        snapshot(candles=candles[::-1])
    with pytest.raises(DataInvalid, match="rising times"):
        snapshot(candles=[candles[0], *candles])
    with pytest.raises(DataInvalid, match="start of a minute"):
        snapshot(candles=[replace(candles[0], ts=candles[0].ts + 1)])
    with pytest.raises(DataInvalid, match="low"):
        snapshot(candles=[replace(candles[0], low=Decimal(0))])


def test_the_scale_grows_with_the_market_and_the_file():
    """A coin of 1e-8 keeps its price; a tick that became finer is kept too."""
    candles = [
        Candle(HOUR.open_ts + 60 * i, *[Decimal("0.00000123")] * 4, Decimal(10) ** 9, Decimal(1230))
        for i in range(61)
    ]
    made = snapshot(candles=candles)
    assert made.price_scale == 10**8
    assert made.minutes.close[0] == 123
    assert snapshot(price_scale=10**4).price_scale == 10**4
    with pytest.raises(ValueOutOfRange, match="ETH-USDT 2026-02-02T14 minute 0"):
        snapshot(candles=[replace(candles[0], volume=Decimal(10) ** 19)])


def test_vwap_is_turnover_over_volume_or_the_mean_price():
    """Rounded half up to the price scale, by integers alone."""
    with_turnover = snapshot()
    volume = sum(c.volume for c in minute_candles() if HOUR.open_ts <= c.ts < HOUR.close_ts)
    turnover = sum(c.turnover for c in minute_candles() if HOUR.open_ts <= c.ts < HOUR.close_ts)
    assert abs(Decimal(with_turnover.summary.vwap) / 100 - turnover / volume) <= Decimal("0.005")
    without = snapshot(candles=[replace(c, turnover=None) for c in minute_candles()])
    assert without.minutes.turnover is None
    assert abs(without.summary.vwap - with_turnover.summary.vwap) < 200
    assert validate_snapshot(without).ok


def test_the_digest_covers_everything_but_the_time_of_collection():
    """A snapshot fetched again is the same snapshot; a changed minute is not."""
    made = snapshot()
    assert replace(made, collected_at=made.collected_at + timedelta(days=1)).digest() == made.digest()
    assert broken(close=(5, made.minutes.open[5])).digest() != made.digest()
    ticker = Ticker(Decimal("2500.1"), Decimal("2500.2"), Decimal("2500.15"), HOUR.closes_at)
    quoted = snapshot(ticker=ticker, account=Account(({"currency": "USDT", "available": "10"},), ()))
    assert quoted.summary.best_bid == 250010
    assert quoted.canonical()["market_summary"]["ticker_at"] == "2026-02-02T15:00:00Z"
    assert len({made.digest(), quoted.digest()}) == 2
    assert validate_snapshot(quoted).ok


def test_snapshots_of_other_hours_differ():
    """The hour is part of what is signed for."""
    assert snapshot().digest() != snapshot(Hour(HOUR.index + 1)).digest()
