"""The minutes of each hour: traded, left out by the exchange, missing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from dashboard.pages import QualityHour
from dashboard.reading.telling import Troubles
from market.errors import DataInvalid
from market.hours import Hour, hours_between
from market.snapshot import MINUTES
from store.glance import HourGlance
from store.reader import SnapshotReader

EVERY_HOUR_H = 7 * 24  # in longer spans only hours with something to tell are listed
MOST_HOURS = 200


def quality_of(
    root: Path, key: str, start: datetime, end: datetime, hours: Sequence[HourGlance], troubles: Troubles
) -> tuple[list[QualityHour], bool]:
    """Return the hours of [start, end), oldest first, up to the newest judged one, and whether those are all.

    A span longer than a week lists only hours with missing or revised minutes and hours without a record,
    the newest `MOST_HOURS` of them.
    """
    judged = {hour.hour: hour for hour in hours}
    last = Hour(hours[-1].hour)
    asked = hours_between(Hour.of(start), min(Hour.of(end), last.plus(1)))
    is_short = len(asked) <= EVERY_HOUR_H
    if not is_short:
        odd = [hour for hour in asked if _is_odd(judged.get(hour.index))]
        asked = odd[-MOST_HOURS:]
    reader = SnapshotReader(root, max_missing_minutes=MINUTES)
    return [_hour(reader, key, hour, judged.get(hour.index), troubles) for hour in asked], is_short


def _is_odd(hour: HourGlance | None) -> bool:
    return hour is None or hour.missing > 0 or bool(hour.revised)


def _hour(
    reader: SnapshotReader, key: str, hour: Hour, judged: HourGlance | None, troubles: Troubles
) -> QualityHour:
    revised = () if judged is None else judged.revised
    try:
        snapshot = reader.load_snapshot(key, hour)
    except FileNotFoundError:
        missing = MINUTES if judged is None else judged.missing
        return QualityHour(hour.opens_at, "", missing, 0, revised)
    except DataInvalid as error:
        troubles.damaged(f"the minutes of {hour}", error)
        return QualityHour(hour.opens_at, "", MINUTES, 0, revised, is_damaged=True)
    marks = ["."] * MINUTES
    for minute in snapshot.no_trade:
        marks[minute] = "o"
    for minute in snapshot.missing:
        marks[minute] = "x"
    return QualityHour(hour.opens_at, "".join(marks), len(snapshot.missing), len(snapshot.no_trade), revised)
