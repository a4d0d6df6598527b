"""The decision gate: what must be shown, on recorded evidence, before real money may be traded.

Chapter 7: all critical items done, positive net profit after fees across more than one regime out of sample,
and at least a month of paper trading within tolerance of the backtest. Nothing here is an opinion; an item
without evidence is missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from market.orders import CASH_SCALE
from trading.comparing import WITHIN, Tolerance

MONTH_H = 30 * 24
FEWEST_TRADES = 30
FEWEST_REGIMES = 2


@dataclass(frozen=True, slots=True)
class GateEvidence:
    """What the repository shows; cash units.

    Attributes:
        paper_hours: Desk hours recorded under the present configuration, without a hole.
        paper_trades: Closed trades of these hours.
        backtest_net: Net profit out of sample by regime; None where no backtest is recorded.
        comparison: Paper beside its backtest; None where they were not compared.
        breakers: Breakers that are tripped now, in words.
        live_client: Whether this program can send an order to a real exchange.
        refused_backtests: Why none of the named backtests counts, a reason each.
    """

    paper_hours: int = 0
    paper_trades: int = 0
    backtest_net: Mapping[str, int] | None = None
    comparison: Tolerance | None = None
    breakers: tuple[str, ...] = field(default=())
    live_client: bool = False
    refused_backtests: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Missing:
    """One item that the gate still lacks."""

    item: str
    found: str
    needed: str

    def __str__(self) -> str:
        return f"{self.item}: found {self.found}, needed {self.needed}"


def missing(evidence: GateEvidence) -> tuple[Missing, ...]:
    """Return what is still to be shown, in the order in which it can be; empty where live may be unlocked."""
    found = []
    if not evidence.live_client:
        found.append(
            Missing("live execution", "clients that only read", "an exchange client that sends orders")
        )
    found += _of_backtests(evidence.backtest_net, evidence.refused_backtests)
    if evidence.paper_hours < MONTH_H:
        found.append(
            Missing("paper trading", f"{evidence.paper_hours} h without a hole", f"{MONTH_H} h (30 days)")
        )
    if evidence.paper_trades < FEWEST_TRADES:
        found.append(
            Missing("paper trades", str(evidence.paper_trades), f"{FEWEST_TRADES} or more closed trades")
        )
    if evidence.comparison is None:
        found.append(Missing("paper against backtest", "no comparison", WITHIN))
    elif not evidence.comparison.holds:
        found.append(Missing("paper against backtest", str(evidence.comparison), WITHIN))
    if evidence.breakers:
        found.append(Missing("circuit breakers", "; ".join(evidence.breakers), "none tripped"))
    return tuple(found)


def _of_backtests(net: Mapping[str, int] | None, refused: tuple[str, ...]) -> list[Missing]:
    needed = f"net profit after fees in {FEWEST_REGIMES} regimes or more, out of sample"
    if net is None:
        return [Missing("backtest out of sample", "; ".join(refused) or "none recorded", needed)]
    gains = sorted(regime for regime, cash in net.items() if cash > 0)
    if sum(net.values()) > 0 and len(gains) >= FEWEST_REGIMES:
        return []
    told = ", ".join(f"{regime} {cash / CASH_SCALE:.2f}" for regime, cash in sorted(net.items()))
    return [Missing("backtest out of sample", told or "no trade", needed)]
