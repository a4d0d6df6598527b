"""Where the next page begins, as an opaque text: a place among keys, never a count of rows.

It names the question that it belongs to and is checked against it, so that a cursor of another list, or one
with a letter changed, is refused and not taken for a place. It holds no secret and grants nothing: the place
could as well be asked for by `start`; so it stays good over restarts and between several daemons.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import blake2b

from daemon.api.parameters import CURSOR
from daemon.api.problems import Problem

_CHECK = 9


def cursor_at(question: str, place: str) -> str:
    """Return the cursor of a place in the answers to a question."""
    return _text(_check(question, place) + place.encode())


def place_of(question: str, cursor: str) -> str:
    """Return the place that a cursor of this question names; raises Problem for any other text."""
    try:
        raw = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        place = raw[_CHECK:].decode()
        if raw[:_CHECK] == _check(question, place) and _text(raw) == cursor:
            return place
    except ValueError:
        pass
    raise Problem.of_parameter("cursor", cursor, f"{CURSOR.expected}, with the same filters")


def _check(question: str, place: str) -> bytes:
    return blake2b(f"{question}\0{place}".encode(), digest_size=_CHECK, person=b"regimed-cursor").digest()


def _text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).decode().rstrip("=")
