"""The form on a page by which advice is answered: where it may come from, and what it says."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from aiohttp import web

from daemon.api.actions import ActionBody, checked_body
from daemon.api.problems import Problem

FORM = "application/x-www-form-urlencoded"
TOKEN = "token"  # noqa: S105 the field's name
_FOREIGN = "the form was not sent from this page; open the decision here and answer it there"


async def sent_form(request: web.Request) -> dict[str, str]:
    """Return the fields of a form that a browser sent from one of our own pages.

    The token is what proves who answers; this keeps other pages from using a browser to guess at it.

    Raises:
        Problem: 403 from elsewhere, 415 for anything but a plain form, 400 for a repeated field
            or what is no text.
    """
    if not _is_ours(request):
        raise Problem(403, _FOREIGN)
    if request.content_type != FORM:
        raise Problem(415, f"expected Content-Type: {FORM}")
    try:
        fields = await request.post()
    except (LookupError, UnicodeError):  # a character set that is none, bytes that are not of it
        raise Problem(400, "the form is not UTF-8 text") from None
    if len(fields) != len(set(fields)):
        raise Problem(400, "a field of the form stands there twice")
    return {name: str(value) for name, value in fields.items()}


def _is_ours(request: web.Request) -> bool:
    """Say whether the browser tells that the form was on our own page.

    Where it tells so by Sec-Fetch-Site (TLS and loopback) that decides, else the origin has to be the host
    that was asked; the scheme may differ, as an ingress ends TLS.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site == "same-origin"
    origin = urlsplit(request.headers.get("Origin", ""))
    return origin.scheme in {"http", "https"} and origin.netloc == request.host


def body_of(fields: Mapping[str, str]) -> ActionBody:
    """Return what the form says, as a request to the API says it; an empty field says nothing.

    Raises:
        Problem: 400 that names the first field at fault.
    """
    told: dict[str, object] = {
        name: value.strip().replace("\r\n", "\n")
        for name, value in fields.items()
        if name != TOKEN and value.strip()
    }
    if "late" in told:
        told["late"] = True  # a box sends something where it is ticked, nothing where it is not
    return checked_body(told)
