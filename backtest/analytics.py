"""What trades and an account's hours come to: each figure with the number of cases that it is of. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from market.candles import Floats
from market.orders import CASH_SCALE
from trading.trades import TradeRecord, decimal_text

HOURS_A_YEAR = 8_760
FEWEST_TRADES = 30
HOLD_EDGES_H = (0, 1, 2, 4, 8, 16, 24, 48, 96)


def cash_text(cash: int) -> str:
    """Return cash units as exact quote."""
    return decimal_text(cash, CASH_SCALE)


def analytics_of(
    trades: Sequence[TradeRecord], nav: Sequence[int], exposure: Sequence[int], capital: int
) -> dict[str, Any]:
    """Return the figures of a run, as its result holds them.

    Args:
        trades: Closed ones, in order of exit.
        nav: Of the account at each hour's close, cash units; open trades at their last price.
        exposure: Coin and open buys at each hour's close, cash units.
        capital: What the account began with, cash units.
    """
    wealth = np.array([capital, *nav], dtype=np.float64)
    returns = np.diff(wealth) / wealth[:-1]
    fills = sum(each.maker_fills + each.taker_fills for each in trades)
    notional = sum(each.maker_notional + each.taker_notional for each in trades)
    risked = [each.r for each in trades if each.r is not None]
    return {
        "net": _net(trades, nav, capital),
        "win_rate": _figure(_share(sum(each.won for each in trades), len(trades)), len(trades)),
        "mean_r": _figure(float(np.mean(risked)) if risked else None, len(risked)),
        "by_signal": _by(trades, lambda each: each.signal),
        "by_symbol": _by(trades, lambda each: each.key),
        "by_regime": _by(trades, lambda each: each.regime),
        "by_tier": _by(trades, lambda each: each.tier),
        "by_exit": _by(trades, lambda each: each.exit_reason.value),
        "sharpe": _figure(sharpe(returns), returns.shape[0]),
        "sortino": _figure(sortino(returns), returns.shape[0]),
        "max_drawdown": {**max_drawdown(wealth), "n": returns.shape[0]},
        "hold_hours": _holds([each.held_hours for each in trades]),
        "maker_share": {
            **_figure(_share(sum(each.maker_notional for each in trades), notional), fills),
            "notional": cash_text(notional),
        },
        "time_in_market": _figure(_share(sum(each > 0 for each in exposure), len(exposure)), len(exposure)),
        "too_few_trades": len(trades) < FEWEST_TRADES,
    }


def sharpe(returns: Floats) -> float | None:
    """Return mean over standard deviation (n - 1) of hourly returns, annualised by 8,760; None without one.

    Args:
        returns: Simple hourly returns, shape (n_hours,); nothing is taken off for a riskless rate.
    """
    if returns.shape[0] < 2:
        return None
    spread = float(returns.std(ddof=1))
    return None if spread == 0.0 else float(returns.mean()) / spread * math.sqrt(HOURS_A_YEAR)


def sortino(returns: Floats) -> float | None:
    """Return mean over the root mean square of the hours below zero (all hours count), annualised.

    Source:
        F. A. Sortino, L. N. Price, Performance Measurement in a Downside Risk Framework (1994); target 0.
    """
    if returns.shape[0] < 2:
        return None
    downside = math.sqrt(float(np.mean(np.minimum(returns, 0.0) ** 2)))
    return None if downside == 0.0 else float(returns.mean()) / downside * math.sqrt(HOURS_A_YEAR)


def max_drawdown(wealth: Floats) -> dict[str, Any]:
    """Return the deepest fall from a peak: share of the peak, and its places among `wealth`.

    Returns:
        `value` in [0, 1]; `peak` and `trough` count hours, 0 the start; both 0 where nothing fell.
    """
    peaks = np.maximum.accumulate(wealth)
    falls = 1.0 - wealth / peaks
    trough = int(falls.argmax())
    peak = int(wealth[: trough + 1].argmax())
    return {"value": float(falls[trough]), "peak": peak, "trough": trough}


def _net(trades: Sequence[TradeRecord], nav: Sequence[int], capital: int) -> dict[str, Any]:
    net = sum(each.net for each in trades)
    fees, slippage = sum(each.fees for each in trades), sum(each.slippage for each in trades)
    whole = (nav[-1] if nav else capital) - capital
    return {
        "after_fees": cash_text(net),
        "before_fees": cash_text(net + fees),
        "edge": cash_text(net + fees + slippage),
        "slippage": cash_text(slippage),
        "fees": cash_text(fees),
        "open": cash_text(whole - net),
        "account": cash_text(whole),
        "n": len(trades),
    }


def _by(trades: Sequence[TradeRecord], name: Callable[[TradeRecord], str]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for label in sorted({name(each) for each in trades}):
        own = [each for each in trades if name(each) == label]
        found[label] = {
            "n": len(own),
            "won": sum(each.won for each in own),
            "net": cash_text(sum(each.net for each in own)),
            "fees": cash_text(sum(each.fees for each in own)),
        }
    return found


def _holds(hours: Sequence[float]) -> dict[str, Any]:
    edges = [*HOLD_EDGES_H, None]
    counts = [
        {"from": low, "to": high, "n": sum(low <= each and (high is None or each < high) for each in hours)}
        for low, high in zip(HOLD_EDGES_H, edges[1:], strict=True)
    ]
    quartiles = np.quantile(hours, (0.25, 0.5, 0.75)).tolist() if hours else [None] * 3
    return {
        "n": len(hours),
        "mean": float(np.mean(hours)) if hours else None,
        "p25": quartiles[0],
        "median": quartiles[1],
        "p75": quartiles[2],
        "most": max(hours, default=None),
        "counts": counts,
    }


def _figure(value: float | None, n: int) -> dict[str, Any]:
    return {"value": value, "n": n}


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
