"""Range discovery against a slow reading of the specification, and against ranges drawn by hand."""

from __future__ import annotations

import statistics

import numpy as np
import pytest

from market.candles import Floats
from regime.config import RangeConfig
from regime.metrics.atr import average_true_ranges
from regime.precision import significant, significant_column
from regime.ranges import RangeColumns, find_ranges, outside_lines, range_at
from tests.regime.windows import walk_bars

RULES = RangeConfig()
SCALE = 100


def atr_of(high: Floats, low: Floats, close: Floats) -> Floats:
    return significant_column(average_true_ranges(high, low, close, 14))


def prices(bars: int, seed: int, **shape: float) -> tuple[Floats, Floats, Floats]:
    drawn = walk_bars(bars, seed, **shape)
    return drawn.high / SCALE, drawn.low / SCALE, drawn.close / SCALE


def wave(bars: int, amplitude: float = 5.0, period: int = 24) -> tuple[Floats, Floats, Floats]:
    close = np.round(105 + amplitude * np.sin(2 * np.pi * np.arange(bars) / period), 2)
    return close + 0.5, close - 0.5, close


def slow_range(high: Floats, low: Floats, close: Floats, atr: float, row: int, lookback: int):
    """One look-back at one row, word by word from the specification."""
    span = range(row - lookback + 1, row + 1)
    closes = close[span.start : span.stop]

    def pivots(values: Floats) -> list[float]:
        found = [
            values[at]
            for at in span
            if 3 <= at <= row - 3
            and all(values[at] > values[at - k] and values[at] >= values[at + k] for k in (1, 2, 3))
        ]
        return found[-3:]

    def bound(quantile: float, band: float, pivot: list[float]) -> float:
        candidates = [quantile, band] + ([statistics.median(pivot)] if pivot else [])
        return max(round(statistics.median(candidates) * SCALE), 1) / SCALE

    upper = bound(np.quantile(closes, 0.95), closes.mean() + 2 * closes.std(), pivots(high))
    lower = bound(np.quantile(closes, 0.05), closes.mean() - 2 * closes.std(), [-x for x in pivots(-low)])

    def touches(near: list[bool]) -> int:
        count, last = 0, None
        for at, touching in enumerate(near):
            if touching and (last is None or at - last > 3):
                count, last = count + 1, at
        return count

    up = touches([high[i] >= upper - 0.25 * atr and close[i] <= upper + 0.25 * atr for i in span])
    down = touches([low[i] <= lower + 0.25 * atr and close[i] >= lower - 0.25 * atr for i in span])
    inside = sum(lower <= x <= upper for x in closes) / lookback
    width = significant((upper - lower) / atr)
    valid = up >= 2 and down >= 2 and 4 <= width <= 15 and inside >= 0.85
    return lower, upper, width, inside, down, up, valid


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_row_is_what_the_specification_says(seed: int):
    """The longest valid look-back wins, else 120 stands marked as not valid."""
    high, low, close = prices(420, seed, sigma=0.008, pull=0.02 * (seed - 1))
    atr = atr_of(high, low, close)
    found = find_ranges(high, low, close, atr, SCALE, RULES)
    assert len(agreed(high, low, close, found, range(167, 420, 7))) > 1


def agreed(
    high: Floats, low: Floats, close: Floats, found: RangeColumns, rows: range
) -> set[tuple[int, bool]]:
    """Hold the rows against the slow reading; return the look-backs seen, and whether they were valid."""
    atr, seen = atr_of(high, low, close), set()
    for row in rows:
        tried = {n: slow_range(high, low, close, float(atr[row]), row, n) for n in RULES.lookbacks}
        lookback = next((n for n in RULES.lookbacks if tried[n][-1]), 120)
        lower, upper, width, inside, down, up, valid = tried[lookback]
        assert found.lookback[row] == lookback
        assert (found.lower[row], found.upper[row]) == (lower, upper)
        assert found.width_atr[row] == width
        assert found.containment[row] == pytest.approx(inside, abs=1e-6)
        assert (found.touches_lower[row], found.touches_upper[row]) == (down, up)
        assert found.valid[row] == valid
        seen.add((lookback, valid))
    return seen


@pytest.mark.parametrize("period", [24, 50, 70, 100, 150, 400])
def test_few_pivots_or_none_make_a_bound_as_the_specification_says(period: int):
    """With three, two or one turn in the look-back the pivot is between the others; without, they decide."""
    at = np.arange(420)
    close = np.round(105 + (2 + at / 100) * np.sin(2 * np.pi * at / period) + at * (period == 400), 2)
    high, low = close + 0.5, close - 0.5
    found = find_ranges(high, low, close, atr_of(high, low, close), SCALE, RULES)
    assert agreed(high, low, close, found, range(167, 420, 11))


def test_there_is_no_range_before_the_longest_lookback_fits():
    """Row 167 is the first with 168 bars."""
    high, low, close = wave(200)
    found = find_ranges(high, low, close, atr_of(high, low, close), SCALE, RULES)
    assert np.isnan(found.lower[:167]).all()
    assert (found.lookback[167:] == 168).all()


