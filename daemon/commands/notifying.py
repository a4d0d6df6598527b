"""`regimed notify test`: does a message reach you, and does an emergency end when you tap."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import anyio
import typer
from rich.table import Table

from daemon.clock import WallClock
from daemon.commands.sharing import (
    ConfigOption,
    Finding,
    FormatOption,
    checked_format,
    console,
    fail,
    in_loop,
    print_json,
    settings_of,
)
from market.errors import NotifyFailed, NotifyRefused
from market.hours import instant_iso
from market.ports import Clock
from notifications.examples import TEST_LANE, one_of_each_level
from notifications.notice import Channel, Notice
from notifications.opening import open_channels, open_ping
from notifications.outbox import LONGEST_SEND_S
from notifications.ping import Ping
from notifications.pushover import PushoverChannel
from notifications.settings import NotificationSettings

_TAP = "acknowledge it on the phone"
_LOOK_EVERY_S = 0.5  # the channel itself asks Pushover at most every 5 s

commands = typer.Typer(no_args_is_help=True, help="What you are told, and how: test.")


def register(app: typer.Typer) -> None:
    app.add_typer(commands, name="notify")


@dataclass(frozen=True, slots=True)
class Tried:
    """What became of one test message, or of the ping.

    Attributes:
        level: `""` for the ping.
        outcome: `sent`, `failed`, `refused`, or `not sent` behind one of those two.
        why: `""` for what was sent.
    """

    channel: str
    level: str
    outcome: str
    why: str = ""


@commands.command("test")
def test(
    config: ConfigOption = None,
    wait: Annotated[
        float,
        typer.Option(min=0, max=600, help="Seconds to wait for Pushover's emergency to be acknowledged."),
    ] = 30.0,
    form: FormatOption = "table",
) -> None:
    """Send one message of each level through every configured channel, marked as a test, and the ping.

    A running daemon is not disturbed, nothing is recorded. Pushover's emergency is cancelled at the end; four
    messages count towards its month. Exit code 3 when something was not taken.

    Example: regimed notify test --wait 60
    """
    checked_format(form)
    told = settings_of(config).notifications
    if told.pushover is None and not told.webhooks and told.apprise is None and told.ping is None:
        fail(
            "no channel is configured, only the log is told; for a phone set notifications.pushover:"
            " {token_file: FILE, user_file: FILE}, config/config.yaml shows the others",
            2,
        )
    tried, endings = in_loop(lambda: _try_all(told, WallClock(), wait))
    if form == "json":
        print_json(
            {
                "tried": [
                    {"channel": one.channel, "level": one.level, "outcome": one.outcome, "why": one.why}
                    for one in tried
                ],
                "emergency": endings,
            }
        )
    else:
        table = Table("channel", "level", "outcome", box=None, pad_edge=False)
        for one in tried:
            table.add_row(
                one.channel, one.level or "-", f"{one.outcome}: {one.why}" if one.why else one.outcome
            )
        console().print(table)
        for words in endings:
            console().print(words)
    if any(one.outcome != "sent" for one in tried):
        raise Finding(3)


async def _try_all(told: NotificationSettings, clock: Clock, wait_s: float) -> tuple[list[Tried], list[str]]:
    """Try every channel side by side; returns what became of each message, and how the emergencies ended."""
    async with AsyncExitStack() as stack:
        # The receipts of real emergencies belong to the running daemon: the test keeps its own, elsewhere.
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="regimed-notify-")))
        channels = open_channels(told, folder, clock)
        for channel in channels:
            stack.push_async_callback(channel.aclose)
        ping = open_ping(told)
        if ping is not None:
            stack.push_async_callback(ping.aclose)
        notices = one_of_each_level(clock.now())
        tried: dict[str, list[Tried]] = {channel.name: [] for channel in channels}
        endings: dict[str, str] = {}
        async with anyio.create_task_group() as group:
            for channel in channels:
                group.start_soon(_try_channel, channel, notices, wait_s, tried[channel.name], endings)
            if ping is not None:
                group.start_soon(_try_ping, ping, tried.setdefault(ping.name, []))
    return [one for each in tried.values() for one in each], list(endings.values())


async def _try_channel(
    channel: Channel, notices: Sequence[Notice], wait_s: float, tried: list[Tried], endings: dict[str, str]
) -> None:
    """Send the notices in order, none after one that was not taken: a wrong key must not be knocked with."""
    try:
        for notice in notices:
            stopped = any(one.outcome != "sent" for one in tried)
            tried.append(
                Tried(channel.name, notice.level.value, "not sent", "the one before was not taken")
                if stopped
                else await _sent(channel, notice)
            )
        if isinstance(channel, PushoverChannel) and TEST_LANE in channel.sounding:
            endings[channel.name] = await _acknowledged(channel, wait_s)
    finally:
        if isinstance(channel, PushoverChannel) and TEST_LANE in channel.sounding:
            with anyio.CancelScope(shield=True):
                if not await channel.cancel(TEST_LANE):
                    endings[channel.name] = f"{channel.name}: the emergency could not be cancelled; {_TAP}"


async def _sent(channel: Channel, notice: Notice) -> Tried:
    level = notice.level.value
    try:
        with anyio.fail_after(LONGEST_SEND_S):
            await channel.send(notice)
    except NotifyRefused as error:
        return Tried(channel.name, level, "refused", _reason(channel.name, error))
    except NotifyFailed as error:
        return Tried(channel.name, level, "failed", _reason(channel.name, error))
    except TimeoutError:
        return Tried(channel.name, level, "failed", f"no answer within {LONGEST_SEND_S:g} s")
    return Tried(channel.name, level, "sent")


async def _try_ping(ping: Ping, tried: list[Tried]) -> None:
    try:
        await ping.send()
    except NotifyFailed as error:
        tried.append(Tried(ping.name, "", "failed", _reason(ping.name, error)))
    else:
        tried.append(Tried(ping.name, "", "sent"))


async def _acknowledged(channel: PushoverChannel, wait_s: float) -> str:
    """Wait for a tap on the phone; returns in words who it was."""
    if wait_s:
        print(f"regimed: the emergency sounds now; {_TAP} within {wait_s:g} s", file=sys.stderr, flush=True)
    seen = await channel.acknowledgements()
    with anyio.move_on_after(wait_s):
        while not seen and channel.sounding:
            await anyio.sleep(_LOOK_EVERY_S)
            seen = await channel.acknowledgements()
    if seen:
        return f"{channel.name}: the emergency was acknowledged by {seen[0].by} at {instant_iso(seen[0].at)}"
    return f"{channel.name}: nobody acknowledged the emergency within {wait_s:g} s; it is cancelled"


def _reason(channel: str, error: Exception) -> str:
    """Return why, without the channel's name that stands beside it."""
    return str(error).removeprefix(f"{channel}: ")
