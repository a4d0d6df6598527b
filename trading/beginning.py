"""From a sized proposal to the plan that works its orders."""

from __future__ import annotations

from decimal import ROUND_FLOOR, Decimal

from grid.geometry import GridGeometry
from grid.parameters import GridParameters
from market.costs import PPM, ppm
from market.errors import DataInvalid
from market.hours import HOUR_S
from market.orders import CASH_SCALE, BestPrices, OrderTerms
from market.units import from_scaled, plain
from trading.desk_policy import DeskPolicy
from trading.entering import bound_of
from trading.ladder import LadderPlan
from trading.reasons import Reason
from trading.swing_plan import SwingPlan
from trading.values import Refusal, Sized


def swing_of(sized: Sized, trade_id: str) -> SwingPlan:
    """Return the plan of a swing, whose first order goes out at the close of its hour."""
    trigger = sized.proposal.trigger
    assert trigger.stop is not None and trigger.target is not None and trigger.max_hold_h is not None
    return SwingPlan(
        trade_id=trade_id,
        key=trigger.key,
        size=sized.size,
        found_at=trigger.price,
        stop=trigger.stop,
        target=trigger.target,
        leave_ts=trigger.hour.close_ts + trigger.max_hold_h * HOUR_S,
    )


def ladder_of(
    sized: Sized, trade_id: str, terms: OrderTerms, best: BestPrices, policy: DeskPolicy
) -> LadderPlan | Refusal:
    """Return the plan of a grid: its levels on the exchange's increments, its cells within the budget.

    Refused where a cell would be smaller than the exchange takes, or the advised levels do not fit.

    No cell gets more than the advice asked for. The coin of the cells above the price may cost a little more
    than seen, so those cells are cut for the most that it may cost.
    """
    told = sized.proposal.trigger.grid
    assert told is not None
    try:
        geometry = _geometry(told, terms)
    except DataInvalid as error:
        return Refusal(Reason.ORDER_REFUSED, str(error), "levels on the exchange's increments")
    prices = geometry.prices()
    start = (best.bid + best.ask) // 2
    first = geometry.nearest(start)
    bound = max(
        bound_of(start, policy.execution.max_slippage_bps, terms),
        best.ask + -best.ask % terms.price_increment,
    )
    fees = policy.judging.costs_of(terms.key).fees
    rate = ppm(max(fees.maker_bps, fees.taker_bps))
    a_cell = min(int(told.amount_per_grid * CASH_SCALE), sized.budget // told.levels)
    spent = a_cell * PPM // (PPM + rate)
    sizes = tuple(
        terms.size_for(spent, max(prices[cell], bound) if cell >= first else prices[cell])
        for cell in range(told.levels)
    )
    if min(sizes) < max(terms.base_min_size, 1):
        coin = plain(from_scaled(min(sizes), terms.base_scale))
        least = plain(from_scaled(terms.base_min_size, terms.base_scale))
        return Refusal(Reason.MIN_SIZE, f"{coin} {terms.base} in the smallest cell", f"{least} {terms.base}")
    stop = None if told.stop_loss is None else _scaled(told.stop_loss, terms)
    return LadderPlan(
        trade_id=trade_id,
        key=terms.key,
        prices=prices,
        sizes=sizes,
        first=first,
        bound=bound,
        budget=sized.budget,
        stop_loss=stop,
        has_coin=tuple(False for _ in sizes),
    )


def _geometry(told: GridParameters, terms: OrderTerms) -> GridGeometry:
    lower, upper = (_scaled(price, terms) for price in (told.lower, told.upper))
    return GridGeometry(lower, upper, told.levels, told.spacing, terms.price_increment)


def _scaled(price: Decimal, terms: OrderTerms) -> int:
    scaled = int((price * terms.price_scale).to_integral_value(ROUND_FLOOR))
    return scaled - scaled % terms.price_increment
