"""A grid that could be set up now: its numbers, what they were held against, and the exchange's own form."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, Decimal

from grid.checks import Check, above, all_passed, at_least, at_most
from grid.economics import (
    EconomicsConfig,
    PlanTerms,
    TradingRules,
    levels_of,
    net_cycle_pct,
    spacing_of,
)
from grid.geometry import FEWEST_LEVELS, Spacing
from grid.parameters import GridKind, GridParameters
from grid.plan import GridPlan
from market.costs import Fees, Liquidity, OrderCosts, fee_on, round_trip_bps
from market.errors import DataInvalid
from market.units import DEFAULT_PRICE_SCALE, from_scaled, plain, scale_for, to_scaled
from regime.precision import significant


@dataclass(frozen=True, slots=True)
class Setting:
    """What a proposal is made of.

    Attributes:
        lower, upper: The regime's range, quote price.
        atr: On 1h, quote price, above 0.
        price: Now, quote price.
        rules: The exchange's increments and minima.
        fees, liquidity: Costs of the account and the market.
        allocation: What a normal grid may use, quote (`grid.capital.allocation`), rounded to `quote_places`.
        deployable: What may be deployed at all, quote.
        version: Number that the proposal gets in the grid's file.
        quote_places: Amounts are rounded down to so many decimals.
    """

    lower: float
    upper: float
    atr: float
    price: float
    rules: TradingRules
    fees: Fees
    liquidity: Liquidity
    allocation: Decimal
    deployable: Decimal
    version: int
    quote_places: int = 2

    @property
    def round_trip_bps(self) -> float:
        """What a cycle costs."""
        return round_trip_bps(self.fees, self.liquidity.half_spread_bps, self.liquidity.slippage_bps)

    @property
    def order_costs(self) -> OrderCosts:
        """What orders cost in a simulation."""
        return OrderCosts.of(self.fees, self.liquidity.half_spread_bps + self.liquidity.slippage_bps)


@dataclass(frozen=True, slots=True)
class ExchangeForm:
    """The fields of the exchange's own form, as text to copy (KuCoin spot grid)."""

    lowest_price: str
    highest_price: str
    number_of_grids: str
    investment: str
    stop_loss: str

    def rows(self) -> tuple[tuple[str, str], ...]:
        """Return label and text of each field, in the form's order."""
        return (
            ("Lowest price", self.lowest_price),
            ("Highest price", self.highest_price),
            ("Number of grids", self.number_of_grids),
            ("Investment", self.investment),
            ("Stop-loss", self.stop_loss),
        )


@dataclass(frozen=True, slots=True)
class Proposal:
    """A grid that could be set up, or why not.

    Attributes:
        parameters: None where no grid could be made at all.
        form: The same as the exchange's fields; None without parameters.
        checks: Every condition, in order; all must hold.
        allocation: What it was given to use, quote.
        investment: What the operator puts in, quote; at most the allocation.
        notional: What the simulated start takes of it: cash, coin and the entry's cost.
        stop_loss_quote: Lost if the price falls straight to the stop-loss, all costs included.
        spacing_pct, net_cycle_pct: Of the narrowest cell; after two maker fees.
    """

    kind: GridKind
    parameters: GridParameters | None
    form: ExchangeForm | None
    checks: tuple[Check, ...]
    allocation: Decimal
    investment: Decimal
    notional: Decimal | None
    stop_loss_quote: float | None
    spacing_pct: float | None
    net_cycle_pct: float | None

    @property
    def valid(self) -> bool:
        """Whether it may be proposed."""
        return all_passed(self.checks)


@dataclass(frozen=True, slots=True)
class Shape:
    """What makes one kind of proposal differ from another.

    Attributes:
        lower, upper: On the market's increment.
        levels: Number of cells.
        stop_loss: On the market's increment.
        allocation: What this grid may use, quote.
        least_cycle_pct: Net return of a cycle that it needs beside being above 0, percent; None for no more.
    """

    kind: GridKind
    lower: Decimal
    upper: Decimal
    levels: int
    spacing: Spacing
    stop_loss: Decimal
    allocation: Decimal
    least_cycle_pct: float | None


def propose(setting: Setting, config: EconomicsConfig) -> Proposal:
    """Return a normal grid on the range: as many levels as pay for their cycles, stop-loss 1.5 ATR below."""
    return assembled(setting, normal_shape(setting, config), config)


def normal_shape(setting: Setting, config: EconomicsConfig) -> Shape:
    """Return bounds, levels and stop-loss of a normal grid."""
    lower, upper = inward(setting.lower, setting.upper, setting.rules)
    rising = 0 < lower < upper
    return Shape(
        kind=GridKind.NORMAL,
        lower=lower,
        upper=upper,
        levels=levels_of(float(lower), float(upper), setting.round_trip_bps, config) if rising else 0,
        spacing=config.spacing,
        stop_loss=stop_below(lower, config.stop_loss_atr * setting.atr, setting.rules),
        allocation=setting.allocation,
        least_cycle_pct=None,
    )


