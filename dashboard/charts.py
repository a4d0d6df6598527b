"""A market page's two charts as options of Apache ECharts: plain data, no function in them. Pure.

Colours are the names of the style's variables, as `var(--ink)`: the page puts in what they are by day and by
night. All charts of a page lie on one time axis and move together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from backtest.charts import nice_ticks
from dashboard import spans, words
from dashboard.pages import Candles, Floats, GridPanel, MarketPage, Series

MOST_BARS = 1500
MOST_RIBBONS = 3
EXACT_SPAN_S = 14 * 86_400  # up to here grid levels set the height; beyond, the zoom does
_LEFT, _PRICE_PX, _RIBBON_PX, _VOLUME_PX, _SLIDER_PX, _STRIP_PX, _TITLE_PX = 8, 320, 18, 44, 30, 58, 24
_TOP, _BOTTOM = "Range top", "Range bottom"
_TEXT = "var(--ink)"
_SOFT = "var(--soft)"
_RULE = "var(--rule)"

Options = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart: what the library draws, how high it is, and what it shows in words."""

    name: str
    height_px: int
    options: Options
    told: str


def price_chart(page: MarketPage) -> Chart:
    """Return candles under the verdicts' shading, range and grid levels, ribbons, and the volume."""
    span_s = int((page.end - page.start).total_seconds())
    step_s = spans.step_for(span_s, page.candles.step_s, MOST_BARS)
    bars = spans.joined(page.candles, step_s)
    stays, regimes = (
        spans.coarse(spans.placed(each, page.start, page.end), step_s)
        for each in (page.verdicts, page.regimes)
    )
    running = [each for each in page.grids if each.is_running and each.states][:MOST_RIBBONS]
    exact = span_s <= EXACT_SPAN_S
    right = price_room(page)

    tops = [10]
    heights = [_PRICE_PX]
    for _ in range(2 + len(running)):
        tops.append(tops[-1] + heights[-1] + 4)
        heights.append(_RIBBON_PX)
    tops.append(tops[-1] + heights[-1] + 6)
    heights.append(_VOLUME_PX)
    last = len(tops) - 1
    bottom = tops[-1] + heights[-1] + 24

    series: list[Options] = [
        {
            "type": "candlestick",
            "name": "Price",
            "encode": {"x": "t", "y": ["open", "close", "low", "high"]},
            "barMaxWidth": 18,
            "itemStyle": {
                "color": "var(--page)",
                "color0": "var(--down)",
                "borderColor": "var(--up)",
                "borderColor0": "var(--down)",
            },
            "markArea": {"silent": True, "data": _shades(stays, "verdict", step_s)},
            "markLine": {
                "silent": True,
                "symbol": "none",
                "animation": False,
                "data": _level_lines(grids_drawn(page), bars.price_decimals),
            },
        },
        *(
            {
                "type": "line",
                "name": name,
                "encode": {"x": "t", "y": name},
                "step": "middle",
                "showSymbol": False,
                "lineStyle": {"type": "dashed", "width": 1.5, "color": "var(--band)"},
                "itemStyle": {"color": "var(--band)"},
            }
            for name in (_TOP, _BOTTOM)
        ),
        _ribbon(1, "Verdict", _shades(stays, "verdict", step_s, span_s)),
        _ribbon(2, "Regime", _shades(regimes, "regime", step_s, span_s)),
    ]
    for place, grid in enumerate(running, start=3):
        states = spans.placed(grid.states, page.start, page.end)
        series.append(_ribbon(place, f"Exit {grid.grid_id}", _shades(states, "exit", step_s, span_s)))
    series.append(
        {
            "type": "bar",
            "name": "Volume",
            "encode": {"x": "t", "y": "Volume"},
            "xAxisIndex": last,
            "yAxisIndex": last,
            "barMaxWidth": 18,
            "itemStyle": {"color": "var(--volume)"},
        }
    )
    axes_y: list[Options] = [_price_axis(page, bars, exact=exact)]
    axes_y += [
        {"gridIndex": place, "type": "value", "min": 0, "max": 1, "show": False} for place in range(1, last)
    ]
    axes_y.append({"gridIndex": last, "type": "value", "min": 0, "show": False})
    options = {
        **_common(page, step_s, right, tops, heights),
        "dataset": {"source": _bar_columns(page, bars)},
        "yAxis": axes_y,
        "series": series,
        "dataZoom": _zoom(last + 1, span_s, bottom),
    }
    told = (
        f"{spans.step_words(step_s)} candles of {page.key} with the verdict as shading, the range and the "
        "levels of the grids; the table below has the numbers"
    )
    return Chart("price", bottom + (_SLIDER_PX if _slides(span_s) else 0), options, told)


