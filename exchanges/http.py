"""The one module that speaks HTTP to an exchange; httpx and its exceptions stay in here.

Every request has a deadline for the whole answer (a server that drips bytes meets it too) and a bound on the
body. What goes wrong leaves as `ExchangeUnavailable` or `AnswerMalformed`, never with a header in its text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

import anyio
import httpx
from pydantic import BaseModel, ConfigDict, Field

from market.errors import AnswerMalformed, ExchangeUnavailable
from market.ports import Clock

Transport: TypeAlias = httpx.AsyncBaseTransport


class HttpSettings(BaseModel):
    """Deadlines and bounds of one exchange's connections."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    connect_timeout_s: float = Field(5.0, gt=0, le=60, description="Longest wait for a connection, seconds.")
    deadline_s: float = Field(10.0, gt=0, le=120, description="Longest wait for a whole answer, seconds.")
    max_connections: int = Field(8, ge=1, le=100, description="Open connections at once.")
    max_body_bytes: int = Field(4_000_000, ge=1_000, description="Largest answer that is read, bytes.")


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, whole.

    Attributes:
        headers: Names in lower case.
        sent_at: Our clock when the request went out.
        seconds: Real seconds until the last byte was here.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    sent_at: datetime
    seconds: float

    @property
    def opening(self) -> str:
        """Return the first 200 characters of the body, printable."""
        text = self.body[:800].decode("utf-8", errors="replace")[:200]
        return "".join(c if c.isprintable() else " " for c in text)


class HttpClient:
    """Bounded GET requests to one host.

    Args:
        exchange: Configured name, for messages.
        base_url: Scheme, host and port.
        transport: Replaces the network in a test.
    """

    def __init__(
        self,
        exchange: str,
        base_url: str,
        settings: HttpSettings,
        clock: Clock,
        transport: Transport | None = None,
    ) -> None:
        self._exchange, self._settings, self._clock = exchange, settings, clock
        self._client = httpx.AsyncClient(
            base_url=base_url,
            timeout=httpx.Timeout(settings.deadline_s, connect=settings.connect_timeout_s),
            limits=httpx.Limits(max_connections=settings.max_connections),
            # Compressed bodies could unpack to far more than the bound before it is seen.
            headers={"User-Agent": "regimed", "Accept": "application/json", "Accept-Encoding": "identity"},
            follow_redirects=False,
            trust_env=False,
            transport=transport,
        )

    @property
    def host(self) -> str:
        return self._client.base_url.netloc.decode("ascii")

    async def get(self, path: str, query: str = "", headers: Mapping[str, str] | None = None) -> Answer:
        """Return the answer to one GET request; any HTTP status is an answer.

        Args:
            path: Path below the base address.
            query: Encoded query without `?`.
            headers: Added to the usual ones; never shown.

        Raises:
            ExchangeUnavailable: Transport error, or no whole answer within the deadline.
            AnswerMalformed: The body is larger than the bound.
        """
        request = f"GET {path}"
        sent_at, started = self._clock.now(), self._clock.monotonic()
        try:
            with anyio.fail_after(self._settings.deadline_s):
                async with self._client.stream(
                    "GET", f"{path}?{query}" if query else path, headers=dict(headers or {})
                ) as response:
                    body = await self._bounded_body(request, response)
        except (TimeoutError, httpx.TimeoutException):
            raise ExchangeUnavailable(
                self._exchange, request, f"no whole answer within {self._settings.deadline_s:g} s"
            ) from None
        # Neither the text nor the chain of a protocol error may leave: h11 quotes header values in it.
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            problem = str(error) if isinstance(error, httpx.NetworkError) else ""
            shown = f"{type(error).__name__}: {problem}" if problem else type(error).__name__
            raise ExchangeUnavailable(self._exchange, request, shown) from None
        seconds = self._clock.monotonic() - started
        return Answer(response.status_code, dict(response.headers), body, sent_at, seconds)

    async def _bounded_body(self, request: str, response: httpx.Response) -> bytes:
        """Return the body, as soon as nothing in it can be larger than the bound; none of it is unpacked."""
        bound = self._settings.max_body_bytes
        packing = response.headers.get("Content-Encoding", "identity").strip().lower()
        if packing != "identity":
            problem = f"answer is packed ({packing:.20}), expected plain JSON of at most {bound} bytes"
            raise AnswerMalformed(self._exchange, request, problem)
        told = response.headers.get("Content-Length", "")
        if told.isdecimal() and float(told) > bound:
            problem = f"answer is larger than {bound} bytes: it says {told:.20} bytes"
            raise AnswerMalformed(self._exchange, request, problem)
        body = bytearray()
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > bound:
                problem = f"answer is larger than {bound} bytes: {len(body)} came and it goes on"
                raise AnswerMalformed(self._exchange, request, problem)
        return bytes(body)

    async def aclose(self) -> None:
        await self._client.aclose()
