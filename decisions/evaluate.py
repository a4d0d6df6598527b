"""The spine: what one hour may know goes in, what was found comes out. Pure.

Live, replay and backtest call this one function. For now it answers regime and data state; gates, exits
and the recommendation join it in this order: regime > gates > exits > recommendation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from market.hours import Hour
from market.snapshot import MINUTES, MarketSummary
from market.window import MarketWindow
from regime.analysis import ENGINE_VERSION, Insufficient, RegimeAnalysis


@dataclass(frozen=True, slots=True)
class HourInputs:
    """Everything that one hour's evaluation may know, as read back from the store.

    Attributes:
        known_at: Only files collected at or before this instant take part.
        window: Bars up to the hour.
        files: Path to digest of each input file that the hour before did not name already, and the hour
            before itself: a chain that names every input once.
        summary: The hour's own line, in the window's scales; None when none of its minutes is known.
        has_bar: True where the hour's own 1h bar is in the window.
        revised: Hours whose candles the exchange has changed since, noticed in this hour.
    """

    key: str
    hour: Hour
    known_at: datetime
    window: MarketWindow
    files: Mapping[str, str]
    summary: MarketSummary | None
    has_bar: bool
    revised: tuple[str, ...] = ()


class Analyser(Protocol):
    """What the spine asks of the regime engine."""

    def analyze(self, window: MarketWindow) -> RegimeAnalysis | Insufficient: ...


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules in force, under the name that every record quotes."""

    config_hash: str
    engine: Analyser
    max_missing_minutes: int


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What was found in one hour.

    Attributes:
        outcome: `analysed`, `insufficient` (data there, but not enough to judge) or `no_data`.
        reason: Why there is no verdict; None when there is one.
    """

    inputs: HourInputs
    config_hash: str
    engine_version: int
    outcome: str
    reason: str | None
    analysis: RegimeAnalysis | None

    @property
    def name(self) -> str:
        """Return `{key}/{hour}`, the cycle's name."""
        return f"{self.inputs.key}/{self.inputs.hour}"


def evaluate(inputs: HourInputs, policy: Policy) -> Evaluation:
    """Judge one hour by what it may know; the cautious answer where data is missing."""
    outcome, reason, analysis = _judge(inputs, policy)
    return Evaluation(inputs, policy.config_hash, ENGINE_VERSION, outcome, reason, analysis)


def _judge(inputs: HourInputs, policy: Policy) -> tuple[str, str | None, RegimeAnalysis | None]:
    quality = inputs.window.quality
    if not inputs.has_bar and quality.missing >= MINUTES:
        return "no_data", "none of the hour's 60 minutes could be had", None
    if quality.missing > policy.max_missing_minutes or not inputs.has_bar:
        return (
            "insufficient",
            f"{quality.missing} of 60 minutes are missing, at most {policy.max_missing_minutes} may be",
            None,
        )
    found = policy.engine.analyze(inputs.window)
    if isinstance(found, Insufficient):
        return "insufficient", found.reason, None
    return "analysed", None, found
