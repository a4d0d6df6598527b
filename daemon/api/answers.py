"""Whole answers by their ETag, as many as fit; and what is known for a moment."""

from __future__ import annotations

import zlib
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Generic, TypeVar

T = TypeVar("T")
WORTH_BYTES = 600  # a shorter body gains nothing by compression
_LEVEL = 1


@dataclass(slots=True)
class Answer:
    """One answer.

    Attributes:
        etag: Without quotes; None for one that cannot be named, which is never kept.
        body: JSON.
        zipped: The same by gzip; None until asked for.
        counted: Bytes that the cache counts for it.
    """

    etag: str | None
    body: bytes
    zipped: bytes | None = None
    counted: int = 0

    def zip(self) -> bytes:
        """Return the body by gzip."""
        if self.zipped is None:
            made = zlib.compressobj(_LEVEL, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
            self.zipped = made.compress(self.body) + made.flush()
        return self.zipped


def etag_of(*told: object) -> str:
    """Return a name for what `told` says."""
    return blake2b(repr(told).encode(), digest_size=12).hexdigest()


def etag_of_bytes(body: bytes) -> str:
    return blake2b(body, digest_size=12).hexdigest()


class AnswerCache:
    """Answers by ETag, those used last, of at most so many bytes; on the loop only."""

    def __init__(self, most_bytes: int) -> None:
        self._most, self._bytes = most_bytes, 0
        self._held: OrderedDict[str, Answer] = OrderedDict()

    def get(self, etag: str | None) -> Answer | None:
        """Return the answer of this name."""
        if etag is None or (found := self._held.get(etag)) is None:
            return None
        self._held.move_to_end(etag)
        return found

    def keep(self, answer: Answer) -> None:
        """Keep an answer, and count it anew where it grew by its compressed body."""
        if answer.etag is None:
            return
        before = self._held.pop(answer.etag, None)
        self._bytes -= 0 if before is None else before.counted
        answer.counted = len(answer.body) + len(answer.zipped or b"")
        if answer.counted > self._most // 4:
            return
        self._held[answer.etag] = answer
        self._bytes += answer.counted
        while self._bytes > self._most:
            _, oldest = self._held.popitem(last=False)
            self._bytes -= oldest.counted

    @property
    def bytes(self) -> int:
        """What the kept answers take."""
        return self._bytes


class Moments(Generic[T]):
    """What was found out a moment ago, by name, and is good for that moment; at most so many names.

    Args:
        monotonic: Real seconds.
        seconds: How long it is good.
        epoch: A number that changes whenever all of it is not good any more.
        most: Names kept.
    """

    def __init__(
        self, monotonic: Callable[[], float], seconds: float, epoch: Callable[[], int], most: int
    ) -> None:
        self._monotonic, self._seconds, self._epoch, self._most = monotonic, seconds, epoch, most
        self._held: OrderedDict[Hashable, tuple[T, float, int]] = OrderedDict()

    def get(self, name: Hashable) -> T | None:
        """Return what is known, None where it has to be found out anew."""
        value, until, epoch = self._held.get(name, (None, 0.0, 0))
        return value if value is not None and epoch == self._epoch() and self._monotonic() < until else None

    def keep(self, name: Hashable, value: T, asked_at: float, epoch: int) -> None:
        """Keep what was found out; it is as old as the asking, not as the answer."""
        self._held[name] = (value, asked_at + self._seconds, epoch)
        self._held.move_to_end(name)
        if len(self._held) > self._most:
            self._held.popitem(last=False)
