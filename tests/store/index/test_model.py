"""The index against plain dictionaries: after every write, every answer."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest import raises

from market.hours import Timeframe
from regime.series import RegimeCounts, RegimeRules
from store.index.regime_index import RegimeIndex
from tests.store.index.model import Model, matching
from tests.store.index.samples import NOW, OTHER_RULES, RULES, START, content

SYMBOLS = ("ETH-USDT", "BTC'; DROP TABLE series; --")
TIMEFRAMES = (Timeframe.H1, Timeframe.H4)
ALWAYS = 1 << 40


@dataclass(frozen=True)
class Insert:
    """Bars from some bars before the series' end on, or the whole series anew."""

    symbol: str
    timeframe: Timeframe
    back: int
    bars: int
    variant: int
    rules: RegimeRules
    price_scale: int
    whole: bool


@dataclass(frozen=True)
class Delete:
    symbol: str
    timeframe: Timeframe | None
    back: int | None


@dataclass(frozen=True)
class Mark:
    symbol: str
    timeframe: Timeframe


INSERTS = st.builds(
    Insert,
    symbol=st.sampled_from(SYMBOLS),
    timeframe=st.sampled_from(TIMEFRAMES),
    back=st.integers(-1, 30) | st.just(0),
    bars=st.integers(0, 40),
    variant=st.sampled_from([0, 0, 0, 1]),
    rules=st.sampled_from([RULES, RULES, RULES, OTHER_RULES]),
    price_scale=st.sampled_from([100, 100, 100, 1000]),
    whole=st.sampled_from([False, False, False, True]),
)
DELETES = st.builds(
    Delete,
    symbol=st.sampled_from(SYMBOLS),
    timeframe=st.none() | st.sampled_from(TIMEFRAMES),
    back=st.none() | st.integers(-1, 30),
)
MARKS = st.builds(Mark, symbol=st.sampled_from(SYMBOLS), timeframe=st.sampled_from(TIMEFRAMES))


class Both:
    """The index and its model, step by step."""

    def __init__(self, index: RegimeIndex) -> None:
        self.index, self.model = index, Model()
        self.began: dict[tuple[str, Timeframe], int] = {}
        for symbol in SYMBOLS:
            index.delete_regimes(symbol)

    def insert(self, step: Insert, number: int) -> None:
        key = step.symbol, step.timeframe
        held, bar_s = self.model.series.get(key), step.timeframe.seconds
        end = START if held is None else held.filled_to_ts
        start_ts = START if step.whole else end - step.back * bar_s
        filled_to_ts = start_ts + step.bars * bar_s
        rows, bars = content(step.timeframe, start_ts, filled_to_ts, step.variant)
        source = f"{number:040x}"

        def inserted() -> Any:
            return self.index.insert_regimes(
                *key,
                rows,
                bars,
                price_scale=step.price_scale,
                volume_scale=10**8,
                start_ts=start_ts,
                filled_to_ts=filled_to_ts,
                rules=step.rules,
                source=source,
                created_at=NOW,
            )

        if not self.model.insert(
            key, rows, bars, start_ts, filled_to_ts, step.rules, step.price_scale, source
        ):
            with raises(ValueError, match=r"leave a hole|replace the whole series"):
                inserted()
            return
        state = inserted()
        if held is None:
            self.began[key] = state.revision

    def delete(self, step: Delete) -> None:
        timeframe = step.timeframe or TIMEFRAMES[0]
        held = self.model.series.get((step.symbol, timeframe))
        start_ts = None
        if step.back is not None:
            end = START if held is None else held.filled_to_ts
            start_ts = end - step.back * timeframe.seconds
        expected = self.model.delete(step.symbol, step.timeframe, start_ts)
        assert self.index.delete_regimes(step.symbol, step.timeframe, start_ts) == expected

    def mark(self, step: Mark, number: int) -> None:
        held = self.model.series.get((step.symbol, step.timeframe))
        self.index.mark(step.symbol, step.timeframe, f"{number:040x}")
        if held is not None:
            held.source = f"{number:040x}"

    def compare(self) -> None:
        states = self.index.states()
        assert states.keys() == self.model.series.keys()
        total = RegimeCounts.none()
        for key, held in self.model.series.items():
            state, rows, counts = states[key], held.regimes(), held.counts()
            total += counts
            ends = (int(rows.ts[0]), int(rows.ts[-1])) if len(rows) else (None, None)
            assert (state.first_ts, state.last_ts, state.filled_to_ts) == (*ends, held.filled_to_ts)
            assert (state.rules, state.price_scale, state.volume_scale, state.source, state.updated_at) == (
                held.rules,
                held.price_scale,
                10**8,
                held.source,
                NOW,
            )
            assert state.revision - self.began[key] == held.changes
            assert state.counts.to_bytes() == counts.to_bytes()
            assert self.index.get_regime_stats(*key).to_bytes() == counts.to_bytes()
            assert self.index.get_regimes(*key, 0, ALWAYS).same_as(rows)
            bars, expected = self.index.get_candles(*key, 0, ALWAYS), held.candles()
            assert all(map(np.array_equal, bars.columns(), expected.columns()))
            periods = held.periods()
            assert self.index.periods(*key, 0, ALWAYS) == periods
            changes = [one for one in periods if one.period.previous is not None]
            assert self.index.transitions(*key, 0, ALWAYS) == changes
        assert np.array_equal(self.index.all_transitions(), total.transitions)
        assert np.array_equal(self.index.confidence_distribution(), total.confidence)
        assert self.index.check() == []


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=st.lists(INSERTS | INSERTS | DELETES | MARKS, min_size=1, max_size=10))
def test_after_any_writes_the_index_holds_what_a_dictionary_would(index, steps):
    """Rows, bars, counts, periods, revision and end follow from the writes alone, on both engines."""
    both = Both(index)
    for number, step in enumerate(steps):
        match step:
            case Insert():
                both.insert(step, number)
            case Delete():
                both.delete(step)
            case Mark():
                both.mark(step, number)
        both.compare()


