"""A ladder: the orders of a grid, each put back as its opposite when it is filled.

Cell i buys at level i and sells at level i + 1, always the same base amount, as in `grid.plan`. The coin of
the cells above the start is bought at the market first. Orders are plain limit orders: one that the price has
passed already takes, at a price that is no worse.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from market.orders import OrderKind, OrderRequest, OrderSide, OrderStatus
from trading.entering import TAKE_TTL_S
from trading.hands import REFUSED_WAIT_S, Hands, Leaving, is_sellable, left
from trading.reasons import Reason
from trading.sending import Sent
from trading.swing_plan import REFUSALS, Stage


@dataclass(frozen=True, slots=True)
class LadderPlan:
    """One grid from its first order to its last.

    Attributes:
        prices: Levels, rising, x price_scale.
        sizes: Base units of each cell, one fewer than prices.
        first: The level without an order at the start: cells at and above it begin with coin.
        bound: The most that a unit of that coin may cost, x price_scale.
        budget: Cash units that are the ladder's own, coin included.
        stop_loss: At or below it everything is sold; None for never.
        has_coin: Of each cell, whether it waits to sell.
        began: `has_coin` when the ladder began to run; None before.
        sent: The order of each cell, in the order of cells; those without one are left out.
        entry: The purchase of the first coin, and on the way out the sale; None before and between.
        asleep: Cells whose order was refused, each with the instant of the next try.
        cycles: Cells that came back to how they started, counted each time.
    """

    trade_id: str
    key: str
    prices: tuple[int, ...]
    sizes: tuple[int, ...]
    first: int
    bound: int
    budget: int
    stop_loss: int | None
    has_coin: tuple[bool, ...]
    began: tuple[bool, ...] | None = None
    stage: Stage = Stage.ENTER
    sent: tuple[Sent, ...] = ()
    entry: Sent | None = None
    asleep: tuple[tuple[int, int], ...] = ()
    cycles: int = 0
    orders: int = 0
    ended_by: Reason | None = None

    @property
    def alarm(self) -> int | None:
        """The price at or below which it has something to do, x price_scale; None for none."""
        return self.stop_loss if self.stage in (Stage.ENTER, Stage.RUN) else None

    @property
    def is_waiting(self) -> bool:
        """Whether something is left to do that no event of the exchange will bring about."""
        if self.stage is Stage.DONE:
            return False
        if self.stage is Stage.RUN:
            return len(self.sent) < len(self.sizes) or any(not sent.is_answered for sent in self.sent)
        return self.entry is None or self.entry.order is None or not self.entry.order.is_open


async def ladder_moved(plan: LadderPlan, hands: Hands, ts: int) -> LadderPlan:
    """Take in what happened to the ladder's orders and do what follows from it."""
    while plan.stage is not Stage.DONE:
        after = await _STEPS[plan.stage](plan, hands, ts)
        if after.stage is plan.stage:
            return after
        plan = after
    return plan


async def _enter(plan: LadderPlan, hands: Hands, ts: int) -> LadderPlan:
    wanted = sum(plan.sizes[plan.first :])
    if plan.entry is None and wanted:
        request = OrderRequest(
            f"{plan.trade_id}/{plan.orders + 1}",
            plan.key,
            OrderSide.BUY,
            OrderKind.MARKET,
            plan.bound,
            wanted,
            ttl_s=TAKE_TTL_S,
        )
        why = f"the coin of {len(plan.sizes) - plan.first} cells above the price"
        plan = replace(plan, entry=Sent(request, why), orders=plan.orders + 1)
    if plan.entry is not None:
        plan = replace(plan, entry=await hands.sending.carried(plan.entry, plan.trade_id, ts))
        plan = await _stopped(plan, hands)
        assert plan.entry is not None
        if not plan.entry.is_closed:
            if plan.ended_by is None:
                return plan
            plan = replace(plan, entry=await hands.sending.cancelled(plan.entry, plan.trade_id, ts))
            return replace(plan, stage=Stage.LEAVE, entry=None) if _is_closed(plan.entry) else plan
    held = hands.held(plan.trade_id)
    if plan.entry is not None and not held:
        return _came_to_nothing(plan, hands, ts)
    if plan.ended_by is not None:
        return replace(plan, stage=Stage.LEAVE, entry=None)
    sizes, coin = _shared(plan, held, hands)
    return replace(plan, stage=Stage.RUN, entry=None, sizes=sizes, has_coin=coin, began=coin)


def _is_closed(sent: Sent | None) -> bool:
    return sent is not None and sent.is_closed


def _came_to_nothing(plan: LadderPlan, hands: Hands, ts: int) -> LadderPlan:
    order = plan.entry.order if plan.entry is not None else None
    why = Reason.SLIPPAGE_TOO_HIGH
    if order is not None and order.refusal is not None:
        why = REFUSALS[order.refusal]
    hands.note(ts, plan.trade_id, "gave up", f"{why}: the first coin could not be bought up to {plan.bound}")
    return replace(plan, stage=Stage.DONE, ended_by=plan.ended_by or why)


