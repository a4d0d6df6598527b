"""Spacing, levels and the worth of a cycle: each threshold, and the comparison that the operator reads."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from grid.economics import (
    EconomicsConfig,
    PlanTerms,
    TradingRules,
    cells_fitting,
    comparison,
    levels_of,
    net_cycle_pct,
    plan_of,
    spacing_factor,
    spacing_floor_pct,
    spacing_of,
    spacing_pct,
    view_of,
)
from grid.geometry import GridGeometry, Spacing
from market.costs import OrderCosts
from market.errors import DataInvalid
from market.ports import SymbolRules
from tests.grid.records import drawn_parameters, parameters

CONFIG = EconomicsConfig()
STEPS = EconomicsConfig(spacing=Spacing.ARITHMETIC)
RULES = TradingRules(Decimal("0.01"), Decimal("0.0001"), Decimal("0.001"), Decimal("0.1"))


def test_a_cycle_leaves_the_ratio_less_two_fees():
    """1.5 % wide at 10 bps: 1.015 x .999^2 - 1; at no fee the spacing itself; a rebate adds."""
    assert net_cycle_pct(1.5, 10) == pytest.approx(100 * (1.015 * 0.999**2 - 1), rel=1e-8)
    assert net_cycle_pct(1.5, 0) == 1.5
    assert net_cycle_pct(1.5, -1) > 1.5


@given(st.floats(0.01, 20), st.floats(0, 100))
def test_property_43_a_cycle_earns_exactly_where_its_spacing_exceeds_two_fees(spacing, maker):
    """The break-even spacing is 1 / (1 - f)^2 - 1, a little more than two fees."""
    even = 100 * (1 / (1 - maker / 1e4) ** 2 - 1)
    if abs(spacing - even) > 1e-6:
        assert (net_cycle_pct(spacing, maker) > 0) == (spacing > even)


@given(drawn_parameters())
def test_the_spacing_is_that_of_the_narrowest_cell(made):
    """Against the ladder's own whole prices, as near as their rounding allows."""
    lower, upper = int(made.lower * 10**8), int(made.upper * 10**8)
    geometry = GridGeometry(lower, upper, min(made.levels, 20), made.spacing)
    told = spacing_of(float(made.lower), float(made.upper), geometry.levels, made.spacing)
    assert told == pytest.approx(geometry.spacing_bps() / 100, rel=1e-6, abs=200 / lower)
    assert spacing_pct(made) <= told


def test_spacings_by_hand():
    """100 to 140 in four steps: the last, 130 to 140; by ratios: the fourth root of 1.4."""
    assert spacing_of(100, 140, 4, Spacing.ARITHMETIC) == pytest.approx(100 * 10 / 130)
    assert spacing_of(100, 140, 4, Spacing.GEOMETRIC) == pytest.approx(100 * (1.4**0.25 - 1))


def test_levels_are_as_many_as_pay_within_four_and_twenty():
    """A round trip of 20 bps asks for cells of 150 bps: twelve percent hold seven of them."""
    assert levels_of(100, 112, 20, CONFIG) == 7
    assert levels_of(100, 101, 20, CONFIG) == 4
    assert levels_of(100, 200, 20, CONFIG) == 20
    assert levels_of(100, 112, 0, CONFIG) == 20
    assert levels_of(100, 112, 20, EconomicsConfig(spacing_multiple=15)) == 4
    assert levels_of(100, 112, 20, EconomicsConfig(spacing_multiple=3)) == 18
    assert levels_of(100, 112, 20, EconomicsConfig(most_levels=5)) == 5
    assert levels_of(100, 101, 20, EconomicsConfig(fewest_levels=2)) == 2


@pytest.mark.parametrize("config", [CONFIG, STEPS])
@given(st.floats(0.001, 1e6), st.floats(1.001, 3), st.floats(0.1, 30))
def test_as_many_cells_as_fit_and_not_one_more(config, lower, ratio, wanted):
    """By either spacing; none where not even one fits."""
    cells = cells_fitting(lower, lower * ratio, wanted, config)
    assert 0 <= cells <= 20
    if cells:
        assert spacing_of(lower, lower * ratio, cells, config.spacing) >= wanted * (1 - 1e-8)
    if cells < 20:
        assert spacing_of(lower, lower * ratio, cells + 1, config.spacing) <= wanted * (1 + 1e-8)