def figures_chart(page: MarketPage) -> Chart:
    """Return confidence, probability, T and the six metrics below each other."""
    span_s = int((page.end - page.start).total_seconds())
    step_s = spans.step_for(span_s, 3600, MOST_BARS)
    bar_s = spans.step_for(span_s, page.candles.step_s, MOST_BARS)
    count = len(page.metrics)
    tops = [_TITLE_PX + n * (_STRIP_PX + _TITLE_PX) for n in range(count)]
    series: list[Options] = []
    axes_y: list[Options] = []
    titles: list[Options] = []
    for place, each in enumerate(page.metrics):
        low, high = limits_of(each)
        series.append(
            {
                "type": "line",
                "name": each.title,
                "xAxisIndex": place,
                "yAxisIndex": place,
                "encode": {"x": "t", "y": f"{place}"},
                "step": "middle",
                "showSymbol": False,
                "lineStyle": {"width": 1.6, "color": "var(--line)"},
                "itemStyle": {"color": "var(--line)"},
                "areaStyle": {"color": "var(--line)", "opacity": 0.08, "origin": "start"},
            }
        )
        axes_y.append(
            {
                "gridIndex": place,
                "type": "value",
                "position": "right",
                "min": low,
                "max": high,
                "interval": high - low,
                "axisLabel": {"color": _SOFT, "fontSize": 11},
                "splitLine": {"lineStyle": {"color": _RULE}},
            }
        )
        titles.append(
            {
                "text": series_title(each),
                "left": _LEFT - 5,
                "top": tops[place] - _TITLE_PX + 2,
                "textStyle": {"fontSize": 12, "fontWeight": "normal", "color": _TEXT},
            }
        )
    options = {
        **_common(page, bar_s, price_room(page), tops, [_STRIP_PX] * count),
        "dataset": {"source": _hour_columns(page, step_s, bar_s)},
        "title": titles,
        "yAxis": axes_y,
        "series": series,
        "dataZoom": _zoom(count, span_s, None),
    }
    told = f"confidence, hold probability, trendiness and the metrics of {page.key}, one below the other"
    return Chart("figures", (tops[-1] if tops else 0) + _STRIP_PX + 26, options, told)


def series_title(series: Series) -> str:
    """Return a strip's title: name, newest value, weight."""
    finite = series.values[np.isfinite(series.values)]
    newest = words.figure(float(finite[-1])) if finite.shape[0] else "not known"
    weight = f"  (weight {series.weight_pct:g} %)" if series.weight_pct is not None else ""
    return f"{series.title}  {newest}{weight}"


def limits_of(series: Series) -> tuple[float, float]:
    """Return a strip's axis: as told, else round values about what was found."""
    found = spans.bounds(series.values) or (0.0, 1.0)
    ticks, decimals = nice_ticks(*found)
    low = series.low if series.low is not None else round(ticks[0], decimals)
    high = series.high if series.high is not None else round(ticks[-1], decimals)
    return (low, high) if low < high else (low, low + 1.0)


def price_room(page: MarketPage) -> int:
    """Return the pixels right of the plots that the longest price needs."""
    found = spans.bounds(page.candles.highs)
    return 16 + 7 * max(6, len(words.price(found[1], page.candles.price_decimals)) if found else 6)


