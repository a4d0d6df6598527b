"""The four exit states, from calm to gone."""

from __future__ import annotations

from enum import StrEnum


class ExitState(StrEnum):
    """How urgently a running grid should end; the order is used to say "at least"."""

    NORMAL = "NORMAL"
    WARNING = "WARNING"
    LATEST_ACCEPTABLE_EXIT = "LATEST_ACCEPTABLE_EXIT"
    MANDATORY_EXIT = "MANDATORY_EXIT"

    @property
    def rank(self) -> int:
        return list(ExitState).index(self)

    @property
    def calmer(self) -> ExitState:
        """The state one level below; NORMAL stays."""
        return list(ExitState)[max(self.rank - 1, 0)]
