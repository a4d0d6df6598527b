"""Scheme, host and port of something that is spoken to: the only part of an address that a setting holds."""

from __future__ import annotations

from urllib.parse import urlsplit


def checked_origin(value: str) -> str:
    """Return `https://host:port` of an address that is nothing more.

    Raises:
        ValueError: Another scheme, no host, a credential, or a path; says what was expected.
    """
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("expected http:// or https:// and a host")
    if parts.username or parts.password:
        raise ValueError("credentials do not belong into an address")
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError("expected scheme, host and port only")
    return f"{parts.scheme}://{parts.netloc}"
