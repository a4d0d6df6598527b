"""The durable outbox: a notice is on disk before anyone tries to send it, and stays until it was taken.

Delivery is at least once for each channel. A file a notice (`{n}-{dedupe}.json`), a line a delivery in
`told.jsonl`: what stands there is never told again.
"""

from __future__ import annotations

import hashlib
import os
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio.to_thread
import orjson
import structlog

from market.errors import NotifyFailed
from market.failpoints import reach
from market.hours import instant_iso, parse_instant
from notifications.durable import write_durably
from notifications.notice import Channel, Level, Notice

_log = structlog.get_logger("outbox")
REMEMBERED = 5000


class Outbox:
    """Notices on their way to every channel.

    Args:
        folder: Kept across restarts; not disposable.
        channels: Where each notice goes.
    """

    def __init__(self, folder: Path, channels: Sequence[Channel]) -> None:
        self._folder = folder
        self._channels = tuple(channels)
        self._quiet: set[str] = set()  # channels whose failure was logged and not yet mended
        self.outcomes: dict[tuple[str, str], int] = {}
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob("*.tmp"):
            left.unlink()
        self._told = self._read_told()
        self._next = 1 + max((int(path.name.split("-")[0]) for path in self._waiting()), default=0)

    @property
    def waiting(self) -> int:
        """Return how many notices are not yet with every channel."""
        return len(self._waiting())

    def enqueue(self, notice: Notice) -> bool:
        """Make `notice` durable; returns False when it is on its way or was told already."""
        reach("notify.before_enqueue")
        tag = _tag(notice.dedupe)
        if tag in self._told or any(path.name.endswith(f"-{tag}.json") for path in self._waiting()):
            return False
        path = self._folder / f"{self._next:08d}-{tag}.json"
        self._next += 1
        write_durably(path, orjson.dumps({**_as_json(notice), "left": [c.name for c in self._channels]}))
        reach("notify.after_enqueue")
        return True

    async def deliver(self) -> int:
        """Send everything that waits, oldest first; returns how many notices are still waiting.

        A channel that fails keeps the notice for itself alone and falls back to the log.
        """
        for path in self._waiting():
            if path.stem.partition("-")[2] in self._told:
                path.unlink()  # a death between the note and this: it was told, and once is enough
                continue
            read = await anyio.to_thread.run_sync(self._read, path)
            if read is None:
                continue
            data, notice = read
            left = [c for c in self._channels if c.name in data["left"] and not await self._sent(c, notice)]
            if left:
                content = orjson.dumps({**data, "left": [c.name for c in left]})
                await anyio.to_thread.run_sync(write_durably, path, content)
            else:
                await anyio.to_thread.run_sync(self._done, path, notice)
        return self.waiting

    def _read(self, path: Path) -> tuple[dict[str, Any], Notice] | None:
        """Return what waits in a file; a damaged one is set aside and must not silence those behind it."""
        try:
            data = orjson.loads(path.read_bytes())
            return data, _of_json(data)
        except (ValueError, TypeError, KeyError) as error:
            path.rename(path.with_suffix(".damaged"))
            _log.error("a notice is damaged and was set aside", file=path.name, error=str(error))
            return None

    def _done(self, path: Path, notice: Notice) -> None:
        self._remember(_tag(notice.dedupe))
        reach("notify.after_told")
        path.unlink()

    async def _sent(self, channel: Channel, notice: Notice) -> bool:
        reach("notify.before_send")
        try:
            await channel.send(notice)
        except NotifyFailed as error:
            self._count(channel.name, "failed")
            if channel.name not in self._quiet:
                self._quiet.add(channel.name)
                _log.warning(
                    "notice not taken, kept for later",
                    channel=channel.name,
                    error=str(error),
                    title=notice.title,
                )
            return False
        if channel.name in self._quiet:
            self._quiet.discard(channel.name)
            _log.info("channel recovered", channel=channel.name)
        self._count(channel.name, "sent")
        reach("notify.after_send")
        return True

    def _count(self, channel: str, outcome: str) -> None:
        self.outcomes[channel, outcome] = self.outcomes.get((channel, outcome), 0) + 1

    def _waiting(self) -> list[Path]:
        return sorted(self._folder.glob("[0-9]*.json"))

    def _read_told(self) -> OrderedDict[str, None]:
        """Return the remembered tags, newest last; a line cut short by a crash is left out."""
        path = self._folder / "told.jsonl"
        if not path.exists():
            return OrderedDict()
        lines = path.read_bytes().split(b"\n")
        tags = [line.decode() for line in lines[:-1] if len(line) == 64][-REMEMBERED:]
        if len(lines) > 2 * REMEMBERED or lines[-1]:
            write_durably(path, "".join(f"{tag}\n" for tag in tags).encode())
        return OrderedDict.fromkeys(tags)

    def _remember(self, tag: str) -> None:
        self._told[tag] = None
        while len(self._told) > REMEMBERED:
            self._told.popitem(last=False)
        descriptor = os.open(self._folder / "told.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(descriptor, f"{tag}\n".encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _tag(dedupe: str) -> str:
    return hashlib.sha256(dedupe.encode()).hexdigest()


def _as_json(notice: Notice) -> dict[str, Any]:
    return {
        "dedupe": notice.dedupe,
        "market": notice.market,
        "level": notice.level.value,
        "title": notice.title,
        "body": notice.body,
        "at": instant_iso(notice.at),
    }


def _of_json(data: dict[str, Any]) -> Notice:
    return Notice(
        data["dedupe"],
        data["market"],
        Level(data["level"]),
        data["title"],
        data["body"],
        parse_instant(data["at"]),
    )
