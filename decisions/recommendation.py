"""What the operator is advised about one grid in one hour, and everything that explains it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from decisions.checks import Check
from market.hours import Hour
from market.keys import checked_key


class Kind(StrEnum):
    """Advice about a running grid, or about starting one."""

    MANAGE = "GRID_MANAGE"
    SETUP = "GRID_SETUP"


class Action(StrEnum):
    """What is advised. WITHHELD: a grid runs, but the hour could not be judged, so there is no advice."""

    CONTINUE = "CONTINUE"
    ADJUST = "ADJUST"
    STOP_GRID = "STOP_GRID"
    WITHHELD = "WITHHELD"
    CREATE_GRID = "CREATE_GRID"
    CREATE_PROBATIONARY_GRID = "CREATE_PROBATIONARY_GRID"
    NO_SETUP = "NO_SETUP"

    @property
    def creates(self) -> bool:
        return self in (Action.CREATE_GRID, Action.CREATE_PROBATIONARY_GRID)

    @property
    def wants_answer(self) -> bool:
        """Whether a human has to do something: all but going on, and having nothing to say."""
        return self.creates or self in (Action.ADJUST, Action.STOP_GRID)


@dataclass(frozen=True, slots=True)
class Stated:
    """How sure a recommendation is, in [0, 1], and what made it; None where nothing could be measured."""

    value: float | None
    factors: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Alternative:
    """Another action that was considered, and why it was not taken."""

    action: Action
    reason: str


@dataclass(frozen=True, slots=True)
class Recommendation:
    """Advice about one grid, from one hour; every number already rounded as it is recorded.

    Attributes:
        id: `{date}/dec-{key}-{HHMMSS}[-{grid_id}]` of the close of the hour: names the record's file.
        grid_version: The version in force at the close; None where the grid does not exist yet.
        reason: Why, in one sentence.
        confidence: For CONTINUE the calibrated probability that the grid's own bounds hold 24 h, for
            STOP_GRID 1 minus it, for a setup the market's confidence times the spacing factor.
        exit_state: Of a running grid; None for a setup.
        checks: Each with value, threshold and distance.
        comparison: The running grid beside the one that would be proposed; None where there is no proposal.
        proposed: Parameters of the grid to set up, with the exchange's form; None where there is none.
        expected: Net value of the proposed grid over 24 h against holding, bps, with its interval.
        told_higher: Why it is told one level louder; None where it is not.
        expires_at: A setup's end; None for advice that the next hour replaces.
    """

    id: str
    key: str
    hour: Hour
    grid_id: str
    grid_version: int | None
    kind: Kind
    action: Action
    reason: str
    confidence: Stated
    exit_state: str | None
    checks: tuple[Check, ...]
    comparison: Mapping[str, Any] | None = None
    proposed: Mapping[str, Any] | None = None
    expected: Mapping[str, Any] | None = None
    alternatives: tuple[Alternative, ...] = ()
    told_higher: str | None = None
    expires_at: datetime | None = None

    def is_expired(self, instant: datetime) -> bool:
        """Say whether the advice is over at `instant`."""
        return self.expires_at is not None and instant >= self.expires_at


def decision_id(key: str, hour: Hour, grid_id: str, *, grids: int) -> str:
    """Return the name of an hour's recommendation, the same whenever it is written.

    Args:
        key: Market.
        hour: The analysed hour; its close names the record.
        grid_id: The grid, part of the name when the market has several.
        grids: How many grids the market has.
    """
    closes = hour.closes_at
    grid = f"-{grid_id}" if grids > 1 else ""
    return f"{closes:%Y-%m-%d}/dec-{checked_key(key)}-{closes:%H%M%S}{grid}"
