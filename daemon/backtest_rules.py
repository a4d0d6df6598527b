"""By which rules a backtest trades: a configuration's, a repository's own, or the defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from daemon.paper_desk import PaperDesk, desk_policy, desk_policy_of
from daemon.settings import CollectionSettings, Rules, Settings, policy_of_rules, rules_of_repository
from daemon.trading_settings import TradingSettings
from decisions.inputs import Policy
from grid.economics import EconomicsConfig
from market.errors import DataInvalid
from market.hours import Timeframe
from market.snapshot import digest_of
from regime.config import RegimeConfig
from regime.engine import RegimeEngine
from store.paths import config_path
from trading.desk_policy import DeskPolicy

DEFAULTS = (
    "no configuration was named: default rules, 10/10 bps, tier liquid, economics.require_positive_edge off,"
    " as no calibration record stands beside recorded candles"
)


@dataclass(frozen=True, slots=True)
class BacktestRules:
    """The desk's rules and what its simulated exchange is like.

    Attributes:
        notes: What a reader of results must know of them.
        symbols: Of each market that the rules name.
    """

    policy: DeskPolicy
    trading: TradingSettings
    notes: tuple[str, ...] = ()
    symbols: Mapping[str, str] = field(default_factory=dict)

    @property
    def timeframes(self) -> Mapping[Timeframe, int]:
        """Return the days of each timeframe that the engine asks for."""
        return RegimeEngine(self.policy.judging.engine.config).timeframes()

    def desk(self) -> PaperDesk:
        """Return a paper desk by these rules, before its first hour."""
        return PaperDesk(self.policy, self.trading)


def rules_of_settings(settings: Settings) -> BacktestRules:
    """Return the rules that a configuration has, or would have, on paper."""
    policy = desk_policy(settings)
    judging = policy_of_rules(settings.rules(), settings.paper_hash(), policy.judging.engine)
    return BacktestRules(desk_policy_of(judging, settings.trading), settings.trading)


def rules_recorded(root: Path, config_hash: str) -> BacktestRules:
    """Return the rules that a record names by its hash; who recorded no desk has the default one.

    Raises:
        DataInvalid: They are not there, or not of this program's form.
    """
    told = rules_of_repository(root, config_hash)
    try:
        rules = Rules.model_validate(told)
        trading = rules.trading or TradingSettings()
        symbols = {market.key: market.symbol for market in rules.markets}
        policy = desk_policy_of(policy_of_rules(told, config_hash), trading)
        return BacktestRules(policy, trading, symbols=symbols)
    except ValueError as error:
        raise DataInvalid(config_path(config_hash), "", f"not rules of this program: {error}") from None


def default_rules() -> BacktestRules:
    """Return the rules of a run that names none."""
    regime, trading = RegimeConfig(), TradingSettings()
    economics, missing = (
        EconomicsConfig(require_positive_edge=False),
        CollectionSettings().max_missing_minutes,
    )
    named = {
        "regime": regime.model_dump(mode="json"),
        "economics": economics.model_dump(mode="json"),
        "max_missing_minutes": missing,
        "trading": trading.rules(),
    }
    name = digest_of(orjson.loads(orjson.dumps(named, option=orjson.OPT_SORT_KEYS)))
    judging = Policy(name, RegimeEngine(regime), missing, economics=economics)
    return BacktestRules(desk_policy_of(judging, trading), trading, (DEFAULTS,))
