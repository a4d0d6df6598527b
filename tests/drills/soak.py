"""`make soak`: the real daemon for hours against sandbox and remote, with trouble by a seed, and its growth.

Every few seconds memory, descriptors, children, the loop's lag, the repository's size and the owed hours are
read from outside; at the end the daemon is stopped, its repository verified, and a page of evidence written.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import shlex
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from bench.report import facts_of
from exchanges.sandbox.simulated import DEFAULT_SYMBOLS
from market.hours import Hour
from store.ledger import Ledger
from store.verify import verify
from tests.cycle.house import write_config
from tests.cycle.processes import ROOT, clock_from, started
from tests.drills.probes import remote_behind_a_wire
from tests.drills.wire import Wire

EVIDENCE = ROOT / "docs" / "evidence" / "soak.md"
BEGIN = Hour.parse("2026-01-05T20")  # some hours before midnight, when maintenance runs
WARM_UP = 0.25  # of the run: caches fill
ROWS = 12
MB = 1024.0 * 1024.0
_FAULTS = (
    {"kind": "server_error", "count": 8},
    {"kind": "hang", "seconds": 20, "count": 4},
    {"kind": "partial_json", "count": 6},
    {"kind": "disconnect", "count": 6},
    {"kind": "own_quota", "count": 4, "reset_ms": 5000},
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What was asked for.

    Attributes:
        rate: Hours of the exchange go so many times as fast.
        trouble_s: Some trouble about so often, seconds; 0 for none.
    """

    markets: int
    rate: float
    minutes: float
    seed: int
    trouble_s: float
    every_s: float


@dataclass(frozen=True, slots=True)
class Sample:
    """What was seen at one moment; `at` in minutes since the daemon served."""

    at: float
    memory_mb: float
    descriptors: int
    children: int
    threads: int
    lag_p99_ms: float
    repository_mb: float
    files: int
    owed: int
    unpushed: int
    judged: int
    maintained_ago_s: float | None


@dataclass
class Run:
    """A run as it went."""

    plan: Plan
    samples: list[Sample] = field(default_factory=list)
    troubles: list[tuple[float, str]] = field(default_factory=list)
    restarts: dict[str, int] = field(default_factory=dict)
    exit_code: int | None = None
    findings: list[str] = field(default_factory=list)
    holes: int = 0

    @property
    def settled(self) -> list[Sample]:
        """Return the samples after the warm-up."""
        last = self.samples[-1].at
        return [each for each in self.samples if each.at >= last * WARM_UP]

    @property
    def maintained(self) -> int:
        """Return how often Git was packed."""
        ages = [each.maintained_ago_s for each in self.samples if each.maintained_ago_s is not None]
        return bool(ages) + sum(after < before for before, after in pairwise(ages))

    def slope(self, of: Callable[[Sample], float]) -> float:
        """Return what a figure grows by in an hour of real time, after the warm-up; least squares."""
        found = self.settled
        if len(found) < 3:
            return float("nan")
        hours = np.array([each.at for each in found]) / 60.0
        return float(np.polyfit(hours, np.array([of(each) for each in found], dtype=float), 1)[0])


def main(arguments: Sequence[str]) -> int:
    plan, folder, save, date = _asked(arguments)
    run = Run(plan)
    with ExitStack() as stack:
        where = folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="regimed-soak-")))
        where.mkdir(parents=True, exist_ok=True)
        soak(where, run)
    command = shlex.join(["python", "-m", "tests.drills.soak", *arguments])
    text = page(run, facts_of(date or "not told", command))
    sys.stdout.write(text)
    if save:
        EVIDENCE.write_text(text)
    return 0 if all(is_met for _, _, is_met in goals(run)) else 1


