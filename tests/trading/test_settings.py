"""What the settings of universe, signals and rules take, and what they are when nobody tells them."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from regime.config import Section
from tests.sections import takes
from tests.trading.views import HOUR, hours_of, noise, view_of
from trading.rules import RegimeRule
from trading.signals.base import deviation, order_price, positive, recent, share_or
from trading.signals.grid import GridSignalConfig
from trading.signals.mean_reversion import MeanReversionConfig
from trading.signals.momentum import MomentumConfig
from trading.signals.price_move import PriceMoveConfig
from trading.signals.regime import RegimeSignalConfig
from trading.universe import TierTurnover, UniverseConfig

ABOVE_0 = 1e-9
JUST_BELOW_0 = -1e-9

LIMITS: list[tuple[type[Section], str, tuple[float, float], tuple[float, float]]] = [
    (PriceMoveConfig, "stop_atr", (ABOVE_0, 20), (0, 20.01)),
    (PriceMoveConfig, "target_atr", (ABOVE_0, 50), (0, 50.01)),
    (PriceMoveConfig, "max_hold_h", (1, 1000), (0, 1001)),
    (PriceMoveConfig, "bars", (1, 48), (0, 49)),
    (PriceMoveConfig, "baseline_bars", (24, 1000), (23, 1001)),
    (PriceMoveConfig, "minimum_sigmas", (ABOVE_0, 20), (0, 20.01)),
    (PriceMoveConfig, "minimum_volume_ratio", (ABOVE_0, 100), (0, 100.01)),
    (PriceMoveConfig, "confidence", (0, 1), (JUST_BELOW_0, 1.01)),
    (MomentumConfig, "bars", (2, 1000), (1, 1001)),
    (MomentumConfig, "max_hold_h", (1, 1000), (0, 1001)),
    (MomentumConfig, "minimum_adx", (0, 99.99), (JUST_BELOW_0, 100)),
    (MomentumConfig, "minimum_efficiency", (0, 1), (JUST_BELOW_0, 1.01)),
    (MomentumConfig, "minimum_sigmas", (ABOVE_0, 20), (0, 20.01)),
    (MeanReversionConfig, "bars", (2, 1000), (1, 1001)),
    (MeanReversionConfig, "minimum_deviations", (ABOVE_0, 10), (0, 10.01)),
    (MeanReversionConfig, "outside_margin", (0, 5), (JUST_BELOW_0, 5.01)),
    (MeanReversionConfig, "minimum_target_atr", (0, 20), (JUST_BELOW_0, 20.01)),
    (MeanReversionConfig, "max_hold_h", (1, 1000), (0, 1001)),
    (GridSignalConfig, "minimum_confidence", (0, 1), (JUST_BELOW_0, 1.01)),
    (RegimeSignalConfig, "trending_adx", (ABOVE_0, 99.99), (0, 100)),
    (RegimeSignalConfig, "sma_bars", (2, 1000), (1, 1001)),
    (RegimeSignalConfig, "sma_slope_bars", (1, 100), (0, 101)),
    (RegimeSignalConfig, "minimum_confidence", (0, 1), (JUST_BELOW_0, 1.01)),
    (RegimeSignalConfig, "max_hold_h", (1, 1000), (0, 1001)),
    (UniverseConfig, "max_spread_bps", (ABOVE_0, 1000), (0, 1000.01)),
    (UniverseConfig, "min_depth", (0, 1e12), (JUST_BELOW_0, math.inf)),
    (TierTurnover, "major", (0, 1e12), (JUST_BELOW_0, math.inf)),
    (TierTurnover, "liquid", (0, 1e12), (JUST_BELOW_0, math.inf)),
    (TierTurnover, "thin", (0, 1e12), (JUST_BELOW_0, math.nan)),
    (RegimeRule, "sizing", (0, 1.5), (JUST_BELOW_0, 1.501)),
]


@pytest.mark.parametrize(("section", "field", "taken", "refused"), LIMITS)
def test_a_setting_takes_its_limits_and_nothing_beyond(section, field, taken, refused):
    """The least and the most are allowed, the next ones are not; infinity and no number never are."""
    assert [takes(section, field, value) for value in (*taken, *refused)] == [True, True, False, False]
    assert not takes(section, field, math.nan) and not takes(section, field, math.inf)


@pytest.mark.parametrize(
    ("section", "defaults"),
    [
        (
            PriceMoveConfig,
            {
                "stop_atr": 2.0,
                "target_atr": 4.0,
                "max_hold_h": 24,
                "bars": 3,
                "baseline_bars": 168,
                "minimum_sigmas": 2.5,
                "minimum_volume_ratio": 2.0,
                "confidence": 0.5,
            },
        ),
        (
            MomentumConfig,
            {
                "stop_atr": 2.0,
                "target_atr": 4.0,
                "max_hold_h": 48,
                "bars": 48,
                "minimum_adx": 20.0,
                "minimum_efficiency": 0.2,
                "minimum_sigmas": 1.0,
                "confidence": 0.5,
            },
        ),
        (
            MeanReversionConfig,
            {
                "stop_atr": 2.0,
                "max_hold_h": 24,
                "bars": 48,
                "minimum_deviations": 2.0,
                "outside_margin": 0.5,
                "minimum_target_atr": 1.0,
                "confidence": 0.5,
            },
        ),
        (GridSignalConfig, {"minimum_confidence": 0.0}),
        (
            RegimeSignalConfig,
            {
                "stop_atr": 2.0,
                "target_atr": 4.0,
                "max_hold_h": 72,
                "trending_adx": 20.0,
                "sma_bars": 50,
                "sma_slope_bars": 6,
                "minimum_confidence": 0.2,
            },
        ),
        (TierTurnover, {"major": 5e7, "liquid": 5e6, "thin": 5e5}),
        (
            UniverseConfig,
            {
                "quote": "USDT",
                "min_turnover_24h": {"major": 5e7, "liquid": 5e6, "thin": 5e5},
                "max_spread_bps": 20.0,
                "min_depth": 0.0,
                "include": (),
                "exclude": (),
                "tiers": {},
                "exclusions": (),
                "exclusion_file": None,
            },
        ),
    ],
)
def test_the_defaults_change_only_on_purpose(section, defaults):
    """A record names the configuration's hash, and this is what stands behind an empty one."""
    assert section().model_dump() == defaults


