"""How much a trade may be, and whether there may be one: breakers, costs, caps, smallest orders.

Money is whole cash units throughout, rounded against us. The checks go in the order of `Reason`; the first
that fails is the answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from pydantic import Field

from decisions.inputs import MarketCosts
from grid.parameters import GridParameters
from market.costs import PPM, fee_on, ppm
from market.errors import DataInvalid
from market.orders import CASH_SCALE, OrderTerms
from market.units import from_scaled, plain
from regime.precision import significant
from trading.breakers import RISK_FORM, BreakersConfig, RiskState, after_hour, tripped
from trading.reasons import Reason
from trading.values import AccountView, MarketView, Proposal, Refusal, Sized, Trigger, TriggerKind

__all__ = ["RISK_FORM", "RiskConfig", "RiskState", "after_hour", "loss_at_stop", "size"]

ROUNDINGS = 4  # cash units: the most that rounding a buy, a sale and both fees adds to the exact amount


class RiskConfig(BreakersConfig):
    """The `trading.risk:` section; shares are percent of the account's net asset value (NAV)."""

    risk_per_trade_pct: float = Field(
        1.0, gt=0, le=20, description="Lost at the stop by a swing of conviction 1, costs included, % of NAV."
    )
    grid_budget_pct: float = Field(
        30.0, gt=0, le=100, description="Bound by a grid of conviction 1, fees included, % of NAV."
    )
    symbol_cap_pct: float = Field(30.0, gt=0, le=100, description="Invested in one market at most, % of NAV.")
    total_exposure_cap_pct: float = Field(
        80.0, gt=0, le=100, description="Invested in all markets together at most, % of NAV."
    )
    min_notional: float = Field(10.0, ge=0, le=1e9, description="Smallest trade, quote.")
    min_edge_multiple: float = Field(
        2.0,
        ge=0,
        le=100,
        description="The way to a swing's target, in units of what entering and leaving at the market costs.",
    )


@dataclass(frozen=True, slots=True)
class _Room:
    """What one cap leaves.

    Attributes:
        cash: Cash units, fees included.
        words: The cap, for `why_this_size`.
        reason, found, limit: The refusal where nothing is left.
    """

    cash: int
    words: str
    reason: Reason
    found: str
    limit: str


def size(
    proposal: Proposal,
    view: MarketView,
    account: AccountView,
    state: RiskState,
    config: RiskConfig,
    *,
    in_position: bool,
    entry_bps: float = 0.0,
) -> Sized | Refusal:
    """Return how much the proposal may be, or the first reason why it may not.

    A swing's size is such that what it loses at its stop, bought and sold at the market, is the configured
    share of NAV times conviction and the policy's multiplier; a grid's budget is such a share itself, never
    more than its advice asks for. Caps and free cash shrink both.

    Args:
        view: The proposal's market.
        state: After this hour's `after_hour`.
        in_position: Whether a trade of the market is open.
        entry_bps: How much above the trigger's price a swing's entry may be paid; its size is for that price.

    Raises:
        DataInvalid: The trigger lacks what its kind needs, or its levels are out of order.
    """
    trigger = proposal.trigger
    if (refused := tripped(state, config, account.nav, view.stale_minutes)) is not None:
        return refused
    if in_position:
        return Refusal(Reason.ALREADY_IN_POSITION, f"an open trade of {view.key}", "one a market")
    if trigger.kind is TriggerKind.SWING and (refused := _edge_refusal(trigger, view.costs, config)):
        return refused
    rooms = _rooms(view, account, config)
    for room in rooms:
        if room.cash <= 0:
            return Refusal(room.reason, room.found, room.limit)
    tightest = min(rooms, key=lambda room: room.cash)
    if trigger.kind is TriggerKind.SWING:
        return _swing(proposal, view, account, config, tightest, entry_bps)
    return _grid(proposal, view, account, config, tightest)


def loss_at_stop(terms: OrderTerms, costs: MarketCosts, trigger: Trigger, base: int) -> int:
    """Return what a swing of `base` units loses when it is bought and stopped at the market, cash units."""
    stop, _ = _levels(trigger)
    rate = _rate_ppm(costs)
    paid = terms.cash_paid(costs.order.buy_price(trigger.price), base)
    got = terms.cash_received(costs.order.sell_price(stop), base)
    return paid + fee_on(paid, rate) - got + fee_on(got, rate)