def _asked(arguments: Sequence[str]) -> tuple[Plan, Path | None, bool, str | None]:
    parser = argparse.ArgumentParser(
        prog="python -m tests.drills.soak", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--markets", type=int, default=20)
    parser.add_argument("--rate", type=float, default=60.0, help="times real time")
    parser.add_argument("--minutes", type=float, default=120.0, help="of real time")
    parser.add_argument("--seed", type=int, default=1, help="of the trouble")
    parser.add_argument("--trouble-s", type=float, default=240.0, help="trouble about so often; 0 for none")
    parser.add_argument("--every-s", type=float, default=5.0, help="between two samples")
    parser.add_argument("--dir", type=Path, help="where to keep everything; temporary if left out")
    parser.add_argument("--save", action="store_true", help=f"also write {EVIDENCE.name}")
    parser.add_argument("--date", help="for the page")
    told = parser.parse_args(arguments)
    plan = Plan(told.markets, told.rate, told.minutes, told.seed, told.trouble_s, told.every_s)
    return plan, told.dir, told.save, told.date


def market_sections(count: int) -> list[dict[str, str]]:
    """Return so many markets over the sandbox's symbols: the second of a symbol is `ETH-USDT.2`."""
    found = []
    for number in range(count):
        turn, at = divmod(number, len(DEFAULT_SYMBOLS))
        symbol = DEFAULT_SYMBOLS[at].rules.symbol
        key = symbol if turn == 0 else f"{symbol}.{turn + 1}"
        found.append({"key": key, "exchange": "sandbox", "symbol": symbol})
    return found


def soak(folder: Path, run: Run) -> None:
    """Run the daemon for the plan's minutes, watch it from outside, stop and verify it."""
    plan, markets = run.plan, market_sections(run.plan.markets)
    symbols = min(plan.markets, len(DEFAULT_SYMBOLS))
    clock = clock_from(BEGIN, plan.rate)
    with ExitStack() as stack:
        sandbox = stack.enter_context(
            started("sandbox", "--port", "0", "--markets", str(symbols), "--clock", clock)
        )
        url = sandbox.line(r"(http://127\.0\.0\.1:\d+)", 120)[1]
        wire = stack.enter_context(remote_behind_a_wire(folder))
        config = write_config(
            folder,
            url,
            [],
            {"resilience": {"budget_weight": 1_000_000, "breaker_open_s": 1800 / plan.rate}},
            markets=markets,
            data_repository={
                "base_path": str(folder / "data"),
                "remote": f"git://127.0.0.1:{wire.port}/remote.git",
                "push_timeout_s": 20,
            },
        )
        daemon = stack.enter_context(started("run", "--config", str(config), "--clock", clock))
        port = daemon.line(r"http://127\.0\.0\.1:(\d+)/health", 120)[1]
        over = threading.Event()
        trouble = threading.Thread(target=_trouble, args=(run, url, wire, over), daemon=True)
        trouble.start()
        _watch(run, folder, daemon.process, f"http://127.0.0.1:{port}")
        over.set()
        trouble.join(60)
        try:
            run.exit_code = daemon.end(seconds=90)
        except subprocess.TimeoutExpired:
            sys.stderr.write("\n".join([*daemon.lines[-20:], "the daemon did not end within 90 s\n"]))
    run.findings = [str(each) for each in verify(folder / "data").findings]
    for section in markets:
        judged = Ledger(folder / "data").judged_hours(section["key"])
        run.holes += judged[-1].index - judged[0].index + 1 - len(judged) if judged else 1


def _watch(run: Run, folder: Path, process: Any, url: str) -> None:
    began, pause = time.monotonic(), threading.Event()
    until = began + run.plan.minutes * 60
    while time.monotonic() < until and process.poll() is None:
        with suppress(OSError, ValueError, StopIteration):
            run.samples.append(_sample(folder, process.pid, url, (time.monotonic() - began) / 60, run))
        pause.wait(run.plan.every_s)


def _sample(folder: Path, pid: int, url: str, at: float, run: Run) -> Sample:
    page = _page(f"{url}/health")
    checks = page["checks"]
    status = dict(
        line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line
    )
    size, files = _size(folder / "data")
    git, workers = checks["git"], checks["workers"]
    markets = [check for name, check in checks.items() if name.startswith("market:")]
    for note in page["notes"]:
        if "was restarted" in note:
            run.restarts[note] = run.restarts.get(note, 0) + 1
    return Sample(
        at=at,
        memory_mb=int(status["VmRSS"].split()[0]) / 1024,
        descriptors=sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir()),
        children=len(list(_children(pid))),
        threads=int(status["Threads"]),
        lag_p99_ms=workers["loop_lag_p99_s"] * 1000,
        repository_mb=size / MB,
        files=files,
        owed=sum(check["owed_hours"] for check in markets),
        unpushed=git["unpushed_commits"],
        judged=sum(1 for check in markets if check["newest_hour"]),
        maintained_ago_s=_maintained_ago_s(f"{url}/metrics"),
    )


def _page(url: str) -> dict[str, Any]:
    try:
        with urllib.request.urlopen(url, timeout=15) as answer:
            page: dict[str, Any] = orjson.loads(answer.read())
    except urllib.error.HTTPError as error:
        page = orjson.loads(error.read())
    return page


def _maintained_ago_s(url: str) -> float | None:
    """Return how long ago Git was packed last, by the exchange's hours; None before the first time."""
    with urllib.request.urlopen(url, timeout=15) as answer:
        found = re.search(r"^regimed_git_maintenance_age_seconds (\S+)", answer.read().decode(), re.MULTILINE)
    return None if found is None else float(found[1])


