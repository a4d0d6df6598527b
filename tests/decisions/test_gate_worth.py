"""What `regimed calibrate` says of gates and vetoes is measured rightly: folded as recorded, by hand."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decisions.calibration.gates import gate_worth, readings_of_hours
from decisions.calibration.measures import Weeks, mean, quantile
from decisions.calibration.outcomes import frozen_grids, holds
from decisions.calibration.report import calibrate
from decisions.calibration.restarts import FOLLOWED_H, ready_hours, restarted, stops_of
from decisions.calibration.vetoes import veto_worth
from market.candles import aggregate
from market.hours import HOUR_S, Hour, Timeframe
from regime.analysis import RegimeAnalysis, Verdict
from regime.config import METRICS, RegimeConfig
from regime.diagnostics import COLUMNS
from regime.engine import RegimeEngine
from regime.gates.config import GatesConfig
from regime.gates.fold import GATES, advanced, conditions_of, opened
from regime.gates.readings import readings_of
from regime.history import JudgedHours, judge_history
from tests.regime.windows import VOLUME_SCALE, walk_bars, window_of

CONFIG = RegimeConfig()
GATING = GatesConfig()
WALK = walk_bars(3600, seed=11, pull=0.01)
NOTIONAL = 100.0  # the walk trades 48,000 a day
MONDAY = Hour.parse("2026-02-02T00").open_ts
CALM = {
    "adx": 20.0,
    "efficiency_ratio": 0.2,
    "autocorrelation": 0.0,
    "half_life": 11.0,
    "slope": 0.1,
    "expansion": 1.2,
}
BESIDE = {
    "adx_3_bars_ago": 21.0,
    "atr_pct": 0.8,
    "atr_ratio": 1.0,
    "dickey_fuller_t": -3.0,
    "efficiency_ratio_3_bars_ago": 0.2,
    "excursions_48h": 1.0,
    "turnover_24h": 1e6,
}


@pytest.fixture(scope="module")
def judged() -> JudgedHours:
    return judge_history(WALK, aggregate(WALK, Timeframe.H4), 100, CONFIG, volume_scale=VOLUME_SCALE)


def calm_hours(count: int, close: np.ndarray | None = None) -> JudgedHours:
    """Return hours in which every gate holds, with a wide range around the closes."""
    full = np.full
    close = full(count, 100.0) if close is None else close
    inside = (close >= 90) & (close <= 110)
    ranks = np.zeros(count, dtype=np.int8)
    return JudgedHours(
        ts=MONDAY + HOUR_S * np.arange(count, dtype=np.int64),
        close=close,
        atr=full(count, 4.0),
        lower=full(count, 90.0),
        upper=full(count, 110.0),
        hold_probability=full(count, 0.8),
        barrier_probability=full(count, 0.8),
        sigma=full(count, 0.01),
        trendiness=full(count, 0.2),
        trendiness_4h=full(count, 0.2),
        metrics=np.array([full(count, CALM[name]) for name in METRICS]),
        evidence=ranks,
        classic=ranks,
        valid=full(count, True),
        inside=inside,
        outside=~inside,
        diagnostics=np.array([full(count, BESIDE[name]) for name in COLUMNS]),
        evidence_present=ranks,
        classic_present=ranks,
    )


def held_of(hours: JudgedHours, config: GatesConfig = GATING) -> list[list[bool]]:
    readings = readings_of_hours(hours, "evidence", 0.3, NOTIONAL)
    return [
        [all(c.held for c in conditions_of(gate, each, config)) for each in readings] for gate in range(3)
    ]


def folded(hours: JudgedHours, stop: int, config: GatesConfig) -> tuple[list[float], int]:
    """Return the waits and the row of the restart by the fold that the daemon records."""
    readings = readings_of_hours(hours, "evidence", 0.3, NOTIONAL)
    hour = Hour.of_ts(int(hours.ts[stop]))
    gates, ready, waited = opened("2026-02-02T00:00:00Z", hour), ready_hours(hours, "evidence"), None
    for row in range(stop + 1, stop + 1 + FOLLOWED_H):
        gates = advanced(gates, Hour.of_ts(int(hours.ts[row])), readings[row], config)
        if gates.all_passed:
            waited = waited or waits(gates, hour)
            if ready[row]:
                return waited, row
    return waited or waits(gates, hour), -1


def waits(gates, stop: Hour) -> list[float]:
    """Return hours from the close of the stop's hour to that of the hour in which each gate passed."""
    return [
        math.inf if gate.passed_at is None else float(Hour.parse(gate.passed_at[:13]).index - 1 - stop.index)
        for gate in gates.gates
    ]


