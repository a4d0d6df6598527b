"""The daily digest: one quiet note that all is clear, or what is not. Pure.

It is the heartbeat too: a day without it means that nobody is watching.
"""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import Enum

from decisions.actions import Answer
from decisions.recommendation import Action
from exits.states import ExitState
from notifications.notice import MOST_BODY, MOST_TITLE, Kind, Level, Notice

_MOST_LINE = 200
_MOST_NAMED = 3  # markets in trouble for one reason
_ANSWERED = {Answer.ACCEPT: "accepted", Answer.DECLINE: "declined"}


class Trouble(Enum):
    """What is not well with a market; the value is how a title says it."""

    NONE = ""
    STALE = "stale"
    UNJUDGED = "not judged"
    OTHER = "in trouble"


@dataclass(frozen=True, slots=True)
class MarketFacts:
    """One market after its newest judged hour; prices in quote, probability in [0, 1].

    Attributes:
        trouble: Whether advice can be relied on.
        problem: Why not, in words; `""` where nothing is wrong.
    """

    key: str
    verdict: str | None
    hold_probability: float | None
    price: float | None
    lower: float | None
    upper: float | None
    trouble: Trouble = Trouble.NONE
    problem: str = ""


@dataclass(frozen=True, slots=True)
class GridFacts:
    """One running grid after the newest judged hour.

    Attributes:
        since: When its exit state began.
        quote: Coin that profit is counted in.
        profit: Simulated, after fees, under all its versions; None where the position is not known.
        profit_pct: Of the allocation.
        stop: Whether it has a stop-loss; None where that is not known.
        stop_distance_pct: How far the price must fall to the stop, % of the price; 0 or less once there.
        as_of: Close of the hour that this is of, where that is too long ago; None where it is fresh.
    """

    grid_id: str
    exit_state: ExitState
    since: datetime
    quote: str
    profit: float | None
    profit_pct: float | None
    stop: bool | None
    stop_distance_pct: float | None
    as_of: datetime | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """Advice that waits for an answer; `until` is None where the next hour replaces it."""

    id: str
    grid_id: str
    action: Action
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Change:
    """Something of the last 24 hours, in words that name the grid."""

    at: datetime
    words: str


@dataclass(frozen=True, slots=True)
class Budget:
    """The alert budget of the newest KPI record, over the 30 days that end with `day`.

    Attributes:
        per_week: Alerts a week; None where no grid ran.
        false_share: Share false, in [0, 1]; None where too few alerts could be judged.
        false_n: Alerts that could be judged.
    """

    day: str
    per_week: float | None
    false_share: float | None
    false_n: int


@dataclass(frozen=True, slots=True)
class DigestFacts:
    """All that the digest is made from.

    Attributes:
        at: When they were gathered.
        expired: Recommendations of the last 24 hours that ran out unanswered.
        hours_recorded, hours_due: Judged hours of the last 24 of each market, and how many there should be.
        notes: What /health does not find well, beside the markets.
    """

    at: datetime
    markets: tuple[MarketFacts, ...]
    grids: tuple[GridFacts, ...] = ()
    waiting: tuple[Waiting, ...] = ()
    changes: tuple[Change, ...] = ()
    expired: int = 0
    budget: Budget | None = None
    hours_recorded: int = 0
    hours_due: int = 0
    notes: tuple[str, ...] = ()


def moved(at: datetime, grid_id: str, before: ExitState, state: ExitState, reasons: Sequence[str]) -> Change:
    """Return the change that a grid entered another exit state."""
    why = f": {reasons[0]}" if reasons else ""
    return Change(at, f"{grid_id} {before} to {state}{why}")


def advised(at: datetime, grid_id: str, action: Action) -> Change:
    """Return the change that something was advised that had not been advised the hour before."""
    return Change(at, f"{grid_id} {action} advised")


def answered(at: datetime, grid_id: str, action: Action, answer: Answer, actor: str) -> Change:
    """Return the change that somebody accepted or declined."""
    return Change(at, f"{grid_id} {action} {_ANSWERED[answer]} by {actor}")


