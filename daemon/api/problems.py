"""What went wrong, told as RFC 9457 has it: a kind, a status, the parameter; never the program's insides."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

import orjson
from aiohttp import web

PROBLEM_JSON = "application/problem+json"
SECURE = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}
_SHOWN = 80
_HALF_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_KINDS = {
    400: ("bad-request", "the request is not understood"),
    401: ("unauthorised", "a bearer token is needed"),
    404: ("not-found", "there is nothing here"),
    405: ("method-not-allowed", "this address does not know the method"),
    409: ("conflict", "it cannot be done so"),
    413: ("too-large", "the request is too large"),
    415: ("not-json", "the body has to be JSON"),
    417: ("expectation-failed", "the expectation is not known"),
    421: ("misdirected", "this program does not go by that name"),
    429: ("too-many-requests", "too many requests"),
    500: ("internal", "something went wrong here"),
    503: ("busy", "too much is asked at the moment"),
}


class Problem(Exception):
    """Raised when a request cannot be answered as asked.

    Args:
        status: HTTP status.
        detail: What was found and what would be right.
        parameter: The name of the one at fault.
        found: What it was, as it came.
        expected: What it may be.
        headers: Besides, `Retry-After` for one.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        parameter: str | None = None,
        found: str | None = None,
        expected: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        self.status, self.detail, self.headers = status, detail, headers or {}
        self.parameter = None
        if parameter is not None:
            self.parameter = {"name": shown(parameter), "found": None if found is None else shown(found)}
            self.parameter["expected"] = expected
        super().__init__(detail)

    @classmethod
    def of_parameter(cls, name: str, found: str | None, expected: str, status: int = 400) -> Problem:
        """Return the problem of one parameter; `found` is None where it is missing."""
        what = "is missing" if found is None else f"is {shown(found)!r}"
        return cls(
            status,
            f"{shown(name)} {what}; expected {expected}",
            parameter=name,
            found=found,
            expected=expected,
        )

    def body(self, path: str) -> dict[str, Any]:
        """Return the document; `path` is where it happened."""
        kind, title = _KINDS[self.status]
        told: dict[str, Any] = {
            "type": f"urn:regimed:problem:{kind}",
            "title": title,
            "status": self.status,
            "detail": self.detail,
            "instance": _reference(path),
        }
        return told if self.parameter is None else {**told, "parameter": self.parameter}

    def response(self, path: str) -> web.Response:
        """Return it as an answer."""
        return web.Response(
            body=orjson.dumps(self.body(path)),
            status=self.status,
            content_type=PROBLEM_JSON,
            headers={"Cache-Control": "no-store", **SECURE, **self.headers},
        )


def _reference(path: str) -> str:
    """Return a path cut short, still a reference: no escape is left half."""
    return quote(_HALF_ESCAPE.sub("%25", path[:200]), safe="/%-._~", errors="replace")


def shown(text: str) -> str:
    """Return a stranger's text cut short, with nothing in it that is not a visible character."""
    cut = text[:_SHOWN] + ("…" if len(text) > _SHOWN else "")
    return "".join(letter if letter.isprintable() else f"\\x{ord(letter):02x}" for letter in cut)


def problem_of(error: web.HTTPException) -> Problem:
    """Return what aiohttp refused as a problem; its own words stay out, `Allow` goes along."""
    status = error.status if error.status in _KINDS else 400
    headers = {name: error.headers[name] for name in ("Allow",) if name in error.headers}
    return Problem(status, f"{_KINDS[status][1]}; /openapi.json describes what there is", headers=headers)
