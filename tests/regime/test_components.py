"""The three-dimensional regime: states by their thresholds, confidence relative to the own label."""

from __future__ import annotations

import math
import os
from dataclasses import fields
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import talib
from hypothesis import example, given, settings
from hypothesis import strategies as st

from market.candles import Bars, aggregate
from market.hours import Hour, Timeframe
from regime.analysis import Components, RegimeAnalysis
from regime.components.columns import ComponentColumns, state_codes
from regime.components.confidence import confidences
from regime.components.fold import ComponentFold, ComponentRows
from regime.components.inputs import INPUTS
from regime.components.quantile import quantiles_before
from regime.components.states import (
    FULL_REGIMES,
    MOMENTA,
    NO_ROW,
    SIMPLIFIED,
    TRENDS,
    VOLATILITIES,
    simplified_codes,
    simplified_regime,
)
from regime.config import ComponentsConfig, MetricsConfig, RegimeConfig
from regime.engine import RegimeEngine
from tests.regime.windows import START, bars_of_prices, recorded_bars, walk, walk_bars, window_of

EVERY_SERIES = "REGIMED_EVERY_SERIES" in os.environ  # `make campaign`; minutes for each series

CONFIG = RegimeConfig()
RULES = CONFIG.components
LABELS = [label.value for label in SIMPLIFIED]
RECORDED = (
    *(("KUCOIN_ETH-USDT", 100), ("KUCOIN_BTC-USDT", 100), ("KUCOIN_SOL-USDT", 1000)),
    *(("KUCOIN_ADA-USDT", 10_000), ("BINANCE_ETH-USDT", 100), ("BINANCE_BTC-USDT", 100)),
    ("BINANCE_SOL-USDT", 100),
)


def read(
    adx: float = 20.0, di: float = 0.0, slope: float = 0.0, ratio: float = 1.0, momentum: float = 0.0
) -> tuple[str, float]:
    """Return label and confidence of one bar's inputs."""
    inputs = np.array([[adx], [di], [slope], [ratio], [momentum]])
    codes = state_codes(inputs, RULES)
    simplified = simplified_codes(*codes)
    sure = confidences(inputs, codes[0], simplified, RULES)
    return LABELS[simplified[0]], float(sure[0])


def states(**inputs: float) -> tuple[str, str, str]:
    """Return the three states of one bar's inputs, neutral, low and weak where not said."""
    given = {"adx": 10.0, "di_balance": 0.0, "sma_slope": 0.0, "volatility_ratio": 0.5, "momentum": 0.0}
    trend, volatility, momentum = state_codes(np.array([[v] for v in (given | inputs).values()]), RULES)
    return TRENDS[trend[0]].value, VOLATILITIES[volatility[0]].value, MOMENTA[momentum[0]].value


def folded(bars: Bars, price_scale: int = 100) -> ComponentFold:
    return ComponentFold.start(bars.timeframe, price_scale).extended(bars, CONFIG)


def bits(columns: ComponentColumns) -> list[bytes]:
    return [getattr(columns, field.name).tobytes() for field in fields(columns)]


def rows_of(rows: ComponentRows) -> dict[int, Components | None]:
    return {int(ts): rows.columns.reading(row) for row, ts in enumerate(rows.ts)}


def test_there_are_eighteen_full_regimes():
    """3 trends x 2 volatilities x 3 momenta, each by one name."""
    assert len(set(FULL_REGIMES)) == 18
    assert {"UPTREND_LOWVOL_BULLISH", "NEUTRAL_HIGHVOL_WEAK", "DOWNTREND_HIGHVOL_BEARISH"} <= set(
        FULL_REGIMES
    )


