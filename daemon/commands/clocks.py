"""The time of a command: the wall clock's, a rehearsal's, or that of the daemon beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from daemon.clock import DrivenClock, ScaledClock, WallClock
from daemon.commands.sharing import fail, in_loop
from daemon.settings import Settings
from market.hours import parse_instant
from market.ports import Clock
from store.control import ask_status
from store.lock import holder


def clock_of(text: str | None) -> Clock:
    """Return the clock that a rehearsal shares, the wall clock when left out."""
    if text is None:
        return WallClock()
    try:
        return ScaledClock.parse(text)
    except ValueError as error:
        fail(f"--clock: {error}", 2)


def clock_beside(text: str | None, settings: Settings) -> Clock:
    """Return the clock of a command that writes: what a running daemon takes for now is now, as in a demo.

    Raises:
        StoreError: A daemon holds the repository and does not answer.
    """
    held = holder(settings.data_repository.base_path)
    if text is not None or held is None:
        return clock_of(text)
    page = in_loop(lambda: ask_status(Path(held.socket)))
    return DrivenClock(parse_instant(page["now"]), rate=1.0)


ClockOption = Annotated[str | None, typer.Option(hidden=True, help="START,RATE,WALL_START, for rehearsals.")]
