"""The paper desk in memory: as its newest record left it, or as it begins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from daemon.settings import Settings
from daemon.trading_settings import TradingSettings
from decisions.inputs import Policy
from exchanges.simulated.state import VENUE_FORM
from exchanges.simulated.venue import SimulatedExchange
from market.hours import Hour
from regime.engine import RegimeEngine
from store.desk_files import DeskFile, DeskMarketJson, DeskRecord, desk_record
from store.paths import desk_path
from trading.at_once import at_once
from trading.desk import Desk
from trading.desk_policy import DeskPolicy
from trading.desk_state import DeskState
from trading.market_hour import MarketHour
from trading.report import DeskReport
from trading.rules import RulesEngine


@dataclass(frozen=True, slots=True)
class _Running:
    desk: Desk
    exchange: SimulatedExchange


class PaperDesk:
    """The running desk and its simulated exchange. One hour at a time; whatever fails in it, forget it.

    Attributes:
        newest: The hour that is done, None before the first.
        is_open: Whether what is in memory is what the newest record says.
        seen: When an hour was first seen judged in some market and not yet in all.
    """

    def __init__(self, policy: DeskPolicy, trading: TradingSettings) -> None:
        self._trading, self.policy = trading, policy
        self.newest: Hour | None = None
        self.is_open = False
        self.seen: dict[Hour, datetime] = {}
        self._running: _Running | None = None

    def go_on(self, file: DeskFile | None) -> None:
        """Take up the desk where its newest record left it; None where it has none.

        Raises:
            DataInvalid: The record contradicts itself or the configuration.
        """
        self.forget()
        if file is not None:
            where, judging, model = desk_path(file.of_hour), self.policy.judging, self._trading.fills
            state = DeskState.of_value(file.state, where)
            costs = {key: judging.costs_of(key) for key in state.terms}
            exchange = SimulatedExchange.of(
                VENUE_FORM.of_record(file.venue, f"{where}: venue"),
                state.terms,
                {key: each.fees for key, each in costs.items()},
                {key: each.liquidity for key, each in costs.items()},
                model,
                self.policy.quote,
            )
            self._running = _Running(Desk(self.policy, exchange, state), exchange)
            self.newest = file.of_hour
        self.is_open = True

    def forget(self) -> None:
        """Drop what is in memory: it is taken up again from the newest record."""
        self._running, self.newest, self.is_open = None, None, False

    def run(
        self,
        hour: Hour,
        markets: Mapping[str, MarketHour],
        seen: Mapping[str, DeskMarketJson],
        absent: Mapping[str, str],
    ) -> tuple[DeskRecord, DeskReport]:
        """Let an hour happen and return its record; not on the loop, it calculates.

        Raises:
            DataInvalid: An input contradicts the state; the desk is then to be forgotten.
        """
        running = self._running or self._first(hour)
        self._running = running
        report = at_once(running.desk.run_hour(hour, markets))
        record = desk_record(
            hour,
            self.policy.config_hash,
            self.newest,
            seen,
            absent,
            report.as_value(),
            running.desk.state.as_value(),
            VENUE_FORM.as_record(running.exchange.state()),
        )
        return record, report

    def done(self, hour: Hour) -> None:
        """Note that an hour is recorded."""
        self.newest = hour
        self.seen = {each: at for each, at in self.seen.items() if each > hour}

    def _first(self, hour: Hour) -> _Running:
        quote, cash = self.policy.quote, self._trading.cash
        exchange = SimulatedExchange({}, {}, {}, self._trading.fills, quote, cash, hour.open_ts)
        return _Running(Desk(self.policy, exchange, DeskState.first(cash, quote)), exchange)


def desk_policy(settings: Settings) -> DeskPolicy:
    """Return the rules of the desk, with a regime engine of its own: the cycles' one is not shared."""
    return desk_policy_of(settings.policy(RegimeEngine(settings.regime)), settings.trading)


def desk_policy_of(judging: Policy, trading: TradingSettings) -> DeskPolicy:
    """Return the rules of a desk under the name of its judging rules."""
    return DeskPolicy(
        config_hash=judging.config_hash,
        judging=judging,
        signals=trading.policy.build(),
        universe=trading.universe,
        rules=RulesEngine(trading.policy),
        risk=trading.risk,
        pacing=trading.pacing,
        execution=trading.execution,
    )
