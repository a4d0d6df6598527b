"""The desk whole: recorded markets in; triggers, sizes, refusals and orders out; the same whoever feeds."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from dataclasses import replace
from decimal import Decimal

import orjson
import pytest

from exchanges.simulated.faults import Fault, FaultyExchange, SeededFaults
from exchanges.simulated.fills import EXPECTED
from exchanges.simulated.state import VENUE_FORM
from exchanges.simulated.venue import SimulatedExchange
from market.errors import DataInvalid
from market.hours import Hour, Timeframe
from market.orders import CASH_SCALE
from market.units import from_scaled
from tests.trading.desks import CASH, RecordedDays, exchange_at, new_desk, policy_of, run
from trading.desk import Desk
from trading.desk_state import DeskState
from trading.ledger import reconcile
from trading.pacing import PacingConfig
from trading.reasons import Reason
from trading.report import DeskReport
from trading.risk import RiskConfig
from trading.universe import UniverseConfig

KEYS = ["BTC-USDT", "ETH-USDT"]
START = Hour.parse("2025-06-09T12")
WEEK = START.plus(168)


@pytest.fixture(scope="module")
def days(recorded_data) -> RecordedDays:
    return RecordedDays.of(recorded_data, KEYS)


def as_bytes(reports: list[DeskReport]) -> bytes:
    lines = [orjson.dumps(report.as_value(), option=orjson.OPT_SORT_KEYS) for report in reports]
    return b"\n".join([*lines, *(trade.as_line() for report in reports for trade in report.trades)])


async def test_a_week_of_a_real_market_ends_in_trades_that_add_up(days):
    """From candles to closed trades: swings and a grid, and the account is what the trades say."""
    desk = new_desk(policy_of(KEYS), START)
    reports = await run(desk, days, START, WEEK)
    trades = [trade for report in reports for trade in report.trades]
    kinds = Counter(trade.kind.value for trade in trades) + Counter(
        desk.state.ledger.position(trade_id).plan.kind.value for trade_id in reports[-1].open_trades
    )
    assert kinds["swing"] >= 3 and kinds["grid"] >= 1
    for trade in trades:
        assert trade.edge - trade.slippage - trade.fees == trade.net
        cents = trade.cents
        assert Decimal(cents.edge) - Decimal(cents.slippage) - Decimal(cents.fees) == Decimal(cents.net)
    open_flows = sum(
        desk.state.ledger.position(trade_id).flows.net_cash for trade_id in reports[-1].open_trades
    )
    assert desk.state.ledger.cash == CASH + sum(trade.net for trade in trades) + open_flows


async def test_one_cycle_from_market_to_order_and_nothing_where_it_is_refused(days):
    """One decision read line by line: what fired, who refused it and why, what was sized, what was sent."""
    desk = new_desk(policy_of(KEYS), START)
    reports = await run(desk, days, START, WEEK)
    accepted = [note for report in reports for note in report.triggers if note.refusal is None]
    refused = [note for report in reports for note in report.triggers if note.refusal is not None]
    assert accepted and refused
    placed = {note.trade_id for report in reports for note in report.orders if note.what == "placed"}
    assert {note.trade_id for note in accepted} == placed
    for note in accepted:
        assert note.sized is not None and note.sized.budget > 0 and note.sized.why_this_size
        assert note.trade_id.endswith(note.trigger.signal) and note.proposal.multiplier > 0
    for note in refused:
        assert note.trade_id is None and note.refusal.found and note.refusal.limit
    reasons = {note.refusal.reason for note in refused}
    assert Reason.ALREADY_IN_POSITION in reasons and Reason.REGIME_CASH_ONLY in reasons


async def test_a_market_that_is_not_in_the_universe_is_never_traded(days):
    """Out of the universe: told why, not scanned, and no order is sent there."""
    policy = policy_of(KEYS, universe=UniverseConfig(exclusions=("ETH",)))
    reports = await run(new_desk(policy, START), days, START, START.plus(100))
    assert all(report.markets["ETH-USDT"].refusal.reason is Reason.EXCLUDED_BY_POLICY for report in reports)
    assert all(note.trigger.key == "BTC-USDT" for report in reports for note in report.triggers)


async def test_pacing_and_caps_hold_in_the_whole_pipeline(days):
    """Three trades a day at most, and nothing beyond the exposure cap, whatever the signals ask for."""
    policy = policy_of(
        KEYS,
        pacing=PacingConfig(max_trades_per_day=1, max_trades_per_hour=1),
        risk=RiskConfig(total_exposure_cap_pct=5, symbol_cap_pct=5),
    )
    reports = await run(new_desk(policy, START), days, START, WEEK)
    refused = {note.refusal.reason for report in reports for note in report.triggers if note.refusal}
    assert Reason.MAX_TRADES_PER_DAY in refused
    for report in reports:
        assert report.account.total_exposure <= report.account.nav * 0.051
    begun = [report.hour.index for report in reports for note in report.triggers if note.trade_id]
    assert all(later - earlier >= 24 for earlier, later in itertools.pairwise(begun))


class EveryMinute(SimulatedExchange):
    """Skips nothing: the desk looks at every minute."""

    def next_change(self, until_ts: int) -> int | None:
        return min(self.now_ts + 60, until_ts)


async def test_skipping_quiet_minutes_changes_nothing(days):
    """The desk looks only where something can happen, and does what it would do looking every minute."""
    fast = as_bytes(await run(new_desk(policy_of(KEYS), START), days, START, START.plus(72)))
    slow_exchange = EveryMinute({}, {}, {}, EXPECTED, "USDT", CASH, START.open_ts)
    slow = Desk(policy_of(KEYS), slow_exchange, DeskState.first(CASH, "USDT"))
    assert as_bytes(await run(slow, days, START, START.plus(72))) == fast


async def test_mock_and_paper_trade_the_same(days):
    """A backtest loads everything beforehand; paper is fed by the hour and dies after each. Same trades."""
    paper_policy, reports = policy_of(KEYS), []
    record: tuple[bytes, bytes] | None = None
    for hour, markets in days.hours(START, WEEK):
        desk = new_desk(paper_policy, START) if record is None else reopened(paper_policy, record)
        reports.append(await desk.run_hour(hour, markets))
        record = recorded(desk)
    mock = exchange_at(START.open_ts)
    backtest = Desk(policy_of(KEYS), AllAtOnce(mock, days), DeskState.first(CASH, "USDT"))
    assert as_bytes(await run(backtest, days, START, WEEK)) == as_bytes(reports)


class AllAtOnce:
    """A mock that was given every minute of the test before the first hour."""

    def __init__(self, inner: SimulatedExchange, days: RecordedDays) -> None:
        self._inner, self._days = inner, days

    def add_market(self, terms, fees, liquidity) -> None:
        self._inner.add_market(terms, fees, liquidity)
        windows = self._days.windows[terms.key]
        bars = windows.bars(Timeframe.M1).between(START.open_ts, WEEK.open_ts)
        bars = bars.rescaled(terms.price_scale // windows.price_scale, 1)
        self._inner.load(terms.key, bars, windows.volume_scale)

    def load(self, key, bars, volume_scale) -> None:
        """Everything is there already."""

    def __getattr__(self, name: str):
        return getattr(self._inner, name)


def recorded(desk: Desk) -> tuple[bytes, bytes]:
    """Return state and exchange as an hour's record holds them."""
    venue = VENUE_FORM.as_record(desk._exchange.state())
    return json.dumps(desk.state.as_value()).encode(), json.dumps(venue).encode()


