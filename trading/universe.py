"""Which markets are traded this hour, and how liquid each is; who is left out is told why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self, TypeAlias

from pydantic import ConfigDict, Field, field_validator, model_validator

from market.errors import ConfigInvalid
from market.keys import checked_key
from market.orders import BestPrices
from regime.config import Section
from trading.reasons import Reason
from trading.values import MarketView, Refusal

Tier: TypeAlias = Literal["major", "liquid", "thin"]
TIERS: tuple[Tier, ...] = ("major", "liquid", "thin")  # from the most liquid down
BPS = 10_000


class TierTurnover(Section):
    """What has to be traded in 24 hours to belong to a tier, quote coin."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    major: float = Field(50_000_000, ge=0, description="Quote value in 24 h, at least.")
    liquid: float = Field(5_000_000, ge=0, description="The same.")
    thin: float = Field(500_000, ge=0, description="The same; below it a market is not traded.")

    @model_validator(mode="after")
    def _falling(self) -> Self:
        if not self.major >= self.liquid >= self.thin:
            raise ValueError(
                f"found major {self.major:g}, liquid {self.liquid:g}, thin {self.thin:g};"
                " expected major >= liquid >= thin"
            )
        return self

    def tier(self, turnover: float) -> Tier | None:
        """Return the most liquid tier that a turnover reaches, None below all."""
        return next((tier for tier in TIERS if turnover >= getattr(self, tier)), None)


class UniverseConfig(Section):
    """The `trading.universe` section. Who may not be traded at all is data: a file, or `exclusions`."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    quote: str = Field("USDT", description="Coin in which the account is kept.")
    min_turnover_24h: TierTurnover = TierTurnover()
    max_spread_bps: float = Field(20.0, gt=0, le=1000, description="Ask over bid, share of the middle, bps.")
    min_depth: float = Field(0.0, ge=0, description="Quote value within 1 % of the price; 0 asks for none.")
    include: tuple[str, ...] = Field((), description="Markets that need no turnover; all else they need.")
    exclude: tuple[str, ...] = Field((), description="Markets that the operator leaves out.")
    tiers: Mapping[str, Tier] = Field(
        default_factory=dict, description="Market to tier, before turnover says."
    )
    exclusions: tuple[str, ...] = Field((), description="Markets and coins that a policy leaves out.")
    exclusion_file: Path | None = Field(None, description="YAML list of more of them.")

    @field_validator("quote")
    @classmethod
    def _quote_is_a_coin(cls, quote: str) -> str:
        return checked_key(quote)

    @field_validator("include", "exclude", "exclusions")
    @classmethod
    def _names(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(checked_key(name) for name in names)

    @field_validator("tiers")
    @classmethod
    def _keys(cls, tiers: Mapping[str, Tier]) -> Mapping[str, Tier]:
        return {checked_key(key): tier for key, tier in tiers.items()}

    @model_validator(mode="after")
    def _one_will(self) -> Self:
        if both := sorted(set(self.include) & set(self.exclude)):
            raise ValueError(f"{', '.join(both)} stands under include and exclude, expected one of them")
        return self

    def excluding(self, names: Iterable[str]) -> UniverseConfig:
        """Return these settings with the names of an exclusion file added."""
        return self.model_copy(update={"exclusions": (*self.exclusions, *names)})


@dataclass(frozen=True, slots=True)
class Universe:
    """The markets of an hour, by key, in the order of keys.

    Attributes:
        members: Liquidity tier of each that is traded.
        refused: Why each other one is not.
    """

    members: Mapping[str, Tier]
    refused: Mapping[str, Refusal]


def exclusions_of(told: object, where: str) -> tuple[str, ...]:
    """Return the names that an exclusion file holds: a YAML list of market keys and coins.

    Raises:
        ConfigInvalid: One line for everything in it that is no name.
    """
    if not isinstance(told, list):
        raise ConfigInvalid(f"{where}: found {type(told).__name__}, expected a list of market keys and coins")
    problems = []
    for place, name in enumerate(told):
        try:
            checked_key(_text(name))
        except ValueError as error:
            problems.append(f"{where}: {place}: {error}")
    if problems:
        raise ConfigInvalid(*problems)
    return tuple(told)


def _text(name: object) -> str:
    """Return a name that YAML read as text: it takes a coin called ON or 1 for something else."""
    if not isinstance(name, str):
        raise ValueError(f"found {name!r}, expected text; write it in quotes")  # noqa: TRY004
    return name


def select(views: Mapping[str, MarketView], config: UniverseConfig) -> Universe:
    """Return who is traded at the close of an hour; depends on nothing but the views and the settings."""
    members: dict[str, Tier] = {}
    refused: dict[str, Refusal] = {}
    for key in sorted(views):
        found = _refusal(views[key], config) or _tier(views[key], config)
        if isinstance(found, Refusal):
            refused[key] = found
        else:
            members[key] = found
    return Universe(members, refused)


def _refusal(view: MarketView, config: UniverseConfig) -> Refusal | None:
    """Return what keeps a market out whatever its turnover, the first in the order of the reasons."""
    names = {view.key, view.terms.base}
    if listed := names & {*config.exclusions, *config.exclude}:
        return Refusal(Reason.EXCLUDED_BY_POLICY, " and ".join(sorted(listed)), "not on an exclusion list")
    if view.terms.quote != config.quote:
        return Refusal(Reason.QUOTE_CURRENCY, view.terms.quote, config.quote)
    if not view.tradable:
        return Refusal(Reason.NOT_TRADING, "the exchange takes no orders", "a market that trades")
    return None


def _tier(view: MarketView, config: UniverseConfig) -> Tier | Refusal:
    wanted, turnover = config.min_turnover_24h, view.turnover_24h
    known = turnover is not None and turnover >= 0
    tier = wanted.tier(turnover) if turnover is not None and known else None
    if tier is None and view.key not in config.include:
        least = f"{wanted.thin:,.0f} {config.quote} in 24 h"
        if not known:
            return Refusal(Reason.TURNOVER_UNKNOWN, "turnover unknown", least)
        return Refusal(Reason.TURNOVER_TOO_LOW, f"{turnover:,.0f} {config.quote} in 24 h", least)
    return (
        _spread_refusal(view.best, config)
        or _depth_refusal(view.depth, config)
        or config.tiers.get(view.key, tier or "thin")
    )


def _spread_refusal(best: BestPrices | None, config: UniverseConfig) -> Refusal | None:
    limit = f"{config.max_spread_bps:g} bps"
    if best is None:
        return Refusal(Reason.SPREAD_UNKNOWN, "no bid and ask", limit)
    if not 0 < best.bid <= best.ask:
        return Refusal(Reason.SPREAD_UNKNOWN, f"bid {best.bid} and ask {best.ask} are no prices", limit)
    spread = 2 * BPS * (best.ask - best.bid) / (best.ask + best.bid)
    if spread > config.max_spread_bps:
        return Refusal(Reason.SPREAD_TOO_WIDE, f"{spread:.2f} bps", limit)
    return None


def _depth_refusal(depth: float | None, config: UniverseConfig) -> Refusal | None:
    if not config.min_depth:
        return None
    limit = f"{config.min_depth:,.0f} {config.quote} within 1 %"
    if depth is None:
        return Refusal(Reason.DEPTH_UNKNOWN, "depth unknown", limit)
    if not depth >= config.min_depth:
        return Refusal(Reason.DEPTH_TOO_LOW, f"{depth:,.0f} {config.quote}", limit)
    return None