@pytest.mark.parametrize(
    ("full", "label"),
    [
        *((f"UPTREND_{v}VOL_{m}", "TREND_UP") for v in ("LOW", "HIGH") for m in ("BULLISH", "WEAK")),
        *((f"DOWNTREND_{v}VOL_{m}", "TREND_DOWN") for v in ("LOW", "HIGH") for m in ("BEARISH", "WEAK")),
        *((f"NEUTRAL_HIGHVOL_{m}", "CHOPPY") for m in ("BULLISH", "WEAK", "BEARISH")),
        ("NEUTRAL_LOWVOL_WEAK", "RANGE"),
        *((f"NEUTRAL_LOWVOL_{m}", "NEUTRAL") for m in ("BULLISH", "BEARISH")),
        *((f"UPTREND_{v}VOL_BEARISH", "NEUTRAL") for v in ("LOW", "HIGH")),
        *((f"DOWNTREND_{v}VOL_BULLISH", "NEUTRAL") for v in ("LOW", "HIGH")),
    ],
)
def test_each_full_regime_has_its_simplified_one(full: str, label: str):
    """The table of chapter 6, all 18 rows."""
    at = FULL_REGIMES.index(full)
    trend, rest = divmod(at, len(VOLATILITIES) * len(MOMENTA))
    volatility, momentum = divmod(rest, len(MOMENTA))
    assert simplified_regime(TRENDS[trend], VOLATILITIES[volatility], MOMENTA[momentum]).value == label


@pytest.mark.parametrize(
    ("inputs", "trend"),
    [
        ({"adx": 20.0, "di_balance": 1e-6, "sma_slope": 1e-6}, "uptrend"),
        ({"adx": 20.0, "di_balance": -1e-6, "sma_slope": -1e-6}, "downtrend"),
        ({"adx": 19.9999999, "di_balance": 0.5, "sma_slope": 0.5}, "neutral"),
        ({"adx": 50.0, "di_balance": 0.5, "sma_slope": -0.5}, "neutral"),
        ({"adx": 50.0, "di_balance": -0.5, "sma_slope": 0.5}, "neutral"),
        ({"adx": 50.0, "di_balance": 0.0, "sma_slope": 0.5}, "neutral"),
        ({"adx": 50.0, "di_balance": 0.5, "sma_slope": 0.0}, "neutral"),
        ({"adx": 50.0, "di_balance": 0.0, "sma_slope": -0.5}, "neutral"),
        ({"adx": 50.0, "di_balance": -0.5, "sma_slope": 0.0}, "neutral"),
    ],
)
def test_a_trend_needs_all_three_to_agree(inputs: dict[str, float], trend: str):
    """ADX of 20 or more, the directional indicators and the slope of the moving average."""
    assert states(**inputs)[0] == trend


def test_volatility_and_momentum_change_beyond_their_thresholds():
    """On the threshold volatility is low and momentum weak."""
    assert [states(volatility_ratio=r)[1] for r in (1.0, 1.000001, math.inf)] == ["low", "high", "high"]
    found = [states(momentum=z)[2] for z in (-0.500001, -0.5, 0.0, 0.5, 0.500001)]
    assert found == ["bearish", "weak", "weak", "weak", "bullish"]


def test_inputs_agree_with_talib_and_numpy():
    """ADX, DI, ATR, SMA and ROC by TA-Lib, the rolling quantile by NumPy."""
    bars = walk_bars(2500, 4, sigma=0.006)
    high, low, close = bars.high / 100, bars.low / 100, bars.close / 100
    plus, minus = talib.PLUS_DI(high, low, close, 14), talib.MINUS_DI(high, low, close, 14)
    atr, sma = talib.ATR(high, low, close, 14), talib.SMA(close, 50)
    share = atr / close
    usual = np.array([np.quantile(share[at - 500 : at], 0.6) for at in range(1500, 2500)])
    expected = {
        "adx": talib.ADX(high, low, close, 14)[1500:],
        "di_balance": ((plus - minus) / (plus + minus))[1500:],
        "sma_slope": ((sma - np.roll(sma, 6)) / 6 / atr)[1500:],
        "volatility_ratio": share[1500:] / usual,
        "momentum": (talib.ROC(close, 12) / (100 * share * math.sqrt(12)))[1500:],
    }
    found = folded(bars).columns.inputs
    for place, name in enumerate(INPUTS):
        assert found[place, 1500:] == pytest.approx(expected[name], abs=1.1e-6), name
    assert (found[1:, 99:] == np.round(found[1:, 99:], 6)).all()  # as scores are


