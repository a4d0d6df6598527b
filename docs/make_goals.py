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

HEAD = """# The goals and how far they are

Made by `make goals` from the pages of evidence beside it and from [calibration.md](../calibration.md);
each page says by which command and when it was measured. A ratio counts only beside its peer in its own run.

| page | what | ours | peer or limit | its figure | goal | |
| --- | --- | --- | --- | --- | --- | --- |
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
    rows = [row for source in sorted(EVIDENCE.glob("bench*.md")) for row in goals_of(source)]
    return HEAD + "\n".join(rows) + "\n" + EXIT_HEAD + "\n".join(exits()) + "\n"


def goals_of(source: Path) -> Iterator[str]:
    """Yield a row for each goal of a page of benches."""
    for line in source.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("|") or len(cells) != 6 or ":" not in cells[5]:
            continue
        what, ours, peer, figure, _, goals = cells
        for goal in goals.split("; "):
            said, _, verdict = goal.rpartition(": ")
            if verdict in ("met", "MISSED"):
                link = f"[{source.stem}]({source.name})"
                yield f"| {link} | {what} | {ours} | {peer} | {figure} | {said} | {verdict} |"


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
