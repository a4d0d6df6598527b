"""What is told of an anomaly, and when: at once, again ever more rarely, louder at once, and that it is over.

Pure: what is wrong now and what was told so far come in, notices and the new memory go out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from pydantic import AwareDatetime

from market.hours import instant_iso
from notifications.notice import MOST_BODY, MOST_TITLE, Kind, Level, Notice
from notifications.settings import PacingSettings
from notifications.text import cut

SETTLED = timedelta(minutes=30)
MOST_NAMED = 8
_T = TypeVar("_T")
_MOST_TO_DO = 500  # so that the facts before it always have room


@dataclass(frozen=True, slots=True)
class Condition:
    """Something is wrong now.

    Attributes:
        name: What and where: `stale/ETH-USDT`. The same name is the same anomaly.
        market: Market key, or `""` for the whole program.
        body: What it means for advice and what to do.
        detail: The values against their limits; stands before `body`.
        group: Conditions of one group have one cause: told at the same time they are one notice,
            `3 {group}`, which lists each `detail` and has the `body` once. `""` stands alone.
        settled: Gone for so long it is over; longer where it is measured seldom.
    """

    name: str
    market: str
    level: Level
    title: str
    body: str
    detail: str = ""
    group: str = ""
    settled: timedelta = SETTLED


@dataclass(frozen=True, slots=True)
class Told:
    """What was told of one anomaly that is going on, or ended a moment ago.

    Attributes:
        times: How often it was told.
        wait_h: The least time from `last_at` to the next telling, hours.
        level: The loudest that was told: what falls and rises again is not new.
        gone_at: Since when it is not seen any more; None while it is.
    """

    since: AwareDatetime
    times: int
    last_at: AwareDatetime
    wait_h: float
    level: Level
    title: str
    market: str
    group: str = ""
    settled: timedelta = SETTLED
    gone_at: AwareDatetime | None = None


def step(
    told: Mapping[str, Told], conditions: Sequence[Condition], now: datetime, pacing: PacingSettings
) -> tuple[dict[str, Told], list[Notice]]:
    """Return what to remember, and what to tell at `now`.

    What is new is told at once; what lasts after `anomaly_h`, then after twice the time, and so on up to
    `longest_h`; what grows louder at once, and its back-off starts anew. What is gone for half an hour
    (`settled`) is told as over, quietly; what comes back before that went on all the while.
    """
    present = {condition.name: condition for condition in conditions}
    kept: dict[str, Told] = {}
    over: list[tuple[str, Told]] = []
    for name, noted in told.items():
        before = _not_after(noted, now)
        if before.gone_at is None and name not in present:
            before = replace(before, gone_at=now)
        if before.gone_at is not None and now - before.gone_at >= before.settled:
            over.append((name, before))
        else:
            kept[name] = before
    said: list[tuple[Condition, Told]] = []
    for name, condition in present.items():
        before_now = kept.get(name)
        if before_now is not None and not _is_due(before_now, condition, now, pacing):
            kept[name] = replace(before_now, gone_at=None)
            continue
        kept[name] = _noted(before_now, condition, now, pacing)
        said.append((condition, kept[name]))
    notices = [*_tellings(said, now), *_endings(over, now)]
    return kept, sorted(notices, key=lambda notice: -notice.level.rank)


def _not_after(told: Told, now: datetime) -> Told:
    """Take back what a clock that ran ahead wrote, or the anomaly would be silent until then."""
    gone_at = None if told.gone_at is None else min(told.gone_at, now)
    return replace(told, last_at=min(told.last_at, now), gone_at=gone_at)


def _is_due(before: Told, condition: Condition, now: datetime, pacing: PacingSettings) -> bool:
    wait = timedelta(hours=min(before.wait_h, pacing.longest_h))
    return condition.level.rank > before.level.rank or now - before.last_at >= wait


def _noted(before: Told | None, condition: Condition, now: datetime, pacing: PacingSettings) -> Told:
    """Return the memory of an anomaly that is told now."""
    first = before is None or condition.level.rank > before.level.rank
    wait_h = pacing.anomaly_h if before is None or first else 2 * before.wait_h
    return Told(
        since=now if before is None else before.since,
        times=1 if before is None else before.times + 1,
        last_at=now,
        wait_h=min(wait_h, pacing.longest_h),
        level=condition.level if before is None or first else before.level,
        title=condition.title,
        market=condition.market,
        group=condition.group,
        settled=condition.settled,
    )


def _tellings(said: Sequence[tuple[Condition, Told]], now: datetime) -> Iterable[Notice]:
    for together in _by_group([(condition.group, condition.name, (condition, t)) for condition, t in said]):
        conditions = [condition for condition, _ in together]
        condition, noted = together[0]
        since = min(each.since for _, each in together)
        wait_h = min(each.wait_h for _, each in together)
        tail = f"Since {_minute(since)}; told again in {wait_h:g} h while it lasts. See /health."
        yield Notice(
            dedupe=f"anomaly/{condition.name}/{instant_iso(noted.since)}/{noted.times}",
            market=_one_market(each.market for each in conditions),
            level=max((each.level for each in conditions), key=lambda level: level.rank),
            title=_title(condition.title, condition.group, len(together)),
            body=_body(conditions, tail),
            at=now,
            kind=Kind.ANOMALY,
        )


def _endings(over: Sequence[tuple[str, Told]], now: datetime) -> Iterable[Notice]:
    for together in _by_group([(told.group, name, (name, told)) for name, told in over]):
        name, told = together[0]
        lines = [(each.market or its, _lasted(each)) for its, each in together]
        what = lines[0][1] if len(lines) == 1 else _listed(lines, MOST_BODY)
        yield Notice(
            dedupe=f"anomaly/{name}/{instant_iso(told.since)}/over",
            market=_one_market(each.market for _, each in together),
            level=Level.QUIET,
            title=cut(f"over: {_title(told.title, told.group, len(together))}", MOST_TITLE),
            body=what,
            at=now,
            kind=Kind.ANOMALY,
        )


def _by_group(entries: Sequence[tuple[str, str, _T]]) -> list[list[_T]]:
    """Return (group, name, value)s as lists of values told together: groups whole, others alone."""
    found: dict[tuple[str, str], list[_T]] = {}
    for group, name, value in sorted(entries, key=lambda entry: entry[:2]):
        found.setdefault((group, "") if group else ("", name), []).append(value)
    return list(found.values())


def _title(title: str, group: str, count: int) -> str:
    return cut(title if count == 1 else f"{count} {group}", MOST_TITLE)


def _body(conditions: Sequence[Condition], tail: str) -> str:
    first = conditions[0]
    if len(conditions) == 1 and not first.detail:
        return f"{cut(first.body, MOST_BODY - len(tail) - 1)} {tail}"
    to_do = cut(first.body, _MOST_TO_DO)
    room = MOST_BODY - len(to_do) - len(tail) - 2
    if len(conditions) == 1:
        facts = cut(first.detail, room)
    else:
        facts = _listed([(each.market or each.name, each.detail) for each in conditions], room)
    return f"{facts} {to_do} {tail}"


def _listed(named: Sequence[tuple[str, str]], room: int) -> str:
    """Return the first few names with their details, and how many there are beside; the same detail once."""
    more = f"; and {len(named) - MOST_NAMED} more." if len(named) > MOST_NAMED else "."
    alike: dict[str, list[str]] = {}
    for name, detail in named[:MOST_NAMED]:
        alike.setdefault(detail, []).append(name)
    each = (room - len(more)) // len(alike) - len("; ")
    lines = [cut(f"{', '.join(names)}: {detail}".rstrip(".: "), each) for detail, names in alike.items()]
    return "; ".join(lines) + more


def _lasted(told: Told) -> str:
    assert told.gone_at is not None
    minutes = max(0, int((told.gone_at - told.since).total_seconds() // 60))
    lasted = f"{minutes} min" if minutes < 120 else f"{minutes / 60:.1f} h"
    times = "once" if told.times == 1 else f"{told.times} times"
    return f"It lasted {lasted}, {_minute(told.since)} to {_minute(told.gone_at)}, and was told {times}."


def _one_market(markets: Iterable[str]) -> str:
    found = set(markets)
    return found.pop() if len(found) == 1 else ""


def _minute(instant: datetime) -> str:
    return f"{instant.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
