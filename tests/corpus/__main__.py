"""The command: `python -m tests.corpus --number 24 --seed 1`: what becomes of damaged files, by kind."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from tests.corpus.counting import Tally, corpus

ROOT = Path(__file__).resolve().parents[2]
_HEADS = (
    "kind of file", "damaged files", "refused", "nothing lost", "valid, but another", "of these cut",
    "half-read", "tracebacks", "messages that lack file, place or remedy",
    "who finds the other one",
)  # fmt: skip


def counts(tallies: Sequence[Tally]) -> list[int]:
    """Return how many damaged files there were, and what became of them, in the order of the table."""
    return [
        sum(each.files for each in tallies), sum(each.refused for each in tallies),
        sum(each.whole for each in tallies), sum(each.other for each in tallies),
        sum(each.cut for each in tallies),
        *(sum(len(getattr(each, what)) for each in tallies) for what in ("half", "broke", "mute")),
    ]  # fmt: skip


def page(tallies: Sequence[Tally], *, date: str, commit: str, command: str) -> str:
    """Return the page, in Markdown."""
    lines = [
        "# The corpus of damaged files",
        "",
        "Made by this command and `--summary docs/evidence/corpus.md`; not edited by hand. Each kind of file",
        "is cut, flipped in one bit, emptied, overwritten with zeros, doubled and put into another form, and",
        "read as the program reads it. Where a digest covers a file every change is refused; what stands",
        "under *valid, but another* has no digest of its own, and somebody else finds it, or nobody.",
        "",
        "| date | commit | command |",
        "| --- | --- | --- |",
        f"| {date} | {commit} | `{command}` |",
        "",
        f"| {' | '.join(_HEADS)} |",
        f"|{' --- |' * len(_HEADS)}",
    ]
    for each in tallies:
        found_by = each.kind.found_by if each.other else ""
        lines.append(f"| {each.kind.name} | {' | '.join(map(str, counts([each])))} | {found_by} |")
    return "\n".join([*lines, f"| all {len(tallies)} | {' | '.join(map(str, counts(tallies)))} | |"]) + "\n"


def main() -> int:
    """Print the counts; exit code 1 where a file was half-read, broke its reader or has a bad message."""
    parser = argparse.ArgumentParser(prog="python -m tests.corpus", description=__doc__)
    parser.add_argument("--number", type=int, default=24, help="cuts and flips of each kind")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--summary", type=Path, help="write the page here: docs/evidence/corpus.md for one")
    chosen = parser.parse_args()
    tallies = list(corpus(chosen.number, chosen.seed))
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()
    command = f"python -m tests.corpus --number {chosen.number} --seed {chosen.seed}"
    told = page(tallies, date=f"{datetime.now(UTC):%Y-%m-%d}", commit=commit, command=command)
    print(told, end="")
    if chosen.summary:
        chosen.summary.write_text(told)
    bad = [words for each in tallies for words in (*each.half, *each.broke, *each.mute)]
    for words in bad:
        print(words, file=sys.stderr)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