def reopened(policy, record: tuple[bytes, bytes], orders=None) -> Desk:
    state = DeskState.of_value(json.loads(record[0]), "tests")
    venue = VENUE_FORM.of_record(json.loads(record[1]), "tests")
    exchange = SimulatedExchange.of(
        venue,
        state.terms,
        {key: policy.judging.costs_of(key).fees for key in state.terms},
        {key: policy.judging.costs_of(key).liquidity for key in state.terms},
        EXPECTED,
        "USDT",
    )
    return Desk(policy, exchange, state, orders and orders(exchange))


async def test_what_is_recorded_is_read_back_to_the_byte(days):
    """State goes through its record and comes out the same, open orders and grids included."""
    desk = new_desk(policy_of(KEYS), START)
    seen = False
    for hour, markets in days.hours(START, START.plus(90)):
        report = await desk.run_hour(hour, markets)
        seen |= bool(report.open_trades)
        record = recorded(desk)
        assert recorded(reopened(policy_of(KEYS), record)) == record
    assert seen


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_a_bad_line_to_the_exchange_loses_nothing(days, seed: int):
    """Lost answers, outages and limits for a week: the books equal the exchange once it answers again."""
    shares = {Fault.OUTAGE: 0.1, Fault.RATE_LIMIT: 0.05, Fault.ANSWER_LOST: 0.15, Fault.STALE: 0.05}
    exchange = exchange_at(START.open_ts)
    faulty = FaultyExchange(exchange, SeededFaults(seed, shares))
    desk = Desk(policy_of(KEYS), exchange, DeskState.first(CASH, "USDT"), faulty)
    reports = await run(desk, days, START, WEEK)
    assert any(note.what == "no answer" for report in reports for note in report.orders)
    desk = reopened(policy_of(KEYS), recorded(desk))
    (report,) = await run(desk, days, WEEK, WEEK.plus(1))
    balances = await desk._exchange.balances()
    assert not reconcile(desk.state.ledger, balances, desk.state.terms)
    assert all(Reason.BOOKS_DIFFER.value not in word for word in report.stopped_by)


