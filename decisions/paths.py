"""What a grid is worth along each way that a recommendation left open, by the one grid simulator."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from decisions.actions import ActionTaken
from decisions.aftermath import Aftermath
from decisions.recommendation import Action, Recommendation
from grid.plan import GridPlan
from grid.position import Position, advanced, opened, opening_ts
from market.candles import Bars
from market.costs import fee_on
from regime.precision import significant

DOLLARS = frozenset({"USD", "USDT", "USDC"})  # one of these is taken as one dollar
PATHS = {
    Action.STOP_GRID: ("stop", "hold"),
    Action.CONTINUE: ("hold", "stop"),
    Action.ADJUST: ("hold", "stop"),
    Action.CREATE_GRID: ("grid", "cash"),
    Action.CREATE_PROBATIONARY_GRID: ("grid", "cash"),
    Action.NO_SETUP: ("cash", "grid"),
}
"""The advised path and the other one; WITHHELD advised nothing."""


@dataclass(frozen=True, slots=True)
class RunningGrid:
    """A grid and where it stands; amounts in the units of `grid.plan`."""

    plan: GridPlan
    position: Position

    @classmethod
    def starting(cls, plan: GridPlan) -> RunningGrid:
        return cls(plan, opened(plan))

    def over(self, pieces: Iterable[Bars]) -> RunningGrid:
        """Return the grid after more bars, to their end or to its own exit."""
        position = self.position
        for bars in pieces:
            position = advanced(position, self.plan, bars)
        return RunningGrid(self.plan, position)

    def sold_at(self, price: int) -> int:
        """Return the cash after all coin is sold at the market when `price` is seen."""
        costs, coin = self.plan.costs, self.position.base
        brought = coin * costs.sell_price(price)
        return self.position.quote + brought - fee_on(brought, costs.taker_ppm)


@dataclass(frozen=True, slots=True)
class DecidedCase:
    """A recommendation with everything that its outcome is measured by.

    Attributes:
        quote: Name of the quote coin.
        price: Close of the analysed hour, price x price_scale.
        price_scale, base_scale: Of the bars and of the grid's amounts.
        bounds: Lower and upper, quote: the running grid's own, or the range's for a setup; None without.
        atr: On 1h at the decision, quote; None where unknown.
        grid: The running grid at that close; for a setup the proposed (or standard) one that starts there;
            None where there is none.
        entered: The grid as the operator really set it up on accepting a setup, started at the price then.
    """

    recommendation: Recommendation
    quote: str
    price: int
    price_scale: int
    base_scale: int
    bounds: tuple[float, float] | None
    atr: float | None
    grid: RunningGrid | None = None
    entered: GridPlan | None = None

    def in_quote(self, amount: int) -> float:
        """Return an amount in quote coin, 9 digits."""
        return significant(amount / (self.price_scale * self.base_scale))

    def in_dollars(self, amount: int) -> float | None:
        """Return an amount in dollars, None where the quote coin is no dollar."""
        return self.in_quote(amount) if self.quote in DOLLARS else None


def carried_on(case: DecidedCase, after: Aftermath) -> RunningGrid | None:
    """Return the grid at the end; None where there is no grid, no advice or no price."""
    if case.grid is None or case.recommendation.action not in PATHS or not after.pieces:
        return None
    return case.grid.over(after.pieces)


def worth_of(case: DecidedCase, grid: RunningGrid, at_the_end: RunningGrid) -> dict[str, int]:
    """Return the worth of both paths at the end."""
    value = at_the_end.position.value
    if "hold" in PATHS[case.recommendation.action]:
        return {"hold": value, "stop": grid.sold_at(case.price)}
    return {"grid": value, "cash": grid.plan.start_value}


def deed_less_advice(
    case: DecidedCase, worth: Mapping[str, int], after: Aftermath, accepted: ActionTaken | None
) -> int | None:
    """Return the worth of what was done less that of the advice followed at once.

    None for ADJUST: the moved grid is a new version, whose own position tells what it earned.
    """
    if not worth or case.grid is None or case.recommendation.action is Action.ADJUST:
        return None
    if case.recommendation.action is Action.STOP_GRID:
        done = worth["hold"] if accepted is None else _sold_when(case, case.grid, after, accepted)
        return done - worth["stop"]
    gained = 0 if accepted is None else _gained_since(case.entered, after, accepted)
    return None if gained is None else gained - (worth["grid"] - worth["cash"])


def _sold_when(case: DecidedCase, grid: RunningGrid, after: Aftermath, accepted: ActionTaken) -> int:
    """Return the cash of a grid that went on until the operator stopped it, at the price then."""
    pieces = after.closed_by(int(accepted.at.timestamp()))
    price = int(pieces[-1].close[-1]) if pieces else case.price
    if accepted.price is not None:
        price = round(accepted.price * case.price_scale)
    return grid.over(pieces).sold_at(price)


def _gained_since(entered: GridPlan | None, after: Aftermath, accepted: ActionTaken) -> int | None:
    """Return what the grid as really set up gained from then to the end, None where it is not known."""
    if entered is None:
        return None
    pieces = after.opened_from(opening_ts(accepted.at))
    return RunningGrid.starting(entered).over(pieces).position.profit