def test_the_trend_of_the_regime_signal_is_that_of_the_regime():
    """Its numbers repeat those of `regime.components`, by default too."""
    from regime.config import ComponentsConfig

    own, theirs = RegimeSignalConfig(), ComponentsConfig()
    for field in ("trending_adx", "sma_bars", "sma_slope_bars"):
        assert getattr(own, field) == getattr(theirs, field)


def test_recent_hours_are_whole_and_end_with_the_views_own():
    """Exactly so many; one base unit is a trade, none is not."""
    hours = hours_of(noise(10))
    found = recent(view_of(hours), 10)
    assert found is not None and (len(found), int(found.ts[-1])) == (10, HOUR.open_ts)
    assert recent(view_of(hours), 11) is None
    volume = hours.volume.copy()
    volume[-1] = 1
    assert recent(view_of(replace(hours, volume=volume)), 1) is not None


def test_figures_that_are_none_are_left_out():
    """0 is not positive, the smallest float is; 0 and 1 are shares, nothing beyond is."""
    tiny = 5e-324
    told = (None, math.nan, math.inf, -math.inf, -1.0, 0.0)
    assert [positive(value) for value in told] == [None] * 6
    assert (positive(tiny), positive(0.5)) == (tiny, 0.5)
    outside = (None, math.nan, math.inf, -tiny, 1 + 1e-15)
    assert [share_or(value, 0.3) for value in outside] == [0.3] * 5
    assert [share_or(value, 0.3) for value in (0.0, 0.5, 1.0)] == [0.0, 0.5, 1.0]


def test_the_deviation_is_that_of_the_population():
    """2, 4, 4, 4, 5, 5, 7, 9: mean 5, deviation 2; and 0 exactly where nothing differs."""
    assert deviation(np.array([2.0, 4, 4, 4, 5, 5, 7, 9])) == 2.0
    assert deviation(np.full(7, 0.1)) == 0.0
    assert deviation(np.array([1e9 + 1, 1e9 - 1])) == 1.0


def test_a_coarser_scale_rounds_a_price_down():
    """A window that counts finer than the orders do; never up, never to the nearest."""
    view = view_of(hours_of(noise(5)))
    coarse = replace(view, window=replace(view.window, price_scale=1000))
    assert order_price(coarse, 1_999_999) == 199_999
