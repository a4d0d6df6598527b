"""Where the parts of a chart lie: geometry alone, in shares of the plot; the template draws it. Pure.

Positions along an axis are percentages as text, so that a chart fits any width while its words keep their
size; lines lie in a square of 1,000 units that the browser stretches. Texts, not floats, so that the same
result gives the same bytes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from market.candles import Floats
from market.hours import HOUR_S, instant_of_ts

UNITS = 1000
MOST_POINTS = 2000  # of a line; beyond it each thousandth of the width keeps its first, least, most and last
MOST_TICKS = 5
MOST_NAMES = 9  # of columns, side by side on a phone
_STEPS_H = (1, 2, 3, 6, 12, 24, 48, 96, 168, 336, 720, 1440, 2160, 4320, 8760, 17520, 43800, 87600)


@dataclass(frozen=True, slots=True)
class Tick:
    """A label on an axis; `at` is a percentage from the left, or from the top."""

    at: str
    label: str


@dataclass(frozen=True, slots=True)
class Line:
    """One series: its name is the style's, `path` the d of an SVG path, `area` the same closed at zero."""

    name: str
    path: str
    area: str


@dataclass(frozen=True, slots=True)
class LineChart:
    """Series over time; `zero` is where zero lies, from the top, None outside the plot."""

    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    lines: tuple[Line, ...]
    zero: str | None


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of rows or columns.

    Attributes:
        label: What it is of.
        told: Its value in words.
        at, length: Where it begins, and how long it is: from the left in rows, from the top in columns.
        below: Whether its value is less than 0.
        place, middle: Of a column, its left edge and its middle; of a row, unused.
        named: Whether the label of a column has room.
    """

    label: str
    told: str
    at: str
    length: str
    below: bool
    place: str = "0"
    middle: str = "0"
    named: bool = True


@dataclass(frozen=True, slots=True)
class BarChart:
    """Bars from a common zero; `width` of each column."""

    bars: tuple[Bar, ...]
    zero: str
    width: str = "0"


def line_chart(
    at_ts: Sequence[int], series: Mapping[str, Sequence[float]], told: Callable[[float, int], str]
) -> LineChart:
    """Return the geometry of series over time.

    Args:
        at_ts: Epoch seconds of the points, ascending.
        series: By name, each as long as `at_ts`, finite.
        told: A tick's value and the decimals that its step needs, in words.
    """
    values = {name: np.asarray(each, dtype=np.float64) for name, each in series.items()}
    least = min(float(each.min()) for each in values.values())
    most = max(float(each.max()) for each in values.values())
    ticks, decimals = nice_ticks(least, most)
    low, high = ticks[0], ticks[-1]
    times = np.asarray(at_ts, dtype=np.float64)
    x = (times - times[0]) / max(times[-1] - times[0], 1.0) * UNITS
    base = _units(0.0 if low <= 0.0 <= high else low, low, high)
    lines = []
    for name, each in values.items():
        kept = kept_points(each)
        path = "".join(
            f"{'L' if number else 'M'}{_text(x[place])} {_text(_units(float(each[place]), low, high))}"
            for number, place in enumerate(kept)
        )
        lines.append(
            Line(name, path, f"{path}L{_text(x[kept[-1]])} {_text(base)}L{_text(x[0])} {_text(base)}Z")
        )
    return LineChart(
        x_ticks=time_ticks(at_ts[0], at_ts[-1]),
        y_ticks=tuple(Tick(_text(_units(each, low, high) / 10), told(each, decimals)) for each in ticks),
        lines=tuple(lines),
        zero=_text(base / 10) if low <= 0.0 <= high else None,
    )


def row_chart(rows: Sequence[tuple[str, float, str]]) -> BarChart:
    """Return horizontal bars, one below the other: label, value, value in words."""
    least, most = min(0.0, *(value for _, value, _ in rows)), max(0.0, *(value for _, value, _ in rows))
    span = (most - least) or 1.0
    zero = -least / span * 100
    bars = tuple(
        Bar(
            label, told, _text(zero + min(value, 0.0) / span * 100), _text(abs(value) / span * 100), value < 0
        )
        for label, value, told in rows
    )
    return BarChart(bars, _text(zero))


def column_chart(columns: Sequence[tuple[str, float, str]], most_names: int = MOST_NAMES) -> BarChart:
    """Return vertical bars, side by side; of many, only some have room for their label."""
    least, most = min(0.0, *(value for _, value, _ in columns)), max(0.0, *(value for _, value, _ in columns))
    span = (most - least) or 1.0
    zero = most / span * 100
    room = 100 / len(columns)
    every = math.ceil(len(columns) / most_names)
    bars = tuple(
        Bar(
            label,
            told,
            _text(zero - max(value, 0.0) / span * 100),
            _text(abs(value) / span * 100),
            value < 0,
            place=_text(number * room + room * 0.1),
            middle=_text((number + 0.5) * room),
            named=number % every == 0,
        )
        for number, (label, value, told) in enumerate(columns)
    )
    return BarChart(bars, _text(zero), _text(room * 0.8))


def nice_ticks(least: float, most: float) -> tuple[list[float], int]:
    """Return round values that enclose two others, ascending, and the decimals that tell them apart."""
    if least == most:
        room = abs(least) * 0.01 or 1.0
        least, most = least - room, most + room
    rough = (most - least) / (MOST_TICKS - 1)
    power = math.floor(math.log10(rough))
    factor = next(each for each in (1.0, 2.0, 2.5, 5.0, 10.0) if each * 10.0**power >= rough * (1 - 1e-9))
    step = factor * 10.0**power
    first, last = math.floor(least / step + 1e-9), math.ceil(most / step - 1e-9)
    decimals = max(0, -power + (1 if factor == 2.5 else 0) - (1 if factor == 10.0 else 0))
    return [number * step for number in range(first, last + 1)], decimals


def kept_points(values: Floats) -> list[int]:
    """Return the places of the points that a line needs: all of a few, the outline of many."""
    count = values.shape[0]
    if count <= MOST_POINTS:
        return list(range(count))
    edges = np.linspace(0, count, MOST_POINTS // 4 + 1).astype(int)
    kept = {0, count - 1}
    for first, last in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        part = values[first:last]
        kept |= {first, first + int(part.argmin()), first + int(part.argmax()), last - 1}
    return sorted(kept)


def time_ticks(first: int, last: int) -> tuple[Tick, ...]:
    hours = max((last - first) / HOUR_S, 1e-9)
    step_h = next((each for each in _STEPS_H if hours / each < MOST_TICKS), _STEPS_H[-1])
    step = step_h * HOUR_S
    form = "%H:%M" if step_h < 24 else "%d %b" if hours < 8_760 else "%b %Y"
    begin = -(-first // step) * step
    return tuple(
        Tick(_text((each - first) / (last - first) * 100), f"{instant_of_ts(each):{form}}")
        for each in range(begin, last + 1, step)
        if last > first
    )


def _units(value: float, low: float, high: float) -> float:
    return (high - value) / (high - low) * UNITS


def _text(number: float) -> str:
    text = f"{number:.2f}".rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text
