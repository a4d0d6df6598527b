"""Signals over recorded candles, judged by the engine itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from market.candles import Bars
from market.hours import Hour, Timeframe
from regime.analysis import RegimeAnalysis
from regime.config import RegimeConfig
from regime.engine import RegimeEngine
from tests.regime.windows import recorded_bars, window_of
from tests.trading.views import terms_of, view_of
from trading.rules import RulesEngine
from trading.signals.base import Signal
from trading.signals.registry import SIGNALS, build
from trading.values import MarketView, Trigger

NAME = "KUCOIN_ETH-USDT"
HOURS = 1000
HISTORY = 6000
SIGNALS_ON: tuple[Signal, ...] = build({name: {} for name in SIGNALS})


def judged(folder: Path, last: int, engine: RegimeEngine) -> MarketView:
    """Return the view of a recorded hour: only what was closed by its end."""
    hours = recorded_bars(folder, NAME, Timeframe.H1)
    four_hours = recorded_bars(folder, NAME, Timeframe.H4)
    known = hours.rows(max(last - HISTORY, 0), last + 1)
    window = window_of(known, four_hours=four_hours)
    analysis = engine.analyze(window)
    assert isinstance(analysis, RegimeAnalysis)
    hour = Hour.of_ts(int(hours.ts[last]))
    return replace(view_of(known, analysis, hour=hour, terms=terms_of()), window=window)


@pytest.fixture(scope="module")
def views(recorded_data: Path) -> list[MarketView]:
    """Six weeks of hours in a row."""
    engine = RegimeEngine(RegimeConfig())
    return [judged(recorded_data, last, engine) for last in range(10_000, 10_000 + HOURS)]


def scanned(views: Sequence[MarketView]) -> list[Trigger]:
    return [trigger for view in views for signal in SIGNALS_ON for trigger in signal.scan(view)]


def test_every_signal_of_a_swing_fires_now_and_then(views: list[MarketView]):
    """Each one does in six weeks, and none in more than one hour of ten: a threshold, not a habit."""
    found = Counter(trigger.signal for trigger in scanned(views))
    assert set(found) == set(SIGNALS) - {"grid"}  # nobody advised a grid here
    assert all(1 <= count <= HOURS // 10 for count in found.values()), found


def test_the_policy_holds_its_regimes_apart(views: list[MarketView]):
    """In a downtrend nothing gets through, in an uptrend no mean reversion, in a range no momentum."""
    rules = RulesEngine()
    through: Counter[tuple[str, str]] = Counter()
    for view in views:
        triggers = scanned([view])
        proposals, refused = rules.judge(triggers, view, "major")
        assert len(proposals) + len(refused) == len(triggers)
        through.update((view.regime, proposal.trigger.signal) for proposal in proposals)
    allowed = {"TREND_UP": {"momentum", "price_move", "regime"}}
    assert {regime for regime, _ in through} <= {"TREND_UP", "RANGE", "CHOPPY", "NEUTRAL"}
    assert all(signal in allowed.get(regime, {"mean_reversion"}) for regime, signal in through)
    assert len(through) >= 4


def test_a_second_engine_and_the_whole_future_change_nothing(recorded_data: Path, views: list[MarketView]):
    """A trigger depends on its hour's past alone: neither on what was asked before nor on what came after."""
    firing = [(place, view) for place, view in enumerate(views) if scanned([view])][::10]
    assert len(firing) >= 5
    whole: Bars = recorded_bars(recorded_data, NAME, Timeframe.H1)
    for place, view in firing:
        again = judged(recorded_data, 10_000 + place, RegimeEngine(RegimeConfig()))
        later = replace(view, window=replace(view.window, bars={**view.window.bars, Timeframe.H1: whole}))
        assert scanned([again]) == scanned([later]) == scanned([view])
