"""What a repository shows for the decision gate, and the refusal of `mode: live` while it is not enough."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from daemon.gate_backtests import GateBacktest, best_of, checked_backtest
from daemon.settings import Settings
from market.errors import ConfigInvalid
from market.hours import Hour, parse_instant
from market.orders import CASH_SCALE
from store.desk_files import DeskFile, desk_hours, newest_desk, read_desk
from store.trade_files import trades_of
from trading.gate import GateEvidence, Missing, missing

NO_HOUR = "the desk has no hour under this configuration to hold it against"


@dataclass(frozen=True, slots=True)
class GateReport:
    """The evidence, and what it still lacks.

    Attributes:
        config_hash: The paper configuration that was counted; None where there is none on record.
        first, newest: Its hours without a hole.
        paper_net: Net profit of its closed trades by regime, cash units.
        backtests: Those that were named, each with why it does not count.
    """

    evidence: GateEvidence
    lacks: tuple[Missing, ...]
    config_hash: str | None = None
    first: Hour | None = None
    newest: Hour | None = None
    paper_net: dict[str, int] = field(default_factory=dict)
    backtests: tuple[GateBacktest, ...] = ()

    def as_value(self) -> dict[str, Any]:
        """Return the report ready for JSON."""
        return {
            "met": not self.lacks,
            "missing": [
                {"item": each.item, "found": each.found, "needed": each.needed} for each in self.lacks
            ],
            "backtests": [each.as_value() for each in self.backtests],
            "paper": {
                "config_hash": self.config_hash,
                "from": None if self.first is None else str(self.first),
                "to": None if self.newest is None else str(self.newest.plus(1)),
                "hours": self.evidence.paper_hours,
                "trades": self.evidence.paper_trades,
                "net": {regime: f"{quote(cash):.2f}" for regime, cash in self.paper_net.items()},
            },
        }


def gate_report(
    root: Path,
    paper_hash: str | None = None,
    backtests: Sequence[Path] = (),
    told: Callable[[], None] = lambda: None,
) -> GateReport:
    """Return what a repository shows.

    Args:
        root: The data repository.
        paper_hash: The paper configuration whose hours count; that of the desk's newest hour when left out.
        backtests: Results that shall count.
        told: Called for each hour of theirs that is read.

    Raises:
        DataInvalid: A record is corrupt: what cannot be read is no evidence.
    """
    newest = newest_desk(root)
    if newest is None or (paper_hash is not None and newest.config_hash != paper_hash):
        unseen = tuple(GateBacktest(str(file), (NO_HOUR,)) for file in backtests)
        evidence = GateEvidence(breakers=_breakers(newest), refused_backtests=_refused(unseen))
        return GateReport(evidence, missing(evidence), paper_hash, backtests=unseen)
    first, hours = _without_a_hole(root, newest)
    ours = [
        trade
        for trade in trades_of(root)
        if trade.config_hash == newest.config_hash and parse_instant(trade.exit_at) > first.opens_at
    ]
    net: Counter[str] = Counter()
    for trade in ours:
        net[trade.regime] += trade.net
    named = tuple(checked_backtest(file, root, newest, told) for file in backtests)
    best = best_of(named)
    evidence = GateEvidence(
        hours,
        len(ours),
        None if best is None else best.net,
        None if best is None else best.comparison,
        _breakers(newest),
        refused_backtests=_refused(named),
    )
    by_regime = dict(sorted(net.items()))
    return GateReport(
        evidence, missing(evidence), newest.config_hash, first, newest.of_hour, by_regime, named
    )


def refuse_live(settings: Settings) -> None:
    """Refuse `mode: live`: this program has no way to send a real order, whatever else is shown.

    Raises:
        ConfigInvalid: With every item that the gate lacks.
    """
    if settings.mode == "live":
        report = gate_report(settings.data_repository.base_path, settings.paper_hash())
        raise ConfigInvalid(
            "mode: live is refused until the decision gate is met (`regimed gate`); use paper or advise",
            *(f"mode: live: {each}" for each in report.lacks),
        )


def quote(cash: int) -> Decimal:
    """Return cash units in quote coin."""
    return Decimal(cash) / CASH_SCALE


def _refused(backtests: Sequence[GateBacktest]) -> tuple[str, ...]:
    """Return the first reason of each that does not count; the report holds them all."""
    return tuple(f"{each.file}: {each.problems[0]}" for each in backtests if each.problems)


def _breakers(newest: DeskFile | None) -> tuple[str, ...]:
    return () if newest is None else tuple(newest.hour_report["stopped_by"])


def _without_a_hole(root: Path, newest: DeskFile) -> tuple[Hour, int]:
    """Return the first of the hours in a row up to the newest, under its configuration, and their count."""
    first, count = newest.of_hour, 0
    for hour in desk_hours(root):
        if hour != newest.of_hour.plus(-count):
            break
        file = read_desk(root, hour)
        if file is None or file.config_hash != newest.config_hash:
            break
        first, count = hour, count + 1
    return first, count
