"""The one module that speaks HTTP to whoever is told; httpx and its exceptions stay in here.

Every request has a deadline for the whole answer and a bound on the body. No header, address, path or query
leaves in an exception or a log line: a webhook's address is itself a secret, so only the channel is named.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, TypeAlias

import anyio
import httpx

from market.errors import NotifyFailed
from notifications.discreet import discreet

Transport: TypeAlias = httpx.AsyncBaseTransport
_MOST_BODY_BYTES = 100_000
_CONNECT_WITHIN_S = 5.0


class Unanswered(NotifyFailed):
    """Raised when no whole answer came: the request may have been taken all the same."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, whole.

    Attributes:
        headers: Names in lower case.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


class HttpClient:
    """Bounded requests to one receiver.

    Args:
        channel: Its name, all that a message says of it.
        deadline_s: Longest wait for a whole answer, seconds.
        max_connections: Open connections at once; they are kept alive.
        transport: Replaces the network in a test.
    """

    def __init__(
        self, channel: str, deadline_s: float, *, max_connections: int = 2, transport: Transport | None = None
    ) -> None:
        self._channel, self._deadline_s = channel, deadline_s
        self._client = httpx.AsyncClient(
            timeout=httpx.Timeout(deadline_s, connect=min(_CONNECT_WITHIN_S, deadline_s / 2)),
            limits=httpx.Limits(max_connections=max_connections, max_keepalive_connections=max_connections),
            # Compressed bodies could unpack to far more than the bound before it is seen.
            headers={"User-Agent": "regimed", "Accept": "application/json", "Accept-Encoding": "identity"},
            follow_redirects=False,
            trust_env=False,
            transport=transport,
        )

    async def get(self, address: str, query: Mapping[str, str] | None = None) -> Answer:
        """Return the answer to a GET; any HTTP status is an answer.

        Raises:
            NotifyFailed: No connection, or an address that cannot be used.
            Unanswered: Connected, but no whole answer within the deadline and the bound.
        """
        return await self._ask("GET", address, params=query)

    async def post_form(
        self, address: str, form: Mapping[str, str], deadline_s: float | None = None
    ) -> Answer:
        """Return the answer to a POST of form fields; raises as `get` does."""
        return await self._ask("POST", address, deadline_s, data=dict(form))

    async def post_json(self, address: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Return the answer to a POST of bytes that are JSON; raises as `get` does."""
        told = {"Content-Type": "application/json", **headers}
        return await self._ask("POST", address, content=body, headers=told)

    async def _ask(
        self, method: str, address: str, deadline_s: float | None = None, **content: Any
    ) -> Answer:
        deadline_s = self._deadline_s if deadline_s is None else min(deadline_s, self._deadline_s)
        try:
            with discreet(), anyio.fail_after(deadline_s):
                async with self._client.stream(method, address, **content) as response:
                    body = await self._bounded_body(response)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise NotifyFailed(f"{self._channel}: no connection ({type(error).__name__})") from None
        except (TimeoutError, httpx.TimeoutException):
            raise Unanswered(f"{self._channel}: no whole answer within {deadline_s:g} s") from None
        # Neither the text nor the chain of an error may leave: both can quote the request.
        except (httpx.HTTPError, httpx.StreamError) as error:
            raise Unanswered(f"{self._channel}: {type(error).__name__}") from None
        except httpx.InvalidURL:
            raise NotifyFailed(f"{self._channel}: its address cannot be used") from None
        return Answer(response.status_code, dict(response.headers), body)

    async def _bounded_body(self, response: httpx.Response) -> bytes:
        """Return the body, as soon as nothing in it can be larger than the bound; none of it is unpacked."""
        larger = f"{self._channel}: answer is larger than {_MOST_BODY_BYTES} bytes"
        packing = response.headers.get("Content-Encoding", "identity").strip().lower()
        if packing != "identity":
            expected = f"expected at most {_MOST_BODY_BYTES} plain bytes"
            raise Unanswered(f"{self._channel}: answer is packed ({packing:.20}), {expected}")
        told = response.headers.get("Content-Length", "")
        if told.isdecimal() and float(told) > _MOST_BODY_BYTES:
            raise Unanswered(f"{larger}: it says {told:.20} bytes")
        body = bytearray()
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > _MOST_BODY_BYTES:
                raise Unanswered(f"{larger}: {len(body)} came and it goes on")
        return bytes(body)

    async def aclose(self) -> None:
        await self._client.aclose()


def is_private_address(text: str) -> bool:
    """Say whether `text` is an address that nobody on the way can read: https, or http to this machine."""
    try:
        address = httpx.URL(text)
    except httpx.InvalidURL:
        return False
    if not address.host or address.scheme not in {"http", "https"}:
        return False
    if address.scheme == "https" or address.host == "localhost":
        return True
    try:
        return ip_address(address.host).is_loopback
    except ValueError:
        return False
