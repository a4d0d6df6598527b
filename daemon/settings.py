"""What an operator can set: one frozen model; units and bounds stand in the fields."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, field_validator, model_validator

from daemon.trading_settings import TradingSettings
from decisions.config import AdviceConfig
from decisions.inputs import Analyser, MarketCosts, Policy
from decisions.kpi_targets import KpisConfig
from decisions.realised import OutcomesConfig
from exchanges.settings import ExchangeSettings
from exits.config import ExitsConfig
from grid.capital import CapitalConfig
from grid.economics import EconomicsConfig
from grid.probation import ProbationConfig
from market.costs import FEES_BY_KIND, LIQUIDITY_BY_TIER, Fees
from market.errors import ConfigInvalid, DataInvalid
from market.keys import checked_key
from market.snapshot import digest_of
from notifications.settings import NotificationSettings
from regime.analysis import ENGINE_VERSION
from regime.config import RegimeConfig
from regime.engine import RegimeEngine
from regime.gates.config import GatesConfig
from regime.series import RegimeRules
from store import yaml_text
from store.git import checked_remote
from store.paths import config_path
from store.settings import StoreSettings


class Section(BaseModel):
    """A part of the configuration: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class MarketSettings(Section):
    """One market to watch."""

    key: str = Field("", description="Name in paths, tables and tools; the symbol when left out.")
    exchange: str = Field(description="One of the names under `exchanges`.")
    symbol: str = Field(pattern=r"^[A-Z0-9]+-[A-Z0-9]+$", description="As the exchange writes it: ETH-USDT.")
    history: bool = Field(default=True, description="Fetch coarse history on the first start.")
    liquidity: Literal["major", "liquid", "thin"] = Field(
        "liquid", description="How dear a market order is here: half-spread and slippage of the tier."
    )

    @model_validator(mode="before")
    @classmethod
    def _key_defaults_to_symbol(cls, data: Any) -> Any:
        if isinstance(data, dict) and not data.get("key"):
            return {**data, "key": data.get("symbol", "")}
        return data

    @field_validator("key")
    @classmethod
    def _key_may_name_a_folder(cls, key: str) -> str:
        return checked_key(key)


class RepositorySettings(Section):
    """Where the data repository is, and where it is pushed to."""

    base_path: Path = Field(description="The data repository's folder.")
    remote: str | None = Field(None, description="Address to push to; none keeps everything local.")
    branch: str = Field(
        "main", pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]*$", description="Commits go there and are pushed."
    )
    ssh_key_file: Path | None = Field(None, description="Mounted private key for the remote.")
    known_hosts_file: Path | None = Field(None, description="Mounted host keys of the remote.")

    push_timeout_s: float = Field(60.0, gt=0, le=600, description="Deadline of a push or fetch, seconds.")
    clone_timeout_s: float = Field(
        480.0,
        gt=0,
        le=86_400,
        description="Deadline of the clone that fills an empty folder, seconds; below the start-up probe's.",
    )

    @field_validator("remote")
    @classmethod
    def _no_credential(cls, remote: str | None) -> str | None:
        if remote is None:
            return None
        if remote.startswith(("http://", "https://")) and "@" in remote.split("/", 3)[2]:
            raise ValueError("holds a credential; use ssh with ssh_key_file, or a credential helper of git")
        return checked_remote(remote)

    @field_validator("ssh_key_file", "known_hosts_file")
    @classmethod
    def _usable_path(cls, path: Path | None) -> Path | None:
        if path is not None and (
            not path.is_absolute() or any(c.isspace() or c in "'\"\\$`" for c in str(path))
        ):
            raise ValueError("expected an absolute path without spaces, quotes or shell characters")
        return path


class CollectionSettings(Section):
    """How an hour is collected."""

    settle_s: float = Field(5.0, ge=0, le=300, description="Seconds after the hour before it is fetched.")
    max_missing_minutes: int = Field(
        3, ge=0, le=59, description="Missing minutes an hour may have and be judged."
    )
    concurrency: int = Field(4, ge=1, le=32, description="Markets collected at the same time, an exchange.")


class HttpSettings(Section):
    """Where /health and /metrics are served."""

    host: str = Field("127.0.0.1", description="Address to bind; local unless told otherwise.")
    port: int = Field(8080, ge=0, le=65535, description="0 takes a free port and prints it.")
    hosts: tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$")], ...] = Field(
        (),
        description="Names under which browsers reach the pages and the API, besides localhost, any address,"
        " `host` and the name in `notifications.link`.",
    )
    token_file: Path | None = Field(
        None, description="Mounted secret that answering advice over HTTP takes; off when left out."
    )
    dashboard_backtest: Path | None = Field(
        None, description="`result.json` of a backtest, or its folder, that the paper desk is shown beside."
    )