def _common(
    page: MarketPage, step_s: int, right: int, tops: Sequence[int], heights: Sequence[int]
) -> Options:
    """The frame: a bar stands above its opening time, so all that lasts lies half a bar to the left."""
    first, end, count = _ms(page.start.timestamp(), step_s), _ms(page.end.timestamp(), step_s), len(tops)
    return {
        "animation": False,
        "textStyle": {"fontFamily": "inherit", "color": _TEXT},
        "grid": [
            {
                "left": _LEFT,
                "right": right,
                "top": top,
                "height": height,
                "outerBoundsMode": "none",
            }
            for top, height in zip(tops, heights, strict=True)
        ],
        "xAxis": [
            {
                "gridIndex": place,
                "type": "time",
                "min": first,
                "max": end,
                "containShape": False,
                "axisLabel": {
                    "show": place == count - 1,
                    "color": _SOFT,
                    "fontSize": 11,
                    "hideOverlap": True,
                },
                "axisLine": {"show": True, "lineStyle": {"color": _RULE}},
                "axisTick": {"show": place == count - 1, "lineStyle": {"color": _RULE}},
                "splitLine": {"show": False},
                "axisPointer": {"label": {"show": False}},
            }
            for place in range(count)
        ],
        "axisPointer": {"link": [{"xAxisIndex": "all"}], "lineStyle": {"color": _SOFT}},
        "tooltip": {
            "trigger": "axis",
            "confine": True,
            "backgroundColor": "var(--card)",
            "borderColor": _RULE,
            "textStyle": {"color": _TEXT, "fontSize": 12},
        },
    }


def _zoom(count: int, span_s: int, slider_top: int | None) -> list[Options]:
    """A wheel zooms only with Ctrl, a finger scrolls the page: the slider moves the span."""
    axes = list(range(count))
    inside = {
        "type": "inside",
        "xAxisIndex": axes,
        "zoomOnMouseWheel": "ctrl",
        "moveOnMouseMove": False,
        "moveOnMouseWheel": False,
        "preventDefaultMouseMove": False,
    }
    slider = {
        "type": "slider",
        "xAxisIndex": axes,
        "show": slider_top is not None and _slides(span_s),
        "top": slider_top or 0,
        "height": 20,
        "left": 24,
        "right": 60,
        "brushSelect": False,
        "showDataShadow": False,
        "showDetail": False,
        "borderColor": _RULE,
        "fillerColor": "var(--filler)",
        "handleSize": "130%",
    }
    return [inside, slider]


def _slides(span_s: int) -> bool:
    return span_s > 86_400


def _bar_columns(page: MarketPage, bars: Candles) -> dict[str, list[float | int | None]]:
    """The columns of the price chart; the range at a bar is the one of its last hour."""
    prices = {"open": bars.opens, "close": bars.closes, "low": bars.lows, "high": bars.highs}
    lasts = bars.opens_ts + max(bars.step_s - 3600, 0)
    band = {
        _TOP: spans.as_of(page, page.band.upper, lasts),
        _BOTTOM: spans.as_of(page, page.band.lower, lasts),
    }
    return {
        "t": [1000 * at for at in bars.opens_ts.tolist()],
        **{name: _rounded(each, bars.price_decimals) for name, each in {**prices, **band}.items()},
        "Volume": _significant(bars.volumes),
    }