@pytest.mark.parametrize("preset", ["evidence", "conservative", "aggressive"])
def test_simulated_restarts_are_those_of_the_recorded_fold(judged: JudgedHours, preset: str):
    """Waits and restarts of the calibration against `advanced`, hour by hour, on a walk with gaps."""
    kept = np.ones(len(judged), dtype=np.bool_)
    kept[200::37] = False
    hours = judged.where(kept)
    config = GatesConfig.model_validate({"preset": preset})
    stops = np.arange(0, len(hours) - FOLLOWED_H, 53)
    found = restarted(hours, "evidence", held_of(hours, config), stops, config)
    expected = [folded(hours, stop, config) for stop in stops.tolist()]
    assert found.row.tolist() == [row for _, row in expected]
    assert found.wait_h.T.tolist() == [wait for wait, _ in expected]
    assert len(set(found.row.tolist())) > 1


@given(
    st.lists(st.sampled_from([0, 0, 0, 0, 1, 2, 3]), min_size=40, max_size=40),
    st.lists(st.sampled_from([100.0, 100.0, 100.0, 103.0, 106.0, 94.0, 112.0]), min_size=40, max_size=40),
    st.sets(st.integers(1, 39), max_size=8),
    st.sets(st.integers(1, 39), max_size=4),
)
@settings(max_examples=25, deadline=None)
def test_simulated_restarts_meet_every_reset(verdicts, closes, spoilt, gaps):
    """TREND, TRANSITION, leaps and missing hours in any order."""
    count = 40 + FOLLOWED_H
    hours = calm_hours(count, np.r_[closes, np.full(FOLLOWED_H, 100.0)])
    hours.metrics[METRICS.index("adx"), list(spoilt)] = 40.0
    hours = replace(hours, evidence=np.r_[verdicts, np.zeros(FOLLOWED_H)].astype(np.int8))
    kept = np.ones(count, dtype=np.bool_)
    kept[list(gaps)] = False
    hours = hours.where(kept)
    stops = np.array([0, 3])
    found = restarted(hours, "evidence", held_of(hours), stops[stops + FOLLOWED_H < len(hours)], GATING)
    for at, stop in enumerate(stops[stops + FOLLOWED_H < len(hours)].tolist()):
        waited, row = folded(hours, stop, GATING)
        assert found.wait_h[:, at].tolist() == waited
        assert int(found.row[at]) == row


def test_the_gates_read_of_history_what_they_would_read_of_each_hour(judged: JudgedHours):
    """Against the readings of the engine's own analysis."""
    readings = readings_of_hours(judged, "evidence", 0.3, 1000.0)
    engine = RegimeEngine(CONFIG)
    for row in range(0, len(judged), 211):
        found = engine.analyze(window_of(WALK, Hour.of_ts(int(judged.ts[row]))))
        assert isinstance(found, RegimeAnalysis)
        assert readings[row] == readings_of(found, 0.3, 1000.0)


def test_unknown_numbers_of_history_stay_unknown():
    """NaN is None; an infinite half-life is no mean reversion."""
    hours = calm_hours(3)
    hours.metrics[METRICS.index("half_life")] = [math.inf, math.nan, 5.0]
    hours.diagnostics[:, 0] = math.nan
    readings = readings_of_hours(hours, "evidence", 0.3, 1000.0)
    assert [each.half_life for each in readings] == [math.inf, None, 5.0]
    assert readings[0].turnover_24h is None
    assert readings[1].turnover_24h == 1e6


def test_a_stop_is_where_a_frozen_grid_broke_once_however_many_broke_there():
    """With eight weeks recorded after it."""
    close = np.r_[np.full(100, 100.0), np.full(40, 130.0), np.full(FOLLOWED_H + 200, 100.0)]
    hours = calm_hours(close.size, close)
    assert frozen_grids(hours).breaks_h[0] == 100
    assert stops_of(hours).tolist() == [100]
    assert stops_of(hours.where(slice(0, 101 + FOLLOWED_H))).tolist() == [100]
    assert stops_of(hours.where(slice(0, 100 + FOLLOWED_H))).tolist() == []
    assert stops_of(hours.where(slice(0, 0))).tolist() == []


def test_a_calm_market_is_gated_for_nine_hours():
    """And restarted in the first hour that allows it: a range verdict, a valid range, the close inside."""
    hours = calm_hours(20 + FOLLOWED_H)
    stops = np.array([0, 5])
    found = restarted(hours, "evidence", held_of(hours), stops, GATING)
    assert found.wait_h.tolist() == [[3.0, 3.0], [6.0, 6.0], [9.0, 9.0]]
    assert found.row.tolist() == [9, 14]
    for column, value in (("valid", False), ("inside", False), ("evidence", Verdict.TRANSITION.rank)):
        changed = getattr(hours, column).copy()
        changed[9] = value
        later = restarted(replace(hours, **{column: changed}), "evidence", held_of(hours), stops, GATING)
        assert later.row[0] == 10, column
    weak = replace(hours, evidence=np.full(len(hours), 1, dtype=np.int8))
    assert restarted(weak, "evidence", held_of(weak), stops, GATING).row.tolist() == [9, 14]


