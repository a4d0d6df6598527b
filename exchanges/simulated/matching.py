"""One minute of one market against our open orders. Pure; integers only; every rounding goes against us.

**Taking.** Orders that take do so at the minute's open, in the order in which they were placed, at the open
made worse by half-spread, slippage and impact, never beyond their price: of an order whose impact would carry
it further, the part that stays within is filled. What is left of a limit order rests from then on; what is
left of a market order expires with the minute, unless only the volume was short.

**Resting.** The price jumps to the open, goes straight to one extreme, to the other, and to the close. A
resting order fills at its own price as maker, also where the price jumped over it, when the price trades
through it by `through_ticks`; where it is only touched, the queue decides. Orders of a leg fill in the order
in which the price meets them, as long as there is volume left. The stop of an OCO is a market sale at the
stop, or at the open where the price had jumped below it.

**The way.** A candle does not say which extreme came first, so both ways are walked, and the fill model takes
the one that leaves us worse, or better, at the close; low first where both are equal. An OCO whose price and
stop lie in one minute is therefore stopped, as pessimists see it.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, replace

from exchanges.simulated.fills import FillModel
from exchanges.simulated.working import WorkingOrder
from market.costs import Liquidity, OrderCosts, ppm
from market.orders import CASH_SCALE, OrderKind, OrderSide, OrderStatus, OrderTerms

MINUTE_S = 60


@dataclass(frozen=True, slots=True)
class Minute:
    """One minute in which there was trade.

    Attributes:
        ts: Open, epoch seconds.
        open, high, low, close: x price_scale.
        volume: x volume_scale.
    """

    ts: int
    open: int
    high: int
    low: int
    close: int
    volume: int
    volume_scale: int


@dataclass(frozen=True, slots=True)
class MatchingRules:
    """What one market's matching goes by."""

    terms: OrderTerms
    liquidity: Liquidity
    model: FillModel


def matched(minute: Minute, orders: Sequence[WorkingOrder], rules: MatchingRules) -> list[WorkingOrder]:
    """Return each order as it is after the minute, in the order given.

    Args:
        minute: Opened when or after the orders were placed.
        orders: Of this market, open, as they were placed; none that expires before the minute's end.
    """
    low_first = _Way(minute, orders, rules)
    low_first.take()
    low_first.look()
    high_first = low_first.copy() if low_first.can_differ() else None
    low_first.walk((minute.open, minute.low, minute.high, minute.close))
    if high_first is None:
        return low_first.orders
    high_first.walk((minute.open, minute.high, minute.low, minute.close))
    believed = min if rules.model.path == "pessimistic" else max  # of equals, both give the first
    return believed((low_first, high_first), key=_Way.worth).orders


