"""The books of the account: our cash and coin by the fills alone, trade by trade.

Whatever the exchange says of balances is held against it by `reconcile`, never taken over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated

from pydantic import ConfigDict, Field

from market.errors import DataInvalid
from market.orders import Balance, OrderFill, OrderRequest, OrderTerms
from market.values import ValueForm
from trading.attribution import Flows
from trading.reasons import Reason
from trading.trades import Ending, OrderLine, TradePlan, TradeRecord, record_of
from trading.values import TriggerKind

WHERE = "ledger"

Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(gt=0)]


@dataclass(frozen=True, slots=True)
class Position:
    """A trade that is open.

    Attributes:
        base_before: Coin of the market in the books when it was opened, base units.
        orders: Each order of a swing; a grid's, which may be thousands, are only counted.
        order_count: Orders placed.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    plan: TradePlan
    base_before: Count
    flows: Flows
    orders: tuple[OrderLine, ...]
    order_count: Count

    @property
    def base(self) -> int:
        return self.flows.base

    def line_of(self, client_id: str) -> OrderLine | None:
        return next((line for line in self.orders if line.client_id == client_id), None)

    def with_line(self, line: OrderLine) -> Position:
        """Return the position with a line in place of the one of the same order."""
        return replace(
            self, orders=tuple(line if each.client_id == line.client_id else each for each in self.orders)
        )


@dataclass(frozen=True, slots=True)
class LeftOver:
    """Coin of a market that ended trades could not sell, base units of a scale."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    key: str
    base: Positive
    base_scale: Positive

    def rescaled(self, base_scale: int) -> LeftOver:
        """Return the same coin in other units; raises DataInvalid where it is no whole number of them."""
        base, rest = divmod(self.base * base_scale, self.base_scale)
        if rest:
            problem = f"{self.base} of 1/{self.base_scale} is no whole number of 1/{base_scale}"
            raise DataInvalid(WHERE, f"left over of {self.key}", problem)
        return LeftOver(self.key, base, base_scale)


@dataclass(frozen=True, slots=True)
class Ledger:
    """The account by our own fills.

    Attributes:
        quote: Coin of all cash.
        cash: Cash units.
        positions: Open trades, in the order in which they were opened.
        left_over: Coin that no open trade owns, in order of key.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    quote: str
    cash: Count
    positions: tuple[Position, ...]
    left_over: tuple[LeftOver, ...]

    @classmethod
    def of(cls, cash: int, quote: str) -> Ledger:
        """Return the books of an account that holds cash units of one coin and nothing else."""
        if cash < 0:
            raise DataInvalid(WHERE, "cash", f"{cash}, expected 0 or more")
        return cls(quote, cash, (), ())

    def position(self, trade_id: str) -> Position:
        """Return an open trade; raises DataInvalid where none has this name."""
        for position in self.positions:
            if position.plan.id == trade_id:
                return position
        raise DataInvalid(WHERE, "trade", f"no trade {trade_id} is open")

    def base_of(self, trade_id: str) -> int:
        """Return the base units that an open trade holds."""
        return self.position(trade_id).base

    def open_in(self, key: str) -> Position | None:
        """Return the open trade of a market; the first, should there be several."""
        return next((position for position in self.positions if position.plan.key == key), None)

    def holdings(self) -> dict[str, int]:
        """Return the coin in the books by market, base units; markets without any are left out."""
        found: dict[str, int] = {left.key: left.base for left in self.left_over}
        for position in self.positions:
            if position.base:
                found[position.plan.key] = found.get(position.plan.key, 0) + position.base
        return found

    def opened(self, trade: TradePlan) -> Ledger:
        """Return the books with a trade that begins; raises DataInvalid where it is open already."""
        if any(position.plan.id == trade.id for position in self.positions):
            raise DataInvalid(WHERE, "trade", f"{trade.id} is open already")
        if trade.quote != self.quote:
            raise DataInvalid(WHERE, "quote", f"{trade.quote} of {trade.id}, the books are in {self.quote}")
        if any(each.key == trade.key and each.base_scale != trade.base_scale for each in self.left_over):
            problem = f"{trade.base_scale} of {trade.id}, left over coin has another: `rescaled` first"
            raise DataInvalid(WHERE, "base_scale", problem)
        before = self.holdings().get(trade.key, 0)
        return replace(self, positions=(*self.positions, Position(trade, before, Flows.none(), (), 0)))

    def rescaled(self, key: str, base_scale: int) -> Ledger:
        """Return the books with the coin of a market in other units, as its terms have changed.

        Raises:
            DataInvalid: A trade is open in it, or the coin is no whole number of the units.
        """
        if (position := self.open_in(key)) is not None:
            raise DataInvalid(WHERE, "base_scale", f"{position.plan.id} is open, its units cannot change")
        return replace(
            self,
            left_over=tuple(
                each.rescaled(base_scale) if each.key == key else each for each in self.left_over
            ),
        )

    def placed(self, trade_id: str, request: OrderRequest, terms: OrderTerms, why: str) -> Ledger:
        """Return the books with an order of a trade, named once an order.

        Args:
            why: Why this price and this route, in one sentence.
        """
        position = self.position(trade_id)
        _check(position, request, terms)
        return self._with(_placed(position, request, terms, why))

    def applied(self, trade_id: str, request: OrderRequest, fill: OrderFill, terms: OrderTerms) -> Ledger:
        """Return the books after one execution; who calls sees to it that each comes once.

        Raises:
            DataInvalid: No such trade, another market's order, or more sold or spent than is there.
        """
        position = self.position(trade_id)
        _check(position, request, terms)
        flows = position.flows.after(request.side, fill)
        cash = self.cash + flows.net_cash - position.flows.net_cash
        if flows.base < 0:
            problem = f"{request.client_id} sells {fill.size}, {trade_id} holds {position.base}"
            raise DataInvalid(WHERE, "base", problem)
        if cash < 0:
            raise DataInvalid(WHERE, "cash", f"{request.client_id} leaves {cash} cash units")
        if position.plan.kind is TriggerKind.SWING:
            line = position.line_of(request.client_id)
            if line is None:  # asked for by its name after a lost answer, say
                line = OrderLine.of(request, terms, "")
                position = replace(
                    position, orders=(*position.orders, line), order_count=position.order_count + 1
                )
            position = position.with_line(line.with_fill(fill.size, terms))
        return replace(self._with(replace(position, flows=flows)), cash=cash)

    def order_ended(self, trade_id: str, client_id: str, outcome: str) -> Ledger:
        """Return the books with how an order of a trade ended; a grid's orders are not listed.

        Args:
            outcome: A status, or a reason's code.
        """
        position = self.position(trade_id)
        line = position.line_of(client_id)
        return self if line is None else self._with(position.with_line(replace(line, outcome=outcome)))

    def closed(
        self, trade_id: str, exit_reason: Reason, at_ts: int, nav_after: int, cycles: int | None = None
    ) -> tuple[Ledger, TradeRecord]:
        """Return the books without a trade, and its line in the trade log.

        Coin that it still holds, which should be less than can be sold, stays in the books as left over and
        counts nothing in the trade's result.

        Args:
            at_ts: When it was over, epoch seconds; not before its last execution.
            nav_after: Of the account, cash units.
            cycles: Completed ones of a grid; None for a swing.
        """
        position = self.position(trade_id)
        flows, key = position.flows, position.plan.key
        if flows.last_ts is not None and at_ts < flows.last_ts:
            problem = f"{trade_id} closed at {at_ts}, its last fill was at {flows.last_ts}"
            raise DataInvalid(WHERE, "at_ts", problem)
        left = {each.key: each for each in self.left_over}
        if position.base:
            there = left[key].base if key in left else 0
            left[key] = LeftOver(key, there + position.base, position.plan.base_scale)
        after = replace(
            self,
            positions=tuple(each for each in self.positions if each is not position),
            left_over=tuple(left[name] for name in sorted(left)),
        )
        ending = Ending(
            exit_reason, at_ts, nav_after, position.base_before, after.holdings().get(key, 0), cycles
        )
        return after, record_of(position.plan, flows, position.orders, position.order_count, ending)

    def _with(self, changed: Position) -> Ledger:
        return replace(
            self,
            positions=tuple(changed if each.plan.id == changed.plan.id else each for each in self.positions),
        )