def assembled(setting: Setting, shape: Shape, config: EconomicsConfig) -> Proposal:
    """Return the proposal of a shape with every check of it."""
    investment = shape.allocation.quantize(Decimal(1).scaleb(-setting.quote_places), ROUND_DOWN)
    terms = _terms(setting)
    parameters, plan, problem = _affordable(setting, shape, investment, terms)
    wide = net = None
    if shape.levels >= 1:
        wide = spacing_of(float(shape.lower), float(shape.upper), shape.levels, shape.spacing)
        net = net_cycle_pct(wide, setting.fees.maker_bps)
    if parameters is not None and net is not None and (shown := Decimal(repr(round(net, 4)))) > 0:
        parameters = replace(parameters, profit_pct=shown)
    notional = None if plan is None else _quote(plan.start_value, terms)
    smallest = None if plan is None else _smallest_order(plan, terms)
    least = shape.least_cycle_pct
    checks = (
        _inside(setting.price, shape),
        at_least("levels", shape.levels, config.fewest_levels),
        Check("sizes", problem is None, None, None, None, problem or "every cell can be filled"),
        at_least("spacing", wide, config.invalid_below_multiple * setting.round_trip_bps / 100, " %"),
        above("net_cycle", net, 0.0, " %"),
        *(() if least is None else (at_least("net_cycle_fee", net, least, " %"),)),
        at_least("order_size", smallest, float(setting.rules.smallest_order(shape.upper))),
        at_most("notional", None if notional is None else float(notional), float(setting.deployable)),
    )
    return Proposal(
        kind=shape.kind,
        parameters=parameters,
        form=None if parameters is None else _form(parameters, investment),
        checks=checks,
        allocation=shape.allocation,
        investment=investment,
        notional=notional,
        stop_loss_quote=None if plan is None else significant(float(_quote(_loss_at_stop(plan), terms))),
        spacing_pct=wide,
        net_cycle_pct=net,
    )


def inward(lower: float, upper: float, rules: TradingRules) -> tuple[Decimal, Decimal]:
    """Return bounds on the increment, the lower one rounded up and the upper one down."""
    step = rules.price_increment
    return _on(lower, step, ROUND_CEILING), _on(upper, step, ROUND_FLOOR)


def stop_below(lower: Decimal, distance: float, rules: TradingRules) -> Decimal:
    """Return the stop-loss so far below, on the increment, rounded down and at least one increment."""
    step = rules.price_increment
    return max(_on(float(lower) - distance, step, ROUND_FLOOR), step)


def _on(price: float, step: Decimal, rounding: str) -> Decimal:
    return (Decimal(repr(price)) / step).to_integral_value(rounding) * step


def _inside(price: float, shape: Shape) -> Check:
    lower, upper, now = float(shape.lower), float(shape.upper), significant(price)
    distance = significant(min(now - lower, upper - now))
    bound = lower if now - lower <= upper - now else upper
    told = f"{now:.9g} between {lower:.9g} and {upper:.9g}, needs to be inside"
    return Check("price_inside", distance > 0, now, significant(bound), distance, told)


def _terms(setting: Setting) -> PlanTerms:
    price = Decimal(repr(setting.price))
    scale = scale_for([price, setting.rules.price_increment], DEFAULT_PRICE_SCALE)
    return PlanTerms.of(
        to_scaled(price, scale, "proposal", "price"), scale, setting.rules, setting.order_costs
    )


def _affordable(
    setting: Setting, shape: Shape, investment: Decimal, terms: PlanTerms
) -> tuple[GridParameters | None, GridPlan | None, str | None]:
    """Return the grid with an amount a level that the investment covers, or why there is none."""
    step = Decimal(1).scaleb(-setting.quote_places)
    if shape.levels < FEWEST_LEVELS:
        return None, None, f"levels: {shape.levels}, a grid has at least {FEWEST_LEVELS}"
    amount = (investment / shape.levels).quantize(step, ROUND_DOWN)
    try:
        while True:
            parameters = GridParameters(
                version=setting.version,
                lower=shape.lower,
                upper=shape.upper,
                levels=shape.levels,
                spacing=shape.spacing,
                amount_per_grid=amount,
                stop_loss=shape.stop_loss,
            )
            plan = terms.plan(parameters)
            needed = _quote(plan.start_value, terms)
            if needed <= investment:
                return parameters, plan, None
            # the coin above the start costs a little more than its cells; an amount less it fits at last
            amount = min(amount - step, (amount * investment / needed).quantize(step, ROUND_DOWN))
    except DataInvalid as fault:
        return None, None, f"{fault.field}: {fault.problem}"


def _quote(amount: int, terms: PlanTerms) -> Decimal:
    return from_scaled(amount, terms.price_scale * terms.base_scale)


def _smallest_order(plan: GridPlan, terms: PlanTerms) -> float:
    prices = plan.geometry.prices()
    smallest = min(price * size for price, size in zip(prices[:-1], plan.sizes, strict=True))
    return significant(float(_quote(smallest, terms)))


def _loss_at_stop(plan: GridPlan) -> int:
    """Return what is lost when the price falls straight to the stop-loss: every buy fills, all is sold."""
    assert plan.stop_loss is not None
    prices = plan.geometry.prices()
    cash = plan.quote - sum(plan.cost_of(prices, cell) for cell in range(plan.first_level))
    brought = (plan.idle_base + sum(plan.sizes)) * plan.costs.sell_price(plan.stop_loss)
    return plan.start_value - (cash + brought - fee_on(brought, plan.costs.taker_ppm))


def _form(parameters: GridParameters, investment: Decimal) -> ExchangeForm:
    assert parameters.stop_loss is not None
    return ExchangeForm(
        lowest_price=plain(parameters.lower),
        highest_price=plain(parameters.upper),
        number_of_grids=str(parameters.levels),
        investment=plain(investment),
        stop_loss=plain(parameters.stop_loss),
    )
