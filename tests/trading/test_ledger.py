"""The ledger: by fills alone, to the last unit, and the same after every restart."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from market.errors import DataInvalid
from market.orders import CASH_SCALE, Balance, OrderFill, OrderKind, OrderRequest, OrderSide
from tests.trading.accounts import (
    HOUR,
    KEY,
    OTHER,
    TERMS,
    account,
    fill,
    grid,
    plan,
    request,
    swing,
    terms_of,
    usdt,
    view,
)
from trading.ledger import LEDGER_FORM, Difference, Ledger, reconcile
from trading.reasons import Reason
from trading.trades import TradePlan, TradeRecord, trade_id
from trading.values import Sized, TriggerKind

BUY, SELL = OrderSide.BUY, OrderSide.SELL
ID = trade_id(KEY, HOUR, "momentum")
GRID_ID = trade_id(KEY, HOUR, "grid")
LATER = HOUR.close_ts + 3600


def begun(cash: int = usdt(10_000), trade: TradePlan | None = None) -> Ledger:
    return Ledger.of(cash, "USDT").opened(trade or plan())


def test_a_trades_name_says_market_hour_and_signal():
    """One hour can begin one trade of a market and signal."""
    assert ID == "trade-ETH-USDT-20260202T14-momentum"


def test_a_plan_keeps_why_and_how_much():
    """What trigger, rules and risk said goes into the plan as it was."""
    proposal = swing(strength=0.5)
    found = TradePlan.of(Sized(proposal, 100, usdt(20), "by hand"), view(), account(), "sha256:1", usdt(5))
    assert found == plan(
        reason="close 2000 above the highest high 1990 of 48 h",
        regime="UNKNOWN",
        verdict=None,
        why_this_size="by hand",
        config_hash="sha256:1",
        risk_at_entry=usdt(5),
    )
    of_grid = TradePlan.of(Sized(grid(), 0, usdt(20), "by hand"), view(), account(), "sha256:1")
    assert (of_grid.id, of_grid.kind, of_grid.risk_at_entry) == (GRID_ID, TriggerKind.GRID, None)


def test_a_buy_and_a_sale_move_cash_and_coin():
    """Notional and fee, to the unit; what the trade holds is what was filled."""
    ledger = begun().applied(ID, request(BUY, 200_000, 10_000), fill(BUY, 200_000, 6_000, fee=7), TERMS)
    assert ledger.cash == usdt(10_000) - usdt(1200) - 7
    assert (ledger.base_of(ID), ledger.holdings()) == (6_000, {KEY: 6_000})
    ledger = ledger.applied(
        ID, request(SELL, 210_000, 6_000, "o2"), fill(SELL, 210_000, 6_000, fee=8, maker=False), TERMS
    )
    assert ledger.cash == usdt(10_000) - usdt(1200) - 7 + usdt(1260) - 8
    assert (ledger.base_of(ID), ledger.holdings()) == (0, {})


def test_a_closed_swing_tells_all_of_it():
    """Every field of the line, reckoned by hand."""
    buy = OrderRequest("o1", KEY, BUY, OrderKind.LIMIT, 200_000, 10_000, post_only=True)
    sale = OrderRequest("o2", KEY, SELL, OrderKind.OCO, 210_000, 10_000, stop_price=195_000)
    start = HOUR.close_ts
    ledger = begun().placed(ID, buy, TERMS, "the best bid")
    ledger = ledger.applied(ID, buy, fill(BUY, 200_000, 4_000, fee=usdt("0.8"), ts=start + 60), TERMS)
    ledger = ledger.applied(ID, buy, fill(BUY, 200_000, 6_000, fee=usdt("1.2"), ts=start + 120), TERMS)
    ledger = ledger.order_ended(ID, "o1", "filled").placed(ID, sale, TERMS, "target and stop")
    sold = fill(SELL, 194_900, 10_000, seen=195_000, fee=usdt("1.949"), maker=False, ts=start + 5460)
    ledger = ledger.applied(ID, sale, sold, TERMS).order_ended(ID, "o2", "filled")
    after, record = ledger.closed(ID, Reason.STOP, start + 5460, usdt(9_945))
    assert after == Ledger.of(usdt("9945.051"), "USDT")
    assert json.loads(record.as_line()) == {
        "id": ID,
        "key": KEY,
        "signal": "momentum",
        "kind": "swing",
        "reason": "because",
        "rule": "RANGE",
        "regime": "RANGE",
        "verdict": "RANGE_OK",
        "conviction": 0.5,
        "tier": "major",
        "why_this_size": "50.00 USDT at risk",
        "config_hash": "sha256:0",
        "opened": "2026-02-02T14:00:00Z",
        "quote": "USDT",
        "entry_at": "2026-02-02T15:01:00Z",
        "exit_at": "2026-02-02T16:31:00Z",
        "exit_reason": "stop",
        "held_hours": 1.5,
        "entry_price": "2000",
        "exit_price": "1949",
        "bought": "1",
        "sold": "1",
        "base_before": "0",
        "base_after": "0",
        "edge": -usdt(50),
        "slippage": usdt(1),
        "fees": usdt("3.949"),
        "net": -usdt("54.949"),
        "cents": {"edge": "-50.00", "slippage": "1.00", "fees": "3.95", "net": "-54.95"},
        "net_exact": "-54.949",
        "maker_notional": usdt(2000),
        "taker_notional": usdt(1949),
        "maker_fills": 2,
        "taker_fills": 1,
        "order_count": 2,
        "orders": [
            {
                "client_id": "o1",
                "side": "buy",
                "kind": "limit",
                "price": "2000",
                "stop_price": None,
                "size": "1",
                "filled": "1",
                "fills": 2,
                "why": "the best bid",
                "outcome": "filled",
            },
            {
                "client_id": "o2",
                "side": "sell",
                "kind": "oco",
                "price": "2100",
                "stop_price": "1950",
                "size": "1",
                "filled": "1",
                "fills": 1,
                "why": "target and stop",
                "outcome": "filled",
            },
        ],
        "nav_before": usdt(10_000),
        "nav_after": usdt(9_945),
        "risk_at_entry": usdt(50),
        "r": -1.09898,
        "cycles": None,
    }
    assert not record.won


def test_average_prices_have_twelve_digits():
    """A third of a coin at each of three prices."""
    ledger = begun()
    for number, price in enumerate((200_000, 200_000, 200_001)):
        ledger = ledger.applied(ID, request(BUY, price, 1, f"o{number}"), fill(BUY, price, 1), TERMS)
    ledger = ledger.applied(ID, request(SELL, 210_000, 3, "o9"), fill(SELL, 210_000, 3), TERMS)
    record = ledger.closed(ID, Reason.TARGET, LATER, usdt(10_000))[1]
    assert (record.entry_price, record.exit_price, record.bought) == ("2000.00333333", "2100", "0.0003")
    assert record.won


def test_a_trade_that_was_never_filled_is_told_as_such():
    """No entry, no prices, nothing won, nothing lost."""
    ledger = begun().placed(ID, request(BUY, 200_000, 10_000), TERMS, "the best bid")
    after, record = ledger.order_ended(ID, "o1", "expired").closed(
        ID, Reason.TTL_EXPIRED, LATER, usdt(10_000)
    )
    assert after == Ledger.of(usdt(10_000), "USDT")
    assert (record.entry_at, record.entry_price, record.exit_price, record.held_hours) == (
        None,
        None,
        None,
        0,
    )
    assert (record.net, record.r, record.won) == (0, 0.0, False)
    assert [(line.outcome, line.filled) for line in record.orders] == [("expired", "0")]


def test_a_fill_of_an_order_that_was_not_noted_is_booked_all_the_same():
    """The money moved; only the reason of the price is not known."""
    ledger = begun().applied(ID, request(BUY, 200_000, 10_000), fill(BUY, 200_000, 10_000), TERMS)
    line = ledger.position(ID).line_of("o1")
    assert line is not None
    assert (line.why, line.filled, ledger.position(ID).order_count) == ("", "1", 1)
    assert ledger.placed(ID, request(BUY, 200_000, 10_000), TERMS, "again") == ledger


def test_a_grid_keeps_sums_and_counts_alone():
    """However many orders and fills, the position does not grow, and no order is listed."""
    ledger = begun(trade=plan(signal="grid"))
    sizes = set()
    for number in range(200):
        buy, sale = (request(side, 200_000, 10, f"{side}{number}") for side in (BUY, SELL))
        ledger = ledger.placed(GRID_ID, buy, TERMS, "rung").applied(
            GRID_ID, buy, fill(BUY, 200_000, 10), TERMS
        )
        ledger = ledger.placed(GRID_ID, sale, TERMS, "rung")
        ledger = ledger.applied(GRID_ID, sale, fill(SELL, 200_200, 10), TERMS)
        ledger = ledger.order_ended(GRID_ID, sale.client_id, "filled")
        sizes.add(len(json.dumps(LEDGER_FORM.as_record(ledger))) // 100)
    assert max(sizes) - min(sizes) <= 1
    record = ledger.closed(GRID_ID, Reason.GRID_EXIT, LATER, usdt(10_000), cycles=200)[1]
    assert (record.orders, record.order_count, record.maker_fills, record.cycles) == ((), 400, 400, 200)
    assert (record.net, record.r, record.risk_at_entry) == (usdt("0.4"), None, None)


def test_coin_that_could_not_be_sold_stays_in_the_books():
    """It counts nothing in the trade's result, is there before the next trade, and is added to."""
    ledger = begun()
    for hour in (HOUR, HOUR.plus(1)):
        name = trade_id(KEY, hour, "momentum")
        if hour != HOUR:
            ledger = ledger.opened(plan(id=name))
        ledger = ledger.applied(name, request(BUY, 200_000, 100), fill(BUY, 200_000, 100), TERMS)
        ledger = ledger.applied(name, request(SELL, 200_000, 95, "o2"), fill(SELL, 200_000, 95), TERMS)
        ledger, record = ledger.closed(name, Reason.MAX_HOLD, LATER, usdt(10_000))
    assert (record.base_before, record.base_after, record.net) == ("0.0005", "0.001", -usdt(1))
    assert ledger.holdings() == {KEY: 10}
    assert ledger.positions == ()


