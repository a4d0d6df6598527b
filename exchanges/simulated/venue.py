"""The simulated exchange: the trading port over minutes that are fed to it.

A backtest's mock and paper trading are this one class. They differ in who feeds it: a backtest loads all
minutes beforehand, paper loads an hour's when they are there and lets them happen; the fills are the same.
Minutes that are not there when their time passes are missing: nothing fills in them, also later.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from exchanges.simulated.acceptance import crosses, modelled_prices, refusal, unpaid
from exchanges.simulated.account import Account
from exchanges.simulated.codes import MEANINGS, Code
from exchanges.simulated.fills import FillModel
from exchanges.simulated.matching import MINUTE_S, MatchingRules
from exchanges.simulated.minutes import Minutes
from exchanges.simulated.passing import Passage
from exchanges.simulated.state import MarketState, VenueState
from exchanges.simulated.working import WorkingOrder
from market.candles import Bars
from market.costs import Fees, Liquidity, OrderCosts
from market.errors import DataInvalid, RequestRefused
from market.orders import (
    Balance,
    BestPrices,
    Order,
    OrderKind,
    OrderRequest,
    OrderSide,
    OrderStatus,
    OrderTerms,
)

NAME = "simulated exchange"


@dataclass(slots=True)
class _Market:
    rules: MatchingRules
    costs: OrderCosts
    minutes: Minutes = field(default_factory=Minutes)
    best: BestPrices | None = None

    @property
    def terms(self) -> OrderTerms:
        return self.rules.terms


class SimulatedExchange:
    """An account, its orders, and the markets in which they are filled; implements `SimulatedTime`.

    Args:
        terms, fees, liquidity: Of each market, by key.
        quote: The coin in which every market is quoted.
        cash: What the account begins with, cash units.
        start_ts: Epoch seconds, a whole minute.

    Raises:
        DataInvalid: A market lacks fees or liquidity, has another quote coin, or counts a coin in other units
            than a market before it.
    """

    def __init__(
        self,
        terms: Mapping[str, OrderTerms],
        fees: Mapping[str, Fees],
        liquidity: Mapping[str, Liquidity],
        model: FillModel,
        quote: str,
        cash: int,
        start_ts: int,
    ) -> None:
        self._model = model
        self._now_ts = _whole_minute(start_ts, "start_ts")
        self._account = Account.opened(quote, cash)
        self._markets: dict[str, _Market] = {}
        self._open: dict[str, WorkingOrder] = {}
        self._passages: dict[
            str, Passage
        ] = {}  # dropped when anything but time changes a market or its orders
        self._closed: dict[str, Order] = {}
        self._add_all(terms, fees, liquidity)

    @classmethod
    def of(
        cls,
        state: VenueState,
        terms: Mapping[str, OrderTerms],
        fees: Mapping[str, Fees],
        liquidity: Mapping[str, Liquidity],
        model: FillModel,
        quote: str,
    ) -> SimulatedExchange:
        """Return the exchange that `state` was taken of.

        Raises:
            DataInvalid: The state contradicts itself, the quote coin, or the terms of an open order.
        """
        if state.account.quote != quote:
            raise DataInvalid(NAME, "quote", f"{state.account.quote}, expected {quote}")
        exchange = cls({}, {}, {}, model, quote, 0, state.now_ts)
        exchange._account = Account(state.account)
        known = {market.key: market for market in state.markets}
        exchange._open = {working.order.request.client_id: working for working in state.working}
        exchange._closed = {order.request.client_id: order for order in state.closed}
        for key in sorted({working.order.request.key for working in state.working}):
            if key not in terms or key not in known:
                raise DataInvalid(NAME, key, "has open orders, but no terms")
            scales = (known[key].price_scale, known[key].base_scale)
            if scales != (terms[key].price_scale, terms[key].base_scale):
                raise DataInvalid(NAME, key, f"has open orders in scales {scales}, its terms have others")
        exchange._add_all(terms, fees, liquidity)
        exchange._check_holds()
        for key, market in exchange._markets.items():
            before = known.get(key)
            if before is not None and before.price_scale == market.terms.price_scale:
                if before.last_ts is not None and before.last_close is not None:
                    market.minutes = Minutes((before.last_ts, before.last_close))
                market.best = before.best
        return exchange

    def state(self) -> VenueState:
        """Return all that must be known to go on; minutes that have not happened yet are fed anew."""
        return VenueState(
            self._now_ts,
            self._account.state(),
            tuple(self._market_state(key, market) for key, market in sorted(self._markets.items())),
            tuple(self._open.values()),
            tuple(sorted(self._closed.values(), key=_closing)),
        )

    def add_market(self, terms: OrderTerms, fees: Fees, liquidity: Liquidity) -> None:
        """Add a market, or replace what is known of it; open orders go on to pay the fees of their time.

        Raises:
            DataInvalid: Another quote coin; other scales while it has open orders; units of its coin in which
                another market does not count, or in which the account's amount is no whole number.
        """
        if terms.quote != self._account.quote:
            problem = f"{terms.quote}, the account is in {self._account.quote}"
            raise DataInvalid(NAME, f"{terms.key} quote", problem)
        for other in self._markets.values():
            same_coin = other.terms.base == terms.base and other.terms.key != terms.key
            if same_coin and other.terms.base_scale != terms.base_scale:
                problem = f"{terms.base_scale}, but {other.terms.base_scale} in {other.terms.key}"
                raise DataInvalid(NAME, f"{terms.key} base_scale", problem)
        before = self._markets.get(terms.key)
        same = before is not None and (before.terms.price_scale, before.terms.base_scale) == (
            terms.price_scale,
            terms.base_scale,
        )
        if before is not None and not same and self._open_in(terms.key):
            raise DataInvalid(NAME, terms.key, "has open orders, so its scales must stay")
        self._account.enter(terms)
        market = _Market(MatchingRules(terms, liquidity, self._model), OrderCosts.of(fees))
        if before is not None and same:
            market.minutes, market.best = before.minutes, before.best
        self._markets[terms.key] = market
        self._passages.pop(terms.key, None)

    def load(self, key: str, bars: Bars, volume_scale: int) -> None:
        """Feed minutes, prices in the scale of the market's terms; what was fed before stands.

        Raises:
            DataInvalid: No such market, or not minutes.
        """
        self._market(key).minutes.append(bars, volume_scale, self._now_ts, f"{NAME} {key}")
        self._passages.pop(key, None)

    def quote_recorded(self, key: str, best: BestPrices) -> None:
        """Tell a best bid and ask that an exchange told; it counts in the minute around its instant.

        Raises:
            DataInvalid: No such market.
        """
        self._market(key).best = best

    def forget_closed_before(self, ts: int) -> None:
        """Drop orders that were closed before `ts`; their names may be used again."""
        self._closed = {
            name: order
            for name, order in self._closed.items()
            if order.closed_ts is None or order.closed_ts >= ts
        }

    @property
    def now_ts(self) -> int:
        """Epoch seconds, a whole minute."""
        return self._now_ts

    def next_change(self, until_ts: int) -> int | None:
        """Return the first minute's end in (now_ts, until_ts] at which an open order would change."""
        first: int | None = None
        for key in self._markets:
            upto = _whole_minute(until_ts, "until_ts") if first is None else first
            steps = self._passage(key).ahead(upto)
            first = next((step.end_ts for step in steps if step.is_change), first)
        return first

    def advance(self, to_ts: int) -> None:
        """Let all minutes up to `to_ts` happen.

        Raises:
            DataInvalid: Not a whole minute, or time would go back.
        """
        if _whole_minute(to_ts, "to_ts") < self._now_ts:
            raise DataInvalid(NAME, "to_ts", f"{to_ts} lies before {self._now_ts}")
        for key, market in self._markets.items():
            for step in self._passage(key).through(to_ts):
                for before, after in zip(step.before, step.after, strict=True):
                    if after is not before:
                        self._settle(before, after, market.terms)
        self._now_ts = to_ts

    async def place(self, request: OrderRequest) -> Order:
        """Return what became of the order; see `TradingExchange`."""
        known = await self.order(request.client_id)
        if known is not None:
            return known
        market = self._markets.get(request.key)
        if market is None:
            return self._rejected(request, Code.UNKNOWN_SYMBOL, f"symbol {request.key} is unknown")
        best = self._best(market)
        if (refused := refusal(request, market.terms, best)) is not None:
            return self._rejected(request, *refused)
        order = Order(request, self._now_ts, OrderStatus.OPEN)
        taking = request.kind is OrderKind.MARKET or (
            request.kind is OrderKind.LIMIT and crosses(request, best)
        )
        working = WorkingOrder.of(order, market.terms, market.costs, taking=taking)
        coin = self._account.quote if request.side is OrderSide.BUY else market.terms.base
        if (short := unpaid(working, self._account.available(coin))) is not None:
            return self._rejected(request, *short)
        self._account.take(working, market.terms)
        self._open[request.client_id] = working
        self._passages.pop(request.key, None)
        return order

    async def cancel(self, client_id: str) -> Order:
        """Return the order after it was cancelled; see `TradingExchange`."""
        working = self._open.get(client_id)
        if working is not None:
            after = working.closed(OrderStatus.CANCELLED, self._now_ts)
            key = working.order.request.key
            self._settle(working, after, self._markets[key].terms)
            self._passages.pop(key, None)
        order = await self.order(client_id)
        if order is None:
            raise RequestRefused(NAME, f"cancel {client_id}", "no order of this name", Code.PARAMETER_ERROR)
        return order

    async def order(self, client_id: str) -> Order | None:
        """Return the order of this name, None where there is none."""
        working = self._open.get(client_id)
        return self._closed.get(client_id) if working is None else working.order

    async def open_orders(self, key: str | None = None) -> tuple[Order, ...]:
        """Return the orders that are open, in the order in which they were placed."""
        return tuple(
            working.order
            for working in self._open.values()
            if key is None or working.order.request.key == key
        )

    async def balances(self) -> Mapping[str, Balance]:
        """Return every coin of the account."""
        return self._account.balances()

    async def best_prices(self, key: str) -> BestPrices | None:
        """Return bid and ask, recorded within a minute of now or by the spread model; None for no price."""
        market = self._markets.get(key)
        return None if market is None else self._best(market)

    def _best(self, market: _Market) -> BestPrices | None:
        if market.best is not None and abs(market.best.ts - self._now_ts) < MINUTE_S:
            return market.best
        last = market.minutes.last(self._now_ts)
        if last is None:
            return None
        return modelled_prices(last[1], last[0] + MINUTE_S, market.terms, market.rules.liquidity)

    def _passage(self, key: str) -> Passage:
        if key not in self._passages:
            market = self._markets[key]
            self._passages[key] = Passage(self._open_in(key), market.minutes, market.rules, self._now_ts)
        return self._passages[key]

    def _open_in(self, key: str) -> list[WorkingOrder]:
        return [working for working in self._open.values() if working.order.request.key == key]

    def _settle(self, before: WorkingOrder, after: WorkingOrder, terms: OrderTerms) -> None:
        self._account.settle(before, after, terms)
        name = after.order.request.client_id
        if after.order.is_open:
            self._open[name] = after
        else:
            del self._open[name]
            self._closed[name] = after.order

    def _check_holds(self) -> None:
        held = dict.fromkeys(self._account.balances(), 0)
        for working in self._open.values():
            request = working.order.request
            buys = request.side is OrderSide.BUY
            held[self._account.quote if buys else self._markets[request.key].terms.base] += working.held
        for coin, balance in self._account.balances().items():
            if balance.held != held[coin]:
                raise DataInvalid(NAME, coin, f"{balance.held} held, expected {held[coin]} by the orders")

    def _rejected(self, request: OrderRequest, code: Code, problem: str) -> Order:
        now_ts = self._now_ts
        order = Order(
            request,
            now_ts,
            OrderStatus.REJECTED,
            closed_ts=now_ts,
            refusal=MEANINGS[code],
            code=code.value,
            problem=problem,
        )
        self._closed[request.client_id] = order
        return order

    def _market(self, key: str) -> _Market:
        if key not in self._markets:
            raise DataInvalid(NAME, key, f"no such market; there are {', '.join(sorted(self._markets))}")
        return self._markets[key]

    def _market_state(self, key: str, market: _Market) -> MarketState:
        last_ts, last_close = market.minutes.last(self._now_ts) or (None, None)
        scales = (market.terms.price_scale, market.terms.base_scale)
        return MarketState(key, *scales, last_ts, last_close, market.best)

    def _add_all(
        self, terms: Mapping[str, OrderTerms], fees: Mapping[str, Fees], liquidity: Mapping[str, Liquidity]
    ) -> None:
        for key in sorted(terms):
            for what, there in (("fees", fees), ("liquidity", liquidity)):
                if key not in there:
                    raise DataInvalid(NAME, key, f"has terms, but no {what}")
            self.add_market(terms[key], fees[key], liquidity[key])


def _closing(order: Order) -> tuple[int, str]:
    """Return what closed orders are sorted by, so that the way in which time passed leaves no trace."""
    return order.closed_ts or 0, order.request.client_id


def _whole_minute(ts: int, name: str) -> int:
    if ts % MINUTE_S:
        raise DataInvalid(NAME, name, f"{ts}, expected a whole minute")
    return ts
