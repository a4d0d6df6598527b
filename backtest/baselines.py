"""What the same money would have done without us: in cash, held as coin, in a grid that never pauses.

Each market gets an equal share of the capital and begins at its first known close, as a desk that decides at
the close would. Coin is valued at the last close, as the account is; nothing is sold at the end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from decisions.inputs import MarketCosts
from grid.geometry import FEWEST_LEVELS, GridGeometry, cells_of_width
from grid.plan import half_and_half
from grid.simulation import BarPath, Ledger, rows_of
from market.candles import Bars
from market.costs import affordable, fee_on
from market.errors import DataInvalid
from market.orders import CASH_SCALE, OrderTerms

HALF_WIDTH = 20  # the standard grid reaches a 20th, 5 %, to both sides of the price
SPACING_BPS = 60.0
MOST_CELLS = 20
TOLD = (
    "always-on grid: half coin, half cash, 5 % to both sides, cells of 60 bps or more, set anew at the close"
    " of each hour that ends outside; hold: bought at the first close with taker fee, spread and slippage"
)


@dataclass(slots=True)
class _Held:
    """Coin bought once; cash in cash units, coin in base units."""

    cash: int
    base: int = 0
    bought: bool = False

    def hour(self, terms: OrderTerms, costs: MarketCosts, minutes: Bars) -> None:
        if self.bought:
            return
        self.bought = True
        price, rate = costs.order.buy_price(int(minutes.close[-1])), costs.order.taker_ppm
        unit = terms.price_scale * terms.base_scale
        self.base = affordable(self.cash * unit // CASH_SCALE, price, rate)
        self.base -= self.base % terms.base_increment
        paid = terms.cash_paid(price, self.base)
        self.cash -= paid + fee_on(paid, rate)

    def worth(self, terms: OrderTerms, price: int) -> int:
        return self.cash + terms.cash_received(price, self.base)


@dataclass(slots=True)
class _AlwaysOn:
    """A grid by `grid.simulation.Ledger`, minute by minute; amounts in grid units until asked for."""

    cash: int
    path: BarPath
    ledger: Ledger | None = None

    def hour(self, terms: OrderTerms, costs: MarketCosts, minutes: Bars) -> None:
        close = int(minutes.close[-1])
        if self.ledger is not None:
            for bar, row in enumerate(rows_of(minutes)):
                self.ledger = self.ledger.after(bar, row, self.path)
            inside = self.ledger.plan.geometry
            if inside.lower <= close <= inside.upper:
                return
        self._set(terms, costs, close)

    def _set(self, terms: OrderTerms, costs: MarketCosts, close: int) -> None:
        """Set the grid around the price; only the difference to half coin is traded, as taker."""
        unit = terms.price_scale * terms.base_scale
        running = self.ledger
        value = self.cash * unit // CASH_SCALE if running is None else running.worth(close)
        held = 0 if running is None else running.base * close
        rate = costs.order.taker_ppm + costs.order.slippage_ppm
        value -= fee_on(abs(value // 2 - held), rate)
        step = terms.price_increment
        lower, upper = (close + sign * (close // HALF_WIDTH) for sign in (-1, 1))
        lower, upper = lower - lower % step, upper - upper % step
        try:
            levels = int(cells_of_width(lower, upper, SPACING_BPS, FEWEST_LEVELS, MOST_CELLS))
            geometry = GridGeometry(lower, upper, levels, increment=step)
            plan = half_and_half(geometry, close, value, costs.order, buys_base=False)
        except DataInvalid:
            return  # increments too coarse, or fees too high, for such a ladder: it rests
        self.ledger = Ledger(plan)

    def worth(self, terms: OrderTerms, price: int) -> int:
        if self.ledger is None:
            return self.cash
        return self.ledger.worth(price) * CASH_SCALE // (terms.price_scale * terms.base_scale)


class Baselines:
    """The three, hour by hour.

    Args:
        keys: Markets that share the capital equally.
        capital: Cash units.
        path: Which way through a candle the grid believes.
    """

    def __init__(
        self, keys: Sequence[str], capital: int, costs: Mapping[str, MarketCosts], path: BarPath
    ) -> None:
        share = capital // len(keys)
        self._capital, self._rest, self._costs = capital, capital - share * len(keys), dict(costs)
        self._held = {key: _Held(share) for key in keys}
        self._grids = {key: _AlwaysOn(share, path) for key in keys}
        self._worth = dict.fromkeys(keys, (share, share))
        self._terms: dict[str, OrderTerms] = {}
        self.found: dict[str, list[int]] = {"cash": [], "hold": [], "always_on_grid": []}

    def hour(self, markets: Mapping[str, tuple[OrderTerms, Bars]]) -> None:
        """Let one hour happen.

        Args:
            markets: Terms and minutes by market, prices in the scale of the terms; who is not there rests.

        Raises:
            DataInvalid: A market's terms are not those of the hours before.
        """
        for key, (terms, minutes) in markets.items():
            if self._terms.setdefault(key, terms) != terms:
                raise DataInvalid(key, "rules", "they changed within the run, so no baseline can be told")
            if not len(minutes):
                continue
            held, grid, last = self._held[key], self._grids[key], int(minutes.close[-1])
            for each in (held, grid):
                each.hour(terms, self._costs[key], minutes)
            self._worth[key] = held.worth(terms, last), grid.worth(terms, last)
        self.found["cash"].append(self._capital)
        self.found["hold"].append(self._rest + sum(worth for worth, _ in self._worth.values()))
        self.found["always_on_grid"].append(self._rest + sum(worth for _, worth in self._worth.values()))
