"""The circuit breaker: after a few failures in a row a host is left alone for a while.

Own code instead of purgatory, for three of its traits: it reads the wall clock (a jump of the clock opens or
closes the circuit), it lets every waiting request through as a probe, and it counts a cancelled request as a
failure of the host.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum


class BreakerState(Enum):
    """Whether requests go out: all of them, none, or one probe."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class CircuitBreaker:
    """Counts consecutive failures of one host, in monotonic time.

    Args:
        threshold: Failures in a row that open the circuit.
        open_s: Seconds until one probe may pass.
        monotonic: Real seconds.
        changed: Told every change of state.
    """

    def __init__(
        self,
        threshold: int,
        open_s: float,
        monotonic: Callable[[], float],
        changed: Callable[[BreakerState], None],
    ) -> None:
        self._threshold, self._open_s = threshold, open_s
        self._monotonic, self._changed = monotonic, changed
        self._state = BreakerState.CLOSED
        self._failures = 0
        self._opened_at = 0.0
        self._probing = False

    @property
    def state(self) -> BreakerState:
        return self._state

    @property
    def retry_in_s(self) -> float:
        """Return the seconds until a probe may pass; 0 unless the circuit is open."""
        if self._state is not BreakerState.OPEN:
            return 0.0
        return max(0.0, self._opened_at + self._open_s - self._monotonic())

    def admits(self) -> bool:
        """Return whether a request may go out now; a true answer must be followed by one verdict."""
        if self._state is BreakerState.CLOSED:
            return True
        if self._state is BreakerState.OPEN and self.retry_in_s <= 0:
            self._turn(BreakerState.HALF_OPEN)
        if self._state is BreakerState.HALF_OPEN and not self._probing:
            self._probing = True
            return True
        return False

    def succeeded(self) -> None:
        """Note that the host answered sensibly."""
        self._probing = False
        self._failures = 0
        self._turn(BreakerState.CLOSED)

    def failed(self) -> None:
        """Note a failure of the host; stragglers from before the circuit opened change nothing."""
        if self._state is BreakerState.OPEN:
            return
        self._probing = False
        self._failures += 1
        if self._state is BreakerState.HALF_OPEN or self._failures >= self._threshold:
            self._opened_at = self._monotonic()
            self._turn(BreakerState.OPEN)

    def undecided(self) -> None:
        """Note a request that says nothing about the host: cancelled, or told to slow down."""
        self._probing = False

    def _turn(self, state: BreakerState) -> None:
        if state is not self._state:
            self._state = state
            self._changed(state)
