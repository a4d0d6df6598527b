"""The event-driven engine: recorded hours through the very desk that trades on paper."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from backtest.analytics import analytics_of, cash_text
from backtest.baselines import TOLD, Baselines
from backtest.data import DataDigest, HourSource, Markets
from backtest.kpis import trade_kpis
from backtest.result import BacktestResult
from decisions.inputs import Analyser
from exchanges.simulated.fills import EXPECTED, OPTIMISTIC, PESSIMISTIC, FillModel
from exchanges.simulated.venue import SimulatedExchange
from grid.simulation import BarPath
from market.candles import Bars
from market.errors import ConfigInvalid, DataInvalid
from market.hours import Hour
from market.orders import OrderTerms
from market.window import MarketWindow
from regime.analysis import Insufficient, RegimeAnalysis
from regime.config import RegimeConfig
from trading.at_once import at_once
from trading.desk import Desk
from trading.desk_policy import DeskPolicy
from trading.desk_state import DeskState
from trading.report import DeskReport
from trading.sections import known_names
from trading.signals.registry import SIGNALS
from trading.trades import TradeRecord

POLICY = "policy"
BRACKET = {"pessimistic": PESSIMISTIC, "expected": EXPECTED, "optimistic": OPTIMISTIC}
Told = Callable[[], None]


class RememberedAnalysis:
    """An engine that judges each hour once, for runs over the same hours; answers are the engine's own."""

    def __init__(self, engine: Analyser) -> None:
        self._engine = engine
        self._found: dict[tuple[str, Hour, str], RegimeAnalysis | Insufficient] = {}

    @property
    def config(self) -> RegimeConfig:
        return self._engine.config

    def analyze(self, window: MarketWindow) -> RegimeAnalysis | Insufficient:
        name = window.key, window.hour, window.digest()
        if name not in self._found:
            self._found[name] = self._engine.analyze(window)
        return self._found[name]


@dataclass(slots=True)
class _Account:
    """What is kept of each hour's report."""

    trades: list[TradeRecord] = field(default_factory=list)
    nav: list[int] = field(default_factory=list)
    exposure: list[int] = field(default_factory=list)
    orders: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    stopped_h: int = 0

    def take(self, report: DeskReport) -> None:
        self.trades += report.trades
        self.nav.append(report.account.nav)
        self.exposure.append(report.account.total_exposure)
        self.orders.update(note.what for note in report.orders)
        refused = (note.refusal for note in report.triggers if note.refusal is not None)
        self.refusals.update(each.reason.value for each in refused)
        self.stopped_h += bool(report.stopped_by)


