"""The policy: which signals may trade in which regime, and how large. The rules engine applies it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import Field, field_validator, model_validator

from regime.config import Section
from trading.reasons import Reason
from trading.sections import known_names, read_section
from trading.signals.grid import GridSignal
from trading.signals.mean_reversion import MeanReversionSignal
from trading.signals.momentum import MomentumSignal
from trading.signals.price_move import PriceMoveSignal
from trading.signals.regime import RegimeSignal
from trading.signals.registry import SIGNALS
from trading.values import MarketView, Proposal, Refusal, Trigger

_WITH_THE_TREND = (MomentumSignal.name, PriceMoveSignal.name, RegimeSignal.name)
_WITHIN_THE_RANGE = (GridSignal.name, MeanReversionSignal.name)


class RegimeRule(Section):
    """One row of the policy. A row without a signal, or of size 0, holds cash."""

    signals: tuple[str, ...] = Field(description="Names of the signals that may trade.")
    sizing: Annotated[float, Field(ge=0, le=1.5, allow_inf_nan=False)] = Field(
        description="What the size of a trade is multiplied by."
    )

    @field_validator("signals")
    @classmethod
    def _known_and_once(cls, signals: tuple[str, ...]) -> tuple[str, ...]:
        for name in signals:
            if name not in SIGNALS:
                raise ValueError(f"unknown signal {name!r}; {known_names(name, SIGNALS)}")
        if twice := sorted({name for name in signals if signals.count(name) > 1}):
            raise ValueError(f"{', '.join(twice)} stands twice, expected each signal once")
        return signals

    @property
    def holds_cash(self) -> bool:
        return not self.signals or self.sizing == 0


class RegimeRules(Section):
    """A row for each simplified regime; a row that is left out is the default one."""

    TREND_UP: RegimeRule = RegimeRule(signals=_WITH_THE_TREND, sizing=1.0)
    TREND_DOWN: RegimeRule = RegimeRule(signals=(), sizing=0.0)
    RANGE: RegimeRule = RegimeRule(signals=_WITHIN_THE_RANGE, sizing=1.0)
    CHOPPY: RegimeRule = RegimeRule(signals=(MeanReversionSignal.name,), sizing=0.5)
    NEUTRAL: RegimeRule = RegimeRule(signals=_WITHIN_THE_RANGE, sizing=0.5)

    @model_validator(mode="before")
    @classmethod
    def _known_regimes(cls, told: Any) -> Any:
        if isinstance(told, Mapping):
            for name in told:
                if name not in cls.model_fields:
                    raise ValueError(f"unknown regime {name!r}; {known_names(name, cls.model_fields)}")
        return told

    def row(self, regime: str) -> RegimeRule | None:
        """Return the row of a regime, None for one that has none."""
        found: RegimeRule | None = getattr(self, regime) if regime in type(self).model_fields else None
        return found

    def trading(self) -> tuple[str, ...]:
        """Return the regimes in which the policy does not hold cash."""
        return tuple(name for name in type(self).model_fields if not getattr(self, name).holds_cash)


class PolicyConfig(Section):
    """The `trading.policy` section, or a policy file of its own."""

    regimes: RegimeRules = RegimeRules()

    @classmethod
    def read(cls, told: object, where: str) -> PolicyConfig:
        """Return the policy that a YAML file holds.

        Args:
            told: The file's content.
            where: Its name, for the problems.

        Raises:
            ConfigInvalid: One line a problem; an unknown signal or regime lists the known ones.
        """
        return read_section(cls, told, where)


@dataclass(frozen=True, slots=True)
class RulesEngine:
    """Lets through what the active regime's row allows, and says why not for the rest."""

    policy: PolicyConfig = field(default_factory=PolicyConfig)

    def judge(
        self, triggers: Iterable[Trigger], view: MarketView, tier: str
    ) -> tuple[tuple[Proposal, ...], tuple[tuple[Trigger, Refusal], ...]]:
        """Return the proposals and what was refused, each in the order of the triggers."""
        proposals: list[Proposal] = []
        refused: list[tuple[Trigger, Refusal]] = []
        for trigger in triggers:
            found = self._judged(trigger, view.regime, tier)
            if isinstance(found, Refusal):
                refused.append((trigger, found))
            else:
                proposals.append(found)
        return tuple(proposals), tuple(refused)

    def exit_wanted(self, view: MarketView, signal: str) -> Refusal | None:
        """Return why a trade of `signal` has to end: the policy holds cash in the hour's regime.

        An unknown regime ends nothing, and neither does one in which only other signals may begin.
        """
        regime = view.regime
        rule = self.policy.regimes.row(regime)
        if rule is None or not rule.holds_cash:
            return None
        return Refusal(Reason.REGIME_EXIT, f"a {signal} trade in {regime}", self._trades_in())

    def _judged(self, trigger: Trigger, regime: str, tier: str) -> Proposal | Refusal:
        rule = self.policy.regimes.row(regime)
        if rule is None:
            return Refusal(Reason.REGIME_UNKNOWN, regime, self._trades_in())
        if rule.holds_cash:
            return Refusal(Reason.REGIME_CASH_ONLY, regime, self._trades_in())
        if trigger.signal not in rule.signals:
            allowed = f"{', '.join(rule.signals)} in {regime}"
            return Refusal(Reason.SIGNAL_NOT_ALLOWED, trigger.signal, allowed)
        return Proposal(trigger, regime, rule.sizing, tier)

    def _trades_in(self) -> str:
        return f"trades in {', '.join(self.policy.regimes.trading()) or 'no regime'}"
