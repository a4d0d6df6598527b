"""Data as a backtest sees them: nothing from after the hour, gaps by policy, rules inferred and said so."""

from __future__ import annotations

import csv
from decimal import Decimal

import pytest

from backtest.data import DataDigest, MissingMinutes, RecordedSource
from market.errors import DataInvalid
from market.hours import Timeframe
from store.recorded import choose_markets
from tests.backtest.candles import (
    KEYS,
    START,
    TIMEFRAMES,
    made_windows,
    minutes_at,
    recorded_source,
    without,
)

TWO_HOURS = minutes_at([2000 + 0.1 * (minute % 7) for minute in range(120)])


def source_of(series, missing=MissingMinutes.HOLD) -> RecordedSource:
    return RecordedSource(made_windows(series), missing=missing)


def digest_of(source: RecordedSource, start=START, hours: int = 2) -> str:
    digest = DataDigest()
    for hour, markets in source.hours(start, start.plus(hours)):
        digest.take(hour, markets)
    return digest.value


def test_an_hour_holds_its_own_minutes_and_nothing_later(recorded_data):
    """Neither a bar nor a minute that closes after the hour."""
    source = recorded_source(recorded_data)
    assert source.keys == ("BTC-USDT", "ETH-USDT")
    for hour, markets in source.hours(START, START.plus(3)):
        for market in markets.values():
            assert market.inputs.minutes.ts.tolist() == list(range(hour.open_ts, hour.close_ts, 60))
            for timeframe, bars in market.inputs.window.bars.items():
                assert int(bars.ts[-1]) + timeframe.seconds <= hour.close_ts


@pytest.mark.parametrize("policy", list(MissingMinutes))
def test_missing_minutes_go_by_the_policy(policy):
    """Refused by name, rested through, or the market left out of the whole hour."""
    source = source_of(without(TWO_HOURS, 75), policy)
    if policy is MissingMinutes.FAIL:
        with pytest.raises(DataInvalid, match=r"1 missing, the first 2025-06-09T13:15:00Z"):
            list(source.hours(START, START.plus(2)))
        return
    first, second = (markets for _, markets in source.hours(START, START.plus(2)))
    assert len(first["ETH-USDT"].inputs.minutes) == 60
    if policy is MissingMinutes.HOLD:
        assert len(second["ETH-USDT"].inputs.minutes) == 59
    else:
        assert second == {}
    assert any(policy.value in note for note in source.notes)


def test_order_rules_are_inferred_from_the_decimals_and_said_so():
    """A guess stands in the notes; given rules are taken as they are."""
    source = source_of(TWO_HOURS)
    rules = source.rules["ETH-USDT"]
    assert (rules.price_increment, rules.base_increment) == (Decimal("0.1"), Decimal("0.1"))
    assert any("inferred" in note for note in source.notes)
    given = RecordedSource(made_windows(TWO_HOURS), {"ETH-USDT": rules})
    assert not any("inferred" in note for note in given.notes)


def test_the_digest_is_of_what_was_read_and_of_nothing_else():
    """Another minute, another hour, other rules: another digest. The same again: the same."""
    known = digest_of(source_of(TWO_HOURS))
    assert digest_of(source_of(TWO_HOURS)) == known
    changed = minutes_at([2000 + 0.1 * (minute % 7) for minute in range(119)] + [2001.0])
    rules = source_of(TWO_HOURS).rules["ETH-USDT"]
    others = {
        digest_of(source_of(changed)),
        digest_of(source_of(without(TWO_HOURS, 75))),
        digest_of(source_of(TWO_HOURS), hours=1),
        digest_of(
            RecordedSource(
                made_windows(TWO_HOURS), {"ETH-USDT": type(rules)(Decimal("0.01"), Decimal("0.1"))}
            )
        ),
    }
    assert len(others | {known}) == 5
    later = minutes_at([2000 + 0.1 * (minute % 7) for minute in range(120)] + [2500.0] * 60)
    assert digest_of(source_of(later)) == known


def test_csv_and_parquet_are_the_same_data(recorded_data, tmp_path):
    """One market's minutes, written as CSV: the same hours to the byte."""
    market = choose_markets(recorded_data, 1, symbols=["ETH-USDT"], venue="BINANCE").markets[0]
    minutes = market.series(Timeframe.M1).between(START.open_ts - 7200, START.plus(2).open_ts)
    path = tmp_path / "BINANCE_ETH-USDT_1m.csv"
    names = ("ts", "open", "high", "low", "close", "volume")
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        writer.writerows(zip(*(getattr(minutes, name).tolist() for name in names), strict=True))
    from_file = RecordedSource.of(path, ["ETH-USDT"], TIMEFRAMES)
    in_memory = source_of(minutes)
    assert digest_of(from_file) == digest_of(in_memory)
    with pytest.raises(DataInvalid, match="ETH-USDT, expected BTC-USDT"):
        RecordedSource.of(path, ["BTC-USDT"], TIMEFRAMES)


def test_the_span_is_what_all_markets_have(recorded_data):
    """Whole hours of minutes; hours with coarse bars alone cannot fill an order."""
    start, end = recorded_source(recorded_data, KEYS).span
    assert (str(start), str(end)) == ("2025-05-20T00", "2025-07-27T00")


def test_coarse_files_alone_are_refused(recorded_data):
    """Orders are filled in minutes, and minutes are never made of hours."""
    with pytest.raises(DataInvalid, match="minutes: none of ETH-USDT"):
        RecordedSource.of(recorded_data / "BINANCE_ETH-USDT_1h.parquet", ["ETH-USDT"], TIMEFRAMES)