class BacktestEngine:
    """Runs a strategy over a source; the same bytes for the same data, configuration and seed.

    Args:
        policy: The desk's rules with every signal that the configuration switches on.
        capital: What the account begins with, cash units.
        model: How orders are filled.
    """

    def __init__(self, policy: DeskPolicy, capital: int, model: FillModel = EXPECTED) -> None:
        self._policy, self._capital, self._model = policy, capital, model

    def run(
        self,
        strategy: str,
        source: HourSource,
        start: Hour,
        end: Hour,
        *,
        bracket: bool = False,
        notes: tuple[str, ...] = (),
        advice: Mapping[str, Any] | None = None,
        told: Told = lambda: None,
    ) -> BacktestResult:
        """Return what the strategy did in the hours [start, end).

        Args:
            strategy: A signal's name, alone under the policy's rows; or `policy` for all of them.
            bracket: Also run it under the three fill models.
            notes: What a reader must know of the rules.
            advice: KPIs of the advice recorded in these hours, by `backtest.kpis.advice_kpis`; None without.
            told: Called after each hour of each run.

        Raises:
            ConfigInvalid: No such strategy.
            DataInvalid: No hour, or the data contradict themselves.
        """
        if start >= end:
            raise DataInvalid("backtest", "from, to", f"{start} to {end}: no hour in between")
        policy = self.policy_for(strategy)
        if bracket:
            judging = replace(policy.judging, engine=RememberedAnalysis(policy.judging.engine))
            policy = replace(policy, judging=judging)
        digest, baselines = DataDigest(), self._baselines(source)
        account = _Account()
        hours: list[str] = []

        def watched() -> Iterator[tuple[Hour, Markets]]:
            for hour, markets in source.hours(start, end):
                digest.take(hour, markets)
                baselines.hour(dict(_traded(markets)))
                hours.append(hour.iso())
                yield hour, markets

        for report in desk_hours(policy, self._model, self._capital, watched()):
            account.take(report)
            told()
        three = None
        if bracket:
            three = dict.fromkeys(BRACKET, account)
            for name, model in self._others().items():
                three[name] = _Account()
                for report in desk_hours(policy, model, self._capital, source.hours(start, end)):
                    three[name].take(report)
                    told()
        return BacktestResult(
            strategy=strategy,
            keys=source.keys,
            start=start.iso(),
            end=end.iso(),
            config_hash=policy.config_hash,
            data_digest=digest.value,
            fill_model=self._model,
            capital=cash_text(self._capital),
            hours=tuple(hours),
            nav=tuple(map(cash_text, account.nav)),
            exposure=tuple(map(cash_text, account.exposure)),
            baselines={name: tuple(map(cash_text, worth)) for name, worth in baselines.found.items()},
            trades=tuple(account.trades),
            orders=dict(sorted(account.orders.items())),
            refusals=dict(sorted(account.refusals.items())),
            analytics=analytics_of(account.trades, account.nav, account.exposure, self._capital),
            kpis={"trades": trade_kpis(account.trades, len(hours)), "advice": advice},
            bracket=None
            if three is None
            else {name: _outcome(three[name], self._capital) for name in BRACKET},
            notes=(*notes, *source.notes, TOLD, *_notes(account)),
        )

    def runs(self, *, bracket: bool) -> int:
        """Return how many times the hours are run."""
        return 1 + bracket * len(self._others())

    def policy_for(self, strategy: str) -> DeskPolicy:
        """Return the rules with the signals of a strategy alone.

        Raises:
            ConfigInvalid: No such strategy, or the policy lets it trade in no regime.
        """
        if strategy == POLICY:
            return self._policy
        if strategy not in SIGNALS:
            raise ConfigInvalid(f"strategy {strategy!r}: {known_names(strategy, [*SIGNALS, POLICY])}")
        own = tuple(signal for signal in self._policy.signals if signal.name == strategy)
        if not own:
            raise ConfigInvalid(f"strategy {strategy!r}: the policy lets it trade in no regime")
        return replace(self._policy, signals=own)

    def _others(self) -> dict[str, FillModel]:
        """Return the fill models of the bracket that are not the run's own, with its seed."""
        seeded = {name: each.model_copy(update={"seed": self._model.seed}) for name, each in BRACKET.items()}
        return {name: each for name, each in seeded.items() if each != self._model}

    def _baselines(self, source: HourSource) -> Baselines:
        costs = {key: self._policy.judging.costs_of(key) for key in source.keys}
        return Baselines(source.keys, self._capital, costs, BarPath(self._model.path))


def desk_hours(
    policy: DeskPolicy, model: FillModel, capital: int, hours: Iterable[tuple[Hour, Markets]]
) -> Iterator[DeskReport]:
    """Yield what a new desk found and did in each hour; the exchange knows no minute before its hour."""
    desk: Desk | None = None
    for hour, markets in hours:
        if desk is None:
            exchange = SimulatedExchange({}, {}, {}, model, policy.quote, capital, hour.open_ts)
            desk = Desk(policy, exchange, DeskState.first(capital, policy.quote))
        yield at_once(desk.run_hour(hour, markets))


def _traded(markets: Markets) -> Iterator[tuple[str, tuple[OrderTerms, Bars]]]:
    for key, market in markets.items():
        terms = market.terms()
        if terms is not None:
            yield key, (terms, market.minutes(terms))


def _outcome(account: _Account, capital: int) -> dict[str, Any]:
    return {"net": cash_text(account.nav[-1] - capital), "trades": len(account.trades)}


def _notes(account: _Account) -> Iterator[str]:
    yield "trades that are open at the end are valued at the last close and are no closed trades"
    if account.stopped_h:
        yield f"a breaker kept the desk from beginning trades in {account.stopped_h} h"
