"""The same charts as plain SVG for a page without script, and the small ones that need none. Pure.

Paths lie in a square of 1,000 units that the browser stretches, positions of words are percentages.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from backtest.charts import Tick, nice_ticks, time_ticks
from dashboard import charts, spans, words
from dashboard.pages import (
    CalibrationPanel,
    Candles,
    Check,
    Floats,
    GridPanel,
    Kpi,
    MarketPage,
    QualityHour,
    Series,
    Stay,
)

UNITS = 1000
MOST_BARS = 400
_NUMBER = re.compile(r"\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")


@dataclass(frozen=True, slots=True)
class Layer:
    """Paths of one style."""

    style: str
    path: str


@dataclass(frozen=True, slots=True)
class Plot:
    """One plot: layers from back to front, words beside it."""

    layers: tuple[Layer, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    notes: tuple[Tick, ...] = ()


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of a ribbon, in percent; `text` is as much of its name as has room."""

    at: str
    width: str
    badge: words.Badge
    text: str


@dataclass(frozen=True, slots=True)
class Dot:
    """A figure on a line: dot, interval and target in percent; None where there is none."""

    at: str | None
    low: str | None
    high: str | None
    target: str | None


@dataclass(frozen=True, slots=True)
class Distance:
    """How far a check lies from its threshold in the middle; in percent, to the right is to spare."""

    at: str
    width: str
    spare: bool


def distance_bar(check: Check) -> Distance | None:
    """Return a check's bar: a full half is as far as the threshold is from 0, or 1; None where unknown."""
    if check.distance is None or not math.isfinite(check.distance):
        return None
    number = _NUMBER.search(check.threshold)
    scale = abs(float(number.group())) if number else 1.0
    length = min(abs(check.distance) / (scale or 1.0), 1.0) * 50
    spare = check.distance >= 0
    return Distance(_pct(50 if spare else 50 - length), _pct(length), spare)


def price_plot(page: MarketPage) -> Plot | None:
    """Return candles, shading, range and levels; None without a candle."""
    span_s = int((page.end - page.start).total_seconds())
    bars = spans.joined(page.candles, spans.step_for(span_s, page.candles.step_s, MOST_BARS))
    limits = charts.price_limits(page, bars)
    if limits is None or not bars.opens_ts.shape[0]:
        return None
    low, high = limits
    ticks, decimals = nice_ticks(low, high)
    layers = [*_shading(page, bars.step_s)]
    for grid in charts.grids_drawn(page):
        layers.append(Layer("level", "".join(_level(each, low, high) for each in grid.levels)))
        exits = (each for each in (grid.stop_loss, grid.take_profit) if each is not None)
        layers.append(Layer("stop", "".join(_level(each, low, high) for each in exits)))
    ends = (page.band.upper, page.band.lower)
    layers += [Layer("band", _steps(page, each, bars.step_s, low, high)) for each in ends]
    layers += _candles(bars, page, low, high)
    notes = tuple(
        Tick(_pct(_down(value, low, high) / 10), f"{name} {words.price(value, bars.price_decimals)}")
        for grid in charts.grids_drawn(page)
        for name, value in (("stop-loss", grid.stop_loss), ("take profit", grid.take_profit))
        if value is not None
    )
    return Plot(
        tuple(each for each in layers if each.path),
        _times(page.start, page.end),
        tuple(
            Tick(_pct(_down(each, low, high) / 10), words.price(each, decimals))
            for each in ticks
            if low <= each <= high
        ),
        notes,
    )


def strip_plot(page: MarketPage, series: Series) -> Plot:
    """Return one figure over time."""
    low, high = charts.limits_of(series)
    step_s = spans.step_for(int((page.end - page.start).total_seconds()), 3600, MOST_BARS)
    path = _steps(page, series.values, step_s, low, high)
    ticks = (Tick("0", words.figure(high)), Tick("100", words.figure(low)))
    return Plot((Layer("line", path),) if path else (), (), ticks)


def sparkline(values: Floats) -> str:
    """Return the path of a small line without axes, broken at gaps; empty without two values."""
    finite = np.flatnonzero(np.isfinite(values))
    if finite.shape[0] < 2:
        return ""
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    room = (high - low) or 1.0
    at = finite / (values.shape[0] - 1) * 100
    up = (high - values[finite]) / room * 20 + 2
    begins = np.diff(finite, prepend=-2) > 1
    ends = np.append(begins[1:], [True])
    columns = (np.round(at).astype(int), np.round(up, 1), begins, ends)
    pairs = zip(*(each.tolist() for each in columns), strict=True)
    # an hour between two gaps is a dash, else nobody would see it
    return "".join(f"{'M' if b else 'L'}{x} {y:g}{'h1' if b and e else ''}" for x, y, b, e in pairs)


def ribbon(stays: Sequence[Stay], start: datetime, end: datetime, of: str) -> tuple[Part, ...]:
    """Return the stretches of verdicts (`verdict`), regimes (`regime`) or exit states (`exit`)."""
    first, span_s = int(start.timestamp()), int((end - start).total_seconds())
    found = spans.placed(stays, start, end)
    if len(found) > MOST_BARS:
        found = spans.coarse(found, spans.step_for(span_s, 3600, MOST_BARS))
    parts = []
    for each in found:
        badge = words.stretch(each.name, of)
        width = (each.end - each.start) / span_s
        at = _pct((each.start - first) / span_s * 100)
        parts.append(Part(at, _pct(width * 100), badge, words.fitting(badge, width)))
    return tuple(parts)


