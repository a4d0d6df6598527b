"""What stands beside the metrics is measured rightly, and is the same by every route."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.candles import Floats, aggregate
from market.errors import MetricUndefined
from market.hours import Hour, Timeframe
from regime.analysis import RegimeAnalysis, Verdict
from regime.config import METRICS, RegimeConfig
from regime.diagnostics import (
    COLUMNS,
    NO_REVERSION_H,
    diagnose,
    diagnostic_columns,
    excursions,
    range_ok_medians,
    turnover,
    z_score,
    z_scores,
)
from regime.engine import RegimeEngine
from regime.folds import MetricFold
from regime.history import judge_history
from regime.precision import significant
from tests.regime.windows import START, VOLUME_SCALE, bars_of_prices, walk, walk_bars, window_of

CONFIG = RegimeConfig()
CLASSIC = RegimeConfig(score_model="classic")
SERIES = walk_bars(1300, 11, sigma=0.006, pull=0.02)
FOUR = aggregate(SERIES, Timeframe.H4)


def analysed(window, config: RegimeConfig = CONFIG) -> RegimeAnalysis:
    found = RegimeEngine(config).analyze(window)
    assert isinstance(found, RegimeAnalysis), found
    return found


def fold_of(bars) -> MetricFold:
    return MetricFold.start(Timeframe.H1, 100).extended(bars, CONFIG)


def counted(z: list[float], far: float, near: float, bars: int) -> float:
    """Return the same by walking through the window."""
    if len(z) < bars:
        return math.nan
    away, found = False, 0
    for value in z[-bars:]:
        if abs(value) >= far:
            away = True
        elif abs(value) <= near and away:
            away, found = False, found + 1
    return float(found)


heights = st.sampled_from([0.0, 0.5, 0.500001, 1.0, 1.499999, 1.5, 2.0, math.nan])


@settings(deadline=None)
@given(st.lists(st.tuples(heights, st.sampled_from([-1, 1])), max_size=40), st.integers(2, 12))
def test_excursions_are_counted_as_a_walk_through_the_window_counts_them(
    steps: list[tuple[float, int]], bars: int
):
    """Begun and completed inside it, on whichever side; both lines belong to the excursion."""
    z = [height * side for height, side in steps]
    found = excursions(np.array(z, dtype=np.float64), 1.5, 0.5, bars)
    expected = [counted(z[: row + 1], 1.5, 0.5, bars) for row in range(len(z))]
    assert np.array_equal(found, np.array(expected), equal_nan=True)


@pytest.mark.parametrize(
    ("z", "count"),
    [
        ([1.5, 0.5], 1),
        ([1.5, -0.5], 1),
        ([-1.5, 0.0], 1),
        ([1.499999999, 0.5], 0),
        ([1.5, 0.500000001], 0),
        ([0.0, 1.5], 0),
        ([2.0, -2.0, 0.1, 0.1, 1.6, 0.2], 2),
    ],
)
def test_an_excursion_needs_both_lines(z: list[float], count: int):
    """|z| >= 1.5, then <= .5."""
    found = excursions(np.array([*z, *[1.0] * (48 - len(z))]), 1.5, 0.5)
    assert found[-1] == count
    assert np.isnan(found[:-1]).all()


def test_the_lines_of_an_excursion_are_configured():
    """A calmer far line finds more of them."""
    config = RegimeConfig.model_validate({"metrics": {"excursion_far": 0.8, "excursion_near": 0.7}})
    window = window_of(SERIES)
    few, many = (analysed(window, each).diagnostics["excursions_48h"] for each in (CONFIG, config))
    assert few is not None
    assert many is not None
    assert many > few
    with pytest.raises(ValueError, match="excursion_near must be below"):
        RegimeConfig.model_validate({"metrics": {"excursion_near": 1.5}})


def test_excursions_of_an_hour_are_those_of_its_48_recorded_z_scores():
    """Against the z-score of each hour, one by one; unknown before 95 closes."""
    close = SERIES.close / 100
    for row in (94, 95, 400, 1299):
        z = [significant(z_score(close[: at + 1])) for at in range(row - 47, row + 1)]
        found = diagnose(fold_of(SERIES.rows(0, row + 1)), fold_of(FOUR), row, -1, CONFIG.metrics)
        assert found["excursions_48h"] == counted(z, 1.5, 0.5, 48)
    short = diagnose(fold_of(SERIES.rows(0, 94)), fold_of(FOUR), 93, -1, CONFIG.metrics)
    assert short["excursions_48h"] is None


def test_z_scores_of_many_rows_are_those_of_each():
    """Bit by bit; NaN where the price did not move, and where there are too few closes."""
    close = np.concatenate((walk(90, 3), np.full(60, 7.0)))
    whole = z_scores(close, 48)
    for row in range(150):
        if row < 47 or row >= 137:
            assert np.isnan(whole[row])
            with pytest.raises(MetricUndefined, match="needs 48 closes that move"):
                z_score(close[: row + 1])
        else:
            assert z_score(close[: row + 1]) == whole[row]
    assert np.array_equal(z_scores(close, 48, 100), whole[100:], equal_nan=True)
    with pytest.raises(MetricUndefined):
        z_score(np.empty(0))


def test_three_bars_ago_is_the_real_series():
    """ADX and efficiency ratio as they were recorded three hours before."""
    hours = [Hour.of_ts(int(SERIES.ts[-1])).plus(-back) for back in range(6, -1, -1)]
    found = [analysed(window_of(SERIES, hour)) for hour in hours]
    for before, after in zip(found, found[3:], strict=False):
        for name in ("adx", "efficiency_ratio"):
            assert after.diagnostics[f"{name}_3_bars_ago"] == before.metrics[name].value
            assert after.diagnostics[f"{name}_3_bars_ago"] is not None


def test_before_there_are_three_bars_their_value_is_unknown():
    """Never the present value again, never a row from the other end."""
    fold = fold_of(SERIES.rows(0, 60))
    for row in (0, 2, 3, 23, 26, 27, 30):
        found = diagnose(fold, fold_of(FOUR), row, -1, CONFIG.metrics)
        for name in ("adx", "efficiency_ratio"):
            value = fold.values[METRICS.index(name), row - 3] if row >= 3 else math.nan
            assert found[f"{name}_3_bars_ago"] == (None if math.isnan(value) else value)
    assert diagnose(fold, fold_of(FOUR), 27, -1, CONFIG.metrics)["efficiency_ratio_3_bars_ago"] is not None


def test_the_turnover_of_24_bars_is_quote_value_at_the_closes():
    """Volume x close, scales taken out; 25 bars ago counts no more; 23 bars are not a day."""
    bars = replace(
        bars_of_prices(Timeframe.H1, START.open_ts, np.arange(1.0, 31.0)), volume=np.arange(30) * 500
    )
    expected = sum((at + 1) * at * 0.5 for at in range(6, 30))
    assert turnover(bars, 100, 1000) == pytest.approx(expected, rel=1e-12)
    assert turnover(bars.rows(0, 24), 100, 1000) == pytest.approx(
        sum((at + 1) * at * 0.5 for at in range(24)), rel=1e-12
    )
    for rows in (0, 23):
        with pytest.raises(MetricUndefined, match="needs 24 bars"):
            turnover(bars.rows(0, rows), 100, 1000)


def test_the_recorded_turnover_follows_the_volume_whatever_was_remembered():
    """A repaired volume of the same prices is seen, and a finer scale of it changes nothing."""
    engine = RegimeEngine(CONFIG)
    first = engine.analyze(window_of(SERIES))
    repaired = replace(SERIES, volume=SERIES.volume.copy())
    repaired.volume[-24] += 5000
    second = engine.analyze(window_of(repaired))
    assert isinstance(first, RegimeAnalysis)
    assert isinstance(second, RegimeAnalysis)
    before, after = first.diagnostics["turnover_24h"], second.diagnostics["turnover_24h"]
    assert before is not None
    assert before == significant(float((SERIES.close[-24:] / 100).sum()))
    assert after == significant(before + 5 * SERIES.close[-24] / 100)
    finer = replace(window_of(SERIES.rescaled(1, 1000)), volume_scale=1000 * VOLUME_SCALE)
    told = engine.analyze(finer)
    assert isinstance(told, RegimeAnalysis)
    assert told.diagnostics["turnover_24h"] == before


def test_medians_of_the_calm_week_count_no_reversion_as_a_week():
    """Half-life and ATR of the RANGE_OK hours among the last 168, null as 168 h; None without any."""
    fold = fold_of(SERIES)
    verdicts = np.full(1300, Verdict.TREND.rank, dtype=np.int8)
    assert range_ok_medians(fold, verdicts, 1299) == {
        "half_life_range_ok_7d": None,
        "atr_range_ok_7d": None,
    }
    verdicts[[1131, 1132, 1200, 1299]] = Verdict.RANGE_OK.rank  # the first lies 168 hours back
    half_lives, atr = fold.values[METRICS.index("half_life")], fold.prices.atr
    found = range_ok_medians(fold, verdicts, 1299)
    assert found["half_life_range_ok_7d"] == significant(float(np.median(half_lives[[1132, 1200, 1299]])))
    assert found["atr_range_ok_7d"] == significant(float(np.median(atr[[1132, 1200, 1299]])))
    assert range_ok_medians(fold, verdicts, 1200)["atr_range_ok_7d"] == significant(
        float(np.median(atr[[1131, 1132, 1200]]))
    )
    for unknown in (math.inf, math.nan):
        values = fold.values.copy()
        values[METRICS.index("half_life"), [1132, 1200]] = unknown
        assert range_ok_medians(replace(fold, values=values), verdicts, 1299)["half_life_range_ok_7d"] == (
            NO_REVERSION_H
        )
    assert range_ok_medians(fold, verdicts, 20)["atr_range_ok_7d"] is None
    assert (
        range_ok_medians(fold, verdicts, 1130)["atr_range_ok_7d"] is None
    )  # the next hour is calm, not this
    verdicts[0] = Verdict.RANGE_OK.rank
    for row, median in ((0, NO_REVERSION_H), (20, NO_REVERSION_H), (167, NO_REVERSION_H), (168, None)):
        assert range_ok_medians(fold, verdicts, row)["half_life_range_ok_7d"] == median


@pytest.mark.parametrize("config", [CONFIG, CLASSIC], ids=["evidence", "classic"])
def test_the_calm_week_is_that_of_the_deciding_model(config: RegimeConfig):
    """Against the verdicts that were recorded hour by hour."""
    engine = RegimeEngine(config)
    hours = [Hour.of_ts(int(SERIES.ts[-1])).plus(-back) for back in range(168)]
    found = [engine.analyze(window_of(SERIES, hour)) for hour in hours]
    calm = [each for each in found if isinstance(each, RegimeAnalysis) and each.verdict is Verdict.RANGE_OK]
    assert 0 < len(calm) < 168
    last = found[0]
    assert isinstance(last, RegimeAnalysis)
    half_lives = [each.metrics["half_life"].value or NO_REVERSION_H for each in calm]
    assert last.diagnostics["half_life_range_ok_7d"] == significant(float(np.median(half_lives)))
    assert last.diagnostics["atr_range_ok_7d"] == significant(float(np.median([each.atr for each in calm])))


def test_the_columns_of_history_are_the_diagnostics_of_each_hour():
    """judge_history gives gates the very numbers that the daemon records."""
    judged = judge_history(SERIES, FOUR, 100, CONFIG, volume_scale=VOLUME_SCALE)
    engine = RegimeEngine(CONFIG)
    for row in range(0, len(judged), 17):
        found = engine.analyze(window_of(SERIES, Hour.of_ts(int(judged.ts[row]))))
        assert isinstance(found, RegimeAnalysis)
        told: Floats = np.array(
            [math.nan if (v := found.diagnostics[n]) is None else v for n in COLUMNS], dtype=np.float64
        )
        assert np.array_equal(judged.diagnostics[:, row], told, equal_nan=True)
    assert np.isfinite(judged.diagnostics).all()


def test_every_row_of_the_columns_is_what_is_diagnosed_there():
    """From the first bar on, unknown rows included; without a volume scale no turnover."""
    fold = fold_of(SERIES.rows(0, 320))
    columns = dict(zip(COLUMNS, diagnostic_columns(fold, VOLUME_SCALE, CONFIG.metrics), strict=True))
    for row in range(13, 320):
        found = diagnose(fold, fold_of(FOUR), row, -1, CONFIG.metrics)
        for name in set(COLUMNS) - {"turnover_24h"}:
            value = columns[name][row]
            assert found[name] == (None if math.isnan(value) else value), (name, row)
    without = dict(zip(COLUMNS, diagnostic_columns(fold, None, CONFIG.metrics), strict=True))
    assert np.isnan(without.pop("turnover_24h")).all()
    assert np.isnan(columns["turnover_24h"][:23]).all()
    assert np.isfinite(columns["turnover_24h"][23:]).all()
    assert all(np.array_equal(without[name], columns[name], equal_nan=True) for name in without)
