"""Settings for proposals: one written out, and drawn ones."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from grid.economics import TradingRules
from grid.proposal import Setting
from market.costs import LIQUIDITY_BY_TIER, Fees

RULES = TradingRules(Decimal("0.01"), Decimal("0.0001"), Decimal("0.001"), Decimal("0.1"))


def setting(**others: Any) -> Setting:
    """Return 1,800 to 2,200 at 2,000 with an ATR of 20, 800 to deploy at a round trip of 22 bps."""
    made = Setting(
        lower=1_800.0,
        upper=2_200.0,
        atr=20.0,
        price=2_000.0,
        rules=RULES,
        fees=Fees(),
        liquidity=LIQUIDITY_BY_TIER["major"],
        allocation=Decimal(800),
        deployable=Decimal(800),
        version=1,
    )
    return replace(made, **others)


@st.composite
def settings_(draw: st.DrawFn) -> Setting:
    """Return markets of any price, range, cost and capital; many give no grid."""
    scale = draw(st.sampled_from([0.0001, 0.1, 1.0, 30.0]))
    lower = draw(st.integers(500, 3_000)) * scale
    upper = lower * (1 + draw(st.integers(1, 600)) / 1_000)
    atr = (upper - lower) / draw(st.integers(4, 15))
    price = lower + (upper - lower) * draw(st.integers(-10, 110)) / 100
    allocation = Decimal(draw(st.integers(100, 10**7))) / 100
    increment = Decimal(repr(scale)) * draw(st.sampled_from([Decimal("0.001"), Decimal("0.01"), Decimal(1)]))
    fees = draw(st.sampled_from([0.0, 2.0, 10.0, 40.0, -1.0]))
    return Setting(
        lower=lower,
        upper=upper,
        atr=atr,
        price=price,
        rules=TradingRules(increment, Decimal("0.0001"), Decimal("0.001"), Decimal("0.1")),
        fees=Fees(maker_bps=fees, taker_bps=max(fees, 0)),
        liquidity=LIQUIDITY_BY_TIER[draw(st.sampled_from(["major", "thin"]))],
        allocation=allocation,
        deployable=allocation * draw(st.sampled_from([1, 2, Decimal("0.5")])),
        version=draw(st.integers(1, 5)),
    )
