"""The dead-man switch outside: it hears from us while the house works, and alarms when it does not.

It is for what no notice can tell: the process is gone, hangs, or reaches nobody. One market's trouble is an
alert of its own and keeps no ping back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import anyio
import structlog

from daemon.app import App
from daemon.health import live
from market.errors import NotifyFailed
from notifications.log_channel import LogChannel

_log = structlog.get_logger("deadman")


class Ping(Protocol):
    """The way to the switch."""

    async def send(self) -> None:
        """Say that all is well; NotifyFailed where it was not heard."""


@dataclass
class PingMemory:
    """What is remembered from ping to ping.

    Attributes:
        silent_because: Why the last ping was kept back; `""` where it was not.
        is_unheard: The last ping was sent and not heard, and the log says so.
    """

    silent_because: str = ""
    is_unheard: bool = False


def may_ping(app: App) -> tuple[bool, str]:
    """Say whether the house works as a whole, and if not, why."""
    alive, hung = live(app)
    if not alive:
        return False, "; ".join(hung)
    if app.board.fatal is not None:
        return False, app.board.fatal
    limit = app.settings.health.stale_fail_s
    newest = [market.newest.closes_at for market in app.board.markets.values() if market.newest is not None]
    age = (app.clock.now() - max(newest, default=app.board.started_at)).total_seconds()
    if age > limit:
        return False, f"no hour of any market was judged for {age / 3600:.1f} h"
    trouble = app.board.commit_trouble or app.store.state().last_commit_error
    unwritten = f"commits fail: {trouble}" if trouble else ""
    if app.outbox.not_durable:
        unwritten = "the outbox cannot be written"
    if unwritten:
        return False, unwritten
    channels = {name: state for name, state in app.outbox.channels.items() if name != LogChannel.name}
    shut = [name for name, state in channels.items() if state.trouble is not None]
    if channels and len(shut) == len(channels):  # the log is no channel that reaches anybody
        return False, f"no channel takes a notice: {', '.join(sorted(shut))}"
    return True, ""


async def ping_once(app: App, ping: Ping, memory: PingMemory) -> bool:
    """Ping if the house works; returns whether the ping was heard. The log hears of each change once."""
    fine, why = may_ping(app)
    if not fine:
        if not memory.silent_because:
            _log.error("no ping to the dead-man switch: it will alarm", why=why)
        memory.silent_because = why
        return False
    if memory.silent_because:
        _log.info("the dead-man switch is pinged again", was=memory.silent_because)
        memory.silent_because = ""
    try:
        await ping.send()
    except NotifyFailed as error:
        if not memory.is_unheard:
            _log.warning("the dead-man switch was not reached", error=str(error))
        memory.is_unheard = True
        return False
    if memory.is_unheard:
        _log.info("the dead-man switch is reached again")
        memory.is_unheard = False
    return True


async def ping_forever(app: App, ping: Ping) -> None:
    """Ping every `notifications.ping.every_s`, real time; for ever asleep where none is configured."""
    settings = app.settings.notifications.ping
    if settings is None:
        await anyio.sleep_forever()
        return
    memory = PingMemory()
    while True:
        await ping_once(app, ping, memory)
        await anyio.sleep(settings.every_s)
