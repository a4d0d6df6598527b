"""KuCoin's envelope and what each of its codes means for the caller.

Success is the code "200000" alone: an error may come with HTTP 200, and a page of HTML with any status.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from math import isfinite
from typing import Any

import orjson

from exchanges.http import Answer
from market.errors import (
    AnswerMalformed,
    ClockRefused,
    ExchangeError,
    ExchangeRefused,
    ExchangeUnavailable,
    RateLimited,
    RequestRefused,
)

SUCCESS = "200000"
QUOTA_WINDOW_S = 30
_LONGEST_TOLD_S = 3600.0
_OVERLOAD_WAIT_S = 1.0
_CLOUDFLARE_BLOCK_S = 30.0
_ENDPOINT_BLOCK_S = 10.0

_SERVER_TROUBLE = frozenset({"500000", "230005"})
KEY_REFUSED = frozenset({"411100", *(f"4000{n:02}" for n in range(1, 11))})


def unwrapped(exchange: str, request: str, answer: Answer) -> Any:
    """Return the envelope's data.

    Raises:
        ExchangeError: The subclass that says what to do next.
    """
    try:
        envelope = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        raise _without_json(exchange, request, answer) from None
    code = envelope.get("code") if isinstance(envelope, dict) else None
    if not isinstance(code, str):
        if answer.status >= 500:
            raise ExchangeUnavailable(exchange, request, f"HTTP {answer.status}")
        raise AnswerMalformed(exchange, request, f"no KuCoin envelope: {answer.opening}")
    if code == SUCCESS and answer.status == 200:
        if "data" not in envelope:
            raise AnswerMalformed(exchange, request, f"envelope without data: {answer.opening}")
        return envelope["data"]
    message = str(envelope.get("msg", ""))[:200]
    raise _by_code(exchange, request, answer, code, message)


def _by_code(exchange: str, request: str, answer: Answer, code: str, message: str) -> ExchangeError:
    blocked_s = _CLOUDFLARE_BLOCK_S if code == "1015" else _ENDPOINT_BLOCK_S
    if code == "1015" or (code == "200002" and "limit" in message.lower()):
        return RateLimited(exchange, request, blocked_s, own_quota=True, code=code)
    if code == "429000" or answer.status == 429:
        return _limited(exchange, request, answer, code)
    if code == "400002":
        return ClockRefused(exchange, request, message, code)
    kind: type[ExchangeError] = RequestRefused
    if answer.status >= 500 or code in _SERVER_TROUBLE:
        kind = ExchangeUnavailable
    elif code in KEY_REFUSED or code.startswith("4003"):
        kind = ExchangeRefused
    return kind(exchange, request, f"HTTP {answer.status}: {message}", code)


def _without_json(exchange: str, request: str, answer: Answer) -> ExchangeError:
    text = answer.body[:20_000].decode("utf-8", errors="replace")
    if answer.status != 200 and "1015" in text:
        return RateLimited(exchange, request, _CLOUDFLARE_BLOCK_S, own_quota=True, code="1015")
    if answer.status == 429:
        return _limited(exchange, request, answer, None)
    if answer.status == 200:
        return AnswerMalformed(exchange, request, f"not JSON: {answer.opening}")
    return ExchangeUnavailable(exchange, request, f"HTTP {answer.status} without JSON: {answer.opening}")


def _limited(exchange: str, request: str, answer: Answer, code: str | None) -> RateLimited:
    own_quota = "gw-ratelimit-reset" in answer.headers
    told = [
        quota_reset_s(answer.headers.get("gw-ratelimit-reset")),
        retry_after_s(answer.headers, answer.sent_at),
    ]
    waits = [seconds for seconds in told if seconds is not None]
    wait_s = max(waits) if waits else float(QUOTA_WINDOW_S) if own_quota else _OVERLOAD_WAIT_S
    return RateLimited(exchange, request, wait_s, own_quota=own_quota, code=code)


def quota_reset_s(text: str | None) -> float | None:
    """Return the seconds that `gw-ratelimit-reset` means, None without a usable value.

    It is documented in milliseconds, yet clients differ about it. A quota window lasts 30 s, so a value above
    30 can only be milliseconds; up to 30 it is read as seconds, for a wait too long costs less than a second
    refusal.
    """
    try:
        value = float(text) if text is not None else -1.0
    except ValueError:
        return None
    if not isfinite(value) or value < 0:
        return None
    return min(value / 1000 if value > QUOTA_WINDOW_S else value, _LONGEST_TOLD_S)


def retry_after_s(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return the seconds that `Retry-After` asks for (a number or an HTTP date), None without one."""
    text = headers.get("retry-after")
    if text is None:
        return None
    if text.strip().isdigit():
        return min(float(text), _LONGEST_TOLD_S)
    try:
        seconds = (parsedate_to_datetime(text) - now).total_seconds()
    except (ValueError, TypeError):
        return None
    return min(max(0.0, seconds), _LONGEST_TOLD_S)
