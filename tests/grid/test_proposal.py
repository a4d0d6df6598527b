"""A proposal fits the exchange's form to the increment, stays within its money, and says what it fails."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from grid.economics import EconomicsConfig, PlanTerms, TradingRules
from grid.geometry import Spacing
from grid.parameters import GridKind
from grid.proposal import propose
from grid.simulation import simulate
from market.costs import Fees, Liquidity
from market.units import to_scaled
from tests.grid.series import walked
from tests.grid.settings import RULES, setting, settings_

CONFIG = EconomicsConfig()
NAMES = ["price_inside", "levels", "sizes", "spacing", "net_cycle", "order_size", "notional"]


def check(proposal, name):
    (found,) = (check for check in proposal.checks if check.name == name)
    return found


def test_a_normal_grid_by_hand():
    """1,800 to 2,200 at 22 bps a round trip: twelve cells, stop-loss 1.5 ATR below, 800 put in."""
    made = propose(setting(), CONFIG)
    assert made.valid and made.kind is GridKind.NORMAL
    assert [check.name for check in made.checks] == NAMES
    parameters = made.parameters
    assert (parameters.lower, parameters.upper, parameters.stop_loss) == (1_800, 2_200, 1_770)
    assert (parameters.levels, parameters.spacing, parameters.version) == (12, Spacing.GEOMETRIC, 1)
    assert made.spacing_pct == pytest.approx(100 * ((2_200 / 1_800) ** (1 / 12) - 1))
    assert made.net_cycle_pct == pytest.approx(100 * ((1 + made.spacing_pct / 100) * 0.999**2 - 1))
    assert parameters.profit_pct == Decimal("1.483")
    assert parameters.take_profit is None
    assert parameters.amount_per_grid == Decimal("66.66")
    assert (made.allocation, made.investment) == (800, 800)


def test_the_exchanges_form_is_there_to_copy():
    """Five fields, as text, nothing to compute."""
    made = propose(setting(lower=1_800.123, upper=2_200.127, allocation=Decimal("512.349")), CONFIG)
    assert made.form.rows() == (
        ("Lowest price", "1800.13"),
        ("Highest price", "2200.12"),
        ("Number of grids", "12"),
        ("Investment", "512.34"),
        ("Stop-loss", "1770.13"),
    )


def test_prices_lie_on_the_increment_bounds_inward_stop_down():
    """In steps of five."""
    rules = TradingRules(Decimal(5), RULES.base_increment)
    made = propose(setting(lower=1_801.0, upper=2_199.0, atr=21.0, rules=rules), CONFIG).parameters
    assert (made.lower, made.upper, made.stop_loss) == (1_805, 2_195, 1_770)


@hypothesis_settings(max_examples=200)
@given(settings_(), st.sampled_from(list(Spacing)))
def test_property_44_what_is_proposed_stays_within_its_money(given_, spacing):
    """The simulated start takes at most the investment, that at most the allocation, and the deployable."""
    made = propose(given_, EconomicsConfig(spacing=spacing))
    assert made.investment <= made.allocation
    if made.parameters is None:
        assert not made.valid and made.form is None and made.notional is None
        return
    assert made.notional <= made.investment
    if made.valid:
        assert made.notional <= given_.deployable


@hypothesis_settings(max_examples=200)
@given(settings_(), st.sampled_from(list(Spacing)))
def test_properties_42_and_43_a_valid_proposal_is_sound(given_, spacing):
    """Price inside, four levels or more, cycles that earn after two fees, orders large enough."""
    config = EconomicsConfig(spacing=spacing)
    made = propose(given_, config)
    if not made.valid:
        assert any(check.passed is not True for check in made.checks)
        return
    parameters = made.parameters
    assert parameters.lower < Decimal(repr(given_.price)) < parameters.upper
    assert 4 <= parameters.levels <= 20
    assert made.net_cycle_pct > 0
    assert parameters.amount_per_grid >= given_.rules.min_funds
    assert parameters.amount_per_grid >= given_.rules.base_min_size * parameters.lower
    for price in (parameters.lower, parameters.upper, parameters.stop_loss):
        assert price % given_.rules.price_increment == 0
    assert given_.lower <= float(parameters.lower) and float(parameters.upper) <= given_.upper
    assert made.stop_loss_quote > 0 or given_.fees.maker_bps < 0


def test_the_loss_at_the_stop_is_what_the_simulation_loses():
    """A fall straight through every buy to the stop-loss."""
    made = propose(setting(), CONFIG)
    terms = PlanTerms.of(200_000, 100, RULES, setting().order_costs)
    plan = terms.plan(made.parameters)
    stop = to_scaled(made.parameters.stop_loss, 100)
    lost = -simulate(plan, walked(200_000, stop)).total
    assert made.stop_loss_quote == pytest.approx(lost / (100 * 10_000))
    assert float(made.notional) == pytest.approx(plan.start_value / (100 * 10_000))


@pytest.mark.parametrize(
    ("price", "passed", "threshold", "distance"),
    [
        (1_800.0, False, 1_800, 0),
        (1_800.01, True, 1_800, 0.01),
        (2_000.0, True, 1_800, 200),
        (2_000.5, True, 2_200, 199.5),
        (2_199.99, True, 2_200, 0.01),
        (2_200.0, False, 2_200, 0),
        (2_250.0, False, 2_200, -50),
        (1_700.0, False, 1_800, -100),
    ],
)
def test_the_price_must_lie_strictly_inside(price, passed, threshold, distance):
    """On a bound it does not; the distance is to the nearer one."""
    found = check(propose(setting(price=price), CONFIG), "price_inside")
    assert (found.passed, found.value, found.threshold) == (passed, price, threshold)
    assert found.distance == pytest.approx(distance)
    assert "needs to be inside" in found.reason


def test_a_spacing_below_three_times_the_cost_is_invalid():
    """At four levels of a narrow range; exactly three times is enough."""
    costs = Liquidity(half_spread_bps=0, slippage_bps=0, impact_bps=0)
    upper = 1_800 * 1.006**4
    narrow = setting(
        upper=upper, price=1_810.0, liquidity=costs, rules=replace(RULES, price_increment=Decimal("1e-9"))
    )
    found = check(propose(narrow, CONFIG), "spacing")
    assert (found.value, found.threshold, found.passed) == (0.6, 0.6, True)
    below = check(propose(replace(narrow, upper=upper - 0.01), CONFIG), "spacing")
    assert below.passed is False and below.distance < 0


def test_levels_below_the_fewest_configured_cannot_happen_by_a_narrow_range():
    """They become narrow instead, and the spacing tells."""
    made = propose(setting(upper=1_830.0, price=1_810.0), CONFIG)
    assert check(made, "levels").value == 4
    assert not made.valid


@pytest.mark.parametrize("others", [{"lower": 2_300.0}, {"lower": 2_200.0}, {"lower": 0.0}, {"lower": -5.0}])
def test_property_42_bounds_that_do_not_rise_make_no_grid(others):
    """There is nothing to copy, and the check names the levels."""
    made = propose(setting(**others), CONFIG)
    assert not made.valid
    assert (made.parameters, made.form, made.spacing_pct) == (None, None, None)
    assert check(made, "sizes").reason.startswith("levels: 0")
    assert check(made, "net_cycle").passed is None


def test_a_cycle_that_loses_is_shown_with_its_figure():
    """At 200 bps a side nothing of 1.7 % pays; the number stands in the record."""
    fees = Fees(maker_bps=200, taker_bps=200)
    made = propose(setting(fees=fees, upper=1_900.0, price=1_850.0), CONFIG)
    found = check(made, "net_cycle")
    assert found.passed is False and found.value < 0 and found.threshold == 0
    assert found.reason.endswith(" %, needs more than 0 %")
    assert made.parameters is None and "costs more than it earns" in check(made, "sizes").reason


def test_little_money_is_refused_by_the_order_size():
    """Twelve levels of an exchange that wants 5 an order."""
    rules = replace(RULES, min_funds=Decimal(5))
    poor = check(propose(setting(allocation=Decimal(59), rules=rules), CONFIG), "order_size")
    assert poor.passed is False and poor.threshold == 5 and poor.distance < 0
    rich = check(propose(setting(allocation=Decimal(63), rules=rules), CONFIG), "order_size")
    assert rich.passed is True
    by_size = check(
        propose(setting(rules=replace(RULES, base_min_size=Decimal("0.03"))), CONFIG), "order_size"
    )
    assert by_size.threshold == 66 and by_size.passed is True


def test_thresholds_that_are_met_exactly_are_met():
    """Four levels of a range for four; orders as small as the exchange takes."""
    four = propose(setting(upper=1_800 * 1.0166**4, price=1_850.0), CONFIG)
    assert four.valid and check(four, "levels").distance == 0
    smallest = check(propose(setting(), CONFIG), "order_size").value
    rules = replace(RULES, base_min_size=Decimal(0), min_funds=Decimal(repr(smallest)))
    assert check(propose(setting(rules=rules), CONFIG), "order_size").distance == 0
    assert propose(setting(rules=rules), CONFIG).valid


def test_the_smallest_order_is_the_smallest():
    """Where coin comes in coarse pieces the cells differ."""
    rules = replace(RULES, base_increment=Decimal("0.01"))
    made = propose(setting(rules=rules), CONFIG)
    plan = PlanTerms.of(200_000, 100, rules, setting().order_costs).plan(made.parameters)
    orders = [price * size for price, size in zip(plan.geometry.prices()[:-1], plan.sizes, strict=True)]
    assert check(made, "order_size").value == pytest.approx(min(orders) / 10_000, rel=1e-9)
    assert min(orders) < 0.9 * max(orders)


def test_coins_below_a_quote_unit_have_grids_too():
    """A tenth of all prices here."""
    rules = TradingRules(Decimal("0.0001"), Decimal("0.1"), Decimal(1), Decimal("0.1"))
    made = propose(setting(lower=0.18, upper=0.22, price=0.2, atr=0.002, rules=rules), CONFIG)
    assert made.valid and made.form.stop_loss == "0.177"


def test_no_money_is_no_grid():
    """An amount of nothing is refused by name."""
    made = propose(setting(allocation=Decimal("0.001")), CONFIG)
    assert made.parameters is None and made.investment == 0
    assert check(made, "sizes").reason.startswith("amount_per_grid")


def test_more_than_is_deployable_is_refused():
    """By exactly how much."""
    made = propose(setting(), CONFIG)
    at = check(propose(setting(deployable=made.notional), CONFIG), "notional")
    assert (at.passed, at.distance) == (True, 0)
    over = check(propose(setting(deployable=made.notional - Decimal("0.01")), CONFIG), "notional")
    assert over.passed is False and over.distance == pytest.approx(-0.01)


def test_coin_that_costs_more_than_its_cell_lowers_the_amount():
    """Bought above its level with slippage and fee; the cash of the other cells leaves nothing for that."""
    costs = setting(
        price=2_180.0,
        fees=Fees(maker_bps=10, taker_bps=150),
        rules=replace(RULES, base_increment=Decimal("0.00000001")),
    )
    made = propose(costs, CONFIG)
    assert made.parameters.levels == 12
    assert made.parameters.amount_per_grid < Decimal("66.66")
    assert Decimal(799) < made.notional <= 800
    cent = propose(replace(costs, price=2_100.0, fees=Fees(maker_bps=10, taker_bps=145)), CONFIG)
    assert cent.parameters.amount_per_grid == Decimal("66.65")  # no more is taken off than it costs


def test_what_takes_the_whole_investment_is_not_lowered():
    """Four cells that cost exactly what is there."""
    free = Liquidity(half_spread_bps=0, slippage_bps=0, impact_bps=0)
    whole = setting(
        lower=100.0, upper=1_600.0, price=1_599.0, fees=Fees(maker_bps=0, taker_bps=0), liquidity=free
    )
    made = propose(whole, EconomicsConfig(fewest_levels=4, most_levels=4))
    assert (made.parameters.amount_per_grid, made.notional, made.investment) == (200, 800, 800)


def test_a_lowered_amount_is_what_the_investment_pays_for():
    """In one jump, so where coin comes in pieces a few cents more might have done."""
    pieces = replace(RULES, base_increment=Decimal("0.0001"))
    dear = Fees(maker_bps=10, taker_bps=150)
    costs = setting(price=2_140.8868780526996, allocation=Decimal("880.24"), fees=dear, rules=pieces)
    assert propose(costs, CONFIG).parameters.amount_per_grid == Decimal("73.27")


def test_a_stop_is_never_at_or_below_nothing():
    """A range that wide leaves one increment."""
    made = propose(setting(lower=20.0, atr=15.0), CONFIG).parameters
    assert made.stop_loss == Decimal("0.01")


def test_a_profit_that_rounds_to_nothing_is_left_out():
    """The form's own field is for the eye."""
    free = setting(price=2_000.0, fees=Fees(maker_bps=0, taker_bps=0))
    for step, upper, shown in (("0.001", 2_000.006, True), ("0.000001", 2_000.000006, False)):
        rules = replace(RULES, price_increment=Decimal(step))
        made = propose(replace(free, lower=1_999.999999, upper=upper, rules=rules), CONFIG).parameters
        assert (made.profit_pct is not None) == shown