async def test_an_hour_comes_once_and_in_order(days):
    """An hour again, or an earlier one, is refused by name."""
    desk = new_desk(policy_of(KEYS), START)
    await run(desk, days, START, START.plus(2))
    with pytest.raises(DataInvalid, match="began before"):
        await run(desk, days, START, START.plus(1))


async def test_a_market_without_news_rests_and_the_others_trade(days):
    """A market whose hour is not there is left out; its orders wait, and time goes on for all."""
    desk = new_desk(policy_of(KEYS), START)
    for hour, markets in days.hours(START, START.plus(60)):
        there = {key: market for key, market in markets.items() if key == "ETH-USDT" or hour.index % 3}
        report = await desk.run_hour(hour, there)
        assert set(report.markets) <= set(there)
    assert desk.state.prices["BTC-USDT"].ts <= START.plus(60).open_ts


async def test_a_market_whose_rules_nobody_knows_is_not_traded(days):
    """Without increments no order can be right."""
    desk = new_desk(policy_of(KEYS), START)
    for hour, markets in days.hours(START, START.plus(2)):
        blind = {key: replace(each, inputs=replace(each.inputs, rules=None)) for key, each in markets.items()}
        report = await desk.run_hour(hour, blind)
        assert {note.refusal.reason for note in report.markets.values()} == {Reason.NOT_TRADING}
        assert not report.triggers and all(note.tier is None for note in report.markets.values())


async def test_finer_prices_wait_until_nothing_is_open_under_the_coarse_ones(days):
    """An exchange that changes its increments in the middle of a trade: the trade ends under its own."""
    desk = new_desk(policy_of(KEYS), START)
    held_at = None
    for hour, markets in days.hours(START, WEEK):
        before = desk.state.terms.get("BTC-USDT")
        open_before = any(plan.key == "BTC-USDT" for plan in desk.state.plans.values())
        fine = {key: finer(each) if hour.index % 2 else each for key, each in markets.items()}
        await desk.run_hour(hour, fine)
        after = desk.state.terms["BTC-USDT"]
        if open_before and before is not None:
            held_at = hour
            assert after == before
    assert held_at is not None
    price = desk.state.prices["BTC-USDT"].price
    assert 50_000 < from_scaled(price, desk.state.terms["BTC-USDT"].price_scale) < 150_000


def finer(market):
    """Return a market's hour whose prices have another digit."""
    inputs = market.inputs
    window = inputs.window
    bars = {timeframe: each.rescaled(10, 1) for timeframe, each in window.bars.items()}
    window = replace(window, price_scale=window.price_scale * 10, bars=bars)
    return replace(market, inputs=replace(inputs, window=window, minutes=inputs.minutes.rescaled(10, 1)))


async def test_the_drawdown_breaker_stops_new_trades_and_only_those(days):
    """Once the account fell too far nothing begins; what is open goes on to its end."""
    policy = policy_of(KEYS, risk=RiskConfig(max_drawdown_pct=0.05, rearm_drawdown_pct=0.01))
    reports = await run(new_desk(policy, START), days, START, WEEK)
    stopped = [report for report in reports if report.stopped_by]
    assert stopped and stopped[0].stopped_by[0].startswith(Reason.DRAWDOWN_BREAKER.value)
    refused = {note.refusal.reason for report in stopped for note in report.triggers if note.refusal}
    assert refused <= {
        Reason.DRAWDOWN_BREAKER, Reason.REGIME_CASH_ONLY, Reason.SIGNAL_NOT_ALLOWED, Reason.REGIME_UNKNOWN
    }  # fmt: skip
    assert not any(note.trade_id for report in stopped for note in report.triggers)
    assert CASH_SCALE * 9_900 < reports[-1].account.nav < CASH


class Deaf(FaultyExchange):
    """Loses a share of the answers to one kind of call."""

    kind = "order"

    def _before(self, call: str) -> Fault | None:
        return super()._before(call) if call == self.kind else None


