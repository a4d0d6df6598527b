"""Long random lives of an account: whatever is asked and whatever fails, not a unit is made or lost."""

from __future__ import annotations

import json
from collections import Counter
from random import Random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from exchanges.simulated.faults import Fault, FaultySimulation, ScriptedFaults
from exchanges.simulated.fills import EXPECTED, OPTIMISTIC, PESSIMISTIC
from exchanges.simulated.state import VENUE_FORM
from exchanges.simulated.venue import SimulatedExchange
from market.costs import PPM, Fees, Liquidity
from market.errors import ExchangeError
from market.orders import Order, OrderKind, OrderRequest, OrderSide, OrderStatus, OrderTerms
from tests.exchanges.simulated import drawn
from tests.exchanges.simulated.builders import COARSE, ETH, FINE, THOUSAND, done, exchange, flat, minutes

MARKETS = (ETH, FINE, COARSE)


class Life(RuleBasedStateMachine):
    """One account in one to three markets, with trouble before it."""

    def __init__(self) -> None:
        super().__init__()
        self.names = 0
        self.asked: dict[str, object] = {}
        self.seen: dict[str, Order] = {}
        self.volumes: dict[tuple[str, int], int] = {}

    @initialize(data=st.data(), count=st.integers(1, 3))
    def begin(self, data: st.DataObject, count: int) -> None:
        self.markets = MARKETS[:count]
        self.model, self.fees, self.liquidity = (
            data.draw(one) for one in (drawn.MODELS, drawn.FEES, drawn.LIQUIDITY)
        )
        inner = exchange(*self.markets, model=self.model, fees=self.fees, liquidity=self.liquidity)
        self.faulty = FaultySimulation(inner, ScriptedFaults({}))
        self.fed_to = 0
        self.feed([flat(10000, 1)] * count)
        self.faulty.advance(60)
        for wanted in drawn.first_buys(self.markets):
            self.asked[wanted.client_id] = wanted
            done(inner.place(wanted))
        self.feed([flat(10000, 1)] * count)
        self.faulty.advance(120)

    @property
    def inner(self) -> SimulatedExchange:
        return self.faulty.inner

    def feed(self, rows: list[list]) -> None:
        """Feed each market with its minutes; all of them go on as long as the longest."""
        for terms, told in zip(self.markets, rows, strict=True):
            bars = minutes(*told, start_ts=self.fed_to)
            self.inner.load(terms.key, bars, 1000)
            for ts, volume in zip(bars.ts.tolist(), bars.volume.tolist(), strict=True):
                self.volumes[terms.key, ts + 60] = volume * terms.base_scale // 1000
        self.fed_to += 60 * max(map(len, rows))

    def call(self, coroutine, fault: Fault | None):
        """Return the answer, or None where the plan or the exchange refused one."""
        self.faulty.plan = ScriptedFaults({} if fault is None else {self.faulty.calls: fault})
        try:
            return done(coroutine)
        except ExchangeError:
            return None

    @rule(data=st.data(), count=st.integers(1, 5))
    def place_some(self, data: st.DataObject, count: int) -> None:
        for _ in range(count):
            fault = data.draw(st.sampled_from([None, None, None, *Fault]))
            self.place(data, fault, data.draw(st.sampled_from(self.markets)))

    def place(self, data: st.DataObject, fault: Fault | None, terms: OrderTerms) -> None:
        self.names += 1
        wanted = data.draw(drawn.requests(terms, f"o{self.names}"))
        answer = self.call(self.faulty.place(wanted), fault)
        there = done(self.inner.order(wanted.client_id))
        assert (there is None) is (fault in {Fault.OUTAGE, Fault.RATE_LIMIT})
        assert answer is None or answer == there
        self.asked[wanted.client_id] = wanted

    @precondition(lambda self: self.asked)
    @rule(data=st.data(), fault=st.sampled_from([None, None, *Fault]))
    def place_again(self, data: st.DataObject, fault: Fault | None) -> None:
        """The same name once more, after an outage or without a reason."""
        name = data.draw(st.sampled_from(sorted(self.asked)))
        before = done(self.inner.order(name))
        state = self.inner.state()
        self.call(self.faulty.place(self.asked[name]), fault)
        if before is not None:
            assert self.inner.state() == state

    @precondition(lambda self: self.asked)
    @rule(data=st.data(), fault=st.sampled_from([None, None, *Fault]))
    def cancel(self, data: st.DataObject, fault: Fault | None) -> None:
        name = data.draw(st.sampled_from(sorted(self.asked)))
        answer = self.call(self.faulty.cancel(name), fault)
        if answer is not None:
            assert not answer.is_open

    @rule(data=st.data(), late=st.integers(0, 3))
    def pass_time(self, data: st.DataObject, late: int) -> None:
        rows = [data.draw(drawn.rows(most=12)) for _ in self.markets]
        self.feed(rows)
        self.faulty.advance(max(self.faulty.now_ts, self.fed_to - 60 * late))

    @rule()
    def stop_and_start(self) -> None:
        """The state goes through JSON; minutes that have not happened are lost with the process."""
        state = self.inner.state()
        read = VENUE_FORM.of_record(json.loads(json.dumps(VENUE_FORM.as_record(state))), "venue")
        keys = [terms.key for terms in self.markets]
        self.faulty.inner = SimulatedExchange.of(
            read,
            {terms.key: terms for terms in self.markets},
            dict.fromkeys(keys, self.fees),
            dict.fromkeys(keys, self.liquidity),
            self.model,
            "USDT",
        )
        assert self.inner.state() == state
        self.fed_to = max(self.fed_to, self.inner.now_ts)

    @invariant()
    def nothing_is_made_or_lost(self) -> None:
        """Ours, the market's and the fees; by the books, and counted again from the fills."""
        state = self.inner.state()
        bases = {terms.key: terms.base for terms in self.markets}
        expected = {holding.coin: 0 for holding in state.account.holdings} | {"USDT": THOUSAND}
        held = dict.fromkeys(expected, 0)
        fees = 0
        for order in self.orders(state):
            sign = order.request.side.sign
            for fill in order.fills:
                expected["USDT"] -= sign * fill.cash + fill.fee
                expected[bases[order.request.key]] += sign * fill.size
                fees += fill.fee
        for working in state.working:
            buys = working.order.request.side is OrderSide.BUY
            held["USDT" if buys else bases[working.order.request.key]] += working.held
        for holding in state.account.holdings:
            assert holding.total == expected[holding.coin]
            assert holding.held == held[holding.coin]
            assert 0 <= holding.held <= holding.total
            assert holding.total + holding.market + (fees if holding.coin == "USDT" else 0) == (
                THOUSAND if holding.coin == "USDT" else 0
            )
        assert state.account.fees == fees
        balances = done(self.inner.balances())
        assert {coin: one.total for coin, one in balances.items()} == expected

    @invariant()
    def no_order_gets_more_than_it_asked_for_or_at_a_worse_price(self) -> None:
        """And one that is closed never changes again."""
        for order in self.orders(self.inner.state()):
            name, asked = order.request.client_id, order.request
            assert order.request == self.asked[name]
            assert 0 <= order.filled <= asked.size
            before = self.seen.get(name)
            assert before is None or before.is_open or before == order
            assert before is None or order.fills[: len(before.fills)] == before.fills
            self.seen[name] = order
            for fill in order.fills:
                assert fill.size > 0
                assert fill.ts > order.placed_ts
                assert asked.ttl_s is None or fill.ts <= order.placed_ts + asked.ttl_s
                if asked.kind is OrderKind.OCO and fill.stopped:
                    continue
                if asked.side is OrderSide.BUY:
                    assert fill.seen <= fill.price <= asked.price
                else:
                    assert fill.seen >= fill.price >= asked.price

    @invariant()
    def our_share_of_a_minute_is_never_exceeded(self) -> None:
        taken: dict[tuple[str, int], int] = {}
        for order in self.orders(self.inner.state()):
            for fill in order.fills:
                minute = (order.request.key, fill.ts)
                taken[minute] = taken.get(minute, 0) + fill.size
        for minute, size in taken.items():
            assert size * PPM <= self.volumes[minute] * round(self.model.participation * PPM)

    @staticmethod
    def orders(state) -> list[Order]:
        return [working.order for working in state.working] + list(state.closed)