def test_left_over_coin_follows_a_change_of_units():
    """The same coin in finer units; a trade in other units does not begin beside it."""
    ledger = begun().applied(ID, request(BUY, 200_000, 50), fill(BUY, 200_000, 50), TERMS)
    with pytest.raises(DataInvalid, match=f"ledger: base_scale: {ID} is open, its units cannot change"):
        ledger.rescaled(KEY, 10)
    ledger = ledger.closed(ID, Reason.STOP, LATER, usdt(10_000))[0]
    finer = plan(id="finer", base_scale=10**6)
    with pytest.raises(DataInvalid, match="ledger: base_scale: 1000000 of finer, left over coin has another"):
        ledger.opened(finer)
    assert ledger.rescaled(OTHER, 10) == ledger
    assert ledger.rescaled(KEY, 10**6).holdings() == {KEY: 5_000}
    assert ledger.rescaled(KEY, 10**6).opened(finer).position("finer").base_before == 5_000
    assert ledger.rescaled(KEY, 1_000).holdings() == {KEY: 5}
    with pytest.raises(DataInvalid, match="left over of ETH-USDT: 50 of 1/10000 is no whole number of 1/100"):
        ledger.rescaled(KEY, 100)


def test_a_trade_is_found_by_its_market():
    """And none where none is open."""
    ledger = begun()
    found = ledger.open_in(KEY)
    assert found is not None
    assert found.plan.id == ID
    assert ledger.open_in(OTHER) is None


