"""A notice, and what a channel must do with it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum, StrEnum
from typing import Protocol

MOST_TITLE = 250
MOST_BODY = 1024


class Level(Enum):
    """How loudly a notice is told."""

    QUIET = "quiet"
    NORMAL = "normal"
    HIGH = "high"
    EMERGENCY = "emergency"

    @property
    def rank(self) -> int:
        return list(Level).index(self)


class Kind(StrEnum):
    """What a notice is about."""

    ADVICE = "advice"
    MARKET = "market"
    ANOMALY = "anomaly"
    DIGEST = "digest"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Notice:
    """One message to the operator.

    Attributes:
        dedupe: What it is about: the same words for the same fact, so that a repeated cycle or a
            restart tells nothing twice.
        market: Market key, or `""` for the whole program.
        title: What happened, in at most `MOST_TITLE` characters.
        body: Why, how sure, what to do, in at most `MOST_BODY` characters.
        at: The instant that it is about (the close of an hour).
        grid_id: The grid that it is about; `""` for none. Notices of one grid arrive in order.
        exit_state: The grid's exit state; None where it has none.
        decision: Id of the recommendation that it tells; `""` for none.
    """

    dedupe: str
    market: str
    level: Level
    title: str
    body: str
    at: datetime
    kind: Kind = Kind.MARKET
    grid_id: str = ""
    exit_state: str | None = None
    decision: str = ""


class Channel(Protocol):
    """One way to reach the operator."""

    @property
    def name(self) -> str: ...

    async def send(self, notice: Notice) -> None:
        """Deliver the notice.

        Raises:
            NotifyFailed: It was not taken now; the outbox keeps it and tries again.
            NotifyRefused: It will never be taken as it is; trying again would do harm.
        """

    async def aclose(self) -> None:
        """Give back connections."""
