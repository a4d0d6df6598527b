"""The numbers behind the charts, in rows: for screen readers, keyboards and exact reading. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from dashboard import spans, words
from dashboard.pages import GateState, MarketPage, QualityHour
from market.hours import HOUR_S, instant_of_ts

MOST_ROWS = 200


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of words, newest first, each with its instant; `step` is what a row covers."""

    step: str
    heads: tuple[str, ...]
    rows: tuple[tuple[datetime, tuple[str, ...]], ...]


def hours_table(page: MarketPage) -> Table:
    """Return the candles, at most MOST_ROWS."""
    span_s = int((page.end - page.start).total_seconds())
    bars = spans.joined(page.candles, spans.step_for(span_s, max(HOUR_S, page.candles.step_s), MOST_ROWS))
    columns = (bars.opens, bars.highs, bars.lows, bars.closes)
    stays = spans.placed(page.verdicts, page.start, page.end)
    lasts = bars.opens_ts + max(bars.step_s - HOUR_S, 0)
    band = [spans.as_of(page, each, lasts) for each in (page.band.lower, page.band.upper)]
    rows, place = [], 0
    for n, ts in enumerate(bars.opens_ts.tolist()):
        last = ts + bars.step_s - 1
        while place < len(stays) and stays[place].end <= last:
            place += 1
        found = stays[place] if place < len(stays) and stays[place].start <= last else None
        prices = [words.price(float(each[n]), page.candles.price_decimals) for each in (*columns, *band)]
        cells = (*prices[:4], words.verdict(found.name if found else None).word, *prices[4:])
        rows.append((instant_of_ts(ts), cells))
    heads = ("open", "high", "low", "close", "verdict", "range from", "to")
    return Table(spans.step_words(bars.step_s), heads, tuple(reversed(rows)))


def figures_table(page: MarketPage) -> Table:
    """Return confidence, probability, T and the metrics, at most MOST_ROWS."""
    span_s = int((page.end - page.start).total_seconds())
    step_s = spans.step_for(span_s, HOUR_S, MOST_ROWS)
    places = spans.last_places(page.hours_ts, step_s).tolist()
    rows = (
        (
            instant_of_ts(int(page.hours_ts[place])),
            tuple(words.figure(float(each.values[place])) for each in page.metrics),
        )
        for place in reversed(places)
    )
    return Table(spans.step_words(step_s), tuple(each.title for each in page.metrics), tuple(rows))


def quality_rows(hours: Sequence[QualityHour]) -> list[QualityHour]:
    """Return the hours of the table: all of two days, of more those with something to tell."""
    told = hours if len(hours) <= 48 else [each for each in hours if not each.minutes or _tells(each)]
    return list(told)[-MOST_ROWS:]


def by_grid(gates: Sequence[GateState]) -> dict[str, list[GateState]]:
    """Return the gates of each grid, in order."""
    found: dict[str, list[GateState]] = {}
    for each in gates:
        found.setdefault(each.grid_id, []).append(each)
    return {grid: sorted(each, key=lambda gate: gate.number) for grid, each in found.items()}


def _tells(hour: QualityHour) -> bool:
    return bool(hour.missing or hour.no_trade or hour.revised)