class _Way:
    """Our orders on one way through a minute.

    Attributes:
        down, up: Where resting orders fill that the minute's low or high reaches, nearest first, with their
            places: prices are negative in `down`.
    """

    def __init__(self, minute: Minute, orders: Sequence[WorkingOrder], rules: MatchingRules) -> None:
        self.minute, self.rules = minute, rules
        self.orders = list(orders)
        self.room = rules.model.room(minute.volume, minute.volume_scale, rules.terms)
        self.cash = self.base = 0
        self.arrived: set[int] = set()
        self.down: list[tuple[int, int]] = []
        self.up: list[tuple[int, int]] = []

    def copy(self) -> _Way:
        twin = copy(self)
        twin.orders = list(self.orders)
        return twin

    def can_differ(self) -> bool:
        """Return whether another way may end otherwise, after `look`.

        Where all that is met lies to one side of the open, and none came with it, every way meets the same
        orders in the same order.
        """
        return bool(self.down and self.up) or bool(self.arrived)

    def worth(self) -> int:
        """Return what the fills are worth at the close, in parts of a cash unit that leave no fraction."""
        unit = self.rules.terms.price_scale * self.rules.terms.base_scale
        return self.cash * unit + self.base * self.minute.close * CASH_SCALE

    def take(self) -> None:
        """Let the orders that take meet the open."""
        for place, working in enumerate(self.orders):
            if working.taking:
                self.arrived.add(place)
                self._take(place, self.minute.open)

    def look(self) -> None:
        """Note which resting orders the minute can fill: few of many, and no other is looked at again."""
        low, high = self.minute.low, self.minute.high
        for place, working in enumerate(self.orders):
            request = working.order.request
            buys, stop = request.side is OrderSide.BUY, request.stop_price
            if (buys and request.price < low) or (not buys and request.price > high and (stop or 0) < low):
                continue
            if working.taking or not working.order.is_open:
                continue
            trigger = self._trigger(working, falls=buys)
            if buys and trigger >= low:
                self.down.append((-trigger, place))
            if not buys and trigger <= high:
                self.up.append((trigger, place))
            if stop is not None and stop >= low:
                self.down.append((-stop, place))
        self.down.sort()
        self.up.sort()

    def walk(self, stations: tuple[int, int, int, int]) -> None:
        """Let the price move straight from station to station; it jumps to the first one."""
        before: int | None = None
        for station in stations:
            if before is None or station < before:
                for price, place in self.down:
                    if -price < station:
                        break
                    self._meet(place, station, jumped=before is None)
            if before is None or station > before:
                for price, place in self.up:
                    if price > station:
                        break
                    self._meet(place, station, jumped=before is None)
            before = station

    def _trigger(self, working: WorkingOrder, *, falls: bool) -> int:
        """Return the price at which a resting order fills in this minute."""
        request, model = working.order.request, self.rules.model
        reach = self.minute.low if falls else self.minute.high
        through = model.through_ticks * self.rules.terms.price_increment
        beyond = request.price - through if falls else request.price + through
        touched = (beyond < reach <= request.price) if falls else (request.price <= reach < beyond)
        lucky = touched and model.fills_at_touch(request.client_id, self.minute.ts)
        return request.price if lucky else beyond

    def _meet(self, place: int, station: int, *, jumped: bool) -> None:
        working = self.orders[place]
        request = working.order.request
        if not working.order.is_open or working.taking or (jumped and place in self.arrived):
            return  # what arrived with the open was not there when the price jumped to it
        if request.stop_price is not None and station <= request.stop_price:
            self._take(place, min(self.minute.open, request.stop_price))
            return
        if size := self._by_volume(working):
            self._fill(place, price=request.price, seen=request.price, size=size, maker=True)

    def _take(self, place: int, seen: int) -> None:
        working = self.orders[place]
        kind = working.order.request.kind
        by_volume = self._by_volume(working)
        size = by_volume if kind is OrderKind.OCO else self._by_price(working, seen, by_volume)
        if size:
            price = self._worsened(working, seen, size)
            self._fill(place, price=price, seen=seen, size=size, maker=False)
        working = self.orders[place]
        if not working.order.is_open:
            return
        one = self.rules.terms.base_increment
        if kind is OrderKind.MARKET and (size < by_volume or not self._within(working, seen, one)):
            self.orders[place] = working.closed(OrderStatus.EXPIRED, self.minute.ts + MINUTE_S)
        else:
            self.orders[place] = replace(working, taking=kind is not OrderKind.LIMIT)

    def _by_volume(self, working: WorkingOrder) -> int:
        """Return how much of what is left the minute's volume still allows."""
        left, room = working.order.left, self.room
        return left if left <= room else room - room % self.rules.terms.base_increment

    def _by_price(self, working: WorkingOrder, seen: int, size: int) -> int:
        """Return the most of `size` that can be taken without going beyond the order's price."""
        if self._within(working, seen, size):
            return size
        one = self.rules.terms.base_increment
        fits, too_much = 0, -(-size // one)
        while too_much - fits > 1:
            middle = (fits + too_much) // 2
            if self._within(working, seen, middle * one):
                fits = middle
            else:
                too_much = middle
        return fits * one

    def _within(self, working: WorkingOrder, seen: int, size: int) -> bool:
        request, price = working.order.request, self._worsened(working, seen, size)
        return price <= request.price if request.side is OrderSide.BUY else price >= request.price

    def _worsened(self, working: WorkingOrder, seen: int, size: int) -> int:
        """Return what an order of `size` pays or receives a coin when the market's price is `seen`."""
        terms, minute = self.rules.terms, self.minute
        ours, all_ = size / terms.base_scale, minute.volume / minute.volume_scale
        bps = self.rules.liquidity.market_order_bps(ours, all_)  # in coins: their price is the same
        costs, tick = OrderCosts(slippage_ppm=ppm(bps)), terms.price_increment
        if working.order.request.side is OrderSide.BUY:
            return -(-costs.buy_price(seen) // tick) * tick
        return max(costs.sell_price(seen) // tick, 1) * tick  # no sale below the least price there is

    def _fill(self, place: int, *, price: int, seen: int, size: int, maker: bool) -> None:
        terms, ts = self.rules.terms, self.minute.ts + MINUTE_S
        after = self.orders[place].filled(terms, ts, price=price, seen=seen, size=size, maker=maker)
        fill, sign = after.order.fills[-1], after.order.request.side.sign
        self.orders[place] = after
        self.room -= size
        self.cash -= sign * fill.cash + fill.fee
        self.base += sign * size