def _edge_refusal(trigger: Trigger, costs: MarketCosts, config: RiskConfig) -> Refusal | None:
    _, target = _levels(trigger)
    way = significant(10_000 * (target - trigger.price) / trigger.price)
    round_trip = 2 * costs.exit_bps  # both ways at the market: a maker's fill is a hope
    least = significant(config.min_edge_multiple * round_trip)
    if way >= least:
        return None
    return Refusal(
        Reason.EDGE_BELOW_COSTS,
        f"{way:.4g} bps to the target",
        f"{least:.4g} bps ({config.min_edge_multiple:g} x {round_trip:.4g})",
    )


def _rooms(view: MarketView, account: AccountView, config: RiskConfig) -> tuple[_Room, ...]:
    quote = view.terms.quote
    symbol = _share(account.nav, config.symbol_cap_pct)
    total = _share(account.nav, config.total_exposure_cap_pct)
    of_market = account.exposure.get(view.key, 0)
    return (
        _Room(
            symbol - of_market,
            f"the market's cap of {config.symbol_cap_pct:g} % of NAV",
            Reason.SYMBOL_CAP,
            f"{_money(of_market, quote)} invested in {view.key}",
            f"{_money(symbol, quote)} ({config.symbol_cap_pct:g} % of NAV)",
        ),
        _Room(
            total - account.total_exposure,
            f"the cap on all of {config.total_exposure_cap_pct:g} % of NAV",
            Reason.TOTAL_EXPOSURE_CAP,
            f"{_money(account.total_exposure, quote)} invested",
            f"{_money(total, quote)} ({config.total_exposure_cap_pct:g} % of NAV)",
        ),
        _Room(
            account.available,
            "the free cash",
            Reason.INSUFFICIENT_CASH,
            f"{_money(account.available, quote)} free",
            "more than 0",
        ),
    )


def _swing(
    proposal: Proposal,
    view: MarketView,
    account: AccountView,
    config: RiskConfig,
    room: _Room,
    entry_bps: float,
) -> Sized | Refusal:
    trigger, terms, order = proposal.trigger, view.terms, view.costs.order
    stop, _ = _levels(trigger)
    rate = _rate_ppm(view.costs)
    risk = _scaled(_share(account.nav, config.risk_per_trade_pct), proposal)
    dearest = trigger.price + fee_on(trigger.price, ppm(entry_bps))
    entry, left_at = max(order.buy_price(trigger.price), dearest), order.sell_price(stop)
    paid_ppm, got_ppm = entry * (PPM + rate), left_at * (PPM - rate)
    by_risk = _units(risk, paid_ppm - got_ppm, terms)
    by_room = _units(room.cash, paid_ppm, terms)
    base = min(by_risk, by_room)
    base -= base % terms.base_increment
    wanted = (
        f"{_money(risk, terms.quote)} at risk at the stop ({config.risk_per_trade_pct:g} % of NAV"
        f" x conviction {trigger.conviction:g} x {proposal.multiplier:g} for {proposal.rule})"
    )
    why = (
        wanted if by_risk <= by_room else f"{_money(room.cash, terms.quote)} by {room.words}, below {wanted}"
    )
    notional = terms.cash_received(trigger.price, base)
    at_stop = terms.cash_received(left_at, base)
    least = max(terms.min_funds, _cash(config.min_notional))
    if base < terms.base_min_size:
        return _too_small(base, terms, why)
    if notional < least:
        return Refusal(
            Reason.MIN_NOTIONAL, f"{_money(notional, terms.quote)}: {why}", _money(least, terms.quote)
        )
    if at_stop < terms.min_funds:  # it could be bought, but not be sold where it has to be
        return Refusal(
            Reason.MIN_NOTIONAL,
            f"{_money(at_stop, terms.quote)} at the stop: {why}",
            _money(terms.min_funds, terms.quote),
        )
    paid = terms.cash_paid(entry, base)
    return Sized(proposal, base, paid + fee_on(paid, rate), why)