def test_a_width_that_is_whole_cells_loses_none_to_rounding():
    """Ten percent, of which one holds exactly."""
    assert cells_fitting(100.0, 110.0, 10.0, STEPS) == 1
    assert cells_fitting(100.0, 110.0, 10.0, CONFIG) == 1
    assert cells_fitting(100.0, 110.0, 10.1, STEPS) == 0


@pytest.mark.parametrize(
    ("spacing", "factor"),
    [
        (0.599999, None),
        (0.6, 0.70),
        (1.05, 0.85),
        (1.4999, 0.999967),
        (1.5, 1.0),
        (3.0, 1.0),
    ],
)
def test_the_spacing_penalty_at_a_cost_of_20_bps(spacing, factor):
    """Invalid below three times the cost, .70 there, nothing from seven and a half times on."""
    assert spacing_factor(spacing, 20, CONFIG) == factor


def test_where_trading_costs_nothing_no_spacing_is_penalised():
    """Nor where the exchange pays."""
    assert spacing_factor(0.01, 0, CONFIG) == spacing_factor(0.01, -1, CONFIG) == 1
    assert spacing_factor(0.01, 0.5, CONFIG) is None


def test_the_spacing_floor_is_one_and_a_half_times_the_cost():
    """20 bps ask for .3 %."""
    assert spacing_floor_pct(20, CONFIG) == 0.3
    assert spacing_floor_pct(20, EconomicsConfig(spacing_floor_multiple=2)) == 0.4


@pytest.mark.parametrize(
    "values",
    [
        {"fewest_levels": 21},
        {"invalid_below_multiple": 7.5},
        {"spacing_multiple": 0.9},
        {"spacing": "diagonal"},
        {"levels": 4},
    ],
)
def test_a_configuration_that_contradicts_itself_is_refused(values):
    """At load, not at three in the morning."""
    with pytest.raises(ValidationError):
        EconomicsConfig(**values)


def test_limits_of_the_configuration_may_meet():
    """As many at least as at most."""
    assert EconomicsConfig(fewest_levels=20).fewest_levels == 20


def test_a_plan_is_the_parameters_in_whole_units():
    """Prices x 100, coin x 10,000, amounts x both; exits where there are any."""
    made = parameters(stop_loss=Decimal("95.5"), take_profit=Decimal(150))
    plan = plan_of(made, 12_000, 100, 1, 10_000, OrderCosts(1_000, 1_000, 0))
    assert (plan.geometry.lower, plan.geometry.upper, plan.geometry.levels) == (10_000, 14_000, 4)
    assert (plan.stop_loss, plan.take_profit, plan.through) == (9_550, 15_000, 1)
    assert plan.geometry.spacing is Spacing.ARITHMETIC
    spent = [plan.cost_of(plan.geometry.prices(), cell) for cell in range(4)]
    assert all(50 * 10**6 - 20_000 < each <= 50 * 10**6 for each in spent)
    bare = plan_of(parameters(), 12_000, 100, 5, 10_000, OrderCosts())
    assert (bare.stop_loss, bare.take_profit, bare.geometry.increment) == (None, None, 5)


@pytest.mark.parametrize(
    ("others", "increment", "field"),
    [
        ({"lower": Decimal("100.001")}, 1, "lower"),
        ({"upper": Decimal("140.001")}, 1, "upper"),
        ({"stop_loss": Decimal("90.001")}, 1, "stop_loss"),
        ({"take_profit": Decimal("150.001")}, 1, "take_profit"),
        ({"lower": Decimal("100.01")}, 5, "lower"),
        ({"amount_per_grid": Decimal("0.001")}, 1, "sizes"),
        ({"upper": Decimal("100.04")}, 1, "levels"),
    ],
)
def test_property_42_parameters_that_make_no_plan_are_refused_by_name(others, increment, field):
    """Off the scale or the increment, too little for a cell, cells that cannot pay."""
    with pytest.raises(DataInvalid) as refused:
        plan_of(parameters(**others), 12_000, 100, increment, 10_000, OrderCosts())
    assert refused.value.field == field


