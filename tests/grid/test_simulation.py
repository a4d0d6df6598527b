"""The grid simulator: each fill by hand, every unit conserved, the fast loop equal to the plain one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

import grid
from grid import kernels, ladder
from grid.geometry import GridGeometry, Spacing
from grid.plan import GridPlan, equal_amounts, half_and_half
from grid.simulation import (
    WORTH_COMPILING,
    BarPath,
    Fill,
    GridOutcome,
    Side,
    StopReason,
    compiled_run,
    ledger_run,
    rows_of,
    simulate,
    sweep,
)
from market.candles import Bars
from market.costs import OrderCosts, fee_on
from market.errors import DataInvalid, ValueOutOfRange
from market.hours import Timeframe
from tests.grid.series import (
    RECORDED,
    SCALES,
    hostile_bars,
    jumping,
    plans,
    recorded,
    told,
    uncompiled_kernels,
    walked,
    wandering,
)

# 100 110 120 130 140; starts at 120 with buys at 110 and 100 and sales at 130 and 140; fees of 1 % and 2 %
LADDER = GridGeometry(100, 140, 4, Spacing.ARITHMETIC)
COSTS = OrderCosts(maker_ppm=10_000, taker_ppm=20_000, slippage_ppm=50_000)
PLAN = GridPlan(LADDER, 120, (100,) * 4, 30_000, 120, COSTS, through=1)
COSTS_BPS = OrderCosts(1_000, 1_000, 500)
PATHS = list(BarPath)


def buy(bar: int, cell: int, price: int, fee: int) -> Fill:
    return Fill(bar, Side.BUY, cell, price, 100, fee)


def sale(bar: int, cell: int, price: int, fee: int) -> Fill:
    return Fill(bar, Side.SELL, cell, price, 100, fee)


def assert_same(plan: GridPlan, bars: Bars, path: BarPath) -> GridOutcome:
    """Run both routes, hold them against each other to the last unit, return the outcome."""
    plain, _ = ledger_run(plan, bars, path, keep_values=True)
    fast = compiled_run(plan, bars, path, keep_values=True)
    assert fast == plain
    assert np.array_equal(fast.values, plain.values)
    assert (
        simulate(plan, bars, path) == compiled_run(plan, bars, path) == sweep([plan], bars, path)[0] == plain
    )
    return plain


def test_down_and_up_again_fill_by_fill():
    """Two buys, their sales a level higher, one sale of the first coin and its buy back."""
    outcome, fills = ledger_run(PLAN, walked(120, 99, 121, 131, 119))
    assert fills == (
        buy(0, 1, 110, 110),
        buy(0, 0, 100, 100),
        sale(1, 0, 110, 110),
        sale(1, 1, 120, 120),
        sale(2, 2, 130, 130),
        buy(3, 2, 120, 120),
    )
    assert (outcome.cycles, outcome.fills, outcome.fees) == (3, 6, 690)
    assert outcome.grid_profit == 3 * 10 * 100
    assert (outcome.quote, outcome.base) == (30_000 + 3_000 - 690, 200)
    assert outcome.inventory_pnl == 200 * (119 - 120)
    assert outcome.total == 3_000 - 200 - 690
    assert outcome.value - outcome.held_value == 3_000 - 690
    assert assert_same(PLAN, walked(120, 99, 121, 131, 119), BarPath.PESSIMISTIC) == outcome


@pytest.mark.parametrize(("through", "filled"), [(0, 1), (1, 0)])
@pytest.mark.parametrize("price", [110, 130])
def test_a_touch_fills_only_where_the_plan_says_so(through, filled, price):
    """By default the price must trade one increment through the order; 0 fills at the price itself."""
    plan = replace(PLAN, through=through)
    assert assert_same(plan, walked(120, price), BarPath.PESSIMISTIC).fills == filled


def test_one_increment_through_fills_at_the_orders_own_price():
    """109 fills the buy at 110, for 110."""
    _, fills = ledger_run(PLAN, walked(120, 109))
    assert fills == (buy(0, 1, 110, 110),)


def test_a_gap_fills_every_order_that_it_jumped_over_at_its_own_price():
    """Opening at 90 after 120 buys at 110 and at 100, not at 90."""
    outcome, fills = ledger_run(PLAN, told((90, 95, 90, 95)))
    assert fills == (buy(0, 1, 110, 110), buy(0, 0, 100, 100))
    assert outcome.inventory_pnl == 200 * (95 - 120) + 100 * (95 - 110) + 100 * (95 - 100)
    assert assert_same(PLAN, told((90, 95, 90, 95)), BarPath.PESSIMISTIC) == outcome


def test_a_gap_up_and_a_fall_inside_one_bar_count_both():
    """The price goes by the open: sold at 130 on the way to 131, bought back at 120."""
    _, fills = ledger_run(PLAN, told((131, 131, 119, 119)))
    assert fills == (sale(0, 2, 130, 130), buy(0, 2, 120, 120))


@pytest.mark.parametrize("path", PATHS)
def test_a_price_that_never_moves_does_nothing(path):
    """No fill, no fee, worth as at the start less nothing."""
    outcome = assert_same(PLAN, told(*[(120, 120, 120, 120)] * 5), path)
    assert (outcome.fills, outcome.fees, outcome.total) == (0, 0, 0)
    assert outcome.value == outcome.held_value
    assert outcome.held_bars == 5


@pytest.mark.parametrize("path", PATHS)
def test_without_bars_the_grid_is_as_it_started(path):
    """Zero bars are a defined answer."""
    outcome = assert_same(PLAN, walked(120), path)
    assert (outcome.bars, outcome.value, outcome.last_price) == (0, PLAN.start_value, 120)


def test_the_path_inside_a_bar_by_hand():
    """115 to 121, 109 and back: low first earns a cycle (770), high first holds coin at 115 (390)."""
    bar = told((115, 121, 109, 115))
    held = PLAN.quote + PLAN.base * 115
    assert assert_same(PLAN, bar, BarPath.PESSIMISTIC).value == held + 100 * 5 - 110
    assert assert_same(PLAN, bar, BarPath.OPTIMISTIC).value == held + 100 * 10 - 110 - 120


def test_the_stop_loss_buys_everything_on_the_way_down_and_sells_it_at_the_stop():
    """At 90 with 5 % slippage: 85 a coin, 2 % taker fee; afterwards nothing moves."""
    plan = replace(PLAN, stop_loss=90)
    bars = walked(120, 91, 90, 200, 50)
    outcome, fills = ledger_run(plan, bars)
    assert fills[2:] == (Fill(1, Side.SELL, None, 85, 400, 680),)
    assert outcome.quote == 30_000 - 11_110 - 10_100 + 400 * 85 - 680
    assert (outcome.base, outcome.stop_reason, outcome.stopped_at) == (0, StopReason.STOP_LOSS, 1)
    assert (outcome.fills, outcome.held_bars, outcome.slippage) == (2, 1, 400 * 5)
    assert assert_same(plan, bars, BarPath.PESSIMISTIC) == outcome


def test_a_gap_below_the_stop_loss_sells_at_the_open():
    """Opening at 60 under a stop at 90: 57 a coin after slippage, and the buys above filled first."""
    plan = replace(PLAN, stop_loss=90)
    outcome, fills = ledger_run(plan, told((60, 150, 60, 150)))
    assert [fill.price for fill in fills] == [110, 100, 57]
    assert assert_same(plan, told((60, 150, 60, 150)), BarPath.PESSIMISTIC) == outcome


def test_take_profit_sells_at_the_trigger_even_where_the_price_jumped_beyond():
    """All cells are sold on the way up; only coin that no cell trades is left for the market."""
    plan = replace(PLAN, take_profit=150, idle_base=10)
    outcome, fills = ledger_run(plan, told((170, 170, 110, 115)))
    assert fills[-1] == Fill(0, Side.SELL, None, 142, 10, fee_on(1_420, 20_000))
    assert (outcome.stop_reason, outcome.stopped_at, outcome.fills) == (StopReason.TAKE_PROFIT, 0, 2)
    assert assert_same(plan, told((170, 170, 110, 115)), BarPath.PESSIMISTIC) == outcome


def test_a_bar_that_reaches_both_exits_is_believed_to_have_stopped_out():
    """Pessimistic says stop-loss, optimistic take-profit."""
    plan = replace(PLAN, stop_loss=90, take_profit=150)
    bars = told((120, 160, 80, 120))
    assert assert_same(plan, bars, BarPath.PESSIMISTIC).stop_reason is StopReason.STOP_LOSS
    assert assert_same(plan, bars, BarPath.OPTIMISTIC).stop_reason is StopReason.TAKE_PROFIT


def test_time_in_market_ends_when_all_coin_is_sold():
    """Above the ladder the grid holds only cash, bar after bar."""
    assert assert_same(PLAN, walked(120, 125, 141, 145, 150), BarPath.PESSIMISTIC).held_bars == 1


@given(plans(), hostile_bars(), st.sampled_from(PATHS))
def test_coin_and_cash_are_conserved_to_the_last_unit_and_never_negative(plan, bars, path):
    """Replayed fill by fill: in = out + fees, no balance below 0 at any moment."""
    outcome, fills = ledger_run(plan, bars, path)
    quote, base, fees = plan.quote, plan.base, plan.entry_fee
    for fill in fills:
        sign = 1 if fill.side is Side.BUY else -1
        base += sign * fill.size
        quote -= sign * fill.size * fill.price + fill.fee
        fees += fill.fee
        assert base >= 0
        assert quote >= 0
    assert (quote, base, fees) == (outcome.quote, outcome.base, outcome.fees)


@given(plans(), hostile_bars(), st.sampled_from(PATHS))
def test_grid_profit_and_inventory_less_fees_are_the_total_exactly(plan, bars, path):
    """The sum that operators cannot read elsewhere adds up to the last unit."""
    outcome = ledger_run(plan, bars, path)[0]
    assert outcome.grid_profit + outcome.inventory_pnl - outcome.fees == outcome.total
    assert outcome.held_value == plan.quote + plan.base * outcome.last_price


@settings(max_examples=300, deadline=None)  # the first example compiles
@given(plans(), hostile_bars(), st.sampled_from(PATHS))
def test_the_fast_loop_equals_the_plain_one(plan, bars, path):
    """Every field and every bar's worth, on touches, gaps, both exits and any cost."""
    assert_same(plan, bars, path)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(plans(), min_size=1, max_size=5),
    hostile_bars(most=3 * kernels.GROUP),
    st.integers(0, 2 * kernels.GROUP),
    st.sampled_from(PATHS),
)
def test_a_sweep_that_passes_whole_groups_of_bars_equals_the_plain_loop(made, bars, quiet, path):
    """Any ladders together; bars that reach no order before, between and after those that do."""
    calm = [(1_000, 1_001, 999, 1_000)] * quiet
    over = told(*calm, *rows_of(bars), *calm)
    assert sweep(made, over, path) == [ledger_run(plan, over, path)[0] for plan in made]


