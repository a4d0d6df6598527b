"""The desk: universe, signals, rules, risk, execution over one account, an hour at a time.

Backtest and paper run this same code; they differ in who feeds it. An hour goes in this order: its minutes
happen and the plans under way react to them (`settle`), then what the decision code and the signals say at
its close begins and ends trades (`decide`). Orders that are sent at the close meet the next hour's minutes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol

import numpy as np

from market.candles import Bars
from market.costs import Fees, Liquidity
from market.errors import DataInvalid
from market.hours import HOUR_S, Hour
from market.orders import CASH_SCALE, BestPrices, OrderTerms
from market.ports import SimulatedTime, TradingExchange
from trading.account import account_view, nav_of
from trading.beginning import ladder_of, swing_of
from trading.books import Books
from trading.breakers import after_calls, after_hour, tripped
from trading.desk_policy import DeskPolicy
from trading.desk_state import DeskState, LastPrice, Plan
from trading.grids import DeskGrids, Judged, judged, started, stopped
from trading.hands import Hands
from trading.ladder import LadderPlan, ladder_moved
from trading.ledger import reconcile
from trading.market_hour import DAY_MINUTES, MarketHour, turnover_24h, view_of
from trading.pacing import began, ended, refusal
from trading.reasons import Reason
from trading.report import DeskReport, MarketNote, TriggerNote
from trading.risk import loss_at_stop, size
from trading.sending import Line, Sending
from trading.swing import asked_to_leave, moved
from trading.swing_plan import Stage, SwingPlan
from trading.trades import TradePlan, TradeRecord
from trading.universe import Universe, select
from trading.values import UNKNOWN_REGIME, AccountView, MarketView, Proposal, Refusal, Sized, TriggerKind

MINUTE_S = 60
ORDERS_KEPT_S = 24 * HOUR_S


class FedExchange(SimulatedTime, Protocol):
    """A simulated exchange that is told what happened in its markets."""

    def add_market(self, terms: OrderTerms, fees: Fees, liquidity: Liquidity) -> None:
        """Add a market, or replace what is known of one without open orders."""

    def load(self, key: str, bars: Bars, volume_scale: int) -> None:
        """Add minutes, prices in the scale of the market's terms."""

    def quote_recorded(self, key: str, best: BestPrices) -> None:
        """Take the best prices that an exchange told at an instant."""

    def forget_closed_before(self, ts: int) -> None:
        """Forget orders that were closed before an instant."""


