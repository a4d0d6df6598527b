"""Closed trades for tests of what reads the trade log."""

from __future__ import annotations

from dataclasses import replace

from market.hours import Hour
from market.orders import CASH_SCALE, OrderFill, OrderKind, OrderRequest, OrderSide, OrderTerms
from trading.ledger import Ledger
from trading.reasons import Reason
from trading.trades import TradePlan, TradeRecord
from trading.values import TriggerKind

TERMS = OrderTerms("ETH-USDT", "ETH", "USDT", 100, 10_000, 1, 1, 10, CASH_SCALE)
HASH = "sha256:" + "ab" * 32
NAV = 10_000 * CASH_SCALE


def closed_trade(
    name: str,
    hour: Hour,
    *,
    gain: int = 10,
    regime: str = "TREND_UP",
    key: str = "ETH-USDT",
    opened: Hour | None = None,
) -> TradeRecord:
    """Return a trade of 0.1 ETH bought at 2,000 that ended in the last minute but one of an hour.

    Args:
        gain: What a coin was sold for beyond the 2,000, quote.
    """
    entry = opened or hour.plus(-3)
    terms = replace(TERMS, key=key, base=key.partition("-")[0])
    plan = TradePlan(
        id=name,
        key=key,
        signal="momentum",
        kind=TriggerKind.SWING,
        reason="close 2000.00 above the highest high of 20 h, 1998.50",
        rule=regime,
        regime=regime,
        verdict="TREND",
        conviction=0.48,
        tier="liquid",
        why_this_size="risk_per_trade_pct: 0.5 % of 10000.00 at the stop",
        config_hash=HASH,
        opened=entry.iso(),
        quote="USDT",
        base_scale=terms.base_scale,
        nav_before=NAV,
        risk_at_entry=5 * CASH_SCALE,
    )
    buy = OrderRequest(f"{name}/entry-1", key, OrderSide.BUY, OrderKind.LIMIT, 200_000, 1_000, post_only=True)
    sale = OrderRequest(f"{name}/exit-1", key, OrderSide.SELL, OrderKind.OCO, 210_000, 1_000, 190_000)
    ledger = Ledger.of(NAV, "USDT").opened(plan)
    for order, at_ts, price, outcome, why in (
        (buy, entry.close_ts + 120, 200_000, "filled", "maker first: the bid"),
        (sale, hour.close_ts - 60, 200_000 + 100 * gain, "filled", "target and stop in one order"),
    ):
        cash = terms.cash_of(order.side, price, order.size)
        fill = OrderFill(at_ts, price, price, order.size, cash, cash, cash // 1000, maker=True)
        ledger = ledger.placed(name, order, terms, why).applied(name, order, fill, terms)
        ledger = ledger.order_ended(name, order.client_id, outcome)
    won = Reason.TARGET if gain > 0 else Reason.STOP
    return ledger.closed(name, won, hour.close_ts - 60, ledger.cash)[1]