def _filled(index: RegimeIndex) -> Both:
    both = Both(index)
    for number, (symbol, timeframe) in enumerate(product(SYMBOLS, TIMEFRAMES)):
        both.insert(Insert(symbol, timeframe, 0, 400, number, RULES, 100, whole=False), number)
    return both


def test_ranges_and_filters_of_one_series_are_those_of_its_rows(index):
    """Whatever instants bound a question, it tells of the bars that open within, oldest first."""
    both, key = _filled(index), (SYMBOLS[0], Timeframe.H1)
    held = both.model.series[key]
    for start_ts, end_ts in (
        (START, START + 86_400),
        (START + 1, START + 500_001),
        (0, START),
        (START, START),
    ):
        rows = held.regimes().between(start_ts, end_ts)
        for simplified, verdict, confidence in product((None, 1, 4), (None, 2), (None, 5000)):
            found = index.get_regimes(
                *key,
                start_ts,
                end_ts,
                simplified=simplified,
                verdict=verdict,
                min_confidence=confidence,
                limit=50,
            )
            assert found.same_as(matching(rows, simplified, verdict, confidence).where(slice(50)))
        counts = index.get_regime_stats(*key, start_ts, end_ts)
        assert counts.to_bytes() == RegimeCounts.of(rows).to_bytes()
        periods = [
            one for one in held.periods() if one.period.last_ts >= start_ts and one.period.first_ts < end_ts
        ]
        assert index.periods(*key, start_ts, end_ts) == periods
        ranges = [one for one in periods if one.period.regime == 3]
        assert index.periods(*key, start_ts, end_ts, regime=3, limit=2) == ranges[:2]
        begun = [
            one for one in periods if one.period.first_ts >= start_ts and one.period.previous is not None
        ]
        assert index.transitions(*key, start_ts, end_ts, limit=5) == begun[:5]
        for before, after in product(range(5), repeat=2):
            expected = [one for one in begun if (one.period.previous, one.period.regime) == (before, after)]
            assert index.transitions(*key, start_ts, end_ts, before=before, after=after) == expected


def test_a_range_ends_before_its_end_and_a_gap_belongs_to_no_period(index):
    """The bar at the end is not in the range; a bar without a row is in no period, however close one ends."""
    key = SYMBOLS[0], Timeframe.H1
    held = _filled(index).model.series[key]
    ts = held.regimes().ts.tolist()
    assert index.get_regime_stats(*key, START, ts[-1]).rows == len(ts) - 1
    gaps = [one for one in range(ts[0], ts[-1], 3600) if one not in held.rows]
    assert gaps
    assert all(index.periods(*key, gap, gap + 3600) == [] for gap in gaps)


def test_a_series_that_is_not_there_has_nothing(index):
    """Unknown names give empty answers of the asked timeframe, never an error."""
    assert index.state("NONE-USDT", Timeframe.M15) is None
    assert len(index.get_regimes("NONE-USDT", Timeframe.M15, 0, ALWAYS)) == 0
    assert len(index.get_candles("NONE-USDT", Timeframe.M15, 0, ALWAYS)) == 0
    assert index.get_regime_stats("NONE-USDT", Timeframe.M15).rows == 0
    assert index.periods("NONE-USDT", Timeframe.M15, 0, ALWAYS) == []
    assert index.transitions("NONE-USDT", Timeframe.M15, 0, ALWAYS) == []
    assert index.find_transitions(1, 2, limit=5) == []
    assert index.delete_regimes("NONE-USDT") == 0
    assert not index.all_transitions().any()
    index.mark("NONE-USDT", Timeframe.M15, "b2" * 20)
    assert index.states() == {}


def test_the_whole_store_is_asked_by_pages_that_meet(index):
    """Pages of any size, one after another, tell every change once, by symbol, timeframe and time."""
    model = _filled(index).model
    for before, after in ((4, 1), (1, 0), (2, 2)):
        expected = model.transitions(before, after)
        assert before == after or len(expected) > 10
        for size in (1, 7, 1000):
            found, told = [], None
            while page := index.find_transitions(before, after, after_key=told, limit=size):
                found += page
                told = page[-1][0], page[-1][1].value, page[-1][2].period.first_ts
            assert found == expected
        hourly = [one for one in expected if one[1] is Timeframe.H1]
        assert index.find_transitions(before, after, timeframe=Timeframe.H1, limit=1000) == hourly


def test_the_whole_store_is_counted_by_timeframe_and_regime(index):
    """Transitions and confidence of all series, or of those of one timeframe or one regime."""
    model = _filled(index).model
    hourly = RegimeCounts.none()
    for (_, timeframe), held in model.series.items():
        if timeframe is Timeframe.H1:
            hourly += held.counts()
    assert np.array_equal(index.all_transitions(Timeframe.H1), hourly.transitions)
    assert np.array_equal(index.confidence_distribution(Timeframe.H1), hourly.confidence)
    assert np.array_equal(index.confidence_distribution(Timeframe.H1, 3), hourly.confidence[3])