def test_a_gate_that_never_holds_is_waited_for_without_end():
    """Its predecessors have passed; there is no restart, and no median."""
    hours = calm_hours(20 + FOLLOWED_H)
    hours.metrics[METRICS.index("expansion")] = 9.0
    found = restarted(hours, "evidence", held_of(hours), np.array([0]), GATING)
    assert found.wait_h[:, 0].tolist() == [3.0, 6.0, math.inf]
    assert found.row.tolist() == [-1]


def test_what_gates_were_worth_is_told_for_every_preset(judged: JudgedHours):
    """Shares by hand, waits in order, JSON without infinities, the same twice."""
    held = holds(judged, 0.5)
    found = gate_worth(judged, held, "evidence", 0.3, NOTIONAL)
    assert set(found) == {"evidence", "classic", "conservative", "aggressive"}
    assert found["classic"] == found["evidence"]
    own = found["evidence"]
    adx = judged.metrics[METRICS.index("adx")]
    assert own["conditions"][GATES[0]]["adx"]["value"] == pytest.approx((adx < 25).mean(), abs=1e-6)
    assert own["conditions"][GATES[0]]["adx"]["low"] < own["conditions"][GATES[0]]["adx"]["high"]
    for gate, (name, told) in enumerate(own["gates"].items()):
        assert name == GATES[gate]
        assert told["holds"]["value"] == pytest.approx(np.mean(held_of(judged)[gate]), abs=1e-6)
        assert told["holds"]["value"] <= min(c["value"] for c in own["conditions"][name].values())
    assert set(own["conditions"][GATES[1]]) == {"half_life", "autocorrelation", "excursions_48h"}
    strict = found["conservative"]["conditions"][GATES[1]]
    assert set(strict) == {"half_life", "dickey_fuller_t", "excursions_48h"}
    assert own["stops"] == stops_of(judged).size > 10
    assert found["aggressive"]["wait_h"]["median"]["value"] <= own["wait_h"]["median"]["value"]
    assert 0 <= own["wait_h"]["over_a_week"]["value"] <= 1
    assert json.loads(json.dumps(found, allow_nan=False)) == gate_worth(
        judged, held, "evidence", 0.3, NOTIONAL
    )


def test_what_the_gates_ask_from_outside_counts():
    """A dear market or a large grid holds in no hour."""
    hours = calm_hours(200)
    held = np.ones(200)
    name = GATES[2]
    for floor, notional, condition in ((0.81, 1000.0, "atr_pct"), (0.3, 5000.1, "turnover_24h")):
        found = gate_worth(hours, held, "evidence", floor, notional)["evidence"]
        assert found["conditions"][name][condition]["value"] == 0
        assert found["gates"][name]["holds"]["value"] == 0
    found = gate_worth(hours, held, "evidence", 0.8, 5000.0)["evidence"]
    assert found["gates"][name]["holds"]["value"] == 1


def test_the_skill_of_a_restart_is_against_other_hours_that_allow_one():
    """Each restart once, whatever the number of stops before it; unknown outcomes are left out."""
    close = np.r_[np.full(100, 100.0), np.full(40, 130.0), np.full(FOLLOWED_H + 400, 100.0)]
    hours = calm_hours(close.size, close)
    (stop,) = stops_of(hours).tolist()
    held = np.zeros(len(hours))
    (row,) = restarted(hours, "evidence", held_of(hours), np.array([stop]), GATING).row.tolist()
    assert row == 149  # the leap back into the range, in hour 140, is one more that resets
    held[row] = 1.0
    allowed = ready_hours(hours, "evidence")[stop + 1 : stop + 1 + 336].sum()
    told = gate_worth(hours, held, "evidence", 0.3)["evidence"]["held_24h"]
    assert told["gated"]["value"] == 1
    assert told["random"]["value"] == pytest.approx(1 / allowed, abs=1e-6)
    assert told["skill"]["value"] == pytest.approx(1 - 1 / allowed, abs=1e-6)
    assert told["skill"]["n"] == 1
    held[row] = math.nan
    assert gate_worth(hours, held, "evidence", 0.3)["evidence"]["held_24h"]["skill"]["value"] is None


