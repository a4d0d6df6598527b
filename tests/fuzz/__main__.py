"""The command: `python -m tests.fuzz --minutes 10 --seed 1 [snapshot yaml kucoin http]`."""

from __future__ import annotations

import argparse
import base64
import logging
import random
import subprocess
import sys
import time
import traceback
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from tests.fuzz.changes import spoilt
from tests.fuzz.http_target import REQUESTS, Talk, with_server
from tests.fuzz.summary import keep, lines_of, summary
from tests.fuzz.targets import TARGETS

ROOT = Path(__file__).resolve().parents[2]
NAMES = (*TARGETS, "http")
AT_ONCE, CHECKED_EACH, LEAVING = 16, 100, 0.2


@dataclass(slots=True)
class Run:
    """What a target did.

    Attributes:
        count: Inputs tried.
        found: The first input of each finding, by words.
        outcomes: How often it took, refused or answered what.
    """

    count: int = 0
    found: dict[str, bytes] = field(default_factory=dict)
    outcomes: Counter[str] = field(default_factory=Counter)


def fuzzed(name: str, seconds: float, seed: int, most: int = sys.maxsize) -> Run:
    """Feed a parser until the time is over, and keep what broke it by error."""
    if name == "http":
        return _fuzzed_http(seconds, seed, most)
    dice, kinds, run = random.Random(f"{name}/{seed}"), TARGETS[name](), Run()
    end = time.monotonic() + seconds
    while time.monotonic() < end and run.count < most:
        target = dice.choice(kinds)
        data = spoilt(dice, target.samples)
        run.count += 1
        try:
            run.outcomes["taken" if target.parse(data) else "refused"] += 1
        except Exception as error:  # noqa: BLE001 a surprise is what is looked for
            place = traceback.extract_tb(error.__traceback__)[-1]
            named = f"{type(error).__name__} in {place.name} of {Path(place.filename).name}"
            if not any(words.startswith(named) for words in run.found):
                run.found[f"{named}: {str(error)[:200]}"] = data
    return run


def _fuzzed_http(seconds: float, seed: int, most: int) -> Run:
    """Send spoilt requests to the real server; what `Talk` finds, or a server that is gone, is a finding."""
    dice = random.Random(f"http/{seed}")

    def work(port: int) -> Run:
        end, count, talk = time.monotonic() + seconds, 0, Talk(port)
        with ThreadPoolExecutor(AT_ONCE) as clients:
            while time.monotonic() < end and count < most and talk.is_alive():
                inputs = [spoilt(dice, REQUESTS) for _ in range(min(CHECKED_EACH, most - count))]
                leaving = [dice.random() < LEAVING for _ in inputs]
                list(clients.map(talk.ask, inputs, leaving))
                count += len(inputs)
            talk.is_alive()
        return Run(count, talk.found, talk.outcomes)

    done = with_server(work)
    assert isinstance(done, Run)
    return done


def main() -> int:
    """Fuzz each target for its share of the time; exit code 1 where something was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", help=f"of {' '.join(NAMES)}; all when left out")
    parser.add_argument("--minutes", type=float, default=10.0, help="for each target")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--results", type=Path, default=Path("build/fuzz.jsonl"), help="JSON lines, added to")
    parser.add_argument("--summary", type=Path, help="write the page here: docs/evidence/fuzz.md for one")
    chosen = parser.parse_args()
    if unknown := set(chosen.targets) - set(NAMES):
        parser.error(f"unknown targets {' '.join(sorted(unknown))}; expected {' '.join(NAMES)}")
    logging.disable(logging.CRITICAL)
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()
    bad = 0
    for name in chosen.targets or NAMES:
        run = fuzzed(name, 60 * chosen.minutes, chosen.seed)
        said = f"{name}: {run.count} inputs, {len(run.found)} findings, {60 * chosen.minutes:.0f} s"
        print(f"{said}, seed {chosen.seed}, {dict(run.outcomes)}", flush=True)
        found = {words: base64.b64encode(data[:20_000]).decode() for words, data in run.found.items()}
        for words, data in found.items():
            bad += 1
            print(f"  {words}\n    {data}")
        line = {
            "target": name,
            "date": f"{datetime.now(UTC):%Y-%m-%d}",
            "seed": chosen.seed,
            "commit": commit,
        }
        line |= {"minutes": chosen.minutes, "inputs": run.count, "outcomes": run.outcomes, "found": found}
        keep(chosen.results, line)
    if chosen.summary:
        chosen.summary.write_text(summary(*lines_of(chosen.results)))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
