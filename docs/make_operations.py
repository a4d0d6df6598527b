"""Write the capacity table of docs/operations.md from the evidence of the benches: `make operations`."""

from __future__ import annotations

import re
from pathlib import Path

from tables import table

TARGET = Path(__file__).with_name("operations.md")
EVIDENCE = TARGET.parent / "evidence" / "bench.md"
HEADING = "## Capacity"
MARKETS = ("1 market", "10 markets", "100 markets")
FIGURES = ("an hour, median", "an hour, p99", "CPU of a market's hour", "loop lag, p99")
HEAD = """\
Made by `make operations` from [evidence/bench.md](evidence/bench.md), which
`make bench ARGS="cycles commits loading"` measures. An hour is all markets from the bell to the operator, in
one process; the bound is 30 s.
"""
TAIL = """\
Memory, descriptors and what a market adds to the disk in a day are what `make soak` measures
([evidence/soak-after.md](evidence/soak-after.md): 20 markets take half of the manifests' limit of 1 GiB).
One process is enough while an hour of all markets stays far below the 30 s and below the quota of the
exchange; beyond that, [shard](#shard). A start reads a year of one market in the time of the last row; a
first start on an empty volume also clones.
"""


def figures(evidence: str) -> dict[str, str]:
    """Return ours by what was measured, as the evidence has it."""
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \|", evidence, flags=re.MULTILINE)
    return dict(reversed(rows))


def section(evidence: str) -> str:
    """Return the section, its heading first."""
    found = figures(evidence)
    date = re.search(r"^- date: (\S+)", evidence, flags=re.MULTILINE)
    machine = re.search(r"^- machine: (.+?), load", evidence, flags=re.MULTILINE)
    rows = [[name, *(found[f"{name}: {what}"] for what in FIGURES)] for name in MARKETS]
    more = [
        ["a commit with 1,000 files there", found["1,000 files: change-set"]],
        ["a commit with 50,000 files there", found["50,000 files: change-set"]],
        ["a year of one market into memory, cold", found["8,760 hours: cold"]],
    ]
    measured = f"Measured {date[1] if date else '-'} on {machine[1] if machine else '-'}.\n"
    lines = [HEADING, "", *HEAD.splitlines(), measured]
    lines += table(" | ".join(("markets", *FIGURES)), rows)
    lines += table("what | ours", more)
    return "\n".join([*lines, *TAIL.splitlines()]) + "\n"


def page(before: str, evidence: str) -> str:
    """Return the document with today's section in the old one's place."""
    pattern = rf"^{re.escape(HEADING)}\n.*?(?=^## )"
    return re.sub(pattern, lambda _: f"{section(evidence)}\n", before, flags=re.DOTALL | re.MULTILINE)


if __name__ == "__main__":
    TARGET.write_text(page(TARGET.read_text(), EVIDENCE.read_text()))
