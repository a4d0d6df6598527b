"""A market in units that can be reckoned by hand, views, triggers and accounts of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from decisions.inputs import MarketCosts
from grid.geometry import Spacing
from grid.parameters import GridParameters
from market.costs import Fees, Liquidity
from market.hours import Hour
from market.orders import CASH_SCALE, BestPrices, OrderFill, OrderKind, OrderRequest, OrderSide, OrderTerms
from market.window import MarketWindow, WindowQuality
from trading.trades import TradePlan, trade_id
from trading.values import AccountView, MarketView, Proposal, Trigger, TriggerKind

KEY, OTHER = "ETH-USDT", "SOL-USDT"
HOUR = Hour.parse("2026-02-02T14")
RULES = {
    "price_increment": Decimal("0.01"),
    "base_increment": Decimal("0.0001"),
    "base_min_size": Decimal("0.001"),
    "min_funds": Decimal("0.1"),
}
TERMS = OrderTerms.of(KEY, KEY, 100, RULES)
FREE = MarketCosts(Fees(maker_bps=0, taker_bps=0), Liquidity(half_spread_bps=0, slippage_bps=0, impact_bps=0))
USUAL = MarketCosts(
    Fees(maker_bps=10, taker_bps=10), Liquidity(half_spread_bps=1.5, slippage_bps=3.5, impact_bps=25)
)
LADDER = GridParameters(
    1, Decimal(1800), Decimal(2200), levels=10, spacing=Spacing.ARITHMETIC, amount_per_grid=Decimal(10**9)
)


def usdt(amount: str | int) -> int:
    """Return an amount of quote in cash units."""
    return int(Decimal(amount) * CASH_SCALE)


def view(**others: Any) -> MarketView:
    """Return a market whose window holds nothing; risk looks at costs, terms and age alone."""
    window = MarketWindow(KEY, HOUR, datetime(2026, 2, 2, 15, tzinfo=UTC), 100, 1, {}, {}, WindowQuality())
    facts: dict[str, Any] = {
        "key": KEY,
        "hour": HOUR,
        "window": window,
        "analysis": None,
        "terms": TERMS,
        "costs": FREE,
        "best": BestPrices(199_999, 200_001, HOUR.close_ts, recorded=False),
        "turnover_24h": 1e8,
    }
    return MarketView(**{**facts, **others})


def swing(**others: Any) -> Proposal:
    """Return a swing from 2,000 with its stop at 1,900 and its target at 2,200, of conviction 1."""
    facts: dict[str, Any] = {
        "signal": "momentum",
        "key": KEY,
        "hour": HOUR,
        "kind": TriggerKind.SWING,
        "strength": 1.0,
        "confidence": 1.0,
        "reason": "close 2000 above the highest high 1990 of 48 h",
        "price": 200_000,
        "stop": 190_000,
        "target": 220_000,
        "max_hold_h": 48,
    }
    return _proposal(facts, others)


def grid(**others: Any) -> Proposal:
    """Return a ladder of ten cells between 1,800 and 2,200."""
    facts: dict[str, Any] = {
        "signal": "grid",
        "key": KEY,
        "hour": HOUR,
        "kind": TriggerKind.GRID,
        "strength": 1.0,
        "confidence": 1.0,
        "reason": "a range that holds",
        "price": 200_000,
        "grid": LADDER,
    }
    return _proposal(facts, others)


def _proposal(facts: dict[str, Any], others: dict[str, Any]) -> Proposal:
    rule, multiplier = others.pop("rule", "RANGE"), others.pop("multiplier", 1.0)
    return Proposal(Trigger(**{**facts, **others}), rule, multiplier, "major")


def account(
    nav: str | int = 10_000,
    available: str | int | None = None,
    exposure: Mapping[str, str | int] | None = None,
) -> AccountView:
    """Return an account, by default of 10,000 in cash."""
    invested = {key: usdt(amount) for key, amount in (exposure or {}).items()}
    worth = usdt(nav)
    free = worth - sum(invested.values()) if available is None else usdt(available)
    return AccountView(worth, worth, free, invested)


def plan(key: str = KEY, signal: str = "momentum", **others: Any) -> TradePlan:
    """Return a trade of the hour; a grid where the signal is `grid`."""
    is_grid = signal == "grid"
    facts: dict[str, Any] = {
        "id": trade_id(key, HOUR, signal),
        "key": key,
        "signal": signal,
        "kind": TriggerKind.GRID if is_grid else TriggerKind.SWING,
        "reason": "because",
        "rule": "RANGE",
        "regime": "RANGE",
        "verdict": "RANGE_OK",
        "conviction": 0.5,
        "tier": "major",
        "why_this_size": "50.00 USDT at risk",
        "config_hash": "sha256:0",
        "opened": HOUR.iso(),
        "quote": "USDT",
        "base_scale": TERMS.base_scale,
        "nav_before": usdt(10_000),
        "risk_at_entry": None if is_grid else usdt(50),
    }
    return TradePlan(**{**facts, **others})


def terms_of(key: str) -> OrderTerms:
    """Return the same terms for any market."""
    return OrderTerms.of(key, key, 100, RULES)


def request(side: OrderSide, price: int, size: int, client_id: str = "o1", key: str = KEY) -> OrderRequest:
    return OrderRequest(client_id, key, side, OrderKind.LIMIT, price, size)


def fill(
    side: OrderSide,
    price: int,
    size: int,
    *,
    seen: int | None = None,
    fee: int = 0,
    maker: bool = True,
    ts: int = HOUR.close_ts + 60,
) -> OrderFill:
    """Return an execution whose cash follows from its prices."""
    seen = price if seen is None else seen
    cash, seen_cash = TERMS.cash_of(side, price, size), TERMS.cash_of(side, seen, size)
    return OrderFill(ts, price, seen, size, cash, seen_cash, fee, maker)
