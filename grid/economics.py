"""What a grid must earn to be worth its fees: spacing, levels, the net return of a cycle, the comparison."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any, Self

from pydantic import Field, ValidationError, model_validator

from grid.forms import DecimalText, Form, invalid
from grid.geometry import FEWEST_LEVELS, MOST_LEVELS, GridGeometry, Spacing, cells_of_width
from grid.parameters import GridParameters
from grid.plan import GridPlan, equal_amounts
from market.costs import OrderCosts
from market.errors import DataInvalid
from market.ports import SymbolRules
from market.units import plain, scale_for, to_scaled
from market.values import ValueForm
from regime.config import Section
from regime.precision import score, significant


class EconomicsConfig(Section):
    """The `economics:` section: what spacing pays, and whether a proposal must be expected to."""

    spacing: Spacing = Field(Spacing.GEOMETRIC, description="How a proposed grid's prices follow each other.")
    spacing_multiple: float = Field(
        7.5, ge=1, le=100, description="A cell's width in round-trip costs; decides how many levels (t)."
    )
    fewest_levels: int = Field(4, ge=FEWEST_LEVELS, le=MOST_LEVELS, description="Levels of a proposal.")
    most_levels: int = Field(20, ge=FEWEST_LEVELS, le=MOST_LEVELS, description="Levels of a proposal.")
    spacing_floor_multiple: float = Field(
        1.5, ge=1, le=100, description="Round-trip costs that a spacing must exceed to be profitable at all."
    )
    invalid_below_multiple: float = Field(
        3.0, ge=1, le=100, description="Spacing in round-trip costs below which a setup is invalid (t)."
    )
    penalty_free_multiple: float = Field(
        7.5, ge=1, le=100, description="Spacing in round-trip costs that costs no confidence (t)."
    )
    penalty_at_worst: float = Field(
        0.70, ge=0, le=1, description="Confidence factor at invalid_below_multiple (t)."
    )
    stop_loss_atr: float = Field(
        1.5, gt=0, le=20, description="A normal grid's stop-loss below its lower bound, ATR."
    )
    require_positive_edge: bool = Field(
        True, description="No setup unless the lower bound of the expected value after fees is above 0."
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.fewest_levels > self.most_levels:
            raise ValueError("fewest_levels must not exceed most_levels")
        if not self.invalid_below_multiple < self.penalty_free_multiple:
            raise ValueError("invalid_below_multiple must be below penalty_free_multiple")
        return self


@dataclass(frozen=True, slots=True)
class TradingRules:
    """What the exchange demands of prices and sizes; exact decimals, all above 0 but the minima."""

    price_increment: Decimal
    base_increment: Decimal
    base_min_size: Decimal = Decimal(0)
    min_funds: Decimal = Decimal(0)

    def __post_init__(self) -> None:
        for name in ("price_increment", "base_increment"):
            if getattr(self, name) <= 0:
                raise DataInvalid("rules", name, f"{getattr(self, name)}, expected more than 0")
        for name in ("base_min_size", "min_funds"):
            if getattr(self, name) < 0:
                raise DataInvalid("rules", name, f"{getattr(self, name)}, expected 0 or more")

    @classmethod
    def of(cls, rules: SymbolRules) -> TradingRules:
        return cls(rules.price_increment, rules.base_increment, rules.base_min_size, rules.min_funds)

    @property
    def base_scale(self) -> int:
        """Units of coin a plan counts in."""
        return scale_for([self.base_increment])

    def as_record(self) -> dict[str, str]:
        """Return the rules as decimal text by name."""
        return {field.name: plain(getattr(self, field.name)) for field in fields(self)}

    @classmethod
    def of_record(cls, value: object, where: str = "rules") -> TradingRules:
        """Return the rules that `as_record` wrote; raises DataInvalid that names the field."""
        try:
            return cls(**dict(_RulesForm.model_validate(value)))
        except ValidationError as error:
            raise invalid(where, error) from None

    def smallest_order(self, price: Decimal) -> Decimal:
        """Return the least quote amount of one order at `price`."""
        return max(self.min_funds, self.base_min_size * price)


class _RulesForm(Form):
    price_increment: DecimalText
    base_increment: DecimalText
    base_min_size: DecimalText
    min_funds: DecimalText


@dataclass(frozen=True, slots=True)
class PlanTerms:
    """What a plan needs beside its grid's version; recorded, so that a running grid keeps its own terms.

    Attributes:
        start_price, increment: x price_scale.
        maker_ppm, taker_ppm, slippage_ppm: As in `OrderCosts`.
    """

    start_price: int
    price_scale: int
    increment: int
    base_scale: int
    maker_ppm: int
    taker_ppm: int
    slippage_ppm: int

    @classmethod
    def of(cls, start_price: int, price_scale: int, rules: TradingRules, costs: OrderCosts) -> PlanTerms:
        """Return the terms of a grid that starts at a price x price_scale.

        Raises:
            ValueOutOfRange: The price scale does not hold the market's increment.
        """
        increment = to_scaled(rules.price_increment, price_scale, "rules", "price_increment")
        return cls(
            start_price,
            price_scale,
            increment,
            rules.base_scale,
            costs.maker_ppm,
            costs.taker_ppm,
            costs.slippage_ppm,
        )

    @property
    def costs(self) -> OrderCosts:
        return OrderCosts(self.maker_ppm, self.taker_ppm, self.slippage_ppm)

    def plan(self, parameters: GridParameters) -> GridPlan:
        """Return the plan of a version under these terms; errors as `plan_of`."""
        return plan_of(
            parameters, self.start_price, self.price_scale, self.increment, self.base_scale, self.costs
        )

    def rescaled(self, price_factor: int) -> PlanTerms:
        """Return the terms in a price scale that is finer by a power of ten."""
        return PlanTerms(
            self.start_price * price_factor,
            self.price_scale * price_factor,
            self.increment * price_factor,
            self.base_scale,
            self.maker_ppm,
            self.taker_ppm,
            self.slippage_ppm,
        )

    def as_record(self) -> dict[str, Any]:
        return _TERMS.as_record(self)

    @classmethod
    def of_record(cls, value: object, where: str = "terms") -> PlanTerms:
        """Return the terms that `as_record` wrote; raises DataInvalid that names the field."""
        return _TERMS.of_record(value, where)


_TERMS = ValueForm(PlanTerms)


def plan_of(
    parameters: GridParameters,
    start_price: int,
    price_scale: int,
    increment: int,
    base_scale: int,
    costs: OrderCosts,
) -> GridPlan:
    """Return what a grid of these parameters starts with.

    Args:
        parameters: As the operator set it up.
        start_price: Price seen at the start x price_scale.
        price_scale: Of the bars that it will run over.
        increment: The market's price increment x price_scale.
        base_scale: Units of coin, the exchange's base increment inverted.
        costs: Fees and slippage.

    Raises:
        DataInvalid: Names the field: a price off the increment, too little for a cell, a cycle that loses.
    """
    exits = {
        name: None if value is None else to_scaled(value, price_scale, "grid", name)
        for name, value in (("stop_loss", parameters.stop_loss), ("take_profit", parameters.take_profit))
    }
    return equal_amounts(
        GridGeometry(
            to_scaled(parameters.lower, price_scale, "grid", "lower"),
            to_scaled(parameters.upper, price_scale, "grid", "upper"),
            parameters.levels,
            parameters.spacing,
            increment,
        ),
        start_price,
        int(parameters.amount_per_grid * price_scale * base_scale),
        costs,
        **exits,
    )


def spacing_of(lower: float, upper: float, levels: int, spacing: Spacing) -> float:
    """Return the narrowest cell's width in percent of its lower price, before prices are rounded."""
    if spacing is Spacing.GEOMETRIC:
        return significant(100 * math.expm1(math.log(upper / lower) / levels))
    step = (upper - lower) / levels
    return significant(100 * step / (upper - step))