def digest_notice(facts: DigestFacts, day: date) -> Notice:
    """Return the digest of a day: quiet, once, what is not well first."""
    wrong = _wrong(facts)
    running = "no grid" if not facts.grids else _count(len(facts.grids), "grid")
    clear = f"All clear: {_count(len(facts.markets), 'market')}, {running} running"
    title = ", ".join(wrong) if wrong else clear
    return Notice(
        dedupe=f"digest/{day:%Y-%m-%d}",
        market="",
        level=Level.QUIET,
        title=title[:MOST_TITLE],
        body=_fitted(_sections(facts)),
        at=facts.at,
        kind=Kind.DIGEST,
    )


def _wrong(facts: DigestFacts) -> list[str]:
    """Return what keeps the day from being all clear, the most urgent first; empty where nothing does."""
    states = Counter(grid.exit_state for grid in facts.grids)
    troubles = Counter(market.trouble for market in facts.markets)
    missing = facts.hours_due - facts.hours_recorded
    found = [
        (states[state], f"grid at {state}", f"grids at {state}")
        for state in reversed(ExitState)
        if state is not ExitState.NORMAL
    ]
    found.append((len(facts.waiting), "answer wanted", "answers wanted"))
    found += [
        (troubles[trouble], f"market {trouble.value}", f"markets {trouble.value}")
        for trouble in Trouble
        if trouble is not Trouble.NONE
    ]
    found.append((missing, "hour missing", "hours missing"))
    found.append((len(facts.notes), "health note", "health notes"))
    return [f"{count} {one if count == 1 else many}" for count, one, many in found if count > 0]


@dataclass(frozen=True, slots=True)
class _Section:
    """Lines that belong together, the most important first.

    Attributes:
        one, many: What a line is about, and several are.
        counts: Of how many each line tells; of one where left out.
        head: Stands above them, where any is shown.
        is_cut: Whether lines may be left out at all.
    """

    lines: list[str]
    one: str
    many: str
    head: list[str] = field(default_factory=list)
    is_cut: bool = True
    counts: list[int] = field(default_factory=list)

    def cut(self, kept: int) -> list[str]:
        """Return the first lines, and how many more there are."""
        left = sum(self.counts[kept:]) if self.counts else len(self.lines) - kept
        if left == 0:
            return [*(self.head if self.lines else []), *self.lines]
        noun = self.one if left == 1 else self.many
        more = f"and {left} more {noun}" if kept else f"{left} {noun}"
        return [*(self.head if kept else []), *self.lines[:kept], more]

    def within(self, room: int) -> list[str]:
        """Return as many lines as fit, at least their count."""
        sizes = range(len(self.lines), 0, -1)
        return next((cut for kept in sizes if _size(cut := self.cut(kept)) <= room), self.cut(0))

    @property
    def least(self) -> int:
        whole = _size(self.cut(len(self.lines)))
        return min(_size(self.cut(0)), whole) if self.is_cut else whole


def _size(lines: Iterable[str]) -> int:
    return sum(len(line) + 1 for line in lines)


def _fitted(sections: Sequence[_Section]) -> str:
    """Return the sections in whole lines; a later one keeps at least its count, however long the others."""
    lines: list[str] = []
    for index, section in enumerate(sections):
        later = sum(each.least for each in sections[index + 1 :])
        lines += section.within(MOST_BODY + 1 - _size(lines) - later)
    return "\n".join(lines)


def _sections(facts: DigestFacts) -> list[_Section]:
    grids = sorted(facts.grids, key=lambda grid: (-grid.exit_state.rank, grid.grid_id))
    markets = _markets(facts.markets)
    changes = sorted(facts.changes, key=lambda change: change.at, reverse=True)
    expired = [f"{facts.expired} expired unanswered"] if facts.expired else []
    return [
        _Section([_waiting(each) for each in facts.waiting], "answer wanted", "answers wanted"),
        _Section([_grid(grid) for grid in grids], "grid", "grids"),
        _Section(list(markets), "market", "markets", counts=list(markets.values())),
        _Section([_line(f"Health: {note}") for note in facts.notes], "health note", "health notes"),
        _Section(
            [*(_line(f"{change.at:%H:%M} {change.words}") for change in changes), *expired],
            "change",
            "changes",
            ["Last 24 h, UTC:"],
        ),
        _Section([_budget(facts.budget), _hours(facts)], "figure", "figures", is_cut=False),
    ]


