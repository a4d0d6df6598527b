"""A swing at work: bought as maker where it can be, held between a target and a stop, left in time.

One order at a time. What the exchange did since is taken in first; then, at the same instant, the next order
is sent. An order whose answer was lost is asked for by its name before anything else is done.
"""

from __future__ import annotations

from dataclasses import replace

from market.orders import OrderStatus
from trading.entering import next_entry
from trading.hands import Hands, Leaving, left
from trading.reasons import Reason
from trading.swing_plan import Stage, SwingPlan


def asked_to_leave(plan: SwingPlan, why: Reason) -> SwingPlan:
    """Return the plan that leaves as soon as its order is back; the first reason stays."""
    return plan if plan.ended_by is not None else replace(plan, ended_by=why)


async def moved(plan: SwingPlan, hands: Hands, ts: int) -> SwingPlan:
    """Take in what happened to the plan's order and do what follows from it."""
    if plan.sent is not None and plan.stage is not Stage.LEAVE:
        plan = replace(plan, sent=await hands.sending.carried(plan.sent, plan.trade_id, ts))
    while plan.stage is not Stage.DONE:
        after = await _step(plan, hands, ts)
        if after == plan:
            return plan
        plan = after
    return plan


async def _step(plan: SwingPlan, hands: Hands, ts: int) -> SwingPlan:
    if plan.stage is Stage.LEAVE:
        way = Leaving(plan.sent, plan.orders)
        way, flat = await left(way, plan.key, plan.trade_id, hands, ts)
        return replace(plan, sent=way.sent, orders=way.orders, stage=Stage.DONE if flat else Stage.LEAVE)
    if plan.sent is not None and not plan.sent.is_closed:
        return await _while_open(plan, hands, ts)
    if plan.stage is Stage.HOLD:
        return _after_protection(plan)
    if plan.ended_by is not None:
        held = hands.held(plan.trade_id)
        return replace(plan, stage=Stage.LEAVE if held else Stage.DONE, sent=None)
    return await next_entry(plan, hands, ts)


async def _while_open(plan: SwingPlan, hands: Hands, ts: int) -> SwingPlan:
    """Take the order back where the plan has to end: asked to, out of time, or at its stop on the way in."""
    sent = plan.sent
    assert sent is not None
    why = plan.ended_by
    if why is None and ts >= plan.leave_ts:
        why = Reason.MAX_HOLD
    if why is None and plan.stage is Stage.ENTER and await hands.reached(plan.key, plan.stop):
        why = Reason.STOP
    if why is None:
        return plan
    return replace(plan, sent=await hands.sending.cancelled(sent, plan.trade_id, ts), ended_by=why)


def _after_protection(plan: SwingPlan) -> SwingPlan:
    order = plan.order
    if order.status is OrderStatus.FILLED:
        why = Reason.STOP if order.fills[-1].stopped else Reason.TARGET
        return replace(plan, stage=Stage.DONE, ended_by=why)
    # taken back by us, or by an exchange that does not protect us: out
    return replace(plan, stage=Stage.LEAVE, sent=None, ended_by=plan.ended_by or Reason.ORDER_REFUSED)
