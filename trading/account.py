"""What the account is worth, what is invested where, and what is free; cash units throughout."""

from __future__ import annotations

from collections.abc import Mapping

from market.costs import fee_on, ppm
from market.orders import OrderSide, OrderTerms
from trading.desk_policy import DeskPolicy
from trading.desk_state import LastPrice, Plan
from trading.ladder import LadderPlan
from trading.ledger import Ledger
from trading.sending import Sent
from trading.swing_plan import Stage, SwingPlan
from trading.values import AccountView


def nav_of(ledger: Ledger, terms: Mapping[str, OrderTerms], prices: Mapping[str, LastPrice]) -> int:
    """Return cash and all coin at its last price; coin without a known price counts nothing."""
    coin = (
        terms[key].cash_received(prices[key].price, base)
        for key, base in ledger.holdings().items()
        if key in prices
    )
    return ledger.cash + sum(coin)


def account_view(
    ledger: Ledger,
    plans: Mapping[str, Plan],
    terms: Mapping[str, OrderTerms],
    prices: Mapping[str, LastPrice],
    policy: DeskPolicy,
    peak_nav: int,
) -> AccountView:
    """Return the account as risk sees it.

    A ladder's whole budget is its own, even what no order holds at the moment; an entry that was decided but
    not placed yet is counted as if it were.
    """
    exposure: dict[str, int] = {}
    promised = 0
    for key, base in ledger.holdings().items():
        if key in prices:
            exposure[key] = exposure.get(key, 0) + terms[key].cash_received(prices[key].price, base)
    for plan in plans.values():
        own = terms[plan.key]
        last = prices.get(plan.key)
        coin = 0 if last is None else own.cash_received(last.price, ledger.base_of(plan.trade_id))
        bound = _bound(plan, own, policy)
        if isinstance(plan, LadderPlan):
            bound = max(bound, plan.budget - coin)
        exposure[plan.key] = exposure.get(plan.key, 0) + bound
        promised += bound
    nav = nav_of(ledger, terms, prices)
    return AccountView(nav, max(peak_nav, nav), ledger.cash - promised, exposure)


def _bound(plan: Plan, terms: OrderTerms, policy: DeskPolicy) -> int:
    """Return the cash that the plan's open buys hold, or will hold once they are placed."""
    fees = policy.judging.costs_of(plan.key).fees
    rate = ppm(max(fees.maker_bps, fees.taker_bps))
    if isinstance(plan, SwingPlan):
        if plan.sent is None and plan.stage is Stage.ENTER:
            return _with_fee(terms.cash_paid(plan.found_at, plan.size), rate)
        orders: tuple[Sent, ...] = () if plan.sent is None else (plan.sent,)
    else:
        orders = plan.sent if plan.entry is None else (*plan.sent, plan.entry)
    bound = 0
    for sent in orders:
        if sent.request.side is OrderSide.BUY and not sent.is_closed:
            left = sent.request.size if sent.order is None else sent.order.left
            bound += _with_fee(terms.cash_paid(sent.request.price, left), rate)
    return bound


def _with_fee(cash: int, rate_ppm: int) -> int:
    return cash + fee_on(cash, rate_ppm)
