"""Each signal fires where it should, says why with the numbers, and nowhere else."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from grid.geometry import Spacing
from grid.parameters import GridParameters
from market.candles import Bars
from market.hours import Timeframe
from market.orders import OrderTerms
from regime.analysis import RegimeAnalysis
from tests.decisions.builders import ANALYSIS
from tests.trading.views import (
    HOUR,
    RULES,
    SCALE,
    hours_of,
    in_regime,
    loud,
    noise,
    rise,
    spike,
    terms_of,
    view_of,
    with_metrics,
)
from trading.signals.base import Signal, strength_of
from trading.signals.grid import GridSignal, GridSignalConfig
from trading.signals.mean_reversion import MeanReversionConfig, MeanReversionSignal
from trading.signals.momentum import MomentumConfig, MomentumSignal
from trading.signals.price_move import PriceMoveConfig, PriceMoveSignal
from trading.signals.regime import RegimeSignal, RegimeSignalConfig
from trading.values import MarketView, Trigger, TriggerKind

GRID = GridParameters(1, Decimal(1900), Decimal(2100), 8, Spacing.GEOMETRIC, Decimal(50))
TRENDING = with_metrics(ANALYSIS, adx=28.0, efficiency_ratio=0.5)


def only(signal: Signal, view: MarketView) -> Trigger:
    """Return the one trigger of a signal."""
    (trigger,) = signal.scan(view)
    assert (trigger.signal, trigger.key, trigger.hour) == (signal.name, view.key, view.hour)
    return trigger


def dip(bars: int = 60, down: float = 0.03) -> Bars:
    """Return hours that wander, then close far below."""
    closes = noise(bars)
    closes[-1] = 2000.0 * (1 - down)
    return hours_of(closes)


def up_before(adx: float | None, now: float | None = 25.0) -> RegimeAnalysis:
    """Return TREND_UP with ADX as it was three hours ago and as it is."""
    found = in_regime("TREND_UP", diagnostics={**ANALYSIS.diagnostics, "adx_3_bars_ago": adx})
    return with_metrics(found, adx=now)


class TestPriceMove:
    def test_a_large_rise_on_large_volume_fires_with_its_numbers(self):
        """3 % in three hours of a market that moves .3 % an hour, on four times the volume."""
        view = view_of(hours_of(spike(), volume=loud()))
        found = only(PriceMoveSignal(), view)
        assert found.kind is TriggerKind.SWING
        assert found.price == int(view.window.bars[Timeframe.H1].close[-1])
        assert "in 3 h" in found.reason and "on 4.00 times the usual volume (from 2)" in found.reason
        assert (found.confidence, found.max_hold_h) == (0.5, 24)

    def test_sigmas_are_those_of_the_hours_before_the_move(self):
        """Computed by hand: the move over the deviation of the baseline's returns x sqrt(3)."""
        closes = spike()
        scaled = np.round(closes * SCALE)
        before = scaled[-172:-3]
        returns = before[1:] / before[:-1] - 1
        sigmas = (scaled[-1] / scaled[-4] - 1) / (returns.std() * np.sqrt(3))
        found = only(PriceMoveSignal(), view_of(hours_of(closes, volume=loud())))
        assert f"{sigmas:.2f} standard deviations" in found.reason
        assert found.strength == pytest.approx(min(0.5 * sigmas / 2.5, 1.0), abs=1e-6)
        with_less = PriceMoveSignal(PriceMoveConfig(minimum_sigmas=sigmas - 1e-6))
        with_more = PriceMoveSignal(PriceMoveConfig(minimum_sigmas=min(sigmas + 1e-6, 20)))
        assert only(with_less, view_of(hours_of(closes, volume=loud()))).strength == 0.5
        assert with_more.scan(view_of(hours_of(closes, volume=loud()))) == ()

    def test_the_usual_volume_is_that_of_the_baseline_hours(self):
        """The 168 hours before the move, neither the one before them nor those of the move."""
        volume = np.arange(1, 261, dtype=np.int64) ** 2
        ratio = (volume[-3:].sum() / 3) / (volume[-171:-3].sum() / 168)
        view = view_of(hours_of(spike(), volume=volume))
        on_it = PriceMoveSignal(PriceMoveConfig(minimum_volume_ratio=ratio))
        beyond = PriceMoveSignal(PriceMoveConfig(minimum_volume_ratio=ratio + 1e-9))
        assert f"on {ratio:.2f} times" in only(on_it, view).reason
        assert beyond.scan(view) == ()

    def test_strength_and_share_are_those_of_the_move(self):
        """A move of 1 % in a market that is asked for little: the percentage is told, the rest is by hand."""
        closes = spike(up=0.01)
        scaled = np.round(closes * SCALE)
        before = scaled[-172:-3]
        returns = before[1:] / before[:-1] - 1
        sigmas = (scaled[-1] / scaled[-4] - 1) / (returns.std() * np.sqrt(3))
        found = only(
            PriceMoveSignal(PriceMoveConfig(minimum_sigmas=0.75 * sigmas, confidence=0.4)),
            view_of(hours_of(closes, volume=loud())),
        )
        assert (found.strength, found.confidence) == (pytest.approx(0.5 / 0.75, abs=2e-6), 0.4)
        assert f"is {100 * (scaled[-1] / scaled[-4] - 1):.2f} % up in 3 h" in found.reason

    @pytest.mark.parametrize(("volume", "fires"), [(loud(times=2), True), (loud(times=1), False)])
    def test_the_volume_has_to_be_there(self, volume, fires):
        """Twice the usual volume is enough, the usual one is not."""
        assert bool(PriceMoveSignal().scan(view_of(hours_of(spike(), volume=volume)))) is fires

    def test_a_fall_is_no_reason_to_buy(self):
        """The same move downwards does not fire."""
        assert PriceMoveSignal().scan(view_of(hours_of(spike(up=-0.03), volume=loud()))) == ()