class HealthSettings(Section):
    """When a figure turns health to warn or fail."""

    stale_warn_s: float = Field(4500, gt=0, description="Age of the newest judged hour's close, seconds.")
    stale_fail_s: float = Field(10800, gt=0, description="Age of the newest judged hour's close, seconds.")
    clock_warn_s: float = Field(1.0, gt=0, description="Offset against the exchange's clock, seconds.")
    unpushed_warn_s: float = Field(7200, gt=0, description="Age of the oldest commit not pushed, seconds.")
    push_failures_warn: int = Field(5, ge=1, description="Failed pushes in a row that alert.")
    desk_quiet_h: int = Field(
        72, ge=1, le=336, description="Hours of the paper desk without a trade, seen together with the next."
    )
    desk_quiet_triggers: int = Field(
        24, ge=1, description="So many signals in those hours and no trade alert."
    )
    desk_trades_per_day: int = Field(
        8, ge=0, le=10_000, description="More trades of the paper desk begun in 24 h alert."
    )
    desk_win_rate: float = Field(0.3, ge=0, le=1, description="A smaller share of trades won alerts.")
    desk_win_rate_trades: int = Field(30, ge=5, le=500, description="Of so many trades, the last ones.")
    disk_warn_bytes: int = Field(10**9, ge=0, description="Free bytes under the data repository.")
    live_limit_s: float = Field(
        180, ge=1, description="A stage without progress for so long is hung, seconds."
    )


class IndexSettings(Section):
    """Where the derived index of regimes is kept; it may be thrown away."""

    url: str | None = Field(
        None,
        description="postgresql://user@host:port/database; a file in the state folder when left out.",
    )
    password_file: Path | None = Field(None, description="Mounted file that holds the server's password.")

    @field_validator("url")
    @classmethod
    def _no_password(cls, url: str | None) -> str | None:
        if url is None:
            return None
        from sqlalchemy.engine import make_url  # what has no server does without it
        from sqlalchemy.exc import ArgumentError

        try:
            parsed = make_url(url)
        except ArgumentError:
            raise ValueError("expected postgresql://user@host:port/database") from None
        if parsed.get_backend_name() != "postgresql":
            raise ValueError(
                f"engine {parsed.get_backend_name()!r}; expected postgresql, or nothing for a file"
            )
        hidden = {"password", "sslpassword", "passfile"} & set(parsed.query)
        if parsed.password is not None or hidden:
            raise ValueError("holds a password; name a mounted file with password_file instead")
        return url

    @model_validator(mode="after")
    def _password_has_a_server(self) -> IndexSettings:
        if self.password_file is not None and self.url is None:
            raise ValueError("password_file belongs to a url")
        return self


SHADOW_SECTIONS = ("regime", "gates", "exits", "capital", "economics", "probation", "advice")


