"""Open orders of one market over many minutes: only minutes that can change something are looked at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count

from exchanges.simulated.matching import MINUTE_S, MatchingRules, matched
from exchanges.simulated.minutes import Minutes
from exchanges.simulated.working import WorkingOrder
from market.orders import OrderSide, OrderStatus
from market.units import INT64_MAX


@dataclass(frozen=True, slots=True)
class Step:
    """A minute in which something happened to open orders.

    Attributes:
        end_ts: Its end.
        before, after: The orders, in the same order.
    """

    end_ts: int
    before: Sequence[WorkingOrder]
    after: Sequence[WorkingOrder]

    @property
    def is_change(self) -> bool:
        """Return whether the order of anyone who asks is another one now."""
        pairs = zip(self.before, self.after, strict=True)
        return any(after.order is not before.order for before, after in pairs)


class Passage:
    """Orders of one market on their way; a step is worked out once, whether it is foreseen first or not.

    Args:
        orders: Open, as they were placed; nothing but time changes them or the minutes from now on.
        now_ts: A whole minute.
    """

    def __init__(
        self, orders: Sequence[WorkingOrder], minutes: Minutes, rules: MatchingRules, now_ts: int
    ) -> None:
        self._minutes, self._rules = minutes, rules
        self._working, self._at = list(orders), now_ts
        self._ahead: list[Step] = []

    def ahead(self, to_ts: int) -> Iterator[Step]:
        """Yield what will happen up to an instant, a whole minute, oldest first."""
        for place in count():
            if place == len(self._ahead):
                step = self._step(to_ts)
                if step is None:
                    return
                self._ahead.append(step)
            if self._ahead[place].end_ts > to_ts:
                return
            yield self._ahead[place]

    def through(self, to_ts: int) -> Sequence[Step]:
        """Return the same and leave it behind."""
        passed = list(self.ahead(to_ts))
        del self._ahead[: len(passed)]
        return passed

    def _step(self, to_ts: int) -> Step | None:
        """Return what happens next, if it is over at `to_ts`.

        An order whose time is over before the end of a minute expires before that minute fills anything; one
        whose time is over with it, after.
        """
        working = self._working
        if not working:
            return None
        minute = self._minutes.reaching(*_reach(working), self._at, to_ts) if self._at < to_ts else None
        expiry = min(_expiries(working), default=None)
        if expiry is not None and expiry <= to_ts and (minute is None or expiry < minute.ts + MINUTE_S):
            after = [
                order.closed(OrderStatus.EXPIRED, expiry) if order.expires_ts == expiry else order
                for order in working
            ]
            end_ts = -(-expiry // MINUTE_S) * MINUTE_S
        elif minute is not None:
            after, self._at = matched(minute, working, self._rules), minute.ts + MINUTE_S
            end_ts = self._at
        else:
            return None
        self._working = [order for order in after if order.order.is_open]
        return Step(end_ts, working, after)


def _expiries(orders: Sequence[WorkingOrder]) -> list[int]:
    ends = (order.expires_ts for order in orders if order.order.request.ttl_s is not None)
    return [ts for ts in ends if ts is not None]


def _reach(orders: Sequence[WorkingOrder]) -> tuple[int, int]:
    """Return how far the price must fall, and how far rise, for anything to be possible."""
    falls, rises = 0, INT64_MAX
    for order in orders:
        if order.taking:
            return INT64_MAX, 0
        request = order.order.request
        if request.side is OrderSide.BUY:
            falls = max(falls, request.price)
        else:
            falls, rises = max(falls, request.stop_price or 0), min(rises, request.price)
    return falls, rises