class Desk:
    """One account that trades by a policy.

    Args:
        policy: The rules.
        exchange: Paper or mock; its time stands where `state` was left.
        state: Of the hour before, or `DeskState.first`.
        orders: Where orders go, if not straight to the exchange: something between that loses answers, say.
    """

    def __init__(
        self,
        policy: DeskPolicy,
        exchange: FedExchange,
        state: DeskState,
        orders: TradingExchange | None = None,
    ) -> None:
        self.policy, self._exchange, self._orders = policy, exchange, orders or exchange
        self._pacing, self._risk = state.pacing, state.risk
        self._plans: dict[str, Plan] = dict(state.plans)
        self._grids = dict(state.grids)
        self._terms, self._prices = dict(state.terms), dict(state.prices)
        self._books = Books(state.ledger, self._terms)
        self._minute_turnover = dict(state.minute_turnover)
        self._minutes: dict[str, Bars] = {}
        self._lows: dict[str, int] = {}
        self._left_out: dict[str, Refusal] = {}
        self._ended: list[TradeRecord] = []
        for key, terms in self._terms.items():
            self._add_market(key, terms)

    @property
    def state(self) -> DeskState:
        """Everything that the next hour needs."""
        return DeskState(
            self._books.ledger,
            self._pacing,
            self._risk,
            dict(self._plans),
            dict(self._grids),
            dict(self._terms),
            dict(self._prices),
            dict(self._minute_turnover),
        )

    @property
    def nav(self) -> int:
        """Cash and coin at the last known prices, cash units."""
        return nav_of(self._books.ledger, self._terms, self._prices)

    async def run_hour(self, hour: Hour, markets: Mapping[str, MarketHour]) -> DeskReport:
        """Let one hour happen and decide at its close; hours come in order, each once.

        Args:
            markets: By key; one that is not there has no news, and its orders rest.

        Raises:
            DataInvalid: The hour is not the next one, or an input contradicts the state.
        """
        if self._exchange.now_ts > hour.open_ts:
            raise DataInvalid("desk", "hour", f"{hour} began before {self._exchange.now_ts}, where it stands")
        self._ended = []
        sending = Sending(self._orders, self._books)
        hands = self._hands(sending)
        self._take_in(markets)
        await self._settle(hour, hands)
        self._note_turnover(hour, markets)
        found = self._judged(markets)
        await self._close_hour(sending)
        views = await self._views(markets, found, sending)
        universe = select(views, self.policy.universe)
        await self._end_what_should(hour, views, found, hands)
        notes = await self._decide(hour, views, found, universe, hands)
        if sending.orders.errors:
            line = sending.orders
            self._risk = after_calls(self._risk, answered=line.answered, errors=line.errors)
        if not sending.unanswered:  # else what is closed there may not be in the books yet
            self._exchange.forget_closed_before(hour.close_ts - ORDERS_KEPT_S)
        return self._report(hour, views, found, universe, notes, sending)

    def _take_in(self, markets: Mapping[str, MarketHour]) -> None:
        self._minutes, self._left_out = {}, {}
        for key, market in sorted(markets.items()):
            refusal = self._learn(key, market.terms())
            if refusal is not None:
                self._left_out[key] = refusal
            if key not in self._terms:
                continue
            bars = market.minutes(self._terms[key])
            self._minutes[key] = bars
            self._exchange.load(key, bars, market.inputs.window.volume_scale)
            if market.inputs.window.price_scale > self._terms[key].price_scale:
                told = "finer prices than those of its open orders"
                self._left_out[key] = Refusal(Reason.NOT_TRADING, told, "one scale until they are closed")

    def _learn(self, key: str, terms: OrderTerms | None) -> Refusal | None:
        """Take a market's terms, or say why not; new ones wait until nothing is open under the old.

        The old ones stay, too, where its coin is counted in units in which the account cannot count it.
        """
        before, last = self._terms.get(key), self._prices.get(key)
        if terms is None:
            told = "nobody told its increments"
            return None if before else Refusal(Reason.NOT_TRADING, told, "the exchange's rules")
        if terms.quote != self.policy.quote:
            return Refusal(Reason.QUOTE_CURRENCY, terms.quote, self.policy.quote)
        if terms == before or any(plan.key == key for plan in self._plans.values()):
            return None
        try:
            ledger = self._books.ledger.rescaled(key, terms.base_scale)
            self._add_market(key, terms)
        except DataInvalid as error:
            return Refusal(Reason.NOT_TRADING, str(error), "units in which the account counts")
        self._books.ledger = ledger
        if before is not None and last is not None:
            price = last.price * terms.price_scale // before.price_scale
            self._prices[key] = replace(last, price=price)
        self._terms[key] = terms
        return None

    def _note_turnover(self, hour: Hour, markets: Mapping[str, MarketHour]) -> None:
        """Take in what was traded; only now, for in the hour itself nobody could know it."""
        for key in self._minutes:
            turnover = turnover_24h(markets[key].inputs.window, hour)
            self._minute_turnover[key] = 0.0 if turnover is None else turnover / DAY_MINUTES

    async def _settle(self, hour: Hour, hands: Hands) -> None:
        """Let the minutes happen; stop wherever a plan has something to do."""
        until = hour.close_ts
        await self._react(hour, hands, self._exchange.now_ts)  # what nobody answered at the last close
        while (now := self._exchange.now_ts) < until:
            ts = self._next_stop(until, hands)
            self._exchange.advance(ts)
            self._note_prices(now, ts)
            await self._react(hour, hands, ts)
        self._lows.clear()

    def _next_stop(self, until: int, hands: Hands) -> int:
        now = self._exchange.now_ts
        stops = [until]
        if hands.sending.unanswered:
            stops.append(now + MINUTE_S)
        change = self._exchange.next_change(until)
        if change is not None:
            stops.append(change)
        for plan in self._plans.values():
            if plan.is_waiting:
                stops.append(now + MINUTE_S)
            level = plan.alarm
            if level is not None and plan.key in self._minutes:
                stops += _first_at_or_below(self._minutes[plan.key], level, now, until)
        return min(stops)

    def _note_prices(self, since_ts: int, ts: int) -> None:
        """Take in the last closes and the lows of the minutes that just happened."""
        self._lows.clear()
        for key, bars in self._minutes.items():
            first, end = map(int, np.searchsorted(bars.ts, (since_ts, ts)))
            if first < end:
                self._prices[key] = LastPrice(int(bars.close[end - 1]), int(bars.ts[end - 1]) + MINUTE_S)
                self._lows[key] = int(bars.low[first:end].min())

    async def _react(self, hour: Hour, hands: Hands, ts: int) -> None:
        for trade_id in sorted(self._plans):
            plan = self._plans[trade_id]
            hands.sending.unanswered.discard(trade_id)
            after = (
                await moved(plan, hands, ts)
                if isinstance(plan, SwingPlan)
                else await ladder_moved(plan, hands, ts)
            )
            self._plans[trade_id] = after
            if after.stage is Stage.DONE:
                self._finish(hour, after, ts)

    def _finish(self, hour: Hour, plan: Plan, ts: int) -> None:
        del self._plans[plan.trade_id]
        why = plan.ended_by or Reason.ORDER_REFUSED
        cycles = None
        if isinstance(plan, LadderPlan):
            cycles = plan.cycles
            self._grids[plan.key] = stopped(self._grids[plan.key], hour, why.value)
        self._books.ledger, record = self._books.ledger.closed(plan.trade_id, why, ts, self.nav, cycles)
        if record.entry_at is None:
            return  # nothing was bought: that is told by its orders, it was no trade
        self._ended.append(record)
        self._pacing = ended(self.policy.pacing, self._pacing, plan.key, ts, won=record.won)

    def _judged(self, markets: Mapping[str, MarketHour]) -> dict[str, Judged]:
        capital = self.nav / CASH_SCALE
        found: dict[str, Judged] = {}
        for key, market in sorted(markets.items()):
            if key in self._terms:
                found[key] = judged(key, market.inputs, self._grids, self.policy.judging, capital)
                self._grids[key] = found[key].grids
        return found

    async def _close_hour(self, sending: Sending) -> None:
        balances = await sending.balances()
        line = sending.orders if sending.orders.was_used else sending.reads
        sending.orders = Line()
        differences = None if balances is None else reconcile(self._books.ledger, balances, self._terms)
        self._risk = after_hour(
            self._risk,
            self.policy.risk,
            self.nav,
            answered=line.answered,
            errors=line.errors,
            differences=differences,
        )

    async def _views(
        self, markets: Mapping[str, MarketHour], found: Mapping[str, Judged], sending: Sending
    ) -> dict[str, MarketView]:
        views = {}
        for key in sorted(found):
            if key in self._left_out:
                continue  # what is open there goes on; nothing begins
            terms, costs = self._terms[key], self.policy.judging.costs_of(key)
            recorded = markets[key].best(terms)
            if recorded is not None:
                self._exchange.quote_recorded(key, recorded)
            best = await sending.prices(key)
            views[key] = view_of(markets[key], found[key], terms, costs, best)
        return views

    async def _end_what_should(
        self, hour: Hour, views: Mapping[str, MarketView], found: Mapping[str, Judged], hands: Hands
    ) -> None:
        for trade_id, plan in sorted(self._plans.items()):
            if plan.key not in found:
                continue
            if isinstance(plan, SwingPlan):
                if plan.key not in views:
                    continue
                signal = self._books.ledger.position(trade_id).plan.signal
                why = self.policy.rules.exit_wanted(views[plan.key], signal)
                if why is not None:
                    hands.note(hour.close_ts, trade_id, "leaves", str(why))
                    self._plans[trade_id] = asked_to_leave(plan, why.reason)
            elif (stop := found[plan.key].stop) is not None and plan.ended_by is None:
                hands.note(hour.close_ts, trade_id, "leaves", f"{Reason.GRID_EXIT}: {stop}")
                self._plans[trade_id] = replace(plan, ended_by=Reason.GRID_EXIT)
        await self._react(hour, hands, hour.close_ts)

    async def _decide(
        self,
        hour: Hour,
        views: Mapping[str, MarketView],
        found: Mapping[str, Judged],
        universe: Universe,
        hands: Hands,
    ) -> tuple[TriggerNote, ...]:
        notes: list[TriggerNote] = []
        for key, tier in universe.members.items():
            view = views[key]
            triggers = [trigger for signal in self.policy.signals for trigger in signal.scan(view)]
            proposals, refused = self.policy.rules.judge(triggers, view, tier)
            notes += [TriggerNote(trigger, "rules", why) for trigger, why in refused]
            for proposal in sorted(proposals, key=lambda each: -each.trigger.conviction):
                notes.append(self._judge(hour, proposal, view, found[key]))
        await self._react(hour, hands, hour.close_ts)
        return tuple(notes)

    def _judge(self, hour: Hour, proposal: Proposal, view: MarketView, found: Judged) -> TriggerNote:
        trigger = proposal.trigger
        account = self._account()
        in_position = self._books.ledger.open_in(view.key) is not None
        sized = size(
            proposal,
            view,
            account,
            self._risk,
            self.policy.risk,
            in_position=in_position,
            entry_bps=self.policy.execution.max_slippage_bps,
        )
        if isinstance(sized, Refusal):
            return TriggerNote(trigger, "risk", sized, proposal)
        paced = refusal(self.policy.pacing, self._pacing, view.key, hour.close_ts)
        if paced is not None:
            return TriggerNote(trigger, "pacing", paced, proposal, sized)
        begun = self._begin(hour, sized, view, account, found)
        if isinstance(begun, Refusal):
            return TriggerNote(trigger, "risk", begun, proposal, sized)
        return TriggerNote(trigger, "pacing", None, proposal, sized, begun)

    def _begin(
        self, hour: Hour, sized: Sized, view: MarketView, account: AccountView, found: Judged
    ) -> str | Refusal:
        trigger, terms = sized.proposal.trigger, view.terms
        swings = trigger.kind is TriggerKind.SWING
        risk = loss_at_stop(terms, view.costs, trigger, sized.size) if swings else None
        trade = TradePlan.of(sized, view, account, self.policy.config_hash, risk)
        plan: Plan | Refusal
        if swings:
            plan = swing_of(sized, trade.id)
        else:
            assert view.best is not None and found.advice is not None and trigger.grid is not None
            plan = ladder_of(sized, trade.id, terms, view.best, self.policy)
            if isinstance(plan, Refusal):
                return plan
            grids = self._grids.get(view.key, DeskGrids())
            self._grids[view.key] = started(grids, found.advice, trigger.grid)
        self._plans[trade.id] = plan
        self._books.ledger = self._books.ledger.opened(trade)
        self._pacing = began(self._pacing, view.key, hour.close_ts)
        return trade.id

    def _account(self) -> AccountView:
        return account_view(
            self._books.ledger, self._plans, self._terms, self._prices, self.policy, self._risk.peak_nav
        )

    def _report(
        self,
        hour: Hour,
        views: Mapping[str, MarketView],
        found: Mapping[str, Judged],
        universe: Universe,
        notes: tuple[TriggerNote, ...],
        sending: Sending,
    ) -> DeskReport:
        markets = {}
        for key, view in views.items():
            advice, analysis = found[key].advice, view.analysis
            markets[key] = MarketNote(
                view.regime,
                None if analysis is None else analysis.verdict.value,
                universe.members.get(key),
                universe.refused.get(key),
                None if advice is None else f"{advice.action.value}: {advice.reason}",
            )
        for key, why in self._left_out.items():
            markets[key] = MarketNote(UNKNOWN_REGIME, None, None, why, None)
        breakers = [tripped(self._risk, self.policy.risk, self.nav, 0)]
        return DeskReport(
            hour,
            markets,
            notes,
            tuple(sending.notes),
            tuple(self._ended),
            self._account(),
            tuple(sorted(self._plans)),
            tuple(str(breaker) for breaker in breakers if breaker is not None),
        )

    def _add_market(self, key: str, terms: OrderTerms) -> None:
        costs = self.policy.judging.costs_of(key)
        self._exchange.add_market(terms, costs.fees, costs.liquidity)

    def _hands(self, sending: Sending) -> Hands:
        judging = self.policy.judging
        costs = {key: judging.costs_of(key) for key in {*self._terms, *judging.costs}}
        return Hands(
            sending,
            self.policy.execution,
            self._terms,
            costs,
            self._books.held,
            self._minute_turnover,
            self._lows,
        )


def _first_at_or_below(bars: Bars, level: int, after_ts: int, until_ts: int) -> list[int]:
    """Return the end of the first minute in (after_ts, until_ts] whose low is at or below a level, if any."""
    first, last = np.searchsorted(bars.ts, (after_ts, until_ts))
    hits = np.flatnonzero(bars.low[first:last] <= level)
    return [int(bars.ts[first + int(hits[0])]) + MINUTE_S] if hits.size else []
