"""A small made-up result in the form of a real one, for tests of whatever reads results."""

from __future__ import annotations

from dataclasses import replace

from backtest.analytics import analytics_of, cash_text
from backtest.kpis import trade_kpis
from backtest.result import BacktestResult
from exchanges.simulated.fills import EXPECTED
from market.hours import Hour
from market.orders import CASH_SCALE
from tests.trading.trades import HASH, NAV, closed_trade
from trading.trades import TradeRecord

START = Hour.parse("2026-02-02T00")
HOURS = 72
REGIMES = ("TREND_UP", "RANGE", "CHOPPY")
SIGNALS = ("momentum", "mean_reversion", "grid")


def sample_trades(count: int = 12) -> tuple[TradeRecord, ...]:
    """Return closed trades of two markets, three signals and three regimes; some won, some lost."""
    trades = []
    for number in range(count):
        trade = closed_trade(
            f"trade-sample-{number}",
            START.plus(4 + 5 * number),
            gain=(25, -12, 8, -30, 40)[number % 5],
            regime=REGIMES[number % 3],
            key=("ETH-USDT", "BTC-USDT")[number % 2],
            opened=START.plus(2 + 4 * number),
        )
        trades.append(replace(trade, signal=SIGNALS[number % 3]))
    return tuple(trades)


def sample_result(*, bracket: bool = True) -> BacktestResult:
    """Return three days of an account that ends a little above where it began."""
    trades = sample_trades()
    gained, nav, exposure = 0, [], []
    by_exit = {trade.exit_at[:13]: trade.net for trade in trades}
    for number in range(HOURS):
        hour = START.plus(number)
        gained += by_exit.get(hour.iso()[:13], 0)
        nav.append(NAV + gained + (number % 7 - 3) * CASH_SCALE)
        exposure.append(0 if number % 4 == 0 else 200 * CASH_SCALE)
    three = {
        name: {"net": cash_text(nav[-1] - NAV + shift * CASH_SCALE), "trades": len(trades) + more}
        for name, shift, more in (("pessimistic", -9, -1), ("expected", 0, 0), ("optimistic", 7, 2))
    }
    return BacktestResult(
        strategy="policy",
        keys=("BTC-USDT", "ETH-USDT"),
        start=START.iso(),
        end=START.plus(HOURS).iso(),
        config_hash=HASH,
        data_digest="sha256:" + "cd" * 32,
        fill_model=EXPECTED,
        capital=cash_text(NAV),
        hours=tuple(START.plus(number).iso() for number in range(HOURS)),
        nav=tuple(map(cash_text, nav)),
        exposure=tuple(map(cash_text, exposure)),
        baselines={
            "cash": (cash_text(NAV),) * HOURS,
            "hold": tuple(cash_text(NAV + (number - 20) * CASH_SCALE) for number in range(HOURS)),
            "always_on_grid": tuple(cash_text(NAV - number * CASH_SCALE // 3) for number in range(HOURS)),
        },
        trades=trades,
        orders={"placed": 24, "filled": 24},
        refusals={"ALREADY_IN_POSITION": 7, "REGIME_CASH_ONLY": 19},
        analytics=analytics_of(trades, nav, exposure, NAV),
        kpis={"trades": trade_kpis(trades, HOURS), "advice": None},
        bracket=three if bracket else None,
        notes=("order rules of ETH-USDT inferred from the decimals of its recorded prices",),
    )