LEDGER_FORM = ValueForm(Ledger)


@dataclass(frozen=True, slots=True)
class Difference:
    """A coin of which the exchange has another amount than our books; cash or base units."""

    coin: str
    ours: int
    theirs: int

    def __str__(self) -> str:
        return f"{self.coin}: the books say {self.ours}, the exchange {self.theirs}"


def reconcile(
    ledger: Ledger, balances: Mapping[str, Balance], terms: Mapping[str, OrderTerms]
) -> tuple[Difference, ...]:
    """Return where the exchange's balances differ from the books, in order of coin.

    Coins of no market in `terms` are not ours to judge; coin in our books of a market that is not there
    differs by all of it, under the market's own name.

    Args:
        balances: Of every coin; one that is missing is 0.
        terms: By market, all of one quote coin.
    """
    ours = {each.base: 0 for each in terms.values()}
    for key, base in ledger.holdings().items():
        coin = terms[key].base if key in terms else key
        ours[coin] = ours.get(coin, 0) + base
    ours[ledger.quote] = ledger.cash
    theirs = {coin: balances[coin].total if coin in balances else 0 for coin in ours}
    return tuple(
        Difference(coin, ours[coin], theirs[coin]) for coin in sorted(ours) if ours[coin] != theirs[coin]
    )


def _placed(position: Position, request: OrderRequest, terms: OrderTerms, why: str) -> Position:
    if position.plan.kind is TriggerKind.GRID:
        return replace(position, order_count=position.order_count + 1)
    if position.line_of(request.client_id) is not None:
        return position
    lines = (*position.orders, OrderLine.of(request, terms, why))
    return replace(position, orders=lines, order_count=len(lines))


def _check(position: Position, request: OrderRequest, terms: OrderTerms) -> None:
    plan = position.plan
    if request.key != plan.key or terms.key != plan.key:
        problem = f"{request.client_id} of {request.key}, terms of {terms.key}, {plan.id} of {plan.key}"
        raise DataInvalid(WHERE, "key", problem)
    if terms.base_scale != plan.base_scale:
        problem = f"{terms.base_scale}, {plan.id} was opened with {plan.base_scale}"
        raise DataInvalid(WHERE, "base_scale", problem)
