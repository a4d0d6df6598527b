"""The standard grid's day, thousands at once: equal to the simulator, honest about what it cannot know."""

from __future__ import annotations

import numpy as np
import pytest

import grid
from grid import kernels, standard
from grid.simulation import BarPath, ledger_run
from grid.standard import StandardGrid, batch_24h, reflected
from market.candles import Bars, aggregate
from market.errors import DataInvalid
from market.hours import Timeframe
from tests.grid.series import RECORDED, recorded, told, uncompiled_kernels, wandering

NAMES = ("against_hold_bps", "against_cash_bps", "mirrored_against_hold_bps", "mirrored_against_cash_bps")


def hours(seed: int, count: int, step: float = 0.006) -> Bars:
    walk = wandering(seed, count, step)
    return Bars(Timeframe.H1, walk.ts * 60, *walk.columns()[1:])


def ranges(bars: Bars, count: int, seed: int = 7) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return start rows and bounds of 0.2 to 6 % a side; some starts lie outside, some are too narrow."""
    dice = np.random.default_rng(seed)
    starts = np.sort(dice.integers(0, len(bars), count))
    price = bars.close[starts]
    lower = (price * (1 - dice.uniform(-0.002, 0.06, count))).astype(np.int64)
    return starts, lower, lower + (price * dice.uniform(0.001, 0.1, count)).astype(np.int64)


def mirrored(bars: Bars, centre: int) -> Bars:
    flip = [reflected(np.int64(centre), column) for column in (bars.open, bars.low, bars.high, bars.close)]
    return Bars(bars.timeframe, bars.ts, *flip, bars.volume)


def one_by_one(bars: Bars, starts, lower, upper, rule: StandardGrid, path: BarPath) -> np.ndarray:
    """Return the four columns by the plain simulator, shape (4, n)."""
    span, found = 24 * 3600 // bars.timeframe.seconds, np.full((4, len(starts)), np.nan)
    for i, (start, low, up) in enumerate(zip(starts.tolist(), lower.tolist(), upper.tolist(), strict=True)):
        day = bars.rows(start + 1, start + 1 + span)
        try:
            plan = rule.plan(low, up, int(bars.close[start]))
        except DataInvalid:
            continue
        if len(day) == span and day.ts[-1] - bars.ts[start] == 24 * 3600:
            told_straight, told_mirrored = (
                ledger_run(plan, part, path)[0] for part in (day, mirrored(day, plan.start_price))
            )
            found[:, i] = [
                amount * 10_000 / outcome.start_value
                for outcome in (told_straight, told_mirrored)
                for amount in (outcome.value - outcome.held_value, outcome.total)
            ]
    return found


def columns(days: standard.StandardDays) -> np.ndarray:
    return np.stack([getattr(days, name) for name in NAMES])


@pytest.mark.parametrize("path", list(BarPath))
@pytest.mark.parametrize(
    "rule",
    [
        StandardGrid(),
        StandardGrid(spacing_bps=150, at_least=4, maker_ppm=200, through=0),
        StandardGrid(spacing_bps=20, maker_ppm=0, at_most=40),
        StandardGrid(spacing_bps=30, at_least=20),
    ],
)
def test_every_day_equals_the_simulator(rule, path):
    """Grids, refusals, starts outside the bounds and days that are not whole: all as one at a time."""
    bars = hours(3, 700)
    bars = Bars(Timeframe.H1, *(np.delete(column, [200, 201, 455]) for column in bars.columns()))
    starts, lower, upper = ranges(bars, 120)
    days = batch_24h(bars, starts, lower, upper, rule, path)
    expected = one_by_one(bars, starts, lower, upper, rule, path)
    np.testing.assert_allclose(columns(days), expected, rtol=1e-12, atol=1e-11)
    assert 0 < np.isnan(expected[0]).sum() < 100


def test_a_range_too_narrow_for_its_fees_is_unknown_and_says_so():
    """Twenty cells in one per cent at 10 bps a side would lose with every cycle."""
    bars = hours(4, 60)
    price = int(bars.close[10])
    bounds = np.array([price * 995 // 1_000]), np.array([price * 1_005 // 1_000])
    days = batch_24h(bars, np.array([10]), *bounds, StandardGrid(at_least=20))
    assert np.isnan(columns(days)).all()
    assert days.levels.tolist() == [0]


def test_a_day_by_hand():
    """Nothing happens for 23 hours, then a cycle: bounds 8,100 to 12,100, two cells, no fees."""
    quiet = [(9_900, 9_900, 9_900, 9_900)] * 24
    bars = told(*quiet, (9_900, 9_900, 8_000, 9_900), timeframe=Timeframe.H1)
    rule = StandardGrid(spacing_bps=1_900, maker_ppm=0)
    days = batch_24h(bars, np.array([0]), np.array([8_100]), np.array([12_100]), rule)
    # the buy at 8,100 spends half of the value and is sold at 9,900: 18/81 of that half
    assert days.levels.tolist() == [2]
    assert days.against_hold_bps[0] == pytest.approx(5_000 * 18 / 81, abs=1e-3)
    assert days.against_cash_bps[0] == days.against_hold_bps[0]
    # mirrored, 8,000 becomes 12,251: the coin is sold at 12,100 and bought back at 9,900
    assert days.mirrored_against_hold_bps[0] == pytest.approx(5_000 * 22 / 99, abs=1e-3)


def test_the_mirror_turns_every_return_round():
    """100 to 125 becomes 100 to 80; the mirror of the mirror is the path."""
    assert reflected(np.int64(10_000), np.array([12_500, 10_000, 8_000])).tolist() == [8_000, 10_000, 12_500]
    assert kernels.mirror(10_000, 12_500) == 8_000
    assert kernels.mirror(1, 10**9) == 1


def test_a_price_that_moves_a_hundredfold_in_a_day_is_unknown():
    """Out of all proportion: the amounts would not be safe in 64 bits, so there is no figure."""
    bars = told(*[(100_000,) * 4] * 12, *[(10_000_000,) * 4] * 13, timeframe=Timeframe.H1)
    days = batch_24h(bars, np.array([0]), np.array([90_000]), np.array([110_000]))
    assert np.isnan(columns(days)).all()


def test_no_starts_and_no_whole_day_are_defined_answers():
    """Empty in, empty out; a series shorter than a day knows nothing."""
    bars, none = hours(5, 10), np.empty(0, dtype=np.int64)
    assert len(batch_24h(bars, none, none, none).levels) == 0
    days = batch_24h(bars, np.array([3]), np.array([90_000]), np.array([110_000]))
    assert np.isnan(columns(days)).all()


@pytest.mark.parametrize(
    ("starts", "lower", "upper", "field"),
    [
        ([1, 2], [90], [110], "starts"),
        ([99], [90], [110], "starts"),
        ([-1], [90], [110], "starts"),
        ([1], [0], [110], "lower"),
        ([1], [95], [110], "lower"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(starts, lower, upper, field):
    """Different lengths, rows outside the bars, bounds off the increment."""
    with pytest.raises(DataInvalid) as refused:
        batch_24h(
            hours(6, 50), np.array(starts), np.array(lower), np.array(upper), StandardGrid(increment=10)
        )
    assert refused.value.field == field


def test_without_numba_every_figure_is_the_same(monkeypatch):
    """The same kernels, not compiled, give the same bits."""
    bars = hours(8, 400)
    given = ranges(bars, 60)
    fast = columns(batch_24h(bars, *given))
    monkeypatch.setattr(grid, "kernels", uncompiled_kernels(monkeypatch))
    assert np.array_equal(columns(batch_24h(bars, *given)), fast, equal_nan=True)


@pytest.mark.parametrize(
    ("rule", "field"),
    [({"spacing_bps": 0}, "spacing_bps"), ({"at_least": 1}, "levels"), ({"at_most": 1}, "levels")],
)
def test_a_rule_that_makes_no_ladder_is_refused(rule, field):
    """No width, one cell, at most fewer than at least."""
    with pytest.raises(DataInvalid) as refused:
        StandardGrid(**rule)
    assert refused.value.field == field


@pytest.mark.parametrize("market", RECORDED)
def test_recorded_hours_and_minutes_equal_the_simulator(recorded_data, market):
    """Real days by their minutes and by their hours; the coarse reading is not the kinder one."""
    minutes = recorded(recorded_data, market, Timeframe.M1, 30 * 1_440)
    coarse = aggregate(minutes, Timeframe.H1)
    rule, path = StandardGrid(), BarPath.PESSIMISTIC
    rows = np.arange(24, len(coarse) - 25, 29)
    lower, upper = coarse.close[rows] * 97 // 100, coarse.close[rows] * 103 // 100
    by_hours = batch_24h(coarse, rows, lower, upper, rule, path)
    np.testing.assert_allclose(
        columns(by_hours), one_by_one(coarse, rows, lower, upper, rule, path), rtol=1e-12, atol=1e-11
    )
    starts = np.searchsorted(minutes.ts, coarse.ts[rows] + 3_540)
    by_minutes = batch_24h(minutes, starts, lower, upper, rule, path)
    few = slice(0, 6)
    np.testing.assert_allclose(
        columns(by_minutes)[:, few],
        one_by_one(minutes, starts[few], lower[few], upper[few], rule, path),
        rtol=1e-12,
        atol=1e-11,
    )
    assert np.nanmean(by_hours.against_hold_bps) <= np.nanmean(by_minutes.against_hold_bps) + 1
