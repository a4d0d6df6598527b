"""Runs cases until the time is over: workers forked from one warm process, a JSON line a case."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

from tests.campaign.daemons import kill_daemons
from tests.campaign.deaths import die_everywhere
from tests.campaign.faults import FAULTS, Case, moments, tried
from tests.campaign.forking import fork
from tests.campaign.model import made_good
from tests.campaign.plan import Plan
from tests.campaign.world import NAMES, prepared, work_folder
from tests.cycle.deaths import Twin, copied

Line = dict[str, Any]


@cache
def commit_of_this() -> str:
    """Return the commit that runs; a campaign that goes on may run under another one than it began with."""
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or "?"


def run_case(text: str, twin: Twin, work: Path) -> Line:
    """Try one case in a fresh folder and return its line."""
    started, spent = time.monotonic(), os.times()
    fault, moment, at = text.split(":")
    line: Line = {"case": text, "fault": fault, "reached": True, "commit": commit_of_this()}
    folder = Path(tempfile.mkdtemp(prefix="case-", dir=work))
    try:
        if fault == "deaths":
            died = die_everywhere(Case("kill", moment, tuple(map(int, at.split(",")))), twin, folder)
            line |= {"points": died.points, "disks": died.disks, "places": died.places}
            line["reached"] = died.points > 0
            line["found"] = died.found
        else:
            struck = (
                kill_daemons(int(at), folder) if fault == "daemon" else tried(Case.parse(text), twin, folder)
            )
            line |= {"reached": struck.reached, "events": struck.events, "deaths": struck.deaths}
            line |= {"points": struck.deaths, "found": [(text, words) for words in struck.found]}
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    now = os.times()
    line["cpu_s"] = round(sum(now[:4]) - sum(spent[:4]), 3)
    line["s"] = round(time.monotonic() - started, 3)
    return line


def work_on(
    plan: Plan,
    twin: Twin,
    work: Path,
    file: Path,
    until: float,
    first: Sequence[str] = (),
    goes_on: bool = True,
) -> int:
    """Run a worker's cases and append a line each; returns how many.

    Args:
        plan: The cases.
        twin: The run that nothing befell.
        work: Where the copies lie.
        file: JSON lines.
        until: No new case is begun then.
        first: Cases before those of the plan: what was found is tried again when a campaign goes on.
        goes_on: Whether the plan's follow.
    """
    if goes_on:
        warm(twin, work)
    count = 0
    for text in chain(first, plan.cases() if goes_on else ()):
        if time.monotonic() > until:
            break
        line = run_case(text, twin, work)
        if not line["reached"] and line["fault"] in FAULTS:
            plan.ended(Case.parse(text))
        append(file, line)
        count += 1
    return count


def warm(twin: Twin, work: Path) -> None:
    """Live each moment undisturbed, and find nothing: the forks that follow need not judge its hours anew."""
    for moment in moments():
        folder = copied(twin.before[NAMES[moment]], work / f"warm-{os.getpid()}")
        found = made_good(folder, NAMES[moment], twin)
        shutil.rmtree(folder)
        assert not found, f"{moment}, undisturbed: {found}"


def append(file: Path, line: Mapping[str, Any]) -> None:
    """Append a line as one write, so that the lines of several workers do not mix."""
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(handle, json.dumps(line).encode() + b"\n")
    finally:
        os.close(handle)


def lines_of(file: Path) -> list[Line]:
    """Return the whole lines of a campaign; one that a death cut short is run again."""
    if not file.exists():
        return []
    found = []
    for line in file.read_text().splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return [line for line in found if "case" in line]


def campaign(
    *, seconds: float, seed: int, file: Path, workers: int, only: Sequence[str] = (), work: Path | None = None
) -> list[str]:
    """Run a campaign; returns what went wrong with the campaign itself.

    Args:
        seconds: After so long no new case is begun; preparing counts.
        seed: Another one gives other places and bytes.
        file: JSON lines; what is in it already is not run again.
        workers: Processes.
        only: These cases alone, by one worker.
        work: Where the copies lie.
    """
    until = time.monotonic() + seconds
    folder = Path(tempfile.mkdtemp(prefix="regimed-campaign-", dir=work or work_folder()))
    try:
        ready = fork(_prepare, folder, patience_s=600)
        twin = _loaded(ready.ended().answer)
        lines = {line["case"]: line for line in lines_of(file)}
        done = {case: line["reached"] for case, line in lines.items()}
        again = [case for case, line in lines.items() if line["found"]]
        count = 1 if only else workers
        children = [
            fork(
                work_on,
                Plan(seed, number, count, done),
                twin,
                folder,
                file,
                until,
                only or (again if number == 0 else ()),
                not only,
                patience_s=seconds + 900,
            )
            for number in range(count)
        ]
        ends = [child.ended() for child in children]
        return [f"worker {number}: {end.words()}" for number, end in enumerate(ends) if not end.is_fine]
    except KeyboardInterrupt:
        print("stopped; --resume goes on", file=sys.stderr)
        return ["stopped"]
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        shutil.rmtree(folder, ignore_errors=True)


def _prepare(folder: Path) -> Twin:
    return prepared(folder / "twin")


def _loaded(twin: object) -> Twin:
    assert isinstance(twin, Twin), twin
    return twin
