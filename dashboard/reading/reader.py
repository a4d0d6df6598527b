"""Pages from a data repository: the overview, and one market over any span of whole hours."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from pathlib import Path

import numpy as np

from dashboard.pages import Advice, Fact, Live, MarketPage, MarketRow, Overview, Tone, Trouble
from dashboard.reading.advice import Standing, advice_of
from dashboard.reading.candles import candles_of
from dashboard.reading.desk import BacktestBeside, desk_facts
from dashboard.reading.figures import calibration_of, kpis_of
from dashboard.reading.gates import gates_of
from dashboard.reading.grids import EVER, GridSpan, grid_panels, running_at
from dashboard.reading.markets import MarketRows, by_urgency, newest_close
from dashboard.reading.quality import quality_of
from dashboard.reading.records import Grids, Hours, RecordShelf, opens_ts
from dashboard.reading.spans import band, series, stays
from dashboard.reading.telling import Troubles, number, remedy_of, signed
from decisions.recommendation import Action
from market.errors import DataInvalid
from market.hours import Hour
from market.keys import checked_key
from store import disk
from store.desk_files import desk_hours
from store.glance import HourGlance
from store.records import AnalysisYaml, MetricsFile
from store.regime_rows import market_keys

EVERY_ADVICE_H = 3 * 24  # in longer spans only what wants or has an answer is listed
MOST_ADVICE = 60
_MOST_TROUBLES = 20
_MARKET_LINE = re.compile(rb"^market: *['\"]?([A-Z0-9._-]+)['\"]? *\r?$", re.MULTILINE)
_DAY_H = 24
_QUIET = frozenset(action.value for action in Action if not action.wants_answer)


class PageReader:
    """Reads one data repository; any thread, blocking, caches bounded.

    Args:
        root: The work tree.
        markets: Configured keys; () takes those recorded.
        backtest: `result.json` of a backtest, or its folder, that the paper desk is told beside.
    """

    def __init__(self, root: Path, markets: Sequence[str], backtest: Path | None = None) -> None:
        self._root, self._configured = root, tuple(dict.fromkeys(markets))
        self._shelf = RecordShelf(root)
        self._rows = MarketRows(self._shelf)
        self._beside = BacktestBeside(root, backtest)

    def markets(self) -> tuple[str, ...]:
        """Return the keys that have a page: the configured ones, else those that anything is recorded of."""
        return self._configured or tuple(sorted({*market_keys(self._root), *self._judged_keys()}))

    def _judged_keys(self) -> Iterator[str]:
        for name in disk.names_in(self._root / "metrics"):
            try:
                yield checked_key(name)
            except ValueError:
                continue

    def overview(self, live: Live | None = None, *, only: Sequence[str] = ()) -> Overview:
        """Return all markets, or only those, what is urgent first."""
        troubles, grids = Troubles(), self._shelf.grids()
        _tell_grids(self._root, grids, None, troubles)
        judged = {key: self._shelf.judged(key) for key in only or self.markets()}
        newest = newest_close(list(judged.values()))
        rows: list[MarketRow] = []
        waiting: list[Advice] = []
        own: dict[str, list[str]] = {}
        for record in grids.records.values():
            own.setdefault(record.market, []).append(record.grid_id)
        for key, hours in judged.items():
            running = running_at([grids.records[each] for each in own.get(key, ())], EVER)
            stale = "" if live is None else live.stale.get(key, "")
            row = self._rows.row(key, hours, running, None if live else newest, stale, troubles)
            rows.append(row)
            if len(hours):
                at = newest if live is None else live.now
                withheld = row.stale if live is None and row.verdict is not None else stale
                waiting += self._waiting(key, hours, running, at, withheld, troubles)
        return Overview(
            markets=sorted(rows, key=by_urgency),
            open_advice=sorted(waiting, key=lambda each: (each.hour_closes_at, each.id), reverse=True),
            desk=troubles.reading("the paper desk", partial(desk_facts, self._root), ()),
            kpis=kpis_of(self._shelf, EVER, troubles),
            troubles=_bounded(troubles),
            live=live,
        )

    def _waiting(
        self,
        key: str,
        hours: Hours,
        running: dict[str, bool],
        at: datetime | None,
        withheld: str,
        troubles: Troubles,
    ) -> Iterator[Advice]:
        """Yield the recommendations of the newest hour that wait for an answer."""
        newest = Hour(int(hours[-1]))
        glance = troubles.reading(
            f"the hour {newest} of {key}", partial(self._shelf.glance, key, newest), None
        )
        ids: tuple[str, ...] = () if glance is None else glance.decisions
        standing = Standing(at or newest.closes_at, frozenset(ids), running, withheld)
        for decision_id in ids:
            if self._is_quiet(decision_id, troubles):
                continue
            advice = advice_of(self._shelf, decision_id, standing, troubles)
            if advice is not None and advice.is_open:
                yield advice

    def _is_quiet(self, decision_id: str, troubles: Troubles) -> bool:
        read = partial(self._shelf.advice_at_a_glance, decision_id)
        glance = troubles.reading("a recommendation", read, None)
        return glance is None or glance.action in _QUIET

    def market(self, key: str, start: datetime, end: datetime, live: Live | None = None) -> MarketPage:
        """Return one market over [start, end), whole hours, aware.

        Raises:
            DataInvalid: No such market, not whole hours, or no judged hour in the span; says what there is.
        """
        judged = self._known(key)
        start, end = start.astimezone(UTC), end.astimezone(UTC)
        first, until = Hour.of(start), Hour.of(end)
        if (first.opens_at, until.opens_at) != (start, end) or start >= end:
            told = f"{start:%Y-%m-%dT%H:%M} to {end:%Y-%m-%dT%H:%M}"
            raise DataInvalid(f"a page of {key}", "from, to", f"{told}, expected whole hours, the end later")
        asked = judged[np.searchsorted(judged, first.index) : np.searchsorted(judged, until.index)]
        if not len(asked):
            what = f"no hour from {start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC has been judged"
            raise DataInvalid(f"a page of {key}", "", f"{what}; {_what_there_is(judged)}")
        return self._page(key, start, end, judged, asked, live)

    def day(self, key: str, day: date, live: Live | None = None) -> MarketPage:
        """Return one market's UTC day; errors as `market`."""
        start = datetime.combine(day, time(), tzinfo=UTC)
        return self.market(key, start, start + timedelta(days=1), live)

    def newest_day(self, key: str) -> date | None:
        """Return the newest day with a judged hour, None without any; errors as `market`."""
        judged = self._known(key)
        return Hour(int(judged[-1])).opens_at.date() if len(judged) else None

    def days(self, key: str) -> list[date]:
        """Return the days that have a judged hour, oldest first; errors as `market`."""
        return [Hour(_DAY_H * int(day)).opens_at.date() for day in np.unique(self._known(key) // _DAY_H)]

    def stamp(self) -> str:
        """Return a text that changes whenever anything that a page shows may have changed.

        Files come and go by renaming, which changes their folder; so it asks folders, not files.
        """
        folders = ["grids", "kpis", "trades", "metrics", "decisions", "desk"]
        for key in self.markets():
            folders += [f"metrics/{key}", f"exit_states/{key}", f"calibration/{key}"]
        folders += [f"decisions/{day}" for day in disk.names_in(self._root / "decisions")[-_DECIDED_D:]]
        newest = next(desk_hours(self._root), None)
        found = [(folder, self._shelf.stamp_of(folder)) for folder in folders]
        found += [(path, self._shelf.stamp_of(path)) for path in self._grid_files()]
        told = found, newest, self.markets(), self._beside.sign()
        return hashlib.blake2b(repr(told).encode(), digest_size=12).hexdigest()

    def _grid_files(self) -> list[str]:
        return [f"grids/{name}" for name in disk.names_in(self._root / "grids")]

    def _known(self, key: str) -> Hours:
        """Return a market's judged hours; raises DataInvalid for a key that has no page."""
        markets = self.markets()
        if key not in markets:
            known = ", ".join(markets[:20]) or "none, nothing is recorded yet"
            raise DataInvalid("markets", "key", f"{key!r:.80} is not known; known: {known}")
        return self._shelf.judged(key)

    def _page(
        self, key: str, start: datetime, end: datetime, judged: Hours, asked: Hours, live: Live | None
    ) -> MarketPage:
        troubles, grids = Troubles(), self._shelf.grids()
        _tell_grids(self._root, grids, key, troubles)
        hours, damaged = self._shelf.glances(key, asked)
        for error in damaged:
            troubles.damaged(f"an hour of {key}", error)
        if not hours:
            raise DataInvalid(f"a page of {key}", "", f"none of its records can be read: {damaged[0]}")
        newest = Hour(hours[-1].hour)
        is_newest = newest.index == int(judged[-1])
        at = EVER if is_newest else newest.closes_at
        own = grids.of_market(key)
        running = running_at(own, at)
        upto = judged[: np.searchsorted(judged, newest.index, side="right")]
        stale = self._why_stale(key, judged, asked, newest, live)
        row = self._rows.row(key, upto, running, None, stale, troubles)
        record = troubles.reading(
            f"the hour {newest} of {key}", partial(self._shelf.metrics, key, newest), None
        )
        analysis = None if record is None else record.regime_analysis
        found = analysis if isinstance(analysis, AnalysisYaml) else None
        clock = live.now if live is not None else self._newest_of_all()
        ids = frozenset(hours[-1].decisions) if is_newest else frozenset()
        standing = Standing(max(clock, newest.closes_at), ids, running, stale if live is not None else "")
        advice = self._advice(
            hours, standing, troubles, is_long=end - start > timedelta(hours=EVERY_ADVICE_H)
        )
        days = np.unique(judged // _DAY_H)
        minutes, every_hour = quality_of(self._root, key, start, end, hours, troubles)
        return MarketPage(
            key=key,
            start=start,
            end=end,
            now=row,
            candles=candles_of(self._root, key, start, end, hours, troubles),
            hours_ts=opens_ts(np.array([hour.hour for hour in hours], dtype=np.int64)),
            verdicts=stays((hour.hour, hour.verdict) for hour in hours),
            regimes=stays((hour.hour, hour.simplified) for hour in hours),
            band=band(hours),
            metrics=series(hours, found),
            components=() if found is None else tuple(_components(found)),
            vetoes=() if found is None else tuple(found.vetoes),
            grids=grid_panels(own, GridSpan(self._root, key, start, end, at, hours, record), troubles),
            gates=[] if record is None else gates_of(self._shelf, record, troubles),
            current=_current(advice, hours[-1]),
            advice=advice,
            kpis=kpis_of(self._shelf, at, troubles),
            calibration=calibration_of(self._shelf, key, at, troubles),
            quality=minutes,
            versus=troubles.reading("backtest and paper", self._beside.compared, None),
            troubles=(*_bounded(troubles), *_reason(record)),
            before=_day_before(days, asked),
            after=_day_after(days, asked),
            live=live,
            is_newest=is_newest,
            every_hour=every_hour,
        )

    def _why_stale(self, key: str, judged: Hours, asked: Hours, newest: Hour, live: Live | None) -> str:
        """Return why the advice of a page up to the newest hour is withheld; empty where it is not."""
        last = int(judged[-1])
        if int(asked[-1]) != last:
            return ""
        stale = "" if live is None else live.stale.get(key, "")
        return stale or ("" if newest.index == last else f"the record of {Hour(last)} cannot be read")

    def _newest_of_all(self) -> datetime:
        newest = newest_close([self._shelf.judged(key) for key in self.markets()])
        return newest or Hour(0).opens_at

    def _advice(
        self,
        hours: Sequence[HourGlance],
        standing: Standing,
        troubles: Troubles,
        *,
        is_long: bool,
    ) -> list[Advice]:
        """Return recommendations of the span, newest first; of a long one what wants or has an answer."""
        ids = [each for hour in reversed(hours) for each in hour.decisions]
        if is_long:
            newest = set(hours[-1].decisions)
            ids = [
                each
                for each in ids
                if each in newest or not self._is_quiet(each, troubles) or self._shelf.has_action(each)
            ]
        if len(ids) > MOST_ADVICE and is_long:
            why = f"{len(ids)} recommendations want or have an answer; the {MOST_ADVICE} newest are listed"
            troubles.add(Trouble("decision history", why, "Open a shorter span.", Tone.UNKNOWN))
            ids = ids[:MOST_ADVICE]
        found = (advice_of(self._shelf, each, standing, troubles) for each in ids)
        return [each for each in found if each is not None]


_DECIDED_D = 10  # days back in which an answer or an outcome may still come


def _current(advice: Sequence[Advice], newest: HourGlance) -> Advice | None:
    """Return the newest hour's recommendation that is not a mere CONTINUE or NO_SETUP, else any of it."""
    own = [each for each in advice if each.id in newest.decisions]
    telling = [each for each in own if each.action not in (Action.CONTINUE, Action.NO_SETUP)]
    return next(iter(telling or own), None)


def _what_there_is(judged: Hours) -> str:
    if not len(judged):
        return "none has been judged yet"
    first, last = Hour(int(judged[0])), Hour(int(judged[-1]))
    return f"judged are {len(judged)} hours from {first} to {last}"


def _day_before(days: Hours, asked: Hours) -> str | None:
    place = int(np.searchsorted(days, int(asked[0]) // _DAY_H))
    return _day_text(int(days[place - 1])) if place else None


def _day_after(days: Hours, asked: Hours) -> str | None:
    place = int(np.searchsorted(days, int(asked[-1]) // _DAY_H, side="right"))
    return _day_text(int(days[place])) if place < len(days) else None


def _day_text(day: int) -> str:
    return f"{Hour(_DAY_H * day).opens_at:%Y-%m-%d}"


def _tell_grids(root: Path, grids: Grids, key: str | None, troubles: Troubles) -> None:
    """Note the grid files that are not valid; a market's page leaves out those that name another one."""
    for path, why in grids.faults.items():
        if key is None or _may_be_of(root / path, key):
            troubles.add(Trouble("a grid", why, remedy_of(path), Tone.BAD))


def _may_be_of(path: Path, key: str) -> bool:
    """Say whether a damaged grid's file may be a market's: its id is free text, only its line tells."""
    try:
        found = _MARKET_LINE.search(path.read_bytes())
    except OSError:
        return True
    return found is None or found[1] == key.encode()


def _bounded(troubles: Troubles) -> tuple[Trouble, ...]:
    found = troubles.all()
    if len(found) <= _MOST_TROUBLES:
        return found
    more = len(found) - _MOST_TROUBLES
    rest = Trouble("more", f"{more} more files could not be read", "Run `regimed verify`.", Tone.BAD)
    return (*found[:_MOST_TROUBLES], rest)


def _reason(record: MetricsFile | None) -> tuple[Trouble, ...]:
    """Return why the page's hour has no verdict."""
    if record is None or record.verdict is not None:
        return ()
    why = record.reason or "it could not be judged"
    remedy = (
        "Its minutes are fetched again after 5 and 30 minutes, 6 and 24 hours; the next hour is judged anew."
    )
    return (Trouble(f"the hour {record.hour[:13]}", f"{record.outcome}: {why}", remedy),)


def _components(found: AnalysisYaml) -> Iterator[Fact]:
    part = found.components
    if part is not None:
        yield Fact("Regime", part.full_regime, note=f"confidence {part.confidence:.2f}, a distance")
        yield Fact("Trend", part.trend_state)
        yield Fact("Volatility", part.volatility_state)
        yield Fact("Momentum", part.momentum_state)
    yield Fact("Verdict on 4h", found.verdict_4h or "-")
    yield Fact("By evidence", found.evidence_verdict)
    yield Fact("By classic", found.classic_verdict)
    yield Fact("T", number(found.trendiness, 4), note="trendiness, 1h")
    yield Fact("T4", number(found.trendiness_4h, 4), note="trendiness, 4h")
    yield Fact("p0", number(found.barrier_probability, 4), note="uncalibrated")
    yield Fact("p of a transition", number(found.p_transition, 4))
    drawn = found.range
    yield Fact(
        "Range",
        f"{number(drawn.lower, 9)} to {number(drawn.upper, 9)}" + ("" if drawn.valid else ", not valid"),
        note=f"{drawn.width_pct:.2f} %, {drawn.width_atr:.1f} ATR wide; touches {drawn.touches_lower} below,"
        f" {drawn.touches_upper} above; {drawn.containment:.0%} of closes inside; {drawn.age_h} h old",
    )
    yield Fact("ATR", number(found.atr))
    yield Fact("Since the verdict changed", f"{found.dwell_h} h", note=f"{found.flips_168} changes in a week")
    for name, distance in found.distances.items():
        yield Fact(f"Distance to {name}", signed(distance))
    for name, reading in found.metrics.items():
        score = "" if reading.score is None else f"score {reading.score:.2f}, weight {reading.weight}/20"
        told = f"{number(reading.value)} {(reading.trend or '').lower()}".rstrip()
        yield Fact(name, told, note=reading.reason or score)
