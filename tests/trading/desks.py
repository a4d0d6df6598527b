"""Desks for tests: over recorded candles, judged by the real engine, on the simulated exchange."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from daemon.windows import RecordedHours
from decisions.inputs import Analyser, MarketCosts, Policy
from exchanges.simulated.fills import EXPECTED, FillModel
from exchanges.simulated.venue import SimulatedExchange
from grid.economics import EconomicsConfig, TradingRules
from market.costs import LIQUIDITY_BY_TIER, Fees
from market.hours import Hour, Timeframe, hours_between
from market.orders import CASH_SCALE
from regime.config import RegimeConfig
from regime.engine import RegimeEngine
from store.recorded import choose_markets
from store.recorded_windows import RecordedWindows
from trading.desk import Desk
from trading.desk_policy import DeskPolicy
from trading.desk_state import DeskState
from trading.market_hour import MarketHour
from trading.report import DeskReport
from trading.signals.registry import SIGNALS, build

CASH = 10_000 * CASH_SCALE
RULES = {
    "BTC-USDT": TradingRules(Decimal("0.01"), Decimal("0.00001"), Decimal("0.00001"), Decimal("0.1")),
    "ETH-USDT": TradingRules(Decimal("0.01"), Decimal("0.0001"), Decimal("0.0001"), Decimal("0.1")),
    "SOL-USDT": TradingRules(Decimal("0.01"), Decimal("0.001"), Decimal("0.001"), Decimal("0.1")),
}
FREE_TO_TRADE = EconomicsConfig(require_positive_edge=False)


@dataclass(frozen=True)
class RecordedDays:
    """Recorded markets as the hours of a desk."""

    windows: Mapping[str, RecordedWindows]

    @classmethod
    def of(cls, data: Path, symbols: list[str]) -> RecordedDays:
        timeframes = RegimeEngine(RegimeConfig()).timeframes()
        chosen = choose_markets(data, len(symbols), symbols=symbols, venue="BINANCE").markets
        return cls({market.symbol: RecordedWindows(market, timeframes) for market in chosen})

    def hours(self, start: Hour, end: Hour) -> Iterator[tuple[Hour, dict[str, MarketHour]]]:
        """Yield each hour with its markets."""
        source = RecordedHours(self.windows)
        for hour in hours_between(start, end):
            found = {}
            for key, windows in self.windows.items():
                (plain,) = source.windows(key, [hour])
                minutes = windows.bars(Timeframe.M1).between(hour.open_ts, hour.close_ts)
                found[key] = MarketHour(replace(plain, minutes=minutes, rules=RULES[key]), key)
            yield hour, found


def policy_of(keys: list[str], engine: Analyser | None = None, **parts: Any) -> DeskPolicy:
    """Return the default rules over markets with KuCoin's fees, every signal on."""
    costs = {key: MarketCosts(Fees(maker_bps=10, taker_bps=10), LIQUIDITY_BY_TIER["major"]) for key in keys}
    judging = Policy("tests", engine or RegimeEngine(RegimeConfig()), 3, costs=costs, economics=FREE_TO_TRADE)
    return DeskPolicy(
        **{"config_hash": "tests", "judging": judging, "signals": build({n: {} for n in SIGNALS}), **parts}
    )


def exchange_at(ts: int, model: FillModel = EXPECTED, cash: int = CASH) -> SimulatedExchange:
    """Return an exchange without markets yet: the desk adds them."""
    return SimulatedExchange({}, {}, {}, model, "USDT", cash, ts)


def new_desk(policy: DeskPolicy, start: Hour, model: FillModel = EXPECTED, cash: int = CASH) -> Desk:
    return Desk(policy, exchange_at(start.open_ts, model, cash), DeskState.first(cash, "USDT"))


async def run(desk: Desk, days: RecordedDays, start: Hour, end: Hour) -> list[DeskReport]:
    """Return what each hour found and did."""
    return [await desk.run_hour(hour, markets) for hour, markets in days.hours(start, end)]
