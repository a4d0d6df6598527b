"""What speaks against a result is said, and only what does."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from backtest.analytics import analytics_of, cash_text, sharpe
from backtest.cautions import cautions, mean_net, sharpe_error
from backtest.report_form import Figure, checked
from market.orders import CASH_SCALE
from tests.backtest.samples import HOURS, NAV, START, sample_result
from tests.trading.trades import closed_trade

HELD = {"pessimistic": 1, "expected": 2, "optimistic": 3}
QUIET_DAYS = 100


def found(gains, *, days=QUIET_DAYS, bracket=HELD, still_open=0, regimes=("TREND_UP", "RANGE")):
    """Return the cautions of a run with one trade for each gain of a tenth of a coin."""
    trades = [
        closed_trade(f"t{n}", START.plus(4 + n), gain=gain, regime=regimes[n % len(regimes)])
        for n, gain in enumerate(gains)
    ]
    end = NAV + sum(each.net for each in trades) + still_open * CASH_SCALE
    nav = [NAV] * (24 * days - 1) + [end]
    runs = bracket and {name: {"net": str(net), "trades": 1} for name, net in bracket.items()}
    result = replace(
        sample_result(),
        trades=tuple(trades),
        end=START.plus(len(nav)).iso(),
        hours=tuple(START.plus(n).iso() for n in range(len(nav))),
        nav=tuple(map(cash_text, nav)),
        exposure=("0",) * len(nav),
        baselines={},
        bracket=runs,
        analytics=analytics_of(trades, nav, [0] * len(nav), NAV),
    )
    return cautions(*checked(result.as_value(), "made up"))


def test_nothing_speaks_against_many_steady_gains():
    """Sixty trades, two regimes, a hundred days, a bracket above zero, nothing open."""
    assert found([20 + n % 7 for n in range(60)]) == []


@pytest.mark.parametrize(
    ("count", "said"), [(1, "1\u00a0closed trade is"), (29, "29\u00a0closed trades are")]
)
def test_fewer_than_thirty_trades_are_too_few(count, said):
    """And nothing is then said of luck."""
    first, *rest = found([20 + n % 7 for n in range(count)])
    assert not any(each.startswith("Without") for each in rest)
    assert first == f"{said} too few to tell: it takes 30 to judge anything."
    assert not any("luck" in each for each in rest)


def test_a_mean_that_may_be_zero_is_not_told_from_luck():
    """The interval is the textbook's, and one that leaves zero out is not mentioned."""
    gains = [70, -52] * 20
    (said,) = [each for each in found(gains) if "luck" in each]
    nets = np.array([0.1 * gain - 0.0001 * (2000 + 2000 + gain) for gain in gains])  # 0.1 coin, 10 bps twice
    room = 1.96 * nets.std(ddof=1) / math.sqrt(40)
    low, high = f"−{room - nets.mean():.2f}", f"+{nets.mean() + room:.2f}"
    assert said.startswith(f"A closed trade brought +0.50 on average, 95\u00a0% interval {low} to {high}")
    assert "n\u00a040" in said
    assert not any("luck" in each for each in found([-60, -52] * 20))


def test_a_few_trades_that_carry_it_all_are_named():
    """One in twenty at most: more are no accident."""
    assert "Without the best trade the closed trades would have made −10.01." in found([400] + [2, 1] * 20)
    assert not any(each.startswith("Without") for each in found([400, 400, 400] + [2, 1] * 15))
    assert any("the 2 best trades" in each for each in found([400, 400] + [0, -2] * 29))
    assert not any(each.startswith("Without") for each in found([-400] + [2, 1] * 20))


def test_a_sign_that_hangs_on_the_fill_model_is_said():
    """So is that nobody looked."""
    many = [20 + n % 7 for n in range(60)]
    assert found(many, bracket={"pessimistic": -8, "expected": 1, "optimistic": 7}) == [
        "Whether anything was earned hangs on the fill model: −8.00 to +7.00."
    ]
    assert found(many, bracket={"pessimistic": -8, "expected": -3, "optimistic": -1}) == []
    assert found(many, bracket=None) == [
        "One fill model alone was run; --bracket shows how far the result hangs on it."
    ]


def test_open_trades_short_runs_and_a_single_regime_are_said():
    """Each by itself."""
    many = [20 + n % 7 for n in range(60)]
    assert found(many, still_open=-3) == [
        "−3.00 of the net is in trades still open, at the last price, before the cost of closing them."
    ]
    assert found(many, days=68) == ["68\u00a0days are one stretch of history; annualised figures say little."]
    assert found(many, days=89) != [] and found(many, days=90) == []
    assert found(many, regimes=("RANGE",)) == [
        "All closed trades began in one regime (RANGE): nothing is known of the others."
    ]


def test_the_error_of_a_sharpe_ratio_is_what_many_runs_show():
    """Two thousand runs of independent hours with a known ratio scatter as Lo's formula says."""
    rng = np.random.default_rng(11)
    ratios = [sharpe(rng.normal(0.05, 1.0, 500)) for _ in range(2000)]
    told = sharpe_error(Figure(value=0.05 * math.sqrt(8760), n=500))
    assert told == pytest.approx(np.std(ratios), rel=0.05)
    assert sharpe_error(Figure(value=None, n=HOURS)) is None


def test_the_interval_of_the_mean_holds_it_nineteen_times_in_twenty():
    """Of runs whose mean is known."""
    rng = np.random.default_rng(5)
    one = closed_trade("t", START.plus(4))
    held = 0
    for _ in range(400):
        drawn = (rng.normal(3.0, 10.0, 60) * CASH_SCALE).astype(int).tolist()
        _, low, high = mean_net([replace(one, net=net) for net in drawn])
        held += low <= 3.0 <= high
    assert held / 400 == pytest.approx(0.95, abs=0.03)