class TestMomentum:
    def test_a_close_above_all_highs_in_a_trend_fires_with_its_numbers(self):
        """The highest high is that of the 48 hours before, and the reason names it."""
        hours = hours_of(rise())
        found = only(MomentumSignal(), view_of(hours, TRENDING))
        highest = int(hours.high[-49:-1].max()) / SCALE
        assert f"is above {highest:g}, the highest of 48 h" in found.reason
        assert "ADX 28.0 (from 20), efficiency 0.50 (from 0.2)" in found.reason

    def test_strength_is_the_rise_in_deviations(self):
        """(Close over the close 48 hours ago) - 1, over the hourly deviation x sqrt(48); half at 1."""
        hours = hours_of(rise())
        move = int(hours.close[-1]) / int(hours.close[-49]) - 1
        sigmas = move / (0.004 * np.sqrt(48))
        assert 1 < sigmas < 3
        found = only(MomentumSignal(MomentumConfig(minimum_sigmas=1.5)), view_of(hours, TRENDING))
        assert found.strength == pytest.approx(0.5 * sigmas / 1.5, abs=1e-6)
        assert MomentumSignal(MomentumConfig(minimum_sigmas=3)).scan(view_of(hours, TRENDING)) == ()

    def test_a_close_on_the_highest_high_is_no_new_high(self):
        """Equal is not above."""
        hours = hours_of(rise())
        high = hours.high.copy()
        high[-20] = hours.close[-1]
        assert MomentumSignal().scan(view_of(replace(hours, high=high), TRENDING)) == ()

    @pytest.mark.parametrize(
        "metrics", [{"adx": 19.9}, {"efficiency_ratio": 0.19}, {"adx": None}, {"efficiency_ratio": None}]
    )
    def test_a_market_without_direction_does_not_fire(self, metrics):
        """ADX and efficiency have to be known and reach their thresholds."""
        assert MomentumSignal().scan(view_of(hours_of(rise()), with_metrics(TRENDING, **metrics))) == ()

    def test_thresholds_that_are_just_reached_count(self):
        """ADX 20 and an efficiency of .2 are enough; 4 ATR of 20 above is the target."""
        hours = hours_of(rise())
        found = only(MomentumSignal(), view_of(hours, with_metrics(TRENDING, adx=20.0, efficiency_ratio=0.2)))
        goal = int(hours.close[-1]) + 8000
        assert found.target is not None and goal - 5 <= found.target <= goal
        assert (found.confidence, found.max_hold_h) == (0.5, 48)


