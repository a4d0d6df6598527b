"""How much may be put into a grid: what is there, what is bound already, and the reserve that stays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_DOWN, Decimal
from enum import StrEnum

from pydantic import Field

from regime.config import Section


class CapitalMode(StrEnum):
    """One grid at a time, or several that share."""

    SINGLE_GRID = "single_grid"
    MULTI_GRID = "multi_grid"


class CapitalConfig(Section):
    """The `capital:` section; amounts in the quote coin."""

    mode: CapitalMode = Field(
        CapitalMode.SINGLE_GRID, description="single_grid refuses a second concurrent grid."
    )
    total_quote: float = Field(
        1000.0,
        ge=0,
        le=1e12,
        description="Capital, quote; where keys give balances, no more than is really there.",
    )
    reserve_share: float = Field(0.20, ge=0, le=1, description="Share of the total that is never deployed.")
    reserve_floor_quote: float = Field(0.0, ge=0, le=1e12, description="The reserve is at least this, quote.")
    most_grids: int = Field(3, ge=1, le=100, description="multi_grid: grids that may run at the same time.")
    quote_places: int = Field(2, ge=0, le=8, description="Amounts are rounded down to so many decimals.")

    @property
    def quote_step(self) -> Decimal:
        """The smallest amount that is told apart."""
        return Decimal(1).scaleb(-self.quote_places)


@dataclass(frozen=True, slots=True)
class Funds:
    """The quote coin by the exchange's balances.

    Attributes:
        total: All of it in the trading account.
        held: Bound by open orders. What a trading bot of the exchange holds is in neither.
    """

    total: Decimal
    held: Decimal

    @property
    def free(self) -> Decimal:
        return self.total - self.held


@dataclass(frozen=True, slots=True)
class Capital:
    """What may be used, exactly, in the quote coin.

    Attributes:
        total: All there is, bound or not.
        in_orders: Bound by running grids.
        unlocked: Total less in orders; negative where more is bound than configured.
        reserve: Stays untouched; rounded up.
        deployable: Unlocked less reserve, at least 0.
        by_exchange: Whether the exchange's balances leave less than what is configured.
    """

    total: Decimal
    in_orders: Decimal
    unlocked: Decimal
    reserve: Decimal
    deployable: Decimal
    by_exchange: bool = False


def deployable(
    config: CapitalConfig, bound: Decimal, funds: Funds | None = None, freed: Decimal = Decimal(0)
) -> Capital:
    """Return what may be deployed: of the configured total, no more than is really there.

    Args:
        config: Total and reserve.
        bound: Quote value bound by running grids, at least 0. Whether an exchange keeps it in orders, in coin
            or in a bot, it is not free.
        funds: By the exchange, where keys give them.
        freed: What a grid that is to be moved binds: it is there once more when the grid has been stopped.
    """
    total = _exact(config.total_quote)
    there = total if funds is None else max(Decimal(0), funds.free) + bound + freed
    by_exchange, total = there < total, min(there, total)
    unlocked = total - bound
    share, floor = _exact(config.reserve_share) * total, _exact(config.reserve_floor_quote)
    reserve = max(share, floor).quantize(config.quote_step, ROUND_CEILING)
    return Capital(total, bound, unlocked, reserve, max(Decimal(0), unlocked - reserve), by_exchange)


@dataclass(frozen=True, slots=True)
class Allocation:
    """What one more grid would get.

    Attributes:
        amount: Quote, rounded down; 0 where refused.
        refused: Why there is none, None where there is.
        running: Grids that run already.
        capital: What it follows from.
    """

    amount: Decimal
    refused: str | None
    running: tuple[str, ...]
    capital: Capital


def allocation(
    config: CapitalConfig,
    bound: Mapping[str, Decimal],
    funds: Funds | None = None,
    freed: Decimal = Decimal(0),
) -> Allocation:
    """Return what one more grid may use beside those that run.

    In SINGLE_GRID mode that is all that is deployable, but nothing beside a running grid. In MULTI_GRID mode
    it is an equal share of what the reserve leaves, as far as it is not bound.

    Args:
        config: Mode, total, reserve.
        bound: What each running grid binds, quote, by grid id.
        funds, freed: As in `deployable`.
    """
    running = tuple(sorted(bound))
    capital = deployable(config, sum(bound.values(), Decimal(0)), funds, freed)
    most = 1 if config.mode is CapitalMode.SINGLE_GRID else config.most_grids
    if len(running) >= most:
        names = ", ".join(running)
        return Allocation(Decimal(0), f"{names} already run, at most {most} may", running, capital)
    share = max(Decimal(0), capital.total - capital.reserve) / most
    amount = min(capital.deployable, share).quantize(config.quote_step, ROUND_DOWN)
    if amount <= 0:
        return Allocation(Decimal(0), "the reserve leaves nothing to deploy", running, capital)
    return Allocation(amount, None, running, capital)


def _exact(value: float) -> Decimal:
    """Return the decimal as the operator wrote it."""
    return Decimal(repr(value))
