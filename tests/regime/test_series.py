"""The series of regimes: what parts count up to, and the periods they form, equal the whole's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.hours import Timeframe
from regime.components.states import FULL_REGIMES, MOMENTA, SIMPLIFIED, TRENDS, VOLATILITIES, full_regime
from regime.components.states import simplified_regime as simplified_of
from regime.series import (
    CONFIDENCE_UNIT,
    MOMENTUM_OF_FULL,
    NO_VERDICT,
    SIMPLIFIED_OF_FULL,
    TREND_OF_FULL,
    VERDICTS,
    VOLATILITY_OF_FULL,
    Period,
    RegimeCounts,
    RegimeRows,
    periods_of,
)

STEP = Timeframe.H1.seconds
OPENS = st.lists(st.booleans(), min_size=0, max_size=60)


@st.composite
def series(draw: st.DrawFn) -> RegimeRows:
    present = draw(OPENS)
    ts = np.flatnonzero(np.array(present, dtype=bool)).astype(np.int64) * STEP
    size = ts.shape[0]
    codes = st.sampled_from([0, 1, 4, 7, 12, 16])
    full = np.array(draw(st.lists(codes, min_size=size, max_size=size)), dtype=np.int8)
    verdict = np.array(draw(st.lists(st.integers(-1, 3), min_size=size, max_size=size)), dtype=np.int8)
    sure = st.integers(0, CONFIDENCE_UNIT)
    confidence = np.array(draw(st.lists(sure, min_size=size, max_size=size)), dtype=np.int16)
    return RegimeRows(Timeframe.H1, ts, full, verdict, confidence)


def plain_periods(rows: RegimeRows) -> list[Period]:
    """The definition, bar by bar."""
    found: list[Period] = []
    for ts, label in zip(rows.ts.tolist(), rows.simplified.tolist(), strict=True):
        last = found[-1] if found else None
        follows = last is not None and last.last_ts + STEP == ts
        if last is not None and follows and last.regime == label:
            found[-1] = Period(last.first_ts, ts, label, last.previous)
        else:
            found.append(Period(ts, ts, label, last.regime if last is not None and follows else None))
    return found


def test_a_full_regime_tells_its_three_states_and_the_simplified_one() -> None:
    """Code and names of all 18 agree with the table of chapter 6."""
    for code, name in enumerate(FULL_REGIMES):
        trend, volatility = TRENDS[TREND_OF_FULL[code]], VOLATILITIES[VOLATILITY_OF_FULL[code]]
        momentum = MOMENTA[MOMENTUM_OF_FULL[code]]
        assert full_regime(trend, volatility, momentum) == name
        assert SIMPLIFIED[SIMPLIFIED_OF_FULL[code]] is simplified_of(trend, volatility, momentum)


@given(series())
def test_periods_are_the_runs_of_adjacent_bars(rows: RegimeRows) -> None:
    """A period ends where the regime changes or a bar has no row."""
    assert periods_of(rows) == plain_periods(rows)


@given(series(), st.integers(0, 60))
def test_parts_count_up_to_the_whole(rows: RegimeRows, cut: int) -> None:
    """Wherever a series is cut, counts add up and periods join."""
    early, late = rows.between(0, cut * STEP), rows.between(cut * STEP, 61 * STEP)
    first = periods_of(early)
    before = first[-1] if first else None
    whole, summed = RegimeCounts.of(rows), RegimeCounts.of(early) + RegimeCounts.of(late, before)
    assert summed.to_bytes() == whole.to_bytes()
    assert (whole - RegimeCounts.of(late, before)).to_bytes() == RegimeCounts.of(early).to_bytes()
    later = periods_of(late, before)
    goes_on = bool(later) and before is not None and later[0].first_ts == before.first_ts
    assert (first[:-1] if goes_on else first) + later == plain_periods(rows)


@given(series())
def test_counts_are_what_the_rows_hold(rows: RegimeRows) -> None:
    """Each count equals the one that a reader would make by hand, and survives being stored."""
    counts = RegimeCounts.of(rows)
    labels, found = rows.simplified.tolist(), plain_periods(rows)
    assert counts.rows == len(rows) == int(counts.confidence.sum())
    assert counts.bars.tolist() == [labels.count(code) for code in range(len(SIMPLIFIED))]
    assert counts.periods.tolist() == [
        sum(period.regime == code for period in found) for code in range(len(SIMPLIFIED))
    ]
    changes = counts.transitions - np.diag(np.diag(counts.transitions))
    for before in range(len(SIMPLIFIED)):
        for after in range(len(SIMPLIFIED)):
            told = sum(period.previous == before and period.regime == after for period in found)
            assert before == after or changes[before, after] == told
    assert counts.verdicts.tolist() == [rows.verdict.tolist().count(code) for code in range(len(VERDICTS))]
    assert RegimeCounts.from_bytes(counts.to_bytes()).to_bytes() == counts.to_bytes()
    lengths = [period.bars(Timeframe.H1) for period in found if period.regime == 3]
    if lengths:
        assert counts.mean_bars[3] == pytest.approx(sum(lengths) / len(lengths))
    else:
        assert np.isnan(counts.mean_bars[3])


def test_counts_of_another_length_are_refused() -> None:
    """Bytes of another form are never read as counts."""
    with pytest.raises(ValueError, match="expected 139 counts, got 2"):
        RegimeCounts.from_bytes(bytes(16))


def test_no_rows_are_rows_too() -> None:
    """An empty series has no periods, counts to nothing and equals itself only in its timeframe."""
    none = RegimeRows.none(Timeframe.H1)
    assert periods_of(none) == [] and len(none) == 0 and none.verdict.tolist() == []
    assert RegimeCounts.of(none).to_bytes() == RegimeCounts.none().to_bytes()
    assert none.same_as(RegimeRows.none(Timeframe.H1)) and not none.same_as(RegimeRows.none(Timeframe.H4))
    assert NO_VERDICT not in range(len(VERDICTS))
