"""A market in one row: its newest record, the two days before it, its running grids, its newest advice."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from threading import Lock

import numpy as np

from dashboard.pages import Floats, MarketRow, Tone
from dashboard.reading.advice import urgency
from dashboard.reading.files import Sign
from dashboard.reading.records import Hours, RecordShelf
from dashboard.reading.telling import EXIT_TONE, ORDER, VERDICT_TONE, Troubles, most_urgent
from exits.states import ExitState
from market.hours import Hour
from store.glance import AdviceGlance, HourGlance
from store.paths import metrics_path

SPARKLINE_H = 48
DAY_H = 24
_TAILS_KEPT = 4000
_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class _Tail:
    """The closes of the hours up to the newest one, NaN where there is none."""

    newest: HourGlance
    closes: Floats


class MarketRows:
    """Makes rows; what the records of the last two days say is kept while they stay the same. Any thread."""

    def __init__(self, shelf: RecordShelf) -> None:
        self._shelf = shelf
        self._tails: OrderedDict[tuple[str, int], tuple[tuple[Sign | None, int], _Tail | None]] = (
            OrderedDict()
        )
        self._lock = Lock()

    def row(
        self,
        key: str,
        judged: Hours,
        running: Mapping[str, bool],
        newest_of_all: datetime | None,
        stale: str,
        troubles: Troubles,
    ) -> MarketRow:
        """Return a market as of the newest of `judged`.

        Args:
            key: Market.
            judged: Its judged hours, oldest first; the row is of the last one.
            running: Whether each of its grids runs at that time, by id.
            newest_of_all: The newest close of any market: this one may have fallen behind; None does not ask.
            stale: Why its advice is withheld as the daemon says it; empty where it does not.
            troubles: Takes damaged files.
        """
        if not len(judged):
            return _unjudged(key, running, stale or "no hour has been judged yet")
        tail = self._tail(key, judged, troubles)
        hour = Hour(int(judged[-1]))
        if tail is None or tail.newest.hour != hour.index:
            return _unjudged(key, running, stale or f"the record of {hour} cannot be read", hour.closes_at)
        glance = tail.newest
        if not stale and glance.verdict is None:
            stale = self._why_not_judged(key, hour, troubles)
        if not stale and newest_of_all is not None and newest_of_all - hour.closes_at > _HOUR:
            stale = (
                f"no hour after {hour.closes_at:%Y-%m-%d %H:%M} UTC has been judged; other markets went on"
            )
        states = {grid_id: state for grid_id, state in glance.exits if running.get(grid_id, False)}
        exit_state = most_urgent(list(states.values()))
        advice = self._advice(glance, troubles)
        grids = sum(running.values())
        closes = tail.closes
        before = closes[-1 - DAY_H]
        price = closes[-1] if math.isfinite(closes[-1]) else glance.price
        change = 100 * (price / before - 1)
        return MarketRow(
            key=key,
            hour_closes_at=hour.closes_at,
            verdict=glance.verdict,
            simplified=glance.simplified,
            hold_probability=known(glance.hold_probability),
            confidence=known(glance.confidence),
            price=known(price),
            change_24h_pct=known(change),
            lower=known(glance.lower) if glance.is_valid else None,
            upper=known(glance.upper) if glance.is_valid else None,
            exit_state=exit_state,
            grids=grids,
            action=None if advice is None else advice.action,
            decision_id=None if advice is None else advice.id,
            sparkline=closes[-SPARKLINE_H:],
            stale=stale,
            missing_24h=glance.missing_24h,
            tone=_tone(glance.verdict, exit_state, grids, stale, grids - len(states)),
            unwatched=grids - len(states),
        )

    def _tail(self, key: str, judged: Hours, troubles: Troubles) -> _Tail | None:
        newest = int(judged[-1])
        sign = self._shelf.stamp_of(metrics_path(key, Hour(newest))), len(judged)
        with self._lock:
            kept = self._tails.get((key, newest))
            if kept is not None and kept[0] == sign:
                self._tails.move_to_end((key, newest))
                return kept[1]
        first = newest - SPARKLINE_H + 1
        hours, damaged = self._shelf.glances(key, judged[np.searchsorted(judged, first) :])
        for error in damaged:
            troubles.damaged(f"hours of {key}", error)
        found = None
        if hours:
            closes = np.full(SPARKLINE_H, np.nan)
            for each in hours:
                if each.prices is not None:
                    closes[each.hour - first] = each.prices.close
            found = _Tail(hours[-1], closes)
        if not damaged:  # damage is told each time
            with self._lock:
                self._tails[key, newest] = sign, found
                while len(self._tails) > _TAILS_KEPT:
                    self._tails.popitem(last=False)
        return found

    def _why_not_judged(self, key: str, hour: Hour, troubles: Troubles) -> str:
        record = troubles.reading(f"the hour {hour} of {key}", partial(self._shelf.metrics, key, hour), None)
        return (None if record is None else record.reason) or "the hour could not be judged"

    def _advice(self, glance: HourGlance, troubles: Troubles) -> AdviceGlance | None:
        """Return the hour's most urgent recommendation."""
        found = []
        for decision_id in glance.decisions:
            read = partial(self._shelf.advice_at_a_glance, decision_id)
            each: AdviceGlance | None = troubles.reading("a recommendation", read, None)
            if each is not None:
                found.append(each)
        return min(found, key=lambda each: urgency(each.action), default=None)


def by_urgency(row: MarketRow) -> tuple[int, int, int, str]:
    """Return what rows are sorted by: exit states, then how the market stands, then grids and name."""
    rank = ExitState(row.exit_state).rank if row.exit_state in {each.value for each in ExitState} else 0
    return -rank, ORDER.index(row.tone), -row.grids, row.key


def known(value: float) -> float | None:
    """Return a number, None where it is NaN."""
    return float(value) if math.isfinite(value) else None


def _tone(verdict: str | None, exit_state: str | None, grids: int, stale: str, unwatched: int) -> Tone:
    """Return how a market stands; a running grid that nobody watches is bad news."""
    found = [EXIT_TONE.get(exit_state, Tone.UNKNOWN) if exit_state is not None else VERDICT_TONE[verdict]]
    if unwatched:
        found.append(Tone.UNKNOWN)
    if stale:
        found = [Tone.BAD if grids else Tone.UNKNOWN, *(each for each in found if each is Tone.URGENT)]
    return min(found, key=ORDER.index)


def _unjudged(
    key: str, running: Mapping[str, bool], stale: str, closes_at: datetime | None = None
) -> MarketRow:
    grids = sum(running.values())
    return MarketRow(
        key=key,
        hour_closes_at=closes_at,
        verdict=None,
        simplified=None,
        hold_probability=None,
        confidence=None,
        price=None,
        change_24h_pct=None,
        lower=None,
        upper=None,
        exit_state=None,
        grids=grids,
        action=None,
        decision_id=None,
        sparkline=np.full(SPARKLINE_H, np.nan),
        stale=stale,
        missing_24h=0,
        tone=_tone(None, None, grids, stale, grids),
        unwatched=grids,
    )


def newest_close(hours: Sequence[Hours]) -> datetime | None:
    """Return the newest close of several markets' judged hours."""
    newest = max((int(each[-1]) for each in hours if len(each)), default=None)
    return None if newest is None else Hour(newest).closes_at