def _shared(plan: LadderPlan, held: int, hands: Hands) -> tuple[tuple[int, ...], tuple[bool, ...]]:
    """Return sizes and coin: what was bought goes to the cells from the price upwards.

    A cell that gets a part of its coin trades that part from then on, or it would buy its whole beside it;
    the cells above buy theirs first. A crumb that could not be sold alone stays idle until the end.
    """
    terms = hands.terms[plan.key]
    sizes, coin = list(plan.sizes), [False] * len(plan.sizes)
    for cell in range(plan.first, len(sizes)):
        part = min(held, sizes[cell])
        if not is_sellable(part, plan.prices[0], terms):
            break
        sizes[cell], coin[cell] = part, True
        held -= part
    return tuple(sizes), tuple(coin)


async def _stopped(plan: LadderPlan, hands: Hands) -> LadderPlan:
    """Return the plan ended by its stop-loss where the price came down to it."""
    if plan.ended_by is None and plan.stop_loss is not None and await hands.reached(plan.key, plan.stop_loss):
        return replace(plan, ended_by=Reason.STOP)
    return plan


async def _run(plan: LadderPlan, hands: Hands, ts: int) -> LadderPlan:
    carried = [await hands.sending.carried(one, plan.trade_id, ts) for one in plan.sent]
    for one in carried:
        if one.is_closed:
            plan = _after(plan, one, hands, ts)
    plan = replace(plan, sent=tuple(one for one in carried if not one.is_closed))
    plan = await _stopped(plan, hands)
    if plan.ended_by is not None:
        return await _taken_back(plan, hands, ts)
    return await _put_up(plan, hands, ts)


def _after(plan: LadderPlan, one: Sent, hands: Hands, ts: int) -> LadderPlan:
    """Turn the cell of a filled order round; let the cell of a refused one sleep."""
    order, cell = one.order, one.cell
    assert order is not None and cell is not None
    if order.status is OrderStatus.FILLED:
        has_coin = one.request.side is OrderSide.BUY
        flags = (*plan.has_coin[:cell], has_coin, *plan.has_coin[cell + 1 :])
        back = plan.began is not None and has_coin == plan.began[cell]
        return replace(plan, has_coin=flags, cycles=plan.cycles + back)
    if order.refusal is not None:
        hands.note(ts, plan.trade_id, "refused", f"{REFUSALS[order.refusal]}: cell {cell}")
    others = tuple(entry for entry in plan.asleep if entry[0] != cell)
    return replace(plan, asleep=(*others, (cell, ts + REFUSED_WAIT_S)))


async def _put_up(plan: LadderPlan, hands: Hands, ts: int) -> LadderPlan:
    """Give each cell without an order the one that it waits for."""
    plan = replace(plan, asleep=tuple(entry for entry in plan.asleep if entry[1] > ts))
    busy = {sent.cell for sent in plan.sent} | {cell for cell, _ in plan.asleep}
    added: list[Sent] = []
    for cell, (size, has_coin) in enumerate(zip(plan.sizes, plan.has_coin, strict=True)):
        if cell in busy:
            continue
        side = OrderSide.SELL if has_coin else OrderSide.BUY
        request = OrderRequest(
            f"{plan.trade_id}/{plan.orders + len(added) + 1}",
            plan.key,
            side,
            OrderKind.LIMIT,
            plan.prices[cell + has_coin],
            size,
        )
        one = Sent(request, f"cell {cell} {side.value}s", cell=cell)
        added.append(await hands.sending.carried(one, plan.trade_id, ts))
    plan = replace(plan, orders=plan.orders + len(added))
    for one in added:
        if one.is_closed:
            plan = _after(plan, one, hands, ts)
    kept = [*plan.sent, *(one for one in added if not one.is_closed)]
    return replace(plan, sent=tuple(sorted(kept, key=lambda one: one.cell or 0)))


async def _taken_back(plan: LadderPlan, hands: Hands, ts: int) -> LadderPlan:
    back = [await hands.sending.cancelled(one, plan.trade_id, ts) for one in plan.sent]
    for one in back:
        if one.is_closed and one.order is not None and one.order.status is OrderStatus.FILLED:
            plan = _after(plan, one, hands, ts)
    still = tuple(one for one in back if not one.is_closed)
    return replace(plan, sent=still, stage=plan.stage if still else Stage.LEAVE)


async def _leave(plan: LadderPlan, hands: Hands, ts: int) -> LadderPlan:
    way, flat = await left(Leaving(plan.entry, plan.orders), plan.key, plan.trade_id, hands, ts)
    return replace(plan, entry=way.sent, orders=way.orders, stage=Stage.DONE if flat else Stage.LEAVE)


_STEPS = {Stage.ENTER: _enter, Stage.RUN: _run, Stage.LEAVE: _leave}
