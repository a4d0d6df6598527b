from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.candles import Bars, Candle, aggregate, bars_of, joined, merged, no_bars
from market.errors import DataInvalid
from market.hours import Timeframe

ROWS = st.lists(
    st.tuples(
        st.integers(0, 500), st.integers(1, 10**6), st.integers(0, 50), st.integers(0, 50), st.integers(0, 9)
    ),
    max_size=200,
    unique_by=lambda row: row[0],
)


def minutes_of(rows) -> Bars:
    rows = sorted(rows)
    return bars_of(
        Timeframe.M1, [(60 * m, p, p + up, p - min(down, p - 1), p, v) for m, p, up, down, v in rows]
    )


@given(ROWS)
def test_a_coarse_bar_is_the_first_open_the_extremes_the_last_close_and_the_sum(rows):
    """Aggregation by columns equals the definition, written out bar by bar."""
    bars = minutes_of(rows)
    coarse = aggregate(bars, Timeframe.M15, parts_needed=1)
    by_open: dict[int, list[int]] = {}
    for i, ts in enumerate(bars.ts):
        by_open.setdefault(int(ts) // 900 * 900, []).append(i)
    assert coarse.ts.tolist() == sorted(by_open)
    for k, ts in enumerate(coarse.ts.tolist()):
        part = by_open[ts]
        assert coarse.open[k] == bars.open[part[0]]
        assert coarse.high[k] == bars.high[part].max()
        assert coarse.low[k] == bars.low[part].min()
        assert coarse.close[k] == bars.close[part[-1]]
        assert coarse.volume[k] == bars.volume[part].sum()


@given(ROWS)
def test_a_coarse_bar_needs_all_its_parts(rows):
    """A bar with a hole under it is left out, never guessed."""
    bars = minutes_of(rows)
    whole = aggregate(bars, Timeframe.M5)
    minutes = set(bars.ts.tolist())
    expected = [t for t in range(0, 60 * 505, 300) if all(t + 60 * k in minutes for k in range(5))]
    assert whole.ts.tolist() == expected


def test_slices_and_joins_keep_every_bar():
    """Cutting a span in two and laying it end to end gives the span."""
    bars = minutes_of([(m, 100 + m, 1, 1, 1) for m in range(20)])
    again = joined([bars.between(0, 600), bars.between(600, 1200)])
    assert all(np.array_equal(a, b) for a, b in zip(bars.columns(), again.columns(), strict=True))
    assert len(joined([bars])) == 20
    assert len(no_bars(Timeframe.H1)) == len(aggregate(no_bars(Timeframe.M1), Timeframe.H1)) == 0
    assert len(bars_of(Timeframe.H1, [])) == 0


@given(st.lists(st.tuples(st.integers(0, 30), st.lists(st.booleans(), max_size=12)), min_size=1, max_size=5))
def test_a_merge_has_every_bar_once_and_the_last_part_counts(parts):
    """Property: a dictionary filled part by part says the same, wherever the parts lie."""
    by_ts: dict[int, tuple[int, ...]] = {}
    laid = []
    for number, (first, there) in enumerate(parts):
        places = [first + place for place, known in enumerate(there) if known]
        rows = [(60 * place, 5, 9, 3, 7, number) for place in places]
        by_ts |= {row[0]: row for row in rows}
        laid.append(bars_of(Timeframe.M1, rows))
    found = merged(laid)
    assert list(zip(*(column.tolist() for column in found.columns()), strict=True)) == [
        by_ts[ts] for ts in sorted(by_ts)
    ]
    assert found.timeframe is Timeframe.M1


def test_a_finer_scale_is_exact_or_refused():
    """Bringing a window to the finest scale never wraps an integer."""
    bars = minutes_of([(0, 123, 1, 1, 5)])
    assert bars.rescaled(1, 1) is bars
    finer = bars.rescaled(100, 10)
    assert (finer.open[0], finer.volume[0]) == (12300, 50)
    with pytest.raises(DataInvalid, match="64 bits"):
        minutes_of([(0, 10**6, 1, 1, 5)]).rescaled(10**13, 1)


def test_only_multiples_aggregate():
    """15 minutes do not divide into 4 hours' bars the other way round."""
    with pytest.raises(ValueError, match="multiple"):
        aggregate(no_bars(Timeframe.H4), Timeframe.H1)


@pytest.mark.parametrize(
    ("o", "h", "low", "c", "v", "fault"),
    [
        (2, 3, 1, 2, 0, None),
        (2, 3, 0, 2, 0, "above 0"),
        (2, 3, 2.5, 2, 0, "not above open"),
        (2, 1.5, 1, 1, 0, "below open"),
        (2, 3, 1, 2, -1, "negative"),
    ],
)
def test_a_candle_that_contradicts_itself_says_so(o, h, low, c, v, fault):
    """low <= open, close <= high, all above 0, volume not negative."""
    candle = Candle(0, *(Decimal(str(x)) for x in (o, h, low, c, v)))
    found = candle.fault()
    assert (found is None) if fault is None else (fault in found)
