"""`make month`: 720 simulated hours of 20 markets with trouble and an operator who forgets; what came of it.

The whole application in this process, on a real exchange (the sandbox), a real Git remote, a strict Pushover
server and a webhook; its clock is moved from hour to hour. Trouble comes by a seed: outages, revised candles,
gaps, a dead remote, a dead channel. At the end everything that was written is counted and verified.
"""

from __future__ import annotations

import argparse
import random
import resource
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import orjson
import yaml

from bench.report import facts_of
from daemon.app import App, building
from daemon.calibrating import calibrate_due
from daemon.clock import DrivenClock
from daemon.configuration import load_settings
from daemon.digest import tell_digest
from daemon.emergencies import watch_emergencies
from daemon.evaluating import evaluate_due
from daemon.heap import keep_few_arenas
from daemon.kpis import record_kpis
from daemon.logs import configure_logs
from daemon.operator import settle_timers
from daemon.rehearsal import answer_open_advice, overlooks, start_by_hand
from daemon.telling import remind
from daemon.workers import attend, load_state
from exchanges.sandbox.faults import Fault
from exchanges.sandbox.running import RunningSandbox, running_sandbox
from market.errors import RegimedError
from market.hours import HOUR_S, Hour
from store.advice import decision_ids
from store.decision_files import decision_path
from store.verify import verify
from tests.cycle.house import START, simulated, write_config
from tests.cycle.processes import ROOT
from tests.cycle.told_outside import HOOK_KEY, told_outside
from tests.drills.soak import market_sections
from tests.notifications.receivers import PushoverServer, WebhookReceiver

EVIDENCE = ROOT / "docs" / "evidence" / "month.md"
ANSWERED_AFTER = timedelta(minutes=20)
TAPPED_AFTER = timedelta(minutes=15)
MB = 1e6


@dataclass(frozen=True, slots=True)
class Plan:
    """What was asked for: hours, markets, the seed of the trouble, one advice in so many overlooked."""

    hours: int
    markets: int
    seed: int
    misses: int


@dataclass
class Month:
    """What came of it.

    Attributes:
        late_min: Of each judged hour, minutes between its close and its judgement, by market and hour.
        log: Lines by level and event.
        by_day_mb: Memory of this process at each midnight.
    """

    plan: Plan
    trouble: list[str] = field(default_factory=list)
    late_min: list[float] = field(default_factory=list)
    owed: int = 0
    answered: int = 0
    tapped: int = 0
    log: Counter[tuple[str, str]] = field(default_factory=Counter)
    told: Counter[str] = field(default_factory=Counter)
    sounded: int = 0
    violations: list[str] = field(default_factory=list)
    webhook: int = 0
    advice: Counter[str] = field(default_factory=Counter)
    kpis: dict[str, Any] = field(default_factory=dict)
    folders: dict[str, float] = field(default_factory=dict)
    git_mb: float = 0.0
    memory_mb: float = 0.0
    by_day_mb: list[float] = field(default_factory=list)
    seconds: float = 0.0
    verified: str = ""


