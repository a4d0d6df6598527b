"""Write docs/bracket.md, a week of a real grid under three fill models: `make bracket DATA=../shared/data`.

The ladder that the desk would run, worked order by order on the simulated exchange, and beside it the grid
simulator over the same weeks. Deterministic: the draws at a touch are seeded by the models.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from tables import table

from decisions.inputs import MarketCosts
from exchanges.simulated.fills import EXPECTED, OPTIMISTIC, PESSIMISTIC, FillModel
from exchanges.simulated.venue import SimulatedExchange
from grid.geometry import GridGeometry, cells_of_width
from grid.plan import GridPlan, half_and_half
from grid.simulation import BarPath, GridOutcome, simulate
from grid.standard import StandardGrid
from market.candles import Bars
from market.costs import FEES_BY_KIND, LIQUIDITY_BY_TIER, Fees, Liquidity
from market.hours import HOUR_S, Timeframe, instant_iso, instant_of_ts
from market.orders import CASH_SCALE, OrderTerms
from store.recorded import choose_markets
from store.recorded_windows import RecordedWindows
from trading.books import Books
from trading.execution_config import ExecutionConfig
from trading.hands import Hands
from trading.ladder import LadderPlan, ladder_moved
from trading.ledger import Ledger
from trading.sending import Sending
from trading.swing_plan import Stage
from trading.trades import TradePlan
from trading.values import TriggerKind

TARGET = Path(__file__).with_name("bracket.md")
MODELS = {"pessimistic": PESSIMISTIC, "expected": EXPECTED, "optimistic": OPTIMISTIC}
KEYS = ("ETH-USDT", "BTC-USDT")
RULES = {
    key: {
        "price_increment": Decimal(price),
        "base_increment": Decimal(base),
        "base_min_size": Decimal(base),
        "min_funds": Decimal("0.1"),
    }
    for key, price, base in (("ETH-USDT", "0.01", "0.0001"), ("BTC-USDT", "0.1", "0.00001"))
}
EXECUTION = ExecutionConfig()
ENTRY = EXPECTED.model_copy(update={"participation": 1.0})
COSTS = MarketCosts(FEES_BY_KIND["kucoin"], LIQUIDITY_BY_TIER["major"])
DAY_S, WEEK_S, MINUTE_S = 24 * HOUR_S, 168 * HOUR_S, 60
IN_THE_LADDER = Decimal("0.998")  # the rest pays for an entry that costs more than planned
NAME = "bracket"


@dataclass(frozen=True)
class Setup:
    """What is put to work.

    Attributes:
        venue: Whose recorded minutes.
        half_width_pct: How far the ladder reaches to either side of the price, %.
        spacing_bps: Cells are at least this wide, as in `grid.standard`.
        cash: Quote that the account begins with.
    """

    title: str
    venue: str
    half_width_pct: int
    spacing_bps: float
    cash: int

    def words(self) -> str:
        """Return the setup in a sentence."""
        return (
            f"{self.cash:,} USDT over {self.half_width_pct} % to either side, cells of {self.spacing_bps:g}"
            f" bps or more; minutes of {self.venue}."
        )


STANDARD = Setup("A standard grid in a liquid market", "BINANCE", 6, StandardGrid().spacing_bps, 10_000)
NARROW = Setup("Cells half as wide in a thin market", "KUCOIN", 3, StandardGrid().spacing_bps / 2, 10_000)
LARGE = Setup("Ten times the money in a thin market", "KUCOIN", 6, StandardGrid().spacing_bps, 100_000)
SETUPS = (STANDARD, NARROW, LARGE)


@dataclass(frozen=True, eq=False)
class Week:
    """One market's minutes of a week and the minute before it, at whose close the grid is set up."""

    setup: Setup
    terms: OrderTerms
    before: Bars
    minutes: Bars
    volume_scale: int

    @property
    def key(self) -> str:
        return self.terms.key

    @property
    def cash(self) -> int:
        return self.setup.cash * CASH_SCALE

    @property
    def start_ts(self) -> int:
        return int(self.before.ts[-1]) + MINUTE_S

    @property
    def end_ts(self) -> int:
        return self.start_ts + WEEK_S

    def grid(self) -> GridPlan:
        """Return the ladder about the price: half coin, half cash, no stop."""
        rule, terms, setup = StandardGrid(), self.terms, self.setup
        price, tick = int(self.before.close[-1]), terms.price_increment
        lower, upper = (price * (100 + side * setup.half_width_pct) // 100 // tick * tick for side in (-1, 1))
        levels = int(cells_of_width(lower, upper, setup.spacing_bps, rule.at_least, rule.at_most))
        geometry = GridGeometry(lower, upper, levels, increment=tick)
        value = int(setup.cash * IN_THE_LADDER) * terms.price_scale * terms.base_scale
        return half_and_half(geometry, price, value, COSTS.order)

    def ladder(self) -> LadderPlan:
        """Return the same grid as the desk's plan."""
        grid = self.grid()
        bound = int(grid.start_price * (1 + EXECUTION.max_slippage_bps / 1e4))
        return LadderPlan(
            trade_id=NAME,
            key=self.key,
            prices=grid.geometry.prices(),
            sizes=grid.sizes,
            first=grid.first_level,
            bound=bound - bound % self.terms.price_increment,
            budget=self.cash,
            stop_loss=None,
            has_coin=tuple(False for _ in grid.sizes),
        )

    def simulated(self, path: BarPath) -> GridOutcome:
        """Return what the grid simulator says of the same grid."""
        return simulate(self.grid(), self.minutes, path)

    def in_quote(self, amount: int) -> float:
        """Return an amount in the units of `grid.plan` as quote."""
        return amount / (self.terms.price_scale * self.terms.base_scale)


@dataclass(frozen=True)
class Run:
    """What a week came to; cash units.

    Attributes:
        fills: Executions, the purchase of the first coin and every part of a partial fill included.
    """

    net: int
    fills: int
    cycles: int


def weeks(data: Path, setup: Setup, key: str) -> Iterator[Week]:
    """Yield the recorded weeks, whole and from midnight (UTC) on; the first day is left to stand before."""
    (market,) = choose_markets(data, 1, symbols=[key], venue=setup.venue).markets
    windows = RecordedWindows(market, {})
    bars = windows.bars(Timeframe.M1)
    terms = OrderTerms.of(key, key, windows.price_scale, RULES[key])
    start = int(bars.ts[0]) // DAY_S * DAY_S + DAY_S
    while start + WEEK_S <= int(bars.ts[-1]) + MINUTE_S:
        before, minutes = bars.between(start - MINUTE_S, start), bars.between(start, start + WEEK_S)
        yield Week(setup, terms, before, minutes, windows.volume_scale)
        start += WEEK_S


class _Working:
    """A week's ladder at work on a simulated exchange, as the desk works it."""

    def __init__(self, week: Week) -> None:
        self.week = week
        self.exchange = SimulatedExchange(*self._market(), ENTRY, "USDT", week.cash, week.start_ts - MINUTE_S)
        self.exchange.load(week.key, week.before, week.volume_scale)
        self.exchange.advance(week.start_ts)
        self.exchange.load(week.key, week.minutes, week.volume_scale)
        ledger = Ledger.of(week.cash, "USDT").opened(_trade(week))
        self.books = Books(ledger, {week.key: week.terms})
        self.plan = week.ladder()

    def _market(self) -> tuple[dict[str, OrderTerms], dict[str, Fees], dict[str, Liquidity]]:
        key = self.week.key
        return {key: self.week.terms}, {key: COSTS.fees}, {key: COSTS.liquidity}

    async def react(self) -> None:
        week = self.week
        hands = Hands(
            Sending(self.exchange, self.books),
            EXECUTION,
            {week.key: week.terms},
            {week.key: COSTS},
            self.books.held,
            {},
        )
        self.plan = await ladder_moved(self.plan, hands, self.exchange.now_ts)

    async def until(self, end_ts: int, *, only_until_it_runs: bool = False) -> None:
        """Let minutes pass; stop wherever the ladder has something to do."""
        await self.react()
        while (now := self.exchange.now_ts) < end_ts:
            if only_until_it_runs and self.plan.stage is Stage.RUN:
                return
            change = self.exchange.next_change(end_ts)
            stop = end_ts if change is None else change
            self.exchange.advance(min(stop, now + MINUTE_S) if self.plan.is_waiting else stop)
            await self.react()

    def goes_on_under(self, model: FillModel) -> None:
        """From now on the exchange fills by another model; its account and orders stay as they are."""
        state = self.exchange.state()
        self.exchange = SimulatedExchange.of(state, *self._market(), model, "USDT")
        rest = self.week.minutes.between(state.now_ts, self.week.end_ts)
        self.exchange.load(self.week.key, rest, self.week.volume_scale)


async def run(week: Week, model: FillModel) -> Run:
    """Work the week's ladder; the coin that it begins with is bought alike whatever the model."""
    at_work = _Working(week)
    await at_work.until(week.end_ts, only_until_it_runs=True)
    at_work.goes_on_under(model)
    await at_work.until(week.end_ts)
    assert at_work.plan.stage is Stage.RUN
    flows, held = at_work.books.ledger.position(NAME).flows, at_work.books.held(NAME)
    coin = week.terms.cash_received(int(week.minutes.close[-1]), held)
    return Run(
        at_work.books.ledger.cash + coin - week.cash,
        flows.maker_fills + flows.taker_fills,
        at_work.plan.cycles,
    )


def _trade(week: Week) -> TradePlan:
    hour = instant_iso(instant_of_ts(week.start_ts))
    return TradePlan(
        NAME, week.key, "grid", TriggerKind.GRID, "a standard ladder", "RANGE", "RANGE", None, 1.0, "major",
        "all of it", "bracket", hour, "USDT", week.terms.base_scale, week.cash,
        None,
    )  # fmt: skip


HEAD = f"""\
# A week of a real grid under three fill models

Made by `make bracket DATA=FOLDER` from recorded minutes. A ladder of the desk (`trading/ladder.py`), half
coin, half cash, geometric about the price of midnight (UTC), no stop, fees of {COSTS.fees.maker_bps:g} bps as
maker and {COSTS.fees.taker_bps:g} as taker (KuCoin's), works its orders on the simulated exchange for seven
days and is valued at the last close. The three models stand in `exchanges/simulated/fills.py` and in
[trading.md](trading.md). The coin that the ladder begins with is bought alike in all three columns, all of a
minute's volume allowed: what they differ by is what became of resting orders, nothing else.

Beside them, `simulator` is `grid.simulation.simulate` of the same plan over the same minutes, by its
pessimistic and its optimistic path: what the calibration and the evaluations of advice go by. `held` is the
same coin and cash, never traded. All in USDT after fees; `spread` is optimistic less pessimistic; three
numbers in one cell are pessimistic / expected / optimistic.
"""
WHY = """\
## What it says

{found}

A week's result is decided by where the price went, then by the fees. The fill model is worth little beside
them: a level that is only touched is mostly traded through soon after, and a resting order that fills some
minutes later fills at the same price. It matters where cells are narrow, minutes thin or orders large. This
is what the fill model alone brackets; it says nothing of a week to come.

**More fills are not more cycles.** An order that is filled in parts counts each part, so that the harshest
model can have the most fills.

**What would not be ordered.** If each model also bought its own first coin, the columns would differ by when
it was bought: a smaller share of each minute's volume is slower, and slower is cheaper while the price falls.
And a ladder whose first purchase was cut short lacks cash for some of its cells later; which ones is chance.

**Why the simulator says something else.**

- A filled order rests as its opposite at once, in the same minute: a candle that goes down through a buy and
  up through its sale is a cycle there. The desk sends the opposite when the minute is over, and it meets the
  next one. So the simulator's optimistic path can be above everything that the exchange allows.
- The first coin is bought at once at the price seen, with the slippage of a small order. The exchange fills
  it at the open of the next minute, with impact, in parts where the volume asks for it; each part is a fill.
- A resting order fills whole. The exchange fills at most `participation` of the minute's volume, in parts.
"""


def main(data: Path) -> None:
    """Run every week of every setup and write the page."""
    lines = [*HEAD.splitlines(), ""]
    found = []
    for setup in SETUPS:
        lines += [
            f"## {setup.title}",
            "",
            setup.words(),
            "",
        ]
        told = {key: [(week, runs(week)) for week in weeks(data, setup, key)] for key in KEYS}
        for key, ran in told.items():
            lines += [f"### {key}", "", *table(COLUMNS, [row(week, each) for week, each in ran])]
        found.append(_said(setup, [each for ran in told.values() for _, each in ran]))
    TARGET.write_text("\n".join([*lines, *WHY.format(found="\n".join(found)).splitlines(), ""]))


def runs(week: Week) -> dict[str, Run]:
    """Return what the week came to by model."""
    return {name: asyncio.run(run(week, model)) for name, model in MODELS.items()}


def is_ordered(ran: Mapping[str, Run]) -> bool:
    """Say whether no harsher model came to more than a kinder one."""
    nets = [ran[name].net for name in MODELS]
    return nets == sorted(nets)


COLUMNS = (
    "week from | pessimistic | expected | optimistic | spread | ordered | fills | cycles"
    " | simulator | its fills, cycles | simulator, optimistic | held"
)


def row(week: Week, ran: Mapping[str, Run]) -> list[str]:
    """Return a week's line of the table."""
    nets = [ran[name].net for name in MODELS]
    low, high = (week.simulated(path) for path in (BarPath.PESSIMISTIC, BarPath.OPTIMISTIC))
    return [
        instant_iso(instant_of_ts(week.start_ts))[:10],
        *(f"{net / CASH_SCALE:.2f}" for net in nets),
        f"{(nets[-1] - nets[0]) / CASH_SCALE:.2f}",
        "yes" if is_ordered(ran) else "no",
        " / ".join(str(ran[name].fills) for name in MODELS),
        " / ".join(str(ran[name].cycles) for name in MODELS),
        f"{week.in_quote(low.total):.2f}",
        f"{low.fills}, {low.cycles}",
        f"{week.in_quote(high.total):.2f}",
        f"{week.in_quote(low.held_value - low.start_value):.2f}",
    ]


def _said(setup: Setup, ran: list[dict[str, Run]]) -> str:
    spreads = [(each["optimistic"].net - each["pessimistic"].net) / CASH_SCALE for each in ran]
    apart = sum(spread != 0 for spread in spreads)
    ordered = sum(is_ordered(each) for each in ran)
    return (
        f"- {setup.title}: {ordered} of {len(ran)} weeks are ordered, {apart} differ at all; the spread is"
        f" {min(spreads):.2f} to {max(spreads):.2f} USDT, {max(spreads) / setup.cash * 1e4:.1f} bps of the"
        " account at most."
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