def spacing_pct(parameters: GridParameters) -> float:
    """Return the narrowest cell's width of a grid, as `spacing_of`."""
    return spacing_of(float(parameters.lower), float(parameters.upper), parameters.levels, parameters.spacing)


def net_cycle_pct(spacing_pct: float, maker_bps: float) -> float:
    """Return what a cycle leaves of its buy after two maker fees, percent: r (1 - f)^2 - 1."""
    kept = 1 - maker_bps / 1e4
    return significant(100 * ((1 + spacing_pct / 100) * kept * kept - 1))


def spacing_floor_pct(round_trip_bps: float, config: EconomicsConfig) -> float:
    """Return the spacing below which no cycle is worth it, percent."""
    return significant(config.spacing_floor_multiple * round_trip_bps / 100)


def spacing_factor(spacing_pct: float, round_trip_bps: float, config: EconomicsConfig) -> float | None:
    """Return what a grid's spacing leaves of the confidence, None where a setup is invalid.

    1 from `penalty_free_multiple` x cost on, linear down to `penalty_at_worst` at `invalid_below_multiple`.
    """
    if round_trip_bps <= 0:
        return 1.0
    multiple = significant(100 * spacing_pct / round_trip_bps)
    if multiple < config.invalid_below_multiple:
        return None
    reach = config.penalty_free_multiple - config.invalid_below_multiple
    share = min((multiple - config.invalid_below_multiple) / reach, 1.0)
    return score(config.penalty_at_worst + (1 - config.penalty_at_worst) * share)