@given(
    st.lists(st.sampled_from([math.nan, 0.0, 1.0, 1.0, 2.5, 7.0, 1e-9]), min_size=1, max_size=60),
    st.integers(1, 12),
    st.floats(0.01, 0.99),
    st.integers(0, 60),
)
@example(values=[float(at % 7) for at in range(40)], length=5, share=0.6, first=20)
@settings(max_examples=200, deadline=None)
def test_the_rolling_quantile_is_that_of_sorted_values(
    values: list[float], length: int, share: float, first: int
):
    """Ties, unknown values, short beginnings; from any row on with the same bits."""
    column = np.array(values)
    found = quantiles_before(column, length, share)
    for row in range(len(values)):
        before = column[max(row - length, 0) : row]
        known = before[~np.isnan(before)]
        assert np.isnan(found[row]) == (not known.size)
        if known.size:
            assert found[row] == pytest.approx(np.quantile(known, share), rel=1e-12)
    assert quantiles_before(column, length, share, min(first, len(values))).tobytes() == (
        found[min(first, len(values)) :].tobytes()
    )


@pytest.mark.parametrize(("length", "share"), [(500, 0.6), (40, 0.45), (33, 0.5), (33, 0.97), (20, 0.6)])
@pytest.mark.parametrize("rows", [63, 64, 65, 80, 1100])
def test_many_rows_at_once_have_the_quantiles_of_each_alone(length: int, share: float, rows: int):
    """Blocks of rows, their last one cut anywhere, give the bits that a live hour has; ties and gaps too."""
    rng = np.random.default_rng(length + rows)
    drawn = np.cumsum(rng.normal(0, 1, length + rows)) ** 2
    for column in (drawn, np.round(drawn / 10), np.where(np.arange(length + rows) < 5, np.nan, drawn)):
        at_once = quantiles_before(column, length, share)
        alone = [quantiles_before(column[: row + 1], length, share, row) for row in range(len(column))]
        assert at_once.tobytes() == np.concatenate(alone).tobytes()


def test_fewer_than_a_hundred_bars_have_no_row():
    """The hundredth bar is the first one with a regime."""
    columns = folded(walk_bars(130, 2)).columns
    assert [columns.reading(row) is None for row in (0, 98, 99, 129)] == [True, True, False, False]
    assert set(columns.trend[:99]) == set(columns.simplified[:99]) == {NO_ROW}
    assert np.isnan(columns.confidence[:99]).all()
    assert len(folded(walk_bars(130, 2)).told(0, 130)) == 31
    assert len(folded(walk_bars(60, 2)).told(0, 60)) == 0


@pytest.mark.parametrize(
    ("lengths", "wilder_bars", "first"),
    [
        ({}, 14, 99),
        ({"minimum_bars": 30}, 14, 55),  # an average of 50, and that of 6 bars before
        ({"minimum_bars": 30, "roc_bars": 70}, 14, 70),
        ({"minimum_bars": 30}, 40, 79),  # ADX needs twice its length
        ({"minimum_bars": 90}, 40, 89),
    ],
)
def test_the_first_regime_waits_for_every_length(lengths: dict[str, int], wilder_bars: int, first: int):
    """For the bars of history that are asked for, and for the longest of the averages."""
    config = RegimeConfig(
        components=ComponentsConfig(**lengths), metrics=MetricsConfig(wilder_bars=wilder_bars)
    )
    bars = walk_bars(130, 2)
    found = ComponentFold.start(Timeframe.H1, 100).extended(bars, config)
    assert set(found.columns.trend[:first]) == {NO_ROW}
    assert np.isnan(found.columns.inputs[:, :first]).all()
    assert np.isfinite(found.columns.inputs[:, first:]).all()
    assert NO_ROW not in found.columns.trend[first:]
    told = found.told(0, 130)
    assert told.ts.tolist() == bars.ts[first:].tolist()


CLEAR = {
    "TREND_UP": {"adx": 40.0, "di": 0.4, "slope": 0.2, "ratio": 0.8, "momentum": 0.6},
    "TREND_DOWN": {"adx": 40.0, "di": -0.4, "slope": -0.2, "ratio": 1.8, "momentum": -0.6},
    "RANGE": {"adx": 12.0, "di": 0.05, "slope": 0.01, "ratio": 0.7, "momentum": 0.02},
    "CHOPPY": {"adx": 12.0, "di": -0.05, "slope": 0.01, "ratio": 1.6, "momentum": 0.9},
    "NEUTRAL": {"adx": 12.0, "di": 0.1, "slope": 0.01, "ratio": 0.7, "momentum": 1.2},
}

WAYS = np.linspace(0.001, 1, 40).tolist()


@pytest.mark.parametrize("label", CLEAR)
def test_each_label_can_be_nearly_certain(label: str):
    """A trend by its strength, a range by the absence of one."""
    found, sure = read(**CLEAR[label])
    assert found == label
    assert sure > 0.9


