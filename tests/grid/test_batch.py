"""Many grids at once are the same grids as one at a time: amounts, fills, refusals, to the last unit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grid import ladder
from grid.batch import FAULTS, SOUND, Batch, Fault, Shapes, Terms
from grid.geometry import GridGeometry, Spacing, arithmetic_prices
from grid.plan import GridPlan, half_and_half
from grid.simulation import BarPath, ledger_run
from market.candles import Bars
from market.costs import OrderCosts, fee_on
from market.errors import DataInvalid
from market.hours import Timeframe
from tests.grid.series import hostile_bars, recorded, told, walked, wandering

Row = tuple[Spacing, int, int, int, int]


def shapes_of(rows: list[Row]) -> Shapes:
    columns = list(zip(*rows, strict=True))
    geometric = np.array([spacing is Spacing.GEOMETRIC for spacing in columns[0]])
    return Shapes(geometric, *(np.array(column, dtype=np.int64) for column in columns[1:]))


def plan_of(row: Row, start: int, terms: Terms) -> GridPlan:
    spacing, lower, upper, levels, stop = row
    return half_and_half(
        GridGeometry(lower, upper, levels, spacing, terms.increment),
        start,
        terms.value,
        terms.costs,
        through=terms.through,
        stop_loss=stop or None,
    )


def assert_same(rows: list[Row], start: int, terms: Terms, bars: Bars, path: BarPath, cut: int) -> Batch:
    """Run the sets together, in two pieces, and each alone; return the batch."""
    batch = Batch(shapes_of(rows), start, terms, int(bars.high.max(initial=0)))
    for piece in (bars.rows(0, cut), bars.rows(cut, len(bars))):
        batch.pass_bars(piece, worse=path is BarPath.PESSIMISTIC)
    last = int(bars.close[-1]) if len(bars) else start
    held, sold = batch.worth(last), batch.worth(last, sold=True)
    place = {int(row): at for at, row in enumerate(batch.rows)}
    for number, row in enumerate(rows):
        try:
            plan = plan_of(row, start, terms)
        except DataInvalid:
            assert batch.faults[number] != SOUND and number not in place
            continue
        assert batch.faults[number] == SOUND
        at, (alone, _) = place[number], ledger_run(plan, bars, path)
        assert held.value[at] == alone.value
        assert (held.fees[at], held.fills[at]) == (alone.fees, alone.fills)
        assert batch.results[at, ladder.CYCLES] == alone.cycles
        assert batch.results[at, ladder.HELD_BARS] == alone.held_bars
        assert batch.stopped[at] == (alone.stop_reason is not None)
        proceeds = alone.base * terms.costs.sell_price(last)
        fee = fee_on(proceeds, terms.costs.taker_ppm)
        assert (sold.value[at], sold.fees[at]) == (alone.quote + proceeds - fee, alone.fees + fee)
    return batch


ROWS = st.tuples(
    st.sampled_from(list(Spacing)),
    st.integers(-5, 1_050),
    st.integers(850, 1_250),
    st.integers(2, 12),
    st.one_of(st.just(0), st.integers(700, 1_000)),
)
TERMS = st.builds(
    Terms,
    st.integers(10**3, 10**12),
    st.builds(OrderCosts, st.integers(-500, 3_000), st.integers(0, 20_000), st.integers(0, 20_000)),
    st.just(1),
    st.integers(0, 3),
)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(ROWS, min_size=1, max_size=8),
    st.integers(840, 1_200),
    TERMS,
    hostile_bars(),
    st.sampled_from(list(BarPath)),
    st.integers(0, 12),
)
def test_any_sets_over_any_bars_are_what_each_is_alone(rows, start, terms, bars, path, cut):
    """Every shape, fee, stop and gap; and a run that is carried on in pieces is the run in one go."""
    assert_same(rows, start, terms, bars, path, min(cut, len(bars)))


def test_recorded_minutes(recorded_data):
    """The same on a week of a real market, coarse and fine ladders, with and without a stop."""
    bars = recorded(recorded_data, "KUCOIN_ETH-USDT", Timeframe.M1, 2 * 1440)
    start = int(bars.open[0])
    rows = [
        (
            spacing,
            start * (1000 - width) // 1000,
            start * (1000 + width) // 1000,
            levels,
            stop and start * stop // 100,
        )
        for spacing in Spacing
        for width in (10, 50)
        for levels in (3, 40, 200)
        for stop in (0, 90)
    ]
    batch = assert_same(
        rows, start, Terms(10**10, OrderCosts(1_000, 1_000, 150), 1, 1), bars, BarPath.PESSIMISTIC, 1000
    )
    assert len(batch.rows) >= 8 and batch.results[:, ladder.CYCLES].max() > 20


@pytest.mark.parametrize(
    ("row", "value", "fault"),
    [
        ((Spacing.GEOMETRIC, 0, 1_100, 4, 0), 10**9, Fault.BOUNDS),
        ((Spacing.ARITHMETIC, 1_100, 1_100, 4, 0), 10**9, Fault.BOUNDS),
        ((Spacing.ARITHMETIC, 1_000, 1_004, 8, 0), 10**9, Fault.PRICES),
        ((Spacing.GEOMETRIC, 900, 1_100, 4, 0), 3_000, Fault.CAPITAL),
        ((Spacing.GEOMETRIC, 990, 1_010, 10, 0), 10**9, Fault.COSTS),
        ((Spacing.GEOMETRIC, 900, 1_100, 4, 900), 10**9, Fault.STOP),
        ((Spacing.GEOMETRIC, 900, 1_100, 4, -1), 10**9, Fault.STOP),
        ((Spacing.GEOMETRIC, 900, 1_100, 4, 0), 2**59, Fault.LARGE),
    ],
)
def test_each_refusal_has_its_name(row, value, fault):
    """A set that is no grid is told why, and its neighbour runs all the same."""
    fine = (Spacing.GEOMETRIC, 900, 1_100, 4, 0)
    terms = Terms(value, OrderCosts(1_000, 1_000, 100), 1, 1)
    batch = Batch(shapes_of([row, fine]), 1_000, terms, 1_100)
    assert FAULTS[batch.faults[0]] is fault
    assert (batch.faults[1] == SOUND) == (value == 10**9)


def test_a_profit_beyond_64_bits_is_told_and_not_wrapped():
    """The kernel gives up, and the set is refused afterwards."""
    rows = [(Spacing.ARITHMETIC, 50, 150, 2, 0)]
    batch = Batch(shapes_of(rows), 100, Terms(2**54, OrderCosts(0, 0, 0), 1, 0), 200)
    assert batch.faults[0] == SOUND
    for _ in range(40):
        batch.pass_bars(walked(*[50, 150] * 40), worse=True)
    assert FAULTS[batch.faults[0]] is Fault.LARGE


@given(
    st.lists(
        st.tuples(st.integers(1, 10**7), st.integers(1, 10**6), st.integers(2, 200)), min_size=1, max_size=5
    ),
    st.sampled_from([1, 7, 100]),
)
def test_arithmetic_prices_are_the_geometrys(rows, increment):
    """All at once as one at a time, each rounded half up; the upper bound is repeated behind the last."""
    lower = np.array([low * increment for low, _, _ in rows])
    upper = np.array([(low + apart) * increment for low, apart, _ in rows])
    levels = np.array([count for _, _, count in rows])
    made = arithmetic_prices(lower, upper, levels, increment)
    for at, (low, apart, count) in enumerate(rows):
        try:
            geometry = GridGeometry(
                low * increment, (low + apart) * increment, count, Spacing.ARITHMETIC, increment
            )
        except DataInvalid:
            continue
        assert tuple(made[at, : count + 1]) == geometry.prices()
        assert (made[at, count:] == geometry.upper).all()


def test_a_gap_through_the_stop_sells_at_the_open():
    """Opening below the stop brings the open, not the stop, less slippage and fee."""
    rows = [(Spacing.ARITHMETIC, 900, 1_100, 4, 850)]
    assert assert_same(
        rows,
        1_000,
        Terms(10**8, OrderCosts(1_000, 2_000, 500), 1, 1),
        told((800, 820, 790, 810)),
        BarPath.PESSIMISTIC,
        1,
    ).stopped.all()


@pytest.mark.parametrize("seed", range(3))
def test_seeded_walks(seed):
    """Thousands of bars, many fills, stops that are met."""
    bars = wandering(seed, 3_000, 0.004)
    rows = [
        (spacing, 100_000 - 50 * width, 100_000 + 60 * width, levels, 100_000 - 60 * width)
        for spacing in Spacing
        for width in (40, 200, 900)
        for levels in (2, 9, 31)
    ]
    assert_same(
        rows, 100_000, Terms(10**11, OrderCosts(750, 1_000, 120), 1, 1), bars, BarPath.OPTIMISTIC, 1_234
    )