ONE = request(BUY, 200_000, 10_000)
HELD = begun().applied(ID, ONE, fill(BUY, 200_000, 10_000), TERMS)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda: Ledger.of(-1, "USDT"), "ledger: cash: -1, expected 0 or more"),
        (lambda: begun().opened(plan()), f"ledger: trade: {ID} is open already"),
        (lambda: begun().opened(plan(OTHER, quote="USDC")), "ledger: quote: USDC of trade-SOL-USDT-"),
        (lambda: begun().base_of("trade-x"), "ledger: trade: no trade trade-x is open"),
        (lambda: begun().applied("trade-x", ONE, fill(BUY, 1, 1), TERMS), "no trade trade-x is open"),
        (lambda: begun().closed("trade-x", Reason.STOP, LATER, 0), "no trade trade-x is open"),
        (lambda: begun().order_ended("trade-x", "o1", "filled"), "no trade trade-x is open"),
        (
            lambda: begun().placed(ID, request(BUY, 1, 1, key=OTHER), TERMS, ""),
            f"ledger: key: o1 of SOL-USDT, terms of ETH-USDT, {ID} of ETH-USDT",
        ),
        (
            lambda: begun().applied(ID, ONE, fill(BUY, 1, 1), terms_of(OTHER)),
            f"ledger: key: o1 of ETH-USDT, terms of SOL-USDT, {ID} of ETH-USDT",
        ),
        (
            lambda: begun().applied(ID, ONE, fill(BUY, 1, 1), replace(TERMS, base_scale=10)),
            f"ledger: base_scale: 10, {ID} was opened with 10000",
        ),
        (
            lambda: HELD.applied(ID, request(SELL, 1, 10_001, "o2"), fill(SELL, 200_000, 10_001), TERMS),
            f"ledger: base: o2 sells 10001, {ID} holds 10000",
        ),
        (
            lambda: begun(100).applied(ID, ONE, fill(BUY, 200_000, 1), TERMS),
            "ledger: cash: o1 leaves -19999900 cash units",
        ),
        (
            lambda: HELD.closed(ID, Reason.STOP, HOUR.close_ts + 59, 0),
            f"ledger: at_ts: {ID} closed at {HOUR.close_ts + 59}, its last fill was at {HOUR.close_ts + 60}",
        ),
    ],
)
def test_what_cannot_be_is_refused_by_name(wrong, words):
    """More sold than held, more spent than there is, another market's order: never booked."""
    with pytest.raises(DataInvalid) as refused:
        wrong()
    assert words in str(refused.value)


