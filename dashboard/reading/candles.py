"""Candles of a span: fine ones of a few days from minutes, hourly ones of a year from the hours' records."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import numpy as np

from dashboard.pages import Candles, Tone, Trouble
from dashboard.reading.telling import Troubles, remedy_of
from market.candles import Bars
from market.hours import Hour, Timeframe
from store.glance import HourGlance
from store.reader import SnapshotReader
from store.regime_rows import EVERYTHING

DAY_H = 24
FINE_H = 2 * DAY_H  # a span up to here is drawn in bars of 15 minutes
FROM_FILES_H = 31 * DAY_H  # up to here hourly bars come from snapshots, beyond from the hours' own records
_MOST_GAPS = 100
_MOST_MISSING = 59  # an hour of which one minute is known has bars on a page


def candles_of(
    root: Path, key: str, start: datetime, end: datetime, hours: Sequence[HourGlance], troubles: Troubles
) -> Candles:
    """Return the candles of [start, end), up to the newest that is known.

    Args:
        root: The data repository.
        key: Market.
        start, end: Whole hours.
        hours: The judged hours of the span, oldest first, at least one.
        troubles: Takes the files that could not be used.
    """
    first, last = Hour.of(start), Hour.of(end).plus(-1)
    length = last.index - first.index + 1
    reader = SnapshotReader(root, max_missing_minutes=_MOST_MISSING, whole_kept=0)
    if length <= FROM_FILES_H:
        timeframe = Timeframe.M15 if length <= FINE_H else Timeframe.H1
        bars, scale = _bars(reader, key, first, last, timeframe)
        columns = _columns(bars, scale, first, last)
    else:
        newest = Hour(hours[-1].hour)
        _, scale = _bars(reader, key, newest, newest, Timeframe.H1)
        columns = _of_records(reader, key, first, last, hours, troubles)
        timeframe = Timeframe.H1
    for fault in reader.take_faults():
        troubles.add(Trouble("candles", fault.reason, remedy_of(fault.path), Tone.BAD))
    known = np.flatnonzero(np.isfinite(columns[:, 3]))
    columns = columns[: known[-1] + 1 if len(known) else 0]
    opens = first.open_ts + timeframe.seconds * np.arange(len(columns), dtype=np.int64)
    decimals = round(math.log10(scale))
    open_, high, low, close, volume = np.ascontiguousarray(columns.T)
    return Candles(timeframe.seconds, opens, open_, high, low, close, volume, decimals)


def _bars(
    reader: SnapshotReader, key: str, first: Hour, last: Hour, timeframe: Timeframe
) -> tuple[tuple[Bars, int], int]:
    """Return the bars of [first, last], prices x the second number, with the volumes' scale beside them."""
    days = -(-(last.index - first.index + 1) // DAY_H)
    window = reader.load_window(key, last, {Timeframe.H1: days, timeframe: days}, EVERYTHING)
    bars = window.bars[timeframe].between(first.open_ts, last.close_ts)
    return (bars, window.volume_scale), window.price_scale


def _columns(told: tuple[Bars, int], price_scale: int, first: Hour, last: Hour) -> np.ndarray:
    bars, volume_scale = told
    step = bars.timeframe.seconds
    found = np.full(((last.close_ts - first.open_ts) // step, 5), np.nan)
    rows = (bars.ts - first.open_ts) // step
    for place, column in enumerate((bars.open, bars.high, bars.low, bars.close)):
        found[rows, place] = column / price_scale
    found[rows, 4] = bars.volume / volume_scale
    return found


def _of_records(
    reader: SnapshotReader,
    key: str,
    first: Hour,
    last: Hour,
    hours: Sequence[HourGlance],
    troubles: Troubles,
) -> np.ndarray:
    """Return hourly columns from the records, their gaps filled from other files."""
    found = np.full((last.index - first.index + 1, 5), np.nan)
    with_bar = [hour for hour in hours if hour.prices is not None]
    if with_bar:
        found[[hour.hour - first.index for hour in with_bar]] = [hour.prices for hour in with_bar]
    newest = hours[-1].hour - first.index
    gaps = np.flatnonzero(np.isnan(found[: newest + 1, 3]))
    runs = np.split(gaps, np.flatnonzero(np.diff(gaps) != 1) + 1) if len(gaps) else []
    for run in runs[-_MOST_GAPS:]:
        since, until = first.plus(int(run[0])), first.plus(int(run[-1]))
        bars, scale = _bars(reader, key, since, until, Timeframe.H1)
        found[run] = _columns(bars, scale, since, until)
    if len(runs) > _MOST_GAPS:
        why = (
            f"{len(runs)} gaps between the judged hours; the {_MOST_GAPS} newest were filled from other files"
        )
        troubles.add(Trouble("candles", why, "Open a shorter span.", Tone.UNKNOWN))
    return found
