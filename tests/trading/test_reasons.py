"""Every reason code comes out of the pipeline: one small scenario for each, and none is left over."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from typing import Any

import pytest

from exchanges.simulated.faults import Fault, FaultyExchange, ScriptedFaults
from market.orders import CASH_SCALE, BestPrices
from tests.trading import accounts, calm, views
from tests.trading.accounts import USUAL, account, swing, view
from tests.trading.working import NAME, PRICE, Working
from trading.breakers import RiskState, after_hour
from trading.execution_config import ExecutionConfig
from trading.ledger import Difference
from trading.pacing import Pacing, PacingConfig, began, ended, refusal
from trading.reasons import MEANINGS, Reason
from trading.risk import RiskConfig, size
from trading.rules import RulesEngine
from trading.sections import read_section
from trading.sending import OrderNote
from trading.swing import SwingPlan, asked_to_leave
from trading.universe import UniverseConfig, select
from trading.values import AccountView, MarketView, Proposal, Refusal

Scenario = Callable[[], Awaitable[Reason]]
SCENARIOS: dict[Reason, Scenario] = {}
STOP, TARGET = 196_000, 208_000
NOW = views.HOUR.close_ts
CALM_MARKET = views.view_of(views.hours_of(views.noise(5)))
ONE_TRY = ExecutionConfig(maker_ttl_s=60, maker_tries=1, take_after_maker=False)


def gives(reason: Reason) -> Callable[[Scenario], Scenario]:
    def noted(scenario: Scenario) -> Scenario:
        assert reason not in SCENARIOS
        SCENARIOS[reason] = scenario
        return scenario

    return noted


def universe(reason: Reason, market: MarketView = CALM_MARKET, **told: Any) -> None:
    """Note a scenario in which the universe leaves a market out."""

    @gives(reason)
    async def scenario() -> Reason:
        config = read_section(UniverseConfig, told, "trading.universe")
        return select({market.key: market}, config).refused[market.key].reason


universe(Reason.EXCLUDED_BY_POLICY, exclusions=["ETH"])
universe(Reason.QUOTE_CURRENCY, replace(CALM_MARKET, terms=views.terms_of("ETH-BTC")))
universe(Reason.NOT_TRADING, replace(CALM_MARKET, tradable=False))
universe(Reason.TURNOVER_UNKNOWN, replace(CALM_MARKET, turnover_24h=None))
universe(Reason.TURNOVER_TOO_LOW, replace(CALM_MARKET, turnover_24h=1000.0))
universe(Reason.SPREAD_UNKNOWN, replace(CALM_MARKET, best=None))
universe(Reason.SPREAD_TOO_WIDE, replace(CALM_MARKET, best=BestPrices(199_000, 201_000, NOW, recorded=True)))
universe(Reason.DEPTH_UNKNOWN, min_depth=1000)
universe(Reason.DEPTH_TOO_LOW, replace(CALM_MARKET, depth=10.0), min_depth=1000)


def rules(reason: Reason, market: MarketView) -> None:
    """Note a scenario in which the policy refuses a momentum trigger."""

    @gives(reason)
    async def scenario() -> Reason:
        ((_, refused),) = RulesEngine().judge([swing().trigger], market, "major")[1]
        return refused.reason


rules(Reason.REGIME_UNKNOWN, replace(CALM_MARKET, analysis=None))
rules(Reason.REGIME_CASH_ONLY, replace(CALM_MARKET, analysis=views.in_regime("TREND_DOWN")))
rules(Reason.SIGNAL_NOT_ALLOWED, replace(CALM_MARKET, analysis=views.in_regime("RANGE")))


def risk(
    reason: Reason,
    *,
    proposal: Proposal | None = None,
    market: MarketView | None = None,
    holder: AccountView | None = None,
    state: RiskState | None = None,
    in_position: bool = False,
) -> None:
    """Note a scenario in which risk refuses a proposal."""

    @gives(reason)
    async def scenario() -> Reason:
        found = size(
            proposal or swing(),
            market or view(),
            holder or account(),
            state or RiskState.none(),
            RiskConfig(),
            in_position=in_position,
        )
        assert isinstance(found, Refusal)
        return found.reason


def after(nav: int, *, errors: int = 0, differences: Iterable[Difference] = ()) -> RiskState:
    """Return the breakers after an hour at 10,000 and one at `nav`."""
    state = RiskState.none()
    for each in (10_000, nav):
        state = after_hour(
            state, RiskConfig(), each, answered=not errors, errors=errors, differences=differences
        )
    return state


risk(Reason.STALE_DATA, market=view(stale_minutes=6))
risk(Reason.DRAWDOWN_BREAKER, state=after(8_000))
risk(Reason.EXCHANGE_ERRORS, state=after(10_000, errors=2))
risk(Reason.BOOKS_DIFFER, state=after(10_000, differences=[Difference("ETH", 1, 0)]))
risk(Reason.ALREADY_IN_POSITION, in_position=True)
risk(Reason.EDGE_BELOW_COSTS, proposal=swing(target=200_100), market=view(costs=USUAL))
risk(Reason.SYMBOL_CAP, holder=account(exposure={accounts.KEY: 3000}))
risk(Reason.TOTAL_EXPOSURE_CAP, holder=account(exposure={accounts.OTHER: 8000}))
risk(Reason.INSUFFICIENT_CASH, holder=account(available=0))
risk(Reason.MIN_SIZE, holder=account(nav="0.1"))
risk(Reason.MIN_NOTIONAL, holder=account(nav=20))


def pacing(reason: Reason, config: PacingConfig, past: Pacing, now: int = NOW) -> None:
    """Note a scenario in which it is too early for another trade."""

    @gives(reason)
    async def scenario() -> Reason:
        found = refusal(config, past, accounts.KEY, now)
        assert found is not None
        return found.reason


BUSY = PacingConfig(max_trades_per_hour=2, max_trades_per_day=2)
ONE = began(Pacing.none(), accounts.OTHER, NOW)
TWO = began(ONE, accounts.OTHER, NOW)
pacing(Reason.GLOBAL_TRADE_SPACING, PacingConfig(min_seconds_between_trades=60), ONE, NOW + 59)
pacing(Reason.SYMBOL_COOLDOWN_ACTIVE, PacingConfig(), ended(BUSY, ONE, accounts.KEY, NOW, won=False), NOW + 1)
pacing(Reason.MAX_TRADES_PER_HOUR, BUSY, TWO, NOW + 3599)
pacing(Reason.MAX_TRADES_PER_DAY, BUSY, TWO, NOW + 3600)


def plan(**facts: Any) -> SwingPlan:
    return replace(SwingPlan(NAME, accounts.KEY, 1000, PRICE, STOP, TARGET, leave_ts=10**6), **facts)


def reason_in(notes: Iterable[OrderNote], what: str) -> Reason:
    """Return the reason that the first note of a kind begins with."""
    text = next(note.text for note in notes if note.what == what)
    return Reason(text.partition(":")[0])


def exit_reason(at_work: Working[SwingPlan]) -> Reason:
    """Return why the trade ended, as its line of the trade log says."""
    assert at_work.is_done and at_work.plan.ended_by is not None
    ledger, now = at_work.books.ledger, at_work.exchange.now_ts
    return ledger.closed(NAME, at_work.plan.ended_by, now, ledger.cash)[1].exit_reason


class Crossing(FaultyExchange):
    """Tells prices behind the market, so that what looks like a bid would take."""

    async def best_prices(self, key: str) -> BestPrices | None:
        best = await self.inner.best_prices(key)
        assert best is not None
        return replace(best, bid=best.ask + 1, ask=best.ask + 2)


@gives(Reason.POST_ONLY_WOULD_TAKE)
async def a_bid_above_the_market() -> Reason:
    at_work = Working(plan(), ONE_TRY)
    at_work.orders = Crossing(at_work.exchange, ScriptedFaults({}))
    await at_work.react()
    return reason_in(at_work.notes, "refused")


@gives(Reason.TTL_EXPIRED)
async def nobody_sells_at_the_bid() -> Reason:
    at_work = Working(plan(), ONE_TRY)
    await at_work.react()
    await at_work.minute(PRICE)
    return next(
        Reason(note.text.partition(":")[0])
        for note in at_work.notes
        if note.what == "expired" and note.client_id == ""
    )


@gives(Reason.RETRIES_EXHAUSTED)
async def nobody_sells_at_the_bid_and_we_do_not_take() -> Reason:
    at_work = Working(plan(), ONE_TRY)
    await at_work.react()
    await at_work.minute(PRICE)
    return reason_in(at_work.notes, "gave up")


@gives(Reason.SLIPPAGE_TOO_HIGH)
async def the_price_ran_away() -> Reason:
    at_work = Working(plan(), ExecutionConfig(maker_ttl_s=60, maker_tries=1, max_slippage_bps=20))
    await at_work.react()
    await at_work.minute(PRICE, PRICE + 2000, PRICE, PRICE + 2000)
    return reason_in(at_work.notes, "not taken")


@gives(Reason.INSUFFICIENT_BALANCE)
async def an_account_that_cannot_pay() -> Reason:
    at_work = Working(plan(), ONE_TRY, cash=100 * CASH_SCALE)
    await at_work.react()
    return reason_in(at_work.notes, "refused")


@gives(Reason.ORDER_REFUSED)
async def a_size_off_the_increment() -> Reason:
    at_work = Working(plan(size=5), ONE_TRY)
    await at_work.react()
    return reason_in(at_work.notes, "refused")


@gives(Reason.ANSWER_LOST)
async def placed_and_never_heard_of() -> Reason:
    at_work = Working(plan())
    at_work.orders = FaultyExchange(at_work.exchange, ScriptedFaults({1: Fault.ANSWER_LOST}))
    await at_work.react()
    return reason_in(at_work.notes, "no answer")


async def entered(**facts: Any) -> Working[SwingPlan]:
    at_work = Working(plan(**facts))
    await at_work.react()
    await at_work.minute(PRICE, PRICE, PRICE - 100, PRICE)
    assert at_work.held == 1000
    return at_work


@gives(Reason.TARGET)
async def up_to_the_target() -> Reason:
    at_work = await entered()
    await at_work.minute(PRICE, TARGET + 100, PRICE, TARGET)
    return exit_reason(at_work)


@gives(Reason.STOP)
async def down_to_the_stop() -> Reason:
    at_work = await entered()
    await at_work.minute(PRICE, PRICE, STOP - 500, STOP)
    return exit_reason(at_work)


@gives(Reason.MAX_HOLD)
async def held_too_long() -> Reason:
    at_work = await entered(leave_ts=180)
    for _ in range(4):
        await at_work.minute(PRICE)
    return exit_reason(at_work)


@gives(Reason.REGIME_EXIT)
async def the_regime_turned_to_cash() -> Reason:
    at_work = await entered()
    market = replace(CALM_MARKET, analysis=views.in_regime("TREND_DOWN"))
    wanted = RulesEngine().exit_wanted(market, "momentum")
    assert wanted is not None
    at_work.plan = asked_to_leave(at_work.plan, wanted.reason)
    await at_work.react()
    await at_work.minute(PRICE)
    return exit_reason(at_work)


@gives(Reason.GRID_EXIT)
async def far_above_the_grid() -> Reason:
    there = calm.CalmDesk()
    await there.hours({}, {}, {"close": 2150.0, "prices": (2000.0, 2150.0)})
    (trade,) = there.trades
    return trade.exit_reason


@pytest.mark.parametrize("reason", Reason)
async def test_each_reason_comes_out_of_the_part_that_gives_it(reason: Reason):
    """A scenario of its own for each code, through the product's own functions."""
    assert await SCENARIOS[reason]() is reason


async def test_the_reasons_that_come_out_are_all_there_are():
    """No code that nothing produces, none without a meaning."""
    produced = {await scenario() for scenario in SCENARIOS.values()}
    assert produced == set(Reason) == set(MEANINGS)