def levels_of(lower: float, upper: float, round_trip_bps: float, config: EconomicsConfig) -> int:
    """Return as many cells as are `spacing_multiple` x the cost wide, within the fewest and the most."""
    wanted_pct = config.spacing_multiple * round_trip_bps / 100
    if wanted_pct <= 0:
        return config.most_levels
    return max(cells_fitting(lower, upper, wanted_pct, config), config.fewest_levels)


def cells_fitting(lower: float, upper: float, wanted_pct: float, config: EconomicsConfig) -> int:
    """Return how many cells of at least this width fit, at most the most levels and possibly none.

    Args:
        lower, upper: Bounds in any one unit, rising.
        wanted_pct: Width of the narrowest cell, percent of its lower price; above 0.
        config: Spacing and the most levels.
    """
    if config.spacing is Spacing.GEOMETRIC:
        return int(cells_of_width(lower, upper, 100 * wanted_pct, 0, config.most_levels))
    # the uppermost cell is the narrowest: step / (upper - step) >= wanted
    step = upper * wanted_pct / (100 + wanted_pct)
    return min(math.floor((upper - lower) / step + 1e-9), config.most_levels)


@dataclass(frozen=True, slots=True)
class GridView:
    """One side of a comparison; prices in quote, shares in percent."""

    version: int
    lower: float
    upper: float
    centre: float
    levels: int
    spacing_pct: float
    net_cycle_pct: float
    amount_per_grid: float
    stop_loss: float | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """The grid that runs (or ran last) beside the one that would be proposed.

    Attributes:
        running, proposed: None where there is none.
        centre_shift: Proposed centre less running, quote; None without both, as the fields below.
        centre_shift_pct: Of the running centre.
        centre_shift_spacings: Its size in cells of the running grid.
        wins: `proposed`, `running` or `equal`, by the net return of a cycle.
        by_pct: By how much, percentage points of a cycle.
    """

    running: GridView | None
    proposed: GridView | None
    centre_shift: float | None
    centre_shift_pct: float | None
    centre_shift_spacings: float | None
    wins: str | None
    by_pct: float | None


def comparison(
    running: GridParameters | None, proposed: GridParameters | None, maker_bps: float
) -> Comparison:
    """Return both grids side by side and which earns more a cycle after two maker fees."""
    ours = None if running is None else view_of(running, maker_bps)
    other = None if proposed is None else view_of(proposed, maker_bps)
    if ours is None or other is None:
        return Comparison(ours, other, None, None, None, None, None)
    shift = significant(other.centre - ours.centre)
    shift_pct = significant(100 * shift / ours.centre)
    ahead = significant(other.net_cycle_pct - ours.net_cycle_pct)
    return Comparison(
        running=ours,
        proposed=other,
        centre_shift=shift,
        centre_shift_pct=shift_pct,
        centre_shift_spacings=significant(abs(shift) / _cell(ours)),
        wins="equal" if ahead == 0 else "proposed" if ahead > 0 else "running",
        by_pct=abs(ahead),
    )


def view_of(parameters: GridParameters, maker_bps: float) -> GridView:
    """Return the figures of one grid."""
    wide = spacing_pct(parameters)
    return GridView(
        version=parameters.version,
        lower=float(parameters.lower),
        upper=float(parameters.upper),
        centre=significant(float(parameters.centre)),
        levels=parameters.levels,
        spacing_pct=wide,
        net_cycle_pct=net_cycle_pct(wide, maker_bps),
        amount_per_grid=float(parameters.amount_per_grid),
        stop_loss=None if parameters.stop_loss is None else float(parameters.stop_loss),
    )


def _cell(view: GridView) -> float:
    """Return a cell's mean width, quote."""
    return (view.upper - view.lower) / view.levels
