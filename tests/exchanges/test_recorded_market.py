"""The recorded market: each bar from the best recording of it."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest

from exchanges.columns import decimal_text, decimal_texts
from exchanges.sandbox.book import CandleBook
from exchanges.sandbox.recorded import RecordedMarket, RecordedSeries
from market.hours import Timeframe

START = 1_700_006_400  # a whole day


def series(
    timeframe: Timeframe, opens: list[int], prices: list[float], volume: float = 0.1
) -> RecordedSeries:
    price = np.array(prices)
    return RecordedSeries(
        timeframe, np.array(opens), price, price + 0.5, price - 0.5, price, np.full(len(opens), volume)
    )


def minutes(count: int, start: int = START) -> list[int]:
    return [start + 60 * n for n in range(count)]


def test_coarse_bars_come_from_minutes_where_these_cover_them_whole():
    """The first hour is whole in minutes, the second only in part: the recorded hour serves there."""
    market = RecordedMarket(
        {
            "A-B": [
                series(Timeframe.H1, [START - 3600, START, START + 3600], [1.0, 2.0, 3.0], 99.0),
                series(Timeframe.M1, minutes(90), [10.25] * 90),
            ]
        }
    )
    hours = market.bars("A-B", 3600, START - 3600, START + 7200)
    assert hours.ts.tolist() == [START - 3600, START, START + 3600]
    assert hours.close.tolist() == [1.0, 10.25, 3.0]
    assert hours.volume.tolist() == [99.0, 6.0, 99.0]


def test_where_nothing_else_is_recorded_the_part_is_served():
    """A halt of the exchange leaves a bar made of what traded."""
    opens = [ts for ts in minutes(60) if not START + 600 <= ts < START + 1800]
    market = RecordedMarket({"A-B": [series(Timeframe.M1, opens, [5.0] * len(opens))]})
    (hour,) = market.bars("A-B", 3600, START, START + 3600).volume.tolist()
    assert hour == 4.0
    assert len(market.bars("A-B", 60, START, START + 3600)) == 40


def test_sums_of_volume_carry_no_float_noise():
    """0.1 sixty times is 6, not 5.999999999999998: the noise would need digits that no scale holds."""
    market = RecordedMarket({"A-B": [series(Timeframe.M1, minutes(60), [5.0] * 60)]})
    (volume,) = market.bars("A-B", 3600, START, START + 3600).volume.tolist()
    assert decimal_text(volume) == "6"


def test_increments_are_read_off_the_recorded_digits():
    """Without rules the finest digit seen is the increment."""
    (rules,) = RecordedMarket({"A-B": [series(Timeframe.M1, minutes(3), [1.5, 2.25, 3.125])]}).symbols
    assert (rules.price_increment, rules.base, rules.quote) == (Decimal("0.001"), "A", "B")
    assert rules.base_increment == Decimal("0.1")


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.1, "0.1"), (5.0, "5"), (1e-7, "0.0000001"), (123456789.125, "123456789.125"), (1e22, "1" + "0" * 22)],
)
def test_a_float_is_written_as_the_shortest_plain_decimal(value, text):
    """No exponent, no trailing .0, and it reads back as the same float."""
    assert decimal_text(value) == text and decimal_texts([1.5, value]) == ["1.5", text]
    assert float(text) == value


def test_the_last_price_is_the_newest_trade_that_is_recorded():
    """From the forming minute, else from the last minutes, else from an hour of the last month, else none."""
    recorded = [
        series(Timeframe.M1, minutes(5), [10.0, 11.0, 12.0, 13.0, 14.0], 0.25),
        series(Timeframe.H1, [START - 7200, START - 3600], [8.0, 9.0]),
    ]
    book = CandleBook(RecordedMarket({"A-B": recorded}))
    assert book.last_price("A-B", START + 90) == 11.0
    assert book.last_price("A-B", START + 50_000) == 14.0
    assert book.last_price("A-B", float(START)) == 9.0
    assert book.last_price("A-B", START - 3600.0) == 8.0
    assert book.last_price("A-B", START + 90 * 86_400) is None
    assert len(book.day("A-B", START - 7200.0)) == 0


def test_recorded_parquet_is_told_digit_by_digit(recorded_data):
    """A real candle comes out of the sandbox exactly as it was recorded."""
    parquet = pytest.importorskip("pyarrow.parquet")
    table = parquet.read_table(recorded_data / "KUCOIN_ETH-USDT_1m.parquet").slice(0, 3000)
    columns = {name: table[name].to_numpy() for name in table.column_names}
    market = RecordedMarket({"ETH-USDT": [RecordedSeries(Timeframe.M1, **columns)]})
    first, last = int(columns["ts"][0]), int(columns["ts"][-1])
    rows = CandleBook(market).rows("ETH-USDT", 60, first, first + 1499 * 60, last + 60.0)
    assert len(rows) == 1500
    told = rows[-1].decode().strip('[]"').split('","')
    assert int(told[0]) == first
    recorded = [float(columns[name][0]) for name in ("open", "close", "high", "low", "volume")]
    assert [float(text) for text in told[1:6]] == recorded
    assert market.symbols[0].price_increment == Decimal("0.01")
