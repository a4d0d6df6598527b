"""The desk in hours that are told to it: grids that end, hours without minutes, a silent exchange."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

import pytest

from exchanges.simulated.faults import Fault, SeededFaults
from market.errors import DataInvalid
from market.hours import Hour
from market.snapshot import MarketSummary
from tests.decisions import builders
from tests.decisions.builders import HOUR, KEY
from tests.trading.calm import CalmDesk, Told, hour_of, policy
from tests.trading.desks import CASH
from tests.trading.test_desk import finer
from tests.trading.views import in_regime
from trading.desk import Desk
from trading.desk_state import DeskState
from trading.grids import DeskGrids
from trading.ledger import LeftOver
from trading.reasons import Reason
from trading.universe import UniverseConfig
from trading.values import MarketView, Trigger, TriggerKind

FAR = {"close": 2150.0, "prices": (2150.0,)}
GONE = {"missing": 60, "bar": False}


@dataclass(frozen=True)
class Once:
    """A signal that asks for a swing in one hour, with a stop 10 % below and a target 10 % above."""

    at: Hour = HOUR
    name: str = "momentum"

    def scan(self, view: MarketView) -> tuple[Trigger, ...]:
        price = int(view.window.bars[next(iter(view.window.bars))].close[-1])
        if view.hour != self.at:
            return ()
        return (
            Trigger(
                self.name, view.key, view.hour, TriggerKind.SWING, 1.0, 1.0, "told to", price,
                stop=price * 9 // 10, target=price * 11 // 10, max_hold_h=100,
            ),
        )  # fmt: skip


def swinging(**others) -> CalmDesk:
    return CalmDesk({"signals": (Once(),)}, engine=Told(in_regime("TREND_UP")), **others)


async def test_an_advised_grid_is_run_ended_as_advised_and_told_to_have_been():
    """Set up at one close, stopped at another: its trade says why, its grid rests, the market cools down."""
    there = CalmDesk()
    await there.hours({}, {})
    running = there.desk.state.grids[KEY].running()
    assert running is not None and running.parameters.levels == len(there.desk.state.plans.popitem()[1].sizes)
    report = await there.hours({"close": 2150.0, "prices": (2000.0, 2150.0)})
    (trade,) = there.trades
    assert trade.exit_reason is Reason.GRID_EXIT and trade.cycles == 0 and trade.net > 0
    assert "STOP_GRID" in report.markets[KEY].advice and not report.open_trades
    (grid,) = there.desk.state.grids[KEY].states
    assert (grid.running, grid.stop_reason, grid.stopped_at) == (False, "grid_exit", HOUR.plus(2).closes_at)
    assert there.desk.state.pacing.rest_of(KEY).won and not await there.exchange.open_orders()
    assert there.desk.state.ledger.cash == CASH + trade.net
    report = await there.hours({})
    assert not report.triggers and "NO_SETUP" in report.markets[KEY].advice


async def test_a_grid_with_coin_is_sold_in_the_minutes_after_its_stop():
    """The sale goes out at the close and meets the next hour; until then the trade is open."""
    there = CalmDesk()
    await there.hours({}, {})
    report = await there.hours({"close": 1890.0, "prices": (2000.0, 1890.0)})
    assert len(report.open_trades) == 1 and not there.trades
    report = await there.hours({"close": 1890.0, "prices": (1890.0,)})
    (trade,) = there.trades
    assert trade.exit_reason is Reason.GRID_EXIT and trade.net < 0 and not report.open_trades


async def test_a_grid_whose_coin_could_not_be_bought_was_no_trade():
    """The price ran away: no line in the trade log, no cooldown, but the grid is known to have stopped."""
    there = CalmDesk()
    await there.hours({}, {"close": 2030.0, "prices": (2030.0,)})
    assert not there.trades and not there.desk.state.plans
    (grid,) = there.desk.state.grids[KEY].states
    assert (grid.running, grid.stop_reason) == (False, "slippage_too_high")
    assert there.desk.state.pacing.rest_of(KEY) is None and len(there.desk.state.pacing.begun) == 1
    assert there.desk.nav == CASH


async def test_an_hour_without_minutes_fills_nothing_and_begins_nothing():
    """The last price stays that of before; orders rest through it and go on afterwards."""
    there = CalmDesk()
    await there.hours({}, {})
    price, orders = there.desk.state.prices[KEY], await there.exchange.open_orders()
    report = await there.hours(GONE)
    assert there.desk.state.prices[KEY] == price and not report.orders
    assert await there.exchange.open_orders() == orders
    fresh = CalmDesk()
    report = await fresh.hours(GONE)
    assert not report.triggers and not fresh.desk.state.prices and report.account.nav == CASH


async def test_coin_whose_price_nobody_ever_knew_counts_nothing():
    """An account is never worth more than what is known."""
    there = CalmDesk()
    await there.hours({}, {})
    state = there.desk.state
    assert state.ledger.holdings()[KEY] > 0
    there.desk._prices.clear()
    assert there.desk.nav == state.ledger.cash
    assert there.desk._account().exposure[KEY] > 0  # the grid's budget is its own all the same


async def test_an_exchange_that_never_answers_stops_new_trades_and_is_named():
    """No price is told, so nothing is in the universe; the breaker counts every failed call."""
    there = CalmDesk(faults=SeededFaults(1, {Fault.OUTAGE: 1.0}))
    report = await there.hours({})
    assert report.markets[KEY].refusal.reason is Reason.SPREAD_UNKNOWN and report.placed == 0
    report = await there.hours({}, {})
    assert [word.partition(":")[0] for word in report.stopped_by] == [Reason.EXCHANGE_ERRORS]
    assert report.account.nav == CASH and not report.open_trades


async def test_a_swing_is_left_when_its_regime_turns_to_cash():
    """The report says why at the close, and the trade ends in the next hour's first minutes."""
    there = swinging()
    await there.hours({}, {"prices": (2000.0, 1998.0, 2000.0)})
    assert there.desk.state.ledger.holdings()[KEY] > 0
    there.engine.found = in_regime("TREND_DOWN")
    report = await there.hours({})
    (left,) = (note for note in report.orders if note.what == "leaves")
    assert left.text.startswith("regime_exit: a momentum trade in TREND_DOWN")
    await there.hours({})
    (trade,) = there.trades
    assert trade.exit_reason is Reason.REGIME_EXIT


