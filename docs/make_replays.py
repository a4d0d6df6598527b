"""Replay recorded minute windows through the daemon and write docs/replays.md: `make replays`.

Each window is its own run of `regimed demo`: the real daemon, a sandbox that serves the recorded candles, a
data repository with its remote, and a scripted operator who accepts advice after 20 minutes and overlooks
one in ten. Every run is made twice, with the defaults and with setups that need no proven edge. Runs that
are done stay done, so the command may be stopped and started again.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import Any

from tables import number, table

from daemon.commands.kpis import episodes_in
from decisions.episodes import Episode
from decisions.kpi_targets import KpisConfig
from decisions.kpis import KpiReport, kpis
from decisions.outcomes import Horizon
from decisions.realised import OutcomesConfig
from decisions.recommendation import Action
from decisions.timers import PastAdvice
from market.hours import Hour, parse_instant
from store import yaml_text
from store.advice import decision_ids, read_advice
from store.decision_files import evaluation_path
from store.episodes import answered_between

TARGET = Path(__file__).with_name("replays.md")
SUMMARY = Path(__file__).with_name("evidence") / "replays.json"
MISSES = 10


@dataclass(frozen=True, slots=True)
class Window:
    """One recorded span of one market.

    Attributes:
        history: Whether the same venue's coarser candles reach back before it.
    """

    venue: str
    symbol: str
    name: str | None
    history: bool = True

    @property
    def title(self) -> str:
        return f"{self.venue} {self.symbol} {self.name or 'main'}"


WINDOWS = (
    Window("BINANCE", "ETH-USDT", None),
    Window("BINANCE", "ETH-USDT", "2023OUTAGE"),
    Window("BINANCE", "ETH-USDT", "2024AUG"),
    Window("BINANCE", "ETH-USDT", "2024Q4"),
    Window("BINANCE", "ETH-USDT", "2025JAN"),
    Window("BINANCE", "ETH-USDT", "2025MAR"),
    Window("BINANCE", "SOL-USDT", None),
    Window("BINANCE", "ETH-USDT", "2021CRASH", history=False),
    Window("KUCOIN", "ETH-USDT", None, history=False),
)
POLICIES = {
    "defaults": ("--require-edge", "--restart-after", "24"),
    "no edge asked": (),
}


@dataclass(frozen=True, slots=True)
class Run:
    """One window under one policy, and the folder that it is kept in."""

    window: Window
    policy: str
    folder: Path

    @property
    def data(self) -> Path:
        return self.folder / "data"


def runs(work: Path) -> list[Run]:
    """Return every run, the longest first: two at a time end sooner so."""
    return [
        Run(window, policy, work / f"{window.title} {policy}".replace(" ", "_"))
        for window, policy in product(WINDOWS, POLICIES)
    ]


def regimed(*arguments: str) -> str:
    """Return what the command printed; an exit code other than 0 and 1 ends everything."""
    done = subprocess.run(
        [sys.executable, "-m", "daemon.cli", *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode not in (0, 1):
        raise SystemExit(f"regimed {' '.join(arguments)}: exit {done.returncode}\n{done.stderr[-2000:]}")
    return done.stdout


def commit() -> str:
    """Return the commit that is checked out, and its day."""
    command = ["git", "show", "-s", "--format=%h of %cs", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def made(run: Run, data: Path, at_most: int) -> dict[str, Any]:
    """Run one window, replay it on a fresh clone of its remote and return what was found."""
    kept = run.folder / "found.json"
    if kept.exists():
        return dict(json.loads(kept.read_text()))
    shutil.rmtree(run.folder, ignore_errors=True)
    named = () if run.window.name is None else ("--window", run.window.name)
    told = regimed(
        "demo", "--once", "--port", "0", "--hours", str(at_most), "--data", str(data), *named,
        "--symbol", run.window.symbol, "--venue", run.window.venue, "--misses", str(MISSES),
        *POLICIES[run.policy], "--dir", str(run.folder),
    )  # fmt: skip
    clone = run.folder / "clone"
    subprocess.run(["git", "clone", "-q", str(run.folder / "remote.git"), str(clone)], check=True)
    found = {
        "commit": commit(),
        "window": run.window.title,
        "policy": run.policy,
        "history": run.window.history,
        "judged": told.splitlines()[0],
        "verified": regimed("verify", "--repo", str(clone)).splitlines()[-1].rpartition("/clone: ")[2],
        "replayed": regimed("replay", "--all", "--repo", str(clone)).splitlines()[-1],
    }
    kept.write_text(json.dumps(found))
    return found


def counted(root: Path) -> dict[str, Any]:
    """Return the recommendations of a repository by action, and what their evaluations say."""
    actions: Counter[str] = Counter()
    verdicts: Counter[str] = Counter()
    blocks: Counter[str] = Counter()
    done: Counter[str] = Counter()
    impact: dict[str, list[float]] = defaultdict(list)
    right: dict[str, list[float]] = defaultdict(list)
    ids = list(decision_ids(root))
    for decision_id in ids:
        file = read_advice(root, decision_id).file
        actions[file.action.value] += 1
        verdicts[file.verdict or "not judged"] += 1
        if file.action is Action.NO_SETUP:
            blocks.update({check.name for check in file.checks if check.passed is False})
        for horizon in Horizon:
            path = evaluation_path(decision_id, horizon.value)
            if not (root / path).exists():
                continue
            done[horizon.value] += 1
            quality = yaml_text.load((root / path).read_bytes(), path)["outcome"]["recommendation_quality"]
            of = f"{file.action.value} {horizon.value}"
            if quality["usd_impact"] is not None:
                impact[of].append(quality["usd_impact"])
            if quality["correct"] is not None:
                right[of].append(float(quality["correct"]))
    hours = [Hour.parse(read_advice(root, each).file.hour) for each in (ids[0], ids[-1])]
    return {
        "from": str(hours[0]),
        "to": str(hours[1]),
        "decisions": len(ids),
        "actions": dict(actions.most_common()),
        "verdicts": dict(verdicts.most_common()),
        "blocked_by": dict(blocks.most_common()),
        "evaluated": {horizon.value: done[horizon.value] for horizon in Horizon},
        "open": {horizon.value: len(ids) - done[horizon.value] for horizon in Horizon},
        "impact": {name: [fmean(values), len(values)] for name, values in sorted(impact.items())},
        "correct": {name: [fmean(values), len(values)] for name, values in sorted(right.items())},
    }


@dataclass(frozen=True, slots=True)
class Cases:
    """What the KPIs of one run are counted from, its grids named so that runs do not mix."""

    episodes: list[Episode]
    advice: list[PastAdvice]
    start: datetime
    end: datetime


def cases_of(run: Run, found: dict[str, Any]) -> Cases:
    start, end = parse_instant(_iso(found["from"])), parse_instant(_iso(found["to"])) + timedelta(hours=2)
    name = run.folder.name
    episodes = [
        replace(each, grid_id=f"{name}/{each.grid_id}")
        for each in episodes_in(run.data, KpisConfig(), OutcomesConfig())
    ]
    advice = [replace(each, grid_id=f"{name}/{each.grid_id}") for each in _answered(run.data, start, end)]
    return Cases(episodes, advice, start, end)


def _answered(root: Path, start: datetime, end: datetime) -> list[PastAdvice]:
    return [each.advice for each in answered_between(root, start, end)]


def _iso(hour: str) -> str:
    return f"{hour}:00:00Z"


def pooled(cases: Sequence[Cases]) -> KpiReport:
    """Return the KPIs of several runs together, over all of their time."""
    return kpis(
        [each for one in cases for each in one.episodes],
        [each for one in cases for each in one.advice],
        min(one.start for one in cases),
        max(one.end for one in cases),
        KpisConfig(),
    )


def kpi_rows(report: KpiReport) -> list[list[str]]:
    return [
        [
            kpi.name,
            number(kpi.value),
            "-" if kpi.low is None else f"{number(kpi.low)} to {number(kpi.high)}",
            str(kpi.n),
            number(kpi.target),
            {True: "yes", False: "no", None: "-"}[kpi.meets],
            kpi.note,
        ]
        for kpi in report.kpis
        if kpi.name != "alerts_per_week"
    ]


def alerts_a_week(cases: Sequence[Cases]) -> float:
    """Return the rate of alerts over the time that the runs really cover."""
    reports = [pooled([one]) for one in cases]
    weeks = sum((one.end - one.start) / timedelta(weeks=1) for one in cases)
    return sum(report["alerts_per_week"].n for report in reports) / weeks


def page(found: list[tuple[Run, dict[str, Any], Cases]]) -> Iterator[str]:
    """Yield the lines of docs/replays.md."""
    made_at = "runs at " + ", ".join(sorted({one["commit"] for _, one, _ in found}))
    yield from (
        "# Recorded months through the daemon",
        "",
        f"Made by `make replays` ({made_at}). Each row is a run of `regimed demo --once --data FOLDER",
        "--symbol S --venue V [--window W] --misses 10` with `--require-edge --restart-after 24` or",
        "without: the daemon's own code over recorded minutes, with a scripted operator who starts a",
        "grid where a week of history is known, accepts advice after 20 minutes and overlooks one in",
        "ten. `defaults` asks for a proven edge after fees before it proposes a setup; so that there is",
        "something to exit from, the operator there starts a grid by hand 24 h after each stop,",
        "whatever the gates say. `no edge asked` proposes without such a proof, and the operator only",
        "follows. The KPIs are those of `regimed kpis`, with 95 % intervals; fewer than 10 cases are",
        "insufficient. `Without history`: the venue's older candles are not recorded, so the first six",
        "weeks are `insufficient`, and the run is not pooled with the others.",
        "",
        "## Runs",
        "",
    )
    yield from table(
        "window | policy | hours | recommendations | open after 24 h / 72 h / 7 d"
        " | replay on a fresh clone | verify",
        [
            [
                run.window.title + ("" if run.window.history else " (without history)"),
                run.policy,
                one["judged"].split(" ")[0],
                ", ".join(f"{count} {name}" for name, count in one["actions"].items()),
                " / ".join(str(one["open"][horizon.value]) for horizon in Horizon),
                one["replayed"],
                one["verified"].split(";")[0],
            ]
            for run, one, _ in found
        ],
    )
    for policy in POLICIES:
        chosen = [each for each in found if each[0].policy == policy]
        yield f"## {policy}: what stood against a setup"
        yield ""
        yield "Share of the NO_SETUP hours of all windows in which each check failed; several may fail."
        yield ""
        yield from table("check | share of hours | hours", block_rows([one for _, one, _ in chosen]))
        for with_history, words in ((True, "all windows with history"), (False, "windows without history")):
            part = [cases for run, _, cases in chosen if run.window.history is with_history]
            if not part:
                continue
            yield f"## {policy}: {words}, pooled"
            yield ""
            grids = sum(len(one.episodes) for one in part)
            yield f"{grids} runs of a grid; {alerts_a_week(part):.2f} alerts a week."
            yield ""
            yield from table("KPI | value | 95 % | n | target | met | note", kpi_rows(pooled(part)))
        yield f"### {policy}: what advice was worth"
        yield ""
        yield "Quote value against the other path, mean over the recommendations that could be evaluated."
        yield ""
        yield from table(
            "action and horizon | mean USDT | right | n", worth_rows([one for _, one, _ in chosen])
        )
        for run, _, cases in chosen:
            yield f"### {policy}: {run.window.title}"
            yield ""
            yield from table("KPI | value | 95 % | n | target | met | note", kpi_rows(pooled([cases])))


def block_rows(found: list[dict[str, Any]]) -> list[list[str]]:
    """Return how often each check stood against a setup, over several runs."""
    hours = sum(one["actions"].get("NO_SETUP", 0) for one in found)
    blocks: Counter[str] = Counter()
    for one in found:
        blocks.update(one["blocked_by"])
    return [[name, number(count / hours), str(count)] for name, count in blocks.most_common()]


def worth_rows(found: list[dict[str, Any]]) -> list[list[str]]:
    """Return each action's mean worth and share of right ones at each horizon over several runs."""
    rows = []
    for name in sorted({name for one in found for name in one["impact"]}):
        impact, right = (
            [one[what][name] for one in found if name in one[what]] for what in ("impact", "correct")
        )
        rows.append(
            [name, number(_pooled_mean(impact)), number(_pooled_mean(right)), str(sum(n for _, n in impact))]
        )
    return rows


