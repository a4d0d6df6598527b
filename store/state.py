"""What the store tells of itself: where a change-set went, how a push ended, how it all does."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from store.reader import CacheCounts
from store.remote import Counts
from store.writer import Recovery


@dataclass(frozen=True, slots=True)
class Recorded:
    """A change-set in the history: its commit, and the path that names it."""

    commit: str
    path: str


@dataclass(frozen=True, slots=True)
class PushOutcome:
    """What a push brought about."""

    pushed: int
    merged: bool
    refused: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class StoreState:
    """How the store does; ages are for the caller to compute from the instants.

    Attributes:
        last_commit_error: Why nothing new enters the history: files that cannot be written, or Git.
    """

    queue_depth: int
    uncommitted: int
    unpushed: int
    oldest_unpushed: datetime | None
    commits: int
    last_push_error: str | None
    refused_from_outside: Mapping[str, str]
    quarantined: tuple[str, ...]
    last_commit_error: str | None
    cache: CacheCounts
    counts: Counts
    maintained_at: datetime | None
    children: int
    recovery: Recovery
    restored: int
    stale_locks: tuple[str, ...]


@dataclass(slots=True)
class Progress:
    """What the store counts while it works."""

    waiting: int = 0
    commits: int = 0
    unpushed: deque[int] = field(default_factory=deque)
    last_push_error: str | None = None
    last_write_error: str | None = None
    last_commit_error: str | None = None
    refused: dict[str, str] = field(default_factory=dict)
    quarantined: deque[str] = field(default_factory=lambda: deque(maxlen=100))
    counts: Counts = field(default_factory=lambda: Counts(0, 0, 0))
    maintained_at: datetime | None = None
    recovery: Recovery = field(default_factory=Recovery)
    restored: int = 0
    stale_locks: tuple[str, ...] = ()


class Observer:
    """Small hooks for metrics and logs; every method may be overridden, none has to be."""

    def committed(self, commits: int, seconds: float) -> None:
        """So many commits were made in so many seconds."""

    def quarantined(self, path: str, reason: str) -> None:
        """A corrupt file went to quarantine."""

    def restored(self, path: str, reason: str) -> None:
        """A damaged file got the bytes back that the history holds."""

    def set_aside(self, path: str, reason: str) -> None:
        """An intent cannot be read: its files are what the disk and the history say."""

    def cloning(self, remote: str, timeout_s: float) -> None:
        """There is no repository yet, and the remote is asked for its history."""

    def pushed(self, commits: int, seconds: float) -> None:
        """So many commits reached the remote."""