class TestMeanReversion:
    def test_a_close_far_below_the_mean_fires_with_the_mean_as_target(self):
        """Without a valid range the way back ends at the mean, never beyond it."""
        hours = dip()
        invalid = replace(ANALYSIS, range=replace(ANALYSIS.range, valid=False))
        found = only(MeanReversionSignal(), view_of(hours, invalid))
        closes = hours.close[-48:] / SCALE
        below = (closes.mean() - closes[-1]) / closes.std()
        assert f"is {below:.2f} standard deviations (from 2) below" in found.reason
        assert found.target is not None
        assert 0 <= closes.mean() * SCALE - found.target < 5
        assert found.strength == pytest.approx(min(0.5 * below / 2, 1), abs=1e-6)

    def test_the_middle_of_a_valid_range_is_the_target_where_it_is_nearer(self):
        """And so is the mean where that is: the nearer of the two, above the close."""
        hours = dip()
        for mid, goal in ((1970.0, 197_000), (1930.0, None), (2090.0, None)):
            found = only(
                MeanReversionSignal(),
                view_of(hours, replace(ANALYSIS, range=replace(ANALYSIS.range, mid=mid))),
            )
            mean = float((hours.close[-48:] / SCALE).mean())
            assert found.target == (int(mean * SCALE / 5) * 5 if goal is None else goal)

    def test_below_a_broken_range_nothing_is_faded(self):
        """Half an ATR under the bound of a valid range is the end of it; at the margin it still stands."""
        hours = dip()
        bound = 1940.0 + 0.5 * 20.0
        for lower, fires in ((bound, True), (bound + 0.01, False)):
            known = replace(ANALYSIS, range=replace(ANALYSIS.range, lower=lower))
            assert bool(MeanReversionSignal().scan(view_of(hours, known))) is fires

    def test_a_way_back_that_is_not_worth_its_stop_is_left(self):
        """An ATR of 20 from 1940: a middle at 1960 is far enough, one just below it is not."""
        for mid, fires in ((1960.0, True), (1959.99, False)):
            known = replace(ANALYSIS, range=replace(ANALYSIS.range, mid=mid))
            assert bool(MeanReversionSignal().scan(view_of(dip(), known))) is fires

    def test_it_is_as_sure_as_the_range_is_said_to_hold(self):
        """The calibrated probability where there is one, what is assumed where there is none."""
        for probability, confidence in (
            (0.86, 0.86),
            (0.0, 0.0),
            (0.12345678, 0.123457),
            (None, 0.5),
            (float("nan"), 0.5),
        ):
            found = only(
                MeanReversionSignal(), view_of(dip(), replace(ANALYSIS, hold_probability=probability))
            )
            assert found.confidence == confidence

    def test_a_close_far_above_the_mean_is_not_sold(self):
        """Spot and long only: the high extreme is left alone."""
        assert MeanReversionSignal().scan(view_of(dip(down=-0.03))) == ()

    def test_the_threshold_decides(self):
        """The same dip under a higher threshold does not fire."""
        assert MeanReversionSignal(MeanReversionConfig(minimum_deviations=10)).scan(view_of(dip())) == ()


class TestGrid:
    def test_a_setup_becomes_a_trigger_as_sure_as_the_advice(self):
        """The ladder goes on as it is; there is no stop or target of a swing."""
        found = only(GridSignal(), view_of(hours_of(noise(30)), setup=GRID, setup_confidence=0.8))
        assert (found.kind, found.grid, found.strength, found.confidence) == (
            TriggerKind.GRID,
            GRID,
            1.0,
            0.8,
        )
        assert (found.stop, found.target, found.max_hold_h) == (None, None, None)
        assert found.reason == "a grid of 8 levels from 1900 to 2100 is advised with confidence 0.80 (from 0)"

    @pytest.mark.parametrize(
        ("setup", "confidence"), [(None, 0.8), (GRID, None), (GRID, float("nan")), (GRID, 0.69)]
    )
    def test_no_advice_or_too_little_confidence_is_no_trigger(self, setup, confidence):
        """A configuration may ask for more than the advice itself does."""
        view = view_of(hours_of(noise(30)), setup=setup, setup_confidence=confidence)
        assert GridSignal(GridSignalConfig(minimum_confidence=0.7)).scan(view) == ()