def _grid(
    proposal: Proposal, view: MarketView, account: AccountView, config: RiskConfig, room: _Room
) -> Sized | Refusal:
    trigger, terms = proposal.trigger, view.terms
    ladder = _ladder(trigger)
    share = _scaled(_share(account.nav, config.grid_budget_pct), proposal)
    advised = int(ladder.amount_per_grid * CASH_SCALE) * ladder.levels
    wanted = min(share, advised)
    budget = min(wanted, room.cash)
    words = (
        f"{_money(share, terms.quote)} ({config.grid_budget_pct:g} % of NAV x conviction"
        f" {trigger.conviction:g} x {proposal.multiplier:g} for {proposal.rule})"
    )
    if advised < share:
        words = f"{_money(advised, terms.quote)} as advised, below {words}"
    why = words if wanted <= room.cash else f"{_money(budget, terms.quote)} by {room.words}, below {words}"
    a_cell = budget // ladder.levels * PPM // (PPM + _rate_ppm(view.costs))
    upper = int((ladder.upper * terms.price_scale).to_integral_value(ROUND_CEILING))
    base = terms.size_for(a_cell, upper)  # the dearest cell buys the least coin
    if base < terms.base_min_size:
        return _too_small(base, terms, f"a cell of {ladder.levels}, {why}")
    notional = terms.cash_received(upper, base)
    if notional < terms.min_funds:
        return Refusal(
            Reason.MIN_NOTIONAL,
            f"{_money(notional, terms.quote)} a cell of {ladder.levels}: {why}",
            _money(terms.min_funds, terms.quote),
        )
    if budget < _cash(config.min_notional):
        return Refusal(
            Reason.MIN_NOTIONAL,
            f"{_money(budget, terms.quote)}: {why}",
            _money(_cash(config.min_notional), terms.quote),
        )
    return Sized(proposal, 0, budget, why)


def _too_small(base: int, terms: OrderTerms, why: str) -> Refusal:
    return Refusal(Reason.MIN_SIZE, f"{_coin(base, terms)}: {why}", _coin(terms.base_min_size, terms))


def _levels(trigger: Trigger) -> tuple[int, int]:
    stop, target = trigger.stop, trigger.target
    if stop is None or target is None or not 0 < stop < trigger.price < target:
        problem = f"stop {stop}, price {trigger.price}, target {target}; expected 0 < stop < price < target"
        raise DataInvalid(f"trigger {trigger.signal} of {trigger.key}", "stop, target", problem)
    return stop, target


def _ladder(trigger: Trigger) -> GridParameters:
    if trigger.grid is None:
        raise DataInvalid(f"trigger {trigger.signal} of {trigger.key}", "grid", "missing")
    return trigger.grid


def _rate_ppm(costs: MarketCosts) -> int:
    """The fee that has to be reckoned with: an order that means to make may take."""
    return max(costs.order.maker_ppm, costs.order.taker_ppm)


def _units(cash: int, unit_ppm: int, terms: OrderTerms) -> int:
    """Return the base units for which `cash` suffices at `unit_ppm` ppm of a scaled price each."""
    return max(cash - ROUNDINGS, 0) * PPM * terms.price_scale * terms.base_scale // (unit_ppm * CASH_SCALE)


def _scaled(cash: int, proposal: Proposal) -> int:
    millionths = _millionths(proposal.trigger.conviction) * _millionths(proposal.multiplier)
    return cash * millionths // PPM**2


def _share(nav: int, pct: float) -> int:
    return max(nav, 0) * _millionths(pct) // (100 * PPM)


def _millionths(value: float) -> int:
    """Return a share in millionths, fractions rounded down (by the decimal as written)."""
    return int((Decimal(repr(value)) * PPM).to_integral_value(ROUND_FLOOR))


def _cash(quote: float) -> int:
    return int((Decimal(repr(quote)) * CASH_SCALE).to_integral_value(ROUND_CEILING))


def _money(cash: int, quote: str) -> str:
    return f"{cash / CASH_SCALE:.2f} {quote}"


def _coin(base: int, terms: OrderTerms) -> str:
    return f"{plain(from_scaled(base, terms.base_scale))} {terms.base}"
