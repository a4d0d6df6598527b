"""The durable outbox: a notice is on disk before anyone tries to send it, and stays until it was taken.

Where the disk takes nothing it is sent from memory all the same, and `not_durable` says so.

Delivery is at least once for each channel, each at its own pace: one that is dead or slow holds up no other.
Notices of one grid leave in order; between grids the loudest goes first.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import anyio
import anyio.to_thread
import structlog

from market.errors import NotifyFailed, NotifyRefused
from market.failpoints import reach
from market.ports import Clock
from notifications.manner import as_told
from notifications.notice import Channel, Notice
from notifications.settings import QuietHours
from notifications.shelf import Shelf, Waiting

_log = structlog.get_logger("outbox")
RETRY_S = (5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
LONGEST_SEND_S = 60.0


@dataclass
class ChannelState:
    """How a channel does.

    Attributes:
        trouble: Why the last notice did not get through; None after one that did.
        failing_since: When the first of the failures in a row was; None while there is none.
        refused_since: When the first refusal since the last success was; None while there is none.
        failed_at: When the last failure was; None after a success.
        not_before: When it is tried again; None for at once.
        sent_at: When a notice last got through.
    """

    name: str
    trouble: str | None = None
    failing_since: datetime | None = None
    refused_since: datetime | None = None
    failures: int = 0
    failed_at: datetime | None = None
    not_before: datetime | None = None
    sent_at: datetime | None = None

    @property
    def nothing_since(self) -> datetime | None:
        """Return since when nothing gets through, failed or refused; None where something does."""
        return min((at for at in (self.failing_since, self.refused_since) if at is not None), default=None)


class Outbox:
    """Notices on their way to every channel.

    Args:
        folder: Kept across restarts; not disposable.
        channels: Where each notice goes.
        clock: For patience with a channel, and to say how late a notice is.
        quiet: The operator's quiet hours.
    """

    def __init__(
        self, folder: Path, channels: Sequence[Channel], clock: Clock, quiet: QuietHours | None = None
    ) -> None:
        self._senders = {channel.name: channel for channel in channels}
        self._clock, self._quiet = clock, quiet
        # For writers, in worker threads, over their fsyncs. The event loop never waits for it: it reads
        # copies, and `list(...)` is one step to the interpreter.
        self._lock = threading.Lock()
        self.channels: Mapping[str, ChannelState] = {name: ChannelState(name) for name in self._senders}
        self.outcomes: dict[tuple[str, str], int] = {}
        self._shelf = Shelf(folder)
        for entry in list(self._shelf.waiting):
            for gone in set(entry.left) - set(self._senders):  # no longer configured
                words = _words(entry.notice)
                _log.warning("not told by a channel that was taken away", channel=gone, **words)
                self._shelf.took(entry, gone)

    @property
    def waiting(self) -> int:
        """Return how many notices are not yet with every channel."""
        return len(self._shelf.waiting)

    @property
    def not_durable(self) -> int:
        """Return how many notices stand in memory only, or are further than the disk knows."""
        return self._shelf.not_durable

    @property
    def damaged(self) -> list[str]:
        """Return the names of files whose notice could not be read, as long as they lie there."""
        return self._shelf.damaged

    def waiting_for(self, name: str) -> int:
        """Return how many notices a channel has still to take."""
        return sum(name in entry.left for entry in list(self._shelf.waiting))

    def knows(self, dedupe: str) -> bool:
        """Say whether a notice of this name is on its way or was told already."""
        return self._shelf.knows(dedupe)

    def enqueue(self, notice: Notice) -> bool:
        """Make `notice` durable; returns False when it is on its way or was told already.

        A disk that takes nothing raises nothing: the notice is sent from memory (`not_durable`).
        """
        reach("notify.before_enqueue")
        with self._lock:
            if self._shelf.knows(notice.dedupe):
                return False
            self._shelf.put(notice, self._clock.now(), list(self._senders))
        reach("notify.after_enqueue")
        return True

    async def deliver(self) -> int:
        """Send what waits through every channel that may be tried; returns how many are still waiting."""
        async with anyio.create_task_group() as group:
            for name in self._senders:
                group.start_soon(self.deliver_to, name)
        return self.waiting

    async def deliver_to(self, name: str) -> float:
        """Send what waits for one channel until all is taken or it fails.

        Returns:
            Seconds after which it is worth trying again; infinity when nothing waits.
        """
        if self.not_durable:
            await anyio.to_thread.run_sync(self._settle)
        state = self.channels[name]
        while (entry := self._next_for(name)) is not None:
            if (wait := self._patience_s(state)) > 0:
                return wait
            if not await self._sent(self._senders[name], state, entry):
                return self._patience_s(state)
        return float("inf")

    def _next_for(self, name: str) -> Waiting | None:
        """Return the oldest notice of the lane that holds the loudest; lanes are grids."""
        loudest: dict[str, int] = {}
        heads: dict[str, Waiting] = {}
        for entry in list(self._shelf.waiting):
            if name not in entry.left:
                continue
            lane = _lane(entry)
            heads.setdefault(lane, entry)
            loudest[lane] = max(loudest.get(lane, 0), entry.notice.level.rank)
        # Of equally loud lanes the one whose head waits longest: dicts keep the order of arrival.
        return max(heads.items(), key=lambda lane: loudest[lane[0]])[1] if heads else None

    def _patience_s(self, state: ChannelState) -> float:
        now = self._clock.now()
        if state.not_before is None or state.failed_at is None or now < state.failed_at:
            return 0.0  # nothing failed, or the clock was set back: an old deadline means nothing
        return max((state.not_before - now).total_seconds(), 0.0)

    async def _sent(self, channel: Channel, state: ChannelState, entry: Waiting) -> bool:
        """Try to send one notice; True where the channel is through with it."""
        overtaken = self._is_overtaken(entry, channel.name)
        told = as_told(entry.notice, entry.put_at, self._clock.now(), overtaken=overtaken, quiet=self._quiet)
        reach("notify.before_send")
        try:
            with anyio.fail_after(LONGEST_SEND_S):
                await channel.send(told)
        except NotifyRefused as error:
            self._refused(state, told, str(error))
        except NotifyFailed as error:
            self._failed(state, told, str(error), error.wait_s)
            return False
        except TimeoutError:
            self._failed(state, told, f"no answer within {LONGEST_SEND_S:g} s", None)
            return False
        except Exception as error:  # noqa: BLE001 a channel's surprise must not lose a notice
            self._failed(
                state, told, f"unexpected {type(error).__name__}", None
            )  # its text may hold a secret
            return False
        else:
            self._through(state)
        await anyio.to_thread.run_sync(self._took, entry, channel.name)
        return True

    def _is_overtaken(self, entry: Waiting, name: str) -> bool:
        grid_id = entry.notice.grid_id
        if not grid_id:
            return False
        mine = [
            other
            for other in list(self._shelf.waiting)
            if other.notice.grid_id == grid_id and name in other.left
        ]
        return mine[-1] is not entry

    def _failed(self, state: ChannelState, notice: Notice, problem: str, wait_s: float | None) -> None:
        now = self._clock.now()
        state.failures, state.failed_at = state.failures + 1, now
        patience = RETRY_S[min(state.failures, len(RETRY_S)) - 1]
        state.not_before = now + timedelta(seconds=max(wait_s or 0.0, patience))
        state.trouble = problem
        self._count(state.name, "failed")
        if state.failing_since is None:
            state.failing_since = now
            _log.warning(
                "notice not taken, kept for later", channel=state.name, error=problem, **_words(notice)
            )

    def _refused(self, state: ChannelState, notice: Notice, problem: str) -> None:
        state.trouble = f"refused: {problem}"
        if state.refused_since is None:
            state.refused_since = self._clock.now()
        self._count(state.name, "refused")
        _log.warning("notice refused, not sent again", channel=state.name, error=problem, **_words(notice))

    def _through(self, state: ChannelState) -> None:
        if state.failing_since is not None:
            _log.info("channel recovered", channel=state.name, failures=state.failures)
        state.trouble, state.failing_since, state.refused_since = None, None, None
        state.failures, state.failed_at, state.not_before = 0, None, None
        state.sent_at = self._clock.now()
        self._count(state.name, "sent")
        reach("notify.after_send")

    def _took(self, entry: Waiting, name: str) -> None:
        with self._lock:
            self._shelf.took(entry, name)

    def _settle(self) -> None:
        with self._lock:
            self._shelf.settle()

    def _count(self, channel: str, outcome: str) -> None:
        self.outcomes[channel, outcome] = self.outcomes.get((channel, outcome), 0) + 1


def _lane(entry: Waiting) -> str:
    return entry.notice.grid_id or f"/{entry.notice.market}"


def _words(notice: Notice) -> dict[str, str]:
    """Return what the log has to say when a channel does not take a notice."""
    return {"title": notice.title, "body": notice.body, "level_told": notice.level.value}
