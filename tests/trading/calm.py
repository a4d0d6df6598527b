"""A desk whose market and judgement are told hour by hour, for what recorded weeks do not bring."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from decisions.inputs import HourInputs
from exchanges.simulated.faults import FaultPlan, FaultyExchange
from exchanges.simulated.fills import FillModel
from market.hours import Hour, Timeframe
from market.window import MarketWindow
from regime.analysis import RegimeAnalysis
from regime.config import RegimeConfig
from tests.decisions import builders
from tests.decisions.builders import HOUR, KEY
from tests.trading.desks import CASH, exchange_at, policy_of
from tests.trading.views import in_regime
from trading.desk import Desk
from trading.desk_policy import DeskPolicy
from trading.desk_state import DeskState
from trading.market_hour import MarketHour
from trading.report import DeskReport
from trading.signals.registry import build
from trading.trades import TradeRecord
from trading.universe import UniverseConfig

RANGE = in_regime("RANGE")
SURE = FillModel(queue_position=1.0, through_ticks=1, participation=1.0)
ALL_IN = UniverseConfig(include=(KEY,))  # the builders' market trades too little to be let in by turnover


def hour_of(inputs: HourInputs, *, times: int = 10**6) -> MarketHour:
    """Return the hour as the desk reads it, its minutes with enough volume for any order."""
    minutes = replace(inputs.minutes, volume=inputs.minutes.volume * times)
    return MarketHour(replace(inputs, minutes=minutes), KEY)


@dataclass
class Told:
    """An engine that finds what it is told at the price of the window.

    Attributes:
        found: May be changed between hours.
    """

    found: RegimeAnalysis = RANGE
    config: RegimeConfig = field(default_factory=RegimeConfig)

    def analyze(self, window: MarketWindow) -> RegimeAnalysis:
        bars = window.bars[Timeframe.H1]
        return replace(self.found, price=int(bars.close[-1]) / window.price_scale)


def policy(engine: Told, **parts: Any) -> DeskPolicy:
    """Return rules that set up a grid wherever the decision code advises one."""
    return policy_of([KEY], engine, **{"signals": build({"grid": {}}), "universe": ALL_IN, **parts})


@dataclass
class CalmDesk:
    """A desk in a market that stands still unless told otherwise.

    Attributes:
        parts: Of the policy, where they are not the default ones.
        faults: What befalls its calls to the exchange.
    """

    parts: Mapping[str, Any] = field(default_factory=dict)
    faults: FaultPlan | None = None
    engine: Told = field(default_factory=Told)
    hour: Hour = HOUR
    reports: list[DeskReport] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.exchange = exchange_at(self.hour.open_ts, SURE)
        orders = None if self.faults is None else FaultyExchange(self.exchange, self.faults)
        rules = policy(self.engine, **self.parts)
        self.desk = Desk(rules, self.exchange, DeskState.first(CASH, "USDT"), orders)

    async def hours(self, *markets: Mapping[str, Any]) -> DeskReport:
        """Let hours happen, each with what `builders.inputs` is told; return the last one's report."""
        for told in markets:
            found = {KEY: hour_of(builders.inputs(self.hour, **told))}
            self.reports.append(await self.desk.run_hour(self.hour, found))
            self.hour = self.hour.plus(1)
        return self.reports[-1]

    @property
    def trades(self) -> list[TradeRecord]:
        """Return every trade that ended."""
        return [trade for report in self.reports for trade in report.trades]
