"""The index against the files that it is derived from: every row made anew and compared."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from daemon.regime_forms import time_of
from market.candles import Bars
from market.errors import IndexChanged
from market.hours import HOUR_S, Timeframe
from regime.series import STORED, RegimeRows, RegimeRules
from store.commits import CommittedChanges
from store.index.regime_index import RegimeIndex
from store.index.state import SeriesState
from store.regime_rows import RepositoryRegimes, SeriesPart, market_keys, recorded_span


def index_findings(
    index: RegimeIndex,
    regimes: RepositoryRegimes,
    rules: RegimeRules,
    changes: CommittedChanges,
    told: Callable[[str, int, int], None],
) -> list[str]:
    """Return what is wrong with the index, one line each.

    Args:
        index: Is read only.
        regimes: Makes the rows that it should hold.
        rules: In force.
        changes: Of the repository.
        told: Is told how far it came: market, hours done, hours in all.

    Raises:
        IndexUnavailable: It does not answer.
    """
    findings = index.check()
    spans = {key: span for key in market_keys(regimes.root) if (span := recorded_span(regimes.root, key))}
    whole, done = sum((end - start) // HOUR_S for start, end in spans.values()), 0
    states, head = index.states(), changes.head()
    for key, timeframe in sorted(states, key=lambda name: (name[0], name[1].seconds)):
        if key not in spans:
            findings.append(f"{key} {timeframe.value}: the repository holds nothing of this market")
    for key, (start, end) in spans.items():
        for timeframe in STORED:
            findings += _behind(states.get((key, timeframe)), key, timeframe, end, rules, head)
        current = [each for each in STORED if _is_current(states.get((key, each)), rules)]
        since = start
        for until, parts in regimes.parts(key, current, start, end) if current else ():
            for timeframe, part in parts.items():
                findings += _differences(index, states[key, timeframe], part, (since, until))
            since = until
            told(key, done + (until - start) // HOUR_S, whole)
        done += (end - start) // HOUR_S
    findings += [f"{fault}: counts as not there" for fault in regimes.faults()]
    return findings


def _is_current(state: SeriesState | None, rules: RegimeRules) -> bool:
    return state is not None and state.rules == rules


def _behind(
    state: SeriesState | None, key: str, timeframe: Timeframe, end: int, rules: RegimeRules, head: str | None
) -> list[str]:
    name = f"{key} {timeframe.value}"
    if state is None:
        return [f"{name}: not stored"]
    if state.rules != rules:
        theirs, ours = (f"{each.engine_version} {each.parameters[:19]}" for each in (state.rules, rules))
        return [f"{name}: stale, {state.counts.rows} rows of engine and parameters {theirs}, not {ours}"]
    if state.filled_to_ts < timeframe.floor(end):
        return [f"{name}: filled to {time_of(state.filled_to_ts)}, data reach to {time_of(end)}"]
    if state.source != head:
        return [f"{name}: made from commit {state.source[:12]}, the newest is {str(head)[:12]}"]
    return []


def _differences(
    index: RegimeIndex, state: SeriesState, part: SeriesPart, month: tuple[int, int]
) -> list[str]:
    """Return where stored rows and bars of a month differ from those of the files."""
    name = f"{state.symbol} {state.timeframe.value}"
    start, end = month[0], min(month[1], state.filled_to_ts)
    rows, bars = part.rows.between(start, end), part.bars.between(start, end)
    try:
        stored = index.get_regimes(state.symbol, state.timeframe, start, end, of=state)
        candles = index.get_candles(state.symbol, state.timeframe, start, end, of=state)
    except IndexChanged:
        return [f"{name}: written while it was looked at; check again"]
    findings = []
    if not stored.same_as(rows):
        at = _first_difference(stored, rows)
        findings.append(f"{name}: rows differ from those of the files, the first at {time_of(at)}")
    if not _same_bars(candles, state, bars, part):
        findings.append(f"{name}: candles from {time_of(start)} on differ from those of the files")
    return findings


def _first_difference(one: RegimeRows, two: RegimeRows) -> int:
    shared = min(len(one), len(two))
    differ = (
        (one.ts[:shared] != two.ts[:shared])
        | (one.full[:shared] != two.full[:shared])
        | (one.verdict[:shared] != two.verdict[:shared])
        | (one.confidence[:shared] != two.confidence[:shared])
    )
    longer = one if len(one) > len(two) else two
    place = int(np.argmax(differ)) if differ.any() else shared
    return int(longer.ts[place])


def _same_bars(stored: Bars, state: SeriesState, made: Bars, part: SeriesPart) -> bool:
    """Compare values, not scales: a series keeps the finest scale that it ever had."""
    price = max(state.price_scale, part.price_scale)
    volume = max(state.volume_scale, part.volume_scale)
    one = stored.rescaled(price // state.price_scale, volume // state.volume_scale)
    two = made.rescaled(price // part.price_scale, volume // part.volume_scale)
    return all(np.array_equal(a, b) for a, b in zip(one.columns(), two.columns(), strict=True))
