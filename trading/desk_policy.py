"""The rules of the desk, put together by the roof from the configuration."""

from __future__ import annotations

from dataclasses import dataclass, field

from decisions.inputs import Policy
from trading.execution_config import ExecutionConfig
from trading.pacing import PacingConfig
from trading.risk import RiskConfig
from trading.rules import RulesEngine
from trading.signals.base import Signal
from trading.universe import UniverseConfig


@dataclass(frozen=True, slots=True)
class DeskPolicy:
    """Everything that a desk goes by, under the name that its records quote.

    Attributes:
        judging: The rules by which hours are judged; its costs hold fees and liquidity of each market.
        signals: Those that are switched on.
    """

    config_hash: str
    judging: Policy
    signals: tuple[Signal, ...]
    universe: UniverseConfig = field(default_factory=UniverseConfig)
    rules: RulesEngine = field(default_factory=RulesEngine)
    risk: RiskConfig = field(default_factory=RiskConfig)
    pacing: PacingConfig = field(default_factory=PacingConfig)
    execution: ExecutionConfig = field(default_factory=ExecutionConfig)

    @property
    def quote(self) -> str:
        """The coin in which the account is kept."""
        return self.universe.quote