def test_no_stop_gives_no_figure():
    """A market that never broke, or too short a record: null, never 0."""
    found = gate_worth(calm_hours(300), np.ones(300), "evidence", 0.3)["evidence"]
    assert found["stops"] == 0
    assert found["wait_h"]["median"]["value"] is None
    assert found["restarted"]["value"] is None
    assert found["held_24h"]["skill"] == {"value": None, "low": None, "high": None, "n": 0}
    nothing = gate_worth(calm_hours(0), np.empty(0), "evidence", 0.3)["evidence"]
    assert nothing["gates"][GATES[0]]["holds"]["value"] is None


def test_means_of_some_hours_are_those_of_the_bootstrap():
    """The short way gives the figure of the long one, interval and all."""
    random = np.random.default_rng(3)
    ts = MONDAY + HOUR_S * np.arange(168 * 9, dtype=np.int64)
    values, among = random.random(ts.size), random.random(ts.size) < 0.4
    weeks = Weeks(ts)
    long = weeks.figure(lambda w: mean(values, w * among), int(among.sum()))
    assert weeks.mean(values, among) == long
    other = ~among & (random.random(ts.size) < 0.5)
    apart = weeks.figure(
        lambda w: mean(values, w * among) - mean(values, w * other), int(among.sum() + other.sum())
    )
    assert weeks.difference(values, among, other) == apart
    nobody = np.zeros(ts.size, dtype=np.bool_)
    assert weeks.mean(values, nobody).as_json() == {"value": None, "low": None, "high": None, "n": 0}
    assert weeks.difference(values, among, nobody).value is None


def test_quantiles_know_infinity():
    """Where so many never came, there is no number; an end of the interval may have none either."""
    values = np.array([5.0, 1.0, math.inf, 3.0])
    assert [quantile(values, share, np.ones(4)) for share in (0.25, 0.5, 0.75, 0.76)] == [1, 3, 5, math.inf]
    assert quantile(values, 0.5, np.array([0.0, 0, 1, 0])) == math.inf
    assert math.isnan(quantile(values, 0.5, np.zeros(4)))
    assert math.isnan(quantile(np.empty(0), 0.5, np.empty(0)))
    ts = MONDAY + 168 * HOUR_S * np.arange(4, dtype=np.int64)
    figure = Weeks(ts).quantile(values, 0.5)
    assert (figure.value, figure.low, figure.high, figure.n) == (3, 1, None, 4)
    assert Weeks(ts[:0]).quantile(np.empty(0), 0.5).value is None


def test_a_veto_is_worth_what_the_hours_it_spoke_against_held_less():
    """By hand: classic's RANGE_OK with a long half-life."""
    hours = calm_hours(400)
    long = np.arange(400) % 4 == 0
    hours.metrics[METRICS.index("half_life")] = np.where(long, 30.0, 10.0)
    hours.classic_present[-40:] = Verdict.TREND.rank
    held = np.where(long, 0.0, 1.0)
    held[4] = math.nan
    found = veto_worth(hours, held, CONFIG)
    assert set(found) == {"evidence", "classic"}
    assert found["evidence"] == {}
    told = found["classic"]["half_life_long"]
    assert told["present"] == ["RANGE_OK"]
    assert told["fired"]["value"] == pytest.approx(89 / 359, abs=1e-6)
    assert (told["held_fired"]["value"], told["held_silent"]["value"]) == (0, 1)
    assert (told["worth"]["value"], told["worth"]["n"]) == (1, 359)
    assert found["classic"]["four_hours_calm"]["present"] == ["TREND"]
    assert found["classic"]["four_hours_calm"]["fired"]["value"] == 1
    assert found["classic"]["four_hours_calm"]["worth"]["value"] is None


def test_vetoes_of_recorded_hours_are_those_of_the_engine(judged: JudgedHours):
    """What veto_worth takes for spoken is what the analysis records."""
    only = [np.array([row]) for row in range(0, len(judged), 97)]
    for config in (CONFIG, RegimeConfig(score_model="classic")):
        engine = RegimeEngine(config)
        for row in only:
            found = engine.analyze(window_of(WALK, Hour.of_ts(int(judged.ts[row[0]]))))
            assert isinstance(found, RegimeAnalysis)
            told = veto_worth(judged.where(row), np.ones(1), config)[config.score_model]
            assert sorted(told) == sorted(found.vetoes)


def test_the_document_holds_gates_and_vetoes(judged: JudgedHours):
    """Beside models and exits; the spacing floor is that of the fees."""
    document = calibrate("ETH-USDT", judged, CONFIG).document
    held = holds(judged, CONFIG.range.outside_margin)
    assert document["gates"] == gate_worth(judged, held, "evidence", 0.3)
    assert document["vetoes"] == veto_worth(judged, held, CONFIG)
