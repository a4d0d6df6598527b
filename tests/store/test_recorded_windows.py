import numpy as np
import pytest

from market.errors import ValueOutOfRange
from market.hours import Hour, Timeframe
from store.recorded import RecordedSeries
from store.recorded_windows import RecordedWindows

START = Hour.parse("2026-02-02T00")
SPANS = {Timeframe.M5: 2, Timeframe.M15: 2, Timeframe.H1: 5, Timeframe.H4: 20}


def series(timeframe, count, first=START.open_ts, base=2000.0):
    ts = first + timeframe.seconds * np.arange(count)
    close = np.round(base + np.sin(ts / 20000.0) * 50, 2)
    return RecordedSeries(
        timeframe, ts, close, np.round(close + 1, 2), np.round(close - 1, 2), close, np.full(count, 0.1)
    )


class Files:
    """Stands for one venue's files."""

    def __init__(self, **told):
        self.symbol = "ETH-USDT"
        self._told = {Timeframe(name.strip("_")): one for name, one in told.items()}

    def series(self, timeframe):
        return self._told.get(timeframe)


def without(one, drop):
    keep = ~np.isin(one.ts, drop)
    return RecordedSeries(
        one.timeframe,
        *(column[keep] for column in (one.ts, one.open, one.high, one.low, one.close, one.volume)),
    )


def test_coarse_bars_come_from_the_finest_that_cover_them():
    """An hour of minutes beats the recorded 1h bar; where a minute is missing the recorded bar stays."""
    minutes = series(Timeframe.M1, 60 * 30, base=2000.0)
    hole = START.plus(3).open_ts + 600
    recorded = series(Timeframe.H1, 100, first=START.plus(-70).open_ts, base=1000.0)
    windows = RecordedWindows(Files(_1m=without(minutes, [hole]), _1h=recorded), SPANS)
    bars = windows.window(START.plus(5)).bars[Timeframe.H1]
    price = dict(zip(bars.ts.tolist(), (bars.close / 100).tolist(), strict=True))
    assert price[START.plus(2).open_ts] > 1900
    assert price[START.plus(3).open_ts] < 1100
    assert price[START.plus(-1).open_ts] < 1100
    assert windows.hours == (START.plus(-70), START.plus(30))


def test_the_minutes_of_a_market_are_bars_like_any_other():
    """Whole and in the market's scale; none where none are recorded."""
    minutes = series(Timeframe.M1, 90)
    windows = RecordedWindows(Files(_1m=minutes), SPANS)
    assert windows.bars(Timeframe.M1).ts.tolist() == minutes.ts.tolist()
    assert windows.bars(Timeframe.M1).close.tolist() == np.rint(minutes.close * windows.price_scale).tolist()
    assert len(RecordedWindows(Files(_1h=series(Timeframe.H1, 3)), SPANS).bars(Timeframe.M1)) == 0


def test_a_window_ends_with_its_hour_and_knows_nothing_later():
    """Bars that are not closed by the end of the hour are not in it; deleting the future changes nothing."""
    minutes, hourly = series(Timeframe.M1, 60 * 48), series(Timeframe.H1, 400, first=START.plus(-352).open_ts)
    hour = START.plus(9)
    whole = RecordedWindows(Files(_1m=minutes, _1h=hourly), SPANS).window(hour)
    kept = minutes.ts < hour.close_ts
    columns = (minutes.ts, minutes.open, minutes.high, minutes.low, minutes.close, minutes.volume)
    cut = RecordedSeries(Timeframe.M1, *(column[kept] for column in columns))
    past = RecordedSeries(
        Timeframe.H1,
        *(
            c[hourly.ts < hour.close_ts]
            for c in (hourly.ts, hourly.open, hourly.high, hourly.low, hourly.close, hourly.volume)
        ),
    )
    assert RecordedWindows(Files(_1m=cut, _1h=past), SPANS).window(hour).digest() == whole.digest()
    for timeframe, bars in whole.bars.items():
        assert bars.ts[-1] + timeframe.seconds <= hour.close_ts
        assert bars.ts[0] >= hour.close_ts - SPANS[timeframe] * 86400
    assert whole.bars[Timeframe.H4].ts[-1] == START.plus(4).open_ts


def test_an_hour_without_minutes_is_marked_bars_only():
    """Every table says so."""
    windows = RecordedWindows(Files(_1m=series(Timeframe.M1, 60), _1h=series(Timeframe.H1, 10)), SPANS)
    assert not windows.window(START).quality.bars_only
    assert windows.window(START.plus(3)).quality.bars_only
    assert RecordedWindows(Files(_1h=series(Timeframe.H1, 10)), SPANS).window(START).quality.bars_only
    assert windows.has(START.plus(9))
    assert not windows.has(START.plus(10))


def test_missing_minutes_are_counted():
    """The hour's own and those of the last day."""
    drop = [START.plus(2).open_ts + 60 * i for i in (5, 6, 7)]
    windows = RecordedWindows(Files(_1m=without(series(Timeframe.M1, 60 * 8), drop)), SPANS)
    assert windows.window(START.plus(2)).quality.missing == 3
    later = windows.window(START.plus(5)).quality
    assert (later.missing, later.missing_24h) == (0, 3)


def test_the_scale_holds_every_price_or_it_is_refused():
    """A coin of 1e-8 keeps its price; float noise is not a price."""
    tiny = series(Timeframe.H1, 10)
    tiny = RecordedSeries(Timeframe.H1, tiny.ts, *([np.full(10, 1.23e-6)] * 4), tiny.volume)
    window = RecordedWindows(Files(_1h=tiny), SPANS).window(START.plus(9))
    assert window.price_scale == 10**8
    assert window.bars[Timeframe.H1].close[0] == 123
    with pytest.raises(ValueOutOfRange, match="decimals"):
        RecordedWindows(
            Files(_1h=RecordedSeries(Timeframe.H1, tiny.ts, *([np.full(10, 1.1e-25)] * 4), tiny.volume)),
            SPANS,
        )
