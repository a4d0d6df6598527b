"""How a swing gets in: as maker within a bound, then at the market within the same bound, or not at all.

The bound is the price at which the trigger was found and what slippage may add to it. Nothing is paid beyond
it, by no route: a price that ran away is somebody else's trade.
"""

from __future__ import annotations

from dataclasses import replace

from market.orders import (
    CASH_SCALE,
    BestPrices,
    OrderKind,
    OrderRefusal,
    OrderRequest,
    OrderSide,
    OrderStatus,
    OrderTerms,
)
from trading.hands import FRESH_S, Hands, is_sellable, least_size
from trading.reasons import Reason
from trading.sending import Sent
from trading.swing_plan import REFUSALS, Stage, SwingPlan

TAKE_TTL_S = 300


async def next_entry(plan: SwingPlan, hands: Hands, ts: int) -> SwingPlan:
    """Return the plan after its next step in; no order of it is open."""
    held, best = hands.held(plan.trade_id), await hands.sending.prices(plan.key)
    if best is None or ts - best.ts > FRESH_S:
        return plan if ts < plan.leave_ts else replace(plan, ended_by=Reason.MAX_HOLD)
    if plan.sent is not None:
        plan = _counted(plan, hands, ts)
    over = _over(plan, best, ts) or (None if held else plan.ended_by)
    return await _onwards(plan, held, best, hands, ts) if over is None else replace(plan, ended_by=over)


async def _onwards(plan: SwingPlan, held: int, best: BestPrices, hands: Hands, ts: int) -> SwingPlan:
    """Protect what is whole; else try as maker, then as taker; then protect the part there is, or give up."""
    terms, config = hands.terms[plan.key], hands.config
    may_be_protected = is_sellable(held, plan.stop, terms)
    is_whole = plan.size - held < (least_size(best.bid, terms) if held else 1)
    if plan.ended_by is None and not (is_whole and may_be_protected):
        if plan.tries < config.maker_tries:
            return await _rest(plan, held, best, hands, ts)
        if not plan.took and config.take_after_maker:
            return await _take(plan, held, best, hands, ts)
    if may_be_protected:
        return await _protect(plan, held, hands, ts)
    hands.note(ts, plan.trade_id, "gave up", f"{Reason.RETRIES_EXHAUSTED}: {plan.tries} maker entries")
    return replace(plan, ended_by=plan.ended_by or Reason.RETRIES_EXHAUSTED)


def _over(plan: SwingPlan, best: BestPrices, ts: int) -> Reason | None:
    """Return why there is nothing to enter any more."""
    if ts >= plan.leave_ts:
        return Reason.MAX_HOLD
    if best.ask <= plan.stop:
        return Reason.STOP
    return Reason.TARGET if best.bid >= plan.target else None


def _counted(plan: SwingPlan, hands: Hands, ts: int) -> SwingPlan:
    """Note why the last entry did not do; one that would take is moved away, any other refusal is the end."""
    order = plan.order
    taker = order.refusal is OrderRefusal.WOULD_TAKE
    if order.refusal is not None:
        hands.note(ts, plan.trade_id, "refused", REFUSALS[order.refusal].value)
        if not taker:
            plan = replace(plan, ended_by=REFUSALS[order.refusal])
    elif order.status is OrderStatus.EXPIRED:
        hands.note(ts, plan.trade_id, "expired", f"{Reason.TTL_EXPIRED}: {order.left} of it not filled")
    return replace(plan, sent=None, refused_as_taker=plan.refused_as_taker + taker)


def entry_bound(plan: SwingPlan, hands: Hands) -> int:
    """Return the most that a unit may cost, x price_scale."""
    return bound_of(plan.found_at, hands.config.max_slippage_bps, hands.terms[plan.key])


def bound_of(price: int, max_slippage_bps: float, terms: OrderTerms) -> int:
    """Return the highest price on the increment that lies within so many bps of `price`, at least its own."""
    bound = int(price * (1 + max_slippage_bps / 1e4))
    return max(bound - bound % terms.price_increment, terms.price_increment)


async def _rest(plan: SwingPlan, held: int, best: BestPrices, hands: Hands, ts: int) -> SwingPlan:
    terms = hands.terms[plan.key]
    away = plan.refused_as_taker * hands.config.safer_ticks * terms.price_increment
    price = min(best.bid, best.ask - terms.price_increment, entry_bound(plan, hands)) - away
    price = max(price - price % terms.price_increment, terms.price_increment)
    why = f"maker entry {plan.tries + 1} of {hands.config.maker_tries}, at the best bid"
    if price < best.bid - away:
        why += " as far as the trigger's price allows"
    if away:
        why += f" less {away} after a post-only refusal"
    size = max(plan.size - held, least_size(price, terms) if held else 0)
    return await _send(replace(plan, tries=plan.tries + 1), OrderKind.LIMIT, size, price, why, hands, ts)


async def _take(plan: SwingPlan, held: int, best: BestPrices, hands: Hands, ts: int) -> SwingPlan:
    """Take what is missing if it is cheap enough, measured from the price at which the trigger was found."""
    terms, size = hands.terms[plan.key], plan.size - held
    notional = terms.cash_paid(best.ask, size) / CASH_SCALE
    mid = (best.bid + best.ask) / 2
    extra = hands.costs[plan.key].liquidity.market_order_bps(notional, hands.minute_turnover[plan.key])
    expected = (mid * (1 + extra / 1e4) / plan.found_at - 1) * 1e4
    limit = hands.config.max_slippage_bps
    plan = replace(plan, took=True)
    if expected > limit:
        text = f"{Reason.SLIPPAGE_TOO_HIGH}: {expected:.1f} bps expected, limit {limit:g}"
        hands.note(ts, plan.trade_id, "not taken", text)
        return plan if held else replace(plan, ended_by=Reason.SLIPPAGE_TOO_HIGH)
    why = f"taken after {plan.tries} maker entries: {expected:.1f} bps expected, limit {limit:g}"
    size = max(size, least_size(best.bid, terms) if held else 0)
    return await _send(plan, OrderKind.MARKET, size, entry_bound(plan, hands), why, hands, ts)


async def _protect(plan: SwingPlan, held: int, hands: Hands, ts: int) -> SwingPlan:
    request = OrderRequest(
        f"{plan.trade_id}/{plan.orders + 1}",
        plan.key,
        OrderSide.SELL,
        OrderKind.OCO,
        plan.target,
        held,
        stop_price=plan.stop,
    )
    sent = await hands.sending.carried(Sent(request, "target and stop in one"), plan.trade_id, ts)
    return replace(plan, stage=Stage.HOLD, sent=sent, orders=plan.orders + 1, ended_by=None)


async def _send(
    plan: SwingPlan, kind: OrderKind, size: int, price: int, why: str, hands: Hands, ts: int
) -> SwingPlan:
    rests = kind is OrderKind.LIMIT
    request = OrderRequest(
        f"{plan.trade_id}/{plan.orders + 1}",
        plan.key,
        OrderSide.BUY,
        kind,
        price,
        size,
        post_only=rests,
        ttl_s=hands.config.maker_ttl_s if rests else TAKE_TTL_S,
    )
    sent = await hands.sending.carried(Sent(request, why), plan.trade_id, ts)
    return replace(plan, sent=sent, orders=plan.orders + 1)
