"""The command: `python -m tests.campaign --minutes M --seed S --resume FILE`."""

from __future__ import annotations

import argparse
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from tests.campaign.running import campaign, lines_of
from tests.campaign.summary import summary


def main() -> int:
    """Run a campaign or replay a case; exit code 1 where something was found, 3 where the campaign broke."""
    parser = argparse.ArgumentParser(prog="python -m tests.campaign", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--resume", type=Path, default=Path("build/campaign.jsonl"), help="JSON lines, continued"
    )
    parser.add_argument("--workers", type=int, default=max(1, (os.cpu_count() or 2) - 1))
    parser.add_argument(
        "--summary", type=Path, help="write the page here, for example docs/evidence/campaign.md"
    )
    parser.add_argument("--replay", help="one case, for example kill:stop-advised:60")
    chosen = parser.parse_args()
    file: Path = Path(f"{chosen.resume}.replay") if chosen.replay else chosen.resume
    file.parent.mkdir(parents=True, exist_ok=True)
    if chosen.replay:
        file.unlink(missing_ok=True)
    broken = campaign(
        seconds=60 * chosen.minutes,
        seed=chosen.seed,
        file=file,
        workers=chosen.workers,
        only=[chosen.replay] if chosen.replay else (),
    )
    lines = lines_of(file)
    newest = {line["case"]: line for line in lines}.values()
    found = [pair for line in newest for pair in line.get("found", [])]
    points = sum(line.get("points", 0) for line in newest)
    print(f"{len(newest)} cases, {points} kill points, {len(found)} findings; {file}")
    for case, words in found:
        print(f"{case}: {words}")
    if chosen.summary:
        commit = ", ".join(dict.fromkeys(line.get("commit", "?") for line in lines))
        command = f"python -m tests.campaign {' '.join(sys.argv[1:])}"
        today = f"{datetime.now(UTC):%Y-%m-%d}"
        chosen.summary.write_text(
            summary(lines, date=today, seed=chosen.seed, commit=commit, command=command)
        )
    for words in broken:
        print(f"campaign: {words}", file=sys.stderr)
    return 3 if broken else 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