async def test_an_entry_rests_at_the_bid_that_was_recorded_at_the_close():
    """Where the hour's record holds a bid and an ask, no spread model is asked."""
    there = swinging()
    told = MarketSummary(200_000, 200_000, 200_000, 200_000, 1000, None, best_bid=199_900, best_ask=200_100)
    await there.hours({"summary": told})
    (order,) = await there.exchange.open_orders()
    assert order.request.price == 199_900 and order.request.post_only


async def finer_hour(there: CalmDesk, **told) -> None:
    """Let an hour happen whose prices have a digit more than those of open orders."""
    market = finer(hour_of(builders.inputs(there.hour, **told)))
    there.reports.append(await there.desk.run_hour(there.hour, {KEY: market}))
    there.hour = there.hour.plus(1)


async def test_a_swing_under_coarse_prices_goes_on_unseen_and_its_stop_holds():
    """Prices finer than its orders' give no view, so no regime ends it; its stop stays with the exchange."""
    there = swinging()
    await there.hours({}, {"prices": (2000.0, 1998.0, 2000.0)})
    there.engine.found = in_regime("TREND_DOWN")
    await finer_hour(there)
    assert there.reports[-1].markets[KEY].tier is None and len(there.reports[-1].open_trades) == 1
    await finer_hour(there, close=1790.0, prices=(2000.0, 1790.0))
    (trade,) = there.trades
    assert trade.exit_reason is Reason.STOP


async def test_a_grid_under_coarse_prices_is_stopped_as_advised_all_the_same():
    """The decision code needs no view: what it says of the running grid is done."""
    there = CalmDesk()
    await there.hours({}, {})
    await finer_hour(there, close=2150.0, prices=(2000.0, 2150.0))
    assert there.reports[-1].markets[KEY].refusal.reason is Reason.NOT_TRADING
    assert [trade.exit_reason for trade in there.trades] == [Reason.GRID_EXIT]


async def test_an_open_trade_of_a_market_without_news_is_left_alone():
    """Nobody judged it, so nobody ends it."""
    there = CalmDesk()
    await there.hours({}, {})
    report = await there.desk.run_hour(there.hour, {})
    assert len(report.open_trades) == 1 and not report.markets and not report.orders


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda value: {**value, "more": 1}, "state"),
        (lambda value: {name: each for name, each in value.items() if name != "pacing"}, "state"),
        (lambda value: {**value, "grids": {KEY: {"states": []}}}, "grids"),
        (lambda value: {**value, "grids": {KEY: {"states": [], "before": {"hour": 5}}}}, "grids"),
        (lambda value: {**value, "grids": {KEY: None}}, "grids"),
    ],
)
async def test_a_damaged_state_is_refused_by_the_name_of_its_part(spoil, words):
    """Never begun anew in silence: the field is named."""
    there = CalmDesk()
    await there.hours({}, {})
    value = there.desk.state.as_value()
    assert DeskState.of_value(value, "here").as_value() == value
    with pytest.raises(DataInvalid) as refused:
        DeskState.of_value(spoil(value), "here")
    assert refused.value.field == words and "here" in str(refused.value)


async def test_units_that_left_over_coin_is_no_whole_number_of_are_not_taken():
    """The exchange changed its increments: three ten-thousandths are no thousandths, so the old ones stay."""
    there = CalmDesk()
    await there.hours(GONE)
    before = there.desk.state
    kept = replace(before.ledger, left_over=(LeftOver(KEY, 3, before.terms[KEY].base_scale),))
    there.desk = Desk(there.desk.policy, there.exchange, replace(before, ledger=kept))
    coarser = replace(builders.RULES, base_increment=Decimal("0.001"), base_min_size=Decimal("0.001"))
    await there.hours({"rules": coarser})
    assert there.desk.state.terms == before.terms
    there.desk = Desk(there.desk.policy, there.exchange, replace(there.desk.state, ledger=before.ledger))
    await there.hours({**GONE, "rules": coarser})
    assert there.desk.state.terms[KEY].base_scale == 1000


def test_the_account_is_kept_in_the_coin_of_the_universe():
    """One setting says it for both."""
    assert policy(Told(), universe=UniverseConfig(quote="EUR")).quote == "EUR"


async def test_grids_of_a_market_that_was_never_judged_are_none():
    """No running grid, and what is recorded of nothing is read back as nothing."""
    nothing = DeskGrids()
    assert nothing.running() is None and DeskGrids.of_value(nothing.as_value(), "here") == nothing


async def test_a_market_that_trades_too_little_is_seen_and_left_alone():
    """The hour's record says what was found of it and why it is not traded."""
    there = CalmDesk({"universe": UniverseConfig()})
    value = (await there.hours({})).as_value()
    seen = value["markets"][KEY]
    assert (seen["regime"], seen["tier"]) == ("RANGE", None)
    assert seen["refusal"]["reason"] == "turnover_too_low" and value["triggers"] == value["orders"] == []
