"""A position carried from hour to hour is the simulation of all minutes at once, to the last unit."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grid.economics import PlanTerms
from grid.geometry import GridGeometry, Spacing
from grid.plan import half_and_half
from grid.position import (
    Position,
    advanced,
    as_record,
    drift,
    figures_of,
    of_record,
    opened,
    opening_ts,
)
from grid.simulation import BarPath, ledger_run, simulate
from market.candles import Bars
from market.costs import OrderCosts
from market.errors import DataInvalid
from market.hours import Timeframe
from store import yaml_text
from tests.grid.records import DAY, parameters
from tests.grid.series import hostile_bars, plans, recorded, told, walked, wandering

COSTS = OrderCosts(1_000, 1_000, 150)


def carried(plan, bars, cuts):
    """Return the position after the bars, cut where told and recorded as YAML between the parts."""
    position = opened(plan)
    edges = [0, *sorted(cuts), len(bars)]
    for first, last in pairwise(edges):
        recorded_text = yaml_text.dump(as_record(position))
        position = of_record(yaml_text.load(recorded_text, "metrics"))
        position = advanced(position, plan, bars.rows(first, last))
    return position


def assert_same(position, plan, bars):
    """Hold a carried position against the one run over all bars."""
    outcome, _ = ledger_run(plan, bars, BarPath.PESSIMISTIC, keep_values=True)
    assert outcome == simulate(plan, bars)
    for field in ("bars", "last_price", "start_value", "quote", "base", "fees", "grid_profit"):
        assert getattr(position, field) == getattr(outcome, field)
    for field in ("cycles", "fills", "held_bars", "stop_reason", "value", "inventory_pnl"):
        assert getattr(position, field) == getattr(outcome, field)
    assert (position.profit, position.stopped_bar) == (outcome.total, outcome.stopped_at)
    at_start = plan.quote + plan.base * plan.start_price
    assert position.peak_profit == max([at_start, *outcome.values.tolist()]) - plan.start_value
    assert position.grid_profit + position.inventory_pnl - position.fees == position.profit
    if outcome.stopped_at is not None:
        assert position.stopped_ts == int(bars.ts[outcome.stopped_at])


@settings(max_examples=300, deadline=None)
@given(plans(), hostile_bars(), st.data())
def test_resumed_hour_by_hour_it_is_the_simulation_of_all_bars(plan, bars, data):
    """On touches, gaps, both exits and any cost, cut anywhere, written and read in between."""
    cuts = data.draw(st.lists(st.integers(0, len(bars)), max_size=6))
    assert_same(carried(plan, bars, cuts), plan, bars)


@pytest.mark.parametrize("seed", range(3))
def test_long_walks_cut_into_hours(seed):
    """Two thousand minutes, and a stop-loss that may strike."""
    bars = wandering(seed, 2_000, 0.002)
    geometry = GridGeometry(95_000, 105_000, 12)
    plan = half_and_half(geometry, 100_000, 10**15, COSTS, stop_loss=93_000)
    position = carried(plan, bars, range(60, 2_000, 60))
    assert position.fills > 10
    assert_same(position, plan, bars)


def test_recorded_minutes_cut_into_hours(recorded_data):
    """A week of real minutes."""
    bars = recorded(recorded_data, "KUCOIN_ETH-USDT", Timeframe.M1, 10_080)
    start = int(bars.close[0])
    geometry = GridGeometry(start * 95 // 100, start * 105 // 100, 8)
    plan = half_and_half(geometry, start, 10**12, COSTS)
    assert_same(carried(plan, bars.rows(1, 10_080), range(59, 10_079, 60)), plan, bars.rows(1, 10_080))


LADDER = GridGeometry(100, 140, 4, Spacing.ARITHMETIC)
PLAN = half_and_half(LADDER, 120, 24_000, OrderCosts(0, 0, 0), stop_loss=90)


def test_an_hour_by_hand():
    """24,000 at 120: a buy of 54 at 110 sold at 120 earns 540; the coin left is worth what it was."""
    position = advanced(opened(PLAN), PLAN, walked(120, 109, 121))
    assert (position.cycles, position.fills, position.grid_profit) == (1, 2, 540)
    assert (position.base, position.rung, position.last_price) == (100, 2, 121)
    assert (position.profit, position.inventory_pnl) == (640, 100)
    assert position.peak_profit == 640
    later = advanced(position, PLAN, replace(walked(121, 111), ts=np.array([120])))
    assert (later.profit, later.peak_profit, later.last_ts) == (540 - 900, 640, 120)


def test_a_stop_is_kept_with_its_bar():
    """At 90 everything is sold; what follows changes nothing but the price."""
    fallen = advanced(opened(PLAN), PLAN, walked(120, 110, 80))
    assert (fallen.stop_reason, fallen.stopped_bar, fallen.stopped_ts) == ("stop_loss", 1, 60)
    assert (fallen.base, fallen.exit_seen) == (0, 90)
    later = advanced(fallen, PLAN, replace(walked(80, 130), ts=np.array([120])))
    assert later == replace(fallen, bars=3, last_ts=120, last_price=130)


def test_a_bar_is_passed_only_once():
    """A minute that was in the hour before is refused, also the last one."""
    position = advanced(opened(PLAN), PLAN, walked(120, 109, 121))
    for ts in (0, 60):
        with pytest.raises(DataInvalid, match="already passed"):
            advanced(position, PLAN, replace(walked(120, 121), ts=np.array([ts])))
    assert advanced(position, PLAN, told()) == position


@pytest.mark.parametrize("rung", [-1, 5])
def test_a_position_of_another_ladder_is_refused(rung):
    """There is no such level."""
    with pytest.raises(DataInvalid, match="rung"):
        advanced(replace(opened(PLAN), rung=rung), PLAN, walked(120, 121))


def test_the_highest_and_the_lowest_level_are_levels():
    """All cash, all coin."""
    assert advanced(opened(PLAN), PLAN, walked(120, 150)).rung == 4
    assert advanced(opened(PLAN), PLAN, walked(120, 95)).rung == 0
    for rung in (0, 4):
        assert advanced(replace(opened(PLAN), rung=rung), PLAN, told()).rung == rung


@given(
    st.builds(
        Position,
        *[st.integers()] * 13,
        stop_reason=st.sampled_from([None, "stop_loss", "take_profit"]),
        stopped_bar=st.none() | st.integers(),
        stopped_ts=st.none() | st.integers(),
        exit_seen=st.integers(),
    )
)
def test_a_position_survives_its_record(position):
    """As YAML and back, whatever the size of its numbers."""
    assert of_record(yaml_text.load(yaml_text.dump(as_record(position)), "x")) == position


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"quote": 1.5}, "quote"),
        ({"quote": True}, "quote"),
        ({"quote": None}, "quote"),
        ({"stop_reason": 5}, "stop_reason"),
        ({"stop_reason": "boredom"}, "stop_reason"),
        ({"stopped_bar": "1"}, "stopped_bar"),
        ({"more": 1}, "more"),
    ],
)
def test_a_record_that_is_no_position_is_refused_by_name(change, field):
    """Of another type, of another word, unknown."""
    with pytest.raises(DataInvalid) as refused:
        of_record({**as_record(opened(PLAN)), **change}, "metrics 14")
    assert (refused.value.where, refused.value.field) == ("metrics 14", field)


def test_a_record_with_a_hole_is_refused_by_name():
    """Nothing is assumed; nor is another kind of value a record."""
    value = as_record(opened(PLAN))
    del value["fees"]
    with pytest.raises(DataInvalid) as refused:
        of_record(value)
    assert refused.value.field == "fees"
    with pytest.raises(DataInvalid, match="expected a mapping, got list"):
        of_record([])


TERMS = PlanTerms(12_000, 100, 1, 10_000, 1_000, 1_000, 150)


@pytest.mark.parametrize("seed", range(3))
def test_a_finer_price_scale_goes_on_with_the_same_position(seed):
    """Every amount is 1000 times as many units; the coin, the ladder and the identity stay."""
    made = parameters()
    plan, fine = TERMS.plan(made), TERMS.rescaled(1_000).plan(made)
    bars = wandering(seed, 400, 0.01, centre=12_000)
    before = advanced(opened(plan), plan, bars.rows(0, 200))
    rescaled = before.rescaled(1_000)
    assert (rescaled.value, rescaled.profit) == (before.value * 1_000, before.profit * 1_000)
    assert (rescaled.base, rescaled.rung, rescaled.cycles) == (before.base, before.rung, before.cycles)
    coarse = advanced(before, plan, bars.rows(200, 400))
    after = advanced(rescaled, fine, bars.rows(200, 400).rescaled(1_000, 1))
    assert (after.rung, after.base, after.cycles) == (coarse.rung, coarse.base, coarse.cycles)
    assert after.grid_profit + after.inventory_pnl - after.fees == after.profit
    assert after.profit == pytest.approx(coarse.profit * 1_000, abs=1_000 * (after.fills + 2))
    assert after.exit_seen == coarse.exit_seen * 1_000


def test_figures_say_the_position_in_coins():
    """The by-hand hour at two decimals of price and four of coin."""
    terms = PlanTerms(12_000, 100, 1, 10_000, 0, 0, 0)
    plan = terms.plan(parameters())
    bars = Bars(
        Timeframe.M1, np.array([0, 60]), *(np.array(c) for c in ([12_000, 10_900], [12_000, 12_500])),
        *(np.array(c) for c in ([10_900, 10_900], [10_900, 12_100], [1, 1])),
    )  # fmt: skip
    position = advanced(opened(plan), plan, bars)
    figures = figures_of(position, plan, terms)
    assert (figures.source, figures.cycles, figures.fills) == ("simulated", 1, 2)
    assert figures.grid_profit == pytest.approx(50 / 110 * 10, rel=1e-3)
    assert figures.coin == pytest.approx(50 / 120 + 50 / 130, rel=1e-3)
    assert figures.net_profit == pytest.approx(figures.grid_profit + figures.coin * 1.0, rel=1e-6)
    assert figures.inventory_pnl == pytest.approx(figures.coin * 1.0)
    assert figures.hold_pnl == pytest.approx(figures.coin * 1.0)
    assert figures.value == pytest.approx(figures.cash + figures.coin * 121)
    assert figures.allocation == pytest.approx(figures.value - figures.net_profit)
    assert figures.net_profit_pct == pytest.approx(100 * figures.net_profit / figures.allocation)
    assert (figures.peak_profit, figures.given_back) == (figures.net_profit, 0)
    assert (figures.fees, figures.stop_reason) == (0, None)


def test_a_peak_is_never_below_nothing():
    """A grid that never was in the plus gave nothing back but what it lost."""
    plan = TERMS.plan(parameters())
    position = opened(plan)
    assert position.peak_profit < 0
    figures = figures_of(position, plan, TERMS)
    assert figures.peak_profit == 0
    assert figures.given_back == -figures.net_profit > 0


@pytest.mark.parametrize(
    ("simulated", "exchange", "found", "anomaly"),
    [
        (100, 100, 0, None),
        (105, 100, 5, None),
        (95, 100, 5, None),
        (105.1, 100, 5.1, "position_drift"),
        (94.9, 100, 5.1, "position_drift"),
    ],
)
def test_a_drift_above_five_percent_is_an_anomaly(simulated, exchange, found, anomaly):
    """On either side; 5 % itself is none."""
    told_ = drift(simulated, exchange)
    assert told_.drift_pct == pytest.approx(found)
    assert told_.distance == pytest.approx(5 - found)
    assert (told_.anomaly, told_.threshold_pct) == (anomaly, 5)


@pytest.mark.parametrize("exchange", [0, -1])
def test_a_drift_needs_a_worth(exchange):
    """Nothing is 5 % of nothing."""
    with pytest.raises(DataInvalid, match="exchange"):
        drift(100, exchange)


@pytest.mark.parametrize(("seconds", "minutes"), [(0, 0), (0.000001, 1), (59, 1), (60, 1), (60.5, 2)])
def test_a_grid_first_sees_the_whole_minute_after_its_start(seconds, minutes):
    """The minute that holds the start gives the start price."""
    assert opening_ts(DAY + timedelta(seconds=seconds)) == int(DAY.timestamp()) + 60 * minutes
