"""Backtest and paper side by side over the hours that both have: is it what was promised, and if not, why.

An account that earned less than the tolerance allows is an alert, and the parts of the result say where the
money went: less edge in the same trading, more slippage than was assumed, other fees than the model takes.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from market.errors import DataInvalid
from market.hours import Hour, parse_instant
from market.orders import CASH_SCALE
from trading.comparing import MOST_OFF_SHARE, Tolerance
from trading.trades import RECORD_FORM, TradeRecord

DAY_H = 24
FEWEST_DAYS = 2
MOST_FEE_BPS_OFF = 0.1  # fees are known, not estimated: beyond roundings they agree
LEAST_SLIPPAGE_BPS = 1.0


@dataclass(frozen=True, slots=True)
class Traded:
    """One side.

    Attributes:
        nav: Worth at each hour's close, cash units.
        trades: Closed ones.
    """

    nav: Mapping[Hour, int]
    trades: Sequence[TradeRecord]


@dataclass(frozen=True, slots=True)
class Figures:
    """What one side comes to over the common days.

    Attributes:
        daily_net, standard_error: Of the account's worth, quote a day.
        win_rate: None without trades.
        edge_bps, slippage_bps, fee_bps: Of what was bought and sold; None where nothing was.
    """

    days: int
    daily_net: float
    standard_error: float
    trades: int
    win_rate: float | None
    edge_bps: float | None
    slippage_bps: float | None
    fee_bps: float | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Both sides, whether paper is within tolerance, and what is wrong in words."""

    start: Hour
    end: Hour
    backtest: Figures
    paper: Figures
    tolerance: Tolerance
    alerts: tuple[str, ...]

    @property
    def holds(self) -> bool:
        return not self.alerts


def of_result(result: Mapping[str, Any], where: str) -> Traded:
    """Return the side that a backtest's JSON tells.

    Raises:
        DataInvalid: A trade in it is not what was written.
    """
    nav = {
        Hour.parse(hour): int(Decimal(worth) * CASH_SCALE)
        for hour, worth in zip(result["hours"], result["nav"], strict=True)
    }
    return Traded(nav, [RECORD_FORM.of_record(trade, where) for trade in result["trades"]])


def compare(backtest: Traded, paper: Traded) -> Comparison:
    """Return both sides over the whole days from their first common hour on.

    Raises:
        DataInvalid: Fewer than two whole days in a row are in both.
    """
    start, end = _common(backtest.nav, paper.nav)
    expected, found = (_figures(side, start, end) for side in (backtest, paper))
    tolerance = Tolerance(
        found.daily_net,
        expected.daily_net,
        found.standard_error,
        found.win_rate,
        expected.win_rate,
        found.trades,
    )
    return Comparison(start, end, expected, found, tolerance, tuple(_alerts(expected, found, tolerance)))


def _common(one: Mapping[Hour, int], other: Mapping[Hour, int]) -> tuple[Hour, Hour]:
    hours = sorted(set(one) & set(other))
    if hours:
        row = next((place for place, hour in enumerate(hours) if hour != hours[0].plus(place)), len(hours))
        days = (row - 1) // DAY_H  # the first hour's close is where the first day begins
        if days >= FEWEST_DAYS:
            return hours[0], hours[0].plus(days * DAY_H)
    problem = f"{len(hours)} hours in both, expected {FEWEST_DAYS} whole days in a row or more"
    raise DataInvalid("backtest and paper", "hours", problem)


def _figures(side: Traded, start: Hour, end: Hour) -> Figures:
    """Return the figures from the close of `start` to the close of `end`."""
    days = (end.index - start.index) // DAY_H
    closes = [side.nav[start.plus(day * DAY_H)] / CASH_SCALE for day in range(days + 1)]
    nets = [later - earlier for earlier, later in itertools.pairwise(closes)]
    mean = math.fsum(nets) / days
    spread = math.sqrt(math.fsum((net - mean) ** 2 for net in nets) / (days - 1))
    trades = [each for each in side.trades if start.closes_at < parse_instant(each.exit_at) <= end.closes_at]
    notional = sum(each.maker_notional + each.taker_notional for each in trades)

    def bps(amounts: Iterable[int]) -> float | None:
        return 10_000 * sum(amounts) / notional if notional else None

    return Figures(
        days,
        mean,
        spread / math.sqrt(days),
        len(trades),
        sum(each.won for each in trades) / len(trades) if trades else None,
        bps(each.edge for each in trades),
        bps(each.slippage for each in trades),
        bps(each.fees for each in trades),
    )


def _alerts(expected: Figures, found: Figures, tolerance: Tolerance) -> Iterable[str]:
    fees = _both(expected.fee_bps, found.fee_bps)
    if fees is not None and abs(fees[1] - fees[0]) > MOST_FEE_BPS_OFF:
        yield f"fee model wrong: {fees[1]:.2f} bps paid, {fees[0]:.2f} expected"
    if tolerance.holds:
        return
    if not tolerance.net_holds and tolerance.daily_net > tolerance.expected_daily_net:
        yield f"paper is above the backtest, which does not describe it: {tolerance}"
        return
    yield f"paper is below the backtest: {tolerance}"
    slippage = _both(expected.slippage_bps, found.slippage_bps)
    if slippage is not None:
        most = slippage[0] + max(MOST_OFF_SHARE * abs(slippage[0]), LEAST_SLIPPAGE_BPS)
        if slippage[1] > most:
            yield f"slippage underestimated: {slippage[1]:.2f} bps, {slippage[0]:.2f} expected"
    edge = _both(expected.edge_bps, found.edge_bps)
    if edge is not None and edge[1] < edge[0] - MOST_OFF_SHARE * abs(edge[0]):
        yield f"edge decay: {edge[1]:.2f} bps of what was traded, {edge[0]:.2f} expected"


def _both(expected: float | None, found: float | None) -> tuple[float, float] | None:
    return None if expected is None or found is None else (expected, found)
