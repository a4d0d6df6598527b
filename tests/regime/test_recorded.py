"""The engine on recorded candles: what decision-quality.md measured must come out again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import rankdata

from market.hours import Hour, Timeframe
from market.window import MarketWindow
from regime.analysis import RegimeAnalysis
from regime.config import RegimeConfig
from regime.engine import RegimeEngine
from tests.regime.windows import recorded_bars, window_of

NAME = "KUCOIN_ETH-USDT"
CONFIG = RegimeConfig()


def window_at(folder: Path, hour: Hour) -> MarketWindow:
    hours = recorded_bars(folder, NAME, Timeframe.H1)
    four_hours = recorded_bars(folder, NAME, Timeframe.H4)
    return window_of(
        hours.between(hour.close_ts - 270 * 86_400, hour.close_ts),
        hour,
        four_hours=four_hours.between(hour.close_ts - 540 * 86_400, hour.close_ts),
        key="ETH-USDT",
    )


def test_across_the_turn_of_a_month_live_equals_from_scratch(recorded_data: Path):
    """Every hour around a new anchor, one engine hour by hour against a new engine each time."""
    hours = [Hour.parse("2025-05-31T18").plus(step) for step in range(14)]
    live = RegimeEngine(CONFIG)
    kept = [live.analyze(window_at(recorded_data, hour)) for hour in hours]
    assert [RegimeEngine(CONFIG).analyze(window_at(recorded_data, hour)) for hour in hours[::3]] == kept[::3]
    newest_first = RegimeEngine(CONFIG)
    assert [newest_first.analyze(window_at(recorded_data, hour)) for hour in hours[::-1]] == kept[::-1]


def test_what_comes_later_changes_nothing_on_recorded_candles(recorded_data: Path):
    """Prefix invariance: an hour of April judged in April, and after a whole month more was folded."""
    hours = [Hour.parse("2025-04-02T00").plus(37 * step) for step in range(6)]
    then = [RegimeEngine(CONFIG).analyze(window_at(recorded_data, hour)) for hour in hours]
    later = RegimeEngine(CONFIG)
    later.analyze(window_at(recorded_data, Hour.parse("2025-04-30T23")))
    assert [later.analyze(window_at(recorded_data, hour)) for hour in hours] == then


def test_p_tells_ranges_that_hold_from_those_that_break(recorded_data: Path):
    """On hours with a valid range and the price inside: AUC above .70, calibrated, where T tells nothing."""
    bars = recorded_bars(recorded_data, NAME, Timeframe.H1)
    close, first = bars.close / 100, int(bars.ts[0]) // 3600
    hours = [Hour.parse("2024-01-01T00").plus(step) for step in range(0, 24 * 570, 7)]
    engine = RegimeEngine(CONFIG)
    found = [engine.analyze(window_at(recorded_data, hour)) for hour in hours]
    valid, p, t, held, ok = [], [], [], [], []
    for hour, seen in zip(hours, found, strict=True):
        assert isinstance(seen, RegimeAnalysis)
        valid.append(seen.range.valid)
        if not (seen.range.valid and seen.range.lower <= seen.price <= seen.range.upper):
            continue
        assert seen.atr is not None
        later = close[hour.index - first + 1 : hour.index - first + 25]
        margin = 0.5 * seen.atr
        held.append(bool(((later >= seen.range.lower - margin) & (later <= seen.range.upper + margin)).all()))
        p.append(seen.hold_probability)
        t.append(seen.trendiness)
        ok.append(seen.verdict.value == "RANGE_OK")
    y, p, ok = np.array(held), np.array(p), np.array(ok)

    assert np.mean(valid) == pytest.approx(0.955, abs=0.03)
    assert auc(p, y) == pytest.approx(0.74, abs=0.03)
    assert auc(-np.array(t), y) < 0.55
    assert np.mean((p - y) ** 2) < 0.88 * y.mean() * (1 - y.mean())
    assert ok.mean() == pytest.approx(0.25, abs=0.06)
    assert y[ok].mean() > y[~ok].mean() + 0.1


def auc(score: np.ndarray, truth: np.ndarray) -> float:
    ranks, hits = rankdata(score), truth.sum()
    return float((ranks[truth].sum() - hits * (hits + 1) / 2) / (hits * (len(truth) - hits)))
