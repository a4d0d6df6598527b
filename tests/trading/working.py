"""One plan at work on the simulated exchange, minute by minute: what tests of swings and ladders stand on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, TypeVar

from decisions.inputs import MarketCosts
from exchanges.simulated.fills import FillModel
from exchanges.simulated.venue import SimulatedExchange
from market.candles import bars_of
from market.costs import Fees, Liquidity
from market.hours import Timeframe
from market.orders import CASH_SCALE, OrderTerms
from market.ports import TradingExchange
from trading.books import Books
from trading.execution_config import ExecutionConfig
from trading.hands import Hands
from trading.ladder import LadderPlan, ladder_moved
from trading.ledger import Ledger
from trading.sending import Sending
from trading.swing import moved
from trading.swing_plan import Stage, SwingPlan
from trading.trades import TradePlan
from trading.values import TriggerKind

KEY = "ETH-USDT"
TERMS = OrderTerms(KEY, "ETH", "USDT", 100, 1000, 1, 1, 10, 10**7)  # prices in cents, coin in thousandths
FEES = Fees(maker_bps=10, taker_bps=20)
CHEAP = Liquidity(half_spread_bps=1, slippage_bps=1, impact_bps=0)
SURE = FillModel(queue_position=1.0, through_ticks=1, participation=1.0)
NAME = "trade-ETH-USDT-20260202T14-momentum"
PRICE = 200_000

Plan = TypeVar("Plan", SwingPlan, LadderPlan)


def trade_of(kind: TriggerKind, name: str = NAME) -> TradePlan:
    return TradePlan(
        name, KEY, "momentum", kind, "the price rose", "TREND_UP", "TREND_UP", "TREND", 0.5, "major",
        "by risk", "tests", "2026-02-02T14:00:00Z", "USDT", TERMS.base_scale, 10_000 * CASH_SCALE,
        CASH_SCALE if kind is TriggerKind.SWING else None,
    )  # fmt: skip


@dataclass
class Working(Generic[Plan]):
    """A plan, its books and the exchange; `minute` lets one pass and the plan react."""

    plan: Plan
    config: ExecutionConfig = field(default_factory=ExecutionConfig)
    model: FillModel = SURE
    cash: int = 10_000 * CASH_SCALE
    liquidity: Liquidity = CHEAP

    def __post_init__(self) -> None:
        self.exchange = SimulatedExchange(
            {KEY: TERMS}, {KEY: FEES}, {KEY: self.liquidity}, self.model, "USDT", self.cash, 0
        )
        kind = TriggerKind.SWING if isinstance(self.plan, SwingPlan) else TriggerKind.GRID
        self.books = Books(Ledger.of(self.cash, "USDT").opened(trade_of(kind)), {KEY: TERMS})
        self.orders: TradingExchange = self.exchange
        self.notes = []
        self.lows: dict[str, int] = {}
        self._add((PRICE, PRICE, PRICE, PRICE))

    def _add(self, row: tuple[int, int, int, int], volume: int = 10**9) -> int:
        ts = self.exchange.now_ts
        self.exchange.load(KEY, bars_of(Timeframe.M1, [(ts, *row, volume)]), TERMS.base_scale)
        self.exchange.advance(ts + 60)
        return ts + 60

    async def react(self) -> None:
        """Let the plan look at the present instant."""
        sending = Sending(self.orders, self.books)
        costs = {KEY: MarketCosts(FEES, self.liquidity)}
        hands = Hands(sending, self.config, {KEY: TERMS}, costs, self.books.held, {KEY: 1e6}, self.lows)
        move = moved if isinstance(self.plan, SwingPlan) else ladder_moved
        self.plan = await move(self.plan, hands, self.exchange.now_ts)  # type: ignore[arg-type, assignment]
        self.notes += sending.notes

    async def minute(self, *row: int, volume: int = 10**9) -> None:
        """Let one minute happen (open, high, low, close; one number stands for all) and react to it."""
        prices = row if len(row) == 4 else row * 4
        self._add(prices, volume)  # type: ignore[arg-type]
        self.lows[KEY] = min(prices)
        await self.react()
        self.lows.clear()

    @property
    def held(self) -> int:
        return self.books.held(NAME)

    @property
    def told(self) -> list[str]:
        """What happened, in order."""
        return [note.what for note in self.notes]

    @property
    def texts(self) -> str:
        return "\n".join(note.text for note in self.notes)

    @property
    def is_done(self) -> bool:
        return self.plan.stage is Stage.DONE

    async def agrees(self) -> bool:
        """Say whether books and exchange agree to the last unit."""
        balances = await self.exchange.balances()
        coin = balances["ETH"].total if "ETH" in balances else 0
        return balances["USDT"].total == self.books.ledger.cash and coin == self.held
