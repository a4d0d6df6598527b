"""What a careful reader objects to a result: too few trades, luck, one good trade, open positions. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from backtest.analytics import FEWEST_TRADES, HOURS_A_YEAR
from backtest.report_form import Figure, Reported
from backtest.report_words import GAP, amount, count, number, words
from market.orders import CASH_SCALE
from market.units import from_scaled
from trading.trades import TradeRecord

WIDE = 1.96  # standard errors on both sides that hold 95 % of a normal distribution
LONG_ENOUGH_DAYS = 90


def cautions(reported: Reported, trades: Sequence[TradeRecord]) -> list[str]:
    """Return what speaks against taking the result at its word, the gravest first."""
    found = [
        _too_few(len(trades)),
        _luck(trades),
        _few_carry_it(trades),
        _bracketed(reported),
        _open(reported),
        _short(reported),
        _one_regime(reported),
    ]
    return [each for each in found if each is not None]


def sharpe_error(sharpe: Figure) -> float | None:
    """Return the standard error of an annualised Sharpe ratio of hourly returns taken as independent.

    Source:
        A. W. Lo, The Statistics of Sharpe Ratios, Financial Analysts Journal 58 (2002), equation 9.
    """
    if sharpe.value is None or sharpe.n == 0:
        return None
    hourly = sharpe.value / math.sqrt(HOURS_A_YEAR)
    return math.sqrt((1 + hourly**2 / 2) / sharpe.n * HOURS_A_YEAR)


def mean_net(trades: Sequence[TradeRecord]) -> tuple[float, float, float]:
    """Return the mean net of a trade and the ends of its 95 % interval, quote; needs two trades."""
    nets = np.array([each.net for each in trades], dtype=np.float64) / CASH_SCALE
    mean = float(nets.mean())
    room = WIDE * float(nets.std(ddof=1)) / math.sqrt(nets.shape[0])
    return mean, mean - room, mean + room


def _too_few(trades: int) -> str | None:
    if trades >= FEWEST_TRADES:
        return None
    are = "is" if trades == 1 else "are"
    return (
        f"{count(trades, 'closed trade')} {are} too few to tell: it takes {FEWEST_TRADES} to judge anything."
    )


def _luck(trades: Sequence[TradeRecord]) -> str | None:
    if len(trades) < FEWEST_TRADES:
        return None
    mean, low, high = mean_net(trades)
    if not low <= 0.0 <= high:
        return None
    span = f"{number(low, signed=True).text} to {number(high, signed=True).text}"
    return (
        f"A closed trade brought {number(mean, signed=True).text} on average, 95{GAP}% interval {span}"
        f" (n{GAP}{len(trades):,}, taken as independent): zero lies within, so it cannot be told from luck."
    )


def _few_carry_it(trades: Sequence[TradeRecord]) -> str | None:
    net = sum(each.net for each in trades)
    if net <= 0 or len(trades) == 1:
        return None
    best = sorted((each.net for each in trades), reverse=True)
    left, taken = net, 0
    while left > 0:
        left -= best[taken]
        taken += 1
    if taken > max(1, len(trades) // 20):
        return None
    which = "the best trade" if taken == 1 else f"the {taken} best trades"
    rest = amount(from_scaled(left, CASH_SCALE), signed=True)
    return f"Without {which} the closed trades would have made {rest}."


def _bracketed(reported: Reported) -> str | None:
    if reported.bracket is None:
        return "One fill model alone was run; --bracket shows how far the result hangs on it."
    nets = [getattr(reported.bracket, name).net for name in ("pessimistic", "expected", "optimistic")]
    if min(nets) <= 0 < max(nets):
        ends = f"{amount(min(nets), signed=True)} to {amount(max(nets), signed=True)}"
        return f"Whether anything was earned hangs on the fill model: {ends}."
    return None


def _open(reported: Reported) -> str | None:
    left = reported.analytics.net.open
    if left == 0:
        return None
    told = amount(left, signed=True)
    return f"{told} of the net is in trades still open, at the last price, before the cost of closing them."


def _short(reported: Reported) -> str | None:
    days = (reported.end.index - reported.start.index) / 24
    if days >= LONG_ENOUGH_DAYS:
        return None
    return f"{days:,.0f}{GAP}days are one stretch of history; annualised figures say little."


def _one_regime(reported: Reported) -> str | None:
    regimes = [name for name, each in reported.analytics.by_regime.items() if each.n]
    if len(regimes) != 1:
        return None
    return f"All closed trades began in one regime ({words(regimes[0])}): nothing is known of the others."