def test_ladders_written_down_together_are_those_of_one_plan_at_a_time():
    """Some alike, some not: levels, fees, exits, coin above and below the start."""
    made = [
        half_and_half(
            GridGeometry(90_000, 110_000, levels, spacing),
            start,
            10**13,
            replace(COSTS_BPS, maker_ppm=fee),
            stop_loss=stop,
            through=through,
        )
        for levels, spacing, start, fee, stop, through in [
            (7, Spacing.GEOMETRIC, 100_000, 1_000, None, 1),
            (7, Spacing.ARITHMETIC, 85_000, 1_000, 80_000, 1),
            (4, Spacing.GEOMETRIC, 100_000, 1_000, None, 1),
            (7, Spacing.GEOMETRIC, 120_000, 900, None, 1),
            (7, Spacing.GEOMETRIC, 101_000, 1_000, 70_000, 3),
        ]
    ]
    tables, facts = ladder.of_plans(made)
    for row, plan in enumerate(made):
        (alone,), (its,) = ladder.of_plans([plan])
        assert np.array_equal(tables[row, :, : plan.geometry.levels + 1], alone)
        assert np.array_equal(facts[row], its)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("seed", range(4))
def test_the_fast_loop_equals_the_plain_one_on_long_walks(seed, path):
    """Five thousand bars with jumps, exits that may strike, and a sweep across block borders."""
    bars = wandering(seed, 5_000, 0.0008)
    made = [
        half_and_half(
            GridGeometry(90_000, 110_000, levels),
            100_000,
            10**15,
            COSTS if levels == 5 else COSTS_BPS,
            stop_loss=80_000 + 400 * levels if levels < 12 else None,
            take_profit=120_000 if levels < 20 else None,
        )
        for levels in (4, 5, 12, 20)
    ]
    plain = [assert_same(plan, bars, path) for plan in made]
    assert sweep(made, bars, path) == plain
    assert max(outcome.cycles for outcome in plain) > 10


