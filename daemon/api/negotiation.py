"""What a client takes and what it has already: Accept-Encoding and If-None-Match as RFC 9110 has them."""

from __future__ import annotations

import re
from functools import lru_cache

_TAG = re.compile(r'\s*(?:W/)?"([!#-~\x80-\xff]*)"\s*')
GZIP_MARK = "-gz"


@lru_cache(maxsize=256)
def takes_gzip(header: str) -> bool:
    """Say whether gzip may be sent: named, or allowed by `*`, and with more than q=0."""
    weights: dict[str, float] = {}
    for part in header.lower().split(","):
        coding, *others = (piece.strip() for piece in part.split(";"))
        weight = 1.0
        for other in others:
            name, _, value = other.partition("=")
            if name.strip() == "q":
                try:
                    weight = float(value)
                except ValueError:
                    weight = 0.0
        weights[coding] = weight
    return weights.get("gzip", weights.get("x-gzip", weights.get("*", 0.0))) > 0


@lru_cache(maxsize=4096)
def tags_of(header: str) -> frozenset[str] | None:
    """Return the tags of an If-None-Match, without the mark of gzip; None for `*`; none where malformed."""
    if header.strip() == "*":
        return None
    found, place = [], 0
    while place < len(header):
        tag = _TAG.match(header, place)
        if tag is None:
            return frozenset()
        found.append(tag[1].removesuffix(GZIP_MARK))
        place = tag.end()
        if place < len(header):
            if header[place] != ",":
                return frozenset()
            place += 1
    return frozenset(found)


def unchanged(header: str | None, etag: str | None) -> bool:
    """Say whether the client has the answer of this tag already."""
    if header is None or etag is None:
        return False
    tags = tags_of(header)
    return tags is None or etag in tags
