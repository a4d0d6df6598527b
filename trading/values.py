"""What goes from one part of the pipeline to the next: market views, triggers, refusals, proposals."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from decisions.inputs import MarketCosts
from grid.parameters import GridParameters
from market.hours import Hour
from market.orders import BestPrices, OrderTerms
from market.window import MarketWindow
from regime.analysis import RegimeAnalysis
from trading.reasons import Reason

UNKNOWN_REGIME = "UNKNOWN"


@dataclass(frozen=True, slots=True, eq=False)
class MarketView:
    """One market at the close of an hour: all that universe, signals and risk may know of it.

    Attributes:
        analysis: None where the hour could not be judged.
        best: Best bid and ask; recorded or from the spread model, as it says itself; None where unknown.
        turnover_24h: Quote value traded in the last 24 hours; None where the bars do not cover them.
        depth: Quote value that rests within one percent of the price; None where nobody recorded it.
        tradable: Whether the exchange takes orders.
        stale_minutes: How long ago the last known price is, at the close of the hour.
        setup: The grid that the decision code would set up now; None where it advises none.
        setup_confidence: How sure that advice is.
    """

    key: str
    hour: Hour
    window: MarketWindow
    analysis: RegimeAnalysis | None
    terms: OrderTerms
    costs: MarketCosts
    best: BestPrices | None
    turnover_24h: float | None
    depth: float | None = None
    tradable: bool = True
    stale_minutes: int = 0
    setup: GridParameters | None = None
    setup_confidence: float | None = None

    @property
    def regime(self) -> str:
        """The simplified regime of the hour, `UNKNOWN` without one."""
        components = None if self.analysis is None else self.analysis.components
        return UNKNOWN_REGIME if components is None else components.simplified_regime


class TriggerKind(StrEnum):
    """What a trigger asks for: coin to hold until a target, a stop or a time; or a ladder of orders."""

    SWING = "swing"
    GRID = "grid"


@dataclass(frozen=True, slots=True)
class Trigger:
    """A signal that fired.

    Attributes:
        signal: Its name in the registry.
        strength: How far beyond its threshold, in [0, 1].
        confidence: How sure it is, in [0, 1].
        reason: Why, in one sentence with the numbers.
        price: Last close, x price_scale.
        stop, target: Of a swing, x price_scale, stop < price < target; None for a grid.
        max_hold_h: Hours after which a swing is left at the market; None for a grid.
        grid: The ladder to set up; None for a swing.
    """

    signal: str
    key: str
    hour: Hour
    kind: TriggerKind
    strength: float
    confidence: float
    reason: str
    price: int
    stop: int | None = None
    target: int | None = None
    max_hold_h: int | None = None
    grid: GridParameters | None = None

    @property
    def conviction(self) -> float:
        """Strength times confidence, in [0, 1], to a millionth."""
        return round(self.strength * self.confidence, 6)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why something was not done; `found` against `limit` in words an operator reads."""

    reason: Reason
    found: str
    limit: str

    def __str__(self) -> str:
        return f"{self.reason.value}: {self.found}, limit {self.limit}"


@dataclass(frozen=True, slots=True)
class Proposal:
    """A trigger that the rules let through, on its way to risk.

    Attributes:
        rule: The row of the policy that let it through: the regime's name.
        multiplier: What that row does to the size, above 0.
        tier: Liquidity tier of the market.
    """

    trigger: Trigger
    rule: str
    multiplier: float
    tier: str


@dataclass(frozen=True, slots=True)
class Sized:
    """A proposal that risk accepted.

    Attributes:
        size: Base units of a swing; 0 for a grid, whose ladder is cut from the budget.
        budget: Cash units that it may bind in all, fees included.
        why_this_size: The limit that decided the size, in one sentence.
    """

    proposal: Proposal
    size: int
    budget: int
    why_this_size: str


@dataclass(frozen=True, slots=True)
class AccountView:
    """The account as risk sees it; cash units.

    Attributes:
        nav: Cash and all coin at the last price.
        peak_nav: The highest `nav` of any hour's close so far.
        available: Cash that no order holds.
        exposure: By market: coin at the last price plus cash that open buys hold.
    """

    nav: int
    peak_nav: int
    available: int
    exposure: dict[str, int]

    @property
    def total_exposure(self) -> int:
        return sum(self.exposure.values())