def script(plan: Plan) -> tuple[list[Fault], list[str], set[int]]:
    """Return the exchange's faults, what they are in words, and the hours in which the remote is away."""
    drawn, faults, words, dead = random.Random(plan.seed), [], [], set()
    first = START.open_ts
    for day in range(plan.hours // 24):
        at = first + day * 24 * HOUR_S + drawn.randrange(4, 20) * HOUR_S
        kind = drawn.choice(("outage", "revision", "gap", "partial", "quiet", "remote", "quiet"))
        said = f"day {day + 1}: "
        if kind == "outage":
            hours = drawn.choice((1, 2, 9))
            faults.append(Fault(kind="server_error", from_ts=at, to_ts=at + hours * HOUR_S))
            said += f"the exchange answers 503 for {hours} h"
        elif kind == "revision":
            rows = {"rows_from": at, "rows_to": at + 600}
            faults.append(Fault(kind="revision", symbol="BTC-USDT", after_s=2 * HOUR_S, **rows))
            said += "ten minutes of BTC-USDT are revised two hours later"
        elif kind == "gap":
            rows = {"rows_from": at, "rows_to": at + 1800}
            faults.append(Fault(kind="gap", symbol="ETH-USDT", from_ts=at, to_ts=at + 5 * HOUR_S, **rows))
            said += "30 minutes of ETH-USDT are withheld for five hours"
        elif kind == "partial":
            faults.append(Fault(kind="partial_json", from_ts=at, count=12))
            said += "twelve answers break off"
        elif kind == "remote":
            dead |= set(range((at - first) // HOUR_S, (at - first) // HOUR_S + 8))
            said += "the remote is away for 8 h"
        else:
            continue
        words.append(said)
    return faults, words, dead


async def run(folder: Path, plan: Plan) -> Month:
    """Live through the hours and count what was written."""
    month, began = Month(plan), time.monotonic()
    faults, month.trouble, dead = script(plan)
    clock = DrivenClock(START.closes_at + timedelta(seconds=5))
    log = folder / "log.jsonl"
    with log.open("w") as stream:
        configure_logs("INFO", stream, colours=False)
        async with AsyncExitStack() as stack:
            phone = await stack.enter_async_context(PushoverServer(clock))
            hook = await stack.enter_async_context(WebhookReceiver(HOOK_KEY))
            market = simulated(min(plan.markets, 3))
            sandbox = await stack.enter_async_context(running_sandbox(market, clock, faults=faults))
            config = write_config(
                folder,
                sandbox.url,
                [],
                markets=market_sections(plan.markets),
                notifications=told_outside(folder, phone, hook),
                capital={"total_quote": 10_000, "mode": "multi_grid"},
                economics={"require_positive_edge": False},
            )
            app = await stack.enter_async_context(building(load_settings(config, {}), clock, create=True))
            await load_state(app)
            await _live(app, clock, sandbox, phone, month, folder / "remote.git", dead)
            month.owed = sum(state.owed for state in app.board.markets.values())
            month.git_mb = app.store.state().counts.nbytes / MB
    month.seconds = time.monotonic() - began
    month.sounded = sum(each.priority == 2 for each in phone.shown)
    month.told.update(str(each.priority) for each in phone.shown)
    month.violations, month.webhook = phone.violations, len(hook.shown)
    _count(folder / "data", log, month)
    return month


async def _live(
    app: App,
    clock: DrivenClock,
    sandbox: RunningSandbox,
    phone: PushoverServer,
    month: Month,
    remote: Path,
    dead: set[int],
) -> None:
    away = remote.with_name("away.git")
    for number in range(month.plan.hours):
        hour = START.plus(number)
        if (number in dead) != (number - 1 in dead):
            shutil.move(*((remote, away) if number in dead else (away, remote)))
        clock.set(hour.closes_at + timedelta(seconds=5))
        if number == 0:
            await start_by_hand(app, hour)
        await _attend(app, month)
        await _look(app, phone, month)
        for minutes in (10, 20, 30, 40, 50):
            clock.set(max(clock.now(), hour.closes_at + timedelta(minutes=minutes)))
            if minutes == 20:
                misses = partial(overlooks, one_in=month.plan.misses)
                month.answered += await answer_open_advice(app, hour, misses)
            if any(state.owed for state in app.board.markets.values()):
                await _attend(app, month)
            await _look(app, phone, month)
        await _night(app, hour)
        if hour.closes_at.hour == 0:
            month.by_day_mb.append(_memory_mb())
    with suppress(RegimedError):
        await app.store.push()


async def _attend(app: App, month: Month) -> None:
    before = {key: state.newest for key, state in app.board.markets.items()}
    async with anyio.create_task_group() as group:
        for market in app.settings.markets:
            group.start_soon(attend, app, market)
    for key, state in app.board.markets.items():
        if state.newest is None:
            continue
        newest = before[key]
        first = state.newest if newest is None else newest.plus(1)
        for index in range(first.index, state.newest.index + 1):
            month.late_min.append((app.clock.now() - Hour(index).closes_at).total_seconds() / 60)


async def _look(app: App, phone: PushoverServer, month: Month) -> None:
    """Do what timekeeper, channels and receipts do; the operator taps on what sounds, if he has seen it."""
    await settle_timers(app)
    await remind(app)
    await tell_digest(app)
    await app.outbox.deliver()
    for one in phone.sounding:
        seen = app.clock.now() - one.shown.at >= TAPPED_AFTER and not overlooks(one.shown.title, 4)
        if seen and one.shown.receipt is not None:
            phone.acknowledge(one.shown.receipt, "my-phone")
            month.tapped += 1
    for channel in app.emergencies:
        channel._polled.clear()  # it counts its 5 s in real ones, and these are not
        await watch_emergencies(app, channel)


async def _night(app: App, hour: Hour) -> None:
    """Do what historian, housekeeper and pusher do."""
    await evaluate_due(app)
    if hour.closes_at.hour == 0:
        await calibrate_due(app)
        await record_kpis(app)
        await app.store.flush()
        await app.store.refresh_index()
        await app.store.maintain()
    with suppress(RegimedError):
        await app.store.push()


def _memory_mb() -> float:
    """Return the resident memory of this process, servers and test included."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / MB


def _count(root: Path, log: Path, month: Month) -> None:
    for line in _lines(log):
        month.log[line.get("level", ""), line.get("event", "")] += 1
    for each in decision_ids(root):
        recorded = yaml.load((root / decision_path(each)).read_text(), yaml.CSafeLoader)
        month.advice[recorded["action"]] += 1
    kpis = sorted(root.glob("kpis/*.yaml"))
    if kpis:
        month.kpis = yaml.load(kpis[-1].read_text(), yaml.CSafeLoader)["trailing"]
    for entry in sorted(root.iterdir()):
        if entry.is_dir() and entry.name != ".git":
            month.folders[entry.name] = sum(f.stat().st_size for f in entry.rglob("*") if f.is_file()) / MB
    month.memory_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    report = verify(root)
    found = "; ".join(str(each) for each in report.findings[:5])
    month.verified = f"{len(report.findings)} findings" + (f": {found}" if found else "")


def _lines(log: Path) -> Iterator[dict[str, Any]]:
    with log.open("rb") as stream:
        for line in stream:
            yield orjson.loads(line)


def page(month: Month, facts: dict[str, str]) -> str:
    """Return the page of evidence."""
    plan, late = month.plan, sorted(month.late_min)
    expected = plan.hours * plan.markets
    within = sum(each <= 1 for each in late)
    rows = [
        ("market hours that were due", f"{expected}"),
        ("judged", f"{len(late)}"),
        ("still owed at the end", f"{month.owed}"),
        ("judged within a minute of the close", f"{within}"),
        ("judged later: an outage, a gap", f"{len(late) - within}, at most {late[-1] / 60:.1f} h"),
        ("advice", ", ".join(f"{count} {name}" for name, count in month.advice.most_common())),
        ("accepted by the operator", f"{month.answered}, one in {plan.misses} overlooked"),
        (
            "on the phone, by priority",
            ", ".join(f"{count} at {name}" for name, count in sorted(month.told.items())),
        ),
        ("of them sounding until tapped", f"{month.sounded}, tapped {month.tapped}"),
        ("at the webhook", f"{month.webhook}"),
        ("broken rules of Pushover", f"{len(month.violations)}"),
        ("Git, packed each night", f"{month.git_mb:.1f} MB"),
        (
            "files, MB",
            ", ".join(f"{name} {size:.1f}" for name, size in sorted(month.folders.items(), key=_by_size)),
        ),
        ("memory at most, servers, test and this count included", f"{month.memory_mb:.0f} MB"),
        ("memory, every fifth midnight", ", ".join(f"{mb:.0f}" for mb in month.by_day_mb[::5]) + " MB"),
        ("`regimed verify`", month.verified),
        ("wall time", f"{month.seconds:.0f} s"),
    ]
    lines = [
        "# A month",
        "",
        *(f"- {name}: {value}" for name, value in facts.items()),
        f"- seed: {plan.seed}",
    ]
    lines += [
        f"- {plan.markets} markets, {plan.hours} hours",
        "",
        "The whole application on the sandbox, a real remote, a strict Pushover server and a webhook, its",
        "clock moved from hour to hour.",
        "",
        "| | |",
        "| --- | --- |",
        *(f"| {name} | {value} |" for name, value in rows),
        "",
        "## The KPIs of the last day",
        "",
        "| KPI | value | interval | n | target | |",
        "| --- | --- | --- | --- | --- | --- |",
        *_kpi_rows(month.kpis),
        "",
        "## Every line of the log, by what it says",
        "",
        "| level | event | lines |",
        "| --- | --- | --- |",
        *(
            f"| {level} | {event} | {count} |"
            for (level, event), count in sorted(month.log.items(), key=_rank)
        ),
        "",
        "## The trouble",
        "",
        *(f"- {each}" for each in month.trouble),
    ]
    return "\n".join(lines) + "\n"


def _kpi_rows(kpis: dict[str, Any]) -> Iterator[str]:
    for name, each in {**kpis.get("kpis", {}), **kpis.get("alert_budget", {})}.items():
        value, low, high, target = (_shown(each[part]) for part in ("value", "low", "high", "target"))
        span = "" if low == high == "-" else f"{low} to {high}"
        yield f"| {name} | {value} | {span} | {each['n']} | {target} | {each['note']} |"


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


def _by_size(entry: tuple[str, float]) -> float:
    return -entry[1]


def _rank(entry: tuple[tuple[str, str], int]) -> tuple[int, int]:
    levels: Iterable[str] = ("error", "warning", "info")
    return (list(levels).index(entry[0][0]) if entry[0][0] in levels else 3, -entry[1])


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.drills.month", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--hours", type=int, default=720)
    parser.add_argument("--markets", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--misses", type=int, default=6, help="one advice in so many is overlooked")
    parser.add_argument("--dir", type=Path, help="where to keep everything; temporary if left out")
    parser.add_argument("--save", action="store_true", help=f"also write {EVIDENCE.name}")
    parser.add_argument("--date", help="for the page")
    told = parser.parse_args(arguments)
    keep_few_arenas()  # as the daemon does: its memory is what is of interest
    plan = Plan(told.hours, told.markets, told.seed, told.misses)
    with tempfile.TemporaryDirectory(prefix="regimed-month-") as temporary:
        folder = told.dir or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        month = anyio.run(run, folder, plan)
        command = "python -m tests.drills.month " + " ".join(
            f"--{name} {getattr(plan, name)}" for name in ("hours", "markets", "seed", "misses")
        )
        text = page(month, facts_of(told.date or "not told", command))
    sys.stdout.write(text)
    if told.save:
        EVIDENCE.write_text(text)
    return 0 if not month.owed and month.verified.startswith("0 ") and not month.violations else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