def test_the_strength_of_a_trend_is_measured_on_its_own_side_of_20():
    """From 20 to 30 where it trends, from 20 down to 14 where it does not."""
    assert read(adx=20.5, di=0.5, slope=0.5, ratio=0.8, momentum=0.6) == ("TREND_UP", 0.05)
    assert read(adx=19.4, di=0.5, slope=0.5, ratio=0.5, momentum=0.0) == ("RANGE", 0.1)


def test_confidence_is_rounded_to_a_millionth():
    """As scores are; 12.34567 % of the way from 20 to 30."""
    assert read(adx=21.234567, di=0.5, slope=0.5, ratio=0.8, momentum=0.6) == ("TREND_UP", 0.123457)


@pytest.mark.parametrize(
    ("label", "threshold"),
    [
        ("TREND_UP", {"adx": 20.0}),
        ("TREND_UP", {"di": 0.0001}),
        ("TREND_UP", {"slope": 0.0001}),
        ("TREND_UP", {"momentum": -0.4999}),
        ("TREND_DOWN", {"adx": 20.0}),
        ("TREND_DOWN", {"momentum": 0.4999}),
        ("RANGE", {"ratio": 1.0}),
        ("RANGE", {"momentum": 0.4999}),
        ("RANGE", {"momentum": -0.4999}),
        ("RANGE", {"adx": 19.999, "di": 0.3, "slope": 0.3}),
        ("RANGE", {"adx": 45.0, "di": -0.3, "slope": 0.0}),
        ("CHOPPY", {"ratio": 1.0001}),
        ("CHOPPY", {"adx": 19.999, "di": -0.3, "slope": -0.3}),
        ("NEUTRAL", {"momentum": 0.5001}),
        ("NEUTRAL", {"ratio": 0.9999}),
        ("NEUTRAL", {"adx": 40.0, "di": 0.4, "slope": 0.4, "momentum": -0.5001}),
        ("NEUTRAL", {"adx": 20.0, "di": -0.4, "slope": -0.4, "momentum": 0.9}),
    ],
)
def test_at_a_threshold_of_its_label_confidence_is_zero(label: str, threshold: dict[str, float]):
    """However clear the other inputs are: the label would be another one at the next step."""
    found, sure = read(**(CLEAR[label] | threshold))
    assert found == label
    assert sure < 0.005


@pytest.mark.parametrize(
    ("label", "threshold"),
    [("TREND_UP", {"momentum": 0.5}), ("TREND_UP", {"ratio": 1.0}), ("CHOPPY", {"momentum": 0.5})],
)
def test_a_threshold_that_the_label_does_not_rest_on_costs_nothing(label: str, threshold: dict[str, float]):
    """Between bullish and weak an uptrend is as clear as before."""
    assert read(**(CLEAR[label] | threshold)) == read(**CLEAR[label])


@pytest.mark.parametrize(
    ("label", "name", "threshold"),
    [
        *(("TREND_UP", name, value) for name, value in (("adx", 20.0), ("di", 0.0), ("slope", 0.0))),
        *(("TREND_DOWN", name, value) for name, value in (("adx", 20.0), ("di", 0.0), ("slope", 0.0))),
        *(("TREND_UP", "momentum", -0.5), ("TREND_DOWN", "momentum", 0.5)),
        *(("RANGE", "ratio", 1.0), ("RANGE", "momentum", 0.5), ("RANGE", "momentum", -0.5)),
        *(("CHOPPY", "ratio", 1.0), ("NEUTRAL", "ratio", 1.0), ("NEUTRAL", "momentum", 0.5)),
    ],
)
def test_confidence_grows_with_the_distance_from_a_threshold(label: str, name: str, threshold: float):
    """Step by step from near 0 to near 1, and never falls on the way."""
    clear = CLEAR[label][name]
    on_the_way = [read(**(CLEAR[label] | {name: threshold + way * (clear - threshold)})) for way in WAYS]
    assert {found for found, _ in on_the_way} == {label}
    sure = [value for _, value in on_the_way]
    assert sure[0] < 0.02
    assert sure[-1] > 0.9
    assert all(later > earlier or later == sure[-1] for earlier, later in pairwise(sure))