async def test_a_lost_answer_leaves_coin_unprotected_for_minutes_not_for_an_hour(days):
    """What nobody answered is asked again a minute later, whatever the exchange thinks will change."""
    exchange = exchange_at(START.open_ts)
    deaf = Deaf(exchange, SeededFaults(7, {Fault.ANSWER_LOST: 0.5}))
    desk = Desk(policy_of(KEYS), exchange, DeskState.first(CASH, "USDT"), deaf)
    reports = await run(desk, days, START, WEEK)
    filled: dict[str, int] = {}
    waits = []
    for note in (note for report in reports for note in report.orders):
        if note.what == "filled" and "sell" not in note.text:
            filled.setdefault(note.trade_id, note.at_ts)
        if note.what == "placed" and " oco " in note.text:
            waits.append(note.at_ts - filled[note.trade_id])
    assert any(note.what == "no answer" for report in reports for note in report.orders)
    assert len(waits) >= 3 and max(waits) <= 15 * 60


class Mute(Deaf):
    kind = "place"


async def test_an_exchange_that_takes_no_orders_stops_new_trades_though_it_still_tells_prices(days):
    """Reading well is no sign that orders arrive; the breaker counts them apart and lets go when one does."""
    exchange = exchange_at(START.open_ts)
    mute = Mute(exchange, SeededFaults(1, {Fault.OUTAGE: 1.0}))
    desk = Desk(policy_of(KEYS), exchange, DeskState.first(CASH, "USDT"), mute)
    reports = await run(desk, days, START, WEEK)
    stopped = [report for report in reports if report.stopped_by]
    assert stopped and stopped[-1].stopped_by[0].startswith(Reason.EXCHANGE_ERRORS.value)
    assert reports[-1].account.nav == CASH and not any(report.trades for report in reports)


async def test_what_trades_in_an_hour_is_not_known_in_that_hour(days):
    """The minutes' volume after an instant changes no decision before it; only whole hours are news."""
    policy = policy_of(KEYS)

    async def notes_of(change) -> list[tuple[int, str, str]]:
        desk = new_desk(policy, START)
        found = []
        for hour, markets in days.hours(START, START.plus(48)):
            told = {key: change(hour, market) for key, market in markets.items()}
            report = await desk.run_hour(hour, told)
            found += [(note.at_ts, note.what, note.text) for note in report.orders]
        return found

    def busier(hour: Hour, market):
        """Return the hour with a hundred times the volume in the window's last bar, not in its minutes."""
        if hour != START.plus(47):
            return market
        window = market.inputs.window
        hours = window.bars[Timeframe.H1]
        volume = hours.volume.copy()
        volume[-1] *= 100
        bars = {**window.bars, Timeframe.H1: replace(hours, volume=volume)}
        return replace(market, inputs=replace(market.inputs, window=replace(window, bars=bars)))

    def before_close(notes):
        return [note for note in notes if note[0] < START.plus(47).close_ts]

    assert before_close(await notes_of(busier)) == before_close(await notes_of(lambda _, market: market))


async def test_a_market_in_another_coin_or_unit_is_left_out_and_the_others_trade(days):
    """One market that the account cannot count stops nobody; the report says which and why."""
    desk = new_desk(policy_of(KEYS), START)
    for hour, markets in days.hours(START, START.plus(3)):
        inputs = replace(markets["ETH-USDT"].inputs, key="ETH-EUR")
        foreign = replace(markets["ETH-USDT"], inputs=inputs, symbol="ETH-EUR")
        rules = replace(
            markets["BTC-USDT"].inputs.rules, base_increment=Decimal("0.001"), base_min_size=Decimal("0.001")
        )
        inputs = replace(markets["BTC-USDT"].inputs, key="ZBTC", rules=rules)
        other = replace(markets["BTC-USDT"], inputs=inputs)
        report = await desk.run_hour(hour, {**markets, "ETH-EUR": foreign, "ZBTC": other})
        assert report.markets["ETH-EUR"].refusal.reason is Reason.QUOTE_CURRENCY
        assert report.markets["ZBTC"].refusal.reason is Reason.NOT_TRADING
        assert report.markets["BTC-USDT"].tier is not None


async def test_a_market_in_which_nothing_trades_is_not_traded(days):
    """An hour without one trade is a halt, or as good as one."""
    desk = new_desk(policy_of(KEYS), START)
    for hour, markets in days.hours(START, START.plus(1)):
        halted = markets["ETH-USDT"]
        minutes = replace(halted.inputs.minutes, volume=halted.inputs.minutes.volume * 0)
        halted = replace(halted, inputs=replace(halted.inputs, minutes=minutes))
        report = await desk.run_hour(hour, {**markets, "ETH-USDT": halted})
        assert report.markets["ETH-USDT"].refusal.reason is Reason.NOT_TRADING
