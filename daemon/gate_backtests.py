"""Backtests as evidence for the decision gate: only one that can be checked against the record counts.

A result counts where it is the whole policy under the configuration that is to be unlocked, over the very
hours that the repository holds (by digest), from the first hour under that configuration on, and a month or
longer. Those hours are out of sample by the record itself: no setting can have been chosen on what came after
it was in force; of recorded candles of other times nobody can show that. Beginning and markets are not the
operator's choice, so nothing can be picked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backtest.comparison import compare, of_result
from backtest.data import DataDigest, RepositorySource
from backtest.engine import POLICY
from backtest.paper import paper_of
from backtest.report_form import Reported, checked
from backtest.result import read_result
from backtest.result_files import RESULT, result_in
from daemon.backtest_rules import BacktestRules, rules_recorded
from market.errors import DataInvalid, RepositoryUnusable
from market.hours import Hour
from market.orders import CASH_SCALE
from market.units import from_scaled
from store import disk
from store.desk_files import DeskFile, desk_hours, read_desk
from trading.comparing import Tolerance
from trading.gate import MONTH_H

Told = Callable[[], None]


@dataclass(frozen=True, slots=True)
class GateBacktest:
    """A named result, and whether it counts.

    Attributes:
        file: Where it lies.
        problems: Why it does not count; empty where it does.
        net: Net profit of its closed trades by regime, cash units.
        comparison: Paper beside it; None where too few days are in both.
    """

    file: str
    problems: tuple[str, ...]
    end: Hour | None = None
    net: Mapping[str, int] = field(default_factory=dict)
    comparison: Tolerance | None = None

    def as_value(self) -> dict[str, Any]:
        """Return it ready for JSON."""
        return {"file": self.file, "counts": not self.problems, "problems": list(self.problems)}


def results_in(named: Path) -> list[Path]:
    """Return the results that a path names: a file, a result's folder, or a folder of such folders."""
    if (one := result_in(named)).is_file():
        return [one]
    return [file for name in disk.names_in(named) if (file := named / name / RESULT).is_file()]


def in_force_since(root: Path, newest: DeskFile) -> Hour:
    """Return the first of the desk's hours, up to the newest, under the configuration of the newest."""
    since = newest.of_hour
    for hour in desk_hours(root):
        file = read_desk(root, hour)
        if file is None or file.config_hash != newest.config_hash:
            break
        since = hour
    return since


def checked_backtest(file: Path, root: Path, newest: DeskFile, told: Told = lambda: None) -> GateBacktest:
    """Return whether a result counts as evidence, and what it shows.

    Args:
        file: The result.
        root: The repository.
        newest: The desk's newest record, under the configuration that is to be unlocked.
        told: Called for each hour that is read for the digest.
    """
    try:
        value = read_result(file.read_bytes(), str(file))
        result, trades = checked(value, str(file))
        rules = rules_recorded(root, newest.config_hash)
    except (DataInvalid, OSError) as error:
        return GateBacktest(str(file), (str(error),))
    problems = list(_of_rules(result, rules, newest)) + list(_of_span(result, root, newest))
    if not problems:  # only then its hours are those of the record
        problems = list(_of_data(result, root, rules, told))
    if problems:
        return GateBacktest(str(file), tuple(problems))
    net: Counter[str] = Counter()
    for trade in trades:
        net[trade.regime] += trade.net
    try:
        comparison = compare(of_result(value, str(file)), paper_of(root)).tolerance
    except DataInvalid:
        comparison = None
    return GateBacktest(str(file), (), result.end, dict(net), comparison)


def best_of(found: Sequence[GateBacktest]) -> GateBacktest | None:
    """Return the one that counts and goes furthest; all begin with the same hour, so it holds the others."""
    ends = [(each.end, each) for each in found if each.end is not None]
    return max(ends, key=lambda each: each[0])[1] if ends else None


def _of_rules(result: Reported, rules: BacktestRules, newest: DeskFile) -> Iterator[str]:
    if result.strategy != POLICY:
        yield f"strategy {result.strategy}, expected {POLICY}: the desk trades by all of it"
    if result.config_hash != newest.config_hash:
        yield f"config_hash {result.config_hash}, expected {newest.config_hash}"
    markets = sorted({*newest.markets, *newest.absent})
    if sorted(result.keys) != markets:
        yield f"markets {', '.join(result.keys)}, expected {', '.join(markets)}: those of the desk"
    if result.capital != from_scaled(rules.trading.cash, CASH_SCALE):
        yield f"capital {result.capital}, expected {from_scaled(rules.trading.cash, CASH_SCALE)}"
    expected = rules.trading.fills.model_dump(mode="json")
    for name in sorted({*expected, *result.fill_model}):
        if (there := result.fill_model.get(name)) != expected.get(name):
            yield f"fill_model.{name} {there}, expected {expected.get(name)}: as configured"


def _of_span(result: Reported, root: Path, newest: DeskFile) -> Iterator[str]:
    since, hours = in_force_since(root, newest), len(result.hours)
    if result.start != since:
        side = "in sample" if result.start < since else "hours are left out"
        yield f"begins {result.start}, expected {since}, the first hour under this configuration: {side}"
    if hours < MONTH_H:
        yield f"{hours} h, expected {MONTH_H} (30 days) or more"


def _of_data(result: Reported, root: Path, rules: BacktestRules, told: Told) -> Iterator[str]:
    """Yield what is wrong with the data: the digest is taken anew from the repository's own hours."""
    digest = DataDigest()
    try:
        source = RepositorySource(
            root,
            result.keys,
            max_missing_minutes=rules.policy.judging.max_missing_minutes,
            timeframes=rules.timeframes,
        )
        for hour, markets in source.hours(result.start, result.end):
            digest.take(hour, markets)
            told()
    except (DataInvalid, RepositoryUnusable) as error:
        yield f"its hours cannot be read from the repository: {error}"
        return
    if digest.value != result.data_digest:
        yield f"data_digest {result.data_digest}, expected {digest.value}: not the hours of this repository"
