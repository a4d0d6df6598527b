"""`make drills`: run every probe drill and write the table in docs/operations.md.

Each row is kept in docs/evidence/probes.json as soon as it is there, so one drill can be run again alone.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from tests.cycle.processes import ROOT
from tests.drills.kubelet import deployment
from tests.drills.probes import DRILLS, SCALE, Found

TARGET = ROOT / "docs" / "operations.md"
EVIDENCE = TARGET.parent / "evidence" / "probes.json"
HEADING = "## Probes"


@dataclass(frozen=True, slots=True)
class Row:
    """What a drill found under which probes, when, and of which commit."""

    found: Found
    probes: str
    date: str
    commit: str


_ROWS = TypeAdapter(dict[str, Row])


def section(rows: Mapping[str, Row]) -> str:
    """Return the section with its table."""
    measured = sorted({f"{row.date}, commit {row.commit}, {row.probes}" for row in rows.values()})
    story = (
        "Liveness fails only for what a restart cures; trouble outside shows on `/health` and in alerts."
        " Made by `make drills`, which `tests/drills/test_probes.py` runs too: a real daemon, sandbox and"
        f" remote under the manifest's probes, {SCALE:g} times as fast. Seconds are those of the cluster from"
        f" the moment at which the fault strikes, so they carry {SCALE:g} times the slowness of the machine"
        " that measured."
    )
    lines = [
        HEADING,
        "",
        *textwrap.wrap(story, 110, break_on_hyphens=False),
        *(f"- measured {each}" for each in measured),
        "",
        "| what is wrong | /health/live | /health/ready | /health | Kubernetes | does that help |",
        "| --- | --- | --- | --- | --- | --- |",
        *(
            f"| {each.fault} | {each.live} | {each.ready} | {each.page} | {each.reaction} | {each.helped} |"
            for each in (row.found for row in rows.values())
        ),
    ]
    left = [f"`{name}`" for name in DRILLS if name not in rows]
    if left:
        lines += ["", f"Not measured yet: {', '.join(left)}."]
    return "\n".join(lines) + "\n"


def page(before: str, made: str) -> str:
    """Return the document with this section in the old one's place."""
    pattern = rf"^{re.escape(HEADING)}\n.*?(?=^## )"
    return re.sub(pattern, lambda _: f"{made}\n", before, flags=re.DOTALL | re.MULTILINE)


def recalled() -> dict[str, Row]:
    """Return the rows that were kept, by the drill's name."""
    return _ROWS.validate_json(EVIDENCE.read_bytes()) if EVIDENCE.exists() else {}


def keep(name: str, row: Row) -> None:
    """Keep a row beside those of the other drills."""
    rows = {**recalled(), name: row}
    ordered = {each: rows[each] for each in DRILLS if each in rows}
    EVIDENCE.write_bytes(_ROWS.dump_json(ordered, indent=1) + b"\n")


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.drills", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"only these: {', '.join(DRILLS)}")
    parser.add_argument("--date", default="not told", help="for the page")
    told = parser.parse_args(arguments)
    asked = ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    failed = []
    for name in told.names or DRILLS:
        try:
            with tempfile.TemporaryDirectory(prefix="regimed-drill-") as folder:
                row = Row(DRILLS[name](Path(folder)), str(deployment()), told.date, commit)
        except AssertionError as error:  # what the others find is kept
            sys.stderr.write(f"{name}: {error}\n")
            failed.append(name)
            continue
        keep(name, row)
        TARGET.write_text(page(TARGET.read_text(), section(recalled())))
        sys.stderr.write(f"{row}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
