"""How a notice is told at this moment: late, overtaken by a newer one, or in quiet hours. Pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from notifications.notice import MOST_BODY, Kind, Level, Notice
from notifications.pacing import hushed
from notifications.settings import QuietHours
from notifications.text import cut

LATE = timedelta(minutes=15)
STALE_SETUP = timedelta(minutes=60)


def as_told(
    notice: Notice, put_at: datetime, now: datetime, *, overtaken: bool, quiet: QuietHours | None = None
) -> Notice:
    """Return the notice as a channel gets it now.

    What a newer notice of the same grid has overtaken makes no sound: the newer one does. What is told late
    says how late. A proposal that is late by an hour is history and makes no sound either.

    Args:
        notice: As it was put into the outbox.
        put_at: When that was.
        now: When it is sent.
        overtaken: A newer one of the same grid waits behind it.
        quiet: The operator's quiet hours.
    """
    late = now - put_at
    level = hushed(notice, now, quiet)
    over = notice.kind is Kind.ADVICE and notice.exit_state is None and late >= STALE_SETUP
    if overtaken or over:
        level = Level.QUIET
    said = []
    if late >= LATE:
        said.append(f"Told {_in_words(late)} late.")
    if overtaken:
        said.append("A newer message about this grid follows.")
    gap = "\n" if "\n" in notice.body else " "  # what has lines keeps its first one whole
    body = cut(gap.join((" ".join(said), notice.body)), MOST_BODY) if said else notice.body
    return replace(notice, level=level, body=body)


def _in_words(late: timedelta) -> str:
    minutes = int(late.total_seconds() // 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h"