class TestRegime:
    def test_an_uptrend_that_was_not_one_three_hours_ago_fires(self):
        """ADX was below the threshold then: the reason says so; it is as sure as the regime is clear."""
        hours = hours_of(rise())
        found = only(RegimeSignal(), view_of(hours, up_before(18.0)))
        assert found.price == int(hours.close[-1])
        assert "which was not there 3 h ago: ADX was 18.0 then, ADX is 25.0 now (from 20)" in found.reason
        assert found.reason.endswith("confidence 0.40 (from 0.2)")
        assert (found.strength, found.confidence, found.max_hold_h) == (0.625, 0.4, 72)

    def test_an_old_uptrend_does_not_fire(self):
        """ADX was there, and the moving average rose already."""
        assert RegimeSignal().scan(view_of(hours_of(rise()), up_before(20.0))) == ()

    def test_a_moving_average_that_only_now_rises_fires(self):
        """ADX may come from the fall before; three hours ago the mean of 50 closes still fell."""
        closes = np.concatenate((np.linspace(2200, 2000, 100), [2010.0, 2100.0, 2400.0]))
        found = only(RegimeSignal(), view_of(hours_of(closes), up_before(30.0)))
        assert "the moving average did not rise then" in found.reason

    @pytest.mark.parametrize("regime", ["TREND_DOWN", "RANGE", "CHOPPY", "NEUTRAL"])
    def test_no_other_regime_fires(self, regime):
        """Only TREND_UP is bought."""
        found = replace(in_regime(regime), diagnostics=up_before(10.0).diagnostics)
        assert RegimeSignal().scan(view_of(hours_of(rise()), found)) == ()

    def test_what_is_not_known_of_three_hours_ago_is_no_change(self):
        """Without the ADX of then or of now there is nothing to compare."""
        for found in (up_before(None), up_before(10.0, None)):
            assert RegimeSignal().scan(view_of(hours_of(rise()), found)) == ()

    @pytest.mark.parametrize(("confidence", "fires"), [(0.2, True), (0.19, False), (float("nan"), False)])
    def test_a_regime_that_may_flip_back_at_once_does_not_fire(self, confidence, fires):
        """Its confidence says how far it stands from its thresholds."""
        found = up_before(18.0)
        assert found.components is not None
        found = replace(found, components=replace(found.components, confidence=confidence))
        assert bool(RegimeSignal().scan(view_of(hours_of(rise()), found))) is fires

    def test_its_thresholds_are_settings(self):
        """A trend that begins at ADX 15 was there three hours ago."""
        lower = RegimeSignal(RegimeSignalConfig(trending_adx=15))
        assert lower.scan(view_of(hours_of(rise()), up_before(18.0))) == ()


class TestSwings:
    def test_stop_and_target_stand_in_atr_and_are_rounded_down(self):
        """2 and 4 ATR of 20 from the close, to the increment of .05; rounding never helps us."""
        closes = rise()
        closes[-1] = 2125.13
        found = only(MomentumSignal(MomentumConfig(minimum_sigmas=0.1)), view_of(hours_of(closes), TRENDING))
        assert (found.stop, found.price, found.target) == (208_510, 212_513, 220_510)

    def test_prices_come_in_the_scale_of_the_orders(self):
        """A window of cents in a market whose orders count tenths of cents."""
        view = view_of(hours_of(rise()), TRENDING)
        finer = replace(view, terms=OrderTerms.of("ETH-USDT", "ETH-USDT", 1000, RULES))
        plain, scaled = only(MomentumSignal(), view), only(MomentumSignal(), finer)
        assert (scaled.price, scaled.stop, scaled.target) == (
            10 * plain.price,
            10 * (plain.stop or 0),
            10 * (plain.target or 0),
        )

    def test_a_stop_at_or_below_nothing_is_no_trade(self):
        """ATR of more than half the price leaves no room for a stop."""
        wild = replace(TRENDING, atr=1100.0)
        assert MomentumSignal().scan(view_of(hours_of(rise()), wild)) == ()

    @pytest.mark.parametrize(("atr", "stops"), [(1062.47, [5]), (1062.48, [])])
    def test_a_stop_that_rounds_to_nothing_is_no_stop(self, atr, stops):
        """.06 becomes the smallest price, .04 becomes 0."""
        closes = rise()
        closes[-1] = 2125.0
        signal = MomentumSignal(MomentumConfig(minimum_sigmas=0.1))
        found = signal.scan(view_of(hours_of(closes), replace(TRENDING, atr=atr)))
        assert [trigger.stop for trigger in found] == stops

    def test_a_stop_on_the_close_is_no_stop(self):
        """So near that a float cannot tell them apart, and the close stands on an increment."""
        near = MeanReversionSignal(MeanReversionConfig(stop_atr=1e-15))
        assert near.scan(view_of(dip())) == ()

    def test_a_target_that_the_increment_takes_away_is_no_trade(self):
        """The mean is above the close by less than the smallest step."""
        closes = np.full(60, 2000.20)
        closes[-1] = 2000.05
        coarse = OrderTerms.of("ETH-USDT", "ETH-USDT", SCALE, {**RULES, "price_increment": Decimal(1)})
        any_way = MeanReversionSignal(MeanReversionConfig(minimum_target_atr=0))
        assert any_way.scan(view_of(hours_of(closes))) != ()
        assert any_way.scan(view_of(hours_of(closes), terms=coarse)) == ()

    def test_strength_is_half_at_the_threshold_and_one_at_twice(self):
        """Linear between, never outside [.5, 1]."""
        assert [strength_of(x, 2.0) for x in (1.0, 2.0, 3.0, 4.0, 9.0)] == [0.5, 0.5, 0.75, 1.0, 1.0]


def test_the_hour_stands_where_it_is_said_to():
    """The builders make views of their own hour."""
    assert view_of(hours_of(noise(5))).hour == HOUR and terms_of().price_increment == 5