def kpi_dot(kpi: Kpi) -> Dot:
    """Return where a figure, its interval and its target lie on one line from 0."""
    told = [each for each in (kpi.value, kpi.low, kpi.high, kpi.target) if each is not None]
    least, most = min([0.0, *told]), max([0.0, *told])
    top = 1.0 if least >= 0 and most <= 1 else most * 1.1 or 1.0
    room = top - least

    def at(value: float | None) -> str | None:
        return None if value is None else _pct((value - least) / room * 100)

    return Dot(at(kpi.value), at(kpi.low), at(kpi.high), at(kpi.target))


def reliability(panel: CalibrationPanel) -> tuple[tuple[str, str, str], ...]:
    """Return each bin's dot: from the left, from the top, radius; a larger one has more hours."""
    most = max((each.n for each in panel.bins), default=1) or 1
    return tuple(
        (_pct(each.said * 100), _pct(100 - each.came * 100), _pct(3 + 5 * (each.n / most) ** 0.5))
        for each in panel.bins
        if each.n
    )


def minutes_path(hours: Sequence[QualityHour], mark: str) -> str:
    """Return unit squares for every minute of that mark, one hour a column, minute 0 on top."""
    cells = []
    for x, hour in enumerate(hours):
        minutes = hour.minutes or "-" * 60
        y = 0
        while y < 60:
            run = y
            while run < min(60, len(minutes)) and minutes[run] == mark:
                run += 1
            if run > y:
                cells.append(f"M{x} {y}h1v{run - y}h-1z")
            y = run + 1
    return "".join(cells)


def level_note(grid: GridPanel) -> str:
    """Return a grid's levels in words."""
    return ", ".join(words.price(each) for each in grid.levels)


def _shading(page: MarketPage, step_s: int) -> list[Layer]:
    first, span_s = int(page.start.timestamp()), (page.end - page.start).total_seconds()
    stays = spans.placed(page.verdicts, page.start, page.end)
    stays = spans.coarse(stays, step_s) if step_s > 3600 else stays
    paths: dict[str, list[str]] = {}
    for each in stays:
        x, width = (each.start - first) / span_s * UNITS, (each.end - each.start) / span_s * UNITS
        style = words.verdict(each.name).style
        paths.setdefault(style, []).append(f"M{_num(x)} 0h{_num(width)}v{UNITS}h-{_num(width)}z")
    return [Layer(f"shade {style}", "".join(parts)) for style, parts in sorted(paths.items())]


def _candles(bars: Candles, page: MarketPage, low: float, high: float) -> list[Layer]:
    first, span_s = int(page.start.timestamp()), (page.end - page.start).total_seconds()
    width = bars.step_s / span_s * UNITS
    wicks: list[str] = []
    rising: list[str] = []
    falling: list[str] = []
    columns = (bars.opens_ts, bars.opens, bars.highs, bars.lows, bars.closes)
    for ts, *prices in zip(*(each.tolist() for each in columns), strict=True):
        begin, top, bottom, close = (_down(each, low, high) for each in prices)
        left = (ts - first) / span_s * UNITS
        middle = _num(left + width / 2)
        upper, lower = min(begin, close), max(begin, close)
        wicks.append(f"M{middle} {_num(top)}V{_num(upper)}M{middle} {_num(lower)}V{_num(bottom)}")
        body, tall = _num(width * 0.64), _num(max(lower - upper, 1.0))
        box = f"M{_num(left + width * 0.18)} {_num(upper)}h{body}v{tall}h-{body}z"
        (rising if close <= begin else falling).append(box)
    return [
        Layer("wick", "".join(wicks)),
        Layer("body rising", "".join(rising)),
        Layer("body falling", "".join(falling)),
    ]


def _steps(page: MarketPage, values: Floats, step_s: int, low: float, high: float) -> str:
    """A line that keeps its value through each hour, with gaps where nothing is known."""
    first, span_s = int(page.start.timestamp()), (page.end - page.start).total_seconds()
    places = spans.last_places(page.hours_ts, step_s)
    width = _num(step_s / span_s * UNITS)
    parts, ended = [], -1
    for ts, value in zip(page.hours_ts[places].tolist(), values[places].tolist(), strict=True):
        begin = ts // step_s * step_s
        if not math.isfinite(value):
            continue
        y = _num(_down(min(max(value, low), high), low, high))
        follows = begin == ended
        parts.append(f"V{y}h{width}" if follows else f"M{_num((begin - first) / span_s * UNITS)} {y}h{width}")
        ended = begin + step_s
    return "".join(parts)


def _times(start: datetime, end: datetime) -> tuple[Tick, ...]:
    return time_ticks(int(start.timestamp()), int(end.timestamp()))


def _level(value: float, low: float, high: float) -> str:
    return f"M0 {_num(_down(value, low, high))}H{UNITS}"


def _down(value: float, low: float, high: float) -> float:
    return (high - value) / (high - low) * UNITS


def _num(value: float) -> str:
    return f"{round(value, 1):g}"


def _pct(value: float) -> str:
    return f"{round(value, 2):g}"