@given(cuts=st.lists(st.integers(1, 699), max_size=5), seed=st.integers(0, 50))
@settings(max_examples=15, deadline=None)
def test_columns_have_the_same_bits_however_they_were_extended(cuts: list[int], seed: int):
    """All at once, in pieces, or one bar at a time around the cuts; nothing looks ahead."""
    bars = walk_bars(700, seed)
    whole = folded(bars)
    fold = ComponentFold.start(Timeframe.H1, 100)
    for first, last in pairwise(sorted({0, 700, *cuts, *(cut + 1 for cut in cuts)})):
        fold = fold.extended(bars.rows(first, last), CONFIG)
        assert bits(fold.columns) == bits(whole.rows(last).columns)


def test_one_bar_at_a_time_gives_the_bits_of_all_at_once(recorded_data: Path):
    """A recorded month of 15m bars, beyond the length of the quantile."""
    bars = recorded_bars(recorded_data, "KUCOIN_ETH-USDT", Timeframe.M15).rows(0, 1400)
    fold = folded(bars.rows(0, 60))
    for row in range(60, len(bars)):
        fold = fold.extended(bars.rows(row, row + 1), CONFIG)
    assert bits(fold.columns) == bits(folded(bars).columns)


@pytest.mark.check
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("name", "scale"), RECORDED if EVERY_SERIES else RECORDED[:2])
@pytest.mark.parametrize("timeframe", [Timeframe.M15, Timeframe.H1, Timeframe.H4], ids=lambda t: t.value)
def test_no_bar_of_any_recorded_series_sees_what_comes_after_it(
    recorded_data: Path, name: str, scale: int, timeframe: Timeframe
):
    """Every row when it was the newest, and after all the others: the same bits.

    All stretches of 2000 rows in `make campaign`, otherwise every third.
    """
    if not (recorded_data / f"{name}_{timeframe.value}.parquet").exists():
        pytest.skip("not recorded")
    bars = recorded_bars(recorded_data, name, timeframe, scale)
    whole = folded(bars, scale).columns
    for first in range(0, len(bars), 2000 if EVERY_SERIES else 6000):  # a fold as long as live ones are
        last = min(first + 4000, len(bars))
        part = folded(bars.rows(first, last), scale).columns
        fold = folded(bars.rows(first, first + 99), scale)
        for row in range(first + 99, min(first + 2000, last)):
            fold = fold.extended(bars.rows(row, row + 1), CONFIG)
        assert bits(fold.columns) == bits(part.rows(0, len(fold)))
        if first == 0:
            assert bits(fold.columns) == bits(whole.rows(0, len(fold)))


@pytest.mark.parametrize(("name", "scale"), RECORDED)
def test_every_label_reaches_high_confidence_on_recorded_candles(recorded_data: Path, name: str, scale: int):
    """A range too: on every venue, market and timeframe, none of the five is rare or always unsure."""
    for timeframe in (Timeframe.M15, Timeframe.H1, Timeframe.H4):
        if not (recorded_data / f"{name}_{timeframe.value}.parquet").exists():
            continue
        columns = folded(recorded_bars(recorded_data, name, timeframe, scale), scale).columns
        for code, label in enumerate(SIMPLIFIED):
            of_label = columns.confidence[columns.simplified == code]
            assert of_label.size > 0.05 * len(columns), (timeframe, label)
            assert of_label.max() > 0.9, (timeframe, label)
            assert np.quantile(of_label, 0.1) < 0.25, (timeframe, label)


def test_a_market_that_never_moved_is_a_range_of_which_nothing_can_be_said():
    """No movement is no trend and no momentum; against a volatility of 0 nothing can be low: confidence 0."""
    flat = folded(bars_of_prices(Timeframe.H1, START.open_ts, np.full(300, 100.0))).columns
    assert flat.reading(299) == Components("neutral", "low", "weak", "NEUTRAL_LOWVOL_WEAK", "RANGE", 0.0)
    assert flat.inputs[:, 299].tolist() == [0.0, 0.0, 0.0, 1.0, 0.0]
    moved = np.concatenate((np.full(300, 100.0), [101.0]))
    first = folded(bars_of_prices(Timeframe.H1, START.open_ts, moved)).columns.reading(300)
    assert first is not None
    assert (first.volatility_state, first.momentum_state) == ("high", "bullish")


