"""The `trading:` section: what the paper desk is allowed, and what its simulated exchange is like."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from pydantic import Field, field_validator

from exchanges.simulated.fills import EXPECTED, OPTIMISTIC, PESSIMISTIC, FillModel
from market.errors import ConfigInvalid
from market.orders import CASH_SCALE
from regime.config import Section
from trading.execution_config import ExecutionConfig
from trading.pacing import PacingConfig
from trading.risk import RiskConfig
from trading.rules import PolicyConfig
from trading.signals.base import Signal
from trading.signals.registry import SIGNALS, WHERE, build
from trading.universe import UniverseConfig

FILLS = {"pessimistic": PESSIMISTIC, "expected": EXPECTED, "optimistic": OPTIMISTIC}


class PolicySettings(PolicyConfig):
    """Which signals may trade in which regime, and how each is set."""

    signals: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="Settings that differ from the defaults, by signal."
    )

    @field_validator("signals")
    @classmethod
    def _buildable(cls, signals: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        try:
            build(signals)
        except ConfigInvalid as error:
            problems = (problem.removeprefix(f"{WHERE}.") for problem in error.problems)
            raise ValueError("; ".join(problems)) from None
        return signals

    def switched_on(self) -> dict[str, dict[str, Any]]:
        """Return the signals that some regime lets trade, each with all its settings."""
        rows = (getattr(self.regimes, name) for name in self.regimes.trading())
        allowed = {name for row in rows for name in row.signals}
        return {
            name: entry.config.model_validate(self.signals.get(name, {})).model_dump(mode="json")
            for name, entry in SIGNALS.items()
            if name in allowed
        }

    def build(self) -> tuple[Signal, ...]:
        """Return the signals that some regime lets trade."""
        return build(self.switched_on())


class TradingSettings(Section):
    """What the desk trades, by which policy, with how much, and how its orders are filled."""

    policy: PolicySettings = Field(
        PolicySettings(),
        description="Name of a file with `regimes` and `signals`, relative to the configuration file; or both"
        " in place.",
    )
    capital: Decimal = Field(
        Decimal(10_000), gt=0, le=10**9, decimal_places=8, description="What paper begins with, quote."
    )
    patience_s: float = Field(
        2400,
        ge=0,
        le=86_400,
        description="How long the desk waits for a market once another has its hour, seconds.",
    )
    universe: UniverseConfig = UniverseConfig()
    risk: RiskConfig = RiskConfig()
    pacing: PacingConfig = PacingConfig()
    execution: ExecutionConfig = ExecutionConfig()
    fills: FillModel = Field(EXPECTED, description=f"{', '.join(FILLS)}, or numbers of your own.")

    @field_validator("fills", mode="before")
    @classmethod
    def _preset(cls, told: Any) -> Any:
        if isinstance(told, str):
            if told not in FILLS:
                raise ValueError(f"no such preset; expected {', '.join(FILLS)}, or numbers")
            return FILLS[told]
        return told

    @property
    def cash(self) -> int:
        """What paper begins with, cash units."""
        return int(self.capital * CASH_SCALE)

    def rules(self) -> dict[str, Any]:
        """Return the effective settings, ready for JSON and YAML: contents in place of files."""
        return {
            **self.model_dump(mode="json", exclude={"policy", "universe"}),
            "policy": {
                "regimes": self.policy.regimes.model_dump(mode="json"),
                "signals": self.policy.switched_on(),
            },
            "universe": self.universe.model_dump(mode="json", exclude={"exclusion_file"}),
        }
