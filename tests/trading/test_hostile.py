"""No signal sees what comes later, and none stumbles over a window as bad as an exchange can make it."""

from __future__ import annotations

import math
import sys
import timeit
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grid.geometry import Spacing
from grid.parameters import GridParameters
from market.candles import Bars, joined, no_bars
from market.hours import HOUR_S, Timeframe
from regime.analysis import RegimeAnalysis
from tests.decisions.builders import ANALYSIS, reading
from tests.trading.views import (
    HOUR,
    SCALE,
    hours_of,
    in_regime,
    loud,
    noise,
    rise,
    spike,
    view_of,
    with_metrics,
)
from trading.signals.registry import SIGNALS, build
from trading.values import MarketView, Trigger, TriggerKind

GRID = GridParameters(1, Decimal(1900), Decimal(2100), 8, Spacing.GEOMETRIC, Decimal(50))
EAGER = build(
    {
        "price_move": {"bars": 2, "baseline_bars": 24, "minimum_sigmas": 0.01, "minimum_volume_ratio": 0.01},
        "momentum": {"bars": 3, "minimum_adx": 1, "minimum_efficiency": 0, "minimum_sigmas": 0.01},
        "mean_reversion": {
            "bars": 5,
            "minimum_deviations": 0.01,
            "outside_margin": 5,
            "minimum_target_atr": 0,
        },
        "grid": {},
        "regime": {"sma_bars": 5, "sma_slope_bars": 2, "trending_adx": 50, "minimum_confidence": 0},
    }
)
DEFAULTS = build({name: {} for name in SIGNALS})
UP = with_metrics(
    in_regime("TREND_UP", diagnostics={**ANALYSIS.diagnostics, "adx_3_bars_ago": 10.0}),
    adx=30.0,
    efficiency_ratio=0.5,
)


def fired(view: MarketView, signals: Any = EAGER) -> list[Trigger]:
    return [trigger for signal in signals for trigger in signal.scan(view)]


def assert_sound(view: MarketView, triggers: list[Trigger]) -> None:
    """What any trigger has to be, whatever it came from."""
    for found in triggers:
        assert (found.key, found.hour) == (view.key, view.hour)
        assert 0 <= found.strength <= 1 and 0 <= found.confidence <= 1
        assert math.isfinite(found.conviction) and found.reason
        if found.kind is TriggerKind.GRID:
            assert found.grid is not None and found.price > 0
            continue
        assert found.stop is not None and found.target is not None and found.max_hold_h is not None
        assert 0 < found.stop < found.price < found.target
        assert found.stop % view.terms.price_increment == found.target % view.terms.price_increment == 0


PRICES = st.lists(st.integers(1, 400_000), min_size=1, max_size=40)


@st.composite
def bars(draw: st.DrawFn, first_ts: int | None = None) -> Bars:
    """Any valid bars: holes, flat stretches, no volume, jumps from a cent to thousands."""
    closes = draw(PRICES)
    n = len(closes)
    close = np.array(closes, dtype=np.int64)
    if draw(st.booleans()):  # calm, so that thresholds are met now and then
        close = 200_000 + close % 2_000
    volume = np.array(draw(st.lists(st.sampled_from([0, 1, 1000, 10**15]), min_size=n, max_size=n)))
    wick = draw(st.integers(0, 500))
    low = np.maximum(close - wick, 1)
    if first_ts is None:
        first_ts = HOUR.open_ts - HOUR_S * (n - 1)
    ts = first_ts + HOUR_S * np.arange(n, dtype=np.int64)
    kept = np.array(draw(st.lists(st.sampled_from([True] * 30 + [False]), min_size=n, max_size=n)))
    return Bars(Timeframe.H1, ts, close, close + wick, low, close, volume.astype(np.int64)).at(kept)


FIGURE = st.none() | st.sampled_from([0.0, -1.0, 1e-12, 0.004, 20.0, 1e12, math.nan, math.inf, -math.inf])