class Settings(Section):
    """Everything. Secrets are not here: they are mounted files, named under `exchanges`."""

    mode: Literal["advise", "paper", "live"] = Field(
        "advise",
        description="advise: a human executes. paper: a desk trades beside, simulated. live: locked, see"
        " `regimed gate`.",
    )
    data_repository: RepositorySettings
    state_dir: Path | None = Field(
        None, description="Lock, socket, outbox, intents; {base_path}.state when left out."
    )
    exchanges: dict[str, ExchangeSettings] = Field(min_length=1)
    markets: tuple[MarketSettings, ...] = Field(min_length=1)
    collection: CollectionSettings = CollectionSettings()
    regime: RegimeConfig = RegimeConfig()
    gates: GatesConfig = GatesConfig()
    exits: ExitsConfig = ExitsConfig()
    capital: CapitalConfig = CapitalConfig()
    economics: EconomicsConfig = EconomicsConfig()
    probation: ProbationConfig = ProbationConfig()
    advice: AdviceConfig = AdviceConfig()
    outcomes: OutcomesConfig = OutcomesConfig()
    kpis: KpisConfig = KpisConfig()
    trading: TradingSettings = TradingSettings()
    notifications: NotificationSettings = NotificationSettings()
    health: HealthSettings = HealthSettings()
    http: HttpSettings = HttpSettings()
    index: IndexSettings = IndexSettings()
    shadow: Path | None = Field(
        None,
        description="A file with other rules that every hour is judged by too, recorded beside, never told:"
        f" only what differs, of {', '.join(SHADOW_SECTIONS)}. Relative to the configuration file.",
    )
    _in_shadow: Settings | None = PrivateAttr(None)

    @model_validator(mode="after")
    def _markets_agree(self) -> Settings:
        keys = [market.key for market in self.markets]
        if twice := sorted({key for key in keys if keys.count(key) > 1}):
            raise ValueError(
                f"markets: the key {twice[0]} stands {keys.count(twice[0])} times; keys are unique"
            )
        for index, market in enumerate(self.markets):
            if market.exchange not in self.exchanges:
                known = ", ".join(sorted(self.exchanges))
                raise ValueError(
                    f"markets.{index}.exchange: no exchange {market.exchange!r}; configured: {known}"
                )
        if self.mode != "advise" and not self.desk_markets():
            quote = self.trading.universe.quote
            raise ValueError(
                f"trading.universe.quote: no market is quoted in {quote}, so there is nothing to trade"
            )
        return self

    def desk_markets(self) -> tuple[MarketSettings, ...]:
        """Return the markets that the desk looks at, by key: those that are quoted in its account's coin."""
        coin = self.trading.universe.quote
        found = (market for market in self.markets if market.symbol.partition("-")[2] == coin)
        return tuple(sorted(found, key=lambda market: market.key))

    @property
    def in_shadow(self) -> Settings | None:
        """The same configuration with the shadow file's rules; None without one."""
        return self._in_shadow

    def with_shadow(self, rules: Settings) -> Settings:
        """Return these settings with the rules that `shadow` names.

        Raises:
            ValueError: They are the same rules, or want other windows than those in force.
        """
        if rules.config_hash() == self.config_hash():
            raise ValueError(
                f"gives the very rules in force (hash {self.config_hash()}); there is nothing to compare"
            )
        ours, theirs = self.regime.history, rules.regime.history
        for timeframe in RegimeEngine(self.regime).timeframes():
            if ours.days(timeframe) != theirs.days(timeframe):
                raise ValueError(
                    f"regime.history: asks for {theirs.days(timeframe)} days of {timeframe.value} bars,"
                    f" in force are {ours.days(timeframe)}; a shadow judges the same windows"
                )
        found = self.model_copy()
        found._in_shadow = rules  # noqa: SLF001 of the same class
        return found

    @property
    def state_path(self) -> Path:
        base = self.data_repository.base_path
        return self.state_dir or base.with_name(base.name + ".state")

    def store(self) -> StoreSettings:
        """Return the store's own settings."""
        return StoreSettings(**self.data_repository.model_dump(), state_dir=self.state_path)

    def index_url(self) -> str:
        """Return where the index is, with the password that its file holds.

        Raises:
            ConfigInvalid: The file cannot be read.
        """
        if self.index.url is None:
            return f"sqlite:///{self.state_path.resolve() / 'index.sqlite'}"
        from sqlalchemy.engine import make_url

        url, file = make_url(self.index.url), self.index.password_file
        if file is not None:
            try:
                url = url.set(password=file.read_text().strip())
            except (OSError, UnicodeDecodeError) as error:
                raise ConfigInvalid(f"index.password_file: {file}: {error}") from None
        return url.render_as_string(hide_password=False)

    def regime_rules(self) -> RegimeRules:
        """Return what rows of the index are made by."""
        return regime_rules(self.regime, self.collection.max_missing_minutes)

    def rules(self) -> dict[str, Any]:
        """Return the effective configuration that verdicts depend on, ready for JSON and YAML.

        Places (folders, addresses, ports, remotes) and health limits are left out: the same rules on another
        machine are the same configuration and have the same hash. Secrets are never in the settings. What the
        desk goes by is in it where there is a desk.
        """
        trading = {} if self.mode == "advise" else {"trading": self.trading.rules()}
        return {
            **trading,
            "mode": self.mode,
            "markets": [market.model_dump(mode="json") for market in self.markets],
            "exchanges": {
                name: exchange.model_dump(mode="json", include={"kind", "fees"})
                for name, exchange in sorted(self.exchanges.items())
            },
            "collection": self.collection.model_dump(mode="json"),
            "regime": self.regime.model_dump(mode="json"),
            "gates": self.gates.model_dump(mode="json"),
            "exits": self.exits.model_dump(mode="json"),
            "capital": self.capital.model_dump(mode="json"),
            "economics": self.economics.model_dump(mode="json"),
            "probation": self.probation.model_dump(mode="json"),
            "advice": self.advice.model_dump(mode="json"),
        }

    def paper_hash(self) -> str:
        """Return the hash that these settings have, or would have, on paper."""
        rules = {**self.rules(), "mode": "paper", "trading": self.trading.rules()}
        return digest_of(orjson.loads(orjson.dumps(rules, option=orjson.OPT_SORT_KEYS)))

    def policy(self, engine: Analyser | None = None) -> Policy:
        """Return the rules in force, as the evaluation reads them."""
        return policy_of_rules(self.rules(), self.config_hash(), engine)

    def costs_of(self, market: MarketSettings) -> MarketCosts:
        """Return what trading costs in a market: the account's fees and its liquidity tier."""
        return MarketCosts(self.exchanges[market.exchange].fees_in_force, LIQUIDITY_BY_TIER[market.liquidity])

    def config_hash(self) -> str:
        """Return `sha256:...` of `rules()`: the name that every record quotes."""
        return digest_of(orjson.loads(orjson.dumps(self.rules(), option=orjson.OPT_SORT_KEYS)))


