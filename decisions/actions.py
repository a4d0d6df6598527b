"""What was done about a recommendation: each deed is a file of its own, never changed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

SYSTEM = "system"


class Answer(StrEnum):
    """What a deed was.

    ACKNOWLEDGE says: I know, remind me no more; it settles nothing else. EXPIRED is the system's: nobody
    answered in time.
    """

    ACCEPT = "accept"
    DECLINE = "decline"
    NOTE = "note"
    ACKNOWLEDGE = "acknowledge"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class ActionTaken:
    """One deed.

    Attributes:
        at: When it took effect, aware; an operator may have told it later.
        actor: Who did it; `SYSTEM` for what no human did.
        price: Quote price at which it was done; None where nobody said.
        latency_s: From the close of the analysed hour to `at`, seconds.
        note: In the operator's words.
    """

    at: datetime
    actor: str
    action: Answer
    price: Decimal | None = None
    latency_s: float | None = None
    note: str | None = None

    @property
    def is_human(self) -> bool:
        return self.actor != SYSTEM
