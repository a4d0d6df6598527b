"""The circuit breakers: stale prices, drawdown, an exchange that fails, books that differ."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Annotated, Self

from pydantic import ConfigDict, Field, model_validator

from market.values import ValueForm
from regime.config import Section
from regime.precision import significant
from trading.ledger import Difference
from trading.reasons import Reason
from trading.values import Refusal

Count = Annotated[int, Field(ge=0)]


class BreakersConfig(Section):
    """When no new trade may begin, whatever is proposed."""

    max_stale_minutes: int = Field(
        5, ge=0, le=1440, description="Age of the last known price at an hour's close, minutes."
    )
    max_drawdown_pct: float = Field(
        15.0, gt=0, le=100, description="The drawdown breaker trips so far below the peak of NAV, %."
    )
    rearm_drawdown_pct: float = Field(
        10.0, ge=0, le=100, description="It lets go by itself at this or less below the peak, %."
    )
    drawdown_reset: int = Field(
        0,
        ge=0,
        le=10**9,
        description="Raised by the operator, it lets go of the breaker once; the peak begins anew.",
    )
    max_exchange_errors: int = Field(
        3, ge=1, le=1000, description="Calls in a row that the exchange failed to answer."
    )

    @model_validator(mode="after")
    def _lets_go_below_where_it_trips(self) -> Self:
        if self.rearm_drawdown_pct >= self.max_drawdown_pct:
            raise ValueError(
                f"rearm_drawdown_pct {self.rearm_drawdown_pct} must be below max_drawdown_pct"
                f" {self.max_drawdown_pct}"
            )
        return self


@dataclass(frozen=True, slots=True)
class RiskState:
    """What risk remembers.

    Attributes:
        peak_nav: Highest NAV of any hour's close since the last reset, cash units.
        drawdown_latched: The breaker is tripped.
        drawdown_resets: The highest `drawdown_reset` that was obeyed.
        exchange_errors: Calls in a row that failed.
        books_differ: Where ledger and balances differ, a sentence a coin; empty while they agree.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    peak_nav: int
    drawdown_latched: bool
    drawdown_resets: Count
    exchange_errors: Count
    books_differ: tuple[str, ...]

    @classmethod
    def none(cls) -> RiskState:
        """Return the state before the first hour."""
        return cls(0, drawdown_latched=False, drawdown_resets=0, exchange_errors=0, books_differ=())

    def drawdown_pct(self, nav: int) -> float:
        """Return how far `nav` is below the peak, percent; 0 at or above it."""
        if nav >= self.peak_nav:
            return 0.0
        return significant(100 * (self.peak_nav - nav) / self.peak_nav)


RISK_FORM = ValueForm(RiskState)


def after_hour(
    state: RiskState,
    config: BreakersConfig,
    nav: int,
    *,
    answered: bool,
    errors: int,
    differences: Iterable[Difference] | None,
) -> RiskState:
    """Return the state after an hour was settled, for the decisions at its close.

    Args:
        nav: At the hour's close, cash units.
        answered: Whether the exchange answered any call since the last hour; ask for the balances in every
            hour, or a tripped breaker never hears that it is well again.
        errors: Calls that failed since the last one that was answered (or since the last hour).
        differences: By `ledger.reconcile`; None where the exchange told no balances: what was found before
            still holds.
    """
    state = after_calls(state, answered=answered, errors=errors)
    if differences is not None:
        state = replace(state, books_differ=tuple(str(difference) for difference in differences))
    if config.drawdown_reset > state.drawdown_resets:
        return replace(state, peak_nav=nav, drawdown_latched=False, drawdown_resets=config.drawdown_reset)
    state = replace(state, peak_nav=max(state.peak_nav, nav))
    drawdown = state.drawdown_pct(nav)
    holds_from = config.rearm_drawdown_pct if state.drawdown_latched else config.max_drawdown_pct
    latched = drawdown > holds_from or drawdown >= config.max_drawdown_pct
    return replace(state, drawdown_latched=latched)


def after_calls(state: RiskState, *, answered: bool, errors: int) -> RiskState:
    """Return the state after calls to the exchange; arguments as in `after_hour`."""
    return replace(state, exchange_errors=errors if answered else state.exchange_errors + errors)


def tripped(state: RiskState, config: BreakersConfig, nav: int, stale_minutes: int) -> Refusal | None:
    """Return the first breaker that allows no new trade, None where all do."""
    if stale_minutes > config.max_stale_minutes:
        return Refusal(
            Reason.STALE_DATA, f"the last price is {stale_minutes} min old", f"{config.max_stale_minutes} min"
        )
    if state.drawdown_latched:
        return Refusal(
            Reason.DRAWDOWN_BREAKER,
            f"{state.drawdown_pct(nav):.4g} % below the peak",
            f"{config.max_drawdown_pct:g} %, again at {config.rearm_drawdown_pct:g} % or by a higher"
            f" drawdown_reset than {state.drawdown_resets}",
        )
    if state.exchange_errors >= config.max_exchange_errors:
        return Refusal(
            Reason.EXCHANGE_ERRORS,
            f"{state.exchange_errors} calls in a row failed",
            f"{config.max_exchange_errors}",
        )
    if state.books_differ:
        return Refusal(Reason.BOOKS_DIFFER, "; ".join(state.books_differ[:3]), "no difference")
    return None