def test_a_closing_at_the_last_fills_instant_is_allowed():
    """The fill that ends a trade ends it then."""
    assert HELD.closed(ID, Reason.STOP, HOUR.close_ts + 60, 0)[1].held_hours == 0


def test_balances_that_agree_show_no_difference():
    """Coins of markets that are none of ours do not count; a coin that is missing is none."""
    balances = {"USDT": Balance(HELD.cash), "ETH": Balance(10_000, 500), "DOGE": Balance(7)}
    assert reconcile(HELD, balances, {KEY: TERMS, OTHER: terms_of(OTHER)}) == ()


def test_a_unit_too_much_or_too_little_shows():
    """Cash, coin of a trade, coin that nobody bought, and coin of a market without terms."""
    balances = {"USDT": Balance(HELD.cash - 1), "ETH": Balance(9_999), "SOL": Balance(1)}
    assert reconcile(HELD, balances, {KEY: TERMS, OTHER: terms_of(OTHER)}) == (
        Difference("ETH", 10_000, 9_999),
        Difference("SOL", 0, 1),
        Difference("USDT", HELD.cash, HELD.cash - 1),
    )
    assert reconcile(HELD, {"USDT": Balance(HELD.cash)}, {}) == (Difference(KEY, 10_000, 0),)
    assert str(Difference("ETH", 10, 9)) == "ETH: the books say 10, the exchange 9"


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"cash": -1}, "cash"),
        ({"quote": None}, "quote"),
        ({"left_over": [{"key": KEY, "base": 0, "base_scale": 1}]}, "left_over.0.base"),
        ({"positions": [{}]}, "positions.0.plan"),
        ({"more": 1}, "more"),
    ],
)
def test_damaged_books_are_refused_by_the_name_of_the_field(change, name):
    """Nothing is assumed."""
    with pytest.raises(DataInvalid) as refused:
        LEDGER_FORM.of_record({**LEDGER_FORM.as_record(HELD), **change}, "state")
    assert refused.value.field == name


