"""Strategies by regime: equal to one simulation an hour, counted by hand; thin groups claim no interval."""

from __future__ import annotations

import numpy as np
import pytest

from decisions.calibration.by_regime import FEWEST_WEEKS, STRATEGIES, fares_by_regime, strategy_days
from grid.simulation import simulate
from grid.standard import StandardGrid
from market.candles import aggregate
from market.errors import DataInvalid
from market.hours import Timeframe
from regime.components.states import SIMPLIFIED
from regime.config import RegimeConfig
from regime.history import judge_history
from regime.series import NO_VERDICT, VERDICTS, RegimeRows
from tests.regime.windows import walk_bars

BARS = walk_bars(2600, seed=12)
MAKER_BPS = 8.0


@pytest.fixture(scope="module")
def judged():
    return judge_history(BARS, aggregate(BARS, Timeframe.H4), 100, RegimeConfig())


def rows_for(ts) -> RegimeRows:
    """Return a row for each instant, regimes and verdicts in turn."""
    places = np.arange(len(ts))
    return RegimeRows(
        Timeframe.H1,
        ts,
        (places % 18).astype(np.int8),
        (places % len(VERDICTS)).astype(np.int8),
        np.full(len(ts), 5000, dtype=np.int16),
    )


@pytest.fixture(scope="module")
def days(judged):
    return strategy_days(judged, BARS, 100, MAKER_BPS, rows_for(judged.ts))


def test_each_day_is_one_simulation_of_the_hours_own_grid(judged, days):
    """Grid and holding equal the integer simulator and plain arithmetic, hour by hour; none is left out."""
    rule, found = StandardGrid(maker_ppm=800), dict(zip(days.ts.tolist(), range(len(days)), strict=True))
    simulated = 0
    for row in range(0, len(judged), 7):
        start = int(np.searchsorted(BARS.ts, judged.ts[row]))
        ahead = BARS.rows(start + 1, start + 25)
        try:
            plan = rule.plan(
                round(judged.lower[row] * 100), round(judged.upper[row] * 100), int(BARS.close[start])
            )
        except DataInvalid:
            plan = None
        wanted = judged.valid[row] and judged.inside[row] and len(ahead) == 24 and plan is not None
        assert (int(judged.ts[row]) in found) == wanted
        if not wanted:
            continue
        simulated += 1
        outcome, place = simulate(plan, ahead), found[int(judged.ts[row])]
        net = {name: float(days.net_bps[name][place]) for name in STRATEGIES}
        value = outcome.start_value
        assert net["grid"] == pytest.approx(1e4 * outcome.total / value, abs=1e-6)
        assert net["holding"] == pytest.approx(1e4 * (outcome.held_value - value) / value, abs=1e-6)
        assert net["grid_over_holding"] == pytest.approx(net["grid"] - net["holding"], abs=1e-6)
    assert simulated > 50


def test_dearer_fees_cost_the_grid_and_not_the_holder(judged, days):
    """Every fill pays the fee that was given."""
    dear = strategy_days(judged, BARS, 100, 3 * MAKER_BPS, rows_for(judged.ts))
    both = np.isin(days.ts, dear.ts), np.isin(dear.ts, days.ts)
    assert both[1].sum() > 50
    assert days.net_bps["grid"][both[0]].mean() > dear.net_bps["grid"][both[1]].mean()
    assert np.allclose(days.net_bps["holding"][both[0]], dear.net_bps["holding"][both[1]], atol=1e-6)


def test_the_groups_are_plain_means_and_shares(days):
    """Means, shares and counts by regime and by verdict equal a loop over the days."""
    found = fares_by_regime(days)
    groups = [("by_simplified_regime", days.regime, SIMPLIFIED), ("by_verdict", days.verdict, VERDICTS)]
    for name, codes, labels in groups:
        assert sum(group["hours"] for group in found[name].values()) == found["all"]["hours"] == len(days)
        for code, label in enumerate(labels):
            group = found[name][label.value]
            picked = [place for place in range(len(days)) if codes[place] == code]
            assert group["hours"] == len(picked)
            assert group["weeks"] == len({(int(days.ts[place]) + 3 * 86_400) // 604_800 for place in picked})
            for strategy in STRATEGIES:
                values = [float(days.net_bps[strategy][place]) for place in picked]
                told = group["strategies"][strategy]
                if not values:
                    assert told["mean_net_bps"] is None and told["share_positive"] is None
                    continue
                assert told["mean_net_bps"] == pytest.approx(sum(values) / len(values), abs=1e-6)
                assert told["share_positive"] == pytest.approx(
                    sum(value > 0 for value in values) / len(values), abs=1e-6
                )
                assert group["weeks"] < FEWEST_WEEKS or told["low"] <= told["mean_net_bps"] <= told["high"]


def test_few_weeks_claim_no_interval(judged):
    """Hours of fewer than eight calendar weeks have a mean and no interval."""
    short = judged.where(slice(0, 6 * 168))
    found = fares_by_regime(strategy_days(short, BARS, 100, MAKER_BPS, rows_for(judged.ts)))
    grid = found["all"]["strategies"]["grid"]
    assert found["all"]["hours"] > 100 and grid["mean_net_bps"] is not None
    assert (grid["low"], grid["high"]) == (None, None)


def test_hours_without_a_row_or_a_grid_are_counted_not_guessed(judged, days):
    """What is left out is told: hours without a regime, and hours with one but without a grid."""
    assert len(days) + days.without_grid == len(judged) and days.without_row == 0
    every_third = strategy_days(judged, BARS, 100, MAKER_BPS, rows_for(judged.ts[::3]))
    assert every_third.without_row == len(judged) - len(judged.ts[::3])
    assert set(every_third.ts.tolist()) <= set(judged.ts[::3].tolist())
    none = strategy_days(judged, BARS, 100, MAKER_BPS, RegimeRows.none(Timeframe.H1))
    assert (len(none), none.without_row) == (0, len(judged))
    assert fares_by_regime(none)["all"]["strategies"]["grid"]["mean_net_bps"] is None
    silent = rows_for(judged.ts)
    mute = RegimeRows(
        Timeframe.H1, silent.ts, silent.full, np.full_like(silent.verdict, NO_VERDICT), silent.confidence
    )
    assert strategy_days(judged, BARS, 100, MAKER_BPS, mute).without_row == len(judged)


def test_rows_of_another_timeframe_are_refused(judged):
    """Only 1h rows have a verdict."""
    with pytest.raises(ValueError, match="expected 1h"):
        strategy_days(judged, BARS, 100, MAKER_BPS, RegimeRows.none(Timeframe.H4))