Life.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestLife = Life.TestCase


@pytest.mark.parametrize("seed", range(3))
def test_a_life_of_two_thousand_orders_adds_up(seed):
    """Longer than Hypothesis draws them: a walk of prices, orders of every kind, faults, and restarts."""
    random = Random(seed)
    life = Life()
    life.markets = MARKETS
    life.model, life.fees = (PESSIMISTIC, EXPECTED, OPTIMISTIC)[seed], Fees(maker_bps=2, taker_bps=7.77)
    life.liquidity = Liquidity(half_spread_bps=1.5, slippage_bps=3, impact_bps=25)
    inner = exchange(*MARKETS, model=life.model, fees=life.fees, liquidity=life.liquidity)
    life.faulty = FaultySimulation(inner, ScriptedFaults({}))
    life.fed_to, price = 0, 10_000
    for hour in range(100):
        rows = []
        for _ in range(10):
            steps = [price + 5 * random.randint(-30, 30) for _ in range(3)]
            rows.append((price, max(price, *steps), min(price, *steps), steps[-1], random.randint(0, 9000)))
            price = steps[-1]
        life.feed([rows] * 3)
        life.faulty.advance(life.fed_to)
        for _ in range(20):
            life.names += 1
            wanted = random_request(random, price, f"o{life.names}")
            life.asked[wanted.client_id] = wanted
            life.call(life.faulty.place(wanted), random.choice([None, None, None, *Fault]))
        life.call(life.faulty.cancel(f"o{random.randint(1, life.names)}"), random.choice([None, *Fault]))
        if hour % 10 == 9:
            life.stop_and_start()
            life.nothing_is_made_or_lost()
            life.no_order_gets_more_than_it_asked_for_or_at_a_worse_price()
            life.our_share_of_a_minute_is_never_exceeded()
    ends = Counter((order.request.kind, order.status) for order in life.orders(life.inner.state()))
    assert all(ends[kind, OrderStatus.FILLED] > 20 for kind in OrderKind), ends
    assert all(ends[kind, OrderStatus.EXPIRED] > 20 for kind in OrderKind), ends


def random_request(random: Random, price: int, name: str) -> OrderRequest:
    terms, kind = random.choice(MARKETS), random.choice(list(OrderKind))
    side = OrderSide.SELL if kind is OrderKind.OCO else random.choice(list(OrderSide))
    near = {OrderKind.LIMIT: 200, OrderKind.MARKET: 400, OrderKind.OCO: 300}[kind]
    away = 5 * random.randint(1, near // 5)
    at = price + away if (side is OrderSide.SELL) is not (kind is OrderKind.MARKET) else price - away
    stop = price - 5 * random.randint(1, 60) if kind is OrderKind.OCO else None
    size = random.randint(1, 60) * (10**5 if terms is FINE else 10)
    post_only = kind is OrderKind.LIMIT and random.choice([True, False])
    ttl_s = random.choice([60, 90, 600, 3600])
    return OrderRequest(
        name, terms.key, side, kind, at, size, stop_price=stop, post_only=post_only, ttl_s=ttl_s
    )