def test_a_wave_between_two_prices_is_a_valid_range():
    """Five up, five down around 105: bounds are the pivots at 99.5 and 110.5, touched at each turn."""
    high, low, close = wave(200)
    atr = atr_of(high, low, close)
    columns = find_ranges(high, low, close, atr, SCALE, RULES)
    found = range_at(columns, 199, close, float(atr[-1]), SCALE, RULES)

    assert found.valid
    assert found.lower == 99.5
    assert found.upper == 110.5
    assert found.mid == 105
    assert found.width_pct == pytest.approx(100 * (found.upper - found.lower) / found.mid)
    assert found.touches_lower >= 6
    assert found.touches_upper >= 6
    assert found.age_h == 168


def test_a_range_that_stands_on_a_limit_is_valid_and_one_beyond_it_is_not():
    """Width, containment and touches: each limit itself is allowed."""
    high, low, close = wave(200)
    atr = atr_of(high, low, close)
    columns = find_ranges(high, low, close, atr, SCALE, RULES)
    width, inside = float(columns.width_atr[199]), float(columns.containment[199])
    touches = int(min(columns.touches_lower[199], columns.touches_upper[199]))

    def valid(**limit: float) -> bool:
        rules = RULES.model_copy(update={"lookbacks": (168,), "fallback_lookback": 168, **limit})
        return bool(find_ranges(high, low, close, atr, SCALE, rules).valid[199])

    assert valid(minimum_width=width)
    assert valid(maximum_width=width)
    assert valid(minimum_containment=inside)
    assert valid(minimum_touches=touches)
    assert not valid(minimum_width=width + 1e-6)
    assert not valid(maximum_width=width - 1e-6)
    assert not valid(minimum_containment=inside + 1e-6)
    assert not valid(minimum_touches=touches + 1)


def test_the_age_counts_back_to_the_last_close_outside():
    """A close beyond a bound by more than half an ATR ends the age; one less far does not."""
    high, low, close = wave(200)
    atr = atr_of(high, low, close)
    columns = find_ranges(high, low, close, atr, SCALE, RULES)
    margin = 0.5 * float(atr[-1])
    for beyond, age in ((margin + 0.02, 29), (margin, 168), (margin - 0.02, 168)):
        for line in (columns.upper[199] + beyond, columns.lower[199] - beyond):
            strayed = close.copy()
            strayed[170] = line
            assert range_at(columns, 199, strayed, float(atr[-1]), SCALE, RULES).age_h == age


def test_the_age_ends_at_the_last_of_several_strays():
    """An earlier close outside does not matter any more, on either side."""
    high, low, close = wave(200)
    atr = atr_of(high, low, close)
    columns = find_ranges(high, low, close, atr, SCALE, RULES)
    close[[60, 150]], close[[90, 180]] = 1000.0, 1.0
    assert range_at(columns, 199, close, float(atr[-1]), SCALE, RULES).age_h == 19
    close[180] = 105.0
    assert range_at(columns, 199, close, float(atr[-1]), SCALE, RULES).age_h == 49


def test_outside_begins_half_an_atr_beyond_the_bounds_and_never_below_one_price_step():
    """The lower line of a range near zero still has a logarithm."""
    high, low, close = wave(200)
    atr = atr_of(high, low, close)
    columns = find_ranges(high, low, close, atr, SCALE, RULES)
    below, above = outside_lines(columns, atr, SCALE, RULES, 199)
    assert above[0] == columns.upper[199] + 0.5 * atr[199]
    assert below[0] == columns.lower[199] - 0.5 * atr[199]
    assert outside_lines(columns, atr * 1000, SCALE, RULES, 199)[0][0] == 0.01


def test_rows_do_not_depend_on_where_the_columns_start():
    """One new bar gets the same range as in a batch."""
    high, low, close = prices(300, 8, sigma=0.01)
    atr = atr_of(high, low, close)
    whole = find_ranges(high, low, close, atr, SCALE, RULES)
    for first in (0, 100, 200, 299):
        part = find_ranges(high, low, close, atr, SCALE, RULES, first)
        for name in ("lower", "upper", "width_atr", "containment", "touches_lower", "lookback", "valid"):
            assert getattr(part, name).tobytes() == getattr(whole, name)[first:].tobytes()


def test_touches_of_a_row_do_not_depend_on_the_rows_before_it():
    """Not even where the row before has none, as happens where only a close on the bound counts."""
    rules = RULES.model_copy(
        update={"lookbacks": (24,), "fallback_lookback": 24, "touch_tolerance": 0.0, "touch_gap_bars": 3}
    )
    close = np.round(100 + 0.03 * np.cumsum(np.random.default_rng(5).integers(-1, 2, 200)), 2)
    atr = np.full(200, 0.05)
    for row in range(24, 200):
        both, alone = (
            find_ranges(*[close[: row + 1]] * 3, atr[: row + 1], SCALE, rules, first)
            for first in (row - 1, row)
        )
        assert both.touches_lower[1] == alone.touches_lower[0]
        assert both.touches_upper[1] == alone.touches_upper[0]


def test_a_spike_or_a_flat_market_gives_no_valid_range_but_a_defined_one():
    """Bounds stay positive and ordered; width and touches tell that nobody should trade it."""
    high, low, close = wave(300, amplitude=0.02)
    high[250] = close[250] = 10_000.0
    atr = atr_of(high, low, close)
    found = find_ranges(high, low, close, atr, SCALE, RULES)
    assert not found.valid[250:].any()
    assert (found.lower[250:] > 0).all()
    assert (found.upper[250:] >= found.lower[250:]).all()