def _children(pid: int) -> Iterator[int]:
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in map(int, (task / "children").read_text().split()):
            yield child
            with suppress(OSError):
                yield from _children(child)


def _size(folder: Path) -> tuple[int, int]:
    """Return bytes and files of the data repository, its Git folder included."""
    size = files = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                size += (Path(place) / name).lstat().st_size
                files += 1
    return size, files


def _trouble(run: Run, sandbox: str, wire: Wire, over: threading.Event) -> None:
    """Let something go wrong about every `trouble_s`, by the seed: exchange or, for a while, remote."""
    if not run.plan.trouble_s:
        return
    drawn, began = random.Random(run.plan.seed), time.monotonic()
    while not over.wait(run.plan.trouble_s * drawn.uniform(0.5, 1.5)):
        at = (time.monotonic() - began) / 60
        choice = drawn.randrange(len(_FAULTS) + 1)
        if choice == len(_FAULTS):
            run.troubles.append((at, "the remote hangs for 45 s"))
            wire.freeze()
            over.wait(45)
            wire.thaw()
            continue
        fault = _FAULTS[choice]
        run.troubles.append((at, f"{fault['count']} requests: {fault['kind']}"))
        request = urllib.request.Request(f"{sandbox}/sandbox/faults", orjson.dumps(fault), method="POST")
        with suppress(OSError), urllib.request.urlopen(request, timeout=20):
            pass


def goals(run: Run) -> list[tuple[str, str, bool]]:
    """Return what must hold: the goal, what was found, and whether it holds."""
    last, settled = run.samples[-1], run.settled
    idle = sorted(each.children for each in settled)[len(settled) // 2]
    memory = run.slope(lambda each: each.memory_mb)
    files = run.slope(lambda each: float(each.descriptors))
    lag = max(each.lag_p99_ms for each in settled)
    return [
        ("memory grows by at most 10 MB an hour after the warm-up", f"{memory:+.1f} MB", memory <= 10),
        ("descriptors grow by at most 2 an hour after the warm-up", f"{files:+.1f}", files <= 2),
        ("between batches there is no child process", f"median {idle}", idle == 0),
        ("loop lag p99 stays under 50 ms", f"{lag:.1f} ms at most", lag < 50),
        ("at the end at most one hour a market is owed", f"{last.owed} owed", last.owed <= run.plan.markets),
        ("the stop is in order", f"exit code {run.exit_code}", run.exit_code == 0),
        ("`regimed verify` has no finding", f"{len(run.findings)} findings", not run.findings),
        ("no hour of any market is missing", f"{run.holes} missing", run.holes == 0),
    ]


def page(run: Run, facts: dict[str, str]) -> str:
    """Return the page of evidence."""
    plan, samples = run.plan, run.samples
    lines = ["# Soak", "", *(f"- {name}: {value}" for name, value in facts.items())]
    lines += [
        f"- seed: {plan.seed}",
        (
            f"- {plan.markets} markets, {plan.rate:g} times real time, {samples[-1].at:.0f} minutes"
            f" ({samples[-1].at / 60 * plan.rate:.0f} hours of the exchange), {len(samples)} samples"
        ),
        "",
        "A real daemon, a sandbox and a bare remote behind git's own server, three processes here;",
        "trouble comes by the seed. Figures are read from outside: /proc, /health, the files.",
        "",
        "| goal | found | |",
        "| --- | --- | --- |",
        *(f"| {goal} | {found} | {'met' if met else 'MISSED'} |" for goal, found, met in goals(run)),
        "",
        (
            "| minute | memory MB | descriptors | children | threads | lag p99 ms | repository MB | files"
            " | owed | unpushed |"
        ),
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for at in np.linspace(0, len(samples) - 1, min(ROWS, len(samples))).round().astype(int):
        each = samples[at]
        lines.append(
            f"| {each.at:.0f} | {each.memory_mb:.0f} | {each.descriptors} | {each.children} | {each.threads}"
            f" | {each.lag_p99_ms:.1f} | {each.repository_mb:.1f} | {each.files} | {each.owed}"
            f" | {each.unpushed} |"
        )
    growth = run.slope(lambda each: each.repository_mb) / plan.rate * 24 / plan.markets
    most = max(each.memory_mb for each in samples)
    lines += [
        "",
        (
            f"- memory at most {most:.0f} MB; the repository grows by {growth:.2f} MB a market and day, work"
            " tree and Git together,"
            f" packed {run.maintained} times"
        ),
        f"- workers restarted: {', '.join(sorted(run.restarts)) or 'none'}",
        f"- trouble: {'; '.join(f'minute {at:.0f} {what}' for at, what in run.troubles) or 'none'}",
        *(f"- finding: {each}" for each in run.findings[:20]),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
