"""What one hour of the desk found and did, for its record and for whoever asks why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from market.hours import Hour, instant_iso, instant_of_ts
from trading.sending import OrderNote
from trading.trades import TradeRecord
from trading.values import AccountView, Proposal, Refusal, Sized, Trigger


@dataclass(frozen=True, slots=True)
class TriggerNote:
    """A trigger and what became of it.

    Attributes:
        stage: Who decided: `rules`, `risk` or `pacing`.
        refusal: Why not; None where it was accepted.
        sized: As accepted; None where it was not.
        trade_id: Of the trade that began.
    """

    trigger: Trigger
    stage: str
    refusal: Refusal | None = None
    proposal: Proposal | None = None
    sized: Sized | None = None
    trade_id: str | None = None

    def as_value(self) -> dict[str, Any]:
        """Return the note as a record holds it."""
        trigger, sized = self.trigger, self.sized
        return {
            "key": trigger.key,
            "signal": trigger.signal,
            "kind": trigger.kind.value,
            "strength": trigger.strength,
            "confidence": trigger.confidence,
            "conviction": trigger.conviction,
            "reason": trigger.reason,
            "price": trigger.price,
            "stop": trigger.stop,
            "target": trigger.target,
            "max_hold_h": trigger.max_hold_h,
            "rule": None if self.proposal is None else self.proposal.rule,
            "multiplier": None if self.proposal is None else self.proposal.multiplier,
            "decided_by": self.stage,
            "accepted": self.refusal is None,
            "refusal": refusal_value(self.refusal),
            "size": None if sized is None else sized.size,
            "budget": None if sized is None else sized.budget,
            "why_this_size": None if sized is None else sized.why_this_size,
            "trade": self.trade_id,
        }


@dataclass(frozen=True, slots=True)
class MarketNote:
    """What the desk saw of one market."""

    regime: str
    verdict: str | None
    tier: str | None
    refusal: Refusal | None
    advice: str | None


@dataclass(frozen=True, slots=True)
class DeskReport:
    """One hour of the desk.

    Attributes:
        markets: What was seen of each, and whether it is traded.
        triggers: In the order in which they were judged.
        orders: What happened to orders in the hour and at its close, in order.
        trades: Trades that ended.
        account: At the close.
        open_trades: Their ids.
        stopped_by: The breakers that are tripped, in words.
    """

    hour: Hour
    markets: Mapping[str, MarketNote]
    triggers: tuple[TriggerNote, ...]
    orders: tuple[OrderNote, ...]
    trades: tuple[TradeRecord, ...]
    account: AccountView
    open_trades: tuple[str, ...]
    stopped_by: tuple[str, ...] = field(default=())

    @property
    def placed(self) -> int:
        """Orders that were placed."""
        return sum(note.what == "placed" for note in self.orders)

    def as_value(self) -> dict[str, Any]:
        """Return the report as the hour's record holds it; amounts in cash units."""
        account = self.account
        return {
            "markets": {
                key: {
                    "regime": note.regime,
                    "verdict": note.verdict,
                    "tier": note.tier,
                    "refusal": refusal_value(note.refusal),
                    "advice": note.advice,
                }
                for key, note in sorted(self.markets.items())
            },
            "triggers": [note.as_value() for note in self.triggers],
            "orders": [
                {**asdict(note), "at_ts": instant_iso(instant_of_ts(note.at_ts))} for note in self.orders
            ],
            "trades": [trade.id for trade in self.trades],
            "open_trades": list(self.open_trades),
            "stopped_by": list(self.stopped_by),
            "account": {
                "nav": account.nav,
                "peak_nav": account.peak_nav,
                "available": account.available,
                "exposure": dict(sorted(account.exposure.items())),
            },
        }


def refusal_value(refusal: Refusal | None) -> dict[str, str] | None:
    """Return a refusal as a record holds it."""
    if refusal is None:
        return None
    return {"reason": refusal.reason.value, "found": refusal.found, "limit": refusal.limit}
