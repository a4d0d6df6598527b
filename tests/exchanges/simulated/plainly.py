"""Matching as its docstring tells it, without any short cut: every order on every leg of both ways."""

from __future__ import annotations

from collections.abc import Sequence

from exchanges.simulated import matching
from exchanges.simulated.matching import MatchingRules, Minute
from exchanges.simulated.working import WorkingOrder
from market.orders import OrderSide


def matched_plainly(
    minute: Minute, orders: Sequence[WorkingOrder], rules: MatchingRules
) -> list[WorkingOrder]:
    """Return what `matched` must return."""
    ways = []
    for stations in (
        (minute.open, minute.low, minute.high, minute.close),
        (minute.open, minute.high, minute.low, minute.close),
    ):
        way = _EveryOrder(minute, orders, rules)
        way.take()
        way.walk(stations)
        ways.append(way)
    low_first, high_first = ways
    if rules.model.path == "pessimistic":
        return (high_first if high_first.worth() < low_first.worth() else low_first).orders
    return (high_first if high_first.worth() > low_first.worth() else low_first).orders


class _EveryOrder(matching._Way):
    def walk(self, stations: tuple[int, int, int, int]) -> None:
        before = None
        for station in stations:
            jumped = before is None
            for place in self.on_the_way(station, falls=jumped or station < before):
                self._meet(place, station, jumped=jumped)
            for place in self.on_the_way(station, rises=jumped or station > before):
                self._meet(place, station, jumped=jumped)
            before = station

    def on_the_way(self, station: int, *, falls: bool = False, rises: bool = False) -> list[int]:
        met = []
        for place, working in enumerate(self.orders):
            request = working.order.request
            buys = request.side is OrderSide.BUY
            price = self._trigger(working, falls=buys)
            if falls and buys and price >= station:
                met.append((-price, place))
            if falls and request.stop_price is not None and request.stop_price >= station:
                met.append((-request.stop_price, place))
            if rises and not buys and price <= station:
                met.append((price, place))
        return [place for _, place in sorted(met)]