def _pooled_mean(parts: list[list[float]]) -> float | None:
    n = sum(count for _, count in parts)
    return None if not n else sum(mean * count for mean, count in parts) / n


def main() -> None:
    """Make what is missing and write the page and the summary that other documents read."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--work", type=Path, required=True, help="folder in which the runs are kept")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--hours", type=int, default=20000, help="hours of each window at most")
    asked = parser.parse_args()
    wanted = runs(asked.work)
    with ThreadPoolExecutor(asked.jobs) as threads:
        made_runs = list(threads.map(lambda run: made(run, asked.data, asked.hours), wanted))
    with ProcessPoolExecutor(asked.jobs) as pool:
        counts = list(pool.map(counted, [run.data for run in wanted]))
    made_runs = [one | count for one, count in zip(made_runs, counts, strict=True)]
    found = [(run, one, cases_of(run, one)) for run, one in zip(wanted, made_runs, strict=True)]
    TARGET.write_text("\n".join(page(found)))
    summary = {
        "commit": commit(),
        "runs": made_runs,
        "pooled": {
            policy: pooled(
                [cases for run, _, cases in found if run.policy == policy and run.window.history]
            ).as_record()["kpis"]
            for policy in POLICIES
        },
    }
    SUMMARY.write_text(json.dumps(summary, indent=1) + "\n")


if __name__ == "__main__":
    main()
