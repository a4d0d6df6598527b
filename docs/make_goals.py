"""docs/evidence/goals.md: every goal that a bench or the calibration is held against, and how far it is.

Reads the pages of evidence; measures nothing itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

DOCS = Path(__file__).resolve().parent
EVIDENCE = DOCS / "evidence"
TARGET = EVIDENCE / "goals.md"
EXITS = (0.80, 0.30)  # warned in time, and false
MEASURED = {  # the peers in `measured.md`, which set the goals; what it told, not ours to measure
    ("six indicators, 1,000,000 candles", "TA-Lib composed"): 48,
    ("six indicators, 1,000,000 candles", "pandas-ta-classic"): 777,
    ("10,000 files: commit alone", "GitPython index.add + commit"): 474,
    ("50,000 files: commit alone", "GitPython index.add + commit"): 2006,
}

HEAD = """# The goals and how far they are

Made by `make goals` from the pages of evidence beside it and from [calibration.md](../calibration.md);
each page says by which command and when it was measured. A ratio counts only beside its peer in its own run.

| page | what | ours | peer or limit | its figure | goal | |
| --- | --- | --- | --- | --- | --- | --- |
"""
PACE_HEAD = """
## The pace of the machine

Goals in ms and us were set on another machine of two cores. What the peers took there, as the paper that sets
the goals tells it (`measured.md`, not part of this repository), and here says about how much of a miss is the
machine's; no goal above is judged by it.

| page | what | peer | there | here | times as long |
| --- | --- | --- | --- | --- | --- |
"""
EXIT_HEAD = f"""
## Exits

Of the breakouts warned of in time (TTDR, goal {EXITS[0]:.2f}), and of the warnings that were false (FER, goal
below {EXITS[1]:.2f}): both together is what nothing reached in the research that this program began with.
All hours, frozen grids.

| market | TTDR | FER | by chance | short of TTDR | over FER |
| --- | --- | --- | --- | --- | --- |
"""


def page() -> str:
    """Return the whole page."""
    sources = sorted(EVIDENCE.glob("bench*.md"))
    goals = "\n".join(row for source in sources for row in goals_of(source))
    pace = "\n".join(row for source in sources for row in pace_of(source))
    return HEAD + goals + "\n" + PACE_HEAD + pace + "\n" + EXIT_HEAD + "\n".join(exits()) + "\n"


def rows_of(source: Path) -> Iterator[list[str]]:
    """Yield the cells of each figure of a page of benches: what, ours, peer, its figure, ratio, goals."""
    for line in source.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and len(cells) == 6:
            yield cells


def goals_of(source: Path) -> Iterator[str]:
    """Yield a row for each goal of a page of benches."""
    for what, ours, peer, figure, _, goals in rows_of(source):
        for goal in goals.split("; "):
            said, _, verdict = goal.rpartition(": ")
            if verdict in ("met", "MISSED"):
                yield f"| {link_to(source)} | {what} | {ours} | {peer} | {figure} | {said} | {verdict} |"


def pace_of(source: Path) -> Iterator[str]:
    """Yield a row for each peer of a page that was timed on the goals' machine too."""
    for what, _, peer, figure, _, _ in rows_of(source):
        name = peer.removeprefix("peer: ")
        if there := MEASURED.get((what, name)):
            here, unit = figure.split(" ")
            longer = float(here.replace(",", "")) / there
            yield f"| {link_to(source)} | {what} | {name} | {there:,} {unit} | {figure} | {longer:.2f} |"


def link_to(source: Path) -> str:
    """Return the link that a row names its page by."""
    return f"[{source.stem}]({source.name})"


def exits() -> Iterator[str]:
    """Yield a row a market: what the default trigger reached on recorded candles."""
    market, seen = "", list[tuple[float, float, float]]()
    for line in (DOCS / "calibration.md").read_text().splitlines():
        if found := re.match(r"### (\S+): exit triggers", line):
            market = found[1]
        elif market and line.startswith("| evidence |"):
            ttdr, fer, chance = (float(cell.split()[0]) for cell in line.split("|")[2:5])
            yield exit_row(market, ttdr, fer, chance)
            seen.append((ttdr, fer, chance))
            market = ""
    yield exit_row(
        f"mean of the {len(seen)}", *(sum(column) / len(seen) for column in zip(*seen, strict=True))
    )


def exit_row(name: str, ttdr: float, fer: float, chance: float) -> str:
    """Return a row: what was reached, by chance, and how far from the goals."""
    short, over = max(EXITS[0] - ttdr, 0), max(fer - EXITS[1], 0)
    return f"| {name} | {ttdr:.3f} | {fer:.3f} | {chance:.3f} | {short:.3f} | {over:.3f} |"


if __name__ == "__main__":
    TARGET.write_text(page())