@st.composite
def analyses(draw: st.DrawFn) -> RegimeAnalysis | None:
    """Any analysis: figures that are missing, 0, huge or not numbers, in any regime, with any range."""
    if draw(st.booleans()) and draw(st.booleans()):
        return None
    found = in_regime(draw(st.sampled_from(["TREND_UP", "TREND_UP", "RANGE", "CHOPPY"])))
    ranged = replace(
        found.range,
        lower=draw(st.sampled_from([0.0, 1900.0, 1e9, math.nan])),
        mid=draw(st.sampled_from([0.0, 2000.0, 2010.0, 1e9, math.nan])),
        valid=draw(st.booleans()),
    )
    plausible = draw(st.booleans())
    told = st.just(20.0) if plausible else FIGURE
    metrics = {name: reading(draw(told)) for name in ("adx", "efficiency_ratio")}
    return replace(
        found,
        atr=draw(told),
        hourly_sigma=draw(st.just(0.004) if plausible else FIGURE),
        hold_probability=draw(FIGURE),
        metrics=draw(st.sampled_from([metrics, {}])),
        diagnostics=draw(st.sampled_from([{"adx_3_bars_ago": 10.0}, {"adx_3_bars_ago": None}, {}])),
        range=ranged,
    )


@settings(max_examples=300)
@given(bars(), analyses(), bars(HOUR.close_ts), st.sampled_from([EAGER, DEFAULTS]))
def test_bars_after_the_hour_change_nothing(past, found, future, signals):
    """Whatever comes later, even into the same window, a signal at hour t says what it said at hour t."""
    view = view_of(past, found, setup=GRID, setup_confidence=0.7)
    later = replace(view, window=replace(view.window, bars={Timeframe.H1: joined([past, future])}))
    before = fired(view, signals)
    assert_sound(view, before)
    assert fired(later, signals) == before


@settings(max_examples=100)
@given(bars(), analyses(), FIGURE, FIGURE)
def test_any_window_gives_sound_triggers_or_none(past, found, confidence, atr):
    """Holes, no volume, prices of a cent, figures that are none: no exception, and never a stop above."""
    if found is not None:
        found = replace(found, atr=atr)
    view = view_of(past, found, setup=GRID, setup_confidence=confidence)
    assert_sound(view, fired(view))
    assert fired(view) == fired(view)


def ready() -> dict[str, MarketView]:
    """Return a view for each signal in which it fires by its defaults."""
    dip = noise(300)
    dip[-1] = 1940.0
    return {
        "price_move": view_of(hours_of(spike(), volume=loud())),
        "momentum": view_of(hours_of(rise()), UP),
        "mean_reversion": view_of(hours_of(dip)),
        "grid": view_of(hours_of(noise(300)), setup=GRID, setup_confidence=0.7),
        "regime": view_of(hours_of(rise()), UP),
    }


SWINGS = [name for name in SIGNALS if name != "grid"]


def with_hours(view: MarketView, hours: Bars | None) -> MarketView:
    return replace(view, window=replace(view.window, bars={} if hours is None else {Timeframe.H1: hours}))


def scan(name: str, view: MarketView) -> tuple[Trigger, ...]:
    (signal,) = build({name: {}})
    return signal.scan(view)


@pytest.mark.parametrize("name", SIGNALS)
def test_each_signal_fires_in_a_window_made_for_it(name):
    """So that the tests of what silences it mean something."""
    view = ready()[name]
    found = scan(name, view)
    assert [trigger.signal for trigger in found] == [name]
    assert_sound(view, list(found))


@pytest.mark.parametrize("name", SIGNALS)
@pytest.mark.parametrize("spoil", ["no timeframe", "no bars", "own hour missing", "only later bars"])
def test_without_its_own_hour_nothing_fires(name, spoil):
    """A last bar of another hour is an old price."""
    view = ready()[name]
    hours = view.window.bars[Timeframe.H1]
    spoilt = {
        "no timeframe": None,
        "no bars": no_bars(Timeframe.H1),
        "own hour missing": hours.rows(0, len(hours) - 1),
        "only later bars": replace(hours, ts=hours.ts + HOUR_S * len(hours)),
    }[spoil]
    assert scan(name, with_hours(view, spoilt)) == ()


@pytest.mark.parametrize("name", SWINGS)
def test_a_hole_in_the_lookback_silences_and_one_before_it_does_not(name):
    """n bars with a hole are not n hours."""
    view = ready()[name]
    hours = view.window.bars[Timeframe.H1]
    everything = np.arange(len(hours))
    recent_hole = hours.at(everything != len(hours) - 5)
    old_hole = hours.at(everything != 10)
    assert scan(name, with_hours(view, recent_hole)) == ()
    assert len(scan(name, with_hours(view, old_hole))) == 1