@given(
    st.lists(st.sampled_from([0.2, 0.999, 1.0, 1.0, 1.001, 1.02, 3.0]), min_size=150, max_size=300),
    st.sampled_from([100, 10**10]),
)
@settings(max_examples=40, deadline=None)
def test_any_series_gives_every_bar_after_the_first_hundred_a_regime(factors: list[float], scale: int):
    """However it jumps, stands still, or how small its prices are."""
    logs = np.log(np.array(factors))
    close = np.maximum(1e6 / scale * np.exp(np.cumsum(logs - logs.mean())), 10 / scale)
    columns = folded(bars_of_prices(Timeframe.H1, START.open_ts, close, price_scale=scale), scale).columns
    assert (columns.trend[99:] >= 0).all()
    assert ((columns.confidence[99:] >= 0) & (columns.confidence[99:] <= 1)).all()
    assert not np.isnan(columns.inputs[:, 99:]).any()


@pytest.mark.parametrize("factor", [3, 1000, 12_345])
def test_prices_times_k_change_no_state(factor: int):
    """A market quoted in another unit is the same market."""
    bars = walk_bars(1500, 8, price=25_000.0)
    one, other = folded(bars).columns, folded(bars.rescaled(factor, 1)).columns
    assert one.simplified.tolist() == other.simplified.tolist()
    assert one.confidence[99:] == pytest.approx(other.confidence[99:], abs=1e-4)


def test_the_analysis_carries_the_regime_of_its_own_bar():
    """With the inputs among the diagnostics, so that the record answers why."""
    bars = walk_bars(1600, 11, sigma=0.006, pull=0.01)
    engine = RegimeEngine(CONFIG)
    found = engine.analyze(window_of(bars))
    assert isinstance(found, RegimeAnalysis)
    rows = rows_of(engine.components(window_of(bars), Timeframe.H1))
    assert found.components == rows[int(bars.ts[-1])]
    for name in ("di_balance", "sma_slope", "volatility_ratio", "momentum"):
        assert isinstance(found.diagnostics[name], float)
    assert found.components is not None
    strong = found.metrics["adx"].value
    assert strong is not None
    assert strong >= 20 or found.components.trend_state == "neutral"


def test_every_hour_tells_the_same_row_of_a_bar():
    """15m, 1h and 4h, asked around a new anchor: one bar, one regime, told in its own month."""
    hours = walk_bars(24 * 130, 5, start=Hour.parse("2024-01-01T00"))
    quarter = bars_of_prices(Timeframe.M15, hours.ts[-1] + 3600 - 900 * 7000, walk(7000, 2, sigma=0.002))
    turn = Hour.parse("2024-05-01T00")
    live = RegimeEngine(CONFIG)
    told: dict[tuple[Timeframe, int], Components | None] = {}
    for step in range(-30, 31, 3):
        window = window_of(hours, turn.plus(step), finer={Timeframe.M15: quarter})
        for timeframe in (Timeframe.M15, Timeframe.H1, Timeframe.H4):
            rows = rows_of(live.components(window, timeframe))
            assert rows == rows_of(RegimeEngine(CONFIG).components(window, timeframe))
            assert all(Hour.of_ts(ts).opens_at.month == window.hour.opens_at.month for ts in rows)
            for ts, row in rows.items():
                assert told.setdefault((timeframe, ts), row) == row
    assert {timeframe for timeframe, _ in told} == {Timeframe.M15, Timeframe.H1, Timeframe.H4}


def test_a_young_market_has_rows_from_its_hundredth_bar_on():
    """Not only from the 168th, which is a matter of anchors that have a past."""
    bars = walk_bars(120, 5, start=Hour.parse("2024-05-20T00"))
    rows = RegimeEngine(CONFIG).components(window_of(bars), Timeframe.H1)
    assert rows.ts.tolist() == bars.ts[99:].tolist()
    assert len(RegimeEngine(CONFIG).components(window_of(bars), Timeframe.M5)) == 0
    assert len(RegimeEngine(CONFIG).components(window_of(aggregate(bars, Timeframe.H4)), Timeframe.H4)) == 0


def test_limits_that_cannot_be_reached_are_refused():
    """A configuration in which a label could never be certain says so."""
    with pytest.raises(ValueError, match="clear_range_adx < trending_adx < clear_trend_adx"):
        ComponentsConfig(trending_adx=35)
    with pytest.raises(ValueError, match="weak is never clear"):
        ComponentsConfig(clear_momentum=0.6)
