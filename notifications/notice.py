"""A notice, and what a channel must do with it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Protocol


class Level(Enum):
    """How loudly a notice is told."""

    QUIET = "quiet"
    NORMAL = "normal"
    HIGH = "high"
    EMERGENCY = "emergency"


@dataclass(frozen=True, slots=True)
class Notice:
    """One message to the operator.

    Attributes:
        dedupe: What it is about: the same words for the same fact, so that a repeated cycle or a
            restart tells nothing twice.
        market: Market key, or `""` for the whole program.
        title: What happened, in at most 250 characters.
        body: Why, how sure, what to do, in at most 1024 characters.
        at: The instant that it is about (the close of an hour).
    """

    dedupe: str
    market: str
    level: Level
    title: str
    body: str
    at: datetime


class Channel(Protocol):
    """One way to reach the operator."""

    @property
    def name(self) -> str: ...

    async def send(self, notice: Notice) -> None:
        """Deliver the notice.

        Raises:
            NotifyFailed: It was not taken; the outbox keeps it and tries again.
        """
