"""How strategies that can be simulated today fared by regime, over all that is recorded of a market."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock
from typing import Any

from daemon.histories import OpenHistory
from daemon.regime_forms import time_of
from decisions.calibration.by_regime import FEWEST_WEEKS, StrategyDays, fares_by_regime, strategy_days
from grid.standard import DAY_H, StandardGrid
from market.candles import Bars
from market.hours import HOUR_S, Timeframe
from regime.history import JudgedHours, judge_history
from regime.series import RegimeRows

_KEPT = 2  # markets whose judged hours are held between questions
SIMULATED = {
    "grid": "the standard grid of the hour: half coin, half cash, geometric cells of at least"
    f" {StandardGrid().spacing_bps:g} bps ({StandardGrid().at_least} to {StandardGrid().at_most} of them) on"
    " the range that the engine found in that hour, no stop; the maker fee of every fill is paid",
    "grid_mirrored": "the same grid on the same path with every log return's sign turned: the chance"
    " baseline",
    "holding": "the coin and cash that the grid begins with, never traded",
    "grid_over_holding": "grid less holding, hour by hour: what trading in the grid added",
}
_IS_NOT = (
    "No backtest of a named strategy and no trade that was made: nothing here was proposed, accepted or"
    " stopped by the decision rules. The path inside an hour is read pessimistically from its 1h bar. The"
    " coin at the start is there already and coin at the end is valued at the last close without the cost"
    " of selling it. Days that start in neighbouring hours overlap; intervals are 95 % from a bootstrap"
    f" over calendar weeks, null with fewer than {FEWEST_WEEKS} weeks. The past of one market says nothing"
    " certain of its future."
)


@dataclass(frozen=True, slots=True)
class _Judged:
    hours: JudgedHours
    bars: Bars
    price_scale: int
    rows: RegimeRows


class StrategyComparisons:
    """Compares strategies over recorded hours; any thread, one simulation at a time.

    Args:
        opened: Files, index, rules and costs.
    """

    def __init__(self, opened: OpenHistory) -> None:
        self._opened = opened
        self._judged: OrderedDict[tuple[str, str | None], _Judged] = OrderedDict()
        self._turn = Lock()

    def compare(self, key: str, start_ts: int, end_ts: int) -> dict[str, Any]:
        """Return how each strategy fared from the hours that open in [start_ts, end_ts), JSON-ready.

        Raises:
            UnknownMarket: Nothing is recorded.
            RegimesBusy: What is not stored cannot be computed now.
        """
        with self._turn:
            found = self._of(key)
        hours = found.hours.where((found.hours.ts >= start_ts) & (found.hours.ts < end_ts))
        fees = self._opened.policy.costs_of(key).fees
        days = strategy_days(hours, found.bars, found.price_scale, fees.maker_bps, found.rows)
        return self._told(key, hours, days) | fares_by_regime(days)

    def _told(self, key: str, hours: JudgedHours, days: StrategyDays) -> dict[str, Any]:
        configured = key in self._opened.policy.costs
        return {
            "symbol": key,
            "start": time_of(int(hours.ts[0])) if len(hours) else None,
            "end": time_of(int(hours.ts[-1]) + HOUR_S) if len(hours) else None,
            "horizon_hours": DAY_H,
            "simulated": SIMULATED,
            "data": "recorded hours of this market, each judged by the rules in force with what lay before"
            " it; each strategy starts at the hour's close and is valued 24 hours later",
            "is_not": _IS_NOT,
            "maker_bps": self._opened.policy.costs_of(key).fees.maker_bps,
            "fee_from": "configuration of the market"
            if configured
            else "usual fee; the market is not configured",
            "hours_judged": len(hours),
            "left_out": {"no_regime": days.without_row, "no_grid_or_day_not_whole": days.without_grid},
        }

    def _of(self, key: str) -> _Judged:
        history = self._opened.history
        start, end = history.span(key, Timeframe.H1)
        name = key, history.version(key, Timeframe.H1, end)
        if name not in self._judged or name[1] is None:
            hours = history.series(key, Timeframe.H1, start, end)
            fours = history.series(key, Timeframe.H4, *history.span(key, Timeframe.H4))
            scales = [max(hours.price_scale, fours.price_scale), max(hours.volume_scale, fours.volume_scale)]
            hours, fours = hours.rescaled(*scales), fours.rescaled(*scales)
            judged = judge_history(
                hours.bars, fours.bars, scales[0], self._opened.regime, volume_scale=scales[1]
            )
            self._judged[name] = _Judged(judged, hours.bars, scales[0], hours.rows)
            while len(self._judged) > _KEPT:
                self._judged.popitem(last=False)
        self._judged.move_to_end(name)
        return self._judged[name]