@given(plans(), hostile_bars())
def test_one_bar_by_the_pessimistic_path_is_never_worth_more_than_by_the_optimistic(plan, bars):
    """For a single bar this is the definition; both agree where the bar allows no doubt."""
    bar = bars.rows(0, 1)
    worse, better = (ledger_run(plan, bar, path)[0].value for path in PATHS)
    assert worse <= better
    clear = jumping(*bars.close.tolist())
    assert ledger_run(plan, clear, PATHS[0]) == ledger_run(plan, clear, PATHS[1])


@given(plans(), hostile_bars(), st.integers(0, 2_000))
def test_higher_fees_never_help(plan, bars, more):
    """The same ladder on the same path is worth less by exactly its fees."""
    cheap = replace(plan, quote=2 * plan.quote, stop_loss=None, take_profit=None)
    dear_costs = replace(plan.costs, maker_ppm=plan.costs.maker_ppm + more)
    prices = jumping(*bars.close.tolist())
    try:
        dear = replace(cheap, costs=dear_costs)
    except DataInvalid:
        reject()
    low, high = ledger_run(cheap, prices)[0], ledger_run(dear, prices)[0]
    assert (low.grid_profit, low.inventory_pnl) == (high.grid_profit, high.inventory_pnl)
    assert low.fees <= high.fees
    assert low.total - high.total == high.fees - low.fees


