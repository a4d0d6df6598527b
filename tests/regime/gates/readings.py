"""Readings at which every gate of the default preset holds, to be spoilt one number at a time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

from market.hours import Hour
from regime.analysis import Verdict
from regime.gates.fold import GateEvaluation, advanced, opened
from regime.gates.readings import GateReadings

unhurried = settings(deadline=None)  # on a busy machine
STOPPED_AT = "2026-02-02T14:07:00Z"
STOP_HOUR = Hour.parse("2026-02-02T14")
CALM = GateReadings(
    verdict=Verdict.RANGE_OK,
    close=100.0,
    atr=2.0,
    adx=20.0,
    adx_3_bars_ago=21.0,
    efficiency_ratio=0.2,
    slope=-0.1,
    half_life=11.0,
    autocorrelation=0.0,
    dickey_fuller_t=-3.0,
    excursions_48h=2.0,
    atr_ratio=1.0,
    expansion=1.2,
    atr_pct=0.8,
    turnover_24h=1e6,
    spacing_floor_pct=0.3,
    grid_notional=1000.0,
)
READ_BY = (
    ("adx", "adx_3_bars_ago", "efficiency_ratio", "slope"),
    ("half_life", "autocorrelation", "dickey_fuller_t", "excursions_48h"),
    ("atr_ratio", "expansion", "atr_pct", "spacing_floor_pct", "turnover_24h", "grid_notional"),
)
SPOILERS: tuple[dict[str, Any], ...] = ({"adx": 30.0}, {"half_life": 100.0}, {"atr_ratio": 2.0})


def calm(**other: Any) -> GateReadings:
    """Return the calm readings with some numbers changed."""
    return replace(CALM, **other)


def folded(hours: list[GateReadings | None], config: Any, start: GateEvaluation | None = None) -> Any:
    """Return the evaluations of consecutive hours after the stop, that of the stop's hour first."""
    found = [start or opened(STOPPED_AT, STOP_HOUR)]
    for readings in hours:
        found.append(advanced(found[-1], Hour.parse(found[-1].hour).plus(1), readings, config))
    return found


# Hours as they come after a stop: mostly calm, now and then spoilt, restless, leaping or missing.
some_hour = st.one_of(
    st.just(CALM),
    st.just(CALM),
    st.just(CALM),
    st.just(None),
    st.sampled_from(SPOILERS).map(lambda change: calm(**change)),
    st.sampled_from([name for names in READ_BY for name in names]).map(lambda name: calm(**{name: None})),
    st.sampled_from([Verdict.RANGE_WEAK, Verdict.TRANSITION, Verdict.TREND]).map(lambda v: calm(verdict=v)),
    st.floats(90.0, 110.0).map(lambda close: calm(close=close)),
    st.just(calm(atr=None)),
)
some_hours = st.lists(some_hour, max_size=30)