def _hour_columns(page: MarketPage, step_s: int, bar_s: int) -> dict[str, list[float | int | None]]:
    """The columns of the figures, by their place; of steps longer than an hour the last hour's.

    Under bars shorter than an hour each figure stands once a bar: so both charts share one axis.
    """
    places = spans.last_places(page.hours_ts, step_s)
    parts = np.arange(0, step_s, min(bar_s, step_s))
    at = (page.hours_ts[places] // step_s * step_s)[:, None] + parts
    columns = {
        f"{n}": _significant(np.repeat(each.values[places], parts.shape[0]))
        for n, each in enumerate(page.metrics)
    }
    return {"t": [1000 * ts for ts in at.ravel().tolist()], **columns}


def _ribbon(place: int, name: str, areas: list[list[Options]]) -> Options:
    """A row of areas, each with as much of its name as has room."""
    return {
        "type": "line",
        "name": name,
        "xAxisIndex": place,
        "yAxisIndex": place,
        "data": [],
        "silent": True,
        "markArea": {
            "silent": True,
            "label": {"position": "inside", "color": _TEXT, "fontSize": 11},
            "data": areas,
        },
    }


def _shades(stays: Sequence[spans.Placed], of: str, step_s: int, span_s: int = 0) -> list[list[Options]]:
    """Areas of ECharts: pairs of corners; with a span they are opaque and named."""
    made = []
    for each in stays:
        badge = words.stretch(each.name, of)
        kind = "fill" if span_s else "shade"
        corner: Options = {"xAxis": _ms(each.start, step_s)}
        corner["itemStyle"] = {"color": f"var(--{kind}-{badge.style})"}
        if span_s:
            part = (each.end - each.start) / span_s
            if name := words.fitting(badge, part):
                corner["name"] = name
            if badge.style == "urgent":
                corner["label"] = {"color": "var(--urgent-ink)"}
        made.append([corner, {"xAxis": _ms(each.end, step_s)}])
    return made


def _ms(ts: float, step_s: int) -> int:
    return int(1000 * ts) - 500 * step_s


def _level_lines(grids: Sequence[GridPanel], decimals: int) -> list[Options]:
    lines: list[Options] = []
    for grid in grids:
        for level in grid.levels:
            style = {"type": "dotted", "width": 1, "color": "var(--level)"}
            lines.append({"yAxis": round(level, decimals), "lineStyle": style, "label": {"show": False}})
        for name, price in (("stop-loss", grid.stop_loss), ("take profit", grid.take_profit)):
            if price is not None:
                text = f"{name} {words.price(price, decimals)}"
                lines.append(
                    {
                        "yAxis": round(price, decimals),
                        "name": name,
                        "lineStyle": {"type": "solid", "width": 1.5, "color": "var(--stop)"},
                        "label": {
                            "position": "insideStartTop",
                            "formatter": text,
                            "color": _TEXT,
                            "fontSize": 11,
                        },
                    }
                )
    return lines


def grids_drawn(page: MarketPage) -> list[GridPanel]:
    """Return the grids whose levels are drawn: running ones, on spans that are not far longer than they."""
    is_short = (page.end - page.start).total_seconds() <= EXACT_SPAN_S
    return [each for each in page.grids if each.is_running and is_short]


def price_limits(page: MarketPage, bars: Candles) -> tuple[float, float] | None:
    """Return what the price plot shows: candles, range and running grids' levels, with a little room."""
    extra = [
        value
        for grid in grids_drawn(page)
        for value in (*grid.levels, grid.stop_loss, grid.take_profit)
        if value is not None
    ]
    columns = (bars.lows, bars.highs, page.band.lower, page.band.upper, np.asarray(extra, dtype=np.float64))
    found = spans.bounds(*columns)
    if found is None:
        return None
    room = (found[1] - found[0]) * 0.04 or abs(found[0]) * 0.01 or 1.0
    return found[0] - room, found[1] + room


def _price_axis(page: MarketPage, bars: Candles, *, exact: bool) -> Options:
    axis: Options = {
        "gridIndex": 0,
        "type": "value",
        "scale": True,
        "position": "right",
        "axisLabel": {"color": _SOFT, "fontSize": 11, "showMinLabel": False, "showMaxLabel": False},
        "splitLine": {"lineStyle": {"color": _RULE}},
    }
    limits = price_limits(page, bars)
    if exact and limits:
        low, high = (round(each, bars.price_decimals) for each in limits)
        axis |= {"min": low, "max": high}
    return axis


def _rounded(values: Floats, decimals: int) -> list[float | int | None]:
    told = np.round(values, decimals).tolist()
    return [_brief(value) for value in told]


def _significant(values: Floats) -> list[float | int | None]:
    return [_brief(float(f"{value:.4g}")) for value in values.tolist()]


def _brief(value: float) -> float | int | None:
    return None if not math.isfinite(value) else int(value) if value.is_integer() else value
