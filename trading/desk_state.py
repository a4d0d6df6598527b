"""What the desk carries from hour to hour, as its record holds it: books, plans, grids, breakers, pacing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from market.errors import DataInvalid
from market.orders import OrderTerms
from market.values import ValueForm
from trading.breakers import RISK_FORM, RiskState
from trading.grids import DeskGrids
from trading.ladder import LadderPlan
from trading.ledger import LEDGER_FORM, Ledger
from trading.pacing import PACING_FORM, Pacing
from trading.swing_plan import SwingPlan

Plan = SwingPlan | LadderPlan


@dataclass(frozen=True, slots=True)
class _Plans:
    swings: tuple[SwingPlan, ...]
    ladders: tuple[LadderPlan, ...]

    def all(self) -> tuple[Plan, ...]:
        return (*self.swings, *self.ladders)


@dataclass(frozen=True, slots=True)
class LastPrice:
    """A market's newest known close, x price_scale, and the end of its minute."""

    price: int
    ts: int


@dataclass(frozen=True, slots=True)
class _Known:
    terms: OrderTerms
    last: LastPrice | None
    minute_turnover: float


_PLANS_FORM, _KNOWN_FORM = ValueForm(_Plans), ValueForm(_Known)


@dataclass(frozen=True, slots=True)
class DeskState:
    """The desk between two hours.

    Attributes:
        plans: Open trades by id.
        grids: Every grid of the desk, by market.
        terms: As orders were last sent under, by market.
        prices: Last known, by market.
        minute_turnover: Quote value of an ordinary minute of the last day, by market; 0 where unknown.
    """

    ledger: Ledger
    pacing: Pacing
    risk: RiskState
    plans: Mapping[str, Plan] = field(default_factory=dict)
    grids: Mapping[str, DeskGrids] = field(default_factory=dict)
    terms: Mapping[str, OrderTerms] = field(default_factory=dict)
    prices: Mapping[str, LastPrice] = field(default_factory=dict)
    minute_turnover: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def first(cls, cash: int, quote: str) -> DeskState:
        """Return the state of a desk that begins with cash units of one coin."""
        return cls(Ledger.of(cash, quote), Pacing.none(), RiskState.none())

    def as_value(self) -> dict[str, Any]:
        """Return the state as the hour's record holds it."""
        plans = [self.plans[name] for name in sorted(self.plans)]
        form = _Plans(
            tuple(plan for plan in plans if isinstance(plan, SwingPlan)),
            tuple(plan for plan in plans if isinstance(plan, LadderPlan)),
        )
        return {
            "ledger": LEDGER_FORM.as_record(self.ledger),
            "pacing": PACING_FORM.as_record(self.pacing),
            "risk": RISK_FORM.as_record(self.risk),
            "plans": _PLANS_FORM.as_record(form),
            "grids": {key: grids.as_value() for key, grids in sorted(self.grids.items())},
            "markets": {
                key: _KNOWN_FORM.as_record(
                    _Known(terms, self.prices.get(key), self.minute_turnover.get(key, 0.0))
                )
                for key, terms in sorted(self.terms.items())
            },
        }

    @classmethod
    def of_value(cls, value: Mapping[str, Any], where: str) -> DeskState:
        """Return the state that `as_value` wrote.

        Raises:
            DataInvalid: Names the part and the field.
        """
        names = {"ledger", "pacing", "risk", "plans", "grids", "markets"}
        if set(value) != names:
            raise DataInvalid(where, "state", f"{sorted(value)}, expected {sorted(names)}")
        for name in ("grids", "markets"):
            if not isinstance(value[name], Mapping):
                raise DataInvalid(where, name, f"{type(value[name]).__name__}, expected a mapping")
        plans = _PLANS_FORM.of_record(value["plans"], f"{where}: plans")
        known = {
            key: _KNOWN_FORM.of_record(entry, f"{where}: {key}") for key, entry in value["markets"].items()
        }
        return cls(
            LEDGER_FORM.of_record(value["ledger"], f"{where}: ledger"),
            PACING_FORM.of_record(value["pacing"], f"{where}: pacing"),
            RISK_FORM.of_record(value["risk"], f"{where}: risk"),
            {plan.trade_id: plan for plan in plans.all()},
            {key: DeskGrids.of_value(entry, f"{where}: {key}") for key, entry in value["grids"].items()},
            {key: each.terms for key, each in known.items()},
            {key: each.last for key, each in known.items() if each.last is not None},
            {key: each.minute_turnover for key, each in known.items()},
        )