@pytest.mark.parametrize("name", SWINGS)
def test_too_short_a_history_gives_nothing(name):
    """Every length from nothing up to three days; the lookback is longer in the end."""
    view = ready()[name]
    hours = view.window.bars[Timeframe.H1]
    counts = [
        len(scan(name, with_hours(view, hours.rows(len(hours) - n, len(hours)))))
        for n in range(len(hours) + 1)
    ]
    assert counts == sorted(counts)  # once there is enough, more changes nothing
    assert (counts[0], counts[40], counts[-1]) == (0, 0, 1)


@pytest.mark.parametrize("name", SWINGS)
def test_the_lookback_is_what_the_settings_say(name):
    """Exactly so many hours are enough, and one less is not."""
    view = ready()[name]
    hours = view.window.bars[Timeframe.H1]
    needed = {"price_move": 3 + 168 + 1, "momentum": 48 + 1, "mean_reversion": 48, "regime": 3 + 6 + 50}[name]
    for count, fires in ((needed, 1), (needed - 1, 0)):
        assert len(scan(name, with_hours(view, hours.rows(len(hours) - count, len(hours))))) == fires


@pytest.mark.parametrize("name", SWINGS)
def test_an_hour_without_a_trade_is_no_news(name):
    """Its price is the one before, carried forward."""
    view = ready()[name]
    hours = view.window.bars[Timeframe.H1]
    volume = hours.volume.copy()
    volume[-1] = 0
    assert scan(name, with_hours(view, replace(hours, volume=volume))) == ()


def test_a_baseline_without_volume_or_movement_has_no_usual():
    """Nothing can be a multiple of nothing."""
    still = np.full(260, 2000.0)
    still[-3:] = 2100.0
    assert scan("price_move", view_of(hours_of(still, volume=loud()))) == ()
    silent = loud()
    silent[:-3] = 0
    assert scan("price_move", view_of(hours_of(spike(), volume=silent))) == ()


@pytest.mark.parametrize("name", SWINGS)
def test_a_flat_market_gives_nothing(name):
    """No deviation, no high, no move."""
    assert scan(name, view_of(hours_of(np.full(300, 2000.0)), replace(UP, atr=0.0))) == ()
    flat = view_of(hours_of(np.full(300, 2000.0)), replace(UP, components=ANALYSIS.components))
    assert scan(name, flat) == ()


@pytest.mark.parametrize("name", SWINGS)
@pytest.mark.parametrize("atr", [None, 0.0, -1.0, math.nan, math.inf])
def test_without_an_atr_there_is_no_stop_and_so_no_trade(name, atr):
    """Unknown, 0 and no number alike."""
    view = ready()[name]
    assert view.analysis is not None
    assert scan(name, replace(view, analysis=replace(view.analysis, atr=atr))) == ()


@pytest.mark.parametrize("name", SWINGS)
def test_an_hour_that_was_not_judged_gives_nothing(name):
    """Without the analysis nobody knows the regime either."""
    assert scan(name, replace(ready()[name], analysis=None)) == ()


@pytest.mark.parametrize("sigma", [None, 0.0, math.nan, math.inf])
def test_momentum_needs_the_hourly_deviation(sigma):
    """A rise in units of nothing is no rise."""
    view = ready()["momentum"]
    assert scan("momentum", replace(view, analysis=replace(UP, hourly_sigma=sigma))) == ()


@pytest.mark.skipif(sys.gettrace() is not None, reason="a traced run says nothing of speed")
def test_a_scan_of_all_signals_takes_less_than_300_microseconds():
    """Over nine months of hours, all on: the best of many, so that a busy machine does not decide."""
    closes = np.concatenate((noise(6300), rise()))
    view = view_of(hours_of(closes), UP, setup=GRID, setup_confidence=0.7)
    assert {trigger.signal for trigger in fired(view, DEFAULTS)} == {"momentum", "grid", "regime"}
    assert min(timeit.repeat(lambda: fired(view, DEFAULTS), number=5, repeat=100)) / 5 < 300e-6


def test_volumes_near_the_end_of_64_bits_do_not_wrap():
    """Sums of volumes are floats: a spike stays one."""
    view = view_of(hours_of(spike(), volume=loud(times=4) * 10**14))
    assert "on 4.00 times the usual volume" in scan("price_move", view)[0].reason
    assert SCALE * 2000 < 2**63
