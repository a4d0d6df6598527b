"""The account of the simulated exchange: coin and cash by double entry, to the last unit.

What a fill brings to us leaves the market's side and the other way round; fees go to a third pocket. So of
every coin ours and the market's together stay what they were, and with cash the fees belong to the sum.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import ConfigDict

from exchanges.simulated.working import WorkingOrder
from market.errors import DataInvalid
from market.orders import CASH_SCALE, Balance, OrderSide, OrderTerms


@dataclass(frozen=True, slots=True)
class Holding:
    """One coin of the account.

    Attributes:
        scale: Units a coin.
        total: Ours.
        held: The part of it that open orders hold.
        market: What the market has had from us, less what it gave.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    coin: str
    scale: int
    total: int
    held: int = 0
    market: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.held <= self.total:
            problem = f"{self.held} held of {self.total}, expected 0 <= held <= total"
            raise DataInvalid("simulated account", self.coin, problem)

    def holding(self, more: int) -> Holding:
        """Return the coin with `more` of it held."""
        return Holding(self.coin, self.scale, self.total, self.held + more, self.market)

    def moved(self, to_us: int, fee: int = 0) -> Holding:
        """Return the coin after the market gave us `to_us` and a fee was paid of ours."""
        total, market = self.total + to_us - fee, self.market - to_us
        return Holding(self.coin, self.scale, total, self.held, market)

    def rescaled(self, scale: int) -> Holding:
        """Return the same amounts in other units.

        Raises:
            DataInvalid: They are no whole numbers of them.
        """
        amounts = [amount * scale for amount in (self.total, self.held, self.market)]
        if any(amount % self.scale for amount in amounts):
            problem = f"{self.total} of 1/{self.scale} is no whole number of 1/{scale}"
            raise DataInvalid("simulated account", self.coin, problem)
        total, held, market = (amount // self.scale for amount in amounts)
        return Holding(self.coin, scale, total, held, market)


@dataclass(frozen=True, slots=True)
class AccountState:
    """The account at an instant.

    Attributes:
        quote: The coin that everything is paid in.
        start_cash: What it began with, cash units.
        fees: What the exchange has collected, less its rebates, cash units.
        holdings: Every coin that was ever in it, the quote coin first.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    quote: str
    start_cash: int
    fees: int
    holdings: tuple[Holding, ...]


class Account:
    """Coins that come and go.

    Raises:
        DataInvalid: The state's coins do not add up.
    """

    def __init__(self, state: AccountState) -> None:
        self.quote, self.start_cash, self.fees = state.quote, state.start_cash, state.fees
        self._holdings = {holding.coin: holding for holding in state.holdings}
        if self.quote not in self._holdings:
            raise DataInvalid("simulated account", self.quote, "missing, expected the quote coin")
        for coin, expected in self._sums().items():
            if expected != (self.start_cash if coin == self.quote else 0):
                problem = f"ours, the market's and fees are {expected} together, so units were made or lost"
                raise DataInvalid("simulated account", coin, problem)

    @classmethod
    def opened(cls, quote: str, cash: int) -> Account:
        """Return an account that holds nothing but `cash`, cash units."""
        return cls(AccountState(quote, cash, 0, (Holding(quote, CASH_SCALE, cash),)))

    def state(self) -> AccountState:
        return AccountState(self.quote, self.start_cash, self.fees, tuple(self._holdings.values()))

    def balances(self) -> Mapping[str, Balance]:
        return {coin: Balance(holding.total, holding.held) for coin, holding in self._holdings.items()}

    def enter(self, terms: OrderTerms) -> None:
        """Make room for a market's coin, in its units.

        Raises:
            DataInvalid: What is there of it is no whole number of these units.
        """
        there = self._holdings.get(terms.base, Holding(terms.base, terms.base_scale, 0))
        self._holdings[terms.base] = there.rescaled(terms.base_scale)

    def available(self, coin: str) -> int:
        holding = self._holdings[coin]
        return holding.total - holding.held

    def take(self, working: WorkingOrder, terms: OrderTerms) -> None:
        """Hold what a new order holds."""
        self._hold(working, terms, working.held)

    def settle(self, before: WorkingOrder, after: WorkingOrder, terms: OrderTerms) -> None:
        """Book what an order did between two looks at it, and hold what it holds now."""
        self._hold(after, terms, after.held - before.held)
        sign = after.order.request.side.sign
        for fill in after.order.fills[len(before.order.fills) :]:
            cash, coin = self._holdings[self.quote], self._holdings[terms.base]
            self._holdings[self.quote] = cash.moved(-sign * fill.cash, fill.fee)
            self._holdings[terms.base] = coin.moved(sign * fill.size)
            self.fees += fill.fee

    def _hold(self, working: WorkingOrder, terms: OrderTerms, more: int) -> None:
        coin = self.quote if working.order.request.side is OrderSide.BUY else terms.base
        self._holdings[coin] = self._holdings[coin].holding(more)

    def _sums(self) -> Mapping[str, int]:
        return {
            coin: holding.total + holding.market + (self.fees if coin == self.quote else 0)
            for coin, holding in self._holdings.items()
        }
