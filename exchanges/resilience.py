"""What stands between a caller and a flaky exchange: budget, breaker, retries, in this order.

A call first waits for its share of the request budget and for a pause that the exchange asked for, then asks
the breaker, then is tried two or three times. Only a call that failed after its retries counts for the
breaker; being told to slow down never does.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

import anyio
from aiolimiter import AsyncLimiter
from pydantic import BaseModel, ConfigDict, Field
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt

from exchanges.breaker import BreakerState, CircuitBreaker
from market.errors import CircuitOpen, ExchangeError, ExchangeUnavailable, RateLimited
from market.ports import Clock

T = TypeVar("T")
Sleep = Callable[[float], Awaitable[None]]


class ResilienceSettings(BaseModel):
    """How patient the client is with one exchange."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tries: int = Field(3, ge=1, le=5, description="Attempts of a request that is safe to repeat.")
    first_wait_s: float = Field(
        0.5, gt=0, le=30, description="Wait before the second attempt, doubled after."
    )
    longest_wait_s: float = Field(30.0, gt=0, le=300, description="Longest wait inside one call, seconds.")
    breaker_failures: int = Field(3, ge=1, le=100, description="Failed calls in a row that open the circuit.")
    breaker_open_s: float = Field(1800.0, gt=0, description="Seconds until the circuit lets a probe through.")
    budget_weight: int = Field(
        1000,
        ge=20,
        description="Request weight within the period. Half of the exchange's own quota: a leaky bucket lets"
        " up to twice its size through in one period.",
    )
    budget_period_s: float = Field(30.0, gt=0, description="Period of the budget, seconds.")


class Observer(Protocol):
    """Hooks for metrics; must not block or raise."""

    def request_finished(self, exchange: str, endpoint: str, status: str, seconds: float) -> None:
        """Note one HTTP request: its path without values, HTTP status or `failed`, real seconds."""

    def breaker_changed(self, exchange: str, host: str, state: BreakerState) -> None:
        """Note that the circuit of a host changed."""


class SilentObserver:
    """Listens to nothing."""

    def request_finished(self, exchange: str, endpoint: str, status: str, seconds: float) -> None: ...

    def breaker_changed(self, exchange: str, host: str, state: BreakerState) -> None: ...


SILENT = SilentObserver()


class Resilience:
    """Carries calls to one exchange host through trouble.

    Args:
        exchange: Configured name.
        host: What the breaker is about.
        sleep: Waits real seconds; a test passes its own.
        seed: Of the jitter, so that several daemons do not retry in step.
    """

    def __init__(
        self,
        exchange: str,
        host: str,
        settings: ResilienceSettings,
        clock: Clock,
        observer: Observer = SILENT,
        *,
        sleep: Sleep = anyio.sleep,
        seed: int | str = 0,
    ) -> None:
        self._exchange, self._settings, self._clock, self._sleep = exchange, settings, clock, sleep
        self._jitter = random.Random(seed)  # noqa: S311 (spreads retries, guards nothing)
        self._limiter = AsyncLimiter(settings.budget_weight, settings.budget_period_s)
        self._paused_until = 0.0
        self._last_failure = ""
        self.breaker = CircuitBreaker(
            settings.breaker_failures,
            settings.breaker_open_s,
            clock.monotonic,
            lambda state: observer.breaker_changed(exchange, host, state),
        )

    async def call(
        self,
        request: str,
        attempt: Callable[[], Awaitable[T]],
        *,
        weight: int,
        repeatable: bool,
    ) -> T:
        """Return what `attempt` returns, tried again where that is safe.

        Args:
            request: Method and path, for messages.
            attempt: One request; raises the errors of `market.errors`.
            weight: Its share of the budget, for each attempt.
            repeatable: Whether asking twice does no harm.

        Raises:
            CircuitOpen: The host is left alone; nothing was asked.
            RateLimited: We are to wait longer than a call may last; perhaps nothing was asked.
            ExchangeError: What the last attempt ended with.
        """

        async def spaced_attempt() -> T:
            await self._wait_out_pause(request)
            await self._limiter.acquire(weight)
            try:
                return await attempt()
            except RateLimited as limited:
                if limited.own_quota:  # the quota is shared: every other request waits as well
                    self._pause(limited.retry_after_s)
                raise

        if not self.breaker.admits():
            raise CircuitOpen(self._exchange, request, self.breaker.retry_in_s, self._last_failure)
        tries = AsyncRetrying(
            sleep=self._sleep,
            stop=stop_after_attempt(self._settings.tries if repeatable else 1),
            wait=self._wait_s,
            retry=retry_if_exception(self._worth_repeating),
            reraise=True,
        )
        try:
            answer: T = await tries(spaced_attempt)
        except ExchangeUnavailable as error:
            self._last_failure = error.problem
            self.breaker.failed()
            raise
        except RateLimited:
            self.breaker.undecided()
            raise
        except ExchangeError:
            self.breaker.succeeded()  # a host that says no is alive
            raise
        except BaseException:
            self.breaker.undecided()
            raise
        self.breaker.succeeded()
        return answer

    def _pause(self, seconds: float) -> None:
        self._paused_until = max(self._paused_until, self._clock.monotonic() + seconds)

    async def _wait_out_pause(self, request: str) -> None:
        left_s = self._paused_until - self._clock.monotonic()
        if left_s > self._settings.longest_wait_s:
            raise RateLimited(self._exchange, request, left_s, own_quota=True)
        if left_s > 0:
            await self._sleep(left_s)

    def _worth_repeating(self, error: BaseException) -> bool:
        if isinstance(error, RateLimited):
            return error.retry_after_s <= self._settings.longest_wait_s
        return isinstance(error, ExchangeUnavailable)

    def _wait_s(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        backoff = self._settings.first_wait_s * 2.0 ** (state.attempt_number - 1)
        jittered = min(self._settings.longest_wait_s, backoff * self._jitter.uniform(0.5, 1.5))
        if isinstance(error, RateLimited):
            return jittered if error.own_quota else max(jittered, error.retry_after_s)
        return jittered
