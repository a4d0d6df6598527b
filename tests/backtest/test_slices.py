"""Fixed stretches of recorded markets: as many trades as ever, the same sign, no rule broken."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest

from backtest.analytics import FEWEST_TRADES
from backtest.engine import BacktestEngine
from backtest.result import BacktestResult
from market.hours import Hour, parse_instant
from tests.backtest.candles import recorded_source
from tests.trading.desks import CASH, policy_of
from trading.pacing import PacingConfig
from trading.risk import RiskConfig
from trading.rules import PolicyConfig, RulesEngine
from trading.signals.registry import SIGNALS

NAMES = ("TREND_UP", "TREND_DOWN", "RANGE", "CHOPPY", "NEUTRAL")
EVERYWHERE = PolicyConfig.model_validate(
    {"regimes": {name: {"signals": list(SIGNALS), "sizing": 1.0} for name in NAMES}}
)
DRIFT = 1.05  # what was bought within a cap may rise


@dataclass(frozen=True)
class Slice:
    """A stretch and what is expected of it.

    Attributes:
        start, end: Hours, half-open.
        rules: None for the default policy.
        trades: Closed ones.
        net: Sign of what they made.
        by_signal: How many each signal made.
    """

    keys: tuple[str, ...]
    start: str
    end: str
    rules: PolicyConfig | None
    trades: int
    net: int
    by_signal: dict[str, int]

    def __post_init__(self) -> None:
        assert self.trades >= FEWEST_TRADES, f"{self.trades} trades show nothing; widen the slice"
        assert sum(self.by_signal.values()) == self.trades

    def run(self, data: Path) -> BacktestResult:
        rules = {} if self.rules is None else {"rules": RulesEngine(self.rules)}
        engine = BacktestEngine(policy_of(list(self.keys), **rules), CASH)
        return engine.run(
            "policy", recorded_source(data, list(self.keys)), *map(Hour.parse, (self.start, self.end))
        )


BOTH = ("BTC-USDT", "ETH-USDT")
JUNE = Slice(
    BOTH,
    "2025-05-25T00",
    "2025-06-25T00",
    EVERYWHERE,
    trades=36,
    net=-1,
    by_signal={"grid": 2, "mean_reversion": 17, "momentum": 9, "price_move": 3, "regime": 5},
)
SUMMER = Slice(
    BOTH,
    "2025-05-20T00",
    "2025-07-27T00",
    None,
    trades=58,
    net=1,
    by_signal={"grid": 2, "mean_reversion": 11, "momentum": 16, "price_move": 7, "regime": 22},
)
WINTER = Slice(
    ("SOL-USDT",),
    "2023-12-01T03",
    "2024-02-16T20",
    None,
    trades=39,
    net=-1,
    by_signal={"grid": 4, "mean_reversion": 12, "momentum": 14, "price_move": 2, "regime": 7},
)
SLICES = [
    pytest.param(JUNE, id="June 2025, every signal in every regime"),
    pytest.param(SUMMER, id="summer of 2025, the default policy"),
    pytest.param(WINTER, id="SOL in the winter of 2023/24, the default policy"),
]


def test_a_slice_of_few_trades_is_no_slice():
    """Fewer than 30 show nothing: it cannot even be written down."""
    with pytest.raises(AssertionError, match="29 trades show nothing"):
        replace(WINTER, trades=29, by_signal={"momentum": 29})


@pytest.mark.check
@pytest.mark.parametrize("stretch", SLICES)
def test_a_stretch_trades_as_it_always_did_and_breaks_no_rule(recorded_data, stretch: Slice):
    """Counts and signs by signal, one trade a market, pacing, caps, and sums to the last unit."""
    found = stretch.run(recorded_data)
    counts = Counter(trade.signal for trade in found.trades)
    net = sum(trade.net for trade in found.trades)
    assert (len(found.trades), dict(counts)) == (stretch.trades, stretch.by_signal), net
    assert (net > 0) - (net < 0) == stretch.net, net
    for key in stretch.keys:
        own = sorted((each for each in found.trades if each.key == key), key=lambda each: each.opened)
        for earlier, later in pairwise(own):
            assert parse_instant(earlier.exit_at) <= Hour.parse(later.opened).closes_at
    pacing, risk = PacingConfig(), RiskConfig()
    assert max(Counter(each.opened for each in found.trades).values()) <= pacing.max_trades_per_hour
    assert max(Counter(each.opened[:10] for each in found.trades).values()) <= pacing.max_trades_per_day
    cap = Decimal(risk.total_exposure_cap_pct / 100 * DRIFT)
    for nav, exposure in zip(found.nav, found.exposure, strict=True):
        assert 0 <= Decimal(exposure) <= Decimal(nav) * cap
    for trade in found.trades:
        assert trade.edge - trade.slippage - trade.fees == trade.net
        assert Decimal(trade.sold) <= Decimal(trade.bought) and Decimal(trade.base_after) >= 0
