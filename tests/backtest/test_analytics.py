"""Figures by hand and against plain formulas; no figure without the number of cases that it is of."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest

from backtest.analytics import analytics_of, max_drawdown, sharpe, sortino
from market.orders import CASH_SCALE
from tests.backtest.samples import sample_trades
from tests.trading.trades import NAV


def test_sharpe_and_sortino_are_annualised_hours():
    """Against the formulas in plain Python."""
    returns = [0.01, -0.02, 0.005, 0.0, 0.003, -0.001]
    mean, year = statistics.fmean(returns), math.sqrt(8760)
    assert sharpe(np.array(returns)) == pytest.approx(mean / statistics.stdev(returns) * year)
    downside = math.sqrt(sum(min(each, 0) ** 2 for each in returns) / len(returns))
    assert sortino(np.array(returns)) == pytest.approx(mean / downside * year)


def test_figures_without_a_denominator_are_none():
    """No trade, no variation, no hour below zero: none, not infinity."""
    flat = np.zeros(5)
    assert sharpe(flat) is None and sortino(flat) is None
    assert sharpe(np.array([0.01])) is None and sortino(np.array([0.01])) is None
    found = analytics_of((), [NAV] * 3, [0] * 3, NAV)
    for name in ("win_rate", "mean_r", "sharpe", "sortino"):
        assert found[name]["value"] is None
    assert found["maker_share"]["value"] is None and found["hold_hours"]["median"] is None
    assert found["time_in_market"] == {"value": 0.0, "n": 3}
    assert analytics_of((), [], [], NAV)["net"]["account"] == "0"


def test_the_deepest_fall_is_from_its_peak():
    """100 to 90 is 10 %; the later, higher peak falls less."""
    found = max_drawdown(np.array([100.0, 90.0, 120.0, 114.0, 121.0]))
    assert (found["peak"], found["trough"]) == (0, 1) and found["value"] == pytest.approx(0.1)


def test_the_parts_by_label_add_up_to_the_whole():
    """Every trade is in exactly one row of each split."""
    trades = sample_trades()
    found = analytics_of(trades, [NAV], [0], NAV)
    for label in ("signal", "symbol", "regime", "tier", "exit"):
        rows = found[f"by_{label}"].values()
        assert sum(row["n"] for row in rows) == len(trades)
        assert sum(row["won"] for row in rows) == sum(each.won for each in trades)
        total = sum(round(float(row["net"]) * CASH_SCALE) for row in rows)
        assert total == sum(each.net for each in trades)
    assert found["win_rate"]["value"] == sum(each.won for each in trades) / len(trades)
    assert found["mean_r"]["value"] == pytest.approx(statistics.fmean(each.r for each in trades))
    assert sum(row["n"] for row in found["hold_hours"]["counts"]) == len(trades)
    assert found["too_few_trades"] is True
