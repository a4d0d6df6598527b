"""Rule 5: what must agree across files: hours, minutes told twice, coarse bars and the minutes under them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

import numpy as np

from market.candles import Bars, Ints, aggregate, no_bars
from market.hours import HOUR_S, Hour, Timeframe, instant_iso, instant_of_ts
from store.candle_files import CandlePart
from store.columns import HourColumns

VOLUME_TOLERANCE = 1e-6  # relative: sources round a bar's volume, and sum unrounded trades


@dataclass(frozen=True, slots=True)
class Disagreement:
    """Two files that tell different things, or something odd between them (`is_error` False)."""

    path: str
    problem: str
    is_error: bool = True


def across_files(
    hours: Sequence[HourColumns],
    parts: Iterable[tuple[str, CandlePart]],
    *,
    max_jump: float = 0.2,
    revised: frozenset[Hour] = frozenset(),
) -> list[Disagreement]:
    """Return where the files of one market disagree.

    Args:
        hours: All snapshot files of the market, sorted by hour.
        parts: Its candle files, with their paths.
        max_jump: Largest move from one hour's close to the next open, as a share; larger ones are odd.
        revised: Hours that the exchange changed later, as recorded: their files may differ.
    """
    found: list[Disagreement] = []
    best: list[HourColumns] = []
    for hour, group in groupby(hours, key=lambda h: h.name.hour):
        files = sorted(group, key=lambda h: (-h.missing, h.collected))
        if hour not in revised:
            found += _told_twice(files)
        best.append(files[-1])
    found += _jumps(best, max_jump)
    known = _minute_bars([hour for hour in best if hour.name.hour not in revised])
    for path, part in parts:
        found += _against_minutes(path, part, known)
    return found


def _told_twice(files: list[HourColumns]) -> list[Disagreement]:
    found = []
    for one, other in pairwise(files):
        price_scale = max(one.price_scale, other.price_scale)
        volume_scale = max(one.volume_scale, other.volume_scale)
        first, second = _at(one, price_scale, volume_scale), _at(other, price_scale, volume_scale)
        both = (first[:, 2] > 0) & (second[:, 2] > 0)
        differ = np.flatnonzero(both & (first != second).any(axis=1))
        if len(differ):
            problem = f"minute {int(differ[0])} is told differently by an earlier file"
            found.append(Disagreement(other.name.path, problem))
    return found


def _at(hour: HourColumns, price_scale: int, volume_scale: int) -> Ints:
    """Return the minutes, shape (60, 5), brought to finer scales."""
    factors = np.array([price_scale // hour.price_scale] * 4 + [volume_scale // hour.volume_scale])
    finer: Ints = hour.minutes.T * factors
    return finer


def _jumps(best: list[HourColumns], max_jump: float) -> list[Disagreement]:
    found = []
    for one, other in pairwise(best):
        path = other.name.path
        if gap := other.name.hour.index - one.name.hour.index - 1:
            found.append(Disagreement(path, f"{gap} hours before it have no snapshot", is_error=False))
        elif one.summary is not None and other.summary is not None:
            close, open_ = one.summary.close / one.price_scale, other.summary.open / other.price_scale
            if abs(open_ / close - 1) > max_jump:
                text = f"opens {open_ / close - 1:+.1%} from the hour before, more than {max_jump:.0%}"
                found.append(Disagreement(path, text, is_error=False))
    return found


def _minute_bars(hours: list[HourColumns]) -> tuple[Bars, int, int]:
    """Return the minutes of whole hours as bars, brought to the finest scales."""
    whole = [hour for hour in hours if not hour.missing]
    if not whole:
        return no_bars(Timeframe.M1), 1, 1
    price_scale = max(hour.price_scale for hour in whole)
    volume_scale = max(hour.volume_scale for hour in whole)
    rows = np.concatenate([_at(hour, price_scale, volume_scale) for hour in whole])
    opens = np.array([hour.name.hour.open_ts for hour in whole], dtype=np.int64)
    ts = (opens[:, None] + 60 * np.arange(60)).reshape(-1)
    return Bars(Timeframe.M1, ts, *np.ascontiguousarray(rows.T)), price_scale, volume_scale


def _against_minutes(path: str, part: CandlePart, known: tuple[Bars, int, int]) -> list[Disagreement]:
    minutes, price_scale, volume_scale = known
    timeframe = part.bars.timeframe
    inside = minutes.between(part.start_ts - part.start_ts % (4 * HOUR_S), part.end_ts)
    made = aggregate(inside, timeframe)
    _, ours, theirs = np.intersect1d(made.ts, part.bars.ts, assume_unique=True, return_indices=True)
    found = []
    for row, other in zip(ours, theirs, strict=True):
        told = [int(getattr(part.bars, n)[other]) * price_scale for n in ("open", "high", "low", "close")]
        seen = [int(getattr(made, n)[row]) * part.price_scale for n in ("open", "high", "low", "close")]
        volume = int(part.bars.volume[other]) * volume_scale
        summed = int(made.volume[row]) * part.volume_scale
        slack = VOLUME_TOLERANCE * max(volume, summed) + 60 * max(part.volume_scale, volume_scale)
        if told != seen or abs(volume - summed) > slack:
            at = instant_iso(instant_of_ts(int(made.ts[row])))
            found.append(Disagreement(path, f"the {timeframe.value} bar {at} differs from its minutes"))
    return found