def regime_rules(regime: RegimeConfig, max_missing_minutes: int) -> RegimeRules:
    """Return what rows of the index are made by: engine, its numbers, and how complete an hour must be."""
    numbers = {"regime": regime.model_dump(mode="json"), "max_missing_minutes": max_missing_minutes}
    return RegimeRules(ENGINE_VERSION, digest_of(numbers))


class _ExchangeRules(Section):
    kind: str
    fees: Fees | None


class Rules(Section):
    """What `configs/{config_hash}.yaml` holds beside its name: all that a judgement depends on."""

    mode: str
    markets: tuple[MarketSettings, ...]
    exchanges: dict[str, _ExchangeRules]
    collection: CollectionSettings
    regime: RegimeConfig
    gates: GatesConfig
    exits: ExitsConfig
    capital: CapitalConfig
    economics: EconomicsConfig
    probation: ProbationConfig
    advice: AdviceConfig
    trading: TradingSettings | None = None


def policy_of_rules(value: Mapping[str, Any], config_hash: str, engine: Analyser | None = None) -> Policy:
    """Return the policy that a record of a configuration describes.

    Args:
        value: As `Settings.rules` gives it.
        config_hash: Its name.
        engine: An engine of the same rules to share; a new one when left out.

    Raises:
        ValueError: The record is not of this program's form.
    """
    rules = Rules.model_validate(value)
    costs = {}
    for market in rules.markets:
        exchange = rules.exchanges[market.exchange]
        fees = exchange.fees or FEES_BY_KIND[exchange.kind]
        costs[market.key] = MarketCosts(fees, LIQUIDITY_BY_TIER[market.liquidity])
    return Policy(
        config_hash=config_hash,
        engine=engine or RegimeEngine(rules.regime),
        max_missing_minutes=rules.collection.max_missing_minutes,
        costs=costs,
        gates=rules.gates,
        exits=rules.exits,
        capital=rules.capital,
        economics=rules.economics,
        probation=rules.probation,
        advice=rules.advice,
    )


def rules_of_repository(root: Path, config_hash: str) -> dict[str, Any]:
    """Return what a record names by its hash, from `configs/` of its repository, as `Settings.rules` gave it.

    Raises:
        DataInvalid: It is not there, or not YAML.
    """
    path = config_path(config_hash)
    try:
        rules = dict(yaml_text.load((root / path).read_bytes(), path))
    except (FileNotFoundError, TypeError, ValueError) as error:
        raise _unusable(path, error) from None
    for name in ("schema_version", "config_hash"):
        rules.pop(name, None)
    return rules


def policy_of_repository(root: Path, config_hash: str) -> Policy:
    """Return the policy that a record names by its hash, from `configs/` of its repository.

    Raises:
        DataInvalid: It is not there, or not of this program's form.
    """
    try:
        return policy_of_rules(rules_of_repository(root, config_hash), config_hash)
    except ValueError as error:
        raise _unusable(config_path(config_hash), error) from None


def _unusable(path: str, error: Exception) -> DataInvalid:
    return DataInvalid(path, "", f"the configuration that a record names is not usable: {error}")