def test_terms_rebuild_the_plan_from_their_record():
    """What a running grid started under stays, whatever the configuration says later."""
    terms = PlanTerms.of(12_000, 100, RULES, OrderCosts(1_000, 900, 150))
    assert terms == PlanTerms(12_000, 100, 1, 10_000, 1_000, 900, 150)
    again = PlanTerms.of_record(terms.as_record())
    assert again == terms
    assert again.plan(parameters()) == plan_of(
        parameters(), 12_000, 100, 1, 10_000, OrderCosts(1_000, 900, 150)
    )
    with pytest.raises(DataInvalid, match="terms: start_price"):
        PlanTerms.of_record({**terms.as_record(), "start_price": "12000"})
    with pytest.raises(DataInvalid, match="price_increment"):
        PlanTerms.of(12_000, 10, RULES, OrderCosts())


def test_trading_rules_survive_their_record():
    """As decimal text, from what an exchange told."""
    told = SymbolRules(
        "ETH-USDT", "ETH", "USDT", RULES.price_increment, RULES.base_increment,
        RULES.base_min_size, RULES.min_funds, trading=True,
    )  # fmt: skip
    assert TradingRules.of(told) == RULES
    assert TradingRules.of_record(RULES.as_record()) == RULES
    assert RULES.as_record()["base_increment"] == "0.0001"
    assert RULES.base_scale == 10_000
    assert RULES.smallest_order(Decimal(50)) == Decimal("0.1")
    assert RULES.smallest_order(Decimal(200)) == Decimal("0.2")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("price_increment", "0"),
        ("base_increment", "-1"),
        ("base_min_size", "-0.1"),
        ("min_funds", "-1"),
        ("min_funds", 1.5),
        ("more", "1"),
    ],
)
def test_trading_rules_that_cannot_be_are_refused_by_name(field, value):
    """Increments above 0, minima not below it, text only."""
    with pytest.raises(DataInvalid) as refused:
        TradingRules.of_record({**RULES.as_record(), field: value})
    assert refused.value.field == field


def test_a_market_may_have_no_minima():
    """0 asks for nothing."""
    assert TradingRules(Decimal(1), Decimal(1)).smallest_order(Decimal(10)) == 0


def test_a_comparison_by_hand():
    """Both grids, the centre's shift in money, percent and cells, and who earns more a cycle."""
    running, proposed = parameters(1), parameters(2, upper=Decimal(160))
    told = comparison(running, proposed, 10)
    assert told.running == view_of(running, 10)
    assert (told.running.version, told.running.lower, told.running.upper) == (1, 100, 140)
    assert (told.running.levels, told.running.amount_per_grid, told.running.stop_loss) == (4, 50, None)
    assert (told.running.centre, told.proposed.centre) == (120, 130)
    assert (told.centre_shift, told.centre_shift_spacings) == (10, 1)
    assert told.centre_shift_pct == pytest.approx(100 * 10 / 120)
    assert told.wins == "proposed"
    assert told.by_pct == pytest.approx(told.proposed.net_cycle_pct - told.running.net_cycle_pct)
    back = comparison(proposed, running, 10)
    assert (back.wins, back.by_pct) == ("running", told.by_pct)
    assert (back.centre_shift, back.centre_shift_spacings) == (-10, pytest.approx(10 / 15))


def test_a_comparison_with_itself_or_with_nothing():
    """Nobody wins; a hundredth of a percent more is a win."""
    wider = comparison(parameters(1), parameters(2, upper=Decimal("140.05")), 10)
    assert wider.wins == "proposed" and 0 < wider.by_pct < 0.02
    same = comparison(parameters(1), parameters(2), 10)
    assert (same.wins, same.by_pct, same.centre_shift) == ("equal", 0, 0)
    for pair in ((None, parameters()), (parameters(), None), (None, None)):
        told = comparison(*pair, 10)
        assert [told.running is None, told.proposed is None] == [side is None for side in pair]
        assert (told.wins, told.by_pct, told.centre_shift_spacings) == (None, None, None)
    assert view_of(parameters(stop_loss=Decimal("90.5")), 10).stop_loss == 90.5