def test_amounts_beyond_64_bits_are_still_exact():
    """The plain route takes over: a grid a million million times as large does a million million as much."""
    bars, factor = wandering(1, 500, 0.003), 10**12
    free = OrderCosts(0, 0, 0)
    small = half_and_half(GridGeometry(90_000, 110_000, 10), 100_000, 10**15, free)
    large = replace(small, sizes=tuple(size * factor for size in small.sizes), quote=small.quote * factor,
                    idle_base=small.idle_base * factor)  # fmt: skip
    assert compiled_run(large, bars) is None
    assert simulate(large, bars).total == simulate(small, bars).total * factor != 0
    assert sweep([large], bars) == [simulate(large, bars)]
    with pytest.raises(ValueOutOfRange, match="base_scale"):
        simulate(large, bars, keep_values=True)


def test_a_run_whose_profit_outgrows_64_bits_is_given_up_by_the_fast_loop_and_finished_by_the_plain_one():
    """Forty cycles of almost the whole capital."""
    size = ladder.MOST_PROFIT // 33_000
    plan = GridPlan(GridGeometry(10, 1_000, 2), 100, (size, size), 10 * size, 100, OrderCosts(0, 0, 0), 1)
    bars = walked(*[100, 9, 1_001] * 60)
    assert ladder.fits(plan, 1_001)
    assert compiled_run(plan, bars) is None
    outcome = simulate(plan, bars)
    assert outcome.grid_profit > ladder.MOST_PROFIT
    assert outcome == ledger_run(plan, bars)[0] == sweep([plan], bars)[0]


@pytest.mark.parametrize("market", RECORDED)
@pytest.mark.parametrize("path", PATHS)
def test_recorded_minutes_are_conserved_and_equal_by_both_routes(recorded_data, market, path):
    """A fortnight of real minutes, with and without exits: sums exact, routes equal."""
    bars = recorded(recorded_data, market, Timeframe.M1, 20_160)
    start = int(bars.open[0])
    geometry = GridGeometry(start * 92 // 100, start * 108 // 100, 12)
    value = 10_000 * SCALES.get(market, 100) * 10**8
    costs = OrderCosts(1_000, 1_000, 200)
    steady = half_and_half(geometry, start, value, costs)
    guarded = equal_amounts(
        geometry, start, value // 12, costs, stop_loss=start * 91 // 100, take_profit=start * 109 // 100
    )
    for plan in (steady, guarded):
        outcome = assert_same(plan, bars, path)
        assert outcome.cycles > 0
        assert outcome.grid_profit + outcome.inventory_pnl - outcome.fees == outcome.total


@pytest.mark.parametrize("numba_is_there", [True, False])
def test_the_switch_changes_the_speed_and_nothing_else(monkeypatch, numba_is_there):
    """Long series take the fast loop where numba is installed; one bar's worth and all the sums are equal."""
    bars = wandering(2, WORTH_COMPILING, 0.0008)
    plan = half_and_half(GridGeometry(90_000, 110_000, 10), 100_000, 10**15, COSTS)
    expected = ledger_run(plan, bars, keep_values=True)[0]
    monkeypatch.setattr(kernels, "COMPILED", numba_is_there)
    outcome = simulate(plan, bars, keep_values=True)
    assert np.array_equal(outcome.values, expected.values)
    assert [outcome, *sweep([plan, plan], bars)] == [expected] * 3


@pytest.mark.parametrize("path", PATHS)
def test_the_kernels_mean_the_same_uncompiled(monkeypatch, path):
    """What numba compiles is also right as plain Python: both exits, gaps, a sweep across blocks."""
    walk = wandering(5, 2_500, 0.002)
    wide = [half_and_half(GridGeometry(95_000, 105_000, 8), 100_000, 10**15, COSTS_BPS)] * 2
    small = replace(PLAN, stop_loss=90, take_profit=150, idle_base=10)
    paths = [walked(120, 99, 121, 91, 80, 99), told((60, 150, 60, 90)), told((170, 170, 80, 115))]
    expected = [ledger_run(small, bars, path)[0] for bars in paths], sweep(wide, walk, path)
    monkeypatch.setattr(grid, "kernels", uncompiled_kernels(monkeypatch))
    monkeypatch.setattr(grid.kernels, "COMPILED", True)
    kept = [compiled_run(small, bars, path, keep_values=True) for bars in paths]
    assert (kept, sweep(wide, walk, path)) == expected
    assert [outcome.stop_reason is None for outcome in kept] == [False] * 3