@pytest.mark.parametrize("name", ["cash_in", "seen_out", "bought", "taker_notional", "maker_fills"])
def test_damaged_sums_are_refused_by_name(name):
    """An amount that cannot be negative is not."""
    record = LEDGER_FORM.as_record(HELD)
    record["positions"][0]["flows"][name] = -1
    with pytest.raises(DataInvalid) as refused:
        LEDGER_FORM.of_record(record, "state")
    assert refused.value.field == f"positions.0.flows.{name}"


@dataclass
class Plain:
    """A trade as nothing but its fills."""

    key: str
    kind: TriggerKind
    before: int
    fills: list[tuple[OrderSide, OrderFill]] = field(default_factory=list)
    orders: set[str] = field(default_factory=set)

    @property
    def base(self) -> int:
        return sum(side.sign * each.size for side, each in self.fills)

    @property
    def cash(self) -> int:
        return -sum(side.sign * each.cash + each.fee for side, each in self.fills)


PRICES = st.integers(50_000, 500_000)
MARKETS = (KEY, OTHER, "BTC-USDT")


class Books(RuleBasedStateMachine):
    """Trades of three markets with shared cash, against plain lists of fills; a restart after every step."""

    def __init__(self) -> None:
        super().__init__()
        self.open: dict[str, Plain] = {}
        self.left: dict[str, int] = {}
        self.earned = 0
        self.number = 0
        self.now = HOUR.close_ts

    @initialize(cash=st.sampled_from([0, usdt(50), usdt(1_000_000)]))
    def begin(self, cash: int) -> None:
        self.start = cash
        self.ledger = Ledger.of(cash, "USDT")

    def _held(self, key: str) -> int:
        return self.left.get(key, 0) + sum(each.base for each in self.open.values() if each.key == key)

    @rule(key=st.sampled_from(MARKETS), signal=st.sampled_from(["momentum", "grid"]))
    def open_trade(self, key: str, signal: str) -> None:
        self.number += 1
        trade = plan(key, signal, id=f"trade-{self.number}")
        self.open[trade.id] = Plain(key, trade.kind, self._held(key))
        self.ledger = self.ledger.opened(trade)

    @rule(
        data=st.data(),
        side=st.sampled_from(OrderSide),
        price=PRICES,
        seen=PRICES,
        size=st.integers(1, 50_000),
    )
    def execute(self, data: st.DataObject, side: OrderSide, price: int, seen: int, size: int) -> None:
        if not self.open:
            return
        name = data.draw(st.sampled_from(sorted(self.open)))
        trade, terms = self.open[name], terms_of(self.open[name].key)
        self.now += data.draw(st.sampled_from([0, 60]))
        rate = data.draw(st.sampled_from([-1, 0, 10]))
        order = data.draw(st.sampled_from([*sorted(trade.orders), f"o{self.number}-{len(trade.fills)}"]))
        cash = terms.cash_of(side, price, size)
        one = fill(side, price, size, seen=seen, fee=cash * rate // 10_000, maker=rate < 10, ts=self.now)
        asked = request(side, price, size, order, trade.key)
        has_coin = side is BUY or size <= trade.base
        has_cash = (
            self.start + self.earned + sum(t.cash for t in self.open.values()) >= side.sign * cash + one.fee
        )
        if not (has_coin and has_cash):
            before = self.ledger
            with pytest.raises(DataInvalid, match="cash" if has_coin else "base"):
                self.ledger.applied(name, asked, one, terms)
            assert self.ledger == before
            return
        self.ledger = self.ledger.applied(name, asked, one, terms)
        trade.fills.append((side, one))
        trade.orders.add(order)

    @rule(data=st.data(), sell_all=st.booleans(), price=PRICES)
    def close_trade(self, data: st.DataObject, sell_all: bool, price: int) -> None:
        if not self.open:
            return
        name = data.draw(st.sampled_from(sorted(self.open)))
        trade, terms = self.open[name], terms_of(self.open[name].key)
        if sell_all and trade.base:
            one = fill(SELL, price, trade.base, ts=self.now)
            asked = request(SELL, price, trade.base, "last", trade.key)
            self.ledger = self.ledger.applied(name, asked, one, terms)
            trade.fills.append((SELL, one))
            trade.orders.add("last")
        del self.open[name]
        self.earned += trade.cash
        if trade.base:
            self.left[trade.key] = self.left.get(trade.key, 0) + trade.base
        cycles = 3 if trade.kind is TriggerKind.GRID else None
        self.ledger, record = self.ledger.closed(name, Reason.STOP, self.now, usdt(1), cycles)
        self._check(record, trade)
        assert TradeRecord.of_line(record.as_line(), "log") == record

    def _check(self, record: TradeRecord, trade: Plain) -> None:
        assert record.net == trade.cash == record.edge - record.slippage - record.fees
        told = [Decimal(getattr(record.cents, name)) for name in ("edge", "slippage", "fees", "net")]
        assert told[0] - told[1] - told[2] == told[3]
        assert Decimal(record.net_exact) * CASH_SCALE == record.net
        assert record.fees == sum(each.fee for _, each in trade.fills)
        assert record.slippage == sum(s.sign * (each.cash - each.seen_cash) for s, each in trade.fills)
        bought, sold = (_amount(trade.fills, side) for side in (BUY, SELL))
        assert (Decimal(record.bought), Decimal(record.sold)) == (bought, sold)
        assert Decimal(record.base_before) * TERMS.base_scale == trade.before
        assert Decimal(record.base_after) * TERMS.base_scale == self._held(trade.key)
        if trade.kind is TriggerKind.SWING:
            assert {line.client_id for line in record.orders} == trade.orders
            assert sum(line.fills for line in record.orders) == len(trade.fills)
            assert sum(Decimal(line.filled) for line in record.orders) == bought + sold

    @invariant()
    def the_books_are_what_the_fills_say(self) -> None:
        if not hasattr(self, "ledger"):
            return
        self.ledger = LEDGER_FORM.of_record(
            json.loads(json.dumps(LEDGER_FORM.as_record(self.ledger))), "state"
        )
        cash = self.start + self.earned + sum(each.cash for each in self.open.values())
        held = {key: base for key in MARKETS if (base := self._held(key))}
        assert self.ledger.cash == cash >= 0
        assert self.ledger.holdings() == held
        assert [position.plan.id for position in self.ledger.positions] == list(self.open)
        assert all(self.ledger.base_of(name) == each.base for name, each in self.open.items())
        balances = {key.partition("-")[0]: Balance(base) for key, base in held.items()}
        terms = {key: terms_of(key) for key in MARKETS}
        assert reconcile(self.ledger, {**balances, "USDT": Balance(cash)}, terms) == ()
        assert len(reconcile(self.ledger, {**balances, "USDT": Balance(cash + 1)}, terms)) == 1


def _amount(fills: Sequence[tuple[OrderSide, OrderFill]], of: OrderSide) -> Decimal:
    return Decimal(sum(each.size for side, each in fills if side is of)) / TERMS.base_scale


TestBooks = Books.TestCase