def _line(text: str) -> str:
    """Return words that others chose, on one line of a bounded length."""
    return textwrap.shorten(text, _MOST_LINE, placeholder=" …")


def _waiting(advice: Waiting) -> str:
    until = "until the next hour" if advice.until is None else f"until {_instant(advice.until)}"
    return f"{advice.grid_id} {advice.action} wants your answer {until}: {advice.id}"


def _grid(grid: GridFacts) -> str:
    parts = [f"{grid.grid_id} {grid.exit_state} since {_instant(grid.since)}"]
    if grid.profit is None:
        parts.append("profit not known")
    else:
        share = "" if grid.profit_pct is None else f" ({grid.profit_pct:+.1f} %)"
        parts.append(f"{grid.profit:+.2f} {grid.quote}{share} after fees, simulated")
    if grid.stop is None:
        parts.append("stop distance not known")
    elif not grid.stop:
        parts.append("no stop-loss")
    elif grid.stop_distance_pct is not None and grid.stop_distance_pct > 0:
        parts.append(f"stop {grid.stop_distance_pct:.1f} % below")
    else:
        parts.append("at its stop")
    if grid.as_of is not None:
        parts.append(f"as of {_instant(grid.as_of)}")
    return ", ".join(parts)


def _markets(markets: Sequence[MarketFacts]) -> dict[str, int]:
    """Return the lines about markets, trouble first, and of how many each tells: one cause is one line."""
    lines: dict[str, int] = {}
    troubled = [market for market in markets if market.trouble is not Trouble.NONE]
    by_cause: dict[tuple[Trouble, str], list[str]] = {}
    for market in sorted(troubled, key=lambda each: each.key):
        by_cause.setdefault((market.trouble, market.problem), []).append(market.key)
    for (trouble, problem), keys in by_cause.items():
        more = f" and {len(keys) - _MOST_NAMED} more" if len(keys) > _MOST_NAMED else ""
        named = ", ".join(keys[:_MOST_NAMED])
        lines[_line(f"{named}{more} {trouble.value}: {problem}")] = len(keys)
    calm = sorted((market for market in markets if market.trouble is Trouble.NONE), key=lambda each: each.key)
    return lines | {_market(market): 1 for market in calm}


def _market(market: MarketFacts) -> str:
    sure = "" if market.hold_probability is None else f", p {market.hold_probability:.2f} to hold 24 h"
    return f"{market.key} {market.verdict}{sure}{_place(market)}"


def _place(market: MarketFacts) -> str:
    price, lower, upper = market.price, market.lower, market.upper
    if price is None or lower is None or upper is None:
        return ""
    where = "in" if lower <= price <= upper else "below" if price < lower else "above"
    return f", {_price(price)} {where} [{_price(lower)}, {_price(upper)}]"


def _budget(budget: Budget | None) -> str:
    if budget is None:
        return "Alerts: no KPI day is recorded yet"
    if budget.per_week is None:
        return f"Alerts in the 30 days to {budget.day}: no grid ran"
    false = "insufficient" if budget.false_share is None else f"{100 * budget.false_share:.0f} %"
    return (
        f"Alerts in the 30 days to {budget.day}: {budget.per_week:.1f} a week,"
        f" false {false} (n {budget.false_n})"
    )


def _hours(facts: DigestFacts) -> str:
    return f"Hours recorded: {facts.hours_recorded} of {facts.hours_due}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _instant(instant: datetime) -> str:
    return f"{instant:%m-%d %H:%M} UTC"


def _price(price: float) -> str:
    """Return six digits without an exponent, whatever the coin costs."""
    return f"{Decimal(f'{price:.6g}'):f}"
